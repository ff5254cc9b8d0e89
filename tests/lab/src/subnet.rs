//! Addresses: a subnet of the lab has its router at 1 and the others from 2.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The router's number.
pub(crate) const ROUTER: u8 = 1;

/// What hangs alone from the internet's router is number 2 of its subnet, and so is a home at its provider.
pub(crate) const ONLY: u8 = 2;

/// A /24 and a /64, or one of them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Subnet {
    v4: Option<Ipv4Addr>,
    v6: Option<Ipv6Addr>,
}

impl Subnet {
    /// The `n`-th of the internet. The addresses look like any others: those reserved for documentation, tests
    /// or private use are what the code under test may treat differently.
    pub(crate) fn public(n: u16) -> Self {
        let [high, low] = n.to_be_bytes();
        Self {
            v4: Some(Ipv4Addr::new(11, high, low, 0)),
            v6: Some(Ipv6Addr::new(0x2a11, 0xc0c0, n, 0, 0, 0, 0, 0)),
        }
    }

    /// What stands in each home: all LANs are the same net, so that a private address that is tried from
    /// another home leads astray, as it does outside.
    pub(crate) fn home() -> Self {
        Self { v4: Some(Ipv4Addr::new(192, 168, 1, 0)), v6: None }
    }

    /// Between a provider's NAT and its customers.
    pub(crate) fn carrier() -> Self {
        Self { v4: Some(Ipv4Addr::new(100, 64, 0, 0)), v6: None }
    }

    pub(crate) fn only(self, v4: bool, v6: bool) -> Self {
        Self { v4: self.v4.filter(|_| v4), v6: self.v6.filter(|_| v6) }
    }

    pub(crate) fn with_v6_of(self, other: Self) -> Self {
        Self { v4: self.v4, v6: other.v6 }
    }

    pub(crate) fn v4(self, number: u8) -> Option<Ipv4Addr> {
        self.v4.map(|net| Ipv4Addr::from_bits(net.to_bits() | u32::from(number)))
    }

    pub(crate) fn v6(self, number: u8) -> Option<Ipv6Addr> {
        self.v6.map(|net| Ipv6Addr::from_bits(net.to_bits() | u128::from(number)))
    }

    pub(crate) fn addresses(self, number: u8) -> Vec<IpAddr> {
        self.v4(number).map(IpAddr::V4).into_iter().chain(self.v6(number).map(IpAddr::V6)).collect()
    }

    /// Lines of `ip` that make `device` the subnet's `number`, instead of what it was.
    pub(crate) fn take(self, number: u8, device: &str) -> String {
        let mut lines = format!("addr flush dev {device} scope global\n");
        if let Some(address) = self.v4(number) {
            let _ = writeln!(lines, "addr add {address}/24 dev {device}");
        }
        if let Some(address) = self.v6(number) {
            let _ = writeln!(lines, "addr add {address}/64 dev {device} nodad");
        }
        if number != ROUTER {
            for router in self.addresses(ROUTER) {
                let _ = writeln!(lines, "route replace default via {router} dev {device}");
            }
        }
        lines
    }

    /// Lines of `ip` by which a router finds this subnet behind number `number` of `between`; none for nets
    /// that are nobody's business outside.
    pub(crate) fn reach(self, between: Self, number: u8) -> String {
        let mut lines = String::new();
        if let (Some(net), Some(via)) = (self.v4.filter(|net| !net.is_private()), between.v4(number)) {
            let _ = writeln!(lines, "route replace {net}/24 via {via}");
        }
        if let (Some(net), Some(via)) = (self.v6, between.v6(number)) {
            let _ = writeln!(lines, "route replace {net}/64 via {via}");
        }
        lines
    }
}
