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

/// Most nodes in one [`Response::Usage`]; at most 64 bytes each.
pub const USAGE_NODES_MAX: usize = 900;

/// From how many hundredths of its limit on a network's use of the relay is worth a warning.
pub const WARN_PERCENT: u64 = 80;

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
    /// [`Response::Head`] after each new entry, [`Response::Ring`] when another node dials this one, and
    /// [`Response::Quota`] when the relay's use nears its limit; the node sends another `Register` when
    /// its addresses change.
    #[n(3)]
    Register {
        /// In which network.
        #[n(0)]
        network: NetworkId,
        /// Where the node can be reached, as far as it knows itself; at most [`CANDIDATES_MAX`].
        #[n(1)]
        candidates: Vec<SocketAddr>,
    },
    /// Where is that node? It is rung, so that it opens its NAT towards the asker. Answer:
    /// [`Response::Dialled`].
    #[n(4)]
    Dial {
        /// In which network.
        #[n(0)]
        network: NetworkId,
        /// Which.
        #[n(1)]
        node: NodeId,
        /// Whether to open a relay channel to it as well, or to say again which one is open.
        #[n(2)]
        relay: bool,
    },
    /// Who is online? Answer: [`Response::Online`].
    #[n(5)]
    Presence {
        /// In which network.
        #[n(0)]
        network: NetworkId,
    },
    /// What has been relayed, and how much may be? Answer: one or more [`Response::Usage`].
    #[n(6)]
    Usage {
        /// In which network.
        #[n(0)]
        network: NetworkId,
        /// In which month, as `YYYYMM`; in this one when absent.
        #[n(1)]
        month: Option<u32>,
    },
    /// Send this node a packet that it has not asked for, by a `seen` with this token from a port that nothing
    /// is received on, so that it learns whom its NAT lets in; and what is the time? Answer:
    /// [`Response::Probed`].
    #[n(7)]
    Probe {
        /// In which network.
        #[n(0)]
        network: NetworkId,
        /// In the packet.
        #[n(1)]
        token: u64,
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
    /// Where a node was seen, and a channel to it.
    #[n(5)]
    Dialled {
        /// Whether it is connected to this manager now.
        #[n(0)]
        online: bool,
        /// Its addresses, best first.
        #[n(1)]
        candidates: Vec<SocketAddr>,
        /// When it was last seen, in milliseconds of Unix time; zero for never.
        #[n(2)]
        last_seen: u64,
        /// The relay channel to it, if one was asked for and could be opened.
        #[n(3)]
        channel: Option<u64>,
        /// Why there is no channel though one was asked for: one of [`failed`].
        #[n(4)]
        refused: Option<String>,
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
    /// On a registered stream: another node dials this one.
    #[n(8)]
    Ring {
        /// Which.
        #[n(0)]
        node: NodeId,
        /// Its addresses, the one the manager sees it at first. Opening the NAT towards them lets it in.
        #[n(1)]
        candidates: Vec<SocketAddr>,
        /// The relay channel it has to this node.
        #[n(2)]
        channel: Option<u64>,
    },
    /// What the relay has carried in one month (UTC). Who is neither owner nor admin is told of its own
    /// nodes only, a device of itself only.
    #[n(9)]
    Usage {
        /// The month, as `YYYYMM`.
        #[n(0)]
        month: u32,
        /// The name of the network's plan, if it has one.
        #[n(1)]
        plan: Option<String>,
        /// Bytes that may be relayed in a month, if that has a limit.
        #[n(2)]
        limit: Option<u64>,
        /// Bytes relayed in this month. Of the whole network, each counts once; otherwise it is what the
        /// nodes told of sent and got.
        #[n(3)]
        used: u64,
        /// Whether that is all of the network's.
        #[n(4)]
        whole: bool,
        /// Each day of the month on which there was something; in the first message only.
        #[n(5)]
        days: Vec<DayUsage>,
        /// Nodes that relayed something this month; at most [`USAGE_NODES_MAX`].
        #[n(6)]
        nodes: Vec<NodeUsage>,
        /// Whether another message with more nodes follows.
        #[n(7)]
        more: bool,
    },
    /// On a registered stream: the relay has carried 80 % of what it may in a month, or all of it. Told at
    /// each of the two, and to a node that registers later.
    #[n(10)]
    Quota {
        /// Bytes relayed this month.
        #[n(0)]
        used: u64,
        /// Bytes that may be.
        #[n(1)]
        limit: u64,
    },
    /// The packet is on its way.
    #[n(11)]
    Probed {
        /// The manager's clock, in milliseconds of Unix time.
        #[n(0)]
        time: u64,
        /// A second UDP port of the manager that answers `ask`; without it no packet was sent, either.
        #[n(1)]
        port: Option<u16>,
    },
}

/// What was relayed on one day (UTC).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct DayUsage {
    /// Day of the month, from 1.
    #[n(0)]
    pub day: u8,
    /// Bytes, counted as in the month.
    #[n(1)]
    pub bytes: u64,
}

/// What one node sent into the relay and got out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct NodeUsage {
    /// Which.
    #[n(0)]
    pub node: NodeId,
    /// Bytes it sent.
    #[n(1)]
    pub sent: u64,
    /// Bytes it got.
    #[n(2)]
    pub received: u64,
}

/// Words in [`Response::Failed`], beside those of the ledger, and in [`Response::Dialled`].
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
    /// The network has relayed what its plan allows in a month.
    pub const QUOTA: &str = "quota";
    /// The other node is not connected to this manager.
    pub const OFFLINE: &str = "offline";
    /// This manager does not relay.
    pub const NO_RELAY: &str = "no-relay";
    /// On a registered stream: another session with the same key has registered. Whoever reads this is
    /// alive, so two processes use one node's keys.
    pub const CLONED: &str = "cloned";
}
