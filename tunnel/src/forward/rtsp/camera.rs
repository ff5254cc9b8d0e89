//! One connection to a camera, from SETUP to TEARDOWN.
//!
//! [`connect`] starts a task that reads and writes the connection, and gives a [`Handle`]. Requests go one
//! at a time ([`Camera::request`]): the next is sent when the last is answered, so that answers need no CSeq
//! to be told apart, which some cameras forget; an answer that has one has to have that of the request.
//! Numbers are our own. What the camera asks itself is answered once, with a status and nothing else. A challenge is answered here when the
//! login is kept here.
//!
//! [`Camera::setup`] chooses how media comes: first as the viewer's own leg does, then the other way, when
//! the camera refuses; what worked for one track is tried first for the next. UDP is taken from the
//! camera's host only, from whatever port: some send from another one than they say. Media, and requests of
//! the camera's own, go to the [`Sink`].
//!
//! A camera may take ports and never get a packet through to them. When nothing has come [`NO_DATA`] after
//! PLAY, the session is set up once more with frames, and takes the place of the first one if the camera takes
//! it; the viewer goes on under the id that it knows.
//!
//! When the handle is dropped, for whatever reason, the camera is told: TEARDOWN for each session that is
//! left, for [`TEARDOWN_TIMEOUT`] at most, and then the connection is closed. Cameras have one to four
//! sessions, and those that are left open are missed for a minute.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use coconet::service::Login;
use coconet::target::Place;
use data_encoding::HEXLOWER;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::oneshot;

use super::super::local::{Local, connect as connect_local};
use super::auth::{self, Answers};
use super::lanes::Outlet;
use super::message::{Item, Message, Reader};
use super::ports::{self, Pair, Pump};
use super::transport::{self, Lower, Transport};
use super::urls;

/// Longest wait for an answer. Cameras that are asked to start a stream take up to a few seconds.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest time that a camera is given to end its sessions when nobody watches any more.
pub const TEARDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// How long after PLAY the first packet may take on UDP. Players give up after five seconds or more.
pub const NO_DATA: Duration = Duration::from_secs(3);

/// Times that one request is sent with a login: without, with, and once more when the nonce was stale.
const LOGIN_TRIES: usize = 3;

/// Requests of the camera's own that wait for an answer; beyond that the oldest is not answered.
const ASKED_MAX: usize = 8;

/// Most sessions that one connection is remembered to have.
const SESSIONS_MAX: usize = 16;

/// Bytes read from the camera at once.
const READ_SIZE: usize = 64 * 1024;

/// What a viewer is told when the camera would send to a group.
const NO_GROUPS: &str = "Unsupported Transport (the camera wants to send to a group)";

/// Where a camera's media and its own requests go.
pub(super) trait Sink: Send + Sync + 'static {
    /// A packet of RTP or RTCP.
    fn media(&self, track: u8, rtcp: bool, packet: &Bytes);

    /// Where the packet will wait without loss, if it may not be dropped.
    fn waits_in(&self, track: u8, rtcp: bool) -> Option<(&Outlet, u8)>;

    /// The camera asks something.
    fn request(&self, request: Message);

    /// A track now comes this way.
    fn moved(&self, track: u8, lower: Lower);

    /// The connection has ended.
    fn over(&self);
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unanswered {
    /// The connection has ended.
    #[error("the camera has closed the connection")]
    Over,
    /// Not within [`ANSWER_TIMEOUT`].
    #[error("the camera does not answer")]
    TimedOut,
    /// The camera does not take the login.
    #[error("the camera refuses the login that is kept here")]
    Login,
}

/// A connection to a camera. When it is dropped, the camera is told that nobody watches any more.
#[derive(Debug)]
pub(super) struct Handle {
    camera: Arc<Camera>,
    _open: oneshot::Sender<()>,
}

/// The same for who only sends.
pub(super) struct Camera {
    peer: SocketAddr,
    local: SocketAddr,
    names: Vec<(String, u16)>,
    login: Option<Login>,
    outlet: Outlet,
    /// Held while a request waits for its answer.
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
    /// Media has come.
    heard: Arc<AtomicBool>,
    sink: Arc<dyn Sink>,
}

