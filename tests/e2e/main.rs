//! End to end: real programs, through real daemons, introduced by a real manager.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod applications;
mod broker;
mod camera;
mod datagrams;
mod facts;
mod interrupted;
mod members;
mod restarts;
mod shutdown;
mod streams;
#[allow(dead_code, reason = "each test program uses its part of it")]
#[path = "../support/mod.rs"]
mod support;
mod tunnels;
mod web;
