//! Tunnels: what is exposed here, and what is opened here.

use serde::{Deserialize, Serialize};

use super::Facts;
use crate::grant::Capabilities;
use crate::name::Name;
use crate::path_mode::PathMode;
use crate::resource::Kind;
use crate::service::{Login, ServiceOptions};

/// Default time `tunnel open` waits for the exporter, in seconds.
pub const OPEN_TIMEOUT_S: u64 = 15;

/// `POST /v1/expose`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expose {
    /// The target's URL.
    pub url: String,
    /// The resource's name.
    pub name: Name,
    /// In which network; may be left out when there is one.
    pub network: Option<Name>,
    /// What a grant of it gives that names nothing; everything its kind knows when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub can: Option<Capabilities>,
    /// The target's login, which stays with the daemon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<Login>,
    /// How it is served.
    #[serde(default, skip_serializing_if = "ServiceOptions::is_usual")]
    pub options: ServiceOptions,
}

/// `POST /v1/open`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Open {
    /// The resource's name.
    pub resource: Name,
    /// In which network; may be left out when there is one.
    pub network: Option<Name>,
    /// Where to listen, as [`crate::listen::Listen`] is written; a free port of 127.0.0.1 when absent.
    pub listen: Option<String>,
    /// How long to wait for the exporter, in seconds; [`OPEN_TIMEOUT_S`] when absent.
    pub timeout_s: Option<u64>,
    /// Which ways it may take.
    #[serde(default)]
    pub path: PathMode,
    /// Which applications may use it: `uid:USER`, `gid:GROUP`, `exe:/PATH`, `unit:NAME`. What the daemon's
    /// configuration says when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<String>>,
    /// Whether other machines may use it: needed for an address that is not loopback. It excludes `allow`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub public: bool,
}

/// `GET /v1/tunnels`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Tunnels {
    /// [`super::VERSION`].
    pub version: u32,
    /// By network and resource.
    pub tunnels: Vec<Tunnel>,
}

/// One tunnel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Tunnel {
    /// [`super::VERSION`].
    pub version: u32,
    /// `t1`, `t2`, ...: unique in the daemon, kept over restarts. `r1`, `r2`, ... of a `cococtl run`.
    pub id: String,
    /// The network's name.
    pub network: Name,
    /// The resource's name.
    pub resource: Name,
    /// Its protocol.
    pub kind: Kind,
    /// Which end of it is here.
    pub direction: Direction,
    /// How it stands.
    pub state: TunnelState,
    /// Why it failed.
    pub reason: Option<String>,
    /// What to paste into a player or browser, where it is opened.
    pub url: Option<String>,
    /// The address it really listens on, where it is opened.
    pub listen: Option<String>,
    /// The target, where it is exposed.
    pub target: Option<String>,
    /// The node at the other end, where it is opened.
    pub node: Option<Name>,
    /// Which ways it may take, where it is opened.
    #[serde(default)]
    pub path_mode: Option<PathMode>,
    /// Since when it is in this state.
    pub since_ms: u64,
    /// Connections now.
    pub clients: u64,
    /// Connections so far.
    pub connections: u64,
    /// Connections that could not be forwarded, or broke.
    pub failures: u64,
    /// Bytes from the network to the application.
    pub bytes_in: u64,
    /// Bytes from the application to the network.
    pub bytes_out: u64,
    /// Which applications may use it, where it is opened; empty for the daemon's own user.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    /// Whether whoever reaches this machine may use it, where it is opened.
    #[serde(default)]
    pub public: bool,
    /// The process of the `cococtl run` it belongs to: it is reached from inside that only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<u32>,
    /// How often an application was not let in.
    #[serde(default)]
    pub refused: u64,
    /// How it is served, where it is exposed with options.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<ServiceOptions>,
    /// Whether the target's login is kept here, where it is exposed.
    #[serde(default)]
    pub login: bool,
    /// What its protocol says of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<Facts>,
}

/// Which end of a tunnel is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The target's.
    Expose,
    /// The listener's.
    Open,
}

/// The field's own states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum TunnelState {
    /// The exporter has not answered yet.
    Opening,
    /// It works.
    Open,
    /// It works again after it was lost.
    Reopened,
    /// The exporter takes no more clients.
    MaxClients,
    /// It does not work; the reason says why.
    Failed,
    /// It is gone.
    Closed,
}

impl TunnelState {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Open => "open",
            Self::Reopened => "reopened",
            Self::MaxClients => "max-clients",
            Self::Failed => "failed",
            Self::Closed => "closed",
        }
    }
}

/// `POST /v1/ping`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ping {
    /// A node's name or whole id.
    pub node: String,
    /// In which network; may be left out when there is one.
    pub network: Option<Name>,
    /// How long to wait, in seconds; [`OPEN_TIMEOUT_S`] when absent.
    pub timeout_s: Option<u64>,
}

/// The answer to one ping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Pong {
    /// [`super::VERSION`].
    pub version: u32,
    /// The node's name.
    pub node: Name,
    /// `direct ADDRESS` or `relay MANAGER`.
    pub path: String,
    /// Round trip, in microseconds.
    pub rtt_us: u64,
}
