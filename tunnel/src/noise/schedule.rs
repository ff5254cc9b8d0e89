//! From the end of the Noise handshake to every key of the session.
//!
//! The two raw keys of the Noise split and the handshake hash give one master secret; from it HKDF (BLAKE2s) with labels makes a
//! secret per direction for the Handshake space, one per direction for data, and one for export. A direction's secret in turn makes
//! packet key, IV, header key and the secret that follows it after a key update. Every label is a constant of this file (`LABEL_*`),
//! every one is different: no two keys share an input.

use std::fmt;

use blake2::Blake2s256;
use hkdf::{
    SimpleHkdf, SimpleHkdfExtract,
    hmac::{KeyInit as _, Mac as _, SimpleHmac},
};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// Length of the MAC in a finished message.
pub(super) const FINISHED_LEN: usize = 32;

/// HKDF gives at most 255 hash outputs from one label.
pub(super) const MAX_EXPORT: usize = 255 * 32;

const LABEL_CLIENT_HANDSHAKE: &[u8] = b"coco/1 client handshake";
const LABEL_SERVER_HANDSHAKE: &[u8] = b"coco/1 server handshake";
const LABEL_CLIENT_DATA: &[u8] = b"coco/1 client data";
const LABEL_SERVER_DATA: &[u8] = b"coco/1 server data";
const LABEL_EXPORTER: &[u8] = b"coco/1 exporter";
const LABEL_FINISHED: &[u8] = b"coco/1 finished";
const LABEL_UPDATE: &[u8] = b"coco/1 key update";
const LABEL_EXPORT: &[u8] = b"coco/1 export";

/// 32 secret bytes from which keys are made. Wiped on drop, never printed.
#[derive(Clone)]
pub struct Secret(Zeroizing<[u8; 32]>);

impl Secret {
    /// HKDF-Extract over the concatenation of `parts`.
    pub(super) fn extract(salt: &[u8], parts: &[&[u8]]) -> Self {
        let mut extract = SimpleHkdfExtract::<Blake2s256>::new(Some(salt));
        for part in parts {
            extract.input_ikm(part);
        }
        Self(Zeroizing::new(extract.finalize().0.into()))
    }

    /// HKDF-Expand to a key of `N` bytes, `N` at most [`MAX_EXPORT`].
    pub(super) fn expand<const N: usize>(&self, info: &[&[u8]]) -> Zeroizing<[u8; N]> {
        const { assert!(N <= MAX_EXPORT) };
        let mut out = Zeroizing::new([0; N]);
        let filled = self.expand_into(info, &mut *out);
        debug_assert!(filled, "the length is checked when compiling");
        out
    }

    /// HKDF-Expand over the concatenation of `info`; false, and `out` untouched, when it is longer than [`MAX_EXPORT`].
    #[must_use]
    fn expand_into(&self, info: &[&[u8]], out: &mut [u8]) -> bool {
        SimpleHkdf::<Blake2s256>::from_prk(&*self.0)
            .expect("32 bytes are one whole BLAKE2s output")
            .expand_multi_info(info, out)
            .is_ok()
    }

    /// HMAC-BLAKE2s over the concatenation of `parts`.
    pub(super) fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac =
            SimpleHmac::<Blake2s256>::new_from_slice(&*self.0).expect("HMAC takes keys of any length");
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// The secret that follows this one after a key update. There is no way back.
    pub(super) fn next(&self) -> Self {
        Self(self.expand(&[LABEL_UPDATE]))
    }

    pub(super) fn child(&self, label: &[u8]) -> Self {
        Self(self.expand(&[label]))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The secrets of one packet number space: ours to send with, the peer's to receive with.
#[derive(Clone, Debug)]
pub struct Secrets {
    pub(super) local: Secret,
    pub(super) remote: Secret,
}

impl Secrets {
    /// Both directions after a key update; each follows from itself alone.
    pub(super) fn next(&self) -> Self {
        Self { local: self.local.next(), remote: self.remote.next() }
    }

    fn swapped(self) -> Self {
        Self { local: self.remote, remote: self.local }
    }
}

/// Everything a finished Noise handshake gives, seen from one side.
pub(super) struct Schedule {
    pub(super) handshake: Secrets,
    pub(super) data: Secrets,
    pub(super) exporter: Exporter,
    hash: [u8; 32],
}

impl Schedule {
    /// The client's view. `split` holds the raw keys of both directions, `hash` the Noise handshake hash.
    pub(super) fn client(split: &Zeroizing<[u8; 64]>, hash: [u8; 32]) -> Self {
        let master = Secret::extract(&hash, &[&**split]);
        Self {
            handshake: Secrets {
                local: master.child(LABEL_CLIENT_HANDSHAKE),
                remote: master.child(LABEL_SERVER_HANDSHAKE),
            },
            data: Secrets { local: master.child(LABEL_CLIENT_DATA), remote: master.child(LABEL_SERVER_DATA) },
            exporter: Exporter(master.child(LABEL_EXPORTER)),
            hash,
        }
    }

    /// The server's view: the same with the directions exchanged.
    pub(super) fn server(split: &Zeroizing<[u8; 64]>, hash: [u8; 32]) -> Self {
        let client = Self::client(split, hash);
        Self { handshake: client.handshake.swapped(), data: client.data.swapped(), ..client }
    }

    /// The MAC that we send to prove that we have seen the whole handshake.
    pub(super) fn finished(&self) -> [u8; FINISHED_LEN] {
        finished(&self.handshake.local, &self.hash)
    }

    /// Compares the peer's MAC with the one it must have sent, in constant time.
    pub(super) fn verify_finished(&self, mac: &[u8]) -> bool {
        finished(&self.handshake.remote, &self.hash).ct_eq(mac).into()
    }
}

fn finished(direction: &Secret, hash: &[u8; 32]) -> [u8; FINISHED_LEN] {
    direction.child(LABEL_FINISHED).mac(&[hash])
}

/// Gives both ends the same keying material for other uses than packets.
#[derive(Clone, Debug)]
pub struct Exporter(Secret);

impl Exporter {
    /// Fills `out` from `label` and `context`; false when `out` is longer than 8160 bytes. Lengths are part of the input, so that no
    /// two pairs of label and context run together.
    #[must_use]
    pub fn export(&self, out: &mut [u8], label: &[u8], context: &[u8]) -> bool {
        let label_len = (label.len() as u64).to_be_bytes();
        let context_len = (context.len() as u64).to_be_bytes();
        let info: [&[u8]; 5] = [LABEL_EXPORT, &label_len, label, &context_len, context];
        self.0.expand_into(&info, out)
    }
}
