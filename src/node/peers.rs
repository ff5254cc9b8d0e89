//! Sessions with other nodes.
//!
//! One session per peer and path mode is current; it is dialled when somebody needs it and kept while it
//! lives, on the best way there is ([`super::ways`]). A session that arrives while an older one is current takes its place, and the older one must answer a
//! ping or is closed: the peer has probably restarted. Every session ends at once when its peer is no
//! longer a member. A restarted node calls the peers it talked to last, so that they need not wait for
//! a time-out to notice.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use coco_tunnel::channel::Channel;
use coco_tunnel::endpoint::Accepting;
use coco_tunnel::forward::{Broken, opened};
use coco_tunnel::session::{Ended, Session};
use coco_tunnel::{frame, greeting};
use coconet::control::{Peer, PeerLink, Pong, VERSION};
use coconet::id::NodeId;
use coconet::name::Name;
use coconet::path_mode::PathMode;
use coconet::wire::node::Request;

use super::ways::Relay;
use super::{Node, node_name};
use crate::fault::{AGAIN, Fault, Result};

/// Peers called again after a restart.
const OLD_FRIENDS: usize = 16;

/// How long a session may be silent before it must prove itself to be used again.
pub const STALE: Duration = Duration::from_secs(2);

/// A node that has not answered for so long, though it should have, is not shown as connected. Its session is kept: a
/// blackout may end.
pub const SILENT: Duration = Duration::from_secs(3);

/// Longest wait for that proof.
pub const PROOF_TIMEOUT: Duration = Duration::from_secs(2);

/// Other nodes and the current session with each, by path mode.
#[derive(Debug, Default)]
pub struct Peers(Mutex<BTreeMap<Key, Slot>>);

type Key = (NodeId, PathMode);

#[derive(Debug, Default)]
struct Slot {
    session: Option<Session>,
    heard: Option<Instant>,
    /// The entry up to which both ledgers were the same when the session began.
    ledger_seq: u64,
    reason: Option<String>,
    dialling: Arc<tokio::sync::Mutex<()>>,
}

impl Node {
    /// The current session with `peer` that may take the ways of `mode`, dialled if there is none.
    pub async fn session(self: &Arc<Self>, peer: NodeId, mode: PathMode) -> Result<Session> {
        let key = (peer, mode);
        if let Some(session) = self.live(key) {
            return Ok(session);
        }
        let dialling = self.peers.with(key, |slot| Arc::clone(&slot.dialling));
        let _one_at_a_time = dialling.lock().await;
        if let Some(session) = self.live(key) {
            return Ok(session);
        }
        let dialled = self.dial(key).await;
        if let Err(fault) = &dialled {
            self.peers.with(key, |slot| slot.reason = Some(fault.to_string()));
        }
        dialled
    }

    /// A session with `peer` that is known to work: fresh, or proved by a ping.
    pub async fn proved_session(self: &Arc<Self>, peer: NodeId, mode: PathMode) -> Result<Session> {
        let session = self.session(peer, mode).await?;
        let key = (peer, mode);
        let fresh = self.peers.with(key, |slot| slot.heard.is_some_and(|heard| heard.elapsed() < STALE));
        if fresh || self.prove(&session, key).await {
            return Ok(session);
        }
        // Dead without knowing it: the peer has restarted or changed its address.
        self.drop_session(key, &session);
        self.session(peer, mode).await
    }

