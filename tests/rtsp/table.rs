//! The matrix for people, as Markdown.

use std::fmt::Write as _;

use crate::matrix::{Camera, Cell};
use crate::players::{Player, Transport};

const HEAD: &str = "\
# Which players play which cameras

Measured by `make test-lab`, which writes this file: real players and real cameras, a pair of daemons between them,
ten seconds of H.264 in each cell. The transport beside a player is how it wants its packets, the one beside a camera
is what it takes. A cell says how many pictures came, of how many the camera sent.

What is **bold** plays through the tunnel only: the pair has no transport in common, and each side is given the one it
knows. VLC's server has UDP and no switch; how many pictures it sent follows from the timestamps of the first and the
last that came. As a player it is not here, because Debian builds it without `live555`, its RTSP client. A script
speaks in its place and in its words.

";

const ALONE: &str = "
## What a pair says without us

";

/// All of it.
pub(crate) fn text(cells: &[Cell]) -> String {
    let mut text = HEAD.to_owned();
    table(&mut text, cells, |cell| match (cell.fault(), &cell.played, cell.sent) {
        (None, Ok(played), Some(sent)) => {
            let told = format!("{} of {sent}", played.pictures.min(sent));
            if cell.alone.is_ok() { told } else { format!("**{told}**") }
        }
        (fault, ..) => format!("FAILED: {}", fault.unwrap_or_default()),
    });
    text.push_str(ALONE);
    table(&mut text, cells, |cell| match &cell.alone {
        Ok(_) => "plays".to_owned(),
        Err(error) => {
            let sentence = error.split(". ").next().unwrap_or(error);
            let words = sentence.split(": ").filter(|word| !word.starts_with("rtsp://") && *word != "error");
            words.collect::<Vec<_>>().join(": ")
        }
    });
    text
}

fn table(text: &mut String, cells: &[Cell], told: impl Fn(&Cell) -> String) {
    let titles = Camera::ALL.map(Camera::title);
    line(text, std::iter::once("player \\ camera".to_owned()).chain(titles));
    line(text, std::iter::repeat_n("---".to_owned(), Camera::ALL.len() + 1));
    for player in Player::ALL {
        for transport in Transport::ALL {
            let row = cells.iter().filter(|cell| cell.player == player && cell.transport == transport);
            let title = format!("{}, {}", player.title(), transport.word());
            line(text, std::iter::once(title).chain(row.map(&told)));
        }
    }
}

fn line(text: &mut String, cells: impl Iterator<Item = String>) {
    for cell in cells {
        // What an error says may hold anything.
        let _ = write!(text, "| {} ", cell.replace(['|', '\n'], "/"));
    }
    text.push_str("|\n");
}
