//! IP packets, as a node takes and sends them by its own address.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use serde::{Deserialize, Serialize};

use crate::name::Name;

/// What a node's own address is and what went by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct IpFacts {
    /// The node's own address.
    pub address: Ipv6Addr,
    /// The interface that has it here, where one has.
    #[serde(default)]
    pub interface: Option<String>,
    /// The nodes that packets are exchanged with now.
    #[serde(default)]
    pub nodes: Vec<Name>,
    /// Packets from other nodes to the interface. Segments that travelled together count as one.
    #[serde(default)]
    pub packets_in: u64,
    /// Packets from the interface to other nodes, counted alike.
    #[serde(default)]
    pub packets_out: u64,
    /// Bytes of the packets in.
    #[serde(default)]
    pub bytes_in: u64,
    /// Bytes of the packets out.
    #[serde(default)]
    pub bytes_out: u64,
    /// Packets that went no further, by the word for why.
    #[serde(default)]
    pub dropped: BTreeMap<String, u64>,
}
