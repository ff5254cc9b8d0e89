//! How two coco nodes talk.
//!
//! [`noise`] proves who is at the other end and gives the keys to QUIC. [`endpoint`] dials by key and
//! is dialled, over the node's own UDP sockets (`socket`), or inside TLS where UDP is blocked ([`carrier`]). A [`session::Session`] is the result. On its
//! first stream the nodes exchange greetings ([`greeting`]); after that each stream carries one
//! request, and for an opened resource a [`channel::Channel`] that [`forward`] joins to a local
//! socket. What had better be lost than late goes beside it in datagrams ([`flow`]).

#![warn(missing_docs)]

pub mod asking;
pub mod backlog;
pub mod carrier;
pub mod channel;
pub mod descriptors;
pub mod endpoint;
pub mod flow;
pub mod forward;
pub mod frame;
pub mod greeting;
pub mod names;
pub mod noise;
pub mod paths;
pub mod relay;
pub mod session;
pub mod socket;

pub use socket::{SOCKET_BUFFER, any_interface};
