//! One MQTT connection, judged: bytes of both sides go in, what may pass comes out, with answers of our own
//! where something may not.
//!
//! The client's CONNECT comes first, with a will that may be published; it goes on with the exporter's
//! client id and login where there are any. From then on each PUBLISH is judged by its topic, each SUBSCRIBE
//! by its filters, and the rest passes when it is well formed and the client's to say. Of a SUBSCRIBE the
//! broker sees the allowed filters; its answer is completed in order. Messages from the broker are held
//! against the caller's subscriptions too: a client id that somebody else used names a session with
//! subscriptions that nobody judged here.
//!
//! [`Judge::from_client`] and [`Judge::from_broker`] take bytes in pieces of any size; after each call the
//! two outboxes hold what is to be written. Answers of our own go between packets, so one waits here while a
//! payload is under way, and until the broker's CONNACK has passed, which has to be first.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::connect::Connect;
use super::counters::{Counters, Subscribed};
use super::direction::Direction;
use super::lane::Step;
use super::outbox::Outbox;
use super::packet::{Fields, Header, Kind, Malformed, Version, packet};
use super::properties::Properties;
use super::rules::Rules;
use super::subscribe::{Codes, Subscribe};
use super::{
    ANSWERS_MAX, ASKED_MAX, BAD_AUTHENTICATION, CLIENT_ID_INVALID, NOT_AUTHORIZED, QUEUED_MAX,
    QUOTA_EXCEEDED, TOPIC_FILTER_INVALID, UNSPECIFIED,
};

/// Why a connection ends before one of its sides ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The client broke the rules of MQTT.
    #[error("the client: {0}")]
    Client(Malformed),
    /// The broker did.
    #[error("the broker: {0}")]
    Broker(Malformed),
    /// It was silent, or too slow, before it had said CONNECT.
    #[error("no CONNECT came in time")]
    Silent,
    /// The CONNECT is not allowed; the refusal is in the outbox.
    #[error("the CONNECT was refused")]
    Refused,
}

/// One connection.
#[derive(Debug)]
pub struct Judge<'a> {
    rules: Rules<'a>,
    counters: &'a Counters,
    phase: Phase,
    version: Option<Version>,
    /// The CONNECT began an exchange of AUTH packets.
    authentication: bool,
    /// From the client to the broker.
    up: Direction,
    /// From the broker to the client.
    down: Direction,
    /// SUBSCRIBEs that the broker has not answered.
    asked: VecDeque<Asked>,
    /// Filters of all of them.
    asked_filters: usize,
    subscribed: Subscribed<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing has come.
    New,
    /// The CONNECT has passed.
    Connecting,
    /// The CONNACK has.
    Connected,
    /// The DISCONNECT has, or nothing was to pass at all.
    Over,
}

/// A SUBSCRIBE that the broker has not answered.
#[derive(Debug)]
struct Asked {
    id: u16,
    codes: Codes,
    /// Those that the broker was asked for, in order.
    filters: Vec<Arc<str>>,
}

impl<'a> Judge<'a> {
    /// A connection of which nothing has come.
    pub fn new(rules: Rules<'a>, counters: &'a Counters) -> Self {
        Self {
            rules,
            counters,
            phase: Phase::New,
            version: None,
            authentication: false,
            up: Direction::default(),
            down: Direction::default(),
            asked: VecDeque::new(),
            asked_filters: 0,
            subscribed: Subscribed::new(counters),
        }
    }

    /// Take bytes of the client. After an error nothing more is to be taken from either side.
    pub fn from_client(&mut self, bytes: Bytes) -> Result<(), Fault> {
        let heard = self.hear_client(bytes);
        self.counted(heard)
    }

    /// Take bytes of the broker.
    pub fn from_broker(&mut self, bytes: Bytes) -> Result<(), Fault> {
        let heard = self.hear_broker(bytes).map_err(Fault::Broker);
        self.counted(heard)
    }

    /// No CONNECT came in time.
    pub fn too_slow(&self) -> Fault {
        count(&self.counters.malformed);
        Fault::Silent
    }

    /// What is to be written to the client.
    pub fn to_client(&mut self) -> &mut Outbox {
        &mut self.down.out
    }

    /// What is to be written to the broker.
    pub fn to_broker(&mut self) -> &mut Outbox {
        &mut self.up.out
    }

    /// Whether there is room for more of the client. Answers to it that it does not read count, payloads of
    /// the broker that it does not read do not: it may have to write before it reads.
    pub fn hears_client(&self) -> bool {
        self.up.out.len() < QUEUED_MAX && self.down.answers() < ANSWERS_MAX
    }

    /// Whether there is room for more of the broker.
    pub fn hears_broker(&self) -> bool {
        self.down.out.len() < QUEUED_MAX && self.up.answers() < ANSWERS_MAX
    }

