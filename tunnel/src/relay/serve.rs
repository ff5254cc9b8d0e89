//! From the switch to a socket: a run of packets in as few sends as the kernel allows.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use noq_udp::{EcnCodepoint, Transmit, UdpSocketState};

/// UDP payload of one send, at most, whatever the family: an IPv4 packet's 65,535 bytes less its headers. A batch
/// that came by IPv6 may hold 20 more.
const MAX_SEND: usize = 65_507;

/// Send packets, back to back and each `stride` long except the last, to one address: what
/// [`Switch::forward`](super::Switch::forward) wants done. `ecn` is the batch's, so that a congested hop before the relay is heard
/// of behind it. Never waits: what finds no room is an error of kind `WouldBlock`, and UDP that is lost.
pub fn send(
    socket: &impl AsFd,
    state: &UdpSocketState,
    ecn: Option<EcnCodepoint>,
    to: SocketAddr,
    packets: &[u8],
    stride: usize,
) -> io::Result<()> {
    let stride = stride.max(1);
    // All in one, unless the system has turned segmentation off meanwhile.
    let together = state.max_gso_segments().get().min(MAX_SEND / stride).max(1);
    for part in packets.chunks(stride.saturating_mul(together)) {
        let transmit =
            Transmit { destination: to, ecn, contents: part, segment_size: Some(stride), src_ip: None };
        state.try_send(socket.into(), &transmit)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use std::io::IoSliceMut;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use noq_udp::RecvMeta;
    use tokio::net::UdpSocket;

    use super::super::{Budget, End, frame, switch};
    use super::*;

    /// A machine that loses packets on loopback fails the test in so long.
    const PATIENCE: Duration = Duration::from_secs(10);

    struct Socket {
        io: UdpSocket,
        state: UdpSocketState,
    }

    impl Socket {
        fn bind(address: &str) -> Self {
            let io = std::net::UdpSocket::bind(address).unwrap();
            let state = UdpSocketState::new((&io).into()).unwrap();
            Self { io: UdpSocket::from_std(io).unwrap(), state }
        }

        fn address(&self) -> SocketAddr {
            self.io.local_addr().unwrap()
        }

        fn send(&self, to: SocketAddr, packets: &[u8], stride: usize) {
            send(&self.io, &self.state, None, to, packets, stride).unwrap();
        }

        /// One batch: sender, bytes, stride.
        async fn batch(&self) -> (SocketAddr, Vec<u8>, usize) {
            let mut bytes = vec![0; 1 << 16];
            let mut meta = [RecvMeta::default()];
            loop {
                self.io.readable().await.unwrap();
                let mut bufs = [IoSliceMut::new(&mut bytes)];
                let receive = || self.state.recv((&self.io).into(), &mut bufs, &mut meta);
                match self.io.try_io(tokio::io::Interest::READABLE, receive) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    other => {
                        assert_eq!(other.unwrap(), 1);
                        bytes.truncate(meta[0].len);
                        return (meta[0].addr, bytes, meta[0].stride);
                    }
                }
            }
        }

        /// So many bytes, in order, and the lengths of the packets.
        async fn packets(&self, bytes: usize) -> (Vec<u8>, Vec<usize>) {
            let (mut all, mut lengths) = (Vec::new(), Vec::new());
            while all.len() < bytes {
                let (_, batch, stride) = tokio::time::timeout(PATIENCE, self.batch()).await.unwrap();
                lengths.extend(batch.chunks(stride).map(<[u8]>::len));
                all.extend(batch);
            }
            (all, lengths)
        }
    }

    fn pattern(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at % 251) as u8).collect()
    }

    #[tokio::test]
    async fn through_sockets_every_datagram_arrives_as_it_was() {
        let [alice, relay, bob] = ["127.0.0.1:0"; 3].map(Socket::bind);
        let now = Instant::now();
        let (mut switch, control, _strangers) = switch(now);
        let ends = [&alice, &bob].map(|node| End { address: node.address(), meter: Arc::default() });
        let (for_alice, for_bob) = control.open(&ends[0], &ends[1], &Arc::<Budget>::default()).unwrap();

        let datagrams = pattern(44 * 1200 + 7);
        let mut frames = Vec::new();
        let stride = frame::wrap(&datagrams, 1200, for_alice, &mut frames);
        alice.send(relay.address(), &frames, stride);
        let (mut forwarded, mut sends) = (0, 0);
        while forwarded < frames.len() {
            let (from, mut batch, stride) = tokio::time::timeout(PATIENCE, relay.batch()).await.unwrap();
            assert_eq!(from, alice.address());
            forwarded += batch.len();
            let kept = switch.forward(now, from, &mut batch, stride, |to, packets, stride| {
                sends += 1;
                send(&relay.io, &relay.state, None, to, packets, stride)
            });
            assert_eq!(kept, 0);
        }
        let (mut arrived, lengths) = bob.packets(frames.len()).await;
        assert_eq!(lengths.len(), 45);
        assert!(sends <= 45);
        let mut expected = Vec::new();
        frame::wrap(&datagrams, 1200, for_bob, &mut expected);
        assert_eq!(arrived, expected);
        let length = frame::strip(&mut arrived, stride);
        assert_eq!(arrived[..length], datagrams);
    }

    #[tokio::test]
    async fn a_batch_too_long_for_one_ipv4_packet_goes_in_two() {
        let [from, to] = ["127.0.0.1:0"; 2].map(Socket::bind);
        let batch = pattern(65_527);
        from.send(to.address(), &batch, 1489);
        let (arrived, lengths) = to.packets(batch.len()).await;
        assert_eq!(arrived, batch);
        assert_eq!(lengths, [[1489; 44].as_slice(), &[11]].concat());
    }

    #[tokio::test]
    async fn a_single_packet_needs_no_stride() {
        let [from, to] = ["127.0.0.1:0"; 2].map(Socket::bind);
        for stride in [0, 3, 4, usize::MAX] {
            let packets = if stride == 0 { b"x".as_slice() } else { b"abc" };
            from.send(to.address(), packets, stride);
            assert_eq!(to.packets(packets.len()).await.0, packets);
        }
    }
}
