//! A manager that does not keep to the rules: whatever it shows, nobody gets in by it, and members get to
//! know.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use coconet::invite::Invitation;
use coconet::key::{InviteSecret, NodeKeys, Signature};
use coconet::ledger::{Draft, Invite, Op, Purpose, RemoveNode};
use coconet::wire::code::Close;

use crate::guarded::{BLIND, SAFE, SECRET, Seen, Target, keys, seen};
use crate::liar::Liar;
use crate::stranger::{Stranger, refused};
use crate::support::net::{App, HOME, Net};
use crate::support::wait::{PATIENCE, is, until};

/// A network at a manager that lies: the camera with the resource, and a viewer that has it open.
struct Scene {
    liar: Liar,
    camera: App,
    viewer: App,
    target: Target,
    /// Where the viewer's tunnel listens.
    tunnel: SocketAddr,
    net: Net,
}

fn scene() -> Scene {
    let net = Net::new();
    let liar = Liar::start();
    let target = Target::start();
    let (camera, viewer) = (net.app("camera"), net.app("viewer"));
    camera.create(HOME, &liar.address);
    camera.expose(&target.url(), SAFE);
    viewer.join(&camera.invite(HOME, &["--self"]));
    let tunnel = viewer.open_address(SAFE);
    Scene { liar, camera, viewer, target, tunnel, net }
}

impl Scene {
    fn seen(&self) -> Seen {
        seen(&self.net.lab, &self.camera)
    }

    fn camera_keys(&self) -> NodeKeys {
        keys(&self.net.lab.path("camera"))
    }

    /// The camera has raised the alarm and says so; returns what it says.
    fn alarm(&self) -> String {
        until("the alarm", PATIENCE, || {
            let ledger = self.camera.network(HOME).ledger;
            ledger.alarm.clone().ok_or_else(|| format!("{ledger:?}"))
        })
    }

    /// The tunnel of those who are members still works, over a new connection as well.
    fn assert_members_are_served(&self) {
        let mut stream = TcpStream::connect(self.tunnel).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut secret = [0; SECRET.len()];
        stream.read_exact(&mut secret).unwrap();
        assert_eq!(secret, SECRET);
    }

    /// `intruder` stands in what the manager shows, and gets nothing.
    fn assert_is_kept_out(&self, intruder: &Stranger, before: &Seen) {
        let now = self.seen();
        let own = (now.ledger.seq(), now.ledger.head());
        assert_eq!(own, (before.ledger.seq(), before.ledger.head()), "the camera took what it was shown");
        let visits = self.target.visits();
        assert_eq!(intruder.attacks(&now, &now.hello(), &[]), refused(Close::NotAMember));
        let outcome = intruder.attacks(&now, &now.ahead(1), &[]);
        assert_eq!(outcome, refused(Close::NotAMember));
        assert_eq!(self.target.visits(), visits, "the target was reached");
    }
}

/// An invite as its holder has it.
fn invitation(seen: &Seen, secret: [u8; 32]) -> Invitation {
    let state = seen.ledger.state();
    let secret = InviteSecret::from_seed(&secret);
    Invitation { network: state.network(), managers: state.managers().to_vec(), secret, expires: u64::MAX }
}

fn invite_op(invitation: &Invitation) -> Op {
    Op::Invite(Invite {
        key: invitation.secret.key(),
        purpose: Purpose::SelfApp,
        uses: 1,
        expires: u64::MAX,
        node_name: None,
        only: None,
    })
}

fn join(invitation: &Invitation, intruder: &Stranger, liar: &Liar) -> Draft {
    invitation.join(&intruder.keys, liar.head(), &"intruder".parse().unwrap(), BLIND)
}

#[test]
fn a_manager_cannot_admit_a_node_by_an_invite_that_nobody_wrote() {
    let scene = scene();
    let before = scene.seen();
    let intruder = Stranger::new();
    let made_up = invitation(&before, [66; 32]);

    scene.liar.stamps(join(&made_up, &intruder, &scene.liar));

    let alarm = scene.alarm();
    assert!(alarm.contains("manager"), "{alarm}");
    scene.assert_is_kept_out(&intruder, &before);
    scene.assert_members_are_served();
}

