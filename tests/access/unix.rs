//! Tunnels that listen on unix sockets.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use coconet::control::Tunnel;

use crate::NOBODY;
use crate::support::net::{App, Net};
use crate::support::process::run_well;
use crate::support::programs::{command, theirs};
use crate::support::targets::{Nginx, echo, serve};
use crate::support::wait::{PATIENCE, is, until};

/// Says hello and prints what comes back.
const TALK: &str = "\
import socket, sys
s = socket.socket(socket.AF_UNIX)
try:
    s.connect(sys.argv[1])
    s.sendall(b'hello')
    print('got', s.recv(5).decode() or 'nothing')
except PermissionError:
    print('not let near')
except OSError:
    print('got nothing')
";

/// The same, while a child of another program holds the socket as well.
const TALK_WITH_A_WITNESS: &str = "\
import socket, subprocess, sys
s = socket.socket(socket.AF_UNIX)
s.set_inheritable(True)
child = subprocess.Popen(['sleep', '60'], pass_fds=[s.fileno()])
s.connect(sys.argv[1])
try:
    s.sendall(b'hello')
    print('got', s.recv(5).decode() or 'nothing')
except OSError:
    print('got nothing')
child.kill()
child.wait()
";

#[test]
fn a_resource_is_used_over_a_unix_socket_that_is_the_users_own() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    camera.expose(&format!("tcp://{}", serve(echo)), "door");
    let path = net.lab.path("door.sock");

    let url = viewer.ok(&["tunnel", "open", "door", "--listen", &unix(&path)]);

    assert_eq!(url, unix(&path));
    let found = fs::symlink_metadata(&path).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.mode() & 0o777, 0o600);
    assert_eq!(talk(None, TALK, &path), "got hello");
    assert_eq!(talk(Some(NOBODY), TALK, &path), "not let near");
    let tunnel = viewer.tunnel("door");
    assert_eq!(tunnel.listen.as_deref(), Some(unix(&path).as_str()));
    assert_eq!((tunnel.connections, tunnel.refused), (1, 0));
    viewer.ok(&["tunnel", "close", "door"]);
    until("the file is gone", PATIENCE, || is(!path.exists(), "it is there"));
}

#[test]
fn a_restarted_daemon_listens_on_the_same_unix_socket() {
    let net = Net::new();
    let (camera, mut viewer) = net.pair();
    camera.expose(&format!("tcp://{}", serve(echo)), "door");
    let path = net.lab.path("door.sock");
    viewer.ok(&["tunnel", "open", "door", "--listen", &unix(&path)]);

    // Killed, it leaves its file behind.
    viewer.kill();
    assert!(path.exists());
    viewer.start();

    until("it works again", PATIENCE, || {
        let said = talk(None, TALK, &path);
        is(said == "got hello", said)
    });
    assert_eq!(fs::symlink_metadata(&path).unwrap().mode() & 0o777, 0o600);
    // Asked to end, it takes it along.
    viewer.stop(nix::sys::signal::Signal::SIGTERM);
    assert!(!path.exists());
}

#[test]
fn others_who_are_let_near_are_judged_by_who_they_are() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    camera.expose(&format!("tcp://{}", serve(echo)), "door");
    // Nobody has to get to the file.
    fs::set_permissions(net.lab.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    let path = net.lab.path("door.sock");
    let python = python();
    let program = format!("exe:{}", python.display());
    for (allow, own, nobody) in [
        (&["uid:65534"][..], "got nothing", "got hello"),
        (&["uid:nobody", "uid:self"], "got hello", "got hello"),
        (&["gid:nogroup"], "got nothing", "got hello"),
        (&["gid:0"], "got hello", "got nothing"),
        (&["uid:self"], "got hello", "not let near"),
    ] {
        open(&viewer, &path, allow);
        assert_eq!(talk(None, TALK, &path), own, "{allow:?}");
        assert_eq!(talk(Some(NOBODY), TALK, &path), nobody, "{allow:?}");
        let refused = [own, nobody].iter().filter(|said| **said == "got nothing").count();
        assert_eq!(viewer.tunnel("door").refused, refused as u64, "{allow:?}");
        viewer.ok(&["tunnel", "close", "door"]);
    }
    open(&viewer, &path, &[&program]);
    assert_eq!(talk(None, TALK, &path), "got hello");
    assert_eq!(talk(None, TALK_WITH_A_WITNESS, &path), "got nothing");
    // This test is another program.
    let mut own = UnixStream::connect(&path).unwrap();
    own.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = own.write_all(b"hello");
    assert!(!matches!(own.read(&mut [0; 5]), Ok(1..)));
    assert_eq!(viewer.tunnel("door").refused, 2);
}

