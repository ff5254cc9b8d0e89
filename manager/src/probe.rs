//! Showing a node what its NAT is like (RFC 4787).
//!
//! A second UDP port answers `ask` as the main one does: a NAT that shows the two of them different ports of a
//! node maps by destination. And from a third, on which nothing is ever received, a member that asks for it on
//! its session gets one packet: if that arrives, its NAT lets in whom nothing was sent to.
//!
//! Nothing can be made more of by this: an answer is no longer than its question, and only who knows the
//! manager's key gets one, [`ANSWERS_PER_SECOND`] of them at most; the packet goes to the address that the
//! session has proved, and costs a request of the session. Without the ports the manager serves all the same.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use coco_tunnel::relay::frame::{ASK_LEN, Frame, proves};
use coconet::id::StaticKey;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::UdpSocket;
use tokio::time::{Duration, Instant};

/// Questions answered in a second. A node asks a few times, and only when somebody runs `cococtl doctor`.
const ANSWERS_PER_SECOND: u32 = 200;

/// Ports tried until one is free in both families.
const TRIES: usize = 8;

/// Rest after a socket has failed.
const REST: Duration = Duration::from_millis(100);

/// The ports of one manager.
#[derive(Debug)]
pub(crate) struct Probe {
    key: StaticKey,
    families: Vec<Family>,
}

#[derive(Debug)]
struct Family {
    /// Answers.
    second: UdpSocket,
    /// Speaks unasked.
    third: UdpSocket,
}

impl Probe {
    /// Listen beside `listen`, on `port` or, with zero, on any that is free. What cannot be had is not there.
    pub(crate) fn bind(listen: &[SocketAddr], port: u16, key: StaticKey) -> Arc<Self> {
        let bound = (0..TRIES).map(|_| families(listen, port)).find_map(|bound| match bound {
            Ok(families) => Some(families),
            Err(error) => {
                tracing::debug!(%error, port, "no second port");
                None
            }
        });
        if bound.is_none() {
            tracing::warn!(port, "no second UDP port: nodes cannot find out what their NATs are like");
        }
        Arc::new(Self { key, families: bound.unwrap_or_default() })
    }

    /// The second port.
    pub(crate) fn port(&self) -> Option<u16> {
        Some(self.families.first()?.second.local_addr().ok()?.port())
    }

    /// Answer for as long as this is polled.
    pub(crate) async fn serve(self: Arc<Self>) {
        match self.families.as_slice() {
            [] => std::future::pending().await,
            [one] => self.answer(&one.second).await,
            [one, other, ..] => {
                tokio::join!(self.answer(&one.second), self.answer(&other.second));
            }
        }
    }

    /// Send `to` what it has asked for on its session. The second port, if that was possible.
    pub(crate) fn knock(&self, to: SocketAddr, token: u64) -> Option<u16> {
        let of_family = |family: &&Family| {
            family.third.local_addr().is_ok_and(|address| address.is_ipv4() == to.is_ipv4())
        };
        let family = self.families.iter().find(of_family)?;
        let mut packet = Vec::new();
        Frame::Seen { token, address: to }.encode(&mut packet);
        // Past tokio, which does not try to send before it has been told that it can.
        SockRef::from(&family.third).send_to(&packet, &to.into()).ok()?;
        self.port()
    }

    async fn answer(&self, socket: &UdpSocket) {
        let mut second = (Instant::now(), 0);
        // One byte more than a question has: a longer one is none.
        let mut question = [0; ASK_LEN + 1];
        let mut answer = Vec::new();
        loop {
            let (length, from) = match socket.recv_from(&mut question).await {
                Ok(received) => received,
                Err(error) => {
                    tracing::trace!(%error, "second port");
                    tokio::time::sleep(REST).await;
                    continue;
                }
            };
            let Some(Frame::Ask { token, proof }) = Frame::parse(&question[..length]) else { continue };
            if second.0.elapsed() >= Duration::from_secs(1) {
                second = (Instant::now(), 0);
            }
            if second.1 >= ANSWERS_PER_SECOND || !proves(&self.key, token, &proof) {
                continue;
            }
            second.1 += 1;
            answer.clear();
            Frame::Seen { token, address: from }.encode(&mut answer);
            // Unsent, it is asked for again.
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

fn families(listen: &[SocketAddr], port: u16) -> io::Result<Vec<Family>> {
    let mut families = Vec::new();
    let mut port = port;
    for address in listen {
        let second = socket(SocketAddr::new(address.ip(), port))?;
        port = second.local_addr()?.port();
        let third = socket(SocketAddr::new(address.ip(), 0))?;
        families.push(Family { second, third });
    }
    Ok(families)
}

fn socket(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}
