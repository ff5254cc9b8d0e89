//! What somebody may try to write into a ledger, and strategies that make it up.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::model::Key;

/// An hour, in the ledger's milliseconds.
pub(crate) const HOUR: u64 = 3600 * 1000;

/// Whose keys turn up. The first five are there from the start: alice's laptop and camera, the admin
/// bertha's tablet, the guests carlos with a pocket phone and dmitri with a station. No name here is a
/// part of another.
pub(crate) const CAST: [Key; 11] = [
    "laptop", "camera", "tablet", "pocket", "station", "gadget", "outsider", "watch", "beamer", "printer",
    "handheld",
];

/// What people are called.
pub(crate) const PEOPLE: [&str; 6] = ["alice", "bertha", "carlos", "dmitri", "emmett", "florence"];

/// What nodes may be renamed to.
const NODE_NAMES: [&str; 4] = ["laptop", "pocket", "upstairs", "shed"];

/// What resources are called.
pub(crate) const RESOURCES: [&str; 4] = ["door", "yard", "files", "bell"];

const KINDS: [&str; 5] = ["rtsp", "http", "tcp", "udp", "mqtt"];

/// What a person is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Owner,
    Admin,
    Guest,
}

/// As what somebody is invited.
#[derive(Debug, Clone)]
pub(crate) enum As {
    /// A device that may publish, or not.
    Device(bool),
    OwnApp,
    Paper,
    Person(&'static str, Role),
}

/// What somebody tries.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Wait {
        hours: u64,
    },
    Invite {
        by: Key,
        what: As,
        uses: u32,
        hours: u64,
        named: Option<&'static str>,
    },
    Uninvite {
        by: Key,
        which: usize,
    },
    Join {
        who: Key,
        called: &'static str,
        which: usize,
    },
    RemoveNode {
        by: Key,
        whom: Key,
    },
    SetRole {
        by: Key,
        user: &'static str,
        role: Role,
    },
    RemoveUser {
        by: Key,
        user: &'static str,
    },
    RenameNetwork {
        by: Key,
        to: &'static str,
    },
    RenameUser {
        by: Key,
        user: &'static str,
        to: &'static str,
    },
    RenameNode {
        by: Key,
        whom: Key,
        to: &'static str,
    },
    Publish {
        by: Key,
        what: &'static str,
        kind: &'static str,
    },
    Withdraw {
        by: Key,
        what: &'static str,
    },
    Grant {
        by: Key,
        user: &'static str,
        what: &'static str,
        words: Vec<&'static str>,
        days: Option<u64>,
        mornings: bool,
    },
    Revoke {
        by: Key,
        user: &'static str,
        what: &'static str,
    },
    Managers {
        by: Key,
        which: Vec<usize>,
    },
    Vouch {
        by: Key,
        rightly: bool,
    },
    /// An op of a later version, with the stamp of one manager or another.
    Note {
        by: Key,
        critical: bool,
        manager: usize,
    },
}

impl Step {
    /// Which of the invites it is about, counted from the newest.
    pub(crate) fn invite<'a, T>(&self, invites: &'a [T]) -> Option<(usize, &'a T)> {
        let (Self::Join { which, .. } | Self::Uninvite { which, .. }) = self else { return None };
        let last = invites.len().checked_sub(1)?;
        let number = last - which % invites.len();
        Some((number, &invites[number]))
    }

    /// Its kind.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Wait { .. } => "wait",
            Self::Invite { .. } => "invite",
            Self::Uninvite { .. } => "revoke-invite",
            Self::Join { .. } => "join",
            Self::RemoveNode { .. } => "remove-node",
            Self::SetRole { .. } => "set-role",
            Self::RemoveUser { .. } => "remove-user",
            Self::RenameNetwork { .. } => "rename network",
            Self::RenameUser { .. } => "rename user",
            Self::RenameNode { .. } => "rename node",
            Self::Publish { .. } => "publish",
            Self::Withdraw { .. } => "withdraw",
            Self::Grant { .. } => "grant",
            Self::Revoke { .. } => "revoke-grant",
            Self::Managers { .. } => "set-managers",
            Self::Vouch { .. } => "checkpoint",
            Self::Note { .. } => "unknown",
        }
    }
}

/// Often alice, who may, and seldom somebody who is not there.
fn somebody() -> impl Strategy<Value = Key> {
    prop_oneof![
        5 => Just("laptop"),
        3 => Just("tablet"),
        2 => select(&["camera", "pocket", "station"][..]),
        1 => select(&CAST[..]),
    ]
}

