//! The exporter's end of forwarded MQTT for itself: a channel over loopback with whatever client at its other
//! end, and a broker that does only what a test says.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use coco_tunnel::channel::{Channel, ChannelTx, Cut};
use coco_tunnel::endpoint::{Accepting, Endpoint, EndpointOptions, KEEP_ALIVE, STREAM_WINDOW};
use coco_tunnel::forward::mqtt::{ANSWERS_MAX, QUEUED_MAX, far};
use coco_tunnel::forward::{Broken, Caller, Local, READ_SIZE, Service};
use coco_tunnel::frame;
use coco_tunnel::session::Session;
use coconet::grant::Capabilities;
use coconet::key::{NodeKeys, SEED_LEN};
use coconet::rights::Rights;
use coconet::service::ServiceOptions;
use coconet::wire::code::Reset;
use coconet::wire::node::Request;
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use zeroize::Zeroizing;

/// Nothing on loopback takes this long; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a writer must make no progress to count as held up.
const STALL: Duration = Duration::from_millis(500);

/// Kernel buffers of the broker's connection.
const SOCKET_BUFFER: usize = 64 * 1024;

/// Version 3.1.1, clean session, client id `c`.
const CONNECT: &[u8] = &[0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 4, 0x02, 0, 60, 0, 1, b'c'];
const CONNACK: &[u8] = &[0x20, 2, 0, 0];

/// A PUBLISH of 256 MiB to `a`, of which this is the head.
const ENDLESS: &[u8] = &[0x30, 0xff, 0xff, 0xff, 0x7f, 0, 1, b'a'];

struct Line {
    channel: Channel,
    broker: TcpStream,
    serving: JoinHandle<Result<(), Broken>>,
    cut: Option<oneshot::Sender<Reset>>,
    service: Arc<Service>,
    _sessions: (Session, Session, Endpoint, Endpoint),
}

fn endpoint(keys: &NodeKeys) -> Endpoint {
    let options = EndpointOptions {
        secret: keys.static_secret(),
        reset: Zeroizing::new([7; 32]),
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        any_port: false,
    };
    Endpoint::bind(&options).unwrap()
}

impl Line {
    async fn open(rights: Rights) -> Self {
        let (near, far_keys) = (NodeKeys::from_seed(&[1; SEED_LEN]), NodeKeys::from_seed(&[2; SEED_LEN]));
        let (from, to) = (endpoint(&near), endpoint(&far_keys));
        let addresses = to.addresses();
        let mut accepting = Accepting::default();
        let (near, theirs) = tokio::join!(
            async { from.dial(far_keys.static_key(), &addresses, KEEP_ALIVE).await.unwrap() },
            async { to.accept(&mut accepting).await.unwrap() }
        );
        let mut channel = near.open().await.unwrap();
        frame::write(&mut channel.tx, &Request::Ping).await.unwrap();
        let mut served = theirs.accept().await.unwrap();
        let _: Request = frame::read(&mut served.rx).await.unwrap();

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (local, broker) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (local, broker) = (local.unwrap(), broker.unwrap().0);
        for stream in [&local, &broker] {
            SockRef::from(stream).set_send_buffer_size(SOCKET_BUFFER).unwrap();
            SockRef::from(stream).set_recv_buffer_size(SOCKET_BUFFER).unwrap();
        }
        let target = format!("mqtt://{address}").parse().unwrap();
        let service = Arc::new(Service::new(target, ServiceOptions::default(), None));
        let (cut, cutting) = oneshot::channel();
        let caller = Caller { rights, alias: "abcdefghijklmnop".to_owned() };
        let serving = tokio::spawn({
            let service = Arc::clone(&service);
            async move {
                let cut = async {
                    match cutting.await {
                        Ok(code) => code,
                        Err(_) => std::future::pending().await,
                    }
                };
                far(&service, &caller, Local::tcp(local), served, cut).await
            }
        });
        let sessions = (near, theirs, from, to);
        Self { channel, broker, serving, cut: Some(cut), service, _sessions: sessions }
    }

    /// With a client that the broker has accepted.
    async fn connected(rights: Rights) -> Self {
        let mut line = Self::open(rights).await;
        line.client_says(CONNECT).await;
        line.broker_hears(CONNECT).await;
        line.broker.write_all(CONNACK).await.unwrap();
        line.client_hears(CONNACK).await;
        line
    }

    async fn client_says(&mut self, bytes: &[u8]) {
        self.channel.tx.write(Bytes::copy_from_slice(bytes)).await.unwrap();
    }

    async fn client_hears(&mut self, bytes: &[u8]) {
        let mut heard = vec![0; bytes.len()];
        assert!(timeout(PATIENCE, self.channel.rx.read_exact(&mut heard)).await.unwrap().unwrap());
        assert_eq!(heard, bytes);
    }

    async fn broker_hears(&mut self, bytes: &[u8]) {
        let mut heard = vec![0; bytes.len()];
        timeout(PATIENCE, self.broker.read_exact(&mut heard)).await.unwrap().unwrap();
        assert_eq!(heard, bytes);
    }

    async fn ended(&mut self) -> Result<(), Broken> {
        timeout(PATIENCE, &mut self.serving).await.unwrap().unwrap()
    }
}

fn guest() -> Rights {
    Rights::Only(Capabilities::new(vec!["subscribe:a".to_owned()]).unwrap())
}

/// Write `block` until nobody takes any more for [`STALL`]; returns how much was taken.
async fn fill(tx: &mut ChannelTx, block: &Bytes) -> usize {
    let (mut taken, mut left) = (0, block.clone());
    while let Ok(written) = timeout(STALL, tx.write_some(&mut [left.clone()])).await {
        let written = written.unwrap();
        taken += written;
        left.advance(written);
        if left.is_empty() {
            left = block.clone();
        }
    }
    taken
}

