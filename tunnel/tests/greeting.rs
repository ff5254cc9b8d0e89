//! The greeting between real endpoints on loopback: who gets in, who does not, and what they are told.
//!
//! The network is on paper ([`World`]); each node has its copy of the ledger in memory. A peer that keeps
//! to the protocol is [`greet`]; one that does not speaks frames by hand ([`Dialled::say`]).

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "../../coconet/tests/world/mod.rs"]
mod world;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use coco_tunnel::channel::{Channel, Cut};
use coco_tunnel::endpoint::{Accepting, Endpoint, EndpointOptions, KEEP_ALIVE};
use coco_tunnel::frame::{self, FrameError};
use coco_tunnel::greeting::{
    GREETING_ENTRIES_MAX, GREETING_TIMEOUT, LedgerCopy, NotAdmitted, be_greeted, greet,
};
use coco_tunnel::session::{Ended, Session};
use coconet::id::{Hash, NodeId, StaticKey};
use coconet::key::NodeKeys;
use coconet::ledger::{Entry, Ledger, Reject, Standing, stamp};
use coconet::wire::PROTOCOL_VERSION;
use coconet::wire::code::Close;
use coconet::wire::node::{Greeting, Hello, Request};
use tokio::time::timeout;
use world::{World, device, keys, name, own_app};
use zeroize::Zeroizing;

/// Nothing on loopback takes this long; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// The ledger copy of one node, which verifies as every member does, and what contradicted it.
#[derive(Debug)]
struct Paper(Mutex<(Ledger, Vec<Entry>)>, Mutex<Vec<Entry>>);

impl Paper {
    fn of(world: &World) -> Self {
        Self(Mutex::new((world.ledger.clone(), world.entries.clone())), Mutex::default())
    }

    fn seq(&self) -> u64 {
        self.0.lock().unwrap().0.seq()
    }

    fn head(&self) -> Hash {
        self.0.lock().unwrap().0.head()
    }

    /// What it was shown that contradicts it.
    fn contradictions(&self) -> Vec<Entry> {
        std::mem::take(&mut self.1.lock().unwrap())
    }
}

impl LedgerCopy for Paper {
    fn hello(&self) -> Hello {
        let (ledger, _) = &*self.0.lock().unwrap();
        let network = ledger.state().network();
        Hello { version: PROTOCOL_VERSION, network, seq: ledger.seq(), head: ledger.head(), features: 0 }
    }

    fn standing(&self, key: &StaticKey) -> Standing {
        self.0.lock().unwrap().0.state().standing(key)
    }

    async fn hash_at(&self, seq: u64) -> Option<Hash> {
        self.0.lock().unwrap().1.get(usize::try_from(seq).unwrap()).map(Entry::hash)
    }

    async fn entries(&self, _: NodeId, seq: u64, count: u64) -> Vec<Vec<u8>> {
        let (_, entries) = &*self.0.lock().unwrap();
        let (from, count) = (usize::try_from(seq).unwrap(), usize::try_from(count).unwrap());
        entries.iter().skip(from).take(count).map(Entry::to_bytes).collect()
    }

    async fn view_of(&self, _: NodeId) -> Option<Hash> {
        None
    }

    async fn compare_view(&self, _: Hash, _: Hash) -> bool {
        true
    }

    async fn evidence(&self, _: NodeId, seq: u64) -> Option<Vec<u8>> {
        self.0.lock().unwrap().1.get(usize::try_from(seq).unwrap()).map(Entry::to_bytes)
    }

    async fn take(&self, entry: Vec<u8>) -> Result<(), Close> {
        let entry = Entry::from_bytes(&entry).map_err(|_| Close::Protocol)?;
        let (ledger, entries) = &mut *self.0.lock().unwrap();
        let stamped = ledger.state().managers().iter().any(|manager| manager.stamp == entry.stamp.manager);
        if stamped && entry.verify_stamp().is_ok() && entry.stamp.seq <= ledger.seq() {
            self.1.lock().unwrap().push(entry);
            return Err(Close::LedgerFork);
        }
        match ledger.append(&entry) {
            Ok(()) => {
                entries.push(entry);
                Ok(())
            }
            // Stamped by our manager and not on top of our head: the proof of a fork.
            Err(Reject::Parent) => Err(Close::LedgerFork),
            Err(_) => Err(Close::Protocol),
        }
    }
}

