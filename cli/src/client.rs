//! Requests to the daemon: HTTP/1.1 and JSON over its unix socket, one connection each.
//!
//! Each request has a deadline and each answer a bound, so that a daemon that hangs or a program that
//! is no daemon cannot hold a script or its memory. Failures keep apart what a user does about them:
//! no socket, nobody behind the socket, somebody else's socket, no daemon at the other end, and what
//! the daemon itself reports.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::time::Duration;

use coconet::control::{ErrorKind, Event, Failure, VERSION};
use coconet::ledger::archive::ARCHIVE_MAX;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderValue;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::fail::Fail;
use crate::place::{Place, word};

/// Largest answer that is read: a network of 10,000 nodes fits several times.
pub(crate) const ANSWER_MAX: usize = 16 * 1024 * 1024;

/// How long the daemon may take for what it answers by itself.
pub(crate) const QUICK: Duration = Duration::from_secs(10);

/// How long it may take for what the manager has to agree to: longer than the daemon's own patience
/// with a manager, so that its explanation arrives.
pub(crate) const SLOW: Duration = Duration::from_secs(60);

/// What a deadline given to the daemon is exceeded by here, for the same reason.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// Longest piece of the event stream that is kept until its line has ended, in bytes.
const EVENT_MAX: usize = 64 * 1024;

/// The type of a ledger file.
const FILE_TYPE: &str = "application/octet-stream";

const SAME_RELEASE: &str =
    "cocod --version and cococtl --version should be the same; then look at the daemon's log";

/// The way to one daemon.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) place: Place,
}

/// A good answer: as it came, and what it means.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    pub(crate) json: String,
    pub(crate) value: T,
}

/// The daemon's event stream.
#[derive(Debug)]
pub(crate) struct Events {
    body: Incoming,
    /// What came and is no whole line yet.
    rest: Vec<u8>,
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl Client {
    /// `GET`, answered by the daemon alone.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Answer<T>, Fail> {
        self.call(Method::GET, path, Bytes::new(), QUICK).await
    }

    /// `GET` of what the daemon has to find out first.
    pub(crate) async fn get_slowly<T: DeserializeOwned>(&self, path: &str) -> Result<Answer<T>, Fail> {
        self.call(Method::GET, path, Bytes::new(), SLOW).await
    }

