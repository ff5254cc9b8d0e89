//! HTTP, as one end of a tunnel sees it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What HTTP goes through a tunnel.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct HttpFacts {
    /// Requests forwarded so far.
    pub requests: u64,
    /// Requests in a second, over the last ten.
    pub requests_per_second: f64,
    /// Requests and responses that were not forwarded so far, by the word for why.
    pub refused: BTreeMap<String, u64>,
    /// Upgraded connections now: WebSockets, as a rule.
    pub upgrades: u64,
}
