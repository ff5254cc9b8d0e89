//! Dialling: who is rung, who gets a channel of the relay, what it carries, and what that costs.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod house;

use std::net::SocketAddr;

use coco_manager::counters::Refusal;
use coco_manager::state_dir::StateDir;
use coco_manager::storage::memory::Memory;
use coco_manager::storage::sqlite::Sqlite;
use coco_manager::storage::{Relayed, Storage, Traffic, Write};
use coco_tunnel::channel::Channel;
use coconet::calendar::{Day, Month};
use coconet::id::NodeId;
use coconet::invite::Invitation;
use coconet::key::InviteSecret;
use coconet::ledger::{Invite, Op, Purpose};
use coconet::role::Role;
use coconet::wire::code::Close;
use coconet::wire::manager::{NodeUsage, Request, Response};
use house::{House, MANAGER, Node, keys, manager_addr, name, receive, soon};
#[path = "house/program.rs"]
mod program;
use program::Scratch;

/// The payload of one packet.
const PACKET: u64 = 1200;

/// Packets sent before the manager is asked anything: as many as one receive may bring.
const BURST: usize = 60;

/// A network of a laptop and a camera that has registered.
struct Home {
    house: House,
    laptop: Node,
    cam: Node,
    /// The camera's registered stream.
    stream: Channel,
}

async fn home(house: House) -> Home {
    let (mut laptop, mut cam) = (house.node(1).await, house.node(2).await);
    laptop.founds("home").await;
    let invite = laptop.invites(9, 1).await;
    cam.joins(&invite, "cam").await;
    laptop.fetches(invite.network).await;
    let (stream, _) = cam.registers(&[]).await;
    Home { house, laptop, cam, stream }
}

impl Home {
    /// The laptop sends `count` packets on `channel`; returns once the manager has seen them.
    async fn sends(&self, channel: u64, count: usize) -> house::Usage {
        self.laptop.relays(self.house.address, channel, PACKET.try_into().unwrap(), count);
        // What is asked behind them is answered behind them.
        self.laptop.usage().await
    }
}

