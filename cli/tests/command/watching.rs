//! `peers`, `events` and `--watch`: what is printed of what comes, and how it ends.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::daemon::{Daemon, Ended, failure, http, network, status};

fn event(time_ms: u64, network: &str, kind: &str, message: &str) -> Value {
    json!({"version": 1, "time_ms": time_ms, "network": network, "kind": kind, "message": message})
}

fn with_peer() -> Value {
    let mut home = network("home", "online", None);
    home["peers"] = json!([{"id": "n:x", "name": "camera", "user": "alice", "state": "connected",
        "path": "relay mgr1", "rtt_us": 1234, "bytes_in": 5, "bytes_out": 6, "reason": null}]);
    home
}

#[test]
fn peers_of_one_network_or_of_all() {
    let networks = json!({"version": 1, "networks": [with_peer(), network("work", "online", None)]});
    let daemon = Daemon::saying(200, &networks);
    let Ended { code, out, .. } = daemon.run(&["peers"]);
    assert!(code == 0 && out.contains("camera  alice  relay mgr1  1.2 ms"), "{out}");
    let Ended { out, .. } = daemon.run(&["peers", "--json"]);
    let printed: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(printed["peers"][0]["network"], "home");
    assert_eq!(printed["peers"][0]["path"], "relay mgr1");
    assert_eq!(daemon.run(&["peers", "work"]).out, "no peers\n");
    let Ended { code, err, .. } = daemon.run(&["peers", "elsewhere"]);
    assert!(code == 5 && err.contains("has joined no network elsewhere"), "{err}");
}

#[test]
fn events_of_before_are_printed_a_line_each() {
    let events = [event(0, "home", "entry", "one"), event(61_000, "work", "quota", "two\u{1b}[2J")];
    let daemon = Daemon::saying(200, &json!({"version": 1, "events": events}));
    let Ended { code, out, .. } = daemon.run(&["events"]);
    assert_eq!(code, 0);
    assert_eq!(
        out,
        "1970-01-01 00:00:00 UTC  entry  home  one\n1970-01-01 00:01:01 UTC  quota  work  two[2J\n"
    );
    assert_eq!(daemon.asked()[0].line, "GET /v1/events/recent");
    let Ended { out, .. } = daemon.run(&["events", "--network", "home", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), events[0]);
    assert_eq!(daemon.run(&["events", "--kind", "alarm"]).out, "");
}

#[test]
fn events_are_followed_until_the_daemon_goes() {
    let daemon = Daemon::talking(|_, stream| {
        stream
            .write_all(b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
            .unwrap();
        let lines = format!(
            ": 3 events missed\n\ndata: {}\n\ndata: {}\n\n",
            event(0, "home", "entry", "one"),
            event(1000, "home", "tunnel", "two")
        );
        // In pieces that end where they like.
        for piece in lines.as_bytes().chunks(7) {
            stream.write_all(piece).unwrap();
            stream.flush().unwrap();
        }
    });
    let Ended { code, out, err } = daemon.run(&["events", "--follow", "--kind", "tunnel", "entry"]);
    assert_eq!(
        out,
        "1970-01-01 00:00:00 UTC  entry  home  one\n1970-01-01 00:00:01 UTC  tunnel  home  two\n"
    );
    assert!(code == 3 && err.contains("the daemon went away"), "{err}");
    assert_eq!(daemon.asked()[0].line, "GET /v1/events?before=true");
}

#[test]
fn an_event_that_has_no_end_is_not_kept() {
    let daemon = Daemon::talking(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 X\r\nconnection: close\r\n\r\ndata: ");
        while stream.write_all(&[b'x'; 4096]).is_ok() {}
    });
    let Ended { code, err, .. } = daemon.run(&["events", "--follow"]);
    assert!(code == 1 && err.contains("longer than 65536 bytes"), "{err}");
}

#[test]
fn a_status_is_watched_as_json_lines_or_when_it_changes() {
    let asked = AtomicU64::new(0);
    let daemon = Daemon::new(move |_| {
        let number = asked.fetch_add(1, Ordering::Relaxed) % 4;
        let mut status = status(&[network("home", "online", None)], &[]);
        // The daemon seems to have restarted once.
        status["pid"] = json!(7 + number / 2);
        match number {
            3 => http(500, failure("failed", None).to_string().as_bytes()),
            _ => http(200, status.to_string().as_bytes()),
        }
    });
    let words = ["status", "--watch", "--interval", "1s"];
    let Ended { code, out, .. } = daemon.run(&words);
    assert_eq!((code, out.matches("pid 7").count(), out.matches("pid 8").count()), (1, 1, 1), "{out}");
    let Ended { code, out, .. } = daemon.run(&[&words[..], &["--json"]].concat());
    let pids: Vec<Value> =
        out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["pid"].clone()).collect();
    assert_eq!((code, pids), (1, vec![json!(7), json!(7), json!(8)]));
    let Ended { code, err, .. } = daemon.run(&["status", "--interval", "2s"]);
    assert!(code == 2 && err.contains("--watch"), "{err}");
}
