//! What an intruder would do next, really done.
//!
//! [`Preparation::new`] looks around before [`enter`](crate::enter), [`Preparation::run`] tries after it. Each
//! [`Attempt`] names the layers that stand in its way: with all of them off it succeeds, and so it says something
//! when it does not. An attempt that would not succeed in any case (an ordinary user raising a capability) is
//! refused as well. What has succeeded is undone where that can be; the process is of no other use
//! afterwards and must end.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::{get_dumpable, get_no_new_privs};
use nix::sys::ptrace;
use nix::sys::signal::kill;
use nix::unistd::getppid;

use crate::privileges::has_capabilities;
use crate::{Keeps, Layer, Ports, Report};

/// A file that root alone can read.
const SECRET: &str = "/etc/shadow";

/// A file that everybody can read.
const PUBLIC: &str = "/etc/passwd";

/// A program.
const PROGRAM: &str = "/bin/true";

/// Below this port a listener takes a right, usually.
const LOW_PORTS: &str = "/proc/sys/net/ipv4/ip_unprivileged_port_start";

/// Ports tried to find one that nobody has.
const PORT_TRIES: u16 = 64;

/// What was seen from outside the sandbox.
#[derive(Debug)]
pub struct Preparation {
    outside: PathBuf,
    port: Option<u16>,
    connects: bool,
}

/// One thing that was tried.
#[derive(Debug)]
pub struct Attempt {
    /// What, for people.
    pub what: String,
    /// The layers that stand in its way, each of which would do.
    pub layers: &'static [Layer],
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It did not work, and what the system said.
    Refused(String),
    /// It worked.
    Succeeded,
    /// It could not be tried, and why.
    Untried(String),
}

/// The sandbox has holes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the sandbox lets through: {0}")]
pub struct LetThrough(String);

impl Preparation {
    /// Look for what to try: a directory outside of what `keeps` names, and a port.
    pub fn new(keeps: &Keeps) -> Self {
        let kept = |path: &Path| {
            let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
            keeps.writes.iter().any(|kept| real(path).starts_with(real(kept)))
        };
        let places = [std::env::temp_dir(), "/var/tmp".into(), "/dev/shm".into()];
        let outside = places.into_iter().find(|place| !kept(place)).unwrap_or_else(|| "/".into());
        Self { outside, port: port(&keeps.binds), connects: keeps.connects }
    }

    /// Try it all.
    pub fn run(&self) -> Vec<Attempt> {
        let file = self.outside.join(format!("coco-trial-{}", std::process::id()));
        let mut attempts = Vec::new();
        let mut tried = |what: &str, layers, outcome| {
            attempts.push(Attempt { what: what.to_owned(), layers, outcome });
        };
        tried(&format!("read {SECRET}"), &[Layer::Files], outcome(File::open(SECRET)));
        tried(&format!("read {PUBLIC}"), &[Layer::Files], outcome(File::open(PUBLIC)));
        tried(&format!("write {}", file.display()), &[Layer::Files], outcome(write(&file)));
        tried(&format!("execute {PROGRAM}"), &[Layer::Files, Layer::Calls], outcome(execute()));
        let (what, layers): (_, &[Layer]) = match self.port {
            Some(port) if port < 1024 => {
                (format!("listen on TCP port {port}"), &[Layer::Ports, Layer::Capabilities])
            }
            Some(port) => (format!("listen on TCP port {port}"), &[Layer::Ports]),
            None => ("listen on another TCP port".to_owned(), &[Layer::Ports]),
        };
        tried(&what, layers, self.listen());
        if !self.connects {
            tried("connect to a TCP port", &[Layer::Ports], connect());
        }
        tried("hold a capability", &[Layer::Capabilities], outcome(hold()));
        tried("leave a core file, or be looked into", &[Layer::Dumps], outcome(dump()));
        tried("gain rights by a setuid program", &[Layer::Privileges], outcome(gain()));
        tried("signal the process that started this one", &[Layer::Signals], outcome(kill(getppid(), None)));
        tried(
            "make a namespace with other rights",
            &[Layer::Calls],
            outcome(unshare(CloneFlags::CLONE_NEWUSER)),
        );
        // The last one: this process stops at its next signal.
        tried("be traced", &[Layer::Calls], outcome(ptrace::traceme()));
        attempts
    }

