//! What a program inside tries, to get out.

use std::os::unix::net::{UnixDatagram, UnixListener};

use crate::house::{House, is_root};
use crate::support::process::run;
use crate::support::targets::{echo, serve};
use crate::support::wait::PATIENCE;

#[test]
fn the_daemon_is_not_spoken_to_from_inside() {
    let house = House::new();
    let socket = house.socket();
    let socket = socket.to_str().unwrap();
    let ctl = house.net.lab.path("cococtl");
    let ran = house.try_inside(&[ctl.to_str().unwrap(), "--socket", socket, "status"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let ran = house.try_inside(&["ls", "-A", house.home().to_str().unwrap()]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{}", ran.stderr);
    // Another way to the same file does not help: who asks is inside.
    let ran = run(&mut house.inside(&["/usr/bin/python3", "-c", ASK_BY_DESCRIPTOR]), b"", PATIENCE);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

#[test]
fn a_program_that_gets_at_the_control_socket_all_the_same_is_refused() {
    let house = House::new();
    // A process namespace of root's making, without anything hidden: where the tests may make one.
    if !is_root() {
        return;
    }
    let mut status = crate::support::programs::command(crate::support::programs::theirs("unshare"));
    status.args(["--pid", "--fork"]).arg(house.net.lab.path("cococtl"));
    status.arg("--socket").arg(house.socket()).arg("status");
    let ran = run(&mut status, b"", PATIENCE);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert!(ran.stderr.contains("not driven from inside"), "{}", ran.stderr);
}

#[test]
fn sockets_of_others_are_not_there() {
    let house = House::new();
    // As a message bus has one; everybody may connect.
    let place = house.net.lab.path("bus");
    let datagrams = house.net.lab.path("log");
    let _listens = UnixListener::bind(&place).unwrap();
    let _takes = UnixDatagram::bind(&datagrams).unwrap();
    for path in [&place, &datagrams] {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    }
    let words =
        ["/usr/bin/python3", "-c", CONNECT_UNIX, place.to_str().unwrap(), datagrams.to_str().unwrap()];
    let mut outside = house.as_user(std::path::Path::new(words[0]));
    let ran = run(outside.args(&words[1..]), b"", PATIENCE);
    assert_eq!(ran.stdout, "connected\nconnected\n", "{}", ran.stderr);
    assert_eq!(house.ok_inside(&words), "ConnectionRefusedError\nConnectionRefusedError\n");
}

#[test]
fn other_processes_and_namespaces_are_out_of_reach() {
    let house = House::new();
    house.expose(&format!("tcp://{}", serve(echo)), "door");
    let daemon = house.daemon().to_string();
    let tried = house.ok_inside(&["/usr/bin/python3", "-c", ESCAPE, &daemon]);
    assert_eq!(tried, "refused\n");
    // Nor is there any of the machine's own processes to see.
    let seen = house.ok_inside(&["sh", "-c", "echo /proc/[0-9]*"]);
    assert_eq!(seen, "/proc/1 /proc/2\n");
    for words in [
        &["nsenter", "--net=/proc/1/ns/net", "true"][..],
        &["mount", "-t", "tmpfs", "none", "/mnt"],
        &["umount", "/etc/hosts"],
        &["umount", "/proc"],
        &["ip", "link", "set", "lo", "down"],
        &["ip", "link", "add", "d0", "type", "dummy"],
        &["sh", "-c", "echo 127.0.0.1 bank >> /etc/hosts"],
    ] {
        assert_ne!(house.try_inside(words).code, 0, "{words:?}");
    }
}

/// Tries to get at a descriptor of process 1, which has one to the process outside.
const ASK_BY_DESCRIPTOR: &str = "\
import os
for way in ('/proc/1/fd', '/proc/1/root/', '/proc/1/cwd/'):
    try:
        os.listdir(way)
    except PermissionError:
        continue
    raise SystemExit(way)
";

/// Tries to connect to unix sockets.
const CONNECT_UNIX: &str = "\
import socket, sys
for kind, path in zip((socket.SOCK_STREAM, socket.SOCK_DGRAM), sys.argv[1:]):
    s = socket.socket(socket.AF_UNIX, kind)
    try:
        s.connect(path)
        print('connected')
    except OSError as error:
        print(type(error).__name__)
";

/// Tries the system calls that lead into other processes and namespaces.
const ESCAPE: &str = "\
import ctypes, os, sys
c = ctypes.CDLL(None, use_errno=True)
PTRACE_ATTACH, CLONE_NEWNET, CLONE_NEWNS = 16, 0x40000000, 0x20000
ways = [
    lambda: c.ptrace(PTRACE_ATTACH, 1, 0, 0),
    lambda: c.ptrace(PTRACE_ATTACH, int(sys.argv[1]), 0, 0),
    lambda: c.syscall(434, int(sys.argv[1]), 0),
    lambda: c.unshare(CLONE_NEWNET),
    lambda: c.unshare(CLONE_NEWNS),
    lambda: c.kill(int(sys.argv[1]), 15),
    lambda: c.setuid(0),
    lambda: c.socket(17, 3, 0),
]
for number, way in enumerate(ways):
    if way() >= 0:
        raise SystemExit('way %d is open' % number)
for path in ('/proc/1/ns/net', '/proc/1/mem', '/proc/1/environ'):
    try:
        open(path, 'rb').read(1)
    except OSError:
        continue
    raise SystemExit(path + ' is open')
print('refused')
";
