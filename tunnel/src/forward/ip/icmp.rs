//! What an application is told when its packet goes no further: ICMPv6 errors (RFC 4443), as a router's.

use std::net::Ipv6Addr;

use super::checksum;
use super::packet::{HEADER, ICMP, Packet, Upper};

/// Smallest MTU of IPv6. No error is longer, and none says a smaller one.
pub const MTU_MIN: u16 = 1280;

const HOP_LIMIT: u8 = 64;
const UNREACHABLE: u8 = 1;
const TOO_BIG: u8 = 2;

/// Bytes of an error before the packet it is about.
const BEFORE: usize = HEADER + 8;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// No node has that address, or it takes no packets.
    NoRoute,
    /// The node does not grant it.
    Prohibited,
    /// The node is not reached now.
    Unreachable,
    /// It is longer than the path to the node takes, which is this.
    TooBig(u16),
}

impl Trouble {
    fn words(self) -> (u8, u8, u32) {
        match self {
            Self::NoRoute => (UNREACHABLE, 0, 0),
            Self::Prohibited => (UNREACHABLE, 1, 0),
            Self::Unreachable => (UNREACHABLE, 3, 0),
            Self::TooBig(mtu) => (TOO_BIG, 0, u32::from(mtu.max(MTU_MIN))),
        }
    }
}

/// The error about `packet`, from `router` to its sender; `None` where none may be sent: about errors, about later
/// fragments, to nobody.
pub fn error(router: Ipv6Addr, packet: &Packet<'_>, trouble: Trouble) -> Option<Vec<u8>> {
    match packet.upper {
        Upper::Error(_) | Upper::Fragment => return None,
        Upper::Talk(_) => {}
    }
    if packet.source.is_multicast() || packet.source.is_unspecified() || packet.destination.is_multicast() {
        return None;
    }
    let (kind, code, rest) = trouble.words();
    let about = &packet.bytes[..packet.bytes.len().min(usize::from(MTU_MIN) - BEFORE)];
    let length = u16::try_from(BEFORE - HEADER + about.len()).ok()?;
    let mut bytes = Vec::with_capacity(BEFORE + about.len());
    bytes.extend([0x60, 0, 0, 0]);
    bytes.extend(length.to_be_bytes());
    bytes.extend([ICMP, HOP_LIMIT]);
    bytes.extend(router.octets());
    bytes.extend(packet.source.octets());
    bytes.extend([kind, code, 0, 0]);
    bytes.extend(rest.to_be_bytes());
    bytes.extend(about);
    let sum = checksum::of(&bytes, HEADER)?;
    bytes[HEADER + 2..HEADER + 4].copy_from_slice(&sum.to_be_bytes());
    Some(bytes)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::super::packet::quoted;
    use super::super::sample::{address, icmp, packet, tcp, udp};
    use super::*;

    #[test]
    fn an_error_is_whole_and_quotes_what_it_is_about() {
        let bytes = tcp((address(1), 7), (address(2), 8), &[9; 5000]);
        let about = Packet::parse(&bytes).unwrap();
        let said = error(address(0), &about, Trouble::TooBig(1300)).unwrap();
        assert_eq!(said.len(), usize::from(MTU_MIN));
        assert_eq!(said[HEADER..HEADER + 2], [2, 0]);
        assert_eq!(said[HEADER + 4..HEADER + 8], 1300_u32.to_be_bytes());
        // With the checksum in it, the sum is nothing.
        assert_eq!(checksum::of(&said, HEADER), Some(0));
        let read = Packet::parse(&said).unwrap();
        assert_eq!((read.source, read.destination), (address(0), address(1)));
        let Upper::Error(quote) = read.upper else { panic!() };
        assert_eq!(quoted(quote).unwrap(), (address(1), address(2), about.upper));
    }

    #[test]
    fn each_trouble_has_its_words() {
        let bytes = udp((address(1), 7), (address(2), 8), b"x");
        let about = Packet::parse(&bytes).unwrap();
        for (trouble, words) in [
            (Trouble::NoRoute, [1, 0]),
            (Trouble::Prohibited, [1, 1]),
            (Trouble::Unreachable, [1, 3]),
            (Trouble::TooBig(576), [2, 0]),
        ] {
            let said = error(address(0), &about, trouble).unwrap();
            assert_eq!(said[HEADER..HEADER + 2], words);
            let mtu = if words[0] == 2 { u32::from(MTU_MIN) } else { 0 };
            assert_eq!(said[HEADER + 4..HEADER + 8], mtu.to_be_bytes());
        }
    }

    #[test]
    fn nobody_is_told_of_errors_fragments_or_by_a_multicast() {
        let later = packet(address(1), address(2), 44, &[17, 0, 0, 8, 0, 0, 0, 5, 1, 2]);
        let about_error = icmp(address(1), address(2), 3, &[0; 48]);
        let from_all = udp(("ff02::1".parse().unwrap(), 1), (address(2), 2), b"");
        for bytes in [later, about_error, from_all] {
            let about = Packet::parse(&bytes).unwrap();
            assert_eq!(error(address(0), &about, Trouble::NoRoute), None);
        }
    }
}
