//! A machine in the lab.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::internet::Internet;
use crate::namespace::Namespace;
use crate::subnet::{ROUTER, Subnet};
use crate::wire::Wire;

/// The device of each host, beside `lo`.
pub const DEVICE: &str = "eth0";

/// A machine: a namespace with `lo` and `eth0`.
pub struct Host {
    name: String,
    namespace: Arc<Namespace>,
    wire: Wire,
    upper: Arc<Namespace>,
    internet: Arc<Internet>,
    /// Alone in its subnet, which is the internet's; else one of a LAN.
    public: bool,
    place: Mutex<(Subnet, u8)>,
}

impl Host {
    /// Directly at the internet.
    pub(crate) fn public(
        internet: &Arc<Internet>,
        name: &str,
        wire: Wire,
        namespace: Arc<Namespace>,
    ) -> Self {
        let place = Mutex::new((Subnet::public(0), ROUTER));
        let (upper, internet) = (Arc::clone(internet.router()), Arc::clone(internet));
        let host = Self { name: name.to_owned(), namespace, wire, upper, internet, public: true, place };
        host.renumber();
        host
    }

    /// In a LAN.
    pub(crate) fn in_lan(
        internet: &Arc<Internet>,
        name: &str,
        wire: Wire,
        namespace: Arc<Namespace>,
        (gateway, lan): (&Arc<Namespace>, Subnet),
    ) -> Self {
        let place = Mutex::new((lan, ROUTER));
        let (upper, internet) = (Arc::clone(gateway), Arc::clone(internet));
        let host = Self { name: name.to_owned(), namespace, wire, upper, internet, public: false, place };
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
        let (subnet, number) = *self.place();
        subnet.addresses(number)
    }

    /// # Panics
    /// When it has no IPv4 address.
    #[must_use]
    pub fn v4(&self) -> Ipv4Addr {
        let (subnet, number) = *self.place();
        subnet.v4(number).expect("a host with an IPv4 address")
    }

    /// # Panics
    /// When it has no IPv6 address.
    #[must_use]
    pub fn v6(&self) -> Ipv6Addr {
        let (subnet, number) = *self.place();
        subnet.v6(number).expect("a host with an IPv6 address")
    }

    /// Other addresses instead of those it has: another public subnet, or another number in the LAN. Its name for
    /// them is the return value.
    pub fn renumber(&self) -> Vec<IpAddr> {
        let (subnet, number) = {
            let mut place = self.place();
            *place =
                if self.public { self.internet.next_place() } else { (place.0, self.internet.next_number()) };
            *place
        };
        if self.public {
            self.upper.ip(&subnet.take(ROUTER, self.wire.device()));
        }
        self.namespace.ip(&subnet.take(number, DEVICE));
        self.addresses()
    }

    /// A command that runs `program` on this host, whoever spawns it and when; the process is the program's own. It
    /// is killed with the lab if it still runs. It sees the files of the machine, `/sys` included, whose
    /// `/sys/class/net` is therefore not that of the host.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        self.namespace.command(program)
    }

    /// Run `what` on this host, on a thread of its own. Sockets it makes, and threads it starts, stay on this host.
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

    /// Its wire to the router: counters, cuts, holes.
    #[must_use]
    pub fn wire(&self) -> &Wire {
        &self.wire
    }

    fn place(&self) -> MutexGuard<'_, (Subnet, u8)> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