    /// One round trip to a node.
    pub async fn ping(self: &Arc<Self>, peer: NodeId) -> Result<Pong> {
        let session = self.proved_session(peer, PathMode::default()).await?;
        let started = Instant::now();
        ping(&session).await?;
        let rtt = started.elapsed();
        Ok(Pong {
            version: VERSION,
            node: node_name(&self.ledger(), peer),
            path: self.path(&session),
            rtt_us: u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX),
        })
    }

    /// The peer has just been heard on its current session.
    pub fn heard(&self, peer: NodeId, mode: PathMode) {
        self.peers.with((peer, mode), |slot| slot.heard = Some(Instant::now()));
    }

    pub(super) fn peer_status(&self) -> Vec<Peer> {
        let ledger = self.ledger();
        let peers = self.peers.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = peers
            .iter()
            .filter_map(|((id, mode), slot)| Some((id, *mode, slot, ledger.state().nodes().get(id)?)));
        known
            .map(|(id, mode, slot, node)| {
                let session = slot.session.as_ref().filter(|session| session.end().is_none());
                let stats = session.map(Session::stats).unwrap_or_default();
                let silent = session.and_then(Session::silent).filter(|lasts| *lasts >= SILENT);
                let session = session.filter(|_| silent.is_none());
                let state = match session {
                    Some(_) => PeerLink::Connected,
                    None if silent.is_some() => PeerLink::Silent,
                    None if slot.dialling.try_lock().is_err() => PeerLink::Connecting,
                    None => PeerLink::Offline,
                };
                let (sent, lost) = stats.packets;
                Peer {
                    id: id.full(),
                    name: node.name.clone(),
                    user: node.user.clone(),
                    kind: Some(node.kind),
                    state,
                    path_mode: mode,
                    path: session.map(|session| self.path(session)),
                    why: session.map(|session| session.why().to_string()),
                    rtt_us: session.map(|_| u64::try_from(stats.rtt.as_micros()).unwrap_or(u64::MAX)),
                    mtu: session.map(|_| stats.mtu),
                    bytes_in: stats.bytes_in,
                    bytes_out: stats.bytes_out,
                    packets_sent: sent,
                    packets_lost: lost,
                    rate_in: stats.rates.0,
                    rate_out: stats.rates.1,
                    ledger_seq: session.map(|_| slot.ledger_seq),
                    reason: match silent {
                        Some(lasts) => Some(format!("no answer for {} s", lasts.as_secs())),
                        None => slot.reason.clone().filter(|_| session.is_none()),
                    },
                }
            })
            .collect()
    }

    /// Take sessions that others dial.
    pub(super) async fn accept(self: Arc<Self>) {
        let mut accepting = Accepting::default();
        while let Some(session) = self.endpoint.accept(&mut accepting).await {
            self.spawn(|node| async move {
                match greeting::be_greeted(&session, &*node.book).await {
                    Ok(peer) => node.admit(peer, session).await,
                    Err(error) => {
                        tracing::debug!(network = %node.name, peer = %session.peer(), %error, "session refused");
                        node.events.send(Some(&node.name), "refused", format!("a session: {}", error.0));
                    }
                }
            });
        }
    }

    /// After a restart, tell the peers of before that we are back.
    pub(super) async fn greet_old_friends(self: Arc<Self>) {
        let Ok(peers) = self.store.remembered_peers(self.network).await else { return };
        for (peer, _) in peers.into_iter().take(OLD_FRIENDS) {
            if self.ledger().state().nodes().contains_key(&peer) {
                self.spawn(|node| async move {
                    // A peer that is away comes back by itself.
                    let _ = node.session(peer, PathMode::default()).await;
                });
            }
        }
    }

    async fn dial(self: &Arc<Self>, key: Key) -> Result<Session> {
        self.require_in_ledger()?;
        let (peer, mode) = key;
        let ledger = self.ledger();
        let name = node_name(&ledger, peer);
        let node = ledger.state().nodes().get(&peer);
        let talk = node
            .ok_or_else(|| {
                Fault::not_found(format!("no node {name} in {}", self.name))
                    .hint(format!("cococtl network members {}", self.name))
            })?
            .record
            .talk;
        let (session, relay) = self.reach(peer, talk, mode).await?;
        let first = session.open().await.map_err(|ended| ended_fault(&ended))?;
        self.install(key, &session);
        let greeted = session.clone();
        self.spawn(|node| async move {
            match greeting::greet(&greeted, first, &*node.book).await {
                Ok(found) if found == peer => node.serve_session(key, greeted, relay).await,
                Ok(_) => greeted.close(coconet::wire::code::Close::Protocol),
                Err(error) => {
                    node.peers.with(key, |slot| slot.reason = Some(error.to_string()));
                }
            }
        });
        Ok(session)
    }

    /// A session whose peer is known to be a member: make it current, serve it, and see it end.
    async fn admit(self: &Arc<Self>, peer: NodeId, session: Session) {
        // Whoever dialled has chosen the mode; this side only follows.
        let key = (peer, PathMode::default());
        if let Some(older) = self.install(key, &session) {
            self.spawn(|node| async move {
                if !node.prove(&older, key).await {
                    older.close(coconet::wire::code::Close::Done);
                }
            });
        }
        self.serve_session(key, session, Relay::default()).await;
    }

    async fn serve_session(self: &Arc<Self>, key: Key, session: Session, relay: Relay) {
        let (peer, mode) = key;
        let name = node_name(&self.ledger(), peer);
        self.heard(peer, mode);
        self.events.send(Some(&self.name), "peer-connected", format!("{name} {}", self.path(&session)));
        let driven = session.clone();
        self.spawn(|node| node.tend(peer, driven, mode, relay));
        let ended = self.serve(peer, &session).await;
        self.drop_session(key, &session);
        self.events.send(Some(&self.name), "peer-lost", format!("{name}: {ended}"));
    }

    fn live(&self, key: Key) -> Option<Session> {
        self.peers.with(key, |slot| slot.session.clone().filter(|session| session.end().is_none()))
    }

    /// Make `session` current; returns the one it replaces, if that still lives.
    fn install(&self, key: Key, session: &Session) -> Option<Session> {
        // Greeting each other, the one that was behind has caught up.
        let ledger_seq = self.ledger().seq();
        self.peers.with(key, |slot| {
            slot.heard = Some(Instant::now());
            slot.ledger_seq = ledger_seq;
            slot.reason = None;
            slot.session.replace(session.clone()).filter(|older| older.end().is_none())
        })
    }

    fn drop_session(&self, key: Key, session: &Session) {
        session.close(coconet::wire::code::Close::Done);
        self.peers.with(key, |slot| {
            if slot.session.as_ref().is_some_and(|current| current.is(session)) {
                slot.session = None;
                slot.reason = session.end().map(|ended| ended.to_string());
            }
        });
    }

    async fn prove(&self, session: &Session, key: Key) -> bool {
        let proved = tokio::time::timeout(PROOF_TIMEOUT, ping(session)).await.is_ok_and(|pong| pong.is_ok());
        if proved {
            self.heard(key.0, key.1);
        }
        proved
    }
}

