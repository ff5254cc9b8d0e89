//! A terminal with the dashboard in it, as far as its costs show: it counts frames and does not look at them.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::pty::{Winsize, openpty};
use tokio::process::Command;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{HEIGHT, WIDTH};
use crate::process::Running;

/// What the dashboard writes at the end of a frame.
const END_OF_FRAME: &[u8] = b"\x1b[?2026l";

/// Longest wait for a frame.
const PATIENCE: Duration = Duration::from_secs(10);

/// A dashboard of which so long nothing was seen has drawn all that there is.
const QUIET: Duration = Duration::from_millis(150);

/// The dashboard, and the terminal's end of its pseudo terminal.
pub(super) struct Terminal {
    dashboard: Running,
    keys: File,
    frames: UnboundedReceiver<Instant>,
}

impl Terminal {
    /// Starts it before the daemon on `socket`, and waits for all it has to show at first.
    pub(super) async fn start(cococtl: OsString, socket: &Path) -> anyhow::Result<Self> {
        let size = Winsize { ws_row: HEIGHT, ws_col: WIDTH, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = openpty(&size, None).context("no pseudo terminal")?;
        for end in [&pair.master, &pair.slave] {
            fcntl(end.as_fd(), FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        }
        // A terminal of its own, or it would ask ours how large it is. It must not be a group's leader before.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "setsid", "--ctty"]).arg(cococtl);
        command.arg("--socket").arg(socket).arg("dashboard").kill_on_drop(true);
        command.env("TERM", "xterm-256color").env_remove("NO_COLOR");
        command.stdin(pair.slave.try_clone()?).stdout(pair.slave.try_clone()?).stderr(pair.slave);
        let dashboard = Running::spawn(&mut command)?;
        let keys = File::from(pair.master);
        let (tell, frames) = unbounded_channel();
        let output = keys.try_clone()?;
        std::thread::spawn(move || count(output, &tell));
        let mut terminal = Self { dashboard, keys, frames };
        terminal.frame().await.context("the dashboard draws nothing")?;
        terminal.settle().await;
        Ok(terminal)
    }

    /// Types `key`, and waits until what comes of it is on the screen; how long that took.
    pub(super) async fn press(&mut self, key: &str) -> anyhow::Result<Duration> {
        let began = Instant::now();
        self.keys.write_all(key.as_bytes())?;
        let drawn = self.frame().await.with_context(|| format!("nothing is drawn upon {key:?}"))?;
        Ok(drawn.duration_since(began))
    }

    /// Waits until all is drawn that there is; how many frames it took.
    pub(super) async fn settle(&mut self) -> usize {
        let mut frames = 0;
        while let Ok(Some(_)) = tokio::time::timeout(QUIET, self.frames.recv()).await {
            frames += 1;
        }
        frames
    }

    /// How many frames there were that nobody has waited for.
    pub(super) fn drawn(&mut self) -> usize {
        std::iter::from_fn(|| self.frames.try_recv().ok()).count()
    }

    /// Processor time of all of its threads so far, user and system, as exactly as the kernel knows it.
    pub(super) fn cpu(&self) -> anyhow::Result<Duration> {
        let mut sum = 0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.dashboard.pid()))? {
            let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
            sum += text.split_whitespace().next().context("an empty schedstat")?.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(sum))
    }

    /// Resident memory at most, in megabytes.
    pub(super) fn peak_mb(&self) -> anyhow::Result<f64> {
        self.dashboard.peak_mb()
    }

    async fn frame(&mut self) -> anyhow::Result<Instant> {
        match tokio::time::timeout(PATIENCE, self.frames.recv()).await? {
            Some(drawn) => Ok(drawn),
            None => bail!("the dashboard has ended"),
        }
    }
}

/// Tells of each frame when its last byte has come.
fn count(mut output: File, tell: &UnboundedSender<Instant>) {
    let mut bytes = [0; 1 << 16];
    // What has come of the end of a frame.
    let mut matched = 0;
    while let Ok(read @ 1..) = output.read(&mut bytes) {
        for byte in &bytes[..read] {
            matched = match *byte {
                byte if byte == END_OF_FRAME[matched] => matched + 1,
                byte => usize::from(byte == END_OF_FRAME[0]),
            };
            if matched == END_OF_FRAME.len() {
                matched = 0;
                if tell.send(Instant::now()).is_err() {
                    return;
                }
            }
        }
    }
}
