#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
use super::*;

fn read(bytes: &[u8]) -> Vec<Item> {
    let mut reader = Reader::default();
    reader.push(bytes);
    let mut items = Vec::new();
    while let Some(item) = reader.next().unwrap() {
        items.push(item);
    }
    items
}

fn message(bytes: &[u8]) -> Message {
    match read(bytes).as_slice() {
        [Item::Message(message)] => message.clone(),
        items => panic!("{items:?}"),
    }
}

fn fails(bytes: &[u8]) -> BadMessage {
    let mut reader = Reader::default();
    reader.push(bytes);
    loop {
        match reader.next() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("{:?} is taken", String::from_utf8_lossy(bytes)),
            Err(bad) => {
                reader.push(b"OPTIONS * RTSP/1.0\r\n\r\n");
                assert_eq!(reader.next(), Err(bad), "an error is final");
                return bad;
            }
        }
    }
}

/// A session as it stands on the wire: requests, answers, frames before and between them.
const MIXED: &[u8] = b"OPTIONS rtsp://h/s RTSP/1.0\r\nCSeq: 1\r\n\r\n\
    $\x00\x00\x03abc\
    RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 5\r\n\r\n$\x00\x01hi\
    $\x01\x00\x00\
    \r\n\r\nGET_PARAMETER rtsp://h/s RTSP/1.0\nCseq: 2\n\n";

#[test]
fn requests_answers_and_frames_come_out_however_the_bytes_are_split() {
    let whole = read(MIXED);
    assert_eq!(whole.len(), 5);
    assert_eq!(whole[1], Item::Frame { channel: 0, payload: Bytes::from_static(b"abc") });
    assert_eq!(whole[3], Item::Frame { channel: 1, payload: Bytes::new() });
    let Item::Message(answer) = &whole[2] else { panic!("{whole:?}") };
    assert_eq!(&answer.body()[..], b"$\x00\x01hi");
    for piece in 1..MIXED.len() {
        let mut reader = Reader::default();
        let mut items = Vec::new();
        for part in MIXED.chunks(piece) {
            reader.push(part);
            while let Some(item) = reader.next().unwrap() {
                items.push(item);
            }
        }
        assert_eq!(items, whole, "pieces of {piece}");
    }
}

#[test]
fn a_frame_may_be_as_long_as_its_length_can_say() {
    let payload = vec![7; 65535];
    let bytes = frame(9, &payload).unwrap();
    assert_eq!(&bytes[..4], b"$\x09\xff\xff");
    assert_eq!(read(&bytes), [Item::Frame { channel: 9, payload: payload.into() }]);
    assert_eq!(frame(9, &vec![7; 65536]), None);
}

#[test]
fn what_is_not_changed_goes_out_as_it_came() {
    let bytes = b"SETUP rtsp://h/s/track1 RTSP/1.0\r\nCseq:7\r\nX-Odd  :  a;b=\"c\"  \r\nUser-Agent: \xffplayer\r\n\r\n";
    assert_eq!(message(bytes).encode(), &bytes[..]);
    let mut changed = message(bytes);
    changed.set("CSeq", "8");
    assert_eq!(
        changed.encode(),
        &b"SETUP rtsp://h/s/track1 RTSP/1.0\r\nCseq: 8\r\nX-Odd  :  a;b=\"c\"  \r\nUser-Agent: \xffplayer\r\n\r\n"[..]
    );
}

#[test]
fn sloppy_lines_are_read_and_go_out_proper() {
    let sloppy = message(
        b"\r\n\nDESCRIBE rtsp://h/a b RTSP/1.0\nCSEQ : 3\nAccept: application/sdp,\n\t text/plain\n\n",
    );
    assert_eq!(
        sloppy.start(),
        Start::Request { method: "DESCRIBE", uri: "rtsp://h/a b", version: "RTSP/1.0" }
    );
    assert_eq!(sloppy.header("cseq").unwrap(), "3");
    assert_eq!(sloppy.header("accept").unwrap(), "application/sdp, text/plain");
    assert!(sloppy.lists("Accept", "Text/Plain") && !sloppy.lists("Accept", "text"));
    assert_eq!(
        sloppy.encode(),
        "DESCRIBE rtsp://h/a b RTSP/1.0\r\nCSEQ : 3\r\nAccept: application/sdp, text/plain\r\n\r\n"
    );
}

