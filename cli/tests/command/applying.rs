//! `network apply`: the network becomes what a file says, and stays so.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::daemon::{Asked, Daemon, Directory, Ended, failure, http, network, tunnel};

pub(crate) const FILE: &str = "\
network = 'home'
remove = true
prune = true

[users]
alice = 'owner'
bob = 'guest'
carol = 'guest'

[resources.front-door]
url = 'rtsp://cam/s'

[resources.ssh]
url = 'tcp://localhost:22'

[[grants]]
user = 'bob'
resource = 'ssh'
can = ['connect']
until = 2099-01-01
";

/// What the played daemon knows of its network; its node is called viewer.
#[derive(Clone)]
pub(crate) struct World {
    users: Value,
    grants: Vec<Value>,
    exposed: Vec<(String, String)>,
}

/// alice the owner, carol an admin, bob a guest with a grant too many, eve a guest too many, and a
/// resource too many.
pub(crate) fn before() -> World {
    World {
        users: json!({"alice": "owner", "bob": "guest", "carol": "admin", "eve": "guest"}),
        grants: vec![json!({
            "user": "bob", "resource": "front-door", "can": ["play"], "when": null, "until_ms": null, "now": true,
        })],
        exposed: vec![
            ("front-door".to_owned(), "rtsp://cam:554/s".to_owned()),
            ("garage".to_owned(), "http://10.0.0.9:80/".to_owned()),
        ],
    }
}

/// A daemon that does what it is asked, but what `refused` names.
pub(crate) fn daemon(world: World, refused: &'static str) -> Daemon {
    let world = Arc::new(Mutex::new(world));
    Daemon::new(move |asked| {
        if !refused.is_empty() && asked.body.to_string().contains(refused) {
            return http(403, failure("not-permitted", None).to_string().as_bytes());
        }
        let answer = answer(&mut world.lock().unwrap(), asked);
        http(200, answer.to_string().as_bytes())
    })
}

pub(crate) fn answer(world: &mut World, asked: &Asked) -> Value {
    let done = json!({"version": 1, "message": "done"});
    let text = |name: &str| asked.body[name].as_str().unwrap().to_owned();
    let exposed = |resource: &str, url: &str| {
        let mut tunnel = tunnel(None);
        tunnel["id"] = json!(format!("t-{resource}"));
        tunnel["resource"] = json!(resource);
        tunnel["target"] = json!(url);
        tunnel
    };
    match asked.line.as_str() {
        "GET /v1/networks/home" => {
            let mut home = network("home", "online", None);
            let line = |(name, _): &(String, String)| json!({"name": name, "kind": "tcp", "node": "viewer"});
            home["resources"] = world.exposed.iter().map(line).collect();
            home
        }
        "GET /v1/networks/home/members" => {
            let users = world.users.as_object().unwrap().iter();
            let users: Value =
                users.map(|(name, role)| json!({"name": name, "role": role, "nodes": []})).collect();
            json!({"version": 1, "network": "home", "users": users})
        }
        "GET /v1/networks/home/grants" => json!({"version": 1, "grants": world.grants}),
        "GET /v1/tunnels" => {
            let tunnels: Vec<Value> =
                world.exposed.iter().map(|(resource, url)| exposed(resource, url)).collect();
            json!({"version": 1, "tunnels": tunnels})
        }
        "POST /v1/expose" => {
            world.exposed.push((text("name"), text("url")));
            exposed(&text("name"), &text("url"))
        }
        "DELETE /v1/tunnels/t-garage?network=home" => {
            world.exposed.retain(|(resource, _)| resource != "garage");
            done
        }
        "POST /v1/networks/home/changes" => {
            match text("change").as_str() {
                "set-role" => world.users[text("user")] = asked.body["role"].clone(),
                "remove-user" => {
                    world.users.as_object_mut().unwrap().remove(&text("user"));
                }
                "revoke-grant" => world.grants.retain(|grant| grant["resource"] != text("resource")),
                "grant" => {
                    let mut grant = asked.body.clone();
                    grant["now"] = json!(true);
                    world.grants.push(grant);
                }
                other => panic!("{other}"),
            }
            done
        }
        other => panic!("{other}"),
    }
}

fn file(directory: &Directory, text: &str) -> PathBuf {
    let path = directory.join("home.toml");
    fs::write(&path, text).unwrap();
    path
}

fn apply(daemon: &Daemon, text: &str, words: &[&str]) -> Ended {
    let directory = Directory::new();
    let path = file(&directory, text);
    daemon.run(&[&["network", "apply", path.to_str().unwrap()], words].concat())
}

/// What was asked that changes anything.
fn changes(daemon: &Daemon) -> usize {
    daemon.asked().iter().filter(|asked| !asked.line.starts_with("GET ")).count()
}

const DIFFERENCE: &str = "\
- grant bob front-door
- user eve
- resource garage
~ role carol: admin -> guest
+ resource ssh: tcp://localhost:22
+ grant bob ssh: connect, until 2099-01-01 00:00 UTC
";

