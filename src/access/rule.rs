//! Rules, as people write them.

use core::fmt;
use core::str::FromStr;
use std::path::PathBuf;

use nix::unistd::{Gid, Group, Uid, User, getgrouplist};
use serde::{Deserialize, Serialize};

use super::process::Process;

/// Most rules of one listener.
pub const RULES_MAX: usize = 32;

/// One kind of application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// `uid:1000`, `uid:alice` or `uid:self`: sockets of that user.
    User(Named),
    /// `gid:44` or `gid:video`: sockets of that group's members.
    Group(Named),
    /// `exe:/usr/bin/ffplay`: held by that program and no other.
    Exe(PathBuf),
    /// `unit:camera.service`: held by processes of that systemd unit and no other.
    Unit(String),
}

/// A user or group, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// By number.
    Number(u32),
    /// By name, looked up when somebody comes.
    Name(String),
}

/// The rules of a listener; without any, the daemon's own user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Rules(Vec<Rule>);

/// Why a text is no rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Not of one of the kinds.
    #[error("a rule is uid:USER, gid:GROUP, exe:/PATH or unit:NAME")]
    Kind,
    /// Without a usable name behind the colon.
    #[error("a rule needs a user, a group, an absolute path or a unit behind its colon")]
    Value,
    /// Too many.
    #[error("a listener has at most {RULES_MAX} rules")]
    TooMany,
}

impl Rules {
    /// From what people wrote.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, RuleError> {
        if texts.len() > RULES_MAX {
            return Err(RuleError::TooMany);
        }
        texts.iter().map(|text| text.as_ref().parse()).collect::<Result<_, _>>().map(Self)
    }

    /// Whether there are none.
    pub fn is_usual(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether nobody but the daemon's own user fits, whatever program it is.
    pub fn are_of_own_user(&self) -> bool {
        self.0.iter().all(|rule| match rule {
            Rule::User(Named::Number(number)) => *number == Uid::effective().as_raw(),
            Rule::User(Named::Name(name)) => name == SELF,
            // Who is in a group may change, and a program or a unit can be of anybody.
            Rule::Group(_) | Rule::Exe(_) | Rule::Unit(_) => false,
        })
    }

    /// As they were written.
    pub fn texts(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }

    /// Whether sockets of a user are let in by that user's number, or as the daemon's own.
    pub(super) fn fit_number(&self, uid: u32) -> bool {
        let own = Uid::effective().as_raw();
        if self.is_usual() {
            return uid == own;
        }
        self.0.iter().any(|rule| match rule {
            Rule::User(Named::Number(number)) => *number == uid,
            Rule::User(Named::Name(name)) => name == SELF && uid == own,
            Rule::Group(_) | Rule::Exe(_) | Rule::Unit(_) => false,
        })
    }

    /// Whether some rule has a name that the system must be asked for.
    pub(super) fn look_at_names(&self) -> bool {
        self.0.iter().any(|rule| match rule {
            Rule::User(Named::Name(name)) => name != SELF,
            Rule::Group(_) => true,
            Rule::User(Named::Number(_)) | Rule::Exe(_) | Rule::Unit(_) => false,
        })
    }

    /// Whether sockets of a user are let in, whoever holds them. Asks the system for names and groups.
    pub(crate) fn fit_user(&self, uid: u32) -> bool {
        let named = |rule: &Rule| match rule {
            Rule::User(Named::Name(name)) => {
                User::from_name(name).ok().flatten().is_some_and(|user| user.uid.as_raw() == uid)
            }
            Rule::Group(group) => gid(group).is_some_and(|gid| is_member(uid, gid)),
            Rule::User(Named::Number(_)) | Rule::Exe(_) | Rule::Unit(_) => false,
        };
        self.fit_number(uid) || self.0.iter().any(named)
    }

    /// Whether some rule is about processes.
    pub(super) fn look_at_processes(&self) -> bool {
        self.0.iter().any(|rule| matches!(rule, Rule::Exe(_) | Rule::Unit(_)))
    }

    /// Whether a process that holds a socket is let in for itself.
    pub(super) fn fit_process(&self, process: &Process) -> bool {
        self.0.iter().any(|rule| match rule {
            Rule::Exe(path) => process.exe.as_ref() == Some(path),
            Rule::Unit(unit) => process.unit.as_ref() == Some(unit),
            Rule::User(_) | Rule::Group(_) => false,
        })
    }
}

/// The daemon's own user.
const SELF: &str = "self";

fn gid(group: &Named) -> Option<Gid> {
    match group {
        Named::Number(number) => Some(Gid::from_raw(*number)),
        Named::Name(name) => Group::from_name(name).ok().flatten().map(|group| group.gid),
    }
}

