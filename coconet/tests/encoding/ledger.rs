//! Ops and entries.

use std::num::NonZeroU16;

use coconet::cbor::{self, CborError};
use coconet::id::{Hash, InviteKey, NetworkId, NodeId, StampKey, StaticKey};
use coconet::key::{NodeRecord, Signature};
use coconet::ledger::{
    Blind, Body, Draft, Entry, Genesis, Header, Invite, Join, NetworkKind, Op, Publish, Purpose, RemoveNode,
    Stamp, Withdraw,
};
use coconet::manager_addr::ManagerAddr;
use coconet::resource::{Attributes, Kind};
use coconet::role::Role;
use coconet::scope::Scope;

use crate::world::name;
use crate::{MAX, hex, pinned, show, spelling};

pub(crate) fn record() -> NodeRecord {
    let (node, talk) = (NodeId([0x11; 32]), StaticKey([0x22; 32]));
    NodeRecord { node, talk, signature: Signature([0x33; 64]) }
}

pub(crate) const RECORD: &str = "
    a3                      ; map of 3
      00 5820 11*32         ;   node
      01 5820 22*32         ;   talk
      02 5840 33*64         ;   signature
";

pub(crate) fn manager() -> ManagerAddr {
    ManagerAddr {
        stamp: StampKey([0x44; 32]),
        talk: StaticKey([0x55; 32]),
        host: "192.0.2.1".parse().unwrap(),
        port: 4433,
        tls: None,
    }
}

pub(crate) const MANAGER: &str = "
    a4                              ; map of 4
      00 5820 44*32                 ;   stamp
      01 5820 55*32                 ;   talk
      02 69 3139322e302e322e31      ;   host, 192.0.2.1
      03 19 1151                    ;   port, 4433
";

pub(crate) fn draft() -> Draft {
    let header = Header {
        network: NetworkId(Hash([0x0a; 32])),
        prev: Hash([0x0b; 32]),
        op: Hash([0x0c; 32]),
        author: NodeId([0x11; 32]),
    };
    Draft { header, signature: Signature([0x33; 64]), body: Some(body()) }
}

fn body() -> Body {
    Body { op: vec![1, 2, 3], blind: Blind([0x77; 16]) }
}

const HEADER: &str = "
    a4                      ; map of 4
      00 5820 0a*32         ;   network
      01 5820 0b*32         ;   prev
      02 5820 0c*32         ;   op, the hash of blind and bytes
      03 5820 11*32         ;   author
";

const BODY: &str = "
    a2                      ; map of 2
      00 43 010203          ;   op, its bytes
      01 50 77*16           ;   blind
";

pub(crate) fn draft_text() -> String {
    format!(
        "a3                 ; map of 3
           00 {HEADER}      ;   header
           01 5840 33*64    ;   signature
           02 {BODY}        ;   body"
    )
}

pub(crate) fn entry() -> Entry {
    let (manager, signature) = (StampKey([0x44; 32]), Signature([0x66; 64]));
    Entry { draft: draft(), stamp: Stamp { seq: 5, time: 1_800_000_000_000, manager, signature } }
}

const STAMP: &str = "
    a4                              ; map of 4
      00 05                         ;   seq
      01 1b 000001a3185c5000        ;   time
      02 5820 44*32                 ;   manager
      03 5840 66*64                 ;   signature
";

pub(crate) fn entry_text() -> String {
    format!("a2  00 {}\n  01 {STAMP}   ; map of 2: draft, stamp", draft_text())
}

/// `op` travels as `[code, true, payload]`, the payload spelt as `payload` and in no other way.
#[track_caller]
pub(crate) fn op_pinned(op: &Op, code: &str, payload: &str) {
    let bytes = hex(payload);
    let length = match bytes.len() {
        short @ 0..=23 => format!("{:02x}", 0x40 + short),
        short @ 24..=255 => format!("58{short:02x}"),
        long => format!("59{long:04x}"),
    };
    pinned(op, &format!("83 {code} f5 {length} {payload}"));
    for (how, payload) in spelling::others(&bytes) {
        let other = Op::Unknown { code: op.code(), critical: true, payload }.to_bytes();
        assert!(Op::from_bytes(&other).is_err(), "taken with {how}: {}", show(&other));
    }
}

