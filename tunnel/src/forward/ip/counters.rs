//! What went by, and what went no further.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// Why a packet went no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// Not IPv6.
    NotIpv6,
    /// Not a packet, or one that says a route of its own.
    Malformed,
    /// Its sender's address is not the one that the other node, or this one, has.
    Spoofed,
    /// From another node, and not for this one's address.
    NotOurs,
    /// From another node that may not begin a conversation.
    Unasked,
    /// To an address that is nobody's.
    NoRoute,
    /// To a node that does not grant it, or in answer to one that may ask no longer.
    NotPermitted,
    /// To a node that is not reached now.
    Unreachable,
    /// Longer than the path takes; its sender was told.
    TooBig,
    /// More than wait for a node that is not reached yet.
    Waiting,
    /// The interface is not there, or did not take it.
    Interface,
    /// For one link or for many: what every host says now and then.
    Quiet,
}

/// All of them, in that order.
const ALL: [Dropped; 12] = [
    Dropped::NotIpv6,
    Dropped::Malformed,
    Dropped::Spoofed,
    Dropped::NotOurs,
    Dropped::Unasked,
    Dropped::NoRoute,
    Dropped::NotPermitted,
    Dropped::Unreachable,
    Dropped::TooBig,
    Dropped::Waiting,
    Dropped::Interface,
    Dropped::Quiet,
];

/// Counters since the daemon was started.
#[derive(Debug, Default)]
pub struct Counters {
    /// Packets to the interface.
    pub packets_in: AtomicU64,
    /// Packets to other nodes.
    pub packets_out: AtomicU64,
    /// Bytes of the packets in.
    pub bytes_in: AtomicU64,
    /// Bytes of the packets out.
    pub bytes_out: AtomicU64,
    dropped: [AtomicU64; ALL.len()],
}

impl Dropped {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotIpv6 => "not-ipv6",
            Self::Malformed => "malformed",
            Self::Spoofed => "spoofed",
            Self::NotOurs => "not-ours",
            Self::Unasked => "unasked",
            Self::NoRoute => "no-route",
            Self::NotPermitted => "not-permitted",
            Self::Unreachable => "unreachable",
            Self::TooBig => "too-big",
            Self::Waiting => "waiting",
            Self::Interface => "interface",
            Self::Quiet => "quiet",
        }
    }
}

impl Counters {
    /// One more.
    pub fn drop(&self, why: Dropped) {
        self.dropped[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How many, by the word for why; only those of which there are some.
    pub fn dropped(&self) -> BTreeMap<String, u64> {
        let counts = ALL.iter().map(|why| (why, self.dropped[*why as usize].load(Ordering::Relaxed)));
        counts.filter(|(_, count)| *count > 0).map(|(why, count)| (why.as_str().to_owned(), count)).collect()
    }
}

/// Add `count` to a counter.
pub(super) fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(count as u64, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_word_and_its_count() {
        let counters = Counters::default();
        ALL.iter().enumerate().for_each(|(at, why)| (0..=at).for_each(|_| counters.drop(*why)));
        let counted = counters.dropped();
        assert_eq!(counted.len(), ALL.len());
        assert_eq!((counted["not-ipv6"], counted["unasked"], counted["quiet"]), (1, 5, 12));
        assert!(Counters::default().dropped().is_empty());
    }
}