fn anybody() -> impl Strategy<Value = Key> {
    select(&CAST[..])
}

fn user() -> impl Strategy<Value = &'static str> {
    select(&PEOPLE[..])
}

fn resource() -> impl Strategy<Value = &'static str> {
    select(&RESOURCES[..])
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![1 => Just(Role::Owner), 2 => Just(Role::Admin), 3 => Just(Role::Guest)]
}

fn purpose() -> impl Strategy<Value = As> {
    prop_oneof![
        2 => any::<bool>().prop_map(As::Device),
        2 => Just(As::OwnApp),
        1 => Just(As::Paper),
        4 => (user(), role()).prop_map(|(user, role)| As::Person(user, role)),
    ]
}

fn words() -> impl Strategy<Value = Vec<&'static str>> {
    // Mostly what can be done with some resource, seldom a mixture.
    prop_oneof![
        4 => Just(vec!["play"]),
        1 => Just(vec!["play", "record", "talk"]),
        1 => Just(vec!["read"]),
        1 => Just(vec!["connect"]),
        1 => subsequence(vec!["exchange", "play", "publish", "subscribe", "write"], 1..3),
    ]
}

fn comings() -> impl Strategy<Value = Step> {
    let named = proptest::option::weighted(0.2, select(&NODE_NAMES[..]));
    prop_oneof![
        3 => (somebody(), purpose(), 0..4u32, 0..100u64, named)
            .prop_map(|(by, what, uses, hours, named)| Step::Invite { by, what, uses, hours, named }),
        1 => (somebody(), 0..12usize).prop_map(|(by, which)| Step::Uninvite { by, which }),
        4 => (select(&CAST[4..]), anybody(), 0..12usize)
            .prop_map(|(who, called, which)| Step::Join { who, called, which }),
        1 => (0..30u64).prop_map(|hours| Step::Wait { hours }),
    ]
}

fn people() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (somebody(), user(), role()).prop_map(|(by, user, role)| Step::SetRole { by, user, role }),
        2 => (somebody(), anybody()).prop_map(|(by, whom)| Step::RemoveNode { by, whom }),
        2 => (somebody(), user()).prop_map(|(by, user)| Step::RemoveUser { by, user }),
        2 => (somebody(), user(), user()).prop_map(|(by, user, to)| Step::RenameUser { by, user, to }),
        2 => (somebody(), anybody(), select(&NODE_NAMES[..]))
            .prop_map(|(by, whom, to)| Step::RenameNode { by, whom, to }),
    ]
}

fn things() -> impl Strategy<Value = Step> {
    let days = proptest::option::of(0..3u64);
    let kind = prop_oneof![3 => Just("rtsp"), 1 => select(&KINDS[..])];
    let publisher = prop_oneof![2 => Just("camera"), 1 => somebody()];
    let guest = || prop_oneof![3 => select(&["carlos", "dmitri"][..]), 1 => user()];
    prop_oneof![
        2 => (publisher, resource(), kind).prop_map(|(by, what, kind)| Step::Publish { by, what, kind }),
        1 => (somebody(), resource()).prop_map(|(by, what)| Step::Withdraw { by, what }),
        4 => (somebody(), guest(), resource(), words(), days, any::<bool>()).prop_map(
            |(by, user, what, words, days, mornings)| Step::Grant { by, user, what, words, days, mornings }
        ),
        2 => (somebody(), guest(), resource()).prop_map(|(by, user, what)| Step::Revoke { by, user, what }),
        1 => (0..30u64).prop_map(|hours| Step::Wait { hours }),
    ]
}

fn rule() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => (somebody(), select(&["house", "flat"][..])).prop_map(|(by, to)| Step::RenameNetwork { by, to }),
        1 => (somebody(), subsequence(vec![0, 1, 2], 0..3)).prop_map(|(by, which)| Step::Managers { by, which }),
        1 => (somebody(), any::<bool>()).prop_map(|(by, rightly)| Step::Vouch { by, rightly }),
        2 => (somebody(), any::<bool>(), 0..2usize)
            .prop_map(|(by, critical, manager)| Step::Note { by, critical, manager }),
    ]
}

/// Mostly about who is there.
pub(crate) fn of_people() -> impl Strategy<Value = Step> {
    prop_oneof![5 => comings(), 5 => people(), 2 => things(), 1 => rule()]
}

/// Mostly about what is there and who may use it.
pub(crate) fn of_things() -> impl Strategy<Value = Step> {
    prop_oneof![2 => comings(), 2 => people(), 6 => things(), 1 => rule()]
}
