//! Which ways the other end holds in reserve, by what it says of each.

use std::collections::BTreeSet;

use noq::{PathId, PathStatus};

/// The ways that it holds.
#[derive(Debug, Default)]
pub(super) struct Reserve(BTreeSet<PathId>);

impl Reserve {
    /// Whether that one is.
    pub(super) fn holds(&self, id: PathId) -> bool {
        self.0.contains(&id)
    }

    /// It is, until the other end says otherwise.
    pub(super) fn hold(&mut self, id: PathId) {
        self.0.insert(id);
    }

    /// It is no more.
    pub(super) fn forget(&mut self, id: PathId) {
        self.0.remove(&id);
    }

    /// The other end, which only takes up what is chosen here, has said so of a way.
    pub(super) fn heard_follower(&mut self, id: PathId, status: PathStatus) {
        match status {
            PathStatus::Available => self.forget(id),
            PathStatus::Backup => self.hold(id),
        }
    }

    /// The other end, which chooses, has said so of one of the `known` ways. It has one in use at a time: what it says of the
    /// one before is lost, perhaps, on that one.
    pub(super) fn heard_leader<'a>(
        &mut self,
        id: PathId,
        status: PathStatus,
        known: impl Iterator<Item = &'a PathId>,
    ) {
        if status == PathStatus::Available {
            self.0.extend(known);
        }
        self.heard_follower(id, status);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_chooses_uses_one_way_at_a_time_whatever_is_lost() {
        let ids = [PathId::from(0_u32), PathId::from(3_u32)];
        let mut reserve = Reserve::default();
        reserve.hold(ids[1]);
        // That the first is in reserve now does not arrive.
        reserve.heard_leader(ids[1], PathStatus::Available, ids.iter());
        assert!(reserve.holds(ids[0]) && !reserve.holds(ids[1]));
        reserve.heard_leader(ids[0], PathStatus::Backup, ids.iter());
        assert!(reserve.holds(ids[0]) && !reserve.holds(ids[1]));
    }

    #[test]
    fn who_follows_may_use_several_until_it_has_said_so_of_each() {
        let ids = [PathId::from(0_u32), PathId::from(3_u32)];
        let mut reserve = Reserve::default();
        reserve.heard_follower(ids[1], PathStatus::Available);
        assert!(!reserve.holds(ids[0]) && !reserve.holds(ids[1]));
        reserve.heard_follower(ids[0], PathStatus::Backup);
        assert!(reserve.holds(ids[0]));
    }
}
