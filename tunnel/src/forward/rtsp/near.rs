//! The listener's end of one player's connection.
//!
//! To the player this is the camera: it has its own UDP ports, or takes part in the player's TCP connection
//! with frames. In the tunnel a SETUP offers what this end can take, in numbers of the tunnel: as frames of
//! the stream, when the player takes frames, and always as datagrams. The exporter answers with one of them.
//!
//! Media of datagrams is dropped here when the player is too slow for it; frames of the stream wait, so
//! that nothing is lost end to end where both ends have TCP. The player's packets are taken only from the
//! ports that it named, whatever they hold: some only open a NAT.
//!
//! Answers come in the order of the requests. Those that are given here (a group that was asked for, a
//! refused open) wait for their turn.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use coconet::wire::code::Reset;
use tokio::sync::Notify;

use super::super::{Broken, Local, Meter, opened, splice};
use super::camera::succeeded;
use super::goodbye::Goodbyes;
use super::lanes::Outlet;
use super::message::{Item, Message, Reader, Start};
use super::ports::{self, Pair, Ports, Pump};
use super::stream::{self, Inlet, LocalInlet, Stopped};
use super::transport::{self, Lower};
use super::urls;
use super::viewer::{TRACKS_MAX, number, track_of};
use crate::channel::{Channel, ChannelRx, ChannelTx, Cut};
use crate::flow::Flows;

/// Requests that wait for their answers. A player that sends more is not read until some are there.
pub const PENDING_MAX: usize = 32;

/// Time for the exporter to take leave of the camera after the player has gone, and for the last answer to
/// reach a player.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How long a refused open waits for a request that can be answered with the reason.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(2);

/// Serve one player.
pub(super) async fn serve(
    mut local: Local,
    mut channel: Channel,
    ports: &Ports,
    meter: &Meter,
    cut: impl Future<Output = Reset>,
) -> Result<(), Broken> {
    let flows = channel.flows();
    let mut cut = pin!(cut);
    let mut reader = Reader::default();
    let first = begins_with_http(&mut local, &mut reader, meter);
    let http = tokio::select! {
        http = first => http,
        code = &mut cut => Err(Broken::Here(code)),
    };
    let ended = match http {
        Ok(true) => {
            // What follows is none of our business: RTSP inside HTTP is opaque.
            channel.tx.write(reader.into_rest()).await?;
            return splice(local, channel, true, meter, cut).await;
        }
        Ok(false) => tokio::select! {
            ended = parsed(&mut local, &mut channel, flows, reader, ports, meter) => ended,
            code = cut => Err(Broken::Here(code)),
        },
        Err(broken) => Err(broken),
    };
    match &ended {
        Ok(()) => channel.tx.finish(),
        Err(broken) => {
            meter.failures.fetch_add(1, Ordering::Relaxed);
            channel.reset(match broken {
                Broken::Local(_) => Reset::PeerReset,
                Broken::Channel(_) | Broken::Refused { .. } => Reset::Closed,
                Broken::Here(code) => *code,
            });
            // A refusal was told in the player's own words.
            if !matches!(broken, Broken::Refused { .. }) {
                local.abort();
            }
        }
    }
    ended
}

/// One player's session.
struct Near {
    player: SocketAddr,
    /// Where the player reached us: its media ports are on the same address.
    listen: SocketAddr,
    ports: Ports,
    to_player: Outlet,
    up: Arc<Up>,
    state: Mutex<State>,
    /// A request was answered.
    answered: Notify,
}

/// Towards the exporter.
struct Up {
    outlet: Outlet,
    flows: Flows,
    /// Bytes sent as datagrams that were not counted yet.
    sent: AtomicU64,
}

