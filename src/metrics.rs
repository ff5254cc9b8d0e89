//! Figures for monitoring, by HTTP on loopback: `GET /metrics` in the text format of Prometheus.
//!
//! Off unless the configuration names a port. Other users of the machine can read the page, so it has no names of nodes,
//! people or resources and no addresses; a line for each network at most keeps it short. A page of the web that
//! has its own name lead to this port is refused by the host it asks for.

use std::convert::Infallible;
use std::fmt::{Display, Write as _};
use std::io;
use std::net::SocketAddr;
use std::sync::Weak;
use std::time::Duration;

use coconet::control::{Direction, ManagerLink, Network, PeerLink, Status, TunnelState};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::daemon::Daemon;

/// Connections at once; further ones wait.
pub const CONNECTIONS_MAX: usize = 8;

/// Longest life of a connection: one page.
pub const CONNECTION_LIFE: Duration = Duration::from_secs(5);

/// Rest when no connection could be taken: file descriptors come back.
const REST: Duration = Duration::from_millis(100);

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Listen on a loopback address.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Serve for as long as the daemon lives and this is polled.
pub async fn serve(listener: TcpListener, daemon: Weak<Daemon>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => drop(connections.spawn(converse(stream, daemon.clone()))),
                Err(error) => {
                    tracing::debug!(%error, "metrics");
                    tokio::time::sleep(REST).await;
                }
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
        if daemon.strong_count() == 0 {
            return;
        }
    }
}

