//! `manager.toml`: every key, its default, and what it may be.
//!
//! [`parse`] is pure. Unknown keys are errors, so that a typing mistake is not a silent default.
//! [`sample`] is the file that `init` writes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU16;

use coco_sandbox::{Layer, NoLayer};
use coco_tunnel::carrier::server;
use coconet::manager_addr::{Host, TLS_PORT, split_location};
use coconet::name::Name;
use serde::Deserialize;

use crate::limits;

/// Longest configuration file, in bytes.
pub const CONFIG_MAX: u64 = 64 * 1024;

/// The whole file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to listen.
    pub listen: Listen,
    /// Where nodes reach that.
    pub public: Public,
    /// `[limits]`.
    #[serde(default)]
    pub limits: Limits,
    /// `[metrics]`.
    #[serde(default)]
    pub metrics: Metrics,
    /// `[tls]`.
    #[serde(default)]
    pub tls: Tls,
    /// `[probe]`.
    #[serde(default)]
    pub probe: Probe,
    /// `[sandbox]`.
    #[serde(default)]
    pub sandbox: Sandbox,
    /// The plan of every network here, one of `plans`; none when absent.
    #[serde(default)]
    pub plan: Option<Name>,
    /// `[plans.NAME]`.
    #[serde(default)]
    pub plans: BTreeMap<Name, Plan>,
}

/// What a network may use up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Plan {
    /// Live nodes of one network; as many as a ledger takes when absent.
    pub nodes_per_network: Option<usize>,
    /// What the relay carries for one network in a month (UTC); as much as it can when absent.
    pub relay_bytes_per_month: Option<Bytes>,
}

/// A number of bytes: `100 MB`, `2.5 GB`, `64 MiB`, or plainly so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Amount")]
pub struct Bytes(pub u64);

#[derive(Deserialize)]
#[serde(untagged, expecting = "a number of bytes, like \"100 MB\"")]
enum Amount {
    Number(u64),
    Text(String),
}

const UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// `[metrics]`: figures for the operator's monitoring.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    /// Where to serve them, by HTTP, on this machine only; nowhere when absent.
    pub listen: Option<Here>,
}

/// `[sandbox]`: what the manager gives up once it listens.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sandbox {
    /// Whether there is one at all.
    pub enabled: bool,
    /// Layers that are left off, to find out what goes wrong.
    pub off: Vec<OffLayer>,
}

/// The name of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct OffLayer(pub Layer);

impl Default for Sandbox {
    fn default() -> Self {
        Self { enabled: true, off: Vec::new() }
    }
}

impl TryFrom<String> for OffLayer {
    type Error = NoLayer;

    fn try_from(text: String) -> Result<Self, NoLayer> {
        text.parse().map(Self)
    }
}

/// `[probe]`: for nodes that want to know what kind of NAT they are behind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Probe {
    /// A second UDP port, beside that of `listen`; any that is free when absent.
    pub port: Option<NonZeroU16>,
}

/// `[tls]`: for nodes in networks that let no UDP through.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// TCP addresses to listen on; none when absent.
    pub listen: Option<Listen>,
    /// The TCP port by which nodes reach that, if it is another; part of the manager address.
    pub port: Option<NonZeroU16>,
    /// [`server::CONNECTIONS_MAX`].
    pub connections: usize,
    /// [`server::CONNECTIONS_PER_SOURCE_MAX`].
    pub connections_per_source: usize,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            listen: None,
            port: None,
            connections: server::CONNECTIONS_MAX,
            connections_per_source: server::CONNECTIONS_PER_SOURCE_MAX,
        }
    }
}

impl Tls {
    /// What the manager address says of it; nothing when that is the usual port.
    pub fn address_port(&self) -> Option<NonZeroU16> {
        let listens_on = || self.listen.as_ref()?.addresses().first().map(SocketAddr::port);
        let port = self.port.or_else(|| NonZeroU16::new(listens_on()?))?;
        (port.get() != TLS_PORT).then_some(port)
    }
}

/// A TCP address of this machine that only this machine reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Here(pub SocketAddr);

/// Addresses to listen on: one, or one of each family.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Listen(Vec<SocketAddr>);

/// Host and port that the manager address names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Public {
    /// Name or address, without brackets.
    pub host: Host,
    /// UDP port.
    pub port: u16,
}