    /// Whether the CONNECT has passed.
    pub fn has_connect(&self) -> bool {
        self.phase != Phase::New
    }

    /// Whether nothing more of the client matters.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// Tell the client why the connection ends, where its version has words for it and no packet is under
    /// way. Whether it was told.
    pub fn farewell(&mut self, fault: Fault) -> bool {
        let code = match fault {
            Fault::Refused => return true,
            Fault::Broker(_) | Fault::Silent => return false,
            Fault::Client(Malformed::Protocol) if self.phase == Phase::New => {
                // Unacceptable protocol version, in the words that every version understands.
                self.down.out.answer(Bytes::from_static(&[0x20, 2, 0, 1]));
                return true;
            }
            Fault::Client(why) => reason(why),
        };
        if self.version != Some(Version::V5) || self.down.is_busy() {
            return false;
        }
        let words = match self.phase {
            Phase::New | Phase::Over => return false,
            Phase::Connecting => packet(Kind::Connack, 0, &[0, code, 0]),
            Phase::Connected => packet(Kind::Disconnect, 0, &[code, 0]),
        };
        self.down.out.answer(words.into());
        true
    }

    fn hear_client(&mut self, mut bytes: Bytes) -> Result<(), Fault> {
        while self.phase != Phase::Over {
            match self.up.lane.step(&mut bytes, self.version).map_err(Fault::Client)? {
                Step::Wait => return Ok(()),
                Step::Payload(piece) => self.up.payload(piece),
                Step::Packet(header, packet) => match self.version {
                    None => self.connect(&header, &packet)?,
                    Some(version) => self.client_says(&header, packet, version).map_err(Fault::Client)?,
                },
            }
            self.release();
        }
        Ok(())
    }

    fn hear_broker(&mut self, mut bytes: Bytes) -> Result<(), Malformed> {
        let version = self.version.ok_or(Malformed::Order)?;
        loop {
            match self.down.lane.step(&mut bytes, Some(version))? {
                Step::Wait => return Ok(()),
                Step::Payload(piece) => self.down.payload(piece),
                Step::Packet(header, packet) => self.broker_says(&header, packet, version)?,
            }
            self.release();
        }
    }

    fn counted(&self, heard: Result<(), Fault>) -> Result<(), Fault> {
        match heard {
            Err(Fault::Client(_) | Fault::Broker(_) | Fault::Silent) => count(&self.counters.malformed),
            Err(Fault::Refused) => count(&self.counters.denied_connect),
            Ok(()) => {}
        }
        heard
    }

    fn connect(&mut self, header: &Header, packet: &Bytes) -> Result<(), Fault> {
        let connect = Connect::read(packet, header).map_err(Fault::Client)?;
        let will_allowed = connect.will_topic.is_none_or(|topic| self.rules.publish.holds_topic(topic));
        if !will_allowed {
            return Err(self.refuse(connect.version, 0x05, NOT_AUTHORIZED));
        }
        // Either the client proves to the broker who it is, or the exporter logs in for it.
        if connect.authentication && self.rules.login.is_some() {
            return Err(self.refuse(connect.version, 0x05, BAD_AUTHENTICATION));
        }
        let client_id = self.rules.client_id(connect.client_id);
        if client_id != connect.client_id || self.rules.login.is_some() {
            let Some(rewritten) = connect.rewritten(&client_id, self.rules.login) else {
                return Err(self.refuse(connect.version, 0x02, CLIENT_ID_INVALID));
            };
            self.up.out.pass(rewritten.into());
        } else {
            self.up.out.pass(packet.clone());
        }
        self.version = Some(connect.version);
        self.authentication = connect.authentication;
        self.down.alias_max = connect.topic_alias_maximum;
        self.phase = Phase::Connecting;
        Ok(())
    }

    fn refuse(&mut self, version: Version, old: u8, new: u8) -> Fault {
        let body: &[u8] = if version == Version::V5 { &[0, new, 0] } else { &[0, old] };
        self.down.out.answer(packet(Kind::Connack, 0, body).into());
        self.phase = Phase::Over;
        Fault::Refused
    }

