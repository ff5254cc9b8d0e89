//! Founding, inviting, joining, appending: one order for everybody, whoever races.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod house;

use coco_manager::storage::memory::Memory;
use coconet::id::{Hash, NetworkId};
use coconet::invite::Invitation;
use coconet::key::InviteSecret;
use coconet::ledger::{Draft, Invite, Op, Purpose, RemoveNode};
use coconet::wire::manager::{Request, Response};
use house::{BLIND, House, MANAGER, keys, manager_addr, name, publish};
use tokio::task::JoinSet;

#[tokio::test]
async fn a_network_is_founded_and_a_node_joins_by_an_invite() {
    let house = House::open(Memory::default());
    let (mut laptop, mut cam) = (house.node(1).await, house.node(2).await);
    laptop.founds("home").await;
    let invite = laptop.invites(9, 1).await;
    cam.joins(&invite, "cam").await;
    assert_eq!(cam.ledger().seq(), 2);
    laptop.fetches(invite.network).await;
    assert_eq!(laptop.ledger(), cam.ledger());
    assert_eq!(laptop.ledger().state().node_named("cam").unwrap().0, cam.id());
    house.close().await;
}

#[tokio::test]
async fn of_two_writers_on_one_head_the_second_is_told_the_head_that_won() {
    let house = House::open(Memory::default());
    let (mut laptop, mut phone) = (house.node(1).await, house.node(2).await);
    laptop.founds("home").await;
    let invite = laptop.invites(9, 1).await;
    phone.joins(&invite, "phone").await;
    laptop.fetches(invite.network).await;

    let (a, b) = (publish("a"), publish("b"));
    let (first, second) = tokio::join!(laptop.submits(&a), phone.submits(&b));
    let (stamped, conflict) = match (first, second) {
        (Response::Stamped(entry), other) | (other, Response::Stamped(entry)) => (entry, other),
        other => panic!("nobody won: {other:?}"),
    };
    assert_eq!(conflict, Response::Conflict { seq: 3, head: stamped.hash() });
    house.close().await;
}

#[tokio::test]
async fn a_hundred_entries_by_four_writers_get_one_order() {
    const EACH: usize = 25;
    let house = House::open(Memory::default());
    let mut laptop = house.node(1).await;
    laptop.founds("home").await;
    let invite = laptop.invites(9, 4).await;
    let mut writers = JoinSet::new();
    for seed in 2..6 {
        let mut node = house.node(seed).await;
        node.joins(&invite, &format!("node-{seed}")).await;
        writers.spawn(async move {
            for turn in 0..EACH {
                let op = publish(&format!("r-{seed}-{turn}"));
                while !matches!(node.submits(&op).await, Response::Stamped(_)) {
                    node.fetches(node.network()).await;
                }
            }
        });
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    laptop.fetches(invite.network).await;
    assert_eq!(laptop.ledger().state().resources().len(), 4 * EACH);
    house.close().await;
}

#[tokio::test]
async fn of_twenty_joiners_on_a_one_use_invite_exactly_one_gets_in() {
    let house = House::open(Memory::default());
    let mut laptop = house.node(1).await;
    laptop.founds("home").await;
    laptop.invites(9, 1).await;
    let mut joiners = JoinSet::new();
    for seed in 10..30 {
        let node = house.node(seed).await;
        let invite = invitation(laptop.network(), 9);
        joiners.spawn(async move { node.tries_to_join(&invite, &name(&format!("n{seed}"))).await.err() });
    }
    let outcomes: Vec<Option<String>> = joiners.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_none()).count(), 1);
    assert_eq!(outcomes.iter().flatten().filter(|code| *code == "invite-used").count(), 19);
    laptop.fetches(laptop.network()).await;
    assert_eq!(laptop.ledger().state().nodes().len(), 2);
    house.close().await;
}

#[tokio::test]
async fn the_holder_of_a_dead_invite_is_told_what_is_wrong_with_it() {
    let house = House::open(Memory::default());
    let (mut laptop, node) = (house.node(1).await, house.node(2).await);
    laptop.founds("home").await;
    let secret = InviteSecret::from_seed(&[8; 32]);
    let purpose = Purpose::SelfApp;
    let expired = Invite { key: secret.key(), purpose, uses: 1, expires: 1, node_name: None, only: None };
    laptop.appends(&Op::Invite(expired)).await;
    let invite = invitation(laptop.network(), 8);
    assert_eq!(node.tries_to_join(&invite, &name("n")).await.unwrap_err(), "invite-expired");
    let join = invite.join(&node.keys, laptop.ledger().head(), &name("n"), BLIND);
    assert_eq!(node.is_refused(&Request::Append(join)).await, "invite-expired");
    house.close().await;
}

