//! The daemon: its networks, its tunnels, and what one can ask of them.

pub mod jobs;
mod ledger;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use coco_sandbox::Report;
use coco_tunnel::carrier::proxy::Proxies;
use coco_tunnel::descriptors;
use coco_tunnel::forward::Service;
use coconet::calendar::MonthError;
use coconet::control::{
    Cameras, CreateInvite, CreateNetwork, Doctor, Done, Expose, FindCameras, InvitePurpose, Invited,
    JoinNetwork, Members, Network, Networks, OPEN_TIMEOUT_S, Open, Ping, Pong, Progress, RUN_RESOURCES_MAX,
    Run, SandboxLayer, SandboxState, Status, Tunnel, Tunnels, Usage, VERSION,
};
use coconet::grant::Capabilities;
use coconet::id::NetworkId;
use coconet::invite::Invitation;
use coconet::key::InviteSecret;
use coconet::ledger::{Invite, Op, Publish, Purpose, RemoveNode, Violation, Withdraw};
use coconet::listen::Listen;
use coconet::manager_addr::ManagerAddr;
use coconet::name::Name;
use coconet::path_mode::PathMode;
use coconet::resource::{Attributes, CAN, Kind, PATH, PORT, UDP};
use coconet::target::Target;
use futures_util::future::join_all;
use tokio::net::UnixStream;
use tokio::sync::watch;

use crate::access::Rules;
use crate::clock;
use crate::config::Config;
use crate::doctor;
use crate::events::Events;
use crate::fault::{Fault, Result};
use crate::ip::host::Host;
use crate::lookups;
use crate::node::found::{self, Founded};
use crate::node::ip::no_interface;
use crate::node::uplink::Uplink;
use crate::node::{Node, node_name};
use crate::random;
use crate::run::{Runs, Session};
use crate::sandbox;
use crate::state_dir::{StateDir, StateDirError};
use crate::store::{NetworkRow, Served, Store, TunnelEnd};
use crate::surroundings::Surroundings;
use crate::surroundings::cameras;
use crate::surroundings::links::Links;
use crate::tunnel::{
    Exposure, Ground, Listener, Opened, OpenedOptions, SocketDirs, Sockets, Transports, target_answers,
};
use jobs::{Asked, Jobs, whole};

/// Longest life of an invite, in seconds: a year.
pub const INVITE_LIFE_MAX_S: u64 = 365 * 24 * 3600;

/// Longest a request may wait for a peer, in seconds.
pub const WAIT_MAX_S: u64 = 300;

/// A daemon.
#[derive(Debug)]
pub struct Daemon {
    app: Name,
    config: Config,
    uplink: Arc<Uplink>,
    state_dir: StateDir,
    store: Store,
    /// Where tunnels may have unix sockets.
    dirs: Arc<SocketDirs>,
    events: Events,
    around: Arc<Surroundings>,
    /// The machine's interface for packets.
    host: Option<Host>,
    started_ms: u64,
    sandbox: Report,
    networks: Mutex<BTreeMap<Name, Arc<Node>>>,
    tunnels: Mutex<BTreeMap<u64, Arc<Opened>>>,
    runs: Runs,
    jobs: Jobs,
    /// Held while a network or a tunnel that works is written down or forgotten, so that of two requests
    /// for one thing only one gets it.
    adding: tokio::sync::Mutex<()>,
}

