#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
use blake2::{Blake2s256, Digest as _};
use proptest::prelude::*;

use super::*;

const CLIENT_PAYLOAD: &[u8] = b"the client's transport parameters";
const SERVER_PAYLOAD: &[u8] = b"the server's transport parameters";

fn client_key() -> LocalStatic {
    LocalStatic::from_secret([1; 32])
}

fn server_key() -> LocalStatic {
    LocalStatic::from_secret([2; 32])
}

/// The same handshake every time.
fn pair() -> (Initiator, Responder) {
    let client = Initiator::with_entropy(
        &client_key(),
        server_key().public(),
        CLIENT_PAYLOAD,
        Entropy::Fixed { ephemeral: [3; 32], kem: 5 },
    );
    let server =
        Responder::with_entropy(&server_key(), SERVER_PAYLOAD, Entropy::Fixed { ephemeral: [4; 32], kem: 6 });
    (client.unwrap(), server)
}

/// All messages of the handshake of [`pair`], with their lengths.
struct Transcript {
    hello: Vec<u8>,
    reply: Vec<u8>,
    server_finished: Vec<u8>,
    client_finished: Vec<u8>,
}

fn transcript() -> Transcript {
    let (mut client, mut server) = pair();
    let hello = say(|out| client.write(out));
    server.read(&hello).unwrap();
    let reply = say(|out| server.write(out));
    let server_finished = say(|out| server.write(out));
    client.read(&reply).unwrap();
    assert!(say(|out| client.write(out)).is_empty());
    client.read(&server_finished).unwrap();
    let client_finished = say(|out| client.write(out));
    Transcript { hello, reply, server_finished, client_finished }
}

fn say(write: impl FnOnce(&mut Vec<u8>) -> Option<NewKeys>) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    out
}

/// A client that has sent its hello.
fn waiting_client() -> Initiator {
    let (mut client, _) = pair();
    say(|out| client.write(out));
    client
}

/// A client that has the handshake keys.
fn replied_client(transcript: &Transcript) -> Initiator {
    let mut client = waiting_client();
    client.read(&transcript.reply).unwrap();
    say(|out| client.write(out));
    client
}