#[test]
fn a_manager_cannot_write_an_invite_in_the_name_of_the_owner() {
    let scene = scene();
    let before = scene.seen();
    let intruder = Stranger::new();
    let made_up = invitation(&before, [66; 32]);

    // By the owner, says the header; the signature is the intruder's, who is nobody.
    let mut forged = before.ledger.draft(&intruder.keys, &invite_op(&made_up), BLIND);
    forged.header.author = scene.camera_keys().id();
    scene.liar.stamps(forged);
    scene.liar.stamps(join(&made_up, &intruder, &scene.liar));

    scene.alarm();
    scene.assert_is_kept_out(&intruder, &before);
}

#[test]
fn a_manager_cannot_write_in_its_own_name() {
    let scene = scene();
    let before = scene.seen();
    let intruder = Stranger::new();
    let made_up = invitation(&before, [66; 32]);

    scene.liar.stamps(before.ledger.draft(&intruder.keys, &invite_op(&made_up), BLIND));

    scene.alarm();
    scene.assert_is_kept_out(&intruder, &before);
}

#[test]
fn a_manager_that_changes_a_signed_op_is_found_out() {
    let scene = scene();
    let before = scene.seen();
    let intruder = Stranger::new();
    let (wanted, instead) = (invitation(&before, [1; 32]), invitation(&before, [2; 32]));
    // The owner has signed an invite; the manager puts another op under the signature.
    let mut draft = before.ledger.draft(&scene.camera_keys(), &invite_op(&wanted), BLIND);
    draft.body = before.ledger.draft(&scene.camera_keys(), &invite_op(&instead), BLIND).body;
    scene.liar.stamps(draft);
    scene.liar.stamps(join(&instead, &intruder, &scene.liar));

    scene.alarm();
    scene.assert_is_kept_out(&intruder, &before);

    let mut draft = before.ledger.draft(&scene.camera_keys(), &invite_op(&wanted), BLIND);
    draft.signature = Signature([0; 64]);
    assert!(draft.verify_author().is_err());
}

#[test]
fn a_manager_that_takes_an_entry_back_is_found_out() {
    let scene = scene();
    scene.camera.ok(&["network", "invite", HOME, "--self"]);
    let before = scene.seen();

    scene.liar.rolls_back();

    let alarm = scene.alarm();
    assert!(alarm.contains(&before.ledger.seq().to_string()), "{alarm}");
    assert_eq!(scene.seen().ledger.head(), before.ledger.head());
    scene.assert_members_are_served();
    // Nothing more is taken from it.
    let told = scene.camera.refused(&[1, 6], &["network", "invite", HOME, "--self"]);
    assert!(told.contains("manager"), "{told}");
    assert_eq!(scene.seen().ledger.head(), before.ledger.head());
}

/// Two who hold one invite have signed their joins on top of the same head; the camera has seen the first.
/// With what the manager could show instead: the second, and something after that.
fn two_joins(scene: &Scene) -> (Stranger, Stranger, [Draft; 2]) {
    let invite: Invitation = scene.camera.invite(HOME, &["--self", "--uses=2"]).parse().unwrap();
    let (left, right) = (Stranger::new(), Stranger::new());
    let first = join(&invite, &left, &scene.liar);
    let second = join(&invite, &right, &scene.liar);
    let seen = scene.seen();
    let remove = Op::RemoveNode(RemoveNode { node: right.keys.id() });
    let more = Draft::new(&scene.camera_keys(), seen.ledger.state().network(), second.hash(), &remove, BLIND);
    scene.liar.stamps(first);
    until("the camera has the first", PATIENCE, || {
        let seq = scene.camera.network(HOME).ledger.seq;
        is(seq == seen.ledger.seq() + 1, seq)
    });
    (left, right, [second, more])
}

