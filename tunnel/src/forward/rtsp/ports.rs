//! Pairs of UDP ports for RTP and RTCP.
//!
//! RTP takes an even port and RTCP the next one. The number is random, so that nobody can tell in advance
//! where to inject; what arrives is taken from one host only, which the owner of the pair sees to.

use std::io;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use socket2::SockRef;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::descriptors::spare;

/// Halves of the even ports that are tried: 16384 to 65534.
const HALVES: RangeInclusive<u16> = 8192..=32767;

/// Ports that are tried before giving up. With half of all ports taken a hundred tries fail once in 10^12.
const TRIES: usize = 100;

/// Longest wait for one pair that another process makes.
const ASKED_TIMEOUT: Duration = Duration::from_secs(5);

/// What the kernel keeps for each socket until it is read: a few large pictures.
const RECEIVE_BUFFER: usize = 1 << 20;

/// Longest datagram there is.
const DATAGRAM_MAX: usize = 65535;

/// Who makes the ports of a player's media.
#[derive(Debug, Clone)]
pub enum Ports {
    /// This process does.
    Own,
    /// Another one does, which is in the network namespace where the player is.
    Asked(mpsc::Sender<PairWanted>),
}

/// A pair that another process is asked for.
#[derive(Debug)]
pub struct PairWanted {
    /// Where RTP and RTCP shall come.
    pub addresses: [SocketAddr; 2],
    /// The sockets, bound there. An address that is taken is told as such: another one will do.
    pub answer: oneshot::Sender<io::Result<[std::net::UdpSocket; 2]>>,
}

/// Two sockets with consecutive ports.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) rtp: Arc<UdpSocket>,
    pub(super) rtcp: Arc<UdpSocket>,
    /// Theirs.
    pub(super) ports: (u16, u16),
}

/// A task that receives; it ends with this.
#[derive(Debug)]
pub(super) struct Pump(JoinHandle<()>);

impl Ports {
    /// A pair on the address of `like`, whatever its port.
    pub(super) async fn pair(&self, like: SocketAddr) -> io::Result<Pair> {
        let makers = match self {
            Self::Own => return Pair::bind(like),
            Self::Asked(makers) => makers,
        };
        let mut failed = io::Error::from(io::ErrorKind::AddrInUse);
        for _ in 0..TRIES {
            let port = random_even()?;
            let (answer, made) = oneshot::channel();
            let addresses = [SocketAddr::new(like.ip(), port), SocketAddr::new(like.ip(), port + 1)];
            makers.try_send(PairWanted { addresses, answer }).map_err(|_| io::ErrorKind::ResourceBusy)?;
            let made = timeout(ASKED_TIMEOUT, made).await.map_err(|_| io::ErrorKind::TimedOut)?;
            match made.unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into())) {
                Ok([rtp, rtcp]) => {
                    let (rtp, rtcp) = (Arc::new(ready(rtp)?), Arc::new(ready(rtcp)?));
                    return Ok(Pair { rtp, rtcp, ports: (port, port + 1) });
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => failed = error,
                Err(error) => return Err(error),
            }
        }
        Err(failed)
    }
}

