//! What a daemon gives up after its start, layer by layer, tried from inside and looked at from outside; and the
//! units that systemd starts it by.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod check;
mod daemon;
mod lookups;
#[path = "../support/refusal.rs"]
#[allow(dead_code, reason = "each test program uses its part of it")]
mod refusal;
#[allow(dead_code, reason = "each test program uses its part of it")]
#[path = "../support/mod.rs"]
mod support;
mod units;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::net::{App, Lab};
use support::programs::{PYTHON, command, ours, source};

/// One of our programs where everybody can run it, wherever this was built.
fn for_everybody(lab: &Lab, name: &str) -> PathBuf {
    let copy = lab.path(name);
    if copy.exists() {
        // It may run.
        return copy;
    }
    fs::copy(ours(name), &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    copy
}

/// A directory of nobody.
fn of_nobody(lab: &Lab, name: &str) -> PathBuf {
    let path = lab.path(name);
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    std::os::unix::fs::chown(&path, Some(refusal::NOBODY), Some(refusal::NOBODY)).unwrap();
    path
}

/// `program` on a kernel without Landlock.
fn without_landlock(program: impl AsRef<Path>) -> Command {
    let mut wrapped = command(PYTHON);
    wrapped.arg(source("tests/sandbox/filtered.py"));
    wrapped.args(["--vanish", "landlock_create_ruleset", "--"]).arg(program.as_ref());
    wrapped
}

/// Lines of `/proc/PID/status` by name, of each thread.
fn threads(pid: u32) -> Vec<Vec<(String, String)>> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let status = |task: PathBuf| {
        let text = fs::read_to_string(task.join("status")).unwrap();
        let lines = text.lines().filter_map(|line| line.split_once(':'));
        lines.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
    };
    tasks.map(|task| status(task.unwrap().path())).collect()
}

/// Those lines hold of each thread.
fn all_threads_have(pid: u32, wanted: &[(&str, &str)]) {
    for thread in threads(pid) {
        for (name, value) in wanted {
            let found = thread.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str());
            assert_eq!(found, Some(*value), "{name} of a thread of {pid}: {thread:?}");
        }
    }
}

/// The processes that `pid` has started.
fn children(pid: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

/// The helper that does `what`.
fn helper(app: &App, what: &str) -> u32 {
    let is_it = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
        String::from_utf8_lossy(&line).contains(what)
    };
    children(app.daemon().pid()).into_iter().find(is_it).unwrap()
}
