//! Streams that nobody reads leave room for the others.
//!
//! All streams of a session share one window, [`CONNECTION_WINDOW`], and one whose reader is slow holds up
//! to [`STREAM_WINDOW`] of it: eight of them would hold all, and stop every stream there is. So a stream that
//! is *behind*, because its reader has not come to the end of what is there for [`BEHIND_AFTER`], gets room
//! of its own: the window grows by what it can hold, and shrinks again when it has caught up.
//!
//! That is memory, so it has an end: [`PEER_ROOM`] for the streams that the other node has opened, as many
//! as it likes; for those that were opened from here, for applications of this machine, a share of its memory
//! ([`own_room`]). Beyond that the stream that was read the longest ago is given up, once that is
//! [`GIVE_UP_AFTER`] ago: whoever forwards it resets it.
//!
//! A stream is a lane here. Its reader tells it when it got something and when there was nothing to get;
//! for as long as one is behind, a task looks at all of them, and an idle session has none.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use noq::{Connection, VarInt};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::endpoint::{CONNECTION_WINDOW, STREAM_WINDOW};

/// A stream that always had something to read for so long is behind. Long enough that a fast stream, whose
/// reader keeps up, is not; short enough that the others hardly notice when eight are.
pub const BEHIND_AFTER: Duration = Duration::from_millis(200);

/// A stream that nobody has read from for so long may be given up, where there are too many.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(3);

/// Room for streams that are behind and that the other node has opened, per session.
pub const PEER_ROOM: u32 = 64 << 20;

/// Most room for streams that are behind and that were opened from here, per session.
pub const OWN_ROOM_MAX: u32 = 1 << 30;

/// The share of the machine's memory that is [`own_room`].
const OWN_ROOM_SHARE: u64 = 8;

/// Time between two looks while something is behind.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Who has opened a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    /// This node.
    Own,
    /// The other one.
    Peer,
}

/// All streams of one session.
#[derive(Debug)]
pub(crate) struct Backlog {
    connection: Connection,
    /// None where nothing gets room.
    own_room: Option<u32>,
    began: Instant,
    lanes: Mutex<Lanes>,
    /// Whether a task looks.
    watched: AtomicBool,
}

#[derive(Debug, Default)]
struct Lanes {
    next: u64,
    by_number: BTreeMap<u64, Arc<Marks>>,
}

/// What is known of one stream.
#[derive(Debug)]
struct Marks {
    side: Side,
    /// When its reader last had nothing to read and then got something; [`CAUGHT_UP`] while there is nothing.
    behind_since: AtomicU64,
    /// When its reader last got something.
    read_at: AtomicU64,
    given_up: Notify,
}

/// There is nothing to read. Times count from one.
const CAUGHT_UP: u64 = 0;

/// One stream, for as long as it has a reader.
#[derive(Debug)]
pub(crate) struct Lane {
    backlog: Arc<Backlog>,
    number: u64,
    marks: Arc<Marks>,
}

/// Room for streams that are behind and were opened from here, on a machine with so many bytes of memory: an
/// eighth, from [`PEER_ROOM`] to [`OWN_ROOM_MAX`].
pub fn own_room(memory: u64) -> u32 {
    u32::try_from(memory / OWN_ROOM_SHARE).unwrap_or(OWN_ROOM_MAX).clamp(PEER_ROOM, OWN_ROOM_MAX)
}

impl Backlog {
    /// Of a session that has no stream yet.
    pub(crate) fn new(connection: Connection, own_room: Option<u32>) -> Self {
        let (lanes, watched) = (Mutex::default(), AtomicBool::new(false));
        Self { connection, own_room, began: Instant::now(), lanes, watched }
    }

    /// A stream more.
    pub(crate) fn enter(self: &Arc<Self>, side: Side) -> Lane {
        let (behind_since, read_at) = (AtomicU64::new(CAUGHT_UP), AtomicU64::new(CAUGHT_UP));
        let marks = Arc::new(Marks { side, behind_since, read_at, given_up: Notify::new() });
        let mut lanes = self.lock();
        let number = lanes.next;
        lanes.next += 1;
        lanes.by_number.insert(number, Arc::clone(&marks));
        Lane { backlog: Arc::clone(self), number, marks }
    }

    fn lock(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds since the session began, from one.
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }

