//! What the manager keeps when it gives up the rest; see [`coco_sandbox`].
//!
//! Its own directory, and the sockets it has by then. It opens no other file, listens on no other port, connects
//! to nobody, and has no capability left.

use std::collections::BTreeSet;
use std::path::Path;

use coco_sandbox::{EnterError, Keeps, Layer, Ports, State};

use crate::config::Config;

/// What is kept by a manager whose state is in `dir`.
pub fn keeps(config: &Config, dir: &Path) -> Keeps {
    let off = &config.sandbox;
    let socket = std::env::var_os("NOTIFY_SOCKET");
    Keeps {
        writes: vec![dir.to_owned()],
        // SQLite takes its randomness from there.
        reads: vec!["/dev/urandom".into()],
        binds: Ports::Only(BTreeSet::new()),
        connects: false,
        abstract_sockets: socket.is_some_and(|socket| socket.as_encoded_bytes().first() == Some(&b'@')),
        off: if off.enabled { off.off.iter().map(|layer| layer.0).collect() } else { Layer::ALL.into() },
        ..Keeps::default()
    }
}

/// Give up the rest, and say so.
pub fn enter(keeps: &Keeps) -> Result<(), EnterError> {
    let report = coco_sandbox::enter(keeps)?;
    for (layer, state) in report.layers() {
        let (word, why) = (state.as_str(), state.why().unwrap_or_default());
        match state {
            State::InForce => tracing::debug!(%layer, state = word, "sandbox"),
            State::Partly(_) => tracing::info!(%layer, state = word, why, "sandbox"),
            State::Missing(_) | State::Off => tracing::warn!(%layer, state = word, why, "sandbox"),
        }
    }
    Ok(())
}
