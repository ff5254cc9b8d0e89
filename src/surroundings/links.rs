//! What this machine is connected to, at one moment.
//!
//! [`Links::look`] asks the kernel for interfaces and their addresses, and reads the routes. Two looks are
//! equal when nothing has changed that matters to a connection: counters, lifetimes and the order in which
//! routers advertise are left out. An IPv6 address whose uniqueness is still being checked cannot be used
//! and is not there yet.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

/// Most of a routing table that is looked at, in bytes. A full Internet table is longer; whoever has one
/// learns of changes by the addresses and the first routes.
const ROUTES_MAX: u64 = 1 << 20;

/// The namespace of this thread, which is the process's except in tests.
const IPV4_ROUTES: &str = "/proc/thread-self/net/route";
const IPV6_ROUTES: &str = "/proc/thread-self/net/ipv6_route";
const IPV6_ADDRESSES: &str = "/proc/thread-self/net/if_inet6";

/// Flags of an IPv6 address (`linux/if_addr.h`) that is not unique, or perhaps not.
const NOT_READY: u8 = TENTATIVE | DAD_FAILED;
const TENTATIVE: u8 = 0x40;
const DAD_FAILED: u8 = 0x08;

/// A route by way of a router, and a route that is only remembered (`linux/route.h`).
const RTF_GATEWAY: u32 = 0x0002;
const RTF_CACHE: u32 = 0x0100_0000;

/// Interfaces, addresses and routes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Links {
    /// Interfaces that are up, by name.
    pub interfaces: BTreeMap<String, Interface>,
    /// The router that IPv4 packets to everywhere go to.
    pub gateway: Option<Ipv4Addr>,
    /// Stands for all routes.
    routes: u64,
}

/// An interface that is up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its number.
    pub index: u32,
    /// Whether this machine is all that is behind it.
    pub loopback: bool,
    /// Whether neighbours on it can be spoken to all at once: a LAN, no tunnel to somewhere else.
    pub lan: bool,
    /// Whether a cable is plugged in, or a radio cell found.
    pub running: bool,
    /// Its addresses.
    pub addresses: BTreeSet<IpAddr>,
}

impl Links {
    /// Ask the kernel.
    pub fn look() -> io::Result<Self> {
        let not_ready = not_ready(&read(IPV6_ADDRESSES).unwrap_or_default());
        let mut interfaces: BTreeMap<String, Interface> = BTreeMap::new();
        for found in getifaddrs()? {
            let flags = found.flags;
            if !flags.contains(InterfaceFlags::IFF_UP) {
                continue;
            }
            let interface = interfaces.entry(found.interface_name).or_default();
            interface.loopback = flags.contains(InterfaceFlags::IFF_LOOPBACK);
            interface.running = flags.contains(InterfaceFlags::IFF_RUNNING);
            interface.lan = flags.contains(InterfaceFlags::IFF_MULTICAST)
                && !flags.intersects(InterfaceFlags::IFF_POINTOPOINT | InterfaceFlags::IFF_LOOPBACK);
            let Some(address) = found.address else { continue };
            if let Some(link) = address.as_link_addr() {
                interface.index = u32::try_from(link.ifindex()).unwrap_or_default();
            } else if let Some(v4) = address.as_sockaddr_in() {
                interface.addresses.insert(v4.ip().into());
            } else if let Some(v6) = address.as_sockaddr_in6()
                && !not_ready.contains(&v6.ip())
            {
                interface.addresses.insert(v6.ip().into());
            }
        }
        // A sandbox without /proc sees addresses, and no routes.
        let (v4, v6) = (read(IPV4_ROUTES).unwrap_or_default(), read(IPV6_ROUTES).unwrap_or_default());
        let mut routes = DefaultHasher::new();
        ipv4_routes(&v4).for_each(|route| route.hash(&mut routes));
        ipv6_routes(&v6).for_each(|route| route.hash(&mut routes));
        Ok(Self { interfaces, gateway: gateway(&v4), routes: routes.finish() })
    }

    /// The addresses by which other machines may reach this one.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let outward = self.interfaces.values().filter(|interface| !interface.loopback);
        outward.flat_map(|interface| interface.addresses.iter().copied())
    }

    /// The interfaces with neighbours.
    pub fn lans(&self) -> impl Iterator<Item = &Interface> {
        self.interfaces.values().filter(|interface| interface.lan && interface.running)
    }
}

fn read(path: &str) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(ROUTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// A route as it matters: device, destination, length or mask, next hop, metric.
type Route<'a> = [&'a str; 5];

/// Of `/proc/net/route`: device, destination, gateway, flags, references, uses, metric, mask, ...
fn ipv4_routes(text: &str) -> impl Iterator<Item = Route<'_>> {
    text.lines().skip(1).filter_map(|line| {
        let columns: Vec<&str> = line.split_ascii_whitespace().collect();
        let [device, destination, gateway, _, _, _, metric, mask, ..] = columns[..] else { return None };
        Some([device, destination, mask, gateway, metric])
    })
}

