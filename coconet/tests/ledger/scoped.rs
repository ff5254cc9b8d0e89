//! What an app is for: the third check, beside its user's role and what was granted.

use coconet::ledger::{Access, Invite, Purpose, Violation};
use coconet::rights::Rights;
use coconet::scope::Scope;

use crate::world::{World, device, guest, name, own_app, word};

fn only(words: &[&str]) -> impl FnOnce(&mut Invite) {
    let scope = Scope::try_from(words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()).unwrap();
    move |invite| invite.only = Some(scope)
}

fn joins_for(w: &mut World, inviter: &'static str, purpose: Purpose, node: &'static str, words: &[&str]) {
    let invite = w.invites_with(inviter, purpose, only(words)).unwrap();
    w.joins(node, &invite).unwrap();
}

fn uses(w: &mut World, node: &'static str, resource: &str) -> bool {
    let (id, resource) = (w.id(node), name(resource));
    let state = w.ledger.state();
    let may = state.access(id, &resource, w.now) != Access::Denied;
    assert_eq!(state.rights(id, &resource).is_some(), may);
    assert_eq!(state.may_see(id, &resource), may);
    may
}

// G -> P -> P -> I -> J

#[test]
fn an_owners_app_uses_what_it_is_for_and_nothing_else() {
    let mut w = World::peopled();
    w.publishes("cam", "door").unwrap();
    w.publishes("laptop", "files").unwrap();
    joins_for(&mut w, "laptop", own_app(), "player", &["door"]);
    joins_for(&mut w, "laptop", own_app(), "browser", &["http"]);
    joins_for(&mut w, "laptop", own_app(), "viewer", &["rtsp"]);
    assert!(uses(&mut w, "player", "door") && !uses(&mut w, "player", "files"));
    assert!(!uses(&mut w, "browser", "door") && !uses(&mut w, "browser", "files"));
    assert!(uses(&mut w, "viewer", "door") && uses(&mut w, "viewer", "files"), "both are rtsp");
    // What is published later is covered by its name and its kind, too.
    w.withdraws("cam", "door").unwrap();
    assert!(!uses(&mut w, "player", "door"));
    w.publishes("cam", "door").unwrap();
    assert!(uses(&mut w, "player", "door"));
}

#[test]
fn a_scope_gives_a_guest_nothing_and_takes_from_what_was_granted() {
    let mut w = World::peopled();
    w.publishes("cam", "door").unwrap();
    w.publishes("cam", "yard").unwrap();
    joins_for(&mut w, "laptop", guest("fred"), "fred-tv", &["door", "yard"]);
    assert!(!uses(&mut w, "fred-tv", "door"), "not granted");
    w.grants("laptop", "fred", "door", &["play"]).unwrap();
    w.grants("laptop", "fred", "yard", &["play"]).unwrap();
    let id = w.id("fred-tv");
    let state = w.ledger.state();
    assert!(matches!(state.rights(id, &name("door")), Some(Rights::Only(_))), "as much as was granted");
    joins_for(&mut w, "laptop", guest("fred"), "fred-pc", &["yard"]);
    assert!(uses(&mut w, "fred-pc", "yard") && !uses(&mut w, "fred-pc", "door"));
}

#[test]
fn an_app_with_a_scope_has_no_say_in_the_ledger_and_may_leave() {
    let mut w = World::peopled();
    w.publishes("cam", "door").unwrap();
    joins_for(&mut w, "laptop", own_app(), "player", &["door"]);
    // Not by a second app without a scope, either.
    assert_eq!(word(&w.invites("player", own_app())), "not-allowed");
    assert_eq!(word(&w.invites("player", guest("mallory"))), "not-allowed");
    assert_eq!(word(&w.publishes("player", "fake")), "not-allowed");
    assert_eq!(word(&w.removes("player", "cam")), "not-allowed");
    assert_eq!(word(&w.grants("player", "eve", "door", &["play"])), "not-allowed");
    assert_eq!(w.removes("player", "player"), Ok(()));
}

#[test]
fn an_owners_app_with_a_scope_is_an_owners_all_the_same() {
    let mut w = World::peopled();
    joins_for(&mut w, "laptop", own_app(), "player", &["rtsp"]);
    assert_eq!(word(&w.removes("bob-pc", "player")), "not-allowed", "an admin removes no owner's");
    // But it cannot sign as one: it is not the key that an owner must have left.
    assert_eq!(w.removes("laptop", "laptop"), Err(Violation::LastOwner.into()));
}

#[test]
fn who_uses_nothing_has_no_scope() {
    let mut w = World::peopled();
    for purpose in [device(), Purpose::Recovery] {
        assert_eq!(word(&w.invites_with("laptop", purpose, only(&["rtsp"]))), "bad-value");
    }
}
