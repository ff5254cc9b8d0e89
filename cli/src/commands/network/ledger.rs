//! The ledger, told and taken along: `log`, `audit`, `export`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use coconet::control::{Audit, Log, LogLine, Proof, VERSION};
use coconet::id::{NodeId, StampKey};
use coconet::ledger::{ENTRY_MAX, Entry};
use coconet::name::Name;
use data_encoding::HEXLOWER_PERMISSIVE;
use serde::Serialize;

use crate::commands::{Context, network_path, status};
use crate::fail::Fail;
use crate::place::word;
use crate::print::clean;
use crate::table::Table;
use crate::units;

pub(super) async fn log(context: &Context, name: &Name) -> Result<(), Fail> {
    let answer = context.client.get::<Log>(&network_path(name, "log")).await?;
    context.out.answer(&answer, |log| {
        let mut table = Table::new(&["ENTRY", "TIME", "WHO", "WHAT"]);
        for line in &log.entries {
            let what = line.what.clone().unwrap_or_else(|| "(not shown to this node)".to_owned());
            table.row([line.seq.to_string(), units::date(line.time_ms), author(line), what]);
        }
        table.lines()
    })
}

fn author(line: &LogLine) -> String {
    match (&line.user, &line.node) {
        (Some(user), Some(node)) => format!("{user} ({node})"),
        (Some(user), None) => user.to_string(),
        (None, _) => line.author.parse::<NodeId>().map_or_else(|_| clean(&line.author), |id| id.to_string()),
    }
}

pub(super) async fn audit(context: &Context, name: &Name) -> Result<(), Fail> {
    let answer = context.client.get::<Audit>(&network_path(name, "audit")).await?;
    context.out.answer(&answer, audited)?;
    let audit = &answer.value;
    let wrong = match (&audit.alarm, audit.proofs.len()) {
        (None, 0) => return Ok(()),
        (Some(alarm), _) => Fail::failed(format!("ALARM in {name}: {}", clean(alarm))),
        (None, proofs) => {
            let proofs = units::count(proofs as u64, "proof");
            Fail::failed(format!("ALARM in {name}: {proofs} against its managers"))
        }
    };
    Err(wrong.hint(format!(
        "show it to the other owners: {} network audit {name} --json; then ask the manager's operator",
        context.me()
    )))
}

fn audited(audit: &Audit) -> Vec<String> {
    let mut lines = vec![
        status::field("ledger", &format!("verified to entry {}", audit.seq)),
        status::field("head", &audit.head),
    ];
    if audit.withheld > 0 {
        let guest = format!("content of {} left out, as for a guest", units::count(audit.withheld, "entry"));
        lines.push(status::field("withheld", &guest));
    }
    lines.push(status::field("alarm", audit.alarm.as_deref().unwrap_or("none")));
    for proof in &audit.proofs {
        lines.push(String::new());
        lines.extend(proven(proof));
    }
    lines
}

/// A proof, and whether it is one: the daemon's word is not needed for that.
fn proven(proof: &Proof) -> Vec<String> {
    let manager = proof.manager.parse::<StampKey>().ok();
    let (first, second) = (entry(&proof.first), entry(&proof.second));
    let stamped = |entry: &Option<Entry>| {
        entry.as_ref().is_some_and(|entry| {
            entry.stamp.seq == proof.seq
                && Some(entry.stamp.manager) == manager
                && entry.verify_stamp().is_ok()
        })
    };
    let one_network = first.as_ref().map(|entry| entry.draft.header.network)
        == second.as_ref().map(|entry| entry.draft.header.network);
    let differ = first.as_ref().map(statement) != second.as_ref().map(statement);
    let verdict = if stamped(&first) && stamped(&second) && one_network && differ {
        "the manager has signed both: that is proof"
    } else {
        "NOT PROVEN: these are not two different entries that this manager has signed"
    };
    vec![
        status::field("proof", &format!("entry {} was stamped twice by {}", proof.seq, proof.manager)),
        status::field("first", &told(first.as_ref())),
        status::field("second", &told(second.as_ref())),
        status::field("checked", verdict),
    ]
}

/// What a stamp says: which entry comes at that number, and when.
fn statement(entry: &Entry) -> (coconet::id::Hash, u64) {
    (entry.hash(), entry.stamp.time)
}

fn entry(hexadecimal: &str) -> Option<Entry> {
    if hexadecimal.len() > 2 * ENTRY_MAX {
        return None;
    }
    Entry::from_bytes(&HEXLOWER_PERMISSIVE.decode(hexadecimal.as_bytes()).ok()?).ok()
}

fn told(entry: Option<&Entry>) -> String {
    let Some(entry) = entry else { return "(not an entry)".to_owned() };
    let op = entry.draft.op();
    let what = op.map_or_else(|| "(not shown to this node)".to_owned(), |op| op.to_string());
    let (time, author) = (units::date(entry.stamp.time), entry.draft.header.author);
    format!("{time}, {author}: {what}, {}", entry.hash())
}

/// What an export to a file tells.
#[derive(Serialize)]
struct Exported {
    version: u32,
    file: String,
    bytes: u64,
}

pub(super) async fn export(context: &Context, name: &Name, output: &Path) -> Result<(), Fail> {
    let path = network_path(name, "export");
    if output != Path::new("-") {
        let shown = word(&output.to_string_lossy());
        let unwritable = |error: io::Error| {
            let fail = Fail::failed(format!("cannot write {shown}")).because(error);
            fail.hint(format!("{} network export {name} --output FILE, where there is room", context.me()))
        };
        let mut file = Output::create(output).map_err(unwritable)?;
        let bytes =
            context.client.download(&path, |data| file.file.write_all(data).map_err(unwritable)).await?;
        file.finish().map_err(unwritable)?;
        let exported = Exported { version: VERSION, file: output.to_string_lossy().into_owned(), bytes };
        return context.out.own(exported, |exported| {
            [format!("exported {name} to {shown}, {}", units::bytes(exported.bytes))]
        });
    }
    if context.out.json {
        return Err(Fail::usage("a ledger file is not JSON").hint(format!(
            "{} network export {name} --output FILE --json, or network log {name} --json",
            context.me()
        )));
    }
    if io::stdout().is_terminal() {
        return Err(Fail::usage("a ledger file is binary, and stdout is a terminal")
            .hint(format!("{} network export {name} --output FILE", context.me())));
    }
    let mut stdout = io::stdout().lock();
    context.client.download(&path, |data| stdout.write_all(data).map_err(Fail::output)).await?;
    stdout.flush().map_err(Fail::output)
}

/// A file that is there whole or not at all: half a ledger would verify as an older one.
struct Output {
    file: File,
    /// Where it is written, and where it goes; `None` for what is no file and is written as it is.
    rename: Option<(PathBuf, PathBuf)>,
}

impl Output {
    fn create(path: &Path) -> io::Result<Self> {
        // A device or a pipe cannot be replaced, and a link leads to what is.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if fs::metadata(&path).is_ok_and(|found| !found.is_file()) {
            return Ok(Self { file: OpenOptions::new().write(true).open(&path)?, rename: None });
        }
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let part = path.with_file_name(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
        let file = OpenOptions::new().write(true).create_new(true).open(&part)?;
        Ok(Self { file, rename: Some((part, path)) })
    }

    fn finish(mut self) -> io::Result<()> {
        if let Some((part, path)) = &self.rename {
            self.file.sync_all()?;
            fs::rename(part, path)?;
        }
        self.rename = None;
        Ok(())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some((part, _)) = &self.rename {
            // What is left of a failure; another failure changes nothing.
            let _ = fs::remove_file(part);
        }
    }
}
