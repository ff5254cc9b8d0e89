//! What guests are shown, whom a removal ends, and what a plan allows.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod house;

use coco_manager::storage::memory::Memory;
use coco_tunnel::session::Ended;
use coconet::grant::Capabilities;
use coconet::id::NetworkId;
use coconet::invite::Invitation;
use coconet::ledger::{Entry, Grant, Invite, Ledger, Op, Purpose, RemoveUser, SetManagers, Standing};
use coconet::role::Role;
use coconet::wire::code::Close;
use coconet::wire::manager::{Request, Response, failed};
use house::{BLIND, House, Node, manager_addr, name, publish, receive, soon};

/// `owner` invites a guest of that name; the invite's secret is of `seed`.
async fn invites_guest(owner: &mut Node, guest: &str, seed: u8) -> Invitation {
    let secret = coconet::key::InviteSecret::from_seed(&[seed; 32]);
    let purpose = Purpose::User { name: name(guest), role: Role::Guest };
    let op = Invite { key: secret.key(), purpose, uses: 1, expires: u64::MAX, node_name: None, only: None };
    owner.appends(&Op::Invite(op)).await;
    let network = owner.network();
    Invitation { network, managers: Vec::new(), secret, expires: u64::MAX }
}

async fn views(node: &Node, network: NetworkId) -> (Ledger, Vec<Entry>) {
    let mut answers = node.asks_all(&Request::Fetch { network, from: 0 }).await;
    let Some(Response::Head { view, .. }) = answers.pop() else { panic!("no head at the end") };
    let entries: Vec<Entry> = answers
        .into_iter()
        .map(|answer| match answer {
            Response::Entry(bytes) => Entry::from_bytes(&bytes).unwrap(),
            other => panic!("no entry: {other:?}"),
        })
        .collect();
    let follow = |ledger, entry| Some(Ledger::follow_viewed(ledger, entry).unwrap());
    let ledger = entries.iter().fold(None, follow).unwrap();
    assert_eq!(view, Some(ledger.view()), "the manager says what it shows");
    (ledger, entries)
}

#[tokio::test]
async fn a_guest_is_shown_its_own_part_of_the_ledger_and_nobody_elses() {
    let house = House::open(Memory::default());
    let (mut owner, gina, hugo) = (house.node(1).await, house.node(2).await, house.node(3).await);
    let network = owner.founds("home").await;
    let for_gina = invites_guest(&mut owner, "gina", 5).await;
    gina.tries_to_join(&for_gina, &name("gina-pc")).await.unwrap();
    owner.fetches(network).await;
    let for_hugo = invites_guest(&mut owner, "hugo", 6).await;
    hugo.tries_to_join(&for_hugo, &name("hugo-pc")).await.unwrap();
    owner.fetches(network).await;
    owner.appends(&publish("web")).await;
    owner.appends(&publish("secret")).await;

    let (ledger, entries) = views(&gina, network).await;
    let bytes: Vec<u8> = entries.iter().flat_map(Entry::to_bytes).collect();
    let says = |word: &str| bytes.windows(word.len()).any(|part| part == word.as_bytes());
    assert!(says("gina") && !says("hugo") && !says("secret") && !says("web"));
    assert_eq!(ledger.head(), owner.ledger().head());

    let can = Capabilities::new(vec!["connect".to_owned()]).unwrap();
    let grant = Grant { user: name("gina"), resource: name("web"), can, when: None, until: None };
    owner.appends(&Op::Grant(grant)).await;
    let (ledger, _) = views(&gina, network).await;
    assert!(ledger.state().may_see(gina.id(), &name("web")));
    assert!(!ledger.state().resources().contains_key(&name("secret")));
    let (ledger, _) = views(&hugo, network).await;
    assert!(ledger.state().resources().is_empty() && ledger.state().grants().is_empty());

    // Nor is a guest told where another guest is, or that it is.
    let (_stream, _) = hugo.registers_in(network).await;
    let located = gina.asks(&Request::Dial { network, node: hugo.id(), relay: true }).await;
    let nobody = gina.asks(&Request::Dial { network, node: coconet::id::NodeId([9; 32]), relay: true }).await;
    assert_eq!(located, nobody);
    let listed = gina.asks_all(&Request::Presence { network }).await;
    assert!(!listed.iter().any(|answer| {
        matches!(answer, Response::Online(nodes) if nodes.iter().any(|(node, _)| *node == hugo.id()))
    }));
    house.close().await;
}

