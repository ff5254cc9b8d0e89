#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::*;

#[path = "corpus.rs"]
mod corpus;

/// Scan in one piece and byte by byte, which must agree; then judge.
fn read(bytes: &[u8]) -> Result<Request, Refusal> {
    let at_once = Scanner::default().scan(bytes);
    let mut scanner = Scanner::default();
    let mut one_by_one = Ok(None);
    for (at, byte) in bytes.iter().enumerate() {
        one_by_one = scanner.scan(&[*byte]).map(|end| end.map(|end| at + end));
        if one_by_one != Ok(None) {
            break;
        }
    }
    assert_eq!(at_once, one_by_one);
    let end = at_once?.expect("a whole head");
    Request::parse(Bytes::copy_from_slice(&bytes[..end]))
}

fn response(head: &str, asked: &Asked) -> Result<(u16, Framing), Refusal> {
    Response::parse(head.to_owned().into(), asked).map(|response| (response.status, response.framing))
}

#[test]
fn every_case_of_the_corpus_is_refused_for_its_reason() {
    for (name, bytes, word) in corpus::CORPUS {
        assert_eq!(read(&corpus::for_host(bytes, "h")).map_err(Refusal::as_str).err(), Some(*word), "{name}");
    }
}

#[test]
fn requests_of_every_day_are_taken_as_they_are() {
    let head = b"POST /a%20b?c=d HTTP/1.1\r\nhost: 127.0.0.1:80\r\nX-A:\t b \r\nContent-Length: 5\r\n\r\n";
    let request = read(&[&head[..], b"hello"].concat()).unwrap();
    assert_eq!((request.method(), request.target()), (&b"POST"[..], &b"/a%20b?c=d"[..]));
    assert_eq!(request.host(), Some(&b"127.0.0.1:80"[..]));
    assert_eq!((request.framing, request.upgrade), (Framing::Length(5), false));
    let fields: Vec<_> = request.head.fields().map(|field| (field.name, field.value, field.line)).collect();
    assert_eq!(fields[1], (&b"X-A"[..], &b"b"[..], &b"X-A:\t b \r\n"[..]));
    assert_eq!(request.head.bytes(), &head[..]);

    for (head, framing) in [
        ("GET / HTTP/1.0\r\n\r\n", Framing::Empty),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", Framing::Empty),
        ("PUT / HTTP/1.1\r\nHost: [::1]:8\r\nTransfer-Encoding: Chunked\r\n\r\n", Framing::Chunked),
        ("GET /\u{fc} HTTP/1.1\r\nHost: a\r\n\r\n", Framing::Empty),
    ] {
        assert_eq!(read(head.as_bytes()).unwrap().framing, framing, "{head}");
    }
}

#[test]
fn an_upgrade_is_asked_for_by_both_fields() {
    let asks = |fields: &str, version| {
        let head = format!("GET /ws HTTP/1.{version}\r\nHost: a\r\n{fields}\r\n");
        read(head.as_bytes()).unwrap().upgrade
    };
    assert!(asks("Connection: keep-alive, UPGRADE\r\nUpgrade: websocket\r\n", 1));
    assert!(!asks("Connection: keep-alive\r\nUpgrade: websocket\r\n", 1));
    assert!(!asks("Connection: upgrade\r\n", 1));
    assert!(!asks("Connection: upgrade\r\nUpgrade: websocket\r\n", 0));
}

#[test]
fn heads_are_bounded_in_bytes_and_fields() {
    let of = |fields: String| read(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes()).err();
    assert_eq!(of("a: b\r\n".repeat(FIELDS_MAX - 1)), None);
    assert_eq!(of("a: b\r\n".repeat(FIELDS_MAX)), Some(Refusal::TooManyFields));
    let rest = "GET / HTTP/1.1\r\nHost: a\r\nb: \r\n\r\n".len();
    assert_eq!(of(format!("b: {}\r\n", "c".repeat(HEAD_MAX - rest))), None);
    assert_eq!(of(format!("b: {}\r\n", "c".repeat(HEAD_MAX - rest + 1))), Some(Refusal::HeadTooLong));
}

#[test]
fn a_response_ends_as_its_request_and_status_say() {
    let get = Asked::default();
    let head = Asked { is_head: true, ..get.clone() };
    let length = "Content-Length: 5\r\n";
    for (asked, status, fields, framing) in [
        (&get, 200, length, Framing::Length(5)),
        (&get, 200, "Transfer-Encoding: chunked\r\n", Framing::Chunked),
        (&get, 200, "", Framing::UntilClose),
        (&head, 200, length, Framing::Empty),
        (&head, 200, "Transfer-Encoding: chunked\r\n", Framing::Empty),
        (&get, 204, length, Framing::Empty),
        (&get, 304, length, Framing::Empty),
        (&get, 100, length, Framing::Empty),
        (&get, 103, "", Framing::Empty),
    ] {
        let text = format!("HTTP/1.1 {status} x\r\n{fields}\r\n");
        assert_eq!(response(&text, asked), Ok((status, framing)), "{text}");
    }
    assert_eq!(response("HTTP/1.0 200\r\n\r\n", &get), Ok((200, Framing::UntilClose)));
}

#[test]
fn a_response_that_could_be_read_differently_is_refused() {
    let get = Asked::default();
    for text in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX : a\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
    ] {
        assert_eq!(response(text, &get), Err(Refusal::BadAnswer), "{text}");
    }
    let upgrade = Asked { upgrade: true, ..get };
    assert_eq!(response("HTTP/1.1 101 x\r\n\r\n", &upgrade), Ok((101, Framing::Empty)));
}

#[test]
fn servers_that_take_two_names_for_one_are_not_given_two() {
    let request = read(b"GET / HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: b\r\n\r\n").unwrap();
    let field = request.head.fields().nth(1).unwrap();
    assert!(field.passes_for("x-forwarded-for") && field.passes_for_any("x-forwarded-"));
    assert!(!field.is("x-forwarded-for") && !field.passes_for_any("x-forwarded-for-all"));
}
