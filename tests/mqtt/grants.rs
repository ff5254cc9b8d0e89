//! A guest gets what its grant names, and is told of the rest what its version has words for.

use coconet::control::facts::MqttSubscription;

use crate::house::{BUS, House, publish, publish_well, sub};
use crate::support::net::HOME;
use crate::support::process::run;
use crate::support::wait::{PATIENCE, is, until};
use crate::wire::{Raw, connect, connect_5, packet, text};

const TEMPERATURES: &str = "subscribe:sensors/+/temp";

#[test]
fn a_guest_hears_what_it_may_and_is_told_what_it_may_not() {
    let (house, port) = House::new(&[TEMPERATURES]);
    for version in ["mqttv31", "mqttv311", "mqttv5"] {
        for wanted in ["sensors/#", "#", "$share/g/sensors/#", "sensors/+/+", "$SYS/#", "sensors/a/hum"] {
            let mut asks = sub(port);
            asks.args(["-V", version, "-E", "-t", wanted]);
            let ran = run(&mut asks, b"", PATIENCE);
            let told = format!("{version} {wanted}: {}{}", ran.stdout, ran.stderr);
            assert!(told.contains("All subscription requests were denied."), "{told}");
        }
        let name = format!("gina-{version}");
        let subscriber =
            house.subscriber(port, &name, 2, &["-V", version, "-q", "1", "-t", "sensors/+/temp"]);
        for (topic, payload) in [("sensors/a/hum", "no"), ("sensors/a/temp", "20"), ("sensors/b/temp", "21")]
        {
            publish_well(house.mosquitto.port, &["-q", "1", "-t", topic, "-m", payload], "");
        }
        assert_eq!(subscriber.heard(), ["sensors/a/temp 1 20", "sensors/b/temp 1 21"]);
    }
    // The broker was never asked for anything else.
    let log = house.log();
    assert!(!log.contains("sensors/#") && !log.contains("sensors/+/+") && !log.contains("$S"), "{log}");
    assert_eq!(house.facts().denied.subscribe, 18);
}

#[test]
fn codes_of_both_sides_come_in_one_answer() {
    let (house, port) = House::new(&[TEMPERATURES]);
    let filters = ["#", "sensors/+/temp", "$share/g/sensors/#", "$share/g/sensors/a/temp"];
    let wanted = |options: u8| filters.map(|filter| [text(filter), vec![options]].concat()).concat();

    let mut old = Raw::to(port);
    old.says(&connect("old"));
    assert_eq!(old.hears(), [0x20, 2, 0, 0]);
    old.says(&packet(0x82, &[&[0, 7][..], &wanted(1)].concat()));
    assert_eq!(old.hears(), [0x90, 6, 0, 7, 0x80, 1, 0x80, 1]);
    old.says(&packet(0x82, &[&[0, 8][..], &text("sensors/#"), &[0]].concat()));
    assert_eq!(old.hears(), [0x90, 3, 0, 8, 0x80]);
    // PINGREQ is the broker's to answer.
    old.says(&[0xc0, 0]);
    assert_eq!(old.hears(), [0xd0, 0]);

    let mut new = Raw::to(port);
    new.says(&connect_5("new"));
    assert_eq!(new.hears()[..4][2..], [0, 0]);
    new.says(&packet(0x82, &[&[0, 7, 0][..], &wanted(2)].concat()));
    assert_eq!(new.hears(), [0x90, 7, 0, 7, 0, 0x87, 2, 0x87, 2]);
    let listed: Vec<MqttSubscription> = house.facts().subscriptions;
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().all(|one| one.clients == 2), "{listed:?}");
}

#[test]
fn a_guest_that_may_only_hear_publishes_nothing() {
    let (house, port) = House::new(&[TEMPERATURES]);
    for (version, qos, told) in [
        ("mqttv311", "0", ""),
        ("mqttv311", "1", ""),
        ("mqttv311", "2", ""),
        ("mqttv5", "0", ""),
        ("mqttv5", "1", "Not authorized"),
        ("mqttv5", "2", "Not authorized"),
    ] {
        // Acknowledged or refused: the client ends by itself.
        let ran = publish(port, &["-V", version, "-q", qos, "-t", "sensors/a/temp", "-m", "99"], "");
        assert!(ran.stderr.contains(told), "{version} {qos}: {}", ran.stderr);
    }
    // A message without an answer may be on its way.
    until("all are counted", PATIENCE, || {
        let facts = house.facts();
        is(facts.denied.publish == 6 && facts.messages_in == 0, format!("{facts:?}"))
    });
    assert!(!house.log().contains("Received PUBLISH"), "{}", house.log());
    let lines = house.owner.ok(&["tunnel", "list"]);
    assert!(lines.contains("denied: 6 messages in"), "{lines}");
}

