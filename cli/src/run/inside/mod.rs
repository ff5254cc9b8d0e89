//! Process 1 of the process namespace: it arranges what the command sees, starts it, and waits.
//!
//! It is this program, started anew in the namespaces. It is told what to hide ([`Word::Arrange`]), mounts
//! ([`mounts`]), and gives up every right for good ([`give_up`]): neither it nor anything that it starts can undo a
//! mount, and no program gains rights by being executed. Only then does it start the command, which is
//! this user's and can read and write what this user can.
//!
//! As process 1 it inherits every process that loses its parent. When the command ends, it ends, and the
//! kernel ends the rest; so too when the process outside is gone.

mod mounts;

use std::env;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::process::Command;

use coconet::control::ErrorKind;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set, remove_capability_from_bounding_set,
    set_capabilities, set_no_new_privs,
};

use super::signals::Before;
use super::words::{self, Failed, Told, WORD_MAX, Word};
use super::{MEETING, code_of, signals};
use crate::print::{clean, complain};

/// Exit code for a command that is there and cannot be started, as in a shell.
const CANNOT_RUN: u8 = 126;

/// Exit code for a command that is not there.
const NOT_FOUND: u8 = 127;

/// Exit code when the process outside is gone, or was never there.
const ALONE: u8 = 1;

/// What to do about most of what the kernel refuses.
const FORBIDDEN: &str =
    "a container or a security module may forbid it: journalctl -k; or run it outside of that";

/// Highest capability that can be asked about.
const CAPABILITIES: u32 = 63;

/// Live as process 1, with `command` to start; returns the exit code.
pub(crate) fn live(command: &[OsString]) -> u8 {
    let Ok(outside) = meet() else {
        complain(&["error: this is a part of cococtl run".to_owned(), "hint: cococtl run --help".to_owned()]);
        return ErrorKind::Usage.exit_code();
    };
    let mut outside = Outside { stream: outside, come: Vec::new() };
    match serve(&mut outside, command) {
        Ok(code) => code,
        Err(failed) => {
            let code = failed.code;
            outside.tell(&Told::Failed(failed));
            code
        }
    }
}

/// The process outside.
struct Outside {
    stream: UnixStream,
    /// What has come and is not a whole line yet.
    come: Vec<u8>,
}

fn meet() -> io::Result<UnixStream> {
    UnixStream::connect_addr(&SocketAddr::from_abstract_name(MEETING)?)
}

fn serve(outside: &mut Outside, command: &[OsString]) -> Result<u8, Failed> {
    let lost = |error: io::Error| Failed::new("cannot hear the process outside", error);
    let Some(Word::Arrange(hidden)) = outside.hear().map_err(lost)? else { return Ok(ALONE) };
    let mut hosts = mounts::arrange(&hidden)?;
    give_up().map_err(|error| Failed::new("cannot give up capabilities", error))?;
    outside.tell(&Told::Arranged);

    let (signals, before) =
        signals::blocked().map_err(|error| Failed::new("cannot wait for signals", error))?;
    let mut child: Option<Pid> = None;
    loop {
        if let Some(code) = reap(child, outside) {
            return Ok(code);
        }
        if !outside.has_said() {
            let fds = [signals.as_fd(), outside.stream.as_fd()];
            let mut waits = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            match poll(&mut waits, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(Failed::new("cannot wait", error)),
            }
            let heard = waits[1].revents().is_some_and(|events| !events.is_empty());
            // What comes to all processes of the group has come to the command as well.
            while let Ok(Some(_)) = signals.read_signal() {}
            if !heard {
                continue;
            }
        }
        match outside.hear().map_err(lost)? {
            None => return Ok(ALONE),
            Some(Word::Hosts(text)) => {
                hosts.write(&text).map_err(|error| Failed::new("cannot write the hosts file", error))?;
            }
            Some(Word::Start) if child.is_none() => child = Some(start(command, before)?),
            Some(Word::Signal(number)) => {
                if let (Some(child), Ok(signal)) = (child, Signal::try_from(number)) {
                    // It has ended, perhaps.
                    let _ = kill(child, signal);
                }
            }
            Some(Word::Start | Word::Arrange(_)) => {}
        }
    }
}

