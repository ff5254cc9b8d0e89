//! Nodes whose packets come inside TLS: they are served like any other, and counted by where they come from.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod house;

use std::net::SocketAddr;
use std::num::NonZeroU16;

use coco_manager::config::{Limits, Listen};
use coco_manager::counters::Refusal;
use coco_manager::storage::memory::Memory;
use coco_tunnel::carrier::proxy::Proxies;
use coco_tunnel::carrier::{Line, connect};
use coco_tunnel::endpoint::{DialError, Endpoint, EndpointOptions, MANAGER_KEEP_ALIVE};
use coco_tunnel::relay::frame::Frame;
use coco_tunnel::session::Ended;
use coco_tunnel::socket::Place;
use coconet::manager_addr::ManagerAddr;
use coconet::wire::code::Close;
use coconet::wire::manager::Response;
use house::{House, MANAGER, Node, keys, loopback, manager_addr, receive, soon};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

fn with_tls(limits: Limits) -> House {
    House::with(Memory::default(), |config| {
        config.limits = limits;
        config.tls.listen = Some(Listen::new(vec![loopback()]).unwrap());
    })
}

/// The node of `seed`, which has no UDP.
async fn carried(house: &House, seed: u8) -> Result<(Node, Line), DialError> {
    let keys = keys(seed);
    let options = EndpointOptions {
        secret: keys.static_secret(),
        reset: keys.derive("stateless-reset"),
        listen: vec![loopback()],
        any_port: false,
    };
    let endpoint = Endpoint::bind(&options).unwrap();
    let tls = NonZeroU16::new(house.tls.unwrap().port());
    let manager = ManagerAddr { tls, ..manager_addr(&house::keys(MANAGER)) };
    let line = soon(connect(&endpoint, &manager, &[house.address], &Proxies::Off)).await.unwrap();
    let (tell, found) = mpsc::channel(1);
    tell.try_send(line.place()).unwrap();
    drop(tell);
    let session = soon(endpoint.dial_as_found(manager.talk, found, Some(MANAGER_KEEP_ALIVE))).await?;
    assert!(matches!(session.place(), Some(Place::Carrier(_))));
    endpoint.set_relay(1, line.place());
    Ok((Node { keys, endpoint, session, ledger: None }, line))
}

/// A laptop that has UDP and a camera that has none, in one network.
async fn home(house: &House) -> (Node, Node, Line) {
    let (mut laptop, (mut cam, line)) = (house.node(1).await, carried(house, 2).await.unwrap());
    laptop.founds("home").await;
    let invite = laptop.invites(9, 1).await;
    cam.joins(&invite, "cam").await;
    laptop.fetches(invite.network).await;
    (laptop, cam, line)
}

#[tokio::test]
async fn where_tls_comes_from_is_nowhere_to_be_dialled() {
    let house = with_tls(Limits::default());
    let (laptop, cam, _line) = home(&house).await;
    let offered: SocketAddr = "192.0.2.9:9".parse().unwrap();
    let (_stream, Response::Registered { observed, .. }) = cam.registers(&[offered]).await else {
        panic!("not registered")
    };
    assert!(observed.ip().is_loopback(), "the TCP address, not {observed}");
    let (online, candidates, _) = laptop.locates(cam.id()).await;
    assert_eq!((online, candidates), (true, vec![offered]));
}

#[tokio::test]
async fn a_channel_of_the_relay_ends_in_tls_where_its_node_does() {
    let house = with_tls(Limits::default());
    let (laptop, cam, line) = home(&house).await;
    let (mut stream, _) = cam.registers(&[]).await;
    let ours = laptop.dials(cam.id()).await.unwrap();
    let Response::Ring { channel: Some(theirs), candidates, .. } = receive(&mut stream).await else {
        panic!("not rung")
    };
    assert_eq!(candidates.len(), 1, "the laptop is seen where it is");
    // Both directions are counted, so both have passed.
    laptop.relays(house.address, ours, 1200, 5);
    let frame = {
        let mut packet = Vec::new();
        Frame::Data { channel: theirs, payload: &[7; 1000] }.encode(&mut packet);
        packet
    };
    (0..3).for_each(|_| cam.endpoint.send_frame(line.place().address(), &frame));
    // What is asked behind them is answered behind them.
    cam.usage().await;
    let usage = laptop.usage().await;
    assert_eq!(usage.used, 5 * 1200 + 3 * 1000);
    let of = |node: &Node| usage.nodes.iter().find(|used| used.node == node.id()).cloned().unwrap();
    assert_eq!((of(&laptop).sent, of(&laptop).received), (6000, 3000));
    assert_eq!((of(&cam).sent, of(&cam).received), (3000, 6000));
}

#[tokio::test]
async fn a_source_has_its_share_of_sessions_however_they_come() {
    let house = with_tls(Limits { sessions_per_source: 2, ..Limits::default() });
    let _by_udp = house.node(1).await;
    let _by_tls = carried(&house, 2).await.unwrap();
    let third = carried(&house, 3).await;
    let busy = match third {
        // It is told as soon as it is there.
        Ok((node, _line)) => soon(node.session.closed()).await,
        Err(DialError::Ended(ended)) => ended,
        Err(other) => panic!("{other}"),
    };
    assert_eq!(busy, Ended::Closed(Close::Busy));
    assert_eq!(house.counters.of(Refusal::Source), 1);
}

#[tokio::test]
async fn what_is_refused_on_the_tls_port_is_counted() {
    let house = House::with(Memory::default(), |config| {
        config.tls.listen = Some(Listen::new(vec![loopback()]).unwrap());
        config.tls.connections_per_source = 1;
    });
    let (_node, _line) = carried(&house, 2).await.unwrap();
    let mut second = TcpStream::connect(house.tls.unwrap()).await.unwrap();
    let mut rest = Vec::new();
    let _ = soon(second.read_to_end(&mut rest)).await;
    assert_eq!(house.counters.of(Refusal::CarrierSource), 1);
}

#[tokio::test]
async fn a_manager_that_stops_says_goodbye_inside_tls_too() {
    let house = with_tls(Limits::default());
    let (mut node, line) = carried(&house, 2).await.unwrap();
    node.founds("home").await;
    house.close().await;
    assert_eq!(soon(node.session.closed()).await, Ended::Closed(Close::Done));
    soon(line.closed()).await;
}
