//! What a program that is no good daemon can send: nothing of it harms a terminal, a script or memory.

use std::io::{Read, Write};

use serde_json::{Value, json};

use crate::daemon::{Daemon, Ended, failure, http, network, status, tunnel};

/// Clears the screen, sets a title, reverses the text, ends the line.
const ESCAPES: &str = "a\u{1b}[2J\u{1b}]0;title\u{7}\u{202e}b\u{9b}31m\r\nhint: rm -rf /\u{200b}";

fn harmless(text: &str) -> bool {
    text.chars().all(|c| c == '\n' || !c.is_control() && !matches!(c, '\u{202e}' | '\u{200b}'))
}

#[test]
fn escape_sequences_do_not_reach_the_terminal() {
    let mut bad_network = network("home", "offline", Some(ESCAPES));
    bad_network["ledger"]["alarm"] = json!(ESCAPES);
    bad_network["id"] = json!(ESCAPES);
    bad_network["node"]["listen"] = json!([ESCAPES]);
    bad_network["peers"] = json!([{
        "id": ESCAPES, "name": "camera", "user": "bob", "state": "connected", "path": ESCAPES, "rtt_us": 1,
        "bytes_in": 1, "bytes_out": 1, "reason": ESCAPES,
    }]);
    let mut bad_tunnel = tunnel(Some(ESCAPES));
    bad_tunnel["reason"] = json!(ESCAPES);
    let mut bad_status = status(&[bad_network.clone()], &[bad_tunnel.clone()]);
    bad_status["program"] = json!(ESCAPES);
    let members = json!({"version": 1, "network": "home", "users": [{"name": "bob", "role": "guest", "nodes": [{
        "id": ESCAPES, "name": "tablet", "kind": "app", "online": false, "last_seen_ms": 0, "joined_seq": 3,
        "resources": [],
    }]}]});
    let done = json!({"version": 1, "message": ESCAPES});
    let pong = json!({"version": 1, "node": "camera", "path": ESCAPES, "rtt_us": 5});
    let invites = json!({"version": 1, "invites": [{
        "id": ESCAPES, "purpose": ESCAPES, "inviter": "laptop", "left": 1, "expires_ms": 0,
    }]});
    let log = json!({"version": 1, "entries": [{
        "seq": 1, "time_ms": 0, "user": null, "node": null, "author": ESCAPES, "what": ESCAPES, "hash": ESCAPES,
    }]});
    let audit = json!({
        "version": 1, "seq": 1, "head": ESCAPES, "withheld": 0, "alarm": null, "proofs": [],
    });
    for (words, answer) in [
        (&["status"][..], bad_status),
        (&["network", "invites", "home"], invites),
        (&["network", "log", "home"], log),
        (&["network", "audit", "home"], audit),
        (&["network", "role", "home", "bob", "admin"], done.clone()),
        (&["network", "show", "home"], bad_network.clone()),
        (&["network", "list"], json!({"version": 1, "networks": [bad_network]})),
        (&["network", "members", "home"], members),
        (&["network", "leave", "home"], done.clone()),
        (&["node", "remove", "home", "tablet"], done),
        (&["tunnel", "list"], json!({"version": 1, "tunnels": [bad_tunnel]})),
        (&["ping", "camera", "-c", "1"], pong),
    ] {
        let daemon = Daemon::saying(200, &answer);
        let Ended { code, out, err } = daemon.run(words);
        assert_eq!(code, 0, "{words:?}: {err}");
        assert!(harmless(&out) && harmless(&err), "{words:?}: {out:?} {err:?}");
        assert!(!out.lines().any(|line| line.starts_with("hint")), "{words:?}: {out}");

        let Ended { out, .. } = daemon.run(&[words, &["--json"]].concat());
        assert!(harmless(&out), "{words:?}: {out:?}");
        assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), answer, "{words:?}");
    }
    let mut report = failure("failed", Some(ESCAPES));
    report["error"]["message"] = json!(ESCAPES);
    report["error"]["causes"] = json!([ESCAPES]);
    let Ended { code, err, .. } = Daemon::saying(422, &report).run(&["status"]);
    assert_eq!(code, 1);
    assert!(harmless(&err) && err.lines().count() == 3, "{err:?}");
}

