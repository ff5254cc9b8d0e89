//! Grant and revoke-grant, and who may open by them.

use std::collections::BTreeSet;

use coconet::grant::CAPABILITIES_MAX;
use coconet::ledger::{Access, Op, Publish, USER_GRANTS_MAX, Violation};
use coconet::resource::{Attributes, Kind};
use coconet::role::Role;

use crate::world::{DAY, World, admin, can, device, guest, name, own_app, word};

/// `G -> ... -> P`: one of each, and a camera at the door.
fn home() -> World {
    let mut w = World::peopled();
    w.publishes("cam", "door").unwrap();
    w
}

fn ms(text: &str) -> u64 {
    u64::try_from(text.parse::<jiff::Timestamp>().unwrap().as_millisecond()).unwrap()
}

// G -> ... -> P -> +

#[test]
fn a_guest_opens_what_was_granted_and_nothing_else() {
    let mut w = home();
    w.publishes("cam", "yard").unwrap();
    assert_eq!(w.access("eve-pc", "door"), Access::Denied);
    assert_eq!(w.grants("laptop", "eve", "door", &["play"]), Ok(()));
    assert_eq!(w.access("eve-pc", "door"), Access::Until(None));
    assert_eq!(w.access("eve-pc", "yard"), Access::Denied);
    // From each of her apps, those to come included.
    w.brings("eve-pc", own_app(), "eve-phone");
    assert_eq!(w.access("eve-phone", "door"), Access::Until(None));
    // Nobody else, no device, no stranger.
    w.brings("laptop", guest("fred"), "fred-pc");
    for other in ["fred-pc", "cam", "nobody"] {
        assert_eq!(w.access(other, "door"), Access::Denied, "{other}");
    }
}

#[test]
fn what_is_absent_and_what_is_not_granted_look_alike() {
    let mut w = home();
    for node in ["eve-pc", "cam", "nobody"] {
        assert_eq!(w.access(node, "door"), Access::Denied, "{node}");
        assert_eq!(w.access(node, "no-such-thing"), Access::Denied, "{node}");
    }
    assert_eq!(w.access("laptop", "no-such-thing"), Access::Denied);
}

#[test]
fn who_may_grant() {
    for (who, expected) in [
        ("laptop", "ok"),
        ("bob-pc", "ok"),
        ("eve-pc", "not-allowed"),
        // Not even of its own resource: who may open is for people to say.
        ("cam", "not-allowed"),
        ("nobody", "not-a-member"),
    ] {
        let mut w = home();
        assert_eq!(word(&w.grants(who, "eve", "door", &["play"])), expected, "{who}");
        assert_eq!(w.may_open("eve-pc", "door"), expected == "ok", "{who}");
    }
}

#[test]
fn a_later_grant_takes_the_place_of_an_earlier_one() {
    let mut w = home();
    w.grants("laptop", "eve", "door", &["play", "talk"]).unwrap();
    let until = w.now + DAY;
    w.grants_with("bob-pc", "eve", "door", |grant| grant.until = Some(until)).unwrap();
    assert_eq!(w.access("eve-pc", "door"), Access::Until(Some(until)));
    let known = &w.ledger.state().grants()[&name("eve")];
    assert_eq!((known.len(), &known[&name("door")].can), (1, &can(&["play"])));
    // For ever again.
    w.grants("laptop", "eve", "door", &["play"]).unwrap();
    assert_eq!(w.access("eve-pc", "door"), Access::Until(None));
}

#[test]
fn a_grant_ends_at_its_millisecond() {
    let mut w = home();
    let until = w.now + 1000;
    w.grants_with("laptop", "eve", "door", |grant| grant.until = Some(until)).unwrap();
    w.later(999);
    assert_eq!(w.access("eve-pc", "door"), Access::Until(Some(until)));
    w.later(1);
    assert_eq!(w.access("eve-pc", "door"), Access::Denied);
    let id = w.id("eve-pc");
    assert!(w.ledger.state().may_see(id, &name("door")), "it is shown, as out of its time");
}

