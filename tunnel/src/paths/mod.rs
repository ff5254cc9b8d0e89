//! The ways of a session: found, judged, chosen, given up.
//!
//! [`policy`] is the judge and knows nothing but counters. [`Session::drive`] is its hands: it runs for as
//! long as the session lives, at both ends. It tells the other end this node's addresses, has noq probe
//! between the two lists, opens a way through a relay to keep in reserve, and looks at the counters
//! every [`LOOK_IN_USE`] while data flows and every [`LOOK_IDLE`] otherwise. Only the side that dialled opens
//! ways, and closes them; but one that stays silent is closed by either. A way is kept open by a ping every [`crate::endpoint::KEEP_ALIVE`], and only the one in
//! use is; the manager's own session keeps the way to the relay open.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::{Duration, Instant};

use coconet::path_mode::PathMode;
use futures_util::StreamExt;
use noq::{PathId, PathStatus};
use noq_proto::{PathEvent, n0_nat_traversal};
use tokio::sync::{mpsc, watch};

pub mod policy;

use crate::endpoint::{KEEP_ALIVE, MANAGER_KEEP_ALIVE};
use crate::session::{Session, Shown};
use crate::socket::Place;
use policy::{Manners, Policy, Step, Way, Why};

/// Pause between two looks while data flows.
pub const LOOK_IN_USE: Duration = Duration::from_millis(100);

/// Pause between two looks at an idle session. One that is used again is looked at at once.
pub const LOOK_IDLE: Duration = Duration::from_secs(5);

/// Pause after something has happened, so that what belongs together is seen together.
const SETTLE: Duration = Duration::from_millis(1);

/// Time over which rates are counted.
const RATE_SPAN: Duration = Duration::from_secs(1);

/// Addresses of this node that a peer may say it sees.
const OBSERVED_MAX: usize = 4;

/// What a driver is given.
#[derive(Debug)]
pub struct Drive {
    /// Who is at the other end.
    pub towards: Towards,
    /// Which ways may be taken.
    pub mode: PathMode,
    /// Where this node can be reached, as it becomes known.
    pub own: watch::Receiver<Vec<SocketAddr>>,
    /// Where a relay to the peer is, as it becomes known.
    pub relay: watch::Receiver<Option<Place>>,
    /// What the driver wants, or wants known.
    pub notices: mpsc::Sender<Notice>,
}

/// Who is at the other end of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Towards {
    /// Another node: addresses are exchanged and probed, and a relay is kept in reserve.
    Node,
    /// A manager: it stays where it is, and what stands for a relay is a TLS connection, made only while no
    /// UDP gets through.
    Manager {
        /// Its UDP addresses.
        at: Vec<SocketAddr>,
    },
}

/// What a driver cannot do itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A relay to the peer is wanted; see [`Drive::relay`].
    AskRelay,
    /// Data does not get through: has this node's address changed?
    Distress,
    /// Data takes another way now.
    Changed(Place, Why),
}

impl Drive {
    /// Of the end that was dialled by a node it knows nothing of, as a manager is: it follows.
    pub fn following() -> Self {
        Self {
            towards: Towards::Manager { at: Vec::new() },
            mode: PathMode::DirectFirst,
            own: watch::Sender::default().subscribe(),
            relay: watch::Sender::default().subscribe(),
            notices: mpsc::channel(1).0,
        }
    }
}

impl Session {
    /// Keep the session on the best way there is, until it ends.
    pub async fn drive(&self, drive: Drive) {
        let dialled = self.connection().side().is_client();
        let now = Instant::now();
        let (at, manager) = match drive.towards {
            Towards::Node => (Vec::new(), false),
            Towards::Manager { at } => (at, true),
        };
        let manners = Manners { mode: drive.mode, dialled, reserve: !manager, persistent: manager };
        let driver = Driver {
            session: self,
            dialled,
            manager,
            at,
            policy: Policy::new(manners, now),
            ids: BTreeMap::from([(PathId::ZERO, true)]),
            advertised: BTreeSet::new(),
            observed: BTreeSet::new(),
            own: BTreeSet::new(),
            reserve: BTreeSet::new(),
            agreed: false,
            refused: None,
            notices: drive.notices,
            mode: drive.mode,
            counted: (now, 0, 0),
        };
        driver.run(drive.own, drive.relay).await;
    }
}

