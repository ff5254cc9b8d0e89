//! From a local socket to a channel and back.
//!
//! Each protocol has a *far* end at the exporter, which alone judges what a caller may do ([`Caller`]) with
//! a [`Service`], and a *near* end at the listener where the protocol needs one. What is opaque is spliced:
//! [`splice`] joins one local connection and one channel until both directions have ended: a half-close
//! on one side becomes a half-close on the other, a reset becomes a reset with its code, and a slow
//! reader slows the writer at the far end, because nothing is queued here beyond one read.

pub mod http;
pub mod ip;
mod local;
pub mod mqtt;
pub mod rtsp;
mod service;
pub mod udp;

use std::io::{self, IoSlice};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use bytes::{Buf, Bytes, BytesMut};
use coconet::wire::code::Reset;
use coconet::wire::node::Reply;

pub use local::{CONNECT_TIMEOUT, Local, connect};
use local::{Reader, Writer};
pub use service::{Caller, Service};

use crate::channel::{Channel, ChannelRx, ChannelTx, Cut};
use crate::frame::{self, FrameError};

/// Bytes read from a local socket at once. Larger reads save system calls; an idle connection holds
/// none of it.
pub const READ_SIZE: usize = 128 * 1024;

/// Room left in a buffer below which a fresh one is taken.
const READ_MIN: usize = READ_SIZE / 8;

/// Chunks taken from a channel, and handed to the local socket, at once.
const CHUNKS: usize = 64;

/// What went through a tunnel. Shared by its connections.
#[derive(Debug, Default)]
pub struct Meter {
    /// Connections now.
    pub clients: AtomicU64,
    /// Connections so far.
    pub connections: AtomicU64,
    /// Connections that could not be forwarded, or broke.
    pub failures: AtomicU64,
    /// Bytes from the channel to the local socket.
    pub bytes_in: AtomicU64,
    /// Bytes from the local socket to the channel.
    pub bytes_out: AtomicU64,
}

/// How a forwarded connection ended when it did not end well.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The local application or target broke it.
    #[error("the local connection broke")]
    Local(#[source] io::Error),
    /// The far end broke it.
    #[error(transparent)]
    Channel(#[from] Cut),
    /// It was cut here.
    #[error("cut: {0}")]
    Here(Reset),
    /// The far end did not open the resource.
    #[error("refused: {code}: {reason}")]
    Refused {
        /// Why.
        code: Reset,
        /// Why, for people; text of the other node.
        reason: String,
    },
}

/// Counts one connection in a [`Meter`] for as long as it lives.
#[derive(Debug)]
pub struct Counted<'a>(&'a Meter);

