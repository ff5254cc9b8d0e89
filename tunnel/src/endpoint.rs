//! The endpoint of one node: it dials other nodes by key and is dialled by those who know its key.
//!
//! [`Endpoint::bind`] takes the node's secret and where to listen. [`Endpoint::dial_as_found`] begins one
//! handshake and sends its first packets to every place where the peer may be, as they become known; it
//! completes on the fastest. [`Endpoint::accept`] yields sessions whose handshake is complete: who is at
//! the other end is proven, but not yet whether it may be here. That is the greeting's business.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use coconet::id::StaticKey;
use nix::sys::sysinfo::sysinfo;
use noq::{
    AckFrequencyConfig, ClientConfig, EndpointConfig, Incoming, MtuDiscoveryConfig, ServerConfig,
    TokioRuntime, TransportConfig, VarInt,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::asking::Asking;
use crate::backlog;
use crate::flow::{RECEIVE_BUFFER, SEND_BUFFER};
use crate::noise::{self, LocalStatic, PeerStatic, QUIC_VERSION, ResetKey, TokenKey};
use crate::relay::Switch;
use crate::session::{Ended, Session, ended};
use crate::socket::{Carrier, Heard, Mux, Outlet, Place, allowed};

/// Streams a peer may have open at once: two tunnels full of clients, and requests.
pub const STREAMS_MAX: u32 = 8192;

/// Unread data of one stream, in bytes. Above 2048 packets of it noq 1.4 gives the connection up ("too
/// many gaps in stream buffer"), so this must stay below.
pub const STREAM_WINDOW: u32 = 2 << 20;

/// Unread and unacknowledged data of one connection, in bytes: a fast link's delay times its rate. Streams that
/// nobody reads get room besides; see [`crate::backlog`].
pub const CONNECTION_WINDOW: u32 = 16 << 20;

/// A connection without any packet for so long is dead. Longer than the 30 s a blackout may last.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Keep-alive of a direct path that has nothing to say: often enough for home NATs.
pub const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Keep-alive towards the manager.
pub const MANAGER_KEEP_ALIVE: Duration = Duration::from_secs(25);

/// Longest handshake, dialling or dialled.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Handshakes in progress above which an address must prove itself by Retry first.
pub const HALF_OPEN_RETRY: usize = 64;

/// Handshakes in progress above which first packets are dropped unanswered.
pub const HALF_OPEN_MAX: usize = 1024;

/// Addresses of one peer that are dialled at once.
pub const DIAL_MAX: usize = 16;

/// Addresses that a peer may name to be probed.
pub const NAT_ADDRESSES_MAX: u8 = 16;

/// Ways of one session at once, those included that are just being given up.
pub const PATHS_MAX: u32 = 8;

/// Largest UDP payload tried on a path: Ethernet's 1500 bytes less IPv4 and UDP headers.
pub const UDP_PAYLOAD_MAX: u16 = 1472;

/// Packets that the peer may leave unacknowledged, where QUIC's own rule is one. Each acknowledgement is a
/// packet, and costs both ends as much as one with data. Less than the ten packets of a first flight, so that
/// its acknowledgement waits for no timer; with 40, a link of 20 ms that loses one packet in 200 carries a
/// third less.
pub const ACK_EVERY: u32 = 8;

/// Longest wait of the peer with an acknowledgement. Short, because few packets may be in flight after a
/// loss.
pub const ACK_DELAY: Duration = Duration::from_millis(5);

/// As [`STREAMS_MAX`], of an endpoint that takes only messages.
pub const MESSAGE_STREAMS_MAX: u32 = 256;

/// As [`STREAM_WINDOW`], of an endpoint that takes only messages: several of the longest.
pub const MESSAGE_STREAM_WINDOW: u32 = 256 << 10;

/// As [`CONNECTION_WINDOW`], of an endpoint that takes only messages: what a stranger who knows a manager's
/// address can make it hold.
pub const MESSAGE_CONNECTION_WINDOW: u32 = 1 << 20;

/// What an endpoint is made of.
#[derive(Debug)]
pub struct EndpointOptions {
    /// The X25519 secret it is known by.
    pub secret: Zeroizing<[u8; 32]>,
    /// A secret for stateless resets, kept across restarts so that peers learn of one at once.
    pub reset: Zeroizing<[u8; 32]>,
    /// Where to listen, at most one address per family.
    pub listen: Vec<SocketAddr>,
    /// Whether another port will do when one is taken.
    pub any_port: bool,
}

/// A bound endpoint.
#[derive(Debug, Clone)]
pub struct Endpoint {
    quic: noq::Endpoint,
    outlet: Outlet,
    local: LocalStatic,
    /// Room for the streams of each session between nodes that were opened from here and that nobody reads.
    own_room: u32,
    /// Whether whoever dials is a node.
    serves_nodes: bool,
    half_open: Arc<AtomicUsize>,
    refused: Arc<AtomicU64>,
    heard: Arc<Mutex<Option<mpsc::Receiver<Heard>>>>,
}

/// What an endpoint refused or dropped since it was bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EndpointCounters {
    /// Packets that were no QUIC of ours.
    pub foreign_packets: u64,
    /// Packets that did not leave because nobody may send there.
    pub withheld_packets: u64,
    /// First packets that did not decrypt, or came when too many handshakes were in progress.
    pub refused_handshakes: u64,
}