/// A server that has sent reply and finished.
fn answered_server(transcript: &Transcript) -> Responder {
    let (_, mut server) = pair();
    server.read(&transcript.hello).unwrap();
    say(|out| server.write(out));
    say(|out| server.write(out));
    server
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn hash(bytes: &[u8]) -> String {
    hex(&Blake2s256::digest(bytes))
}

fn bytes(secret: &Secret) -> String {
    hex(&*secret.expand::<32>(&[b"coco/1 packet key"]))
}

#[test]
fn fixed_keys_give_the_known_messages_and_keys() {
    let Transcript { hello, reply, server_finished, client_finished } = transcript();

    let (length, rest) = hello.split_first_chunk::<2>().unwrap();
    let (kem, noise) = rest.split_at(kem::PUBLIC_LEN);
    assert_eq!(usize::from(u16::from_be_bytes(*length)), rest.len());
    assert_eq!(hash(kem), known::KEM_PUBLIC_HASH);
    assert_eq!(hex(noise), known::NOISE_1);

    let (length, rest) = reply.split_first_chunk::<2>().unwrap();
    let (kem, noise) = rest.split_at(kem::CIPHERTEXT_LEN);
    assert_eq!(usize::from(u16::from_be_bytes(*length)), rest.len());
    assert_eq!(hash(kem), known::KEM_CIPHERTEXT_HASH);
    assert_eq!(hex(noise), known::NOISE_2);

    assert_eq!(hex(&server_finished), known::SERVER_FINISHED);
    assert_eq!(hex(&client_finished), known::CLIENT_FINISHED);

    let (mut client, mut server) = pair();
    let ([client_handshake, client_data], [server_handshake, server_data]) =
        complete(&mut client, &mut server);
    assert_eq!(bytes(&client_handshake.local), known::CLIENT_HANDSHAKE_KEY);
    assert_eq!(bytes(&client_handshake.remote), known::SERVER_HANDSHAKE_KEY);
    assert_eq!(bytes(&client_data.local), known::CLIENT_DATA_KEY);
    assert_eq!(bytes(&client_data.remote), known::SERVER_DATA_KEY);
    assert_eq!(bytes(&client_data.next().local), known::CLIENT_UPDATED_KEY);
    assert_eq!(bytes(&server_handshake.remote), known::CLIENT_HANDSHAKE_KEY);
    assert_eq!(bytes(&server_handshake.local), known::SERVER_HANDSHAKE_KEY);
    assert_eq!(bytes(&server_data.remote), known::CLIENT_DATA_KEY);
    assert_eq!(bytes(&server_data.local), known::SERVER_DATA_KEY);

    let mut exported = [0; 32];
    assert!(client.exporter().unwrap().export(&mut exported, b"label", b"context"));
    assert_eq!(hex(&exported), known::EXPORTED);
}

/// Runs both machines to the end; the handshake and data secrets of each.
fn complete(client: &mut Initiator, server: &mut Responder) -> ([Secrets; 2], [Secrets; 2]) {
    let mut wire = Vec::new();
    assert!(client.write(&mut wire).is_none());
    server.read(&std::mem::take(&mut wire)).unwrap();
    let Some(NewKeys::Handshake(server_handshake)) = server.write(&mut wire) else { panic!("no keys") };
    client.read(&std::mem::take(&mut wire)).unwrap();
    let Some(NewKeys::Handshake(client_handshake)) = client.write(&mut wire) else { panic!("no keys") };
    assert!(wire.is_empty());
    assert!(server.write(&mut wire).is_none());
    client.read(&std::mem::take(&mut wire)).unwrap();
    let Some(NewKeys::Data(client_data)) = client.write(&mut wire) else { panic!("no keys") };
    server.read(&std::mem::take(&mut wire)).unwrap();
    let Some(NewKeys::Data(server_data)) = server.write(&mut wire) else { panic!("no keys") };
    assert!(wire.is_empty());
    ([client_handshake, client_data], [server_handshake, server_data])
}

#[test]
fn with_the_system_s_randomness_both_ends_agree_and_no_two_sessions_do() {
    let mut seen = Vec::new();
    for _ in 0..2 {
        let mut client = Initiator::new(&client_key(), server_key().public(), CLIENT_PAYLOAD).unwrap();
        let mut server = Responder::new(&server_key(), SERVER_PAYLOAD);
        let (ours, theirs) = complete(&mut client, &mut server);
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(bytes(&ours.local), bytes(&theirs.remote));
            assert_eq!(bytes(&ours.remote), bytes(&theirs.local));
            seen.extend([bytes(&ours.local), bytes(&ours.remote)]);
            seen.extend([bytes(&ours.next().local), bytes(&ours.next().remote)]);
        }
        assert_eq!(client.peer_static(), Some(server_key().public()));
        assert_eq!(server.peer_static(), Some(client_key().public()));
        assert_eq!(client.peer_payload(), Some(SERVER_PAYLOAD));
        assert_eq!(server.peer_payload(), Some(CLIENT_PAYLOAD));
    }
    let all = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), all, "directions, levels, updates and sessions each have their own key");
}

#[test]
fn both_ends_export_the_same_and_label_context_and_session_matter() {
    let export = |exporter: &Exporter, label: &[u8], context: &[u8]| {
        let mut out = [0; 48];
        assert!(exporter.export(&mut out, label, context));
        out
    };
    let (mut client, mut server) = pair();
    complete(&mut client, &mut server);
    let (ours, theirs) = (client.exporter().unwrap(), server.exporter().unwrap());
    assert_eq!(export(ours, b"a", b"b"), export(theirs, b"a", b"b"));
    assert_ne!(export(ours, b"a", b"b"), export(ours, b"b", b"b"));
    assert_ne!(export(ours, b"a", b"b"), export(ours, b"a", b"c"));
    assert_ne!(export(ours, b"ab", b""), export(ours, b"a", b"b"));

    let mut other_client = Initiator::new(&client_key(), server_key().public(), b"").unwrap();
    complete(&mut other_client, &mut Responder::new(&server_key(), b""));
    assert_ne!(export(ours, b"a", b"b"), export(other_client.exporter().unwrap(), b"a", b"b"));

    assert!(ours.export(&mut [0; 8160], b"", b""));
    assert!(!ours.export(&mut [0; 8161], b"", b""));
}

#[test]
fn a_hello_for_another_key_is_not_authentic() {
    let hello = transcript().hello;
    let mut server = Responder::new(&LocalStatic::from_secret([7; 32]), SERVER_PAYLOAD);
    assert_eq!(server.read(&hello), Err(HandshakeError::NotAuthentic));
}

