//! Packets counted by nftables, by destination.

use std::net::IpAddr;
use std::process::Command;

use serde_json::Value;

use crate::namespace::Namespace;

/// How many different destinations are counted; packets to more of them go uncounted.
const DESTINATIONS: usize = 16_384;

/// The sets: name and type, by IP version and whether there are ports.
const SETS: [(&str, &str); 4] = [
    ("ports4", "ipv4_addr . inet_proto . inet_service"),
    ("ports6", "ipv6_addr . inet_proto . inet_service"),
    ("other4", "ipv4_addr . inet_proto"),
    ("other6", "ipv6_addr . inet_proto"),
];

/// Packets for one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Where to.
    pub to: IpAddr,
    /// `tcp`, `udp`, `icmp`, `ipv6-icmp`, `igmp` ...
    pub protocol: String,
    /// Of the destination; `None`: not TCP nor UDP.
    pub port: Option<u16>,
    /// How many.
    pub packets: u64,
    /// IP headers included.
    pub bytes: u64,
}

/// What to put in a table to count what passes `hook`.
pub(crate) fn rules(hook: &str) -> String {
    let sets = SETS.map(|(name, key)| {
        format!("set {name} {{ type {key}; size {DESTINATIONS}; flags dynamic; counter; }}\n")
    });
    format!(
        "{}
        chain count {{
            type filter hook {hook} priority -10;
            meta protocol ip meta l4proto {{ tcp, udp }} update @ports4 {{ ip daddr . meta l4proto . th dport }}
            meta protocol ip6 meta l4proto {{ tcp, udp }} update @ports6 {{ ip6 daddr . meta l4proto . th dport }}
            meta protocol ip meta l4proto != {{ tcp, udp }} update @other4 {{ ip daddr . meta l4proto }}
            meta protocol ip6 meta l4proto != {{ tcp, udp }} update @other6 {{ ip6 daddr . meta l4proto }}
        }}
        ",
        sets.concat()
    )
}

/// What has been counted in `table`, family and name.
pub(crate) fn read(namespace: &Namespace, table: &str) -> Vec<Sent> {
    let mut nft = Command::new("nft");
    let json = namespace.feed(nft.args(["-j", "list", "table", table]), "nftables", "");
    let json: Value = serde_json::from_str(&json).expect("nft -j prints JSON");
    let objects = json["nftables"].as_array().expect("a list of nftables objects");
    objects
        .iter()
        .filter_map(|object| object["set"]["elem"].as_array())
        .flatten()
        .filter_map(|element| element.get("elem"))
        .map(|element| sent(element).unwrap_or_else(|| panic!("not a counter: {element}")))
        .collect()
}

/// Count from zero.
pub(crate) fn forget(namespace: &Namespace, table: &str) {
    namespace.nft(&SETS.map(|(set, _)| format!("flush set {table} {set}\n")).concat());
}

/// `{"val": {"concat": ["192.0.2.1", "udp", 53]}, "counter": {"packets": 1, "bytes": 28}}`
fn sent(element: &Value) -> Option<Sent> {
    let key = element["val"]["concat"].as_array()?;
    let protocol = key.get(1)?;
    Some(Sent {
        to: key.first()?.as_str()?.parse().ok()?,
        protocol: protocol.as_str().map_or_else(|| protocol.to_string(), str::to_owned),
        port: match key.get(2) {
            Some(port) => Some(u16::try_from(port.as_u64()?).ok()?),
            None => None,
        },
        packets: element["counter"]["packets"].as_u64()?,
        bytes: element["counter"]["bytes"].as_u64()?,
    })
}
