//! HTTP, as the exporter sees it.

use serde::{Deserialize, Serialize};

/// What HTTP goes through a tunnel.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HttpFacts {
    /// What was refused, so far.
    pub refused: u64,
}
