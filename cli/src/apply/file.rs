//! The file: TOML in which everything unknown is an error, so that a typing mistake is not silence.

use std::collections::BTreeMap;

use coconet::grant::{Capabilities, Schedule};
use coconet::name::Name;
use coconet::role::{Action, Role};
use coconet::target::Target;
use serde::Deserialize;

use super::{Between, Terms};
use crate::until;

/// Longest file that is read, in bytes: 10,000 people with three grants each fit.
pub(crate) const FILE_MAX: u64 = 4 * 1024 * 1024;

/// What a file wants of a network.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// Of which.
    pub(crate) network: Name,
    /// Whether people who are not listed go.
    pub(crate) remove: bool,
    /// Whether resources of this node that are not listed go.
    pub(crate) prune: bool,
    pub(crate) users: BTreeMap<Name, Role>,
    /// Those of this daemon's node.
    pub(crate) resources: BTreeMap<Name, Target>,
    /// All of the people that are listed.
    pub(crate) grants: BTreeMap<Between, Terms>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    network: Name,
    #[serde(default)]
    remove: bool,
    #[serde(default)]
    prune: bool,
    #[serde(default)]
    users: BTreeMap<Name, Role>,
    #[serde(default)]
    resources: BTreeMap<Name, RawResource>,
    #[serde(default)]
    grants: Vec<RawGrant>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawResource {
    url: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGrant {
    user: Name,
    resource: Name,
    can: Capabilities,
    when: Option<Schedule>,
    until: Option<toml::Value>,
}

/// What the file in `text` wants, or what is wrong with it.
pub(crate) fn parse(text: &str) -> Result<Wanted, String> {
    let raw: Raw = toml::from_str(text).map_err(|error| match error.span() {
        Some(span) => {
            let before = text.get(..span.start).unwrap_or_default();
            format!("line {}: {}", before.matches('\n').count() + 1, error.message())
        }
        None => error.message().to_owned(),
    })?;
    let mut resources = BTreeMap::new();
    for (name, RawResource { url }) in raw.resources {
        resources.insert(name.clone(), target(&name, &url)?);
    }
    let mut grants = BTreeMap::new();
    for grant in raw.grants {
        let between = (grant.user.clone(), grant.resource.clone());
        if grants.insert(between, terms(&raw.users, grant)?).is_some() {
            return Err("two grants of one resource to one person: put the capabilities together".to_owned());
        }
    }
    let Raw { network, remove, prune, users, .. } = raw;
    Ok(Wanted { network, remove, prune, users, resources, grants })
}

fn target(name: &Name, url: &str) -> Result<Target, String> {
    let target: Target = url.parse().map_err(|error| format!("resource {name}: {error}"))?;
    if target.had_login {
        return Err(format!("resource {name}: a login is not published; the player has to give it"));
    }
    Ok(target)
}

fn terms(users: &BTreeMap<Name, Role>, grant: RawGrant) -> Result<Terms, String> {
    let RawGrant { user, resource, can, when, until } = grant;
    let role = users.get(&user).ok_or_else(|| format!("a grant for {user}, who is not under [users]"))?;
    if role.may(Action::UseAll) {
        return Err(format!("a grant for {user}, who is {role} and needs none"));
    }
    let until_ms = until.map(|value| end(&value)).transpose();
    let until_ms = until_ms.map_err(|error| format!("the grant of {resource} for {user}: {error}"))?;
    Ok(Terms { can, when, until_ms })
}

/// A date or time is taken with and without quotes.
fn end(value: &toml::Value) -> Result<u64, &'static str> {
    match value {
        toml::Value::String(text) => until::parse(text),
        toml::Value::Datetime(time) => until::parse(&time.to_string()),
        toml::Value::Integer(_)
        | toml::Value::Float(_)
        | toml::Value::Boolean(_)
        | toml::Value::Array(_)
        | toml::Value::Table(_) => until::parse(""),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn the_example_is_a_file_of_this_form() {
        let text = include_str!("../../../network.example.toml");
        let wanted = parse(text).unwrap();
        assert_eq!(wanted.network.as_str(), "home");
        assert!(!wanted.remove && !wanted.prune);
        assert_eq!((wanted.users.len(), wanted.resources.len(), wanted.grants.len()), (4, 2, 3));
        // Every key that there is stands in it.
        for key in ["network", "remove", "prune", "user", "resource", "can", "when", "until", "url"] {
            assert!(text.lines().any(|line| line.starts_with(&format!("{key} = "))), "{key}");
        }
    }

    #[test]
    fn an_end_is_taken_with_and_without_quotes() {
        let ends = ["\"2027-01-01\"", "2027-01-01", "2027-01-01T01:00:00+01:00", "2027-01-01 00:00:00Z"];
        for end in ends {
            let text = format!(
                "network = 'home'\nusers.bob = 'guest'\n[[grants]]\nuser = 'bob'\nresource = 'door'\n\
                 can = ['play']\nuntil = {end}\n"
            );
            let until = parse(&text).unwrap().grants.pop_first().unwrap().1.until_ms;
            assert_eq!(until, Some(1_798_761_600_000), "{end}");
        }
    }
}
