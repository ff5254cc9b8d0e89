//! The desk: the one task that owns every network, who is where, and what they may have relayed.
//!
//! Sessions send it [`Message`]s and wait for the answer to each. It never waits for a disk or a peer
//! while it answers: an append is judged, handed to the storage, and answered when that is done
//! (`append`); meanwhile others go on. It introduces nodes and opens the relay's channels between them
//! (`introduce`), and looks at the relay's meters several times in a second (`usage`). When the last session is
//! gone and the server has hung up, it finishes what is being stored and ends.

mod append;
mod introduce;
mod usage;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use coco_tunnel::endpoint::Endpoint;
use coco_tunnel::relay::{Stranger, SwitchControl};
use coco_tunnel::session::Session;
use coconet::id::{InviteKey, NetworkId, NodeId, StaticKey};
use coconet::key::NodeKeys;
use coconet::ledger::{Ledger, Removal};
use coconet::name::Name;
use coconet::wire::manager::{Request, Response, failed};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{MissedTickBehavior, interval};

use self::append::{Submission, Written};
use self::introduce::Dial;
use crate::channels::Channels;
use crate::config::{Config, Limits, Plan};
use crate::counters::{Counters, Refusal};
use crate::metering::{FLUSH_EVERY, Metering};
use crate::network::{Head, Network, Removed, not_a_member, refuse};
use crate::now_ms;
use crate::presence::{Presence, SessionId};
use crate::storage::thread::StorageHandle;
use crate::storage::{Relayed, StorageError};
use crate::whereabouts::Whereabouts;

/// Who asks, and on which of its streams.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) session: SessionId,
    pub(crate) stream: u64,
    pub(crate) key: StaticKey,
    /// Where it was when it asked.
    pub(crate) place: Whereabouts,
}

/// What sessions tell the desk.
pub(crate) enum Message {
    /// A session begins; setting `revoked` ends it.
    Arrived { id: SessionId, session: Session, revoked: watch::Sender<bool> },
    /// A request. The proof in a [`Request::Head`] has been verified.
    Ask { peer: Peer, request: Box<Request>, reply: oneshot::Sender<Answer> },
    /// A stream that registered has ended.
    Unregistered { session: SessionId, stream: u64 },
    /// A session has ended.
    Left { session: SessionId },
    /// What the operator's monitoring wants to know.
    Figures { reply: oneshot::Sender<Figures> },
}

/// How the desk stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) sessions: u64,
    /// Nodes that have registered; one may be in several networks.
    pub(crate) registered: u64,
    pub(crate) networks: u64,
    /// What each network has had relayed this month.
    pub(crate) relayed: Vec<(NetworkId, u64)>,
    pub(crate) channels: u64,
    /// Whether the last write failed.
    pub(crate) storage_failing: bool,
}

/// What a session does for its client.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Send these.
    Messages(Vec<Response>),
    /// Send the stored entry `seq` as [`Response::Stamped`].
    Newest { network: NetworkId, seq: u64 },
    /// Send the stored entries from `from` to the head, then the head,
    /// with the bodies that `guest`, if it is one, may not see left out.
    Entries { network: NetworkId, from: u64, head: Head, guest: Option<Name> },
    /// Send them up to the one that removed the asker, as if the ledger ended there.
    Farewell { network: NetworkId, from: u64, removal: Removal },
    /// Do it, and say that it was done at this time.
    Probe { time: u64 },
    /// Send this, then what `pushes` has. They are `None` for a stream that has them already.
    Registered { first: Response, pushes: Option<Pushes> },
}

/// What is sent on a registered stream.
#[derive(Debug)]
pub(crate) struct Pushes {
    /// The head, whenever it moves.
    pub(crate) heads: watch::Receiver<Head>,
    /// Set when another session of the node registers.
    pub(crate) replaced: watch::Receiver<bool>,
    /// Rings and warnings.
    pub(crate) notices: mpsc::Receiver<Response>,
}

/// The relay, as the desk has it in hand.
pub(crate) struct Relay {
    pub(crate) control: SwitchControl,
    pub(crate) strangers: mpsc::Receiver<Stranger>,
    pub(crate) endpoint: Endpoint,
}

/// What was stored when the manager started.
pub(crate) struct Kept<P> {
    pub(crate) presence: P,
    pub(crate) ledgers: BTreeMap<NetworkId, Ledger>,
    pub(crate) relayed: Vec<Relayed>,
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
    metering: Metering,
    channels: Channels,
    strangers: mpsc::Receiver<Stranger>,
    endpoint: Endpoint,
    storage_failing: bool,
    work: JoinSet<Done>,
}

struct Sitting {
    session: Session,
    revoked: watch::Sender<bool>,
    registered: Vec<Registration>,
}

impl Sitting {
    fn of(&self, network: NetworkId, node: NodeId) -> impl Iterator<Item = &Registration> {
        self.registered.iter().filter(move |known| known.network == network && known.node == node)
    }
}

struct Registration {
    stream: u64,
    network: NetworkId,
    node: NodeId,
    /// Where it says it can be reached.
    offered: Vec<SocketAddr>,
    replaced: watch::Sender<bool>,
    notices: mpsc::Sender<Response>,
}

/// What the storage has done meanwhile.
enum Done {
    Entry(Box<Written>),
    Counted(Result<(), StorageError>),
    Loaded(Result<Vec<Relayed>, StorageError>),
    Answer(Box<Late>),
}

/// An answer that had to be read first.
struct Late {
    peer: Peer,
    reply: oneshot::Sender<Answer>,
    answer: Answer,
}

