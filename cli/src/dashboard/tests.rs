//! Whole screens of fixed states, and what keys do to them, without a terminal and without a daemon.
//! `REWRITE_SNAPSHOTS=1 cargo test -p cococtl dashboard` writes the screens anew.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::Path;
use std::rc::Rc;

use coconet::control::{Event, Examined, Grants, Members, Status, Usage};
use coconet::name::Name;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::layout::{Position, Rect};
use serde_json::{Value, json};

use super::keys::Key;
use super::state::{Action, EVENTS_MAX, Overlay, ROUND_TRIPS, State, Tab};
use super::update::{Effect, Message, update};
use super::view::view;

/// 3 hours after everything began, at 12 o'clock.
const NOW: u64 = 1_785_585_600_000;
const BEGAN: u64 = NOW - 3 * 3_600_000;

const SIZES: [(u16, u16); 2] = [(80, 24), (120, 40)];

fn peer(name: &str, user: &str, kind: &str, path: Option<&str>, rtt_us: Option<u64>) -> Value {
    let state = if path.is_some() { "connected" } else { "offline" };
    json!({"id": format!("n:{name}"), "name": name, "user": user, "kind": kind, "state": state, "path": path,
           "why": path.map(|_| "a direct way was found"), "rtt_us": rtt_us, "mtu": 1452,
           "bytes_in": 123_456_789, "bytes_out": 4567, "packets_sent": 1000, "packets_lost": 12,
           "rate_in": if path.is_some() { 480_000 } else { 0 }, "rate_out": 1200, "ledger_seq": path.map(|_| 41),
           "reason": if path.is_none() { Some("last seen 3 h ago") } else { None }})
}

fn tunnel(id: &str, resource: &str, kind: &str, direction: &str, state: &str) -> Value {
    let open = direction == "open";
    json!({"version": 1, "id": id, "network": "home", "resource": resource, "kind": kind, "direction": direction,
           "state": state, "reason": if state == "failed" { Some("connection refused") } else { None },
           "url": if open { Some(format!("{kind}://127.0.0.1:41000/stream1")) } else { None },
           "listen": if open { Some("127.0.0.1:41000") } else { None },
           "target": if open { None } else { Some(format!("{kind}://192.168.1.20/stream1")) },
           "node": if open { Some("camera") } else { None }, "path_mode": null, "since_ms": BEGAN, "clients": 2,
           "connections": 17, "failures": 1, "bytes_in": 1_000_000, "bytes_out": 50_000_000, "refused": 3,
           "facts": if kind == "http" { Some(json!({"protocol": "http", "requests": 120, "requests_per_second": 4.5,
                "refused": {"foreign-origin": 2}, "upgrades": 1})) } else { None }})
}

fn status() -> Value {
    let id = coconet::id::NetworkId(coconet::id::Hash([7; 32])).full();
    let peers = json!([
        peer("camera", "alice", "device", Some("direct 198.51.100.7:4433"), Some(12_340)),
        peer("garage", "alice", "device", Some("relay mgr1"), Some(48_100)),
        peer("tablet", "bob", "app", None, None),
    ]);
    let network = json!({
        "version": 1, "name": "home", "id": id, "kind": "user",
        "node": {"id": "n:viewer", "name": "viewer", "user": "alice", "kind": "app", "role": "owner",
                 "member": true, "listen": ["0.0.0.0:41414"]},
        "manager": {"address": "manager.example:4433", "state": "online", "since_ms": BEGAN, "rtt_us": 12_345,
                    "reason": null, "quota": {"used": 82_000_000, "limit": 100_000_000}},
        "ledger": {"seq": 41, "head": "h:w", "alarm": null}, "users": 2, "nodes": 4,
        "resources": [{"name": "front-door", "kind": "rtsp", "node": "camera"}], "peers": peers,
    });
    let tunnels = json!([
        tunnel("t1", "front-door", "rtsp", "open", "open"),
        tunnel("t2", "intercom", "http", "open", "reopened"),
        tunnel("t3", "heating", "mqtt", "expose", "failed"),
    ]);
    json!({"version": 1, "app": "player", "program": "0.1.0", "pid": 7, "started_ms": BEGAN, "state_dir": "/s",
           "networks": [network], "tunnels": tunnels, "counters": {"hello": 3, "initial": 0}})
}

fn said(value: Value) -> Box<Status> {
    serde_json::from_value(value).unwrap()
}

fn event(number: u64, kind: &str, message: &str) -> Event {
    let time_ms = BEGAN + number * 61_000;
    serde_json::from_value(
        json!({"version": 1, "time_ms": time_ms, "network": "home", "kind": kind, "message": message}),
    )
    .unwrap()
}

