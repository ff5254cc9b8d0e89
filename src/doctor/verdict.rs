//! What the facts mean. Pure.
//!
//! NATs are named in the words of RFC 4787: *mapping* is whether a NAT shows all destinations the same address
//! and port of ours, *filtering* whose packets it lets in to that. What a manager with one address cannot tell
//! apart is said together.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use coconet::control::{Check, CheckStatus, ManagerLink};
use coconet::name::Name;

use crate::surroundings::lan;
use crate::surroundings::port_mapping;

/// A clock that is wrong by more makes invites and hours of grants end at other times than people expect.
pub const SKEW_MAX: Duration = Duration::from_secs(120);

/// A UDP payload that every path of QUIC carries: no larger one got through.
pub const MTU_LEAST: u16 = 1200;

const INDEPENDENT: &str = "endpoint-independent";
const DEPENDENT: &str = "address and port-dependent";

/// What was found out about one network.
#[derive(Debug, Clone)]
pub struct Facts {
    /// `HOST:PORT` of the manager.
    pub manager: String,
    /// How the session with it stands.
    pub link: ManagerLink,
    /// Why it is not online.
    pub link_reason: Option<String>,
    /// Its round trip.
    pub rtt: Option<Duration>,
    /// Whether the session goes by UDP, when there is one; else it is inside TLS.
    pub by_udp: Option<bool>,
    /// What the manager's addresses were asked, and answered.
    pub asked: Vec<Asked>,
    /// The addresses of this machine's interfaces.
    pub local: BTreeSet<IpAddr>,
    /// Where the node listens.
    pub listen: Vec<SocketAddr>,
    /// Whether a packet came in from a port of the manager that was never sent to; unknown if it sent none.
    pub let_in: Option<bool>,
    /// Whether a packet to this node's own outer address came back; unknown if it has none.
    pub hairpin: Option<bool>,
    /// The port mapping; none if the configuration says no.
    pub port_mapping: Option<port_mapping::State>,
    /// Largest UDP payload to the manager.
    pub mtu: Option<u16>,
    /// Nodes it has a direct session with, and the largest UDP payload to each.
    pub peers: Vec<(Name, u16)>,
    /// Who answers TLS for the manager.
    pub tls: Tls,
    /// Discovery on the LAN.
    pub lan: lan::State,
    /// How far this clock is ahead of the manager's, in milliseconds.
    pub skew_ms: Option<i64>,
}

/// A question where the manager sees this node, and the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// What was asked.
    pub at: SocketAddr,
    /// Whether that is the manager's second port.
    pub second: bool,
    /// What it sees.
    pub seen: Option<SocketAddr>,
}

/// What became of a TLS connection to the manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// The manager answered.
    Manager,
    /// Somebody else did.
    Foreign,
    /// Nobody did, for this reason.
    Nobody(String),
}

/// Every check, in the order in which they are read best.
pub fn judge(facts: &Facts) -> Vec<Check> {
    let mut checks = vec![
        manager(facts),
        udp(facts),
        mapping(facts),
        filtering(facts),
        hairpinning(facts),
        port_mapping(facts),
        family(facts, "ipv4", SocketAddr::is_ipv4),
        family(facts, "ipv6", SocketAddr::is_ipv6),
        mtu(None, facts.mtu),
    ];
    checks.extend(facts.peers.iter().map(|(peer, size)| mtu(Some(peer), Some(*size))));
    checks.extend([tls_fallback(facts), captive_portal(facts), lan(facts), clock(facts)]);
    checks
}

/// What stands between this node and the manager, as far as two answers tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nat {
    None,
    Independent,
    Dependent,
    Unknown,
}

impl Facts {
    fn answered(&self) -> bool {
        self.asked.iter().any(|asked| asked.seen.is_some())
    }

