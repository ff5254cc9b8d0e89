//! A gateway's nftables rules: what makes it the NAT it is said to be.
//!
//! Left to itself, Linux keeps the source port and filters by address and port, but maps endpoint-independently
//! only until two hosts choose the same port. So the endpoint-independent NATs keep their own tables, as a
//! home router's firmware does:
//!
//! 1. `learn` sees each packet that leaves. The first from an internal endpoint gets the next external port;
//!    the mapping goes to `external` and, once the source is translated, the other way round to `internal`.
//!    Whom the endpoint has sent to goes to `contacted` and `sent_to`.
//! 2. A packet from outside to a port in `internal` is translated; `forward` then asks the set that the NAT's
//!    filtering goes by. One that is refused leaves no trace.
//! 3. Each packet of a mapping, either way, restarts its time. When it is over all is forgotten, and the
//!    next packet that leaves gets another port.
//!
//! With hairpinning, packets from inside to the external address take the same way, filter included, and
//! arrive from the sender's external endpoint (RFC 4787, REQ-9).
//!
//! The symmetric NAT is Linux's own with random ports; it has no tables, and lets in answers only.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::proxy::PROXY_PORT;
use crate::site::{Behaviour, Egress, Nat};

/// How many mappings an endpoint-independent NAT can hand out between two flushes without using a port again.
pub const MAPPINGS: u8 = 252;

/// The lowest generation of external ports.
pub(crate) const FIRST_GENERATION: u8 = 4;

/// What the rules of one NAT depend on.
pub(crate) struct Rules {
    pub(crate) nat: Nat,
    pub(crate) hairpin: bool,
    pub(crate) egress: Egress,
    pub(crate) timeout: Duration,
    /// The gateway's external address.
    pub(crate) address: Ipv4Addr,
    /// Another one picks other external ports; at least [`FIRST_GENERATION`].
    pub(crate) generation: u8,
}

impl Rules {
    /// The script that replaces all earlier rules and mappings; open connections stay in conntrack.
    pub(crate) fn script(&self) -> String {
        let tables = match self.nat.mapping() {
            Behaviour::EndpointIndependent => self.endpoint_independent(),
            Behaviour::AddressDependent | Behaviour::AddressAndPortDependent => SYMMETRIC.to_owned(),
        };
        let egress = verdict(self.egress);
        let admitted = match self.nat.filtering() {
            Behaviour::EndpointIndependent => "",
            Behaviour::AddressDependent => "ip daddr . udp dport . ip saddr @contacted",
            Behaviour::AddressAndPortDependent => "ip daddr . udp dport . ip saddr . udp sport @sent_to",
        };
        format!(
            "table ip nat
            delete table ip nat
            table ip nat {{
                set contacted {{
                    type ipv4_addr . inet_service . ipv4_addr
                    flags dynamic,timeout; timeout {timeout}s
                }}
                set sent_to {{
                    type ipv4_addr . inet_service . ipv4_addr . inet_service
                    flags dynamic,timeout; timeout {timeout}s
                }}
                chain forward {{
                    type filter hook forward priority 0; policy drop;
                    ct state invalid drop
                    ct state established,related accept
                    iifname lan oifname wan {egress}
                    meta l4proto udp ct status dnat {admitted} accept
                }}
                chain input {{
                    type filter hook input priority 0; policy drop;
                    iifname lo accept
                    ct state established,related accept
                    ip protocol icmp accept
                    iifname lan tcp dport {PROXY_PORT} accept
                }}
                {tables}
                chain source {{
                    type nat hook postrouting priority srcnat;
                    oifname wan ct direction original masquerade
                }}
            }}
            ",
            timeout = self.timeout.as_secs(),
        )
    }

    fn endpoint_independent(&self) -> String {
        let Self { address, timeout, .. } = self;
        let timeout = timeout.as_secs();
        let not_hairpin = if self.hairpin { "" } else { "iifname wan" };
        // nft 1.0.6 puts this number into the port the little-endian way round: the low byte, from 4 up,
        // becomes the high one. So consecutive mappings are 256 ports apart and none is privileged.
        let first = u16::from(self.generation) << 8 | 4;
        format!(
            "map external {{
                type ipv4_addr . inet_service : inet_service
                flags dynamic,timeout; timeout {timeout}s
            }}
            map internal {{
                type inet_service : ipv4_addr . inet_service
                flags dynamic,timeout; timeout {timeout}s
            }}
            chain destination {{
                type nat hook prerouting priority dstnat;
                {not_hairpin} ip daddr {address} meta l4proto udp dnat ip to udp dport map @internal
            }}
            chain learn {{
                type filter hook forward priority -10;
                meta l4proto != udp return
                iifname != lan return
                update @external {{ ip saddr . udp sport : numgen inc mod {MAPPINGS} offset {first} }}
                update @contacted {{ ip saddr . udp sport . ip daddr }}
                update @sent_to {{ ip saddr . udp sport . ip daddr . udp dport }}
            }}
            chain refresh {{
                type filter hook forward priority 10;
                iifname != wan return
                meta l4proto udp ct direction reply update @external {{ ip daddr . udp dport : ct reply proto-dst }}
                meta l4proto udp ct direction reply update @internal {{ ct reply proto-dst : ip daddr . udp dport }}
                meta l4proto udp ct direction original update @external {{ ip daddr . udp dport : ct original proto-dst }}
                meta l4proto udp ct direction original update @internal {{ ct original proto-dst : ip daddr . udp dport }}
            }}
            chain source_endpoint {{
                type nat hook postrouting priority srcnat - 1;
                oifname wan meta l4proto udp snat ip to {address} : ip saddr . udp sport map @external
                oifname lan meta l4proto udp ct status dnat iifname lan snat ip to {address} : ip saddr . udp sport map @external
            }}
            chain learned {{
                type filter hook postrouting priority srcnat + 10;
                ip saddr != {address} return
                meta l4proto udp ct direction original update @internal {{ udp sport : ct original ip saddr . ct original proto-src }}
                meta l4proto udp ct direction reply update @internal {{ udp sport : ct reply ip saddr . ct reply proto-src }}
            }}
            "
        )
    }
}

const SYMMETRIC: &str = "chain source_endpoint {
    type nat hook postrouting priority srcnat - 1;
    oifname wan meta l4proto udp masquerade fully-random
}
";

/// IPv6 at a site with a NAT: answers come in, nothing else.
pub(crate) fn ipv6_firewall(egress: Egress) -> String {
    let egress = verdict(egress);
    format!(
        "table ip6 firewall {{
            chain forward {{
                type filter hook forward priority 0; policy drop;
                ct state invalid drop
                ct state established,related accept
                iifname lan oifname wan {egress}
            }}
        }}
        "
    )
}

/// On what comes from the hosts and goes to the internet.
fn verdict(egress: Egress) -> &'static str {
    match egress {
        Egress::Everything => "accept",
        Egress::Tcp443 => "tcp dport 443 accept",
        Egress::Proxy => "drop",
    }
}
