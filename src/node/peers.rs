//! Sessions with other nodes.
//!
//! One session per peer is current; it is dialled when somebody needs it and kept while it lives. A
//! session that arrives while an older one is current takes its place, and the older one must answer a
//! ping or is closed: the peer has probably restarted. Every session ends at once when its peer is no
//! longer a member. A restarted node calls the peers it talked to last, so that they need not wait for
//! a time-out to notice.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use coco_tunnel::channel::Channel;
use coco_tunnel::endpoint::{Accepting, DialError, KEEP_ALIVE, dialable};
use coco_tunnel::forward::{Broken, opened};
use coco_tunnel::session::{Ended, Session};
use coco_tunnel::{frame, greeting};
use coconet::control::{Peer, PeerLink, Pong, VERSION};
use coconet::id::{NodeId, StaticKey};
use coconet::name::Name;
use coconet::wire::node::Request;
use futures_util::future::{Either, select};

use super::{Node, node_name};
use crate::fault::{Fault, Result};

/// Peers called again after a restart.
const OLD_FRIENDS: usize = 16;

/// How long a session may be silent before it must prove itself to be used again.
pub const STALE: Duration = Duration::from_secs(2);

/// Longest wait for that proof.
pub const PROOF_TIMEOUT: Duration = Duration::from_secs(2);

/// Other nodes and the current session with each.
#[derive(Debug, Default)]
pub struct Peers(Mutex<BTreeMap<NodeId, Slot>>);

#[derive(Debug, Default)]
struct Slot {
    session: Option<Session>,
    heard: Option<Instant>,
    reason: Option<String>,
    dialling: Arc<tokio::sync::Mutex<()>>,
}

impl Node {
    /// The current session with `peer`, dialled if there is none.
    pub async fn session(self: &Arc<Self>, peer: NodeId) -> Result<Session> {
        if let Some(session) = self.live(peer) {
            return Ok(session);
        }
        let dialling = self.peers.with(peer, |slot| Arc::clone(&slot.dialling));
        let _one_at_a_time = dialling.lock().await;
        if let Some(session) = self.live(peer) {
            return Ok(session);
        }
        let dialled = self.dial(peer).await;
        if let Err(fault) = &dialled {
            self.peers.with(peer, |slot| slot.reason = Some(fault.to_string()));
        }
        dialled
    }

    /// A session with `peer` that is known to work: fresh, or proved by a ping.
    pub async fn proved_session(self: &Arc<Self>, peer: NodeId) -> Result<Session> {
        let session = self.session(peer).await?;
        let fresh = self.peers.with(peer, |slot| slot.heard.is_some_and(|heard| heard.elapsed() < STALE));
        if fresh || self.prove(&session, peer).await {
            return Ok(session);
        }
        // Dead without knowing it: the peer has restarted or changed its address.
        self.drop_session(peer, &session);
        self.session(peer).await
    }

