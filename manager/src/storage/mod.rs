//! Where entries are kept for good.
//!
//! [`Storage`] is small on purpose: one machine's file today ([`sqlite::Sqlite`]), a replicated log
//! tomorrow, and [`memory::Memory`] in tests. It is synchronous; `thread` owns it and is reached by
//! messages, so that a slow disk never holds up the network.
//!
//! The contract that everything else rests on: when [`Storage::commit`] reports success for an entry, a
//! power cut does not lose it; when it reports an error, nothing of that entry is there.

use std::net::SocketAddr;

use coconet::id::{NetworkId, NodeId};

pub mod memory;
pub mod sqlite;
pub(crate) mod thread;

/// Keeps ledgers and when nodes were last seen.
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
}

/// One thing to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// The next entry of its network; refused unless it is.
    Entry(StoredEntry),
    /// A node was seen; replaces what was known.
    Seen(Seen),
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
