//! The machine's place among others: what it is connected to, and what its neighbours and its router say.
//!
//! One [`Surroundings`] serves all nodes of a daemon. [`changes::Watcher`] looks at interfaces and routes
//! ([`links`]) when the kernel says that something has changed; who depends on them listens. [`lan`] finds
//! nodes of the same network among the neighbours.

pub mod changes;
pub mod lan;
pub mod links;

use std::sync::Arc;

use tokio::sync::watch;

use crate::config::Config;
use changes::Watcher;
use lan::Lan;
use links::Links;

/// What all nodes of a daemon share.
#[derive(Debug)]
pub struct Surroundings {
    watcher: Watcher,
    lan: Lan,
}

impl Surroundings {
    /// Begin to look around, on a tokio runtime.
    pub fn start(config: &Config) -> Self {
        let watcher = Watcher::start();
        let lan = if config.lan.discovery { Lan::start(watcher.links()) } else { Lan::off() };
        Self { watcher, lan }
    }

    /// Interfaces and routes, whenever they change.
    pub fn links(&self) -> watch::Receiver<Arc<Links>> {
        self.watcher.links()
    }

    /// The neighbours.
    pub fn lan(&self) -> &Lan {
        &self.lan
    }
}