/// A user without an entry in the system's list is in no group.
fn is_member(uid: u32, gid: Gid) -> bool {
    let Ok(Some(user)) = User::from_uid(Uid::from_raw(uid)) else { return false };
    let Ok(name) = std::ffi::CString::new(user.name) else { return false };
    user.gid == gid || getgrouplist(&name, user.gid).is_ok_and(|groups| groups.contains(&gid))
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let (kind, value) = text.split_once(':').ok_or(RuleError::Kind)?;
        if !["uid", "gid", "exe", "unit"].contains(&kind) {
            return Err(RuleError::Kind);
        }
        if value.is_empty() || value.chars().any(char::is_control) {
            return Err(RuleError::Value);
        }
        match kind {
            "uid" => Ok(Self::User(value.parse()?)),
            "gid" => Ok(Self::Group(value.parse()?)),
            "exe" if value.starts_with('/') => Ok(Self::Exe(value.into())),
            "unit" if !value.contains('/') => Ok(Self::Unit(value.to_owned())),
            _ => Err(RuleError::Value),
        }
    }
}

impl FromStr for Named {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().map(Self::Number).map_err(|_| RuleError::Value);
        }
        let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        if plain { Ok(Self::Name(text.to_owned())) } else { Err(RuleError::Value) }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => write!(f, "uid:{user}"),
            Self::Group(group) => write!(f, "gid:{group}"),
            Self::Exe(path) => write!(f, "exe:{}", path.display()),
            Self::Unit(unit) => write!(f, "unit:{unit}"),
        }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Name(name) => f.pad(name),
        }
    }
}

impl TryFrom<Vec<String>> for Rules {
    type Error = RuleError;

    fn try_from(texts: Vec<String>) -> Result<Self, RuleError> {
        Self::parse(&texts)
    }
}

impl From<Rules> for Vec<String> {
    fn from(rules: Rules) -> Self {
        rules.texts()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn process(exe: &str, unit: &str) -> Process {
        Process { exe: Some(exe.into()), unit: Some(unit.to_owned()) }
    }

    #[test]
    fn rules_are_printed_as_they_were_written() {
        let texts =
            ["uid:1000", "uid:alice", "uid:self", "gid:video", "exe:/usr/bin/ffplay", "unit:a.service"];
        assert_eq!(Rules::parse(&texts).unwrap().texts(), texts);
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for (text, why) in [
            ("", RuleError::Kind),
            ("ffplay", RuleError::Kind),
            ("user:1", RuleError::Kind),
            ("uid:", RuleError::Value),
            ("uid:4294967296", RuleError::Value),
            ("uid:-1x/", RuleError::Value),
            ("uid:a b", RuleError::Value),
            ("exe:ffplay", RuleError::Value),
            ("exe:/a\nb", RuleError::Value),
            ("unit:a/b", RuleError::Value),
        ] {
            assert_eq!(Rules::parse(&[text]), Err(why), "{text:?}");
        }
        assert_eq!(Rules::parse(&["uid:1"; RULES_MAX + 1]), Err(RuleError::TooMany));
    }

    #[test]
    fn without_rules_the_own_user_alone_is_let_in() {
        let (rules, own) = (Rules::default(), Uid::effective().as_raw());
        assert!(rules.fit_user(own) && !rules.fit_user(own + 1));
        assert!(!rules.look_at_processes());
    }

    #[test]
    fn a_list_takes_the_place_of_the_own_user() {
        let own = Uid::effective().as_raw();
        let rules = Rules::parse(&["uid:77"]).unwrap();
        assert!(rules.fit_user(77) && !rules.fit_user(own));
        assert!(Rules::parse(&["uid:77", "uid:self"]).unwrap().fit_user(own));
        assert!(!Rules::parse(&["uid:nobody-has-this-name"]).unwrap().fit_user(own));
    }

    #[test]
    fn only_rules_about_the_own_user_need_nobody_else_let_near() {
        let own = format!("uid:{}", Uid::effective());
        for (rules, own_only) in [
            (&[][..], true),
            (&["uid:self"], true),
            (&[own.as_str()], true),
            (&["uid:self", "uid:77"], false),
            (&["gid:0"], false),
            (&["exe:/bin/cat"], false),
            (&["unit:a.service"], false),
        ] {
            assert_eq!(Rules::parse(rules).unwrap().are_of_own_user(), own_only, "{rules:?}");
        }
    }

    #[test]
    fn root_is_in_its_group_and_a_user_without_a_name_in_none() {
        let rules = Rules::parse(&["gid:0"]).unwrap();
        assert!(rules.fit_user(0) && !rules.fit_user(4_000_000));
    }

    #[test]
    fn a_program_or_a_unit_is_let_in_for_itself() {
        let rules = Rules::parse(&["exe:/usr/bin/ffplay", "unit:tv.service"]).unwrap();
        assert!(rules.look_at_processes() && !rules.fit_user(Uid::effective().as_raw()));
        assert!(rules.fit_process(&process("/usr/bin/ffplay", "x")));
        assert!(rules.fit_process(&process("/x", "tv.service")));
        assert!(!rules.fit_process(&process("/usr/bin/ffplay2", "tv.service2")));
        assert!(!rules.fit_process(&Process { exe: None, unit: None }));
    }
}
