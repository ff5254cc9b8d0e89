//! Known answers: keys, digests, signatures and texts from fixed seeds.
//!
//! A digest is BLAKE2s-256 over the domain's length in one byte, the domain, and each part behind its
//! length in eight bytes. A signature is Ed25519 over the digest of the message under its domain.

use coconet::cbor;
use coconet::id::{Hash, NetworkId, NodeId, StaticKey};
use coconet::invite::{Invitation, InviteError};
use coconet::key::{InviteSecret, NodeKeys};
use coconet::ledger::{Body, Draft, Ledger, Op, Removal, Withdraw, join_message, stamp, view};
use coconet::recovery::Recovery;

use crate::world::{BLIND, START, World, device, genesis, genesis_draft, guest, keys, manager_addr, name};
use crate::{hex, show};

const NETWORK: NetworkId = NetworkId(Hash([0x0a; 32]));

fn author() -> NodeKeys {
    keys(1)
}

fn manager() -> NodeKeys {
    keys(2)
}

fn invite() -> InviteSecret {
    InviteSecret::from_seed(&[3; 32])
}

#[test]
fn a_digest() {
    // The domain "t", then the parts "ab" and "c".
    let message = hex("01 74  0000000000000002 6162  0000000000000001 63");
    let plain = <blake2::Blake2s256 as blake2::Digest>::digest(&message);
    assert_eq!(show(&Hash::of("t", &[b"ab", b"c"]).0), show(&plain));
}

#[test]
fn the_keys_of_a_node_and_its_record() {
    let record = author().record();
    assert_eq!(show(&record.node.0), "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c");
    assert_eq!(show(&record.talk.0), "a4e09292b651c278b9772c569f5fa9bb13d906b46ab68c9df9dc2b4409f8a209");
    assert_eq!(
        show(&record.signature.0),
        "8167d10f16bc6d1e543bc715f1d4b9510ca6cdf68dda607dd663ecd72ef4fe76\
         0dd5bda02a510465b984ef635d6d266fc1c02df312ac716857c276811332c209"
    );
}

#[test]
fn the_texts_of_an_id() {
    let id = author().id();
    assert_eq!(id.full(), "n:rkeohxlubhyzl7ks3mwtzos5olfgocn7dwkbeg7toseadnapn5oa");
    assert_eq!(id.to_string(), "n:rkeohxlubh");
    assert_eq!(id.full().parse(), Ok(id));
    let zero = "a".repeat(52);
    assert_eq!(NodeId([0; 32]).full(), format!("n:{zero}"));
    assert_eq!(StaticKey([0; 32]).full(), format!("x:{zero}"));
    assert_eq!(manager().stamp_key().full()[..2], *"m:");
    assert_eq!(invite().key().full()[..2], *"i:");
    assert_eq!(Hash::ZERO.full(), format!("h:{zero}"));
    assert_eq!(NetworkId(Hash::ZERO).full(), format!("net:{zero}"));
}

#[test]
fn a_key_file() {
    let file = hex("636f636f2d6e6f64652d6b65792d310a  01*64     ; coco-node-key-1, both secrets");
    assert_eq!(show(&author().to_file()), show(&file));
}

#[test]
fn a_derived_secret() {
    assert_eq!(
        show(author().derive("x").as_slice()),
        "85c75c6e1c10c2f90476262f04bc647ec1222f5dcd652bb461b4574d2c49d7fc"
    );
}

#[test]
fn an_entry_its_signatures_and_its_hash() {
    let draft = Draft::new(
        &author(),
        NETWORK,
        Hash([0x0b; 32]),
        &Op::Withdraw(Withdraw { name: name("door") }),
        BLIND,
    );
    assert_eq!(draft.body, Some(Body { op: hex("83 09 f5 47 a1 00 64 646f6f72"), blind: BLIND }));
    assert_eq!(show(&draft.header.op.0), "8565cf523b6969009c370bddfca5b36daa05482822f0d0b20c33eb873f8c7523");
    assert_eq!(
        show(&draft.signature.0),
        "d380381fe3ac0d81e92cd2c526265db98140c9a91823c2d4e223d94c4c27803b\
         b415a568e71cc372004b57fdb43b30d9e7367338c0b48d32ab3697fb0ceff80b"
    );
    assert_eq!(show(&draft.hash().0), "61cd24a701a395a740d5f05cedd9668d3a66adc15092798aa4a7aec9956a2498");

    let entry = stamp(&manager(), draft, 5, 1_800_000_000_000);
    assert_eq!(
        show(&entry.stamp.manager.0),
        "8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394"
    );
    assert_eq!(
        show(&entry.stamp.signature.0),
        "d328ba30c232677260ca19452e3802d9ecbff721df000bbe25e407667b1501db\
         d272488136ebed76848f1ab9d151fd4a0eaea284ddf23b494d0230130332090e"
    );
}