#[test]
fn curl_reads_a_page_through_a_unix_socket() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let nginx = Nginx::start(&net.lab);
    nginx.file("page", "hello from behind");
    camera.expose(&nginx.url(), "web");
    let path = net.lab.path("web.sock");
    viewer.ok(&["tunnel", "open", "web", "--listen", &unix(&path)]);

    for host in ["localhost", "web", "web.localhost", "web.home.coco", "127.0.0.1"] {
        assert_eq!(run_well(&mut curl(&path, &format!("http://{host}/page"))), "hello from behind", "{host}");
    }
    let mut foreign = curl(&path, "http://evil.example/page");
    assert_eq!(run_well(foreign.args(["--output", "/dev/null", "--write-out", "%{http_code}"])), "421");
}

#[test]
fn a_unix_socket_is_made_where_the_daemon_may_and_nowhere_else() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    camera.expose(&format!("tcp://{}", serve(echo)), "door");
    let elsewhere = std::env::temp_dir().join(format!("coco-elsewhere-{}.sock", std::process::id()));
    let told = viewer.refused(&[1], &["tunnel", "open", "door", "--listen", &unix(&elsewhere)]);
    assert!(told.contains("socket_dirs"), "{told}");
    assert!(!elsewhere.exists());
    fs::write(net.lab.path("letter"), "dear").unwrap();
    let told = viewer.refused(&[1], &["tunnel", "open", "door", "--listen", &unix(&net.lab.path("letter"))]);
    assert!(told.contains("no socket"), "{told}");
    assert_eq!(fs::read_to_string(net.lab.path("letter")).unwrap(), "dear");
    // The control socket is listened on.
    let told = viewer.refused(&[1], &["tunnel", "open", "door", "--listen", &unix(&viewer.socket())]);
    assert!(told.contains("another process listens there"), "{told}");
    // Below the state directory, for instance, it works.
    let inside = net.lab.path("viewer/door.sock");
    open(&viewer, &inside, &["uid:self"]);
    assert_eq!(talk(None, TALK, &inside), "got hello");
}

#[test]
fn what_needs_ports_is_not_opened_on_a_unix_socket() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let words = |name: &'static str| ["tunnel", "open", name, "--listen"];
    let path = unix(&net.lab.path("x.sock"));
    for (url, name) in
        [("udp://127.0.0.1:9", "game"), ("tcp+udp://127.0.0.1:9", "dns"), ("rtsp://127.0.0.1:9/", "eye")]
    {
        camera.expose(url, name);
        let told = viewer.refused(&[2], &[&words(name)[..], &[&path]].concat());
        assert!(told.contains("needs ports") && told.contains("--listen 127.0.0.1:PORT"), "{told}");
    }
}

fn open(viewer: &App, path: &Path, allow: &[&str]) {
    let place = unix(path);
    let words = ["--json", "tunnel", "open", "door", "--listen", &place, "--allow"];
    let words: Vec<&str> = words.iter().chain(allow).copied().collect();
    let tunnel: Tunnel = serde_json::from_str(&viewer.ok(&words)).unwrap();
    assert_eq!(tunnel.allow, allow);
}

fn unix(path: &Path) -> String {
    format!("unix:{}", path.display())
}

fn curl(socket: &Path, url: &str) -> Command {
    let mut curl = command(theirs("curl"));
    curl.args(["--silent", "--show-error", "--max-time", "30", "--unix-socket"]).arg(socket).arg(url);
    curl
}

/// What a Python program of a user prints, in one line.
fn talk(user: Option<&str>, program: &str, socket: &Path) -> String {
    let mut python = match user {
        None => command(python()),
        Some(user) => {
            let mut command = command(theirs("setpriv"));
            command.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--clear-groups"]);
            command.arg(python());
            command
        }
    };
    run_well(python.args(["-c", program]).arg(socket)).trim().to_owned()
}

/// Where Debian's Python really is: links have other names.
fn python() -> PathBuf {
    fs::canonicalize("/usr/bin/python3").expect("python3, of the Debian package python3")
}
