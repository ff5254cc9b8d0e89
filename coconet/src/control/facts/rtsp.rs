//! RTSP, as the exporter sees it.

use serde::{Deserialize, Serialize};

/// What RTSP goes through a tunnel.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RtspFacts {
    /// What was refused, so far.
    pub refused: u64,
}
