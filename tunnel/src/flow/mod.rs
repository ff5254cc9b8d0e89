//! Datagrams beside a channel: media and UDP, which would rather lose a packet than wait for it.
//!
//! Whoever holds a [`Channel`](crate::channel::Channel) may take its [`Flows`]: numbered flows of datagrams
//! that live as long as the `Flows` do. Both ends take them before either sends, which the exchange that
//! opens the channel sees to; a datagram for a channel whose flows nobody has taken is dropped. Longer ones
//! than the path carries are cut into parts ([`frame`]); what the path cannot take at once waits in a queue
//! that drops the oldest and the late ([`queue`]).
//!
//! One task for each session with flows reads what comes and sends what waits; it ends with the last of
//! them. The other end can make this node hold at most [`INBOX_MAX`] and [`PARTIAL_MAX`] bytes and
//! [`FLOWS_MAX`] flows in each channel that it was let open.

pub mod frame;
pub mod queue;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use futures_util::FutureExt as _;
use noq::{Connection, SendDatagramError};
use tokio::sync::Notify;

use frame::{Assembly, Header};
use queue::{FlowId, Queue};

/// Bytes received in the flows of one channel that nobody has taken yet; beyond that the oldest go.
pub const INBOX_MAX: usize = 4 << 20;

/// Bytes of datagrams in the flows of one channel that are not whole yet; beyond that those of the flow that
/// was used least recently go.
pub const PARTIAL_MAX: usize = 1 << 20;

/// Flows of one channel whose state is kept; beyond that the one that was used least recently is forgotten.
pub const FLOWS_MAX: usize = 1024;

/// Bytes that QUIC holds ready to be sent. What waits longer waits in our queue, where it can be dropped.
pub const SEND_BUFFER: usize = 32 << 10;

/// Bytes that QUIC holds received until the task takes them.
pub const RECEIVE_BUFFER: usize = 1 << 20;

/// Datagrams taken from QUIC at once.
const BATCH: usize = 64;

/// What is left free of it when many are given at once: QUIC says how much room there is, and does not say
/// that it counts more for each than its bytes.
const SPARE: usize = SEND_BUFFER / 4;

/// What QUIC counts for each datagram beside its bytes, or a little more.
const OVERHEAD: usize = 64;

/// The datagram flows of one channel.
pub struct Flows {
    hub: Arc<Hub>,
    channel: u64,
    inbox: Arc<Inbox>,
}

/// What went through flows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FlowStats {
    /// Datagrams given to QUIC.
    pub sent: u64,
    /// Datagrams that came whole.
    pub received: u64,
    /// Datagrams dropped here: late, too many, or too long.
    pub dropped: u64,
    /// Datagrams of the other end that did not come.
    pub lost: u64,
}

/// The flows of all channels of one session.
#[derive(Debug)]
pub(crate) struct Hub {
    connection: Connection,
    state: Mutex<Open>,
    /// Something waits to be sent.
    waiting: Notify,
    /// A channel has given up its flows.
    given_up: Notify,
}

#[derive(Debug, Default)]
struct Open {
    channels: BTreeMap<u64, Arc<Inbox>>,
    queue: Queue,
    /// Whether the task runs.
    served: bool,
}

/// What has come for one channel, and what is known of its flows.
#[derive(Debug, Default)]
struct Inbox {
    state: Mutex<Received>,
    ready: Notify,
}

#[derive(Debug, Default)]
struct Received {
    datagrams: VecDeque<(u32, Bytes)>,
    bytes: usize,
    /// Bytes of datagrams that are not whole.
    partial: usize,
    flows: BTreeMap<u32, Flow>,
    /// Of flows that were forgotten.
    past: FlowStats,
    uses: u64,
    ended: bool,
}

#[derive(Debug, Default)]
struct Flow {
    assembly: Assembly,
    next: u16,
    sent: u64,
    dropped: u64,
    used: u64,
}

impl Flows {
    /// Send a datagram, at once or never. It may be dropped here, which is counted, or on the way.
    pub fn send(&self, flow: u32, payload: &[u8]) {
        self.hub.send((self.channel, flow), &self.inbox, payload);
    }

    /// Bytes of the longest datagram that the path carries now in one piece.
    pub fn room(&self) -> usize {
        let size = self.hub.connection.max_datagram_size().unwrap_or_default();
        size.saturating_sub(frame::whole_header(self.channel))
    }

    /// The next datagram and the flow it came in; `None` when the session is over. Safe to cancel.
    pub async fn recv(&self) -> Option<(u32, Bytes)> {
        loop {
            let ready = self.inbox.ready.notified();
            {
                let mut received = self.inbox.lock();
                if let Some((flow, payload)) = received.datagrams.pop_front() {
                    received.bytes -= payload.len();
                    return Some((flow, payload));
                }
                if received.ended {
                    return None;
                }
            }
            ready.await;
        }
    }

