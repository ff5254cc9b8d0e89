#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use coconet::control::facts::MqttFacts;

use super::super::rules::Granted;
use super::*;

/// Version 3.1.1, clean session, client id `c`.
const CONNECT: &[u8] = &[0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 4, 0x02, 0, 60, 0, 1, b'c'];
const CONNACK: &[u8] = &[0x20, 2, 0, 0];
/// Version 5, clean start, aliases from the broker up to 5, client id `c`.
const CONNECT_5: &[u8] = &[0x10, 17, 0, 4, b'M', b'Q', b'T', b'T', 5, 0x02, 0, 60, 3, 0x22, 0, 5, 0, 1, b'c'];
/// Accepted, with topic aliases up to 2.
const CONNACK_5: &[u8] = &[0x20, 6, 0, 0, 3, 0x22, 0, 2];

fn rules(publish: &[&str], subscribe: &[&str]) -> Rules<'static> {
    Rules {
        publish: Granted::within(publish.iter().copied()),
        subscribe: Granted::within(subscribe.iter().copied()),
        suffix: None,
        login: None,
    }
}

/// What a guest has that may publish to `door` and hear `sensors/+/temp`.
fn guest() -> Rules<'static> {
    rules(&["door"], &["sensors/+/temp"])
}

fn owner() -> Rules<'static> {
    Rules { publish: Granted::All, subscribe: Granted::All, suffix: None, login: None }
}

fn drained(outbox: &mut Outbox) -> Vec<u8> {
    let mut bytes = Vec::new();
    while !outbox.is_empty() {
        let mut parts = [Bytes::new()];
        outbox.peek(&mut parts);
        bytes.extend_from_slice(&parts[0]);
        outbox.wrote(parts[0].len());
    }
    bytes
}

/// What the two sides get.
#[derive(Debug, PartialEq, Eq)]
struct Got {
    client: Vec<u8>,
    broker: Vec<u8>,
}

fn got(judge: &mut Judge<'_>) -> Got {
    Got { client: drained(judge.to_client()), broker: drained(judge.to_broker()) }
}

fn client(judge: &mut Judge<'_>, bytes: &[u8]) -> Got {
    judge.from_client(Bytes::copy_from_slice(bytes)).unwrap();
    got(judge)
}

fn broker(judge: &mut Judge<'_>, bytes: &[u8]) -> Got {
    judge.from_broker(Bytes::copy_from_slice(bytes)).unwrap();
    got(judge)
}

fn to_broker(bytes: &[u8]) -> Got {
    Got { client: Vec::new(), broker: bytes.to_vec() }
}

fn to_client(bytes: &[u8]) -> Got {
    Got { client: bytes.to_vec(), broker: Vec::new() }
}

/// A connection that both sides have agreed on.
fn connected<'a>(rules: Rules<'a>, counters: &'a Counters, connect: &[u8], connack: &[u8]) -> Judge<'a> {
    let mut judge = Judge::new(rules, counters);
    assert_eq!(client(&mut judge, connect), to_broker(connect));
    assert_eq!(broker(&mut judge, connack), to_client(connack));
    judge
}

fn old<'a>(rules: Rules<'a>, counters: &'a Counters) -> Judge<'a> {
    connected(rules, counters, CONNECT, CONNACK)
}

fn new<'a>(rules: Rules<'a>, counters: &'a Counters) -> Judge<'a> {
    connected(rules, counters, CONNECT_5, CONNACK_5)
}

/// A PUBLISH of `x`.
fn publish(topic: &str, qos: u8, id: u16, version: Version) -> Vec<u8> {
    let mut body = Vec::new();
    super::super::packet::put_binary(topic.as_bytes(), &mut body);
    if qos > 0 {
        body.extend_from_slice(&id.to_be_bytes());
    }
    if version == Version::V5 {
        body.push(0);
    }
    body.push(b'x');
    packet(Kind::Publish, qos << 1, &body)
}

/// A PUBLISH of QoS 0 with a topic alias.
fn aliased(topic: &str, alias: u8) -> Vec<u8> {
    let mut body = Vec::new();
    super::super::packet::put_binary(topic.as_bytes(), &mut body);
    body.extend_from_slice(&[3, 0x23, 0, alias, b'x']);
    packet(Kind::Publish, 0, &body)
}

