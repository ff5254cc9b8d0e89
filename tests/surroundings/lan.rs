//! Nodes of one network find each other on a LAN, and nobody else learns anything.

use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use coco_lab::{DEVICE, Host, Lab, Site};
use cocod::surroundings::changes::Watcher;
use cocod::surroundings::lan::packet::LENGTH;
use cocod::surroundings::lan::socket::{GROUP_V4, GROUP_V6, PORT};
use cocod::surroundings::lan::{Lan, State};
use coconet::id::{Hash, NetworkId, NodeId};

use crate::changes::ip;
use crate::on;

const HOME: NetworkId = NetworkId(Hash([1; 32]));
const WORK: NetworkId = NetworkId(Hash([2; 32]));
const ALICE: NodeId = NodeId([0xa1; 32]);
const BOB: NodeId = NodeId([0xb0; 32]);

/// Where a node listens that has chosen nothing.
const ANYWHERE: [&str; 2] = ["0.0.0.0:4433", "[::]:4434"];

fn anywhere() -> Vec<SocketAddr> {
    ANYWHERE.map(|text| text.parse().unwrap()).to_vec()
}

/// Keep `node` of `network` on `host` while `what` runs on this thread.
fn with_neighbour<T>(host: &Host, network: NetworkId, node: NodeId, what: impl FnOnce() -> T) -> T {
    let (stop, stopped) = mpsc::channel::<()>();
    let (tell, ready) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            host.enter(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let watcher = Watcher::start();
                    let lan = Lan::start(watcher.links());
                    lan.announce(network, node, anywhere()).await;
                    // A question of its own comes after the announcement: from here on it is heard.
                    lan.find(network, ALICE).await;
                    tell.send(()).unwrap();
                    let waiting = tokio::task::spawn_blocking(move || stopped.recv());
                    let _ = waiting.await;
                });
            });
        });
        ready.recv().unwrap();
        let outcome = what();
        drop(stop);
        outcome
    })
}

/// Look for `node` of `network` from `host`, as another member.
fn found_from(host: &Host, network: NetworkId, node: NodeId) -> Vec<SocketAddr> {
    on(host, async || {
        let watcher = Watcher::start();
        let lan = Lan::start(watcher.links());
        lan.announce(network, ALICE, anywhere()).await;
        lan.find(network, node).await
    })
}

#[test]
fn a_member_is_found_on_the_same_lan_with_nothing_else_there() {
    let lab = Lab::new();
    let home = lab.site(Site::port_restricted());
    let (alice, bob) = (home.host("alice"), home.host("bob"));
    home.wire().cut();
    let found = with_neighbour(&bob, HOME, BOB, || found_from(&alice, HOME, BOB));
    assert!(found.contains(&SocketAddr::new(bob.v4().into(), 4433)), "{found:?}");
    // Of another network it is not there, nor is anybody else.
    with_neighbour(&bob, HOME, BOB, || {
        assert_eq!(found_from(&alice, WORK, BOB), []);
        assert_eq!(found_from(&alice, HOME, NodeId([9; 32])), []);
    });
}

#[test]
fn it_is_found_by_ipv6_alone() {
    let lab = Lab::new();
    let home = lab.site(Site::ipv6_only());
    let (alice, bob) = (home.host("alice"), home.host("bob"));
    let found = with_neighbour(&bob, HOME, BOB, || found_from(&alice, HOME, BOB));
    assert_eq!(found, [SocketAddr::new(bob.v6().into(), 4434)]);
}

#[test]
fn two_daemons_of_one_machine_hear_the_same_lan() {
    let lab = Lab::new();
    let home = lab.site(Site::port_restricted());
    let (alice, bob) = (home.host("alice"), home.host("bob"));
    with_neighbour(&bob, WORK, NodeId([7; 32]), || {
        let found = with_neighbour(&bob, HOME, BOB, || found_from(&alice, HOME, BOB));
        assert!(!found.is_empty());
        // And each other.
        assert!(!with_neighbour(&bob, HOME, BOB, || found_from(&bob, HOME, BOB)).is_empty());
    });
}

