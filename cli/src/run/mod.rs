//! `run`: a program that sees the resources of one network, and nothing else of any.
//!
//! Three processes, without root. *This one* asks the daemon for a connection that can carry descriptors,
//! then leaves the machine's network: in a user namespace of its own, where nobody but this user exists, it
//! makes a network namespace with a loopback interface and nothing else ([`space`]). It stays there and makes
//! the sockets that the daemon asks for ([`factory`]), each on an address of 127.64.0.0/16 and on the port that its
//! protocol usually has. The daemon accepts on them from where it is: a socket belongs to the namespace it was
//! made in, whoever holds it.
//!
//! *The second* is this program again, as process 1 of a process namespace ([`inside`]). It makes the
//! files that give the resources names, hides the sockets by which a program could have others outside do what
//! it cannot ([`hide`]), gives up every capability, and starts *the third*, the command. It waits for
//! that and for whatever is left to it, and takes the namespace with it when it ends.
//!
//! Signals that are sent to this process are handed on to the command; those that a terminal sends reach it
//! anyhow, as all are in one process group. When the command stops, so does this process, and whoever
//! started it sees what it would see of the command itself. The daemon may go and come back ([`daemon`]): the sockets stay, and
//! are handed over anew.

mod daemon;
mod factory;
mod hide;
pub(crate) mod inside;
mod link;
mod second;
mod signals;
mod space;
mod words;

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::process::ExitStatus;
use std::time::Duration;

use coconet::control::{ErrorKind, Kept, Run, RunAnswer, RunAsk, Wanted};
use nix::sys::signal::{Signal, raise};
use tokio::time::{Instant, sleep_until, timeout};

use crate::client::{Client, SLOW};
use crate::fail::Fail;
use daemon::{Daemon, Heard};
use factory::Factory;
use second::Second;
use signals::{Heeded, Signals};
use words::{Told, Word};

pub(crate) use words::Failed;

/// The first word of this program's command line when it is process 1 of the namespace.
pub(crate) const SECOND: &str = "run-inside";

/// The abstract socket where the two meet.
const MEETING: &str = "cococtl-run";

/// How long process 1 may take to arrange everything.
const ARRANGING: Duration = Duration::from_secs(20);

/// What is to be run.
#[derive(Debug)]
pub(crate) struct Order {
    /// In which network, with which resources.
    pub(crate) run: Run,
    /// The program and its arguments; never empty.
    pub(crate) command: Vec<OsString>,
}

/// Run it to its end; returns the exit code, which is the command's.
pub(crate) async fn run(client: &Client, order: Order) -> Result<u8, Fail> {
    let Order { run, command } = order;
    let network = run.network.clone();
    // First what can be refused, and while this process still is where everybody is.
    let daemon = Daemon::connect(client, run).await?;
    let hidden = hide::find(&client.place.socket)?;
    let (signals, before) = Signals::block()?;
    space::enter()?;
    let mut second = Second::start(&command, &network, before)?;
    timeout(ARRANGING, second.arrange(hidden)).await.map_err(|_| {
        let late = format!("the namespace was not ready in {} s", ARRANGING.as_secs());
        Fail::new(ErrorKind::TimedOut, late).hint("is this machine very busy? try again")
    })??;
    space::keep_what_sockets_need()?;
    let stage = Stage { daemon, second, signals, factory: Factory::default(), started: false };
    stage.play().await
}

/// Everything there is while it runs.
struct Stage<'a> {
    daemon: Daemon<'a>,
    second: Second,
    signals: Signals,
    factory: Factory,
    /// Whether the command was started.
    started: bool,
}

enum Happened {
    Daemon(Heard),
    Told(Option<Told>),
    Signal(Heeded),
    Late,
}

