//! Publish, withdraw, and who may open.

use coconet::ledger::{NODE_RESOURCES_MAX, Op, Publish, Violation};
use coconet::resource::{Attributes, Kind, PATH};

use crate::world::{World, mute_device, name, own_app, word};

// G -> ... -> P

#[test]
fn who_may_publish() {
    let mut w = World::peopled();
    w.brings("laptop", mute_device(), "sensor");
    for (node, expected) in [
        ("cam", "ok"),
        ("laptop", "ok"),
        ("sensor", "not-allowed"),
        ("bob-pc", "not-allowed"),
        ("eve-pc", "not-allowed"),
        ("nobody", "not-a-member"),
    ] {
        assert_eq!(word(&w.publishes(node, &format!("{node}-tv"))), expected, "{node}");
    }
}

#[test]
fn a_resource_belongs_to_the_node_that_published_it() {
    let mut w = World::peopled();
    w.publishes("cam", "door").unwrap();
    let id = w.id("cam");
    assert_eq!(w.ledger.state().resources()[&name("door")].node, id);
    // Nobody else takes the name, not even the owner's own node;
    assert_eq!(w.publishes("laptop", "door"), Err(Violation::NameTaken(name("door")).into()));
    // the node itself may say it anew.
    let attributes = Attributes::new([(name(PATH), "/live".to_owned())].into()).unwrap();
    let again = Publish { name: name("door"), kind: Kind::Http, attributes };
    assert_eq!(w.says("cam", &Op::Publish(again)), Ok(()));
    let door = &w.ledger.state().resources()[&name("door")];
    assert_eq!((door.kind, door.attributes.get(PATH)), (Kind::Http, Some("/live")));
}

#[test]
fn the_resources_of_one_node_are_bounded() {
    let mut w = World::peopled();
    for number in 0..NODE_RESOURCES_MAX {
        w.publishes("cam", &format!("r{number}")).unwrap();
    }
    assert_eq!(word(&w.publishes("cam", "one-more")), "limit");
    assert_eq!(w.publishes("cam", "r0"), Ok(()), "again is not more");
    assert_eq!(w.publishes("laptop", "one-more"), Ok(()), "each node has its own bound");
}

// G -> ... -> P -> W

#[test]
fn who_may_withdraw() {
    for (node, expected) in [
        ("cam", "ok"),
        ("laptop", "ok"),
        ("bob-pc", "not-allowed"),
        ("eve-pc", "not-allowed"),
        ("nobody", "not-a-member"),
    ] {
        let mut w = World::peopled();
        w.publishes("cam", "door").unwrap();
        assert_eq!(word(&w.withdraws(node, "door")), expected, "{node}");
        assert_eq!(w.ledger.state().resources().is_empty(), expected == "ok", "{node}");
    }
}

#[test]
fn a_device_does_not_withdraw_the_resource_of_another() {
    let mut w = World::peopled();
    w.publishes("laptop", "files").unwrap();
    assert_eq!(word(&w.withdraws("cam", "files")), "not-allowed");
}

#[test]
fn what_is_not_there_is_not_withdrawn() {
    let mut w = World::peopled();
    assert_eq!(w.withdraws("cam", "door"), Err(Violation::NoSuchResource(name("door")).into()));
}

// Opening writes nothing.

#[test]
fn who_may_open() {
    let mut w = World::peopled();
    w.brings("bob-pc", own_app(), "bob-phone");
    w.publishes("cam", "door").unwrap();
    for (node, may) in [
        ("laptop", true),
        ("bob-pc", true),
        ("bob-phone", true),
        ("eve-pc", false),
        ("cam", false),
        ("nobody", false),
    ] {
        assert_eq!(w.may_open(node, "door"), may, "{node}");
    }
}

#[test]
fn a_guest_cannot_tell_what_is_absent_from_what_is_not_granted() {
    let mut w = World::peopled();
    w.publishes("cam", "door").unwrap();
    assert_eq!(w.may_open("eve-pc", "door"), w.may_open("eve-pc", "no-such-thing"));
}

#[test]
fn a_right_to_open_ends_with_the_resource_and_with_the_node() {
    let mut w = World::peopled();
    w.publishes("cam", "door").unwrap();
    w.publishes("cam", "bell").unwrap();
    w.withdraws("cam", "bell").unwrap();
    assert!(w.may_open("bob-pc", "door") && !w.may_open("bob-pc", "bell"));
    w.removes("laptop", "bob-pc").unwrap();
    assert!(!w.may_open("bob-pc", "door"));
    w.removes("laptop", "cam").unwrap();
    assert!(!w.may_open("laptop", "door"));
}
