//! Keys for the packets before the handshake, and the tag of a Retry packet: both made of the responder's public key, so that only
//! those who know it can speak or be heard.

use noq::{ConnectionId, Side, crypto::Keys};
use subtle::ConstantTimeEq as _;

use super::{
    QUIC_VERSION, packet,
    schedule::{Secret, Secrets},
};

/// Shortest connection id in a client's first packet (RFC 9000, 7.2).
///
/// noq answers a shorter one with a close before it decrypts anything, so we have to refuse to make keys for it to stay silent.
pub const MIN_INITIAL_CID: usize = 8;

const LABEL_INITIAL: &[u8] = b"coco/1 initial";
const LABEL_CLIENT: &[u8] = b"coco/1 client initial";
const LABEL_SERVER: &[u8] = b"coco/1 server initial";
const LABEL_RETRY: &[u8] = b"coco/1 retry";

const RETRY_TAG_LEN: usize = 16;

/// The Initial keys for a connection to `responder` that starts with the destination id `cid`.
pub(super) fn keys(responder: &[u8; 32], cid: ConnectionId, side: Side) -> Keys {
    packet::keys(&secrets(responder, cid, side))
}

fn secrets(responder: &[u8; 32], cid: ConnectionId, side: Side) -> Secrets {
    let secret = Secret::extract(&salt(LABEL_INITIAL), &[responder, &cid]);
    let client = secret.child(LABEL_CLIENT);
    let server = secret.child(LABEL_SERVER);
    match side {
        Side::Client => Secrets { local: client, remote: server },
        Side::Server => Secrets { local: server, remote: client },
    }
}

/// Tag of a Retry packet that answers a first packet to `orig_cid`. `parts` together are the packet without the tag.
pub(super) fn retry_tag(
    responder: &[u8; 32],
    orig_cid: ConnectionId,
    parts: &[&[u8]],
) -> [u8; RETRY_TAG_LEN] {
    let key = Secret::extract(&salt(LABEL_RETRY), &[responder]);
    // A connection id is at most 20 bytes long.
    let cid_len = [orig_cid.len() as u8];
    let mut input: Vec<&[u8]> = vec![&cid_len, &orig_cid];
    input.extend(parts);
    let mac = key.mac(&input);
    let mut tag = [0; RETRY_TAG_LEN];
    tag.copy_from_slice(&mac[..RETRY_TAG_LEN]);
    tag
}

/// Checks a received Retry packet, given as header and payload with the tag at its end, in constant time.
pub(super) fn is_valid_retry(
    responder: &[u8; 32],
    orig_cid: ConnectionId,
    header: &[u8],
    payload: &[u8],
) -> bool {
    let Some((token, tag)) = payload.split_last_chunk::<RETRY_TAG_LEN>() else {
        return false;
    };
    let expected = retry_tag(responder, orig_cid, &[header, token]);
    expected.ct_eq(tag).into()
}

fn salt(label: &[u8]) -> Vec<u8> {
    [label, &QUIC_VERSION.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESPONDER: [u8; 32] = [5; 32];

    fn cid() -> ConnectionId {
        ConnectionId::new(&[9; 8])
    }

    #[test]
    fn a_retry_is_valid_for_its_own_key_id_and_bytes_only() {
        let tag = retry_tag(&RESPONDER, cid(), &[b"header", b"token"]);
        let payload = [&b"token"[..], &tag].concat();
        assert!(is_valid_retry(&RESPONDER, cid(), b"header", &payload));

        assert!(!is_valid_retry(&[6; 32], cid(), b"header", &payload));
        let other = ConnectionId::new(&[8; 8]);
        assert!(!is_valid_retry(&RESPONDER, other, b"header", &payload));
        assert!(!is_valid_retry(&RESPONDER, cid(), b"Header", &payload));
        for i in 0..payload.len() {
            let mut altered = payload.clone();
            altered[i] ^= 0x80;
            assert!(!is_valid_retry(&RESPONDER, cid(), b"header", &altered));
        }
        for len in 0..RETRY_TAG_LEN {
            assert!(!is_valid_retry(&RESPONDER, cid(), b"header", &payload[..len]));
        }
    }
}