#[derive(Default)]
struct State {
    number: u32,
    waiting: Option<(u32, oneshot::Sender<Message>)>,
    /// The numbers of the camera's own requests.
    asked: VecDeque<Option<String>>,
    answers: Option<Answers>,
    tracks: BTreeMap<u8, Leg>,
    /// Which track a channel of frames belongs to, and whether it is its RTCP.
    channels: BTreeMap<u8, (u8, bool)>,
    /// What worked.
    lower: Option<Lower>,
    sessions: BTreeSet<String>,
    /// The URL that a session is played and torn down by.
    aggregate: Option<String>,
    /// What set up the tracks that come over UDP, to be said again.
    setups: BTreeMap<u8, (Message, Transport)>,
    /// The session's id as the viewer knows it, and the one that took its place.
    renewed: Option<(String, String)>,
    over: bool,
}

/// How one track's media goes between here and the camera.
enum Leg {
    Udp {
        pair: Pair,
        _pumps: [Pump; 2],
        /// The camera's ports, as it said.
        announced: Option<(u16, u16)>,
        /// The ports that it really sends from; zero while it has not.
        seen: Arc<[AtomicU16; 2]>,
    },
    Tcp {
        channels: (u8, u8),
    },
}

/// Connect, and serve the connection until the handle is dropped or the camera closes it.
pub(super) async fn connect(place: &Place, login: Option<Login>, sink: Arc<dyn Sink>) -> io::Result<Handle> {
    let (Local::Tcp(stream), Place::Net { host, port }) = (connect_local(place).await?, place) else {
        return Err(io::ErrorKind::Unsupported.into());
    };
    let (peer, local) = (stream.peer_addr()?, stream.local_addr()?);
    let names = vec![(host.as_str().to_owned(), *port), (peer.ip().to_canonical().to_string(), *port)];
    let camera = Arc::new(Camera {
        peer,
        local,
        names,
        login,
        outlet: Outlet::default(),
        turn: tokio::sync::Mutex::default(),
        state: Mutex::default(),
        heard: Arc::default(),
        sink,
    });
    let (open, closing) = oneshot::channel();
    tokio::spawn(run(Arc::clone(&camera), stream, closing));
    Ok(Handle { camera, _open: open })
}

impl std::ops::Deref for Handle {
    type Target = Arc<Camera>;

    fn deref(&self) -> &Arc<Camera> {
        &self.camera
    }
}

impl std::fmt::Debug for Camera {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Camera").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl Camera {
    /// The hosts and ports it goes by.
    pub(super) fn names(&self) -> &[(String, u16)] {
        &self.names
    }

    /// How it is called in a URL.
    pub(super) fn authority(&self) -> String {
        self.names.first().map(|(host, port)| urls::spell(host, *port)).unwrap_or_default()
    }

    /// Ask, and wait for the answer.
    pub(super) async fn request(self: &Arc<Self>, request: &Message) -> Result<Message, Unanswered> {
        let answer = {
            let _turn = self.turn.lock().await;
            self.request_in_turn(request).await?
        };
        let ports = !self.lock().setups.is_empty() && !self.heard.load(Ordering::Relaxed);
        if ports && request.method() == Some("PLAY") && succeeded(&answer) {
            tokio::spawn(watch(Arc::downgrade(self), request.clone()));
        }
        Ok(answer)
    }

    async fn request_in_turn(&self, request: &Message) -> Result<Message, Unanswered> {
        for _ in 0..LOGIN_TRIES {
            let answer = self.exchange(request).await?;
            if answer.code() == Some(401) && self.login.is_some() {
                self.challenged(&answer)?;
                continue;
            }
            self.learn(request, &answer);
            return Ok(answer);
        }
        Err(Unanswered::Login)
    }

