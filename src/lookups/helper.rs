//! The helpers' end: a process that answers, in a sandbox of its own.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::str::FromStr;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use anyhow::Context;
use coco_sandbox::{Calls, Capabilities, Keeps, Layer, Ports, enter};
use nix::sys::signal::{SigSet, Signal};
use serde::{Deserialize, Serialize};

use super::answer::answer;
use super::{LINE_MAX, Question};

/// Questions that one helper works on at a time; further ones wait. Each has a thread: name servers that are
/// silent keep it for half a minute.
const AT_ONCE: usize = 32;

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
                reads: vec!["/".into()],
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
        let place = Places::take(&places);
        let writer = Arc::clone(&writer);
        std::thread::Builder::new().name("lookup".to_owned()).spawn(move || {
            let _place = place;
            let Ok(mut text) = serde_json::to_vec(&Line { number, content: answer(&content) }) else {
                return;
            };
            text.push(b'\n');
            // An error means that the daemon has ended, which the reader sees as well.
            let _ = writer.lock().unwrap_or_else(PoisonError::into_inner).write_all(&text);
        })?;
    }
}

/// [`AT_ONCE`] places.
#[derive(Debug, Default)]
struct Places {
    taken: Mutex<usize>,
    left: Condvar,
}

#[derive(Debug)]
struct Place(Arc<Places>);

impl Places {
    /// A place, once one is free.
    fn take(places: &Arc<Self>) -> Place {
        let taken = places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken =
            places.left.wait_while(taken, |taken| *taken >= AT_ONCE).unwrap_or_else(PoisonError::into_inner);
        *taken += 1;
        Place(Arc::clone(places))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *self.0.taken.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.left.notify_one();
    }
}
