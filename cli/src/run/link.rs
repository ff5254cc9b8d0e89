//! The connection to the daemon: lines both ways, and descriptors with some of ours.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use coconet::control::{RUN_LINE_MAX, RUN_SOCKETS_MAX, RunAnswer, RunAsk};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tokio::io::{AsyncReadExt, Interest};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::words;

/// How long the daemon may take to read an answer.
const ANSWERING: Duration = Duration::from_secs(20);

/// Bytes read at once.
const CHUNK: usize = 4096;

/// A daemon that asks.
#[derive(Debug)]
pub(super) struct Link {
    stream: UnixStream,
    /// What has come and is not a whole line yet.
    come: Vec<u8>,
}

impl Link {
    /// On a connection that was upgraded, with what has come behind the answer to that.
    pub(super) fn new(stream: UnixStream, come: &[u8]) -> Self {
        Self { stream, come: come.to_vec() }
    }

    /// What is asked next; nothing when the daemon has gone. May be given up and called again.
    pub(super) async fn next(&mut self) -> io::Result<Option<RunAsk>> {
        loop {
            if let Some(end) = self.come.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.come.drain(..=end).collect();
                return Ok(Some(serde_json::from_slice(&line)?));
            }
            if self.come.len() > RUN_LINE_MAX {
                return Err(io::ErrorKind::InvalidData.into());
            }
            self.come.reserve(CHUNK);
            if self.stream.read_buf(&mut self.come).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Answer, with descriptors.
    pub(super) async fn answer(&self, answer: &RunAnswer, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let line = words::line(answer);
        let sending = async {
            let mut sent = 0;
            while sent < line.len() {
                self.stream.writable().await?;
                let with = if sent == 0 { descriptors } else { &[] };
                match self.stream.try_io(Interest::WRITABLE, || send(&self.stream, &line[sent..], with)) {
                    Ok(count) => sent += count,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        };
        timeout(ANSWERING, sending).await.map_err(|_| io::ErrorKind::TimedOut)?
    }
}

fn send(stream: &UnixStream, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(RUN_SOCKETS_MAX))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(sendmsg(stream, &[IoSlice::new(bytes)], &mut beside, SendFlags::NOSIGNAL)?)
}
