//! What the kernel says before each packet of an interface, and is told: how to cut a long one.
//!
//! An interface with offload hands over up to 64 kB of one TCP connection as one packet, with the size of the
//! segments it stands for, and takes such packets. So a system call, a lookup and a checksum are for
//! some fifty segments, not for each; and between two nodes they stay together as well ([`Train`]). The
//! header is `struct virtio_net_hdr` of the kernel's `include/uapi/linux/virtio_net.h`, in the machine's own byte
//! order.
//!
//! [`take`] makes of what was read what goes to another node; [`header_for`] makes the header of what came from
//! one. Of the latter only the size of the segments is the other node's word, and it is bounded: all
//! else that the kernel is told is read from the packet here.

use super::checksum;
use super::packet::{HEADER, PACKET_MAX, Packet, TCP, UDP, Upper, u16_at};

/// Bytes of the header.
pub const OFFLOAD_HEADER: usize = 10;

/// Room for the longest packet with its header.
pub const READ_MAX: usize = OFFLOAD_HEADER + PACKET_MAX;

/// Bytes before each packet on its way to another node: the size of its segments, zero when it is one.
pub const FRAME_HEADER: usize = 2;

/// Smallest segment of a train. The kernel cuts at each, so the other node must not choose it freely; smaller
/// ones than a TCP that works sends (`TCP_MIN_SND_MSS`) do not come from one.
pub const SEGMENT_MIN: u16 = 48;

const NEEDS_CHECKSUM: u8 = 1;
const WHOLE: u8 = 0;
const TCP_OVER_IPV6: u8 = 4;
const UDP_SEGMENTS: u8 = 5;

/// Where in a TCP header its checksum is, and its length.
const TCP_CHECKSUM: u16 = 16;
const TCP_LENGTH: usize = 12;

/// Bytes of a UDP header, and where in it the checksum is.
const UDP_HEADER: usize = 8;
const UDP_CHECKSUM: usize = 6;

/// What is carried to another node: the size of the segments, then the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Train<'a> {
    /// Payload of each segment but the last; zero: the packet is one.
    pub segment: u16,
    /// All of them behind one header.
    pub packet: &'a [u8],
}

/// What the kernel or another node says cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("segments that cannot be")]
pub struct Impossible;

/// Make frames of what was read from an interface with its header, one after the other, and hand each to
/// `carry`. Checksums that the kernel has left to the hardware are finished here, but those of a train.
pub fn take(read: &mut [u8], mut carry: impl FnMut(&[u8])) -> Result<(), Impossible> {
    let header: [u8; OFFLOAD_HEADER] =
        read.get(..OFFLOAD_HEADER).and_then(|header| header.try_into().ok()).ok_or(Impossible)?;
    let [flags, kind, _, _, rest @ ..] = header;
    let number = |at: usize| u16::from_ne_bytes([rest[at], rest[at + 1]]);
    let (size, start, offset) = (number(0), usize::from(number(2)), usize::from(number(4)));
    match kind {
        WHOLE => {
            let packet = &mut read[OFFLOAD_HEADER..];
            if flags & NEEDS_CHECKSUM != 0 && !checksum::finish(packet, start, offset) {
                return Err(Impossible);
            }
            carry(framed(read, 0));
        }
        TCP_OVER_IPV6 => carry(framed(read, size)),
        UDP_SEGMENTS => datagrams(&read[OFFLOAD_HEADER..], usize::from(size), carry)?,
        _ => return Err(Impossible),
    }
    Ok(())
}

/// The frame, with the size of the segments in the place of the end of the header.
fn framed(read: &mut [u8], segment: u16) -> &[u8] {
    let frame = &mut read[OFFLOAD_HEADER - FRAME_HEADER..];
    frame[..FRAME_HEADER].copy_from_slice(&segment.to_be_bytes());
    frame
}

