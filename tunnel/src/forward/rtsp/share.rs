//! One session with a camera for all viewers of the same URL.
//!
//! The first viewer's DESCRIBE opens the connection. Its first SETUP sets up every track that the camera
//! offers, because many cameras take no SETUP once they play, and its PLAY starts them. Who comes later gets
//! the description, the answers and the numbers of the newest packets from here, and media from then on. Each
//! viewer has queues of its own that drop their oldest: nobody waits for the slowest. What the camera
//! reports goes to all; what viewers report goes nowhere, and the camera hears one receiver, which is this
//! exporter, every [`REPORT`], beside a request that keeps its session alive.
//!
//! PAUSE stops one viewer's media only, and a range is not looked for: it is the camera's present that is
//! shared. [`LINGER`] after the last viewer has left the session is torn down; at once when nothing was described.
//!
//! A camera that wants a login that is not kept here is not shared: what one viewer's password opens is not
//! shown to another. Nor is a session that a viewer talks or records in.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use coconet::service::Login;
use coconet::target::Place;
use data_encoding::HEXUPPER;
use tokio::time::Instant;

use super::camera::{self, Camera, Handle, Sink, Unanswered, session_id, succeeded};
use super::lanes::Outlet;
use super::media::{self, Description};
use super::message::Message;
use super::seen::Seen;
use super::transport::{self, Lower, Transport};
use super::urls::{self, Rename};
use super::viewer::{Form, TRACKS_MAX, Viewer, number};

/// How long a session is held when nobody watches: as long as a player takes to come back.
pub const LINGER: Duration = Duration::from_secs(5);

/// How often the camera gets a receiver's report: RFC 3550's least interval.
pub const REPORT: Duration = Duration::from_secs(5);

/// How often the session is looked after.
const TICK: Duration = Duration::from_millis(500);

/// Most sessions that the viewers of one service have with its camera, each for a URL of its own. Cameras have
/// one to four streams.
pub const SHARES_MAX: usize = 8;

/// What a camera's session lives without requests when it does not say (RFC 2326, 12.37).
const TIMEOUT: Duration = Duration::from_secs(60);

/// Methods that a shared session answers.
const PUBLIC: &str = "OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, TEARDOWN, GET_PARAMETER, SET_PARAMETER";

/// The sessions that are shared, by the path of their URL.
pub(super) type Shares = Arc<Mutex<BTreeMap<String, Arc<Shared>>>>;

/// One session with a camera.
pub(super) struct Shared {
    seen: Arc<Seen>,
    place: Place,
    login: Option<Login>,
    /// The connection. Held while it is asked, so that two viewers do not begin at once.
    camera: tokio::sync::Mutex<Option<Handle>>,
    state: Mutex<State>,
    next: AtomicU64,
}

#[derive(Default)]
struct State {
    viewers: BTreeMap<u64, Watching>,
    /// Since when nobody watches.
    empty: Option<Instant>,
    described: Option<Described>,
    /// What was set up at the camera: how it comes, and the camera's words.
    tracks: BTreeMap<u8, (Lower, Transport)>,
    session: Option<String>,
    keep_alive: Option<Duration>,
    /// The camera's answer to PLAY.
    playing: Option<Message>,
    over: bool,
}

struct Watching {
    viewer: Arc<Viewer>,
    /// The camera's tracks, and the tunnel's numbers for them.
    tracks: BTreeMap<u8, u8>,
    plays: bool,
}

#[derive(Clone)]
struct Described {
    answer: Message,
    url: String,
    base: String,
    /// The paths of the tracks, those to talk in left empty.
    paths: Vec<Option<String>>,
    names: Vec<(String, u16)>,
}

/// One viewer's place in a shared session. Dropped, it is free.
pub(super) struct Seat {
    shared: Arc<Shared>,
    id: u64,
    session: String,
    viewer: Arc<Viewer>,
}

