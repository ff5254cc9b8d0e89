//! The session with the manager.
//!
//! [`ManagerLink::run`] dials, registers this node, and follows the head: whatever the manager says
//! changes nothing until the entries themselves verify. When the session is lost it comes back: every
//! second for [`EAGER`], then less and less often, at most every [`BACKOFF_MAX`]. Everybody else asks
//! through [`ManagerLink::ask`], which waits a little for a session that is just coming back.

mod usage;

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use coco_tunnel::carrier::{self, Line, LineEnd};
use coco_tunnel::channel::Channel;
use coco_tunnel::endpoint::{Endpoint, dialable};
use coco_tunnel::frame;
use coco_tunnel::greeting::LedgerCopy;
use coco_tunnel::paths::{Drive, Notice, Towards};
use coco_tunnel::session::{Ended, Session};
use coco_tunnel::socket::Place;
use coconet::control::{ErrorKind, ManagerLink as LinkState, ManagerStatus};
use coconet::id::{Hash, NetworkId, NodeId, StaticKey};
use coconet::ledger::Reject;
use coconet::manager_addr::ManagerAddr;
use coconet::name::Name;
use coconet::path_mode::PathMode;
use coconet::wire::code::Close;
use coconet::wire::manager::{CANDIDATES_MAX, Request, Response, failed};
use futures_util::future::{Fuse, FusedFuture};
use futures_util::{FutureExt, StreamExt};
use tokio::sync::{Semaphore, mpsc, watch};

use self::usage::Warned;
use super::book::{Book, Doubt, TakeError};
use super::candidates::{self, Own, Source};
use super::uplink::{self, Reached, Uplink};
use super::ways::{Introduction, NOTICES, punch, relay_place};
use crate::clock;
use crate::events::Events;
use crate::fault::{AGAIN, Fault, Result, SAME_RELEASE};

/// How long the manager is tried every second.
pub const EAGER: Duration = Duration::from_secs(20);

/// Longest pause between two tries.
pub const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// How long a request waits for a session that is not there.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Longest wait for one answer.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest wait for the lights in a list of members, which is true without them.
pub const PRESENCE_TIMEOUT: Duration = Duration::from_secs(2);

/// The manager's number among the relays of this node.
pub const RELAY_SLOT: u16 = 1;

/// Rings that are answered at once: a manager cannot make this node send more than so many times a handful
/// of bytes a second.
const RINGS_MAX: usize = 8;

/// Entries verified and written together while catching up.
const FETCH_BATCH: usize = 256;

/// The link of one node to its network's manager.
#[derive(Debug)]
pub struct ManagerLink {
    network: NetworkId,
    name: Name,
    endpoint: Endpoint,
    book: Arc<Book>,
    own: Arc<Own>,
    uplink: Arc<Uplink>,
    events: Events,
    state: watch::Sender<State>,
    /// Another process uses this node's keys: do not fight over the registration.
    crowded: AtomicBool,
    rings: Arc<Semaphore>,
}

#[derive(Debug, Clone)]
struct State {
    link: LinkState,
    since_ms: u64,
    session: Option<Session>,
    reason: Option<String>,
    /// Whether the manager is on this machine, and peers on loopback therefore plausible.
    local: bool,
    /// Whether the manager has said that this node was removed, and not taken it back since.
    revoked: bool,
    quota: Warned,
    /// Who the manager is, and all its UDP addresses.
    at: Option<(StaticKey, Vec<SocketAddr>)>,
}

impl ManagerLink {
    /// A link that is not dialling yet.
    pub fn new(
        network: NetworkId,
        name: Name,
        endpoint: Endpoint,
        book: Arc<Book>,
        own: Arc<Own>,
        uplink: Arc<Uplink>,
        events: Events,
    ) -> Self {
        let state = State {
            link: LinkState::Connecting,
            since_ms: clock::now_ms(),
            session: None,
            reason: None,
            local: false,
            revoked: false,
            quota: None,
            at: None,
        };
        Self {
            network,
            name,
            endpoint,
            book,
            own,
            uplink,
            events,
            state: watch::Sender::new(state),
            crowded: AtomicBool::new(false),
            rings: Arc::new(Semaphore::new(RINGS_MAX)),
        }
    }

