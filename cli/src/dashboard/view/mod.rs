//! Draws the [`State`]: a header, the tabs, the tab's body and a footer of the keys that work. What lies on top
//! is drawn last. Nothing is remembered here: the same state on the same size is the same screen.

mod body;
mod chart;
mod overlay;
mod overview;
mod table;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::keys;
use super::rows::{Tone, is_direct};
use super::state::{Overlay, State, Tab};
use super::update::Spot;
use crate::commands::status::manager_word;
use crate::print::clean;
use crate::units;

/// The smallest screen that is drawn on.
const WIDTH_MIN: u16 = 40;
const HEIGHT_MIN: u16 = 10;

/// Where things are.
struct Places {
    header: Rect,
    tabs: Rect,
    body: Rect,
    footer: Rect,
}

impl Places {
    fn of(screen: Rect) -> Self {
        let rows = [Constraint::Length(1), Constraint::Length(1), Constraint::Min(1), Constraint::Length(1)];
        let [header, tabs, body, footer] = Layout::vertical(rows).areas(screen);
        Self { header, tabs, body, footer }
    }
}

/// The colours of one screen; none where they are not wanted. Blue and yellow are told apart by everybody, and
/// every colour has its word beside it.
#[derive(Debug, Clone, Copy)]
struct Palette(bool);

impl Palette {
    fn tone(self, tone: Tone) -> Style {
        let style = Style::new();
        match tone {
            Tone::Plain => style,
            Tone::Good => self.colour(style, Color::LightBlue),
            Tone::Warn => self.colour(style, Color::Yellow),
            Tone::Bad => self.colour(style.add_modifier(Modifier::BOLD), Color::LightYellow),
            Tone::Dim => style.add_modifier(Modifier::DIM),
        }
    }

    fn heading(self) -> Style {
        self.colour(Style::new().add_modifier(Modifier::BOLD), Color::LightCyan)
    }

    fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    fn colour(self, style: Style, colour: Color) -> Style {
        if self.0 { style.fg(colour) } else { style }
    }
}

/// Draw it all.
pub(super) fn view(state: &State, frame: &mut Frame<'_>) {
    let screen = frame.area();
    if screen.width < WIDTH_MIN || screen.height < HEIGHT_MIN {
        let text = format!("at least {WIDTH_MIN} x {HEIGHT_MIN}, please");
        frame.render_widget(Paragraph::new(text), screen);
        return;
    }
    let (places, palette) = (Places::of(screen), Palette(state.colours));
    frame.render_widget(Paragraph::new(header(state, palette)), places.header);
    frame.render_widget(Paragraph::new(tabs(state, palette)), places.tabs);
    body::draw(state, palette, frame, places.body);
    frame.render_widget(Paragraph::new(footer(state, palette, usize::from(screen.width))), places.footer);
    overlay::draw(state, palette, frame, places.body);
}

/// How many rows of a table fit.
pub(super) fn page(state: &State) -> usize {
    body::rows_fit(state, Places::of(state.screen).body)
}

/// What is at a place of the screen.
pub(super) fn spot(state: &State, at: Position) -> Spot {
    let places = Places::of(state.screen);
    if places.tabs.contains(at) {
        let mut left = places.tabs.x;
        for tab in Tab::ALL {
            let width = u16::try_from(tab_text(tab).chars().count()).unwrap_or(u16::MAX);
            if at.x >= left && at.x < left.saturating_add(width) {
                return Spot::Tab(tab);
            }
            left = left.saturating_add(width);
        }
    }
    if places.body.contains(at) { body::spot(state, places.body, at) } else { Spot::Elsewhere }
}

fn header(state: &State, palette: Palette) -> Line<'static> {
    let facts = state.shown();
    let mut spans = Vec::new();
    if let Some(why) = &state.lost {
        spans.push(Span::styled(" daemon not reachable ", palette.chosen().add_modifier(Modifier::BOLD)));
        spans.push(Span::raw(format!(" {}  ", clean(why))));
    }
    if state.is_frozen() {
        spans.push(Span::styled(" frozen ", palette.chosen()));
        spans.push(Span::raw(" "));
    }
    let Some(status) = &facts.status else {
        if state.lost.is_none() {
            spans.push(Span::raw("asking the daemon..."));
        }
        return Line::from(spans);
    };
    spans.push(Span::styled(clean(&status.app), palette.heading()));
    match &status.networks[..] {
        [] => spans.push(Span::raw("  no network joined")),
        [network] => {
            let node = &network.node;
            spans.push(Span::raw(format!("  {} as {} ({})", network.name, node.name, node.user)));
            let rtt =
                network.manager.rtt_us.map_or_else(String::new, |rtt| format!(" {}", units::round_trip(rtt)));
            spans.push(Span::raw(format!("  manager {}{rtt}", manager_word(network))));
        }
        networks => spans.push(Span::raw(format!("  {} networks", networks.len()))),
    }
    let connected =
        facts.networks().iter().flat_map(|network| &network.peers).filter(|peer| peer.path.is_some());
    let (direct, all) =
        connected.fold((0, 0), |(direct, all), peer| (direct + usize::from(is_direct(peer)), all + 1));
    if all > 0 {
        spans.push(Span::raw(format!("  {direct} direct, {} relayed", all - direct)));
    }
    if facts.networks().iter().any(|network| network.ledger.alarm.is_some()) {
        spans.push(Span::styled("  ALARM", palette.tone(Tone::Bad)));
    }
    Line::from(spans)
}

fn tab_text(tab: Tab) -> String {
    format!(" {} {} ", tab as usize + 1, tab.title())
}

fn tabs(state: &State, palette: Palette) -> Line<'static> {
    let span = |tab: Tab| {
        let style =
            if tab == state.tab { palette.chosen().add_modifier(Modifier::BOLD) } else { Style::new() };
        Span::styled(tab_text(tab), style)
    };
    Tab::ALL.into_iter().map(span).collect()
}

/// The keys that work now, as many as fit, or what came of the last of them.
fn footer(state: &State, palette: Palette, width: usize) -> Line<'static> {
    if state.overlay == Overlay::Filter {
        let text = format!("/{}_  enter keeps it, esc drops it", state.list().filter);
        return Line::styled(text, palette.heading());
    }
    let keys = match state.overlay {
        Overlay::None | Overlay::Filter => None,
        Overlay::Help => Some("any key closes the help"),
        Overlay::Details(_) => Some("up and down scroll, esc closes the details"),
        Overlay::Confirm(_) => Some("y does it, n and esc do not"),
    };
    if let Some(keys) = keys {
        return Line::styled(keys, palette.heading());
    }
    if let Some(told) = &state.told {
        return Line::styled(clean(told), palette.heading());
    }
    let mut spans: Vec<Span<'static>> = Vec::new();
    let filter = &state.list().filter;
    let mut used = 0;
    if !filter.is_empty() {
        let text = format!("/{}  ", clean(filter));
        used += text.chars().count();
        spans.push(Span::styled(text, palette.chosen()));
    }
    for binding in keys::available(state) {
        let Some(short) = binding.short else { continue };
        let key = binding.key();
        used += key.chars().count() + short.chars().count() + 3;
        if used > width + 2 {
            break;
        }
        spans.push(Span::styled(key, palette.heading()));
        spans.push(Span::raw(format!(" {short}  ")));
    }
    Line::from(spans)
}
