//! Which way a session's packets take: a pure judge over what was counted.
//!
//! [`Policy::look`] is given every open way of a session with its counters and answers with [`Step`]s. The
//! side that has dialled is in charge: it opens and closes ways and probes for new ones. The other side
//! follows its choice, unless its own data does not get through.
//!
//! *Choice.* The best way by `Rank`, then by round trip; the one in use is left for another of its rank
//! only when that is `CLEARLY_FASTER`.
//!
//! *Distress.* A way fails when data on it goes unacknowledged for three probe timeouts
//! ([`patience`]), or when most of what was sent is lost (`LOSSY`), whatever small packets still pass. Then the next
//! best is used, and the failed one is closed, so that its data goes by another, as soon as the first
//! acknowledgement has proved that this one works. A place that fails by loss is avoided for [`AVOID_MIN`], and
//! twice as long each time it fails again at once, up to [`AVOID_MAX`]; and so is one that falls silent twice within
//! `AMENDS` while another works.
//!
//! *Darkness.* When every way has failed before one has proved itself, it is not the ways: nothing is closed then,
//! and nothing held against any place. What is under way on a way that is closed counts as lost only after three probe
//! timeouts, which a first answer that spans a long silence makes several times as long as that silence; whereas
//! on an open one a single answer tells all that was lost. QUIC itself asks for that ever more seldom, after half
//! a minute every ten seconds. So each silent way is pinged every [`SILENCE`] (see also [`crate::asking`]), and all ways are
//! in use until one has proved itself ([`Policy::gropes`]): no acknowledgement goes by a way in reserve. A way that stays silent although the one in use works is
//! closed after all, by whichever end waits for it. The losses of the silence are not held against a way.
//! Only for a persistent session, which has little under way, the place of its last way is tried anew, every
//! [`REOPEN`].
//!
//! *Return.* As long as no direct way is in use, rounds of probes look for one: at once when an address
//! has changed at either end, then after [`ROUND_MIN`], twice as long each time, up to
//! [`ROUND_MAX_IN_USE`] while data flows. A session that nobody uses is not probed beyond
//! [`ROUND_MAX_IDLE`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, Instant};

use coconet::path_mode::PathMode;
use noq::PathId;

use crate::endpoint::ACK_DELAY;
use crate::socket::Place;

/// A way of the same rank must be faster than so much of the present round trip, less [`RTT_NOISE`].
const CLEARLY_FASTER: f64 = 0.75;

/// Differences of round trips that mean nothing.
const RTT_NOISE: Duration = Duration::from_millis(2);

/// Probe timeouts without an acknowledgement after which a way has failed.
const PROBE_TIMEOUTS: u32 = 3;

/// Least time without an acknowledgement: a busy machine may pause so long.
pub const PATIENCE_MIN: Duration = Duration::from_millis(400);

/// Longest time without an acknowledgement, however long the round trip.
pub const PATIENCE_MAX: Duration = Duration::from_secs(3);

/// A way on which so much of what was sent is lost has failed, in hundredths.
const LOSSY: u64 = 60;

/// Least bytes sent before loss is judged.
const LOSSY_MIN: u64 = 16_000;

/// Time over which loss is judged.
const LOSSY_SPAN: Duration = Duration::from_secs(1);

/// How long a place that lost most of the data is avoided: it may be well again.
pub const AVOID_MIN: Duration = Duration::from_secs(2);

/// How long it is avoided at most when it fails again and again.
pub const AVOID_MAX: Duration = Duration::from_secs(32);

/// A place that was no longer avoided and works for so long has made up for its failure.
const AMENDS: Duration = Duration::from_secs(5);

/// Places that are remembered as bad.
const AVOIDED_MAX: usize = 16;

/// A way on which something waits for an answer for so long is silent: it is pinged, so often.
pub const SILENCE: Duration = Duration::from_secs(1);

/// For so long after every way has failed each is pinged four times as often: another carrier may be there any moment, and
/// the sooner an answer comes, the less a round trip says that spans the silence.
const HASTE: Duration = Duration::from_secs(3);

/// After so long, nothing is left of a time when no way worked.
const AFTER_DARK: Duration = Duration::from_secs(60);

/// A round trip may really grow so many times.
const RTT_GROWS: u32 = 8;