/// What became of a DESCRIBE.
pub(super) enum Taken {
    /// The viewer has a seat.
    Seat(Seat, Message, Description, String),
    /// The camera says no.
    No(Message),
    /// The camera asks for the viewer's own login.
    NotShared,
}

/// Describe `path` for a viewer, who then has a seat in its session.
pub(super) async fn describe(
    shares: &Shares,
    registry: impl FnOnce(&Arc<Seen>),
    (place, login): (&Place, Option<&Login>),
    request: &Message,
    viewer: &Arc<Viewer>,
) -> Result<Taken, Unanswered> {
    let path = urls::path(request.uri().unwrap_or_default()).to_owned();
    let (shared, new, seat) = {
        let mut shares = lock(shares);
        let known = shares.get(&path).filter(|shared| !shared.lock().over).map(Arc::clone);
        let new = known.is_none();
        if new && shares.len() >= SHARES_MAX {
            return Ok(Taken::No(Message::response(453, "Not Enough Bandwidth (too many shared sessions)")));
        }
        let shared = known.unwrap_or_else(|| Arc::new(Shared::new(&path, place, login)));
        // While nobody else can find the session left and give it up.
        let seat = Seat::new(&shared, viewer)?;
        if new {
            shares.insert(path.clone(), Arc::clone(&shared));
        }
        (shared, new, seat)
    };
    if new {
        registry(&shared.seen);
        tokio::spawn(tend(Arc::downgrade(&shared), Arc::clone(shares), path));
    }
    let answer = shared.describe(request).await?;
    if answer.code() == Some(401) {
        return Ok(Taken::NotShared);
    }
    let described = shared.lock().described.clone();
    match described {
        Some(described) if succeeded(&answer) => {
            if let Some(authority) = urls::authority(request.uri().unwrap_or_default()) {
                viewer.rename(Rename::new(described.names, authority.to_owned()));
            }
            let description = media::describe(answer.body());
            Ok(Taken::Seat(seat, answer, description, described.base))
        }
        Some(_) | None => Ok(Taken::No(answer)),
    }
}

/// What a shared session says before anything is asked of the camera.
pub(super) fn options() -> Message {
    Message::response(200, "OK").with("Public", PUBLIC)
}

