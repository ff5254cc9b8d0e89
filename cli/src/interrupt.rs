//! Ctrl-C while a command waits.
//!
//! The command is dropped first, so that the terminal and half a file are put right and the daemon hears that nobody
//! waits any more. Then it is said how things stand, which the daemon is asked for where only it knows: an interrupted
//! join has happened or not, and the user hears which. The exit status is 130, as a shell has it for a program that
//! the signal ended. A second Ctrl-C ends that as well.
//!
//! Who has the signal ignored when this program starts, a script's background jobs for one, is not interrupted.

use std::fs;
use std::io;
use std::time::Duration;

use coconet::control::{Networks, Progress, Tunnels, WorkStep};
use coconet::name::Name;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use crate::commands::Context;
use crate::fail::Fail;

/// How long the daemon may take to hear that nobody waits any more.
const HEARD: Duration = Duration::from_secs(1);

/// Time between two looks at that.
const LOOK: Duration = Duration::from_millis(20);

/// What is under way, as far as an interruption has to say how it stands.
#[derive(Debug, Clone, Default)]
pub(crate) enum UnderWay {
    /// Nothing stays of it.
    #[default]
    Nothing,
    /// The daemon does it to its end, whoever waits; the command that shows whether it has.
    Change(String),
    /// A network is founded or joined: what that is called, and what the daemon calls the network.
    Network(&'static str, String),
    /// A tunnel is opened.
    Open(Name),
    /// So many of so many changes are made, one after the other.
    Changes(usize, usize),
}

/// Runs `work` to its end, or until Ctrl-C.
pub(crate) async fn unless_interrupted<T>(
    context: &Context,
    work: impl Future<Output = Result<T, Fail>>,
) -> Result<T, Fail> {
    if is_ignored() {
        return work.await;
    }
    // From here on the signal is heard, before the work has begun: it may set the terminal to something.
    let mut interrupts = signal(SignalKind::interrupt())
        .map_err(|error| Fail::failed("cannot wait for signals").because(error))?;
    let done = tokio::select! {
        biased;
        done = work => Some(done),
        _ = interrupts.recv() => None,
    };
    match done {
        Some(done) => done,
        None => tokio::select! {
            lines = how_it_stands(context) => Err(Fail::Interrupted(lines)),
            _ = interrupts.recv() => Err(Fail::Interrupted(Vec::new())),
        },
    }
}

/// Does what blocks, reading what somebody types say, where Ctrl-C is heard meanwhile. It is left behind then, and
/// ends with this program.
pub(crate) async fn aside<T: Send + 'static>(
    what: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (tell, told) = oneshot::channel();
    std::thread::Builder::new().spawn(move || {
        // Nobody waits for it any more, perhaps.
        let _ = tell.send(what());
    })?;
    told.await.map_err(io::Error::other)?
}

async fn how_it_stands(context: &Context) -> Vec<String> {
    let me = context.me();
    let under_way = context.under_way.borrow().clone();
    match under_way {
        UnderWay::Nothing => Vec::new(),
        UnderWay::Change(look) => {
            vec![
                "interrupted: the daemon ends what it has begun".to_owned(),
                format!("hint: {look} shows whether it has"),
            ]
        }
        UnderWay::Network(what, network) => of_network(context, what, &network).await,
        UnderWay::Open(resource) => match context.client.get::<Tunnels>("/v1/tunnels").await {
            Ok(tunnels) if tunnels.value.tunnels.iter().any(|open| open.resource == resource) => vec![
                format!("interrupted: {resource} is open all the same"),
                format!("hint: {me} tunnel close {resource}"),
            ],
            Ok(_) => vec![format!("interrupted: {resource} was not opened")],
            Err(fail) => unknown(&fail, me, "tunnel list"),
        },
        UnderWay::Changes(made, of) => vec![
            format!("interrupted: {made} of {of} changes made, and the daemon ends the one it has begun"),
            "hint: apply the file again for the rest".to_owned(),
        ],
    }
}

/// Whether the network has come to be, which only the daemon knows.
async fn of_network(context: &Context, what: &str, network: &str) -> Vec<String> {
    let me = context.me();
    let until = Instant::now() + HEARD;
    loop {
        let progress = match context.client.get::<Progress>("/v1/progress").await {
            Ok(progress) => progress.value,
            Err(fail) => return unknown(&fail, me, "network list"),
        };
        match progress.work.iter().find(|work| work.network == network).map(|work| work.step) {
            None => break,
            // It is about to hear.
            Some(WorkStep::Connecting) if Instant::now() < until => sleep(LOOK).await,
            Some(WorkStep::Connecting | WorkStep::Writing | WorkStep::Verifying) => {
                return vec![
                    format!(
                        "interrupted: the manager has been asked already, and the daemon goes on to be {what}"
                    ),
                    format!("hint: {me} network list shows it then"),
                ];
            }
        }
    }
    match context.client.get::<Networks>("/v1/networks").await {
        Ok(networks) => {
            let known =
                |known: &&coconet::control::Network| known.id == network || known.name.as_str() == network;
            match networks.value.networks.iter().find(known) {
                Some(known) => vec![
                    format!("interrupted: {} is {what} all the same", known.name),
                    format!("hint: {me} network leave {}", known.name),
                ],
                None => vec![format!("interrupted: not {what}")],
            }
        }
        Err(fail) => unknown(&fail, me, "network list"),
    }
}

fn unknown(fail: &Fail, me: &str, look: &str) -> Vec<String> {
    vec![
        format!("interrupted: the daemon does not say how things stand: {}", fail.summary()),
        format!("hint: {me} {look}"),
    ]
}

/// Whether whoever started this program has it ignore Ctrl-C.
fn is_ignored() -> bool {
    let Ok(status) = fs::read_to_string("/proc/self/status") else { return false };
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // The bit of signal 1 is the lowest one.
    mask.is_some_and(|mask| mask & (1 << (nix::libc::SIGINT - 1)) != 0)
}
