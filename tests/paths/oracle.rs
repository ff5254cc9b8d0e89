//! Places a node can be at, and what can be asked of two of them, in the words of RFC 4787.
//!
//! Two nodes must find a direct way when both have UDP and a family of addresses in common in which
//! either both map endpoint-independently, whatever they filter by, or one of them filters
//! endpoint-independently; and always in one LAN or behind one NAT that hairpins. Otherwise a relay will do.

use std::time::Duration;

use Behaviour::{AddressAndPortDependent, EndpointIndependent};
use coco_lab::{Behaviour, Nat, Site};

/// What is asked of two nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// A direct way, and soon.
    Direct,
    /// A relay; a direct way is welcome.
    Relay,
}

/// On what a site's mapping and filtering depend, for one family of addresses.
#[derive(Clone, Copy, Debug)]
struct Traits {
    mapping: Behaviour,
    filtering: Behaviour,
}

/// What is known of a kind of site.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// In names of nodes.
    pub(crate) name: &'static str,
    /// For people.
    pub(crate) title: &'static str,
    v4: Option<Traits>,
    v6: Option<Traits>,
    site: fn() -> Site,
}

const NOTHING: Traits = Traits { mapping: EndpointIndependent, filtering: EndpointIndependent };
const FIREWALL: Traits = Traits { mapping: EndpointIndependent, filtering: AddressAndPortDependent };

/// How long a forgetful NAT remembers.
pub(crate) const FORGETFUL: Duration = Duration::from_secs(30);

/// The least MTU that IPv6 allows.
pub(crate) const SMALL_MTU: u16 = 1280;

/// Every kind of site that has a line of its own.
pub(crate) const KINDS: [Kind; 12] = [
    Kind { name: "open", title: "open", v4: Some(NOTHING), v6: Some(NOTHING), site: Site::open },
    behind("full-cone", "full cone NAT", Nat::FullCone, Site::full_cone),
    behind("address", "address-restricted NAT", Nat::AddressRestricted, Site::address_restricted),
    behind("port", "port-restricted NAT", Nat::PortRestricted, Site::port_restricted),
    behind("symmetric", "symmetric NAT", Nat::Symmetric, Site::symmetric),
    behind("cgnat", "CGNAT: two NATs", Nat::PortRestricted, Site::cgnat),
    Kind {
        v6: Some(FIREWALL),
        ..behind("ipv6", "port-restricted NAT, IPv6", Nat::PortRestricted, with_ipv6)
    },
    Kind { name: "ipv6-only", title: "IPv6 only", v4: None, v6: Some(NOTHING), site: Site::ipv6_only },
    behind("mtu", "port-restricted NAT, MTU 1280", Nat::PortRestricted, small_mtu),
    behind("forgetful", "port-restricted NAT, 30 s mapping", Nat::PortRestricted, forgetful),
    Kind { name: "blocked", title: "TCP 443 only", v4: None, v6: None, site: Site::udp_blocked },
    Kind { name: "proxy", title: "HTTP proxy only", v4: None, v6: None, site: Site::proxy_only },
];

impl Kind {
    /// A site of this kind.
    pub(crate) fn site(&self) -> Site {
        (self.site)()
    }

    /// What nodes at sites of this kind and of another must achieve.
    pub(crate) fn expected(&self, other: &Self) -> Expected {
        let meet = |a: Option<Traits>, b: Option<Traits>| a.zip(b).is_some_and(|(a, b)| meet(a, b));
        if meet(self.v4, other.v4) || meet(self.v6, other.v6) { Expected::Direct } else { Expected::Relay }
    }
}

const fn behind(name: &'static str, title: &'static str, nat: Nat, site: fn() -> Site) -> Kind {
    let traits = match nat {
        Nat::FullCone => NOTHING,
        Nat::AddressRestricted => {
            Traits { mapping: EndpointIndependent, filtering: Behaviour::AddressDependent }
        }
        Nat::PortRestricted => FIREWALL,
        Nat::Symmetric => Traits { mapping: AddressAndPortDependent, filtering: AddressAndPortDependent },
    };
    Kind { name, title, v4: Some(traits), v6: None, site }
}

fn meet(a: Traits, b: Traits) -> bool {
    let both_map_alike = a.mapping == EndpointIndependent && b.mapping == EndpointIndependent;
    both_map_alike || a.filtering == EndpointIndependent || b.filtering == EndpointIndependent
}

fn with_ipv6() -> Site {
    Site::port_restricted().ipv6()
}

fn small_mtu() -> Site {
    Site::port_restricted().mtu(SMALL_MTU)
}

fn forgetful() -> Site {
    Site::port_restricted().mapping_timeout(FORGETFUL)
}

/// Two nodes behind one gateway.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Roof {
    /// In names of nodes.
    pub(crate) name: &'static str,
    /// For people.
    pub(crate) title: &'static str,
    /// What is asked of them.
    pub(crate) expected: Expected,
    /// Whether the LAN keeps its hosts apart, as guest networks do, so that only the NAT is left.
    pub(crate) apart: bool,
    /// What they are behind.
    pub(crate) site: fn() -> Site,
}

/// Every kind of roof.
pub(crate) const ROOFS: [Roof; 8] = [
    roof("lan-open", "one LAN, open", Expected::Direct, Site::open),
    roof("lan", "one LAN, port-restricted NAT without hairpin", Expected::Direct, Site::port_restricted),
    roof("lan-hairpin", "one LAN, port-restricted NAT with hairpin", Expected::Direct, with_hairpin),
    roof("lan-symmetric", "one LAN, symmetric NAT", Expected::Direct, Site::symmetric),
    roof("lan-ipv6", "one LAN, IPv6 only", Expected::Direct, Site::ipv6_only),
    roof("lan-blocked", "one LAN, TCP 443 only", Expected::Direct, Site::udp_blocked),
    Roof {
        apart: true,
        ..roof("nat-hairpin", "one NAT with hairpin, no LAN", Expected::Direct, with_hairpin)
    },
    Roof {
        apart: true,
        ..roof("nat", "one NAT without hairpin, no LAN", Expected::Relay, Site::port_restricted)
    },
];

const fn roof(name: &'static str, title: &'static str, expected: Expected, site: fn() -> Site) -> Roof {
    Roof { name, title, expected, apart: false, site }
}

fn with_hairpin() -> Site {
    Site::port_restricted().hairpin()
}

#[test]
fn promises_of_the_design_are_what_the_oracle_says() {
    let kind = |name| KINDS.into_iter().find(|kind| kind.name == name).unwrap();
    let expected = |a, b| {
        let (a, b) = (kind(a), kind(b));
        assert_eq!(a.expected(&b), b.expected(&a));
        a.expected(&b)
    };
    for (a, b) in [
        ("open", "open"),
        ("full-cone", "symmetric"),
        ("open", "symmetric"),
        ("port", "port"),
        ("cgnat", "address"),
        ("ipv6-only", "open"),
        ("ipv6-only", "ipv6"),
        ("ipv6", "ipv6"),
        ("mtu", "forgetful"),
    ] {
        assert_eq!(expected(a, b), Expected::Direct, "{a} {b}");
    }
    for (a, b) in [
        ("symmetric", "symmetric"),
        ("port", "symmetric"),
        ("address", "symmetric"),
        ("ipv6-only", "port"),
        ("blocked", "open"),
        ("proxy", "proxy"),
    ] {
        assert_eq!(expected(a, b), Expected::Relay, "{a} {b}");
    }
}
