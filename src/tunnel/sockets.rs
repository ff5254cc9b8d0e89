//! Where an opened tunnel listens: exclusively, and for this machine only.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use coconet::control::ErrorKind;
use coconet::name::Name;
use coconet::resource::Kind;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UdpSocket};

use crate::fault::{Fault, Result};
use crate::node::Node;

/// Local connections the kernel holds ready.
const BACKLOG: i32 = 1024;

/// Ports tried until one is free for TCP and for UDP.
const PAIR_TRIES: usize = 16;

/// Bytes of a UDP socket's buffers: what a client sends while this machine is busy.
const UDP_BUFFER: usize = 1 << 20;

/// What a resource listens for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transports {
    /// Connections.
    pub tcp: bool,
    /// Datagrams.
    pub udp: bool,
}

/// The sockets of one tunnel, all on one address and port.
#[derive(Debug)]
pub struct Sockets {
    /// For connections.
    pub tcp: Option<TcpListener>,
    /// For datagrams.
    pub udp: Option<UdpSocket>,
    /// Where.
    pub address: SocketAddr,
}

impl Transports {
    /// Of a resource, as far as the ledger tells.
    pub fn of(node: &Node, resource: &Name) -> Self {
        let ledger = node.ledger();
        let known = ledger.state().resources().get(resource);
        Self {
            tcp: known.is_none_or(|known| known.kind != Kind::Udp),
            udp: known.is_some_and(|known| known.attributes.takes_udp(known.kind)),
        }
    }
}

impl Sockets {
    /// Bind them; a free port of 127.0.0.1 without an address.
    pub fn bind(address: Option<SocketAddr>, transports: Transports) -> Result<Self> {
        let address = address.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        if !address.ip().is_loopback() {
            return Err(Fault::new(ErrorKind::NotPermitted, format!("{address} is not a loopback address"))
                .hint("a tunnel listens on 127.0.0.1 or [::1], for applications of this machine only"));
        }
        Self::listen(address, transports).map_err(|error| {
            let fault = Fault::failed(format!("cannot listen on {address}")).because(&error);
            match error.kind() {
                io::ErrorKind::AddrInUse => {
                    fault.hint("choose another port with --listen, or leave it out for a free one")
                }
                io::ErrorKind::PermissionDenied => fault.hint(
                    "choose a port above 1023 with --listen, or add it to tunnel.ports in the configuration",
                ),
                _ => fault,
            }
        })
    }

    fn listen(address: SocketAddr, transports: Transports) -> io::Result<Self> {
        let mut left = PAIR_TRIES;
        loop {
            left -= 1;
            let tcp = transports.tcp.then(|| listener(address)).transpose()?;
            let bound = tcp.as_ref().map(TcpListener::local_addr).transpose()?.unwrap_or(address);
            match transports.udp.then(|| datagrams(bound)).transpose() {
                Ok(udp) => {
                    let address = match &udp {
                        Some(udp) => udp.local_addr()?,
                        None => bound,
                    };
                    return Ok(Self { tcp, udp, address });
                }
                // The port that TCP got is taken for UDP: another one will do, where any would.
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && address.port() == 0 && left > 0 => {
                }
                Err(error) => return Err(error),
            }
        }
    }
}

fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Without SO_REUSEADDR a restart would have to wait for old connections to time out; on Linux it
    // does not let anybody else bind a port that is listened on.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn datagrams(address: SocketAddr) -> io::Result<UdpSocket> {
    // Here SO_REUSEADDR would let others share the port.
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    // The system may give less.
    let _ = socket.set_recv_buffer_size(UDP_BUFFER);
    let _ = socket.set_send_buffer_size(UDP_BUFFER);
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}
