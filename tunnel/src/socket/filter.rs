//! What a packet can be, by its first bytes alone.
//!
//! A node answers nothing it need not: QUIC is let through only when it has the fixed bit, and long headers
//! only of our own version with a connection id we could have chosen. Frames of the relay have that bit
//! clear.

use crate::noise::QUIC_VERSION;

/// Bytes of a connection id this endpoint issues, and the least a first packet must carry (RFC 9000,
/// section 7.2).
const CONNECTION_ID_LEN: u8 = 8;

/// Longest connection id of QUIC.
const CONNECTION_ID_MAX: u8 = 20;

/// The bit that every QUIC packet of ours has set, and no frame of the relay.
const FIXED_BIT: u8 = 0x40;

/// Whether a datagram is no QUIC at all, and may be a frame of the relay.
pub(super) fn is_frame(packet: &[u8]) -> bool {
    packet.first().is_some_and(|first| first & FIXED_BIT == 0)
}

/// Whether a packet can be QUIC of ours.
pub(super) fn is_ours(packet: &[u8]) -> bool {
    let Some(first) = packet.first() else { return false };
    if first & FIXED_BIT == 0 {
        return false;
    }
    if first & 0x80 == 0 {
        return true;
    }
    let version = packet.get(1..5).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
    let id = packet.get(5).copied().unwrap_or_default();
    version == Some(QUIC_VERSION) && (CONNECTION_ID_LEN..=CONNECTION_ID_MAX).contains(&id)
}

/// Whether a packet of ours asks to come again with a token.
pub(super) fn is_retry(packet: &[u8]) -> bool {
    packet.first().is_some_and(|first| first & 0xf0 == 0xf0) && is_ours(packet)
}

/// Drop the segments of `batch` that `keep` does not want, in place. Returns the bytes kept, at the front,
/// and how many segments went.
pub(super) fn retain(batch: &mut [u8], stride: usize, keep: impl Fn(&[u8]) -> bool) -> (usize, u64) {
    let stride = stride.max(1);
    if batch.chunks(stride).all(&keep) {
        return (batch.len(), 0);
    }
    let (mut from, mut to, mut dropped) = (0, 0, 0);
    while from < batch.len() {
        let end = (from + stride).min(batch.len());
        if keep(&batch[from..end]) {
            batch.copy_within(from..end, to);
            to += end - from;
        } else {
            dropped += 1;
        }
        from = end;
    }
    (to, dropped)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long(first: u8, version: u32, id: u8) -> Vec<u8> {
        let mut packet = vec![first];
        packet.extend_from_slice(&version.to_be_bytes());
        packet.push(id);
        packet.resize(32, 0);
        packet
    }

    #[test]
    fn only_our_version_and_plausible_ids_pass() {
        assert!(is_ours(&long(0xc0, QUIC_VERSION, 8)) && is_ours(&long(0xc0, QUIC_VERSION, 20)));
        for foreign in [(1, 8), (0, 8), (QUIC_VERSION, 7), (QUIC_VERSION, 21)] {
            assert!(!is_ours(&long(0xc0, foreign.0, foreign.1)));
        }
        assert!(is_ours(&[0x40, 1, 2]) && !is_ours(&[0x3f; 40]) && !is_ours(&[]) && !is_ours(&[0xc0, 1]));
    }

    #[test]
    fn a_frame_is_what_lacks_the_fixed_bit() {
        assert!(is_frame(&[0x01; 9]) && is_frame(&[0x00]) && !is_frame(&[0x40]) && !is_frame(&[]));
    }

    #[test]
    fn a_retry_is_told_from_other_long_headers() {
        assert!(is_retry(&long(0xf0, QUIC_VERSION, 8)) && !is_retry(&long(0xf0, 1, 8)));
        assert!(!is_retry(&long(0xe0, QUIC_VERSION, 8)) && !is_retry(&long(0xc0, QUIC_VERSION, 8)));
    }

    #[test]
    fn a_mixed_batch_keeps_its_good_segments_in_order() {
        let mut batch = Vec::new();
        for first in [0x41u8, 0x01, 0x42, 0x02, 0x43] {
            batch.extend_from_slice(&[first; 4]);
        }
        batch.truncate(18);
        let (kept, dropped) = retain(&mut batch, 4, is_ours);
        assert_eq!(dropped, 2);
        assert_eq!(batch[..kept], [0x41, 0x41, 0x41, 0x41, 0x42, 0x42, 0x42, 0x42, 0x43, 0x43]);
    }
}
