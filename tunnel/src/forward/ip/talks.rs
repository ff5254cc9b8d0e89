//! Who began what is spoken with one node: what tells a reply from a packet that nobody asked for, and an
//! answer that may leave from one to a node that may ask no longer.
//!
//! Whoever opens an exchange with another node need not take packets itself. What the other node sends passes
//! when it belongs to a conversation that began here ([`Talks::expects`]), as a home router does it: the same
//! protocol and ports turned around, or an error about such a packet. Anything else the other node has to have
//! a right for; then it has begun a conversation itself ([`Talks::began_there`]), and our end of that never
//! becomes one of ours, or it would go on when the right has ended.
//!
//! A TCP connection begins here with a SYN that acknowledges nothing and with nothing else: connections of the
//! other node need not be remembered. Of all other protocols nothing but order tells who began, so the
//! other node's conversations are remembered as well, up to [`THEIRS_MAX`]; while there are more, nothing new counts
//! as begun here.
//!
//! Conversations outlive the exchange they went by. They are forgotten when they were silent for as long
//! as RFC 5382 and RFC 4787 have a NAT remember them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::packet::{Packet, TCP, Talk, Upper, quoted};

/// A silent TCP connection is remembered for so long (RFC 5382, REQ-5).
pub const TCP_IDLE: Duration = Duration::from_secs(2 * 3600 + 4 * 60);

/// One of which an end has said that it ends (RFC 5382, REQ-5), so that short ones do not drive out long ones.
pub const TCP_ENDING: Duration = Duration::from_secs(4 * 60);

/// Everything else (RFC 4787, REQ-5).
pub const IDLE: Duration = Duration::from_secs(300);

/// Conversations that began here, with one node, that are remembered; a new one beyond that takes the place of the
/// one that was silent longest.
pub const OURS_MAX: usize = 4096;

/// Conversations that one node began, but for connections, that are remembered. None takes the place of another:
/// the node could make us forget who began. Beyond that nothing is known to have begun here, for [`IDLE`].
pub const THEIRS_MAX: usize = 4096;

/// Between two looks for conversations of the other node that are over.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Conversations with one node.
#[derive(Debug, Default)]
pub struct Talks {
    ours: BTreeMap<Talk, Used>,
    /// As seen from here.
    theirs: BTreeMap<Talk, Used>,
    swept: Option<Instant>,
    /// When the last one was not remembered.
    beyond: Option<Instant>,
}

/// Which end has begun a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Began {
    /// This one.
    Here,
    /// The other one, or it is not known to be this one.
    There,
}

/// When a conversation was heard of last.
#[derive(Debug, Clone, Copy)]
struct Used {
    at: Instant,
    ending: bool,
}

impl Talks {
    /// A packet is to leave: who began what it belongs to.
    pub fn leaves(&mut self, now: Instant, packet: &Packet<'_>) -> Began {
        match packet.upper {
            Upper::Talk(talk) => self.goes_on(now, talk, packet),
            // Worth nothing without the first one, which was judged.
            Upper::Fragment => Began::Here,
            Upper::Error(about) => match talk_between(about, packet) {
                Some(talk) if is_known(&mut self.ours, now, talk.turned()) => Began::Here,
                Some(_) | None => Began::There,
            },
        }
    }

    /// Whether a packet that came belongs to what began here.
    pub fn expects(&mut self, now: Instant, packet: &Packet<'_>) -> bool {
        match packet.upper {
            Upper::Talk(talk) => {
                let known = is_known(&mut self.ours, now, talk.turned());
                if known {
                    self.use_ours(now, talk.turned(), packet);
                }
                known
            }
            Upper::Fragment => true,
            Upper::Error(about) => {
                talk_between(about, packet).is_some_and(|talk| is_known(&mut self.ours, now, talk))
            }
        }
    }

