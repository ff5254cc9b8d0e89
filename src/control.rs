//! The control API's server: HTTP/1.1 and JSON on a unix socket; see [`coconet::control`].
//!
//! The socket has mode 0600 in a directory of mode 0700, and the process at the other end of each
//! connection must be of this user or root, and not in a process namespace below this one's: what runs in a
//! container or in `cococtl run` has been shut in for a reason. There is no TCP listener, so no web page can reach it.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::{Bytes, to_bytes};
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::extract::{DefaultBodyLimit, Path as UrlPath, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::serve::IncomingStream;
use axum::{Router, serve};
use coconet::control::{BODY_MAX, ErrorKind, Event, Failure, RUN_UPGRADE, RecentEvents, Run, VERSION};
use coconet::name::Name;
use futures_util::stream::{self, Stream, StreamExt};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade;
use listenfd::ListenFd;
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerPidfd;
use serde::{Deserialize, Serialize};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::broadcast::error::RecvError;

use crate::daemon::Daemon;
use crate::daemon::jobs::{self, whole};
use crate::fault::{Fault, Result};

const JSON: &str = "application/json";

/// The socket's file, removed when the daemon goes.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

/// Bind the control socket. One that nobody listens on any more is replaced; anything else there is
/// left alone.
pub fn bind(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                return Err(io::Error::new(io::ErrorKind::AddrInUse, "another daemon listens there"));
            }
            fs::remove_file(path)?;
        }
        Ok(_) => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is no socket"));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok((listener, SocketFile(path.to_owned())))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = fs::remove_file(&self.0);
    }
}

/// The control socket that a service manager has made, if it has: the one that `LISTEN_FDS` hands over. What it
/// is allowed to be is its manager's business; who speaks is looked at here.
pub fn inherited() -> io::Result<Option<std::os::unix::net::UnixListener>> {
    let mut handed = ListenFd::from_env();
    if handed.len() > 1 {
        return Err(io::Error::other("more than one socket was handed over"));
    }
    let Some(listener) = handed.take_unix_listener(0)? else { return Ok(None) };
    listener.set_nonblocking(true)?;
    Ok(Some(listener))
}

/// Serve until `shutdown` resolves.
pub async fn run(
    listener: UnixListener,
    daemon: Arc<Daemon>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let service = router(daemon).into_make_service_with_connect_info::<Caller>();
    tokio::select! {
        served = async { serve(listener, service).await } => served,
        () = shutdown => Ok(()),
    }
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy)]
struct Caller {
    uid: Option<u32>,
    pid: Option<u32>,
    /// Whether it is in a container or a `cococtl run`.
    inside: bool,
}

impl Connected<IncomingStream<'_, UnixListener>> for Caller {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        let stream: &UnixStream = stream.io();
        let peer = stream.peer_cred().ok();
        let pid = peer.and_then(|peer| u32::try_from(peer.pid()?).ok());
        Self { uid: peer.map(|peer| peer.uid()), pid, inside: is_inside(stream) }
    }
}

/// Whether the process at the other end is in a process namespace below this one's, by the process that has
/// connected and no other that has its number since. One that has ended meanwhile may have been.
fn is_inside(stream: &UnixStream) -> bool {
    let Ok(process) = getsockopt(stream, PeerPidfd) else { return false };
    let Some(own) = depth("/proc/self/status") else { return false };
    depth(&format!("/proc/self/fdinfo/{}", process.as_raw_fd())).is_none_or(|its| its > own)
}

/// In how many process namespaces the process is that `path` describes, as far as `/proc` shows them.
fn depth(path: &str) -> Option<usize> {
    let told = fs::read_to_string(path).ok()?;
    let numbers = told.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    Some(numbers.split_ascii_whitespace().count())
}

