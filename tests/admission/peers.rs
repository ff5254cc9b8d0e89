//! Nodes that are not members, no longer members, or members of something else.

use std::fs;
use std::path::Path;
use std::time::Duration;

use coconet::invite::Invitation;
use coconet::key::InviteSecret;
use coconet::ledger::{Entry, stamp};
use coconet::wire::PROTOCOL_VERSION;
use coconet::wire::code::Close;
use coconet::wire::node::Hello;

use crate::guarded::{BLIND, SAFE, Seen, Target, keys, seen};
use crate::stranger::{Stranger, refused};
use crate::support::net::{App, HOME, Net};
use crate::support::process::run;
use crate::support::programs::{command, ours};
use crate::support::wait::{PATIENCE, is, until};

/// A node's streams are cut so long after its removal at most.
const CUT_WITHIN: Duration = Duration::from_secs(5);

/// A camera with a network of its own and the resource.
fn camera(net: &Net, target: &Target) -> App {
    let camera = net.app("camera");
    camera.create(HOME, &net.address);
    camera.expose(&target.url(), SAFE);
    camera
}

#[test]
fn a_node_whose_join_was_never_stamped_gets_nothing() {
    let net = Net::new();
    let target = Target::start();
    let camera = camera(&net, &target);
    let invite: Invitation = camera.invite(HOME, &["--self"]).parse().unwrap();
    let seen = seen(&net.lab, &camera);
    let visits = target.visits();
    let stranger = Stranger::new();

    // It knows the network, the head, the exporter's key and address; it is only not a member.
    assert_eq!(stranger.attacks(&seen, &seen.hello(), &[]), refused(Close::NotAMember));
    // It claims that its join is on the way, and never shows it.
    assert_eq!(stranger.attacks(&seen, &seen.ahead(1), &[]), refused(Close::NotAMember));

    // It shows one: by a real invite, but stamped by itself, or by nobody.
    let head = seen.ledger.head();
    let next = seen.ledger.seq() + 1;
    let time = seen.ledger.time() + 1;
    let own = stamp(&stranger.keys, invite.join(&stranger.keys, head, &name("intruder"), BLIND), next, time);
    let mut borrowed = own.clone();
    borrowed.stamp.manager = Entry::from_bytes(&seen.entries[0]).unwrap().stamp.manager;
    for entry in [own, borrowed] {
        let outcome = stranger.attacks(&seen, &seen.ahead(1), &[entry.to_bytes()]);
        assert_eq!(outcome, refused(Close::Protocol));
    }
    // It shows the whole of a ledger that is its own, or nonsense.
    for entries in [seen.entries.clone(), vec![vec![0xff; 60_000]; 8], vec![Vec::new()]] {
        let outcome = stranger.attacks(&seen, &seen.ahead(9), &entries);
        assert!(matches!(outcome.close, Close::Protocol | Close::NotAMember), "{outcome:?}");
        assert_eq!(outcome.bytes, 0);
    }

    assert_eq!(target.visits(), visits, "the target was reached");
    let ledger = camera.network(HOME).ledger;
    assert_eq!((ledger.seq, ledger.alarm), (seen.ledger.seq(), None), "anybody can write an entry");

    // The same keys with a stamp do get in, so it was the stamp.
    let joined = Stranger::with(join(&net, &camera));
    let seen = self::seen(&net.lab, &camera);
    drop(joined.gets_in(&seen));
}

/// A node joins in good faith and its daemon ends; returns its keys.
fn join(net: &Net, camera: &App) -> coconet::key::NodeKeys {
    let mut app = net.app("viewer");
    app.join(&camera.invite(HOME, &["--self"]));
    let keys = keys(&net.lab.path("viewer"));
    app.kill();
    keys
}

fn name(text: &str) -> coconet::name::Name {
    text.parse().unwrap()
}

