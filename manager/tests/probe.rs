//! What a node finds out about its NAT by its manager.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod house;

use std::net::SocketAddr;
use std::time::Duration;

use coco_manager::storage::memory::Memory;
use coco_tunnel::relay::frame::{ASK_LEN, Frame, proof};
use coconet::wire::manager::{Request, Response};
use house::{House, MANAGER, keys, soon};
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// How long nothing has to come to be silence.
const SILENCE: Duration = Duration::from_millis(300);

const TOKEN: u64 = 0x0102_0304_0506_0708;

fn seen(packet: &[u8]) -> Option<(u64, SocketAddr)> {
    match Frame::parse(packet)? {
        Frame::Seen { token, address } => Some((token, address)),
        Frame::Punch | Frame::Data { .. } | Frame::Gone { .. } | Frame::Ask { .. } => None,
    }
}

/// Ask `server` where it sees `socket`, with the key of seed `knows`.
async fn asks(socket: &UdpSocket, server: SocketAddr, knows: u8) {
    let mut ask = Vec::new();
    Frame::Ask { token: TOKEN, proof: proof(&keys(knows).static_key(), TOKEN) }.encode(&mut ask);
    assert_eq!(socket.send_to(&ask, server).await.unwrap(), ASK_LEN);
}

async fn answered(socket: &UdpSocket) -> Option<(u64, SocketAddr)> {
    let mut answer = [0; 100];
    let length = socket.recv(&mut answer).await.unwrap();
    assert!(length <= ASK_LEN, "{length} bytes");
    seen(&answer[..length])
}

#[tokio::test]
async fn a_member_is_sent_what_it_asks_for_from_a_port_it_does_not_know() {
    let house = House::open(Memory::default());
    let mut laptop = house.node(1).await;
    let network = laptop.founds("home").await;
    let mut heard = laptop.endpoint.heard().unwrap();
    let probe = Request::Probe { network, token: TOKEN };
    let Response::Probed { time, port: Some(second) } = laptop.asks(&probe).await else { panic!("no port") };
    assert_ne!(second, house.address.port());
    let (from, packet) = soon(heard.recv()).await.unwrap();
    assert_eq!(seen(&packet), Some((TOKEN, laptop.endpoint.addresses()[0])));
    assert!(from.port() != second && from.port() != house.address.port());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    assert!(now.abs_diff(u128::from(time)) < 60_000);
    house.close().await;
}

#[tokio::test]
async fn who_is_no_member_is_sent_nothing() {
    let house = House::open(Memory::default());
    let mut laptop = house.node(1).await;
    let network = laptop.founds("home").await;
    let stranger = house.node(2).await;
    let mut heard = stranger.endpoint.heard().unwrap();
    assert_eq!(stranger.is_refused(&Request::Probe { network, token: TOKEN }).await, "not-a-member");
    assert!(timeout(SILENCE, heard.recv()).await.is_err());
    house.close().await;
}

#[tokio::test]
async fn both_ports_say_where_they_see_whoever_knows_the_manager_s_key() {
    let house = House::open(Memory::default());
    let mut laptop = house.node(1).await;
    let network = laptop.founds("home").await;
    let Response::Probed { port: Some(second), .. } =
        laptop.asks(&Request::Probe { network, token: 1 }).await
    else {
        panic!("no port")
    };
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for port in [house.address.port(), second] {
        let server = SocketAddr::new(house.address.ip(), port);
        let own = socket.local_addr().unwrap();
        asks(&socket, server, MANAGER).await;
        assert_eq!(soon(answered(&socket)).await, Some((TOKEN, own)), "port {port}");
        asks(&socket, server, 7).await;
        assert!(timeout(SILENCE, answered(&socket)).await.is_err(), "port {port}");
    }
    house.close().await;
}
