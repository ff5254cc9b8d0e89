//! Random people write random things.

use std::collections::{BTreeMap, BTreeSet};

use coconet::invite::Invitation;
use coconet::ledger::{Entry, Ledger, NodeKind, Op, Purpose, Standing};
use coconet::role::Role;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::values::role;
use crate::world::{self, World, name};

/// Who may ever turn up; the first is the founder's.
const CAST: [&str; 7] = ["laptop", "cam", "bob-pc", "eve-pc", "phone", "tv", "stray"];

/// What somebody tries.
#[derive(Debug, Clone)]
enum Step {
    Invite { by: &'static str, purpose: Purpose, uses: u32, days: u64 },
    Join { who: &'static str, called: &'static str, invite: Index },
    Publish { by: &'static str, what: &'static str },
    Withdraw { by: &'static str, what: &'static str },
    Remove { by: &'static str, whom: &'static str },
    Unknown { by: &'static str, critical: bool },
    Wait { days: u64 },
}

fn anybody() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(&CAST)
}

/// Often the founder, who may.
fn somebody() -> impl Strategy<Value = &'static str> {
    prop_oneof![1 => Just(CAST[0]), 1 => anybody()]
}

fn step() -> impl Strategy<Value = Step> {
    let what = || proptest::sample::select(&["door", "bell", "files"]);
    let user = proptest::sample::select(&["alice", "bob", "eve"]);
    let purpose = prop_oneof![
        any::<bool>().prop_map(|publish| Purpose::Device { publish }),
        Just(Purpose::SelfApp),
        (user, role()).prop_map(|(user, role)| Purpose::User { name: name(user), role }),
    ];
    prop_oneof![
        4 => (somebody(), purpose, 0..4u32, 0..6u64)
            .prop_map(|(by, purpose, uses, days)| Step::Invite { by, purpose, uses, days }),
        6 => (anybody(), anybody(), any::<Index>())
            .prop_map(|(who, called, invite)| Step::Join { who, called, invite }),
        2 => (somebody(), what()).prop_map(|(by, what)| Step::Publish { by, what }),
        1 => (somebody(), what()).prop_map(|(by, what)| Step::Withdraw { by, what }),
        2 => (somebody(), anybody()).prop_map(|(by, whom)| Step::Remove { by, whom }),
        1 => (somebody(), any::<bool>()).prop_map(|(by, critical)| Step::Unknown { by, critical }),
        1 => (0..3u64).prop_map(|days| Step::Wait { days }),
    ]
}

/// [`World`] checks with every step that the manager and the members agree, that a refusal changes
/// nothing, and that a replica follows.
fn take(w: &mut World, invitations: &mut Vec<Invitation>, step: &Step) -> bool {
    match step {
        Step::Invite { by, purpose, uses, days } => {
            let expires = w.now + days * world::DAY;
            let invited = w.invites_with(by, purpose.clone(), |invite| {
                (invite.uses, invite.expires) = (*uses, expires);
            });
            let done = invited.is_ok();
            invitations.extend(invited);
            done
        }
        Step::Join { who, called, invite } => {
            !invitations.is_empty() && w.joins_as(who, called, invite.get(invitations)).is_ok()
        }
        Step::Publish { by, what } => w.publishes(by, what).is_ok(),
        Step::Withdraw { by, what } => w.withdraws(by, what).is_ok(),
        Step::Remove { by, whom } => w.removes(by, whom).is_ok(),
        Step::Unknown { by, critical } => {
            let op = Op::Unknown { code: 900, critical: *critical, payload: Vec::new() };
            let done = w.says(by, &op).is_ok();
            assert!(!(done && *critical));
            done
        }
        Step::Wait { days } => {
            w.later(days * world::DAY);
            true
        }
    }
}

/// What holds of every network, whatever was written into it.
fn sound(w: &World) {
    let state = w.ledger.state();
    let nodes = state.nodes();

    let owners = nodes.keys().filter(|id| state.authority(**id) == Some(Role::Owner)).count();
    assert!(owners > 0, "somebody can sign as an owner");
    let names: BTreeSet<_> = nodes.values().map(|node| &node.name).collect();
    assert_eq!(names.len(), nodes.len(), "node names are unique");
    for (id, node) in nodes {
        assert_eq!(node.record.node, *id);
        assert_eq!(state.standing(&node.record.talk), Standing::Member(*id));
        assert!(state.users().contains_key(&node.user), "every node is somebody's");
        let device = node.kind == NodeKind::Device;
        assert_eq!(state.authority(*id).is_none(), device, "a device has no authority, an app has");
        assert!(!device || state.users()[&node.user].role == Role::Owner, "devices are owners'");
    }
    for (name, resource) in state.resources() {
        let publisher = &nodes[&resource.node];
        let owners_app = state.authority(resource.node) == Some(Role::Owner);
        assert!(publisher.publish || owners_app, "{name} is of a node that may publish");
        for id in nodes.keys() {
            let may = matches!(state.authority(*id), Some(Role::Owner | Role::Admin));
            assert_eq!(state.may_see(*id, name), may);
        }
    }
    assert_eq!(state.users()[&name("alice")].role, Role::Owner);
    let owning = state.users().values().filter(|user| user.role == Role::Owner).count();
    assert_eq!(owning, 1, "nobody became an owner");
}

/// What the entries say, read anew: no invite let in more often or later than it said.
fn invites_were_kept_to(entries: &[Entry]) {
    let mut open = BTreeMap::new();
    for entry in entries {
        match Op::from_bytes(entry.draft.op.as_deref().unwrap()).unwrap() {
            Op::Invite(invite) => drop(open.insert(invite.key, (invite.uses, invite.expires))),
            Op::Join(join) => {
                let (uses, expires) = open.get_mut(&join.invite).unwrap();
                assert!(entry.stamp.time < *expires);
                *uses = uses.checked_sub(1).expect("a use was left");
            }
            Op::Genesis(_) | Op::RemoveNode(_) | Op::Publish(_) | Op::Withdraw(_) | Op::Unknown { .. } => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn random_people_writing_random_things_keep_a_network_sound(steps in vec(step(), 1..60)) {
        let (mut w, mut invitations) = (World::founded(), Vec::new());
        for step in &steps {
            take(&mut w, &mut invitations, step);
            sound(&w);
        }
        invites_were_kept_to(&w.entries);
        let mut replica = Ledger::begin(&w.entries[0]).unwrap();
        for entry in &w.entries[1..] {
            prop_assert_eq!(replica.append(entry), Ok(()));
        }
        prop_assert_eq!(replica, w.ledger);
    }
}

#[test]
fn random_steps_reach_what_they_are_to_test() {
    let mut runner = TestRunner::deterministic();
    let (mut joins, mut removals, mut resources) = (0, 0, 0);
    for _ in 0..30 {
        let steps = vec(step(), 60).new_tree(&mut runner).unwrap().current();
        let (mut w, mut invitations) = (World::founded(), Vec::new());
        for step in &steps {
            let done = take(&mut w, &mut invitations, step);
            joins += usize::from(done && matches!(step, Step::Join { .. }));
            removals += usize::from(done && matches!(step, Step::Remove { .. }));
        }
        resources += w.ledger.state().resources().len();
    }
    assert!(joins > 30 && removals > 10 && resources > 10, "{joins} {removals} {resources}");
}
