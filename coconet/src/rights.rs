//! What a caller may do with a resource, as the forwarders ask it.

use crate::grant::Capabilities;

/// All that the role allows, or what a grant names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rights {
    /// Everything the resource's kind knows.
    All,
    /// Only this.
    Only(Capabilities),
}

/// How far one capability reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope<'a> {
    /// It is not granted.
    Nothing,
    /// It is granted without an argument.
    Everything,
    /// It is granted for these arguments: the `/snapshot` of `read:/snapshot`.
    Only(Vec<&'a str>),
}

impl Rights {
    /// Whether the capability is granted, be it for some arguments only.
    pub fn may(&self, capability: &str) -> bool {
        self.scope(capability) != Scope::Nothing
    }

    /// How far the capability reaches.
    pub fn scope(&self, capability: &str) -> Scope<'_> {
        let Self::Only(granted) = self else { return Scope::Everything };
        let named = granted.words().iter().filter_map(|word| match word.split_once(':') {
            Some((name, argument)) => (name == capability).then_some(Some(argument)),
            None => (word == capability).then_some(None),
        });
        let arguments: Option<Vec<&str>> = named.collect();
        match arguments {
            None => Scope::Everything,
            Some(arguments) if arguments.is_empty() => Scope::Nothing,
            Some(arguments) => Scope::Only(arguments),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn granted(words: &[&str]) -> Rights {
        Rights::Only(Capabilities::new(words.iter().map(ToString::to_string).collect()).unwrap())
    }

    #[test]
    fn who_may_do_everything_is_limited_by_nothing() {
        assert_eq!(Rights::All.scope("play"), Scope::Everything);
    }

    #[test]
    fn a_grant_reaches_as_far_as_its_words() {
        let rights = granted(&["read:/a", "read:/b:c", "write"]);
        assert_eq!(rights.scope("read"), Scope::Only(vec!["/a", "/b:c"]));
        assert_eq!(rights.scope("write"), Scope::Everything);
        assert_eq!(rights.scope("rea"), Scope::Nothing);
        assert!(rights.may("read") && !rights.may("play"));
    }

    #[test]
    fn a_word_without_argument_is_wider_than_those_with_one() {
        assert_eq!(granted(&["read", "read:/a"]).scope("read"), Scope::Everything);
    }
}
