//! A forwarded connection, whole: an application, a splice, a session on loopback, a splice, a target.
//!
//! What one end does to its socket, the other end sees on its own: bytes, half-closes, resets and
//! slowness. (An idle connection holding no buffer is a promise of `forward::READ_SIZE`'s documentation;
//! it cannot be seen from here.)

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use coco_tunnel::channel::{Channel, Cut};
use coco_tunnel::endpoint::{Accepting, Endpoint, EndpointOptions, KEEP_ALIVE, STREAM_WINDOW};
use coco_tunnel::forward::{Broken, Local, Meter, connect, splice};
use coco_tunnel::frame;
use coco_tunnel::session::Session;
use coconet::key::{NodeKeys, SEED_LEN};
use coconet::target::Target;
use coconet::wire::code::{Close, Reset};
use coconet::wire::node::{Reply, Request};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use zeroize::Zeroizing;

/// Nothing on loopback takes this long; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a writer must make no progress to count as held up.
const STALL: Duration = Duration::from_millis(300);

/// Kernel buffers of the sockets at both ends: small, so that little is under way when one is held up.
const SOCKET_BUFFER: usize = 64 * 1024;

/// One forwarded connection and what can be done to it.
struct Tunnel {
    /// The application's socket.
    app: TcpStream,
    /// The target's socket.
    target: TcpStream,
    near: End,
    far: End,
    _endpoints: (Endpoint, Endpoint),
}

/// One end of it: its splice, its session, and what ends it early.
struct End {
    splice: JoinHandle<Result<(), Broken>>,
    session: Session,
    cut: Option<oneshot::Sender<Reset>>,
    meter: Arc<Meter>,
}

fn endpoint(keys: &NodeKeys) -> Endpoint {
    let options = EndpointOptions {
        secret: keys.static_secret(),
        reset: Zeroizing::new([7; 32]),
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        any_port: false,
    };
    Endpoint::bind(&options).unwrap()
}

async fn sessions() -> ((Session, Session), (Endpoint, Endpoint)) {
    let (near, far) = (NodeKeys::from_seed(&[1; SEED_LEN]), NodeKeys::from_seed(&[2; SEED_LEN]));
    let (from, to) = (endpoint(&near), endpoint(&far));
    let addresses = to.addresses();
    let mut accepting = Accepting::default();
    let both = async {
        tokio::join!(async { from.dial(far.static_key(), &addresses, KEEP_ALIVE).await.unwrap() }, async {
            to.accept(&mut accepting).await.unwrap()
        })
    };
    (timeout(PATIENCE, both).await.unwrap(), (from, to))
}

/// Both ends of a channel, the dialler's first. The request has been sent and read.
async fn channels(near: &Session, far: &Session) -> (Channel, Channel) {
    let mut ours = near.open().await.unwrap();
    frame::write(&mut ours.tx, &Request::Ping).await.unwrap();
    let mut theirs = far.accept().await.unwrap();
    let _: Request = frame::read(&mut theirs.rx).await.unwrap();
    (ours, theirs)
}

/// Both ends of a TCP connection, the connecting one first.
async fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let (connected, accepted) =
        tokio::join!(async { TcpStream::connect(address).await.unwrap() }, listener.accept());
    let accepted = accepted.unwrap().0;
    for stream in [&connected, &accepted] {
        SockRef::from(stream).set_send_buffer_size(SOCKET_BUFFER).unwrap();
        SockRef::from(stream).set_recv_buffer_size(SOCKET_BUFFER).unwrap();
    }
    (connected, accepted)
}

fn spawn(session: Session, local: TcpStream, channel: Channel, awaits_reply: bool) -> End {
    let (cut, cutting) = oneshot::channel();
    let meter = Arc::new(Meter::default());
    let counting = Arc::clone(&meter);
    let splice = tokio::spawn(async move {
        let cut = async {
            match cutting.await {
                Ok(code) => code,
                Err(_) => std::future::pending().await,
            }
        };
        splice(Local::tcp(local), channel, awaits_reply, &counting, cut).await
    });
    End { splice, session, cut: Some(cut), meter }
}

impl Tunnel {
    async fn open() -> Self {
        let ((near, far), endpoints) = sessions().await;
        let (near_channel, mut far_channel) = channels(&near, &far).await;
        let ((app, near_local), (far_local, target)) = tokio::join!(tcp(), tcp());
        frame::write(&mut far_channel.tx, &Reply::Ok).await.unwrap();
        Self {
            app,
            target,
            near: spawn(near, near_local, near_channel, true),
            far: spawn(far, far_local, far_channel, false),
            _endpoints: endpoints,
        }
    }

