//! What an operation of the daemon fails with: always something the control API can hand on.

use std::error::Error;
use std::fmt;

use coconet::control::{ErrorKind, FailureBody};
use coconet::ledger::{Reject, Violation};
use coconet::wire::code::{Close, Reset};

/// What to do about an answer that nobody gives who keeps to the protocol.
pub const SAME_RELEASE: &str = "it may be of another version: update coco there and here";

/// What to do where something broke off that goes on by itself.
pub const AGAIN: &str = "try again; cococtl status shows how it goes on";

/// What to do about a manager that does not keep to its word.
pub const ASK_OPERATOR: &str = "ask the manager's operator what happened";

const REMOVED: &str = "cococtl network leave NETWORK --forget; to come back, a new invite is needed";

const NEW_INVITE: &str = "ask for a new invite: cococtl network invite NETWORK ...";

const LIMIT: &str = "remove what is no longer used: cococtl network prune NETWORK --unseen 90d --dry-run; or ask the \
                     manager's operator";

/// What the words mean by which the ledger and managers refuse: their kind, and what to do about them.
const WORDS: [(&str, ErrorKind, &str); 25] = [
    ("not-a-member", ErrorKind::NotAMember, REMOVED),
    ("revoked", ErrorKind::NotAMember, REMOVED),
    ("not-allowed", ErrorKind::NotPermitted, "cococtl network roles lists who may do what"),
    (
        "last-owner",
        ErrorKind::NotPermitted,
        "make another owner first: cococtl network role NETWORK USER owner",
    ),
    ("no-such-node", ErrorKind::NotFound, "cococtl network members NETWORK"),
    ("no-such-resource", ErrorKind::NotFound, "cococtl network show NETWORK"),
    ("no-such-user", ErrorKind::NotFound, "cococtl network members NETWORK"),
    ("no-such-grant", ErrorKind::NotFound, "cococtl network grants NETWORK"),
    ("limit", ErrorKind::Quota, LIMIT),
    ("quota", ErrorKind::Quota, "cococtl usage NETWORK"),
    ("invite-unknown", ErrorKind::Failed, NEW_INVITE),
    ("invite-expired", ErrorKind::Failed, NEW_INVITE),
    ("invite-used", ErrorKind::Failed, NEW_INVITE),
    ("invite-revoked", ErrorKind::Failed, NEW_INVITE),
    ("inviter-gone", ErrorKind::Failed, NEW_INVITE),
    ("name-taken", ErrorKind::Failed, "choose another name"),
    ("key-reused", ErrorKind::Failed, NEW_INVITE),
    ("bad-value", ErrorKind::Failed, "--help of the command says what it takes"),
    ("bad-proof", ErrorKind::Failed, SAME_RELEASE),
    ("genesis", ErrorKind::Failed, SAME_RELEASE),
    ("protocol-error", ErrorKind::Failed, SAME_RELEASE),
    ("storage", ErrorKind::Failed, "ask the manager's operator to look at its disk, then try again"),
    ("busy", ErrorKind::Failed, "try again; if it stays so, ask the manager's operator"),
    ("offline", ErrorKind::Failed, "cococtl network members NETWORK shows who is online"),
    ("no-relay", ErrorKind::Failed, "cococtl doctor says what stands in the way of a direct path"),
];

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
        Self::of_word(violation.code(), violation.to_string())
    }

    /// What a manager answered instead of doing it: `word` is one of
    /// [`coconet::wire::manager::Response::Failed`].
    pub fn refused_by_manager(word: &str, message: &str) -> Self {
        Self::of_word(word, coconet::name::shown(message))
    }

    fn of_word(word: &str, message: String) -> Self {
        match WORDS.iter().find(|(known, ..)| *known == word) {
            Some((_, kind, hint)) => Self::new(*kind, message).hint(*hint),
            None => Self::failed(message).hint(SAME_RELEASE),
        }
    }

    /// A peer closed the connection.
    pub fn closed_by_peer(code: Close) -> Self {
        match code {
            Close::Revoked => {
                Self::new(ErrorKind::NotAMember, "this node was removed from the network").hint(REMOVED)
            }
            Close::NotAMember => {
                Self::new(ErrorKind::NotAMember, "the other node does not know this node as a member")
                    .hint("it may not have heard of it yet: try again; cococtl network show NETWORK")
            }
            Close::UpdateNeeded => {
                Self::failed("the other node speaks another version").hint("update coco on both machines")
            }
            Close::LedgerFork => Self::failed("the other node has a contradicting ledger")
                .hint("a manager shows members different ledgers: trust no new entries until it is settled"),
            Close::Done | Close::WrongNetwork | Close::Protocol | Close::Busy | Close::TooSlow => {
                Self::timed_out(format!("the other node closed the connection: {code}")).hint(AGAIN)
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
                Self::timed_out(format!("{resource}: the exporter broke off: {code}")).hint(AGAIN)
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
            | Reject::Malformed(_) => Self::failed(format!("the ledger does not verify: {reject}"))
                .hint("ask the manager's operator what happened: cococtl network audit NETWORK"),
        }
    }
}
