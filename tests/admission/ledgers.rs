//! Ledgers that a manager has bent: other entries than were written, in another order or at another time,
//! fewer of them, or not the same for everybody.

use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use coconet::control::{Audit, Log, Proof};
use coconet::invite::Invitation;
use coconet::key::{InviteSecret, NodeKeys};
use coconet::ledger::{Draft, Entry, Invite, Op, Purpose};
use coconet::wire::code::Close;

use crate::guarded::{BLIND, SAFE, SECRET, Seen, Target, keys, seen};
use crate::liar::Liar;
use crate::stranger::{Stranger, refused};
use crate::support::net::{App, HOME, Net};
use crate::support::wait::{PATIENCE, is, until};

/// Streams are cut so long after the exporter knows at most.
const CUT_WITHIN: Duration = Duration::from_secs(5);

/// A network at a manager that lies: a camera with the resource, and nobody else yet.
struct Scene {
    liar: Liar,
    camera: App,
    target: Target,
    net: Net,
}

fn scene() -> Scene {
    let net = Net::new();
    let (liar, target) = (Liar::start(), Target::start());
    let camera = net.app("camera");
    camera.create(HOME, &liar.address);
    camera.expose(&target.url(), SAFE);
    Scene { liar, camera, target, net }
}

impl Scene {
    fn seen(&self) -> Seen {
        seen(&self.net.lab, &self.camera)
    }

    fn keys(&self, app: &App) -> NodeKeys {
        keys(&self.net.lab.path(&app.name))
    }

    /// An invite as the camera's owner has signed it on top of `prev`; the secret is `secret`.
    fn invite(&self, prev: coconet::id::Hash, secret: u8) -> Draft {
        let network = self.seen().ledger.state().network();
        let key = InviteSecret::from_seed(&[secret; 32]).key();
        let purpose = Purpose::SelfApp;
        let invite = Invite { key, purpose, uses: 1, expires: u64::MAX, node_name: None, only: None };
        Draft::new(&self.keys(&self.camera), network, prev, &Op::Invite(invite), BLIND)
    }

    /// The camera has raised the alarm, has taken nothing since `before`, and takes nothing any more.
    fn assert_is_found_out(&self, before: &Seen, why: &str) {
        let told = alarm(&self.camera);
        assert!(told.contains(why), "{told}");
        let told = self.camera.refused(&[1, 6], &["network", "invite", HOME, "--self"]);
        assert!(told.contains("manager"), "{told}");
        assert_eq!(self.seen().ledger.head(), before.ledger.head(), "the camera took what it was shown");
    }
}

/// What `app` says when it has raised the alarm.
fn alarm(app: &App) -> String {
    until(&format!("{} raises the alarm", app.name), PATIENCE, || {
        let ledger = app.network(HOME).ledger;
        ledger.alarm.clone().ok_or_else(|| format!("{ledger:?}"))
    })
}

/// `app` has the entries up to `seq`.
fn has(app: &App, seq: u64) {
    until(&format!("{} has entry {seq}", app.name), PATIENCE, || {
        let ledger = app.network(HOME).ledger;
        is(ledger.seq == seq, format!("{ledger:?}"))
    });
}

/// What the audit of `app` has to say, which is not good.
fn audit(app: &App) -> Audit {
    let ran = app.ctl(&["--json", "network", "audit", HOME]);
    assert_eq!(ran.code, 1, "{ran:?}");
    serde_json::from_str(&ran.stdout).unwrap()
}

/// Whoever has a verifier can convince themselves: two entries that one manager has stamped with one
/// number.
fn assert_proves(proof: &Proof, seq: u64) {
    let [first, second] = [&proof.first, &proof.second].map(|hex| entry(hex));
    assert_eq!([proof.seq, first.stamp.seq, second.stamp.seq], [seq; 3]);
    assert_eq!(first.stamp.manager, second.stamp.manager);
    assert_eq!(first.draft.header.network, second.draft.header.network);
    assert_ne!(first.hash(), second.hash());
    first.verify_stamp().unwrap();
    second.verify_stamp().unwrap();
}

fn entry(hex: &str) -> Entry {
    let bytes = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
    Entry::from_bytes(&bytes.collect::<Vec<u8>>()).unwrap()
}

#[test]
fn a_manager_that_reorders_two_entries_is_found_out() {
    let scene = scene();
    let before = scene.seen();
    let first = scene.invite(before.ledger.head(), 1);
    let second = scene.invite(first.hash(), 2);

    scene.liar.stamps_all([second, first]);

    scene.assert_is_found_out(&before, "contradicts");
    let proofs = audit(&scene.camera).proofs;
    let [known, moved] = [&proofs[0].first, &proofs[0].second].map(|hex| entry(hex));
    assert_eq!(known.hash(), before.ledger.head());
    assert_eq!(moved.stamp.seq, known.stamp.seq + 1);
    assert_ne!(moved.draft.header.prev, known.hash());
    known.verify_stamp().unwrap();
    moved.verify_stamp().unwrap();
}

