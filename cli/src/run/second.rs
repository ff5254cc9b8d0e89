//! Process 1 of the process namespace, seen from the process that has made it.
//!
//! They find each other by an abstract socket of the new network namespace, where nobody else is yet; it
//! takes one connection and is gone before the command is there.

use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener as StdListener};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::time::Duration;

use coconet::name::Name;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

use super::signals::Before;
use super::words::{self, Hidden, Told, WORD_MAX, Word};
use super::{MEETING, SECOND, code_of_status};
use crate::fail::Fail;

/// The variable that tells programs inside where they are.
const RUN_VARIABLE: &str = "COCO_RUN";

/// What a program asks for where to find a proxy, which it would not reach.
const PROXIES: [&str; 4] = ["http_proxy", "https_proxy", "ftp_proxy", "all_proxy"];

/// Time between two looks whether it is still there, while it has not come.
const LOOK: Duration = Duration::from_millis(50);

/// Bytes read at once.
const CHUNK: usize = 1024;

/// The process, and what it says.
#[derive(Debug)]
pub(super) struct Second {
    child: Child,
    listener: Option<UnixListener>,
    stream: Option<UnixStream>,
    /// What has come and is not a whole line yet.
    come: Vec<u8>,
}

impl Second {
    /// Start it, with the command that it shall start.
    pub(super) fn start(command: &[OsString], network: &Name, before: Before) -> Result<Self, Fail> {
        let failed = |error: io::Error| Fail::failed("cannot start in the namespace").because(error);
        let listener = listen().map_err(failed)?;
        let mut second = Command::new("/proc/self/exe");
        second.arg0("cococtl").arg(SECOND).args(command).env(RUN_VARIABLE, network.as_str());
        for name in PROXIES {
            second.env_remove(name).env_remove(name.to_ascii_uppercase());
        }
        let child = before.spawn(&mut second).map_err(failed)?;
        Ok(Self { child, listener: Some(listener), stream: None, come: Vec::new() })
    }

    /// Have it arrange everything, and wait until it has.
    pub(super) async fn arrange(&mut self, hidden: Hidden) -> Result<(), Fail> {
        while let Some(listener) = &self.listener {
            match timeout(LOOK, listener.accept()).await {
                Ok(Ok((stream, _))) => {
                    self.stream = Some(stream);
                    self.listener = None;
                }
                Ok(Err(error)) => return Err(lost(error)),
                Err(_) => {
                    if let Some(code) = self.has_ended()? {
                        return Err(lost(format!("process 1 of the namespace ended with {code}")));
                    }
                }
            }
        }
        self.say(&Word::Arrange(hidden)).await?;
        match self.next().await? {
            Some(Told::Arranged) => Ok(()),
            Some(Told::Failed(failed)) => Err(Fail::of_command(failed)),
            Some(Told::Stopped) | None => Err(lost("process 1 of the namespace is gone")),
        }
    }

    /// Tell it something.
    pub(super) async fn say(&mut self, word: &Word) -> Result<(), Fail> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        match stream.write_all(&words::line(word)).await {
            // It is ending: its code says the rest.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            said => said.map_err(lost),
        }
    }

    /// What it says; nothing once it is gone. May be given up and called again.
    pub(super) async fn next(&mut self) -> Result<Option<Told>, Fail> {
        let Some(stream) = &mut self.stream else { return Ok(None) };
        loop {
            if let Some(end) = self.come.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.come.drain(..=end).collect();
                return serde_json::from_slice(&line).map(Some).map_err(lost);
            }
            if self.come.len() > WORD_MAX {
                return Err(lost("process 1 of the namespace says too much"));
            }
            self.come.reserve(CHUNK);
            match stream.read_buf(&mut self.come).await {
                Ok(0) => {
                    self.stream = None;
                    return Ok(None);
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    self.stream = None;
                    return Ok(None);
                }
                Err(error) => return Err(lost(error)),
            }
        }
    }

    /// Whether it says anything any more.
    pub(super) fn talks(&self) -> bool {
        self.stream.is_some()
    }

    /// Its exit code, if it has ended.
    pub(super) fn has_ended(&mut self) -> Result<Option<u8>, Fail> {
        let status = self.child.try_wait();
        let status = status.map_err(|error| Fail::failed("cannot wait for the command").because(error))?;
        Ok(status.map(code_of_status))
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        // With it goes whatever runs in the namespace. It has ended already, most often.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen() -> io::Result<UnixListener> {
    let listener = StdListener::bind_addr(&SocketAddr::from_abstract_name(MEETING)?)?;
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

fn lost(cause: impl std::fmt::Display) -> Fail {
    Fail::failed("what runs in the namespace cannot be talked to")
        .because(cause)
        .hint("try again; journalctl -k, if it was killed")
}
