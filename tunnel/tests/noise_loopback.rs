//! The handshake inside real noq endpoints on loopback: what works, and what gets no answer.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use coco_tunnel::noise::{self, LocalStatic, PeerStatic, QUIC_VERSION, ResetKey, TokenKey};
use noq::{
    ClientConfig, Connection, ConnectionError, Endpoint, EndpointConfig, PathId, PathStatus, ServerConfig,
    TransportConfig,
};
use tokio::{net::UdpSocket, time::timeout};

/// Nothing on loopback takes this long; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long an answer that must not come is waited for. A real one takes a few milliseconds.
const SILENCE: Duration = Duration::from_millis(500);
const IDLE: Duration = Duration::from_secs(2);

fn key(byte: u8) -> LocalStatic {
    LocalStatic::from_secret([byte; 32])
}

fn transport() -> Arc<TransportConfig> {
    let mut transport = TransportConfig::default();
    transport.max_idle_timeout(Some(IDLE.try_into().unwrap()));
    transport.max_concurrent_multipath_paths(4);
    Arc::new(transport)
}

fn server_config(local: &LocalStatic) -> ServerConfig {
    let mut config = ServerConfig::new(noise::server_config(local), Arc::new(TokenKey::random().unwrap()));
    config.transport_config(transport());
    config
}

fn client_config(local: &LocalStatic, remote: &LocalStatic) -> ClientConfig {
    let mut config = ClientConfig::new(noise::client_config(local, remote.public()));
    config.transport_config(transport());
    config.version(QUIC_VERSION);
    config
}

fn endpoint(local: &LocalStatic, bind: &str) -> Endpoint {
    let mut config = EndpointConfig::new(Arc::new(ResetKey::random().unwrap()));
    config.supported_versions(vec![QUIC_VERSION]);
    let socket = std::net::UdpSocket::bind(bind).unwrap();
    let runtime = noq::default_runtime().unwrap();
    Endpoint::new(config, Some(server_config(local)), socket, runtime).unwrap()
}

fn node(local: &LocalStatic) -> Endpoint {
    endpoint(local, "127.0.0.1:0")
}

/// Connects both, and gives the dialling end first.
async fn connect(dialler: &Endpoint, config: ClientConfig, listener: &Endpoint) -> (Connection, Connection) {
    let mut address = listener.local_addr().unwrap();
    if address.ip().is_unspecified() {
        address.set_ip([127, 0, 0, 1].into());
    }
    let dial = async { dialler.connect_with(config, address, "ignored").unwrap().await.unwrap() };
    let answer = async { listener.accept().await.unwrap().await.unwrap() };
    timeout(PATIENCE, async { tokio::join!(dial, answer) }).await.unwrap()
}

/// Sends `data` from one end, back from the other, and wants it unchanged.
async fn echo(from: &Connection, to: &Connection, data: &[u8]) {
    let there = async {
        let (mut send, mut recv) = from.open_bi().await.unwrap();
        let write = async {
            send.write_all(data).await.unwrap();
            send.finish().unwrap();
        };
        let (_, back) = tokio::join!(write, recv.read_to_end(data.len()));
        assert!(back.unwrap() == data);
    };
    let back = async {
        let (mut send, mut recv) = to.accept_bi().await.unwrap();
        let got = recv.read_to_end(data.len()).await.unwrap();
        send.write_all(&got).await.unwrap();
        send.finish().unwrap();
    };
    timeout(PATIENCE, async { tokio::join!(there, back) }).await.unwrap();
}

fn identity(connection: &Connection) -> PeerStatic {
    *connection.peer_identity().unwrap().downcast().unwrap()
}

fn export(connection: &Connection, context: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    connection.export_keying_material(&mut out, b"test", context).unwrap();
    out
}