    fn listen(&self) -> Outcome {
        match self.port {
            Some(port) => outcome(TcpListener::bind((Ipv4Addr::LOCALHOST, port))),
            None => Outcome::Untried("every port may be listened on".to_owned()),
        }
    }
}

/// The layers and the attempts, for people.
pub fn table(report: &Report, attempts: &[Attempt]) -> String {
    let mut text = String::new();
    for (layer, state) in report.layers() {
        let why = state.why().map(|why| format!(": {why}")).unwrap_or_default();
        text.push_str(&format!("{layer:<13} {}{why}\n", state.as_str()));
    }
    text.push('\n');
    for Attempt { what, layers, outcome } in attempts {
        let (word, why) = match outcome {
            Outcome::Refused(why) => ("refused", format!(": {why}")),
            Outcome::Succeeded => ("SUCCEEDED", String::new()),
            Outcome::Untried(why) => ("not tried", format!(": {why}")),
        };
        let layers: Vec<&str> = layers.iter().copied().map(Layer::as_str).collect();
        text.push_str(&format!("{word:<9}  {what} ({}){why}\n", layers.join(", ")));
    }
    text
}

/// What was possible, when something was.
pub fn let_through(attempts: &[Attempt]) -> Result<(), LetThrough> {
    let succeeded = attempts.iter().filter(|attempt| attempt.outcome == Outcome::Succeeded);
    let succeeded: Vec<&str> = succeeded.map(|attempt| attempt.what.as_str()).collect();
    if succeeded.is_empty() { Ok(()) } else { Err(LetThrough(succeeded.join(", "))) }
}

fn outcome<T>(tried: Result<T, impl Into<io::Error>>) -> Outcome {
    match tried {
        Ok(_) => Outcome::Succeeded,
        Err(error) => Outcome::Refused(error.into().to_string()),
    }
}

/// A port that is not among the ones to be bound, and that nobody has.
fn port(binds: &Ports) -> Option<u16> {
    let free = |port: &u16| match TcpListener::bind((Ipv4Addr::LOCALHOST, *port)) {
        Ok(_) => true,
        Err(error) => error.kind() != io::ErrorKind::AddrInUse,
    };
    match binds {
        Ports::Only(ports) => {
            let others = (1024..=u16::MAX).rev().filter(|port| !ports.contains(port));
            others.take(PORT_TRIES.into()).find(free)
        }
        Ports::Any => {
            let low = fs::read_to_string(LOW_PORTS).ok()?.trim().parse::<u16>().ok()?;
            (1..low).take(PORT_TRIES.into()).find(free)
        }
    }
}

fn write(file: &Path) -> io::Result<()> {
    File::create_new(file)?;
    fs::remove_file(file)
}

fn execute() -> io::Result<()> {
    Command::new(PROGRAM).stdin(Stdio::null()).status().map(|_| ())
}

/// Whoever is let through is answered, or refused by the other end.
fn connect() -> Outcome {
    match TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, 1))) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Outcome::Refused(error.to_string()),
        Ok(_) | Err(_) => Outcome::Succeeded,
    }
}

fn hold() -> io::Result<()> {
    if has_capabilities()? { Ok(()) } else { Err(io::Error::other("there is none")) }
}

fn dump() -> io::Result<()> {
    if get_dumpable()? { Ok(()) } else { Err(io::Error::other("not dumpable")) }
}

fn gain() -> io::Result<()> {
    if get_no_new_privs()? { Err(io::Error::other("no new privileges")) } else { Ok(()) }
}
