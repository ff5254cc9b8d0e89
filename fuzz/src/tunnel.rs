//! What drives `coco-tunnel`.

use std::collections::VecDeque;

use bytes::Bytes;
use coco_tunnel::carrier::frame;
use coco_tunnel::carrier::proxy::Proxy;
use coco_tunnel::flow::frame::{ASSEMBLING_MAX, Assembly, DATAGRAM_MAX, decode, encode};
use coco_tunnel::forward::Service;
use coco_tunnel::forward::http::framing::{Body as HttpBody, Framing};
use coco_tunnel::forward::http::head::{Asked, FIELDS_MAX, Request, Response, Scanner};
use coco_tunnel::forward::http::path;
use coco_tunnel::forward::http::rewrite::Rewriter;
use coco_tunnel::noise::LocalStatic;
use coco_tunnel::noise::handshake::{HandshakeError, Initiator, MAX_MESSAGE, NewKeys, Responder};

/// A target's name and its body.
pub type Body = (&'static str, fn(&[u8]) -> bool);

/// All of this module.
pub const TARGETS: &[Body] =
    &[("carrier", carrier), ("flow", flow), ("handshake", handshake), ("http_head", http_head)];

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
        if let Some(datagram) = assembly.take(header, &payload) {
            assert!(datagram.len() <= DATAGRAM_MAX);
            whole += 1;
        }
        assert!(assembly.held() <= 2 * ASSEMBLING_MAX * DATAGRAM_MAX);
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

/// The pseudonym of whoever asks.
const PEER: &str = "abcdefghijklmnop";

/// What the target of the requests below is called.
const TARGET: &str = "camera.lan:8080";

/// A head with what follows it, as an application or a target sends it. Taken means that it is forwarded:
/// then another reader of HTTP sees one message in it, with the same ends, and so do we in what is forwarded.
pub fn http_head(data: &[u8]) -> bool {
    let whole = Scanner::default().scan(data);
    let (first, second) = data.split_at(data.len() / 2);
    let mut halves = Scanner::default();
    let again = match halves.scan(first) {
        Ok(None) => halves.scan(second).map(|end| end.map(|end| first.len() + end)),
        done => done,
    };
    assert_eq!(whole, again, "it does not matter how the bytes are cut");
    let Ok(Some(end)) = whole else { return false };
    let (head, body) = data.split_at(end);
    let target = format!("http://{TARGET}/").parse().expect("a target");
    let rewriter = Rewriter::new(&Service::new(target, Default::default(), None), PEER);
    http_request(head, body, &rewriter) | http_response(head, body, &rewriter)
}

fn http_request(head: &[u8], body: &[u8], rewriter: &Rewriter) -> bool {
    let Ok(request) = Request::parse(head.to_vec().into()) else { return false };
    judged_path(request.target());
    let Ok(forwarded) = rewriter.request(&request) else { return false };
    let mut fields = [httparse::EMPTY_HEADER; 256];
    let mut second = httparse::Request::new(&mut fields);
    let length = second.parse(&forwarded).expect("a head for everybody").unwrap();
    assert_eq!(length, forwarded.len());
    assert_eq!(second.method.map(str::as_bytes), Some(request.method()));
    assert_eq!(second.path.map(str::as_bytes), Some(request.target()), "what was judged is what is sent");
    let named = |name: &'static str| {
        second.headers.iter().filter(move |field| field.name.replace('_', "-").eq_ignore_ascii_case(name))
    };
    assert!(named("host").map(|field| field.value).eq([TARGET.as_bytes()]));
    assert!(named("coco-peer").map(|field| field.value).eq([PEER.as_bytes()]));
    assert_eq!(named("x-forwarded-for").count() + named("forwarded").count() + named("x-real-ip").count(), 0);
    let framing = second_framing(second.headers).unwrap_or(Framing::Empty);
    assert_eq!(framing, request.framing);
    // With what we add there may be more fields than we would take.
    if request.head.fields().count() + 4 <= FIELDS_MAX {
        let again = Request::parse(forwarded).expect("our own head");
        assert_eq!(
            (again.framing, again.upgrade, again.target()),
            (framing, request.upgrade, request.target())
        );
    }
    http_body(framing, body)
}

