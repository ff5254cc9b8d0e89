//! ML-KEM-768, the post-quantum half of the handshake.
//!
//! The client makes a key pair for every dial and sends the public key; the server answers with a ciphertext. Both turn the shared
//! secret and the ciphertext's hash into the Noise `psk2`. A ciphertext altered on its way decapsulates to another secret (implicit
//! rejection), so the Noise message behind it fails to decrypt.

use blake2::{Blake2s256, Digest as _};
use ml_kem::{B32, Decapsulate as _, DecapsulationKey768, EncapsulationKey768, KeyExport as _, Seed};
use zeroize::Zeroizing;

use super::schedule::Secret;

/// Length of an ML-KEM-768 public key.
pub(super) const PUBLIC_LEN: usize = 1184;
/// Length of an ML-KEM-768 ciphertext.
pub(super) const CIPHERTEXT_LEN: usize = 1088;
/// Random bytes that a key pair is made of.
pub(super) const SEED_LEN: usize = 64;
/// Random bytes that an encapsulation is made of.
pub(super) const COINS_LEN: usize = 32;

const LABEL_PSK: &[u8] = b"coco/1 psk2";

/// The Noise pre-shared key of one handshake.
pub(super) type Psk = Zeroizing<[u8; 32]>;

/// The client's key pair of one dial.
pub(super) struct KeyPair(DecapsulationKey768);

impl KeyPair {
    /// `seed` must be fresh and uniformly random.
    pub(super) fn from_seed(seed: &Zeroizing<[u8; SEED_LEN]>) -> Self {
        Self(DecapsulationKey768::from_seed(Seed::from(**seed)))
    }

    pub(super) fn public(&self) -> [u8; PUBLIC_LEN] {
        self.0.encapsulation_key().to_bytes().into()
    }

    /// Never fails: a wrong ciphertext gives a key that the server does not have.
    pub(super) fn decapsulate(&self, ciphertext: &[u8; CIPHERTEXT_LEN]) -> Psk {
        let shared = Zeroizing::new(<[u8; 32]>::from(self.0.decapsulate(&(*ciphertext).into())));
        psk(&shared, ciphertext)
    }
}

/// The server's part: a ciphertext for `public`, and the key in it. None if `public` is not a valid key.
///
/// `coins` must be fresh and uniformly random.
pub(super) fn encapsulate(
    public: &[u8; PUBLIC_LEN],
    coins: &Zeroizing<[u8; COINS_LEN]>,
) -> Option<([u8; CIPHERTEXT_LEN], Psk)> {
    let key = EncapsulationKey768::new(&(*public).into()).ok()?;
    let (ciphertext, shared) = key.encapsulate_deterministic(&B32::from(**coins));
    let ciphertext = ciphertext.into();
    let shared = Zeroizing::new(<[u8; 32]>::from(shared));
    let psk = psk(&shared, &ciphertext);
    Some((ciphertext, psk))
}

fn psk(shared: &Zeroizing<[u8; 32]>, ciphertext: &[u8; CIPHERTEXT_LEN]) -> Psk {
    let hash = Blake2s256::digest(ciphertext);
    Secret::extract(&hash, &[&**shared]).expand(&[LABEL_PSK])
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn both_ends_get_the_same_psk_and_an_altered_ciphertext_gives_another() {
        let pair = KeyPair::from_seed(&Zeroizing::new([1; SEED_LEN]));
        let (mut ciphertext, ours) = encapsulate(&pair.public(), &Zeroizing::new([2; COINS_LEN])).unwrap();
        assert_eq!(pair.decapsulate(&ciphertext), ours);
        ciphertext[700] ^= 1;
        assert_ne!(pair.decapsulate(&ciphertext), ours);
    }

    #[test]
    fn a_public_key_with_coefficients_out_of_range_is_refused() {
        let coins = Zeroizing::new([2; COINS_LEN]);
        assert!(encapsulate(&[0xff; PUBLIC_LEN], &coins).is_none());
    }
}
