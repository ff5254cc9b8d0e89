//! What an entry can say.
//!
//! An op travels as `[code, critical, payload]`: a reader that does not know a code skips it when it is
//! not critical and stops with "update coco" when it is. Codes and payload keys are never reused.

use core::fmt;

use minicbor::data::Type;
use minicbor::{Decode, Decoder, Encode, Encoder};
use serde::{Deserialize, Serialize};

use crate::cbor::{self, CborError};
use crate::grant::{Capabilities, Schedule};
use crate::id::{Hash, InviteKey, NetworkId, NodeId};
use crate::key::{NodeRecord, Signature};
use crate::manager_addr::ManagerAddr;
use crate::name::Name;
use crate::resource::{Attributes, Kind};
use crate::role::Role;
use crate::scope::Scope;

/// Most managers of one network.
pub const MANAGERS_MAX: usize = 8;

/// The op numbers. Those from 14 up are reserved and not understood by this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
#[expect(missing_docs, reason = "the names are the ops of the design")]
pub enum Code {
    Genesis = 0,
    Invite = 1,
    RevokeInvite = 2,
    Join = 3,
    RemoveNode = 4,
    SetRole = 5,
    RemoveUser = 6,
    Rename = 7,
    Publish = 8,
    Withdraw = 9,
    Grant = 10,
    RevokeGrant = 11,
    SetManagers = 12,
    Checkpoint = 13,
    Zones = 14,
    Scenes = 15,
    Ota = 16,
    Transfer = 17,
}

/// One change of the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// The first entry.
    Genesis(Genesis),
    /// Somebody may join.
    Invite(Invite),
    /// An invite can no longer be used.
    RevokeInvite(RevokeInvite),
    /// A node joins by an invite.
    Join(Join),
    /// A node is out, for ever.
    RemoveNode(RemoveNode),
    /// A person's role changes. Grants go with the role of a guest.
    SetRole(SetRole),
    /// A person is out, with all their nodes.
    RemoveUser(RemoveUser),
    /// The network, a person or a node is called something else.
    Rename(Rename),
    /// A node offers a resource.
    Publish(Publish),
    /// A resource is no longer offered.
    Withdraw(Withdraw),
    /// A guest may use a resource.
    Grant(Grant),
    /// A guest may no longer use a resource.
    RevokeGrant(RevokeGrant),
    /// Others may stamp from now on.
    SetManagers(SetManagers),
    /// An owner vouches for the state up to here.
    Checkpoint(Checkpoint),
    /// Something a later version wrote.
    Unknown {
        /// Its number.
        code: u16,
        /// Whether a reader who does not understand it must stop.
        critical: bool,
        /// Its payload.
        payload: Vec<u8>,
    },
}

/// What kind of network it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cbor(index_only)]
#[serde(rename_all = "lowercase")]
pub enum NetworkKind {
    /// People and roles; every node in the ledger.
    #[n(0)]
    User,
    /// An app's global network; nodes admitted by certificates.
    #[n(1)]
    Developer,
}

/// The first entry: it names the network, its owner and its managers.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Genesis {
    /// What people call the network.
    #[n(0)]
    pub name: Name,
    /// User or developer.
    #[n(1)]
    pub kind: NetworkKind,
    /// The owner's first node, which authors this entry.
    #[n(2)]
    pub owner: NodeRecord,
    /// The owner's name.
    #[n(3)]
    pub user: Name,
    /// The name of that node.
    #[n(4)]
    pub node_name: Name,
    /// Who may stamp.
    #[n(5)]
    pub managers: Vec<ManagerAddr>,
    /// Makes the network's id unique.
    #[cbor(n(6), with = "minicbor::bytes")]
    pub salt: [u8; 16],
}

/// An invitation: who holds the secret of `key` may join.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Invite {
    /// The public half of the invite's secret.
    #[n(0)]
    pub key: InviteKey,
    /// As what.
    #[n(1)]
    pub purpose: Purpose,
    /// How often.
    #[n(2)]
    pub uses: u32,
    /// Until when, in milliseconds of Unix time, judged by the join's stamp.
    #[n(3)]
    pub expires: u64,
    /// The name the node will have whatever it asks for, if the inviter chose it.
    #[n(4)]
    pub node_name: Option<Name>,
    /// What the apps that join by it are for; everything their user may when absent.
    #[n(5)]
    pub only: Option<Scope>,
}

/// As what an invited node joins.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Purpose {
    /// A device of the inviter; it may publish when `publish`.
    #[n(0)]
    Device {
        /// Whether it may publish its own resources.
        #[n(0)]
        publish: bool,
    },
    /// The inviter's next app.
    #[n(1)]
    SelfApp,
    /// An app of a person, who is added when new.
    #[n(2)]
    User {
        /// Who.
        #[n(0)]
        name: Name,
        /// As what, when new.
        #[n(1)]
        role: Role,
    },
    /// An offline key of the inviter, who must be an owner.
    #[n(3)]
    Recovery,
}

