//! Rename.

use coconet::ledger::{Access, Violation};
use coconet::role::Role;

use crate::world::{World, admin, device, guest, name, own_app, word};

// G -> ... -> N

#[test]
fn who_may_rename_what() {
    for (who, owner, person, own, device, network) in [
        ("laptop", "ok", "ok", "ok", "ok", "ok"),
        ("bob-pc", "not-allowed", "ok", "ok", "not-allowed", "not-allowed"),
        ("eve-pc", "not-allowed", "not-allowed", "not-allowed", "not-allowed", "not-allowed"),
        ("cam", "not-allowed", "not-allowed", "not-allowed", "not-allowed", "not-allowed"),
        ("nobody", "not-a-member", "not-a-member", "not-a-member", "not-a-member", "not-a-member"),
    ] {
        let mut w = World::peopled();
        w.brings("laptop", guest("fred"), "fred-pc");
        assert_eq!(word(&w.renames(who, "alice", "alicia")), owner, "{who}");
        assert_eq!(word(&w.renames_node(who, "laptop", "macbook")), owner, "{who}");
        assert_eq!(word(&w.renames(who, "fred", "frederic")), person, "{who}");
        assert_eq!(word(&w.renames_node(who, "fred-pc", "fred-desk")), person, "{who}");
        let own_name = if who == "bob-pc" { "bob" } else { "eve" };
        assert_eq!(word(&w.renames(who, own_name, "somebody")), own, "{who}");
        assert_eq!(word(&w.renames_node(who, "cam", "camera")), device, "{who}");
        assert_eq!(word(&w.renames_network(who, "house")), network, "{who}");
        let called = if network == "ok" { "house" } else { "home" };
        assert_eq!(w.ledger.state().name(), &name(called));
    }
}

#[test]
fn a_renamed_person_keeps_role_nodes_and_grants() {
    let mut w = World::peopled();
    w.brings("eve-pc", own_app(), "eve-phone");
    w.publishes("cam", "door").unwrap();
    w.grants("laptop", "eve", "door", &["play"]).unwrap();
    w.renames("laptop", "eve", "eva").unwrap();
    assert_eq!(w.people(), ["alice", "bob", "eva"]);
    assert_eq!(w.role("eva"), Some(Role::Guest));
    for node in ["eve-pc", "eve-phone"] {
        assert_eq!(w.access(node, "door"), Access::Until(None));
        let id = w.id(node);
        assert_eq!(w.ledger.state().nodes()[&id].user, name("eva"));
    }
    // All by the new name alone.
    assert_eq!(word(&w.revokes("laptop", "eve", "door")), "no-such-grant");
    assert_eq!(word(&w.grants("laptop", "eve", "door", &["play"])), "no-such-user");
    assert_eq!(w.revokes("laptop", "eva", "door"), Ok(()));
    assert!(!w.may_open("eve-pc", "door"));
}

#[test]
fn a_name_is_free_once_its_bearer_has_another() {
    let mut w = World::peopled();
    w.publishes("cam", "door").unwrap();
    w.grants("laptop", "eve", "door", &["play"]).unwrap();
    w.renames("laptop", "eve", "eva").unwrap();
    w.brings("laptop", guest("eve"), "other-pc");
    assert!(w.may_open("eve-pc", "door") && !w.may_open("other-pc", "door"), "another eve, with no grant");
    w.renames_node("laptop", "eve-pc", "desk").unwrap();
    assert!(w.ledger.state().node_named("eve-pc").is_none());
    w.brings("laptop", device(), "tv");
    assert_eq!(w.renames_node("laptop", "tv", "eve-pc"), Ok(()));
    let (id, _) = w.ledger.state().node_named("eve-pc").unwrap();
    assert_eq!(id, w.id("tv"));
}

#[test]
fn a_renamed_owner_is_the_owner_still() {
    let mut w = World::peopled();
    w.renames("laptop", "alice", "alicia").unwrap();
    assert_eq!(w.role("alicia"), Some(Role::Owner));
    assert_eq!(w.publishes("laptop", "files"), Ok(()));
    assert_eq!(w.removes("laptop", "laptop"), Err(Violation::LastOwner.into()));
    let id = w.id("cam");
    assert_eq!(w.ledger.state().nodes()[&id].user, name("alicia"), "her camera too");
}

// G -> ... -> x N

#[test]
fn a_taken_name_is_taken() {
    let mut w = World::peopled();
    for to in ["alice", "bob", "eve"] {
        assert_eq!(w.renames("laptop", "eve", to), Err(Violation::NameTaken(name(to)).into()));
    }
    for to in ["laptop", "cam", "eve-pc"] {
        assert_eq!(w.renames_node("laptop", "cam", to), Err(Violation::NameTaken(name(to)).into()));
    }
    // People, nodes, resources and the network are named apart.
    w.publishes("cam", "door").unwrap();
    assert_eq!(w.renames("laptop", "eve", "door"), Ok(()));
    assert_eq!(w.renames_node("laptop", "cam", "alice"), Ok(()));
    assert_eq!(w.renames_network("laptop", "bob"), Ok(()));
    assert_eq!(w.renames_network("laptop", "bob"), Ok(()), "again is nothing new");
}

#[test]
fn who_is_not_there_is_not_renamed() {
    let mut w = World::peopled();
    assert_eq!(w.renames("laptop", "nobody", "x"), Err(Violation::NoSuchUser(name("nobody")).into()));
    assert_eq!(w.renames_node("laptop", "nobody", "x"), Err(Violation::NoSuchNode.into()));
    w.removes("laptop", "cam").unwrap();
    assert_eq!(w.renames_node("laptop", "cam", "x"), Err(Violation::NoSuchNode.into()));
}

#[test]
fn a_person_is_not_renamed_into_somebody_who_is_already_there() {
    let mut w = World::peopled();
    w.brings("laptop", admin("dora"), "dora-pc");
    assert_eq!(w.renames("bob-pc", "bob", "dora"), Err(Violation::NameTaken(name("dora")).into()));
}
