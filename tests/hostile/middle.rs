//! Somebody between the nodes and their manager, who passes on what is between those two, and treats badly what
//! the manager only relays.
//!
//! To the nodes this is the manager's relay: they have its address from the network's ledger, and whatever it
//! does to a data frame is what a hostile manager could do.

use std::collections::{HashMap, VecDeque};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use coco_lab::Host;
use coco_tunnel::relay::frame::{Frame, HEADER};

use crate::random::Random;

/// Larger than any packet.
const PACKET: usize = 1 << 11;

/// How often packets that are held back are looked at.
const TICK: Duration = Duration::from_millis(1);

/// Packets that may be replayed.
const OLD: usize = 4096;

/// Longest time a packet is held back so that others overtake it.
const OVERTAKEN: Duration = Duration::from_millis(5);

/// Longest delay.
const DELAY: Duration = Duration::from_millis(300);

/// What is done to data frames, each with its probability; in each direction, before and behind the manager.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Malice {
    pub(crate) drop: f64,
    pub(crate) duplicate: f64,
    pub(crate) reorder: f64,
    pub(crate) delay: f64,
    /// One bit is flipped, anywhere behind the header.
    pub(crate) alter: f64,
    /// The end is cut off, or something is added.
    pub(crate) resize: f64,
    /// An old packet of anybody is sent as well.
    pub(crate) replay: f64,
    /// The packet goes back to who sent it as well.
    pub(crate) reflect: f64,
}

/// How often each was done, in the order of [`Malice`].
pub(crate) const DEEDS: usize = 8;

/// The person in the middle.
pub(crate) struct Middle {
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

struct Shared {
    socket: UdpSocket,
    manager: SocketAddr,
    malice: Mutex<Malice>,
    random: Mutex<Random>,
    done: [AtomicU64; DEEDS],
    stop: AtomicBool,
}

/// One direction of one node.
struct Road {
    random: Random,
    old: VecDeque<Vec<u8>>,
    held: Vec<(Instant, Vec<u8>)>,
}

/// What becomes of one packet.
#[derive(Default)]
struct Treated {
    on: Vec<Vec<u8>>,
    back: Vec<Vec<u8>>,
}

impl Middle {
    /// On `host`, at the manager's port there, in front of `manager`.
    pub(crate) fn start(host: &Host, manager: SocketAddr, mut random: Random) -> Self {
        let socket = host.udp((Ipv4Addr::UNSPECIFIED, manager.port()));
        socket.set_read_timeout(Some(TICK)).unwrap();
        let shared = Arc::new(Shared {
            socket,
            manager,
            malice: Mutex::default(),
            random: Mutex::new(random.fork()),
            done: Default::default(),
            stop: AtomicBool::new(false),
        });
        let listener = {
            let shared = Arc::clone(&shared);
            host.enter(|| thread::spawn(move || shared.listen()))
        };
        Self { shared, listener: Some(listener) }
    }

    /// From now on.
    pub(crate) fn set(&self, malice: Malice) {
        *locked(&self.shared.malice) = malice;
    }

    /// How often each deed was done.
    pub(crate) fn done(&self) -> [u64; DEEDS] {
        self.shared.done.each_ref().map(|count| count.load(Ordering::Relaxed))
    }
}

impl Drop for Middle {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }
}

impl Shared {
    /// From the nodes to the manager.
    fn listen(self: Arc<Self>) {
        let mut nodes: HashMap<SocketAddr, (Arc<UdpSocket>, Road)> = HashMap::new();
        let mut answering = Vec::new();
        let mut buffer = [0; PACKET];
        while !self.stop.load(Ordering::Relaxed) {
            match self.socket.recv_from(&mut buffer) {
                Ok((len, node)) => {
                    let (upstream, road) = nodes.entry(node).or_insert_with(|| {
                        let upstream = Arc::new(UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap());
                        upstream.connect(self.manager).unwrap();
                        upstream.set_read_timeout(Some(TICK)).unwrap();
                        let (shared, answers) = (Arc::clone(&self), Arc::clone(&upstream));
                        answering.push(thread::spawn(move || shared.answer(node, &answers)));
                        (upstream, self.road())
                    });
                    let treated = road.treat(&self, &buffer[..len]);
                    self.send(
                        treated,
                        |packet| upstream.send(packet),
                        |packet| self.socket.send_to(packet, node),
                    );
                }
                Err(error) => assert!(is_pause(&error), "{error}"),
            }
            for (upstream, road) in nodes.values_mut() {
                for packet in road.due() {
                    let _ = upstream.send(&packet);
                }
            }
        }
        for thread in answering {
            let _ = thread.join();
        }
    }

