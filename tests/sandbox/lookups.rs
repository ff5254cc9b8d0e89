//! What the sandbox hides, and the daemon's lookup processes see.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use coconet::control::{SandboxState, Status};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::refusal::{as_nobody, root};
use crate::support::net::Net;
use crate::support::process::run;
use crate::support::programs::theirs;
use crate::support::targets::{echo, serve};
use crate::support::wait::{PATIENCE, is, until};
use crate::{children, helper};

fn echoes(address: SocketAddr) -> bool {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = [0; 5];
    stream.write_all(b"hello").and_then(|()| stream.read_exact(&mut answer)).is_ok() && &answer == b"hello"
}

#[test]
fn a_target_is_found_by_its_name() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let port = serve(echo).port();
    camera.expose(&format!("tcp://localhost:{port}"), "service");
    assert!(echoes(viewer.open_address("service")));
    // A name that does not exist is said to be that.
    let told = camera.ctl(&["tunnel", "expose", "tcp://no-such-host.invalid:1", "--name", "none"]);
    assert_eq!(told.code, 0, "{}", told.stderr);
    let reason = camera.tunnel("none").reason.unwrap();
    assert!(reason.contains("lookup"), "{reason}");
}

#[test]
fn programs_and_users_are_known_by_name_from_inside_the_sandbox() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    camera.expose(&format!("tcp://{}", serve(echo)), "service");
    let this = std::env::current_exe().unwrap();
    let program = format!("exe:{}", this.display());
    for (allow, lets) in [
        (program.as_str(), true),
        ("exe:/usr/bin/ffplay", false),
        ("uid:nobody", false),
        ("uid:no-such-user-here", false),
        ("unit:no-such.service", false),
    ] {
        let listen = viewer.ok(&["tunnel", "open", "service", "--allow", allow]);
        let address = listen.trim_start_matches("tcp://").parse().unwrap();
        assert_eq!(echoes(address), lets, "{allow}");
        assert_eq!(viewer.tunnel("service").refused, u64::from(!lets), "{allow}");
        viewer.ok(&["tunnel", "close", "service"]);
    }
}

#[test]
fn roots_daemon_knows_the_programs_of_other_users() {
    if !root() {
        return;
    }
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let page = serve(|mut stream| {
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    });
    camera.expose(&format!("tcp://{page}"), "page");
    let curl = theirs("curl").canonicalize().unwrap();
    let program = format!("exe:{}", curl.display());
    for (allow, lets) in
        [(program.as_str(), true), ("uid:nobody", true), ("gid:nogroup", true), ("gid:tty", false)]
    {
        let url = viewer.ok(&["tunnel", "open", "page", "--allow", allow]).replace("tcp://", "http://");
        let mut command = as_nobody(&curl);
        command.args(["--silent", "--max-time", "10", "--output", "/dev/null"]).arg(&url);
        assert_eq!(run(&mut command, b"", PATIENCE).code == 0, lets, "{allow}");
        viewer.ok(&["tunnel", "close", "page"]);
    }
}

#[test]
fn lookup_processes_end_with_the_daemon_and_not_before() {
    let net = Net::new();
    let mut camera = net.app("camera");
    let helpers = children(camera.daemon().pid());
    assert_eq!(helpers.len(), 2);
    for helper in &helpers {
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            kill(Pid::from_raw(i32::try_from(*helper).unwrap()), signal).unwrap();
        }
    }
    let status: Status = camera.json(&["status"]);
    assert!(status.sandbox.iter().all(|layer| layer.layer != "lookups"));
    assert_eq!(children(camera.daemon().pid()), helpers);
    camera.kill();
    until("the helpers have ended", PATIENCE, || {
        let alive = |pid: &&u32| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            !status.is_empty() && !status.contains("State:\tZ")
        };
        is(!helpers.iter().any(|pid| alive(&pid)), "one of them runs")
    });
}

#[test]
fn a_lookup_process_that_is_gone_is_told_of_and_lets_nobody_in() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    camera.expose(&format!("tcp://{}", serve(echo)), "service");
    let program = format!("exe:{}", std::env::current_exe().unwrap().display());
    let listen = viewer.ok(&["tunnel", "open", "service", "--allow", &program]);
    let address = listen.trim_start_matches("tcp://").parse().unwrap();
    assert!(echoes(address));
    kill(Pid::from_raw(i32::try_from(helper(&viewer, "processes")).unwrap()), Signal::SIGKILL).unwrap();
    until("the status says so", PATIENCE, || {
        let status: Status = viewer.json(&["status"]);
        let found = status.sandbox.iter().find(|layer| layer.layer == "lookups");
        is(found.is_some_and(|layer| layer.state == SandboxState::Missing), format!("{:?}", status.sandbox))
    });
    assert!(!echoes(address), "somebody who is not known was let in");
    // What needs no lookup goes on.
    viewer.ok(&["ping", "camera", "--count", "1"]);
}
