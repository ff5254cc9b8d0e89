//! What the entries add up to.
//!
//! The maps are ordered, so that a state has one encoding and one [`State::digest`] on every replica.
//! What may be added next is decided in `validate`, and carried out in `apply`.

use std::collections::BTreeMap;

use minicbor::Encode;
use serde::{Deserialize, Serialize};

use super::op::{Genesis, Invite, MANAGERS_MAX, NetworkKind};
use super::violation::Violation;
use crate::cbor;
use crate::grant::{Capabilities, Schedule};
use crate::id::{Hash, InviteKey, NetworkId, NodeId, StaticKey};
use crate::key::NodeRecord;
use crate::manager_addr::ManagerAddr;
use crate::name::Name;
use crate::resource::{Attributes, Kind};
use crate::rights::Rights;
use crate::role::{Action, Role};
use crate::scope::Scope;

/// Most live nodes of one network.
pub const LEDGER_NODES_MAX: usize = 20_000;

/// Most people of one network.
pub const LEDGER_USERS_MAX: usize = 10_000;

/// Most invites of one network that can still be used.
pub const LEDGER_INVITES_MAX: usize = 1_000;

/// Most resources one node publishes.
pub const NODE_RESOURCES_MAX: usize = 256;

/// Most grants of one person.
pub const USER_GRANTS_MAX: usize = 1_000;