    fn client_says(&mut self, header: &Header, packet: Bytes, version: Version) -> Result<(), Malformed> {
        match header.kind {
            Kind::Publish => return self.client_publishes(header, packet, version),
            Kind::Subscribe => return self.client_subscribes(header, packet, version),
            Kind::Unsubscribe => {
                for wanted in Subscribe::read(&packet, header, version)?.filters {
                    self.subscribed.remove(wanted.filter);
                }
            }
            Kind::Puback | Kind::Pubrec | Kind::Pubrel | Kind::Pubcomp => {
                let id = acknowledged(&packet, header, version)?;
                return self.client_acknowledges(header.kind, id, packet, version);
            }
            Kind::Pingreq if header.remaining == 0 => {}
            Kind::Pingreq => return Err(Malformed::Long),
            Kind::Disconnect => {
                check_reason(&packet, header, version)?;
                self.phase = Phase::Over;
            }
            Kind::Auth if version == Version::V5 && self.authentication => {
                check_reason(&packet, header, version)?;
            }
            Kind::Connect => return Err(Malformed::Order),
            Kind::Connack | Kind::Suback | Kind::Unsuback | Kind::Pingresp | Kind::Auth => {
                return Err(Malformed::Kind);
            }
        }
        self.up.out.pass(packet);
        Ok(())
    }

    fn client_publishes(&mut self, header: &Header, bytes: Bytes, version: Version) -> Result<(), Malformed> {
        let answers = self.up.message(header, bytes, &self.rules.publish, version)?;
        count(if self.up.passes { &self.counters.messages_in } else { &self.counters.denied_publish });
        self.down.waiting.extend_from_slice(&answers);
        Ok(())
    }

    fn client_subscribes(
        &mut self,
        header: &Header,
        bytes: Bytes,
        version: Version,
    ) -> Result<(), Malformed> {
        let subscribe = Subscribe::read(&bytes, header, version)?;
        let in_v5 = |code| if version == Version::V5 { code } else { UNSPECIFIED };
        let (mut codes, mut filters) = (Vec::with_capacity(subscribe.filters.len()), Vec::new());
        for wanted in &subscribe.filters {
            let judged = wanted.judged();
            let code = match judged.map(|filter| self.rules.subscribe.holds_filter(filter)) {
                None => Some(in_v5(TOPIC_FILTER_INVALID)),
                Some(false) => Some(in_v5(NOT_AUTHORIZED)),
                Some(true) => match self.subscribed.add(wanted.filter) {
                    Some(filter) => {
                        filters.push(filter);
                        None
                    }
                    None => Some(in_v5(QUOTA_EXCEEDED)),
                },
            };
            codes.push(code);
        }
        let denied = codes.len() - filters.len();
        self.counters.denied_subscribe.fetch_add(denied as u64, Ordering::Relaxed);
        let codes = Codes(codes);
        if filters.is_empty() {
            self.down.waiting.extend_from_slice(&codes.answer(subscribe.id, version));
            return Ok(());
        }
        self.asked_filters += codes.0.len();
        if self.asked_filters > ASKED_MAX {
            return Err(Malformed::Unanswered);
        }
        let passed = if denied == 0 { bytes.clone() } else { subscribe.only_asked(&codes).into() };
        self.asked.push_back(Asked { id: subscribe.id, codes, filters });
        self.up.out.pass(passed);
        Ok(())
    }

    /// The client's part in exchanges: of the broker's messages, or the release of one of its own.
    fn client_acknowledges(
        &mut self,
        kind: Kind,
        id: u16,
        bytes: Bytes,
        version: Version,
    ) -> Result<(), Malformed> {
        if kind == Kind::Pubrel
            && let Some(done) = self.up.exchanges.released(id)
        {
            self.down.waiting.extend_from_slice(&done);
            return Ok(());
        }
        self.up.out.pass(bytes);
        if matches!(kind, Kind::Puback | Kind::Pubrec) && self.rules.subscribe.limited() {
            let mut due = Vec::new();
            self.down.exchanges.answered(kind, id, version, &mut due);
            self.up.waiting.extend_from_slice(&due);
        }
        Ok(())
    }

    fn broker_says(&mut self, header: &Header, bytes: Bytes, version: Version) -> Result<(), Malformed> {
        let expected = match self.phase {
            Phase::New => false,
            Phase::Connecting => matches!(header.kind, Kind::Connack | Kind::Auth),
            Phase::Connected => header.kind != Kind::Connack,
            Phase::Over => true,
        };
        if !expected {
            return Err(Malformed::Order);
        }
        match header.kind {
            Kind::Publish => return self.broker_publishes(header, bytes, version),
            Kind::Suback => return self.broker_answers(header, bytes, version),
            Kind::Connack => {
                let (accepted, alias_max) = connack(&bytes, header, version)?;
                if accepted && self.phase == Phase::Connecting {
                    self.up.alias_max = alias_max;
                    self.phase = Phase::Connected;
                    self.subscribed.connected();
                }
            }
            Kind::Puback | Kind::Pubrec => {
                let id = Fields(bytes.get(header.len..).unwrap_or_default()).id()?;
                self.down.out.pass(bytes);
                if self.rules.publish.limited() {
                    let mut due = Vec::new();
                    self.up.exchanges.answered(header.kind, id, version, &mut due);
                    self.down.waiting.extend_from_slice(&due);
                }
                return Ok(());
            }
            Kind::Pubrel => {
                let id = Fields(bytes.get(header.len..).unwrap_or_default()).id()?;
                if let Some(done) = self.down.exchanges.released(id) {
                    self.up.waiting.extend_from_slice(&done);
                    return Ok(());
                }
            }
            Kind::Pubcomp | Kind::Unsuback | Kind::Pingresp => {}
            Kind::Disconnect | Kind::Auth if version == Version::V5 => {}
            Kind::Connect
            | Kind::Subscribe
            | Kind::Unsubscribe
            | Kind::Pingreq
            | Kind::Disconnect
            | Kind::Auth => return Err(Malformed::Kind),
        }
        self.down.out.pass(bytes);
        Ok(())
    }