fn subscribe(id: u8, filters: &[&str], version: Version) -> Vec<u8> {
    let mut body = vec![0, id];
    if version == Version::V5 {
        body.push(0);
    }
    for filter in filters {
        super::super::packet::put_binary(filter.as_bytes(), &mut body);
        body.push(0);
    }
    packet(Kind::Subscribe, 2, &body)
}

#[test]
fn what_is_allowed_passes_byte_for_byte_in_pieces_of_any_size() {
    let all = [
        CONNECT,
        &subscribe(1, &["sensors/a/temp"], Version::V311),
        &publish("door", 1, 2, Version::V311),
        &[0xc0, 0],
        &publish("door", 2, 3, Version::V311),
        &[0x62, 2, 0, 3],
        &[0xa2, 6, 0, 4, 0, 2, b'a', b'b'],
        &[0xe0, 0],
    ]
    .concat();
    for size in 1..all.len() {
        let counters = Counters::default();
        let mut judge = Judge::new(guest(), &counters);
        let mut passed = Vec::new();
        for piece in all.chunks(size) {
            passed.extend(client(&mut judge, piece).broker);
        }
        assert_eq!(passed, all, "pieces of {size}");
        assert!(judge.is_over());
        assert_eq!(counters.facts().messages_in, 2);
    }
}

#[test]
fn a_subscription_is_asked_for_as_far_as_it_is_granted() {
    let counters = Counters::default();
    let mut judge = old(guest(), &counters);
    let wanted = ["#", "sensors/+/temp", "$share/g/sensors/#", "$share/g/sensors/a/temp", "sensors/#"];
    let asked = subscribe(9, &["sensors/+/temp", "$share/g/sensors/a/temp"], Version::V311);
    assert_eq!(client(&mut judge, &subscribe(9, &wanted, Version::V311)), to_broker(&asked));
    let answer = broker(&mut judge, &[0x90, 4, 0, 9, 0, 1]);
    assert_eq!(answer, to_client(&[0x90, 7, 0, 9, 0x80, 0, 0x80, 1, 0x80]));
    let facts = counters.facts();
    assert_eq!((facts.denied.subscribe, facts.subscriptions.len()), (3, 2));
}

#[test]
fn of_a_subscription_that_is_all_denied_the_broker_hears_nothing() {
    let counters = Counters::default();
    let mut judge = old(guest(), &counters);
    let answer = client(&mut judge, &subscribe(9, &["#"], Version::V311));
    assert_eq!(answer, to_client(&[0x90, 3, 0, 9, 0x80]));
    let mut judge = new(guest(), &counters);
    let answer = client(&mut judge, &subscribe(9, &["#", "a/#/b"], Version::V5));
    assert_eq!(answer, to_client(&[0x90, 5, 0, 9, 0, 0x87, 0x8f]));
    assert_eq!(counters.facts().denied.subscribe, 3);
}

#[test]
fn a_filter_that_the_broker_refuses_is_not_listed() {
    let counters = Counters::default();
    let mut judge = old(owner(), &counters);
    let both = subscribe(1, &["a", "b"], Version::V311);
    assert_eq!(client(&mut judge, &both), to_broker(&both));
    assert_eq!(broker(&mut judge, &[0x90, 4, 0, 1, 0x80, 0]), to_client(&[0x90, 4, 0, 1, 0x80, 0]));
    let listed: Vec<String> = counters.facts().subscriptions.into_iter().map(|one| one.filter).collect();
    assert_eq!(listed, ["b"]);
    let unsubscribe = [0xa2, 5, 0, 2, 0, 1, b'b'];
    assert_eq!(client(&mut judge, &unsubscribe), to_broker(&unsubscribe));
    assert_eq!(counters.facts().subscriptions, []);
}

#[test]
fn a_connection_has_room_for_so_many_filters() {
    let counters = Counters::default();
    let mut judge = new(owner(), &counters);
    let filters: Vec<String> =
        (0..super::super::SUBSCRIPTIONS_MAX).map(|number| number.to_string()).collect();
    let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
    let all = subscribe(1, &filters, Version::V5);
    assert_eq!(client(&mut judge, &all), to_broker(&all));
    let answer = client(&mut judge, &subscribe(2, &["one more"], Version::V5));
    assert_eq!(answer, to_client(&[0x90, 4, 0, 2, 0, 0x97]));
}

