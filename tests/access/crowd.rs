//! Many clients that do nothing, or do not read, do not keep a new one out.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use coconet::control::Status;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use socket2::{Domain, Socket, Type};

use crate::support::net::Net;
use crate::support::targets::{echo, serve};
use crate::support::wait::{PATIENCE, is, until};

/// Connections that say nothing.
const IDLE: usize = 2000;

/// Connections whose clients do not read.
const SLOW: usize = 500;

/// How long a new connection may take to carry [`LOAD`] there and back, on a machine that is busy with tests.
const AT_ONCE: Duration = Duration::from_secs(10);

/// What a daemon may take for unread streams, and all else.
const MEMORY_MAX: u64 = 3 << 29;

/// So many descriptors are few.
const FEW: u64 = 128;

/// What a new connection carries.
const LOAD: usize = 256 << 10;

#[test]
fn clients_that_are_idle_or_do_not_read_do_not_keep_a_new_one_out() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    let net = Net::alone();
    let (camera, viewer) = net.pair();
    camera.expose(&format!("tcp://{}", serve(echo)), "echo");
    camera.expose(&format!("tcp://{}", serve(hold)), "quiet");
    camera.expose(&format!("tcp://{}", serve(pour)), "loud");
    let (echoes, quiet, loud) =
        (viewer.open_address("echo"), viewer.open_address("quiet"), viewer.open_address("loud"));

    let idle: Vec<TcpStream> = (0..IDLE).map(|_| TcpStream::connect(quiet).unwrap()).collect();
    let patiently = 4 * PATIENCE;
    until("all idle ones are through", patiently, || {
        let there = camera.tunnel("quiet").connections;
        is(there == IDLE as u64, there)
    });
    let took = exchange(echoes);
    assert!(took < AT_ONCE, "{took:?}");

    let slow: Vec<Socket> = (0..SLOW).map(|_| deaf(loud)).collect();
    until("all slow ones are through", patiently, || {
        let there = camera.tunnel("loud").connections;
        is(there == SLOW as u64, there)
    });
    for _ in 0..3 {
        let took = exchange(echoes);
        assert!(took < AT_ONCE, "{took:?}");
    }
    assert!(viewer.daemon().memory() < MEMORY_MAX, "{} bytes", viewer.daemon().memory());
    drop((idle, slow));
    until("all are gone", patiently, || {
        let there = viewer.tunnel("quiet").clients + viewer.tunnel("loud").clients;
        is(there == 0, there)
    });
}

#[test]
fn a_daemon_whose_descriptors_are_used_up_still_works_and_recovers() {
    let net = Net::new();
    let (mut camera, mut viewer) = net.pair();
    camera.expose(&format!("tcp://{}", serve(echo)), "echo");
    camera.expose(&format!("tcp://{}", serve(hold)), "quiet");
    let (echoes, quiet) = (viewer.open_address("echo"), viewer.open_address("quiet"));
    for limit_viewer in [true, false] {
        let (limited, other) =
            if limit_viewer { (&mut viewer, &mut camera) } else { (&mut camera, &mut viewer) };
        limited.stop(Signal::SIGTERM);
        limited.limit_descriptors(FEW);
        limited.start();
        until("the tunnel is back", PATIENCE, || is(talks(echoes), "no answer"));

        let many: Vec<TcpStream> = (0..2 * FEW).map(|_| TcpStream::connect(quiet).unwrap()).collect();

        until("descriptors are scarce", PATIENCE, || {
            let counters = limited.json::<Status>(&["status"]).counters;
            is(counters["refused-sockets"] > 0, format!("{counters:?}"))
        });
        // What needs the control socket, the database and the session.
        if limit_viewer {
            other.expose(&format!("tcp://{}", serve(echo)), "another");
            limited.ok(&["tunnel", "open", "another"]);
        } else {
            limited.expose(&format!("tcp://{}", serve(echo)), "third");
        }
        limited.ok(&["ping", &other.name, "--count", "1"]);
        drop(many);
        until("there is room again", PATIENCE, || is(talks(echoes), "no answer"));
        limited.stop(Signal::SIGTERM);
        limited.limit_descriptors(FEW * 64);
        limited.start();
    }
}

/// Whether an echo comes through.
fn talks(address: SocketAddr) -> bool {
    let talk = || -> io::Result<()> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"hello")?;
        stream.read_exact(&mut [0; 5])
    };
    talk().is_ok()
}

/// A target that says nothing.
fn hold(mut stream: TcpStream) {
    let _ = io::copy(&mut stream, &mut io::sink());
}

/// A target that says more than anybody can take.
fn pour(mut stream: TcpStream) {
    while stream.write_all(&[7; 64 << 10]).is_ok() {}
}

/// A client that does not read, and whose system takes little.
fn deaf(address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&address.into()).unwrap();
    socket
}

/// How long [`LOAD`] takes there and back.
fn exchange(address: SocketAddr) -> Duration {
    let began = Instant::now();
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut sending = stream.try_clone().unwrap();
    let sent = thread::spawn(move || -> io::Result<()> {
        sending.write_all(&[1; LOAD])?;
        sending.shutdown(std::net::Shutdown::Write)
    });
    let mut came = Vec::new();
    (&stream).read_to_end(&mut came).unwrap();
    sent.join().unwrap().unwrap();
    assert_eq!(came.len(), LOAD);
    began.elapsed()
}
