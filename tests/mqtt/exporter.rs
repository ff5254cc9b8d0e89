//! What the exporter puts into a connection: distinct client ids, and a login that the viewer never has.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::house::{BUS, facts, publish, publish_well};
use crate::support::net::Net;
use crate::support::process::run_well;
use crate::support::programs::{command, theirs};
use crate::support::targets::Mosquitto;
use crate::support::wait::{PATIENCE, is, until};
use crate::wire::{Raw, connect};

const PASSWORD: &str = "correct-horse-battery";

/// Two nodes connect with one client id; returns whether both are connected afterwards.
fn both_stay(with_suffix: bool) -> (bool, String) {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let other = net.app("other");
    other.join(&camera.invite("home", &["--self"]));
    let mosquitto = Mosquitto::start(&net.lab);
    let url = format!("mqtt://127.0.0.1:{}", mosquitto.port);
    let expose = ["tunnel", "expose", &url, "--name", BUS];
    let option: &[&str] = if with_suffix { &["--client-id-suffix"] } else { &[] };
    camera.ok(&[&expose[..], option].concat());
    let ports = [viewer.open_address(BUS).port(), other.open_address(BUS).port()];
    let mut connections = ports.map(Raw::to);
    for connection in &mut connections {
        connection.says(&connect("phone"));
        assert_eq!(connection.hears(), [0x20, 2, 0, 0]);
    }
    let [mut first, mut second] = connections;
    second.says(&[0xc0, 0]);
    assert_eq!(second.hears(), [0xd0, 0]);
    let log = || net.lab.log("mosquitto");
    if !with_suffix {
        return (first.ends(), log());
    }
    first.says(&[0xc0, 0]);
    assert_eq!(first.hears(), [0xd0, 0]);
    assert_eq!(facts(&camera).clients, 2);
    (true, log())
}

#[test]
fn two_nodes_with_one_client_id_do_not_kick_each_other_out() {
    let (_, log) = both_stay(true);
    let ids: std::collections::BTreeSet<&str> = log
        .lines()
        .filter_map(|line| line.split(" as ").nth(1)?.split(' ').next())
        .filter(|id| id.starts_with("phone"))
        .collect();
    assert_eq!(ids.len(), 2, "{log}");
    assert!(ids.iter().all(|id| id.len() == "phone-".len() + 8), "{ids:?}");
}

#[test]
fn without_the_suffix_the_broker_knows_one_client() {
    let (_, log) = both_stay(false);
    assert!(log.contains("Client phone already connected"), "{log}");
}

#[test]
fn an_empty_client_id_stays_empty() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let mosquitto = Mosquitto::start(&net.lab);
    let url = format!("mqtt://127.0.0.1:{}", mosquitto.port);
    camera.ok(&["tunnel", "expose", &url, "--name", BUS, "--client-id-suffix"]);
    let port = viewer.open_address(BUS).port();
    let mut clean = Raw::to(port);
    clean.says(&connect(""));
    assert_eq!(clean.hears(), [0x20, 2, 0, 0]);
    // Without a clean session it is the broker's to refuse (3.1.1, 3.1.3.1).
    let mut kept = connect("");
    kept[9] = 0;
    let mut keeps = Raw::to(port);
    keeps.says(&kept);
    assert_eq!(keeps.hears(), [0x20, 2, 0, 2]);
}

#[test]
fn a_login_is_given_at_the_exporter_and_never_leaves_it() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let file = net.lab.path("passwords");
    run_well(command(theirs("mosquitto_passwd")).args(["-b", "-c"]).arg(&file).args(["robot", PASSWORD]));
    // A broker started by root becomes somebody else.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let mosquitto =
        Mosquitto::with(&net.lab, &format!("allow_anonymous false\npassword_file {}\n", file.display()));
    let refused = publish(mosquitto.port, &["-t", "a", "-m", "x"], "");
    assert!(refused.stderr.contains("not authorised"), "{}", refused.stderr);

    let login = net.lab.path("login");
    fs::write(&login, format!("robot:{PASSWORD}\n")).unwrap();
    fs::set_permissions(&login, fs::Permissions::from_mode(0o600)).unwrap();
    let url = format!("mqtt://127.0.0.1:{}", mosquitto.port);
    camera.ok(&["tunnel", "expose", &url, "--name", BUS, "--login-file", login.to_str().unwrap()]);
    let port = viewer.open_address(BUS).port();
    for version in ["mqttv31", "mqttv311", "mqttv5"] {
        publish_well(port, &["-V", version, "-q", "1", "-t", "a", "-m", "x"], "");
        // Whatever the client says of itself.
        publish_well(port, &["-V", version, "-u", "me", "-P", "mine", "-q", "1", "-t", "a", "-m", "x"], "");
    }
    let log = net.lab.log("mosquitto");
    assert!(log.contains("u'robot'") && !log.contains("u'me'"), "{log}");
    until("all are counted", PATIENCE, || {
        is(facts(&camera).messages_in == 6, format!("{:?}", facts(&camera)))
    });
    assert!(camera.tunnel(BUS).login);
    let state = net.lab.path("viewer");
    assert!(holds(&net.lab.path("camera"), PASSWORD) && !holds(&state, PASSWORD), "the viewer has it");
    for logged in ["camera", "viewer", "manager"] {
        assert!(!net.lab.log(logged).contains(PASSWORD), "it is in the log of {logged}");
    }
    let shown = camera.ok(&["--json", "tunnel", "list"]) + &viewer.ok(&["--json", "tunnel", "list"]);
    assert!(!shown.contains(PASSWORD), "{shown}");
}

/// Whether a file in `dir` has `word` in it.
fn holds(dir: &Path, word: &str) -> bool {
    fs::read_dir(dir).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return holds(&path, word);
        }
        fs::read(&path).is_ok_and(|bytes| bytes.windows(word.len()).any(|part| part == word.as_bytes()))
    })
}
