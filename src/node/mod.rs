//! One joined network: this daemon's node in it.
//!
//! A [`Node`] owns its keys, its UDP endpoint, its ledger copy ([`book`]), the session with the manager
//! ([`manager`]) and the sessions with other nodes ([`peers`]). Its tasks begin in [`Node::start`] and
//! end in [`Node::stop`]. What it exposes is served in `serve`. [`found`] makes the first node of a
//! network, and the next ones.

mod addresses;
pub mod book;
pub mod candidates;
pub mod found;
pub(crate) mod ip;
pub mod manager;
pub mod peers;
mod serve;
mod told;
pub mod uplink;
pub mod ways;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use coco_tunnel::any_interface;
use coco_tunnel::endpoint::{Endpoint, EndpointOptions};
use coco_tunnel::forward::ip::Links;
use coco_tunnel::relay::frame::{self, Frame};
use coconet::control::{LedgerStatus, Member, MemberNode, Members, Network, ResourceLine, SelfNode, VERSION};
use coconet::id::{NetworkId, NodeId, StaticKey};
use coconet::key::NodeKeys;
use coconet::ledger::{Ledger, NodeKind, Op};
use coconet::name::Name;
use coconet::resource::Kind;
use coconet::role::Role;
use coconet::wire::code::Reset;
use coconet::wire::manager::{Request, Response};
use tokio::sync::{broadcast, oneshot};
use tokio::task::JoinSet;

use crate::clock;
use crate::events::Events;
use crate::fault::{Fault, Result};
use crate::random;
use crate::store::{NetworkRow, Store};
use crate::surroundings::port_mapping::{PortMapping, State as PortMappingState};
use crate::tunnel::Exposures;
use addresses::Addresses;
use book::{Book, TakeError};
use candidates::{Own, Source};
use manager::ManagerLink;
use peers::Peers;
use told::Told;
use uplink::Uplink;

/// Relay channels reported as unknown that a session may be behind with.
const GONE: usize = 64;

/// Questions where this node is seen that may be open at once.
const ASKED_MAX: usize = 64;

/// Longest wait for the manager to say where it sees this node.
const OTHER_FAMILY_MAX: Duration = Duration::from_secs(1);

/// Tries to append an entry while others append too.
const APPEND_TRIES: usize = 32;

/// One joined network.
#[derive(Debug)]
pub struct Node {
    name: Name,
    network: NetworkId,
    keys: NodeKeys,
    endpoint: Endpoint,
    book: Arc<Book>,
    manager: ManagerLink,
    peers: Peers,
    /// Where this node can be reached.
    own: Arc<Own>,
    /// Relay channels that the manager does not know.
    gone: broadcast::Sender<u64>,
    /// Who waits to be told where a manager sees this node.
    asked: Mutex<BTreeMap<u64, oneshot::Sender<SocketAddr>>>,
    exposures: Exposures,
    links: Links,
    addresses: Addresses,
    port_mapping: Mutex<Option<PortMapping>>,
    store: Store,
    events: Events,
    /// Peers that were refused a resource, and peers that were cut off.
    refused: Told,
    cut: Told,
    tasks: Mutex<JoinSet<()>>,
}

impl Node {
    /// Load the node of `row` and begin its work. Without `endpoint` one is bound as `uplink` says, or to the
    /// port it had before.
    pub async fn start(
        row: &NetworkRow,
        keys: NodeKeys,
        endpoint: Option<Endpoint>,
        uplink: Arc<Uplink>,
        store: Store,
        events: Events,
    ) -> Result<Arc<Self>> {
        let book = Arc::new(Book::load(row.id, keys.id(), store.clone()).await?);
        let endpoint = match endpoint {
            Some(endpoint) => endpoint,
            None => bind(&keys, &uplink.listen, row.port)?,
        };
        let port = endpoint.addresses().first().map_or(0, SocketAddr::port);
        if port != row.port {
            store.set_port(row.id, port).await?;
        }
        let own = Arc::new(Own::default());
        let prefix = coconet::address::prefix(row.id);
        endpoint.keep_inside(prefix);
        own.set(Source::Interface, candidates::of_interfaces(&endpoint, prefix), false);
        let link = ManagerLink::new(
            row.id,
            row.name.clone(),
            endpoint.clone(),
            Arc::clone(&book),
            Arc::clone(&own),
            uplink,
            events.clone(),
        );
        let links = Links::new(coconet::address::of(row.id, keys.id()));
        let node = Arc::new(Self {
            name: row.name.clone(),
            network: row.id,
            keys,
            endpoint,
            book,
            manager: link,
            peers: Peers::default(),
            own,
            gone: broadcast::Sender::new(GONE),
            asked: Mutex::default(),
            exposures: Exposures::default(),
            links,
            addresses: Addresses::default(),
            port_mapping: Mutex::default(),
            store,
            events,
            refused: Told::default(),
            cut: Told::default(),
            tasks: Mutex::default(),
        });
        node.spawn(|node| async move { node.manager.run().await });
        node.spawn(Self::accept);
        node.spawn(|node| async move {
            let listen = node.endpoint.addresses();
            node.uplink().around.lan().announce(node.network, node.id(), listen).await;
        });
        if let Some(heard) = node.endpoint.heard() {
            node.spawn(|node| node.hear(heard));
        }
        node.map_port();
        node.spawn(Self::greet_old_friends);
        Ok(node)
    }

