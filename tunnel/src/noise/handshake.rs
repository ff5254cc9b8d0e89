//! The handshake as two pure state machines: bytes in, bytes and secrets out.
//!
//! Drive a machine like a QUIC crypto stream. After each [`read`](Responder::read), and once at the start, call
//! [`write`](Responder::write) until it neither appends bytes nor returns keys. Bytes appended by one call belong to the level that was
//! current *before* the keys which the same call returns.
//!
//! ```text
//! Initiator                                          Responder
//!   hello:    ML-KEM key | Noise 1 (payload)  ---->
//!                                             <----  reply:    ciphertext | Noise 2 (payload)
//!   ............................ handshake keys ............................
//!                                             <----  finished: MAC
//!   finished: MAC  (then data keys)           ---->
//!                                                    (then data keys)
//! ```
//!
//! Every message has a two-byte length before it and is at most [`MAX_MESSAGE`] bytes long. It may arrive in any number of pieces, but
//! bytes beyond its end are an error: at each level each side says exactly one thing.
//!
//! Neither side names its peer ([`peer_static`](Responder::peer_static)) or exports keys before it has verified the peer's finished
//! message. Any error is final: the machine then reads nothing more and writes nothing more.

use std::ops::RangeInclusive;

use snow::HandshakeState;
use thiserror::Error;

use super::{
    ik::{self, Entropy},
    kem,
    keys::{LocalStatic, is_low_order},
    schedule::{FINISHED_LEN, Schedule},
};

pub use super::schedule::{Exporter, Secret, Secrets};

/// Longest handshake message, without its length. A hello with our transport parameters takes about 1500 bytes; more than this is
/// refused as soon as the length is read, so a peer can make us hold no more.
pub const MAX_MESSAGE: usize = 4096;

const HELLO: RangeInclusive<usize> = kem::PUBLIC_LEN + ik::MESSAGE_1_LEN..=MAX_MESSAGE;
const REPLY: RangeInclusive<usize> = kem::CIPHERTEXT_LEN + ik::MESSAGE_2_LEN..=MAX_MESSAGE;
const FINISHED: RangeInclusive<usize> = FINISHED_LEN..=FINISHED_LEN;

/// Why a handshake failed. The first six are the peer's doing, or that of somebody between.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
pub enum HandshakeError {
    /// The length before a message is one that this message cannot have.
    #[error("handshake message of an impossible length")]
    Length,
    /// Bytes after the end of a message, or when none is expected.
    #[error("handshake bytes where none were expected")]
    Unexpected,
    /// The ML-KEM public key does not decode.
    #[error("malformed ML-KEM public key")]
    KemKey,
    /// A public key for which no secret exists.
    #[error("public key of low order")]
    LowOrder,
    /// A Noise message does not decrypt: altered, or meant for another key.
    #[error("handshake message is not authentic")]
    NotAuthentic,
    /// The finished MAC is not the one of this handshake.
    #[error("finished message does not match the handshake")]
    Finished,
    /// Ours: the payload does not fit into a message.
    #[error("payload too long for a handshake message")]
    Payload,
    /// Ours: no randomness.
    #[error("no random bytes from the system")]
    Random,
}

/// Keys for the next level, given out once each, in this order.
#[derive(Debug)]
pub enum NewKeys {
    /// For the Handshake space.
    Handshake(Secrets),
    /// For application data.
    Data(Secrets),
}

/// The dialling side.
pub struct Initiator {
    stage: InitiatorStage,
    inbox: Inbox,
    remote: [u8; 32],
    payload: Option<Vec<u8>>,
}

enum InitiatorStage {
    Hello(Vec<u8>, Box<Dialled>),
    AwaitReply(Box<Dialled>),
    /// The reply is verified, its keys not taken yet.
    Reply(Box<Schedule>),
    AwaitFinished(Box<Schedule>),
    /// The peer's finished is verified, ours not written yet.
    Verified(Box<Schedule>),
    Done(Exporter),
    Failed,
}

/// What the initiator keeps between hello and reply.
struct Dialled {
    noise: HandshakeState,
    kem: kem::KeyPair,
}

impl Initiator {
    /// Starts a handshake with the owner of the public key `remote`; `payload` travels encrypted in the hello.
    ///
    /// # Errors
    /// [`Random`](HandshakeError::Random), [`LowOrder`](HandshakeError::LowOrder) for `remote`,
    /// [`Payload`](HandshakeError::Payload).
    pub fn new(local: &LocalStatic, remote: [u8; 32], payload: &[u8]) -> Result<Self, HandshakeError> {
        Self::with_entropy(local, remote, payload, Entropy::System)
    }

