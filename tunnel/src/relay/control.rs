//! The owner's hand on a switch: opens, moves and closes channels, reads what was carried.
//!
//! [`SwitchControl`] and the switch share no lock. Commands go through a bounded queue that the switch empties before each
//! batch; so a channel is there before the first packet that could use it. Figures are atomics.

use std::net::{SocketAddr, SocketAddrV6};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc::{self, error::TrySendError};

/// Channels at once, at most. Each takes some 300 bytes.
pub const MAX_CHANNELS: usize = 65_536;

/// Channels at once of one node, at most: what a camera with many viewers needs.
pub const MAX_PER_NODE: usize = 256;

/// Commands under way to the switch, at most.
pub const COMMANDS: usize = 4096;

/// [`Stranger`]s under way to the owner, at most; more are forgotten, and come again.
pub const STRANGERS: usize = 256;

/// One node's end of a channel.
#[derive(Debug, Clone)]
pub struct End {
    /// Where its authenticated connection comes from.
    pub address: SocketAddr,
    /// The node's, one and the same for all its channels.
    pub meter: Arc<Meter>,
}

/// What one node sent into and got out of the relay, in bytes of datagrams, frame headers not counted.
#[derive(Debug, Default)]
pub struct Meter {
    /// Bytes forwarded from it.
    pub sent: AtomicU64,
    /// Bytes forwarded to it.
    pub received: AtomicU64,
    /// Its channels.
    open: AtomicUsize,
}

/// What a network may use, and has used: each forwarded byte counts once.
#[derive(Debug)]
pub struct Budget {
    /// Bytes of datagrams forwarded.
    pub used: AtomicU64,
    /// At so many it ends, a batch more or less; `u64::MAX`: never.
    pub limit: AtomicU64,
}

impl Budget {
    /// With so many bytes used, and a limit.
    pub fn new(used: u64, limit: u64) -> Self {
        Self { used: AtomicU64::new(used), limit: AtomicU64::new(limit) }
    }

    /// Nothing more is forwarded.
    pub fn is_spent(&self) -> bool {
        self.used.load(Ordering::Relaxed) >= self.limit.load(Ordering::Relaxed)
    }
}

impl Default for Budget {
    /// Nothing used, no limit.
    fn default() -> Self {
        Self::new(0, u64::MAX)
    }
}

/// Why there is no channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SwitchError {
    /// [`MAX_CHANNELS`].
    #[error("the relay has no channel left")]
    Full,
    /// [`MAX_PER_NODE`].
    #[error("one of the nodes has no channel left")]
    NodeFull,
    /// [`COMMANDS`].
    #[error("the relay is behind with its commands")]
    Busy,
    /// Nobody receives from the socket any more.
    #[error("the relay has ended")]
    Ended,
    /// An address that no packet comes from.
    #[error("not an address of a node")]
    NotAnAddress,
    /// The system gives no random numbers.
    #[error("no random numbers")]
    Random,
}

/// A packet with the id of an open channel came from an address the channel is not bound to. Either its node has
/// moved, which its authenticated connection will show, or somebody has learnt the id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stranger {
    /// The id that was used.
    pub channel: u64,
    /// Where the packet came from.
    pub from: SocketAddr,
}

/// What the switch has done, since it is there.
#[derive(Debug, Default)]
pub struct Counters {
    /// Packets forwarded.
    pub packets: AtomicU64,
    /// Bytes of datagrams forwarded.
    pub bytes: AtomicU64,
    /// Packets dropped: no such channel.
    pub unknown: AtomicU64,
    /// Packets dropped: from an address the channel is not bound to.
    pub unbound: AtomicU64,
    /// Packets dropped: the budget is spent.
    pub spent: AtomicU64,
    /// Packets dropped: the socket had no room.
    pub blocked: AtomicU64,
    /// Packets dropped: the system would not send them.
    pub failed: AtomicU64,
    /// Packets dropped: frames that are not for a relay, and what is neither frame nor QUIC.
    pub junk: AtomicU64,
    /// `gone` and `seen` sent.
    pub answers: AtomicU64,
    /// Questions and strays left without an answer, by the limit for each second.
    pub unanswered: AtomicU64,
}

/// What the switch is told.
#[derive(Debug)]
pub(super) enum Command {
    Open { ids: [u64; 2], addresses: [SocketAddr; 2], seats: [Seat; 2], budget: Arc<Budget> },
    Rebind { channel: u64, address: SocketAddr },
    Close { channel: u64 },
}

/// What both sides hold.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) counters: Counters,
    /// Pairs of ids of channels that ended by themselves.
    pub(super) expired: Mutex<Vec<(u64, u64)>>,
    /// Ends of channels, two for each.
    ends: AtomicUsize,
}

