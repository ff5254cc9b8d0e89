//! The ledger told, checked and taken along: `log`, `audit`, `export`, `verify`; and recovery keys.

use std::fs;
use std::io::Write;

use coconet::id::{Hash, NetworkId};
use coconet::key::{NodeKeys, SEED_LEN};
use coconet::ledger::{BLIND_LEN, Blind, Draft, Entry, Genesis, NetworkKind, Op, archive, stamp};
use coconet::manager_addr::ManagerAddr;
use coconet::recovery::Recovery;
use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use crate::daemon::{Asked, Daemon, Directory, Ended, cococtl, failure, network};

/// 2026-08-01 12:34 UTC.
const START: u64 = 1_785_587_640_000;

const BLIND: Blind = Blind([0xb1; BLIND_LEN]);

pub(crate) fn keys(seed: u8) -> NodeKeys {
    NodeKeys::from_seed(&[seed; SEED_LEN])
}

fn manager_of(keys: &NodeKeys) -> ManagerAddr {
    let (stamp, talk) = (keys.stamp_key(), keys.static_key());
    ManagerAddr { stamp, talk, host: "192.0.2.1".parse().unwrap(), port: 4433, tls: None }
}

fn genesis() -> Entry {
    let (owner, manager) = (keys(1), keys(200));
    let genesis = Genesis {
        name: "home".parse().unwrap(),
        kind: NetworkKind::User,
        owner: owner.record(),
        user: "alice".parse().unwrap(),
        node_name: "laptop".parse().unwrap(),
        managers: vec![manager_of(&manager)],
        salt: [7; 16],
    };
    let draft = Draft::new(&owner, NetworkId(Hash::ZERO), Hash::ZERO, &Op::Genesis(genesis), BLIND);
    stamp(&manager, draft, 0, START)
}

/// The next entry on `before`, a note of the owner's.
pub(crate) fn note(before: &Entry, text: &str, time: u64) -> Entry {
    let op = Op::Unknown { code: 900, critical: false, payload: text.as_bytes().to_vec() };
    let draft = Draft::new(&keys(1), NetworkId(genesis().hash()), before.hash(), &op, BLIND);
    stamp(&keys(200), draft, before.stamp.seq + 1, time)
}

/// What somebody does who is no member.
pub(crate) fn forbidden(op: &Op) -> Entry {
    let first = genesis().hash();
    stamp(&keys(200), Draft::new(&keys(66), NetworkId(first), first, op, BLIND), 1, START)
}

/// Something of another network.
pub(crate) fn foreign() -> Entry {
    let op = Op::Unknown { code: 900, critical: false, payload: Vec::new() };
    let draft = Draft::new(&keys(1), NetworkId(Hash([9; 32])), genesis().hash(), &op, BLIND);
    stamp(&keys(200), draft, 1, START)
}

/// What a later version wrote, and what matters.
pub(crate) fn unknown() -> Entry {
    let op = Op::Unknown { code: 901, critical: true, payload: Vec::new() };
    let first = genesis().hash();
    stamp(&keys(200), Draft::new(&keys(1), NetworkId(first), first, &op, BLIND), 1, START)
}

pub(crate) fn ledger() -> Vec<Entry> {
    let first = genesis();
    let second = note(&first, "one", START + 60_000);
    let third = note(&second, "two", START + 120_000);
    vec![first, second, third]
}

pub(crate) fn file_of(entries: &[Entry]) -> Vec<u8> {
    let bytes: Vec<Vec<u8>> = entries.iter().map(Entry::to_bytes).collect();
    archive::write(bytes.iter().map(Vec::as_slice))
}

/// `verify` of a file with these bytes, with no way to any daemon.
fn verify(bytes: &[u8], words: &[&str]) -> Ended {
    let directory = Directory::new();
    let path = directory.join("home.ledger");
    fs::write(&path, bytes).unwrap();
    let words = [&["network", "verify", path.to_str().unwrap()], words].concat();
    let mut command = cococtl(&words);
    Ended::of(command.env_remove("HOME"))
}

