#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
use proptest::prelude::*;

use super::*;

fn secrets() -> Secrets {
    Secrets { local: Secret::extract(b"", &[b"local"]), remote: Secret::extract(b"", &[b"remote"]) }
}

fn mirrored() -> Secrets {
    let Secrets { local, remote } = secrets();
    Secrets { local: remote, remote: local }
}

const HEADER: &[u8] = b"\x40header";
const PAYLOAD: &[u8] = b"a packet's payload";

fn seal(key: &dyn PacketKey, path: PathId, number: u64) -> Vec<u8> {
    let mut packet = [HEADER, PAYLOAD, &[0; TAG_LEN]].concat();
    key.encrypt(path, number, &mut packet, HEADER.len());
    packet
}

fn open(key: &dyn PacketKey, path: PathId, number: u64, packet: &[u8]) -> Option<Vec<u8>> {
    let (header, payload) = packet.split_at(HEADER.len());
    let mut payload = BytesMut::from(payload);
    key.decrypt(path, number, header, &mut payload).ok()?;
    Some(payload.to_vec())
}

#[test]
fn the_nonce_is_path_then_packet_number_xor_iv() {
    let path = PathId::from(0x0102_0304u32);
    assert_eq!(
        nonce(&[0; 12], path, 0x1112_1314_1516_1718),
        [1, 2, 3, 4, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18]
    );
    assert_eq!(
        nonce(&[0xff; 12], PathId::ZERO, 1),
        [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe]
    );
}

#[test]
fn a_path_number_of_each_encoded_length_is_read_back() {
    for number in [0, 1, 63, 64, 16383, 16384, (1 << 30) - 1, 1 << 30, u32::MAX] {
        assert_eq!(path_number(PathId::from(number)), number);
    }
}

#[test]
fn a_packet_opens_only_with_its_own_direction_path_number_and_header() {
    let ours = packet_keys(&secrets());
    let theirs = packet_keys(&mirrored());
    let path = PathId::from(1u32);
    let packet = seal(&*ours.local, path, 7);
    assert_eq!(open(&*theirs.remote, path, 7, &packet).unwrap(), PAYLOAD);

    assert!(open(&*theirs.local, path, 7, &packet).is_none());
    assert!(open(&*theirs.remote, PathId::ZERO, 7, &packet).is_none());
    assert!(open(&*theirs.remote, path, 8, &packet).is_none());
    for i in 0..packet.len() {
        let mut altered = packet.clone();
        altered[i] ^= 1;
        assert!(open(&*theirs.remote, path, 7, &altered).is_none(), "byte {i}");
    }
}

#[test]
fn payloads_shorter_than_a_tag_are_an_error_and_no_panic() {
    let keys = packet_keys(&secrets());
    for len in 0..TAG_LEN {
        let packet = [HEADER, &vec![0; len]].concat();
        assert!(open(&*keys.remote, PathId::ZERO, 0, &packet).is_none());
    }
}

#[test]
fn the_next_generation_shares_no_key_and_directions_stay_apart() {
    let first = secrets();
    let second = first.next();
    let sealed: Vec<_> = [&first, &second]
        .into_iter()
        .flat_map(|secrets| {
            let keys = packet_keys(secrets);
            [seal(&*keys.local, PathId::ZERO, 0), seal(&*keys.remote, PathId::ZERO, 0)]
        })
        .collect();
    for (i, a) in sealed.iter().enumerate() {
        for b in &sealed[i + 1..] {
            assert_ne!(a, b);
        }
    }
}

/// RFC 9001, A.5: header protection of a short packet with ChaCha20, from the document's own header key.
#[test]
fn header_protection_agrees_with_the_example_of_rfc_9001() {
    let hp = [
        0x25, 0xa2, 0x82, 0xb9, 0xe8, 0x2f, 0x06, 0xf2, 0x1f, 0x48, 0x89, 0x17, 0xa4, 0xfc, 0x8f, 0x1b, 0x73,
        0x57, 0x36, 0x85, 0x60, 0x85, 0x97, 0xd0, 0xef, 0xcb, 0x07, 0x6b, 0x0a, 0xb7, 0xa7, 0xa4,
    ];
    let key = HeaderProtection(HeaderProtectionKey::new(&CHACHA20, &hp).unwrap());
    let sealed = [
        0x65, 0x5e, 0x5c, 0xd5, 0x5c, 0x41, 0xf6, 0x90, 0x80, 0x57, 0x5d, 0x79, 0x99, 0xc2, 0x5a, 0x5b, 0xfb,
    ];
    let mut packet = [&[0x42, 0x00, 0xbf, 0xf4][..], &sealed].concat();
    key.encrypt(1, &mut packet);
    assert_eq!(packet[..4], [0x4c, 0xfe, 0x41, 0x89]);
    key.decrypt(1, &mut packet);
    assert_eq!(packet[..4], [0x42, 0x00, 0xbf, 0xf4]);
}

proptest! {
    #[test]
    fn header_protection_is_undone_by_the_other_side(
        mut packet in proptest::collection::vec(any::<u8>(), 21..80),
        pn_offset in 1usize..40,
    ) {
        let ours = keys(&secrets());
        let theirs = keys(&mirrored());
        let before = packet.clone();
        ours.header.local.encrypt(pn_offset, &mut packet);
        theirs.header.remote.decrypt(pn_offset, &mut packet);
        prop_assert_eq!(packet, before);
    }
}
