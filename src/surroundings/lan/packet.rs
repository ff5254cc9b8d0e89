//! What nodes of one network say to each other on a LAN, as bytes.
//!
//! All packets have [`LENGTH`] bytes, and to whoever does not know the network all of them are random: a nonce,
//! and a message sealed by ChaCha20-Poly1305 under a key that follows from the network's id. There is nothing
//! in clear by which two packets could be told to be of one node or of one network, so there is no pseudonym
//! that would have to change, and no clock that would have to be right for it: a camera without a battery
//! knows no time when the Internet is away.
//!
//! The message, numbers big-endian, addresses as IPv6 (IPv4 ones mapped), what is not used zero:
//!
//! | bytes | |
//! | --- | --- |
//! | 1 | 1 announcement, 2 question, 3 answer |
//! | 32 | the node that speaks |
//! | 32 | the node that is wanted, in a question |
//! | 8 | a random number that stands in a question and in its answer |
//! | 16 | the address this packet is sent from |
//! | 1 | how many of its own addresses the node names |
//! | 4 × 18 | those: address, port |
//!
//! Who knows the network's id can read it and write it: members, the manager, and whoever once had an invite
//! or was a member. So it is a hint where to dial and nothing else; who is there is proved by the handshake.
//! A packet that somebody repeats is good only where it was sent from: `Key::open` compares the address.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use coconet::id::{Hash, NetworkId, NodeId};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

/// Bytes of each packet.
pub const LENGTH: usize = NONCE_LEN + MESSAGE + TAG;

/// Addresses that a node may name: two of each family.
pub const ADDRESSES_MAX: usize = 4;

const TAG: usize = 16;
const ADDRESS: usize = 18;
const MESSAGE: usize = 1 + 32 + 32 + 8 + 16 + 1 + ADDRESSES_MAX * ADDRESS;

/// What the key is for.
const DOMAIN: &str = "coco/lan/1";

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What it is about.
    pub about: About,
    /// Who speaks.
    pub node: NodeId,
    /// Where the packet is sent from.
    pub from: IpAddr,
    /// Where the node listens.
    pub addresses: Vec<SocketAddr>,
}

/// What a message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// Here I am.
    Announcement,
    /// Where is that node?
    Question {
        /// Which.
        wanted: NodeId,
        /// Comes back in the answer.
        number: u64,
    },
    /// That is me.
    Answer {
        /// The question's.
        number: u64,
    },
}

/// What the packets of one network are sealed with.
#[derive(Debug)]
pub struct Key(LessSafeKey);

impl Key {
    /// That of a network.
    pub fn of(network: NetworkId) -> Self {
        let key = Hash::of(DOMAIN, &[&network.0.0]);
        // The cipher takes keys of exactly this length.
        let key = UnboundKey::new(&CHACHA20_POLY1305, &key.0).expect("a key of 32 bytes");
        Self(LessSafeKey::new(key))
    }

    /// The packet that says `message`. `nonce` is random, a new one for each packet: a network has few of
    /// them, and 96 bits do not meet again.
    pub fn seal(&self, message: &Message, nonce: [u8; NONCE_LEN]) -> [u8; LENGTH] {
        let mut packet = [0; LENGTH];
        let (head, rest) = packet.split_at_mut(NONCE_LEN);
        head.copy_from_slice(&nonce);
        let (body, tag) = rest.split_at_mut(MESSAGE);
        write(message, body);
        let nonce = Nonce::assume_unique_for_key(nonce);
        // Refused only above the cipher's limit of 256 GiB.
        if let Ok(found) = self.0.seal_in_place_separate_tag(nonce, Aad::empty(), body) {
            tag.copy_from_slice(found.as_ref());
        }
        packet
    }

    /// What `packet`, which came from `source`, says; nothing when it is not of this network.
    pub fn open(&self, packet: &[u8], source: IpAddr) -> Option<Message> {
        let (nonce, sealed) = packet.split_first_chunk::<NONCE_LEN>()?;
        if packet.len() != LENGTH {
            return None;
        }
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let message = read(self.0.open_in_place(nonce, Aad::empty(), &mut sealed).ok()?)?;
        (message.from == source.to_canonical()).then_some(message)
    }
}

fn write(message: &Message, body: &mut [u8]) {
    let nobody = NodeId([0; 32]);
    let (kind, wanted, number) = match message.about {
        About::Announcement => (1, nobody, 0),
        About::Question { wanted, number } => (2, wanted, number),
        About::Answer { number } => (3, nobody, number),
    };
    let addresses = message.addresses.get(..ADDRESSES_MAX).unwrap_or(&message.addresses);
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&message.node.0);
    bytes.extend_from_slice(&wanted.0);
    bytes.extend_from_slice(&number.to_be_bytes());
    bytes.extend_from_slice(&octets(message.from));
    bytes.push(u8::try_from(addresses.len()).unwrap_or_default());
    for address in addresses {
        bytes.extend_from_slice(&octets(address.ip()));
        bytes.extend_from_slice(&address.port().to_be_bytes());
    }
    body[..bytes.len()].copy_from_slice(&bytes);
}

