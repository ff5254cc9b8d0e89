//! The schemas in `docs/schema` are those of the types.
//!
//! `make schema` writes them; otherwise an old one fails this test.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::env;
use std::fs;
use std::path::Path;

use coconet::control::{
    Audit, Cameras, Doctor, Done, Event, Failure, Grants, Invited, Invites, Log, Members, Network, Networks,
    Peers, Pong, RecentEvents, RecoveryKey, Status, Tunnel, Tunnels, Usage, VERSION,
};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

/// Set, the files are written instead of compared.
const REWRITE: &str = "REWRITE_SCHEMA";

/// Each file: its name, what it is the answer to, and the type's schema.
fn schemas() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("audit", "cococtl network audit NAME --json", of::<Audit>()),
        ("cameras", "cococtl tunnel expose --discover --json", of::<Cameras>()),
        ("doctor", "cococtl doctor --json", of::<Doctor>()),
        ("done", "every command with --json that only says what was done", of::<Done>()),
        ("event", "cococtl events --json: each line", of::<Event>()),
        ("events", "GET /v1/events/recent", of::<RecentEvents>()),
        ("failure", "every request that the daemon refuses", of::<Failure>()),
        ("grants", "cococtl network grants NAME --json", of::<Grants>()),
        ("invite", "cococtl network invite NAME --json", of::<Invited>()),
        ("invites", "cococtl network invites NAME --json", of::<Invites>()),
        ("log", "cococtl network log NAME --json", of::<Log>()),
        ("members", "cococtl network members NAME --json", of::<Members>()),
        ("network", "cococtl network show NAME --json, and of create, join and recover", of::<Network>()),
        ("networks", "cococtl network list --json", of::<Networks>()),
        ("peers", "cococtl peers --json", of::<Peers>()),
        ("pong", "cococtl ping NODE --json: each line", of::<Pong>()),
        ("recovery-key", "cococtl network recovery-key NAME --json", of::<RecoveryKey>()),
        ("status", "cococtl status --json, and each line of --watch", of::<Status>()),
        ("tunnel", "cococtl tunnel open NAME --json, and of expose", of::<Tunnel>()),
        ("tunnels", "cococtl tunnel list --json", of::<Tunnels>()),
        ("usage", "cococtl usage NAME --json", of::<Usage>()),
    ]
}

#[test]
fn the_schemas_in_the_tree_are_those_of_the_types() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schema");
    let mut old = Vec::new();
    let schemas = schemas();
    for (name, about, mut schema) in schemas.clone() {
        schema["title"] = json!(about);
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        let path = directory.join(format!("{name}.json"));
        if env::var_os(REWRITE).is_some() {
            fs::create_dir_all(&directory).unwrap();
            fs::write(&path, &text).unwrap();
        }
        if fs::read_to_string(&path).unwrap_or_default() != text {
            old.push(name);
        }
    }
    assert!(old.is_empty(), "old schemas, which `make schema` renews: {}", old.join(" "));
    for file in fs::read_dir(&directory).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let known =
            name.strip_suffix(".json").is_some_and(|name| schemas.iter().any(|schema| schema.0 == name));
        assert!(known || name == "README.md", "docs/schema/{name} is of no answer");
    }
}

#[test]
fn programs_may_be_given_more_than_a_schema_says() {
    for (name, _, schema) in schemas() {
        let text = schema.to_string();
        assert!(!text.contains("additionalProperties\":false"), "{name}");
        assert!(!text.contains("[`"), "{name}: a link of rustdoc means nothing there");
    }
}

fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut schema = SchemaGenerator::new(settings).into_root_schema_for::<T>().to_value();
    readable(&mut schema);
    schema
}

/// Without what only says something about Rust, and open to additions.
fn readable(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map.get("additionalProperties") == Some(&Value::Bool(false)) {
                map.remove("additionalProperties");
            }
            if let Some(Value::Object(properties)) = map.get_mut("properties")
                && properties.contains_key("version")
            {
                properties
                    .insert("version".into(), json!({"const": VERSION, "description": "Of this format."}));
            }
            // The sizes of Rust's numbers are no promise.
            if map.get("type").is_some_and(Value::is_string) || map.get("type").is_some_and(Value::is_array) {
                map.remove("format");
            }
            if let Some(Value::String(text)) = map.get_mut("description") {
                *text = text.replace("[`", "`").replace("`]", "`");
            }
            map.values_mut().for_each(readable);
        }
        Value::Array(values) => values.iter_mut().for_each(readable),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
