//! RTP packets, to be sent and to be counted.

use std::collections::BTreeSet;

/// Ticks of the clock of video, a second.
pub(crate) const CLOCK: u32 = 90_000;

/// The bytes of the fixed header.
pub(crate) const HEADER: usize = 12;

/// A packet of video.
pub(crate) fn packet(number: u16, stamp: u32, marker: bool, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 96 | u8::from(marker) << 7];
    packet.extend(number.to_be_bytes());
    packet.extend(stamp.to_be_bytes());
    packet.extend(0xC0C0_u32.to_be_bytes());
    packet.extend(payload);
    packet
}

/// A receiver report with nothing to say, as players send to be remembered.
pub(crate) fn receiver_report() -> Vec<u8> {
    vec![0x80, 201, 0, 1, 0, 0, 0, 7]
}

/// Whether this is RTCP of that type.
pub(crate) fn is_rtcp(packet: &[u8], kind: u8) -> bool {
    packet.len() >= 8 && packet[0] >> 6 == 2 && packet[1] == kind
}

/// What a player got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Played {
    /// Pictures that came.
    pub(crate) pictures: u64,
    /// Pictures that there are between the first and the last of them, by their timestamps.
    pub(crate) span: u64,
    /// Packets that did not come in between, where the player tells.
    pub(crate) lost: u64,
}

/// Counts pictures by their timestamps and packets by their numbers. Neither may wrap in a test that uses it.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    stamps: BTreeSet<u32>,
    numbers: BTreeSet<u16>,
}

impl Counter {
    pub(crate) fn take(&mut self, packet: &[u8]) {
        if packet.len() >= HEADER && packet[0] >> 6 == 2 {
            self.numbers.insert(u16::from_be_bytes([packet[2], packet[3]]));
            self.stamps.insert(u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]));
        }
    }

    /// At so many pictures a second.
    pub(crate) fn played(&self, rate: u64) -> Played {
        let stamps: Vec<u64> = self.stamps.iter().map(|stamp| u64::from(*stamp)).collect();
        let numbers: Vec<u64> = self.numbers.iter().map(|number| u64::from(*number)).collect();
        let ticks = u64::from(CLOCK) / rate;
        Played {
            pictures: stamps.len() as u64,
            span: if stamps.is_empty() { 0 } else { around(&stamps, 1 << 32) / ticks + 1 },
            lost: (around(&numbers, 1 << 16) + 1).saturating_sub(numbers.len() as u64),
        }
    }
}

/// The way from the first to the last of numbers that may have wrapped round: all but the largest hole.
fn around(ordered: &[u64], modulus: u64) -> u64 {
    let [first, .., last] = ordered else { return 0 };
    let inner = ordered.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
    modulus - inner.max(first + modulus - last)
}

#[test]
fn pictures_and_packets_are_counted_over_the_end_of_their_numbers() {
    let mut counter = Counter::default();
    for at in 0..30_u16 {
        if at != 7 {
            let stamp = (u32::MAX - 60_000).wrapping_add(u32::from(at) / 2 * 6000);
            counter.take(&packet((u16::MAX - 10).wrapping_add(at), stamp, at % 2 == 1, b""));
        }
    }
    assert_eq!(counter.played(15), Played { pictures: 15, span: 15, lost: 1 });
    assert_eq!(Counter::default().played(15).pictures, 0);
}
