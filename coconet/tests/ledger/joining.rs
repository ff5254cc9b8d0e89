//! Invites and joins.

use coconet::id::StaticKey;
use coconet::invite::Invitation;
use coconet::key::InviteSecret;
use coconet::ledger::{Draft, Join, LEDGER_INVITES_MAX, NodeKind, Op, Standing, Violation};
use coconet::role::Role;

use crate::world::{
    BLIND, DAY, World, admin, device, guest, keys, manager_addr, mute_device, name, own_app, word,
};

/// A copy of what `invite` lets in by.
fn copy(invite: &Invitation) -> InviteSecret {
    InviteSecret::from_seed(&invite.secret.to_seed())
}

// G -> I -> J

#[test]
fn a_device_joins_for_its_inviter_and_has_no_authority_of_its_own() {
    let mut w = World::founded();
    w.brings("laptop", device(), "cam");
    let (id, node) = w.ledger.state().node_named("cam").unwrap();
    assert_eq!((node.kind, node.publish, node.joined), (NodeKind::Device, true, 2));
    assert_eq!(node.user, name("alice"));
    assert_eq!(w.ledger.state().authority(id), None, "a stolen camera is no owner");
    assert_eq!(w.ledger.state().standing(&node.record.talk), Standing::Member(id));
}

#[test]
fn an_own_app_joins_with_the_role_of_its_user() {
    let mut w = World::peopled();
    for (inviter, phone, role) in [
        ("laptop", "alice-phone", Role::Owner),
        ("bob-pc", "bob-phone", Role::Admin),
        ("eve-pc", "eve-phone", Role::Guest),
    ] {
        w.brings(inviter, own_app(), phone);
        let id = w.id(phone);
        assert_eq!(w.ledger.state().authority(id), Some(role), "{phone}");
    }
    assert_eq!(w.ledger.state().users().len(), 3, "nobody new");
}

#[test]
fn a_person_joins_with_the_role_of_the_invite() {
    let w = World::peopled();
    let role = |user: &str| w.ledger.state().users()[&name(user)].role;
    assert_eq!((role("alice"), role("bob"), role("eve")), (Role::Owner, Role::Admin, Role::Guest));
    let (_, node) = w.ledger.state().node_named("bob-pc").unwrap();
    assert_eq!((&node.user, node.kind, node.publish), (&name("bob"), NodeKind::App, false));
}

#[test]
fn the_name_that_the_inviter_chose_is_the_nodes() {
    let mut w = World::founded();
    let chosen = w.invites_with("laptop", device(), |i| i.node_name = Some(name("front-door"))).unwrap();
    assert_eq!(w.joins_as("cam", "debian", &chosen), Ok(()));
    assert!(w.ledger.state().node_named("front-door").is_some());
    assert!(w.ledger.state().node_named("debian").is_none());
    // It is taken like any other, by whatever name the next one asks.
    let again = w.invites_with("laptop", device(), |i| i.node_name = Some(name("front-door"))).unwrap();
    assert_eq!(w.joins_as("cam2", "cam2", &again), Err(Violation::NameTaken(name("front-door")).into()));
}

// G -> I -> x J

#[test]
fn only_who_holds_the_invite_joins() {
    let mut w = World::founded();
    let invite = w.invites("laptop", device()).unwrap();
    // An invite that was never written into the ledger.
    let invented = Invitation { secret: InviteSecret::from_seed(&[99; 32]), managers: vec![], ..invite };
    assert_eq!(w.joins("cam", &invented), Err(Violation::InviteUnknown.into()));
    // The right key, named in the ledger for all to read, without its secret.
    let key = *w.ledger.state().invites().keys().next().unwrap();
    let record = w.keys("cam").record();
    let proof = keys(66).sign("coco/join", b"let me in");
    let join = Join { invite: key, record, name: name("cam"), proof };
    assert_eq!(w.says("cam", &Op::Join(join)), Err(Violation::Proof.into()));
}

#[test]
fn a_proof_of_one_join_is_worth_nothing_for_another() {
    let mut w = World::founded();
    let invite = w.invites("laptop", device()).unwrap();
    let draft = w.asks("cam", "cam", &invite);
    let Some(Op::Join(seen)) = draft.op() else { panic!("a join") };

    // Mallory reads it on its way and takes the proof for her own keys,
    let own_keys = Join { record: keys(66).record(), ..seen.clone() };
    assert_eq!(w.offers(w.ledger.draft(&keys(66), &Op::Join(own_keys), BLIND)), Err(Violation::Proof.into()));
    // for another name,
    let renamed = Join { name: name("cam9"), ..seen.clone() };
    assert_eq!(w.says("cam", &Op::Join(renamed)), Err(Violation::Proof.into()));
    // or sends it under her own authorship.
    assert_eq!(
        w.offers(w.ledger.draft(&keys(66), &Op::Join(seen.clone()), BLIND)),
        Err(Violation::Proof.into())
    );
    // Nor does the camera join with a session key it has not signed.
    let mut foreign = seen;
    foreign.record.talk = keys(66).static_key();
    assert_eq!(w.says("cam", &Op::Join(foreign)), Err(Violation::Proof.into()));
}