#[test]
fn a_manager_that_stamps_a_time_before_the_parents_is_found_out() {
    let scene = scene();
    let before = scene.seen();
    scene.liar.stamps_at(scene.invite(before.ledger.head(), 1), before.ledger.time() - 1);
    scene.assert_is_found_out(&before, "before its parent");
}

#[test]
fn a_manager_that_replays_an_entry_of_another_network_is_found_out() {
    for restamped in [false, true] {
        let scene = scene();
        let mut other = scene.net.app("other");
        other.create("elsewhere", &scene.net.address);
        // Numbered as the next that the camera expects.
        for _ in 0..scene.seen().ledger.seq() + 1 {
            other.invite("elsewhere", &["--self"]);
        }
        let before = scene.seen();
        let foreign = seen_elsewhere(&scene, &other, before.ledger.seq() + 1);
        other.kill();

        if restamped {
            scene.liar.stamps(foreign.draft);
        } else {
            scene.liar.shows(foreign);
        }

        let why = if restamped { "another network" } else { "not by a manager of this network" };
        scene.assert_is_found_out(&before, why);
    }
}

/// The entry `seq` of the other network.
fn seen_elsewhere(scene: &Scene, other: &App, seq: u64) -> Entry {
    let file = scene.net.lab.path(&other.name).join("state.db");
    let database = rusqlite::Connection::open(file).unwrap();
    let row = |row: &rusqlite::Row<'_>| row.get::<_, Vec<u8>>(0);
    let bytes = database
        .query_row("SELECT bytes FROM entries WHERE seq = ?1", [i64::try_from(seq).unwrap()], row)
        .unwrap();
    Entry::from_bytes(&bytes).unwrap()
}

#[test]
fn a_fork_between_two_members_is_proved_as_soon_as_they_talk() {
    let Scene { liar, mut camera, target, net } = scene();
    let mut viewer = net.app("viewer");
    viewer.join(&camera.invite(HOME, &["--self"]));
    // One use, and each of the two sees another use it.
    let invite: Invitation = camera.invite(HOME, &["--self"]).parse().unwrap();
    let common = seen(&net.lab, &camera);
    has(&viewer, common.ledger.seq());
    let (left, right) = (Stranger::new(), Stranger::new());
    let number = common.ledger.seq() + 1;
    let visits = target.visits();
    let joins = |stranger: &Stranger, name: &str| {
        invite.join(&stranger.keys, common.ledger.head(), &name.parse().unwrap(), BLIND)
    };
    let (ours, theirs) = (keys(&net.lab.path("camera")), keys(&net.lab.path("viewer")));
    liar.stamps_for(ours.static_key(), joins(&left, "left"));
    liar.stamps_for(theirs.static_key(), joins(&right, "right"));
    has(&camera, number);
    has(&viewer, number);
    assert_eq!((camera.network(HOME).ledger.alarm, viewer.network(HOME).ledger.alarm), (None, None));

    let ping = viewer.ctl(&["ping", "camera"]);
    assert!([1, 6].contains(&ping.code), "{ping:?}");

    let alarms = [alarm(&camera), alarm(&viewer)];
    let proofs = [audit(&camera).proofs, audit(&viewer).proofs];
    for proofs in &proofs {
        assert_eq!(proofs.len(), 1);
        assert_proves(&proofs[0], number);
    }
    assert_eq!(proofs[0][0].first, proofs[1][0].second);
    camera.kill();
    viewer.kill();
    camera.start();
    viewer.start();
    assert_eq!([alarm(&camera), alarm(&viewer)], alarms);
    assert_eq!([audit(&camera).proofs, audit(&viewer).proofs], proofs);

    // A good entry comes too late for this manager.
    let now = seen(&net.lab, &camera);
    let key = InviteSecret::from_seed(&[1; 32]).key();
    let more =
        Invite { key, purpose: Purpose::SelfApp, uses: 1, expires: u64::MAX, node_name: None, only: None };
    liar.stamps_for(ours.static_key(), now.ledger.draft(&ours, &Op::Invite(more), BLIND));
    until("the camera wants nothing of it", PATIENCE, || {
        let reason = camera.network(HOME).manager.reason;
        is(
            reason.as_ref().is_some_and(|reason| reason.contains("no entries are taken")),
            format!("{reason:?}"),
        )
    });
    let now = seen(&net.lab, &camera);
    assert_eq!(now.ledger.seq(), number);
    // Who came in by the other half of the fork gets nothing where the resource is.
    for hello in [common.hello(), now.hello(), now.ahead(1)] {
        assert_eq!(right.attacks(&now, &hello, &now.entries), refused(Close::NotAMember));
    }
    assert_eq!(target.visits(), visits, "the target was reached");
}

