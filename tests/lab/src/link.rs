//! A bad line: delay, loss, reordering, duplication and a rate, between two TUN devices.
//!
//! Each direction is a thread that reads packets from the device at one end, lets [`Impairment`] decide when
//! each arrives (never, once, twice), and writes them to the device at the other end when they are due. What
//! is lost is decided by a seeded generator: the n-th packet meets the same fate in every run, though which
//! packet is the n-th is the network's doing.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{PipeReader, PipeWriter};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use tun_rs::{DeviceBuilder, SyncDevice};

use crate::namespace::Namespace;

/// How many packets a direction reads before it looks at what is due.
const BATCH: usize = 64;

/// Larger than any packet: the devices do no segmentation offload.
const PACKET_SIZE: usize = 1 << 16;

/// Packets the system holds until the line takes them: it loses nothing while its thread waits for a processor.
const QUEUE: u32 = 20_000;

/// How a line treats packets, the same in both directions. The default is a perfect line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conditions {
    /// How long each packet is under way.
    pub delay: Duration,
    /// The share of packets that get lost, 0 to 1.
    pub loss: f64,
    /// The share of packets that arrive twice.
    pub duplicate: f64,
    /// The share of packets that take [`detour`](Self::detour) longer, so that later ones overtake them.
    pub reorder: f64,
    /// How much longer a reordered packet is under way.
    pub detour: Duration,
    /// Bits per second; `None`: as fast as it goes.
    pub rate: Option<u64>,
    /// How long a packet waits for the line at most; with more before it than that it is lost.
    pub queue: Duration,
    /// Of the generator that picks the packets.
    pub seed: u64,
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            loss: 0.0,
            duplicate: 0.0,
            reorder: 0.0,
            detour: Duration::from_millis(10),
            rate: None,
            queue: Duration::from_millis(100),
            seed: 1,
        }
    }
}

/// Decides when packets arrive; knows no clock and no device.
struct Impairment {
    conditions: Conditions,
    random: u64,
    /// When the line has sent all it was given.
    free: Option<Instant>,
}

impl Impairment {
    fn new(conditions: Conditions) -> Self {
        Self { conditions, random: conditions.seed, free: None }
    }

    /// When the copies of a packet of `len` bytes, sent `now`, arrive.
    fn admit(&mut self, now: Instant, len: usize) -> impl Iterator<Item = Instant> + use<> {
        let Conditions { delay, loss, duplicate, reorder, detour, rate, queue, .. } = self.conditions;
        // All three are drawn for every packet, so that one setting does not change what another picks.
        let [lost, twice, detoured] = [loss, duplicate, reorder].map(|share| self.draw() < share);
        let mut sent = now;
        let mut copies = if lost { 0 } else { 1 + usize::from(twice) };
        if let Some(rate) = rate
            && copies > 0
        {
            let start = self.free.map_or(now, |free| free.max(now));
            if start - now > queue {
                copies = 0;
            } else {
                sent = start + Duration::from_secs_f64(len as f64 * 8.0 / rate as f64);
                self.free = Some(sent);
            }
        }
        let due = sent + delay + if detoured { detour } else { Duration::ZERO };
        std::iter::repeat_n(due, copies)
    }

