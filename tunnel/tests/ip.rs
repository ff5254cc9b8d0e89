//! IP packets between two nodes on loopback, each with a pair of sockets in the place of an interface.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::net::Ipv6Addr;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use coco_tunnel::channel::Channel;
use coco_tunnel::endpoint::{Accepting, Endpoint, EndpointOptions, KEEP_ALIVE};
use coco_tunnel::flow::Flows;
use coco_tunnel::forward::ip::offload::OFFLOAD_HEADER;
use coco_tunnel::forward::ip::packet::Packet;
use coco_tunnel::forward::ip::{FLOW, Interface, Links, Outgoing, Refusal, Sent, Trouble, icmp};
use coco_tunnel::session::Session;
use coconet::key::{NodeKeys, SEED_LEN};
use coconet::wire::code::Reset;
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

/// Between two looks whether something has come.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// The address of one of the two.
fn address(last: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfd11, 0x2233, 0x4455, 0, 0, 0, 0, last)
}

const NEAR: u16 = 1;
const FAR: u16 = 2;
const OTHER: u16 = 3;

/// A UDP packet.
fn udp(from: (u16, u16), to: (u16, u16), text: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + text.len()).unwrap();
    let mut bytes = vec![0x60, 0, 0, 0];
    bytes.extend(length.to_be_bytes());
    bytes.extend([17, 64]);
    bytes.extend(address(from.0).octets());
    bytes.extend(address(to.0).octets());
    bytes.extend([from.1, to.1, length, 0].map(u16::to_be_bytes).concat());
    bytes.extend(text);
    bytes
}

fn framed(packet: &[u8]) -> Vec<u8> {
    [&[0, 0], packet].concat()
}

/// Two ends of an exchange that the near one has begun. The far one says whatever it likes.
struct Stage {
    links: Arc<Links>,
    /// What applications of the near node get.
    applications: UnixDatagram,
    far: Flows,
    _held: (Session, Session, Endpoint, Endpoint, Channel, Arc<Interface>),
}

impl Stage {
    async fn new(ours: bool, may_begin: bool) -> Self {
        let keys = [1, 2].map(|byte| NodeKeys::from_seed(&[byte; SEED_LEN]));
        let [from, to] = [endpoint(&keys[0]), endpoint(&keys[1])];
        let (addresses, mut accepting) = (to.addresses(), Accepting::default());
        let both = async {
            tokio::join!(
                async { from.dial(keys[1].static_key(), &addresses, KEEP_ALIVE).await.unwrap() },
                async { to.accept(&mut accepting).await.unwrap() }
            )
        };
        let (near, far) = timeout(PATIENCE, both).await.unwrap();
        let mut channel = near.open().await.unwrap();
        channel.tx.write(Bytes::from_static(b"x")).await.unwrap();
        let mut there = far.accept().await.unwrap();
        assert!(there.rx.read_exact(&mut [0]).await.unwrap());
        let flows = [channel.flows(), there.flows()];

        let (applications, descriptor) = UnixDatagram::pair().unwrap();
        applications.set_nonblocking(true).unwrap();
        let interface = Arc::new(Interface::new("test".to_owned(), descriptor.into()).unwrap());
        let links = Arc::new(Links::new(address(NEAR)));
        assert!(links.attach(&interface) && !links.attach(&interface));
        let [own, far_flows] = flows;
        let link = links.add(Instant::now(), address(FAR), own, ours, || may_begin);
        let carrying = Arc::clone(&links);
        tokio::spawn(async move {
            let never = std::future::pending::<Reset>();
            let _ = carrying.carry(&link, channel, || may_begin, never).await;
        });
        Self { links, applications, far: far_flows, _held: (near, far, from, to, there, interface) }
    }

    /// The far node sends a frame, and then one that passes, so that the first has been judged.
    async fn far_sends(&self, frame: &[u8]) -> Vec<Vec<u8>> {
        static MARK: AtomicU64 = AtomicU64::new(0);
        let mark = MARK.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let last = framed(&udp((FAR, 9), (NEAR, 9), &mark));
        self.near_sends(&udp((NEAR, 9), (FAR, 9), b"a question"));
        self.far.send(FLOW, frame);
        self.far.send(FLOW, &last);
        let mut got = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut buffer = [0; 70_000];
            match self.applications.recv(&mut buffer) {
                Ok(length) if buffer[OFFLOAD_HEADER..length] == last[2..] => return got,
                Ok(length) => got.push(buffer[OFFLOAD_HEADER..length].to_vec()),
                Err(_) => tokio::time::sleep(LOOK_EVERY).await,
            }
            assert!(Instant::now() < deadline);
        }
    }

    fn near_sends(&self, packet: &[u8]) {
        let frame = framed(packet);
        let outgoing = Outgoing { packet: Packet::parse(packet).unwrap(), frame: &frame };
        assert_eq!(self.links.send(Instant::now(), outgoing, || false), Sent::Done);
    }

    fn dropped(&self, why: &str) -> u64 {
        self.links.counters().dropped().get(why).copied().unwrap_or_default()
    }
}

