//! What each command asks, and what it prints where.

use std::fs;

use coconet::id::{Hash, NetworkId, StampKey, StaticKey};
use coconet::invite::Invitation;
use coconet::key::InviteSecret;
use coconet::manager_addr::ManagerAddr;
use serde_json::{Value, json};

use crate::daemon::{Asked, Daemon, Directory, Ended, failure, network, status, tunnel};

const URL: &str = "rtsp://127.0.0.1:5554/stream1?x=1";

pub(crate) fn manager() -> ManagerAddr {
    let (stamp, talk) = (StampKey([1; 32]), StaticKey([2; 32]));
    ManagerAddr { stamp, talk, host: "192.0.2.1".parse().unwrap(), port: 4433, tls: None }
}

pub(crate) fn invite() -> String {
    let (network, secret) = (NetworkId(Hash([3; 32])), InviteSecret::from_seed(&[4; 32]));
    Invitation { network, managers: vec![manager()], secret, expires: 1 }.to_text().to_string()
}

fn asked(line: &str, body: Value) -> Vec<Asked> {
    vec![Asked { line: line.to_owned(), body }]
}

#[test]
fn the_invite_is_alone_on_stdout() {
    let daemon = Daemon::saying(
        200,
        &json!({
            "version": 1, "invite": "coco1abc234", "expires_ms": 4_107_542_340_000_u64, "uses": 2,
        }),
    );
    let words =
        ["network", "invite", "home", "--user", "bob", "--role", "guest", "--uses", "2", "--expires", "12h"];
    let Ended { code, out, err } = daemon.run(&words);
    assert_eq!((code, out.as_str()), (0, "coco1abc234\n"));
    assert!(err.contains("an app of bob, as guest, 2 times, until 2100-02-28 23:59 UTC"), "{err}");
    let body = json!({"purpose": "user", "user": "bob", "role": "guest", "uses": 2, "expires_s": 43_200, "node_name": null});
    assert_eq!(daemon.asked(), asked("POST /v1/networks/home/invites", body));
    let Ended { out, err, .. } = daemon.run(&["network", "invite", "home", "--self", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["invite"], "coco1abc234");
    assert_eq!(err, "");
}

#[test]
fn a_device_publishes_unless_it_shall_not() {
    let daemon =
        Daemon::saying(200, &json!({"version": 1, "invite": "coco1abc", "expires_ms": 1, "uses": 1}));
    daemon.run(&["network", "invite", "home", "--device", "--node-name", "cam"]);
    daemon.run(&["network", "invite", "home", "--device", "--no-publish"]);
    daemon.run(&["network", "invite", "home", "--self"]);
    let bodies: Vec<Value> = daemon.asked().into_iter().map(|asked| asked.body).collect();
    let body = |mut purpose: Value, name: Option<&str>| {
        purpose["uses"] = json!(1);
        purpose["expires_s"] = json!(604_800);
        purpose["node_name"] = json!(name);
        purpose
    };
    assert_eq!(
        bodies,
        [
            body(json!({"purpose": "device", "publish": true}), Some("cam")),
            body(json!({"purpose": "device", "publish": false}), None),
            body(json!({"purpose": "self"}), None),
        ]
    );
}

#[test]
fn an_invite_is_taken_from_the_command_line_stdin_or_a_file_however_it_was_cut() {
    let daemon = Daemon::saying(200, &network("home", "online", None));
    let directory = Directory::new();
    let text = invite();
    let cut = format!("  {}\r\n{}\n", &text[..70], &text[70..]);
    let file = directory.join("invite");
    fs::write(&file, &cut).unwrap();
    let ends = [
        daemon.run(&["network", "join", &text, "--node-name", "tv"]),
        Ended::fed(&mut daemon.command(&["network", "join", "-", "--node-name", "tv"]), cut.as_bytes()),
        daemon.run(&["network", "join", "--file", file.to_str().unwrap(), "--node-name", "tv"]),
    ];
    for Ended { code, out, err } in ends {
        assert_eq!((code, out.as_str()), (0, "joined home as viewer, owner of alice, net:abc\n"), "{err}");
        assert!(!err.contains("coco1") && err.ends_with("tunnel open front-door\n"), "{err}");
    }
    let one = Asked { line: "POST /v1/join".into(), body: json!({"invite": text, "node_name": "tv"}) };
    assert_eq!(daemon.asked(), [one.clone(), one.clone(), one]);
}

#[test]
fn an_invite_is_never_repeated_in_an_error() {
    let text = invite();
    let (head, tail) = text.split_at(70);
    let mut damaged = text.clone();
    damaged.replace_range(80..81, if &text[80..81] == "a" { "b" } else { "a" });
    let daemon = Daemon::saying(404, &failure("failed", None));
    for words in [
        &["network", "join", &text][..],
        &["network", "join", &damaged],
        &["network", "join", head, tail],
        &["network", "join", "-", &text],
        &["network", &text],
        &["join", &text],
        &[&text],
    ] {
        let Ended { code, out, err } = daemon.run(words);
        assert!(code != 0 && out.is_empty(), "{err}");
        assert!(!err.contains(&text[10..40]) && !err.contains(&text[80..110]), "{err}");
    }
    let Ended { code, err, .. } = daemon.run(&["network", "join", "--file", "/nonexistent/invite"]);
    assert_eq!(code, 1);
    assert!(
        err.starts_with("error: cannot read the invite from /nonexistent/invite\n  caused by: "),
        "{err}"
    );
}

#[test]
fn the_local_url_is_alone_on_stdout() {
    let answer = tunnel(Some(URL));
    let daemon = Daemon::saying(200, &answer);
    let plain = [
        "tunnel",
        "open",
        "front-door",
        "--network",
        "home",
        "--listen",
        "127.0.0.1:5554",
        "--timeout",
        "1m",
    ];
    assert_eq!(daemon.run(&plain), Ended { code: 0, out: format!("{URL}\n"), err: String::new() });
    let body = json!({
        "resource": "front-door", "network": "home", "listen": "127.0.0.1:5554", "timeout_s": 60,
        "path": "direct-first",
    });
    assert_eq!(daemon.asked(), asked("POST /v1/open", body));
    // `--json` is taken before the noun and after the verb.
    for words in [["--json", "tunnel", "open", "front-door"], ["tunnel", "open", "front-door", "--json"]] {
        let Ended { code, out, err } = daemon.run(&words);
        assert_eq!((code, err.as_str(), out.lines().count()), (0, "", 1));
        assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), answer);
    }
}