    /// Set up a track, in the way that is liked best or the other one. The answer's Transport is the
    /// camera's; how it comes is said beside.
    pub(super) async fn setup(
        self: &Arc<Self>,
        track: u8,
        request: &Message,
        offer: &Transport,
        liked: Lower,
    ) -> Result<(Message, Option<(Lower, Transport)>), Unanswered> {
        let first = self.lock().lower.unwrap_or(liked);
        let second = if first == Lower::Udp { Lower::Tcp } else { Lower::Udp };
        let mut refused = None;
        for lower in [first, second] {
            let (answer, done) = self.setup_over(track, request, offer, lower).await?;
            if done.is_some() || !refuses_transport(&answer) {
                return Ok((refused.filter(|_| done.is_none()).unwrap_or(answer), done));
            }
            refused.get_or_insert(answer);
        }
        // Neither works: the viewer hears what the camera says of the way that it likes.
        Ok((refused.unwrap_or_else(|| Message::response(461, "Unsupported Transport")), None))
    }

    /// A packet for the camera.
    pub(super) fn send(&self, track: u8, rtcp: bool, packet: &[u8]) {
        let state = self.lock();
        match state.tracks.get(&track) {
            Some(Leg::Udp { pair, announced, seen, .. }) => {
                let said = announced.map(|(rtp, second)| if rtcp { second } else { rtp });
                let port = said.unwrap_or_else(|| seen[usize::from(rtcp)].load(Ordering::Relaxed));
                if port != 0 {
                    let mut to = self.peer;
                    to.set_port(port);
                    ports::send(pair.socket(rtcp), to, packet);
                }
            }
            Some(Leg::Tcp { channels }) => {
                self.outlet.frame(if rtcp { channels.1 } else { channels.0 }, packet);
            }
            None => {}
        }
    }

    /// Resolves when a packet of this track can be sent without loss, as far as it can be known.
    pub(super) async fn room(&self, track: u8, rtcp: bool) {
        let channel = match self.lock().tracks.get(&track) {
            Some(Leg::Tcp { channels }) => {
                if rtcp {
                    channels.1
                } else {
                    channels.0
                }
            }
            Some(Leg::Udp { .. }) | None => return,
        };
        self.outlet.room(channel).await;
    }

    /// A track was torn down.
    pub(super) fn forget(&self, track: u8) {
        let mut state = self.lock();
        state.channels.retain(|_, (of, _)| *of != track);
        state.tracks.remove(&track);
        state.setups.remove(&track);
    }

    /// Pass on an answer to a request of the camera's own.
    pub(super) fn answer(&self, answer: &Message) {
        let number = answer.header("CSeq");
        let Some(code) = answer.code().filter(|code| *code >= 200) else { return };
        {
            let mut state = self.lock();
            let place = state.asked.iter().position(|asked| asked.as_deref() == number.as_deref());
            if place.and_then(|place| state.asked.remove(place)).is_none() {
                tracing::debug!("an answer that no camera waits for");
                return;
            }
        }
        let mut plain = Message::response(code, if code == 200 { "OK" } else { "Answered" });
        for name in ["CSeq", "Session"] {
            if let Some(value) = answer.header(name) {
                plain.set(name, &value);
            }
        }
        self.outlet.message(plain.encode());
    }

