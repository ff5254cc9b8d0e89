//! How far the daemon is with what somebody waits for.

use serde::{Deserialize, Serialize};

/// `GET /v1/progress`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// [`super::VERSION`].
    pub version: u32,
    /// The oldest first.
    pub work: Vec<Work>,
}

/// One network that is being founded or joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// The id of the network that is joined, whole; the name of one that is founded.
    pub network: String,
    /// What is done now.
    pub step: WorkStep,
    /// Ledger entries that were verified.
    #[serde(default)]
    pub verified: u64,
    /// How many there are, once that is known.
    #[serde(default)]
    pub entries: Option<u64>,
}

/// What is done, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkStep {
    /// Reaching the manager. It ends here when nobody waits any more, and nothing has happened.
    Connecting,
    /// Asking the manager for an entry. From here on it is carried out, whether or not somebody waits.
    Writing,
    /// Fetching the ledger, and verifying it entry by entry.
    Verifying,
}
