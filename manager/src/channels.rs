//! Which relay channels are open, between whom, and by whose sessions.
//!
//! A channel is opened for two nodes by the sessions they have with this manager: the address each end
//! is bound to is one that an authenticated session has proved. Whoever dials again while the channel lives gets
//! the same one ([`Channels::between`]). When a node's session moves, or a new one takes its place, its
//! ends move along ([`Channels::came`], [`Channels::moved`]). When it ends, its channels stay for
//! [`CHANNEL_GRACE`] and are closed unless the node is back ([`Channels::tend`]); a removed node's are closed
//! at once ([`Channels::remove`]). A channel that nobody uses is ended by the switch itself.
//!
//! The ids of two nodes' channel are always the same, also after a restart: what they are still sending finds its
//! way again, where a channel of another id would have them start anew. Nobody else can tell them, as a key of the
//! manager's goes into them.
//!
//! The switch may be too busy to be told something: what was not is told at the next [`Channels::tend`].

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use coco_tunnel::relay::{Budget, End, Meter, SwitchControl, SwitchError};
use coconet::id::{Hash, NetworkId, NodeId};
use zeroize::Zeroizing;

use crate::limits::CHANNEL_GRACE;
use crate::presence::SessionId;

/// Every open channel.
#[derive(Debug)]
pub(crate) struct Channels {
    control: SwitchControl,
    /// What ids are made with.
    key: Zeroizing<[u8; 32]>,
    /// By network and nodes, the lesser first.
    open: BTreeMap<Pair, [Side; 2]>,
    by_id: BTreeMap<u64, Pair>,
    by_node: BTreeMap<(NetworkId, NodeId), BTreeSet<NodeId>>,
    /// What the switch has not been told to close yet.
    closing: Vec<u64>,
}

type Pair = (NetworkId, NodeId, NodeId);

/// A node and the session it has.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) node: NodeId,
    pub(crate) session: SessionId,
    pub(crate) address: SocketAddr,
    pub(crate) meter: Arc<Meter>,
}

#[derive(Debug)]
struct Side {
    id: u64,
    session: SessionId,
    /// What the switch has been told.
    bound: SocketAddr,
    /// Where the session is.
    address: SocketAddr,
    /// When the session ended.
    left: Option<Instant>,
}

impl Channels {
    pub(crate) fn new(control: SwitchControl, key: Zeroizing<[u8; 32]>) -> Self {
        Self {
            control,
            key,
            open: BTreeMap::new(),
            by_id: BTreeMap::new(),
            by_node: BTreeMap::new(),
            closing: Vec::new(),
        }
    }

    /// The ids by which `a` and `b` know the channel between them: the one there is, or a new one.
    pub(crate) fn between(
        &mut self,
        network: NetworkId,
        a: &Place,
        b: &Place,
        budget: &Arc<Budget>,
    ) -> Result<(u64, u64), SwitchError> {
        self.end_expired();
        let (pair, [low, high]) = ordered(network, a, b);
        if !self.open.contains_key(&pair) {
            let end = |place: &Place| End { address: place.address, meter: Arc::clone(&place.meter) };
            let ids = (self.id(network, low.node, high.node), self.id(network, high.node, low.node));
            self.control.open_as(ids, &end(low), &end(high), budget)?;
            // Closed and opened again before the switch was told to close it.
            self.closing.retain(|id| *id != ids.0);
            let side = |id, place: &Place| Side {
                id,
                session: place.session,
                bound: place.address,
                address: place.address,
                left: None,
            };
            self.open.insert(pair, [side(ids.0, low), side(ids.1, high)]);
            self.by_id.extend([(ids.0, pair), (ids.1, pair)]);
            for (one, other) in [(low.node, high.node), (high.node, low.node)] {
                self.by_node.entry((network, one)).or_default().insert(other);
            }
        }
        for place in [a, b] {
            self.came(network, place.node, place.session, place.address);
        }
        self.known(network, a.node, b.node).ok_or(SwitchError::Ended)
    }

    /// The id by which `node` knows its channel to `peer`.
    fn id(&self, network: NetworkId, node: NodeId, peer: NodeId) -> u64 {
        let hash = Hash::of("coco relay channel", &[self.key.as_ref(), &network.0.0, &node.0, &peer.0]);
        hash.0.iter().take(8).fold(0, |id, byte| id << 8 | u64::from(*byte))
    }

