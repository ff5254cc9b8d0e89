//! The UDP sockets of a node: one per address family behind one [`noq::AsyncUdpSocket`].
//!
//! What arrives is filtered before QUIC sees it, so that a node answers nothing it need not:
//! [`is_ours`] keeps packets with the QUIC bit, and long headers only of our own version with a
//! connection id we could have chosen. The rest is dropped and counted. A batch that the kernel
//! coalesced (GRO) stays whole; only a batch with foreign segments in it is compacted.

use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use noq::{AsyncUdpSocket, UdpSender};
use noq_udp::{RecvMeta, Transmit, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::noise::QUIC_VERSION;

/// Kernel buffer asked for in each direction, in bytes. The kernel may grant less
/// (`net.core.rmem_max`); short bursts at line rate fit in this.
pub const SOCKET_BUFFER: usize = 8 << 20;

/// Bytes of a connection id this endpoint issues, and the least a first packet must carry (RFC 9000,
/// section 7.2).
const CONNECTION_ID_LEN: u8 = 8;

/// Longest connection id of QUIC.
const CONNECTION_ID_MAX: u8 = 20;

/// Both families' sockets.
#[derive(Debug, Clone)]
pub(crate) struct Sockets {
    v4: Option<Arc<Family>>,
    v6: Option<Arc<Family>>,
    dropped: Arc<AtomicU64>,
    v6_first: bool,
}

#[derive(Debug)]
struct Family {
    io: UdpSocket,
    state: UdpSocketState,
}

impl Sockets {
    /// Bind to `addresses`, at most one of each family. When a port is taken and `fallback` allows it,
    /// any other is taken.
    pub(crate) fn bind(addresses: &[SocketAddr], fallback: bool) -> io::Result<Self> {
        let mut sockets = Self { v4: None, v6: None, dropped: Arc::default(), v6_first: false };
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
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        [&self.v4, &self.v6].into_iter().flatten().filter_map(|family| family.io.local_addr().ok()).collect()
    }

    /// Packets dropped by the filter so far.
    pub(crate) fn dropped(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.dropped)
    }

    /// Whether an address of that family can be dialled.
    pub(crate) fn reaches(&self, address: &SocketAddr) -> bool {
        if address.is_ipv4() { self.v4.is_some() } else { self.v6.is_some() }
    }

    fn for_destination(&self, destination: &SocketAddr) -> Option<&Arc<Family>> {
        if destination.is_ipv4() { self.v4.as_ref() } else { self.v6.as_ref() }
    }

    fn segments(&self, of: impl Fn(&UdpSocketState) -> NonZeroUsize) -> NonZeroUsize {
        let families = [&self.v4, &self.v6].into_iter().flatten();
        families.map(|family| of(&family.state)).min().unwrap_or(NonZeroUsize::MIN)
    }
}

/// The default addresses of a node: any interface, both families, the given port.
pub fn any_interface(port: u16) -> [SocketAddr; 2] {
    [SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)), SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))]
}

