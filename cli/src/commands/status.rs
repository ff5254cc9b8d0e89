//! `status`: the daemon on one screen. `cococtl` alone adds the next sensible step.

use coconet::control::{ManagerLink, Network, Peer, PeerLink, SandboxLayer, SandboxState, Status, Tunnel};
use coconet::id::NetworkId;
use coconet::ledger::{NetworkKind, NodeKind};
use coconet::scope::Scope;

use super::{Context, tunnel, usage, watch};
use crate::args::Watch;
use crate::fail::Fail;
use crate::print::clean;
use crate::table::Table;
use crate::units;

pub(super) async fn run(context: &Context, watch: Watch) -> Result<(), Fail> {
    let ask = async || context.client.get::<Status>("/v1/status").await;
    watch::run(context, watch, ask, |status| screen(status, units::now_ms())).await
}

/// The status, and what to do next.
pub(super) async fn overview(context: &Context) -> Result<(), Fail> {
    let answer = context.client.get::<Status>("/v1/status").await?;
    context.out.answer(&answer, |status| screen(status, units::now_ms()))?;
    hint_next(context, &answer.value.networks, &answer.value.tunnels);
    Ok(())
}

/// Says the next sensible step: to a network, to a tunnel, or nothing when there are both.
pub(super) fn hint_next(context: &Context, networks: &[Network], tunnels: &[Tunnel]) {
    match networks {
        [] => hint_no_network(context),
        [network, ..] if tunnels.is_empty() => hint_no_tunnel(context, Some(network)),
        [_, ..] => {}
    }
}

pub(super) fn hint_no_network(context: &Context) {
    let me = context.me();
    context.out.hint(&format!("{me} network create NAME --manager MGRADDR, or {me} network join INVITE"));
}

pub(super) fn hint_no_tunnel(context: &Context, network: Option<&Network>) {
    let me = context.me();
    let other = network
        .and_then(|network| network.resources.iter().find(|resource| resource.node != network.node.name));
    context.out.hint(&match other {
        Some(resource) => format!("{me} tunnel open {}", resource.name),
        None => format!("{me} tunnel expose URL --name NAME, or {me} tunnel open RESOURCE"),
    });
}

fn screen(status: &Status, now_ms: u64) -> Vec<String> {
    let up = units::span(units::since(status.started_ms, now_ms));
    let mut lines =
        vec![field("app", &format!("{}, cocod {}, pid {}, up {up}", status.app, status.program, status.pid))];
    let refused = status.counters.iter().filter(|(_, count)| **count > 0);
    let refused: Vec<String> = refused.map(|(what, count)| format!("{what} {count}")).collect();
    if !refused.is_empty() {
        lines.push(field("refused", &refused.join(", ")));
    }
    lines.extend(sandbox(&status.sandbox));
    if status.networks.is_empty() {
        lines.push(field("networks", "none joined"));
    }
    for network in &status.networks {
        lines.push(String::new());
        lines.extend(network_lines(network, &short_id(&network.id), now_ms));
        lines.extend(peers(&network.peers));
    }
    lines.push(String::new());
    if status.tunnels.is_empty() {
        lines.push(field("tunnels", "none"));
    } else {
        lines.extend(tunnel::table(&status.tunnels));
    }
    lines
}

/// The layers that are in force on one line, and what misses on lines of its own.
fn sandbox(layers: &[SandboxLayer]) -> Vec<String> {
    let in_force = layers.iter().filter(|layer| layer.state == SandboxState::InForce);
    let in_force: Vec<String> = in_force.map(|layer| clean(&layer.layer)).collect();
    let in_force = if in_force.is_empty() { "none".to_owned() } else { in_force.join(" ") };
    let mut lines = vec![field("sandbox", &in_force)];
    for SandboxLayer { layer, state, why } in layers {
        let state = match state {
            SandboxState::InForce => continue,
            SandboxState::Partly => "partly",
            SandboxState::Missing => "MISSING",
            SandboxState::Off => "OFF",
        };
        let why = why.as_ref().map_or_else(String::new, |why| format!(": {}", clean(why)));
        lines.push(field("", &format!("{} {state}{why}", clean(layer))));
    }
    lines
}

