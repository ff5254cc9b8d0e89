//! The desk: the one task that owns every network and who is where.
//!
//! Sessions send it [`Message`]s and wait for the answer to each. It never waits for a disk or a peer
//! while it answers: an append is judged, handed to the storage, and answered when that is done
//! ([`Desk::stored`]); meanwhile others go on. When the last session is gone and the server has hung up,
//! it finishes what is being stored and ends.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use coco_tunnel::endpoint::dialable;
use coconet::id::{Hash, InviteKey, NetworkId, NodeId, StaticKey};
use coconet::key::NodeKeys;
use coconet::ledger::{Draft, Entry, Ledger, Op, State, stamp};
use coconet::manager_addr::ManagerAddr;
use coconet::name::Name;
use coconet::wire::manager::{CANDIDATES_MAX, Request, Response, failed};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::config::{Config, Limits, Plan};
use crate::counters::{Counters, Refusal};
use crate::limits::ONLINE_CHUNK;
use crate::network::{Head, Network, Removed, Verdict, not_a_member, refuse, rejected};
use crate::now_ms;
use crate::presence::{LastSeen, Presence, SessionId};
use crate::storage::thread::StorageHandle;
use crate::storage::{Seen, StorageError, StoredEntry, Write};

/// Who asks, and on which of its streams.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) session: SessionId,
    pub(crate) stream: u64,
    pub(crate) key: StaticKey,
    pub(crate) remote: SocketAddr,
}

/// What sessions tell the desk.
pub(crate) enum Message {
    /// A session begins; setting `revoked` ends it.
    Arrived { session: SessionId, key: StaticKey, revoked: watch::Sender<bool> },
    /// A request. The proof in a [`Request::Head`] has been verified.
    Ask { peer: Peer, request: Box<Request>, reply: oneshot::Sender<Answer> },
    /// A stream that registered has ended.
    Unregistered { session: SessionId, stream: u64 },
    /// A session has ended.
    Left { session: SessionId },
}

/// What a session does for its client.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Send these.
    Messages(Vec<Response>),
    /// Send the stored entry `seq` as [`Response::Stamped`].
    Newest { network: NetworkId, seq: u64 },
    /// Send the stored entries from `from` to the head, then the head.
    /// with the bodies that `guest`, if it is one, may not see left out.
    Entries { network: NetworkId, from: u64, head: Head, guest: Option<Name> },
    /// Send this, then the head whenever it moves.
    /// `replaced` is set when another session of the node registers.
    Registered { first: Response, pushes: watch::Receiver<Head>, replaced: watch::Receiver<bool> },
}

/// The desk; [`Desk::run`] it.
pub(crate) struct Desk<P> {
    keys: Arc<NodeKeys>,
    limits: Limits,
    plan: Option<(Name, Plan)>,
    counters: Arc<Counters>,
    storage: StorageHandle,
    presence: P,
    networks: BTreeMap<NetworkId, Network<Submission>>,
    /// Networks whose genesis is being stored.
    founding: BTreeSet<NetworkId>,
    sessions: BTreeMap<SessionId, Sitting>,
    writes: JoinSet<Written>,
}

struct Sitting {
    key: StaticKey,
    revoked: watch::Sender<bool>,
    registered: Vec<Registration>,
}

struct Registration {
    stream: u64,
    network: NetworkId,
    node: NodeId,
    replaced: watch::Sender<bool>,
}

struct Submission {
    peer: Peer,
    draft: Draft,
    reply: oneshot::Sender<Answer>,
}

struct Written {
    network: NetworkId,
    /// The ledger that a genesis begins.
    founded: Option<Ledger>,
    entry: Entry,
    peer: Peer,
    reply: oneshot::Sender<Answer>,
    outcome: Result<(), StorageError>,
}