    /// Keep the link up for as long as this is polled.
    pub async fn run(&self) {
        let mut lost = Instant::now();
        let mut pause = Duration::from_secs(1);
        loop {
            self.set(LinkState::Connecting, None, None);
            let outcome = self.serve().await;
            if self.is_online() {
                lost = Instant::now();
                pause = Duration::from_secs(1);
                self.events.send(Some(&self.name), "manager-offline", "lost the manager");
            }
            let reason = outcome
                .map_or_else(|fault| fault.to_string(), |()| "the manager closed the session".to_owned());
            tracing::debug!(network = %self.name, reason, "manager not reachable");
            self.set(LinkState::Offline, None, Some(reason));
            tokio::time::sleep(pause).await;
            if self.says_revoked() || self.crowded.swap(false, Ordering::Relaxed) {
                pause = BACKOFF_MAX;
            } else if lost.elapsed() > EAGER {
                pause = (pause * 2).min(BACKOFF_MAX);
            }
        }
    }

    /// How the link stands, for people.
    pub fn status(&self) -> ManagerStatus {
        let ledger = self.book.ledger();
        let address = ledger.state().managers().first().map(ManagerAddr::location).unwrap_or_default();
        let state = self.state.borrow();
        let rtt = state.session.as_ref().map(|session| session.stats().rtt);
        ManagerStatus {
            address,
            state: state.link,
            since_ms: state.since_ms,
            rtt_us: rtt.and_then(|rtt| u64::try_from(rtt.as_micros()).ok()),
            reason: state.reason.clone(),
            quota: usage::standing(state.quota),
        }
    }

    /// How it is reached.
    pub fn uplink(&self) -> &Uplink {
        &self.uplink
    }

    /// Who the manager is, and its UDP addresses of the family that the session with it does not take; none
    /// while it takes none.
    pub(super) fn other_family(&self) -> Option<(StaticKey, Vec<SocketAddr>)> {
        let state = self.state.borrow();
        let taken = state.session.as_ref()?.remote()?;
        let (key, at) = state.at.as_ref()?;
        let other = at.iter().filter(|address| address.is_ipv4() != taken.is_ipv4()).copied();
        Some((*key, other.collect()))
    }

    /// Whether the manager is on this machine.
    pub fn is_local(&self) -> bool {
        self.state.borrow().local
    }

    /// Whether the manager says that this node was removed. Its word: the entry that proves it may not
    /// be here, so commands believe it and tunnels do not.
    pub fn says_revoked(&self) -> bool {
        self.state.borrow().revoked
    }

    /// Resolves at once when the link is up, and otherwise when it comes up.
    pub async fn online(&self) -> Result<Session> {
        let mut watch = self.state.subscribe();
        let up = watch.wait_for(|state| state.link == LinkState::Online);
        let session = up.await.ok().and_then(|state| state.session.clone());
        session.ok_or_else(|| Fault::timed_out("the network was left").hint("cococtl network list"))
    }

    /// Ask, and await the one answer.
    pub async fn ask(&self, request: &Request) -> Result<Response> {
        let session = self.ready().await?;
        match ask(&session, request).await {
            Err(fault) if fault.kind() == ErrorKind::TimedOut => {
                // Dead without knowing it: only a new one can tell when the manager is back.
                session.close(Close::Done);
                Err(self.unreachable())
            }
            other => other,
        }
    }

    /// Fetch what is missing and verify it.
    pub async fn catch_up(&self) -> Result<()> {
        self.fetch(&self.ready().await?).await
    }