impl Daemon {
    /// Load everything and begin to work.
    pub async fn start(
        app: Name,
        config: Config,
        state_dir: StateDir,
        store: Store,
        dirs: SocketDirs,
        sandbox: Report,
        host: Option<Host>,
    ) -> Result<Arc<Self>> {
        let around = Arc::new(Surroundings::start(&config));
        let proxy = config.manager.proxy.setting().map_err(|error| Fault::failed(error.to_string()))?;
        let proxies = Proxies::new(proxy, |name| std::env::var(name).ok());
        let listen = config.node.listen.clone();
        let uplink = Arc::new(Uplink { listen, proxies, around: Arc::clone(&around) });
        let daemon = Arc::new(Self {
            app,
            config,
            uplink,
            state_dir,
            store,
            dirs: Arc::new(dirs),
            events: Events::default(),
            around,
            host,
            started_ms: clock::now_ms(),
            sandbox,
            networks: Mutex::default(),
            tunnels: Mutex::default(),
            runs: Runs::default(),
            jobs: Jobs::default(),
            adding: tokio::sync::Mutex::default(),
        });
        for row in daemon.store.networks().await? {
            let keys = daemon.state_dir.read_keys(row.id).map_err(|error| key_fault(&error))?;
            daemon.run_node(&row, keys, None).await?;
        }
        for row in daemon.store.tunnels().await? {
            let Some(node) = daemon.nodes().into_iter().find(|node| node.network() == row.network) else {
                continue;
            };
            let restored = match row.end {
                TunnelEnd::Exposed(url, served) => {
                    expose_on(&node, row.id, row.resource.clone(), &url, served)
                }
                TunnelEnd::Opened(listen, mode, allow) => {
                    daemon.open_on(node, row.id, row.resource.clone(), &listen, mode, allow)
                }
            };
            if let Err(fault) = restored {
                // One that is damaged must not keep the others down.
                tracing::error!(resource = %row.resource, %fault, "tunnel not restored");
            }
        }
        let (links, watched) = (daemon.around.links(), Arc::downgrade(&daemon));
        tokio::spawn(Self::move_with(watched, links));
        Ok(daemon)
    }

    /// Tell every node when the machine's addresses or routes have changed.
    async fn move_with(daemon: Weak<Self>, mut links: watch::Receiver<Arc<Links>>) {
        while links.changed().await.is_ok() {
            let Some(daemon) = daemon.upgrade() else { return };
            daemon.nodes().iter().for_each(|node| node.network_changed());
        }
    }

    /// Close everything.
    pub async fn stop(&self) {
        lock(&self.tunnels).values().for_each(|opened| opened.close());
        self.runs.end(None);
        for node in self.nodes() {
            node.stop().await;
        }
    }

    /// What the machine is connected to.
    pub fn around(&self) -> &Arc<Surroundings> {
        &self.around
    }