fn read(body: &[u8]) -> Option<Message> {
    let (kind, rest) = body.split_first()?;
    let (node, rest) = rest.split_first_chunk()?;
    let (wanted, rest) = rest.split_first_chunk()?;
    let (number, rest) = rest.split_first_chunk()?;
    let (from, rest) = rest.split_first_chunk()?;
    let (count, rest) = rest.split_first()?;
    let number = u64::from_be_bytes(*number);
    let about = match kind {
        1 => About::Announcement,
        2 => About::Question { wanted: NodeId(*wanted), number },
        3 => About::Answer { number },
        _ => return None,
    };
    let addresses = rest.chunks_exact(ADDRESS).take(usize::from(*count)).filter_map(|address| {
        let (ip, port) = address.split_first_chunk()?;
        Some(SocketAddr::new(ip_of(*ip), u16::from_be_bytes(port.try_into().ok()?)))
    });
    Some(Message { about, node: NodeId(*node), from: ip_of(*from), addresses: addresses.collect() })
}

fn octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

fn ip_of(octets: [u8; 16]) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from(octets)).to_canonical()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn network(number: u8) -> NetworkId {
        NetworkId(Hash([number; 32]))
    }

    fn message(about: About) -> Message {
        let addresses = ["192.0.2.1:4433", "[2001:db8::1]:4434"].map(|text| text.parse().unwrap());
        let from = "192.0.2.1".parse().unwrap();
        Message { about, node: NodeId([7; 32]), from, addresses: addresses.to_vec() }
    }

    #[test]
    fn members_read_what_members_say() {
        let key = Key::of(network(1));
        let wanted = NodeId([9; 32]);
        for about in
            [About::Announcement, About::Question { wanted, number: 5 }, About::Answer { number: u64::MAX }]
        {
            let said = message(about);
            let packet = key.seal(&said, [3; NONCE_LEN]);
            assert_eq!(Key::of(network(1)).open(&packet, said.from), Some(said.clone()));
            // On a dual-stack socket the same address looks otherwise.
            assert_eq!(key.open(&packet, "::ffff:192.0.2.1".parse().unwrap()), Some(said));
        }
    }

    #[test]
    fn the_longest_message_fits_and_what_is_too_much_is_left_out() {
        let key = Key::of(network(1));
        let mut said = message(About::Announcement);
        said.addresses = (1..=9).map(|port| SocketAddr::from(([192, 0, 2, 1], port))).collect();
        let heard = key.open(&key.seal(&said, [0; NONCE_LEN]), said.from).unwrap();
        assert_eq!(heard.addresses, said.addresses[..ADDRESSES_MAX]);
    }

    #[test]
    fn outsiders_other_networks_and_changed_packets_get_nothing() {
        let key = Key::of(network(1));
        let said = message(About::Announcement);
        let packet = key.seal(&said, [3; NONCE_LEN]);
        assert_eq!(Key::of(network(2)).open(&packet, said.from), None);
        for at in 0..LENGTH {
            let mut changed = packet;
            changed[at] ^= 1;
            assert_eq!(key.open(&changed, said.from), None, "byte {at}");
        }
        for length in 0..LENGTH {
            assert_eq!(key.open(&packet[..length], said.from), None, "{length} bytes");
        }
        assert_eq!(key.open(&[&packet[..], &[0]].concat(), said.from), None);
    }

    #[test]
    fn a_packet_repeated_from_elsewhere_is_not_taken() {
        let key = Key::of(network(1));
        let packet = key.seal(&message(About::Announcement), [3; NONCE_LEN]);
        assert_eq!(key.open(&packet, "192.0.2.66".parse().unwrap()), None);
    }

    #[test]
    fn two_packets_that_say_the_same_have_nothing_in_common() {
        let key = Key::of(network(1));
        let (one, other) = (
            key.seal(&message(About::Announcement), [3; NONCE_LEN]),
            key.seal(&message(About::Announcement), [4; NONCE_LEN]),
        );
        let same = one.iter().zip(&other).filter(|(one, other)| one == other).count();
        assert!(same < 12, "{same} of {LENGTH} bytes are the same");
        // And nothing of what is said is to be seen: not the node, not a port.
        assert!(!one.windows(4).any(|bytes| bytes == [7; 4]));
    }

    #[test]
    fn the_key_and_the_layout_stay_what_they_are() {
        let packet = Key::of(network(1)).seal(&message(About::Announcement), [3; NONCE_LEN]);
        let hex: String = packet.iter().take(24).map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((LENGTH, hex.as_str()), (190, "0303030303030303030303031a56b2a4c9e6778e73b7209d"));
    }
}