    /// The same before the ledger is read, so that what another node has just written is in it. A manager that is
    /// away is no reason to doubt our own copy, or to wait.
    pub async fn refresh(&self) {
        let is_there = self.state.borrow().session.is_some();
        if is_there {
            let _ = tokio::time::timeout(PRESENCE_TIMEOUT, self.catch_up()).await;
        }
    }

    /// Where a node is, as far as the manager knows. It is rung, and with `relay` a channel to it is opened.
    pub async fn introduce(&self, node: NodeId, relay: bool) -> Result<Introduction> {
        match self.ask(&Request::Dial { network: self.network, node, relay }).await? {
            Response::Dialled { online, candidates, last_seen, channel, refused } => Ok(Introduction {
                online,
                last_seen,
                candidates,
                relay: channel.map(relay_place),
                refused: refused.filter(|_| relay),
            }),
            other => Err(unexpected(other)),
        }
    }

    /// Send the manager something, so that both notice when this node's address has changed.
    pub fn nudge(&self) {
        if let Some(session) = &self.state.borrow().session {
            session.nudge();
        }
    }

    /// Nodes and when the manager last saw them; zero for now. Does not wait for a manager that is away.
    pub async fn presence(&self) -> Result<Vec<(NodeId, u64)>> {
        let asked = tokio::time::timeout(PRESENCE_TIMEOUT, self.ask_presence()).await;
        asked.unwrap_or_else(|_| Err(self.unreachable()))
    }

    async fn ask_presence(&self) -> Result<Vec<(NodeId, u64)>> {
        let session = self.state.borrow().session.clone().ok_or_else(|| self.unreachable())?;
        let mut channel = open(&session, &Request::Presence { network: self.network }).await?;
        let mut seen = Vec::new();
        loop {
            match answer(&mut channel).await? {
                Response::Online(page) => seen.extend(page),
                Response::Head { .. } => return Ok(seen),
                other => return Err(unexpected(other)),
            }
        }
    }

    /// A session to ask on: the one there is, or one that is just coming back.
    async fn ready(&self) -> Result<Session> {
        match tokio::time::timeout(PATIENCE, self.online()).await {
            Ok(session) => session,
            Err(_) => Err(self.unreachable()),
        }
    }

    async fn serve(&self) -> Result<()> {
        let managers = self.book.ledger().state().managers().to_vec();
        let reached = uplink::reach(&self.endpoint, &managers, &self.uplink).await?;
        let local = reached.is_local();
        let at = (reached.manager.talk, reached.at.clone());
        self.state.send_modify(|state| (state.local, state.at) = (local, Some(at)));
        if local {
            self.endpoint.permit_loopback();
        }
        let session = reached.session.clone();
        let served = {
            let mut register = pin!(self.register(&session));
            let mut tend = pin!(self.tend(reached));
            tokio::select! {
                served = &mut register => served,
                // What ends the session ends the registration as well, which knows why.
                () = &mut tend => register.await,
            }
        };
        // What was under way when the manager closed the session only knows that it broke.
        match session.end() {
            Some(Ended::Closed(Close::Revoked)) => Err(self.revoked()),
            _ => served,
        }
    }

