//! MQTT through a tunnel: real daemons, a real broker, clients of others, and some that are no good.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod clients;
mod exporter;
mod grants;
mod hostile;
mod house;
#[allow(dead_code, reason = "each test program uses its part of it")]
#[path = "../support/mod.rs"]
mod support;
mod wire;
