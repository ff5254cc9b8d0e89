//! The network manager: a public address where ledgers get their order and nodes find each other.
//!
//! In the order of life: [`state_dir`] makes and opens the directory that [`config`], the keys and the
//! database live in. [`server::Server::bind`] replays every ledger out of the [`storage`] and listens;
//! each session that proves its key is served by `session`, stream by stream. What a stream asks goes
//! to one task, the `desk`, which owns every network and knows who is where ([`presence`]), so that nothing is locked and requests have one order. An entry is answered with its stamp
//! only after the storage has it on disk.
//!
//! Once it listens it gives up all that it does not need ([`sandbox`]).
//!
//! Nodes learn by `probe` what their NATs are like. What the relay carries is counted and bounded by `metering`; [`metrics`] shows it to the operator.
//!
//! The manager orders, introduces and relays; it authors nothing. Every member verifies every entry again.

mod channels;
pub mod config;
pub mod counters;
mod desk;
pub mod limits;
pub mod metering;
pub mod metrics;
mod network;
pub mod notify;
pub mod presence;
mod probe;
pub mod sandbox;
pub mod server;
mod session;
pub mod state_dir;
pub mod storage;
mod whereabouts;

/// Milliseconds of Unix time; zero on a machine whose clock is before 1970.
pub(crate) fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
