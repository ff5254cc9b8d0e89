//! Interfaces of this machine that packets of applications come from, and whose they are.
//!
//! An interface serves the nodes that were attached to it ([`Served::attach`]), told apart by the address that
//! a packet comes from: the host's interface serves every network, that of a sandbox one. Its pump ends with the
//! interface, or with the last handle of it.

pub mod host;

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use coco_tunnel::forward::ip::counters::Dropped;
use coco_tunnel::forward::ip::{Interface, Outgoing, Trouble};
use tokio::task::JoinHandle;

use crate::node::Node;

/// An interface, and the nodes it serves. Dropped, it serves none.
#[derive(Debug)]
pub struct Served {
    interface: Arc<Interface>,
    nodes: Nodes,
    pump: JoinHandle<()>,
}

type Nodes = Arc<Mutex<BTreeMap<Ipv6Addr, Weak<Node>>>>;

impl Served {
    /// Begin to serve an interface.
    pub fn start(interface: Interface) -> Self {
        let (interface, nodes) = (Arc::new(interface), Nodes::default());
        let pump = tokio::spawn(pump(Arc::clone(&interface), Arc::clone(&nodes)));
        Self { interface, nodes, pump }
    }

    /// Serve `node` as well; false when another interface does.
    pub fn attach(&self, node: &Arc<Node>) -> bool {
        let attached = node.attach(&self.interface);
        if attached {
            lock(&self.nodes).insert(node.links().own(), Arc::downgrade(node));
        }
        attached
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.pump.abort();
        detach_all(&self.interface, &self.nodes);
    }
}

async fn pump(interface: Arc<Interface>, nodes: Nodes) {
    let deliver = |now, outgoing: Outgoing<'_>| -> Result<(), Trouble> {
        let packet = &outgoing.packet;
        let node = lock(&nodes).get(&packet.source).and_then(Weak::upgrade);
        let Some(node) = node else {
            // The kernel itself speaks to everybody on a wire by another address.
            let quiet = packet.destination.is_multicast() || packet.source.is_unicast_link_local();
            interface.counters().drop(if quiet { Dropped::Quiet } else { Dropped::Spoofed });
            return Ok(());
        };
        node.send_packet(now, outgoing)
    };
    let error = interface.pump(deliver).await;
    tracing::warn!(interface = interface.name(), %error, "the interface is gone");
    detach_all(&interface, &nodes);
}

fn detach_all(interface: &Arc<Interface>, nodes: &Nodes) {
    let nodes = std::mem::take(&mut *lock(nodes));
    nodes.values().filter_map(Weak::upgrade).for_each(|node| node.detach(interface));
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