#[tokio::test]
async fn removing_a_person_ends_the_sessions_of_all_their_nodes() {
    let house = House::open(Memory::default());
    let (mut owner, gina) = (house.node(1).await, house.node(2).await);
    let network = owner.founds("home").await;
    let invite = invites_guest(&mut owner, "gina", 5).await;
    gina.tries_to_join(&invite, &name("gina-pc")).await.unwrap();
    owner.fetches(network).await;
    owner.appends(&Op::RemoveUser(RemoveUser { user: name("gina") })).await;
    assert_eq!(soon(gina.session.closed()).await, Ended::Closed(Close::Revoked));
    house.close().await;
}

/// The refusal of each request but a fetch.
async fn assert_may_do_nothing_else(node: &Node, network: NetworkId, invite: &Invitation) {
    let head = node.ledger.as_ref().map_or(coconet::id::Hash::ZERO, Ledger::head);
    let join = invite.join(&node.keys, head, &name("again"), BLIND);
    for request in [
        Request::Register { network, candidates: Vec::new() },
        Request::Dial { network, node: node.id(), relay: true },
        Request::Presence { network },
        Request::Usage { network, month: None },
        Request::Append(join),
    ] {
        assert_eq!(node.is_refused(&request).await, failed::REVOKED, "{request:?}");
    }
}

#[tokio::test]
async fn a_removed_node_reads_up_to_its_removal_and_does_nothing_else() {
    let house = House::open(Memory::default());
    let (mut owner, mut second) = (house.node(1).await, house.node(2).await);
    let network = owner.founds("home").await;
    let invite = owner.invites(9, 9).await;
    second.joins(&invite, "second").await;
    owner.fetches(network).await;
    let removal = owner.removes(second.id()).await;
    owner.appends(&publish("later")).await;
    assert_eq!(soon(second.session.closed()).await, Ended::Closed(Close::Revoked));

    let second = house.node(2).await;
    let (ledger, entries) = views(&second, network).await;
    assert_eq!(entries.last(), Some(&removal));
    assert_eq!((ledger.head(), ledger.withheld()), (removal.hash(), &[][..]));
    assert_eq!(ledger.state().standing(&second.keys.static_key()), Standing::Removed(second.id()));
    assert_may_do_nothing_else(&second, network, &invite).await;
    // Only what is missing, and of what came later not even that there is something.
    let seq = removal.stamp.seq;
    let end = Response::Head { seq, head: removal.hash(), view: Some(ledger.view()) };
    for (from, shown) in [(seq, 1), (seq + 1, 0), (u64::MAX, 0)] {
        let answers = second.asks_all(&Request::Fetch { network, from }).await;
        assert_eq!((answers.len(), answers.last()), (shown + 1, Some(&end)), "from {from}");
    }
    // A stranger reads nothing, as before.
    let stranger = house.node(7).await;
    let asked = Request::Fetch { network, from: 0 };
    assert_eq!(stranger.is_refused(&asked).await, failed::NOT_A_MEMBER);
    house.close().await;
}

