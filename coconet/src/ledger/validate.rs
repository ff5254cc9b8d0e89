//! What may be added next: one judgement per op, all by the state at the parent.
//!
//! Roles are judged by [`crate::role::TABLE`] alone. What a table cannot say stands here: that nobody
//! below an owner touches an owner, that a name is given once, and that one owner key always remains.

use super::apply::node_name;
use super::op::{
    Checkpoint, Grant, Invite, Join, MANAGERS_MAX, Op, Publish, Purpose, RemoveNode, RemoveUser, Rename,
    Renamed, RevokeGrant, RevokeInvite, SetManagers, SetRole, Withdraw, join_message,
};
use super::state::{
    InviteState, LEDGER_INVITES_MAX, LEDGER_NODES_MAX, LEDGER_USERS_MAX, NODE_RESOURCES_MAX, NodeKind, State,
    USER_GRANTS_MAX,
};
use super::violation::Violation;
use crate::id::NodeId;
use crate::key::verify;
use crate::name::Name;
use crate::role::{Action, Role};

/// The domain an invite's secret signs a join under.
pub(super) const JOIN_DOMAIN: &str = "coco/join";

impl State {
    /// Whether `author` may do `op` at `time`.
    pub fn validate(&self, author: NodeId, time: u64, op: &Op) -> Result<(), Violation> {
        match op {
            Op::Genesis(_) => Err(Violation::Genesis),
            Op::Invite(op) => self.validate_invite(author, time, op),
            Op::RevokeInvite(op) => self.validate_revoke_invite(author, op),
            Op::Join(op) => self.validate_join(author, time, op),
            Op::RemoveNode(op) => self.validate_remove_node(author, op),
            Op::SetRole(op) => self.validate_set_role(author, op),
            Op::RemoveUser(op) => self.validate_remove_user(author, op),
            Op::Rename(op) => self.validate_rename(author, op),
            Op::Publish(op) => self.validate_publish(author, op),
            Op::Withdraw(op) => self.validate_withdraw(author, op),
            Op::Grant(op) => self.validate_grant(author, op),
            Op::RevokeGrant(op) => self.validate_revoke_grant(author, op),
            Op::SetManagers(op) => self.validate_set_managers(author, op),
            Op::Checkpoint(op) => self.validate_checkpoint(author, op),
            Op::Unknown { .. } => self.nodes.get(&author).map(|_| ()).ok_or(Violation::NotMember),
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
            Purpose::Device { .. } | Purpose::Recovery if op.only.is_some() => {
                return Err(Violation::Value("a device or a recovery key uses nothing: it has no scope"));
            }
            Purpose::Device { .. } | Purpose::Recovery | Purpose::SelfApp | Purpose::User { .. } => {}
        }
        let Purpose::User { name, role } = &op.purpose else { return Ok(()) };
        if *role == Role::Owner {
            return Err(Violation::Value("an owner is not invited but promoted"));
        }
        match self.users.get(name) {
            Some(user) if user.role != *role || self.authority(author) != Some(Role::Owner) => {
                Err(Violation::NameTaken(name.clone()))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn validate_revoke_invite(&self, author: NodeId, op: &RevokeInvite) -> Result<(), Violation> {
        let own = self.nodes.get(&author).ok_or(Violation::NotMember)?;
        let known = self.invites.get(&op.key).ok_or(Violation::InviteUnknown)?;
        if known.revoked {
            return Err(Violation::InviteRevoked);
        }
        if known.left == 0 {
            return Err(Violation::InviteUsed);
        }
        let inviter = self.nodes.get(&known.inviter).map(|node| &node.user);
        if inviter == Some(&own.user) && self.authority(author).is_some() {
            return Ok(());
        }
        self.require(author, Action::RevokeInvite)?;
        // Who could not have made the invite does not unmake it: an owner's next app is an owner's.
        if known.invite.purpose == Purpose::SelfApp && self.authority(known.inviter) == Some(Role::Owner) {
            self.require(author, Action::SetOwner)?;
        }
        self.may_invite(author, &known.invite.purpose)
    }

    fn validate_join(&self, author: NodeId, time: u64, op: &Join) -> Result<(), Violation> {
        let InviteState { invite, inviter, left, revoked } =
            self.invites.get(&op.invite).ok_or(Violation::InviteUnknown)?;
        op.record.verify().map_err(|_| Violation::Proof)?;
        let message = join_message(self.network, &op.record, &op.name);
        verify(&op.invite.0, JOIN_DOMAIN, &message, &op.proof).map_err(|_| Violation::Proof)?;
        if op.record.node != author {
            return Err(Violation::Proof);
        }
        if *revoked {
            return Err(Violation::InviteRevoked);
        }
        if *left == 0 {
            return Err(Violation::InviteUsed);
        }
        if time >= invite.expires {
            return Err(Violation::InviteExpired);
        }
        self.may_invite(*inviter, &invite.purpose).map_err(|_| Violation::InviterGone)?;
        if let Purpose::User { name, role } = &invite.purpose {
            match self.users.get(name) {
                Some(user)
                    if user.role != *role
                        || (user.invite != Some(op.invite)
                            && self.authority(*inviter) != Some(Role::Owner)) =>
                {
                    return Err(Violation::NameTaken(name.clone()));
                }
                None if self.users.len() >= LEDGER_USERS_MAX => {
                    return Err(Violation::Limit { of: "users", limit: LEDGER_USERS_MAX });
                }
                Some(_) | None => {}
            }
        }
        if self.keys.contains_key(&op.record.talk)
            || self.removed.contains_key(&op.record.talk)
            || self.nodes.contains_key(&author)
            || self.removed_ids.contains_key(&author)
        {
            return Err(Violation::KeyReused);
        }
        self.require_free_node_name(node_name(invite, op))?;
        if self.nodes.len() >= LEDGER_NODES_MAX {
            return Err(Violation::Limit { of: "nodes", limit: LEDGER_NODES_MAX });
        }
        Ok(())
    }

    fn validate_remove_node(&self, author: NodeId, op: &RemoveNode) -> Result<(), Violation> {
        let own = self.nodes.get(&author).ok_or(Violation::NotMember)?;
        let target = self.nodes.get(&op.node).ok_or(Violation::NoSuchNode)?;
        if op.node != author {
            let action = match target.kind {
                NodeKind::Device => Action::RemoveDevice,
                NodeKind::App | NodeKind::Recovery if target.user == own.user => Action::RemoveSelf,
                NodeKind::App | NodeKind::Recovery => Action::RemoveApp,
            };
            self.require(author, action)?;
            if self.standpoint(op.node) == Some(Role::Owner) {
                self.require(author, Action::SetOwner)?;
            }
        }
        self.require_owner_besides(|node, _| node != op.node)
    }

    fn validate_set_role(&self, author: NodeId, op: &SetRole) -> Result<(), Violation> {
        self.may_change(author, &op.user, Action::SetRole)?;
        if op.role == Role::Owner {
            return self.require(author, Action::SetOwner);
        }
        self.require_owner_besides(|_, user| *user != op.user)
    }

    fn validate_remove_user(&self, author: NodeId, op: &RemoveUser) -> Result<(), Violation> {
        self.may_change(author, &op.user, Action::RemoveUser)?;
        let devices = self.nodes.values().any(|node| node.user == op.user && node.kind == NodeKind::Device);
        if devices {
            self.require(author, Action::RemoveDevice)?;
        }
        self.require_owner_besides(|_, user| *user != op.user)
    }

    fn validate_rename(&self, author: NodeId, op: &Rename) -> Result<(), Violation> {
        match &op.what {
            Renamed::Network => self.require(author, Action::RenameNetwork),
            Renamed::User(user) => {
                self.may_change(author, user, Action::RenameUser)?;
                if self.users.contains_key(&op.to) {
                    Err(Violation::NameTaken(op.to.clone()))
                } else {
                    Ok(())
                }
            }
            Renamed::Node(id) => {
                let node = self.nodes.get(id).ok_or(Violation::NoSuchNode)?;
                match node.kind {
                    NodeKind::Device => self.require(author, Action::RenameNetwork)?,
                    NodeKind::App | NodeKind::Recovery => {
                        self.may_change(author, &node.user, Action::RenameUser)?;
                    }
                }
                self.require_free_node_name(&op.to)
            }
        }
    }

    fn validate_publish(&self, author: NodeId, op: &Publish) -> Result<(), Violation> {
        let node = self.nodes.get(&author).ok_or(Violation::NotMember)?;
        match node.kind {
            NodeKind::Device if node.publish => {}
            NodeKind::Device => {
                let who = "a device invited without --publish";
                return Err(Violation::NotAllowed { who, what: "publish" });
            }
            NodeKind::App | NodeKind::Recovery => self.require(author, Action::PublishFromApp)?,
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

    fn validate_grant(&self, author: NodeId, op: &Grant) -> Result<(), Violation> {
        self.require(author, Action::Grant)?;
        let user = self.users.get(&op.user).ok_or_else(|| Violation::NoSuchUser(op.user.clone()))?;
        if user.role.may(Action::UseAll) {
            return Err(Violation::Value("owners and admins use every resource without a grant"));
        }
        let resource =
            self.resources.get(&op.resource).ok_or_else(|| Violation::NoSuchResource(op.resource.clone()))?;
        if !op.can.fit(resource.kind) {
            return Err(Violation::Value("the resource has no such capability"));
        }
        let grants = self.grants.get(&op.user);
        let full =
            grants.is_some_and(|known| known.len() >= USER_GRANTS_MAX && !known.contains_key(&op.resource));
        if full { Err(Violation::Limit { of: "grants of one user", limit: USER_GRANTS_MAX }) } else { Ok(()) }
    }

    fn validate_revoke_grant(&self, author: NodeId, op: &RevokeGrant) -> Result<(), Violation> {
        self.require(author, Action::Grant)?;
        let known = self.grants.get(&op.user).is_some_and(|grants| grants.contains_key(&op.resource));
        let none = || Violation::NoSuchGrant { user: op.user.clone(), resource: op.resource.clone() };
        if known { Ok(()) } else { Err(none()) }
    }

    fn validate_set_managers(&self, author: NodeId, op: &SetManagers) -> Result<(), Violation> {
        self.require(author, Action::SetManagers)?;
        if op.managers.is_empty() || op.managers.len() > MANAGERS_MAX {
            return Err(Violation::Value("a network has one to eight managers"));
        }
        Ok(())
    }

    fn validate_checkpoint(&self, author: NodeId, op: &Checkpoint) -> Result<(), Violation> {
        self.require(author, Action::Checkpoint)?;
        if op.state == self.digest() { Ok(()) } else { Err(Violation::Value("the state is another one")) }
    }

    /// Whether `author` may do `action` to the person `user`: an owner only by an owner, oneself by
    /// oneself where one has any say.
    fn may_change(&self, author: NodeId, user: &Name, action: Action) -> Result<(), Violation> {
        self.require(author, action)?;
        let known = self.users.get(user).ok_or_else(|| Violation::NoSuchUser(user.clone()))?;
        if known.role == Role::Owner { self.require(author, Action::SetOwner) } else { Ok(()) }
    }

    fn may_invite(&self, inviter: NodeId, purpose: &Purpose) -> Result<(), Violation> {
        self.require(
            inviter,
            match purpose {
                Purpose::Device { .. } => Action::InviteDevice,
                Purpose::SelfApp => Action::InviteSelf,
                Purpose::Recovery => Action::InviteRecovery,
                Purpose::User { .. } => Action::InviteUser,
            },
        )
    }

    /// One owner key that can sign must be among the nodes that `stays` keeps.
    fn require_owner_besides(&self, stays: impl Fn(NodeId, &Name) -> bool) -> Result<(), Violation> {
        let owner = |(id, node): (&NodeId, &super::state::Node)| {
            self.authority(*id) == Some(Role::Owner) && stays(*id, &node.user)
        };
        if self.nodes.iter().any(owner) { Ok(()) } else { Err(Violation::LastOwner) }
    }

    fn require_free_node_name(&self, name: &Name) -> Result<(), Violation> {
        if self.names.contains_key(name) { Err(Violation::NameTaken(name.clone())) } else { Ok(()) }
    }

    fn require(&self, node: NodeId, action: Action) -> Result<(), Violation> {
        if !self.nodes.contains_key(&node) {
            return Err(Violation::NotMember);
        }
        let who = match (self.authority(node), self.standpoint(node)) {
            (Some(role), _) if role.may(action) => return Ok(()),
            (Some(role), _) => role.as_str(),
            (None, Some(_)) => "an app with a scope",
            (None, None) => "a device",
        };
        Err(Violation::NotAllowed { who, what: action.as_str() })
    }
}