/// What an operator may want to change of [`crate::limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// [`limits::NETWORKS_MAX`].
    pub networks: usize,
    /// [`limits::SESSIONS_MAX`].
    pub sessions: usize,
    /// [`limits::SESSIONS_PER_SOURCE_MAX`].
    pub sessions_per_source: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            networks: limits::NETWORKS_MAX,
            sessions: limits::SESSIONS_MAX,
            sessions_per_source: limits::SESSIONS_PER_SOURCE_MAX,
        }
    }
}

/// Why a text is no configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct ConfigError {
    /// Where, from one.
    pub line: usize,
    /// What is wrong there.
    pub message: String,
}

/// Why a text is no place to listen or to be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not `IP:PORT`.
    #[error("an address to listen on is IP:PORT, like 0.0.0.0:4433 or [::]:4433")]
    Listen,
    /// None, or two of one family.
    #[error("one address to listen on, or one IPv4 and one IPv6")]
    Families,
    /// A group, not a machine.
    #[error("a multicast address cannot be listened on")]
    Multicast,
    /// Not `IP:PORT`, or of another machine.
    #[error("metrics are served on this machine only: an address like 127.0.0.1:9469 or [::1]:9469")]
    Metrics,
    /// Not `HOST:PORT`.
    #[error("the public address is HOST:PORT, like manager.example.org:4433")]
    Public,
}

/// The configuration in `text`.
pub fn parse(text: &str) -> Result<Config, ConfigError> {
    let line_at =
        |at: usize| text.get(..at).unwrap_or(text).bytes().filter(|byte| *byte == b'\n').count() + 1;
    let config: Config = toml::from_str(text).map_err(|error| ConfigError {
        line: line_at(error.span().map_or(0, |span| span.start)),
        message: coconet::name::shown(error.message()),
    })?;
    match &config.plan {
        Some(plan) if !config.plans.contains_key(plan) => {
            let at = text.find("plan").unwrap_or_default();
            Err(ConfigError { line: line_at(at), message: format!("there is no [plans.{plan}]") })
        }
        Some(_) | None => Ok(config),
    }
}

impl Config {
    /// The plan of every network here, with its name.
    pub fn plan(&self) -> Option<(Name, Plan)> {
        let (name, plan) = self.plans.get_key_value(self.plan.as_ref()?)?;
        Some((name.clone(), *plan))
    }
}

/// Where metrics are served in the sample.
const METRICS: &str = "127.0.0.1:9469";

/// The file that `init` writes: every key with its default and what it is for.
pub fn sample(listen: &Listen, public: &Public) -> String {
    let Limits { networks, sessions, sessions_per_source } = Limits::default();
    let Tls { connections, connections_per_source, .. } = Tls::default();
    let listen: Vec<String> = listen.0.iter().map(|address| format!("{:?}", address.to_string())).collect();
    format!(
        r#"# coco-manager. A key behind a # has the default that stands there.

# UDP addresses to listen on: one, or one IPv4 and one IPv6.
listen = [{listen}]

# Where nodes reach that from outside. It is part of the manager address and of every invite: a name
# can move to another machine, a number cannot.
public = "{public}"

# The plan that every network here has; none without this.
#plan = "free"

# What a plan allows. Who would exceed it is refused with the name of the plan.
[plans.free]
# Live nodes of one network.
nodes_per_network = 3
# What the relay carries for one network in a month (UTC). What goes from node to node directly is not
# counted, and goes on when this is used up.
relay_bytes_per_month = "100 MB"

# Figures for Prometheus at http://ADDRESS/metrics, and whether all is well at http://ADDRESS/healthz.
# Loopback only; nowhere without this.
[metrics]
#listen = "{METRICS}"

[limits]
# Networks kept here.
#networks = {networks}

# Nodes connected at once, in all.
#sessions = {sessions}

# Nodes connected at once from one IPv4 address or one IPv6 /64.
#sessions_per_source = {sessions_per_source}

# For nodes in networks that let no UDP through, or nothing but web pages: the same packets inside TLS over
# TCP, which such nodes try by themselves. Off without `listen`. To listen below port 1024 needs the
# capability CAP_NET_BIND_SERVICE.
[tls]
#listen = ["0.0.0.0:443"]

# The TCP port by which nodes reach that, where another machine forwards it. Other than 443, it is part of
# the manager address: `coco-manager address` prints it.
#port = 443

# Connections at once, in all. Each may take up to half a megabyte.
#connections = {connections}

# Connections at once from one IPv4 address or one IPv6 /64: nodes that share a proxy share this.
#connections_per_source = {connections_per_source}

# A second UDP port, by which nodes find out what kind of NAT they are behind. Any that is free when it is
# not named; name it where a firewall has to let it in.
[probe]
#port = 4434

# Once it listens, the manager gives up all it does not need: `coco-manager check --sandbox` tries what is left.
# Layers that are off, to find out what goes wrong: privileges, dumps, capabilities, files, ports, signals, calls.
[sandbox]
#enabled = true
#off = []
"#,
        listen = listen.join(", "),
        public = public.location(),
    )
}