    fn watch(self: &Arc<Self>) {
        if let Some(own_room) = self.own_room
            && !self.watched.swap(true, Ordering::Relaxed)
        {
            tokio::spawn(Arc::clone(self).look(own_room));
        }
    }

    /// Look until nothing is behind.
    async fn look(self: Arc<Self>, own_room: u32) {
        let mut window = CONNECTION_WINDOW;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let plan = plan(self.lock().by_number.values(), self.now(), own_room);
            if plan.window != window {
                window = plan.window;
                self.connection.set_receive_window(VarInt::from_u32(window));
            }
            for marks in plan.given_up {
                tracing::debug!("a stream that nobody reads is given up");
                marks.given_up.notify_one();
            }
            if !plan.busy || self.connection.close_reason().is_some() {
                // A stream that reads looks whether somebody watches, so none is overlooked for long.
                self.watched.store(false, Ordering::Relaxed);
                return;
            }
        }
    }
}

impl Lane {
    /// Read, and mark what came of it: `more` says whether there may be something after it.
    pub(crate) async fn read<T>(&self, read: impl Future<Output = T>, more: impl Fn(&T) -> bool) -> T {
        let mut read = pin!(read);
        poll_fn(|context| {
            let polled = read.as_mut().poll(context).map(|got| {
                if more(&got) {
                    self.got()
                } else {
                    self.caught_up()
                }
                got
            });
            if polled.is_pending() {
                self.caught_up();
            }
            polled
        })
        .await
    }

    /// Resolves when there are too many streams that nobody reads, and this one is to go.
    pub(crate) fn given_up(&self) -> impl Future<Output = ()> + use<> {
        let marks = Arc::clone(&self.marks);
        async move { marks.given_up.notified().await }
    }

    fn got(&self) {
        let now = self.backlog.now();
        self.marks.read_at.store(now, Ordering::Relaxed);
        let behind = &self.marks.behind_since;
        // Only its reader writes it.
        if behind.load(Ordering::Relaxed) == CAUGHT_UP {
            behind.store(now, Ordering::Relaxed);
        }
        self.backlog.watch();
    }

    fn caught_up(&self) {
        self.marks.behind_since.store(CAUGHT_UP, Ordering::Relaxed);
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.backlog.lock().by_number.remove(&self.number);
    }
}

/// What a look leads to.
struct Plan {
    /// The session's window from now on.
    window: u32,
    /// Streams that have to go.
    given_up: Vec<Arc<Marks>>,
    /// Whether to look again.
    busy: bool,
}

fn plan<'a>(lanes: impl Iterator<Item = &'a Arc<Marks>>, now: u64, own_room: u32) -> Plan {
    let mut plan = Plan { window: CONNECTION_WINDOW, given_up: Vec::new(), busy: false };
    let (mut own, mut peers) = (Vec::new(), Vec::new());
    for marks in lanes {
        let since = marks.behind_since.load(Ordering::Relaxed);
        if since == CAUGHT_UP {
            continue;
        }
        plan.busy = true;
        if is_past(since, now, BEHIND_AFTER) {
            match marks.side {
                Side::Own => own.push(marks),
                Side::Peer => peers.push(marks),
            }
        }
    }
    for (mut behind, room) in [(own, own_room), (peers, PEER_ROOM)] {
        let places = (room / STREAM_WINDOW) as usize;
        let surplus = behind.len().saturating_sub(places);
        if surplus > 0 {
            behind.sort_by_key(|marks| marks.read_at.load(Ordering::Relaxed));
            let gone =
                |marks: &&&Arc<Marks>| is_past(marks.read_at.load(Ordering::Relaxed), now, GIVE_UP_AFTER);
            plan.given_up.extend(behind.iter().take(surplus).take_while(gone).map(|marks| Arc::clone(marks)));
        }
        let kept = u32::try_from(behind.len().min(places)).unwrap_or(u32::MAX);
        plan.window = plan.window.saturating_add(kept.saturating_mul(STREAM_WINDOW));
    }
    plan
}

fn is_past(mark: u64, now: u64, time: Duration) -> bool {
    u128::from(now.saturating_sub(mark)) >= time.as_millis()
}

#[cfg(test)]
#[path = "backlog_tests.rs"]
mod tests;
