//! The addresses this machine can be reached at, as far as it knows itself.

use std::net::SocketAddr;

use coco_tunnel::endpoint::{Endpoint, dialable};
use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

/// The interface addresses on which `endpoint` listens, with its ports. Loopback is left out: it is the
/// manager that knows whether somebody else is on this machine.
pub(super) fn own(endpoint: &Endpoint) -> Vec<SocketAddr> {
    let bound = endpoint.addresses();
    let interfaces = interfaces();
    let reachable = bound.iter().flat_map(|bound| {
        let any = bound.ip().is_unspecified();
        let of_family = |ip: &&std::net::IpAddr| ip.is_ipv4() == bound.is_ipv4();
        let ips = if any { interfaces.iter().filter(of_family).copied().collect() } else { vec![bound.ip()] };
        ips.into_iter().map(|ip| SocketAddr::new(ip, bound.port()))
    });
    dialable(reachable, false)
}

fn interfaces() -> Vec<std::net::IpAddr> {
    let Ok(addresses) = getifaddrs() else { return Vec::new() };
    let up = addresses.filter(|interface| interface.flags.contains(InterfaceFlags::IFF_UP));
    up.filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|v4| v4.ip().into());
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| v6.ip().into()))
    })
    .collect()
}
