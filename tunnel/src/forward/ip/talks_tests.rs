#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::net::Ipv6Addr;

use super::super::icmp::{Trouble, error};
use super::super::sample::{ACK, FIN, RST, SYN, address, icmp, packet, segment, tcp, udp};
use super::*;

const HERE: u16 = 1;
const THERE: u16 = 2;

fn here(port: u16) -> (Ipv6Addr, u16) {
    (address(HERE), port)
}

fn there(port: u16) -> (Ipv6Addr, u16) {
    (address(THERE), port)
}

fn expects(talks: &mut Talks, now: Instant, bytes: &[u8]) -> bool {
    talks.expects(now, &Packet::parse(bytes).unwrap())
}

fn leaves(talks: &mut Talks, now: Instant, bytes: &[u8]) -> Began {
    talks.leaves(now, &Packet::parse(bytes).unwrap())
}

fn sent(talks: &mut Talks, now: Instant, bytes: &[u8]) {
    assert_eq!(leaves(talks, now, bytes), Began::Here);
}

/// It came from a node that has a right.
fn came(talks: &mut Talks, now: Instant, bytes: &[u8]) {
    assert!(!expects(talks, now, bytes));
    talks.began_there(now, &Packet::parse(bytes).unwrap());
}

#[test]
fn replies_pass_and_what_nobody_asked_for_does_not() {
    let (mut talks, now) = (Talks::default(), Instant::now());
    sent(&mut talks, now, &segment(here(4000), there(22), SYN, b""));
    sent(&mut talks, now, &icmp(address(HERE), address(THERE), 128, &[0, 9, 0, 1]));
    assert!(expects(&mut talks, now, &segment(there(22), here(4000), SYN | ACK, b"")));
    sent(&mut talks, now, &tcp(here(4000), there(22), b"hi"));
    assert!(expects(&mut talks, now, &tcp(there(22), here(4000), b"hi")));
    assert!(expects(&mut talks, now, &icmp(address(THERE), address(HERE), 129, &[0, 9, 0, 1])));
    for unasked in [
        tcp(there(22), here(4001), b""),
        tcp(there(4000), here(22), b""),
        udp(there(22), here(4000), b""),
        icmp(address(THERE), address(HERE), 128, &[0, 9, 0, 1]),
        icmp(address(THERE), address(HERE), 129, &[0, 8, 0, 1]),
        packet(address(THERE), address(HERE), 132, &[0, 22, 0, 22]),
    ] {
        assert!(!expects(&mut talks, now, &unasked), "{unasked:?}");
    }
}

#[test]
fn what_answers_the_other_node_never_becomes_ours() {
    let (mut talks, now) = (Talks::default(), Instant::now());
    // All that the kernel and a server say to a connection of the other node.
    came(&mut talks, now, &segment(there(4000), here(22), SYN, b""));
    for flags in [SYN | ACK, ACK, FIN | ACK, RST, RST | ACK] {
        assert_eq!(leaves(&mut talks, now, &segment(here(22), there(4000), flags, b"")), Began::There);
    }
    assert!(!expects(&mut talks, now, &tcp(there(4000), here(22), b"ls")));
    let asked = [
        (udp(there(4000), here(53), b"?"), udp(here(53), there(4000), b"!")),
        (
            icmp(address(THERE), address(HERE), 128, &[0, 9, 0, 1]),
            icmp(address(HERE), address(THERE), 129, &[0, 9, 0, 1]),
        ),
        (packet(address(THERE), address(HERE), 132, &[1]), packet(address(HERE), address(THERE), 132, &[2])),
    ];
    for (question, answer) in &asked {
        came(&mut talks, now, question);
        assert_eq!(leaves(&mut talks, now, answer), Began::There);
        assert!(!expects(&mut talks, now, question));
    }
    // A server that pushes for longer than anything is remembered.
    for minute in 1..=30 {
        let later = now + Duration::from_secs(60) * minute;
        assert_eq!(leaves(&mut talks, later, &asked[0].1), Began::There);
    }
}

#[test]
fn what_began_here_stays_ours_whatever_right_the_other_node_has() {
    let (mut talks, now) = (Talks::default(), Instant::now());
    let (question, answer) = (udp(here(7), there(53), b"?"), udp(there(53), here(7), b"!"));
    sent(&mut talks, now, &question);
    assert!(expects(&mut talks, now, &answer));
    assert_eq!(leaves(&mut talks, now, &question), Began::Here);
    // Forgotten by both, whoever speaks first has begun the next one.
    let later = now + IDLE + Duration::from_secs(1);
    came(&mut talks, later, &answer);
    assert_eq!(leaves(&mut talks, later, &question), Began::There);
    assert_eq!(leaves(&mut talks, later + IDLE * 2, &question), Began::Here);
}

