//! Killed without warning: daemons come back with their tunnels, and a manager is not missed until
//! something has to be written.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use coconet::control::{ManagerLink, TunnelState};

use crate::support::net::{HOME, Lab, Net};
use crate::support::process::{Process, run};
use crate::support::programs::{command, theirs};
use crate::support::targets::{Nginx, echo, serve, size};
use crate::support::wait::{PATIENCE, is, until, until_since};

/// A tunnel works again so long after the start of the daemon that was killed.
const BACK_WITHIN: Duration = Duration::from_secs(5);

/// The pauses between two tries to reach the manager stay below that, and a little to register.
const MANAGER_BACK_WITHIN: Duration = Duration::from_secs(35);

#[test]
fn a_tunnel_comes_back_after_the_exporter_was_killed() {
    let net = Net::new();
    let (mut camera, viewer) = net.pair();
    let nginx = web(&net.lab);
    camera.expose(&nginx.url(), "web");
    let url = viewer.open("web");
    let before = viewer.tunnel("web");
    let mut download = download(&net.lab, &url);

    camera.kill();
    let restarted = camera.start();

    until_since(restarted, "the tunnel works", BACK_WITHIN, || fetch_small(&url));
    until_since(restarted, "the tunnel is said to be back", BACK_WITHIN, || {
        let state = viewer.tunnel("web").state;
        is(state == TunnelState::Reopened, state.as_str())
    });
    assert_eq!(viewer.tunnel("web").listen, before.listen);
    assert!(!download.ended(PATIENCE).success(), "half a file passed for a whole one");
}

#[test]
fn a_tunnel_comes_back_after_its_own_daemon_was_killed() {
    let net = Net::new();
    let (camera, mut viewer) = net.pair();
    let nginx = web(&net.lab);
    camera.expose(&nginx.url(), "web");
    let url = viewer.open("web");
    let before = viewer.tunnel("web");
    let mut download = download(&net.lab, &url);

    viewer.kill();
    assert!(!download.ended(PATIENCE).success(), "half a file passed for a whole one");
    let restarted = viewer.start();

    until_since(restarted, "the tunnel works", BACK_WITHIN, || fetch_small(&url));
    until_since(restarted, "the tunnel is said to be back", BACK_WITHIN, || {
        let state = viewer.tunnel("web").state;
        is(state == TunnelState::Reopened, state.as_str())
    });
    let after = viewer.tunnel("web");
    assert_eq!((&after.id, &after.listen, &after.url), (&before.id, &before.listen, &before.url));
}

#[test]
fn an_idle_tunnel_notices_that_its_exporter_was_killed_and_is_back() {
    let net = Net::new();
    let (mut camera, viewer) = net.pair();
    camera.expose(&format!("tcp://{}", serve(echo)), "service");
    let address = viewer.open_address("service");

    camera.kill();
    let restarted = camera.start();

    // Nobody uses it, so no packet of ours finds out.
    until_since(restarted, "the tunnel is said to be back", BACK_WITHIN, || {
        let state = viewer.tunnel("service").state;
        is(state == TunnelState::Reopened, state.as_str())
    });
    assert_round_trip(&mut TcpStream::connect(address).unwrap());
}

#[test]
fn tunnels_go_on_without_the_manager_and_writes_say_what_is_wrong() {
    let mut net = Net::new();
    let (camera, viewer) = net.pair();
    let target = format!("tcp://{}", serve(echo));
    camera.expose(&target, "first");
    camera.expose(&target, "second");
    let first = viewer.open_address("first");
    let mut connection = TcpStream::connect(first).unwrap();
    assert_round_trip(&mut connection);

    net.kill_manager();

    assert_round_trip(&mut connection);
    assert_round_trip(&mut TcpStream::connect(first).unwrap());
    // What was published before can still be opened, and what is known can still be read.
    assert_round_trip(&mut TcpStream::connect(viewer.open_address("second")).unwrap());
    viewer.ok(&["network", "members", HOME]);
    let told = camera.refused(&[6], &["network", "invite", HOME, "--self"]);
    assert!(told.contains("the manager at 127.0.0.1:") && told.contains("does not answer"), "{told}");
    assert!(told.contains("\nhint: "), "{told}");
    until("the status says it", PATIENCE, || {
        let manager = camera.network(HOME).manager;
        is(manager.state != ManagerLink::Online && manager.reason.is_some(), format!("{manager:?}"))
    });
    assert_round_trip(&mut connection);

    net.start_manager();
    let restarted = Instant::now();

    until_since(restarted, "the write succeeds", MANAGER_BACK_WITHIN, || {
        let ran = camera.ctl(&["network", "invite", HOME, "--self"]);
        is(ran.code == 0, ran.stderr)
    });
    for app in [&camera, &viewer] {
        until_since(restarted, "everything is online", MANAGER_BACK_WITHIN, || {
            let manager = app.network(HOME).manager;
            is(manager.state == ManagerLink::Online, format!("{manager:?}"))
        });
    }
    assert_round_trip(&mut connection);
    // The manager lost no entry, and the nodes none of theirs.
    until("both have the same ledger", PATIENCE, || {
        let (ours, theirs) = (camera.network(HOME).ledger, viewer.network(HOME).ledger);
        assert_eq!((&ours.alarm, &theirs.alarm), (&None, &None));
        is(ours == theirs, format!("{ours:?} and {theirs:?}"))
    });
}

#[test]
fn known_peers_find_each_other_while_the_manager_is_away() {
    let mut net = Net::new();
    let (mut camera, mut viewer) = net.pair();
    camera.expose(&format!("tcp://{}", serve(echo)), "service");
    let address = viewer.open_address("service");
    assert_round_trip(&mut TcpStream::connect(address).unwrap());

    net.kill_manager();
    camera.kill();
    viewer.kill();
    camera.start();
    viewer.start();

    until("the tunnel is back", PATIENCE, || {
        let tunnel = viewer.tunnel("service");
        is(tunnel.state == TunnelState::Reopened, format!("{tunnel:?}"))
    });
    assert_round_trip(&mut TcpStream::connect(address).unwrap());
}

/// A web server with a file that takes its time, and a small one.
fn web(lab: &Lab) -> Nginx {
    let nginx = Nginx::start(lab);
    nginx.zeros("large", 8 << 30);
    nginx.file("small", "all right");
    nginx
}

/// A slow download that has begun and will not end by itself.
fn download(lab: &Lab, url: &str) -> Process {
    let mut curl = command(theirs("curl"));
    let file = lab.path("large");
    curl.args(["--silent", "--show-error", "--limit-rate", "20M", &format!("{url}large"), "--output"]);
    let mut process = lab.start("curl", curl.arg(&file));
    until("the download has begun", PATIENCE, || {
        process.assert_runs();
        is(size(&file) > 1 << 20, "not a megabyte yet")
    });
    process
}

fn fetch_small(url: &str) -> Result<(), String> {
    let mut curl = command(theirs("curl"));
    curl.args(["--silent", "--show-error", "--fail", "--max-time", "2", &format!("{url}small")]);
    let ran = run(&mut curl, b"", PATIENCE);
    is(ran.stdout == "all right", ran.stderr)
}

fn assert_round_trip(connection: &mut TcpStream) {
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    connection.write_all(b"are you there").unwrap();
    let mut answer = [0; 13];
    connection.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"are you there");
}
