//! Names that cannot be forged: public keys and hashes.
//!
//! A [`NodeId`] is an Ed25519 public key, a [`NetworkId`] the hash of a genesis entry. Both print as
//! a one-letter prefix and lower-case base32; `{}` gives the short form people compare by eye
//! ([`SHORT_LEN`] characters), [`NodeId::full`] the whole. Parsing takes the whole form only: a short
//! form is a hint, never an identity.

use core::fmt;
use core::str::FromStr;

use blake2::{Blake2s256, Digest};
use minicbor::{Decode, Encode};

/// Characters of base32 in a short form: 50 bits, enough to tell the nodes of one network apart.
pub const SHORT_LEN: usize = 10;

/// A BLAKE2s-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Hash(#[cbor(with = "minicbor::bytes")] pub [u8; 32]);

/// The Ed25519 public key of a node: what it signs ledger entries with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct NodeId(#[cbor(with = "minicbor::bytes")] pub [u8; 32]);

/// The X25519 public key of a node or a manager: what its sessions are authenticated by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct StaticKey(#[cbor(with = "minicbor::bytes")] pub [u8; 32]);

/// The Ed25519 public key that a manager stamps entries with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct StampKey(#[cbor(with = "minicbor::bytes")] pub [u8; 32]);

/// The Ed25519 public key of an invite.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct InviteKey(#[cbor(with = "minicbor::bytes")] pub [u8; 32]);

/// The hash of a network's genesis entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct NetworkId(pub Hash);

/// Why a text is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The one-letter prefix is missing or another one.
    #[error("an id of this kind starts with `{0}`")]
    Prefix(&'static str),
    /// Not base32, or not 32 bytes of it.
    #[error("not 52 characters of base32")]
    Body,
}

impl Hash {
    /// All zero: the parent of a genesis entry.
    pub const ZERO: Self = Self([0; 32]);

    /// The digest of `parts` under a domain tag, so that no two kinds of object share a digest.
    pub fn of(domain: &str, parts: &[&[u8]]) -> Self {
        let mut hasher = Blake2s256::new();
        hasher.update([u8::try_from(domain.len()).unwrap_or(u8::MAX)]);
        hasher.update(domain.as_bytes());
        for part in parts {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }
}

macro_rules! printed {
    ($type:ident, $prefix:literal, $bytes:expr, $wrap:expr) => {
        impl $type {
            /// The whole id as text; [`FromStr`] takes it back.
            pub fn full(&self) -> String {
                format!("{}{}", $prefix, base32(&$bytes(self)))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let text = base32(&$bytes(self));
                write!(f, "{}{}", $prefix, &text[..SHORT_LEN])
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $type {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let body = text.strip_prefix($prefix).ok_or(IdError::Prefix($prefix))?;
                from_base32(body).map($wrap).ok_or(IdError::Body)
            }
        }
    };
}

printed!(Hash, "h:", |hash: &Self| hash.0, Self);
printed!(NodeId, "n:", |id: &Self| id.0, Self);
printed!(StaticKey, "x:", |key: &Self| key.0, Self);
printed!(StampKey, "m:", |key: &Self| key.0, Self);
printed!(InviteKey, "i:", |key: &Self| key.0, Self);
printed!(NetworkId, "net:", |id: &Self| id.0.0, |bytes| Self(Hash(bytes)));

/// Lower-case base32 without padding: the one text form of binary in this project.
pub(crate) fn base32(bytes: &[u8]) -> String {
    data_encoding::BASE32_NOPAD.encode(bytes).to_ascii_lowercase()
}

/// The inverse of [`base32`]; takes either case, because QR codes are upper-case.
pub(crate) fn decode_base32(text: &str) -> Option<Vec<u8>> {
    data_encoding::BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).ok()
}

fn from_base32(text: &str) -> Option<[u8; 32]> {
    decode_base32(text)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_form_parses_back_and_the_short_form_does_not() {
        let id = NodeId([7; 32]);
        assert_eq!(id.full().parse(), Ok(id));
        assert_eq!(id.full().to_uppercase().replacen("N:", "n:", 1).parse(), Ok(id));
        assert_eq!(id.to_string().parse::<NodeId>(), Err(IdError::Body));
        assert_eq!("x:aaaa".parse::<NodeId>(), Err(IdError::Prefix("n:")));
    }

    #[test]
    fn digests_of_differently_cut_parts_differ() {
        assert_ne!(Hash::of("t", &[b"ab", b"c"]), Hash::of("t", &[b"a", b"bc"]));
        assert_ne!(Hash::of("t", &[b"abc"]), Hash::of("u", &[b"abc"]));
    }
}
