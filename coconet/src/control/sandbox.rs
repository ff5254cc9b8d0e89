//! How the daemon's sandbox stands.

use serde::{Deserialize, Serialize};

/// One layer of the daemon's sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SandboxLayer {
    /// `privileges`, `dumps`, `capabilities`, `files`, `ports`, `signals` or `calls`.
    pub layer: String,
    /// How it stands.
    pub state: SandboxState,
    /// Why it is not in force as a whole, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// How a layer of the sandbox stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum SandboxState {
    /// In force.
    InForce,
    /// In force but for a part.
    Partly,
    /// Not in force: the kernel lacks it.
    Missing,
    /// Switched off.
    Off,
}
