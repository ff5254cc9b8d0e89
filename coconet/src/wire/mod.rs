//! What travels inside a session, between nodes and to the manager.
//!
//! Every message is one frame: two bytes of length, big endian, then canonical CBOR. A frame is at most
//! [`FRAME_MAX`] bytes. [`node`] holds what nodes say to each other, [`manager`] what a node and a
//! manager say, [`code`] the numbers a connection or a stream is closed with.

pub mod code;
pub mod manager;
pub mod node;

use minicbor::{Decode, Encode};

use crate::cbor::{self, CborError};

/// The protocol version in [`node::Hello`]. A peer of another major version is closed with
/// [`code::Close::UpdateNeeded`].
pub const PROTOCOL_VERSION: u16 = 1;

/// Longest frame, without its length: what two length bytes can say.
pub const FRAME_MAX: usize = 65_535;

/// Bytes of length before a frame.
pub const FRAME_HEADER: usize = 2;

/// The frame of `message`: length and canonical CBOR. `None` when it is longer than a frame can be,
/// which only a caller's own message may be.
pub fn frame<T: Encode<()>>(message: &T) -> Option<Vec<u8>> {
    let body = cbor::encode(message);
    let length = u16::try_from(body.len()).ok()?;
    let mut bytes = Vec::with_capacity(FRAME_HEADER + body.len());
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&body);
    Some(bytes)
}

/// The message in a frame's body.
pub fn message<T>(body: &[u8]) -> Result<T, CborError>
where
    T: for<'b> Decode<'b, ()> + Encode<()>,
{
    cbor::decode(body, FRAME_MAX)
}