    /// `POST` with a JSON body.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        limit: Duration,
    ) -> Result<Answer<T>, Fail> {
        let body = serde_json::to_vec(body)
            .map_err(|error| Fail::failed("cannot write the request").because(error))?;
        self.call(Method::POST, path, body.into(), limit).await
    }

    /// `POST` without a body, which the manager has to agree to.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, path: &str) -> Result<Answer<T>, Fail> {
        self.call(Method::POST, path, Bytes::new(), SLOW).await
    }

    /// `DELETE`, which the manager has to agree to.
    pub(crate) async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<Answer<T>, Fail> {
        self.call(Method::DELETE, path, Bytes::new(), SLOW).await
    }

    /// `GET` of a ledger file, handed to `sink` piece by piece. Returns its length.
    pub(crate) async fn download(
        &self,
        path: &str,
        mut sink: impl FnMut(&[u8]) -> Result<(), Fail>,
    ) -> Result<u64, Fail> {
        let asked = self.send(Method::GET, path, Bytes::new());
        let response = timeout(SLOW, asked).await.map_err(|_| self.silent(SLOW))??;
        let status = response.status();
        let kind = response.headers().get(header::CONTENT_TYPE);
        let is_file = kind.is_some_and(|kind| kind == FILE_TYPE);
        let mut body = response.into_body();
        if !status.is_success() {
            return Err(self.refused(status, body).await);
        }
        if !is_file {
            return Err(Fail::failed("the daemon's answer is no ledger file").hint(SAME_RELEASE));
        }
        let mut length = 0;
        loop {
            let frame = timeout(QUICK, body.frame()).await.map_err(|_| self.silent(QUICK))?;
            let Some(frame) = frame else { return Ok(length) };
            let Ok(data) = frame.map_err(|error| self.gone(error))?.into_data() else { continue };
            length += data.len() as u64;
            if length > ARCHIVE_MAX as u64 {
                return Err(Fail::failed(format!("the ledger is longer than {} MiB", ARCHIVE_MAX >> 20))
                    .hint("look at the daemon's log"));
            }
            sink(&data)?;
        }
    }

    /// `POST` that is answered by going over to another protocol: the connection, and what has come on it
    /// already.
    pub(crate) async fn upgrade(
        &self,
        path: &str,
        body: &impl Serialize,
        protocol: &str,
    ) -> Result<(UnixStream, Bytes), Fail> {
        let body = serde_json::to_vec(body)
            .map_err(|error| Fail::failed("cannot write the request").because(error))?;
        let request = self.request(Method::POST, path, body.into())?;
        let (mut parts, body) = request.into_parts();
        let protocol = HeaderValue::from_str(protocol)
            .map_err(|error| Fail::failed("cannot write the request").because(error))?;
        parts.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        parts.headers.insert(header::UPGRADE, protocol);
        let exchange = async {
            let response = self.exchange(Request::from_parts(parts, body)).await?;
            let status = response.status();
            if status != StatusCode::SWITCHING_PROTOCOLS {
                let body = Limited::new(response.into_body(), ANSWER_MAX).collect().await;
                let body = body.map_err(|error| self.broken_off(error.as_ref()))?.to_bytes();
                return Err(self.failure(status.as_u16(), &body));
            }
            let upgraded = hyper::upgrade::on(response).await.map_err(|error| self.gone(error))?;
            let parts = upgraded.downcast::<TokioIo<UnixStream>>();
            let parts = parts.map_err(|_| Fail::failed("the connection cannot be used as it is"))?;
            Ok((parts.io.into_inner(), parts.read_buf))
        };
        timeout(SLOW, exchange).await.map_err(|_| self.silent(SLOW))?
    }

    /// Listens to `GET /v1/events`: to what happens from now on, or what was kept of before as well.
    pub(crate) async fn events(&self, before: bool) -> Result<Events, Fail> {
        let place = if before { "/v1/events?before=true" } else { "/v1/events" };
        let asked = self.send(Method::GET, place, Bytes::new());
        let response = timeout(QUICK, asked).await.map_err(|_| self.silent(QUICK))??;
        let status = response.status();
        if !status.is_success() {
            return Err(self.refused(status, response.into_body()).await);
        }
        Ok(Events { body: response.into_body(), rest: Vec::new() })
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        limit: Duration,
    ) -> Result<Answer<T>, Fail> {
        let exchange = async {
            let response = self.send(method, path, body).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_MAX).collect().await;
            Ok((status, body.map_err(|error| self.broken_off(error.as_ref()))?.to_bytes()))
        };
        let (status, body) = timeout(limit, exchange).await.map_err(|_| self.silent(limit))??;
        if status.is_success() { self.answer(&body) } else { Err(self.failure(status.as_u16(), &body)) }
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>, Fail> {
        self.exchange(self.request(method, path, body)?).await
    }

    fn request(&self, method: Method, path: &str, body: Bytes) -> Result<Request<Full<Bytes>>, Fail> {
        Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "coco")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| Fail::failed("cannot write the request").because(error))
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Fail> {
        let stream =
            UnixStream::connect(&self.place.socket).await.map_err(|error| self.no_connection(&error))?;
        self.require_ours(&stream)?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| self.no_answer(&error))?;
        tokio::spawn(connection.with_upgrades());
        sender.send_request(request).await.map_err(|error| self.no_answer(&error))
    }

    fn answer<T: DeserializeOwned>(&self, body: &[u8]) -> Result<Answer<T>, Fail> {
        let senseless = |cause: String| {
            Fail::failed("the daemon's answer makes no sense").because(cause).hint(SAME_RELEASE)
        };
        let json = std::str::from_utf8(body).map_err(|error| senseless(error.to_string()))?;
        let Versioned { version } =
            serde_json::from_str(json).map_err(|error| senseless(error.to_string()))?;
        if version != VERSION {
            return Err(Fail::failed(format!(
                "the daemon speaks version {version} of the control API, this cococtl version {VERSION}"
            ))
            .hint("install one release of both programs, and restart the daemon"));
        }
        let value = serde_json::from_str(json).map_err(|error| senseless(error.to_string()))?;
        Ok(Answer { json: json.to_owned(), value })
    }

    /// What a body says that is no result.
    async fn refused(&self, status: StatusCode, body: Incoming) -> Fail {
        match timeout(QUICK, Limited::new(body, ANSWER_MAX).collect()).await {
            Ok(Ok(body)) => self.failure(status.as_u16(), &body.to_bytes()),
            Ok(Err(error)) => self.broken_off(error.as_ref()),
            Err(_) => self.silent(QUICK),
        }
    }

    fn failure(&self, status: u16, body: &[u8]) -> Fail {
        match serde_json::from_slice::<Failure>(body) {
            Ok(failure) => Fail::reported(failure, &self.place.me),
            Err(_) => {
                Fail::failed(format!("the daemon refused with HTTP status {status} and did not say why"))
                    .hint(SAME_RELEASE)
            }
        }
    }

    fn no_connection(&self, error: &io::Error) -> Fail {
        let socket = self.place.socket.display();
        let not_running = |why: String| {
            Fail::new(ErrorKind::Unreachable, "the daemon is not running")
                .because(why)
                .hint(&self.place.start)
        };
        let kind = error.kind();
        if kind == io::ErrorKind::NotFound {
            not_running(format!("there is no socket {socket}"))
        } else if kind == io::ErrorKind::ConnectionRefused && self.is_socket() {
            not_running(format!("nobody listens on {socket}, it was left behind"))
        } else if kind == io::ErrorKind::ConnectionRefused {
            Fail::usage(format!("{socket} is not a socket")).hint("cococtl --socket PATH, or --app NAME")
        } else if kind == io::ErrorKind::PermissionDenied {
            Fail::new(ErrorKind::NotPermitted, "this daemon is somebody else's")
                .because(format!("no permission for {socket}"))
                .hint(self.as_its_owner())
        } else if kind == io::ErrorKind::InvalidInput {
            Fail::usage("the path of the socket cannot be one")
                .because(error)
                .hint("cococtl --socket PATH, of at most 107 bytes")
        } else {
            Fail::new(ErrorKind::Unreachable, format!("cannot connect to {socket}"))
                .because(error)
                .hint(&self.place.start)
        }
    }

    /// Nothing is said, an invite or a login least of all, to somebody who has put a socket in the daemon's place: who
    /// listens is this user, or root. Root itself may talk to everybody's daemon.
    fn require_ours(&self, stream: &UnixStream) -> Result<(), Fail> {
        let own = nix::unistd::geteuid();
        let theirs = stream.peer_cred().map_err(|error| self.no_connection(&error))?.uid();
        if own.is_root() || theirs == own.as_raw() || theirs == 0 {
            return Ok(());
        }
        Err(Fail::new(ErrorKind::NotPermitted, "this daemon is somebody else's")
            .because(format!("it is user {theirs} who listens on {}", self.place.socket.display()))
            .hint(self.as_its_owner()))
    }

    fn is_socket(&self) -> bool {
        // Where we cannot tell, the likelier: the path was right once.
        std::fs::metadata(&self.place.socket).map_or(true, |file| file.file_type().is_socket())
    }

    fn as_its_owner(&self) -> String {
        let uid =
            std::fs::metadata(&self.place.socket).ok().map(|file| nix::unistd::Uid::from_raw(file.uid()));
        let user = uid.and_then(|uid| nix::unistd::User::from_uid(uid).ok().flatten());
        let user = user.map_or("USER".to_owned(), |user| word(&user.name));
        format!(
            "a socket is its owner's alone: sudo -u {user} cococtl --socket {} status",
            self.socket_word()
        )
    }

    fn no_answer(&self, error: &hyper::Error) -> Fail {
        if error.is_parse() {
            return Fail::failed(format!(
                "what answers on {} is no coco daemon",
                self.place.socket.display()
            ))
            .because(error)
            .hint("cococtl --app NAME, or --socket PATH of a daemon");
        }
        self.gone(error)
    }

    fn broken_off(&self, error: &(dyn std::error::Error + Send + Sync + 'static)) -> Fail {
        if error.is::<LengthLimitError>() {
            return Fail::failed(format!("the daemon's answer is longer than {} MiB", ANSWER_MAX >> 20))
                .hint("look at the daemon's log, and restart it");
        }
        self.gone(error)
    }

    fn gone(&self, error: impl std::fmt::Display) -> Fail {
        Fail::new(ErrorKind::Unreachable, "the daemon went away before it had answered")
            .because(error)
            .hint(format!("{} status, and look at the daemon's log", self.place.me))
    }

    fn silent(&self, limit: Duration) -> Fail {
        Fail::new(ErrorKind::TimedOut, format!("no answer from the daemon in {} s", limit.as_secs()))
            .hint(format!("{} status, and look at the daemon's log", self.place.me))
    }

    fn socket_word(&self) -> String {
        word(&self.place.socket.to_string_lossy())
    }
}

