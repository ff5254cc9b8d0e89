//! What an app is for: the resources it may use at most, whatever its user may.
//!
//! Three checks are made of whoever opens a resource, and each must pass: what the *role* of its user allows, what
//! a guest was *granted*, and what the *scope* of the app leaves. The scope was written into the invite and holds
//! for as long as the node is a member. A node with a scope has no say in the ledger, for it could invite another one
//! without: it uses, and it leaves.

use core::fmt;
use core::str::FromStr;
use std::collections::BTreeSet;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::resource::Kind;

/// Most kinds and resources of one scope, together.
pub const SCOPE_MAX: usize = 64;

/// In front of the name of a resource that is called like a kind.
const RESOURCE: &str = "resource:";

/// Kinds and resources. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Serialize, Deserialize)]
#[cbor(map)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Scope {
    #[n(0)]
    kinds: BTreeSet<Kind>,
    /// By name: also those that are published later.
    #[n(1)]
    resources: BTreeSet<Name>,
}

/// One word of a scope: a kind, as `rtsp`; or a resource, as `front-door` or `resource:rtsp`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScopeWord {
    /// All resources of it.
    Kind(Kind),
    /// That one.
    Resource(Name),
}

/// Why words are no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// Not a kind and no name.
    #[error("a scope is made of kinds (tcp, udp, http, rtsp, mqtt, ip) and names of resources")]
    Word,
    /// None, too many, or one of them twice.
    #[error("a scope has 1 to {SCOPE_MAX} different kinds and resources")]
    Count,
}

impl Scope {
    /// A scope of those words.
    pub fn new(words: impl IntoIterator<Item = ScopeWord>) -> Result<Self, ScopeError> {
        let (mut kinds, mut resources) = (BTreeSet::new(), BTreeSet::new());
        for word in words {
            let new = match word {
                ScopeWord::Kind(kind) => kinds.insert(kind),
                ScopeWord::Resource(name) => resources.insert(name),
            };
            if !new {
                return Err(ScopeError::Count);
            }
        }
        Self { kinds, resources }.checked()
    }

    /// Whether a resource of that name and kind is in it.
    pub fn covers(&self, name: &Name, kind: Kind) -> bool {
        self.kinds.contains(&kind) || self.resources.contains(name)
    }

    fn checked(self) -> Result<Self, ScopeError> {
        let count = self.kinds.len() + self.resources.len();
        if (1..=SCOPE_MAX).contains(&count) { Ok(self) } else { Err(ScopeError::Count) }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Vec::from(self.clone()).join(","))
    }
}

impl FromStr for ScopeWord {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        if let Ok(kind) = text.parse() {
            return Ok(Self::Kind(kind));
        }
        let name = text.strip_prefix(RESOURCE).unwrap_or(text);
        name.parse().map(Self::Resource).map_err(|_| ScopeError::Word)
    }
}

impl fmt::Display for ScopeWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(kind) => kind.fmt(f),
            Self::Resource(name) if name.as_str().parse::<Kind>().is_ok() => write!(f, "{RESOURCE}{name}"),
            Self::Resource(name) => name.fmt(f),
        }
    }
}

impl TryFrom<Vec<String>> for Scope {
    type Error = ScopeError;

    fn try_from(words: Vec<String>) -> Result<Self, ScopeError> {
        let words: Result<Vec<ScopeWord>, _> = words.iter().map(|word| word.parse()).collect();
        Self::new(words?)
    }
}

impl From<Scope> for Vec<String> {
    fn from(Scope { kinds, resources }: Scope) -> Self {
        let kinds = kinds.into_iter().map(ScopeWord::Kind);
        kinds.chain(resources.into_iter().map(ScopeWord::Resource)).map(|word| word.to_string()).collect()
    }
}

impl<'b, C> Decode<'b, C> for Scope {
    fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        #[derive(Decode)]
        #[cbor(map)]
        struct Raw {
            #[n(0)]
            kinds: BTreeSet<Kind>,
            #[n(1)]
            resources: BTreeSet<Name>,
        }
        let Raw { kinds, resources } = Raw::decode(d, ctx)?;
        // Order and repetition are the canonical encoding's business.
        Self { kinds, resources }.checked().map_err(|_| minicbor::decode::Error::message("not a scope"))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;
    use crate::cbor::{self, CborError};

    fn scope(words: &[&str]) -> Result<Scope, ScopeError> {
        Scope::try_from(words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_word_is_a_kind_before_it_is_a_name() {
        let only = scope(&["front-door", "rtsp", "resource:mqtt"]).unwrap();
        let covers = |name: &str, kind| only.covers(&name.parse().unwrap(), kind);
        assert!(covers("front-door", Kind::Http) && covers("back-door", Kind::Rtsp));
        assert!(covers("mqtt", Kind::Tcp) && !covers("bus", Kind::Mqtt) && !covers("nas", Kind::Tcp));
        assert_eq!(only.to_string(), "rtsp,front-door,resource:mqtt");
        assert_eq!(scope(&["rtsp,http"]), Err(ScopeError::Word));
        assert_eq!(scope(&["Front Door"]), Err(ScopeError::Word));
    }

    #[test]
    fn a_scope_says_something_and_not_too_much() {
        assert_eq!(scope(&[]), Err(ScopeError::Count));
        assert_eq!(scope(&["rtsp", "rtsp"]), Err(ScopeError::Count));
        let many: Vec<String> = (0..=SCOPE_MAX).map(|number| format!("r{number}")).collect();
        assert_eq!(Scope::try_from(many.clone()), Err(ScopeError::Count));
        assert!(Scope::try_from(many[1..].to_vec()).is_ok());
    }

    #[test]
    fn it_has_one_encoding() {
        let only = scope(&["rtsp", "door"]).unwrap();
        let bytes = [&[0xa2, 0x00, 0x81, 0x03, 0x01, 0x81, 0x64][..], b"door"].concat();
        assert_eq!(cbor::encode(&only), bytes);
        assert_eq!(cbor::decode(&bytes, 99), Ok(only));
        let twice = [&[0xa2, 0x00, 0x82, 0x03, 0x03, 0x01, 0x81, 0x64][..], b"door"].concat();
        assert_eq!(cbor::decode::<Scope>(&twice, 99), Err(CborError::NotCanonical));
        assert!(cbor::decode::<Scope>(&[0xa2, 0x00, 0x80, 0x01, 0x80], 99).is_err(), "empty");
    }
}
