//! What holds for every entry, whatever it says.

use coconet::cbor::CborError;
use coconet::id::{Hash, NetworkId};
use coconet::key::Signature;
use coconet::ledger::{
    Body, Code, Draft, ENTRY_MAX, Entry, Ledger, MANAGERS_MAX, OP_MAX, Op, Reject, Violation, Withdraw, stamp,
};

use crate::world::{BLIND, START, World, genesis, genesis_draft, keys, manager_addr, name, own_app, word};

/// The next op, by alice's laptop, that is always allowed: `w` ends in `-> x` or `-> ?`.
fn note(w: &World) -> Draft {
    let op = Op::Unknown { code: 900, critical: false, payload: b"note".to_vec() };
    w.ledger.draft(&keys(1), &op, BLIND)
}

fn stamped(w: &World, draft: Draft) -> Entry {
    stamp(&w.manager, draft, w.ledger.seq() + 1, w.now)
}

// G

#[test]
fn a_genesis_founds_a_network_with_its_owner_and_nobody_else() {
    let w = World::founded();
    let state = w.ledger.state();
    assert_eq!(state.network(), NetworkId(w.entries[0].hash()), "the id is the genesis's hash");
    assert_eq!((w.ledger.seq(), w.ledger.time()), (0, START));
    assert_eq!(state.users().keys().collect::<Vec<_>>(), [&name("alice")]);
    assert_eq!(state.nodes().keys().collect::<Vec<_>>(), [&keys(1).id()]);
    assert_eq!((state.invites().len(), state.resources().len()), (0, 0));
}

#[test]
fn two_networks_of_the_same_owner_differ_by_their_salt() {
    let (owner, manager) = (keys(1), keys(200));
    let mut other = genesis(&owner, &manager);
    other.salt = [8; 16];
    assert_ne!(genesis_draft(&owner, genesis(&owner, &manager)).hash(), genesis_draft(&owner, other).hash());
}

#[test]
fn a_genesis_that_is_not_the_owners_own_founds_nothing() {
    let (owner, manager, mallory) = (keys(1), keys(200), keys(66));
    let begin = |draft| Ledger::begin(&stamp(&manager, draft, 0, START)).map(|_| ());

    // Authored by another key than the owner's.
    let draft = genesis_draft(&mallory, genesis(&owner, &manager));
    assert_eq!(begin(draft), Err(Violation::Proof.into()));
    // With a session key the owner has not signed.
    let mut forged = genesis(&owner, &manager);
    forged.owner.talk = mallory.static_key();
    assert_eq!(begin(genesis_draft(&owner, forged)), Err(Violation::Proof.into()));
    // With a signature over something else.
    let mut draft = genesis_draft(&owner, genesis(&owner, &manager));
    draft.signature = Signature([0; 64]);
    assert_eq!(begin(draft), Err(Reject::Author));
}

#[test]
fn a_genesis_has_one_to_eight_managers() {
    let (owner, manager) = (keys(1), keys(200));
    for (count, fits) in [(0, false), (1, true), (MANAGERS_MAX, true), (MANAGERS_MAX + 1, false)] {
        let mut genesis = genesis(&owner, &manager);
        genesis.managers = vec![manager_addr(&manager); count];
        let founded = Ledger::founded_by(&genesis_draft(&owner, genesis));
        assert_eq!(word(&founded), if fits { "ok" } else { "bad-value" }, "{count} managers");
    }
}

#[test]
fn a_genesis_names_no_network_no_parent_and_comes_first() {
    let (owner, manager) = (keys(1), keys(200));
    let op = Op::Genesis(genesis(&owner, &manager));
    let zero = NetworkId(Hash::ZERO);
    let begin = |network, prev, op: &Op, seq| {
        Ledger::begin(&stamp(&manager, Draft::new(&owner, network, prev, op, BLIND), seq, START)).map(|_| ())
    };
    assert_eq!(begin(NetworkId(Hash([1; 32])), Hash::ZERO, &op, 0), Err(Reject::Network));
    assert_eq!(begin(zero, Hash([1; 32]), &op, 0), Err(Reject::Parent));
    assert_eq!(begin(zero, Hash::ZERO, &op, 1), Err(Reject::Sequence { expected: 0, found: 1 }));
    let other = Op::Withdraw(Withdraw { name: name("x") });
    assert_eq!(begin(zero, Hash::ZERO, &other, 0), Err(Violation::Genesis.into()));
    assert_eq!(begin(zero, Hash::ZERO, &op, 0), Ok(()));
}

