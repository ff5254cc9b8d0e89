//! What the entries add up to, and what may be added next.
//!
//! [`State::validate`] decides whether an op is allowed to its author at this point; [`State::apply`]
//! carries out an op that was. Both are pure: the time is the entry's stamp.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::op::{
    Genesis, Invite, Join, MANAGERS_MAX, NetworkKind, Op, Publish, Purpose, RemoveNode, Withdraw,
    join_message,
};
use crate::id::{InviteKey, NetworkId, NodeId, StaticKey};
use crate::key::{NodeRecord, verify};
use crate::manager_addr::ManagerAddr;
use crate::name::Name;
use crate::resource::{Attributes, Kind};
use crate::role::{Action, Role};

/// Most live nodes of one network.
pub const LEDGER_NODES_MAX: usize = 20_000;

/// Most invites of one network that can still be used.
pub const LEDGER_INVITES_MAX: usize = 1_000;

/// Most resources one node publishes.
pub const NODE_RESOURCES_MAX: usize = 256;

/// The domain an invite's secret signs a join under.
pub(super) const JOIN_DOMAIN: &str = "coco/join";

/// The state of a network at one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    network: NetworkId,
    name: Name,
    kind: NetworkKind,
    managers: Vec<ManagerAddr>,
    users: BTreeMap<Name, User>,
    nodes: BTreeMap<NodeId, Node>,
    keys: BTreeMap<StaticKey, NodeId>,
    removed: BTreeMap<StaticKey, NodeId>,
    invites: BTreeMap<InviteKey, InviteState>,
    resources: BTreeMap<Name, Resource>,
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// What they may do.
    pub role: Role,
    /// The invite that brought them; none for the founder.
    pub invite: Option<InviteKey>,
}

/// What a node is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeKind {
    /// It publishes; its user's rights are not its own, so a stolen camera is no owner.
    Device,
    /// It uses resources, with the rights of its user.
    App,
}

/// A live node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its keys.
    pub record: NodeRecord,
    /// Its name, unique among live nodes.
    pub name: Name,
    /// Whose it is.
    pub user: Name,
    /// Device or app.
    pub kind: NodeKind,
    /// Whether a device may publish.
    pub publish: bool,
    /// The sequence number of the entry it joined with.
    pub joined: u64,
}

/// An invite and what is left of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteState {
    /// What was offered.
    pub invite: Invite,
    /// By whom.
    pub inviter: NodeId,
    /// Joins still possible.
    pub left: u32,
}

/// A published resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// The node that offers it.
    pub node: NodeId,
    /// Its protocol.
    pub kind: Kind,
    /// What helps whoever opens it.
    pub attributes: Attributes,
}

/// What a session key is to this network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// A live node's.
    Member(NodeId),
    /// A removed node's.
    Removed(NodeId),
    /// Nobody's.
    Stranger,
}

/// Why an op is not allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The author is no live node.
    #[error("the author is not a member of the network")]
    NotMember,
    /// The author's role, or kind of node, does not allow it.
    #[error("{who} may not {what}")]
    NotAllowed {
        /// Role or kind of node.
        who: &'static str,
        /// The action.
        what: &'static str,
    },
    /// A second genesis, or none at the start.
    #[error("a ledger has one genesis, and it comes first")]
    Genesis,
    /// The node's own signature over its session key, or the invite's over the join, does not hold.
    #[error("the join is not signed by the node and by the invite")]
    Proof,
    /// No such invite in this network.
    #[error("the invite is not known to this network")]
    InviteUnknown,
    /// Too late.
    #[error("the invite has expired")]
    InviteExpired,
    /// Used as often as it may be.
    #[error("the invite is used up")]
    InviteUsed,
    /// The inviter is no longer a member, or no longer allowed to invite so.
    #[error("the inviter may no longer invite")]
    InviterGone,
    /// A name that must be unique is taken.
    #[error("the name {0} is taken")]
    NameTaken(Name),
    /// These keys have been in this network before.
    #[error("these node keys were used in this network before")]
    KeyReused,
    /// No such live node.
    #[error("no such node")]
    NoSuchNode,
    /// No such resource.
    #[error("no such resource: {0}")]
    NoSuchResource(Name),
    /// It would leave the network without an owner who can sign.
    #[error("the last node of the last owner cannot be removed")]
    LastOwner,
    /// A bound of the ledger.
    #[error("the network has reached its limit of {limit} {of}")]
    Limit {
        /// Of what.
        of: &'static str,
        /// How many.
        limit: usize,
    },
    /// A value the op may not have.
    #[error("{0}")]
    Value(&'static str),
}