/// The channel that a ring names.
async fn ring(stream: &mut Channel, from: NodeId) -> u64 {
    loop {
        match receive(stream).await {
            Response::Ring { node, channel: Some(channel), .. } if node == from => return channel,
            Response::Head { .. } => {}
            other => panic!("no ring with a channel: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_node_that_is_dialled_is_rung_and_both_know_one_channel() {
    let mut home = home(House::open(Memory::default())).await;
    let offered: SocketAddr = "192.0.2.9:9".parse().unwrap();
    let (mut back, _) = home.laptop.registers(&[offered, "169.254.169.254:80".parse().unwrap()]).await;
    let ours = home.laptop.dials(home.cam.id()).await.unwrap();
    let Response::Ring { node, candidates, channel: Some(theirs) } = receive(&mut home.stream).await else {
        panic!("not rung")
    };
    assert_eq!(node, home.laptop.id());
    assert_eq!(candidates, [home.laptop.endpoint.addresses()[0], offered], "seen first, nothing poisoned");
    assert_ne!(ours, theirs);
    // Again, and the other way round: the same.
    assert_eq!(home.laptop.dials(home.cam.id()).await, Ok(ours));
    assert_eq!(ring(&mut home.stream, home.laptop.id()).await, theirs);
    assert_eq!(home.cam.dials(home.laptop.id()).await, Ok(theirs));
    assert_eq!(ring(&mut back, home.cam.id()).await, ours);
    assert_eq!((home.house.counters.dials(true), home.house.counters.dials(false)), (3, 0));
    home.house.close().await;
}

#[tokio::test]
async fn nobody_gets_a_channel_to_itself_or_to_who_is_not_there() {
    let home = home(House::open(Memory::default())).await;
    assert_eq!(home.cam.dials(home.laptop.id()).await, Err("offline".into()));
    for node in [home.laptop.id(), NodeId([9; 32])] {
        let dial = Request::Dial { network: home.laptop.network(), node, relay: true };
        assert_eq!(home.laptop.is_refused(&dial).await, "no-such-node");
    }
    home.house.close().await;
}

#[tokio::test]
async fn what_is_relayed_is_counted_for_both_nodes_and_told_to_whom_it_concerns() {
    let mut home = home(House::open(Memory::default())).await;
    let gina = joins_as(&mut home, 3, Purpose::User { name: name("gina"), role: Role::Guest }).await;
    let bell = joins_as(&mut home, 4, Purpose::Device { publish: true }).await;

    let ours = home.laptop.dials(home.cam.id()).await.unwrap();
    let theirs = ring(&mut home.stream, home.laptop.id()).await;
    assert_eq!(home.sends(ours, 0).await.nodes, []);
    home.cam.relays(home.house.address, theirs, 100, 1);
    let usage = soon(async {
        loop {
            // Each packet is either there or lost; loopback loses none.
            let usage = home.sends(ours, 0).await;
            if usage.used == 100 {
                break home.sends(ours, 10).await;
            }
        }
    })
    .await;
    assert_eq!((usage.used, usage.whole, usage.limit), (100 + 10 * PACKET, true, None));
    let (laptop, cam) = (home.laptop.id(), home.cam.id());
    let mut expected = [
        NodeUsage { node: laptop, sent: 10 * PACKET, received: 100 },
        NodeUsage { node: cam, sent: 100, received: 10 * PACKET },
    ];
    expected.sort_by_key(|usage| usage.node);
    assert_eq!(usage.nodes, expected);
    assert_eq!(usage.days.iter().map(|day| day.bytes).collect::<Vec<_>>(), [usage.used]);

    // Somebody who uses the channel from elsewhere is not carried, nor is a made-up channel.
    gina.relays(home.house.address, ours, 100, 5);
    gina.usage().await;
    assert_eq!(home.sends(ours.wrapping_add(1), 5).await, usage);

    // An app of the owner's is told all; a guest and a device nothing of what others relayed.
    assert_eq!(home.cam.usage().await, usage);
    for node in [&gina, &bell] {
        let told = node.usage().await;
        assert_eq!((told.used, told.whole, told.nodes.len(), told.days.len()), (0, false, 0, 0));
    }
    // A guest is not told where a node is that has nothing for it; the node may call.
    let (_stream, _) = gina.registers(&[]).await;
    let to_bell = Request::Dial { network: home.laptop.network(), node: bell.id(), relay: true };
    assert_eq!(gina.is_refused(&to_bell).await, "no-such-node");
    let to_gina = bell.dials(gina.id()).await.unwrap();
    bell.relays(home.house.address, to_gina, 50, 1);
    let (of_bell, of_gina) = (bell.usage().await, gina.usage().await);
    assert_eq!(of_gina.nodes, [NodeUsage { node: gina.id(), sent: 0, received: 50 }]);
    assert_eq!(of_bell.nodes, [NodeUsage { node: bell.id(), sent: 50, received: 0 }]);
    assert_eq!((of_gina.used, of_bell.used, home.laptop.usage().await.used), (50, 50, usage.used + 50));
    home.house.close().await;
}

/// A node with the keys of `seed` joins by an invite of that kind.
async fn joins_as(home: &mut Home, seed: u8, purpose: Purpose) -> Node {
    let network = home.laptop.network();
    let (secret, expires) = (InviteSecret::from_seed(&[seed; 32]), u64::MAX >> 1);
    let invite = Invite { key: secret.key(), purpose, uses: 1, expires, node_name: None, only: None };
    home.laptop.appends(&Op::Invite(invite)).await;
    let mut node = home.house.node(seed).await;
    let managers = vec![manager_addr(&keys(MANAGER))];
    let joined = Invitation { network, managers, secret, expires };
    node.tries_to_join(&joined, &name(&format!("node-{seed}"))).await.unwrap();
    home.laptop.fetches(network).await;
    node.ledger = home.laptop.ledger.clone();
    node
}

#[tokio::test]
async fn a_channel_moves_with_its_node_and_ends_with_its_membership() {
    let mut home = home(House::open(Memory::default())).await;
    let ours = home.laptop.dials(home.cam.id()).await.unwrap();
    let theirs = ring(&mut home.stream, home.laptop.id()).await;
    // The camera comes back from elsewhere: what it sends from there is carried, and not from where it was.
    let mut back = home.house.node(2).await;
    back.ledger = home.cam.ledger.clone();
    let (_stream, _) = back.registers(&[]).await;
    home.cam.relays(home.house.address, theirs, 100, 3);
    home.cam.usage().await;
    assert_eq!(home.sends(ours, 0).await.used, 0);
    back.relays(home.house.address, theirs, 100, 2);
    back.usage().await;
    assert_eq!(home.sends(ours, 0).await.used, 200);
    assert_eq!(home.laptop.dials(home.cam.id()).await, Ok(ours), "it is still the same channel");

    home.laptop.removes(home.cam.id()).await;
    assert_eq!(home.sends(ours, 5).await.used, 200);
    home.house.close().await;
}

#[tokio::test]
async fn the_relay_stops_at_the_quota_and_says_so_twice() {
    const LIMIT: u64 = 20_000_000;
    let mut home = home(House::with_quota(Memory::default(), LIMIT)).await;
    let (mut own, _) = home.laptop.registers(&[]).await;
    let ours = home.laptop.dials(home.cam.id()).await.unwrap();
    ring(&mut home.stream, home.laptop.id()).await;
    let mut used = 0;
    soon(async {
        while used < LIMIT {
            let usage = home.sends(ours, BURST).await;
            assert!(usage.used > used, "it stopped at {used}");
            used = usage.used;
        }
    })
    .await;
    assert!(used < LIMIT / 100 * 101, "{used} is more than 1 % beyond {LIMIT}");
    for _ in 0..20 {
        let usage = home.sends(ours, BURST).await;
        assert_eq!((usage.used, usage.limit), (used, Some(LIMIT)), "it goes on");
    }
    assert_eq!(home.laptop.dials(home.cam.id()).await, Err("quota".into()));
    assert_eq!(home.house.counters.of(Refusal::Quota), 1);
    // Without the relay all goes on: the other is still found and rung.
    assert!(home.laptop.locates(home.cam.id()).await.0);

    for stream in [&mut own, &mut home.stream] {
        let Response::Quota { used: warned, limit: LIMIT } = receive(stream).await else {
            panic!("no warning")
        };
        assert!((LIMIT / 10 * 8..=used).contains(&warned), "{warned}");
        // All of it may have gone between two looks.
        let spent =
            if warned < LIMIT { receive(stream).await } else { Response::Quota { used, limit: LIMIT } };
        if matches!(spent, Response::Quota { .. }) {
            assert_eq!(spent, Response::Quota { used, limit: LIMIT });
        }
    }
    // Who comes later is told at once.
    let (mut later, _) = home.cam.registers(&[]).await;
    assert_eq!(receive(&mut later).await, Response::Quota { used, limit: LIMIT });
    home.house.close().await;
}

#[tokio::test]
async fn counts_are_kept_over_a_restart_and_earlier_months_are_told() {
    let scratch = Scratch::new();
    let dir = StateDir::create(&scratch.path("state"), &keys(MANAGER), "").unwrap();
    let home = home(House::open(dir.storage().unwrap())).await;
    let ours = home.laptop.dials(home.cam.id()).await.unwrap();
    let before = home.sends(ours, 3).await;
    assert_eq!(before.used, 3 * PACKET);
    let network = home.laptop.network();
    let ledger = home.laptop.ledger.clone();
    home.laptop.session.close(Close::Done);
    home.house.close().await;

    let this = Month::from_number(before.month).unwrap();
    let (last, oldest) = (this.back(1), this.back(14));
    let traffic = Traffic { sent: 5, received: 0 };
    let row = |month: Month| Relayed { network, node: NodeId([1; 32]), day: month.first(), traffic };
    let mut storage = dir.storage().unwrap();
    storage.commit(&[Write::Relayed(vec![row(last), row(oldest)])]).unwrap();
    assert_eq!(storage.relayed(oldest, None).unwrap().len(), 1);
    assert_eq!(storage.relayed(this, None).unwrap().len(), 2);

    let house = House::open(storage);
    let mut laptop = house.node(1).await;
    laptop.ledger = ledger;
    assert_eq!(laptop.usage().await, before);
    let of = |month: u32| Request::Usage { network, month: Some(month) };
    assert_eq!(house::Usage::of(laptop.asks_all(&of(this.number())).await), before);
    let told = house::Usage::of(laptop.asks_all(&of(last.number())).await);
    assert_eq!((told.month, told.used, told.days.len()), (last.number(), 5, 1));
    assert_eq!(Day::from_number(last.number() * 100 + 1).unwrap(), last.first());
    for month in [oldest.number(), this.number() + 100, 0, u32::MAX] {
        assert_eq!(laptop.is_refused(&of(month)).await, "protocol-error", "{month}");
    }
    house.close().await;
    let mut storage = dir.storage().unwrap();
    let kept = |storage: &mut Sqlite, month| storage.relayed(month, None).unwrap().len();
    assert_eq!((kept(&mut storage, last), kept(&mut storage, oldest)), (1, 0), "the oldest are forgotten");
}
