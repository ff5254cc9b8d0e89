//! Which resources a run has, and where each is. Pure.
//!
//! An address is given once in a run: a name that somebody has looked up never leads to another resource.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};

use coconet::control::{Kept, RUN_RESOURCES_MAX, RunName, Wanted, run_host, run_port};
use coconet::id::NodeId;
use coconet::ledger::State;
use coconet::name::Name;
use coconet::resource::Kind;

/// The first address that is given. Behind it are 65 thousand, all on the loopback interface.
const FIRST: Ipv4Addr = Ipv4Addr::new(127, 64, 0, 1);

/// The last.
const LAST: Ipv4Addr = Ipv4Addr::new(127, 64, 255, 254);

/// What listens for one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stand {
    /// Its address.
    pub address: Ipv4Addr,
    /// Its port.
    pub port: u16,
    /// What speaks there.
    pub kind: Kind,
    /// Whether it takes connections.
    pub tcp: bool,
    /// Whether it takes datagrams.
    pub udp: bool,
}

/// What is different now.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// What is not there any more, or is something else now.
    pub gone: Vec<Name>,
    /// What is new.
    pub new: Vec<(Name, Stand)>,
}

/// The resources of a run.
#[derive(Debug)]
pub struct Plan {
    network: Name,
    /// Only these; all when empty.
    only: BTreeSet<Name>,
    stands: BTreeMap<Name, Stand>,
    /// Where each resource was seen, for as long as the run.
    addresses: BTreeMap<Name, Ipv4Addr>,
    next: Option<Ipv4Addr>,
}

impl Plan {
    /// Of a run in `network` with the resources `only`, or all. What was `kept` has its place.
    pub fn new(network: Name, only: impl IntoIterator<Item = Name>, kept: Vec<Kept>) -> Self {
        let given = |kept: &Kept| (FIRST..=LAST).contains(&kept.address);
        let kept = kept.into_iter().filter(given).take(RUN_RESOURCES_MAX);
        let mut addresses = BTreeMap::new();
        let mut taken = BTreeSet::new();
        for Kept { resource, address } in kept {
            if taken.insert(address) {
                addresses.insert(resource, address);
            }
        }
        let next = match taken.last() {
            None => Some(FIRST),
            Some(last) => following(*last),
        };
        Self { network, only: only.into_iter().collect(), stands: BTreeMap::new(), addresses, next }
    }

    /// The ledger is so now, for the node `own`.
    pub fn follow(&mut self, state: &State, own: NodeId) -> Change {
        let wanted = state.resources().iter().filter(|(name, resource)| {
            // What this node offers itself is on this machine, outside.
            resource.node != own
                // That is of packets, which take no listener.
                && resource.kind != Kind::Ip
                && state.may_see(own, name)
                && (self.only.is_empty() || self.only.contains(*name))
        });
        let wanted: BTreeMap<&Name, (Kind, u16, bool)> = wanted
            .take(RUN_RESOURCES_MAX)
            .map(|(name, resource)| {
                let (kind, attributes) = (resource.kind, &resource.attributes);
                (name, (kind, run_port(kind, attributes), attributes.takes_udp(kind)))
            })
            .collect();
        let mut change = Change::default();
        self.stands.retain(|name, stand| {
            let same = wanted.get(name) == Some(&(stand.kind, stand.port, stand.udp));
            if !same {
                change.gone.push(name.clone());
            }
            same
        });
        for (name, (kind, port, udp)) in wanted {
            if self.stands.contains_key(name) {
                continue;
            }
            let Some(address) = self.address(name) else { continue };
            let stand = Stand { address, port, kind, tcp: kind != Kind::Udp, udp };
            self.stands.insert(name.clone(), stand.clone());
            change.new.push((name.clone(), stand));
        }
        change
    }

    /// All names there are.
    pub fn names(&self) -> Vec<RunName> {
        let line = |(name, stand): (&Name, &Stand)| RunName {
            host: run_host(name, &self.network),
            address: stand.address,
            kind: stand.kind,
            port: stand.port,
        };
        self.stands.iter().map(line).collect()
    }

    /// What listens for a resource.
    pub fn stand(&self, name: &Name) -> Option<&Stand> {
        self.stands.get(name)
    }

    fn address(&mut self, name: &Name) -> Option<Ipv4Addr> {
        if let Some(address) = self.addresses.get(name) {
            return Some(*address);
        }
        let address = self.next?;
        self.next = following(address);
        self.addresses.insert(name.clone(), address);
        Some(address)
    }
}

impl Stand {
    /// Where it listens.
    pub fn place(&self) -> SocketAddr {
        (self.address, self.port).into()
    }

    /// The sockets that it takes.
    pub fn sockets(&self) -> Vec<Wanted> {
        let tcp = self.tcp.then(|| Wanted::Tcp(self.place()));
        let udp = self.udp.then(|| Wanted::Udp(self.place()));
        tcp.into_iter().chain(udp).collect()
    }
}

fn following(address: Ipv4Addr) -> Option<Ipv4Addr> {
    let next = Ipv4Addr::from(u32::from(address).checked_add(1)?);
    (next <= LAST).then_some(next)
}
