//! Who may do what: one table.
//!
//! Validation, the docs and `cococtl` all read [`TABLE`]; nothing else in the project decides by role.

use core::fmt;
use core::str::FromStr;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// What a person is in a network.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cbor(index_only)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything.
    #[n(0)]
    Owner,
    /// Everything except devices and resources.
    #[n(1)]
    Admin,
    /// What is granted, and nothing else is seen.
    #[n(2)]
    Guest,
}

/// What a role may or may not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Invite a device node.
    InviteDevice,
    /// Invite a person, or a further app of an existing person, as admin or guest.
    InviteUser,
    /// Invite one's own next app.
    InviteSelf,
    /// Remove a device node.
    RemoveDevice,
    /// Remove somebody's app node.
    RemoveApp,
    /// Remove one's own node.
    RemoveSelf,
    /// Publish from a node that is not a device.
    PublishFromApp,
    /// Withdraw a resource another node published.
    WithdrawOthers,
    /// Prepare an offline key.
    InviteRecovery,
    /// Revoke an invite somebody else made.
    RevokeInvite,
    /// Change a person's role, to anything but owner.
    SetRole,
    /// Make an owner, or change one.
    SetOwner,
    /// Remove a person.
    RemoveUser,
    /// Rename a person or their app.
    RenameUser,
    /// Rename the network or a device.
    RenameNetwork,
    /// Grant and revoke the use of a resource.
    Grant,
    /// Say who may stamp.
    SetManagers,
    /// Vouch for the state.
    Checkpoint,
    /// Use every resource without a grant.
    UseAll,
}

/// The table: an action, a sentence for people, and the roles that may.
pub const TABLE: &[(Action, &str, &[Role])] = &[
    (Action::InviteDevice, "invite a device", &[Role::Owner]),
    (Action::InviteUser, "invite a person", &[Role::Owner, Role::Admin]),
    (Action::InviteSelf, "invite one's own next app", &[Role::Owner, Role::Admin, Role::Guest]),
    (Action::RemoveDevice, "remove a device", &[Role::Owner]),
    (Action::RemoveApp, "remove another person's app", &[Role::Owner, Role::Admin]),
    (Action::RemoveSelf, "leave with one's own node", &[Role::Owner, Role::Admin, Role::Guest]),
    (Action::PublishFromApp, "publish a resource from an app node", &[Role::Owner]),
    (Action::WithdrawOthers, "withdraw another node's resource", &[Role::Owner]),
    (Action::InviteRecovery, "prepare a recovery key", &[Role::Owner]),
    (Action::RevokeInvite, "revoke another person's invite", &[Role::Owner, Role::Admin]),
    (Action::SetRole, "change a role", &[Role::Owner, Role::Admin]),
    (Action::SetOwner, "make or change an owner", &[Role::Owner]),
    (Action::RemoveUser, "remove a person", &[Role::Owner, Role::Admin]),
    (Action::RenameUser, "rename a person or their app", &[Role::Owner, Role::Admin]),
    (Action::RenameNetwork, "rename the network or a device", &[Role::Owner]),
    (Action::Grant, "grant or revoke the use of a resource", &[Role::Owner, Role::Admin]),
    (Action::SetManagers, "set the managers", &[Role::Owner]),
    (Action::Checkpoint, "vouch for the state so far", &[Role::Owner]),
    (Action::UseAll, "use every resource without a grant", &[Role::Owner, Role::Admin]),
];

impl Role {
    /// Whether the table allows it.
    pub fn may(self, action: Action) -> bool {
        row(action).2.contains(&self)
    }

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Guest => "guest",
        }
    }
}

impl Action {
    /// The sentence for people.
    pub fn as_str(self) -> &'static str {
        row(self).1
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        [Self::Owner, Self::Admin, Self::Guest].into_iter().find(|r| r.as_str() == text).ok_or(RoleError)
    }
}

/// A word that is no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a role is owner, admin or guest")]
pub struct RoleError;

fn row(action: Action) -> &'static (Action, &'static str, &'static [Role]) {
    // A unit test walks every action, so that none is without a row.
    TABLE.iter().find(|row| row.0 == action).unwrap_or(&TABLE[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_exactly_one_row() {
        let all = [
            Action::InviteDevice,
            Action::InviteUser,
            Action::InviteSelf,
            Action::RemoveDevice,
            Action::RemoveApp,
            Action::RemoveSelf,
            Action::PublishFromApp,
            Action::WithdrawOthers,
            Action::InviteRecovery,
            Action::RevokeInvite,
            Action::SetRole,
            Action::SetOwner,
            Action::RemoveUser,
            Action::RenameUser,
            Action::RenameNetwork,
            Action::Grant,
            Action::SetManagers,
            Action::Checkpoint,
            Action::UseAll,
        ];
        for action in all {
            assert_eq!(TABLE.iter().filter(|row| row.0 == action).count(), 1, "{action:?}");
        }
        assert_eq!(TABLE.len(), all.len());
    }

    #[test]
    fn an_admin_manages_people_but_not_devices() {
        assert!(Role::Admin.may(Action::InviteUser) && !Role::Admin.may(Action::InviteDevice));
        assert!(!Role::Guest.may(Action::UseAll) && Role::Guest.may(Action::RemoveSelf));
    }
}