#[test]
fn a_node_record() {
    pinned(&record(), RECORD);
}

#[test]
fn a_managers_address() {
    pinned(&manager(), MANAGER);
    pinned(
        &ManagerAddr { host: "2001:db8::1".parse().unwrap(), port: 80, ..manager() },
        "a4
           00 5820 44*32
           01 5820 55*32
           02 6b 323030313a6462383a3a31     ; 2001:db8::1, no brackets
           03 1850",
    );
    pinned(
        &ManagerAddr { tls: NonZeroU16::new(8443), ..manager() },
        &format!("{} 04 19 20fb                ; port for TLS, 8443", MANAGER.replacen("a4", "a5", 1)),
    );
    for (host, port, why) in [
        ("69 3139322e302e322e31", "00", "port 0"),
        ("60", "1850", "no host"),
        ("63 612f62", "1850", "a host that is a path"),
        ("62 2d68", "1850", "a host that is an option"),
    ] {
        let bytes = hex(&format!("a4  00 5820 44*32  01 5820 55*32  02 {host}  03 {port}"));
        assert!(cbor::decode::<ManagerAddr>(&bytes, MAX).is_err(), "{why}");
    }
}

#[test]
fn a_header_a_draft_and_one_whose_op_is_left_out() {
    pinned(&draft().header, HEADER);
    pinned(&draft(), &draft_text());
    let hidden = Draft { body: None, ..draft() };
    pinned(&hidden, &format!("a2  00 {HEADER}\n  01 5840 33*64"));
    // An op that is there and empty is something else, and a body that is null is nothing.
    let empty = Draft { body: Some(Body { op: Vec::new(), ..body() }), ..draft() };
    pinned(&empty, &format!("a3  00 {HEADER}\n  01 5840 33*64  02 a2 00 40 01 50 77*16"));
    let null = hex(&format!("a3  00 {HEADER}\n  01 5840 33*64  02 f6"));
    assert_eq!(cbor::decode::<Draft>(&null, MAX), Err(CborError::NotCanonical));
}

#[test]
fn a_body_has_its_op_and_its_blind_or_is_none() {
    pinned(&body(), BODY);
    for (body, why) in [
        ("a1  00 43 010203", "no blind"),
        ("a1  01 50 77*16", "no op"),
        ("a0", "neither"),
        ("a2  00 43 010203  01 4f 77*15", "a short blind"),
        ("a2  00 43 010203  01 51 77*17", "a long blind"),
        ("a2  00 43 010203  01 f6", "a blind that is null"),
        ("43 010203", "an op alone"),
    ] {
        let bytes = hex(&format!("a3  00 {HEADER}\n  01 5840 33*64  02 {body}"));
        assert!(cbor::decode::<Draft>(&bytes, MAX).is_err(), "{why}");
    }
}

#[test]
fn a_stamp_and_an_entry() {
    pinned(&entry().stamp, STAMP);
    pinned(&entry(), &entry_text());
    assert_eq!(show(&entry().to_bytes()), show(&hex(&entry_text())));
}

#[test]
fn op_0_genesis() {
    let genesis = Genesis {
        name: name("home"),
        kind: NetworkKind::User,
        owner: record(),
        user: name("alice"),
        node_name: name("laptop"),
        managers: vec![manager()],
        salt: [0x77; 16],
    };
    let text = |kind| {
        format!(
            "a7                             ; map of 7
               00 64 686f6d65               ;   name, home
               01 {kind}                    ;   kind
               02 {RECORD}                  ;   owner
               03 65 616c696365             ;   user, alice
               04 66 6c6170746f70           ;   node_name, laptop
               05 81 {MANAGER}              ;   managers, one
               06 50 77*16                  ;   salt"
        )
    };
    op_pinned(&Op::Genesis(genesis.clone()), "00", &text("00"));
    op_pinned(&Op::Genesis(Genesis { kind: NetworkKind::Developer, ..genesis }), "00", &text("01"));
}

