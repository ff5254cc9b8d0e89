//! What travels between nodes and to the manager.

use std::net::SocketAddr;

use coconet::id::{Hash, InviteKey, NetworkId, NodeId};
use coconet::key::Signature;
use coconet::wire::code::{Close, Reset};
use coconet::wire::{self, FRAME_MAX, PROTOCOL_VERSION, manager, node};

use crate::ledger::{draft, draft_text, entry, entry_text};
use crate::world::name;
use crate::{hex, pinned, show};

const NETWORK: NetworkId = NetworkId(Hash([0x0a; 32]));
const HEAD: Hash = Hash([0x0b; 32]);

#[test]
fn a_frame_is_two_bytes_of_length_and_the_message() {
    let ping = wire::frame(&node::Request::Ping).unwrap();
    assert_eq!(show(&ping), show(&hex("0003  82 01 80")));
    // The longest message fits, one byte more does not.
    let entry = |len| node::Greeting::Entry(vec![0; len]);
    let longest = FRAME_MAX - hex("82 00 81 59 ffff").len();
    assert_eq!(wire::frame(&entry(longest)).map(|frame| frame.len()), Some(2 + FRAME_MAX));
    assert_eq!(wire::frame(&entry(longest + 1)), None);
}

#[test]
fn hello() {
    pinned(
        &node::Hello { version: 1, network: NETWORK, seq: 300, head: HEAD, features: u64::MAX },
        "a5                         ; map of 5
           00 01                    ;   version
           01 5820 0a*32            ;   network
           02 19 012c               ;   seq, 300
           03 5820 0b*32            ;   head
           04 1b ffffffffffffffff   ;   features",
    );
}

#[test]
fn greeting() {
    pinned(&node::Greeting::Entry(vec![1, 2]), "82 00 81 42 0102");
    pinned(&node::Greeting::Done, "82 01 80");
    pinned(&node::Greeting::View(HEAD), "82 02 81 5820 0b*32");
}

#[test]
fn a_request_to_a_node() {
    let open = |probe| node::Request::Open { resource: name("door"), probe };
    pinned(&open(false), "82 00 82 64 646f6f72 f4");
    pinned(&open(true), "82 00 82 64 646f6f72 f5");
    pinned(&node::Request::Ping, "82 01 80");
    pinned(&node::Request::Exchange(name("door")), "82 02 81 64 646f6f72");
}

#[test]
fn a_reply_of_a_node() {
    pinned(&node::Reply::Ok, "82 00 80");
    let refused = node::Reply::refused(Reset::NotPermitted, "no");
    pinned(&refused, "82 01 82 01 62 6e6f       ; code, not-permitted; reason, no");
}

#[test]
fn the_reason_of_a_refusal_is_cut_between_characters() {
    // 511 bytes and a character of two.
    let text = format!("{}é", "x".repeat(node::REASON_MAX - 1));
    let node::Reply::Refused { reason, .. } = node::Reply::refused(Reset::Closed, &text) else {
        panic!("a refusal")
    };
    assert_eq!(reason.len(), node::REASON_MAX - 1);
}

#[test]
fn a_request_to_a_manager() {
    let (invite, proof) = (InviteKey([0x88; 32]), Signature([0x99; 64]));
    pinned(
        &manager::Request::Head { network: NETWORK, invite, proof },
        "82 00 83  5820 0a*32  5820 88*32  5840 99*64   ; network, invite, proof",
    );
    pinned(&manager::Request::Append(draft()), &format!("82 01 81 {}", draft_text()));
    pinned(
        &manager::Request::Fetch { network: NETWORK, from: 24 },
        "82 02 82  5820 0a*32  1818                     ; network, from",
    );
    let candidates = vec!["192.0.2.7:4433".parse().unwrap(), "[2001:db8::7]:80".parse().unwrap()];
    pinned(
        &manager::Request::Register { network: NETWORK, candidates },
        "82 03 82  5820 0a*32                           ; network
           82                                           ; candidates, two
             82 00 82 44 c0000207 19 1151               ;   IPv4: address, port
             82 01 82 50 20010db8 00*11 07 1850         ;   IPv6: address, port",
    );
    pinned(
        &manager::Request::Dial { network: NETWORK, node: NodeId([0x11; 32]), relay: true },
        "82 04 83  5820 0a*32  5820 11*32  f5           ; network, node, relay",
    );
    pinned(&manager::Request::Presence { network: NETWORK }, "82 05 81  5820 0a*32      ; network");
    pinned(&manager::Request::Usage { network: NETWORK, month: None }, "82 06 81  5820 0a*32  ; network");
    pinned(
        &manager::Request::Usage { network: NETWORK, month: Some(202_607) },
        "82 06 82  5820 0a*32  1a 0003176f               ; network, month",
    );
    pinned(
        &manager::Request::Probe { network: NETWORK, token: 0x0102_0304_0506_0708 },
        "82 07 82  5820 0a*32  1b 0102030405060708       ; network, token",
    );
}

