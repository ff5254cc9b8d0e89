//! A daemon in a crowded network, played: fixed answers, so that nothing happens but what a person does. It
//! is shared with `make bench`, which measures the dashboard before it.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::{Value, json};

use super::control::{Asked, Heard, http, play};

/// How much there is of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Crowd {
    pub(crate) peers: usize,
    pub(crate) tunnels: usize,
    pub(crate) grants: usize,
    pub(crate) events: usize,
}

impl Crowd {
    /// What the dashboard is to bear. Its events are as many as it keeps.
    pub(crate) const MANY: Self = Self { peers: 500, tunnels: 200, grants: 300, events: 1000 };

    /// What people have at home.
    pub(crate) const FEW: Self = Self { peers: 5, tunnels: 2, grants: 3, events: 10 };

    /// Plays its daemon on `socket`.
    pub(crate) fn play(self, socket: &Path) -> Heard {
        let network = self.network();
        let answers = [
            ("/v1/status", self.status(&network)),
            ("/v1/networks", json!({"version": 1, "networks": [network]})),
            ("/v1/doctor?network=home", doctor()),
            ("/v1/networks/home/members", self.members()),
            ("/v1/networks/home/grants", self.grants()),
            ("/v1/networks/home/usage", self.usage()),
        ];
        let answers = answers.map(|(path, answer)| (format!("GET {path}"), answer.to_string()));
        let stream = self.events();
        play(socket, move |asked, connection| {
            if asked.line.starts_with("GET /v1/events") {
                hold(asked, connection, &stream);
                return;
            }
            let answer = answers.iter().find(|(line, _)| *line == asked.line);
            let answer = answer.map_or_else(|| http(404, b"{}"), |(_, body)| http(200, body.as_bytes()));
            // Whoever leaves early does not want it.
            let _ = connection.write_all(&answer);
        })
    }

    fn status(self, network: &Value) -> Value {
        let tunnels: Vec<Value> = (0..self.tunnels).map(tunnel).collect();
        json!({
            "version": 1, "app": "crowd", "program": "0.1.0", "pid": 7, "started_ms": 0,
            "state_dir": "/var/lib/coco/crowd", "networks": [network], "tunnels": tunnels,
            "counters": {"hello": 3, "initial": 12},
        })
    }

    fn network(self) -> Value {
        let peers: Vec<Value> = (0..self.peers).map(peer).collect();
        let resources: Vec<Value> = (0..self.tunnels)
            .map(|at| json!({"name": resource(at), "kind": kind(at), "node": node(at)}))
            .collect();
        json!({
            "version": 1, "name": "home", "id": format!("net:{}", "a".repeat(52)), "kind": "user",
            "node": {
                "id": format!("n:{}", "b".repeat(52)), "name": "viewer", "user": user(0), "kind": "app",
                "role": "owner", "member": true, "listen": ["0.0.0.0:41414", "[::]:41414"],
            },
            "manager": {
                "address": "manager.example:4433", "state": "online", "since_ms": 0, "rtt_us": 12_300,
                "reason": null, "quota": {"used": 82_000_000, "limit": 100_000_000},
            },
            "ledger": {"seq": 4 * self.peers, "head": format!("h:{}", "c".repeat(52)), "alarm": null},
            "users": self.peers.div_ceil(NODES_EACH), "nodes": self.peers, "resources": resources,
            "peers": peers,
        })
    }

    fn members(self) -> Value {
        let node = |at: usize| {
            json!({
                "id": id(at), "name": node(at), "kind": if at.is_multiple_of(2) { "device" } else { "app" },
                "online": !at.is_multiple_of(3), "last_seen_ms": 0, "joined_seq": at,
                "resources": if at < self.tunnels { vec![resource(at)] } else { Vec::new() },
            })
        };
        let member = |number: usize| {
            let nodes: Vec<Value> =
                (number * NODES_EACH..((number + 1) * NODES_EACH).min(self.peers)).map(node).collect();
            let role = if number == 0 { "owner" } else { "guest" };
            json!({"name": user(number * NODES_EACH), "role": role, "nodes": nodes})
        };
        let users: Vec<Value> = (0..self.peers.div_ceil(NODES_EACH)).map(member).collect();
        json!({"version": 1, "network": "home", "users": users})
    }

    fn grants(self) -> Value {
        let grant = |at: usize| {
            json!({
                "user": user(at % self.peers), "resource": resource(at % self.tunnels), "can": ["play"],
                "when": "mon,wed,fri 09:00-12:00 Europe/Zurich", "until_ms": null, "now": at.is_multiple_of(2),
            })
        };
        json!({"version": 1, "grants": (0..self.grants).map(grant).collect::<Vec<_>>()})
    }

