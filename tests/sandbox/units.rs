//! The shipped units: how exposed systemd finds them, and that the daemons run under what they leave.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use coconet::control::{SandboxState, Status};
use nix::sys::signal::Signal;

use crate::refusal::{as_nobody, root};
use crate::support::net::{Lab, Net, free_port};
use crate::support::process::run;
use crate::support::programs::{PYTHON, command, ours, source, theirs};
use crate::support::wait::{PATIENCE, is, until};
use crate::{for_everybody, of_nobody};

/// The services.
const SERVICES: [&str; 3] = ["cocod@.service", "user/cocod@.service", "coco-manager.service"];

/// Above this they are too exposed.
const EXPOSURE_MAX: f64 = 2.0;

fn units() -> PathBuf {
    source("contrib/systemd")
}

#[test]
fn the_services_are_hardly_exposed() {
    for service in SERVICES {
        let mut analyze = command(theirs("systemd-analyze"));
        analyze
            .args(["security", "--offline=true", "--no-pager", "--threshold=20"])
            .arg(units().join(service));
        let ran = run(&mut analyze, b"", PATIENCE);
        let overall = ran.stdout.lines().find(|line| line.contains("Overall exposure level")).unwrap();
        let score = overall.rsplit_once(": ").unwrap().1.split_whitespace().next().unwrap();
        assert!(score.parse::<f64>().unwrap() <= EXPOSURE_MAX, "{service}: {overall}");
        assert_eq!(ran.code, 0, "{service}: {}", ran.stdout);
    }
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    let lab = Lab::apart();
    for (manager, names) in [
        ("--system", ["cocod@.service", "cocod@.socket", "coco-manager.service"].as_slice()),
        ("--user", &["user/cocod@.service", "user/cocod@.socket"]),
    ] {
        // With our programs where they are, and instances of the templates.
        let dir = lab.path(manager.trim_start_matches('-'));
        fs::create_dir(&dir).unwrap();
        let mut analyze = command(theirs("systemd-analyze"));
        analyze.args(["verify", "--man=no", "--recursive-errors=no", manager]);
        let bin = ours("cocod");
        for name in names {
            let text = fs::read_to_string(units().join(name)).unwrap();
            let text = text.replace("/usr/local/bin", bin.parent().unwrap().to_str().unwrap());
            let file = Path::new(name).file_name().unwrap().to_str().unwrap();
            fs::write(dir.join(file), text).unwrap();
        }
        for name in names {
            let file = Path::new(name).file_name().unwrap().to_str().unwrap();
            analyze.arg(dir.join(file.replace("@.", "@camera.")));
        }
        analyze.env("SYSTEMD_UNIT_PATH", format!("{}:", dir.display())).env("XDG_RUNTIME_DIR", &dir);
        let ran = run(&mut analyze, b"", PATIENCE);
        let ours: Vec<&str> = ran.stderr.lines().filter(|line| line.contains("coco")).collect();
        assert!(ours.is_empty(), "{manager}: {}", ran.stderr);
    }
}

