//! `cococtl run`, seen from the daemon: a program in a network namespace of its own, which reaches the resources
//! of one network and nothing else.
//!
//! The namespace is made by `cococtl`, and sockets of it can be made in it only. So the daemon asks for them on
//! the control connection ([`link()`]): a listener for each resource on an address of its own
//! (`plan.rs`), and pairs of UDP ports for media as players want them. A listener that came is an opened tunnel like any other
//! ([`Opened`]), but that nobody outside can reach it: who connects is inside, and is not asked who it is. The
//! ledger is followed: what may be used no longer is closed and loses its name, and what is new gets one.
//!
//! Nothing of this is stored. A run ends with its connection, which ends with either process; after a
//! restart of the daemon `cococtl` comes back and says what it has kept.

mod link;
mod plan;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use coco_tunnel::forward::rtsp::{PairWanted, Ports};
use coconet::control::{Run, RunAnswer, RunAsk, Wanted};
use coconet::id::NetworkId;
use coconet::listen::Listen;
use coconet::name::Name;
use coconet::path_mode::PathMode;
use tokio::net::{TcpListener, UdpSocket, UnixStream};
use tokio::sync::{mpsc, oneshot, watch};

use crate::access::Rules;
use crate::events::Events;
use crate::fault::{Fault, Result};
use crate::node::Node;
use crate::tunnel::{Inside, Listener, Opened, OpenedOptions, Sockets, Streams};
pub use link::{Answers, Asks, LinkError, link};
pub use plan::{Change, Plan, Stand};

/// Most runs of one daemon at a time.
pub const RUNS_MAX: usize = 64;

/// Listeners that are asked for at a time: what is under way counts against the descriptors of this user.
const ASKED_MAX: usize = 16;

/// Pairs of media ports that are asked for at a time.
const PAIRS_MAX: usize = 32;

/// All runs there are.
#[derive(Debug, Default)]
pub struct Runs {
    all: Mutex<Vec<Arc<Session>>>,
    /// The last tunnel's number.
    last: AtomicU64,
}

/// One run.
#[derive(Debug)]
pub struct Session {
    node: Arc<Node>,
    /// The process at the other end.
    pid: u32,
    max_clients: u32,
    events: Events,
    tunnels: Mutex<BTreeMap<Name, Arc<Opened>>>,
    ended: watch::Sender<bool>,
}

/// What a question was about.
#[derive(Debug)]
enum Asked {
    /// The listeners of a resource.
    Listeners(Name, Stand),
    /// A player's media ports.
    Pair(oneshot::Sender<io::Result<[std::net::UdpSocket; 2]>>),
}

impl Runs {
    /// One more run, of the process `pid`.
    pub fn add(&self, node: Arc<Node>, pid: u32, max_clients: u32, events: Events) -> Result<Arc<Session>> {
        let mut all = self.lock();
        if all.len() >= RUNS_MAX {
            return Err(
                Fault::failed(format!("there are {RUNS_MAX} runs already")).hint("cococtl tunnel list")
            );
        }
        let (tunnels, ended) = (Mutex::default(), watch::Sender::new(false));
        let session = Arc::new(Session { node, pid, max_clients, events, tunnels, ended });
        all.push(Arc::clone(&session));
        Ok(session)
    }

    /// Serve a run on the connection that came with it, until either has ended.
    pub async fn serve(&self, session: Arc<Session>, run: Run, stream: UnixStream, come: &[u8]) {
        let mut ended = session.ended.subscribe();
        let talk = async {
            let told = session.talk(&self.last, run, stream, come).await;
            tracing::info!(network = %session.node.name(), pid = session.pid, ended = %told, "a run has ended");
        };
        tokio::select! {
            () = talk => {}
            _ = ended.wait_for(|ended| *ended) => {}
        }
        self.remove(&session);
    }

    /// It is over.
    pub fn remove(&self, session: &Arc<Session>) {
        session.close();
        self.lock().retain(|known| !Arc::ptr_eq(known, session));
    }

    /// The tunnels of all.
    pub fn tunnels(&self) -> Vec<Arc<Opened>> {
        let all = self.lock();
        all.iter().flat_map(|session| session.lock().values().cloned().collect::<Vec<_>>()).collect()
    }