impl<P: Presence> Desk<P> {
    pub(crate) fn new(
        keys: Arc<NodeKeys>,
        config: &Config,
        counters: Arc<Counters>,
        storage: StorageHandle,
        presence: P,
        ledgers: BTreeMap<NetworkId, Ledger>,
    ) -> Self {
        let networks = ledgers.into_iter().map(|(id, ledger)| (id, Network::new(ledger))).collect();
        Self {
            keys,
            limits: config.limits,
            plan: config.plan(),
            counters,
            storage,
            presence,
            networks,
            founding: BTreeSet::new(),
            sessions: BTreeMap::new(),
            writes: JoinSet::new(),
        }
    }

    /// Serve until everybody who could send a message is gone.
    pub(crate) async fn run(mut self, mut inbox: mpsc::Receiver<Message>) {
        loop {
            tokio::select! {
                message = inbox.recv() => match message {
                    Some(message) => self.handle(message).await,
                    None => break,
                },
                Some(written) = self.writes.join_next(), if !self.writes.is_empty() => {
                    self.written(written);
                }
            }
        }
        while let Some(written) = self.writes.join_next().await {
            self.written(written);
        }
    }

    async fn handle(&mut self, message: Message) {
        match message {
            Message::Arrived { session, key, revoked } => {
                self.sessions.insert(session, Sitting { key, revoked, registered: Vec::new() });
            }
            Message::Ask { peer, request, reply } => self.ask(peer, *request, reply).await,
            Message::Unregistered { session, stream } => self.unregister(session, Some(stream)).await,
            Message::Left { session } => {
                self.unregister(session, None).await;
                self.sessions.remove(&session);
            }
        }
    }

    async fn ask(&mut self, peer: Peer, request: Request, reply: oneshot::Sender<Answer>) {
        let answer = match request {
            Request::Append(draft) => return self.submit(Submission { peer, draft, reply }),
            Request::Head { network, invite, .. } => Ok(self.head(network, &invite)),
            Request::Fetch { network, from } => self.fetch(&peer, network, from),
            Request::Register { network, candidates } => self.register(&peer, network, candidates).await,
            Request::Dial { network, node, .. } => self.dial(&peer, network, node),
            Request::Usage { .. } => Err(refuse(failed::NO_RELAY, "this manager does not relay")),
            Request::Presence { network } => self.list(&peer, network),
        };
        let answer = answer.unwrap_or_else(|refusal| Answer::Messages(vec![refusal]));
        self.answer(&peer, reply, answer);
    }

    fn head(&self, network: NetworkId, invite: &InviteKey) -> Answer {
        let network = self.networks.get(&network);
        let answer = network.map_or_else(not_a_member, |network| network.head_for(invite, now_ms()));
        Answer::Messages(vec![answer])
    }

    fn fetch(&self, peer: &Peer, network: NetworkId, from: u64) -> Result<Answer, Response> {
        let (known, node) = self.member(peer, network)?;
        let guest = known.state().guest(node).cloned();
        Ok(Answer::Entries { network, from, head: known.head(), guest })
    }

