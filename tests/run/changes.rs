//! What changes while a program runs: resources, and the daemon.

use crate::house::House;
use crate::support::targets::{echo, serve};
use crate::support::wait::{PATIENCE, is, until};

/// Connects for each line that it reads, and says what came of it.
const ON_DEMAND: &str = "\
import socket, sys
print('ready', flush=True)
for line in sys.stdin:
    host, port = line.split()
    try:
        s = socket.create_connection((host, int(port)), 30)
        s.sendall(b'hello')
        print(host, s.recv(5).decode() or 'closed', flush=True)
    except OSError as error:
        print(host, type(error).__name__, flush=True)
";

#[test]
fn a_resource_that_appears_is_there_and_one_that_vanishes_is_not() {
    let house = House::new();
    house.expose(&format!("tcp://{}", serve(echo)), "first");
    let script = "while :; do cat /etc/hosts; sleep 0.1; done";
    let mut inside = house.begin_inside("inside", &["sh", "-c", script]);
    let first = inside.says("first.home.coco");
    house.expose(&format!("tcp://{}", serve(echo)), "second");
    let second = inside.says("second.home.coco");
    assert_ne!(first.split(' ').next(), second.split(' ').next());
    until("both are listed", PATIENCE, || {
        let tunnels = house.tunnels();
        is(
            tunnels.len() == 2 && tunnels.iter().all(|tunnel| tunnel.run == Some(inside.pid())),
            format!("{tunnels:?}"),
        )
    });
    house.camera.ok(&["tunnel", "close", "first"]);
    until("the first is gone", PATIENCE, || {
        let tunnels = house.tunnels();
        is(tunnels.iter().all(|tunnel| tunnel.resource.as_str() == "second"), format!("{tunnels:?}"))
    });
    until("its name is gone", PATIENCE, || {
        let said = String::from_utf8(inside.output()).unwrap();
        let last = said.rsplit("# made by cococtl run\n").nth(1).unwrap_or_default().to_owned();
        is(last.contains("second.home.coco") && !last.contains("first.home.coco"), last)
    });
}

#[test]
fn a_daemon_that_comes_back_goes_on_with_the_same_sockets() {
    let mut house = House::new();
    let target = serve(echo);
    house.expose(&format!("tcp://{target}"), "door");
    let pipe = house.home().join("asks");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::from_bits_truncate(0o666)).unwrap();
    std::fs::set_permissions(&pipe, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    let pipe = pipe.to_str().unwrap().to_owned();
    // The user's runtime directory is empty inside; the file is opened before.
    let program = house.net.lab.path("ask.py");
    std::fs::write(&program, ON_DEMAND).unwrap();
    let line =
        format!("exec \"$0\" --socket \"$1\" run home -- /usr/bin/python3 {} <{pipe}", program.display());
    let mut shell = house.as_user(std::path::Path::new("/bin/sh"));
    shell.args(["-c", &line]).arg(house.net.lab.path("cococtl")).arg(house.socket());
    let mut inside = house.net.lab.start("asks", &shell);
    let mut asks = std::fs::File::options().write(true).open(&pipe).unwrap();
    inside.says("ready");
    let ask = format!("door.home.coco {}\n", target.port());
    std::io::Write::write_all(&mut asks, ask.as_bytes()).unwrap();
    inside.says("door.home.coco hello");

    house.kill_daemon();
    // It waits in the socket, which is still there.
    std::io::Write::write_all(&mut asks, ask.as_bytes()).unwrap();
    house.start_daemon();
    until("the second one is served", PATIENCE, || {
        let said = String::from_utf8(inside.output()).unwrap();
        is(said.matches("hello").count() == 2, said)
    });
    let tunnels = house.tunnels();
    assert_eq!(tunnels.len(), 1, "{tunnels:?}");
    assert_eq!(tunnels[0].run, Some(inside.pid()));
    drop(asks);
    assert!(inside.ended(PATIENCE).success());
}