    /// Keep the session on UDP while that works, and inside TLS while it does not.
    async fn tend(&self, reached: Reached) {
        let Reached { session, manager, at, mut line } = reached;
        let (notices, mut told) = mpsc::channel(NOTICES);
        let carrier = watch::Sender::new(line.as_ref().map(Line::place));
        let drive = Drive {
            towards: Towards::Manager { at: at.clone() },
            mode: PathMode::DirectFirst,
            own: watch::Sender::default().subscribe(),
            relay: carrier.subscribe(),
            notices,
        };
        if let Some(place) = session.place() {
            self.endpoint.set_relay(RELAY_SLOT, place);
        }
        let mut driving = pin!(session.drive(drive));
        let mut carrying = pin!(Fuse::terminated());
        loop {
            tokio::select! {
                () = &mut driving => return,
                Some(notice) = told.recv() => match notice {
                    Notice::AskRelay if line.is_none() && carrying.is_terminated() => {
                        let connect = carrier::connect(&self.endpoint, &manager, &at, &self.uplink.proxies);
                        carrying.set(connect.fuse());
                    }
                    Notice::AskRelay | Notice::Distress => {}
                    Notice::Changed(place, why) => {
                        self.endpoint.set_relay(RELAY_SLOT, place);
                        let message = match place {
                            Place::Direct(address) => format!("manager by UDP, {address}: {why}"),
                            Place::Relay { .. } | Place::Dial(_) | Place::Carrier(_) => {
                                format!("manager by TLS, {}: {why}", manager.location())
                            }
                        };
                        self.events.send(Some(&self.name), "path", message);
                    }
                },
                connected = &mut carrying => match connected {
                    Ok(connected) => {
                        carrier.send_replace(Some(connected.place()));
                        line = Some(connected);
                    }
                    Err(error) => {
                        tracing::debug!(network = %self.name, %error, "no TLS to the manager either");
                    }
                },
                _ = ended(line.as_ref()) => {
                    line = None;
                    carrier.send_replace(None);
                }
            }
        }
    }

    async fn register(&self, session: &Session) -> Result<()> {
        let mut own = self.own.watch();
        let interfaces = candidates::of_interfaces(&self.endpoint, coconet::address::prefix(self.network));
        self.own.set(Source::Interface, interfaces, self.is_local());
        own.mark_unchanged();
        let mut channel = open(session, &self.registration()).await?;
        let (seq, head) = match reply(&mut channel).await? {
            Response::Registered { seq, head, observed } => {
                self.observed(session, observed);
                (seq, head)
            }
            Response::Failed { code, .. } if code == failed::REVOKED => {
                let revoked = self.revoked();
                self.verify_removal(session).await;
                return Err(revoked);
            }
            other => return Err(unexpected(other)),
        };
        self.follow(session, seq, head).await?;
        self.set(LinkState::Online, Some(session.clone()), None);
        self.events.send(Some(&self.name), "manager-online", "registered with the manager");
        let (mut doubts, mut heard) = (self.book.doubts(), self.book.heard());
        let mut observed = session.observed();
        let Channel { mut tx, mut rx, .. } = channel;
        loop {
            // A message may be half read when a member has something to say, so one read lasts until it is whole.
            let mut read = pin!(frame::read(&mut rx));
            let read = loop {
                tokio::select! {
                    read = &mut read => break read,
                    () = doubted(&mut doubts) => self.dispel(session).await?,
                    // A manager that hides an entry is found out by the member who shows it.
                    Ok(()) = heard.changed() => self.compare(session).await?,
                    Some(address) = observed.next() => self.observed(session, address),
                    Ok(()) = own.changed() => {
                        own.mark_unchanged();
                        let again = frame::write(&mut tx, &self.registration()).await;
                        again.map_err(|error| broke(session, &error))?;
                    }
                }
            };
            match read {
                Ok(Response::Head { seq, head, .. }) => self.follow(session, seq, head).await?,
                Ok(Response::Registered { seq, head, .. }) => self.follow(session, seq, head).await?,
                Ok(Response::Ring { candidates, .. }) => self.rung(candidates),
                Ok(Response::Quota { used, limit }) => self.warned(used, limit),
                Ok(Response::Failed { code, .. }) if code == failed::CLONED => return Err(self.cloned()),
                Ok(Response::Failed { code, message }) => {
                    return Err(Fault::refused_by_manager(&code, &message));
                }
                Ok(other) => return Err(unexpected(other)),
                Err(error) => {
                    return Err(match session.end() {
                        Some(ended) => lost(&ended),
                        None => {
                            Fault::failed("the manager broke the protocol").because(&error).hint(SAME_RELEASE)
                        }
                    });
                }
            }
        }
    }

