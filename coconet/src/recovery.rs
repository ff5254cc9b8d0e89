//! The text of an offline owner key: `cocorec1...`.
//!
//! It holds the node's two secret keys, the network's id and its managers, so that on the day all other
//! keys are lost, paper is enough. Whoever has it is the owner.

use core::str::FromStr;

use minicbor::{Decode, Encode};
use zeroize::{Zeroize, Zeroizing};

use crate::cbor;
use crate::id::{Hash, NetworkId, base32, decode_base32};
use crate::key::{NodeKeys, SEED_LEN};
use crate::manager_addr::ManagerAddr;

/// Longest recovery text, in characters.
pub const RECOVERY_TEXT_MAX: usize = 8 * 1024;

const PREFIX: &str = "cocorec1";
const CHECKSUM_LEN: usize = 4;

/// A parsed recovery key.
#[derive(Debug)]
pub struct Recovery {
    /// The network it opens.
    pub network: NetworkId,
    /// Where its managers were.
    pub managers: Vec<ManagerAddr>,
    /// The keys.
    pub keys: NodeKeys,
}

/// A text that is no recovery key, or a damaged one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a recovery key, or a damaged one: it begins with cocorec1 and is one word")]
pub struct RecoveryError;

#[derive(Encode, Decode)]
#[cbor(map)]
struct Body {
    #[n(0)]
    network: NetworkId,
    #[n(1)]
    managers: Vec<ManagerAddr>,
    #[cbor(n(2), with = "minicbor::bytes")]
    seed: [u8; SEED_LEN],
}

impl Recovery {
    /// The text to print.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut body =
            Body { network: self.network, managers: self.managers.clone(), seed: *self.keys.to_seed() };
        let mut bytes = Zeroizing::new(cbor::encode(&body));
        body.seed.zeroize();
        let sum = checksum(&bytes);
        bytes.extend_from_slice(&sum);
        Zeroizing::new(format!("{PREFIX}{}", base32(&bytes)))
    }
}

impl FromStr for Recovery {
    type Err = RecoveryError;

    fn from_str(text: &str) -> Result<Self, RecoveryError> {
        let text = text.trim();
        let head = text.get(..PREFIX.len()).filter(|head| head.eq_ignore_ascii_case(PREFIX));
        let body = head.and(text.get(PREFIX.len()..)).filter(|body| body.len() <= RECOVERY_TEXT_MAX);
        let body = body.ok_or(RecoveryError)?;
        let bytes = Zeroizing::new(decode_base32(body).ok_or(RecoveryError)?);
        let cut = bytes.len().checked_sub(CHECKSUM_LEN).ok_or(RecoveryError)?;
        let (body, sum) = bytes.split_at(cut);
        if sum != checksum(body) {
            return Err(RecoveryError);
        }
        let mut body: Body = cbor::decode(body, RECOVERY_TEXT_MAX).map_err(|_| RecoveryError)?;
        let keys = NodeKeys::from_seed(&body.seed);
        body.seed.zeroize();
        if body.managers.is_empty() {
            return Err(RecoveryError);
        }
        Ok(Self { network: body.network, managers: body.managers, keys })
    }
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_LEN] {
    let digest = Hash::of("coco/recovery", &[bytes]).0;
    [digest[0], digest[1], digest[2], digest[3]]
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;
    use crate::id::{StampKey, StaticKey};

    #[test]
    fn a_recovery_key_parses_back_and_a_typing_mistake_is_noticed() {
        let manager = ManagerAddr {
            stamp: StampKey([1; 32]),
            talk: StaticKey([2; 32]),
            host: "192.0.2.1".parse().unwrap(),
            port: 4433,
            tls: None,
        };
        let keys = NodeKeys::from_seed(&[7; SEED_LEN]);
        let recovery = Recovery { network: NetworkId(Hash([3; 32])), managers: vec![manager], keys };
        let text = recovery.to_text();
        let back: Recovery = format!(" {}\n", *text).parse().unwrap();
        assert_eq!((back.keys.id(), back.network), (recovery.keys.id(), recovery.network));
        let typo = text.replacen("cocorec1u", "cocorec1v", 1);
        assert!(typo == *text || typo.parse::<Recovery>().is_err());
        assert!(text[..text.len() - 1].parse::<Recovery>().is_err());
        assert!(!format!("{recovery:?}").contains("7, 7"));
    }
}
