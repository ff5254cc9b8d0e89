//! The camera's last word comes last.
//!
//! RTP and RTCP of a track come on two ports and go as two flows, so that a BYE may overtake the pictures
//! before it. Players end when they have it, and would lose these. So [`Goodbyes`] holds a BYE until its track
//! has been quiet for [`QUIET`], for [`HELD_MAX`] at most. Everything else passes at once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;

/// How long nothing has to come of a track before its BYE is believed. Longer than what one flow is ahead of
/// the other, shorter than anybody waits for the end.
pub const QUIET: Duration = Duration::from_millis(100);

/// Longest time that a BYE is held: who goes on after it did not mean it.
pub const HELD_MAX: Duration = Duration::from_millis(500);

/// The packet type of BYE.
const BYE: u8 = 203;

/// The latest BYE of each track that waits.
#[derive(Debug, Default)]
pub struct Goodbyes {
    held: BTreeMap<u8, Held>,
}

#[derive(Debug)]
struct Held {
    packet: Bytes,
    due: Instant,
    latest: Instant,
}

impl Goodbyes {
    /// A packet has come; says whether it is held.
    pub fn holds(&mut self, track: u8, rtcp: bool, packet: &Bytes, now: Instant) -> bool {
        let known = self.held.get(&track).map(|held| held.latest);
        let latest = known.unwrap_or(now + HELD_MAX);
        let due = latest.min(now + QUIET);
        if rtcp && is_bye(packet) {
            self.held.insert(track, Held { packet: packet.clone(), due, latest });
            return true;
        }
        if let Some(held) = self.held.get_mut(&track) {
            held.due = due;
        }
        false
    }

    /// When [`Goodbyes::take`] has something.
    pub fn due(&self) -> Option<Instant> {
        self.held.values().map(|held| held.due).min()
    }

    /// The next track whose BYE is due.
    pub fn take(&mut self, now: Instant) -> Option<(u8, Bytes)> {
        let track = *self.held.iter().find(|(_, held)| held.due <= now)?.0;
        self.held.remove(&track).map(|held| (track, held.packet))
    }
}

/// Whether any of the packets in a compound one is BYE.
fn is_bye(mut packet: &[u8]) -> bool {
    while let Some(head) = packet.first_chunk::<4>() {
        if head[0] >> 6 != 2 {
            return false;
        }
        if head[1] == BYE {
            return true;
        }
        let words = usize::from(u16::from_be_bytes([head[2], head[3]])) + 1;
        packet = packet.get(4 * words..).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: [u8; 8] = [0x80, 200, 0, 1, 0, 0, 0, 1];
    const LEAVE: [u8; 8] = [0x81, 203, 0, 1, 0, 0, 0, 1];

    fn milliseconds(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    fn bye() -> Bytes {
        [REPORT, LEAVE].concat().into()
    }

    #[test]
    fn a_bye_waits_until_its_track_is_quiet() {
        let (mut goodbyes, start) = (Goodbyes::default(), Instant::now());
        assert!(goodbyes.holds(1, true, &bye(), start));
        let picture = Bytes::from_static(b"picture");
        assert!(!goodbyes.holds(1, false, &picture, start + milliseconds(40)));
        assert!(!goodbyes.holds(2, false, &picture, start + milliseconds(130)));
        assert_eq!(goodbyes.take(start + milliseconds(139)), None);
        assert_eq!(goodbyes.due(), Some(start + milliseconds(140)));
        assert_eq!(goodbyes.take(start + milliseconds(140)), Some((1, bye())));
        assert_eq!((goodbyes.take(start + HELD_MAX), goodbyes.due()), (None, None));
    }

    #[test]
    fn a_bye_of_a_track_that_goes_on_waits_no_longer_than_it_may() {
        let (mut goodbyes, start) = (Goodbyes::default(), Instant::now());
        goodbyes.holds(0, true, &bye(), start);
        for at in (0..490).step_by(10) {
            goodbyes.holds(0, false, &Bytes::new(), start + milliseconds(at));
        }
        assert!(goodbyes.holds(0, true, &bye(), start + milliseconds(490)));
        assert_eq!(goodbyes.due(), Some(start + HELD_MAX));
    }

    #[test]
    fn what_is_no_bye_is_not_held() {
        let (mut goodbyes, now) = (Goodbyes::default(), Instant::now());
        for other in
            [&b""[..], &REPORT, &LEAVE[..3], b"\x81\xcb", &[0x01, 203, 0, 1], &[0x80, 200, 0xff, 0xff]]
        {
            assert!(!goodbyes.holds(0, true, &Bytes::copy_from_slice(other), now), "{other:x?}");
        }
        assert!(!goodbyes.holds(0, false, &bye(), now));
        assert_eq!(goodbyes.due(), None);
    }
}
