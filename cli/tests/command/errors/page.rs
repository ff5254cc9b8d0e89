//! A page of the snapshot: command lines as a shell takes them, what they leave on stderr, and their exit codes.
//!
//! ```text
//! # how things are
//! $ cococtl network show home
//! | what goes to stdout all the same
//! error: the message
//! hint: what to do
//! [5]
//! ```
//!
//! The lines run in a directory of their own, which they call `.`, against the daemon that the environment names. What
//! another machine would call otherwise stands there by a word: `DIR` that directory, `SOCKET` the daemon's socket,
//! `SOCKETS` where the sockets of apps are, `USER` who runs the tests.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{User, geteuid};

use crate::daemon::{Asked, Daemon, Directory, Ended, at};
use crate::terminal::Terminal;

/// A user that owns nothing: by custom `nobody`.
pub(crate) const NOBODY: u32 = 65_534;

/// Where programs are that the lines run, in everybody's reach.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// One page, as far as it is written.
pub(crate) struct Page {
    name: &'static str,
    text: String,
    pub(crate) stage: Directory,
    daemon: Option<Daemon>,
}

/// The directory of the pages.
pub(crate) fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/command/errors")
}

impl Page {
    pub(crate) fn new(name: &'static str) -> Self {
        let stage = Directory::new();
        fs::create_dir(stage.join("bin")).unwrap();
        symlink(env!("CARGO_BIN_EXE_cococtl"), stage.join("bin/cococtl")).unwrap();
        Self { name, text: String::new(), stage, daemon: None }
    }

    /// A file for the lines to come.
    pub(crate) fn file(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.stage.join(name), bytes).unwrap();
    }

    /// From here on the daemon is this one.
    pub(crate) fn with(&mut self, daemon: Daemon) -> &mut Self {
        self.daemon = Some(daemon);
        self
    }

    /// What the daemon was asked.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.daemon.iter().flat_map(Daemon::asked).collect()
    }

    /// From here on there is no daemon.
    pub(crate) fn without(&mut self) -> &mut Self {
        self.daemon = None;
        self
    }

    /// Runs each line, and writes down what comes of it. The first is told apart from those before by `how`.
    pub(crate) fn shows(&mut self, how: &str, lines: &[&str]) {
        for (line, how) in lines.iter().zip([how].into_iter().chain(std::iter::repeat(""))) {
            let ended = Ended::of(&mut self.shell(line));
            self.tells(how, line, &ended);
        }
    }

    /// The same as nobody, who can do less than root.
    pub(crate) fn shows_nobody(&mut self, how: &str, line: &str) {
        let mut shell = self.shell(line);
        if geteuid().is_root() {
            // Where the program was built nobody may be kept out.
            let copy = self.stage.join("bin/cococtl");
            fs::remove_file(&copy).unwrap();
            fs::copy(env!("CARGO_BIN_EXE_cococtl"), &copy).unwrap();
            fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
            shell.uid(NOBODY).gid(NOBODY);
        }
        let ended = Ended::of(&mut shell);
        self.tells(how, line, &ended);
    }

    /// The same on a terminal, where `answer` is typed once `question` is asked.
    pub(crate) fn shows_on_terminal(&mut self, how: &str, line: &str, question: &str, answer: &str) {
        let mut terminal = Terminal::run(self.shell(line), true);
        if !question.is_empty() {
            terminal.until(question);
            terminal.types(answer);
        }
        let (code, screen, _) = terminal.end();
        self.tells(how, line, &Ended { code, out: String::new(), err: screen.replace('\r', "") });
    }

    /// Writes down what came of a line.
    pub(crate) fn tells(&mut self, how: &str, line: &str, ended: &Ended) {
        let Ended { code, out, err } = ended;
        let how = if how.is_empty() { String::new() } else { format!("# {how}\n") };
        let out: String = out.lines().map(|line| format!("| {line}\n")).collect();
        let said = self.anywhere(&format!("{out}{err}"));
        assert!(said.is_empty() || said.ends_with('\n'), "{line}: {said}");
        self.text.push_str(&format!("{how}$ {line}\n{said}[{code}]\n\n"));
    }

    /// What was said so far, without what was typed.
    pub(crate) fn said(&self) -> String {
        self.text.lines().filter(|line| !line.starts_with("$ ")).map(|line| format!("{line}\n")).collect()
    }

    /// What cannot be tried here stands as it stood.
    pub(crate) fn keeps(&mut self, how: &str) {
        let before = fs::read_to_string(self.place()).unwrap_or_default();
        let start = format!("# {how}\n");
        let entry = before.split_inclusive("]\n\n").find(|entry| entry.starts_with(&start));
        self.text.push_str(&entry.map_or_else(String::new, |entry| format!("{}\n\n", entry.trim_end())));
    }

    /// A line for a shell, in the directory of the page.
    pub(crate) fn shell(&self, line: &str) -> Command {
        let mut shell = at(Path::new("/bin/sh"), &["-c", line]);
        let path = format!("{}:{PATH}", self.stage.join("bin").display());
        shell.current_dir(self.stage.join("")).env("PATH", path);
        shell.env("HOME", "/nonexistent").env("XDG_RUNTIME_DIR", self.stage.join("runtime"));
        if let Some(daemon) = &self.daemon {
            shell.env("COCO_SOCKET", &daemon.socket);
        }
        shell
    }

    /// `text` as it would be on any machine.
    fn anywhere(&self, text: &str) -> String {
        let path = |path: PathBuf| path.to_string_lossy().trim_end_matches('/').to_owned();
        let mut text = text.to_owned();
        if let Some(daemon) = &self.daemon {
            text = text.replace(&path(daemon.socket.clone()), "SOCKET");
        }
        text = text.replace(&path(self.stage.join("runtime/coco")), "SOCKETS");
        text = text.replace("/run/coco", "SOCKETS").replace(&path(self.stage.join("")), "DIR");
        if let Some(user) = User::from_uid(geteuid()).unwrap() {
            text = text.replace(&format!("sudo -u {} ", user.name), "sudo -u USER ");
        }
        text.split_inclusive('\n').map(without_units).collect()
    }

    fn place(&self) -> PathBuf {
        directory().join(format!("{}.txt", self.name))
    }

    /// Compares it with what was written down; with `REWRITE_SNAPSHOTS=1`, writes it down.
    pub(crate) fn compare(self) {
        let (file, found) = (self.place(), format!("{}\n", self.text.trim_end()));
        if std::env::var_os("REWRITE_SNAPSHOTS").is_some() {
            fs::write(&file, &found).unwrap();
        }
        let expected = fs::read_to_string(&file).unwrap_or_default();
        let differs = expected.lines().zip(found.lines()).position(|(before, now)| before != now);
        let number = differs.unwrap_or_else(|| expected.lines().count().min(found.lines().count()));
        let now =
            |text: &str| text.lines().skip(number.saturating_sub(3)).take(9).collect::<Vec<_>>().join("\n");
        assert!(
            expected == found,
            "{} differs at line {}. It was:\n{}\nIt is:\n{}\nWhere that is meant: REWRITE_SNAPSHOTS=1",
            file.display(),
            number + 1,
            now(&expected),
            now(&found)
        );
    }
}

/// A hint that starts a daemon without what it adds where coco is installed.
fn without_units(line: &str) -> String {
    let more = [", or systemctl ", "; of a daemon of the system: "];
    let starts = line.starts_with("hint: cocod --app ");
    let cut = more.iter().filter_map(|more| line.find(more)).min().filter(|_| starts);
    cut.map_or_else(|| line.to_owned(), |at| format!("{}\n", &line[..at]))
}
