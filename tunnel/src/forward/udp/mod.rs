//! Datagrams: a local UDP socket, and sockets to the target.
//!
//! Each local client, by its address and port, is a flow of the channel, and each flow has its own socket
//! at the exporter, connected to the target: the target sees as many clients as there are, and answers
//! reach the one they are for. A flow ends after [`IDLE`] without a datagram in either direction, as a
//! mapping of a NAT does (RFC 4787, REQ-5); it has no other end. Nothing waits: what cannot be sent at once
//! is dropped, and counted.

mod clients;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use coconet::control::facts::UdpFacts;
use coconet::target::Place;
use coconet::wire::code::Reset;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use super::{Broken, Meter, Service};
use crate::channel::{Channel, Cut};
use crate::descriptors::spare;
use crate::flow::{FlowStats, Flows, frame::DATAGRAM_MAX};
use clients::Clients;

/// A flow without a datagram for so long is forgotten: five minutes, as RFC 4787 recommends.
pub const IDLE: Duration = Duration::from_secs(300);

/// Flows of one channel at a time. A new one beyond that takes the place of the one that was silent longest.
pub const FLOWS_MAX: usize = 512;

/// Sockets to the target at a time, of all who exchange with it.
pub const SERVICE_FLOWS_MAX: u64 = 2048;

/// How long the addresses of the target's name are good for.
const LOOK_UP_EVERY: Duration = Duration::from_secs(10);

/// Longest wait for them.
const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(3);

/// Time between two additions to the counters.
const ACCOUNT_EVERY: Duration = Duration::from_millis(250);

/// Pause between two looks for idle flows.
const SWEEP: Duration = Duration::from_secs(15);

/// Datagrams that wait for a socket to the target that is being made.
const WAITING_MAX: usize = 64;

/// Counters of one tunnel, at either end.
#[derive(Debug, Default)]
pub struct Counters {
    flows: AtomicU64,
    datagrams_in: AtomicU64,
    datagrams_out: AtomicU64,
    dropped: AtomicU64,
    lost: AtomicU64,
    /// Sockets so far.
    opened: AtomicU64,
}

impl Counters {
    /// For a list.
    pub fn facts(&self) -> UdpFacts {
        UdpFacts {
            flows: self.flows.load(Ordering::Relaxed),
            datagrams_in: self.datagrams_in.load(Ordering::Relaxed),
            datagrams_out: self.datagrams_out.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
        }
    }
}

/// The listener's end: exchange until the channel ends or `cut` says so. The exporter's answer is still to
/// come; what clients send before it waits in the socket. A client that is new is asked for by `admits`.
pub async fn near<A: Future<Output = bool>>(
    socket: &UdpSocket,
    mut channel: Channel,
    admits: impl Fn(SocketAddr) -> A,
    meter: &Meter,
    counters: &Counters,
    cut: impl Future<Output = Reset>,
) -> Result<(), Broken> {
    let flows = channel.flows();
    let mut counted = Account::new(counters);
    let exchange = async {
        super::opened(&mut channel.rx).await?;
        let mut clients = Clients::new(FLOWS_MAX, IDLE);
        let mut buffer = vec![0; DATAGRAM_MAX];
        let mut sweep = tokio::time::interval(SWEEP);
        let mut ended = std::pin::pin!(ends(&mut channel.rx));
        loop {
            tokio::select! {
                end = &mut ended => return end,
                received = socket.recv_from(&mut buffer) => {
                    // An error is an answer to something that was sent, and tells nothing of the next one.
                    let Ok((length, client)) = received else { continue };
                    if !clients.knows(client) && !admits(client).await {
                        continue;
                    }
                    let flow = clients.flow_of(Instant::now(), client);
                    meter.bytes_out.fetch_add(length as u64, Ordering::Relaxed);
                    flows.send(flow, &buffer[..length]);
                }
                received = flows.recv() => {
                    let Some((flow, payload)) = received else { return Err(Cut::Lost.into()) };
                    match clients.client_of(Instant::now(), flow).map(|to| socket.try_send_to(&payload, to)) {
                        Some(Ok(length)) => {
                            meter.bytes_in.fetch_add(length as u64, Ordering::Relaxed);
                        }
                        Some(Err(_)) | None => counted.dropped(),
                    }
                }
                _ = sweep.tick() => clients.sweep(Instant::now()),
            }
            counted.now(&flows, clients.len());
        }
    };
    let ended = tokio::select! {
        ended = exchange => ended,
        code = cut => Err(Broken::Here(code)),
    };
    counted.last(&flows);
    drop(flows);
    finish(channel, meter, ended)
}

