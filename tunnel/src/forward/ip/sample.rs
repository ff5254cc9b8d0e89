//! Packets for tests.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::net::Ipv6Addr;

use super::checksum;
use super::packet::{HEADER, ICMP, TCP, UDP};

/// An address of one network.
pub(super) fn address(last: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfd11, 0x2233, 0x4455, 0, 0, 0, 0, last)
}

/// A packet with that protocol and payload.
pub(super) fn packet(from: Ipv6Addr, to: Ipv6Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x60, 0, 0, 0];
    bytes.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
    bytes.extend([protocol, 64]);
    bytes.extend(from.octets());
    bytes.extend(to.octets());
    bytes.extend(payload);
    bytes
}

/// Flags of TCP.
pub(super) const FIN: u8 = 0x01;
pub(super) const SYN: u8 = 0x02;
pub(super) const RST: u8 = 0x04;
pub(super) const PUSH: u8 = 0x08;
pub(super) const ACK: u8 = 0x10;

/// A TCP segment in the middle of a connection with a right checksum.
pub(super) fn tcp(from: (Ipv6Addr, u16), to: (Ipv6Addr, u16), payload: &[u8]) -> Vec<u8> {
    segment(from, to, PUSH | ACK, payload)
}

/// A TCP segment with those flags and a right checksum.
pub(super) fn segment(from: (Ipv6Addr, u16), to: (Ipv6Addr, u16), flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut segment = [from.1.to_be_bytes(), to.1.to_be_bytes()].concat();
    segment.extend([0, 0, 0, 1, 0, 0, 0, 2, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    segment.extend(payload);
    with_checksum(packet(from.0, to.0, TCP, &segment), 16)
}

/// A UDP datagram with a right checksum.
pub(super) fn udp(from: (Ipv6Addr, u16), to: (Ipv6Addr, u16), payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).unwrap();
    let mut datagram = [from.1, to.1, length, 0].map(u16::to_be_bytes).concat();
    datagram.extend(payload);
    with_checksum(packet(from.0, to.0, UDP, &datagram), 6)
}

/// An ICMPv6 message with a right checksum.
pub(super) fn icmp(from: Ipv6Addr, to: Ipv6Addr, kind: u8, rest: &[u8]) -> Vec<u8> {
    let message = [&[kind, 0, 0, 0], rest].concat();
    with_checksum(packet(from, to, ICMP, &message), 2)
}

fn with_checksum(mut bytes: Vec<u8>, at: usize) -> Vec<u8> {
    let sum = checksum::of(&bytes, HEADER).unwrap();
    bytes[HEADER + at..HEADER + at + 2].copy_from_slice(&sum.to_be_bytes());
    bytes
}
