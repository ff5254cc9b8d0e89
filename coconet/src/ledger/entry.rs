//! The shape of an entry: what the author signs, and what the manager adds.

use minicbor::{Decode, Encode};

use super::op::Op;
use crate::cbor;
use crate::id::{Hash, NetworkId, NodeId, StampKey};
use crate::key::{BadSignature, NodeKeys, Signature, verify};

/// Longest encoded entry, in bytes. A genesis with eight managers and a publish with all its attributes
/// fit; a peer's longer one is refused before it is parsed.
pub const ENTRY_MAX: usize = 32 * 1024;

/// Longest op, in bytes: what [`ENTRY_MAX`] leaves beside keys, signatures and stamp. A longer one is not
/// admitted, because an entry that a manager stamps and no member decodes would end the ledger.
pub const OP_MAX: usize = ENTRY_MAX - 512;

const AUTHOR_DOMAIN: &str = "coco/entry-author";
const STAMP_DOMAIN: &str = "coco/entry-stamp";

/// What the author signs.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Header {
    /// The network; all zero in a genesis, whose hash becomes the network's id.
    #[n(0)]
    pub network: NetworkId,
    /// The hash of the entry before; all zero in a genesis.
    #[n(1)]
    pub prev: Hash,
    /// The hash of the op's bytes.
    #[n(2)]
    pub op: Hash,
    /// Who says so.
    #[n(3)]
    pub author: NodeId,
}

/// An entry before its stamp.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Draft {
    /// What is signed.
    #[n(0)]
    pub header: Header,
    /// By the author over the header.
    #[n(1)]
    pub signature: Signature,
    /// The op's bytes; absent where a reader may not see them.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub op: Option<Vec<u8>>,
}

/// What the manager adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Stamp {
    /// Position in the ledger, from 0.
    #[n(0)]
    pub seq: u64,
    /// Milliseconds of Unix time; never before the entry above.
    #[n(1)]
    pub time: u64,
    /// Which manager.
    #[n(2)]
    pub manager: StampKey,
    /// By the manager over the entry's hash, `seq` and `time`.
    #[n(3)]
    pub signature: Signature,
}

/// A stamped entry.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Entry {
    /// The author's part.
    #[n(0)]
    pub draft: Draft,
    /// The manager's part.
    #[n(1)]
    pub stamp: Stamp,
}

impl Draft {
    /// `op` by `keys` on top of `prev`.
    pub fn new(keys: &NodeKeys, network: NetworkId, prev: Hash, op: &Op) -> Self {
        let bytes = op.to_bytes();
        let header = Header { network, prev, op: op_hash(&bytes), author: keys.id() };
        let signature = keys.sign(AUTHOR_DOMAIN, &cbor::encode(&header));
        Self { header, signature, op: Some(bytes) }
    }

    /// The entry's hash: what the next entry names as its parent.
    pub fn hash(&self) -> Hash {
        Hash::of("coco/entry", &[&cbor::encode(&self.header), &self.signature.0])
    }

    /// Whether the author has signed the header.
    pub fn verify_author(&self) -> Result<(), BadSignature> {
        verify(&self.header.author.0, AUTHOR_DOMAIN, &cbor::encode(&self.header), &self.signature)
    }

    /// Whether the op's bytes are the ones the header names.
    pub fn op_matches(&self) -> bool {
        self.op.as_ref().is_some_and(|bytes| op_hash(bytes) == self.header.op)
    }
}

impl Entry {
    /// The entry's hash, which does not depend on the stamp.
    pub fn hash(&self) -> Hash {
        self.draft.hash()
    }

    /// Whether the manager named in the stamp has signed it.
    pub fn verify_stamp(&self) -> Result<(), BadSignature> {
        let Stamp { seq, time, manager, signature } = self.stamp;
        verify(&manager.0, STAMP_DOMAIN, &stamp_message(self.hash(), seq, time), &signature)
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        cbor::encode(self)
    }

    /// The entry that `bytes` canonically encode.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, cbor::CborError> {
        cbor::decode(bytes, ENTRY_MAX)
    }
}

/// Give `draft` its place and time.
pub fn stamp(manager: &NodeKeys, draft: Draft, seq: u64, time: u64) -> Entry {
    let signature = manager.sign(STAMP_DOMAIN, &stamp_message(draft.hash(), seq, time));
    Entry { draft, stamp: Stamp { seq, time, manager: manager.stamp_key(), signature } }
}

fn stamp_message(entry: Hash, seq: u64, time: u64) -> Vec<u8> {
    cbor::encode(&(entry, seq, time))
}

fn op_hash(bytes: &[u8]) -> Hash {
    Hash::of("coco/op", &[bytes])
}
