//! Introductions: who is where, who is rung, and which channel the relay opens between two nodes.

use std::net::SocketAddr;
use std::time::Instant;

use coco_tunnel::endpoint::dialable;
use coco_tunnel::relay::{Stranger, SwitchError};
use coconet::id::{NetworkId, NodeId};
use coconet::wire::manager::{CANDIDATES_MAX, Response, failed};
use tokio::sync::{mpsc, watch};

use super::{Answer, Desk, Peer, Pushes, Registration};
use crate::channels::Place;
use crate::counters::Refusal;
use crate::limits::{NOTICES_WAITING_MAX, ONLINE_CHUNK};
use crate::network::{Head, refuse};
use crate::now_ms;
use crate::presence::{LastSeen, Presence, SessionId};
use crate::storage::{Seen, Write};
use crate::whereabouts::Whereabouts;

/// What a dialler asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dial {
    pub(super) network: NetworkId,
    pub(super) node: NodeId,
    pub(super) relay: bool,
}

impl<P: Presence> Desk<P> {
    pub(super) async fn register(
        &mut self,
        peer: &Peer,
        network: NetworkId,
        offered: Vec<SocketAddr>,
    ) -> Result<Answer, Response> {
        let (known, node) = self.member(peer, network)?;
        if offered.len() > CANDIDATES_MAX {
            return Err(refuse(failed::PROTOCOL, "too many addresses"));
        }
        let (Head { seq, head }, heads) = (known.head(), known.subscribe());
        let place = self.whereabouts(peer);
        let observed = place.from;
        let near_limit = self.metering.near_limit(network);
        let Some(sitting) = self.sessions.get_mut(&peer.session) else {
            return Err(refuse(failed::PROTOCOL, "the session has ended"));
        };
        let candidates = reachable(&place, &offered, &place);
        let again = sitting.registered.iter_mut().find(|known| known.stream == peer.stream);
        let pushes = if let Some(again) = again {
            again.offered = offered;
            None
        } else {
            let (replaced, watched) = watch::channel(false);
            let (notices, waiting) = mpsc::channel(NOTICES_WAITING_MAX);
            if let Some(quota) = near_limit {
                // There is room for the first.
                drop(notices.try_send(quota.into()));
            }
            let stream = peer.stream;
            sitting.registered.push(Registration { stream, network, node, offered, replaced, notices });
            Some(Pushes { heads, replaced: watched, notices: waiting })
        };
        tracing::debug!(peer = %node, %network, address = %observed, ?candidates, "registered");
        let replaced = self.presence.register(network, node, peer.session, candidates.clone());
        if let Some(older) = replaced.and_then(|older| self.sessions.get(&older)) {
            // A node that has restarted does not hear this any more; one that was copied does.
            tracing::warn!(peer = %node, %network, "a newer session of the node replaces its older one");
            older.of(network, node).for_each(|known| {
                known.replaced.send_replace(true);
            });
        }
        self.channels.came(network, node, peer.session, place.bound);
        let seen = Seen { network, node, at: now_ms(), candidates };
        self.storage.note(Write::Seen(seen)).await;
        Ok(Answer::Registered { first: Response::Registered { observed, seq, head }, pushes })
    }

    /// Say where a node is and ring it, so that it opens its NAT towards the asker; with a channel of the
    /// relay, if one is asked for.
    pub(super) fn dial(&mut self, peer: &Peer, dial: Dial) -> Result<Answer, Response> {
        let Dial { network, node, relay } = dial;
        let (known, asker) = self.member(peer, network)?;
        if asker == node || !known.state().may_meet(asker, node) {
            return Err(refuse("no-such-node", "no such node"));
        }
        let from = self.whereabouts(peer);
        let found = self.presence.locate(network, node);
        let there = found.session.and_then(|session| Some((session, self.session_place(session)?)));
        let last_seen = match found.seen {
            LastSeen::Now => now_ms(),
            LastSeen::At(at) => at,
            LastSeen::Never => 0,
        };
        let (channel, refused) = match relay.then(|| self.channel(peer, asker, from, dial, there)) {
            Some(Ok(ids)) => (Some(ids), None),
            Some(Err(word)) => (None, Some(word.to_owned())),
            None => (None, None),
        };
        let mut candidates = dialable(found.candidates, from.is_here());
        if let Some((session, at)) = there {
            candidates = reachable(&at, self.offered(session, network, node), &from);
            let own = reachable(&from, self.offered(peer.session, network, asker), &at);
            let channel = channel.map(|(_, theirs)| theirs);
            self.notify(session, network, node, &Response::Ring { node: asker, candidates: own, channel });
        }
        self.counters.dialled(channel.is_some());
        Ok(Answer::Messages(vec![Response::Dialled {
            online: there.is_some(),
            candidates,
            last_seen,
            channel: channel.map(|(ours, _)| ours),
            refused,
        }]))
    }

