//! Sockets for the daemon, made where this process is.
//!
//! Listeners are kept here as well as handed over, under the resource they are for: when the daemon
//! goes they stay bound, connections wait in them, and the next daemon gets the same ones.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};

use coconet::address::PREFIX_BITS;
use coconet::control::{Kept, RUN_RESOURCES_MAX, RUN_SOCKETS_MAX, Wanted};
use coconet::name::Name;
use tun_rs::{DeviceBuilder, Layer};

/// Connections that the kernel holds ready for each listener.
const BACKLOG: i32 = 1024;

/// What was made for a resource.
#[derive(Debug)]
struct Made {
    wanted: Vec<Wanted>,
    sockets: Vec<OwnedFd>,
}

/// What the interface is called.
const INTERFACE: &str = "coco";

/// The maker and keeper.
#[derive(Debug, Default)]
pub(super) struct Factory {
    listeners: BTreeMap<Name, Made>,
    /// The interface, and its address.
    interface: Option<(Ipv6Addr, OwnedFd)>,
}

impl Factory {
    /// Make all of these, or none.
    pub(super) fn make(&mut self, wanted: &[Wanted], keep: Option<Name>) -> io::Result<Vec<OwnedFd>> {
        if wanted.len() > RUN_SOCKETS_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if let [Wanted::Interface { address, mtu }] = wanted {
            return self.interface(*address, *mtu).map(|made| vec![made]);
        }
        let Some(resource) = keep else { return wanted.iter().map(socket).collect() };
        if let Some(made) = self.listeners.get(&resource)
            && made.wanted == wanted
        {
            return clones(&made.sockets);
        }
        // Its old ones are in the way, perhaps.
        self.listeners.remove(&resource);
        if self.listeners.len() >= RUN_RESOURCES_MAX {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let sockets: Vec<OwnedFd> = wanted.iter().map(socket).collect::<io::Result<_>>()?;
        let handed = clones(&sockets)?;
        self.listeners.insert(resource, Made { wanted: wanted.to_vec(), sockets });
        Ok(handed)
    }

    /// The interface, which is made once: for a daemon that comes back it is the same.
    fn interface(&mut self, address: Ipv6Addr, mtu: u16) -> io::Result<OwnedFd> {
        if let Some((known, made)) = &self.interface {
            return if *known == address { made.try_clone() } else { Err(io::ErrorKind::AddrInUse.into()) };
        }
        let builder =
            DeviceBuilder::new().name(INTERFACE).layer(Layer::L3).mtu(mtu).offload(true).enable(true);
        let device = builder.build_sync()?;
        device.add_address_v6(address, PREFIX_BITS)?;
        let made = device.as_fd().try_clone_to_owned()?;
        self.interface = Some((address, made.try_clone()?));
        Ok(made)
    }

    /// Keep those of a resource no longer.
    pub(super) fn forget(&mut self, resource: &Name) {
        self.listeners.remove(resource);
    }

    /// What is kept, for a daemon that does not know.
    pub(super) fn kept(&self) -> Vec<Kept> {
        let place = |made: &Made| match made.wanted.first()? {
            Wanted::Tcp(SocketAddr::V4(at)) | Wanted::Udp(SocketAddr::V4(at)) => Some(*at.ip()),
            Wanted::Tcp(SocketAddr::V6(_)) | Wanted::Udp(SocketAddr::V6(_)) | Wanted::Interface { .. } => {
                None
            }
        };
        let kept =
            self.listeners.iter().filter_map(|(name, made)| Some(super::kept_line(name, place(made)?)));
        kept.collect()
    }
}

fn clones(sockets: &[OwnedFd]) -> io::Result<Vec<OwnedFd>> {
    sockets.iter().map(OwnedFd::try_clone).collect()
}

fn socket(wanted: &Wanted) -> io::Result<OwnedFd> {
    match wanted {
        Wanted::Tcp(address) => {
            let listener = TcpListener::bind(local(*address)?)?;
            listener.set_nonblocking(true)?;
            // Listening again only changes how many may wait.
            rustix::net::listen(&listener, BACKLOG)?;
            Ok(listener.into())
        }
        Wanted::Udp(address) => {
            let socket = UdpSocket::bind(local(*address)?)?;
            socket.set_nonblocking(true)?;
            Ok(socket.into())
        }
        // Alone, or not at all.
        Wanted::Interface { .. } => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// There is no other interface than loopback, and never will be one for this.
fn local(address: SocketAddr) -> io::Result<SocketAddr> {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_loopback() => Ok(address),
        IpAddr::V4(_) | IpAddr::V6(_) => Err(io::ErrorKind::AddrNotAvailable.into()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn name() -> Name {
        "door".parse().unwrap()
    }

    fn tcp(address: &str) -> Vec<Wanted> {
        vec![Wanted::Tcp(address.parse().unwrap())]
    }

    fn port_of(sockets: &[OwnedFd]) -> u16 {
        let listener = TcpListener::from(sockets[0].try_clone().unwrap());
        listener.local_addr().unwrap().port()
    }

    #[test]
    fn what_is_kept_is_handed_over_again() {
        let mut factory = Factory::default();
        let first = factory.make(&tcp("127.64.0.1:0"), Some(name())).unwrap();
        let second = factory.make(&tcp("127.64.0.1:0"), Some(name())).unwrap();
        assert_eq!(port_of(&first), port_of(&second));
        assert_eq!(factory.kept(), [super::super::kept_line(&name(), "127.64.0.1".parse().unwrap())]);
        factory.forget(&name());
        assert_eq!(factory.kept(), []);
    }

    #[test]
    fn a_resource_that_moves_gives_its_old_place_up() {
        let mut factory = Factory::default();
        let first = port_of(&factory.make(&tcp("127.64.0.1:0"), Some(name())).unwrap());
        factory.make(&tcp("127.64.0.2:0"), Some(name())).unwrap();
        TcpListener::bind(("127.64.0.1", first)).unwrap();
    }

    #[test]
    fn nothing_is_made_off_loopback_nor_half() {
        let mut factory = Factory::default();
        for address in ["0.0.0.0:0", "192.0.2.1:1", "[::1]:0", "[::]:0"] {
            let error = factory.make(&tcp(address), None).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable, "{address}");
        }
        let taken = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let listener = TcpListener::bind(taken).unwrap();
        let wanted = [Wanted::Udp(taken), Wanted::Tcp(taken)];
        assert_eq!(factory.make(&wanted, Some(name())).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(factory.kept(), []);
        drop(listener);
        factory.make(&wanted, Some(name())).unwrap();
        assert!(factory.make(&vec![Wanted::Udp(taken); RUN_SOCKETS_MAX + 1], None).is_err());
    }
}
