//! The endpoint of one node: it dials other nodes by key and is dialled by those who know its key.
//!
//! [`Endpoint::bind`] takes the node's secret and where to listen. [`Endpoint::dial`] tries every known
//! address of a peer at once and keeps the first session that completes. [`Endpoint::accept`] yields
//! sessions whose handshake is complete: who is at the other end is proven, but not yet whether it may
//! be here. That is the greeting's business.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use coconet::id::StaticKey;
use noq::{
    AckFrequencyConfig, ClientConfig, EndpointConfig, Incoming, MtuDiscoveryConfig, ServerConfig,
    TokioRuntime, TransportConfig, VarInt,
};
use tokio::task::JoinSet;
use zeroize::Zeroizing;

use crate::noise::{self, LocalStatic, PeerStatic, QUIC_VERSION, ResetKey, TokenKey};
use crate::session::{Ended, Session, ended};
use crate::socket::Sockets;

/// Streams a peer may have open at once. A browser opens six connections to a host; a proxy with
/// hundreds behind one resource still fits.
pub const STREAMS_MAX: u32 = 4096;

/// Unread data of one stream, in bytes. Above 2048 packets of it noq 1.4 gives the connection up ("too
/// many gaps in stream buffer"), so this must stay below.
pub const STREAM_WINDOW: u32 = 2 << 20;

/// Unread and unacknowledged data of one connection, in bytes: a fast link's delay times its rate.
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
    sockets: Sockets,
    local: LocalStatic,
    half_open: Arc<AtomicUsize>,
    refused: Arc<AtomicU64>,
}

/// What an endpoint refused or dropped since it was bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EndpointCounters {
    /// Packets that were no QUIC of ours.
    pub foreign_packets: u64,
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
        Self::bind_with(options, transport(KEEP_ALIVE))
    }

    /// As [`Endpoint::bind`], for a manager: nobody sends it more than messages.
    pub fn bind_for_messages(options: &EndpointOptions) -> io::Result<Self> {
        let mut config = transport(KEEP_ALIVE);
        config
            .max_concurrent_bidi_streams(VarInt::from_u32(MESSAGE_STREAMS_MAX))
            .stream_receive_window(VarInt::from_u32(MESSAGE_STREAM_WINDOW))
            .receive_window(VarInt::from_u32(MESSAGE_CONNECTION_WINDOW));
        Self::bind_with(options, config)
    }

    fn bind_with(options: &EndpointOptions, serving: TransportConfig) -> io::Result<Self> {
        let local = LocalStatic::from_secret(*options.secret);
        let sockets = Sockets::bind(&options.listen, options.any_port)?;
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
            Box::new(sockets.clone()),
            Arc::new(TokioRuntime),
        )?;
        Ok(Self { quic, sockets, local, half_open: Arc::default(), refused: Arc::default() })
    }

    /// The addresses it is bound to.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.addresses()
    }

    /// What was refused so far.
    pub fn counters(&self) -> EndpointCounters {
        EndpointCounters {
            foreign_packets: self.sockets.dropped().load(Ordering::Relaxed),
            refused_handshakes: self.refused.load(Ordering::Relaxed),
        }
    }

    /// Reach the holder of `peer` at any of `addresses`, all tried at once.
    pub async fn dial(
        &self,
        peer: StaticKey,
        addresses: &[SocketAddr],
        keep_alive: Duration,
    ) -> Result<Session, DialError> {
        let mut config = ClientConfig::new(noise::client_config(&self.local, peer.0));
        config.transport_config(Arc::new(transport(keep_alive))).version(QUIC_VERSION);
        let mut attempts = JoinSet::new();
        for address in addresses.iter().filter(|address| self.sockets.reaches(address)).take(DIAL_MAX) {
            if let Ok(connecting) = self.quic.connect_with(config.clone(), *address, "coco") {
                attempts.spawn(tokio::time::timeout(HANDSHAKE_TIMEOUT, connecting));
            }
        }
        if attempts.is_empty() {
            return Err(DialError::NoAddress);
        }
        let (tried, mut failure) = (attempts.len(), None);
        while let Some(attempt) = attempts.join_next().await {
            match attempt {
                Ok(Ok(Ok(connection))) => return Ok(Session::new(connection, peer)),
                Ok(Ok(Err(error))) => failure = Some(ended(error)),
                Ok(Err(_)) | Err(_) => {}
            }
        }
        match failure {
            Some(Ended::TimedOut) | None => Err(DialError::NoAnswer { tried }),
            Some(ended) => Err(DialError::Ended(ended)),
        }
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
        ready.0.spawn(async move {
            let _counted = counted;
            let connection = tokio::time::timeout(HANDSHAKE_TIMEOUT, connecting).await.ok()?.ok()?;
            let identity = connection.peer_identity()?.downcast::<PeerStatic>().ok()?;
            Some(Session::new(connection, StaticKey(identity.0)))
        });
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

fn allowed(ip: IpAddr, loopback: bool) -> bool {
    if ip.is_unspecified() || ip.is_multicast() {
        return false;
    }
    match ip {
        _ if ip.is_loopback() => loopback,
        IpAddr::V4(v4) => !v4.is_link_local() && !v4.is_broadcast() && v4.octets()[0] != 0,
        IpAddr::V6(v6) => !v6.is_unicast_link_local(),
    }
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
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS_MAX))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW))
        .send_window(u64::from(CONNECTION_WINDOW))
        .max_idle_timeout(IDLE_TIMEOUT.try_into().ok())
        .keep_alive_interval(Some(keep_alive))
        .mtu_discovery_config(Some(mtu))
        .max_concurrent_multipath_paths(8)
        .send_observed_address_reports(true)
        .receive_observed_address_reports(true)
        .server_handshake_migration(true);
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