#[tokio::test]
async fn two_nodes_know_each_other_and_echo_over_key_updates() {
    let (dialler, listener) = (node(&key(1)), node(&key(2)));
    let (ours, theirs) = connect(&dialler, client_config(&key(1), &key(2)), &listener).await;
    assert_eq!(identity(&ours), PeerStatic(key(2).public()));
    assert_eq!(identity(&theirs), PeerStatic(key(1).public()));
    assert!(ours.is_multipath_enabled() && theirs.is_multipath_enabled());
    assert_eq!(export(&ours, b"a"), export(&theirs, b"a"));
    assert_ne!(export(&ours, b"a"), export(&theirs, b"b"));

    let data = vec![0xa5; 300_000];
    echo(&ours, &theirs, &data).await;
    ours.force_key_update();
    echo(&ours, &theirs, &data).await;
    theirs.force_key_update();
    echo(&theirs, &ours, &data).await;
}

#[tokio::test]
async fn a_second_path_carries_packets_under_its_own_nonces() {
    let (dialler, listener) = (endpoint(&key(1), "0.0.0.0:0"), endpoint(&key(2), "0.0.0.0:0"));
    let (ours, theirs) = connect(&dialler, client_config(&key(1), &key(2)), &listener).await;
    let second: SocketAddr = ([127, 0, 0, 2], listener.local_addr().unwrap().port()).into();
    // A round trip brings the connection ids that a new path needs.
    echo(&ours, &theirs, b"hello").await;
    let path = timeout(PATIENCE, ours.open_path(second, PathStatus::Available)).await.unwrap().unwrap();
    assert_ne!(path.id(), PathId::ZERO);
    ours.path(PathId::ZERO).unwrap().set_status(PathStatus::Backup).unwrap();
    echo(&ours, &theirs, &vec![0x5a; 300_000]).await;
    assert!(path.stats().udp_tx.bytes > 300_000, "{:?}", path.stats());
}

#[tokio::test]
async fn a_dial_is_answered_with_retry_and_still_arrives() {
    let (dialler, listener) = (node(&key(1)), node(&key(2)));
    let address = listener.local_addr().unwrap();
    let dial = dialler.connect_with(client_config(&key(1), &key(2)), address, "").unwrap();
    let answer = async {
        let first = listener.accept().await.unwrap();
        assert!(!first.remote_address_validated());
        first.retry().unwrap();
        let second = listener.accept().await.unwrap();
        assert!(second.remote_address_validated());
        second.await.unwrap()
    };
    let (ours, theirs) = timeout(PATIENCE, async { tokio::join!(dial, answer) }).await.unwrap();
    echo(&ours.unwrap(), &theirs, b"after retry").await;
}

/// The first datagrams of a dial to the node with the key `remote`, which never arrive there.
async fn first_flight(remote: &LocalStatic) -> Vec<Vec<u8>> {
    let sink = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let dialler = node(&key(1));
    let address = sink.local_addr().unwrap();
    let _dial = dialler.connect_with(client_config(&key(1), remote), address, "").unwrap();
    let mut flight = Vec::new();
    // The KEM key makes a hello longer than one datagram and shorter than three.
    for _ in 0..2 {
        flight.push(timeout(PATIENCE, receive(&sink)).await.unwrap());
    }
    flight
}

async fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 2048];
    let len = socket.recv(&mut buffer).await.unwrap();
    buffer.truncate(len);
    buffer
}

/// The same packet with a destination connection id of four bytes.
fn with_short_cid(packet: &[u8]) -> Vec<u8> {
    let after_cid = 6 + usize::from(packet[5]);
    let mut short = [&packet[..5], &[4, 1, 2, 3, 4], &packet[after_cid..]].concat();
    short.resize(packet.len(), 0);
    short
}

/// Answers whoever gets through; the ends of all connections that were begun.
fn accept_all(listener: Endpoint) -> tokio::sync::mpsc::UnboundedReceiver<Result<(), ConnectionError>> {
    let (ends, receiver) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(incoming) = listener.accept().await {
            let ends = ends.clone();
            tokio::spawn(async move {
                let end = incoming.await.map(drop);
                let _ = ends.send(end);
            });
        }
    });
    receiver
}

