//! The tabs' tables: rows made of what the daemon said, filtered and sorted. How they are drawn is the view's.

use coconet::control::{
    Direction, Event, GrantLine, Member, MemberNode, Network, Peer, PeerLink, Tunnel, TunnelState,
};
use coconet::name::Name;

use super::state::{Facts, Tab};
use crate::commands::status::{loss, node_kind, path, with_scope};
use crate::print::clean;
use crate::units;

/// Rows under columns.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) columns: &'static [Column],
    pub(super) rows: Vec<Row>,
}

/// One column.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) title: &'static str,
    /// Numbers stand right.
    pub(super) right: bool,
    /// Where there is no room for all, columns of the highest rank go first.
    pub(super) rank: u8,
}

/// One row.
#[derive(Debug)]
pub(super) struct Row {
    /// What it is known by.
    pub(super) key: String,
    pub(super) subject: Subject,
    pub(super) cells: Vec<Cell>,
    pub(super) tone: Tone,
}

/// What can be done something to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Subject {
    None,
    Peer { network: Name, node: String },
    Tunnel { network: Name, id: String, resource: Name, url: Option<String> },
    Node { network: Name, node: String, name: Name },
    Grant { network: Name, user: Name, resource: Name },
}

/// What a cell shows, and how it is compared.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) text: String,
    rank: Option<u64>,
}

/// Where a cell comes when its column sorts.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    Number(u64),
    Text(String),
    Nothing,
}

/// How a row stands out. Each tone has its word in the row too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Good,
    Warn,
    Bad,
    Dim,
}

impl Table {
    /// Keep the rows in which all words of the filter are.
    pub(super) fn filter(&mut self, filter: &str) {
        let words: Vec<String> = filter.split_whitespace().map(str::to_lowercase).collect();
        if words.is_empty() {
            return;
        }
        self.rows.retain(|row| {
            let has = |word: &String| row.cells.iter().any(|cell| cell.text.to_lowercase().contains(word));
            words.iter().all(has)
        });
    }

    /// By a column, or in the order they came.
    pub(super) fn sort(&mut self, column: Option<usize>, reverse: bool) {
        if let Some(column) = column {
            self.rows.sort_by_cached_key(|row| row.cells.get(column).map(Cell::order));
        }
        if reverse {
            self.rows.reverse();
        }
    }
}

impl Cell {
    /// Text that others may have chosen.
    fn text(text: impl AsRef<str>) -> Self {
        Self { text: clean(text.as_ref()), rank: None }
    }

    /// A number, as it is shown.
    fn number(rank: u64, text: String) -> Self {
        Self { text, rank: Some(rank) }
    }

    fn none() -> Self {
        Self { text: String::new(), rank: None }
    }

    /// Numbers by their size, text by its letters, and nothing last.
    fn order(&self) -> Order {
        match self.rank {
            Some(rank) => Order::Number(rank),
            None if self.text.is_empty() => Order::Nothing,
            None => Order::Text(self.text.to_lowercase()),
        }
    }
}

const fn left(title: &'static str, rank: u8) -> Column {
    Column { title, right: false, rank }
}

const fn right(title: &'static str, rank: u8) -> Column {
    Column { title, right: true, rank }
}

const PEERS: &[Column] = &[
    left("PEER", 0),
    left("USER", 5),
    left("KIND", 7),
    left("PATH", 0),
    right("RTT", 1),
    left(ROUND_TRIPS, 4),
    right("LOSS", 3),
    right("IN/s", 2),
    right("OUT/s", 2),
    right("LEDGER", 6),
    left("NETWORK", 8),
    left("WHY", 9),
];

/// The title of the column that the view draws by itself.
pub(super) const ROUND_TRIPS: &str = "LATELY";

const TUNNELS: &[Column] = &[
    left("RESOURCE", 0),
    left("KIND", 4),
    left("WAY", 3),
    left("STATE", 0),
    left("WHERE", 1),
    right("CLIENTS", 2),
    right("IN/s", 2),
    right("OUT/s", 2),
    right("REFUSED", 5),
    left("NODE", 6),
    left("NETWORK", 8),
];

const MEMBERS: &[Column] = &[
    left("USER", 0),
    left("ROLE", 1),
    left("NODE OR GRANT", 0),
    left("KIND", 2),
    left("SEEN", 1),
    left("RESOURCES", 3),
    left("NETWORK", 5),
    left("ID", 6),
];

