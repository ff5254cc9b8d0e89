//! Who is answered at all, who is where, and what becomes of those who are removed or too many.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod house;

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use coco_manager::config::Limits;
use coco_manager::counters::Refusal;
use coco_manager::limits::SESSION_STREAMS_MAX;
use coco_manager::storage::memory::Memory;
use coco_tunnel::frame;
use coco_tunnel::session::Ended;
use coconet::id::{Hash, NetworkId, NodeId};
use coconet::invite::Invitation;
use coconet::key::InviteSecret;
use coconet::wire::code::{Close, Reset};
use coconet::wire::manager::{CANDIDATES_MAX, Request, Response, failed};
use house::{BLIND, House, MANAGER, Node, keys, manager_addr, name, publish, receive, soon};
use tokio::net::UdpSocket;

fn addresses(text: &[&str]) -> Vec<SocketAddr> {
    text.iter().map(|address| address.parse().unwrap()).collect()
}

#[tokio::test]
async fn strangers_cannot_tell_a_network_that_is_here_from_one_that_is_not() {
    let house = House::open(Memory::default());
    let (mut laptop, stranger) = (house.node(1).await, house.node(2).await);
    let here = laptop.founds("home").await;
    let invite = laptop.invites(9, 1).await;
    let nowhere = NetworkId(Hash([3; 32]));

    let mut answers = Vec::new();
    for network in [here, nowhere] {
        let node = laptop.id();
        let real = Invitation {
            network,
            managers: Vec::new(),
            secret: InviteSecret::from_seed(&[9; 32]),
            expires: 0,
        };
        let wrong = Invitation { secret: InviteSecret::from_seed(&[8; 32]), ..copy(&real) };
        let Request::Head { invite: key, .. } = stranger.head_request(&invite) else { unreachable!() };
        let Request::Head { proof, .. } = stranger.head_request(&wrong) else { unreachable!() };
        let head = laptop.ledger().head();
        let join =
            |invite: &Invitation| Request::Append(invite.join(&stranger.keys, head, &name("n"), BLIND));
        let requests = [
            Request::Fetch { network, from: 0 },
            Request::Register { network, candidates: Vec::new() },
            Request::Dial { network, node, relay: true },
            Request::Presence { network },
            Request::Append(coconet::ledger::Draft::new(&stranger.keys, network, head, &publish("a"), BLIND)),
            Request::Append(coconet::ledger::Draft::new(
                &stranger.keys,
                network,
                Hash::ZERO,
                &publish("a"),
                BLIND,
            )),
            // An invite nobody made, the right one without its secret, and a join by the former.
            stranger.head_request(&wrong),
            Request::Head { network, invite: key, proof },
            join(&wrong),
        ];
        for request in requests {
            answers.push(stranger.asks(&request).await);
        }
    }
    for answer in &answers {
        assert_eq!(answer, &answers[0]);
    }
    assert!(matches!(&answers[0], Response::Failed { code, .. } if code == "not-a-member"));
    assert_eq!(house.counters.of(Refusal::NotAMember), 18);
    house.close().await;
}

fn copy(invite: &Invitation) -> Invitation {
    let secret = InviteSecret::from_seed(&invite.secret.to_seed());
    Invitation { network: invite.network, managers: Vec::new(), secret, expires: invite.expires }
}

#[tokio::test]
async fn a_proof_made_for_one_session_is_worth_nothing_in_another() {
    let house = House::open(Memory::default());
    let (mut laptop, joiner, thief) = (house.node(1).await, house.node(2).await, house.node(3).await);
    laptop.founds("home").await;
    let invite = laptop.invites(9, 1).await;
    let proof = joiner.head_request(&invite);
    assert!(matches!(joiner.asks(&proof).await, Response::Head { seq: 1, .. }));
    assert_eq!(thief.is_refused(&proof).await, "not-a-member");
    house.close().await;
}

