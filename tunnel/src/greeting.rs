//! The greeting: who is this, how far are our ledgers, may we talk?
//!
//! Runs once per session on its first stream, before any other stream is served; see
//! [`coconet::wire::node`]. Identity is the session's key and nothing else: nothing in a message names
//! the sender.
//!
//! Two members whose ledgers contradict each other show each other their entry of the same number before
//! they part: each then holds the proof that a manager has stamped both.

use std::time::Duration;

use coconet::id::{Hash, NodeId, StaticKey};
use coconet::ledger::Standing;
use coconet::wire::PROTOCOL_VERSION;
use coconet::wire::code::Close;
use coconet::wire::node::{Greeting, Hello};

use crate::channel::{Channel, ChannelTx};
use crate::frame::{self, FrameError};
use crate::session::Session;

/// Longest greeting, ledger catch-up included.
pub const GREETING_TIMEOUT: Duration = Duration::from_secs(10);

/// Most entries sent or taken in one greeting; a node further behind asks the manager.
pub const GREETING_ENTRIES_MAX: u64 = 4096;

/// A node's own copy of the ledger, as the greeting needs it.
pub trait LedgerCopy: Sync {
    /// What to say about it.
    fn hello(&self) -> Hello;
    /// What the holder of a session key is to the network, as far as this copy goes.
    fn standing(&self, key: &StaticKey) -> Standing;
    /// The hash of entry `seq`, if this copy has it.
    fn hash_at(&self, seq: u64) -> impl Future<Output = Option<Hash>> + Send;
    /// The canonical bytes of entries from `seq` on, at most `count`, as the member `reader` may see them.
    fn entries(&self, reader: NodeId, seq: u64, count: u64) -> impl Future<Output = Vec<Vec<u8>>> + Send;
    /// What `reader` may see of the whole: [`coconet::ledger::view::digest`]; `None` when it sees all, or
    /// when this copy is itself not whole.
    fn view_of(&self, reader: NodeId) -> impl Future<Output = Option<Hash>> + Send;
    /// A member with a whole copy up to `head` says what this node should see of it. False when it sees
    /// something else.
    fn compare_view(&self, head: Hash, view: Hash) -> impl Future<Output = bool> + Send;
    /// Entry `seq` for a member with another entry of that number; both stamps together prove a fork.
    fn evidence(&self, reader: NodeId, seq: u64) -> impl Future<Output = Option<Vec<u8>>> + Send;
    /// Verify and take an entry that a peer sent; the error is what to close its session with.
    fn take(&self, entry: Vec<u8>) -> impl Future<Output = Result<(), Close>> + Send;
}

/// Why a greeting ended without admission. The session is closed with `code` by whoever saw the reason
/// first.
#[derive(Debug, thiserror::Error)]
#[error("not admitted: {0}")]
pub struct NotAdmitted(pub Close);

/// Greet as the node that dialled, on the first channel it has opened. The dialling node need not wait
/// for the outcome before it opens further channels: the other end serves none of them earlier.
pub async fn greet(
    session: &Session,
    first: Channel,
    ledger: &impl LedgerCopy,
) -> Result<NodeId, NotAdmitted> {
    within(session, exchange(session, first, ledger)).await
}

/// Be greeted as the node that was dialled. The first stream is accepted here.
pub async fn be_greeted(session: &Session, ledger: &impl LedgerCopy) -> Result<NodeId, NotAdmitted> {
    within(session, async {
        let channel = session.accept().await.map_err(|_| NotAdmitted(Close::Done))?;
        exchange(session, channel, ledger).await
    })
    .await
}

async fn within(
    session: &Session,
    greeting: impl Future<Output = Result<NodeId, NotAdmitted>>,
) -> Result<NodeId, NotAdmitted> {
    let outcome =
        tokio::time::timeout(GREETING_TIMEOUT, greeting).await.unwrap_or(Err(NotAdmitted(Close::TooSlow)));
    outcome.map_err(|NotAdmitted(code)| {
        // Whoever closed first has said why; our own reason would only hide it.
        let code = match session.end() {
            Some(crate::session::Ended::Closed(theirs)) => theirs,
            _ => code,
        };
        session.close(code);
        NotAdmitted(code)
    })
}

