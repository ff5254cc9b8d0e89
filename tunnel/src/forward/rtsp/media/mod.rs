//! What a camera sends, for people: codec, size, frame rate, loss.
//!
//! [`describe`] reads the session description that answers DESCRIBE, and is content with whatever it says.
//! The size is in the codec's own parameters (`sps`), which are there in base64 or come with the pictures
//! ([`Track::look`]). While packets pass, a [`Reception`] for each track counts those that are missing and
//! measures how many pictures a second there really are.
//!
//! Nothing here decides what is forwarded, except that the forwarder learns from [`Track::talk`] which track
//! goes *to* the camera.

mod reception;
mod sdp;
mod sps;

pub use reception::{GAP_MAX, Reception, WINDOW};
pub use sdp::{DESCRIPTION_MAX, FIELD_MAX, FORMATS_MAX, LINE_MAX, TRACKS_MAX, describe};

/// A session description.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Description {
    /// `a=control` of the whole session.
    pub control: Option<String>,
    /// In the order of their media lines.
    pub tracks: Vec<Track>,
}

/// One stream of a session.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Track {
    /// `a=control`: where SETUP goes, relative to the base or absolute.
    pub control: Option<String>,
    /// `video`, `audio`, `application` or another word.
    pub media: String,
    /// Whether the far end of this track is the camera's loudspeaker (`a=sendonly`, ONVIF's backchannel).
    pub talk: bool,
    /// The first payload type.
    pub payload: Option<u8>,
    /// The name of the first payload type's encoding, as it was spelled.
    pub codec: Option<String>,
    /// Ticks of its timestamps in a second.
    pub clock: Option<u32>,
    /// Of the pictures.
    pub size: Option<Size>,
    /// Pictures a second, as announced.
    pub rate: Option<f32>,
}

/// Width and height in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// From left to right.
    pub width: u16,
    /// From top to bottom.
    pub height: u16,
}

impl Size {
    /// When it is one that pictures have.
    fn new(width: u32, height: u32) -> Option<Self> {
        let side = |side: u32| u16::try_from(side).ok().filter(|side| *side > 0);
        Some(Self { width: side(width)?, height: side(height)? })
    }
}

impl Track {
    /// Learn the size from an RTP packet of this track, where the description did not have it: H.264 and
    /// H.265 send their parameters between the pictures, JPEG says it in each packet. Cheap once it is
    /// known.
    pub fn look(&mut self, packet: &[u8]) {
        if self.size.is_some() {
            return;
        }
        let Some(codec) = &self.codec else { return };
        let Some(payload) = reception::payload(packet) else { return };
        self.size = if codec.eq_ignore_ascii_case("H264") {
            sps::in_h264(payload)
        } else if codec.eq_ignore_ascii_case("H265") {
            sps::in_h265(payload)
        } else if codec.eq_ignore_ascii_case("JPEG") {
            // RFC 2435: in blocks of eight pixels, after type-specific, offset, type and quality.
            payload.get(6..8).and_then(|blocks| Size::new(u32::from(blocks[0]) * 8, u32::from(blocks[1]) * 8))
        } else {
            None
        };
    }
}