/// Pause between cries of distress, and between attempts at the place of a persistent session's only way.
pub const REOPEN: Duration = Duration::from_secs(1);

/// Pause between two questions for a relay.
pub const ASK_RELAY: Duration = Duration::from_secs(2);

/// First pause between rounds of probes.
pub const ROUND_MIN: Duration = Duration::from_secs(2);

/// Longest pause between rounds while data flows: a direct way is found so long after it became possible,
/// and a handshake.
pub const ROUND_MAX_IN_USE: Duration = Duration::from_secs(4);

/// Longest pause between rounds of an idle session; after that it is probed when it is used again.
pub const ROUND_MAX_IDLE: Duration = Duration::from_secs(60);

/// The same of a session that is always looked after.
pub const ROUND_MAX_PERSISTENT: Duration = Duration::from_secs(15);

/// A session without data for so long is idle.
pub const IDLE: Duration = Duration::from_secs(10);

/// Direct ways kept beside the one in use.
const SPARE_MAX: usize = 1;

/// One open way and what was counted on it since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// What QUIC knows it by.
    pub id: PathId,
    /// Where it leads.
    pub place: Place,
    /// Whether it is known to carry packets both ways.
    pub validated: bool,
    /// Smoothed round trip, in nanoseconds: no two are the same.
    pub rtt: Duration,
    /// Bytes sent that want an acknowledgement.
    pub sent: u64,
    /// Bytes of those that are known to be lost.
    pub lost: u64,
    /// What the other side says of it: that it is a reserve.
    pub reserve: bool,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Send data by this way, by no other.
    Use(PathId, Why),
    /// Give this way up.
    Close(PathId),
    /// Open a way to this place.
    Open(Place),
    /// Ask the manager for a relay.
    AskRelay,
    /// Begin a round of probes.
    Round,
    /// Send something small by this way: its answer says what of the rest was lost.
    Ping(PathId),
    /// No way works: whoever knows the manager should look whether this node's address has changed.
    Distress,
}

/// Why the way in use is the one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It answered first.
    First,
    /// It is direct, and the one before was not.
    Direct,
    /// It is faster than the one before.
    Faster,
    /// The one before failed.
    Failed(Failure),
    /// The other node has chosen it.
    Followed,
}

/// How a way failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Nothing was acknowledged.
    Silent,
    /// Most of the data was lost.
    Lossy,
    /// It was closed.
    Closed,
    /// The other node could not use it.
    Refused,
}

/// Better ones first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Direct,
    Relay,
}

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manners {
    /// Which ways may be taken.
    pub mode: PathMode,
    /// Whether this node has dialled it.
    pub dialled: bool,
    /// Whether a relay is kept in reserve while a direct way works. Otherwise it is asked for when none does,
    /// and given up when one does again.
    pub reserve: bool,
    /// Whether a direct way is looked for even while nobody uses the session.
    pub persistent: bool,
}

/// The judge of one session.
#[derive(Debug)]
pub struct Policy {
    manners: Manners,
    chosen: Option<PathId>,
    watch: Option<Watch>,
    avoided: BTreeMap<Place, Avoided>,
    round: Option<Instant>,
    pause: Duration,
    reopen: Option<Instant>,
    asked: Option<Instant>,
    used: Instant,
    total: u64,
    pulses: BTreeMap<PathId, Pulse>,
    /// The ways that have failed since one proved itself.
    left: BTreeSet<PathId>,
    /// When places last fell silent while another worked.
    fell: BTreeMap<Place, Instant>,
    /// The way that the other side cannot use.
    refused: Option<PathId>,
    /// When every way was last found to fail.
    dark: Option<Instant>,
    /// Since when none has proved itself after that.
    groping: Option<Instant>,
    /// When a way last answered again.
    awoke: Option<Instant>,
    /// When distress was last cried.
    cried: Option<Instant>,
}

/// Whether a way answers.
#[derive(Debug, Clone, Copy)]
struct Pulse {
    sent: u64,
    rtt: Duration,
    /// The shortest round trip. One that spans a silence says nothing of the way.
    shortest: Duration,
    /// Since when something waits for an answer.
    waiting: Option<Instant>,
    pinged: Option<Instant>,
    /// When it last answered.
    felt: Instant,
}

/// A place that has failed.
#[derive(Debug, Clone, Copy)]
struct Avoided {
    until: Instant,
    pause: Duration,
}

