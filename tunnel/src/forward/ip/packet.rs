//! An IPv6 packet, as far as it must be understood: who it is from and for, and which conversation it
//! belongs to.
//!
//! [`Packet::parse`] looks at the header (RFC 8200, 3) and walks over the extension headers behind it, at most
//! [`EXTENSIONS_MAX`]. A routing header is refused: it names another destination than the one that is
//! judged. So is a first fragment that does not say its ports, which could be a key to a door that later
//! fragments go through.

use std::net::Ipv6Addr;

/// Bytes of an IPv6 header.
pub const HEADER: usize = 40;

/// Longest packet: what the length field can say, and the header.
pub const PACKET_MAX: usize = HEADER + 65_535;

/// Most extension headers of one packet. Two are many.
pub const EXTENSIONS_MAX: usize = 8;

const HOP_BY_HOP: u8 = 0;
/// TCP.
pub const TCP: u8 = 6;
/// UDP.
pub const UDP: u8 = 17;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
/// ICMPv6.
pub const ICMP: u8 = 58;
const DESTINATION_OPTIONS: u8 = 60;

/// Where the flags of a TCP header are, and those that tell the beginning of a connection from its end.
const TCP_FLAGS: usize = 13;
const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// Types of ICMPv6 messages (RFC 4443) below this are errors about a packet that was sent before.
const FIRST_INFORMATIONAL: u8 = 128;

const ECHO_REQUEST: u8 = 128;
const ECHO_REPLY: u8 = 129;

/// From the first query of multicast listeners to the redirect (RFC 2710, RFC 4861): what hosts believe of their
/// neighbours on a wire, and nobody is that here.
const ONE_LINK: std::ops::RangeInclusive<u8> = 130..=137;

/// One packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// All of it.
    pub bytes: &'a [u8],
    /// Who says to have sent it.
    pub source: Ipv6Addr,
    /// Who is to get it.
    pub destination: Ipv6Addr,
    /// What is in it.
    pub upper: Upper<'a>,
    /// The flags of TCP, if they are in it.
    flags: u8,
}

/// What is behind the headers of IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upper<'a> {
    /// A part of a conversation between two ends: TCP and UDP by their ports, an echo by its identifier, and all
    /// else by its protocol alone.
    Talk(Talk),
    /// A later fragment of a packet, which tells nothing of it and is worth nothing without the first.
    Fragment,
    /// An error about a packet that was sent before, and the beginning of that packet.
    Error(&'a [u8]),
}

/// A conversation, from its sender's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Talk {
    /// The protocol's number.
    pub protocol: u8,
    /// The sender's port or identifier.
    pub from: u16,
    /// The receiver's.
    pub to: u16,
}

/// Why bytes are no packet that is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Not IPv6.
    #[error("not IPv6")]
    NotIpv6,
    /// The lengths in it contradict each other or its own.
    #[error("malformed")]
    Malformed,
    /// It says a route of its own.
    #[error("a routing header")]
    Routing,
    /// It is for the other end of a wire only: who is there, and who wants which multicast.
    #[error("for one link only")]
    OneLink,
}

impl<'a> Packet<'a> {
    /// Read a packet that is here whole.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Unfit> {
        let (source, destination) = ends(bytes)?;
        let length = usize::from(u16_at(bytes, 4).ok_or(Unfit::Malformed)?);
        if bytes.len() != HEADER + length {
            return Err(Unfit::Malformed);
        }
        let (upper, at) = upper(bytes, true)?;
        let flags = match upper {
            Upper::Talk(Talk { protocol: TCP, .. }) => bytes.get(at + TCP_FLAGS).copied().unwrap_or_default(),
            Upper::Talk(_) | Upper::Fragment | Upper::Error(_) => 0,
        };
        Ok(Self { bytes, source, destination, upper, flags })
    }

    /// Whether its sender begins a TCP connection with it: a SYN that answers none.
    pub fn begins_connection(&self) -> bool {
        self.flags & (SYN | ACK) == SYN
    }

    /// Whether its sender ends a TCP connection with it, or its half of one.
    pub fn ends_connection(&self) -> bool {
        self.flags & (FIN | RST) != 0
    }
}

impl Talk {
    /// The same from the other side.
    pub fn turned(self) -> Self {
        Self { protocol: self.protocol, from: self.to, to: self.from }
    }
}

/// The packet that an error is about: its ends and its conversation, as far as it is quoted.
pub fn quoted(bytes: &[u8]) -> Result<(Ipv6Addr, Ipv6Addr, Upper<'_>), Unfit> {
    let (source, destination) = ends(bytes)?;
    Ok((source, destination, upper(bytes, false)?.0))
}

fn ends(bytes: &[u8]) -> Result<(Ipv6Addr, Ipv6Addr), Unfit> {
    if bytes.first().is_none_or(|first| first >> 4 != 6) {
        return Err(Unfit::NotIpv6);
    }
    let address = |at: usize| {
        let octets: [u8; 16] = bytes.get(at..at + 16)?.try_into().ok()?;
        Some(Ipv6Addr::from(octets))
    };
    address(8).zip(address(24)).ok_or(Unfit::Malformed)
}

/// What is behind the headers, and where; `whole` tells whether an error in here is one, or a quote of which we have
/// the beginning only.
fn upper(bytes: &[u8], whole: bool) -> Result<(Upper<'_>, usize), Unfit> {
    let byte = |at: usize| bytes.get(at).copied().ok_or(Unfit::Malformed);
    let (mut next, mut at) = (byte(6)?, HEADER);
    for _ in 0..=EXTENSIONS_MAX {
        match next {
            HOP_BY_HOP | DESTINATION_OPTIONS => {
                (next, at) = (byte(at)?, at + (usize::from(byte(at + 1)?) + 1) * 8);
            }
            ROUTING => return Err(Unfit::Routing),
            FRAGMENT => {
                let place = u16_at(bytes, at + 2).ok_or(Unfit::Malformed)?;
                if place >> 3 != 0 {
                    return Ok((Upper::Fragment, at));
                }
                (next, at) = (byte(at)?, at + 8);
            }
            ICMP if byte(at)? < FIRST_INFORMATIONAL => {
                // An error about an error is not sent (RFC 4443, 2.4), and says nothing.
                let about = if whole { bytes.get(at + 8..).ok_or(Unfit::Malformed)? } else { &[] };
                return Ok((Upper::Error(about), at));
            }
            ICMP if ONE_LINK.contains(&byte(at)?) => return Err(Unfit::OneLink),
            protocol => return Ok((Upper::Talk(talk(bytes, protocol, at)?), at)),
        }
    }
    Err(Unfit::Malformed)
}

fn talk(bytes: &[u8], protocol: u8, at: usize) -> Result<Talk, Unfit> {
    let number = |at: usize| u16_at(bytes, at).ok_or(Unfit::Malformed);
    let (from, to) = match protocol {
        TCP | UDP => (number(at)?, number(at + 2)?),
        ICMP => match bytes.get(at) {
            // Whoever asks and whoever answers use one identifier.
            Some(&ECHO_REQUEST) => (number(at + 4)?, u16::from(ECHO_REQUEST)),
            Some(&ECHO_REPLY) => (u16::from(ECHO_REQUEST), number(at + 4)?),
            Some(_) | None => (0, 0),
        },
        _ => (0, 0),
    };
    Ok(Talk { protocol, from, to })
}

/// A number of two bytes.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

#[cfg(test)]
#[path = "packet_tests.rs"]
mod tests;