#[test]
fn the_second_run_has_nothing_to_do() {
    let daemon = daemon(before(), "");
    assert_eq!(apply(&daemon, FILE, &[]), Ended { code: 0, out: DIFFERENCE.into(), err: String::new() });
    assert_eq!(changes(&daemon), 6);
    for words in [&[][..], &["--dry-run"], &["--remove"]] {
        let second = apply(&daemon, FILE, words);
        assert_eq!(second, Ended { code: 0, out: "no changes\n".into(), err: String::new() });
    }
    let json: Value = serde_json::from_str(&apply(&daemon, FILE, &["--json"]).out).unwrap();
    let expected = json!({"version": 1, "network": "home", "dry_run": false, "changes": [], "missing": []});
    assert_eq!((json, changes(&daemon)), (expected, 6));
}

#[test]
fn a_dry_run_prints_the_same_changes_nothing_and_has_a_status_of_its_own() {
    let daemon = daemon(before(), "");
    let ended = apply(&daemon, FILE, &["--dry-run"]);
    assert_eq!(ended, Ended { code: 9, out: DIFFERENCE.into(), err: String::new() });
    let Ended { code, out, err } = apply(&daemon, FILE, &["--dry-run", "--json"]);
    assert_eq!((code, err.as_str(), changes(&daemon)), (9, "", 0));
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["changes"][0], json!({"change": "- grant bob front-door", "done": false, "error": null}));
    assert_eq!((&json["dry_run"], json["changes"].as_array().unwrap().len()), (&json!(true), 6));
}

#[test]
fn a_file_is_taken_from_stdin() {
    let daemon = daemon(before(), "");
    let Ended { code, out, .. } =
        Ended::fed(&mut daemon.command(&["network", "apply", "-", "--dry-run"]), FILE.as_bytes());
    assert_eq!((code, out.as_str()), (9, DIFFERENCE));
}

#[test]
fn people_go_only_where_the_file_or_the_command_says_so() {
    let daemon = daemon(before(), "");
    let text = FILE.replace("remove = true", "").replace("prune = true", "");
    let kept = apply(&daemon, &text, &["--dry-run"]);
    assert!(!kept.out.contains("- user") && !kept.out.contains("- resource"), "{}", kept.out);
    let told = apply(&daemon, &text, &["--dry-run", "--remove"]);
    assert!(told.out.contains("- user eve\n"), "{}", told.out);
    let Ended { code, out, err } = apply(&daemon, &text.replace("alice = 'owner'", ""), &["--remove"]);
    assert_eq!((code, out.as_str(), changes(&daemon)), (2, "", 0));
    assert!(err.contains("the file does not list alice, who you are"), "{err}");
}

#[test]
fn what_is_refused_does_not_keep_the_rest() {
    let daemon = daemon(before(), "set-role");
    let Ended { code, out, err } = apply(&daemon, FILE, &[]);
    assert_eq!((code, changes(&daemon)), (4, 6));
    assert_eq!(out, DIFFERENCE.replace("~ role carol: admin -> guest\n", ""));
    assert!(err.starts_with("failed: ~ role carol: admin -> guest: it is so: outer: inner\n"), "{err}");
    assert!(err.contains("error: 1 of 6 changes could not be made\n  caused by: it is so\n"), "{err}");
    let json: Value = serde_json::from_str(&apply(&daemon, FILE, &["--json"]).out).unwrap();
    assert_eq!(json["changes"][0]["error"], "it is so: outer: inner");
}

#[test]
fn without_an_answer_the_rest_is_not_tried() {
    let silent = Daemon::new(|asked| {
        if asked.line.starts_with("GET ") {
            return http(200, answer(&mut before(), asked).to_string().as_bytes());
        }
        http(504, failure("timed-out", None).to_string().as_bytes())
    });
    let Ended { code, out, err } = apply(&silent, FILE, &[]);
    assert_eq!((code, out.as_str(), changes(&silent)), (6, "", 1));
    assert!(err.contains("error: 6 of 6 changes could not be made\n"), "{err}");
}

#[test]
fn who_has_not_joined_is_told_with_the_command_that_invites_them() {
    let daemon = daemon(before(), "");
    let text = FILE.replace("carol = 'guest'", "carol = 'admin'\ndave = 'guest'\nzoe = 'owner'");
    let first = apply(&daemon, &text, &[]);
    assert_eq!((first.code, first.out.lines().count()), (1, 5));
    let Ended { code, out, err } = apply(&daemon, &text, &[]);
    assert_eq!((code, out.as_str()), (1, "no changes\n"));
    assert!(err.contains("missing: dave (guest) has not joined: cococtl --socket "), "{err}");
    assert!(err.contains(" network invite home --user dave --role guest\n"), "{err}");
    assert!(err.contains(" network invite home --user zoe --role admin\n"), "{err}");
    assert!(err.contains("error: home is not yet what the file says: 2 things missing\n"), "{err}");
    let json: Value = serde_json::from_str(&apply(&daemon, &text, &["--json"]).out).unwrap();
    assert_eq!(json["missing"][0]["what"], "dave (guest) has not joined");
    // What would change comes first.
    let more = text.replace("bob = 'guest'", "bob = 'guest'\n").replace("['connect']", "['connect', 'x']");
    assert_eq!(apply(&daemon, &more, &["--dry-run"]).code, 9);
}
