//! Figures as pictures made of letters.

use std::collections::VecDeque;

/// Eight heights.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The newest of these on so many characters, the newest right. The highest bar is the largest of them, and the
/// lowest is zero; a gap is where there was nothing.
pub(super) fn sparkline(line: &VecDeque<Option<u64>>, width: usize) -> String {
    let newest = line.iter().skip(line.len().saturating_sub(width));
    let most = newest.clone().flatten().max().copied().unwrap_or(0).max(1);
    newest.map(|value| value.map_or(' ', |value| BARS[height(value, most, 7)])).collect()
}

/// `value` of `most` in `steps`.
pub(super) fn height(value: u64, most: u64, steps: usize) -> usize {
    let scaled = (u128::from(value) * steps as u128).checked_div(most.into()).unwrap_or(0);
    usize::try_from(scaled).unwrap_or(steps).min(steps)
}

/// A bar of so many characters, `value` of `most` of them filled; something for anything.
pub(super) fn bar(value: u64, most: u64, width: usize) -> String {
    let filled = height(value, most, width).max(usize::from(value > 0 && width > 0));
    format!("{}{}", "#".repeat(filled), "-".repeat(width - filled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_shows_the_newest_and_its_gaps() {
        let line = VecDeque::from([Some(9), Some(80), None, Some(40), Some(0)]);
        assert_eq!(sparkline(&line, 4), "█ ▄▁");
        assert_eq!(sparkline(&VecDeque::new(), 4), "");
    }

    #[test]
    fn a_bar_is_as_long_as_it_was_asked_to_be() {
        assert_eq!(bar(1, 1_000_000, 5), "#----");
        assert_eq!(bar(5, 4, 4), "####");
        assert_eq!(bar(0, 0, 3), "---");
    }
}
