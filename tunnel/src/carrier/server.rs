//! How a manager takes lines.
//!
//! A connection passes three gates. TCP: there may be so many in all and of one source ([`Limits`]). TLS:
//! the handshake has [`HANDSHAKE_TIMEOUT`], and when [`HALF_OPEN_MAX`] are under way the oldest makes room, for
//! somebody honest is done in a round trip. And QUIC: who cannot make the endpoint say anything within
//! [`PROOF_TIMEOUT`] does not know the manager's key, and is cut. After that it lives while packets come and go
//! ([`IDLE_TIMEOUT`](super::IDLE_TIMEOUT)). Each has one task and bounded buffers: what it sends waits in TCP
//! while the endpoint is busy, what it does not take is lost.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::Duration;

use coconet::key::NodeKeys;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{self, AbortHandle, JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::identity::{self, IdentityError};
use super::pump::pump;
use super::{LineEnd, tune};
use crate::endpoint::Endpoint;

/// Connections at once. One costs at most the queue of its datagrams, 384 KiB, and about as much of the
/// kernel's.
pub const CONNECTIONS_MAX: usize = 1024;

/// Connections at once from one IPv4 address or one IPv6 /64: the nodes behind one NAT or proxy.
pub const CONNECTIONS_PER_SOURCE_MAX: usize = 128;

/// TLS handshakes under way; for a further one the oldest is given up.
pub const HALF_OPEN_MAX: usize = 256;

/// Longest TLS handshake.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a new connection may go without an answer of QUIC to it.
pub const PROOF_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections that the kernel holds for us.
const BACKLOG: i32 = 256;

/// Pause after a connection could not be taken: this process has no file descriptor left, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How many connections there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// In all.
    pub connections: usize,
    /// Of one [`source`].
    pub per_source: usize,
}

/// Why a connection was refused or cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refused {
    /// There are too many.
    Full,
    /// There are too many of its source.
    Source,
    /// It did no handshake of TLS, or too slowly.
    Handshake,
    /// It was TLS, but nothing that QUIC had an answer to.
    Silent,
    /// It was TLS, but no stream of datagrams.
    Malformed,
}

/// Why no connections can be taken.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// No socket.
    #[error("cannot listen on TCP {0}")]
    Socket(SocketAddr, #[source] io::Error),
    /// No key.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// Sockets that take connections, once [`Server::run`] is polled.
pub struct Server {
    listeners: Vec<TcpListener>,
    acceptor: TlsAcceptor,
    limits: Limits,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: CONNECTIONS_MAX, per_source: CONNECTIONS_PER_SOURCE_MAX }
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("addresses", &self.addresses()).finish_non_exhaustive()
    }
}

impl Server {
    /// Listen on TCP `addresses` as the manager of `keys`. Within a tokio runtime.
    pub fn bind(addresses: &[SocketAddr], keys: &NodeKeys, limits: Limits) -> Result<Self, ListenError> {
        let acceptor = TlsAcceptor::from(Arc::new(identity::server_config(keys)?));
        let bind = |at: &SocketAddr| listen(*at).map_err(|error| ListenError::Socket(*at, error));
        let listeners = addresses.iter().map(bind).collect::<Result<_, _>>()?;
        Ok(Self { listeners, acceptor, limits })
    }

