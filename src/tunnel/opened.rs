//! The listener's end of a tunnel.
//!
//! [`Opened::run`] accepts local connections and joins each to a stream to the exporter, while
//! [`Opened::keep`] sees to it that the tunnel's state is true: it asks the exporter whether the
//! resource would open, holds the session, and asks again when the session ends, the ledger changes or a
//! connection fails. The listener stays bound all the while, so that applications need not be told.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use coco_tunnel::forward::{self, Broken, Counted, Local, Meter};
use coco_tunnel::session::{Ended, Session};
use coconet::control::{Direction, ErrorKind, Tunnel, TunnelState};
use coconet::id::NodeId;
use coconet::name::Name;
use coconet::path_mode::PathMode;
use coconet::resource::{Kind, PATH};
use coconet::role::Action;
use coconet::target::local_url;
use coconet::wire::code::Reset;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, watch};

use super::{Health, describe};
use crate::events::Events;
use crate::fault::{Fault, Result};
use crate::node::peers::{probe, request};
use crate::node::{Node, node_name};

/// First pause before a tunnel that does not work is tried again.
const RETRY_FIRST: Duration = Duration::from_millis(500);

/// Longest such pause.
const RETRY_MAX: Duration = Duration::from_secs(15);

/// Pause after the system refused a connection for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Pause between two tries to listen where a restored tunnel did before.
const REBIND_PAUSE: Duration = Duration::from_secs(1);

/// Local connections the kernel holds ready.
const BACKLOG: i32 = 1024;

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
}

/// Where a tunnel listens.
#[derive(Debug)]
pub enum Listener {
    /// Here already.
    Bound(TcpListener),
    /// Where it did before this daemon started. Applications were told, so no other address will do: when
    /// it is taken, the tunnel has failed until it is free again.
    Restored(SocketAddr),
}

/// One opened tunnel.
#[derive(Debug)]
pub struct Opened {
    id: AtomicU64,
    node: Arc<Node>,
    resource: Name,
    mode: PathMode,
    listen: SocketAddr,
    places: Arc<Semaphore>,
    meter: Meter,
    health: Health,
    kick: Notify,
    closed: watch::Sender<bool>,
    events: Events,
}

impl Opened {
    /// Begin to serve the listener.
    pub fn start(node: Arc<Node>, options: OpenedOptions, events: Events) -> Result<Arc<Self>> {
        let OpenedOptions { id, resource, listener, max_clients, mode } = options;
        let (listen, listener, health) = match listener {
            Listener::Bound(listener) => {
                let gone = |error| Fault::failed("the listener is gone").because(&error);
                (listener.local_addr().map_err(gone)?, Some(listener), Health::new(TunnelState::Opening))
            }
            Listener::Restored(listen) => (listen, bind_listener(Some(listen)).ok(), Health::restored()),
        };
        let opened = Arc::new(Self {
            id: AtomicU64::new(id),
            node,
            resource,
            mode,
            listen,
            places: Arc::new(Semaphore::new(max_clients as usize)),
            meter: Meter::default(),
            health,
            kick: Notify::new(),
            closed: watch::Sender::new(false),
            events,
        });
        let serving = Arc::clone(&opened);
        tokio::spawn(async move {
            let listener = match listener {
                Some(listener) => listener,
                None => match serving.rebind().await {
                    Some(listener) => listener,
                    None => return,
                },
            };
            tokio::spawn(Arc::clone(&serving).keep());
            serving.run(listener).await;
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

    /// The address it really listens on.
    pub fn listen(&self) -> SocketAddr {
        self.listen
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
        let common = describe(
            self.id(),
            self.node.name(),
            &self.resource,
            kind,
            Direction::Open,
            &self.health,
            &self.meter,
        );
        Tunnel {
            url: Some(local_url(kind, self.listen, path)),
            listen: Some(self.listen.to_string()),
            node: known.map(|known| node_name(&ledger, known.node)),
            path_mode: Some(self.mode),
            ..common
        }
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
        known.map(|known| known.node).ok_or_else(|| {
            if state.authority(self.node.id()).is_some_and(|role| role.may(Action::UseAll)) {
                Fault::not_found(format!("no resource {} in {}", self.resource, self.node.name()))
                    .hint(format!("cococtl network show {}", self.node.name()))
            } else {
                Fault::not_opened(self.resource.as_str(), Reset::NotPermitted, "")
            }
        })
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

    /// The listener, once its address is free; `None` when the tunnel was closed before.
    async fn rebind(&self) -> Option<TcpListener> {
        let mut closed = self.closed.subscribe();
        loop {
            match bind_listener(Some(self.listen)) {
                Ok(listener) => return Some(listener),
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

    async fn run(self: Arc<Self>, listener: TcpListener) {
        let mut closed = self.closed.subscribe();
        loop {
            let accepted = tokio::select! {
                accepted = accept(&listener, &self.places) => accepted,
                _ = closed.wait_for(|closed| *closed) => return,
            };
            match accepted {
                Ok((stream, place)) => {
                    let opened = Arc::clone(&self);
                    tokio::spawn(async move {
                        let _place = place;
                        opened.forward(stream).await;
                    });
                }
                Err(error) => {
                    tracing::warn!(resource = %self.resource, %error, "cannot accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn forward(&self, stream: TcpStream) {
        let _counted = Counted::new(&self.meter);
        let local = Local::tcp(stream);
        let mut closed = self.closed.subscribe();
        let channel = async {
            let peer = self.exporter()?;
            let session = self.node.proved_session(peer, self.mode).await?;
            Ok::<_, Fault>((peer, request(&session, &self.resource, false).await?))
        };
        let channel = tokio::select! {
            channel = channel => channel,
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
        let cut = async {
            // An error means that the tunnel is gone, which is a close as well.
            let _ = closed.wait_for(|closed| *closed).await;
            Reset::Closed
        };
        match forward::splice(local, channel, true, &self.meter, cut).await {
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

/// Bind a tunnel's listener, exclusively: no other socket can share or take the port.
pub fn bind_listener(address: Option<SocketAddr>) -> Result<TcpListener> {
    let address = address.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    if !address.ip().is_loopback() {
        return Err(Fault::new(ErrorKind::NotPermitted, format!("{address} is not a loopback address"))
            .hint("a tunnel listens on 127.0.0.1 or [::1], for applications of this machine only"));
    }
    listen(address).map_err(|error| {
        let fault = Fault::failed(format!("cannot listen on {address}")).because(&error);
        match error.kind() {
            io::ErrorKind::AddrInUse => {
                fault.hint("choose another port with --listen, or leave it out for a free one")
            }
            io::ErrorKind::PermissionDenied => fault.hint("choose a port above 1023 with --listen"),
            _ => fault,
        }
    })
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Without SO_REUSEADDR a restart would have to wait for old connections to time out; on Linux it
    // does not let anybody else bind a port that is listened on.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Accept when there is a place: beyond the limit, connections wait in the kernel.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}
