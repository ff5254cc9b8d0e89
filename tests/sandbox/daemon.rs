//! Daemons that run: what the system says of all of their threads, and what still works.

use std::fs;
use std::os::unix::fs::MetadataExt;

use coconet::control::{SandboxState, Status};

use crate::refusal::{NOBODY, as_nobody, refuses, root};
use crate::support::net::{App, HOME, Net};
use crate::support::process::run;
use crate::support::programs::{command, ours, theirs};
use crate::support::targets::{echo, serve};
use crate::support::wait::{PATIENCE, is, until};
use crate::{all_threads_have, children, for_everybody, helper, of_nobody, without_landlock};

/// What holds of each thread of a process in the sandbox.
const LEFT: [(&str, &str); 7] = [
    ("NoNewPrivs", "1"),
    ("CapInh", "0000000000000000"),
    ("CapPrm", "0000000000000000"),
    ("CapEff", "0000000000000000"),
    ("CapAmb", "0000000000000000"),
    ("Seccomp", "2"),
    ("Seccomp_filters", "2"),
];

fn layer(status: &Status, layer: &str) -> SandboxState {
    status.sandbox.iter().find(|found| found.layer == layer).unwrap().state
}

fn no_core_file(pid: u32) {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(line.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{line}");
    // Of a process that cannot be dumped, the files here are root's: nobody else reads its memory or environment.
    assert_eq!(fs::metadata(format!("/proc/{pid}/environ")).unwrap().uid(), 0);
}

#[test]
fn all_threads_of_both_daemons_have_given_everything_up() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    camera.expose(&format!("tcp://{}", serve(echo)), "service");
    viewer.open("service");
    let pid = viewer.daemon().pid();
    assert!(crate::threads(pid).len() > 1, "the database has a thread of its own");
    all_threads_have(pid, &LEFT);
    no_core_file(pid);
    let helpers = children(pid);
    assert_eq!(helpers.len(), 2);
    for helper in helpers {
        all_threads_have(helper, &[LEFT[0], LEFT[5]]);
        no_core_file(helper);
    }
    all_threads_have(net.manager().pid(), &LEFT);
    no_core_file(net.manager().pid());
    if root() {
        // What it takes to look into other users' processes, and nothing at all.
        all_threads_have(helper(&viewer, "processes"), &[("CapPrm", "0000000000080004")]);
        all_threads_have(helper(&viewer, "names"), &LEFT);
        all_threads_have(pid, &[("CapBnd", "0000000000000000")]);
        all_threads_have(net.manager().pid(), &[("CapBnd", "0000000000000000")]);
    }

    let status: Status = viewer.json(&["status"]);
    let names: Vec<&str> = status.sandbox.iter().map(|layer| layer.layer.as_str()).collect();
    assert_eq!(names, ["privileges", "dumps", "capabilities", "files", "ports", "signals", "calls"]);
    for found in &status.sandbox {
        let expected = if found.layer == "ports" { SandboxState::Partly } else { SandboxState::InForce };
        assert_eq!((found.state, found.why.is_some()), (expected, found.layer == "ports"), "{found:?}");
    }
    let screen = viewer.ok(&["status"]);
    assert!(screen.contains("sandbox   privileges dumps capabilities files signals calls\n"), "{screen}");
    assert!(screen.contains("ports partly: any port above 1023"), "{screen}");
}

#[test]
fn a_kernel_without_a_layer_is_warned_of_and_the_daemon_serves() {
    let net = Net::new();
    let state = net.lab.path("old");
    let mut cocod = without_landlock(ours("cocod"));
    cocod.args(["--app", "old", "--state"]).arg(&state);
    let mut daemon = net.lab.start("old", &cocod);
    let socket = state.join("control.sock");
    let mut answer = String::new();
    until("it answers", PATIENCE, || {
        daemon.assert_runs();
        let mut ctl = command(ours("cococtl"));
        let ran = run(ctl.arg("--socket").arg(&socket).args(["--json", "status"]), b"", PATIENCE);
        answer = ran.stdout;
        is(ran.code == 0, ran.stderr)
    });
    let status: Status = serde_json::from_str(&answer).unwrap();
    for name in ["files", "ports", "signals"] {
        let expected = if name == "ports" { SandboxState::Partly } else { SandboxState::Missing };
        assert_eq!(layer(&status, name), expected);
    }
    assert_eq!(layer(&status, "calls"), SandboxState::InForce);
    let log = net.lab.log("old");
    let warned = log.lines().find(|line| line.contains("WARN") && line.contains("layer=files"));
    assert!(warned.is_some_and(|line| line.contains("this kernel has no Landlock")), "{log}");
}

/// Start a daemon again, with a configuration of its own.
fn configured(app: &mut App, config: &str) {
    app.kill();
    app.configure(&format!("[lan]\ndiscovery = false\n{config}"));
    app.start();
    app.wait_online();
}