const RELAY: &[Column] = &[
    left("NODE", 0),
    left("USER", 2),
    right("SENT", 0),
    right("RECEIVED", 0),
    left("PATH NOW", 1),
    left("NETWORK", 3),
];

const EVENTS: &[Column] = &[left("UTC", 0), left("KIND", 0), left("NETWORK", 1), left("WHAT", 0)];

/// The rows of a tab.
pub(super) fn of(tab: Tab, facts: &Facts) -> Table {
    match tab {
        Tab::Overview => Table::default(),
        Tab::Peers => peers(facts),
        Tab::Tunnels => tunnels(facts),
        Tab::Members => members(facts),
        Tab::Relay => relay(facts),
        Tab::Events => events(facts),
    }
}

fn peers(facts: &Facts) -> Table {
    let of =
        |network: &Network| network.peers.iter().map(|peer| self::peer(network, peer)).collect::<Vec<_>>();
    Table { columns: PEERS, rows: facts.networks().iter().flat_map(of).collect() }
}

fn peer(network: &Network, peer: &Peer) -> Row {
    let tone = match peer.state {
        PeerLink::Connected if is_direct(peer) => Tone::Good,
        PeerLink::Connected | PeerLink::Silent => Tone::Warn,
        PeerLink::Connecting => Tone::Plain,
        PeerLink::Offline => Tone::Dim,
    };
    let rate = |rate: u64| Cell::number(rate, units::bytes(rate));
    let cells = vec![
        Cell::text(&peer.name),
        Cell::text(&peer.user),
        peer.kind.map_or_else(Cell::none, |kind| Cell::text(node_kind(kind))),
        Cell::text(path(peer)),
        peer.rtt_us.map_or_else(Cell::none, |rtt| Cell::number(rtt, units::round_trip(rtt))),
        Cell::none(),
        Cell::number(peer.packets_lost, loss(peer)),
        rate(peer.rate_in),
        rate(peer.rate_out),
        peer.ledger_seq.map_or_else(Cell::none, |seq| Cell::number(seq, seq.to_string())),
        Cell::text(&network.name),
        Cell::text(peer.why.as_deref().unwrap_or_default()),
    ];
    let subject = Subject::Peer { network: network.name.clone(), node: peer.id.clone() };
    Row { key: peer.id.clone(), subject, cells, tone }
}

/// Whether a peer's packets go straight.
pub(super) fn is_direct(peer: &Peer) -> bool {
    peer.path.as_ref().is_some_and(|path| path.starts_with("direct"))
}

fn tunnels(facts: &Facts) -> Table {
    let tunnels = facts.status.iter().flat_map(|status| &status.tunnels);
    Table { columns: TUNNELS, rows: tunnels.map(|tunnel| self::tunnel(facts, tunnel)).collect() }
}

fn tunnel(facts: &Facts, tunnel: &Tunnel) -> Row {
    let tone = match tunnel.state {
        TunnelState::Open | TunnelState::Reopened => Tone::Good,
        TunnelState::Opening | TunnelState::MaxClients => Tone::Warn,
        TunnelState::Failed => Tone::Bad,
        TunnelState::Closed => Tone::Dim,
    };
    let (way, place) = match tunnel.direction {
        Direction::Expose => ("expose", tunnel.target.as_ref()),
        Direction::Open => ("open", tunnel.url.as_ref().or(tunnel.listen.as_ref())),
    };
    let rate = facts.rates.get(&tunnel.id).copied().unwrap_or_default();
    let cells = vec![
        Cell::text(&tunnel.resource),
        Cell::text(tunnel.kind.to_string()),
        Cell::text(way),
        Cell::text(tunnel.state.as_str()),
        Cell::text(place.map_or("", String::as_str)),
        Cell::number(tunnel.clients, tunnel.clients.to_string()),
        Cell::number(rate.bytes_in, units::bytes(rate.bytes_in)),
        Cell::number(rate.bytes_out, units::bytes(rate.bytes_out)),
        Cell::number(tunnel.refused, tunnel.refused.to_string()),
        tunnel.node.as_ref().map_or_else(Cell::none, Cell::text),
        Cell::text(&tunnel.network),
    ];
    let subject = Subject::Tunnel {
        network: tunnel.network.clone(),
        id: tunnel.id.clone(),
        resource: tunnel.resource.clone(),
        url: tunnel.url.as_deref().map(clean),
    };
    Row { key: tunnel.id.clone(), subject, cells, tone }
}

