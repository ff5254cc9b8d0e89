//! From the switch to a socket, in as few sends as the kernel allows.
//!
//! A round is what one receive call has brought: up to 32 batches, each of one sender. [`Outbox`] holds what the switch wants
//! sent until the round is over, and joins what goes to one address: a busy relay finds several
//! batches of a sender in a round and makes one send of them, while an idle one finds one and waits for nothing. Nothing is
//! copied; the kernel gathers the pieces from the buffers they were received in.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd as _};
use std::sync::atomic::Ordering;

use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};
use noq_udp::{EcnCodepoint, Transmit, UdpSocketState};

use super::{Counters, Outlet};

/// UDP payload of one send, at most, whatever the family: an IPv4 packet's 65,535 bytes less its headers. A batch
/// that came by IPv6 may hold 20 more.
const MAX_SEND: usize = 65_507;

/// Packets of one send, at most: the kernel's limit (`UDP_MAX_SEGMENTS`).
const MAX_PACKETS: usize = 64;

/// Packets for one address, to be sent at once.
#[derive(Debug)]
pub struct Parcel<'b> {
    /// Where they go.
    pub to: SocketAddr,
    /// The mark they came with, so that a congested hop before the relay is heard of behind it.
    pub ecn: Option<EcnCodepoint>,
    /// Bytes of each packet, except the last, which may be shorter. Each piece but the last is a multiple of it.
    pub stride: usize,
    /// The packets, back to back.
    pub pieces: Vec<IoSlice<'b>>,
    bytes: usize,
    packets: usize,
}

/// Joins what the switch forwards in one round; see the module.
///
/// Made for the round; [`Self::mark`] and [`Switch::forward_into`](super::Switch::forward_into) for each batch; then
/// [`Self::flush`].
#[derive(Debug)]
pub struct Outbox<'b, S> {
    parcels: Vec<Parcel<'b>>,
    ecn: Option<EcnCodepoint>,
    send: S,
}

impl<'b, S: FnMut(&Parcel<'_>) -> io::Result<()>> Outbox<'b, S> {
    /// `send` finds the socket, for instance by the address' family, and does [`send`].
    pub fn new(send: S) -> Self {
        Self { parcels: Vec::new(), ecn: None, send }
    }

    /// The mark of the batch that comes next.
    pub fn mark(&mut self, ecn: Option<EcnCodepoint>) {
        self.ecn = ecn;
    }

    /// The round is over: send everything. What the socket refuses is lost. It has been charged, as what is lost on
    /// the further way is, and is counted as dropped.
    pub fn flush(mut self, counters: &Counters) {
        for parcel in &self.parcels {
            if let Err(error) = (self.send)(parcel) {
                let blocked = error.kind() == io::ErrorKind::WouldBlock;
                let counter = if blocked { &counters.blocked } else { &counters.failed };
                counter.fetch_add(parcel.packets as u64, Ordering::Relaxed);
                tracing::trace!(%error, to = %parcel.to, "not forwarded");
            }
        }
    }
}

impl<'b, S: FnMut(&Parcel<'_>) -> io::Result<()>> Outlet<'b> for Outbox<'b, S> {
    fn data(&mut self, to: SocketAddr, packets: &'b [u8], stride: usize) -> io::Result<()> {
        let mut parcel = Parcel::new(to, self.ecn, packets, stride);
        // The latest for that address, so that nothing overtakes.
        match self.parcels.iter_mut().rev().find(|before| before.to == to) {
            Some(before) if before.takes(&parcel) => {
                before.pieces.append(&mut parcel.pieces);
                before.bytes += parcel.bytes;
                before.packets += parcel.packets;
            }
            Some(_) | None => self.parcels.push(parcel),
        }
        Ok(())
    }

    fn answer(&mut self, to: SocketAddr, packet: &[u8]) -> io::Result<()> {
        (self.send)(&Parcel::new(to, None, packet, packet.len()))
    }
}

impl<'b> Parcel<'b> {
    /// Of one piece.
    pub fn new(to: SocketAddr, ecn: Option<EcnCodepoint>, packets: &'b [u8], stride: usize) -> Self {
        let stride = stride.max(1);
        let (bytes, count) = (packets.len(), packets.len().div_ceil(stride));
        Self { to, ecn, stride, pieces: vec![IoSlice::new(packets)], bytes, packets: count }
    }

    /// Whether `more`, for the same address, can go in the same send.
    fn takes(&self, more: &Self) -> bool {
        // A single packet may be the short last one.
        let alike = self.stride == more.stride || (more.packets == 1 && more.stride < self.stride);
        alike
            && self.ecn == more.ecn
            && self.bytes == self.packets * self.stride
            && self.bytes + more.bytes <= MAX_SEND
            && self.packets + more.packets <= MAX_PACKETS
    }
}

/// Send a parcel. Never waits: what finds no room is an error of kind `WouldBlock`, and UDP that is lost.
pub fn send(socket: &impl AsFd, state: &UdpSocketState, parcel: &Parcel<'_>) -> io::Result<()> {
    let whole = parcel.bytes <= MAX_SEND && parcel.packets <= state.max_gso_segments().get();
    if parcel.pieces.len() > 1 && whole {
        match send_gathered(socket, parcel) {
            // No segmentation on this way. `state` is to learn it, so that it is not tried again.
            Err(Errno::EIO | Errno::EINVAL) => {}
            done => return Ok(done?),
        }
    }
    // One piece goes in one send, unless the system has turned segmentation off meanwhile.
    let together = state.max_gso_segments().get().min(MAX_SEND / parcel.stride).max(1);
    let parts = parcel.pieces.iter().flat_map(|piece| piece.chunks(parcel.stride.saturating_mul(together)));
    for contents in parts {
        let transmit = Transmit {
            destination: parcel.to,
            ecn: parcel.ecn,
            contents,
            segment_size: Some(parcel.stride),
            src_ip: None,
        };
        state.try_send(socket.into(), &transmit)?;
    }
    Ok(())
}

fn send_gathered(socket: &impl AsFd, parcel: &Parcel<'_>) -> Result<(), Errno> {
    let to = SockaddrStorage::from(parcel.to);
    let stride = u16::try_from(parcel.stride).map_err(|_| Errno::EMSGSIZE)?;
    let ecn = parcel.ecn.map_or(0, |ecn| ecn as u8);
    let class = i32::from(ecn);
    let mark = match parcel.to {
        SocketAddr::V4(_) => ControlMessage::Ipv4Tos(&ecn),
        SocketAddr::V6(_) => ControlMessage::Ipv6TClass(&class),
    };
    let control = [mark, ControlMessage::UdpGsoSegments(&stride)];
    sendmsg(socket.as_fd().as_raw_fd(), &parcel.pieces, &control, MsgFlags::empty(), Some(&to))?;
    Ok(())
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;
