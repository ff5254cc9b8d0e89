//! Failures: one kind each for the exit codes of `cococtl`.

use serde::{Deserialize, Serialize};

/// What went wrong, as far as a script cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// It did not work.
    Failed,
    /// The request makes no sense.
    Usage,
    /// No daemon.
    Unreachable,
    /// Not allowed.
    NotPermitted,
    /// No such thing.
    NotFound,
    /// No answer in time, or the peer is offline.
    TimedOut,
    /// A quota is used up.
    Quota,
    /// No longer a member of the network.
    NotAMember,
}

/// The body of an answer that is not 2xx.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Failure {
    /// [`super::VERSION`].
    pub version: u32,
    /// What it was.
    pub error: FailureBody,
}

/// A failure's details.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FailureBody {
    /// What kind.
    pub kind: ErrorKind,
    /// One sentence.
    pub message: String,
    /// Why, outermost first.
    #[serde(default)]
    pub causes: Vec<String>,
    /// The command to run next.
    pub hint: Option<String>,
}

impl ErrorKind {
    /// The exit code of `cococtl`.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::NotPermitted => 4,
            Self::NotFound => 5,
            Self::TimedOut => 6,
            Self::Quota => 7,
            Self::NotAMember => 8,
        }
    }

    /// The HTTP status of the answer.
    pub fn http_status(self) -> u16 {
        match self {
            Self::Failed => 422,
            Self::Usage => 400,
            Self::Unreachable => 503,
            Self::NotPermitted => 403,
            Self::NotFound => 404,
            Self::TimedOut => 504,
            Self::Quota => 429,
            Self::NotAMember => 410,
        }
    }
}
