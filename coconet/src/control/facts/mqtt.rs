//! What an exporter knows of an MQTT resource.

use serde::{Deserialize, Serialize};

/// Most filters that are listed.
pub const MQTT_SUBSCRIPTIONS_MAX: usize = 64;

/// Longest filter as it is listed, in bytes; a longer one ends in dots.
pub const MQTT_FILTER_MAX: usize = 256;

/// Since the daemon was started, and what is subscribed now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct MqttFacts {
    /// Clients that the broker has accepted and that are connected now.
    pub clients: u64,
    /// Filters that are subscribed through the tunnel, those of most clients first; up to
    /// [`MQTT_SUBSCRIPTIONS_MAX`].
    pub subscriptions: Vec<MqttSubscription>,
    /// Filters that are subscribed and not listed.
    pub more_subscriptions: u64,
    /// Messages from clients that were passed to the broker.
    pub messages_in: u64,
    /// Messages from the broker that were passed to clients.
    pub messages_out: u64,
    /// What the grants did not allow.
    pub denied: MqttDenied,
    /// Connections ended because a packet was malformed or out of place.
    pub malformed: u64,
}

/// One filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MqttSubscription {
    /// As the clients wrote it.
    pub filter: String,
    /// How many clients have it.
    pub clients: u64,
}

/// What the grants did not allow, by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct MqttDenied {
    /// Connections whose will, client id or way of logging in was refused.
    pub connect: u64,
    /// Messages from clients.
    pub publish: u64,
    /// Filters of subscriptions.
    pub subscribe: u64,
    /// Messages from the broker, of subscriptions that an earlier session had made.
    pub deliver: u64,
}
