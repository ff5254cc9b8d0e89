//! Which applications of the machine get through a listener: two users, several programs.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::mpsc;
use std::thread;

use coconet::control::Tunnel;

use crate::support::net::{App, Net};
use crate::support::process::run_well;
use crate::support::programs::{command, theirs};
use crate::support::targets::{echo, serve};
use crate::support::wait::{PATIENCE, is, until};

/// Another user than the one the tests run as.
const NOBODY: &str = "65534";

/// Says hello over TCP and prints what comes back.
const TALK: &str = "\
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
try:
    s.sendall(b'hello')
    print('got', s.recv(5).decode())
except OSError:
    print('refused')
";

/// The same, while a child of another program holds the socket as well.
const TALK_WITH_A_WITNESS: &str = "\
import socket, subprocess, sys
s = socket.socket()
s.set_inheritable(True)
child = subprocess.Popen(['sleep', '60'], pass_fds=[s.fileno()])
s.connect((sys.argv[1], int(sys.argv[2])))
try:
    s.sendall(b'hello')
    print('got', s.recv(5).decode())
except OSError:
    print('refused')
child.kill()
child.wait()
";

/// Sends three datagrams, and keeps its socket until there is an answer.
const SEND: &str = "\
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(60)
for _ in range(3):
    s.sendto(b'from ' + sys.argv[3].encode(), (sys.argv[1], int(sys.argv[2])))
s.recv(1)
";

#[test]
fn another_user_gets_nothing_and_not_a_byte_reaches_the_target() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let (heard, hears) = mpsc::channel();
    let target = serve(move |mut stream| {
        let mut buffer = [0; 64];
        // The health check says nothing.
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            heard.send(buffer[..length].to_vec()).unwrap();
            stream.write_all(&buffer[..length]).unwrap();
        }
    });
    camera.expose(&format!("tcp://{target}"), "door");
    let address = viewer.open_address("door");

    assert_eq!(talk(Some(NOBODY), TALK, address), "refused");
    assert_eq!(viewer.tunnel("door").refused, 1);
    assert_eq!(talk(None, TALK, address), "got hello");
    assert_eq!(hears.try_iter().collect::<Vec<_>>(), [b"hello"]);
    // It was told, and listed.
    assert!(net.lab.log("viewer").contains("door to an application of this machine: uid 65534"));
    let tunnel = viewer.tunnel("door");
    assert_eq!((tunnel.refused, tunnel.connections), (1, 1));
}

#[test]
fn a_list_lets_in_whom_it_names_and_nobody_else() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    camera.expose(&format!("tcp://{}", serve(echo)), "door");
    for (allow, own, nobody) in [
        (&["uid:65534"][..], "refused", "got hello"),
        (&["uid:nobody", "uid:self"], "got hello", "got hello"),
        (&["gid:nogroup"], "refused", "got hello"),
        (&["gid:0"], "got hello", "refused"),
    ] {
        let address = open(&viewer, "door", allow);
        assert_eq!(talk(None, TALK, address), own, "{allow:?}");
        assert_eq!(talk(Some(NOBODY), TALK, address), nobody, "{allow:?}");
        viewer.ok(&["tunnel", "close", "door"]);
    }
    let told = viewer.refused(&[2], &["tunnel", "open", "door", "--allow", "user:1"]);
    assert!(told.contains("uid:USER, gid:GROUP, exe:/PATH or unit:NAME"), "{told}");
}

#[test]
fn a_program_is_let_in_and_another_of_the_same_user_is_not() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    camera.expose(&format!("tcp://{}", serve(echo)), "door");
    let python = python();
    let address = open(&viewer, "door", &[&format!("exe:{}", python.display())]);

    assert_eq!(talk(None, TALK, address), "got hello");
    // This test is another program.
    let mut own = TcpStream::connect(address).unwrap();
    own.set_read_timeout(Some(PATIENCE)).unwrap();
    own.write_all(b"hello").ok();
    assert!(own.read(&mut [0; 5]).is_err());
    // A socket that two programs hold is neither's.
    assert_eq!(talk(None, TALK_WITH_A_WITNESS, address), "refused");
    assert_eq!(viewer.tunnel("door").refused, 2);

    // What was said is kept over a restart.
    let mut viewer = viewer;
    viewer.kill();
    viewer.start();
    until("it works again", PATIENCE, || {
        let said = talk(None, TALK, address);
        is(said == "got hello", said)
    });
    assert!(TcpStream::connect(address).and_then(|mut own| own.read(&mut [0; 5])).is_err());
}

#[test]
fn datagrams_of_another_user_go_nowhere() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let target = UdpSocket::bind("127.0.0.1:0").unwrap();
    target.set_read_timeout(Some(PATIENCE)).unwrap();
    camera.expose(&format!("udp://{}", target.local_addr().unwrap()), "game");
    viewer.open("game");
    let address: SocketAddr = viewer.tunnel("game").listen.unwrap().parse().unwrap();
    let mut nobody = send(Some(NOBODY), address, "nobody");
    until("they are refused", PATIENCE, || {
        let refused = viewer.tunnel("game").refused;
        is(refused == 3, refused)
    });
    nobody.kill().unwrap();
    nobody.wait().unwrap();
    let mut own = send(None, address, "self");
    let mut buffer = [0; 64];
    let (length, from) = target.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"from self");
    target.send_to(b"!", from).unwrap();
    assert!(own.wait().unwrap().success());
}

#[test]
fn idle_clients_do_not_keep_a_new_one_out() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    camera.expose(&format!("tcp://{}", serve(echo)), "door");
    let door = viewer.open_address("door");
    let idle: Vec<TcpStream> = (0..512).map(|_| TcpStream::connect(door).unwrap()).collect();
    let (done, waits) = mpsc::channel();
    thread::spawn(move || done.send(talk(None, TALK, door)));
    assert_eq!(waits.recv_timeout(PATIENCE).unwrap(), "got hello");
    drop(idle);
}

fn open(viewer: &App, resource: &str, allow: &[&str]) -> SocketAddr {
    let words = ["--json", "tunnel", "open", resource, "--allow"];
    let words: Vec<&str> = words.iter().chain(allow).copied().collect();
    let tunnel: Tunnel = serde_json::from_str(&viewer.ok(&words)).unwrap();
    assert_eq!(tunnel.allow, allow);
    tunnel.listen.unwrap().parse().unwrap()
}

/// What a Python program of a user prints, in one line.
fn talk(user: Option<&str>, program: &str, address: SocketAddr) -> String {
    let mut command = as_user(user);
    command.args(["-c", program, &address.ip().to_string(), &address.port().to_string()]);
    run_well(&mut command).trim().to_owned()
}

fn send(user: Option<&str>, address: SocketAddr, word: &str) -> Child {
    let mut command = as_user(user);
    command.args(["-c", SEND, &address.ip().to_string(), &address.port().to_string(), word]);
    command.spawn().unwrap()
}

fn as_user(user: Option<&str>) -> Command {
    match user {
        None => Command::new(python()),
        Some(user) => {
            let mut command = command(theirs("setpriv"));
            command.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--clear-groups"]);
            command.arg(python());
            command
        }
    }
}

/// Where Debian's Python really is: links have other names.
fn python() -> PathBuf {
    std::fs::canonicalize("/usr/bin/python3").expect("python3, of the Debian package python3")
}