#[test]
fn a_genesis_stamped_by_a_manager_it_does_not_name_founds_nothing() {
    let (owner, manager) = (keys(1), keys(200));
    let draft = genesis_draft(&owner, genesis(&owner, &manager));
    assert_eq!(Ledger::begin(&stamp(&keys(201), draft, 0, START)).map(|_| ()), Err(Reject::Stamp));
}

// G -> x G

#[test]
fn a_second_genesis_is_refused() {
    let mut w = World::founded();
    let again = Op::Genesis(genesis(&keys(1), &w.manager));
    assert_eq!(w.says("laptop", &again), Err(Violation::Genesis.into()));
}

// G -> A
//   |
//   -> B

#[test]
fn of_two_entries_on_one_parent_the_second_is_refused() {
    let mut w = World::founded();
    let (a, b) = (note(&w), w.ledger.draft(&keys(1), &Op::Withdraw(Withdraw { name: name("x") }), BLIND));
    let both = [stamped(&w, a), stamped(&w, b.clone())];
    assert_eq!(w.takes(&both[0]), Ok(()));
    // The manager that stamps both for number 1 is refused by the number,
    assert_eq!(w.takes(&both[1]), Err(Reject::Sequence { expected: 2, found: 1 }));
    // and the author who did not look at the head first, by the parent.
    assert_eq!(w.offers(b), Err(Reject::Parent));
}

#[test]
fn an_entry_stamped_twice_counts_once() {
    let mut w = World::founded();
    let draft = note(&w);
    assert_eq!(w.offers(draft.clone()), Ok(()));
    // Again as it was, and with the next number.
    let again = w.entries[1].clone();
    assert_eq!(w.takes(&again), Err(Reject::Sequence { expected: 2, found: 1 }));
    assert_eq!(w.offers(draft), Err(Reject::Parent));
}

// G -> x A

#[test]
fn an_entry_of_another_network_is_refused() {
    let mut w = World::founded();
    let op = Op::Withdraw(Withdraw { name: name("x") });
    let draft = Draft::new(&keys(1), NetworkId(Hash([9; 32])), w.ledger.head(), &op, BLIND);
    assert_eq!(w.offers(draft), Err(Reject::Network));
}

#[test]
fn an_entry_on_an_unknown_parent_is_refused() {
    let mut w = World::founded();
    let op = Op::Withdraw(Withdraw { name: name("x") });
    let draft = Draft::new(&keys(1), w.ledger.state().network(), Hash([9; 32]), &op, BLIND);
    assert_eq!(w.offers(draft), Err(Reject::Parent));
}

#[test]
fn an_entry_that_skips_or_repeats_a_number_is_refused() {
    let mut w = World::founded();
    for found in [0, 2, u64::MAX] {
        let entry = stamp(&w.manager, note(&w), found, w.now);
        assert_eq!(w.takes(&entry), Err(Reject::Sequence { expected: 1, found }));
    }
}

#[test]
fn time_may_stand_still_but_not_go_back() {
    let mut w = World::founded();
    let draft = note(&w);
    assert_eq!(w.offers(draft), Ok(()), "in the same millisecond as its parent");
    let late = stamp(&w.manager, note(&w), 2, START - 1);
    assert_eq!(w.takes(&late), Err(Reject::Time));
}

