//! The node's copy of the ledger: verified, on disk, and watched.
//!
//! One writer at a time appends; readers hold snapshots. Entries are verified on a copy, written to the
//! disk, and only then shown, so that nothing acts on an entry that a restart could forget.
//!
//! A guest's copy has entries without bodies. What it may see can change with an entry; the manager and
//! every member with a whole copy say by a digest what a guest should see ([`coconet::ledger::view`]), and a copy
//! that differs is fetched anew ([`Book::replace`]).

use std::sync::{Arc, Mutex, PoisonError};

use coco_tunnel::greeting::LedgerCopy;
use coconet::control::Proof;
use coconet::id::{Hash, NetworkId, NodeId, StaticKey};
use coconet::ledger::{self, Entry, Ledger, Reject, Standing, view};
use coconet::wire::PROTOCOL_VERSION;
use coconet::wire::code::Close;
use coconet::wire::node::Hello;
use tokio::sync::watch;

use crate::fault::{Fault, Result};
use crate::store::{EntryRow, Store};

/// A ledger copy.
#[derive(Debug)]
pub struct Book {
    network: NetworkId,
    own: NodeId,
    ledger: watch::Sender<Arc<Ledger>>,
    writer: tokio::sync::Mutex<()>,
    alarm: Mutex<Option<String>>,
    /// What a member has said that this guest should see, where that is something else.
    doubt: watch::Sender<Option<Doubt>>,
    /// The newest entry that came from a member and not from the manager.
    heard: watch::Sender<u64>,
    store: Store,
}

