//! Where entries are kept for good.
//!
//! [`Storage`] is small on purpose: one machine's file today ([`sqlite::Sqlite`]), a replicated log
//! tomorrow, and [`memory::Memory`] in tests. It is synchronous; a thread of its own has it and is reached by
//! messages, so that a slow disk never holds up the network.
//!
//! The contract that everything else rests on: when [`Storage::commit`] reports success for an entry, a
//! power cut does not lose it; when it reports an error, nothing of that entry is there.

use std::net::SocketAddr;

use coconet::calendar::{Day, Month};
use coconet::id::{NetworkId, NodeId};

pub mod memory;
pub mod sqlite;
pub(crate) mod thread;

/// Keeps ledgers, when nodes were last seen, and what was relayed.
pub trait Storage: Send + 'static {
    /// Hand every entry to `each`, network by network and in order within one. The first error of `each`
    /// ends it.
    fn load(
        &mut self,
        each: &mut dyn FnMut(StoredEntry) -> Result<(), StorageError>,
    ) -> Result<(), StorageError>;

    /// When every node was last seen.
    fn last_seen(&mut self) -> Result<Vec<Seen>, StorageError>;

    /// Write all of `writes` durably, or none of them.
    fn commit(&mut self, writes: &[Write]) -> Result<(), StorageError>;

    /// The entries of `network` from `range.from` up to `range.last`, fewer when they are more than
    /// `range.bytes`, but at least one if there is one.
    fn read(&mut self, network: NetworkId, range: Range) -> Result<Vec<Vec<u8>>, StorageError>;

    /// What was relayed in `month`, in every network or in one, in the order of network, node and day.
    fn relayed(&mut self, month: Month, of: Option<NetworkId>) -> Result<Vec<Relayed>, StorageError>;
}

/// One thing to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// The next entry of its network; refused unless it is.
    Entry(StoredEntry),
    /// A node was seen; replaces what was known.
    Seen(Seen),
    /// So much more was relayed; added to what there is.
    Relayed(Vec<Relayed>),
    /// Forget what was relayed before that month.
    Forget(Month),
}

/// What a node sent into the relay and got out of it on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relayed {
    /// In which network.
    pub network: NetworkId,
    /// Which node.
    pub node: NodeId,
    /// On which day.
    pub day: Day,
    /// How much.
    pub traffic: Traffic,
}

/// Bytes of a node's relayed traffic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// What the node sent.
    pub sent: u64,
    /// What was sent to it.
    pub received: u64,
}

impl std::ops::AddAssign for Traffic {
    fn add_assign(&mut self, more: Self) {
        self.sent = self.sent.saturating_add(more.sent);
        self.received = self.received.saturating_add(more.received);
    }
}

/// An entry's place and bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// Of which network.
    pub network: NetworkId,
    /// Its number.
    pub seq: u64,
    /// Its canonical bytes.
    pub bytes: Vec<u8>,
}

/// When and where a node was last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// In which network.
    pub network: NetworkId,
    /// Which.
    pub node: NodeId,
    /// Milliseconds of Unix time.
    pub at: u64,
    /// Its addresses then, best first.
    pub candidates: Vec<SocketAddr>,
}

/// Which entries to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The first.
    pub from: u64,
    /// The last, included.
    pub last: u64,
    /// Stop before more than so many bytes.
    pub bytes: usize,
}

/// Why the storage did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// No room.
    #[error("the disk is full")]
    Full,
    /// Another entry has that number, or one before it is missing.
    #[error("entry {0} is not the next one")]
    Sequence(u64),
    /// What is stored is not what was written.
    #[error("the stored data is damaged: {0}")]
    Damaged(String),
    /// Written by another version.
    #[error("state of another version: the database has version {found}, this coco-manager reads {expected}")]
    Version {
        /// What it says.
        found: i64,
        /// What this program reads and writes.
        expected: i64,
    },
    /// The storage thread has ended.
    #[error("the storage is closed")]
    Closed,
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use std::collections::BTreeMap;

    use coconet::id::Hash;
    use proptest::prelude::*;

    use super::memory::Memory;
    use super::sqlite::tests::Scratch;
    use super::*;

    fn network(number: u8) -> NetworkId {
        NetworkId(Hash([number; 32]))
    }

    pub(super) fn entry(number: u8, seq: u64, len: usize) -> Write {
        let bytes = vec![u8::try_from(seq % 251).unwrap(); len];
        Write::Entry(StoredEntry { network: network(number), seq, bytes })
    }

    /// Every entry, as `load` gives them.
    pub(super) fn whole(storage: &mut impl Storage) -> Vec<StoredEntry> {
        let mut entries = Vec::new();
        storage
            .load(&mut |entry| {
                entries.push(entry);
                Ok(())
            })
            .unwrap();
        entries
    }

    fn seen(storage: &mut impl Storage) -> BTreeMap<(NetworkId, NodeId), Seen> {
        let seen = storage.last_seen().unwrap();
        seen.into_iter().map(|seen| ((seen.network, seen.node), seen)).collect()
    }

    fn writes() -> impl Strategy<Value = Vec<Write>> {
        let place = (0..3u8, 0..6u64, 0..2000usize).prop_map(|(net, seq, len)| entry(net, seq, len));
        let seen = (0..3u8, 0..3u8, any::<u32>(), 0..4u16).prop_map(|(net, node, at, ports)| {
            let address = |port| SocketAddr::from(([192, 0, 2, 1], port));
            Write::Seen(Seen {
                network: network(net),
                node: NodeId([node; 32]),
                at: at.into(),
                candidates: (0..ports).map(address).collect(),
            })
        });
        let relayed = prop::collection::vec(relayed(), 0..4).prop_map(Write::Relayed);
        let forget =
            (202_606..202_609u32).prop_map(|month| Write::Forget(Month::from_number(month).unwrap()));
        prop::collection::vec(prop_oneof![6 => place, 2 => seen, 2 => relayed, 1 => forget], 0..5)
    }

    fn relayed() -> impl Strategy<Value = Relayed> {
        let day = (6..9u32, 1..3u32).prop_map(|(month, day)| 20_260_000 + month * 100 + day);
        (0..2u8, 0..2u8, day, any::<u32>(), any::<u32>()).prop_map(|(net, node, day, sent, received)| {
            Relayed {
                network: network(net),
                node: NodeId([node; 32]),
                day: Day::from_number(day).unwrap(),
                traffic: Traffic { sent: sent.into(), received: received.into() },
            }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..Default::default() })]

        #[test]
        fn the_file_and_its_twin_in_memory_do_the_same(
            groups in prop::collection::vec(writes(), 0..12),
            (from, last, bytes) in (0..8u64, 0..8u64, 0..5000usize),
        ) {
            let scratch = Scratch::new();
            let (mut file, mut twin) = (scratch.created(), Memory::default());
            for group in groups {
                prop_assert_eq!(file.commit(&group), twin.commit(&group));
            }
            prop_assert_eq!(whole(&mut file), whole(&mut twin));
            prop_assert_eq!(seen(&mut file), seen(&mut twin));
            let range = Range { from, last, bytes };
            for number in 0..3 {
                prop_assert_eq!(file.read(network(number), range), twin.read(network(number), range));
            }
            for month in [202_606, 202_607, 202_608].map(|number| Month::from_number(number).unwrap()) {
                for of in [None, Some(network(1)), Some(network(9))] {
                    prop_assert_eq!(file.relayed(month, of), twin.relayed(month, of));
                }
            }
        }
    }
}