fn endpoint(keys: &NodeKeys) -> Endpoint {
    let options = EndpointOptions {
        secret: keys.static_secret(),
        reset: Zeroizing::new([7; 32]),
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        any_port: false,
    };
    Endpoint::bind(&options).unwrap()
}

/// A listener's end of one session, and the dialler's.
struct Met {
    dialled: Dialled,
    listening: Session,
    _endpoints: (Endpoint, Endpoint),
}

/// The dialler's end, in the hands of somebody who may not keep to the protocol.
struct Dialled {
    session: Session,
    first: Channel,
}

/// `dialler` and `listener` have shaken hands; neither has said anything yet.
async fn meet(dialler: &NodeKeys, listener: &NodeKeys) -> Met {
    let (from, to) = (endpoint(dialler), endpoint(listener));
    let addresses = to.addresses();
    let mut accepting = Accepting::default();
    let both = async {
        tokio::join!(
            async { from.dial(listener.static_key(), &addresses, KEEP_ALIVE).await.unwrap() },
            async { to.accept(&mut accepting).await.unwrap() }
        )
    };
    let (session, listening) = timeout(PATIENCE, both).await.unwrap();
    let first = session.open().await.unwrap();
    Met { dialled: Dialled { session, first }, listening, _endpoints: (from, to) }
}

/// Both keep to the protocol: what the dialler and what the listener make of each other.
async fn both(
    dialler: (&NodeKeys, &Paper),
    listener: (&NodeKeys, &Paper),
) -> (Result<NodeId, Close>, Result<NodeId, Close>) {
    let Met { dialled: Dialled { session, first }, listening, _endpoints } =
        meet(dialler.0, listener.0).await;
    let greetings =
        async { tokio::join!(greet(&session, first, dialler.1), be_greeted(&listening, listener.1)) };
    let (ours, theirs) = timeout(PATIENCE, greetings).await.unwrap();
    (ours.map_err(code), theirs.map_err(code))
}

fn code(NotAdmitted(code): NotAdmitted) -> Close {
    code
}

impl Dialled {
    async fn say<T: minicbor::Encode<()>>(&mut self, message: &T) {
        frame::write(&mut self.first.tx, message).await.unwrap();
    }

    async fn hears_hello(&mut self) -> Hello {
        timeout(PATIENCE, frame::read(&mut self.first.rx)).await.unwrap().unwrap()
    }

    /// Nothing more comes; the session is closed with this.
    async fn hears_no_more(&mut self) -> Close {
        let next = timeout(PATIENCE, frame::read::<Greeting>(&mut self.first.rx)).await.unwrap();
        assert!(matches!(next, Err(FrameError::Cut(Cut::Lost))), "{next:?}");
        self.closed().await
    }

    async fn closed(&self) -> Close {
        match timeout(PATIENCE, self.session.closed()).await.unwrap() {
            Ended::Closed(code) => code,
            other => panic!("{other:?}"),
        }
    }
}

/// A network of `laptop` and `cam`.
fn home() -> World {
    let mut w = World::founded();
    w.brings("laptop", device(), "cam");
    w
}

/// What a stranger says who has seen the listener's head, or made one up.
fn claim(world: &World, ahead: u64) -> Hello {
    let ledger = &world.ledger;
    Hello {
        version: PROTOCOL_VERSION,
        network: ledger.state().network(),
        seq: ledger.seq() + ahead,
        head: ledger.head(),
        features: 0,
    }
}

