//! RTSP, as the exporter sees it.

use serde::{Deserialize, Serialize};

/// What RTSP goes through a tunnel.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct RtspFacts {
    /// Sessions with the camera, now.
    pub sessions: Vec<RtspSession>,
    /// Requests that were refused for want of a right, so far.
    pub refused: u64,
}

/// One session with a camera.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct RtspSession {
    /// Path and query of the URL that is played.
    pub path: String,
    /// Viewers that get media over UDP.
    pub viewers_udp: u32,
    /// Viewers that get media in their TCP connection.
    pub viewers_tcp: u32,
    /// What the camera sends, in the order in which it was set up.
    pub tracks: Vec<RtspTrack>,
}

/// One track of a session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct RtspTrack {
    /// `video`, `audio` or another word.
    pub media: String,
    /// The encoding, as the camera spells it.
    pub codec: Option<String>,
    /// Width and height in pixels.
    pub size: Option<(u16, u16)>,
    /// Pictures a second.
    pub rate: Option<f32>,
    /// How it comes from the camera.
    pub transport: RtspTransport,
    /// RTP packets that came from the camera.
    pub packets: u64,
    /// RTP packets that did not.
    pub lost: u64,
}

/// What media goes over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum RtspTransport {
    /// UDP ports.
    #[default]
    Udp,
    /// Frames in the TCP connection.
    Tcp,
}

impl RtspTransport {
    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}