    fn nat(&self) -> Nat {
        // NATs are found where there is IPv4; by IPv6 alone there are none worth a word.
        let v4 = self.asked.iter().any(|asked| asked.at.is_ipv4() && asked.seen.is_some());
        let of_family = self.asked.iter().filter(|asked| asked.at.is_ipv4() == v4);
        let seen = |second| of_family.clone().filter(move |a| a.second == second).find_map(|a| a.seen);
        match (seen(false), seen(true)) {
            (Some(first), Some(second)) if first != second => Nat::Dependent,
            (Some(seen), _) | (None, Some(seen)) if self.is_own(seen) => Nat::None,
            (Some(_), Some(_)) => Nat::Independent,
            (Some(_), None) | (None, _) => Nat::Unknown,
        }
    }

    fn is_own(&self, seen: SocketAddr) -> bool {
        self.local.contains(&seen.ip()) && self.listen.iter().any(|listen| listen.port() == seen.port())
    }
}

fn manager(facts: &Facts) -> Check {
    let at = &facts.manager;
    match (facts.link, facts.rtt) {
        (ManagerLink::Online, Some(rtt)) => {
            ok("manager", Some(millis(rtt)), format!("the round trip to {at}"))
        }
        (ManagerLink::Online, None) => ok("manager", Some("online".to_owned()), format!("it is at {at}")),
        (ManagerLink::Connecting | ManagerLink::Offline, _) => {
            let why = facts.link_reason.clone().unwrap_or_else(|| format!("{at} does not answer"));
            failed("manager", "offline", why).hint(
                "tunnels go on; joining and changes wait. Is it running, and can it be reached from here?",
            )
        }
    }
}

fn udp(facts: &Facts) -> Check {
    if facts.answered() || facts.by_udp == Some(true) {
        return ok("udp", Some("yes".to_owned()), "the manager answers by UDP");
    }
    match facts.by_udp {
        Some(_) => failed(
            "udp",
            "no",
            "the manager answers inside TLS and not by UDP: something here blocks UDP",
        )
        .hint(format!(
            "let UDP out, at least to {}; until then all goes by the relay, inside TCP, and is slower",
            facts.manager
        )),
        None => unknown("udp", "the manager does not answer at all: it is down, or UDP and TLS are blocked"),
    }
}

fn mapping(facts: &Facts) -> Check {
    let name = "mapping";
    match facts.nat() {
        Nat::None => {
            ok(name, Some("none".to_owned()), "there is no NAT: the manager sees this node's own address")
        }
        Nat::Independent => ok(
            name,
            Some(INDEPENDENT.to_owned()),
            "two ports of the manager see the same address and port: other nodes can be let in",
        ),
        Nat::Dependent => warning(
            name,
            DEPENDENT,
            "each destination sees another port: directly reachable are only nodes that let anybody in",
        )
        .hint("IPv6, or port mapping (UPnP, NAT-PMP, PCP) in the router, makes this node reachable"),
        Nat::Unknown if facts.answered() => {
            unknown(name, "the manager sees this node behind a NAT and has no second port to compare")
        }
        Nat::Unknown => unknown(name, "the manager does not say where it sees this node"),
    }
}

fn filtering(facts: &Facts) -> Check {
    let name = "filtering";
    let nat = facts.nat();
    match facts.let_in {
        None => unknown(name, "the manager sends no packet from a port that was not sent to"),
        Some(true) if nat == Nat::None => {
            ok(name, Some("none".to_owned()), "packets come in from ports that were not sent to")
        }
        Some(true) => ok(
            name,
            Some("endpoint-independent or address-dependent".to_owned()),
            "packets come in from ports that were not sent to",
        ),
        Some(false) if nat == Nat::Dependent => warning(
            name,
            DEPENDENT,
            "packets come in only from where something was sent to: with that mapping, others rarely get in",
        ),
        Some(false) => {
            let who = if nat == Nat::None { "a firewall" } else { "the NAT" };
            ok(
                name,
                Some(DEPENDENT.to_owned()),
                format!(
                    "{who} lets packets in only from where something was sent to, which hole punching does"
                ),
            )
        }
    }
}