async fn converse(stream: TcpStream, daemon: Weak<Daemon>) {
    let answer = service_fn(move |request: Request<Incoming>| {
        let answer = answer(&request, &daemon);
        async move { Ok::<_, Infallible>(answer) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answer);
    // Who hangs up early, or says nothing, is none of our business.
    let _ = timeout(CONNECTION_LIFE, served).await;
}

fn answer(request: &Request<Incoming>, daemon: &Weak<Daemon>) -> Response<Full<Bytes>> {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let said = |status, text: &str| {
        let mut response = Response::new(Full::from(text.to_owned()));
        *response.status_mut() = status;
        response
    };
    if !host.is_some_and(is_here) {
        return said(StatusCode::FORBIDDEN, "only under an address of this machine\n");
    }
    if request.method() != Method::GET || request.uri().path() != "/metrics" {
        return said(StatusCode::NOT_FOUND, "GET /metrics\n");
    }
    let Some(daemon) = daemon.upgrade() else {
        return said(StatusCode::SERVICE_UNAVAILABLE, "the daemon ends\n");
    };
    let mut response = said(StatusCode::OK, &page(&daemon.status()));
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(TEXT));
    response
}

/// Whether a request is for this machine and not for a name that somebody else has made lead here.
fn is_here(host: &str) -> bool {
    let address = host.parse::<SocketAddr>().map(|address| address.ip()).or_else(|_| host.parse());
    let name = host.split_once(':').map_or(host, |(name, _)| name);
    name == "localhost" || address.is_ok_and(|ip| ip.is_loopback())
}

/// The page; the names follow Prometheus' conventions.
pub fn page(status: &Status) -> String {
    let mut page = Page::default();
    page.head("build_info", "gauge", "Which program this is.");
    page.line("build_info", &[("version", &status.program)], 1);
    page.one(
        "start_time_seconds",
        "gauge",
        "When it started, in seconds of Unix time.",
        status.started_ms / 1000,
    );
    page.one("networks", "gauge", "Networks joined.", count(status.networks.len()));
    for (name, help) in [
        ("foreign-packets", "Packets that were not of coco."),
        ("withheld-packets", "Packets that did not leave because nobody may send there."),
        ("refused-handshakes", "Handshakes refused."),
        ("refused-sockets", "Sockets of applications and targets closed to keep file descriptors free."),
    ] {
        let value = status.counters.get(name).copied().unwrap_or_default();
        page.one(&format!("{}_total", name.replace('-', "_")), "counter", help, value);
    }
    page.each("manager_up", "Whether the manager is there.", status, |network| {
        u64::from(network.manager.state == ManagerLink::Online)
    });
    page.each("ledger_seq", "The newest entry of the ledger here.", status, |network| network.ledger.seq);
    page.each("ledger_alarm", "Whether the ledger contradicts what others show.", status, |network| {
        u64::from(network.ledger.alarm.is_some())
    });
    page.sessions(status);
    page.tunnels(status);
    page.0
}

fn count(count: usize) -> u64 {
    count as u64
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn sessions(&mut self, status: &Status) {
        self.head("sessions", "gauge", "Sessions with other nodes, by the path of their packets.");
        for network in &status.networks {
            for path in ["direct", "relay"] {
                let taken = network.peers.iter().filter(|peer| {
                    let by = peer.path.as_ref().and_then(|path| path.split(' ').next());
                    peer.state == PeerLink::Connected && by == Some(path)
                });
                self.line("sessions", &[("network", &network.name), ("path", &path)], count(taken.count()));
            }
        }
        self.head("session_bytes", "gauge", "Bytes that the sessions of now have carried.");
        for network in &status.networks {
            let peers = || network.peers.iter();
            let (received, sent) =
                (peers().map(|peer| peer.bytes_in).sum(), peers().map(|peer| peer.bytes_out).sum());
            for (direction, bytes) in [("in", received), ("out", sent)] {
                self.line("session_bytes", &[("network", &network.name), ("direction", &direction)], bytes);
            }
        }
    }

    fn tunnels(&mut self, status: &Status) {
        let of = |end: Direction| status.tunnels.iter().filter(move |tunnel| tunnel.direction == end);
        let ends = [("expose", Direction::Expose), ("open", Direction::Open)];
        self.head("tunnels", "gauge", "Tunnels, and how many of them do not work.");
        for (name, end) in ends {
            let bad = of(end).filter(|tunnel| tunnel.state == TunnelState::Failed).count();
            let good = of(end).count() - bad;
            self.line("tunnels", &[("end", &name), ("state", &"working")], count(good));
            self.line("tunnels", &[("end", &name), ("state", &"failed")], count(bad));
        }
        self.head("tunnel_clients", "gauge", "Connections in tunnels now.");
        for (name, end) in ends {
            self.line("tunnel_clients", &[("end", &name)], of(end).map(|tunnel| tunnel.clients).sum());
        }
        self.head("tunnel_bytes", "gauge", "Bytes that the tunnels of now have carried.");
        for (name, end) in ends {
            let (received, sent) =
                (of(end).map(|tunnel| tunnel.bytes_in).sum(), of(end).map(|tunnel| tunnel.bytes_out).sum());
            for (direction, bytes) in [("in", received), ("out", sent)] {
                self.line("tunnel_bytes", &[("end", &name), ("direction", &direction)], bytes);
            }
        }
    }

    fn each(&mut self, name: &str, help: &str, status: &Status, value: impl Fn(&Network) -> u64) {
        self.head(name, "gauge", help);
        for network in &status.networks {
            self.line(name, &[("network", &network.name)], value(network));
        }
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: u64) {
        self.head(name, kind, help);
        self.line(name, &[], value);
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string does not fail.
        let _ = write!(self.0, "# HELP coco_{name} {help}\n# TYPE coco_{name} {kind}\n");
    }

    /// The labels are words of ours and names of networks, which need no escapes.
    fn line(&mut self, name: &str, labels: &[(&str, &dyn Display)], value: u64) {
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "coco_{name}{labels} {value}");
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use serde_json::{Value, json};

    use super::*;

    fn peer(name: &str, state: &str, path: Option<&str>) -> Value {
        json!({"id": "n:x", "name": name, "user": "alice", "state": state, "path": path, "rtt_us": null,
               "bytes_in": 100, "bytes_out": 20, "reason": null})
    }

    fn tunnel(direction: &str, state: &str) -> Value {
        json!({
            "version": 1, "id": "t1", "network": "home", "resource": "front-door", "kind": "rtsp",
            "direction": direction, "state": state, "reason": null, "url": null, "listen": null, "target": null,
            "node": "camera", "since_ms": 0, "clients": 2, "connections": 3, "failures": 0, "bytes_in": 1000,
            "bytes_out": 7,
        })
    }

    fn status() -> Status {
        let peers = [
            peer("camera", "connected", Some("direct 198.51.100.7:4433")),
            peer("lamp", "connected", Some("direct 198.51.100.8:4433")),
            peer("bell", "connected", Some("relay manager.example:4433")),
            peer("tablet", "offline", None),
        ];
        let network = json!({
            "version": 1, "name": "home", "id": "net:abc", "kind": "user",
            "node": {"id": "n:z", "name": "viewer", "user": "alice", "kind": "app", "role": "owner",
                     "member": true, "listen": ["0.0.0.0:41414"]},
            "manager": {"address": "manager.example:4433", "state": "online", "since_ms": 0, "rtt_us": 1,
                        "reason": null},
            "ledger": {"seq": 12, "head": "h:w", "alarm": null}, "users": 2, "nodes": 1, "resources": [],
            "peers": peers,
        });
        let tunnels = [tunnel("open", "open"), tunnel("open", "failed"), tunnel("expose", "open")];
        serde_json::from_value(json!({
            "version": 1, "app": "player", "program": "0.1.0", "pid": 7, "started_ms": 5000, "state_dir": "/s",
            "networks": [network], "tunnels": tunnels,
            "counters": {"foreign-packets": 3, "refused-handshakes": 1, "withheld-packets": 2},
        }))
        .unwrap()
    }

    #[test]
    fn the_page_has_a_line_for_each_figure() {
        let page = page(&status());
        for line in [
            "coco_build_info{version=\"0.1.0\"} 1",
            "coco_start_time_seconds 5",
            "coco_foreign_packets_total 3",
            "coco_withheld_packets_total 2",
            "coco_refused_handshakes_total 1",
            "coco_manager_up{network=\"home\"} 1",
            "coco_ledger_seq{network=\"home\"} 12",
            "coco_ledger_alarm{network=\"home\"} 0",
            "coco_sessions{network=\"home\",path=\"direct\"} 2",
            "coco_sessions{network=\"home\",path=\"relay\"} 1",
            "coco_session_bytes{network=\"home\",direction=\"in\"} 400",
            "coco_tunnels{end=\"open\",state=\"working\"} 1",
            "coco_tunnels{end=\"open\",state=\"failed\"} 1",
            "coco_tunnel_clients{end=\"expose\"} 2",
            "coco_tunnel_bytes{end=\"open\",direction=\"in\"} 2000",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
        }
    }

    #[test]
    fn the_page_names_nobody_and_no_place() {
        let page = page(&status());
        for secret in
            ["camera", "tablet", "alice", "viewer", "front-door", "198.51", "manager.example", "n:", "net:"]
        {
            assert!(!page.contains(secret), "{secret} in\n{page}");
        }
    }

    #[test]
    fn every_line_is_a_figure_or_its_explanation() {
        let page = page(&status());
        let mut known = "";
        for line in page.lines() {
            if let Some(kind) = line.strip_prefix("# TYPE ") {
                known = kind.split(' ').next().unwrap();
                assert_eq!(kind.ends_with(" counter"), known.ends_with("_total"), "{line}");
            } else if !line.starts_with("# HELP ") {
                let (name, value) = line.rsplit_once(' ').unwrap();
                assert_eq!(name.split('{').next().unwrap(), known);
                value.parse::<u64>().unwrap();
            }
        }
    }

    #[test]
    fn a_name_of_somebody_else_s_does_not_lead_here() {
        for host in ["127.0.0.1:9470", "127.0.0.1", "[::1]:9470", "localhost:9470", "localhost"] {
            assert!(is_here(host), "{host}");
        }
        for host in [
            "evil.example:9470",
            "evil.example",
            "localhost.evil.example",
            "192.0.2.1:9470",
            "",
            "127.0.0.1.evil.example",
        ] {
            assert!(!is_here(host), "{host}");
        }
    }
}