impl Events {
    /// Returns when something has happened: true, or false once the stream has ended.
    pub(crate) async fn pulse(&mut self) -> bool {
        matches!(self.body.frame().await, Some(Ok(_)))
    }

    /// The next event, or none once the stream has ended. May be dropped and called again.
    pub(crate) async fn next(&mut self) -> Result<Option<Event>, Fail> {
        loop {
            while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                // Comments keep the stream alive, and empty lines end an event of one line of data.
                let Some(data) = line.strip_prefix(b"data: ") else { continue };
                let event = serde_json::from_slice(data).map_err(|error| {
                    Fail::failed("an event of the daemon makes no sense").because(error).hint(SAME_RELEASE)
                })?;
                return Ok(Some(event));
            }
            match self.body.frame().await {
                None | Some(Err(_)) => return Ok(None),
                Some(Ok(frame)) => self.rest.extend(frame.into_data().unwrap_or_default()),
            }
            if self.rest.len() > EVENT_MAX {
                return Err(Fail::failed(format!("an event of the daemon is longer than {EVENT_MAX} bytes"))
                    .hint(SAME_RELEASE));
            }
        }
    }
}

/// `text` as one segment of a path, or one value of a query.
pub(crate) fn segment(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~:".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_cannot_leave_its_place() {
        assert_eq!(segment("n:abc-1_2.x"), "n:abc-1_2.x");
        assert_eq!(segment("../a?b#c%é"), "..%2Fa%3Fb%23c%25%C3%A9");
    }
}