#[tokio::test]
async fn a_removed_guest_reads_of_its_removal_what_a_guest_may() {
    for whole_person in [false, true] {
        let house = House::open(Memory::default());
        let (mut owner, gina) = (house.node(1).await, house.node(2).await);
        let network = owner.founds("home").await;
        let invite = invites_guest(&mut owner, "gina", 5).await;
        gina.tries_to_join(&invite, &name("gina-pc")).await.unwrap();
        owner.fetches(network).await;
        owner.appends(&publish("secret")).await;
        let (before, _) = views(&gina, network).await;
        let removal = if whole_person {
            owner.appends(&Op::RemoveUser(RemoveUser { user: name("gina") })).await
        } else {
            owner.removes(gina.id()).await
        };
        owner.appends(&publish("later")).await;
        assert_eq!(soon(gina.session.closed()).await, Ended::Closed(Close::Revoked));

        let gina = house.node(2).await;
        let (ledger, entries) = views(&gina, network).await;
        assert_eq!((ledger.head(), entries.last()), (removal.hash(), Some(&removal)));
        assert_eq!((ledger.withheld(), ledger.withheld().len()), (before.withheld(), 1));
        assert!(ledger.state().removal(gina.id()).is_some());
        let bytes: Vec<u8> = entries.iter().flat_map(Entry::to_bytes).collect();
        let says = |word: &str| bytes.windows(word.len()).any(|part| part == word.as_bytes());
        assert!(says("gina") && !says("secret") && !says("later"));
        assert_may_do_nothing_else(&gina, network, &invite).await;
        house.close().await;
    }
}

#[tokio::test]
async fn a_full_plan_refuses_the_next_node_and_says_which_limit() {
    let house = House::with_plan(Memory::default());
    let mut owner = house.node(1).await;
    owner.founds("home").await;
    let invite = owner.invites(9, 2).await;
    house.node(2).await.tries_to_join(&invite, &name("second")).await.unwrap();
    let third = house.node(3).await;
    let Response::Head { head, .. } = third.asks(&third.head_request(&invite)).await else {
        panic!("no head")
    };
    let join = Request::Append(invite.join(&third.keys, head, &name("third"), BLIND));
    let Response::Failed { code, message } = third.asks(&join).await else { panic!("it joined") };
    assert_eq!(code, "limit");
    assert_eq!(message, "the plan free of this manager allows 2 nodes in a network");
    house.close().await;
}

#[tokio::test]
async fn a_manager_that_was_replaced_stamps_no_more() {
    let house = House::open(Memory::default());
    let mut owner = house.node(1).await;
    owner.founds("home").await;
    let other = coconet::manager_addr::ManagerAddr {
        stamp: coconet::id::StampKey([7; 32]),
        ..manager_addr(&house::keys(house::MANAGER))
    };
    owner.appends(&Op::SetManagers(SetManagers { managers: vec![other] })).await;
    let draft = owner.ledger().draft(&owner.keys, &publish("web"), BLIND);
    let answer = owner.asks(&Request::Append(draft)).await;
    assert!(matches!(&answer, Response::Failed { code, .. } if code == "not-allowed"), "{answer:?}");
    house.close().await;
}

#[tokio::test]
async fn of_two_processes_with_one_key_the_older_is_told_and_the_newer_serves() {
    let house = House::open(Memory::default());
    let (mut original, copied) = (house.node(1).await, house.node(1).await);
    let network = original.founds("home").await;
    let (mut older, _) = original.registers_in(network).await;
    let (mut newer, answer) = copied.registers_in(network).await;
    assert!(matches!(answer, Response::Registered { .. }));
    let told = receive(&mut older).await;
    assert!(matches!(&told, Response::Failed { code, .. } if code == failed::CLONED), "{told:?}");
    // The one that was told, and comes back because it lives, has the other one told.
    let (_again, _) = original.registers_in(network).await;
    let told = receive(&mut newer).await;
    assert!(matches!(&told, Response::Failed { code, .. } if code == failed::CLONED), "{told:?}");
    house.close().await;
}

impl Node {
    async fn registers_in(&self, network: NetworkId) -> (coco_tunnel::channel::Channel, Response) {
        let mut channel = self.opens(&Request::Register { network, candidates: Vec::new() }).await;
        let answer = receive(&mut channel).await;
        (channel, answer)
    }
}