#[test]
fn a_header_that_is_set_is_there_once() {
    let mut message = message(b"RTSP/1.0 401 No\r\nA: 1\r\nB: 2\r\na: 3\r\n\r\n");
    assert_eq!(message.headers("A").collect::<Vec<_>>(), ["1", "3"]);
    message.set("a", "4\r\nEvil: 1");
    message.set("C", "5");
    message.remove("b");
    assert_eq!(message.encode(), "RTSP/1.0 401 No\r\nA: 4  Evil: 1\r\nC: 5\r\n\r\n");
}

#[test]
fn another_body_has_another_length() {
    let mut message = message(b"RTSP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nabc");
    message.set_body(Bytes::from_static(b"longer"));
    assert_eq!(message.encode(), "RTSP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nlonger");
}

#[test]
fn what_two_readers_could_read_differently_is_refused() {
    for (bytes, bad) in [
        (&b"\x16\x03\x01\x02\x00\n\n"[..], BadMessage::StartLine),
        (b"GET / HTTP/1.1\r\n\r\n", BadMessage::StartLine),
        (b"PLAY rtsp://h/\x07 RTSP/1.0\r\n\r\n", BadMessage::StartLine),
        (b"RTSP/1.0 20 OK\r\n\r\n", BadMessage::StartLine),
        (b"PLAY rtsp://h/ RTSP/1.0\r\n folded: 1\r\n\r\n", BadMessage::Header),
        (b"PLAY rtsp://h/ RTSP/1.0\r\nA: b\rTransport: c\r\n\r\n", BadMessage::Header),
        (b"PLAY rtsp://h/ RTSP/1.0\r\nA: \0\r\n\r\n", BadMessage::Header),
        (b"PLAY rtsp://h/ RTSP/1.0\r\nContent-Length: -1\r\n\r\n", BadMessage::Body),
        (b"PLAY rtsp://h/ RTSP/1.0\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", BadMessage::Body),
        (b"PLAY rtsp://h/ RTSP/1.0\r\nContent-Length: 131073\r\n\r\n", BadMessage::Body),
        (b"PLAY rtsp://h/ RTSP/1.0\r\nContent-Length: 99999999999999999999\r\n\r\n", BadMessage::Body),
    ] {
        assert_eq!(fails(bytes), bad, "{:?}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn a_head_is_bounded_in_length_and_in_headers() {
    let line = b"X: y\r\n".repeat(HEADERS_MAX);
    assert!(matches!(read(&[b"PLAY * RTSP/1.0\r\n", &line[..], b"\r\n"].concat())[..], [Item::Message(_)]));
    assert_eq!(fails(&[b"PLAY * RTSP/1.0\r\n", &line[..], b"X: y\r\n\r\n"].concat()), BadMessage::Head);
    assert_eq!(fails(&[b"PLAY * RTSP/1.0\r\nX: ", &[b'y'; HEAD_MAX][..]].concat()), BadMessage::Head);
    assert_eq!(
        fails(&[b"PLAY * RTSP/1.0\r\nX: ", &[b'y'; HEAD_MAX][..], b"\r\n\r\n"].concat()),
        BadMessage::Head
    );
}

#[test]
fn a_head_that_comes_line_by_line_is_bounded_too() {
    let mut reader = Reader::default();
    reader.push(b"PLAY * RTSP/1.0\n");
    for _ in 0..HEAD_MAX {
        reader.push(b"X:y\n");
        match reader.next() {
            Ok(None) => {}
            Ok(Some(item)) => panic!("{item:?}"),
            Err(bad) => return assert_eq!(bad, BadMessage::Head),
        }
    }
    panic!("it was read for ever");
}

#[test]
fn http_is_told_by_the_first_bytes_and_is_not_get_parameter() {
    for (bytes, http) in [
        (&b""[..], None),
        (b"GE", None),
        (b"GET", None),
        (b"GET ", Some(true)),
        (b"POST /x", Some(true)),
        (b"GET_", Some(false)),
        (b"PLAY", Some(false)),
        (b"$\0\0\0", Some(false)),
    ] {
        let mut reader = Reader::default();
        reader.push(bytes);
        assert_eq!(reader.begins_with_http(), http, "{bytes:?}");
    }
}

#[test]
fn a_length_goes_out_once_and_as_everybody_reads_it() {
    for length in [
        "Content-Length : 3",
        "CONTENT-LENGTH:\t03",
        "Content-Length:\r\n 3",
        "Content-Length: 3\r\ncontent-length : 3",
    ] {
        let read = message(format!("PLAY * RTSP/1.0\r\nA: 1\r\n{length}\r\nB: 2\r\n\r\nabc").as_bytes());
        assert_eq!(read.encode(), "PLAY * RTSP/1.0\r\nA: 1\r\nContent-Length: 3\r\nB: 2\r\n\r\nabc");
    }
}
