//! Networks, members, invites.

use std::net::Ipv6Addr;

use serde::{Deserialize, Serialize};

use super::QuotaWarning;
use super::facts::IpFacts;
use crate::ledger::{NetworkKind, NodeKind};
use crate::name::Name;
use crate::path_mode::PathMode;
use crate::resource::Kind;
use crate::role::Role;
use crate::scope::Scope;

/// `POST /v1/networks`: found a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateNetwork {
    /// Its name.
    pub name: Name,
    /// `mgr1...@HOST:PORT`.
    pub manager: String,
    /// The owner's name; `owner` when absent.
    pub user: Option<Name>,
    /// This node's name; from the host's name when absent.
    pub node_name: Option<Name>,
}

/// `POST /v1/join`: join by an invite.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinNetwork {
    /// `coco1...`. A secret.
    pub invite: String,
    /// This node's name; from the invite or the host's name when absent.
    pub node_name: Option<Name>,
}

/// `POST /v1/networks/{name}/invites`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateInvite {
    /// As what.
    #[serde(flatten)]
    pub purpose: InvitePurpose,
    /// How often it may be used.
    pub uses: u32,
    /// For how long, in seconds from now.
    pub expires_s: u64,
    /// The name of the node that joins.
    pub node_name: Option<Name>,
    /// What the app that joins is for: kinds and resources. All when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Scope>,
}

/// As what an invited node joins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "purpose", rename_all = "lowercase")]
pub enum InvitePurpose {
    /// A device of the inviter.
    Device {
        /// Whether it may publish its own resources.
        publish: bool,
    },
    /// The inviter's next app.
    #[serde(rename = "self")]
    SelfApp,
    /// An app of a person.
    User {
        /// Who.
        user: Name,
        /// As what.
        role: Role,
    },
}

/// The answer to [`CreateInvite`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Invited {
    /// [`super::VERSION`].
    pub version: u32,
    /// `coco1...`. A secret: whoever has it can join.
    pub invite: String,
    /// Until when.
    pub expires_ms: u64,
    /// How often.
    pub uses: u32,
}

/// `GET /v1/networks`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Networks {
    /// [`super::VERSION`].
    pub version: u32,
    /// By name.
    pub networks: Vec<Network>,
}

/// One joined network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Network {
    /// [`super::VERSION`].
    pub version: u32,
    /// Its name.
    pub name: Name,
    /// Its id, whole.
    pub id: String,
    /// User or developer.
    pub kind: NetworkKind,
    /// This daemon's node in it.
    pub node: SelfNode,
    /// The manager.
    pub manager: ManagerStatus,
    /// The ledger here.
    pub ledger: LedgerStatus,
    /// Live users.
    pub users: usize,
    /// Live nodes.
    pub nodes: usize,
    /// The resources of the network that this node may open or publishes itself.
    pub resources: Vec<ResourceLine>,
    /// Nodes this one is, or wants to be, connected to.
    pub peers: Vec<Peer>,
    /// IP packets by this node's own address, where it has an interface for them or offers them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpFacts>,
}

/// A resource as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ResourceLine {
    /// Its name.
    pub name: Name,
    /// Its protocol.
    pub kind: Kind,
    /// The node that offers it.
    pub node: Name,
    /// The address that packets to it have, of kind `ip`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Ipv6Addr>,
}

/// This daemon's own node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SelfNode {
    /// Its id, whole.
    pub id: String,
    /// Its name.
    pub name: Name,
    /// Whose it is.
    pub user: Name,
    /// Device or app.
    pub kind: NodeKind,
    /// What its user may do.
    pub role: Role,
    /// What this app is for, where its invite said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Scope>,
    /// False once it was removed from the network.
    pub member: bool,
    /// The UDP addresses it listens on.
    pub listen: Vec<String>,
}

