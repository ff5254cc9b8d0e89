//! The connection to a `cococtl run`: lines both ways, and descriptors with some of those that come.
//!
//! The other end is a process of this user, and no better trusted than that: a line is bounded, so is the number
//! of descriptors that wait for the line they belong to, and what does not fit ends the connection.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use coconet::control::{RUN_LINE_MAX, RUN_SOCKETS_MAX, RunAnswer, RunAsk};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

/// Bytes read at once.
const CHUNK: usize = 4096;

/// Why the other end is not listened to any longer.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// It is gone.
    #[error("it is gone")]
    Gone,
    /// The connection broke.
    #[error("the connection broke")]
    Broken(#[from] io::Error),
    /// It does not keep to what was agreed.
    #[error("it said what cannot be understood")]
    Malformed,
}

/// What comes.
#[derive(Debug)]
pub struct Answers {
    stream: OwnedReadHalf,
    /// What has come and is not a whole line yet.
    come: Vec<u8>,
    /// Descriptors for lines that are still to come.
    descriptors: VecDeque<OwnedFd>,
}

/// What goes.
#[derive(Debug)]
pub struct Asks(OwnedWriteHalf);

/// Both halves of a connection, with what has come on it already.
pub fn link(stream: UnixStream, come: &[u8]) -> (Answers, Asks) {
    let (read, write) = stream.into_split();
    (Answers { stream: read, come: come.to_vec(), descriptors: VecDeque::new() }, Asks(write))
}

impl Answers {
    /// The next one, with its descriptors. May be given up and called again.
    pub async fn next(&mut self) -> Result<(RunAnswer, Vec<OwnedFd>), LinkError> {
        loop {
            if let Some(end) = self.come.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.come.drain(..=end).collect();
                return self.whole(&line);
            }
            if self.come.len() > RUN_LINE_MAX {
                return Err(LinkError::Malformed);
            }
            self.stream.readable().await?;
            let stream: &UnixStream = self.stream.as_ref();
            let mut bytes = [0; CHUNK];
            let read =
                stream.try_io(Interest::READABLE, || receive(stream, &mut bytes, &mut self.descriptors));
            match read {
                Ok(0) => return Err(LinkError::Gone),
                Ok(count) => self.come.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
            if self.descriptors.len() > RUN_SOCKETS_MAX {
                return Err(LinkError::Malformed);
            }
        }
    }

    fn whole(&mut self, line: &[u8]) -> Result<(RunAnswer, Vec<OwnedFd>), LinkError> {
        let answer: RunAnswer = serde_json::from_slice(line).map_err(|_| LinkError::Malformed)?;
        let count = match &answer {
            RunAnswer::Made { count, .. } => *count,
            RunAnswer::Failed { .. } => 0,
        };
        // They come with the first byte of their line, and that is here.
        if count > self.descriptors.len() {
            return Err(LinkError::Malformed);
        }
        Ok((answer, self.descriptors.drain(..count).collect()))
    }
}

impl Asks {
    /// Send one, as soon as the other end takes it. Not to be given up half-way.
    pub async fn send(&mut self, ask: &RunAsk) -> Result<(), LinkError> {
        // Our own types have no map keys or numbers that JSON could refuse.
        let mut line = serde_json::to_vec(ask).unwrap_or_default();
        line.push(b'\n');
        Ok(self.0.write_all(&line).await?)
    }
}

fn receive(stream: &UnixStream, bytes: &mut [u8], into: &mut VecDeque<OwnedFd>) -> io::Result<usize> {
    // What does not fit is closed by the kernel, and the count tells.
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(RUN_SOCKETS_MAX))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let read = recvmsg(stream, &mut [IoSliceMut::new(bytes)], &mut beside, RecvFlags::CMSG_CLOEXEC)?;
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            into.extend(descriptors);
        }
    }
    Ok(read.bytes)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use std::io::IoSlice;
    use std::os::fd::AsFd;

    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

    use super::*;

    fn pair() -> (UnixStream, Answers, Asks) {
        let (other, own) = UnixStream::pair().unwrap();
        let (answers, asks) = link(own, b"");
        (other, answers, asks)
    }

    fn send(stream: &UnixStream, text: &str, count: usize) {
        let file = std::fs::File::open("/dev/null").unwrap();
        let descriptors = vec![file.as_fd(); count];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        if count > 0 {
            assert!(beside.push(SendAncillaryMessage::ScmRights(&descriptors)));
        }
        let sent = sendmsg(stream, &[IoSlice::new(text.as_bytes())], &mut beside, SendFlags::empty());
        assert_eq!(sent.unwrap(), text.len());
    }

    #[tokio::test]
    async fn descriptors_come_with_the_line_they_are_for() {
        let (other, mut answers, _asks) = pair();
        send(&other, "{\"answer\":\"failed\",\"id\":1,\"taken\":false,\"reason\":\"\"}\n", 0);
        send(&other, "{\"answer\":\"made\",\"id\":2,\"cou", 2);
        send(&other, "nt\":2}\n", 0);
        send(&other, "{\"answer\":\"made\",\"id\":3,\"count\":1}\n", 1);
        for (id, count) in [(1, 0), (2, 2), (3, 1)] {
            let (answer, descriptors) = answers.next().await.unwrap();
            assert_eq!(descriptors.len(), count);
            assert!(
                matches!(answer, RunAnswer::Made { id: said, .. } | RunAnswer::Failed { id: said, .. } if said == id)
            );
        }
        drop(other);
        assert!(matches!(answers.next().await, Err(LinkError::Gone)));
    }

    #[tokio::test]
    async fn what_is_not_agreed_ends_it() {
        for (text, count) in [
            ("nonsense\n", 0),
            ("{\"answer\":\"made\",\"id\":1,\"count\":1}\n", 0),
            ("{\"answer\":\"made\",\"id\":1,\"count\":18446744073709551615}\n", 4),
            ("{\"answer\":\"made\",\"id\":-1,\"count\":0}\n", 0),
            ("\n", 0),
        ] {
            let (other, mut answers, _asks) = pair();
            send(&other, text, count);
            assert!(matches!(answers.next().await, Err(LinkError::Malformed)), "{text}");
        }
        // Descriptors that belong to nothing pile up, and one line without end.
        let (other, mut answers, _asks) = pair();
        send(&other, "x", 4);
        send(&other, "x", 4);
        assert!(matches!(answers.next().await, Err(LinkError::Malformed)));
        let (mut other, mut answers, _asks) = pair();
        tokio::spawn(async move {
            let endless = vec![b'x'; RUN_LINE_MAX + CHUNK];
            // The other end hangs up.
            let _ = other.write_all(&endless).await;
        });
        assert!(matches!(answers.next().await, Err(LinkError::Malformed)));
    }

    #[tokio::test]
    async fn an_ask_is_one_line() {
        use tokio::io::AsyncReadExt;
        let (mut other, _answers, mut asks) = pair();
        asks.send(&RunAsk::Ready).await.unwrap();
        let mut line = [0; 16];
        other.read_exact(&mut line).await.unwrap();
        assert_eq!(&line, b"{\"ask\":\"ready\"}\n");
    }
}