    fn usage(self) -> Value {
        let days: Vec<Value> = (1..=30)
            .map(|day| json!({"day": format!("2026-08-{day:02}"), "bytes": day * 1_000_000}))
            .collect();
        let node = |at: usize| {
            json!({
                "id": id(at), "name": node(at), "user": user(at), "sent": 900_000 - at, "received": 400_000 + at,
            })
        };
        json!({
            "version": 1, "network": "home", "month": "2026-08", "plan": "free", "limit": 1_000_000_000,
            "used": 465_000_000, "whole": true, "days": days,
            "nodes": (0..self.peers).map(node).collect::<Vec<_>>(),
        })
    }

    /// The events, as they go over the socket.
    fn events(self) -> String {
        let event = |at: usize| {
            let kind = ["peer-connected", "peer-lost", "refused", "entry"][at % 4];
            let message = format!("{} direct 198.51.100.{}:4433, and so on for a while", node(at), at % 250);
            let event = json!({
                "version": 1, "time_ms": at * 61_000, "network": "home", "kind": kind, "message": message,
            });
            format!("data: {event}\n\n")
        };
        (0..self.events).map(event).collect()
    }
}

fn doctor() -> Value {
    let check = |name: &str| json!({"check": name, "peer": null, "status": "ok", "found": "endpoint-independent", "reason": "-", "hint": null});
    json!({"version": 1, "networks": [{"network": "home", "checks": [check("mapping"), check("filtering")]}]})
}

/// Nodes of each user.
const NODES_EACH: usize = 5;

fn user(at: usize) -> String {
    format!("person-{:03}", at / NODES_EACH)
}

fn node(at: usize) -> String {
    format!("front-door-camera-{at:03}")
}

fn resource(at: usize) -> String {
    format!("front-door-{at:03}")
}

fn id(at: usize) -> String {
    format!("n:{}{at:04}", "q".repeat(48))
}

fn kind(at: usize) -> &'static str {
    if at.is_multiple_of(2) { "rtsp" } else { "http" }
}

fn peer(at: usize) -> Value {
    let (state, path, reason) = match at % 4 {
        0 | 1 => ("connected", Some(format!("direct 198.51.100.{}:{}", at % 250, 40_000 + at)), None),
        2 => ("connected", Some("relay manager.example:4433".to_owned()), None),
        _ => ("offline", None, Some("last seen 3 h ago, and nobody knows where it went")),
    };
    let connected = path.is_some();
    json!({
        "id": id(at), "name": node(at), "user": user(at), "kind": if at.is_multiple_of(2) { "device" } else { "app" },
        "state": state, "path_mode": "direct-first", "path": path,
        "why": connected.then_some("a direct way was found, and it is the fastest of three"),
        "rtt_us": connected.then_some(9_000 + at * 37 % 40_000), "mtu": connected.then_some(1452),
        "bytes_in": 123_456_789 + at, "bytes_out": 4567 * at, "packets_sent": 100_000, "packets_lost": at % 900,
        "rate_in": if connected { 480_000 + at } else { 0 }, "rate_out": 1200 + at,
        "ledger_seq": connected.then_some(2000), "reason": reason,
    })
}

fn tunnel(at: usize) -> Value {
    let open = !at.is_multiple_of(3);
    let kind = kind(at);
    let facts = if kind == "http" {
        json!({
            "protocol": "http", "requests": 120 + at, "requests_per_second": 4.5,
            "refused": {"foreign-origin": 2, "not-permitted": 1}, "upgrades": 1,
        })
    } else {
        json!({
            "protocol": "rtsp", "refused": 1, "sessions": [{
                "path": "/stream1", "viewers_udp": 1, "viewers_tcp": 2, "tracks": [
                    {"media": "video", "codec": "H264", "size": [1920, 1080], "rate": 25.0, "transport": "udp",
                     "packets": 123_456, "lost": 3},
                    {"media": "audio", "codec": "MPEG4-GENERIC", "transport": "udp", "packets": 9000, "lost": 0},
                ],
            }],
        })
    };
    let port = 41_000 + at;
    json!({
        "version": 1, "id": format!("t{at}"), "network": "home", "resource": resource(at), "kind": kind,
        "direction": if open { "open" } else { "expose" },
        "state": if at % 10 == 9 { "failed" } else { "open" },
        "reason": (at % 10 == 9).then_some("connection refused"),
        "url": open.then(|| format!("{kind}://127.0.0.1:{port}/stream1")),
        "listen": open.then(|| format!("127.0.0.1:{port}")),
        "target": (!open).then(|| format!("{kind}://192.168.1.{}/stream1", at % 250)),
        "node": open.then(|| node(at)), "path_mode": open.then_some("direct-first"), "since_ms": 0,
        "clients": at % 7, "connections": 17 + at, "failures": 1, "bytes_in": 1_000_000 + at,
        "bytes_out": 50_000_000, "refused": 3, "facts": facts,
    })
}

/// Tells what has happened, where that is asked for, and then of nothing more until the client goes.
fn hold(asked: &Asked, connection: &mut UnixStream, events: &str) {
    let head = "HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let before = if asked.line.ends_with("before=true") { events } else { "" };
    // Whoever leaves early does not want it.
    let _ = connection.write_all(format!("{head}{before}").as_bytes());
    let _ = connection.read(&mut [0]);
}
