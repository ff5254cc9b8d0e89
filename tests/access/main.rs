//! Which applications of the machine get through a listener, and what they can do to each other there.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod crowd;
mod public;
mod races;
#[allow(dead_code, reason = "each test program uses its part of it")]
#[path = "../support/mod.rs"]
mod support;
mod unix;

/// Another user than the one the tests run as.
const NOBODY: &str = "65534";
