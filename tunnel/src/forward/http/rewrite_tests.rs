#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use coconet::service::ServiceOptions;

use super::*;
use crate::forward::http::head::Asked;

const LISTENER: &str = "127.0.0.1:8000";

fn rewriter(url: &str, host_header: Option<&str>) -> Rewriter {
    with_login(url, host_header, None)
}

fn with_login(url: &str, host_header: Option<&str>, login: Option<&str>) -> Rewriter {
    let options = ServiceOptions { host_header: host_header.map(str::to_owned), ..ServiceOptions::default() };
    let login = login.map(|login| login.parse().unwrap());
    Rewriter::new(&Service::new(url.parse().unwrap(), options, login), "abcdefghijklmnop")
}

fn camera() -> Rewriter {
    rewriter("http://camera.lan:8080/", None)
}

fn parsed(fields: &str) -> Request {
    let head = format!("GET /a%20b?c HTTP/1.1\r\nHost: {LISTENER}\r\n{fields}\r\n");
    Request::parse(head.into()).unwrap()
}

fn text(bytes: Bytes) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn request_by(rewriter: &Rewriter, fields: &str) -> Result<String, Refusal> {
    rewriter.request(&parsed(fields)).map(text)
}

/// What arrives at the target for these fields, without what is always there.
fn request(fields: &str) -> String {
    let out = request_by(&camera(), fields).unwrap();
    let rest = out.strip_prefix("GET /a%20b?c HTTP/1.1\r\nHost: camera.lan:8080\r\n").unwrap();
    let ours =
        "Coco-Peer: abcdefghijklmnop\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: 127.0.0.1:8000\r\n\r\n";
    rest.strip_suffix(ours).unwrap().to_owned()
}

fn response_by(rewriter: &Rewriter, fields: &str) -> String {
    let head = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
    let response = Response::parse(head.into(), &Asked::default()).unwrap();
    let out = text(rewriter.response(&response, Some(LISTENER.as_bytes())));
    out.strip_prefix("HTTP/1.1 200 OK\r\n").unwrap().strip_suffix("\r\n").unwrap().to_owned()
}

fn response(fields: &str) -> String {
    response_by(&camera(), fields)
}

#[test]
fn what_need_not_change_goes_through_byte_for_byte() {
    let fields = "accept:  */* \r\nX-Odd:\t a:b \r\nCookie: a=b; c=d\r\nCONNECTION: keep-alive\r\nCookie: e=f\r\nEmpty:\r\n";
    assert_eq!(request(fields), fields);
    let fields = "server:  x \r\nContent-Length: 0\r\nSet-Cookie: a=b; Path=/\r\nSet-Cookie: Domain=c\r\n";
    assert_eq!(response(fields), fields);
}

#[test]
fn the_host_is_the_targets_or_the_one_that_was_asked_for() {
    for (url, header, host) in [
        ("http://camera.lan:8080/", None, "camera.lan:8080"),
        ("http://camera.lan/", None, "camera.lan"),
        ("http://[fd00::1]:81/", None, "[fd00::1]:81"),
        ("unix:///run/web.sock", None, "localhost"),
        ("http://10.0.0.2:8080/", Some("cams.example"), "cams.example"),
    ] {
        let out = request_by(&rewriter(url, header), "").unwrap();
        assert!(out.starts_with(&format!("GET /a%20b?c HTTP/1.1\r\nHost: {host}\r\n")), "{url}: {out}");
    }
    let old = Request::parse("GET / HTTP/1.0\r\n\r\n".into()).unwrap();
    let out = camera().request(&old).unwrap();
    assert!(out.starts_with(b"GET / HTTP/1.0\r\nHost: camera.lan:8080\r\n"));
}

#[test]
fn nobody_else_says_who_the_client_is() {
    for field in [
        "Coco-Peer: owner",
        "COCO-PEER: owner",
        "coco_peer: owner",
        "Coco-Anything: x",
        "X-Forwarded-For: 127.0.0.1",
        "x_forwarded_for: 127.0.0.1",
        "X-Forwarded-Host: admin",
        "X-Forwarded-User: root",
        "Forwarded: for=127.0.0.1",
        "X-Real-IP: 127.0.0.1",
        "X_Real_Ip: 127.0.0.1",
        "Remote-User: root",
    ] {
        assert_eq!(request(&format!("A: b\r\n{field}\r\nC: d\r\n")), "A: b\r\nC: d\r\n", "{field}");
    }
}

