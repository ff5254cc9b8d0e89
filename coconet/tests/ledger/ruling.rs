//! Set-managers, checkpoint and recovery keys.

use coconet::id::Hash;
use coconet::ledger::{
    Checkpoint, Ledger, MANAGERS_MAX, NodeKind, Op, Purpose, Reject, SetManagers, Violation, stamp,
};
use coconet::role::Role;

use crate::world::{BLIND, DAY, World, device, guest, keys, manager_addr, own_app, word};

// G -> ... -> M

#[test]
fn after_a_change_of_managers_the_old_ones_stamp_is_worth_nothing() {
    let mut w = World::peopled();
    // The change itself is stamped by the old manager.
    assert_eq!(w.appoints("laptop", &[&keys(201)]), Ok(()));
    assert_eq!(w.ledger.state().managers(), [manager_addr(&keys(201))]);
    let draft = w.ledger.draft(&keys(1), &Op::Unknown { code: 900, critical: false, payload: vec![] }, BLIND);
    let (next, now) = (w.ledger.seq() + 1, w.now);
    assert_eq!(w.takes(&stamp(&keys(200), draft.clone(), next, now)), Err(Reject::Stamp));
    assert_eq!(w.takes(&stamp(&keys(201), draft, next, now)), Ok(()));
    // What the old one stamped before the change stands: a new member reads it all.
    let read = w.entries[1..]
        .iter()
        .try_fold(Ledger::begin(&w.entries[0]).unwrap(), |ledger, entry| Ledger::follow(Some(ledger), entry));
    assert_eq!(read.as_ref(), Ok(&w.ledger));
}

#[test]
fn several_managers_may_stamp_and_a_third_may_not() {
    let mut w = World::peopled();
    w.appoints("laptop", &[&keys(200), &keys(201)]).unwrap();
    w.manager = keys(201);
    assert_eq!(w.publishes("cam", "door"), Ok(()));
    w.manager = keys(200);
    assert_eq!(w.publishes("cam", "yard"), Ok(()));
    let draft = w.ledger.draft(&keys(1), &Op::Unknown { code: 900, critical: false, payload: vec![] }, BLIND);
    let entry = stamp(&keys(202), draft, w.ledger.seq() + 1, w.now);
    assert_eq!(w.takes(&entry), Err(Reject::Stamp));
}

#[test]
fn a_network_has_one_to_eight_managers_at_any_time() {
    for (count, expected) in
        [(0, "bad-value"), (1, "ok"), (MANAGERS_MAX, "ok"), (MANAGERS_MAX + 1, "bad-value")]
    {
        let mut w = World::founded();
        let managers = vec![manager_addr(&keys(201)); count];
        assert_eq!(word(&w.says("laptop", &Op::SetManagers(SetManagers { managers }))), expected, "{count}");
    }
}

#[test]
fn only_an_owner_says_who_stamps_and_not_the_manager_either() {
    let mut w = World::peopled();
    for who in ["bob-pc", "eve-pc", "cam", "nobody"] {
        let refused = w.appoints(who, &[&keys(66)]);
        assert_eq!(word(&refused), if who == "nobody" { "not-a-member" } else { "not-allowed" }, "{who}");
    }
    let managers = vec![manager_addr(&keys(201))];
    let draft = w.ledger.draft(&w.manager, &Op::SetManagers(SetManagers { managers }), BLIND);
    assert_eq!(w.offers(draft), Err(Violation::NotMember.into()));
}

// G -> ... -> C

#[test]
fn an_owner_vouches_for_the_state_that_everybody_has() {
    let mut w = World::peopled();
    w.publishes("cam", "door").unwrap();
    let before = w.ledger.state().clone();
    assert_eq!(w.vouches("laptop"), Ok(()));
    assert_eq!(*w.ledger.state(), before, "it changes nothing");
    assert_eq!(w.vouches("laptop"), Ok(()), "again");
    for who in ["bob-pc", "eve-pc", "cam", "nobody"] {
        assert_ne!(word(&w.vouches(who)), "ok", "{who}");
    }
}

#[test]
fn a_checkpoint_of_another_state_is_refused() {
    let mut w = World::peopled();
    let old = w.ledger.state().digest();
    w.publishes("cam", "door").unwrap();
    for state in [old, Hash::ZERO, w.ledger.head()] {
        assert_eq!(word(&w.says("laptop", &Op::Checkpoint(Checkpoint { state }))), "bad-value");
    }
    // Withdrawn again, it is the old state.
    w.withdraws("cam", "door").unwrap();
    assert_eq!(w.says("laptop", &Op::Checkpoint(Checkpoint { state: old })), Ok(()));
}

