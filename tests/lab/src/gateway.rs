//! A site that stands: its gateways, its LAN, its line to the internet.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::host::{DEVICE, Host};
use crate::internet::Internet;
use crate::namespace::Namespace;
use crate::proxy::{PROXY_PORT, Proxy};
use crate::ruleset::{FIRST_GENERATION, Rules, ipv6_firewall};
use crate::site::{Egress, MTU, Nat, Site};
use crate::subnet::{ONLY, ROUTER, Subnet};
use crate::wire::Wire;

/// A gateway's device towards the internet.
const WAN: &str = "wan";

/// A gateway's bridge towards the hosts.
const LAN: &str = "lan";

/// Drops everything before it is tracked.
const CLOSE: &str = "add table inet closed
    add chain inet closed entrance { type filter hook prerouting priority -400; policy drop; }
    ";

/// No longer.
const OPEN: &str = "delete table inet closed\n";

/// A site of a lab.
pub struct SiteHandle {
    site: Site,
    internet: Arc<Internet>,
    /// From the hosts outwards, at least one.
    gateways: Vec<Gateway>,
    /// Wires between the gateways, kept for their life.
    _inner_wires: Vec<Wire>,
    wire: Wire,
    proxy: Option<(SocketAddr, Proxy)>,
}

struct Gateway {
    namespace: Arc<Namespace>,
    nat: Option<Nat>,
    outside: Mutex<Subnet>,
    inside: Subnet,
    generation: AtomicU8,
}

impl SiteHandle {
    pub(crate) fn new(internet: &Arc<Internet>, site: Site) -> Self {
        let mut nats: Vec<Option<Nat>> = site.nats.iter().copied().map(Some).collect();
        if nats.is_empty() {
            nats.push(None);
        }
        // From the internet inwards; each hangs from the one before.
        let mut gateways: Vec<Gateway> = Vec::new();
        let mut wires = Vec::new();
        for (depth, nat) in nats.iter().enumerate().rev() {
            let namespace = internet.adopt(Namespace::router());
            let (wire, outside) = match gateways.last() {
                None => {
                    let outside = internet.next_subnet().only(site.ipv4, site.ipv6);
                    let wire = Wire::new(internet.router(), &namespace, WAN, site.mtu, site.conditions);
                    internet.router().ip(&outside.take(ROUTER, wire.device()));
                    (wire, outside)
                }
                Some(carrier) => {
                    let wire = Wire::new(&carrier.namespace, &namespace, WAN, MTU, None);
                    carrier.bridge(&wire);
                    (wire, carrier.inside)
                }
            };
            wires.push(wire);
            let public = internet.next_subnet();
            let inside = match (nat, depth) {
                (None, _) => public,
                (Some(_), 0) => Subnet::home().with_v6_of(public),
                (Some(_), _) => Subnet::carrier().with_v6_of(public),
            };
            let inside = inside.only(site.ipv4, site.ipv6);
            namespace.ip(&format!(
                "{}link add {LAN} type bridge mcast_snooping 0\nlink set {LAN} up\n{}",
                outside.take(ONLY, WAN),
                inside.take(ROUTER, LAN)
            ));
            let nat = nat.filter(|_| site.ipv4);
            let gateway = Gateway {
                namespace,
                nat,
                outside: Mutex::new(outside),
                inside,
                // Not the same ports in each lab.
                generation: AtomicU8::new(FIRST_GENERATION + (std::process::id() % 128) as u8),
            };
            gateway.start(&site);
            gateways.push(gateway);
            route_inwards(internet, &gateways);
        }
        gateways.reverse();
        let wire = wires.remove(0);
        let proxy = (site.egress == Egress::Proxy).then(|| {
            let address = SocketAddr::from((gateways[0].inside.addresses(ROUTER)[0], PROXY_PORT));
            (address, Proxy::start(&gateways[0].namespace, address, internet.names()))
        });
        Self { site, internet: Arc::clone(internet), gateways, _inner_wires: wires, wire, proxy }
    }

    /// A new host in the LAN.
    #[must_use]
    pub fn host(&self, name: &str) -> Host {
        Host::new(&self.internet, name, |host| self.plug(host))
    }

    /// Plug a host in; the LAN it is in then.
    pub(crate) fn plug(&self, host: &Namespace) -> (Wire, Option<Subnet>) {
        let gateway = &self.gateways[0];
        let wire = Wire::new(&gateway.namespace, host, DEVICE, MTU, None);
        gateway.bridge(&wire);
        (wire, Some(gateway.inside))
    }

