//! One datagram of a flow, in one or several QUIC datagrams.
//!
//! ```text
//! channel  varint   the QUIC stream id of the channel that the flow belongs to
//! flow     varint   which flow of that channel
//! number   u16      counts the datagrams of the flow, and wraps
//! parts    u8       how many QUIC datagrams it is cut into, at least 1
//! part     u8       which of them this is, from 0; only when there are several
//! payload
//! ```
//!
//! Numbers are big-endian, a varint is that of RFC 9000, section 16. [`Assembly`] puts the parts together
//! again: a datagram that misses one is dropped as a whole, and nothing waits for it.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Longest datagram, in bytes: the longest UDP payload there is.
pub const DATAGRAM_MAX: usize = 65_507;

/// Most parts of one datagram: the longest fits when a part carries 1024 bytes, and a QUIC path always
/// carries more.
pub const PARTS_MAX: usize = 64;

/// Longest header, in bytes.
pub const HEADER_MAX: usize = 8 + 8 + 2 + 1 + 1;

/// Datagrams of one flow that may be in parts at once. Packets are reordered by a few places, not by many.
pub const ASSEMBLING_MAX: usize = 4;

/// Numbers that may be missing in one go and count as lost (RFC 3550, A.1: MAX_DROPOUT).
pub const JUMP_MAX: u16 = 3000;

/// What a QUIC datagram says before its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The channel.
    pub channel: u64,
    /// The flow of the channel.
    pub flow: u32,
    /// Which datagram of the flow.
    pub number: u16,
    /// How many parts it has.
    pub parts: u8,
    /// Which one this is.
    pub part: u8,
}

/// Why a QUIC datagram is none of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed flow datagram")]
pub struct Malformed;

/// Why a datagram cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the datagram is too long")]
pub struct TooLong;

/// Cut `payload` into QUIC datagrams of at most `size` bytes.
pub fn encode(
    channel: u64,
    flow: u32,
    number: u16,
    payload: &[u8],
    size: usize,
) -> Result<Vec<Bytes>, TooLong> {
    let whole = Header { channel, flow, number, parts: 1, part: 0 };
    if payload.len() > DATAGRAM_MAX {
        return Err(TooLong);
    }
    if whole.length() + payload.len() <= size {
        return Ok(vec![whole.before(payload)]);
    }
    let room = size.checked_sub(whole.length() + 1).filter(|room| *room > 0).ok_or(TooLong)?;
    let parts = payload.len().div_ceil(room);
    if parts > PARTS_MAX {
        return Err(TooLong);
    }
    // Of one size, so that none is a crumb that costs a packet of its own.
    let each = payload.len().div_ceil(parts).max(1);
    let count = u8::try_from(parts).map_err(|_| TooLong)?;
    let cut = |(part, start): (u8, usize)| {
        let piece = &payload[start..payload.len().min(start + each)];
        Header { parts: count, part, ..whole }.before(piece)
    };
    Ok((0..count).zip((0..payload.len()).step_by(each)).map(cut).collect())
}

/// Bytes before a datagram that goes in one piece, in a flow of a small number.
pub fn whole_header(channel: u64) -> usize {
    Header { channel, flow: 0, number: 0, parts: 1, part: 0 }.length()
}

/// The header of a QUIC datagram, and its payload.
pub fn decode(mut datagram: Bytes) -> Result<(Header, Bytes), Malformed> {
    let channel = varint(&mut datagram)?;
    let flow = u32::try_from(varint(&mut datagram)?).map_err(|_| Malformed)?;
    let number = datagram.try_get_u16().map_err(|_| Malformed)?;
    let parts = datagram.try_get_u8().map_err(|_| Malformed)?;
    let part = match parts {
        0 => return Err(Malformed),
        1 => 0,
        _ => datagram.try_get_u8().map_err(|_| Malformed)?,
    };
    if part >= parts || usize::from(parts) > PARTS_MAX || datagram.len() > DATAGRAM_MAX {
        return Err(Malformed);
    }
    Ok((Header { channel, flow, number, parts, part }, datagram))
}

/// What has come of one flow, and what is still missing.
#[derive(Debug, Default)]
pub struct Assembly {
    partial: VecDeque<Partial>,
    /// The next number expected, once there was one.
    next: Option<u16>,
    received: u64,
    missing: u64,
}