impl Seat {
    fn new(shared: &Arc<Shared>, viewer: &Arc<Viewer>) -> Result<Self, Unanswered> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|_| Unanswered::Over)?;
        let id = shared.next.fetch_add(1, Ordering::Relaxed);
        let mut state = shared.lock();
        let watching = Watching { viewer: Arc::clone(viewer), tracks: BTreeMap::new(), plays: false };
        state.viewers.insert(id, watching);
        state.empty = None;
        drop(state);
        Ok(Self {
            shared: Arc::clone(shared),
            id,
            session: HEXUPPER.encode(&random),
            viewer: Arc::clone(viewer),
        })
    }

    /// The answer to a request of the viewer.
    pub(super) async fn answer(&self, request: &Message) -> Result<Message, Unanswered> {
        let ok = Message::response(200, "OK").with("Session", &self.session);
        match request.method().unwrap_or_default() {
            "OPTIONS" => Ok(options()),
            "DESCRIBE" => self.shared.describe(request).await,
            "SETUP" => self.setup(request).await,
            "PLAY" => self.play(ok).await,
            "PAUSE" => {
                self.watching(|watching| watching.plays = false);
                Ok(ok)
            }
            "TEARDOWN" => {
                self.watching(|watching| {
                    watching.plays = false;
                    for track in std::mem::take(&mut watching.tracks).into_values() {
                        watching.viewer.unset(track);
                    }
                });
                self.shared.seen.left(self.id);
                Ok(ok)
            }
            "GET_PARAMETER" | "SET_PARAMETER" if request.body().is_empty() => Ok(ok),
            "GET_PARAMETER" | "SET_PARAMETER" => Ok(Message::response(451, "Parameter Not Understood")),
            _ => {
                Ok(Message::response(405, "Method Not Allowed (the session is shared)").with("Allow", PUBLIC))
            }
        }
    }

    async fn setup(&self, request: &Message) -> Result<Message, Unanswered> {
        let offers: Vec<_> =
            request.headers("Transport").flat_map(|value| transport::parse(&value)).collect();
        let Some((offer, (theirs, liked))) =
            offers.first().and_then(|offer| Some((offer, super::far::tunnel_track(offer)?)))
        else {
            return Ok(Message::response(461, "Unsupported Transport"));
        };
        let path = urls::path(request.uri().unwrap_or_default());
        let (ours, (lower, said)) = match self.shared.set_up(path, offer, liked).await? {
            Ok(track) => track,
            Err(refusal) => return Ok(refusal),
        };
        let streams = lower == Lower::Tcp && liked == Lower::Tcp;
        let numbers = (number(theirs, false), number(theirs, true));
        let said = if streams {
            said.over_tcp(numbers)
        } else {
            let flows = (u16::from(numbers.0), u16::from(numbers.1));
            said.over_udp(flows, Some(flows))
        };
        let form = Form { lower: if streams { Lower::Tcp } else { Lower::Udp }, sends: false };
        self.viewer.set(theirs, form);
        self.watching(|watching| {
            watching.tracks.insert(ours, theirs);
        });
        self.shared.seen.watched(self.id, liked);
        let session = format!("{};timeout={}", self.session, TIMEOUT.as_secs());
        Ok(Message::response(200, "OK").with("Transport", &said.to_string()).with("Session", &session))
    }

    async fn play(&self, mut ok: Message) -> Result<Message, Unanswered> {
        let (answer, first) = self.shared.play().await?;
        if !succeeded(&answer) {
            return Ok(answer);
        }
        // What the camera said is true until something has come.
        let said = || answer.header("RTP-Info").map(std::borrow::Cow::into_owned);
        let now = if first { None } else { self.shared.rtp_info() };
        let info = now.or_else(said);
        let range = answer.header("Range").map_or_else(|| "npt=0.000-".into(), std::borrow::Cow::into_owned);
        ok.set("Range", if first { &range } else { "npt=now-" });
        if let Some(info) = info {
            ok.set("RTP-Info", &info);
        }
        self.watching(|watching| watching.plays = true);
        Ok(ok)
    }

    fn watching(&self, change: impl FnOnce(&mut Watching)) {
        if let Some(watching) = self.shared.lock().viewers.get_mut(&self.id) {
            change(watching);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.shared.seen.left(self.id);
        let mut state = self.shared.lock();
        state.viewers.remove(&self.id);
        if state.viewers.is_empty() {
            state.empty = Some(Instant::now());
        }
    }
}

impl Shared {
    fn new(path: &str, place: &Place, login: Option<&Login>) -> Self {
        Self {
            seen: Arc::new(Seen::new(path)),
            place: place.clone(),
            login: login.cloned(),
            camera: tokio::sync::Mutex::default(),
            state: Mutex::default(),
            next: AtomicU64::new(0),
        }
    }

    /// The camera's description, asked for once.
    async fn describe(self: &Arc<Self>, request: &Message) -> Result<Message, Unanswered> {
        let mut camera = self.camera.lock().await;
        if let Some(described) = &self.lock().described {
            return Ok(described.answer.clone());
        }
        let handle = match camera.as_ref() {
            Some(handle) => handle,
            None => {
                let sink: Arc<dyn Sink> = Arc::<Self>::clone(self);
                let connected = camera::connect(&self.place, self.login.clone(), sink).await;
                let connected = connected.inspect_err(|error| tracing::debug!(%error, "no camera"));
                camera.insert(connected.map_err(|_| Unanswered::Over)?)
            }
        };
        let asked = request.uri().unwrap_or_default();
        // Never what one viewer calls the camera: the others get what it answers to that.
        let path = urls::path(asked);
        let slash = if path.starts_with('/') { "" } else { "/" };
        let url = format!("rtsp://{}{slash}{path}", handle.authority());
        let answer =
            handle.request(&Message::request("DESCRIBE", &url).with("Accept", "application/sdp")).await?;
        if succeeded(&answer) {
            let base = ["Content-Base", "Content-Location"].iter().find_map(|name| answer.header(name));
            let base = base.map_or_else(|| url.clone(), std::borrow::Cow::into_owned);
            let description = media::describe(answer.body());
            self.seen.described(&base, &description);
            let path = |track: &media::Track| {
                let url = urls::resolve(&base, track.control.as_deref().unwrap_or_default());
                (!track.talk).then(|| urls::path(&url).to_owned())
            };
            let paths = description.tracks.iter().take(usize::from(TRACKS_MAX)).map(path).collect();
            let names = handle.names().to_vec();
            self.lock().described = Some(Described { answer: answer.clone(), url, base, paths, names });
        }
        Ok(answer)
    }

