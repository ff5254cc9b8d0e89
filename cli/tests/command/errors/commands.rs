//! What commands find out themselves: in files, in good answers, and about the terminal.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use coconet::ledger::{Op, Withdraw, stamp};
use serde_json::{Value, json};

use super::page::Page;
use crate::applying::{FILE, before, daemon as applying};
use crate::daemon::{Daemon, failure, http, network, status, tunnel};
use crate::ledger::{audit, file_of, forbidden, foreign, keys, ledger, note, proof, unknown};
use crate::membership::with_old_nodes;

#[test]
fn a_file_that_does_not_serve_is_said_to_be_which() {
    let mut page = Page::new("files");
    let daemon = Daemon::saying(200, &tunnel(None));
    page.with(daemon);
    page.shows(
        "a file is not there, or none",
        &[
            "cococtl network join --file nowhere",
            "cococtl network join --file bin",
            "cococtl network join - < bin",
            "cococtl network recover --file nowhere",
            "cococtl network apply nowhere",
            "cococtl network apply - < bin",
            "cococtl network verify nowhere",
            "cococtl network verify - < bin",
            "cococtl tunnel expose rtsp://cam/s --name cam --login-file nowhere",
            "cococtl tunnel expose rtsp://cam/s --name cam --login-file - < bin",
        ],
    );
    page.file("open.login", "admin:secret");
    page.file("no.login", "admin");
    for (file, mode) in [("open.login", 0o644), ("no.login", 0o600)] {
        fs::set_permissions(page.stage.join(file), Permissions::from_mode(mode)).unwrap();
    }
    page.shows(
        "others can read a login",
        &["cococtl tunnel expose rtsp://cam/s --name cam --login-file open.login"],
    );
    page.shows("it is no login", &["cococtl tunnel expose rtsp://cam/s --name cam --login-file no.login"]);
    page.shows(
        "an option is for another kind of target",
        &["cococtl tunnel expose tcp://cam:1 --name cam --login-file no.login"],
    );
    page.compare();
}

#[test]
fn a_ledger_that_does_not_verify_is_said_why() {
    let mut page = Page::new("ledgers");
    page.without();
    let entries = ledger();
    let whole = file_of(&entries);
    let mut bent = entries.clone();
    bent[1].stamp.time += 1;
    let mut early = entries.clone();
    early[2] = note(&entries[1], "two", entries[1].stamp.time - 1);
    let mut guests = entries.clone();
    guests[1].draft.body = None;
    let mut draft = entries[1].draft.clone();
    draft.signature = entries[2].draft.signature;
    let forged = [entries[0].clone(), stamp(&keys(200), draft, 1, entries[1].stamp.time)];
    let withdraw = Op::Withdraw(Withdraw { name: "door".parse().unwrap() });
    let cases: [(&str, &str, Vec<u8>); 13] = [
        ("it is something else", "letter.txt", b"hello".to_vec()),
        ("it is empty", "empty.ledger", b"coco-ledger-1\n".to_vec()),
        ("it is cut off", "cut.ledger", whole[..whole.len() - 1].to_vec()),
        ("an entry is none", "strange.ledger", [&whole[..], &[0, 0, 0, 2, 1, 2]].concat()),
        ("an entry is too long to be one", "long.ledger", [&whole[..], b"\xff\xff\xff\xff"].concat()),
        ("a stamp was changed", "bent.ledger", file_of(&bent)),
        ("an author's signature was changed", "forged.ledger", file_of(&forged)),
        ("an entry is missing", "missing.ledger", file_of(&[entries[0].clone(), entries[2].clone()])),
        ("an entry is on top of another", "swapped.ledger", {
            file_of(&[entries[0].clone(), note(&entries[0], "x", entries[0].stamp.time), entries[2].clone()])
        }),
        ("an entry is another network's", "foreign.ledger", file_of(&[entries[0].clone(), foreign()])),
        ("time goes back", "early.ledger", file_of(&early)),
        ("somebody wrote who may not", "rights.ledger", file_of(&[entries[0].clone(), forbidden(&withdraw)])),
        ("it is of a later version", "later.ledger", file_of(&[entries[0].clone(), unknown()])),
    ];
    for (how, file, bytes) in cases {
        page.file(file, bytes);
        page.shows(how, &[&format!("cococtl network verify {file}")]);
    }
    page.file("guest.ledger", file_of(&guests));
    page.shows("it is a guest's", &["cococtl network verify guest.ledger"]);
    let sparse = fs::File::create(page.stage.join("big.ledger")).unwrap();
    sparse.set_len((512 << 20) + 1).unwrap();
    page.shows("no ledger is that long", &["cococtl network verify big.ledger"]);

    let audit_line = ["cococtl network audit home"];
    let other = note(&entries[1], "three", entries[2].stamp.time);
    let alarmed = audit(Some("entry 2 was stamped twice"), &[proof(&entries[2], &other)]);
    page.with(Daemon::saying(200, &alarmed)).shows("a manager has stamped two histories", &audit_line);
    let mut nothing = proof(&entries[2], &entries[2]);
    nothing["manager"] = json!(keys(200).stamp_key().full());
    let unproven = audit(None, &[nothing]);
    page.with(Daemon::saying(200, &unproven)).shows("a proof proves nothing", &audit_line);
    page.compare();
}

