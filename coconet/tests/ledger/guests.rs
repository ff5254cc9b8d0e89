//! What a guest sees: the same chain, with the bodies left out that are not its business.

use coconet::id::{Hash, NetworkId};
use coconet::ledger::{
    Access, BLIND_LEN, Blind, Draft, Entry, Ledger, NodeKind, Op, Purpose, Reject, Removal, Withdraw, view,
};
use coconet::name::Name;
use coconet::role::Role;

use crate::world::{BLIND, World, device, guest, keys, name, own_app, read, word};

/// `G -> ...`: alice and her cameras, the admin bob, the guests eve and fred; eve may play the door, fred
/// the yard, and nobody the attic.
fn house() -> World {
    let mut w = World::peopled();
    w.brings("bob-pc", guest("fred"), "fred-pc");
    for (resource, user) in [("door", Some("eve")), ("yard", Some("fred")), ("attic", None)] {
        w.publishes("cam", resource).unwrap();
        user.into_iter().for_each(|user| w.grants("laptop", user, resource, &["play"]).unwrap());
    }
    w
}

fn names<'a, T: 'a>(map: impl IntoIterator<Item = (&'a Name, T)>) -> Vec<&'a str> {
    map.into_iter().map(|(name, _)| name.as_str()).collect()
}

fn nodes(ledger: &Ledger) -> Vec<&str> {
    let mut nodes: Vec<_> = ledger.state().nodes().values().map(|node| node.name.as_str()).collect();
    nodes.sort_unstable();
    nodes
}

/// Whether a word occurs in what the guest gets to read.
fn reads_of(w: &World, user: &str, word: &str) -> bool {
    let bodies = w.seen_by(user).into_iter().filter_map(|entry| entry.draft.body);
    bodies.into_iter().any(|body| body.op.windows(word.len()).any(|window| window == word.as_bytes()))
}

#[test]
fn a_guest_reads_who_rules_the_devices_and_its_own() {
    let w = house();
    let eves = w.read_by("eve").unwrap();
    let state = eves.state();
    assert_eq!(names(state.users()), ["alice", "bob", "eve"]);
    assert_eq!(nodes(&eves), ["bob-pc", "cam", "eve-pc", "laptop"]);
    assert_eq!(names(state.resources()), ["door"]);
    assert_eq!(names(state.grants()), ["eve"]);
    for hidden in ["fred", "fred-pc", "yard", "attic"] {
        assert!(!reads_of(&w, "eve", hidden), "{hidden}");
    }
    assert_eq!(names(w.read_by("fred").unwrap().state().resources()), ["yard"]);
}

#[test]
fn a_guest_checks_the_key_of_the_host_and_its_own_grant() {
    let mut w = house();
    let (cam, eve) = (w.id("cam"), w.id("eve-pc"));
    let eves = w.read_by("eve").unwrap();
    let door = &eves.state().resources()[&name("door")];
    assert_eq!((door.node, eves.state().nodes()[&cam].kind), (cam, NodeKind::Device));
    assert_eq!(eves.state().nodes()[&cam].record, keys(2).record());
    for (resource, access) in [
        ("door", Access::Until(None)),
        ("yard", Access::Denied),
        ("attic", Access::Denied),
        ("none", Access::Denied),
    ] {
        assert_eq!(eves.state().access(eve, &name(resource), w.now), access, "{resource}");
        assert_eq!(w.access("eve-pc", resource), access, "{resource}");
    }
}

#[test]
fn a_guests_copy_ends_at_the_head_of_all_and_says_what_is_missing() {
    let w = house();
    for user in ["eve", "fred"] {
        let read = w.read_by(user).unwrap();
        assert_eq!(
            (read.seq(), read.head(), read.time()),
            (w.ledger.seq(), w.ledger.head(), w.ledger.time())
        );
        let left_out: Vec<u64> =
            w.seen_by(user).iter().filter(|e| e.draft.body.is_none()).map(|e| e.stamp.seq).collect();
        assert_eq!(read.withheld(), left_out);
        assert_eq!(read.view(), view::digest(left_out));
        assert_ne!(read.view(), w.ledger.view());
    }
    assert_eq!(w.ledger.withheld(), []);
    assert_ne!(w.read_by("eve").unwrap().view(), w.read_by("fred").unwrap().view());
}

#[test]
fn a_member_who_should_see_all_takes_no_copy_with_gaps() {
    let w = house();
    let seen = w.seen_by("eve");
    let first = seen.iter().find(|entry| entry.draft.body.is_none()).unwrap();
    let taken = seen.iter().try_fold(None, |ledger, entry| Ledger::follow(ledger, entry).map(Some));
    assert_eq!(taken.map(drop), Err(Reject::Op));
    assert!(first.draft.verify_author().is_ok());
}

// What a manager may try.

#[test]
fn a_manager_that_leaves_out_what_a_guest_must_see_is_found_out() {
    let w = house();
    let (seen, honest) = (w.seen_by("eve"), w.read_by("eve").unwrap());
    for (number, entry) in seen.iter().enumerate() {
        let mut other = seen.clone();
        other[number].draft.body = None;
        if entry.draft.body.is_none() {
            continue;
        }
        // Either what follows makes no sense, or the view is not the one that the members tell.
        let found = read(&other).map_or(true, |read| read.view() != honest.view());
        assert!(found, "entry {number}");
    }
    // The last revocation, which nothing follows, by the view alone.
    let mut w = house();
    w.revokes("laptop", "eve", "door").unwrap();
    let mut seen = w.seen_by("eve");
    let (told, last) = (w.read_by("eve").unwrap().view(), seen.len() - 1);
    seen[last].draft.body = None;
    let deceived = read(&seen).unwrap();
    let eve = w.id("eve-pc");
    assert_eq!(deceived.state().access(eve, &name("door"), w.now), Access::Until(None));
    assert_eq!(deceived.head(), w.ledger.head());
    assert_ne!(deceived.view(), told);
}

#[test]
fn a_manager_that_shows_a_guest_too_much_is_found_out() {
    let w = house();
    let (seen, honest) = (w.seen_by("eve"), w.read_by("eve").unwrap());
    for (number, whole) in
        w.entries.iter().enumerate().filter(|(number, _)| seen[*number].draft.body.is_none())
    {
        let mut other = seen.clone();
        other[number].clone_from(whole);
        assert!(read(&other).map_or(true, |read| read.view() != honest.view()), "entry {number}");
    }
}

#[test]
fn dropping_swapping_and_forging_are_rejected_where_the_body_is_left_out_too() {
    let w = house();
    let seen = w.seen_by("eve");
    let hidden: Vec<usize> = (1..seen.len() - 1).filter(|at| seen[*at].draft.body.is_none()).collect();
    assert!(hidden.len() >= 4);
    for at in hidden {
        let with = |change: &dyn Fn(&mut Vec<Entry>)| {
            let mut other = seen.clone();
            change(&mut other);
            read(&other).map(drop)
        };
        let expected = at as u64;
        let missing = Reject::Sequence { expected, found: expected + 1 };
        assert_eq!(with(&|other| drop(other.remove(at))), Err(missing.clone()));
        assert_eq!(with(&|other| other.swap(at, at + 1)), Err(missing));
        assert_eq!(with(&|other| other[at].draft.header.prev.0[0] ^= 1), Err(Reject::Stamp));
        assert_eq!(with(&|other| other[at].draft.header.op.0[0] ^= 1), Err(Reject::Stamp));
        assert_eq!(with(&|other| other[at].stamp.time += 1), Err(Reject::Stamp));
        // The manager stamps anew what it has changed: the author's signature is still missing,
        let manager = &w.manager;
        let restamped = |entry: &Entry| {
            coconet::ledger::stamp(manager, entry.draft.clone(), entry.stamp.seq, entry.stamp.time)
        };
        let altered = with(&|other| {
            other[at].draft.header.op.0[0] ^= 1;
            other[at] = restamped(&other[at]);
        });
        assert_eq!(altered, Err(Reject::Author));
        // and the chain goes on from the entry that was signed.
        let replaced = with(&|other| {
            let op = Op::Unknown { code: 900, critical: false, payload: vec![] };
            let (network, prev) = (w.ledger.state().network(), other[at].draft.header.prev);
            let mut draft = coconet::ledger::Draft::new(&keys(66), network, prev, &op, BLIND);
            draft.body = None;
            other[at].draft = draft;
            other[at] = restamped(&other[at]);
        });
        assert_eq!(replaced, Err(Reject::Parent));
    }
}

// What a guest may guess.

#[test]
fn the_same_op_has_another_hash_in_each_draft() {
    let w = World::founded();
    let op = Op::Withdraw(Withdraw { name: name("attic") });
    let [one, two] = [Blind([1; BLIND_LEN]), Blind([2; BLIND_LEN])].map(|b| w.ledger.draft(&keys(1), &op, b));
    assert_ne!(one.header.op, two.header.op);
    assert_eq!(one.op(), two.op());
    let genesis = Op::Genesis(crate::world::genesis(&keys(1), &w.manager));
    let founding = |blind| Draft::new(&keys(1), NetworkId(Hash::ZERO), Hash::ZERO, &genesis, blind);
    assert_ne!(founding(Blind([1; BLIND_LEN])).hash(), founding(Blind([2; BLIND_LEN])).hash());
}

#[test]
fn a_guest_who_guesses_what_was_left_out_cannot_tell_that_it_is_right() {
    let mut w = house();
    w.withdraws("cam", "attic").unwrap();
    let (whole, left_out) = (w.entries.last().unwrap().clone(), w.seen_by("eve").pop().unwrap());
    let body = whole.draft.body.unwrap();
    // The guess is right, and eve knows all that is in what she reads.
    let guess = Op::Withdraw(Withdraw { name: name("attic") });
    assert_eq!(guess.to_bytes(), body.op);
    assert_eq!(left_out.draft.body, None);
    let named = left_out.draft.header.op;
    let bytes: Vec<u8> = w.seen_by("eve").iter().flat_map(Entry::to_bytes).collect();
    assert!(!bytes.windows(BLIND_LEN).any(|window| window == body.blind.0), "the blind is not hers to read");
    assert_ne!(Hash::of("coco/op", &[&guess.to_bytes()]), named);
    let seen = w.seen_by("eve").into_iter().filter_map(|entry| Some(entry.draft.body?.blind));
    for blind in seen.chain([Blind([0; BLIND_LEN])]) {
        assert_ne!(w.ledger.draft(&keys(1), &guess, blind).header.op, named);
    }
    // Whoever reads the blind as well can tell.
    assert_eq!(w.ledger.draft(&keys(1), &guess, body.blind).header.op, named);
}

// What changes for a guest.

#[test]
fn a_grant_brings_the_resource_with_it_from_the_day_it_was_published() {
    let mut w = house();
    assert!(!reads_of(&w, "eve", "attic"));
    w.grants("bob-pc", "eve", "attic", &["talk"]).unwrap();
    assert_eq!(names(w.read_by("eve").unwrap().state().resources()), ["attic", "door"]);
    // Revoked, it is known still; the grant is not.
    w.revokes("bob-pc", "eve", "attic").unwrap();
    let eves = w.read_by("eve").unwrap();
    assert_eq!(names(eves.state().resources()), ["attic", "door"]);
    assert_eq!(names(&eves.state().grants()[&name("eve")]), ["door"]);
    // And when it is withdrawn, eve reads that too.
    w.withdraws("laptop", "attic").unwrap();
    assert_eq!(names(w.read_by("eve").unwrap().state().resources()), ["door"]);
}

#[test]
fn a_new_resource_under_an_old_name_is_none_of_a_guests_business() {
    let mut w = house();
    w.withdraws("cam", "door").unwrap();
    w.publishes("cam", "door").unwrap();
    assert!(w.read_by("eve").unwrap().state().resources().is_empty());
    // Also when it went with its device, and another offers it now.
    let mut w = house();
    w.brings("laptop", device(), "cam2");
    w.removes("laptop", "cam").unwrap();
    w.publishes("cam2", "door").unwrap();
    assert!(w.read_by("eve").unwrap().state().resources().is_empty());
    w.grants("laptop", "eve", "door", &["play"]).unwrap();
    assert_eq!(names(w.read_by("eve").unwrap().state().resources()), ["door"]);
}

#[test]
fn a_guest_who_becomes_an_admin_was_always_there() {
    let mut w = house();
    let before = w.read_by("eve").unwrap().view();
    w.makes("laptop", "fred", Role::Admin).unwrap();
    let eves = w.read_by("eve").unwrap();
    assert_eq!(names(eves.state().users()), ["alice", "bob", "eve", "fred"]);
    assert!(eves.view() != before && !reads_of(&w, "eve", "yard"), "not what he was granted");
    // Who was one remains known.
    w.makes("laptop", "fred", Role::Guest).unwrap();
    assert_eq!(w.read_by("eve").unwrap().state().users()[&name("fred")].role, Role::Guest);
    assert_eq!(names(w.read_by("fred").unwrap().state().resources()), ["yard"]);
}

#[test]
fn an_admin_who_was_only_expected_is_nobody_yet() {
    let mut w = house();
    let as_admin = w.invites("laptop", crate::world::admin("gina")).unwrap();
    w.brings("laptop", guest("gina"), "gina-pc");
    assert!(!reads_of(&w, "eve", "gina"), "she came as a guest");
    assert_eq!(word(&w.joins("gina-phone", &as_admin)), "name-taken");
}

#[test]
fn another_person_of_the_same_name_is_another_person() {
    let mut w = house();
    w.expels("laptop", "fred").unwrap();
    w.brings("laptop", guest("fred"), "freds-tablet");
    let freds = w.read_by("fred").unwrap();
    assert_eq!(nodes(&freds), ["bob-pc", "cam", "freds-tablet", "laptop"]);
    assert!(freds.state().resources().is_empty() && !reads_of(&w, "fred", "fred-pc"));
    // An invite for a name lets in whoever bears it by then.
    let invite = w.invites_with("laptop", guest("gina"), |invite| invite.uses = 2).unwrap();
    w.renames("laptop", "eve", "gina").unwrap();
    w.joins("gina-phone", &invite).unwrap();
    assert_eq!(nodes(&w.read_by("gina").unwrap()), ["bob-pc", "cam", "eve-pc", "gina-phone", "laptop"]);
}

#[test]
fn a_guest_reads_on_under_its_new_name() {
    let mut w = house();
    w.renames("bob-pc", "eve", "eva").unwrap();
    w.renames("bob-pc", "fred", "frederic").unwrap();
    let evas = w.read_by("eva").unwrap();
    assert_eq!(names(evas.state().users()), ["alice", "bob", "eva"]);
    assert_eq!(names(evas.state().grants()), ["eva"]);
    assert!(!reads_of(&w, "eva", "fred"));
}

#[test]
fn a_guest_reads_of_managers_and_of_no_checkpoint() {
    let mut w = house();
    w.appoints("laptop", &[&keys(200), &keys(201)]).unwrap();
    w.manager = keys(201);
    w.renames_network("laptop", "house").unwrap();
    w.vouches("laptop").unwrap();
    let eves = w.read_by("eve").unwrap();
    assert_eq!(eves.state().managers(), w.ledger.state().managers());
    assert_eq!(eves.state().name(), &name("house"));
    assert_eq!(w.seen_by("eve").last().unwrap().draft.body, None);
    assert_ne!(eves.state().digest(), w.ledger.state().digest(), "its own state is another one");
}

#[test]
fn recovery_keys_and_second_apps_are_seen_as_their_people_are() {
    let mut w = house();
    w.brings("laptop", Purpose::Recovery, "paper");
    w.brings("bob-pc", own_app(), "bob-phone");
    w.brings("fred-pc", own_app(), "fred-phone");
    w.brings("eve-pc", own_app(), "eve-phone");
    let eves = w.read_by("eve").unwrap();
    assert_eq!(nodes(&eves), ["bob-pc", "bob-phone", "cam", "eve-pc", "eve-phone", "laptop", "paper"]);
    assert!(!reads_of(&w, "eve", "fred-phone"));
}

#[test]
fn a_guest_meets_its_own_nodes_and_those_that_offer_what_it_may_use() {
    let mut w = house();
    w.brings("eve-pc", own_app(), "eve-phone");
    w.brings("laptop", device(), "shed");
    let [eve, phone, cam, laptop, shed] =
        ["eve-pc", "eve-phone", "cam", "laptop", "shed"].map(|node| w.id(node));
    let state = w.ledger.state();
    assert_eq!([phone, cam, laptop, shed].map(|node| state.may_meet(eve, node)), [true, true, false, false]);
    assert!(state.may_meet(laptop, eve), "whoever is no guest meets everybody");
    w.revokes("laptop", "eve", "door").unwrap();
    assert!(!w.ledger.state().may_meet(eve, cam), "nothing is left that eve could use there");
}

#[test]
fn an_owner_who_became_a_guest_leaves_a_device_that_sees_all_and_is_seen() {
    let mut w = house();
    w.brings("laptop", guest("olga"), "olga-pc");
    w.makes("laptop", "olga", Role::Owner).unwrap();
    w.brings("olga-pc", device(), "gate");
    w.publishes("gate", "gate").unwrap();
    w.grants("laptop", "eve", "gate", &["play"]).unwrap();
    w.makes("laptop", "olga", Role::Guest).unwrap();
    let [gate, olga, eve, fred] = ["gate", "olga-pc", "eve-pc", "fred-pc"].map(|node| w.id(node));
    let state = w.ledger.state();
    assert_eq!((state.guest(gate), state.guest(olga)), (None, Some(&name("olga"))));
    assert!(state.may_meet(eve, gate) && state.may_meet(gate, eve), "the device lets eve in");
    assert!(!state.may_meet(eve, olga) && !state.may_meet(eve, fred));
    assert_eq!(w.read_by("eve").unwrap().state().access(eve, &name("gate"), w.now), Access::Until(None));
}

// G -> ... -> R(eve-pc), and G -> ... -> U(eve)

#[test]
fn a_guest_who_is_removed_reads_that_and_nothing_that_was_not_hers() {
    type Ends = fn(&mut World);
    let ends: [(&str, Ends); 4] = [
        ("her node is removed by the owner", |w| w.removes("laptop", "eve-pc").unwrap()),
        ("by an admin", |w| w.removes("bob-pc", "eve-pc").unwrap()),
        ("by herself", |w| w.removes("eve-pc", "eve-pc").unwrap()),
        ("she is removed", |w| w.expels("bob-pc", "eve").unwrap()),
    ];
    for (how, end) in ends {
        let mut w = house();
        let (eve, before) = (w.id("eve-pc"), w.seen_by("eve"));
        end(&mut w);
        let removal = Removal { node: eve, seq: w.ledger.seq(), guest: Some(name("eve")) };
        assert_eq!(w.ledger.state().removal(eve), Some(&removal), "{how}");

        let seen = w.last_seen_by("eve");
        let (last, rest) = seen.split_last().unwrap();
        assert_eq!((rest, Some(last)), (&before[..], w.entries.last()), "{how}");
        let eves = read(&seen).unwrap();
        assert_eq!((eves.head(), eves.state().removal(eve)), (w.ledger.head(), Some(&removal)), "{how}");
        assert!(!eves.state().nodes().contains_key(&eve), "{how}");
    }
}

#[test]
fn a_node_that_read_everything_is_removed_as_nobodys_guest() {
    let mut w = house();
    w.renames("laptop", "bob", "robert").unwrap();
    let (cam, bob) = (w.id("cam"), w.id("bob-pc"));
    assert_eq!(w.ledger.state().removal(bob), None);
    w.removes("laptop", "cam").unwrap();
    w.expels("laptop", "robert").unwrap();
    let seq = w.ledger.seq();
    let state = w.ledger.state();
    assert_eq!(state.removal(cam), Some(&Removal { node: cam, seq: seq - 1, guest: None }));
    assert_eq!(state.removal(bob), Some(&Removal { node: bob, seq, guest: None }));
    // What comes later does not change how it was.
    w.renames_network("laptop", "house").unwrap();
    assert_eq!(w.ledger.state().removal(bob).map(|removal| removal.seq), Some(seq));
}