/// The exporter's end: a channel that was answered, and a socket to the target for each flow.
pub async fn far(
    service: &Service,
    mut channel: Channel,
    flows: Flows,
    cut: impl Future<Output = Reset>,
) -> Result<(), Broken> {
    let flows = Arc::new(flows);
    let mut counted = Account::new(&service.udp);
    let exchange = async {
        let mut sockets: BTreeMap<u32, Socket> = BTreeMap::new();
        let mut tasks = JoinSet::new();
        let mut target = Known::default();
        let mut ended = std::pin::pin!(ends(&mut channel.rx));
        loop {
            tokio::select! {
                end = &mut ended => return end,
                Some(done) = tasks.join_next(), if !tasks.is_empty() => {
                    if let Ok((flow, number)) = done
                        && sockets.get(&flow).is_some_and(|socket| socket.number == number)
                    {
                        sockets.remove(&flow);
                    }
                }
                received = flows.recv() => {
                    let Some((flow, payload)) = received else { return Err(Cut::Lost.into()) };
                    service.meter.bytes_in.fetch_add(payload.len() as u64, Ordering::Relaxed);
                    if !sockets.contains_key(&flow) {
                        let full = sockets.len() >= FLOWS_MAX;
                        let Some(to) = target.addresses(&service.target.place).await else {
                            counted.dropped();
                            continue;
                        };
                        if counted.total() >= SERVICE_FLOWS_MAX && !full {
                            counted.dropped();
                            continue;
                        }
                        if full
                            && let Some(silent) = sockets.iter().min_by_key(|(_, socket)| socket.used)
                            && let Some(silent) = sockets.remove(&silent.0.clone())
                        {
                            silent.task.abort();
                        }
                        let number = service.udp.opened.fetch_add(1, Ordering::Relaxed);
                        let (to_target, from) = mpsc::channel(WAITING_MAX);
                        let (to, flows) = (to.to_vec(), Arc::clone(&flows));
                        let task = tasks.spawn(async move {
                            if let Err(error) = talk(&to, flow, &flows, from).await {
                                tracing::debug!(%error, "target not reachable by UDP");
                            }
                            (flow, number)
                        });
                        sockets.insert(flow, Socket { to: to_target, number, used: Instant::now(), task });
                    }
                    if let Some(socket) = sockets.get_mut(&flow) {
                        socket.used = Instant::now();
                        if socket.to.try_send(payload).is_err() {
                            counted.dropped();
                        }
                    }
                }
            }
            counted.now(&flows, sockets.len());
        }
    };
    let ended = tokio::select! {
        ended = exchange => ended,
        code = cut => Err(Broken::Here(code)),
    };
    counted.last(&flows);
    drop(flows);
    finish(channel, &service.meter, ended)
}

/// A socket to the target, and the task that has it.
struct Socket {
    to: mpsc::Sender<Bytes>,
    /// Distinguishes it from a later one of the same flow.
    number: u64,
    used: Instant,
    task: AbortHandle,
}

/// The target's addresses, looked up now and then rather than for each flow: a caller can make many.
#[derive(Default)]
struct Known(Option<(Instant, Vec<SocketAddr>)>);

impl Known {
    async fn addresses(&mut self, place: &Place) -> Option<&[SocketAddr]> {
        if self.0.as_ref().is_none_or(|(since, _)| since.elapsed() >= LOOK_UP_EVERY) {
            let found = tokio::time::timeout(LOOK_UP_TIMEOUT, look_up(place)).await;
            // An unknown name is not asked for again at once, either.
            self.0 = Some((Instant::now(), found.unwrap_or_else(|_| Ok(Vec::new())).unwrap_or_default()));
        }
        self.0.as_ref().map(|(_, addresses)| addresses.as_slice()).filter(|addresses| !addresses.is_empty())
    }
}