    /// The ids by which `a` and `b` know the channel between them, if there is one.
    pub(crate) fn known(&self, network: NetworkId, a: NodeId, b: NodeId) -> Option<(u64, u64)> {
        let [low, high] = self.open.get(&(network, a.min(b), a.max(b)))?;
        Some(if a < b { (low.id, high.id) } else { (high.id, low.id) })
    }

    /// `node` speaks by `session` from now on, which is at `address`.
    pub(crate) fn came(&mut self, network: NetworkId, node: NodeId, session: SessionId, address: SocketAddr) {
        for pair in self.pairs(network, node) {
            if let Some(side) = side_of(&mut self.open, pair, node) {
                (side.session, side.address, side.left) = (session, address, None);
                bind(&self.control, side);
            }
        }
    }

    /// Whose end that id is, and by which session.
    pub(crate) fn owner(&self, id: u64) -> Option<SessionId> {
        let sides = self.open.get(self.by_id.get(&id)?)?;
        sides.iter().find(|side| side.id == id).map(|side| side.session)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.open.len()
    }

    /// The sessions that have channels.
    pub(crate) fn sessions(&self) -> BTreeSet<SessionId> {
        let live = |side: &&Side| side.left.is_none();
        self.open.values().flatten().filter(live).map(|side| side.session).collect()
    }

    /// A session is at `address` now.
    pub(crate) fn moved(&mut self, session: SessionId, address: SocketAddr) {
        let moved = |side: &&mut Side| side.session == session && side.address != address;
        for side in self.open.values_mut().flatten().filter(moved) {
            side.address = address;
            bind(&self.control, side);
        }
    }

    /// A session has ended.
    pub(crate) fn left(&mut self, session: SessionId, now: Instant) {
        let of_session = |side: &&mut Side| side.session == session && side.left.is_none();
        for side in self.open.values_mut().flatten().filter(of_session) {
            side.left = Some(now);
        }
    }

    /// `node` is no member of `network` any more.
    pub(crate) fn remove(&mut self, network: NetworkId, node: NodeId) {
        self.pairs(network, node).into_iter().for_each(|pair| self.close(pair));
    }

    /// Do what time asks for.
    pub(crate) fn tend(&mut self, now: Instant) {
        self.end_expired();
        let gone = |side: &Side| side.left.is_some_and(|at| now.duration_since(at) >= CHANNEL_GRACE);
        let over = self.open.iter().filter(|(_, sides)| sides.iter().any(gone)).map(|(pair, _)| *pair);
        over.collect::<Vec<_>>().into_iter().for_each(|pair| self.close(pair));
        self.closing.retain(|id| self.control.close(*id) == Err(SwitchError::Busy));
        self.open.values_mut().flatten().for_each(|side| bind(&self.control, side));
    }

    fn close(&mut self, pair: Pair) {
        if let Some(id) = self.forget(pair)
            && self.control.close(id) == Err(SwitchError::Busy)
        {
            self.closing.push(id);
        }
    }

    /// Forget the channels that the switch has ended.
    fn end_expired(&mut self) {
        for (id, _) in self.control.expired() {
            if let Some(pair) = self.by_id.get(&id).copied() {
                self.forget(pair);
            }
        }
    }

    fn forget(&mut self, pair: Pair) -> Option<u64> {
        let [low, high] = self.open.remove(&pair)?;
        self.by_id.remove(&low.id);
        self.by_id.remove(&high.id);
        let (network, one, other) = pair;
        for (node, peer) in [(one, other), (other, one)] {
            if let Some(peers) = self.by_node.get_mut(&(network, node)) {
                peers.remove(&peer);
                if peers.is_empty() {
                    self.by_node.remove(&(network, node));
                }
            }
        }
        Some(low.id)
    }

    fn pairs(&self, network: NetworkId, node: NodeId) -> Vec<Pair> {
        let peers = self.by_node.get(&(network, node)).into_iter().flatten();
        peers.map(|peer| (network, node.min(*peer), node.max(*peer))).collect()
    }
}

fn ordered<'a>(network: NetworkId, a: &'a Place, b: &'a Place) -> (Pair, [&'a Place; 2]) {
    let [low, high] = if a.node < b.node { [a, b] } else { [b, a] };
    ((network, low.node, high.node), [low, high])
}

fn side_of(open: &mut BTreeMap<Pair, [Side; 2]>, pair: Pair, node: NodeId) -> Option<&mut Side> {
    let [low, high] = open.get_mut(&pair)?;
    Some(if pair.1 == node { low } else { high })
}

