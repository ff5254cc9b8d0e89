//! A broker, an owner who exposes it, and a guest.

use std::path::PathBuf;
use std::process::Command;

use coconet::control::Facts;
use coconet::control::facts::MqttFacts;

use crate::support::net::{App, HOME, Net};
use crate::support::process::{Process, Ran, run};
use crate::support::programs::{command, theirs};
use crate::support::targets::Mosquitto;
use crate::support::wait::{PATIENCE, is, until};

/// The resource.
pub(crate) const BUS: &str = "bus";

/// A network with a broker in it.
pub(crate) struct House {
    pub(crate) owner: App,
    _gina: App,
    pub(crate) mosquitto: Mosquitto,
    pub(crate) net: Net,
}

impl House {
    /// The guest may do that, and has the resource open at the port that is returned.
    pub(crate) fn new(can: &[&str]) -> (Self, u16) {
        let net = Net::new();
        let (owner, gina) = (net.app("owner"), net.app("gina"));
        owner.create(HOME, &net.address);
        gina.join(&owner.invite(HOME, &["--user", "gina", "--role", "guest"]));
        let mosquitto = Mosquitto::start(&net.lab);
        owner.expose(&format!("mqtt://127.0.0.1:{}", mosquitto.port), BUS);
        owner.ok(&[&["network", "grant", HOME, "gina", BUS, "--can"], can].concat());
        let port = gina.open_address(BUS).port();
        (Self { owner, _gina: gina, mosquitto, net }, port)
    }

    /// What the exporter's list says.
    pub(crate) fn facts(&self) -> MqttFacts {
        facts(&self.owner)
    }

    /// The broker's log.
    pub(crate) fn log(&self) -> String {
        self.net.lab.log("mosquitto")
    }

    /// A subscriber at `port` that ends after `count` messages, once the broker knows it.
    pub(crate) fn subscriber(&self, port: u16, name: &str, count: usize, words: &[&str]) -> Subscriber {
        let mut command = sub(port);
        command.args(["-i", name, "-C", &count.to_string(), "-F", "%t %q %p"]).args(words);
        let process = self.net.lab.start(name, &command);
        until("the broker has the subscription", PATIENCE, || {
            is(self.log().contains(&format!("Sending SUBACK to {name}")), "no SUBACK in its log")
        });
        Subscriber { process, out: self.net.lab.path(&format!("{name}.out")) }
    }
}

/// What the list of `app` says of the resource.
pub(crate) fn facts(app: &App) -> MqttFacts {
    match app.tunnel(BUS).facts {
        Some(Facts::Mqtt(facts)) => facts,
        other => panic!("{other:?}"),
    }
}

/// A `mosquitto_sub` that waits for messages.
pub(crate) struct Subscriber {
    process: Process,
    out: PathBuf,
}

impl Subscriber {
    /// What it got, once it has all: a line for each message with topic, QoS and payload.
    pub(crate) fn heard(mut self) -> Vec<String> {
        assert!(self.process.ended(PATIENCE).success());
        self.so_far()
    }

    /// What it has got.
    pub(crate) fn so_far(&self) -> Vec<String> {
        std::fs::read_to_string(&self.out).unwrap().lines().map(str::to_owned).collect()
    }

    /// End it without a DISCONNECT.
    pub(crate) fn kill(self) {
        drop(self.process);
    }
}

/// A `mosquitto_sub` at `port`.
pub(crate) fn sub(port: u16) -> Command {
    let mut command = command(theirs("mosquitto_sub"));
    command.args(["-h", "127.0.0.1", "-p", &port.to_string()]);
    command
}

/// Run `mosquitto_pub` at `port`, whatever comes of it.
pub(crate) fn publish(port: u16, words: &[&str], input: &str) -> Ran {
    let mut command = command(theirs("mosquitto_pub"));
    command.args(["-h", "127.0.0.1", "-p", &port.to_string()]).args(words);
    run(&mut command, input.as_bytes(), PATIENCE)
}

/// Run it, and it has to work.
pub(crate) fn publish_well(port: u16, words: &[&str], input: &str) {
    let ran = publish(port, words, input);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{words:?}");
}
