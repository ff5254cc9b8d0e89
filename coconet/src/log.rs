//! The door to a log: a line is a line, and no character in it acts on the terminal of who reads it.
//!
//! What a log says has been chosen by peers here and there: an error of theirs, a path, an answer. Names are cleaned where
//! they come in; this is for what nobody thought of.

use std::io::{self, Write};

use crate::name::acts;

/// Writes each event that is given to it, one for each call, as one line.
#[derive(Debug)]
pub struct Lines<W>(W);

impl<W: Write> Lines<W> {
    /// On their way to `writer`.
    pub fn new(writer: W) -> Self {
        Self(writer)
    }
}

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.0.write_all(line(&String::from_utf8_lossy(event)).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// `text` as one line, with its end. A line end in the middle, by which a second event could be forged, and a tab
/// become spaces; other characters that act are left out.
pub fn line(text: &str) -> String {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let spaced = text.chars().map(|c| if matches!(c, '\n' | '\t') { ' ' } else { c });
    spaced.filter(|c| !acts(*c)).chain(['\n']).collect()
}

/// Text of several lines, each of them cleaned: what a program says before it has a log.
pub fn lines(text: &str) -> String {
    text.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn an_event_is_one_line_without_anything_that_acts() {
        let mut log = Vec::new();
        let mut lines = Lines::new(&mut log);
        let event = "\u{1b}[31mred\u{202e}\r\nINFO forged\ttwice\u{9b}2J\u{e0041}\u{200b} caf\u{e9}\n";
        assert_eq!(lines.write(event.as_bytes()).unwrap(), event.len());
        lines.write_all(b"not \xff text\n").unwrap();
        assert_eq!(
            String::from_utf8(log).unwrap(),
            "[31mred INFO forged twice2J caf\u{e9}\nnot \u{fffd} text\n"
        );
    }

    #[test]
    fn text_of_several_lines_keeps_them() {
        assert_eq!(lines("error:\u{1b}c\n  | \u{202e}x\r\n\n"), "error:c\n  | x\n\n");
    }
}