impl<P: Presence> Desk<P> {
    pub(crate) fn new(
        keys: Arc<NodeKeys>,
        config: &Config,
        counters: Arc<Counters>,
        storage: StorageHandle,
        kept: Kept<P>,
        relay: Relay,
    ) -> Self {
        let Kept { presence, ledgers, relayed } = kept;
        let networks = ledgers.into_iter().map(|(id, ledger)| (id, Network::new(ledger))).collect();
        let plan = config.plan();
        let limit = plan.as_ref().and_then(|(_, plan)| plan.relay_bytes_per_month);
        let mut metering = Metering::new(limit.map(|bytes| bytes.0), now_ms());
        metering.load(&relayed);
        let channels = Channels::new(relay.control, keys.derive("relay channels"));
        Self {
            keys,
            limits: config.limits,
            plan,
            counters,
            storage,
            presence,
            networks,
            founding: BTreeSet::new(),
            sessions: BTreeMap::new(),
            metering,
            channels,
            strangers: relay.strangers,
            endpoint: relay.endpoint,
            storage_failing: false,
            work: JoinSet::new(),
        }
    }

    /// Serve until everybody who could send a message is gone.
    pub(crate) async fn run(mut self, mut inbox: mpsc::Receiver<Message>) {
        let mut look = interval(FLUSH_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.forget_old_counts().await;
        loop {
            tokio::select! {
                message = inbox.recv() => match message {
                    Some(message) => self.handle(message).await,
                    None => break,
                },
                Some(done) = self.work.join_next(), if !self.work.is_empty() => self.done(done),
                Some(stranger) = self.strangers.recv() => self.stranger(stranger),
                _ = look.tick() => {
                    self.count();
                    self.follow_sessions();
                }
            }
        }
        self.finish().await;
        // What was counted while the last counts were being written.
        self.count();
        self.finish().await;
    }

    async fn finish(&mut self) {
        while let Some(done) = self.work.join_next().await {
            self.done(done);
        }
    }

    fn done(&mut self, done: Result<Done, JoinError>) {
        match done {
            Ok(Done::Entry(written)) => self.stored(*written),
            Ok(Done::Counted(outcome)) => self.counted(outcome),
            Ok(Done::Loaded(outcome)) => self.loaded(outcome),
            Ok(Done::Answer(late)) => {
                let Late { peer, reply, answer } = *late;
                self.answer(&peer, reply, answer);
            }
            Err(error) => tracing::error!(%error, "a write was lost"),
        }
    }

    async fn handle(&mut self, message: Message) {
        match message {
            Message::Arrived { id, session, revoked } => {
                self.sessions.insert(id, Sitting { session, revoked, registered: Vec::new() });
            }
            Message::Ask { peer, request, reply } => self.ask(peer, *request, reply).await,
            Message::Unregistered { session, stream } => self.unregister(session, Some(stream)).await,
            Message::Left { session } => {
                self.unregister(session, None).await;
                self.sessions.remove(&session);
                self.channels.left(session, Instant::now());
            }
            // Whoever asked may have given up.
            Message::Figures { reply } => drop(reply.send(self.figures())),
        }
    }

    fn figures(&self) -> Figures {
        let count = |count: usize| count as u64;
        Figures {
            sessions: count(self.sessions.len()),
            registered: count(self.sessions.values().map(|sitting| sitting.registered.len()).sum()),
            networks: count(self.networks.len()),
            relayed: self.metering.totals().collect(),
            channels: count(self.channels.count()),
            storage_failing: self.storage_failing,
        }
    }

    async fn ask(&mut self, peer: Peer, request: Request, reply: oneshot::Sender<Answer>) {
        let answer = match request {
            Request::Append(draft) => return self.submit(Submission { peer, draft, reply }),
            Request::Head { network, invite, .. } => Ok(self.head(network, &invite)),
            Request::Fetch { network, from } => self.fetch(&peer, network, from),
            Request::Register { network, candidates } => self.register(&peer, network, candidates).await,
            Request::Usage { network, month } => return self.usage(peer, network, month, reply),
            Request::Dial { network, node, relay } => self.dial(&peer, Dial { network, node, relay }),
            Request::Presence { network } => self.list(&peer, network),
            Request::Probe { network, .. } => {
                self.member(&peer, network).map(|_| Answer::Probe { time: now_ms() })
            }
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
        let known = self.networks.get(&network).ok_or_else(not_a_member)?;
        if let Some(removal) = known.removal(&peer.key) {
            let removal = removal.clone();
            return Ok(Answer::Farewell { network, from, removal });
        }
        let guest = known.state().guest(known.member(&peer.key)?).cloned();
        Ok(Answer::Entries { network, from, head: known.head(), guest })
    }

    /// The network and the node that the asker is in it.
    fn member(&self, peer: &Peer, network: NetworkId) -> Result<(&Network<Submission>, NodeId), Response> {
        let known = self.networks.get(&network).ok_or_else(not_a_member)?;
        let node = known.member(&peer.key)?;
        Ok((known, node))
    }

    fn revoke(&mut self, network: NetworkId, Removed { node, key }: Removed) {
        self.channels.remove(network, node);
        let sessions: Vec<_> =
            self.sessions.values().filter(|sitting| sitting.session.peer() == key).collect();
        tracing::info!(peer = %node, %network, sessions = sessions.len(), "removed");
        for sitting in sessions {
            sitting.revoked.send_replace(true);
        }
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
        failed::QUOTA => Refusal::Quota,
        _ => Refusal::Rejected,
    }
}
