//! `cocod --sandbox-check` and `coco-manager check --sandbox` try to get out; the layers are what stops them.

use std::fs;
use std::path::Path;
use std::process::Command;

use coco_sandbox::Layer;

use crate::refusal::{as_nobody, refusal, root};
use crate::support::net::Lab;
use crate::support::process::{Ran, run};
use crate::support::programs::{command, ours};
use crate::support::wait::PATIENCE;
use crate::{for_everybody, of_nobody, without_landlock};

/// A configuration with these layers off, and few ports.
fn config(lab: &Lab, name: &str, off: &[&str]) -> std::path::PathBuf {
    let path = lab.path(name);
    fs::write(&path, format!("[tunnel]\nports = [\"8554\"]\n[sandbox]\noff = {off:?}\n")).unwrap();
    path
}

fn check(mut cocod: Command, state: &Path, config: &Path) -> Ran {
    cocod.args(["--sandbox-check", "--state"]).arg(state).arg("--config").arg(config);
    run(&mut cocod, b"", PATIENCE)
}

/// What it says has succeeded.
fn succeeded(ran: &Ran) -> Vec<&str> {
    ran.stdout.lines().filter_map(|line| line.strip_prefix("SUCCEEDED")).map(str::trim).collect()
}

fn nothing_succeeds(ran: &Ran) {
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);
    assert!(succeeded(ran).is_empty(), "{}", ran.stdout);
    let refused = ran.stdout.lines().filter(|line| line.starts_with("refused")).count();
    assert!(refused >= 11 && !ran.stdout.contains("not tried"), "{}", ran.stdout);
}

#[test]
fn nobody_gets_out_as_this_user() {
    let lab = Lab::apart();
    let state = lab.path("state");
    fs::create_dir(&state).unwrap();
    nothing_succeeds(&check(command(ours("cocod")), &state, &config(&lab, "cocod.toml", &[])));
    assert_eq!(fs::read_dir(&state).unwrap().count(), 0, "the check made something");
}

#[test]
fn nobody_gets_out_as_an_ordinary_user() {
    if !root() {
        return;
    }
    let lab = Lab::apart();
    let state = of_nobody(&lab, "state");
    let cocod = for_everybody(&lab, "cocod");
    nothing_succeeds(&check(as_nobody(cocod), &state, &config(&lab, "cocod.toml", &[])));
}

/// Each layer off by itself, and what can then be done that could not before.
#[test]
fn each_layer_stops_something_by_itself() {
    let lab = Lab::apart();
    let state = lab.path("state");
    fs::create_dir(&state).unwrap();
    for (layer, expected) in [
        (Layer::Dumps, ["core file"].as_slice()),
        (Layer::Capabilities, if root() { &["capability"] } else { &[] }),
        (Layer::Files, &["read /etc/passwd", "write /"]),
        (Layer::Ports, &["listen on TCP port"]),
        (Layer::Signals, &["signal the process"]),
        (Layer::Calls, &["namespace", "be traced"]),
        // And with it all that the kernel wants it for.
        (Layer::Privileges, &["setuid", "read /etc/passwd", "execute", "listen", "signal", "namespace"]),
    ] {
        let config = config(&lab, "cocod.toml", &[layer.as_str()]);
        let ran = check(command(ours("cocod")), &state, &config);
        let found = succeeded(&ran);
        for what in expected {
            assert!(found.iter().any(|found| found.contains(what)), "{layer} off: {what}? {}", ran.stdout);
        }
        assert_eq!(ran.code, i32::from(!expected.is_empty()), "{layer} off: {}", ran.stdout);
        assert!(ran.stdout.contains(&format!("{layer:<13} off\n")), "{}", ran.stdout);
        if layer != Layer::Privileges {
            let others = found.iter().filter(|found| !expected.iter().any(|what| found.contains(what)));
            let others: Vec<_> = others.collect();
            let shadow = |what: &&&str| layer == Layer::Files && what.contains("/etc/shadow");
            assert!(others.iter().all(shadow), "{layer} off: {others:?}");
        }
    }
}

#[test]
fn a_check_that_finds_a_hole_says_which() {
    let lab = Lab::apart();
    let state = lab.path("state");
    let mut cocod = command(ours("cocod"));
    let config = config(&lab, "cocod.toml", &["files"]);
    cocod.args(["--sandbox-check", "--state"]).arg(&state).arg("--config").arg(&config);
    let ran = run(&mut cocod, b"", PATIENCE);
    assert!(ran.stderr.starts_with("error: the sandbox lets through: read /etc/"), "{}", ran.stderr);
    // A layer with another name is a mistake, not a silent default.
    fs::write(&config, "[sandbox]\noff = [\"seccomp\"]\n").unwrap();
    let mut cocod = command(ours("cocod"));
    let told = refusal(cocod.arg("--check").arg("--config").arg(&config), 78);
    assert!(told.contains("a layer is privileges, dumps"), "{told}");
}

#[test]
fn what_a_kernel_lacks_is_named() {
    let lab = Lab::apart();
    let state = lab.path("state");
    let ran = check(without_landlock(ours("cocod")), &state, &config(&lab, "cocod.toml", &[]));
    assert_eq!(ran.code, 1, "{}", ran.stdout);
    for line in ["files         missing: this kernel has no Landlock", "ports         missing: this kernel"] {
        assert!(ran.stdout.contains(line), "{}", ran.stdout);
    }
    assert!(ran.stdout.contains("calls         in-force\n"), "{}", ran.stdout);
}

#[test]
fn nobody_gets_out_of_a_manager() {
    let lab = Lab::apart();
    let state = lab.path("manager");
    let mut init = command(ours("coco-manager"));
    init.arg("init").arg("--state").arg(&state).args(["--listen", "127.0.0.1:4433", "--public", "h:4433"]);
    assert_eq!(run(&mut init, b"", PATIENCE).code, 0);
    let mut check = command(ours("coco-manager"));
    let ran = run(check.args(["check", "--sandbox", "--state"]).arg(&state), b"", PATIENCE);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    for line in ["files         in-force", "ports         in-force", "refused    connect to a TCP port"] {
        assert!(ran.stdout.contains(line), "{}", ran.stdout);
    }
    assert!(ran.stdout.ends_with("ok\n"), "{}", ran.stdout);
}
