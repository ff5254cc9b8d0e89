//! What to say on a LAN, what to answer, and what to remember. Decides; sends nothing, and knows no clock.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use coco_tunnel::endpoint::dialable;
use coconet::id::{NetworkId, NodeId};
use tokio::time::Instant;

use super::packet::{About, Key, LENGTH, Message};

/// How long an address is remembered.
pub const MEMORY: Duration = Duration::from_secs(600);

/// How long it is taken for true without asking again.
pub const FRESH: Duration = Duration::from_secs(30);

/// Nodes remembered, of all networks; of more, those heard longest ago are forgotten. Only who knows a
/// network's id can be one of them.
pub const NODES_MAX: usize = 256;

/// Time between two questions for one node: a node that is not here costs no more than that.
pub const ASK_AGAIN: Duration = Duration::from_secs(10);

/// Packets that are looked into at once; each is tried with every network's key.
const HEAR_BURST: u32 = 64;
/// And after that, one in so long: a flood costs a bounded part of the machine, and members are not heard
/// while it lasts.
const HEAR_EACH: Duration = Duration::from_millis(10);

/// Answers of one network at once, and the time that each of them takes to be allowed again. An answer is no
/// longer than its question.
const ANSWER_BURST: u32 = 8;
const ANSWER_EACH: Duration = Duration::from_secs(1);

/// What one daemon knows and may say.
#[derive(Debug)]
pub struct Talk {
    networks: BTreeMap<NetworkId, Own>,
    seen: VecDeque<Seen>,
    asked: VecDeque<(NetworkId, NodeId, Instant)>,
    hearing: Bucket,
}

/// This daemon's node in a network.
#[derive(Debug)]
struct Own {
    node: NodeId,
    key: Key,
    answering: Bucket,
}

/// A node that was heard.
#[derive(Debug)]
struct Seen {
    network: NetworkId,
    node: NodeId,
    addresses: Vec<SocketAddr>,
    at: Instant,
}

/// What came of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Nothing that concerns this daemon.
    Nothing,
    /// A node is remembered.
    Node(NetworkId, NodeId),
    /// A node is remembered, and it wants to know where this one is.
    Question {
        /// In which network.
        network: NetworkId,
        /// To be repeated in the answer.
        number: u64,
    },
}

impl Talk {
    /// In no network yet.
    pub fn new(now: Instant) -> Self {
        let hearing = Bucket::new(HEAR_BURST, HEAR_EACH, now);
        Self { networks: BTreeMap::new(), seen: VecDeque::new(), asked: VecDeque::new(), hearing }
    }

    /// Speak and listen as `node` of `network` from now on.
    pub fn join(&mut self, network: NetworkId, node: NodeId, now: Instant) {
        let answering = Bucket::new(ANSWER_BURST, ANSWER_EACH, now);
        self.networks.insert(network, Own { node, key: Key::of(network), answering });
    }

    /// No longer.
    pub fn leave(&mut self, network: NetworkId) {
        self.networks.remove(&network);
        self.seen.retain(|seen| seen.network != network);
    }

    /// This daemon's networks.
    pub fn networks(&self) -> impl Iterator<Item = NetworkId> {
        self.networks.keys().copied()
    }

    /// The packet by which this daemon's node in `network` says something.
    pub fn say(
        &self,
        network: NetworkId,
        about: About,
        (from, addresses): (IpAddr, Vec<SocketAddr>),
        nonce: [u8; 12],
    ) -> Option<[u8; LENGTH]> {
        let own = self.networks.get(&network)?;
        Some(own.key.seal(&Message { about, node: own.node, from, addresses }, nonce))
    }

