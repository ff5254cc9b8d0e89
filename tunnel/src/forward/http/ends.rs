//! Where the messages come from and go to: the two halves of a channel and of a local socket, as the pump
//! sees them.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::task::Poll;

use bytes::{Bytes, BytesMut};

use super::super::local::{Reader, Writer};
use super::super::{Broken, CHUNKS, Meter, READ_MIN, READ_SIZE, opened, taken, write_all};
use crate::channel::{ChannelRx, ChannelTx};

/// Bytes that come.
pub(super) trait Source: Send {
    /// Wait until the other end is ready to send at all. Once, before the first read.
    fn ready(&mut self) -> impl Future<Output = Result<(), Broken>> + Send;

    /// Add what comes next to `chunks`; false at the end. Nothing is lost when it is dropped.
    fn read(&mut self, chunks: &mut VecDeque<Bytes>) -> impl Future<Output = Result<bool, Broken>> + Send;
}

/// Bytes that go.
pub(super) trait Sink: Send {
    /// Send all of it.
    fn write(&mut self, chunks: &mut [Bytes]) -> impl Future<Output = Result<(), Broken>> + Send;

    /// No more will come.
    fn finish(&mut self) -> Result<(), Broken>;
}

/// From a local socket.
pub(super) struct FromLocal<'a> {
    reader: Reader<'a>,
    buffer: BytesMut,
    meter: &'a Meter,
}

/// To a local socket.
pub(super) struct ToLocal<'a> {
    writer: Writer<'a>,
    meter: &'a Meter,
}

/// From a channel.
pub(super) struct FromChannel<'a> {
    rx: &'a mut ChannelRx,
    awaits_reply: bool,
}

/// To a channel.
pub(super) struct ToChannel<'a>(pub(super) &'a mut ChannelTx);

impl<'a> FromLocal<'a> {
    pub(super) fn new(reader: Reader<'a>, meter: &'a Meter) -> Self {
        Self { reader, buffer: BytesMut::new(), meter }
    }
}

impl<'a> ToLocal<'a> {
    pub(super) fn new(writer: Writer<'a>, meter: &'a Meter) -> Self {
        Self { writer, meter }
    }
}

impl<'a> FromChannel<'a> {
    /// With `awaits_reply` the far end's answer to our open comes first.
    pub(super) fn new(rx: &'a mut ChannelRx, awaits_reply: bool) -> Self {
        Self { rx, awaits_reply }
    }
}

impl Source for FromLocal<'_> {
    async fn ready(&mut self) -> Result<(), Broken> {
        Ok(())
    }

    async fn read(&mut self, chunks: &mut VecDeque<Bytes>) -> Result<bool, Broken> {
        loop {
            if self.buffer.capacity() < READ_MIN {
                self.buffer.reserve(READ_SIZE);
            }
            match self.reader.read_now(&mut self.buffer).await {
                Poll::Ready(Ok(0)) => return Ok(false),
                Poll::Ready(Ok(count)) => {
                    self.meter.bytes_out.fetch_add(count as u64, Ordering::Relaxed);
                    chunks.push_back(taken(&mut self.buffer));
                    return Ok(true);
                }
                Poll::Ready(Err(error)) => return Err(Broken::Local(error)),
                Poll::Pending => {
                    // Hold no buffer while waiting.
                    self.buffer = BytesMut::new();
                    self.reader.readable().await.map_err(Broken::Local)?;
                }
            }
        }
    }
}

impl Sink for ToLocal<'_> {
    async fn write(&mut self, chunks: &mut [Bytes]) -> Result<(), Broken> {
        for chunks in chunks.chunks_mut(CHUNKS) {
            let total: usize = chunks.iter().map(Bytes::len).sum();
            write_all(&self.writer, chunks).await.map_err(Broken::Local)?;
            self.meter.bytes_in.fetch_add(total as u64, Ordering::Relaxed);
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Broken> {
        self.writer.finish().map_err(Broken::Local)
    }
}

impl Source for FromChannel<'_> {
    async fn ready(&mut self) -> Result<(), Broken> {
        if self.awaits_reply { opened(self.rx).await } else { Ok(()) }
    }

    async fn read(&mut self, chunks: &mut VecDeque<Bytes>) -> Result<bool, Broken> {
        let mut read: [Bytes; CHUNKS] = std::array::from_fn(|_| Bytes::new());
        let Some(count) = self.rx.read(&mut read).await? else { return Ok(false) };
        chunks.extend(read.into_iter().take(count).filter(|chunk| !chunk.is_empty()));
        Ok(true)
    }
}

impl Sink for ToChannel<'_> {
    async fn write(&mut self, chunks: &mut [Bytes]) -> Result<(), Broken> {
        for chunk in chunks.iter_mut().filter(|chunk| !chunk.is_empty()) {
            self.0.write(std::mem::take(chunk)).await?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Broken> {
        self.0.finish();
        Ok(())
    }
}
