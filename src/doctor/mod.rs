//! Examining what stands between a node and the others.
//!
//! [`examine`] finds out, [`verdict`] says what it means. Nobody is asked but the network's own manager, the
//! router, and this node itself: the manager's UDP ports where they see the node, the manager to send a packet
//! from a port that nothing was sent to, the manager's TLS port who is there; and a packet is sent to the
//! node's own outer address. All of that runs at once and is over in a few seconds, whoever is silent.

pub mod verdict;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use coco_tunnel::carrier::{self, CarrierError};
use coco_tunnel::names;
use coco_tunnel::relay::frame::Frame;
use coco_tunnel::session::Session;
use coconet::control::{ErrorKind, Examined, ManagerLink};
use coconet::manager_addr::ManagerAddr;
use coconet::wire::manager::{Request, Response};
use futures_util::future::join_all;
use tokio::time::{Instant, timeout};

use crate::clock;
use crate::node::Node;
use crate::random;
use verdict::{Asked, Facts, Tls};

/// Longest wait for one answer by UDP, and how often the question is sent.
const ANSWER_WAIT: Duration = Duration::from_millis(500);
const TRIES: usize = 3;

/// Longest wait for the manager's name.
const RESOLVE_WAIT: Duration = Duration::from_secs(3);

/// Longest wait for the manager's session, and for its answers on it.
const SESSION_WAIT: Duration = Duration::from_secs(2);

/// Longest wait for TCP and TLS.
const TLS_WAIT: Duration = Duration::from_secs(5);

/// Addresses of a manager that are asked.
const ADDRESSES_MAX: usize = 4;

/// Examine one network.
pub async fn examine(node: &Arc<Node>) -> Examined {
    Examined { network: node.name().clone(), checks: verdict::judge(&facts(node).await) }
}

async fn facts(node: &Arc<Node>) -> Facts {
    let manager = node.ledger().state().managers().first().cloned();
    let addresses = match &manager {
        Some(manager) => resolve(manager).await,
        None => Vec::new(),
    };
    let session = timeout(SESSION_WAIT, node.manager().online()).await.ok().and_then(Result::ok);
    // First the packet that nobody asked for: what is sent to the manager's second port opens the NAT for it.
    let probed = match &session {
        Some(session) => probe(node, session).await,
        None => Probed::default(),
    };
    // A session may be dead without knowing it.
    let silent = session.is_some() && !probed.answered;
    let session = session.filter(|_| probed.answered);
    let by_udp = session.as_ref().and_then(Session::place).map(|place| place.direct().is_some());
    let (asked, tls) = tokio::join!(
        ask_all(node, manager.as_ref(), &addresses, probed.second),
        tls(node, manager.as_ref(), &addresses)
    );
    let outer = asked.iter().find_map(|asked| asked.seen);
    let hairpin = match outer {
        Some(outer) => Some(comes_back(node, outer).await),
        None => None,
    };
    let status = node.status();
    let links = node.uplink().around.links().borrow().clone();
    let local: BTreeSet<IpAddr> =
        links.interfaces.values().flat_map(|interface| interface.addresses.iter().copied()).collect();
    let direct = |path: &Option<String>| path.as_ref().is_some_and(|path| path.starts_with("direct"));
    let peers = status.peers.into_iter().filter(|peer| direct(&peer.path));
    Facts {
        manager: status.manager.address,
        link: match (&session, silent) {
            (Some(_), _) => ManagerLink::Online,
            (None, true) => ManagerLink::Offline,
            (None, false) => status.manager.state,
        },
        link_reason: status.manager.reason,
        rtt: session.as_ref().map(|session| session.stats().rtt),
        by_udp,
        asked,
        local,
        listen: node.endpoint().addresses(),
        let_in: probed.let_in.filter(|_| by_udp == Some(true)),
        hairpin,
        port_mapping: node.port_mapping(),
        mtu: session.filter(|_| by_udp == Some(true)).map(|session| session.stats().mtu),
        peers: peers.filter_map(|peer| Some((peer.name, peer.mtu?))).collect(),
        tls,
        lan: node.uplink().around.lan().state(),
        skew_ms: probed.skew_ms,
    }
}

