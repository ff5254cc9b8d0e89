//! A real manager in this process and nodes that talk to it over loopback.
//!
//! Each sentence of a test is one call: `laptop.founds("home")`, `laptop.invites(1)`, `cam.joins(&invite)`.

#![allow(dead_code, reason = "each test program uses its part of it")]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use coco_manager::config::{Bytes, Config, Limits, Listen, Metrics, Plan, Probe, Tls};
use coco_manager::counters::Counters;
use coco_manager::server::{Server, ServerError};
use coco_manager::storage::Storage;
use coco_tunnel::channel::Channel;
use coco_tunnel::endpoint::{DialError, Endpoint, EndpointOptions, MANAGER_KEEP_ALIVE};
use coco_tunnel::frame;
use coco_tunnel::relay::frame::Frame;
use coco_tunnel::session::Session;
use coconet::id::{Hash, NetworkId, NodeId, StaticKey};
use coconet::invite::Invitation;
use coconet::key::{InviteSecret, NodeKeys, SEED_LEN};
use coconet::ledger::{
    BLIND_LEN, Blind, Draft, Entry, Genesis, Invite, Ledger, NetworkKind, Op, Publish, Purpose, RemoveNode,
};
use coconet::manager_addr::ManagerAddr;
use coconet::name::Name;
use coconet::resource::{Attributes, Kind};
use coconet::wire::manager::{DayUsage, HEAD_DOMAIN, HEAD_EXPORT_LABEL, NodeUsage, Request, Response};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Longer than anything here takes; whatever takes longer hangs.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// The seed of the manager's keys.
pub(crate) const MANAGER: u8 = 200;

/// What these drafts are blinded with.
pub(crate) const BLIND: Blind = Blind([0xb1; BLIND_LEN]);

/// What [`Node::usage`] says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) month: u32,
    pub(crate) limit: Option<u64>,
    pub(crate) used: u64,
    pub(crate) whole: bool,
    pub(crate) days: Vec<DayUsage>,
    pub(crate) nodes: Vec<NodeUsage>,
}

impl Usage {
    pub(crate) fn of(answers: Vec<Response>) -> Self {
        let [answer] = <[Response; 1]>::try_from(answers).unwrap();
        let Response::Usage { month, limit, used, whole, days, nodes, more: false, .. } = answer else {
            panic!("no usage: {answer:?}")
        };
        Self { month, limit, used, whole, days, nodes }
    }
}

/// A running manager.
pub(crate) struct House {
    pub(crate) address: SocketAddr,
    pub(crate) counters: Arc<Counters>,
    pub(crate) metrics: Option<SocketAddr>,
    /// Where it serves TLS, if it does.
    pub(crate) tls: Option<SocketAddr>,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<Result<(), ServerError>>,
}

/// A node, or somebody who would like to be one.
pub(crate) struct Node {
    pub(crate) keys: NodeKeys,
    pub(crate) endpoint: Endpoint,
    pub(crate) session: Session,
    pub(crate) ledger: Option<Ledger>,
}

pub(crate) fn keys(seed: u8) -> NodeKeys {
    NodeKeys::from_seed(&[seed; SEED_LEN])
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(crate) fn loopback() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

/// The manager's address as it stands in a ledger; the port does not matter there.
pub(crate) fn manager_addr(keys: &NodeKeys) -> ManagerAddr {
    let (stamp, talk) = (keys.stamp_key(), keys.static_key());
    ManagerAddr { stamp, talk, host: "127.0.0.1".parse().unwrap(), port: 4433, tls: None }
}

/// Within [`DEADLINE`], or the test has failed.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("it took too long")
}

fn set_plan(config: &mut Config, plan: Plan) {
    config.plan = Some(name("free"));
    config.plans = BTreeMap::from([(name("free"), plan)]);
}

impl House {
    pub(crate) fn open(storage: impl Storage) -> Self {
        Self::with_limits(storage, Limits::default())
    }

    pub(crate) fn with_limits(storage: impl Storage, limits: Limits) -> Self {
        Self::with(storage, |config| config.limits = limits)
    }

    /// One whose plan allows two nodes in a network.
    pub(crate) fn with_plan(storage: impl Storage) -> Self {
        Self::with(storage, |config| {
            set_plan(config, Plan { nodes_per_network: Some(2), relay_bytes_per_month: None });
        })
    }

    /// One whose relay carries so many bytes in a month.
    pub(crate) fn with_quota(storage: impl Storage, bytes: u64) -> Self {
        Self::with(storage, |config| {
            let relay_bytes_per_month = Some(Bytes(bytes));
            set_plan(config, Plan { nodes_per_network: None, relay_bytes_per_month });
        })
    }

