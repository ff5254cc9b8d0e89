//! A copy that is loaded on the word of a checkpoint is the one that was verified.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod world;

use coconet::key::{NodeKeys, Signature};
use coconet::ledger::{Checkpoint, Entry, Ledger, Op, Reject, load, stamp};
use world::{BLIND, World, device};

/// `G -> ... -> C -> P`: entries, a checkpoint, and one entry after it.
fn vouched() -> (World, usize) {
    let mut w = World::founded();
    w.brings("laptop", device(), "cam");
    w.publishes("cam", "door").unwrap();
    let state = w.ledger.state().digest();
    w.says("laptop", &Op::Checkpoint(Checkpoint { state })).unwrap();
    let at = w.entries.len() - 1;
    w.publishes("cam", "yard").unwrap();
    (w, at)
}

#[test]
fn a_load_gives_the_ledger_that_was_verified() {
    let (w, _) = vouched();
    assert_eq!(load(&w.entries).as_ref(), Ok(&w.ledger));
    assert_eq!(load(&[]), Err(Reject::Parent));
}

#[test]
fn before_the_checkpoint_signatures_are_taken_on_its_word_and_after_it_not() {
    let (w, at) = vouched();
    let forge = |seq: usize| {
        let mut entries = w.entries.clone();
        entries[seq].stamp.signature = Signature([1; 64]);
        entries
    };
    // A stamp is not part of the hash: the owner's word for the state is enough.
    assert_eq!(load(&forge(1)).map(|ledger| ledger.head()), Ok(w.ledger.head()));
    assert_eq!(load(&forge(at)), Err(Reject::Stamp));
    assert_eq!(load(&forge(at + 1)), Err(Reject::Stamp));
}

#[test]
fn another_history_before_the_checkpoint_is_noticed() {
    let (mut w, at) = vouched();
    let mut entries = w.entries.clone();
    entries.remove(1);
    assert!(matches!(load(&entries), Err(Reject::Sequence { .. })));
    // The same chain up to a checkpoint that its author did not write.
    let mut entries: Vec<Entry> = w.entries[..=at].to_vec();
    let manager = NodeKeys::from_seed(&w.manager.to_seed());
    let keys = w.keys("cam");
    let before: Ledger = load(&entries[..at]).unwrap();
    let draft = before.draft(keys, &Op::Checkpoint(Checkpoint { state: before.state().digest() }), BLIND);
    entries[at] = stamp(&manager, draft, at as u64, before.time());
    assert!(matches!(load(&entries), Err(Reject::Violation(_))));
}