#[derive(Default)]
struct State {
    tracks: BTreeMap<u8, Track>,
    pending: VecDeque<Pending>,
    /// The exporter did not open the resource: what requests are answered with.
    refused: Option<(u16, &'static str)>,
}

/// A track that was set up.
struct Track {
    path: String,
    /// How it goes through the tunnel.
    lower: Lower,
    leg: Leg,
}

/// How media goes between here and the player.
enum Leg {
    Udp { pair: Pair, ports: (u16, u16), _pumps: [Pump; 2] },
    Tcp { channels: (u8, u8) },
}

/// A request that was not answered yet.
enum Pending {
    /// Answered here, once those before it are.
    Here(Bytes),
    Setup {
        track: u8,
        path: String,
        leg: Wanted,
        number: Option<String>,
    },
    Teardown {
        path: String,
        number: Option<String>,
    },
    Other {
        number: Option<String>,
    },
}

/// What a player asked for.
enum Wanted {
    Udp { pair: Pair, ports: (u16, u16) },
    Tcp { channels: (u8, u8) },
}

async fn parsed(
    local: &mut Local,
    channel: &mut Channel,
    flows: Flows,
    reader: Reader,
    ports: &Ports,
    meter: &Meter,
) -> Result<(), Broken> {
    let (player, listen) = local.addresses().map_err(Broken::Local)?;
    let near = Near {
        player,
        listen,
        ports: ports.clone(),
        to_player: Outlet::default(),
        up: Arc::new(Up { outlet: Outlet::default(), flows, sent: AtomicU64::new(0) }),
        state: Mutex::default(),
        answered: Notify::new(),
    };
    let (socket, writer) = local.split();
    let Channel { tx, rx, .. } = channel;
    let mut to_player = pin!(async {
        stream::write_local(&near.to_player, &writer, &meter.bytes_in).await.map_err(Broken::Local)
    });
    let ended = {
        let upward = async {
            let written = near.upward(LocalInlet::new(socket, reader), tx, meter).await;
            // The exporter ends the channel when it has taken leave of the camera.
            written?;
            tokio::time::sleep(LAST_WORDS).await;
            Ok(())
        };
        tokio::select! {
            ended = upward => ended,
            ended = near.downward(rx, meter) => ended,
            ended = near.datagrams(meter) => ended,
            ended = &mut to_player => return ended,
        }
    };
    meter.bytes_out.fetch_add(near.up.sent.swap(0, Ordering::Relaxed), Ordering::Relaxed);
    if matches!(ended, Ok(()) | Err(Broken::Refused { .. })) {
        near.to_player.finish();
        if tokio::time::timeout(LAST_WORDS, to_player).await.is_ok() {
            writer.finish().map_err(Broken::Local)?;
        }
    }
    ended
}

impl Near {
    /// From the player to the exporter, until the player has closed and all is sent.
    async fn upward(
        &self,
        mut player: LocalInlet<'_>,
        tx: &mut ChannelTx,
        meter: &Meter,
    ) -> Result<(), Broken> {
        let count = AtomicU64::new(0);
        let reading = async {
            loop {
                match player.next(&count).await {
                    Ok(None) => break,
                    Ok(Some(Item::Frame { channel, payload })) => self.frame(channel, &payload).await,
                    Ok(Some(Item::Message(message))) => {
                        self.room().await;
                        self.asked(message).await;
                    }
                    Err(Stopped::Local(error)) => return Err(Broken::Local(error)),
                    Err(Stopped::Cut(cut)) => return Err(cut.into()),
                    Err(Stopped::Bad(bad)) => {
                        tracing::debug!(%bad, "a player does not speak RTSP");
                        self.to_player.message(Message::response(400, "Bad Request").encode());
                        break;
                    }
                }
            }
            self.up.outlet.finish();
            Ok(())
        };
        let writing = async { Ok(stream::write(&self.up.outlet, tx, &meter.bytes_out).await?) };
        tokio::try_join!(reading, writing)?;
        tx.finish();
        Ok(())
    }

    /// From the exporter to the player, until the exporter ends it.
    async fn downward(&self, rx: &mut ChannelRx, meter: &Meter) -> Result<(), Broken> {
        let count = AtomicU64::new(0);
        let ended = async {
            opened(rx).await?;
            let mut inlet = Inlet::new(rx, Reader::default());
            loop {
                match inlet.next(&count).await {
                    Ok(None) => return Ok(()),
                    Ok(Some(Item::Frame { channel, payload })) => {
                        self.media(u32::from(channel), &payload, true, meter).await;
                    }
                    Ok(Some(Item::Message(message))) => self.answer(message),
                    Err(Stopped::Cut(cut)) => return Err(Broken::Channel(cut)),
                    Err(Stopped::Local(error)) => return Err(Broken::Local(error)),
                    Err(Stopped::Bad(_)) => return Err(Broken::Channel(Cut::Reset(Reset::Protocol))),
                }
            }
        };
        let ended = ended.await;
        if let Err(Broken::Refused { code, .. }) = &ended {
            self.refuse(*code).await;
        }
        ended
    }