#[test]
fn a_manager_that_stamps_two_entries_of_one_number_is_found_out() {
    let scene = scene();
    let (left, right, [second, _]) = two_joins(&scene);

    scene.liar.replaces_newest([second]);
    scene.alarm();

    let now = scene.seen();
    assert!(now.ledger.state().nodes().contains_key(&left.keys.id()));
    scene.assert_is_kept_out(&right, &now);
    drop(left.gets_in(&now));
}

#[test]
fn a_manager_that_goes_on_with_another_ledger_is_found_out() {
    let scene = scene();
    let (_, right, drafts) = two_joins(&scene);
    let before = scene.seen();

    scene.liar.replaces_newest(drafts);

    let alarm = scene.alarm();
    assert!(alarm.contains("contradicts what was verified"), "{alarm}");
    scene.assert_is_kept_out(&right, &before);
    scene.assert_members_are_served();
}

#[test]
fn a_fork_is_found_out_when_a_node_of_the_other_side_calls() {
    let scene = scene();
    let (_, right, drafts) = two_joins(&scene);
    let before = scene.seen();
    scene.liar.keeps_in_the_dark(before.key);
    scene.liar.replaces_newest(drafts);
    let visits = scene.target.visits();

    let outcome = right.attacks(&before, &before.ahead(1), &scene.liar.entries(before.ledger.seq()));

    assert_eq!(outcome, refused(Close::LedgerFork));
    let alarm = scene.alarm();
    assert!(alarm.contains("contradicts what was verified"), "{alarm}");
    assert_eq!(scene.target.visits(), visits, "the target was reached");
    assert_eq!(scene.seen().ledger.head(), before.ledger.head());
}

#[test]
fn a_removal_that_the_manager_hides_is_known_as_soon_as_two_members_talk() {
    let scene = scene();
    let thief = Stranger::with({
        let mut app = scene.net.app("thief");
        app.join(&scene.camera.invite(HOME, &["--self"]));
        let keys = keys(&scene.net.lab.path("thief"));
        app.kill();
        keys
    });
    let before = scene.seen();
    let inside = thief.gets_in(&before);
    scene.liar.keeps_in_the_dark(before.key);
    scene.viewer.ok(&["node", "remove", HOME, "thief"]);
    assert_eq!(scene.camera.network(HOME).ledger.seq, before.ledger.seq(), "it was told");

    // They are in touch already; a new session is where they compare their ledgers.
    let mut viewer = scene.viewer;
    viewer.kill();
    let (took, code) = thief.holds_on(inside, || {
        viewer.start();
    });

    assert_eq!(code, Close::Revoked);
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn a_manager_that_points_to_an_impostor_leads_nobody_to_it() {
    let scene = scene();
    let impostor = Stranger::new();
    let mut viewer = scene.viewer;
    viewer.ok(&["tunnel", "close", SAFE]);
    viewer.kill();
    // Nothing remembered: the manager's word is all there is.
    let database = rusqlite::Connection::open(scene.net.lab.path("viewer").join("state.db")).unwrap();
    database.execute("DELETE FROM peers", []).unwrap();
    drop(database);
    let mut camera = scene.camera;
    camera.kill();
    scene.liar.points_to(impostor.address());
    viewer.start();
    viewer.wait_online();

    let told = viewer.refused(&[6], &["tunnel", "open", SAFE, "--timeout", "2s"]);

    assert!(told.contains("\nhint: "), "{told}");
    assert_eq!(impostor.sessions(), 0);
}

#[test]
fn a_connection_that_was_open_before_the_lie_goes_on() {
    let scene = scene();
    let mut stream = TcpStream::connect(scene.tunnel).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.read_exact(&mut [0; SECRET.len()]).unwrap();
    let intruder = Stranger::new();
    let made_up = invitation(&scene.seen(), [66; 32]);

    scene.liar.stamps(join(&made_up, &intruder, &scene.liar));
    scene.alarm();

    stream.write_all(b"still here").unwrap();
    let mut back = [0; 10];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"still here");
}