#[test]
fn a_proof_for_one_network_is_worth_nothing_in_another() {
    let mut w = World::founded();
    let invite = w.invites("laptop", device()).unwrap();
    let elsewhere = Invitation {
        network: coconet::id::NetworkId(coconet::id::Hash([5; 32])),
        managers: vec![],
        secret: copy(&invite),
        expires: invite.expires,
    };
    let draft = w.asks("cam", "cam", &elsewhere);
    let op = draft.op().unwrap();
    assert_eq!(w.says("cam", &op), Err(Violation::Proof.into()));
}

#[test]
fn one_use_means_one_use() {
    let mut w = World::founded();
    let invite = w.invites("laptop", device()).unwrap();
    assert_eq!(w.joins("cam", &invite), Ok(()));
    assert_eq!(w.joins("cam2", &invite), Err(Violation::InviteUsed.into()));
}

#[test]
fn of_two_who_hold_one_use_the_chain_takes_the_first() {
    let mut w = World::founded();
    let invite = w.invites("laptop", device()).unwrap();
    let drafts: [Draft; 2] = ["cam", "cam2"].map(|node| w.asks(node, node, &invite));
    assert!(drafts.iter().all(|draft| w.ledger.admit(draft, w.now).is_ok()));
    assert_eq!(w.offers(drafts[0].clone()), Ok(()));
    assert_eq!(word(&w.offers(drafts[1].clone())), "wrong-parent");
    assert_eq!(w.joins("cam2", &invite), Err(Violation::InviteUsed.into()));
}

#[test]
fn three_uses_let_in_three() {
    let mut w = World::founded();
    let invite = w.invites_with("laptop", device(), |i| i.uses = 3).unwrap();
    for cam in ["cam1", "cam2", "cam3"] {
        assert_eq!(w.joins(cam, &invite), Ok(()));
    }
    assert_eq!(w.joins("cam4", &invite), Err(Violation::InviteUsed.into()));
}

#[test]
fn an_invite_expires_by_the_stamp_of_the_join() {
    let mut w = World::founded();
    let invite = w.invites_with("laptop", device(), |i| i.uses = 2).unwrap();
    w.now = invite.expires - 1;
    assert_eq!(w.joins("cam", &invite), Ok(()), "in its last millisecond");
    w.now = invite.expires;
    assert_eq!(w.joins("cam2", &invite), Err(Violation::InviteExpired.into()));
}

#[test]
fn an_invite_of_no_uses_and_a_second_one_of_the_same_key_are_refused() {
    let mut w = World::founded();
    assert_eq!(word(&w.invites_with("laptop", device(), |i| i.uses = 0)), "bad-value");
    let first = w.invites("laptop", device()).unwrap();
    let again = w.invites_with("laptop", device(), |i| i.key = first.secret.key());
    assert_eq!(word(&again), "key-reused");
}

// G -> I -> J(bob-pc) -> I(by bob) -> R(bob-pc) -> x J

#[test]
fn an_invite_dies_with_its_inviter() {
    let mut w = World::peopled();
    let invite = w.invites("bob-pc", guest("carol")).unwrap();
    w.removes("laptop", "bob-pc").unwrap();
    assert_eq!(w.joins("carol-pc", &invite), Err(Violation::InviterGone.into()));
}

#[test]
fn who_may_invite_whom() {
    let mut w = World::peopled();
    for (inviter, purpose, expected) in [
        ("laptop", device(), "ok"),
        ("laptop", mute_device(), "ok"),
        ("laptop", admin("dora"), "ok"),
        ("laptop", guest("fred"), "ok"),
        ("bob-pc", admin("dora"), "ok"),
        ("bob-pc", guest("fred"), "ok"),
        ("bob-pc", device(), "not-allowed"),
        ("eve-pc", guest("fred"), "not-allowed"),
        ("eve-pc", device(), "not-allowed"),
        // A device has no authority of its user, not even to bring its like.
        ("cam", device(), "not-allowed"),
        ("cam", own_app(), "not-allowed"),
        ("cam", guest("fred"), "not-allowed"),
        ("nobody", own_app(), "not-a-member"),
    ] {
        assert_eq!(word(&w.invites(inviter, purpose.clone())), expected, "{inviter} {purpose:?}");
    }
    let refused = w.invites("bob-pc", device()).unwrap_err().to_string();
    assert_eq!(refused, "admin may not invite a device");
}

#[test]
fn an_owner_is_never_invited() {
    let mut w = World::founded();
    let owner = coconet::ledger::Purpose::User { name: name("dora"), role: Role::Owner };
    assert_eq!(word(&w.invites("laptop", owner)), "bad-value");
}