    /// One byte there and one back, so that everything is under way.
    async fn warm(&mut self) {
        pass(&mut self.app, &mut self.target, b"?").await;
        pass(&mut self.target, &mut self.app, b"!").await;
    }
}

impl End {
    async fn ended(&mut self) -> Result<(), Broken> {
        timeout(PATIENCE, &mut self.splice).await.unwrap().unwrap()
    }
}

/// `bytes` go in here and come out there.
async fn pass(from: &mut TcpStream, to: &mut TcpStream, bytes: &[u8]) {
    from.write_all(bytes).await.unwrap();
    let mut got = vec![0; bytes.len()];
    timeout(PATIENCE, to.read_exact(&mut got)).await.unwrap().unwrap();
    assert_eq!(got, bytes);
}

async fn sees_end(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert!(rest.is_empty());
}

async fn sees_reset(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(read.map_err(|error| error.kind()), Err(ErrorKind::ConnectionReset), "{} bytes", rest.len());
}

/// Close with a reset instead of an end.
fn abort(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
}

#[tokio::test]
async fn a_half_close_of_the_application_is_one_at_the_target() {
    let mut t = Tunnel::open().await;
    pass(&mut t.app, &mut t.target, b"request").await;
    t.app.shutdown().await.unwrap();
    sees_end(&mut t.target).await;
    // The other direction is open for as long as the target likes.
    pass(&mut t.target, &mut t.app, &vec![b'a'; 300_000]).await;
    pass(&mut t.target, &mut t.app, b"more").await;
    drop(t.target);
    sees_end(&mut t.app).await;
    assert!(t.near.ended().await.is_ok() && t.far.ended().await.is_ok());
}

#[tokio::test]
async fn a_half_close_of_the_target_is_one_at_the_application() {
    let mut t = Tunnel::open().await;
    pass(&mut t.target, &mut t.app, b"greeting").await;
    t.target.shutdown().await.unwrap();
    sees_end(&mut t.app).await;
    pass(&mut t.app, &mut t.target, &vec![b'b'; 300_000]).await;
    pass(&mut t.app, &mut t.target, b"more").await;
    drop(t.app);
    sees_end(&mut t.target).await;
    assert!(t.near.ended().await.is_ok() && t.far.ended().await.is_ok());
}

#[tokio::test]
async fn what_was_sent_before_an_end_arrives_before_it() {
    let mut t = Tunnel::open().await;
    let data: Vec<u8> = (0..3_000_000u32).map(|i| i.to_le_bytes()[0] ^ i.to_le_bytes()[1]).collect();
    let mut got = Vec::new();
    let both = async {
        tokio::join!(
            async {
                t.target.write_all(&data).await.unwrap();
                t.target.shutdown().await.unwrap();
            },
            async { t.app.read_to_end(&mut got).await.unwrap() }
        )
    };
    timeout(PATIENCE, both).await.unwrap();
    assert!(got == data, "{} of {} bytes", got.len(), data.len());
    assert_eq!(t.near.meter.bytes_in.load(Ordering::Relaxed), data.len() as u64);
    assert_eq!(t.far.meter.bytes_out.load(Ordering::Relaxed), data.len() as u64);
}

