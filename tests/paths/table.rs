//! The matrix for people, as Markdown.

use std::fmt::Write as _;
use std::time::Duration;

use crate::matrix::Cell;
use crate::oracle::{Expected, KINDS, ROOFS};

const HEAD: &str = "\
# Which way packets take

Measured by `make test-lab`, which writes this file: real daemons in network namespaces, behind NATs whose
kind `coco-lab` measures in the words of RFC 4787. Each row is a viewer, each column a camera whose resource
it opens.

Two nodes must find a direct way (**direct**) when they have UDP and a family of addresses in common in which
either both NATs map endpoint-independently, whatever they filter by, or one of them filters
endpoint-independently; and always in one LAN or behind one NAT that hairpins. A relay will do otherwise
(relay), and a direct way is welcome there (direct). What must not be is shown as FAILED.

";

const TIMES: &str = "
## Times

From the command `cococtl tunnel open` until it has returned, until the first byte came back through the
tunnel, and until packets went directly, in milliseconds. The links of the lab take less than one each; the
rest is what the programs and this machine need.

";

/// All of it.
pub(crate) fn text(cells: &[Cell]) -> String {
    let (pairs, roofs) = cells.split_at(cells.len() - ROOFS.len());
    let mut text = HEAD.to_owned();
    let titles: Vec<&str> = KINDS.iter().map(|kind| kind.title).collect();
    line(&mut text, std::iter::once("viewer \\ camera").chain(titles.iter().copied()));
    line(&mut text, std::iter::repeat_n("---", titles.len() + 1));
    for (row, title) in pairs.chunks(KINDS.len()).zip(&titles) {
        line(&mut text, std::iter::once(*title).chain(row.iter().map(found)));
    }
    text.push_str("\n## Under one roof\n\n");
    line(&mut text, ["viewer and camera", "found"].into_iter());
    line(&mut text, ["---", "---"].into_iter());
    for cell in roofs {
        line(&mut text, [cell.viewer, found(cell)].into_iter());
    }
    text.push_str(TIMES);
    line(&mut text, ["viewer", "camera", "must be", "found", "open", "first byte", "direct"].into_iter());
    line(&mut text, ["---", "---", "---", "---", "--:", "--:", "--:"].into_iter());
    for cell in cells {
        let expected = match cell.expected {
            Expected::Direct => "direct",
            Expected::Relay => "relay",
        };
        let found = match cell.fault() {
            Some(fault) => format!("FAILED: {fault}"),
            None => cell.way().to_owned(),
        };
        let times = [cell.opened.as_ref().ok().copied(), cell.first_byte, cell.direct].map(milliseconds);
        let words = [cell.viewer, cell.camera, expected, &found];
        line(&mut text, words.into_iter().chain(times.iter().map(String::as_str)));
    }
    text
}

fn found(cell: &Cell) -> &str {
    match (cell.fault(), cell.way(), cell.expected) {
        (Some(_), ..) => "FAILED",
        (None, "direct", Expected::Direct) => "**direct**",
        (None, way, _) => way,
    }
}

fn milliseconds(time: Option<Duration>) -> String {
    time.map(|time| time.as_millis().to_string()).unwrap_or_default()
}

fn line<'a>(text: &mut String, cells: impl Iterator<Item = &'a str>) {
    for cell in cells {
        // What an error says may hold anything.
        let _ = write!(text, "| {} ", cell.replace('|', "/"));
    }
    text.push_str("|\n");
}