impl Listen {
    /// Checked addresses.
    pub fn new(addresses: Vec<SocketAddr>) -> Result<Self, AddressError> {
        let v4 = addresses.iter().filter(|address| address.is_ipv4()).count();
        if addresses.is_empty() || v4 > 1 || addresses.len() - v4 > 1 {
            return Err(AddressError::Families);
        }
        if addresses.iter().any(|address| address.ip().is_multicast()) {
            return Err(AddressError::Multicast);
        }
        Ok(Self(addresses))
    }

    /// The addresses.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.0
    }
}

impl TryFrom<Vec<String>> for Listen {
    type Error = AddressError;

    fn try_from(texts: Vec<String>) -> Result<Self, AddressError> {
        let parsed: Result<_, _> = texts.iter().map(|text| text.parse()).collect();
        Self::new(parsed.map_err(|_| AddressError::Listen)?)
    }
}

impl TryFrom<Amount> for Bytes {
    type Error = &'static str;

    fn try_from(amount: Amount) -> Result<Self, Self::Error> {
        let parsed = match amount {
            Amount::Number(number) => Some(number),
            Amount::Text(text) => parse_bytes(&text),
        };
        parsed.map(Self).ok_or("an amount is a whole number of bytes, or one like \"100 MB\" or \"1.5 GiB\"")
    }
}

/// Digits, perhaps a point and up to three more, and a unit.
fn parse_bytes(text: &str) -> Option<u64> {
    let number_end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(number_end);
    let (_, size) = UNITS.iter().find(|(name, _)| *name == unit.trim_start())?;
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    if part.is_empty() || part.len() > 3 {
        return None;
    }
    let thousandths: u64 = format!("{part:0<3}").parse().ok()?;
    let whole = whole.parse::<u64>().ok()?.checked_mul(*size)?;
    whole.checked_add(u64::try_from(u128::from(thousandths) * u128::from(*size) / 1000).ok()?)
}

impl TryFrom<String> for Here {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        let address: SocketAddr = text.parse().map_err(|_| AddressError::Metrics)?;
        if address.ip().is_loopback() { Ok(Self(address)) } else { Err(AddressError::Metrics) }
    }
}

impl Public {
    /// `HOST:PORT`, with brackets around an IPv6 address.
    pub fn location(&self) -> String {
        let host = self.host.as_str();
        if host.contains(':') { format!("[{host}]:{}", self.port) } else { format!("{host}:{}", self.port) }
    }
}

impl std::str::FromStr for Public {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (host, port) = split_location(text).map_err(|_| AddressError::Public)?;
        Ok(Self { host, port })
    }
}

impl TryFrom<String> for Public {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn given() -> (Listen, Public) {
        let listen = Listen::new(vec!["0.0.0.0:4433".parse().unwrap(), "[::]:4433".parse().unwrap()]);
        (listen.unwrap(), "[2001:db8::1]:4433".parse().unwrap())
    }

    fn free() -> Plan {
        Plan { nodes_per_network: Some(3), relay_bytes_per_month: Some(Bytes(100_000_000)) }
    }

