//! The daemon, which may go and come back.
//!
//! When it goes, the connections that it had forwarded break and new ones wait. It is asked again with pauses
//! that grow, and told what it had made before.

use std::fmt;
use std::os::fd::BorrowedFd;
use std::pin::Pin;
use std::time::Duration;

use coconet::control::{Kept, RUN_UPGRADE, Run, RunAnswer, RunAsk};
use tokio::time::sleep;

use super::link::Link;
use crate::client::Client;
use crate::fail::Fail;
use crate::print::complain;

/// Pause before it is asked again for the first time.
const PAUSE_FIRST: Duration = Duration::from_millis(200);

/// Longest such pause.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// What comes from it.
#[derive(Debug)]
pub(super) enum Heard {
    /// It wants something.
    Ask(RunAsk),
    /// It has gone.
    Lost,
    /// It is there again.
    Back(Link),
}

/// The way to it.
pub(super) struct Daemon<'a> {
    client: &'a Client,
    run: Run,
    way: Way<'a>,
    /// Whether it was said that it does not come back.
    told: bool,
}

enum Way<'a> {
    Linked(Link),
    Asking(Pin<Box<dyn Future<Output = Result<Link, Fail>> + 'a>>, Duration),
}

impl<'a> Daemon<'a> {
    /// Ask for the first time.
    pub(super) async fn connect(client: &'a Client, run: Run) -> Result<Self, Fail> {
        let link = ask(client, run.clone()).await?;
        Ok(Self { client, run, way: Way::Linked(link), told: false })
    }

    /// How hints begin.
    pub(super) fn me(&self) -> &str {
        &self.client.place.me
    }

    /// What comes next. May be given up and called again.
    pub(super) async fn next(&mut self) -> Heard {
        loop {
            match &mut self.way {
                Way::Linked(link) => match link.next().await {
                    Ok(Some(ask)) => return Heard::Ask(ask),
                    Ok(None) => return Heard::Lost,
                    Err(error) => {
                        complain(&[format!("warning: cannot understand the daemon: {error}")]);
                        return Heard::Lost;
                    }
                },
                Way::Asking(asking, pause) => match asking.await {
                    Ok(link) => return Heard::Back(link),
                    Err(fail) => {
                        let pause = (*pause * 2).min(PAUSE_MAX);
                        // A daemon that starts is not there yet; one that says no will say so again.
                        if !std::mem::replace(&mut self.told, true) && !fail.ends_a_run() {
                            complain(&[format!("warning: no resources any more: {}", fail.summary())]);
                        }
                        self.way = again(self.client, self.run.clone(), pause);
                    }
                },
            }
        }
    }

    /// It has gone: ask again, and say what is kept.
    pub(super) fn reconnect(&mut self, kept: Vec<Kept>) {
        self.run.kept = kept;
        self.told = false;
        self.way = again(self.client, self.run.clone(), PAUSE_FIRST);
    }

    /// It is there again.
    pub(super) fn linked(&mut self, link: Link) {
        self.way = Way::Linked(link);
    }

    /// Answer it; one that has gone meanwhile is noticed soon.
    pub(super) async fn answer(&mut self, answer: &RunAnswer, descriptors: &[BorrowedFd<'_>]) {
        if let Way::Linked(link) = &self.way
            && let Err(error) = link.answer(answer, descriptors).await
        {
            complain(&[format!("warning: cannot answer the daemon: {error}")]);
        }
    }
}

impl fmt::Debug for Daemon<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Daemon").field("run", &self.run).finish_non_exhaustive()
    }
}

fn again(client: &Client, run: Run, pause: Duration) -> Way<'_> {
    let asking = async move {
        sleep(pause).await;
        ask(client, run).await
    };
    Way::Asking(Box::pin(asking), pause)
}

async fn ask(client: &Client, run: Run) -> Result<Link, Fail> {
    let (stream, come) = client.upgrade("/v1/run", &run, RUN_UPGRADE).await?;
    Ok(Link::new(stream, &come))
}
