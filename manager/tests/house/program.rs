//! The real program: started, watched by what it logs, stopped or killed.

#![allow(dead_code, reason = "each test program uses its part of it")]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::house::DEADLINE;

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_coco-manager");

/// A directory that goes with the test.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        let mut random = [0; 8];
        getrandom::fill(&mut random).unwrap();
        let path = std::env::temp_dir().join(format!("coco-manager-{:016x}", u64::from_be_bytes(random)));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A started program; killed when dropped.
pub(crate) struct Running {
    child: Child,
    log: mpsc::Receiver<String>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (lines, log) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                drop(lines.send(line));
            }
        });
        Self { child, log }
    }

    /// `run` on `state`.
    pub(crate) fn serve(state: &Path) -> Self {
        Self::start(Command::new(PROGRAM).args(["run", "--state"]).arg(state))
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line of its log that contains `text`.
    pub(crate) fn says(&self, text: &str) -> String {
        let end = Instant::now() + DEADLINE;
        let mut heard = Vec::new();
        loop {
            match self.log.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => heard.push(line),
                Err(_) => panic!("it never said {text:?}, but: {heard:#?}"),
            }
        }
    }

    /// Where it listens, once it does.
    pub(crate) fn address(&self) -> SocketAddr {
        let line = self.says("serving");
        let after = line.split("listen=[").nth(1).unwrap();
        after.split(']').next().unwrap().parse().unwrap()
    }

    /// What it logged and nobody has read, once it has stopped.
    pub(crate) fn rest_of_log(&self) -> String {
        self.log.iter().collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ask it to stop, and wait until it has.
    pub(crate) fn stop(&mut self, signal: &str) -> ExitStatus {
        let done = Command::new("kill").args(["-s", signal, &self.id().to_string()]).status().unwrap();
        assert!(done.success());
        let end = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "it does not stop");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Run the program to its end, which is now: one that serves instead of failing is stopped.
pub(crate) fn run(arguments: &[&str], state: &Path) -> Output {
    let (command, rest) = arguments.split_first().unwrap();
    let mut limited = Command::new("timeout");
    limited.arg(DEADLINE.as_secs().to_string()).args([PROGRAM, command, "--state"]);
    limited.arg(state).args(rest).output().unwrap()
}

/// A manager's state on any free port of loopback. Returns the manager address.
pub(crate) fn init(state: &Path) -> String {
    let output = run(&["init", "--listen", "127.0.0.1:0", "--public", "127.0.0.1:4433"], state);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
