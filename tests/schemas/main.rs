//! What real daemons answer is what the schemas in `docs/schema` say.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[allow(dead_code, reason = "each test program uses its part of it")]
#[path = "../support/mod.rs"]
mod support;

use std::fs;

use serde_json::{Value, json};

use crate::support::net::{App, HOME, Lab, Net};
use crate::support::process::{run, run_well};
use crate::support::programs::{command, python, source, theirs};
use crate::support::targets::{echo, serve};
use crate::support::wait::PATIENCE;

/// Reads lines of schema and answer, and says of each what is wrong with it; nothing where all is well.
const VALIDATE: &str = r#"
import json, pathlib, sys
from jsonschema import Draft202012Validator as Validator
for line in sys.stdin:
    name, answer = json.loads(line)
    schema = json.loads((pathlib.Path(sys.argv[1]) / (name + ".json")).read_text())
    Validator.check_schema(schema)
    for error in Validator(schema).iter_errors(answer):
        print(name, list(error.absolute_path), error.message)
"#;

/// What is wrong with these answers, by the schemas they belong to.
fn complaints(answers: &[(String, Value)]) -> String {
    let mut validate = command(python("jsonschema", "python3-jsonschema"));
    validate.args(["-c", VALIDATE]).arg(source("docs/schema"));
    let lines: String = answers.iter().map(|answer| serde_json::to_string(answer).unwrap() + "\n").collect();
    let ran = run(&mut validate, lines.as_bytes(), PATIENCE);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    ran.stdout
}

/// The answers of a command, one for each line.
fn answers(app: &App, schema: &str, words: &[&str]) -> Vec<(String, Value)> {
    let text = app.ok(&[&["--json"], words].concat());
    let answer = |line: &str| (schema.to_owned(), serde_json::from_str(line).unwrap());
    let answers: Vec<_> = text.lines().map(answer).collect();
    assert!(!answers.is_empty(), "{words:?} answers nothing");
    answers
}

/// What the daemon itself answers on its socket.
fn asked(lab: &Lab, app: &App, schema: &str, path: &str) -> (String, Value) {
    let file = lab.path("answer.json");
    let mut curl = command(theirs("curl"));
    curl.args(["-s", "--unix-socket"]).arg(app.socket()).arg("-o").arg(&file);
    run_well(curl.arg(format!("http://coco{path}")));
    (schema.to_owned(), serde_json::from_slice(&fs::read(file).unwrap()).unwrap())
}

#[test]
fn every_answer_is_what_its_schema_says() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let mut all = Vec::new();
    // Who opens something asks whether there is a target; what it says does not matter here.
    let target = serve(echo);
    for kind in ["http", "rtsp", "mqtt", "udp"] {
        let url = format!("{kind}://{target}");
        all.extend(answers(&camera, "tunnel", &["tunnel", "expose", &url, "--name", kind]));
    }
    let web = format!("http://{target}/x");
    let web = ["tunnel", "expose", &web, "--name", "web", "--max-clients", "3", "--can", "read"];
    all.extend(answers(&camera, "tunnel", &web));
    camera.expose(&format!("tcp://{target}"), "door");
    all.extend(answers(&viewer, "tunnel", &["tunnel", "open", "door"]));
    all.extend(answers(&viewer, "tunnel", &["tunnel", "open", "web", "--allow", "uid:self"]));
    for kind in ["http", "rtsp", "mqtt", "udp"] {
        all.extend(answers(&viewer, "tunnel", &["tunnel", "open", kind, "--path", "direct-only"]));
    }
    let invite = ["network", "invite", HOME, "--user", "anna", "--role", "guest"];
    let invited = answers(&camera, "invite", &invite);
    let guest = net.app("guest");
    guest.join(invited[0].1["invite"].as_str().unwrap());
    all.extend(invited);
    let hours = ["--when", "Tue,Fri 09:00-12:00 Europe/Berlin", "--until", "2099-01-01"];
    let grant = ["network", "grant", HOME, "anna", "web", "--can", "read:/snapshot"];
    all.extend(answers(&camera, "done", &[&grant[..], &hours].concat()));
    all.extend(answers(&camera, "invite", &["network", "invite", HOME, "--device"]));
    all.extend(answers(&camera, "recovery-key", &["network", "recovery-key", HOME]));
    all.extend(answers(&viewer, "pong", &["ping", "camera", "-c", "2"]));
    for app in [&camera, &viewer, &guest] {
        all.extend(answers(app, "status", &["status"]));
        all.extend(answers(app, "peers", &["peers"]));
        all.extend(answers(app, "event", &["events"]));
        all.extend(answers(app, "tunnels", &["tunnel", "list"]));
        all.extend(answers(app, "usage", &["usage", HOME]));
        all.extend(answers(app, "networks", &["network", "list"]));
        for (schema, noun) in [
            ("network", "show"),
            ("members", "members"),
            ("log", "log"),
            ("audit", "audit"),
            ("grants", "grants"),
            ("invites", "invites"),
        ] {
            all.extend(answers(app, schema, &["network", noun, HOME]));
        }
        all.push(asked(&net.lab, app, "events", "/v1/events/recent"));
        all.push(asked(&net.lab, app, "failure", "/v1/networks/none"));
    }
    let examined = viewer.ctl(&["--json", "doctor"]);
    all.push(("doctor".to_owned(), serde_json::from_str(&examined.stdout).unwrap()));
    let facts = |answer: &Value| {
        answer["tunnels"].as_array().is_some_and(|all| all.iter().any(|one| one["facts"].is_object()))
    };
    assert!(all.iter().any(|(_, answer)| facts(answer)), "no tunnel tells what its protocol knows");
    assert_eq!(complaints(&all), "");
}

#[test]
fn a_schema_refuses_what_is_no_answer_and_takes_additions() {
    let event =
        json!({"version": 1, "time_ms": 5, "network": null, "kind": "entry", "message": "x", "more": [1]});
    let with = |key: &str, value: Value| {
        let mut event = event.clone();
        event[key] = value;
        ("event".to_owned(), event)
    };
    assert_eq!(complaints(&[with("kind", json!("alarm"))]), "");
    for (key, value) in [("version", json!(2)), ("time_ms", json!("now")), ("kind", Value::Null)] {
        assert!(complaints(&[with(key, value)]).contains(key), "{key}");
    }
    let mut short = event;
    short.as_object_mut().unwrap().remove("message");
    assert!(complaints(&[("event".to_owned(), short)]).contains("'message' is a required property"));
}