fn hairpinning(facts: &Facts) -> Check {
    let name = "hairpinning";
    let no = || Some("no".to_owned());
    match (facts.nat(), facts.hairpin) {
        (Nat::None, _) => ok(name, Some("not needed".to_owned()), "there is no NAT"),
        (_, Some(true)) => ok(
            name,
            Some("yes".to_owned()),
            "a packet to this node's outer address comes back through the NAT",
        ),
        (_, Some(false)) if facts.lan == lan::State::Off => Check {
            status: CheckStatus::Warning,
            ..ok(name, no(), "nodes behind the same NAT do not reach each other by its outer address")
        }
        .hint("turn lan.discovery on, so that they find each other by their inner ones"),
        (_, Some(false)) => ok(
            name,
            no(),
            "nodes behind the same NAT reach each other by their inner addresses only, which do",
        ),
        (_, None) => unknown(name, "this node's outer address is not known"),
    }
}

fn port_mapping(facts: &Facts) -> Check {
    let name = "port-mapping";
    match &facts.port_mapping {
        None => {
            ok(name, Some("off".to_owned()), "the configuration says no, or the manager is on this machine")
        }
        Some(port_mapping::State::Asking) => unknown(name, "the router is being asked"),
        Some(port_mapping::State::Mapped(external, means)) => {
            ok(name, Some(means.as_str().to_owned()), format!("the router lets packets to {external} in"))
        }
        Some(port_mapping::State::Inside(external, means)) => warning(
            name,
            "useless",
            format!(
                "the router maps ports by {}, but is behind another NAT: its own address is {external}",
                means.as_str()
            ),
        )
        .hint("if both routers are yours, make the inner one a bridge"),
        Some(port_mapping::State::None(why)) => match facts.nat() {
            Nat::Dependent => warning(name, "none", why.clone())
                .hint("turn on UPnP or NAT-PMP in the router: its NAT lets nobody in otherwise"),
            Nat::None | Nat::Independent | Nat::Unknown => ok(name, Some("none".to_owned()), why.clone()),
        },
    }
}

fn family(facts: &Facts, name: &'static str, is: impl Fn(&SocketAddr) -> bool) -> Check {
    let v4 = name == "ipv4";
    let outward = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => v4 && !ip.is_loopback(),
        IpAddr::V6(ip) => !v4 && !ip.is_loopback() && !ip.is_unicast_link_local(),
    };
    let has = facts.local.iter().any(outward);
    let mut asked = facts.asked.iter().filter(|asked| is(&asked.at)).peekable();
    let offered = asked.peek().is_some();
    let answered = asked.any(|asked| asked.seen.is_some());
    match (has, offered, answered) {
        (_, _, true) => ok(name, Some("yes".to_owned()), "the manager is reached by it"),
        (false, _, false) => ok(name, Some("none".to_owned()), "this machine has no such address"),
        (true, false, false) => unknown(name, "this machine has it, the manager's name does not"),
        (true, true, false) if facts.answered() => {
            warning(name, "no", "this machine has it, and the manager is not reached by it")
                .hint("its provider or router may not carry it; the other family works")
        }
        (true, true, false) => unknown(name, "the manager does not answer by UDP at all"),
    }
}

fn mtu(peer: Option<&Name>, size: Option<u16>) -> Check {
    let whom = peer.map_or_else(|| "the manager".to_owned(), ToString::to_string);
    let mut check = match size {
        None => unknown("mtu", "there is no session by UDP to measure"),
        Some(size) if size <= MTU_LEAST => warning(
            "mtu",
            &size.to_string(),
            format!("no larger packet than {size} bytes gets through to {whom}"),
        )
        .hint("a tunnel in between, or a broken router, makes packets small; see the interface's MTU"),
        Some(size) => ok("mtu", Some(size.to_string()), format!("packets to {whom} carry so many bytes")),
    };
    check.peer = peer.cloned();
    check
}