/// Flips one bit, feeds the message, and wants to see no further step of the handshake. A changed length may leave the reader waiting
/// for bytes that never come; nothing else may go without an error.
fn altered_fails(
    message: &[u8],
    position: usize,
    bit: u8,
    read: impl FnOnce(&[u8]) -> (Result<(), HandshakeError>, bool),
) {
    let mut altered = message.to_vec();
    altered[position] ^= 1 << bit;
    let (result, progressed) = read(&altered);
    assert!(!progressed, "byte {position} bit {bit}");
    if position >= 2 {
        assert!(result.is_err(), "byte {position} bit {bit}");
    }
}

#[test]
fn a_hello_altered_at_any_byte_fails() {
    let transcript = transcript();
    for position in 0..transcript.hello.len() {
        altered_fails(&transcript.hello, position, (position % 8) as u8, |altered| {
            let (_, mut server) = pair();
            let result = server.read(altered);
            let mut out = Vec::new();
            let progressed = server.write(&mut out).is_some() || !out.is_empty();
            (result, progressed)
        });
    }
}

#[test]
fn a_reply_altered_at_any_byte_fails() {
    let transcript = transcript();
    for position in 0..transcript.reply.len() {
        altered_fails(&transcript.reply, position, (position % 8) as u8, |altered| {
            let mut client = waiting_client();
            let result = client.read(altered);
            let mut out = Vec::new();
            let progressed = client.write(&mut out).is_some() || !out.is_empty();
            (result, progressed)
        });
    }
}

#[test]
fn a_finished_altered_at_any_bit_fails_on_either_side() {
    let transcript = transcript();
    for position in 0..transcript.server_finished.len() {
        for bit in 0..8 {
            altered_fails(&transcript.server_finished, position, bit, |altered| {
                let mut client = replied_client(&transcript);
                let result = client.read(altered);
                (result, !client.is_handshaking() || client.write(&mut Vec::new()).is_some())
            });
            altered_fails(&transcript.client_finished, position, bit, |altered| {
                let mut server = answered_server(&transcript);
                let result = server.read(altered);
                (result, !server.is_handshaking() || server.write(&mut Vec::new()).is_some())
            });
        }
    }
}

#[test]
fn the_highest_bit_of_an_ephemeral_key_which_x25519_ignores_is_authenticated() {
    let mut hello = transcript().hello;
    hello[2 + kem::PUBLIC_LEN + 31] ^= 0x80;
    let (_, mut server) = pair();
    assert_eq!(server.read(&hello), Err(HandshakeError::NotAuthentic));
}

#[test]
fn one_side_s_finished_is_not_the_other_s() {
    let transcript = transcript();
    assert_eq!(replied_client(&transcript).read(&transcript.client_finished), Err(HandshakeError::Finished));
    assert_eq!(answered_server(&transcript).read(&transcript.server_finished), Err(HandshakeError::Finished));
}

#[test]
fn messages_may_be_split_anywhere() {
    let transcript = transcript();
    for cut in 1..transcript.hello.len() {
        // A whole handshake per cut would take long; what matters is that the hello is complete with its last byte and no earlier.
        let mut inbox = Inbox::default();
        assert_eq!(inbox.push(&transcript.hello[..cut], HELLO), Ok(None));
        assert_eq!(inbox.push(&transcript.hello[cut..], HELLO), Ok(Some(transcript.hello[2..].to_vec())));
    }
    let (mut client, mut server) = pair();
    let mut wire = Vec::new();
    client.write(&mut wire);
    feed_by_byte(&wire, |byte| server.read(byte));
    let reply = say(|out| server.write(out));
    let server_finished = say(|out| server.write(out));
    feed_by_byte(&reply, |byte| client.read(byte));
    client.write(&mut Vec::new());
    feed_by_byte(&server_finished, |byte| client.read(byte));
    let client_finished = say(|out| client.write(out));
    feed_by_byte(&client_finished, |byte| server.read(byte));
    assert!(!client.is_handshaking() && !server.is_handshaking());
}

fn feed_by_byte(message: &[u8], mut read: impl FnMut(&[u8]) -> Result<(), HandshakeError>) {
    for byte in message.chunks(1) {
        read(&[]).unwrap();
        read(byte).unwrap();
    }
}