#[test]
fn a_grant_holds_at_its_hours_until_they_end() {
    let mut w = home();
    // 2027-02-02 is a Tuesday; Berlin is an hour ahead of UTC.
    w.now = ms("2027-02-02T07:59:59.999Z");
    let hours = "Tue,Fri 09:00-12:00 Europe/Berlin".parse().unwrap();
    let until = ms("2027-02-05T10:00:00Z");
    let grant = |grant: &mut coconet::ledger::Grant| (grant.when, grant.until) = (Some(hours), Some(until));
    w.grants_with("laptop", "eve", "door", grant).unwrap();
    for (now, end) in [
        ("2027-02-02T07:59:59.999Z", None),
        ("2027-02-02T08:00:00Z", Some("2027-02-02T11:00:00Z")),
        ("2027-02-02T10:59:59.999Z", Some("2027-02-02T11:00:00Z")),
        ("2027-02-02T11:00:00Z", None),
        ("2027-02-03T09:00:00Z", None),
        // On Friday the grant ends before its hours do.
        ("2027-02-05T08:00:00Z", Some("2027-02-05T10:00:00Z")),
        ("2027-02-05T10:00:00Z", None),
        ("2027-02-09T09:00:00Z", None),
    ] {
        w.now = ms(now);
        let expected = end.map_or(Access::Denied, |end| Access::Until(Some(ms(end))));
        assert_eq!(w.access("eve-pc", "door"), expected, "{now}");
    }
}

// G -> ... -> P -> x +

#[test]
fn owners_and_admins_need_no_grant_and_get_none() {
    let mut w = home();
    for user in ["alice", "bob"] {
        let refused = w.grants("laptop", user, "door", &["play"]);
        assert_eq!(word(&refused), "bad-value", "{user}");
    }
    assert!(w.may_open("laptop", "door") && w.may_open("bob-pc", "door"));
}

#[test]
fn a_grant_names_a_person_a_resource_and_what_can_be_done_with_it() {
    let mut w = home();
    let refused = w.grants("laptop", "nobody", "door", &["play"]);
    assert_eq!(refused, Err(Violation::NoSuchUser(name("nobody")).into()));
    let refused = w.grants("laptop", "eve", "yard", &["play"]);
    assert_eq!(refused, Err(Violation::NoSuchResource(name("yard")).into()));
    // To a person, not to one of her nodes.
    assert_eq!(word(&w.grants("laptop", "eve-pc", "door", &["play"])), "no-such-user");
    for (words, expected) in [
        (&["play"][..], "ok"),
        (&["record", "talk"], "ok"),
        (&["play:/sub"], "ok"),
        (&["read"], "bad-value"),
        (&["play", "connect"], "bad-value"),
        (&["Play"], "bad-value"),
        (&[":play"], "bad-value"),
    ] {
        assert_eq!(word(&w.grants("laptop", "eve", "door", words)), expected, "{words:?}");
    }
}

#[test]
fn each_kind_has_its_capabilities() {
    let all: BTreeSet<&str> = Kind::ALL.iter().flat_map(|kind| kind.capabilities()).copied().collect();
    let mut w = World::peopled();
    for kind in Kind::ALL {
        let publish = Publish { name: name(kind.as_str()), kind, attributes: Attributes::default() };
        w.says("cam", &Op::Publish(publish)).unwrap();
        for capability in &all {
            let granted = w.grants("laptop", "eve", kind.as_str(), &[*capability]);
            assert_eq!(granted.is_ok(), kind.capabilities().contains(capability), "{kind} {capability}");
        }
    }
    assert_eq!(all.len(), 9, "no kind shares a word with another, but tcp with udp and ip");
    assert!(all.len() <= CAPABILITIES_MAX);
}

