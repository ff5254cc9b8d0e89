//! What strangers do to the TLS port of a manager, and who gets through meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use coco_tunnel::carrier::identity;
use coco_tunnel::carrier::proxy::Proxies;
use coco_tunnel::carrier::server::{HALF_OPEN_MAX, Limits, PROOF_TIMEOUT, Refused};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::ends::{Manager, PATIENCE, endpoint, keys, line, session_over};

/// All of these tests come from one address.
const MANY: Limits = Limits { connections: 1000, per_source: 1000 };

/// TLS with whoever it is, as a stranger.
async fn tls(manager: &Manager) -> TlsStream<TcpStream> {
    let config = identity::client_config(manager.address.stamp).unwrap();
    let tcp = TcpStream::connect(manager.tls()).await.unwrap();
    let name = "localhost".try_into().unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap()
}

/// Whether the other end has closed it.
async fn closed(mut stream: impl tokio::io::AsyncRead + Unpin) -> bool {
    let mut rest = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut rest)).await.is_ok()
}

#[tokio::test]
async fn garbage_on_the_tls_port_is_counted_and_cut() {
    let mut manager = Manager::start(Limits::default());
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 5000], &[0x16, 3, 1, 0xff, 0xff, 1], b"\0"] {
        let mut tcp = TcpStream::connect(manager.tls()).await.unwrap();
        tcp.write_all(garbage).await.unwrap();
        // A beginning that could become something is cut when its time is over, or when it ends.
        tcp.shutdown().await.unwrap();
        assert_eq!(manager.refusal().await, Refused::Handshake);
        assert!(closed(tcp).await);
    }
}

#[tokio::test]
async fn garbage_inside_tls_ends_its_own_line_and_no_other() {
    let mut manager = Manager::start(Limits::default());
    let node = endpoint(&keys(2));
    let good = line(&node, &manager.address, &Proxies::Off).await.unwrap();
    let session = session_over(&node, &manager.address, &good).await;
    let _taken = manager.session().await;
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0, 0], &[0xff; 70_000]] {
        let mut stranger = tls(&manager).await;
        // It may be cut while this is being sent.
        let _ = stranger.write_all(garbage).await;
        let _ = stranger.flush().await;
        assert_eq!(manager.refusal().await, Refused::Malformed);
        assert!(closed(stranger).await);
    }
    session.open().await.unwrap();
    assert!(session.end().is_none());
}

#[tokio::test]
async fn who_does_not_know_the_managers_key_is_cut_though_it_speaks_the_form() {
    let mut manager = Manager::start(Limits::default());
    let mut stranger = tls(&manager).await;
    let began = Instant::now();
    // A datagram that could be a first packet, and one that could be a later one.
    let mut datagrams = vec![0x04, 0xb0];
    datagrams.extend_from_slice(&[0xc7; 1200]);
    datagrams.extend_from_slice(&[0, 40]);
    datagrams.extend_from_slice(&[0x47; 40]);
    stranger.write_all(&datagrams).await.unwrap();
    stranger.flush().await.unwrap();
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, stranger.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(answer, b"", "nothing is said to strangers");
    assert_eq!(manager.refusal().await, Refused::Silent);
    assert!(began.elapsed() < PROOF_TIMEOUT + Duration::from_secs(5));
}

#[tokio::test]
async fn one_source_has_its_share_and_no_more() {
    let mut manager = Manager::start(Limits { connections: 100, per_source: 2 });
    let (_one, two) = (tls(&manager).await, tls(&manager).await);
    let third = TcpStream::connect(manager.tls()).await.unwrap();
    assert_eq!(manager.refusal().await, Refused::Source);
    assert!(closed(third).await);
    drop(two);
    // What was freed can be had again.
    let node = endpoint(&keys(2));
    timeout(PATIENCE, async {
        while line(&node, &manager.address, &Proxies::Off).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn there_are_no_more_connections_than_there_may_be() {
    let mut manager = Manager::start(Limits { connections: 2, per_source: 100 });
    let _held = (tls(&manager).await, tls(&manager).await);
    let third = TcpStream::connect(manager.tls()).await.unwrap();
    assert_eq!(manager.refusal().await, Refused::Full);
    assert!(closed(third).await);
}

#[tokio::test]
async fn a_flood_of_half_open_connections_keeps_nobody_out() {
    let mut manager = Manager::start(MANY);
    let mut flood = Vec::new();
    for _ in 0..HALF_OPEN_MAX + 44 {
        flood.push(TcpStream::connect(manager.tls()).await.unwrap());
    }
    // The oldest make room at once, not when their time is over.
    let began = Instant::now();
    for _ in 0..44 {
        assert_eq!(manager.refusal().await, Refused::Handshake);
    }
    let node = endpoint(&keys(2));
    let line = line(&node, &manager.address, &Proxies::Off).await.unwrap();
    session_over(&node, &manager.address, &line).await;
    manager.session().await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(closed(flood.swap_remove(0)).await);
}
