//! What an operation of the daemon fails with: always something the control API can hand on.

use std::error::Error;
use std::fmt;

use coconet::control::{ErrorKind, FailureBody};
use coconet::ledger::{Reject, Violation};
use coconet::wire::code::{Close, Reset};

/// A failure with its kind, its causes and the next step.
#[derive(Debug, Clone)]
pub struct Fault(Box<FailureBody>);

/// The result of an operation of the daemon.
pub type Result<T> = std::result::Result<T, Fault>;

impl Fault {
    /// A failure of that kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(FailureBody { kind, message: message.into(), causes: Vec::new(), hint: None }))
    }

    /// It did not work.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Failed, message)
    }

    /// The request makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    /// No such thing.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// No answer in time.
    pub fn timed_out(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::TimedOut, message)
    }

    /// With what caused it, and what caused that.
    #[must_use]
    pub fn because(mut self, cause: &(dyn Error + 'static)) -> Self {
        let mut next = Some(cause);
        while let Some(cause) = next {
            self.0.causes.push(cause.to_string());
            next = cause.source();
        }
        self
    }

    /// With the command to run next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Its kind.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Its sentence.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What the control API answers.
    pub fn into_body(self) -> FailureBody {
        *self.0
    }

    /// An op the ledger does not allow.
    pub fn violation(violation: &Violation) -> Self {
        let kind = match violation {
            Violation::NotMember => ErrorKind::NotAMember,
            Violation::NotAllowed { .. } | Violation::LastOwner => ErrorKind::NotPermitted,
            Violation::NoSuchNode
            | Violation::NoSuchResource(_)
            | Violation::NoSuchUser(_)
            | Violation::NoSuchGrant { .. } => ErrorKind::NotFound,
            Violation::Limit { .. } => ErrorKind::Quota,
            Violation::Genesis
            | Violation::Proof
            | Violation::InviteUnknown
            | Violation::InviteExpired
            | Violation::InviteUsed
            | Violation::InviteRevoked
            | Violation::InviterGone
            | Violation::NameTaken(_)
            | Violation::KeyReused
            | Violation::Value(_) => ErrorKind::Failed,
        };
        Self::new(kind, violation.to_string())
    }

    /// What a manager answered instead of doing it: `code` is a word of
    /// [`coconet::wire::manager::Response::Failed`].
    pub fn refused_by_manager(code: &str, message: &str) -> Self {
        let kind = match code {
            "not-a-member" | "revoked" => ErrorKind::NotAMember,
            "not-allowed" | "last-owner" => ErrorKind::NotPermitted,
            "no-such-node" | "no-such-resource" | "no-such-user" | "no-such-grant" => ErrorKind::NotFound,
            "limit" | "quota" => ErrorKind::Quota,
            _ => ErrorKind::Failed,
        };
        let fault = Self::new(kind, coconet::name::shown(message));
        match code {
            "invite-expired" | "invite-used" | "invite-revoked" | "inviter-gone" | "invite-unknown" => {
                fault.hint("ask for a new invite: cococtl network invite NETWORK ...")
            }
            "storage" => fault.hint("the manager cannot write to its disk; try again when there is room"),
            _ => fault,
        }
    }

    /// A peer closed the connection.
    pub fn closed_by_peer(code: Close) -> Self {
        match code {
            Close::Revoked => Self::new(ErrorKind::NotAMember, "this node was removed from the network"),
            Close::NotAMember => {
                Self::new(ErrorKind::NotAMember, "the other node does not know this node as a member")
            }
            Close::UpdateNeeded => {
                Self::failed("the other node speaks another version").hint("update coco on both machines")
            }
            Close::LedgerFork => Self::failed("the other node has a contradicting ledger")
                .hint("a manager shows members different ledgers: trust no new entries until it is settled"),
            Close::Done | Close::WrongNetwork | Close::Protocol | Close::Busy | Close::TooSlow => {
                Self::timed_out(format!("the other node closed the connection: {code}"))
            }
        }
    }

    /// An exporter did not open a resource.
    pub fn not_opened(resource: &str, code: Reset, reason: &str) -> Self {
        match code {
            Reset::NotPermitted | Reset::Revoked => {
                Self::new(ErrorKind::NotPermitted, format!("{resource}: not permitted"))
                    .hint("ask the owner of the network for a grant")
            }
            Reset::Unreachable => {
                let reason = coconet::name::shown(reason);
                Self::failed(format!("the target of {resource} does not answer: {reason}"))
                    .hint("check the target on the exporting machine: cococtl tunnel list")
            }
            Reset::MaxClients => Self::new(ErrorKind::Failed, format!("{resource} takes no more clients"))
                .hint("try again later"),
            Reset::Unsupported => Self::failed(format!("{resource}: the exporter cannot forward this kind"))
                .hint("update coco on the exporting machine"),
            Reset::Closed | Reset::PeerReset | Reset::GoingAway | Reset::Protocol | Reset::Unread => {
                Self::timed_out(format!("{resource}: the exporter broke off: {code}"))
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        self.0.causes.iter().try_for_each(|cause| write!(f, ": {cause}"))
    }
}

impl Error for Fault {}

impl From<Reject> for Fault {
    fn from(reject: Reject) -> Self {
        match reject {
            Reject::Violation(violation) => Self::violation(&violation),
            Reject::UpdateNeeded(_) => Self::failed(reject.to_string()).hint("update coco on this machine"),
            Reject::Network
            | Reject::Parent
            | Reject::Sequence { .. }
            | Reject::Time
            | Reject::Author
            | Reject::Stamp
            | Reject::Op
            | Reject::Malformed(_) => Self::failed(format!("the ledger does not verify: {reject}")),
        }
    }
}