#[test]
fn errors_pass_about_what_was_sent_only() {
    let (mut talks, now) = (Talks::default(), Instant::now());
    let asked = udp(here(7), there(8), b"?");
    sent(&mut talks, now, &asked);
    let about = |bytes: &[u8], by| {
        let packet = Packet::parse(bytes).unwrap();
        error(address(by), &packet, Trouble::Unreachable).unwrap()
    };
    assert!(expects(&mut talks, now, &about(&asked, THERE)));
    // By somebody else, of another conversation, of nothing.
    assert!(!expects(&mut talks, now, &about(&asked, 3)));
    assert!(!expects(&mut talks, now, &about(&udp(here(7), there(9), b"?"), THERE)));
    assert!(!expects(&mut talks, now, &icmp(address(THERE), address(HERE), 1, &[0; 4])));
    // And ours about theirs is an answer.
    assert_eq!(leaves(&mut talks, now, &about(&udp(there(8), here(7), b"!"), HERE)), Began::Here);
    assert_eq!(leaves(&mut talks, now, &about(&udp(there(9), here(7), b"!"), HERE)), Began::There);
}

#[test]
fn silence_is_forgotten_a_connection_later_than_datagrams() {
    let (mut talks, begun) = (Talks::default(), Instant::now());
    sent(&mut talks, begun, &segment(here(1), there(2), SYN, b""));
    sent(&mut talks, begun, &udp(here(1), there(2), b""));
    let later = begun + IDLE + Duration::from_secs(1);
    assert!(!expects(&mut talks, later, &udp(there(2), here(1), b"")));
    assert!(expects(&mut talks, later, &tcp(there(2), here(1), b"")));
    assert!(talks.are_awaited(later + TCP_IDLE));
    let long_after = later + TCP_IDLE + Duration::from_secs(1);
    assert!(!talks.are_awaited(long_after));
    assert!(!expects(&mut talks, long_after, &tcp(there(2), here(1), b"")));
}

#[test]
fn a_connection_that_ends_is_forgotten_soon_and_its_ports_may_begin_another() {
    let soon = TCP_ENDING + Duration::from_secs(1);
    for ending in [segment(here(1), there(2), FIN | ACK, b""), segment(there(2), here(1), RST, b"")] {
        let (mut talks, begun) = (Talks::default(), Instant::now());
        sent(&mut talks, begun, &segment(here(1), there(2), SYN, b""));
        let packet = Packet::parse(&ending).unwrap();
        if packet.source == address(HERE) {
            sent(&mut talks, begun, &ending);
        } else {
            assert!(expects(&mut talks, begun, &ending));
        }
        assert!(expects(&mut talks, begun, &tcp(there(2), here(1), b"")));
        assert!(!talks.are_awaited(begun + soon));
        sent(&mut talks, begun, &segment(here(1), there(2), SYN, b""));
        assert!(talks.are_awaited(begun + soon));
    }
}

#[test]
fn conversations_are_bounded_and_the_oldest_goes() {
    let (mut talks, begun) = (Talks::default(), Instant::now());
    for port in 0..=OURS_MAX as u16 {
        let now = begun + Duration::from_millis(u64::from(port));
        sent(&mut talks, now, &udp(here(port), there(53), b""));
    }
    assert_eq!(talks.ours.len(), OURS_MAX);
    assert!(!expects(&mut talks, begun, &udp(there(53), here(0), b"")));
    assert!(expects(&mut talks, begun, &udp(there(53), here(1), b"")));
}

#[test]
fn a_node_that_begins_too_much_makes_nothing_of_it_ours() {
    let (mut talks, begun) = (Talks::default(), Instant::now());
    for port in 0..=THEIRS_MAX as u16 {
        came(&mut talks, begun, &udp(there(port), here(53), b""));
    }
    assert_eq!(talks.theirs.len(), THEIRS_MAX);
    for port in [0, THEIRS_MAX as u16, 9000] {
        assert_eq!(leaves(&mut talks, begun, &udp(here(53), there(port), b"")), Began::There);
    }
    let later = begun + IDLE + Duration::from_secs(1);
    assert!(!talks.are_theirs(later));
    sent(&mut talks, later, &udp(here(53), there(9000), b""));
}
