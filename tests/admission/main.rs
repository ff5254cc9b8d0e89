//! Who is let in: hostile nodes, a hostile manager, strangers on the network and other users of the
//! machine, all against real daemons.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod guarded;
mod ledgers;
mod liar;
mod managers;
mod peers;
#[allow(dead_code, reason = "each test program uses its part of it")]
#[path = "../support/refusal.rs"]
mod refusal;
mod silence;
mod socket;
mod stranger;
#[allow(dead_code, reason = "each test program uses its part of it")]
#[path = "../support/mod.rs"]
mod support;
mod usage;
