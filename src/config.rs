//! `cocod.toml`: every key, its default, and what it may be.
//!
//! [`parse`] is pure. Unknown keys are errors, so that a typing mistake is not a silent default.

mod port_ranges;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use coco_sandbox::{Layer, NoLayer};
use coco_tunnel::carrier::proxy::{ProxyError, Setting};
use coconet::name::Name;
use serde::Deserialize;

pub use port_ranges::{PRIVILEGED, PortRanges, PortRangesError, RANGES_MAX};

use crate::access::Rules;
use crate::ip::host::NAME_MAX;

/// Longest configuration file, in bytes.
pub const CONFIG_MAX: u64 = 64 * 1024;

/// Most clients of one opened tunnel that the configuration may allow.
pub const CLIENTS_MAX: u32 = 4096;

/// Most directories for unix sockets.
pub const SOCKET_DIRS_MAX: usize = 32;

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The node in each network.
    pub node: NodeConfig,
    /// The way to managers.
    pub manager: ManagerConfig,
    /// The control socket.
    pub control: ControlConfig,
    /// Opened tunnels.
    pub tunnel: TunnelConfig,
    /// Neighbours.
    pub lan: LanConfig,
    /// IP packets.
    pub ip: IpConfig,
    /// What is given up at the start.
    pub sandbox: SandboxConfig,
    /// Figures.
    pub metrics: MetricsConfig,
    /// What is written to stderr.
    pub log: LogConfig,
}

/// `[node]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeConfig {
    /// The name proposed when joining; empty for the machine's.
    pub name: String,
    /// UDP addresses to listen on, at most one per family. Empty for every interface, both families,
    /// and a port that is chosen once and kept.
    pub listen: Vec<SocketAddr>,
    /// Whether the router is asked to let packets in.
    pub port_mapping: bool,
}

/// `[lan]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LanConfig {
    /// Whether nodes on the same LAN find each other without the manager.
    pub discovery: bool,
}

/// `[ip]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IpConfig {
    /// Whether the machine gets an interface by which every program reaches nodes by their addresses.
    pub host: bool,
    /// What it is called; empty for `coco-APP`.
    pub interface: String,
}

/// `[manager]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ManagerConfig {
    /// Which HTTP proxy leads to managers where no UDP does.
    pub proxy: ProxyText,
}

/// The URL of a proxy, `off`, or nothing for what the environment says. It may hold a password.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct ProxyText(String);

impl ProxyText {
    /// What it means.
    pub fn setting(&self) -> Result<Setting, ProxyError> {
        self.0.parse()
    }
}

impl fmt::Debug for ProxyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxyText({:?})", self.setting())
    }
}

/// `[metrics]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsConfig {
    /// A loopback address and port to serve them on by HTTP; empty for nowhere.
    pub listen: Listen,
}

/// An address to listen on, or none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Listen(pub Option<SocketAddr>);

impl TryFrom<String> for Listen {
    type Error = std::net::AddrParseError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.is_empty() { Ok(Self(None)) } else { text.parse().map(|address| Self(Some(address))) }
    }
}

/// `[control]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ControlConfig {
    /// Path of the control socket; empty for the default.
    pub socket: PathBuf,
}

/// `[tunnel]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TunnelConfig {
    /// Local connections of one opened tunnel at a time; further ones wait.
    pub max_clients: u32,
    /// Which applications may use an opened tunnel that does not say so itself.
    pub allow: Rules,
    /// Directories, with those below them, where opened tunnels may have unix sockets besides the state
    /// directory and that of the control socket, where it is the usual one.
    pub socket_dirs: Vec<PathBuf>,
    /// TCP ports that tunnels may listen on.
    pub ports: PortRanges,
}

/// `[sandbox]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SandboxConfig {
    /// Whether there is one at all.
    pub enabled: bool,
    /// Layers that are left off, to find out what goes wrong.
    pub off: Vec<OffLayer>,
}

/// The name of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct OffLayer(pub Layer);

impl TryFrom<String> for OffLayer {
    type Error = NoLayer;

    fn try_from(text: String) -> Result<Self, NoLayer> {
        text.parse().map(Self)
    }
}

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// A level, or directives as `tracing` knows them. `COCO_LOG` goes before it.
    pub level: String,
}

impl Default for TunnelConfig {
    fn default() -> Self {
        Self {
            max_clients: CLIENTS_MAX,
            allow: Rules::default(),
            socket_dirs: Vec::new(),
            ports: PortRanges::default(),
        }
    }
}

impl Default for SandboxConfig {
    fn default() -> Self {
        Self { enabled: true, off: Vec::new() }
    }
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self { name: String::new(), listen: Vec::new(), port_mapping: true }
    }
}

impl Default for LanConfig {
    fn default() -> Self {
        Self { discovery: true }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: "info".to_owned() }
    }
}

/// Why a text is no configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Not TOML of this shape; the message says where.
    #[error("{0}")]
    Toml(String),
    /// A value that is not allowed.
    #[error("{key}: {reason}")]
    Value {
        /// The key.
        key: &'static str,
        /// What is wrong.
        reason: String,
    },
}