    fn with_entropy(
        local: &LocalStatic,
        remote: [u8; 32],
        payload: &[u8],
        entropy: Entropy,
    ) -> Result<Self, HandshakeError> {
        if is_low_order(&remote) {
            return Err(HandshakeError::LowOrder);
        }
        let kem = kem::KeyPair::from_seed(&entropy.bytes()?);
        let public = kem.public();
        let mut noise = ik::initiator(local, &remote, &public, &entropy);
        let message = ik::write(&mut noise, &public, payload)?;
        Ok(Self {
            stage: InitiatorStage::Hello(message, Box::new(Dialled { noise, kem })),
            inbox: Inbox::default(),
            remote,
            payload: None,
        })
    }

    /// Takes bytes of the peer's crypto stream at the current level.
    ///
    /// # Errors
    /// All are final.
    pub fn read(&mut self, bytes: &[u8]) -> Result<(), HandshakeError> {
        if bytes.is_empty() {
            return Ok(());
        }
        // Failed stays if `advance` returns early.
        let stage = std::mem::replace(&mut self.stage, InitiatorStage::Failed);
        self.stage = self.advance(stage, bytes)?;
        Ok(())
    }

    fn advance(&mut self, stage: InitiatorStage, bytes: &[u8]) -> Result<InitiatorStage, HandshakeError> {
        match stage {
            InitiatorStage::AwaitReply(dialled) => {
                let Some(reply) = self.inbox.push(bytes, REPLY)? else {
                    return Ok(InitiatorStage::AwaitReply(dialled));
                };
                let (schedule, payload) = dialled.read_reply(&reply)?;
                self.payload = Some(payload);
                Ok(InitiatorStage::Reply(Box::new(schedule)))
            }
            InitiatorStage::AwaitFinished(schedule) => {
                let Some(mac) = self.inbox.push(bytes, FINISHED)? else {
                    return Ok(InitiatorStage::AwaitFinished(schedule));
                };
                verify_finished(&schedule, &mac)?;
                Ok(InitiatorStage::Verified(schedule))
            }
            InitiatorStage::Hello(..)
            | InitiatorStage::Reply(_)
            | InitiatorStage::Verified(_)
            | InitiatorStage::Done(_)
            | InitiatorStage::Failed => Err(HandshakeError::Unexpected),
        }
    }

    /// Appends what is to be sent at the current level; returns the keys of the next level when there are any.
    pub fn write(&mut self, out: &mut Vec<u8>) -> Option<NewKeys> {
        let stage = std::mem::replace(&mut self.stage, InitiatorStage::Failed);
        let (stage, keys) = match stage {
            InitiatorStage::Hello(message, dialled) => {
                put(out, &message);
                (InitiatorStage::AwaitReply(dialled), None)
            }
            InitiatorStage::Reply(schedule) => {
                let keys = NewKeys::Handshake(schedule.handshake.clone());
                (InitiatorStage::AwaitFinished(schedule), Some(keys))
            }
            InitiatorStage::Verified(schedule) => {
                put(out, &schedule.finished());
                let Schedule { data, exporter, .. } = *schedule;
                (InitiatorStage::Done(exporter), Some(NewKeys::Data(data)))
            }
            idle @ (InitiatorStage::AwaitReply(_)
            | InitiatorStage::AwaitFinished(_)
            | InitiatorStage::Done(_)
            | InitiatorStage::Failed) => (idle, None),
        };
        self.stage = stage;
        keys
    }

    /// True until the peer's finished message is verified.
    pub fn is_handshaking(&self) -> bool {
        self.exporter().is_none()
    }

    /// What the peer put into its reply.
    pub fn peer_payload(&self) -> Option<&[u8]> {
        self.payload.as_deref()
    }

    /// The peer's key, once it has proved to hold it and the handshake is complete.
    pub fn peer_static(&self) -> Option<[u8; 32]> {
        (!self.is_handshaking()).then_some(self.remote)
    }

