//! What `tunnel expose` points at: a URL at the exporter, which nobody else ever sees whole.
//!
//! The path and query of an `http` or `rtsp` URL are published with the resource, so that whoever opens
//! it gets a URL to paste. The host stays at the exporter, and so does the port, but for that of a `tcp` or `udp`
//! URL, which `cococtl run` listens on. A login in the URL is taken off and
//! reported: it would otherwise be published.

use core::fmt;
use core::str::FromStr;
use std::path::PathBuf;

use crate::manager_addr::{Host, port_number, split_location};
use crate::resource::{ATTRIBUTE_MAX, Kind};

/// Longest target URL, in bytes.
pub const TARGET_MAX: usize = 2048;

/// The scheme of a target that takes TCP and UDP on one port, as a name server does.
const TCP_AND_UDP: &str = "tcp+udp";

/// The whole of a target that is this node's own address.
const OWN: &str = "ip:";

/// A parsed target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The protocol.
    pub kind: Kind,
    /// Where to connect.
    pub place: Place,
    /// Path and query, with the leading slash, for `http` and `rtsp`; otherwise empty.
    pub path: String,
    /// Whether the URL held a login, which is not kept.
    pub had_login: bool,
    /// Of kind `tcp`: whether the same port takes UDP as well.
    pub udp: bool,
}

/// Where a target is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A host and port, resolved at each connection.
    Net {
        /// Name or address.
        host: Host,
        /// Port.
        port: u16,
    },
    /// A unix stream socket.
    Unix(PathBuf),
    /// The exporter's own IP address, of kind `ip`.
    Own,
}

/// Why a URL is no target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// No `scheme://`, or one we do not know.
    #[error(
        "a target looks like tcp://HOST:PORT, udp://, tcp+udp://, http://, rtsp://, mqtt://, unix:///PATH or ip:"
    )]
    Scheme,
    /// The scheme is one that must stay opaque.
    #[error("{0}:// is encrypted end to end and cannot be parsed: expose it as tcp://HOST:PORT")]
    Opaque(&'static str),
    /// No host, or not one.
    #[error("the URL needs a host name or address")]
    Host,
    /// No port where the protocol has no default.
    #[error("the URL needs a port from 1 to 65535")]
    Port,
    /// A path where there can be none.
    #[error("a tcp, udp or mqtt URL has no path, and ip: is a whole one")]
    Path,
    /// Too long, or with control characters or spaces.
    #[error("the URL is too long or holds spaces or control characters")]
    Text,
}

impl Target {
    /// The port that a resource of it is published with, for `cococtl run`; where the protocol has one of
    /// its own, that one will do.
    pub fn published_port(&self) -> Option<u16> {
        match &self.place {
            Place::Net { port, .. } if self.kind.default_port().is_none() => Some(*port),
            Place::Net { .. } | Place::Unix(_) | Place::Own => None,
        }
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        if text.len() > TARGET_MAX || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(TargetError::Text);
        }
        if text.get(..OWN.len()).is_some_and(|start| start.eq_ignore_ascii_case(OWN)) {
            let target =
                Self { kind: Kind::Ip, place: Place::Own, path: String::new(), had_login: false, udp: false };
            return if text.len() == OWN.len() { Ok(target) } else { Err(TargetError::Path) };
        }
        let (scheme, rest) = text.split_once("://").ok_or(TargetError::Scheme)?;
        if scheme.eq_ignore_ascii_case("unix") {
            let absolute = rest.starts_with('/') && rest.len() > 1;
            let place = Place::Unix(PathBuf::from(rest));
            let target = Self { kind: Kind::Tcp, place, path: String::new(), had_login: false, udp: false };
            return if absolute { Ok(target) } else { Err(TargetError::Host) };
        }
        let udp = scheme.eq_ignore_ascii_case(TCP_AND_UDP);
        let kind = if udp { Kind::Tcp } else { kind_of(scheme)? };
        let (authority, path) = match rest.find(['/', '?', '#']) {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (login, location) = match authority.rsplit_once('@') {
            Some((_, location)) => (true, location),
            None => (false, authority),
        };
        let (host, port) = host_and_port(kind, location)?;
        let place = Place::Net { host, port };
        Ok(Self { kind, place, path: path_of(kind, path)?, had_login: login, udp })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.udp { TCP_AND_UDP } else { self.kind.as_str() };
        match &self.place {
            Place::Own => f.write_str(OWN),
            Place::Unix(path) => write!(f, "unix://{}", path.display()),
            Place::Net { host, port } if host.as_str().contains(':') => {
                write!(f, "{scheme}://[{}]:{port}{}", host.as_str(), self.path)
            }
            Place::Net { host, port } => write!(f, "{scheme}://{}:{port}{}", host.as_str(), self.path),
        }
    }
}

