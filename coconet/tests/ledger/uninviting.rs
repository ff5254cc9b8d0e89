//! Revoke-invite.

use coconet::ledger::{Purpose, Violation};
use coconet::role::Role;

use crate::world::{DAY, World, admin, device, guest, own_app, word};

// G -> I -> I- -> x J

#[test]
fn a_revoked_invite_lets_nobody_in() {
    let mut w = World::founded();
    let invite = w.invites_with("laptop", device(), |i| i.uses = 3).unwrap();
    w.joins("cam", &invite).unwrap();
    assert_eq!(w.uninvites("laptop", &invite), Ok(()));
    let refused = w.joins("cam2", &invite);
    assert_eq!(refused, Err(Violation::InviteRevoked.into()));
    assert_eq!(refused.unwrap_err().to_string(), "the invite was revoked");
    assert_eq!(w.nodes(), ["cam", "laptop"], "who has joined stays");
}

#[test]
fn an_invite_is_revoked_once_and_while_it_is_good_for_something() {
    let mut w = World::founded();
    let revoked = w.invites("laptop", device()).unwrap();
    w.uninvites("laptop", &revoked).unwrap();
    assert_eq!(w.uninvites("laptop", &revoked), Err(Violation::InviteRevoked.into()));
    let used = w.invites("laptop", device()).unwrap();
    w.joins("cam", &used).unwrap();
    assert_eq!(w.uninvites("laptop", &used), Err(Violation::InviteUsed.into()));
    // One that has expired may be cleared away.
    let expired = w.invites("laptop", device()).unwrap();
    w.later(8 * DAY);
    assert_eq!(w.uninvites("laptop", &expired), Ok(()));
    let invented = coconet::invite::Invitation {
        secret: coconet::key::InviteSecret::from_seed(&[99; 32]),
        managers: vec![],
        ..expired
    };
    assert_eq!(w.uninvites("laptop", &invented), Err(Violation::InviteUnknown.into()));
}

#[test]
fn a_revoked_key_is_not_invited_anew() {
    let mut w = World::founded();
    let invite = w.invites("laptop", device()).unwrap();
    w.uninvites("laptop", &invite).unwrap();
    let again = w.invites_with("laptop", device(), |i| i.key = invite.secret.key());
    assert_eq!(word(&again), "key-reused");
}

#[test]
fn who_may_revoke_whose_invite() {
    // Of an owner, an admin and a guest, each with a second app.
    let town = || {
        let mut w = World::peopled();
        w.brings("laptop", own_app(), "phone");
        w.brings("bob-pc", own_app(), "bob-phone");
        w.brings("eve-pc", own_app(), "eve-phone");
        w.brings("laptop", admin("dora"), "dora-pc");
        w
    };
    for (inviter, purpose, who, expected) in [
        // One's own, from any of one's apps.
        ("laptop", device(), "phone", "ok"),
        ("laptop", Purpose::Recovery, "phone", "ok"),
        ("bob-pc", guest("fred"), "bob-phone", "ok"),
        ("eve-pc", own_app(), "eve-phone", "ok"),
        // An owner those of all.
        ("bob-pc", guest("fred"), "laptop", "ok"),
        ("bob-pc", own_app(), "laptop", "ok"),
        ("eve-pc", own_app(), "laptop", "ok"),
        // An admin those that an admin could make: of people, and of their apps.
        ("laptop", guest("fred"), "bob-pc", "ok"),
        ("laptop", admin("fred"), "bob-pc", "ok"),
        ("dora-pc", guest("fred"), "bob-pc", "ok"),
        ("eve-pc", own_app(), "bob-pc", "ok"),
        ("dora-pc", own_app(), "bob-pc", "ok"),
        ("laptop", device(), "bob-pc", "not-allowed"),
        ("laptop", Purpose::Recovery, "bob-pc", "not-allowed"),
        ("laptop", own_app(), "bob-pc", "not-allowed"),
        // A guest no other's, a device none at all, not even of its own user.
        ("laptop", guest("fred"), "eve-pc", "not-allowed"),
        ("bob-pc", own_app(), "eve-pc", "not-allowed"),
        ("laptop", device(), "cam", "not-allowed"),
        ("laptop", guest("fred"), "cam", "not-allowed"),
        ("laptop", guest("fred"), "nobody", "not-a-member"),
    ] {
        let mut w = town();
        let invite = w.invites(inviter, purpose.clone()).unwrap();
        assert_eq!(word(&w.uninvites(who, &invite)), expected, "{purpose:?} of {inviter} by {who}");
    }
}

// G -> ... -> I -> R(inviter) -> I-

#[test]
fn an_invite_whose_inviter_has_gone_is_cleared_away_by_who_could_have_made_it() {
    let mut w = World::peopled();
    let (one, other) =
        (w.invites("bob-pc", guest("fred")).unwrap(), w.invites("bob-pc", guest("gina")).unwrap());
    w.brings("laptop", admin("dora"), "dora-pc");
    w.removes("laptop", "bob-pc").unwrap();
    assert_eq!(word(&w.uninvites("eve-pc", &one)), "not-allowed");
    assert_eq!(w.uninvites("dora-pc", &one), Ok(()));
    assert_eq!(w.uninvites("laptop", &other), Ok(()));
}

// G -> I(carol, 3 uses) -> J -> U(carol) -> x J

#[test]
fn who_was_removed_does_not_come_back_by_what_is_left_of_an_invite() {
    let mut w = World::peopled();
    let invite = w.invites_with("bob-pc", guest("carol"), |i| i.uses = 3).unwrap();
    let another = w.invites("laptop", guest("carol")).unwrap();
    let others = w.invites("laptop", guest("dave")).unwrap();
    w.joins("carol-pc", &invite).unwrap();
    w.expels("bob-pc", "carol").unwrap();
    assert_eq!(w.joins("carol-phone", &invite), Err(Violation::InviteRevoked.into()));
    assert_eq!(w.joins("carol-phone", &another), Err(Violation::InviteRevoked.into()));
    assert_eq!(w.joins("dave-pc", &others), Ok(()), "another person's");
    // She is invited anew, as somebody else with the same name.
    w.brings("bob-pc", guest("carol"), "carol-tablet");
    assert_eq!(w.role("carol"), Some(Role::Guest));
}

// G -> I(carol, 3 uses) -> J -> N(carol to dora) -> J -> U(dora) -> x J

#[test]
fn an_invite_of_a_person_follows_them_to_their_new_name() {
    let mut w = World::peopled();
    let invite = w.invites_with("bob-pc", guest("carol"), |i| i.uses = 3).unwrap();
    w.joins("carol-pc", &invite).unwrap();
    w.renames("laptop", "carol", "dora").unwrap();
    assert_eq!(w.joins("carol-phone", &invite), Ok(()));
    assert_eq!(w.people(), ["alice", "bob", "dora", "eve"], "one person with two apps");
    w.expels("laptop", "dora").unwrap();
    assert_eq!(w.joins("carol-tablet", &invite), Err(Violation::InviteRevoked.into()));
}