    /// Take a packet that came from `source`.
    pub fn hear(&mut self, packet: &[u8], source: IpAddr, now: Instant) -> Heard {
        if packet.len() != LENGTH || !self.hearing.take(now) {
            return Heard::Nothing;
        }
        let opened = self.networks.iter().find_map(|(id, own)| Some((*id, own.key.open(packet, source)?)));
        let Some((network, message)) = opened else { return Heard::Nothing };
        let Some(own) = self.networks.get_mut(&network) else { return Heard::Nothing };
        let Message { about, node, from: _, addresses } = message;
        if node == own.node {
            return Heard::Nothing;
        }
        let heard = match about {
            About::Question { wanted, number } if wanted == own.node && own.answering.take(now) => {
                Heard::Question { network, number }
            }
            About::Announcement | About::Question { .. } | About::Answer { .. } => Heard::Node(network, node),
        };
        self.remember(Seen { network, node, addresses: dialable(addresses, false), at: now });
        heard
    }

    /// Whether a question for `node` may be sent now, which is then noted.
    pub fn may_ask(&mut self, network: NetworkId, node: NodeId, now: Instant) -> bool {
        self.asked.retain(|(_, _, at)| now.duration_since(*at) < ASK_AGAIN);
        let known = self.asked.iter().any(|(of, asked, _)| (*of, *asked) == (network, node));
        if known || self.asked.len() >= NODES_MAX || !self.networks.contains_key(&network) {
            return false;
        }
        self.asked.push_back((network, node, now));
        true
    }

    /// Where a node was heard to be, not longer ago than `age`.
    pub fn known(&self, network: NetworkId, node: NodeId, age: Duration, now: Instant) -> Vec<SocketAddr> {
        let seen = self.seen.iter().find(|seen| (seen.network, seen.node) == (network, node));
        let seen = seen.filter(|seen| now.duration_since(seen.at) < age);
        seen.map(|seen| seen.addresses.clone()).unwrap_or_default()
    }

    fn remember(&mut self, new: Seen) {
        self.seen.retain(|seen| {
            (seen.network, seen.node) != (new.network, new.node) && new.at.duration_since(seen.at) < MEMORY
        });
        if self.seen.len() == NODES_MAX {
            self.seen.pop_front();
        }
        self.seen.push_back(new);
    }
}

/// So much at once, and one more in each interval.
#[derive(Debug)]
struct Bucket {
    /// When it will be full again.
    full_at: Instant,
    depth: Duration,
    each: Duration,
}

impl Bucket {
    fn new(burst: u32, each: Duration, now: Instant) -> Self {
        Self { full_at: now, depth: each * (burst - 1), each }
    }