#[test]
fn subscriptions_that_the_broker_does_not_answer_are_not_remembered_without_end() {
    let counters = Counters::default();
    let mut judge = new(guest(), &counters);
    let wide: Vec<&str> = std::iter::once("sensors/a/temp").chain(std::iter::repeat_n("#", 1023)).collect();
    let wide = Bytes::from(subscribe(1, &wide, Version::V5));
    let ended = (0..100).map(|_| judge.from_client(wide.clone())).position(|heard| heard.is_err());
    assert_eq!(ended, Some(ASKED_MAX / 1024));
}

#[test]
fn a_denied_message_is_dropped_and_answered_as_its_version_can() {
    let counters = Counters::default();
    let mut judge = old(guest(), &counters);
    let nothing = to_broker(&[]);
    assert_eq!(client(&mut judge, &publish("window", 0, 0, Version::V311)), nothing);
    let answer = client(&mut judge, &publish("window", 1, 7, Version::V311));
    assert_eq!(answer, to_client(&[0x40, 2, 0, 7]));
    assert_eq!(client(&mut judge, &publish("window", 2, 8, Version::V311)), to_client(&[0x50, 2, 0, 8]));
    assert_eq!(client(&mut judge, &[0x62, 2, 0, 8]), to_client(&[0x70, 2, 0, 8]));
    // The next release is none of ours.
    assert_eq!(client(&mut judge, &[0x62, 2, 0, 8]), to_broker(&[0x62, 2, 0, 8]));

    let mut judge = new(guest(), &counters);
    assert_eq!(client(&mut judge, &publish("window", 0, 0, Version::V5)), nothing);
    let answer = client(&mut judge, &publish("$SYS/window", 1, 7, Version::V5));
    assert_eq!(answer, to_client(&[0x40, 3, 0, 7, 0x87]));
    assert_eq!(client(&mut judge, &publish("window", 2, 8, Version::V5)), to_client(&[0x50, 3, 0, 8, 0x87]));
    let facts = counters.facts();
    assert_eq!((facts.denied.publish, facts.messages_in), (6, 0));
}

#[test]
fn a_denied_payload_is_dropped_to_its_end_and_what_follows_is_not() {
    let counters = Counters::default();
    let mut judge = old(guest(), &counters);
    let mut long = packet(Kind::Publish, 0, &[&[0, 1, b'w'][..], &[0xc0; 1000]].concat());
    long.extend_from_slice(&[0xc0, 0]);
    let mut passed = Vec::new();
    for piece in long.chunks(7) {
        passed.extend(client(&mut judge, piece).broker);
    }
    assert_eq!(passed, [0xc0, 0]);
}

#[test]
fn an_answer_waits_for_those_of_the_messages_before() {
    let counters = Counters::default();
    let mut judge = old(guest(), &counters);
    let first = publish("door", 1, 1, Version::V311);
    assert_eq!(client(&mut judge, &first), to_broker(&first));
    assert_eq!(client(&mut judge, &publish("window", 1, 2, Version::V311)), to_broker(&[]));
    let answers = broker(&mut judge, &[0x40, 2, 0, 1]);
    assert_eq!(answers, to_client(&[0x40, 2, 0, 1, 0x40, 2, 0, 2]));
}

#[test]
fn an_answer_is_not_put_into_the_midst_of_a_message() {
    let counters = Counters::default();
    let mut judge = old(guest(), &counters);
    let message = publish("sensors/a/temp", 0, 0, Version::V311);
    let (front, last) = message.split_at(message.len() - 1);
    assert_eq!(broker(&mut judge, front), to_client(front));
    assert_eq!(client(&mut judge, &subscribe(9, &["#"], Version::V311)), to_broker(&[]));
    assert_eq!(broker(&mut judge, last), to_client(&[last, &[0x90, 3, 0, 9, 0x80]].concat()));
}

#[test]
fn nothing_is_answered_before_the_connack() {
    let counters = Counters::default();
    let mut judge = Judge::new(guest(), &counters);
    let eager = [CONNECT, &subscribe(9, &["#"], Version::V311)].concat();
    assert_eq!(client(&mut judge, &eager), to_broker(CONNECT));
    assert_eq!(broker(&mut judge, CONNACK), to_client(&[CONNACK, &[0x90, 3, 0, 9, 0x80]].concat()));
}

