//! The seeds of the fuzz targets, replayed without a fuzzer.
//!
//! `fuzz/seeds/TARGET/` holds one file for each kind of input. What this program can write it does write:
//! `cargo test -p coconet --test seeds -- --ignored` renews them after a change of the encoding. Others,
//! among them what a fuzzer once choked on, are put there by hand.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[expect(unreachable_pub, reason = "it is the fuzz crate's module, where they are reachable")]
#[path = "../../fuzz/src/net.rs"]
mod net;
mod world;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use coconet::cbor;
use coconet::id::{Hash, InviteKey, NetworkId, NodeId};
use coconet::invite::Invitation;
use coconet::key::Signature;
use coconet::ledger::{Entry, Op, Purpose};
use coconet::recovery::Recovery;
use coconet::role::Role;
use coconet::wire::code::Reset;
use coconet::wire::{manager, node};

use world::{World, device, name};

/// Target, file name, bytes.
type Seed = (&'static str, &'static str, Vec<u8>);

fn dir(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(target)
}

#[test]
fn every_seed_is_taken_for_what_its_name_says() {
    for (target, body) in net::TARGETS {
        let mut files: Vec<_> = fs::read_dir(dir(target)).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        assert!(files.len() > 3, "{target} has seeds");
        for file in files {
            let bad = file.file_name().unwrap().to_string_lossy().starts_with("bad-");
            assert_eq!(body(&fs::read(&file).unwrap()), !bad, "{}", file.display());
        }
    }
}

#[test]
fn the_committed_seeds_are_of_this_encoding() {
    for (target, file, bytes) in seeds() {
        let path = dir(target).join(file);
        assert_eq!(fs::read(&path).ok(), Some(bytes), "{}", path.display());
    }
}

#[test]
#[ignore = "writes fuzz/seeds"]
fn write_the_seeds() {
    for (target, file, bytes) in seeds() {
        fs::create_dir_all(dir(target)).unwrap();
        fs::write(dir(target).join(file), bytes).unwrap();
    }
}

/// A ledger with an entry of every op.
fn one_of_each() -> (World, Invitation) {
    let mut w = World::peopled();
    w.publishes("cam", "door").unwrap();
    let hours = "Tue,Fri 09:00-12:00 Europe/Berlin".parse().ok();
    w.grants_with("laptop", "eve", "door", |grant| (grant.when, grant.until) = (hours, Some(world::START)))
        .unwrap();
    w.revokes("laptop", "eve", "door").unwrap();
    w.makes("laptop", "eve", Role::Admin).unwrap();
    w.renames("laptop", "eve", "eva").unwrap();
    w.renames_node("laptop", "cam", "camera").unwrap();
    w.renames_network("laptop", "house").unwrap();
    w.appoints("laptop", &[&world::keys(200), &world::keys(201)]).unwrap();
    w.vouches("laptop").unwrap();
    w.expels("laptop", "eva").unwrap();
    w.withdraws("cam", "door").unwrap();
    w.removes("laptop", "cam").unwrap();
    let revoked = w.invites("laptop", Purpose::Recovery).unwrap();
    w.uninvites("laptop", &revoked).unwrap();
    let invitation = w.invites("laptop", device()).unwrap();
    let unknown = Op::Unknown { code: 900, critical: false, payload: vec![1, 2, 3] };
    w.says("laptop", &unknown).unwrap();
    (w, invitation)
}

