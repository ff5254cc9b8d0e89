//! Programs that refuse: what they have to say, and how to start one that will not run.

use std::path::Path;
use std::process::Command;

use coconet::control::{Networks, Tunnels};

use crate::support::net::App;
use crate::support::process::{Ran, run};
use crate::support::programs::{command, ours, theirs};
use crate::support::wait::PATIENCE;

/// The user and group of nobody, on Debian.
pub(crate) const NOBODY: u32 = 65534;

/// Whether the tests may become another user or mount something. Those that need it do nothing otherwise.
pub(crate) fn root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// `program`, run by nobody.
pub(crate) fn as_nobody(program: impl AsRef<Path>) -> Command {
    let mut wrapped = command(theirs("setpriv"));
    wrapped.arg(format!("--reuid={NOBODY}")).arg(format!("--regid={NOBODY}"));
    wrapped.arg("--clear-groups").arg(program.as_ref());
    wrapped
}

/// A daemon with its state in `state`, in the foreground.
pub(crate) fn cocod(state: &Path) -> Command {
    let mut command = command(ours("cocod"));
    command.args(["--app", "test", "--state"]).arg(state);
    command
}

/// Run a command that has to fail with `code`, with nothing on stdout, and say on stderr what is wrong and
/// what to do; returns that.
pub(crate) fn refusal(command: &mut Command, code: i32) -> String {
    told(&format!("{command:?}"), &run(command, b"", PATIENCE), code)
}

/// The same of `cococtl`.
pub(crate) fn refuses(app: &App, code: i32, words: &[&str]) -> String {
    told(&format!("cococtl {}", words.join(" ")), &app.ctl(words), code)
}

/// How many networks a daemon has joined.
pub(crate) fn networks(app: &App) -> usize {
    app.json::<Networks>(&["network", "list"]).networks.len()
}

/// How many tunnels a daemon has.
pub(crate) fn tunnels(app: &App) -> usize {
    app.json::<Tunnels>(&["tunnel", "list"]).tunnels.len()
}

fn told(what: &str, ran: &Ran, code: i32) -> String {
    assert_eq!(ran.code, code, "{what}:\n{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.stdout, "", "{what}");
    // A daemon's log may come first.
    let last = ran.stderr.lines().skip_while(|line| !line.starts_with("error: "));
    let last: Vec<&str> = last.collect();
    let hint = last.iter().position(|line| line.strip_prefix("hint: ").is_some_and(|hint| !hint.is_empty()));
    assert!(
        hint.is_some_and(|at| at > 0),
        "{what} does not say what is wrong and what to do:\n{}",
        ran.stderr
    );
    last.join("\n")
}
