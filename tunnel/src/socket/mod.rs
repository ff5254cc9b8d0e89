//! What noq sends and receives packets by.
//!
//! Behind one [`noq::AsyncUdpSocket`] are a UDP socket per address family (`udp`), the relays of this node's
//! managers and TLS connections that carry datagrams. noq knows a way by a [`Place`]'s address (`mapped`);
//! what there is of them is kept in `ways`.
//!
//! A packet arrives: what is neither QUIC of ours nor a frame (`filter`) is dropped and counted; a frame
//! from a manager loses its header and becomes a packet from a relayed peer; on a manager the relay's
//! [`Switch`] takes the frames out first. A packet leaves: for a relayed peer each segment gets its header, for
//! a peer that is being dialled it goes to every address known so far, and for an address that nobody may
//! send to (`ways`) it is dropped, whatever noq was told by whom.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::{Ipv6Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use noq::{AsyncUdpSocket, UdpSender};
use noq_udp::{RecvMeta, Transmit};
use tokio::sync::mpsc;

mod filter;
mod mapped;
mod neighbours;
mod udp;
mod ways;

pub use mapped::Place;
pub use udp::{SOCKET_BUFFER, any_interface};
pub use ways::{CARRIER_QUEUE, Carrier, CarrierInlet};
pub(crate) use ways::{Ways, allowed};

use crate::relay::Switch;
use crate::relay::frame::{self, Frame, HEADER, Kind, run_at};
use crate::relay::serve::{Outbox, Parcel};
use udp::{Families, WouldBlock, Writable};

/// Frames other than data that wait for whoever handles them; further ones are dropped.
const FRAMES_QUEUE: usize = 256;

/// Runs of packets that were cut out of mixed batches and wait for noq; further ones are lost.
const CUT_MAX: usize = 256;

/// A frame that is no data, and where it came from.
pub type Heard = (SocketAddr, Bytes);

/// What noq receives by.
#[derive(Debug)]
pub(crate) struct Mux {
    udp: Families,
    ways: Arc<Ways>,
    carried: mpsc::Receiver<(SocketAddr, Bytes)>,
    relay: Option<Switch>,
    frames: mpsc::Sender<Heard>,
    cut: VecDeque<Run>,
    turn: usize,
}

/// Packets of one place that arrived among others.
#[derive(Debug)]
struct Run {
    from: SocketAddr,
    stride: usize,
    packets: Vec<u8>,
}

/// The sending side, for what is not a connection of noq.
#[derive(Debug, Clone)]
pub(crate) struct Outlet {
    udp: Families,
    ways: Arc<Ways>,
}

impl Mux {
    /// Bind to `addresses`, at most one of each family; any other port when one is taken and `fallback`
    /// allows it. Also returns the sending side, and what frames are heard.
    pub(crate) fn bind(
        addresses: &[SocketAddr],
        fallback: bool,
        relay: Option<Switch>,
    ) -> io::Result<(Self, Outlet, mpsc::Receiver<Heard>)> {
        let udp = Families::bind(addresses, fallback)?;
        let (ways, carried) = Ways::new();
        let (frames, heard) = mpsc::channel(FRAMES_QUEUE);
        let outlet = Outlet { udp: udp.clone(), ways: Arc::clone(&ways) };
        Ok((Self { udp, ways, carried, relay, frames, cut: VecDeque::new(), turn: 0 }, outlet, heard))
    }

    fn poll_any(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        // Turn and turn about, so that a flood on one of them does not starve the others.
        self.turn = (self.turn + 1) % 3;
        for source in [self.turn, (self.turn + 1) % 3, (self.turn + 2) % 3] {
            let received = match source {
                2 => self.poll_carried(cx, bufs, meta).map(Ok),
                index => match self.udp.each().nth(index) {
                    Some(family) => {
                        let received = family.poll_recv(cx, bufs, meta);
                        if let Poll::Ready(Ok(count)) = received {
                            self.ways.foreign.fetch_add(keep_udp(&mut meta[..count]), Ordering::Relaxed);
                        }
                        received
                    }
                    None => Poll::Pending,
                },
            };
            if received.is_ready() {
                return received;
            }
        }
        Poll::Pending
    }

