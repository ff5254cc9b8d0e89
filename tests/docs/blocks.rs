//! Bytes in blocks are what the encoders make.

use std::collections::BTreeSet;

use coco_tunnel::carrier;
use coco_tunnel::flow::frame as flow;
use coco_tunnel::relay::frame::Frame;
use coconet::cbor::encode;
use coconet::grant::Capabilities;
use coconet::id::{Hash, InviteKey, NetworkId, NodeId, StampKey, StaticKey};
use coconet::key::{NodeKeys, SEED_LEN, Signature};
use coconet::ledger::{Blind, Body, Draft, Entry, Grant, Header, Invite, Op, Publish, Purpose, Stamp};
use coconet::manager_addr::ManagerAddr;
use coconet::name::Name;
use coconet::resource::{Attributes, Kind};
use coconet::role::Role;
use coconet::wire::manager::{Request as Asked, Response, failed};
use coconet::wire::node::{Hello, Request};
use coconet::wire::{self};

use crate::pages::{blocks, page};

const NETWORK: NetworkId = NetworkId(Hash([0x0a; 32]));
const HEAD: Hash = Hash([0x0b; 32]);
const TIME: u64 = 1_800_000_000_000;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// Hex digits in any grouping, `11*32` for thirty-two times 11, and from `;` to the end of the line a comment.
fn bytes(block: &str) -> Vec<u8> {
    let words = block.lines().flat_map(|line| line.split(';').next().unwrap_or_default().split_whitespace());
    let word = |word: &str| {
        let (digits, times) = word.split_once('*').unwrap_or((word, "1"));
        data_encoding::HEXLOWER.decode(digits.as_bytes()).unwrap().repeat(times.parse().unwrap())
    };
    words.flat_map(word).collect()
}

fn entry() -> Entry {
    let header = Header { network: NETWORK, prev: HEAD, op: Hash([0x0c; 32]), author: NodeId([0x11; 32]) };
    let body = Some(Body { op: vec![1, 2, 3], blind: Blind([0x77; 16]) });
    let draft = Draft { header, signature: Signature([0x33; 64]), body };
    let manager = StampKey([0x44; 32]);
    Entry { draft, stamp: Stamp { seq: 5, time: TIME, manager, signature: Signature([0x66; 64]) } }
}

fn grant() -> Op {
    Op::Grant(Grant {
        user: name("eve"),
        resource: name("door"),
        can: Capabilities::new(vec!["play".to_owned(), "talk".to_owned()]).unwrap(),
        when: Some("Tue,Fri 09:00-12:00 Europe/Berlin".parse().unwrap()),
        until: Some(TIME),
    })
}

fn invite() -> Op {
    let purpose = Purpose::User { name: name("bob"), role: Role::Guest };
    Op::Invite(Invite { key: InviteKey([0x88; 32]), purpose, uses: 1, expires: TIME, node_name: None })
}

fn publish() -> Op {
    let attributes = [(name("path"), "/stream1".to_owned())];
    let attributes = Attributes::new(attributes.into_iter().collect()).unwrap();
    Op::Publish(Publish { name: name("door"), kind: Kind::Rtsp, attributes })
}

fn framed(frame: Frame<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    frame.encode(&mut out);
    out
}

/// What the block of that name is.
fn made(block: &str) -> Option<Vec<u8>> {
    let observed = "192.0.2.7:4433".parse().unwrap();
    Some(match block {
        "digest" => Hash::of("t", &[b"ab", b"c"]).0.to_vec(),
        "node record" => encode(&NodeKeys::from_seed(&[1; SEED_LEN]).record()),
        "manager address" => encode(&ManagerAddr {
            stamp: StampKey([0x44; 32]),
            talk: StaticKey([0x55; 32]),
            host: "192.0.2.1".parse().unwrap(),
            port: 4433,
            tls: None,
        }),
        "entry" => entry().to_bytes(),
        "invite op" => invite().to_bytes(),
        "publish op" => publish().to_bytes(),
        "grant op" => grant().to_bytes(),
        "ping" => wire::frame(&Request::Ping)?,
        "hello" => encode(&Hello { version: 1, network: NETWORK, seq: 300, head: HEAD, features: 0 }),
        "open" => wire::frame(&Request::Open { resource: name("door"), probe: false })?,
        "register" => {
            let candidates = vec![observed, "[2001:db8::7]:80".parse().unwrap()];
            encode(&Asked::Register { network: NETWORK, candidates })
        }
        "dialled" => encode(&Response::Dialled {
            online: true,
            candidates: vec![observed],
            last_seen: 0,
            channel: None,
            refused: Some(failed::QUOTA.to_owned()),
        }),
        "ring" => {
            let node = NodeId([0x11; 32]);
            encode(&Response::Ring { node, candidates: vec![observed], channel: Some(24) })
        }
        "relayed data" => framed(Frame::Data { channel: 0x0102_0304_0506_0708, payload: b"\x40q" }),
        "seen" => framed(Frame::Seen { token: 1, address: "203.0.113.7:4433".parse().unwrap() }),
        "datagram in a stream" => {
            let mut out = Vec::new();
            carrier::frame::push(b"abc", &mut out).then_some(out)?
        }
        "flow" => flow::encode(0x1234, 7, 258, b"abc", 1200).unwrap().concat(),
        "flow in parts" => flow::encode(4, 7, 0, b"abcd", 8).unwrap()[0].to_vec(),
        _ => return None,
    })
}

#[test]
fn every_block_of_bytes_is_what_the_encoders_make() {
    let mut seen = BTreeSet::new();
    for block in blocks(&page("protocol.md"), "hex") {
        let first = block.lines().next().unwrap_or_default();
        let name = first.strip_prefix("; ").unwrap_or_else(|| panic!("a block without a name: {first}"));
        let made = made(name).unwrap_or_else(|| panic!("{name} is made by nobody"));
        assert_eq!(
            data_encoding::HEXLOWER.encode(&bytes(&block)),
            data_encoding::HEXLOWER.encode(&made),
            "{name}"
        );
        assert!(seen.insert(name.to_owned()), "{name} comes twice");
    }
    assert!(seen.len() >= 18, "{seen:?}");
}
