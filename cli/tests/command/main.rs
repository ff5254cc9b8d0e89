//! The built `cococtl` against a daemon that a test plays.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod applying;
mod cameras;
mod completions;
#[path = "../../../tests/support/control.rs"]
mod control;
mod daemon;
mod doctor;
mod errors;
mod hostile;
mod ledger;
mod membership;
mod pages;
mod results;
mod terminal;
mod usage;
mod wait;
mod waiting;
mod watching;