/// The state of a network at one entry.
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
#[cbor(map)]
pub struct State {
    #[n(0)]
    pub(super) network: NetworkId,
    #[n(1)]
    pub(super) name: Name,
    #[n(2)]
    pub(super) kind: NetworkKind,
    #[n(3)]
    pub(super) managers: Vec<ManagerAddr>,
    #[n(4)]
    pub(super) users: BTreeMap<Name, User>,
    #[n(5)]
    pub(super) nodes: BTreeMap<NodeId, Node>,
    /// Live nodes by session key.
    #[cbor(skip)]
    pub(super) keys: BTreeMap<StaticKey, NodeId>,
    /// Live nodes by name.
    #[cbor(skip)]
    pub(super) names: BTreeMap<Name, NodeId>,
    /// Removed nodes by session key.
    #[n(6)]
    pub(super) removed: BTreeMap<StaticKey, Removal>,
    #[cbor(skip)]
    pub(super) removed_ids: BTreeMap<NodeId, StaticKey>,
    #[n(7)]
    pub(super) invites: BTreeMap<InviteKey, InviteState>,
    #[n(8)]
    pub(super) resources: BTreeMap<Name, Resource>,
    /// By person, then resource.
    #[n(9)]
    pub(super) grants: BTreeMap<Name, BTreeMap<Name, GrantState>>,
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
#[cbor(map)]
pub struct User {
    /// What they may do.
    #[n(0)]
    pub role: Role,
    /// The invite that brought them; none for the founder.
    #[n(1)]
    pub invite: Option<InviteKey>,
}

/// What a node is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cbor(index_only)]
#[serde(rename_all = "lowercase")]
pub enum NodeKind {
    /// It publishes; its user's rights are not its own, so a stolen camera is no owner.
    #[n(0)]
    Device,
    /// It uses resources, with the rights of its user.
    #[n(1)]
    App,
    /// An offline key with the rights of its user, for the day the other keys are lost.
    #[n(2)]
    Recovery,
}

/// A live node.
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
#[cbor(map)]
pub struct Node {
    /// Its keys.
    #[n(0)]
    pub record: NodeRecord,
    /// Its name, unique among live nodes.
    #[n(1)]
    pub name: Name,
    /// Whose it is.
    #[n(2)]
    pub user: Name,
    /// Device, app or recovery key.
    #[n(3)]
    pub kind: NodeKind,
    /// Whether a device may publish.
    #[n(4)]
    pub publish: bool,
    /// The sequence number of the entry it joined with.
    #[n(5)]
    pub joined: u64,
    /// What it is for, if not for everything its user may use.
    #[n(6)]
    pub only: Option<Scope>,
}

/// How a node left.
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
#[cbor(map)]
pub struct Removal {
    /// Which node.
    #[n(0)]
    pub node: NodeId,
    /// The sequence number of the entry that removed it, the last it may read.
    #[n(1)]
    pub seq: u64,
    /// The person that [`State::guest`] gave for it before that entry.
    #[n(2)]
    pub guest: Option<Name>,
}

/// An invite and what is left of it.
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
#[cbor(map)]
pub struct InviteState {
    /// What was offered.
    #[n(0)]
    pub invite: Invite,
    /// By whom.
    #[n(1)]
    pub inviter: NodeId,
    /// Joins still possible; none once it was revoked.
    #[n(2)]
    pub left: u32,
    /// Whether it was revoked.
    #[n(3)]
    pub revoked: bool,
}

/// A published resource.
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
#[cbor(map)]
pub struct Resource {
    /// The node that offers it.
    #[n(0)]
    pub node: NodeId,
    /// Its protocol.
    #[n(1)]
    pub kind: Kind,
    /// What helps whoever opens it.
    #[n(2)]
    pub attributes: Attributes,
}

/// What a guest was granted of one resource.
#[derive(Debug, Clone, PartialEq, Eq, Encode)]
#[cbor(map)]
pub struct GrantState {
    /// How.
    #[n(0)]
    pub can: Capabilities,
    /// At which hours.
    #[n(1)]
    pub when: Option<Schedule>,
    /// Until when, in milliseconds of Unix time.
    #[n(2)]
    pub until: Option<u64>,
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

/// Whether a node may use a resource now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Not, or there is no such resource: the two look alike.
    Denied,
    /// Until the given time, in milliseconds of Unix time, or for as long as the ledger says so.
    Until(Option<u64>),
}

/// By what somebody may use a resource.
enum Title<'a> {
    /// Their role's.
    Role,
    /// What they were granted.
    Grant(&'a GrantState),
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
            only: None,
        };
        let id = genesis.owner.node;
        Ok(Self {
            network,
            name: genesis.name.clone(),
            kind: genesis.kind,
            managers: genesis.managers.clone(),
            users: BTreeMap::from([(genesis.user.clone(), User { role: Role::Owner, invite: None })]),
            keys: BTreeMap::from([(genesis.owner.talk, id)]),
            names: BTreeMap::from([(node.name.clone(), id)]),
            nodes: BTreeMap::from([(id, node)]),
            removed: BTreeMap::new(),
            removed_ids: BTreeMap::new(),
            invites: BTreeMap::new(),
            resources: BTreeMap::new(),
            grants: BTreeMap::new(),
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

    /// Invites by key, used-up and revoked ones included.
    pub fn invites(&self) -> &BTreeMap<InviteKey, InviteState> {
        &self.invites
    }

    /// Resources by name.
    pub fn resources(&self) -> &BTreeMap<Name, Resource> {
        &self.resources
    }

    /// Grants by person, then resource.
    pub fn grants(&self) -> &BTreeMap<Name, BTreeMap<Name, GrantState>> {
        &self.grants
    }

    /// The live node of that name.
    pub fn node_named(&self, name: &str) -> Option<(NodeId, &Node)> {
        let id = self.names.get(name)?;
        Some((*id, self.nodes.get(id)?))
    }

    /// What the holder of a session key is to this network.
    pub fn standing(&self, key: &StaticKey) -> Standing {
        match (self.keys.get(key), self.removed.get(key)) {
            (Some(id), _) => Standing::Member(*id),
            (None, Some(removal)) => Standing::Removed(removal.node),
            (None, None) => Standing::Stranger,
        }
    }

    /// How `node` left, if it was removed.
    pub fn removal(&self, node: NodeId) -> Option<&Removal> {
        self.removed.get(self.removed_ids.get(&node)?)
    }

    /// The role of a node's user.
    pub fn role(&self, node: NodeId) -> Option<Role> {
        self.users.get(&self.nodes.get(&node)?.user).map(|user| user.role)
    }

    /// The role a node changes the network with: its user's, and none at all for a device or an app that
    /// has a [scope](Scope).
    pub fn authority(&self, node: NodeId) -> Option<Role> {
        self.standpoint(node).filter(|_| self.nodes.get(&node).is_some_and(|node| node.only.is_none()))
    }

    /// The role a node uses resources with, and is protected by from others: its user's, and none at all for a
    /// device.
    pub fn standpoint(&self, node: NodeId) -> Option<Role> {
        match self.nodes.get(&node)?.kind {
            NodeKind::Device => None,
            NodeKind::App | NodeKind::Recovery => self.role(node),
        }
    }

    /// Whether `node` may use `resource` at `now`. A resource that is absent and one that is not granted
    /// give the same answer.
    pub fn access(&self, node: NodeId, resource: &Name, now: u64) -> Access {
        match self.title(node, resource) {
            Some(Title::Role) => Access::Until(None),
            Some(Title::Grant(grant)) => grant.access(now),
            None => Access::Denied,
        }
    }

    /// What `node` may do with `resource` while it has access to it.
    pub fn rights(&self, node: NodeId, resource: &Name) -> Option<Rights> {
        Some(match self.title(node, resource)? {
            Title::Role => Rights::All,
            Title::Grant(grant) => Rights::Only(grant.can.clone()),
        })
    }

    /// Whether `viewer` may hear where `node` is and when it was there: of every node, but for a guest, who hears it of
    /// those of its own and of those that offer what it may use, in or out of its hours.
    pub fn may_meet(&self, viewer: NodeId, node: NodeId) -> bool {
        let (Some(own), Some(met)) = (self.nodes.get(&viewer), self.nodes.get(&node)) else {
            return false;
        };
        let offers =
            || self.resources.iter().any(|(name, offer)| offer.node == node && self.may_see(viewer, name));
        self.guest(viewer).is_none() || own.user == met.user || offers()
    }

    /// The person `node` reads the ledger as: a guest, who sees only a part of it, or nobody in particular,
    /// who sees all. A device sees all whoever it belongs to, for it judges who may open what it offers.
    pub fn guest(&self, node: NodeId) -> Option<&Name> {
        let node = self.nodes.get(&node).filter(|node| node.kind != NodeKind::Device)?;
        self.users.get(&node.user).filter(|user| user.role == Role::Guest).map(|_| &node.user)
    }

    /// Whether `node` may use `resource` at some time, in or out of its hours.
    pub fn may_see(&self, node: NodeId, resource: &Name) -> bool {
        self.title(node, resource).is_some()
    }

    /// Whether `node` may use whatever there is.
    pub fn uses_all(&self, node: NodeId) -> bool {
        self.authority(node).is_some_and(|role| role.may(Action::UseAll))
    }

    /// By what `node` may use `resource` at some time: the role and the grant are asked here, after the scope of
    /// the app.
    fn title(&self, node: NodeId, resource: &Name) -> Option<Title<'_>> {
        let kind = self.resources.get(resource)?.kind;
        let app = self.nodes.get(&node)?;
        if app.only.as_ref().is_some_and(|only| !only.covers(resource, kind)) {
            return None;
        }
        if self.standpoint(node)?.may(Action::UseAll) {
            return Some(Title::Role);
        }
        self.grants.get(&app.user)?.get(resource).map(Title::Grant)
    }

    /// The hash of this state: equal on every replica that holds the whole ledger.
    pub fn digest(&self) -> Hash {
        Hash::of("coco/state", &[&cbor::encode(self)])
    }
}

impl GrantState {
    /// Whether the grant holds at `now`, and until when it will.
    pub fn access(&self, now: u64) -> Access {
        if self.until.is_some_and(|until| until <= now) {
            return Access::Denied;
        }
        let Some(schedule) = &self.when else { return Access::Until(self.until) };
        match schedule.open_until(now) {
            Some(end) => Access::Until(Some(self.until.map_or(end, |until| until.min(end)))),
            None => Access::Denied,
        }
    }
}