#[test]
fn the_proof_of_a_join() {
    assert_eq!(show(&invite().key().0), "ed4928c628d1c2c6eae90338905995612959273a5c63f93636c14614ac8737d1");
    let message = join_message(NETWORK, &author().record(), &name("cam"));
    let record = cbor::encode(&author().record());
    // [network, record, name]
    assert_eq!(show(&message), show(&[hex("83 5820 0a*32"), record, hex("63 63616d")].concat()));
    assert_eq!(
        show(&invite().sign("coco/join", &message).0),
        "e3eb72a70de2bcf969bcaedec19e5b5ea09c99f3d073ecb2ceaf643a4edcdd49\
         990ba6beed078a418e6f4d971090668cf4c631d7346b4cb3767b107a32f9ee03"
    );
}

#[test]
fn a_networks_id_is_the_hash_of_its_genesis() {
    let draft = genesis_draft(&author(), genesis(&author(), &manager()));
    let network = Ledger::founded_by(&draft).unwrap().state().network();
    assert_eq!(show(&network.0.0), "8a8e05cbaa97c69fb4ed893b82dff37cd95bd65a349b8346d83606f902824ebc");
}

const MANAGER: &str = "mgr1qe4xodvipulv6vvdkrtmgtd6ztfy3curwtxdpis56yhvxd6jwokm\
    5dj22hglmm7mpnymc6auuxdw5tics2cqkdjui5c3ubmhbzmh2wpunioyw@192.0.2.1:4433";

#[test]
fn the_text_of_a_managers_address() {
    let addr = manager_addr(&manager());
    assert_eq!(addr.to_string(), MANAGER);
    assert_eq!(MANAGER.parse(), Ok(addr));
}

const INVITE: &str = "coco1uqafqiakbifaucqkbifaucqkbifaucqkbifaucqkbifaucqkbifaucqkbiaydjaalaqicolxb2uh2f27\
    k2rvizwdjr7mzs4nrki3j3rxujo7md23r7e3hfablaqm5dj22hglmm7mpnymc6auuxdw5tics2cqkdjui5c3ubmhbzmh2wicneyts\
    mrogaxdelrrammrcuiclaqagaydambqgaydambqgaydambqgaydambqgaydambqgaydambqgayddmaaaanddbofaaaqv6nhs";

#[test]
fn the_text_of_an_invite() {
    let managers = vec![manager_addr(&manager())];
    let invitation = Invitation { network: NETWORK, managers, secret: invite(), expires: 1_800_000_000_000 };
    assert_eq!(invitation.to_text().as_str(), INVITE);
    let back: Invitation = INVITE.parse().unwrap();
    assert_eq!((back.network, back.expires), (NETWORK, 1_800_000_000_000));
    assert_eq!((back.managers, back.secret.key()), (invitation.managers, invite().key()));
}

#[test]
fn the_bytes_of_an_invite() {
    let text = |body: &[u8]| {
        let sum = &Hash::of("coco/invite", &[body]).0[..4];
        format!("coco1{}", data_encoding::BASE32_NOPAD.encode(&[body, sum].concat()).to_ascii_lowercase())
    };
    let address = cbor::encode(&manager_addr(&manager()));
    let body = [
        hex("a4  00 5820 0a*32  01 81          ; network, one manager"),
        address,
        hex("02 5820 03*32  03 1b 000001a3185c5000      ; secret, expires"),
    ]
    .concat();
    assert_eq!(text(&body), INVITE);
    // With its checksum right and its bytes wrong it is of another version, not damaged.
    for (how, other) in crate::spelling::others(&body) {
        assert_eq!(text(&other).parse::<Invitation>().map(|_| ()), Err(InviteError::Version), "{how}");
    }
    // An invite that names no manager leads nowhere.
    let lost = hex("a4  00 5820 0a*32  01 80  02 5820 03*32  03 00");
    assert_eq!(text(&lost).parse::<Invitation>().map(|_| ()), Err(InviteError::Damaged));
}

