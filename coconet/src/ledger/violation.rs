//! Why an op is not allowed.

use crate::name::Name;

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
    /// Revoked.
    #[error("the invite was revoked")]
    InviteRevoked,
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
    /// No such person.
    #[error("no such user: {0}")]
    NoSuchUser(Name),
    /// No such grant.
    #[error("{user} has no grant of {resource}")]
    NoSuchGrant {
        /// Who.
        user: Name,
        /// What.
        resource: Name,
    },
    /// It would leave the network without an owner who can sign.
    #[error("the last owner key that can sign cannot be removed")]
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
            Self::InviteRevoked => "invite-revoked",
            Self::InviteUsed => "invite-used",
            Self::InviterGone => "inviter-gone",
            Self::NameTaken(_) => "name-taken",
            Self::KeyReused => "key-reused",
            Self::NoSuchNode => "no-such-node",
            Self::NoSuchResource(_) => "no-such-resource",
            Self::NoSuchUser(_) => "no-such-user",
            Self::NoSuchGrant { .. } => "no-such-grant",
            Self::LastOwner => "last-owner",
            Self::Limit { .. } => "limit",
            Self::Value(_) => "bad-value",
        }
    }
}
