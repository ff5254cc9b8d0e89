//! A channel: bytes both ways, half-close, and a reset code, as the forwarders see them.
//!
//! Today a channel is one QUIC stream. The forwarders do not know, so that another carrier can stand
//! beside it.

use std::sync::Arc;

use bytes::Bytes;
use coconet::wire::code::Reset;
use noq::{ReadError, ReadExactError, RecvStream, SendStream, StoppedError, VarInt, WriteError};

use crate::backlog::Lane;
use crate::flow::{Flows, Hub};

/// Both directions.
#[derive(Debug)]
pub struct Channel {
    /// Towards the other node.
    pub tx: ChannelTx,
    /// From the other node.
    pub rx: ChannelRx,
    hub: Arc<Hub>,
}

/// The sending half. Dropped without [`ChannelTx::finish`] it resets, so that a lost task is never
/// mistaken for a clean end.
#[derive(Debug)]
pub struct ChannelTx(SendStream, bool);

/// The receiving half. What it does not read keeps room in the session; see [`crate::backlog`].
#[derive(Debug)]
pub struct ChannelRx(RecvStream, Lane);

/// Why a channel broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Cut {
    /// The other node reset or stopped the stream.
    #[error("the other node cut the stream: {0}")]
    Reset(Reset),
    /// The session is gone.
    #[error("the connection to the other node is lost")]
    Lost,
}

impl Channel {
    pub(crate) fn new(tx: SendStream, rx: RecvStream, lane: Lane, hub: Arc<Hub>) -> Self {
        Self { tx: ChannelTx(tx, false), rx: ChannelRx(rx, lane), hub }
    }

    /// Resolves when nobody has read this channel for long and others need the room: it is to be reset then.
    pub fn given_up(&self) -> impl Future<Output = Reset> + use<> {
        let given_up = self.rx.1.given_up();
        async {
            given_up.await;
            Reset::Unread
        }
    }

    /// Take the datagram flows of this channel, before the other end can have sent in them.
    pub fn flows(&self) -> Flows {
        self.hub.take(VarInt::from(self.tx.0.id()).into_inner())
    }

    /// Cut both directions.
    pub fn reset(&mut self, code: Reset) {
        self.tx.reset(code);
        self.rx.stop(code);
    }
}

impl ChannelTx {
    /// Send all of `bytes`, waiting while the other end is slow.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), Cut> {
        self.0.write_chunk(bytes).await.map_err(cut_write)
    }

    /// Send what there is room for, waiting for some: returns how many bytes. Nothing is sent when the
    /// future is dropped.
    pub async fn write_some(&mut self, mut chunks: &mut [Bytes]) -> Result<usize, Cut> {
        self.0.write_many_chunks(&mut chunks).await.map_err(cut_write)
    }

    /// No more bytes in this direction.
    pub fn finish(&mut self) {
        self.1 = true;
        // Already reset or stopped: whoever did that knows.
        let _ = self.0.finish();
    }

    /// Cut this direction.
    pub fn reset(&mut self, code: Reset) {
        self.1 = true;
        let _ = self.0.reset(VarInt::from_u32(code.number()));
    }

    /// Resolves when the other end wants no more of this direction: with its code, or `None` when it
    /// has all of it.
    pub fn stopped(&self) -> impl Future<Output = Result<Option<Reset>, Cut>> + use<> {
        let stopped = self.0.stopped();
        async {
            match stopped.await {
                Ok(code) => Ok(code.map(reset_of)),
                Err(StoppedError::ConnectionLost(_) | StoppedError::ZeroRttRejected) => Err(Cut::Lost),
            }
        }
    }
}

impl Drop for ChannelTx {
    fn drop(&mut self) {
        if !self.1 {
            self.reset(Reset::GoingAway);
        }
    }
}

impl ChannelRx {
    /// Receive into `chunks`; `None` at the end of this direction.
    pub async fn read(&mut self, chunks: &mut [Bytes]) -> Result<Option<usize>, Cut> {
        let more = |read: &Result<Option<usize>, ReadError>| matches!(read, Ok(Some(_)));
        self.1.read(self.0.read_many_chunks(chunks), more).await.map_err(cut_read)
    }

    /// Fill `buffer`; false when the direction ends before.
    pub async fn read_exact(&mut self, buffer: &mut [u8]) -> Result<bool, Cut> {
        match self.1.read(self.0.read_exact(buffer), Result::is_ok).await {
            Ok(()) => Ok(true),
            Err(ReadExactError::FinishedEarly(_)) => Ok(false),
            Err(ReadExactError::ReadError(error)) => Err(cut_read(error)),
        }
    }

    /// Want no more of this direction.
    pub fn stop(&mut self, code: Reset) {
        let _ = self.0.stop(VarInt::from_u32(code.number()));
    }
}

fn cut_write(error: WriteError) -> Cut {
    match error {
        WriteError::Stopped(code) => Cut::Reset(reset_of(code)),
        WriteError::ConnectionLost(_) | WriteError::ClosedStream | WriteError::ZeroRttRejected => Cut::Lost,
    }
}

fn cut_read(error: ReadError) -> Cut {
    match error {
        ReadError::Reset(code) => Cut::Reset(reset_of(code)),
        ReadError::ConnectionLost(_) | ReadError::ClosedStream | ReadError::ZeroRttRejected => Cut::Lost,
    }
}

fn reset_of(code: VarInt) -> Reset {
    Reset::from_number(code.into_inner()).unwrap_or(Reset::Closed)
}