    /// The next number from 0 to 1, by splitmix64.
    fn draw(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// A running line; it ends, with its devices, when dropped.
pub(crate) struct Link {
    impairments: [Arc<Mutex<Impairment>>; 2],
    stop: Option<PipeWriter>,
    threads: Vec<JoinHandle<()>>,
}

impl Link {
    /// Join the namespaces `a` and `b` by a new TUN device in each.
    pub(crate) fn new(
        a: (&Namespace, &str),
        b: (&Namespace, &str),
        mtu: u16,
        conditions: Conditions,
    ) -> Self {
        let [a, b] = [a, b].map(|(namespace, device)| Arc::new(tun(namespace, device, mtu)));
        let (stopped, stop) = std::io::pipe().expect("making a pipe");
        let impairments = directions(conditions).map(|c| Arc::new(Mutex::new(Impairment::new(c))));
        let threads = [(a.clone(), b.clone()), (b, a)]
            .into_iter()
            .zip(&impairments)
            .map(|((from, to), impairment)| {
                let impairment = Arc::clone(impairment);
                let stopped = stopped.try_clone().expect("duplicating a descriptor");
                thread::spawn(move || carry(&from, &to, &impairment, &stopped))
            })
            .collect();
        Self { impairments, stop: Some(stop), threads }
    }

    /// From now on.
    pub(crate) fn set_conditions(&self, conditions: Conditions) {
        for (impairment, conditions) in self.impairments.iter().zip(directions(conditions)) {
            *locked(impairment) = Impairment::new(conditions);
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // The readers of the pipe see its end.
        self.stop = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// The two directions must not lose in step.
fn directions(conditions: Conditions) -> [Conditions; 2] {
    [conditions, Conditions { seed: !conditions.seed, ..conditions }]
}

fn tun(namespace: &Namespace, device: &str, mtu: u16) -> SyncDevice {
    let tun = namespace.enter(|| {
        let device = DeviceBuilder::new().name(device).mtu(mtu).tx_queue_len(QUEUE);
        device.build_sync().expect("making a TUN device (/dev/net/tun)")
    });
    tun.set_nonblocking(true).expect("making a TUN device non-blocking");
    tun
}

/// A packet under way: when it is due, and its number, so that what is due together keeps its order.
type UnderWay = Reverse<(Instant, u64, Vec<u8>)>;

/// Carry packets until the other end of `stopped` is closed or the device is gone.
fn carry(from: &SyncDevice, to: &SyncDevice, impairment: &Mutex<Impairment>, stopped: &PipeReader) {
    let mut under_way: BinaryHeap<UnderWay> = BinaryHeap::new();
    let mut buffer = vec![0; PACKET_SIZE];
    let mut number = 0;
    loop {
        let mut now = Instant::now();
        while under_way.peek().is_some_and(|Reverse((due, ..))| *due <= now)
            && let Some(Reverse((.., packet))) = under_way.pop()
        {
            // A device that is down takes nothing, like a cable that is not plugged in.
            let _ = to.send(&packet);
        }
        let mut read = 0;
        while read < BATCH
            && let Ok(len) = from.recv(&mut buffer)
        {
            read += 1;
            now = Instant::now();
            for due in locked(impairment).admit(now, len) {
                under_way.push(Reverse((due, number, buffer[..len].to_vec())));
                number += 1;
            }
        }
        if read == BATCH {
            continue;
        }
        let wait =
            under_way.peek().map(|Reverse((due, ..))| TimeSpec::from(due.saturating_duration_since(now)));
        let mut ready =
            [PollFd::new(from.as_fd(), PollFlags::POLLIN), PollFd::new(stopped.as_fd(), PollFlags::POLLIN)];
        let _ = ppoll(&mut ready, wait, None);
        let gone = ready[0].revents().is_some_and(|events| events.contains(PollFlags::POLLERR));
        if gone || ready[1].any() == Some(true) {
            return;
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When 10,000 packets of 1,250 bytes, one each 100 us, arrive, in microseconds after the first was sent.
    fn arrivals(conditions: Conditions) -> Vec<Vec<u128>> {
        let mut line = Impairment::new(conditions);
        let start = Instant::now();
        (0..10_000)
            .map(|n| line.admit(start + n * Duration::from_micros(100), 1250))
            .map(|copies| copies.map(|due| (due - start).as_micros()).collect())
            .collect()
    }

    #[test]
    fn a_perfect_line_delivers_at_once() {
        let arrivals = arrivals(Conditions::default());
        assert!(arrivals.iter().zip(0..).all(|(copies, n)| *copies == [n * 100]));
    }

    #[test]
    fn each_share_is_kept_and_one_does_not_disturb_another() {
        let lossy = Conditions { loss: 0.1, seed: 7, ..Conditions::default() };
        let all = Conditions { duplicate: 0.05, reorder: 0.2, ..lossy };
        let lost = |conditions| -> Vec<bool> { arrivals(conditions).iter().map(Vec::is_empty).collect() };
        assert_eq!(lost(lossy), lost(all));
        let arrivals = arrivals(all);
        let share = |count: usize| count as f64 / 10_000.0;
        let lost = share(arrivals.iter().filter(|copies| copies.is_empty()).count());
        let twice = share(arrivals.iter().filter(|copies| copies.len() == 2).count());
        let late =
            arrivals.iter().zip(0..).filter(|(copies, n)| copies.first().is_some_and(|due| *due > n * 100));
        let late = share(late.count());
        assert!((0.09..0.11).contains(&lost), "{lost}");
        assert!((0.035..0.055).contains(&twice), "{twice}: of what is not lost");
        assert!((0.16..0.20).contains(&late), "{late}: of what is not lost");
    }

    #[test]
    fn another_seed_loses_other_packets() {
        let lost = |seed| -> Vec<bool> {
            let conditions = Conditions { loss: 0.1, seed, ..Conditions::default() };
            arrivals(conditions).iter().map(Vec::is_empty).collect()
        };
        assert_eq!(lost(1), lost(1));
        assert_ne!(lost(1), lost(2));
    }

    #[test]
    fn a_slow_line_spaces_packets_out_and_its_queue_is_bounded() {
        // 100 Mbit/s are offered: a packet in 100 us; the line takes 1 ms for each.
        let slow =
            Conditions { rate: Some(10_000_000), queue: Duration::from_millis(20), ..Conditions::default() };
        let due: Vec<u128> = arrivals(slow).concat();
        assert!(due.windows(2).all(|pair| pair[1] - pair[0] == 1000));
        assert!((1000..=1025).contains(&due.len()), "{} in one second and a queue", due.len());
    }
}
