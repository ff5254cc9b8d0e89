//! What a coco network *is*: ids, keys, the ledger, roles, invites, wire and control messages.
//!
//! Pure: no IO, no async, no clock, no randomness of its own. Time and random bytes are arguments, so
//! everything here can be tested with literal values, and a second implementation can be checked
//! against the same.

#![warn(missing_docs)]

pub mod address;
pub mod calendar;
pub mod cbor;
pub mod control;
pub mod grant;
pub mod id;
pub mod invite;
pub mod key;
pub mod ledger;
pub mod listen;
pub mod log;
pub mod manager_addr;
pub mod name;
pub mod path_mode;
pub mod recovery;
pub mod resource;
pub mod rights;
pub mod role;
pub mod scope;
pub mod service;
pub mod target;
pub mod wire;