    /// A packet that was not expected came from a node that may send it.
    pub fn began_there(&mut self, now: Instant, packet: &Packet<'_>) {
        match packet.upper {
            Upper::Talk(talk) => self.use_theirs(now, talk.turned()),
            Upper::Fragment | Upper::Error(_) => {}
        }
    }

    /// Whether somebody here may still wait for a reply.
    pub fn are_awaited(&self, now: Instant) -> bool {
        self.ours.iter().any(|(talk, used)| !used.is_over(*talk, now))
    }

    /// Whether the other node began something that may still go on.
    pub fn are_theirs(&self, now: Instant) -> bool {
        self.is_beyond(now) || self.theirs.iter().any(|(talk, used)| !used.is_over(*talk, now))
    }

    fn goes_on(&mut self, now: Instant, talk: Talk, packet: &Packet<'_>) -> Began {
        let theirs = match talk.protocol {
            TCP => !packet.begins_connection(),
            _ => is_known(&mut self.theirs, now, talk) || self.is_beyond(now),
        };
        if theirs && !is_known(&mut self.ours, now, talk) {
            // Silence here is what ends it: one that goes on without a right must not become ours.
            self.use_theirs(now, talk);
            return Began::There;
        }
        if self.ours.len() >= OURS_MAX && !self.ours.contains_key(&talk) {
            self.ours.retain(|talk, used| !used.is_over(*talk, now));
            let oldest = self.ours.iter().min_by_key(|(_, used)| used.at).map(|(talk, _)| *talk);
            if let Some(oldest) = oldest.filter(|_| self.ours.len() >= OURS_MAX) {
                self.ours.remove(&oldest);
            }
        }
        self.use_ours(now, talk, packet);
        Began::Here
    }

    fn use_ours(&mut self, now: Instant, talk: Talk, packet: &Packet<'_>) {
        let was_ending = self.ours.get(&talk).is_some_and(|used| used.ending);
        let ending = packet.ends_connection() || was_ending && !packet.begins_connection();
        self.ours.insert(talk, Used { at: now, ending });
    }

    fn use_theirs(&mut self, now: Instant, talk: Talk) {
        if talk.protocol == TCP {
            return;
        }
        if self.theirs.len() >= THEIRS_MAX && !self.theirs.contains_key(&talk) {
            let swept = self.swept.is_some_and(|at| now.saturating_duration_since(at) < SWEEP_EVERY);
            if !swept {
                self.swept = Some(now);
                self.theirs.retain(|talk, used| !used.is_over(*talk, now));
            }
            if self.theirs.len() >= THEIRS_MAX {
                self.beyond = Some(now);
                return;
            }
        }
        self.theirs.insert(talk, Used { at: now, ending: false });
    }

    fn is_beyond(&self, now: Instant) -> bool {
        self.beyond.is_some_and(|at| now.saturating_duration_since(at) <= IDLE)
    }
}

impl Used {
    fn is_over(self, talk: Talk, now: Instant) -> bool {
        let idle = match (talk.protocol, self.ending) {
            (TCP, false) => TCP_IDLE,
            (TCP, true) => TCP_ENDING,
            _ => IDLE,
        };
        now.saturating_duration_since(self.at) > idle
    }
}

fn is_known(talks: &mut BTreeMap<Talk, Used>, now: Instant, talk: Talk) -> bool {
    let Some(used) = talks.get(&talk) else { return false };
    let over = used.is_over(talk, now);
    if over {
        talks.remove(&talk);
    }
    !over
}

/// The conversation that the error in `packet` is about, if that went the other way between the same two.
fn talk_between(about: &[u8], packet: &Packet<'_>) -> Option<Talk> {
    match quoted(about) {
        Ok((source, destination, Upper::Talk(talk))) => {
            ((source, destination) == (packet.destination, packet.source)).then_some(talk)
        }
        Ok((_, _, Upper::Fragment | Upper::Error(_))) | Err(_) => None,
    }
}

#[cfg(test)]
#[path = "talks_tests.rs"]
mod tests;
