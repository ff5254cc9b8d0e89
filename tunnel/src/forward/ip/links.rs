//! The exchanges of one node with others, by their addresses.
//!
//! A packet to an address takes the exchange that this node has begun with its node, else the one that
//! the other node has. Where there is none it is the caller's to find out whose the address is and to begin one
//! ([`Sent::Begin`]): meanwhile a few packets wait ([`Links::begin`]), and they leave when the exchange
//! stands ([`Links::add`]) or their senders are told that it does not ([`Links::fail`]), which is remembered for
//! [`FAILED_FOR`].
//!
//! What was spoken with a node ([`Talks`]) is remembered beyond the exchange it went by.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use coconet::control::facts::IpFacts;
use coconet::wire::code::Reset;
use tokio::sync::Notify;

use super::counters::{Counters, Dropped, add};
use super::icmp::{MTU_MIN, Trouble};
use super::interface::{Interface, Outgoing, dropped};
use super::offload::{Impossible, Train, header_for};
use super::packet::{Packet, Upper, quoted};
use super::talks::{Began, Talks};
use super::{FLOW, FRAME_HEADER};
use crate::channel::{Channel, Cut};
use crate::flow::Flows;
use crate::forward::Broken;

/// Packets that wait for one exchange to begin, and their bytes. The newest that fit stay out: what asked first
/// is answered first.
const WAITING_MAX: usize = 32;
const WAITING_BYTES: usize = 128 * 1024;

/// Exchanges that may be beginning at once, and addresses that are remembered for having failed or for what was
/// spoken with them.
const NODES_MAX: usize = 1024;

/// A node that was not reached is not tried again for so long.
pub const FAILED_FOR: Duration = Duration::from_secs(1);

/// An exchange so young does not say that a packet is too long: the path has not been measured, and what an
/// application is told it believes for minutes.
pub const SETTLING: Duration = Duration::from_secs(5);

/// All exchanges of one node.
#[derive(Debug)]
pub struct Links {
    own: Ipv6Addr,
    counters: Counters,
    interface: RwLock<Option<Arc<Interface>>>,
    nodes: Mutex<BTreeMap<Ipv6Addr, Towards>>,
}

/// One exchange.
#[derive(Debug)]
pub struct Link {
    peer: Ipv6Addr,
    flows: Flows,
    since: Instant,
    /// This node has begun it.
    ours: bool,
    /// Another one has taken its place.
    replaced: Notify,
}

/// What is known of the way to one address.
#[derive(Debug, Default)]
struct Towards {
    ours: Option<Arc<Link>>,
    theirs: Option<Arc<Link>>,
    beginning: Option<Waiting>,
    failed: Option<(Instant, Refusal)>,
    talks: Talks,
}

#[derive(Debug, Default)]
struct Waiting {
    frames: Vec<Vec<u8>>,
    bytes: usize,
}

/// Why there is no exchange with a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody has that address, or whoever does takes no packets.
    NoRoute,
    /// It is not granted.
    NotPermitted,
    /// The node is not reached, or its interface is not there.
    Unreachable,
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It left, or waits to, or was dropped without a word.
    Done,
    /// There is no exchange with that node.
    Begin,
    /// Its sender is to be told.
    Trouble(Trouble),
}

impl Refusal {
    fn dropped(self) -> Dropped {
        match self {
            Self::NoRoute => Dropped::NoRoute,
            Self::NotPermitted => Dropped::NotPermitted,
            Self::Unreachable => Dropped::Unreachable,
        }
    }

    fn trouble(self) -> Trouble {
        match self {
            Self::NoRoute => Trouble::NoRoute,
            Self::NotPermitted => Trouble::Prohibited,
            Self::Unreachable => Trouble::Unreachable,
        }
    }
}

impl Links {
    /// Of the node with that address; no interface yet.
    pub fn new(own: Ipv6Addr) -> Self {
        Self { own, counters: Counters::default(), interface: RwLock::default(), nodes: Mutex::default() }
    }

    /// The node's own address.
    pub fn own(&self) -> Ipv6Addr {
        self.own
    }

