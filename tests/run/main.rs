//! `cococtl run`: programs that see the resources of a network and nothing else, as an ordinary user.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod changes;
mod escape;
mod house;
mod kinds;
mod names;
mod processes;
#[allow(dead_code, reason = "each test program uses its part of it")]
#[path = "../support/mod.rs"]
mod support;
