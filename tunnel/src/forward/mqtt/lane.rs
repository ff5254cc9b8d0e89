//! One direction of a connection, cut into packets.
//!
//! Bytes come in pieces of any size. A PUBLISH comes out as its head and then its payload, piece by piece,
//! as it came; every other packet comes out whole. Only a packet or head that is not complete is held, and
//! it grows by what has arrived, never by what a length promises.

use bytes::{Bytes, BytesMut};

use super::packet::{Header, Kind, Malformed, Version};
use super::{JUDGED_MAX, publish};

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// The beginning of a packet that is not all here.
    held: BytesMut,
    /// Bytes of a payload that are still to come; it is 0 between packets.
    left: usize,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing, before more bytes come.
    Wait,
    /// A whole packet, or the head of a PUBLISH, with its fixed header.
    Packet(Header, Bytes),
    /// A piece of the payload of the last PUBLISH.
    Payload(Bytes),
}

impl Lane {
    /// Whether a payload is under way, so that nothing may be put in its midst.
    pub(super) fn in_payload(&self) -> bool {
        self.left > 0
    }

    /// Take the next step from the front of `input`. The version is known once the CONNECT, which
    /// has to be the first packet, has been read.
    pub(super) fn step(&mut self, input: &mut Bytes, version: Option<Version>) -> Result<Step, Malformed> {
        if input.is_empty() {
            return Ok(Step::Wait);
        }
        if self.left > 0 {
            let piece = input.split_to(self.left.min(input.len()));
            self.left -= piece.len();
            return Ok(Step::Payload(piece));
        }
        loop {
            let there: &[u8] = if self.held.is_empty() { input } else { &self.held };
            let header = Header::read(there)?;
            let wanted = match &header {
                Some(header) => wanted(there, header, version)?,
                None => there.len().max(1) + 1,
            };
            let missing = wanted.saturating_sub(there.len());
            if let (0, Some(header)) = (missing, header) {
                let packet =
                    if self.held.is_empty() { input.split_to(wanted) } else { self.held.split().freeze() };
                self.left = header.total() - wanted;
                return Ok(Step::Packet(header, packet));
            }
            // What is there is held first; then as much more as is wanted.
            let more = if self.held.is_empty() { input.len() } else { missing.min(input.len()) };
            if more == 0 {
                return Ok(Step::Wait);
            }
            self.held.extend_from_slice(&input.split_to(more));
        }
    }
}

/// How many bytes from the beginning of a packet have to be there before it comes out.
fn wanted(there: &[u8], header: &Header, version: Option<Version>) -> Result<usize, Malformed> {
    match (header.kind, version) {
        (Kind::Publish, Some(version)) => publish::head_len(there, header, version),
        (kind, None) if kind != Kind::Connect => Err(Malformed::Order),
        _ if header.total() > JUDGED_MAX => Err(Malformed::TooLarge),
        _ => Ok(header.total()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    /// PINGREQ; PUBLISH of `hello` to `a` with QoS 1 and id 9; a padded PINGREQ; an empty PUBLISH to `b`.
    const STREAM: &[u8] = &[
        0xc0, 0, // PINGREQ
        0x32, 10, 0, 1, b'a', 0, 9, b'h', b'e', b'l', b'l', b'o', // PUBLISH
        0xc0, 0x80, 0x80, 0x00, // PINGREQ
        0x30, 3, 0, 1, b'b', // PUBLISH
    ];

    /// The packets of a stream that comes in pieces of `size`, payloads joined.
    fn packets(stream: &[u8], size: usize) -> Result<Vec<Vec<u8>>, Malformed> {
        let (mut lane, mut found) = (Lane::default(), Vec::<Vec<u8>>::new());
        for piece in stream.chunks(size) {
            let mut piece = Bytes::copy_from_slice(piece);
            loop {
                match lane.step(&mut piece, Some(Version::V311))? {
                    Step::Wait => break,
                    Step::Packet(_, bytes) => found.push(bytes.to_vec()),
                    Step::Payload(bytes) => found.last_mut().unwrap().extend_from_slice(&bytes),
                }
            }
            assert!(piece.is_empty());
        }
        Ok(found)
    }

    #[test]
    fn packets_come_out_alike_whatever_pieces_they_come_in() {
        let expected = [&STREAM[..2], &STREAM[2..14], &STREAM[14..18], &STREAM[18..]];
        for size in 1..=STREAM.len() {
            assert_eq!(packets(STREAM, size).unwrap(), expected, "pieces of {size}");
        }
    }

    #[test]
    fn a_payload_is_passed_on_as_it_comes_and_never_held() {
        let mut lane = Lane::default();
        let mut head = Bytes::from_static(&[0x30, 0xff, 0xff, 0xff, 0x7f, 0, 1, b'a', b'x']);
        let front = head.slice(..8);
        let Step::Packet(header, bytes) = lane.step(&mut head, Some(Version::V311)).unwrap() else {
            panic!()
        };
        assert_eq!((bytes, header.total()), (front, 5 + 268_435_455));
        assert_eq!(lane.step(&mut head, None), Ok(Step::Payload(Bytes::from_static(b"x"))));
        let mut rest = Bytes::from(vec![0; 1 << 20]);
        assert_eq!(lane.step(&mut rest, None), Ok(Step::Payload(Bytes::from(vec![0; 1 << 20]))));
        assert!(lane.in_payload() && lane.held.capacity() == 0);
    }

    #[test]
    fn a_promised_length_takes_no_memory_and_a_large_one_is_refused_at_once() {
        // A CONNECT of 256 KiB, of which the header is there.
        let mut lane = Lane::default();
        let mut promise = Bytes::from_static(&[0x10, 0xf0, 0xff, 0x0f]);
        assert_eq!(lane.step(&mut promise, None), Ok(Step::Wait));
        assert!(lane.held.capacity() < 1024);
        for (bytes, why) in [
            (&[0x10, 0xff, 0xff, 0xff, 0x7f][..], Malformed::TooLarge),
            // Not even the rest of it is waited for.
            (&[0x30, 100], Malformed::Order),
        ] {
            assert_eq!(Lane::default().step(&mut Bytes::from_static(bytes), None), Err(why));
        }
    }
}