#[test]
fn a_stamp_by_anyone_but_a_named_manager_is_refused() {
    let mut w = World::founded();
    // By an owner, by a stranger, and by a stranger who signs for the manager.
    for keys in [keys(1), keys(66)] {
        let entry = stamp(&keys, note(&w), 1, w.now);
        assert_eq!(w.takes(&entry), Err(Reject::Stamp));
    }
    let mut forged = stamp(&keys(66), note(&w), 1, w.now);
    forged.stamp.manager = w.manager.stamp_key();
    assert_eq!(w.takes(&forged), Err(Reject::Stamp));
}

#[test]
fn each_of_several_managers_may_stamp() {
    let (owner, managers) = (keys(1), [keys(200), keys(201)]);
    let mut genesis = genesis(&owner, &managers[0]);
    genesis.managers = managers.iter().map(manager_addr).collect();
    let mut ledger = Ledger::begin(&stamp(&managers[1], genesis_draft(&owner, genesis), 0, START)).unwrap();
    let op = Op::Unknown { code: 900, critical: false, payload: Vec::new() };
    for (seq, manager) in [(1, &managers[0]), (2, &managers[1])] {
        let draft = ledger.draft(&owner, &op, BLIND);
        assert_eq!(ledger.append(&stamp(manager, draft, seq, START)), Ok(()));
    }
}

#[test]
fn a_stamp_says_one_number_and_one_time_for_one_entry() {
    let mut w = World::founded();
    let good = stamped(&w, note(&w));
    let mut later = good.clone();
    later.stamp.time += 1;
    assert_eq!(w.takes(&later), Err(Reject::Stamp));
    // The stamp of another entry.
    let mut moved = stamped(&w, w.ledger.draft(&keys(1), &Op::Withdraw(Withdraw { name: name("x") }), BLIND));
    moved.stamp = good.stamp;
    assert_eq!(w.takes(&moved), Err(Reject::Stamp));
    // With another number it is out of order before it is forged; as the next it is forged.
    assert_eq!(w.takes(&good), Ok(()));
    let mut renumbered = good;
    renumbered.stamp.seq = 2;
    assert_eq!(w.takes(&renumbered), Err(Reject::Stamp));
}

#[test]
fn an_author_signs_for_itself_only() {
    let mut w = World::peopled();
    // Eve signs, alice's laptop is named.
    let mut draft = w.ledger.draft(&keys(66), &Op::Withdraw(Withdraw { name: name("x") }), BLIND);
    draft.header.author = w.id("laptop");
    assert_eq!(w.offers(draft), Err(Reject::Author));
}

#[test]
fn the_manager_cannot_author() {
    let mut w = World::founded();
    let op = Op::Unknown { code: 900, critical: false, payload: Vec::new() };
    let draft = w.ledger.draft(&w.manager, &op, BLIND);
    assert_eq!(w.offers(draft), Err(Violation::NotMember.into()));
}

#[test]
fn an_op_that_was_altered_or_withheld_is_refused() {
    let mut w = World::founded();
    let good = note(&w);
    let change: [fn(&mut Body); 2] = [|body| *body.op.last_mut().unwrap() ^= 1, |body| body.blind.0[0] ^= 1];
    for change in change {
        let mut altered = good.clone();
        change(altered.body.as_mut().unwrap());
        assert_eq!(w.offers(altered), Err(Reject::Op));
    }
    let withheld = Draft { body: None, ..good.clone() };
    assert_eq!(w.offers(withheld.clone()), Err(Reject::Op));
    // The hash of an entry does not depend on whether its op may be seen.
    assert_eq!(withheld.hash(), good.hash());
}

#[test]
fn bytes_that_are_no_op_are_refused_though_they_are_signed() {
    let mut w = World::founded();
    let mut draft = note(&w);
    // An author's mistake or mischief: signed, hashed, and not canonical.
    for (bytes, reject) in [
        (&b""[..], "malformed"),
        (&[0xf6], "malformed"),
        // [900, false, h''] with the array's length in two bytes.
        (&[0x98, 0x03, 0x19, 0x03, 0x84, 0xf4, 0x40], "malformed"),
    ] {
        let op = Hash::of("coco/op", &[&BLIND.0, bytes]);
        let header = coconet::ledger::Header { op, ..draft.header.clone() };
        let signature = keys(1).sign("coco/entry-author", &coconet::cbor::encode(&header));
        let body = Some(Body { op: bytes.to_vec(), blind: BLIND });
        draft = Draft { header, signature, body };
        assert!(draft.signed_body().is_some() && draft.verify_author().is_ok());
        assert_eq!(word(&w.offers(draft.clone())), reject);
    }
}

