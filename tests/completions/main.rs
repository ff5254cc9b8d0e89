//! Completions in real shells, with the names of a real daemon.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod shells;
#[allow(dead_code, reason = "each test program uses its part of it")]
#[path = "../support/mod.rs"]
mod support;

use coconet::control::Invites;

use crate::shells::{Typing, bash, fish};
use crate::support::net::{HOME, Net};
use crate::support::targets::{echo, serve};

/// What the candidates for the last word of a line have to be, but for options.
const NAMES: [(&[&str], &[&str]); 12] = [
    (&["network", "show", ""], &["garden", "home"]),
    (&["network", "show", "g"], &["garden"]),
    (&["tunnel", "list", "--app", "no-such-app", ""], &[]),
    (&["tunnel", "open", "d"], &["door"]),
    (&["tunnel", "open", "own"], &[]),
    (&["tunnel", "close", ""], &["own"]),
    (&["node", "remove", "home", ""], &["camera", "guest", "viewer"]),
    (&["ping", "--network", "garden", ""], &["viewer"]),
    (&["network", "grant", "home", "a"], &["anna"]),
    (&["network", "grant", "home", "anna", ""], &["door"]),
    (&["network", "role", "home", "anna", ""], &["admin", "guest", "owner"]),
    (&["run", "home", "--resource", "d"], &["door"]),
];

/// A viewer in two networks, with a door of another node in one of them and something of its own in the other.
fn town() -> (Net, Vec<crate::support::net::App>) {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    camera.expose(&format!("tcp://{}", serve(echo)), "door");
    viewer.create("garden", &net.address);
    viewer.ok(&["tunnel", "expose", "tcp://127.0.0.1:9", "--name", "own", "--network", "garden"]);
    let guest = net.app("guest");
    guest.join(&camera.invite(HOME, &["--user", "anna", "--role", "guest"]));
    viewer.ok(&["wait", "--online"]);
    (net, vec![viewer, camera, guest])
}

/// Only the names: options come with every empty word.
fn names(candidates: Vec<String>) -> Vec<String> {
    candidates.into_iter().filter(|candidate| !candidate.starts_with('-')).collect()
}

#[test]
fn bash_and_fish_offer_the_names_that_the_daemon_knows() {
    let (_net, apps) = town();
    for (line, expected) in NAMES {
        assert_eq!(names(bash(&apps[0], line)), expected, "bash: {line:?}");
        let offered = fish(&apps[0], line);
        // fish completes within a word as well, and puts what only contains it behind.
        let offered = names(offered).into_iter().filter(|name| name.starts_with(line.last().unwrap()));
        assert_eq!(offered.collect::<Vec<_>>(), expected, "fish: {line:?}");
    }
    assert!(bash(&apps[0], &["network", "inv"]).contains(&"invite".to_owned()));
    assert!(bash(&apps[0], &["network", "prune", "--un"]).contains(&"--unseen".to_owned()));
}

#[test]
fn an_invite_is_revoked_by_an_id_that_nobody_has_to_copy() {
    let (_net, apps) = town();
    apps[0].invite("garden", &["--device"]);
    let Invites { invites, .. } = apps[0].json(&["network", "invites", "garden"]);
    for line in
        [&["network", "revoke-invite", "garden", ""][..], &["network", "invite", "garden", "revoke", ""]]
    {
        assert_eq!(names(bash(&apps[0], line)), [invites[0].id.as_str()], "{line:?}");
    }
}

#[test]
fn a_tab_completes_in_bash_and_in_zsh() {
    let (net, apps) = town();
    for shell in ["bash", "zsh"] {
        let mut terminal = Typing::of(&net.lab, &apps[0], shell);
        terminal.keys("cococtl network show gar", &["Tab"]);
        terminal.shows("cococtl network show garden");
        terminal.keys("", &["C-u"]);
        terminal.keys("cococtl tunnel ope", &["Tab"]);
        terminal.shows("cococtl tunnel open");
    }
}

#[test]
fn without_a_daemon_there_are_no_names_and_no_errors() {
    let (_net, mut apps) = town();
    apps[0].kill();
    let offered = bash(&apps[0], &["network", "show", ""]);
    assert_eq!(names(offered.clone()), [""; 0]);
    assert!(offered.contains(&"--json".to_owned()));
    assert!(names(fish(&apps[0], &["tunnel", "open", "d"])).iter().all(|name| name != "door"));
}
