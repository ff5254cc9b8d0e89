//! The bodies of the fuzz targets: one module for each crate they drive, one function for each target.
//!
//! A body panics when something that must hold of every input does not, and says whether the input was
//! taken for anything. The seeds in `seeds/TARGET/` go through the same bodies in the ordinary tests
//! (`tests/seeds.rs` of the crate driven), which include the module by its path: no nightly compiler and
//! no libFuzzer there. A seed whose name begins with `bad-` must be taken for nothing, every other one
//! for something; `daemon-` and `manager-` say for whose configuration.

pub mod daemon;
pub mod ip;
pub mod manager;
pub mod mqtt;
pub mod net;
pub mod rtsp;
pub mod tunnel;