fn router(daemon: Arc<Daemon>) -> Router {
    Router::new()
        .route("/v1/status", get(async |State(d): Shared| json(&d.status())))
        .route("/v1/networks", get(async |State(d): Shared| json(&d.networks())).post(create))
        .route("/v1/networks/{name}", get(network).delete(leave))
        .route("/v1/join", post(join))
        .route("/v1/networks/{name}/invites", get(invites).post(invite))
        .route("/v1/networks/{name}/members", get(members))
        .route("/v1/networks/{name}/nodes/{node}", delete(remove_node))
        .route("/v1/networks/{name}/changes", post(change))
        .route("/v1/networks/{name}/grants", get(grants))
        .route("/v1/networks/{name}/log", get(log))
        .route("/v1/networks/{name}/audit", get(audit))
        .route("/v1/networks/{name}/export", get(export))
        .route("/v1/networks/{name}/usage", get(usage))
        .route("/v1/networks/{name}/recovery-key", post(recovery_key))
        .route("/v1/recover", post(recover))
        .route("/v1/tunnels", get(async |State(d): Shared| json(&d.tunnels())))
        .route("/v1/tunnels/{what}", delete(close))
        .route("/v1/expose", post(expose))
        .route("/v1/open", post(open))
        .route("/v1/run", post(run_inside))
        .route("/v1/cameras", post(cameras))
        .route("/v1/ping", post(ping))
        .route("/v1/doctor", get(doctor))
        .route("/v1/progress", get(async |State(d): Shared| json(&d.progress())))
        .route("/v1/events", get(events))
        .route("/v1/events/recent", get(recent_events))
        .fallback(async || {
            answer::<()>(Err(Fault::not_found("no such request").hint("see coconet::control")))
        })
        .method_not_allowed_fallback(async || {
            answer::<()>(Err(Fault::usage("not with this method").hint("see coconet::control")))
        })
        .layer(middleware::from_fn(own_user_only))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(middleware::map_response(in_kind))
        .with_state(daemon)
}

type Shared = State<Arc<Daemon>>;

async fn own_user_only(ConnectInfo(caller): ConnectInfo<Caller>, request: Request, next: Next) -> Response {
    let own = nix::unistd::geteuid().as_raw();
    if caller.inside {
        tracing::warn!(pid = ?caller.pid, "control request from inside a namespace refused");
        return answer::<()>(Err(Fault::new(
            ErrorKind::NotPermitted,
            "this daemon is not driven from inside a container or cococtl run",
        )
        .hint("run it outside, or a daemon inside")));
    }
    match caller.uid {
        Some(uid) if uid == own || uid == 0 => next.run(request).await,
        other => {
            tracing::warn!(uid = ?other, "control request of another user refused");
            answer::<()>(Err(Fault::new(ErrorKind::NotPermitted, "this daemon belongs to another user")
                .hint("run it as that user, or as root")))
        }
    }
}

/// What was refused before any of ours saw it gets the shape of all failures.
async fn in_kind(response: Response) -> Response {
    let typed = response.headers().get(header::CONTENT_TYPE);
    let good = response.status().is_success() || response.status() == StatusCode::SWITCHING_PROTOCOLS;
    if good || typed.is_some_and(|found| found == JSON) {
        return response;
    }
    let why = to_bytes(response.into_body(), BODY_MAX).await.unwrap_or_default();
    answer::<()>(Err(
        Fault::usage(coconet::name::shown(&String::from_utf8_lossy(&why))).hint("see coconet::control")
    ))
}

#[derive(Debug, Deserialize)]
struct LeaveQuery {
    #[serde(default)]
    forget: bool,
}

#[derive(Debug, Deserialize)]
struct UsageQuery {
    month: Option<String>,
}

#[derive(Debug, Deserialize)]
struct EventsQuery {
    #[serde(default)]
    before: bool,
}

#[derive(Debug, Deserialize)]
struct NetworkQuery {
    network: Option<Name>,
}

async fn network(State(daemon): Shared, UrlPath(name): UrlPath<String>) -> Response {
    answer(daemon.network(&name))
}

async fn create(State(daemon): Shared, body: Bytes) -> Response {
    match read(&body) {
        Ok(request) => {
            let (_asking, asked) = jobs::request();
            answer(whole(async move { daemon.create(request, asked).await }).await)
        }
        Err(fault) => answer::<()>(Err(fault)),
    }
}