async fn exchange(
    session: &Session,
    mut channel: Channel,
    ledger: &impl LedgerCopy,
) -> Result<NodeId, NotAdmitted> {
    let ours = ledger.hello();
    let Channel { tx, rx, .. } = &mut channel;
    frame::write(tx, &ours).await.map_err(protocol)?;
    let theirs: Hello = frame::read(rx).await.map_err(protocol)?;
    if theirs.version != PROTOCOL_VERSION {
        return Err(NotAdmitted(Close::UpdateNeeded));
    }
    if theirs.network != ours.network {
        return Err(NotAdmitted(Close::WrongNetwork));
    }
    // A removed node hears it from everybody who knows; a stranger is sent nothing.
    match ledger.standing(&session.peer()) {
        Standing::Removed(_) => return Err(NotAdmitted(Close::Revoked)),
        Standing::Stranger if theirs.seq <= ours.seq => return Err(NotAdmitted(Close::NotAMember)),
        Standing::Stranger | Standing::Member(_) => {}
    }
    let behind = theirs.seq > ours.seq;
    if !behind && ledger.hash_at(theirs.seq).await != Some(theirs.head) {
        accuse(session, tx, ledger, theirs.seq).await?;
        // Theirs is the other half of the proof. Without it they are refused all the same.
        if let Greeting::Entry(entry) = frame::read(rx).await.map_err(protocol)? {
            let _ = ledger.take(entry).await;
        }
        return parted(tx).await;
    }
    if let Standing::Member(reader) = ledger.standing(&session.peer()) {
        for entry in missing(&ours, &theirs, ledger, reader).await {
            frame::write(tx, &Greeting::Entry(entry)).await.map_err(protocol)?;
        }
        if let Some(view) = ledger.view_of(reader).await.filter(|_| !behind) {
            frame::write(tx, &Greeting::View(view)).await.map_err(protocol)?;
        }
    }
    // Whoever is behind may yet have to answer with evidence.
    if !behind {
        done(tx).await?;
    }
    let mut taken = 0;
    loop {
        match frame::read(rx).await.map_err(protocol)? {
            Greeting::Entry(entry) => {
                taken += 1;
                if taken > GREETING_ENTRIES_MAX || !behind {
                    return Err(NotAdmitted(Close::Protocol));
                }
                match ledger.take(entry).await {
                    Ok(()) => {}
                    Err(Close::LedgerFork) => {
                        accuse(session, tx, ledger, ours.seq).await?;
                        return parted(tx).await;
                    }
                    Err(code) => return Err(NotAdmitted(code)),
                }
            }
            Greeting::View(view) => {
                let now = ledger.hello();
                // What came meanwhile changes the view; what could not be taken is a reason to look again.
                let comparable = now.head == theirs.head || now.seq < theirs.seq;
                if comparable && !ledger.compare_view(theirs.head, view).await {
                    tracing::warn!("a member says that this node should see something else of the ledger");
                }
            }
            Greeting::Done => break,
        }
    }
    if behind {
        done(tx).await?;
    }
    match ledger.standing(&session.peer()) {
        Standing::Member(node) => Ok(node),
        Standing::Removed(_) => Err(NotAdmitted(Close::Revoked)),
        Standing::Stranger => Err(NotAdmitted(Close::NotAMember)),
    }
}

async fn done(tx: &mut ChannelTx) -> Result<(), NotAdmitted> {
    frame::write(tx, &Greeting::Done).await.map_err(protocol)?;
    tx.finish();
    Ok(())
}

/// Show a member whose ledger contradicts ours our entry `seq`.
async fn accuse(
    session: &Session,
    tx: &mut ChannelTx,
    ledger: &impl LedgerCopy,
    seq: u64,
) -> Result<(), NotAdmitted> {
    if let Standing::Member(reader) = ledger.standing(&session.peer())
        && let Some(entry) = ledger.evidence(reader, seq).await
    {
        frame::write(tx, &Greeting::Entry(entry)).await.map_err(protocol)?;
    }
    done(tx).await
}

/// Part as those whose ledgers contradict each other, once the other end has what was said.
async fn parted(tx: &ChannelTx) -> Result<NodeId, NotAdmitted> {
    // Whoever has gone has not waited for it.
    let _ = tx.stopped().await;
    Err(NotAdmitted(Close::LedgerFork))
}

async fn missing(ours: &Hello, theirs: &Hello, ledger: &impl LedgerCopy, reader: NodeId) -> Vec<Vec<u8>> {
    let behind = ours.seq.saturating_sub(theirs.seq);
    if behind == 0 {
        return Vec::new();
    }
    ledger.entries(reader, theirs.seq + 1, behind.min(GREETING_ENTRIES_MAX)).await
}

fn protocol(error: FrameError) -> NotAdmitted {
    tracing::debug!(%error, "greeting broke off");
    NotAdmitted(Close::Protocol)
}