    /// The event stream.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// All there is to know.
    pub fn status(&self) -> Status {
        let nodes = self.nodes();
        let mut counters =
            BTreeMap::from([("foreign-packets", 0), ("refused-handshakes", 0), ("withheld-packets", 0)]);
        counters.insert("refused-sockets", descriptors::refused());
        for node in &nodes {
            let counted = node.endpoint().counters();
            *counters.entry("foreign-packets").or_default() += counted.foreign_packets;
            *counters.entry("refused-handshakes").or_default() += counted.refused_handshakes;
            *counters.entry("withheld-packets").or_default() += counted.withheld_packets;
        }
        Status {
            version: VERSION,
            app: self.app.to_string(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started_ms: self.started_ms,
            state_dir: self.state_dir.path().display().to_string(),
            networks: nodes.iter().map(|node| node.status()).collect(),
            tunnels: self.tunnels().tunnels,
            counters: counters.into_iter().map(|(name, count)| (name.to_owned(), count)).collect(),
            sandbox: self.sandbox(),
        }
    }

    /// How the sandbox stands; a lookup process that has ended is said as well.
    fn sandbox(&self) -> Vec<SandboxLayer> {
        let mut layers = sandbox::told(&self.sandbox);
        layers.extend(lookups::missing().map(|helper| SandboxLayer {
            layer: "lookups".to_owned(),
            state: SandboxState::Missing,
            why: Some(format!("the process that looks up {helper} has ended: restart the daemon")),
        }));
        layers
    }

    /// The joined networks.
    pub fn networks(&self) -> Networks {
        Networks { version: VERSION, networks: self.nodes().iter().map(|node| node.status()).collect() }
    }

    /// One joined network.
    pub fn network(&self, name: &str) -> Result<Network> {
        Ok(self.node(name)?.status())
    }

    /// How far the networks are that are being founded and joined.
    pub fn progress(&self) -> Progress {
        self.jobs.progress()
    }

    /// Found a network.
    pub async fn create(&self, request: CreateNetwork, asked: Asked) -> Result<Network> {
        self.require_new(&request.name)?;
        let manager: ManagerAddr = request.manager.parse().map_err(|error| {
            Fault::usage("not a manager address")
                .because(&error)
                .hint("coco-manager init prints it: mgr1...@HOST:PORT")
        })?;
        let user = request.user.unwrap_or_else(|| Name::closest("owner", "owner"));
        let node_name = request.node_name.unwrap_or_else(|| self.own_name());
        let mut job = self.jobs.begin(request.name.to_string(), asked);
        let founded = found::create(&request.name, user, node_name, manager, &self.uplink, &mut job).await?;
        self.settle(founded).await
    }

    /// Join a network.
    pub async fn join(&self, request: JoinNetwork, asked: Asked) -> Result<Network> {
        let invitation: Invitation = request.invite.parse().map_err(|error| {
            Fault::usage("not an invite")
                .because(&error)
                .hint("an invite begins with coco1; copy the whole line")
        })?;
        self.make_way(invitation.network).await?;
        let insist = request.node_name.is_some();
        let name = request.node_name.unwrap_or_else(|| self.own_name());
        let mut job = self.jobs.begin(invitation.network.full(), asked);
        let founded = found::join(&invitation, &name, insist, &self.uplink, &mut job).await?;
        self.settle(founded).await
    }

    /// Leave a network: remove this node from its ledger, then forget it. With `forget` only forget.
    pub async fn leave(&self, name: &str, forget: bool) -> Result<Done> {
        let node = self.node(name)?;
        if !forget && node.is_member() {
            node.append(&Op::RemoveNode(RemoveNode { node: node.id() })).await.map_err(|fault| {
                let hint = format!(
                    "cococtl network leave {name} --forget gives the keys up without telling anybody"
                );
                if fault.message() == Violation::LastOwner.to_string()
                    || fault.kind() == coconet::control::ErrorKind::TimedOut
                {
                    fault.hint(hint)
                } else {
                    fault
                }
            })?;
        }
        self.forget(&node).await?;
        Ok(done(format!("left {name}")))
    }

    /// Write an invite into the ledger, and return it.
    pub async fn invite(&self, name: &str, request: CreateInvite) -> Result<Invited> {
        let node = self.node(name)?;
        if request.expires_s == 0 || request.expires_s > INVITE_LIFE_MAX_S {
            return Err(Fault::usage("an invite lives from one second to one year"));
        }
        if request.node_name.is_some() && request.uses > 1 {
            return Err(Fault::usage("an invite for several nodes cannot name them all alike")
                .hint("leave out --node-name, or make one invite for each node"));
        }
        let secret = InviteSecret::from_seed(&random::bytes()?);
        let ledger = node.ledger();
        let expires =
            clock::now_ms().max(ledger.time()).saturating_add(request.expires_s.saturating_mul(1000));
        let purpose = match request.purpose {
            InvitePurpose::Device { publish } => Purpose::Device { publish },
            InvitePurpose::SelfApp => Purpose::SelfApp,
            InvitePurpose::User { user, role } => Purpose::User { name: user, role },
        };
        let CreateInvite { uses, node_name, only, .. } = request;
        let invite = Invite { key: secret.key(), purpose, uses, expires, node_name, only };
        node.append(&Op::Invite(invite)).await?;
        let managers = ledger.state().managers().to_vec();
        let invitation = Invitation { network: node.network(), managers, secret, expires };
        Ok(Invited { version: VERSION, invite: invitation.to_text().to_string(), expires_ms: expires, uses })
    }

    /// Who is in a network.
    pub async fn members(&self, name: &str) -> Result<Members> {
        Ok(self.node(name)?.members().await)
    }

    /// What the relay has carried for a network in `month`, or in this one.
    pub async fn usage(&self, name: &str, month: Option<&str>) -> Result<Usage> {
        let month = month.map(str::parse).transpose().map_err(|error: MonthError| {
            Fault::usage("not a month").because(&error).hint("for example 2026-07")
        })?;
        self.node(name)?.manager().usage(month).await
    }

    /// Remove a node from a network.
    pub async fn remove_node(&self, name: &str, node: &str) -> Result<Done> {
        let own = self.node(name)?;
        let id = own.find_node(node).await?;
        let name = node_name(&own.ledger(), id);
        own.append(&Op::RemoveNode(RemoveNode { node: id })).await?;
        Ok(done(format!("removed {name} from {}", own.name())))
    }

    /// Offer a target as a resource.
    pub async fn expose(&self, request: Expose) -> Result<Tunnel> {
        let node = self.node_or_only(request.network.as_ref())?;
        let target = parse_target(&request.url)?;
        let Expose { can, login, options, .. } = request;
        options.fit(target.kind, login.is_some()).map_err(|error| {
            Fault::usage(format!("this option does not fit {} targets", target.kind)).because(&error)
        })?;
        if can.as_ref().is_some_and(|can| !can.fit(target.kind)) {
            return Err(Fault::usage("this cannot be done with it").hint(format!(
                "{}: {}",
                target.kind,
                target.kind.capabilities().join(", ")
            )));
        }
        let attributes = attributes_of(&target, can.as_ref())?;
        let publish = Publish { name: request.name.clone(), kind: target.kind, attributes };
        let known = node.ledger();
        let known = known.state().resources().get(&request.name);
        let same = known.is_some_and(|known| {
            known.node == node.id() && known.kind == publish.kind && known.attributes == publish.attributes
        });
        if !same {
            node.append(&Op::Publish(publish)).await?;
        }
        let adding = self.adding.lock().await;
        self.require_joined(&node)?;
        let served = Served { options, login };
        let end = TunnelEnd::Exposed(target.to_string(), served.clone());
        let id = self.store.add_tunnel(node.network(), request.name.clone(), end).await?;
        let service = Service::new(target.clone(), served.options, served.login);
        let exposure = Arc::new(Exposure::new(id, request.name, service));
        node.exposures().insert(Arc::clone(&exposure));
        drop(adding);
        if target.kind == Kind::Ip && node.links().interface().is_none() {
            exposure.failed(&no_interface());
        } else if let Err(error) = target_answers(&target).await {
            exposure.failed(&error);
        }
        Ok(node.exposure_status(&exposure))
    }

    /// Open a resource on a local listener, and wait until it works.
    pub async fn open(self: &Arc<Self>, request: Open) -> Result<Tunnel> {
        let node = self.node_or_only(request.network.as_ref())?;
        node.require_member()?;
        let wait = Duration::from_secs(request.timeout_s.unwrap_or(OPEN_TIMEOUT_S).clamp(1, WAIT_MAX_S));
        let place = request.listen.as_deref().map(str::parse::<Listen>).transpose();
        let place = place.map_err(|error| Fault::usage("--listen").because(&error))?;
        if !node.ledger().state().resources().contains_key(&request.resource) {
            // Published a moment ago, perhaps; without the manager our own copy has to do.
            let _ = node.manager().catch_up().await;
        }
        self.require_not_open(&node, &request.resource)?;
        require_listener(&node, &request.resource)?;
        let allow = request.allow.as_deref().map(Rules::parse).transpose().map_err(|error| {
            Fault::usage("--allow").because(&error).hint("for example --allow uid:self exe:/usr/bin/ffplay")
        })?;
        if request.public && allow.is_some() {
            return Err(Fault::usage("--public lets in everybody, --allow only some")
                .hint("leave out one of them: who comes from another machine has no user or program here"));
        }
        let rules = allow.clone().unwrap_or_else(|| self.config.tunnel.allow.clone());
        let transports = Transports::of(&node, &request.resource);
        let ground = Ground { dirs: &self.dirs, rules: &rules, public: request.public };
        let sockets = Sockets::bind(place.as_ref(), transports, ground)?;
        let options = OpenedOptions {
            id: 0,
            resource: request.resource.clone(),
            listener: Listener::Bound(sockets),
            max_clients: self.config.tunnel.max_clients,
            mode: request.path,
            allow: rules,
            dirs: Arc::clone(&self.dirs),
            inside: None,
        };
        // Asked before it is remembered: what never worked is not kept, nor what nobody waits for.
        let trial = Trial(Some(Opened::start(Arc::clone(&node), options, self.events.clone())?));
        let tried = tokio::time::timeout(wait, until_open(trial.opened()?)).await;
        match tried {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => return Err(fault),
            Err(_) => {
                let reason = trial.opened()?.status().reason.unwrap_or_else(|| "no answer".to_owned());
                return Err(Fault::timed_out(format!("{} did not open in time", request.resource))
                    .because(&Fault::failed(reason))
                    .hint(format!("is the exporting node online? cococtl network members {}", node.name())));
            }
        }
        let daemon = Arc::clone(self);
        whole(async move { daemon.keep(trial, request.path, allow).await }).await
    }

    /// Remember a tunnel that works.
    async fn keep(&self, trial: Trial, mode: PathMode, allow: Option<Rules>) -> Result<Tunnel> {
        let opened = trial.opened()?;
        let (node, resource) = (Arc::clone(opened.node()), opened.resource().clone());
        let _adding = self.adding.lock().await;
        self.require_joined(&node)?;
        self.require_not_open(&node, &resource)?;
        let end = TunnelEnd::Opened(opened.place().to_string(), mode, allow);
        let id = self.store.add_tunnel(node.network(), resource, end).await?;
        let opened = trial.passed()?;
        opened.number(id);
        lock(&self.tunnels).insert(id, Arc::clone(&opened));
        Ok(opened.status())
    }

    /// All tunnels.
    pub fn tunnels(&self) -> Tunnels {
        let exposed = self.nodes().into_iter().flat_map(|node| {
            let exposures = node.exposures().all().into_iter();
            exposures.map(move |exposure| node.exposure_status(&exposure))
        });
        let mut tunnels: Vec<Tunnel> = exposed.collect();
        tunnels.extend(lock(&self.tunnels).values().map(|opened| opened.status()));
        tunnels.extend(self.runs.tunnels().iter().map(|opened| opened.status()));
        tunnels.sort_by(|a, b| (&a.network, &a.resource, &a.id).cmp(&(&b.network, &b.resource, &b.id)));
        Tunnels { version: VERSION, tunnels }
    }

    /// Begin a run: the resources it names have to be there. [`Daemon::run`] goes on with it.
    pub async fn begin_run(&self, request: &Run, pid: u32) -> Result<Arc<Session>> {
        let node = self.node(request.network.as_str())?;
        node.require_member()?;
        if request.ip
            && let Some(interface) = node.links().interface()
        {
            let other = format!("packets of {} go to the interface {}", node.name(), interface.name());
            return Err(Fault::failed(other).hint("one at a time: a node has one address"));
        }
        if request.resources.len() > RUN_RESOURCES_MAX || request.kept.len() > RUN_RESOURCES_MAX {
            return Err(Fault::usage(format!("a run has at most {RUN_RESOURCES_MAX} resources")));
        }
        let unknown = || {
            let ledger = node.ledger();
            let missing = |name: &&Name| !ledger.state().may_see(node.id(), name);
            request.resources.iter().find(missing).cloned()
        };
        if unknown().is_some() {
            // Published a moment ago, perhaps; without the manager our own copy has to do.
            let _ = node.manager().catch_up().await;
        }
        // One that comes back after a restart has had its resources, and they may come back as well.
        if let Some(unknown) = unknown().filter(|_| request.kept.is_empty()) {
            return Err(node.cannot_use(&unknown));
        }
        self.require_joined(&node)?;
        self.runs.add(node, pid, self.config.tunnel.max_clients, self.events.clone())
    }

    /// Serve a run on its connection, until one of the two ends.
    pub async fn run(&self, session: Arc<Session>, request: Run, stream: UnixStream, come: &[u8]) {
        self.runs.serve(session, request, stream, come).await;
    }

    /// A run that was begun and never got its connection.
    pub fn forget_run(&self, session: &Arc<Session>) {
        self.runs.remove(session);
    }

    /// Cameras on the LAN.
    pub async fn cameras(&self, request: FindCameras) -> Result<Cameras> {
        if !self.config.lan.discovery {
            return Err(Fault::failed("this daemon says nothing on the LAN")
                .hint("set discovery = true under [lan] in its configuration, or name the camera's URL"));
        }
        if request.login.is_some() {
            return Err(Fault::failed("a login is not sent to whatever calls itself a camera")
                .hint("look without a login, and give it with the camera's URL"));
        }
        let links = Arc::clone(&self.around.links().borrow());
        let cameras = cameras::find(&links, None).await;
        let cameras = cameras.map_err(|error| Fault::failed("cannot look for cameras").because(&error))?;
        Ok(Cameras { version: VERSION, cameras })
    }

    /// What stands between this node and the others, in one network or in all.
    pub async fn doctor(&self, network: Option<&Name>) -> Result<Doctor> {
        let nodes = match network {
            Some(name) => vec![self.node(name.as_str())?],
            None => self.nodes(),
        };
        if nodes.is_empty() {
            return Err(Fault::not_found("this daemon has joined no network, so there is nobody to ask")
                .hint("cococtl network create NAME --manager MGRADDR, or cococtl network join INVITE"));
        }
        let networks = join_all(nodes.iter().map(doctor::examine)).await;
        Ok(Doctor { version: VERSION, networks })
    }

    /// Close a tunnel: stop listening, or withdraw the resource.
    pub async fn close(&self, what: &str, network: Option<&Name>) -> Result<Done> {
        let fits = |id: u64, resource: &Name, name: &Name| {
            (resource.as_str() == what || format!("t{id}") == what)
                && network.is_none_or(|wanted| wanted == name)
        };
        let opened = lock(&self.tunnels)
            .values()
            .find(|opened| fits(opened.id(), opened.resource(), opened.node().name()))
            .cloned();
        if let Some(opened) = opened {
            self.store.remove_tunnel(opened.id()).await?;
            lock(&self.tunnels).remove(&opened.id());
            opened.close();
            return Ok(done(format!("closed {}", opened.resource())));
        }
        for node in self.nodes() {
            let exposures = node.exposures().all();
            let found = exposures.into_iter().find(|known| fits(known.id(), known.resource(), node.name()));
            if let Some(exposure) = found {
                // It is served no longer, whatever comes of the rest.
                node.exposures().remove(exposure.resource());
                self.store.remove_tunnel(exposure.id()).await?;
                withdraw(&node, exposure.resource()).await?;
                return Ok(done(format!("withdrew {}", exposure.resource())));
            }
        }
        // What is still listed, since the manager was away when it was closed.
        let listed = |node: &Arc<Node>| {
            let name = what.parse().ok().filter(|name| fits(0, name, node.name()))?;
            publishes(node, &name).then_some(name)
        };
        for node in self.nodes() {
            if let Some(resource) = listed(&node) {
                withdraw(&node, &resource).await?;
                return Ok(done(format!("withdrew {resource}")));
            }
        }
        Err(Fault::not_found(format!("no tunnel {}", coconet::name::shown(what))).hint("cococtl tunnel list"))
    }

    /// One round trip to a node.
    pub async fn ping(&self, request: Ping) -> Result<Pong> {
        let node = self.node_or_only(request.network.as_ref())?;
        let wait = Duration::from_secs(request.timeout_s.unwrap_or(OPEN_TIMEOUT_S).clamp(1, WAIT_MAX_S));
        let pinging = async {
            let peer = node.find_node(&request.node).await?;
            if peer == node.id() {
                return Err(Fault::usage("that is this node itself")
                    .hint(format!("cococtl network members {}", node.name())));
            }
            node.ping(peer).await
        };
        let pong = tokio::time::timeout(wait, pinging).await;
        pong.unwrap_or_else(|_| {
            Err(Fault::timed_out(format!("{} did not answer in time", coconet::name::shown(&request.node))))
        })
    }

    /// An error when `network` was joined already; a node that was removed from it makes way, because its
    /// keys never come back.
    async fn make_way(&self, network: NetworkId) -> Result<()> {
        let Some(node) = self.nodes().into_iter().find(|node| node.network() == network) else {
            return Ok(());
        };
        if node.is_member() {
            return Err(already_joined(&node));
        }
        self.forget(&node).await
    }

    fn uplink(&self) -> &Uplink {
        &self.uplink
    }

    async fn settle(&self, founded: Founded) -> Result<Network> {
        let Founded { keys, endpoint, ledger, entries } = founded;
        let id = ledger.state().network();
        let adding = self.adding.lock().await;
        if let Some(node) = self.nodes().into_iter().find(|node| node.network() == id) {
            return Err(already_joined(&node));
        }
        let name = self.free_name(ledger.state().name());
        let port = endpoint.addresses().first().map_or(0, SocketAddr::port);
        let row = NetworkRow { id, name, port };
        // Keys without their network are what is left of a join that was killed half-way.
        self.state_dir.remove_keys(id).map_err(|error| key_fault(&error))?;
        self.state_dir.write_keys(id, &keys).map_err(|error| key_fault(&error))?;
        self.store.add_network(row.clone(), entries).await?;
        let node = self.run_node(&row, keys, Some(endpoint)).await?;
        drop(adding);
        // Joined is joined; the answer is friendlier when the manager is already online in it.
        let _ = tokio::time::timeout(Duration::from_secs(2), node.manager().online()).await;
        Ok(node.status())
    }

    async fn run_node(
        &self,
        row: &NetworkRow,
        keys: coconet::key::NodeKeys,
        endpoint: Option<coco_tunnel::endpoint::Endpoint>,
    ) -> Result<Arc<Node>> {
        let (store, events) = (self.store.clone(), self.events.clone());
        let node = Node::start(row, keys, endpoint, Arc::clone(&self.uplink), store, events).await?;
        lock(&self.networks).insert(row.name.clone(), Arc::clone(&node));
        if let Some(Err(fault)) = self.host.as_ref().map(|host| host.add(&node)) {
            self.events.send(Some(node.name()), "ip", fault.to_string());
        }
        Ok(node)
    }

    async fn forget(&self, node: &Arc<Node>) -> Result<()> {
        let _adding = self.adding.lock().await;
        lock(&self.tunnels).retain(|_, opened| {
            let stays = opened.node().network() != node.network();
            if !stays {
                opened.close();
            }
            stays
        });
        self.runs.end(Some(node.network()));
        lock(&self.networks).remove(node.name());
        node.stop().await;
        self.store.remove_network(node.network()).await?;
        self.state_dir.remove_keys(node.network()).map_err(|error| key_fault(&error))
    }

    fn open_on(
        &self,
        node: Arc<Node>,
        id: u64,
        resource: Name,
        listen: &str,
        mode: PathMode,
        allow: Option<Rules>,
    ) -> Result<()> {
        let place = listen.parse().map_err(|_| Fault::failed("a damaged listen address in the state"))?;
        let listener = Listener::Restored(place);
        let max_clients = self.config.tunnel.max_clients;
        let allow = allow.unwrap_or_else(|| self.config.tunnel.allow.clone());
        let dirs = Arc::clone(&self.dirs);
        let options = OpenedOptions { id, resource, listener, max_clients, mode, allow, dirs, inside: None };
        lock(&self.tunnels).insert(id, Opened::start(node, options, self.events.clone())?);
        Ok(())
    }

    fn nodes(&self) -> Vec<Arc<Node>> {
        lock(&self.networks).values().cloned().collect()
    }

    fn node(&self, name: &str) -> Result<Arc<Node>> {
        let networks = lock(&self.networks);
        let found =
            networks.iter().find(|(known, _)| known.as_str() == name).map(|(_, node)| Arc::clone(node));
        found.ok_or_else(|| {
            Fault::not_found(format!("no network {}", coconet::name::shown(name)))
                .hint("cococtl network list")
        })
    }

    fn node_or_only(&self, name: Option<&Name>) -> Result<Arc<Node>> {
        if let Some(name) = name {
            return self.node(name.as_str());
        }
        let nodes = self.nodes();
        match nodes.as_slice() {
            [node] => Ok(Arc::clone(node)),
            [] => Err(Fault::not_found("this daemon has joined no network")
                .hint("cococtl network create NAME --manager MGRADDR, or cococtl network join INVITE")),
            several => {
                let names: Vec<&str> = several.iter().map(|node| node.name().as_str()).collect();
                Err(Fault::usage(format!("which network? {}", names.join(", "))).hint("add --network NAME"))
            }
        }
    }

    fn require_new(&self, name: &Name) -> Result<()> {
        if lock(&self.networks).contains_key(name) {
            return Err(
                Fault::failed(format!("there is already a network {name} here")).hint("cococtl network list")
            );
        }
        Ok(())
    }

    /// An error when the network was left while something in it was asked for.
    fn require_joined(&self, node: &Arc<Node>) -> Result<()> {
        if self.nodes().iter().any(|joined| Arc::ptr_eq(joined, node)) {
            return Ok(());
        }
        Err(Fault::not_found(format!("{} was left", node.name())).hint("cococtl network list"))
    }

    fn require_not_open(&self, node: &Node, resource: &Name) -> Result<()> {
        let tunnels = lock(&self.tunnels);
        let same = |opened: &&Arc<Opened>| {
            opened.node().network() == node.network() && opened.resource() == resource
        };
        match tunnels.values().find(same) {
            Some(opened) => Err(Fault::failed(format!("{resource} is already open on {}", opened.place()))
                .hint(format!("cococtl tunnel list, or cococtl tunnel close {resource}"))),
            None => Ok(()),
        }
    }

    /// The network's own name, or with a number when another network here has it.
    fn free_name(&self, name: &Name) -> Name {
        let networks = lock(&self.networks);
        if !networks.contains_key(name) {
            return name.clone();
        }
        let numbered = (2..).map(|number| Name::closest(&format!("{name}-{number}"), "network"));
        numbered.into_iter().find(|name| !networks.contains_key(name)).unwrap_or_else(|| name.clone())
    }

    fn own_name(&self) -> Name {
        let configured = self.config.node.name.parse();
        configured.unwrap_or_else(|_| {
            let host = nix::unistd::gethostname().unwrap_or_default();
            let host = host.to_string_lossy();
            Name::closest(&format!("{}-{}", host.split('.').next().unwrap_or("node"), self.app), "node")
        })
    }
}

/// A tunnel on trial: closed unless it passes.
struct Trial(Option<Arc<Opened>>);

impl Trial {
    fn opened(&self) -> Result<&Arc<Opened>> {
        self.0.as_ref().ok_or_else(|| Fault::failed("the tunnel was closed"))
    }

