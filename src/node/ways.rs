//! The ways to another node: introductions, and what a session's driver wants of this node.
//!
//! A dial asks the neighbours on the LAN, and the manager for an introduction ([`Introduction`]) while it already tries the places where
//! the peer was last: the manager rings the peer, so that both open their NATs towards each other, and
//! gives a relay channel. A session that is up is driven ([`coco_tunnel::paths`]) by a task of its own
//! (`Node::tend`), which asks for a relay when the driver wants one, and has the manager's session look
//! whether this node's address has changed when data does not get through.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use coco_tunnel::endpoint::{DIAL_MAX, DialError, dialable};
use coco_tunnel::paths::{Drive, Notice, Towards};
use coco_tunnel::relay::frame::Frame;
use coco_tunnel::session::{Ended, Session};
use coco_tunnel::socket::{Heard, Place};
use coconet::control::ErrorKind;
use coconet::id::{NodeId, StaticKey};
use coconet::path_mode::PathMode;
use coconet::wire::manager::failed;
use tokio::sync::{mpsc, watch};

use super::manager::RELAY_SLOT;
use super::{Node, node_name};
use crate::fault::{Fault, Result};

/// Notices of a driver that wait; it says again what matters.
pub(super) const NOTICES: usize = 16;

/// When an introduced node sends what opens its NAT, after it was rung. More than once, because packets get
/// lost and the other side may be slower.
const PUNCHES: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(50), Duration::from_millis(200), Duration::from_millis(800)];

/// Pause after the manager was told that this node may have moved, before it is asked for the channel again.
const MOVE: Duration = Duration::from_millis(200);

/// What the manager says of another node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introduction {
    /// Whether it is connected to the manager.
    pub online: bool,
    /// When it was last seen, in milliseconds of Unix time; zero for never.
    pub last_seen: u64,
    /// Where it may be.
    pub candidates: Vec<SocketAddr>,
    /// The relay to it.
    pub relay: Option<Place>,
    /// Why there is no relay though one was asked for.
    pub refused: Option<String>,
}

/// A relay to a peer, as it becomes known.
pub(super) type Relay = Arc<watch::Sender<Option<Place>>>;

impl Node {
    /// Reach `peer`: where it was last, where the manager says it is, and through the relay, whichever answers
    /// first. Nothing waits for anything else, so that an absent manager keeps nobody from a known peer.
    pub(super) async fn reach(
        self: &Arc<Self>,
        peer: NodeId,
        key: StaticKey,
        mode: PathMode,
    ) -> Result<(Session, Relay)> {
        let (tell, found) = mpsc::channel(DIAL_MAX * 2);
        if mode.direct() {
            for address in self.remembered(peer).await {
                // There is room for as many as are taken.
                let _ = tell.try_send(Place::Direct(address));
            }
        }
        if mode.direct() {
            let tell = tell.clone();
            self.spawn(|node| async move {
                let found = node.uplink().around.lan().find(node.network(), peer).await;
                for address in dialable(found, false) {
                    // A dial that is over needs no more places.
                    let _ = tell.send(Place::Direct(address)).await;
                }
            });
        }
        let relay = Relay::default();
        let introducing = {
            let (node, relay) = (Arc::clone(self), Arc::clone(&relay));
            tokio::spawn(async move {
                let introduced = node.introduce(peer, mode).await;
                if let Ok(introduction) = &introduced {
                    relay.send_replace(introduction.relay);
                    let direct = introduction.candidates.iter().copied().map(Place::Direct);
                    for place in direct.chain(introduction.relay) {
                        // A dial that is over needs no more places.
                        let _ = tell.send(place).await;
                    }
                }
                introduced
            })
        };
        match self.endpoint().dial_as_found(key, found, None).await {
            Ok(session) => Ok((session, relay)),
            Err(DialError::Ended(Ended::Closed(code))) => Err(Fault::closed_by_peer(code)),
            Err(error) => {
                let introduced =
                    introducing.await.unwrap_or_else(|_| Err(Fault::failed("nobody introduces them")));
                Err(self.unreached(peer, mode, &error, introduced))
            }
        }
    }

    /// Ask the manager about `peer`, and have it rung.
    async fn introduce(&self, peer: NodeId, mode: PathMode) -> Result<Introduction> {
        let mut introduction = self.manager().introduce(peer, mode.relay()).await?;
        let local = self.manager().is_local();
        let mut candidates = dialable(introduction.candidates, local);
        // A neighbour on this machine needs no detour over an interface that may go away.
        if candidates.iter().any(|address| address.ip().is_loopback()) {
            candidates.retain(|address| address.ip().is_loopback());
        }
        if !mode.direct() {
            candidates.clear();
        }
        introduction.candidates = candidates;
        Ok(introduction)
    }