#[tokio::test]
async fn who_does_not_know_the_key_gets_no_answer_at_all() {
    let listener = node(&key(2));
    let address = listener.local_addr().unwrap();
    let mut ends = accept_all(listener);
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    stranger.connect(address).await.unwrap();

    let wrong = first_flight(&key(3)).await;
    let right = first_flight(&key(2)).await;
    // Without its second half: a packet that does decrypt is acknowledged, a hello that fails as a whole would not be answered.
    stranger.send(&wrong[0]).await.unwrap();
    stranger.send(&with_short_cid(&right[0])).await.unwrap();
    let mut altered = right[0].clone();
    altered[600] ^= 1;
    stranger.send(&altered).await.unwrap();

    let dialler = node(&key(1));
    let dial = dialler.connect_with(client_config(&key(1), &key(2)), address, "").unwrap();
    let _live = timeout(PATIENCE, dial).await.unwrap().unwrap();
    // The altered packet, sent last, was looked at and failed, so all were. (Under a wrong key most fail earlier: their header
    // decodes to nonsense.) The good one after them was taken.
    let (mut failed, mut connected) = (0, 0);
    while failed < 1 || connected < 1 {
        match timeout(PATIENCE, ends.recv()).await.unwrap().unwrap() {
            Ok(()) => connected += 1,
            Err(_) => failed += 1,
        }
    }
    stranger.send(&wrong[1]).await.unwrap();
    // The node was alive all the while, and said nothing to the stranger.
    assert!(timeout(SILENCE, receive(&stranger)).await.is_err());

    // The same socket is answered when it does have a packet under the right key.
    for packet in &right {
        stranger.send(packet).await.unwrap();
    }
    timeout(PATIENCE, receive(&stranger)).await.unwrap();
}

#[tokio::test]
async fn a_dial_under_another_key_times_out() {
    let listener = node(&key(2));
    let address = listener.local_addr().unwrap();
    let _ends = accept_all(listener);
    let dialler = node(&key(1));
    let dial = dialler.connect_with(client_config(&key(1), &key(3)), address, "").unwrap();
    let error = timeout(PATIENCE, dial).await.unwrap().unwrap_err();
    assert_eq!(error, ConnectionError::TimedOut);
}

#[derive(Debug, PartialEq)]
enum Kind {
    Initial,
    Handshake,
    Other,
}

/// The kinds of the packets in a datagram (RFC 9000, 17.2).
fn kinds(mut datagram: &[u8]) -> Vec<Kind> {
    let mut kinds = Vec::new();
    while let Some(&first) = datagram.first() {
        let kind = match first & 0xb0 {
            0x80 => Kind::Initial,
            0xa0 => Kind::Handshake,
            _ => Kind::Other,
        };
        if kind == Kind::Other {
            kinds.push(kind);
            break;
        }
        let mut rest = &datagram[5..];
        for _ in 0..2 {
            rest = &rest[1 + usize::from(rest[0])..];
        }
        if kind == Kind::Initial {
            let token = varint(&mut rest);
            rest = &rest[token..];
        }
        let length = varint(&mut rest);
        datagram = &rest[length..];
        kinds.push(kind);
    }
    kinds
}

fn varint(bytes: &mut &[u8]) -> usize {
    let len = 1 << (bytes[0] >> 6);
    let (number, rest) = bytes.split_at(len);
    *bytes = rest;
    number[1..].iter().fold(usize::from(number[0] & 0x3f), |n, &b| n << 8 | usize::from(b))
}

#[tokio::test]
async fn a_replayed_hello_gets_the_server_s_flight_and_never_a_connection() {
    let listener = node(&key(2));
    let address = listener.local_addr().unwrap();
    let mut ends = accept_all(listener);
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    stranger.connect(address).await.unwrap();

    let flight = first_flight(&key(2)).await;
    let mut sent = 0;
    for packet in &flight {
        sent += stranger.send(packet).await.unwrap();
    }
    let end = timeout(PATIENCE, ends.recv()).await.unwrap().unwrap();
    assert_eq!(end, Err(ConnectionError::TimedOut));

    let mut seen = Vec::new();
    let mut received = 0;
    let mut buffer = vec![0; 2048];
    while let Ok(len) = stranger.try_recv(&mut buffer) {
        received += len;
        seen.extend(kinds(&buffer[..len]));
    }
    assert!(seen.contains(&Kind::Initial) && seen.contains(&Kind::Handshake));
    assert!(!seen.contains(&Kind::Other), "{seen:?}");
    assert!(received <= 3 * sent, "{received} bytes for {sent}");
}
