//! What this daemon keeps when it gives up the rest; see [`coco_sandbox`].
//!
//! *Files*: the state directory, the control socket's directory where that is coco's own, and those of `tunnel.socket_dirs`, to read and
//! write; `/proc`, to read. Nothing else of the machine can be opened, `/etc` and the daemon's own configuration included:
//! what names mean is asked of [`crate::lookups`]. *Ports*: those of `tunnel.ports`, one that the system chooses, and
//! those where tunnels listened before. *Connections* are free, for a target may be anywhere.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use coco_sandbox::{Capabilities, Keeps, Layer, Ports, Report, State};
use coconet::control::{SandboxLayer, SandboxState};

use crate::config::{Config, PRIVILEGED};

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

/// The directory of the control socket at `socket`, if it is coco's own: that of the `usual` socket, or in the
/// state directory. Any other (a home, `/run`) holds what is none of the daemon's business: there a socket stays
/// behind at the end, and the next start replaces it.
pub fn socket_directory(socket: &Path, usual: Option<&Path>, state: &Path) -> Option<PathBuf> {
    let real = |file: &Path| directory(file)?.canonicalize().ok();
    let found = real(socket)?;
    let is_usual = usual.and_then(real).is_some_and(|usual| usual == found);
    let is_coco = is_usual || state.canonicalize().is_ok_and(|state| found.starts_with(state));
    // Under the name it was given: listeners beside it are named so as well.
    if is_coco && is_own(&found) { directory(socket) } else { None }
}

/// What the daemon keeps. `beside` is the directory of its control socket, as [`socket_directory`] has it; `before`
/// are the ports where its tunnels listened before.
pub fn keeps(config: &Config, state: &Path, beside: Option<PathBuf>, before: &BTreeSet<u16>) -> Keeps {
    let mut writes = vec![state.to_owned()];
    writes.extend(beside);
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
        capabilities: Capabilities {
            low_ports: ports.are_low() || before.range(1..PRIVILEGED).next().is_some(),
            ..Capabilities::default()
        },
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

fn directory(file: &Path) -> Option<PathBuf> {
    Some(std::path::absolute(file).ok()?.parent()?.to_owned())
}

/// Whether this user decides what is in it.
fn is_own(directory: &Path) -> bool {
    let own = |found: std::fs::Metadata| {
        found.uid() == nix::unistd::geteuid().as_raw() && found.mode() & 0o002 == 0
    };
    directory.metadata().is_ok_and(own)
}

fn is_abstract(socket: &std::ffi::OsStr) -> bool {
    socket.as_encoded_bytes().first() == Some(&b'@')
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use std::fs;

    use super::*;

    #[test]
    fn a_socket_opens_no_directory_but_cocos_own() {
        let home = std::env::temp_dir().join(format!("coco-home-{}", std::process::id()));
        let (state, run) = (home.join("state"), home.join("run/coco/camera"));
        for dir in [&state.join("below"), &run] {
            fs::create_dir_all(dir).unwrap();
        }
        let home = home.canonicalize().unwrap();
        std::os::unix::fs::symlink(&home, state.join("link")).unwrap();
        let usual = run.join("control.sock");
        let beside = |socket: &Path| socket_directory(socket, Some(&usual), &state);
        let opened: Vec<_> =
            ["control.sock", "run/control.sock", "run/coco/x.sock", "state/link/x.sock", "none/x.sock"]
                .into_iter()
                .filter_map(|socket| beside(&home.join(socket)))
                .collect();
        let own =
            [usual.clone(), state.join("x.sock"), state.join("below/x.sock")].map(|socket| beside(&socket));
        let without = socket_directory(&usual, None, &state);
        let of_root = beside(Path::new("/control.sock"));
        fs::remove_dir_all(&home).unwrap();
        assert_eq!(opened, Vec::<PathBuf>::new());
        assert_eq!(own, ["run/coco/camera", "state", "state/below"].map(|dir| Some(home.join(dir))));
        assert_eq!((without, of_root), (None, None));
    }
}
