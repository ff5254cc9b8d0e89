//! Node to node.
//!
//! The dialling node opens the first bidirectional stream and both send a [`Hello`] on it. Whoever has
//! the longer ledger, and knows the other as a member, follows with the missing entries as
//! [`Greeting::Entry`]; both end with [`Greeting::Done`], whoever is behind after the other. Members whose
//! ledgers contradict each other show each other one entry, of the number where the shorter ledger ends,
//! and part. Only then does the listening node serve other
//! streams, each of which begins with a [`Request`] and is answered with a [`Reply`]. The dialling node
//! may send requests at once: it has chosen the other end by its key.

use minicbor::{Decode, Encode};

use super::code::Reset;
use crate::id::{Hash, NetworkId};
use crate::name::Name;

/// Longest reason in a [`Reply`], in bytes.
pub const REASON_MAX: usize = 512;

/// Who am I talking to, and how far is its ledger?
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Hello {
    /// [`super::PROTOCOL_VERSION`].
    #[n(0)]
    pub version: u16,
    /// The network this session is of.
    #[n(1)]
    pub network: NetworkId,
    /// The number of the newest entry.
    #[n(2)]
    pub seq: u64,
    /// Its hash.
    #[n(3)]
    pub head: Hash,
    /// Bits for what later versions can do; unknown ones are ignored.
    #[n(4)]
    pub features: u64,
}

/// What follows a [`Hello`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Greeting {
    /// The next entry the other one misses.
    #[n(0)]
    Entry(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>),
    /// No more.
    #[n(1)]
    Done,
    /// To a guest, before `Done`: [`crate::ledger::view::digest`] of the numbers whose bodies it may not
    /// see. Another one in the guest's copy means that a manager has left out too much, or too little.
    #[n(2)]
    View(#[n(0)] Hash),
}

/// What a stream is for.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Request {
    /// Forward to a resource. What follows the request on the stream goes to the target.
    #[n(0)]
    Open {
        /// Which.
        #[n(0)]
        resource: Name,
        /// Only say whether it could be opened.
        #[n(1)]
        probe: bool,
    },
    /// Are you there?
    #[n(1)]
    Ping,
    /// Exchange datagrams with a resource, in flows beside the stream: one for each local client of whoever
    /// asks. The stream carries nothing more and ends with the exchange.
    #[n(2)]
    Exchange(#[n(0)] Name),
}

/// The answer to a [`Request`]. After [`Reply::Ok`] to an open, the target's bytes follow.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Reply {
    /// It is so.
    #[n(0)]
    Ok,
    /// It is not; the stream ends.
    #[n(1)]
    Refused {
        /// A [`Reset`] number.
        #[n(0)]
        code: u32,
        /// For people; at most [`REASON_MAX`] bytes are sent.
        #[n(1)]
        reason: String,
    },
}

impl Reply {
    /// A refusal with a reason of bounded length.
    pub fn refused(code: Reset, reason: &str) -> Self {
        let mut end = reason.len().min(REASON_MAX);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        Self::Refused { code: code.number(), reason: reason[..end].to_owned() }
    }
}
