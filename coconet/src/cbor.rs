//! One encoding: deterministic CBOR.
//!
//! Every signed or hashed object is a CBOR map with small integer keys in ascending order (minicbor's
//! derive writes it so). [`decode`] takes exactly the bytes that [`encode`] would write: a second
//! spelling of the same object would have another hash and open a door for malleability.

use minicbor::{Decode, Encode};

/// Why bytes were not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CborError {
    /// More bytes than this kind of object may have.
    #[error("{len} bytes where at most {max} are allowed")]
    TooLong {
        /// How many there were.
        len: usize,
        /// The bound.
        max: usize,
    },
    /// Not CBOR of the expected shape.
    #[error("malformed: {0}")]
    Malformed(String),
    /// The right object, spelt in another way than the one allowed.
    #[error("not in the canonical encoding")]
    NotCanonical,
}

/// The canonical bytes of `value`.
pub fn encode<T: Encode<()>>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing to a Vec is infallible and our Encode implementations raise no error of their own.
    let Ok(()) = minicbor::encode(value, &mut bytes) else { unreachable!("encoding to memory failed") };
    bytes
}

/// The object that `bytes`, at most `max` of them, are the canonical encoding of.
pub fn decode<T>(bytes: &[u8], max: usize) -> Result<T, CborError>
where
    T: for<'b> Decode<'b, ()> + Encode<()>,
{
    if bytes.len() > max {
        return Err(CborError::TooLong { len: bytes.len(), max });
    }
    let value: T = minicbor::decode(bytes).map_err(|error| CborError::Malformed(error.to_string()))?;
    if encode(&value) == bytes { Ok(value) } else { Err(CborError::NotCanonical) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Encode, Decode)]
    #[cbor(map)]
    struct Pair {
        #[n(0)]
        a: u64,
        #[n(3)]
        b: Option<u64>,
    }

    #[test]
    fn only_the_canonical_spelling_is_taken() {
        assert_eq!(encode(&Pair { a: 1, b: None }), [0xa1, 0x00, 0x01]);
        assert_eq!(decode::<Pair>(&[0xa2, 0x00, 0x01, 0x03, 0x02], 9), Ok(Pair { a: 1, b: Some(2) }));
        // The same map with a longer integer, an unknown key, trailing bytes, keys out of order.
        for odd in [
            &[0xa1, 0x00, 0x18, 0x01][..],
            &[0xa2, 0x00, 0x01, 0x07, 0x02],
            &[0xa1, 0x00, 0x01, 0x00],
            &[0xa2, 0x03, 0x02, 0x00, 0x01],
        ] {
            assert_eq!(decode::<Pair>(odd, 9), Err(CborError::NotCanonical), "{odd:x?}");
        }
        assert_eq!(decode::<Pair>(&[0; 10], 9), Err(CborError::TooLong { len: 10, max: 9 }));
    }
}
