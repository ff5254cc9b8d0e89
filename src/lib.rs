//! The coco daemon, as a library: `main.rs` only reads the command line and starts it.
//!
//! One daemon serves one app. [`daemon::Daemon`] holds its networks (each a [`node::Node`]) and its
//! tunnels ([`tunnel`]), some of them inside a `cococtl run` ([`run`]); [`surroundings`] are what the machine
//! is connected to; [`control`] serves the control socket; [`state_dir`] and [`store`] keep what must survive;
//! [`sandbox`] is what is given up at the start, and [`lookups`] answers what can then no longer be seen.

#![warn(missing_docs)]

pub mod access;
pub mod clock;
pub mod config;
pub mod control;
pub mod daemon;
pub mod doctor;
pub mod events;
pub mod fault;
pub mod ip;
pub mod lookups;
pub mod metrics;
pub mod node;
mod random;
pub mod run;
pub mod sandbox;
pub mod state_dir;
pub mod store;
pub mod surroundings;
pub mod tunnel;