    /// The interface, while there is one.
    pub fn interface(&self) -> Option<Arc<Interface>> {
        self.interface.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Use an interface from now on; false when there is one already.
    pub fn attach(&self, interface: &Arc<Interface>) -> bool {
        let mut slot = self.interface.write().unwrap_or_else(PoisonError::into_inner);
        let free = slot.is_none();
        if free {
            *slot = Some(Arc::clone(interface));
        }
        free
    }

    /// Use that interface no longer, and end all exchanges.
    pub fn detach(&self, interface: &Arc<Interface>) {
        let mut slot = self.interface.write().unwrap_or_else(PoisonError::into_inner);
        if slot.as_ref().is_some_and(|known| Arc::ptr_eq(known, interface)) {
            *slot = None;
            drop(slot);
            let nodes = std::mem::take(&mut *self.lock());
            let links = nodes.into_values().flat_map(|node| [node.ours, node.theirs]).flatten();
            links.for_each(|link| link.replaced.notify_one());
        }
    }

    /// What went by.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// For a list; `name_of` knows the nodes by their addresses.
    pub fn facts<N>(&self, name_of: impl Fn(Ipv6Addr) -> N) -> IpFacts
    where
        N: Into<Option<coconet::name::Name>>,
    {
        let Counters { packets_in, packets_out, bytes_in, bytes_out, .. } = &self.counters;
        let mut dropped = self.counters.dropped();
        let interface = self.interface();
        if let Some(interface) = &interface {
            for (why, count) in interface.counters().dropped() {
                *dropped.entry(why).or_default() += count;
            }
        }
        let nodes = self.lock();
        let linked = nodes.iter().filter(|(_, node)| node.link().is_some()).map(|(address, _)| *address);
        IpFacts {
            address: self.own,
            interface: interface.map(|interface| interface.name().to_owned()),
            nodes: linked.filter_map(|address| name_of(address).into()).collect(),
            packets_in: packets_in.load(Ordering::Relaxed),
            packets_out: packets_out.load(Ordering::Relaxed),
            bytes_in: bytes_in.load(Ordering::Relaxed),
            bytes_out: bytes_out.load(Ordering::Relaxed),
            dropped,
        }
    }

    /// Send a packet of an application of this node. What the other node has begun is answered while that node
    /// has a right: by its exchange, or where it `may_begin`.
    pub fn send(&self, now: Instant, outgoing: Outgoing<'_>, may_begin: impl Fn() -> bool) -> Sent {
        let Outgoing { packet, frame } = outgoing;
        if packet.destination.is_multicast() || packet.destination.is_unicast_link_local() {
            self.counters.drop(Dropped::Quiet);
            return Sent::Done;
        }
        if !self.may_leave(now, &packet, &may_begin) {
            return self.refused(Refusal::NotPermitted);
        }
        let mut nodes = self.lock();
        let Some(towards) = nodes.get_mut(&packet.destination) else { return Sent::Begin };
        if let Some(link) = towards.link() {
            let link = Arc::clone(link);
            drop(nodes);
            return self.send_on(&link, now, outgoing);
        }
        if let Some(waiting) = &mut towards.beginning {
            if !waiting.push(frame) {
                self.counters.drop(Dropped::Waiting);
            }
            return Sent::Done;
        }
        match towards.failed {
            Some((at, refusal)) if now.saturating_duration_since(at) < FAILED_FOR => self.refused(refusal),
            Some(_) | None => Sent::Begin,
        }
    }

    /// An exchange with the node at `peer` is being begun; `first` waits for it. False when as many are
    /// as may be.
    pub fn begin(&self, now: Instant, peer: Ipv6Addr, first: Option<&[u8]>) -> bool {
        let mut nodes = self.lock();
        if !nodes.contains_key(&peer) && nodes.len() >= NODES_MAX {
            nodes.retain(|_, node| node.is_of_use(now));
            if nodes.len() >= NODES_MAX {
                // Without an exchange nothing is heard of what began here. Who began the rest has to be known.
                nodes.retain(|_, node| node.is_busy(now) || node.talks.are_theirs(now));
            }
            if nodes.len() >= NODES_MAX {
                return false;
            }
        }
        let waiting = nodes.entry(peer).or_default().beginning.get_or_insert_default();
        first.is_none_or(|frame| waiting.push(frame))
    }

    /// A packet that went nowhere, and what its sender is told.
    pub fn refused(&self, refusal: Refusal) -> Sent {
        self.counters.drop(refusal.dropped());
        Sent::Trouble(refusal.trouble())
    }

    /// The exchange with `peer` was not begun: those who wait are told.
    pub fn fail(&self, now: Instant, peer: Ipv6Addr, refusal: Refusal) {
        let waiting = {
            let mut nodes = self.lock();
            let Some(node) = nodes.get_mut(&peer) else { return };
            node.failed = Some((now, refusal));
            node.beginning.take().unwrap_or_default()
        };
        let interface = self.interface();
        for frame in waiting.frames {
            self.counters.drop(refusal.dropped());
            let packet = Packet::parse(frame.get(FRAME_HEADER..).unwrap_or_default());
            if let (Some(interface), Ok(packet)) = (&interface, packet) {
                interface.tell(now, &packet, refusal.trouble());
            }
        }
    }

    /// An exchange stands: `ours` that this node has begun. What waited leaves, and an earlier one of the
    /// kind ends. As in [`Self::send`], the other node `may_begin`.
    pub fn add(
        &self,
        now: Instant,
        peer: Ipv6Addr,
        flows: Flows,
        ours: bool,
        may_begin: impl Fn() -> bool,
    ) -> Arc<Link> {
        let link = Arc::new(Link { peer, flows, since: now, ours, replaced: Notify::new() });
        let (older, waiting) = {
            let mut nodes = self.lock();
            let node = nodes.entry(peer).or_default();
            node.failed = None;
            let slot = if ours { &mut node.ours } else { &mut node.theirs };
            let older = slot.replace(Arc::clone(&link));
            // What waits has to be a reply to nothing: by an exchange of the other node it may leave as well.
            (older, if ours { node.beginning.take() } else { None })
        };
        if let Some(older) = older {
            older.replaced.notify_one();
        }
        for frame in waiting.unwrap_or_default().frames {
            let Ok(packet) = Packet::parse(frame.get(FRAME_HEADER..).unwrap_or_default()) else { continue };
            if self.may_leave(now, &packet, &may_begin) {
                // Young as it is, the exchange has no trouble with any.
                self.send_on(&link, now, Outgoing { packet, frame: &frame });
            } else {
                self.counters.drop(Dropped::NotPermitted);
            }
        }
        link
    }

    /// An exchange is over.
    pub fn remove(&self, link: &Arc<Link>) {
        let mut nodes = self.lock();
        if let Some(node) = nodes.get_mut(&link.peer) {
            let slot = if link.ours { &mut node.ours } else { &mut node.theirs };
            if slot.as_ref().is_some_and(|known| Arc::ptr_eq(known, link)) {
                *slot = None;
            }
        }
        nodes.retain(|_, node| node.is_of_use(Instant::now()));
    }

    /// Take what comes on an exchange until it ends or `cut` says so. A packet that answers nothing passes where
    /// the other node `may_begin`.
    pub async fn carry(
        &self,
        link: &Arc<Link>,
        mut channel: Channel,
        may_begin: impl Fn() -> bool,
        cut: impl Future<Output = Reset>,
    ) -> Result<(), Broken> {
        let take = async {
            while let Some((_, frame)) = link.flows.recv().await {
                if let Err(why) = self.took(link, &frame, &may_begin) {
                    self.counters.drop(why);
                }
            }
            Err(Cut::Lost.into())
        };
        let ended = tokio::select! {
            ended = take => ended,
            ended = ends(&mut channel) => ended,
            () = link.replaced.notified() => Err(Broken::Here(Reset::Closed)),
            code = cut => Err(Broken::Here(code)),
        };
        match &ended {
            Ok(()) => channel.tx.finish(),
            Err(Broken::Here(code)) => channel.reset(*code),
            Err(Broken::Local(_) | Broken::Channel(_) | Broken::Refused { .. }) => {
                channel.reset(Reset::Closed)
            }
        }
        ended
    }

    /// Judge a packet of another node: what it is, where it may go on.
    pub fn judge<'a>(
        &self,
        now: Instant,
        link: &Link,
        train: Train<'a>,
        may_begin: &impl Fn() -> bool,
    ) -> Result<Packet<'a>, Dropped> {
        let packet = judge(self.own, link.peer, train)?;
        let expected = self.talks(link.peer, |talks| talks.expects(now, &packet)).unwrap_or_default();
        if expected {
            return Ok(packet);
        }
        if link.ours && !may_begin() {
            return Err(Dropped::Unasked);
        }
        self.talks(link.peer, |talks| talks.began_there(now, &packet));
        Ok(packet)
    }

    /// Whether somebody here may still wait for a reply of the node at `peer`.
    pub fn awaits(&self, now: Instant, peer: Ipv6Addr) -> bool {
        self.talks(peer, |talks| talks.are_awaited(now)).unwrap_or_default()
    }

    fn may_leave(&self, now: Instant, packet: &Packet<'_>, may_begin: &impl Fn() -> bool) -> bool {
        let (began, has_right) = match self.lock().get_mut(&packet.destination) {
            Some(node) => (node.talks.leaves(now, packet), node.theirs.is_some()),
            None => (Talks::default().leaves(now, packet), false),
        };
        match began {
            Began::Here => true,
            Began::There => has_right || may_begin(),
        }
    }

    fn talks<T>(&self, peer: Ipv6Addr, ask: impl FnOnce(&mut Talks) -> T) -> Option<T> {
        self.lock().get_mut(&peer).map(|node| ask(&mut node.talks))
    }

    fn took(&self, link: &Link, frame: &[u8], may_begin: &impl Fn() -> bool) -> Result<(), Dropped> {
        let train = Train::of(frame).map_err(|Impossible| Dropped::Malformed)?;
        let packet = self.judge(Instant::now(), link, train, may_begin)?;
        let header = header_for(train.segment, &packet).map_err(|Impossible| Dropped::Malformed)?;
        let interface = self.interface().ok_or(Dropped::Interface)?;
        interface.write(header, packet.bytes).map_err(|_| Dropped::Interface)?;
        add(&self.counters.packets_in, 1);
        add(&self.counters.bytes_in, packet.bytes.len());
        Ok(())
    }

    fn send_on(&self, link: &Link, now: Instant, outgoing: Outgoing<'_>) -> Sent {
        let Outgoing { packet, frame } = outgoing;
        let room = link.flows.room().saturating_sub(FRAME_HEADER);
        let longest = Train::of(frame).map_or(0, Train::longest);
        let settled = now.saturating_duration_since(link.since) > SETTLING;
        if longest > room.max(usize::from(MTU_MIN)) && settled {
            self.counters.drop(Dropped::TooBig);
            return Sent::Trouble(Trouble::TooBig(u16::try_from(room).unwrap_or(u16::MAX)));
        }
        link.flows.send(FLOW, frame);
        add(&self.counters.packets_out, 1);
        add(&self.counters.bytes_out, packet.bytes.len());
        Sent::Done
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Ipv6Addr, Towards>> {
        lock(&self.nodes)
    }
}

