//! What happens, for whoever listens on the event stream. Nobody has to; the last events are kept for who comes
//! later.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use coconet::control::{Event, VERSION};
use coconet::name::Name;
use tokio::sync::broadcast;

use crate::clock;

/// Events kept for a slow listener; a slower one misses the oldest and is told.
const BACKLOG: usize = 256;

/// Events kept for who comes later.
const KEPT: usize = 256;

/// The daemon's event stream.
#[derive(Debug, Clone)]
pub struct Events {
    live: broadcast::Sender<Event>,
    /// The newest last.
    kept: Arc<Mutex<VecDeque<Event>>>,
}

impl Default for Events {
    fn default() -> Self {
        Self { live: broadcast::Sender::new(BACKLOG), kept: Arc::default() }
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
        let mut kept = self.kept();
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(event.clone());
        // Under the lock, so that who begins to listen misses nothing and hears nothing twice. An error
        // means that nobody listens.
        let _ = self.live.send(event);
    }

    /// What was kept, the newest last.
    pub fn recent(&self) -> Vec<Event> {
        self.kept().iter().cloned().collect()
    }

    /// Listen from now on; what was kept until now comes along.
    pub fn listen(&self) -> (Vec<Event>, broadcast::Receiver<Event>) {
        let kept = self.kept();
        (kept.iter().cloned().collect(), self.live.subscribe())
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Event>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn who_comes_later_hears_the_last_and_then_the_next() {
        let events = Events::default();
        for number in 0..KEPT + 3 {
            events.send(None, "entry", number.to_string());
        }
        let (before, mut live) = events.listen();
        assert_eq!((before.len(), before[0].message.as_str()), (KEPT, "3"));
        events.send(None, "entry", "next");
        assert_eq!(live.try_recv().unwrap().message, "next");
        assert_eq!(events.recent().pop().unwrap().message, "next");
    }
}