/// The fixed state: some seconds of a small network.
fn state() -> State {
    let mut state = State::new(false, Rect::new(0, 0, 80, 24));
    for second in 0..6 {
        let mut status = status();
        status["networks"][0]["peers"][0]["rtt_us"] = json!(12_000 + second * second * 900);
        status["tunnels"][0]["bytes_in"] = json!(1_000_000 + second * 480_000);
        update(&mut state, Message::Status(said(status), NOW - (5 - second) * 1000));
    }
    let members: Members = serde_json::from_value(json!({"version": 1, "network": "home", "users": [
        {"name": "alice", "role": "owner", "nodes": [
            {"id": "n:camera", "name": "camera", "kind": "device", "online": true, "last_seen_ms": NOW, "joined_seq": 3,
             "resources": ["front-door", "intercom"]},
            {"id": "n:viewer", "name": "viewer", "kind": "app", "online": true, "last_seen_ms": NOW, "joined_seq": 0,
             "resources": []}]},
        {"name": "bob", "role": "guest", "nodes": [
            {"id": "n:tablet", "name": "tablet", "kind": "app", "online": false, "last_seen_ms": BEGAN, "joined_seq": 9,
             "resources": []}]}]}))
    .unwrap();
    let grants: Grants = serde_json::from_value(json!({"version": 1, "grants": [
        {"user": "bob", "resource": "front-door", "can": ["play"], "when": "tue 09:00-12:00 Europe/Zurich",
         "until_ms": null, "now": false}]}))
    .unwrap();
    let usage: Usage = serde_json::from_value(json!({
        "version": 1, "network": "home", "month": "2026-08", "plan": "free", "limit": 100_000_000,
        "used": 82_000_000, "whole": true,
        "days": [{"day": "2026-08-01", "bytes": 60_000_000}, {"day": "2026-08-02", "bytes": 21_999_999},
                 {"day": "2026-08-14", "bytes": 1}],
        "nodes": [{"id": "n:garage", "name": "garage", "user": "alice", "sent": 80_000_000, "received": 2_000_000},
                  {"id": "n:gone", "name": "n-abc", "user": null, "sent": 2_000_000, "received": 80_000_000}]}))
    .unwrap();
    update(&mut state, Message::Members(members));
    update(&mut state, Message::Grants("home".parse().unwrap(), grants));
    update(&mut state, Message::Usage(usage));
    let examined: Examined = serde_json::from_value(json!({"network": "home", "checks": [
        {"check": "manager", "peer": null, "status": "ok", "found": "12.3 ms", "reason": "the round trip", "hint": null},
        {"check": "mapping", "peer": null, "status": "ok", "found": "endpoint-independent",
         "reason": "two ports of the manager see the same", "hint": null},
        {"check": "filtering", "peer": null, "status": "unknown", "found": null,
         "reason": "the manager sends no packet", "hint": null}]}))
    .unwrap();
    update(&mut state, Message::Examined(examined));
    let happened = [
        ("manager-online", "registered with the manager"),
        ("peer-connected", "camera direct 198.51.100.7:4433"),
        ("refused", "front-door to an application of this machine: uid 1001 is not allowed"),
        ("peer-lost", "tablet: timed out"),
    ];
    for (number, (kind, message)) in (1..).zip(happened) {
        update(&mut state, Message::Event(event(number, kind, message)));
    }
    state
}

fn screen(state: &mut State, (width, height): (u16, u16)) -> String {
    state.screen = Rect::new(0, 0, width, height);
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view(state, frame)).unwrap();
    let buffer = terminal.backend().buffer();
    let line = |y| {
        let line: String = (0..width).map(|x| buffer[(x, y)].symbol()).collect();
        format!("{}\n", line.trim_end())
    };
    (0..height).map(line).collect()
}

fn press(state: &mut State, keys: &str) -> Option<Effect> {
    keys.chars().map(|key| update(state, Message::Key(Key::Char(key)))).last().flatten()
}

fn compare(name: &str, found: &str) {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src/dashboard/snapshots").join(format!("{name}.txt"));
    if std::env::var_os("REWRITE_SNAPSHOTS").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, found).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(expected == found, "{} differs; it is now:\n{found}", file.display());
}

#[test]
fn every_tab_is_as_it_was_drawn_in_both_sizes() {
    for size in SIZES {
        for tab in Tab::ALL {
            let mut state = state();
            update(&mut state, Message::Key(Key::Char(char::from_digit(tab as u32 + 1, 10).unwrap())));
            let name = format!("{}-{}x{}", tab.title().to_lowercase(), size.0, size.1);
            compare(&name, &screen(&mut state, size));
        }
    }
}

