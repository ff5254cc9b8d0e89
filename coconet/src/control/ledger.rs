//! Changing the ledger, and reading it.

use serde::{Deserialize, Serialize};

use crate::grant::{Capabilities, Schedule};
use crate::name::Name;
use crate::role::Role;
use crate::scope::Scope;

/// `POST /v1/networks/{name}/changes`: one entry for the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Change {
    /// A person's role.
    SetRole {
        /// Whose.
        user: Name,
        /// To what.
        role: Role,
    },
    /// A person goes, with all their nodes.
    RemoveUser {
        /// Who.
        user: Name,
    },
    /// A person is called something else.
    RenameUser {
        /// Who.
        user: Name,
        /// The new name.
        to: Name,
    },
    /// A node is called something else.
    RenameNode {
        /// Its name or whole id.
        node: String,
        /// The new name.
        to: Name,
    },
    /// A guest may use a resource.
    Grant {
        /// Who.
        user: Name,
        /// What.
        resource: Name,
        /// How; what its exporter has said is usual when absent, or everything its kind knows.
        #[serde(default)]
        can: Option<Capabilities>,
        /// At which hours; always when absent.
        when: Option<Schedule>,
        /// Until when; for ever when absent.
        until_ms: Option<u64>,
    },
    /// A guest may no longer.
    RevokeGrant {
        /// Who.
        user: Name,
        /// What.
        resource: Name,
    },
    /// An invite can no longer be used.
    RevokeInvite {
        /// Its whole id, from the list.
        invite: String,
    },
    /// Others may stamp from now on.
    SetManagers {
        /// `mgr1...@HOST:PORT` of each.
        managers: Vec<String>,
    },
    /// Vouch for the state so far.
    Checkpoint,
}

/// `GET /v1/networks/{name}/grants`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Grants {
    /// [`super::VERSION`].
    pub version: u32,
    /// By person and resource.
    pub grants: Vec<GrantLine>,
}

/// One grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GrantLine {
    /// Who.
    pub user: Name,
    /// What.
    pub resource: Name,
    /// How.
    pub can: Capabilities,
    /// At which hours.
    pub when: Option<Schedule>,
    /// Until when.
    pub until_ms: Option<u64>,
    /// Whether it holds now.
    pub now: bool,
}

/// `GET /v1/networks/{name}/invites`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Invites {
    /// [`super::VERSION`].
    pub version: u32,
    /// Newest expiry last.
    pub invites: Vec<InviteLine>,
}

/// One invite that can still be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InviteLine {
    /// Its whole id: what it is revoked by. Not the secret.
    pub id: String,
    /// As what it lets in.
    pub purpose: String,
    /// What the apps that join by it are for, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Scope>,
    /// The inviter's node.
    pub inviter: Name,
    /// Joins left.
    pub left: u32,
    /// Until when.
    pub expires_ms: u64,
}

/// `GET /v1/networks/{name}/log`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Log {
    /// [`super::VERSION`].
    pub version: u32,
    /// Oldest first.
    pub entries: Vec<LogLine>,
}

/// One entry, told to people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LogLine {
    /// Its number.
    pub seq: u64,
    /// Its stamp.
    pub time_ms: u64,
    /// Who: the author's user, as they were called then.
    pub user: Option<Name>,
    /// The author's node, as it was called then.
    pub node: Option<Name>,
    /// The author's whole id.
    pub author: String,
    /// What, in words; absent when this node may not see it.
    pub what: Option<String>,
    /// The entry's whole hash.
    pub hash: String,
}

/// `GET /v1/networks/{name}/audit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Audit {
    /// [`super::VERSION`].
    pub version: u32,
    /// The number of the newest verified entry.
    pub seq: u64,
    /// Its whole hash.
    pub head: String,
    /// Entries whose body this node may not see.
    pub withheld: u64,
    /// What is wrong, if anything.
    pub alarm: Option<String>,
    /// Proofs that a manager stamped two different entries with one number.
    pub proofs: Vec<Proof>,
}

/// Two entries with one number, both stamped: whoever has a verifier can convince themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Proof {
    /// The number.
    pub seq: u64,
    /// The manager's stamp key.
    pub manager: String,
    /// The entry that was verified first, as hexadecimal canonical bytes.
    pub first: String,
    /// The other.
    pub second: String,
}

/// `POST /v1/networks/{name}/recovery-key`: the answer, shown once and kept nowhere.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RecoveryKey {
    /// [`super::VERSION`].
    pub version: u32,
    /// The node that holds it, in the list of members.
    pub node: Name,
    /// `cocorec1...`. A secret: whoever has it is the owner.
    pub key: String,
}

/// `POST /v1/recover`: join with a recovery key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recover {
    /// `cocorec1...`.
    pub key: String,
    /// This node's name.
    pub node_name: Option<Name>,
}
