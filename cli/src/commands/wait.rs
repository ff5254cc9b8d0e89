//! `wait --online`: until the daemon answers and its networks are in touch with their managers.
//!
//! First the socket has to appear: that is looked for every [`LOOK`]. Then the event stream says when
//! something has happened, and each time the status is read again. The stream is opened before the
//! first look at the status, so no change can fall between them; [`RECHECK`] covers a daemon whose
//! stream says nothing.

use std::time::Duration;

use coconet::control::{ErrorKind, ManagerLink, Network, Status};
use coconet::name::Name;
use tokio::time::{Instant, sleep, timeout_at};

use super::Context;
use crate::args::Wait;
use crate::client::{Answer, Events};
use crate::duration;
use crate::fail::Fail;
use crate::print::clean;

/// Time between two looks, at least.
const LOOK: Duration = Duration::from_millis(100);

/// Time between two looks when no event comes.
const RECHECK: Duration = Duration::from_secs(1);

/// What one look found.
enum Found {
    Online(Answer<Status>),
    NotYet(Vec<String>),
}

pub(super) async fn run(context: &Context, wait: &Wait) -> Result<(), Fail> {
    let until = Instant::now() + wait.timeout;
    let silent = Fail::new(ErrorKind::TimedOut, "it takes connections and says nothing");
    let mut seen = Err(silent.hint(format!("{} status, and look at the daemon's log", context.me())));
    // An answer that is on its way when the time is over does not count: the last complete look does.
    let waiting = timeout_at(until, online(context, wait, &mut seen));
    match context.during("waiting until the networks are online", waiting).await {
        Ok(done) => tell(context, wait, &done?),
        Err(_) => Err(late(context, wait, seen)),
    }
}

/// Returns once everything is online; `seen` is what the last look found.
async fn online(
    context: &Context,
    wait: &Wait,
    seen: &mut Result<Vec<String>, Fail>,
) -> Result<Answer<Status>, Fail> {
    let mut events = None;
    let mut told = false;
    loop {
        if events.is_none() {
            let opened = timeout_at(Instant::now() + RECHECK, context.client.events(false)).await;
            events = opened.ok().and_then(Result::ok);
        }
        match look(context, wait).await {
            Ok(Found::Online(status)) => return Ok(status),
            Ok(Found::NotYet(reasons)) => {
                *seen = Ok(reasons);
                next(&mut events).await;
            }
            Err(fail) if comes_back(&fail) => {
                if !std::mem::replace(&mut told, true) {
                    context.out.note(&format!("waiting for the daemon: {}", fail.summary()));
                }
                *seen = Err(fail);
                events = None;
            }
            Err(fail) => return Err(fail),
        }
        sleep(LOOK).await;
    }
}

/// Whether waiting can help: the daemon may start, and may be busy.
fn comes_back(fail: &Fail) -> bool {
    matches!(fail.kind(), Some(ErrorKind::Unreachable | ErrorKind::TimedOut))
}

async fn next(events: &mut Option<Events>) {
    let Some(stream) = events else { return sleep(RECHECK).await };
    let ended = timeout_at(Instant::now() + RECHECK, stream.pulse()).await == Ok(false);
    if ended {
        *events = None;
    }
}

async fn look(context: &Context, wait: &Wait) -> Result<Found, Fail> {
    let status = context.client.get::<Status>("/v1/status").await?;
    let meant = |network: &&Network| wait.network.as_ref().is_none_or(|name| *name == network.name);
    let networks: Vec<&Network> = status.value.networks.iter().filter(meant).collect();
    if let Some(name) = &wait.network
        && networks.is_empty()
    {
        return Err(no_such_network(context, name));
    }
    if let Some(gone) = networks.iter().find(|network| !network.node.member) {
        let message = format!("{} was removed from {}: it will not be online", gone.node.name, gone.name);
        return Err(Fail::new(ErrorKind::NotAMember, message).hint(format!(
            "{} network leave {} --forget",
            context.me(),
            gone.name
        )));
    }
    let reasons: Vec<String> = networks.into_iter().filter_map(why_not).collect();
    Ok(if reasons.is_empty() { Found::Online(status) } else { Found::NotYet(reasons) })
}

fn why_not(network: &Network) -> Option<String> {
    let manager = &network.manager;
    let state = match manager.state {
        ManagerLink::Online => return None,
        ManagerLink::Connecting => "connecting to",
        ManagerLink::Offline => "offline from",
    };
    let reason = manager.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
    Some(format!("{}: {state} its manager {}{reason}", network.name, manager.address))
}

fn tell(context: &Context, wait: &Wait, status: &Answer<Status>) -> Result<(), Fail> {
    if context.out.json {
        return context.out.answer(status, |_| []);
    }
    let networks = &status.value.networks;
    if networks.is_empty() {
        context.out.note("the daemon answers; it has joined no network");
    }
    let meant = |network: &&Network| wait.network.as_ref().is_none_or(|name| *name == network.name);
    context.out.lines(networks.iter().filter(meant).map(|network| format!("{} online", network.name)))
}

fn late(context: &Context, wait: &Wait, seen: Result<Vec<String>, Fail>) -> Fail {
    let limit = duration::text(wait.timeout);
    match seen {
        Err(fail) => fail.within(format!("no answer from the daemon in {limit}")),
        Ok(reasons) => {
            let fail = Fail::new(ErrorKind::TimedOut, format!("not online after {limit}"));
            let fail = reasons.iter().fold(fail, |fail, reason| fail.because(clean(reason)));
            fail.hint(format!("{} status; is the manager running, and its UDP port reachable?", context.me()))
        }
    }
}

fn no_such_network(context: &Context, name: &Name) -> Fail {
    Fail::new(ErrorKind::NotFound, format!("this daemon has joined no network {name}"))
        .hint(format!("{} network list", context.me()))
}
