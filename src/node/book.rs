//! The node's copy of the ledger: verified, on disk, and watched.
//!
//! One writer at a time appends; readers hold snapshots. Entries are verified on a copy, written to the
//! disk, and only then shown, so that nothing acts on an entry that a restart could forget.

use std::sync::{Arc, Mutex, PoisonError};

use coco_tunnel::greeting::LedgerCopy;
use coconet::id::{Hash, NetworkId, StaticKey};
use coconet::ledger::{Entry, Ledger, Reject, Standing};
use coconet::wire::PROTOCOL_VERSION;
use coconet::wire::code::Close;
use coconet::wire::node::Hello;
use tokio::sync::watch;

use crate::fault::{Fault, Result};
use crate::store::{EntryRow, Store};

/// Entries read from the disk at once while the ledger is loaded.
const LOAD_PAGE: u64 = 512;

/// A ledger copy.
#[derive(Debug)]
pub struct Book {
    network: NetworkId,
    ledger: watch::Sender<Arc<Ledger>>,
    writer: tokio::sync::Mutex<()>,
    alarm: Mutex<Option<String>>,
    store: Store,
}

/// Why entries were not taken.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// They contradict what this node has already verified.
    #[error("the ledger was forked at entry {0}")]
    Fork(u64),
    /// They do not verify.
    #[error(transparent)]
    Reject(#[from] Reject),
    /// They could not be written.
    #[error(transparent)]
    Store(#[from] Fault),
}

impl Book {
    /// The copy on disk, verified from its genesis.
    pub async fn load(network: NetworkId, store: Store) -> Result<Self> {
        let mut ledger: Option<Ledger> = None;
        loop {
            let from = ledger.as_ref().map_or(0, |ledger| ledger.seq() + 1);
            let page = store.entries(network, from, LOAD_PAGE).await?;
            if page.is_empty() {
                break;
            }
            for bytes in &page {
                ledger = Some(follow(ledger, &decode(bytes)?)?);
            }
        }
        let ledger = ledger.filter(|ledger| ledger.state().network() == network);
        let ledger =
            ledger.ok_or_else(|| Fault::failed("the stored ledger is of another network or empty"))?;
        Ok(Self {
            network,
            ledger: watch::Sender::new(Arc::new(ledger)),
            writer: tokio::sync::Mutex::new(()),
            alarm: Mutex::new(None),
            store,
        })
    }

    /// The ledger now.
    pub fn ledger(&self) -> Arc<Ledger> {
        Arc::clone(&self.ledger.borrow())
    }

    /// The ledger now and whenever it grows.
    pub fn watch(&self) -> watch::Receiver<Arc<Ledger>> {
        self.ledger.subscribe()
    }

    /// Verify, write and show entries, each the next; those already here are skipped. Returns how many
    /// were new.
    pub async fn take_all(&self, entries: &[Vec<u8>]) -> std::result::Result<usize, TakeError> {
        let _writer = self.writer.lock().await;
        let mut ledger = (*self.ledger()).clone();
        let mut rows = Vec::with_capacity(entries.len());
        for bytes in entries {
            let entry = Entry::from_bytes(bytes).map_err(Reject::from)?;
            let (seq, hash) = (entry.stamp.seq, entry.hash());
            if seq <= ledger.seq() {
                let known = match rows.iter().find(|row: &&EntryRow| row.seq == seq) {
                    Some(row) => Some(row.hash),
                    None => self.store.hash_at(self.network, seq).await?,
                };
                if known == Some(hash) {
                    continue;
                }
                return Err(self.forked(&ledger, &entry));
            }
            match ledger.append(&entry) {
                Err(Reject::Parent) => return Err(self.forked(&ledger, &entry)),
                other => other?,
            }
            rows.push(EntryRow { seq, hash, bytes: bytes.clone() });
        }
        let new = rows.len();
        if new > 0 {
            self.store.append(self.network, rows).await?;
            self.ledger.send_replace(Arc::new(ledger));
        }
        Ok(new)
    }

    /// What is wrong with what others show, if anything.
    pub fn alarm(&self) -> Option<String> {
        self.alarm.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Raise the alarm; the first one stays. Returns true when this is it.
    pub fn raise(&self, alarm: String) -> bool {
        let mut slot = self.alarm.lock().unwrap_or_else(PoisonError::into_inner);
        let first = slot.is_none();
        if first {
            tracing::error!(network = %self.network, alarm, "ledger alarm");
            *slot = Some(alarm);
        }
        first
    }

    /// An error once the alarm is raised: nothing more is taken from a manager that was found out.
    pub fn require_trust(&self) -> Result<()> {
        match self.alarm() {
            None => Ok(()),
            Some(alarm) => Err(Fault::failed("no entries are taken from this manager")
                .because(&Fault::failed(alarm))
                .hint("tunnels go on; ask the manager's operator what happened: cococtl status")),
        }
    }

    /// A contradiction is worth an alarm only when a manager of this network has stamped it: anybody
    /// can write an entry.
    fn forked(&self, ledger: &Ledger, entry: &Entry) -> TakeError {
        let ours = ledger.state().managers().iter().any(|manager| manager.stamp == entry.stamp.manager);
        if ours && entry.verify_stamp().is_ok() && entry.draft.header.network == self.network {
            self.raise(format!("a manager has stamped two different entries {}", entry.stamp.seq));
            return TakeError::Fork(entry.stamp.seq);
        }
        TakeError::Reject(Reject::Stamp)
    }
}

impl LedgerCopy for Book {
    fn hello(&self) -> Hello {
        let ledger = self.ledger();
        Hello {
            version: PROTOCOL_VERSION,
            network: self.network,
            seq: ledger.seq(),
            head: ledger.head(),
            features: 0,
        }
    }

    fn standing(&self, key: &StaticKey) -> Standing {
        self.ledger().state().standing(key)
    }

    async fn hash_at(&self, seq: u64) -> Option<Hash> {
        self.store.hash_at(self.network, seq).await.ok().flatten()
    }

    async fn entries(&self, seq: u64, count: u64) -> Vec<Vec<u8>> {
        self.store.entries(self.network, seq, count).await.unwrap_or_default()
    }

    async fn take(&self, entry: Vec<u8>) -> std::result::Result<(), Close> {
        match self.take_all(&[entry]).await {
            Ok(_) => Ok(()),
            Err(TakeError::Fork(_)) => Err(Close::LedgerFork),
            Err(TakeError::Reject(Reject::UpdateNeeded(_))) => Err(Close::UpdateNeeded),
            Err(TakeError::Reject(_)) => Err(Close::Protocol),
            Err(TakeError::Store(_)) => Err(Close::Busy),
        }
    }
}

/// The ledger after `entry`: begun by it, or one longer.
pub fn follow(ledger: Option<Ledger>, entry: &Entry) -> Result<Ledger> {
    Ok(match ledger {
        None => Ledger::begin(entry)?,
        Some(mut ledger) => {
            ledger.append(entry)?;
            ledger
        }
    })
}

/// An entry from its bytes.
pub fn decode(bytes: &[u8]) -> Result<Entry> {
    Ok(Entry::from_bytes(bytes).map_err(Reject::from)?)
}
