//! Where an opened tunnel listens: exclusively, and for this machine only unless it was said otherwise.
//!
//! A tunnel has one place ([`Listen`]) with what its resource needs there ([`Transports`]). Whatever it is
//! that takes connections ([`Streams`]), each comes with what the system tells of who made it ([`Comer`]).

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use coco_tunnel::descriptors::spare;
use coco_tunnel::forward::Local;
use coconet::control::ErrorKind;
use coconet::listen::Listen;
use coconet::name::Name;
use coconet::resource::Kind;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UdpSocket};

use super::unix::{SocketDirs, UnixError, UnixSocket};
use crate::access::{self, Owner, Rules, Transport};
use crate::fault::{Fault, Result};
use crate::node::Node;

/// Local connections the kernel holds ready.
pub(super) const BACKLOG: i32 = 1024;

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
    /// Ports, for media beside the connections.
    pub ports: bool,
}

/// The sockets of one tunnel, all in one place.
#[derive(Debug)]
pub struct Sockets {
    /// For connections.
    pub streams: Option<Streams>,
    /// For datagrams.
    pub datagrams: Option<UdpSocket>,
    /// Where.
    pub place: Listen,
}

/// What takes connections.
#[derive(Debug)]
pub enum Streams {
    /// TCP.
    Tcp(TcpListener),
    /// TCP of another network namespace: the system tells nothing of who comes.
    Inside(TcpListener),
    /// A unix socket.
    Unix(UnixSocket),
}

/// Who has connected.
#[derive(Debug)]
pub struct Comer {
    /// Whose socket is at the other end, as far as the system tells.
    pub owner: io::Result<Owner>,
}

/// Where a tunnel of this daemon may listen, and who will be let in.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'a> {
    /// Where unix sockets may be.
    pub dirs: &'a SocketDirs,
    /// Who may connect.
    pub rules: &'a Rules,
    /// Whether it was said that other machines may.
    pub public: bool,
}

impl Transports {
    /// Of a resource, as far as the ledger tells.
    pub fn of(node: &Node, resource: &Name) -> Self {
        let ledger = node.ledger();
        let known = ledger.state().resources().get(resource);
        Self {
            tcp: known.is_none_or(|known| known.kind != Kind::Udp),
            udp: known.is_some_and(|known| known.attributes.takes_udp(known.kind)),
            ports: known.is_some_and(|known| known.kind == Kind::Rtsp),
        }
    }
}

impl Sockets {
    /// Bind them; on a free port of 127.0.0.1 when there is no place.
    pub fn bind(place: Option<&Listen>, transports: Transports, ground: Ground<'_>) -> Result<Self> {
        match place {
            Some(place) if place.is_public() != ground.public => Err(if ground.public {
                Fault::usage(format!("{place} is for this machine alone"))
                    .hint("leave out --public, or listen on another address: --listen 0.0.0.0:PORT")
            } else {
                Fault::new(ErrorKind::NotPermitted, format!("{place} is not a loopback address"))
                    .hint("add --public to let in whoever reaches this machine there, or listen on 127.0.0.1 or [::1]")
            }),
            None if ground.public => Err(Fault::usage("--public needs an address that others reach")
                .hint("for example --listen 0.0.0.0:8554 --public")),
            Some(Listen::Ip(address)) if address.ip().is_unspecified() && transports.udp => {
                Err(Fault::usage(
                    "datagrams are answered from the address they were sent to, which has to be one",
                )
                .hint("--listen with an address of this machine that others reach"))
            }
            None => Self::bind_ip(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), transports),
            Some(Listen::Ip(address)) => Self::bind_ip(*address, transports),
            Some(Listen::Unix(path)) => Self::bind_unix(path, transports, ground),
        }
    }

    fn bind_ip(address: SocketAddr, transports: Transports) -> Result<Self> {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        Self::listen(address, transports).map_err(|error| {
            let fault = Fault::failed(format!("cannot listen on {address}")).because(&error);
            match error.kind() {
                io::ErrorKind::AddrInUse => {
                    fault.hint("choose another port with --listen, or leave it out for a free one")
                }
                io::ErrorKind::PermissionDenied => fault.hint(
                    "choose a port above 1023 with --listen, or add it to tunnel.ports in the configuration",
                ),
                _ => fault.hint("--listen with an address of this machine, or none for 127.0.0.1"),
            }
        })
    }

    fn bind_unix(path: &Path, transports: Transports, ground: Ground<'_>) -> Result<Self> {
        let place = Listen::Unix(path.to_owned());
        if transports.udp || transports.ports {
            return Err(Fault::usage("this resource needs ports, which a unix socket has not")
                .hint("listen on an address: --listen 127.0.0.1:PORT, or none for a free port"));
        }
        let socket = ground.dirs.bind(path, !ground.rules.are_of_own_user()).map_err(|error| {
            let fault = Fault::failed(format!("cannot listen on {place}")).because(&error);
            match error {
                UnixError::Elsewhere => fault.hint(
                    "name its directory under [tunnel] socket_dirs in the daemon's configuration, or take one \
                     below the state directory",
                ),
                UnixError::Directory(..) => fault.hint("make the directory first; links in it are not followed"),
                UnixError::Unsafe(_) => fault.hint("chmod o-w it, or take another directory"),
                UnixError::Taken | UnixError::Foreign | UnixError::Io(_) => {
                    fault.hint("choose another path with --listen")
                }
            }
        })?;
        Ok(Self { streams: Some(Streams::Unix(socket)), datagrams: None, place })
    }

    fn listen(address: SocketAddr, transports: Transports) -> io::Result<Self> {
        let mut left = PAIR_TRIES;
        loop {
            left -= 1;
            let tcp = transports.tcp.then(|| listener(address)).transpose()?;
            let bound = tcp.as_ref().map(TcpListener::local_addr).transpose()?.unwrap_or(address);
            match transports.udp.then(|| datagrams(bound)).transpose() {
                Ok(datagrams) => {
                    let address = match &datagrams {
                        Some(udp) => udp.local_addr()?,
                        None => bound,
                    };
                    return Ok(Self {
                        streams: tcp.map(Streams::Tcp),
                        datagrams,
                        place: Listen::Ip(address),
                    });
                }
                // The port that TCP got is taken for UDP: another one will do, where any would.
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && address.port() == 0 && left > 0 => {
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Comer {
    /// Somebody in another network namespace, of whom nothing can be told.
    pub fn inside() -> Self {
        Self { owner: Err(io::ErrorKind::Unsupported.into()) }
    }
}

impl Streams {
    /// The next connection, and who made it. Asked at once: whoever has closed meanwhile cannot be told from
    /// others. One that comes when descriptors are scarce is closed, which is an error.
    pub async fn accept(&self) -> io::Result<(Local, Comer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                let stream = spare(stream)?;
                let owner = stream.local_addr().and_then(|local| access::owner(Transport::Tcp, local, peer));
                Ok((Local::tcp(stream), Comer { owner }))
            }
            Self::Inside(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Local::tcp(stream), Comer::inside()))
            }
            Self::Unix(socket) => {
                let (stream, _) = socket.listener().accept().await?;
                let stream = spare(stream)?;
                let owner = access::unix_owner(&stream);
                Ok((Local::Unix(stream), Comer { owner }))
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
