//! The ops that change who is who, what a guest may do, and who may stamp.

use coconet::cbor;
use coconet::grant::{CAPABILITIES_MAX, CAPABILITY_MAX, Capabilities, Schedule};
use coconet::id::{Hash, InviteKey, NodeId};
use coconet::ledger::{
    Checkpoint, Grant, Op, RemoveUser, Rename, Renamed, RevokeGrant, RevokeInvite, SetManagers, SetRole,
};
use coconet::role::Role;

use crate::ledger::{MANAGER, manager, op_pinned};
use crate::world::{can, name};
use crate::{MAX, hex, pinned};

#[test]
fn op_2_revoke_invite() {
    op_pinned(&Op::RevokeInvite(RevokeInvite { key: InviteKey([0x88; 32]) }), "02", "a1 00 5820 88*32");
}

#[test]
fn op_5_set_role() {
    for (role, number) in [(Role::Owner, "00"), (Role::Admin, "01"), (Role::Guest, "02")] {
        let op = Op::SetRole(SetRole { user: name("bob"), role });
        op_pinned(&op, "05", &format!("a2  00 63 626f62  01 {number}     ; user, bob; role"));
    }
    let payload = hex("a2  00 63 626f62  01 03");
    let other = Op::Unknown { code: 5, critical: true, payload }.to_bytes();
    assert!(Op::from_bytes(&other).is_err(), "a role of a later version");
}

#[test]
fn op_6_remove_user() {
    op_pinned(&Op::RemoveUser(RemoveUser { user: name("bob") }), "06", "a1 00 63 626f62");
}

#[test]
fn op_7_rename() {
    for (what, spelt) in [
        (Renamed::Network, "82 00 80"),
        (Renamed::User(name("bob")), "82 01 81 63 626f62"),
        (Renamed::Node(NodeId([0x11; 32])), "82 02 81 5820 11*32"),
    ] {
        let op = Op::Rename(Rename { what, to: name("ben") });
        op_pinned(&op, "07", &format!("a2  00 {spelt}  01 63 62656e     ; what; to, ben"));
    }
}

#[test]
fn op_10_grant() {
    let grant = Grant {
        user: name("eve"),
        resource: name("door"),
        can: can(&["talk", "play"]),
        when: None,
        until: None,
    };
    op_pinned(
        &Op::Grant(grant.clone()),
        "0a",
        "a3                                         ; map of 3
           00 63 657665                             ;   user, eve
           01 64 646f6f72                           ;   resource, door
           02 82  64 706c6179  64 74616c6b          ;   can, two in the order of the alphabet: play, talk",
    );
    let hours = "Tue,Fri 09:00-12:00 Europe/Berlin".parse().unwrap();
    op_pinned(
        &Op::Grant(Grant { when: Some(hours), until: Some(1_800_000_000_000), ..grant.clone() }),
        "0a",
        "a5                                         ; map of 5
           00 63 657665
           01 64 646f6f72
           02 82  64 706c6179  64 74616c6b
           03 a4                                    ;   when, map of 4
             00 12                                  ;     days, Tuesday 2 + Friday 16
             01 19 021c                             ;     from, minute 540
             02 19 02d0                             ;     to, minute 720
             03 6d 4575726f70652f4265726c696e       ;     zone, Europe/Berlin
           04 1b 000001a3185c5000                   ;   until",
    );
    op_pinned(
        &Op::Grant(Grant { until: Some(0), ..grant }),
        "0a",
        "a4
           00 63 657665
           01 64 646f6f72
           02 82  64 706c6179  64 74616c6b
           04 00                                    ;   until, long ago",
    );
}

#[test]
fn op_11_revoke_grant() {
    op_pinned(
        &Op::RevokeGrant(RevokeGrant { user: name("eve"), resource: name("door") }),
        "0b",
        "a2  00 63 657665  01 64 646f6f72           ; user, eve; resource, door",
    );
}

#[test]
fn op_12_set_managers() {
    op_pinned(&Op::SetManagers(SetManagers { managers: vec![] }), "0c", "a1 00 80");
    let managers = vec![manager(); 2];
    op_pinned(&Op::SetManagers(SetManagers { managers }), "0c", &format!("a1  00 82 {MANAGER} {MANAGER}"));
}

#[test]
fn op_13_checkpoint() {
    op_pinned(&Op::Checkpoint(Checkpoint { state: Hash([0x0d; 32]) }), "0d", "a1 00 5820 0d*32");
}

#[test]
fn capabilities() {
    pinned(&can(&["read:/snapshot"]), "81 6e 726561643a2f736e617073686f74");
    let word = |len: usize| format!("79 {len:04x} {}", "61".repeat(len));
    assert!(cbor::decode::<Capabilities>(&hex(&format!("81 {}", word(CAPABILITY_MAX))), MAX).is_ok());
    for (bytes, why) in [
        ("80".to_owned(), "none"),
        (
            format!(
                "91 {}",
                (0..=CAPABILITIES_MAX).map(|n| format!("61{:02x} ", 0x61 + n)).collect::<String>()
            ),
            "17",
        ),
        ("82 64 74616c6b 64 706c6179".to_owned(), "out of order"),
        ("82 64 706c6179 64 706c6179".to_owned(), "one twice"),
        ("81 60".to_owned(), "an empty one"),
        ("81 63 612062".to_owned(), "one with a space"),
        ("81 62 611b".to_owned(), "one with an escape"),
        (format!("81 {}", word(CAPABILITY_MAX + 1)), "a long one"),
    ] {
        assert!(cbor::decode::<Capabilities>(&hex(&bytes), MAX).is_err(), "{why}");
    }
}

#[test]
fn a_schedule() {
    let utc = "63 555443";
    let text =
        |days: &str, from: &str, to: &str, zone: &str| format!("a4 00 {days} 01 {from} 02 {to} 03 {zone}");
    pinned(&"daily 00:00-24:00 UTC".parse::<Schedule>().unwrap(), &text("187f", "00", "19 05a0", utc));
    pinned(&"Sun 22:00-02:00 UTC".parse::<Schedule>().unwrap(), &text("1840", "19 0528", "18 78", utc));
    for (bytes, why) in [
        (text("00", "00", "01", utc), "no day"),
        (text("1880", "00", "01", utc), "an eighth day"),
        (text("01", "19 05a0", "00", utc), "from after midnight"),
        (text("01", "00", "19 05a1", utc), "to after midnight"),
        (text("01", "05", "05", utc), "no hours"),
        (text("01", "00", "01", "64 4d6f6f6e"), "a zone on the moon"),
    ] {
        assert!(cbor::decode::<Schedule>(&hex(&bytes), MAX).is_err(), "{why}");
    }
}