#[test]
fn tunnels_listen_where_the_configuration_lets_them_and_where_they_did_before() {
    let net = Net::new();
    let (camera, mut viewer) = net.pair();
    let target = format!("tcp://{}", serve(echo));
    for name in ["one", "two", "three", "four"] {
        camera.expose(&target, name);
    }
    let ports: Vec<u16> = {
        let free = [0; 3].map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        free.iter().map(|socket| socket.local_addr().unwrap().port()).collect()
    };
    let at = |port: u16| format!("127.0.0.1:{port}");
    viewer.ok(&["tunnel", "open", "one", "--listen", &at(ports[0])]);
    configured(&mut viewer, &format!("[tunnel]\nports = [\"{}\"]\n", ports[1]));

    let told = refuses(&viewer, 1, &["tunnel", "open", "two", "--listen", &at(ports[2])]);
    assert!(told.contains("ermission denied") && told.contains("tunnel.ports"), "{told}");
    viewer.ok(&["tunnel", "open", "three", "--listen", &at(ports[1])]);
    viewer.ok(&["tunnel", "open", "four"]);
    assert_eq!(viewer.tunnel("one").listen, Some(at(ports[0])));
    until("the one of before works", PATIENCE, || {
        let tunnel = viewer.tunnel("one");
        is(tunnel.reason.is_none(), format!("{tunnel:?}"))
    });
    let status: Status = viewer.json(&["status"]);
    let why = status.sandbox.iter().find(|found| found.layer == "ports").unwrap().why.clone();
    assert_eq!(why.as_deref(), Some("any address can be connected to"));
}

#[test]
fn another_program_of_the_same_user_reads_neither_memory_nor_environment() {
    if !root() {
        return;
    }
    let net = Net::new();
    let (cocod, state) = (for_everybody(&net.lab, "cocod"), of_nobody(&net.lab, "state"));
    for off in [false, true] {
        let config = net.lab.path("cocod.toml");
        let off_layers = if off { "off = [\"dumps\"]" } else { "" };
        fs::write(&config, format!("[lan]\ndiscovery = false\n[sandbox]\n{off_layers}\n")).unwrap();
        let mut command = as_nobody(&cocod);
        command.args(["--app", "test", "--state"]).arg(&state).arg("--config").arg(&config);
        command.env("https_proxy", "http://user:sesame@127.0.0.1:1");
        let daemon = net.lab.start("nobody", &command);
        until("it listens", PATIENCE, || is(state.join("control.sock").exists(), "no socket"));
        let pid = daemon.pid();
        // It is in the sandbox by the time it answers.
        until("it answers", PATIENCE, || {
            let mut ctl = crate::support::programs::command(ours("cococtl"));
            let ran = run(ctl.arg("--socket").arg(state.join("control.sock")).arg("status"), b"", PATIENCE);
            is(ran.code == 0, ran.stderr)
        });
        for file in ["environ", "maps"] {
            let mut cat = as_nobody(theirs("cat"));
            let ran = run(cat.arg(format!("/proc/{pid}/{file}")), b"", PATIENCE);
            assert_eq!(ran.code == 0, off, "{file}, off: {off}: {}", ran.stderr);
        }
        // What the lookup processes have is less still.
        for helper in children(pid) {
            let environment = fs::read(format!("/proc/{helper}/environ")).unwrap();
            assert!(!String::from_utf8_lossy(&environment).contains("sesame"), "a helper has the password");
        }
        drop(daemon);
        fs::remove_file(state.join("control.sock")).unwrap();
    }
    assert_eq!(fs::metadata(&state).unwrap().uid(), NOBODY);
}

#[test]
fn nothing_in_a_log_acts_on_the_terminal_of_who_reads_it() {
    let lab = crate::support::net::Lab::apart();
    let state = lab.path("evil\u{1b}[2J\u{202e}\nINFO forged");
    let mut cocod = command(ours("cocod"));
    cocod.args(["--app", "evil", "--state"]).arg(&state).arg("--socket").arg(lab.path("evil.sock"));
    let mut daemon = lab.start("evil", &cocod);
    until("it is ready", PATIENCE, || {
        daemon.assert_runs();
        let log = lab.log("evil");
        is(log.contains("ready"), log)
    });
    let log = lab.log("evil");
    let ready = log.lines().find(|line| line.contains("ready")).unwrap();
    assert!(ready.contains("evil[2J INFO forged"), "{ready:?}");
    assert!(!log.contains(['\u{1b}', '\u{202e}']), "{log:?}");
    // And the last words of one that does not start.
    let mut cocod = command(ours("cocod"));
    cocod.args(["--app", "evil", "--state"]).arg(&state).arg("--socket").arg(lab.path("other.sock"));
    let ran = run(&mut cocod, b"", PATIENCE);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.starts_with("error: another daemon uses"), "{}", ran.stderr);
    assert!(!ran.stderr.contains(['\u{1b}', '\u{202e}']), "{:?}", ran.stderr);
}

#[test]
fn a_daemon_without_a_sandbox_says_so() {
    let net = Net::new();
    let mut camera = net.app("camera");
    camera.create(HOME, &net.address);
    configured(&mut camera, "[sandbox]\nenabled = false\n");
    let status: Status = camera.json(&["status"]);
    assert!(status.sandbox.iter().all(|layer| layer.state == SandboxState::Off), "{:?}", status.sandbox);
    assert!(camera.ok(&["status"]).contains("sandbox   none\n"));
    assert!(children(camera.daemon().pid()).is_empty(), "nobody to ask for what it can see itself");
}
