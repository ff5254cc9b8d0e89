//! The interface of the whole machine: `[ip] host = true`.
//!
//! It is made at the start, while the daemon may still do so, with the address of this daemon's node in each network that it
//! has joined, and a route to that network's prefix. Nothing else of the machine is changed: no default route,
//! no name servers. By the time a network is joined the daemon has given that right up, unless its sandbox is off:
//! the node gets its address with the next start, and the events say so.

use std::collections::BTreeSet;
use std::io;
use std::net::Ipv6Addr;
use std::os::fd::AsFd;
use std::sync::Arc;

use coco_tunnel::forward::ip::{Interface, MTU};
use coconet::address::{self, PREFIX_BITS};
use coconet::id::{NetworkId, NodeId};
use coconet::name::Name;
use tun_rs::{DeviceBuilder, Layer, SyncDevice};

use super::Served;
use crate::config::IpConfig;
use crate::fault::{Fault, Result};
use crate::node::Node;

/// Longest name of an interface (`IFNAMSIZ`, with its zero).
pub const NAME_MAX: usize = 15;

/// What its name begins with, unless the configuration says another one.
pub const NAME_PREFIX: &str = "coco-";

/// The interface of the machine.
pub struct Host {
    device: SyncDevice,
    /// The addresses it got while nothing stood in the way.
    given: BTreeSet<Ipv6Addr>,
    served: Served,
}

impl Host {
    /// Make it with the addresses of those `nodes`, named as the configuration says.
    pub fn make(config: &IpConfig, app: &Name, nodes: &[(NetworkId, NodeId)]) -> Result<Self> {
        let name = match config.interface.as_str() {
            "" => format!("{NAME_PREFIX}{app}").chars().take(NAME_MAX).collect(),
            chosen => chosen.to_owned(),
        };
        let failed = |error: io::Error| failed(&name, &error);
        let made = DeviceBuilder::new().name(&name).layer(Layer::L3).mtu(MTU).offload(true).enable(true);
        let device = made.build_sync().map_err(failed)?;
        let given: BTreeSet<Ipv6Addr> =
            nodes.iter().map(|(network, node)| address::of(*network, *node)).collect();
        given.iter().try_for_each(|own| device.add_address_v6(*own, PREFIX_BITS)).map_err(failed)?;
        let descriptor = device.as_fd().try_clone_to_owned().map_err(failed)?;
        let interface = Interface::new(name.clone(), descriptor).map_err(failed)?;
        Ok(Self { device, given, served: Served::start(interface) })
    }

    /// Give it the address of a node, whose packets it takes from then on.
    pub fn add(&self, node: &Arc<Node>) -> Result<()> {
        let own = node.links().own();
        if !self.given.contains(&own) {
            self.device.add_address_v6(own, PREFIX_BITS).map_err(|error| {
                Fault::failed(format!(
                    "the interface has no address in {} until cocod starts again",
                    node.name()
                ))
                .because(&error)
                .hint("start cocod again")
            })?;
        }
        self.served.attach(node);
        Ok(())
    }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("served", &self.served).finish_non_exhaustive()
    }
}

fn failed(name: &str, error: &io::Error) -> Fault {
    let fault = Fault::failed(format!("cannot make the network interface {name}")).because(error);
    match error.kind() {
        io::ErrorKind::PermissionDenied => fault.hint(
            "[ip] host = true needs the capability CAP_NET_ADMIN and /dev/net/tun: run cocod as root, or give \
             its unit what contrib/systemd/ip.conf has",
        ),
        io::ErrorKind::NotFound => fault.hint("/dev/net/tun is missing: modprobe tun"),
        io::ErrorKind::ResourceBusy => {
            fault.hint("another program has it: choose a name with [ip] interface")
        }
        _ => fault.hint("see [ip] in the configuration"),
    }
}