#[test]
fn a_ledger_that_verifies_says_what_it_holds() {
    let entries = ledger();
    let Ended { code, out, err } = verify(&file_of(&entries), &[]);
    assert_eq!((code, err.as_str()), (0, ""));
    let (id, head) = (NetworkId(entries[0].hash()).full(), entries[2].hash().full());
    assert_eq!(
        out,
        format!(
            "\
network   home, {id}
entries   3, from 2026-08-01 12:34 UTC to 2026-08-01 12:36 UTC
head      {head}
state     1 user, 1 node, 0 resources
"
        )
    );
    let json: Value = serde_json::from_str(&verify(&file_of(&entries), &["--json"]).out).unwrap();
    let expected = json!({
        "version": 1, "network": "home", "id": id, "entries": 3, "withheld": 0, "head": head,
        "founded_ms": START, "newest_ms": START + 120_000, "users": 1, "nodes": 1, "resources": 0,
    });
    assert_eq!(json, expected);
    let fed = Ended::fed(&mut cococtl(&["network", "verify", "-"]), &file_of(&entries));
    assert_eq!((fed.code, fed.out), (0, out));
}

#[test]
fn what_was_left_out_for_a_guest_passes_only_as_that() {
    let mut entries = ledger();
    entries[1].draft.body = None;
    let Ended { code, err, .. } = verify(&file_of(&entries), &[]);
    assert!(code == 1 && err.contains("entry 1 does not verify") && err.contains("hint: "), "{err}");
    assert!(err.contains("--guest, if it is one"), "{err}");
    let Ended { code, out, .. } = verify(&file_of(&entries), &["--guest"]);
    assert_eq!(code, 0);
    assert!(out.ends_with("withheld  content of 1 entry left out, and not judged\n"), "{out}");
    // It is left out and not replaced.
    entries[1].draft.body = entries[2].draft.body.clone();
    assert_eq!(verify(&file_of(&entries), &["--guest"]).code, 1);
}

/// A daemon that exports these bytes.
fn exporting(bytes: Vec<u8>) -> Daemon {
    Daemon::talking(move |_, stream| {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: {}\r\n\r\n",
            bytes.len()
        );
        let _ = stream.write_all(&[head.as_bytes(), &bytes].concat());
    })
}

#[test]
fn an_export_is_the_file_byte_for_byte() {
    let directory = Directory::new();
    let path = directory.join("home.ledger");
    let bytes = file_of(&ledger());
    let daemon = exporting(bytes.clone());
    let output = daemon.command(&["network", "export", "home"]).output().unwrap();
    assert_eq!((output.status.code(), &output.stdout, output.stderr.len()), (Some(0), &bytes, 0));
    assert_eq!(daemon.asked(), [Asked { line: "GET /v1/networks/home/export".into(), body: Value::Null }]);

    let words = ["network", "export", "home", "--output", path.to_str().unwrap()];
    fs::write(&path, "older").unwrap();
    let Ended { code, out, err } = daemon.run(&words);
    assert_eq!((code, err.as_str(), fs::read(&path).unwrap()), (0, "", bytes.clone()));
    assert_eq!(out, format!("exported home to {}, 1.3 kB\n", path.display()));
    let json: Value = serde_json::from_str(&daemon.run(&[&words[..], &["--json"]].concat()).out).unwrap();
    assert_eq!(json, json!({"version": 1, "file": path, "bytes": bytes.len()}));
    // What is no file is written to, not replaced.
    assert_eq!(daemon.run(&["network", "export", "home", "--output", "/dev/null"]).code, 0);
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
}