/// A CONNECT with a will on `topic`.
fn with_will(version: u8, topic: &str) -> Vec<u8> {
    let name: &[u8] = if version == 3 { b"\0\x06MQIsdp" } else { b"\0\x04MQTT" };
    let none: &[u8] = if version == 5 { &[0] } else { &[] };
    let mut body = [name, &[version, 0x06, 0, 60], none, &[0, 1, b'c'], none].concat();
    super::super::packet::put_binary(topic.as_bytes(), &mut body);
    body.extend_from_slice(&[0, 1, b'x']);
    packet(Kind::Connect, 0, &body)
}

#[test]
fn a_will_is_a_message_like_others() {
    for (version, refusal) in [(3, &[0x20, 2, 0, 5][..]), (4, &[0x20, 2, 0, 5]), (5, &[0x20, 3, 0, 0x87, 0])]
    {
        let counters = Counters::default();
        let allowed = with_will(version, "door");
        assert_eq!(client(&mut Judge::new(guest(), &counters), &allowed), to_broker(&allowed));
        for topic in ["window", "door/x", "$SYS/door"] {
            let mut judge = Judge::new(guest(), &counters);
            assert_eq!(judge.from_client(with_will(version, topic).into()), Err(Fault::Refused));
            assert!(judge.farewell(Fault::Refused));
            assert_eq!(got(&mut judge), to_client(refusal), "{topic}");
        }
        assert_eq!(counters.facts().denied.connect, 3);
        let mut judge = Judge::new(owner(), &counters);
        let wild = judge.from_client(with_will(version, "door/#").into());
        assert_eq!(wild, Err(Fault::Client(Malformed::Topic)));
    }
}

#[test]
fn an_alias_is_as_good_as_its_topic() {
    let counters = Counters::default();
    let mut judge = new(guest(), &counters);
    let first = aliased("door", 1);
    assert_eq!(client(&mut judge, &first), to_broker(&first));
    let again = aliased("", 1);
    assert_eq!(client(&mut judge, &again), to_broker(&again));
    // A denied topic takes the alias along, though the broker never hears of it.
    assert_eq!(client(&mut judge, &aliased("window", 1)), to_broker(&[]));
    assert_eq!(client(&mut judge, &again), to_broker(&[]));
    assert_eq!(counters.facts().denied.publish, 2);
    assert_eq!(client(&mut judge, &first), to_broker(&first));
    assert_eq!(client(&mut judge, &again), to_broker(&again));
}

#[test]
fn an_alias_without_a_topic_or_above_the_brokers_maximum_ends_the_connection() {
    for alias in [aliased("", 2), aliased("door", 3), aliased("door", 0)] {
        let counters = Counters::default();
        let mut judge = new(guest(), &counters);
        let ended = judge.from_client(alias.into());
        assert_eq!(ended, Err(Fault::Client(Malformed::Alias)));
        assert!(judge.farewell(Fault::Client(Malformed::Alias)));
        assert_eq!(got(&mut judge), to_client(&[0xe0, 2, 0x94, 0]));
        assert_eq!(counters.facts().malformed, 1);
    }
    // Before the CONNACK there is no maximum.
    let counters = Counters::default();
    let mut judge = Judge::new(owner(), &counters);
    client(&mut judge, CONNECT_5);
    assert_eq!(judge.from_client(aliased("door", 1).into()), Err(Fault::Client(Malformed::Alias)));
}

