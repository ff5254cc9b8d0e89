//! Sockets that change hands: who is judged is who holds them when the daemon looks, once.
//!
//! A stopped daemon cannot look, while the kernel already completes connections to it: so what is done before
//! it goes on is done before it looks.

use std::fs;
use std::path::{Path, PathBuf};

use coconet::control::Tunnel;
use nix::sys::signal::Signal;

use crate::support::net::{App, Net};
use crate::support::programs::command;
use crate::support::targets::{echo, serve};
use crate::support::wait::PATIENCE;

/// Connects, and becomes a shell that says hello and prints what comes back.
const BECOME: &str = "\
import os, socket, sys
s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
os.dup2(s.fileno(), 9)
s.close()
os.execv(sys.argv[2], ['bash', '-c', 'echo ready; printf hello >&9; read -r -N 5 -u 9 x; echo \"got <$x>\"'])
";

/// Says hello, and becomes a shell that goes on with the connection.
const TALK_AND_BECOME: &str = "\
import os, socket, sys
s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
s.sendall(b'hello')
assert s.recv(5) == b'hello'
os.dup2(s.fileno(), 9)
s.close()
os.execv(sys.argv[2], ['bash', '-c', 'echo ready; printf again >&9; read -r -N 5 -u 9 x; echo \"got <$x>\"'])
";

/// Connects, and lets a child without a program of its own talk.
const FORK: &str = "\
import os, socket, sys
s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
child = os.fork()
if child == 0:
    print('ready', flush=True)
    s.sendall(b'hello')
    print('got <' + s.recv(5).decode() + '>', flush=True)
    os._exit(0)
os.waitpid(child, 0)
";

#[test]
fn who_has_become_another_program_before_the_look_is_judged_as_that() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    camera.expose(&format!("tcp://{}", serve(echo)), "door");

    assert_eq!(told(&net, &viewer, &python(), BECOME, true), ("got <>".to_owned(), 1));
    assert_eq!(told(&net, &viewer, &bash(), BECOME, true), ("got <hello>".to_owned(), 0));
}

#[test]
fn who_was_let_in_may_hand_the_connection_on() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    camera.expose(&format!("tcp://{}", serve(echo)), "door");

    assert_eq!(told(&net, &viewer, &python(), TALK_AND_BECOME, false), ("got <again>".to_owned(), 0));
    assert_eq!(told(&net, &viewer, &python(), FORK, true), ("got <hello>".to_owned(), 0));
}

/// What `script` says in the end, while only `program` may use the door, and how many were refused. The daemon
/// looks when the script is ready, if it is `stopped` until then.
fn told(net: &Net, viewer: &App, program: &Path, script: &str, stopped: bool) -> (String, u64) {
    let allow = format!("exe:{}", program.display());
    let opened = viewer.ok(&["--json", "tunnel", "open", "door", "--allow", &allow]);
    let tunnel: Tunnel = serde_json::from_str(&opened).unwrap();
    let port = tunnel.listen.unwrap().rsplit_once(':').unwrap().1.to_owned();
    if stopped {
        viewer.daemon().signal(Signal::SIGSTOP);
    }
    let mut command = command(python());
    command.args(["-c", script, &port]).arg(bash());
    let mut client = net.lab.start("client", &command);
    client.says("ready");
    viewer.daemon().signal(Signal::SIGCONT);
    client.ended(PATIENCE);
    let said = String::from_utf8(client.output()).unwrap();
    let refused = viewer.tunnel("door").refused;
    viewer.ok(&["tunnel", "close", "door"]);
    (said.lines().last().unwrap().to_owned(), refused)
}

/// Where Debian's Python really is: links have other names.
fn python() -> PathBuf {
    fs::canonicalize("/usr/bin/python3").expect("python3, of the Debian package python3")
}

fn bash() -> PathBuf {
    fs::canonicalize("/bin/bash").expect("bash, of the Debian package bash")
}
