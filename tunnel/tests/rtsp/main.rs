//! RTSP, whole: a player, the listener's end, a session on loopback, the exporter's end, a camera.
//!
//! Player and camera are scripted here, so that each can have the oddities that real ones have one at a
//! time.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod camera;
mod legs;
mod player;
mod rights;
mod share;
mod tunnel;

use std::time::Duration;

/// Nothing on loopback takes this long; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for what must happen.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it takes too long")
}