/// Parts are copied once, into the place where they belong, as long as they come in order; what comes before
/// its turn waits.
#[derive(Debug)]
struct Partial {
    number: u16,
    count: u8,
    /// The parts up to `next`.
    start: BytesMut,
    next: u8,
    /// Those that came before their turn.
    early: BTreeMap<u8, Bytes>,
    /// Bytes of all that came.
    length: usize,
}

impl Assembly {
    /// Take one part; returns the datagram it completes. Nothing of the buffer that `payload` is in stays.
    pub fn take(&mut self, header: Header, payload: &[u8]) -> Option<Bytes> {
        self.count(header.number);
        let whole = match header.parts {
            1 => Some(Bytes::copy_from_slice(payload)),
            _ => self.assemble(header, payload),
        }?;
        self.received += 1;
        Some(whole)
    }

    /// Datagrams that came whole.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Datagrams that the other end has numbered and that did not come, or not whole. What is late counts
    /// until it is there.
    pub fn lost(&self) -> u64 {
        self.missing.saturating_sub(self.received)
    }

    /// Bytes held for datagrams that are not whole.
    pub fn held(&self) -> usize {
        self.partial.iter().map(Partial::held).sum()
    }

    /// Wait no longer for what is missing; returns how many bytes were held for it.
    pub fn give_up(&mut self) -> usize {
        let held = self.held();
        self.partial.clear();
        held
    }

    /// Count what was sent up to this number.
    fn count(&mut self, number: u16) {
        let Some(next) = self.next else {
            (self.next, self.missing) = (Some(number.wrapping_add(1)), 1);
            return;
        };
        let ahead = number.wrapping_sub(next);
        // Half of the numbers are ahead, the other half behind: late, or a part of one that was counted.
        if ahead < u16::MAX / 2 {
            // What jumps further has begun anew.
            self.missing += if ahead < JUMP_MAX { u64::from(ahead) + 1 } else { 1 };
            self.next = Some(number.wrapping_add(1));
        }
    }

    fn assemble(&mut self, header: Header, payload: &[u8]) -> Option<Bytes> {
        let same = |partial: &Partial| partial.number == header.number && partial.count == header.parts;
        let at = match self.partial.iter().position(same) {
            Some(at) => at,
            None => {
                if self.partial.len() == ASSEMBLING_MAX {
                    self.partial.pop_front();
                }
                self.partial.push_back(Partial::new(header));
                self.partial.len() - 1
            }
        };
        let partial = &mut self.partial[at];
        partial.take(header.part, payload);
        if partial.length > DATAGRAM_MAX {
            self.partial.remove(at);
            return None;
        }
        if partial.next < partial.count {
            return None;
        }
        self.partial.remove(at).map(|partial| partial.start.freeze())
    }
}

impl Partial {
    fn new(header: Header) -> Self {
        let (number, count) = (header.number, header.parts);
        Self { number, count, start: BytesMut::new(), next: 0, early: BTreeMap::new(), length: 0 }
    }

    fn take(&mut self, part: u8, payload: &[u8]) {
        if part < self.next || self.early.contains_key(&part) {
            // It is here already.
            return;
        }
        self.length += payload.len();
        if part > self.next {
            self.early.insert(part, Bytes::copy_from_slice(payload));
            return;
        }
        if self.start.is_empty() {
            // All are of one size, but for the last.
            self.start.reserve((payload.len() * usize::from(self.count)).min(DATAGRAM_MAX));
        }
        self.start.extend_from_slice(payload);
        self.next += 1;
        while let Some(payload) = self.early.remove(&self.next) {
            self.start.extend_from_slice(&payload);
            self.next += 1;
        }
    }

    fn held(&self) -> usize {
        self.start.capacity() + self.early.values().map(Bytes::len).sum::<usize>()
    }
}

impl Header {
    fn length(self) -> usize {
        varint_length(self.channel)
            + varint_length(u64::from(self.flow))
            + 2
            + 1
            + usize::from(self.parts > 1)
    }

    fn before(self, payload: &[u8]) -> Bytes {
        let mut datagram = BytesMut::with_capacity(self.length() + payload.len());
        put_varint(&mut datagram, self.channel);
        put_varint(&mut datagram, u64::from(self.flow));
        datagram.put_u16(self.number);
        datagram.put_u8(self.parts);
        if self.parts > 1 {
            datagram.put_u8(self.part);
        }
        datagram.put_slice(payload);
        datagram.freeze()
    }
}

