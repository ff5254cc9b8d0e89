//! What a daemon gives up once it has what it needs.
//!
//! Whoever finds a hole in a daemon has what the daemon has. So after the sockets are bound and the files are
//! open, and before the first packet of a stranger is read, [`enter`] leaves all else behind, in layers that
//! do not depend on each other ([`Layer`]): no new privileges, no core dumps and no debugger, no
//! capabilities ([`privileges`]), no files but the daemon's own, no ports but those it was given and no
//! signals to others (`landlock`), and no system calls that a daemon does not make (`calls`).
//! None of it needs a right, and none of it can be taken back.
//!
//! All of this holds for the calling thread and for the threads it starts from then on: call [`enter`] before
//! there are others.
//!
//! A kernel may lack a layer, or a part of one. Then the daemon starts without, for a camera that stays dark
//! protects nobody, but never in silence: the [`Report`] has one line for each layer, which the daemon
//! logs and shows. [`trial`] does not ask but tries: it does what an intruder would do next.

#![warn(missing_docs)]

mod calls;
mod landlock;
pub mod privileges;
pub mod trial;

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

pub use calls::Calls;
pub use landlock::Landlocked;
pub use privileges::Capabilities;

/// One of the things that are given up, each by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// No program that is started gets more rights than this one has. `files`, `ports`, `signals` and `calls`
    /// cannot be without it.
    Privileges,
    /// No core files, and no debugger or reader of memory of the same user.
    Dumps,
    /// No capabilities, in none of the five sets.
    Capabilities,
    /// No files but those that are named.
    Files,
    /// No TCP ports but those that are named.
    Ports,
    /// No signals to processes outside, and no abstract unix sockets of theirs.
    Signals,
    /// No system calls that no daemon makes: other programs, other namespaces, other processes' memory,
    /// kernel interfaces.
    Calls,
}

impl Layer {
    /// All of them, in the order they are entered.
    pub const ALL: [Self; 7] = [
        Self::Privileges,
        Self::Dumps,
        Self::Capabilities,
        Self::Files,
        Self::Ports,
        Self::Signals,
        Self::Calls,
    ];

    /// As configurations and people write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Privileges => "privileges",
            Self::Dumps => "dumps",
            Self::Capabilities => "capabilities",
            Self::Files => "files",
            Self::Ports => "ports",
            Self::Signals => "signals",
            Self::Calls => "calls",
        }
    }

    /// Whether the kernel wants [`Layer::Privileges`] first.
    const fn needs_privileges(self) -> bool {
        match self {
            Self::Files | Self::Ports | Self::Signals | Self::Calls => true,
            Self::Privileges | Self::Dumps | Self::Capabilities => false,
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Not the name of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a layer is privileges, dumps, capabilities, files, ports, signals or calls")]
pub struct NoLayer;

impl FromStr for Layer {
    type Err = NoLayer;

    fn from_str(text: &str) -> Result<Self, NoLayer> {
        Self::ALL.into_iter().find(|layer| layer.as_str() == text).ok_or(NoLayer)
    }
}

/// How a layer stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// In force, as a whole.
    InForce,
    /// In force but for what the text says.
    Partly(String),
    /// Not in force, and why.
    Missing(String),
    /// Switched off, or not asked for.
    Off,
}

impl State {
    /// A word for it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::InForce => "in-force",
            Self::Partly(_) => "partly",
            Self::Missing(_) => "missing",
            Self::Off => "off",
        }
    }

    /// Why it is not in force as a whole.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Partly(why) | Self::Missing(why) => Some(why),
            Self::InForce | Self::Off => None,
        }
    }
}

/// How each layer stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report(Vec<(Layer, State)>);

impl Report {
    /// Layer by layer.
    pub fn layers(&self) -> impl Iterator<Item = (Layer, &State)> {
        self.0.iter().map(|(layer, state)| (*layer, state))
    }

    /// How `layer` stands.
    pub fn state(&self, layer: Layer) -> &State {
        self.layers().find(|(found, _)| *found == layer).map_or(&State::Off, |(_, state)| state)
    }
}

/// Which TCP ports may be bound.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Ports {
    /// Whatever the system lets this user bind.
    #[default]
    Any,
    /// These; 0 stands for one that the system chooses.
    Only(BTreeSet<u16>),
}

/// What a daemon keeps.
#[derive(Debug, Clone, Default)]
pub struct Keeps {
    /// Directories in which it reads, writes, makes and removes files. What is not there is left out.
    pub writes: Vec<PathBuf>,
    /// Files and directories that it reads. What is not there is left out.
    pub reads: Vec<PathBuf>,
    /// Devices and files that it reads and writes, and does not make.
    pub devices: Vec<PathBuf>,
    /// TCP ports that it binds later on.
    pub binds: Ports,
    /// Whether it connects to others by TCP.
    pub connects: bool,
    /// Whether it sends to abstract unix sockets of others.
    pub abstract_sockets: bool,
    /// Capabilities.
    pub capabilities: Capabilities,
    /// System calls.
    pub calls: Calls,
    /// Whether processes are looked into, which `files`, `ports` and `signals` would not let it do.
    pub looks_into_processes: bool,
    /// Layers that are left off.
    pub off: BTreeSet<Layer>,
}

/// Why the daemon cannot enter.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// The system says no to what every kernel can do.
    #[error("the sandbox layer `{0}` cannot be entered")]
    System(Layer, #[source] std::io::Error),
    /// The rules for files and ports are not taken.
    #[error("the sandbox layer `{0}` cannot be entered")]
    Landlock(Layer, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// The filter of system calls is not taken.
    #[error("the sandbox layer `calls` cannot be entered")]
    Calls(#[source] seccompiler::Error),
}

/// Give up all that is not in `keeps`: this thread, and those it starts from now on.
///
/// An error leaves the process with some layers and without others. It must end.
pub fn enter(keeps: &Keeps) -> Result<Report, EnterError> {
    let wanted = |layer: Layer| {
        let held = layer.needs_privileges() && keeps.off.contains(&Layer::Privileges);
        !held && !keeps.off.contains(&layer)
    };
    let mut report = Report::default();
    let mut tell = |layer, state| report.0.push((layer, state));
    tell(Layer::Privileges, privileges::no_new(wanted(Layer::Privileges))?);
    tell(Layer::Dumps, privileges::no_dumps(wanted(Layer::Dumps))?);
    // While there still is the right to shrink the bounding set.
    tell(Layer::Capabilities, privileges::drop_all_but(&keeps.capabilities, wanted(Layer::Capabilities))?);
    let Landlocked { files, ports, signals } = landlock::enter(keeps, wanted)?;
    tell(Layer::Files, files);
    tell(Layer::Ports, ports);
    tell(Layer::Signals, signals);
    // Last: it forbids some of the calls above.
    tell(Layer::Calls, calls::enter(keeps.calls, wanted(Layer::Calls))?);
    Ok(report)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn layers_are_read_as_they_are_written() {
        for layer in Layer::ALL {
            assert_eq!(layer.to_string().parse::<Layer>().unwrap(), layer);
        }
        assert_eq!("seccomp".parse::<Layer>(), Err(NoLayer));
    }
}