    /// One round trip to a node.
    pub async fn ping(self: &Arc<Self>, peer: NodeId) -> Result<Pong> {
        let session = self.proved_session(peer).await?;
        let started = Instant::now();
        ping(&session).await?;
        let rtt = started.elapsed();
        Ok(Pong {
            version: VERSION,
            node: node_name(&self.ledger(), peer),
            path: path(&session),
            rtt_us: u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX),
        })
    }

    /// The peer has just been heard on its current session.
    pub fn heard(&self, peer: NodeId) {
        self.peers.with(peer, |slot| slot.heard = Some(Instant::now()));
    }

    pub(super) fn peer_status(&self) -> Vec<Peer> {
        let ledger = self.ledger();
        let peers = self.peers.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = peers.iter().filter_map(|(id, slot)| Some((id, slot, ledger.state().nodes().get(id)?)));
        known
            .map(|(id, slot, node)| {
                let session = slot.session.as_ref().filter(|session| session.end().is_none());
                let stats = session.map(Session::stats).unwrap_or_default();
                let state = match session {
                    Some(_) => PeerLink::Connected,
                    None if slot.dialling.try_lock().is_err() => PeerLink::Connecting,
                    None => PeerLink::Offline,
                };
                Peer {
                    id: id.full(),
                    name: node.name.clone(),
                    user: node.user.clone(),
                    state,
                    path: session.map(path),
                    rtt_us: session.map(|_| u64::try_from(stats.rtt.as_micros()).unwrap_or(u64::MAX)),
                    bytes_in: stats.bytes_in,
                    bytes_out: stats.bytes_out,
                    reason: slot.reason.clone().filter(|_| session.is_none()),
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
                    let _ = node.session(peer).await;
                });
            }
        }
    }

    async fn dial(self: &Arc<Self>, peer: NodeId) -> Result<Session> {
        self.require_in_ledger()?;
        let ledger = self.ledger();
        let name = node_name(&ledger, peer);
        let node = ledger.state().nodes().get(&peer);
        let key =
            node.ok_or_else(|| Fault::not_found(format!("no node {name} in {}", self.name)))?.record.talk;
        let session = self.reach(peer, key).await.map_err(|error| match error {
            DialError::Ended(Ended::Closed(code)) => Fault::closed_by_peer(code),
            error => Fault::timed_out(format!("{name} is offline or cannot be reached"))
                .because(&error)
                .hint(format!("is its daemon running? cococtl network members {}", self.name)),
        })?;
        let first = session.open().await.map_err(|ended| Fault::timed_out("lost").because(&ended))?;
        self.install(peer, &session);
        let greeted = session.clone();
        self.spawn(|node| async move {
            match greeting::greet(&greeted, first, &*node.book).await {
                Ok(found) if found == peer => node.serve_session(peer, greeted).await,
                Ok(_) => greeted.close(coconet::wire::code::Close::Protocol),
                Err(error) => {
                    node.peers.with(peer, |slot| slot.reason = Some(error.to_string()));
                }
            }
        });
        Ok(session)
    }

    /// Dial `peer` where it was last reached and where the manager says it is, whichever answers first:
    /// neither waits for the other, so that an absent manager keeps nobody from a known peer.
    async fn reach(&self, peer: NodeId, key: StaticKey) -> std::result::Result<Session, DialError> {
        let remembered = self.remembered(peer).await;
        let there = pin!(self.endpoint.dial(key, &remembered, KEEP_ALIVE));
        let located = pin!(async {
            let mut addresses = self.located(peer).await;
            addresses.retain(|address| !remembered.contains(address));
            self.endpoint.dial(key, &addresses, KEEP_ALIVE).await
        });
        match select(there, located).await {
            Either::Left((Ok(session), _)) | Either::Right((Ok(session), _)) => Ok(session),
            Either::Left((Err(error), located)) => located.await.map_err(|other| telling(error, other)),
            Either::Right((Err(error), there)) => there.await.map_err(|other| telling(error, other)),
        }
    }

    /// Where `peer` was last reached. A session has proved that it is there, so loopback is as good as
    /// any address.
    async fn remembered(&self, peer: NodeId) -> Vec<SocketAddr> {
        let remembered = self.store.remembered_peers(self.network).await.unwrap_or_default();
        let remembered = remembered.into_iter().filter(|(node, _)| *node == peer);
        dialable(remembered.filter_map(|(_, address)| address.parse().ok()), true)
    }

    /// Where the manager says that `peer` is.
    async fn located(&self, peer: NodeId) -> Vec<SocketAddr> {
        let located = self.manager.locate(peer).await.unwrap_or_default();
        let mut addresses = dialable(located, self.manager.is_local());
        // A neighbour on this machine needs no detour over an interface that may go away.
        if addresses.iter().any(|address| address.ip().is_loopback()) {
            addresses.retain(|address| address.ip().is_loopback());
        }
        addresses
    }

    /// A session whose peer is known to be a member: make it current, serve it, and see it end.
    async fn admit(self: &Arc<Self>, peer: NodeId, session: Session) {
        if let Some(older) = self.install(peer, &session) {
            self.spawn(|node| async move {
                if !node.prove(&older, peer).await {
                    older.close(coconet::wire::code::Close::Done);
                }
            });
        }
        self.serve_session(peer, session).await;
    }

    async fn serve_session(self: &Arc<Self>, peer: NodeId, session: Session) {
        let name = node_name(&self.ledger(), peer);
        self.heard(peer);
        self.events.send(Some(&self.name), "peer-connected", format!("{name} {}", path(&session)));
        if let Some(address) = session.remote() {
            // Only a cache: without it the manager is asked.
            let _ = self.store.remember_peer(self.network, peer, address.to_string()).await;
        }
        let ended = self.serve(peer, &session).await;
        self.drop_session(peer, &session);
        self.events.send(Some(&self.name), "peer-lost", format!("{name}: {ended}"));
    }

    fn live(&self, peer: NodeId) -> Option<Session> {
        self.peers.with(peer, |slot| slot.session.clone().filter(|session| session.end().is_none()))
    }

    /// Make `session` current; returns the one it replaces, if that still lives.
    fn install(&self, peer: NodeId, session: &Session) -> Option<Session> {
        self.peers.with(peer, |slot| {
            slot.heard = Some(Instant::now());
            slot.reason = None;
            slot.session.replace(session.clone()).filter(|older| older.end().is_none())
        })
    }

    fn drop_session(&self, peer: NodeId, session: &Session) {
        session.close(coconet::wire::code::Close::Done);
        self.peers.with(peer, |slot| {
            if slot.session.as_ref().is_some_and(|current| current.is(session)) {
                slot.session = None;
                slot.reason = session.end().map(|ended| ended.to_string());
            }
        });
    }

    async fn prove(&self, session: &Session, peer: NodeId) -> bool {
        let proved = tokio::time::timeout(PROOF_TIMEOUT, ping(session)).await.is_ok_and(|pong| pong.is_ok());
        if proved {
            self.heard(peer);
        }
        proved
    }
}