impl Peers {
    fn with<T>(&self, key: Key, act: impl FnOnce(&mut Slot) -> T) -> T {
        // No code that could panic runs under this lock; a poisoned map is still a map.
        act(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default())
    }
}

/// Ask for a resource on a session; what follows on the channel is the target's.
pub async fn request(session: &Session, request: &Request) -> Result<Channel> {
    let mut channel = session.open().await.map_err(|ended| ended_fault(&ended))?;
    let sent = frame::write(&mut channel.tx, request).await;
    sent.map_err(|error| Fault::timed_out("the other node broke off").because(&error).hint(AGAIN))?;
    Ok(channel)
}

/// Whether the exporter would open `resource` now.
pub async fn probe(session: &Session, resource: &Name) -> Result<()> {
    let open = Request::Open { resource: resource.clone(), probe: true };
    let mut channel = request(session, &open).await?;
    channel.tx.finish();
    match opened(&mut channel.rx).await {
        Ok(()) => Ok(()),
        Err(Broken::Refused { code, reason }) => Err(Fault::not_opened(resource.as_str(), code, &reason)),
        Err(error) => Err(match session.end() {
            Some(ended) => ended_fault(&ended),
            None => Fault::timed_out("the other node broke off").because(&error).hint(AGAIN),
        }),
    }
}

async fn ping(session: &Session) -> Result<()> {
    let mut channel = session.open().await.map_err(|ended| ended_fault(&ended))?;
    let sent = frame::write(&mut channel.tx, &Request::Ping).await;
    sent.map_err(|error| Fault::timed_out("the other node broke off").because(&error).hint(AGAIN))?;
    channel.tx.finish();
    opened(&mut channel.rx).await.map_err(|error| match session.end() {
        Some(ended) => ended_fault(&ended),
        None => Fault::timed_out("the other node broke off").because(&error).hint(AGAIN),
    })
}

fn ended_fault(ended: &Ended) -> Fault {
    match ended {
        Ended::Closed(code) => Fault::closed_by_peer(*code),
        Ended::TimedOut | Ended::Restarted | Ended::Here | Ended::Transport(_) => {
            Fault::timed_out("the session with the other node ended").because(ended).hint(AGAIN)
        }
    }
}
