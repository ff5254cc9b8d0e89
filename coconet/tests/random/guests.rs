//! What each guest of a random network reads: enough to check it all, and nothing of the others.

use std::collections::BTreeSet;

use coconet::ledger::{Access, Body, Entry, Ledger, Reject, load, view};
use coconet::name::Name;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::model::Model;
use crate::steps::{CAST, PEOPLE, RESOURCES, Role, Step, of_people, of_things};
use crate::town::{Town, expected_by, id, told};
use crate::world::name;

/// Networks made up; each is read by all of its guests.
const CASES: u32 = 300;

/// The entries as `guest` gets them, and the numbers of those whose bodies are left out.
fn redacted(entries: &[Entry], guest: &Name) -> (Vec<Entry>, Vec<u64>) {
    let mut withheld = Vec::new();
    let seen = entries.iter().zip(view::views(entries, guest)).map(|(entry, seen)| {
        let mut entry = entry.clone();
        if !seen {
            withheld.push(entry.stamp.seq);
            entry.draft.body = None;
        }
        entry
    });
    (seen.collect(), withheld)
}

fn read(entries: &[Entry]) -> Result<Ledger, Reject> {
    let read = entries.iter().try_fold(None, |ledger, entry| Ledger::follow_viewed(ledger, entry).map(Some));
    read.map(|ledger| ledger.expect("a ledger has a genesis"))
}

fn guests(model: &Model) -> impl Iterator<Item = (usize, &'static str)> {
    model
        .people
        .iter()
        .filter(|(_, person)| person.role == Role::Guest)
        .map(|(number, person)| (*number, person.name))
}

/// The names that must not occur in what `viewer` reads: of people, nodes and resources it has never had
/// anything to do with.
fn secrets(model: &Model, viewer: usize) -> Vec<&'static str> {
    let known = model.everybody.iter().filter(|(person, _)| model.knows(viewer, **person));
    let known: BTreeSet<_> = known.flat_map(|(_, person)| person.was_called.iter().copied()).collect();
    let people = PEOPLE.into_iter().filter(|name| !known.contains(name));
    // What an inviter wants a node to be called, all may read who may read the invite.
    let chosen: BTreeSet<_> = model.invites.iter().filter_map(|invite| invite.named).collect();
    let nodes = model.node_names.iter().filter(|(name, people)| {
        !chosen.contains(*name) && !people.iter().any(|person| model.knows(viewer, *person))
    });
    let resources = model.resource_names.iter().filter(|(_, shown_to)| !shown_to.contains(&viewer));
    people.chain(nodes.map(|(name, _)| *name)).chain(resources.map(|(name, _)| *name)).collect()
}

/// All that one guest may expect of what it reads.
fn holds(town: &Town, viewer: usize, called: &str) {
    let (entries, withheld) = redacted(&town.entries, &name(called));
    let ledger = read(&entries).unwrap_or_else(|reject| panic!("{called}: {reject}"));
    assert_eq!(
        (ledger.head(), ledger.seq(), ledger.time()),
        (town.ledger.head(), town.ledger.seq(), town.ledger.time())
    );
    assert_eq!(ledger.withheld(), withheld);
    assert_eq!(ledger.view(), view::digest(withheld));

    let mut lines = told(ledger.state());
    let invites =
        lines.split_off("invite").into_iter().partition::<BTreeSet<_>, _>(|l| l.starts_with("invite "));
    lines.extend(invites.1);
    assert_eq!(lines, expected_by(&town.model, viewer), "{called}");
    assert!(invites.0.is_subset(&told(town.ledger.state())), "an invite it sees, it sees wholly");

    let bytes: Vec<u8> =
        entries.iter().filter_map(|entry| entry.draft.body.clone()).flat_map(|body| body.op).collect();
    for secret in secrets(&town.model, viewer) {
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{called} reads of {secret}");
    }

    let own = town.model.nodes.iter().filter(|(_, node)| node.person == viewer);
    for (node, what) in own.flat_map(|(node, _)| RESOURCES.map(|what| (id(node), name(what)))) {
        let now = town.model.now;
        let access = ledger.state().access(node, &what, now);
        assert_eq!(access, town.ledger.state().access(node, &what, now), "{called} {what}");
        let granted = ledger.state().grants().get(&name(called)).is_some_and(|own| own.contains_key(&what));
        assert!(granted || access == Access::Denied, "absent and not granted look alike");
    }
}