#[tokio::test]
async fn a_broker_that_does_not_read_holds_its_client_up_and_nobody_else() {
    let mut line = Line::connected(Rights::All).await;
    line.client_says(ENDLESS).await;
    let taken = timeout(PATIENCE, fill(&mut line.channel.tx, &Bytes::from(vec![7; 65_536]))).await.unwrap();
    // A stream's window, what is queued and one batch, and four kernel buffers that the kernel doubles.
    let most = STREAM_WINDOW as usize + QUEUED_MAX + 2 * READ_SIZE + 4 * 2 * SOCKET_BUFFER;
    assert!(taken <= most, "{taken} bytes were taken of which nobody has read one");
    // The other direction is free.
    let message = [0x30, 4, 0, 1, b'a', b'x'];
    line.broker.write_all(&message).await.unwrap();
    line.client_hears(&message).await;
    line.broker_hears(&[ENDLESS, &vec![7; taken]].concat()).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_the_broker_up_and_is_heard() {
    let mut line = Line::connected(Rights::All).await;
    line.broker.write_all(ENDLESS).await.unwrap();
    let block = [7; 65_536];
    let mut taken = 0;
    while let Ok(ready) = timeout(STALL, line.broker.writable()).await {
        ready.unwrap();
        match line.broker.try_write(&block) {
            Ok(count) => taken += count,
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
    let most = STREAM_WINDOW as usize + QUEUED_MAX + 2 * READ_SIZE + 4 * 2 * SOCKET_BUFFER;
    assert!(taken <= most, "{taken} bytes were taken of which nobody has read one");
    let message = [0x30, 4, 0, 1, b'b', b'x'];
    line.client_says(&message).await;
    line.broker_hears(&message).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_its_refusals_is_held_up() {
    let mut line = Line::connected(guest()).await;
    let denied = Bytes::from([0x32, 6, 0, 1, b'b', 0, 7, b'x'].repeat(8192));
    let taken = timeout(PATIENCE * 2, fill(&mut line.channel.tx, &denied)).await.unwrap();
    // Each of 8 bytes has an answer of 4, and there is room for those in both directions of the stream.
    let most = 3 * STREAM_WINDOW as usize + 4 * (ANSWERS_MAX + 2 * READ_SIZE);
    assert!(taken <= most, "{taken} bytes were taken of which no answer was read");
    line.client_hears(&[0x40, 2, 0, 7].repeat(taken / 8)).await;
    assert_eq!(line.service.mqtt.facts().denied.publish, taken as u64 / 8);
}

#[tokio::test]
async fn a_cut_does_not_wait_for_anybody() {
    let mut line = Line::connected(Rights::All).await;
    line.client_says(ENDLESS).await;
    timeout(PATIENCE, fill(&mut line.channel.tx, &Bytes::from(vec![7; 65_536]))).await.unwrap();
    line.cut.take().unwrap().send(Reset::Revoked).unwrap();
    assert!(matches!(line.ended().await, Err(Broken::Here(Reset::Revoked))));
    let read = timeout(PATIENCE, line.channel.rx.read_exact(&mut [0])).await.unwrap();
    assert_eq!(read, Err(Cut::Reset(Reset::Revoked)));
}

#[tokio::test]
async fn what_the_broker_said_last_arrives_before_its_end() {
    let mut line = Line::open(Rights::All).await;
    line.client_says(CONNECT).await;
    line.broker_hears(CONNECT).await;
    // Not authorised, and closed.
    line.broker.write_all(&[0x20, 2, 0, 5]).await.unwrap();
    line.broker.shutdown().await.unwrap();
    line.client_hears(&[0x20, 2, 0, 5]).await;
    assert_eq!(line.channel.rx.read_exact(&mut [0]).await, Ok(false));
    line.channel.tx.finish();
    assert!(line.ended().await.is_ok());
}

#[tokio::test]
async fn a_client_that_leaves_is_an_end_for_the_broker() {
    let mut line = Line::connected(Rights::All).await;
    line.client_says(&[0x30, 4, 0, 1, b'a', b'x', 0xe0, 0]).await;
    line.channel.tx.finish();
    line.broker_hears(&[0x30, 4, 0, 1, b'a', b'x', 0xe0, 0]).await;
    let mut rest = Vec::new();
    timeout(PATIENCE, line.broker.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert_eq!(rest, []);
    drop(line.broker);
    assert!(timeout(PATIENCE, line.serving).await.unwrap().unwrap().is_ok());
}

#[tokio::test]
async fn a_client_that_says_nothing_and_leaves_is_no_failure() {
    let mut line = Line::open(guest()).await;
    line.client_says(&CONNECT[..5]).await;
    line.channel.tx.finish();
    assert!(line.ended().await.is_ok());
    let mut rest = Vec::new();
    timeout(PATIENCE, line.broker.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert_eq!(rest, []);
}

#[tokio::test]
async fn a_broker_that_is_none_is_not_passed_on() {
    let mut line = Line::open(Rights::All).await;
    line.client_says(CONNECT).await;
    line.broker_hears(CONNECT).await;
    line.broker.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    let read = timeout(PATIENCE, line.channel.rx.read_exact(&mut [0])).await.unwrap();
    assert_eq!(read, Err(Cut::Reset(Reset::Protocol)));
    assert!(matches!(line.ended().await, Err(Broken::Here(Reset::Protocol))));
    assert_eq!(line.service.mqtt.facts().malformed, 1);
}
