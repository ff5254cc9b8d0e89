//! Datagrams inside TLS over TCP, for networks that let no UDP through.
//!
//! A node that hears nothing from its manager by UDP calls [`connect`]: a TCP connection to the manager's
//! TLS port, through an HTTP proxy where there is one ([`proxy`]), and TLS 1.3 in it with whoever holds the
//! key that the manager's address names ([`identity`]). What comes back is a [`Line`], whose
//! [`Line::place`] is one more place to dial. From then on datagrams go both ways, each behind its length
//! ([`frame`]): packets of QUIC and frames of the relay alike, just as they would by UDP.
//!
//! TLS is here to get through, and to be sure of the manager before anything is said to it. It protects
//! nothing else: who talks to whom, and that nobody reads it, is for the handshake of QUIC inside, so the
//! client shows no certificate, and a captured TLS key opens no session.
//!
//! The line keeps the manners of UDP. A datagram that finds the queue full is lost, and QUIC slows down;
//! the kernel holds back little that is not yet sent ([`UNSENT_MAX`]), so that what is sent is not old. What
//! arrives faster than QUIC takes it waits in TCP. When the connection ends, what was under way is lost and
//! nobody is told by QUIC: [`Line::closed`] says it at once, the session on it notices after its idle timeout,
//! and goes on if another place of the peer comes to be known in time. Dropping the line closes it.
//!
//! On the manager's side [`server`] takes the connections. To the endpoint each is a
//! [`Place::Carrier`]; who is behind it is told by
//! [`Endpoint::carried_from`](crate::endpoint::Endpoint::carried_from).

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::AbortHandle;

mod client;
pub mod frame;
pub mod identity;
pub mod proxy;
mod pump;
pub mod server;

pub use client::{CarrierError, connect};

use crate::socket::{Carrier, Place};
use frame::BadLength;

/// Longest wait for each of TCP, the proxy and TLS.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A line by which nothing arrives for so long is dead, and so is one by which nothing leaves: a session is
/// never that silent, for its keep-alive is answered.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes that the kernel holds and has not sent yet, about: more of them would only be older when they
/// arrive.
pub const UNSENT_MAX: u32 = 64 * 1024;

/// Bytes gathered for one write, or a datagram more: one record of TLS.
pub const BATCH: usize = 14 * 1024;

/// A TLS connection that carries datagrams. Dropped, it closes.
#[derive(Debug)]
pub struct Line {
    place: Place,
    peer: SocketAddr,
    end: watch::Receiver<Option<LineEnd>>,
    task: AbortHandle,
}

/// Why a line ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineEnd {
    /// By the other end, or by something in between.
    #[error("the TLS connection was closed")]
    Closed,
    /// By an error of TCP or TLS.
    #[error("the TLS connection broke: {0}")]
    Broken(String),
    /// Nothing arrived for [`IDLE_TIMEOUT`].
    #[error("nothing came over the TLS connection for too long")]
    Silent,
    /// Nothing had to be sent for too long: QUIC has nothing to say to the other end.
    #[error("the TLS connection is not used")]
    Unused,
    /// The other end took nothing for [`IDLE_TIMEOUT`].
    #[error("the other end of the TLS connection takes nothing")]
    Stalled,
    /// What came is no stream of datagrams.
    #[error(transparent)]
    Malformed(#[from] BadLength),
    /// The endpoint is gone.
    #[error("the endpoint was closed")]
    Endpoint,
}

impl Line {
    /// Carry datagrams over `stream` for as long as it lives.
    fn begin<S>(stream: S, peer: SocketAddr, carrier: Carrier) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (tell, end) = watch::channel(None);
        let place = carrier.place();
        let task = tokio::spawn(async move {
            let ended = pump::pump(stream, carrier, IDLE_TIMEOUT).await;
            tracing::debug!(%peer, %ended, "a carrier ended");
            tell.send_replace(Some(ended));
        });
        Self { place, peer, end, task: task.abort_handle() }
    }

    /// What to dial, and where the manager is reached while the line lives.
    pub fn place(&self) -> Place {
        self.place
    }

    /// The TCP address at the other end: the manager's, or the proxy's.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Resolves when nothing goes over it any more.
    pub async fn closed(&self) -> LineEnd {
        let mut end = self.end.clone();
        let ended = end.wait_for(Option::is_some).await;
        ended.ok().and_then(|end| end.clone()).unwrap_or(LineEnd::Closed)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Set up a socket for datagrams: each batch leaves at once, and little waits. What cannot be set makes it
/// slower and no worse.
fn tune(tcp: &TcpStream) {
    let socket = socket2::SockRef::from(tcp);
    let _ = socket.set_tcp_nodelay(true);
    #[cfg(target_os = "linux")]
    {
        let _ = socket.set_tcp_notsent_lowat(UNSENT_MAX);
        let _ = socket.set_tcp_user_timeout(Some(IDLE_TIMEOUT));
    }
}