#[tokio::test]
async fn two_members_admit_each_other_by_the_keys_of_their_session() {
    let mut w = home();
    let (laptop, cam) = (w.id("laptop"), w.id("cam"));
    let (ours, theirs) = (Paper::of(&w), Paper::of(&w));
    let outcome = both((&keys(1), &ours), (w.keys("cam"), &theirs)).await;
    assert_eq!(outcome, (Ok(cam), Ok(laptop)));
}

/// A stranger waits for the listener's hello, answers with `hello` and listens for more.
async fn eavesdrops(w: &mut World, hello: Hello) {
    let listener = Paper::of(w);
    let Met { mut dialled, listening, _endpoints } = meet(&keys(99), w.keys("cam")).await;
    let stranger = async {
        // A stream is there for the other end once something was sent on it: half a length will do.
        let frame = coconet::wire::frame(&hello).unwrap();
        dialled.first.tx.write(frame[..1].to_vec().into()).await.unwrap();
        assert_eq!(dialled.hears_hello().await, listener.hello());
        dialled.first.tx.write(frame[1..].to_vec().into()).await.unwrap();
        assert_eq!(dialled.hears_no_more().await, Close::NotAMember);
    };
    let ((), refused) = tokio::join!(stranger, be_greeted(&listening, &listener));
    assert_eq!(refused.map_err(code), Err(Close::NotAMember));
}

#[tokio::test]
async fn a_stranger_is_refused_and_gets_nothing_but_the_hello() {
    let mut w = home();
    let hello = claim(&w, 0);
    eavesdrops(&mut w, hello).await;
}

#[tokio::test]
async fn a_stranger_who_claims_to_be_far_behind_gets_no_entry() {
    let mut w = home();
    let genesis = Hello { seq: 0, head: w.entries[0].hash(), ..claim(&w, 0) };
    eavesdrops(&mut w, genesis).await;
}

#[tokio::test]
async fn a_removed_node_is_told_so_however_long_its_ledger_is() {
    let mut w = home();
    let stale = Paper::of(&w);
    w.removes("laptop", "cam").unwrap();
    let told = Paper::of(&w);
    let outcome = both((w.keys("cam"), &stale), (&keys(1), &told)).await;
    assert_eq!(outcome, (Err(Close::Revoked), Err(Close::Revoked)));

    let mut met = meet(w.keys("cam"), &keys(1)).await;
    met.dialled.say(&claim(&w, 100)).await;
    let refused = be_greeted(&met.listening, &told).await.map_err(code);
    assert_eq!(refused, Err(Close::Revoked));
}

#[tokio::test]
async fn a_removed_node_hears_it_when_it_is_the_one_that_is_dialled() {
    let mut w = home();
    let stale = Paper::of(&w);
    w.removes("laptop", "cam").unwrap();
    let told = Paper::of(&w);
    let outcome = both((&keys(1), &told), (w.keys("cam"), &stale)).await;
    assert_eq!(outcome, (Err(Close::Revoked), Err(Close::Revoked)));
}

#[tokio::test]
async fn a_node_of_another_network_is_refused_even_with_a_key_of_this_one() {
    let mut w = home();
    let listener = Paper::of(&w);
    let mut met = meet(&keys(1), w.keys("cam")).await;
    let mut hello = claim(&w, 0);
    hello.network = coconet::id::NetworkId(Hash([9; 32]));
    met.dialled.say(&hello).await;
    let refused = be_greeted(&met.listening, &listener).await.map_err(code);
    assert_eq!(refused, Err(Close::WrongNetwork));
    assert_eq!(met.dialled.closed().await, Close::WrongNetwork);
}

#[tokio::test]
async fn a_node_of_another_version_is_told_to_update() {
    let mut w = home();
    let listener = Paper::of(&w);
    for version in [0, PROTOCOL_VERSION + 1, u16::MAX] {
        let mut met = meet(&keys(1), w.keys("cam")).await;
        met.dialled.say(&Hello { version, ..claim(&w, 0) }).await;
        let refused = be_greeted(&met.listening, &listener).await.map_err(code);
        assert_eq!(refused, Err(Close::UpdateNeeded));
        assert_eq!(met.dialled.closed().await, Close::UpdateNeeded);
    }
}

