//! Files, TCP ports, signals: what Landlock (`landlock(7)`) closes.
//!
//! A directory that is named stays open with all that is in it, whatever comes later; all else is closed,
//! whatever mode it has and whoever asks. What is open already stays so. Not closed are paths to unix sockets
//! (their modes guard them), the mode and the owner of files, UDP, and connections to whatever address
//! a port may be at.
//!
//! One set of rules holds the three layers. Kernels learned the parts of it one by one, so that each is asked
//! for by itself first.

use std::error::Error;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, Scope,
};

use crate::{EnterError, Keeps, Layer, Ports, State};

/// How the three layers stand.
#[derive(Debug)]
pub struct Landlocked {
    /// [`Layer::Files`].
    pub files: State,
    /// [`Layer::Ports`].
    pub ports: State,
    /// [`Layer::Signals`].
    pub signals: State,
}

/// What kernels knew of files, newest first, and what they did not know yet.
const FILES: [(ABI, Option<&str>); 4] = [
    (ABI::V5, None),
    (ABI::V3, Some("this kernel does not restrict commands to devices")),
    (ABI::V2, Some("this kernel does not restrict truncating files")),
    (ABI::V1, Some("this kernel does not restrict truncating files")),
];

/// What a kernel without Landlock is told to be.
const NO_FILES: &str = "this kernel has no Landlock: Linux 5.13 or later, with `landlock` among its `lsm=`";

/// The same, of ports.
const NO_PORTS: &str = "this kernel does not restrict ports: Linux 6.7 or later, with Landlock, does";

/// The same, of signals.
const NO_SIGNALS: &str = "this kernel does not restrict signals: Linux 6.12 or later, with Landlock, does";

/// The rules, as far as this kernel takes them.
struct Rules {
    files: BitFlags<AccessFs>,
    ports: BitFlags<AccessNet>,
    scopes: BitFlags<Scope>,
}

pub(crate) fn enter(keeps: &Keeps, wanted: impl Fn(Layer) -> bool) -> Result<Landlocked, EnterError> {
    let wanted = |layer| wanted(layer) && !keeps.looks_into_processes;
    let (files, handled_files) = if wanted(Layer::Files) { files() } else { (State::Off, BitFlags::EMPTY) };
    let (ports, handled_ports) =
        if wanted(Layer::Ports) { ports(keeps) } else { (State::Off, BitFlags::EMPTY) };
    let (signals, scopes) =
        if wanted(Layer::Signals) { signals(keeps) } else { (State::Off, BitFlags::EMPTY) };
    let rules = Rules { files: handled_files, ports: handled_ports, scopes };
    if !(rules.files.is_empty() && rules.ports.is_empty() && rules.scopes.is_empty()) {
        restrict(keeps, &rules).map_err(|error| EnterError::Landlock(Layer::Files, error))?;
    }
    Ok(Landlocked { files, ports, signals })
}

/// A set of rules of which each part must be known to the kernel.
fn strict() -> Ruleset {
    Ruleset::default().set_compatibility(CompatLevel::HardRequirement)
}

fn files() -> (State, BitFlags<AccessFs>) {
    for (abi, without) in FILES {
        let all = AccessFs::from_all(abi);
        if strict().handle_access(all).is_ok() {
            return (without.map_or(State::InForce, |without| State::Partly(without.to_owned())), all);
        }
    }
    (State::Missing(NO_FILES.to_owned()), BitFlags::EMPTY)
}

fn ports(keeps: &Keeps) -> (State, BitFlags<AccessNet>) {
    let mut handled = BitFlags::EMPTY;
    let mut open = Vec::new();
    match &keeps.binds {
        Ports::Any => open.push("any port above 1023 can be listened on"),
        Ports::Only(_) => handled |= AccessNet::BindTcp,
    }
    match keeps.connects {
        true => open.push("any address can be connected to"),
        false => handled |= AccessNet::ConnectTcp,
    }
    if handled.is_empty() {
        return (State::Partly(open.join("; ")), handled);
    }
    if strict().handle_access(handled).is_err() {
        return (State::Missing(NO_PORTS.to_owned()), BitFlags::EMPTY);
    }
    (if open.is_empty() { State::InForce } else { State::Partly(open.join("; ")) }, handled)
}

fn signals(keeps: &Keeps) -> (State, BitFlags<Scope>) {
    let (state, scopes) = if keeps.abstract_sockets {
        let why = "the service manager's abstract socket is sent to";
        (State::Partly(why.to_owned()), Scope::Signal.into())
    } else {
        (State::InForce, Scope::Signal | Scope::AbstractUnixSocket)
    };
    if strict().scope(scopes).is_ok() {
        (state, scopes)
    } else {
        (State::Missing(NO_SIGNALS.to_owned()), BitFlags::EMPTY)
    }
}

fn restrict(keeps: &Keeps, rules: &Rules) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut ruleset = strict();
    if !rules.files.is_empty() {
        ruleset = ruleset.handle_access(rules.files)?;
    }
    if !rules.ports.is_empty() {
        ruleset = ruleset.handle_access(rules.ports)?;
    }
    if !rules.scopes.is_empty() {
        ruleset = ruleset.scope(rules.scopes)?;
    }
    let mut created = ruleset.create()?;
    if !rules.files.is_empty() {
        let reads = AccessFs::ReadFile | AccessFs::ReadDir;
        let uses = AccessFs::ReadFile | AccessFs::WriteFile;
        // Not to execute, and no device files.
        let makes = AccessFs::MakeReg
            | AccessFs::MakeDir
            | AccessFs::MakeSock
            | AccessFs::RemoveFile
            | AccessFs::RemoveDir
            | AccessFs::Truncate
            | AccessFs::Refer;
        for path in &keeps.reads {
            created = open(created, path, reads & rules.files)?;
        }
        for path in &keeps.devices {
            created = open(created, path, uses & rules.files)?;
        }
        for path in &keeps.writes {
            created = open(created, path, (reads | uses | makes) & rules.files)?;
        }
    }
    if rules.ports.contains(AccessNet::BindTcp)
        && let Ports::Only(ports) = &keeps.binds
    {
        for port in ports {
            created = created.add_rule(NetPort::new(*port, AccessNet::BindTcp))?;
        }
    }
    created.restrict_self()?;
    Ok(())
}

/// Leave `path` open. What is not there cannot be, and needs not be.
fn open(
    ruleset: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    let Ok(fd) = PathFd::new(path) else { return Ok(ruleset) };
    // A file takes less than a directory does.
    let access = if path.is_dir() { access } else { access & AccessFs::from_file(ABI::V5) };
    ruleset.add_rule(PathBeneath::new(fd, access))
}
