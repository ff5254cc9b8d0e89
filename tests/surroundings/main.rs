//! What the daemon notices of its surroundings, in namespaces of the network lab.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod cameras;
mod changes;
mod lan;
mod metrics;

use std::time::Duration;

use coco_lab::Host;

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Run `what` on `host`, on a runtime like the daemon's.
fn on<T: Send>(host: &Host, what: impl AsyncFnOnce() -> T + Send) -> T {
    host.enter(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { tokio::time::timeout(PATIENCE, what()).await.expect("nothing happened") })
    })
}
