//! Cameras on the LAN, to pick a stream from.

use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::service::Login;

/// `POST /v1/cameras`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FindCameras {
    /// For cameras that tell their streams to nobody else. It is sent as a digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<Login>,
}

/// Its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Cameras {
    /// [`super::VERSION`].
    pub version: u32,
    /// By address.
    pub cameras: Vec<Camera>,
}

/// A device that calls itself an ONVIF camera. All texts are its own, cleaned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Camera {
    /// Its address and the port of its service.
    pub address: String,
    /// What it calls itself.
    pub name: Option<String>,
    /// Its model.
    pub hardware: Option<String>,
    /// What a resource could be called.
    pub suggested: Name,
    /// Its streams, the first one as a rule the best.
    pub streams: Vec<CameraStream>,
    /// Why there are none, or not all.
    pub reason: Option<String>,
}

/// A stream of a camera.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CameraStream {
    /// What the camera calls it.
    pub profile: String,
    /// The picture's encoding.
    pub codec: Option<String>,
    /// The picture's size, `WIDTHxHEIGHT`.
    pub size: Option<String>,
    /// Pictures a second, at most.
    pub frame_rate: Option<u32>,
    /// What `tunnel expose` takes.
    pub url: String,
}
