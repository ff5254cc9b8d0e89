//! Who was spoken to: what tells a reply from a packet that nobody asked for.
//!
//! Whoever opens an exchange with another node need not take packets itself. What the other node sends on it
//! passes when it belongs to a conversation that began here ([`Replies::sent`]), as a home router does it: the
//! same protocol and ports turned around, or an error about such a packet. Conversations are forgotten when
//! they were silent for as long as RFC 5382 and RFC 4787 have a NAT remember them.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

use super::packet::{Packet, TCP, Talk, Upper, quoted};

/// A silent TCP connection is remembered for so long (RFC 5382, REQ-5).
pub const TCP_IDLE: Duration = Duration::from_secs(2 * 3600 + 4 * 60);

/// Everything else (RFC 4787, REQ-5).
pub const IDLE: Duration = Duration::from_secs(300);

/// Conversations with one node that are remembered; a new one beyond that takes the place of the one that was
/// silent longest.
pub const TALKS_MAX: usize = 4096;

/// Conversations that began here.
#[derive(Debug, Default)]
pub struct Replies(BTreeMap<Talk, Instant>);

impl Replies {
    /// A packet leaves.
    pub fn sent(&mut self, now: Instant, packet: &Packet<'_>) {
        let Upper::Talk(talk) = packet.upper else { return };
        if self.0.len() >= TALKS_MAX && !self.0.contains_key(&talk) {
            self.0.retain(|talk, used| !is_over(*talk, now, *used));
            let oldest = self.0.iter().min_by_key(|(_, used)| **used).map(|(talk, _)| *talk);
            if let Some(oldest) = oldest.filter(|_| self.0.len() >= TALKS_MAX) {
                self.0.remove(&oldest);
            }
        }
        self.0.insert(talk, now);
    }

    /// Whether a packet that came belongs to what was sent.
    pub fn expect(&mut self, now: Instant, packet: &Packet<'_>) -> bool {
        match packet.upper {
            Upper::Talk(talk) => self.knows(now, talk.turned()),
            // Worth nothing without the first one, which was judged.
            Upper::Fragment => true,
            Upper::Error(about) => match quoted(about) {
                Ok((source, destination, Upper::Talk(talk))) => {
                    // About our own packet to that node: an error says nothing of anything else.
                    let ends: (Ipv6Addr, Ipv6Addr) = (packet.destination, packet.source);
                    (source, destination) == ends && self.knows(now, talk)
                }
                Ok((_, _, Upper::Fragment | Upper::Error(_))) | Err(_) => false,
            },
        }
    }

    /// Whether somebody may still wait for a reply.
    pub fn are_awaited(&self, now: Instant) -> bool {
        self.0.iter().any(|(talk, used)| !is_over(*talk, now, *used))
    }

    fn knows(&mut self, now: Instant, talk: Talk) -> bool {
        let Some(used) = self.0.get_mut(&talk) else { return false };
        if is_over(talk, now, *used) {
            self.0.remove(&talk);
            return false;
        }
        *used = now;
        true
    }
}

fn is_over(talk: Talk, now: Instant, used: Instant) -> bool {
    let idle = if talk.protocol == TCP { TCP_IDLE } else { IDLE };
    now.saturating_duration_since(used) > idle
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::super::icmp::{Trouble, error};
    use super::super::sample::{address, icmp, packet, tcp, udp};
    use super::*;

    const HERE: u16 = 1;
    const THERE: u16 = 2;

    fn here(port: u16) -> (Ipv6Addr, u16) {
        (address(HERE), port)
    }

    fn there(port: u16) -> (Ipv6Addr, u16) {
        (address(THERE), port)
    }

    fn expects(replies: &mut Replies, now: Instant, bytes: &[u8]) -> bool {
        replies.expect(now, &Packet::parse(bytes).unwrap())
    }

    fn sent(replies: &mut Replies, now: Instant, bytes: &[u8]) {
        replies.sent(now, &Packet::parse(bytes).unwrap());
    }

    #[test]
    fn replies_pass_and_what_nobody_asked_for_does_not() {
        let (mut replies, now) = (Replies::default(), Instant::now());
        sent(&mut replies, now, &tcp(here(4000), there(22), b""));
        sent(&mut replies, now, &icmp(address(HERE), address(THERE), 128, &[0, 9, 0, 1]));
        assert!(expects(&mut replies, now, &tcp(there(22), here(4000), b"hi")));
        assert!(expects(&mut replies, now, &icmp(address(THERE), address(HERE), 129, &[0, 9, 0, 1])));
        for unasked in [
            tcp(there(22), here(4001), b""),
            tcp(there(4000), here(22), b""),
            udp(there(22), here(4000), b""),
            icmp(address(THERE), address(HERE), 128, &[0, 9, 0, 1]),
            icmp(address(THERE), address(HERE), 129, &[0, 8, 0, 1]),
            packet(address(THERE), address(HERE), 132, &[0, 22, 0, 22]),
        ] {
            assert!(!expects(&mut replies, now, &unasked), "{unasked:?}");
        }
    }

    #[test]
    fn errors_pass_about_what_was_sent_only() {
        let (mut replies, now) = (Replies::default(), Instant::now());
        let asked = udp(here(7), there(8), b"?");
        sent(&mut replies, now, &asked);
        let about = |bytes: &[u8], by| {
            let packet = Packet::parse(bytes).unwrap();
            error(address(by), &packet, Trouble::Unreachable).unwrap()
        };
        assert!(expects(&mut replies, now, &about(&asked, THERE)));
        // By somebody else, of another conversation, of nothing.
        assert!(!expects(&mut replies, now, &about(&asked, 3)));
        assert!(!expects(&mut replies, now, &about(&udp(here(7), there(9), b"?"), THERE)));
        assert!(!expects(&mut replies, now, &icmp(address(THERE), address(HERE), 1, &[0; 4])));
    }

    #[test]
    fn silence_is_forgotten_a_connection_later_than_datagrams() {
        let (mut replies, begun) = (Replies::default(), Instant::now());
        sent(&mut replies, begun, &tcp(here(1), there(2), b""));
        sent(&mut replies, begun, &udp(here(1), there(2), b""));
        let later = begun + IDLE + Duration::from_secs(1);
        assert!(!expects(&mut replies, later, &udp(there(2), here(1), b"")));
        assert!(expects(&mut replies, later, &tcp(there(2), here(1), b"")));
        assert!(replies.are_awaited(later + TCP_IDLE));
        let long_after = later + TCP_IDLE + Duration::from_secs(1);
        assert!(!replies.are_awaited(long_after));
        assert!(!expects(&mut replies, long_after, &tcp(there(2), here(1), b"")));
    }

    #[test]
    fn conversations_are_bounded_and_the_oldest_goes() {
        let (mut replies, begun) = (Replies::default(), Instant::now());
        for port in 0..=TALKS_MAX as u16 {
            let now = begun + Duration::from_millis(u64::from(port));
            sent(&mut replies, now, &udp(here(port), there(53), b""));
        }
        assert_eq!(replies.0.len(), TALKS_MAX);
        assert!(!expects(&mut replies, begun, &udp(there(53), here(0), b"")));
        assert!(expects(&mut replies, begun, &udp(there(53), here(1), b"")));
    }
}
