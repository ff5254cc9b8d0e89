//! Counting packets and pictures.

use std::collections::VecDeque;
use std::time::Duration;

/// Largest step in the numbers of packets that is a loss, RFC 3550's `MAX_DROPOUT`. What jumps further has
/// begun anew.
pub const GAP_MAX: u16 = 3000;

/// Pictures that the rate is measured over.
pub const WINDOW: usize = 32;

/// How long after the last picture there is a rate still.
const CURRENT: Duration = Duration::from_secs(3);

/// Largest step in the timestamps, in seconds, that is time and not another beginning.
const STEP_MAX: u32 = 10;

/// The bytes of the fixed header.
const HEADER: usize = 12;

/// What has come of one track. [`Reception::packet`] is called for everything that comes on its RTP port;
/// what is no RTP is passed over.
#[derive(Debug, Default)]
pub struct Reception {
    clock: Option<u32>,
    source: Option<u32>,
    /// The highest number, counted on beyond 16 bits.
    highest: u64,
    /// Packets expected and received since the source began.
    expected: u64,
    arrived: u64,
    /// Lost before the source began anew.
    lost_before: u64,
    received: u64,
    /// The timestamp of the newest picture and when its first packet came, for the last ones.
    pictures: VecDeque<(u32, Duration)>,
    pictures_total: u64,
    /// The marker bit of the last packet: the next begins a picture, whatever its timestamp says.
    marked: bool,
}

impl Reception {
    /// Of a track whose timestamps tick `clock` times a second, if that is known.
    pub fn new(clock: Option<u32>) -> Self {
        Self { clock, ..Self::default() }
    }

    /// Something came, `now` after any fixed moment.
    pub fn packet(&mut self, packet: &[u8], now: Duration) {
        let Some(header) = header(packet) else { return };
        self.received += 1;
        self.count(&header);
        self.picture(&header, now);
    }

    /// RTP packets that came.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// RTP packets that did not, as far as one can see: one that comes late has come.
    pub fn lost(&self) -> u64 {
        self.lost_before + self.expected.saturating_sub(self.arrived)
    }

    /// Pictures that came, whole or not.
    pub fn pictures(&self) -> u64 {
        self.pictures_total
    }

    /// Pictures a second over the last [`WINDOW`] of them; none when none have come of late.
    pub fn rate(&self, now: Duration) -> Option<f32> {
        let ((_, first), (newest, last)) = (*self.pictures.front()?, *self.pictures.back()?);
        let steps = self.pictures.len() - 1;
        if steps == 0 || now.saturating_sub(last) > CURRENT {
            return None;
        }
        // Pictures that refer to later ones are sent after them: the extremes count, relative to the newest.
        let relative =
            self.pictures.iter().map(|(stamp, _)| i64::from(stamp.wrapping_sub(newest).cast_signed()));
        let (low, high) = relative.fold((0, 0), |(low, high), at| (at.min(low), at.max(high)));
        let seconds = match self.clock {
            Some(clock) if high > low => (high - low) as f64 / f64::from(clock),
            _ => (last - first).as_secs_f64(),
        };
        (seconds > 0.0).then(|| (steps as f64 / seconds) as f32)
    }

    fn count(&mut self, header: &Header) {
        let step = header.number.wrapping_sub(self.highest as u16);
        let back = step.wrapping_neg();
        if self.source != Some(header.source) || (step > GAP_MAX && back > GAP_MAX) {
            self.lost_before = self.lost();
            self.source = Some(header.source);
            (self.highest, self.expected, self.arrived) = (u64::from(header.number), 1, 1);
            self.pictures.clear();
        } else if step <= GAP_MAX {
            self.highest += u64::from(step);
            self.expected += u64::from(step);
            // The same once more fills no gap.
            self.arrived += u64::from(step > 0);
        } else {
            // Late, or twice: which of them is not known without a memory of all.
            self.arrived = (self.arrived + 1).min(self.expected);
        }
    }

    fn picture(&mut self, header: &Header, now: Duration) {
        let same = self.pictures.back().is_some_and(|(stamp, _)| *stamp == header.stamp);
        if same && !self.marked {
            self.marked = header.marker;
            return;
        }
        self.marked = header.marker;
        if let (Some((last, _)), Some(clock)) = (self.pictures.back(), self.clock) {
            let step = header.stamp.wrapping_sub(*last).cast_signed().unsigned_abs();
            if step > clock.saturating_mul(STEP_MAX) {
                self.pictures.clear();
            }
        }
        if self.pictures.len() == WINDOW {
            self.pictures.pop_front();
        }
        self.pictures.push_back((header.stamp, now));
        self.pictures_total += 1;
    }
}

struct Header {
    marker: bool,
    number: u16,
    stamp: u32,
    source: u32,
}

fn header(packet: &[u8]) -> Option<Header> {
    let head = packet.first_chunk::<HEADER>()?;
    // Version 2; the types that are RTCP when both share a port (RFC 5761) are not ours.
    if head[0] >> 6 != 2 || (64..96).contains(&(head[1] & 0x7f)) {
        return None;
    }
    Some(Header {
        marker: head[1] & 0x80 != 0,
        number: u16::from_be_bytes([head[2], head[3]]),
        stamp: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
        source: u32::from_be_bytes([head[8], head[9], head[10], head[11]]),
    })
}

/// What an RTP packet carries, behind its header, sources and extension, without its padding.
pub(super) fn payload(packet: &[u8]) -> Option<&[u8]> {
    header(packet)?;
    let first = packet[0];
    let mut rest = packet.get(HEADER + 4 * usize::from(first & 0x0f)..)?;
    if first & 0x10 != 0 {
        let words = u16::from_be_bytes([*rest.get(2)?, *rest.get(3)?]);
        rest = rest.get(4 + 4 * usize::from(words)..)?;
    }
    if first & 0x20 != 0 {
        let padding = usize::from(*rest.last()?);
        rest = rest.get(..rest.len().checked_sub(padding)?)?;
    }
    Some(rest)
}

#[cfg(test)]
#[path = "reception_tests.rs"]
mod tests;