impl Peers {
    fn with<T>(&self, peer: NodeId, act: impl FnOnce(&mut Slot) -> T) -> T {
        // No code that could panic runs under this lock; a poisoned map is still a map.
        act(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(peer).or_default())
    }
}

/// Ask for a resource on a session; what follows on the channel is the target's.
pub async fn request(session: &Session, resource: &Name, probe: bool) -> Result<Channel> {
    let mut channel = session.open().await.map_err(|ended| ended_fault(&ended))?;
    let open = Request::Open { resource: resource.clone(), probe };
    let sent = frame::write(&mut channel.tx, &open).await;
    sent.map_err(|error| Fault::timed_out("the other node broke off").because(&error))?;
    Ok(channel)
}

/// Whether the exporter would open `resource` now.
pub async fn probe(session: &Session, resource: &Name) -> Result<()> {
    let mut channel = request(session, resource, true).await?;
    channel.tx.finish();
    match opened(&mut channel.rx).await {
        Ok(()) => Ok(()),
        Err(Broken::Refused { code, reason }) => Err(Fault::not_opened(resource.as_str(), code, &reason)),
        Err(error) => Err(match session.end() {
            Some(ended) => ended_fault(&ended),
            None => Fault::timed_out("the other node broke off").because(&error),
        }),
    }
}

/// `direct ADDRESS`.
pub fn path(session: &Session) -> String {
    session.remote().map_or_else(|| "none".to_owned(), |address| format!("direct {address}"))
}

async fn ping(session: &Session) -> Result<()> {
    let mut channel = session.open().await.map_err(|ended| ended_fault(&ended))?;
    let sent = frame::write(&mut channel.tx, &Request::Ping).await;
    sent.map_err(|error| Fault::timed_out("the other node broke off").because(&error))?;
    channel.tx.finish();
    opened(&mut channel.rx).await.map_err(|error| match session.end() {
        Some(ended) => ended_fault(&ended),
        None => Fault::timed_out("the other node broke off").because(&error),
    })
}

/// Of two failures, the one that says more.
fn telling(one: DialError, other: DialError) -> DialError {
    match (&one, &other) {
        (DialError::NoAddress, _) | (_, DialError::Ended(_)) => other,
        (DialError::NoAnswer { .. } | DialError::Ended(_), _) => one,
    }
}

fn ended_fault(ended: &Ended) -> Fault {
    match ended {
        Ended::Closed(code) => Fault::closed_by_peer(*code),
        Ended::TimedOut | Ended::Restarted | Ended::Here | Ended::Transport(_) => {
            Fault::timed_out("the session with the other node ended").because(ended)
        }
    }
}
