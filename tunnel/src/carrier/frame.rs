//! Datagrams in a stream of bytes: each one behind its length, two bytes, big-endian.
//!
//! Nothing else is in the stream, and no length is wasted: an empty datagram or one longer than
//! [`DATAGRAM_MAX`] means that the other end speaks something else, and the stream is of no use any more.

/// Bytes before each datagram.
pub const HEADER: usize = 2;

/// Longest datagram: a full Ethernet frame's, which leaves room for a relay's header before the largest
/// packet of QUIC.
pub const DATAGRAM_MAX: usize = 1500;

/// A length that no datagram has. What follows it cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a datagram of {0} bytes is none")]
pub struct BadLength(pub usize);

/// Write `datagram` behind its length at the end of `out`. One that has no place in the stream is left out,
/// and the answer is false.
pub fn push(datagram: &[u8], out: &mut Vec<u8>) -> bool {
    let Ok(length) = u16::try_from(datagram.len()) else { return false };
    if check(length).is_err() {
        return false;
    }
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(datagram);
    true
}

/// A datagram, and the bytes behind it.
pub type Split<'a> = (&'a [u8], &'a [u8]);

/// The first datagram of `bytes` and what follows it; none when it is not there as a whole yet.
pub fn split(bytes: &[u8]) -> Result<Option<Split<'_>>, BadLength> {
    let Some((length, rest)) = bytes.split_first_chunk() else { return Ok(None) };
    Ok(rest.split_at_checked(check(u16::from_be_bytes(*length))?))
}

fn check(length: u16) -> Result<usize, BadLength> {
    let length = usize::from(length);
    if (1..=DATAGRAM_MAX).contains(&length) { Ok(length) } else { Err(BadLength(length)) }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn a_datagram_stands_behind_its_length() {
        let mut out = Vec::new();
        assert!(push(b"abc", &mut out) && push(&[0x40; 300], &mut out));
        assert_eq!(out[..7], [0, 3, b'a', b'b', b'c', 1, 44]);
        let (first, rest) = split(&out).unwrap().unwrap();
        assert_eq!(first, b"abc");
        let (second, rest) = split(rest).unwrap().unwrap();
        assert_eq!((second, rest), (&[0x40; 300][..], &[][..]));
        assert_eq!(split(rest), Ok(None));
    }

    #[test]
    fn a_datagram_that_is_not_whole_is_waited_for() {
        let mut whole = Vec::new();
        push(b"abc", &mut whole);
        for cut in 0..whole.len() {
            assert_eq!(split(&whole[..cut]), Ok(None), "{cut}");
        }
    }

    #[test]
    fn empty_and_oversize_datagrams_are_refused_before_they_arrive() {
        assert_eq!(split(&[0, 0]), Err(BadLength(0)));
        assert_eq!(split(&[0x05, 0xdd]), Err(BadLength(1501)));
        assert_eq!(split(b"GET / HTTP/1.1\r\n"), Err(BadLength(0x4745)));
        assert_eq!(split(&[0x05, 0xdc]), Ok(None), "1500 bytes may come");
    }

    #[test]
    fn what_has_no_place_in_the_stream_is_left_out() {
        let mut out = Vec::new();
        for length in [0, DATAGRAM_MAX + 1, 1 << 16, (1 << 16) + 3] {
            assert!(!push(&vec![1; length], &mut out));
        }
        assert!(out.is_empty());
        assert!(push(&[1; DATAGRAM_MAX], &mut out));
    }
}
