//! The control API between a daemon and whoever drives it.
//!
//! HTTP/1.1 and JSON over the daemon's unix socket. The same types are the daemon's answers,
//! `cococtl --json` and what the tests read. Fields are only ever added; every answer carries
//! [`VERSION`]. Times are milliseconds of Unix time (`_ms`), durations say their unit in the name.
//!
//! | request | body | answer |
//! | --- | --- | --- |
//! | `GET /v1/status` | | [`Status`] |
//! | `GET /v1/networks` | | [`Networks`] |
//! | `GET /v1/networks/{name}` | | [`Network`] |
//! | `POST /v1/networks` | [`CreateNetwork`] | [`Network`] |
//! | `POST /v1/join` | [`JoinNetwork`] | [`Network`] |
//! | `DELETE /v1/networks/{name}?forget=BOOL` | | [`Done`] |
//! | `POST /v1/networks/{name}/invites` | [`CreateInvite`] | [`Invited`] |
//! | `GET /v1/networks/{name}/members` | | [`Members`] |
//! | `DELETE /v1/networks/{name}/nodes/{node}` | | [`Done`] |
//! | `GET /v1/networks/{name}/grants` | | [`Grants`] |
//! | `GET /v1/networks/{name}/invites` | | [`Invites`] |
//! | `GET /v1/networks/{name}/log` | | [`Log`] |
//! | `GET /v1/networks/{name}/audit` | | [`Audit`] |
//! | `GET /v1/networks/{name}/export` | | the file of [`crate::ledger::archive`] |
//! | `POST /v1/networks/{name}/changes` | [`Change`] | [`Done`] |
//! | `POST /v1/networks/{name}/recovery-key` | | [`RecoveryKey`] |
//! | `POST /v1/recover` | [`Recover`] | [`Network`] |
//! | `GET /v1/networks/{name}/usage?month=YYYY-MM` | | [`Usage`] |
//! | `GET /v1/tunnels` | | [`Tunnels`] |
//! | `POST /v1/expose` | [`Expose`] | [`Tunnel`] |
//! | `POST /v1/open` | [`Open`] | [`Tunnel`] |
//! | `DELETE /v1/tunnels/{id-or-resource}?network=NAME` | | [`Done`] |
//! | `POST /v1/run`, to be upgraded | [`Run`] | 101, then [`RunAsk`]s and [`RunAnswer`]s |
//! | `POST /v1/cameras` | [`FindCameras`] | [`Cameras`] |
//! | `POST /v1/ping` | [`Ping`] | [`Pong`] |
//! | `GET /v1/doctor?network=NAME` | | [`Doctor`] |
//! | `GET /v1/progress` | | [`Progress`] |
//! | `GET /v1/events?before=BOOL` | | server-sent [`Event`]s; with `before` first those that were kept |
//! | `GET /v1/events/recent` | | [`RecentEvents`] |
//!
//! Anything else than 2xx carries a [`Failure`].

mod cameras;
mod doctor;
mod error;
pub mod facts;
mod ledger;
mod network;
pub mod paths;
mod progress;
mod run;
mod sandbox;
mod tunnel;
mod usage;

use serde::{Deserialize, Serialize};

pub use cameras::{Camera, CameraStream, Cameras, FindCameras};
pub use doctor::{Check, CheckStatus, Doctor, Examined};
pub use error::{ErrorKind, Failure, FailureBody};
pub use facts::Facts;
pub use ledger::{
    Audit, Change, GrantLine, Grants, InviteLine, Invites, Log, LogLine, Proof, Recover, RecoveryKey,
};
pub use network::{
    CreateInvite, CreateNetwork, InvitePurpose, Invited, JoinNetwork, LedgerStatus, ManagerLink,
    ManagerStatus, Member, MemberNode, Members, Network, Networks, Peer, PeerLink, PeerOf, Peers,
    ResourceLine, SelfNode,
};
pub use progress::{Progress, Work, WorkStep};
pub use run::{
    Kept, RUN_LINE_MAX, RUN_PORT, RUN_RESOURCES_MAX, RUN_SOCKETS_MAX, RUN_UPGRADE, Run, RunAnswer, RunAsk,
    RunName, Wanted, run_host, run_port,
};
pub use sandbox::{SandboxLayer, SandboxState};
pub use tunnel::{Direction, Expose, OPEN_TIMEOUT_S, Open, Ping, Pong, Tunnel, TunnelState, Tunnels};
pub use usage::{QuotaWarning, Usage, UsageDay, UsageNode, percent};

/// The version of these types: in every answer, raised only for a change that is not an addition.
pub const VERSION: u32 = 1;

/// Longest request body, in bytes.
pub const BODY_MAX: usize = 64 * 1024;

/// `GET /v1/status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Status {
    /// [`VERSION`].
    pub version: u32,
    /// The daemon's name.
    pub app: String,
    /// The daemon's program version.
    pub program: String,
    /// Its process.
    pub pid: u32,
    /// When it started.
    pub started_ms: u64,
    /// Where its state is.
    pub state_dir: String,
    /// The networks it has joined, by name.
    pub networks: Vec<Network>,
    /// What it exposes and what it has opened.
    pub tunnels: Vec<Tunnel>,
    /// What it refused or dropped since it started, by name.
    pub counters: std::collections::BTreeMap<String, u64>,
    /// What it has given up, layer by layer.
    #[serde(default)]
    pub sandbox: Vec<SandboxLayer>,
}

/// An answer that only says "done".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Done {
    /// [`VERSION`].
    pub version: u32,
    /// What was done, for people.
    pub message: String,
}

/// One line of the event stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Event {
    /// [`VERSION`].
    pub version: u32,
    /// When.
    pub time_ms: u64,
    /// In which network, where it is about one.
    pub network: Option<String>,
    /// A word: `manager-online`, `manager-offline`, `peer-connected`, `peer-lost`, `path`, `entry`,
    /// `tunnel`, `ip`, `refused`, `quota`, `alarm`.
    pub kind: String,
    /// For people.
    pub message: String,
}

/// `GET /v1/events/recent`: what the daemon has kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RecentEvents {
    /// [`VERSION`].
    pub version: u32,
    /// The newest last.
    pub events: Vec<Event>,
}
