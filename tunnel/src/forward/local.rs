//! The local end: a TCP or unix stream socket, of an application that came to our listener or of a
//! target that we connected to.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use coconet::target::Place;
use socket2::SockRef;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpStream, UnixStream, tcp, unix};

use crate::descriptors::spare;
use crate::names;

/// Longest wait for a target to accept, all its addresses together. A camera that answers does so in
/// milliseconds; a switched-off one should not keep the viewer for the kernel's two minutes.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A local stream socket.
#[derive(Debug)]
pub enum Local {
    /// TCP, IPv4 or IPv6.
    Tcp(TcpStream),
    /// A unix stream socket.
    Unix(UnixStream),
}

/// What comes from a local socket.
pub(super) enum Reader<'a> {
    Tcp(tcp::ReadHalf<'a>),
    Unix(unix::ReadHalf<'a>),
}

/// What goes to a local socket.
pub(super) enum Writer<'a> {
    Tcp(tcp::WriteHalf<'a>),
    Unix(unix::WriteHalf<'a>),
}

/// Connect to a target: every address its name has, in the resolver's order.
pub async fn connect(place: &Place) -> io::Result<Local> {
    let connecting = async {
        match place {
            Place::Net { host, port } => {
                let addresses = names::look_up(host.as_str(), *port).await?;
                TcpStream::connect(&addresses[..]).await.and_then(spare).map(Local::tcp)
            }
            Place::Unix(path) => UnixStream::connect(path).await.and_then(spare).map(Local::Unix),
            Place::Own => Err(io::ErrorKind::Unsupported.into()),
        }
    };
    tokio::time::timeout(CONNECT_TIMEOUT, connecting).await.map_err(|_| io::ErrorKind::TimedOut)?
}

impl Local {
    /// A TCP connection, without Nagle's delay: what an application writes goes out at once.
    pub fn tcp(stream: TcpStream) -> Self {
        // Only fails on a dead socket, which the next read reports.
        let _ = stream.set_nodelay(true);
        Self::Tcp(stream)
    }

    /// Where the application is, and where it reached us.
    pub(super) fn addresses(&self) -> io::Result<(SocketAddr, SocketAddr)> {
        match self {
            Self::Tcp(stream) => Ok((stream.peer_addr()?, stream.local_addr()?)),
            Self::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// The address the application took to get here, where it came over IP.
    pub fn reached(&self) -> Option<SocketAddr> {
        let (_, local) = self.addresses().ok()?;
        Some(SocketAddr::new(local.ip().to_canonical(), local.port()))
    }

    /// Both directions, to be used side by side.
    pub(super) fn split(&mut self) -> (Reader<'_>, Writer<'_>) {
        match self {
            Self::Tcp(stream) => {
                let (read, write) = stream.split();
                (Reader::Tcp(read), Writer::Tcp(write))
            }
            Self::Unix(stream) => {
                let (read, write) = stream.split();
                (Reader::Unix(read), Writer::Unix(write))
            }
        }
    }

    /// End with a reset where the socket knows one, so that the application does not take a broken
    /// stream for a finished one.
    pub fn abort(self) {
        if let Self::Tcp(stream) = &self {
            let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
    }
}

impl Reader<'_> {
    /// Wait until there may be something to read.
    pub(super) async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(half) => half.readable().await,
            Self::Unix(half) => half.readable().await,
        }
    }

    /// Read what is there, without waiting. Unlike tokio's `try_read` it takes a read that leaves room in
    /// the buffer for the last one there is, and saves the system call that would say so.
    pub(super) async fn read_now(&mut self, buffer: &mut BytesMut) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(half) => now(half.read_buf(buffer)).await,
            Self::Unix(half) => now(half.read_buf(buffer)).await,
        }
    }
}

impl Writer<'_> {
    pub(super) async fn writable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(half) => half.writable().await,
            Self::Unix(half) => half.writable().await,
        }
    }

    pub(super) fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(half) => half.try_write_vectored(slices),
            Self::Unix(half) => half.try_write_vectored(slices),
        }
    }

    /// Half-close: no more bytes towards the application.
    pub(super) fn finish(&self) -> io::Result<()> {
        let done = match self {
            Self::Tcp(half) => SockRef::from(half.as_ref()).shutdown(Shutdown::Write),
            Self::Unix(half) => SockRef::from(half.as_ref()).shutdown(Shutdown::Write),
        };
        // The application has closed both ways already: it wants nothing more.
        done.or_else(|error| if error.kind() == io::ErrorKind::NotConnected { Ok(()) } else { Err(error) })
    }
}

/// Poll once.
async fn now<T>(work: impl Future<Output = T>) -> Poll<T> {
    let mut work = pin!(work);
    poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await
}