#[test]
fn json_keeps_what_a_newer_daemon_adds() {
    let mut answer = tunnel(Some(URL));
    answer["added_later"] = json!({"x": 1});
    let out = Daemon::saying(200, &answer).run(&["tunnel", "open", "front-door", "--json"]).out;
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), answer);
}

#[test]
fn a_tunnel_that_does_not_work_yet_is_told_on_stderr() {
    let mut answer = tunnel(Some(URL));
    answer["state"] = json!("max-clients");
    answer["reason"] = json!("4 of 4 are watching");
    let Ended { code, out, err } = Daemon::saying(200, &answer).run(&["tunnel", "open", "front-door"]);
    assert_eq!((code, out), (0, format!("{URL}\n")));
    assert_eq!(err, "warning: front-door is max-clients: 4 of 4 are watching\n");
}

#[test]
fn a_login_in_a_url_is_said_and_goes_nowhere() {
    let daemon = Daemon::saying(200, &tunnel(None));
    let Ended { code, out, err } =
        daemon.run(&["tunnel", "expose", "rtsp://admin:hunter2@cam/s", "--name", "front-door"]);
    assert_eq!((code, out.as_str()), (0, "exposed rtsp://cam:554/s as front-door in home, t1\n"));
    assert!(err.starts_with("warning: the login in the URL is not kept"), "{err}");
    assert!(!err.contains("hunter2"));
    let body = json!({"url": "rtsp://cam:554/s", "name": "front-door", "network": null});
    assert_eq!(daemon.asked(), asked("POST /v1/expose", body));
    for bad in ["rtsp://admin:hunter2@/s", "ftp://admin:hunter2@cam/"] {
        let err = daemon.run(&["tunnel", "expose", bad, "--name", "x"]).err;
        assert!(err.starts_with("error: this URL cannot be exposed") && !err.contains("hunter2"), "{err}");
    }
}