    fn poll_carried(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<usize> {
        let mut count = 0;
        for (buf, meta) in bufs.iter_mut().zip(meta.iter_mut()) {
            let Poll::Ready(Some((from, datagram))) = self.carried.poll_recv(cx) else { break };
            // Longer than any packet of QUIC: lost.
            let len = if datagram.len() <= buf.len() { datagram.len() } else { 0 };
            buf[..len].copy_from_slice(&datagram[..len]);
            *meta = RecvMeta::default();
            (meta.addr, meta.len, meta.stride) = (from, len, len);
            count += 1;
        }
        if count > 0 { Poll::Ready(count) } else { Poll::Pending }
    }

    /// Forward the relay's frames of one round.
    fn relay(&mut self, bufs: &mut [IoSliceMut<'_>], meta: &mut [RecvMeta]) {
        let Some(relay) = &mut self.relay else { return };
        let (udp, ways) = (&self.udp, &self.ways);
        let mut outbox = Outbox::new(|parcel: &Parcel<'_>| forward(udp, ways, parcel));
        let now = Instant::now();
        for (buf, meta) in bufs.iter_mut().zip(meta.iter_mut()) {
            outbox.mark(meta.ecn);
            let sender = Place::of(meta.addr).direct().unwrap_or(meta.addr);
            // Before it is answered.
            ways.meet(sender);
            meta.len = relay.forward_into(now, sender, &mut buf[..meta.len], meta.stride, &mut outbox);
        }
        outbox.flush(relay.counters());
    }

    /// Make of what arrived in one buffer what noq may see.
    fn sort(&mut self, buf: &mut [u8], meta: &mut RecvMeta) {
        let from = Place::of(meta.addr);
        if let Place::Direct(address) = from {
            self.ways.meet(address);
        }
        meta.addr = from.address();
        let sender = from.direct().unwrap_or(meta.addr);
        if buf[..meta.len].chunks(meta.stride.max(1)).any(filter::is_frame) {
            self.take_frames(sender, buf, meta);
        }
        let (kept, foreign) = filter::retain(&mut buf[..meta.len], meta.stride, filter::is_ours);
        meta.len = kept;
        if foreign > 0 {
            self.ways.foreign.fetch_add(foreign, Ordering::Relaxed);
        }
        if buf[..kept].chunks(meta.stride.max(1)).any(filter::is_retry) {
            self.ways.narrow(Place::of(meta.addr));
        }
    }

    /// Take the frames out of a batch. One that is nothing but data of one channel stays where it is and
    /// becomes a batch of the relayed peer.
    fn take_frames(&mut self, sender: SocketAddr, buf: &mut [u8], meta: &mut RecvMeta) {
        let (stride, len) = (meta.stride.max(1), meta.len);
        let slot = self.ways.slot_of(sender);
        let (mut at, mut kept) = (0, 0);
        while let Some(run) = run_at(&buf[..len], stride, at) {
            at = run.range.end;
            match (run.kind, slot) {
                (Kind::Data(channel), Some(slot)) => {
                    let from = Place::Relay { slot, channel }.address();
                    let payload = frame::strip(&mut buf[run.range.clone()], stride);
                    if run.range == (0..len) {
                        (meta.addr, meta.len, meta.dst_ip) = (from, payload, None);
                        meta.stride = stride.min(len) - HEADER;
                        return;
                    }
                    let start = run.range.start;
                    self.cut_out(from, &buf[start..start + payload], stride - HEADER);
                }
                (Kind::Other, _) => self.hear(sender, &buf[run.range]),
                (Kind::Quic, _) => {
                    let length = run.range.len();
                    buf.copy_within(run.range, kept);
                    kept += length;
                }
                (Kind::Data(_), None) | (Kind::Junk, _) => {
                    let packets = run.range.len().div_ceil(stride);
                    self.ways.foreign.fetch_add(packets as u64, Ordering::Relaxed);
                }
            }
        }
        meta.len = kept;
    }

    /// Pass on a frame that is no data. Each of them is only a hint, sent again when it matters.
    fn hear(&self, sender: SocketAddr, packet: &[u8]) {
        match Frame::parse(packet) {
            Some(Frame::Gone { .. } | Frame::Ask { .. } | Frame::Seen { .. }) => {
                let _ = self.frames.try_send((sender, Bytes::copy_from_slice(packet)));
            }
            Some(Frame::Punch | Frame::Data { .. }) | None => {}
        }
    }

    fn cut_out(&mut self, from: SocketAddr, packets: &[u8], stride: usize) {
        if self.cut.len() < CUT_MAX {
            self.cut.push_back(Run { from, stride, packets: packets.to_vec() });
        }
    }

    /// Hand out what was cut out of earlier batches.
    fn hand_out(&mut self, bufs: &mut [IoSliceMut<'_>], meta: &mut [RecvMeta]) -> usize {
        let mut count = 0;
        for (buf, meta) in bufs.iter_mut().zip(meta.iter_mut()) {
            let Some(run) = self.cut.pop_front() else { break };
            let len = run.packets.len().min(buf.len());
            buf[..len].copy_from_slice(&run.packets[..len]);
            let (kept, foreign) = filter::retain(&mut buf[..len], run.stride, filter::is_ours);
            self.ways.foreign.fetch_add(foreign, Ordering::Relaxed);
            *meta = RecvMeta::default();
            (meta.addr, meta.len, meta.stride) = (run.from, kept, run.stride);
            count += 1;
        }
        count
    }
}

impl AsyncUdpSocket for Mux {
    fn create_sender(&self) -> Pin<Box<dyn UdpSender>> {
        let outlet = Outlet { udp: self.udp.clone(), ways: Arc::clone(&self.ways) };
        Box::pin(Sender { outlet, blocked: None, framed: Vec::new() })
    }

    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        if !self.cut.is_empty() {
            return Poll::Ready(Ok(self.hand_out(bufs, meta)));
        }
        let count = ready!(self.poll_any(cx, bufs, meta))?;
        self.relay(&mut bufs[..count], &mut meta[..count]);
        for (buf, meta) in bufs.iter_mut().zip(meta.iter_mut()).take(count) {
            self.sort(buf, meta);
        }
        // Also when all of it was for others: noq counts rounds, so that everybody gets a turn.
        Poll::Ready(Ok(count))
    }

    /// Always of IPv6, because every place is shown as one.
    fn local_addr(&self) -> io::Result<SocketAddr> {
        let port = self.udp.addresses().first().map_or(0, SocketAddr::port);
        Ok(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)))
    }

    fn max_receive_segments(&self) -> NonZeroUsize {
        self.udp.receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.udp.may_fragment()
    }
}

impl Outlet {
    /// The bound addresses.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.udp.addresses()
    }

