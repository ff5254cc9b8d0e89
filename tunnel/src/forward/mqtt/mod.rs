//! MQTT 3.1, 3.1.1 and 5, with grants that are topic filters.
//!
//! The exporter's end ([`far`]) reads the connection as it goes through and lets pass what the caller may
//! say and hear; the listener's end is a plain splice. A connection lives so: [`packet`] and `lane` cut
//! each direction into packets, [`judge`] decides packet by packet with the rules of the caller ([`rules`],
//! [`filter`]), `exchange` keeps the answers that are given in the broker's place in their order, and
//! `outbox` holds what is to be written. All of that is pure; the IO is one loop in `far`.
//!
//! What passes passes byte for byte, except for three packets: a CONNECT that gets the caller's suffix or
//! the broker's login, a SUBSCRIBE of which some filters are denied, and its SUBACK. Nothing is answered for
//! the broker but what it was not asked; PINGREQ and AUTH pass.
//!
//! MQTT over TLS cannot be read here: it is a `tcp` resource. MQTT over WebSocket goes through an `http`
//! resource, whose grants know nothing of topics.

pub mod filter;
pub mod judge;
pub mod packet;
pub mod rules;

mod connect;
mod counters;
mod direction;
mod exchange;
mod far;
mod lane;
mod outbox;
mod properties;
mod publish;
mod subscribe;

pub use counters::{Counters, SUBSCRIBED_BYTES_MAX, SUBSCRIPTIONS_MAX};
pub use exchange::UNANSWERED_MAX;
pub use far::far;
pub use outbox::Outbox;

use std::time::Duration;

/// Longest wait for a whole CONNECT. Until then nothing reaches the broker.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Largest packet that is judged whole, which is every one but a PUBLISH. A CONNECT with all its fields at
/// their 64 KiB would be larger; none is.
pub const JUDGED_MAX: usize = 256 * 1024;

/// Largest head of a PUBLISH: a topic of 64 KiB and as much of properties. Its payload has no bound but
/// [`packet::REMAINING_MAX`], for it is never held.
pub const HEAD_MAX: usize = 128 * 1024;

/// While so many bytes wait for one side, the other is not read.
pub const QUEUED_MAX: usize = 128 * 1024;

/// While so many bytes of answers of our own wait for one side, it is not read.
pub const ANSWERS_MAX: usize = 64 * 1024;

/// Most filters of SUBSCRIBEs that the broker has not answered.
pub const ASKED_MAX: usize = 16 * 1024;

/// Longest time that a connection is held open for the client to read why it ended.
pub const LINGER: Duration = Duration::from_secs(5);

/// Characters of the caller's alias behind a client id: 40 bits, and ids of up to 14 characters stay within
/// the 23 that MQTT 3.1 allows.
pub const SUFFIX_LEN: usize = 8;

/// SUBACK before version 5: failure, without a reason.
const UNSPECIFIED: u8 = 0x80;
const CLIENT_ID_INVALID: u8 = 0x85;
const NOT_AUTHORIZED: u8 = 0x87;
const BAD_AUTHENTICATION: u8 = 0x8c;
const TOPIC_FILTER_INVALID: u8 = 0x8f;
const QUOTA_EXCEEDED: u8 = 0x97;
