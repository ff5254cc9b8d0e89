//! RTSP and its media.

pub mod auth;
pub mod media;

use std::net::SocketAddr;

use coconet::control::facts::RtspFacts;
use coconet::wire::code::Reset;

use super::{Broken, Caller, Local, Meter, Service, connect, splice};
use crate::channel::Channel;

/// Sessions with the camera of one service.
#[derive(Debug, Default)]
pub struct Cameras {}

impl Cameras {
    /// For a list.
    pub fn facts(&self) -> RtspFacts {
        RtspFacts::default()
    }
}

/// The listener's end of one connection: a player's socket, and a channel on which the exporter's answer to
/// the open is still to come.
pub async fn near(
    local: Local,
    channel: Channel,
    _listen: SocketAddr,
    meter: &Meter,
    cut: impl Future<Output = Reset>,
) -> Result<(), Broken> {
    splice(local, channel, true, meter, cut).await
}

/// The exporter's end of one connection: a channel that was answered. The camera is connected to when it is
/// needed.
pub async fn far(
    service: &Service,
    _caller: &Caller,
    channel: Channel,
    cut: impl Future<Output = Reset>,
) -> Result<(), Broken> {
    let local = connect(&service.target.place).await.map_err(Broken::Local)?;
    splice(local, channel, false, &service.meter, cut).await
}