/// Tell the switch where a session is, unless it knows.
fn bind(control: &SwitchControl, side: &mut Side) {
    if side.bound != side.address && control.rebind(side.id, side.address).is_ok() {
        side.bound = side.address;
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use std::time::Duration;

    use coco_tunnel::relay::{COMMANDS, IDLE, Switch, frame::HEADER, switch};

    use super::*;

    const NET: NetworkId = NetworkId(Hash([1; 32]));
    const OTHER: NetworkId = NetworkId(Hash([2; 32]));

    struct House {
        switch: Switch,
        channels: Channels,
        budget: Arc<Budget>,
        now: Instant,
    }

    fn house() -> House {
        let now = Instant::now();
        let (switch, control, _) = switch(now);
        House {
            switch,
            channels: Channels::new(control, Zeroizing::new([7; 32])),
            budget: Arc::default(),
            now,
        }
    }

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    fn place(node: u8, session: SessionId, port: u16) -> Place {
        Place { node: NodeId([node; 32]), session, address: at(port), meter: Arc::default() }
    }

    impl House {
        fn between(&mut self, a: &Place, b: &Place) -> (u64, u64) {
            self.channels.between(NET, a, b, &self.budget).unwrap()
        }

        /// Where a packet on channel `id` from `from` goes, and by which id.
        fn carries(&mut self, id: u64, from: SocketAddr) -> Option<(SocketAddr, u64)> {
            let mut packet = [&[1], &id.to_be_bytes()[..], b"x"].concat();
            let (mut went, stride) = (None, packet.len());
            self.switch.forward(self.now, from, &mut packet, stride, |to, packet, _| {
                if packet.len() > HEADER {
                    went = Some((to, u64::from_be_bytes(packet[1..HEADER].try_into().unwrap())));
                }
                Ok(())
            });
            went
        }
    }

    #[test]
    fn two_nodes_have_one_channel_whoever_dials_and_however_often() {
        let mut house = house();
        let (cam, phone) = (place(1, 10, 1), place(2, 20, 2));
        let (of_phone, of_cam) = house.between(&phone, &cam);
        assert_eq!(house.between(&cam, &phone), (of_cam, of_phone));
        assert_eq!(house.channels.known(NET, cam.node, phone.node), Some((of_cam, of_phone)));
        assert_eq!(house.channels.known(OTHER, cam.node, phone.node), None);
        assert_eq!(house.carries(of_phone, at(2)), Some((at(1), of_cam)));
        assert_eq!(house.carries(of_cam, at(1)), Some((at(2), of_phone)));
        assert_eq!(house.channels.control.channels(), 1);
    }

    #[test]
    fn a_channel_follows_the_session_of_its_node() {
        let mut house = house();
        let (cam, phone) = (place(1, 10, 1), place(2, 20, 2));
        let (of_phone, of_cam) = house.between(&phone, &cam);
        house.channels.moved(10, at(11));
        assert_eq!(house.carries(of_cam, at(1)), None);
        assert_eq!(house.carries(of_cam, at(11)), Some((at(2), of_phone)));
        assert_eq!(house.carries(of_phone, at(2)), Some((at(11), of_cam)));
        // A session of somebody else moves nothing.
        house.channels.moved(30, at(12));
        assert_eq!(house.carries(of_cam, at(11)), Some((at(2), of_phone)));
        assert_eq!(house.channels.owner(of_cam), Some(10));
        assert_eq!(house.channels.owner(of_phone), Some(20));
    }

    #[test]
    fn channels_outlive_a_session_for_a_grace_and_no_longer() {
        let mut house = house();
        let (cam, phone) = (place(1, 10, 1), place(2, 20, 2));
        let (of_phone, of_cam) = house.between(&phone, &cam);
        let start = house.now;
        house.channels.left(10, start);
        house.channels.tend(start + CHANNEL_GRACE - Duration::from_millis(1));
        assert_eq!(house.carries(of_phone, at(2)), Some((at(1), of_cam)));
        // Back in time, by another session from elsewhere: it stays.
        house.channels.came(NET, cam.node, 11, at(11));
        house.channels.tend(start + CHANNEL_GRACE);
        assert_eq!(house.carries(of_cam, at(11)), Some((at(2), of_phone)));
        // The end of the replaced session is not the end of the new one.
        house.channels.left(10, start + CHANNEL_GRACE);
        house.channels.left(20, start + CHANNEL_GRACE);
        house.channels.tend(start + CHANNEL_GRACE * 2);
        assert_eq!(house.carries(of_cam, at(11)), None);
        assert_eq!((house.channels.by_id.len(), house.channels.by_node.len()), (0, 0));
        assert_eq!(house.channels.control.channels(), 0);
        assert_eq!(house.between(&phone, &cam), (of_phone, of_cam), "the next dial opens it again");
        assert_eq!(house.carries(of_cam, at(1)), Some((at(2), of_phone)));
    }

    #[test]
    fn ids_are_the_same_in_every_life_of_a_manager_and_of_no_other_nodes() {
        let (mut house, mut later) = (house(), house());
        let (cam, phone, tablet) = (place(1, 10, 1), place(2, 20, 2), place(3, 30, 3));
        let ids = house.between(&phone, &cam);
        assert_eq!(later.between(&phone, &cam), ids);
        let mut others = BTreeSet::from([ids.0, ids.1]);
        let (phone_tablet, cam_tablet) = (house.between(&phone, &tablet), house.between(&cam, &tablet));
        let elsewhere = house.channels.between(OTHER, &phone, &cam, &house.budget).unwrap();
        others.extend([phone_tablet, cam_tablet, elsewhere].map(|(one, other)| [one, other]).concat());
        later.channels.key = Zeroizing::new([8; 32]);
        later.channels.remove(NET, cam.node);
        let (one, other) = later.between(&phone, &cam);
        others.extend([one, other]);
        assert_eq!(others.len(), 10);
    }

    #[test]
    fn what_is_opened_again_before_the_switch_heard_of_its_end_stays_open() {
        let mut house = house();
        let (cam, phone) = (place(1, 10, 1), place(2, 20, 2));
        let (of_phone, of_cam) = house.between(&phone, &cam);
        house.carries(of_phone, at(2)).unwrap();
        for _ in 0..COMMANDS {
            house.channels.control.close(7).unwrap();
        }
        house.channels.remove(NET, cam.node);
        house.carries(of_phone, at(2)).unwrap();
        let moved = place(1, 11, 11);
        assert_eq!(house.between(&phone, &moved), (of_phone, of_cam));
        house.channels.tend(house.now);
        assert_eq!(house.carries(of_phone, at(2)), Some((at(11), of_cam)));
    }

    #[test]
    fn a_removed_node_has_no_channel_left() {
        let mut house = house();
        let (cam, phone, tablet) = (place(1, 10, 1), place(2, 20, 2), place(3, 30, 3));
        let (of_phone, _) = house.between(&phone, &cam);
        let (of_tablet, of_cam) = house.between(&tablet, &cam);
        house.channels.remove(NET, phone.node);
        assert_eq!(house.carries(of_phone, at(2)), None);
        assert_eq!(house.carries(of_tablet, at(3)), Some((at(1), of_cam)));
        assert_eq!(house.channels.sessions(), BTreeSet::from([10, 30]));
    }

    #[test]
    fn what_the_switch_ended_is_opened_anew() {
        let mut house = house();
        let (cam, phone) = (place(1, 10, 1), place(2, 20, 2));
        let (of_phone, _) = house.between(&phone, &cam);
        house.now += IDLE;
        house.carries(of_phone, at(9));
        house.now += IDLE;
        assert_eq!(house.carries(of_phone, at(2)), None);
        let (again, of_cam) = house.between(&phone, &cam);
        assert_eq!(house.carries(again, at(2)), Some((at(1), of_cam)));
    }

    #[test]
    fn what_a_busy_switch_was_not_told_it_is_told_later() {
        let mut house = house();
        let (cam, phone) = (place(1, 10, 1), place(2, 20, 2));
        let (of_phone, of_cam) = house.between(&phone, &cam);
        house.carries(of_phone, at(2)).unwrap();
        for _ in 0..COMMANDS {
            house.channels.control.close(7).unwrap();
        }
        house.channels.moved(10, at(11));
        assert_eq!(house.carries(of_cam, at(11)), None);
        house.channels.tend(house.now);
        assert_eq!(house.carries(of_cam, at(11)), Some((at(2), of_phone)));
        for _ in 0..COMMANDS {
            house.channels.control.close(7).unwrap();
        }
        house.channels.remove(NET, cam.node);
        assert!(house.carries(of_cam, at(11)).is_some());
        house.channels.tend(house.now);
        assert_eq!(house.carries(of_cam, at(11)), None);
    }
}