fn members(facts: &Facts) -> Table {
    let mut rows = Vec::new();
    for (network, members) in &facts.members {
        for member in &members.users {
            rows.extend(member.nodes.iter().map(|node| self::node(facts, network, member, node)));
            let grants = facts.grants.get(network).into_iter().flat_map(|grants| &grants.grants);
            rows.extend(
                grants.filter(|grant| grant.user == member.name).map(|line| grant(network, member, line)),
            );
        }
    }
    Table { columns: MEMBERS, rows }
}

fn node(facts: &Facts, network: &Name, member: &Member, node: &MemberNode) -> Row {
    let seen = match (node.online, node.last_seen_ms) {
        (Some(true), _) => "online".to_owned(),
        (Some(false), Some(seen)) => units::ago(seen, facts.now_ms),
        (Some(false), None) => "never".to_owned(),
        (None, _) => String::new(),
    };
    let resources: Vec<&str> = node.resources.iter().map(Name::as_str).collect();
    let cells = vec![
        Cell::text(&member.name),
        Cell::text(member.role.to_string()),
        Cell::text(&node.name),
        Cell::text(with_scope(node_kind(node.kind).to_owned(), node.only.as_ref())),
        Cell::text(seen),
        Cell::text(resources.join(" ")),
        Cell::text(network),
        Cell::text(&node.id),
    ];
    let tone = if node.online == Some(true) { Tone::Good } else { Tone::Dim };
    let subject = Subject::Node { network: network.clone(), node: node.id.clone(), name: node.name.clone() };
    Row { key: node.id.clone(), subject, cells, tone }
}

fn grant(network: &Name, member: &Member, line: &GrantLine) -> Row {
    let GrantLine { user, resource, .. } = line;
    let cells = vec![
        Cell::text(user),
        Cell::text(member.role.to_string()),
        Cell::text(resource),
        Cell::text("grant"),
        Cell::text(if line.now { "holds now" } else { "not now" }),
        Cell::text(grant_text(line)),
        Cell::text(network),
        Cell::none(),
    ];
    let subject = Subject::Grant { network: network.clone(), user: user.clone(), resource: resource.clone() };
    let tone = if line.now { Tone::Plain } else { Tone::Dim };
    Row { key: format!("grant {network} {user} {resource}"), subject, cells, tone }
}

/// What a grant gives, and when.
fn grant_text(line: &GrantLine) -> String {
    let when = line.when.as_ref().map_or_else(String::new, |when| format!(", {when}"));
    let until = line.until_ms.map_or_else(String::new, |ms| format!(", until {}", units::date(ms)));
    format!("{}{when}{until}", line.can)
}

fn relay(facts: &Facts) -> Table {
    let mut rows = Vec::new();
    for (network, usage) in &facts.usage {
        let peers = facts.networks().iter().filter(|one| one.name == *network).flat_map(|one| &one.peers);
        let paths: std::collections::BTreeMap<&str, String> =
            peers.map(|peer| (peer.id.as_str(), path(peer))).collect();
        for node in &usage.nodes {
            let now = paths.get(node.id.as_str()).cloned().unwrap_or_default();
            let cells = vec![
                Cell::text(&node.name),
                node.user.as_ref().map_or_else(|| Cell::text("(removed)"), Cell::text),
                Cell::number(node.sent, units::bytes(node.sent)),
                Cell::number(node.received, units::bytes(node.received)),
                Cell::text(&now),
                Cell::text(network),
            ];
            let tone = if now.starts_with("relay") { Tone::Warn } else { Tone::Plain };
            rows.push(Row { key: node.id.clone(), subject: Subject::None, cells, tone });
        }
    }
    Table { columns: RELAY, rows }
}

/// The newest first.
fn events(facts: &Facts) -> Table {
    let rows = facts.events.iter().rev().map(event).collect();
    Table { columns: EVENTS, rows }
}

fn event(event: &Event) -> Row {
    let tone = match event.kind.as_str() {
        "alarm" => Tone::Bad,
        "refused" | "quota" | "peer-lost" | "manager-offline" => Tone::Warn,
        _ => Tone::Plain,
    };
    let cells = vec![
        Cell::number(event.time_ms, units::clock(event.time_ms)),
        Cell::text(&event.kind),
        Cell::text(event.network.as_deref().unwrap_or_default()),
        Cell::text(&event.message),
    ];
    Row { key: event_key(event), subject: Subject::None, cells, tone }
}

/// What an event's row is known by.
pub(super) fn event_key(event: &Event) -> String {
    format!("{} {} {}", event.time_ms, event.kind, event.message)
}