    fn take(&mut self, now: Instant) -> bool {
        let free = self.full_at.saturating_duration_since(now) <= self.depth;
        if free {
            self.full_at = self.full_at.max(now) + self.each;
        }
        free
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use coconet::id::Hash;

    use super::*;

    const HOME: NetworkId = NetworkId(Hash([1; 32]));
    const WORK: NetworkId = NetworkId(Hash([2; 32]));
    const ALICE: NodeId = NodeId([1; 32]);
    const BOB: NodeId = NodeId([2; 32]);

    fn talk(node: NodeId, now: Instant) -> Talk {
        let mut talk = Talk::new(now);
        talk.join(HOME, node, now);
        talk
    }

    fn ip() -> IpAddr {
        "192.0.2.1".parse().unwrap()
    }

    fn address(port: u16) -> SocketAddr {
        SocketAddr::new(ip(), port)
    }

    fn said(talk: &Talk, about: About, addresses: &[SocketAddr]) -> [u8; LENGTH] {
        talk.say(HOME, about, (ip(), addresses.to_vec()), [5; 12]).unwrap()
    }

    #[test]
    fn who_announces_itself_is_known_until_it_is_forgotten() {
        let now = Instant::now();
        let (mut alice, bob) = (talk(ALICE, now), talk(BOB, now));
        let packet = said(&bob, About::Announcement, &[address(1)]);
        assert_eq!(alice.hear(&packet, ip(), now), Heard::Node(HOME, BOB));
        assert_eq!(alice.known(HOME, BOB, MEMORY, now), [address(1)]);
        assert_eq!(alice.known(HOME, BOB, FRESH, now + FRESH), []);
        assert_eq!(alice.known(HOME, BOB, MEMORY, now + MEMORY), []);
        assert_eq!(alice.known(WORK, BOB, MEMORY, now), []);
        alice.leave(HOME);
        assert_eq!(alice.known(HOME, BOB, MEMORY, now), []);
    }

    #[test]
    fn the_one_who_is_wanted_answers_and_knows_who_asked() {
        let now = Instant::now();
        let (alice, mut bob) = (talk(ALICE, now), talk(BOB, now));
        let mut carol = talk(NodeId([3; 32]), now);
        let question = said(&alice, About::Question { wanted: BOB, number: 7 }, &[address(1)]);
        assert_eq!(bob.hear(&question, ip(), now), Heard::Question { network: HOME, number: 7 });
        assert_eq!(bob.known(HOME, ALICE, FRESH, now), [address(1)]);
        assert_eq!(carol.hear(&question, ip(), now), Heard::Node(HOME, ALICE));
    }

    #[test]
    fn nobody_hears_itself_or_another_network() {
        let now = Instant::now();
        let (mut alice, mut other) = (talk(ALICE, now), Talk::new(now));
        other.join(WORK, BOB, now);
        let packet = said(&alice, About::Announcement, &[address(1)]);
        assert_eq!(alice.hear(&packet, ip(), now), Heard::Nothing);
        assert_eq!(other.hear(&packet, ip(), now), Heard::Nothing);
    }

    #[test]
    fn a_member_cannot_make_others_dial_what_may_not_be_dialled() {
        let now = Instant::now();
        let (mut alice, bob) = (talk(ALICE, now), talk(BOB, now));
        let poison = ["127.0.0.1:1", "169.254.169.254:80", "224.0.0.1:1"].map(|text| text.parse().unwrap());
        alice.hear(&said(&bob, About::Announcement, &poison), ip(), now);
        assert_eq!(alice.known(HOME, BOB, FRESH, now), []);
    }

    #[test]
    fn questions_for_one_node_have_a_pause_between_them() {
        let now = Instant::now();
        let mut alice = talk(ALICE, now);
        assert!(alice.may_ask(HOME, BOB, now) && !alice.may_ask(HOME, BOB, now + ASK_AGAIN / 2));
        assert!(alice.may_ask(HOME, NodeId([3; 32]), now));
        assert!(alice.may_ask(HOME, BOB, now + ASK_AGAIN));
        assert!(!alice.may_ask(WORK, BOB, now));
    }

    #[test]
    fn a_flood_of_questions_gets_few_answers() {
        let now = Instant::now();
        let (alice, mut bob) = (talk(ALICE, now), talk(BOB, now));
        let question = said(&alice, About::Question { wanted: BOB, number: 7 }, &[address(1)]);
        let asked = |bob: &mut Talk, at| matches!(bob.hear(&question, ip(), at), Heard::Question { .. });
        let answered = (0..1000).filter(|_| asked(&mut bob, now)).count();
        assert_eq!(answered, usize::try_from(ANSWER_BURST).unwrap());
        assert!(asked(&mut bob, now + ANSWER_EACH));
    }

    #[test]
    fn a_flood_of_junk_is_looked_into_rarely_and_what_is_remembered_is_bounded() {
        let now = Instant::now();
        let mut alice = talk(ALICE, now);
        let looked = (0..1000).filter(|_| alice.hearing.take(now)).count();
        assert_eq!(looked, usize::try_from(HEAR_BURST).unwrap());
        let mut at = now + Duration::from_secs(60);
        for number in 0..2 * NODES_MAX {
            let mut node = [9; 32];
            node[..8].copy_from_slice(&number.to_be_bytes());
            let packet = said(&talk(NodeId(node), at), About::Announcement, &[address(1)]);
            at += HEAR_EACH;
            assert_ne!(alice.hear(&packet, ip(), at), Heard::Nothing);
        }
        assert_eq!(alice.seen.len(), NODES_MAX);
    }
}