#[test]
fn a_session_that_somebody_else_left_tells_nothing_outside_the_grant() {
    let counters = Counters::default();
    let mut judge = old(guest(), &counters);
    let heard = publish("sensors/a/temp", 1, 1, Version::V311);
    assert_eq!(broker(&mut judge, &heard), to_client(&heard));
    assert_eq!(broker(&mut judge, &publish("diary", 0, 0, Version::V311)), to_broker(&[]));
    // In the order of the messages: the client has not acknowledged its own yet.
    assert_eq!(broker(&mut judge, &publish("diary", 1, 2, Version::V311)), to_broker(&[]));
    let acks = client(&mut judge, &[0x40, 2, 0, 1]);
    assert_eq!(acks, to_broker(&[0x40, 2, 0, 1, 0x40, 2, 0, 2]));
    assert_eq!(broker(&mut judge, &publish("diary", 2, 3, Version::V311)), to_broker(&[0x50, 2, 0, 3]));
    assert_eq!(broker(&mut judge, &[0x62, 2, 0, 3]), to_broker(&[0x70, 2, 0, 3]));
    assert_eq!(counters.facts().denied.deliver, 3);

    let mut judge = new(guest(), &counters);
    assert_eq!(broker(&mut judge, &aliased("diary", 1)), to_broker(&[]));
    assert_eq!(broker(&mut judge, &aliased("", 1)), to_broker(&[]));
    let heard = aliased("sensors/b/temp", 1);
    assert_eq!(broker(&mut judge, &heard), to_client(&heard));
    assert_eq!(broker(&mut judge, &aliased("", 1)), to_client(&aliased("", 1)));
    assert_eq!(counters.facts().messages_out, 3);
}

#[test]
fn who_may_do_everything_gets_everything() {
    let counters = Counters::default();
    let mut judge = old(owner(), &counters);
    for bytes in [
        publish("$SYS/x", 2, 1, Version::V311),
        subscribe(1, &["#", "$SYS/#", "$share/g/#"], Version::V311),
        vec![0xc0, 0],
    ] {
        assert_eq!(client(&mut judge, &bytes), to_broker(&bytes));
    }
    let message = publish("diary", 1, 2, Version::V311);
    assert_eq!(broker(&mut judge, &message), to_client(&message));
    assert_eq!(counters.facts().denied, MqttFacts::default().denied);
}

#[test]
fn client_id_and_login_are_the_exporters() {
    let counters = Counters::default();
    let rules = Rules {
        publish: Granted::All,
        subscribe: Granted::All,
        suffix: Some("-k3jx".to_owned()),
        login: Some(("me", "pw")),
    };
    let mut judge = Judge::new(rules, &counters);
    let expected =
        [&[0x10, 26, 0, 4, b'M', b'Q', b'T', b'T', 4, 0xc2, 0, 60][..], b"\0\x06c-k3jx\0\x02me\0\x02pw"];
    assert_eq!(client(&mut judge, CONNECT), to_broker(&expected.concat()));
}

#[test]
fn enhanced_authentication_passes_or_is_refused() {
    let with_method = [
        &[0x10, 18, 0, 4, b'M', b'Q', b'T', b'T', 5, 0x02, 0, 60][..],
        &[4, 0x15, 0, 1, b'm'],
        &[0, 1, b'c'],
    ]
    .concat();
    let auth = [0xf0, 6, 0x18, 4, 0x15, 0, 1, b'm'];
    let counters = Counters::default();
    let mut judge = Judge::new(owner(), &counters);
    assert_eq!(client(&mut judge, &with_method), to_broker(&with_method));
    assert_eq!(broker(&mut judge, &auth), to_client(&auth));
    assert_eq!(client(&mut judge, &auth), to_broker(&auth));
    assert_eq!(broker(&mut judge, CONNACK_5), to_client(CONNACK_5));
    assert_eq!(client(&mut judge, &auth), to_broker(&auth));
    // It is not half somebody else's login.
    let mut judge = Judge::new(Rules { login: Some(("me", "pw")), ..owner() }, &counters);
    assert_eq!(judge.from_client(with_method.into()), Err(Fault::Refused));
    assert_eq!(got(&mut judge), to_client(&[0x20, 3, 0, 0x8c, 0]));
    // And it cannot begin later.
    let mut judge = new(owner(), &counters);
    assert_eq!(judge.from_client(auth.to_vec().into()), Err(Fault::Client(Malformed::Kind)));
}

#[test]
fn what_a_client_may_not_say_ends_the_connection() {
    let counters = Counters::default();
    for (bytes, why) in [
        (CONNECT, Malformed::Order),
        (CONNACK, Malformed::Kind),
        (&[0x90, 3, 0, 1, 0], Malformed::Kind),
        (&[0xd0, 0], Malformed::Kind),
        (&[0xf0, 0], Malformed::Kind),
        (&[0xc0, 1, 0], Malformed::Long),
        (&[0xe0, 1, 0], Malformed::Long),
        (&[0x40, 2, 0, 0], Malformed::Id),
        (&[0x40, 3, 0, 1, 0], Malformed::Long),
        (&[0x30, 3, 0, 1, 0xff], Malformed::Text),
    ] {
        let mut judge = old(owner(), &counters);
        assert_eq!(judge.from_client(Bytes::copy_from_slice(bytes)), Err(Fault::Client(why)), "{bytes:?}");
        assert!(!judge.farewell(Fault::Client(why)));
        assert_eq!(got(&mut judge), to_broker(&[]));
    }
    assert_eq!(counters.facts().malformed, 10);
}

