//! What drives the RTSP forwarder of `coco-tunnel`.

use coco_tunnel::forward::rtsp::judge::{Reach, Tracks};
use coco_tunnel::forward::rtsp::message::{BadMessage, HEADERS_MAX, Item, Message, Reader, frame};
use coco_tunnel::forward::rtsp::transport;
use coco_tunnel::forward::rtsp::urls::{self, Rename};
use coco_tunnel::forward::rtsp::{auth, media};

/// A target's name and its body.
pub type Body = (&'static str, fn(&[u8]) -> bool);

/// All of this module.
pub const TARGETS: &[Body] = &[("rtsp", rtsp)];

/// A stream of a player or a camera; the first byte says how long the pieces are that it comes in. Taken
/// means whole messages and frames.
pub fn rtsp(data: &[u8]) -> bool {
    let Some((piece, stream)) = data.split_first() else { return false };
    let (whole, bad) = read(stream, stream.len().max(1));
    assert_eq!(read(stream, usize::from(*piece) + 1), (whole.clone(), bad), "pieces say the same");
    let mut again = Vec::new();
    for item in &whole {
        match item {
            Item::Frame { channel, payload } => {
                again.extend_from_slice(&frame(*channel, payload).expect("its length was read"));
            }
            Item::Message(message) => {
                judged(message);
                again.extend_from_slice(&message.encode());
            }
        }
    }
    // What is written is read as the same.
    assert_eq!(read(&again, again.len().max(1)), (whole.clone(), None));
    bad.is_none() && !whole.is_empty() && ends(stream, &whole)
}

/// Whether nothing was left over: one more message is read as one more.
fn ends(stream: &[u8], whole: &[Item]) -> bool {
    let next = [stream, b"OPTIONS * RTSP/1.0\r\n\r\n"].concat();
    let (more, _) = read(&next, next.len());
    more.len() == whole.len() + 1 && more.starts_with(whole)
}

fn read(stream: &[u8], piece: usize) -> (Vec<Item>, Option<BadMessage>) {
    let (mut reader, mut items) = (Reader::default(), Vec::new());
    for part in stream.chunks(piece) {
        reader.push(part);
        loop {
            match reader.next() {
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                Err(bad) => return (items, Some(bad)),
            }
        }
    }
    (items, None)
}

/// Everything that is asked of a message, and what must hold of the answers.
fn judged(message: &Message) {
    assert_eq!(message.method().is_some(), message.code().is_none());
    for value in message.headers("Transport") {
        for one in transport::parse(&value) {
            let legs = [one.clone(), one.over_udp((8, 9), Some((10, 11))), one.over_tcp((4, 5))];
            for leg in legs {
                assert_eq!(transport::parse(&leg.to_string()), [leg]);
            }
        }
    }
    let rename = Rename::new(vec![("192.168.1.20".to_owned(), 554)], "127.0.0.1:8554".to_owned());
    let mut renamed = message.clone();
    rename.message(&mut renamed);
    urls::harmless(&mut renamed);
    let mut twice = renamed.clone();
    rename.message(&mut twice);
    urls::harmless(&mut twice);
    assert_eq!(twice, renamed, "what is renamed stays so");
    let (items, bad) = read(&renamed.encode(), usize::MAX);
    assert_eq!((items, bad), (vec![Item::Message(renamed)], None));

    let description = media::describe(message.body());
    let (mut tracks, mut reach) = (Tracks::default(), Reach::new("/live"));
    tracks.learn("rtsp://h/live/", &description);
    reach.describe("rtsp://h/live/", &description);
    tracks.needs(message);
    if let Some(uri) = message.uri() {
        reach.covers(uri);
    }
    let values: Vec<_> = message.headers("WWW-Authenticate").collect();
    assert!(values.len() <= HEADERS_MAX);
    auth::challenges(values.iter().map(AsRef::as_ref));
}
