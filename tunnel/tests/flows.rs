//! Datagrams beside a channel, between two endpoints on loopback.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::time::Duration;

use bytes::Bytes;
use coco_tunnel::channel::Channel;
use coco_tunnel::endpoint::{Accepting, Endpoint, EndpointOptions, KEEP_ALIVE};
use coco_tunnel::flow::frame::DATAGRAM_MAX;
use coco_tunnel::flow::{FLOWS_MAX, FlowStats, INBOX_MAX, SEND_BUFFER};
use coco_tunnel::session::Session;
use coconet::key::{NodeKeys, SEED_LEN};
use coconet::wire::code::Close;
use tokio::time::timeout;
use zeroize::Zeroizing;

/// Nothing on loopback takes this long.
const PATIENCE: Duration = Duration::from_secs(20);

fn endpoint(keys: &NodeKeys) -> Endpoint {
    let options = EndpointOptions {
        secret: keys.static_secret(),
        reset: Zeroizing::new([7; 32]),
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        any_port: false,
    };
    Endpoint::bind(&options).unwrap()
}

struct Pair {
    near: Session,
    far: Session,
    _endpoints: (Endpoint, Endpoint),
}

impl Pair {
    async fn new() -> Self {
        let (near, far) = (NodeKeys::from_seed(&[1; SEED_LEN]), NodeKeys::from_seed(&[2; SEED_LEN]));
        let (from, to) = (endpoint(&near), endpoint(&far));
        let addresses = to.addresses();
        let mut accepting = Accepting::default();
        let both = async {
            tokio::join!(
                async { from.dial(far.static_key(), &addresses, KEEP_ALIVE).await.unwrap() },
                async { to.accept(&mut accepting).await.unwrap() }
            )
        };
        let (near, far) = timeout(PATIENCE, both).await.unwrap();
        Self { near, far, _endpoints: (from, to) }
    }

    /// A channel, and its other end.
    async fn channel(&self) -> (Channel, Channel) {
        let opening = async {
            let mut near = self.near.open().await.unwrap();
            near.tx.write(Bytes::from_static(b"x")).await.unwrap();
            let mut far = self.far.accept().await.unwrap();
            assert!(far.rx.read_exact(&mut [0]).await.unwrap());
            (near, far)
        };
        timeout(PATIENCE, opening).await.unwrap()
    }
}

fn payload(length: usize, mark: usize) -> Bytes {
    (0..length).map(|at| (at * 7 + mark) as u8).collect()
}

#[tokio::test]
async fn datagrams_of_every_length_arrive_in_their_flows_both_ways() {
    let pair = Pair::new().await;
    let (near, far) = pair.channel().await;
    let (near, far) = (near.flows(), far.flows());
    for (mark, length) in [0, 1, 1100, 1199, 1460, 4000, 20_000, DATAGRAM_MAX].into_iter().enumerate() {
        let flow = u32::try_from(mark).unwrap() * 1000;
        near.send(flow, &payload(length, mark));
        let received = timeout(PATIENCE, far.recv()).await.unwrap();
        assert_eq!(received, Some((flow, payload(length, mark))), "{length}");
        far.send(flow, &payload(length, mark));
        let received = timeout(PATIENCE, near.recv()).await.unwrap();
        assert_eq!(received, Some((flow, payload(length, mark))), "{length}");
    }
    let all = FlowStats { sent: 8, received: 8, dropped: 0, lost: 0 };
    assert_eq!((near.stats(), far.stats()), (all, all));
    assert_eq!(far.stats_of(1000), FlowStats { sent: 1, received: 1, dropped: 0, lost: 0 });
    // Longer than UDP can be: dropped here, and counted.
    near.send(0, &payload(DATAGRAM_MAX + 1, 0));
    assert_eq!(near.stats().dropped, 1);
}

#[tokio::test]
async fn channels_do_not_hear_each_others_flows() {
    let pair = Pair::new().await;
    let (near_a, far_a) = pair.channel().await;
    let (near_b, far_b) = pair.channel().await;
    let (far_a, far_b) = (far_a.flows(), far_b.flows());
    near_a.flows().send(5, &payload(10, 1));
    near_b.flows().send(5, &payload(10, 2));
    assert_eq!(timeout(PATIENCE, far_b.recv()).await.unwrap(), Some((5, payload(10, 2))));
    assert_eq!(timeout(PATIENCE, far_a.recv()).await.unwrap(), Some((5, payload(10, 1))));
}

