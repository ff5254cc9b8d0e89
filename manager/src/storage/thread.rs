//! The thread that owns the storage.
//!
//! Writes that have queued up while the disk was busy are committed together: one flush for all of
//! them. When that fails, each is tried alone, so that one write's fault is not another's.

use std::thread::JoinHandle;

use coconet::calendar::Month;
use coconet::id::NetworkId;
use tokio::sync::{mpsc, oneshot};

use super::{Range, Relayed, Storage, StorageError, Write};
use crate::limits::{GROUP_COMMIT_MAX, STORAGE_QUEUE};

/// How to reach the storage. The thread ends when the last one is dropped.
#[derive(Debug, Clone)]
pub(crate) struct StorageHandle(mpsc::Sender<Job>);

enum Job {
    Write(Write, oneshot::Sender<Result<(), StorageError>>),
    Read(NetworkId, Range, oneshot::Sender<Result<Vec<Vec<u8>>, StorageError>>),
    Relayed(Month, Option<NetworkId>, oneshot::Sender<Result<Vec<Relayed>, StorageError>>),
}

/// Give `storage` its thread.
pub(crate) fn spawn(storage: impl Storage) -> std::io::Result<(StorageHandle, JoinHandle<()>)> {
    let (jobs, queue) = mpsc::channel(STORAGE_QUEUE);
    let thread = std::thread::Builder::new().name("storage".to_owned()).spawn(move || run(storage, queue))?;
    Ok((StorageHandle(jobs), thread))
}

impl StorageHandle {
    /// Resolves when `write` is on disk, or is not there at all.
    pub(crate) async fn write(&self, write: Write) -> Result<(), StorageError> {
        let (reply, answer) = oneshot::channel();
        self.0.send(Job::Write(write, reply)).await.map_err(|_| StorageError::Closed)?;
        answer.await.unwrap_or(Err(StorageError::Closed))
    }

    /// Write when there is time; a failure costs nobody anything.
    pub(crate) async fn note(&self, write: Write) {
        let (reply, _) = oneshot::channel();
        drop(self.0.send(Job::Write(write, reply)).await);
    }

    /// A page of entries.
    pub(crate) async fn read(&self, network: NetworkId, range: Range) -> Result<Vec<Vec<u8>>, StorageError> {
        let (reply, answer) = oneshot::channel();
        self.0.send(Job::Read(network, range, reply)).await.map_err(|_| StorageError::Closed)?;
        answer.await.unwrap_or(Err(StorageError::Closed))
    }

    /// What was relayed in `month`, as far as it was written before this was asked.
    pub(crate) async fn relayed(
        &self,
        month: Month,
        of: Option<NetworkId>,
    ) -> Result<Vec<Relayed>, StorageError> {
        let (reply, answer) = oneshot::channel();
        self.0.send(Job::Relayed(month, of, reply)).await.map_err(|_| StorageError::Closed)?;
        answer.await.unwrap_or(Err(StorageError::Closed))
    }
}

fn run(mut storage: impl Storage, mut queue: mpsc::Receiver<Job>) {
    while let Some(first) = queue.blocking_recv() {
        let (mut writes, mut replies) = (Vec::new(), Vec::new());
        let waiting = std::iter::from_fn(|| queue.try_recv().ok()).take(GROUP_COMMIT_MAX - 1);
        for job in std::iter::once(first).chain(waiting) {
            match job {
                Job::Write(write, reply) => {
                    writes.push(write);
                    replies.push(reply);
                }
                // Whoever has given up no longer listens.
                Job::Read(network, range, reply) => drop(reply.send(storage.read(network, range))),
                Job::Relayed(month, of, reply) => {
                    // What was queued before the question belongs to its answer.
                    finish(&mut storage, &mut writes, &mut replies);
                    drop(reply.send(storage.relayed(month, of)));
                }
            }
        }
        finish(&mut storage, &mut writes, &mut replies);
    }
}

fn finish(
    storage: &mut impl Storage,
    writes: &mut Vec<Write>,
    replies: &mut Vec<oneshot::Sender<Result<(), StorageError>>>,
) {
    for (outcome, reply) in commit(storage, writes).into_iter().zip(replies.drain(..)) {
        drop(reply.send(outcome));
    }
    writes.clear();
}

fn commit(storage: &mut impl Storage, writes: &[Write]) -> Vec<Result<(), StorageError>> {
    if writes.is_empty() {
        return Vec::new();
    }
    match storage.commit(writes) {
        Ok(()) => vec![Ok(()); writes.len()],
        Err(error) if writes.len() == 1 => vec![Err(error)],
        Err(_) => writes.iter().map(|write| storage.commit(std::slice::from_ref(write))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::entry;
    use super::*;
    use crate::storage::memory::Memory;

    #[test]
    fn one_write_of_a_group_that_fails_does_not_fail_the_others() {
        let mut storage = Memory::default();
        let group = [entry(1, 0, 9), entry(2, 5, 9), entry(3, 0, 9)];
        assert_eq!(commit(&mut storage, &group), [Ok(()), Err(StorageError::Sequence(5)), Ok(())]);
        assert_eq!(commit(&mut storage, &[]), []);
    }
}
