//! What a network allows, as sentences. Each test draws its ledger first:
//!
//! - `G` genesis, `I` invite, `J` join, `P` publish, `W` withdraw, `R` remove-node, `?` an op of a later version
//! - `->` the next entry; an op after `x` is refused and is not there
//!
//! By topic: [`chain`] what holds for every entry, [`joining`] invites and joins, [`resources`] publish,
//! withdraw and open, [`leaving`] remove-node.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod chain;
mod joining;
mod leaving;
mod resources;
#[path = "../world/mod.rs"]
mod world;
