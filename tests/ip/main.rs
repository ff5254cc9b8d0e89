//! IP packets between daemons on two hosts: programs of others over them, and what must not arrive.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod house;
mod inside;
mod packets;
mod rights;
mod sizes;
#[allow(dead_code, reason = "each test program uses its part of it")]
#[path = "../support/mod.rs"]
mod support;
#[allow(dead_code, reason = "each test program uses its part of it")]
#[path = "../paths/world.rs"]
mod world;