/// An invite can no longer be used; who has joined by it stays.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RevokeInvite {
    /// Which.
    #[n(0)]
    pub key: InviteKey,
}

/// A node joins. Authored by the node itself.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Join {
    /// By which invite.
    #[n(0)]
    pub invite: InviteKey,
    /// Its keys.
    #[n(1)]
    pub record: NodeRecord,
    /// The name it asks for.
    #[n(2)]
    pub name: Name,
    /// By the invite's secret over [`join_message`].
    #[n(3)]
    pub proof: Signature,
}

/// A node is removed; its keys never come back.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RemoveNode {
    /// Which.
    #[n(0)]
    pub node: NodeId,
}

/// A person's role changes. Who is no longer a guest loses their grants: a guest again, they have none.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SetRole {
    /// Whose.
    #[n(0)]
    pub user: Name,
    /// To what.
    #[n(1)]
    pub role: Role,
}

/// A person is out, with all their nodes, resources and grants.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RemoveUser {
    /// Who.
    #[n(0)]
    pub user: Name,
}

/// Something is called something else.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Rename {
    /// What.
    #[n(0)]
    pub what: Renamed,
    /// Its new name.
    #[n(1)]
    pub to: Name,
}

/// What can be renamed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Renamed {
    /// The network, for those who join from now on.
    #[n(0)]
    Network,
    /// A person.
    #[n(1)]
    User(#[n(0)] Name),
    /// A node.
    #[n(2)]
    Node(#[n(0)] NodeId),
}

/// The author offers a resource.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Publish {
    /// Its name, unique in the network.
    #[n(0)]
    pub name: Name,
    /// Its protocol.
    #[n(1)]
    pub kind: Kind,
    /// What helps whoever opens it.
    #[n(2)]
    pub attributes: Attributes,
}

/// A resource is no longer offered.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Withdraw {
    /// Which.
    #[n(0)]
    pub name: Name,
}

/// A guest may use a resource. A later grant of the same resource takes the place of an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Grant {
    /// Who.
    #[n(0)]
    pub user: Name,
    /// What.
    #[n(1)]
    pub resource: Name,
    /// How.
    #[n(2)]
    pub can: Capabilities,
    /// At which hours; always when absent.
    #[n(3)]
    pub when: Option<Schedule>,
    /// Until when, in milliseconds of Unix time; for ever when absent.
    #[n(4)]
    pub until: Option<u64>,
}

/// A guest may no longer use a resource.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RevokeGrant {
    /// Who.
    #[n(0)]
    pub user: Name,
    /// What.
    #[n(1)]
    pub resource: Name,
}

/// Others may stamp from the next entry on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SetManagers {
    /// All of them.
    #[n(0)]
    pub managers: Vec<ManagerAddr>,
}

/// An owner vouches for the state at the entry before: members check that it is theirs.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Checkpoint {
    /// [`super::State::digest`].
    #[n(0)]
    pub state: Hash,
}

impl Op {
    /// Its number.
    pub fn code(&self) -> u16 {
        match self {
            Self::Genesis(_) => Code::Genesis as u16,
            Self::Invite(_) => Code::Invite as u16,
            Self::RevokeInvite(_) => Code::RevokeInvite as u16,
            Self::Join(_) => Code::Join as u16,
            Self::RemoveNode(_) => Code::RemoveNode as u16,
            Self::SetRole(_) => Code::SetRole as u16,
            Self::RemoveUser(_) => Code::RemoveUser as u16,
            Self::Rename(_) => Code::Rename as u16,
            Self::Publish(_) => Code::Publish as u16,
            Self::Withdraw(_) => Code::Withdraw as u16,
            Self::Grant(_) => Code::Grant as u16,
            Self::RevokeGrant(_) => Code::RevokeGrant as u16,
            Self::SetManagers(_) => Code::SetManagers as u16,
            Self::Checkpoint(_) => Code::Checkpoint as u16,
            Self::Unknown { code, .. } => *code,
        }
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        cbor::encode(self)
    }

    /// The op that `bytes` canonically encode.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CborError> {
        cbor::decode(bytes, super::OP_MAX)
    }

    fn payload(&self) -> Vec<u8> {
        match self {
            Self::Genesis(op) => cbor::encode(op),
            Self::Invite(op) => cbor::encode(op),
            Self::RevokeInvite(op) => cbor::encode(op),
            Self::Join(op) => cbor::encode(op),
            Self::RemoveNode(op) => cbor::encode(op),
            Self::SetRole(op) => cbor::encode(op),
            Self::RemoveUser(op) => cbor::encode(op),
            Self::Rename(op) => cbor::encode(op),
            Self::Publish(op) => cbor::encode(op),
            Self::Withdraw(op) => cbor::encode(op),
            Self::Grant(op) => cbor::encode(op),
            Self::RevokeGrant(op) => cbor::encode(op),
            Self::SetManagers(op) => cbor::encode(op),
            Self::Checkpoint(op) => cbor::encode(op),
            Self::Unknown { payload, .. } => payload.clone(),
        }
    }
}