    fn broker_publishes(&mut self, header: &Header, bytes: Bytes, version: Version) -> Result<(), Malformed> {
        let answers = self.down.message(header, bytes, &self.rules.subscribe, version)?;
        count(if self.down.passes { &self.counters.messages_out } else { &self.counters.denied_deliver });
        self.up.waiting.extend_from_slice(&answers);
        Ok(())
    }

    fn broker_answers(&mut self, header: &Header, bytes: Bytes, version: Version) -> Result<(), Malformed> {
        let id = Fields(bytes.get(header.len..).unwrap_or_default()).id()?;
        // In order, as a rule.
        let Some(at) = self.asked.iter().position(|asked| asked.id == id) else {
            self.down.out.pass(bytes);
            return Ok(());
        };
        let Some(asked) = self.asked.remove(at) else { return Ok(()) };
        self.asked_filters -= asked.codes.0.len();
        let (merged, subscribed) = asked.codes.merged(&bytes, header, version)?;
        let results = subscribed.iter().zip(&asked.codes.0).filter(|(_, code)| code.is_none());
        for (filter, (subscribed, _)) in asked.filters.iter().zip(results) {
            if !subscribed {
                self.subscribed.remove(filter);
            }
        }
        self.down.out.pass(merged.into());
        Ok(())
    }

    /// Let go the answers that wait, where no packet is under way; those for the client after the CONNACK.
    /// Behind a DISCONNECT nothing more is said to the broker.
    fn release(&mut self) {
        if self.phase == Phase::Over {
            self.up.waiting.clear();
        }
        self.up.release();
        if self.phase != Phase::Connecting {
            self.down.release();
        }
    }
}

/// The id of a PUBACK, PUBREC, PUBREL or PUBCOMP, whose other fields fit.
fn acknowledged(bytes: &[u8], header: &Header, version: Version) -> Result<u16, Malformed> {
    let mut fields = Fields(bytes.get(header.len..).unwrap_or_default());
    let id = fields.id()?;
    reason_and_properties(fields, version)?;
    Ok(id)
}

/// Whether the fields of a DISCONNECT or AUTH fit.
fn check_reason(bytes: &[u8], header: &Header, version: Version) -> Result<(), Malformed> {
    reason_and_properties(Fields(bytes.get(header.len..).unwrap_or_default()), version)
}

/// Version 5 may end with a reason, and then with properties.
fn reason_and_properties(mut fields: Fields<'_>, version: Version) -> Result<(), Malformed> {
    if version == Version::V5 && !fields.0.is_empty() {
        fields.byte()?;
        if !fields.0.is_empty() {
            Properties::read(&mut fields)?;
        }
    }
    fields.end()
}

/// Whether the broker accepts, and the largest topic alias that it takes.
fn connack(bytes: &[u8], header: &Header, version: Version) -> Result<(bool, u16), Malformed> {
    let mut fields = Fields(bytes.get(header.len..).unwrap_or_default());
    fields.byte()?;
    let accepted = fields.byte()? == 0;
    // A broker that does not know version 5 refuses it in the words of 3.1.1, without properties.
    let has_properties = version == Version::V5 && !fields.0.is_empty();
    let properties = if has_properties { Properties::read(&mut fields)? } else { Properties::default() };
    fields.end()?;
    Ok((accepted, properties.topic_alias_maximum.unwrap_or(0)))
}

/// What version 5 calls it.
fn reason(why: Malformed) -> u8 {
    match why {
        Malformed::TooLarge => 0x95,
        Malformed::Alias => 0x94,
        Malformed::Topic => 0x90,
        Malformed::Unanswered => 0x93,
        Malformed::Protocol => 0x84,
        Malformed::Order | Malformed::Kind | Malformed::Answer | Malformed::Id => 0x82,
        Malformed::Short
        | Malformed::Long
        | Malformed::Length
        | Malformed::Flags
        | Malformed::Text
        | Malformed::Property
        | Malformed::Options => 0x81,
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
