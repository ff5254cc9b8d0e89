//! What joins two namespaces, and what can be done to it while it is in use.
//!
//! A wire hangs from its upper end, a router, down to a host or another router. It is a veth pair, or a
//! [`Link`] when the line is to be bad. Both cut large segments into packets as they leave: what is counted
//! and measured here is what a real cable would carry.
//!
//! All rules sit at the upper end, in front of everything the router does: packets from below are counted, then
//! dropped if so ordered; packets from above are dropped if so ordered.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::counters::{self, Sent};
use crate::link::{Conditions, Link};
use crate::namespace::Namespace;

/// The wire from a host to its router, or from a site to the internet.
pub struct Wire {
    upper: Arc<Namespace>,
    device: String,
    orders: Mutex<Orders>,
    link: Option<Link>,
}

/// What to drop.
#[derive(Default)]
struct Orders {
    everything: bool,
    udp: bool,
    /// IP packets from and to an address that are larger than so many bytes.
    holes: Vec<(IpAddr, u16)>,
}

impl Wire {
    /// A new wire from `upper` to `lower`, where its device is called `name`; both ends carry packets.
    pub(crate) fn new(
        upper: &Arc<Namespace>,
        lower: &Namespace,
        name: &str,
        mtu: u16,
        conditions: Option<Conditions>,
    ) -> Self {
        let device = upper.next_device();
        let link = conditions.map(|conditions| Link::new((upper, &device), (lower, name), mtu, conditions));
        if link.is_none() {
            // One segment per buffer: a veth would pass on what is larger than a packet.
            upper.ip(&format!(
                "link add {device} mtu {mtu} gso_max_segs 1 type veth \
                 peer name {name} mtu {mtu} gso_max_segs 1 netns {}\n",
                lower.path()
            ));
        }
        upper.ip(&format!("link set {device} up\n"));
        lower.ip(&format!("link set {name} up\n"));
        lower.await_carrier(name);
        upper.await_carrier(&device);
        upper.nft(&rules(&device));
        Self { upper: Arc::clone(upper), device, orders: Mutex::default(), link }
    }

    /// Drop everything, both ways, without a sign to either end; [`heal`](Self::heal) ends it.
    pub fn cut(&self) {
        self.order(|orders| orders.everything = true);
    }

    /// Drop UDP both ways, or no longer.
    pub fn block_udp(&self, block: bool) {
        self.order(|orders| orders.udp = block);
    }

    /// Drop IP packets of more than `above` bytes from and to `peer`; 0 drops all.
    pub fn blackhole(&self, peer: IpAddr, above: u16) {
        self.order(|orders| orders.holes.push((peer, above)));
    }

    /// Undo all cuts, blocks and holes.
    pub fn heal(&self) {
        self.order(|orders| *orders = Orders::default());
    }

    /// What came up this wire since it was made or [forgotten](Self::forget_sent), dropped or not. Addresses
    /// of the LAN that nobody has are asked for by ARP in vain, and nothing comes: see
    /// [`Host::tried`](crate::Host::tried).
    #[must_use]
    pub fn sent(&self) -> Vec<Sent> {
        counters::read(&self.upper, &self.table())
    }

    /// Count from zero.
    pub fn forget_sent(&self) {
        counters::forget(&self.upper, &self.table());
    }

    /// Make a bad line better or worse.
    ///
    /// # Panics
    /// When the wire was made without [`Conditions`].
    pub fn set_conditions(&self, conditions: Conditions) {
        self.link.as_ref().expect("a wire that was made with conditions").set_conditions(conditions);
    }

    /// Take the device away at both ends, and the bad line between them.
    pub(crate) fn unplug(&self) {
        self.upper.nft(&format!("delete table {}\n", self.table()));
        self.upper.ip(&format!("link del {}\n", self.device));
    }

    /// The name of the upper end.
    pub(crate) fn device(&self) -> &str {
        &self.device
    }

    fn table(&self) -> String {
        format!("netdev {}", self.device)
    }

    fn order(&self, change: impl FnOnce(&mut Orders)) {
        let mut orders = self.lock();
        change(&mut orders);
        self.upper.nft(&orders.rules(&self.device));
    }

    fn lock(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn rules(device: &str) -> String {
    format!(
        "table netdev {device} {{
            {}
            chain from_below {{ type filter hook ingress device {device} priority 0; }}
            chain from_above {{ type filter hook egress device {device} priority 0; }}
        }}
        ",
        counters::rules(&format!("ingress device {device}"))
    )
}

impl Orders {
    fn rules(&self, device: &str) -> String {
        let mut rules = String::new();
        for (chain, remote) in [("from_below", "daddr"), ("from_above", "saddr")] {
            let mut line = |line: &str| {
                let _ = writeln!(rules, "{line}");
            };
            line(&format!("flush chain netdev {device} {chain}"));
            let mut drop = |what: &str| line(&format!("add rule netdev {device} {chain} {what} drop"));
            if self.everything {
                drop("");
            }
            if self.udp {
                drop("meta l4proto udp");
            }
            for (peer, above) in &self.holes {
                match peer {
                    IpAddr::V4(peer) => drop(&format!("ip {remote} {peer} ip length > {above}")),
                    // The length in an IPv6 header does not count that header.
                    IpAddr::V6(peer) if *above < 40 => drop(&format!("ip6 {remote} {peer}")),
                    IpAddr::V6(peer) => drop(&format!("ip6 {remote} {peer} ip6 length > {}", above - 40)),
                }
            }
        }
        rules
    }
}
