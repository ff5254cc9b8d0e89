//! Relay frames as bytes, alone and in batches.
//!
//! | first byte | frame | rest, numbers big-endian |
//! | --- | --- | --- |
//! | 0 | [`Frame::Punch`] | nothing |
//! | 1 | [`Frame::Data`] | channel u64, one QUIC datagram |
//! | 2 | [`Frame::Gone`] | channel u64 |
//! | 3 | [`Frame::Ask`] | token u64, [`proof`] of it, zeros up to [`ASK_LEN`] |
//! | 4 | [`Frame::Seen`] | token u64, family u8 (4 or 6), port u16, address |
//!
//! A packet with the bit [`QUIC_BIT`] in its first byte is QUIC and no frame. A frame has one spelling; what is
//! spelt otherwise is no frame.
//!
//! Sockets receive and send *batches*: packets from one sender back to back, each `stride` bytes long
//! except the last, which may be shorter. A batch may hold anything; [`run_at`] cuts it into [`Run`]s of packets that
//! are treated alike. [`wrap`] makes a batch of datagrams into one of data frames, [`strip`] is its inverse.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;

use coconet::id::{Hash, StaticKey};
use subtle::ConstantTimeEq;

/// Set in the first byte of each QUIC packet (RFC 9000, "fixed bit"), clear in that of each relay frame.
pub const QUIC_BIT: u8 = 0x40;

/// Bytes that a data frame adds to its datagram.
pub const HEADER: usize = 9;

/// Bytes of an `ask`: as long as the longest `seen`, so that answering amplifies nothing.
pub const ASK_LEN: usize = 32;

/// Bytes of a [`proof`].
pub const PROOF_LEN: usize = 16;

const PUNCH: u8 = 0;
const DATA: u8 = 1;
const GONE: u8 = 2;
const ASK: u8 = 3;
const SEEN: u8 = 4;

/// One relay frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Opens the sender's own NAT; whoever gets it ignores it.
    Punch,
    /// A datagram for the other end of a channel. Never empty.
    Data {
        /// By the receiver's name for it.
        channel: u64,
        /// The datagram.
        payload: &'a [u8],
    },
    /// The relay does not know that channel from the address that used it.
    Gone {
        /// By the name that was used.
        channel: u64,
    },
    /// Where do you see me?
    Ask {
        /// Comes back in the answer.
        token: u64,
        /// That the sender knows whom it asks; see [`proof`].
        proof: [u8; PROOF_LEN],
    },
    /// There I see you.
    Seen {
        /// The question's.
        token: u64,
        /// Canonical: an IPv4 address never as an IPv6 one.
        address: SocketAddr,
    },
}

impl<'a> Frame<'a> {
    /// Read one packet. `None`: no frame.
    pub fn parse(packet: &'a [u8]) -> Option<Self> {
        let (kind, rest) = packet.split_first()?;
        match (*kind, rest) {
            (PUNCH, []) => Some(Self::Punch),
            (PUNCH, _) => None,
            (DATA, _) => {
                let (channel, payload) = number(rest)?;
                (!payload.is_empty()).then_some(Self::Data { channel, payload })
            }
            (GONE, _) => {
                let (channel, rest) = number(rest)?;
                rest.is_empty().then_some(Self::Gone { channel })
            }
            (ASK, _) => {
                let (token, rest) = number(rest)?;
                let (proof, padding) = rest.split_first_chunk()?;
                (packet.len() == ASK_LEN && padding.iter().all(|byte| *byte == 0))
                    .then_some(Self::Ask { token, proof: *proof })
            }
            (SEEN, _) => {
                let (token, rest) = number(rest)?;
                Some(Self::Seen { token, address: address(rest)? })
            }
            (_, _) => None,
        }
    }

    /// Append the frame to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut begin = |kind: u8, number: u64| {
            out.push(kind);
            out.extend_from_slice(&number.to_be_bytes());
        };
        match *self {
            Self::Punch => out.push(PUNCH),
            Self::Data { channel, payload } => {
                begin(DATA, channel);
                out.extend_from_slice(payload);
            }
            Self::Gone { channel } => begin(GONE, channel),
            Self::Ask { token, proof } => {
                begin(ASK, token);
                out.extend_from_slice(&proof);
                out.extend_from_slice(&[0; ASK_LEN - HEADER - PROOF_LEN]);
            }
            Self::Seen { token, address } => {
                begin(SEEN, token);
                let ip = address.ip().to_canonical();
                out.push(if ip.is_ipv4() { 4 } else { 6 });
                out.extend_from_slice(&address.port().to_be_bytes());
                match ip {
                    IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
                    IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
                }
            }
        }
    }
}