    /// End all sessions and tasks.
    pub async fn stop(&self) {
        self.uplink().around.lan().leave(self.network).await;
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
        let port_mapping = self.port_mapping.lock().unwrap_or_else(PoisonError::into_inner).take();
        let release = async {
            if let Some(port_mapping) = port_mapping {
                port_mapping.release().await;
            }
        };
        tokio::join!(release, self.endpoint.close());
    }

    /// Have the router let packets in, and tell others where. Nobody comes from outside to a network whose
    /// manager is on this machine.
    fn map_port(self: &Arc<Self>) {
        let outward = |address: &&SocketAddr| address.is_ipv4() && !address.ip().is_loopback();
        let Some(port) = self.endpoint.addresses().iter().find(outward).map(SocketAddr::port) else { return };
        let ledger = self.ledger();
        let mut hosts = ledger.state().managers().iter().map(|manager| manager.host.as_str());
        if hosts.all(|host| host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())) {
            return;
        }
        let Some(port_mapping) = self.uplink().around.map_port(port) else { return };
        let mut state = port_mapping.state();
        *self.port_mapping.lock().unwrap_or_else(PoisonError::into_inner) = Some(port_mapping);
        self.spawn(|node| async move {
            loop {
                let mapped = match *state.borrow_and_update() {
                    PortMappingState::Mapped(external, _) => Some(external.into()),
                    PortMappingState::Asking | PortMappingState::Inside(..) | PortMappingState::None(_) => {
                        None
                    }
                };
                node.own.set(Source::PortMapping, mapped, node.manager.is_local());
                if state.changed().await.is_err() {
                    return;
                }
            }
        });
    }

    /// How the mapping of this node's port by the router stands; nothing where none is wanted.
    pub fn port_mapping(&self) -> Option<PortMappingState> {
        let port_mapping = self.port_mapping.lock().unwrap_or_else(PoisonError::into_inner);
        port_mapping.as_ref().map(|port_mapping| port_mapping.state().borrow().clone())
    }

    /// The network's name here.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The network's id.
    pub fn network(&self) -> NetworkId {
        self.network
    }

    /// This node's id.
    pub fn id(&self) -> NodeId {
        self.keys.id()
    }

    /// This node's keys.
    pub fn keys(&self) -> &NodeKeys {
        &self.keys
    }

    /// The ledger copy.
    pub fn book(&self) -> &Arc<Book> {
        &self.book
    }

    /// The ledger now.
    pub fn ledger(&self) -> Arc<Ledger> {
        self.book.ledger()
    }

    /// The link to the manager.
    pub fn manager(&self) -> &ManagerLink {
        &self.manager
    }

    /// How it reaches the outside.
    pub fn uplink(&self) -> &Uplink {
        self.manager.uplink()
    }

    /// What this node exposes.
    pub fn exposures(&self) -> &Exposures {
        &self.exposures
    }

    /// The UDP endpoint.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Where this node can be reached.
    pub fn own(&self) -> &Arc<Own> {
        &self.own
    }

    /// The machine's addresses or routes have changed.
    pub fn network_changed(&self) {
        let prefix = coconet::address::prefix(self.network);
        let addresses = candidates::of_interfaces(&self.endpoint, prefix);
        self.own.set(Source::Interface, addresses, self.manager.is_local());
        self.own.set(Source::OtherFamily, [], false);
        self.endpoint.network_changed();
        self.manager.nudge();
    }

    /// Ask the manager of that key, at `server`, where it sees this node; none when it does not say so within
    /// `wait`.
    pub async fn where_seen(&self, key: StaticKey, server: SocketAddr, wait: Duration) -> Option<SocketAddr> {
        let token = random::bytes().map(u64::from_be_bytes).ok()?;
        let seen = self.expect_seen(token);
        let mut ask = Vec::new();
        Frame::Ask { token, proof: frame::proof(&key, token) }.encode(&mut ask);
        self.endpoint.send_frame(server, &ask);
        let seen = tokio::time::timeout(wait, seen).await;
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&token);
        seen.ok()?.ok()
    }

    /// Find out how this node looks from outside by the family of addresses that the session with its manager
    /// does not take. That has to be asked when there is use for it: a NAT forgets.
    async fn look_from_other_family(&self) {
        let Some((key, servers)) = self.manager.other_family() else { return };
        for server in servers {
            if let Some(seen) = self.where_seen(key, server, OTHER_FAMILY_MAX).await {
                self.own.set(Source::OtherFamily, [seen], self.manager.is_local());
                return;
            }
        }
    }

    /// Resolves with what a `seen` with this token says.
    pub fn expect_seen(&self, token: u64) -> oneshot::Receiver<SocketAddr> {
        let (tell, seen) = oneshot::channel();
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        // Who no longer waits needs no answer.
        asked.retain(|_, waiting| !waiting.is_closed());
        if asked.len() < ASKED_MAX {
            asked.insert(token, tell);
        }
        seen
    }

    fn seen(&self, token: u64, address: SocketAddr) {
        let waiting = self.asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&token);
        if let Some(waiting) = waiting {
            // Who no longer waits needs no answer.
            let _ = waiting.send(address);
        }
    }

    /// Add an entry: draft it on the head, have it stamped, verify it back. Somebody else's entry in
    /// between only means another try.
    pub async fn append(&self, op: &Op) -> Result<()> {
        self.require_member()?;
        self.book.require_trust()?;
        for _ in 0..APPEND_TRIES {
            let ledger = self.ledger();
            let draft = ledger.draft(&self.keys, op, found::fresh_blind()?);
            // The same verdict the manager will come to, without asking it.
            ledger.admit(&draft, clock::now_ms().max(ledger.time()))?;
            match self.manager.ask(&Request::Append(draft)).await? {
                Response::Stamped(entry) => match self.book.take_all(&[entry.to_bytes()]).await {
                    Ok(_) => return Ok(()),
                    Err(TakeError::Store(fault)) => return Err(fault),
                    Err(error) => {
                        return Err(Fault::failed("the manager stamped what does not verify")
                            .because(&error)
                            .hint(format!("cococtl network audit {}", self.name)));
                    }
                },
                Response::Conflict { .. } => self.manager.catch_up().await?,
                other => return Err(manager::unexpected(other)),
            }
        }
        Err(Fault::timed_out("too many others change this network at the same time").hint("try again"))
    }

    /// A live node by name or whole id. One that is not here yet may be at the manager.
    pub async fn find_node(&self, text: &str) -> Result<NodeId> {
        if let Some(id) = lookup(&self.ledger(), text) {
            return Ok(id);
        }
        // A manager that is away is no reason to doubt our own copy.
        let _ = self.manager.catch_up().await;
        lookup(&self.ledger(), text).ok_or_else(|| {
            Fault::not_found(format!("no node {} in {}", coconet::name::shown(text), self.name))
                .hint(format!("cococtl network members {}", self.name))
        })
    }

    /// The time that rights are judged by: the clock's, but never before the newest stamp, so that a clock
    /// set back revives nothing.
    pub fn now(&self) -> u64 {
        clock::now_ms().max(self.ledger().time())
    }

    /// Whether this node is a member, by its own ledger copy and as far as it was told.
    pub fn is_member(&self) -> bool {
        self.is_in_ledger() && !self.manager.says_revoked()
    }

    fn is_in_ledger(&self) -> bool {
        self.ledger().state().nodes().contains_key(&self.id())
    }

    /// An error once this node was removed.
    pub fn require_member(&self) -> Result<()> {
        if self.is_member() { Ok(()) } else { Err(self.removed()) }
    }

    /// An error once this node's own ledger copy says that it was removed.
    pub fn require_in_ledger(&self) -> Result<()> {
        if self.is_in_ledger() { Ok(()) } else { Err(self.removed()) }
    }

    /// Why a resource that this node cannot see is not opened. What is absent and what is not granted look
    /// alike to who may not see everything.
    pub fn cannot_use(&self, resource: &Name) -> Fault {
        let ledger = self.ledger();
        if ledger.state().uses_all(self.id()) {
            Fault::not_found(format!("no resource {resource} in {}", self.name))
                .hint(format!("cococtl network show {}", self.name))
        } else {
            Fault::not_opened(resource.as_str(), Reset::NotPermitted, "")
        }
    }

    fn removed(&self) -> Fault {
        let message = format!("this node was removed from {}", self.name);
        Fault::new(coconet::control::ErrorKind::NotAMember, message)
            .hint(format!("cococtl network leave {}", self.name))
    }

    /// What the status says of this network.
    pub fn status(&self) -> Network {
        let ledger = self.ledger();
        let state = ledger.state();
        let own = state.nodes().get(&self.id());
        let user = own.map_or_else(|| fallback("nobody"), |node| node.user.clone());
        let resources = state
            .resources()
            .iter()
            .filter(|(name, resource)| resource.node == self.id() || state.may_see(self.id(), name));
        Network {
            version: VERSION,
            name: self.name.clone(),
            id: self.network.full(),
            kind: state.kind(),
            node: SelfNode {
                id: self.id().full(),
                name: own.map_or_else(|| fallback("removed"), |node| node.name.clone()),
                role: state.users().get(&user).map_or(Role::Guest, |user| user.role),
                user,
                kind: own.map_or(NodeKind::App, |node| node.kind),
                only: own.and_then(|node| node.only.clone()),
                member: self.is_member(),
                listen: self.endpoint.addresses().iter().map(ToString::to_string).collect(),
            },
            manager: self.manager.status(),
            ledger: LedgerStatus { seq: ledger.seq(), head: ledger.head().full(), alarm: self.book.alarm() },
            users: state.users().len(),
            nodes: state.nodes().len(),
            resources: resources
                .map(|(name, resource)| ResourceLine {
                    name: name.clone(),
                    kind: resource.kind,
                    node: node_name(&ledger, resource.node),
                    address: (resource.kind == Kind::Ip)
                        .then(|| coconet::address::of(self.network, resource.node)),
                })
                .collect(),
            peers: self.peer_status(),
            ip: self.ip_facts(),
        }
    }

    /// People and their nodes, with what the manager knows of their presence.
    pub async fn members(&self) -> Members {
        // Without the manager the list is still true, only without the lights.
        let (presence, ()) = tokio::join!(self.manager.presence(), self.manager.refresh());
        let presence = presence.ok();
        let ledger = self.ledger();
        let state = ledger.state();
        let seen = |id: NodeId| presence.as_ref()?.iter().find(|(node, _)| *node == id).map(|(_, at)| *at);
        let nodes = |user: &Name| {
            let mut nodes: Vec<MemberNode> = state
                .nodes()
                .iter()
                .filter(|(_, node)| node.user == *user)
                .map(|(id, node)| MemberNode {
                    id: id.full(),
                    name: node.name.clone(),
                    kind: node.kind,
                    only: node.only.clone(),
                    online: presence.as_ref().map(|_| *id == self.id() || seen(*id) == Some(0)),
                    last_seen_ms: seen(*id).filter(|at| *at > 0),
                    joined_seq: node.joined,
                    resources: state
                        .resources()
                        .iter()
                        .filter(|(_, resource)| resource.node == *id)
                        .map(|(name, _)| name.clone())
                        .collect(),
                    address: self.address_of(state, *id),
                })
                .collect();
            nodes.sort_by(|a, b| a.name.cmp(&b.name));
            nodes
        };
        let users = state
            .users()
            .iter()
            .map(|(name, user)| Member { name: name.clone(), role: user.role, nodes: nodes(name) })
            .collect();
        Members { version: VERSION, network: self.name.clone(), users }
    }

    /// Run `task` for as long as this node lives.
    pub fn spawn<F>(self: &Arc<Self>, task: impl FnOnce(Arc<Self>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let future = task(Arc::clone(self));
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        // Finished tasks would otherwise pile up for as long as the node lives.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(future);
    }
}

