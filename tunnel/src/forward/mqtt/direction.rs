//! What one side of a connection says: its packets, what of its messages passes, and what goes to the other
//! side.
//!
//! A verdict stays with a topic alias, not the topic, so aliases take a few bytes each. An alias whose
//! message was denied is not known to the other side, and its verdict stays "denied".

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};

use super::exchange::Exchanges;
use super::lane::Lane;
use super::outbox::Outbox;
use super::packet::{Header, Malformed, Version};
use super::publish::Head;
use super::rules::Granted;

/// What comes from one side.
#[derive(Debug, Default)]
pub(super) struct Direction {
    pub(super) lane: Lane,
    /// Whether the payload under way passes.
    pub(super) passes: bool,
    /// Topic aliases and whether their topics are allowed.
    aliases: BTreeMap<u16, bool>,
    /// The largest alias that the other side takes; it says so when it connects or accepts.
    pub(super) alias_max: u16,
    /// Exchanges of the messages that come from there.
    pub(super) exchanges: Exchanges,
    /// What goes to the other side.
    pub(super) out: Outbox,
    /// Answers of our own that go there at the next end of a packet.
    pub(super) waiting: BytesMut,
}

impl Direction {
    /// Judge a message by its head, and pass the head or not. Returns the answers that are due to its sender.
    pub(super) fn message(
        &mut self,
        header: &Header,
        bytes: Bytes,
        granted: &Granted,
        version: Version,
    ) -> Result<Vec<u8>, Malformed> {
        let head = Head::read(&bytes, header, version)?;
        self.passes = self.allows(&head, granted)?;
        let mut answers = Vec::new();
        if let (Some(id), true) = (head.id, granted.limited()) {
            if self.passes {
                self.exchanges.passed(head.qos, id)?;
            } else {
                self.exchanges.denied(head.qos, id, version, &mut answers)?;
            }
        }
        if self.passes {
            self.out.pass(bytes);
        }
        Ok(answers)
    }

    fn allows(&mut self, head: &Head<'_>, granted: &Granted) -> Result<bool, Malformed> {
        let Some(alias) = head.alias else { return Ok(granted.holds_topic(head.topic)) };
        if alias > self.alias_max {
            return Err(Malformed::Alias);
        }
        if head.topic.is_empty() {
            return self.aliases.get(&alias).copied().ok_or(Malformed::Alias);
        }
        let allowed = granted.holds_topic(head.topic);
        self.aliases.insert(alias, allowed);
        Ok(allowed)
    }

    pub(super) fn payload(&mut self, piece: Bytes) {
        if self.passes {
            self.out.pass(piece);
        }
    }

    /// Whether what goes to the other side is in the midst of a packet.
    pub(super) fn is_busy(&self) -> bool {
        self.passes && self.lane.in_payload()
    }

    pub(super) fn release(&mut self) {
        if !self.waiting.is_empty() && !self.is_busy() {
            self.out.answer(self.waiting.split().freeze());
        }
    }

    /// Bytes of answers of our own that have not been written.
    pub(super) fn answers(&self) -> usize {
        self.out.own() + self.waiting.len()
    }
}
