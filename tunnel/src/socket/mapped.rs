//! Addresses that noq knows a way by which is no UDP address.
//!
//! noq names a path by an IP address and a port. What goes through a relay, to several addresses at once
//! or inside TLS gets an address out of a private prefix (RFC 4193) that no machine has; the low 64 bits
//! say which. Nothing is remembered: the address is the whole fact. IPv4 addresses are shown to noq as
//! IPv4-mapped ones, because it takes an endpoint to be of one family.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// The first 32 bits of every mapped address; the next 16 say of which kind it is, 16 are zero.
const PREFIX: u32 = 0xfdc0_c0c0;

const RELAY: u16 = 1;
const DIAL: u16 = 2;
const CARRIER: u16 = 3;

/// Where a packet goes to, or came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// A UDP address, never in its IPv4-mapped spelling.
    Direct(SocketAddr),
    /// The other node, through a relay.
    Relay {
        /// Which of this node's managers relays.
        slot: u16,
        /// This node's end of the channel.
        channel: u64,
    },
    /// Every address that is known of a peer that is being dialled.
    Dial(u64),
    /// A TLS connection that carries datagrams.
    Carrier(u64),
}

impl Place {
    /// The place that noq knows as `address`.
    pub fn of(address: SocketAddr) -> Self {
        let IpAddr::V6(v6) = address.ip() else { return Self::Direct(address) };
        let bits = v6.to_bits();
        let value = bits as u64;
        match ((bits >> 96) as u32, (bits >> 64) as u32) {
            (PREFIX, kind) if kind == u32::from(RELAY) << 16 => {
                Self::Relay { slot: address.port(), channel: value }
            }
            (PREFIX, kind) if kind == u32::from(DIAL) << 16 => Self::Dial(value),
            (PREFIX, kind) if kind == u32::from(CARRIER) << 16 => Self::Carrier(value),
            _ => Self::Direct(SocketAddr::new(address.ip().to_canonical(), address.port())),
        }
    }

    /// The address that noq shall know it by.
    pub fn address(self) -> SocketAddr {
        match self {
            Self::Direct(SocketAddr::V4(v4)) => {
                SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0).into()
            }
            Self::Direct(v6) => v6,
            Self::Relay { slot, channel } => mapped(RELAY, channel, slot),
            Self::Dial(number) => mapped(DIAL, number, 1),
            Self::Carrier(number) => mapped(CARRIER, number, 1),
        }
    }

    /// The UDP address, if it is one.
    pub fn direct(self) -> Option<SocketAddr> {
        match self {
            Self::Direct(address) => Some(address),
            Self::Relay { .. } | Self::Dial(_) | Self::Carrier(_) => None,
        }
    }
}

fn mapped(kind: u16, value: u64, port: u16) -> SocketAddr {
    let bits = u128::from(PREFIX) << 96 | u128::from(kind) << 80 | u128::from(value);
    SocketAddrV6::new(Ipv6Addr::from_bits(bits), port, 0, 0).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_back_from_its_address() {
        let direct = |text: &str| text.parse().ok().map(Place::Direct);
        let places = [
            direct("192.0.2.1:4433"),
            direct("[2001:db8::1]:4433"),
            Some(Place::Relay { slot: 2, channel: u64::MAX }),
            Some(Place::Relay { slot: 1, channel: 0 }),
            Some(Place::Dial(7)),
            Some(Place::Carrier(9)),
        ];
        for place in places.into_iter().flatten() {
            assert!(place.address().is_ipv6());
            assert_eq!(Place::of(place.address()), place);
        }
    }

    #[test]
    fn a_neighbouring_prefix_is_an_ordinary_address() {
        let foreign: Option<SocketAddr> = "[fdc0:c0c0:4::1]:1".parse().ok();
        assert_eq!(foreign.map(Place::of), foreign.map(Place::Direct));
        let reserved: Option<SocketAddr> = "[fdc0:c0c0:1:1::1]:1".parse().ok();
        assert_eq!(reserved.map(Place::of), reserved.map(Place::Direct));
    }
}
