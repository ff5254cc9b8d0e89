//! Real daemons in homes behind NATs of every kind, on roads and on bad lines: which way their packets take,
//! and what happens when it ends.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![expect(clippy::print_stdout, reason = "tests say what they have measured")]

mod doctor;
mod film;
mod idle;
mod matrix;
mod modes;
#[allow(dead_code, reason = "each test program uses its part of it")]
mod operator;
mod oracle;
mod poison;
mod quota;
mod roads;
mod round_trips;
#[allow(dead_code, reason = "each test program uses its part of it")]
#[path = "../support/mod.rs"]
mod support;
mod table;
#[allow(dead_code, reason = "each test program uses its part of it")]
mod transfer;
#[allow(dead_code, reason = "each test program uses its part of it")]
mod world;
