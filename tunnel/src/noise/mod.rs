//! The handshake that takes the place of TLS in our QUIC.
//!
//! In the order of life of one connection:
//!
//! **Before anything.** A node has one X25519 key, [`LocalStatic`]. Who dials must know the other's public half and puts both
//! into [`client_config`]; who listens needs its own only, [`server_config`]. Nothing is negotiated: one QUIC version
//! ([`QUIC_VERSION`]), one suite (`Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s` with ML-KEM-768), and both the version and the
//! KEM key are in the Noise prologue, so there is nothing to downgrade.
//!
//! **First packet.** Initial packets are protected with keys made of the *responder's public key* and the connection id (module
//! `initial`). Who does not know the key cannot make a packet that decrypts, and gets no answer at all. A connection id shorter
//! than [`MIN_INITIAL_CID`] is refused at the same place, since the QUIC layer would answer it before decrypting.
//!
//! **Hello and reply** ([`handshake`]). The client sends its ML-KEM key and the first Noise message, the server a ciphertext and the
//! second one; QUIC's transport parameters travel inside, encrypted. The KEM's secret becomes `psk2` (modules `kem` and `ik`), so a recorded
//! session stays closed unless X25519 *and* ML-KEM fall.
//!
//! **Finished.** A first message can be recorded and sent again, so the server trusts nothing yet: it has no 1-RTT keys and names
//! no peer. Each side proves the whole transcript with a MAC in the Handshake space, server first. Only then
//! `peer_identity()` gives a [`PeerStatic`], and only then application data flows.
//!
//! **Traffic.** Keys come from the Noise split by HKDF with labels (module `schedule`) and protect packets with
//! ChaCha20-Poly1305 (module `packet`); the nonce holds path id and packet number, so that paths never share one. A key update
//! replaces each direction's secret by a one-way step. `export_keying_material` gives both ends the same bytes for other carriers.
//!
//! **After a crash.** A [`ResetKey`] kept across restarts lets a node tell its old peers, by a stateless reset, that their connection is
//! gone; a [`TokenKey`] seals Retry and NEW_TOKEN tokens and lives as long as the process.

use std::sync::Arc;

pub mod handshake;
mod ik;
mod initial;
mod kem;
mod keys;
mod packet;
mod schedule;
mod session;
mod token;

pub use initial::MIN_INITIAL_CID;
pub use keys::{LocalStatic, PeerStatic};
pub use token::{ResetKey, TokenKey};

/// The only QUIC version we speak. It is our own, since the handshake is: nobody else's endpoint will take our packets for theirs.
///
/// Endpoints set it as their only supported version, client configurations as theirs.
pub const QUIC_VERSION: u32 = 0xc0c0_0001;

/// What a dialling endpoint needs to reach the node that holds the X25519 key `remote`.
///
/// One such object is for one peer; `server_name` given to `connect` is ignored.
pub fn client_config(local: &LocalStatic, remote: [u8; 32]) -> Arc<dyn noq::crypto::ClientConfig> {
    Arc::new(session::Client::new(local.clone(), remote))
}

/// What a listening endpoint needs to be reached under the key `local`.
pub fn server_config(local: &LocalStatic) -> Arc<dyn noq::crypto::ServerConfig> {
    Arc::new(session::Server::new(local.clone()))
}
