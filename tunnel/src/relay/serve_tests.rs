#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::IoSliceMut;
use std::sync::Arc;
use std::time::{Duration, Instant};

use noq_udp::RecvMeta;
use proptest::collection::vec;
use proptest::prelude::*;
use tokio::net::UdpSocket;

use super::super::{Budget, End, frame, switch};
use super::*;

/// A machine that loses packets on loopback fails the test in so long.
const PATIENCE: Duration = Duration::from_secs(10);

struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
    /// Of the batches received.
    marks: RefCell<Vec<Option<EcnCodepoint>>>,
}

impl Socket {
    fn bind(address: &str) -> Self {
        let io = std::net::UdpSocket::bind(address).unwrap();
        let state = UdpSocketState::new((&io).into()).unwrap();
        Self { io: UdpSocket::from_std(io).unwrap(), state, marks: RefCell::default() }
    }

    fn address(&self) -> SocketAddr {
        self.io.local_addr().unwrap()
    }

    fn send(&self, to: SocketAddr, packets: &[u8], stride: usize) {
        send(&self.io, &self.state, &Parcel::new(to, None, packets, stride)).unwrap();
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
                    self.marks.borrow_mut().push(meta[0].ecn);
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
            send(&relay.io, &relay.state, &Parcel::new(to, None, packets, stride))
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

/// What an outbox sends of these batches: destination, stride, lengths of the pieces.
fn joined(batches: &[(&str, usize, usize)]) -> Vec<(SocketAddr, usize, Vec<usize>)> {
    let bytes = pattern(70_000);
    let mut sent = Vec::new();
    let mut outbox = Outbox::new(|parcel: &Parcel<'_>| {
        sent.push((parcel.to, parcel.stride, parcel.pieces.iter().map(|piece| piece.len()).collect()));
        Ok(())
    });
    for (to, length, stride) in batches {
        outbox.data(to.parse().unwrap(), &bytes[..*length], *stride).unwrap();
    }
    outbox.flush(&Counters::default());
    sent
}

#[test]
fn batches_for_one_address_leave_together_whoever_comes_between() {
    let (a, b) = ("192.0.2.1:1", "192.0.2.2:2");
    let sent = joined(&[(a, 100, 10), (b, 50, 10), (a, 200, 10), (b, 10, 10), (a, 10, 10)]);
    let expected = [(a.parse().unwrap(), 10, vec![100, 200, 10]), (b.parse().unwrap(), 10, vec![50, 10])];
    assert_eq!(sent, expected);
}

#[test]
fn nothing_is_joined_behind_a_short_packet_or_with_a_longer_one() {
    let a = "192.0.2.1:1";
    let pieces = |batches: &[(usize, usize)]| -> Vec<Vec<usize>> {
        let batches: Vec<_> = batches.iter().map(|(length, stride)| (a, *length, *stride)).collect();
        joined(&batches).into_iter().map(|(_, _, pieces)| pieces).collect()
    };
    // A short last one, in its batch or alone, is the last of the send.
    assert_eq!(pieces(&[(105, 10), (10, 10)]), [vec![105], vec![10]]);
    assert_eq!(pieces(&[(100, 10), (7, 7), (10, 10)]), [vec![100, 7], vec![10]]);
    // Two that are shorter, and one that is longer, are not of this size.
    assert_eq!(pieces(&[(100, 10), (14, 7)]), [vec![100], vec![14]]);
    assert_eq!(pieces(&[(100, 10), (11, 11)]), [vec![100], vec![11]]);
    // Nothing overtakes: the third would fit into the first.
    assert_eq!(pieces(&[(100, 10), (11, 11), (10, 10)]), [vec![100], vec![11, 10]]);
}

#[test]
fn a_send_is_within_the_kernels_limits() {
    let a = "192.0.2.1:1";
    let pieces = |length, stride| -> Vec<usize> {
        joined(&[(a, length, stride); 10]).into_iter().map(|(_, _, pieces)| pieces.len()).collect()
    };
    // Ten packets each: six are 60 packets, and five of 1209 bytes are 60,450 bytes.
    assert_eq!(pieces(100, 10), [6, 4]);
    assert_eq!(pieces(12_090, 1209), [5, 5]);
}

#[test]
fn batches_with_other_marks_are_not_joined() {
    let mut sent = Vec::new();
    let mut outbox = Outbox::new(|parcel: &Parcel<'_>| {
        sent.push(parcel.ecn);
        Ok(())
    });
    for ecn in [None, Some(EcnCodepoint::Ce), Some(EcnCodepoint::Ce), Some(EcnCodepoint::Ect0)] {
        outbox.mark(ecn);
        outbox.data("192.0.2.1:1".parse().unwrap(), b"x", 1).unwrap();
    }
    outbox.flush(&Counters::default());
    assert_eq!(sent, [None, Some(EcnCodepoint::Ce), Some(EcnCodepoint::Ect0)]);
}