#[test]
fn op_1_invite() {
    let invite = Invite {
        key: InviteKey([0x88; 32]),
        purpose: Purpose::SelfApp,
        uses: 1,
        expires: 1_800_000_000_000,
        node_name: None,
        only: None,
    };
    let text = |purpose| {
        format!(
            "a4                             ; map of 4
               00 5820 88*32                ;   key
               01 {purpose}                 ;   purpose
               02 01                        ;   uses
               03 1b 000001a3185c5000       ;   expires"
        )
    };
    let user = |role| Purpose::User { name: name("bob"), role };
    for (purpose, spelt) in [
        (Purpose::Device { publish: true }, "82 00 81 f5"),
        (Purpose::Device { publish: false }, "82 00 81 f4"),
        (Purpose::SelfApp, "82 01 80"),
        (user(Role::Owner), "82 02 82 63 626f62 00"),
        (user(Role::Admin), "82 02 82 63 626f62 01"),
        (user(Role::Guest), "82 02 82 63 626f62 02"),
        (Purpose::Recovery, "82 03 80"),
    ] {
        op_pinned(&Op::Invite(Invite { purpose, ..invite.clone() }), "01", &text(spelt));
    }
    let only = Scope::try_from(vec!["rtsp".to_owned(), "door".to_owned()]).unwrap();
    let limited = Invite { only: Some(only), ..invite.clone() };
    op_pinned(
        &Op::Invite(limited),
        "01",
        "a5                                 ; map of 5
           00 5820 88*32
           01 82 01 80
           02 01
           03 1b 000001a3185c5000
           05 a2                            ;   only, map of 2
              00 81 03                      ;     kinds, one, rtsp
              01 81 64 646f6f72             ;     resources, one, door",
    );
    let named = Invite { uses: 1000, node_name: Some(name("cam")), ..invite };
    op_pinned(
        &Op::Invite(named),
        "01",
        "a5                                 ; map of 5
           00 5820 88*32
           01 82 01 80
           02 19 03e8                       ;   uses, 1000
           03 1b 000001a3185c5000
           04 63 63616d                     ;   node_name, cam",
    );
}

#[test]
fn op_3_join() {
    let join = Join {
        invite: InviteKey([0x88; 32]),
        record: record(),
        name: name("cam"),
        proof: Signature([0x99; 64]),
    };
    let text = format!(
        "a4                     ; map of 4
           00 5820 88*32        ;   invite
           01 {RECORD}          ;   record
           02 63 63616d         ;   name, cam
           03 5840 99*64        ;   proof"
    );
    op_pinned(&Op::Join(join), "03", &text);
}

#[test]
fn op_4_remove_node() {
    op_pinned(&Op::RemoveNode(RemoveNode { node: NodeId([0x11; 32]) }), "04", "a1 00 5820 11*32");
}

#[test]
fn op_8_publish() {
    for (number, kind) in Kind::ALL.into_iter().enumerate() {
        let publish = Publish { name: name("door"), kind, attributes: Attributes::default() };
        op_pinned(
            &Op::Publish(publish),
            "08",
            &format!("a3  00 64 646f6f72  01 {number:02x}  02 a0     ; name, door; kind; attributes, none"),
        );
    }
    // Attributes are by name, a shorter name first, then by the alphabet.
    let attributes = [("path", "/a?b"), ("z", ""), ("codec", "h264"), ("aaaa", "x")];
    let attributes = attributes.into_iter().map(|(key, value)| (name(key), value.to_owned()));
    let attributes = Attributes::new(attributes.collect()).unwrap();
    op_pinned(
        &Op::Publish(Publish { name: name("door"), kind: Kind::Rtsp, attributes }),
        "08",
        "a3
           00 64 646f6f72                   ; name, door
           01 03                            ; kind, rtsp
           02 a4                            ; attributes, 4
             61 7a  60                      ;   z: (empty)
             64 61616161  61 78             ;   aaaa: x
             64 70617468  64 2f613f62       ;   path: /a?b
             65 636f646563  64 68323634     ;   codec: h264",
    );
}

#[test]
fn op_9_withdraw() {
    op_pinned(&Op::Withdraw(Withdraw { name: name("door") }), "09", "a1 00 64 646f6f72");
}

#[test]
fn an_op_of_a_later_version_keeps_its_bytes() {
    let op = |code, critical| Op::Unknown { code, critical, payload: vec![0xde, 0xad] };
    pinned(&op(14, true), "83 0e f5 42 dead");
    pinned(&op(900, false), "83 19 0384 f4 42 dead");
    pinned(&op(u16::MAX, true), "83 19 ffff f5 42 dead");
}
