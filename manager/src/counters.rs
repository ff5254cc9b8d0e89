//! What was refused, counted by kind, and said in the log once per second and kind at most: a flood of
//! bad requests must not become a flood of log lines.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Why something was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Refusal {
    /// More sessions than there may be.
    Sessions,
    /// More sessions than one source may have.
    Source,
    /// A request that is none, or that came too late.
    Protocol,
    /// Somebody who is no member, or a network that is not here.
    NotAMember,
    /// A removed node.
    Revoked,
    /// An entry that the ledger does not allow.
    Rejected,
    /// Too much at once.
    Busy,
    /// The storage could not write or read.
    Storage,
    /// A network that has used what the relay may carry for it.
    Quota,
    /// More TLS connections than there may be.
    Carriers,
    /// More TLS connections than one source may have.
    CarrierSource,
    /// A TCP connection that did no handshake of TLS.
    CarrierHandshake,
    /// A TLS connection that carried nothing of ours.
    CarrierProtocol,
}

const KINDS: usize = Refusal::CarrierProtocol as usize + 1;

impl Refusal {
    /// Every kind, with its word.
    pub const ALL: [(Self, &str); KINDS] = [
        (Self::Sessions, "sessions"),
        (Self::Source, "source"),
        (Self::Protocol, "protocol-error"),
        (Self::NotAMember, "not-a-member"),
        (Self::Revoked, "revoked"),
        (Self::Rejected, "rejected"),
        (Self::Busy, "busy"),
        (Self::Storage, "storage"),
        (Self::Quota, "quota"),
        (Self::Carriers, "tls-connections"),
        (Self::CarrierSource, "tls-source"),
        (Self::CarrierHandshake, "tls-handshake"),
        (Self::CarrierProtocol, "tls-protocol-error"),
    ];
}

/// The counts since start.
#[derive(Debug)]
pub struct Counters {
    started: Instant,
    counts: [AtomicU64; KINDS],
    /// Dials answered without a channel of the relay, and with one.
    dials: [AtomicU64; 2],
    /// The second of the last log line of each kind, counted from one.
    logged: [AtomicU64; KINDS],
}

impl Counters {
    /// All zero.
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
            counts: Default::default(),
            dials: Default::default(),
            logged: Default::default(),
        }
    }

    /// How many of that kind so far.
    pub fn of(&self, kind: Refusal) -> u64 {
        self.counts[kind as usize].load(Ordering::Relaxed)
    }

    /// How many nodes were dialled, with a channel of the relay or without one.
    pub fn dials(&self, relayed: bool) -> u64 {
        self.dials[usize::from(relayed)].load(Ordering::Relaxed)
    }

    pub(crate) fn dialled(&self, relayed: bool) {
        self.dials[usize::from(relayed)].fetch_add(1, Ordering::Relaxed);
    }

    /// Count one; true when it is this second's first of its kind and may be logged.
    pub(crate) fn refuse(&self, kind: Refusal) -> bool {
        self.count_at(kind, self.started.elapsed().as_secs() + 1)
    }

    fn count_at(&self, kind: Refusal, second: u64) -> bool {
        self.counts[kind as usize].fetch_add(1, Ordering::Relaxed);
        self.logged[kind as usize].swap(second, Ordering::Relaxed) != second
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_counts_and_one_per_second_is_logged() {
        let counters = Counters::new();
        let logged: Vec<bool> = [1, 1, 1, 2, 2].map(|second| counters.count_at(Refusal::Busy, second)).into();
        assert_eq!(logged, [true, false, false, true, false]);
        assert!(counters.count_at(Refusal::Storage, 2));
        assert_eq!((counters.of(Refusal::Busy), counters.of(Refusal::Storage)), (5, 1));
    }
}