fn http_response(head: &[u8], body: &[u8], rewriter: &Rewriter) -> bool {
    let Ok(response) = Response::parse(head.to_vec().into(), &Asked { upgrade: true, ..Asked::default() })
    else {
        return false;
    };
    let forwarded = rewriter.response(&response, Some(b"127.0.0.1:8000"));
    let mut fields = [httparse::EMPTY_HEADER; 256];
    let mut second = httparse::Response::new(&mut fields);
    let length = second.parse(&forwarded).expect("a head for everybody").unwrap();
    assert_eq!((length, second.code), (forwarded.len(), Some(response.status)));
    if !matches!(response.status, 100..=199 | 204 | 304) {
        assert_eq!(second_framing(second.headers).unwrap_or(Framing::UntilClose), response.framing);
    }
    let again =
        Response::parse(forwarded, &Asked { upgrade: true, ..Asked::default() }).expect("our own head");
    assert_eq!((again.framing, again.status), (response.framing, response.status));
    http_body(response.framing, body)
}

/// What somebody else makes of the lengths.
fn second_framing(fields: &[httparse::Header<'_>]) -> Option<Framing> {
    let mut found = None;
    for field in fields {
        let value = std::str::from_utf8(field.value).unwrap_or_default();
        let next = match field.name.to_ascii_lowercase().as_str() {
            "content-length" => Framing::Length(value.parse().expect("a length")),
            "transfer-encoding" => Framing::Chunked,
            _ => continue,
        };
        assert_eq!(found.replace(next), None, "one length only");
    }
    found
}

/// A path that can be granted reads one way, however often it is decoded.
fn judged_path(target: &[u8]) {
    let Some(path) = path::plain(target) else { return };
    assert!(path.starts_with('/') && !path.contains(['%', '\\', ';', '#', '\0']) && !path.contains("//"));
    assert!(path.split('/').all(|segment| segment != "." && segment != ".."));
    assert_eq!(path::is_below(&path, "/granted"), path == "/granted" || path.starts_with("/granted/"));
}

/// Taken means that all of it came and nothing behind it.
fn http_body(framing: Framing, bytes: &[u8]) -> bool {
    let mut body = HttpBody::new(framing);
    let taken = body.take(bytes);
    let mut slow = HttpBody::new(framing);
    let slowly = bytes.iter().try_fold(0, |sum, byte| slow.take(&[*byte]).map(|taken| sum + taken));
    assert_eq!((&taken, body.is_done()), (&slowly, slow.is_done()));
    let Ok(taken) = taken else { return false };
    if framing == Framing::Chunked && body.is_done() {
        assert_eq!(chunked_end(bytes), Some(taken), "somebody else finds the same end");
    }
    body.may_end() && taken == bytes.len()
}

/// Where a chunked body ends for a reader that knows nothing but lines and sizes.
fn chunked_end(bytes: &[u8]) -> Option<usize> {
    let line_end =
        |from: usize| bytes[from..].windows(2).position(|pair| pair == b"\r\n").map(|at| from + at);
    let mut at = 0;
    loop {
        let end = line_end(at)?;
        let line = std::str::from_utf8(&bytes[at..end]).unwrap_or_default();
        let digits = line.split(';').next().unwrap_or_default();
        let size = usize::from_str_radix(
            if digits.is_empty() { lossy_digits(&bytes[at..end])? } else { digits },
            16,
        )
        .ok()?;
        at = end + 2;
        if size == 0 {
            break;
        }
        at += size + 2;
    }
    loop {
        let end = line_end(at)?;
        if end == at {
            return Some(end + 2);
        }
        at = end + 2;
    }
}

/// The size of a line whose extension is no text.
fn lossy_digits(line: &[u8]) -> Option<&str> {
    let end = line.iter().position(|&byte| byte == b';')?;
    std::str::from_utf8(&line[..end]).ok()
}
