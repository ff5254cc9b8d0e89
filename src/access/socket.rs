//! Whose socket is it?
//!
//! The kernel's sock_diag is asked for the one socket with these two addresses (sock_diag(7)); where it does
//! not answer, the tables in `/proc/net` are searched. Both tell the user who made the socket and its inode.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;

use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};

/// Longest answer about one socket.
const ANSWER_MAX: usize = 4096;

/// Any incarnation of a socket will do.
pub(super) const NO_COOKIE: [u8; 8] = [0xff; 8];

/// What kind of socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// A connection.
    Tcp,
    /// Datagrams.
    Udp,
}

/// Whose socket it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The user who made it.
    pub uid: u32,
    /// What `/proc/PID/fd` shows of it.
    pub inode: u64,
}

/// The owner of the socket at `peer` that talks to `local`. To be asked at once: a client that has closed
/// its socket meanwhile has none.
pub fn owner(transport: Transport, local: SocketAddr, peer: SocketAddr) -> io::Result<Owner> {
    match diag(transport, local, peer) {
        Ok(owner) => Ok(owner),
        Err(error) => {
            tracing::trace!(%error, "sock_diag does not tell; looking in /proc/net");
            listed(transport, local, peer)
        }
    }
}

fn diag(transport: Transport, local: SocketAddr, peer: SocketAddr) -> io::Result<Owner> {
    // The kernel took the two addresses of a UDP socket the other way round before Linux 5.9.
    let found = look_up(transport, peer, local, peer);
    if transport == Transport::Udp { found.or_else(|_| look_up(transport, local, peer, peer)) } else { found }
}