    async fn register(
        &mut self,
        peer: &Peer,
        network: NetworkId,
        candidates: Vec<SocketAddr>,
    ) -> Result<Answer, Response> {
        let (known, node) = self.member(peer, network)?;
        if candidates.len() > CANDIDATES_MAX {
            return Err(refuse(failed::PROTOCOL, "too many addresses"));
        }
        let (Head { seq, head }, pushes) = (known.head(), known.subscribe());
        let observed = SocketAddr::new(peer.remote.ip().to_canonical(), peer.remote.port());
        // Loopback is only of use to neighbours on this machine.
        let candidates = dialable(std::iter::once(observed).chain(candidates), observed.ip().is_loopback());
        let Some(sitting) = self.sessions.get_mut(&peer.session) else {
            return Err(refuse(failed::PROTOCOL, "the session has ended"));
        };
        let known = sitting.registered.iter().find(|known| known.stream == peer.stream);
        let watched = known.map(|known| known.replaced.subscribe());
        let watched = watched.unwrap_or_else(|| {
            let (replaced, watched) = watch::channel(false);
            sitting.registered.push(Registration { stream: peer.stream, network, node, replaced });
            watched
        });
        tracing::debug!(peer = %node, %network, address = %observed, ?candidates, "registered");
        let replaced = self.presence.register(network, node, peer.session, candidates.clone());
        if let Some(older) = replaced.and_then(|older| self.sessions.get(&older)) {
            // A node that has restarted does not hear this any more; one that was copied does.
            tracing::warn!(peer = %node, %network, "a newer session of the node replaces its older one");
            let of_node =
                older.registered.iter().filter(|known| known.network == network && known.node == node);
            of_node.for_each(|known| {
                known.replaced.send_replace(true);
            });
        }
        let seen = Seen { network, node, at: now_ms(), candidates };
        self.storage.note(Write::Seen(seen)).await;
        let first = Response::Registered { observed, seq, head };
        Ok(Answer::Registered { first, pushes, replaced: watched })
    }

    fn dial(&self, peer: &Peer, network: NetworkId, node: NodeId) -> Result<Answer, Response> {
        let (known, asker) = self.member(peer, network)?;
        if !known.state().may_know(asker, node) {
            return Err(refuse("no-such-node", "no such node"));
        }
        let found = self.presence.locate(network, node);
        let (online, last_seen) = match found.seen {
            LastSeen::Now => (true, now_ms()),
            LastSeen::At(at) => (false, at),
            LastSeen::Never => (false, 0),
        };
        let (channel, refused) = (None, None);
        let candidates = found.candidates;
        let dialled = Response::Dialled { online, candidates, last_seen, channel, refused };
        Ok(Answer::Messages(vec![dialled]))
    }

