//! `wait --online`: daemons that come up late, and networks that do.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use serde_json::{Value, json};

use crate::daemon::{Daemon, Directory, Ended, cococtl, http, network, status};

const STREAM: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: hello\n\n";

fn answer(body: &Value) -> Vec<u8> {
    http(200, body.to_string().as_bytes())
}

/// A daemon whose networks come online with the event that the returned sender sends.
fn late_network() -> (Daemon, mpsc::Sender<()>, mpsc::Receiver<()>) {
    let (event, events) = mpsc::channel::<()>();
    let (looked, looks) = mpsc::channel();
    let (events, online) = (Mutex::new(events), AtomicBool::new(false));
    let daemon = Daemon::talking(move |asked, stream| {
        if asked.line == "GET /v1/events" {
            stream.write_all(STREAM).unwrap();
            while events.lock().unwrap().recv().is_ok() {
                online.store(true, Ordering::SeqCst);
                let line = json!({"version": 1, "time_ms": 0, "network": "home", "kind": "manager-online", "message": ""});
                if stream.write_all(format!("data: {line}\n\n").as_bytes()).is_err() {
                    return;
                }
            }
            return;
        }
        let state = if online.load(Ordering::SeqCst) { "online" } else { "connecting" };
        let _ = stream.write_all(&answer(&status(&[network("home", state, None)], &[])));
        let _ = looked.send(());
    });
    (daemon, event, looks)
}

#[test]
fn it_returns_when_an_event_says_that_the_manager_is_there() {
    let (daemon, event, looks) = late_network();
    let child = spawn(daemon.command(&["wait", "--online"]));
    looks.recv().unwrap();
    event.send(()).unwrap();
    assert_eq!(end(child), Ended { code: 0, out: "home online\n".into(), err: String::new() });
}

#[test]
fn it_waits_for_a_socket_that_is_not_there_yet() {
    let directory = Directory::new();
    let socket = directory.join("control.sock");
    let mut child = spawn({
        let mut command = cococtl(&["wait", "--online", "--socket"]);
        command.arg(&socket);
        command
    });
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut first = String::new();
    err.read_line(&mut first).unwrap();
    assert!(
        first.starts_with("waiting for the daemon: the daemon is not running: there is no socket"),
        "{first}"
    );

    // First it is only left behind, then it answers.
    drop(UnixListener::bind(&socket).unwrap());
    let daemon = Daemon::saying(200, &status(&[], &[]));
    fs::rename(&daemon.socket, &socket).unwrap();
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut err, &mut rest).unwrap();
    let ended = end(child);
    assert_eq!((ended.code, ended.out.as_str()), (0, ""));
    assert_eq!(rest, "the daemon answers; it has joined no network\n");
}

#[test]
fn a_daemon_that_goes_away_meanwhile_is_waited_for_again() {
    let turn = AtomicU32::new(0);
    let daemon = Daemon::new(move |asked| match (asked.line.as_str(), turn.fetch_add(1, Ordering::SeqCst)) {
        ("GET /v1/status", 0..4) | ("GET /v1/events", _) => Vec::new(),
        _ => answer(&status(&[network("home", "online", None)], &[])),
    });
    let ended = daemon.run(&["wait", "--online"]);
    assert_eq!((ended.code, ended.out.as_str()), (0, "home online\n"), "{}", ended.err);
}

#[test]
fn the_time_over_is_status_6_and_says_which_network_and_why() {
    let networks = [network("home", "online", None), network("work", "offline", Some("no answer for 20 s"))];
    let daemon = Daemon::saying(200, &status(&networks, &[]));
    let Ended { code, out, err } = daemon.run(&["wait", "--online", "--timeout", "1s"]);
    assert_eq!((code, out.as_str()), (6, ""));
    let expected = "error: not online after 1s\n  \
                    caused by: work: offline from its manager manager.example:4433: no answer for 20 s\nhint: ";
    assert!(err.starts_with(expected), "{err}");
    // The other network is well.
    let ended = daemon.run(&["wait", "--online", "--network", "home"]);
    assert_eq!(ended, Ended { code: 0, out: "home online\n".into(), err: String::new() });
}

#[test]
fn a_flood_of_events_is_not_a_flood_of_requests() {
    let looks = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&looks);
    let daemon = Daemon::talking(move |asked, stream| {
        if asked.line == "GET /v1/events" {
            let mut sent = stream.write_all(STREAM);
            while sent.is_ok() {
                sent = stream.write_all(b"data: {}\n\n");
            }
            return;
        }
        counted.fetch_add(1, Ordering::SeqCst);
        let _ = stream.write_all(&answer(&status(&[network("home", "offline", None)], &[])));
    });
    assert_eq!(daemon.run(&["wait", "--online", "--timeout", "1s"]).code, 6);
    // At most one look each 100 ms.
    let looks = looks.load(Ordering::SeqCst);
    assert!((1..=11).contains(&looks), "{looks}");
}

#[test]
fn json_is_the_status() {
    let shown = status(&[network("home", "online", None)], &[]);
    let Ended { code, out, err } = Daemon::saying(200, &shown).run(&["--json", "wait", "--online"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), shown);
}

fn spawn(mut command: std::process::Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn end(child: Child) -> Ended {
    child.wait_with_output().unwrap().into()
}
