//! A long transfer through a tunnel, watched while the network changes under it: whether each byte is right, and
//! when nothing arrived.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use crate::support::bytes::Noise;
use crate::support::net::App;
use crate::support::wait::{PATIENCE, is, until, until_since};
use crate::world::{connect, way};

/// Bytes sent at once, and compared at once.
const CHUNK: usize = 1 << 14;

/// The direction from the viewer to the exporter gets this part of the rate.
const TRICKLE: u64 = 16;

/// What a viewer says first.
const KNOCK: u8 = b'!';

/// A pause shorter than that is the machine's.
const PAUSE: Duration = Duration::from_millis(100);

/// A sender that is so far behind its rate does not make up for it.
const ARREARS: Duration = Duration::from_millis(50);

/// Data has to arrive by a way for so long before the way counts as found.
const STEADY: Duration = Duration::from_secs(1);

/// One resource, whose connections belong to the test.
pub(crate) struct Offer {
    name: String,
    listener: TcpListener,
}

impl Offer {
    /// Offer a resource of the host of `app`.
    pub(crate) fn new(app: &App, name: &str) -> Self {
        let listener = app.host().enter(|| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        app.expose(&format!("tcp://{}", listener.local_addr().unwrap()), name);
        Self { name: name.to_owned(), listener }
    }

    /// The next connection of a viewer; a daemon may look in to see whether there is somebody.
    fn accept(&self) -> TcpStream {
        loop {
            let (mut stream, _) = self.listener.accept().unwrap();
            if stream.read_exact(&mut [0]).is_ok() {
                return stream;
            }
        }
    }
}

/// Two streams of noise through one connection: the fast one from the exporter to the viewer, a slow one back.
pub(crate) struct Transfer {
    down: Flow,
    up: Flow,
}

/// One direction.
struct Flow {
    shared: Arc<Shared>,
    sender: JoinHandle<u64>,
    receiver: JoinHandle<Result<u64, String>>,
}

struct Shared {
    /// Bytes a second; none as fast as they are taken.
    rate: Option<u64>,
    /// What to send at least, once it is to end.
    least: AtomicU64,
    ending: AtomicBool,
    received: AtomicU64,
    pauses: Mutex<Pauses>,
}

struct Pauses {
    last: Instant,
    /// When each began, and when it ended.
    all: Vec<(Instant, Instant)>,
}

impl Transfer {
    /// Open `offer` as `viewer`, and begin, with so many bytes a second to the viewer.
    pub(crate) fn start(offer: &Offer, viewer: &App, rate: Option<u64>) -> Self {
        let address = viewer.open_address(&offer.name);
        let mut near = connect(viewer, address);
        near.write_all(&[KNOCK]).unwrap();
        let far = offer.accept();
        far.set_read_timeout(near.read_timeout().unwrap()).unwrap();
        far.set_write_timeout(near.write_timeout().unwrap()).unwrap();
        let trickle = rate.map(|rate| rate / TRICKLE);
        let down = Flow::start(1, far.try_clone().unwrap(), near.try_clone().unwrap(), rate);
        let up = Flow::start(2, near, far, trickle);
        Self { down, up }
    }

    /// Wait until so many bytes have reached the viewer.
    pub(crate) fn await_bytes(&self, count: u64) {
        until(&format!("{count} bytes arrive"), PATIENCE, || is(self.received() >= count, self.received()));
    }

    /// Bytes that have reached the viewer.
    pub(crate) fn received(&self) -> u64 {
        self.down.shared.received.load(Ordering::Relaxed)
    }

    /// Bytes a second that reach the viewer in the `time` from now on.
    pub(crate) fn rate_over(&self, time: Duration) -> f64 {
        let (began, before) = (Instant::now(), self.received());
        sleep(time);
        (self.received() - before) as f64 / began.elapsed().as_secs_f64()
    }

    /// Wait until data comes both ways by a `wanted` way and keeps coming; how long after `since` that began.
    pub(crate) fn until_by(&self, wanted: &str, viewer: &App, since: Instant, within: Duration) -> Duration {
        let mut steady = None;
        until_since(since, &format!("data comes by a {wanted} way"), within + STEADY, || {
            let began = Instant::now();
            let silence = |flow: &Flow| flow.shared.pauses().last.elapsed();
            let (way, silence) = (way(viewer), silence(&self.down).max(silence(&self.up)));
            if way != wanted || silence > PAUSE * 2 {
                steady = None;
                return Err(format!("{way}, nothing for {silence:?}"));
            }
            let steady = *steady.get_or_insert(began);
            if steady.elapsed() < STEADY {
                return Err(format!("only for {:?}", steady.elapsed()));
            }
            let found = steady.saturating_duration_since(since);
            is(found <= within, format!("{found:?}")).map(|()| found)
        })
    }

