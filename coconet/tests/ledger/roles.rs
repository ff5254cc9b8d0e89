//! Who may do what, and set-role.

use coconet::invite::Invitation;
use coconet::ledger::{Purpose, Reject, Violation};
use coconet::role::{Action, Role, TABLE};

use crate::world::{DAY, World, admin, device, guest, keys, name, own_app, word};

/// `G -> ...`: two owners (alice, olga), two admins (bob, dora), two guests (eve, fred), a camera with a
/// door, a grant to fred, and an open invite of alice's.
struct Town {
    w: World,
    invite: Invitation,
}

fn town() -> Town {
    let mut w = World::peopled();
    for (purpose, node) in
        [(guest("olga"), "olga-pc"), (admin("dora"), "dora-pc"), (guest("fred"), "fred-pc")]
    {
        w.brings("laptop", purpose, node);
    }
    w.makes("laptop", "olga", Role::Owner).unwrap();
    w.publishes("cam", "door").unwrap();
    w.grants("laptop", "fred", "door", &["play"]).unwrap();
    let invite = w.invites("laptop", guest("gina")).unwrap();
    Town { w, invite }
}

/// What a member does to somebody or something that is not their own.
fn tries(action: Action, t: &mut Town, who: &'static str) -> Result<(), Reject> {
    let w = &mut t.w;
    match action {
        Action::InviteDevice => w.invites(who, device()).map(drop),
        Action::InviteUser => w.invites(who, guest("hans")).map(drop),
        Action::InviteSelf => w.invites(who, own_app()).map(drop),
        Action::InviteRecovery => w.invites(who, Purpose::Recovery).map(drop),
        Action::RemoveDevice => w.removes(who, "cam"),
        Action::RemoveApp => w.removes(who, "fred-pc"),
        Action::RemoveSelf => {
            let own = w.invites(who, own_app())?;
            w.joins("another", &own)?;
            w.removes(who, "another")
        }
        Action::PublishFromApp => w.publishes(who, "files"),
        Action::WithdrawOthers => w.withdraws(who, "door"),
        Action::RevokeInvite => w.uninvites(who, &t.invite),
        Action::SetRole => w.makes(who, "fred", Role::Admin),
        Action::SetOwner => w.makes(who, "olga", Role::Guest),
        Action::RemoveUser => w.expels(who, "dora"),
        Action::RenameUser => w.renames(who, "fred", "frederic"),
        Action::RenameNetwork => w.renames_network(who, "house"),
        Action::Grant => w.revokes(who, "fred", "door"),
        Action::SetManagers => w.appoints(who, &[&keys(201)]),
        Action::Checkpoint => w.vouches(who),
        Action::UseAll => {
            w.access(who, "door");
            if w.may_open(who, "door") { Ok(()) } else { Err(Violation::NotMember.into()) }
        }
    }
}

/// From the product: an owner everything; an admin everything except devices, resources and what makes the
/// network what it is; a guest what was granted. Owner, admin, guest.
const RIGHTS: &[(Action, [bool; 3])] = &[
    (Action::InviteDevice, [true, false, false]),
    (Action::InviteUser, [true, true, false]),
    (Action::InviteSelf, [true, true, true]),
    (Action::RemoveDevice, [true, false, false]),
    (Action::RemoveApp, [true, true, false]),
    (Action::RemoveSelf, [true, true, true]),
    (Action::PublishFromApp, [true, false, false]),
    (Action::WithdrawOthers, [true, false, false]),
    (Action::InviteRecovery, [true, false, false]),
    (Action::RevokeInvite, [true, true, false]),
    (Action::SetRole, [true, true, false]),
    (Action::SetOwner, [true, false, false]),
    (Action::RemoveUser, [true, true, false]),
    (Action::RenameUser, [true, true, false]),
    (Action::RenameNetwork, [true, false, false]),
    (Action::Grant, [true, true, false]),
    (Action::SetManagers, [true, false, false]),
    (Action::Checkpoint, [true, false, false]),
    (Action::UseAll, [true, true, false]),
];

#[test]
fn each_row_of_the_table_is_what_the_ledger_does() {
    for (action, _, _) in TABLE {
        let (_, rights) = RIGHTS.iter().find(|row| row.0 == *action).unwrap();
        let people = [("laptop", rights[0]), ("bob-pc", rights[1]), ("eve-pc", rights[2])];
        for (who, may) in people.into_iter().chain([("cam", false), ("nobody", false)]) {
            // A device that withdraws its own resource, or leaves, is no example.
            if who == "cam" && matches!(action, Action::WithdrawOthers | Action::RemoveDevice) {
                continue;
            }
            // The camera may publish, as a device.
            let may = may || (who == "cam" && *action == Action::PublishFromApp);
            let result = tries(*action, &mut town(), who);
            assert_eq!(result.is_ok(), may, "{who}: {} {result:?}", action.as_str());
            let refused = ["not-allowed", "not-a-member"].contains(&word(&result));
            assert!(may || refused, "{who}: {} {result:?}", action.as_str());
        }
    }
    assert_eq!(TABLE.len(), RIGHTS.len());
}

// G -> ... -> S

