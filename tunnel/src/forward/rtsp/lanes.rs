//! What waits to be written into one stream of messages and interleaved frames.
//!
//! Messages go first, each whole and in their order. Frames wait in a lane per track, so that a BYE does not
//! overtake pictures, and the lanes take turns, so that a camera's large pictures hold up neither its sound nor an answer. Each lane is bounded:
//! beyond [`LANE_BYTES`] or [`LANE_FRAMES`] the oldest frames of that lane go, because a player that is
//! behind wants the newest. Whoever would rather wait than lose asks for [`Lanes::has_room`] before it
//! pushes.
//!
//! [`Outlet`] is the same for two tasks, one that fills and one that writes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use super::message;

/// Bytes that wait in one lane: a second of a camera's 4 Mbit/s, and any single picture.
pub const LANE_BYTES: usize = 512 * 1024;

/// Frames that wait in one lane.
pub const LANE_FRAMES: usize = 1024;

/// Messages that wait. Who sends more requests than are answered is not read until there is room.
pub const MESSAGES_MAX: usize = 64;

/// Bytes that are taken at once, so that a message is never behind more than this.
const BATCH: usize = 32 * 1024;

/// Messages, and frames by track.
#[derive(Debug, Default)]
pub struct Lanes {
    messages: VecDeque<Bytes>,
    lanes: BTreeMap<u8, Lane>,
    /// The lane whose turn was last.
    last: Option<u8>,
    dropped: u64,
    /// Whether there was ever a message.
    used: bool,
    finished: bool,
}

#[derive(Debug, Default)]
struct Lane {
    frames: VecDeque<Bytes>,
    bytes: usize,
}

impl Lanes {
    /// Send a message before all frames that wait; false when too many wait already.
    pub fn message(&mut self, message: Bytes) -> bool {
        let room = self.messages.len() < MESSAGES_MAX;
        self.used = true;
        if room {
            self.messages.push_back(message);
        }
        room
    }

    /// Send a packet in a frame; the oldest of its track make room. One that is too long for a frame is
    /// dropped.
    pub fn frame(&mut self, channel: u8, payload: &[u8]) {
        let Some(frame) = message::frame(channel, payload) else {
            self.dropped += 1;
            return;
        };
        let lane = self.lanes.entry(lane_of(channel)).or_default();
        lane.bytes += frame.len();
        lane.frames.push_back(frame);
        while lane.frames.len() > 1 && lane.is_full() {
            lane.pop();
            self.dropped += 1;
        }
    }

    /// Whether a frame of any length fits without loss.
    pub fn has_room(&self, channel: u8) -> bool {
        self.lanes.get(&lane_of(channel)).is_none_or(|lane| {
            lane.bytes + message::FRAME_HEAD + usize::from(u16::MAX) <= LANE_BYTES
                && lane.frames.len() < LANE_FRAMES
        })
    }

    /// Whether more messages may come.
    pub fn takes_messages(&self) -> bool {
        self.messages.len() < MESSAGES_MAX
    }

    /// What is to be written next, several in one.
    pub fn take(&mut self, into: &mut Vec<Bytes>) {
        let mut taken = 0;
        while let Some(message) = self.messages.pop_front() {
            taken += message.len();
            into.push(message);
        }
        while taken < BATCH {
            let Some(frame) = self.next_frame() else { return };
            taken += frame.len();
            into.push(frame);
        }
    }

    /// Frames that were dropped.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.lanes.is_empty()
    }

    fn next_frame(&mut self) -> Option<Bytes> {
        let after = self.last.and_then(|last| self.lanes.range(last..).find(|(lane, _)| **lane > last));
        let turn = *after.or_else(|| self.lanes.iter().next())?.0;
        self.last = Some(turn);
        let lane = self.lanes.get_mut(&turn)?;
        let frame = lane.pop();
        if lane.frames.is_empty() {
            self.lanes.remove(&turn);
        }
        frame
    }
}

/// Channels come in pairs, of RTP and RTCP.
fn lane_of(channel: u8) -> u8 {
    channel / 2
}

impl Lane {
    fn is_full(&self) -> bool {
        self.bytes > LANE_BYTES || self.frames.len() > LANE_FRAMES
    }

    fn pop(&mut self) -> Option<Bytes> {
        let frame = self.frames.pop_front()?;
        self.bytes -= frame.len();
        Some(frame)
    }
}

/// [`Lanes`] between tasks.
#[derive(Debug, Default)]
pub struct Outlet {
    lanes: Mutex<Lanes>,
    /// Something is there to be written.
    filled: Notify,
    /// Something was taken.
    drained: Notify,
}

impl Outlet {
    /// As [`Lanes::message`].
    pub fn message(&self, message: Bytes) -> bool {
        let taken = self.lock().message(message);
        self.filled.notify_one();
        taken
    }

    /// As [`Lanes::frame`].
    pub fn frame(&self, channel: u8, payload: &[u8]) {
        self.lock().frame(channel, payload);
        self.filled.notify_one();
    }

    /// Nothing comes after what is there.
    pub fn finish(&self) {
        self.lock().finished = true;
        self.filled.notify_one();
        self.drained.notify_waiters();
    }

    /// Resolves when a frame of `channel` fits without loss, or nobody takes any more. Safe to cancel.
    pub async fn room(&self, channel: u8) {
        loop {
            // Before looking, so that what is taken in between is not missed.
            let drained = self.drained.notified();
            if self.is_done(|lanes| lanes.has_room(channel)) {
                return;
            }
            drained.await;
        }
    }