    /// The track at `path`, once all are set up; or what refuses it.
    async fn set_up(
        self: &Arc<Self>,
        path: &str,
        offer: &Transport,
        liked: Lower,
    ) -> Result<Result<(u8, (Lower, Transport)), Message>, Unanswered> {
        let camera = self.camera.lock().await;
        let camera = camera.as_ref().ok_or(Unanswered::Over)?;
        let Some(described) = self.lock().described.clone() else { return Err(Unanswered::Over) };
        let wanted = described.paths.iter().position(|of| of.as_deref() == Some(path));
        let Some(wanted) = wanted.and_then(|wanted| u8::try_from(wanted).ok()) else {
            return Ok(Err(Message::response(404, "Not Found")));
        };
        if self.lock().tracks.is_empty() {
            for (track, path) in (0..).zip(&described.paths) {
                let Some(path) = path else { continue };
                let refused = self.set_up_one(camera, track, path, &described, offer, liked).await?;
                if let Some(refusal) = refused.filter(|_| track == wanted) {
                    return Ok(Err(refusal));
                }
            }
        }
        let track = self.lock().tracks.get(&wanted).cloned();
        Ok(track.map(|track| (wanted, track)).ok_or_else(|| Message::response(404, "Not Found")))
    }

    async fn set_up_one(
        &self,
        camera: &Arc<Camera>,
        track: u8,
        path: &str,
        described: &Described,
        offer: &Transport,
        liked: Lower,
    ) -> Result<Option<Message>, Unanswered> {
        let authority = urls::authority(&described.base).or_else(|| urls::authority(&described.url));
        let url = format!("rtsp://{}{path}", authority.unwrap_or_default());
        let mut request = Message::request("SETUP", &url);
        if let Some(session) = &self.lock().session {
            request.set("Session", session);
        }
        let (answer, done) = camera.setup(track, &request, offer, liked).await?;
        let Some((lower, said)) = done else { return Ok(Some(answer)) };
        self.seen.set_up(track, path, lower);
        let mut state = self.lock();
        if let Some(session) = answer.header("Session") {
            state.session.get_or_insert_with(|| session_id(&session).to_owned());
            state.keep_alive = keep_alive(&session);
        }
        state.tracks.insert(track, (lower, said));
        Ok(None)
    }

    /// The camera's answer to PLAY, and whether it was asked just now.
    async fn play(&self) -> Result<(Message, bool), Unanswered> {
        let camera = self.camera.lock().await;
        let camera = camera.as_ref().ok_or(Unanswered::Over)?;
        if let Some(answer) = &self.lock().playing {
            return Ok((answer.clone(), false));
        }
        let request = self.aggregate("PLAY").map(|request| request.with("Range", "npt=0.000-"));
        let answer = camera.request(&request.ok_or(Unanswered::Over)?).await?;
        if succeeded(&answer) {
            self.lock().playing = Some(answer.clone());
        }
        Ok((answer, true))
    }

    /// A request about the whole session.
    fn aggregate(&self, method: &str) -> Option<Message> {
        let state = self.lock();
        let described = state.described.as_ref()?;
        let url = if urls::authority(&described.base).is_some() { &described.base } else { &described.url };
        Some(Message::request(method, url).with("Session", state.session.as_ref()?))
    }