impl<'a> Counted<'a> {
    /// One more.
    pub fn new(meter: &'a Meter) -> Self {
        meter.clients.fetch_add(1, Ordering::Relaxed);
        meter.connections.fetch_add(1, Ordering::Relaxed);
        Counted(meter)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.clients.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Join `local` and `channel` until both directions have ended, or until `cut` says with which code to
/// end both. With `awaits_reply` the first thing on the channel is the far end's [`Reply`] to our open;
/// the local socket's bytes do not wait for it.
pub async fn splice(
    mut local: Local,
    mut channel: Channel,
    awaits_reply: bool,
    meter: &Meter,
    cut: impl Future<Output = Reset>,
) -> Result<(), Broken> {
    let ended = {
        let Channel { tx, rx, .. } = &mut channel;
        let (mut reader, writer) = local.split();
        let down = async {
            if awaits_reply {
                opened(rx).await?;
            }
            downward(rx, &writer, meter).await
        };
        let both = async { tokio::try_join!(upward(&mut reader, tx, meter), down).map(|_| ()) };
        tokio::select! {
            ended = both => ended,
            code = cut => Err(Broken::Here(code)),
        }
    };
    end(ended, Some(local), channel, meter)
}

/// Let a connection that broke at one side break at the other, and count it. Without `local` the
/// application knows already.
fn end(
    ended: Result<(), Broken>,
    local: Option<Local>,
    mut channel: Channel,
    meter: &Meter,
) -> Result<(), Broken> {
    if let Err(broken) = &ended {
        meter.failures.fetch_add(1, Ordering::Relaxed);
        channel.reset(match broken {
            Broken::Local(_) => Reset::PeerReset,
            Broken::Channel(_) | Broken::Refused { .. } => Reset::Closed,
            Broken::Here(code) => *code,
        });
        if let Some(local) = local {
            local.abort();
        }
    }
    ended
}

/// Read the far end's answer to an open.
pub async fn opened(rx: &mut ChannelRx) -> Result<(), Broken> {
    match frame::read(rx).await {
        Ok(Reply::Ok) => Ok(()),
        Ok(Reply::Refused { code, reason }) => {
            let code = Reset::from_number(u64::from(code)).unwrap_or(Reset::Closed);
            Err(Broken::Refused { code, reason })
        }
        Err(FrameError::Malformed(_) | FrameError::TooLong | FrameError::Ended) => {
            Err(Cut::Reset(Reset::Protocol).into())
        }
        Err(FrameError::Cut(cut)) => Err(cut.into()),
    }
}

/// Local socket to channel.
async fn upward(local: &mut Reader<'_>, tx: &mut ChannelTx, meter: &Meter) -> Result<(), Broken> {
    let mut stopped = pin!(tx.stopped());
    let mut buffer = BytesMut::new();
    loop {
        if buffer.capacity() < READ_MIN {
            buffer.reserve(READ_SIZE);
        }
        match local.read_now(&mut buffer).await {
            Poll::Ready(Ok(0)) => {
                tx.finish();
                return Ok(());
            }
            Poll::Ready(Ok(count)) => {
                meter.bytes_out.fetch_add(count as u64, Ordering::Relaxed);
                tx.write(taken(&mut buffer)).await?;
            }
            Poll::Ready(Err(error)) => return Err(Broken::Local(error)),
            Poll::Pending => {
                // Nothing to read: hold no buffer while waiting, and notice a far end that is gone.
                buffer = BytesMut::new();
                tokio::select! {
                    ready = local.readable() => ready.map_err(Broken::Local)?,
                    stopped = &mut stopped => match stopped? {
                        Some(code) => return Err(Cut::Reset(code).into()),
                        None => return Ok(()),
                    },
                }
            }
        }
    }
}

/// What was read, out of the buffer. Little is copied, so that it does not keep a large buffer alive until
/// the far end has acknowledged it.
fn taken(buffer: &mut BytesMut) -> Bytes {
    if buffer.len() >= READ_MIN {
        return buffer.split().freeze();
    }
    let bytes = Bytes::copy_from_slice(buffer);
    buffer.clear();
    bytes
}

/// Channel to local socket.
async fn downward(rx: &mut ChannelRx, local: &Writer<'_>, meter: &Meter) -> Result<(), Broken> {
    let mut chunks: [Bytes; CHUNKS] = std::array::from_fn(|_| Bytes::new());
    while let Some(count) = rx.read(&mut chunks).await? {
        let total: usize = chunks[..count].iter().map(Bytes::len).sum();
        write_all(local, &mut chunks[..count]).await.map_err(Broken::Local)?;
        meter.bytes_in.fetch_add(total as u64, Ordering::Relaxed);
    }
    local.finish().map_err(Broken::Local)
}

async fn write_all(local: &Writer<'_>, chunks: &mut [Bytes]) -> io::Result<()> {
    let mut sent = 0;
    loop {
        while chunks.get(sent).is_some_and(Bytes::is_empty) {
            // Give the memory back to the connection at once, not at the end of the batch.
            chunks[sent] = Bytes::new();
            sent += 1;
        }
        let left = &mut chunks[sent..];
        if left.is_empty() {
            return Ok(());
        }
        let mut slices = [IoSlice::new(&[]); CHUNKS];
        for (slice, chunk) in slices.iter_mut().zip(left.iter()) {
            *slice = IoSlice::new(chunk);
        }
        match local.try_write_vectored(&slices[..left.len()]) {
            Ok(mut written) => {
                for chunk in left {
                    let taken = written.min(chunk.len());
                    chunk.advance(taken);
                    written -= taken;
                    if written == 0 {
                        break;
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => local.writable().await?,
            Err(error) => return Err(error),
        }
    }
}