#[test]
fn the_daemon_serves_on_the_socket_that_systemd_made() {
    let lab = Lab::apart();
    let (state, socket) = (lab.path("state"), lab.path("control.sock"));
    let mut activate = command(theirs("systemd-socket-activate"));
    activate.arg("--listen").arg(&socket).args(["--fdname", "control"]).arg(ours("cocod"));
    activate.args(["--app", "camera", "--state"]).arg(&state).arg("--socket").arg(&socket);
    let mut daemon = lab.start("camera", &activate);
    until("systemd listens", PATIENCE, || is(socket.exists(), "no socket"));
    // The first one who connects starts it.
    let ctl = |words: &[&str]| {
        let mut ctl = command(ours("cococtl"));
        run(ctl.arg("--socket").arg(&socket).args(words), b"", PATIENCE)
    };
    let ran = ctl(&["--json", "status"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let status: Status = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(status.pid, daemon.pid());
    // It is systemd's: it stays where it is when the daemon ends.
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.ended(PATIENCE).code(), Some(0));
    assert!(socket.exists(), "the daemon removed a socket that was not its own");
}

#[test]
fn another_kind_of_socket_is_refused() {
    let lab = Lab::apart();
    let listen = format!("127.0.0.1:{}", free_port());
    let mut activate = command(theirs("systemd-socket-activate"));
    activate.args(["--listen", &listen]).arg(ours("cocod"));
    activate.args(["--app", "camera", "--state"]).arg(lab.path("state"));
    let mut daemon = lab.start("tcp", &activate);
    until("systemd listens", PATIENCE, || {
        is(std::net::TcpStream::connect(&listen).is_ok(), "nobody listens")
    });
    assert_eq!(daemon.ended(PATIENCE).code(), Some(1));
    assert!(lab.log("tcp").contains("error: "), "{}", lab.log("tcp"));
}

/// `program` under the filters of a unit, which systemd as process 1 would install; as an ordinary user, as
/// all units have it.
fn filtered(lab: &Lab, unit: &str, program: &str) -> Command {
    let (script, filters) = (lab.path("filtered.py"), lab.path("unit"));
    fs::copy(source("tests/sandbox/filtered.py"), &script).unwrap();
    fs::copy(units().join(unit), &filters).unwrap();
    let mut filtered = if root() { as_nobody(PYTHON) } else { command(PYTHON) };
    filtered.arg(script).arg("--unit").arg(filters).arg("--").arg(for_everybody(lab, program));
    filtered
}

/// A state directory for it.
fn state(lab: &Lab, name: &str) -> PathBuf {
    if root() { of_nobody(lab, name) } else { lab.path(name) }
}

#[test]
fn the_daemon_runs_under_the_filters_of_its_units() {
    let net = Net::new();
    for unit in ["cocod@.service", "user/cocod@.service"] {
        let name = unit.replace(['/', '@', '.'], "-");
        let state = state(&net.lab, &name);
        let socket = state.join("control.sock");
        let mut cocod = filtered(&net.lab, unit, "cocod");
        let mut daemon = net.lab.start(&name, cocod.args(["--app", "camera", "--state"]).arg(&state));
        let ctl = |words: &[&str]| {
            let mut ctl = command(ours("cococtl"));
            run(ctl.arg("--socket").arg(&socket).args(words), b"", PATIENCE)
        };
        until("it answers", PATIENCE, || {
            daemon.assert_runs();
            let ran = ctl(&["status"]);
            is(ran.code == 0, ran.stderr)
        });
        let ran = ctl(&["network", "create", "home", "--manager", &net.address]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert_eq!(ctl(&["wait", "--online", "--timeout", "30s"]).code, 0);
        let expose = ["tunnel", "expose", "tcp://localhost:1", "--name", "service"];
        assert_eq!(ctl(&expose).code, 0);
        let status: Status = serde_json::from_str(&ctl(&["--json", "status"]).stdout).unwrap();
        let in_force = |state| matches!(state, SandboxState::InForce | SandboxState::Partly);
        assert!(status.sandbox.iter().all(|layer| in_force(layer.state)), "{unit}: {:?}", status.sandbox);
        let reason = status.tunnels[0].reason.clone().unwrap_or_default();
        assert!(reason.contains("refused"), "the name was not looked up: {reason}");
    }
}

#[test]
fn the_manager_runs_under_the_filters_of_its_unit() {
    let lab = Lab::apart();
    let state = state(&lab, "manager");
    let mut init = filtered(&lab, "coco-manager.service", "coco-manager");
    init.arg("init").arg("--state").arg(&state).args(["--listen", "127.0.0.1:0", "--public", "h:4433"]);
    let ran = run(&mut init, b"", PATIENCE);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let mut manager = filtered(&lab, "coco-manager.service", "coco-manager");
    manager.args(["run", "--state"]).arg(&state).env("COCO_LOG", "debug");
    let mut manager = lab.start("filtered", &manager);
    until("the manager serves", PATIENCE, || {
        manager.assert_runs();
        let log = lab.log("filtered");
        is(log.contains("serving"), log)
    });
    let log = lab.log("filtered");
    assert_eq!(log.lines().filter(|line| line.contains("state=\"in-force\"")).count(), 7, "{log}");
}
