//! The processes of a measurement: started, asked, weighed, ended.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::lab::{Lab, Side};

/// Longest wait for a process to say its first line, and for a command to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// Longest wait for a killed process to be gone.
const DEATH: Duration = Duration::from_secs(1);

/// `USER_HZ`: what `/proc/PID/stat` counts in. It is 100 on every Linux there is.
const TICKS_PER_SECOND: f64 = 100.0;

/// A process that runs until this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    pid: u32,
}

/// Prepare `program` to run on a side. It dies with us, and Ctrl-C at the terminal reaches only us.
pub(crate) fn command(lab: &Lab, side: Side, program: impl AsRef<OsStr>) -> Command {
    let words = [lab.prefix(side).as_slice(), &["setpriv", "--pdeathsig", "KILL"]].concat();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).arg(program).process_group(0).kill_on_drop(true).stdin(Stdio::null());
    command
}

/// This very program, by one of its subcommands.
pub(crate) fn part(lab: &Lab, side: Side, words: &[&str]) -> anyhow::Result<Command> {
    let mut command = command(lab, side, std::env::current_exe()?);
    command.args(words);
    Ok(command)
}

/// Run a command to its end; what it printed.
pub(crate) async fn output(mut command: Command) -> anyhow::Result<String> {
    let named = format!("{:?}", command.as_std());
    let output = tokio::time::timeout(PATIENCE, command.output());
    let output = output.await.with_context(|| format!("no end of {named}"))??;
    if !output.status.success() {
        bail!("{} from {named}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}

/// Processor time that a process has taken so far, user and system, in seconds.
pub(crate) fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in brackets may hold anything; after it, user and system time are the 12th and 13th field.
    let fields = stat.rsplit_once(')').context("no process name")?.1.split_whitespace();
    let ticks = fields.skip(11).take(2).map(str::parse::<u32>).sum::<Result<u32, _>>()?;
    Ok(f64::from(ticks) / TICKS_PER_SECOND)
}

impl Running {
    /// Start a process whose output nobody needs.
    pub(crate) fn start(mut command: Command, log: PathBuf) -> anyhow::Result<Self> {
        let log = std::fs::File::create(log)?;
        Self::spawn(command.stdout(Stdio::null()).stderr(log))
    }

    /// Start a process that is ready when it has printed a line; returns that line.
    pub(crate) async fn until_ready(mut command: Command) -> anyhow::Result<(Self, String)> {
        let mut running = Self::spawn(command.stdout(Stdio::piped()))?;
        let stdout = running.child.stdout.take().context("the process has no output")?;
        let (mut stdout, mut line) = (BufReader::new(stdout), String::new());
        let read = tokio::time::timeout(PATIENCE, stdout.read_line(&mut line));
        if read.await.context("the process says nothing")?? == 0 {
            bail!("the process ended at once");
        }
        Ok((running, line.trim_end().to_owned()))
    }

    /// Start it as it is.
    pub(crate) fn spawn(command: &mut Command) -> anyhow::Result<Self> {
        let child = command.spawn().with_context(|| format!("starting {:?}", command.as_std()))?;
        let pid = child.id().context("the process ended at once")?;
        Ok(Self { child, pid })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Processor time taken so far, user and system, in seconds.
    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        cpu_seconds(self.pid)
    }

    /// Resident memory now, in megabytes.
    pub(crate) fn rss_mb(&self) -> anyhow::Result<f64> {
        self.memory_mb("VmRSS:")
    }

    /// Resident memory at most so far, in megabytes.
    pub(crate) fn peak_mb(&self) -> anyhow::Result<f64> {
        self.memory_mb("VmHWM:")
    }

    fn memory_mb(&self, field: &str) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let line = line.with_context(|| format!("no {field}"))?;
        let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kilobytes * 1024.0 / 1e6)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Killed and seen dead, so that what it used can be removed next. A killed process dies at once.
        let _ = self.child.start_kill();
        let until = Instant::now() + DEATH;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
