//! The listener's end of a tunnel.
//!
//! [`Opened::run`] accepts local connections and joins each to a stream to the exporter,
//! [`Opened::exchange`] carries datagrams, and [`Opened::keep`] sees to it that the tunnel's state is true: it asks the exporter whether the
//! resource would open, holds the session, and asks again when the session ends, the ledger changes or a
//! connection fails. The listener stays bound all the while, so that applications need not be told.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use coco_tunnel::channel::Channel;
use coco_tunnel::forward::rtsp::Ports;
use coco_tunnel::forward::{self, Broken, Counted, Local, Meter, http, udp};
use coco_tunnel::session::{Ended, Session};
use coconet::control::{Direction, ErrorKind, Facts, Tunnel, TunnelState};
use coconet::id::NodeId;
use coconet::listen::Listen;
use coconet::name::Name;
use coconet::path_mode::PathMode;
use coconet::resource::{Kind, PATH};
use coconet::wire::code::Reset;
use coconet::wire::node::Request;
use tokio::net::UdpSocket;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

use super::sockets::{Comer, Ground, Sockets, Streams, Transports};
use super::unix::SocketDirs;
use super::{Health, describe};
use crate::access::{self, Access, Rules, Transport};
use crate::events::Events;
use crate::fault::{Fault, Result};
use crate::node::peers::{self, probe};
use crate::node::{Node, node_name};

/// First pause before a tunnel that does not work is tried again.
const RETRY_FIRST: Duration = Duration::from_millis(500);

/// Longest such pause.
const RETRY_MAX: Duration = Duration::from_secs(15);

/// Pause after the system refused a connection for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Least time between two events about applications that were not let in.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Pause between two tries to listen where a restored tunnel did before.
const REBIND_PAUSE: Duration = Duration::from_secs(1);

/// What an opened tunnel is made of.
#[derive(Debug)]
pub struct OpenedOptions {
    /// Its number.
    pub id: u64,
    /// The resource's name.
    pub resource: Name,
    /// Where it listens.
    pub listener: Listener,
    /// Local connections at a time.
    pub max_clients: u32,
    /// Which ways it may take.
    pub mode: PathMode,
    /// Which applications may use it.
    pub allow: Rules,
    /// Where unix sockets may be.
    pub dirs: Arc<SocketDirs>,
    /// Of a `cococtl run`.
    pub inside: Option<Inside>,
}

/// Of a tunnel that is reached from inside a `cococtl run` only.
#[derive(Debug)]
pub struct Inside {
    /// The process that keeps the sockets.
    pub pid: u32,
    /// Who makes more of them.
    pub ports: Ports,
}

/// Where a tunnel listens.
#[derive(Debug)]
pub enum Listener {
    /// Here already.
    Bound(Sockets),
    /// Where it did before this daemon started. Applications were told, so no other address will do: when
    /// it is taken, the tunnel has failed until it is free again.
    Restored(Listen),
}

/// One opened tunnel.
#[derive(Debug)]
pub struct Opened {
    id: AtomicU64,
    node: Arc<Node>,
    resource: Name,
    mode: PathMode,
    place: Listen,
    dirs: Arc<SocketDirs>,
    places: Arc<Semaphore>,
    meter: Meter,
    udp: udp::Counters,
    http: http::Counters,
    access: Access,
    inside: Option<Inside>,
    /// Somebody has come.
    used: Notify,
    /// When a refusal was told last.
    told: Mutex<Option<Instant>>,
    health: Health,
    kick: Notify,
    closed: watch::Sender<bool>,
    events: Events,
}

impl Opened {
    /// Begin to serve the listener.
    pub fn start(node: Arc<Node>, options: OpenedOptions, events: Events) -> Result<Arc<Self>> {
        let OpenedOptions { id, resource, listener, max_clients, mode, allow, dirs, inside } = options;
        let (place, sockets, health) = match listener {
            Listener::Bound(sockets) => {
                (sockets.place.clone(), Some(sockets), Health::new(TunnelState::Opening))
            }
            Listener::Restored(place) => {
                let transports = Transports::of(&node, &resource);
                // It was said when it was opened.
                let ground = Ground { dirs: &dirs, rules: &allow, public: place.is_public() };
                let sockets = Sockets::bind(Some(&place), transports, ground).ok();
                (place, sockets, Health::restored())
            }
        };
        let opened = Arc::new(Self {
            id: AtomicU64::new(id),
            node,
            resource,
            mode,
            place,
            dirs,
            places: Arc::new(Semaphore::new(max_clients as usize)),
            meter: Meter::default(),
            udp: udp::Counters::default(),
            access: Access::new(allow),
            inside,
            used: Notify::new(),
            told: Mutex::default(),
            http: http::Counters::default(),
            health,
            kick: Notify::new(),
            closed: watch::Sender::new(false),
            events,
        });
        let serving = Arc::clone(&opened);
        tokio::spawn(async move {
            let sockets = match sockets {
                Some(sockets) => sockets,
                None => match serving.rebind().await {
                    Some(sockets) => sockets,
                    None => return,
                },
            };
            tokio::spawn(Arc::clone(&serving).keep());
            if let (Some(socket), Listen::Ip(listen)) = (sockets.datagrams, sockets.place) {
                tokio::spawn(Arc::clone(&serving).exchange(socket, listen));
            }
            if let Some(streams) = sockets.streams {
                serving.run(streams).await;
            }
        });
        Ok(opened)
    }

