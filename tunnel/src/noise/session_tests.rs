#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
use bytes::BytesMut;
use noq::PathId;

use super::*;

fn local(byte: u8) -> LocalStatic {
    LocalStatic::from_secret([byte; 32])
}

fn cid() -> ConnectionId {
    ConnectionId::new(&[7; MIN_INITIAL_CID])
}

/// As a peer sends them: there is no other public way to make some.
fn params(side: Side) -> TransportParameters {
    TransportParameters::read(side, &mut Cursor::new(&[][..])).unwrap()
}

fn pair() -> (Box<dyn Session>, Box<dyn Session>) {
    let client = Client::new(local(1), local(2).public());
    let client = client.start_session(QUIC_VERSION, "ignored", &params(Side::Server)).unwrap();
    let server = Server::new(local(2)).start_session(QUIC_VERSION, &params(Side::Client));
    (client, server)
}

/// What noq does with a session: the crypto stream of each level, and the keys of the last one.
fn drive(client: &mut dyn Session, server: &mut dyn Session) -> (Keys, Keys) {
    let mut last = (None, None);
    let mut done = false;
    while !done {
        done = true;
        let mut wire = Vec::new();
        last.0 = client.write_handshake(&mut wire).or(last.0);
        done &= wire.is_empty();
        server.read_handshake(&wire).unwrap();
        let mut wire = Vec::new();
        last.1 = server.write_handshake(&mut wire).or(last.1);
        done &= wire.is_empty();
        client.read_handshake(&wire).unwrap();
    }
    (last.0.unwrap(), last.1.unwrap())
}

fn crosses(from: &dyn PacketKey, to: &dyn PacketKey) -> bool {
    let mut packet = [&b"hdr payload"[..], &[0; 16]].concat();
    from.encrypt(PathId::ZERO, 3, &mut packet, 3);
    let mut payload = BytesMut::from(&packet[3..]);
    to.decrypt(PathId::ZERO, 3, b"hdr", &mut payload).is_ok()
}

#[test]
fn two_sessions_agree_on_keys_over_several_key_updates() {
    let (mut client, mut server) = pair();
    assert!(client.next_1rtt_keys().is_none() && server.next_1rtt_keys().is_none());
    let (ours, theirs) = drive(&mut *client, &mut *server);
    let (mut ours, mut theirs) = (ours.packet, theirs.packet);
    for _ in 0..4 {
        assert!(crosses(&*ours.local, &*theirs.remote));
        assert!(crosses(&*theirs.local, &*ours.remote));
        assert!(!crosses(&*ours.local, &*theirs.local));
        let next = (client.next_1rtt_keys().unwrap(), server.next_1rtt_keys().unwrap());
        assert!(!crosses(&*ours.local, &*next.1.remote));
        (ours, theirs) = next;
    }
}

#[test]
fn identity_and_exporter_appear_with_the_end_of_the_handshake() {
    let (mut client, mut server) = pair();
    let mut out = [0; 16];
    for session in [&client, &server] {
        assert!(session.is_handshaking());
        assert!(session.peer_identity().is_none());
        assert!(session.export_keying_material(&mut out, b"l", b"c").is_err());
    }
    drive(&mut *client, &mut *server);
    let identity =
        |session: &dyn Session| *session.peer_identity().unwrap().downcast::<PeerStatic>().unwrap();
    assert_eq!(identity(&*client), PeerStatic(local(2).public()));
    assert_eq!(identity(&*server), PeerStatic(local(1).public()));
    assert!(client.transport_parameters().unwrap().is_some());
    assert!(server.transport_parameters().unwrap().is_some());

    let mut theirs = [1; 16];
    client.export_keying_material(&mut out, b"l", b"c").unwrap();
    server.export_keying_material(&mut theirs, b"l", b"c").unwrap();
    assert_eq!(out, theirs);
}

#[test]
fn initial_packets_open_under_the_responder_s_key_only() {
    let (client, _) = pair();
    let ours = client.initial_keys(cid(), Side::Client).packet;
    let right = Server::new(local(2)).initial_keys(QUIC_VERSION, cid()).ok().unwrap().packet;
    let wrong = Server::new(local(3)).initial_keys(QUIC_VERSION, cid()).ok().unwrap().packet;
    assert!(crosses(&*ours.local, &*right.remote));
    assert!(crosses(&*right.local, &*ours.remote));
    assert!(!crosses(&*ours.local, &*wrong.remote));

    let other = ConnectionId::new(&[8; 8]);
    let other = Server::new(local(2)).initial_keys(QUIC_VERSION, other).ok().unwrap().packet;
    assert!(!crosses(&*ours.local, &*other.remote));
}

#[test]
fn another_version_or_a_short_connection_id_gets_no_keys() {
    let server = Server::new(local(2));
    assert!(server.initial_keys(1, cid()).is_err());
    assert!(server.initial_keys(QUIC_VERSION + 1, cid()).is_err());
    for len in 0..MIN_INITIAL_CID {
        assert!(server.initial_keys(QUIC_VERSION, ConnectionId::new(&[7; 20][..len])).is_err());
    }
    let client = Client::new(local(1), local(2).public());
    let refused = client.start_session(1, "", &params(Side::Server)).err();
    assert_eq!(refused, Some(ConnectError::UnsupportedVersion));
}

#[test]
fn a_client_accepts_the_retry_of_its_own_server_only() {
    let (client, _) = pair();
    let retry = |key| {
        let tag = Server::new(local(key)).retry_tag(QUIC_VERSION, cid(), b"headertoken");
        [&b"token"[..], &tag].concat()
    };
    assert!(client.is_valid_retry(cid(), b"header", &retry(2)));
    assert!(!client.is_valid_retry(cid(), b"header", &retry(3)));
}

#[test]
fn a_handshake_failure_is_a_crypto_error_with_its_cause() {
    let (_, mut server) = pair();
    let error = server.read_handshake(&[0xff; 10]).unwrap_err();
    assert_eq!(error.code, TransportErrorCode::crypto(40));
    assert_eq!(error.reason, "handshake message of an impossible length");
}

#[test]
fn a_key_of_low_order_cannot_be_dialled() {
    let error = Client::new(local(1), [0; 32]).start_session(QUIC_VERSION, "", &params(Side::Server)).err();
    assert_eq!(error, Some(ConnectError::InvalidServerName("public key of low order".into())));
}
