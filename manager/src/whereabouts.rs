//! Where a node is, of which there are two answers when it comes inside TLS: what the relay and QUIC know its
//! packets by, and the machine that they come from.

use std::net::SocketAddr;

use coco_tunnel::endpoint::Endpoint;
use coco_tunnel::relay::canonical;
use coco_tunnel::session::Session;
use coco_tunnel::socket::Place;

/// Where the packets of a session come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Whereabouts {
    /// What an end of a channel is bound to.
    pub(crate) bound: SocketAddr,
    /// The UDP or TCP address on the network.
    pub(crate) from: SocketAddr,
}

impl Whereabouts {
    /// Where `session` is now; none when it has no way any more.
    pub(crate) fn of(session: &Session, endpoint: &Endpoint) -> Option<Self> {
        let place = session.place()?;
        match place {
            Place::Direct(address) => {
                let address = canonical(address);
                Some(Self { bound: address, from: address })
            }
            Place::Carrier(_) => Some(Self { bound: place.address(), from: endpoint.carried_from(place)? }),
            // Nobody is dialled from here, and nobody relays for a manager.
            Place::Relay { .. } | Place::Dial(_) => None,
        }
    }

    /// Where others may find it. What a TCP connection comes from is no UDP address.
    pub(crate) fn reflexive(&self) -> Option<SocketAddr> {
        (self.bound == self.from).then_some(self.from)
    }

    /// Whether it is on this machine.
    pub(crate) fn is_here(&self) -> bool {
        self.from.ip().is_loopback()
    }
}
