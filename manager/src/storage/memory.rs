//! A storage that forgets when the process ends, and that can be told to fail.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use coconet::calendar::{Day, Month};
use coconet::id::{NetworkId, NodeId};

use super::{Range, Relayed, Seen, Storage, StorageError, StoredEntry, Traffic, Write};

/// Everything in memory.
#[derive(Debug, Default)]
pub struct Memory {
    entries: BTreeMap<NetworkId, Vec<Vec<u8>>>,
    seen: BTreeMap<(NetworkId, NodeId), Seen>,
    relayed: BTreeMap<(NetworkId, NodeId, Day), Traffic>,
    full: Arc<AtomicBool>,
}

impl Memory {
    /// Setting it makes every write fail as on a full disk, until it is cleared.
    pub fn full(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.full)
    }
}

impl Storage for Memory {
    fn load(
        &mut self,
        each: &mut dyn FnMut(StoredEntry) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        for (network, entries) in &self.entries {
            for (seq, bytes) in (0..).zip(entries) {
                each(StoredEntry { network: *network, seq, bytes: bytes.clone() })?;
            }
        }
        Ok(())
    }

    fn last_seen(&mut self) -> Result<Vec<Seen>, StorageError> {
        Ok(self.seen.values().cloned().collect())
    }

    fn commit(&mut self, writes: &[Write]) -> Result<(), StorageError> {
        if self.full.load(Ordering::Relaxed) {
            return Err(StorageError::Full);
        }
        let (mut entries, mut seen) = (self.entries.clone(), self.seen.clone());
        let mut relayed = self.relayed.clone();
        for write in writes {
            match write {
                Write::Entry(entry) => {
                    let kept = entries.entry(entry.network).or_default();
                    if kept.len() as u64 != entry.seq {
                        return Err(StorageError::Sequence(entry.seq));
                    }
                    kept.push(entry.bytes.clone());
                }
                Write::Seen(last) => {
                    seen.insert((last.network, last.node), last.clone());
                }
                Write::Relayed(rows) => rows.iter().for_each(|row| {
                    *relayed.entry((row.network, row.node, row.day)).or_default() += row.traffic;
                }),
                Write::Forget(before) => relayed.retain(|(_, _, day), _| *day >= before.first()),
            }
        }
        (self.entries, self.seen, self.relayed) = (entries, seen, relayed);
        Ok(())
    }

    fn read(&mut self, network: NetworkId, range: Range) -> Result<Vec<Vec<u8>>, StorageError> {
        let Some(entries) = self.entries.get(&network) else { return Ok(Vec::new()) };
        let wanted = (0..).zip(entries).filter(|(seq, _)| (range.from..=range.last).contains(seq));
        let mut room = range.bytes;
        let mut page = Vec::new();
        for (_, bytes) in wanted {
            if !page.is_empty() && bytes.len() > room {
                break;
            }
            room = room.saturating_sub(bytes.len());
            page.push(bytes.clone());
        }
        Ok(page)
    }

    fn relayed(&mut self, month: Month, of: Option<NetworkId>) -> Result<Vec<Relayed>, StorageError> {
        let wanted = self.relayed.iter().filter(|((network, _, day), _)| {
            day.month() == month && of.is_none_or(|wanted| wanted == *network)
        });
        let row = |(&(network, node, day), &traffic)| Relayed { network, node, day, traffic };
        Ok(wanted.map(row).collect())
    }
}