    /// Of all flows.
    pub fn stats(&self) -> FlowStats {
        let received = self.inbox.lock();
        received.flows.values().map(Flow::stats).fold(received.past, FlowStats::plus)
    }

    /// Of one flow.
    pub fn stats_of(&self, flow: u32) -> FlowStats {
        self.inbox.lock().flows.get(&flow).map(Flow::stats).unwrap_or_default()
    }
}

impl Drop for Flows {
    fn drop(&mut self) {
        let mut open = self.hub.lock();
        open.channels.remove(&self.channel);
        open.queue.forget(self.channel);
        drop(open);
        self.hub.given_up.notify_one();
    }
}

impl fmt::Debug for Flows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flows").field("channel", &self.channel).finish_non_exhaustive()
    }
}

impl Hub {
    pub(crate) fn new(connection: Connection) -> Self {
        let (state, waiting, given_up) = (Mutex::default(), Notify::new(), Notify::new());
        Self { connection, state, waiting, given_up }
    }

    /// Take the flows of a channel.
    pub(crate) fn take(self: &Arc<Self>, channel: u64) -> Flows {
        let inbox = Arc::<Inbox>::default();
        let mut open = self.lock();
        open.channels.insert(channel, Arc::clone(&inbox));
        if !std::mem::replace(&mut open.served, true) {
            tokio::spawn(Arc::clone(self).serve());
        }
        drop(open);
        Flows { hub: Arc::clone(self), channel, inbox }
    }

    fn send(&self, id: FlowId, inbox: &Inbox, payload: &[u8]) {
        let mut received = inbox.lock();
        let flow = received.flow(id.1);
        let number = flow.next;
        flow.next = number.wrapping_add(1);
        let size = self.connection.max_datagram_size().unwrap_or_default();
        let Ok(parts) = frame::encode(id.0, id.1, number, payload, size) else {
            flow.dropped += 1;
            return;
        };
        flow.sent += 1;
        drop(received);
        let mut open = self.lock();
        let mut parts = parts;
        if open.queue.is_empty() {
            match self.give(&mut parts) {
                Ok(()) if parts.is_empty() => return,
                Ok(()) => {}
                // The session is over, or the path has become narrower this very moment.
                Err(_) => {
                    drop(open);
                    inbox.dropped(id.1);
                    return;
                }
            }
        }
        let dropped = open.queue.push(Instant::now(), id, parts);
        count_dropped(&open, &dropped);
        drop(open);
        self.waiting.notify_one();
    }

    /// Give QUIC what it has room for now.
    fn give(&self, parts: &mut Vec<Bytes>) -> Result<(), SendDatagramError> {
        if parts.len() > 1 {
            // Many at once are cheaper, and make room by dropping what was sent before: as many as fit for sure.
            let mut room = self.connection.datagram_send_buffer_space().saturating_sub(SPARE);
            let fits = |part: &&Bytes| {
                let left = room.checked_sub(part.len() + OVERHEAD);
                room = left.unwrap_or_default();
                left.is_some()
            };
            let count = parts.iter().take_while(fits).count();
            if count > 0 {
                self.connection.send_many_datagrams(&parts[..count])?;
                parts.drain(..count);
            }
        }
        let mut given = 0;
        for part in parts.iter() {
            match self.connection.send_datagram_wait(part.clone()).now_or_never() {
                Some(sent) => sent?,
                None => break,
            }
            given += 1;
        }
        parts.drain(..given);
        Ok(())
    }

    /// Read and send, until the session or the last flow is gone.
    async fn serve(self: Arc<Self>) {
        let unused = async {
            loop {
                self.given_up.notified().await;
                let mut open = self.lock();
                if open.channels.is_empty() {
                    open.served = false;
                    return;
                }
            }
        };
        tokio::select! {
            () = self.read() => {}
            () = self.pump() => {}
            () = unused => return,
        }
        let mut open = self.lock();
        open.served = false;
        for inbox in open.channels.values() {
            inbox.lock().ended = true;
            inbox.ready.notify_one();
        }
    }

    async fn read(&self) {
        let mut batch: [Bytes; BATCH] = std::array::from_fn(|_| Bytes::new());
        while let Ok(count) = self.connection.read_many_datagrams(&mut batch).await {
            for datagram in &mut batch[..count] {
                let Ok((header, payload)) = frame::decode(std::mem::take(datagram)) else {
                    tracing::trace!("malformed flow datagram");
                    continue;
                };
                // Nobody listens any more, or not yet.
                let inbox = self.lock().channels.get(&header.channel).cloned();
                if let Some(inbox) = inbox {
                    inbox.take(header, payload);
                }
            }
        }
    }

