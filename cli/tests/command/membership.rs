//! Roles, grants, invites and what was not seen for long.

use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};

use coconet::id::{InviteKey, NodeId};
use serde_json::{Value, json};

use crate::daemon::{Asked, Daemon, Ended, failure, http, network};

fn done() -> Value {
    json!({"version": 1, "message": "done so"})
}

fn invite_id() -> String {
    InviteKey([5; 32]).full()
}

/// Milliseconds of Unix time, so many days ago.
fn days_ago(days: u64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    u64::try_from(now).unwrap() - days * 86_400_000 - 1000
}

#[test]
fn each_change_asks_for_exactly_that() {
    let daemon = Daemon::saying(200, &done());
    let id = invite_id();
    let node = NodeId([7; 32]).full();
    let manager = crate::results::manager().to_string();
    for (words, body) in [
        (
            &["network", "role", "home", "bob", "admin"][..],
            json!({"change": "set-role", "user": "bob", "role": "admin"}),
        ),
        (&["network", "remove", "home", "bob"], json!({"change": "remove-user", "user": "bob"})),
        (
            &["network", "rename", "home", "bob", "robert"],
            json!({"change": "rename-user", "user": "bob", "to": "robert"}),
        ),
        (
            &["node", "rename", "home", &node, "hall"],
            json!({"change": "rename-node", "node": node, "to": "hall"}),
        ),
        (
            &["network", "grant", "home", "bob", "front-door", "--can", "talk", "play"],
            json!({"change": "grant", "user": "bob", "resource": "front-door", "can": ["play", "talk"],
                   "when": null, "until_ms": null}),
        ),
        (
            &[
                "network",
                "grant",
                "home",
                "bob",
                "front-door",
                "--can",
                "play",
                "--can",
                "talk",
                "--when",
                "fri,tue 09:00-12:00 Europe/Berlin",
                "--until",
                "2027-01-01",
            ],
            json!({"change": "grant", "user": "bob", "resource": "front-door", "can": ["play", "talk"],
                   "when": "Tue,Fri 09:00-12:00 Europe/Berlin", "until_ms": 1_798_761_600_000_u64}),
        ),
        (
            &["network", "revoke", "home", "bob", "front-door"],
            json!({"change": "revoke-grant", "user": "bob", "resource": "front-door"}),
        ),
        (&["network", "revoke-invite", "home", &id], json!({"change": "revoke-invite", "invite": id})),
        (&["network", "invite", "home", "revoke", &id], json!({"change": "revoke-invite", "invite": id})),
        (
            &["network", "managers", "home", &manager, &manager],
            json!({"change": "set-managers", "managers": [manager, manager]}),
        ),
        (&["network", "checkpoint", "home"], json!({"change": "checkpoint"})),
    ] {
        let ended = daemon.run(words);
        assert_eq!(ended, Ended { code: 0, out: "done so\n".into(), err: String::new() }, "{words:?}");
        let line = "POST /v1/networks/home/changes".to_owned();
        assert_eq!(daemon.asked().pop().unwrap(), Asked { line, body }, "{words:?}");

        let Ended { out, .. } = daemon.run(&[words, &["--json"]].concat());
        assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), done(), "{words:?}");
        let refused = Daemon::saying(403, &failure("not-permitted", None)).run(words);
        assert_eq!((refused.code, refused.out.as_str()), (4, ""), "{words:?}");
    }
}

#[test]
fn grants_are_a_table_and_the_json_is_the_daemons() {
    let grants = json!({"version": 1, "grants": [
        {"user": "bob", "resource": "front-door", "can": ["play", "talk"], "when": null, "until_ms": null,
         "now": true},
        {"user": "eve", "resource": "ssh", "can": ["connect"], "when": "Tue,Fri 09:00-12:00 Europe/Berlin",
         "until_ms": 4_107_542_340_000_u64, "now": false},
    ]});
    let daemon = Daemon::saying(200, &grants);
    let Ended { code, out, err } = daemon.run(&["network", "grants", "home"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(
        out,
        "\
USER  RESOURCE    CAN        WHEN                               UNTIL                 NOW
bob   front-door  play talk  always                             for ever              yes
eve   ssh         connect    Tue,Fri 09:00-12:00 Europe/Berlin  2100-02-28 23:59 UTC  no
"
    );
    assert_eq!(daemon.asked().pop().unwrap().line, "GET /v1/networks/home/grants");
    let json = daemon.run(&["network", "grants", "home", "--json"]).out;
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), grants);
}

