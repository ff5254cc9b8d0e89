//! The tab's body: the overview, or a table with what stands above it.

use coconet::control::{Usage, percent};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Wrap};

use super::chart::{bar, height};
use super::{Palette, overview, table};
use crate::commands::usage as relayed;
use crate::dashboard::rows::Tone;
use crate::dashboard::state::{Facts, State, Tab};
use crate::dashboard::update::Spot;
use crate::units;

/// Lines above the relay's table, for each network: what is used, what of it flows now, and the days.
const RELAY_LINES: u16 = 8;

/// Heights of a day's bar.
const DAY_LINES: usize = 4;

/// Days of a month.
const DAYS: usize = 31;

pub(super) fn draw(state: &State, palette: Palette, frame: &mut Frame<'_>, area: Rect) {
    if state.tab == Tab::Overview {
        overview::draw(state, palette, frame, area);
        return;
    }
    let (above, below) = parts(state, area);
    if state.tab == Tab::Relay {
        frame.render_widget(Paragraph::new(relay(state.shown(), palette)), above);
    }
    let rows = state.table();
    if rows.rows.is_empty() {
        frame.render_widget(Paragraph::new(nothing(state)).wrap(Wrap { trim: false }), below);
        return;
    }
    let selected = state.selected(&rows);
    let laid = table::Laid::out(&rows, selected, below);
    table::draw(&rows, &laid, (state.shown(), state.list(), selected), palette, frame, below);
}

/// How many rows fit.
pub(super) fn rows_fit(state: &State, area: Rect) -> usize {
    usize::from(parts(state, area).1.height.saturating_sub(1)).max(1)
}

pub(super) fn spot(state: &State, area: Rect, at: Position) -> Spot {
    let (_, below) = parts(state, area);
    let rows = state.table();
    if state.tab == Tab::Overview || !below.contains(at) || rows.rows.is_empty() {
        return Spot::Elsewhere;
    }
    table::Laid::out(&rows, state.selected(&rows), below).spot(&rows, below, at)
}

fn parts(state: &State, area: Rect) -> (Rect, Rect) {
    let networks = u16::try_from(state.shown().usage.len()).unwrap_or(u16::MAX);
    let lines = if state.tab == Tab::Relay {
        networks.saturating_mul(RELAY_LINES).min(area.height / 2 + 2)
    } else {
        0
    };
    let [above, below] = Layout::vertical([Constraint::Length(lines), Constraint::Min(2)]).areas(area);
    (above, below)
}

/// Why a table has no rows, and what to do about it.
fn nothing(state: &State) -> String {
    if !state.list().filter.is_empty() {
        return format!("nothing has {:?} in it; esc shows all", state.list().filter);
    }
    let why = match state.tab {
        Tab::Overview => "",
        Tab::Peers => "no peers yet: they appear when a tunnel is opened, or when somebody opens one to here",
        Tab::Tunnels => "no tunnels: cococtl tunnel expose URL --name NAME, or cococtl tunnel open RESOURCE",
        Tab::Members => "no members known yet",
        Tab::Relay => "nothing was relayed this month",
        Tab::Events => "nothing has happened since the dashboard was started",
    };
    why.to_owned()
}

fn relay(facts: &Facts, palette: Palette) -> Vec<Line<'static>> {
    facts.usage.values().flat_map(|usage| relay_of(facts, usage, palette)).collect()
}

fn relay_of(facts: &Facts, usage: &Usage, palette: Palette) -> Vec<Line<'static>> {
    let share = usage.limit.map(|limit| percent(usage.used, limit));
    let tone = match share {
        Some(100..) => Tone::Bad,
        Some(80..) => Tone::Warn,
        Some(_) | None => Tone::Plain,
    };
    let gauge = usage.limit.map_or_else(String::new, |limit| format!("[{}] ", bar(usage.used, limit, 30)));
    let title = format!("{} {}  {gauge}{}", usage.network, usage.month, relayed::total(usage));
    let mut lines = vec![Line::styled(title, palette.tone(tone)), Line::from(now(facts, usage))];
    lines.extend(days(usage));
    lines.push(Line::default());
    lines
}

/// What is relayed just now, which direct paths would save.
fn now(facts: &Facts, usage: &Usage) -> String {
    let network = facts.networks().iter().find(|network| network.name == usage.network);
    let peers = network.into_iter().flat_map(|network| &network.peers);
    let relayed = peers.filter(|peer| peer.path.as_ref().is_some_and(|path| path.starts_with("relay")));
    let (count, rate) = relayed.fold((0, 0_u64), |(count, rate), peer| {
        (count + 1, rate.saturating_add(peer.rate_in + peer.rate_out))
    });
    if count == 0 {
        return "no peer is relayed now: nothing is used up".to_owned();
    }
    let month = rate.saturating_mul(30 * 24 * 3600);
    format!(
        "{} relayed now, {}/s: direct would save {} in 30 days at this rate",
        units::count(count, "peer"),
        units::bytes(rate),
        units::bytes(month)
    )
}

/// The days of the month as bars side by side, each two characters wide.
fn days(usage: &Usage) -> Vec<Line<'static>> {
    let mut bytes = [0_u64; DAYS];
    for day in &usage.days {
        let number = day.day.rsplit('-').next().and_then(|text| text.parse::<usize>().ok());
        if let Some(place) = number.and_then(|number| bytes.get_mut(number.wrapping_sub(1))) {
            *place = day.bytes;
        }
    }
    let most = bytes.iter().max().copied().unwrap_or(0);
    let mut lines: Vec<Line<'static>> = (0..DAY_LINES)
        .rev()
        .map(|line| {
            let cell = |&value: &u64| {
                let eighths = height(value, most, DAY_LINES * 8).max(usize::from(value > 0));
                let letter = match eighths.saturating_sub(line * 8) {
                    0 => ' ',
                    1 => '▁',
                    2 => '▂',
                    3 => '▃',
                    4 => '▄',
                    5 => '▅',
                    6 => '▆',
                    7 => '▇',
                    8.. => '█',
                };
                format!("{letter} ")
            };
            let scale = if line + 1 == DAY_LINES { units::bytes(most) } else { String::new() };
            Line::from(format!("{scale:>8} {}", bytes.iter().map(cell).collect::<String>()))
        })
        .collect();
    let numbers: String = (1..=DAYS)
        .map(|day| if day == 1 || day % 5 == 0 { format!("{day:<2}") } else { "  ".to_owned() })
        .collect();
    lines.push(Line::from(format!("{:>8} {numbers}", "day")));
    lines
}