/// The manager as this node sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ManagerStatus {
    /// `HOST:PORT`.
    pub address: String,
    /// How the session stands.
    pub state: ManagerLink,
    /// Since when.
    pub since_ms: u64,
    /// Round trip, in microseconds, when online.
    pub rtt_us: Option<u64>,
    /// Why not online.
    pub reason: Option<String>,
    /// The relay's use is near its limit, or has reached it.
    #[serde(default)]
    pub quota: Option<QuotaWarning>,
}

/// The state of the session with the manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ManagerLink {
    /// Trying.
    Connecting,
    /// Registered.
    Online,
    /// Waiting for the next try.
    Offline,
}

/// The ledger copy of this node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LedgerStatus {
    /// The number of its newest entry.
    pub seq: u64,
    /// Its hash, whole.
    pub head: String,
    /// What is wrong with what others show, if anything.
    pub alarm: Option<String>,
}

/// Another node of the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Peer {
    /// Its id, whole.
    pub id: String,
    /// Its name.
    pub name: Name,
    /// Whose it is.
    pub user: Name,
    /// Device or app.
    #[serde(default)]
    pub kind: Option<NodeKind>,
    /// How the connection stands.
    pub state: PeerLink,
    /// Which ways the connection may take.
    #[serde(default)]
    pub path_mode: PathMode,
    /// `direct ADDRESS` or `relay MANAGER`, when connected.
    pub path: Option<String>,
    /// Why it takes that path, when connected.
    #[serde(default)]
    pub why: Option<String>,
    /// Round trip, in microseconds, when connected.
    pub rtt_us: Option<u64>,
    /// Largest UDP payload the path is known to carry, in bytes, when connected.
    #[serde(default)]
    pub mtu: Option<u16>,
    /// Bytes received from it.
    pub bytes_in: u64,
    /// Bytes sent to it.
    pub bytes_out: u64,
    /// Packets sent to it on this connection.
    #[serde(default)]
    pub packets_sent: u64,
    /// How many of those were lost.
    #[serde(default)]
    pub packets_lost: u64,
    /// Bytes received in a second, lately.
    #[serde(default)]
    pub rate_in: u64,
    /// Bytes sent in a second, lately.
    #[serde(default)]
    pub rate_out: u64,
    /// The entry up to which its ledger and this one were the same when it connected, while it is connected.
    #[serde(default)]
    pub ledger_seq: Option<u64>,
    /// Why not connected.
    pub reason: Option<String>,
}

/// The peers of all networks, or of one: `cococtl peers --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Peers {
    /// [`super::VERSION`].
    pub version: u32,
    /// By network and name.
    pub peers: Vec<PeerOf>,
}

/// A peer, and in which network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PeerOf {
    /// The network's name.
    pub network: Name,
    /// The peer.
    #[serde(flatten)]
    pub peer: Peer,
}

/// The state of the connection with a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum PeerLink {
    /// Trying.
    Connecting,
    /// Packets flow.
    Connected,
    /// It was connected and does not answer; it may again.
    Silent,
    /// Not now.
    Offline,
}

/// `GET /v1/networks/{name}/members`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Members {
    /// [`super::VERSION`].
    pub version: u32,
    /// The network's name.
    pub network: Name,
    /// By name.
    pub users: Vec<Member>,
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Member {
    /// Who.
    pub name: Name,
    /// What they may do.
    pub role: Role,
    /// Their nodes, by name.
    pub nodes: Vec<MemberNode>,
}

/// One node of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MemberNode {
    /// Its id, whole.
    pub id: String,
    /// Its name.
    pub name: Name,
    /// Device or app.
    pub kind: NodeKind,
    /// What this app is for, where its invite said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Scope>,
    /// Whether the manager sees it now; absent when the manager was not asked.
    pub online: Option<bool>,
    /// When it was last seen, if it ever was.
    pub last_seen_ms: Option<u64>,
    /// The number of the entry it joined with.
    pub joined_seq: u64,
    /// The names of its resources.
    pub resources: Vec<Name>,
    /// Its own address, where it takes packets to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Ipv6Addr>,
}
