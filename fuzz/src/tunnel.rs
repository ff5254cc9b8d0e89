//! What drives `coco-tunnel`.

use std::collections::VecDeque;

use bytes::Bytes;
use coco_tunnel::carrier::frame;
use coco_tunnel::carrier::proxy::Proxy;
use coco_tunnel::flow::frame::{ASSEMBLING_MAX, Assembly, DATAGRAM_MAX, decode, encode};
use coco_tunnel::noise::LocalStatic;
use coco_tunnel::noise::handshake::{HandshakeError, Initiator, MAX_MESSAGE, NewKeys, Responder};

/// A target's name and its body.
pub type Body = (&'static str, fn(&[u8]) -> bool);

/// All of this module.
pub const TARGETS: &[Body] = &[("carrier", carrier), ("flow", flow), ("handshake", handshake)];

/// What the handshake messages carry.
const ASKS: &[u8] = b"parameters of the dialling side";
const ANSWERS: &[u8] = b"parameters of the side that is dialled";

/// What strangers and proxies say to a carrier; the first byte says which of them. Taken means a stream of whole
/// datagrams, a proxy that has connected, or the URL of a proxy.
pub fn carrier(data: &[u8]) -> bool {
    let Some((what, rest)) = data.split_first() else { return false };
    match what % 3 {
        0 => datagrams(rest),
        1 => {
            "http://user:secret@proxy:1".parse::<Proxy>().is_ok_and(|proxy| proxy.answered(rest) == Ok(true))
        }
        _ => std::str::from_utf8(rest).is_ok_and(|url| url.parse().is_ok_and(|proxy| asks_once(&proxy))),
    }
}

fn datagrams(mut stream: &[u8]) -> bool {
    let whole = stream;
    let mut again = Vec::new();
    while let Ok(Some((datagram, rest))) = frame::split(stream) {
        assert!(frame::push(datagram, &mut again));
        stream = rest;
    }
    assert!(whole.starts_with(&again));
    stream.is_empty()
}

/// Nothing in an URL becomes a line of its own.
fn asks_once(proxy: &Proxy) -> bool {
    let request = proxy.request(&"manager.example.org".parse().expect("a name"), 443);
    let lines = request.matches("\r\n").count();
    assert!((3..=4).contains(&lines) && request.matches('\n').count() == lines);
    true
}

/// What a node sends in the flows of a channel: QUIC datagrams, each behind two bytes of its length. Taken
/// means that all were well formed and a datagram came of them.
pub fn flow(data: &[u8]) -> bool {
    let mut rest = data;
    let (mut assembly, mut whole) = (Assembly::default(), 0);
    while let Some((length, behind)) = rest.split_at_checked(2) {
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        let Some((datagram, behind)) = behind.split_at_checked(length) else { return false };
        rest = behind;
        let Ok((header, payload)) = decode(Bytes::copy_from_slice(datagram)) else { return false };
        if header.parts == 1 {
            // The one way to write it, but for a longer form of its numbers.
            let again = encode(header.channel, header.flow, header.number, &payload, usize::MAX);
            let again = decode(again.expect("it is short enough").remove(0));
            assert_eq!(again, Ok((header, payload.clone())));
        }
        if let Some(datagram) = assembly.take(header, payload) {
            assert!(datagram.len() <= DATAGRAM_MAX);
            whole += 1;
        }
        assert!(assembly.held() <= ASSEMBLING_MAX * DATAGRAM_MAX);
    }
    assert_eq!(assembly.received(), whole);
    rest.is_empty() && whole > 0
}

/// Two handshaking sides with somebody between them. The first byte says what that somebody does with the
/// rest: talk to one side alone, or change what the two sides say. Taken means that both are through.
pub fn handshake(data: &[u8]) -> bool {
    let Some((what, rest)) = data.split_first() else { return false };
    let (dialler, dialled) = (LocalStatic::from_secret([1; 32]), LocalStatic::from_secret([2; 32]));
    let mut client = Side::Client(
        Initiator::new(&dialler, dialled.public(), ASKS).expect("a key that is not of low order"),
    );
    let mut server = Side::Server(Responder::new(&dialled, ANSWERS));
    let hello = client.says().concat();
    match what % 4 {
        // A stranger dials, and does not know the key.
        0 => server.hears_nonsense(rest),
        // A stranger answers.
        1 => client.hears_nonsense(rest),
        // A stranger has recorded a hello and sends it again.
        2 => {
            assert_eq!(server.hears(&hello), Ok(()));
            assert!(!server.says().is_empty());
            server.hears_nonsense(rest);
        }
        _ => return between(client, server, hello, rest),
    }
    false
}

/// Cuts every message into pieces as long as the first byte says, and changes a byte for each three that
/// follow: its place in all that is sent, and what is XORed into it.
fn between(mut client: Side, mut server: Side, hello: Vec<u8>, script: &[u8]) -> bool {
    let (piece, edits) = script.split_first().unwrap_or((&0, &[]));
    let (mut sent, mut changed) = (0, false);
    let mut under_way = VecDeque::from([(true, hello)]);
    while let Some((from_client, message)) = under_way.pop_front() {
        let mut arriving = message.clone();
        for edit in edits.chunks_exact(3) {
            let place = usize::from(u16::from_be_bytes([edit[0], edit[1]]));
            if let Some(byte) = place.checked_sub(sent).and_then(|at| arriving.get_mut(at)) {
                *byte ^= edit[2];
            }
        }
        changed |= arriving != message;
        sent += message.len();
        let (speaker, hearer) =
            if from_client { (&mut client, &mut server) } else { (&mut server, &mut client) };
        for part in arriving.chunks(usize::from(*piece) + 1) {
            if hearer.hears(part).is_err() {
                hearer.stays_silent();
                // Only the client's last message may be lost on the server without the client's knowing.
                assert!(changed && (from_client || speaker.established().is_none()));
                return false;
            }
        }
        under_way.extend(hearer.says().into_iter().map(|answer| (!from_client, answer)));
    }
    let both = client.established().zip(server.established());
    let Some((client_says, server_says)) = both else {
        assert!(changed, "an honest handshake completes");
        return false;
    };
    assert!(!changed, "a changed byte is noticed");
    assert_eq!(client_says.exported, server_says.exported);
    assert_eq!((&client_says.payload[..], &server_says.payload[..]), (ANSWERS, ASKS));
    assert_eq!(client_says.peer, LocalStatic::from_secret([2; 32]).public());
    assert_eq!(server_says.peer, LocalStatic::from_secret([1; 32]).public());
    true
}

/// One of the two state machines.
enum Side {
    Client(Initiator),
    Server(Responder),
}

/// What a side that is through knows.
struct Established {
    peer: [u8; 32],
    payload: Vec<u8>,
    exported: [u8; 32],
}

impl Side {
    fn hears(&mut self, bytes: &[u8]) -> Result<(), HandshakeError> {
        match self {
            Self::Client(side) => side.read(bytes),
            Self::Server(side) => side.read(bytes),
        }
    }

    /// The messages that it has to say now, each at a level of its own.
    fn says(&mut self) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        loop {
            let mut message = Vec::new();
            let keys: Option<NewKeys> = match self {
                Self::Client(side) => side.write(&mut message),
                Self::Server(side) => side.write(&mut message),
            };
            if keys.is_none() && message.is_empty() {
                return messages;
            }
            assert!(message.len() <= size_of::<u16>() + MAX_MESSAGE);
            messages.extend((!message.is_empty()).then_some(message));
        }
    }

    fn established(&self) -> Option<Established> {
        let (handshaking, peer, payload, exporter) = match self {
            Self::Client(side) => {
                (side.is_handshaking(), side.peer_static(), side.peer_payload(), side.exporter())
            }
            Self::Server(side) => {
                (side.is_handshaking(), side.peer_static(), side.peer_payload(), side.exporter())
            }
        };
        assert_eq!((peer.is_none(), exporter.is_none()), (handshaking, handshaking));
        let mut exported = [0; 32];
        assert!(exporter?.export(&mut exported, b"fuzz", b""));
        Some(Established { peer: peer?, payload: payload?.to_vec(), exported })
    }

    /// Pieces as long as the first byte says; whatever they are, they make no session.
    fn hears_nonsense(mut self, bytes: &[u8]) {
        let (piece, bytes) = bytes.split_first().unwrap_or((&0, &[]));
        for part in bytes.chunks(usize::from(*piece) + 1) {
            if self.hears(part).is_err() {
                self.stays_silent();
                return;
            }
            // Nothing is verified, so nothing may be answered.
            assert!(self.says().is_empty() && self.established().is_none());
        }
    }

    /// After an error nothing is heard and nothing is said.
    fn stays_silent(&mut self) {
        assert!(self.says().is_empty());
        assert_eq!(self.hears(&[0]), Err(HandshakeError::Unexpected));
        assert!(self.established().is_none());
    }
}