#[test]
fn a_removed_node_is_cut_at_once_and_its_keys_are_worth_nothing() {
    let net = Net::new();
    let target = Target::start();
    let camera = camera(&net, &target);
    let thief = Stranger::with(join(&net, &camera));
    let before = seen(&net.lab, &camera);
    let inside = thief.gets_in(&before);

    let (took, code) = thief.holds_on(inside, || {
        camera.ok(&["node", "remove", HOME, "viewer"]);
    });

    assert!(took < CUT_WITHIN, "{took:?}");
    assert_eq!(code, Close::Revoked);
    let visits = target.visits();
    let after = seen(&net.lab, &camera);
    for hello in [before.hello(), after.hello(), after.ahead(1), after.ahead(u64::from(u32::MAX))] {
        assert_eq!(thief.attacks(&after, &hello, &before.entries), refused(Close::Revoked));
    }
    // An invite does not bring the same keys back.
    let invite: Invitation = camera.invite(HOME, &["--self"]).parse().unwrap();
    let now = seen(&net.lab, &camera);
    let join = invite.join(&thief.keys, now.ledger.head(), &name("viewer"), BLIND);
    assert!(now.ledger.admit(&join, now.ledger.time()).is_err());
    assert_eq!(target.visits(), visits, "the target was reached");
}

#[test]
fn a_state_directory_copied_before_the_removal_is_of_no_use_after_it() {
    let net = Net::new();
    let target = Target::start();
    let camera = camera(&net, &target);
    let mut viewer = net.app("viewer");
    viewer.join(&camera.invite(HOME, &["--self"]));
    viewer.open(SAFE);
    viewer.kill();
    copy(&net.lab.path("viewer"), &net.lab.path("clone"));
    camera.ok(&["node", "remove", HOME, "viewer"]);
    let visits = target.visits();

    let clone = net.app("clone");

    until("it is told", PATIENCE, || {
        let tunnel = clone.tunnel(SAFE);
        is(tunnel.reason.as_ref().is_some_and(|reason| reason.contains("removed")), format!("{tunnel:?}"))
    });
    clone.refused(&[8], &["ping", "camera"]);
    let address = clone.tunnel(SAFE).listen.unwrap();
    let mut nc = command("/bin/bash");
    nc.args(["-c", &format!("cat < /dev/tcp/{}", address.replace(':', "/"))]);
    let ran = run(&mut nc, b"", PATIENCE);
    assert_eq!(ran.stdout, "", "{ran:?}");
    assert_eq!(target.visits(), visits, "the target was reached");
}

fn copy(from: &Path, to: &Path) {
    let mut cp = command("/bin/cp");
    assert_eq!(run(cp.arg("-a").args([from, to]), b"", PATIENCE).code, 0);
    // What a daemon's end leaves behind is not in the way of the next.
    let _ = fs::remove_file(to.join("control.sock"));
}

#[test]
fn a_node_of_another_network_gets_nothing() {
    let net = Net::new();
    let target = Target::start();
    let camera = camera(&net, &target);
    let mut other = net.app("other");
    other.create("elsewhere", &net.address);
    let member_elsewhere = Stranger::with(keys(&net.lab.path("other")));
    let elsewhere: coconet::id::NetworkId = other.network("elsewhere").id.parse().unwrap();
    other.kill();
    let seen = seen(&net.lab, &camera);
    let visits = target.visits();

    let hello = Hello { network: elsewhere, ..seen.hello() };
    assert_eq!(member_elsewhere.attacks(&seen, &hello, &[]), refused(Close::WrongNetwork));
    assert_eq!(member_elsewhere.attacks(&seen, &seen.hello(), &[]), refused(Close::NotAMember));
    let later = Hello { version: PROTOCOL_VERSION + 1, ..seen.hello() };
    assert_eq!(member_elsewhere.attacks(&seen, &later, &[]), refused(Close::UpdateNeeded));
    assert_eq!(target.visits(), visits, "the target was reached");
}

#[test]
fn an_invite_that_nobody_wrote_is_worth_nothing_at_the_manager() {
    let net = Net::new();
    let target = Target::start();
    let camera = camera(&net, &target);
    let mut invite: Invitation = camera.invite(HOME, &["--self"]).parse().unwrap();
    invite.secret = InviteSecret::from_seed(&[66; 32]);
    let intruder = net.app("intruder");
    let told = intruder.refused(&[1], &["network", "join", &invite.to_text()]);
    assert!(told.contains("\nhint: "), "{told}");
    let Seen { ledger, .. } = seen(&net.lab, &camera);
    assert_eq!(ledger.state().nodes().len(), 1);
    let list = run(
        command(ours("cococtl")).arg("--socket").arg(intruder.socket()).args(["network", "list"]),
        b"",
        PATIENCE,
    );
    assert_eq!((list.code, list.stdout.contains(HOME)), (0, false));
}
