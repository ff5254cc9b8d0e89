//! What a guest may ask for.

use std::io::Write;

use crate::origin::{Origin, ask, connect, say};
use crate::support::net::{App, HOME, Net};
use crate::support::process::{run, run_well};
use crate::support::targets::{websocket_echo, websocket_talk};
use crate::support::wait::{PATIENCE, is, until};

/// A guest of `owner` with that grant.
fn guest(net: &Net, owner: &App, name: &str, resource: &str, can: &[&str]) -> App {
    let guest = net.app(name);
    guest.join(&owner.invite(HOME, &["--user", name, "--role", "guest"]));
    let mut words = vec!["network", "grant", HOME, name, resource, "--can"];
    words.extend(can);
    owner.ok(&words);
    let seq = owner.network(HOME).ledger.seq;
    until("the grant arrives", PATIENCE, || is(guest.network(HOME).ledger.seq == seq, "behind"));
    guest
}

#[test]
fn a_guest_with_a_path_cannot_post_nor_leave_it_by_any_spelling() {
    let net = Net::new();
    let owner = net.app("owner");
    owner.create(HOME, &net.address);
    let origin = Origin::start("");
    owner.expose(&origin.url(), "web");
    let gina = guest(&net, &owner, "gina", "web", &["read:/snapshot"]);
    let listener = gina.open_address("web");

    for path in ["/snapshot", "/snapshot/", "/snapshot/1.jpg?../../admin", "/%73napshot"] {
        assert_eq!(ask(listener, &format!("GET {path}"), "").0, 200, "{path}");
        assert!(
            origin.took()[0].starts_with(&format!("GET {path} HTTP/1.1\r\n")),
            "the bytes that were judged"
        );
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "PROPFIND", "get"] {
        let (status, told) = ask(listener, &format!("{method} /snapshot"), "");
        assert!(status == 403 && told.ends_with(" (method)\n"), "{method}: {told}");
    }
    for path in ["/", "/admin", "/snapshots", "/Snapshot", "/snapshot.jpg"] {
        let (status, told) = ask(listener, &format!("GET {path}"), "");
        assert!(status == 403 && told.ends_with(" (path)\n"), "{path}: {told}");
    }
    for path in [
        "/snapshot/../admin",
        "/snapshot/..",
        "/snapshot/./../admin",
        "/snapshot/%2e%2e/admin",
        "/snapshot/%2E%2E/admin",
        "/snapshot/.%2e/admin",
        "/snapshot/..%2fadmin",
        "/snapshot%2f..%2fadmin",
        "/snapshot/..%5cadmin",
        "/snapshot\\..\\admin",
        "//admin",
        "/snapshot//../admin",
        "/snapshot/..;/admin",
        "/snapshot/..;x=y/admin",
        "/snapshot;/../admin",
        "/snapshot/%252e%252e/admin",
        "/snapshot/%252e%252e%252fadmin",
        "/snapshot/%c0%ae%c0%ae/admin",
        "/snapshot%c0%af..%c0%afadmin",
        "/snapshot/%ef%bc%8e%ef%bc%8e/admin",
        "/snapshot/%u002e%u002e/admin",
        "/snapshot%00/../admin",
        "/snapshot/..%00/admin",
        "/snapshot/.%20./admin%",
        "/snapshot/%09../admin",
        "/snapshot%3f/../admin",
        "/snapshot%23/../admin",
        "/./admin",
        "/%2e/admin",
        "/;/admin",
    ] {
        let (status, told) = ask(listener, &format!("GET {path}"), "");
        assert!(status == 403 && told.ends_with("-path)\n"), "{path}: {status} {told}");
    }
    for field in
        ["X-Original-URL: /admin\r\n", "X-Rewrite-URL: /admin\r\n", "X-HTTP-Method-Override: POST\r\n"]
    {
        assert_eq!(ask(listener, "GET /snapshot", field).0, 403, "{field}");
    }
    // Behind a good request on the same connection, too.
    let good = format!("GET /snapshot HTTP/1.1\r\nHost: {listener}\r\n\r\n");
    let answer = say(listener, format!("{good}GET /admin HTTP/1.1\r\nHost: {listener}\r\n\r\n").as_bytes());
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(" (path)\n"), "{answer}");
    assert_eq!(origin.took().len(), 1, "nothing of all that has arrived but the good one");
}

#[test]
fn a_guest_who_may_read_cannot_write_nor_upgrade_until_it_is_granted() {
    let net = Net::new();
    let owner = net.app("owner");
    owner.create(HOME, &net.address);
    let origin = Origin::start("");
    let (_server, echo) = websocket_echo(&net.lab);
    owner.expose(&origin.url(), "web");
    owner.expose(&format!("http://{echo}/"), "chat");
    let gina = guest(&net, &owner, "gina", "web", &["read"]);
    owner.ok(&["network", "grant", HOME, "gina", "chat", "--can", "read"]);
    let listener = gina.open_address("web");

    for line in ["GET //any;thing/%2e%2e", "HEAD /x", "OPTIONS *"] {
        assert_eq!(ask(listener, line, "").0, 200, "{line}");
    }
    assert_eq!(origin.took().len(), 3);
    let (status, told) = ask(listener, "POST /x", "Content-Length: 0\r\n");
    assert!(status == 403 && told.ends_with(" (method)\n"), "{told}");
    // A large upload hears it as well, though nobody reads it.
    let mut stream = connect(listener);
    write!(stream, "PUT /x HTTP/1.1\r\nHost: {listener}\r\nContent-Length: 10000000\r\n\r\n").unwrap();
    let mut heard = stream.try_clone().unwrap();
    let upload = std::thread::spawn(move || {
        let _ = stream.write_all(&[b'x'; 10_000_000]);
    });
    let mut status = [0; 12];
    std::io::Read::read_exact(&mut heard, &mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 403");
    drop(heard);
    upload.join().unwrap();
    assert!(origin.took().is_empty());

    let until_open = |resource: &str| {
        until("it opens", PATIENCE, || {
            let ran = gina.ctl(&["tunnel", "open", resource]);
            is(ran.code == 0, ran.stderr.clone()).map(|()| ran.stdout.trim().replacen("http:", "ws:", 1))
        })
    };
    let url = until_open("chat");
    let refused = run(&mut websocket_talk(&url), b"", PATIENCE);
    assert!(refused.code != 0 && refused.stderr.contains("403"), "{}", refused.stderr);
    gina.ok(&["tunnel", "close", "chat"]);

    owner.ok(&["network", "grant", HOME, "gina", "chat", "--can", "read", "write"]);

    let seq = owner.network(HOME).ledger.seq;
    until("the grant arrives", PATIENCE, || is(gina.network(HOME).ledger.seq == seq, "behind"));
    assert_eq!(run_well(&mut websocket_talk(&until_open("chat"))), "all right\n");
}
