//! A whole ledger in a file: `coco-ledger-1`, then each entry behind four bytes of length.
//!
//! Made by `cococtl network export`, judged by `cococtl network verify` without a daemon or a manager.

use super::chain::{Ledger, Reject};
use super::entry::{ENTRY_MAX, Entry};
use crate::cbor::CborError;

/// First line of the file.
const MAGIC: &[u8] = b"coco-ledger-1\n";

/// Longest archive that is read, in bytes.
pub const ARCHIVE_MAX: usize = 512 << 20;

/// Why a file is no ledger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// Not one of these files.
    #[error("not a coco ledger file of this version")]
    Magic,
    /// Ends in the middle of an entry, or holds none.
    #[error("the file is cut off after {0} entries")]
    Cut(u64),
    /// An entry that is none.
    #[error("entry {seq} is malformed")]
    Malformed {
        /// Its place.
        seq: u64,
        /// What is wrong.
        source: CborError,
    },
    /// An entry that does not verify.
    #[error("entry {seq} does not verify")]
    Reject {
        /// Its place.
        seq: u64,
        /// What is wrong.
        source: Reject,
    },
}

/// The file that holds `entries`, given as canonical bytes.
pub fn write<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut file = MAGIC.to_vec();
    for entry in entries {
        // An entry is at most ENTRY_MAX long.
        file.extend_from_slice(&u32::try_from(entry.len()).unwrap_or(u32::MAX).to_be_bytes());
        file.extend_from_slice(entry);
    }
    file
}

/// The entries in a file, not yet verified.
pub fn read(file: &[u8]) -> Result<Vec<Entry>, ArchiveError> {
    let mut rest = file.strip_prefix(MAGIC).ok_or(ArchiveError::Magic)?;
    let mut entries = Vec::new();
    while !rest.is_empty() {
        let seq = entries.len() as u64;
        let (length, after) = rest.split_first_chunk::<4>().ok_or(ArchiveError::Cut(seq))?;
        let length = u32::from_be_bytes(*length) as usize;
        if length > ENTRY_MAX {
            let source = CborError::TooLong { len: length, max: ENTRY_MAX };
            return Err(ArchiveError::Malformed { seq, source });
        }
        let (body, after) = after.split_at_checked(length).ok_or(ArchiveError::Cut(seq))?;
        entries.push(Entry::from_bytes(body).map_err(|source| ArchiveError::Malformed { seq, source })?);
        rest = after;
    }
    Ok(entries)
}

/// Verify entries from the genesis on. `seen` is told each entry with the ledger before it.
pub fn verify(
    entries: &[Entry],
    mut seen: impl FnMut(Option<&Ledger>, &Entry),
) -> Result<Ledger, ArchiveError> {
    let mut ledger: Option<Ledger> = None;
    for (seq, entry) in (0..).zip(entries) {
        seen(ledger.as_ref(), entry);
        ledger = Some(Ledger::follow(ledger, entry).map_err(|source| ArchiveError::Reject { seq, source })?);
    }
    ledger.ok_or(ArchiveError::Cut(0))
}
