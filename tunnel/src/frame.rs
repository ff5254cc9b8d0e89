//! Messages on a channel: two bytes of length, then canonical CBOR.

use coconet::cbor::CborError;
use coconet::wire::{self, FRAME_HEADER};
use minicbor::{Decode, Encode};

use crate::channel::{ChannelRx, ChannelTx, Cut};

/// Why a message could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The other end finished before a whole message.
    #[error("the stream ended before a whole message")]
    Ended,
    /// The channel broke.
    #[error(transparent)]
    Cut(#[from] Cut),
    /// The bytes are not the message.
    #[error("malformed message")]
    Malformed(#[from] CborError),
    /// Our own message is longer than a frame can be.
    #[error("the message does not fit in a frame")]
    TooLong,
}

/// Read one message.
pub async fn read<T>(rx: &mut ChannelRx) -> Result<T, FrameError>
where
    T: for<'b> Decode<'b, ()> + Encode<()>,
{
    let mut length = [0; FRAME_HEADER];
    fill(rx, &mut length).await?;
    let mut body = vec![0; usize::from(u16::from_be_bytes(length))];
    fill(rx, &mut body).await?;
    Ok(wire::message(&body)?)
}

/// Write one message.
pub async fn write<T: Encode<()>>(tx: &mut ChannelTx, message: &T) -> Result<(), FrameError> {
    let frame = wire::frame(message).ok_or(FrameError::TooLong)?;
    Ok(tx.write(frame.into()).await?)
}

async fn fill(rx: &mut ChannelRx, buffer: &mut [u8]) -> Result<(), FrameError> {
    if rx.read_exact(buffer).await? { Ok(()) } else { Err(FrameError::Ended) }
}