impl Pulse {
    /// How long something has waited.
    fn lasts(&self, now: Instant) -> Duration {
        self.waiting.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }
}

/// The way in use, as it was when it last got on.
#[derive(Debug, Clone, Copy)]
struct Watch {
    /// When data was first sent that is not acknowledged yet.
    waiting: Option<Instant>,
    acks: u64,
    /// Whether any has come since it was taken.
    proved: bool,
    sent: u64,
    /// Where the span began over which loss is judged.
    span: (Instant, u64, u64),
}

impl Policy {
    /// Of a session that begins now.
    pub fn new(manners: Manners, now: Instant) -> Self {
        Self {
            manners,
            chosen: None,
            watch: None,
            avoided: BTreeMap::new(),
            round: Some(now),
            pause: ROUND_MIN,
            reopen: None,
            asked: None,
            used: now,
            total: 0,
            pulses: BTreeMap::new(),
            left: BTreeSet::new(),
            fell: BTreeMap::new(),
            refused: None,
            dark: None,
            groping: None,
            awoke: None,
            cried: None,
        }
    }

    /// The way in use.
    pub fn chosen(&self) -> Option<PathId> {
        self.chosen
    }

    /// Whether every way has failed and none has proved itself since: any may be the one that works again, so that each is to
    /// carry what there is.
    pub fn gropes(&self) -> bool {
        self.groping.is_some()
    }

    /// Whether no data flowed lately, and nothing waits for an answer.
    pub fn is_idle(&self, now: Instant) -> bool {
        self.is_unused(now) && !self.pulses.values().any(|pulse| pulse.waiting.is_some())
    }

