//! As much of a TURN client (RFC 8656) as it takes to use coturn at its best: an allocation, a channel bound to the
//! peer, and from then on ChannelData with its four bytes of header. Without credentials.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::Duration;

use anyhow::{Context, bail};

/// Bytes of a ChannelData header.
pub(super) const HEADER: usize = 4;

/// The one channel of each allocation: the lowest number there is.
pub(super) const CHANNEL: u16 = 0x4000;

const ALLOCATE: u16 = 0x0003;
const CHANNEL_BIND: u16 = 0x0009;
/// Added to a request's type by its success.
const SUCCESS: u16 = 0x0100;

const CHANNEL_NUMBER: u16 = 0x000c;
const XOR_PEER_ADDRESS: u16 = 0x0012;
const REQUESTED_TRANSPORT: u16 = 0x0019;
const MAGIC: u32 = 0x2112_a442;

/// Longest wait for an answer, and how often it is asked.
const WAIT: Duration = Duration::from_millis(500);
const TRIES: usize = 10;

/// Have `socket` send to `peer` by [`CHANNEL`] of the server it is connected to.
pub(super) fn bind_channel(socket: &UdpSocket, peer: SocketAddr) -> anyhow::Result<()> {
    let SocketAddr::V4(peer) = peer else { bail!("the lab has IPv4") };
    let udp = [17, 0, 0, 0];
    transact(socket, ALLOCATE, &attribute(REQUESTED_TRANSPORT, &udp)).context("an allocation")?;
    let [high, low] = CHANNEL.to_be_bytes();
    let channel = attribute(CHANNEL_NUMBER, &[high, low, 0, 0]);
    let peer = attribute(XOR_PEER_ADDRESS, &xored(peer));
    // Binding a channel permits its peer, too.
    transact(socket, CHANNEL_BIND, &[channel, peer].concat()).context("a channel")
}

/// The header of a datagram of so many bytes. They are a multiple of four, so that nothing is padded.
pub(super) fn header(length: usize) -> anyhow::Result<[u8; HEADER]> {
    let ([c0, c1], [l0, l1]) = (CHANNEL.to_be_bytes(), u16::try_from(length)?.to_be_bytes());
    Ok([c0, c1, l0, l1])
}

fn transact(socket: &UdpSocket, kind: u16, attributes: &[u8]) -> anyhow::Result<()> {
    let transaction: [u8; 12] = *b"coco-bench\0\0";
    let mut request = Vec::new();
    request.extend(kind.to_be_bytes());
    request.extend(u16::try_from(attributes.len())?.to_be_bytes());
    request.extend(MAGIC.to_be_bytes());
    request.extend(transaction);
    request.extend(attributes);
    socket.set_read_timeout(Some(WAIT))?;
    for _ in 0..TRIES {
        socket.send(&request)?;
        let mut answer = [0; 1500];
        match socket.recv(&mut answer) {
            Ok(length) => {
                let answer = answer.get(..length).unwrap_or_default();
                let said = answer.first_chunk().map(|kind| u16::from_be_bytes(*kind)).unwrap_or_default();
                if said != kind | SUCCESS || answer.get(8..20) != Some(&transaction) {
                    bail!("the server answers {kind:#06x} with {said:#06x}");
                }
                return Ok(());
            }
            // Nobody listens yet, or nothing came.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::thread::sleep(WAIT / 10),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
    bail!("no answer from {:?}", socket.peer_addr())
}

/// Values here are multiples of four bytes, so that nothing is padded.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = value.len() as u16;
    [kind.to_be_bytes().as_slice(), &length.to_be_bytes(), value].concat()
}

fn xored(address: SocketAddrV4) -> [u8; 8] {
    let magic = MAGIC.to_be_bytes();
    let port = (address.port() ^ (MAGIC >> 16) as u16).to_be_bytes();
    let IpAddr::V4(ip) = IpAddr::from(*address.ip()) else { return [0; 8] };
    let ip = ip.octets();
    [0, 1, port[0], port[1], ip[0] ^ magic[0], ip[1] ^ magic[1], ip[2] ^ magic[2], ip[3] ^ magic[3]]
}
