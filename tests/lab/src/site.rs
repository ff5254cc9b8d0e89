//! What a place on the internet looks like from inside: its NATs, its walls, its line.

use std::fmt;
use std::time::Duration;

use crate::link::Conditions;

/// How long a NAT remembers a UDP mapping, unless told otherwise.
pub const MAPPING_TIMEOUT: Duration = Duration::from_secs(120);

/// The MTU of every wire, unless told otherwise.
pub const MTU: u16 = 1500;

/// On what a NAT's mapping or filtering depends, in the words of RFC 4787.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Behaviour {
    /// Not on the remote end.
    EndpointIndependent,
    /// On the remote address.
    AddressDependent,
    /// On the remote address and port.
    AddressAndPortDependent,
}

impl fmt::Display for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EndpointIndependent => "endpoint-independent",
            Self::AddressDependent => "address-dependent",
            Self::AddressAndPortDependent => "address and port-dependent",
        })
    }
}

/// A NAT, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nat {
    /// Full cone: a mapping is open to everybody.
    FullCone,
    /// Who has been sent to may answer from any port.
    AddressRestricted,
    /// Only who has been sent to may answer.
    PortRestricted,
    /// A new external port for every remote end.
    Symmetric,
}

impl Nat {
    /// On what the external port of an internal one depends.
    #[must_use]
    pub fn mapping(self) -> Behaviour {
        match self {
            Self::FullCone | Self::AddressRestricted | Self::PortRestricted => Behaviour::EndpointIndependent,
            Self::Symmetric => Behaviour::AddressAndPortDependent,
        }
    }

    /// On what it depends whether a packet from outside comes in.
    #[must_use]
    pub fn filtering(self) -> Behaviour {
        match self {
            Self::FullCone => Behaviour::EndpointIndependent,
            Self::AddressRestricted => Behaviour::AddressDependent,
            Self::PortRestricted | Self::Symmetric => Behaviour::AddressAndPortDependent,
        }
    }
}

/// What a site lets out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Egress {
    Everything,
    /// TCP to port 443 and nothing else.
    Tcp443,
    /// Nothing: only the gateway's CONNECT proxy gets out.
    Proxy,
}

/// A place to attach hosts to; see the constructors, then the methods that change one trait each.
#[derive(Clone, Debug)]
pub struct Site {
    /// From the hosts outwards.
    pub(crate) nats: Vec<Nat>,
    pub(crate) hairpin: bool,
    pub(crate) mapping_timeout: Duration,
    pub(crate) egress: Egress,
    pub(crate) mtu: u16,
    pub(crate) ipv4: bool,
    pub(crate) ipv6: bool,
    pub(crate) conditions: Option<Conditions>,
}

impl Site {
    /// Public IPv4 and IPv6 addresses, nothing in the way.
    #[must_use]
    pub fn open() -> Self {
        Self {
            nats: Vec::new(),
            hairpin: false,
            mapping_timeout: MAPPING_TIMEOUT,
            egress: Egress::Everything,
            mtu: MTU,
            ipv4: true,
            ipv6: true,
            conditions: None,
        }
    }

    /// IPv4 behind `nat`, no IPv6.
    #[must_use]
    pub fn behind(nat: Nat) -> Self {
        Self { nats: vec![nat], ipv6: false, ..Self::open() }
    }

    /// Behind a full cone NAT.
    #[must_use]
    pub fn full_cone() -> Self {
        Self::behind(Nat::FullCone)
    }

    /// Behind an address-restricted cone NAT.
    #[must_use]
    pub fn address_restricted() -> Self {
        Self::behind(Nat::AddressRestricted)
    }

    /// Behind a port-restricted cone NAT: the usual home.
    #[must_use]
    pub fn port_restricted() -> Self {
        Self::behind(Nat::PortRestricted)
    }

    /// Behind a symmetric NAT.
    #[must_use]
    pub fn symmetric() -> Self {
        Self::behind(Nat::Symmetric)
    }

    /// Behind a home's NAT, which is behind the provider's; both port-restricted.
    #[must_use]
    pub fn cgnat() -> Self {
        Self { nats: vec![Nat::PortRestricted; 2], ..Self::port_restricted() }
    }

    /// Behind a NAT that lets out TCP to port 443 and nothing else.
    #[must_use]
    pub fn udp_blocked() -> Self {
        Self { egress: Egress::Tcp443, ..Self::port_restricted() }
    }

    /// Nothing gets out but through the gateway's CONNECT proxy.
    #[must_use]
    pub fn proxy_only() -> Self {
        Self { egress: Egress::Proxy, ..Self::port_restricted() }
    }

    /// Public IPv6 addresses, no IPv4.
    #[must_use]
    pub fn ipv6_only() -> Self {
        Self { ipv4: false, ..Self::open() }
    }

    /// Another NAT in front of those there are.
    #[must_use]
    pub fn and_behind(mut self, nat: Nat) -> Self {
        self.nats.push(nat);
        self
    }

    /// Hosts behind the NAT reach each other by their external addresses. Not for symmetric NATs.
    #[must_use]
    pub fn hairpin(self) -> Self {
        Self { hairpin: true, ..self }
    }

    /// How long UDP mappings and filters last without a packet; whole seconds.
    #[must_use]
    pub fn mapping_timeout(self, mapping_timeout: Duration) -> Self {
        Self { mapping_timeout, ..self }
    }

    /// The MTU of the line to the internet; routers at its ends say so by ICMP to who sends more.
    #[must_use]
    pub fn mtu(self, mtu: u16) -> Self {
        Self { mtu, ..self }
    }

    /// IPv6 besides: public addresses, and behind a NAT a firewall that lets answers in only.
    #[must_use]
    pub fn ipv6(self) -> Self {
        Self { ipv6: true, ..self }
    }

    /// The line to the internet is bad; it can be changed later by [`Wire::set_conditions`](crate::Wire).
    #[must_use]
    pub fn conditions(self, conditions: Conditions) -> Self {
        Self { conditions: Some(conditions), ..self }
    }

    /// Do its hosts appear outside with another IPv4 address than their own?
    #[must_use]
    pub fn is_translated(&self) -> bool {
        self.ipv4 && !self.nats.is_empty()
    }
}
