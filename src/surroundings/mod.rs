//! The machine's place among others: what it is connected to, and what its neighbours and its router say.
//!
//! One [`Surroundings`] serves all nodes of a daemon. [`changes::Watcher`] looks at interfaces and routes
//! ([`links`]) when the kernel says that something has changed; who depends on them listens. [`lan`] finds
//! nodes of the same network among the neighbours, [`cameras`] what could be exposed. [`port_mapping`] has
//! the router let packets in.

pub mod cameras;
pub mod changes;
pub mod lan;
pub mod links;
pub mod port_mapping;

use std::sync::Arc;

use tokio::sync::watch;

use crate::config::Config;
use changes::Watcher;
use lan::Lan;
use links::Links;
use port_mapping::PortMapping;

/// What all nodes of a daemon share.
#[derive(Debug)]
pub struct Surroundings {
    watcher: Watcher,
    lan: Lan,
    port_mapping: bool,
}

impl Surroundings {
    /// Begin to look around, on a tokio runtime.
    pub fn start(config: &Config) -> Self {
        let watcher = Watcher::start();
        let lan = if config.lan.discovery { Lan::start(watcher.links()) } else { Lan::off() };
        Self { watcher, lan, port_mapping: config.node.port_mapping }
    }

    /// Interfaces and routes, whenever they change.
    pub fn links(&self) -> watch::Receiver<Arc<Links>> {
        self.watcher.links()
    }

    /// Have the router let packets in to UDP `port`, unless the configuration says no.
    pub fn map_port(&self, port: u16) -> Option<PortMapping> {
        self.port_mapping.then(|| PortMapping::keep(port, self.links()))
    }

    /// The neighbours.
    pub fn lan(&self) -> &Lan {
        &self.lan
    }
}