    fn passed(mut self) -> Result<Arc<Opened>> {
        self.0.take().ok_or_else(|| Fault::failed("the tunnel was closed"))
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        if let Some(opened) = &self.0 {
            opened.close();
        }
    }
}

async fn until_open(opened: &Opened) -> Result<()> {
    loop {
        match opened.try_now().await {
            Ok(_) => return Ok(()),
            // Offline now may be online in a moment; everything else is final.
            Err(fault) if fault.kind() == coconet::control::ErrorKind::TimedOut => {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            Err(fault) => return Err(fault),
        }
    }
}

/// An error for a resource that nothing listens for: packets find their own way.
fn require_listener(node: &Node, resource: &Name) -> Result<()> {
    let ledger = node.ledger();
    let known = ledger.state().resources().get(resource);
    let Some(ip) = known.filter(|known| known.kind == Kind::Ip) else { return Ok(()) };
    let address = coconet::address::of(node.network(), ip.node);
    Err(Fault::usage(format!("{resource} is not opened: packets to {address} reach it"))
        .hint(format!("cococtl run --ip {} -- ping {address}, or [ip] host = true", node.name())))
}

fn expose_on(node: &Node, id: u64, resource: Name, url: &str, served: Served) -> Result<()> {
    let service = Service::new(parse_target(url)?, served.options, served.login);
    let exposure = Arc::new(Exposure::new(id, resource, service));
    if exposure.service().target.kind == Kind::Ip && node.links().interface().is_none() {
        exposure.failed(&no_interface());
    }
    node.exposures().insert(exposure);
    Ok(())
}

/// Whether a resource is listed as that node's.
fn publishes(node: &Node, resource: &Name) -> bool {
    node.ledger().state().resources().get(resource).is_some_and(|listed| listed.node == node.id())
}

/// Take a resource of a node's off the list, if it is there.
async fn withdraw(node: &Node, resource: &Name) -> Result<()> {
    if !publishes(node, resource) {
        return Ok(());
    }
    node.append(&Op::Withdraw(Withdraw { name: resource.clone() })).await.map_err(|fault| {
        Fault::new(fault.kind(), format!("{resource} is served no longer, but still listed"))
            .because(&fault)
            .hint(format!("cococtl tunnel close {resource}, once more when the manager is there"))
    })
}

/// What the network is told of a target.
fn attributes_of(target: &Target, can: Option<&Capabilities>) -> Result<Attributes> {
    let path = (!target.path.is_empty()).then(|| (PATH, target.path.clone()));
    let udp = target.udp.then(|| (UDP, "yes".to_owned()));
    let port = target.published_port().map(|port| (PORT, port.to_string()));
    // No word of a capability holds a space.
    let told = path.into_iter().chain(udp).chain(port).chain(can.map(|can| (CAN, can.words().join(" "))));
    let map = told.map(|(name, value)| (Name::closest(name, name), value)).collect();
    Attributes::new(map).map_err(|error| Fault::usage("the URL's path, or --can").because(&error))
}

fn parse_target(url: &str) -> Result<Target> {
    url.parse().map_err(|error: coconet::target::TargetError| {
        Fault::usage("not a target URL").because(&error).hint("for example rtsp://192.168.1.20/stream1")
    })
}

fn already_joined(node: &Node) -> Fault {
    Fault::failed(format!("this daemon has already joined {}", node.name()))
        .hint("another app on this machine needs its own daemon: cocod --app NAME")
}

fn done(message: String) -> Done {
    Done { version: VERSION, message }
}

fn key_fault(error: &StateDirError) -> Fault {
    Fault::failed("cannot use the key files").because(error).hint(error.hint())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
