//! How a manager proves in TLS that it is the one its address names.
//!
//! TLS has a key of its own, made anew at each start: the stamp key signs nothing but messages under a
//! domain. One of these is a binding of the TLS key, which stands in a self-signed certificate, in an
//! extension of our own. `Pinned` takes that one form of certificate and no other, byte for byte: nothing
//! is parsed, and no clock is asked.
//!
//! RFC 7250's raw public keys, which rustls can do, would save the certificate. But the key would have to be
//! the stamp key itself, shown to whoever connects, and asking for one stands in the clear, where some
//! middleboxes do not expect it. So this is an ordinary handshake of TLS 1.3 to them, and to somebody who
//! does not know the manager's address its certificate does not say which manager it is.

use std::sync::Arc;

use coconet::id::StampKey;
use coconet::key::{self, NodeKeys, Signature};
use ring::signature::{Ed25519KeyPair, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring as provider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, PeerIncompatible, ServerConfig,
    SignatureScheme,
};
use zeroize::Zeroizing;

/// What the binding of a TLS key is signed under.
pub const DOMAIN: &str = "coco/tls";

/// What is asked for and answered in TLS as the protocol inside. It is visible from outside, and this one is
/// let through wherever port 443 is. It need not tell protocols apart: the key is used for nothing else.
const ALPN: &[u8] = b"http/1.1";

/// Up to the key: a certificate, of version 3, serial 1, Ed25519, issuer CN=coco, from 1970 until 9999,
/// subject CN=coco.
const HEAD: [u8; 102] = [
    0x30, 0x82, 0x01, 0x2a, 0x30, 0x81, 0xdd, 0xa0, 0x03, 0x02, 0x01, 0x02, 0x02, 0x01, 0x01, 0x30, 0x05,
    0x06, 0x03, 0x2b, 0x65, 0x70, 0x30, 0x0f, 0x31, 0x0d, 0x30, 0x0b, 0x06, 0x03, 0x55, 0x04, 0x03, 0x0c,
    0x04, b'c', b'o', b'c', b'o', 0x30, 0x20, 0x17, 0x0d, b'7', b'0', b'0', b'1', b'0', b'1', b'0', b'0',
    b'0', b'0', b'0', b'0', b'Z', 0x18, 0x0f, b'9', b'9', b'9', b'9', b'1', b'2', b'3', b'1', b'2', b'3',
    b'5', b'9', b'5', b'9', b'Z', 0x30, 0x0f, 0x31, 0x0d, 0x30, 0x0b, 0x06, 0x03, 0x55, 0x04, 0x03, 0x0c,
    0x04, b'c', b'o', b'c', b'o', 0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// From the key to the binding: one extension, named by a UUID (2.25.322127396286627359607772357736884228012).
const MIDDLE: [u8; 30] = [
    0xa3, 0x5c, 0x30, 0x5a, 0x30, 0x58, 0x06, 0x14, 0x69, 0x83, 0xe4, 0xd7, 0xbd, 0xb5, 0xdc, 0xe0, 0xa2,
    0xbf, 0x99, 0xb0, 0xda, 0xd3, 0x86, 0xf9, 0xef, 0xf9, 0x9f, 0x2c, 0x04, 0x40,
];

/// From the binding to the certificate's signature by its own key.
const TAIL: [u8; 10] = [0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x41, 0x00];

/// Bytes before the part that the certificate's own key signs.
const OUTER: usize = 4;

/// PKCS #8 before an Ed25519 seed.
const PKCS8: [u8; 16] = [48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32];

/// Why a manager can show no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The system gives no randomness.
    #[error("no randomness for a TLS key")]
    Random,
    /// The TLS library does not take what was made.
    #[error("cannot set up TLS")]
    Tls(#[from] Error),
}

/// How the manager of `keys` serves TLS, with a fresh key.
pub fn server_config(keys: &NodeKeys) -> Result<ServerConfig, IdentityError> {
    let mut pkcs8 = Zeroizing::new([0; PKCS8.len() + 32]);
    pkcs8[..PKCS8.len()].copy_from_slice(&PKCS8);
    getrandom::fill(&mut pkcs8[PKCS8.len()..]).map_err(|_| IdentityError::Random)?;
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&*pkcs8).map_err(|_| IdentityError::Random)?;
    let certificate = CertificateDer::from(certificate(keys, &pair));
    let key = provider::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(&pkcs8[..]))?;
    let shown = SingleCertAndKey::from(CertifiedKey::new(vec![certificate], key));
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(shown));
    config.alpn_protocols = vec![ALPN.to_vec()];
    // A connection lasts; there is nothing worth remembering of it.
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// How a client of the manager that stamps with `stamp` speaks TLS.
pub fn client_config(stamp: StampKey) -> Result<ClientConfig, Error> {
    let provider = provider();
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned { stamp, provider }))
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