/// One address of each family comes first.
async fn resolve(manager: &ManagerAddr) -> Vec<SocketAddr> {
    let looked_up = names::look_up(manager.host.as_str(), manager.port);
    let Ok(Ok(found)) = timeout(RESOLVE_WAIT, looked_up).await else { return Vec::new() };
    let (v4, v6): (Vec<SocketAddr>, Vec<SocketAddr>) = found.into_iter().partition(SocketAddr::is_ipv4);
    let half = ADDRESSES_MAX / 2;
    v4.into_iter().take(half).chain(v6.into_iter().take(half)).collect()
}

/// What the manager was asked to do on its session.
#[derive(Debug, Default)]
struct Probed {
    /// Whether it said anything at all.
    answered: bool,
    /// Whether the packet that was not asked for came.
    let_in: Option<bool>,
    /// The manager's second port.
    second: Option<u16>,
    skew_ms: Option<i64>,
}

async fn probe(node: &Node, session: &Session) -> Probed {
    let Ok(token) = random::bytes().map(u64::from_be_bytes) else { return Probed::default() };
    let came = node.expect_seen(token);
    let asked = Instant::now();
    let request = Request::Probe { network: node.network(), token };
    let answer = timeout(SESSION_WAIT, crate::node::manager::ask(session, &request)).await;
    let (time, port) = match answer {
        Ok(Ok(Response::Probed { time, port })) => (time, port),
        Ok(Ok(_)) => return Probed { answered: true, ..Probed::default() },
        // A refusal is an answer, too.
        Ok(Err(fault)) => {
            let answered = fault.kind() != ErrorKind::TimedOut;
            return Probed { answered, ..Probed::default() };
        }
        Err(_) => return Probed::default(),
    };
    // The manager read its clock half a round trip ago.
    let then = u64::try_from(asked.elapsed().as_millis() / 2).unwrap_or_default();
    let skew_ms = i64::try_from(i128::from(clock::now_ms()) - i128::from(time) - i128::from(then)).ok();
    let let_in = match port {
        Some(_) => Some(timeout(ANSWER_WAIT, came).await.is_ok_and(|came| came.is_ok())),
        None => None,
    };
    Probed { answered: true, let_in, second: port, skew_ms }
}

async fn ask_all(
    node: &Node,
    manager: Option<&ManagerAddr>,
    addresses: &[SocketAddr],
    second: Option<u16>,
) -> Vec<Asked> {
    let Some(manager) = manager else { return Vec::new() };
    let seconds = second.map(|port| addresses.iter().map(move |first| SocketAddr::new(first.ip(), port)));
    let firsts = addresses.iter().map(|first| (*first, false));
    let all = firsts.chain(seconds.into_iter().flatten().map(|second| (second, true)));
    let ask = |(at, second)| async move {
        for _ in 0..TRIES {
            if let Some(seen) = node.where_seen(manager.talk, at, ANSWER_WAIT).await {
                return Asked { at, second, seen: Some(seen) };
            }
        }
        Asked { at, second, seen: None }
    };
    join_all(all.map(ask)).await
}

/// Whether a packet to this node's own outer address arrives.
async fn comes_back(node: &Node, outer: SocketAddr) -> bool {
    let Ok(token) = random::bytes().map(u64::from_be_bytes) else { return false };
    let mut packet = Vec::new();
    Frame::Seen { token, address: outer }.encode(&mut packet);
    let came = node.expect_seen(token);
    let sent = async {
        for _ in 0..TRIES {
            node.endpoint().send_frame(outer, &packet);
            tokio::time::sleep(ANSWER_WAIT).await;
        }
    };
    tokio::select! {
        came = came => came.is_ok(),
        () = sent => false,
    }
}

async fn tls(node: &Node, manager: Option<&ManagerAddr>, addresses: &[SocketAddr]) -> Tls {
    let Some(manager) = manager else { return Tls::Nobody("the network names no manager".to_owned()) };
    let connect = carrier::connect(node.endpoint(), manager, addresses, &node.uplink().proxies);
    match timeout(TLS_WAIT, connect).await {
        // The line ends here; the manager sees a connection that says nothing.
        Ok(Ok(_)) => Tls::Manager,
        Ok(Err(CarrierError::WrongKey(_))) => Tls::Foreign,
        Ok(Err(error)) => Tls::Nobody(error.to_string()),
        Err(_) => Tls::Nobody(format!("TCP port {} of the manager does not answer", manager.tls_port())),
    }
}