struct Driver<'a> {
    session: &'a Session,
    dialled: bool,
    manager: bool,
    /// Where the other end is, if it stays there.
    at: Vec<SocketAddr>,
    mode: PathMode,
    policy: Policy,
    /// Open ways, and whether each is validated.
    ids: BTreeMap<PathId, bool>,
    /// This node's addresses that the peer was told.
    advertised: BTreeSet<SocketAddr>,
    /// Those it knows from the node itself, and those it told this node.
    own: BTreeSet<SocketAddr>,
    observed: BTreeSet<SocketAddr>,
    /// Ways that the peer holds in reserve.
    reserve: BTreeSet<PathId>,
    /// Whether the peer has taken up the choice, holding all other ways in reserve; only then can it go back
    /// on it.
    agreed: bool,
    /// Since when it does.
    refused: Option<Instant>,
    notices: mpsc::Sender<Notice>,
    /// When the rates were last counted, and the bytes received and sent until then.
    counted: (Instant, u64, u64),
}

impl Driver<'_> {
    async fn run(
        mut self,
        mut own: watch::Receiver<Vec<SocketAddr>>,
        mut relay: watch::Receiver<Option<Place>>,
    ) {
        let connection = self.session.connection().clone();
        let mut events = connection.path_events();
        let mut updates = connection.nat_traversal_updates();
        let mut closed = std::pin::pin!(connection.closed());
        self.own = own.borrow_and_update().iter().copied().collect();
        self.advertise();
        self.open_relay(*relay.borrow_and_update());
        let mut next = SETTLE;
        loop {
            tokio::select! {
                _ = &mut closed => return,
                event = events.next() => match event {
                    Some(Ok(event)) => self.event(&event),
                    Some(Err(_)) => self.recount(),
                    None => return,
                },
                Some(update) = updates.next() => {
                    if !matches!(update, Ok(n0_nat_traversal::Event::AddressRemoved(_))) {
                        self.policy.changed(Instant::now());
                    }
                }
                Ok(()) = own.changed() => {
                    self.own = own.borrow_and_update().iter().copied().collect();
                    // What was seen before an address changed is no longer true.
                    self.observed.clear();
                    self.advertise();
                }
                Ok(()) = relay.changed() => {
                    let place = *relay.borrow_and_update();
                    self.open_relay(place);
                }
                () = self.session.used() => {}
                () = tokio::time::sleep(next) => {}
            }
            // Everything that has happened is seen by one look.
            while let Some(event) = now_or_never(&mut events) {
                match event {
                    Ok(event) => self.event(&event),
                    Err(_) => self.recount(),
                }
            }
            next = self.look();
        }
    }

    fn event(&mut self, event: &PathEvent) {
        match event {
            PathEvent::Established { id, .. } => {
                self.ids.insert(*id, true);
                if !self.dialled && self.policy.chosen() != Some(*id) {
                    // In reserve, until whoever opened it says otherwise.
                    self.set_status(*id, PathStatus::Backup);
                    self.reserve.insert(*id);
                }
            }
            PathEvent::Abandoned { id, .. } | PathEvent::Discarded { id, .. } => {
                self.ids.remove(id);
                self.reserve.remove(id);
            }
            PathEvent::RemoteStatus { id, status, .. } => self.remote_status(*id, *status),
            // What this node looks like from there is one more place where it can be reached.
            PathEvent::ObservedAddr { addr, .. } => {
                if let Place::Direct(address) = Place::of(*addr)
                    && self.observed.len() < OBSERVED_MAX
                    && self.observed.insert(address)
                {
                    self.advertise();
                }
            }
            // A later noq may say more.
            _ => {}
        }
    }

    fn remote_status(&mut self, id: PathId, status: PathStatus) {
        match status {
            PathStatus::Available => self.reserve.remove(&id),
            PathStatus::Backup => self.reserve.insert(id),
        };
        let Some(chosen) = self.policy.chosen().filter(|_| self.dialled) else { return };
        let held = |id: &PathId| self.reserve.contains(id);
        let others_held = self.ids.keys().filter(|id| **id != chosen).all(held);
        self.agreed |= !held(&chosen) && others_held;
        if !held(&chosen) || others_held {
            self.refused = None;
        } else if self.agreed && self.refused.is_none() {
            self.refused = Some(Instant::now());
            // Does it answer here?
            self.ping(chosen);
        }
    }

    fn look(&mut self) -> Duration {
        let now = Instant::now();
        let stats = self.session.connection().stats();
        let acks = stats.frame_rx.acks + stats.frame_rx.path_acks;
        let (tx, rx) = (stats.frame_tx, stats.frame_rx);
        let carried = tx.stream + tx.datagram + rx.stream + rx.datagram;
        self.rate(now, stats.udp_rx.bytes, stats.udp_tx.bytes);
        let ways = self.ways();
        self.heed(now, &ways);
        let steps = self.policy.look(now, &ways, acks, carried);
        let steps_taken = !steps.is_empty();
        self.act(steps);
        self.hold_in_reserve();
        self.session.falls_silent(self.policy.silent(now).and_then(|lasts| now.checked_sub(lasts)));
        match steps_taken {
            false if self.policy.is_idle(now) => LOOK_IDLE,
            // A manager has many sessions with nodes that have gone.
            false if self.manager && !self.dialled && self.policy.is_unused(now) => policy::SILENCE,
            _ => LOOK_IN_USE,
        }
    }

    fn rate(&mut self, now: Instant, received: u64, sent: u64) {
        let (since, received_before, sent_before) = self.counted;
        let span = now.saturating_duration_since(since);
        if span >= RATE_SPAN {
            let per_second = |bytes: u64| (bytes as f64 / span.as_secs_f64()) as u64;
            let rates = (
                per_second(received.saturating_sub(received_before)),
                per_second(sent.saturating_sub(sent_before)),
            );
            self.session.show_rates(rates);
            self.counted = (now, received, sent);
        }
    }

    fn ways(&self) -> Vec<Way> {
        let connection = self.session.connection();
        let way = |(id, validated): (&PathId, &bool)| {
            let path = connection.path(*id)?;
            let (stats, remote) = (path.stats(), path.remote_address().ok()?);
            Some(Way {
                id: *id,
                place: Place::of(remote),
                validated: *validated,
                rtt: stats.rtt,
                sent: stats.sent_bytes,
                lost: stats.lost_bytes,
                reserve: self.reserve.contains(id),
            })
        };
        self.ids.iter().filter_map(way).collect()
    }

    fn act(&mut self, steps: Vec<Step>) {
        let connection = self.session.connection();
        for step in steps {
            tracing::trace!(peer = %self.session.peer(), ?step, "path policy");
            match step {
                Step::Use(id, why) => self.choose(id, why),
                Step::Close(id) => {
                    if let Some(path) = connection.path(id) {
                        // Refused for the last one only, which is kept anyhow.
                        let _ = path.close();
                    }
                    self.ids.remove(&id);
                }
                Step::Open(place) => self.open(place),
                Step::Round if self.manager => {
                    let open: Vec<Place> = self.ways().iter().map(|way| way.place).collect();
                    let at: Vec<Place> = self.at.iter().copied().map(Place::Direct).collect();
                    at.into_iter().filter(|place| !open.contains(place)).for_each(|place| self.open(place));
                }
                Step::Round => {
                    // Nothing known of the other end yet, or of this one: the next round knows more.
                    if let Err(error) = connection.initiate_nat_traversal_round() {
                        tracing::trace!(%error, "no round of probes");
                    }
                }
                Step::AskRelay => self.notify(Notice::AskRelay),
                Step::Ping(id) => self.ping(id),
                Step::Distress => self.notify(Notice::Distress),
            }
        }
    }

    /// Believe the peer that it cannot use the way in use, when it has said so for a while.
    fn heed(&mut self, now: Instant, ways: &[Way]) {
        let Some(since) = self.refused else { return };
        let way = ways.iter().find(|way| Some(way.id) == self.policy.chosen());
        let lasts = now.saturating_duration_since(since);
        if way.is_none_or(|way| lasts >= policy::patience(way.rtt) && self.policy.refused(now, way)) {
            (self.refused, self.agreed) = (None, false);
        }
    }

    fn ping(&self, id: PathId) {
        if let Some(path) = self.session.connection().path(id) {
            // A way that has just been closed needs none.
            let _ = path.ping();
        }
    }

    fn open(&mut self, place: Place) {
        let opening = self.session.connection().open_path(place.address(), PathStatus::Backup);
        if let Some(id) = opening.path_id() {
            self.ids.insert(id, false);
        }
    }

    fn choose(&mut self, chosen: PathId, why: Why) {
        let connection = self.session.connection();
        (self.agreed, self.refused) = (false, None);
        // First the new one, so that there is always one that may carry data.
        self.set_status(chosen, PathStatus::Available);
        for id in self.ids.keys().filter(|id| **id != chosen) {
            if let Some(path) = connection.path(*id) {
                let _ = path.set_keep_alive_interval(None);
            }
        }
        let Some(path) = connection.path(chosen) else { return };
        let Ok(remote) = path.remote_address() else { return };
        let place = Place::of(remote);
        if self.dialled {
            let direct = place.direct().is_some() && !self.manager;
            let _ = path.set_keep_alive_interval(Some(if direct { KEEP_ALIVE } else { MANAGER_KEEP_ALIVE }));
        }
        self.session.show(Shown { path: chosen, why });
        self.notify(Notice::Changed(place, why));
    }

    /// Hold all ways but the one in use, unless it has yet to be found out which one works.
    fn hold_in_reserve(&self) {
        let Some(chosen) = self.policy.chosen() else { return };
        let others = if self.policy.gropes() { PathStatus::Available } else { PathStatus::Backup };
        for (id, validated) in &self.ids {
            if *id != chosen && *validated {
                self.set_status(*id, others);
            }
        }
    }

    fn set_status(&self, id: PathId, status: PathStatus) {
        if let Some(path) = self.session.connection().path(id)
            && path.status().is_ok_and(|before| before != status)
        {
            let _ = path.set_status(status);
        }
    }

    /// Tell the other end where this node can be reached.
    fn advertise(&mut self) {
        if !self.mode.direct() || self.manager {
            return;
        }
        let connection = self.session.connection();
        let known: BTreeSet<SocketAddr> = self.own.union(&self.observed).copied().collect();
        for gone in self.advertised.difference(&known) {
            let _ = connection.remove_nat_traversal_address(*gone);
        }
        for new in known.difference(&self.advertised) {
            // Refused beyond what the other end takes.
            let _ = connection.add_nat_traversal_address(*new);
        }
        if known != self.advertised {
            self.advertised = known;
            self.policy.changed(Instant::now());
        }
    }

    /// Have the relay in reserve.
    fn open_relay(&mut self, place: Option<Place>) {
        let Some(place) = place.filter(|_| self.dialled && self.mode.relay()) else { return };
        let connection = self.session.connection();
        let opening = connection.open_path_ensure(place.address(), PathStatus::Backup);
        if let Some(id) = opening.path_id() {
            self.ids.entry(id).or_insert(false);
        }
        // A channel that another has replaced leads nowhere.
        let replaced = |way: &Way| {
            way.place != place
                && matches!(way.place, Place::Relay { .. })
                && !self.policy.waits_for(way.id)
                && self.policy.chosen() != Some(way.id)
        };
        for way in self.ways().into_iter().filter(replaced) {
            if let Some(path) = connection.path(way.id) {
                let _ = path.close();
            }
        }
    }

    /// Events were lost: find out what there is.
    fn recount(&mut self) {
        let highest = self.ids.keys().next_back().copied().unwrap_or(PathId::ZERO);
        let connection = self.session.connection();
        self.ids.retain(|id, _| connection.path(*id).is_some());
        for ahead in 1..=crate::endpoint::PATHS_MAX {
            let id = highest.saturating_add(ahead);
            if connection.path(id).is_some() {
                // One that does not work fails like any other.
                self.ids.insert(id, true);
            }
        }
    }

    /// Said again when it still matters, if nobody listens now.
    fn notify(&self, notice: Notice) {
        let _ = self.notices.try_send(notice);
    }
}

/// The next event, if it has happened already.
fn now_or_never(events: &mut noq::PathEvents) -> Option<Result<PathEvent, noq::Lagged>> {
    use futures_util::FutureExt;
    Pin::new(events).next().now_or_never().flatten()
}
