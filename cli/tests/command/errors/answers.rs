//! What a daemon may answer, and what it is when it answers nothing, something else, or half of it.

use std::io::Write;

use serde_json::{Value, json};

use super::page::Page;
use super::until_gone;
use crate::daemon::{Daemon, failure, http, network, tunnel};

const KINDS: [(&str, u16); 8] = [
    ("failed", 422),
    ("usage", 400),
    ("unreachable", 503),
    ("not-permitted", 403),
    ("not-found", 404),
    ("timed-out", 504),
    ("quota", 429),
    ("not-a-member", 410),
];

const STREAM: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

const FILE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\n\r\n";

/// A daemon that says the same to everybody.
fn raw(bytes: impl Into<Vec<u8>>) -> Daemon {
    let bytes = bytes.into();
    Daemon::new(move |_| bytes.clone())
}

/// One that begins so and has no end.
fn endless(head: &'static [u8], piece: &'static [u8]) -> Daemon {
    Daemon::talking(move |_, stream| {
        let mut sent = stream.write_all(head);
        let pieces = piece.repeat((1 << 20) / piece.len());
        while sent.is_ok() {
            sent = stream.write_all(&pieces);
        }
    })
}

#[test]
fn what_the_daemon_reports_keeps_its_words_and_its_kind_is_the_exit_code() {
    let mut page = Page::new("reported");
    for (kind, status) in KINDS {
        let hinted = Daemon::saying(status, &failure(kind, Some("cococtl network list")));
        page.with(hinted).shows(&format!("the daemon reports: {kind}"), &["cococtl tunnel open front-door"]);
    }
    let mut bare = failure("failed", None);
    bare["error"]["message"] = json!("");
    bare["error"]["causes"] = json!([]);
    page.with(Daemon::saying(422, &bare)).shows("it reports no words", &["cococtl status"]);
    let other = Daemon::saying(404, &failure("not-found", Some("cococtl --app other status")));
    page.with(other).shows("its hint is about another daemon", &["cococtl status"]);
    // A pager of ours is no place for more.
    let mut long = failure("failed", None);
    long["error"]["causes"] = (0..40).map(|number| format!("cause {number}")).collect();
    page.with(Daemon::saying(422, &long))
        .shows("it reports more causes than are printed", &["cococtl status"]);
    page.compare();
}

#[test]
fn what_is_no_good_answer_is_told_from_no_answer() {
    let mut page = Page::new("answers");
    let shows =
        |page: &mut Page, how: &str, daemon: Daemon, lines: &[&str]| page.with(daemon).shows(how, lines);
    let status = ["cococtl status"];

    shows(
        &mut page,
        "the daemon is of a later version",
        Daemon::saying(200, &json!({"version": 2})),
        &status,
    );
    let refused = raw(http(500, b"<html>"));
    shows(
        &mut page,
        "it refuses and does not say why",
        refused,
        &["cococtl status", "cococtl events --follow"],
    );
    for (how, body) in [
        ("it answers something else", &b"{\"version\":1}"[..]),
        ("it answers nothing", b""),
        ("it answers what is no text", b"{\"version\":1,\"x\":\"\xff\"}"),
        ("it answers for no version", b"{}"),
    ] {
        shows(&mut page, how, raw(http(200, body)), &status);
    }
    let mut strange = network("home", "online", None);
    strange["name"] = json!("Home\u{1b}[2J");
    let strange = Daemon::saying(200, &json!({"version": 1, "networks": [strange]}));
    shows(&mut page, "it names a network as nothing may be named", strange, &["cococtl network list"]);
    let mail = raw("220 mail.example ESMTP\r\n");
    shows(&mut page, "somebody else answers", mail, &status);
    shows(&mut page, "it hangs up", raw(""), &status);
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"version\":1,";
    shows(&mut page, "it hangs up in the middle", raw(half), &status);
    let endless_answer = endless(b"HTTP/1.1 200 OK\r\n\r\n", b" ");
    shows(&mut page, "its answer has no end", endless_answer, &status);
    let silent = Daemon::talking(|_, stream| until_gone(stream));
    let lines = ["cococtl tunnel open door --timeout 1s", "cococtl wait --online --timeout 1s"];
    shows(&mut page, "it says nothing", silent, &lines);
    page.compare();
}

#[test]
fn streams_and_files_that_are_none_or_have_no_end_are_given_up() {
    let mut page = Page::new("streams");
    let follow = ["cococtl events --follow"];
    page.with(raw(STREAM)).shows("the daemon goes while its events are followed", &follow);
    page.with(raw([STREAM, b"data: {}\n\n"].concat())).shows("an event is none", &follow);
    page.with(endless(STREAM, b"data")).shows("an event has no end", &follow);
    let quiet = Daemon::saying(404, &failure("not-found", Some("cococtl status")));
    page.with(quiet).shows("there are no events", &follow);

    let export = ["cococtl network export home --output home.ledger"];
    page.with(raw(http(200, b"{\"version\":1}"))).shows("the ledger is none", &export);
    let cut = b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: 9\r\n\r\ncoco";
    page.with(raw(*cut)).shows("the ledger is cut off", &export);
    page.with(raw(http(500, b"<html>"))).shows("there is no ledger, and no word why", &export);
    let whole = raw([FILE, b"coco"].concat());
    page.with(whole).shows(
        "the file cannot be written",
        &[
            "cococtl network export home --output nowhere/home.ledger",
            "cococtl network export home --output bin",
            "cococtl network export home --output /dev/full",
            "cococtl network export home > /dev/full",
            "cococtl network export home --json",
        ],
    );
    page.shows_on_terminal("stdout is a terminal", "cococtl network export home", "", "");
    let endless_file = endless(FILE, b"coco");
    page.with(endless_file)
        .shows("the ledger has no end", &["cococtl network export home --output /dev/null"]);

    let open = Daemon::saying(200, &tunnel(Some("rtsp://127.0.0.1:5554/s")));
    let full =
        ["cococtl tunnel open front-door > /dev/full", "cococtl tunnel open front-door --json > /dev/full"];
    page.with(open).shows("the disk below stdout is full", &full);
    page.shows("", &["cococtl --help > /dev/full", "cococtl completions bash > /dev/full"]);
    page.compare();
}

#[test]
fn an_answer_that_is_no_result_is_not_printed() {
    let mut page = Page::new("results");
    let invite =
        |text: &str| Daemon::saying(200, &json!({"version": 1, "invite": text, "expires_ms": 0, "uses": 1}));
    let line = ["cococtl network invite home --self"];
    page.with(invite("coco1abc def")).shows("an invite that is not one word", &line);
    let long = invite(&format!("coco1{}", "a".repeat(4300)));
    let quiet = "cococtl network invite home --device --qr > /dev/null";
    page.with(long).shows("an invite that no QR code holds", &[quiet]);
    let key = Daemon::saying(200, &json!({"version": 1, "node": "recovery-1", "key": "cocorec1abc"}));
    page.with(key).shows("a recovery key that opens nothing", &["cococtl network recovery-key home"]);
    for (how, url) in [("a tunnel without a URL", Value::Null), ("a URL of two words", json!("rtsp://x/a b"))]
    {
        let mut open = tunnel(Some(""));
        open["url"] = url;
        page.with(Daemon::saying(200, &open)).shows(how, &["cococtl tunnel open front-door"]);
    }
    page.compare();
}