#[test]
fn a_name_that_is_none_is_not_printed_at_all() {
    let answer = json!({"version": 1, "networks": [network(ESCAPES, "online", None)]});
    let Ended { code, out, err } = Daemon::saying(200, &answer).run(&["network", "list"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.starts_with("error: the daemon's answer makes no sense\n  caused by: "), "{err}");
    assert!(harmless(&err), "{err:?}");
}

#[test]
fn an_invite_or_url_that_is_not_one_word_is_not_printed() {
    for invite in ["", "coco1abc\n", "coco1abc def", "coco1\u{1b}[2J", "hello"] {
        let daemon =
            Daemon::saying(200, &json!({"version": 1, "invite": invite, "expires_ms": 0, "uses": 1}));
        let Ended { code, out, err } = daemon.run(&["network", "invite", "home", "--self"]);
        assert_eq!((code, out.as_str()), (1, ""), "{invite:?}");
        assert!(err.starts_with("error: the daemon's answer is no invite"), "{err}");
    }
    for url in [
        None,
        Some(""),
        Some("a b"),
        Some("rtsp://x/\u{1b}[2J"),
        Some("rtsp://x\n"),
        Some("rtsp://\u{202e}x"),
    ] {
        let Ended { code, out, err } =
            Daemon::saying(200, &tunnel(url)).run(&["tunnel", "open", "front-door"]);
        assert_eq!((code, out.as_str()), (1, ""), "{url:?}");
        assert!(err.contains("no usable URL"), "{err}");
    }
}

#[test]
fn an_answer_without_end_is_cut_off() {
    for head in ["content-length: 1099511627776\r\n", "", "transfer-encoding: chunked\r\n"] {
        let daemon = Daemon::talking(move |_, stream| {
            let head = format!("HTTP/1.1 200 OK\r\n{head}\r\n");
            let mib = [b" ".repeat(1 << 20)].concat();
            let chunk = if head.contains("chunked") { [b"100000\r\n", &*mib, b"\r\n"].concat() } else { mib };
            // It would go on for ever; the client has to be the one to stop.
            let mut sent = stream.write_all(head.as_bytes());
            while sent.is_ok() {
                sent = stream.write_all(&chunk);
            }
        });
        let Ended { code, out, err } = daemon.run(&["status"]);
        assert_eq!((code, out.as_str()), (1, ""), "{head:?}");
        assert!(err.starts_with("error: the daemon's answer is longer than 16 MiB\nhint: "), "{err}");
    }
}

#[test]
fn an_answer_that_breaks_off_means_that_the_daemon_is_gone() {
    for answer in [&b""[..], b"HTTP/1.1 20", b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"version\":1,"]
    {
        let Ended { code, out, err } = Daemon::new(|_| answer.to_vec()).run(&["status"]);
        assert_eq!((code, out.as_str()), (3, ""), "{answer:?}");
        assert!(err.starts_with("error: the daemon went away before it had answered\n"), "{err}");
    }
}

#[test]
fn an_answer_of_something_else_is_refused() {
    for body in
        ["", "{\"version\":1,", "[]", "{}", "{\"version\":1}", "{\"version\":1}x", "null", "\"version\""]
    {
        let Ended { code, out, err } = Daemon::new(|_| http(200, body.as_bytes())).run(&["status"]);
        assert_eq!((code, out.as_str()), (1, ""), "{body}");
        assert!(err.starts_with("error: the daemon's answer makes no sense\n  caused by: "), "{body}: {err}");
    }
    let deep = format!("{{\"version\":1,\"more\":{}", "[".repeat(1 << 20));
    assert_eq!(Daemon::new(move |_| http(200, deep.as_bytes())).run(&["status"]).code, 1);
    assert_eq!(Daemon::new(|_| http(200, b"{\"version\":1,\"x\":\"\xff\"}")).run(&["status"]).code, 1);
    let Ended { code, err, .. } = Daemon::new(|_| b"220 mail.example ESMTP\r\n".to_vec()).run(&["status"]);
    assert_eq!(code, 1);
    assert!(err.contains("is no coco daemon"), "{err}");
}

#[test]
fn more_on_stdin_than_an_invite_is_not_read() {
    let daemon = Daemon::saying(500, &json!({}));
    let mut command = daemon.command(&["network", "join", "-"]);
    let mut child = command
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Until nobody reads any more: it has to end by itself.
    while stdin.write_all(&[b'a'; 1 << 16]).is_ok() {}
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(2));
    assert!(err.starts_with("error: this is no invite\n") && err.len() < 1000, "{err}");
    assert_eq!(daemon.asked(), []);
}