/// Why nobody was reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// No address is known that this endpoint could send to.
    #[error("no address to dial")]
    NoAddress,
    /// None answered.
    #[error("none of its addresses answers ({tried} tried)")]
    NoAnswer {
        /// How many were tried.
        tried: usize,
    },
    /// The other end closed the connection.
    #[error(transparent)]
    Ended(Ended),
}

impl Endpoint {
    /// Bind the sockets and start serving.
    pub fn bind(options: &EndpointOptions) -> io::Result<Self> {
        Ok(Self { serves_nodes: true, ..Self::bind_with(options, between_nodes(), None)? })
    }

    /// As [`Endpoint::bind`], for a manager: nobody sends it more than messages.
    pub fn bind_for_messages(options: &EndpointOptions) -> io::Result<Self> {
        Self::bind_with(options, for_messages(), None)
    }

    /// As [`Endpoint::bind_for_messages`], for a manager that relays: the frames it gets go through `relay`.
    pub fn bind_relaying(options: &EndpointOptions, relay: Switch) -> io::Result<Self> {
        Self::bind_with(options, for_messages(), Some(relay))
    }

    fn bind_with(
        options: &EndpointOptions,
        serving: TransportConfig,
        relay: Option<Switch>,
    ) -> io::Result<Self> {
        let local = LocalStatic::from_secret(*options.secret);
        let (mux, outlet, heard) = Mux::bind(&options.listen, options.any_port, relay)?;
        let mut config = EndpointConfig::new(Arc::new(ResetKey::from_secret(&options.reset)));
        let (id_key, _) = options.reset.split_at(8);
        let id_key = id_key.try_into().map(u64::from_be_bytes).unwrap_or_default();
        config.supported_versions(vec![QUIC_VERSION]).grease_quic_bit(false).cid_generator(Arc::new(
            move || Box::new(noq_proto::HashedConnectionIdGenerator::from_key(id_key)),
        ));
        let tokens = TokenKey::random().map_err(io::Error::other)?;
        let mut server = ServerConfig::new(noise::server_config(&local), Arc::new(tokens));
        server.transport_config(Arc::new(serving)).max_incoming(HALF_OPEN_MAX);
        let quic = noq::Endpoint::new_with_abstract_socket(
            config,
            Some(server),
            Box::new(mux),
            Arc::new(TokioRuntime),
        )?;
        let heard = Arc::new(Mutex::new(Some(heard)));
        Ok(Self {
            quic,
            outlet,
            local,
            own_room: backlog::own_room(sysinfo().map_or(0, |machine| machine.ram_total())),
            serves_nodes: false,
            half_open: Arc::default(),
            refused: Arc::default(),
            heard,
        })
    }

