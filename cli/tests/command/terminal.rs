//! What is different on a terminal: questions are asked, secrets are not shown, binaries are refused.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use coconet::id::{Hash, NetworkId};
use coconet::key::{NodeKeys, SEED_LEN};
use coconet::recovery::Recovery;
use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;
use serde_json::json;

use crate::daemon::{Daemon, http, network};

/// A terminal with a command on it, from the user's side.
pub(crate) struct Terminal {
    screen: File,
    child: Child,
    shown: String,
}

impl Terminal {
    /// `command` with its stdin and stderr on a terminal, and its stdout too where `all`.
    pub(crate) fn run(mut command: Command, all: bool) -> Self {
        let pair = openpty(None, None).unwrap();
        let end = |fd: &OwnedFd| Stdio::from(fd.try_clone().unwrap());
        command.stdin(end(&pair.slave)).stderr(end(&pair.slave));
        command.stdout(if all { end(&pair.slave) } else { Stdio::piped() });
        let child = command.spawn().unwrap();
        Self { screen: File::from(pair.master), child, shown: String::new() }
    }

    /// Reads until `text` is on the screen.
    pub(crate) fn until(&mut self, text: &str) {
        while !self.shown.contains(text) {
            let mut bytes = [0; 4096];
            let read = self.screen.read(&mut bytes).unwrap_or(0);
            assert!(read > 0, "{text:?} is not on the screen: {:?}", self.shown);
            self.shown.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
    }

    pub(crate) fn types(&mut self, text: &str) {
        self.screen.write_all(text.as_bytes()).unwrap();
    }

    /// Ctrl-C.
    pub(crate) fn interrupts(&self) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), Signal::SIGINT).unwrap();
    }

    /// Whether what is typed is shown.
    pub(crate) fn echoes(&self) -> bool {
        tcgetattr(&self.screen).unwrap().local_flags.contains(LocalFlags::ECHO)
    }

    /// Waits for the exit code.
    pub(crate) fn ended(&mut self) -> i32 {
        self.child.wait().unwrap().code().unwrap()
    }

    /// Exit code, the screen, and what went to stdout where that is no terminal.
    pub(crate) fn end(mut self) -> (i32, String, String) {
        // The command's end was closed with it: what it wrote is read, then the read fails.
        let mut bytes = [0; 4096];
        while let Ok(read @ 1..) = self.screen.read(&mut bytes) {
            self.shown.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
        let mut out = String::new();
        if let Some(mut stdout) = self.child.stdout.take() {
            stdout.read_to_string(&mut out).unwrap();
        }
        (self.child.wait().unwrap().code().unwrap(), self.shown, out)
    }
}

#[test]
fn a_recovery_key_is_not_shown_while_it_is_pasted() {
    let manager = crate::results::manager();
    let keys = NodeKeys::from_seed(&[7; SEED_LEN]);
    let key = Recovery { network: NetworkId(Hash([3; 32])), managers: vec![manager], keys }.to_text();
    let daemon = Daemon::saying(200, &network("home", "online", None));
    let mut terminal = Terminal::run(daemon.command(&["network", "recover", "-"]), false);
    terminal.until("paste the recovery key, then press Enter:");
    terminal.types(&format!("{}\n", *key));
    let (code, screen, out) = terminal.end();
    assert_eq!((code, out.as_str()), (0, "recovered home as viewer, owner of alice, net:abc\n"));
    assert!(!screen.contains("cocorec1") && !screen.contains(&key[20..50]), "{screen}");
    assert_eq!(daemon.asked().pop().unwrap().body["key"], **key);
}

#[test]
fn a_ledger_is_not_written_to_a_terminal() {
    let daemon = Daemon::saying(200, &json!({}));
    let (code, screen, _) = Terminal::run(daemon.command(&["network", "export", "home"]), true).end();
    assert_eq!((code, daemon.asked().len()), (2, 0));
    assert!(screen.starts_with("error: a ledger file is binary, and stdout is a terminal"), "{screen}");
    assert!(screen.contains("network export home --output FILE"), "{screen}");
}

#[test]
fn prune_asks_and_takes_anything_but_yes_for_no() {
    for (answer, code, removed) in
        [("y\n", 0, 1), ("yes\n", 0, 1), ("n\n", 1, 0), ("\n", 1, 0), ("\u{4}", 1, 0)]
    {
        let daemon = Daemon::new(|asked| {
            let node = json!({"id": "n:tv", "name": "tv", "kind": "app", "online": false, "last_seen_ms": 1,
                              "joined_seq": 2, "resources": []});
            let users = json!([{"name": "bob", "role": "guest", "nodes": [node]}]);
            let body = match asked.line.as_str() {
                "GET /v1/networks/home" => network("home", "online", None),
                "GET /v1/networks/home/members" => json!({"version": 1, "network": "home", "users": users}),
                _ => json!({"version": 1, "message": "removed tv from home"}),
            };
            http(200, body.to_string().as_bytes())
        });
        let command = daemon.command(&["network", "prune", "home", "--unseen", "90d"]);
        let mut terminal = Terminal::run(command, false);
        terminal.until("remove 1 node from home? They cannot come back. [y/N]");
        terminal.types(answer);
        let (ended, screen, out) = terminal.end();
        assert_eq!(ended, code, "{answer:?}: {screen}");
        assert_eq!(out.lines().filter(|line| *line == "removed tv from home").count(), removed, "{out}");
        assert!(screen.contains("bob   tv    app "), "{screen}");
        let deleted = daemon.asked().iter().filter(|asked| asked.line.starts_with("DELETE ")).count();
        assert_eq!(deleted, removed, "{answer:?}");
    }
}

#[test]
fn a_qr_code_is_light_on_dark_whatever_the_terminal_is_unless_colours_are_not_wanted() {
    let daemon =
        Daemon::saying(200, &json!({"version": 1, "invite": "coco1abc234", "expires_ms": 1, "uses": 1}));
    for (no_color, coloured) in [("", true), ("1", false)] {
        let mut command = daemon.command(&["network", "invite", "home", "--self", "--qr"]);
        command.env("NO_COLOR", no_color);
        let (code, screen, out) = Terminal::run(command, false).end();
        assert_eq!((code, out.as_str()), (0, "coco1abc234\n"));
        assert_eq!(screen.contains("\u{1b}[97;40m█"), coloured, "{screen}");
        assert!(screen.contains("██") && !screen.contains("coco1"), "{screen}");
    }
}