#[tokio::test]
async fn a_draft_sent_again_is_answered_with_the_stamp_it_has() {
    let house = House::open(Memory::default());
    let mut laptop = house.node(1).await;
    let genesis = Request::Append(laptop.genesis("home", vec![manager_addr(&keys(MANAGER))]));
    let first = laptop.asks(&genesis).await;
    assert!(matches!(first, Response::Stamped(_)));
    assert_eq!(laptop.asks(&genesis).await, first);
    assert_eq!(house.node(2).await.is_refused(&genesis).await, "not-a-member");

    let Response::Stamped(entry) = first else { unreachable!() };
    laptop.fetches(NetworkId(entry.hash())).await;
    let draft = Request::Append(laptop.ledger().draft(&laptop.keys, &publish("a"), BLIND));
    let second = laptop.asks(&draft).await;
    assert_eq!(laptop.asks(&draft).await, second);
    house.close().await;
}

#[tokio::test]
async fn nobody_submits_what_another_node_has_authored() {
    let house = House::open(Memory::default());
    let (mut laptop, mut phone) = (house.node(1).await, house.node(2).await);
    laptop.founds("home").await;
    let invite = laptop.invites(9, 2).await;
    phone.joins(&invite, "phone").await;
    laptop.fetches(invite.network).await;

    let others = Request::Append(laptop.ledger().draft(&laptop.keys, &publish("a"), BLIND));
    assert_eq!(phone.is_refused(&others).await, "not-allowed");
    let join = Request::Append(invite.join(&keys(3), laptop.ledger().head(), &name("n"), BLIND));
    assert_eq!(phone.is_refused(&join).await, "not-allowed", "nor somebody else's join");
    assert_eq!(house.node(4).await.is_refused(&join).await, "not-a-member");
    house.close().await;
}

#[tokio::test]
async fn a_network_is_founded_by_its_owner_and_names_this_manager() {
    let house = House::open(Memory::default());
    let (laptop, other) = (house.node(1).await, house.node(2).await);
    let genesis = |managers| Request::Append(laptop.genesis("home", managers));
    let own = manager_addr(&keys(MANAGER));
    assert_eq!(other.is_refused(&genesis(vec![own.clone()])).await, "not-allowed");
    assert_eq!(laptop.is_refused(&genesis(vec![manager_addr(&keys(201))])).await, "not-allowed");
    let half = coconet::manager_addr::ManagerAddr { talk: keys(201).static_key(), ..own.clone() };
    assert_eq!(laptop.is_refused(&genesis(vec![half])).await, "not-allowed");
    assert_eq!(laptop.is_refused(&genesis(Vec::new())).await, "bad-value");
    assert!(matches!(laptop.asks(&genesis(vec![own])).await, Response::Stamped(_)));
    house.close().await;
}

#[tokio::test]
async fn what_the_ledger_does_not_allow_is_refused_with_its_word() {
    let house = House::open(Memory::default());
    let mut laptop = house.node(1).await;
    laptop.founds("home").await;
    let lonely = Op::RemoveNode(RemoveNode { node: laptop.id() });
    let refused = |answer| match answer {
        Response::Failed { code, .. } => code,
        other => panic!("not refused: {other:?}"),
    };
    assert_eq!(refused(laptop.submits(&lonely).await), "last-owner");
    let mut forged = laptop.ledger().draft(&laptop.keys, &publish("a"), BLIND);
    forged.signature.0[0] ^= 1;
    assert_eq!(laptop.is_refused(&Request::Append(forged)).await, "bad-author-signature");
    let later = Op::Unknown { code: 40, critical: true, payload: Vec::new() };
    assert_eq!(refused(laptop.submits(&later).await), "update-needed");
    let second = Draft::new(&laptop.keys, laptop.network(), Hash::ZERO, &publish("a"), BLIND);
    assert!(matches!(laptop.asks(&Request::Append(second)).await, Response::Conflict { seq: 0, .. }));
    laptop.publishes("a").await;
    house.close().await;
}

#[tokio::test]
async fn a_long_ledger_is_fetched_whole_and_from_any_entry() {
    let house = House::open(Memory::default());
    let mut laptop = house.node(1).await;
    let network = laptop.founds("home").await;
    for turn in 0..250 {
        laptop.publishes(&format!("r{turn}")).await;
    }
    let entries = laptop.fetches(network).await;
    assert_eq!(entries.len(), 251);
    for (from, expected) in [(249, 2), (250, 1), (251, 0), (u64::MAX, 0)] {
        let mut answers = laptop.asks_all(&Request::Fetch { network, from }).await;
        assert!(matches!(answers.pop(), Some(Response::Head { seq: 250, .. })));
        let rest: Vec<_> = entries[251 - expected..].iter().cloned().map(Response::Entry).collect();
        assert_eq!(answers, rest, "from {from}");
    }
    house.close().await;
}

fn invitation(network: NetworkId, seed: u8) -> Invitation {
    let secret = InviteSecret::from_seed(&[seed; 32]);
    Invitation { network, managers: vec![manager_addr(&keys(MANAGER))], secret, expires: u64::MAX >> 1 }
}