#[test]
fn a_network_that_is_not_what_a_file_says_is_said_why() {
    let mut page = Page::new("apply");
    let grant = "[[grants]]\nuser = 'bob'\nresource = 'door'\n";
    let home = "network = 'home'\n";
    let guest = format!("{home}users.bob = 'guest'\n");
    let cases = [
        ("empty", String::new()),
        ("name", "network = 'Home'".to_owned()),
        ("typo", format!("{home}[usres]\n")),
        ("toml", format!("{home}users = {{")),
        ("king", format!("{home}users.bob = 'king'\n")),
        ("url", format!("{home}resources.cam.url = 'cam'\n")),
        ("login", format!("{home}resources.cam.url = 'rtsp://a:b@cam/s'\n")),
        ("stranger", format!("{home}{grant}can = ['play']\n")),
        ("admin", format!("{home}users.bob = 'admin'\n{grant}can = ['play']\n")),
        ("nothing", format!("{guest}{grant}can = []\n")),
        ("hours", format!("{guest}{grant}can = ['play']\nwhen = 'Tue'\n")),
        ("end", format!("{guest}{grant}can = ['play']\nuntil = 2027\n")),
        ("twice", format!("{guest}{grant}can = ['play']\n{grant}can = ['talk']\n")),
        ("bytes", String::new()),
        ("big", "#".repeat((4 << 20) + 1)),
    ];
    let daemon = applying(before(), "");
    page.with(daemon);
    for (name, text) in &cases {
        page.file(&format!("{name}.toml"), text);
    }
    page.file("bytes.toml", b"network = '\xff'");
    for (name, _) in &cases {
        page.shows("", &[&format!("cococtl network apply {name}.toml")]);
    }
    page.file("without-us.toml", FILE.replace("alice = 'owner'", ""));
    page.shows("it does not list who applies it", &["cococtl network apply without-us.toml --remove"]);
    assert!(page.asked().iter().all(|asked| asked.line.starts_with("GET ")), "something was changed");

    page.file("home.toml", FILE);
    let more = FILE.replace("carol = 'guest'", "carol = 'admin'\ndave = 'guest'\nzoe = 'owner'");
    let more = more.replace("resource = 'ssh'", "resource = 'attic'");
    page.file("more.toml", more);
    page.shows("it would change something", &["cococtl network apply home.toml --dry-run"]);
    page.shows("others have to do something first", &["cococtl network apply more.toml"]);
    let refusing = applying(before(), "set-role");
    page.with(refusing).shows("one change is refused", &["cococtl network apply home.toml"]);
    let silent = Daemon::new(|asked| {
        if asked.line.starts_with("GET ") {
            return http(200, crate::applying::answer(&mut before(), asked).to_string().as_bytes());
        }
        http(504, failure("timed-out", None).to_string().as_bytes())
    });
    page.with(silent).shows("nothing more is answered", &["cococtl network apply home.toml"]);
    page.compare();
}

#[test]
fn what_a_good_answer_means_for_this_command() {
    let mut page = Page::new("findings");
    let check = |name: &str| {
        json!({"check": name, "peer": null, "status": "failed", "found": "no", "reason": "blocked",
               "hint": "ask whoever runs the firewall"})
    };
    let doctor = |checks: &[Value]| {
        let examined = json!([{"network": "home", "checks": checks}]);
        Daemon::saying(200, &json!({"version": 1, "networks": examined}))
    };
    page.with(doctor(&[check("udp")])).shows("a check has failed", &["cococtl doctor"]);
    page.with(doctor(&[check("udp"), check("tls")])).shows("two have", &["cococtl doctor home"]);

    let networks = Daemon::saying(200, &json!({"version": 1, "networks": [network("home", "online", None)]}));
    page.with(networks).shows("there is no such network", &["cococtl peers work"]);
    let joined = |networks: &[Value]| Daemon::saying(200, &status(networks, &[]));
    page.with(joined(&[])).shows("", &["cococtl wait --online --network work"]);
    let states =
        [network("home", "connecting", None), network("work", "offline", Some("no answer for 20 s"))];
    page.with(joined(&states)).shows("networks do not come online", &["cococtl wait --online --timeout 1s"]);
    let mut removed = network("home", "offline", None);
    removed["node"]["member"] = json!(false);
    page.with(joined(&[removed])).shows("this node was removed", &["cococtl wait --online"]);

    let lost = Daemon::saying(504, &failure("timed-out", Some("cococtl network members home")));
    page.with(lost).shows("no answer comes", &["cococtl ping camera -c 1", "cococtl ping camera -c 2"]);

    let wait = "cococtl network prune home --unseen 90d";
    page.with(with_old_nodes("")).shows("nobody can be asked", &[wait]);
    page.shows_on_terminal("the answer is no", wait, "[y/N]", "n\n");
    page.with(with_old_nodes("tablet")).shows("one node stays", &[&format!("{wait} --yes")]);
    let node = json!({"id": "n:tv", "name": "tv", "kind": "app", "online": null, "last_seen_ms": null,
                      "joined_seq": 2, "resources": []});
    let members = json!({"version": 1, "network": "home", "users": [{"name": "bob", "role": "guest", "nodes": [node]}]});
    let silent = Daemon::new(move |asked| {
        let home = network("home", "offline", None);
        let body = if asked.line.ends_with("/members") { members.clone() } else { home };
        http(200, body.to_string().as_bytes())
    });
    page.with(silent).shows("the manager does not say who was seen", &[wait]);

    let up = joined(&[network("home", "online", None)]);
    page.with(up).shows("there is no terminal", &["cococtl dashboard", "cococtl dashboard --json"]);
    page.shows(
        "another program asks for completions than a shell that is known",
        &["COCOCTL_COMPLETE=tcsh cococtl -- cococtl net"],
    );
    page.shows("there are too few descriptors", &["ulimit -n 4; cococtl status"]);
    page.compare();
}
