//! Remove-node and remove-user.

use coconet::ledger::{Standing, Violation};
use coconet::role::Role;

use crate::world::{World, admin, device, guest, name, own_app, word};

/// `G -> ...`: one of each, and a second node of each person.
fn crowded() -> World {
    let mut w = World::peopled();
    w.brings("laptop", own_app(), "alice-phone");
    w.brings("bob-pc", own_app(), "bob-phone");
    w.brings("eve-pc", own_app(), "eve-phone");
    w.brings("laptop", admin("dora"), "dora-pc");
    w.brings("laptop", guest("fred"), "fred-pc");
    w
}

// G -> ... -> R

#[test]
fn who_may_remove_whom() {
    let removals: &[(&str, &[(&'static str, &str)])] = &[
        ("laptop", &[("cam", "ok"), ("bob-pc", "ok"), ("eve-pc", "ok"), ("alice-phone", "ok")]),
        (
            "bob-pc",
            &[
                ("cam", "not-allowed"),
                ("laptop", "not-allowed"),
                ("alice-phone", "not-allowed"),
                ("dora-pc", "ok"),
                ("eve-pc", "ok"),
                ("bob-phone", "ok"),
            ],
        ),
        (
            "eve-pc",
            &[
                ("cam", "not-allowed"),
                ("laptop", "not-allowed"),
                ("bob-pc", "not-allowed"),
                ("fred-pc", "not-allowed"),
                ("eve-phone", "ok"),
            ],
        ),
        ("cam", &[("laptop", "not-allowed"), ("eve-pc", "not-allowed"), ("alice-phone", "not-allowed")]),
        ("nobody", &[("eve-pc", "not-a-member"), ("cam", "not-a-member")]),
    ];
    for (author, targets) in removals {
        for (target, expected) in *targets {
            let mut w = crowded();
            let author = ["laptop", "bob-pc", "eve-pc", "cam", "nobody"].into_iter().find(|n| n == author);
            assert_eq!(word(&w.removes(author.unwrap(), target)), *expected, "{author:?} {target}");
        }
    }
}

#[test]
fn everybody_may_leave() {
    for node in ["cam", "bob-pc", "eve-pc", "laptop"] {
        let mut w = crowded();
        assert_eq!(w.removes(node, node), Ok(()), "{node}");
        assert_eq!(w.removes(node, node), Err(Violation::NotMember.into()), "{node}");
    }
}

#[test]
fn a_device_does_not_remove_another_device() {
    let mut w = World::peopled();
    w.brings("laptop", device(), "cam2");
    assert_eq!(word(&w.removes("cam", "cam2")), "not-allowed");
}

#[test]
fn the_last_node_of_the_last_owner_stays() {
    let mut w = World::peopled();
    // The camera is alice's too, but it cannot sign as an owner.
    assert_eq!(w.removes("laptop", "laptop"), Err(Violation::LastOwner.into()));
    w.brings("laptop", own_app(), "alice-phone");
    assert_eq!(w.removes("alice-phone", "laptop"), Ok(()));
    assert_eq!(w.removes("alice-phone", "alice-phone"), Err(Violation::LastOwner.into()));
}

#[test]
fn a_removed_node_is_known_as_removed_and_can_do_nothing() {
    let mut w = World::peopled();
    let (id, key) = (w.id("bob-pc"), w.keys("bob-pc").static_key());
    w.removes("laptop", "bob-pc").unwrap();
    assert_eq!(w.ledger.state().standing(&key), Standing::Removed(id));
    assert_eq!(w.ledger.state().authority(id), None);
    assert_eq!(word(&w.invites("bob-pc", guest("fred"))), "not-a-member");
    assert_eq!(word(&w.publishes("bob-pc", "x")), "not-a-member");
    assert_eq!(w.removes("laptop", "bob-pc"), Err(Violation::NoSuchNode.into()), "twice");
}

#[test]
fn a_removed_devices_resources_go_with_it_and_no_others() {
    let mut w = World::peopled();
    w.publishes("cam", "door").unwrap();
    w.publishes("laptop", "files").unwrap();
    w.removes("laptop", "cam").unwrap();
    let left: Vec<_> = w.ledger.state().resources().keys().map(|name| name.as_str()).collect();
    assert_eq!(left, ["files"]);
}

#[test]
fn a_stranger_is_removed_by_nobody() {
    let mut w = World::peopled();
    assert_eq!(w.removes("laptop", "nobody"), Err(Violation::NoSuchNode.into()));
}

// G -> ... -> U

#[test]
fn who_may_remove_which_person() {
    let everybody = ["alice", "bob", "dora", "eve", "fred", "olga"];
    for (who, expected) in [
        ("laptop", ["last-owner", "ok", "ok", "ok", "ok", "ok"]),
        // An admin removes admins and guests, himself among them, and no owner.
        ("bob-pc", ["not-allowed", "ok", "ok", "ok", "ok", "not-allowed"]),
        ("eve-pc", ["not-allowed"; 6]),
        ("cam", ["not-allowed"; 6]),
        ("nobody", ["not-a-member"; 6]),
    ] {
        for (user, expected) in everybody.into_iter().zip(expected) {
            let mut w = crowded();
            w.brings("laptop", guest("olga"), "olga-pc");
            w.makes("laptop", "olga", Role::Owner).unwrap();
            if who == "laptop" && user == "alice" {
                w.makes("laptop", "olga", Role::Admin).unwrap();
            }
            assert_eq!(word(&w.expels(who, user)), expected, "{who} {user}");
            assert_eq!(w.role(user).is_none(), expected == "ok", "{who} {user}");
        }
    }
    assert_eq!(word(&crowded().expels("laptop", "nobody")), "no-such-user");
}

#[test]
fn a_person_goes_with_all_that_is_theirs() {
    let mut w = crowded();
    w.publishes("cam", "door").unwrap();
    w.publishes("laptop", "files").unwrap();
    w.grants("laptop", "eve", "door", &["play"]).unwrap();
    w.grants("laptop", "fred", "door", &["play"]).unwrap();
    let keys = ["eve-pc", "eve-phone"].map(|node| (w.id(node), w.keys(node).static_key()));
    w.expels("bob-pc", "eve").unwrap();
    assert_eq!(w.people(), ["alice", "bob", "dora", "fred"]);
    assert!(keys.iter().all(|(id, key)| w.ledger.state().standing(key) == Standing::Removed(*id)));
    assert_eq!(w.ledger.state().grants().keys().collect::<Vec<_>>(), [&name("fred")]);
    // An owner goes with her cameras, and what they offer; what others were granted of it too.
    w.makes("laptop", "bob", Role::Owner).unwrap();
    w.expels("bob-pc", "alice").unwrap();
    assert_eq!(w.nodes(), ["bob-pc", "bob-phone", "dora-pc", "fred-pc"]);
    assert!(w.ledger.state().resources().is_empty());
    assert!(!w.may_open("fred-pc", "door"));
    assert_eq!(word(&w.publishes("cam", "door")), "not-a-member");
}

#[test]
fn the_keys_of_a_removed_person_do_not_come_back() {
    let mut w = crowded();
    let invite = w.invites_with("laptop", guest("eva"), |i| i.uses = 9).unwrap();
    w.expels("laptop", "eve").unwrap();
    assert_eq!(w.joins("eve-pc", &invite), Err(Violation::KeyReused.into()));
    assert_eq!(w.joins("eve-phone", &invite), Err(Violation::KeyReused.into()));
    assert_eq!(w.joins_as("eve-tablet", "eve-pc", &invite), Ok(()), "the name is free");
}

#[test]
fn a_person_whose_nodes_have_all_gone_is_there_until_removed() {
    let mut w = World::peopled();
    w.removes("eve-pc", "eve-pc").unwrap();
    assert_eq!(w.role("eve"), Some(Role::Guest));
    assert_eq!(w.expels("bob-pc", "eve"), Ok(()));
    assert_eq!(word(&w.expels("bob-pc", "eve")), "no-such-user");
}

#[test]
fn an_admin_who_removes_himself_is_out() {
    let mut w = World::peopled();
    assert_eq!(w.expels("bob-pc", "bob"), Ok(()));
    assert_eq!(word(&w.expels("bob-pc", "eve")), "not-a-member");
}
