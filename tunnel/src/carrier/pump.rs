//! Moves datagrams between a stream of bytes and QUIC, both ways at once, until one of them ends.

use std::io::{self, ErrorKind};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::timeout;

use super::frame::{DATAGRAM_MAX, HEADER};
use super::{BATCH, IDLE_TIMEOUT, LineEnd, frame};
use crate::socket::{Carrier, CarrierInlet};

/// Bytes read at once: a record of TLS, and no less than a datagram needs.
const READ_SIZE: usize = 16 * 1024;
const _: () = assert!(READ_SIZE > HEADER + DATAGRAM_MAX);

/// Carry datagrams; the first to be sent must come within `first`.
pub(super) async fn pump<S>(stream: S, carrier: Carrier, first: Duration) -> LineEnd
where
    S: AsyncRead + AsyncWrite,
{
    let (reading, writing) = tokio::io::split(stream);
    let inlet = carrier.inlet();
    tokio::select! {
        end = arrive(reading, inlet.clone()) => end,
        end = leave(writing, carrier, first) => end,
        () = inlet.gone() => LineEnd::Endpoint,
    }
}

async fn arrive<S: AsyncRead>(mut stream: ReadHalf<S>, inlet: CarrierInlet) -> LineEnd {
    let mut buffer = vec![0; READ_SIZE];
    let mut filled = 0;
    loop {
        match timeout(IDLE_TIMEOUT, stream.read(&mut buffer[filled..])).await {
            Ok(Ok(0)) => return LineEnd::Closed,
            Ok(Ok(count)) => filled += count,
            Ok(Err(error)) => return broken(&error),
            Err(_) => return LineEnd::Silent,
        }
        let mut rest = &buffer[..filled];
        loop {
            match frame::split(rest) {
                Ok(Some((datagram, following))) => {
                    // A copy, so that a short datagram which waits does not hold the whole buffer.
                    if !inlet.deliver(Bytes::copy_from_slice(datagram)).await {
                        return LineEnd::Endpoint;
                    }
                    rest = following;
                }
                Ok(None) => break,
                Err(bad) => return bad.into(),
            }
        }
        // Less than a datagram is left, so there is always room to read more.
        let left = rest.len();
        buffer.copy_within(filled - left..filled, 0);
        filled = left;
    }
}

async fn leave<S: AsyncWrite>(mut stream: WriteHalf<S>, mut carrier: Carrier, first: Duration) -> LineEnd {
    let mut batch = Vec::with_capacity(BATCH + HEADER + DATAGRAM_MAX);
    let mut patience = first;
    loop {
        match timeout(patience, carrier.outgoing()).await {
            Ok(Some(datagram)) => frame::push(&datagram, &mut batch),
            Ok(None) => return LineEnd::Endpoint,
            Err(_) => return LineEnd::Unused,
        };
        while batch.len() < BATCH
            && let Some(datagram) = carrier.try_outgoing()
        {
            frame::push(&datagram, &mut batch);
        }
        let write = async {
            stream.write_all(&batch).await?;
            // What TLS has not handed to the socket yet would wait for the next batch.
            stream.flush().await
        };
        match timeout(IDLE_TIMEOUT, write).await {
            Ok(Ok(())) => batch.clear(),
            Ok(Err(error)) => return broken(&error),
            Err(_) => return LineEnd::Stalled,
        }
        patience = IDLE_TIMEOUT;
    }
}

/// An end without TLS's goodbye is one as well: each datagram stands for itself.
fn broken(error: &io::Error) -> LineEnd {
    match error.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => LineEnd::Closed,
        _ => LineEnd::Broken(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use tokio::io::duplex;
    use tokio::time::Instant;

    use super::super::frame::BadLength;
    use super::*;
    use crate::socket::Ways;

    /// A stream to write to and read from, and the pump behind it, with what its queues hold.
    struct Pumped {
        far: tokio::io::DuplexStream,
        pump: tokio::task::JoinHandle<LineEnd>,
        arrived: tokio::sync::mpsc::Receiver<(std::net::SocketAddr, Bytes)>,
        ways: std::sync::Arc<Ways>,
        number: u64,
    }

    fn pumped(first: Duration) -> Pumped {
        let (near, far) = duplex(64 * 1024);
        let (ways, arrived) = Ways::new();
        let carrier = ways.carrier(([192, 0, 2, 1], 1).into());
        let crate::socket::Place::Carrier(number) = carrier.place() else { unreachable!() };
        // As TLS does, it keeps what is not flushed.
        let near = tokio::io::BufWriter::new(near);
        Pumped { far, pump: tokio::spawn(pump(near, carrier, first)), arrived, ways, number }
    }

    #[tokio::test(start_paused = true)]
    async fn datagrams_go_both_ways_however_the_stream_is_cut() {
        let mut this = pumped(IDLE_TIMEOUT);
        for byte in [0, 3, b'a', b'b', b'c', 0, 1, b'd'] {
            this.far.write_all(&[byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        assert_eq!(this.arrived.recv().await.unwrap().1, "abc");
        assert_eq!(this.arrived.recv().await.unwrap().1, "d");
        this.ways.carry(this.number, b"xxyyz", 2);
        let mut sent = [0; 11];
        this.far.read_exact(&mut sent).await.unwrap();
        assert_eq!(&sent, b"\0\x02xx\0\x02yy\0\x01z");
        drop(this.far);
        assert_eq!(this.pump.await.unwrap(), LineEnd::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn an_oversize_datagram_ends_the_line_and_what_came_before_it_arrives() {
        let mut this = pumped(IDLE_TIMEOUT);
        this.far.write_all(&[0, 1, 7, 0x05, 0xdd, 1, 2, 3]).await.unwrap();
        assert_eq!(this.pump.await.unwrap(), LineEnd::Malformed(BadLength(1501)));
        assert_eq!(this.arrived.recv().await.unwrap().1, [7][..]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_gets_no_answer_is_cut_soon_and_who_got_one_later() {
        let soon = Duration::from_secs(10);
        let (began, mut this) = (Instant::now(), pumped(soon));
        this.far.write_all(&[0, 1, 7]).await.unwrap();
        assert_eq!(this.pump.await.unwrap(), LineEnd::Unused);
        assert_eq!(began.elapsed().as_secs(), 10);

        let (began, this) = (Instant::now(), pumped(soon));
        this.ways.carry(this.number, b"x", 1);
        let end = this.pump.await.unwrap();
        assert!(matches!(end, LineEnd::Unused | LineEnd::Silent), "{end}");
        assert_eq!(began.elapsed().as_secs(), 60);
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_cut_though_it_sends() {
        let mut this = pumped(IDLE_TIMEOUT);
        let packets = vec![7; 1000 * 200];
        this.ways.carry(this.number, &packets, 1000);
        while !this.pump.is_finished() {
            let _ = this.far.write_all(&[0, 1, 7]).await;
            while this.arrived.try_recv().is_ok() {}
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        assert_eq!(this.pump.await.unwrap(), LineEnd::Stalled);
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_ends_with_its_endpoint() {
        let this = pumped(IDLE_TIMEOUT);
        drop(this.arrived);
        assert_eq!(this.pump.await.unwrap(), LineEnd::Endpoint);
    }
}
