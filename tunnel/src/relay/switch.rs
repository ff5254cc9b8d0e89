//! The relay's core: from whom, to whom, and not a byte more.
//!
//! [`Switch::forward`] is called with each received batch. It first does what the owner has told (and, now and
//! then, ends idle channels), then walks the batch run by run. A run of data frames is looked up once; it goes on
//! only if it comes from the address that end is bound to and if the budget is not spent. Its frames get the other end's id
//! and leave for the other end's address in one send. What is left in the batch is QUIC.
//!
//! An attacker may send anything from anywhere. Ids are 64 random bits, so he does not guess one; would he
//! know one, he would have to send from its node's address as well. He chooses what is looked up, and could
//! time how long that takes; the table's hash is keyed with a secret (the standard library's), which costs
//! nothing beside the system call that brought the packet. Packets that find no channel are counted and not answered: to
//! a scanner there is nothing here. Who knows an id and comes from elsewhere hears a `gone` that is shorter than his
//! packet, and who proves that he knows this relay's key ([`Switch::answering`]) where he is seen,
//! [`ANSWERS_PER_SECOND`] times in all.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use coconet::id::StaticKey;
use tokio::sync::mpsc;

use super::control::{
    Budget, COMMANDS, Command, Counters, MAX_CHANNELS, STRANGERS, Seat, Shared, Stranger, SwitchControl,
    canonical,
};
use super::frame::{self, Frame, HEADER, Kind};

/// A channel that carries nothing for so long ends. Longer than any pause a relayed path has, its keep-alives being more frequent.
pub const IDLE: Duration = Duration::from_secs(600);

/// Answers to strangers in a second, `gone` and `seen` together. After a restart each node in the middle of something
/// wants one; more than this would make us somebody's mirror.
pub const ANSWERS_PER_SECOND: u32 = 1000;

/// An open channel used from a foreign address is reported, and answered, so often.
pub const STRANGER_EVERY: Duration = Duration::from_secs(1);

/// Between two looks for idle channels: a pass over [`MAX_CHANNELS`] takes about a millisecond.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// A switch without channels, its control, and where it reports strangers.
pub fn switch(now: Instant) -> (Switch, SwitchControl, mpsc::Receiver<Stranger>) {
    let (commands, told) = mpsc::channel(COMMANDS);
    let (strangers, reported) = mpsc::channel(STRANGERS);
    let shared = Arc::<Shared>::default();
    let control = SwitchControl::new(commands, Arc::clone(&shared));
    let answers = Allowance { left: ANSWERS_PER_SECOND, since: now };
    let switch = Switch {
        ports: HashMap::new(),
        told,
        strangers,
        shared,
        answers,
        key: None,
        looked: now,
        answer: Vec::with_capacity(frame::ASK_LEN),
        quic: Vec::new(),
    };
    (switch, control, reported)
}

/// Forwards; see the module.
#[derive(Debug)]
pub struct Switch {
    ports: HashMap<u64, Port>,
    told: mpsc::Receiver<Command>,
    strangers: mpsc::Sender<Stranger>,
    shared: Arc<Shared>,
    answers: Allowance,
    key: Option<StaticKey>,
    looked: Instant,
    answer: Vec<u8>,
    quic: Vec<u8>,
}

/// Where a switch's packets go.
pub trait Outlet<'b> {
    /// Packets of a channel for a bound address, back to back, each `stride` long except the last. They stay as they are until the
    /// received batch is given back.
    fn data(&mut self, to: SocketAddr, packets: &'b [u8], stride: usize) -> io::Result<()>;

    /// An answer for the sender of the batch.
    fn answer(&mut self, to: SocketAddr, packet: &[u8]) -> io::Result<()>;
}

struct AtOnce<F>(F);

impl<F: FnMut(SocketAddr, &[u8], usize) -> io::Result<()>> Outlet<'_> for AtOnce<F> {
    fn data(&mut self, to: SocketAddr, packets: &[u8], stride: usize) -> io::Result<()> {
        (self.0)(to, packets, stride)
    }

    fn answer(&mut self, to: SocketAddr, packet: &[u8]) -> io::Result<()> {
        (self.0)(to, packet, packet.len())
    }
}

/// One end of a channel, found by the id its node uses.
#[derive(Debug)]
struct Port {
    /// Whose frames these are.
    bound: SocketAddr,
    /// Where they go, and by which id they are known there.
    to: SocketAddr,
    peer: u64,
    seat: Seat,
    /// The other end's.
    receiver: Arc<super::Meter>,
    budget: Arc<Budget>,
    used: Instant,
    reported: Option<Instant>,
}