    /// Whether no data flowed lately.
    pub fn is_unused(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.used) >= IDLE
    }

    /// For how long nothing has come by the way in use although something should, from [`SILENCE`] on.
    pub fn silent(&self, now: Instant) -> Option<Duration> {
        let lasts = self.pulses.get(&self.chosen?)?.lasts(now);
        (lasts >= SILENCE).then_some(lasts)
    }

    /// Whether something that was sent by that way waits for an answer.
    pub fn waits_for(&self, id: PathId) -> bool {
        self.pulses.get(&id).is_some_and(|pulse| pulse.waiting.is_some())
    }

    /// Addresses have changed at one of the ends: probe now, and hold nothing against any place.
    pub fn changed(&mut self, now: Instant) {
        self.avoided.clear();
        self.fell.clear();
        (self.round, self.pause) = (Some(now), ROUND_MIN);
    }

    /// The other side does not get through on `way`, though this one may: it is left at the next look, and avoided
    /// unless it is silent here as well. Not believed just after a silence, when the other side says first what
    /// it has meant long ago.
    pub fn refused(&mut self, now: Instant, way: &Way) -> bool {
        let believed = !self.has_just_awoken(now);
        if believed && self.chosen == Some(way.id) && self.manners.dialled {
            if !self.is_silent(now, way.id) {
                self.avoid(now, way.place);
            }
            self.round = Some(now);
            self.refused = Some(way.id);
        }
        believed
    }

    /// Judge. `acks` counts acknowledgements received on any way, `carried` the bytes of data in either
    /// direction.
    pub fn look(&mut self, now: Instant, ways: &[Way], acks: u64, carried: u64) -> Vec<Step> {
        if carried != self.total {
            if self.is_idle(now) && self.round.is_some_and(|at| at > now) {
                // Used again: do not wait for a round that was put off.
                self.round = Some(now);
            }
            (self.total, self.used) = (carried, now);
        }
        self.avoided.retain(|_, avoided| avoided.until + AMENDS > now);
        self.fell.retain(|_, at| *at + AMENDS > now);
        let mut steps = self.feel(now, ways);
        let current = self.chosen.and_then(|id| ways.iter().find(|way| way.id == id)).copied();
        let failure = match &current {
            Some(way) => self.failure(now, way, acks),
            None if self.chosen.is_some() => Some(Failure::Closed),
            None => None,
        };
        let best = self.best(now, ways, current.as_ref().filter(|_| failure.is_none()), failure);
        match (current, failure, best) {
            (current, _, Some((best, why))) if current.is_none_or(|way| way.id != best.id) => {
                if let (Some(failed), Some(failure)) = (current, failure) {
                    self.leave(now, &failed, failure, best.id);
                }
                steps.push(Step::Use(best.id, why));
                if failure.is_some() {
                    steps.push(Step::Distress);
                    (self.round, self.pause) = (Some(now), ROUND_MIN);
                }
                (self.chosen, self.watch, self.refused) = (Some(best.id), None, None);
                self.reopen = None;
            }
            // The only way there is has failed.
            (Some(way), Some(_), _) => {
                self.refused = None;
                self.revive(now, &way, ways, &mut steps);
            }
            (Some(way), None, _) => {
                self.reopen = None;
                self.settle(&way, ways, &mut steps);
            }
            (None, _, _) => {}
        }
        self.groping = self.groping.filter(|_| !self.watch.is_some_and(|watch| watch.proved));
        self.cry(now, &mut steps);
        if self.manners.dialled {
            self.search(now, ways, &mut steps);
            self.tidy(now, ways, &mut steps);
        }
        self.bury(now, ways, &mut steps);
        steps
    }

    /// Which ways answer. One that does not is pinged, and for a while one that answered late: what was sent after that
    /// may be lost as well.
    fn feel(&mut self, now: Instant, ways: &[Way]) -> Vec<Step> {
        self.pulses.retain(|id, _| ways.iter().any(|way| way.id == *id));
        for way in ways.iter().filter(|way| way.validated) {
            let fresh = Pulse {
                sent: way.sent,
                rtt: way.rtt,
                shortest: way.rtt,
                waiting: None,
                pinged: None,
                felt: now,
            };
            let pulse = self.pulses.entry(way.id).or_insert(fresh);
            // What comes by it says nothing of what is sent by it; each acknowledgement changes the round trip.
            // One of what was sent before a silence, which is said again, changes it by an eighth of that silence.
            let stale = pulse.lasts(now) >= SILENCE && way.rtt > pulse.rtt + pulse.lasts(now) / 16;
            if stale {
                pulse.rtt = way.rtt;
            } else if way.rtt != pulse.rtt {
                if pulse.lasts(now) >= SILENCE {
                    self.awoke = Some(now);
                }
                let shortest = pulse.shortest.min(way.rtt);
                *pulse = Pulse { shortest, ..fresh };
            } else if way.sent > pulse.sent && pulse.waiting.is_none() {
                pulse.waiting = Some(now);
            }
        }
        let in_haste = self.groping.is_some_and(|at| now.saturating_duration_since(at) < HASTE);
        let pause = if in_haste { SILENCE / 4 } else { SILENCE };
        let due = |way: &&Way| {
            let Some(pulse) = self.pulses.get(&way.id) else { return false };
            let since = pulse.pinged.max(pulse.waiting).max(Some(pulse.felt));
            let late = pulse.waiting.is_some() || self.is_slow_to_close(now, way);
            late && since.is_some_and(|at| now.saturating_duration_since(at) >= pause)
        };
        let due: Vec<PathId> = ways.iter().filter(due).map(|way| way.id).collect();
        for id in &due {
            self.pulses.entry(*id).and_modify(|pulse| pulse.pinged = Some(now));
        }
        due.into_iter().map(Step::Ping).collect()
    }

    /// The way in use has failed, and `other` is taken instead.
    fn leave(&mut self, now: Instant, failed: &Way, failure: Failure, other: PathId) {
        self.left.insert(failed.id);
        if self.left.remove(&other) {
            // All have failed, so it is not the ways. What is under way on them is not given up, and nothing is
            // held against them.
            self.dark = Some(now);
            self.groping.get_or_insert(now);
            self.left.clear();
            self.avoided.clear();
            self.fell.clear();
            return;
        }
        // Probes pass where data does not: what was found again and fell silent again is no way.
        let fell = failure == Failure::Silent && self.fell.insert(failed.place, now).is_some();
        // Whoever was dialled does not follow back there before the other side has seen to it.
        if failure == Failure::Lossy || fell || !self.manners.dialled {
            self.avoid(now, failed.place);
        }
    }

    /// The way in use works. Those that were left for it are closed once that is proved, so that their data goes by
    /// this one, unless they answer again as well.
    fn settle(&mut self, current: &Way, ways: &[Way], steps: &mut Vec<Step>) {
        if !self.watch.is_some_and(|watch| watch.proved) {
            return;
        }
        let left = std::mem::take(&mut self.left);
        let closing = |way: &&Way| {
            left.contains(&way.id)
                && way.id != current.id
                && (self.waits_for(way.id) || self.avoided.contains_key(&way.place))
        };
        if self.manners.dialled {
            steps.extend(ways.iter().filter(closing).map(|way| Step::Close(way.id)));
        }
    }

    /// Cry for help as long as the way in use does not answer.
    fn cry(&mut self, now: Instant, steps: &mut Vec<Step>) {
        let silent =
            self.chosen.and_then(|id| self.pulses.get(&id)).is_some_and(|pulse| pulse.lasts(now) >= REOPEN);
        if steps.contains(&Step::Distress) {
            self.cried = Some(now);
        } else if silent && self.cried.is_none_or(|at| now.saturating_duration_since(at) >= REOPEN) {
            self.cried = Some(now);
            steps.push(Step::Distress);
        }
    }

    /// Close the ways that do not answer while the one in use does, so that what waits there goes by that one.
    fn bury(&mut self, now: Instant, ways: &[Way], steps: &mut Vec<Step>) {
        let works =
            self.chosen.and_then(|id| self.pulses.get(&id)).is_some_and(|pulse| pulse.waiting.is_none());
        // Others may need a little longer to awake.
        let calm = self.awoke.is_none_or(|at| now.saturating_duration_since(at) >= SILENCE);
        let dead = |way: &&Way| {
            let silence = self.pulses.get(&way.id).map_or(Duration::ZERO, |pulse| pulse.lasts(now));
            Some(way.id) != self.chosen && silence >= SILENCE * 2 && !self.is_slow_to_close(now, way)
        };
        if works && calm && self.watch.is_some_and(|watch| watch.proved) {
            let dead: Vec<Step> = ways.iter().filter(dead).map(|way| Step::Close(way.id)).collect();
            steps.extend(dead.into_iter().filter(|step| !steps.contains(step)).collect::<Vec<_>>());
        }
    }

    /// Whether it would take long until what is under way on `way` counted as lost if it were closed: its round trip
    /// spans a silence.
    fn is_slow_to_close(&self, now: Instant, way: &Way) -> bool {
        let dark = self.dark.is_some_and(|at| now.saturating_duration_since(at) < AFTER_DARK);
        dark && way.rtt >= SILENCE
    }

    /// Whether a silence has ended not long ago.
    fn has_just_awoken(&self, now: Instant) -> bool {
        self.awoke.is_some_and(|at| now.saturating_duration_since(at) < PATIENCE_MAX)
    }

    /// Whether nothing comes by that way though something should.
    fn is_silent(&self, now: Instant, id: PathId) -> bool {
        self.pulses.get(&id).is_some_and(|pulse| pulse.lasts(now) >= SILENCE)
    }

    /// How the way in use fails, if it does.
    fn failure(&mut self, now: Instant, way: &Way, acks: u64) -> Option<Failure> {
        let span = (now, way.sent, way.lost);
        let fresh = Watch { waiting: None, acks, proved: false, sent: way.sent, span };
        // The acknowledgements may be of others.
        let answers = |pulse: &Pulse| {
            pulse.waiting.is_none() && now.saturating_duration_since(pulse.felt) < SILENCE * 2
        };
        let others_alone = self.is_silent(now, way.id)
            && self.pulses.iter().any(|(id, pulse)| *id != way.id && answers(pulse));
        let just_awoken = self.has_just_awoken(now);
        let watch = self.watch.get_or_insert(fresh);
        // What was lost in a silence is found when it ends, and is no reason to leave.
        if just_awoken {
            watch.span = span;
        }
        if acks > watch.acks {
            (watch.acks, watch.sent, watch.waiting, watch.proved) = (acks, way.sent, None, true);
        } else if way.sent > watch.sent && watch.waiting.is_none() {
            watch.waiting = Some(now);
        }
        if self.refused == Some(way.id) {
            return Some(Failure::Refused);
        }
        if others_alone {
            return Some(Failure::Silent);
        }
        let shortest = self.pulses.get(&way.id).map_or(way.rtt, |pulse| pulse.shortest);
        let patience = match self.dark {
            // In vain as likely as not, so there is no hurry.
            Some(at) if !watch.proved && now.saturating_duration_since(at) < AFTER_DARK => PATIENCE_MAX,
            _ => patience(way.rtt.min(shortest * RTT_GROWS)),
        };
        if watch.waiting.is_some_and(|since| now.saturating_duration_since(since) >= patience) {
            return Some(Failure::Silent);
        }
        let (began, sent, lost) = watch.span;
        let (sent, lost) = (way.sent.saturating_sub(sent), way.lost.saturating_sub(lost));
        if sent >= LOSSY_MIN && lost * 100 >= sent * LOSSY {
            return Some(Failure::Lossy);
        }
        if now.saturating_duration_since(began) >= LOSSY_SPAN.max(patience) {
            watch.span = span;
        }
        None
    }

    /// The way to use, and why it is another than before.
    fn best(
        &self,
        now: Instant,
        ways: &[Way],
        healthy: Option<&Way>,
        failure: Option<Failure>,
    ) -> Option<(Way, Why)> {
        let open = |way: &Way| {
            way.validated && self.allows(way.place) && (failure.is_none() || self.chosen != Some(way.id))
        };
        let avoided = |way: &Way| self.avoided.get(&way.place).is_some_and(|avoided| avoided.until > now);
        let answers = |way: &Way| {
            healthy.is_some_and(|healthy| healthy.id == way.id)
                || (!self.left.contains(&way.id) && !self.is_silent(now, way.id))
        };
        let usable = |way: &&Way| open(way) && !avoided(way) && answers(way);
        if !self.manners.dialled {
            // Follow whoever dialled, as long as that works.
            let followed = ways.iter().filter(usable).find(|way| !way.reserve);
            if let Some(way) = followed
                && (healthy.is_none_or(|healthy| healthy.reserve) || healthy.is_some_and(|h| h.id == way.id))
            {
                return Some((*way, failure.map_or(Why::Followed, Why::Failed)));
            }
            if let Some(healthy) = healthy {
                return Some((*healthy, Why::Followed));
            }
        }
        let better = |way: &&Way| (rank(way.place), way.rtt);
        let untried = |way: &&Way| open(way) && !avoided(way) && !self.left.contains(&way.id);
        let mut best = ways.iter().filter(usable).min_by_key(better);
        if failure.is_some() {
            best = best.or_else(|| ways.iter().filter(untried).min_by_key(better));
        }
        // What has just failed is taken again only for one that is as silent.
        if failure == Some(Failure::Silent) {
            best = best.or_else(|| {
                ways.iter().filter(|way| self.left.contains(&way.id) && open(way)).min_by_key(better)
            });
        }
        let best = best?;
        let Some(healthy) = healthy else {
            return Some((*best, failure.map_or(Why::First, Why::Failed)));
        };
        let faster = best.rtt + RTT_NOISE < healthy.rtt.mul_f64(CLEARLY_FASTER);
        match rank(best.place).cmp(&rank(healthy.place)) {
            std::cmp::Ordering::Less => Some((*best, Why::Direct)),
            std::cmp::Ordering::Equal if faster => Some((*best, Why::Faster)),
            std::cmp::Ordering::Equal | std::cmp::Ordering::Greater => Some((*healthy, Why::First)),
        }
    }

    /// The only way there is does not work: try its place anew, and another.
    fn revive(&mut self, now: Instant, way: &Way, ways: &[Way], steps: &mut Vec<Step>) {
        if self.reopen.is_some_and(|at| at > now) {
            return;
        }
        self.reopen = Some(now + REOPEN);
        steps.push(Step::Distress);
        if !self.manners.dialled || !self.manners.persistent {
            return;
        }
        // An attempt under way is an attempt.
        if !ways.iter().any(|other| other.id != way.id && other.place == way.place) {
            steps.push(Step::Open(way.place));
        }
        if self.round.is_none_or(|at| at > now + REOPEN) {
            self.round = Some(now + REOPEN);
        }
    }

    /// Look for what is missing: a direct way, and a relay in reserve.
    fn search(&mut self, now: Instant, ways: &[Way], steps: &mut Vec<Step>) {
        let has = |wanted: Rank| ways.iter().any(|way| rank(way.place) == wanted && way.validated);
        let in_use = ways.iter().find(|way| Some(way.id) == self.chosen);
        let works =
            |wanted: Rank| in_use.is_some_and(|way| rank(way.place) == wanted) && self.reopen.is_none();
        if self.manners.mode.direct() && !works(Rank::Direct) && self.round.is_some_and(|at| at <= now) {
            steps.push(Step::Round);
            let idle = self.is_idle(now);
            let longest = match idle {
                false => ROUND_MAX_IN_USE,
                true if self.manners.persistent => ROUND_MAX_PERSISTENT,
                true => ROUND_MAX_IDLE,
            };
            self.round = if idle && !self.manners.persistent && self.pause >= longest {
                // Beyond that it waits for data; see `look`.
                Some(now + Duration::from_secs(u64::from(u32::MAX)))
            } else {
                Some(now + self.pause.min(longest))
            };
            self.pause = (self.pause * 2).min(ROUND_MAX_IDLE);
        }
        let relay_fails = in_use.is_some_and(|way| rank(way.place) == Rank::Relay) && self.reopen.is_some();
        let wanted = self.manners.reserve || self.reopen.is_some();
        let missing = (wanted && !has(Rank::Relay)) || relay_fails;
        if self.manners.mode.relay() && missing && self.asked.is_none_or(|at| now >= at + ASK_RELAY) {
            let calm = in_use.is_some() && !relay_fails && self.asked.is_some() && self.is_idle(now);
            if !calm {
                self.asked = Some(now);
                steps.push(Step::AskRelay);
            }
        }
    }

    /// Close ways that are too many.
    fn tidy(&self, now: Instant, ways: &[Way], steps: &mut Vec<Step>) {
        let direct = ways.iter().any(|way| Some(way.id) == self.chosen && rank(way.place) == Rank::Direct);
        if direct && !self.manners.reserve && self.reopen.is_none() {
            let relays = ways.iter().filter(|way| rank(way.place) == Rank::Relay);
            let relays = relays.filter(|way| !self.is_slow_to_close(now, way));
            steps.extend(relays.map(|way| Step::Close(way.id)));
        }
        let spare = |way: &&Way| {
            way.validated
                && rank(way.place) == Rank::Direct
                && self.chosen.is_some_and(|id| id != way.id)
                && !self.waits_for(way.id)
                && !self.is_slow_to_close(now, way)
        };
        let mut spares: Vec<&Way> = ways.iter().filter(spare).collect();
        spares.sort_by_key(|way| way.rtt);
        let closing = spares.iter().skip(SPARE_MAX).map(|way| Step::Close(way.id));
        let closing: Vec<Step> = closing.filter(|step| !steps.contains(step)).collect();
        steps.extend(closing);
    }

    fn allows(&self, place: Place) -> bool {
        match rank(place) {
            Rank::Direct => self.manners.mode.direct(),
            Rank::Relay => self.manners.mode.relay(),
        }
    }

    fn avoid(&mut self, now: Instant, place: Place) {
        let before = self.avoided.get(&place);
        let pause = before.map_or(AVOID_MIN, |before| (before.pause * 2).min(AVOID_MAX));
        if before.is_some() || self.avoided.len() < AVOIDED_MAX {
            self.avoided.insert(place, Avoided { until: now + pause, pause });
        }
    }
}

/// How long data on a way of that round trip may go unacknowledged: three probe timeouts (RFC 9002, 6.2.1,
/// with the round trip's usual variation).
pub fn patience(rtt: Duration) -> Duration {
    let probe_timeout = rtt * 2 + ACK_DELAY;
    (probe_timeout * PROBE_TIMEOUTS).clamp(PATIENCE_MIN, PATIENCE_MAX)
}

fn rank(place: Place) -> Rank {
    match place {
        Place::Direct(_) => Rank::Direct,
        Place::Relay { .. } | Place::Dial(_) | Place::Carrier(_) => Rank::Relay,
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First => f.pad("it answered first"),
            Self::Direct => f.pad("a direct way was found"),
            Self::Faster => f.pad("faster than the way before"),
            Self::Failed(failure) => write!(f, "the way before {failure}"),
            Self::Followed => f.pad("chosen by the other node"),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Silent => "no longer answers",
            Self::Lossy => "lost most of the data",
            Self::Closed => "was closed",
            Self::Refused => "does not work for the other node",
        })
    }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
