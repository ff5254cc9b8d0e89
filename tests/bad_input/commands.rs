//! Commands that make no sense, or that the daemon cannot carry out.

use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use coconet::control::{ErrorKind, Failure};

use crate::refusal::{as_nobody, networks, refusal, refuses, root, tunnels};
use crate::support::net::{HOME, Net, free_port};
use crate::support::process::run;
use crate::support::programs::{command, ours, theirs};
use crate::support::targets::{echo, serve};
use crate::support::wait::PATIENCE;

#[test]
fn without_a_daemon_there_is_nobody_to_ask() {
    let net = Net::new();
    let ctl = |socket: &str| {
        let mut ctl = command(ours("cococtl"));
        ctl.arg("--socket").arg(net.lab.path(socket)).arg("status");
        ctl
    };
    assert!(refusal(&mut ctl("nothing.sock"), 3).contains("cocod"));
    // A daemon that was killed leaves its socket behind.
    drop(UnixListener::bind(net.lab.path("stale.sock")).unwrap());
    refusal(&mut ctl("stale.sock"), 3);
    fs::write(net.lab.path("plain"), "").unwrap();
    refusal(&mut ctl("plain"), 2);
    let mut by_app = command(ours("cococtl"));
    by_app.args(["--app", "no-such-app", "status"]).env("XDG_RUNTIME_DIR", net.lab.path("run"));
    refusal(&mut by_app, 3);
}

#[test]
fn a_socket_of_somebody_else_is_not_for_us() {
    if !root() {
        return;
    }
    let net = Net::new();
    let ctl = net.lab.path("cococtl");
    fs::copy(ours("cococtl"), &ctl).unwrap();
    let camera = net.app("camera");
    let told = refusal(as_nobody(&ctl).arg("--socket").arg(camera.socket()).arg("status"), 4);
    assert!(told.contains("ermi"), "{told}");
}

#[test]
fn what_does_not_exist_is_not_found() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    camera.expose(&format!("tcp://{}", serve(echo)), "service");
    for words in [
        ["network", "show", "nope"].as_slice(),
        &["network", "members", "nope"],
        &["network", "leave", "nope"],
        &["network", "invite", "nope", "--device"],
        &["node", "remove", "nope", "camera"],
        &["node", "remove", HOME, "nope"],
        &["ping", "nope"],
        &["ping", "camera", "--network", "nope"],
        &["tunnel", "open", "nope"],
        &["tunnel", "open", "service", "--network", "nope"],
        &["tunnel", "expose", "tcp://127.0.0.1:1", "--name", "x", "--network", "nope"],
        &["tunnel", "close", "nope"],
        &["tunnel", "close", "t999"],
    ] {
        let told = refuses(&viewer, 5, words);
        assert!(told.contains("nope") || told.contains("t999"), "{told}");
    }
    let empty = net.app("empty");
    for words in [
        ["tunnel", "open", "service"].as_slice(),
        &["tunnel", "expose", "tcp://127.0.0.1:1", "--name", "x"],
        &["ping", "camera"],
    ] {
        refuses(&empty, 5, words);
    }
}

#[test]
fn names_and_addresses_that_are_none_are_refused_before_anything_is_done() {
    let net = Net::new();
    let camera = net.app("camera");
    let damaged = net.address.replacen("mgr1", "mgr1a", 1);
    let without_port = net.address.rsplit_once(':').unwrap().0;
    for address in ["", "nonsense", "127.0.0.1:4433", &damaged, without_port, &format!("{}0", net.address)] {
        refuses(&camera, 2, &["network", "create", HOME, "--manager", address]);
    }
    for name in ["", "A", "a b", "ä", "../etc", ".", "-x", &"a".repeat(64), "a\u{1b}[31m", "a\nb"] {
        refuses(&camera, 2, &["network", "create", "--manager", &net.address, "--", name]);
    }
    assert_eq!(networks(&camera), 0);
    camera.create(HOME, &net.address);
    refuses(&camera, 1, &["network", "create", HOME, "--manager", &net.address]);
    for words in [
        ["network", "invite", HOME].as_slice(),
        &["network", "invite", HOME, "--device", "--self"],
        &["network", "invite", HOME, "--user", "bob"],
        &["network", "invite", HOME, "--user", "bob", "--role", "owner"],
        &["network", "invite", HOME, "--self", "--uses", "0"],
        &["network", "invite", HOME, "--self", "--expires", "0s"],
        &["network", "invite", HOME, "--self", "--expires", "9999w"],
        &["network", "invite", HOME, "--self", "--expires", "soon"],
        &["network", "invite", HOME, "--self", "--uses", "2", "--node-name", "x"],
        &["ping", "camera"],
        &["nonsense"],
        &["network"],
    ] {
        refuses(&camera, 2, words);
    }
    assert_eq!(camera.network(HOME).ledger.seq, 0, "something was written");
}

