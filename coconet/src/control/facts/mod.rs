//! What a tunnel's protocol says of what goes through it: part of [`super::Tunnel`].

mod http;
mod ip;
mod mqtt;
mod rtsp;
mod udp;

use serde::{Deserialize, Serialize};

pub use http::HttpFacts;
pub use ip::IpFacts;
pub use mqtt::{MQTT_FILTER_MAX, MQTT_SUBSCRIPTIONS_MAX, MqttDenied, MqttFacts, MqttSubscription};
pub use rtsp::{RtspFacts, RtspSession, RtspTrack, RtspTransport};
pub use udp::UdpFacts;

/// Facts of one protocol.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "protocol", rename_all = "lowercase")]
pub enum Facts {
    /// Of datagrams.
    Udp(UdpFacts),
    /// Of HTTP.
    Http(HttpFacts),
    /// Of RTSP.
    Rtsp(RtspFacts),
    /// Of MQTT.
    Mqtt(MqttFacts),
    /// Of IP packets.
    Ip(IpFacts),
}