    /// The longest time without data since then, of either direction.
    pub(crate) fn longest_pause(&self, since: Instant) -> Duration {
        self.down.longest_pause(since).max(self.up.longest_pause(since))
    }

    /// End when at least `least` bytes have been sent to the viewer, without holding back any longer: all that was
    /// sent has come, once and in order, in both directions.
    pub(crate) fn finish(self, least: u64) {
        let (down, up) = (self.down.finish(least), self.up.finish(0));
        assert!(down.is_ok(), "to the viewer: {down:?}");
        assert!(up.is_ok(), "from the viewer: {up:?}");
    }
}

impl Flow {
    fn start(seed: u64, from: TcpStream, to: TcpStream, rate: Option<u64>) -> Self {
        let shared = Arc::new(Shared {
            rate,
            least: AtomicU64::new(0),
            ending: AtomicBool::new(false),
            received: AtomicU64::new(0),
            pauses: Mutex::new(Pauses { last: Instant::now(), all: Vec::new() }),
        });
        let sender = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.send(seed, from))
        };
        let receiver = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.receive(seed, to))
        };
        Self { shared, sender, receiver }
    }

    fn longest_pause(&self, since: Instant) -> Duration {
        let pauses = self.shared.pauses();
        let now = (pauses.last, Instant::now());
        let of_interest = pauses.all.iter().chain([&now]).filter(|(_, ended)| *ended > since);
        of_interest.map(|(began, ended)| *ended - *began).max().unwrap_or_default()
    }

    fn finish(self, least: u64) -> Result<(), String> {
        self.shared.least.store(least, Ordering::Relaxed);
        self.shared.ending.store(true, Ordering::Relaxed);
        let lost = |_| "a thread of the test has panicked".to_owned();
        let (sent, received) = (self.sender.join().map_err(lost)?, self.receiver.join().map_err(lost)??);
        is(received == sent, format!("{received} bytes of {sent}, and a clean end"))
    }
}

impl Shared {
    /// Returns how much went.
    fn send(&self, seed: u64, mut to: TcpStream) -> u64 {
        let (mut noise, mut chunk, mut sent) = (Noise::new(seed), vec![0; CHUNK], 0);
        let mut due = Instant::now();
        loop {
            let ending = self.ending.load(Ordering::Relaxed);
            if ending && sent >= self.least.load(Ordering::Relaxed) {
                break;
            }
            noise.fill(&mut chunk);
            // Broken off: the receiver says what that means.
            if to.write_all(&chunk).is_err() {
                return sent;
            }
            sent += CHUNK as u64;
            if let Some(rate) = self.rate.filter(|_| !ending) {
                due = due.max(Instant::now() - ARREARS) + Duration::from_secs_f64(CHUNK as f64 / rate as f64);
                sleep(due.saturating_duration_since(Instant::now()));
            }
        }
        let _ = to.shutdown(Shutdown::Write);
        sent
    }

    /// Returns how much came, all of it right.
    fn receive(&self, seed: u64, mut from: TcpStream) -> Result<u64, String> {
        let (mut noise, mut expected, mut chunk) = (Noise::new(seed), vec![0; CHUNK], vec![0; CHUNK]);
        let (mut at, mut received) = (CHUNK, 0);
        loop {
            if at == CHUNK {
                noise.fill(&mut expected);
                at = 0;
            }
            let count = match from.read(&mut chunk[at..]) {
                Ok(0) => return Ok(received),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(format!("broke off after {received} bytes: {error}")),
            };
            self.came(count);
            if chunk[at..at + count] != expected[at..at + count] {
                return Err(format!("wrong bytes between {received} and {}", received + count as u64));
            }
            (at, received) = (at + count, received + count as u64);
        }
    }

    fn came(&self, count: usize) {
        let now = Instant::now();
        let mut pauses = self.pauses();
        let last = std::mem::replace(&mut pauses.last, now);
        if now - last >= PAUSE {
            pauses.all.push((last, now));
        }
        self.received.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn pauses(&self) -> MutexGuard<'_, Pauses> {
        self.pauses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
