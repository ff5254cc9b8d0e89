//! MQTT.

use std::fmt::Write as _;

use crate::support::bytes::noise_file;
use crate::support::net::{Lab, Net};
use crate::support::process::{Process, run, run_well};
use crate::support::programs::{command, theirs};
use crate::support::targets::Mosquitto;
use crate::support::wait::{PATIENCE, is, until};

const MESSAGES: usize = 100;

#[test]
fn mosquitto_delivers_at_every_quality_of_service() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let mosquitto = Mosquitto::start(&net.lab);
    camera.expose(&format!("mqtt://127.0.0.1:{}", mosquitto.port), "bus");
    let url = viewer.open("bus");
    let port = url.strip_prefix("mqtt://127.0.0.1:").unwrap().trim_end_matches('/');

    for qos in ["0", "1", "2"] {
        let (mut subscriber, out) = subscribe(&net.lab, port, qos, MESSAGES);
        let lines: Vec<String> = (0..MESSAGES).map(|number| format!("message {number}")).collect();
        let mut publish = command(theirs("mosquitto_pub"));
        publish.args(["-h", "127.0.0.1", "-p", port, "-q", qos, "-t", &format!("coco/{qos}"), "-l"]);
        let published = run(&mut publish, (lines.join("\n") + "\n").as_bytes(), PATIENCE);
        assert_eq!(published.code, 0, "{}", published.stderr);

        assert!(subscriber.ended(PATIENCE).success(), "QoS {qos}");
        let mut expected = String::new();
        lines.iter().for_each(|line| writeln!(expected, "{qos} {line}").unwrap());
        assert_eq!(std::fs::read_to_string(out).unwrap(), expected);
    }
}

#[test]
fn mosquitto_delivers_a_large_message() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let mosquitto = Mosquitto::start(&net.lab);
    camera.expose(&format!("mqtt://127.0.0.1:{}", mosquitto.port), "bus");
    let url = viewer.open("bus");
    let port = url.strip_prefix("mqtt://127.0.0.1:").unwrap().trim_end_matches('/');
    let picture = net.lab.path("picture");
    noise_file(&picture, 3, 3_000_000);

    let (mut subscriber, out) = subscribe(&net.lab, port, "2", 1);
    let mut publish = command(theirs("mosquitto_pub"));
    publish.args(["-h", "127.0.0.1", "-p", port, "-q", "2", "-t", "coco/2", "-f"]);
    run_well(publish.arg(&picture));

    assert!(subscriber.ended(PATIENCE).success());
    let got = std::fs::read(out).unwrap();
    let sent = std::fs::read(picture).unwrap();
    assert!(got == [b"2 ", sent.as_slice(), b"\n"].concat(), "{} other bytes came", got.len());
}

/// A subscriber that leaves after `count` messages, once the broker knows it; and where its output is.
fn subscribe(lab: &Lab, port: &str, qos: &str, count: usize) -> (Process, std::path::PathBuf) {
    let name = format!("subscriber-{qos}");
    let mut subscribe = command(theirs("mosquitto_sub"));
    subscribe.args(["-h", "127.0.0.1", "-p", port, "-i", &name, "-q", qos, "-t", &format!("coco/{qos}")]);
    subscribe.args(["-C", &count.to_string(), "-F", "%q %p"]);
    let process = lab.start(&name, &subscribe);
    until("the broker has the subscription", PATIENCE, || {
        let log = lab.log("mosquitto");
        is(log.contains(&format!("Sending SUBACK to {name}")), "no SUBACK in its log")
    });
    (process, lab.path(&format!("{name}.out")))
}