    /// Where the media is now.
    fn rtp_info(&self) -> Option<String> {
        let state = self.lock();
        let described = state.described.as_ref()?;
        let authority = urls::authority(&described.base).or_else(|| urls::authority(&described.url))?;
        let one = |track: &u8| {
            let path = described.paths.get(usize::from(*track))?.as_ref()?;
            let (number, time) = self.seen.newest(*track)?;
            Some(format!("url=rtsp://{authority}{path};seq={};rtptime={time}", number.wrapping_add(1)))
        };
        let tracks: Vec<_> = state.tracks.keys().filter_map(one).collect();
        (!tracks.is_empty()).then(|| tracks.join(","))
    }

    /// Tell the camera that somebody receives.
    fn report(&self, camera: &Camera) {
        let tracks: Vec<_> = self.lock().tracks.keys().copied().collect();
        for track in tracks {
            // Version 2, no blocks, a receiver's report of eight bytes, from a source of nobody else.
            let report = [0x80, 201, 0, 1, b'c', b'o', b'c', track];
            camera.send(track, true, &report);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Sink for Shared {
    fn media(&self, track: u8, rtcp: bool, packet: &Bytes) {
        if !rtcp {
            self.seen.packet(track, packet);
        }
        for watching in self.lock().viewers.values().filter(|watching| watching.plays) {
            if let Some(theirs) = watching.tracks.get(&track) {
                watching.viewer.deliver(*theirs, rtcp, packet);
            }
        }
    }

    fn waits_in(&self, _track: u8, _rtcp: bool) -> Option<(&Outlet, u8)> {
        None
    }

    fn request(&self, request: Message) {
        tracing::debug!(method = request.method(), "a camera asks something of a shared session");
    }

    fn moved(&self, track: u8, lower: Lower) {
        self.seen.moved(track, lower);
    }

    fn over(&self) {
        let mut state = self.lock();
        state.over = true;
        for watching in state.viewers.values() {
            watching.viewer.outlet.finish();
        }
    }
}

/// Keep the session alive while somebody watches, and end it some time after.
async fn tend(shared: Weak<Shared>, shares: Shares, path: String) {
    let (mut reported, mut asked) = (Instant::now(), Instant::now());
    loop {
        tokio::time::sleep(TICK).await;
        let Some(shared) = shared.upgrade() else { return };
        let ended = {
            let mut shares = lock(&shares);
            let mut state = shared.lock();
            // Nobody sits down while both are held.
            let lingers =
                state.described.is_some() && state.empty.is_some_and(|since| since.elapsed() < LINGER);
            let left = state.viewers.is_empty() && !lingers;
            let ended = state.over || left;
            if ended {
                state.over = true;
                if shares.get(&path).is_some_and(|of| Arc::ptr_eq(of, &shared)) {
                    shares.remove(&path);
                }
            }
            ended
        };
        if ended {
            // Its end tells the camera.
            shared.camera.lock().await.take();
            return;
        }
        let camera = shared.camera.lock().await.as_ref().map(|handle| Arc::clone(handle));
        let Some(camera) = camera else { continue };
        if reported.elapsed() >= REPORT {
            reported = Instant::now();
            shared.report(&camera);
        }
        let every = shared.lock().keep_alive.unwrap_or(TIMEOUT) / 2;
        if asked.elapsed() >= every {
            asked = Instant::now();
            if let Some(request) = shared.aggregate("GET_PARAMETER") {
                // A camera that does not know the method has heard of us all the same.
                let _ = camera.request(&request).await;
            }
        }
    }
}

/// What `12345678;timeout=60` says.
fn keep_alive(session: &str) -> Option<Duration> {
    let timeout = session.split(';').find_map(|one| one.trim().strip_prefix("timeout="))?;
    timeout.trim().parse().ok().filter(|seconds| (2..=3600).contains(seconds)).map(Duration::from_secs)
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
