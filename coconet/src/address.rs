//! The IP address of a node: what `ip` resources are reached by.
//!
//! Every node of every network has one address of its own, which nobody hands out: it follows from what the
//! node is. The first 48 bits are the network's ([`prefix`]): `fd` and 40 bits of a hash of the network's id, as
//! RFC 4193 makes local networks. The other 80 bits are the node's ([`of`]): a hash of the network's id and the
//! node's.
//!
//! **Collisions.** Two of a million nodes of one network share an address with a probability of 10^-12, and
//! a node that wants the address of another one must try 2^80 keys. 40 bits can be tried: somebody may found a
//! network with the prefix of another one. So a prefix proves nothing; a network is told by the whole
//! address of the own node in it, and a route for both leads to the same interface.

use std::net::Ipv6Addr;

use crate::id::{Hash, NetworkId, NodeId};

/// Bits of an address that all nodes of a network share.
pub const PREFIX_BITS: u8 = 48;

/// Their bytes.
const PREFIX_LEN: usize = PREFIX_BITS as usize / 8;

/// The first byte of an address that is assigned locally (RFC 4193, 3.1).
const LOCAL: u8 = 0xfd;

/// The address of a node.
pub fn of(network: NetworkId, node: NodeId) -> Ipv6Addr {
    let mut address = prefix(network).octets();
    let Hash(own) = Hash::of("coco node address", &[&network.0.0, &node.0]);
    for (to, from) in address[PREFIX_LEN..].iter_mut().zip(own) {
        *to = from;
    }
    address.into()
}

/// The first [`PREFIX_BITS`] bits of all addresses of a network, and zeros.
pub fn prefix(network: NetworkId) -> Ipv6Addr {
    let Hash(shared) = Hash::of("coco network prefix", &[&network.0.0]);
    let mut address = [0; 16];
    address[0] = LOCAL;
    for (to, from) in address[1..PREFIX_LEN].iter_mut().zip(shared) {
        *to = from;
    }
    address.into()
}

/// The prefix that an address has.
pub fn prefix_of(address: Ipv6Addr) -> Ipv6Addr {
    let mut octets = address.octets();
    octets[PREFIX_LEN..].fill(0);
    octets.into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn network(byte: u8) -> NetworkId {
        NetworkId(Hash([byte; 32]))
    }

    #[test]
    fn addresses_are_what_they_have_always_been() {
        assert_eq!(prefix(network(1)).to_string(), "fdf0:11d4:4a48::");
        assert_eq!(of(network(1), NodeId([2; 32])).to_string(), "fdf0:11d4:4a48:3794:5cf5:b134:ef41:7f55");
        assert_eq!(of(network(1), NodeId([3; 32])).to_string(), "fdf0:11d4:4a48:c64c:a955:6542:1535:d2bf");
        assert_eq!(of(network(4), NodeId([2; 32])).to_string(), "fde7:8816:ed12:7244:49d5:afa4:1a45:ce42");
    }

    #[test]
    fn nodes_of_a_network_share_its_prefix_and_nothing_else() {
        let nodes: Vec<Ipv6Addr> = (0..=255).map(|byte| of(network(1), NodeId([byte; 32]))).collect();
        assert!(nodes.iter().all(|node| prefix_of(*node) == prefix(network(1)) && node.octets()[0] == LOCAL));
        let rest: BTreeSet<_> = nodes.iter().map(|node| node.octets()[PREFIX_LEN..].to_vec()).collect();
        assert_eq!(rest.len(), nodes.len());
        // The same key in another network is another node.
        let elsewhere = of(network(4), NodeId([2; 32]));
        assert_ne!(elsewhere.octets()[PREFIX_LEN..], nodes[2].octets()[PREFIX_LEN..]);
    }
}