#[test]
fn what_the_socket_refuses_is_counted_packet_by_packet() {
    let counters = Counters::default();
    for kind in [io::ErrorKind::WouldBlock, io::ErrorKind::PermissionDenied] {
        let mut outbox = Outbox::new(|_: &Parcel<'_>| Err(kind.into()));
        outbox.data("192.0.2.1:1".parse().unwrap(), &[0; 95], 10).unwrap();
        outbox.data("192.0.2.2:1".parse().unwrap(), &[0; 20], 10).unwrap();
        outbox.flush(&counters);
    }
    let counts = [&counters.blocked, &counters.failed].map(|counter| counter.load(Ordering::Relaxed));
    assert_eq!(counts, [12, 12]);
}

#[tokio::test]
async fn gathered_packets_arrive_whole_marked_and_in_order_in_both_families() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let [from, to] = [address; 2].map(Socket::bind);
        let bytes = pattern(30 * 1209 + 40);
        let mut sends = 0;
        let mut outbox = Outbox::new(|parcel: &Parcel<'_>| {
            sends += 1;
            send(&from.io, &from.state, parcel)
        });
        outbox.mark(Some(EcnCodepoint::Ect0));
        for batch in bytes.chunks(10 * 1209) {
            outbox.data(to.address(), batch, batch.len().min(1209)).unwrap();
        }
        let counters = Counters::default();
        outbox.flush(&counters);
        assert_eq!((sends, counters.failed.load(Ordering::Relaxed)), (1, 0));
        let (arrived, lengths) = to.packets(bytes.len()).await;
        assert_eq!(arrived, bytes);
        assert_eq!(lengths, [[1209; 30].as_slice(), &[40]].concat());
        assert!(to.marks.borrow().iter().all(|mark| *mark == Some(EcnCodepoint::Ect0)));
    }
}

proptest! {
    /// Whatever is joined, each address gets its packets as they were and in their order.
    #[test]
    fn joining_changes_no_packet(
        batches in vec((1..4u16, prop_oneof![Just(1209usize), 1..1500usize], 1..70usize, 0..1500usize), 0..32),
    ) {
        let bytes = pattern(100_000);
        let mut arrived: HashMap<SocketAddr, Vec<Vec<u8>>> = HashMap::new();
        let mut expected = arrived.clone();
        let mut outbox = Outbox::new(|parcel: &Parcel<'_>| {
            let whole = parcel.pieces.iter().flat_map(|piece| piece.to_vec()).collect::<Vec<u8>>();
            assert!(whole.len() <= MAX_SEND && whole.len().div_ceil(parcel.stride) <= MAX_PACKETS);
            arrived.entry(parcel.to).or_default().extend(whole.chunks(parcel.stride).map(<[u8]>::to_vec));
            Ok(())
        });
        for (at, (port, stride, packets, short)) in batches.into_iter().enumerate() {
            let packets = packets.min(MAX_PACKETS).min(MAX_SEND / stride);
            let batch = &bytes[at..][..stride * packets - short.min(stride - 1)];
            let to = SocketAddr::from(([192, 0, 2, 1], port));
            expected.entry(to).or_default().extend(batch.chunks(stride).map(<[u8]>::to_vec));
            outbox.data(to, batch, stride).unwrap();
        }
        outbox.flush(&Counters::default());
        prop_assert_eq!(arrived, expected);
    }
}
