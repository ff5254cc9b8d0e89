//! Who on this machine or link has spoken first, and may be answered.

use std::collections::HashSet;
use std::mem;
use std::net::SocketAddr;

/// Addresses that are surely remembered: as many as a manager has sessions. The memory is bounded by twice as many.
pub(super) const NEIGHBOURS_MAX: usize = 10_000;

/// A set that forgets those who have been silent longest, roughly: when one half is full the other is dropped,
/// and whoever speaks moves to the newer. So no flood of addresses displaces who is spoken with.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    newer: HashSet<SocketAddr>,
    older: HashSet<SocketAddr>,
}

impl Neighbours {
    /// Whether it has spoken.
    pub(super) fn contains(&self, address: &SocketAddr) -> bool {
        self.is_new(address) || self.older.contains(address)
    }

    /// Whether it has spoken so lately that nothing has to be written down.
    pub(super) fn is_new(&self, address: &SocketAddr) -> bool {
        self.newer.contains(address)
    }

    /// It has spoken.
    pub(super) fn meet(&mut self, address: SocketAddr) {
        if self.newer.len() >= NEIGHBOURS_MAX {
            self.older = mem::take(&mut self.newer);
        }
        self.newer.insert(address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn neighbour(number: usize) -> SocketAddr {
        let [.., high, low] = number.to_be_bytes();
        SocketAddr::from(([127, 0, high, low], 9))
    }

    #[test]
    fn as_many_as_a_manager_has_sessions_are_answered() {
        let mut neighbours = Neighbours::default();
        (0..NEIGHBOURS_MAX).for_each(|number| neighbours.meet(neighbour(number)));
        assert!((0..NEIGHBOURS_MAX).all(|number| neighbours.contains(&neighbour(number))));
    }

    #[test]
    fn a_flood_displaces_nobody_who_goes_on_speaking_and_is_forgotten() {
        let mut neighbours = Neighbours::default();
        let faithful = neighbour(0);
        neighbours.meet(faithful);
        for number in 1..=5 * NEIGHBOURS_MAX {
            neighbours.meet(neighbour(number));
            assert!(neighbours.contains(&faithful), "after {number}");
            if !neighbours.is_new(&faithful) {
                neighbours.meet(faithful);
            }
        }
        assert!(!neighbours.contains(&neighbour(1)), "nothing is kept for ever");
        assert!(neighbours.newer.len() + neighbours.older.len() <= 2 * NEIGHBOURS_MAX);
    }
}
