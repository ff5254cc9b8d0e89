//! What is known of one session with a camera, for a list.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use coconet::control::facts::{RtspSession, RtspTrack, RtspTransport};

use super::media::{Description, Reception, Track};
use super::transport::Lower;
use super::urls;

/// One session.
#[derive(Debug)]
pub(super) struct Seen {
    began: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    path: String,
    /// Of the description, by the path of their URLs.
    described: Vec<(String, Track)>,
    tracks: BTreeMap<u8, Heard>,
    viewers: BTreeMap<u64, Lower>,
}

#[derive(Debug)]
struct Heard {
    about: Track,
    lower: Lower,
    reception: Reception,
    /// The number and time of the newest packet.
    newest: Option<(u16, u32)>,
}

impl Seen {
    pub(super) fn new(path: &str) -> Self {
        let state = State { path: path.to_owned(), ..State::default() };
        Self { began: Instant::now(), state: Mutex::new(state) }
    }

    /// What is played.
    pub(super) fn named(&self, path: &str) {
        path.clone_into(&mut self.lock().path);
    }

    /// The camera has said what there is.
    pub(super) fn described(&self, base: &str, description: &Description) {
        let of = |track: &Track| {
            let url = urls::resolve(base, track.control.as_deref().unwrap_or_default());
            (urls::path(&url).to_owned(), track.clone())
        };
        self.lock().described = description.tracks.iter().map(of).collect();
    }

    /// A track was set up.
    pub(super) fn set_up(&self, track: u8, path: &str, lower: Lower) {
        let mut state = self.lock();
        let known = state.described.iter().find(|(of, _)| of == path);
        let about = known.map(|(_, about)| about.clone()).unwrap_or_default();
        let reception = Reception::new(about.clock);
        state.tracks.insert(track, Heard { about, lower, reception, newest: None });
    }

    /// A track comes another way now.
    pub(super) fn moved(&self, track: u8, lower: Lower) {
        if let Some(heard) = self.lock().tracks.get_mut(&track) {
            heard.lower = lower;
        }
    }

    /// A track was torn down.
    pub(super) fn torn_down(&self, track: u8) {
        self.lock().tracks.remove(&track);
    }

    /// A packet of RTP came.
    pub(super) fn packet(&self, track: u8, packet: &[u8]) {
        let now = self.began.elapsed();
        if let Some(heard) = self.lock().tracks.get_mut(&track) {
            heard.reception.packet(packet, now);
            heard.about.look(packet);
            if let (2, [_, _, a, b, c, d, e, f, ..]) = (packet.first().map_or(0, |first| first >> 6), packet)
            {
                heard.newest = Some((u16::from_be_bytes([*a, *b]), u32::from_be_bytes([*c, *d, *e, *f])));
            }
        }
    }

    /// The number and time of a track's newest packet.
    pub(super) fn newest(&self, track: u8) -> Option<(u16, u32)> {
        self.lock().tracks.get(&track).and_then(|heard| heard.newest)
    }

    /// A viewer gets a track, in its own way.
    pub(super) fn watched(&self, viewer: u64, lower: Lower) {
        self.lock().viewers.insert(viewer, lower);
    }

    /// A viewer has gone.
    pub(super) fn left(&self, viewer: u64) {
        self.lock().viewers.remove(&viewer);
    }

    /// For a list.
    pub(super) fn facts(&self) -> RtspSession {
        let now = self.began.elapsed();
        let state = self.lock();
        let viewers =
            |lower| state.viewers.values().filter(|of| **of == lower).count().try_into().unwrap_or(u32::MAX);
        let track = |heard: &Heard| RtspTrack {
            media: heard.about.media.clone(),
            codec: heard.about.codec.clone(),
            size: heard.about.size.map(|size| (size.width, size.height)),
            rate: heard.reception.rate(now).filter(|_| heard.about.media == "video").or(heard.about.rate),
            transport: match heard.lower {
                Lower::Udp => RtspTransport::Udp,
                Lower::Tcp => RtspTransport::Tcp,
            },
            packets: heard.reception.received(),
            lost: heard.reception.lost(),
        };
        RtspSession {
            path: state.path.clone(),
            viewers_udp: viewers(Lower::Udp),
            viewers_tcp: viewers(Lower::Tcp),
            tracks: state.tracks.values().map(track).collect(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
