//! Whoever stands in the middle or outside does their worst: no byte changes, and who may pass still does.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![expect(clippy::print_stdout, reason = "what was measured, and the seed to run it again")]

mod flood;
mod handshakes;
mod middle;
#[allow(dead_code, reason = "each test program uses its part of it")]
#[path = "../paths/operator.rs"]
mod operator;
mod random;
mod relay;
#[allow(dead_code, reason = "each test program uses its part of it")]
#[path = "../support/mod.rs"]
mod support;
#[allow(dead_code, reason = "each test program uses its part of it")]
#[path = "../paths/transfer.rs"]
mod transfer;
#[allow(dead_code, reason = "each test program uses its part of it")]
#[path = "../paths/world.rs"]
mod world;