#[tokio::test]
async fn flows_nobody_has_taken_hurt_nobody() {
    let pair = Pair::new().await;
    let (near, far) = pair.channel().await;
    let (near_b, far_b) = pair.channel().await;
    let (near, near_b, far_b) = (near.flows(), near_b.flows(), far_b.flows());
    near.send(0, &payload(10, 1));
    near_b.send(0, &payload(10, 2));
    assert_eq!(timeout(PATIENCE, far_b.recv()).await.unwrap(), Some((0, payload(10, 2))));
    // Taken now, they hear what comes from now on.
    let far = far.flows();
    near.send(0, &payload(10, 3));
    assert_eq!(timeout(PATIENCE, far.recv()).await.unwrap(), Some((0, payload(10, 3))));
}

#[tokio::test]
async fn flows_can_be_given_up_and_taken_again() {
    let pair = Pair::new().await;
    for mark in 0..3 {
        let (near, far) = pair.channel().await;
        let (near, far) = (near.flows(), far.flows());
        near.send(1, &payload(10, mark));
        assert_eq!(timeout(PATIENCE, far.recv()).await.unwrap(), Some((1, payload(10, mark))));
    }
}

#[tokio::test]
async fn the_end_of_the_session_ends_the_flows() {
    let pair = Pair::new().await;
    let (near, far) = pair.channel().await;
    let (near, far) = (near.flows(), far.flows());
    pair.near.close(Close::Done);
    assert_eq!(timeout(PATIENCE, far.recv()).await.unwrap(), None);
    assert_eq!(timeout(PATIENCE, near.recv()).await.unwrap(), None);
}

/// Who sends more than is taken loses the oldest, and makes the other end hold no more than it says.
#[tokio::test]
async fn an_inbox_nobody_empties_is_bounded_and_keeps_the_newest() {
    let pair = Pair::new().await;
    let (near, far) = pair.channel().await;
    let (near, far) = (near.flows(), far.flows());
    let (length, total) = (16_000, INBOX_MAX / 16_000 * 2);
    let mut last = None;
    for mark in 0..total {
        near.send(0, &payload(length, mark));
        // In step, so that nothing is lost on the way.
        while far.stats().received + far.stats().lost < (mark as u64) + 1 {
            tokio::task::yield_now().await;
        }
    }
    let mut kept = 0;
    while far.stats().received > far.stats().dropped + kept {
        let (_, datagram) = timeout(PATIENCE, far.recv()).await.unwrap().unwrap();
        last = Some(datagram);
        kept += 1;
    }
    assert_eq!(last, Some(payload(length, total - 1)));
    assert!(kept as usize * length <= INBOX_MAX, "{kept} were kept");
    assert!(far.stats().dropped as usize >= total / 3, "{:?}", far.stats());
}

#[tokio::test]
async fn the_flows_remembered_are_bounded_and_none_is_forgotten_in_the_sum() {
    let pair = Pair::new().await;
    let (near, far) = pair.channel().await;
    let (near, far) = (near.flows(), far.flows());
    let total = FLOWS_MAX as u32 * 3;
    for flow in 0..total {
        near.send(flow, &payload(1, 0));
        assert_eq!(timeout(PATIENCE, far.recv()).await.unwrap(), Some((flow, payload(1, 0))));
    }
    assert_eq!(far.stats(), FlowStats { received: u64::from(total), ..FlowStats::default() });
    // The first ones are forgotten.
    assert_eq!((far.stats_of(0), far.stats_of(total - 1).received), (FlowStats::default(), 1));
}

/// A key frame comes at once, and more than QUIC holds ready: what waits for it is not lost.
#[tokio::test]
async fn a_burst_arrives_whole() {
    let pair = Pair::new().await;
    let (near, far) = pair.channel().await;
    let (near, far) = (near.flows(), far.flows());
    for length in [1460, 8] {
        let count = 4 * SEND_BUFFER / 1460;
        for mark in 0..count {
            near.send(0, &payload(length, mark));
        }
        for mark in 0..count {
            assert_eq!(timeout(PATIENCE, far.recv()).await.unwrap(), Some((0, payload(length, mark))));
        }
    }
}