#[test]
fn half_an_export_is_none() {
    let directory = Directory::new();
    let path = directory.join("home.ledger");
    let words = ["network", "export", "home", "--output", path.to_str().unwrap()];
    let broken = Daemon::talking(|_, stream| {
        let head =
            "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: 99999\r\n\r\n";
        let _ = stream.write_all(&[head.as_bytes(), &file_of(&ledger()[..2])].concat());
    });
    let other = Daemon::saying(200, &json!({"version": 1}));
    let refused = Daemon::saying(404, &failure("not-found", None));
    for (daemon, code, said) in [
        (&broken, 3, "the daemon went away before it had answered"),
        (&other, 1, "the daemon's answer is no ledger file"),
        (&refused, 5, "it is so"),
    ] {
        let ended = daemon.run(&words);
        assert_eq!((ended.code, ended.out.as_str()), (code, ""), "{}", ended.err);
        assert!(ended.err.contains(said), "{}", ended.err);
    }
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
    let Ended { code, out, err } = exporting(Vec::new()).run(&["network", "export", "home", "--json"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.starts_with("error: a ledger file is not JSON\nhint: "), "{err}");
    let nowhere = ["network", "export", "home", "--output", "/nonexistent/x"];
    let Ended { code, err, .. } = exporting(Vec::new()).run(&nowhere);
    assert!(code == 1 && err.starts_with("error: cannot write /nonexistent/x\n  caused by: "), "{err}");
}

#[test]
fn the_history_tells_who_did_what_when() {
    let line = |seq: u64, user: Option<&str>, node: Option<&str>, what: Option<&str>| {
        json!({"seq": seq, "time_ms": START + seq * 60_000, "user": user, "node": node,
               "author": keys(9).id().full(), "what": what, "hash": "h:x"})
    };
    let log = json!({"version": 1, "entries": [
        line(0, Some("alice"), Some("laptop"), Some("create network home owned by alice")),
        line(1, Some("bob"), None, Some("a\u{1b}[2J\nb")),
        line(2, None, None, None),
    ]});
    let daemon = Daemon::saying(200, &log);
    let Ended { code, out, err } = daemon.run(&["network", "log", "home"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let short = keys(9).id().to_string();
    assert_eq!(
        out,
        format!(
            "\
ENTRY  TIME                  WHO             WHAT
0      2026-08-01 12:34 UTC  alice (laptop)  create network home owned by alice
1      2026-08-01 12:35 UTC  bob             a[2Jb
2      2026-08-01 12:36 UTC  {short:<14}  (not shown to this node)
"
        )
    );
    let json = daemon.run(&["network", "log", "home", "--json"]).out;
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), log);
}

pub(crate) fn audit(alarm: Option<&str>, proofs: &[Value]) -> Value {
    json!({"version": 1, "seq": 12, "head": "h:abc", "withheld": 0, "alarm": alarm, "proofs": proofs})
}

pub(crate) fn proof(first: &Entry, second: &Entry) -> Value {
    let hexadecimal = |entry: &Entry| HEXLOWER.encode(&entry.to_bytes());
    json!({"seq": 2, "manager": keys(200).stamp_key().full(), "first": hexadecimal(first),
           "second": hexadecimal(second)})
}

#[test]
fn an_audit_without_findings_is_quiet_and_good() {
    let mut good = audit(None, &[]);
    let Ended { code, out, err } = Daemon::saying(200, &good).run(&["network", "audit", "home"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(out, "ledger    verified to entry 12\nhead      h:abc\nalarm     none\n");
    good["withheld"] = json!(7);
    let out = Daemon::saying(200, &good).run(&["network", "audit", "home"]).out;
    assert!(out.contains("withheld  content of 7 entries left out, as for a guest\n"), "{out}");
}

#[test]
fn two_stamps_for_one_number_are_an_alarm_and_shown_as_what_they_are() {
    let entries = ledger();
    let other = note(&entries[1], "three", START + 180_000);
    let shown = audit(Some("entry 2 was stamped twice"), &[proof(&entries[2], &other)]);
    let daemon = Daemon::saying(200, &shown);
    let Ended { code, out, err } = daemon.run(&["network", "audit", "home"]);
    assert_eq!(code, 1);
    assert!(out.contains("alarm     entry 2 was stamped twice\n"), "{out}");
    assert!(
        out.contains(&format!("proof     entry 2 was stamped twice by {}\n", keys(200).stamp_key().full()))
    );
    let author = keys(1).id();
    let second =
        format!("second    2026-08-01 12:37 UTC, {author}: op 900, which this version does not know, ");
    assert!(out.contains(&second), "{out}");
    assert!(out.ends_with("checked   the manager has signed both: that is proof\n"), "{out}");
    assert!(err.starts_with("error: ALARM in home: entry 2 was stamped twice\nhint: "), "{err}");
    let Ended { code, out, .. } = daemon.run(&["network", "audit", "home", "--json"]);
    assert_eq!((code, serde_json::from_str::<Value>(&out).unwrap()), (1, shown));
}

#[test]
fn a_proof_that_proves_nothing_is_not_believed() {
    let entries = ledger();
    let other = note(&entries[1], "three", START + 180_000);
    let mut forged = other.clone();
    forged.stamp.time += 1;
    let garbled =
        |what: &str| json!({"seq": 2, "manager": "m:x\u{1b}", "first": what, "second": "\u{1b}[2J"});
    for proof in [
        proof(&entries[2], &entries[2]),
        proof(&entries[2], &forged),
        proof(&entries[1], &entries[2]),
        garbled(""),
        garbled(&"ab".repeat(40_000)),
    ] {
        let Ended { code, out, .. } =
            Daemon::saying(200, &audit(None, &[proof])).run(&["network", "audit", "home"]);
        assert_eq!(code, 1);
        assert!(out.contains("checked   NOT PROVEN: ") && !out.contains('\u{1b}'), "{out}");
    }
}

fn recovery_key() -> String {
    let network = NetworkId(Hash([3; 32]));
    Recovery { network, managers: vec![manager_of(&keys(200))], keys: keys(7) }.to_text().to_string()
}

#[test]
fn a_recovery_key_is_alone_on_stdout() {
    let key = recovery_key();
    let made = json!({"version": 1, "node": "recovery-1", "key": key});
    let daemon = Daemon::saying(200, &made);
    let Ended { code, out, err } = daemon.run(&["network", "recovery-key", "home"]);
    assert_eq!((code, out), (0, format!("{key}\n")));
    assert!(
        err.starts_with("warning: printed this once and kept nowhere; whoever has it is the owner"),
        "{err}"
    );
    assert!(err.contains(" node remove home recovery-1") && !err.contains(&key[10..40]), "{err}");
    let line = "POST /v1/networks/home/recovery-key".to_owned();
    assert_eq!(daemon.asked(), [Asked { line, body: Value::Null }]);
    let Ended { out, err, .. } = daemon.run(&["network", "recovery-key", "home", "--json"]);
    assert_eq!((serde_json::from_str::<Value>(&out).unwrap(), err.as_str()), (made.clone(), ""));
    for bad in ["", "cocorec1abc", &key[..key.len() - 1], &format!("{key}\n"), "cocorec1\u{1b}[2J"] {
        let mut made = made.clone();
        made["key"] = json!(bad);
        let Ended { code, out, err } = Daemon::saying(200, &made).run(&["network", "recovery-key", "home"]);
        assert_eq!((code, out.as_str()), (1, ""), "{bad}");
        assert!(err.starts_with("error: the daemon's answer is no recovery key\n"), "{err}");
    }
}

#[test]
fn a_recovery_key_is_taken_from_stdin_a_file_or_the_command_line_and_never_repeated() {
    let key = recovery_key();
    let daemon = Daemon::saying(200, &network("home", "online", None));
    let directory = Directory::new();
    let path = directory.join("key");
    let cut = format!("{}\n  {}\n", &key[..60], &key[60..]);
    fs::write(&path, &cut).unwrap();
    let ends = [
        Ended::fed(&mut daemon.command(&["network", "recover", "-", "--node-name", "tv"]), cut.as_bytes()),
        daemon.run(&["network", "recover", "--file", path.to_str().unwrap(), "--node-name", "tv"]),
        daemon.run(&["network", "recover", &key, "--node-name", "tv"]),
    ];
    for Ended { code, out, err } in ends {
        assert_eq!((code, out.as_str()), (0, "recovered home as viewer, owner of alice, net:abc\n"), "{err}");
        assert!(!err.contains("cocorec1"), "{err}");
    }
    let body = json!({"key": key, "node_name": "tv"});
    assert!(daemon.asked().iter().all(|asked| asked.line == "POST /v1/recover" && asked.body == body));

    let typo = key.replacen(&key[80..81], if &key[80..81] == "a" { "b" } else { "a" }, 1);
    for words in [
        &["network", "recover", &typo][..],
        &["network", "recover", &key[..100]],
        &["network", "recover", "-", &key],
        &["network", &key],
        &["network", "recover", "coco1abcdefghijklmnop"],
        &["network", "recover", "-"],
        &["network", "recover"],
    ] {
        let Ended { code, out, err } = Ended::fed(&mut daemon.command(words), b"");
        assert_eq!((code, out.as_str()), (2, ""), "{err}");
        assert!(!err.contains(&key[20..50]) && !err.contains(&key[90..99]), "{err}");
    }
    let missing = daemon.run(&["network", "recover", "--file", "/nonexistent/key"]);
    assert!(missing.err.starts_with("error: cannot read the recovery key from /nonexistent/key\n"));
    assert_eq!((missing.code, daemon.asked().len()), (1, 3));
}
