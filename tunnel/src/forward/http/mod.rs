//! HTTP/1.1.

use std::net::SocketAddr;

use coconet::control::facts::HttpFacts;
use coconet::wire::code::Reset;

use super::{Broken, Caller, Local, Meter, Service, splice};
use crate::channel::Channel;

/// What was counted of one service.
#[derive(Debug, Default)]
pub struct Counters {}

impl Counters {
    /// For a list.
    pub fn facts(&self) -> HttpFacts {
        HttpFacts::default()
    }
}

/// What a listener answers to.
#[derive(Debug, Clone)]
pub struct Names {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The resource's name.
    pub resource: String,
}

/// The listener's end of one connection: an application's socket, and a channel on which the exporter's
/// answer to the open is still to come.
pub async fn near(
    local: Local,
    channel: Channel,
    _names: &Names,
    meter: &Meter,
    cut: impl Future<Output = Reset>,
) -> Result<(), Broken> {
    splice(local, channel, true, meter, cut).await
}

/// The exporter's end of one connection: a socket to the target, and a channel that was answered.
pub async fn far(
    service: &Service,
    _caller: &Caller,
    local: Local,
    channel: Channel,
    cut: impl Future<Output = Reset>,
) -> Result<(), Broken> {
    splice(local, channel, false, &service.meter, cut).await
}
