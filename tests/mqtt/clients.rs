//! Another library, and messages that are larger than anybody wants to hold.

use crate::house::{House, publish};
use crate::support::bytes::{noise_file, sha256_of};
use crate::support::process::{Process, run_well};
use crate::support::programs::{command, python, source, theirs};
use crate::support::wait::{PATIENCE, is, until};
use crate::support::{net::Net, targets::Mosquitto};

/// A message that is not held fits many times into what the exporter may grow by.
const LARGE: u64 = 48 << 20;
const GROWTH: u64 = 24 << 20;

#[test]
fn paho_gets_what_its_grant_names_and_the_rest_denied() {
    let (house, port) = House::new(&["publish:door/#", "subscribe:door/+", "subscribe:sensors/+/temp"]);
    for version in ["3", "4", "5"] {
        let mut script = command(python("paho.mqtt.client", "python3-paho-mqtt"));
        script.arg(source("tests/mqtt/paho_client.py"));
        let said = run_well(script.args([&port.to_string(), &house.mosquitto.port.to_string(), version]));
        assert_eq!(said, "all as it should be\n", "version {version}");
    }
    let denied = house.facts().denied;
    assert_eq!((denied.publish, denied.subscribe, denied.connect), (9, 6, 3));
}

#[test]
fn a_large_message_is_streamed_and_not_held() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let mosquitto = Mosquitto::start(&net.lab);
    camera.expose(&format!("mqtt://127.0.0.1:{}", mosquitto.port), "bus");
    let port = viewer.open_address("bus").port();
    let picture = net.lab.path("picture");
    let hash = noise_file(&picture, 5, LARGE);
    let mut subscribe = command(theirs("mosquitto_sub"));
    subscribe.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-i", "large", "-q", "1", "-t", "film"]);
    let mut subscriber = net.lab.start("large", subscribe.args(["-C", "1", "-N"]));
    until("the broker has the subscription", PATIENCE, || {
        is(net.lab.log("mosquitto").contains("Sending SUBACK to large"), "no SUBACK in its log")
    });
    let before = peak(camera.daemon());
    let ran = publish(port, &["-q", "1", "-t", "film", "-f", picture.to_str().unwrap()], "");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(subscriber.ended(PATIENCE * 2).success());
    let grown = peak(camera.daemon()) - before;
    assert!(sha256_of(&std::fs::read(net.lab.path("large.out")).unwrap()) == hash, "other bytes came");
    assert!(grown < GROWTH, "the exporter grew by {grown} bytes");
}

/// The most memory that a process has had, in bytes.
fn peak(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}
