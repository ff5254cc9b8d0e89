//! What a socket knows beyond UDP addresses: who relays, who is being dialled, what is carried in TLS, and
//! where no packet may go.
//!
//! Shared between the endpoint, which changes it, and the socket's senders, which look things up once per
//! batch of packets.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::mapped::Place;
use super::neighbours::Neighbours;

/// Datagrams of a dial that are kept to be sent to addresses that become known later: the client's first
/// flight is two.
const FLIGHT_MAX: usize = 4;

/// Datagrams that wait for a TLS connection to take them; further ones are lost, as on any full link.
pub const CARRIER_QUEUE: usize = 256;

/// Datagrams from TLS connections that wait for QUIC to take them; the connections wait meanwhile.
pub(super) const INBOUND_QUEUE: usize = 1024;

/// What the senders of one endpoint share.
#[derive(Debug)]
pub(crate) struct Ways {
    managers: RwLock<Vec<SocketAddr>>,
    dials: Mutex<HashMap<u64, Dial>>,
    carriers: RwLock<HashMap<u64, Carried>>,
    inbound: mpsc::Sender<(SocketAddr, Bytes)>,
    numbers: AtomicU64,
    loopback: AtomicBool,
    neighbours: RwLock<Neighbours>,
    /// The prefix of addresses that are reached through sessions, so that no session goes through itself.
    inside: OnceLock<Ipv6Addr>,
    /// Packets that were no QUIC of ours and no frame of a manager.
    pub(super) foreign: AtomicU64,
    /// Packets that did not leave because nobody may send there.
    pub(super) withheld: AtomicU64,
}

#[derive(Debug, Default)]
struct Dial {
    targets: Vec<Place>,
    flight: VecDeque<Bytes>,
}

/// What is known of a TLS connection: its queue, and the TCP address at its other end.
#[derive(Debug)]
struct Carried {
    queue: mpsc::Sender<Bytes>,
    peer: SocketAddr,
}

/// A TLS connection's place among the addresses: what QUIC sends there comes out of [`Carrier::outgoing`].
/// Dropped, packets to it are lost.
#[derive(Debug)]
pub struct Carrier {
    place: Place,
    outgoing: mpsc::Receiver<Bytes>,
    ways: Arc<Ways>,
}

impl Ways {
    pub(crate) fn new() -> (Arc<Self>, mpsc::Receiver<(SocketAddr, Bytes)>) {
        let (inbound, received) = mpsc::channel(INBOUND_QUEUE);
        let ways = Self {
            managers: RwLock::default(),
            dials: Mutex::default(),
            carriers: RwLock::default(),
            inbound,
            numbers: AtomicU64::new(1),
            loopback: AtomicBool::new(false),
            neighbours: RwLock::default(),
            inside: OnceLock::new(),
            foreign: AtomicU64::new(0),
            withheld: AtomicU64::new(0),
        };
        (Arc::new(ways), received)
    }

    /// Whether a packet may leave for `address`, which is not in its IPv4-mapped spelling.
    pub(super) fn permits(&self, address: SocketAddr) -> bool {
        if self.is_inside(address.ip()) {
            return false;
        }
        allowed(address.ip(), self.loopback.load(Ordering::Relaxed))
            || (may_be_neighbour(address.ip()) && read(&self.neighbours).contains(&address))
    }

    /// Nothing leaves for addresses with that prefix, of [`coconet::address`].
    pub(crate) fn keep_inside(&self, prefix: Ipv6Addr) {
        // A node has one network, for ever.
        let _ = self.inside.set(prefix);
    }

    fn is_inside(&self, ip: IpAddr) -> bool {
        match (ip, self.inside.get()) {
            (IpAddr::V6(ip), Some(prefix)) => coconet::address::prefix_of(ip) == *prefix,
            (IpAddr::V6(_) | IpAddr::V4(_), _) => false,
        }
    }

    /// Addresses on this machine may be dialled.
    pub(crate) fn permit_loopback(&self) {
        self.loopback.store(true, Ordering::Relaxed);
    }

    /// A packet came from `address`, or a session has proved that a peer is there: it may be answered even
    /// if it is on this machine or link.
    pub(crate) fn meet(&self, address: SocketAddr) {
        if !may_be_neighbour(address.ip()) || read(&self.neighbours).is_new(&address) {
            return;
        }
        self.neighbours.write().unwrap_or_else(PoisonError::into_inner).meet(address);
    }

