//! Datagrams that wait for the path: each flow in its turn, the newest rather than the oldest.
//!
//! A path that carries less than is sent must not grow a queue: who watches a camera wants to see what is,
//! not what was. So a flow holds at most [`QUEUE_MAX`] bytes, the oldest going first, and nothing leaves
//! that has waited for [`LATE`]. Flows take turns, so that one with much to send does not hold up another.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

/// Bytes that wait in one flow. A key frame of a 4K camera fits.
pub const QUEUE_MAX: usize = 1 << 20;

/// Bytes that wait in all flows of a session.
pub const QUEUES_MAX: usize = 8 << 20;

/// A datagram that has waited so long is dropped: the player has given it up.
pub const LATE: Duration = Duration::from_millis(200);

/// A flow: its channel, and its number in it.
pub type FlowId = (u64, u32);

/// What waits.
#[derive(Debug, Default)]
pub struct Queue {
    flows: BTreeMap<FlowId, Waiting>,
    /// Whose turn was last.
    last: Option<FlowId>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    datagrams: VecDeque<(Instant, Vec<Bytes>)>,
    bytes: usize,
}

impl Queue {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// Wait in turn, in so many parts. Returns the flows that lost a datagram for it, one for each.
    pub fn push(&mut self, now: Instant, flow: FlowId, parts: Vec<Bytes>) -> Vec<FlowId> {
        let length = length(&parts);
        let mut dropped = Vec::new();
        let waiting = self.flows.entry(flow).or_default();
        waiting.datagrams.push_back((now, parts));
        waiting.bytes += length;
        self.bytes += length;
        while self.flows.get(&flow).is_some_and(|waiting| waiting.bytes > QUEUE_MAX) {
            self.take(flow);
            dropped.push(flow);
        }
        while self.bytes > QUEUES_MAX {
            // Whoever holds most gives way.
            let Some(most) = self.flows.iter().max_by_key(|(_, waiting)| waiting.bytes).map(|(id, _)| *id)
            else {
                break;
            };
            self.take(most);
            dropped.push(most);
        }
        dropped
    }

    /// The datagram whose turn it is. Those that are late go to `dropped` instead, by their flows.
    pub fn pop(&mut self, now: Instant, dropped: &mut Vec<FlowId>) -> Option<Vec<Bytes>> {
        loop {
            let after = |last: FlowId| {
                let next = (last.0, last.1.checked_add(1)?);
                self.flows.range(next..).next().map(|(id, _)| *id)
            };
            let flow = self.last.and_then(after).or_else(|| self.flows.keys().next().copied())?;
            self.last = Some(flow);
            let (since, parts) = self.take(flow)?;
            if now.saturating_duration_since(since) < LATE {
                return Some(parts);
            }
            dropped.push(flow);
        }
    }

    /// Forget what waits in a channel's flows.
    pub fn forget(&mut self, channel: u64) {
        let flows: Vec<FlowId> =
            self.flows.range((channel, 0)..=(channel, u32::MAX)).map(|(id, _)| *id).collect();
        for flow in flows {
            while self.take(flow).is_some() {}
        }
    }

    /// The oldest datagram of a flow; a flow without any is none.
    fn take(&mut self, flow: FlowId) -> Option<(Instant, Vec<Bytes>)> {
        let waiting = self.flows.get_mut(&flow)?;
        let taken = waiting.datagrams.pop_front()?;
        let length = length(&taken.1);
        waiting.bytes -= length;
        self.bytes -= length;
        if waiting.datagrams.is_empty() {
            self.flows.remove(&flow);
        }
        Some(taken)
    }
}

fn length(parts: &[Bytes]) -> usize {
    parts.iter().map(Bytes::len).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(mark: u8, length: usize) -> Vec<Bytes> {
        vec![Bytes::from(vec![mark; length])]
    }

    fn marks(queue: &mut Queue, now: Instant) -> Vec<u8> {
        let mut dropped = Vec::new();
        std::iter::from_fn(|| queue.pop(now, &mut dropped)).map(|parts| parts[0][0]).collect()
    }

    #[test]
    fn flows_take_turns() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        for (mark, flow) in [(1, (0, 0)), (2, (0, 0)), (3, (0, 0)), (4, (0, 1)), (5, (4, 0)), (6, (4, 0))] {
            assert!(queue.push(now, flow, datagram(mark, 10)).is_empty());
        }
        assert_eq!(marks(&mut queue, now), [1, 4, 5, 2, 6, 3]);
        assert!(queue.is_empty());
    }

    #[test]
    fn the_oldest_of_a_full_flow_goes_and_others_do_not_feel_it() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.push(now, (0, 1), datagram(9, 10));
        let half = QUEUE_MAX / 2;
        assert!(queue.push(now, (0, 0), datagram(1, half)).is_empty());
        assert!(queue.push(now, (0, 0), datagram(2, half)).is_empty());
        assert_eq!(queue.push(now, (0, 0), datagram(3, half)), [(0, 0)]);
        assert_eq!(marks(&mut queue, now), [2, 9, 3]);
    }

    #[test]
    fn all_flows_together_are_bounded_and_the_fullest_gives_way() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        let mut dropped = Vec::new();
        for flow in 0..=(QUEUES_MAX / QUEUE_MAX) as u32 {
            dropped.extend(queue.push(now, (0, flow), datagram(1, QUEUE_MAX / 2)));
            dropped.extend(queue.push(now, (0, flow), datagram(2, QUEUE_MAX / 2)));
        }
        assert_eq!(dropped.len(), 2, "{dropped:?}");
        assert!(queue.bytes <= QUEUES_MAX);
    }

    #[test]
    fn what_is_late_is_dropped_and_what_came_after_it_is_not() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.push(now, (0, 0), datagram(1, 10));
        queue.push(now + LATE / 2, (0, 0), datagram(2, 10));
        let mut dropped = Vec::new();
        assert_eq!(queue.pop(now + LATE, &mut dropped), Some(datagram(2, 10)));
        assert_eq!(dropped, [(0, 0)]);
    }

    #[test]
    fn a_channel_that_is_gone_leaves_nothing() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        for flow in [(0, 0), (4, 0), (4, 9), (8, 0)] {
            queue.push(now, flow, datagram(flow.0 as u8, 10));
        }
        queue.forget(4);
        assert_eq!(marks(&mut queue, now), [0, 8]);
        assert_eq!(queue.bytes, 0);
    }
}