async fn join(State(daemon): Shared, body: Bytes) -> Response {
    match read(&body) {
        Ok(request) => {
            let (_asking, asked) = jobs::request();
            answer(whole(async move { daemon.join(request, asked).await }).await)
        }
        Err(fault) => answer::<()>(Err(fault)),
    }
}

async fn leave(
    State(daemon): Shared,
    UrlPath(name): UrlPath<String>,
    Query(query): Query<LeaveQuery>,
) -> Response {
    answer(whole(async move { daemon.leave(&name, query.forget).await }).await)
}

async fn invite(State(daemon): Shared, UrlPath(name): UrlPath<String>, body: Bytes) -> Response {
    match read(&body) {
        Ok(request) => answer(whole(async move { daemon.invite(&name, request).await }).await),
        Err(fault) => answer::<()>(Err(fault)),
    }
}

async fn members(State(daemon): Shared, UrlPath(name): UrlPath<String>) -> Response {
    answer(daemon.members(&name).await)
}

async fn remove_node(State(daemon): Shared, UrlPath((name, node)): UrlPath<(String, String)>) -> Response {
    answer(whole(async move { daemon.remove_node(&name, &node).await }).await)
}

async fn change(State(daemon): Shared, UrlPath(name): UrlPath<String>, body: Bytes) -> Response {
    match read(&body) {
        Ok(request) => answer(whole(async move { daemon.change(&name, request).await }).await),
        Err(fault) => answer::<()>(Err(fault)),
    }
}

async fn grants(State(daemon): Shared, UrlPath(name): UrlPath<String>) -> Response {
    answer(daemon.grants(&name).await)
}

async fn invites(State(daemon): Shared, UrlPath(name): UrlPath<String>) -> Response {
    answer(daemon.invites(&name).await)
}

async fn log(State(daemon): Shared, UrlPath(name): UrlPath<String>) -> Response {
    answer(daemon.log(&name).await)
}

async fn audit(State(daemon): Shared, UrlPath(name): UrlPath<String>) -> Response {
    answer(daemon.audit(&name).await)
}

async fn export(State(daemon): Shared, UrlPath(name): UrlPath<String>) -> Response {
    match daemon.export(&name).await {
        Ok(file) => ([(header::CONTENT_TYPE, "application/octet-stream")], file).into_response(),
        Err(fault) => answer::<()>(Err(fault)),
    }
}

async fn usage(
    State(daemon): Shared,
    UrlPath(name): UrlPath<String>,
    Query(query): Query<UsageQuery>,
) -> Response {
    answer(daemon.usage(&name, query.month.as_deref()).await)
}

async fn recovery_key(State(daemon): Shared, UrlPath(name): UrlPath<String>) -> Response {
    answer(whole(async move { daemon.recovery_key(&name).await }).await)
}

async fn recover(State(daemon): Shared, body: Bytes) -> Response {
    match read(&body) {
        Ok(request) => {
            let (_asking, asked) = jobs::request();
            answer(whole(async move { daemon.recover(request, asked).await }).await)
        }
        Err(fault) => answer::<()>(Err(fault)),
    }
}

async fn close(
    State(daemon): Shared,
    UrlPath(what): UrlPath<String>,
    Query(query): Query<NetworkQuery>,
) -> Response {
    answer(whole(async move { daemon.close(&what, query.network.as_ref()).await }).await)
}

async fn expose(State(daemon): Shared, body: Bytes) -> Response {
    match read(&body) {
        Ok(request) => answer(whole(async move { daemon.expose(request).await }).await),
        Err(fault) => answer::<()>(Err(fault)),
    }
}

async fn open(State(daemon): Shared, body: Bytes) -> Response {
    match read(&body) {
        Ok(request) => answer(daemon.open(request).await),
        Err(fault) => answer::<()>(Err(fault)),
    }
}