fn varint(from: &mut Bytes) -> Result<u64, Malformed> {
    let first = from.try_get_u8().map_err(|_| Malformed)?;
    let more = (1_usize << (first >> 6)) - 1;
    if from.len() < more {
        return Err(Malformed);
    }
    let value = (0..more).fold(u64::from(first & 0x3f), |value, _| (value << 8) | u64::from(from.get_u8()));
    Ok(value)
}

fn varint_length(value: u64) -> usize {
    match value {
        0..=0x3f => 1,
        0x40..=0x3fff => 2,
        0x4000..=0x3fff_ffff => 4,
        _ => 8,
    }
}

fn put_varint(to: &mut BytesMut, value: u64) {
    match varint_length(value) {
        1 => to.put_u8(value as u8),
        2 => to.put_u16(0x4000 | value as u16),
        4 => to.put_u32(0x8000_0000 | value as u32),
        _ => to.put_u64(0xc000_0000_0000_0000 | value),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn payload(length: usize) -> Bytes {
        (0..length).map(|at| at as u8).collect()
    }

    #[test]
    fn the_bytes_are_as_documented() {
        let datagrams = encode(0x1234, 7, 0x0102, b"abc", 1200).unwrap();
        assert_eq!(datagrams, [Bytes::from_static(&[0x52, 0x34, 7, 1, 2, 1, b'a', b'b', b'c'])]);
        let parts = encode(4, 7, 0, b"abcd", 8).unwrap();
        assert_eq!(
            parts,
            [
                Bytes::from_static(&[4, 7, 0, 0, 2, 0, b'a', b'b']),
                Bytes::from_static(&[4, 7, 0, 0, 2, 1, b'c', b'd'])
            ]
        );
    }

    #[test]
    fn every_length_comes_whole_in_datagrams_that_fit() {
        for length in [0, 1, 1100, 1191, 1192, 1193, 1460, 2400, 9000, DATAGRAM_MAX] {
            for size in [1192, 1200, 1452] {
                let sent = encode(3, 70, 9, &payload(length), size).unwrap();
                let mut assembly = Assembly::default();
                let mut whole = Vec::new();
                // Reordered: the last part first.
                for datagram in sent.iter().rev() {
                    assert!(datagram.len() <= size);
                    let (header, part) = decode(datagram.clone()).unwrap();
                    assert_eq!((header.channel, header.flow, header.number), (3, 70, 9));
                    whole.extend(assembly.take(header, &part));
                }
                assert_eq!(whole, [payload(length)], "{length} in {size}");
                assert_eq!((assembly.received(), assembly.lost(), assembly.held()), (1, 0, 0));
            }
        }
        assert_eq!(encode(0, 0, 0, &payload(DATAGRAM_MAX + 1), 1200), Err(TooLong));
        assert_eq!(encode(0, 0, 0, &payload(100), 6), Err(TooLong));
    }

    #[test]
    fn a_datagram_that_misses_a_part_is_dropped_and_counted() {
        let mut assembly = Assembly::default();
        for number in 0..20_u16 {
            let sent = encode(0, 0, number, &payload(3000), 1200).unwrap();
            let skip = if number % 2 == 0 { 1 } else { usize::MAX };
            for (at, datagram) in sent.iter().enumerate().filter(|(at, _)| *at != skip) {
                let (header, part) = decode(datagram.clone()).unwrap();
                let whole = assembly.take(header, &part);
                assert_eq!(whole.is_some(), number % 2 == 1 && at == 2);
            }
        }
        assert_eq!((assembly.received(), assembly.lost()), (10, 10));
        assert!(assembly.held() <= ASSEMBLING_MAX * 2 * 3000);
    }

    #[test]
    fn numbers_wrap_and_what_is_late_is_not_lost() {
        let mut assembly = Assembly::default();
        for number in [u16::MAX - 1, 0, u16::MAX, 3] {
            let header = Header { channel: 0, flow: 0, number, parts: 1, part: 0 };
            assert!(assembly.take(header, &[]).is_some());
        }
        assert_eq!((assembly.received(), assembly.lost()), (4, 2));
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for bytes in [
            &b""[..],
            &[4],
            &[4, 7, 0],
            &[4, 7, 0, 0],
            &[4, 7, 0, 0, 0],
            &[4, 7, 0, 0, 2],
            &[4, 7, 0, 0, 2, 2],
            &[4, 7, 0, 0, 65, 1],
            &[0xc0, 0, 0],
            &[4, 0xc0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1],
        ] {
            assert_eq!(decode(Bytes::copy_from_slice(bytes)), Err(Malformed), "{bytes:?}");
        }
    }
}