/// One network, with its whole ids and its resources.
pub(super) fn network_in_full(network: &Network, now_ms: u64) -> Vec<String> {
    let mut lines = network_lines(network, &network.id, now_ms);
    lines.push(field("node id", &network.node.id));
    lines.push(field("head", &network.ledger.head));
    if !network.node.listen.is_empty() {
        lines.push(field("listen", &network.node.listen.join(" ")));
    }
    if !network.peers.is_empty() {
        lines.push(String::new());
        lines.extend(peers(&network.peers));
    }
    if !network.resources.is_empty() {
        let addresses = network.resources.iter().any(|resource| resource.address.is_some());
        let heading = ["RESOURCE", "KIND", "NODE", "ADDRESS"];
        let mut table = Table::new(if addresses { &heading } else { &heading[..3] });
        for resource in &network.resources {
            let address = resource.address.map(|address| address.to_string()).unwrap_or_default();
            let about = [resource.name.to_string(), resource.kind.to_string(), resource.node.to_string()];
            table.row(about.into_iter().chain(addresses.then_some(address)));
        }
        lines.push(String::new());
        lines.extend(table.lines());
    }
    lines
}

pub(crate) fn network_lines(network: &Network, id: &str, now_ms: u64) -> Vec<String> {
    let kind = match network.kind {
        NetworkKind::User => "",
        NetworkKind::Developer => "developer network, ",
    };
    let mut lines = Vec::new();
    if let Some(alarm) = &network.ledger.alarm {
        lines.push(format!("!!! ALARM in {}: {alarm}", network.name));
    }
    let count = |count: usize, noun: &str| units::count(count as u64, noun);
    let size = format!("{}, {}", count(network.users, "user"), count(network.nodes, "node"));
    lines.push(field("network", &format!("{}, {kind}{size}, {id}", network.name)));
    let node = &network.node;
    let gone = if node.member { "" } else { ", REMOVED from the network" };
    lines.push(field(
        "node",
        &format!(
            "{}, {} of {} ({}){}{gone}",
            node.name,
            node_kind(node.kind),
            node.user,
            node.role,
            node.only.as_ref().map(|only| format!(", only {only}")).unwrap_or_default()
        ),
    ));
    lines.push(field("manager", &manager_line(network, now_ms)));
    if let Some(quota) = network.manager.quota {
        lines.push(field("WARNING", &usage::warning(quota)));
    }
    lines.push(field("ledger", &format!("entry {}", network.ledger.seq)));
    if let Some(ip) = &network.ip {
        lines.extend(tunnel::facts::ip(ip).iter().map(|line| field("ip", line)));
    }
    lines
}

fn manager_line(network: &Network, now_ms: u64) -> String {
    let manager = &network.manager;
    let since = units::span(units::since(manager.since_ms, now_ms));
    let rtt = manager.rtt_us.map_or_else(String::new, |rtt| format!(", {}", units::round_trip(rtt)));
    let reason = manager.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
    format!("{} for {since}, {}{rtt}{reason}", manager_word(network), manager.address)
}

/// How the session with the manager stands.
pub(crate) fn manager_word(network: &Network) -> &'static str {
    match network.manager.state {
        ManagerLink::Connecting => "connecting",
        ManagerLink::Online => "online",
        ManagerLink::Offline => "offline",
    }
}

/// A table of peers; nothing without any.
pub(super) fn peers(peers: &[Peer]) -> Vec<String> {
    if peers.is_empty() {
        return Vec::new();
    }
    let mut table = Table::new(&["PEER", "USER", "PATH", "RTT", "LOSS", "IN", "OUT", "WHY"]);
    for peer in peers {
        table.row([
            peer.name.to_string(),
            peer.user.to_string(),
            path(peer),
            peer.rtt_us.map(units::round_trip).unwrap_or_default(),
            loss(peer),
            traffic(peer.bytes_in, peer.rate_in),
            traffic(peer.bytes_out, peer.rate_out),
            peer.why.clone().unwrap_or_default(),
        ]);
    }
    table.lines()
}

/// Packets lost of those sent.
pub(crate) fn loss(peer: &Peer) -> String {
    if peer.path.is_none() || peer.packets_sent == 0 {
        return String::new();
    }
    format!("{:.1}%", peer.packets_lost as f64 * 100.0 / peer.packets_sent as f64)
}

/// Bytes in all, and in a second when there are any.
pub(crate) fn traffic(bytes: u64, rate: u64) -> String {
    if rate == 0 {
        units::bytes(bytes)
    } else {
        format!("{} ({}/s)", units::bytes(bytes), units::bytes(rate))
    }
}

pub(crate) fn path(peer: &Peer) -> String {
    let state = match peer.state {
        PeerLink::Connecting => "connecting",
        PeerLink::Silent => "silent",
        PeerLink::Connected => return peer.path.clone().unwrap_or_else(|| "connected".to_owned()),
        PeerLink::Offline => "offline",
    };
    peer.reason.as_ref().map_or_else(|| state.to_owned(), |reason| format!("{state}: {reason}"))
}