impl Pair {
    /// On the address of `like`, whatever its port.
    pub(super) fn bind(like: SocketAddr) -> io::Result<Self> {
        let mut failed = io::Error::from(io::ErrorKind::AddrInUse);
        for _ in 0..TRIES {
            let port = random_even()?;
            let pair = bind(like, port).and_then(|rtp| Ok((rtp, bind(like, port + 1)?)));
            match pair {
                Ok((rtp, rtcp)) => {
                    return Ok(Self { rtp: Arc::new(rtp), rtcp: Arc::new(rtcp), ports: (port, port + 1) });
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => failed = error,
                Err(error) => return Err(error),
            }
        }
        Err(failed)
    }

    /// RTP's or RTCP's.
    pub(super) fn socket(&self, rtcp: bool) -> &Arc<UdpSocket> {
        if rtcp { &self.rtcp } else { &self.rtp }
    }
}

impl Pump {
    /// Give to `take` what comes, with where it comes from.
    pub(super) fn start(
        socket: Arc<UdpSocket>,
        mut take: impl FnMut(SocketAddr, Bytes) + Send + 'static,
    ) -> Self {
        Self(tokio::spawn(async move {
            let mut buffer = vec![0; DATAGRAM_MAX];
            loop {
                match socket.recv_from(&mut buffer).await {
                    Ok((length, from)) => take(from, Bytes::copy_from_slice(&buffer[..length])),
                    // An earlier packet was not wanted where it went: the next may be.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                    Err(error) => {
                        tracing::debug!(%error, "a media port broke");
                        return;
                    }
                }
            }
        }))
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Send now or never: media does not wait.
pub(super) fn send(socket: &UdpSocket, to: SocketAddr, packet: &[u8]) {
    // Past the runtime, which would not know yet that a new socket can be written.
    if let Err(error) = SockRef::from(socket).send_to(packet, &to.into()) {
        tracing::trace!(%error, "a media packet was not sent");
    }
}

fn bind(like: SocketAddr, port: u16) -> io::Result<UdpSocket> {
    let mut address = like;
    address.set_port(port);
    ready(std::net::UdpSocket::bind(address)?)
}

fn ready(socket: std::net::UdpSocket) -> io::Result<UdpSocket> {
    let socket = spare(socket)?;
    socket.set_nonblocking(true)?;
    // The kernel may give less.
    let _ = SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER);
    UdpSocket::from_std(socket)
}

fn random_even() -> io::Result<u16> {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    let span = u32::from(HALVES.end() - HALVES.start()) + 1;
    // Below 32768, so it fits and its double does.
    let half = u32::from(*HALVES.start()) + u32::from_be_bytes(bytes) % span;
    Ok(u16::try_from(half * 2).unwrap_or(*HALVES.start() * 2))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[tokio::test]
    async fn a_pair_is_even_then_odd_and_not_the_same_twice() {
        let like = "127.0.0.1:554".parse().unwrap();
        let pairs: Vec<_> = (0..20).map(|_| Pair::bind(like).unwrap()).collect();
        for pair in &pairs {
            assert_eq!((pair.ports.0 % 2, pair.ports.1), (0, pair.ports.0 + 1));
            assert_eq!(pair.socket(false).local_addr().unwrap().port(), pair.ports.0);
            assert_eq!(pair.socket(true).local_addr().unwrap().port(), pair.ports.1);
        }
        let in_a_row = pairs.windows(2).filter(|two| two[0].ports.0 + 2 == two[1].ports.0).count();
        assert!(in_a_row < 3, "the ports are random");
    }

    #[tokio::test]
    async fn a_pair_that_another_makes_is_asked_for_until_one_is_free() {
        let (ask, mut asked) = mpsc::channel::<PairWanted>(1);
        let maker = tokio::spawn(async move {
            let first = asked.recv().await.unwrap();
            first.answer.send(Err(io::ErrorKind::AddrInUse.into())).unwrap();
            let PairWanted { addresses, answer } = asked.recv().await.unwrap();
            let bound = addresses.map(|address| std::net::UdpSocket::bind(address).unwrap());
            answer.send(Ok(bound)).unwrap();
            (first.addresses, addresses)
        });
        let pair = Ports::Asked(ask).pair("127.0.0.1:554".parse().unwrap()).await.unwrap();
        let (first, second) = maker.await.unwrap();
        assert_ne!(first, second);
        assert_eq!([pair.rtp.local_addr().unwrap(), pair.rtcp.local_addr().unwrap()], second);
        assert_eq!((pair.ports.0 % 2, pair.ports.1), (0, pair.ports.0 + 1));
    }

    #[tokio::test]
    async fn a_pair_that_nobody_makes_is_an_error() {
        let (ask, asked) = mpsc::channel(1);
        let like = "127.0.0.1:554".parse().unwrap();
        drop(asked);
        assert!(Ports::Asked(ask).pair(like).await.is_err());
        let (ask, mut asked) = mpsc::channel(1);
        tokio::spawn(async move { drop(asked.recv().await) });
        let error = Ports::Asked(ask).pair(like).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn a_packet_leaves_a_socket_that_was_just_bound() {
        let like = "127.0.0.1:0".parse().unwrap();
        let (from, to) = (Pair::bind(like).unwrap(), Pair::bind(like).unwrap());
        send(&from.rtp, to.rtcp.local_addr().unwrap(), b"x");
        let mut buffer = [0; 2];
        assert_eq!(to.rtcp.recv_from(&mut buffer).await.unwrap(), (1, from.rtp.local_addr().unwrap()));
    }
}