#[test]
fn who_may_make_whom_what() {
    use Role::{Admin, Guest, Owner};
    for (who, user, role, expected) in [
        ("laptop", "eve", Admin, "ok"),
        ("laptop", "eve", Owner, "ok"),
        ("laptop", "bob", Guest, "ok"),
        ("laptop", "bob", Owner, "ok"),
        ("laptop", "olga", Admin, "ok"),
        ("laptop", "olga", Guest, "ok"),
        ("laptop", "alice", Guest, "ok"),
        ("olga-pc", "alice", Guest, "ok"),
        // An admin moves people between admin and guest, himself included, and stops at the owners.
        ("bob-pc", "eve", Admin, "ok"),
        ("bob-pc", "dora", Guest, "ok"),
        ("bob-pc", "bob", Guest, "ok"),
        ("bob-pc", "eve", Owner, "not-allowed"),
        ("bob-pc", "bob", Owner, "not-allowed"),
        ("bob-pc", "alice", Admin, "not-allowed"),
        ("bob-pc", "olga", Guest, "not-allowed"),
        ("bob-pc", "olga", Owner, "not-allowed"),
        ("eve-pc", "eve", Admin, "not-allowed"),
        ("eve-pc", "eve", Guest, "not-allowed"),
        ("cam", "eve", Admin, "not-allowed"),
        ("nobody", "eve", Admin, "not-a-member"),
        ("laptop", "nobody", Admin, "no-such-user"),
    ] {
        let Town { mut w, .. } = town();
        let before = w.role(user);
        assert_eq!(word(&w.makes(who, user, role)), expected, "{who} {user} {role}");
        assert_eq!(w.role(user), if expected == "ok" { Some(role) } else { before }, "{who} {user} {role}");
    }
    let refused = town().w.makes("bob-pc", "eve", Role::Owner).unwrap_err().to_string();
    assert_eq!(refused, "admin may not make or change an owner");
}

#[test]
fn a_role_holds_for_all_apps_of_a_person_from_the_next_entry_on() {
    let mut w = World::peopled();
    w.brings("eve-pc", own_app(), "eve-phone");
    w.publishes("cam", "door").unwrap();
    assert_eq!(word(&w.invites("eve-phone", guest("fred"))), "not-allowed");
    w.makes("laptop", "eve", Role::Admin).unwrap();
    for node in ["eve-pc", "eve-phone"] {
        assert!(w.may_open(node, "door"), "{node}");
        assert_eq!(w.invites(node, guest("fred")).map(drop), Ok(()), "{node}");
    }
    w.makes("laptop", "eve", Role::Guest).unwrap();
    for node in ["eve-pc", "eve-phone"] {
        assert!(!w.may_open(node, "door"), "{node}");
        assert_eq!(word(&w.invites(node, guest("fred"))), "not-allowed", "{node}");
    }
}

#[test]
fn a_devices_owner_may_change_and_the_device_gains_nothing() {
    let mut w = World::peopled();
    w.brings("laptop", guest("olga"), "olga-pc");
    w.makes("laptop", "olga", Role::Owner).unwrap();
    w.brings("olga-pc", device(), "cam2");
    w.makes("laptop", "olga", Role::Guest).unwrap();
    let id = w.id("cam2");
    assert_eq!(w.ledger.state().authority(id), None);
    // It goes on offering what it offers; only an owner removes it, not the admin whose guest olga is now.
    assert_eq!(w.publishes("cam2", "yard"), Ok(()));
    assert_eq!(word(&w.removes("bob-pc", "cam2")), "not-allowed");
    assert_eq!(word(&w.removes("olga-pc", "cam2")), "not-allowed");
    assert_eq!(word(&w.expels("bob-pc", "olga")), "not-allowed", "the camera would go with her");
    assert_eq!(w.expels("laptop", "olga"), Ok(()));
    assert_eq!(w.nodes(), ["bob-pc", "cam", "eve-pc", "laptop"]);
}

#[test]
fn an_invite_is_judged_by_what_the_inviter_is_when_it_is_used() {
    let Town { mut w, .. } = town();
    let camera = w.invites("olga-pc", device()).unwrap();
    let person = w.invites("dora-pc", guest("hans")).unwrap();
    w.makes("laptop", "olga", Role::Admin).unwrap();
    w.makes("laptop", "dora", Role::Guest).unwrap();
    assert_eq!(w.joins("cam2", &camera), Err(Violation::InviterGone.into()));
    assert_eq!(w.joins("hans-pc", &person), Err(Violation::InviterGone.into()));
    // Back in office, the invites hold again until they expire.
    w.makes("laptop", "dora", Role::Admin).unwrap();
    assert_eq!(w.joins("hans-pc", &person), Ok(()));
    w.makes("laptop", "olga", Role::Owner).unwrap();
    w.later(7 * DAY);
    assert_eq!(w.joins("cam2", &camera), Err(Violation::InviteExpired.into()));
}

// G -> ... -> x S

#[test]
fn the_last_owner_who_can_sign_stays_owner() {
    let mut w = World::peopled();
    for role in [Role::Admin, Role::Guest] {
        assert_eq!(w.makes("laptop", "alice", role), Err(Violation::LastOwner.into()));
    }
    assert_eq!(w.makes("laptop", "alice", Role::Owner), Ok(()), "that changes nothing");
    assert_eq!(w.expels("laptop", "alice"), Err(Violation::LastOwner.into()));
    // A second owner without a node that can sign is no help:
    w.makes("laptop", "eve", Role::Owner).unwrap();
    w.removes("eve-pc", "eve-pc").unwrap();
    assert_eq!(w.role("eve"), Some(Role::Owner));
    assert_eq!(w.makes("laptop", "alice", Role::Guest), Err(Violation::LastOwner.into()));
    assert_eq!(w.expels("laptop", "alice"), Err(Violation::LastOwner.into()));
    assert_eq!(w.removes("laptop", "laptop"), Err(Violation::LastOwner.into()));
    // one with such a node is.
    w.makes("laptop", "bob", Role::Owner).unwrap();
    assert_eq!(w.makes("laptop", "alice", Role::Guest), Ok(()));
    assert_eq!(w.makes("bob-pc", "bob", Role::Guest), Err(Violation::LastOwner.into()));
    assert_eq!(w.ledger.state().users()[&name("alice")].role, Role::Guest);
}