    /// Its number; zero while it is on trial.
    pub fn id(&self) -> u64 {
        self.id.load(Ordering::Relaxed)
    }

    /// Give it its number.
    pub fn number(&self, id: u64) {
        self.id.store(id, Ordering::Relaxed);
    }

    /// The node it belongs to.
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// The resource's name.
    pub fn resource(&self) -> &Name {
        &self.resource
    }

    /// Where it really listens.
    pub fn place(&self) -> &Listen {
        &self.place
    }

    /// Stop listening and cut what is open.
    pub fn close(&self) {
        self.closed.send_replace(true);
    }

    /// Which ways it may take.
    pub fn mode(&self) -> PathMode {
        self.mode
    }

    /// What a list says of it.
    pub fn status(&self) -> Tunnel {
        let ledger = self.node.ledger();
        let known = ledger.state().resources().get(&self.resource);
        let kind = known.map_or(Kind::Tcp, |known| known.kind);
        let path = known.and_then(|known| known.attributes.get(PATH)).unwrap_or_default();
        let takes_udp = known.is_some_and(|known| known.attributes.takes_udp(known.kind));
        let facts = match kind {
            Kind::Http => Some(Facts::Http(self.http.facts())),
            Kind::Tcp | Kind::Udp | Kind::Rtsp | Kind::Mqtt | Kind::Ip => {
                takes_udp.then(|| Facts::Udp(self.udp.facts()))
            }
        };
        let common = describe(
            self.id(),
            self.node.name(),
            &self.resource,
            kind,
            Direction::Open,
            &self.health,
            &self.meter,
        );
        let id = match self.inside {
            Some(_) => format!("r{}", self.id()),
            None => common.id,
        };
        Tunnel {
            id,
            run: self.inside.as_ref().map(|inside| inside.pid),
            url: Some(self.place.url(kind, path)),
            listen: Some(self.place.to_string()),
            node: known.map(|known| node_name(&ledger, known.node)),
            path_mode: Some(self.mode),
            allow: if self.place.is_public() { Vec::new() } else { self.access.rules().texts() },
            public: self.place.is_public(),
            refused: self.access.refused(),
            facts,
            ..common
        }
    }

    fn kind(&self) -> Kind {
        let ledger = self.node.ledger();
        ledger.state().resources().get(&self.resource).map_or(Kind::Tcp, |known| known.kind)
    }

    /// Ask the exporter once, and say what came of it.
    pub async fn try_now(&self) -> Result<Session> {
        let outcome = self.ask().await;
        match &outcome {
            Ok(_) => {
                if self.health.works() {
                    self.tell();
                }
            }
            Err(fault) => {
                let state = match fault.kind() {
                    ErrorKind::TimedOut => TunnelState::Opening,
                    ErrorKind::Failed if fault.message().contains("no more clients") => {
                        TunnelState::MaxClients
                    }
                    ErrorKind::Failed
                    | ErrorKind::Usage
                    | ErrorKind::Unreachable
                    | ErrorKind::NotPermitted
                    | ErrorKind::NotFound
                    | ErrorKind::Quota
                    | ErrorKind::NotAMember => TunnelState::Failed,
                };
                if self.health.fails(state, fault.to_string()) {
                    self.tell();
                }
            }
        }
        outcome
    }

    async fn ask(&self) -> Result<Session> {
        let session = self.node.proved_session(self.exporter()?, self.mode).await?;
        probe(&session, &self.resource).await?;
        Ok(session)
    }