    /// The exporter of the completed handshake.
    pub fn exporter(&self) -> Option<&Exporter> {
        match &self.stage {
            InitiatorStage::Verified(schedule) => Some(&schedule.exporter),
            InitiatorStage::Done(exporter) => Some(exporter),
            InitiatorStage::Hello(..)
            | InitiatorStage::AwaitReply(_)
            | InitiatorStage::Reply(_)
            | InitiatorStage::AwaitFinished(_)
            | InitiatorStage::Failed => None,
        }
    }
}

impl Dialled {
    fn read_reply(mut self, reply: &[u8]) -> Result<(Schedule, Vec<u8>), HandshakeError> {
        let (ciphertext, message) =
            reply.split_first_chunk::<{ kem::CIPHERTEXT_LEN }>().ok_or(HandshakeError::Length)?;
        let psk = self.kem.decapsulate(ciphertext);
        ik::set_psk(&mut self.noise, &psk);
        let payload = ik::read(&mut self.noise, message)?;
        let (split, hash) = ik::split(&mut self.noise);
        Ok((Schedule::client(&split, hash), payload))
    }
}

/// The side that is dialled.
pub struct Responder {
    stage: ResponderStage,
    inbox: Inbox,
    payload: Option<Vec<u8>>,
    remote: Option<[u8; 32]>,
}

enum ResponderStage {
    AwaitHello(Box<Listening>),
    Reply(Vec<u8>, Box<Schedule>),
    /// The reply and its keys are given out, our finished not yet.
    Finished(Box<Schedule>),
    AwaitFinished(Box<Schedule>),
    /// The peer's finished is verified, the data keys not taken yet.
    Verified(Box<Schedule>),
    Done(Exporter),
    Failed,
}

/// What the responder needs to answer a hello.
struct Listening {
    local: LocalStatic,
    payload: Vec<u8>,
    entropy: Entropy,
}

impl Responder {
    /// Waits for a hello to the key `local`; `payload` will travel encrypted in the reply.
    pub fn new(local: &LocalStatic, payload: &[u8]) -> Self {
        Self::with_entropy(local, payload, Entropy::System)
    }

    fn with_entropy(local: &LocalStatic, payload: &[u8], entropy: Entropy) -> Self {
        let listening = Listening { local: local.clone(), payload: payload.to_vec(), entropy };
        Self {
            stage: ResponderStage::AwaitHello(Box::new(listening)),
            inbox: Inbox::default(),
            payload: None,
            remote: None,
        }
    }

    /// Takes bytes of the peer's crypto stream at the current level.
    ///
    /// # Errors
    /// All are final.
    pub fn read(&mut self, bytes: &[u8]) -> Result<(), HandshakeError> {
        if bytes.is_empty() {
            return Ok(());
        }
        // Failed stays if `advance` returns early.
        let stage = std::mem::replace(&mut self.stage, ResponderStage::Failed);
        self.stage = self.advance(stage, bytes)?;
        Ok(())
    }

    fn advance(&mut self, stage: ResponderStage, bytes: &[u8]) -> Result<ResponderStage, HandshakeError> {
        match stage {
            ResponderStage::AwaitHello(listening) => {
                let Some(hello) = self.inbox.push(bytes, HELLO)? else {
                    return Ok(ResponderStage::AwaitHello(listening));
                };
                let answer = listening.answer(&hello)?;
                self.payload = Some(answer.peer_payload);
                self.remote = Some(answer.peer_static);
                let schedule = Box::new(answer.schedule);
                Ok(ResponderStage::Reply(answer.reply, schedule))
            }
            ResponderStage::AwaitFinished(schedule) => {
                let Some(mac) = self.inbox.push(bytes, FINISHED)? else {
                    return Ok(ResponderStage::AwaitFinished(schedule));
                };
                verify_finished(&schedule, &mac)?;
                Ok(ResponderStage::Verified(schedule))
            }
            ResponderStage::Reply(..)
            | ResponderStage::Finished(_)
            | ResponderStage::Verified(_)
            | ResponderStage::Done(_)
            | ResponderStage::Failed => Err(HandshakeError::Unexpected),
        }
    }

