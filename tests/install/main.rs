//! `make install` and `make uninstall`, below a directory of the test's own.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[allow(dead_code, reason = "each test program uses its part of it")]
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use support::net::Lab;
use support::process::{Ran, run};
use support::programs::{command, ours, source, theirs};
use support::wait::PATIENCE;

const PREFIX: &str = "/opt/coco";

fn make(lab: &Lab, target: &str, bin: &Path) -> Ran {
    let mut make = command(theirs("make"));
    make.current_dir(source("")).arg("--no-print-directory").arg(target);
    make.arg(format!("PREFIX={PREFIX}")).arg(format!("DESTDIR={}", lab.path("root").display()));
    // What an outer make has told its children is not meant for this one.
    make.env_remove("MAKEFLAGS").env_remove("MAKELEVEL").env("BIN", bin);
    run(&mut make, b"", PATIENCE)
}

/// Installed, and where.
fn installed() -> (std::rc::Rc<Lab>, PathBuf) {
    let lab = Lab::apart();
    let ran = make(&lab, "install", ours("cocod").parent().unwrap());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let root = lab.path("root");
    (lab, root)
}

/// The files below `dir`, from there.
fn files(dir: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                dirs.push(entry.path());
            } else {
                found.insert(entry.path().strip_prefix(dir).unwrap().to_owned());
            }
        }
    }
    found
}

#[test]
fn everything_a_user_needs_is_below_the_prefix_and_nothing_is_elsewhere() {
    let (_lab, root) = installed();
    let found = files(&root);
    let below = root.join(PREFIX.trim_start_matches('/'));
    let here = files(&below);
    assert_eq!(found.len(), here.len(), "{found:?}");
    for program in ["cocod", "cococtl", "coco-manager"] {
        let program = below.join("bin").join(program);
        assert_eq!(fs::metadata(&program).unwrap().permissions().mode() & 0o777, 0o755);
        assert_eq!(run(command(&program).arg("--version"), b"", PATIENCE).code, 0);
    }
    let mut pages = 0;
    for page in fs::read_dir(source("man")).unwrap() {
        let name = page.unwrap().file_name().into_string().unwrap();
        let section = name.rsplit_once('.').unwrap().1;
        assert!(here.contains(Path::new(&format!("share/man/man{section}/{name}"))), "{name}");
        pages += 1;
    }
    assert!(pages >= 3);
    for place in [
        "share/bash-completion/completions/cococtl",
        "share/zsh/site-functions/_cococtl",
        "share/fish/vendor_completions.d/cococtl.fish",
        "share/doc/cocod/config.example.toml",
        "share/doc/cocod/network.example.toml",
        "share/doc/cocod/README.md",
        "share/doc/cocod/docs/nat-matrix.md",
        "share/doc/coco-manager/LICENSE-MIT",
    ] {
        assert!(here.contains(Path::new(place)), "{place} is missing: {here:?}");
    }
}

#[test]
fn the_units_start_the_installed_programs() {
    let (_lab, root) = installed();
    let units = root.join("opt/coco/lib/systemd");
    for (unit, program) in [
        ("system/cocod@.service", "cocod"),
        ("user/cocod@.service", "cocod"),
        ("system/coco-manager.service", "coco-manager"),
    ] {
        let text = fs::read_to_string(units.join(unit)).unwrap();
        assert!(text.contains(&format!("ExecStart={PREFIX}/bin/{program} ")), "{unit}: {text}");
        assert!(!text.contains("/usr/local"), "{unit}: {text}");
    }
    for unit in ["system/cocod@.socket", "user/cocod@.socket"] {
        assert!(units.join(unit).is_file(), "{unit}");
    }
}

#[test]
fn what_was_installed_is_taken_away_and_nothing_else() {
    let (lab, root) = installed();
    let others = root.join("opt/coco/share/doc/somebody-else");
    fs::create_dir(&others).unwrap();
    fs::write(others.join("README"), "x").unwrap();
    let ran = make(&lab, "uninstall", ours("cocod").parent().unwrap());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(
        files(&root).into_iter().collect::<Vec<_>>(),
        [Path::new("opt/coco/share/doc/somebody-else/README")]
    );
    // Directories with our name would be noticed.
    assert!(!root.join("opt/coco/share/doc/cocod").exists());
}

#[test]
fn what_was_not_built_is_said_with_the_command_that_builds_it() {
    let lab = Lab::apart();
    let ran = make(&lab, "install", &lab.path("nothing"));
    assert_ne!(ran.code, 0);
    assert!(ran.stderr.contains("error: there is no "), "{}", ran.stderr);
    assert!(ran.stderr.contains("hint: run: make release"), "{}", ran.stderr);
    assert!(!lab.path("root").join("opt").exists(), "half of it was put");
}
