//! Names people choose, and how to show text that a peer chose.
//!
//! One rule for networks, users, nodes, resources and apps: 1 to [`NAME_MAX`] characters of
//! `a-z 0-9 . _ -`, beginning and ending with a letter or digit. That is a file name, a DNS label and
//! a command-line word at once, so no name can be a path, an option or an escape sequence.

use core::fmt;
use core::str::FromStr;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// Longest name, in bytes: a DNS label.
pub const NAME_MAX: usize = 63;

/// Longest line of peer-chosen text that is shown or logged, in characters.
pub const SHOWN_MAX: usize = 200;

/// A checked name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cbor(transparent)]
#[serde(try_from = "String", into = "String")]
pub struct Name(#[n(0)] String);

/// Why a text is not a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name is 1 to 63 characters of a-z 0-9 . _ - and begins and ends with a letter or digit")]
pub struct NameError;

impl Name {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The closest name to any text: other characters become `-`; `fallback` when nothing is left.
    pub fn closest(text: &str, fallback: &str) -> Self {
        let lower = text.to_ascii_lowercase();
        let mapped: String = lower.chars().map(|c| if allowed(c) { c } else { '-' }).take(NAME_MAX).collect();
        let trimmed = mapped.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        trimmed.parse().unwrap_or_else(|_| Self(fallback.to_owned()))
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        let fits = text.len() <= NAME_MAX && text.chars().all(allowed);
        if fits && edge(text.chars().next()) && edge(text.chars().next_back()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError)
        }
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

// A name orders and compares as its text does.
impl core::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<'b, C> Decode<'b, C> for Name {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        d.str()?.parse().map_err(|_| minicbor::decode::Error::message("not a name"))
    }
}

/// Text from a peer, fit for a terminal or a log: control, bidirectional and invisible characters
/// are dropped, and what is longer than [`SHOWN_MAX`] characters is cut.
pub fn shown(text: &str) -> String {
    text.chars().filter(|c| !acts(*c)).take(SHOWN_MAX).collect()
}

fn allowed(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-')
}

/// Whether a character acts on a terminal or on its neighbours, or is there without being seen.
pub(crate) fn acts(c: char) -> bool {
    c.is_control() || hides(c)
}

/// Characters that reorder or hide their neighbours (Unicode Bidi_Control and zero-width ones), or are blank
/// where nobody looks for a space (fillers, annotations, tags).
fn hides(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_and_never_paths_options_or_escapes() {
        for good in ["a", "front-door", "cam_1", "10.0.0.1", "a.b"] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        let long = "a".repeat(NAME_MAX + 1);
        for bad in ["", ".", "..", "-x", "x-", "a/b", "A", "a b", "\u{1b}[2J", "é", long.as_str()] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_decoded_name_is_checked_too() {
        let bytes = crate::cbor::encode(&"../etc");
        assert!(minicbor::decode::<Name>(&bytes).is_err());
    }

    #[test]
    fn the_closest_name_is_a_name() {
        assert_eq!(Name::closest("Bob's MacBook Pro.", "node").as_str(), "bob-s-macbook-pro");
        assert_eq!(Name::closest("!!!", "node").as_str(), "node");
    }

    #[test]
    fn shown_text_has_no_escapes_and_no_bidi() {
        assert_eq!(shown("a\u{1b}[31mb\u{202e}c\n"), "a[31mbc");
        assert_eq!(shown(&"x".repeat(500)).len(), SHOWN_MAX);
    }
}