/// Take note of every process that has ended or stopped; returns the command's exit code when it was that.
fn reap(command: Option<Pid>, outside: &mut Outside) -> Option<u8> {
    loop {
        let status = match waitpid(None, Some(WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED)) {
            Ok(status) => status,
            Err(Errno::EINTR) => continue,
            Err(_) => return None,
        };
        match status {
            WaitStatus::Exited(pid, code) if Some(pid) == command => {
                return Some(u8::try_from(code).unwrap_or(u8::MAX));
            }
            WaitStatus::Signaled(pid, signal, _) if Some(pid) == command => {
                return Some(code_of(signal as i32));
            }
            WaitStatus::Stopped(pid, _) if Some(pid) == command => outside.tell(&Told::Stopped),
            WaitStatus::StillAlive => return None,
            _ => {}
        }
    }
}

fn start(command: &[OsString], before: Before) -> Result<Pid, Failed> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(Failed::new("there is no command", io::Error::from(io::ErrorKind::InvalidInput)));
    };
    let child = before.spawn(Command::new(program).args(arguments)).map_err(|error| Failed {
        code: if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { CANNOT_RUN },
        text: format!("cannot run {}", clean(&program.to_string_lossy())),
        hint: Some(match error.kind() {
            io::ErrorKind::NotFound => {
                "is it installed, and where PATH leads? A script needs its interpreter, too".to_owned()
            }
            _ => "it has to be a program that this user may execute: ls -l, file".to_owned(),
        }),
        cause: error.to_string(),
    })?;
    // Process numbers fit: the kernel's own type is signed.
    Ok(Pid::from_raw(i32::try_from(child.id()).unwrap_or_default()))
}

/// Give up every capability, and the way to get any again; and let nobody look into this process.
fn give_up() -> rustix::io::Result<()> {
    for number in 0..=CAPABILITIES {
        // The system knows fewer than there can be.
        if remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << number)).is_err() {
            break;
        }
    }
    clear_ambient_capability_set()?;
    let none = CapabilitySet::empty();
    set_no_new_privs(true)?;
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
}

impl Outside {
    /// Whether a word is here already.
    fn has_said(&self) -> bool {
        self.come.contains(&b'\n')
    }

    /// The next word; nothing when nobody is there.
    fn hear(&mut self) -> io::Result<Option<Word>> {
        loop {
            if let Some(end) = self.come.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.come.drain(..=end).collect();
                return Ok(Some(serde_json::from_slice(&line)?));
            }
            if self.come.len() > WORD_MAX {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk)? {
                0 => return Ok(None),
                count => self.come.extend_from_slice(&chunk[..count]),
            }
        }
    }

    fn tell(&mut self, told: &Told) {
        // Nobody there: the next look at it says so.
        let _ = self.stream.write_all(&words::line(told));
    }
}

impl Failed {
    fn new(text: &str, cause: impl Into<io::Error>) -> Self {
        Self {
            code: ALONE,
            text: text.to_owned(),
            cause: cause.into().to_string(),
            hint: Some(FORBIDDEN.to_owned()),
        }
    }

    fn hint(mut self, hint: &str) -> Self {
        self.hint = Some(hint.to_owned());
        self
    }
}

/// Where the command begins: the directory this process was started in, as it is now.
fn return_to(directory: io::Result<std::path::PathBuf>) -> Result<(), Failed> {
    let failed = |error: io::Error| {
        Failed::new("cannot stay in this directory", error)
            .hint("start it from one that is not hidden inside")
    };
    directory.and_then(env::set_current_dir).map_err(failed)
}