    /// As it was made.
    #[must_use]
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// The addresses by which the internet knows the outermost gateway now. Hosts behind a NAT appear with its
    /// IPv4 address; IPv6 addresses are the hosts' own.
    #[must_use]
    pub fn addresses(&self) -> Vec<IpAddr> {
        self.outermost().outside().addresses(ONLY)
    }

    /// # Panics
    /// When the site has no IPv4.
    #[must_use]
    pub fn v4(&self) -> Ipv4Addr {
        self.outermost().outside().v4(ONLY).expect("a site with an IPv4 address")
    }

    /// The CONNECT proxy, where there is one.
    #[must_use]
    pub fn proxy(&self) -> Option<SocketAddr> {
        self.proxy.as_ref().map(|(address, _)| *address)
    }

    /// Its line to the internet: counters, cuts, holes.
    #[must_use]
    pub fn wire(&self) -> &Wire {
        &self.wire
    }

    /// All NATs forget all mappings and connections, as if switched off and on: what comes in finds nothing,
    /// what goes out gets new ports.
    pub fn flush_mappings(&self) {
        for gateway in &self.gateways {
            gateway.flush(&self.site);
        }
    }

    /// The provider gives the outermost gateway other addresses. Mappings are lost; hosts notice nothing else.
    pub fn renumber(&self) -> Vec<IpAddr> {
        let outermost = self.outermost();
        let outside = self.internet.next_subnet().only(self.site.ipv4, self.site.ipv6);
        *outermost.outside() = outside;
        self.internet.router().ip(&outside.take(ROUTER, self.wire.device()));
        outermost.namespace.ip(&outside.take(ONLY, WAN));
        for gateway in &self.gateways {
            self.internet.router().ip(&gateway.inside.reach(outside, ONLY));
        }
        outermost.flush(&self.site);
        self.addresses()
    }

    fn outermost(&self) -> &Gateway {
        self.gateways.last().expect("a site has a gateway")
    }
}

/// Each router above the last of `gateways` learns the way to what is inside that one.
fn route_inwards(internet: &Internet, gateways: &[Gateway]) {
    let Some((new, above)) = gateways.split_last() else { return };
    let routers = std::iter::once(internet.router()).chain(above.iter().map(|gateway| &gateway.namespace));
    for (router, below) in routers.zip(gateways) {
        router.ip(&new.inside.reach(*below.outside(), ONLY));
    }
}

impl Gateway {
    /// Firewall and NAT, and how long conntrack remembers UDP.
    fn start(&self, site: &Site) {
        if self.nat.is_none() {
            return;
        }
        let timeout = site.mapping_timeout.as_secs().to_string();
        self.load(site);
        if site.ipv6 {
            self.namespace.nft(&ipv6_firewall(site.egress));
        }
        self.namespace.sysctl(&[
            ("netfilter/nf_conntrack_udp_timeout", &timeout),
            ("netfilter/nf_conntrack_udp_timeout_stream", &timeout),
            // A connection whose mapping is gone is gone, even if its packets go on.
            ("netfilter/nf_conntrack_tcp_loose", "0"),
        ]);
    }

    /// Make `wire` one of the LAN's.
    fn bridge(&self, wire: &Wire) {
        self.namespace.ip(&format!("link set {} master {LAN}\n", wire.device()));
        self.namespace.await_carrier(LAN);
    }

    fn load(&self, site: &Site) {
        let Some((nat, address)) = self.nat.zip(self.outside().v4(ONLY)) else { return };
        let rules = Rules {
            nat,
            hairpin: site.hairpin,
            egress: site.egress,
            timeout: site.mapping_timeout,
            address,
            generation: self.generation.load(Ordering::Relaxed),
        };
        self.namespace.nft(&rules.script());
    }

    fn flush(&self, site: &Site) {
        if self.nat.is_none() {
            return;
        }
        let next = |generation: u8| Some(generation.checked_add(1).unwrap_or(FIRST_GENERATION));
        let _ = self.generation.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        // Nothing passes meanwhile: a packet of what is being forgotten would have it remembered.
        self.namespace.nft(CLOSE);
        self.load(site);
        self.namespace.feed(Command::new("conntrack").arg("-F"), "conntrack", "");
        self.namespace.nft(OPEN);
    }

    fn outside(&self) -> MutexGuard<'_, Subnet> {
        self.outside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
