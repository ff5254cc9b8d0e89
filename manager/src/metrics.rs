//! Figures for the operator's monitoring, by HTTP on loopback: `GET /metrics` in the text format of Prometheus,
//! `GET /healthz` for whoever only wants to know whether to worry.
//!
//! Nothing here names a node; of a network there is one number, and only where something was relayed. Both
//! pages ask the desk, so an answer shows that the heart of the manager beats: one that does not answer
//! within [`DESK_TIMEOUT`], or that could not write to its disk the last time it tried, is not healthy.

use std::fmt::{Display, Write as _};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::Listener;
use coco_tunnel::endpoint::Endpoint;
use coco_tunnel::relay::{self, SwitchControl};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Sleep, sleep, timeout};

use crate::counters::{Counters, Refusal};
use crate::desk::{Figures, Message};

/// Longest wait for the desk.
pub const DESK_TIMEOUT: Duration = Duration::from_secs(1);

/// Connections at once; further ones wait.
pub const CONNECTIONS_MAX: usize = 16;

/// Longest life of a connection, so that one that says nothing does not keep a place.
pub const CONNECTION_LIFE: Duration = Duration::from_secs(60);

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Where the figures come from.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) desk: mpsc::WeakSender<Message>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) endpoint: Endpoint,
    pub(crate) relay: SwitchControl,
    pub(crate) started: SystemTime,
}

/// A bound listener.
#[derive(Debug)]
pub(crate) struct Metrics {
    listener: TcpListener,
    address: SocketAddr,
    sources: Arc<Sources>,
}

impl Metrics {
    pub(crate) fn bind(address: SocketAddr, sources: Sources) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, sources: Arc::new(sources) })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serve for as long as this is polled.
    pub(crate) async fn serve(self) {
        let router = Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(health))
            .with_state(self.sources);
        let listener = Few { listener: self.listener, seats: Arc::new(Semaphore::new(CONNECTIONS_MAX)) };
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "metrics are no longer served");
        }
    }
}

async fn metrics(State(sources): State<Arc<Sources>>) -> Response {
    let Some(figures) = figures(&sources).await else {
        return (StatusCode::SERVICE_UNAVAILABLE, "the desk does not answer\n").into_response();
    };
    ([(header::CONTENT_TYPE, TEXT)], page(&figures, &sources)).into_response()
}

async fn health(State(sources): State<Arc<Sources>>) -> Response {
    let sick = match figures(&sources).await {
        Some(Figures { storage_failing: false, .. }) => return "ok\n".into_response(),
        Some(_) => "the storage cannot be written\n",
        None => "the desk does not answer\n",
    };
    (StatusCode::SERVICE_UNAVAILABLE, sick).into_response()
}

async fn figures(sources: &Sources) -> Option<Figures> {
    let (reply, answer) = oneshot::channel();
    let asked = async {
        sources.desk.upgrade()?.send(Message::Figures { reply }).await.ok()?;
        answer.await.ok()
    };
    timeout(DESK_TIMEOUT, asked).await.ok().flatten()
}

/// The page; the names follow Prometheus' conventions.
fn page(figures: &Figures, sources: &Sources) -> String {
    let mut page = Page::default();
    let started = sources.started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    page.head("build_info", "gauge", "Which program this is.");
    page.line("build_info", &[("version", &env!("CARGO_PKG_VERSION"))], 1);
    page.one("start_time_seconds", "gauge", "When it started, in seconds of Unix time.", started);
    page.one("sessions", "gauge", "Sessions with nodes.", figures.sessions);
    page.one("registered_nodes", "gauge", "Nodes that are online.", figures.registered);
    page.one("networks", "gauge", "Networks kept here.", figures.networks);

    page.head("refused_total", "counter", "What was refused, by kind.");
    for (kind, word) in Refusal::ALL {
        page.line("refused_total", &[("kind", &word)], sources.counters.of(kind));
    }
    let failing = u64::from(figures.storage_failing);
    page.one("storage_failing", "gauge", "1 when the last write did not reach the disk.", failing);
    let endpoint = sources.endpoint.counters();
    page.one("foreign_packets_total", "counter", "Packets that were not of coco.", endpoint.foreign_packets);
    page.one("refused_handshakes_total", "counter", "Handshakes refused.", endpoint.refused_handshakes);

    page.head("dials_total", "counter", "Nodes dialled, and whether a channel of the relay was given.");
    for (given, relayed) in [("given", true), ("none", false)] {
        page.line("dials_total", &[("channel", &given)], sources.counters.dials(relayed));
    }
    let relay::Counters {
        packets,
        bytes,
        unknown,
        unbound,
        spent,
        blocked,
        failed,
        junk,
        answers,
        unanswered,
    } = sources.relay.counters();
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    page.one("relay_channels", "gauge", "Channels of the relay.", figures.channels);
    page.one("relay_bytes_total", "counter", "Bytes relayed.", read(bytes));
    page.one("relay_packets_total", "counter", "Packets relayed.", read(packets));
    page.head("relay_dropped_packets_total", "counter", "Packets the relay dropped, by reason.");
    for (reason, counter) in [
        ("unknown-channel", unknown),
        ("other-address", unbound),
        ("quota", spent),
        ("no-room", blocked),
        ("not-sent", failed),
        ("junk", junk),
    ] {
        page.line("relay_dropped_packets_total", &[("reason", &reason)], read(counter));
    }
    page.one("relay_answers_total", "counter", "Answers of the relay itself.", read(answers));
    page.one("relay_unanswered_total", "counter", "Answers withheld by their rate limit.", read(unanswered));
    page.head("network_relayed_bytes", "gauge", "Bytes relayed for a network in this month (UTC).");
    for (network, bytes) in &figures.relayed {
        page.line("network_relayed_bytes", &[("network", &network.full())], *bytes);
    }
    page.0
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn one(&mut self, name: &str, kind: &str, help: &str, value: u64) {
        self.head(name, kind, help);
        self.line(name, &[], value);
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string does not fail.
        let _ = write!(self.0, "# HELP coco_manager_{name} {help}\n# TYPE coco_manager_{name} {kind}\n");
    }

    /// The labels are words of ours, which need no escapes.
    fn line(&mut self, name: &str, labels: &[(&str, &dyn Display)], value: u64) {
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "coco_manager_{name}{labels} {value}");
    }
}

/// A listener with [`CONNECTIONS_MAX`] seats.
struct Few {
    listener: TcpListener,
    seats: Arc<Semaphore>,
}

/// A connection in its seat, until its time is over.
struct Seated {
    stream: TcpStream,
    over: Pin<Box<Sleep>>,
    _seat: OwnedSemaphorePermit,
}

impl Listener for Few {
    type Io = Seated;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Seated, SocketAddr) {
        let Ok(seat) = Arc::clone(&self.seats).acquire_owned().await else {
            return std::future::pending().await;
        };
        let (stream, address) = Listener::accept(&mut self.listener).await;
        (Seated { stream, over: Box::pin(sleep(CONNECTION_LIFE)), _seat: seat }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl AsyncRead for Seated {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, buf) {
            return Poll::Ready(read);
        }
        ready!(self.over.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for Seated {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = Pin::new(&mut self.stream).poll_write(cx, buf) {
            return Poll::Ready(written);
        }
        ready!(self.over.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