    async fn setup_over(
        self: &Arc<Self>,
        track: u8,
        request: &Message,
        offer: &Transport,
        lower: Lower,
    ) -> Result<(Message, Option<(Lower, Transport)>), Unanswered> {
        let channels = (track * 2, track * 2 + 1);
        let mut pair = None;
        let asked = match lower {
            Lower::Tcp => offer.over_tcp(channels),
            Lower::Udp => match Pair::bind(self.local) {
                Ok(bound) => offer.over_udp(pair.insert(bound).ports, None),
                Err(error) => {
                    tracing::warn!(%error, "no ports for a camera's media");
                    return Ok((Message::response(461, "Unsupported Transport"), None));
                }
            },
        };
        let mut request = request.clone();
        request.set("Transport", &asked.to_string());
        let answer = self.request(&request).await?;
        if !succeeded(&answer) {
            return Ok((answer, None));
        }
        let said = answer.header("Transport").and_then(|value| transport::parse(&value).into_iter().next());
        let said = said.unwrap_or(asked);
        if said.multicast {
            // Not asked for, and nobody here listens to groups. The session ends with the connection.
            return Ok((Message::response(461, NO_GROUPS), None));
        }
        let leg = match (said.lower, pair) {
            (Lower::Udp, Some(pair)) => self.listen(track, pair, said.server_port),
            // Frames, even where ports were asked for.
            (Lower::Tcp, _) | (Lower::Udp, None) => {
                Leg::Tcp { channels: said.interleaved.unwrap_or(channels) }
            }
        };
        let lower = if matches!(leg, Leg::Udp { .. }) { Lower::Udp } else { Lower::Tcp };
        let mut state = self.lock();
        if state.over {
            return Err(Unanswered::Over);
        }
        state.channels.retain(|_, (of, _)| *of != track);
        if let Leg::Tcp { channels } = &leg {
            state.channels.insert(channels.0, (track, false));
            state.channels.insert(channels.1, (track, true));
        }
        state.lower = Some(lower);
        state.setups.remove(&track);
        if lower == Lower::Udp {
            state.setups.insert(track, (request, said.clone()));
        }
        state.tracks.insert(track, leg);
        drop(state);
        Ok((answer, Some((lower, said))))
    }

    fn listen(&self, track: u8, pair: Pair, announced: Option<(u16, u16)>) -> Leg {
        let host = self.peer.ip().to_canonical();
        let seen = Arc::<[AtomicU16; 2]>::default();
        let pumps = [false, true].map(|rtcp| {
            let (sink, seen, heard) = (Arc::clone(&self.sink), Arc::clone(&seen), Arc::clone(&self.heard));
            Pump::start(Arc::clone(pair.socket(rtcp)), move |from, packet| {
                if is_host(from, host) {
                    seen[usize::from(rtcp)].store(from.port(), Ordering::Relaxed);
                    heard.store(true, Ordering::Relaxed);
                    sink.media(track, rtcp, &packet);
                }
            })
        });
        Leg::Udp {
            pair,
            _pumps: pumps,
            announced: announced.filter(|(rtp, rtcp)| *rtp != 0 && *rtcp != 0),
            seen,
        }
    }

    /// Set everything up with frames that brings nothing over UDP, and play it.
    async fn renew(&self, play: &Message) -> Result<(), Unanswered> {
        let _turn = self.turn.lock().await;
        let (setups, old) = {
            let state = self.lock();
            (state.setups.clone(), play.header("Session").map(std::borrow::Cow::into_owned))
        };
        let Some(old) = old.map(|old| session_id(&old).to_owned()) else { return Ok(()) };
        let mut new: Option<String> = None;
        for (track, (setup, said)) in setups {
            let channels = (track * 2, track * 2 + 1);
            let mut setup = setup;
            setup.set("Transport", &said.over_tcp(channels).to_string());
            setup.remove("Session");
            if let Some(new) = &new {
                setup.set("Session", new);
            }
            let answer = self.request_in_turn(&setup).await?;
            let session = answer.header("Session").map(|session| session_id(&session).to_owned());
            let Some(session) = session.filter(|_| succeeded(&answer)) else { return Ok(()) };
            let said =
                answer.header("Transport").and_then(|value| transport::parse(&value).into_iter().next());
            let channels = said.and_then(|said| said.interleaved).unwrap_or(channels);
            if new.is_none() {
                // The camera takes frames: the other session has no more use, and may be in the way.
                let url = self.lock().aggregate.clone().unwrap_or_default();
                let end = Message::request("TEARDOWN", &url).with("CSeq", "0").with("Session", &old);
                self.request_in_turn(&end).await?;
                self.lock().renewed = Some((old.clone(), session.clone()));
                new = Some(session);
            }
            let mut state = self.lock();
            state.channels.insert(channels.0, (track, false));
            state.channels.insert(channels.1, (track, true));
            state.setups.remove(&track);
            state.lower = Some(Lower::Tcp);
            let ports = state.tracks.insert(track, Leg::Tcp { channels });
            drop(state);
            drop(ports);
            self.sink.moved(track, Lower::Tcp);
        }
        self.request_in_turn(play).await?;
        Ok(())
    }

