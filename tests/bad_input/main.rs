//! Bad input: each kind has its own clear `error:`, a `hint:` and the right exit code, and costs nothing
//! that was there before.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod commands;
mod disk;
mod invites;
#[path = "../support/refusal.rs"]
mod refusal;
mod start;
#[allow(dead_code, reason = "each test program uses its part of it")]
#[path = "../support/mod.rs"]
mod support;
mod targets;