#[test]
fn a_node_that_comes_to_the_lan_is_heard_without_being_asked() {
    let lab = Lab::new();
    let home = lab.site(Site::port_restricted());
    let (alice, bob) = (home.host("alice"), home.host("bob"));
    on(&alice, async || {
        let watcher = Watcher::start();
        let lan = Lan::start(watcher.links());
        lan.announce(HOME, ALICE, anywhere()).await;
        let mut heard = lan.heard();
        assert_eq!(lan.known(HOME, BOB).await, []);
        thread::scope(|scope| {
            scope.spawn(|| with_neighbour(&bob, HOME, BOB, || {}));
        });
        assert_eq!(heard.recv().await.unwrap(), (HOME, BOB));
        let known = lan.known(HOME, BOB).await;
        assert!(known.contains(&SocketAddr::new(bob.v4().into(), 4433)), "{known:?}");
        assert_eq!(lan.state(), State::On(1));
    });
}

#[test]
fn an_address_that_is_new_is_announced() {
    let lab = Lab::new();
    let home = lab.site(Site::port_restricted());
    let (alice, bob) = (home.host("alice"), home.host("bob"));
    let moved: SocketAddr = "198.51.100.1:4433".parse().unwrap();
    with_neighbour(&bob, HOME, BOB, || {
        on(&alice, async || {
            let watcher = Watcher::start();
            let lan = Lan::start(watcher.links());
            lan.announce(HOME, ALICE, anywhere()).await;
            let mut heard = lan.heard();
            bob.enter(|| ip(&format!("address add 198.51.100.1/24 dev {DEVICE}")));
            while !lan.known(HOME, BOB).await.contains(&moved) {
                heard.recv().await.unwrap();
            }
        });
    });
}

#[test]
fn outsiders_hear_packets_of_one_length_in_which_there_is_nothing() {
    let lab = Lab::new();
    let home = lab.site(Site::port_restricted());
    let (spy, bob) = (home.host("spy"), home.host("bob"));
    let socket = spy.enter(|| {
        let socket = UdpSocket::bind((GROUP_V4, PORT)).unwrap();
        socket.join_multicast_v4(&GROUP_V4, &spy.v4()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket
    });
    let mut packets = Vec::new();
    with_neighbour(&bob, HOME, BOB, || {
        // The announcement, and the question for Alice with its repetition.
        for _ in 0..3 {
            let mut packet = [0; 2 * LENGTH];
            let (length, from) = socket.recv_from(&mut packet).unwrap();
            assert_eq!((length, from.ip()), (LENGTH, bob.v4().into()));
            packets.push(packet[..length].to_vec());
        }
    });
    let secret = |packet: &Vec<u8>| {
        let has = |bytes: &[u8]| packet.windows(bytes.len()).any(|window| window == bytes);
        has(&BOB.0[..4]) || has(&ALICE.0[..4]) || has(&HOME.0.0[..4]) || has(&bob.v4().octets())
    };
    assert!(!packets.iter().any(secret));
    for (at, one) in packets.iter().enumerate() {
        for other in &packets[..at] {
            let same = one.iter().zip(other).filter(|(one, other)| one == other).count();
            assert!(same < 12, "{same} of {LENGTH} bytes are the same");
        }
    }
}

#[test]
fn who_is_not_asked_says_little() {
    let lab = Lab::new();
    let home = lab.site(Site::port_restricted());
    let (alice, bob) = (home.host("alice"), home.host("bob"));
    let said = |host: &Host| -> u64 {
        let groups = [GROUP_V4.into(), GROUP_V6.into()];
        let to_groups = host.tried().into_iter().filter(|sent| groups.contains(&sent.to));
        to_groups.filter(|sent| sent.port == Some(PORT)).map(|sent| sent.packets).sum()
    };
    let nobody = NodeId([9; 32]);
    with_neighbour(&bob, HOME, BOB, || {
        on(&alice, async || {
            let watcher = Watcher::start();
            let lan = Lan::start(watcher.links());
            lan.announce(HOME, ALICE, anywhere()).await;
            // A node that is not here, wanted again and again: one question and its repetition.
            for _ in 0..50 {
                assert_eq!(lan.find(HOME, nobody).await, []);
            }
        });
    });
    // One announcement and one question, twice, by IPv4 and by IPv6.
    assert!((3..=6).contains(&said(&alice)), "{} packets", said(&alice));
    assert!((3..=6).contains(&said(&bob)), "{} packets", said(&bob));
}
