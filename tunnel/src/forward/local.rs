//! The local end: a TCP or unix stream socket, of an application that came to our listener or of a
//! target that we connected to.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::time::Duration;

use bytes::BytesMut;
use coconet::target::Place;
use socket2::SockRef;
use tokio::net::{TcpStream, UnixStream};

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

/// Connect to a target: every address its name has, in the resolver's order.
pub async fn connect(place: &Place) -> io::Result<Local> {
    let connecting = async {
        match place {
            Place::Net { host, port } => TcpStream::connect((host.as_str(), *port)).await.map(Local::tcp),
            Place::Unix(path) => UnixStream::connect(path).await.map(Local::Unix),
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

    pub(super) async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.readable().await,
            Self::Unix(stream) => stream.readable().await,
        }
    }

    pub(super) async fn writable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.writable().await,
            Self::Unix(stream) => stream.writable().await,
        }
    }

    pub(super) fn try_read(&self, buffer: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_read_buf(buffer),
            Self::Unix(stream) => stream.try_read_buf(buffer),
        }
    }

    pub(super) fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write_vectored(slices),
            Self::Unix(stream) => stream.try_write_vectored(slices),
        }
    }

    /// Half-close: no more bytes towards the application.
    pub(super) fn finish(&self) -> io::Result<()> {
        let done = match self {
            Self::Tcp(stream) => SockRef::from(stream).shutdown(Shutdown::Write),
            Self::Unix(stream) => SockRef::from(stream).shutdown(Shutdown::Write),
        };
        // The application has closed both ways already: it wants nothing more.
        done.or_else(|error| if error.kind() == io::ErrorKind::NotConnected { Ok(()) } else { Err(error) })
    }

    /// End with a reset where the socket knows one, so that the application does not take a broken
    /// stream for a finished one.
    pub fn abort(self) {
        if let Self::Tcp(stream) = &self {
            let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
    }
}