    /// The manager of `slot` (from 1) is reached at `address` now.
    pub(crate) fn set_manager(&self, slot: u16, address: SocketAddr) {
        let Some(index) = usize::from(slot).checked_sub(1) else { return };
        let mut managers = self.managers.write().unwrap_or_else(PoisonError::into_inner);
        if managers.len() <= index {
            managers.resize(index + 1, SocketAddr::from(([0, 0, 0, 0], 0)));
        }
        managers[index] = address;
    }

    /// Where the manager of `slot` is reached; none before its first session.
    pub(super) fn manager(&self, slot: u16) -> Option<SocketAddr> {
        let index = usize::from(slot).checked_sub(1)?;
        read(&self.managers).get(index).copied().filter(|address| address.port() != 0)
    }

    /// Which manager is at `address`.
    pub(super) fn slot_of(&self, address: SocketAddr) -> Option<u16> {
        let index = read(&self.managers).iter().position(|manager| *manager == address)?;
        u16::try_from(index + 1).ok()
    }

    /// A new dial, without targets.
    pub(crate) fn begin_dial(&self) -> u64 {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        self.dials().insert(number, Dial::default());
        number
    }

    /// One more place where the dialled peer may be. Returns what was sent to the others already.
    pub(super) fn add_target(&self, number: u64, target: Place) -> Vec<Bytes> {
        let mut dials = self.dials();
        let Some(dial) = dials.get_mut(&number).filter(|dial| !dial.targets.contains(&target)) else {
            return Vec::new();
        };
        dial.targets.push(target);
        dial.flight.iter().cloned().collect()
    }

    /// Note what is sent to the dialled peer, and say where it goes.
    pub(super) fn targets(&self, number: u64, contents: &[u8], segment: usize) -> Vec<Place> {
        let mut dials = self.dials();
        let Some(dial) = dials.get_mut(&number) else { return Vec::new() };
        for datagram in contents.chunks(segment.max(1)) {
            if dial.flight.len() == FLIGHT_MAX {
                dial.flight.pop_front();
            }
            dial.flight.push_back(Bytes::copy_from_slice(datagram));
        }
        dial.targets.clone()
    }

    /// `from` wants to see a token first, which is good for that address only: go on with it alone.
    pub(super) fn narrow(&self, from: Place) {
        for dial in self.dials().values_mut().filter(|dial| dial.targets.contains(&from)) {
            dial.targets = vec![from];
            dial.flight.clear();
        }
    }

    pub(crate) fn end_dial(&self, number: u64) {
        self.dials().remove(&number);
    }

    /// A place for a TLS connection with `peer`.
    pub(crate) fn carrier(self: &Arc<Self>, peer: SocketAddr) -> Carrier {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (queue, outgoing) = mpsc::channel(CARRIER_QUEUE);
        self.carriers.write().unwrap_or_else(PoisonError::into_inner).insert(number, Carried { queue, peer });
        Carrier { place: Place::Carrier(number), outgoing, ways: Arc::clone(self) }
    }

    /// The TCP address at the other end of a TLS connection; none when it is gone.
    pub(crate) fn carried_from(&self, number: u64) -> Option<SocketAddr> {
        read(&self.carriers).get(&number).map(|carried| carried.peer)
    }

    /// Hand datagrams to a TLS connection; what it has no room for is lost.
    pub(crate) fn carry(&self, number: u64, contents: &[u8], segment: usize) {
        let carriers = read(&self.carriers);
        let Some(Carried { queue, .. }) = carriers.get(&number) else { return };
        for datagram in contents.chunks(segment.max(1)) {
            if queue.try_send(Bytes::copy_from_slice(datagram)).is_err() {
                break;
            }
        }
    }

    fn dials(&self) -> MutexGuard<'_, HashMap<u64, Dial>> {
        self.dials.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Carrier {
    /// What noq knows it by.
    pub fn place(&self) -> Place {
        self.place
    }

    /// The next datagram to send.
    pub async fn outgoing(&mut self) -> Option<Bytes> {
        self.outgoing.recv().await
    }

    /// Whether another datagram waits to be sent; taken if so.
    pub fn try_outgoing(&mut self) -> Option<Bytes> {
        self.outgoing.try_recv().ok()
    }

    /// A handle by which arrived datagrams are delivered.
    pub fn inlet(&self) -> CarrierInlet {
        CarrierInlet { address: self.place.address(), inbound: self.ways.inbound.clone() }
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        if let Place::Carrier(number) = self.place {
            self.ways.carriers.write().unwrap_or_else(PoisonError::into_inner).remove(&number);
        }
    }
}

/// The receiving side of a [`Carrier`].
#[derive(Debug, Clone)]
pub struct CarrierInlet {
    address: SocketAddr,
    inbound: mpsc::Sender<(SocketAddr, Bytes)>,
}

impl CarrierInlet {
    /// Give one datagram to QUIC, waiting while it is busy. False when the endpoint is gone.
    pub async fn deliver(&self, datagram: Bytes) -> bool {
        self.inbound.send((self.address, datagram)).await.is_ok()
    }