impl State {
    /// The state after a genesis entry whose hash is `network`.
    pub(super) fn begin(network: NetworkId, genesis: &Genesis) -> Result<Self, Violation> {
        genesis.owner.verify().map_err(|_| Violation::Proof)?;
        if genesis.managers.is_empty() || genesis.managers.len() > MANAGERS_MAX {
            return Err(Violation::Value("a network has one to eight managers"));
        }
        let node = Node {
            record: genesis.owner.clone(),
            name: genesis.node_name.clone(),
            user: genesis.user.clone(),
            kind: NodeKind::App,
            publish: true,
            joined: 0,
        };
        let id = genesis.owner.node;
        Ok(Self {
            network,
            name: genesis.name.clone(),
            kind: genesis.kind,
            managers: genesis.managers.clone(),
            users: BTreeMap::from([(genesis.user.clone(), User { role: Role::Owner, invite: None })]),
            nodes: BTreeMap::from([(id, node)]),
            keys: BTreeMap::from([(genesis.owner.talk, id)]),
            removed: BTreeMap::new(),
            invites: BTreeMap::new(),
            resources: BTreeMap::new(),
        })
    }

    /// The network's id.
    pub fn network(&self) -> NetworkId {
        self.network
    }

    /// The network's name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The network's kind.
    pub fn kind(&self) -> NetworkKind {
        self.kind
    }

    /// Who may stamp.
    pub fn managers(&self) -> &[ManagerAddr] {
        &self.managers
    }

    /// People by name.
    pub fn users(&self) -> &BTreeMap<Name, User> {
        &self.users
    }

    /// Live nodes by id.
    pub fn nodes(&self) -> &BTreeMap<NodeId, Node> {
        &self.nodes
    }

    /// Invites by key, used-up ones included.
    pub fn invites(&self) -> &BTreeMap<InviteKey, InviteState> {
        &self.invites
    }

    /// Resources by name.
    pub fn resources(&self) -> &BTreeMap<Name, Resource> {
        &self.resources
    }

    /// The live node of that name.
    pub fn node_named(&self, name: &str) -> Option<(NodeId, &Node)> {
        self.nodes.iter().find(|(_, node)| node.name.as_str() == name).map(|(id, node)| (*id, node))
    }

    /// What the holder of a session key is to this network.
    pub fn standing(&self, key: &StaticKey) -> Standing {
        match (self.keys.get(key), self.removed.get(key)) {
            (Some(id), _) => Standing::Member(*id),
            (None, Some(id)) => Standing::Removed(*id),
            (None, None) => Standing::Stranger,
        }
    }

    /// The role a node acts with: its user's, and none at all for a device.
    pub fn authority(&self, node: NodeId) -> Option<Role> {
        let node = self.nodes.get(&node)?;
        match node.kind {
            NodeKind::Device => None,
            NodeKind::App => self.users.get(&node.user).map(|user| user.role),
        }
    }

    /// Whether `node` may open `resource`. A resource that is absent and one that is not granted give
    /// the same answer.
    pub fn may_open(&self, node: NodeId, resource: &Name) -> bool {
        self.resources.contains_key(resource)
            && self.authority(node).is_some_and(|role| role.may(Action::UseAll))
    }

    /// Whether `author` may do `op` at `time`.
    pub fn validate(&self, author: NodeId, time: u64, op: &Op) -> Result<(), Violation> {
        match op {
            Op::Genesis(_) => Err(Violation::Genesis),
            Op::Invite(op) => self.validate_invite(author, time, op),
            Op::Join(op) => self.validate_join(author, time, op),
            Op::RemoveNode(op) => self.validate_remove(author, op),
            Op::Publish(op) => self.validate_publish(author, op),
            Op::Withdraw(op) => self.validate_withdraw(author, op),
            Op::Unknown { .. } => self.nodes.get(&author).map(|_| ()).ok_or(Violation::NotMember),
        }
    }