/// Goes over to the messages of [`RunAsk`](coconet::control::RunAsk) on the same connection.
async fn run_inside(
    State(daemon): Shared,
    ConnectInfo(caller): ConnectInfo<Caller>,
    mut request: Request,
) -> Response {
    let wants = request.headers().get(header::UPGRADE).is_some_and(|protocol| protocol == RUN_UPGRADE);
    let upgraded = hyper::upgrade::on(&mut request);
    let Ok(body) = to_bytes(request.into_body(), BODY_MAX).await else {
        return answer::<()>(Err(Fault::usage("the request is too long").hint("see coconet::control")));
    };
    let begun = match read::<Run>(&body) {
        Ok(_) if !wants => {
            Err(Fault::usage(format!("this needs Upgrade: {RUN_UPGRADE}")).hint("see coconet::control"))
        }
        Ok(run) => daemon.begin_run(&run, caller.pid.unwrap_or_default()).await.map(|begun| (begun, run)),
        Err(fault) => Err(fault),
    };
    let (session, run) = match begun {
        Ok(begun) => begun,
        Err(fault) => return answer::<()>(Err(fault)),
    };
    tokio::spawn(async move {
        let stream = upgraded.await.map(upgrade::downcast::<TokioIo<UnixStream>>);
        let Ok(Ok(parts)) = stream else {
            tracing::debug!("a run went away before it had begun");
            daemon.forget_run(&session);
            return;
        };
        daemon.run(session, run, parts.io.into_inner(), &parts.read_buf).await;
    });
    let headers = [(header::CONNECTION, "upgrade"), (header::UPGRADE, RUN_UPGRADE)];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

async fn cameras(State(daemon): Shared, body: Bytes) -> Response {
    match read(&body) {
        Ok(request) => answer(daemon.cameras(request).await),
        Err(fault) => answer::<()>(Err(fault)),
    }
}

async fn ping(State(daemon): Shared, body: Bytes) -> Response {
    match read(&body) {
        Ok(request) => answer(daemon.ping(request).await),
        Err(fault) => answer::<()>(Err(fault)),
    }
}

async fn doctor(State(daemon): Shared, Query(query): Query<NetworkQuery>) -> Response {
    answer(daemon.doctor(query.network.as_ref()).await)
}

async fn events(
    State(daemon): Shared,
    Query(query): Query<EventsQuery>,
) -> Sse<impl Stream<Item = std::result::Result<SseEvent, Infallible>>> {
    let (kept, live) = daemon.events().listen();
    let before = stream::iter(kept.into_iter().filter(move |_| query.before).map(|event| Ok(sent(&event))));
    let live = stream::unfold(live, async |mut events| {
        let next = match events.recv().await {
            Ok(event) => sent(&event),
            Err(RecvError::Lagged(missed)) => SseEvent::default().comment(format!("{missed} events missed")),
            Err(RecvError::Closed) => return None,
        };
        Some((Ok(next), events))
    });
    Sse::new(before.chain(live)).keep_alive(KeepAlive::default())
}

fn sent(event: &Event) -> SseEvent {
    // Our own types have no map keys or numbers that JSON could refuse.
    SseEvent::default().json_data(event).unwrap_or_default()
}

async fn recent_events(State(daemon): Shared) -> Response {
    json(&RecentEvents { version: VERSION, events: daemon.events().recent() })
}

fn read<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|error| {
        Fault::usage("malformed request")
            .because(&error)
            .hint("cocod --version and cococtl --version should be the same; otherwise see coconet::control")
    })
}

fn answer<T: Serialize>(outcome: Result<T>) -> Response {
    match outcome {
        Ok(value) => json(&value),
        Err(fault) => {
            let status = StatusCode::from_u16(fault.kind().http_status());
            let failure = Failure { version: VERSION, error: fault.into_body() };
            (status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), json(&failure)).into_response()
        }
    }
}

fn json<T: Serialize>(value: &T) -> Response {
    match serde_json::to_vec(value) {
        Ok(mut body) => {
            body.push(b'\n');
            ([(header::CONTENT_TYPE, JSON)], body).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