#[test]
fn a_manager_that_does_not_answer_is_said_to() {
    let net = Net::new();
    let camera = net.app("camera");
    let nobody = format!("{}:{}", net.address.rsplit_once(':').unwrap().0, free_port());
    let told = refuses(&camera, 6, &["network", "create", HOME, "--manager", &nobody]);
    assert!(told.contains("does not answer"), "{told}");
}

#[test]
fn a_listener_is_where_nobody_else_is_and_nobody_else_gets_to() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    camera.expose(&format!("tcp://{}", serve(echo)), "service");
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().to_string();
    let told = refuses(&viewer, 1, &["tunnel", "open", "service", "--listen", &taken]);
    assert!(told.contains(&taken) && told.contains("in use"), "{told}");
    for public in ["0.0.0.0:0", "[::]:0", "192.0.2.1:80"] {
        refuses(&viewer, 4, &["tunnel", "open", "service", "--listen", public]);
    }
    for nonsense in ["", "80", "localhost:80", "127.0.0.1", "127.0.0.1:99999", "[::1]"] {
        refuses(&viewer, 2, &["tunnel", "open", "service", "--listen", nonsense]);
    }
    assert_eq!(tunnels(&viewer), 0, "something was kept");
    viewer.open("service");
    let told = refuses(&viewer, 1, &["tunnel", "open", "service"]);
    assert!(told.contains("already open"), "{told}");
}

#[test]
fn every_url_that_is_no_target_is_refused_before_it_is_published() {
    let net = Net::new();
    let camera = net.app("camera");
    camera.create(HOME, &net.address);
    let long = format!("http://host/{}", "a".repeat(3000));
    for url in [
        "",
        "host",
        "host:80",
        "//host:80",
        "tcp:host:80",
        "ftp://host:21",
        "javascript://x",
        "https://host/",
        "rtsps://host/",
        "mqtts://host",
        "tcp://host",
        "tcp://:80",
        "tcp://host:0",
        "tcp://host:65536",
        "tcp://host:-1",
        "tcp://host:+80",
        "tcp://host:80:80",
        "tcp://::1:80",
        "tcp://[::1",
        "tcp://[host]:80",
        "tcp://ho st:80",
        "tcp://host:80/path",
        "mqtt://host/topic",
        "tcp://-x:80",
        "tcp://host\u{1b}[2J:80",
        "tcp://h\u{f6}st:80",
        "unix://relative/path",
        "unix://",
        "unix:///",
        "udp://host",
        &long,
    ] {
        refuses(&camera, 2, &["tunnel", "expose", "--name", "x", "--", url]);
        // The same straight to the daemon, by who does not ask cococtl first.
        let body = serde_json::json!({ "url": url, "name": "x", "network": null }).to_string();
        let failure = asked(&camera.socket().display().to_string(), &["-d", &body], "expose");
        assert_eq!(failure.error.kind, ErrorKind::Usage, "{url:?}: {failure:?}");
        assert!(failure.error.hint.is_some(), "{url:?}: {failure:?}");
    }
    assert_eq!(tunnels(&camera), 0);
    assert_eq!(camera.network(HOME).ledger.seq, 0, "something was published");
}

/// What the daemon answers to a request by hand that it cannot like.
fn asked(socket: &str, curl: &[&str], path: &str) -> Failure {
    let mut command = command(theirs("curl"));
    command.args(["--silent", "--unix-socket", socket]).args(curl).arg(format!("http://coco/v1/{path}"));
    let answer = run(&mut command, b"", PATIENCE).stdout;
    serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{path} {curl:?}: {error} in {answer:?}"))
}

#[test]
fn a_request_by_hand_that_makes_no_sense_is_answered_in_kind() {
    let net = Net::new();
    let camera = net.app("camera");
    camera.create(HOME, &net.address);
    let socket = camera.socket().display().to_string();
    let usage = |curl: &[&str], path: &str| {
        let failure = asked(&socket, curl, path);
        assert_eq!(failure.error.kind, ErrorKind::Usage, "{path} {curl:?}: {failure:?}");
    };
    let big = net.lab.path("big.json");
    fs::write(&big, vec![b' '; 200_000]).unwrap();
    usage(&["--data-binary", &format!("@{}", big.display())], "open");
    for body in ["", "{", "[]", "null", "{\"resource\":1}", "{\"resource\":\"a\",\"more\":1}", "\u{1}"] {
        usage(&["-d", body], "open");
        usage(&["-d", body], "join");
        usage(&["-d", body], "networks");
    }
    usage(&["-X", "PATCH"], "status");
    usage(&["-X", "DELETE"], "tunnels/x?network=A%20b");
    usage(&["-X", "DELETE"], "networks/home?forget=perhaps");
    usage(&["-X", "DELETE"], "tunnels/%ff");
    for path in ["", "nothing", "networks/home/nothing", "status/", "../v1/status/x"] {
        assert_eq!(asked(&socket, &["--path-as-is"], path).error.kind, ErrorKind::NotFound, "{path}");
    }
    assert!(camera.network(HOME).node.member);
}
