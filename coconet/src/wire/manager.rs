//! Node to manager: one request per bidirectional stream, answered by one or more [`Response`]s.
//!
//! The manager knows who asks by the session key. Only [`Request::Head`] and a [`Request::Append`] of a
//! genesis or a join may come from a key that is in no ledger yet.

use std::net::SocketAddr;

use minicbor::{Decode, Encode};

use crate::id::{Hash, InviteKey, NetworkId, NodeId};
use crate::key::Signature;
use crate::ledger::{Draft, Entry};

/// Most addresses a node may register.
pub const CANDIDATES_MAX: usize = 16;

/// The domain an invite's secret signs the session under in [`Request::Head`].
pub const HEAD_DOMAIN: &str = "coco/head";

/// The label under which both ends export the session value that [`Request::Head`] signs.
pub const HEAD_EXPORT_LABEL: &[u8] = b"coco head proof";

/// What a node asks of a manager.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Request {
    /// Where does the ledger stand, asked by the holder of an invite. Answer: [`Response::Head`].
    #[n(0)]
    Head {
        /// Of which network.
        #[n(0)]
        network: NetworkId,
        /// By whose holder.
        #[n(1)]
        invite: InviteKey,
        /// By the invite's secret over the session's exported value.
        #[n(2)]
        proof: Signature,
    },
    /// Stamp this. Answer: [`Response::Stamped`], or [`Response::Conflict`] when the head has moved on.
    #[n(1)]
    Append(#[n(0)] Draft),
    /// The entries from number `from` on. Answer: an [`Response::Entry`] for each, then
    /// [`Response::Head`].
    #[n(2)]
    Fetch {
        /// Of which network.
        #[n(0)]
        network: NetworkId,
        /// The first wanted.
        #[n(1)]
        from: u64,
    },
    /// Here I am. The stream stays open: the manager answers [`Response::Registered`] and then sends
    /// [`Response::Head`] after each new entry; the node sends another `Register` when its addresses
    /// change.
    #[n(3)]
    Register {
        /// In which network.
        #[n(0)]
        network: NetworkId,
        /// Where the node can be reached, as far as it knows itself; at most [`CANDIDATES_MAX`].
        #[n(1)]
        candidates: Vec<SocketAddr>,
    },
    /// Where is that node? Answer: [`Response::Located`].
    #[n(4)]
    Locate {
        /// In which network.
        #[n(0)]
        network: NetworkId,
        /// Which.
        #[n(1)]
        node: NodeId,
    },
    /// Who is online? Answer: [`Response::Online`].
    #[n(5)]
    Presence {
        /// In which network.
        #[n(0)]
        network: NetworkId,
    },
}

/// What a manager answers.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Response {
    /// The newest entry of a ledger.
    #[n(0)]
    Head {
        /// Its number.
        #[n(0)]
        seq: u64,
        /// Its hash.
        #[n(1)]
        head: Hash,
        /// After a fetch: [`crate::ledger::view::digest`] of the numbers whose bodies the asker may not
        /// see. A copy with another one is fetched anew.
        #[n(2)]
        view: Option<Hash>,
    },
    /// The draft, stamped.
    #[n(1)]
    Stamped(#[n(0)] Box<Entry>),
    /// Another entry came first: fetch, and draft again.
    #[n(2)]
    Conflict {
        /// The newest number.
        #[n(0)]
        seq: u64,
        /// Its hash.
        #[n(1)]
        head: Hash,
    },
    /// One entry's canonical bytes.
    #[n(3)]
    Entry(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>),
    /// Presence is known now.
    #[n(4)]
    Registered {
        /// The address the manager sees the node at.
        #[n(0)]
        observed: SocketAddr,
        /// The newest number.
        #[n(1)]
        seq: u64,
        /// Its hash.
        #[n(2)]
        head: Hash,
    },
    /// Where a node was seen.
    #[n(5)]
    Located {
        /// Whether it is connected to this manager now.
        #[n(0)]
        online: bool,
        /// Its addresses, best first.
        #[n(1)]
        candidates: Vec<SocketAddr>,
        /// When it was last seen, in milliseconds of Unix time; zero for never.
        #[n(2)]
        last_seen: u64,
    },
    /// Nodes of the network and when they were last seen; zero for "now".
    #[n(6)]
    Online(#[n(0)] Vec<(NodeId, u64)>),
    /// It is not done.
    #[n(7)]
    Failed {
        /// A word from the list of violations and rejects, or one of [`failed`].
        #[n(0)]
        code: String,
        /// For people.
        #[n(1)]
        message: String,
    },
}

/// Words in [`Response::Failed`] beside those of the ledger.
pub mod failed {
    /// The session key is no member of that network, or the network is not here: the two look alike.
    pub const NOT_A_MEMBER: &str = "not-a-member";
    /// The node was removed.
    pub const REVOKED: &str = "revoked";
    /// The manager could not write to its disk.
    pub const STORAGE: &str = "storage";
    /// A message the protocol does not allow here.
    pub const PROTOCOL: &str = "protocol-error";
    /// Too many at once.
    pub const BUSY: &str = "busy";
    /// On a registered stream: another session with the same key has registered. Whoever reads this is
    /// alive, so two processes use one node's keys.
    pub const CLONED: &str = "cloned";
}