    /// Send once, with our own number and login.
    async fn exchange(&self, request: &Message) -> Result<Message, Unanswered> {
        let (answered, answer) = oneshot::channel();
        let mut request = request.clone();
        {
            let mut state = self.lock();
            if state.over {
                return Err(Unanswered::Over);
            }
            state.number += 1;
            let number = state.number;
            // Whoever waited before waits no more.
            state.waiting = Some((number, answered));
            request.set("CSeq", &number.to_string());
            if let Some((known, now)) = &state.renewed {
                request.map("Session", |value| (session_id(value) == known).then(|| now.clone()));
            }
            if let Some(login) = &self.login {
                request.remove("Authorization");
                if let (Some(answers), Some(method), Some(uri)) =
                    (&mut state.answers, request.method(), request.uri())
                {
                    let value = answers.next(login.user(), login.password(), method, uri);
                    request.set("Authorization", &value);
                }
            }
        }
        if !self.outlet.message(request.encode()) {
            return Err(Unanswered::TimedOut);
        }
        match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
            Ok(Ok(mut answer)) => {
                if let Some((known, now)) = &self.lock().renewed {
                    answer.map("Session", |value| {
                        (session_id(value) == now).then(|| value.replacen(now.as_str(), known, 1))
                    });
                }
                Ok(answer)
            }
            Ok(Err(_)) => Err(Unanswered::Over),
            Err(_) => {
                self.lock().waiting = None;
                Err(Unanswered::TimedOut)
            }
        }
    }

    /// Answer the challenge from now on.
    fn challenged(&self, answer: &Message) -> Result<(), Unanswered> {
        let values: Vec<_> = answer.headers("WWW-Authenticate").collect();
        let challenges = auth::challenges(values.iter().map(AsRef::as_ref));
        let challenge = auth::strongest(challenges).ok_or(Unanswered::Login)?;
        let mut state = self.lock();
        if state.answers.as_ref().is_some_and(|answers| answers.refused_by(&challenge)) {
            state.answers = None;
            return Err(Unanswered::Login);
        }
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|_| Unanswered::Login)?;
        state.answers = Some(Answers::new(challenge, HEXLOWER.encode(&random)));
        Ok(())
    }

    /// Remember what there is to be torn down.
    fn learn(&self, request: &Message, answer: &Message) {
        let (Some(method), Some(uri)) = (request.method(), request.uri()) else { return };
        let mut state = self.lock();
        if method == "TEARDOWN" {
            if let Some(session) = request.header("Session").filter(|_| succeeded(answer)) {
                state.sessions.remove(session_id(&session));
            }
            return;
        }
        if !succeeded(answer) {
            return;
        }
        match method {
            "SETUP" => {
                let session = answer.header("Session");
                if let Some(session) = session.filter(|_| state.sessions.len() < SESSIONS_MAX) {
                    state.sessions.insert(session_id(&session).to_owned());
                }
                state.aggregate.get_or_insert_with(|| uri.to_owned());
            }
            "DESCRIBE" | "PLAY" | "RECORD" | "ANNOUNCE" => state.aggregate = Some(uri.to_owned()),
            _ => {}
        }
    }

    async fn read(&self, mut from: ReadHalf<'_>) -> io::Result<()> {
        let mut reader = Reader::default();
        loop {
            while let Some(item) =
                reader.next().map_err(|bad| io::Error::new(io::ErrorKind::InvalidData, bad))?
            {
                match item {
                    Item::Frame { channel, payload } => self.frame(channel, &payload).await,
                    Item::Message(message) if message.code().is_some() => self.answered(message),
                    Item::Message(message) => {
                        self.lock().ask(message.header("CSeq").map(std::borrow::Cow::into_owned));
                        self.sink.request(message);
                    }
                }
            }
            let buffer = reader.buffer();
            buffer.reserve(READ_SIZE);
            if from.read_buf(buffer).await? == 0 {
                return Ok(());
            }
        }
    }

    async fn frame(&self, channel: u8, payload: &Bytes) {
        // A channel of nobody is an oddity, and no reason to stop.
        let Some((track, rtcp)) = self.lock().channels.get(&channel).copied() else { return };
        self.heard.store(true, Ordering::Relaxed);
        if let Some((outlet, channel)) = self.sink.waits_in(track, rtcp) {
            outlet.room(channel).await;
        }
        self.sink.media(track, rtcp, payload);
    }

    fn answered(&self, answer: Message) {
        if answer.code().is_some_and(|code| code < 200) {
            return;
        }
        let number: Option<u32> = answer.header("CSeq").and_then(|value| value.parse().ok());
        let mut state = self.lock();
        // One that comes too late, or that nobody asked for.
        if number.is_some_and(|number| state.waiting.as_ref().is_some_and(|(waiting, _)| *waiting != number))
        {
            return;
        }
        if let Some((_, waiting)) = state.waiting.take() {
            // Whoever waited may have gone.
            let _ = waiting.send(answer);
        }
    }

    async fn teardown(self: &Arc<Self>) {
        let (sessions, aggregate) = {
            let mut state = self.lock();
            (std::mem::take(&mut state.sessions), state.aggregate.clone())
        };
        let Some(aggregate) = aggregate else { return };
        for session in sessions {
            let request =
                Message::request("TEARDOWN", &aggregate).with("CSeq", "0").with("Session", &session);
            if self.request(&request).await.is_err() {
                return;
            }
        }
    }

    fn end(&self) {
        let mut state = self.lock();
        state.over = true;
        state.waiting = None;
        state.setups.clear();
        // Their tasks hold the sink.
        let tracks = std::mem::take(&mut state.tracks);
        drop(state);
        drop(tracks);
        self.sink.over();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn ask(&mut self, number: Option<String>) {
        self.asked.push_back(number);
        if self.asked.len() > ASKED_MAX {
            self.asked.pop_front();
        }
    }
}