    /// What is known beyond UDP.
    pub(crate) fn ways(&self) -> &Arc<Ways> {
        &self.ways
    }

    /// Whether an address of that family can be sent to.
    pub(crate) fn reaches(&self, address: &SocketAddr) -> bool {
        self.udp.towards(address).is_some()
    }

    /// Packets dropped because they were nothing we speak, and packets that did not leave because nobody may
    /// send there.
    pub(crate) fn dropped(&self) -> (u64, u64) {
        (self.ways.foreign.load(Ordering::Relaxed), self.ways.withheld.load(Ordering::Relaxed))
    }

    /// A dialled peer may be at `target` too: send it what the other places got.
    pub(crate) fn add_target(&self, dial: u64, target: Place) {
        for datagram in self.ways.add_target(dial, target) {
            self.send(target, &datagram, datagram.len());
        }
    }

    /// Send now or never: what the socket has no room for is lost.
    pub(crate) fn send(&self, to: Place, packets: &[u8], stride: usize) {
        let mut framed = Vec::new();
        let transmit = Transmit {
            destination: to.address(),
            ecn: None,
            contents: packets,
            segment_size: Some(stride).filter(|stride| *stride < packets.len()),
            src_ip: None,
        };
        // Lost, as any packet may be.
        let _ = self.try_send(&transmit, &mut framed);
    }

