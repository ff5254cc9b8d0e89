//! What is told of a peer that asks for the same again and again: a little, and how much was left out.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use coconet::id::NodeId;

/// Least time between two events about requests of one peer that were refused.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Most peers that are remembered. More than have been refused something within [`TELL_EVERY`] are not told
/// of at all.
const PEERS_MAX: usize = 1024;

/// Of whom was told when.
#[derive(Debug, Default)]
pub(super) struct Told(Mutex<BTreeMap<NodeId, Last>>);

#[derive(Debug)]
struct Last {
    at: Instant,
    left_out: u64,
}

impl Told {
    /// Whether to tell of `peer` now, and of how many times before that nothing was told of.
    pub(super) fn tell(&self, peer: NodeId, now: Instant) -> Option<u64> {
        let mut peers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = |last: &Last| now.saturating_duration_since(last.at) < TELL_EVERY;
        if !peers.contains_key(&peer) && peers.len() >= PEERS_MAX {
            peers.retain(|_, last| recent(last));
            if peers.len() >= PEERS_MAX {
                return None;
            }
        }
        match peers.get_mut(&peer).filter(|last| recent(last)) {
            Some(last) => {
                last.left_out = last.left_out.saturating_add(1);
                None
            }
            None => {
                let last = peers.insert(peer, Last { at: now, left_out: 0 });
                Some(last.map_or(0, |last| last.left_out))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: usize) -> NodeId {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        NodeId(bytes)
    }

    #[test]
    fn a_peer_is_told_of_once_a_second_with_how_often_it_was_not() {
        let (told, begun) = (Told::default(), Instant::now());
        let at = |ms| begun + Duration::from_millis(ms);
        assert_eq!(told.tell(node(1), at(0)), Some(0));
        (0..500).for_each(|ms| assert_eq!(told.tell(node(1), at(ms)), None));
        assert_eq!(told.tell(node(2), at(500)), Some(0));
        assert_eq!(told.tell(node(1), at(999)), None);
        assert_eq!(told.tell(node(1), at(1000)), Some(501));
        assert_eq!(told.tell(node(1), at(2000)), Some(0));
    }

    #[test]
    fn no_more_peers_are_remembered_than_may_be() {
        let (told, begun) = (Told::default(), Instant::now());
        let later = begun + TELL_EVERY;
        (0..PEERS_MAX).for_each(|number| assert_eq!(told.tell(node(number), begun), Some(0)));
        assert_eq!(told.tell(node(PEERS_MAX), begun), None);
        assert_eq!(told.0.lock().map(|peers| peers.len()).ok(), Some(PEERS_MAX));
        assert_eq!(told.tell(node(PEERS_MAX), later), Some(0));
        assert_eq!(told.0.lock().map(|peers| peers.len()).ok(), Some(1));
    }
}