/// Another view of the same entries than ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doubt {
    head: Hash,
    view: Hash,
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
    /// The copy on disk of the node `own`.
    pub async fn load(network: NetworkId, own: NodeId, store: Store) -> Result<Self> {
        let stored = store.entries(network, 0, u64::MAX).await?;
        let entries: Vec<Entry> = stored.iter().map(|bytes| decode(bytes)).collect::<Result<_>>()?;
        let ledger = ledger::load(&entries)?;
        if ledger.state().network() != network {
            return Err(Fault::failed("the stored ledger is of another network")
                .hint("the state directory is mixed up: restore it, or begin with an empty one"));
        }
        let alarm = store.proofs(network).await?.first().map(|(seq, ..)| forked_alarm(*seq));
        Ok(Self {
            network,
            own,
            ledger: watch::Sender::new(Arc::new(ledger)),
            writer: tokio::sync::Mutex::new(()),
            alarm: Mutex::new(alarm),
            doubt: watch::Sender::new(None),
            heard: watch::Sender::new(0),
            store,
        })
    }

    /// The ledger now.
    pub fn ledger(&self) -> Arc<Ledger> {
        Arc::clone(&self.ledger.borrow())
    }

    /// Whether this is a guest's copy, which may have entries without bodies.
    pub fn is_guests(&self) -> bool {
        self.ledger.borrow().state().guest(self.own).is_some()
    }

    /// Whether this copy has the entry that removed this node.
    pub fn shows_removal(&self) -> bool {
        self.ledger.borrow().state().removal(self.own).is_some()
    }

    /// The ledger now and whenever it grows.
    pub fn watch(&self) -> watch::Receiver<Arc<Ledger>> {
        self.ledger.subscribe()
    }

    /// What a member doubts of what this guest sees, whenever one does.
    pub fn doubts(&self) -> watch::Receiver<Option<Doubt>> {
        self.doubt.subscribe()
    }

    /// The newest entry that a member has shown, whenever one does.
    pub fn heard(&self) -> watch::Receiver<u64> {
        self.heard.subscribe()
    }

    /// The ledger was fetched anew to dispel a doubt. False when it is still what the member doubts: the
    /// manager leaves out what it must show, or shows what it must not.
    pub fn dispelled(&self) -> bool {
        let Some(Doubt { head, view }) = self.doubt.send_replace(None) else { return true };
        let ledger = self.ledger();
        ledger.head() != head || ledger.view() == view
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
                if self.known_hash(&rows, seq).await? == Some(hash) {
                    continue;
                }
                return Err(self.forked(&ledger, &entry, seq).await);
            }
            let appended = if ledger.state().guest(self.own).is_some() {
                ledger.append_viewed(&entry)
            } else {
                ledger.append(&entry)
            };
            match appended {
                Err(Reject::Parent) if seq == ledger.seq() + 1 => {
                    return Err(self.forked(&ledger, &entry, seq - 1).await);
                }
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

    /// Take the whole ledger anew, because other bodies are left out of it now. It must be the same chain,
    /// as long as ours at least.
    pub async fn replace(&self, entries: &[Vec<u8>]) -> std::result::Result<(), TakeError> {
        let _writer = self.writer.lock().await;
        let before = self.ledger();
        let (mut ledger, mut rows) = (None, Vec::with_capacity(entries.len()));
        for bytes in entries {
            let entry = Entry::from_bytes(bytes).map_err(Reject::from)?;
            let (seq, hash) = (entry.stamp.seq, entry.hash());
            if seq <= before.seq() && self.known_hash(&[], seq).await? != Some(hash) {
                return Err(self.forked(&before, &entry, seq).await);
            }
            ledger = Some(Ledger::follow_viewed(ledger, &entry)?);
            rows.push(EntryRow { seq, hash, bytes: bytes.clone() });
        }
        let ledger: Ledger =
            ledger.filter(|ledger: &Ledger| ledger.seq() >= before.seq()).ok_or(Reject::Parent)?;
        // What was withheld from a guest stays so when it is removed.
        let state = ledger.state();
        let was_guest = state.removal(self.own).is_some_and(|removal| removal.guest.is_some());
        if !ledger.withheld().is_empty() && state.guest(self.own).is_none() && !was_guest {
            return Err(Reject::Op.into());
        }
        self.store.replace(self.network, rows).await?;
        self.ledger.send_replace(Arc::new(ledger));
        Ok(())
    }

    /// Every entry.
    pub async fn all_entries(&self) -> Result<Vec<Entry>> {
        self.all_bytes().await?.iter().map(|bytes| decode(bytes)).collect()
    }

    /// Every entry's canonical bytes.
    pub async fn all_bytes(&self) -> Result<Vec<Vec<u8>>> {
        self.store.entries(self.network, 0, u64::MAX).await
    }

    /// The contradictions that were seen.
    pub async fn proofs(&self) -> Result<Vec<Proof>> {
        let kept = self.store.proofs(self.network).await?;
        let proofs = kept.into_iter().map(|(seq, first, second)| {
            let manager = decode(&second).map(|entry| entry.stamp.manager.full()).unwrap_or_default();
            Proof { seq, manager, first: hex(&first), second: hex(&second) }
        });
        Ok(proofs.collect())
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

    async fn known_hash(&self, rows: &[EntryRow], seq: u64) -> Result<Option<Hash>> {
        match rows.iter().find(|row| row.seq == seq) {
            Some(row) => Ok(Some(row.hash)),
            None => self.store.hash_at(self.network, seq).await,
        }
    }

    /// A contradiction is worth an alarm only when a manager of this network has stamped it: anybody can
    /// write an entry. `ours` is the entry of this copy that it contradicts.
    async fn forked(&self, ledger: &Ledger, entry: &Entry, ours: u64) -> TakeError {
        let manager = ledger.state().managers().iter().any(|manager| manager.stamp == entry.stamp.manager);
        // A genesis names no network: it cannot be told from another network's, and contradicts nothing.
        if !manager || entry.verify_stamp().is_err() || entry.draft.header.network != self.network {
            return Reject::Stamp.into();
        }
        let seq = entry.stamp.seq;
        let first = self.store.entries(self.network, ours, 1).await.unwrap_or_default().pop();
        if let Err(fault) =
            self.store.add_proof(self.network, seq, first.unwrap_or_default(), entry.to_bytes()).await
        {
            tracing::error!(%fault, "the proof could not be kept");
        }
        self.raise(forked_alarm(seq));
        TakeError::Fork(seq)
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

    async fn entries(&self, reader: NodeId, seq: u64, count: u64) -> Vec<Vec<u8>> {
        let ledger = self.ledger();
        let Some(guest) = ledger.state().guest(reader) else {
            let mut entries = self.store.entries(self.network, seq, count).await.unwrap_or_default();
            // Who may see everything has no use for an entry without its body, and none after it.
            if let Some(withheld) = ledger.withheld().iter().find(|withheld| **withheld >= seq) {
                entries.truncate(usize::try_from(withheld - seq).unwrap_or(usize::MAX));
            }
            return entries;
        };
        // A copy that is not whole cannot say what another guest may see.
        if !ledger.withheld().is_empty() {
            return Vec::new();
        }
        let mut all = self.all_entries().await.unwrap_or_default();
        let seen = view::views(&all, guest);
        for (entry, seen) in all.iter_mut().zip(seen) {
            if !seen {
                entry.draft.body = None;
            }
        }
        let wanted = all.iter().filter(|entry| entry.stamp.seq >= seq);
        wanted.take(usize::try_from(count).unwrap_or(usize::MAX)).map(Entry::to_bytes).collect()
    }

    async fn view_of(&self, reader: NodeId) -> Option<Hash> {
        let ledger = self.ledger();
        let guest = ledger.state().guest(reader).filter(|_| ledger.withheld().is_empty())?;
        let all = self.all_entries().await.ok()?;
        let seen = view::views(&all, guest);
        let withheld = all.iter().zip(seen).filter(|(_, seen)| !seen).map(|(entry, _)| entry.stamp.seq);
        Some(view::digest(withheld))
    }

    async fn compare_view(&self, head: Hash, view: Hash) -> bool {
        let ledger = self.ledger();
        let same = ledger.head() == head && ledger.view() == view;
        if !same {
            self.doubt.send_replace(Some(Doubt { head, view }));
        }
        same
    }

    async fn evidence(&self, reader: NodeId, seq: u64) -> Option<Vec<u8>> {
        let bytes = self.store.entries(self.network, seq, 1).await.ok()?.pop()?;
        if self.ledger().state().guest(reader).is_none() {
            return Some(bytes);
        }
        // The stamp covers the hash of the op: what a guest may not see proves as much without it.
        let mut entry = decode(&bytes).ok()?;
        entry.draft.body = None;
        Some(entry.to_bytes())
    }

    async fn take(&self, entry: Vec<u8>) -> std::result::Result<(), Close> {
        let guest = self.is_guests();
        match self.take_all(&[entry]).await {
            Ok(new) => {
                if new > 0 {
                    self.heard.send_replace(self.ledger().seq());
                }
                Ok(())
            }
            // It speaks of what this guest could not see until now: only the whole tells.
            Err(TakeError::Reject(Reject::Violation(_) | Reject::Sequence { .. })) if guest => {
                self.doubt.send_replace(Some(Doubt { head: Hash::ZERO, view: Hash::ZERO }));
                Ok(())
            }
            Err(TakeError::Fork(_)) => Err(Close::LedgerFork),
            Err(TakeError::Reject(Reject::UpdateNeeded(_))) => Err(Close::UpdateNeeded),
            Err(TakeError::Reject(_)) => Err(Close::Protocol),
            Err(TakeError::Store(_)) => Err(Close::Busy),
        }
    }
}

/// An entry from its bytes.
pub fn decode(bytes: &[u8]) -> Result<Entry> {
    Ok(Entry::from_bytes(bytes).map_err(Reject::from)?)
}

fn forked_alarm(seq: u64) -> String {
    format!("a manager has stamped an entry {seq} that contradicts what was verified before")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
