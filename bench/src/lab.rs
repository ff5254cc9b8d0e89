//! Where it is measured: two network namespaces joined by a cable, or loopback.
//!
//! The near side holds the application and the listening end, the far side the target and the end beside
//! it. Namespaces take root; everybody else, and a container that may not make them, gets loopback,
//! whose packets are larger and whose figures are therefore better than any network's.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

/// Our namespaces are called this, then our process id, then a letter.
const PREFIX: &str = "coco-bench-";

/// One of the two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The application's.
    Near,
    /// The target's.
    Far,
}

/// The place; dropped, it is gone.
#[derive(Debug)]
pub(crate) enum Lab {
    Namespaces(Namespaces),
    Loopback { why: String },
}

#[derive(Debug)]
pub(crate) struct Namespaces {
    near: String,
    far: String,
}

impl Lab {
    /// Make it, in namespaces if that can be.
    pub(crate) fn set_up(loopback: bool) -> anyhow::Result<Self> {
        if loopback {
            return Ok(Self::Loopback { why: "asked for".to_owned() });
        }
        match Namespaces::make() {
            Ok(namespaces) => Ok(Self::Namespaces(namespaces)),
            Err(error) => Ok(Self::Loopback { why: format!("{error:#}") }),
        }
    }

    /// The address of a side, as the other one sees it.
    pub(crate) fn address(&self, side: Side) -> IpAddr {
        IpAddr::V4(match (self, side) {
            (Self::Loopback { .. }, Side::Near | Side::Far) => Ipv4Addr::LOCALHOST,
            (Self::Namespaces(_), Side::Near) => Ipv4Addr::new(10, 77, 0, 1),
            (Self::Namespaces(_), Side::Far) => Ipv4Addr::new(10, 77, 0, 2),
        })
    }

    /// A UDP address on a side that nobody has: `wish` where the side is ours alone.
    pub(crate) fn free_udp(&self, side: Side, wish: u16) -> anyhow::Result<SocketAddr> {
        let address = self.address(side);
        match self {
            Self::Namespaces(_) => Ok(SocketAddr::new(address, wish)),
            Self::Loopback { .. } => Ok(UdpSocket::bind((address, 0))?.local_addr()?),
        }
    }

    /// The words that run a program on a side, before its own.
    pub(crate) fn prefix(&self, side: Side) -> Vec<&str> {
        match (self, side) {
            (Self::Loopback { .. }, Side::Near | Side::Far) => Vec::new(),
            (Self::Namespaces(made), Side::Near) => vec!["ip", "netns", "exec", &made.near],
            (Self::Namespaces(made), Side::Far) => vec!["ip", "netns", "exec", &made.far],
        }
    }
}

impl fmt::Display for Lab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespaces(_) => f.write_str("two network namespaces joined by a veth pair, MTU 1500"),
            Self::Loopback { why } => write!(f, "loopback, not a network ({why})"),
        }
    }
}

impl Namespaces {
    fn make() -> anyhow::Result<Self> {
        remove_left_over();
        let name = |side| format!("{PREFIX}{}-{side}", std::process::id());
        // From here on, whatever was made is removed by the drop.
        let made = Self { near: name("near"), far: name("far") };
        ip(&["netns", "add", &made.near])?;
        ip(&["netns", "add", &made.far])?;
        let cable = ["link", "add", "cable", "mtu", "1500", "type", "veth", "peer", "name", "cable"];
        ip(&[&["-n", &made.near], cable.as_slice(), &["netns", &made.far, "mtu", "1500"]].concat())?;
        for (side, address) in [(&made.near, "10.77.0.1/24"), (&made.far, "10.77.0.2/24")] {
            ip(&["-n", side, "address", "add", address, "dev", "cable"])?;
            ip(&["-n", side, "link", "set", "lo", "up"])?;
            ip(&["-n", side, "link", "set", "cable", "up"])?;
        }
        Ok(made)
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for name in [&self.near, &self.far] {
            // Not there, when it could not be made.
            let _ = ip(&["netns", "delete", name]);
        }
    }
}

/// Namespaces of a run that was killed without a chance to remove them.
fn remove_left_over() {
    let Ok(entries) = std::fs::read_dir("/run/netns") else { return };
    for name in entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
        let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-'));
        if owner.is_some_and(|(pid, _)| !Path::new("/proc").join(pid).exists()) {
            let _ = ip(&["netns", "delete", &name]);
        }
    }
}

fn ip(words: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("ip").args(words).output().context("running ip")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("ip {}: {}", words.join(" "), said.lines().next().unwrap_or("failed"));
    }
    Ok(())
}