    /// One that is configured so.
    pub(crate) fn with(storage: impl Storage, configure: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config {
            sandbox: coco_manager::config::Sandbox::default(),
            listen: Listen::new(vec![loopback()]).unwrap(),
            public: "127.0.0.1:4433".parse().unwrap(),
            limits: Limits::default(),
            metrics: Metrics::default(),
            tls: Tls::default(),
            probe: Probe::default(),
            plan: None,
            plans: BTreeMap::new(),
        };
        configure(&mut config);
        let server = Server::bind(&config, keys(MANAGER), storage).unwrap();
        let (address, counters, metrics) = (server.addresses()[0], server.counters(), server.metrics());
        let tls = server.tls().first().copied();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(server.run(async { drop(stopped.await) }));
        Self { address, counters, metrics, tls, stop: Some(stop), running }
    }

    /// Stop, and wait until everything is on disk.
    pub(crate) async fn close(mut self) {
        drop(self.stop.take());
        soon(self.running).await.unwrap().unwrap();
    }

    /// Somebody with the keys of `seed` connects.
    pub(crate) async fn node(&self, seed: u8) -> Node {
        Node::connect(keys(seed), self.address, keys(MANAGER).static_key()).await.unwrap()
    }
}

impl Node {
    pub(crate) async fn connect(
        keys: NodeKeys,
        manager: SocketAddr,
        key: StaticKey,
    ) -> Result<Self, DialError> {
        let options = EndpointOptions {
            secret: keys.static_secret(),
            reset: keys.derive("stateless-reset"),
            listen: vec![loopback()],
            any_port: false,
        };
        let endpoint = Endpoint::bind(&options).unwrap();
        let session = soon(endpoint.dial(key, &[manager], MANAGER_KEEP_ALIVE)).await?;
        Ok(Self { keys, endpoint, session, ledger: None })
    }

    pub(crate) fn id(&self) -> NodeId {
        self.keys.id()
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        self.ledger.as_ref().unwrap()
    }

    pub(crate) fn network(&self) -> NetworkId {
        self.ledger().state().network()
    }

    /// Open a stream, send `request`, and hand the stream over.
    pub(crate) async fn opens(&self, request: &Request) -> Channel {
        let mut channel = soon(self.session.open()).await.unwrap();
        frame::write(&mut channel.tx, request).await.unwrap();
        channel
    }

    /// Every answer to `request`, up to the end of the stream.
    pub(crate) async fn asks_all(&self, request: &Request) -> Vec<Response> {
        let mut channel = self.opens(request).await;
        channel.tx.finish();
        let mut answers = Vec::new();
        while let Ok(answer) = soon(frame::read(&mut channel.rx)).await {
            answers.push(answer);
        }
        answers
    }

    /// The only answer to `request`.
    pub(crate) async fn asks(&self, request: &Request) -> Response {
        let mut answers = self.asks_all(request).await;
        assert_eq!(answers.len(), 1, "{answers:?}");
        answers.remove(0)
    }

    /// The code of the refusal of `request`.
    pub(crate) async fn is_refused(&self, request: &Request) -> String {
        match self.asks(request).await {
            Response::Failed { code, .. } => code,
            other => panic!("not refused: {other:?}"),
        }
    }

    pub(crate) fn genesis(&self, network: &str, managers: Vec<ManagerAddr>) -> Draft {
        let genesis = Genesis {
            name: name(network),
            kind: NetworkKind::User,
            owner: self.keys.record(),
            user: name("alice"),
            node_name: name("laptop"),
            managers,
            salt: [7; 16],
        };
        Draft::new(&self.keys, NetworkId(Hash::ZERO), Hash::ZERO, &Op::Genesis(genesis), BLIND)
    }

    pub(crate) async fn founds(&mut self, network: &str) -> NetworkId {
        let draft = self.genesis(network, vec![manager_addr(&keys(MANAGER))]);
        let Response::Stamped(entry) = self.asks(&Request::Append(draft)).await else {
            panic!("not founded")
        };
        self.ledger = Some(Ledger::begin(&entry).unwrap());
        self.network()
    }

    /// Draft `op` on the head this node knows, and send it.
    pub(crate) async fn submits(&self, op: &Op) -> Response {
        self.asks(&Request::Append(self.ledger().draft(&self.keys, op, BLIND))).await
    }

    /// Have `op` stamped, and take the entry.
    pub(crate) async fn appends(&mut self, op: &Op) -> Entry {
        let answer = self.submits(op).await;
        let Response::Stamped(entry) = answer else { panic!("not stamped: {answer:?}") };
        self.ledger.as_mut().unwrap().append(&entry).unwrap();
        *entry
    }

    pub(crate) async fn publishes(&mut self, resource: &str) -> Entry {
        self.appends(&publish(resource)).await
    }

    pub(crate) async fn removes(&mut self, node: NodeId) -> Entry {
        self.appends(&Op::RemoveNode(RemoveNode { node })).await
    }

    /// Invite `uses` of its own apps, by the secret of `seed`.
    pub(crate) async fn invites(&mut self, seed: u8, uses: u32) -> Invitation {
        let secret = InviteSecret::from_seed(&[seed; 32]);
        let expires = u64::MAX >> 1;
        let invite = Invite {
            key: secret.key(),
            purpose: Purpose::SelfApp,
            uses,
            expires,
            node_name: None,
            only: None,
        };
        self.appends(&Op::Invite(invite)).await;
        Invitation { network: self.network(), managers: vec![manager_addr(&keys(MANAGER))], secret, expires }
    }

