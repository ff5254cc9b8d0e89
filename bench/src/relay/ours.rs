//! Our relay: the switch inside the socket of a QUIC endpoint, as a manager has it.
//!
//! What carries is the manager's: `noq`'s endpoint driver and its buffers, [`Switch::forward_into`] and an
//! [`Outbox`] in `poll_recv`. What is left out is whoever opens channels: here it is anybody who asks on a TCP connection,
//! without any proof, because the load has no ledger and is to begin at once. No QUIC comes.

use std::fmt;
use std::io::{self, BufRead as _, BufReader, IoSliceMut, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use coco_tunnel::SOCKET_BUFFER;
use coco_tunnel::relay::serve::{self, Outbox, Parcel};
use coco_tunnel::relay::{Budget, End, Switch, SwitchControl, switch};
use noq::udp::{RecvMeta, Transmit, UdpSocketState};
use noq::{AsyncUdpSocket, Endpoint, EndpointConfig, TokioRuntime, UdpSender};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Relay until it is ended; print its address, which is that of the TCP listener too.
pub(crate) async fn relay(listen: SocketAddr) -> anyhow::Result<()> {
    let io = std::net::UdpSocket::bind(listen)?;
    let tuned = socket2::SockRef::from(&io);
    tuned.set_recv_buffer_size(SOCKET_BUFFER)?;
    tuned.set_send_buffer_size(SOCKET_BUFFER)?;
    let state = UdpSocketState::new((&io).into())?;
    let address = io.local_addr()?;
    let asked = TcpListener::bind(address)?;
    let (switch, control, _strangers) = switch(Instant::now());
    let socket = Socket { io: UdpSocket::from_std(io)?, state, switch };
    let _endpoint = Endpoint::new_with_abstract_socket(
        EndpointConfig::default(),
        None,
        Box::new(socket),
        Arc::new(TokioRuntime),
    )?;
    println!("{address}");
    std::thread::spawn(move || {
        while let Ok((stream, _)) = asked.accept() {
            // The load sees for itself that an answer is missing.
            let _ = open_channels(&control, stream);
        }
    });
    std::future::pending().await
}

/// Two addresses in, two ids out, a line of JSON each.
fn open_channels(control: &SwitchControl, mut stream: TcpStream) -> anyhow::Result<()> {
    let budget = Arc::<Budget>::default();
    for line in BufReader::new(stream.try_clone()?).lines() {
        let addresses: [SocketAddr; 2] = serde_json::from_str(&line?)?;
        let [a, b] = addresses.map(|address| End { address, meter: Arc::default() });
        let ids = control.open(&a, &b, &budget)?;
        writeln!(stream, "{}", serde_json::to_string(&ids)?)?;
    }
    Ok(())
}

/// Asks for a channel; `asked` is a connection to [`relay`]'s listener.
pub(super) fn ask(asked: &mut BufReader<TcpStream>, a: SocketAddr, b: SocketAddr) -> anyhow::Result<u64> {
    let question = serde_json::to_string(&[a, b])? + "\n";
    asked.get_mut().write_all(question.as_bytes())?;
    let mut line = String::new();
    asked.read_line(&mut line)?;
    let (for_a, _for_b): (u64, u64) = serde_json::from_str(&line)?;
    Ok(for_a)
}

struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
    switch: Switch,
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").finish_non_exhaustive()
    }
}

impl AsyncUdpSocket for Socket {
    fn create_sender(&self) -> Pin<Box<dyn UdpSender>> {
        Box::pin(Nothing)
    }

    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let Self { io, state, switch } = self;
        loop {
            ready!(io.poll_recv_ready(cx))?;
            let received = io.try_io(Interest::READABLE, || state.recv((&*io).into(), bufs, meta));
            let count = match received {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                other => other?,
            };
            let now = Instant::now();
            let mut outbox = Outbox::new(|parcel: &Parcel<'_>| serve::send(io, state, parcel));
            for (buf, meta) in bufs.iter_mut().zip(meta.iter_mut()).take(count) {
                outbox.mark(meta.ecn);
                let batch = &mut buf[..meta.len];
                meta.len = switch.forward_into(now, meta.addr, batch, meta.stride, &mut outbox);
            }
            outbox.flush(switch.counters());
            return Poll::Ready(Ok(count));
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
    }

    fn max_receive_segments(&self) -> NonZeroUsize {
        self.state.gro_segments()
    }

    fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }
}

/// The endpoint itself has nobody to talk to.
#[derive(Debug)]
struct Nothing;

impl UdpSender for Nothing {
    fn poll_send(
        self: Pin<&mut Self>,
        _transmit: &Transmit<'_>,
        _cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
