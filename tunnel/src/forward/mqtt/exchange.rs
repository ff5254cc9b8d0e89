//! The acknowledgements of one sender's messages, of which some come from the other side and some from
//! here.
//!
//! A denied PUBLISH of QoS 1 or 2 is answered in the other side's place. Version 5 has a code for it: the
//! PUBACK or PUBREC says "not authorized", which ends the exchange. Before version 5 there is no such
//! answer; the message is acknowledged and dropped, as brokers do, and a QoS 2 exchange is taken to its end
//! here: PUBREC, PUBREL, PUBCOMP. The packet ids are the sender's own, so an exchange of ours and one with
//! the other side never have the same one.
//!
//! Acknowledgements come in the order of the messages (MQTT 5, 4.6), so an answer of ours waits for those
//! of the messages that were sent before it and passed.

use std::collections::{BTreeSet, VecDeque};

use super::NOT_AUTHORIZED;
use super::packet::{Kind, Malformed, Version, packet};

/// Most messages of one sender that wait for the same kind of acknowledgement: as many as there are packet
/// ids.
pub const UNANSWERED_MAX: usize = 65_535;

/// The exchanges of one sender.
#[derive(Debug, Default)]
pub(super) struct Exchanges {
    /// Messages of QoS 1 that wait for a PUBACK.
    acks: Waiting,
    /// Messages of QoS 2 that wait for a PUBREC.
    recs: Waiting,
    /// Ids of QoS 2 exchanges that are ours, and whose PUBREL is to come.
    ours: BTreeSet<u16>,
}

/// Messages in the order they were sent, from the first whose answer has not come.
#[derive(Debug, Default)]
struct Waiting(VecDeque<(u16, Answerer)>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answerer {
    /// The other side.
    Them,
    /// Us, once everything before it is answered.
    Us,
}

impl Exchanges {
    /// A message of `qos` passed on.
    pub(super) fn passed(&mut self, qos: u8, id: u16) -> Result<(), Malformed> {
        // Only a sender that reuses an id in use has one here; the newer message is the one it means.
        self.ours.remove(&id);
        self.waiting(qos).push(id, Answerer::Them)
    }

    /// A message of `qos` was denied. Appends the answers that are due now.
    pub(super) fn denied(
        &mut self,
        qos: u8,
        id: u16,
        version: Version,
        answers: &mut Vec<u8>,
    ) -> Result<(), Malformed> {
        if qos == 2 && version < Version::V5 {
            self.ours.insert(id);
        }
        self.waiting(qos).push(id, Answerer::Us)?;
        self.due(qos, version, answers);
        Ok(())
    }

    /// A PUBACK or PUBREC of the other side passed on. Appends the answers that waited for it.
    pub(super) fn answered(&mut self, kind: Kind, id: u16, version: Version, answers: &mut Vec<u8>) {
        let qos = if kind == Kind::Puback { 1 } else { 2 };
        self.waiting(qos).answered(id);
        self.due(qos, version, answers);
    }

    /// The sender released a message of QoS 2. The PUBCOMP, when the exchange is ours: then the PUBREL is not
    /// passed on.
    pub(super) fn released(&mut self, id: u16) -> Option<Vec<u8>> {
        self.ours.remove(&id).then(|| packet(Kind::Pubcomp, 0, &id.to_be_bytes()))
    }

    fn waiting(&mut self, qos: u8) -> &mut Waiting {
        if qos == 1 { &mut self.acks } else { &mut self.recs }
    }

    fn due(&mut self, qos: u8, version: Version, answers: &mut Vec<u8>) {
        let kind = if qos == 1 { Kind::Puback } else { Kind::Pubrec };
        while let Some(id) = self.waiting(qos).next_of_ours() {
            let [high, low] = id.to_be_bytes();
            let body: &[u8] =
                if version == Version::V5 { &[high, low, NOT_AUTHORIZED] } else { &[high, low] };
            answers.extend(packet(kind, 0, body));
        }
    }
}

impl Waiting {
    fn push(&mut self, id: u16, answerer: Answerer) -> Result<(), Malformed> {
        if self.0.len() == UNANSWERED_MAX {
            return Err(Malformed::Unanswered);
        }
        self.0.push_back((id, answerer));
        Ok(())
    }

    /// One of their answers has come: in order, as a rule.
    fn answered(&mut self, id: u16) {
        if let Some(at) = self.0.iter().position(|waiting| *waiting == (id, Answerer::Them)) {
            self.0.remove(at);
        }
    }

    fn next_of_ours(&mut self) -> Option<u16> {
        let (id, answerer) = *self.0.front()?;
        (answerer == Answerer::Us).then(|| self.0.pop_front()).map(|_| id)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn denied(exchanges: &mut Exchanges, qos: u8, id: u16, version: Version) -> Vec<u8> {
        let mut answers = Vec::new();
        exchanges.denied(qos, id, version, &mut answers).unwrap();
        answers
    }

    #[test]
    fn version_5_is_told_and_the_exchange_is_over() {
        let mut exchanges = Exchanges::default();
        assert_eq!(denied(&mut exchanges, 1, 7, Version::V5), [0x40, 3, 0, 7, 0x87]);
        assert_eq!(denied(&mut exchanges, 2, 8, Version::V5), [0x50, 3, 0, 8, 0x87]);
        assert_eq!(exchanges.released(8), None);
    }

    #[test]
    fn before_it_a_denied_message_is_acknowledged_to_its_end() {
        let mut exchanges = Exchanges::default();
        assert_eq!(denied(&mut exchanges, 1, 7, Version::V311), [0x40, 2, 0, 7]);
        assert_eq!(denied(&mut exchanges, 2, 8, Version::V31), [0x50, 2, 0, 8]);
        assert_eq!(exchanges.released(7), None);
        assert_eq!(exchanges.released(8), Some(vec![0x70, 2, 0, 8]));
        // The id is free again, and the next release is the broker's business.
        assert_eq!(exchanges.released(8), None);
    }

    #[test]
    fn answers_keep_the_order_of_the_messages() {
        let mut exchanges = Exchanges::default();
        exchanges.passed(1, 1).unwrap();
        exchanges.passed(1, 2).unwrap();
        assert_eq!(denied(&mut exchanges, 1, 3, Version::V311), []);
        // Messages of QoS 2 have an order of their own.
        assert_eq!(denied(&mut exchanges, 2, 4, Version::V311), [0x50, 2, 0, 4]);
        exchanges.passed(1, 5).unwrap();
        let mut answers = Vec::new();
        exchanges.answered(Kind::Puback, 1, Version::V311, &mut answers);
        assert_eq!(answers, []);
        exchanges.answered(Kind::Puback, 2, Version::V311, &mut answers);
        assert_eq!(answers, [0x40, 2, 0, 3]);
        assert_eq!(exchanges.acks.0, [(5, Answerer::Them)]);
    }

    #[test]
    fn an_id_that_is_reused_for_a_message_that_passes_is_the_brokers() {
        let mut exchanges = Exchanges::default();
        denied(&mut exchanges, 2, 8, Version::V311);
        exchanges.passed(2, 8).unwrap();
        assert_eq!(exchanges.released(8), None);
    }

    #[test]
    fn no_more_is_remembered_than_there_are_ids() {
        let mut exchanges = Exchanges::default();
        for _ in 0..UNANSWERED_MAX {
            exchanges.passed(1, 1).unwrap();
        }
        assert_eq!(exchanges.passed(1, 1), Err(Malformed::Unanswered));
    }
}