#[test]
fn bytes_after_a_message_are_an_error_whether_they_come_with_it_or_later() {
    let transcript = transcript();
    let with_more = |message: &[u8]| [message, &[0]].concat();

    assert_eq!(pair().1.read(&with_more(&transcript.hello)), Err(HandshakeError::Unexpected));
    assert_eq!(waiting_client().read(&with_more(&transcript.reply)), Err(HandshakeError::Unexpected));
    assert_eq!(
        replied_client(&transcript).read(&with_more(&transcript.server_finished)),
        Err(HandshakeError::Unexpected)
    );
    assert_eq!(
        answered_server(&transcript).read(&with_more(&transcript.client_finished)),
        Err(HandshakeError::Unexpected)
    );

    // The server's finished may not come before the client has moved to the Handshake level.
    let mut client = waiting_client();
    client.read(&transcript.reply).unwrap();
    assert_eq!(client.read(&transcript.server_finished), Err(HandshakeError::Unexpected));

    let (mut client, mut server) = pair();
    complete(&mut client, &mut server);
    assert_eq!(client.read(&[0]), Err(HandshakeError::Unexpected));
    assert_eq!(server.read(&[0]), Err(HandshakeError::Unexpected));
}

#[test]
fn a_length_no_message_can_have_is_refused_at_once() {
    let refused = Err(HandshakeError::Length);
    for length in [0, 1, kem::CIPHERTEXT_LEN, MAX_MESSAGE + 1, 0xffff] {
        let length = (length as u16).to_be_bytes();
        assert_eq!(pair().1.read(&length), refused);
        assert_eq!(waiting_client().read(&length), refused);
    }
    let transcript = transcript();
    assert_eq!(replied_client(&transcript).read(&[0, 31]), refused);
    assert_eq!(answered_server(&transcript).read(&[0, 33]), refused);
}

#[test]
fn an_error_is_final() {
    let transcript = transcript();
    let (_, mut server) = pair();
    server.read(&[0xff, 0xff]).unwrap_err();
    assert_eq!(server.read(&transcript.hello), Err(HandshakeError::Unexpected));
    assert!(say(|out| server.write(out)).is_empty());

    let mut client = waiting_client();
    client.read(&[0xff, 0xff]).unwrap_err();
    assert_eq!(client.read(&transcript.reply), Err(HandshakeError::Unexpected));
    assert!(client.is_handshaking() && client.peer_static().is_none());
}

#[test]
fn a_replayed_hello_gets_the_server_s_flight_and_nothing_else() {
    let hello = transcript().hello;
    let mut server = Responder::new(&server_key(), SERVER_PAYLOAD);
    server.read(&hello).unwrap();
    let mut out = Vec::new();
    assert!(matches!(server.write(&mut out), Some(NewKeys::Handshake(_))));
    assert!(server.write(&mut out).is_none());
    assert!(!out.is_empty());

    // No data keys, no name, no exporter, and the finished of the recorded session does not help.
    let flight = out.len();
    assert!(server.write(&mut out).is_none());
    assert_eq!(out.len(), flight);
    assert!(server.is_handshaking());
    assert!(server.peer_static().is_none());
    assert!(server.exporter().is_none());
    assert_eq!(server.read(&transcript().client_finished), Err(HandshakeError::Finished));
    assert!(server.is_handshaking());
}

#[test]
fn nobody_is_named_before_finished_is_verified() {
    let (mut client, mut server) = pair();
    let hello = say(|out| client.write(out));
    server.read(&hello).unwrap();
    assert!(server.peer_static().is_none() && server.exporter().is_none());
    let reply = say(|out| server.write(out));
    client.read(&reply).unwrap();
    assert!(client.peer_static().is_none() && client.exporter().is_none());
    client.write(&mut Vec::new());
    assert!(client.peer_static().is_none() && client.exporter().is_none());
    let finished = say(|out| server.write(out));
    assert!(server.peer_static().is_none() && server.exporter().is_none());
    client.read(&finished).unwrap();
    assert!(client.peer_static().is_some());
    server.read(&say(|out| client.write(out))).unwrap();
    assert!(server.peer_static().is_some());
}

#[test]
fn a_responder_or_ephemeral_key_of_low_order_is_refused() {
    assert_eq!(Initiator::new(&client_key(), [0; 32], b"").err(), Some(HandshakeError::LowOrder));
    let mut hello = transcript().hello;
    hello[2 + kem::PUBLIC_LEN..][..32].fill(0);
    assert_eq!(pair().1.read(&hello), Err(HandshakeError::LowOrder));
}