    /// End those in one network, or all.
    pub fn end(&self, network: Option<NetworkId>) {
        let fits = |session: &&Arc<Session>| network.is_none_or(|network| session.node.network() == network);
        self.lock().iter().filter(fits).for_each(|session| session.close());
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Session>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    fn close(&self) {
        self.ended.send_replace(true);
        std::mem::take(&mut *self.lock()).values().for_each(|opened| opened.close());
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Name, Arc<Opened>>> {
        self.tunnels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ask, and take what comes, until the connection ends.
    async fn talk(&self, last: &AtomicU64, run: Run, stream: UnixStream, come: &[u8]) -> LinkError {
        let (mut answers, mut asks) = link(stream, come);
        let (pairs, mut wanted_pairs) = mpsc::channel(PAIRS_MAX);
        let mut talk = Talk {
            session: self,
            plan: Plan::new(self.node.name().clone(), run.resources, run.kept),
            asks: &mut asks,
            asked: BTreeMap::new(),
            waiting: VecDeque::new(),
            last_question: 0,
            last_tunnel: last,
            ports: Ports::Asked(pairs),
            ready: false,
        };
        let mut ledger = self.node.book().watch();
        ledger.mark_changed();
        loop {
            let done = tokio::select! {
                answer = answers.next() => match answer {
                    Ok((answer, descriptors)) => talk.answered(answer, descriptors),
                    Err(error) => Err(error),
                },
                // Both senders outlive this loop.
                Some(pair) = wanted_pairs.recv() => talk.want_pair(pair).await,
                Ok(()) = ledger.changed() => talk.follow().await,
            };
            if let Err(error) = async {
                done?;
                talk.go_on().await
            }
            .await
            {
                return error;
            }
        }
    }
}

/// The state of the conversation.
struct Talk<'a> {
    session: &'a Session,
    plan: Plan,
    asks: &'a mut Asks,
    /// What is not answered yet.
    asked: BTreeMap<u64, Asked>,
    /// Listeners that are to be asked for.
    waiting: VecDeque<(Name, Stand)>,
    last_question: u64,
    last_tunnel: &'a AtomicU64,
    ports: Ports,
    ready: bool,
}

impl Talk<'_> {
    async fn follow(&mut self) -> std::result::Result<(), LinkError> {
        let Change { gone, new } = {
            let ledger = self.session.node.ledger();
            self.plan.follow(ledger.state(), self.session.node.id())
        };
        if gone.is_empty() && new.is_empty() {
            return Ok(());
        }
        for resource in gone {
            self.waiting.retain(|(waiting, _)| *waiting != resource);
            let opened = self.session.lock().remove(&resource);
            if let Some(opened) = opened {
                opened.close();
            }
            self.asks.send(&RunAsk::Forget { resource }).await?;
        }
        self.waiting.extend(new);
        self.asks.send(&RunAsk::Names { names: self.plan.names() }).await
    }

    /// Ask for what waits, as far as may be; and say so when nothing does for the first time.
    async fn go_on(&mut self) -> std::result::Result<(), LinkError> {
        let listeners = |asked: &Asked| matches!(asked, Asked::Listeners(..));
        while self.asked.values().filter(|asked| listeners(asked)).count() < ASKED_MAX {
            let Some((resource, stand)) = self.waiting.pop_front() else { break };
            let (wanted, keep) = (stand.sockets(), Some(resource.clone()));
            self.ask(wanted, keep, Asked::Listeners(resource, stand)).await?;
        }
        if !self.ready && self.waiting.is_empty() && !self.asked.values().any(listeners) {
            self.ready = true;
            self.asks.send(&RunAsk::Ready).await?;
        }
        Ok(())
    }

    async fn want_pair(&mut self, pair: PairWanted) -> std::result::Result<(), LinkError> {
        self.asked.retain(|_, asked| !matches!(asked, Asked::Pair(answer) if answer.is_closed()));
        let busy = self.asked.values().filter(|asked| matches!(asked, Asked::Pair(_))).count() >= PAIRS_MAX;
        if busy {
            // Who waits for it may be gone, which is as good.
            let _ = pair.answer.send(Err(io::ErrorKind::ResourceBusy.into()));
            return Ok(());
        }
        self.ask(pair.addresses.map(Wanted::Udp).into(), None, Asked::Pair(pair.answer)).await
    }

    async fn ask(
        &mut self,
        wanted: Vec<Wanted>,
        keep: Option<Name>,
        about: Asked,
    ) -> std::result::Result<(), LinkError> {
        self.last_question += 1;
        let id = self.last_question;
        self.asked.insert(id, about);
        self.asks.send(&RunAsk::Make { id, wanted, keep }).await
    }

    fn answered(
        &mut self,
        answer: RunAnswer,
        descriptors: Vec<OwnedFd>,
    ) -> std::result::Result<(), LinkError> {
        let (id, refused) = match answer {
            RunAnswer::Made { id, .. } => (id, None),
            RunAnswer::Failed { id, taken, reason } => (id, Some((taken, coconet::name::shown(&reason)))),
        };
        // Given up meanwhile, or never asked for.
        let Some(asked) = self.asked.remove(&id) else { return Ok(()) };
        match (asked, refused) {
            (Asked::Listeners(resource, stand), None) => {
                // The ledger may have changed again.
                if self.plan.stand(&resource) == Some(&stand)
                    && let Err(error) = self.open(&resource, &stand, descriptors)
                {
                    self.tell(&resource, &error.to_string());
                }
            }
            (Asked::Listeners(resource, _), Some((_, reason))) => self.tell(&resource, &reason),
            (Asked::Pair(answer), None) => {
                let sockets = descriptors.into_iter().map(std::net::UdpSocket::from).collect::<Vec<_>>();
                let pair = sockets.try_into().map_err(|_| io::ErrorKind::InvalidData.into());
                // Who waits for it may be gone, which is as good.
                let _ = answer.send(pair);
            }
            (Asked::Pair(answer), Some((taken, reason))) => {
                let kind = if taken { io::ErrorKind::AddrInUse } else { io::ErrorKind::Other };
                let _ = answer.send(Err(io::Error::new(kind, reason)));
            }
        }
        Ok(())
    }

    fn open(&self, resource: &Name, stand: &Stand, descriptors: Vec<OwnedFd>) -> io::Result<()> {
        let session = self.session;
        let id = self.last_tunnel.fetch_add(1, Ordering::Relaxed) + 1;
        let options = OpenedOptions {
            id,
            resource: resource.clone(),
            listener: Listener::Bound(sockets(stand, descriptors)?),
            max_clients: session.max_clients,
            mode: PathMode::default(),
            allow: Rules::default(),
            dirs: Arc::default(),
            inside: Some(Inside { pid: session.pid, ports: self.ports.clone() }),
        };
        let opened = Opened::start(Arc::clone(&session.node), options, session.events.clone());
        let opened = opened.map_err(io::Error::other)?;
        session.lock().insert(resource.clone(), opened);
        Ok(())
    }

    fn tell(&self, resource: &Name, why: &str) {
        let message = format!("{resource} is not there in the run of process {}: {why}", self.session.pid);
        self.session.events.send(Some(self.session.node.name()), "tunnel", message);
    }
}

/// The sockets of a resource, if that is what came.
fn sockets(stand: &Stand, descriptors: Vec<OwnedFd>) -> io::Result<Sockets> {
    let place = stand.place();
    let mut descriptors = descriptors.into_iter();
    let mut next = |wanted: bool| match (wanted, wanted.then(|| descriptors.next()).flatten()) {
        (true, None) => Err(io::Error::from(io::ErrorKind::InvalidData)),
        (_, descriptor) => Ok(descriptor),
    };
    let (tcp, udp) = (next(stand.tcp)?, next(stand.udp)?);
    let streams = tcp.map(|tcp| listener(tcp, place)).transpose()?.map(Streams::Inside);
    let datagrams = udp.map(|udp| datagrams(udp, place)).transpose()?;
    Ok(Sockets { streams, datagrams, place: Listen::Ip(place) })
}

fn listener(descriptor: OwnedFd, place: SocketAddr) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::from(descriptor);
    if listener.local_addr()? != place {
        return Err(io::ErrorKind::InvalidData.into());
    }
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

fn datagrams(descriptor: OwnedFd, place: SocketAddr) -> io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::from(descriptor);
    if socket.local_addr()? != place {
        return Err(io::ErrorKind::InvalidData.into());
    }
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}
