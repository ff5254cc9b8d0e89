//! Signals to this process, with who has sent them.
//!
//! What a terminal sends goes to the whole process group, so the command has it as well. What a process
//! sends to this one is meant for the command and handed on. A process may send to the whole group, too
//! (`timeout` does): the command then gets the signal twice, which is better than never.

use std::io;
use std::process::{Child, Command};

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::fail::Fail;

/// Those that can be handed on. The others end this process where they hit it, or cannot be heeded.
const HEEDED: [Signal; 15] = [
    Signal::SIGCHLD,
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGCONT,
    Signal::SIGTSTP,
    Signal::SIGTTIN,
    Signal::SIGTTOU,
    Signal::SIGWINCH,
    Signal::SIGURG,
    Signal::SIGIO,
];

/// `si_code` of what the kernel sends by itself, a terminal's signals among it.
const SI_KERNEL: i32 = 0x80;

/// A signal that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heeded {
    /// A process that was started here has changed.
    Child,
    /// A process has sent it to this one.
    Sent(Signal),
    /// A terminal has sent it to all.
    FromTerminal(Signal),
}

/// All that come from now on.
#[derive(Debug)]
pub(super) struct Signals(AsyncFd<SignalFd>);

/// Which signals were blocked when this program was started: so it is for those that it starts, too.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before(SigSet);

impl Before {
    /// Start a program that is hit by signals as this one was. They hit this one as well meanwhile, which ends
    /// it, or is lost: a child's end has to be looked for afterwards.
    pub(super) fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        let now = self.0.thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
        let spawned = command.spawn();
        now.thread_set_mask()?;
        spawned
    }
}

/// Those that are heeded, from now on blocked for this thread, which is the only one.
pub(super) fn blocked() -> io::Result<(SignalFd, Before)> {
    let set: SigSet = HEEDED.into_iter().collect();
    let before = set.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    let signals = SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
    Ok((signals, Before(before)))
}

impl Signals {
    /// Begin to heed them.
    pub(super) fn block() -> Result<(Self, Before), Fail> {
        let registered = blocked().and_then(|(signals, before)| {
            #[expect(
                deprecated,
                reason = "unsound for types that change their descriptor, which this one never does"
            )]
            let signals = AsyncFd::with_interest(signals, Interest::READABLE)?;
            Ok((Self(signals), before))
        });
        registered.map_err(|error| Fail::failed("cannot wait for signals").because(error))
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Result<Heeded, Fail> {
        let broken = |error: io::Error| Fail::failed("cannot wait for signals").because(error);
        loop {
            let mut ready = self.0.readable_mut().await.map_err(broken)?;
            let read = ready.try_io(|signals| match signals.get_mut().read_signal() {
                Ok(Some(signal)) => Ok(signal),
                Ok(None) => Err(io::ErrorKind::WouldBlock.into()),
                Err(error) => Err(error.into()),
            });
            let Ok(info) = read else { continue };
            let info = info.map_err(broken)?;
            let number = i32::try_from(info.ssi_signo).unwrap_or_default();
            match Signal::try_from(number) {
                Ok(Signal::SIGCHLD) => return Ok(Heeded::Child),
                Ok(signal) if info.ssi_code == SI_KERNEL => return Ok(Heeded::FromTerminal(signal)),
                Ok(signal) => return Ok(Heeded::Sent(signal)),
                Err(_) => {}
            }
        }
    }
}