#[test]
fn a_response_of_a_manager() {
    use manager::Response;

    let observed = "192.0.2.7:4433".parse().unwrap();
    pinned(&Response::Head { seq: 7, head: HEAD, view: None }, "82 00 82  07  5820 0b*32   ; seq, head");
    pinned(
        &Response::Head { seq: 7, head: HEAD, view: Some(Hash([0x0c; 32])) },
        "82 00 83  07  5820 0b*32  5820 0c*32                       ; seq, head, view",
    );
    // A view that is null is not there.
    assert!(wire::message::<Response>(&hex("82 00 83  07  5820 0b*32  f6")).is_err());
    pinned(&Response::Stamped(Box::new(entry())), &format!("82 01 81 {}", entry_text()));
    pinned(&Response::Conflict { seq: 7, head: HEAD }, "82 02 82  07  5820 0b*32");
    pinned(&Response::Entry(vec![1, 2]), "82 03 81 42 0102");
    pinned(
        &Response::Registered { observed, seq: 7, head: HEAD },
        "82 04 83  82 00 82 44 c0000207 19 1151  07  5820 0b*32     ; observed, seq, head",
    );
    pinned(
        &Response::Online(vec![(NodeId([0x11; 32]), 0), (NodeId([0x12; 32]), 24)]),
        "82 06 81 82
           82 5820 11*32 00                                         ; a node, now
           82 5820 12*32 1818                                       ; a node, then",
    );
    pinned(
        &Response::Failed { code: "busy".into(), message: "later".into() },
        "82 07 82  64 62757379  65 6c61746572                       ; code, message",
    );
}

#[test]
fn what_a_dial_leads_to() {
    use manager::Response;

    let observed: SocketAddr = "192.0.2.7:4433".parse().unwrap();
    let dialled = |channel, refused| Response::Dialled {
        online: true,
        candidates: vec![observed],
        last_seen: 0,
        channel,
        refused,
    };
    pinned(
        &dialled(None, None),
        "82 05 83  f5  81 82 00 82 44 c0000207 19 1151  00          ; online, candidates, last_seen",
    );
    pinned(
        &dialled(Some(u64::MAX), None),
        "82 05 84  f5  81 82 00 82 44 c0000207 19 1151  00
           1b ffffffffffffffff                                      ; channel",
    );
    pinned(
        &dialled(None, Some(manager::failed::QUOTA.into())),
        "82 05 85  f5  81 82 00 82 44 c0000207 19 1151  00
           f6  65 71756f7461                                        ; no channel, for: quota",
    );
    let ring = |channel| Response::Ring { node: NodeId([0x11; 32]), candidates: vec![observed], channel };
    pinned(
        &ring(Some(24)),
        "82 08 83  5820 11*32  81 82 00 82 44 c0000207 19 1151  1818   ; node, candidates, channel",
    );
    pinned(&ring(None), "82 08 82  5820 11*32  81 82 00 82 44 c0000207 19 1151");
}

