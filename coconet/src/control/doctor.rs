//! What stands between this node and the others.

use serde::{Deserialize, Serialize};

use crate::name::Name;

/// `GET /v1/doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Doctor {
    /// [`super::VERSION`].
    pub version: u32,
    /// By name.
    pub networks: Vec<Examined>,
}

/// One network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Examined {
    /// Its name.
    pub network: Name,
    /// What was looked at, in the order in which it is read best.
    pub checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Check {
    /// What: `manager`, `udp`, `mapping`, `filtering`, `hairpinning`, `port-mapping`, `ipv4`, `ipv6`, `mtu`,
    /// `captive-portal`, `tls-fallback`, `lan`, `clock`.
    pub check: String,
    /// With which other node, where it is about one.
    pub peer: Option<Name>,
    /// How it stands.
    pub status: CheckStatus,
    /// What was found, in a word or a number that scripts may compare.
    pub found: Option<String>,
    /// What that means, in a sentence.
    pub reason: String,
    /// What can be done about it.
    pub hint: Option<String>,
}

/// How a thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    /// As it should be.
    Ok,
    /// It works, and could work better.
    Warning,
    /// Something does not work.
    Failed,
    /// It could not be found out.
    Unknown,
}

impl CheckStatus {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}
