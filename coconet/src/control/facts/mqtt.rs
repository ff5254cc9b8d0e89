//! MQTT, as the exporter sees it.

use serde::{Deserialize, Serialize};

/// What MQTT goes through a tunnel.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MqttFacts {
    /// What was refused, so far.
    pub refused: u64,
}
