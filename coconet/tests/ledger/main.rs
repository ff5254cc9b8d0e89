//! What a network allows, as sentences. Each test draws its ledger first:
//!
//! - `G` genesis, `I` invite, `I-` revoke-invite, `J` join, `R` remove-node
//! - `S` set-role, `U` remove-user, `N` rename
//! - `P` publish, `W` withdraw, `+` grant, `-` revoke-grant
//! - `M` set-managers, `C` checkpoint, `?` an op of a later version
//! - `->` the next entry; an op after `x` is refused and is not there
//!
//! By topic: [`chain`] what holds for every entry, [`roles`] the table of who may do what, [`joining`]
//! invites and joins, [`uninviting`] revoke-invite, [`leaving`] remove-node and remove-user, [`renaming`],
//! [`resources`] publish, withdraw and open, [`grants`], [`ruling`] managers, checkpoints and recovery
//! keys, [`guests`] what a guest sees of it all, [`archive`] a ledger in a file.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod archive;
mod chain;
mod grants;
mod guests;
mod joining;
mod leaving;
mod renaming;
mod resources;
mod roles;
mod ruling;
mod scoped;
mod uninviting;
#[path = "../world/mod.rs"]
mod world;
