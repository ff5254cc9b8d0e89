//! How long a network's members need to catch up all at once: `cargo bench -p coco-manager`.
//!
//! One manager with its database, [`MEMBERS`] connected members, all in this process. First each fetches the
//! whole ledger and only counts its entries, which is the manager's part; then [`BURST`] entries are written
//! and each fetches and verifies those, which is what a change costs everybody together.

#![expect(clippy::print_stdout, reason = "the figures are the result")]
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed run")]

#[path = "../tests/house/mod.rs"]
mod house;

use std::sync::Arc;
use std::time::Instant;

use coco_manager::storage::sqlite::Sqlite;
use coconet::id::NetworkId;
use coconet::key::{NodeKeys, SEED_LEN};
use coconet::ledger::{Entry, Ledger, Op, Withdraw};
use coconet::wire::manager::{Request, Response};
use house::{House, MANAGER, Node, keys, name, publish};
use tokio::task::JoinSet;

/// Members that sync at once.
const MEMBERS: u16 = 200;

/// Entries that they are behind in the second part.
const BURST: usize = 25;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let dir = std::env::temp_dir().join(format!("coco-bench-{}", std::process::id()));
    std::fs::create_dir(&dir).unwrap();
    let database = dir.join("manager.db");
    std::fs::File::create_new(&database).unwrap();
    Sqlite::create(&database).unwrap();
    let house = House::open(Sqlite::open(&database).unwrap());
    let mut owner = house.node(1).await;
    let network = owner.founds("home").await;
    let invite = owner.invites(9, MEMBERS.into()).await;
    let mut members = Vec::new();
    for number in 0..MEMBERS {
        let member =
            Node::connect(member_keys(number), house.address, keys(MANAGER).static_key()).await.unwrap();
        member.tries_to_join(&invite, &name(&format!("member-{number}"))).await.unwrap();
        members.push(member);
    }
    owner.fetches(network).await;
    changes(&mut owner, 400).await;
    let seq = owner.ledger().seq();

    let start = Instant::now();
    let mut fetching = JoinSet::new();
    for member in members {
        fetching.spawn(async move {
            let entries = fetch(&member, network, 0).await.len() as u64;
            (member, entries)
        });
    }
    let fetched = fetching.join_all().await;
    assert!(fetched.iter().all(|(_, entries)| *entries == seq + 1));
    println!("{MEMBERS} members fetch {} entries each at once: {} ms", seq + 1, start.elapsed().as_millis());

    let before = Arc::new(owner.ledger().clone());
    changes(&mut owner, BURST).await;
    let head = owner.ledger().head();
    let start = Instant::now();
    let mut syncing = JoinSet::new();
    for (member, _) in fetched {
        let mut ledger = Ledger::clone(&before);
        syncing.spawn(async move {
            for entry in fetch(&member, network, ledger.seq() + 1).await {
                ledger.append(&entry).unwrap();
            }
            ledger.head()
        });
    }
    assert!(syncing.join_all().await.into_iter().all(|synced| synced == head));
    println!(
        "{MEMBERS} members fetch and verify {BURST} entries each at once: {} ms",
        start.elapsed().as_millis()
    );
    house.close().await;
    std::fs::remove_dir_all(&dir).unwrap();
}

/// So many entries by the owner.
async fn changes(owner: &mut Node, count: usize) {
    for number in 0..count {
        let withdraw = Op::Withdraw(Withdraw { name: name("service") });
        let op = if number.is_multiple_of(2) { publish("service") } else { withdraw };
        owner.appends(&op).await;
    }
    if !count.is_multiple_of(2) {
        owner.appends(&Op::Withdraw(Withdraw { name: name("service") })).await;
    }
}

async fn fetch(member: &Node, network: NetworkId, from: u64) -> Vec<Entry> {
    let answers = member.asks_all(&Request::Fetch { network, from }).await;
    let entry = |answer| match answer {
        Response::Entry(bytes) => Some(Entry::from_bytes(&bytes).unwrap()),
        _ => None,
    };
    answers.into_iter().filter_map(entry).collect()
}

fn member_keys(number: u16) -> NodeKeys {
    let mut seed = [42; SEED_LEN];
    let [high, low] = number.to_be_bytes();
    (seed[0], seed[1], seed[32], seed[33]) = (high, low, high, low);
    NodeKeys::from_seed(&seed)
}
