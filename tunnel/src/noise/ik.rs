//! The Noise half of the handshake, by snow: pattern IK (the initiator knows the responder's key and shows its own, encrypted), with
//! a pre-shared key in the second message, which is where the KEM's secret goes in.

use snow::{Builder, HandshakeState};
use zeroize::Zeroizing;

use super::{
    QUIC_VERSION,
    handshake::{HandshakeError, MAX_MESSAGE},
    kem,
    keys::{LocalStatic, is_low_order},
};

const SUITE: &str = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
const PROLOGUE: &[u8] = b"coco/1";
const PSK_POSITION: usize = 2;

const TAG_LEN: usize = 16;
const KEY_LEN: usize = 32;
/// Message 1 without payload: ephemeral key, encrypted static key, tag of the payload.
pub(super) const MESSAGE_1_LEN: usize = KEY_LEN + (KEY_LEN + TAG_LEN) + TAG_LEN;
/// Message 2 without payload: ephemeral key, tag of the payload.
pub(super) const MESSAGE_2_LEN: usize = KEY_LEN + TAG_LEN;

pub(super) fn initiator(
    local: &LocalStatic,
    remote: &[u8; 32],
    kem_public: &[u8; kem::PUBLIC_LEN],
    entropy: &Entropy,
) -> HandshakeState {
    let prologue = prologue(kem_public);
    entropy
        .builder()
        .local_private_key(local.secret())
        .and_then(|b| b.remote_public_key(remote))
        .and_then(|b| b.prologue(&prologue))
        .and_then(Builder::build_initiator)
        .expect("the suite is known to snow and each key is set once")
}

pub(super) fn responder(
    local: &LocalStatic,
    kem_public: &[u8; kem::PUBLIC_LEN],
    entropy: &Entropy,
) -> HandshakeState {
    let prologue = prologue(kem_public);
    entropy
        .builder()
        .local_private_key(local.secret())
        .and_then(|b| b.prologue(&prologue))
        .and_then(Builder::build_responder)
        .expect("the suite is known to snow and each key is set once")
}

fn prologue(kem_public: &[u8; kem::PUBLIC_LEN]) -> Vec<u8> {
    [PROLOGUE, &QUIC_VERSION.to_be_bytes(), kem_public].concat()
}

/// `kem_part`, then the next Noise message with `payload`.
pub(super) fn write(
    noise: &mut HandshakeState,
    kem_part: &[u8],
    payload: &[u8],
) -> Result<Vec<u8>, HandshakeError> {
    let mut message = vec![0; MAX_MESSAGE];
    message[..kem_part.len()].copy_from_slice(kem_part);
    let written = noise.write_message(payload, &mut message[kem_part.len()..]).map_err(|error| {
        if matches!(error, snow::Error::Rng) { HandshakeError::Random } else { HandshakeError::Payload }
    })?;
    message.truncate(kem_part.len() + written);
    Ok(message)
}

/// The payload of a received Noise message.
pub(super) fn read(noise: &mut HandshakeState, message: &[u8]) -> Result<Vec<u8>, HandshakeError> {
    // Both messages start with the sender's ephemeral key in clear.
    let ephemeral = message.first_chunk().ok_or(HandshakeError::Length)?;
    if is_low_order(ephemeral) {
        return Err(HandshakeError::LowOrder);
    }
    let mut payload = vec![0; message.len()];
    let len = noise.read_message(message, &mut payload).map_err(|_| HandshakeError::NotAuthentic)?;
    payload.truncate(len);
    Ok(payload)
}

/// The initiator's key, from its first message. It proves nothing yet: the message may be a replay.
pub(super) fn peer_static(noise: &HandshakeState) -> Result<[u8; 32], HandshakeError> {
    let key = noise
        .get_remote_static()
        .and_then(|key| <[u8; 32]>::try_from(key).ok())
        .ok_or(HandshakeError::NotAuthentic)?;
    if is_low_order(&key) {
        return Err(HandshakeError::LowOrder);
    }
    Ok(key)
}

pub(super) fn set_psk(noise: &mut HandshakeState, psk: &kem::Psk) {
    noise.set_psk(PSK_POSITION, &**psk).expect("a psk is 32 bytes long and position 2 exists");
}

/// The raw keys of both directions and the handshake hash. Only after the last message.
pub(super) fn split(noise: &mut HandshakeState) -> (Zeroizing<[u8; 64]>, [u8; 32]) {
    let (client, server) = noise.dangerously_get_raw_split();
    let (client, server) = (Zeroizing::new(client), Zeroizing::new(server));
    let mut both = Zeroizing::new([0; 64]);
    both[..32].copy_from_slice(&*client);
    both[32..].copy_from_slice(&*server);
    let mut hash = [0; 32];
    hash.copy_from_slice(noise.get_handshake_hash());
    (both, hash)
}

/// Where the secrets of one handshake come from. Only tests fix them.
pub(super) enum Entropy {
    System,
    #[cfg(test)]
    Fixed {
        ephemeral: [u8; 32],
        kem: u8,
    },
}

impl Entropy {
    /// For ML-KEM.
    pub(super) fn bytes<const N: usize>(&self) -> Result<Zeroizing<[u8; N]>, HandshakeError> {
        match self {
            Self::System => {
                let mut bytes = Zeroizing::new([0; N]);
                getrandom::fill(&mut *bytes).map_err(|_| HandshakeError::Random)?;
                Ok(bytes)
            }
            #[cfg(test)]
            Self::Fixed { kem, .. } => Ok(Zeroizing::new([*kem; N])),
        }
    }

    /// For Noise, which draws its ephemeral key itself.
    fn builder(&self) -> Builder<'_> {
        let builder = Builder::new(SUITE.parse().expect("a suite that snow knows"));
        match self {
            Self::System => builder,
            #[cfg(test)]
            Self::Fixed { ephemeral, .. } => builder.fixed_ephemeral_key_for_testing_only(ephemeral),
        }
    }
}
