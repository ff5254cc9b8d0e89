//! Messages and frames on the channel between the two ends, and on local sockets.

use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Buf, Bytes, BytesMut};

use super::super::local::{Reader as LocalReader, Writer as LocalWriter};
use super::lanes::Outlet;
use super::message::{BadMessage, Item, Reader};
use crate::channel::{ChannelRx, ChannelTx, Cut};

/// Chunks taken from a channel at once.
const CHUNKS: usize = 32;

/// Pieces that are written at once.
const SLICES: usize = 64;

/// Bytes read from a local socket at once.
const READ_SIZE: usize = 32 * 1024;

/// Why reading ended early.
#[derive(Debug)]
pub(super) enum Stopped {
    Cut(Cut),
    Local(io::Error),
    Bad(BadMessage),
}

/// Items out of a channel.
pub(super) struct Inlet<'a> {
    rx: &'a mut ChannelRx,
    reader: Reader,
}

/// Items out of a local socket.
pub(super) struct LocalInlet<'a> {
    socket: LocalReader<'a>,
    reader: Reader,
}

impl<'a> Inlet<'a> {
    pub(super) fn new(rx: &'a mut ChannelRx, reader: Reader) -> Self {
        Self { rx, reader }
    }

    /// The next item; `None` at the end. What was read is counted.
    pub(super) async fn next(&mut self, count: &AtomicU64) -> Result<Option<Item>, Stopped> {
        loop {
            if let Some(item) = self.reader.next().map_err(Stopped::Bad)? {
                return Ok(Some(item));
            }
            if !fill(self.rx, &mut self.reader, count).await.map_err(Stopped::Cut)? {
                return Ok(None);
            }
        }
    }
}

impl<'a> LocalInlet<'a> {
    pub(super) fn new(socket: LocalReader<'a>, reader: Reader) -> Self {
        Self { socket, reader }
    }

    /// The next item; `None` at the end. What was read is counted.
    pub(super) async fn next(&mut self, count: &AtomicU64) -> Result<Option<Item>, Stopped> {
        loop {
            if let Some(item) = self.reader.next().map_err(Stopped::Bad)? {
                return Ok(Some(item));
            }
            if !fill_local(&mut self.socket, &mut self.reader, count).await.map_err(Stopped::Local)? {
                return Ok(None);
            }
        }
    }
}

/// Read more from a channel; false at its end.
pub(super) async fn fill(rx: &mut ChannelRx, reader: &mut Reader, count: &AtomicU64) -> Result<bool, Cut> {
    let mut chunks: [Bytes; CHUNKS] = std::array::from_fn(|_| Bytes::new());
    let Some(filled) = rx.read(&mut chunks).await? else { return Ok(false) };
    for chunk in &chunks[..filled] {
        count.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        reader.push(chunk);
    }
    Ok(true)
}

/// Read more from a local socket; false at its end.
pub(super) async fn fill_local(
    socket: &mut LocalReader<'_>,
    reader: &mut Reader,
    count: &AtomicU64,
) -> io::Result<bool> {
    let mut buffer = BytesMut::with_capacity(READ_SIZE);
    loop {
        match socket.read_now(&mut buffer).await {
            std::task::Poll::Ready(read) => {
                let read = read?;
                count.fetch_add(read as u64, Ordering::Relaxed);
                reader.push(&buffer);
                return Ok(read > 0);
            }
            std::task::Poll::Pending => socket.readable().await?,
        }
    }
}

/// Write what an outlet holds into a channel, until it is finished.
pub(super) async fn write(outlet: &Outlet, tx: &mut ChannelTx, count: &AtomicU64) -> Result<(), Cut> {
    let mut batch = Vec::new();
    while outlet.take(&mut batch).await {
        for bytes in batch.drain(..) {
            count.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            tx.write(bytes).await?;
        }
    }
    Ok(())
}

/// Write what an outlet holds into a local socket, until it is finished.
pub(super) async fn write_local(
    outlet: &Outlet,
    socket: &LocalWriter<'_>,
    count: &AtomicU64,
) -> io::Result<()> {
    let mut batch = Vec::new();
    while outlet.take(&mut batch).await {
        for bytes in &batch {
            count.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        }
        write_all(socket, &mut batch).await?;
        batch.clear();
    }
    Ok(())
}

/// Write all of it.
pub(super) async fn write_all(socket: &LocalWriter<'_>, batch: &mut [Bytes]) -> io::Result<()> {
    let mut sent = 0;
    while let Some(left) = batch.get_mut(sent..).filter(|left| !left.is_empty()) {
        let slices: Vec<_> = left.iter().take(SLICES).map(|bytes| IoSlice::new(bytes)).collect();
        match socket.try_write_vectored(&slices) {
            Ok(mut written) => {
                for bytes in left {
                    let taken = written.min(bytes.len());
                    bytes.advance(taken);
                    written -= taken;
                    if !bytes.is_empty() {
                        break;
                    }
                    sent += 1;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => socket.writable().await?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
