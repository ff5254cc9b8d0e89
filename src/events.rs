//! What happens, for whoever listens on the event stream. Nobody has to.

use coconet::control::{Event, VERSION};
use coconet::name::Name;
use tokio::sync::broadcast;

use crate::clock;

/// Events kept for a slow listener; a slower one misses the oldest and is told.
const BACKLOG: usize = 256;

/// The daemon's event stream.
#[derive(Debug, Clone)]
pub struct Events(broadcast::Sender<Event>);

impl Default for Events {
    fn default() -> Self {
        Self(broadcast::Sender::new(BACKLOG))
    }
}

impl Events {
    /// Something happened.
    pub fn send(&self, network: Option<&Name>, kind: &str, message: impl Into<String>) {
        let message = message.into();
        tracing::info!(network = network.map_or("", Name::as_str), kind, message, "event");
        let event = Event {
            version: VERSION,
            time_ms: clock::now_ms(),
            network: network.map(ToString::to_string),
            kind: kind.to_owned(),
            message,
        };
        // An error means that nobody listens.
        let _ = self.0.send(event);
    }

    /// Listen from now on.
    pub fn listen(&self) -> broadcast::Receiver<Event> {
        self.0.subscribe()
    }
}
