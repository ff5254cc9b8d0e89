//! The control socket and the files beside it are for one user of the machine.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use coconet::control::{ErrorKind, Failure};

use crate::refusal::{NOBODY, as_nobody, cocod, refusal, root, tunnels};
use crate::support::net::{HOME, Lab, Net};
use crate::support::process::run;
use crate::support::programs::{PYTHON, command, ours, theirs};
use crate::support::wait::{PATIENCE, is, until};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

/// `cococtl` where everybody can run it, wherever this was built.
fn ctl_for_everybody(lab: &Lab) -> PathBuf {
    let copy = lab.path("cococtl");
    fs::copy(ours("cococtl"), &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    copy
}

#[test]
fn state_and_socket_are_closed_to_others_whatever_the_umask() {
    let net = Net::new();
    let state = net.lab.path("open-minded");
    let mut shell = command("/bin/sh");
    let cocod = cocod(&state);
    shell.args(["-c", "umask 000 && exec \"$@\"", "sh"]).arg(cocod.get_program()).args(cocod.get_args());
    let mut daemon = net.lab.start("open-minded", &shell);
    let socket = state.join("control.sock");
    let ctl = |words: &[&str]| {
        let mut ctl = command(ours("cococtl"));
        run(ctl.arg("--socket").arg(&socket).args(words), b"", PATIENCE)
    };
    until("it answers", PATIENCE, || {
        daemon.assert_runs();
        let ran = ctl(&["status"]);
        is(ran.code == 0, ran.stderr)
    });
    assert_eq!(ctl(&["network", "create", HOME, "--manager", &net.address]).code, 0);

    assert_eq!((mode(&state), mode(&socket)), (0o700, 0o600));
    let keys = state.join("keys");
    assert_eq!(mode(&keys), 0o700);
    let mut files: Vec<PathBuf> = fs::read_dir(&keys).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 1);
    files.extend(["lock", "version", "state.db"].map(|name| state.join(name)));
    for file in files {
        assert_eq!(mode(&file) & 0o077, 0, "{}", file.display());
    }
}

#[test]
fn another_user_gets_nowhere_by_the_control_socket() {
    if !root() {
        return;
    }
    let net = Net::new();
    let ctl = ctl_for_everybody(&net.lab);
    let camera = net.app("camera");
    camera.create(HOME, &net.address);
    let socket = camera.socket();
    let asks = |words: &[&str]| {
        let mut command = as_nobody(&ctl);
        refusal(command.arg("--socket").arg(&socket).args(words), 4)
    };

    // The file system keeps them out.
    asks(&["status"]);
    // And so does the daemon, where somebody has opened the socket to everybody.
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).unwrap();
    for words in [
        ["status"].as_slice(),
        &["network", "invite", HOME, "--self"],
        &["network", "leave", HOME, "--forget"],
        &["tunnel", "expose", "tcp://127.0.0.1:1", "--name", "x"],
    ] {
        let told = asks(words);
        assert!(told.contains("another user"), "{told}");
    }
    let mut curl = as_nobody(theirs("curl"));
    curl.args(["--silent", "--unix-socket"]).arg(&socket).args([
        "http://coco/v1/status",
        "-w",
        "%{http_code}",
    ]);
    let answer = run(&mut curl, b"", PATIENCE).stdout;
    let failure: Failure = serde_json::from_str(answer.trim_end_matches("403")).unwrap();
    assert!(answer.ends_with("403") && failure.error.kind == ErrorKind::NotPermitted, "{answer}");
    // Nothing has happened, and its own user is still served.
    assert_eq!((camera.network(HOME).ledger.seq, tunnels(&camera)), (0, 0));
}

/// Listens as whoever runs it, and says what it heard.
const IMPOSTOR: &str = "
import os, socket, sys
door = socket.socket(socket.AF_UNIX)
door.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o666)
door.listen()
print('ready', flush=True)
while True:
    print('heard', door.accept()[0].recv(1000), flush=True)
";

#[test]
fn nothing_is_said_to_somebody_else_who_listens_in_the_daemons_place() {
    if !root() {
        return;
    }
    let net = Net::new();
    let lab = &net.lab;
    let ctl = ctl_for_everybody(lab);
    let open = lab.path("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    let socket = open.join("control.sock");
    let mut listen = as_nobody(PYTHON);
    let mut impostor = lab.start("impostor", listen.args(["-c", IMPOSTOR]).arg(&socket));
    impostor.says("ready");
    // Neither root nor the impostor.
    let mut other = command(theirs("setpriv"));
    other.args(["--reuid=1", "--regid=1", "--clear-groups"]).arg(&ctl);
    let told = refusal(
        other.arg("--socket").arg(&socket).args(["network", "create", "secret", "--manager", &net.address]),
        4,
    );
    assert!(told.contains(&format!("user {NOBODY} who listens")), "{told}");
    // Who listens itself may; that is heard after whatever came before.
    let mut own = as_nobody(&ctl);
    let own = own.arg("--socket").arg(&socket).arg("status");
    let _asks = lab.start("own", own);
    let heard = impostor.says("GET /v1/status");
    assert!(heard.starts_with("heard b'GET"), "{heard}");
    let all = String::from_utf8(impostor.output()).unwrap();
    assert!(!all.contains("secret") && !all.contains("POST"), "{all}");
}

#[test]
fn nobody_can_put_a_link_where_the_daemon_writes() {
    let net = Net::new();
    let mut camera = net.app("camera");
    camera.create(HOME, &net.address);
    camera.kill();
    let state = net.lab.path("camera");
    let key = fs::read_dir(state.join("keys")).unwrap().next().unwrap().unwrap().path();
    let elsewhere = net.lab.path("elsewhere");
    for (name, path) in
        [("key", key), ("version", state.join("version")), ("state.db", state.join("state.db"))]
    {
        fs::rename(&path, &elsewhere).unwrap();
        symlink(&elsewhere, &path).unwrap();
        let told = refusal(&mut cocod(&state), 1);
        assert!(told.contains(path.file_name().unwrap().to_str().unwrap()) || name == "state.db", "{told}");
        fs::rename(&elsewhere, &path).unwrap();
    }
    let lock = state.join("lock");
    fs::remove_file(&lock).unwrap();
    symlink(&elsewhere, &lock).unwrap();
    refusal(&mut cocod(&state), 1);
    assert!(!elsewhere.exists(), "the daemon followed a link");
    fs::remove_file(&lock).unwrap();
    camera.start();
    camera.wait_online();
}
