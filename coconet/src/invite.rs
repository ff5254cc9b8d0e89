//! The text an inviter hands over: `coco1...`.
//!
//! Canonical CBOR of network id, managers, the invite's secret and its expiry, with a 4-byte checksum,
//! in base32. Whoever holds it can join; it is a secret, so it redacts its `Debug` and is never logged.

use core::str::FromStr;

use minicbor::{Decode, Encode};
use zeroize::{Zeroize, Zeroizing};

use crate::cbor;
use crate::id::{Hash, NetworkId, base32, decode_base32};
use crate::key::{InviteSecret, NodeKeys};
use crate::ledger::{Blind, Draft};
use crate::manager_addr::ManagerAddr;
use crate::name::Name;

/// Longest invite text, in characters: eight managers with long host names fit.
pub const INVITE_TEXT_MAX: usize = 8 * 1024;

const PREFIX: &str = "coco1";
const CHECKSUM_LEN: usize = 4;

/// A parsed invite.
#[derive(Debug)]
pub struct Invitation {
    /// The network to join.
    pub network: NetworkId,
    /// Where to ask.
    pub managers: Vec<ManagerAddr>,
    /// What lets in.
    pub secret: InviteSecret,
    /// Until when, in milliseconds of Unix time: a hint; the ledger decides.
    pub expires: u64,
}

/// Why a text is not an invite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InviteError {
    /// No `coco1`.
    #[error("an invite begins with coco1")]
    Prefix,
    /// Cut or mistyped.
    #[error("the invite is damaged or cut off: copy it again")]
    Damaged,
    /// Of another version.
    #[error("the invite is of another version: update coco")]
    Version,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct Body {
    #[n(0)]
    network: NetworkId,
    #[n(1)]
    managers: Vec<ManagerAddr>,
    #[cbor(n(2), with = "minicbor::bytes")]
    secret: [u8; 32],
    #[n(3)]
    expires: u64,
}

impl Invitation {
    /// The text to hand over.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut body = Body {
            network: self.network,
            managers: self.managers.clone(),
            secret: *self.secret.to_seed(),
            expires: self.expires,
        };
        let mut bytes = Zeroizing::new(cbor::encode(&body));
        body.secret.zeroize();
        let sum = checksum(&bytes);
        bytes.extend_from_slice(&sum);
        Zeroizing::new(format!("{PREFIX}{}", base32(&bytes)))
    }

    /// The draft by which the holder of `keys` joins under `name` on top of `prev`; see [`Draft::new`].
    pub fn join(&self, keys: &NodeKeys, prev: Hash, name: &Name, blind: Blind) -> Draft {
        crate::ledger::join_draft(keys, self, prev, name, blind)
    }
}

impl FromStr for Invitation {
    type Err = InviteError;

    fn from_str(text: &str) -> Result<Self, InviteError> {
        let text = text.trim();
        let head = text.get(..PREFIX.len()).filter(|head| head.eq_ignore_ascii_case(PREFIX));
        if head.is_none() {
            let other = text.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("coco"));
            return Err(if other { InviteError::Version } else { InviteError::Prefix });
        }
        if text.len() > INVITE_TEXT_MAX {
            return Err(InviteError::Damaged);
        }
        let bytes = Zeroizing::new(decode_base32(&text[PREFIX.len()..]).ok_or(InviteError::Damaged)?);
        let cut = bytes.len().checked_sub(CHECKSUM_LEN).ok_or(InviteError::Damaged)?;
        let (body, sum) = bytes.split_at(cut);
        if sum != checksum(body) {
            return Err(InviteError::Damaged);
        }
        let mut body: Body = cbor::decode(body, INVITE_TEXT_MAX).map_err(|_| InviteError::Version)?;
        let secret = InviteSecret::from_seed(&body.secret);
        body.secret.zeroize();
        if body.managers.is_empty() {
            return Err(InviteError::Damaged);
        }
        Ok(Self { network: body.network, managers: body.managers, secret, expires: body.expires })
    }
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_LEN] {
    let digest = Hash::of("coco/invite", &[bytes]).0;
    [digest[0], digest[1], digest[2], digest[3]]
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;
    use crate::id::{StampKey, StaticKey};

    fn invitation() -> Invitation {
        Invitation {
            network: NetworkId(Hash([3; 32])),
            managers: vec![ManagerAddr {
                stamp: StampKey([1; 32]),
                talk: StaticKey([2; 32]),
                host: "192.0.2.1".parse().unwrap(),
                port: 4433,
                tls: None,
            }],
            secret: InviteSecret::from_seed(&[4; 32]),
            expires: 1_700_000_000_000,
        }
    }

    #[test]
    fn an_invite_parses_back_in_either_case_and_with_a_newline() {
        let text = invitation().to_text();
        for spelt in [text.to_string(), text.to_uppercase(), format!("  {}\n", *text)] {
            let back: Invitation = spelt.parse().unwrap();
            assert_eq!(back.secret.key(), invitation().secret.key());
            assert_eq!(back.managers, invitation().managers);
        }
    }

    #[test]
    fn every_mistyped_character_is_noticed() {
        let text = invitation().to_text();
        for at in PREFIX.len()..text.len() {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'a' { b'b' } else { b'a' };
            let typo = String::from_utf8(bytes).unwrap();
            assert_eq!(typo.parse::<Invitation>().map(|_| ()), Err(InviteError::Damaged), "at {at}");
        }
        assert_eq!(text[..60].parse::<Invitation>().map(|_| ()), Err(InviteError::Damaged));
    }

    #[test]
    fn other_texts_say_what_they_are_not() {
        assert_eq!("hello".parse::<Invitation>().map(|_| ()), Err(InviteError::Prefix));
        assert_eq!("coco2abc".parse::<Invitation>().map(|_| ()), Err(InviteError::Version));
        assert_eq!("".parse::<Invitation>().map(|_| ()), Err(InviteError::Prefix));
        assert_eq!("cöco1".parse::<Invitation>().map(|_| ()), Err(InviteError::Prefix));
    }

    #[test]
    fn an_invite_does_not_print_its_secret() {
        let printed = format!("{:?}", invitation());
        assert!(printed.contains("secret") && !printed.contains("4, 4"));
    }
}