    /// The addresses it is bound to.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Take connections for as long as this is polled, and say of each that was refused or cut why. Dropped,
    /// it closes all of them.
    pub async fn run(self, endpoint: Endpoint, refused: impl Fn(Refused)) {
        let mut open = Open::default();
        loop {
            tokio::select! {
                accepted = accept(&self.listeners) => match accepted {
                    Ok((tcp, from)) => {
                        if let Err(why) = open.admit(tcp, from, &self, &endpoint) {
                            refused(why);
                        }
                    }
                    Err(error) => {
                        tracing::debug!(%error, "a connection could not be taken");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(ended) = open.tasks.join_next_with_id() => {
                    if let Some(why) = open.ended(ended) {
                        refused(why);
                    }
                }
            }
        }
    }
}

/// What counts as one source: an IPv4 address, or the /64 that one IPv6 subscriber has at least.
pub fn source(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        v4 @ IpAddr::V4(_) => v4,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
    }
}

/// The connections there are.
#[derive(Default)]
struct Open {
    tasks: JoinSet<Result<(), Refused>>,
    sources: HashMap<task::Id, IpAddr>,
    per_source: HashMap<IpAddr, usize>,
    /// The oldest first. One whose handshake is over has dropped what it held.
    half_open: VecDeque<(AbortHandle, Weak<()>)>,
}

impl Open {
    fn admit(
        &mut self,
        tcp: TcpStream,
        from: SocketAddr,
        server: &Server,
        endpoint: &Endpoint,
    ) -> Result<(), Refused> {
        let source = source(from.ip());
        let of_source = self.per_source.get(&source).copied().unwrap_or_default();
        if of_source >= server.limits.per_source {
            return Err(Refused::Source);
        }
        if self.tasks.len() >= server.limits.connections {
            return Err(Refused::Full);
        }
        self.half_open.retain(|(_, held)| held.strong_count() > 0);
        if self.half_open.len() >= HALF_OPEN_MAX
            && let Some((oldest, _)) = self.half_open.pop_front()
        {
            oldest.abort();
        }
        let half_open = Arc::new(());
        let held = Arc::downgrade(&half_open);
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let task = self.tasks.spawn(serve(tcp, from, server.acceptor.clone(), endpoint.clone(), half_open));
        self.sources.insert(task.id(), source);
        *self.per_source.entry(source).or_default() += 1;
        self.half_open.push_back((task, held));
        Ok(())
    }

    /// Forget one that is over, and say why it was cut if it was.
    fn ended(&mut self, ended: Result<(task::Id, Result<(), Refused>), JoinError>) -> Option<Refused> {
        let (id, why) = match ended {
            Ok((id, served)) => (id, served.err()),
            Err(error) => {
                if error.is_panic() {
                    tracing::error!(%error, "a carrier's task has failed");
                }
                (error.id(), Some(Refused::Handshake))
            }
        };
        if let Some(source) = self.sources.remove(&id)
            && let Some(count) = self.per_source.get_mut(&source)
        {
            *count -= 1;
            if *count == 0 {
                self.per_source.remove(&source);
            }
        }
        why
    }
}

async fn serve(
    tcp: TcpStream,
    from: SocketAddr,
    acceptor: TlsAcceptor,
    endpoint: Endpoint,
    half_open: Arc<()>,
) -> Result<(), Refused> {
    tune(&tcp);
    let tls = match timeout(HANDSHAKE_TIMEOUT, acceptor.accept(tcp)).await {
        Ok(Ok(tls)) => tls,
        Ok(Err(error)) => {
            tracing::debug!(%from, %error, "no TLS");
            return Err(Refused::Handshake);
        }
        Err(_) => return Err(Refused::Handshake),
    };
    drop(half_open);
    let began = tokio::time::Instant::now();
    let end = pump(tls, endpoint.carrier(from), PROOF_TIMEOUT).await;
    tracing::debug!(%from, %end, "a carrier ended");
    match end {
        LineEnd::Malformed(_) => Err(Refused::Malformed),
        LineEnd::Unused if began.elapsed() < PROOF_TIMEOUT * 2 => Err(Refused::Silent),
        LineEnd::Closed
        | LineEnd::Broken(_)
        | LineEnd::Silent
        | LineEnd::Unused
        | LineEnd::Stalled
        | LineEnd::Endpoint => Ok(()),
    }
}

/// The next connection to any of `listeners`; never where there are none.
async fn accept(listeners: &[TcpListener]) -> io::Result<(TcpStream, SocketAddr)> {
    poll_fn(|cx| {
        let ready = |listener: &TcpListener| match listener.poll_accept(cx) {
            Poll::Ready(accepted) => Some(accepted),
            Poll::Pending => None,
        };
        listeners.iter().find_map(ready).map_or(Poll::Pending, Poll::Ready)
    })
    .await
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // The IPv4 address beside it has a socket of its own.
        socket.set_only_v6(true)?;
    }
    // So that a restart does not wait for connections that are just being forgotten.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn one_subscriber_is_one_source() {
        let source = |text: &str| source(text.parse().unwrap()).to_string();
        assert_eq!(source("192.0.2.1"), "192.0.2.1");
        assert_eq!(source("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(source("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }
}