    /// Carry out what [`State::validate`] has allowed; `seq` is the entry's.
    pub(super) fn apply(&mut self, author: NodeId, seq: u64, op: Op) {
        match op {
            Op::Genesis(_) | Op::Unknown { .. } => {}
            Op::Invite(invite) => {
                let left = invite.uses;
                self.invites.insert(invite.key, InviteState { invite, inviter: author, left });
            }
            Op::Join(join) => self.apply_join(seq, join),
            Op::RemoveNode(RemoveNode { node }) => {
                if let Some(gone) = self.nodes.remove(&node) {
                    self.keys.remove(&gone.record.talk);
                    self.removed.insert(gone.record.talk, node);
                    self.resources.retain(|_, resource| resource.node != node);
                }
            }
            Op::Publish(Publish { name, kind, attributes }) => {
                self.resources.insert(name, Resource { node: author, kind, attributes });
            }
            Op::Withdraw(Withdraw { name }) => {
                self.resources.remove(&name);
            }
        }
    }

    fn validate_invite(&self, author: NodeId, time: u64, op: &Invite) -> Result<(), Violation> {
        self.may_invite(author, &op.purpose)?;
        if op.uses == 0 {
            return Err(Violation::Value("an invite has at least one use"));
        }
        if self.invites.contains_key(&op.key) {
            return Err(Violation::KeyReused);
        }
        let open = self.invites.values().filter(|known| known.left > 0 && time < known.invite.expires);
        if open.count() >= LEDGER_INVITES_MAX {
            return Err(Violation::Limit { of: "open invites", limit: LEDGER_INVITES_MAX });
        }
        match &op.purpose {
            Purpose::User { role: Role::Owner, .. } => {
                Err(Violation::Value("an owner is not invited but promoted"))
            }
            Purpose::User { name, role } => match self.users.get(name) {
                Some(user) if user.role != *role || self.authority(author) != Some(Role::Owner) => {
                    Err(Violation::NameTaken(name.clone()))
                }
                Some(_) | None => Ok(()),
            },
            Purpose::Device { .. } | Purpose::SelfApp => Ok(()),
        }
    }

    fn validate_join(&self, author: NodeId, time: u64, op: &Join) -> Result<(), Violation> {
        let InviteState { invite, inviter, left } =
            self.invites.get(&op.invite).ok_or(Violation::InviteUnknown)?;
        op.record.verify().map_err(|_| Violation::Proof)?;
        let message = join_message(self.network, &op.record, &op.name);
        verify(&op.invite.0, JOIN_DOMAIN, &message, &op.proof).map_err(|_| Violation::Proof)?;
        if op.record.node != author {
            return Err(Violation::Proof);
        }
        if *left == 0 {
            return Err(Violation::InviteUsed);
        }
        if time >= invite.expires {
            return Err(Violation::InviteExpired);
        }
        self.may_invite(*inviter, &invite.purpose).map_err(|_| Violation::InviterGone)?;
        if let Purpose::User { name, role } = &invite.purpose
            && let Some(user) = self.users.get(name)
            && (user.role != *role
                || (user.invite != Some(op.invite) && self.authority(*inviter) != Some(Role::Owner)))
        {
            return Err(Violation::NameTaken(name.clone()));
        }
        if self.keys.contains_key(&op.record.talk)
            || self.removed.contains_key(&op.record.talk)
            || self.nodes.contains_key(&author)
            || self.removed.values().any(|gone| *gone == author)
        {
            return Err(Violation::KeyReused);
        }
        let name = node_name(invite, op);
        if self.nodes.values().any(|node| node.name == *name) {
            return Err(Violation::NameTaken(name.clone()));
        }
        if self.nodes.len() >= LEDGER_NODES_MAX {
            return Err(Violation::Limit { of: "nodes", limit: LEDGER_NODES_MAX });
        }
        Ok(())
    }

    fn apply_join(&mut self, seq: u64, join: Join) {
        let Some(state) = self.invites.get_mut(&join.invite) else { return };
        state.left = state.left.saturating_sub(1);
        let inviter_user = self.nodes.get(&state.inviter).map(|node| node.user.clone());
        let (user, kind, publish) = match &state.invite.purpose {
            Purpose::Device { publish } => (inviter_user, NodeKind::Device, *publish),
            Purpose::SelfApp => (inviter_user, NodeKind::App, false),
            Purpose::User { name, role } => {
                let newcomer = User { role: *role, invite: Some(join.invite) };
                self.users.entry(name.clone()).or_insert(newcomer);
                (Some(name.clone()), NodeKind::App, false)
            }
        };
        let Some(user) = user else { return };
        let (id, name) = (join.record.node, node_name(&state.invite, &join).clone());
        self.keys.insert(join.record.talk, id);
        self.nodes.insert(id, Node { record: join.record, name, user, kind, publish, joined: seq });
    }