/// Carry one flow to the target and back, until it is idle or given up.
async fn talk(
    target: &[SocketAddr],
    flow: u32,
    flows: &Flows,
    mut from: mpsc::Receiver<Bytes>,
) -> io::Result<()> {
    let socket = reach(target).await?;
    loop {
        let event = async {
            tokio::select! {
                payload = from.recv() => match payload {
                    Some(payload) => {
                        // Refused: nobody listens there now. Whoever sent it asks again or gives up.
                        let _ = socket.send(&payload).await;
                        true
                    }
                    None => false,
                },
                ready = socket.readable() => {
                    // An idle flow holds no buffer.
                    let mut buffer = vec![0; if ready.is_ok() { DATAGRAM_MAX } else { 0 }];
                    while let Ok(length) = socket.try_recv(&mut buffer) {
                        flows.send(flow, &buffer[..length]);
                    }
                    true
                }
            }
        };
        if !tokio::time::timeout(IDLE, event).await.unwrap_or(false) {
            return Ok(());
        }
    }
}

async fn look_up(place: &Place) -> io::Result<Vec<SocketAddr>> {
    let Place::Net { host, port } = place else { return Err(io::ErrorKind::Unsupported.into()) };
    crate::names::look_up(host.as_str(), *port).await
}

/// A socket that hears the target only.
async fn reach(target: &[SocketAddr]) -> io::Result<UdpSocket> {
    let mut outcome = Err(io::ErrorKind::NotFound.into());
    for address in target.iter().copied() {
        let any: IpAddr = match address {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let connecting = async {
            let socket = spare(UdpSocket::bind((any, 0)).await?)?;
            socket.connect(address).await?;
            Ok(socket)
        };
        outcome = connecting.await;
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

/// Whether a target could be sent to: a name that is known, an address that has a route.
pub async fn check(place: &Place) -> io::Result<()> {
    reach(&look_up(place).await?).await.map(|_| ())
}

/// Resolves when the other end ends the exchange.
async fn ends(rx: &mut crate::channel::ChannelRx) -> Result<(), Broken> {
    let mut byte = [0];
    match rx.read_exact(&mut byte).await? {
        true => Err(Cut::Reset(Reset::Protocol).into()),
        false => Ok(()),
    }
}

fn finish(mut channel: Channel, meter: &Meter, ended: Result<(), Broken>) -> Result<(), Broken> {
    match &ended {
        Ok(()) => channel.tx.finish(),
        Err(broken) => {
            meter.failures.fetch_add(1, Ordering::Relaxed);
            channel.reset(match broken {
                Broken::Here(code) => *code,
                Broken::Local(_) => Reset::PeerReset,
                Broken::Channel(_) | Broken::Refused { .. } => Reset::Closed,
            });
        }
    }
    ended
}

/// What one channel adds to the counters of its tunnel.
struct Account<'a> {
    counters: &'a Counters,
    flows: u64,
    told: FlowStats,
    at: Instant,
}

impl<'a> Account<'a> {
    fn new(counters: &'a Counters) -> Self {
        Self { counters, flows: 0, told: FlowStats::default(), at: Instant::now() }
    }

    fn dropped(&self) {
        self.counters.dropped.fetch_add(1, Ordering::Relaxed);
    }

    fn total(&self) -> u64 {
        self.counters.flows.load(Ordering::Relaxed)
    }

    fn now(&mut self, flows: &Flows, open: usize) {
        let open = open as u64;
        if open != self.flows {
            self.counters.flows.fetch_add(open, Ordering::Relaxed);
            self.counters.flows.fetch_sub(std::mem::replace(&mut self.flows, open), Ordering::Relaxed);
        }
        // Adding up is work, and nobody looks more often.
        if self.at.elapsed() >= ACCOUNT_EVERY {
            self.at = Instant::now();
            self.add(flows.stats());
        }
    }

    fn last(&mut self, flows: &Flows) {
        self.counters.flows.fetch_sub(std::mem::take(&mut self.flows), Ordering::Relaxed);
        self.add(flows.stats());
    }

    fn add(&mut self, now: FlowStats) {
        let told = std::mem::replace(&mut self.told, now);
        let add = |counter: &AtomicU64, now: u64, told: u64| {
            counter.fetch_add(now.saturating_sub(told), Ordering::Relaxed);
        };
        add(&self.counters.datagrams_out, now.sent, told.sent);
        add(&self.counters.datagrams_in, now.received, told.received);
        add(&self.counters.dropped, now.dropped, told.dropped);
        add(&self.counters.lost, now.lost, told.lost);
    }
}
