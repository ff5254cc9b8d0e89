//! All about one row, as lines.

use coconet::control::{Event, Network, Peer, Tunnel};

use super::rows::Row;
use super::state::{Facts, Tab};
use crate::commands::status::{loss, path, traffic};
use crate::commands::tunnel;
use crate::print::clean;
use crate::units;

/// What is known of a row, `name  value` on each line.
pub(super) fn of(tab: Tab, facts: &Facts, row: &Row, columns: &[super::rows::Column]) -> Vec<String> {
    match tab {
        Tab::Peers => peer(facts, &row.key),
        Tab::Tunnels => tunnel_of(facts, &row.key),
        Tab::Events => event(facts, &row.key),
        Tab::Overview | Tab::Members | Tab::Relay => {
            let cells = columns.iter().zip(&row.cells).filter(|(_, cell)| !cell.text.is_empty());
            cells.map(|(column, cell)| field(&column.title.to_lowercase(), &cell.text)).collect()
        }
    }
}

fn peer(facts: &Facts, id: &str) -> Vec<String> {
    let of = |network: &Network| network.peers.iter().find(|peer| peer.id == id).cloned();
    let Some((network, peer)) = facts.networks().iter().find_map(|network| Some((network, of(network)?)))
    else {
        return vec!["it is gone".to_owned()];
    };
    let Peer { name, user, path_mode, why, rtt_us, mtu, packets_sent, packets_lost, reason, .. } = &peer;
    let mut lines = vec![
        field("peer", name.as_str()),
        field("user", user.as_str()),
        field("network", network.name.as_str()),
        field("path", &path(&peer)),
    ];
    lines.extend(why.as_ref().map(|why| field("why", why)));
    lines.extend(reason.as_ref().map(|reason| field("reason", reason)));
    lines.push(field("ways", path_mode.as_str()));
    lines.extend(rtt_us.map(|rtt| field("rtt", &units::round_trip(rtt))));
    let lately: Vec<u64> = facts.round_trips.get(id).into_iter().flatten().flatten().copied().collect();
    if let (Some(least), Some(most)) = (lately.iter().min(), lately.iter().max()) {
        let text = format!("{} to {}", units::round_trip(*least), units::round_trip(*most));
        lines.push(field("lately", &text));
    }
    lines.extend(mtu.map(|mtu| field("mtu", &format!("{mtu} bytes"))));
    let text = format!("{packets_lost} of {packets_sent} packets {}", loss(&peer));
    lines.push(field("lost", &text));
    lines.push(field("in", &traffic(peer.bytes_in, peer.rate_in)));
    lines.push(field("out", &traffic(peer.bytes_out, peer.rate_out)));
    lines.extend(peer.ledger_seq.map(|seq| field("ledger", &format!("entry {seq}"))));
    lines.push(field("id", id));
    lines
}

fn tunnel_of(facts: &Facts, id: &str) -> Vec<String> {
    let tunnels = facts.status.iter().flat_map(|status| &status.tunnels);
    let Some(found) = tunnels.into_iter().find(|tunnel| tunnel.id == id) else {
        return vec!["it is gone".to_owned()];
    };
    let Tunnel {
        resource,
        network,
        kind,
        state,
        reason,
        url,
        target,
        node,
        clients,
        connections,
        failures,
        ..
    } = found;
    let since = units::span(units::since(found.since_ms, facts.now_ms));
    let mut lines = vec![
        field("resource", resource.as_str()),
        field("network", network.as_str()),
        field("kind", &kind.to_string()),
        field("state", &format!("{} for {since}", state.as_str())),
    ];
    lines.extend(reason.as_ref().map(|reason| field("reason", reason)));
    lines.extend(url.as_ref().map(|url| field("url", url)));
    lines.extend(target.as_ref().map(|target| field("target", target)));
    lines.extend(node.as_ref().map(|node| field("node", node.as_str())));
    lines.extend(found.path_mode.map(|mode| field("ways", mode.as_str())));
    if !found.allow.is_empty() {
        lines.push(field("allow", &found.allow.join(" ")));
    }
    lines.push(field("clients", &format!("{clients} now, {connections} so far, {failures} failed")));
    let rate = facts.rates.get(id).copied().unwrap_or_default();
    lines.push(field("in", &traffic(found.bytes_in, rate.bytes_in)));
    lines.push(field("out", &traffic(found.bytes_out, rate.bytes_out)));
    lines.push(field("refused", &found.refused.to_string()));
    let facts = tunnel::facts::of(found);
    if !facts.is_empty() {
        lines.push(String::new());
        lines.extend(facts.iter().map(|line| clean(line)));
    }
    lines
}

fn event(facts: &Facts, key: &str) -> Vec<String> {
    let found = facts.events.iter().find(|event| super::rows::event_key(event) == key);
    let Some(Event { time_ms, network, kind, message, .. }) = found else {
        return vec!["it is gone".to_owned()];
    };
    let mut lines = vec![field("time", &units::date(*time_ms)), field("kind", kind)];
    lines.extend(network.as_ref().map(|network| field("network", network)));
    lines.push(String::new());
    lines.push(clean(message));
    lines
}

fn field(name: &str, value: &str) -> String {
    format!("{name:<10} {}", clean(value))
}
