//! Carrying out an op that was allowed.

use super::op::{Grant, Invite, Join, Op, Publish, Purpose, RemoveNode, Rename, Renamed};
use super::state::{GrantState, InviteState, Node, NodeKind, Removal, Resource, State, User};
use crate::id::NodeId;
use crate::name::Name;
use crate::role::Action;

impl State {
    /// Carry out what [`State::validate`] has allowed; `seq` is the entry's.
    pub(super) fn apply(&mut self, author: NodeId, seq: u64, op: Op) {
        match op {
            Op::Genesis(_) | Op::Checkpoint(_) | Op::Unknown { .. } => {}
            Op::Invite(invite) => {
                let left = invite.uses;
                let state = InviteState { invite, inviter: author, left, revoked: false };
                self.invites.insert(state.invite.key, state);
            }
            Op::RevokeInvite(op) => {
                if let Some(invite) = self.invites.get_mut(&op.key) {
                    (invite.left, invite.revoked) = (0, true);
                }
            }
            Op::Join(join) => self.join(seq, join),
            Op::RemoveNode(RemoveNode { node }) => self.remove_node(seq, node),
            Op::SetRole(op) => {
                if let Some(user) = self.users.get_mut(&op.user) {
                    user.role = op.role;
                }
                // Who uses everything holds no grants: a guest again, they begin with none.
                if op.role.may(Action::UseAll) {
                    self.grants.remove(&op.user);
                }
            }
            Op::RemoveUser(op) => {
                for node in self.nodes_of(&op.user) {
                    self.remove_node(seq, node);
                }
                self.users.remove(&op.user);
                self.grants.remove(&op.user);
                // What is left of their invites would let them in again.
                for known in self.invites.values_mut().filter(|known| known.invite.purpose.is_for(&op.user)) {
                    (known.left, known.revoked) = (0, true);
                }
            }
            Op::Rename(Rename { what, to }) => self.rename(what, to),
            Op::Publish(Publish { name, kind, attributes }) => {
                // Capabilities are of a kind: what was granted of the old one says nothing of the new.
                if self.resources.get(&name).is_some_and(|known| known.kind != kind) {
                    self.withdraw(&name);
                }
                self.resources.insert(name, Resource { node: author, kind, attributes });
            }
            Op::Withdraw(op) => self.withdraw(&op.name),
            Op::Grant(Grant { user, resource, can, when, until }) => {
                self.grants.entry(user).or_default().insert(resource, GrantState { can, when, until });
            }
            Op::RevokeGrant(op) => {
                if let Some(grants) = self.grants.get_mut(&op.user) {
                    grants.remove(&op.resource);
                }
            }
            Op::SetManagers(op) => self.managers = op.managers,
        }
    }

    /// The live nodes of a person.
    pub(super) fn nodes_of(&self, user: &Name) -> Vec<NodeId> {
        self.nodes.iter().filter(|(_, node)| node.user == *user).map(|(id, _)| *id).collect()
    }

    fn join(&mut self, seq: u64, join: Join) {
        let Some(state) = self.invites.get_mut(&join.invite) else { return };
        state.left = state.left.saturating_sub(1);
        let inviter_user = self.nodes.get(&state.inviter).map(|node| node.user.clone());
        let (user, kind, publish) = match &state.invite.purpose {
            Purpose::Device { publish } => (inviter_user, NodeKind::Device, *publish),
            Purpose::SelfApp => (inviter_user, NodeKind::App, false),
            Purpose::Recovery => (inviter_user, NodeKind::Recovery, false),
            Purpose::User { name, role } => {
                let newcomer = User { role: *role, invite: Some(join.invite) };
                self.users.entry(name.clone()).or_insert(newcomer);
                (Some(name.clone()), NodeKind::App, false)
            }
        };
        let Some(user) = user else { return };
        let (id, name) = (join.record.node, node_name(&state.invite, &join).clone());
        let only = state.invite.only.clone();
        self.keys.insert(join.record.talk, id);
        self.names.insert(name.clone(), id);
        self.nodes.insert(id, Node { record: join.record, name, user, kind, publish, joined: seq, only });
    }

    fn remove_node(&mut self, seq: u64, node: NodeId) {
        let guest = self.guest(node).cloned();
        let Some(gone) = self.nodes.remove(&node) else { return };
        self.keys.remove(&gone.record.talk);
        self.names.remove(&gone.name);
        self.removed.insert(gone.record.talk, Removal { node, seq, guest });
        self.removed_ids.insert(node, gone.record.talk);
        let offered = self.resources.iter().filter(|(_, resource)| resource.node == node);
        let offered: Vec<Name> = offered.map(|(name, _)| name.clone()).collect();
        offered.iter().for_each(|name| self.withdraw(name));
    }

    /// A resource goes with its grants: the same name later is another resource.
    fn withdraw(&mut self, name: &Name) {
        self.resources.remove(name);
        self.grants.values_mut().for_each(|grants| {
            grants.remove(name);
        });
    }

    fn rename(&mut self, what: Renamed, to: Name) {
        match what {
            Renamed::Network => self.name = to,
            Renamed::User(from) => {
                if let Some(user) = self.users.remove(&from) {
                    self.users.insert(to.clone(), user);
                }
                if let Some(grants) = self.grants.remove(&from) {
                    self.grants.insert(to.clone(), grants);
                }
                let theirs = self.nodes.values_mut().filter(|node| node.user == from);
                theirs.for_each(|node| node.user = to.clone());
                self.invites.values_mut().for_each(|known| known.invite.purpose.rename(&from, &to));
            }
            Renamed::Node(id) => {
                if let Some(node) = self.nodes.get_mut(&id) {
                    self.names.remove(&node.name);
                    self.names.insert(to.clone(), id);
                    node.name = to;
                }
            }
        }
    }
}

/// The name a join gets: the inviter's choice before the joiner's, who cannot read the ledger yet.
pub(super) fn node_name<'a>(invite: &'a Invite, join: &'a Join) -> &'a Name {
    invite.node_name.as_ref().unwrap_or(&join.name)
}