/// The configuration in `text`.
pub fn parse(text: &str) -> Result<Config, ConfigError> {
    let config: Config = toml::from_str(text).map_err(|error| ConfigError::Toml(error.to_string()))?;
    let value = |key, reason: &str| ConfigError::Value { key, reason: reason.to_owned() };
    if !config.node.name.is_empty() && config.node.name.parse::<Name>().is_err() {
        return Err(value("node.name", "not a name: 1 to 63 of a-z 0-9 . _ -"));
    }
    let v4 = config.node.listen.iter().filter(|address| address.is_ipv4()).count();
    if v4 > 1 || config.node.listen.len() - v4 > 1 {
        return Err(value("node.listen", "at most one IPv4 and one IPv6 address"));
    }
    if config.node.listen.iter().any(|address| address.ip().is_multicast()) {
        return Err(value("node.listen", "a multicast address cannot be listened on"));
    }
    // Not while the file is read: its errors show the line, and a password in it.
    config.manager.proxy.setting().map_err(|error| value("manager.proxy", &error.to_string()))?;
    if !(1..=CLIENTS_MAX).contains(&config.tunnel.max_clients) {
        return Err(value("tunnel.max_clients", "from 1 to 4096"));
    }
    if config.tunnel.socket_dirs.len() > SOCKET_DIRS_MAX {
        return Err(value("tunnel.socket_dirs", "at most 32 directories"));
    }
    if config.tunnel.socket_dirs.iter().any(|dir| !dir.is_absolute() || dir.parent().is_none()) {
        return Err(value("tunnel.socket_dirs", "absolute paths of directories below /"));
    }
    let interface = &config.ip.interface;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if interface.len() > NAME_MAX
        || !interface.bytes().all(plain)
        || interface.bytes().all(|byte| byte == b'.') && !interface.is_empty()
    {
        return Err(value("ip.interface", "up to 15 of a-z A-Z 0-9 . _ -"));
    }
    if config.metrics.listen.0.is_some_and(|address| !address.ip().is_loopback()) {
        return Err(value("metrics.listen", "a loopback address, for example 127.0.0.1:9470"));
    }
    if config.log.level.parse::<tracing_subscriber::EnvFilter>().is_err() {
        return Err(value("log.level", "a level (error, warn, info, debug, trace) or filter directives"));
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn the_example_holds_every_key_with_its_default() {
        let example = include_str!("../config.example.toml");
        assert_eq!(parse(example).unwrap(), Config::default());
        for key in [
            "name",
            "listen",
            "port_mapping",
            "proxy",
            "socket",
            "max_clients",
            "allow",
            "socket_dirs",
            "ports",
            "discovery",
            "host",
            "interface",
            "enabled",
            "off",
            "level",
        ] {
            assert!(example.contains(&format!("{key} =")), "{key} is not in the example");
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (text, said) in [
            ("[node]\nlistne = []", "listne"),
            ("[node]\nname = \"A b\"", "node.name"),
            ("[node]\nlisten = [\"1.2.3.4:1\", \"1.2.3.5:1\"]", "node.listen"),
            ("[node]\nlisten = [\"nonsense\"]", "listen"),
            ("[manager]\nproxy = \"socks5://h:1\"", "manager.proxy: a proxy is reached by http://"),
            ("[tunnel]\nmax_clients = 0", "tunnel.max_clients"),
            ("[tunnel]\nsocket_dirs = [\"run\"]", "tunnel.socket_dirs"),
            ("[tunnel]\nsocket_dirs = [\"/\"]", "tunnel.socket_dirs"),
            ("[ip]\ninterface = \"a/b\"", "ip.interface"),
            ("[ip]\ninterface = \"sixteen-letters-\"", "ip.interface"),
            ("[ip]\ninterface = \"..\"", "ip.interface"),
            ("[metrics]\nlisten = \"0.0.0.0:9470\"", "metrics.listen"),
            ("[metrics]\nlisten = \"9470\"", "listen"),
            ("[tunnel]\nports = [\"8554-\"]", "ports"),
            ("[sandbox]\noff = [\"seccomp\"]", "a layer is"),
            ("[log]\nlevel = \"a=b=c\"", "log.level"),
            ("nonsense", "expected"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(said), "{text:?} gave {error:?}");
        }
    }

    #[test]
    fn the_password_of_a_proxy_is_not_shown() {
        let text = |url: &str| format!("[manager]\nproxy = \"{url}\"");
        let config = parse(&text("http://user:sesame@proxy:3128")).unwrap();
        assert!(matches!(config.manager.proxy.setting(), Ok(Setting::Use(_))));
        assert!(!format!("{config:?}").contains("sesame"));
        let error = parse(&text("http://user:sesame@proxy:port")).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("sesame"));
        assert_eq!(parse(&text("off")).unwrap().manager.proxy.setting(), Ok(Setting::Off));
    }
}
