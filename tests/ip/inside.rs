//! `cococtl run --ip`: an interface for one program, and for nobody else.

use std::sync::Arc;

use coco_lab::Site;

use crate::house::{House, address, facts, on, pinged};
use crate::support::net::{App, HOME};
use crate::support::process::run;
use crate::support::programs::{clean, ours, theirs};
use crate::support::wait::{PATIENCE, is, until};

/// Somewhere else; nobody is there.
const ELSEWHERE: &str = "203.0.113.7";

/// A laptop that has joined.
fn laptop(house: &House) -> App {
    let host = Arc::new(house.world.internet.site(Site::open()).host("laptop"));
    let laptop = App::on(&house.world.lab, "laptop", &host);
    laptop.join(&house.boat.invite(HOME, &["--self"]));
    laptop
}

#[test]
fn what_a_program_sends_elsewhere_is_not_seen_outside() {
    let house = House::new();
    let laptop = laptop(&house);
    let mut tcpdump = clean(laptop.host().command(theirs("tcpdump").to_str().unwrap()));
    tcpdump.args(["-i", "any", "-n", "-l", "--immediate-mode", "host", ELSEWHERE, "or", "port", "53"]);
    let _capture = house.world.lab.start("capture", &tcpdump);
    let captured = || std::fs::read_to_string(house.world.lab.path("capture.out")).unwrap_or_default();
    until("packets are captured", PATIENCE, || {
        is(house.world.lab.log("capture").contains("listening on"), "not yet")
    });
    let url = |port: u16| format!("http://{ELSEWHERE}:{port}/");
    let seen = |port: u16| captured().contains(&format!("{ELSEWHERE}.{port}:"));
    on(laptop.host(), "curl", &["--silent", "--max-time", "0.2", &url(81)]);
    until("what goes there from outside is seen", PATIENCE, || is(seen(81), captured()));

    for mode in [&["run", HOME][..], &["run", "--ip", HOME]] {
        let inside = |words: &[&str]| {
            let mut ctl = clean(laptop.host().command(ours("cococtl").to_str().unwrap()));
            ctl.arg("--socket").arg(laptop.socket()).args(mode).arg("--").args(words);
            run(&mut ctl, b"", PATIENCE * 2)
        };
        let ran = inside(&["curl", "--silent", "--max-time", "20", &url(82)]);
        assert_eq!(ran.code, 7, "no way there, at once: {}", ran.stderr);
        let ran = inside(&["curl", "--silent", "--max-time", "20", "http://bank.example/"]);
        assert_eq!(ran.code, 6, "no such name, at once: {}", ran.stderr);
    }
    on(laptop.host(), "curl", &["--silent", "--max-time", "0.2", &url(83)]);
    until("what went last is seen", PATIENCE, || is(seen(83), captured()));
    assert!(!seen(82) && !captured().contains("bank"), "{}", captured());
}

#[test]
fn a_program_reaches_a_node_by_its_name_and_nobody_reaches_the_program() {
    let house = House::new();
    let laptop = laptop(&house);
    let boat = address(&house.boat);
    let said = laptop.ok(&["run", "--ip", HOME, "--", "getent", "ahosts", "boat-ip.home.coco"]);
    assert!(said.starts_with(&boat.to_string()), "{said}");
    let words = ["run", "--ip", HOME, "--", "ping", "-n", "-c", "3", "-i", "0.2", "boat-ip.home.coco"];
    let said = laptop.ok(&words);
    assert!(said.contains("3 received"), "{said}");
    // Nothing of the run is left, and nothing went by the machine's own network.
    assert_eq!(laptop.network(HOME).ip.and_then(|ip| ip.interface), None);
    let own = coconet::address::of(
        laptop.network(HOME).id.parse().unwrap(),
        laptop.network(HOME).node.id.parse().unwrap(),
    );
    let (received, told) = pinged(&house.desk, own, "56", "1");
    assert_eq!(received, 0, "{told}");
    assert!(facts(&house.boat).packets_in >= 3);
}

#[test]
fn a_node_has_its_packets_in_one_place_at_a_time() {
    let house = House::new();
    let refused = house.desk.refused(&[1], &["run", "--ip", HOME, "--", "true"]);
    assert!(refused.contains("coco-desk"), "{refused}");
}