impl Purpose {
    /// Whether it is for the apps of the person `user`.
    pub(super) fn is_for(&self, user: &Name) -> bool {
        matches!(self, Self::User { name, .. } if name == user)
    }

    /// The person `from` is called `to` from now on.
    pub(super) fn rename(&mut self, from: &Name, to: &Name) {
        if let Self::User { name, .. } = self
            && *name == *from
        {
            name.clone_from(to);
        }
    }
}

/// What an invite's secret signs when `record` joins `network` under `name`.
pub fn join_message(network: NetworkId, record: &NodeRecord, name: &Name) -> Vec<u8> {
    cbor::encode(&(network, record, name))
}

impl<C> Encode<C> for Op {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        let critical = !matches!(self, Self::Unknown { critical: false, .. });
        e.array(3)?.u16(self.code())?.bool(critical)?.bytes(&self.payload())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Op {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        if d.datatype()? != Type::Array || d.array()? != Some(3) {
            return Err(minicbor::decode::Error::message("an op is an array of three"));
        }
        let (code, critical, payload) = (d.u16()?, d.bool()?, d.bytes()?);
        Ok(match code {
            c if c == Code::Genesis as u16 => Self::Genesis(minicbor::decode(payload)?),
            c if c == Code::Invite as u16 => Self::Invite(minicbor::decode(payload)?),
            c if c == Code::RevokeInvite as u16 => Self::RevokeInvite(minicbor::decode(payload)?),
            c if c == Code::Join as u16 => Self::Join(minicbor::decode(payload)?),
            c if c == Code::RemoveNode as u16 => Self::RemoveNode(minicbor::decode(payload)?),
            c if c == Code::SetRole as u16 => Self::SetRole(minicbor::decode(payload)?),
            c if c == Code::RemoveUser as u16 => Self::RemoveUser(minicbor::decode(payload)?),
            c if c == Code::Rename as u16 => Self::Rename(minicbor::decode(payload)?),
            c if c == Code::Publish as u16 => Self::Publish(minicbor::decode(payload)?),
            c if c == Code::Withdraw as u16 => Self::Withdraw(minicbor::decode(payload)?),
            c if c == Code::Grant as u16 => Self::Grant(minicbor::decode(payload)?),
            c if c == Code::RevokeGrant as u16 => Self::RevokeGrant(minicbor::decode(payload)?),
            c if c == Code::SetManagers as u16 => Self::SetManagers(minicbor::decode(payload)?),
            c if c == Code::Checkpoint as u16 => Self::Checkpoint(minicbor::decode(payload)?),
            code => Self::Unknown { code, critical, payload: payload.to_vec() },
        })
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Genesis(op) => write!(f, "create network {} owned by {}", op.name, op.user),
            Self::Invite(op) => {
                match &op.purpose {
                    Purpose::Device { .. } => write!(f, "invite a device"),
                    Purpose::SelfApp => write!(f, "invite own next app"),
                    Purpose::User { name, role } => write!(f, "invite {name} as {role}"),
                    Purpose::Recovery => write!(f, "prepare a recovery key"),
                }?;
                op.only.as_ref().map_or(Ok(()), |only| write!(f, ", only {only}"))
            }
            Self::RevokeInvite(op) => write!(f, "revoke invite {}", op.key),
            Self::Join(op) => write!(f, "join as {}", op.name),
            Self::RemoveNode(op) => write!(f, "remove node {}", op.node),
            Self::SetRole(op) => write!(f, "make {} {}", op.user, op.role),
            Self::RemoveUser(op) => write!(f, "remove {}", op.user),
            Self::Rename(op) => match &op.what {
                Renamed::Network => write!(f, "rename the network to {}", op.to),
                Renamed::User(user) => write!(f, "rename {user} to {}", op.to),
                Renamed::Node(node) => write!(f, "rename node {node} to {}", op.to),
            },
            Self::Publish(op) => write!(f, "publish {} ({})", op.name, op.kind),
            Self::Withdraw(op) => write!(f, "withdraw {}", op.name),
            Self::Grant(op) => {
                write!(f, "grant {} to {}: {}", op.resource, op.user, op.can)?;
                op.when.as_ref().map_or(Ok(()), |when| write!(f, ", {when}"))
            }
            Self::RevokeGrant(op) => write!(f, "revoke {} from {}", op.resource, op.user),
            Self::SetManagers(op) => {
                let places: Vec<String> = op.managers.iter().map(ManagerAddr::location).collect();
                write!(f, "set managers to {}", places.join(", "))
            }
            Self::Checkpoint(_) => write!(f, "vouch for the state so far"),
            Self::Unknown { code, .. } => write!(f, "op {code}, which this version does not know"),
        }
    }
}
