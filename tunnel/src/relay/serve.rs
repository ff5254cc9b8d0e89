//! From the switch to a socket: a run of packets in as few sends as the kernel allows.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use noq_udp::{EcnCodepoint, Transmit, UdpSocketState};

/// UDP payload of one send, at most, whatever the family: an IPv4 packet's 65,535 bytes less its headers. A batch
/// that came by IPv6 may hold 20 more.
const MAX_SEND: usize = 65_507;

/// Send packets, back to back and each `stride` long except the last, to one address: what
/// [`Switch::forward`](super::Switch::forward) wants done. `ecn` is the batch's, so that a congested hop before the relay is heard
/// of behind it. Never waits: what finds no room is an error of kind `WouldBlock`, and UDP that is lost.
pub fn send(
    socket: &impl AsFd,
    state: &UdpSocketState,
    ecn: Option<EcnCodepoint>,
    to: SocketAddr,
    packets: &[u8],
    stride: usize,
) -> io::Result<()> {
    let stride = stride.max(1);
    // All in one, unless the system has turned segmentation off meanwhile.
    let together = state.max_gso_segments().get().min(MAX_SEND / stride).max(1);
    for part in packets.chunks(stride.saturating_mul(together)) {
        let transmit =
            Transmit { destination: to, ecn, contents: part, segment_size: Some(stride), src_ip: None };
        state.try_send(socket.into(), &transmit)?;
    }
    Ok(())
}