impl AsyncUdpSocket for Sockets {
    fn create_sender(&self) -> Pin<Box<dyn UdpSender>> {
        Box::pin(Sender { sockets: self.clone(), blocked: None })
    }

    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        // Turn and turn about, so that a flood on one family does not starve the other.
        self.v6_first = !self.v6_first;
        let order = if self.v6_first { [&self.v6, &self.v4] } else { [&self.v4, &self.v6] };
        for family in order.into_iter().flatten() {
            if let Poll::Ready(received) = family.poll_recv(cx, bufs, meta) {
                if let Ok(count) = received {
                    let dropped: u64 = (0..count).map(|i| keep_ours(&mut bufs[i], &mut meta[i])).sum();
                    if dropped > 0 {
                        self.dropped.fetch_add(dropped, Ordering::Relaxed);
                    }
                }
                return Poll::Ready(received);
            }
        }
        Poll::Pending
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        match (&self.v4, &self.v6) {
            (Some(family), _) | (None, Some(family)) => family.io.local_addr(),
            (None, None) => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn max_receive_segments(&self) -> NonZeroUsize {
        let families = [&self.v4, &self.v6].into_iter().flatten();
        families.map(|family| family.state.gro_segments()).max().unwrap_or(NonZeroUsize::MIN)
    }

    fn may_fragment(&self) -> bool {
        [&self.v4, &self.v6].into_iter().flatten().any(|family| family.state.may_fragment())
    }
}

impl Family {
    fn poll_recv(
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
}

struct Sender {
    sockets: Sockets,
    blocked: Option<Pin<Box<dyn Future<Output = io::Result<()>> + Send + Sync>>>,
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl UdpSender for Sender {
    fn poll_send(
        mut self: Pin<&mut Self>,
        transmit: &Transmit<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(family) = self.sockets.for_destination(&transmit.destination).cloned() else {
            // No socket of that family: to QUIC it is a lost packet.
            return Poll::Ready(Ok(()));
        };
        loop {
            if let Some(blocked) = &mut self.blocked {
                ready!(blocked.as_mut().poll(cx))?;
                self.blocked = None;
            }
            let sent =
                family.io.try_io(Interest::WRITABLE, || family.state.try_send((&family.io).into(), transmit));
            match sent {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let family = Arc::clone(&family);
                    self.blocked = Some(Box::pin(async move { family.io.writable().await }));
                }
                Err(error) => {
                    // Too large for the path, unreachable, refused: QUIC finds out by the silence.
                    tracing::trace!(%error, destination = %transmit.destination, "packet not sent");
                    return Poll::Ready(Ok(()));
                }
                Ok(()) => return Poll::Ready(Ok(())),
            }
        }
    }

    fn max_transmit_segments(&self) -> NonZeroUsize {
        self.sockets.segments(UdpSocketState::max_gso_segments)
    }
}

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

/// Whether a packet can be QUIC of ours.
fn is_ours(packet: &[u8]) -> bool {
    let Some(first) = packet.first() else { return false };
    if first & 0x40 == 0 {
        return false;
    }
    if first & 0x80 == 0 {
        return true;
    }
    let version = packet.get(1..5).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
    let id = packet.get(5).copied().unwrap_or_default();
    version == Some(QUIC_VERSION) && (CONNECTION_ID_LEN..=CONNECTION_ID_MAX).contains(&id)
}

/// Drop the segments of one received batch that are not ours; returns how many.
fn keep_ours(buf: &mut [u8], meta: &mut RecvMeta) -> u64 {
    let stride = meta.stride.max(1);
    let batch = &mut buf[..meta.len];
    if batch.chunks(stride).all(is_ours) {
        return 0;
    }
    let (mut from, mut to, mut dropped) = (0, 0, 0);
    while from < batch.len() {
        let end = (from + stride).min(batch.len());
        if is_ours(&batch[from..end]) {
            batch.copy_within(from..end, to);
            to += end - from;
        } else {
            dropped += 1;
        }
        from = end;
    }
    meta.len = to;
    dropped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long(version: u32, id: u8) -> Vec<u8> {
        let mut packet = vec![0xc0];
        packet.extend_from_slice(&version.to_be_bytes());
        packet.push(id);
        packet.resize(32, 0);
        packet
    }

    #[test]
    fn only_our_version_and_plausible_ids_pass() {
        assert!(is_ours(&long(QUIC_VERSION, 8)) && is_ours(&long(QUIC_VERSION, 20)));
        for foreign in [long(1, 8), long(0, 8), long(QUIC_VERSION, 7), long(QUIC_VERSION, 21)] {
            assert!(!is_ours(&foreign));
        }
        assert!(is_ours(&[0x40, 1, 2]) && !is_ours(&[0x3f; 40]) && !is_ours(&[]) && !is_ours(&[0xc0, 1]));
    }

    #[test]
    fn a_mixed_batch_keeps_its_good_segments_in_order() {
        let mut batch = Vec::new();
        for first in [0x41u8, 0x01, 0x42, 0x02, 0x43] {
            batch.extend_from_slice(&[first; 4]);
        }
        batch.truncate(18);
        let mut meta = RecvMeta::default();
        (meta.len, meta.stride) = (18, 4);
        assert_eq!(keep_ours(&mut batch, &mut meta), 2);
        assert_eq!(batch[..meta.len], [0x41, 0x41, 0x41, 0x41, 0x42, 0x42, 0x42, 0x42, 0x43, 0x43]);
    }
}
