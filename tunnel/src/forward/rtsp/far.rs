//! The exporter's end of one viewer's connection.
//!
//! Each request is judged by the viewer's rights and by what was exposed, and is then the camera's to
//! answer. In the tunnel the numbers in a Transport header are flows and channels of the tunnel; here they
//! become the camera leg's and back. The camera's URLs become the viewer's in what it answers.
//!
//! The request's own URL stays as the viewer wrote it when the login is not kept here: a digest covers it,
//! and the camera compares it with the request line. That is the form that verifies at every camera; they
//! look at the path and do not mind another host. With the login kept here, the digest is made here too, and
//! the request line names the camera itself.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use coconet::wire::code::Reset;

use super::super::{Broken, Caller, Service, connect as connect_target, local::Local, splice};
use super::Cameras;
use super::camera::{self, ANSWER_TIMEOUT, Handle, Sink, Unanswered, succeeded};
use super::judge::{BACKCHANNEL, Need, Reach, Tracks, has_odd_body, is_latch, is_rtcp, towards_camera};
use super::media;
use super::message::{Item, Message, Reader, Start};
use super::seen::Seen;
use super::share::{self, Seat, Taken};
use super::stream::{self, Inlet, Stopped};
use super::transport::{self, Lower, Transport};
use super::urls::{self, Rename};
use super::viewer::{Form, TRACKS_MAX, Viewer, number, track_of};
use crate::channel::{Channel, Cut};

/// Time for what was said last to reach the viewer.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How often bytes that went as datagrams are counted.
const COUNT: Duration = Duration::from_millis(500);

/// Serve one viewer.
pub(super) async fn serve(
    service: &Service,
    caller: &Caller,
    mut channel: Channel,
    cut: impl Future<Output = Reset>,
) -> Result<(), Broken> {
    let flows = channel.flows();
    let mut cut = pin!(cut);
    let mut reader = Reader::default();
    let ended = {
        let first = begins_with_http(&mut channel, &mut reader, service);
        tokio::select! {
            http = first => http,
            code = &mut cut => Err(Broken::Here(code)),
        }
    };
    let ended = match ended {
        Ok(true) => return opaque(service, caller, channel, reader, cut).await,
        Ok(false) => {
            let viewer = Arc::new(Viewer::new(flows, caller.rights.may("play")));
            tokio::select! {
                ended = parsed(service, caller, &mut channel, reader, &viewer) => ended,
                code = cut => Err(Broken::Here(code)),
            }
        }
        Err(broken) => Err(broken),
    };
    match &ended {
        Ok(()) => channel.tx.finish(),
        Err(broken) => {
            service.meter.failures.fetch_add(1, Ordering::Relaxed);
            channel.reset(match broken {
                Broken::Local(_) => Reset::Unreachable,
                Broken::Channel(_) | Broken::Refused { .. } => Reset::Closed,
                Broken::Here(code) => *code,
            });
        }
    }
    ended
}

/// One viewer's session.
struct Far<'a> {
    service: &'a Service,
    caller: &'a Caller,
    viewer: Arc<Viewer>,
    /// The viewer's own connection to the camera.
    camera: Option<Handle>,
    /// Its place in a shared one.
    seat: Option<Seat>,
    tracks: Tracks,
    reach: Reach,
    /// The paths that the viewer set up.
    setups: BTreeMap<u8, String>,
}

/// When this goes, nobody takes what the camera sends.
struct Gone(Arc<Viewer>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.over();
    }
}

async fn parsed(
    service: &Service,
    caller: &Caller,
    channel: &mut Channel,
    reader: Reader,
    viewer: &Arc<Viewer>,
) -> Result<(), Broken> {
    let _gone = Gone(Arc::clone(viewer));
    let Channel { tx, rx, .. } = channel;
    let meter = &service.meter;
    let mut far = Far {
        service,
        caller,
        viewer: Arc::clone(viewer),
        camera: None,
        seat: None,
        tracks: Tracks::default(),
        reach: Reach::new(&service.target.path),
        setups: BTreeMap::new(),
    };
    let mut writing = pin!(stream::write(&viewer.outlet, tx, &meter.bytes_out));
    let counting = async {
        loop {
            tokio::time::sleep(COUNT).await;
            meter.bytes_out.fetch_add(viewer.sent.swap(0, Ordering::Relaxed), Ordering::Relaxed);
        }
    };
    let ended = tokio::select! {
        ended = far.requests(Inlet::new(rx, reader)) => ended,
        // The camera has ended it.
        written = &mut writing => return Ok(written?),
        () = counting => Ok(()),
    };
    meter.bytes_out.fetch_add(viewer.sent.swap(0, Ordering::Relaxed), Ordering::Relaxed);
    // The camera is told while the viewer hears the last answer.
    drop(far);
    ended?;
    viewer.outlet.finish();
    match tokio::time::timeout(LAST_WORDS, writing).await {
        Ok(written) => Ok(written?),
        Err(_) => Ok(()),
    }
}

