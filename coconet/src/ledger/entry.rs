//! The shape of an entry: what the author signs, and what the manager adds.

use minicbor::{Decode, Encode};

use super::op::Op;
use crate::cbor;
use crate::id::{Hash, NetworkId, NodeId, StampKey};
use crate::key::{BadSignature, NodeKeys, Signature, verify};

/// Longest encoded entry, in bytes. A genesis with eight managers and a publish with all its attributes
/// fit; a peer's longer one is refused before it is parsed.
pub const ENTRY_MAX: usize = 32 * 1024;

/// Longest op, in bytes: what [`ENTRY_MAX`] leaves beside keys, signatures, blind and stamp. A longer one is not
/// admitted, because an entry that a manager stamps and no member decodes would end the ledger.
pub const OP_MAX: usize = ENTRY_MAX - 512;

/// Bytes of a [`Blind`]: more than can be tried.
pub const BLIND_LEN: usize = 16;

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
    /// The hash of the op's bytes and the blind.
    #[n(2)]
    pub op: Hash,
    /// Who says so.
    #[n(3)]
    pub author: NodeId,
}

/// Random bytes that are hashed together with an op: one blind for each draft, never used again. Who is
/// shown the hash alone cannot try out which of the few likely ops it is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct Blind(#[cbor(with = "minicbor::bytes")] pub [u8; BLIND_LEN]);

/// What the author says. It is shown whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Body {
    /// The op's bytes.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub op: Vec<u8>,
    /// Without it the header's hash would tell the op to whoever guesses it.
    #[n(1)]
    pub blind: Blind,
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
    /// What is said; absent where a reader may not see it.
    #[n(2)]
    pub body: Option<Body>,
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
    /// `op` by `keys` on top of `prev`. `blind` is fresh from a good source of randomness.
    pub fn new(keys: &NodeKeys, network: NetworkId, prev: Hash, op: &Op, blind: Blind) -> Self {
        let body = Body { op: op.to_bytes(), blind };
        let header = Header { network, prev, op: body.hash(), author: keys.id() };
        let signature = keys.sign(AUTHOR_DOMAIN, &cbor::encode(&header));
        Self { header, signature, body: Some(body) }
    }

    /// The op, where it is shown and its bytes are one. Says nothing of whether it was signed.
    pub fn op(&self) -> Option<Op> {
        self.body.as_ref().and_then(|body| Op::from_bytes(&body.op).ok())
    }

    /// The entry's hash: what the next entry names as its parent.
    pub fn hash(&self) -> Hash {
        Hash::of("coco/entry", &[&cbor::encode(&self.header), &self.signature.0])
    }

    /// Whether the author has signed the header.
    pub fn verify_author(&self) -> Result<(), BadSignature> {
        verify(&self.header.author.0, AUTHOR_DOMAIN, &cbor::encode(&self.header), &self.signature)
    }

    /// The body, where it is shown and is the one the header names.
    pub fn signed_body(&self) -> Option<&Body> {
        self.body.as_ref().filter(|body| body.hash() == self.header.op)
    }
}

impl Body {
    /// What the header names.
    fn hash(&self) -> Hash {
        Hash::of("coco/op", &[&self.blind.0, &self.op])
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
