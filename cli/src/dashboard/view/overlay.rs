//! What lies on top of the tab: the help, all about a row, a question.

use ratatui::Frame;
use ratatui::layout::{Margin, Rect};
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Wrap};

use super::Palette;
use crate::dashboard::state::{Overlay, State};
use crate::dashboard::{details, keys};

pub(super) fn draw(state: &State, palette: Palette, frame: &mut Frame<'_>, area: Rect) {
    match &state.overlay {
        Overlay::None | Overlay::Filter => {}
        Overlay::Help => boxed("keys", help(state, palette), 0, frame, area),
        Overlay::Details(scrolled) => {
            let table = state.table();
            let Some(row) = state.selected(&table).and_then(|at| table.rows.get(at)) else { return };
            let lines = details::of(state.tab, state.shown(), row, table.columns);
            boxed("details", lines.into_iter().map(Line::from).collect(), *scrolled, frame, area);
        }
        Overlay::Confirm(action) => {
            let bold = palette.heading().add_modifier(Modifier::BOLD);
            let keys = Line::from(vec![
                Span::styled("y", bold),
                Span::raw(" yes   "),
                Span::styled("n", bold),
                Span::raw(" no"),
            ]);
            boxed("sure?", vec![Line::from(action.question()), Line::default(), keys], 0, frame, area);
        }
    }
}

fn help(state: &State, palette: Palette) -> Vec<Line<'static>> {
    let line = |binding: &keys::Binding| {
        Line::from(vec![
            Span::styled(format!("{:<13}", binding.keys()), palette.heading()),
            Span::raw(binding.does.to_owned()),
        ])
    };
    keys::available(state).map(line).collect()
}

/// Lines in a box in the middle, as small as they allow.
fn boxed(title: &str, lines: Vec<Line<'static>>, scrolled: usize, frame: &mut Frame<'_>, area: Rect) {
    let widest = lines.iter().map(Line::width).max().unwrap_or(0).max(title.len());
    let width = u16::try_from(widest + 4).unwrap_or(u16::MAX).min(area.width);
    let inside = usize::from(width.saturating_sub(4)).max(1);
    let tall: usize = lines.iter().map(|line| line.width().div_ceil(inside).max(1)).sum();
    let height = u16::try_from(tall + 2).unwrap_or(u16::MAX).min(area.height);
    let place =
        Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    let room = usize::from(height.saturating_sub(2));
    let scroll = u16::try_from(scrolled.min(tall.saturating_sub(room))).unwrap_or(u16::MAX);
    frame.render_widget(Clear, place);
    frame.render_widget(Block::bordered().title(format!(" {title} ")), place);
    let text = Paragraph::new(lines).wrap(Wrap { trim: false }).scroll((scroll, 0));
    frame.render_widget(text, place.inner(Margin::new(2, 1)));
}