    /// Why `peer` was not reached, with the next step.
    fn unreached(
        &self,
        peer: NodeId,
        mode: PathMode,
        error: &DialError,
        introduced: Result<Introduction>,
    ) -> Fault {
        let name = node_name(&self.ledger(), peer);
        let offline = || {
            Fault::timed_out(format!("{name} is offline or cannot be reached"))
                .because(error)
                .hint(format!("is its daemon running? cococtl network members {}", self.name()))
        };
        match introduced {
            Ok(introduction) if introduction.refused.as_deref() == Some(failed::QUOTA) => {
                let spent = "the relay's quota of this month is used up";
                let message = match mode.direct() {
                    true => format!("no direct way to {name} works, and {spent}"),
                    false => spent.to_owned(),
                };
                Fault::new(ErrorKind::Quota, message).hint(format!("cococtl usage {}", self.name()))
            }
            Ok(introduction) if introduction.online && mode == PathMode::DirectOnly => {
                Fault::timed_out(format!("no direct way to {name} works"))
                    .because(error)
                    .hint("cococtl doctor says what stands in the way; --path direct-first uses the relay")
            }
            Ok(introduction) if introduction.online && introduction.refused.is_some() => {
                let refused = coconet::name::shown(&introduction.refused.unwrap_or_default());
                Fault::timed_out(format!("no direct way to {name} works, and there is no relay: {refused}"))
                    .because(error)
                    .hint("cococtl doctor")
            }
            Ok(_) => offline(),
            Err(fault) => offline().because(&fault),
        }
    }

    /// Keep a session on the best way until it ends.
    pub(super) async fn tend(self: Arc<Self>, peer: NodeId, session: Session, mode: PathMode, relay: Relay) {
        if mode.direct() && session.remote().is_none() {
            self.spawn(|node| async move { node.look_from_other_family().await });
        }
        let (notices, mut told) = mpsc::channel(NOTICES);
        let mut gone = self.gone.subscribe();
        let towards = Towards::Node;
        let drive = Drive { towards, mode, own: self.own.watch(), relay: relay.subscribe(), notices };
        let mut driving = std::pin::pin!(session.drive(drive));
        loop {
            tokio::select! {
                () = &mut driving => return,
                Some(notice) = told.recv() => match notice {
                    Notice::AskRelay => self.renew(peer, mode, &relay),
                    Notice::Distress => self.manager().nudge(),
                    Notice::Changed(place, why) => {
                        let name = node_name(&self.ledger(), peer);
                        let message = format!("{name} {}: {why}", self.place_text(place));
                        self.events.send(Some(self.name()), "path", message);
                        self.remember(peer, place).await;
                    }
                },
                Ok(channel) = gone.recv() => {
                    let ours = matches!(*relay.borrow(), Some(Place::Relay { channel: used, .. }) if used == channel);
                    if ours {
                        self.manager().nudge();
                        self.renew(peer, mode, &relay);
                    }
                }
            }
        }
    }

    /// Ask for a relay to `peer` again: the same channel while it lives.
    fn renew(self: &Arc<Self>, peer: NodeId, mode: PathMode, relay: &Relay) {
        let relay = Arc::clone(relay);
        self.spawn(|node| async move {
            tokio::time::sleep(MOVE).await;
            if let Ok(Introduction { relay: Some(place), .. }) = node.introduce(peer, mode).await {
                // Said again even if it is the same: the way there may have been given up meanwhile.
                relay.send_replace(Some(place));
            }
        });
    }

    /// Pass on what the relay says.
    pub(super) async fn hear(self: Arc<Self>, mut heard: mpsc::Receiver<Heard>) {
        while let Some((_, packet)) = heard.recv().await {
            match Frame::parse(&packet) {
                Some(Frame::Gone { channel }) => {
                    // Nobody uses that channel any more: so be it.
                    let _ = self.gone.send(channel);
                }
                Some(Frame::Seen { token, address }) => self.seen(token, address),
                Some(Frame::Punch | Frame::Data { .. } | Frame::Ask { .. }) | None => {}
            }
        }
    }

    /// `direct ADDRESS` or `relay MANAGER`.
    pub(crate) fn place_text(&self, place: Place) -> String {
        match place {
            Place::Direct(address) => format!("direct {address}"),
            Place::Relay { .. } | Place::Dial(_) | Place::Carrier(_) => {
                format!("relay {}", self.manager().status().address)
            }
        }
    }

    /// `direct ADDRESS` or `relay MANAGER`: the way a session takes now.
    pub(crate) fn path(&self, session: &Session) -> String {
        session.place().map_or_else(|| "none".to_owned(), |place| self.place_text(place))
    }

    /// Where `peer` was last reached. A session has proved that it is there, so loopback is as good as
    /// any address.
    async fn remembered(&self, peer: NodeId) -> Vec<SocketAddr> {
        let remembered = self.store.remembered_peers(self.network()).await.unwrap_or_default();
        let remembered = remembered.into_iter().filter(|(node, _)| *node == peer);
        dialable(remembered.filter_map(|(_, address)| address.parse().ok()), true)
    }

    async fn remember(&self, peer: NodeId, place: Place) {
        if let Place::Direct(address) = place {
            // Only a cache: without it the manager is asked.
            let _ = self.store.remember_peer(self.network(), peer, address.to_string()).await;
        }
    }
}

/// Open this node's NAT towards whoever dials it.
pub(super) async fn punch(endpoint: coco_tunnel::endpoint::Endpoint, candidates: Vec<SocketAddr>) {
    let mut frame = Vec::new();
    Frame::Punch.encode(&mut frame);
    let began = tokio::time::Instant::now();
    for after in PUNCHES {
        tokio::time::sleep_until(began + after).await;
        for candidate in &candidates {
            endpoint.send_frame(*candidate, &frame);
        }
    }
}

/// The place of a relay channel of the manager.
pub(super) fn relay_place(channel: u64) -> Place {
    Place::Relay { slot: RELAY_SLOT, channel }
}
