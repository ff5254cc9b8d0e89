//! An invite as a QR code of text: for a phone's camera in front of the terminal.
//!
//! Two modules are one character, `▀`, `▄`, `█` or a space: what is printed is what is *light*, because
//! terminals are dark, and around the code stays the light border that readers look for. In upper case
//! an invite is in the QR code's alphanumeric mode, which takes 5.5 bits for each character.

use std::env;
use std::io::{self, IsTerminal};

use qrcode::{Color, EcLevel, QrCode};

/// Modules of light border on each side: as the standard wants it.
const QUIET: usize = 4;

/// White on black, whatever the terminal's own colours are, and the terminal's own again.
const COLOURS: (&str, &str) = ("\u{1b}[97;40m", "\u{1b}[0m");

/// The code of an invite, to draw on stderr; `None` for one that no QR code holds.
pub(crate) fn of_invite(invite: &str) -> Option<Vec<String>> {
    let rows = rows(&invite.to_ascii_uppercase())?;
    let plain = !io::stderr().is_terminal() || env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty());
    let (on, off) = if plain { ("", "") } else { COLOURS };
    Some(rows.into_iter().map(|row| format!("{on}{row}{off}")).collect())
}

fn rows(text: &str) -> Option<Vec<String>> {
    // Nothing covers a terminal: the least correction gives the smallest code.
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let (width, modules) = (code.width(), code.to_colors());
    let light = |x: usize, y: usize| {
        let module = |at: usize| at.checked_sub(QUIET).filter(|at| *at < width);
        // What is outside is border.
        let inside = module(x).zip(module(y)).and_then(|(x, y)| modules.get(y * width + x));
        inside.is_none_or(|module| *module == Color::Light)
    };
    let side = width + 2 * QUIET;
    let row = |y: usize| -> String {
        let half = |x: usize| match (light(x, y), y + 1 < side && light(x, y + 1)) {
            (true, true) => '█',
            (true, false) => '▀',
            (false, true) => '▄',
            (false, false) => ' ',
        };
        (0..side).map(half).collect()
    };
    Some((0..side).step_by(2).map(row).collect())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn the_finder_is_dark_in_a_light_border() {
        let rows = rows("COCO1").unwrap();
        // Version 1: 21 modules and the border; the odd last row is half a character.
        assert_eq!((rows.len(), rows[0].chars().count()), (15, 29));
        assert!(rows[..2].concat().chars().all(|c| c == '█'));
        let top: Vec<char> = rows[2].chars().skip(QUIET).take(8).collect();
        assert_eq!(top, [' ', '▄', '▄', '▄', '▄', '▄', ' ', '█']);
    }

    #[test]
    fn upper_case_takes_the_alphanumeric_mode() {
        let side = |text: &str| rows(text).unwrap().len();
        assert!(side(&"A".repeat(400)) < side(&"a".repeat(400)));
        // The most that the largest code holds, and one more.
        assert!(rows(&"A".repeat(4296)).is_some() && rows(&"A".repeat(4297)).is_none());
    }
}
