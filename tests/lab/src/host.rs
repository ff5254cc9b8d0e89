//! A machine in the lab.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::counters::{self, Sent};
use crate::gateway::SiteHandle;
use crate::internet::Internet;
use crate::namespace::Namespace;
use crate::subnet::{ROUTER, Subnet};
use crate::wire::Wire;

/// The device of each host, beside `lo`.
pub const DEVICE: &str = "eth0";

/// Where a host counts what its programs send.
const TABLE: &str = "inet tried";

/// A machine: a namespace with `lo` and `eth0`.
pub struct Host {
    name: String,
    namespace: Arc<Namespace>,
    internet: Arc<Internet>,
    place: Mutex<Place>,
}

/// Where a host is plugged in.
struct Place {
    wire: Arc<Wire>,
    /// Of a LAN; `None`: alone in its subnet, which is the internet's.
    lan: Option<Subnet>,
    subnet: Subnet,
    number: u8,
}

impl Host {
    /// A host that is plugged in by `plug`, to a LAN if that says so.
    pub(crate) fn new(
        internet: &Arc<Internet>,
        name: &str,
        plug: impl FnOnce(&Namespace) -> (Wire, Option<Subnet>),
    ) -> Self {
        let namespace = internet.adopt(Namespace::host());
        namespace.nft(&format!("table {TABLE} {{ {} }}\n", counters::rules("output")));
        let place = Mutex::new(Place::new(plug(&namespace)));
        let host = Self { name: name.to_owned(), namespace, internet: Arc::clone(internet), place };
        host.renumber();
        host
    }

    /// As it was made.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its addresses now, as it sees them itself.
    #[must_use]
    pub fn addresses(&self) -> Vec<IpAddr> {
        let place = self.place();
        place.subnet.addresses(place.number)
    }

    /// # Panics
    /// When it has no IPv4 address.
    #[must_use]
    pub fn v4(&self) -> Ipv4Addr {
        let place = self.place();
        place.subnet.v4(place.number).expect("a host with an IPv4 address")
    }

    /// # Panics
    /// When it has no IPv6 address.
    #[must_use]
    pub fn v6(&self) -> Ipv6Addr {
        let place = self.place();
        place.subnet.v6(place.number).expect("a host with an IPv6 address")
    }

    /// Other addresses instead of those it has: another public subnet, or another number in the LAN. Returns
    /// them.
    pub fn renumber(&self) -> Vec<IpAddr> {
        let mut place = self.place();
        if let Some(lan) = place.lan {
            (place.subnet, place.number) = (lan, self.internet.next_number());
        } else {
            (place.subnet, place.number) = self.internet.next_place();
            self.internet.router().ip(&place.subnet.take(ROUTER, place.wire.device()));
        }
        self.namespace.ip(&place.subnet.take(place.number, DEVICE));
        place.subnet.addresses(place.number)
    }

    /// Unplug it and plug it in at another site, as a telephone goes from one radio cell to the next or to
    /// the Wi-Fi at home: `eth0` goes and comes back with other addresses. Returns them.
    pub fn move_to(&self, site: &SiteHandle) -> Vec<IpAddr> {
        {
            let mut place = self.place();
            place.wire.unplug();
            *place = Place::new(site.plug(&self.namespace));
        }
        self.renumber()
    }

    /// A command that runs `program` on this host, whoever spawns it and when; the process is the program's
    /// own. It is killed with the lab if it still runs. It sees the files of the machine, but for `/sys` and
    /// `/etc/hosts`, where it finds the names given so far.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        self.namespace.command(program, &self.internet.hosts_file())
    }

    /// Run `what` on this host, on a thread of its own. Sockets it makes, and threads it starts, stay on this
    /// host.
    pub fn enter<T: Send>(&self, what: impl FnOnce() -> T + Send) -> T {
        self.namespace.enter(what)
    }

    /// A UDP socket on this host.
    ///
    /// # Panics
    /// When `address` cannot be bound.
    #[must_use]
    pub fn udp(&self, address: impl Into<SocketAddr>) -> UdpSocket {
        let address = address.into();
        self.enter(|| UdpSocket::bind(address))
            .unwrap_or_else(|e| panic!("binding {address} on {}: {e}", self.name))
    }

    /// Its wire to the router: counters, cuts, holes. A [move](Self::move_to) makes another one.
    #[must_use]
    pub fn wire(&self) -> Arc<Wire> {
        Arc::clone(&self.place().wire)
    }

    /// What programs here tried to send, whether it left or not: to itself, to neighbours that are not there,
    /// while unplugged. Segments sent at once count as one packet; [`Wire::sent`] counts what left.
    #[must_use]
    pub fn tried(&self) -> Vec<Sent> {
        counters::read(&self.namespace, TABLE)
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Without addresses yet.
    fn new((wire, lan): (Wire, Option<Subnet>)) -> Self {
        Self { wire: Arc::new(wire), lan, subnet: Subnet::default(), number: ROUTER }
    }
}