    /// The ids by which the asker and the other node know the channel between them; a word of [`failed`]
    /// when there is none.
    fn channel(
        &mut self,
        peer: &Peer,
        asker: NodeId,
        from: Whereabouts,
        Dial { network, node, .. }: Dial,
        there: Option<(SessionId, Whereabouts)>,
    ) -> Result<(u64, u64), &'static str> {
        if self.metering.is_spent(network) {
            self.counters.refuse(Refusal::Quota);
            return Err(failed::QUOTA);
        }
        let Some((session, at)) = there else {
            // One that is only just away from the manager may still be reached.
            self.channels.came(network, asker, peer.session, from.bound);
            return self.channels.known(network, asker, node).ok_or(failed::OFFLINE);
        };
        let (meter, budget) = self.metering.meters(network, asker);
        let own = Place { node: asker, session: peer.session, address: from.bound, meter };
        let (meter, _) = self.metering.meters(network, node);
        let other = Place { node, session, address: at.bound, meter };
        self.channels.between(network, &own, &other, &budget).map_err(|error| match error {
            SwitchError::Full | SwitchError::NodeFull | SwitchError::Busy => {
                if self.counters.refuse(Refusal::Busy) {
                    tracing::warn!(%network, peer = %asker, %error, "no channel");
                }
                failed::BUSY
            }
            SwitchError::Ended | SwitchError::NotAnAddress | SwitchError::Random => {
                tracing::warn!(%network, peer = %asker, %error, "no channel");
                failed::NO_RELAY
            }
        })
    }

    pub(super) fn list(&self, peer: &Peer, network: NetworkId) -> Result<Answer, Response> {
        let (known, asker) = self.member(peer, network)?;
        let state = known.state();
        let seen = self.presence.list(network).into_iter().filter(|(node, _)| state.may_meet(asker, *node));
        let online: Vec<(NodeId, u64)> = seen
            .filter_map(|(node, seen)| match seen {
                LastSeen::Now => Some((node, 0)),
                LastSeen::At(at) => Some((node, at)),
                LastSeen::Never => None,
            })
            .collect();
        let mut messages: Vec<Response> =
            online.chunks(ONLINE_CHUNK).map(|chunk| Response::Online(chunk.to_vec())).collect();
        let Head { seq, head } = known.head();
        messages.push(Response::Head { seq, head, view: None });
        Ok(Answer::Messages(messages))
    }

    pub(super) async fn unregister(&mut self, session: SessionId, stream: Option<u64>) {
        let Some(sitting) = self.sessions.get_mut(&session) else { return };
        let ends = |registration: &mut Registration| stream.is_none_or(|it| it == registration.stream);
        let ended: Vec<Registration> = sitting.registered.extract_if(.., ends).collect();
        for Registration { network, node, .. } in ended {
            let still = self.sessions.get(&session);
            if still.is_some_and(|sitting| sitting.of(network, node).next().is_some()) {
                continue;
            }
            if let Some(seen) = self.presence.drop_session(network, node, session, now_ms()) {
                tracing::debug!(peer = %node, %network, "gone");
                self.storage.note(Write::Seen(seen)).await;
            }
        }
    }

    /// Somebody used a channel from an address that it is not bound to: its node, if its session is there.
    pub(super) fn stranger(&mut self, Stranger { channel, from }: Stranger) {
        let owner = self.channels.owner(channel);
        tracing::debug!(channel, address = %from, known = owner.is_some(), "a channel's node seems to have moved");
        if let Some(session) = owner
            && self.session_place(session).is_some_and(|place| place.bound == from)
        {
            self.channels.moved(session, from);
        }
    }

    /// Bind channels to where the sessions of their nodes are now.
    pub(super) fn follow_sessions(&mut self) {
        for session in self.channels.sessions() {
            if let Some(place) = self.session_place(session) {
                self.channels.moved(session, place.bound);
            }
        }
        self.channels.tend(Instant::now());
    }

    /// Push `notice` on the registered streams of a node. One that does not read its stream misses it.
    pub(super) fn notify(&self, session: SessionId, network: NetworkId, node: NodeId, notice: &Response) {
        let sitting = self.sessions.get(&session);
        for registration in sitting.into_iter().flat_map(|sitting| sitting.of(network, node)) {
            if registration.notices.try_send(notice.clone()).is_err() {
                tracing::debug!(peer = %node, %network, "a notice was not taken");
            }
        }
    }

    /// Where the asker is.
    fn whereabouts(&self, peer: &Peer) -> Whereabouts {
        self.session_place(peer.session).unwrap_or(peer.place)
    }

    fn session_place(&self, session: SessionId) -> Option<Whereabouts> {
        Whereabouts::of(&self.sessions.get(&session)?.session, &self.endpoint)
    }

    fn offered(&self, session: SessionId, network: NetworkId, node: NodeId) -> &[SocketAddr] {
        let sitting = self.sessions.get(&session);
        let registration = sitting.and_then(|sitting| sitting.of(network, node).last());
        registration.map_or(&[], |registration| registration.offered.as_slice())
    }
}

/// The addresses of a node, the one it is seen at first, for somebody at `asker`. Loopback is only of use to
/// neighbours on this machine.
fn reachable(place: &Whereabouts, offered: &[SocketAddr], asker: &Whereabouts) -> Vec<SocketAddr> {
    let loopback = place.is_here() && asker.is_here();
    dialable(place.reflexive().into_iter().chain(offered.iter().copied()), loopback)
}
