//! MQTT.

use coconet::control::facts::MqttFacts;
use coconet::wire::code::Reset;

use super::{Broken, Caller, Local, Service, splice};
use crate::channel::Channel;

/// What was counted of one service.
#[derive(Debug, Default)]
pub struct Counters {}

impl Counters {
    /// For a list.
    pub fn facts(&self) -> MqttFacts {
        MqttFacts::default()
    }
}

/// The exporter's end of one connection: a socket to the broker, and a channel that was answered.
pub async fn far(
    service: &Service,
    _caller: &Caller,
    local: Local,
    channel: Channel,
    cut: impl Future<Output = Reset>,
) -> Result<(), Broken> {
    splice(local, channel, false, &service.meter, cut).await
}
