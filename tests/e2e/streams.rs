//! What a TCP connection means to those at its ends: half-close, reset, back-pressure; and targets that
//! are not TCP on 127.0.0.1.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixListener;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use coco_tunnel::endpoint::{CONNECTION_WINDOW, STREAM_WINDOW};
use socket2::SockRef;

use crate::support::bytes::{Noise, noise};
use crate::support::net::{App, Net};
use crate::support::targets::{echo, serve, serve_on};

const MIB: usize = 1 << 20;

/// Longest wait for a byte that has to come.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// What a client says first where the target has to know one.
const HELLO: &[u8] = b"hello";

/// A writer that could not write for so long is held back.
const HELD_BACK: Duration = Duration::from_secs(2);

/// Most that Linux buffers for one TCP connection by itself: `tcp_rmem` and `tcp_wmem` as they are by
/// default on machines with memory.
const TCP_BUFFERS: usize = 6 * MIB + 4 * MIB;

#[test]
fn the_target_answers_after_the_client_has_finished() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let target = serve(|mut stream| {
        let mut got = Vec::new();
        stream.read_to_end(&mut got).unwrap();
        stream.write_all(format!("{} bytes", got.len()).as_bytes()).unwrap();
    });
    let mut client = connect(open(&camera, &viewer, "sink", target));

    client.write_all(&noise(1, 3 * MIB)).unwrap();
    client.shutdown(Shutdown::Write).unwrap();

    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, format!("{} bytes", 3 * MIB));
}

#[test]
fn the_client_goes_on_after_the_target_has_finished() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let (hand, handed) = mpsc::channel();
    let target = serve(move |stream| hand_over_client(stream, &hand));
    let mut client = connect(open(&camera, &viewer, "sink", target));
    client.write_all(HELLO).unwrap();
    let mut server = handed.recv_timeout(SILENCE_MAX).unwrap();

    server.write_all(b"my last words").unwrap();
    server.shutdown(Shutdown::Write).unwrap();

    let mut words = String::new();
    client.read_to_string(&mut words).unwrap();
    assert_eq!(words, "my last words");
    let answer = noise(2, 3 * MIB);
    let expected = answer.clone();
    let writing = thread::spawn(move || {
        client.write_all(&answer).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
    });
    let mut got = Vec::new();
    server.read_to_end(&mut got).unwrap();
    writing.join().unwrap();
    assert!(got == expected, "{} other bytes came", got.len());
}

#[test]
fn a_reset_of_the_target_reaches_the_client_as_a_reset() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let (hand, handed) = mpsc::channel();
    let target = serve(move |stream| hand_over_client(stream, &hand));
    let mut client = connect(open(&camera, &viewer, "crash", target));
    client.write_all(HELLO).unwrap();

    reset(handed.recv_timeout(SILENCE_MAX).unwrap());

    let error = client.read(&mut [0; 16]).expect_err("an answer or a clean end");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let tunnel = viewer.tunnel("crash");
    assert_eq!((tunnel.connections, tunnel.failures, tunnel.clients), (1, 1, 0), "{tunnel:?}");
}

#[test]
fn a_reset_of_the_client_reaches_the_target_as_a_reset() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let (hand, handed) = mpsc::channel();
    let target = serve(move |stream| hand_over_client(stream, &hand));
    let mut client = connect(open(&camera, &viewer, "leave", target));
    client.write_all(HELLO).unwrap();
    let mut server = handed.recv_timeout(SILENCE_MAX).unwrap();

    reset(client);

    let error = server.read(&mut [0; 16]).expect_err("bytes or a clean end");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_slow_target_holds_back_a_fast_client() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let (hand, handed) = mpsc::channel();
    let target = serve(move |stream| hand_over_client(stream, &hand));
    let mut client = connect(open(&camera, &viewer, "slow", target));
    client.write_all(HELLO).unwrap();
    let server = handed.recv_timeout(SILENCE_MAX).unwrap();

    let written = assert_held_back(&[&camera, &viewer], client, 4);

    assert_eq!(count_noise(server, 4).unwrap(), written);
}