    /// Datagrams from the exporter to the player.
    async fn datagrams(&self, meter: &Meter) -> Result<(), Broken> {
        let mut goodbyes = Goodbyes::default();
        loop {
            let due = goodbyes.due();
            let quiet = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            let received = tokio::select! {
                received = self.up.flows.recv() => received,
                () = quiet => {
                    while let Some((track, packet)) = goodbyes.take(Instant::now()) {
                        self.media(u32::from(number(track, true)), &packet, false, meter).await;
                    }
                    continue;
                }
            };
            let Some((flow, packet)) = received else { break };
            let of = track_of(flow);
            if of.is_some_and(|(track, rtcp)| goodbyes.holds(track, rtcp, &packet, Instant::now())) {
                continue;
            }
            self.media(flow, &packet, false, meter).await;
            meter.bytes_out.fetch_add(self.up.sent.swap(0, Ordering::Relaxed), Ordering::Relaxed);
        }
        Err(Cut::Lost.into())
    }

    /// A packet for the player. With `waits` it is not dropped.
    async fn media(&self, number: u32, packet: &[u8], waits: bool, meter: &Meter) {
        let Some((track, rtcp)) = track_of(number) else { return };
        let channel = match self.lock().tracks.get(&track).map(|track| &track.leg) {
            Some(Leg::Udp { pair, ports, .. }) => {
                let to = SocketAddr::new(self.player.ip(), if rtcp { ports.1 } else { ports.0 });
                ports::send(pair.socket(rtcp), to, packet);
                meter.bytes_in.fetch_add(packet.len() as u64, Ordering::Relaxed);
                return;
            }
            Some(Leg::Tcp { channels }) => {
                if rtcp {
                    channels.1
                } else {
                    channels.0
                }
            }
            None => return,
        };
        if waits {
            self.to_player.room(channel).await;
        }
        self.to_player.frame(channel, packet);
    }

    /// A frame of the player.
    async fn frame(&self, channel: u8, payload: &Bytes) {
        let found = self.lock().tracks.iter().find_map(|(track, of)| match &of.leg {
            Leg::Tcp { channels } if channels.0 == channel => Some((*track, false, of.lower)),
            Leg::Tcp { channels } if channels.1 == channel => Some((*track, true, of.lower)),
            Leg::Tcp { .. } | Leg::Udp { .. } => None,
        });
        let Some((track, rtcp, lower)) = found else { return };
        if lower == Lower::Tcp {
            self.up.outlet.room(number(track, rtcp)).await;
        }
        self.up.send(track, rtcp, lower, payload);
    }

    /// Wait until another request can be remembered.
    async fn room(&self) {
        loop {
            let answered = self.answered.notified();
            if self.lock().pending.len() < PENDING_MAX {
                break;
            }
            answered.await;
        }
        self.up.outlet.room_for_messages().await;
    }

    /// A request of the player, or its answer to one of the camera's.
    async fn asked(&self, mut message: Message) {
        let Start::Request { method, uri, version } = message.start() else {
            self.up.outlet.message(message.encode());
            return;
        };
        let number = message.header("CSeq").map(std::borrow::Cow::into_owned);
        let path = urls::path(uri).to_owned();
        let refused = self.lock().refused;
        let here = if let Some((code, reason)) = refused {
            Some(Message::response(code, reason))
        } else if !version.eq_ignore_ascii_case("RTSP/1.0") {
            Some(Message::response(505, "RTSP Version Not Supported"))
        } else {
            None
        };
        let pending = match (here, method) {
            (Some(answer), _) => Pending::Here(numbered(answer, number.as_deref()).encode()),
            (None, "SETUP") if message.header("Transport").is_some() => {
                match self.want(&mut message, &path).await {
                    Ok((track, leg)) => Pending::Setup { track, path, leg, number },
                    Err(answer) => Pending::Here(numbered(answer, number.as_deref()).encode()),
                }
            }
            (None, "TEARDOWN") => Pending::Teardown { path, number },
            (None, _) => Pending::Other { number },
        };
        let goes_on = !matches!(pending, Pending::Here(_));
        self.lock().pending.push_back(pending);
        if goes_on {
            self.up.outlet.message(message.encode());
        } else {
            self.answer_here();
        }
    }