impl Far<'_> {
    async fn requests(&mut self, mut inlet: Inlet<'_>) -> Result<(), Broken> {
        let count = &self.service.meter.bytes_in;
        loop {
            let item = {
                let next = inlet.next(count);
                let mut next = pin!(next);
                loop {
                    tokio::select! {
                        item = &mut next => break item,
                        datagram = self.viewer.flows.recv() => {
                            let Some((flow, packet)) = datagram else { return Err(Cut::Lost.into()) };
                            count.fetch_add(packet.len() as u64, Ordering::Relaxed);
                            self.media(flow, &packet);
                        }
                    }
                }
            };
            match item {
                Ok(None) => return Ok(()),
                Ok(Some(Item::Frame { channel, payload })) => {
                    let track = track_of(u32::from(channel));
                    if let (Some(camera), Some((track, rtcp))) = (&self.camera, track) {
                        // A camera that takes nothing loses the oldest, rather than hold up the viewer for ever.
                        let _ = tokio::time::timeout(ANSWER_TIMEOUT, camera.room(track, rtcp)).await;
                    }
                    self.media(u32::from(channel), &payload);
                }
                Ok(Some(Item::Message(message))) if message.code().is_some() => {
                    if let Some(camera) = &self.camera {
                        camera.answer(&message);
                    }
                }
                Ok(Some(Item::Message(request))) => {
                    let answer = self.answer(&request).await;
                    self.viewer.outlet.message(answer.encode());
                }
                Err(Stopped::Cut(cut)) => return Err(cut.into()),
                Err(Stopped::Local(error)) => return Err(Broken::Local(error)),
                Err(Stopped::Bad(bad)) => {
                    tracing::debug!(%bad, "a viewer does not speak RTSP");
                    return Err(Broken::Here(Reset::Protocol));
                }
            }
        }
    }

    /// A packet of the viewer.
    fn media(&self, number: u32, packet: &[u8]) {
        let Some((track, rtcp)) = track_of(number) else { return };
        let Some(form) = self.viewer.form(track) else { return };
        let Some(camera) = &self.camera else { return };
        if if rtcp { is_rtcp(packet) } else { form.sends || is_latch(packet) } {
            camera.send(track, rtcp, packet);
        }
    }

    /// The answer to a request, as the viewer shall see it.
    async fn answer(&mut self, request: &Message) -> Message {
        let mut answer = match self.refusal(request) {
            Some(refusal) => refusal,
            None => match self.ask(request).await {
                Ok(answer) => answer,
                Err(unanswered) => {
                    tracing::debug!(%unanswered, "a camera did not answer");
                    unavailable(unanswered)
                }
            },
        };
        match request.header("CSeq") {
            Some(number) => answer.set("CSeq", &number),
            None => answer.remove("CSeq"),
        }
        self.viewer.shown(&mut answer);
        answer
    }

    /// What a request is refused with before the camera hears of it.
    fn refusal(&self, request: &Message) -> Option<Message> {
        let Start::Request { uri, version, .. } = request.start() else { return None };
        if !version.eq_ignore_ascii_case("RTSP/1.0") {
            return Some(Message::response(505, "RTSP Version Not Supported"));
        }
        let needs = self.tracks.needs(request);
        if !needs.into_iter().all(|need| need.met(&self.caller.rights)) {
            self.service.rtsp.refused.fetch_add(1, Ordering::Relaxed);
            return Some(Message::response(403, "Forbidden"));
        }
        if has_odd_body(request) {
            return Some(Message::response(400, "Bad Request (a body where none belongs)"));
        }
        let whole = uri == "*" && request.method() == Some("OPTIONS");
        (!whole && !self.reach.covers(uri)).then(|| Message::response(404, "Not Found"))
    }

    async fn ask(&mut self, request: &Message) -> Result<Message, Unanswered> {
        if self.service.options.share
            && self.camera.is_none()
            && let Some(answer) = self.ask_shared(request).await?
        {
            return Ok(answer);
        }
        self.ask_camera(request).await
    }

    /// Ask the session that all share; `None` when this is nothing to share.
    async fn ask_shared(&mut self, request: &Message) -> Result<Option<Message>, Unanswered> {
        let talks = request.lists("Require", BACKCHANNEL);
        if let Some(seat) = self.seat.as_ref().filter(|_| !talks) {
            return seat.answer(request).await.map(Some);
        }
        self.seat = None;
        match request.method() {
            Some("OPTIONS") => return Ok(Some(share::options())),
            Some("DESCRIBE") if !talks => {}
            // What has no seat here would have a session of its own.
            Some(_) | None
                if !Need::Talk.met(&self.caller.rights) && !Need::Record.met(&self.caller.rights) =>
            {
                return Ok(Some(Message::response(
                    455,
                    "Method Not Valid in This State (DESCRIBE comes first)",
                )));
            }
            Some(_) | None => return Ok(None),
        }
        let Cameras { shares, .. } = &self.service.rtsp;
        let register = |seen: &Arc<Seen>| self.service.rtsp.register(seen);
        let target = (&self.service.target.place, self.service.login.as_ref());
        match share::describe(shares, register, target, request, &self.viewer).await? {
            Taken::NotShared => Ok(None),
            Taken::No(answer) => Ok(Some(answer)),
            Taken::Seat(seat, answer, description, base) => {
                self.seat = Some(seat);
                self.tracks.learn(&base, &description);
                self.reach.describe(&base, &description);
                Ok(Some(answer))
            }
        }
    }

    async fn ask_camera(&mut self, request: &Message) -> Result<Message, Unanswered> {
        let camera = match &self.camera {
            Some(camera) => camera,
            None => {
                let sink: Arc<dyn Sink> = Arc::<Viewer>::clone(&self.viewer);
                let login = self.service.login.clone();
                let connected = camera::connect(&self.service.target.place, login, sink).await;
                let connected = connected.inspect_err(|error| tracing::debug!(%error, "no camera"));
                self.service.rtsp.register(&self.viewer.seen);
                self.camera.insert(connected.map_err(|_| Unanswered::Over)?)
            }
        };
        let mut request = towards_camera(request);
        let uri = request.uri().unwrap_or_default().to_owned();
        if let Some(authority) = urls::authority(&uri) {
            self.viewer.rename(Rename::new(camera.names().to_vec(), authority.to_owned()));
            if self.service.login.is_some() {
                request.set_uri(&format!("rtsp://{}{}", camera.authority(), urls::path(&uri)));
            }
        }
        let camera = Arc::clone(camera);
        match request.method() {
            Some("SETUP") => self.setup(&camera, &request).await,
            Some("TEARDOWN") => {
                let answer = camera.request(&request).await?;
                if succeeded(&answer) {
                    self.torn_down(&camera, urls::path(&uri));
                }
                Ok(answer)
            }
            _ => {
                let answer = camera.request(&request).await?;
                match request.method() {
                    Some("DESCRIBE") if succeeded(&answer) => {
                        self.described(request.uri().unwrap_or_default(), &answer);
                    }
                    Some("ANNOUNCE") if succeeded(&answer) => self.tracks.announce(&uri),
                    _ => {}
                }
                Ok(answer)
            }
        }
    }

    async fn setup(
        &mut self,
        camera: &Arc<camera::Camera>,
        request: &Message,
    ) -> Result<Message, Unanswered> {
        let offers: Vec<_> =
            request.headers("Transport").flat_map(|value| transport::parse(&value)).collect();
        let Some((track, liked)) = offers.first().and_then(tunnel_track) else {
            return Ok(Message::response(461, "Unsupported Transport"));
        };
        let offer = &offers[0];
        let (mut answer, done) = camera.setup(track, request, offer, liked).await?;
        let Some((lower, said)) = done else { return Ok(answer) };
        // Frames end to end only where both ends have them; everything else goes as datagrams.
        let streams = lower == Lower::Tcp && liked == Lower::Tcp;
        let numbers = (number(track, false), number(track, true));
        let said = if streams {
            said.over_tcp(numbers)
        } else {
            let flows = (u16::from(numbers.0), u16::from(numbers.1));
            said.over_udp(flows, Some(flows))
        };
        answer.set("Transport", &said.to_string());
        let path = urls::path(request.uri().unwrap_or_default()).to_owned();
        // It was judged whether it may: here it is what it was judged for.
        let sends = self.tracks.sends(request);
        self.viewer.set(track, Form { lower: if streams { Lower::Tcp } else { Lower::Udp }, sends });
        self.viewer.seen.set_up(track, &path, lower);
        self.viewer.seen.watched(0, liked);
        self.setups.insert(track, path);
        Ok(answer)
    }

    fn described(&mut self, uri: &str, answer: &Message) {
        let base = ["Content-Base", "Content-Location"].iter().find_map(|name| answer.header(name));
        let base = base.map_or_else(|| uri.to_owned(), std::borrow::Cow::into_owned);
        let description = media::describe(answer.body());
        self.viewer.seen.named(urls::path(uri));
        self.viewer.seen.described(&base, &description);
        self.tracks.learn(&base, &description);
        self.reach.describe(&base, &description);
    }

    fn torn_down(&mut self, camera: &camera::Camera, path: &str) {
        let one = self.setups.iter().find(|(_, of)| *of == path).map(|(track, _)| *track);
        self.setups.retain(|track, _| {
            let ends = one.is_none_or(|one| one == *track);
            if ends {
                self.viewer.unset(*track);
                self.viewer.seen.torn_down(*track);
                camera.forget(*track);
            }
            !ends
        });
    }
}