    fn registration(&self) -> Request {
        let mut candidates = self.own.all();
        candidates.truncate(CANDIDATES_MAX);
        Request::Register { network: self.network, candidates }
    }

    /// The manager sees this node at `address`. What it sees of a TLS connection is no use to anybody else.
    fn observed(&self, session: &Session, address: SocketAddr) {
        if let (Some(Place::Direct(_)), Place::Direct(address)) = (session.place(), Place::of(address)) {
            self.own.set(Source::Observed, [address], self.is_local());
        }
    }

    /// Another node dials this one: open the way to it.
    fn rung(&self, candidates: Vec<SocketAddr>) {
        let candidates = dialable(candidates, self.is_local());
        let Ok(place) = Arc::clone(&self.rings).try_acquire_owned() else { return };
        let endpoint = self.endpoint.clone();
        tokio::spawn(async move {
            let _place = place;
            punch(endpoint, candidates).await;
        });
    }

    /// Fetch the entry that removed this node, up to which the manager still shows the ledger. Without it
    /// there is the manager's word, which commands believe and tunnels do not.
    async fn verify_removal(&self, session: &Session) {
        if self.book.shows_removal() {
            return;
        }
        match self.fetch(session).await {
            Ok(()) if self.book.shows_removal() => {
                tracing::info!(network = %self.name, "the ledger says that this node was removed");
            }
            Ok(()) => tracing::warn!(network = %self.name, "the manager does not show why this node is out"),
            Err(fault) => {
                tracing::warn!(network = %self.name, %fault, "why this node is out cannot be verified");
            }
        }
    }

    /// Compare the manager's head with ours.
    async fn follow(&self, session: &Session, seq: u64, head: Hash) -> Result<()> {
        let ledger = self.book.ledger();
        if seq > ledger.seq() {
            return self.fetch(session).await;
        }
        if self.book.hash_at(seq).await != Some(head) {
            self.prove(session, seq).await?;
            // It is a contradiction without the proof as well.
            self.alarm(format!("the manager shows another entry {seq} than the one seen"));
        } else if seq < ledger.seq() {
            // A member may have been faster than this message; what the manager says now cannot be old.
            self.compare(session).await?;
        }
        Ok(())
    }

    /// Whether the manager shows all that this node has, which it has stamped.
    async fn compare(&self, session: &Session) -> Result<()> {
        let seen = self.book.ledger().seq();
        let newest = self.newest(session, seen + 1).await?;
        if newest < seen {
            self.alarm(format!("the manager shows entry {newest} as its last where {seen} was seen"));
        }
        Ok(())
    }

