//! `cococtl run`: sockets made in a network namespace, and handed to the daemon.
//!
//! `POST /v1/run` with [`Run`] and `Upgrade: coco-sockets` is answered by 101. From then on the connection
//! carries messages, a line of JSON each: the daemon asks ([`RunAsk`]), and `cococtl`, which stands in a
//! namespace where nothing but a loopback interface exists, does so and answers ([`RunAnswer`]). Descriptors
//! go beside the first byte of the answer they are for, in the order they were asked for (`SCM_RIGHTS`).
//! What was handed over works for as long as the connection does.

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::resource::{Attributes, Kind};

/// The protocol that a connection is upgraded to.
pub const RUN_UPGRADE: &str = "coco-sockets";

/// Longest message, in bytes: the names of [`RUN_RESOURCES_MAX`] resources fit.
pub const RUN_LINE_MAX: usize = 256 * 1024;

/// Most resources of one run. What is beyond that, by name, is left out.
pub const RUN_RESOURCES_MAX: usize = 512;

/// Most descriptors that come with one answer.
pub const RUN_SOCKETS_MAX: usize = 4;

/// The port of a resource whose protocol has none of its own and whose exporter has not published one: the
/// first that needs no privilege.
pub const RUN_PORT: u16 = 1024;

/// `POST /v1/run`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// In which network.
    pub network: Name,
    /// Which resources; every one that may be used when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<Name>,
    /// What an earlier daemon has had made, and what is still there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<Kept>,
}

/// A resource that has its address already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// Its name.
    pub resource: Name,
    /// Where it listens.
    pub address: Ipv4Addr,
}

/// What the daemon asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case", rename_all_fields = "snake_case")]
pub enum RunAsk {
    /// Make these, all or none, and answer with them.
    Make {
        /// Comes back with the answer.
        id: u64,
        /// What.
        wanted: Vec<Wanted>,
        /// For the listeners of a resource: they are kept here as well, for a daemon to come.
        keep: Option<Name>,
    },
    /// The resource has gone: keep its listeners no longer.
    Forget {
        /// Its name.
        resource: Name,
    },
    /// All names there are from now on.
    Names {
        /// By name.
        names: Vec<RunName>,
    },
    /// What was there to make at first is made.
    Ready,
}

/// Something with a descriptor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wanted {
    /// A listening TCP socket.
    Tcp(SocketAddr),
    /// A bound UDP socket.
    Udp(SocketAddr),
}

/// A line of the hosts file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunName {
    /// The host's name.
    pub host: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// What speaks there.
    pub kind: Kind,
    /// And on which port.
    pub port: u16,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case", rename_all_fields = "snake_case")]
pub enum RunAnswer {
    /// It is made; the descriptors come with this.
    Made {
        /// Of the question.
        id: u64,
        /// How many descriptors.
        count: usize,
    },
    /// It is not.
    Failed {
        /// Of the question.
        id: u64,
        /// Whether another address would do.
        taken: bool,
        /// Why.
        reason: String,
    },
}

/// The name of a resource inside `cococtl run`.
pub fn run_host(resource: &Name, network: &Name) -> String {
    format!("{resource}.{network}.coco")
}

/// The port of a resource inside `cococtl run`: its protocol's own, or the one its exporter has published.
pub fn run_port(kind: Kind, attributes: &Attributes) -> u16 {
    kind.default_port().or_else(|| attributes.port()).unwrap_or(RUN_PORT)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use std::collections::BTreeMap;

    use super::*;
    use crate::resource::PORT;

    #[test]
    fn messages_have_one_form() {
        let ask = RunAsk::Make {
            id: 7,
            wanted: vec![Wanted::Tcp("127.64.0.1:554".parse().unwrap())],
            keep: Some("front-door".parse().unwrap()),
        };
        let text = r#"{"ask":"make","id":7,"wanted":[{"tcp":"127.64.0.1:554"}],"keep":"front-door"}"#;
        assert_eq!(serde_json::to_string(&ask).unwrap(), text);
        assert_eq!(serde_json::from_str::<RunAsk>(text).unwrap(), ask);
        assert_eq!(serde_json::to_string(&RunAsk::Ready).unwrap(), r#"{"ask":"ready"}"#);
        let answer = RunAnswer::Failed { id: 7, taken: true, reason: "in use".to_owned() };
        let text = r#"{"answer":"failed","id":7,"taken":true,"reason":"in use"}"#;
        assert_eq!(serde_json::to_string(&answer).unwrap(), text);
        assert_eq!(serde_json::from_str::<RunAnswer>(text).unwrap(), answer);
    }

    #[test]
    fn the_longest_names_fit_into_a_message() {
        let name = "x".repeat(crate::name::NAME_MAX).parse().unwrap();
        let line = RunName {
            host: run_host(&name, &name),
            address: Ipv4Addr::new(127, 127, 127, 127),
            kind: Kind::Http,
            port: u16::MAX,
        };
        let ask = RunAsk::Names { names: vec![line; RUN_RESOURCES_MAX] };
        assert!(serde_json::to_string(&ask).unwrap().len() < RUN_LINE_MAX);
    }

    #[test]
    fn a_port_is_the_protocols_own_or_the_published_one() {
        let published = |port: &str| {
            let map = BTreeMap::from([(PORT.parse().unwrap(), port.to_owned())]);
            Attributes::new(map).unwrap()
        };
        let none = Attributes::default();
        assert_eq!(run_port(Kind::Rtsp, &published("8554")), 554);
        assert_eq!(run_port(Kind::Http, &none), 80);
        assert_eq!(run_port(Kind::Mqtt, &none), 1883);
        assert_eq!(run_port(Kind::Tcp, &published("22")), 22);
        assert_eq!(run_port(Kind::Udp, &published("53")), 53);
        for bad in ["0", "", "65536", "-1", "22x", "+22"] {
            assert_eq!(run_port(Kind::Tcp, &published(bad)), RUN_PORT, "{bad}");
        }
    }
}
