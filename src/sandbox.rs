//! What this daemon keeps when it gives up the rest; see [`coco_sandbox`].
//!
//! *Files*: the state directory, the control socket's directory and those of `tunnel.socket_dirs`, to read and
//! write; `/proc`, to read. Nothing else of the machine can be opened, `/etc` and the daemon's own configuration included:
//! what names mean is asked of [`crate::lookups`]. *Ports*: those of `tunnel.ports`, one that the system chooses, and
//! those where tunnels listened before. *Connections* are free, for a target may be anywhere.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use coco_sandbox::{Capabilities, Keeps, Layer, Ports, Report, State};
use coconet::control::{SandboxLayer, SandboxState};

use crate::config::Config;

/// What is read, whoever asks and whatever is configured: how the network of this machine is, and randomness
/// for SQLite.
const READS: [&str; 2] = ["/proc", "/dev/urandom"];

/// The layers that are left off by `config`.
pub fn off(config: &Config) -> BTreeSet<Layer> {
    if config.sandbox.enabled {
        config.sandbox.off.iter().map(|layer| layer.0).collect()
    } else {
        Layer::ALL.into()
    }
}

/// What the daemon keeps. `before` are the ports where its tunnels listened before.
pub fn keeps(config: &Config, state: &Path, socket: Option<&Path>, before: &BTreeSet<u16>) -> Keeps {
    let mut writes = vec![state.to_owned()];
    writes.extend(socket.and_then(Path::parent).and_then(own_directory));
    writes.extend(config.tunnel.socket_dirs.iter().cloned());
    let ports = &config.tunnel.ports;
    let binds = if ports.are_all() {
        Ports::Any
    } else {
        let chosen_by_the_system = 0;
        Ports::Only(
            ports.ports().into_iter().chain(before.iter().copied()).chain([chosen_by_the_system]).collect(),
        )
    };
    Keeps {
        writes,
        reads: READS.map(PathBuf::from).into(),
        devices: vec!["/dev/null".into()],
        binds,
        connects: true,
        abstract_sockets: std::env::var_os("NOTIFY_SOCKET").is_some_and(|socket| is_abstract(&socket)),
        capabilities: Capabilities { low_ports: ports.are_low(), ..Capabilities::default() },
        off: off(config),
        ..Keeps::default()
    }
}

/// The report, as others read it.
pub fn told(report: &Report) -> Vec<SandboxLayer> {
    let told = |(layer, state): (Layer, &State)| SandboxLayer {
        layer: layer.to_string(),
        state: match state {
            State::InForce => SandboxState::InForce,
            State::Partly(_) => SandboxState::Partly,
            State::Missing(_) => SandboxState::Missing,
            State::Off => SandboxState::Off,
        },
        why: state.why().map(str::to_owned),
    };
    report.layers().map(told).collect()
}

/// A directory of which this user decides what is in it. In one that everybody writes to, as `/tmp`, the socket
/// stays behind at the end, and the next start replaces it.
fn own_directory(path: &Path) -> Option<PathBuf> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let metadata = path.metadata().ok()?;
    let own = metadata.uid() == nix::unistd::geteuid().as_raw();
    (own && metadata.mode() & 0o002 == 0).then(|| path.to_owned())
}

fn is_abstract(socket: &std::ffi::OsStr) -> bool {
    socket.as_encoded_bytes().first() == Some(&b'@')
}
