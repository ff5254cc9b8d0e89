//! Who does not know a node's key does not learn that there is a node: not one datagram comes back.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use coco_tunnel::noise::QUIC_VERSION;
use coconet::control::Status;
use coconet::id::StaticKey;
use coconet::manager_addr::ManagerAddr;

use crate::guarded::{Target, seen};
use crate::stranger::Stranger;
use crate::support::bytes::noise;
use crate::support::net::{HOME, Net};

/// How long an answer that must not come is waited for. A real one takes a few milliseconds.
const SILENCE: Duration = Duration::from_secs(1);

/// Versions of QUIC that are not ours: negotiation, version 1, version 2, draft 29, one that exists to be
/// refused.
const FOREIGN: [u32; 5] = [0, 1, 0x6b33_43cf, 0xff00_001d, 0x1a2a_3a4a];

/// A long-header packet that looks like the first of a connection.
fn initial(version: u32, cid: u8, len: usize) -> Vec<u8> {
    let mut packet = vec![0xc3];
    packet.extend_from_slice(&version.to_be_bytes());
    packet.push(cid);
    packet.extend(noise(7, usize::from(cid)));
    packet.extend_from_slice(&[0, 0]);
    // The length of what follows, in two bytes.
    let rest = u16::try_from(len - packet.len() - 2).unwrap() | 0x4000;
    packet.extend_from_slice(&rest.to_be_bytes());
    packet.extend(noise(8, len - packet.len()));
    packet
}

fn junk() -> Vec<Vec<u8>> {
    let mut packets = vec![Vec::new()];
    for (seed, first) in [0x00, 0x01, 0x3f, 0x40, 0x5a, 0x7f, 0x80, 0xc0, 0xe0, 0xff].into_iter().enumerate()
    {
        for len in [1, 2, 7, 21, 42, 600, 1200, 1472] {
            let mut packet = noise(seed as u64, len);
            packet[0] = first;
            packets.push(packet);
        }
    }
    for version in FOREIGN {
        packets.extend([initial(version, 8, 1200), initial(version, 20, 1452), initial(version, 0, 1200)]);
    }
    // Our version, and a connection id of every length; nobody has encrypted it.
    packets.extend((0..=20).map(|cid| initial(QUIC_VERSION, cid, 1200)));
    packets
}

/// The first packets of a dial to the holder of `key`.
fn flight(key: StaticKey) -> Vec<Vec<u8>> {
    Stranger::new().first_flight(key)
}

fn altered(mut flight: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    for packet in &mut flight {
        let middle = packet.len() / 2;
        packet[middle] ^= 1;
    }
    flight
}

/// Send `packets` and count what comes back.
fn answers(address: SocketAddr, packets: &[Vec<u8>]) -> usize {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(address).unwrap();
    for packet in packets {
        socket.send(packet).unwrap();
    }
    let until = Instant::now() + SILENCE;
    let mut count = 0;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return count;
        }
        socket.set_read_timeout(Some(left)).unwrap();
        match socket.recv(&mut [0; 2048]) {
            Ok(_) => count += 1,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return count;
            }
            Err(error) => panic!("nobody listens on {address}: {error}"),
        }
    }
}

/// Everything a scanner could try gets no answer; the key does.
fn assert_silent(address: SocketAddr, key: StaticKey) {
    assert_eq!(answers(address, &junk()), 0, "junk was answered");
    let wrong = StaticKey([0x42; 32]);
    assert_eq!(answers(address, &flight(wrong)), 0, "a dial to another key was answered");
    let mut other_node = flight(Stranger::new().keys.static_key());
    other_node.truncate(1);
    assert_eq!(answers(address, &other_node), 0, "half a dial to another key was answered");
    assert_eq!(answers(address, &altered(flight(key))), 0, "an altered dial was answered");
    // The same question, asked by somebody who knows the key: this is what an answer looks like.
    assert!(answers(address, &flight(key)) > 0, "nobody is there at all");
}

#[test]
fn a_daemon_is_silent_to_whoever_does_not_know_its_key() {
    let net = Net::new();
    let target = Target::start();
    let camera = net.app("camera");
    camera.create(HOME, &net.address);
    camera.expose(&target.url(), "safe");
    let seen = seen(&net.lab, &camera);

    assert_silent(seen.address, seen.key);

    let status: Status = camera.json(&["status"]);
    assert!(
        status.counters["foreign-packets"] > 0 && status.counters["refused-handshakes"] > 0,
        "{status:?}"
    );
}

#[test]
fn a_manager_is_silent_to_whoever_does_not_know_its_key() {
    let net = Net::new();
    let manager: ManagerAddr = net.address.parse().unwrap();

    assert_silent(SocketAddr::from(([127, 0, 0, 1], manager.port)), manager.talk);

    // It has not lost its mind over it.
    let camera = net.app("camera");
    camera.create(HOME, &net.address);
}