#[test]
fn the_grants_of_one_person_are_bounded() {
    let mut w = World::peopled();
    w.brings("laptop", guest("fred"), "fred-pc");
    // A device offers at most 256.
    let devices = ["cam", "cam2", "cam3", "cam4", "cam5"];
    devices[1..].iter().for_each(|cam| w.brings("laptop", device(), cam));
    for number in 0..=USER_GRANTS_MAX {
        let resource = format!("r{number}");
        w.publishes(devices[number / 250], &resource).unwrap();
        let expected = if number < USER_GRANTS_MAX { "ok" } else { "limit" };
        assert_eq!(word(&w.grants("laptop", "eve", &resource, &["play"])), expected);
    }
    assert_eq!(w.grants("laptop", "eve", "r0", &["talk"]), Ok(()), "another of the same is not more");
    assert_eq!(w.grants("laptop", "fred", "r0", &["play"]), Ok(()), "each person has their own bound");
    w.revokes("laptop", "eve", "r0").unwrap();
    assert_eq!(w.grants("laptop", "eve", &format!("r{USER_GRANTS_MAX}"), &["play"]), Ok(()));
}

// G -> ... -> P -> + -> -

#[test]
fn a_revoked_grant_is_none() {
    let mut w = home();
    w.publishes("cam", "yard").unwrap();
    w.grants("laptop", "eve", "door", &["play"]).unwrap();
    w.grants("laptop", "eve", "yard", &["play"]).unwrap();
    for who in ["eve-pc", "cam"] {
        assert_eq!(word(&w.revokes(who, "eve", "door")), "not-allowed", "{who}");
    }
    assert_eq!(w.revokes("bob-pc", "eve", "door"), Ok(()));
    assert!(!w.may_open("eve-pc", "door") && w.may_open("eve-pc", "yard"));
    let none = Violation::NoSuchGrant { user: name("eve"), resource: name("door") };
    assert_eq!(w.revokes("bob-pc", "eve", "door"), Err(none.into()), "twice");
    for (user, resource) in [("fred", "door"), ("eve", "no-such-thing"), ("bob", "door")] {
        assert_eq!(word(&w.revokes("bob-pc", user, resource)), "no-such-grant");
    }
}

// G -> ... -> P -> + -> W -> P

#[test]
fn a_resource_takes_its_grants_with_it() {
    type Ends = fn(&mut World);
    let ends: [(&str, Ends); 4] = [
        ("withdrawn by its device", |w| w.withdraws("cam", "door").unwrap()),
        ("withdrawn by the owner", |w| w.withdraws("laptop", "door").unwrap()),
        ("gone with its device", |w| w.removes("laptop", "cam").unwrap()),
        ("gone with its device's owner", |w| {
            w.makes("laptop", "bob", Role::Owner).unwrap();
            w.expels("bob-pc", "alice").unwrap();
        }),
    ];
    for (how, end) in ends {
        let mut w = home();
        w.publishes("cam", "yard").unwrap();
        w.brings("laptop", device(), "cam2");
        w.grants("laptop", "eve", "door", &["play"]).unwrap();
        end(&mut w);
        assert_eq!(w.access("eve-pc", "door"), Access::Denied, "{how}");
        let left = w.ledger.state().grants().get(&name("eve"));
        assert!(left.is_none_or(|left| left.is_empty()), "{how}");
        // The same name later is another resource, whoever offers it.
        let publisher = ["cam", "cam2", "bob-pc"].into_iter().find(|node| w.publishes(node, "door").is_ok());
        assert!(publisher.is_some(), "{how}");
        assert_eq!(w.access("eve-pc", "door"), Access::Denied, "{how}");
    }
}

#[test]
fn a_resource_said_anew_keeps_its_grants_if_it_is_of_the_same_kind() {
    let mut w = home();
    w.grants("laptop", "eve", "door", &["play"]).unwrap();
    w.publishes("cam", "door").unwrap();
    assert!(w.may_open("eve-pc", "door"));
    // To play is nothing one does with a web page.
    let page = Publish { name: name("door"), kind: Kind::Http, attributes: Attributes::default() };
    w.says("cam", &Op::Publish(page)).unwrap();
    assert!(!w.may_open("eve-pc", "door"));
    assert_eq!(w.grants("laptop", "eve", "door", &["read"]), Ok(()));
}