const RECOVERY: &str = "cocorec1umafqiakbifaucqkbifaucqkbifaucqkbifaucqkbifaucqkbifaucqkbiaydjaalaqicolxb2uh2\
    f27k2rvizwdjr7mzs4nrki3j3rxujo7md23r7e3hfablaqm5dj22hglmm7mpnymc6auuxdw5tics2cqkdjui5c3ubmhbzmh2wicneyts\
    mrogaxdelrrammrcuiclbaacaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqc\
    aibaeaqcaibaeaqcaibaeoxu227";

#[test]
fn the_text_of_a_recovery_key() {
    let managers = vec![manager_addr(&manager())];
    let recovery = Recovery { network: NETWORK, managers: managers.clone(), keys: author() };
    assert_eq!(recovery.to_text().as_str(), RECOVERY);
    for text in [RECOVERY.to_owned(), RECOVERY.to_uppercase()] {
        let back: Recovery = text.parse().unwrap();
        assert_eq!((back.network, back.managers, back.keys.id()), (NETWORK, managers.clone(), author().id()));
        assert_eq!(back.keys.static_key(), author().static_key());
    }
}

#[test]
fn the_bytes_of_a_recovery_key() {
    let text = |body: &[u8]| {
        let sum = &Hash::of("coco/recovery", &[body]).0[..4];
        let text = data_encoding::BASE32_NOPAD.encode(&[body, sum].concat());
        format!("cocorec1{}", text.to_ascii_lowercase())
    };
    let address = cbor::encode(&manager_addr(&manager()));
    let body = [
        hex("a3  00 5820 0a*32  01 81          ; network, one manager"),
        address,
        hex("02 5840 01*64                     ; both secrets"),
    ]
    .concat();
    assert_eq!(text(&body), RECOVERY);
    for (how, other) in crate::spelling::others(&body) {
        assert!(text(&other).parse::<Recovery>().is_err(), "{how}");
    }
    // One that names no manager leads nowhere, and an invite is none.
    assert!(text(&hex("a3  00 5820 0a*32  01 80  02 5840 01*64")).parse::<Recovery>().is_err());
    assert!(INVITE.parse::<Recovery>().is_err());
    // Each mistyped character is noticed.
    for at in 0..RECOVERY.len() {
        let mut typo = RECOVERY.as_bytes().to_vec();
        typo[at] = if typo[at] == b'a' { b'b' } else { b'a' };
        assert!(String::from_utf8(typo).unwrap().parse::<Recovery>().is_err(), "at {at}");
    }
}

#[test]
fn the_digest_of_a_view() {
    // The numbers of the entries left out, in eight bytes each, as one part.
    assert_eq!(
        show(&view::digest([3, 258]).0),
        "cc2954f2ef06d4d6b2f02d61d4a6555cbf41ca1092d616950badd3db6708fe4b"
    );
    assert_eq!(show(&view::digest([]).0), "2e8316f0921ca4e1f444d3a0120c60a7c33156c3a0286d41df63c7aaff0c7b94");
}

