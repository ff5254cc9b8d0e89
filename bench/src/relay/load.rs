//! The load: pairs of nodes that send through a relay, all of them played by one process.
//!
//! The same for every relay, but for the bytes in front of each datagram. A sender, in a thread, goes round the pairs and
//! sends of each a burst in one system call, as the nodes do; receivers, in another, take what
//! the kernel has coalesced. The sender has at most [`WINDOW`] datagrams under way, so that the relay is
//! always busy and no queue before or behind it overflows for long; what is lost all the same is found by the numbers in the
//! datagrams. The relay's processor time is read here, at the begin and the end of what is counted.

use std::cell::RefCell;
use std::io::{self, BufReader, IoSliceMut};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use coco_tunnel::SOCKET_BUFFER;
use coco_tunnel::relay::frame;
use coco_tunnel::relay::serve::{self, Parcel};
use noq::udp::{RecvMeta, UdpSocketState};
use serde::{Deserialize, Serialize};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::{Which, ours, turn};
use crate::process::cpu_seconds;

/// Bytes of a datagram: QUIC's on a path of which nothing is known.
pub(super) const DATAGRAM: usize = 1200;

/// Datagrams under way, at most.
const WINDOW: u64 = 512;

/// What nobody has received for so long is lost.
const LOST_AFTER: Duration = Duration::from_millis(10);

/// A pause of the sender: as short as the system's timers allow.
const PAUSE: Duration = Duration::from_micros(20);

/// Before anything counts.
const WARM_UP: Duration = Duration::from_millis(300);

/// Messages received at once, and the room for each.
const MESSAGES: usize = 8;
const ROOM: usize = 1 << 16;

#[derive(Debug, Args)]
pub(crate) struct Job {
    #[arg(value_enum)]
    pub(crate) which: Which,
    pub(crate) relay: SocketAddr,
    /// Of the process whose time is read.
    pub(crate) pid: u32,
    /// Our own address.
    pub(crate) local: IpAddr,
    pub(crate) pairs: usize,
    /// Datagrams of one pair at once.
    pub(crate) burst: usize,
    pub(crate) milliseconds: u64,
}

/// What came of it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Carried {
    pub(crate) sent: u64,
    pub(crate) delivered: u64,
    pub(crate) seconds: f64,
    /// The relay's processor time.
    pub(crate) cpu: f64,
}

pub(crate) fn run(job: &Job) -> anyhow::Result<()> {
    let (senders, receivers) = pairs(job)?;
    let counts = Arc::new(Counts {
        passed: senders.iter().map(|_| AtomicU64::default()).collect(),
        ..Counts::default()
    });
    let ours = Arc::clone(&counts);
    let strip = match job.which {
        Which::Coco => frame::HEADER,
        Which::Coturn => 0,
    };
    let receiving = std::thread::spawn(move || receive(receivers, strip, &ours));
    let carried = send(job, &senders, &counts)?;
    counts.stop.store(true, Ordering::Relaxed);
    receiving.join().ok().context("the receiver panicked")??;
    println!("{}", serde_json::to_string(&carried)?);
    Ok(())
}

/// How far everything is.
#[derive(Debug, Default)]
struct Counts {
    /// Of each pair: datagrams received, or given up.
    passed: Vec<AtomicU64>,
    /// The sum of these.
    all_passed: AtomicU64,
    delivered: AtomicU64,
    stop: AtomicBool,
}

impl Counts {
    fn pass(&self, pair: usize, up_to: u64) {
        let before = self.passed[pair].fetch_max(up_to, Ordering::Relaxed);
        self.all_passed.fetch_add(up_to.saturating_sub(before), Ordering::Relaxed);
    }
}

struct Sender {
    io: std::net::UdpSocket,
    state: UdpSocketState,
    /// In front of each datagram.
    header: Vec<u8>,
}

/// All pairs, with their channels open.
fn pairs(job: &Job) -> anyhow::Result<(Vec<Sender>, Vec<std::net::UdpSocket>)> {
    let mut asked = match job.which {
        Which::Coco => Some(BufReader::new(TcpStream::connect(job.relay)?)),
        Which::Coturn => None,
    };
    let (mut senders, mut receivers) = (Vec::new(), Vec::new());
    for _ in 0..job.pairs {
        let [io, receiver] = [bind(job.local)?, bind(job.local)?];
        let to = receiver.local_addr()?;
        let header = match &mut asked {
            Some(asked) => {
                let channel = ours::ask(asked, io.local_addr()?, to)?;
                let mut header = Vec::new();
                frame::Frame::Data { channel, payload: &[] }.encode(&mut header);
                header
            }
            None => {
                io.connect(job.relay)?;
                turn::bind_channel(&io, to)?;
                turn::header(DATAGRAM)?.to_vec()
            }
        };
        io.connect(job.relay)?;
        let state = UdpSocketState::new((&io).into())?;
        senders.push(Sender { io, state, header });
        receivers.push(receiver);
    }
    Ok((senders, receivers))
}