#[test]
fn only_an_owner_adds_a_node_to_another_person() {
    let mut w = World::peopled();
    // An admin could act as that person; alice may, bob may not, whether eve is there already
    assert_eq!(word(&w.invites("bob-pc", guest("eve"))), "name-taken");
    assert_eq!(word(&w.invites("bob-pc", admin("alice"))), "name-taken");
    w.brings("laptop", guest("eve"), "eve-phone");
    let id = w.id("eve-phone");
    assert_eq!(w.ledger.state().authority(id), Some(Role::Guest));
    // or comes between the admin's invite and its use.
    let by_bob = w.invites("bob-pc", guest("carol")).unwrap();
    w.brings("laptop", guest("carol"), "carol-pc");
    assert_eq!(w.joins("mallory-pc", &by_bob), Err(Violation::NameTaken(name("carol")).into()));
}

#[test]
fn a_person_keeps_the_role_they_came_with() {
    let mut w = World::peopled();
    assert_eq!(word(&w.invites("laptop", admin("eve"))), "name-taken");
    assert_eq!(word(&w.invites("laptop", guest("alice"))), "name-taken");
    // Two invites of one new name with different roles: the first join decides.
    let (as_guest, as_admin) =
        (w.invites("laptop", guest("carol")).unwrap(), w.invites("laptop", admin("carol")).unwrap());
    w.joins("carol-pc", &as_guest).unwrap();
    assert_eq!(w.joins("carol-phone", &as_admin), Err(Violation::NameTaken(name("carol")).into()));
}

#[test]
fn several_uses_of_an_admins_invite_are_several_apps_of_one_person() {
    let mut w = World::peopled();
    let invite = w.invites_with("bob-pc", guest("carol"), |i| i.uses = 2).unwrap();
    assert_eq!(w.joins("carol-pc", &invite), Ok(()));
    assert_eq!(w.joins("carol-phone", &invite), Ok(()));
    assert_eq!(w.ledger.state().users().len(), 4);
}

#[test]
fn a_node_name_is_taken_once_among_the_living() {
    let mut w = World::peopled();
    let invite = w.invites("laptop", device()).unwrap();
    assert_eq!(w.joins_as("cam2", "cam", &invite), Err(Violation::NameTaken(name("cam")).into()));
    // Refused is not used: the invite still lets in, and a name becomes free with its node.
    w.removes("laptop", "cam").unwrap();
    assert_eq!(w.joins_as("cam2", "cam", &invite), Ok(()));
}

#[test]
fn keys_that_were_ever_in_the_network_do_not_come_back() {
    let mut w = World::peopled();
    let invite = w.invites_with("laptop", device(), |i| i.uses = 9).unwrap();
    assert_eq!(w.joins_as("cam", "cam-again", &invite), Err(Violation::KeyReused.into()), "live");
    w.removes("laptop", "cam").unwrap();
    assert_eq!(w.joins("cam", &invite), Err(Violation::KeyReused.into()), "removed");
}

#[test]
fn a_fresh_node_cannot_take_over_the_session_key_of_another() {
    let mut w = World::peopled();
    let invite = w.invites_with("laptop", device(), |i| i.uses = 9).unwrap();
    let join_with = |w: &mut World, sign: u8, talk: u8| {
        // Keys of two seeds: the authoring half of one, the session half of the other.
        let mut seed = [sign; 64];
        seed[32..].fill(talk);
        let keys = coconet::key::NodeKeys::from_seed(&seed);
        let draft = invite.join(&keys, w.ledger.head(), &name("twin"), BLIND);
        w.offers(draft)
    };
    // Seed 2 is the camera's.
    assert_eq!(w.id("cam"), keys(2).id());
    assert_eq!(join_with(&mut w, 77, 2), Err(Violation::KeyReused.into()), "its session key");
    assert_eq!(join_with(&mut w, 2, 77), Err(Violation::KeyReused.into()), "its authoring key");
    w.removes("laptop", "cam").unwrap();
    assert_eq!(join_with(&mut w, 77, 2), Err(Violation::KeyReused.into()), "its old session key");
    assert_eq!(join_with(&mut w, 2, 77), Err(Violation::KeyReused.into()), "its old authoring key");
    assert_eq!(join_with(&mut w, 77, 77), Ok(()));
    assert_eq!(w.ledger.state().standing(&StaticKey([0; 32])), Standing::Stranger);
}

#[test]
fn open_invites_are_bounded_and_expired_ones_do_not_count() {
    let mut w = World::founded();
    for _ in 0..LEDGER_INVITES_MAX {
        w.invites("laptop", device()).unwrap();
    }
    assert_eq!(word(&w.invites("laptop", device())), "limit");
    w.later(7 * DAY);
    assert_eq!(word(&w.invites("laptop", device())), "ok", "a week later all those have expired");
}

#[test]
fn the_invitation_text_is_all_that_a_joiner_needs() {
    let mut w = World::founded();
    let text = w.invites("laptop", guest("eve")).unwrap().to_text();
    let read: Invitation = text.parse().unwrap();
    assert_eq!(read.managers, [manager_addr(&w.manager)]);
    assert_eq!(w.joins("eve-pc", &read), Ok(()));
}