#[test]
fn a_manager_that_shows_less_after_its_restart_is_found_out() {
    let scene = scene();
    scene.camera.invite(HOME, &["--self"]);
    let before = scene.seen();

    scene.liar.restarts_with(usize::try_from(before.ledger.seq()).unwrap());

    scene.assert_is_found_out(&before, &format!("where {} was seen", before.ledger.seq()));
}

/// The owner of a network at a manager that lies, a device `camera` with the resource, and a guest who may
/// use it.
struct Household {
    liar: Liar,
    owner: App,
    camera: App,
    gina: App,
    target: Target,
    net: Net,
}

fn household() -> Household {
    let net = Net::new();
    let (liar, target) = (Liar::start(), Target::start());
    let (owner, camera, gina) = (net.app("owner"), net.app("camera"), net.app("gina"));
    owner.create(HOME, &liar.address);
    camera.join(&owner.invite(HOME, &["--device"]));
    camera.expose(&target.url(), SAFE);
    gina.join(&owner.invite(HOME, &["--user", "gina", "--role", "guest"]));
    Household { liar, owner, camera, gina, target, net }
}

impl Household {
    fn grant(&self) -> u64 {
        self.owner.ok(&["network", "grant", HOME, "gina", SAFE, "--can", "connect"]);
        let seq = self.owner.network(HOME).ledger.seq;
        has(&self.camera, seq);
        has(&self.gina, seq);
        seq
    }

    /// Gina knows that there is an entry `seq`, and not what it says.
    fn assert_is_withheld(&self, seq: u64) {
        has(&self.gina, seq);
        let log: Log = self.gina.json(&["network", "log", HOME]);
        let line = log.entries.iter().find(|line| line.seq == seq).unwrap();
        assert_eq!(line.what, None, "{line:?}");
        assert_eq!(self.gina.network(HOME).ledger.alarm, None);
    }
}

#[test]
fn a_revocation_that_the_manager_hides_cuts_the_guest_as_soon_as_its_author_talks_to_the_exporter() {
    let home = household();
    home.grant();
    let mut stream = TcpStream::connect(home.gina.open_address(SAFE)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut secret = [0; SECRET.len()];
    stream.read_exact(&mut secret).unwrap();
    assert_eq!(secret, SECRET);
    let before = home.camera.network(HOME).ledger.seq;
    home.liar.keeps_in_the_dark(keys(&home.net.lab.path("camera")).static_key());
    home.owner.ok(&["network", "revoke", HOME, "gina", SAFE]);
    assert_eq!(home.camera.network(HOME).ledger.seq, before, "it was told");
    let visits = home.target.visits();

    let talked = Instant::now();
    home.owner.ok(&["ping", "camera"]);

    let end = stream.read(&mut [0]);
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    assert!(talked.elapsed() < CUT_WITHIN, "{:?}", talked.elapsed());
    has(&home.camera, before + 1);
    // Gina's own tunnel may still listen; it leads nowhere.
    home.gina.ok(&["tunnel", "close", SAFE]);
    home.gina.refused(&[4], &["tunnel", "open", SAFE]);
    assert_eq!(home.target.visits(), visits, "the target was reached");
    // The manager shows the camera less than it has stamped, and the camera now knows.
    let told = alarm(&home.camera);
    assert!(told.contains(&format!("entry {before} as its last")), "{told}");
}

#[test]
fn a_grant_that_the_manager_redacts_for_its_guest_is_missed_as_soon_as_it_talks_to_a_member() {
    let home = household();
    let next = home.owner.network(HOME).ledger.seq + 1;
    home.liar.redacts(next);
    assert_eq!(home.grant(), next);
    home.assert_is_withheld(next);

    home.gina.ok(&["ping", "camera"]);

    let told = alarm(&home.gina);
    assert!(told.contains("leaves out"), "{told}");
    let audit = audit(&home.gina);
    assert_eq!((audit.alarm, audit.proofs.len()), (Some(told), 0));
    // The members have nothing to complain of, and go by what they know.
    assert_eq!(home.camera.network(HOME).ledger.alarm, None);
}

#[test]
fn a_removed_device_that_the_manager_hides_from_a_guest_is_missed_as_soon_as_it_talks_to_a_member() {
    let home = household();
    let mut thief = home.net.app("thief");
    thief.join(&home.owner.invite(HOME, &["--device"]));
    thief.kill();
    let next = home.owner.network(HOME).ledger.seq + 1;
    home.liar.redacts(next);
    home.owner.ok(&["node", "remove", HOME, "thief"]);
    has(&home.camera, next);
    home.assert_is_withheld(next);

    home.gina.ok(&["ping", "camera"]);

    let told = alarm(&home.gina);
    assert!(told.contains("leaves out"), "{told}");
}