#[test]
fn what_comes_before_a_connect_ends_the_connection() {
    let counters = Counters::default();
    for (bytes, why) in [
        (&[0xc0, 0][..], Malformed::Order),
        (&[0x30, 100, 0, 1, b'a'], Malformed::Order),
        (b"GET / HTTP/1.1\r\n\r\n", Malformed::Flags),
        (&[0x16, 3, 1, 2, 0], Malformed::Flags),
        (&[0x10, 0xff, 0xff, 0xff, 0xff, 0x7f], Malformed::Length),
        (&[0x10, 0xff, 0xff, 0xff, 0x7f], Malformed::TooLarge),
    ] {
        let mut judge = Judge::new(owner(), &counters);
        assert_eq!(judge.from_client(Bytes::copy_from_slice(bytes)), Err(Fault::Client(why)), "{bytes:?}");
        assert_eq!(got(&mut judge), to_broker(&[]));
    }
    let mut judge = Judge::new(owner(), &counters);
    assert_eq!(judge.from_broker(Bytes::from_static(CONNACK)), Err(Fault::Broker(Malformed::Order)));
    // A version that does not exist yet is told so.
    let mut six = CONNECT.to_vec();
    six[8] = 6;
    let fault = judge.from_client(six.into()).unwrap_err();
    assert!(judge.farewell(fault));
    assert_eq!(got(&mut judge), to_client(&[0x20, 2, 0, 1]));
}

#[test]
fn a_broker_that_breaks_the_rules_ends_the_connection() {
    for bytes in [&[0xc0, 0][..], &[0x20, 2, 0, 0], &[0xe0, 0], &[0x00, 0]] {
        let counters = Counters::default();
        let mut judge = old(owner(), &counters);
        let ended = judge.from_broker(Bytes::copy_from_slice(bytes));
        assert!(matches!(ended, Err(Fault::Broker(_))), "{bytes:?}");
    }
    let counters = Counters::default();
    let mut judge = Judge::new(owner(), &counters);
    client(&mut judge, CONNECT);
    assert!(judge.from_broker(Bytes::from_static(&[0xd0, 0])).is_err());
}

#[test]
fn a_client_that_does_not_read_its_answers_is_not_read() {
    let counters = Counters::default();
    let mut judge = old(guest(), &counters);
    let denied = Bytes::from(publish("window", 1, 7, Version::V311).repeat(1000));
    let mut heard = 0;
    while judge.hears_client() {
        judge.from_client(denied.clone()).unwrap();
        heard += 1;
    }
    assert_eq!(heard, ANSWERS_MAX.div_ceil(4 * 1000));
    assert!(judge.hears_broker());
    // What the broker sends meanwhile is no reason to read less of the client.
    drained(judge.to_client());
    let message = publish("sensors/a/temp", 0, 0, Version::V311).repeat(10_000);
    judge.from_broker(message.into()).unwrap();
    assert!(judge.hears_client() && !judge.hears_broker());
}

#[test]
fn after_the_disconnect_nothing_more_is_heard() {
    let counters = Counters::default();
    let mut judge = old(owner(), &counters);
    assert_eq!(client(&mut judge, &[0xe0, 0, 0xff, 0xff]), to_broker(&[0xe0, 0]));
    assert_eq!(client(&mut judge, &[0x30]), to_broker(&[]));
    assert_eq!(counters.facts().malformed, 0);
}

#[test]
fn behind_a_disconnect_the_broker_is_told_nothing() {
    let counters = Counters::default();
    let mut judge = old(guest(), &counters);
    assert_eq!(client(&mut judge, &[0xe0, 0]), to_broker(&[0xe0, 0]));
    assert_eq!(broker(&mut judge, &publish("diary", 2, 3, Version::V311)), to_broker(&[]));
}
