//! An app that is for something in particular.

use coconet::control::{Invites, Members};

use crate::support::net::{HOME, Net};
use crate::support::targets::{echo, serve};

#[test]
fn an_app_that_joined_for_one_resource_opens_that_one_and_changes_nothing() {
    let net = Net::new();
    let (owner, player) = (net.app("owner"), net.app("player"));
    owner.create(HOME, &net.address);
    let target = serve(echo);
    owner.expose(&format!("tcp://{target}"), "door");
    owner.expose(&format!("tcp://{target}"), "files");

    let words = ["network", "invite", HOME, "--self", "--only"];
    assert!(owner.refused(&[2], &[&words[..], &["Front Door"]].concat()).contains("kinds"));
    owner.refused(&[2], &["network", "invite", HOME, "--device", "--only", "rtsp"]);
    let invite = owner.invite(HOME, &["--self", "--only", "door,rtsp"]);
    let Invites { invites, .. } = owner.json(&["network", "invites", HOME]);
    assert_eq!(invites[0].only.as_ref().map(ToString::to_string).as_deref(), Some("rtsp,door"));
    player.join(&invite);

    player.open("door");
    // An owner's app, and still: what it is not for looks like what is not there.
    let (files, none) = (
        player.refused(&[4], &["tunnel", "open", "files"]),
        player.refused(&[4], &["tunnel", "open", "xyz"]),
    );
    assert_eq!(files.replace("files", "X"), none.replace("xyz", "X"));
    assert!(player.refused(&[4], &["network", "invite", HOME, "--self"]).contains("an app with a scope"));
    player.refused(&[4], &["network", "grant", HOME, "owner", "door", "--can", "connect"]);

    assert!(player.ok(&["status"]).contains("only rtsp,door"));
    assert!(owner.ok(&["network", "members", HOME]).contains("app only rtsp,door"));
    assert!(owner.ok(&["network", "log", HOME]).contains("invite own next app, only rtsp,door"));
    let Members { users, .. } = owner.json(&["network", "members", HOME]);
    let limited = users.iter().flat_map(|user| &user.nodes).filter(|node| node.only.is_some());
    assert_eq!(limited.map(|node| node.name.as_str()).collect::<Vec<_>>(), ["player"]);
    player.ok(&["network", "leave", HOME]);
}
