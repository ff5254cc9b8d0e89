//! Who is where: the nodes connected now, and when and where the others were last seen.
//!
//! A node's place belongs to the session that registered it. A newer session of the same node takes it
//! over, and the older one's end then changes nothing.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use coconet::id::{NetworkId, NodeId};

use crate::storage::Seen;

/// Tells one session from every other of this process.
pub type SessionId = u64;

/// Knows who is where. One process remembers by itself ([`Here`]); several would share.
pub trait Presence: Send + 'static {
    /// `node` is connected by `session`. Returns the session it was connected by until now, if that is
    /// another one.
    fn register(
        &mut self,
        network: NetworkId,
        node: NodeId,
        session: SessionId,
        candidates: Vec<SocketAddr>,
    ) -> Option<SessionId>;

    /// Where `node` is, or was at last.
    fn locate(&self, network: NetworkId, node: NodeId) -> Whereabouts;

    /// Every node of `network` that was ever seen, and when.
    fn list(&self, network: NetworkId) -> Vec<(NodeId, LastSeen)>;

    /// `session` of `node` has ended at `now`. Returns what to remember, unless another session has
    /// taken the place.
    fn drop_session(
        &mut self,
        network: NetworkId,
        node: NodeId,
        session: SessionId,
        now: u64,
    ) -> Option<Seen>;

    /// What was remembered before a restart.
    fn restore(&mut self, seen: Seen);
}

/// When a node was last seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastSeen {
    /// It is connected.
    Now,
    /// Milliseconds of Unix time.
    At(u64),
    /// Not since anybody remembers.
    Never,
}

/// Where a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whereabouts {
    /// When it was there.
    pub seen: LastSeen,
    /// The session with this process that it is connected by, if it is.
    pub session: Option<SessionId>,
    /// Its addresses, best first.
    pub candidates: Vec<SocketAddr>,
}

/// The memory of this process.
#[derive(Debug, Default)]
pub struct Here(BTreeMap<(NetworkId, NodeId), Place>);

#[derive(Debug)]
struct Place {
    session: Option<SessionId>,
    at: u64,
    candidates: Vec<SocketAddr>,
}

impl Place {
    fn seen(&self) -> LastSeen {
        if self.session.is_some() { LastSeen::Now } else { LastSeen::At(self.at) }
    }
}

impl Presence for Here {
    fn register(
        &mut self,
        network: NetworkId,
        node: NodeId,
        session: SessionId,
        candidates: Vec<SocketAddr>,
    ) -> Option<SessionId> {
        let place = Place { session: Some(session), at: 0, candidates };
        let before = self.0.insert((network, node), place)?;
        before.session.filter(|other| *other != session)
    }

    fn locate(&self, network: NetworkId, node: NodeId) -> Whereabouts {
        match self.0.get(&(network, node)) {
            Some(place) => Whereabouts {
                seen: place.seen(),
                session: place.session,
                candidates: place.candidates.clone(),
            },
            None => Whereabouts { seen: LastSeen::Never, session: None, candidates: Vec::new() },
        }
    }

    fn list(&self, network: NetworkId) -> Vec<(NodeId, LastSeen)> {
        let all = (network, NodeId([0; 32]))..=(network, NodeId([u8::MAX; 32]));
        self.0.range(all).map(|((_, node), place)| (*node, place.seen())).collect()
    }

    fn drop_session(
        &mut self,
        network: NetworkId,
        node: NodeId,
        session: SessionId,
        now: u64,
    ) -> Option<Seen> {
        let place = self.0.get_mut(&(network, node)).filter(|place| place.session == Some(session))?;
        (place.session, place.at) = (None, now);
        Some(Seen { network, node, at: now, candidates: place.candidates.clone() })
    }

    fn restore(&mut self, seen: Seen) {
        let Seen { network, node, at, candidates } = seen;
        self.0.entry((network, node)).or_insert(Place { session: None, at, candidates });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use coconet::id::Hash;

    const NET: NetworkId = NetworkId(Hash([1; 32]));
    const OTHER: NetworkId = NetworkId(Hash([2; 32]));
    const NODE: NodeId = NodeId([7; 32]);

    fn at(port: u16) -> Vec<SocketAddr> {
        vec![SocketAddr::from(([192, 0, 2, 1], port))]
    }

    #[test]
    fn a_node_is_online_until_its_session_ends_and_remembered_after() {
        let mut here = Here::default();
        assert_eq!(here.locate(NET, NODE).seen, LastSeen::Never);
        assert_eq!(here.register(NET, NODE, 1, at(1)), None);
        assert_eq!(
            here.locate(NET, NODE),
            Whereabouts { seen: LastSeen::Now, session: Some(1), candidates: at(1) }
        );
        let seen = Seen { network: NET, node: NODE, at: 50, candidates: at(1) };
        assert_eq!(here.drop_session(NET, NODE, 1, 50), Some(seen.clone()));
        assert_eq!(here.locate(NET, NODE).seen, LastSeen::At(50));
        let mut restarted = Here::default();
        restarted.restore(seen);
        assert_eq!(
            restarted.locate(NET, NODE),
            Whereabouts { seen: LastSeen::At(50), session: None, candidates: at(1) }
        );
        assert_eq!(restarted.list(NET), [(NODE, LastSeen::At(50))]);
        assert_eq!(restarted.list(OTHER), []);
    }

    #[test]
    fn the_end_of_a_replaced_session_changes_nothing() {
        let mut here = Here::default();
        here.register(NET, NODE, 1, at(1));
        assert_eq!(here.register(NET, NODE, 1, at(2)), None, "new addresses of one session replace nobody");
        assert_eq!(here.register(NET, NODE, 2, at(3)), Some(1));
        assert_eq!(here.drop_session(NET, NODE, 1, 50), None);
        assert_eq!(
            here.locate(NET, NODE),
            Whereabouts { seen: LastSeen::Now, session: Some(2), candidates: at(3) }
        );
        assert_eq!(here.register(OTHER, NODE, 3, at(4)), None, "networks do not know each other");
    }
}