    #[test]
    fn amounts_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("100 MB", 100_000_000),
            ("100MB", 100_000_000),
            ("1.5 GiB", 3 << 29),
            ("0.001 kB", 1),
            ("2.25 TB", 2_250_000_000_000),
            ("7 B", 7),
            ("0 B", 0),
        ] {
            assert_eq!(parse_bytes(text), Some(bytes), "{text}");
        }
        for text in
            ["", "100", "MB", "100 mb", "1. MB", ".5 MB", "1.2345 MB", "-1 MB", "1e3 B", "99999999999 TB"]
        {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
    }

    #[test]
    fn the_sample_says_what_was_given_and_the_defaults() {
        let (listen, public) = given();
        let text = sample(&listen, &public);
        let plans = BTreeMap::from([("free".parse().unwrap(), free())]);
        let (limits, metrics) = (Limits::default(), Metrics::default());
        let expected = Config {
            sandbox: Sandbox::default(),
            listen,
            public,
            limits,
            metrics,
            tls: Tls::default(),
            probe: Probe::default(),
            plan: None,
            plans,
        };
        assert_eq!(parse(&text), Ok(expected.clone()));
        let uncommented = text.replace("\n#networks", "\nnetworks").replace("\n#sessions", "\nsessions");
        let uncommented = uncommented.replace("\n#plan", "\nplan");
        let uncommented = uncommented.replace("\n#enabled", "\nenabled").replace("\n#off", "\noff");
        let uncommented = uncommented.replace("\n#listen", "\nlisten");
        let uncommented = uncommented.replace("\n#port", "\nport").replace("\n#connections", "\nconnections");
        let metrics = Metrics { listen: Some(Here(METRICS.parse().unwrap())) };
        let listen = Some(Listen::new(vec!["0.0.0.0:443".parse().unwrap()]).unwrap());
        let tls = Tls { listen, port: NonZeroU16::new(443), ..Tls::default() };
        let probe = Probe { port: NonZeroU16::new(4434) };
        let expected = Config { plan: Some("free".parse().unwrap()), metrics, tls, probe, ..expected };
        assert_eq!(uncommented.matches("\n#").count(), text.matches("\n# ").count());
        assert_eq!(parse(&uncommented), Ok(expected));
    }

    #[test]
    fn the_manager_address_names_the_port_for_tls_where_it_is_another_than_443() {
        let tls = |text: &str| {
            let (listen, public) = given();
            let text = sample(&listen, &public).replace("[tls]\n", &format!("[tls]\n{text}\n"));
            parse(&text).unwrap().tls.address_port().map(NonZeroU16::get)
        };
        assert_eq!(tls(""), None);
        assert_eq!(tls("listen = [\"0.0.0.0:443\"]"), None);
        assert_eq!(tls("listen = [\"0.0.0.0:8443\"]"), Some(8443));
        assert_eq!(tls("listen = [\"0.0.0.0:8443\"]\nport = 443"), None);
        assert_eq!(tls("listen = [\"0.0.0.0:443\"]\nport = 8443"), Some(8443));
    }

    #[test]
    fn errors_name_the_line_and_the_reason() {
        let (listen, public) = given();
        let sample = sample(&listen, &public);
        let at = |old: &str, new: &str| parse(&sample.replacen(old, new, 1)).unwrap_err();
        assert_eq!(at("\"0.0.0.0:4433\"", "\"0.0.0.0\"").line, 4);
        assert!(at("\"0.0.0.0:4433\"", "\"[::1]:1\"").message.contains("one IPv4 and one IPv6"));
        assert!(at("\"0.0.0.0:4433\"", "\"224.0.0.1:1\"").message.contains("multicast"));
        assert_eq!(at("[2001:db8::1]", "2001:db8::1").line, 8);
        let unknown = at("#networks", "net_works");
        assert_eq!(unknown.line, 28);
        let amount = at("\"100 MB\"", "\"lots\"");
        assert!(amount.line == 19 && amount.message.contains("like \"100 MB\""), "{amount}");
        assert!(at("\"100 MB\"", "-5").message.contains("a number of bytes"));
        let plain = parse(&sample.replacen("\"100 MB\"", "5000", 1)).unwrap().plans;
        assert_eq!(plain.values().next().unwrap().relay_bytes_per_month, Some(Bytes(5000)));
        assert!(at("#listen = \"127.0.0.1:", "listen = \"0.0.0.0:").message.contains("this machine only"));
        assert!(at("#plan = \"free\"", "plan = \"gold\"").message.contains("plans.gold"));
        assert!(unknown.message.contains("net_works"), "{unknown}");
        assert!(parse("listen = [\"0.0.0.0:1\"]").unwrap_err().message.contains("public"));
        assert!(parse("\u{0}").is_err() && parse("").is_err());
    }
}
