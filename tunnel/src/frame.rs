//! Frames on a stream: two bytes of length, then one message.

use coconet::cbor::CborError;
use coconet::wire::{self, FRAME_HEADER};
use minicbor::{Decode, Encode};
use noq::{ReadExactError, RecvStream, SendStream, WriteError};

/// Why a message could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The other end finished, reset or lost the stream before a whole message.
    #[error("the stream ended before a whole message")]
    Ended(#[source] ReadExactError),
    /// The bytes are not the message.
    #[error("malformed message")]
    Malformed(#[from] CborError),
    /// The stream takes no more.
    #[error("the stream is closed")]
    Write(#[from] WriteError),
    /// Our own message is longer than a frame can be.
    #[error("the message does not fit in a frame")]
    TooLong,
}

/// Read one message.
pub async fn read<T>(stream: &mut RecvStream) -> Result<T, FrameError>
where
    T: for<'b> Decode<'b, ()> + Encode<()>,
{
    let mut length = [0; FRAME_HEADER];
    stream.read_exact(&mut length).await.map_err(FrameError::Ended)?;
    let mut body = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut body).await.map_err(FrameError::Ended)?;
    Ok(wire::message(&body)?)
}

/// Write one message.
pub async fn write<T: Encode<()>>(stream: &mut SendStream, message: &T) -> Result<(), FrameError> {
    let frame = wire::frame(message).ok_or(FrameError::TooLong)?;
    stream.write_chunk(frame.into()).await?;
    Ok(())
}