#[test]
fn invites_are_listed_by_either_name_with_their_whole_ids() {
    let id = invite_id();
    let invites = json!({"version": 1, "invites": [
        {"id": id, "purpose": "bob as guest", "inviter": "laptop", "left": 3,
         "expires_ms": 4_107_542_340_000_u64},
    ]});
    let daemon = Daemon::saying(200, &invites);
    for words in [&["network", "invites", "home"][..], &["network", "invite", "home", "list"]] {
        let Ended { code, out, err } = daemon.run(words);
        assert_eq!((code, err.as_str()), (0, ""));
        let row = format!("bob as guest  laptop   3     2100-02-28 23:59 UTC  {id}\n");
        assert_eq!(out, format!("FOR           INVITER  LEFT  UNTIL                 ID\n{row}"));
        assert_eq!(daemon.asked().pop().unwrap().line, "GET /v1/networks/home/invites");
    }
    // Networks that are called as the words still have invites.
    let made = Daemon::saying(200, &json!({"version": 1, "invite": "coco1abc", "expires_ms": 1, "uses": 1}));
    for name in ["list", "revoke"] {
        assert_eq!(made.run(&["network", "invite", name, "--self"]).out, "coco1abc\n");
        assert_eq!(made.asked().pop().unwrap().line, format!("POST /v1/networks/{name}/invites"));
    }
}

#[test]
fn a_qr_code_is_drawn_beside_the_invite() {
    let invite = format!("coco1{}", "abcdefghij234567".repeat(16));
    let daemon = Daemon::saying(200, &json!({"version": 1, "invite": invite, "expires_ms": 1, "uses": 1}));
    let Ended { code, out, err } = daemon.run(&["network", "invite", "home", "--self", "--qr"]);
    assert_eq!((code, out), (0, format!("{invite}\n")));
    // Nobody's terminal: no colours. 49 modules and the border, two rows in a line.
    let code: Vec<&str> = err.lines().filter(|line| line.starts_with(['█', '▀'])).collect();
    assert!(!err.contains('\u{1b}') && code.len() == 29, "{err}");
    assert!(code.iter().all(|line| line.chars().count() == 57), "{err}");
    assert_eq!(daemon.asked().pop().unwrap().body["purpose"], "self");

    let Ended { code, out, err } = daemon.run(&["network", "invite", "home", "--self", "--qr", "--json"]);
    assert_eq!((code, serde_json::from_str::<Value>(&out).unwrap()["invite"] == *invite), (0, true));
    assert!(err.lines().all(|line| line.chars().all(|c| " ▀▄█".contains(c))), "{err}");
}

#[test]
fn an_invite_that_no_qr_code_holds_is_printed_all_the_same() {
    let invite = format!("coco1{}", "a".repeat(4300));
    let daemon = Daemon::saying(200, &json!({"version": 1, "invite": invite, "expires_ms": 1, "uses": 1}));
    let Ended { code, out, err } = daemon.run(&["network", "invite", "home", "--device", "--qr"]);
    assert_eq!((code, out), (1, format!("{invite}\n")));
    assert!(err.contains("error: an invite of 4305 characters is too long for a QR code\n"), "{err}");
    assert!(err.contains("\nhint: the invite itself was printed and works"), "{err}");
}

#[test]
fn the_roles_are_the_table_of_the_ledger_and_need_no_daemon() {
    let mut command = crate::daemon::cococtl(&["network", "roles"]);
    let Ended { code, out, err } = Ended::of(command.env_remove("HOME"));
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.starts_with("OWNER  ADMIN  GUEST  MAY\nyes    -      -      invite a device\n"), "{out}");
    assert_eq!(out.lines().count(), 1 + coconet::role::TABLE.len());
    let json = Ended::of(&mut crate::daemon::cococtl(&["network", "roles", "--json"])).out;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["actions"][0], json!({"action": "invite a device", "roles": ["owner"]}));
}

fn node(name: &str, kind: &str, online: Option<bool>, seen: Option<u64>) -> Value {
    let resources = if kind == "device" { vec!["front-door"] } else { vec![] };
    json!({"id": format!("n:{name}"), "name": name, "kind": kind, "online": online, "last_seen_ms": seen,
           "joined_seq": 2, "resources": resources})
}

