//! Which node has which address: hashes that are made once for each head of the ledger, rather than for
//! each packet.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::sync::{Mutex, PoisonError};

use coconet::address;
use coconet::id::{Hash, NetworkId, NodeId};
use coconet::ledger::Ledger;

/// The addresses of one network's nodes.
#[derive(Debug, Default)]
pub(super) struct Addresses(Mutex<Option<Known>>);

#[derive(Debug)]
struct Known {
    head: Hash,
    nodes: BTreeMap<Ipv6Addr, NodeId>,
}

impl Addresses {
    /// The node that has `wanted`.
    pub(super) fn node(&self, network: NetworkId, ledger: &Ledger, wanted: Ipv6Addr) -> Option<NodeId> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = match &mut *known {
            Some(known) if known.head == ledger.head() => known,
            stale => {
                let nodes = ledger.state().nodes().keys().map(|id| (address::of(network, *id), *id));
                stale.insert(Known { head: ledger.head(), nodes: nodes.collect() })
            }
        };
        known.nodes.get(&wanted).copied()
    }
}