/// What shows that whoever asks knows the public key of whom it asks, which stands in the manager's address and
/// nowhere else: others get no answer.
pub fn proof(key: &StaticKey, token: u64) -> [u8; PROOF_LEN] {
    let digest = Hash::of("coco/ask", &[&key.0, &token.to_be_bytes()]).0;
    let mut proof = [0; PROOF_LEN];
    proof.copy_from_slice(&digest[..PROOF_LEN]);
    proof
}

/// Whether `given` is the [`proof`] of `token`, in constant time.
pub fn proves(key: &StaticKey, token: u64, given: &[u8; PROOF_LEN]) -> bool {
    proof(key, token).ct_eq(given).into()
}

/// The start of `bytes` as a number, and the rest.
fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u64::from_be_bytes(*number), rest))
}

fn address(bytes: &[u8]) -> Option<SocketAddr> {
    let ([family, port @ ..], ip) = bytes.split_first_chunk::<3>()?;
    let ip = match family {
        4 => IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(ip).ok()?)),
        6 => IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(ip).ok()?)),
        _ => return None,
    };
    // An IPv4 address as an IPv6 one would be a second spelling.
    (ip.to_canonical() == ip).then_some(SocketAddr::new(ip, u16::from_be_bytes(*port)))
}

/// What the packets of a [`Run`] are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// QUIC, for this endpoint itself.
    Quic,
    /// Data frames of this channel.
    Data(u64),
    /// One frame of another kind, for [`Frame::parse`].
    Other,
    /// Neither QUIC nor a frame.
    Junk,
}

/// Packets of a batch, back to back, that are treated alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// What they are.
    pub kind: Kind,
    /// Where they are in the batch.
    pub range: Range<usize>,
}

/// The run that begins at byte `at` of a batch; `None` at its end. Start with 0 and go on with the end of
/// the run before.
///
/// An index and not an iterator, so that the batch may be changed between two runs.
pub fn run_at(batch: &[u8], stride: usize, at: usize) -> Option<Run> {
    let stride = stride.max(1);
    let mut packets = batch.get(at..)?.chunks(stride);
    let first = packets.next()?;
    let kind = kind(first);
    let alike = match kind {
        Kind::Other => 0,
        Kind::Data(_) => {
            let header = &first[..HEADER];
            packets.take_while(|packet| packet.len() > HEADER && packet.starts_with(header)).count()
        }
        Kind::Quic | Kind::Junk => packets.take_while(|packet| self::kind(packet) == kind).count(),
    };
    let end = at.saturating_add(stride.saturating_mul(alike + 1)).min(batch.len());
    Some(Run { kind, range: at..end })
}

fn kind(packet: &[u8]) -> Kind {
    if packet.first().is_some_and(|first| first & QUIC_BIT != 0) {
        return Kind::Quic;
    }
    match Frame::parse(packet) {
        Some(Frame::Data { channel, .. }) => Kind::Data(channel),
        Some(Frame::Punch | Frame::Gone { .. } | Frame::Ask { .. } | Frame::Seen { .. }) => Kind::Other,
        None => Kind::Junk,
    }
}

/// Take the headers out of a run of data frames, in place. The datagrams are then at the front, in the bytes that are
/// returned as a count, each `stride - HEADER` long except the last.
pub fn strip(run: &mut [u8], stride: usize) -> usize {
    let stride = stride.max(1);
    let (mut from, mut to) = (0, 0);
    while from < run.len() {
        let end = run.len().min(from + stride);
        let payload = end.min(from + HEADER)..end;
        let length = payload.len();
        run.copy_within(payload, to);
        to += length;
        from = end;
    }
    to
}

/// Make a batch of datagrams, each `stride` long except the last, into data frames of one channel. They replace what
/// is in `out`; the result is their stride.
///
/// Frames are longer than datagrams: a batch that just fits into one send may not fit when wrapped. Ten
/// datagrams, the most that QUIC hands over at once, always do.
pub fn wrap(datagrams: &[u8], stride: usize, channel: u64, out: &mut Vec<u8>) -> usize {
    let stride = stride.clamp(1, datagrams.len().max(1));
    out.clear();
    out.reserve(datagrams.len() + datagrams.len().div_ceil(stride) * HEADER);
    for payload in datagrams.chunks(stride) {
        Frame::Data { channel, payload }.encode(out);
    }
    stride + HEADER
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
