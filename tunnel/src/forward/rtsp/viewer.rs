//! One viewer, as the exporter sees it: how its media goes into the tunnel.
//!
//! A track goes as datagrams or as frames in the stream, as its SETUP chose. Datagrams never wait. Frames
//! in the stream come from a camera that sends frames too, and then they wait rather than get lost, except
//! where others watch the same camera: nobody waits for the slowest.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::camera::Sink;
use super::lanes::Outlet;
use super::message::Message;
use super::seen::Seen;
use super::transport::Lower;
use super::urls::{self, Rename};
use crate::flow::Flows;

/// Most tracks of one viewer. Cameras have up to four.
pub const TRACKS_MAX: u8 = 16;

/// A viewer.
#[derive(Debug)]
pub(super) struct Viewer {
    /// Towards the viewer.
    pub(super) outlet: Outlet,
    pub(super) flows: Flows,
    /// Bytes sent as datagrams.
    pub(super) sent: AtomicU64,
    /// The viewer may get media.
    plays: bool,
    /// What is known of the session with the camera, when it is this viewer's own.
    pub(super) seen: Arc<Seen>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    tracks: BTreeMap<u8, Form>,
    rename: Option<Rename>,
}

/// How one track goes through the tunnel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    /// In datagrams, or in frames of the stream.
    pub(super) lower: Lower,
    /// The viewer may send media.
    pub(super) sends: bool,
}

impl Viewer {
    pub(super) fn new(flows: Flows, plays: bool) -> Self {
        let seen = Arc::new(Seen::new(""));
        Self {
            outlet: Outlet::default(),
            flows,
            sent: AtomicU64::new(0),
            plays,
            seen,
            state: Mutex::default(),
        }
    }

    /// A track was set up.
    pub(super) fn set(&self, track: u8, form: Form) {
        self.lock().tracks.insert(track, form);
    }

    /// A track was torn down.
    pub(super) fn unset(&self, track: u8) {
        self.lock().tracks.remove(&track);
    }

    /// How a track goes, if it was set up.
    pub(super) fn form(&self, track: u8) -> Option<Form> {
        self.lock().tracks.get(&track).copied()
    }

    /// The names that the camera has at the viewer.
    pub(super) fn rename(&self, rename: Rename) {
        self.lock().rename = Some(rename);
    }

    /// A message of the camera, as the viewer may see it.
    pub(super) fn shown(&self, message: &mut Message) {
        if let Some(rename) = &self.lock().rename {
            rename.message(message);
        }
        urls::harmless(message);
    }

    /// A packet for the viewer.
    pub(super) fn deliver(&self, track: u8, rtcp: bool, packet: &Bytes) {
        if !rtcp && !self.plays {
            return;
        }
        match self.form(track).map(|form| form.lower) {
            Some(Lower::Udp) => {
                self.sent.fetch_add(packet.len() as u64, Ordering::Relaxed);
                self.flows.send(u32::from(number(track, rtcp)), packet);
            }
            Some(Lower::Tcp) => self.outlet.frame(number(track, rtcp), packet),
            None => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Viewer {
    fn media(&self, track: u8, rtcp: bool, packet: &Bytes) {
        if !rtcp {
            self.seen.packet(track, packet);
        }
        self.deliver(track, rtcp, packet);
    }

    fn waits_in(&self, track: u8, rtcp: bool) -> Option<(&Outlet, u8)> {
        let streams = self.form(track).is_some_and(|form| form.lower == Lower::Tcp);
        streams.then_some((&self.outlet, number(track, rtcp)))
    }

    fn request(&self, mut request: Message) {
        self.shown(&mut request);
        self.outlet.message(request.encode());
    }

    fn moved(&self, track: u8, lower: Lower) {
        self.seen.moved(track, lower);
    }

    fn over(&self) {
        self.outlet.finish();
    }
}

/// The flow, or the channel of frames, of a track's RTP or RTCP.
pub(super) fn number(track: u8, rtcp: bool) -> u8 {
    track * 2 + u8::from(rtcp)
}

/// The track of a flow or channel, and whether it is its RTCP.
pub(super) fn track_of(number: u32) -> Option<(u8, bool)> {
    let track = u8::try_from(number / 2).ok().filter(|track| *track < TRACKS_MAX)?;
    Some((track, number % 2 == 1))
}
