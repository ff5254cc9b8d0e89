//! The sockets that a daemon speaks and hears on LANs by: two of each family, for all its networks.
//!
//! What is sent to the group arrives at a socket on [`PORT`]. Each application has its own daemon, and all
//! daemons of a machine listen to the same group, so that socket has `SO_REUSEADDR`: of a packet to a group,
//! each listener gets a copy. Nothing is taken from anybody by that, unlike on the sockets for data, where a
//! second listener would get a share of what is for the first; those share nothing. `SO_REUSEPORT` is not
//! needed, and would keep daemons of different users apart.
//!
//! Everything is sent from a second socket with a port of its own, and answers come to that one. No packet
//! survives a router: the hop limit is 1.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::task::Poll;

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockRef, Socket, Type};
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;

use crate::surroundings::links::{Interface, Links};

/// Where questions and announcements are heard.
pub const PORT: u16 = 49_344;

/// The IPv4 group: of the organisation-local ones (RFC 2365), which no router forwards to the Internet.
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(239, 255, 192, 192);

/// The IPv6 group: not registered, and of the link (RFC 4291).
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff12, 0, 0, 0, 0, 0, 0, 0xc0c0);

/// Interfaces that are spoken on; a machine with more has them for containers.
pub const INTERFACES_MAX: usize = 16;

/// All sockets. A machine may be without one of the families.
#[derive(Debug)]
pub(super) struct Sockets {
    v4: Option<Pair>,
    v6: Option<Pair>,
}

#[derive(Debug)]
struct Pair {
    group: UdpSocket,
    own: UdpSocket,
}

/// A place to speak from: an interface, by one of the families.
#[derive(Debug, Clone)]
pub(super) struct Spot<'a> {
    pub(super) interface: &'a Interface,
    /// Where neighbours see packets come from.
    pub(super) from: IpAddr,
}

impl Sockets {
    pub(super) fn bind() -> io::Result<Self> {
        let v6 = Pair::v6();
        match Pair::v4() {
            Ok(v4) => Ok(Self { v4: Some(v4), v6: v6.ok() }),
            Err(error) => Ok(Self { v4: None, v6: Some(v6.map_err(|_| error)?) }),
        }
    }

    /// Be a member of the groups on every LAN. Where that is so already, it stays so.
    pub(super) fn join(&self, links: &Links) {
        for Interface { index, .. } in links.lans().take(INTERFACES_MAX) {
            if let Some(Pair { group, .. }) = &self.v4 {
                let on = InterfaceIndexOrAddress::Index(*index);
                told(SockRef::from(group).join_multicast_v4_n(&GROUP_V4, &on));
            }
            if let Some(Pair { group, .. }) = &self.v6 {
                told(group.join_multicast_v6(&GROUP_V6, *index));
            }
        }
    }

    /// Where to speak.
    pub(super) fn spots<'a>(&self, links: &'a Links) -> Vec<Spot<'a>> {
        let (v4, v6) = (self.v4.is_some(), self.v6.is_some());
        let spots = links.lans().take(INTERFACES_MAX).flat_map(move |interface| {
            let mut ips = interface.addresses.iter().copied();
            let v4 = ips.clone().find(IpAddr::is_ipv4).filter(|_| v4);
            let v6 = ips.find(|ip| matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local())).filter(|_| v6);
            v4.into_iter().chain(v6).map(move |from| Spot { interface, from })
        });
        spots.collect()
    }

    /// Say something to all neighbours. What cannot be sent now is lost, as any packet may be.
    pub(super) fn tell_all(&self, spot: &Spot<'_>, packet: &[u8]) {
        match (spot.from, &self.v4) {
            (IpAddr::V4(from), Some(Pair { own, .. })) => {
                told(SockRef::from(own).set_multicast_if_v4(&from));
                self.tell(SocketAddrV4::new(GROUP_V4, PORT).into(), packet);
            }
            (IpAddr::V4(_), None) => {}
            (IpAddr::V6(_), _) => {
                self.tell(SocketAddrV6::new(GROUP_V6, PORT, 0, spot.interface.index).into(), packet);
            }
        }
    }

    /// Say something to one neighbour, or to a group.
    pub(super) fn tell(&self, to: SocketAddr, packet: &[u8]) {
        let pair = if to.is_ipv4() { &self.v4 } else { &self.v6 };
        let Some(Pair { own, .. }) = pair else { return };
        // Past tokio, which does not try to send before it has been told that it can.
        told(SockRef::from(own).send_to(packet, &to.into()).map(|_| ()));
    }

    /// The next packet, and who sent it. Answers come first, so that a flood to the group keeps nobody from
    /// them.
    pub(super) async fn hear(&self, packet: &mut [u8]) -> (usize, SocketAddr) {
        let pairs = || [&self.v4, &self.v6].into_iter().flatten();
        poll_fn(|cx| {
            for socket in pairs().map(|pair| &pair.own).chain(pairs().map(|pair| &pair.group)) {
                let mut buffer = ReadBuf::new(packet);
                match socket.poll_recv_from(cx, &mut buffer) {
                    Poll::Ready(Ok(from)) => return Poll::Ready((buffer.filled().len(), from)),
                    Poll::Ready(Err(error)) => {
                        // For example "port unreachable", about an answer of before.
                        tracing::trace!(%error, "LAN socket");
                        cx.waker().wake_by_ref();
                    }
                    Poll::Pending => {}
                }
            }
            Poll::Pending
        })
        .await
    }
}

impl Pair {
    fn v4() -> io::Result<Self> {
        let group = socket(Domain::IPV4)?;
        group.set_reuse_address(true)?;
        // To the group's own address: what is sent to this machine alone is not heard.
        group.bind(&SocketAddrV4::new(GROUP_V4, PORT).into())?;
        let own = socket(Domain::IPV4)?;
        own.set_multicast_ttl_v4(1)?;
        own.set_ttl_v4(1)?;
        own.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0).into())?;
        Self::of(group, own)
    }

    fn v6() -> io::Result<Self> {
        let group = socket(Domain::IPV6)?;
        group.set_only_v6(true)?;
        group.set_reuse_address(true)?;
        group.bind(&SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, PORT, 0, 0).into())?;
        let own = socket(Domain::IPV6)?;
        own.set_only_v6(true)?;
        own.set_multicast_hops_v6(1)?;
        own.set_unicast_hops_v6(1)?;
        own.bind(&SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 0, 0, 0).into())?;
        Self::of(group, own)
    }

    fn of(group: Socket, own: Socket) -> io::Result<Self> {
        Ok(Self { group: UdpSocket::from_std(group.into())?, own: UdpSocket::from_std(own.into())? })
    }
}

/// The address that neighbours see packets to `to` come from.
pub(super) fn source_towards(to: SocketAddr) -> io::Result<IpAddr> {
    let any: SocketAddr =
        if to.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = std::net::UdpSocket::bind(any)?;
    // Sends nothing.
    socket.connect(to)?;
    Ok(socket.local_addr()?.ip())
}

fn socket(domain: Domain) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Membership that there is already, interfaces that have gone: nothing to do about it.
fn told(outcome: io::Result<()>) {
    if let Err(error) = outcome {
        tracing::trace!(%error, "LAN socket");
    }
}
