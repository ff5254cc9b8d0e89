//! What a NAT does, measured as RFC 5780 does it: two servers with two ports each.
//!
//! All sockets are in this process, so the servers need no protocol: where a packet appears to come from is
//! read off the server's socket, and each of the four can send to it.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use crate::host::Host;
use crate::site::Behaviour;

/// How long nothing must come before it counts as filtered. Within one machine a packet takes microseconds.
const SILENCE: Duration = Duration::from_millis(300);

/// Of each server, the two ports.
const PORTS: [u16; 2] = [3478, 3479];

/// How often two hosts try to meet: the first packets open the filters, the second pass them, the third go to
/// where the second came from.
const ROUNDS: usize = 3;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// On what the external port depends.
    pub mapping: Behaviour,
    /// On what it depends whether a packet comes in.
    pub filtering: Behaviour,
    /// Where the first server saw the host.
    pub external: SocketAddr,
}

/// Two servers on the internet.
pub struct Prober {
    /// By server, then by port.
    servers: [[UdpSocket; 2]; 2],
}

impl Prober {
    /// On two public hosts.
    #[must_use]
    pub fn new(one: &Host, two: &Host) -> Self {
        let server = |host: &Host| PORTS.map(|port| patient(host.udp((host.v4(), port))));
        Self { servers: [server(one), server(two)] }
    }

    /// What stands between `host` and the internet; `None`: no UDP gets through.
    #[must_use]
    pub fn measure(&self, host: &Host) -> Option<Found> {
        let [[one, one_other_port], [two, two_other_port]] = &self.servers;
        let client = socket(host);
        let external = seen(&client, one)?;
        let mapping = if seen(&client, two)? == external && seen(&client, two_other_port)? == external {
            Behaviour::EndpointIndependent
        } else if seen(&client, one_other_port)? == external {
            Behaviour::AddressDependent
        } else {
            Behaviour::AddressAndPortDependent
        };
        let client = socket(host);
        let inside_out = seen(&client, one)?;
        // The answer last: it could open what the first packet has not.
        let filtering = if arrives(two, inside_out, &client) {
            Behaviour::EndpointIndependent
        } else if arrives(one_other_port, inside_out, &client) {
            Behaviour::AddressDependent
        } else {
            Behaviour::AddressAndPortDependent
        };
        assert!(arrives(one, inside_out, &client), "an answer does not arrive");
        Some(Found { mapping, filtering, external })
    }

    /// Where the first server sees `client`; `None`: it does not.
    #[must_use]
    pub fn external(&self, client: &UdpSocket) -> Option<SocketAddr> {
        self.seen_by(0, client)
    }

    /// Where server `server` (0 or 1) sees `client`, at its first port.
    #[must_use]
    pub fn seen_by(&self, server: usize, client: &UdpSocket) -> Option<SocketAddr> {
        seen(client, &self.servers[server][0])
    }

    /// Does a packet from server `server` (0 or 1), from its first port, arrive at `client` when sent to
    /// `external`?
    #[must_use]
    pub fn reaches(&self, server: usize, external: SocketAddr, client: &UdpSocket) -> bool {
        arrives(&self.servers[server][0], external, client)
    }

    /// Where each of two hosts sees the other from when they send to each other's external endpoints; `None`:
    /// they do not.
    #[must_use]
    pub fn hairpin(&self, a: &Host, b: &Host) -> Option<[SocketAddr; 2]> {
        let [a, b] = [a, b].map(socket);
        let (external_a, external_b) = (self.external(&a)?, self.external(&b)?);
        // The first packet may open the way for the second only.
        let _ = a.send_to(b"open", external_b);
        let _ = b.send_to(b"open", external_a);
        let seen_by_b = crossing(&a, external_b, &b)?;
        let seen_by_a = crossing(&b, external_a, &a)?;
        Some([seen_by_a, seen_by_b])
    }
}

/// Can two hosts meet? Each learns its external endpoint from a server, is told the other's, and sends there,
/// then to where the other's packets really come from.
#[must_use]
pub fn punch(prober: &Prober, a: &Host, b: &Host) -> bool {
    let (a, b) = (socket(a), socket(b));
    let (Some(mut to_b), Some(mut to_a)) = (prober.external(&b), prober.external(&a)) else { return false };
    for _ in 0..ROUNDS {
        let _ = a.send_to(b"punch", to_b);
        let _ = b.send_to(b"punch", to_a);
        let heard = [&a, &b].map(|end| end.recv_from(&mut [0; 64]).ok());
        if let [Some(_), Some(_)] = heard {
            return true;
        }
        let [from_b, from_a] = heard;
        to_b = from_b.map_or(to_b, |(_, source)| source);
        to_a = from_a.map_or(to_a, |(_, source)| source);
    }
    false
}

/// A socket of `host` that waits no longer than a probe does.
///
/// # Panics
/// When the host has no port left.
#[must_use]
pub fn socket(host: &Host) -> UdpSocket {
    patient(host.udp((Ipv4Addr::UNSPECIFIED, 0)))
}

/// Where `to` sees what `from` sends; `None`: nothing arrives.
#[must_use]
pub fn seen(from: &UdpSocket, to: &UdpSocket) -> Option<SocketAddr> {
    crossing(from, to.local_addr().ok()?, to)
}

/// Does what `from` sends to `address` arrive at `to`?
#[must_use]
pub fn arrives(from: &UdpSocket, address: SocketAddr, to: &UdpSocket) -> bool {
    crossing(from, address, to).is_some()
}

fn crossing(from: &UdpSocket, address: SocketAddr, to: &UdpSocket) -> Option<SocketAddr> {
    static NUMBER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let probe = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_be_bytes();
    // The network may say that there is no way.
    from.send_to(&probe, address).ok()?;
    let mut buffer = [0; 64];
    loop {
        match to.recv_from(&mut buffer) {
            Ok((len, source)) if buffer[..len] == probe => return Some(source),
            Ok(_) => {}
            // Of an earlier probe.
            Err(e) if matches!(e.kind(), ErrorKind::ConnectionRefused | ErrorKind::HostUnreachable) => {}
            Err(_) => return None,
        }
    }
}

fn patient(socket: UdpSocket) -> UdpSocket {
    socket.set_read_timeout(Some(SILENCE)).expect("a timeout that is not zero");
    socket
}