impl Stage<'_> {
    async fn play(mut self) -> Result<u8, Fail> {
        let late = Instant::now() + SLOW;
        loop {
            let happened = tokio::select! {
                heard = self.daemon.next() => Happened::Daemon(heard),
                told = self.second.next(), if self.second.talks() => Happened::Told(told?),
                signal = self.signals.next() => Happened::Signal(signal?),
                () = sleep_until(late), if !self.started => Happened::Late,
            };
            match happened {
                Happened::Daemon(Heard::Ask(ask)) => self.obey(ask).await?,
                Happened::Daemon(Heard::Back(link)) => self.daemon.linked(link),
                Happened::Daemon(Heard::Lost) => self.daemon.reconnect(self.factory.kept()),
                Happened::Told(Some(Told::Failed(failed))) => return Err(Fail::of_command(failed)),
                Happened::Told(Some(Told::Arranged)) => {}
                Happened::Told(Some(Told::Stopped)) => {
                    // So that whoever waits for this process learns of it.
                    let _ = raise(Signal::SIGSTOP);
                }
                // It has ended, or is about to: a signal says when.
                Happened::Told(None) | Happened::Signal(Heeded::Child) => {
                    if let Some(code) = self.second.has_ended()? {
                        return Ok(code);
                    }
                }
                Happened::Signal(Heeded::Sent(signal)) if self.started => {
                    self.second.say(&Word::Signal(signal as i32)).await?;
                }
                Happened::Signal(Heeded::FromTerminal(_)) if self.started => {}
                // There is no command yet that could do something about it.
                Happened::Signal(Heeded::Sent(signal) | Heeded::FromTerminal(signal)) => match effect(signal)
                {
                    Effect::Ends => return Ok(code_of(signal as i32)),
                    Effect::Stops => drop(raise(Signal::SIGSTOP)),
                    Effect::Nothing => {}
                },
                Happened::Late => {
                    return Err(Fail::new(
                        ErrorKind::TimedOut,
                        format!("the daemon had nothing ready in {} s", SLOW.as_secs()),
                    )
                    .hint(format!("{} status, and look at the daemon's log", self.daemon.me())));
                }
            }
        }
    }

    async fn obey(&mut self, ask: RunAsk) -> Result<(), Fail> {
        match ask {
            RunAsk::Make { id, wanted, keep } => match self.factory.make(&wanted, keep) {
                Ok(made) => {
                    let answer = RunAnswer::Made { id, count: made.len() };
                    let descriptors: Vec<_> = made.iter().map(AsFd::as_fd).collect();
                    self.daemon.answer(&answer, &descriptors).await;
                }
                Err(error) if !self.started && matches!(wanted[..], [Wanted::Interface { .. }]) => {
                    let fail = Fail::failed("cannot make a network interface").because(&error);
                    return Err(
                        fail.hint("ls -l /dev/net/tun: everybody may open it, most often; modprobe tun")
                    );
                }
                Err(error) => {
                    let taken = error.kind() == std::io::ErrorKind::AddrInUse;
                    let answer = RunAnswer::Failed { id, taken, reason: error.to_string() };
                    self.daemon.answer(&answer, &[]).await;
                }
            },
            RunAsk::Forget { resource } => self.factory.forget(&resource),
            RunAsk::Names { names } => {
                self.second.say(&Word::Hosts(words::hosts(&names))).await?;
            }
            RunAsk::Ready if !self.started => {
                self.started = true;
                self.second.say(&Word::Start).await?;
            }
            RunAsk::Ready => {}
        }
        Ok(())
    }
}

/// What a signal does to a program that does nothing about it.
enum Effect {
    Ends,
    Stops,
    Nothing,
}

fn effect(signal: Signal) -> Effect {
    match signal {
        Signal::SIGTSTP | Signal::SIGTTIN | Signal::SIGTTOU => Effect::Stops,
        Signal::SIGCONT | Signal::SIGWINCH | Signal::SIGURG | Signal::SIGCHLD => Effect::Nothing,
        // Of those that are heeded.
        _ => Effect::Ends,
    }
}

/// The exit code that stands for a signal.
fn code_of(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(u8::MAX)
}

fn code_of_status(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => u8::try_from(code).unwrap_or(u8::MAX),
        (None, Some(signal)) => code_of(signal),
        (None, None) => u8::MAX,
    }
}

/// The addresses that are kept, as the daemon wants to hear it.
fn kept_line(resource: &coconet::name::Name, address: Ipv4Addr) -> Kept {
    Kept { resource: resource.clone(), address }
}