/// The track that an offer in the tunnel's own form is about, and how the player likes it.
pub(super) fn tunnel_track(offer: &Transport) -> Option<(u8, Lower)> {
    let first = match offer.lower {
        Lower::Tcp => u32::from(offer.interleaved?.0),
        Lower::Udp => u32::from(offer.client_port?.0),
    };
    let (track, rtcp) = track_of(first)?;
    (!rtcp && track < TRACKS_MAX).then_some((track, offer.lower))
}

fn unavailable(unanswered: Unanswered) -> Message {
    match unanswered {
        Unanswered::Over => Message::response(503, "Service Unavailable (the camera is not reached)"),
        Unanswered::TimedOut => Message::response(504, "Gateway Time-out"),
        Unanswered::Login => Message::response(403, "Forbidden (the camera refuses the exporter's login)"),
    }
}

async fn begins_with_http(
    channel: &mut Channel,
    reader: &mut Reader,
    service: &Service,
) -> Result<bool, Broken> {
    loop {
        if let Some(http) = reader.begins_with_http() {
            return Ok(http);
        }
        if !stream::fill(&mut channel.rx, reader, &service.meter.bytes_in).await? {
            return Ok(false);
        }
    }
}

/// RTSP inside HTTP cannot be judged: it is for those who may do everything, with a camera of which all is
/// exposed and nothing shared.
async fn opaque(
    service: &Service,
    caller: &Caller,
    mut channel: Channel,
    reader: Reader,
    cut: impl Future<Output = Reset>,
) -> Result<(), Broken> {
    let whole = matches!(service.target.path.as_str(), "" | "/") && !service.options.share;
    if !whole || !Need::All.met(&caller.rights) {
        let refusal = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        channel.tx.write(refusal.into()).await?;
        channel.tx.finish();
        return Ok(());
    }
    let mut local: Local = match connect_target(&service.target.place).await {
        Ok(local) => local,
        Err(error) => {
            channel.reset(Reset::Unreachable);
            return Err(Broken::Local(error));
        }
    };
    let written = {
        let (_, writer) = local.split();
        stream::write_all(&writer, &mut [reader.into_rest()]).await
    };
    if let Err(error) = written {
        channel.reset(Reset::PeerReset);
        return Err(Broken::Local(error));
    }
    splice(local, channel, false, &service.meter, cut).await
}
