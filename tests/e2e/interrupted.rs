//! Whoever waits goes away: what was begun is there whole, or not at all.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use coconet::control::{Networks, Progress, Tunnels, WorkStep};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::support::net::{App, Net};
use crate::support::process::run_well;
use crate::support::programs::{command, theirs};
use crate::support::wait::{PATIENCE, is, until};

/// How far the daemon is with what somebody waits for.
fn progress(app: &App) -> Progress {
    let mut curl = command(theirs("curl"));
    curl.args(["--silent", "--show-error", "--fail", "--unix-socket"]).arg(app.socket());
    serde_json::from_str(&run_well(curl.arg("http://coco/v1/progress"))).unwrap()
}

#[test]
fn a_join_interrupted_before_the_manager_answers_has_not_happened_and_the_invite_is_as_it_was() {
    let mut net = Net::new();
    let owner = net.app("owner");
    owner.create("home", &net.address);
    let invite = owner.invite("home", &["--self"]);
    let viewer = net.app("viewer");
    net.kill_manager();
    let ctl = viewer.ctl_command(&["network", "join", &invite]);
    // A shell that is no terminal's has it ignored in what runs in the background, as this may.
    let mut join = command("/usr/bin/env");
    join.arg("--default-signal=INT").arg(ctl.get_program()).args(ctl.get_args());
    let join = join.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("the daemon tries to reach the manager", PATIENCE, || {
        is(progress(&viewer).work.iter().any(|work| work.step == WorkStep::Connecting), "it does not")
    });
    kill(Pid::from_raw(i32::try_from(join.id()).unwrap()), Signal::SIGINT).unwrap();
    let ended = join.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!((ended.status.code(), stderr.as_str()), (Some(130), "interrupted: not joined\n"));
    assert_eq!(progress(&viewer).work, []);
    net.start_manager();
    assert_eq!(viewer.json::<Networks>(&["network", "list"]).networks, []);
    viewer.join(&invite);
}

#[test]
fn a_resource_is_exposed_whole_when_nobody_waits_for_the_answer() {
    let net = Net::new();
    let owner = net.app("owner");
    owner.create("home", &net.address);
    // The daemon has asked its manager, which does not answer yet, when the one who asked the daemon leaves.
    net.manager().signal(Signal::SIGSTOP);
    let body =
        json!({"url": "tcp://127.0.0.1:9", "name": "discard", "network": null, "can": null, "login": null});
    let body = body.to_string();
    let mut asked = UnixStream::connect(owner.socket()).unwrap();
    let head = format!("POST /v1/expose HTTP/1.1\r\nhost: coco\r\ncontent-length: {}\r\n\r\n", body.len());
    asked.write_all(format!("{head}{body}").as_bytes()).unwrap();
    // Requests are taken in their order: the other one has been taken when this one is answered.
    owner.ok(&["status"]);
    drop(asked);
    owner.ok(&["status"]);
    net.manager().signal(Signal::SIGCONT);
    until("the resource is exposed", PATIENCE, || {
        let tunnels = owner.json::<Tunnels>(&["tunnel", "list"]).tunnels;
        is(tunnels.iter().any(|tunnel| tunnel.resource.as_str() == "discard"), "it is not")
    });
}