    /// The node that offers the resource. What is absent and what is not granted look alike.
    fn exporter(&self) -> Result<NodeId> {
        self.node.require_in_ledger()?;
        let ledger = self.node.ledger();
        let state = ledger.state();
        let known = state.resources().get(&self.resource);
        let known = known.filter(|_| state.may_see(self.node.id(), &self.resource));
        known.map(|known| known.node).ok_or_else(|| self.node.cannot_use(&self.resource))
    }

    fn lost(&self, ended: &Ended) {
        if self.health.fails(TunnelState::Opening, format!("lost the other node: {ended}")) {
            self.tell();
        }
    }

    fn tell(&self) {
        let told = self.health.told();
        let reason = told.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        let message = format!("{} is {}{reason}", self.resource, told.state.as_str());
        self.events.send(Some(self.node.name()), "tunnel", message);
    }

    /// The sockets, once their address is free; `None` when the tunnel was closed before.
    async fn rebind(&self) -> Option<Sockets> {
        let mut closed = self.closed.subscribe();
        loop {
            let (rules, public) = (self.access.rules(), self.place.is_public());
            let ground = Ground { dirs: &self.dirs, rules, public };
            let transports = Transports::of(&self.node, &self.resource);
            match Sockets::bind(Some(&self.place), transports, ground) {
                Ok(sockets) => return Some(sockets),
                Err(fault) => {
                    if self.health.fails(TunnelState::Failed, fault.to_string()) {
                        self.tell();
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(REBIND_PAUSE) => {}
                _ = closed.wait_for(|closed| *closed) => return None,
            }
        }
    }

    async fn keep(self: Arc<Self>) {
        let mut closed = self.closed.subscribe();
        if self.inside.is_some() {
            // Nobody has asked for this one resource: its node is not bothered before somebody does.
            tokio::select! {
                () = self.used.notified() => {}
                _ = closed.wait_for(|closed| *closed) => return,
            }
        }
        let mut pause = RETRY_FIRST;
        loop {
            let keeping = async {
                let mut ledger = self.node.book().watch();
                ledger.mark_unchanged();
                match self.try_now().await {
                    Ok(session) => {
                        pause = RETRY_FIRST;
                        let kicked = async {
                            self.kick.notified().await;
                            tokio::time::sleep(RETRY_FIRST).await;
                        };
                        tokio::select! {
                            _ = session.closed() => {}
                            () = kicked => {}
                            _ = ledger.changed() => {}
                        }
                        // A connection that broke with the session may have been quicker to say so.
                        if let Some(ended) = session.end() {
                            self.lost(&ended);
                        }
                    }
                    Err(_) => {
                        tokio::select! {
                            () = tokio::time::sleep(pause) => {}
                            _ = ledger.changed() => {}
                        }
                        pause = (pause * 2).min(RETRY_MAX);
                    }
                }
            };
            tokio::select! {
                () = keeping => {}
                _ = closed.wait_for(|closed| *closed) => return,
            }
        }
    }

    async fn run(self: Arc<Self>, streams: Streams) {
        let mut closed = self.closed.subscribe();
        loop {
            let accepted = tokio::select! {
                accepted = accept(&streams, &self.places) => accepted,
                _ = closed.wait_for(|closed| *closed) => return,
            };
            match accepted {
                Ok((local, comer, place)) => {
                    let opened = Arc::clone(&self);
                    tokio::spawn(async move {
                        let _place = place;
                        if opened.admits(comer).await {
                            opened.forward(local).await;
                        } else {
                            local.abort();
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(resource = %self.resource, %error, "cannot accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Carry datagrams for as long as the tunnel is open. The exchange with the exporter begins with the
    /// first of them, and again after it broke.
    async fn exchange(self: Arc<Self>, socket: UdpSocket, listen: SocketAddr) {
        let mut closed = self.closed.subscribe();
        let mut ended = self.closed.subscribe();
        let exchanging = async {
            while socket.readable().await.is_ok() {
                self.used.notify_one();
                let request = Request::Exchange(self.resource.clone());
                let outcome = match self.channel(&request).await {
                    Ok((peer, channel)) => {
                        let cut = async {
                            let _ = ended.wait_for(|closed| *closed).await;
                            Reset::Closed
                        };
                        let admits = |client| {
                            let opened = Arc::clone(&self);
                            let comer = match self.inside {
                                Some(_) => Comer::inside(),
                                None => Comer { owner: access::owner(Transport::Udp, listen, client) },
                            };
                            async move { opened.admits(comer).await }
                        };
                        let outcome = udp::near(&socket, channel, admits, &self.meter, &self.udp, cut).await;
                        self.node.heard(peer, self.mode);
                        outcome.map_err(|error| Fault::failed("the exchange ended").because(&error))
                    }
                    Err(fault) => Err(fault),
                };
                if let Err(fault) = outcome {
                    tracing::debug!(resource = %self.resource, %fault, "no datagrams exchanged");
                    self.meter.failures.fetch_add(1, Ordering::Relaxed);
                    self.kick.notify_one();
                    // What waits is late when it works again.
                    let mut late = [0];
                    while socket.try_recv(&mut late).is_ok() {}
                    tokio::time::sleep(RETRY_FIRST).await;
                }
            }
        };
        tokio::select! {
            () = exchanging => {}
            _ = closed.wait_for(|closed| *closed) => {}
        }
    }

    /// Whether the application with that socket may use the tunnel. Who may not is told of, now and then.
    async fn admits(&self, comer: Comer) -> bool {
        if self.inside.is_some() {
            // Whoever can come is inside.
            return true;
        }
        if self.place.is_public() {
            // Who comes from another machine is nobody here, so nobody is asked for.
            return true;
        }
        let Err(refusal) = self.access.judge(comer.owner).await else { return true };
        tracing::debug!(resource = %self.resource, %refusal, "an application was not let in");
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|at| at.elapsed() >= TELL_EVERY) {
            *told = Some(Instant::now());
            let message = format!("{} to an application of this machine: {refusal}", self.resource);
            self.events.send(Some(self.node.name()), "refused", message);
        }
        false
    }

    /// What an HTTP client that means this listener calls it.
    fn http_names(&self, reached: Option<SocketAddr>) -> http::Names {
        let (resource, network) = (self.resource.as_str(), self.node.name().as_str());
        match &self.place {
            // One that listens on all addresses is called by the one that was taken.
            Listen::Ip(address) => http::Names::of_address(reached.unwrap_or(*address), resource, network),
            Listen::Unix(_) => http::Names::of_unix_socket(resource, network),
        }
    }

    /// A channel to the exporter, on which `request` was sent.
    async fn channel(&self, request: &Request) -> Result<(NodeId, Channel)> {
        let peer = self.exporter()?;
        let session = self.node.proved_session(peer, self.mode).await?;
        Ok((peer, peers::request(&session, request).await?))
    }

    async fn forward(&self, local: Local) {
        let _counted = Counted::new(&self.meter);
        self.used.notify_one();
        let mut closed = self.closed.subscribe();
        let request = Request::Open { resource: self.resource.clone(), probe: false };
        let channel = tokio::select! {
            channel = self.channel(&request) => channel,
            _ = closed.wait_for(|closed| *closed) => Err(Fault::failed("closed")),
        };
        let (peer, channel) = match channel {
            Ok(opened) => opened,
            Err(fault) => {
                tracing::debug!(resource = %self.resource, %fault, "connection not forwarded");
                self.meter.failures.fetch_add(1, Ordering::Relaxed);
                local.abort();
                self.kick.notify_one();
                return;
            }
        };
        let given_up = channel.given_up();
        let cut = async {
            tokio::select! {
                // An error means that the tunnel is gone, which is a close as well.
                _ = closed.wait_for(|closed| *closed) => Reset::Closed,
                code = given_up => code,
            }
        };
        let meter = &self.meter;
        let ended = match self.kind() {
            Kind::Http => {
                let names = self.http_names(local.reached());
                http::near(local, channel, &names, &self.http, meter, cut).await
            }
            Kind::Rtsp => match &self.place {
                Listen::Ip(_) => {
                    let ports = self.inside.as_ref().map_or(&Ports::Own, |inside| &inside.ports);
                    forward::rtsp::near(local, channel, ports, meter, cut).await
                }
                // It is not opened on one; the resource has become another since.
                Listen::Unix(_) => {
                    local.abort();
                    return;
                }
            },
            Kind::Tcp | Kind::Udp | Kind::Mqtt | Kind::Ip => {
                forward::splice(local, channel, true, meter, cut).await
            }
        };
        match ended {
            Ok(()) => self.node.heard(peer, self.mode),
            Err(error) => {
                tracing::debug!(resource = %self.resource, %error, "stream ended");
                if matches!(error, Broken::Refused { .. } | Broken::Channel(_)) {
                    self.kick.notify_one();
                }
            }
        }
    }
}

/// Accept when there is a place: beyond the limit, connections wait in the kernel.
async fn accept(
    streams: &Streams,
    places: &Arc<Semaphore>,
) -> io::Result<(Local, Comer, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (local, comer) = streams.accept().await?;
    Ok((local, comer, place))
}
