//! The helpers' end: a process that answers, in a sandbox of its own.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use coco_sandbox::{Calls, Capabilities, Keeps, Layer, Ports, enter};
use nix::sys::signal::{SigSet, Signal};
use serde::{Deserialize, Serialize};

use super::answer::answer;
use super::{Answer, LINE_MAX, Question};

/// Questions that one helper works on at a time; further ones wait. Each has a thread: name servers that are
/// silent keep it for half a minute.
const AT_ONCE: usize = 32;

/// Those of them that may be about hosts, whose answers are slow when somebody wants them to be. The others are
/// for questions about who is at a tunnel's door. The daemon asks no more at a time; where some that it has given up
/// are still being looked up, a further one fails at once, for whatever came after it would wait as well.
pub(super) const HOSTS_AT_ONCE: usize = 24;

/// What the C library and its modules read to resolve names: their configuration and tables, themselves, sockets
/// and caches of the services that answer some, and the interfaces of this machine.
const RESOLVES: [&str; 9] =
    ["/etc", "/usr", "/lib", "/lib64", "/run", "/var/run", "/var/lib/sss", "/proc", "/dev/urandom"];

/// Files that may be links, on some machines to where everything is that changes. Whoever writes them puts others
/// in their place, so that it takes the directory.
const LINKS: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];

/// What a helper looks up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Helper {
    /// Hosts, users and groups.
    Names,
    /// Who holds a socket.
    Processes,
}

/// A numbered question or answer.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Line<T> {
    pub(super) number: u64,
    pub(super) content: T,
}

impl Helper {
    /// As the command line says it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Names => "names",
            Self::Processes => "processes",
        }
    }

    fn keeps(self, off: BTreeSet<Layer>) -> Keeps {
        match self {
            Self::Names => Keeps {
                reads: RESOLVES.into_iter().map(PathBuf::from).chain(led_to()).collect(),
                binds: Ports::Only(BTreeSet::new()),
                // Name servers answer by TCP what is too long for UDP.
                connects: true,
                calls: Calls::Names,
                off,
                ..Keeps::default()
            },
            Self::Processes => Keeps {
                capabilities: Capabilities { look_into_processes: true, ..Capabilities::default() },
                calls: Calls::Reads,
                looks_into_processes: true,
                off,
                ..Keeps::default()
            },
        }
    }
}

impl fmt::Display for Helper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Helper {
    type Err = io::Error;

    fn from_str(text: &str) -> io::Result<Self> {
        [Self::Names, Self::Processes]
            .into_iter()
            .find(|helper| helper.as_str() == text)
            .ok_or_else(|| io::Error::other("names or processes"))
    }
}

/// Be a helper: answer what comes on stdin until it is closed.
pub fn serve(helper: Helper, off: BTreeSet<Layer>) -> anyhow::Result<()> {
    // The daemon says when to end, by closing the socket: not whoever signals all of its processes.
    let mut ignored = SigSet::empty();
    ignored.extend([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]);
    ignored.thread_block().context("cannot block signals")?;
    enter(&helper.keeps(off)).context("the sandbox of a lookup process")?;
    let socket = io::stdin().as_fd().try_clone_to_owned().context("stdin")?;
    let writer = Arc::new(Mutex::new(UnixStream::from(socket)));
    let reader = writer.lock().unwrap_or_else(PoisonError::into_inner).try_clone().context("stdin")?;
    let mut reader = BufReader::new(reader);
    let places = Arc::new(Places::default());
    loop {
        let mut line = Vec::new();
        (&mut reader).take(LINE_MAX).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(());
        }
        let Line { number, content } = serde_json::from_slice::<Line<Question>>(&line)?;
        let Some(place) = Places::take(&places, matches!(content, Question::Host { .. })) else {
            tell(&writer, number, Answer::Failed("too many hosts are being looked up".to_owned()));
            continue;
        };
        let their_writer = Arc::clone(&writer);
        let thread = std::thread::Builder::new().name("lookup".to_owned()).spawn(move || {
            let answered = answer(&content);
            // First, for whoever hears the answer may ask the next one.
            drop(place);
            tell(&their_writer, number, answered);
        });
        if let Err(error) = thread {
            tell(&writer, number, Answer::Failed(error.to_string()));
        }
    }
}

/// Where [`LINKS`] lead.
fn led_to() -> impl Iterator<Item = PathBuf> {
    LINKS.into_iter().filter_map(|link| Some(Path::new(link).canonicalize().ok()?.parent()?.to_owned()))
}

fn tell(writer: &Mutex<UnixStream>, number: u64, content: Answer) {
    let Ok(mut text) = serde_json::to_vec(&Line { number, content }) else { return };
    text.push(b'\n');
    // An error means that the daemon has ended, which the reader sees as well.
    let _ = writer.lock().unwrap_or_else(PoisonError::into_inner).write_all(&text);
}

/// [`AT_ONCE`] places.
#[derive(Debug, Default)]
struct Places {
    taken: Mutex<Taken>,
    left: Condvar,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_hosts: usize,
}

#[derive(Debug)]
struct Place {
    places: Arc<Places>,
    of_host: bool,
}

impl Places {
    /// A place, once one is free; none when it is for a host, and hosts have theirs.
    fn take(places: &Arc<Self>, of_host: bool) -> Option<Place> {
        let mut taken = places.taken();
        if of_host && taken.by_hosts >= HOSTS_AT_ONCE {
            return None;
        }
        taken = places
            .left
            .wait_while(taken, |taken| taken.all >= AT_ONCE)
            .unwrap_or_else(PoisonError::into_inner);
        taken.all += 1;
        taken.by_hosts += usize::from(of_host);
        Some(Place { places: Arc::clone(places), of_host })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all -= 1;
        taken.by_hosts -= usize::from(self.of_host);
        drop(taken);
        self.places.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn hosts_that_are_slow_leave_places_to_the_others() {
        let places = Arc::new(Places::default());
        let mut hosts: Vec<_> = (0..HOSTS_AT_ONCE).map(|_| Places::take(&places, true).unwrap()).collect();
        assert!(Places::take(&places, true).is_none());
        let others: Vec<_> =
            (HOSTS_AT_ONCE..AT_ONCE).map(|_| Places::take(&places, false).unwrap()).collect();
        // One that has left is another's.
        hosts.pop();
        assert!(Places::take(&places, true).is_some());
        drop((hosts, others));
        let taken = places.taken();
        assert_eq!((taken.all, taken.by_hosts), (0, 0));
    }
}