    pub(crate) fn head_request(&self, invite: &Invitation) -> Request {
        let value = self.session.export(HEAD_EXPORT_LABEL);
        Request::Head {
            network: invite.network,
            invite: invite.secret.key(),
            proof: invite.secret.sign(HEAD_DOMAIN, &value),
        }
    }

    /// Join as `name`, again on each conflict: the stamped entry, or the code of the refusal.
    pub(crate) async fn tries_to_join(&self, invite: &Invitation, name: &Name) -> Result<Entry, String> {
        loop {
            let head = match self.asks(&self.head_request(invite)).await {
                Response::Head { head, .. } => head,
                Response::Failed { code, .. } => return Err(code),
                other => panic!("no head: {other:?}"),
            };
            match self.asks(&Request::Append(invite.join(&self.keys, head, name, BLIND))).await {
                Response::Stamped(entry) => return Ok(*entry),
                Response::Conflict { .. } => {}
                Response::Failed { code, .. } => return Err(code),
                other => panic!("neither joined nor refused: {other:?}"),
            }
        }
    }

    pub(crate) async fn joins(&mut self, invite: &Invitation, as_name: &str) {
        self.tries_to_join(invite, &name(as_name)).await.unwrap();
        self.fetches(invite.network).await;
    }

    /// Take the whole ledger anew, verified; and its bytes.
    pub(crate) async fn fetches(&mut self, network: NetworkId) -> Vec<Vec<u8>> {
        let mut answers = self.asks_all(&Request::Fetch { network, from: 0 }).await;
        let Some(Response::Head { seq, head, .. }) = answers.pop() else { panic!("no head at the end") };
        let entries: Vec<Vec<u8>> = answers
            .into_iter()
            .map(|answer| match answer {
                Response::Entry(bytes) => bytes,
                other => panic!("no entry: {other:?}"),
            })
            .collect();
        let mut parsed = entries.iter().map(|bytes| Entry::from_bytes(bytes).unwrap());
        let mut ledger = Ledger::begin(&parsed.next().unwrap()).unwrap();
        parsed.for_each(|entry| ledger.append(&entry).unwrap());
        assert_eq!((ledger.seq(), ledger.head()), (seq, head));
        self.ledger = Some(ledger);
        entries
    }

    /// Register; the stream, and the answer.
    pub(crate) async fn registers(&self, candidates: &[SocketAddr]) -> (Channel, Response) {
        let request = Request::Register { network: self.network(), candidates: candidates.to_vec() };
        let mut channel = self.opens(&request).await;
        let answer = receive(&mut channel).await;
        (channel, answer)
    }

    pub(crate) async fn locates(&self, node: NodeId) -> (bool, Vec<SocketAddr>, u64) {
        match self.asks(&Request::Dial { network: self.network(), node, relay: false }).await {
            Response::Dialled { online, candidates, last_seen, channel: None, refused: None } => {
                (online, candidates, last_seen)
            }
            other => panic!("not located: {other:?}"),
        }
    }

    /// Dial `node`, with a channel of the relay: its id, or the word of its refusal.
    pub(crate) async fn dials(&self, node: NodeId) -> Result<u64, String> {
        match self.asks(&Request::Dial { network: self.network(), node, relay: true }).await {
            Response::Dialled { channel: Some(channel), refused: None, .. } => Ok(channel),
            Response::Dialled { channel: None, refused: Some(word), .. } => Err(word),
            other => panic!("neither a channel nor a word: {other:?}"),
        }
    }

    /// Send `count` packets of `len` bytes into the relay.
    pub(crate) fn relays(&self, manager: SocketAddr, channel: u64, len: usize, count: usize) {
        let mut packet = Vec::new();
        Frame::Data { channel, payload: &vec![7; len] }.encode(&mut packet);
        (0..count).for_each(|_| self.endpoint.send_frame(manager, &packet));
    }

    /// What was relayed this month, as far as this node is told.
    pub(crate) async fn usage(&self) -> Usage {
        let answers = self.asks_all(&Request::Usage { network: self.network(), month: None }).await;
        Usage::of(answers)
    }

    /// Who was seen, in the order of ids.
    pub(crate) async fn lists(&self) -> Vec<(NodeId, u64)> {
        let mut answers = self.asks_all(&Request::Presence { network: self.network() }).await;
        assert!(matches!(answers.pop(), Some(Response::Head { .. })));
        let chunk = |answer| match answer {
            Response::Online(nodes) => nodes,
            other => panic!("not a list: {other:?}"),
        };
        answers.into_iter().flat_map(chunk).collect()
    }
}

/// The next answer on an open stream.
pub(crate) async fn receive(channel: &mut Channel) -> Response {
    soon(frame::read(&mut channel.rx)).await.unwrap()
}

/// Something to append.
pub(crate) fn publish(resource: &str) -> Op {
    Op::Publish(Publish { name: name(resource), kind: Kind::Tcp, attributes: Attributes::default() })
}
