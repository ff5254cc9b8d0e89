//! The Internet checksum (RFC 1071) of what IPv6 carries.

use super::packet::HEADER;

/// The checksum of what begins at `start` in a packet, with the pseudo-header of RFC 8200, 8.1; the field that
/// is to hold it must be zero. `None` when the packet ends before.
pub(super) fn of(packet: &[u8], start: usize) -> Option<u16> {
    let upper = packet.get(start..)?;
    let addresses = packet.get(8..HEADER)?;
    let length = u32::try_from(upper.len()).ok()?;
    // Of the protocol's number the header says the first one; what uses this has no extension headers.
    let protocol = u64::from(*packet.get(6)?);
    Some(!fold(sum(addresses) + sum(&length.to_be_bytes()) + protocol + sum(upper)))
}

/// Finish the checksum of what begins at `start`: its field, `offset` further on, holds the sum of the
/// pseudo-header. False when it is not in the packet.
pub(super) fn finish(packet: &mut [u8], start: usize, offset: usize) -> bool {
    let Some(upper) = packet.get_mut(start..) else { return false };
    let sum = !fold(sum(upper));
    let Some(field) = offset.checked_add(2).and_then(|end| upper.get_mut(offset..end)) else { return false };
    // Of UDP, a zero means that there is none.
    let sum = if sum == 0 { u16::MAX } else { sum };
    field.copy_from_slice(&sum.to_be_bytes());
    true
}

/// The sum of the numbers of two bytes in `bytes`, eight bytes at a time: ones' complement does not mind
/// which carry is added where.
fn sum(bytes: &[u8]) -> u64 {
    let mut total = 0_u128;
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        // Chunks are of eight bytes.
        total += u128::from(u64::from_be_bytes(chunk.try_into().unwrap_or_default()));
    }
    let mut last = [0; 8];
    last[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
    total += u128::from(u64::from_be_bytes(last));
    while total >> 64 != 0 {
        total = (total & u128::from(u64::MAX)) + (total >> 64);
    }
    // It fits now, and so does what callers add after this.
    let total = total as u64;
    (total >> 32) + (total & 0xffff_ffff)
}

fn fold(mut sum: u64) -> u16 {
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::super::sample::{address, udp};
    use super::*;

    #[test]
    fn the_example_of_the_rfc_sums_up() {
        assert_eq!(fold(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7])), 0xddf2);
        assert_eq!(fold(sum(&[0x00, 0x01, 0xf2])), 0xf201);
        assert_eq!(fold(sum(&[0xff; 4096])), 0xffff);
    }

    #[test]
    fn a_finished_checksum_is_the_one_of_the_whole() {
        for length in [0, 1, 7, 8, 1000, 1001] {
            let whole = udp((address(1), 5), (address(2), 6), &vec![7; length]);
            let mut begun = whole.clone();
            // As the kernel leaves it: the sum of the pseudo-header, not inverted.
            let mut pseudo = whole.clone();
            pseudo.truncate(HEADER);
            let length = (whole.len() - HEADER) as u32;
            let partial = fold(sum(&pseudo[8..HEADER]) + sum(&length.to_be_bytes()) + 17);
            begun[HEADER + 6..HEADER + 8].copy_from_slice(&partial.to_be_bytes());
            assert!(finish(&mut begun, HEADER, 6));
            assert_eq!(begun, whole, "{length}");
        }
        assert!(!finish(&mut [0; 60], 61, 0));
        assert!(!finish(&mut [0; 60], 50, 9));
        assert!(!finish(&mut [0; 60], 50, usize::MAX));
    }
}
