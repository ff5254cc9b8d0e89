//! The secrets of a node, and the public record that ties its two keys together.
//!
//! [`NodeKeys`] is made from 64 random bytes that the caller fetched; [`NodeKeys::to_file`] and
//! [`NodeKeys::from_file`] are its only way in and out. Everything secret here redacts its `Debug`
//! and is wiped on drop.

use core::fmt;

use ed25519_dalek::{Signature as DalekSignature, Signer, SigningKey, VerifyingKey};
use minicbor::{Decode, Encode};
use x25519_dalek::StaticSecret;
use zeroize::Zeroizing;

use crate::cbor;
use crate::id::{InviteKey, NodeId, StampKey, StaticKey, base32};

/// Bytes of randomness that make a [`NodeKeys`].
pub const SEED_LEN: usize = 64;

/// First line of a key file: its kind and version.
const FILE_MAGIC: &[u8] = b"coco-node-key-1\n";

/// An Ed25519 signature.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Signature(#[cbor(with = "minicbor::bytes")] pub [u8; 64]);

/// Characters of [`NodeKeys::alias`]: 80 bits.
pub const ALIAS_LENGTH: usize = 16;

/// The two secret keys of one node, or of a manager: Ed25519 to author, X25519 to talk.
pub struct NodeKeys {
    sign: SigningKey,
    talk: StaticSecret,
}

/// The secret half of an invite.
pub struct InviteSecret(SigningKey);

/// A node's keys as others know them: its Ed25519 key has signed its X25519 key.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct NodeRecord {
    /// The authoring key, which is the node's id.
    #[n(0)]
    pub node: NodeId,
    /// The session key.
    #[n(1)]
    pub talk: StaticKey,
    /// By `node` over both.
    #[n(2)]
    pub signature: Signature,
}

/// A key file that is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a coco node key of this version")]
pub struct KeyFileError;

/// A signature that does not hold: another key, another message, or a malleable form of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not hold")]
pub struct BadSignature;

impl NodeKeys {
    /// Keys from fresh randomness.
    pub fn from_seed(seed: &[u8; SEED_LEN]) -> Self {
        let (sign, talk) = halves(seed);
        Self { sign: SigningKey::from_bytes(&sign), talk: StaticSecret::from(*talk) }
    }

    /// The randomness these keys were made of.
    pub fn to_seed(&self) -> Zeroizing<[u8; SEED_LEN]> {
        let mut seed = Zeroizing::new([0; SEED_LEN]);
        seed[..32].copy_from_slice(self.sign.as_bytes());
        seed[32..].copy_from_slice(self.talk.as_bytes());
        seed
    }

    /// What a key file holds.
    pub fn to_file(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_MAGIC.len() + SEED_LEN));
        bytes.extend_from_slice(FILE_MAGIC);
        bytes.extend_from_slice(&*self.to_seed());
        bytes
    }

    /// The keys in a key file.
    pub fn from_file(bytes: &[u8]) -> Result<Self, KeyFileError> {
        let body = bytes.strip_prefix(FILE_MAGIC).ok_or(KeyFileError)?;
        body.try_into().map(Self::from_seed).map_err(|_| KeyFileError)
    }

    /// The id of the node these keys are of.
    pub fn id(&self) -> NodeId {
        NodeId(self.sign.verifying_key().to_bytes())
    }

    /// The public half of the session key.
    pub fn static_key(&self) -> StaticKey {
        StaticKey(x25519_dalek::PublicKey::from(&self.talk).to_bytes())
    }

    /// The secret half of the session key, for the handshake alone.
    pub fn static_secret(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.talk.to_bytes())
    }

    /// The key these keys stamp with when they are a manager's.
    pub fn stamp_key(&self) -> StampKey {
        StampKey(self.sign.verifying_key().to_bytes())
    }

    /// A secret for another purpose, bound to these keys and to `label`.
    pub fn derive(&self, label: &str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(crate::id::Hash::of("coco/derive", &[label.as_bytes(), self.sign.as_bytes()]).0)
    }

    /// What applications behind this node know a peer by: always the same for the two, and without this
    /// node's secret nobody finds out of whom.
    pub fn alias(&self, peer: NodeId) -> String {
        let secret = self.derive("alias");
        let mut text = base32(&crate::id::Hash::of("coco/alias", &[&*secret, &peer.0]).0);
        text.truncate(ALIAS_LENGTH);
        text
    }

    /// Sign `message` under `domain`.
    pub fn sign(&self, domain: &str, message: &[u8]) -> Signature {
        sign(&self.sign, domain, message)
    }

    /// The record that introduces these keys.
    pub fn record(&self) -> NodeRecord {
        let (node, talk) = (self.id(), self.static_key());
        NodeRecord { node, talk, signature: self.sign(RECORD_DOMAIN, &record_message(node, talk)) }
    }
}