impl Switch {
    /// Tell those who know `key`, which is this relay's public one, where they are seen.
    #[must_use]
    pub fn answering(mut self, key: StaticKey) -> Self {
        self.key = Some(key);
        self
    }

    /// Take the relay's frames out of a received batch and forward them.
    ///
    /// To be called with every batch, since it also does what the control has told. `send` is given an address and packets for it,
    /// back to back, each as long as the last argument says except the last one; what it refuses is lost,
    /// counted and not charged. It is asked only for addresses bound to an open channel and, with answers
    /// no longer than the question, for `from`. Returns how many bytes of QUIC are now at the front of the
    /// batch, with the stride as before.
    pub fn forward(
        &mut self,
        now: Instant,
        from: SocketAddr,
        batch: &mut [u8],
        stride: usize,
        send: impl FnMut(SocketAddr, &[u8], usize) -> io::Result<()>,
    ) -> usize {
        self.forward_into(now, from, batch, stride, &mut AtOnce(send))
    }

    /// The same for an outlet that may keep the packets for a while.
    pub fn forward_into<'b>(
        &mut self,
        now: Instant,
        from: SocketAddr,
        batch: &'b mut [u8],
        stride: usize,
        outlet: &mut impl Outlet<'b>,
    ) -> usize {
        self.tend(now);
        let (from, stride) = (canonical(from), stride.max(1));
        let quic = self.quic_first(batch, stride);
        let (_, mut rest) = batch.split_at_mut(quic);
        while let Some(run) = frame::run_at(rest, stride, 0) {
            let (packets, behind) = std::mem::take(&mut rest).split_at_mut(run.range.end);
            rest = behind;
            match run.kind {
                Kind::Data(channel) => self.data(now, from, channel, packets, stride, outlet),
                Kind::Other => self.other(now, from, packets, outlet),
                // QUIC is all in front.
                Kind::Quic | Kind::Junk => add(&self.counters().junk, packets.len().div_ceil(stride)),
            }
        }
        quic
    }

    /// Bring QUIC to the front; how many bytes it has. Only a mixed batch is copied.
    fn quic_first(&mut self, batch: &mut [u8], stride: usize) -> usize {
        match frame::run_at(batch, stride, 0) {
            Some(run) if run.kind == Kind::Quic && run.range.end == batch.len() => return batch.len(),
            Some(_) | None => self.quic.clear(),
        }
        let (mut at, mut others) = (0, 0);
        while let Some(run) = frame::run_at(batch, stride, at) {
            at = run.range.end;
            if run.kind == Kind::Quic {
                self.quic.extend_from_slice(&batch[run.range]);
                continue;
            }
            let length = run.range.len();
            if run.range.start != others {
                batch.copy_within(run.range, others);
            }
            others += length;
        }
        batch.copy_within(..others, self.quic.len());
        batch[..self.quic.len()].copy_from_slice(&self.quic);
        self.quic.len()
    }

    fn data<'b>(
        &mut self,
        now: Instant,
        from: SocketAddr,
        channel: u64,
        frames: &'b mut [u8],
        stride: usize,
        outlet: &mut impl Outlet<'b>,
    ) {
        let counters = &self.shared.counters;
        let packets = frames.len().div_ceil(stride);
        let Some(port) = self.ports.get_mut(&channel) else {
            // No answer: whoever does not know this relay's key, or an id, hears nothing of it.
            return add(&counters.unknown, packets);
        };
        if port.bound != from {
            add(&counters.unbound, packets);
            if port.reported.is_none_or(|at| now.saturating_duration_since(at) >= STRANGER_EVERY) {
                port.reported = Some(now);
                // Full: lost, and reported again by the next packet after a second.
                let _ = self.strangers.try_send(Stranger { channel, from });
                self.answer(now, from, &Frame::Gone { channel }, outlet);
            }
            return;
        }
        if port.budget.is_spent() {
            return add(&counters.spent, packets);
        }
        port.used = now;
        let id = port.peer.to_be_bytes();
        for frame in frames.chunks_mut(stride) {
            // A run of data frames has a whole header in each.
            frame[1..HEADER].copy_from_slice(&id);
        }
        let bytes = frames.len() - packets * HEADER;
        match outlet.data(port.to, frames, stride) {
            Ok(()) => {
                add(&counters.packets, packets);
                add(&counters.bytes, bytes);
                add(&port.seat.meter.sent, bytes);
                add(&port.receiver.received, bytes);
                add(&port.budget.used, bytes);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => add(&counters.blocked, packets),
            Err(error) => {
                add(&counters.failed, packets);
                tracing::trace!(%error, to = %port.to, "not forwarded");
            }
        }
    }

    fn other<'b>(&mut self, now: Instant, from: SocketAddr, packet: &[u8], outlet: &mut impl Outlet<'b>) {
        match Frame::parse(packet) {
            Some(Frame::Ask { token, proof }) => {
                if self.key.is_some_and(|key| frame::proves(&key, token, &proof)) {
                    self.answer(now, from, &Frame::Seen { token, address: from }, outlet);
                } else {
                    add(&self.counters().junk, 1);
                }
            }
            // It has done its work on the way.
            Some(Frame::Punch) => {}
            Some(Frame::Data { .. } | Frame::Gone { .. } | Frame::Seen { .. }) | None => {
                add(&self.counters().junk, 1);
            }
        }
    }

    fn answer<'b>(&mut self, now: Instant, to: SocketAddr, frame: &Frame<'_>, outlet: &mut impl Outlet<'b>) {
        if !self.answers.take(now) {
            return add(&self.counters().unanswered, 1);
        }
        self.answer.clear();
        frame.encode(&mut self.answer);
        // Unsent, it is asked for again.
        if outlet.answer(to, &self.answer).is_ok() {
            add(&self.counters().answers, 1);
        }
    }

    /// Do what the owner has told; end idle channels.
    fn tend(&mut self, now: Instant) {
        while let Ok(command) = self.told.try_recv() {
            match command {
                Command::Open { ids, addresses, seats, budget } => {
                    self.open(now, ids, addresses, seats, &budget);
                }
                Command::Rebind { channel, address } => self.rebind(channel, address),
                Command::Close { channel } => drop(self.remove(channel)),
            }
        }
        if now.saturating_duration_since(self.looked) >= LOOK_EVERY {
            self.looked = now;
            self.expire(now);
        }
    }

    fn open(
        &mut self,
        now: Instant,
        ids: [u64; 2],
        addresses: [SocketAddr; 2],
        seats: [Seat; 2],
        budget: &Arc<Budget>,
    ) {
        if self.ports.get(&ids[0]).is_some_and(|port| port.peer == ids[1]) {
            self.remove(ids[0]);
        }
        if ids[0] == ids[1] || ids.iter().any(|id| self.ports.contains_key(id)) {
            // Once in the life of the universe; its nodes hear that it is gone.
            return;
        }
        let meters = [1, 0].map(|other: usize| Arc::clone(&seats[other].meter));
        for (((seat, receiver), own), other) in seats.into_iter().zip(meters).zip([0, 1]).zip([1, 0]) {
            let port = Port {
                bound: addresses[own],
                to: addresses[other],
                peer: ids[other],
                seat,
                receiver,
                budget: Arc::clone(budget),
                used: now,
                reported: None,
            };
            self.ports.insert(ids[own], port);
        }
    }

    fn rebind(&mut self, channel: u64, address: SocketAddr) {
        let Some(port) = self.ports.get_mut(&channel) else { return };
        port.bound = address;
        let peer = port.peer;
        if let Some(other) = self.ports.get_mut(&peer) {
            other.to = address;
        }
    }

    fn remove(&mut self, channel: u64) -> Option<(u64, u64)> {
        let port = self.ports.remove(&channel)?;
        self.ports.remove(&port.peer);
        Some((channel, port.peer))
    }

    fn expire(&mut self, now: Instant) {
        let idle = |port: &Port| now.saturating_duration_since(port.used) >= IDLE;
        let both = |port: &Port| idle(port) && self.ports.get(&port.peer).is_none_or(idle);
        let ended: Vec<u64> = self.ports.iter().filter(|(_, port)| both(port)).map(|(id, _)| *id).collect();
        let pairs: Vec<(u64, u64)> = ended.into_iter().filter_map(|id| self.remove(id)).collect();
        let mut expired = self.shared.expired.lock().unwrap_or_else(PoisonError::into_inner);
        expired.extend(pairs);
        expired.truncate(MAX_CHANNELS);
    }

    /// What was carried and dropped.
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }
}

/// So many in each second.
#[derive(Debug)]
struct Allowance {
    left: u32,
    since: Instant,
}

impl Allowance {
    fn take(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.since) >= Duration::from_secs(1) {
            (self.left, self.since) = (ANSWERS_PER_SECOND, now);
        }
        let Some(left) = self.left.checked_sub(1) else { return false };
        self.left = left;
        true
    }
}

fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(count as u64, Ordering::Relaxed);
}

#[cfg(test)]
#[path = "switch_tests.rs"]
mod tests;
