//! A network made and unmade by a shell script, as a sysadmin would.

use std::fs;

use crate::support::net::Net;
use crate::support::process::run_well;
use crate::support::programs::{command, ours, source, theirs};

#[test]
fn a_shell_script_builds_a_network_and_takes_it_down_again() {
    let net = Net::new();
    theirs("jq");
    let apps: Vec<_> =
        ["owner", "admin", "gina", "hugo", "door", "garden", "roof"].map(|name| net.app(name)).into();
    let sockets = apps[0].socket().parent().unwrap().to_owned();
    let mut script = command("/bin/sh");
    script.arg(source("tests/membership/network.sh"));
    script.env("COCOCTL", ours("cococtl")).env("SOCKETS", &sockets).env("MANAGER", &net.address);
    let told = run_well(&mut script);
    assert!(told.ends_with("all done\n"), "{told}");
}

#[test]
fn applying_a_file_twice_changes_nothing_the_second_time() {
    let net = Net::new();
    let (owner, gina) = (net.app("owner"), net.app("gina"));
    owner.create("home", &net.address);
    gina.join(&owner.invite("home", &["--user", "gina", "--role", "guest"]));
    owner.expose("tcp://127.0.0.1:9", "service");
    let file = net.lab.path("home.toml");
    let text = "network = \"home\"\n\n[users]\ngina = \"guest\"\n\n[[grants]]\nuser = \"gina\"\nresource = \"service\"\n\
                can = [\"connect\"]\nwhen = \"Tue,Fri 09:00-12:00 Europe/Berlin\"\n";
    fs::write(&file, text).unwrap();
    let apply = ["network", "apply", file.to_str().unwrap()];
    let would = owner.ctl(&[&apply[..], &["--dry-run"]].concat());
    assert_eq!(would.code, 9, "{}{}", would.stdout, would.stderr);
    assert!(would.stdout.contains("+ grant"), "{}", would.stdout);
    assert!(owner.ok(&apply).contains("+ grant"));
    assert_eq!(owner.ok(&apply), "no changes");
    assert_eq!(owner.ctl(&[&apply[..], &["--dry-run"]].concat()).code, 0);
    assert!(owner.ok(&["network", "grants", "home"]).contains("Tue,Fri 09:00-12:00 Europe/Berlin"));
}