impl<'a> Train<'a> {
    /// Of a frame.
    pub fn of(frame: &'a [u8]) -> Result<Self, Impossible> {
        let segment = u16_at(frame, 0).ok_or(Impossible)?;
        Ok(Self { segment, packet: &frame[FRAME_HEADER..] })
    }

    /// Length of the longest packet that it stands for.
    pub fn longest(self) -> usize {
        if self.segment == 0 {
            return self.packet.len();
        }
        let header = tcp_header(self.packet).unwrap_or(HEADER);
        self.packet.len().min(header + usize::from(self.segment))
    }
}

/// The header for a packet of another node on its way to an interface.
pub fn header_for(segment: u16, packet: &Packet<'_>) -> Result<[u8; OFFLOAD_HEADER], Impossible> {
    if segment == 0 {
        return Ok([0; OFFLOAD_HEADER]);
    }
    let tcp = matches!(packet.upper, Upper::Talk(talk) if talk.protocol == TCP);
    let length = tcp_header(packet.bytes).filter(|_| tcp).ok_or(Impossible)?;
    // What is one segment, or none, is no train.
    if segment < SEGMENT_MIN || packet.bytes.len() <= length + usize::from(segment) {
        return Err(Impossible);
    }
    let (length, start) = (length as u16, HEADER as u16);
    let [size, length, start, offset] = [segment, length, start, TCP_CHECKSUM].map(u16::to_ne_bytes);
    Ok([
        NEEDS_CHECKSUM,
        TCP_OVER_IPV6,
        length[0],
        length[1],
        size[0],
        size[1],
        start[0],
        start[1],
        offset[0],
        offset[1],
    ])
}

/// Bytes before the payload of a TCP packet without extension headers.
fn tcp_header(packet: &[u8]) -> Option<usize> {
    if packet.get(6) != Some(&TCP) {
        return None;
    }
    let words = usize::from(packet.get(HEADER + TCP_LENGTH)? >> 4);
    let length = HEADER + words * 4;
    (words >= 5 && packet.len() >= length).then_some(length)
}