impl Towards {
    fn link(&self) -> Option<&Arc<Link>> {
        self.ours.as_ref().or(self.theirs.as_ref())
    }

    fn is_of_use(&self, now: Instant) -> bool {
        self.is_busy(now) || self.talks.are_awaited(now) || self.talks.are_theirs(now)
    }

    fn is_busy(&self, now: Instant) -> bool {
        let failed = self.failed.is_some_and(|(at, _)| now.saturating_duration_since(at) < FAILED_FOR);
        self.link().is_some() || self.beginning.is_some() || failed
    }
}

impl Waiting {
    fn push(&mut self, frame: &[u8]) -> bool {
        let fits = self.frames.len() < WAITING_MAX && self.bytes + frame.len() <= WAITING_BYTES;
        if fits {
            self.bytes += frame.len();
            self.frames.push(frame.to_vec());
        }
        fits
    }
}

/// What a packet from the node at `peer` must be, whoever began the exchange.
pub fn judge(own: Ipv6Addr, peer: Ipv6Addr, train: Train<'_>) -> Result<Packet<'_>, Dropped> {
    let packet = Packet::parse(train.packet).map_err(dropped)?;
    if packet.source != peer {
        return Err(Dropped::Spoofed);
    }
    if packet.destination != own {
        return Err(Dropped::NotOurs);
    }
    // Our own packets to that node are all that it can have trouble with.
    if let Upper::Error(about) = packet.upper {
        let (source, destination, _) = quoted(about).map_err(dropped)?;
        if (source, destination) != (own, peer) {
            return Err(Dropped::Spoofed);
        }
    }
    Ok(packet)
}

async fn ends(channel: &mut Channel) -> Result<(), Broken> {
    match channel.rx.read_exact(&mut [0]).await? {
        true => Err(Cut::Reset(Reset::Protocol).into()),
        false => Ok(()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
