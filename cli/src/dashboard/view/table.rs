//! A table that fits: columns of the highest rank go where there is no room, the widest text is cut, and the rows
//! around the selected one are shown.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::Palette;
use super::chart::sparkline;
use crate::dashboard::rows::{Column, ROUND_TRIPS, Row, Table};
use crate::dashboard::state::{self, Facts, List};
use crate::dashboard::update::Spot;

/// Between two columns.
const GAP: usize = 2;

/// What a column is cut to at most where there is no room, before others go.
const CUT: usize = 24;

/// A table ready to be drawn.
pub(super) struct Laid {
    /// Index and width of the columns that fit, from the left.
    columns: Vec<(usize, usize)>,
    /// The first row that is shown.
    first: usize,
}

impl Laid {
    /// Lay a table out.
    pub(super) fn out(table: &Table, selected: Option<usize>, area: Rect) -> Self {
        let height = usize::from(area.height.saturating_sub(1)).max(1);
        // The selected row is kept in the middle, but for the ends.
        let last_first = table.rows.len().saturating_sub(height);
        let first = selected.unwrap_or(0).saturating_sub(height / 2).min(last_first);
        let shown = &table.rows[first..table.rows.len().min(first + height)];
        Self { columns: columns(table.columns, shown, usize::from(area.width)), first }
    }

    /// What is at a place.
    pub(super) fn spot(&self, table: &Table, area: Rect, at: Position) -> Spot {
        let row = usize::from(at.y.saturating_sub(area.y));
        if row > 0 {
            let index = self.first + row - 1;
            return if index < table.rows.len() { Spot::Row(index) } else { Spot::Elsewhere };
        }
        let mut left = usize::from(area.x);
        for &(column, width) in &self.columns {
            let right = left + width + GAP;
            if (left..right).contains(&usize::from(at.x)) {
                return Spot::Column(column);
            }
            left = right;
        }
        Spot::Elsewhere
    }
}

/// Draw it.
pub(super) fn draw(
    table: &Table,
    laid: &Laid,
    (facts, list, selected): (&Facts, &List, Option<usize>),
    palette: Palette,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let mut lines = vec![heading(table.columns, laid, list, palette)];
    let height = usize::from(area.height.saturating_sub(1));
    let rows = table.rows.iter().enumerate().skip(laid.first).take(height);
    lines.extend(rows.map(|(at, row)| {
        let style = palette.tone(row.tone);
        let style = if selected == Some(at) { style.patch(palette.chosen()) } else { style };
        line(table.columns, laid, row, facts, style, usize::from(area.width))
    }));
    frame.render_widget(Paragraph::new(lines), area);
}

fn heading(columns: &[Column], laid: &Laid, list: &List, palette: Palette) -> Line<'static> {
    let cell = |&(index, width): &(usize, usize)| {
        let Some(column) = columns.get(index) else { return String::new() };
        let arrow = match (list.sort == Some(index), list.reverse) {
            (false, _) => "",
            (true, false) => "^",
            (true, true) => "v",
        };
        fit(&format!("{}{arrow}", column.title), width, column.right)
    };
    let text: Vec<String> = laid.columns.iter().map(cell).collect();
    Line::styled(text.join(&" ".repeat(GAP)), palette.heading())
}

fn line(
    columns: &[Column],
    laid: &Laid,
    row: &Row,
    facts: &Facts,
    style: Style,
    width: usize,
) -> Line<'static> {
    let cell = |&(index, width): &(usize, usize)| {
        let (Some(column), Some(cell)) = (columns.get(index), row.cells.get(index)) else {
            return String::new();
        };
        if column.title == ROUND_TRIPS {
            let of = facts.round_trips.get(&row.key);
            return fit(&of.map_or_else(String::new, |line| sparkline(line, width)), width, true);
        }
        fit(&cell.text, width, column.right)
    };
    let text: Vec<String> = laid.columns.iter().map(cell).collect();
    let text = text.join(&" ".repeat(GAP));
    Line::from(Span::styled(format!("{text:<width$}"), style))
}

/// Index and width of the columns that fit.
fn columns(columns: &[Column], rows: &[Row], width: usize) -> Vec<(usize, usize)> {
    let natural = |(index, column): (usize, &Column)| {
        let cells = rows.iter().filter_map(|row| row.cells.get(index));
        let widest = cells.map(|cell| cell.text.chars().count()).max().unwrap_or(0);
        // A column of nothing needs no room.
        let nothing = widest == 0 && column.title != ROUND_TRIPS && column.rank > 0 && !rows.is_empty();
        let widest = if column.title == ROUND_TRIPS { state::ROUND_TRIPS / 2 } else { widest };
        // One more for the arrow of the sort.
        (!nothing).then(|| (index, widest.max(column.title.len() + 1)))
    };
    let mut kept: Vec<(usize, usize)> = columns.iter().enumerate().filter_map(natural).collect();
    let total = |kept: &[(usize, usize)]| {
        kept.iter().map(|(_, width)| width + GAP).sum::<usize>().saturating_sub(GAP)
    };
    let least = |kept: &[(usize, usize)]| {
        kept.iter().map(|(_, width)| width.min(&CUT) + GAP).sum::<usize>().saturating_sub(GAP)
    };
    while least(&kept) > width && kept.len() > 1 {
        let rank = |&(index, _): &(usize, usize)| columns.get(index).map_or(0, |column| column.rank);
        let Some(worst) = (0..kept.len()).max_by_key(|at| rank(&kept[*at])) else { break };
        kept.remove(worst);
    }
    // Cut the widest until all fit.
    while total(&kept) > width {
        let Some(widest) = kept.iter_mut().max_by_key(|(_, width)| *width) else { break };
        if widest.1 <= 1 {
            break;
        }
        widest.1 -= 1;
    }
    kept
}

/// Text in exactly this width, cut with a `~` where it is longer.
pub(super) fn fit(text: &str, width: usize, right: bool) -> String {
    let length = text.chars().count();
    if length > width {
        let kept: String = text.chars().take(width.saturating_sub(1)).collect();
        return format!("{kept}~");
    }
    if right { format!("{text:>width$}") } else { format!("{text:<width$}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_fits_whatever_its_length() {
        assert_eq!(fit("front-door", 6, false), "front~");
        assert_eq!(fit("front", 6, false), "front ");
        assert_eq!(fit("front", 6, true), " front");
        assert_eq!(fit("é", 1, true), "é");
    }
}
