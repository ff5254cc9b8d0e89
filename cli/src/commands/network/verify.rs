//! `verify`: a whole ledger out of a file, judged without a daemon or a manager.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use coconet::control::VERSION;
use coconet::ledger::archive::{self, ARCHIVE_MAX, ArchiveError};
use coconet::ledger::{Entry, Ledger, Reject};
use serde::Serialize;

use crate::commands::status;
use crate::fail::Fail;
use crate::print::Printer;
use crate::secret;
use crate::units;

const EXPORT: &str = "cococtl network export NETWORK --output FILE makes such a file";

/// What a file that verifies holds.
#[derive(Serialize)]
struct Verified {
    version: u32,
    network: String,
    id: String,
    entries: u64,
    /// Entries whose content is left out.
    withheld: u64,
    head: String,
    founded_ms: u64,
    newest_ms: u64,
    users: usize,
    nodes: usize,
    resources: usize,
}

pub(super) fn run(out: Printer, file: &Path, guest: bool) -> Result<(), Fail> {
    let name = secret::place_of(file);
    let bytes = read(file).map_err(|error| {
        Fail::failed(format!("cannot read {name}"))
            .because(error)
            .hint("cococtl network verify -, with the ledger on its stdin")
    })?;
    if bytes.len() > ARCHIVE_MAX {
        return Err(Fail::failed(format!("{name} is longer than {} MiB: no ledger is", ARCHIVE_MAX >> 20))
            .hint(EXPORT));
    }
    let entries = archive::read(&bytes).map_err(|error| refused(&name, &error))?;
    drop(bytes);
    let ledger = follow(&entries, guest).map_err(|error| refused(&name, &error))?;
    let state = ledger.state();
    let verified = Verified {
        version: VERSION,
        network: state.name().to_string(),
        id: state.network().full(),
        entries: entries.len() as u64,
        withheld: ledger.withheld().len() as u64,
        head: ledger.head().full(),
        founded_ms: entries.first().map_or(0, |entry| entry.stamp.time),
        newest_ms: ledger.time(),
        users: state.users().len(),
        nodes: state.nodes().len(),
        resources: state.resources().len(),
    };
    out.own(verified, lines)
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = ARCHIVE_MAX as u64 + 1;
    if file == Path::new("-") {
        io::stdin().lock().take(limit).read_to_end(&mut bytes)?;
    } else {
        File::open(file)?.take(limit).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

fn follow(entries: &[Entry], guest: bool) -> Result<Ledger, ArchiveError> {
    let next = if guest { Ledger::follow_viewed } else { Ledger::follow };
    let mut ledger = None;
    for (seq, entry) in (0..).zip(entries) {
        ledger = Some(next(ledger, entry).map_err(|source| ArchiveError::Reject { seq, source })?);
    }
    ledger.ok_or(ArchiveError::Cut(0))
}

fn refused(name: &str, error: &ArchiveError) -> Fail {
    let fail = Fail::failed(format!("{name} does not verify")).because(error);
    match error {
        ArchiveError::Magic => fail.hint(EXPORT),
        ArchiveError::Cut(_) => fail.hint("export it again"),
        ArchiveError::Malformed { source, .. } => fail.because(source).hint("export it again"),
        ArchiveError::Reject { source: source @ Reject::Op, .. } => {
            fail.because(source).hint("a guest's ledger leaves things out: --guest, if it is one")
        }
        ArchiveError::Reject { source: source @ Reject::UpdateNeeded(_), .. } => {
            fail.because(source).hint("update coco on this machine")
        }
        ArchiveError::Reject { source, .. } => {
            fail.because(source).hint("export it again; if that is so everywhere, ask the manager's operator")
        }
    }
}

fn lines(verified: &Verified) -> Vec<String> {
    let count = |count: usize, noun| units::count(count as u64, noun);
    let Verified { users, nodes, resources, .. } = *verified;
    let mut lines = vec![
        status::field("network", &format!("{}, {}", verified.network, verified.id)),
        status::field(
            "entries",
            &format!(
                "{}, from {} to {}",
                verified.entries,
                units::date(verified.founded_ms),
                units::date(verified.newest_ms)
            ),
        ),
        status::field("head", &verified.head),
        status::field(
            "state",
            &format!("{}, {}, {}", count(users, "user"), count(nodes, "node"), count(resources, "resource")),
        ),
    ];
    if verified.withheld > 0 {
        let entries = units::count(verified.withheld, "entry");
        lines.push(status::field("withheld", &format!("content of {entries} left out, and not judged")));
    }
    lines
}
