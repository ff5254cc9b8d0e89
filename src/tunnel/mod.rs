//! Tunnels, seen from either end: what this node exposes ([`Exposure`]) and what it has opened
//! ([`Opened`]).

mod exposed;
mod opened;
mod sockets;
mod unix;

use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use coco_tunnel::forward::Meter;
use coconet::control::{Direction, Tunnel, TunnelState, VERSION};
use coconet::name::Name;
use coconet::resource::Kind;

pub use exposed::{Exposure, Exposures, target_answers};
pub use opened::{Inside, Listener, Opened, OpenedOptions};
pub use sockets::{Comer, Ground, Sockets, Streams, Transports};
pub use unix::{SocketDirs, UnixError, UnixSocket};

use crate::clock;

/// A tunnel's state, since when, and why.
#[derive(Debug)]
struct Health(Mutex<Told>);

#[derive(Debug, Clone)]
struct Told {
    state: TunnelState,
    reason: Option<String>,
    since_ms: u64,
    /// Whether it has worked before, so that working again is said.
    worked: bool,
}

impl Health {
    /// Of a new tunnel.
    fn new(state: TunnelState) -> Self {
        Self::with(state, state == TunnelState::Open)
    }

    /// Of a tunnel that comes back after a restart of this daemon.
    fn restored() -> Self {
        Self::with(TunnelState::Opening, true)
    }

    fn with(state: TunnelState, worked: bool) -> Self {
        Self(Mutex::new(Told { state, reason: None, since_ms: clock::now_ms(), worked }))
    }

    /// It works. Returns true when that is news.
    fn works(&self) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(told.state, TunnelState::Open | TunnelState::Reopened) {
            return false;
        }
        let state = if told.worked { TunnelState::Reopened } else { TunnelState::Open };
        *told = Told { state, reason: None, since_ms: clock::now_ms(), worked: true };
        true
    }

    /// It does not. Returns true when that is news.
    fn fails(&self, state: TunnelState, reason: String) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let news = told.state != state;
        if news {
            told.state = state;
            told.since_ms = clock::now_ms();
        }
        told.reason = Some(reason);
        news
    }

    fn told(&self) -> Told {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The fields that both ends fill alike.
fn describe(
    id: u64,
    network: &Name,
    resource: &Name,
    kind: Kind,
    direction: Direction,
    health: &Health,
    meter: &Meter,
) -> Tunnel {
    let told = health.told();
    Tunnel {
        version: VERSION,
        id: format!("t{id}"),
        network: network.clone(),
        resource: resource.clone(),
        kind,
        direction,
        state: told.state,
        reason: told.reason,
        url: None,
        listen: None,
        target: None,
        node: None,
        path_mode: None,
        since_ms: told.since_ms,
        clients: meter.clients.load(Ordering::Relaxed),
        connections: meter.connections.load(Ordering::Relaxed),
        failures: meter.failures.load(Ordering::Relaxed),
        bytes_in: meter.bytes_in.load(Ordering::Relaxed),
        bytes_out: meter.bytes_out.load(Ordering::Relaxed),
        allow: Vec::new(),
        public: false,
        run: None,
        refused: 0,
        options: None,
        login: false,
        facts: None,
    }
}