    /// The addresses it is bound to.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.outlet.addresses()
    }

    /// What was refused so far.
    pub fn counters(&self) -> EndpointCounters {
        let (foreign_packets, withheld_packets) = self.outlet.dropped();
        EndpointCounters {
            foreign_packets,
            withheld_packets,
            refused_handshakes: self.refused.load(Ordering::Relaxed),
        }
    }

    /// Frames that are no data, as they are heard. Given out once.
    pub fn heard(&self) -> Option<mpsc::Receiver<Heard>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Send a frame, now or never.
    pub fn send_frame(&self, to: SocketAddr, frame: &[u8]) {
        self.outlet.send(Place::of(to), frame, frame.len());
    }

    /// Let peers name addresses on this machine.
    pub fn permit_loopback(&self) {
        self.outlet.ways().permit_loopback();
    }

    /// The manager of `slot`, counted from one, is reached at `place` now: relayed packets go there, and
    /// come from there.
    pub fn set_relay(&self, slot: u16, place: Place) {
        let address = place.direct().unwrap_or_else(|| place.address());
        self.outlet.ways().set_manager(slot, address);
    }

    /// The machine's addresses or routes have changed: every session finds out from which address it now
    /// sends.
    pub fn network_changed(&self) {
        self.quic.handle_network_change(Some(Arc::new(Everywhere)));
    }

    /// Send nothing to addresses with that prefix, of [`coconet::address`]: they are reached through sessions.
    pub fn keep_inside(&self, prefix: std::net::Ipv6Addr) {
        self.outlet.ways().keep_inside(prefix);
    }

    /// A place among the addresses for a TLS connection with `peer` that carries datagrams.
    pub fn carrier(&self, peer: SocketAddr) -> Carrier {
        self.outlet.ways().carrier(peer)
    }

    /// The TCP address behind a [`Place::Carrier`]; none for other places, and for a connection that is over.
    pub fn carried_from(&self, place: Place) -> Option<SocketAddr> {
        let Place::Carrier(number) = place else { return None };
        self.outlet.ways().carried_from(number)
    }

    /// Reach the holder of `peer` at any of `addresses`.
    pub async fn dial(
        &self,
        peer: StaticKey,
        addresses: &[SocketAddr],
        keep_alive: Duration,
    ) -> Result<Session, DialError> {
        let (tell, found) = mpsc::channel(DIAL_MAX);
        for address in addresses.iter().take(DIAL_MAX) {
            // There is room for as many as are taken.
            let _ = tell.try_send(Place::of(*address));
        }
        drop(tell);
        self.dial_as_found(peer, found, Some(keep_alive)).await
    }

    /// Reach the holder of `peer` at any place that comes out of `found`, the first [`DIAL_MAX`] of them. A
    /// session to a node has its ways kept open by its [`crate::paths`] driver, one to a manager by
    /// `keep_alive`.
    pub async fn dial_as_found(
        &self,
        peer: StaticKey,
        mut found: mpsc::Receiver<Place>,
        keep_alive: Option<Duration>,
    ) -> Result<Session, DialError> {
        let mut first = found.recv().await;
        while first.is_some_and(|place| !self.reaches(place)) {
            first = found.recv().await;
        }
        let Some(first) = first else { return Err(DialError::NoAddress) };
        let (transport, own_room) = match keep_alive {
            Some(keep_alive) => (transport(keep_alive), None),
            None => (between_nodes(), Some(self.own_room)),
        };
        let mut config = ClientConfig::new(noise::client_config(&self.local, peer.0));
        config.transport_config(Arc::new(transport)).version(QUIC_VERSION);
        let dial = Dialling::begin(&self.outlet);
        dial.add(first);
        let connecting = self.quic.connect_with(config, dial.place().address(), "coco");
        let mut connecting = std::pin::pin!(connecting.map_err(|_| DialError::NoAddress)?);
        let (mut tried, mut more) = (1, true);
        let mut deadline = Instant::now() + HANDSHAKE_TIMEOUT;
        loop {
            tokio::select! {
                place = found.recv(), if more => match place {
                    Some(place) if tried < DIAL_MAX && self.reaches(place) => {
                        dial.add(place);
                        tried += 1;
                        deadline = Instant::now() + HANDSHAKE_TIMEOUT;
                    }
                    Some(_) => {}
                    None => more = false,
                },
                connected = &mut connecting => return match connected.map_err(ended) {
                    Ok(connection) => Ok(Session::new(connection, peer, own_room)),
                    Err(Ended::TimedOut) => Err(DialError::NoAnswer { tried }),
                    Err(ended) => Err(DialError::Ended(ended)),
                },
                () = tokio::time::sleep_until(deadline), if !more => {
                    return Err(DialError::NoAnswer { tried });
                }
            }
        }
    }

    fn reaches(&self, place: Place) -> bool {
        place.direct().is_none_or(|address| self.outlet.reaches(&address))
    }

    /// The next session somebody opened, or `None` when the endpoint is closed. Handshakes go on in the
    /// background, so that a slow one keeps nobody waiting: call it in a loop, from one task.
    pub async fn accept(&self, ready: &mut Accepting) -> Option<Session> {
        loop {
            tokio::select! {
                incoming = self.quic.accept() => self.begin(incoming?, ready),
                Some(done) = ready.0.join_next(), if !ready.0.is_empty() => {
                    if let Ok(Some(session)) = done {
                        return Some(session);
                    }
                }
            }
        }
    }

    /// Close every session and stop serving.
    pub async fn close(&self) {
        self.quic.close(VarInt::from_u32(coconet::wire::code::Close::Done.number()), b"done");
        // Bounded: three probe timeouts at most, and a peer that is gone must not hold us.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.quic.wait_idle()).await;
    }

    fn begin(&self, incoming: Incoming, ready: &mut Accepting) {
        let busy = self.half_open.load(Ordering::Relaxed);
        // An answer of any kind goes only to who could encrypt to our key.
        if busy >= HALF_OPEN_MAX || incoming.decrypt().is_none() {
            self.refused.fetch_add(1, Ordering::Relaxed);
            incoming.ignore();
            return;
        }
        if busy >= HALF_OPEN_RETRY && !incoming.remote_address_validated() {
            if let Err(error) = incoming.retry() {
                error.into_incoming().ignore();
            }
            return;
        }
        let Ok(connecting) = incoming.accept() else { return };
        let counted = HalfOpen::new(&self.half_open);
        let own_room = self.serves_nodes.then_some(self.own_room);
        ready.0.spawn(async move {
            let _counted = counted;
            let connection = tokio::time::timeout(HANDSHAKE_TIMEOUT, connecting).await.ok()?.ok()?;
            let identity = connection.peer_identity()?.downcast::<PeerStatic>().ok()?;
            Some(Session::new(connection, StaticKey(identity.0), own_room))
        });
    }
}