    /// Resolves when another message may come. Safe to cancel.
    pub async fn room_for_messages(&self) {
        loop {
            // Before looking, so that what is taken in between is not missed.
            let drained = self.drained.notified();
            if self.is_done(Lanes::takes_messages) {
                return;
            }
            drained.await;
        }
    }

    /// What is to be written next; false when nothing will come any more. Safe to cancel.
    pub async fn take(&self, into: &mut Vec<Bytes>) -> bool {
        loop {
            let filled = self.filled.notified();
            {
                let mut lanes = self.lock();
                if !lanes.is_empty() {
                    lanes.take(into);
                    drop(lanes);
                    self.drained.notify_waiters();
                    return true;
                }
                if lanes.finished {
                    return false;
                }
            }
            filled.await;
        }
    }

    /// Whether there was no message yet.
    pub fn is_unused(&self) -> bool {
        !self.lock().used
    }

    /// Frames that were dropped.
    pub fn dropped(&self) -> u64 {
        self.lock().dropped()
    }

    fn is_done(&self, room: impl Fn(&Lanes) -> bool) -> bool {
        let lanes = self.lock();
        lanes.finished || room(&lanes)
    }

    fn lock(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn all(lanes: &mut Lanes) -> Vec<Bytes> {
        let mut taken = Vec::new();
        while !lanes.is_empty() {
            lanes.take(&mut taken);
        }
        taken
    }

    #[test]
    fn messages_go_first_and_channels_take_turns() {
        let mut lanes = Lanes::default();
        for payload in [b"a", b"b"] {
            lanes.frame(0, payload);
            lanes.frame(2, payload);
        }
        lanes.frame(5, b"z");
        assert!(lanes.message(Bytes::from_static(b"M1")) && lanes.message(Bytes::from_static(b"M2")));
        let taken = all(&mut lanes);
        let expected: [&[u8]; 7] =
            [b"M1", b"M2", b"$\0\0\x01a", b"$\x02\0\x01a", b"$\x05\0\x01z", b"$\0\0\x01b", b"$\x02\0\x01b"];
        assert_eq!(taken, expected);
        assert_eq!(lanes.dropped(), 0);
    }

    #[test]
    fn the_two_channels_of_a_track_keep_their_order() {
        let mut lanes = Lanes::default();
        for (channel, payload) in [(0, b"a"), (0, b"b"), (1, b"!"), (0, b"c")] {
            lanes.frame(channel, payload);
        }
        let expected: [&[u8]; 4] = [b"$\0\0\x01a", b"$\0\0\x01b", b"$\x01\0\x01!", b"$\0\0\x01c"];
        assert_eq!(all(&mut lanes), expected);
    }

    #[test]
    fn a_lane_that_is_not_drained_loses_its_oldest_and_no_other_does() {
        let mut lanes = Lanes::default();
        lanes.frame(2, b"sound");
        let count = 3 * LANE_BYTES / 1000;
        for number in 0..count {
            lanes.frame(0, &[&(number as u32).to_be_bytes()[..], &[0; 996]].concat());
        }
        let kept = all(&mut lanes);
        let bytes: usize = kept.iter().map(Bytes::len).sum();
        assert!(bytes <= LANE_BYTES + 9 && bytes > LANE_BYTES - 2000, "{bytes}");
        assert_eq!(lanes.dropped() as usize, count + 1 - kept.len());
        assert!(kept.iter().any(|frame| frame.ends_with(b"sound")));
        assert_eq!(&kept.last().unwrap()[4..8], (count as u32 - 1).to_be_bytes());
        let mut lanes = Lanes::default();
        (0..2 * LANE_FRAMES).for_each(|_| lanes.frame(0, b""));
        assert_eq!(all(&mut lanes).len(), LANE_FRAMES);
    }

    #[test]
    fn who_asks_for_room_first_loses_nothing() {
        let mut lanes = Lanes::default();
        let mut pushed = 0;
        while lanes.has_room(0) {
            lanes.frame(0, &vec![0; if pushed % 2 == 0 { 65535 } else { 1400 }]);
            pushed += 1;
        }
        assert!(pushed > 10 && lanes.has_room(2));
        assert_eq!((all(&mut lanes).len(), lanes.dropped()), (pushed, 0));
    }

    #[test]
    fn a_message_waits_behind_no_more_than_a_batch() {
        let mut lanes = Lanes::default();
        (0..100).for_each(|_| lanes.frame(0, &[0; 1400]));
        let mut taken = Vec::new();
        lanes.take(&mut taken);
        assert!(taken.iter().map(Bytes::len).sum::<usize>() <= BATCH + 1404);
        lanes.message(Bytes::from_static(b"answer"));
        let mut next = Vec::new();
        lanes.take(&mut next);
        assert_eq!(next[0], "answer");
    }

    #[test]
    fn messages_are_bounded() {
        let mut lanes = Lanes::default();
        (0..MESSAGES_MAX).for_each(|_| assert!(lanes.message(Bytes::from_static(b"x"))));
        assert!(!lanes.takes_messages() && !lanes.message(Bytes::from_static(b"x")));
    }

    #[tokio::test]
    async fn an_outlet_ends_after_what_was_put_in() {
        let outlet = Outlet::default();
        outlet.message(Bytes::from_static(b"last"));
        outlet.finish();
        let mut taken = Vec::new();
        assert!(outlet.take(&mut taken).await && !outlet.take(&mut taken).await);
        assert_eq!(taken, ["last"]);
    }
}