fn kind_of(scheme: &str) -> Result<Kind, TargetError> {
    match scheme.to_ascii_lowercase().as_str() {
        "https" => Err(TargetError::Opaque("https")),
        "rtsps" => Err(TargetError::Opaque("rtsps")),
        "mqtts" => Err(TargetError::Opaque("mqtts")),
        other => other.parse().map_err(|_| TargetError::Scheme),
    }
}

fn host_and_port(kind: Kind, location: &str) -> Result<(Host, u16), TargetError> {
    if location.is_empty() || location.starts_with(':') {
        return Err(TargetError::Host);
    }
    let bracketed = location.starts_with('[');
    let has_port = if bracketed { location.contains("]:") } else { location.contains(':') };
    if has_port {
        let port = location.rsplit_once(':').map(|(_, port)| port).unwrap_or_default();
        port_number(port).ok_or(TargetError::Port)?;
        return split_location(location).map_err(|_| TargetError::Host);
    }
    let port = kind.default_port().ok_or(TargetError::Port)?;
    split_location(&format!("{location}:{port}")).map_err(|_| TargetError::Host)
}

fn path_of(kind: Kind, path: &str) -> Result<String, TargetError> {
    match kind {
        Kind::Http | Kind::Rtsp => {
            let path = path.split('#').next().unwrap_or_default();
            let path =
                if path.is_empty() || path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
            if path.len() <= ATTRIBUTE_MAX { Ok(path) } else { Err(TargetError::Text) }
        }
        Kind::Tcp | Kind::Udp | Kind::Mqtt | Kind::Ip if matches!(path, "" | "/") => Ok(String::new()),
        Kind::Tcp | Kind::Udp | Kind::Mqtt | Kind::Ip => Err(TargetError::Path),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn urls_of_every_kind_parse_and_print() {
        for (text, printed) in [
            ("tcp://127.0.0.1:22", "tcp://127.0.0.1:22"),
            ("udp://[::1]:53", "udp://[::1]:53"),
            ("TCP+UDP://dns:53", "tcp+udp://dns:53"),
            ("http://nas.local", "http://nas.local:80"),
            ("http://nas:8080/a?b=c#d", "http://nas:8080/a?b=c"),
            ("rtsp://192.168.1.20/stream1", "rtsp://192.168.1.20:554/stream1"),
            ("RTSP://cam?x=1", "rtsp://cam:554/?x=1"),
            ("mqtt://broker/", "mqtt://broker:1883"),
            ("unix:///run/x.sock", "unix:///run/x.sock"),
            ("ip:", "ip:"),
            ("IP:", "ip:"),
        ] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), printed);
        }
    }

    #[test]
    fn a_login_is_taken_off_and_said() {
        let target: Target = "rtsp://admin:se@cret@cam/s".parse().unwrap();
        assert!(target.had_login);
        assert_eq!(target.to_string(), "rtsp://cam:554/s");
    }

    #[test]
    fn a_path_fits_into_an_attribute_with_its_slash() {
        let long = "x".repeat(ATTRIBUTE_MAX - 1);
        let target: Target = format!("http://nas/{long}").parse().unwrap();
        assert_eq!(target.path.len(), ATTRIBUTE_MAX);
        // The slash that is put before the query counts.
        for url in [format!("http://nas/{long}x"), format!("http://nas?{long}")] {
            assert_eq!(url.parse::<Target>(), Err(TargetError::Text));
        }
    }

    #[test]
    fn each_mistake_has_its_own_reason() {
        for (text, reason) in [
            ("cam", TargetError::Scheme),
            ("gopher://x:1", TargetError::Scheme),
            ("https://x", TargetError::Opaque("https")),
            ("tcp://host", TargetError::Port),
            ("tcp://host:0", TargetError::Port),
            ("tcp://host:70000", TargetError::Port),
            ("tcp://host:+80", TargetError::Port),
            ("tcp://:22", TargetError::Host),
            ("tcp://::1:22", TargetError::Host),
            ("tcp://h:1/x", TargetError::Path),
            ("unix://relative", TargetError::Host),
            ("ip:fd00::1", TargetError::Path),
            ("ip://", TargetError::Path),
            ("ip", TargetError::Scheme),
            ("http://a b/", TargetError::Text),
            ("http://-x/", TargetError::Host),
        ] {
            assert_eq!(text.parse::<Target>(), Err(reason), "{text}");
        }
    }
}