/// Whether `certificate` is of our form and its key vouched for by `stamp`. That the other end has that key
/// is for TLS to prove.
pub fn vouched(stamp: &StampKey, certificate: &[u8]) -> bool {
    let Some((key, binding)) = holes(certificate) else { return false };
    key::verify(&stamp.0, DOMAIN, key, &Signature(*binding)).is_ok()
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(provider::default_provider())
}

fn certificate(keys: &NodeKeys, pair: &Ed25519KeyPair) -> Vec<u8> {
    let key = pair.public_key().as_ref();
    let binding = keys.sign(DOMAIN, key).0;
    let mut certificate = [&HEAD, key, &MIDDLE, &binding].concat();
    let signature = pair.sign(&certificate[OUTER..]);
    certificate.extend_from_slice(&TAIL);
    certificate.extend_from_slice(signature.as_ref());
    certificate
}

/// Key and binding of a certificate of our form.
fn holes(certificate: &[u8]) -> Option<(&[u8; 32], &[u8; 64])> {
    let (key, rest) = certificate.strip_prefix(&HEAD)?.split_first_chunk()?;
    let (binding, rest) = rest.strip_prefix(&MIDDLE)?.split_first_chunk()?;
    let own: Option<&[u8; 64]> = rest.strip_prefix(&TAIL)?.try_into().ok();
    own.map(|_| (key, binding))
}

/// Takes the certificate of one manager.
#[derive(Debug)]
struct Pinned {
    stamp: StampKey,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if vouched(&self.stamp, certificate) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::ServerDoesNotSupportTls12Or13.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use coconet::key::SEED_LEN;

    use super::*;

    fn made(seed: u8) -> (NodeKeys, Vec<u8>) {
        let keys = NodeKeys::from_seed(&[seed; SEED_LEN]);
        let pair = Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap();
        let certificate = certificate(&keys, &pair);
        (keys, certificate)
    }

    #[test]
    fn only_the_stamp_key_that_bound_it_vouches_for_a_certificate() {
        let ((keys, certificate), (other, _)) = (made(1), made(2));
        assert!(vouched(&keys.stamp_key(), &certificate));
        assert!(!vouched(&other.stamp_key(), &certificate));
    }

    #[test]
    fn no_byte_of_what_is_pinned_can_be_changed() {
        let (keys, certificate) = made(1);
        // The signature by the certificate's own key proves nothing: TLS proves that key.
        for at in 0..certificate.len() - 64 {
            let mut changed = certificate.clone();
            changed[at] ^= 1;
            assert!(!vouched(&keys.stamp_key(), &changed), "byte {at}");
        }
        assert!(!vouched(&keys.stamp_key(), &[&certificate[..], &[0]].concat()));
        assert!(!vouched(&keys.stamp_key(), &certificate[..certificate.len() - 1]));
        assert!(!vouched(&keys.stamp_key(), &[]));
    }

    #[test]
    fn it_is_a_certificate_to_others_too() {
        let (_, der) = made(1);
        let key = [&PKCS8[..], &[9; 32]].concat();
        let key = PrivatePkcs8KeyDer::from(key).into();
        // Parses it, and compares its key with the secret one.
        CertifiedKey::from_der(vec![der.into()], key, &provider()).unwrap();
    }

    #[test]
    fn no_two_starts_use_one_key() {
        let keys = NodeKeys::from_seed(&[1; SEED_LEN]);
        assert!(server_config(&keys).is_ok());
        let fresh = || {
            let mut seed = [0; 32];
            getrandom::fill(&mut seed).unwrap();
            certificate(&keys, &Ed25519KeyPair::from_seed_unchecked(&seed).unwrap())
        };
        assert_ne!(fresh(), fresh());
    }
}