#[tokio::test]
async fn a_reset_by_the_target_is_a_reset_for_the_application() {
    let mut t = Tunnel::open().await;
    t.warm().await;
    abort(t.target);
    sees_reset(&mut t.app).await;
    assert!(matches!(t.far.ended().await, Err(Broken::Local(_))));
    assert!(matches!(t.near.ended().await, Err(Broken::Channel(Cut::Reset(Reset::PeerReset)))));
    assert_eq!(t.near.meter.failures.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_reset_by_the_application_is_a_reset_for_the_target() {
    let mut t = Tunnel::open().await;
    t.warm().await;
    abort(t.app);
    sees_reset(&mut t.target).await;
    assert!(matches!(t.near.ended().await, Err(Broken::Local(_))));
    assert!(matches!(t.far.ended().await, Err(Broken::Channel(Cut::Reset(Reset::PeerReset)))));
}

#[tokio::test]
async fn a_reset_after_a_half_close_still_arrives() {
    let mut t = Tunnel::open().await;
    t.warm().await;
    t.app.shutdown().await.unwrap();
    sees_end(&mut t.target).await;
    abort(t.target);
    sees_reset(&mut t.app).await;
}

/// Write until nobody takes any more for [`STALL`]; returns how much was taken.
async fn fill(stream: &TcpStream) -> usize {
    let block = [0x5a; 64 * 1024];
    let mut taken = 0;
    while let Ok(ready) = timeout(STALL, stream.writable()).await {
        ready.unwrap();
        match stream.try_write(&block) {
            Ok(count) => taken += count,
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
    taken
}

#[tokio::test]
async fn a_reader_that_does_not_read_holds_its_writer_up() {
    let mut t = Tunnel::open().await;
    let taken = timeout(PATIENCE, fill(&t.app)).await.unwrap();
    // A stream's window, a read at each end, and four kernel buffers that the kernel doubles.
    let most = STREAM_WINDOW as usize + 4 * 2 * SOCKET_BUFFER + 4 * 128 * 1024;
    assert!(taken <= most, "{taken} bytes were taken of which nobody has read one");
    // Nothing of it is lost, and the other direction was free all the while.
    pass(&mut t.target, &mut t.app, b"still here").await;
    t.app.shutdown().await.unwrap();
    let mut got = Vec::new();
    timeout(PATIENCE, t.target.read_to_end(&mut got)).await.unwrap().unwrap();
    assert_eq!(got.len(), taken);
    assert!(got.iter().all(|byte| *byte == 0x5a));
}

#[tokio::test]
async fn a_held_up_connection_does_not_hold_up_its_neighbours() {
    let t = Tunnel::open().await;
    timeout(PATIENCE, fill(&t.app)).await.unwrap();
    let (near, far) = (t.near.session.clone(), t.far.session.clone());
    let (near_channel, far_channel) = channels(&near, &far).await;
    let ((mut app, near_local), (far_local, mut target)) = tokio::join!(tcp(), tcp());
    let _near = spawn(near, near_local, near_channel, false);
    let _far = spawn(far, far_local, far_channel, false);
    pass(&mut app, &mut target, &[1; 10_000]).await;
    pass(&mut target, &mut app, b"back").await;
}

#[tokio::test]
async fn a_refused_open_is_a_reset_for_the_application() {
    let ((near, far), _endpoints) = sessions().await;
    let (near_channel, mut far_channel) = channels(&near, &far).await;
    let (mut app, near_local) = tcp().await;
    let mut near = spawn(near, near_local, near_channel, true);
    app.write_all(b"too eager").await.unwrap();
    let refusal = Reply::refused(Reset::Unreachable, "connection refused");
    frame::write(&mut far_channel.tx, &refusal).await.unwrap();
    far_channel.tx.finish();
    sees_reset(&mut app).await;
    match near.ended().await {
        Err(Broken::Refused { code, reason }) => {
            assert_eq!((code, reason.as_str()), (Reset::Unreachable, "connection refused"));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_answer_that_is_none_is_a_reset_for_the_application() {
    for answer in [&b"HTTP/1.1 200 OK\r\n\r\n"[..], b"\0\0", b"\xff\xff", b""] {
        let ((near, far), _endpoints) = sessions().await;
        let (near_channel, mut far_channel) = channels(&near, &far).await;
        let (mut app, near_local) = tcp().await;
        let mut near = spawn(near, near_local, near_channel, true);
        far_channel.tx.write(answer.into()).await.unwrap();
        far_channel.tx.finish();
        sees_reset(&mut app).await;
        assert!(matches!(near.ended().await, Err(Broken::Channel(Cut::Reset(Reset::Protocol)))));
    }
}

#[tokio::test]
async fn a_cut_ends_both_ends_at_once_and_says_why() {
    let mut t = Tunnel::open().await;
    t.warm().await;
    t.far.cut.take().unwrap().send(Reset::Revoked).unwrap();
    sees_reset(&mut t.app).await;
    sees_reset(&mut t.target).await;
    assert!(matches!(t.far.ended().await, Err(Broken::Here(Reset::Revoked))));
    assert!(matches!(t.near.ended().await, Err(Broken::Channel(Cut::Reset(Reset::Revoked)))));
}

#[tokio::test]
async fn a_cut_does_not_wait_for_a_reader_that_does_not_read() {
    let mut t = Tunnel::open().await;
    timeout(PATIENCE, fill(&t.app)).await.unwrap();
    t.far.cut.take().unwrap().send(Reset::Revoked).unwrap();
    assert!(matches!(t.far.ended().await, Err(Broken::Here(Reset::Revoked))));
    assert!(matches!(t.near.ended().await, Err(Broken::Channel(Cut::Reset(Reset::Revoked)))));
    sees_reset(&mut t.app).await;
}

#[tokio::test]
async fn a_cut_arrives_where_nothing_more_was_to_come() {
    let mut t = Tunnel::open().await;
    t.warm().await;
    t.target.shutdown().await.unwrap();
    sees_end(&mut t.app).await;
    // The application may still send, and does not: nothing but the cut can tell it.
    t.far.cut.take().unwrap().send(Reset::Revoked).unwrap();
    assert!(matches!(t.near.ended().await, Err(Broken::Channel(Cut::Reset(Reset::Revoked)))));
    assert!(matches!(t.far.ended().await, Err(Broken::Here(Reset::Revoked))));
}

#[tokio::test]
async fn a_channel_that_is_dropped_is_a_reset_and_never_an_end() {
    let ((near, far), _endpoints) = sessions().await;
    let (near_channel, mut far_channel) = channels(&near, &far).await;
    let (mut app, near_local) = tcp().await;
    let mut near = spawn(near, near_local, near_channel, true);
    frame::write(&mut far_channel.tx, &Reply::Ok).await.unwrap();
    far_channel.tx.write((&b"the first half of it"[..]).into()).await.unwrap();
    let mut half = [0; 20];
    timeout(PATIENCE, app.read_exact(&mut half)).await.unwrap().unwrap();
    drop(far_channel);
    sees_reset(&mut app).await;
    assert!(matches!(near.ended().await, Err(Broken::Channel(Cut::Reset(Reset::GoingAway | Reset::Closed)))));
}

#[tokio::test]
async fn a_task_that_is_lost_is_a_reset_at_the_other_end() {
    let mut t = Tunnel::open().await;
    t.warm().await;
    t.far.splice.abort();
    sees_reset(&mut t.app).await;
    assert!(matches!(t.near.ended().await, Err(Broken::Channel(Cut::Reset(_)))));
}

#[tokio::test]
async fn a_lost_session_is_a_reset_at_both_ends() {
    let mut t = Tunnel::open().await;
    t.warm().await;
    t.far.session.close(Close::Revoked);
    sees_reset(&mut t.app).await;
    sees_reset(&mut t.target).await;
    assert!(matches!(t.near.ended().await, Err(Broken::Channel(Cut::Lost))));
    assert!(matches!(t.far.ended().await, Err(Broken::Channel(Cut::Lost))));
}

#[tokio::test]
async fn a_unix_socket_is_a_target_like_any_other() {
    let dir = std::env::temp_dir().join(format!("coco-forward-{}", std::process::id()));
    std::fs::create_dir(&dir).unwrap();
    let path = dir.join("target.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let url = format!("unix://{}", path.display());
    let target: Target = url.parse().unwrap();

    let ((near, far), _endpoints) = sessions().await;
    let (near_channel, mut far_channel) = channels(&near, &far).await;
    let (mut app, near_local) = tcp().await;
    let mut near = spawn(near, near_local, near_channel, true);
    let (local, accepted) = tokio::join!(connect(&target.place), listener.accept());
    let (local, mut accepted) = (local.unwrap(), accepted.unwrap().0);
    let far = tokio::spawn(async move {
        frame::write(&mut far_channel.tx, &Reply::Ok).await.unwrap();
        splice(local, far_channel, false, &Meter::default(), std::future::pending()).await
    });
    app.write_all(b"ping").await.unwrap();
    app.shutdown().await.unwrap();
    let mut got = String::new();
    timeout(PATIENCE, accepted.read_to_string(&mut got)).await.unwrap().unwrap();
    accepted.write_all(b"pong").await.unwrap();
    drop(accepted);
    let mut back = String::new();
    timeout(PATIENCE, app.read_to_string(&mut back)).await.unwrap().unwrap();
    assert_eq!((got.as_str(), back.as_str()), ("ping", "pong"));
    assert!(near.ended().await.is_ok() && timeout(PATIENCE, far).await.unwrap().unwrap().is_ok());
    std::fs::remove_dir_all(&dir).unwrap();
}

#[tokio::test]
async fn a_target_that_is_not_there_is_an_error_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target: Target = format!("tcp://{}", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    let refused = timeout(PATIENCE, connect(&target.place)).await.unwrap().map(drop);
    assert_eq!(refused.map_err(|error| error.kind()), Err(ErrorKind::ConnectionRefused));
}
