//! What is done for somebody who waits: whole or not at all, and how far it is.
//!
//! A request that writes into a ledger is carried out by a task of its own ([`whole`]). Whoever asked may go away, by
//! Ctrl-C say: what was begun is ended all the same, instead of leaving an entry that nothing here knows of. Founding
//! and joining a network are [`Job`]s on top of that, since reaching a manager may take long: while nothing was asked
//! of it, they are given up with whoever asked ([`Job::while_asked`]), and `GET /v1/progress` shows how far they are.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use coconet::control::{Progress, VERSION, Work, WorkStep};
use tokio::sync::oneshot;

use crate::fault::{Fault, Result};

/// The jobs of a daemon.
#[derive(Debug, Default)]
pub struct Jobs(Mutex<Vec<Weak<Mutex<Work>>>>);

/// A network that is being founded or joined.
#[derive(Debug)]
pub struct Job {
    work: Arc<Mutex<Work>>,
    /// Until it is carried out, whoever waits.
    asked: Option<Asked>,
}

/// Whoever asked: dropped when they go away.
#[derive(Debug)]
pub struct Asking(#[expect(dead_code, reason = "its end is what it says")] oneshot::Sender<Infallible>);

/// Whether somebody still asks.
#[derive(Debug)]
pub struct Asked(oneshot::Receiver<Infallible>);

/// Both ends of a request.
pub fn request() -> (Asking, Asked) {
    let (asking, asked) = oneshot::channel();
    (Asking(asking), Asked(asked))
}

/// Do `work` to its end, whoever waits for it.
pub async fn whole<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    match tokio::spawn(work).await {
        Ok(outcome) => outcome,
        Err(error) => {
            Err(Fault::failed("the daemon broke off").because(&error).hint("look at the daemon's log"))
        }
    }
}

impl Jobs {
    /// Begin one for `network`, at its first step.
    pub fn begin(&self, network: String, asked: Asked) -> Job {
        let work = Work { network, step: WorkStep::Connecting, verified: 0, entries: None };
        let work = Arc::new(Mutex::new(work));
        let mut jobs = lock(&self.0);
        jobs.retain(|job| job.strong_count() > 0);
        jobs.push(Arc::downgrade(&work));
        Job { work, asked: Some(asked) }
    }

    /// How far they are.
    pub fn progress(&self) -> Progress {
        let jobs = lock(&self.0);
        let work = jobs.iter().filter_map(Weak::upgrade).map(|work| lock(&work).clone());
        Progress { version: VERSION, work: work.collect() }
    }
}

impl Job {
    /// Do what changes nothing, as long as somebody asks, or after [`Job::commit`] to its end.
    pub async fn while_asked<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let Some(Asked(asked)) = &mut self.asked else { return work.await };
        tokio::select! {
            biased;
            _ = asked => Err(Fault::failed("nobody waits for it any more")),
            done = work => done,
        }
    }

    /// From here on it is carried out, whoever waits.
    pub fn commit(&mut self) {
        self.asked = None;
        lock(&self.work).step = WorkStep::Writing;
    }

    /// So many entries are verified, of those there are as far as that is known.
    pub fn verified(&self, verified: usize, entries: Option<u64>) {
        let mut work = lock(&self.work);
        *work = Work {
            network: std::mem::take(&mut work.network),
            step: WorkStep::Verifying,
            verified: verified as u64,
            entries,
        };
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use std::future::pending;

    use super::*;

    #[tokio::test]
    async fn what_waits_for_a_manager_is_given_up_with_whoever_asked() {
        let jobs = Jobs::default();
        let (asking, asked) = request();
        let mut job = jobs.begin("net:x".to_owned(), asked);
        assert_eq!(jobs.progress().work[0].step, WorkStep::Connecting);
        drop(asking);
        job.while_asked(pending::<Result<()>>()).await.unwrap_err();
        drop(job);
        assert_eq!(jobs.progress().work, []);
    }

    #[tokio::test]
    async fn what_is_committed_goes_on_and_is_shown_until_its_end() {
        let jobs = Jobs::default();
        let (asking, asked) = request();
        let mut job = jobs.begin("net:x".to_owned(), asked);
        assert_eq!(job.while_asked(async { Ok(1) }).await.unwrap(), 1);
        job.commit();
        drop(asking);
        assert_eq!(job.while_asked(async { Ok(2) }).await.unwrap(), 2);
        job.verified(3, Some(4));
        let work = jobs.progress().work.pop().unwrap();
        assert_eq!((work.network.as_str(), work.step), ("net:x", WorkStep::Verifying));
        assert_eq!((work.verified, work.entries), (3, Some(4)));
    }

    #[tokio::test]
    async fn what_is_begun_is_ended_when_nobody_waits_any_more() {
        let (go, going) = oneshot::channel::<()>();
        let (tell, told) = oneshot::channel();
        let mut work = Box::pin(whole(async move {
            going.await.unwrap();
            tell.send("done").unwrap();
            Ok(())
        }));
        // It is begun by the first look at it.
        tokio::select! {
            biased;
            _ = &mut work => panic!("it waits for its sign"),
            () = std::future::ready(()) => {}
        }
        drop(work);
        go.send(()).unwrap();
        assert_eq!(told.await.unwrap(), "done");
    }
}
