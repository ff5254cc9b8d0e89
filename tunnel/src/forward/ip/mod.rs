//! IP packets between nodes, for protocols that no forwarder knows.
//!
//! Every node has an address of its own ([`coconet::address`]). An [`Interface`] of the kernel gives what
//! applications send from it and takes what they are to get. A packet to another node's address goes by an
//! exchange with that node ([`Links`]), begun by the first packet, in flow [`FLOW`] of its channel; what comes
//! back goes by the same one.
//!
//! What comes is judged packet by packet ([`Links::judge`]): its sender is the node at the other end of the
//! exchange and nobody else, its receiver is this node, and if this node has opened the exchange, rather than the
//! other one, the packet answers something that was sent ([`talks`]), or the other node has a right as well. So
//! a node that takes no packets can still talk to one that does, and stays closed. What leaves is judged the same
//! way: what the other node has begun is not answered when its right has ended. All of this is pure but for
//! [`Interface`].
//!
//! A packet longer than the path takes is cut by the flow, as every datagram is; above the smallest MTU of
//! IPv6 its sender is told as well ([`icmp`]), so that the next ones are not. Long trains of TCP segments
//! travel whole ([`offload`]): that is where the speed comes from.

mod checksum;
pub mod counters;
pub mod icmp;
mod interface;
pub mod links;
pub mod offload;
pub mod packet;
#[cfg(test)]
mod sample;
pub mod talks;

pub use icmp::Trouble;
pub use interface::{Interface, Outgoing};
pub use links::{Link, Links, Refusal, Sent};
pub use offload::FRAME_HEADER;

/// The flow that packets go in.
pub const FLOW: u32 = 0;

/// The MTU of an interface: what goes in one piece on a path of 1500 bytes, or of the 1492 of PPPoE, by either
/// family, with a little to spare.
pub const MTU: u16 = 1380;
