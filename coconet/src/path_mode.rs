//! Which ways a tunnel may take.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

/// Which ways a tunnel may take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum PathMode {
    /// Straight between the nodes whenever a packet can, and through a relay when none can.
    #[default]
    DirectFirst,
    /// Straight between the nodes or not at all.
    DirectOnly,
    /// Always through a relay.
    RelayOnly,
}

/// Why a text is no path mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a path is one of direct-first, direct-only, relay-only")]
pub struct PathModeError;

impl PathMode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::DirectFirst, Self::DirectOnly, Self::RelayOnly];

    /// The word for people and `--json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DirectFirst => "direct-first",
            Self::DirectOnly => "direct-only",
            Self::RelayOnly => "relay-only",
        }
    }

    /// Whether packets may go straight to the peer.
    pub fn direct(self) -> bool {
        self != Self::RelayOnly
    }

    /// Whether packets may go through a relay.
    pub fn relay(self) -> bool {
        self != Self::DirectOnly
    }
}

impl fmt::Display for PathMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for PathMode {
    type Err = PathModeError;

    fn from_str(text: &str) -> Result<Self, PathModeError> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == text).ok_or(PathModeError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_parse_back_and_others_do_not() {
        assert!(PathMode::ALL.into_iter().all(|mode| mode.to_string().parse() == Ok(mode)));
        assert_eq!("direct".parse::<PathMode>(), Err(PathModeError));
    }
}
