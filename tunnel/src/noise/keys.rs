//! X25519 keys: our own, and the peer's once it is proved.

use std::fmt;

use snow::{
    params::DHChoice,
    resolvers::{CryptoResolver, DefaultResolver},
};
use zeroize::Zeroizing;

/// A node's own X25519 key. Wiped from memory on drop, never printed.
#[derive(Clone)]
pub struct LocalStatic {
    secret: Zeroizing<[u8; 32]>,
    public: [u8; 32],
}

impl LocalStatic {
    /// From the 32 secret bytes (any value is a key; X25519 clamps).
    pub fn from_secret(secret: [u8; 32]) -> Self {
        let secret = Zeroizing::new(secret);
        let mut dh = DefaultResolver
            .resolve_dh(&DHChoice::Curve25519)
            .expect("the use-curve25519 feature of snow is on");
        dh.set(&*secret);
        let mut public = [0; 32];
        public.copy_from_slice(dh.pubkey());
        Self { secret, public }
    }

    /// The public half, which peers dial.
    pub fn public(&self) -> [u8; 32] {
        self.public
    }

    pub(super) fn secret(&self) -> &[u8; 32] {
        &self.secret
    }
}

impl fmt::Debug for LocalStatic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalStatic").finish_non_exhaustive()
    }
}

/// The peer's X25519 key, proved by a completed handshake: what `peer_identity()` of a connection gives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PeerStatic(pub [u8; 32]);

/// Whether a public key is one of the few points for which every secret gives the same, all-zero result. Nobody has such a key, and
/// anybody could pass for its owner.
pub(super) fn is_low_order(public: &[u8; 32]) -> bool {
    let mut key = *public;
    key[31] &= 0x7f; // X25519 ignores the highest bit
    LOW_ORDER.contains(&key)
}

/// All encodings of the points of low order on curve25519 and its twist, highest bit cleared.
const LOW_ORDER: [[u8; 32]; 7] = [
    [0; 32],
    small(1),
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda,
        0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04,
        0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
    ],
    near_p(0xec),
    near_p(0xed),
    near_p(0xee),
];

const fn small(value: u8) -> [u8; 32] {
    let mut key = [0; 32];
    key[0] = value;
    key
}

const fn near_p(low: u8) -> [u8; 32] {
    let mut key = [0xff; 32];
    key[0] = low;
    key[31] = 0x7f;
    key
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn shared(secret: [u8; 32], public: &[u8; 32]) -> [u8; 32] {
        let mut dh = DefaultResolver.resolve_dh(&DHChoice::Curve25519).unwrap();
        dh.set(&secret);
        let mut out = [0; 32];
        dh.dh(public, &mut out).unwrap();
        out
    }

    #[test]
    fn each_low_order_point_gives_zero_and_an_ordinary_key_does_not() {
        for point in LOW_ORDER {
            assert_eq!(shared([7; 32], &point), [0; 32], "{point:02x?}");
            assert!(is_low_order(&point));
            let mut high = point;
            high[31] |= 0x80;
            assert!(is_low_order(&high));
        }
        let public = LocalStatic::from_secret([9; 32]).public();
        assert!(!is_low_order(&public));
        assert_ne!(shared([7; 32], &public), [0; 32]);
    }

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", LocalStatic::from_secret([0x41; 32])), "LocalStatic { .. }");
    }
}