    async fn pump(&self) {
        loop {
            let next = {
                let (mut open, mut dropped) = (self.lock(), Vec::new());
                let next = open.queue.pop(Instant::now(), &mut dropped);
                count_dropped(&open, &dropped);
                next
            };
            let Some(mut parts) = next else {
                self.waiting.notified().await;
                continue;
            };
            while !parts.is_empty() {
                match self.give(&mut parts) {
                    Ok(()) if parts.is_empty() => break,
                    Ok(()) => {}
                    // The path has become narrower: what was cut for it does not fit any more.
                    Err(SendDatagramError::TooLarge) => break,
                    Err(_) => return,
                }
                match self.connection.send_datagram_wait(parts.remove(0)).await {
                    Ok(()) | Err(SendDatagramError::TooLarge) => {}
                    Err(_) => return,
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbox {
    fn take(&self, header: Header, payload: Bytes) {
        let mut received = self.lock();
        let assembly = &mut received.flow(header.flow).assembly;
        let before = assembly.held();
        let whole = assembly.take(header, &payload);
        let after = assembly.held();
        received.partial = (received.partial + after).saturating_sub(before);
        while received.partial > PARTIAL_MAX {
            received.give_up_partial();
        }
        let Some(whole) = whole else { return };
        received.bytes += whole.len();
        received.datagrams.push_back((header.flow, whole));
        while received.bytes > INBOX_MAX || received.datagrams.len() * OVERHEAD > INBOX_MAX {
            let Some((flow, payload)) = received.datagrams.pop_front() else { break };
            received.bytes -= payload.len();
            received.flow(flow).dropped += 1;
        }
        drop(received);
        self.ready.notify_one();
    }

    /// One that was counted as sent was not.
    fn dropped(&self, flow: u32) {
        let mut received = self.lock();
        let flow = received.flow(flow);
        flow.sent = flow.sent.saturating_sub(1);
        flow.dropped += 1;
    }

    fn lock(&self) -> MutexGuard<'_, Received> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Received {
    fn flow(&mut self, number: u32) -> &mut Flow {
        if !self.flows.contains_key(&number) && self.flows.len() >= FLOWS_MAX {
            let oldest = self.flows.iter().min_by_key(|(_, flow)| flow.used).map(|(number, _)| *number);
            if let Some(flow) = oldest.and_then(|oldest| self.flows.remove(&oldest)) {
                self.partial = self.partial.saturating_sub(flow.assembly.held());
                self.past = self.past.plus(flow.stats());
            }
        }
        self.uses += 1;
        let flow = self.flows.entry(number).or_default();
        flow.used = self.uses;
        flow
    }

    fn give_up_partial(&mut self) {
        let holding = self.flows.values_mut().filter(|flow| flow.assembly.held() > 0);
        self.partial = match holding.min_by_key(|flow| flow.used) {
            Some(flow) => self.partial.saturating_sub(flow.assembly.give_up()),
            None => 0,
        };
    }
}

impl Flow {
    fn stats(&self) -> FlowStats {
        let Self { assembly, sent, dropped, .. } = self;
        FlowStats { sent: *sent, received: assembly.received(), dropped: *dropped, lost: assembly.lost() }
    }
}

impl FlowStats {
    fn plus(self, other: Self) -> Self {
        Self {
            sent: self.sent + other.sent,
            received: self.received + other.received,
            dropped: self.dropped + other.dropped,
            lost: self.lost + other.lost,
        }
    }
}

fn count_dropped(open: &Open, dropped: &[FlowId]) {
    for (channel, flow) in dropped {
        if let Some(inbox) = open.channels.get(channel) {
            inbox.dropped(*flow);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_never_whole_is_bounded_and_what_is_passes() {
        let inbox = Inbox::default();
        let header = |flow, number, part| Header { channel: 0, flow, number, parts: 4, part };
        // All parts but the last, in more flows than are remembered.
        for flow in 0..FLOWS_MAX as u32 + 100 {
            for (number, part) in (0..6).flat_map(|number| (0..3).map(move |part| (number, part))) {
                inbox.take(header(flow, number, part), Bytes::from_static(&[7; 1000]));
                assert!(inbox.lock().partial <= PARTIAL_MAX);
            }
        }
        let held =
            |received: &Received| received.flows.values().map(|flow| flow.assembly.held()).sum::<usize>();
        let received = inbox.lock();
        assert_eq!(held(&received), received.partial);
        assert!(received.partial > PARTIAL_MAX / 2 && received.datagrams.is_empty());
        drop(received);
        // The newest is still waited for.
        inbox.take(header(FLOWS_MAX as u32 + 99, 5, 3), Bytes::from_static(&[7; 1000]));
        assert_eq!(inbox.lock().datagrams.front().map(|(_, whole)| whole.len()), Some(4000));
    }
}
