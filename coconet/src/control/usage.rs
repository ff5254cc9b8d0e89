//! What the relay has carried for a network.

use serde::{Deserialize, Serialize};

use crate::name::Name;

/// `GET /v1/networks/{name}/usage`: one month (UTC), as the manager has counted it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Usage {
    /// [`super::VERSION`].
    pub version: u32,
    /// The network's name.
    pub network: Name,
    /// The month, as `YYYY-MM`.
    pub month: String,
    /// The name of the network's plan at its manager, if it has one.
    pub plan: Option<String>,
    /// Bytes that may be relayed in a month, if that has a limit.
    pub limit: Option<u64>,
    /// Bytes relayed. Of the whole network each counts once; otherwise it is what the nodes below sent and got.
    pub used: u64,
    /// Whether this is of the whole network, as owners and admins see it. Guests see their own nodes, a device
    /// itself.
    pub whole: bool,
    /// Days on which something was relayed, in order.
    pub days: Vec<UsageDay>,
    /// Nodes that relayed something, those that relayed most first.
    pub nodes: Vec<UsageNode>,
}

/// One day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UsageDay {
    /// Which, as `YYYY-MM-DD`.
    pub day: String,
    /// Bytes relayed, counted as in the month.
    pub bytes: u64,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UsageNode {
    /// Its id, whole.
    pub id: String,
    /// Its name; of a node that was removed, its short id.
    pub name: Name,
    /// Whose it is, while it is a member.
    pub user: Option<Name>,
    /// Bytes it sent through the relay.
    pub sent: u64,
    /// Bytes it got through the relay.
    pub received: u64,
}

/// A warning of the manager: the relay's use has come near what it may be in a month, or to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct QuotaWarning {
    /// Bytes relayed this month, when the manager said it.
    pub used: u64,
    /// Bytes that may be.
    pub limit: u64,
}

impl QuotaWarning {
    /// Whether nothing more is relayed.
    pub fn is_spent(self) -> bool {
        self.used >= self.limit
    }
}

/// `used` in hundredths of `limit`, rounded down; all of it for a limit of zero.
pub fn percent(used: u64, limit: u64) -> u64 {
    let hundredths = (u128::from(used) * 100).checked_div(limit.into()).unwrap_or(100);
    u64::try_from(hundredths).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_never_claims_more_than_there_is() {
        assert_eq!((percent(799, 1000), percent(999, 1000), percent(1000, 1000)), (79, 99, 100));
        assert_eq!((percent(0, 0), percent(u64::MAX, 1)), (100, u64::MAX));
        assert_eq!(percent(u64::MAX - 1, u64::MAX), 99);
    }
}
