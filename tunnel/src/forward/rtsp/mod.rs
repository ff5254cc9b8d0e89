//! RTSP and its media.
//!
//! Two legs and a tunnel between them. The [`near`](crate::forward::rtsp::near()) end speaks RTSP with the
//! player and owns the player's media ports; the [`far`](crate::forward::rtsp::far()) end judges, speaks RTSP
//! with the camera, and owns the camera's. Each leg has UDP or interleaved frames, whatever the other has.
//! In between messages go on the channel's stream, and RTP and RTCP as datagrams that are dropped when they
//! are late: flow 2n is the RTP of the n-th track, flow 2n+1 its RTCP. Where both legs have frames, frames go
//! on the stream as well, and nothing is lost.
//!
//! In the order of life: bytes become messages and frames ([`message`]); a SETUP's alternatives are read and
//! written anew for each leg ([`transport`]); requests are judged ([`judge`]); URLs are renamed between the
//! camera's host and the listener's ([`urls`]); the camera's challenge is answered where the login is kept
//! ([`auth`]); what is to be written waits in bounded lanes ([`lanes`]); and what was sent is described
//! ([`media`]).
//!
//! RTSP inside HTTP is forwarded unparsed for who may do everything, and refused to others. RTSP over TLS is
//! a `tcp` resource. RTSP 2.0 is answered with 505: players that speak it speak 1.0 as well.

pub mod auth;
mod camera;
mod far;
pub mod goodbye;
pub mod judge;
pub mod lanes;
pub mod media;
pub mod message;
mod near;
mod ports;
mod seen;
mod share;
mod stream;
pub mod transport;
pub mod urls;
mod viewer;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use coconet::control::facts::RtspFacts;
use coconet::wire::code::Reset;

pub use camera::{ANSWER_TIMEOUT, NO_DATA, TEARDOWN_TIMEOUT};
pub use near::PENDING_MAX;
pub use ports::{PairWanted, Ports};
use seen::Seen;
use share::Shares;
pub use share::{LINGER, REPORT, SHARES_MAX};
pub use viewer::TRACKS_MAX;

use super::{Broken, Caller, Local, Meter, Service};
use crate::channel::Channel;

/// Sessions with the camera of one service.
#[derive(Default)]
pub struct Cameras {
    seen: Mutex<Vec<Weak<Seen>>>,
    shares: Shares,
    refused: AtomicU64,
}

impl Cameras {
    /// For a list.
    pub fn facts(&self) -> RtspFacts {
        let seen: Vec<_> = self.lock().iter().filter_map(Weak::upgrade).collect();
        let sessions = seen.iter().map(|seen| seen.facts()).filter(|session| !session.tracks.is_empty());
        RtspFacts { sessions: sessions.collect(), refused: self.refused.load(Ordering::Relaxed) }
    }

    fn register(&self, seen: &Arc<Seen>) {
        let mut all = self.lock();
        all.retain(|seen| seen.strong_count() > 0);
        all.push(Arc::downgrade(seen));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Seen>>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Cameras {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cameras").finish_non_exhaustive()
    }
}

/// The listener's end of one connection: a player's socket, and a channel on which the exporter's answer to
/// the open is still to come. UDP ports for the player are made by `ports`.
pub async fn near(
    local: Local,
    channel: Channel,
    ports: &Ports,
    meter: &Meter,
    cut: impl Future<Output = Reset>,
) -> Result<(), Broken> {
    near::serve(local, channel, ports, meter, cut).await
}

/// The exporter's end of one connection: a channel that was answered. The camera is connected to when it is
/// needed.
pub async fn far(
    service: &Service,
    caller: &Caller,
    channel: Channel,
    cut: impl Future<Output = Reset>,
) -> Result<(), Broken> {
    far::serve(service, caller, channel, cut).await
}