    /// Choose how the player gets a track, and offer that in the tunnel's own form.
    async fn want(&self, setup: &mut Message, path: &str) -> Result<(u8, Wanted), Message> {
        let offers: Vec<_> = setup.headers("Transport").flat_map(|value| transport::parse(&value)).collect();
        let offer = offers
            .iter()
            .find(|offer| !offer.multicast && (offer.lower == Lower::Tcp || offer.client_port.is_some()));
        let Some(offer) = offer else {
            let reason = if offers.iter().any(|offer| offer.multicast) {
                "Unsupported Transport (multicast does not pass through a tunnel)"
            } else {
                "Unsupported Transport"
            };
            return Err(Message::response(461, reason));
        };
        let track = {
            let state = self.lock();
            let known = state.tracks.iter().find(|(_, track)| track.path == path).map(|(track, _)| *track);
            // Taken as well: what the player has asked for and not heard of yet.
            let free =
                (0..TRACKS_MAX).find(|track| !state.tracks.contains_key(track) && !state.is_wanted(*track));
            known.or(free).ok_or_else(|| Message::response(453, "Not Enough Bandwidth (too many tracks)"))?
        };
        let numbers = (number(track, false), number(track, true));
        let datagrams = offer.over_udp((u16::from(numbers.0), u16::from(numbers.1)), None);
        let (wanted, offered) = match (offer.lower, offer.client_port) {
            (Lower::Udp, Some(ports)) => {
                let pair = self.ports.pair(self.listen).await.map_err(|error| {
                    tracing::warn!(%error, "no ports for a player's media");
                    Message::response(453, "Not Enough Bandwidth (no free ports)")
                })?;
                (Wanted::Udp { pair, ports }, datagrams.to_string())
            }
            (Lower::Tcp, _) | (Lower::Udp, None) => {
                let channels = offer.interleaved.unwrap_or(numbers);
                (Wanted::Tcp { channels }, format!("{},{datagrams}", offer.over_tcp(numbers)))
            }
        };
        setup.set("Transport", &offered);
        Ok((track, wanted))
    }

    /// An answer of the exporter, or a request of the camera's own.
    fn answer(&self, mut message: Message) {
        if message.code().is_none() {
            self.to_player.message(message.encode());
            return;
        }
        urls::harmless(&mut message);
        let pending = {
            let mut state = self.lock();
            match state.pending.front() {
                Some(Pending::Here(_)) | None => return,
                Some(Pending::Setup { .. } | Pending::Teardown { .. } | Pending::Other { .. }) => {
                    state.pending.pop_front()
                }
            }
        };
        let number = match pending {
            Some(Pending::Setup { track, path, leg, number }) => {
                if succeeded(&message) && !self.set_up(track, path, leg, &mut message) {
                    message = Message::response(461, "Unsupported Transport");
                }
                number
            }
            Some(Pending::Teardown { path, number }) => {
                if succeeded(&message) {
                    self.lock().torn_down(&path);
                }
                number
            }
            Some(Pending::Other { number }) => number,
            Some(Pending::Here(_)) | None => None,
        };
        self.to_player.message(numbered(message, number.as_deref()).encode());
        self.answer_here();
        self.answered.notify_waiters();
    }

    /// The exporter has chosen: say so in the player's numbers.
    fn set_up(&self, track: u8, path: String, wanted: Wanted, answer: &mut Message) -> bool {
        let said = answer.header("Transport").and_then(|value| transport::parse(&value).into_iter().next());
        let Some(said) = said else { return false };
        let lower = said.lower;
        let (leg, told) = match wanted {
            Wanted::Udp { .. } if lower == Lower::Tcp => return false,
            Wanted::Udp { pair, ports } => {
                let told = said.over_udp(ports, Some(pair.ports));
                let pumps = [false, true].map(|rtcp| self.pump(&pair, track, rtcp, ports));
                (Leg::Udp { pair, ports, _pumps: pumps }, told)
            }
            Wanted::Tcp { channels } => (Leg::Tcp { channels }, said.over_tcp(channels)),
        };
        answer.set("Transport", &told.to_string());
        self.lock().tracks.insert(track, Track { path, lower, leg });
        true
    }

