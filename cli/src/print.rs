//! The one door for output: results to stdout, notes and hints to stderr.
//!
//! Text the daemon sends may have been chosen by a peer. For people it passes [`clean`], line by line;
//! as JSON it is passed on as it came, on one line, with what could act on a terminal escaped.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use coconet::invite::INVITE_TEXT_MAX;
use coconet::name::{SHOWN_MAX, shown};
use serde::Serialize;

use crate::client::Answer;
use crate::fail::Fail;

/// Longest line of the daemon's text that is printed, in characters: an invite is one, and a URL with
/// its path is longer than [`SHOWN_MAX`] too.
const LINE_MAX: usize = INVITE_TEXT_MAX;

/// To the begin of the terminal's line, and what is behind it away.
const ANEW: &str = "\r\x1b[K";

/// Whether a line is on the terminal that goes before anything else is printed.
static PASSING: AtomicBool = AtomicBool::new(false);

/// Where results go, and in which form.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printer {
    /// JSON instead of text for people.
    pub(crate) json: bool,
}

impl Printer {
    /// Prints a daemon's answer: as JSON, or as the lines that `human` makes of it.
    pub(crate) fn answer<T, L>(self, answer: &Answer<T>, human: impl FnOnce(&T) -> L) -> Result<(), Fail>
    where
        L: IntoIterator<Item = String>,
    {
        if self.json { write(&(one_line(&answer.json) + "\n")) } else { self.lines(human(&answer.value)) }
    }

    /// Prints what we found out ourselves: as JSON, or as the lines that `human` makes of it.
    pub(crate) fn own<T, L>(self, value: T, human: impl FnOnce(&T) -> L) -> Result<(), Fail>
    where
        T: Serialize,
        L: IntoIterator<Item = String>,
    {
        let json = serde_json::to_string(&value)
            .map_err(|error| Fail::failed("cannot write the result").because(error))?;
        self.answer(&Answer { json, value }, human)
    }

    /// Prints lines for people.
    pub(crate) fn lines(self, lines: impl IntoIterator<Item = String>) -> Result<(), Fail> {
        let text: String = lines.into_iter().map(|line| clean(&line) + "\n").collect();
        write(&text)
    }

    /// Prints text of our own as it is: help, completions.
    pub(crate) fn verbatim(self, text: &str) -> Result<(), Fail> {
        write(text)
    }

    /// Draws lines of our own on stderr as they are.
    pub(crate) fn draw(self, lines: &[String]) {
        complain(lines);
    }

    /// Says something on stderr.
    pub(crate) fn note(self, text: &str) {
        complain(&[clean(text)]);
    }

    /// Says on stderr what to do next. Scripts that read JSON need no advice.
    pub(crate) fn hint(self, text: &str) {
        if !self.json {
            complain(&[format!("hint: {}", clean(text))]);
        }
    }
}

/// Shows a line on the terminal that stderr is, in the place of the one that was shown so; [`pass`] takes it away.
pub(crate) fn show(line: &str) {
    PASSING.store(true, Ordering::Relaxed);
    raw(&format!("{ANEW}{line}"));
}

/// Takes away what [`show`] has shown.
pub(crate) fn pass() {
    if PASSING.swap(false, Ordering::Relaxed) {
        raw(ANEW);
    }
}

fn raw(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

/// Lines to stderr. Nothing can be done when that fails.
pub(crate) fn complain(lines: &[String]) {
    pass();
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// One line of any text, fit for a terminal: control, bidirectional and invisible characters are
/// dropped, and what is longer than [`LINE_MAX`] characters is cut.
pub(crate) fn clean(text: &str) -> String {
    // As nearly all text is, and tables have a lot of it.
    if text.len() <= LINE_MAX && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.to_owned();
    }
    let kept: Vec<char> = text.chars().take(LINE_MAX).collect();
    kept.chunks(SHOWN_MAX).map(|chunk| shown(&chunk.iter().collect::<String>())).collect()
}

fn write(text: &str) -> Result<(), Fail> {
    pass();
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(Fail::output)
}

/// Valid JSON on one line, in which no character can act on a terminal. Line ends and tabs stand only
/// between tokens there; other such characters only inside strings, where an escape means the same.
fn one_line(json: &str) -> String {
    let mut line = String::with_capacity(json.len());
    for c in json.chars() {
        let plain = c.is_ascii() && c != '\u{7f}';
        if matches!(c, '\n' | '\r' | '\t') {
            continue;
        }
        if plain || !shown(c.encode_utf8(&mut [0; 4])).is_empty() {
            line.push(c);
        } else {
            let units =
                c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
            line.push_str(&units);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn an_invite_and_a_url_with_a_long_path_are_not_cut() {
        let url = format!("rtsp://127.0.0.1:5554/{}", "x".repeat(1024));
        assert_eq!(clean(&url), url);
        let invite = "a".repeat(INVITE_TEXT_MAX);
        assert_eq!(clean(&invite), invite);
        assert_eq!(clean(&"x".repeat(100_000)).len(), LINE_MAX);
    }

    #[test]
    fn json_means_the_same_after_its_escapes() {
        let value = serde_json::json!({"reason": "a\u{9b}31m\u{202e}b\u{7f}\u{1b}é\u{1f600}"});
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        let line = one_line(&pretty);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap(), value);
        assert!(line.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{line}");
        assert!(line.contains('é') && line.contains('\u{1f600}'));
    }
}