/// No way is given up because the machine's network has changed: whoever drives a session does that when
/// its data does not get through.
#[derive(Debug)]
struct Everywhere;

impl noq::NetworkChangeHint for Everywhere {
    fn is_path_recoverable(&self, _: noq::PathId, _: noq_proto::FourTuple) -> bool {
        true
    }
}

/// A dial in progress; its end is the end of the address that stands for all places.
struct Dialling<'a> {
    outlet: &'a Outlet,
    number: u64,
}

impl<'a> Dialling<'a> {
    fn begin(outlet: &'a Outlet) -> Self {
        Self { outlet, number: outlet.ways().begin_dial() }
    }

    fn place(&self) -> Place {
        Place::Dial(self.number)
    }

    fn add(&self, place: Place) {
        if let Place::Direct(address) = place {
            // Who dials it has decided that it may be dialled.
            self.outlet.ways().meet(address);
        }
        self.outlet.add_target(self.number, place);
    }
}

impl Drop for Dialling<'_> {
    fn drop(&mut self) {
        self.outlet.ways().end_dial(self.number);
    }
}

/// Handshakes in progress, owned by the task that accepts.
#[derive(Debug, Default)]
pub struct Accepting(JoinSet<Option<Session>>);

#[derive(Debug)]
struct HalfOpen(Arc<AtomicUsize>);

