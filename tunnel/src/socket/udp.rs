//! The UDP sockets of a node: one per address family.
//!
//! No port is shared with another process. A batch that the kernel coalesced (GRO) stays whole, and one to
//! be sent is handed over whole (GSO).

use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use noq_udp::{RecvMeta, Transmit, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::relay::serve::{self, Parcel};

/// Kernel buffer asked for in each direction, in bytes. The kernel may grant less
/// (`net.core.rmem_max`); short bursts at line rate fit in this.
pub const SOCKET_BUFFER: usize = 8 << 20;

/// Both families' sockets.
#[derive(Debug, Clone)]
pub(super) struct Families {
    v4: Option<Arc<Family>>,
    v6: Option<Arc<Family>>,
}

/// One bound socket.
#[derive(Debug)]
pub(super) struct Family {
    io: UdpSocket,
    state: UdpSocketState,
}

/// Resolves when a socket takes packets again.
pub(super) type Writable = Pin<Box<dyn Future<Output = io::Result<()>> + Send + Sync>>;

impl Families {
    /// Bind to `addresses`, at most one of each family. When a port is taken and `fallback` allows it,
    /// any other is taken.
    pub(super) fn bind(addresses: &[SocketAddr], fallback: bool) -> io::Result<Self> {
        let mut sockets = Self { v4: None, v6: None };
        let mut failure = io::Error::new(io::ErrorKind::InvalidInput, "no address to listen on");
        for address in addresses {
            let bound = bind_one(*address).or_else(|error| {
                if fallback && error.kind() == io::ErrorKind::AddrInUse {
                    bind_one(SocketAddr::new(address.ip(), 0))
                } else {
                    Err(error)
                }
            });
            match bound {
                Ok(family) if address.is_ipv4() => sockets.v4 = Some(Arc::new(family)),
                Ok(family) => sockets.v6 = Some(Arc::new(family)),
                Err(error) => failure = error,
            }
        }
        // A machine without IPv6 is no reason to fail; one without any address is.
        if sockets.v4.is_none() && sockets.v6.is_none() { Err(failure) } else { Ok(sockets) }
    }

    /// The bound addresses.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.each().filter_map(|family| family.io.local_addr().ok()).collect()
    }

    /// The bound sockets, IPv4 first.
    pub(super) fn each(&self) -> impl DoubleEndedIterator<Item = &Arc<Family>> {
        [&self.v4, &self.v6].into_iter().flatten()
    }

    /// The socket that reaches `destination`, which is not in its IPv4-mapped spelling.
    pub(super) fn towards(&self, destination: &SocketAddr) -> Option<&Arc<Family>> {
        if destination.is_ipv4() { self.v4.as_ref() } else { self.v6.as_ref() }
    }

    /// Most packets that may be handed over at once.
    pub(super) fn send_segments(&self) -> NonZeroUsize {
        self.each().map(|family| family.state.max_gso_segments()).min().unwrap_or(NonZeroUsize::MIN)
    }

    /// Most packets that may arrive at once.
    pub(super) fn receive_segments(&self) -> NonZeroUsize {
        self.each().map(|family| family.state.gro_segments()).max().unwrap_or(NonZeroUsize::MIN)
    }

    /// Whether routers may cut a packet in pieces.
    pub(super) fn may_fragment(&self) -> bool {
        self.each().any(|family| family.state.may_fragment())
    }
}

/// The default addresses of a node: any interface, both families, the given port.
pub fn any_interface(port: u16) -> [SocketAddr; 2] {
    [SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)), SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))]
}

impl Family {
    /// Receive into `bufs`.
    pub(super) fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.io.poll_recv_ready(cx))?;
            let received =
                self.io.try_io(Interest::READABLE, || self.state.recv((&self.io).into(), bufs, meta));
            match received {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => return Poll::Ready(other),
            }
        }
    }

    /// Send, unless the socket has no room now. Anything else that keeps a packet from leaving (too large,
    /// unreachable, refused) is a lost packet: QUIC finds out by the silence.
    pub(super) fn try_send(&self, transmit: &Transmit<'_>) -> Result<(), WouldBlock> {
        match self.io.try_io(Interest::WRITABLE, || self.state.try_send((&self.io).into(), transmit)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(WouldBlock),
            Err(error) => {
                tracing::trace!(%error, destination = %transmit.destination, "packet not sent");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Send packets of the relay, now or never.
    pub(super) fn forward(&self, parcel: &Parcel<'_>) -> io::Result<()> {
        serve::send(&self.io, &self.state, parcel)
    }

    /// Resolves when there is room again.
    pub(super) fn writable(self: &Arc<Self>) -> Writable {
        let family = Arc::clone(self);
        Box::pin(async move { family.io.writable().await })
    }
}

/// The socket has no room.
#[derive(Debug)]
pub(super) struct WouldBlock;

fn bind_one(address: SocketAddr) -> io::Result<Family> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // The kernel clamps to its own limit; less is slower, not wrong.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    let socket = std::net::UdpSocket::from(socket);
    let state = UdpSocketState::new((&socket).into())?;
    Ok(Family { io: UdpSocket::from_std(socket)?, state })
}