/// A daemon with nodes of every sort, which removes what it is asked to but `refused`.
pub(crate) fn with_old_nodes(refused: &'static str) -> Daemon {
    let nodes = json!([
        node("viewer", "app", Some(false), Some(days_ago(400))),
        node("tablet", "app", Some(false), Some(days_ago(91))),
        node("phone", "app", Some(false), Some(days_ago(89))),
        node("desk", "app", Some(true), Some(days_ago(400))),
        node("near", "app", Some(false), Some(days_ago(400))),
        node("new", "app", Some(false), None),
        node("paper", "recovery", Some(false), Some(days_ago(400))),
        node("camera", "device", Some(false), Some(days_ago(200))),
    ]);
    let members = json!({"version": 1, "network": "home", "users": [
        {"name": "alice", "role": "owner", "nodes": nodes},
        {"name": "bob", "role": "guest", "nodes": [node("tv", "app", Some(false), Some(days_ago(300)))]},
    ]});
    let mut home = network("home", "online", None);
    home["node"]["id"] = json!("n:viewer");
    home["peers"] = json!([{
        "id": "n:near", "name": "near", "user": "alice", "state": "connected", "path": "direct x", "rtt_us": 1,
        "bytes_in": 1, "bytes_out": 1, "reason": null,
    }]);
    Daemon::new(move |asked| {
        let (status, body) = match asked.line.split_once(" /v1/networks/home").unwrap() {
            ("GET", "") => (200, home.clone()),
            ("GET", "/members") => (200, members.clone()),
            ("DELETE", path) if path == format!("/nodes/n:{refused}") => {
                (403, failure("not-permitted", None))
            }
            ("DELETE", _) => (200, done()),
            (method, path) => panic!("{method} {path}"),
        };
        http(status, body.to_string().as_bytes())
    })
}

fn removed(daemon: &Daemon) -> Vec<String> {
    let asked = daemon.asked().into_iter();
    asked
        .filter_map(|asked| Some(asked.line.strip_prefix("DELETE /v1/networks/home/nodes/n:")?.to_owned()))
        .collect()
}

#[test]
fn stale_nodes_stand_out_among_the_members() {
    let daemon = with_old_nodes("");
    let Ended { code, out, err } = daemon.run(&["network", "members", "home"]);
    assert_eq!(code, 0);
    let line = |name: &str| out.lines().find(|line| line.contains(&format!("n:{name}"))).unwrap();
    assert!(line("tablet").contains("  stale, 91 d ago  "), "{out}");
    assert!(line("desk").contains("  online  ") && line("new").contains("  never seen  "), "{out}");
    assert!(!line("paper").contains("stale"), "{out}");
    assert!(err.ends_with(" network prune home --unseen 30d --dry-run\n"), "{err}");
}

#[test]
fn a_dry_run_of_prune_lists_and_removes_nothing() {
    let daemon = with_old_nodes("");
    let Ended { code, out, err } = daemon.run(&["network", "prune", "home", "--unseen", "90d", "--dry-run"]);
    assert_eq!(code, 0);
    assert_eq!(
        out,
        "\
USER   NODE    KIND  RESOURCES  SEEN       ID
alice  tablet  app   -          91 d ago   n:tablet
bob    tv      app   -          300 d ago  n:tv
"
    );
    assert!(err.starts_with("hint: 1 device unseen for as long stay"), "{err}");
    let words = ["network", "prune", "home", "--unseen", "90d", "--devices", "--dry-run", "--json"];
    let json: Value = serde_json::from_str(&daemon.run(&words).out).unwrap();
    assert_eq!((&json["dry_run"], json["nodes"].as_array().unwrap().len()), (&json!(true), 3));
    assert_eq!(json["nodes"][1]["resources"], json!(["front-door"]));
    assert_eq!(removed(&daemon), Vec::<String>::new());
    let none = daemon.run(&["network", "prune", "home", "--unseen", "500d"]);
    assert_eq!((none.code, none.out.as_str()), (0, "no node to remove, unseen for 500d\n"));
}

#[test]
fn prune_removes_who_was_not_seen_and_nobody_else() {
    let daemon = with_old_nodes("");
    let ended = daemon.run(&["network", "prune", "home", "--unseen", "90d", "--devices", "--yes"]);
    assert_eq!(ended, Ended { code: 0, out: "done so\n".repeat(3), err: String::new() });
    assert_eq!(removed(&daemon), ["tablet", "camera", "tv"]);
}

#[test]
fn prune_asks_nobody_where_there_is_nobody() {
    let daemon = with_old_nodes("");
    let mut command = daemon.command(&["network", "prune", "home", "--unseen", "90d"]);
    let Ended { code, out, err } = Ended::fed(command.stderr(Stdio::piped()), b"y\n");
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("2 nodes would be removed from home, and nobody can be asked\nhint: "), "{err}");
    assert!(err.contains("--dry-run, then --yes"), "{err}");
    assert_eq!(removed(&daemon), Vec::<String>::new());
}

#[test]
fn one_node_that_may_not_be_removed_does_not_keep_the_others() {
    let daemon = with_old_nodes("tablet");
    let Ended { code, out, err } =
        daemon.run(&["network", "prune", "home", "--unseen", "90d", "--yes", "--json"]);
    assert_eq!(code, 4);
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&json["nodes"][0]["removed"], &json["nodes"][1]["removed"]), (&json!(false), &json!(true)));
    assert!(err.contains("error: 1 of 2 nodes could not be removed\n  caused by: it is so\n"), "{err}");
}