    /// From the manager to a node.
    fn answer(&self, node: SocketAddr, upstream: &UdpSocket) {
        let mut road = self.road();
        let mut buffer = [0; PACKET];
        while !self.stop.load(Ordering::Relaxed) {
            match upstream.recv(&mut buffer) {
                Ok(len) => {
                    let treated = road.treat(self, &buffer[..len]);
                    self.send(
                        treated,
                        |packet| self.socket.send_to(packet, node),
                        |packet| upstream.send(packet),
                    );
                }
                Err(error) => assert!(is_pause(&error), "{error}"),
            }
            for packet in road.due() {
                let _ = self.socket.send_to(&packet, node);
            }
        }
    }

    /// What is not sent is lost, like any packet.
    fn send<T>(
        &self,
        treated: Treated,
        on: impl Fn(&[u8]) -> std::io::Result<T>,
        back: impl Fn(&[u8]) -> std::io::Result<T>,
    ) {
        for packet in treated.on {
            let _ = on(&packet);
        }
        for packet in treated.back {
            let _ = back(&packet);
        }
    }

    fn road(&self) -> Road {
        Road { random: locked(&self.random).fork(), old: VecDeque::new(), held: Vec::new() }
    }
}

impl Road {
    fn treat(&mut self, shared: &Shared, packet: &[u8]) -> Treated {
        let mut treated = Treated::default();
        if !matches!(Frame::parse(packet), Some(Frame::Data { .. })) {
            treated.on.push(packet.to_vec());
            return treated;
        }
        let malice = *locked(&shared.malice);
        // Each is drawn for each packet, so that one does not change what another picks.
        let shares = [
            malice.drop,
            malice.duplicate,
            malice.reorder,
            malice.delay,
            malice.alter,
            malice.resize,
            malice.replay,
            malice.reflect,
        ];
        let deeds = shares.map(|share| self.random.chance(share));
        for (count, _) in shared.done.iter().zip(deeds).filter(|(_, done)| *done) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let [drop, duplicate, reorder, delay, alter, resize, replay, reflect] = deeds;
        if self.old.len() == OLD {
            self.old.pop_front();
        }
        self.old.push_back(packet.to_vec());
        let mut packet = packet.to_vec();
        if reflect {
            treated.back.push(packet.clone());
        }
        if replay {
            let at = self.random.below(self.old.len());
            treated.on.push(self.old[at].clone());
        }
        if alter && packet.len() > HEADER {
            let bit = HEADER * 8 + self.random.below((packet.len() - HEADER) * 8);
            packet[bit / 8] ^= 1 << (bit % 8);
        }
        if resize {
            let len = self.random.below(packet.len() * 2).clamp(1, PACKET / 2);
            packet.resize(len, 0x5a);
        }
        if drop {
            return treated;
        }
        if duplicate {
            treated.on.push(packet.clone());
        }
        if reorder || delay {
            let longest = if delay { DELAY } else { OVERTAKEN };
            let due = Instant::now() + longest.mul_f64(self.random.below(1000) as f64 / 1000.0);
            self.held.push((due, packet));
        } else {
            treated.on.push(packet);
        }
        treated
    }

    /// What was held back for long enough.
    fn due(&mut self) -> Vec<Vec<u8>> {
        let now = Instant::now();
        self.held.extract_if(.., |(due, _)| *due <= now).map(|(_, packet)| packet).collect()
    }
}

fn is_pause(error: &std::io::Error) -> bool {
    // An unreachable port is told on the next call: a manager that is just being started.
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::ConnectionRefused)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