/// Ask for the socket from `source` to `destination`; one that is not bound to `wanted` is another.
fn look_up(
    transport: Transport,
    source: SocketAddr,
    destination: SocketAddr,
    wanted: SocketAddr,
) -> io::Result<Owner> {
    let id = SocketId {
        source_port: source.port(),
        destination_port: destination.port(),
        source_address: source.ip(),
        destination_address: destination.ip(),
        interface_id: 0,
        cookie: NO_COOKIE,
    };
    let request = InetRequest {
        family: if source.is_ipv4() { AF_INET } else { AF_INET6 },
        protocol: match transport {
            Transport::Tcp => IPPROTO_TCP,
            Transport::Udp => IPPROTO_UDP,
        },
        extensions: ExtensionFlags::empty(),
        states: StateFlags::all(),
        socket_id: id,
    };
    let SockDiagMessage::InetResponse(found) = ask(SockDiagMessage::InetRequest(request))? else {
        return Err(io::ErrorKind::NotFound.into());
    };
    let found = found.header;
    if found.socket_id.source_port != wanted.port() || found.inode == 0 {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(Owner { uid: found.uid, inode: found.inode.into() })
}

/// Ask the kernel about one socket.
pub(super) fn ask(request: SockDiagMessage) -> io::Result<SockDiagMessage> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST;
    let mut message = NetlinkMessage::new(header, request.into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);

    let netlink = socket(
        AddressFamily::Netlink,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        SockProtocol::NetlinkSockDiag,
    )?;
    // The kernel answers before this returns.
    sendto(netlink.as_raw_fd(), &bytes, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    let mut answer = vec![0; ANSWER_MAX];
    let length = recv(netlink.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    let malformed = |_| io::Error::from(io::ErrorKind::InvalidData);
    match NetlinkMessage::<SockDiagMessage>::deserialize(&answer[..length]).map_err(malformed)?.payload {
        NetlinkPayload::InnerMessage(answer) => Ok(answer),
        NetlinkPayload::Error(error) => Err(error.to_io()),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

/// Search the tables for the socket.
fn listed(transport: Transport, local: SocketAddr, peer: SocketAddr) -> io::Result<Owner> {
    let names = match transport {
        Transport::Tcp => ["tcp", "tcp6"],
        Transport::Udp => ["udp", "udp6"],
    };
    for name in names {
        let table = fs::read_to_string(format!("/proc/net/{name}"))?;
        if let Some(owner) = table.lines().skip(1).find_map(|line| row(line, transport, local, peer)) {
            return Ok(owner);
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

/// The owner in one line of a table, if it is of the socket that is looked for.
fn row(line: &str, transport: Transport, local: SocketAddr, peer: SocketAddr) -> Option<Owner> {
    let mut fields = line.split_whitespace().skip(1);
    let (own, remote) = (address(fields.next()?)?, address(fields.next()?)?);
    // The state, the queues, the timer, retransmits.
    let uid = fields.nth(4)?.parse().ok()?;
    let inode = fields.nth(1)?.parse().ok().filter(|inode| *inode != 0)?;
    let (local, peer) = (canonical(local), canonical(peer));
    let fits = match transport {
        Transport::Tcp => own == peer && remote == local,
        // A UDP socket may be bound to every address, and be connected to nobody.
        Transport::Udp => {
            own.port() == peer.port()
                && (own.ip() == peer.ip() || own.ip().is_unspecified())
                && (remote == local || remote.port() == 0)
        }
    };
    fits.then_some(Owner { uid, inode })
}

/// `0100007F:1F90`: 32-bit words in the machine's order, and the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let word = |at: usize| u32::from_str_radix(ip.get(at * 8..at * 8 + 8)?, 16).ok().map(u32::to_ne_bytes);
    let ip: IpAddr = match ip.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let bytes = [word(0)?, word(1)?, word(2)?, word(3)?].concat();
            Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into()
        }
        _ => return None,
    };
    Some(canonical(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?)))
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::unix::fs::MetadataExt;

    use nix::unistd::Uid;

    use super::*;

    fn inode(socket: &impl AsRawFd) -> u64 {
        fs::metadata(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap().ino()
    }

    fn expected(socket: &impl AsRawFd) -> Owner {
        Owner { uid: Uid::effective().as_raw(), inode: inode(socket) }
    }

    #[test]
    fn the_owner_of_a_connection_is_found_both_ways() {
        for listen in ["127.0.0.1:0", "[::1]:0", "127.8.9.10:0"] {
            let listener = TcpListener::bind(listen).unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (accepted, peer) = listener.accept().unwrap();
            let local = accepted.local_addr().unwrap();
            assert_eq!(diag(Transport::Tcp, local, peer).unwrap(), expected(&client), "{listen}");
            assert_eq!(listed(Transport::Tcp, local, peer).unwrap(), expected(&client), "{listen}");
        }
    }

    #[test]
    fn the_owner_of_a_udp_client_is_found_connected_or_not() {
        for (listen, bind) in
            [("127.0.0.1:0", "127.0.0.1:0"), ("127.0.0.1:0", "0.0.0.0:0"), ("[::1]:0", "[::1]:0")]
        {
            let server = UdpSocket::bind(listen).unwrap();
            let local = server.local_addr().unwrap();
            for connected in [false, true] {
                let client = UdpSocket::bind(bind).unwrap();
                if connected {
                    client.connect(local).unwrap();
                }
                client.send_to(b"x", local).ok();
                if connected {
                    client.send(b"x").unwrap();
                }
                let (_, peer) = server.recv_from(&mut [0; 1]).unwrap();
                assert_eq!(
                    diag(Transport::Udp, local, peer).unwrap(),
                    expected(&client),
                    "{bind} {connected}"
                );
                assert_eq!(listed(Transport::Udp, local, peer).unwrap(), expected(&client), "{bind}");
                server.set_nonblocking(true).unwrap();
                while server.recv_from(&mut [0; 1]).is_ok() {}
                server.set_nonblocking(false).unwrap();
            }
        }
    }

    #[test]
    fn a_client_over_a_mapped_address_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = TcpStream::connect(format!("[::ffff:127.0.0.1]:{port}").parse::<SocketAddr>().unwrap());
        let client = client.unwrap();
        let (accepted, peer) = listener.accept().unwrap();
        let local = accepted.local_addr().unwrap();
        assert_eq!(diag(Transport::Tcp, local, peer).unwrap(), expected(&client));
        assert_eq!(listed(Transport::Tcp, local, peer).unwrap(), expected(&client));
    }

    #[test]
    fn a_client_that_has_gone_has_no_owner() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, peer) = listener.accept().unwrap();
        drop(client);
        // What is left of its socket is in nobody's hands.
        assert!(owner(Transport::Tcp, accepted.local_addr().unwrap(), peer).is_err());
        let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
        assert!(owner(Transport::Udp, accepted.local_addr().unwrap(), nobody).is_err());
    }

    #[test]
    fn a_line_of_the_table_is_read_as_the_kernel_writes_it() {
        let line = "   1: 0100007F:1F90 0200007F:A1B2 01 00000000:00000000 00:00000000 00000000  1000        0 4711 1";
        let (peer, local) = ("127.0.0.1:8080".parse().unwrap(), "127.0.0.2:41394".parse().unwrap());
        if cfg!(target_endian = "little") {
            let found = row(line, Transport::Tcp, local, peer);
            assert_eq!(found, Some(Owner { uid: 1000, inode: 4711 }));
            assert_eq!(row(line, Transport::Tcp, peer, local), None);
        }
        for bad in ["", "1: x y", "1: 0100007F:1F90", "1: 0100007F 0200007F:A1B2 01 0 0 0 1 0 1"] {
            assert_eq!(row(bad, Transport::Tcp, local, peer), None, "{bad:?}");
        }
    }
}