#[tokio::test]
async fn whoever_is_behind_catches_up_whichever_of_them_dialled() {
    let mut w = home();
    let (old, older) = (Paper::of(&w), Paper::of(&w));
    w.publishes("cam", "front-door").unwrap();
    w.publishes("cam", "garage").unwrap();
    let (new, newer) = (Paper::of(&w), Paper::of(&w));
    let (laptop, cam) = (w.id("laptop"), w.id("cam"));

    assert_eq!(both((&keys(1), &new), (w.keys("cam"), &old)).await, (Ok(cam), Ok(laptop)));
    assert_eq!(both((&keys(1), &older), (w.keys("cam"), &newer)).await, (Ok(cam), Ok(laptop)));
    for copy in [&old, &older] {
        assert_eq!((copy.seq(), copy.head()), (w.ledger.seq(), w.ledger.head()));
    }
}

#[tokio::test]
async fn a_joiner_the_listener_has_not_heard_of_brings_its_own_entries() {
    let mut w = home();
    let behind = Paper::of(&w);
    w.brings("laptop", own_app(), "tablet");
    let joiner = Paper::of(&w);
    let (cam, tablet) = (w.id("cam"), w.id("tablet"));
    let (tablet_keys, cam_keys) = (keys(3), keys(2));
    assert_eq!((tablet_keys.id(), cam_keys.id()), (tablet, cam));

    let outcome = both((&tablet_keys, &joiner), (&cam_keys, &behind)).await;
    assert_eq!(outcome, (Ok(cam), Ok(tablet)));
    assert_eq!(behind.head(), w.ledger.head());
}

/// A stranger claims to be one entry ahead and shows `entry`; the listener must refuse and keep its copy.
async fn shows(w: &mut World, stranger: &NodeKeys, entry: Vec<u8>) -> Close {
    let listener = Paper::of(w);
    let before = (listener.seq(), listener.head());
    let mut met = meet(stranger, w.keys("cam")).await;
    met.dialled.say(&claim(w, 1)).await;
    met.dialled.say(&Greeting::Entry(entry)).await;
    met.dialled.say(&Greeting::Done).await;
    let refused = be_greeted(&met.listening, &listener).await.map_err(code);
    assert_eq!((listener.seq(), listener.head()), before, "the copy must stay as it was");
    assert_eq!(met.dialled.closed().await, refused.unwrap_err());
    refused.unwrap_err()
}

#[tokio::test]
async fn a_stranger_with_a_longer_ledger_must_show_entries_that_hold() {
    let mut w = home();
    let invite = w.invites("laptop", own_app()).unwrap();
    let stranger = keys(99);
    let (seq, time) = (w.ledger.seq() + 1, w.now);
    let join = invite.join(&stranger, w.ledger.head(), &name("intruder"), world::BLIND);

    // Only the stamp is missing: the stranger made one, or took the manager's name for its own.
    let own = stamp(&stranger, join.clone(), seq, time);
    assert_eq!(shows(&mut w, &stranger, own.to_bytes()).await, Close::Protocol);
    let mut borrowed = own;
    borrowed.stamp.manager = w.manager.stamp_key();
    assert_eq!(shows(&mut w, &stranger, borrowed.to_bytes()).await, Close::Protocol);

    // The manager has stamped it, but the invite is made up.
    let mut made_up = w.invites("laptop", own_app()).unwrap();
    made_up.secret = coconet::key::InviteSecret::from_seed(&[66; 32]);
    let join = made_up.join(&stranger, w.ledger.head(), &name("intruder"), world::BLIND);
    let forged = stamp(&w.manager, join, w.ledger.seq() + 1, time);
    assert_eq!(shows(&mut w, &stranger, forged.to_bytes()).await, Close::Protocol);

    // A whole ledger of its own, where it is the owner.
    let other = world::genesis_draft(&stranger, world::genesis(&stranger, &stranger));
    let other = stamp(&stranger, other, seq, time);
    assert_eq!(shows(&mut w, &stranger, other.to_bytes()).await, Close::Protocol);

    assert_eq!(shows(&mut w, &stranger, vec![0xff; 1000]).await, Close::Protocol);
    assert_eq!(shows(&mut w, &stranger, Vec::new()).await, Close::Protocol);
}

