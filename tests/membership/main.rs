//! Roles, grants and guests: what the ledger says is what the daemons do, and at once.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod cuts;
mod guests;
mod owners;
mod scopes;
mod script;
#[allow(dead_code, reason = "each test program uses its part of it")]
#[path = "../support/mod.rs"]
mod support;