    /// Send to wherever `transmit` says; on the way to a relay the packets are framed in `framed`.
    fn try_send(&self, transmit: &Transmit<'_>, framed: &mut Vec<u8>) -> Result<(), Blocked> {
        let segment = transmit.segment_size.unwrap_or(transmit.contents.len());
        match Place::of(transmit.destination) {
            Place::Direct(address) => self.try_udp(address, transmit, transmit.contents, segment),
            Place::Carrier(number) => {
                self.ways.carry(number, transmit.contents, segment);
                Ok(())
            }
            Place::Relay { slot, channel } => {
                let Some(manager) = self.ways.manager(slot) else { return Ok(()) };
                let framed_segment = frame::wrap(transmit.contents, segment, channel, framed);
                match Place::of(manager) {
                    Place::Carrier(number) => {
                        self.ways.carry(number, framed, framed_segment);
                        Ok(())
                    }
                    Place::Direct(address) => {
                        let unbound = Transmit { src_ip: None, ecn: None, ..*transmit };
                        self.try_udp(address, &unbound, framed, framed_segment)
                    }
                    Place::Relay { .. } | Place::Dial(_) => Ok(()),
                }
            }
            Place::Dial(number) => {
                for target in self.ways.targets(number, transmit.contents, segment) {
                    if !matches!(target, Place::Dial(_)) {
                        self.send(target, transmit.contents, segment);
                    }
                }
                Ok(())
            }
        }
    }

    fn try_udp(
        &self,
        address: SocketAddr,
        transmit: &Transmit<'_>,
        contents: &[u8],
        segment: usize,
    ) -> Result<(), Blocked> {
        if !self.ways.permits(address) {
            self.ways.withheld.fetch_add(1, Ordering::Relaxed);
            tracing::trace!(%address, "nothing may be sent there");
            return Ok(());
        }
        // No socket of that family: to QUIC it is a lost packet.
        let Some(family) = self.udp.towards(&address) else { return Ok(()) };
        let transmit = Transmit {
            destination: address,
            ecn: transmit.ecn,
            contents,
            segment_size: transmit.segment_size.map(|_| segment),
            src_ip: transmit.src_ip.filter(|ip| ip.is_ipv4() == address.is_ipv4()),
        };
        family.try_send(&transmit).map_err(|WouldBlock| Blocked(family.writable()))
    }
}

/// Drop what claims to come from an address that stands for something else than a UDP address: only this socket
/// itself may say so. Returns how many packets.
fn keep_udp(meta: &mut [RecvMeta]) -> u64 {
    let mut dropped = 0;
    for meta in meta.iter_mut().filter(|meta| Place::of(meta.addr).direct().is_none()) {
        dropped += meta.len.div_ceil(meta.stride.max(1)) as u64;
        meta.len = 0;
    }
    dropped
}

/// Send packets of the relay, now or never.
fn forward(udp: &Families, ways: &Ways, parcel: &Parcel<'_>) -> io::Result<()> {
    match Place::of(parcel.to) {
        Place::Direct(address) if ways.permits(address) => match udp.towards(&address) {
            Some(family) => family.forward(parcel),
            None => Err(io::ErrorKind::AddrNotAvailable.into()),
        },
        Place::Direct(_) => {
            ways.withheld.fetch_add(1, Ordering::Relaxed);
            Err(io::ErrorKind::PermissionDenied.into())
        }
        Place::Carrier(number) => {
            parcel.pieces.iter().for_each(|piece| ways.carry(number, piece, parcel.stride));
            Ok(())
        }
        Place::Relay { .. } | Place::Dial(_) => Err(io::ErrorKind::AddrNotAvailable.into()),
    }
}

/// Resolves when what could not be sent may be tried again.
struct Blocked(Writable);

struct Sender {
    outlet: Outlet,
    blocked: Option<Writable>,
    framed: Vec<u8>,
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
        let this = &mut *self;
        loop {
            if let Some(blocked) = &mut this.blocked {
                ready!(blocked.as_mut().poll(cx))?;
                this.blocked = None;
            }
            match this.outlet.try_send(transmit, &mut this.framed) {
                Ok(()) => return Poll::Ready(Ok(())),
                Err(Blocked(writable)) => this.blocked = Some(writable),
            }
        }
    }

    fn max_transmit_segments(&self) -> NonZeroUsize {
        self.outlet.udp.send_segments()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_that_claims_to_come_from_a_mapped_address_is_dropped() {
        let places = [
            Place::Carrier(3),
            Place::Relay { slot: 1, channel: 9 },
            Place::Dial(1),
            Place::Direct(SocketAddr::from(([192, 0, 2, 1], 4433))),
        ];
        let mut received = [RecvMeta::default(); 4];
        for (meta, place) in received.iter_mut().zip(places) {
            (meta.addr, meta.len, meta.stride) = (place.address(), 25, 10);
        }
        assert_eq!(keep_udp(&mut received), 9);
        assert_eq!(received.map(|meta| meta.len), [0, 0, 0, 25]);
    }
}
