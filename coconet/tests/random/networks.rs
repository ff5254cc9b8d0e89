//! Random people write random things: taken exactly when the model allows it, the same on every replica.

use std::collections::BTreeMap;

use coconet::ledger::{Entry, Ledger};
use coconet::role::Role;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::steps::{Step, of_people, of_things};
use crate::town::Town;

/// Half of the cases; the other half is the other test's.
const CASES: u32 = 5000;

/// Replicas beside the one that has seen it all.
const REPLICAS: usize = 3;

/// One replica asks another for what it misses.
#[derive(Debug, Clone)]
struct Sync {
    asks: usize,
    /// A replica, or whoever has seen it all.
    of: usize,
    /// So many entries come, and the first are known already, or some are missing before it.
    count: usize,
    known: usize,
    missing: usize,
}

fn sync() -> impl Strategy<Value = Sync> {
    let missing = prop_oneof![4 => Just(0), 1 => 1..4usize];
    (0..REPLICAS, 0..=REPLICAS, 0..9usize, 0..3usize, missing)
        .prop_map(|(asks, of, count, known, missing)| Sync { asks, of, count, known, missing })
}

/// Replicas that begin at `base` catch up by `syncs`, and from the one that has seen it all at the end.
fn replicas_agree(base: &Town, town: &Town, syncs: &[Sync]) {
    // As bytes, the way they travel.
    let entries: Vec<Vec<u8>> = town.entries.iter().map(Entry::to_bytes).collect();
    let mut replicas = vec![base.ledger.clone(); REPLICAS];
    let whole = Sync { asks: 0, of: REPLICAS, count: entries.len(), known: 0, missing: 0 };
    let last = (0..REPLICAS).map(|asks| Sync { asks, ..whole.clone() });
    for sync in syncs.iter().cloned().chain(last) {
        let held = replicas.get(sync.of).map_or(entries.len(), |of| number(of) + 1);
        let replica = &mut replicas[sync.asks];
        let first = (number(replica) + 1 + sync.missing).saturating_sub(sync.known);
        for entry in entries[..held].iter().skip(first).take(sync.count) {
            let entry = Entry::from_bytes(entry).unwrap();
            let (next, before) = (replica.seq() + 1, (replica.head(), replica.seq()));
            let taken = replica.append(&entry);
            assert_eq!(taken.is_ok(), entry.stamp.seq == next, "{taken:?}");
            assert!(taken.is_ok() || (replica.head(), replica.seq()) == before);
        }
    }
    for replica in &replicas {
        assert_eq!(replica.state().digest(), town.ledger.state().digest());
        assert_eq!(*replica, town.ledger);
    }
}

fn number(ledger: &Ledger) -> usize {
    usize::try_from(ledger.seq()).unwrap()
}

/// What holds of every network, whatever was written into it.
fn sound(town: &Town) {
    let state = town.ledger.state();
    let owner = |id| state.authority(id) == Some(Role::Owner);
    assert!(state.nodes().keys().any(|id| owner(*id)), "somebody can sign as an owner");
    for (user, grants) in state.grants() {
        assert!(state.users().contains_key(user), "a grant is somebody's");
        for (resource, grant) in grants {
            assert!(grant.can.fit(state.resources()[resource].kind), "a grant is of what can be done");
        }
    }
    assert!(state.resources().values().all(|resource| state.nodes().contains_key(&resource.node)));
    assert!(state.nodes().values().all(|node| state.users().contains_key(&node.user)));
}

fn agree(steps: &[Step], syncs: &[Sync]) {
    let base = Town::base();
    let mut town = base.clone();
    for step in steps {
        town.tries(step);
        sound(&town);
    }
    replicas_agree(&base, &town, syncs);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn people_come_and_go_as_the_model_allows(steps in vec(of_people(), 1..12), syncs in vec(sync(), 0..5)) {
        agree(&steps, &syncs);
    }

    #[test]
    fn things_are_offered_and_used_as_the_model_allows(
        steps in vec(of_things(), 1..12),
        syncs in vec(sync(), 0..5),
    ) {
        agree(&steps, &syncs);
    }
}

#[test]
fn random_steps_reach_what_they_are_to_test() {
    let mut runner = TestRunner::deterministic();
    let mut outcomes: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    for _ in 0..200 {
        let steps = (vec(of_people(), 20), vec(of_things(), 20)).new_tree(&mut runner).unwrap().current();
        for steps in [steps.0, steps.1] {
            let mut town = Town::base();
            for step in &steps {
                let taken = town.tries(step);
                outcomes.entry(step.word()).or_default()[usize::from(taken)] += 1;
            }
        }
    }
    for (word, [refused, taken]) in &outcomes {
        assert!(*taken >= 20 && (*word == "wait" || *refused >= 20), "{word}: {outcomes:?}");
    }
    assert_eq!(outcomes.len(), 17);
}
