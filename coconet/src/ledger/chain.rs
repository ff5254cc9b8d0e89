//! Appending: the checks that hold for every entry, whatever it says.

use super::entry::{Blind, Draft, Entry};
use super::op::{Op, join_message};
use super::state::State;
use super::validate::JOIN_DOMAIN;
use super::view;
use super::violation::Violation;
use crate::cbor::CborError;
use crate::id::{Hash, NetworkId};
use crate::invite::Invitation;
use crate::key::NodeKeys;
use crate::name::Name;

/// A verified ledger up to its head. Holds the state, not the entries: whoever keeps those keeps their
/// bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ledger {
    state: State,
    head: Hash,
    seq: u64,
    time: u64,
    withheld: Vec<u64>,
}

/// Why an entry or a draft was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reject {
    /// Of another network.
    #[error("the entry belongs to another network")]
    Network,
    /// On top of another entry than the head.
    #[error("the entry does not follow the head")]
    Parent,
    /// The stamp's number is not the next.
    #[error("the entry is numbered {found} where {expected} comes next")]
    Sequence {
        /// What comes next.
        expected: u64,
        /// What the stamp says.
        found: u64,
    },
    /// The stamp is older than the one before.
    #[error("the entry is stamped before its parent")]
    Time,
    /// The author has not signed it.
    #[error("the author's signature does not hold")]
    Author,
    /// No manager of the network has stamped it.
    #[error("the stamp is not by a manager of this network")]
    Stamp,
    /// The op or its blind is missing or is not the one that was signed.
    #[error("the op is missing or is not the one that was signed")]
    Op,
    /// The op's bytes are not an op.
    #[error("the op is malformed: {0}")]
    Malformed(#[from] CborError),
    /// Written by a later version, and it matters.
    #[error("the ledger holds op {0}, which this version does not know: update coco")]
    UpdateNeeded(u16),
    /// Not allowed to its author.
    #[error(transparent)]
    Violation(#[from] Violation),
}

impl Ledger {
    /// The ledger that a genesis entry begins.
    pub fn begin(entry: &Entry) -> Result<Self, Reject> {
        let ledger = Self::founded_by(&entry.draft)?;
        if entry.stamp.seq != 0 {
            return Err(Reject::Sequence { expected: 0, found: entry.stamp.seq });
        }
        ledger.verify_stamp(entry)?;
        Ok(Self { time: entry.stamp.time, ..ledger })
    }

    /// What [`Ledger::begin`] checks before there is a stamp; the time is still zero.
    pub fn founded_by(draft: &Draft) -> Result<Self, Reject> {
        if draft.header.network != NetworkId(Hash::ZERO) {
            return Err(Reject::Network);
        }
        if draft.header.prev != Hash::ZERO {
            return Err(Reject::Parent);
        }
        let Op::Genesis(genesis) = open(draft)? else { return Err(Violation::Genesis.into()) };
        if genesis.owner.node != draft.header.author {
            return Err(Violation::Proof.into());
        }
        let head = draft.hash();
        let state = State::begin(NetworkId(head), &genesis)?;
        Ok(Self { state, head, seq: 0, time: 0, withheld: Vec::new() })
    }

    /// The state at the head.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The hash of the newest entry.
    pub fn head(&self) -> Hash {
        self.head
    }

    /// The number of the newest entry.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The time of the newest entry, in milliseconds of Unix time.
    pub fn time(&self) -> u64 {
        self.time
    }

    /// The numbers of the entries whose bodies were left out: none in a whole ledger.
    pub fn withheld(&self) -> &[u64] {
        &self.withheld
    }

    /// What a holder of the whole ledger compares with the view it would give.
    pub fn view(&self) -> Hash {
        view::digest(self.withheld.iter().copied())
    }

    /// The ledger after `entry`: begun by it, or one longer.
    pub fn follow(ledger: Option<Self>, entry: &Entry) -> Result<Self, Reject> {
        match ledger {
            None => Self::begin(entry),
            Some(mut ledger) => ledger.append(entry).map(|()| ledger),
        }
    }

    /// The same as a guest reads it; see [`Ledger::append_viewed`].
    pub fn follow_viewed(ledger: Option<Self>, entry: &Entry) -> Result<Self, Reject> {
        match ledger {
            None => Self::begin(entry),
            Some(mut ledger) => ledger.append_viewed(entry).map(|()| ledger),
        }
    }

    /// `op` by `keys` on top of the head; see [`Draft::new`].
    pub fn draft(&self, keys: &NodeKeys, op: &Op, blind: Blind) -> Draft {
        Draft::new(keys, self.state.network(), self.head, op, blind)
    }

    /// Whether `draft` could be stamped next at `time`: what the manager asks before it stamps, with the
    /// same answer every member will come to.
    pub fn admit(&self, draft: &Draft, time: u64) -> Result<(), Reject> {
        self.check(draft, time).map(|_| ())
    }

    /// Take the next entry, or leave the ledger as it was.
    pub fn append(&mut self, entry: &Entry) -> Result<(), Reject> {
        let expected = self.seq + 1;
        if entry.stamp.seq != expected {
            return Err(Reject::Sequence { expected, found: entry.stamp.seq });
        }
        self.verify_stamp(entry)?;
        let op = self.check(&entry.draft, entry.stamp.time)?;
        self.state.apply(entry.draft.header.author, expected, op);
        self.advance(entry);
        Ok(())
    }

    /// Take the next entry as a guest does: where its body is left out, place, author and stamp are
    /// verified, and what it says stays unknown.
    pub fn append_viewed(&mut self, entry: &Entry) -> Result<(), Reject> {
        if entry.draft.body.is_some() {
            return self.append(entry);
        }
        let expected = self.seq + 1;
        if entry.stamp.seq != expected {
            return Err(Reject::Sequence { expected, found: entry.stamp.seq });
        }
        self.verify_stamp(entry)?;
        self.check_place(&entry.draft, entry.stamp.time)?;
        entry.draft.verify_author().map_err(|_| Reject::Author)?;
        self.withheld.push(expected);
        self.advance(entry);
        Ok(())
    }

    /// Take the next entry on the word of a checkpoint further on: place and bytes are checked, signatures
    /// and rights are not. Worth nothing until [`Ledger::append`] has taken that checkpoint, which fails
    /// unless its author, an owner, has signed the very state that came of it.
    pub fn append_vouched(&mut self, entry: &Entry) -> Result<(), Reject> {
        let expected = self.seq + 1;
        if entry.stamp.seq != expected {
            return Err(Reject::Sequence { expected, found: entry.stamp.seq });
        }
        self.check_place(&entry.draft, entry.stamp.time)?;
        let op = signed_op(&entry.draft)?;
        self.state.apply(entry.draft.header.author, expected, op);
        self.advance(entry);
        Ok(())
    }

    fn advance(&mut self, entry: &Entry) {
        self.head = entry.hash();
        self.seq = entry.stamp.seq;
        self.time = entry.stamp.time;
    }

    fn verify_stamp(&self, entry: &Entry) -> Result<(), Reject> {
        if !self.state.managers().iter().any(|manager| manager.stamp == entry.stamp.manager) {
            return Err(Reject::Stamp);
        }
        entry.verify_stamp().map_err(|_| Reject::Stamp)
    }

    fn check_place(&self, draft: &Draft, time: u64) -> Result<(), Reject> {
        if draft.header.network != self.state.network() {
            return Err(Reject::Network);
        }
        if draft.header.prev != self.head {
            return Err(Reject::Parent);
        }
        if time < self.time { Err(Reject::Time) } else { Ok(()) }
    }

    fn check(&self, draft: &Draft, time: u64) -> Result<Op, Reject> {
        self.check_place(draft, time)?;
        let op = open(draft)?;
        if let Op::Unknown { code, critical: true, .. } = op {
            return Err(Reject::UpdateNeeded(code));
        }
        self.state.validate(draft.header.author, time, &op)?;
        Ok(op)
    }
}

/// The ledger of `entries`, which this node has verified before and kept. Up to the newest checkpoint they
/// are taken on its word, which makes long ledgers load fast; from there on they are verified as new ones
/// are, and all of them where there is no checkpoint or a body is left out.
pub fn load(entries: &[Entry]) -> Result<Ledger, Reject> {
    let whole = entries.iter().all(|entry| entry.draft.body.is_some());
    let vouched = if whole { newest_checkpoint(entries).unwrap_or(0) } else { 0 };
    let (genesis, rest) = entries.split_first().ok_or(Reject::Parent)?;
    let mut ledger = Ledger::begin(genesis)?;
    for (seq, entry) in (1..).zip(rest) {
        if seq < vouched { ledger.append_vouched(entry)? } else { ledger.append_viewed(entry)? }
    }
    Ok(ledger)
}

fn newest_checkpoint(entries: &[Entry]) -> Option<usize> {
    entries.iter().rposition(|entry| matches!(entry.draft.op(), Some(Op::Checkpoint(_))))
}

/// The draft by which the holder of `keys` joins with `invitation` on top of `prev`.
pub(crate) fn join_draft(
    keys: &NodeKeys,
    invitation: &Invitation,
    prev: Hash,
    name: &Name,
    blind: Blind,
) -> Draft {
    let record = keys.record();
    let proof = invitation.secret.sign(JOIN_DOMAIN, &join_message(invitation.network, &record, name));
    let join = super::op::Join { invite: invitation.secret.key(), record, name: name.clone(), proof };
    Draft::new(keys, invitation.network, prev, &Op::Join(join), blind)
}

/// The op of a draft whose author and bytes hold together.
fn open(draft: &Draft) -> Result<Op, Reject> {
    draft.verify_author().map_err(|_| Reject::Author)?;
    signed_op(draft)
}

fn signed_op(draft: &Draft) -> Result<Op, Reject> {
    Ok(Op::from_bytes(&draft.signed_body().ok_or(Reject::Op)?.op)?)
}

impl Reject {
    /// The word that stands for it on the wire and in `--json`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Network => "wrong-network",
            Self::Parent => "wrong-parent",
            Self::Sequence { .. } => "wrong-sequence",
            Self::Time => "time-went-back",
            Self::Author => "bad-author-signature",
            Self::Stamp => "bad-stamp",
            Self::Op | Self::Malformed(_) => "malformed",
            Self::UpdateNeeded(_) => "update-needed",
            Self::Violation(violation) => violation.code(),
        }
    }
}