    fn list(&self, peer: &Peer, network: NetworkId) -> Result<Answer, Response> {
        let (known, asker) = self.member(peer, network)?;
        let state = known.state();
        let seen = self.presence.list(network).into_iter().filter(|(node, _)| state.may_know(asker, *node));
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

    /// The network and the node that the asker is in it.
    fn member(&self, peer: &Peer, network: NetworkId) -> Result<(&Network<Submission>, NodeId), Response> {
        let known = self.networks.get(&network).ok_or_else(not_a_member)?;
        let node = known.member(&peer.key)?;
        Ok((known, node))
    }

    fn submit(&mut self, submission: Submission) {
        let id = submission.draft.header.network;
        if id == NetworkId(Hash::ZERO) {
            return self.found(submission);
        }
        let Some(network) = self.networks.get_mut(&id) else {
            return self.refuse(submission, not_a_member());
        };
        if !network.storing {
            return self.judge(id, submission);
        }
        if let Err(submission) = network.wait(submission) {
            self.refuse(submission, refuse(failed::BUSY, "too many entries wait for this network"));
        }
    }

    /// Judge `submission` by a network that stores nothing now.
    fn judge(&mut self, id: NetworkId, submission: Submission) {
        let Some(network) = self.networks.get_mut(&id) else {
            return self.refuse(submission, not_a_member());
        };
        let verdict = match network.judge(&submission.peer.key, &submission.draft, now_ms()) {
            Verdict::Stamp { .. } if !names(network.state().managers(), &self.keys) => {
                Verdict::No(refuse("not-allowed", "the network has other managers now"))
            }
            stamp @ Verdict::Stamp { .. } => {
                over_plan(self.plan.as_ref(), network.state(), &submission.draft).map_or(stamp, Verdict::No)
            }
            other => other,
        };
        match verdict {
            Verdict::Stamp { seq, time } => {
                network.storing = true;
                let Submission { peer, draft, reply } = submission;
                let entry = stamp(&self.keys, draft, seq, time);
                self.store(id, None, entry, peer, reply);
            }
            Verdict::Newest => {
                let seq = network.head().seq;
                let Submission { peer, reply, .. } = submission;
                self.answer(&peer, reply, Answer::Newest { network: id, seq });
            }
            Verdict::No(answer) => self.refuse(submission, answer),
        }
    }

    fn found(&mut self, submission: Submission) {
        let id = NetworkId(submission.draft.hash());
        if self.networks.contains_key(&id) {
            // The founder asks again because the answer got lost.
            return self.judge(id, submission);
        }
        let ledger = match self.foundable(&submission) {
            Ok(ledger) => ledger,
            Err(answer) => return self.refuse(submission, answer),
        };
        self.founding.insert(id);
        let Submission { peer, draft, reply } = submission;
        let entry = stamp(&self.keys, draft, 0, now_ms());
        self.store(id, Some(ledger), entry, peer, reply);
    }

    fn foundable(&self, submission: &Submission) -> Result<Ledger, Response> {
        let Submission { peer, draft, .. } = submission;
        let ledger = Ledger::founded_by(draft).map_err(|reject| rejected(&reject))?;
        if ledger.state().standing(&peer.key) != coconet::ledger::Standing::Member(draft.header.author) {
            return Err(refuse("not-allowed", "a network is founded by its owner's own node"));
        }
        if !names(ledger.state().managers(), &self.keys) {
            return Err(refuse("not-allowed", "the network does not name this manager"));
        }
        if self.founding.contains(&NetworkId(ledger.head())) {
            return Err(refuse(failed::BUSY, "the network is being founded already"));
        }
        if self.networks.len() + self.founding.len() >= self.limits.networks {
            return Err(refuse(failed::BUSY, "this manager takes no more networks"));
        }
        Ok(ledger)
    }

    fn store(
        &mut self,
        network: NetworkId,
        founded: Option<Ledger>,
        entry: Entry,
        peer: Peer,
        reply: oneshot::Sender<Answer>,
    ) {
        let storage = self.storage.clone();
        self.writes.spawn(async move {
            let write = StoredEntry { network, seq: entry.stamp.seq, bytes: entry.to_bytes() };
            let outcome = storage.write(Write::Entry(write)).await;
            Written { network, founded, entry, peer, reply, outcome }
        });
    }

    fn written(&mut self, written: Result<Written, tokio::task::JoinError>) {
        match written {
            Ok(written) => self.stored(written),
            Err(error) => tracing::error!(%error, "a write was lost"),
        }
    }

    /// The storage has done it or not: answer, tell the others, and go on with what waits.
    fn stored(&mut self, written: Written) {
        let Written { network: id, founded, entry, peer, reply, outcome } = written;
        self.founding.remove(&id);
        let answer = match outcome {
            Ok(()) => self.take(id, founded, &entry).map(|()| Response::Stamped(Box::new(entry))),
            Err(error) => {
                tracing::error!(network = %id, %error, "an entry could not be stored");
                Err(could_not_store(&error))
            }
        };
        let answer = answer.unwrap_or_else(|refusal| refusal);
        self.answer(&peer, reply, Answer::Messages(vec![answer]));
        let Some(network) = self.networks.get_mut(&id) else { return };
        network.storing = false;
        while let Some(network) = self.networks.get_mut(&id)
            && !network.storing
            && let Some(next) = network.next_waiting()
        {
            self.judge(id, next);
        }
    }

    fn take(&mut self, id: NetworkId, founded: Option<Ledger>, entry: &Entry) -> Result<(), Response> {
        let seq = entry.stamp.seq;
        let author = entry.draft.header.author;
        let removed = if founded.is_some() {
            Ledger::begin(entry).map(|ledger| {
                self.networks.insert(id, Network::new(ledger));
                Vec::new()
            })
        } else {
            self.networks.get_mut(&id).map_or(Ok(Vec::new()), |network| network.take(entry))
        };
        match removed {
            Ok(removed) => {
                let op = entry.draft.op();
                let op = op.map(|op| coconet::name::shown(&op.to_string())).unwrap_or_default();
                tracing::info!(network = %id, peer = %author, seq, op, "stamped");
                removed.into_iter().for_each(|removed| self.revoke(id, removed));
                Ok(())
            }
            // Judged fit for this head, and nothing came between: if this is ever seen, the entry is on
            // disk and the ledger in memory is behind; the next append fails on its number.
            Err(reject) => {
                tracing::error!(network = %id, seq, %reject, "a stored entry does not fit");
                Err(rejected(&reject))
            }
        }
    }

    fn revoke(&self, network: NetworkId, Removed { node, key }: Removed) {
        let sessions: Vec<_> = self.sessions.values().filter(|sitting| sitting.key == key).collect();
        tracing::info!(peer = %node, %network, sessions = sessions.len(), "removed");
        for sitting in sessions {
            sitting.revoked.send_replace(true);
        }
    }

    async fn unregister(&mut self, session: SessionId, stream: Option<u64>) {
        let Some(sitting) = self.sessions.get_mut(&session) else { return };
        let ends = |registration: &mut Registration| stream.is_none_or(|it| it == registration.stream);
        let ended: Vec<Registration> = sitting.registered.extract_if(.., ends).collect();
        for Registration { network, node, .. } in ended {
            let still = |other: &Registration| other.network == network && other.node == node;
            if self.sessions.get(&session).is_some_and(|sitting| sitting.registered.iter().any(still)) {
                continue;
            }
            if let Some(seen) = self.presence.drop_session(network, node, session, now_ms()) {
                tracing::debug!(peer = %node, %network, "gone");
                self.storage.note(Write::Seen(seen)).await;
            }
        }
    }

    fn refuse(&self, submission: Submission, answer: Response) {
        let Submission { peer, reply, .. } = submission;
        self.answer(&peer, reply, Answer::Messages(vec![answer]));
    }

    fn answer(&self, peer: &Peer, reply: oneshot::Sender<Answer>, answer: Answer) {
        if let Answer::Messages(messages) = &answer
            && let [Response::Failed { code, message }] = messages.as_slice()
            && self.counters.refuse(kind_of(code))
        {
            let message = coconet::name::shown(message);
            tracing::info!(peer = %peer.key, code, message, "refused");
        }
        // A client that has gone does not wait for its answer.
        drop(reply.send(answer));
    }
}

/// Whether `managers` has the holder of `keys` among them.
fn names(managers: &[ManagerAddr], keys: &NodeKeys) -> bool {
    let own = |manager: &ManagerAddr| manager.stamp == keys.stamp_key() && manager.talk == keys.static_key();
    managers.iter().any(own)
}

/// The refusal of a join that the plan has no room for.
fn over_plan(plan: Option<&(Name, Plan)>, state: &State, draft: &Draft) -> Option<Response> {
    let (name, plan) = plan?;
    let limit = plan.nodes_per_network.filter(|limit| state.nodes().len() >= *limit)?;
    let op = draft.op();
    let message = format!("the plan {name} of this manager allows {limit} nodes in a network");
    matches!(op, Some(Op::Join(_))).then(|| refuse("limit", &message))
}

fn could_not_store(error: &StorageError) -> Response {
    let message = match error {
        StorageError::Full => "the manager's disk is full; nothing was changed",
        StorageError::Sequence(_)
        | StorageError::Damaged(_)
        | StorageError::Version { .. }
        | StorageError::Closed
        | StorageError::Other(_) => "the manager could not write to its disk; nothing was changed",
    };
    refuse(failed::STORAGE, message)
}

fn kind_of(code: &str) -> Refusal {
    match code {
        failed::NOT_A_MEMBER => Refusal::NotAMember,
        failed::REVOKED => Refusal::Revoked,
        failed::STORAGE => Refusal::Storage,
        failed::PROTOCOL => Refusal::Protocol,
        failed::BUSY => Refusal::Busy,
        _ => Refusal::Rejected,
    }
}