    /// Appends what is to be sent at the current level; returns the keys of the next level when there are any.
    pub fn write(&mut self, out: &mut Vec<u8>) -> Option<NewKeys> {
        let stage = std::mem::replace(&mut self.stage, ResponderStage::Failed);
        let (stage, keys) = match stage {
            ResponderStage::Reply(message, schedule) => {
                put(out, &message);
                let keys = NewKeys::Handshake(schedule.handshake.clone());
                (ResponderStage::Finished(schedule), Some(keys))
            }
            ResponderStage::Finished(schedule) => {
                put(out, &schedule.finished());
                (ResponderStage::AwaitFinished(schedule), None)
            }
            ResponderStage::Verified(schedule) => {
                let Schedule { data, exporter, .. } = *schedule;
                (ResponderStage::Done(exporter), Some(NewKeys::Data(data)))
            }
            idle @ (ResponderStage::AwaitHello(_)
            | ResponderStage::AwaitFinished(_)
            | ResponderStage::Done(_)
            | ResponderStage::Failed) => (idle, None),
        };
        self.stage = stage;
        keys
    }

    /// True until the peer's finished message is verified: before that, all we have may be the replay of an old hello.
    pub fn is_handshaking(&self) -> bool {
        self.exporter().is_none()
    }

    /// What the peer put into its hello. Not yet trusted while [`is_handshaking`](Self::is_handshaking).
    pub fn peer_payload(&self) -> Option<&[u8]> {
        self.payload.as_deref()
    }

    /// The peer's key, once it has proved to hold it and the handshake is complete.
    pub fn peer_static(&self) -> Option<[u8; 32]> {
        self.remote.filter(|_| !self.is_handshaking())
    }

    /// The exporter of the completed handshake.
    pub fn exporter(&self) -> Option<&Exporter> {
        match &self.stage {
            ResponderStage::Verified(schedule) => Some(&schedule.exporter),
            ResponderStage::Done(exporter) => Some(exporter),
            ResponderStage::AwaitHello(_)
            | ResponderStage::Reply(..)
            | ResponderStage::Finished(_)
            | ResponderStage::AwaitFinished(_)
            | ResponderStage::Failed => None,
        }
    }
}

struct Answer {
    reply: Vec<u8>,
    schedule: Schedule,
    peer_payload: Vec<u8>,
    peer_static: [u8; 32],
}

impl Listening {
    fn answer(self, hello: &[u8]) -> Result<Answer, HandshakeError> {
        let (kem_public, message) =
            hello.split_first_chunk::<{ kem::PUBLIC_LEN }>().ok_or(HandshakeError::Length)?;
        let mut noise = ik::responder(&self.local, kem_public, &self.entropy);
        let peer_payload = ik::read(&mut noise, message)?;
        let peer_static = ik::peer_static(&noise)?;

        let (ciphertext, psk) =
            kem::encapsulate(kem_public, &self.entropy.bytes()?).ok_or(HandshakeError::KemKey)?;
        ik::set_psk(&mut noise, &psk);
        let reply = ik::write(&mut noise, &ciphertext, &self.payload)?;
        let (split, hash) = ik::split(&mut noise);
        Ok(Answer { reply, schedule: Schedule::server(&split, hash), peer_payload, peer_static })
    }
}

/// Collects one message from the pieces it comes in.
#[derive(Default)]
struct Inbox(Vec<u8>);

impl Inbox {
    /// The message without its length, once it is complete; `lengths` are those it may have.
    fn push(
        &mut self,
        bytes: &[u8],
        lengths: RangeInclusive<usize>,
    ) -> Result<Option<Vec<u8>>, HandshakeError> {
        if self.0.len() + bytes.len() > size_of::<u16>() + MAX_MESSAGE {
            return Err(HandshakeError::Unexpected);
        }
        self.0.extend_from_slice(bytes);
        let Some((length, message)) = self.0.split_first_chunk() else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes(*length));
        if !lengths.contains(&length) {
            return Err(HandshakeError::Length);
        }
        if message.len() > length {
            return Err(HandshakeError::Unexpected);
        }
        if message.len() < length {
            return Ok(None);
        }
        let message = message.to_vec();
        self.0.clear();
        Ok(Some(message))
    }
}

/// Appends a message with its length.
fn put(out: &mut Vec<u8>, message: &[u8]) {
    // Ours are all within MAX_MESSAGE, which fits.
    out.extend_from_slice(&(message.len() as u16).to_be_bytes());
    out.extend_from_slice(message);
}

fn verify_finished(schedule: &Schedule, mac: &[u8]) -> Result<(), HandshakeError> {
    if schedule.verify_finished(mac) { Ok(()) } else { Err(HandshakeError::Finished) }
}

#[cfg(test)]
#[path = "handshake_tests.rs"]
mod tests;