/// Everything that goes to the manager goes through this socket, and what comes back is counted.
#[tokio::test]
async fn who_does_not_know_the_key_hears_nothing() {
    let house = House::open(Memory::default());
    let door = UdpSocket::bind(house::loopback()).await.unwrap();
    let inside = UdpSocket::bind(house::loopback()).await.unwrap();
    inside.connect(house.address).await.unwrap();
    let address = door.local_addr().unwrap();
    let scanner = tokio::spawn(Node::connect(keys(2), address, keys(99).static_key()));

    // What a client with another key sends reaches the manager, and so does plain junk.
    let mut packet = vec![0; 2048];
    for _ in 0..2 {
        let (length, _) = soon(door.recv_from(&mut packet)).await.unwrap();
        inside.send(&packet[..length]).await.unwrap();
    }
    for junk in [&[0xc0; 1200][..], &[0x40; 64], &[0; 64], b"GET / HTTP/1.1\r\n\r\n"] {
        inside.send(junk).await.unwrap();
    }
    // A node with the right key is answered after all of that was read.
    let mut node = house.node(1).await;
    node.founds("home").await;
    let silent = inside.try_recv(&mut packet);
    assert_eq!(silent.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    scanner.abort();
    house.close().await;
}

#[tokio::test]
async fn a_registered_node_hears_of_each_new_head_and_is_found() {
    let house = House::open(Memory::default());
    let (mut laptop, mut cam) = (house.node(1).await, house.node(2).await);
    laptop.founds("home").await;
    let invite = laptop.invites(9, 1).await;
    cam.joins(&invite, "cam").await;
    laptop.fetches(invite.network).await;
    assert_eq!(laptop.locates(cam.id()).await, (false, Vec::new(), 0), "never seen");

    let own = cam.endpoint.addresses()[0];
    let offered = addresses(&["192.0.2.7:9", "169.254.169.254:80", "[ff02::1]:1", "0.0.0.0:5"]);
    let (mut stream, answer) = cam.registers(&offered).await;
    let head = cam.ledger().head();
    assert_eq!(answer, Response::Registered { observed: own, seq: 2, head });
    let (online, candidates, _) = laptop.locates(cam.id()).await;
    assert_eq!((online, candidates), (true, vec![own, offered[0]]), "seen first, nothing poisoned");
    let ring = Response::Ring { node: laptop.id(), candidates: laptop.endpoint.addresses(), channel: None };
    assert_eq!(receive(&mut stream).await, ring);

    let entry = laptop.publishes("a").await;
    assert_eq!(receive(&mut stream).await, Response::Head { seq: 3, head: entry.hash(), view: None });
    assert_eq!(laptop.lists().await, [(cam.id(), 0)]);

    // Other addresses, on the same stream.
    let moved = addresses(&["192.0.2.8:9"]);
    let again = Request::Register { network: laptop.network(), candidates: moved.clone() };
    frame::write(&mut stream.tx, &again).await.unwrap();
    assert!(matches!(receive(&mut stream).await, Response::Registered { seq: 3, .. }));
    assert_eq!(laptop.locates(cam.id()).await.1, [own, moved[0]]);

    // Gone, and remembered.
    cam.session.close(Close::Done);
    let last_seen = soon(async {
        loop {
            let (online, candidates, last_seen) = laptop.locates(cam.id()).await;
            if !online {
                assert_eq!(candidates, [own, moved[0]]);
                return last_seen;
            }
        }
    })
    .await;
    assert_eq!(laptop.lists().await, [(cam.id(), last_seen)]);
    assert_eq!(laptop.is_refused(&locate(&laptop, NodeId([5; 32]))).await, "no-such-node");
    house.close().await;
}

fn locate(asker: &Node, node: NodeId) -> Request {
    Request::Dial { network: asker.network(), node, relay: false }
}

#[tokio::test]
async fn a_newer_session_of_a_node_takes_its_place() {
    let house = House::open(Memory::default());
    let (mut laptop, mut old) = (house.node(1).await, house.node(2).await);
    laptop.founds("home").await;
    let invite = laptop.invites(9, 1).await;
    old.joins(&invite, "cam").await;
    let mut new = house.node(2).await;
    new.fetches(invite.network).await;
    laptop.fetches(invite.network).await;

    let (mut replaced, _) = old.registers(&[]).await;
    let (_stream, _) = new.registers(&[]).await;
    let there = vec![new.endpoint.addresses()[0]];
    assert_eq!(laptop.locates(old.id()).await.1, there);
    // The older registration hears of the newer, and has ended before the next question.
    assert!(matches!(receive(&mut replaced).await, Response::Failed { code, .. } if code == failed::CLONED));
    replaced.tx.finish();
    assert!(soon(frame::read::<Response>(&mut replaced.rx)).await.is_err());
    assert_eq!(laptop.locates(old.id()).await.1, there);
    assert!(laptop.locates(old.id()).await.0);
    house.close().await;
}

#[tokio::test]
async fn a_removed_node_hears_of_it_and_is_cut_off() {
    let house = House::open(Memory::default());
    let (mut laptop, mut cam) = (house.node(1).await, house.node(2).await);
    laptop.founds("home").await;
    let invite = laptop.invites(9, 1).await;
    cam.joins(&invite, "cam").await;
    laptop.fetches(invite.network).await;
    let (mut stream, _) = cam.registers(&[]).await;
    let idle = house.node(2).await;

    let entry = laptop.removes(cam.id()).await;
    assert_eq!(receive(&mut stream).await, Response::Head { seq: 3, head: entry.hash(), view: None });
    for session in [&cam.session, &idle.session] {
        assert_eq!(soon(session.closed()).await, Ended::Closed(Close::Revoked));
    }
    assert_eq!(laptop.lists().await, []);
    assert_eq!(laptop.is_refused(&locate(&laptop, cam.id())).await, "no-such-node");

    let back = house.node(2).await;
    let network = laptop.network();
    let requests = [
        Request::Register { network, candidates: Vec::new() },
        Request::Presence { network },
        Request::Append(cam.ledger().draft(&cam.keys, &publish("a"), BLIND)),
        Request::Append(invite.join(&back.keys, entry.hash(), &name("cam"), BLIND)),
    ];
    for request in requests {
        assert_eq!(back.is_refused(&request).await, "revoked");
    }
    house.close().await;
}

#[tokio::test]
async fn a_node_that_leaves_has_its_answer_before_it_is_cut_off() {
    let house = House::open(Memory::default());
    let (mut laptop, mut cam) = (house.node(1).await, house.node(2).await);
    laptop.founds("home").await;
    let invite = laptop.invites(9, 1).await;
    cam.joins(&invite, "cam").await;
    cam.removes(cam.id()).await;
    assert_eq!(soon(cam.session.closed()).await, Ended::Closed(Close::Revoked));
    house.close().await;
}

#[tokio::test]
async fn garbage_is_refused_and_the_session_goes_on() {
    let house = House::open(Memory::default());
    let mut laptop = house.node(1).await;
    for garbage in [&[0, 0][..], &[0, 1, 0xff], &[0, 2, 0x82, 0x09], &[0, 3, 0x80, 0x80, 0x80]] {
        let mut channel = laptop.session.open().await.unwrap();
        channel.tx.write(Bytes::copy_from_slice(garbage)).await.unwrap();
        let answer = receive(&mut channel).await;
        assert!(matches!(answer, Response::Failed { code, .. } if code == "protocol-error"));
    }
    // Half a message, and none.
    for part in [&[0, 9, 0x82][..], &[]] {
        let mut channel = laptop.session.open().await.unwrap();
        channel.tx.write(Bytes::copy_from_slice(part)).await.unwrap();
        channel.tx.finish();
        assert!(soon(frame::read::<Response>(&mut channel.rx)).await.is_err());
    }
    assert_eq!(house.counters.of(Refusal::Protocol), 6);
    laptop.founds("home").await;
    let network = laptop.network();
    let candidates = vec![house.address; CANDIDATES_MAX + 1];
    assert_eq!(laptop.is_refused(&Request::Register { network, candidates }).await, "protocol-error");
    let (mut stream, _) = laptop.registers(&[]).await;
    frame::write(&mut stream.tx, &Request::Presence { network }).await.unwrap();
    let answer = receive(&mut stream).await;
    assert!(matches!(answer, Response::Failed { code, .. } if code == "protocol-error"));
    laptop.publishes("a").await;
    house.close().await;
}

#[tokio::test]
async fn streams_without_end_hold_up_only_their_own_session() {
    let house = House::open(Memory::default());
    let (greedy, mut laptop) = (house.node(3).await, house.node(1).await);
    let mut held = Vec::new();
    for _ in 0..SESSION_STREAMS_MAX {
        let mut channel = greedy.session.open().await.unwrap();
        channel.tx.write(Bytes::from_static(&[0xff])).await.unwrap();
        held.push(channel);
    }
    let request = Request::Presence { network: NetworkId(Hash([3; 32])) };
    let mut waits = greedy.opens(&request).await;
    let mut answer = pin!(frame::read::<Response>(&mut waits.rx));
    // Everybody else goes on, and for longer than the waiting answer would take.
    laptop.founds("home").await;
    for _ in 0..10 {
        laptop.publishes("a").await;
    }
    let at_once = tokio::time::timeout(Duration::ZERO, &mut answer).await;
    assert!(at_once.is_err(), "more streams were served than there may be");
    held.pop().unwrap().reset(Reset::Closed);
    assert!(matches!(soon(answer).await, Ok(Response::Failed { .. })));
    house.close().await;
}

#[tokio::test]
async fn more_sessions_and_networks_than_there_may_be_are_refused_as_busy() {
    let limits = Limits { networks: 1, sessions: 4, sessions_per_source: 2 };
    let house = House::with_limits(Memory::default(), limits);
    let (mut laptop, phone) = (house.node(1).await, house.node(2).await);
    let third = house.node(3).await;
    assert_eq!(soon(third.session.closed()).await, Ended::Closed(Close::Busy));
    assert_eq!(house.counters.of(Refusal::Source), 1);

    laptop.founds("home").await;
    let second = phone.genesis("away", vec![manager_addr(&keys(MANAGER))]);
    assert_eq!(phone.is_refused(&Request::Append(second.clone())).await, "busy");
    assert_eq!(house.counters.of(Refusal::Busy), 1);

    // A place that is left is free again.
    phone.session.close(Close::Done);
    soon(async { while !is_served(&house.node(4).await).await {} }).await;
    house.close().await;
}

async fn is_served(node: &Node) -> bool {
    let network = NetworkId(Hash([3; 32]));
    let Ok(mut channel) = node.session.open().await else { return false };
    let asked = frame::write(&mut channel.tx, &Request::Presence { network }).await.is_ok();
    asked && soon(frame::read::<Response>(&mut channel.rx)).await.is_ok()
}

#[tokio::test]
async fn sessions_end_as_done_when_the_manager_stops() {
    let house = House::open(Memory::default());
    let mut laptop = house.node(1).await;
    laptop.founds("home").await;
    let (_stream, _) = laptop.registers(&[]).await;
    house.close().await;
    assert_eq!(soon(laptop.session.closed()).await, Ended::Closed(Close::Done));
}