// G -> ... -> P -> + -> U

#[test]
fn a_person_takes_their_grants_with_them() {
    let mut w = home();
    w.grants("laptop", "eve", "door", &["play"]).unwrap();
    w.expels("laptop", "eve").unwrap();
    assert!(w.ledger.state().grants().is_empty());
    w.brings("laptop", guest("eve"), "eve-laptop");
    assert_eq!(w.access("eve-laptop", "door"), Access::Denied, "another eve");
}

// G -> ... -> P -> + -> S(admin) -> S(guest)

#[test]
fn a_guest_who_was_more_than_that_meanwhile_begins_without_grants() {
    for (role, friend) in [(Role::Admin, "gina"), (Role::Owner, "hans")] {
        let mut w = home();
        w.brings("laptop", guest("fred"), "fred-pc");
        w.grants("laptop", "eve", "door", &["play"]).unwrap();
        w.grants("laptop", "fred", "door", &["play"]).unwrap();
        w.makes("laptop", "eve", role).unwrap();
        assert_eq!(w.access("eve-pc", "door"), Access::Until(None), "by her role");
        let holders: Vec<_> = w.ledger.state().grants().keys().cloned().collect();
        assert_eq!(holders, [name("fred")], "others keep theirs");
        assert_eq!(word(&w.grants("laptop", "eve", "door", &["talk"])), "bad-value");
        assert_eq!(word(&w.revokes("bob-pc", "eve", "door")), "no-such-grant");
        w.brings("eve-pc", admin(friend), "friend-pc");
        w.makes("laptop", "eve", Role::Guest).unwrap();
        assert_eq!(w.access("eve-pc", "door"), Access::Denied);
        // A new grant is a new one.
        w.grants("laptop", "eve", "door", &["talk"]).unwrap();
        let eves = &w.ledger.state().grants()[&name("eve")];
        assert_eq!(eves[&name("door")].can, can(&["talk"]));
    }
}

// G -> ... -> P -> + -> S(guest)

#[test]
fn a_guest_who_is_made_a_guest_keeps_their_grants() {
    let mut w = home();
    w.grants("laptop", "eve", "door", &["play"]).unwrap();
    w.makes("bob-pc", "eve", Role::Guest).unwrap();
    assert_eq!(w.access("eve-pc", "door"), Access::Until(None));
}

// G -> ... -> P -> + -> S(admin) -> S(guest), as eve and fred read it

#[test]
fn each_guest_reads_that_the_grants_of_one_who_was_an_admin_are_gone() {
    let mut w = home();
    w.brings("laptop", guest("fred"), "fred-pc");
    w.grants("laptop", "eve", "door", &["play"]).unwrap();
    w.grants("laptop", "fred", "door", &["play"]).unwrap();
    w.makes("laptop", "eve", Role::Admin).unwrap();
    w.vouches("laptop").unwrap();
    w.makes("laptop", "eve", Role::Guest).unwrap();
    let (eve, fred) = (w.id("eve-pc"), w.id("fred-pc"));
    let (eves, freds) = (w.read_by("eve").unwrap(), w.read_by("fred").unwrap());
    assert_eq!((eves.head(), freds.head()), (w.ledger.head(), w.ledger.head()));
    assert_eq!(eves.state().access(eve, &name("door"), w.now), Access::Denied);
    assert!(!eves.state().may_see(eve, &name("door")));
    assert_eq!(freds.state().access(fred, &name("door"), w.now), Access::Until(None));
    // A grant anew is read on top of that.
    w.grants("bob-pc", "eve", "door", &["play"]).unwrap();
    assert_eq!(w.read_by("eve").unwrap().state().access(eve, &name("door"), w.now), Access::Until(None));
}