    /// Resolves when the endpoint is gone.
    pub async fn gone(&self) {
        self.inbound.closed().await;
    }
}

/// Whether an address may be sent to at all. Loopback only where `loopback` says so.
pub(crate) fn allowed(ip: IpAddr, loopback: bool) -> bool {
    if ip.is_unspecified() || ip.is_multicast() {
        return false;
    }
    match ip {
        _ if ip.is_loopback() => loopback,
        IpAddr::V4(v4) => !v4.is_link_local() && !v4.is_broadcast() && v4.octets()[0] != 0,
        IpAddr::V6(v6) => !v6.is_unicast_link_local(),
    }
}

/// Whether an address that is not allowed may be answered.
fn may_be_neighbour(ip: IpAddr) -> bool {
    /// Where clouds answer questions about their machines.
    const METADATA: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(169, 254, 169, 254));
    let link_local = match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    ip != METADATA && (ip.is_loopback() || link_local)
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn nothing_leaves_for_what_is_reached_through_it() {
        let (ways, _) = Ways::new();
        let (inside, beside) = (address("[fd11:2233:4455:6::7]:9"), address("[fd11:2233:4456:6::7]:9"));
        assert!(ways.permits(inside) && ways.permits(beside));
        ways.keep_inside("fd11:2233:4455::".parse().unwrap());
        assert!(!ways.permits(inside) && ways.permits(beside) && ways.permits(address("192.0.2.1:9")));
    }

    #[test]
    fn nothing_leaves_for_a_forbidden_address_unless_it_is_a_neighbour_who_spoke_first() {
        let (ways, _) = Ways::new();
        let neighbours = ["127.0.0.1:9", "[::1]:9", "169.254.3.4:9"];
        let never = ["169.254.169.254:80", "0.0.0.0:1", "224.0.0.1:1", "255.255.255.255:1", "[ff02::1]:1"];
        for text in neighbours.iter().chain(&never) {
            assert!(!ways.permits(address(text)), "{text}");
            ways.meet(address(text));
        }
        assert!(neighbours.iter().all(|text| ways.permits(address(text))));
        assert!(!never.iter().any(|text| ways.permits(address(text))));
        assert!(!ways.permits(address("127.0.0.1:10")), "only that port has spoken");
        assert!(ways.permits(address("192.0.2.1:1")) && ways.permits(address("[2001:db8::1]:1")));
    }

    #[test]
    fn a_target_found_late_gets_what_the_others_got() {
        let (ways, _) = Ways::new();
        let number = ways.begin_dial();
        let one = Place::Direct(address("192.0.2.1:1"));
        let two = Place::Relay { slot: 1, channel: 5 };
        assert!(ways.add_target(number, one).is_empty());
        assert_eq!(ways.targets(number, b"aabb", 2), [one]);
        assert_eq!(ways.add_target(number, two), [Bytes::from("aa"), Bytes::from("bb")]);
        assert!(ways.add_target(number, two).is_empty(), "not twice");
        assert_eq!(ways.targets(number, b"cc", 2), [one, two]);
        ways.narrow(two);
        assert_eq!(ways.targets(number, b"dd", 2), [two], "who asks for a token is alone from then on");
        ways.end_dial(number);
        assert!(ways.targets(number, b"ee", 2).is_empty());
    }

    #[test]
    fn a_carrier_that_is_full_or_gone_loses_packets_and_nothing_else() {
        let (ways, _) = Ways::new();
        let peer = address("192.0.2.1:5555");
        let mut carrier = ways.carrier(peer);
        let Place::Carrier(number) = carrier.place() else { unreachable!() };
        assert_eq!(ways.carried_from(number), Some(peer));
        let many = vec![7; CARRIER_QUEUE + 9];
        ways.carry(number, &many, 1);
        assert_eq!(std::iter::from_fn(|| carrier.try_outgoing()).count(), CARRIER_QUEUE);
        drop(carrier);
        ways.carry(number, b"x", 1);
        assert_eq!(ways.carried_from(number), None);
        assert!(read(&ways.carriers).is_empty());
    }
}