#[test]
fn what_the_relay_has_carried() {
    use manager::{DayUsage, NodeUsage, Response};

    pinned(
        &Response::Usage {
            month: 202_607,
            plan: Some("free".into()),
            limit: Some(100_000_000),
            used: 300,
            whole: true,
            days: vec![DayUsage { day: 31, bytes: 300 }],
            nodes: vec![NodeUsage { node: NodeId([0x11; 32]), sent: 300, received: 24 }],
            more: false,
        },
        "82 09 88
           1a 0003176f                                              ; month
           64 66726565  1a 05f5e100                                 ; plan, limit
           19 012c  f5                                              ; used, whole
           81 82 181f 19 012c                                       ; days: day, bytes
           81 83 5820 11*32 19 012c 1818                            ; nodes: node, sent, received
           f4                                                       ; more",
    );
    let unlimited = Response::Usage {
        month: 202_607,
        plan: None,
        limit: None,
        used: 0,
        whole: false,
        days: Vec::new(),
        nodes: Vec::new(),
        more: true,
    };
    pinned(&unlimited, "82 09 88  1a 0003176f  f6 f6  00 f4  80 80  f5");
    pinned(&Response::Quota { used: 80, limit: 100 }, "82 0a 82  1850 1864             ; used, limit");
    pinned(&Response::Probed { time: 300, port: Some(4434) }, "82 0b 82  19 012c 19 1152  ; time, port");
    pinned(&Response::Probed { time: 300, port: None }, "82 0b 81  19 012c");
}

#[test]
fn a_page_of_usage_fits_a_frame() {
    let node = manager::NodeUsage { node: NodeId([0xff; 32]), sent: u64::MAX, received: u64::MAX };
    let longest = manager::Response::Usage {
        month: u32::MAX,
        plan: Some("x".repeat(100)),
        limit: Some(u64::MAX),
        used: u64::MAX,
        whole: true,
        days: vec![manager::DayUsage { day: u8::MAX, bytes: u64::MAX }; 31],
        nodes: vec![node; manager::USAGE_NODES_MAX],
        more: true,
    };
    assert!(wire::frame(&longest).is_some());
}

#[test]
fn the_numbers_of_the_codes() {
    let close = [
        (Close::Done, "done"),
        (Close::NotAMember, "not-a-member"),
        (Close::Revoked, "revoked"),
        (Close::WrongNetwork, "wrong-network"),
        (Close::UpdateNeeded, "update-needed"),
        (Close::LedgerFork, "ledger-fork"),
        (Close::Protocol, "protocol-error"),
        (Close::Busy, "busy"),
        (Close::TooSlow, "too-slow"),
    ];
    for ((code, word), number) in close.into_iter().zip(0..) {
        assert_eq!((code.number(), code.as_str()), (number, word));
    }
    let reset = [
        (Reset::Closed, "closed"),
        (Reset::NotPermitted, "not-permitted"),
        (Reset::Unreachable, "target-unreachable"),
        (Reset::PeerReset, "connection-reset"),
        (Reset::Revoked, "revoked"),
        (Reset::MaxClients, "max-clients"),
        (Reset::GoingAway, "going-away"),
        (Reset::Protocol, "protocol-error"),
        (Reset::Unsupported, "unsupported"),
    ];
    for ((code, word), number) in reset.into_iter().zip(0..) {
        assert_eq!((code.number(), code.as_str()), (number, word));
    }
}

#[test]
fn what_else_both_ends_must_agree_on() {
    assert_eq!(PROTOCOL_VERSION, 1);
    assert_eq!((manager::HEAD_DOMAIN, manager::HEAD_EXPORT_LABEL), ("coco/head", &b"coco head proof"[..]));
}

#[test]
fn a_message_is_refused_for_what_it_cannot_be() {
    for (body, why) in [
        ("82 02 80", "a request of a later version"),
        ("82 00 82 66 2e2e2f657463 f4", "a resource that is a path"),
        ("82 00 82 60 f4", "a resource without a name"),
        ("82 00 82 64 646f6fff f4", "a resource that is not UTF-8"),
        ("82 00 81 64 646f6f72", "an open without its probe flag"),
        ("", "nothing"),
    ] {
        assert!(wire::message::<node::Request>(&hex(body)).is_err(), "{why}");
    }
}