#[test]
fn a_network_is_created_with_the_names_that_were_given() {
    let daemon = Daemon::saying(200, &network("home", "online", None));
    let address = manager().to_string();
    let words =
        ["network", "create", "home", "--manager", &address, "--user", "alice", "--node-name", "viewer"];
    let Ended { code, out, err } = daemon.run(&words);
    assert_eq!((code, out.as_str()), (0, "created home as viewer, owner of alice, net:abc\n"));
    assert!(err.starts_with("hint: cococtl --socket ") && err.contains("network invite home"), "{err}");
    let body = json!({"name": "home", "manager": address, "user": "alice", "node_name": "viewer"});
    assert_eq!(daemon.asked(), asked("POST /v1/networks", body));
}

#[test]
fn what_takes_away_asks_for_exactly_that() {
    let daemon = Daemon::saying(200, &json!({"version": 1, "message": "done so"}));
    let id = coconet::id::NodeId([7; 32]).full();
    for (words, line) in [
        (&["network", "leave", "home"][..], "DELETE /v1/networks/home?forget=false".to_owned()),
        (&["network", "leave", "home", "--forget"], "DELETE /v1/networks/home?forget=true".to_owned()),
        (&["node", "remove", "home", "tv"], "DELETE /v1/networks/home/nodes/tv".to_owned()),
        (&["node", "remove", "home", &id], format!("DELETE /v1/networks/home/nodes/{id}")),
        (&["tunnel", "close", "t1"], "DELETE /v1/tunnels/t1".to_owned()),
        (
            &["tunnel", "close", "front-door", "--network", "home"],
            "DELETE /v1/tunnels/front-door?network=home".to_owned(),
        ),
    ] {
        assert_eq!(daemon.run(words), Ended { code: 0, out: "done so\n".into(), err: String::new() });
        assert_eq!(daemon.asked().pop().unwrap(), Asked { line, body: Value::Null });
    }
}