#[test]
fn what_lies_on_top_is_as_it_was_drawn() {
    let cases: [(&str, &[Key]); 5] = [
        ("help", &[Key::Char('2'), Key::Char('?')]),
        ("peer-details", &[Key::Char('2'), Key::Enter]),
        ("tunnel-details", &[Key::Char('3'), Key::Down, Key::Enter]),
        ("filter", &[Key::Char('2'), Key::Char('/'), Key::Char('r'), Key::Char('e'), Key::Char('l')]),
        ("confirm", &[Key::Char('3'), Key::Char('x')]),
    ];
    for (name, keys) in cases {
        let mut state = state();
        for key in keys {
            update(&mut state, Message::Key(*key));
        }
        compare(name, &screen(&mut state, (80, 24)));
    }
    let mut state = state();
    update(&mut state, Message::Lost("the daemon is not running".to_owned()));
    press(&mut state, "2 ");
    compare("lost-and-frozen", &screen(&mut state, (80, 24)));
    compare("nothing-yet", &screen(&mut State::new(false, Rect::default()), (80, 24)));
    compare("too-small", &screen(&mut state, (30, 8)));
}

#[test]
fn no_screen_is_too_strange_to_draw_on() {
    for width in (1..45).chain([79, 80, 81, 200]) {
        for height in [1, 9, 10, 11, 60] {
            for tab in 0..6 {
                let mut state = state();
                state.tab = Tab::ALL[tab];
                state.overlay = [Overlay::None, Overlay::Help, Overlay::Details(3)][tab % 3].clone();
                screen(&mut state, (width, height));
            }
        }
    }
}

#[test]
fn a_row_stays_selected_wherever_it_moves() {
    let mut state = state();
    press(&mut state, "2j");
    let selected = |state: &State| {
        let table = state.table();
        table.rows[state.selected(&table).unwrap()].cells[0].text.clone()
    };
    assert_eq!(selected(&state), "garage");
    press(&mut state, "sS");
    assert_eq!(selected(&state), "garage", "sorted the other way round");
    let mut fewer = status();
    fewer["networks"][0]["peers"].as_array_mut().unwrap().remove(0);
    update(&mut state, Message::Status(said(fewer), NOW + 1000));
    assert_eq!(selected(&state), "garage", "another one went");
}

#[test]
fn a_filter_keeps_rows_with_all_its_words_until_it_is_dropped() {
    let mut state = state();
    press(&mut state, "2/ALICE relay");
    assert_eq!(state.table().rows.len(), 1);
    update(&mut state, Message::Key(Key::Enter));
    press(&mut state, "1");
    press(&mut state, "2");
    assert_eq!(state.table().rows.len(), 1, "kept on its tab");
    update(&mut state, Message::Key(Key::Escape));
    assert_eq!(state.table().rows.len(), 3);
}

#[test]
fn numbers_are_sorted_as_numbers_and_what_is_not_there_comes_last() {
    let mut state = state();
    press(&mut state, "2sssss");
    let order: Vec<String> = state.table().rows.iter().map(|row| row.cells[0].text.clone()).collect();
    assert_eq!(order, ["camera", "garage", "tablet"], "by rtt");
}

#[test]
fn what_changes_the_network_asks_first_and_enter_is_no_yes() {
    let mut state = state();
    assert_eq!(press(&mut state, "3x"), None);
    assert_eq!(update(&mut state, Message::Key(Key::Enter)), None);
    assert!(matches!(state.overlay, Overlay::Confirm(_)));
    let done = press(&mut state, "y");
    let home: Name = "home".parse().unwrap();
    let close =
        Action::Close { network: home.clone(), id: "t1".to_owned(), resource: "front-door".parse().unwrap() };
    assert_eq!(done, Some(Effect::Do(close)));
    assert_eq!(press(&mut state, "xn"), None);
    assert_eq!(state.overlay, Overlay::None);
    press(&mut state, "4");
    update(&mut state, Message::Key(Key::End));
    let revoke = Action::Revoke {
        network: home,
        user: "bob".parse().unwrap(),
        resource: "front-door".parse().unwrap(),
    };
    assert_eq!(press(&mut state, "xy"), Some(Effect::Do(revoke)));
}

#[test]
fn keys_of_a_row_do_nothing_where_there_is_none() {
    let mut state = State::new(false, Rect::new(0, 0, 80, 24));
    for key in "23456pyxsS/ j?".chars() {
        assert!(!matches!(
            press(&mut state, &key.to_string()),
            Some(Effect::Do(_) | Effect::Ping { .. } | Effect::Copy(_))
        ));
        update(&mut state, Message::Key(Key::Escape));
        update(&mut state, Message::Key(Key::Enter));
        update(&mut state, Message::Key(Key::Escape));
    }
}