#[tokio::test]
async fn a_stranger_with_true_entries_that_do_not_name_it_stays_a_stranger() {
    let mut w = home();
    let behind = Paper::of(&w);
    w.publishes("cam", "front-door").unwrap();
    let seen = Paper::of(&w);
    let cam_keys = keys(2);
    let outcome = both((&keys(99), &seen), (&cam_keys, &behind)).await;
    assert_eq!(outcome.1, Err(Close::NotAMember));
    // The entry was true whoever brought it.
    assert_eq!(behind.head(), w.ledger.head());
}

#[tokio::test]
async fn two_stamps_for_one_number_are_a_fork() {
    let mut w = home();
    let fork = |w: &mut World, resource: &str| {
        let draft = w.ledger.draft(
            &keys(2),
            &coconet::ledger::Op::Publish(coconet::ledger::Publish {
                name: name(resource),
                kind: coconet::resource::Kind::Tcp,
                attributes: coconet::resource::Attributes::default(),
            }),
            world::BLIND,
        );
        stamp(&w.manager, draft, w.ledger.seq() + 1, w.now)
    };
    let (left, right) = (fork(&mut w, "left"), fork(&mut w, "right"));
    let before = (w.ledger.clone(), w.entries.clone());
    w.takes(&left).unwrap();
    let ours = Paper::of(&w);
    (w.ledger, w.entries) = before;
    w.takes(&right).unwrap();
    let theirs = Paper::of(&w);
    let cam_keys = keys(2);

    let same_length = both((&keys(1), &ours), (&cam_keys, &theirs)).await;
    assert_eq!(same_length, (Err(Close::LedgerFork), Err(Close::LedgerFork)));
    // Each has the other half of the proof.
    assert_eq!((ours.contradictions(), theirs.contradictions()), (vec![right.clone()], vec![left.clone()]));
    w.publishes("cam", "more").unwrap();
    let longer = Paper::of(&w);
    let ahead = both((&keys(1), &ours), (&cam_keys, &longer)).await;
    assert_eq!(ahead, (Err(Close::LedgerFork), Err(Close::LedgerFork)));
    assert_eq!((ours.contradictions(), longer.contradictions()), (vec![right], vec![left.clone()]));
    assert_eq!(ours.head(), left.hash());
}

/// A copy that finds every entry good, and counts them.
struct Gullible(Paper, Mutex<u64>);

impl LedgerCopy for Gullible {
    fn hello(&self) -> Hello {
        self.0.hello()
    }

    fn standing(&self, key: &StaticKey) -> Standing {
        self.0.standing(key)
    }

    async fn hash_at(&self, seq: u64) -> Option<Hash> {
        self.0.hash_at(seq).await
    }

    async fn entries(&self, reader: NodeId, seq: u64, count: u64) -> Vec<Vec<u8>> {
        self.0.entries(reader, seq, count).await
    }

    async fn view_of(&self, reader: NodeId) -> Option<Hash> {
        self.0.view_of(reader).await
    }

    async fn compare_view(&self, head: Hash, view: Hash) -> bool {
        self.0.compare_view(head, view).await
    }

    async fn evidence(&self, reader: NodeId, seq: u64) -> Option<Vec<u8>> {
        self.0.evidence(reader, seq).await
    }

    async fn take(&self, _: Vec<u8>) -> Result<(), Close> {
        *self.1.lock().unwrap() += 1;
        Ok(())
    }
}

