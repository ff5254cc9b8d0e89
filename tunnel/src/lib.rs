//! How two coco nodes talk: the Noise handshake inside QUIC, and what is built on it.
//!
//! [`noise`] proves who is at the other end and gives the keys.

#![warn(missing_docs)]

pub mod noise;
