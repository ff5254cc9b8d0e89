//! The two keys an endpoint has for itself: one for address tokens, one for stateless resets.

use std::fmt;

use noq::crypto::{CryptoError, HandshakeTokenKey, HmacKey};
use ring::{
    aead::{Aad, LessSafeKey, NONCE_LEN, Nonce},
    hmac,
};
use zeroize::Zeroizing;

use super::{packet::aead_key, schedule::Secret};

const LABEL_TOKEN: &[u8] = b"coco/1 address token";

/// Seals the tokens in Retry packets and NEW_TOKEN frames. Random per process: a token does not outlive it.
#[derive(Debug)]
pub struct TokenKey(Secret);

impl TokenKey {
    /// A fresh random key.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn random() -> Result<Self, getrandom::Error> {
        let bytes = random_bytes()?;
        Ok(Self(Secret::extract(LABEL_TOKEN, &[&*bytes])))
    }

    /// Each token has its own key and nonce, made of the 128-bit number that noq draws for it, so that no number of tokens wears
    /// out a 96-bit nonce.
    fn derive(&self, token_nonce: u128) -> (LessSafeKey, Nonce) {
        let nonce = token_nonce.to_le_bytes();
        let bytes = self.0.expand::<{ 32 + NONCE_LEN }>(&[LABEL_TOKEN, &nonce]);
        let (key, nonce) = bytes.split_first_chunk::<32>().expect("the array is longer than that");
        let nonce = Nonce::try_assume_unique_for_key(nonce).expect("the rest is one nonce long");
        (aead_key(key), nonce)
    }
}

impl HandshakeTokenKey for TokenKey {
    fn seal(&self, token_nonce: u128, data: &mut Vec<u8>) -> Result<(), CryptoError> {
        let (key, nonce) = self.derive(token_nonce);
        key.seal_in_place_append_tag(nonce, Aad::empty(), data).map_err(|_| CryptoError)
    }

    fn open<'a>(&self, token_nonce: u128, data: &'a mut [u8]) -> Result<&'a [u8], CryptoError> {
        let (key, nonce) = self.derive(token_nonce);
        let plain = key.open_in_place(nonce, Aad::empty(), data).map_err(|_| CryptoError)?;
        Ok(plain)
    }
}

/// Makes the stateless reset token of each connection id, by HMAC-SHA256. A node that keeps the secret across restarts can tell its
/// old peers at once that their connections are gone.
pub struct ResetKey(hmac::Key);

impl ResetKey {
    /// From a secret that the node keeps.
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// A fresh random key, for who has no state to keep.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn random() -> Result<Self, getrandom::Error> {
        Ok(Self::from_secret(&*random_bytes()?))
    }
}

impl HmacKey for ResetKey {
    fn sign(&self, data: &[u8], signature_out: &mut [u8]) {
        signature_out.copy_from_slice(hmac::sign(&self.0, data).as_ref());
    }

    fn signature_len(&self) -> usize {
        hmac::HMAC_SHA256.digest_algorithm().output_len()
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        hmac::verify(&self.0, data, signature).map_err(|_| CryptoError)
    }
}

impl fmt::Debug for ResetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResetKey(..)")
    }
}

fn random_bytes() -> Result<Zeroizing<[u8; 32]>, getrandom::Error> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn a_token_opens_with_its_key_and_number_only() {
        let key = TokenKey::random().unwrap();
        let mut sealed = b"address".to_vec();
        key.seal(7, &mut sealed).unwrap();
        assert_eq!(key.open(7, &mut sealed.clone()).unwrap(), b"address");
        assert!(key.open(8, &mut sealed.clone()).is_err());
        let other = TokenKey::random().unwrap();
        assert!(other.open(7, &mut sealed.clone()).is_err());
        for i in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[i] ^= 1;
            assert!(key.open(7, &mut altered).is_err());
            assert!(key.open(7, &mut sealed.clone()[..i]).is_err());
        }
    }

    /// RFC 4231, test case 2, whose key padded with zeros to 32 bytes is the same HMAC key.
    #[test]
    fn the_reset_key_is_hmac_sha256() {
        let mut secret = [0; 32];
        secret[..4].copy_from_slice(b"Jefe");
        let key = ResetKey::from_secret(&secret);
        let mut out = vec![0; key.signature_len()];
        let data = b"what do ya want for nothing?";
        key.sign(data, &mut out);
        assert_eq!(
            out,
            [
                0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24, 0x26, 0x08, 0x95, 0x75,
                0xc7, 0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27, 0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec,
                0x38, 0x43
            ]
        );
        assert!(key.verify(data, &out).is_ok());
        out[31] ^= 1;
        assert!(key.verify(data, &out).is_err());
    }
}
