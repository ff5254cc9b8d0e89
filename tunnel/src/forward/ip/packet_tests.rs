#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::super::sample::{address, icmp, packet, tcp, udp};
use super::*;

fn talk_of(bytes: &[u8]) -> Upper<'_> {
    Packet::parse(bytes).unwrap().upper
}

fn said(protocol: u8, from: u16, to: u16) -> Upper<'static> {
    Upper::Talk(Talk { protocol, from, to })
}

#[test]
fn conversations_are_told_by_ports_and_identifiers() {
    let (here, there) = (address(1), address(2));
    let bytes = tcp((here, 4000), (there, 22), b"x");
    let packet_ = Packet::parse(&bytes).unwrap();
    assert_eq!((packet_.source, packet_.destination), (here, there));
    assert_eq!(packet_.upper, said(TCP, 4000, 22));
    assert_eq!(talk_of(&udp((here, 5353), (there, 53), b"")), said(UDP, 5353, 53));
    let (ask, answer) = (icmp(here, there, 128, &[0, 9, 0, 1]), icmp(there, here, 129, &[0, 9, 0, 1]));
    let (Upper::Talk(ask), Upper::Talk(answer)) = (talk_of(&ask), talk_of(&answer)) else { panic!() };
    assert_eq!(ask, answer.turned());
    assert_ne!(ask, answer);
    assert_eq!(talk_of(&packet(here, there, 132, &[1, 2, 3, 4])), said(132, 0, 0));
}

#[test]
fn extension_headers_are_walked_over() {
    let (here, there) = (address(1), address(2));
    let ports = [0, 7, 0, 8, 0, 0, 0, 0];
    // Destination options of 16 bytes, then UDP.
    let options = [&[UDP, 1][..], &[0; 14], &ports].concat();
    assert_eq!(talk_of(&packet(here, there, 60, &options)), said(UDP, 7, 8));
    // A first fragment, a later one, and a first one that hides its ports.
    let first = [&[UDP, 0, 0, 1, 0, 0, 0, 5][..], &ports].concat();
    assert_eq!(talk_of(&packet(here, there, 44, &first)), said(UDP, 7, 8));
    let later = [&[UDP, 0, 0, 8, 0, 0, 0, 5][..], &[9; 8]].concat();
    assert_eq!(talk_of(&packet(here, there, 44, &later)), Upper::Fragment);
    let tiny = packet(here, there, 44, &[UDP, 0, 0, 1, 0, 0, 0, 5]);
    assert_eq!(Packet::parse(&tiny), Err(Unfit::Malformed));
}

#[test]
fn an_error_says_what_it_is_about_once() {
    let (here, there) = (address(1), address(2));
    let sent = udp((here, 7), (there, 8), b"hello");
    let error = icmp(there, here, 1, &[&[0; 4], &sent[..48]].concat());
    let Upper::Error(about) = talk_of(&error) else { panic!() };
    assert_eq!(quoted(about).unwrap(), (here, there, said(UDP, 7, 8)));
    let about_error = icmp(here, there, 1, &[&[0; 4], &error[..]].concat());
    let Upper::Error(about) = talk_of(&about_error) else { panic!() };
    assert_eq!(quoted(about).unwrap().2, Upper::Error(&[]));
}

#[test]
fn what_is_not_whole_or_not_ipv6_is_refused() {
    let good = tcp((address(1), 1), (address(2), 2), b"payload");
    for length in 0..good.len() {
        assert!(Packet::parse(&good[..length]).is_err(), "{length}");
    }
    let longer = [&good[..], &[0]].concat();
    assert_eq!(Packet::parse(&longer), Err(Unfit::Malformed));
    let mut v4 = good.clone();
    v4[0] = 0x45;
    assert_eq!(Packet::parse(&v4), Err(Unfit::NotIpv6));
    let routed = packet(address(1), address(2), 43, &[UDP, 0, 0, 1, 0, 0, 0, 0, 0, 7, 0, 8, 0, 0, 0, 0]);
    assert_eq!(Packet::parse(&routed), Err(Unfit::Routing));
    // What would tell a host of neighbours.
    for kind in [130, 133, 134, 135, 136, 137] {
        let told = icmp(address(1), address(2), kind, &[0; 20]);
        assert_eq!(Packet::parse(&told), Err(Unfit::OneLink), "{kind}");
    }
    // Options without end.
    let endless: Vec<u8> = [60, 0, 0, 0, 0, 0, 0, 0].repeat(EXTENSIONS_MAX + 2);
    assert_eq!(Packet::parse(&packet(address(1), address(2), 60, &endless)), Err(Unfit::Malformed));
}