/// Of `/proc/net/ipv6_route`: destination, its length, source, its length, next hop, metric, references,
/// uses, flags, device.
fn ipv6_routes(text: &str) -> impl Iterator<Item = Route<'_>> {
    text.lines().filter_map(|line| {
        let columns: Vec<&str> = line.split_ascii_whitespace().collect();
        let [destination, length, _, _, hop, metric, _, _, flags, device] = columns[..] else { return None };
        let remembered = u32::from_str_radix(flags, 16).is_ok_and(|flags| flags & RTF_CACHE != 0);
        (!remembered).then_some([device, destination, length, hop, metric])
    })
}

/// The next hop of the best default route.
fn gateway(text: &str) -> Option<Ipv4Addr> {
    let defaults = text.lines().skip(1).filter_map(|line| {
        let columns: Vec<&str> = line.split_ascii_whitespace().collect();
        let [_, "00000000", gateway, flags, _, _, metric, "00000000", ..] = columns[..] else { return None };
        let by_router = u32::from_str_radix(flags, 16).is_ok_and(|flags| flags & RTF_GATEWAY != 0);
        // The file shows the number as it stands in memory, where it is in network order.
        let gateway = u32::from_str_radix(gateway, 16).ok().filter(|_| by_router)?;
        Some((metric.parse::<u32>().ok()?, Ipv4Addr::from(gateway.to_ne_bytes())))
    });
    defaults.min().map(|(_, gateway)| gateway)
}

/// Of `/proc/net/if_inet6`: address, interface number, length, scope, flags, device.
fn not_ready(text: &str) -> BTreeSet<Ipv6Addr> {
    let addresses = text.lines().filter_map(|line| {
        let columns: Vec<&str> = line.split_ascii_whitespace().collect();
        let [address, _, _, _, flags, _] = columns[..] else { return None };
        let address = u128::from_str_radix(address, 16).ok().map(Ipv6Addr::from_bits)?;
        u8::from_str_radix(flags, 16).is_ok_and(|flags| flags & NOT_READY != 0).then_some(address)
    });
    addresses.collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    const ROUTES: &str = "\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
wlan0\t00000000\t0102A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0
eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
tun0\t00000000\t00000000\t0001\t0\t0\t50\t00000000\t0\t0\t0
eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0
nonsense
";

    #[test]
    #[cfg(target_endian = "little")]
    fn the_gateway_is_the_router_of_the_best_default_route() {
        assert_eq!(gateway(ROUTES), Some(Ipv4Addr::new(192, 168, 1, 1)));
        assert_eq!((gateway(""), gateway("Iface\nx y z")), (None, None));
    }

    #[test]
    fn what_is_only_counted_or_remembered_is_no_change() {
        let destination = "20010db8000000000000000000000000 40";
        let nowhere = "00000000000000000000000000000000";
        let line = |hop: &str, used: &str, flags: &str| {
            format!("{destination} {nowhere} 00 {hop} 00000400 00000001 {used} {flags} eth0\n")
        };
        let routes = |text: &str| ipv6_routes(text).map(|route| route.join(" ")).collect::<Vec<_>>();
        let (first, again) = (line(nowhere, "00000000", "00000001"), line(nowhere, "0000002a", "00000001"));
        assert_eq!(routes(&first), routes(&again));
        assert_eq!(routes(&first).len(), 1);
        assert_ne!(routes(&first), routes(&line(&nowhere.replacen('0', "f", 1), "00000000", "00000003")));
        assert_eq!(routes(&line(nowhere, "00000000", "01000001")), Vec::<String>::new());
        assert_eq!(ipv4_routes(ROUTES).count(), 4);
        assert_eq!(
            ipv4_routes(&ROUTES.replace("0003\t0\t0", "0003\t7\t9")).collect::<Vec<_>>(),
            ipv4_routes(ROUTES).collect::<Vec<_>>()
        );
    }

    #[test]
    fn an_address_that_is_still_checked_is_not_ready() {
        let text = "\
20010db8000000000000000000000001 02 40 00 00     eth0
fe800000000000000000000000000001 02 40 20 c0     eth0
20010db8000000000000000000000002 02 40 00 08     eth0
";
        let waiting: Vec<String> = not_ready(text).iter().map(ToString::to_string).collect();
        assert_eq!(waiting, ["2001:db8::2", "fe80::1"]);
    }

    #[test]
    fn this_machine_has_a_loopback_interface_that_nobody_else_is_on() {
        let links = Links::look().unwrap();
        let lo = links.interfaces.get("lo").unwrap();
        assert!(lo.loopback && !lo.lan && lo.index > 0, "{lo:?}");
        assert!(lo.addresses.contains(&IpAddr::V4(Ipv4Addr::LOCALHOST)));
        assert!(links.addresses().all(|address| !address.is_loopback()));
        assert_eq!(links, Links::look().unwrap());
    }
}