/// Each node that was removed as a guest's reads of that, on top of what it saw.
fn learns_of_its_removal(town: &Town) -> usize {
    let state = town.ledger.state();
    let removed = CAST.into_iter().filter_map(|key| state.removal(id(key)));
    let mut guests = 0;
    for removal in removed {
        let Some(guest) = &removal.guest else { continue };
        let whole = &town.entries[..=usize::try_from(removal.seq).unwrap()];
        let mut entries = whole.to_vec();
        for (entry, seen) in entries.iter_mut().zip(view::last_views(whole, guest)) {
            entry.draft.body = entry.draft.body.take().filter(|_| seen);
        }
        let (before, _) = redacted(&whole[..whole.len() - 1], guest);
        assert_eq!(entries[..before.len()], before);
        let ledger = read(&entries).unwrap_or_else(|reject| panic!("{guest}: {reject}"));
        assert_eq!(ledger.state().removal(removal.node), Some(removal));
        guests += 1;
    }
    guests
}

/// What a manager may do to one entry on its way to a guest.
fn tampered(town: &Town, called: &str, at: Index) {
    let (entries, _) = redacted(&town.entries, &name(called));
    let honest = read(&entries).unwrap();
    let at = at.index(entries.len());
    // One more body, or one less: refused, or another view than the one the members tell.
    let mut other = entries.clone();
    let whole = &town.entries[at];
    other[at].draft.body = if entries[at].draft.body.is_some() { None } else { whole.draft.body.clone() };
    match read(&other) {
        Ok(ledger) => assert!(ledger.head() == honest.head() && ledger.view() != honest.view(), "entry {at}"),
        Err(reject) => drop(reject),
    }
    // One entry less, unless it is the last; two in the wrong order; one twice.
    let mut short = entries.clone();
    short.remove(at);
    assert!(at == entries.len() - 1 || short.is_empty() || read(&short).is_err(), "without entry {at}");
    let mut twice = entries.clone();
    twice.insert(at, entries[at].clone());
    assert!(read(&twice).is_err(), "entry {at} twice");
    if at + 1 < entries.len() {
        let mut swapped = entries.clone();
        swapped.swap(at, at + 1);
        assert!(read(&swapped).is_err(), "entries {at} and the next");
    }
    // A body that is not the one that was signed.
    if let Some(body) = &entries[at].draft.body {
        let mut forged = entries.clone();
        let mut op = body.op.clone();
        *op.last_mut().unwrap() ^= 1;
        forged[at].draft.body = Some(Body { op, ..body.clone() });
        assert_eq!(read(&forged), Err(Reject::Op), "entry {at}");
        let mut blind = body.blind;
        blind.0[0] ^= 1;
        forged[at].draft.body = Some(Body { blind, ..body.clone() });
        assert_eq!(read(&forged), Err(Reject::Op), "entry {at}");
    }
}

fn town(steps: &[Step]) -> Town {
    let mut town = Town::base();
    for step in steps {
        town.tries(step);
    }
    town
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn each_guest_reads_what_concerns_it_and_nothing_else(
        steps in prop_oneof![vec(of_people(), 1..40), vec(of_things(), 1..40)],
    ) {
        let town = town(&steps);
        // On the word of its checkpoints, where it has any.
        prop_assert_eq!(load(&town.entries), Ok(town.ledger.clone()));
        for (viewer, called) in guests(&town.model) {
            holds(&town, viewer, called);
        }
        learns_of_its_removal(&town);
    }
}

proptest! {
    // Each reads the whole ledger five times over.
    #![proptest_config(ProptestConfig::with_cases(CASES / 3))]

    #[test]
    fn no_guest_is_deceived_about_one_entry(
        steps in prop_oneof![vec(of_people(), 1..20), vec(of_things(), 1..20)],
        at: Index,
    ) {
        let town = town(&steps);
        for (_, called) in guests(&town.model) {
            tampered(&town, called, at);
        }
    }
}

#[test]
fn random_networks_have_guests_with_something_to_hide_from_each_other() {
    let mut runner = TestRunner::deterministic();
    let (mut viewers, mut kept, mut resources) = (0, 0, 0);
    for _ in 0..50 {
        let town = town(&vec(of_things(), 30).new_tree(&mut runner).unwrap().current());
        for (viewer, called) in guests(&town.model) {
            viewers += 1;
            kept += secrets(&town.model, viewer).len();
            let (entries, _) = redacted(&town.entries, &name(called));
            resources += read(&entries).unwrap().state().resources().len();
        }
    }
    assert!(viewers >= 50 && kept >= 100 && resources >= 30, "{viewers} {kept} {resources}");
}

#[test]
fn random_networks_remove_guests_who_had_something_to_lose() {
    let mut runner = TestRunner::deterministic();
    let towns = (0..50).map(|_| town(&vec(of_people(), 30).new_tree(&mut runner).unwrap().current()));
    let removed: usize = towns.map(|town| learns_of_its_removal(&town)).sum();
    assert!(removed >= 20, "{removed}");
}