#[tokio::test]
async fn a_reply_passes_and_what_is_spoofed_unasked_or_for_others_does_not() {
    let stage = Stage::new(true, false).await;
    stage.near_sends(&udp((NEAR, 5000), (FAR, 53), b"?"));
    let answer = udp((FAR, 53), (NEAR, 5000), b"!");
    assert_eq!(stage.far_sends(&framed(&answer)).await, [answer]);
    for (why, frame) in [
        ("spoofed", framed(&udp((OTHER, 53), (NEAR, 5000), b"!"))),
        ("not-ours", framed(&udp((FAR, 53), (OTHER, 5000), b"!"))),
        ("unasked", framed(&udp((FAR, 54), (NEAR, 5000), b"!"))),
        ("not-ipv6", framed(&[0x45; 60])),
        ("malformed", framed(&udp((FAR, 53), (NEAR, 5000), b"!")[..47])),
        // A train of UDP, which is none.
        ("malformed", [&[1, 0], &udp((FAR, 53), (NEAR, 5000), &[7; 3000])[..]].concat()),
        ("malformed", vec![0]),
    ] {
        let before = stage.dropped(why);
        assert!(stage.far_sends(&frame).await.is_empty(), "{why}");
        assert_eq!(stage.dropped(why), before + 1, "{why}");
    }
}

#[tokio::test]
async fn whoever_was_granted_our_resource_may_begin() {
    for stage in [Stage::new(true, true).await, Stage::new(false, false).await] {
        let unasked = udp((FAR, 54), (NEAR, 22), b"hello");
        assert_eq!(stage.far_sends(&framed(&unasked)).await, [unasked]);
        let spoofed = framed(&udp((OTHER, 54), (NEAR, 22), b"hello"));
        assert!(stage.far_sends(&spoofed).await.is_empty());
    }
}

#[tokio::test]
async fn what_waits_for_an_exchange_is_bounded_and_told_when_there_is_none() {
    let stage = Stage::new(true, false).await;
    let packet = udp((NEAR, 1), (OTHER, 2), &[7; 1000]);
    let frame = framed(&packet);
    let outgoing = Outgoing { packet: Packet::parse(&packet).unwrap(), frame: &frame };
    let (links, now) = (&stage.links, Instant::now());
    assert_eq!(links.send(now, outgoing, || false), Sent::Begin);
    assert!(links.begin(now, address(OTHER), Some(&frame)));
    for _ in 0..100 {
        assert_eq!(links.send(now, outgoing, || false), Sent::Done);
    }
    assert_eq!(stage.dropped("waiting"), 69);
    links.fail(now, address(OTHER), Refusal::NotPermitted);
    assert_eq!(stage.dropped("not-permitted"), 32);
    let mut error = [0; 2000];
    let length = stage.applications.recv(&mut error).unwrap();
    // Destination unreachable, prohibited, with what it is about.
    assert_eq!(error[OFFLOAD_HEADER + 40..][..2], [1, 1]);
    assert_eq!(error[OFFLOAD_HEADER + 48..length], packet);
    // For a while nothing is begun again.
    assert_eq!(links.send(now, outgoing, || false), Sent::Trouble(Trouble::Prohibited));
    assert_eq!(links.send(now + Duration::from_secs(2), outgoing, || false), Sent::Begin);
}

#[tokio::test]
async fn multicast_and_link_local_packets_go_nowhere_without_a_word() {
    let stage = Stage::new(true, false).await;
    for to in ["ff02::1", "fe80::1"] {
        let mut packet = udp((NEAR, 1), (FAR, 2), b"");
        packet[24..40].copy_from_slice(&to.parse::<Ipv6Addr>().unwrap().octets());
        stage.near_sends(&packet);
    }
    assert_eq!(stage.dropped("quiet"), 2);
}

#[tokio::test]
async fn what_the_other_node_began_is_not_answered_once_it_may_not_begin() {
    let stage = Stage::new(true, true).await;
    let (question, answer) = (udp((FAR, 54), (NEAR, 22), b"hello"), udp((NEAR, 22), (FAR, 54), b"hi"));
    assert_eq!(stage.far_sends(&framed(&question)).await, [question]);
    let (now, frame) = (Instant::now(), framed(&answer));
    let outgoing = Outgoing { packet: Packet::parse(&answer).unwrap(), frame: &frame };
    assert_eq!(stage.links.send(now, outgoing, || true), Sent::Done);
    assert_eq!(stage.links.send(now, outgoing, || false), Sent::Trouble(Trouble::Prohibited));
    assert_eq!(stage.dropped("not-permitted"), 1);
    // And it was answered before without becoming what this node has begun.
    assert!(!stage.links.awaits(now, address(OTHER)));
    let own = udp((NEAR, 23), (FAR, 54), b"");
    stage.near_sends(&own);
    assert!(stage.links.awaits(now, address(FAR)));
}

#[tokio::test]
async fn an_error_about_what_another_node_was_sent_does_not_pass() {
    let stage = Stage::new(true, true).await;
    let error = |about: &[u8]| {
        let packet = Packet::parse(about).unwrap();
        icmp::error(address(FAR), &packet, Trouble::TooBig(1300)).unwrap()
    };
    let about_it = error(&udp((NEAR, 5000), (FAR, 53), b"?"));
    assert_eq!(stage.far_sends(&framed(&about_it)).await, [about_it]);
    let about_another = error(&udp((NEAR, 5000), (OTHER, 53), b"?"));
    assert!(stage.far_sends(&framed(&about_another)).await.is_empty());
    assert_eq!(stage.dropped("spoofed"), 1);
}