#[test]
fn what_may_be_published_arrives_at_every_quality_and_stays_where_it_is_retained() {
    let (house, port) = House::new(&["publish:door/#", "subscribe:door/state"]);
    for (version, qos) in
        [("mqttv31", "2"), ("mqttv311", "0"), ("mqttv311", "1"), ("mqttv5", "1"), ("mqttv5", "2")]
    {
        let name = format!("listener-{version}-{qos}");
        let listener = house.subscriber(house.mosquitto.port, &name, 20, &["-q", "2", "-t", "#"]);
        let lines: String = (0..20).map(|number| format!("{number}\n")).collect();
        publish_well(port, &["-V", version, "-q", qos, "-t", "door/bell", "-l"], &lines);
        let expected: Vec<String> = (0..20).map(|number| format!("door/bell {qos} {number}")).collect();
        assert_eq!(listener.heard(), expected);
    }
    publish_well(port, &["-q", "1", "-r", "-t", "door/state", "-m", "open"], "");
    assert_eq!(house.subscriber(port, "late", 1, &["-t", "door/state"]).heard(), ["door/state 0 open"]);
}

#[test]
fn a_will_outside_the_grant_is_refused_and_one_inside_is_published() {
    let (house, port) = House::new(&["publish:door", "subscribe:door"]);
    for (version, told) in
        [("mqttv31", "not authorised"), ("mqttv311", "not authorised"), ("mqttv5", "Not authorized")]
    {
        let will =
            ["-V", version, "--will-topic", "window", "--will-payload", "gone", "-t", "door", "-m", "x"];
        let ran = publish(port, &will, "");
        assert!(ran.code != 0 && ran.stderr.contains(told), "{version} {}: {}", ran.code, ran.stderr);
    }
    assert_eq!(house.facts().denied.connect, 3);
    assert!(!house.log().contains("CONNECT"), "{}", house.log());

    let listener = house.subscriber(house.mosquitto.port, "listener", 1, &["-t", "#"]);
    let will = ["-V", "mqttv5", "--will-topic", "door", "--will-payload", "gone", "-t", "door"];
    house.subscriber(port, "leaver", 9, &will).kill();
    assert_eq!(listener.heard(), ["door 0 gone"]);
}

#[test]
fn an_alias_is_judged_by_its_topic() {
    let (house, port) = House::new(&["publish:door"]);
    let listener = house.subscriber(house.mosquitto.port, "listener", 5, &["-t", "#"]);
    let alias = ["-V", "mqttv5", "-q", "1", "-D", "publish", "topic-alias", "1"];
    let denied = publish(port, &[&alias[..], &["-t", "window", "-l"]].concat(), "1\n2\n3\n");
    assert!(denied.stderr.contains("Not authorized"), "{}", denied.stderr);
    publish_well(port, &[&alias[..], &["-t", "door", "-l"]].concat(), "1\n2\n3\n4\n5\n");
    assert_eq!(listener.heard(), ["door 0 1", "door 0 2", "door 0 3", "door 0 4", "door 0 5"]);
    let facts = house.facts();
    assert_eq!((facts.denied.publish, facts.messages_in), (3, 5));
}

#[test]
fn shared_subscriptions_share() {
    let (house, port) = House::new(&[TEMPERATURES]);
    let topic = ["-V", "mqttv5", "-q", "1", "-t", "$share/g/sensors/+/temp"];
    let (one, other) =
        (house.subscriber(port, "one", 10, &topic), house.subscriber(port, "other", 10, &topic));
    let lines: String = (0..20).map(|number| format!("{number}\n")).collect();
    publish_well(house.mosquitto.port, &["-q", "1", "-t", "sensors/a/temp", "-l"], &lines);
    let mut heard = [one.heard(), other.heard()].concat();
    heard.sort_by_key(|line| line.rsplit(' ').next().unwrap().parse::<u32>().unwrap());
    let expected: Vec<String> = (0..20).map(|number| format!("sensors/a/temp 1 {number}")).collect();
    assert_eq!(heard, expected);
}

#[test]
fn a_session_of_somebody_else_tells_a_guest_nothing() {
    let (house, port) = House::new(&[TEMPERATURES]);
    let at_home = house.mosquitto.port;
    // Somebody at home keeps a session, and is away.
    house.subscriber(at_home, "diary", 9, &["-c", "-q", "1", "-t", "diary/#", "-t", "sensors/#"]).kill();
    for topic in ["diary/today", "sensors/a/hum", "sensors/a/temp"] {
        publish_well(at_home, &["-q", "1", "-t", topic, "-m", "x"], "");
    }
    let mut takes = sub(port);
    takes.args(["-i", "diary", "-c", "-q", "1", "-t", "sensors/+/temp", "-C", "1", "-F", "%t"]);
    let ran = run(&mut takes, b"", PATIENCE);
    assert_eq!(ran.stdout, "sensors/a/temp\n");
    assert_eq!(house.facts().denied.deliver, 2);
}

#[test]
fn a_grant_without_filters_holds_them_all_and_one_that_changes_cuts() {
    let (house, port) = House::new(&["subscribe"]);
    let all = house.subscriber(port, "all", 1, &["-t", "$SYS/#", "-t", "#"]);
    all.heard();
    let mut connection = Raw::to(port);
    connection.says(&connect("gina"));
    connection.hears();
    house.owner.ok(&["network", "grant", HOME, "gina", BUS, "--can", TEMPERATURES]);
    assert!(!connection.ends(), "cut as an end");
}
