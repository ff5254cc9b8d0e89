//! Who may, and who may not.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use coconet::control::TunnelState;

use crate::support::net::{HOME, Net};
use crate::support::process::run_well;
use crate::support::programs::{command, theirs};
use crate::support::targets::{Nginx, assert_cut, echo, serve, size};
use crate::support::wait::{PATIENCE, is, until, until_since};

/// A node's streams are cut so long after its removal at most.
const CUT_WITHIN: Duration = Duration::from_secs(5);

#[test]
fn a_removed_node_is_cut_off_and_may_be_invited_again() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let nginx = Nginx::start(&net.lab);
    nginx.zeros("large", 8 << 30);
    nginx.file("small", "all right");
    camera.expose(&nginx.url(), "web");
    let url = viewer.open("web");
    let file = net.lab.path("large");
    let mut curl = command(theirs("curl"));
    curl.args(["--silent", "--show-error", "--limit-rate", "20M", &format!("{url}large"), "--output"]);
    let mut download = net.lab.start("curl", curl.arg(&file));
    until("the download has begun", PATIENCE, || is(size(&file) > 1 << 20, "not a megabyte yet"));

    let removed = Instant::now();
    camera.ok(&["node", "remove", HOME, "viewer"]);

    let left = CUT_WITHIN.saturating_sub(removed.elapsed());
    assert!(!download.ended(left).success(), "half a file passed for a whole one");
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    assert_cut(&mut TcpStream::connect(address).unwrap());
    until_since(removed, "it knows", CUT_WITHIN, || is(!viewer.network(HOME).node.member, "a member"));
    let told = viewer.refused(&[8], &["tunnel", "open", "web"]);
    assert!(told.contains("was removed from home"), "{told}");
    until("its tunnel knows", PATIENCE, || {
        let tunnel = viewer.tunnel("web");
        is(tunnel.state == TunnelState::Failed, format!("{tunnel:?}"))
    });
    viewer.refused(&[8], &["wait", "--online", "--timeout", "1s"]);

    viewer.join(&camera.invite(HOME, &["--self"]));

    assert!(viewer.network(HOME).node.member);
    let url = viewer.open("web");
    let mut curl = command(theirs("curl"));
    assert_eq!(
        run_well(curl.args(["--silent", "--show-error", "--fail", &format!("{url}small")])),
        "all right"
    );
}

#[test]
fn a_removed_exporter_serves_nobody_any_more() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    viewer.expose(&format!("tcp://{}", serve(echo)), "service");
    let mut connection = TcpStream::connect(camera.open_address("service")).unwrap();
    connection.write_all(b"hello").unwrap();
    connection.read_exact(&mut [0; 5]).unwrap();

    let removed = Instant::now();
    camera.ok(&["node", "remove", HOME, "viewer"]);

    assert_cut(&mut connection);
    assert!(removed.elapsed() <= CUT_WITHIN, "cut after {:?}", removed.elapsed());
    camera.ok(&["tunnel", "close", "service"]);
    camera.refused(&[5], &["tunnel", "open", "service"]);
    until("it knows", PATIENCE, || is(!viewer.network(HOME).node.member, "a member"));
    viewer.refused(&[8], &["tunnel", "expose", "tcp://127.0.0.1:1", "--name", "other"]);
}

#[test]
fn two_networks_on_one_daemon_do_not_mix() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    camera.create("work", &net.address);
    viewer.join(&camera.invite("work", &["--self"]));
    for network in [HOME, "work"] {
        let target = serve(move |mut stream| stream.write_all(network.as_bytes()).unwrap());
        camera.ok(&["tunnel", "expose", &format!("tcp://{target}"), "--name", "where", "--network", network]);
    }

    for words in [["tunnel", "open", "where"], ["ping", "camera", "--count=1"]] {
        let told = viewer.refused(&[2], &words);
        assert!(told.contains(HOME) && told.contains("work") && told.contains("--network"), "{told}");
    }
    for network in [HOME, "work"] {
        let url = viewer.ok(&["tunnel", "open", "where", "--network", network]);
        let address: SocketAddr = url.trim_start_matches("tcp://").trim_end_matches('/').parse().unwrap();
        let mut answer = String::new();
        TcpStream::connect(address).unwrap().read_to_string(&mut answer).unwrap();
        assert_eq!(answer, network);
    }
    let (home, work) = (viewer.network(HOME), viewer.network("work"));
    assert_ne!(home.node.id, work.node.id, "the same node in two networks");

    viewer.ok(&["network", "leave", "work"]);
    viewer.refused(&[5], &["tunnel", "open", "where", "--network", "work"]);
    assert_eq!(viewer.tunnel("where").network.as_str(), HOME);
}

#[test]
fn a_guest_without_a_grant_sees_and_opens_nothing() {
    let net = Net::new();
    let camera = net.app("camera");
    camera.create(HOME, &net.address);
    camera.expose(&format!("tcp://{}", serve(echo)), "service");
    let guest = net.app("guest");
    guest.join(&camera.invite(HOME, &["--user", "bob", "--role", "guest"]));

    let there = guest.refused(&[4, 5], &["tunnel", "open", "service"]);
    let absent = guest.refused(&[4, 5], &["tunnel", "open", "nothing"]);

    // What one may not have looks as if it were not there.
    assert_eq!(there.replace("service", "nothing"), absent);
    assert_eq!(guest.network(HOME).resources, []);
    for words in [
        ["tunnel", "expose", "tcp://127.0.0.1:1", "--name=other"].as_slice(),
        &["network", "invite", HOME, "--user", "eve", "--role", "guest"],
        &["network", "invite", HOME, "--device"],
        &["node", "remove", HOME, "camera"],
    ] {
        guest.refused(&[4], words);
    }
}

#[test]
fn an_invite_is_used_once() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let invite = camera.invite(HOME, &["--user", "bob", "--role", "admin"]);
    let (first, second) = (net.app("first"), net.app("second"));

    first.join(&invite);

    let told = second.refused(&[1], &["network", "join", &invite]);
    assert!(told.contains("used") && told.contains("\nhint: "), "{told}");
    let told = viewer.refused(&[1], &["network", "join", &invite]);
    assert!(told.contains("already joined"), "{told}");
    second.refused(&[2], &["network", "join", &invite[..invite.len() - 3]]);
    assert_eq!(camera.network(HOME).nodes, 3);
}