    fn validate_remove(&self, author: NodeId, op: &RemoveNode) -> Result<(), Violation> {
        let own = self.nodes.get(&author).ok_or(Violation::NotMember)?;
        let target = self.nodes.get(&op.node).ok_or(Violation::NoSuchNode)?;
        if op.node != author {
            let action = match target.kind {
                NodeKind::Device => Action::RemoveDevice,
                NodeKind::App if target.user == own.user => Action::RemoveSelf,
                NodeKind::App => Action::RemoveApp,
            };
            self.require(author, action)?;
            let of_owner = self.authority(op.node) == Some(Role::Owner);
            if of_owner && self.authority(author) != Some(Role::Owner) {
                return Err(Violation::NotAllowed { who: "an admin", what: "remove an owner's node" });
            }
        }
        let owners = self.nodes.keys().filter(|id| self.authority(**id) == Some(Role::Owner));
        if owners.clone().count() == 1 && owners.clone().all(|id| *id == op.node) {
            return Err(Violation::LastOwner);
        }
        Ok(())
    }

    fn validate_publish(&self, author: NodeId, op: &Publish) -> Result<(), Violation> {
        let node = self.nodes.get(&author).ok_or(Violation::NotMember)?;
        match node.kind {
            NodeKind::Device if node.publish => {}
            NodeKind::Device => {
                return Err(Violation::NotAllowed {
                    who: "a device invited without --publish",
                    what: "publish",
                });
            }
            NodeKind::App => self.require(author, Action::PublishFromApp)?,
        }
        match self.resources.get(&op.name) {
            Some(resource) if resource.node != author => return Err(Violation::NameTaken(op.name.clone())),
            Some(_) => return Ok(()),
            None => {}
        }
        if self.resources.values().filter(|resource| resource.node == author).count() >= NODE_RESOURCES_MAX {
            return Err(Violation::Limit { of: "resources of one node", limit: NODE_RESOURCES_MAX });
        }
        Ok(())
    }

    fn validate_withdraw(&self, author: NodeId, op: &Withdraw) -> Result<(), Violation> {
        if !self.nodes.contains_key(&author) {
            return Err(Violation::NotMember);
        }
        let known = self.resources.get(&op.name).ok_or_else(|| Violation::NoSuchResource(op.name.clone()))?;
        if known.node == author { Ok(()) } else { self.require(author, Action::WithdrawOthers) }
    }

    fn may_invite(&self, inviter: NodeId, purpose: &Purpose) -> Result<(), Violation> {
        self.require(
            inviter,
            match purpose {
                Purpose::Device { .. } => Action::InviteDevice,
                Purpose::SelfApp => Action::InviteSelf,
                Purpose::User { .. } => Action::InviteUser,
            },
        )
    }

    fn require(&self, node: NodeId, action: Action) -> Result<(), Violation> {
        if !self.nodes.contains_key(&node) {
            return Err(Violation::NotMember);
        }
        match self.authority(node) {
            Some(role) if role.may(action) => Ok(()),
            Some(role) => Err(Violation::NotAllowed { who: role.as_str(), what: action.as_str() }),
            None => Err(Violation::NotAllowed { who: "a device", what: action.as_str() }),
        }
    }
}

/// The name a join gets: the inviter's choice before the joiner's, who cannot read the ledger yet.
fn node_name<'a>(invite: &'a Invite, join: &'a Join) -> &'a Name {
    invite.node_name.as_ref().unwrap_or(&join.name)
}

impl Violation {
    /// The word that stands for it on the wire and in `--json`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotMember => "not-a-member",
            Self::NotAllowed { .. } => "not-allowed",
            Self::Genesis => "genesis",
            Self::Proof => "bad-proof",
            Self::InviteUnknown => "invite-unknown",
            Self::InviteExpired => "invite-expired",
            Self::InviteUsed => "invite-used",
            Self::InviterGone => "inviter-gone",
            Self::NameTaken(_) => "name-taken",
            Self::KeyReused => "key-reused",
            Self::NoSuchNode => "no-such-node",
            Self::NoSuchResource(_) => "no-such-resource",
            Self::LastOwner => "last-owner",
            Self::Limit { .. } => "limit",
            Self::Value(_) => "bad-value",
        }
    }
}
