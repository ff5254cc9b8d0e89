//! Random inputs: values that survive their encoding, bytes that may be anything, and networks that
//! random people write random things into, beside a plain model of what should come of it.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod bytes;
mod encoded;
mod guests;
mod model;
#[expect(unreachable_pub, reason = "it is the fuzz crate's module, where they are reachable")]
#[path = "../../../fuzz/src/net.rs"]
mod net;
mod networks;
mod steps;
mod town;
mod values;
#[path = "../world/mod.rs"]
mod world;