#[test]
fn a_payload_that_does_not_fit_is_an_error() {
    let room = MAX_MESSAGE - HELLO.start();
    assert!(Initiator::new(&client_key(), server_key().public(), &vec![0; room]).is_ok());
    let error = Initiator::new(&client_key(), server_key().public(), &vec![0; room + 1]).err();
    assert_eq!(error, Some(HandshakeError::Payload));
}

proptest! {
    #[test]
    fn no_bytes_make_either_side_panic_or_complete(
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..2000), 0..4),
    ) {
        let (mut client, mut server) = pair();
        say(|out| client.write(out));
        for piece in &pieces {
            let _ = client.read(piece);
            let _ = server.read(piece);
            prop_assert!(say(|out| client.write(out)).is_empty());
            prop_assert!(say(|out| server.write(out)).is_empty());
        }
        prop_assert!(client.is_handshaking() && server.is_handshaking());
    }

    #[test]
    fn the_inbox_gives_the_message_however_it_is_cut(
        message in proptest::collection::vec(any::<u8>(), 1..MAX_MESSAGE),
        piece in 1usize..700,
    ) {
        let mut wire = Vec::new();
        put(&mut wire, &message);
        let mut inbox = Inbox::default();
        let mut got = None;
        for chunk in wire.chunks(piece) {
            prop_assert!(got.is_none());
            got = inbox.push(chunk, 1..=MAX_MESSAGE).unwrap();
        }
        prop_assert_eq!(got, Some(message));
    }
}

/// Literal results for [`pair`]. All were computed a second time by a Python script with OpenSSL's X25519, ChaCha20-Poly1305 and ML-KEM
/// and HKDF written out by hand (the ciphertext, which it cannot make from fixed coins, it decapsulated).
mod known {
    pub(super) const KEM_PUBLIC_HASH: &str =
        "e5ad732ff6a65e4b57fcef3afe9eececac7a791dbd6b5038fe1a533a7ced25e4";
    pub(super) const NOISE_1: &str = "\
        5dfedd3b6bd47f6fa28ee15d969d5bb0ea53774d488bdaf9df1c6e0124b3ef220a26599fb2188bb723276fc173af6761\
        6c817fc32fd04d686d87ec152fac10eedb9e7dc83668726ab48763b03391615f23932393afa4f38cd35319a5824a398c\
        835bf4944654769cbe1f411177d974fc621aa4c4726835cc57f950df3e39ac065c";
    pub(super) const KEM_CIPHERTEXT_HASH: &str =
        "86125c46a1c3aa1e6f3207a47f2232bdcb8517569a6ffa25d01fb3397274d0e0";
    pub(super) const NOISE_2: &str = "\
        ac01b2209e86354fb853237b5de0f4fab13c7fcbf433a61c019369617fecf10b9139ce3f581f4d60b24fe4576ebc31ec\
        89feb88a147245b338d2cbb9d0b0b586bcbecb4d6e253ee1f1359bbf20802e3798";
    pub(super) const SERVER_FINISHED: &str =
        "0020b9a00ed0a25c3d2b713c39b6d297ae0c8f7ecd4f15516e4a47d13136dfcbf660";
    pub(super) const CLIENT_FINISHED: &str =
        "0020ec2fa1aa0d1fd6e8063151001531a36905f33634c1606ca158d423ab5443e8ef";
    pub(super) const CLIENT_HANDSHAKE_KEY: &str =
        "092f1b92e01f6363b08960aeafdb42afbaa6b134a44c829f8b252880ae3363a0";
    pub(super) const SERVER_HANDSHAKE_KEY: &str =
        "f4dc73efd26800586270905162dd332e596921f60c5b0766c170860e5bb7e2d7";
    pub(super) const CLIENT_DATA_KEY: &str =
        "88bcec73d8bf96059ff3cb64799fa8f266f92ca4199551f4115a0dabfb20d251";
    pub(super) const SERVER_DATA_KEY: &str =
        "67f8f53f359b4448437f1a9fc1aa9afac4683c6b4acddfc3f6a7516fb524e3d6";
    pub(super) const CLIENT_UPDATED_KEY: &str =
        "9ead271aa41e71802ad2a97e8a66f42a49c1b048913c976c197dedb1ec5a01d5";
    pub(super) const EXPORTED: &str = "7ab7cdfa93a39a20e41ce32a5c62db5b6885f0d223ffbb3c520f4903b5d73e24";
}