#[tokio::test]
async fn entries_without_end_come_to_an_end() {
    let mut w = home();
    let listener = Arc::new(Gullible(Paper::of(&w), Mutex::default()));
    let Met { mut dialled, listening, _endpoints } = meet(&keys(99), w.keys("cam")).await;
    dialled.say(&Hello { seq: u64::MAX, ..claim(&w, 0) }).await;
    let flooding =
        async { while frame::write(&mut dialled.first.tx, &Greeting::Entry(vec![1; 50])).await.is_ok() {} };
    let flood = async { tokio::join!(flooding, be_greeted(&listening, &*listener)) };
    let ((), refused) = timeout(PATIENCE, flood).await.unwrap();
    assert_eq!(refused.map_err(code), Err(Close::Protocol));
    assert_eq!(*listener.1.lock().unwrap(), GREETING_ENTRIES_MAX);
}

#[tokio::test]
async fn who_claims_to_be_behind_may_send_no_entry() {
    let mut w = home();
    let listener = Gullible(Paper::of(&w), Mutex::default());
    let mut met = meet(&keys(1), w.keys("cam")).await;
    met.dialled.say(&claim(&w, 0)).await;
    met.dialled.say(&Greeting::Entry(vec![1; 50])).await;
    let refused = be_greeted(&met.listening, &listener).await.map_err(code);
    assert_eq!(refused, Err(Close::Protocol));
    assert_eq!(*listener.1.lock().unwrap(), 0);
}

/// How far a peer goes before it falls silent.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Silent {
    BeforeAll,
    InTheHello,
    AfterTheHello,
}

#[tokio::test]
async fn a_peer_that_falls_silent_is_too_slow() {
    let mut w = home();
    for silent in [Silent::BeforeAll, Silent::InTheHello, Silent::AfterTheHello] {
        let listener = Paper::of(&w);
        let mut met = meet(&keys(1), w.keys("cam")).await;
        match silent {
            Silent::BeforeAll => {}
            Silent::InTheHello => {
                let hello = coconet::wire::frame(&claim(&w, 1)).unwrap();
                met.dialled.first.tx.write(hello[..hello.len() - 1].to_vec().into()).await.unwrap();
            }
            Silent::AfterTheHello => met.dialled.say(&claim(&w, 1)).await,
        }
        // The clock runs ahead whenever nobody has anything to do: ten seconds are over at once.
        tokio::time::pause();
        let started = tokio::time::Instant::now();
        let refused = be_greeted(&met.listening, &listener).await.map_err(code);
        let took = started.elapsed();
        tokio::time::resume();
        assert_eq!(refused, Err(Close::TooSlow), "{silent:?}");
        assert!(took >= GREETING_TIMEOUT && took < GREETING_TIMEOUT * 2, "{took:?}");
        assert_eq!(met.dialled.closed().await, Close::TooSlow, "{silent:?}");
    }
}

#[tokio::test]
async fn a_request_before_the_greeting_is_never_served() {
    let mut w = home();
    let listener = Paper::of(&w);
    let mut met = meet(&keys(99), w.keys("cam")).await;
    // The second stream, with all that a member would ask; on the first the greeting of a stranger.
    let mut second = met.dialled.session.open().await.unwrap();
    let open = Request::Open { resource: name("front-door"), probe: false };
    frame::write(&mut second.tx, &open).await.unwrap();
    met.dialled.say(&claim(&w, 0)).await;
    let refused = be_greeted(&met.listening, &listener).await.map_err(code);
    assert_eq!(refused, Err(Close::NotAMember));
    let mut byte = [0; 1];
    assert_eq!(timeout(PATIENCE, second.rx.read_exact(&mut byte)).await.unwrap(), Err(Cut::Lost));
    // And a request instead of the greeting is no greeting.
    let mut met = meet(&keys(1), w.keys("cam")).await;
    met.dialled.say(&open).await;
    let refused = be_greeted(&met.listening, &listener).await.map_err(code);
    assert_eq!(refused, Err(Close::Protocol));
}