// G -> ?

#[test]
fn an_unknown_op_that_is_not_critical_is_carried_on() {
    let mut w = World::peopled();
    let before = w.ledger.state().clone();
    let op = Op::Unknown { code: 900, critical: false, payload: vec![1, 2, 3] };
    for node in ["laptop", "cam", "bob-pc", "eve-pc"] {
        assert_eq!(w.says(node, &op), Ok(()));
    }
    assert_eq!(w.says("nobody", &op), Err(Violation::NotMember.into()));
    assert_eq!(*w.ledger.state(), before);
    assert_eq!(w.ledger.seq(), 10);
}

#[test]
fn an_unknown_op_that_is_critical_asks_for_an_update() {
    let mut w = World::founded();
    for code in [Code::Zones as u16, Code::Ota as u16, Code::Transfer as u16, 18, u16::MAX] {
        let op = Op::Unknown { code, critical: true, payload: Vec::new() };
        let refused = w.says("laptop", &op);
        assert_eq!(refused, Err(Reject::UpdateNeeded(code)));
        assert!(refused.unwrap_err().to_string().ends_with("update coco"));
    }
}

#[test]
fn an_op_that_this_version_knows_is_always_critical() {
    let bytes = Op::Withdraw(Withdraw { name: name("x") }).to_bytes();
    // [9, true, ...] with `false` in the middle is another spelling of the same op.
    let mut spelt = bytes.clone();
    spelt[2] = 0xf4;
    assert_eq!(Op::from_bytes(&spelt), Err(CborError::NotCanonical));
}

#[test]
fn an_op_of_any_admitted_length_makes_an_entry_that_decodes() {
    let mut w = World::founded();
    let op = |len| Op::Unknown { code: 900, critical: false, payload: vec![0; len] };
    let head = op(OP_MAX).to_bytes().len() - OP_MAX;
    w.now = u64::MAX;
    // `World::takes` decodes it.
    assert_eq!(w.says("laptop", &op(OP_MAX - head)), Ok(()));
    assert!(w.entries[1].to_bytes().len() <= ENTRY_MAX);
    assert_eq!(word(&w.says("laptop", &op(OP_MAX - head + 1))), "malformed");
}

#[test]
fn a_members_copy_is_the_entries_from_the_first_to_the_head() {
    let mut w = World::peopled();
    w.publishes("cam", "door").unwrap();
    w.removes("laptop", "eve-pc").unwrap();
    let mut copy = Ledger::begin(&w.entries[0]).unwrap();
    for entry in &w.entries[1..] {
        assert_eq!(copy.append(entry), Ok(()));
    }
    assert_eq!(copy, w.ledger);
    // Leaving out any one of them breaks the chain.
    for missing in 1..w.entries.len() - 1 {
        let mut copy = Ledger::begin(&w.entries[0]).unwrap();
        let taken = w.entries[1..missing].iter().map(|entry| copy.append(entry)).all(|one| one.is_ok());
        assert!(taken && copy.append(&w.entries[missing + 1]).is_err());
    }
}

#[test]
fn an_own_app_alone_does_not_make_a_stranger_a_member() {
    // A join that was never stamped: the keys are nobody's.
    let mut w = World::founded();
    let invite = w.invites("laptop", own_app()).unwrap();
    let draft = w.asks("phone", "phone", &invite);
    assert_eq!(w.ledger.admit(&draft, w.now), Ok(()));
    let key = w.keys("phone").static_key();
    assert_eq!(w.ledger.state().standing(&key), coconet::ledger::Standing::Stranger);
}