/// Bind the endpoint of a node: to the configured addresses, or to every interface on `port`.
pub fn bind(keys: &NodeKeys, listen: &[SocketAddr], port: u16) -> Result<Endpoint> {
    let chosen = !listen.is_empty();
    let options = EndpointOptions {
        secret: keys.static_secret(),
        reset: keys.derive("stateless reset"),
        listen: if chosen { listen.to_vec() } else { any_interface(port).to_vec() },
        any_port: !chosen,
    };
    Endpoint::bind(&options).map_err(|error| {
        Fault::failed("cannot listen on UDP").because(&error).hint("see node.listen in the configuration")
    })
}

/// A node's name, or its short id when it is gone.
pub fn node_name(ledger: &Ledger, id: NodeId) -> Name {
    let known = ledger.state().nodes().get(&id).map(|node| node.name.clone());
    known.unwrap_or_else(|| Name::closest(&id.to_string(), "removed"))
}

fn lookup(ledger: &Ledger, text: &str) -> Option<NodeId> {
    let by_id = text.parse().ok().filter(|id| ledger.state().nodes().contains_key(id));
    by_id.or_else(|| ledger.state().node_named(text).map(|(id, _)| id))
}

fn fallback(text: &str) -> Name {
    Name::closest(text, "unknown")
}