/// Opens, moves and closes the channels of one switch.
#[derive(Debug, Clone)]
pub struct SwitchControl {
    commands: mpsc::Sender<Command>,
    shared: Arc<Shared>,
}

impl SwitchControl {
    pub(super) fn new(commands: mpsc::Sender<Command>, shared: Arc<Shared>) -> Self {
        Self { commands, shared }
    }

    /// A channel between two nodes; the ids under which `a` and `b` know it. What either carries is charged to
    /// `budget`.
    pub fn open(&self, a: &End, b: &End, budget: &Arc<Budget>) -> Result<(u64, u64), SwitchError> {
        let ids = (random()?, random()?);
        self.open_as(ids, a, b, budget)?;
        Ok(ids)
    }

    /// As [`SwitchControl::open`], under ids that nobody can guess and no other two nodes have. A channel that these two
    /// have by the same ids is replaced.
    pub fn open_as(
        &self,
        ids: (u64, u64),
        a: &End,
        b: &End,
        budget: &Arc<Budget>,
    ) -> Result<(), SwitchError> {
        let addresses = [usable(a.address)?, usable(b.address)?];
        let seats = [Seat::take(&a.meter, &self.shared)?, Seat::take(&b.meter, &self.shared)?];
        self.tell(Command::Open { ids: [ids.0, ids.1], addresses, seats, budget: Arc::clone(budget) })
    }

    /// The node that knows the channel by this id is now at `address`, which its authenticated connection has proved.
    pub fn rebind(&self, channel: u64, address: SocketAddr) -> Result<(), SwitchError> {
        self.tell(Command::Rebind { channel, address: usable(address)? })
    }

    /// End a channel, by either of its ids. One that has ended is no error.
    pub fn close(&self, channel: u64) -> Result<(), SwitchError> {
        self.tell(Command::Close { channel })
    }

    /// The channels that ended by themselves since this was asked last, by the two ids that [`Self::open`] gave (in
    /// either order). At most [`MAX_CHANNELS`] are remembered.
    pub fn expired(&self) -> Vec<(u64, u64)> {
        std::mem::take(&mut *self.shared.expired.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Channels there are.
    pub fn channels(&self) -> usize {
        self.shared.ends.load(Ordering::Relaxed) / 2
    }

    /// What was carried and dropped.
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    fn tell(&self, command: Command) -> Result<(), SwitchError> {
        self.commands.try_send(command).map_err(|error| match error {
            TrySendError::Full(_) => SwitchError::Busy,
            TrySendError::Closed(_) => SwitchError::Ended,
        })
    }
}

/// A place for one end of a channel, in all and of its node; given back when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) meter: Arc<Meter>,
    shared: Arc<Shared>,
}

impl Seat {
    fn take(meter: &Arc<Meter>, shared: &Arc<Shared>) -> Result<Self, SwitchError> {
        if !add_below(&shared.ends, 2 * MAX_CHANNELS) {
            return Err(SwitchError::Full);
        }
        if !add_below(&meter.open, MAX_PER_NODE) {
            shared.ends.fetch_sub(1, Ordering::Relaxed);
            return Err(SwitchError::NodeFull);
        }
        Ok(Self { meter: Arc::clone(meter), shared: Arc::clone(shared) })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.shared.ends.fetch_sub(1, Ordering::Relaxed);
        self.meter.open.fetch_sub(1, Ordering::Relaxed);
    }
}

fn add_below(counter: &AtomicUsize, limit: usize) -> bool {
    let add = |count| (count < limit).then_some(count + 1);
    counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
}

/// An address in its one spelling: IPv4 as IPv4, without a flow label.
pub fn canonical(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(v6) if v6.ip().to_ipv4_mapped().is_none() => {
            SocketAddrV6::new(*v6.ip(), v6.port(), 0, v6.scope_id()).into()
        }
        SocketAddr::V4(_) | SocketAddr::V6(_) => SocketAddr::new(address.ip().to_canonical(), address.port()),
    }
}

/// An address that a packet can have come from.
fn usable(address: SocketAddr) -> Result<SocketAddr, SwitchError> {
    let address = canonical(address);
    let ip = address.ip();
    let broadcast = ip == std::net::Ipv4Addr::BROADCAST;
    if ip.is_unspecified() || ip.is_multicast() || broadcast || address.port() == 0 {
        return Err(SwitchError::NotAnAddress);
    }
    Ok(address)
}

fn random() -> Result<u64, SwitchError> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|_| SwitchError::Random)?;
    Ok(u64::from_be_bytes(bytes))
}