impl HalfOpen {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for HalfOpen {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Addresses that may be dialled: no unspecified, multicast, broadcast, link-local without scope or
/// cloud-metadata address in any spelling, none twice, at most [`DIAL_MAX`]. Loopback only with
/// `loopback`, which is for a node whose manager is on the same machine.
pub fn dialable(addresses: impl IntoIterator<Item = SocketAddr>, loopback: bool) -> Vec<SocketAddr> {
    let mut seen = BTreeMap::new();
    for address in addresses {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        if address.port() != 0 && allowed(address.ip(), loopback) && seen.len() < DIAL_MAX {
            let order = seen.len();
            seen.entry(address).or_insert(order);
        }
    }
    let mut ordered: Vec<_> = seen.into_iter().collect();
    ordered.sort_by_key(|(_, order)| *order);
    ordered.into_iter().map(|(address, _)| address).collect()
}

/// How windows, packets and paths are tuned. Public so that a bare carrier can be measured beside coco on
/// equal terms.
pub fn transport(keep_alive: Duration) -> TransportConfig {
    let mut mtu = MtuDiscoveryConfig::default();
    mtu.upper_bound(UDP_PAYLOAD_MAX);
    let mut acks = AckFrequencyConfig::default();
    acks.ack_eliciting_threshold(VarInt::from_u32(ACK_EVERY)).max_ack_delay(Some(ACK_DELAY));
    let mut config = TransportConfig::default();
    config
        .ack_frequency_config(Some(acks))
        .congestion_controller_factory(Arc::new(Asking))
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS_MAX))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW))
        .send_window(u64::from(CONNECTION_WINDOW))
        .max_idle_timeout(IDLE_TIMEOUT.try_into().ok())
        .keep_alive_interval(Some(keep_alive))
        .mtu_discovery_config(Some(mtu))
        .datagram_receive_buffer_size(Some(RECEIVE_BUFFER))
        .datagram_send_buffer_size(SEND_BUFFER)
        .max_concurrent_multipath_paths(PATHS_MAX)
        .send_observed_address_reports(true)
        .receive_observed_address_reports(true)
        .server_handshake_migration(true);
    config
}

/// As [`transport`], of an endpoint that takes only messages. Whoever dials keeps the way open.
fn for_messages() -> TransportConfig {
    let mut config = transport(KEEP_ALIVE);
    config
        .keep_alive_interval(None)
        .max_concurrent_bidi_streams(VarInt::from_u32(MESSAGE_STREAMS_MAX))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(VarInt::from_u32(MESSAGE_STREAM_WINDOW))
        .receive_window(VarInt::from_u32(MESSAGE_CONNECTION_WINDOW));
    config
}

/// As [`transport`], between nodes: their ways are found, kept open and given up by their drivers.
fn between_nodes() -> TransportConfig {
    let mut config = transport(KEEP_ALIVE);
    config.keep_alive_interval(None).max_remote_nat_traversal_addresses(NAT_ADDRESSES_MAX);
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filtered(text: &[&str], loopback: bool) -> Vec<String> {
        dialable(text.iter().filter_map(|t| t.parse().ok()), loopback)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn poisoned_addresses_are_never_dialled() {
        let poison = [
            "0.0.0.0:1",
            "0.1.2.3:1",
            "127.0.0.1:1",
            "169.254.169.254:80",
            "224.0.0.1:1",
            "255.255.255.255:1",
            "[::]:1",
            "[::1]:1",
            "[fe80::1]:1",
            "[ff02::1]:1",
            "[::ffff:127.0.0.1]:1",
            "[::ffff:169.254.169.254]:80",
            "192.0.2.1:0",
        ];
        assert_eq!(filtered(&poison, false), Vec::<String>::new());
    }

    #[test]
    fn loopback_is_dialled_only_by_a_neighbour_of_a_local_manager() {
        assert_eq!(filtered(&["127.0.0.1:9", "[::1]:9"], true), ["127.0.0.1:9", "[::1]:9"]);
    }

    #[test]
    fn order_is_kept_doubles_go_and_the_number_is_bounded() {
        assert_eq!(
            filtered(&["198.51.100.7:2", "192.0.2.1:1", "[::ffff:198.51.100.7]:2"], false),
            ["198.51.100.7:2", "192.0.2.1:1"]
        );
        let many: Vec<SocketAddr> = (1..100).map(|port| SocketAddr::from(([192, 0, 2, 1], port))).collect();
        assert_eq!(dialable(many, false).len(), DIAL_MAX);
    }
}