fn seeds() -> Vec<Seed> {
    let (w, invitation) = one_of_each();
    let mut seeds = ledger_seeds(&w);
    let address = world::manager_addr(&w.manager);
    let text = invitation.to_text();
    let recovery =
        Recovery { network: invitation.network, managers: vec![address.clone()], keys: world::keys(1) };
    let inside = data_encoding::BASE32_NOPAD.decode(text[5..].to_ascii_uppercase().as_bytes()).unwrap();
    seeds.extend([
        ("invite", "invite", text.as_bytes().to_vec()),
        ("invite", "invite-upper-case", text.to_uppercase().into_bytes()),
        ("invite", "invite-inside", inside[..inside.len() - 4].to_vec()),
        ("invite", "manager-address", address.to_string().into_bytes()),
        ("invite", "bad-cut-off", text.as_bytes()[..80].to_vec()),
        ("invite", "recovery", recovery.to_text().as_bytes().to_vec()),
        ("invite", "bad-recovery-cut-off", recovery.to_text().as_bytes()[..200].to_vec()),
    ]);
    let entry = w.entries.last().unwrap().clone();
    let (network, head) = (w.ledger.state().network(), w.ledger.head());
    let (invite, proof) = (invitation.secret.key(), Signature([9; 64]));
    seeds.extend(hello_seeds(network, head, &entry.to_bytes()));
    seeds.extend(node_seeds());
    seeds.extend(asked_seeds(network, invite, proof, entry.draft.clone()));
    seeds.extend(answered_seeds(head, entry));
    seeds
}

/// An entry of every op, and every op alone.
fn ledger_seeds(w: &World) -> Vec<Seed> {
    let names = [
        ("entry-genesis", "op-genesis"),
        ("entry-invite-device", "op-invite-device"),
        ("entry-join", "op-join"),
        ("entry-invite-user", "op-invite-user"),
        ("", ""),
        ("", ""),
        ("", ""),
        ("entry-publish", "op-publish"),
        ("entry-grant", "op-grant"),
        ("entry-revoke-grant", "op-revoke-grant"),
        ("entry-set-role", "op-set-role"),
        ("entry-rename-user", "op-rename-user"),
        ("entry-rename-node", "op-rename-node"),
        ("entry-rename-network", "op-rename-network"),
        ("entry-set-managers", "op-set-managers"),
        ("entry-checkpoint", "op-checkpoint"),
        ("entry-remove-user", "op-remove-user"),
        ("entry-withdraw", "op-withdraw"),
        ("entry-remove-node", "op-remove-node"),
        ("entry-invite-recovery", "op-invite-recovery"),
        ("entry-revoke-invite", "op-revoke-invite"),
        ("", ""),
        ("entry-unknown", "op-unknown"),
    ];
    assert_eq!(names.len(), w.entries.len());
    let mut seeds = Vec::new();
    for ((as_entry, as_op), entry) in
        names.into_iter().zip(&w.entries).filter(|(names, _)| !names.0.is_empty())
    {
        seeds.push(("ledger_entry", as_entry, entry.to_bytes()));
        seeds.push(("ledger_entry", as_op, entry.draft.body.clone().unwrap().op));
    }
    let mut hidden = w.entries[1].clone();
    hidden.draft.body = None;
    seeds.push(("ledger_entry", "entry-with-its-op-left-out", hidden.to_bytes()));
    seeds.push(("ledger_entry", "bad-op-without-its-blind", without_its_blind(&w.entries[1])));
    let mut respelt = w.entries[1].to_bytes();
    respelt.splice(..1, [0xb8, 0x02]);
    seeds.push(("ledger_entry", "bad-longer-head", respelt));
    seeds
}

/// The body's last key, one byte, and its value of 17 bytes cut off.
fn without_its_blind(entry: &Entry) -> Vec<u8> {
    let body = cbor::encode(entry.draft.body.as_ref().unwrap());
    let mut op_alone = body[..body.len() - 18].to_vec();
    op_alone[0] = 0xa1;
    let bytes = entry.to_bytes();
    let at = bytes.windows(body.len()).position(|window| window == body).unwrap();
    [&bytes[..at], &op_alone, &bytes[at + body.len()..]].concat()
}

fn hello_seeds(network: NetworkId, head: Hash, entry: &[u8]) -> [Seed; 5] {
    let hello = node::Hello { version: 1, network, seq: 11, head, features: 0 };
    [
        ("hello", "hello", cbor::encode(&hello)),
        ("hello", "greeting-entry", cbor::encode(&node::Greeting::Entry(entry.to_vec()))),
        ("hello", "greeting-done", cbor::encode(&node::Greeting::Done)),
        ("hello", "greeting-view", cbor::encode(&node::Greeting::View(head))),
        ("hello", "bad-with-its-length", coconet::wire::frame(&hello).unwrap()),
    ]
}

