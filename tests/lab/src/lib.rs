//! A small internet in network namespaces, to test coco in: homes behind NATs of every kind, walls, bad lines.
//!
//! A [`Lab`] is one router, the internet, with public IPv4 and IPv6 addresses. From it hang public hosts,
//! such as a manager's ([`Lab::public_host`]), and sites ([`Lab::site`]): one gateway, or two behind
//! carrier-grade NAT, and a LAN of hosts behind them. [`Site`] says what a site is like; the kinds of NAT are
//! those of RFC 4787 and are measured, not believed, by this crate's own tests with [`probe`].
//!
//! ```no_run
//! use coco_lab::{Lab, Site};
//!
//! let lab = Lab::new();
//! let manager = lab.public_host("manager");
//! let home = lab.site(Site::port_restricted());
//! let a = home.host("a");
//! let daemon = a.command("target/debug/cocod").spawn();
//! home.flush_mappings();
//! a.wire().blackhole(manager.v4().into(), 600);
//! println!("{:?}", a.wire().sent());
//! ```
//!
//! Real programs run on a host by [`Host::command`] and know each other by [`Lab::name`]; sockets of the test itself are made there by
//! [`Host::enter`]. What can go wrong is arranged on wires: each host and each site has one, see [`Wire`], and
//! one made with [`Conditions`] delays, loses, reorders and duplicates packets.
//!
//! Everything ends with the [`Lab`], also when the test panics: programs are killed, and the kernel takes the
//! rest down, as nothing has a name outside this process. Labs of several tests run side by side.
//!
//! The lab is for tests, so what it cannot do it says by panicking: it wants root, Linux with nftables and
//! `/dev/net/tun`, and the Debian packages `iproute2`, `nftables`, `conntrack` and `util-linux`.
//!
//! Why it is not `patchbay`, which does much of this: its mappings are keyed by the internal port alone, so
//! two hosts with one port share a mapping, and keep the port, which hides whoever mistakes the internal port
//! for the external one; its address filter is per NAT, not per mapping; its bad links need netem, which is
//! not in every kernel; and timeouts, flushes, holes and counters would have to go around it. What is left
//! are some `ip` and `nft` lines, which stand here.

mod counters;
mod gateway;
mod host;
mod internet;
mod link;
mod namespace;
pub mod probe;
mod proxy;
mod ruleset;
mod site;
mod subnet;
mod wire;

use std::sync::Arc;

pub use counters::Sent;
pub use gateway::SiteHandle;
pub use host::{DEVICE, Host};
pub use link::Conditions;
pub use proxy::PROXY_PORT;
pub use ruleset::MAPPINGS;
pub use site::{Behaviour, MAPPING_TIMEOUT, MTU, Nat, Site};
pub use wire::Wire;

use internet::Internet;

/// A small internet; ends what runs in it when dropped.
pub struct Lab {
    internet: Arc<Internet>,
}

impl Lab {
    /// With nothing in it yet.
    ///
    /// # Panics
    /// Without root.
    #[expect(clippy::new_without_default, reason = "it makes a namespace and may panic")]
    #[must_use]
    pub fn new() -> Self {
        assert!(nix::unistd::geteuid().is_root(), "the network lab makes network namespaces: run it as root");
        namespace::sweep();
        Self { internet: Arc::new(Internet::new()) }
    }

    /// A new host with public addresses and nothing in front of it.
    #[must_use]
    pub fn public_host(&self, name: &str) -> Host {
        self.attach(name, None)
    }

    /// The same, by a bad line.
    #[must_use]
    pub fn public_host_with(&self, name: &str, conditions: Conditions) -> Host {
        self.attach(name, Some(conditions))
    }

    /// From now on all programs that are made know the addresses that `host` has now by `name`, and so do
    /// proxies.
    pub fn name(&self, name: &str, host: &Host) {
        self.internet.names().add(name, host.addresses());
    }

    /// A new site.
    #[must_use]
    pub fn site(&self, site: Site) -> SiteHandle {
        SiteHandle::new(&self.internet, site)
    }

    fn attach(&self, name: &str, conditions: Option<Conditions>) -> Host {
        Host::new(&self.internet, name, |host| {
            (Wire::new(self.internet.router(), host, DEVICE, MTU, conditions), None)
        })
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.internet.end_processes();
    }
}