#[test]
fn members_show_when_they_were_last_seen_and_their_ids_last() {
    let node = |name: &str, online: Option<bool>, seen: Option<u64>| {
        json!({"id": format!("n:{name}"), "name": name, "kind": "device", "online": online, "last_seen_ms": seen,
               "joined_seq": 2, "resources": ["front-door"]})
    };
    let nodes = [node("a", Some(true), None), node("b", Some(false), None), node("c", None, Some(1))];
    let users = json!([{"name": "alice", "role": "owner", "nodes": nodes}, {"name": "bob", "role": "guest", "nodes": []}]);
    let daemon = Daemon::saying(200, &json!({"version": 1, "network": "home", "users": users}));
    let Ended { code, out, err } = daemon.run(&["network", "members", "home"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(
        out,
        "\
USER   ROLE   NODE  KIND    RESOURCES   ONLINE      ID
alice  owner  a     device  front-door  online      n:a
alice  owner  b     device  front-door  never seen  n:b
alice  owner  c     device  front-door  not asked   n:c
bob    guest  -     -       -           -           -
"
    );
}

#[test]
fn tunnels_are_a_table_with_the_reasons_below() {
    let mut failed = tunnel(None);
    failed["id"] = json!("t2");
    failed["state"] = json!("failed");
    failed["reason"] = json!("connection refused");
    let daemon = Daemon::saying(
        200,
        &json!({"version": 1, "tunnels": [tunnel(Some("rtsp://127.0.0.1:1/s")), failed]}),
    );
    assert_eq!(
        daemon.run(&["tunnel", "list"]).out,
        "\
ID  RESOURCE    NETWORK  KIND  DIRECTION  STATE   WHERE                 NODE    CLIENTS  IN      OUT
t1  front-door  home     rtsp  open       open    rtsp://127.0.0.1:1/s  camera  1        1.5 MB  20 B
t2  front-door  home     rtsp  expose     failed  rtsp://cam:554/s      camera  1        1.5 MB  20 B
t2 front-door is failed: connection refused
"
    );
}

#[test]
fn alone_it_shows_the_status_and_the_next_step() {
    let none = Daemon::saying(200, &status(&[], &[])).run(&[]);
    assert_eq!(none.code, 0);
    assert!(none.out.contains("app       default, cocod 0.1.0, pid 7, up "), "{}", none.out);
    assert!(none.err.contains("network create") && none.err.contains("network join"), "{}", none.err);
    let home = network("home", "online", None);
    let joined = Daemon::saying(200, &status(std::slice::from_ref(&home), &[])).run(&[]);
    assert!(joined.err.ends_with(" tunnel open front-door\n"), "{}", joined.err);
    let working = Daemon::saying(200, &status(&[home], &[tunnel(Some(URL))])).run(&[]);
    assert_eq!(working.err, "");
    // `status` is for reading: no advice.
    assert_eq!(Daemon::saying(200, &status(&[], &[])).run(&["status"]).err, "");
}

#[test]
fn a_tunnel_takes_the_path_it_is_given() {
    let open = json!({"resource": "front-door", "network": null, "listen": null, "timeout_s": 15});
    for (words, path) in [
        (&["tunnel", "open", "front-door"][..], "direct-first"),
        (&["tunnel", "open", "front-door", "--path", "relay-only"], "relay-only"),
        (&["tunnel", "open", "front-door", "--path", "direct-only"], "direct-only"),
    ] {
        let daemon = Daemon::saying(200, &tunnel(Some(URL)));
        daemon.run(words);
        let mut wanted = open.clone();
        wanted["path"] = path.into();
        assert_eq!(daemon.asked(), asked("POST /v1/open", wanted));
    }
    let none = Daemon::saying(200, &tunnel(Some(URL)));
    let Ended { code, err, .. } = none.run(&["tunnel", "open", "front-door", "--path", "fast"]);
    assert!(code == 2 && err.contains("relay-only"), "{err}");
}

#[test]
fn a_ping_without_an_answer_is_said_and_one_answer_is_enough() {
    let pong = json!({"version": 1, "node": "camera", "path": "direct 198.51.100.7:4433", "rtt_us": 1200});
    let daemon = Daemon::saying(200, &pong);
    let Ended { code, out, .. } = daemon.run(&["ping", "camera", "-c", "1"]);
    assert_eq!((code, out.as_str()), (0, "pong from camera by direct 198.51.100.7:4433 in 1.2 ms\n"));
    assert_eq!(
        daemon.asked(),
        asked("POST /v1/ping", json!({"node": "camera", "network": null, "timeout_s": 5}))
    );

    let Ended { code, .. } = daemon.run(&["ping", "camera"]);
    assert_eq!((code, daemon.asked().len()), (0, 2), "one that comes directly is enough");

    let lost = Daemon::saying(504, &failure("timed-out", None));
    let Ended { code, out, err } = lost.run(&["ping", "camera", "--count", "2"]);
    assert_eq!((code, out.as_str(), lost.asked().len()), (6, "", 2));
    assert!(err.contains("error: no answer to 2 pings\n  caused by: it is so\n"), "{err}");

    let unknown = Daemon::saying(404, &failure("not-found", None));
    assert_eq!(unknown.run(&["ping", "camera"]).code, 5);
    assert_eq!(unknown.asked().len(), 1);
}