#[test]
fn replicas_of_one_head_have_one_digest_and_every_change_another() {
    let mut w = World::peopled();
    w.publishes("cam", "door").unwrap();
    let mut digests = vec![w.ledger.state().digest()];
    let mut changed = |w: &World| {
        let copy = w.entries[1..].iter().fold(Ledger::begin(&w.entries[0]).unwrap(), |ledger, entry| {
            Ledger::follow(Some(ledger), entry).unwrap()
        });
        assert_eq!(copy.state().digest(), w.ledger.state().digest());
        assert!(!digests.contains(&copy.state().digest()), "after {:?}", w.entries.last());
        digests.push(copy.state().digest());
    };
    let invite = w.invites("bob-pc", guest("fred")).unwrap();
    changed(&w);
    w.joins("fred-pc", &invite).unwrap();
    changed(&w);
    let invite = w.invites("bob-pc", guest("gina")).unwrap();
    changed(&w);
    w.uninvites("bob-pc", &invite).unwrap();
    changed(&w);
    w.grants("bob-pc", "eve", "door", &["play"]).unwrap();
    changed(&w);
    let hours = "daily 08:00-20:00 UTC".parse().ok();
    w.grants_with("bob-pc", "eve", "door", |grant| grant.when = hours).unwrap();
    changed(&w);
    let until = w.now;
    w.grants_with("bob-pc", "eve", "door", |grant| grant.until = Some(until)).unwrap();
    changed(&w);
    w.revokes("bob-pc", "eve", "door").unwrap();
    changed(&w);
    w.makes("laptop", "fred", Role::Admin).unwrap();
    changed(&w);
    w.renames("laptop", "fred", "frederic").unwrap();
    changed(&w);
    w.renames_node("laptop", "cam", "camera").unwrap();
    changed(&w);
    w.renames_network("laptop", "house").unwrap();
    changed(&w);
    w.removes("laptop", "cam").unwrap();
    changed(&w);
    w.expels("laptop", "frederic").unwrap();
    changed(&w);
    w.appoints("laptop", &[&keys(200), &keys(201)]).unwrap();
    changed(&w);
}

// G -> I(recovery) -> J

#[test]
fn a_recovery_key_is_an_owners_and_can_sign() {
    let mut w = World::peopled();
    w.brings("laptop", Purpose::Recovery, "paper");
    let id = w.id("paper");
    let node = &w.ledger.state().nodes()[&id];
    assert_eq!((node.kind, node.user.as_str(), node.publish), (NodeKind::Recovery, "alice", false));
    assert_eq!(w.ledger.state().authority(id), Some(Role::Owner));
    // The laptop is lost. The paper removes it, and brings the next one.
    assert_eq!(w.removes("paper", "laptop"), Ok(()));
    w.brings("paper", own_app(), "new-laptop");
    w.brings("new-laptop", device(), "cam2");
    assert_eq!(w.makes("new-laptop", "bob", Role::Owner), Ok(()));
}

#[test]
fn the_last_owner_key_that_can_sign_may_be_one_on_paper() {
    let mut w = World::peopled();
    w.brings("laptop", Purpose::Recovery, "paper");
    w.removes("laptop", "laptop").unwrap();
    assert_eq!(w.removes("paper", "paper"), Err(Violation::LastOwner.into()));
    assert_eq!(w.expels("paper", "alice"), Err(Violation::LastOwner.into()));
    assert_eq!(w.makes("paper", "alice", Role::Admin), Err(Violation::LastOwner.into()));
}

#[test]
fn an_admin_neither_makes_nor_removes_an_owners_recovery_key() {
    let mut w = World::peopled();
    for who in ["bob-pc", "eve-pc", "cam", "nobody"] {
        let refused = w.invites(who, Purpose::Recovery);
        assert_eq!(word(&refused), if who == "nobody" { "not-a-member" } else { "not-allowed" }, "{who}");
    }
    assert_eq!(
        w.invites("bob-pc", Purpose::Recovery).unwrap_err().to_string(),
        "admin may not prepare a recovery key"
    );
    w.brings("laptop", Purpose::Recovery, "paper");
    assert_eq!(word(&w.removes("bob-pc", "paper")), "not-allowed");
    assert_eq!(word(&w.renames_node("bob-pc", "paper", "scrap")), "not-allowed");
}

#[test]
fn a_recovery_key_is_worth_what_its_owner_is() {
    let mut w = World::peopled();
    w.brings("laptop", guest("olga"), "olga-pc");
    w.makes("laptop", "olga", Role::Owner).unwrap();
    let unused = w.invites("olga-pc", Purpose::Recovery).unwrap();
    w.brings("olga-pc", Purpose::Recovery, "olgas-paper");
    w.makes("laptop", "olga", Role::Guest).unwrap();
    assert_eq!(word(&w.makes("olgas-paper", "olga", Role::Owner)), "not-allowed");
    assert_eq!(w.joins("more-paper", &unused), Err(Violation::InviterGone.into()));
    w.later(DAY);
    assert_eq!(w.expels("bob-pc", "olga"), Ok(()), "and it goes with her");
    assert_eq!(w.nodes(), ["bob-pc", "cam", "eve-pc", "laptop"]);
}