#[test]
fn a_slow_client_holds_back_a_fast_target() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let (hand, handed) = mpsc::channel();
    let target = serve(move |stream| hand_over_client(stream, &hand));
    let mut client = connect(open(&camera, &viewer, "slow", target));
    client.write_all(HELLO).unwrap();
    let server = handed.recv_timeout(SILENCE_MAX).unwrap();

    let written = assert_held_back(&[&camera, &viewer], server, 5);

    assert_eq!(count_noise(client, 5).unwrap(), written);
}

#[test]
fn a_unix_socket_is_a_target() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let path = net.lab.path("service.sock");
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut reader = stream.try_clone().unwrap();
            io::copy(&mut reader, &mut stream).unwrap();
        }
    });
    camera.expose(&format!("unix://{}", path.display()), "service");

    assert_echoes(viewer.open_address("service"));
}

#[test]
fn an_ipv6_address_is_a_target_and_a_place_to_listen() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let target = serve_on("[::1]:0", echo).expect("this machine has no IPv6 on its loopback interface");
    camera.expose(&format!("tcp://{target}"), "service");

    let url = viewer.ok(&["tunnel", "open", "service", "--listen", "[::1]:0"]);

    let listen = url.strip_prefix("tcp://").unwrap().trim_end_matches('/');
    assert!(listen.starts_with("[::1]:"), "{url}");
    assert_echoes(listen.parse().unwrap());
}

fn open(camera: &App, viewer: &App, name: &str, target: SocketAddr) -> SocketAddr {
    camera.expose(&format!("tcp://{target}"), name);
    viewer.open_address(name)
}

fn connect(address: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(SILENCE_MAX)).unwrap();
    client
}

/// Pass on a connection that said hello. A look whether the target is there does not.
fn hand_over_client(mut stream: TcpStream, to: &mpsc::Sender<TcpStream>) {
    let mut hello = [0; HELLO.len()];
    stream.set_read_timeout(Some(SILENCE_MAX)).unwrap();
    if stream.read_exact(&mut hello).is_ok() {
        to.send(stream).unwrap();
    }
}

fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
}

fn assert_echoes(address: SocketAddr) {
    let sent = noise(3, MIB);
    let mut client = connect(address);
    let mut reader = client.try_clone().unwrap();
    let reading = thread::spawn(move || {
        let mut got = Vec::new();
        reader.read_to_end(&mut got).map(|_| got)
    });
    client.write_all(&sent).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert!(reading.join().unwrap().unwrap() == sent);
}

/// Write noise until no more is taken, which has to be soon; then finish. Returns how much was written.
fn assert_held_back(apps: &[&App], mut writer: TcpStream, seed: u64) -> usize {
    // Two TCP connections, and what one QUIC stream may have under way.
    let bound = 2 * TCP_BUFFERS + STREAM_WINDOW as usize + CONNECTION_WINDOW as usize;
    let memory = || apps.iter().map(|app| app.daemon().memory()).max().unwrap();
    let before = memory();
    writer.set_write_timeout(Some(HELD_BACK)).unwrap();
    let (mut noise, mut buffer, mut written) = (Noise::new(seed), [0; 65536], 0);
    'writing: loop {
        noise.fill(&mut buffer);
        let mut left = &buffer[..];
        while !left.is_empty() {
            match writer.write(left) {
                Ok(count) => {
                    written += count;
                    left = &left[count..];
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break 'writing,
                Err(error) => panic!("after {written} bytes: {error}"),
            }
        }
        assert!(written <= bound, "{written} bytes were taken and nobody read one");
    }
    let grown = memory().saturating_sub(before);
    assert!(grown <= 2 * u64::from(CONNECTION_WINDOW), "a daemon has grown by {grown} bytes");
    writer.shutdown(Shutdown::Write).unwrap();
    written
}

/// How much of the noise of `seed` comes until the end.
fn count_noise(mut stream: TcpStream, seed: u64) -> Result<usize, String> {
    stream.set_read_timeout(Some(SILENCE_MAX)).map_err(|error| error.to_string())?;
    let (mut noise, mut expected, mut got, mut total) = (Noise::new(seed), [0; 65536], Vec::new(), 0);
    loop {
        got.clear();
        let count = (&mut stream).take(65536).read_to_end(&mut got).map_err(|error| error.to_string())?;
        noise.fill(&mut expected);
        if got != expected[..count] {
            return Err(format!("other bytes after {total}"));
        }
        total += count;
        if count < expected.len() {
            return Ok(total);
        }
    }
}
