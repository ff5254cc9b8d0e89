//! Processes: those that run until the test ends, and those that are waited for.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::programs::theirs;
use super::wait::{PATIENCE, until};

/// A process in the background. It ends with this value, and also when the test program dies.
pub(crate) struct Process {
    name: String,
    child: Child,
    out: PathBuf,
}

impl Process {
    /// Start `command`: stdout goes to `NAME.out` in `dir`, stderr is added to `NAME.log`.
    pub(crate) fn start(dir: &Path, name: &str, command: &Command) -> Self {
        let out = dir.join(format!("{name}.out"));
        let log = File::options().create(true).append(true).open(dir.join(format!("{name}.log"))).unwrap();
        let mut wrapped = Command::new(theirs("setpriv"));
        wrapped.args(["--pdeathsig", "KILL"]).arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => wrapped.env(key, value),
                None => wrapped.env_remove(key),
            };
        }
        let child =
            wrapped.stdin(Stdio::null()).stdout(File::create(&out).unwrap()).stderr(log).spawn().unwrap();
        Self { name: name.to_owned(), child, out }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Send a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.pid()).unwrap()), signal).unwrap();
    }

    /// How it ended, if it did.
    pub(crate) fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Wait until it ends by itself.
    pub(crate) fn ended(&mut self, within: Duration) -> ExitStatus {
        let name = self.name.clone();
        until(&format!("{name} ends"), within, || self.status().ok_or_else(|| "it still runs".to_owned()))
    }

    /// Wait until a line that contains `words` is on its stdout, and return that line.
    pub(crate) fn says(&mut self, words: &str) -> String {
        let name = self.name.clone();
        until(&format!("{name} says {words:?}"), PATIENCE, || {
            let text = std::fs::read_to_string(&self.out).unwrap();
            let complete = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
            if let Some(line) = complete.into_iter().find(|line| line.contains(words)) {
                return Ok(line.to_owned());
            }
            self.assert_runs();
            Err(format!("it said {text:?}"))
        })
    }

    /// What it has said so far, of whatever kind.
    pub(crate) fn output(&self) -> Vec<u8> {
        std::fs::read(&self.out).unwrap()
    }

    /// Fail when it has ended.
    pub(crate) fn assert_runs(&mut self) {
        if let Some(status) = self.status() {
            panic!("{} ended by itself: {status}", self.name);
        }
    }

    /// Its resident memory, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already, perhaps.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a finished command left.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Its exit code; 128 and the signal's number when a signal ended it.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Run `command` to its end, with `input` on its stdin.
pub(crate) fn run(command: &mut Command, input: &[u8], within: Duration) -> Ran {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    thread::spawn(move || {
        // A program that does not read its input all is free to do so.
        let _ = stdin.write_all(&input);
    });
    let stdout = drain(child.stdout.take().unwrap());
    let stderr = drain(child.stderr.take().unwrap());
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if started.elapsed() > within {
            let _ = child.kill();
            let _ = child.wait();
            panic!("no end in {within:?} of {command:?}:\n{}", stderr.join().unwrap());
        }
        thread::sleep(Duration::from_millis(5));
    };
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap();
    Ran { code, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

/// Run `command` to its end, which has to be a good one; returns its stdout.
pub(crate) fn run_well(command: &mut Command) -> String {
    let ran = run(command, b"", PATIENCE * 2);
    assert_eq!(ran.code, 0, "{command:?}:\n{}{}", ran.stdout, ran.stderr);
    ran.stdout
}

fn drain(mut from: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
