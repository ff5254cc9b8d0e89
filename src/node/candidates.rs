//! The addresses this node can be reached at, as far as anybody has told.
//!
//! Each [`Source`] says what it knows; whoever tells others ([`Own::watch`]) hears the union, best first,
//! and only when it has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use coco_tunnel::endpoint::{Endpoint, dialable};
use tokio::sync::watch;

use crate::ip::host::NAME_PREFIX;
use crate::surroundings::links::Links;

/// Who knows of an address. Better ones first: packets by them stay nearer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The machine's own interfaces.
    Interface,
    /// The manager, which sees where packets come from.
    Observed,
    /// The manager, where it was asked by the other family of addresses.
    OtherFamily,
    /// The router, which was asked to let packets in.
    PortMapping,
}

/// What is known of this node's addresses.
#[derive(Debug, Default)]
pub struct Own {
    known: Mutex<BTreeMap<Source, Vec<SocketAddr>>>,
    union: watch::Sender<Vec<SocketAddr>>,
}

impl Own {
    /// What `source` knows now. Addresses that nobody could dial are left out; loopback ones count only with
    /// `local`, when the manager is on this machine too.
    pub fn set(&self, source: Source, addresses: impl IntoIterator<Item = SocketAddr>, local: bool) {
        let addresses = dialable(addresses, local);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(source, addresses);
        let union = dialable(known.values().flatten().copied(), true);
        self.union.send_if_modified(|told| {
            let news = *told != union;
            *told = union;
            news
        });
    }

    /// All of them.
    pub fn all(&self) -> Vec<SocketAddr> {
        self.union.borrow().clone()
    }

    /// What one source knows.
    pub fn of(&self, source: Source) -> Vec<SocketAddr> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&source).cloned().unwrap_or_default()
    }

    /// All of them, whenever they change.
    pub fn watch(&self) -> watch::Receiver<Vec<SocketAddr>> {
        self.union.subscribe()
    }
}

/// The interface addresses on which `endpoint` listens, with its ports. Loopback is left out: it is the
/// manager that knows whether somebody else is on this machine. So are interfaces whose packets sessions
/// carry: those with an address of `inside`, which is this network's prefix, and those that look like another daemon's.
pub(super) fn of_interfaces(endpoint: &Endpoint, inside: Ipv6Addr) -> Vec<SocketAddr> {
    let bound = endpoint.addresses();
    // A machine that does not say what it has is known by what others see.
    let links = Links::look().unwrap_or_default();
    let carried = |name: &str, addresses: &BTreeSet<IpAddr>| {
        let own = |ip: &IpAddr| matches!(ip, IpAddr::V6(v6) if coconet::address::prefix_of(*v6) == inside);
        name.starts_with(NAME_PREFIX) || addresses.iter().any(own)
    };
    let not_ours: BTreeSet<IpAddr> = links
        .interfaces
        .iter()
        .filter(|(name, interface)| carried(name, &interface.addresses))
        .flat_map(|(_, interface)| interface.addresses.iter().copied())
        .collect();
    let interfaces: Vec<IpAddr> = links.addresses().filter(|ip| !not_ours.contains(ip)).collect();
    let reachable = bound.iter().flat_map(|bound| {
        let any = bound.ip().is_unspecified();
        let of_family = |ip: &&IpAddr| ip.is_ipv4() == bound.is_ipv4();
        let ips = if any { interfaces.iter().filter(of_family).copied().collect() } else { vec![bound.ip()] };
        ips.into_iter().map(|ip| SocketAddr::new(ip, bound.port()))
    });
    reachable.collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_union_is_told_when_it_changes_and_not_otherwise() {
        let own = Own::default();
        let mut watch = own.watch();
        own.set(Source::Observed, [at("198.51.100.7:4433")], false);
        own.set(Source::Interface, [at("192.168.1.2:4433"), at("127.0.0.1:4433")], false);
        assert!(watch.has_changed().unwrap());
        assert_eq!(*watch.borrow_and_update(), [at("192.168.1.2:4433"), at("198.51.100.7:4433")]);
        own.set(Source::Observed, [at("198.51.100.7:4433")], false);
        own.set(Source::PortMapping, [at("192.168.1.2:4433"), at("169.254.169.254:1")], false);
        assert!(!watch.has_changed().unwrap());
        own.set(Source::Observed, [], false);
        assert_eq!(*watch.borrow_and_update(), [at("192.168.1.2:4433")]);
    }
}