#[test]
fn origin_and_referer_name_the_target_where_they_named_the_listener() {
    for (from, to) in [
        ("Origin: http://127.0.0.1:8000", "Origin: http://camera.lan:8080"),
        ("Referer: http://127.0.0.1:8000/x?y", "Referer: http://camera.lan:8080/x?y"),
        ("Origin: http://evil.example", "Origin: http://evil.example"),
        ("Origin: http://127.0.0.1:8000.evil.example", "Origin: http://127.0.0.1:8000.evil.example"),
        ("Origin: http://127.0.0.1:8000@evil.example", "Origin: http://127.0.0.1:8000@evil.example"),
        ("Origin: http://127.0.0.1", "Origin: http://127.0.0.1"),
        ("Origin: null", "Origin: null"),
        ("Referer: https://127.0.0.1:8000/", "Referer: https://127.0.0.1:8000/"),
    ] {
        assert_eq!(request(&format!("{from}\r\n")), format!("{to}\r\n"));
    }
}

#[test]
fn what_connection_names_ends_here_and_what_is_judged_stays() {
    assert_eq!(
        request("Connection: close, X-Hop, keep-alive\r\nX-Hop: 1\r\nx-hop: 2\r\nX-Other: 3\r\n"),
        "Connection: close, keep-alive\r\nX-Other: 3\r\n"
    );
    assert_eq!(request("Connection: TE\r\nTE: trailers\r\n"), "");
    assert_eq!(request("Upgrade: websocket\r\n"), "", "nobody asked for it by Connection");
    assert_eq!(request("Proxy-Connection: close\r\nProxy-Authorization: Basic x\r\n"), "");
    for name in ["Host", "content-length", "Cookie", "AUTHORIZATION", "transfer-encoding"] {
        assert_eq!(
            request_by(&camera(), &format!("Connection: {name}\r\n")),
            Err(Refusal::Connection),
            "{name}"
        );
    }
    // Ours is put in after all is taken out.
    assert_eq!(request("Connection: Coco-Peer, X-Forwarded-Host\r\n"), "");
    let upgrade = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n";
    assert_eq!(request(upgrade), upgrade);
}

#[test]
fn a_login_kept_here_goes_to_the_target_and_the_clients_does_not() {
    let camera = with_login("http://camera.lan:8080/", None, Some("viewer:s3cret"));
    let out = request_by(&camera, "authorization: Basic bXk6b3du\r\n").unwrap();
    assert!(out.ends_with("\r\nAuthorization: Basic dmlld2VyOnMzY3JldA==\r\n\r\n"), "{out}");
    assert!(!out.contains("bXk6b3du"));
    assert_eq!(request("Authorization: Basic bXk6b3du\r\n"), "Authorization: Basic bXk6b3du\r\n");
}

#[test]
fn urls_that_name_the_target_name_the_listener_again() {
    for (from, to) in [
        ("Location: http://camera.lan:8080/x?y#z", "Location: http://127.0.0.1:8000/x?y#z"),
        ("location:   HTTP://Camera.LAN:8080", "location: HTTP://127.0.0.1:8000"),
        ("Location: //camera.lan:8080/x", "Location: //127.0.0.1:8000/x"),
        ("Content-Location: http://camera.lan:8080/x", "Content-Location: http://127.0.0.1:8000/x"),
        ("Refresh: 5; url=http://camera.lan:8080/x", "Refresh: 5; url=http://127.0.0.1:8000/x"),
        ("Refresh: 5;URL='http://camera.lan:8080/x'", "Refresh: 5;URL='http://127.0.0.1:8000/x'"),
        (
            "Access-Control-Allow-Origin: http://camera.lan:8080",
            "Access-Control-Allow-Origin: http://127.0.0.1:8000",
        ),
        ("Location: /x", "Location: /x"),
        ("Location: x/y", "Location: x/y"),
        ("Location: http://camera.lan/x", "Location: http://camera.lan/x"),
        ("Location: https://camera.lan:8080/x", "Location: https://camera.lan:8080/x"),
        ("Location: http://camera.lan:8080@evil/x", "Location: http://camera.lan:8080@evil/x"),
        ("Refresh: 5", "Refresh: 5"),
    ] {
        assert_eq!(response(&format!("{from}\r\n")), format!("{to}\r\n"));
    }
    let named = rewriter("http://10.0.0.2/", Some("cams.example"));
    for host in ["cams.example", "cams.example:80", "10.0.0.2"] {
        assert_eq!(
            response_by(&named, &format!("Location: http://{host}/x\r\n")),
            "Location: http://127.0.0.1:8000/x\r\n"
        );
    }
}

#[test]
fn cookies_lose_their_domain_and_nothing_else() {
    for (from, to) in [
        ("a=b; Domain=camera.lan; Path=/; HttpOnly", "a=b; Path=/; HttpOnly"),
        ("a=b;domain = .camera.lan", "a=b"),
        ("a=b; Secure; Domain", "a=b; Secure"),
        ("domain=b; Path=/", "domain=b; Path=/"),
        ("a=\"x; y\"", "a=\"x; y\""),
    ] {
        assert_eq!(response(&format!("Set-Cookie: {from}\r\n")), format!("Set-Cookie: {to}\r\n"));
    }
}
