//! One authenticated connection to another node or to a manager.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use coconet::id::StaticKey;
use coconet::wire::code::Close;
use noq::{Connection, ConnectionError, PathId, VarInt};
use tokio::sync::Notify;

use crate::backlog::{Backlog, Side};
use crate::channel::Channel;
use crate::flow::Hub;
use crate::paths::policy::Why;
use crate::socket::Place;

/// A connection whose other end has proved its key.
#[derive(Debug, Clone)]
pub struct Session {
    connection: Connection,
    peer: StaticKey,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    shown: Mutex<Shown>,
    rates: Mutex<(u64, u64)>,
    silent: Mutex<Option<Instant>>,
    used: Notify,
    hub: Arc<Hub>,
    backlog: Arc<Backlog>,
}

/// The way in use, and why it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown {
    pub(crate) path: PathId,
    pub(crate) why: Why,
}

/// Why a session ended or never began.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// The other end closed it with one of our codes.
    #[error("closed by the other node: {0}")]
    Closed(Close),
    /// No packet came for too long.
    #[error("no answer")]
    TimedOut,
    /// The other end has restarted and does not know the session.
    #[error("the other node has restarted")]
    Restarted,
    /// Closed from here.
    #[error("closed here")]
    Here,
    /// Anything else of QUIC.
    #[error("{0}")]
    Transport(String),
}

/// Bytes and round trip of a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionStats {
    /// UDP payload received.
    pub bytes_in: u64,
    /// UDP payload sent.
    pub bytes_out: u64,
    /// Smoothed round trip of the way in use.
    pub rtt: Duration,
    /// Packets sent, and how many of them were lost.
    pub packets: (u64, u64),
    /// Largest UDP payload that the way in use is known to carry.
    pub mtu: u16,
    /// Bytes received and sent in a second, lately; zero without a driver.
    pub rates: (u64, u64),
}

impl Session {
    /// With `own_room` for streams opened from here that nobody reads, or without any room for such streams.
    pub(crate) fn new(connection: Connection, peer: StaticKey, own_room: Option<u32>) -> Self {
        let shown = Mutex::new(Shown { path: PathId::ZERO, why: Why::First });
        let hub = Arc::new(Hub::new(connection.clone()));
        let (rates, silent) = (Mutex::default(), Mutex::default());
        let backlog = Arc::new(Backlog::new(connection.clone(), own_room));
        let shared = Arc::new(Shared { shown, rates, silent, used: Notify::new(), hub, backlog });
        Self { connection, peer, shared }
    }

    /// Whose session it is.
    pub fn peer(&self) -> StaticKey {
        self.peer
    }

    /// Open a channel.
    pub async fn open(&self) -> Result<Channel, Ended> {
        let (tx, rx) = self.connection.open_bi().await.map_err(ended)?;
        self.shared.used.notify_one();
        Ok(Channel::new(tx, rx, self.shared.backlog.enter(Side::Own), Arc::clone(&self.shared.hub)))
    }

    /// The next channel the other end opens.
    pub async fn accept(&self) -> Result<Channel, Ended> {
        let (tx, rx) = self.connection.accept_bi().await.map_err(ended)?;
        self.shared.used.notify_one();
        Ok(Channel::new(tx, rx, self.shared.backlog.enter(Side::Peer), Arc::clone(&self.shared.hub)))
    }

    /// Close for everybody, with a reason the other end can act on. One that is over keeps the reason it
    /// ended for.
    pub fn close(&self, code: Close) {
        if self.end().is_some() {
            return;
        }
        self.connection.close(VarInt::from_u32(code.number()), code.as_str().as_bytes());
    }

    /// Resolves when the session is over.
    pub async fn closed(&self) -> Ended {
        ended(self.connection.closed().await)
    }

    /// Why the session is over, if it is.
    pub fn end(&self) -> Option<Ended> {
        self.connection.close_reason().map(ended)
    }

    /// The UDP address packets go to now, if they go to one.
    pub fn remote(&self) -> Option<SocketAddr> {
        self.place()?.direct()
    }

    /// Where packets go now.
    pub fn place(&self) -> Option<Place> {
        Some(Place::of(self.connection.path(self.shown().path)?.remote_address().ok()?))
    }

    /// Why packets go there.
    pub fn why(&self) -> Why {
        self.shown().why
    }

    /// For how long nothing has come by the way in use although something should, where that is a second or more:
    /// the other node may be gone.
    pub fn silent(&self) -> Option<Duration> {
        let since = *self.shared.silent.lock().unwrap_or_else(PoisonError::into_inner);
        since.map(|since| since.elapsed()).filter(|_| self.end().is_none())
    }

    /// Counters and round trip.
    pub fn stats(&self) -> SessionStats {
        let stats = self.connection.stats();
        let path = self.connection.path(self.shown().path).map(|path| path.stats());
        SessionStats {
            bytes_in: stats.udp_rx.bytes,
            bytes_out: stats.udp_tx.bytes,
            rtt: path.map(|path| path.rtt).unwrap_or_default(),
            packets: (stats.sent_packets, stats.lost_packets),
            mtu: path.map(|path| path.current_mtu).unwrap_or_default(),
            rates: self.shared.rates.lock().map(|rates| *rates).unwrap_or_default(),
        }
    }

    /// Send a ping on the way in use, and wait for nothing: a way that is blocked or has moved is noticed.
    pub fn nudge(&self) {
        if let Some(path) = self.connection.path(self.shown().path) {
            // A way that has just been closed needs none.
            let _ = path.ping();
        }
    }

    /// This node as the other end sees it, as that becomes known.
    pub fn observed(&self) -> noq::ObservedExternalAddr {
        self.connection.observed_external_addr()
    }

    /// Thirty-two bytes that both ends, and nobody else, derive from this session under `label`.
    pub fn export(&self, label: &[u8]) -> [u8; 32] {
        let mut value = [0; 32];
        // Fails only for outputs longer than HKDF can give.
        let _ = self.connection.export_keying_material(&mut value, label, &[]);
        value
    }

    /// Whether two handles are of one connection.
    pub fn is(&self, other: &Self) -> bool {
        self.connection.stable_id() == other.connection.stable_id()
    }
}

impl Session {
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) fn falls_silent(&self, since: Option<Instant>) {
        *self.shared.silent.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    pub(crate) fn show(&self, shown: Shown) {
        *self.shared.shown.lock().unwrap_or_else(PoisonError::into_inner) = shown;
    }

    /// Bytes received and sent in a second.
    pub(crate) fn show_rates(&self, rates: (u64, u64)) {
        *self.shared.rates.lock().unwrap_or_else(PoisonError::into_inner) = rates;
    }

    /// Resolves when a channel was opened since this was asked last.
    pub(crate) async fn used(&self) {
        self.shared.used.notified().await;
    }

    fn shown(&self) -> Shown {
        *self.shared.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn ended(error: ConnectionError) -> Ended {
    match error {
        ConnectionError::ApplicationClosed(close) => {
            Ended::Closed(Close::from_number(close.error_code.into_inner()).unwrap_or(Close::Done))
        }
        ConnectionError::TimedOut => Ended::TimedOut,
        ConnectionError::Reset => Ended::Restarted,
        ConnectionError::LocallyClosed => Ended::Here,
        error @ (ConnectionError::VersionMismatch
        | ConnectionError::TransportError(_)
        | ConnectionError::ConnectionClosed(_)
        | ConnectionError::CidsExhausted) => Ended::Transport(error.to_string()),
    }
}