/// See whether media comes after `play`.
async fn watch(camera: Weak<Camera>, play: Message) {
    tokio::time::sleep(NO_DATA).await;
    let Some(camera) = camera.upgrade() else { return };
    let silent = !camera.heard.load(Ordering::Relaxed) && !camera.lock().setups.is_empty();
    if silent {
        let renewed = camera.renew(&play).await;
        tracing::debug!(?renewed, "nothing came over UDP");
    }
}

async fn run(camera: Arc<Camera>, mut stream: TcpStream, closing: oneshot::Receiver<()>) {
    let (from, to) = stream.split();
    let ended = {
        let closed = async {
            // The handle says nothing; it is dropped.
            let _ = closing.await;
            // A camera that does not answer in time has its connection closed.
            let _ = tokio::time::timeout(TEARDOWN_TIMEOUT, camera.teardown()).await;
            Ok(())
        };
        tokio::select! {
            ended = camera.read(from) => ended,
            ended = write(&camera.outlet, to) => ended,
            ended = closed => ended,
        }
    };
    tracing::debug!(?ended, "a camera's connection ended");
    camera.end();
}

async fn write(outlet: &Outlet, mut to: WriteHalf<'_>) -> io::Result<()> {
    let mut batch = Vec::new();
    while outlet.take(&mut batch).await {
        for bytes in batch.drain(..) {
            to.write_all(&bytes).await?;
        }
    }
    Ok(())
}

/// Whether an answer says yes.
pub(super) fn succeeded(answer: &Message) -> bool {
    answer.code().is_some_and(|code| (200..300).contains(&code))
}

/// The id in a Session header, without its timeout.
pub(super) fn session_id(value: &str) -> &str {
    value.split(';').next().unwrap_or_default().trim()
}

/// 461 it should be; some say 406, and some only that the request is bad.
fn refuses_transport(answer: &Message) -> bool {
    matches!(answer.code(), Some(400 | 406 | 461))
}

fn is_host(from: SocketAddr, host: IpAddr) -> bool {
    from.ip().to_canonical() == host
}
