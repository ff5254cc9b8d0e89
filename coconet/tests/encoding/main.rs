//! Every signed, hashed or sent object, byte for byte.
//!
//! The literals were worked out from the CBOR rules and checked by another program (Python's hashlib
//! and cryptography), so a second implementation can be checked against them. Who changes one of them
//! has made a network that nobody else can read.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod known;
mod ledger;
mod membership;
mod spelling;
mod wire;
#[path = "../world/mod.rs"]
mod world;

use core::fmt::Debug;

use coconet::cbor;
use minicbor::{Decode, Encode};

/// Longer than anything here.
const MAX: usize = 64 * 1024;

/// Annotated bytes: hex digits in any grouping, `11*32` for 32 times `11`, and from `;` to the end of
/// the line a comment.
fn hex(text: &str) -> Vec<u8> {
    let words = text.lines().flat_map(|line| line.split(';').next().unwrap_or_default().split_whitespace());
    words.flat_map(word).collect()
}

fn word(word: &str) -> Vec<u8> {
    let (digits, times) = word.split_once('*').unwrap_or((word, "1"));
    data_encoding::HEXLOWER.decode(digits.as_bytes()).unwrap().repeat(times.parse().unwrap())
}

fn show(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// `value` is spelt as `text`, and in no other way.
#[track_caller]
fn pinned<T>(value: &T, text: &str)
where
    T: for<'b> Decode<'b, ()> + Encode<()> + PartialEq + Debug,
{
    let bytes = hex(text);
    assert_eq!(show(&cbor::encode(value)), show(&bytes));
    assert_eq!(cbor::decode::<T>(&bytes, MAX).as_ref(), Ok(value));
    for (how, other) in spelling::others(&bytes) {
        assert!(cbor::decode::<T>(&other, MAX).is_err(), "taken with {how}: {}", show(&other));
    }
}
