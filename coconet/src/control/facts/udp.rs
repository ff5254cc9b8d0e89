//! Datagrams exchanged.

use serde::{Deserialize, Serialize};

/// What a tunnel exchanged in datagrams.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct UdpFacts {
    /// Local clients, or sockets to the target, now.
    pub flows: u64,
    /// Datagrams from the network to the application.
    pub datagrams_in: u64,
    /// Datagrams from the application to the network.
    pub datagrams_out: u64,
    /// Datagrams dropped here: late, too many, or from too many clients.
    pub dropped: u64,
    /// Datagrams of the other node that did not come.
    pub lost: u64,
}