fn bind(local: IpAddr) -> io::Result<std::net::UdpSocket> {
    let io = std::net::UdpSocket::bind((local, 0))?;
    let tuned = socket2::SockRef::from(&io);
    tuned.set_recv_buffer_size(SOCKET_BUFFER)?;
    tuned.set_send_buffer_size(SOCKET_BUFFER)?;
    Ok(io)
}

fn send(job: &Job, senders: &[Sender], counts: &Counts) -> anyhow::Result<Carried> {
    let mut round = Round {
        relay: job.relay,
        burst: job.burst,
        senders,
        counts,
        sent: vec![0; senders.len()],
        all_sent: 0,
        next: 0,
        bytes: Vec::new(),
    };
    round.go_on(Instant::now() + WARM_UP)?;
    let (sent, delivered) = (round.all_sent, counts.delivered.load(Ordering::Relaxed));
    let (cpu, started) = (cpu_seconds(job.pid)?, Instant::now());
    round.go_on(started + Duration::from_millis(job.milliseconds))?;
    Ok(Carried {
        sent: round.all_sent - sent,
        delivered: counts.delivered.load(Ordering::Relaxed) - delivered,
        seconds: started.elapsed().as_secs_f64(),
        cpu: cpu_seconds(job.pid)? - cpu,
    })
}

/// The sender's state on its way round the pairs.
struct Round<'a> {
    relay: SocketAddr,
    burst: usize,
    senders: &'a [Sender],
    counts: &'a Counts,
    /// Datagrams of each pair, and of all.
    sent: Vec<u64>,
    all_sent: u64,
    next: usize,
    bytes: Vec<u8>,
}

impl Round<'_> {
    /// Send until then, and wait for what is under way.
    fn go_on(&mut self, until: Instant) -> anyhow::Result<()> {
        while Instant::now() < until {
            self.wait_for(WINDOW - self.burst as u64);
            self.burst()?;
        }
        self.wait_for(0);
        Ok(())
    }

    /// Until no more than so many are under way. Those that do not move are lost.
    fn wait_for(&self, under_way: u64) {
        let (mut seen, mut since) = (u64::MAX, Instant::now());
        loop {
            let passed = self.counts.all_passed.load(Ordering::Relaxed);
            if self.all_sent.saturating_sub(passed) <= under_way {
                return;
            }
            if passed != seen {
                (seen, since) = (passed, Instant::now());
            } else if since.elapsed() > LOST_AFTER {
                self.sent.iter().enumerate().for_each(|(pair, sent)| self.counts.pass(pair, *sent));
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn burst(&mut self) -> anyhow::Result<()> {
        let pair = self.next;
        self.next = (pair + 1) % self.senders.len();
        let sender = &self.senders[pair];
        let stride = sender.header.len() + DATAGRAM;
        self.bytes.resize(stride * self.burst, 0);
        for (number, packet) in (self.sent[pair]..).zip(self.bytes.chunks_mut(stride)) {
            let (header, datagram) = packet.split_at_mut(sender.header.len());
            header.copy_from_slice(&sender.header);
            datagram[..8].copy_from_slice(&number.to_be_bytes());
        }
        let parcel = Parcel::new(self.relay, None, &self.bytes, stride);
        loop {
            match serve::send(&sender.io, &sender.state, &parcel) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(PAUSE),
                other => break other?,
            }
        }
        self.sent[pair] += self.burst as u64;
        self.all_sent += self.burst as u64;
        Ok(())
    }
}

fn receive(receivers: Vec<std::net::UdpSocket>, strip: usize, counts: &Arc<Counts>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let room = Rc::new(RefCell::new(vec![vec![0; ROOM]; MESSAGES]));
    let tasks = tokio::task::LocalSet::new();
    let _entered = runtime.enter();
    for (pair, receiver) in receivers.into_iter().enumerate() {
        let state = UdpSocketState::new((&receiver).into())?;
        let io = UdpSocket::from_std(receiver)?;
        let (room, counts) = (Rc::clone(&room), Arc::clone(counts));
        tasks.spawn_local(async move {
            let mut meta = [RecvMeta::default(); MESSAGES];
            while io.readable().await.is_ok() {
                let mut room = room.borrow_mut();
                let mut bufs: Vec<_> = room.iter_mut().map(|room| IoSliceMut::new(room)).collect();
                let received =
                    io.try_io(Interest::READABLE, || state.recv((&io).into(), &mut bufs, &mut meta));
                for (buf, meta) in bufs.iter().zip(&meta).take(received.unwrap_or_default()) {
                    for packet in buf[..meta.len].chunks(meta.stride.max(1)) {
                        let Some(number) = number(packet, strip) else { continue };
                        counts.pass(pair, number + 1);
                        counts.delivered.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        });
    }
    runtime.block_on(tasks.run_until(async {
        while !counts.stop.load(Ordering::Relaxed) {
            tokio::time::sleep(LOST_AFTER).await;
        }
    }));
    Ok(())
}

/// The datagram's, if the packet is one of ours and whole.
fn number(packet: &[u8], strip: usize) -> Option<u64> {
    let datagram = packet.get(strip..).filter(|datagram| datagram.len() == DATAGRAM)?;
    datagram.first_chunk().map(|number| u64::from_be_bytes(*number))
}