#[test]
fn the_digest_of_a_founded_network() {
    let w = World::founded();
    let (network, record, id) = (w.entries[0].hash(), keys(1).record(), keys(1).id());
    let state = [
        hex("aa  00 5820"),
        network.0.to_vec(),
        hex("01 64 686f6d65  02 00  03 81                  ; name, home; kind; managers, one"),
        cbor::encode(&manager_addr(&w.manager)),
        hex("04 a1  65 616c696365  a1 00 00                ; users: alice, role owner, by no invite"),
        hex("05 a1"),
        cbor::encode(&id),
        hex("a6  00"),
        cbor::encode(&record),
        hex("01 66 6c6170746f70                            ;   name, laptop
             02 65 616c696365                              ;   user, alice
             03 01  04 f5  05 00                           ;   kind, app; publish; joined
             06 a0  07 a0  08 a0  09 a0                    ; removed, invites, resources, grants"),
    ]
    .concat();
    assert_eq!(show(&w.ledger.state().digest().0), show(&Hash::of("coco/state", &[&state]).0));
}

#[test]
fn the_digest_of_a_network_with_one_of_each() {
    let mut w = World::founded();
    w.brings("laptop", device(), "cam");
    w.brings("laptop", guest("eve"), "eve-pc");
    w.brings("laptop", device(), "old");
    w.removes("laptop", "old").unwrap();
    w.publishes("cam", "door").unwrap();
    w.grants_with("laptop", "eve", "door", |grant| grant.until = Some(START)).unwrap();

    let mut nodes = [
        (1, "66 6c6170746f70", "65 616c696365", "03 01  04 f5  05 00"),
        (2, "63 63616d", "65 616c696365", "03 00  04 f5  05 02"),
        (3, "66 6576652d7063", "63 657665", "03 01  04 f4  05 04"),
    ];
    nodes.sort_by_key(|node| keys(node.0).id());
    let nodes = nodes.map(|(seed, called, user, rest)| {
        let (id, record) = (cbor::encode(&keys(seed).id()), cbor::encode(&keys(seed).record()));
        [id, hex("a6 00"), record, hex(&format!("01 {called}  02 {user}  {rest}"))].concat()
    });
    let mut invites =
        [("82 00 81 f5", 1), ("82 02 82 63 657665 02", 2), ("82 00 81 f5", 3)].map(|(what, n)| {
            let mut seed = [0x1d; 32];
            seed[..2].copy_from_slice(&[0, n]);
            (InviteSecret::from_seed(&seed).key(), what)
        });
    invites.sort();
    let eves = invites.iter().find(|(_, what)| what.starts_with("82 02")).unwrap().0;
    let week = START + 7 * crate::world::DAY;
    let invites = invites.map(|(key, what)| {
        // key: {invite: {key, purpose, uses, expires}, inviter, left, revoked}
        let mut bytes = [cbor::encode(&key), hex("a4  00 a4  00"), cbor::encode(&key)].concat();
        bytes.extend(hex(&format!("01 {what}  02 01  03 1b {week:016x}  01")));
        bytes.extend([cbor::encode(&keys(1).id()), hex("02 00  03 f4")].concat());
        bytes
    });
    let state = [
        hex("aa  00 5820"),
        w.ledger.state().network().0.0.to_vec(),
        hex("01 64 686f6d65  02 00  03 81"),
        cbor::encode(&manager_addr(&w.manager)),
        hex("04 a2  65 616c696365  a1 00 00  63 657665  a2 00 02 01     ; users, in the order of their text"),
        cbor::encode(&eves),
        hex("05 a3"),
        nodes.concat(),
        hex("06 a1                                         ; removed: old, by entry 7, no guest's"),
        [cbor::encode(&keys(4).static_key()), hex("a2 00"), cbor::encode(&keys(4).id()), hex("01 07")]
            .concat(),
        hex("07 a3"),
        invites.concat(),
        hex("08 a1  64 646f6f72  a3 00"),
        cbor::encode(&keys(2).id()),
        hex("01 03  02 a0                                  ;   kind, rtsp; attributes"),
        hex("09 a1  63 657665  a1  64 646f6f72             ; grants: eve, door"),
        hex(&format!("a2  00 81 64 706c6179  02 1b {START:016x}     ;   can, play; until")),
    ]
    .concat();
    assert_eq!(show(&w.ledger.state().digest().0), show(&Hash::of("coco/state", &[&state]).0));
}

#[test]
fn how_a_guest_left() {
    let removal = Removal { node: NodeId([0x11; 32]), seq: 7, guest: Some(name("eve")) };
    assert_eq!(show(&cbor::encode(&removal)), show(&hex("a3  00 5820 11*32  01 07  02 63 657665")));
}