/// What a node is, and what alone it is for.
pub(crate) fn with_scope(what: String, only: Option<&Scope>) -> String {
    only.map(|only| format!("{what} only {only}")).unwrap_or(what)
}

pub(crate) fn node_kind(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::Device => "device",
        NodeKind::App => "app",
        NodeKind::Recovery => "recovery key",
    }
}

/// What people compare by eye.
pub(crate) fn short_id(id: &str) -> String {
    id.parse::<NetworkId>().map_or_else(|_| clean(id), |id| id.to_string())
}

/// A line that says one thing.
pub(crate) fn field(name: &str, value: &str) -> String {
    format!("{name:<8}  {value}")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;
    use coconet::control::QuotaWarning;
    use serde_json::json;

    /// 3 hours after everything began.
    const NOW: u64 = 3 * 3_600_000;

    fn status() -> Status {
        let id = NetworkId(coconet::id::Hash([7; 32])).full();
        let peers = json!([
            {"id": "n:x", "name": "camera", "user": "alice", "state": "connected",
             "path": "direct 198.51.100.7:4433", "rtt_us": 1234, "bytes_in": 123_456_789, "bytes_out": 4567,
             "reason": null},
            {"id": "n:y", "name": "tablet", "user": "bob", "state": "offline", "path": null, "rtt_us": null,
             "bytes_in": 0, "bytes_out": 0, "reason": "last seen 3 h ago"},
        ]);
        let network = json!({
            "version": 1, "name": "home", "id": id, "kind": "user",
            "node": {"id": "n:z", "name": "viewer", "user": "alice", "kind": "app", "role": "owner",
                     "member": true, "listen": ["0.0.0.0:41414"]},
            "manager": {"address": "manager.example:4433", "state": "online", "since_ms": 0, "rtt_us": 12_345,
                        "reason": null},
            "ledger": {"seq": 12, "head": "h:w", "alarm": null}, "users": 2, "nodes": 1,
            "resources": [{"name": "front-door", "kind": "rtsp", "node": "camera"}], "peers": peers,
        });
        serde_json::from_value(json!({
            "version": 1, "app": "player", "program": "0.1.0", "pid": 7, "started_ms": 0, "state_dir": "/s",
            "networks": [network], "tunnels": [], "counters": {"hello": 3, "initial": 0},
            "sandbox": [
                {"layer": "privileges", "state": "in-force"}, {"layer": "calls", "state": "in-force"},
                {"layer": "ports", "state": "partly", "why": "any address can be connected to"},
                {"layer": "files", "state": "missing", "why": "this kernel has no Landlock"},
                {"layer": "dumps", "state": "off"},
            ],
        }))
        .unwrap()
    }

    #[test]
    fn one_screen_tells_it_all() {
        let expected = "\
app       player, cocod 0.1.0, pid 7, up 3 h
refused   hello 3
sandbox   privileges calls
          ports partly: any address can be connected to
          files MISSING: this kernel has no Landlock
          dumps OFF

network   home, 2 users, 1 node, net:a4dqobyha4
node      viewer, app of alice (owner)
manager   online for 3 h, manager.example:4433, 12.3 ms
ledger    entry 12
PEER    USER   PATH                        RTT     LOSS  IN      OUT     WHY
camera  alice  direct 198.51.100.7:4433    1.2 ms  -     123 MB  4.5 kB  -
tablet  bob    offline: last seen 3 h ago  -       -     0 B     0 B     -

tunnels   none";
        assert_eq!(screen(&status(), NOW).join("\n"), expected);
    }

    #[test]
    fn what_is_wrong_stands_out() {
        let mut network = status().networks.remove(0);
        network.ledger.alarm = Some("entry 9 was stamped twice".to_owned());
        network.manager.state = ManagerLink::Offline;
        network.manager.reason = Some("no answer".to_owned());
        network.manager.rtt_us = None;
        network.node.member = false;
        network.manager.quota = Some(QuotaWarning { used: 81_200_000, limit: 100_000_000 });
        let lines = network_in_full(&network, NOW);
        assert_eq!(lines[0], "!!! ALARM in home: entry 9 was stamped twice");
        assert_eq!(lines[2], "node      viewer, app of alice (owner), REMOVED from the network");
        assert_eq!(lines[3], "manager   offline for 3 h, manager.example:4433: no answer");
        assert_eq!(lines[4], "WARNING   81 % of the 100 MB that may be relayed in a month are used");
        network.manager.quota = Some(QuotaWarning { used: 100, limit: 100 });
        let spent = "WARNING   the 100 B that may be relayed in a month are used up; direct paths go on";
        assert_eq!(network_in_full(&network, NOW)[4], spent);
    }
}