fn node_seeds() -> [Seed; 5] {
    let open = node::Request::Open { resource: name("door"), probe: false };
    let refused = node::Reply::refused(Reset::NotPermitted, "not here");
    [
        ("stream_header", "node-open", cbor::encode(&open)),
        ("stream_header", "node-ping", cbor::encode(&node::Request::Ping)),
        ("stream_header", "node-ok", cbor::encode(&node::Reply::Ok)),
        ("stream_header", "node-refused", cbor::encode(&refused)),
        ("stream_header", "bad-cut-off", cbor::encode(&open)[..5].to_vec()),
    ]
}

fn asked_seeds(
    network: NetworkId,
    invite: InviteKey,
    proof: Signature,
    draft: coconet::ledger::Draft,
) -> [Seed; 7] {
    use manager::Request;
    let candidates = vec!["192.0.2.7:4433".parse().unwrap(), "[2001:db8::7]:4433".parse().unwrap()];
    [
        ("stream_header", "ask-head", cbor::encode(&Request::Head { network, invite, proof })),
        ("stream_header", "ask-append", cbor::encode(&Request::Append(draft))),
        ("stream_header", "ask-fetch", cbor::encode(&Request::Fetch { network, from: 7 })),
        ("stream_header", "ask-register", cbor::encode(&Request::Register { network, candidates })),
        (
            "stream_header",
            "ask-dial",
            cbor::encode(&Request::Dial { network, node: NodeId([1; 32]), relay: true }),
        ),
        ("stream_header", "ask-presence", cbor::encode(&Request::Presence { network })),
        ("stream_header", "ask-usage", cbor::encode(&Request::Usage { network, month: None })),
    ]
}

fn answered_seeds(head: Hash, entry: Entry) -> [Seed; 12] {
    use manager::Response;
    let observed = "192.0.2.7:4433".parse().unwrap();
    let dialled = Response::Dialled {
        online: true,
        candidates: vec![observed],
        last_seen: 0,
        channel: Some(0x0102_0304_0506_0708),
        refused: None,
    };
    let node = NodeId([1; 32]);
    let ring = Response::Ring { node, candidates: vec![observed], channel: None };
    let usage = Response::Usage {
        month: 202_607,
        plan: Some("free".into()),
        limit: Some(100_000_000),
        used: 42,
        whole: true,
        days: vec![manager::DayUsage { day: 31, bytes: 42 }],
        nodes: vec![manager::NodeUsage { node, sent: 42, received: 0 }],
        more: false,
    };
    let failed = Response::Failed { code: "busy".into(), message: "later".into() };
    [
        ("stream_header", "answer-head", cbor::encode(&Response::Head { seq: 11, head, view: None })),
        (
            "stream_header",
            "answer-head-viewed",
            cbor::encode(&Response::Head { seq: 11, head, view: Some(head) }),
        ),
        ("stream_header", "answer-entry", cbor::encode(&Response::Entry(entry.to_bytes()))),
        ("stream_header", "answer-stamped", cbor::encode(&Response::Stamped(Box::new(entry)))),
        ("stream_header", "answer-conflict", cbor::encode(&Response::Conflict { seq: 11, head })),
        (
            "stream_header",
            "answer-registered",
            cbor::encode(&Response::Registered { observed, seq: 11, head }),
        ),
        ("stream_header", "answer-dialled", cbor::encode(&dialled)),
        ("stream_header", "answer-online", cbor::encode(&Response::Online(vec![(node, 0)]))),
        ("stream_header", "answer-failed", cbor::encode(&failed)),
        ("stream_header", "answer-ring", cbor::encode(&ring)),
        ("stream_header", "answer-usage", cbor::encode(&usage)),
        ("stream_header", "answer-quota", cbor::encode(&Response::Quota { used: 80, limit: 100 })),
    ]
}

#[test]
fn no_two_seeds_are_the_same() {
    for (target, _) in net::TARGETS {
        let mut seen = BTreeMap::new();
        for file in fs::read_dir(dir(target)).unwrap().map(|file| file.unwrap().path()) {
            let twin = seen.insert(fs::read(&file).unwrap(), file.clone());
            assert!(twin.is_none(), "{} is {}", file.display(), twin.unwrap().display());
        }
    }
}