    /// Fetch the entry `seq` that contradicts ours: with its stamp it is the proof.
    async fn prove(&self, session: &Session, seq: u64) -> Result<()> {
        if self.book.alarm().is_some() {
            return Ok(());
        }
        let mut channel = open(session, &Request::Fetch { network: self.network, from: seq }).await?;
        match answer(&mut channel).await? {
            Response::Entry(bytes) => {
                // What comes of it is an alarm, which is not a reason to end the session.
                let _ = self.taken(self.book.take_all(&[bytes]).await.map(|_| ()));
                Ok(())
            }
            Response::Head { .. } => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    /// The number of the manager's newest entry. Entries from `from` on are passed over.
    async fn newest(&self, session: &Session, from: u64) -> Result<u64> {
        let mut channel = open(session, &Request::Fetch { network: self.network, from }).await?;
        loop {
            match answer(&mut channel).await? {
                Response::Entry(_) => {}
                Response::Head { seq, .. } => return Ok(seq),
                other => return Err(unexpected(other)),
            }
        }
    }

    async fn fetch(&self, session: &Session) -> Result<()> {
        self.book.require_trust()?;
        let from = self.book.ledger().seq() + 1;
        let before = from;
        let mut channel = open(session, &Request::Fetch { network: self.network, from }).await?;
        let mut batch = Vec::new();
        loop {
            match answer(&mut channel).await? {
                Response::Entry(bytes) => batch.push(bytes),
                Response::Head { view, .. } => {
                    let guest = self.book.is_guests();
                    match self.book.take_all(&std::mem::take(&mut batch)).await {
                        // The entries speak of what this guest could not see until now.
                        Err(TakeError::Reject(Reject::Violation(_) | Reject::Sequence { .. })) if guest => {
                            self.fetch_anew(session).await?;
                        }
                        taken => self.taken(taken.map(|_| ()))?,
                    }
                    if view.is_some_and(|view| view != self.book.ledger().view()) {
                        self.fetch_anew(session).await?;
                    }
                    break;
                }
                other => return Err(unexpected(other)),
            }
            if batch.len() >= FETCH_BATCH && !self.book.is_guests() {
                self.taken(self.book.take_all(&std::mem::take(&mut batch)).await.map(|_| ()))?;
            }
        }
        let ledger = self.book.ledger();
        if ledger.seq() >= before {
            self.events.send(Some(&self.name), "entry", format!("the ledger is at entry {}", ledger.seq()));
        }
        Ok(())
    }

    /// Fetch the whole ledger again, because this node may see more of it now, or less.
    async fn fetch_anew(&self, session: &Session) -> Result<()> {
        let mut channel = open(session, &Request::Fetch { network: self.network, from: 0 }).await?;
        let mut entries = Vec::new();
        let view = loop {
            match answer(&mut channel).await? {
                Response::Entry(bytes) => entries.push(bytes),
                Response::Head { view, .. } => break view,
                other => return Err(unexpected(other)),
            }
        };
        self.taken(self.book.replace(&entries).await)?;
        if view.is_some_and(|view| view != self.book.ledger().view()) {
            self.book.raise("the manager does not show what it says it shows".to_owned());
        }
        Ok(())
    }

    /// A member says that this guest should see something else: ask the manager again.
    async fn dispel(&self, session: &Session) -> Result<()> {
        if self.book.alarm().is_none() {
            self.fetch_anew(session).await?;
        }
        if !self.book.dispelled() {
            self.alarm(
                "the manager leaves out of the ledger what a member says this node may see".to_owned(),
            );
        }
        self.events.send(
            Some(&self.name),
            "entry",
            "the ledger was fetched anew: a member sees it otherwise",
        );
        Ok(())
    }

    fn taken(&self, taken: std::result::Result<(), TakeError>) -> Result<()> {
        match taken {
            Ok(()) => Ok(()),
            Err(error @ TakeError::Fork(_)) => {
                self.events.send(Some(&self.name), "alarm", error.to_string());
                Err(Fault::failed("the manager's ledger contradicts this node's")
                    .because(&error)
                    .hint(format!("cococtl network audit {}", self.name)))
            }
            Err(TakeError::Reject(reject)) => {
                // It may be of a later version; anything else no manager stamps that keeps to the rules.
                if !matches!(reject, Reject::UpdateNeeded(_)) {
                    self.alarm(format!("the manager shows an entry that does not verify: {reject}"));
                }
                Err(reject.into())
            }
            Err(TakeError::Store(fault)) => Err(fault),
        }
    }

    /// Two processes use this node's keys: this one has just heard of the other.
    fn cloned(&self) -> Fault {
        self.crowded.store(true, Ordering::Relaxed);
        let message = "another daemon uses this node's keys: its state directory was copied";
        self.events.send(Some(&self.name), "alarm", message);
        Fault::failed(message).hint("stop one of the two and invite it anew")
    }

    fn alarm(&self, alarm: String) {
        if self.book.raise(alarm.clone()) {
            self.events.send(Some(&self.name), "alarm", alarm);
        }
    }

    fn is_online(&self) -> bool {
        self.state.borrow().link == LinkState::Online
    }

    fn set(&self, link: LinkState, session: Option<Session>, reason: Option<String>) {
        self.state.send_modify(|state| {
            if state.link != link {
                state.since_ms = clock::now_ms();
            }
            state.link = link;
            state.session = session;
            state.revoked &= link != LinkState::Online;
            // A reason stays while the next try runs, so that a look at the status says why.
            if reason.is_some() || link == LinkState::Online {
                state.reason = reason;
            }
        });
    }

    fn revoked(&self) -> Fault {
        self.state.send_modify(|state| state.revoked = true);
        Fault::closed_by_peer(Close::Revoked)
    }

    fn unreachable(&self) -> Fault {
        let status = self.status();
        let fault = Fault::timed_out(format!("the manager at {} does not answer", status.address))
            .hint("tunnels go on without it; joining and ledger changes wait for it: cococtl status");
        match status.reason {
            Some(reason) => fault.because(&Fault::failed(reason)),
            None => fault,
        }
    }
}

/// Resolves when the line, if there is one, is no more.
async fn ended(line: Option<&Line>) -> LineEnd {
    match line {
        Some(line) => line.closed().await,
        None => std::future::pending().await,
    }
}

/// Ask on a session and await the one answer.
pub async fn ask(session: &Session, request: &Request) -> Result<Response> {
    let mut channel = open(session, request).await?;
    answer(&mut channel).await
}

/// Send a request; its answers are read with [`answer`].
pub async fn open(session: &Session, request: &Request) -> Result<coco_tunnel::channel::Channel> {
    let mut channel = session.open().await.map_err(|ended| lost(&ended))?;
    frame::write(&mut channel.tx, request).await.map_err(|error| broke(session, &error))?;
    if !matches!(request, Request::Register { .. }) {
        channel.tx.finish();
    }
    Ok(channel)
}

/// The next answer; one that says "failed" is an error.
pub async fn answer(channel: &mut coco_tunnel::channel::Channel) -> Result<Response> {
    match reply(channel).await? {
        Response::Failed { code, message } => Err(Fault::refused_by_manager(&code, &message)),
        response => Ok(response),
    }
}

/// The next answer, whatever it says.
async fn reply(channel: &mut coco_tunnel::channel::Channel) -> Result<Response> {
    match tokio::time::timeout(ANSWER_TIMEOUT, frame::read(&mut channel.rx)).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => Err(Fault::timed_out("the manager broke off").because(&error).hint(AGAIN)),
        Err(_) => Err(Fault::timed_out("the manager does not answer").hint(AGAIN)),
    }
}

/// An answer that does not belong to the question.
pub fn unexpected(response: Response) -> Fault {
    match response {
        Response::Failed { code, message } => Fault::refused_by_manager(&code, &message),
        Response::Head { .. }
        | Response::Stamped(_)
        | Response::Conflict { .. }
        | Response::Entry(_)
        | Response::Registered { .. }
        | Response::Dialled { .. }
        | Response::Online(_)
        | Response::Ring { .. }
        | Response::Usage { .. }
        | Response::Quota { .. }
        | Response::Probed { .. } => {
            Fault::failed("the manager gave an answer to another question").hint(SAME_RELEASE)
        }
    }
}

/// Resolves when a member doubts what this node sees.
async fn doubted(doubts: &mut watch::Receiver<Option<Doubt>>) {
    if doubts.wait_for(Option::is_some).await.is_err() {
        std::future::pending().await
    }
}

fn lost(ended: &Ended) -> Fault {
    match ended {
        Ended::Closed(Close::Revoked) => Fault::closed_by_peer(Close::Revoked),
        other => Fault::timed_out("the session with the manager ended").because(other).hint(AGAIN),
    }
}

fn broke(session: &Session, error: &frame::FrameError) -> Fault {
    match session.end() {
        Some(ended) => lost(&ended),
        None => Fault::timed_out("the manager broke off").because(error).hint(AGAIN),
    }
}