    fn pump(&self, pair: &Pair, track: u8, rtcp: bool, ports: (u16, u16)) -> Pump {
        let up = Arc::clone(&self.up);
        let from_player = SocketAddr::new(self.player.ip(), if rtcp { ports.1 } else { ports.0 });
        Pump::start(Arc::clone(pair.socket(rtcp)), move |from, packet| {
            if from == from_player {
                up.send(track, rtcp, Lower::Udp, &packet);
            }
        })
    }

    /// Give the answers whose turn it is.
    fn answer_here(&self) {
        let mut state = self.lock();
        while let Some(Pending::Here(answer)) = state.pending.front() {
            self.to_player.message(answer.clone());
            state.pending.pop_front();
            self.answered.notify_waiters();
        }
    }

    /// The open was refused: say so in answer to what the player asks.
    async fn refuse(&self, code: Reset) {
        let reason = match code {
            Reset::MaxClients => (453, "Not Enough Bandwidth (no more clients at a time)"),
            Reset::NotPermitted | Reset::Revoked => (403, "Forbidden"),
            Reset::Unreachable
            | Reset::Closed
            | Reset::PeerReset
            | Reset::GoingAway
            | Reset::Protocol
            | Reset::Unsupported
            | Reset::Unread => (503, "Service Unavailable (the camera is not reached)"),
        };
        let asked = {
            let mut state = self.lock();
            state.refused = Some(reason);
            for pending in &mut state.pending {
                let number = match pending {
                    Pending::Setup { number, .. }
                    | Pending::Teardown { number, .. }
                    | Pending::Other { number } => number,
                    Pending::Here(_) => continue,
                };
                let answer = numbered(Message::response(reason.0, reason.1), number.as_deref());
                *pending = Pending::Here(answer.encode());
            }
            !state.pending.is_empty()
        };
        self.answer_here();
        if !asked {
            let answered = async {
                loop {
                    let answered = self.answered.notified();
                    if !self.to_player.is_unused() {
                        return;
                    }
                    answered.await;
                }
            };
            // A player that has nothing to ask learns it from the end of the connection.
            let _ = tokio::time::timeout(REFUSAL_TIMEOUT, answered).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Up {
    fn send(&self, track: u8, rtcp: bool, lower: Lower, packet: &Bytes) {
        match lower {
            Lower::Udp => {
                self.sent.fetch_add(packet.len() as u64, Ordering::Relaxed);
                self.flows.send(u32::from(number(track, rtcp)), packet);
            }
            Lower::Tcp => self.outlet.frame(number(track, rtcp), packet),
        }
    }
}

impl State {
    fn is_wanted(&self, track: u8) -> bool {
        self.pending
            .iter()
            .any(|pending| matches!(pending, Pending::Setup { track: wanted, .. } if *wanted == track))
    }

    fn torn_down(&mut self, path: &str) {
        let one = self.tracks.iter().find(|(_, track)| track.path == path).map(|(track, _)| *track);
        self.tracks.retain(|track, _| one.is_some_and(|one| one != *track));
    }
}

/// Under the number that the player has given its request, if it has.
fn numbered(mut answer: Message, number: Option<&str>) -> Message {
    match number {
        Some(number) => answer.set("CSeq", number),
        None => answer.remove("CSeq"),
    }
    answer
}

async fn begins_with_http(local: &mut Local, reader: &mut Reader, meter: &Meter) -> Result<bool, Broken> {
    let (mut socket, _) = local.split();
    loop {
        if let Some(http) = reader.begins_with_http() {
            return Ok(http);
        }
        if !stream::fill_local(&mut socket, reader, &meter.bytes_out).await.map_err(Broken::Local)? {
            return Ok(false);
        }
    }
}