fn tls_fallback(facts: &Facts) -> Check {
    let name = "tls-fallback";
    match &facts.tls {
        Tls::Manager => {
            ok(name, Some("yes".to_owned()), "where UDP is blocked, the manager is reached inside TLS")
        }
        Tls::Foreign => warning(name, "no", "somebody else answers for the manager, who is not spoken to")
            .hint("a proxy that reads TLS, or a login page; see captive-portal"),
        Tls::Nobody(why) => warning(name, "no", why.clone())
            .hint("harmless while UDP works; the manager's operator can open its TLS port"),
    }
}

fn captive_portal(facts: &Facts) -> Check {
    let name = "captive-portal";
    match &facts.tls {
        Tls::Manager => ok(name, Some("no".to_owned()), "the manager itself answers by TLS"),
        Tls::Foreign => {
            failed(name, "yes", "somebody else answers TLS for the manager: a login page, or a proxy that reads along")
                .hint("open any web page in a browser and log in; if there is nothing to log in to, ask who runs this network")
        }
        Tls::Nobody(_) => unknown(name, "the manager answers no TLS here, and nobody else is asked"),
    }
}

fn lan(facts: &Facts) -> Check {
    let name = "lan";
    match &facts.lan {
        lan::State::Off => ok(name, Some("off".to_owned()), "lan.discovery in the configuration says so"),
        lan::State::On(0) => ok(name, Some("none".to_owned()), "no interface has neighbours now"),
        lan::State::On(count) => ok(
            name,
            Some("on".to_owned()),
            format!("interfaces on which neighbours find each other: {count}"),
        ),
        lan::State::Failed(why) => warning(name, "failed", why.clone())
            .hint("neighbours are found by the manager only; may this user open UDP sockets?"),
    }
}

fn clock(facts: &Facts) -> Check {
    let name = "clock";
    let Some(skew) = facts.skew_ms else {
        return unknown(name, "the manager does not say what time it has");
    };
    let off = Duration::from_millis(skew.unsigned_abs());
    let direction = if skew < 0 { "behind" } else { "ahead of" };
    let sign = match (off.as_secs(), skew) {
        (0, _) => "",
        (_, ..0) => "-",
        (_, 0..) => "+",
    };
    let found = format!("{sign}{} s", off.as_secs());
    if off > SKEW_MAX {
        warning(name, &found, format!("this clock is {} s {direction} the manager's", off.as_secs()))
            .hint("invites and hours of grants go by it: set it, for example with timedatectl set-ntp true")
    } else {
        ok(name, Some(found), "this clock and the manager's agree")
    }
}

fn millis(duration: Duration) -> String {
    let micros = duration.as_micros();
    format!("{}.{} ms", micros / 1000, micros / 100 % 10)
}

fn check(name: &str, status: CheckStatus, found: Option<String>, reason: impl Into<String>) -> Check {
    Check { check: name.to_owned(), peer: None, status, found, reason: reason.into(), hint: None }
}

fn ok(name: &str, found: Option<String>, reason: impl Into<String>) -> Check {
    check(name, CheckStatus::Ok, found, reason)
}

fn warning(name: &str, found: &str, reason: impl Into<String>) -> Check {
    check(name, CheckStatus::Warning, Some(found.to_owned()), reason)
}

fn failed(name: &str, found: &str, reason: impl Into<String>) -> Check {
    check(name, CheckStatus::Failed, Some(found.to_owned()), reason)
}

fn unknown(name: &str, reason: impl Into<String>) -> Check {
    check(name, CheckStatus::Unknown, None, reason)
}

/// With what can be done about it.
trait Hinted {
    fn hint(self, hint: impl Into<String>) -> Self;
}

impl Hinted for Check {
    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