/// Cut a train of UDP: kernels before 6.2 cannot, so the other node's need not.
fn datagrams(packet: &[u8], size: usize, mut carry: impl FnMut(&[u8])) -> Result<(), Impossible> {
    let payload = packet.get(HEADER + UDP_HEADER..).ok_or(Impossible)?;
    if packet[6] != UDP || size == 0 {
        return Err(Impossible);
    }
    let mut frame = Vec::with_capacity(FRAME_HEADER + HEADER + UDP_HEADER + size);
    for piece in payload.chunks(size) {
        let length = u16::try_from(UDP_HEADER + piece.len()).map_err(|_| Impossible)?.to_be_bytes();
        frame.clear();
        frame.extend([0; FRAME_HEADER]);
        frame.extend(&packet[..HEADER + UDP_HEADER]);
        frame.extend(piece);
        let own = &mut frame[FRAME_HEADER..];
        own[4..6].copy_from_slice(&length);
        own[HEADER + 4..HEADER + 6].copy_from_slice(&length);
        own[HEADER + UDP_CHECKSUM..HEADER + UDP_HEADER].fill(0);
        let sum = checksum::of(own, HEADER).ok_or(Impossible)?;
        let sum = if sum == 0 { u16::MAX } else { sum };
        own[HEADER + UDP_CHECKSUM..HEADER + UDP_HEADER].copy_from_slice(&sum.to_be_bytes());
        carry(&frame);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::super::sample::{address, tcp, udp};
    use super::*;

    fn taken(header: [u8; OFFLOAD_HEADER], packet: &[u8]) -> Result<Vec<Vec<u8>>, Impossible> {
        let mut frames = Vec::new();
        take(&mut [&header[..], packet].concat(), |frame| frames.push(frame.to_vec()))?;
        Ok(frames)
    }

    fn said(flags: u8, kind: u8, numbers: [u16; 4]) -> [u8; OFFLOAD_HEADER] {
        let numbers = numbers.map(u16::to_ne_bytes).concat();
        [&[flags, kind], &numbers[..]].concat().try_into().unwrap()
    }

    #[test]
    fn a_packet_that_is_whole_goes_as_it_is() {
        let packet = tcp((address(1), 1), (address(2), 2), b"hello");
        let frames = taken([0; OFFLOAD_HEADER], &packet).unwrap();
        assert_eq!(frames, [[&[0, 0], &packet[..]].concat()]);
        let train = Train::of(&frames[0]).unwrap();
        assert_eq!((train.segment, train.packet, train.longest()), (0, &packet[..], packet.len()));
    }

    #[test]
    fn a_train_of_tcp_stays_together_and_says_its_segments() {
        let packet = tcp((address(1), 1), (address(2), 2), &[7; 5000]);
        let frames = taken(said(NEEDS_CHECKSUM, TCP_OVER_IPV6, [60, 1320, 40, 16]), &packet).unwrap();
        let train = Train::of(&frames[0]).unwrap();
        assert_eq!((frames.len(), train.segment, train.longest()), (1, 1320, 60 + 1320));
        let there = header_for(train.segment, &Packet::parse(train.packet).unwrap()).unwrap();
        assert_eq!(there, said(NEEDS_CHECKSUM, TCP_OVER_IPV6, [60, 1320, 40, 16]));
    }

    #[test]
    fn a_train_of_udp_is_cut() {
        let payload: Vec<u8> = (0..2500).map(|at| at as u8).collect();
        let packet = udp((address(1), 1), (address(2), 2), &payload);
        let frames = taken(said(NEEDS_CHECKSUM, UDP_SEGMENTS, [48, 1000, 40, 6]), &packet).unwrap();
        let expected: Vec<Vec<u8>> = payload
            .chunks(1000)
            .map(|piece| [&[0, 0], &udp((address(1), 1), (address(2), 2), piece)[..]].concat())
            .collect();
        assert_eq!(frames, expected);
    }

    #[test]
    fn segments_that_cannot_be_are_refused() {
        let long = tcp((address(1), 1), (address(2), 2), &[7; 5000]);
        let read = |bytes: &[u8], segment| header_for(segment, &Packet::parse(bytes).unwrap());
        assert!(read(&long, SEGMENT_MIN).is_ok());
        // Too small, as long as all, longer than all.
        for segment in [1, SEGMENT_MIN - 1, 5000, u16::MAX] {
            assert_eq!(read(&long, segment), Err(Impossible), "{segment}");
        }
        assert_eq!(read(&udp((address(1), 1), (address(2), 2), &[7; 5000]), 1000), Err(Impossible));
        // A header that is longer than the packet, or shorter than a header.
        for words in [0x40, 0x00] {
            let mut short = long.clone();
            short[HEADER + TCP_LENGTH] = words;
            assert_eq!(read(&short, 1000), Err(Impossible));
        }
        let mut end = tcp((address(1), 1), (address(2), 2), b"");
        end[HEADER + TCP_LENGTH] = 0xf0;
        assert_eq!(read(&end, 100), Err(Impossible));
    }

    #[test]
    fn what_a_kernel_does_not_say_is_refused() {
        let packet = tcp((address(1), 1), (address(2), 2), b"hello");
        for header in [
            said(0, 1, [40, 100, 0, 0]),
            said(0, 9, [0; 4]),
            said(NEEDS_CHECKSUM, WHOLE, [0, 0, 60, 16]),
            said(NEEDS_CHECKSUM, WHOLE, [0, 0, 40, u16::MAX]),
            said(NEEDS_CHECKSUM, UDP_SEGMENTS, [48, 100, 40, 6]),
            said(NEEDS_CHECKSUM, UDP_SEGMENTS, [48, 0, 40, 6]),
        ] {
            assert_eq!(taken(header, &packet), Err(Impossible), "{header:?}");
        }
        assert_eq!(take(&mut [0; OFFLOAD_HEADER - 1], |_| ()), Err(Impossible));
        assert_eq!(Train::of(&[0]), Err(Impossible));
    }
}