#[test]
fn a_frozen_screen_shows_what_it_showed() {
    let mut state = state();
    press(&mut state, "2 ");
    let frozen = screen(&mut state, (80, 24));
    let mut other = status();
    other["networks"][0]["peers"] = json!([]);
    update(&mut state, Message::Status(said(other), NOW + 1000));
    assert_eq!(screen(&mut state, (80, 24)), frozen);
    press(&mut state, " ");
    assert!(screen(&mut state, (80, 24)).contains("no peers yet"));
}

#[test]
fn rows_are_made_once_for_what_they_are_made_of() {
    let mut state = state();
    press(&mut state, "2");
    let made = state.table();
    press(&mut state, "jkG??");
    screen(&mut state, (80, 24));
    assert!(Rc::ptr_eq(&made, &state.table()), "nothing has come");
    for keys in ["s", "S", "/a", "3"] {
        let before = state.table();
        press(&mut state, keys);
        update(&mut state, Message::Key(Key::Enter));
        assert!(!Rc::ptr_eq(&before, &state.table()), "after {keys}");
        update(&mut state, Message::Key(Key::Escape));
    }
    let before = state.table();
    update(&mut state, Message::Status(said(status()), NOW + 1000));
    assert!(!Rc::ptr_eq(&before, &state.table()), "something has come");
    press(&mut state, " ");
    let frozen = state.table();
    update(&mut state, Message::Status(said(status()), NOW + 2000));
    assert!(Rc::ptr_eq(&frozen, &state.table()), "what is frozen stays");
    press(&mut state, " ");
    assert!(!Rc::ptr_eq(&frozen, &state.table()), "and is let go");
}

#[test]
fn a_daemon_that_restarted_has_no_rates_of_before() {
    let mut state = state();
    assert_eq!(state.shown().rates["t1"].bytes_in, 480_000);
    let mut other = status();
    other["pid"] = json!(8);
    other["tunnels"][0]["bytes_in"] = json!(u64::MAX);
    update(&mut state, Message::Status(said(other), NOW + 1000));
    assert_eq!(state.shown().rates["t1"].bytes_in, 0);
}

#[test]
fn what_is_kept_is_bounded() {
    let mut state = state();
    for number in 0..2 * EVENTS_MAX as u64 {
        update(&mut state, Message::Event(event(number, "entry", "one more")));
        update(&mut state, Message::Status(said(status()), NOW + number));
    }
    assert_eq!(state.shown().events.len(), EVENTS_MAX);
    assert!(state.shown().round_trips.values().all(|line| line.len() <= ROUND_TRIPS));
}

#[test]
fn a_click_selects_sorts_and_changes_the_tab() {
    let mut state = state();
    update(&mut state, Message::Click(Position { x: 15, y: 1 }));
    assert_eq!(state.tab, Tab::Peers);
    update(&mut state, Message::Click(Position { x: 3, y: 4 }));
    assert_eq!(state.list().selected.as_deref(), Some("n:garage"));
    update(&mut state, Message::Click(Position { x: 3, y: 4 }));
    assert_eq!(state.overlay, Overlay::Details(0), "and shows all about it the second time");
    update(&mut state, Message::Click(Position { x: 3, y: 4 }));
    assert_eq!(state.overlay, Overlay::None);
    update(&mut state, Message::Click(Position { x: 3, y: 2 }));
    assert_eq!(state.list().sort, Some(0));
}

#[test]
fn what_a_peer_is_called_does_not_act_on_the_terminal() {
    let mut state = state();
    let mut hostile = status();
    hostile["networks"][0]["peers"][0]["path"] = json!("direct \u{1b}[2J\u{202e}x");
    hostile["tunnels"][0]["reason"] = json!("\u{1b}]0;owned\u{7}");
    hostile["app"] = json!("a\u{1b}[31m");
    update(&mut state, Message::Status(said(hostile), NOW + 1000));
    update(&mut state, Message::Event(event(1, "entry", "\u{1b}c")));
    for keys in ["1", "2", "3", "6"] {
        press(&mut state, keys);
        for key in [Key::Enter, Key::Escape] {
            update(&mut state, Message::Key(key));
            let screen = screen(&mut state, (120, 40));
            assert!(
                !screen.chars().any(|letter| (letter.is_control() && letter != '\n') || letter == '\u{202e}')
            );
        }
    }
}