impl InviteSecret {
    /// A secret from fresh randomness.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The 32 bytes that an invite carries.
    pub fn to_seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public half, which stands in the ledger.
    pub fn key(&self) -> InviteKey {
        InviteKey(self.0.verifying_key().to_bytes())
    }

    /// Sign `message` under `domain`.
    pub fn sign(&self, domain: &str, message: &[u8]) -> Signature {
        sign(&self.0, domain, message)
    }
}

impl NodeRecord {
    /// Whether the node has signed the session key.
    pub fn verify(&self) -> Result<(), BadSignature> {
        verify(&self.node.0, RECORD_DOMAIN, &record_message(self.node, self.talk), &self.signature)
    }
}

/// Whether `signature` over `message` under `domain` is by `key`. Strict: one signature has one form,
/// and keys of small order sign nothing.
pub fn verify(
    key: &[u8; 32],
    domain: &str,
    message: &[u8],
    signature: &Signature,
) -> Result<(), BadSignature> {
    let key = VerifyingKey::from_bytes(key).map_err(|_| BadSignature)?;
    let signature = DalekSignature::from_bytes(&signature.0);
    key.verify_strict(&tagged(domain, message), &signature).map_err(|_| BadSignature)
}

impl fmt::Debug for NodeKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeKeys({}, secret)", self.id())
    }
}

impl fmt::Debug for InviteSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InviteSecret({}, secret)", self.key())
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({})", crate::id::base32(&self.0[..6]))
    }
}

const RECORD_DOMAIN: &str = "coco/record";

fn record_message(node: NodeId, talk: StaticKey) -> Vec<u8> {
    cbor::encode(&(node, talk))
}

fn sign(key: &SigningKey, domain: &str, message: &[u8]) -> Signature {
    Signature(key.sign(&tagged(domain, message)).to_bytes())
}

/// A signature for one purpose is worth nothing for another.
fn tagged(domain: &str, message: &[u8]) -> [u8; 32] {
    crate::id::Hash::of(domain, &[message]).0
}

fn halves(seed: &[u8; SEED_LEN]) -> (Zeroizing<[u8; 32]>, Zeroizing<[u8; 32]>) {
    let mut sign = Zeroizing::new([0; 32]);
    let mut talk = Zeroizing::new([0; 32]);
    sign.copy_from_slice(&seed[..32]);
    talk.copy_from_slice(&seed[32..]);
    (sign, talk)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn a_key_file_gives_the_same_keys_back() {
        let keys = NodeKeys::from_seed(&[5; SEED_LEN]);
        let back = NodeKeys::from_file(&keys.to_file()).unwrap();
        assert_eq!((back.id(), back.static_key()), (keys.id(), keys.static_key()));
        assert!(NodeKeys::from_file(b"coco-node-key-2\n").is_err());
        assert!(NodeKeys::from_file(&keys.to_file()[..40]).is_err());
    }

    #[test]
    fn a_record_holds_for_its_two_keys_only() {
        let record = NodeKeys::from_seed(&[1; SEED_LEN]).record();
        assert_eq!(record.verify(), Ok(()));
        let other = NodeKeys::from_seed(&[2; SEED_LEN]);
        assert!(NodeRecord { talk: other.static_key(), ..record.clone() }.verify().is_err());
        assert!(NodeRecord { node: other.id(), ..record }.verify().is_err());
    }

    #[test]
    fn a_signature_of_one_domain_is_refused_in_another() {
        let keys = NodeKeys::from_seed(&[1; SEED_LEN]);
        let signature = keys.sign("a", b"m");
        assert_eq!(verify(&keys.id().0, "a", b"m", &signature), Ok(()));
        assert!(verify(&keys.id().0, "b", b"m", &signature).is_err());
    }

    #[test]
    fn a_malleated_signature_and_a_weak_key_are_refused() {
        let keys = NodeKeys::from_seed(&[1; SEED_LEN]);
        let mut high_s = keys.sign("a", b"m");
        // s + l: the same point, another spelling.
        let l = data_encoding::HEXLOWER
            .decode(b"edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
            .unwrap();
        let mut carry = 0u16;
        for (byte, add) in high_s.0[32..].iter_mut().zip(l) {
            carry += u16::from(*byte) + u16::from(add);
            *byte = carry.to_le_bytes()[0];
            carry >>= 8;
        }
        assert!(verify(&keys.id().0, "a", b"m", &high_s).is_err());
        let mut weak = [0; 32];
        weak[0] = 1;
        let mut identity = [0; 64];
        identity[0] = 1;
        assert!(verify(&weak, "a", b"m", &Signature(identity)).is_err());
    }

    #[test]
    fn secrets_do_not_print() {
        let keys = NodeKeys::from_seed(&[9; SEED_LEN]);
        let secret = InviteSecret::from_seed(&[9; 32]);
        for printed in [format!("{keys:?}"), format!("{secret:?}")] {
            assert!(printed.contains("secret") && !printed.contains("9, 9") && !printed.contains("0909"));
        }
    }
}
