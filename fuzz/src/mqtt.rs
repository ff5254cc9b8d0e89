//! What drives the MQTT forwarder of `coco-tunnel`.

use bytes::Bytes;
use coco_tunnel::forward::mqtt::judge::Judge;
use coco_tunnel::forward::mqtt::rules::{Granted, Rules};
use coco_tunnel::forward::mqtt::{Counters, Outbox, filter};

/// A target's name and its body.
pub type Body = (&'static str, fn(&[u8]) -> bool);

/// All of this module.
pub const TARGETS: &[Body] = &[("mqtt", mqtt)];

/// What a guest may publish, and subscribe.
const PUBLISH: [&str; 2] = ["door", "a/#"];
const SUBSCRIBE: [&str; 2] = ["sensors/+/temp", "a/+"];

/// What one side says.
struct Said<'a> {
    by_client: bool,
    bytes: &'a [u8],
}

/// What came out of a connection.
#[derive(Default, PartialEq, Eq, Debug)]
struct Passed {
    client: Vec<u8>,
    broker: Vec<u8>,
}

/// A client and a broker talk; the first byte says what the client may do, each of the following ones who
/// speaks and how many bytes. Taken means that both kept the rules, and the client said a whole CONNECT.
///
/// What passes to the broker is judged again, as a client would have said it: it is made of whole packets,
/// nothing in it is denied, and all of it passes as it is. How the bytes were cut does not matter.
pub fn mqtt(data: &[u8]) -> bool {
    let Some((what, rest)) = data.split_first() else { return false };
    let said = script(rest);
    let counters = Counters::default();
    let mut first = Judge::new(rules(*what), &counters);
    let Some(each) = talk(&mut first, &said) else { return false };
    if !first.has_connect() {
        return false;
    }
    let facts = counters.facts();
    assert!(*what & 1 == 0 || facts.subscriptions.iter().all(|one| granted(&one.filter)));

    // Once more, with what had passed.
    let again = Counters::default();
    let only_publish = Rules { subscribe: Granted::All, ..rules(*what) };
    let mut second = Judge::new(only_publish, &again);
    let passed: Vec<Said<'_>> = said
        .iter()
        .zip(&each)
        .flat_map(|(said, passed)| {
            let heard = Said { by_client: false, bytes: if said.by_client { &[] } else { said.bytes } };
            [heard, Said { by_client: true, bytes: &passed.broker }]
        })
        .collect();
    let twice = talk(&mut second, &passed).expect("what passed keeps the rules");
    assert_eq!(joined(&twice).broker, joined(&each).broker);
    let denied = again.facts().denied;
    assert_eq!((denied.connect, denied.publish, denied.subscribe), (0, 0, 0));
    assert_eq!(again.facts().messages_in, facts.messages_in);

    // Once more, byte by byte.
    let bytewise: Vec<Said<'_>> = said
        .iter()
        .flat_map(|said| said.bytes.chunks(1).map(|bytes| Said { by_client: said.by_client, bytes }))
        .collect();
    let third = Counters::default();
    let mut slow = Judge::new(rules(*what), &third);
    let slowly = talk(&mut slow, &bytewise).expect("it was taken at once");
    assert_eq!(joined(&slowly), joined(&each));
    assert_eq!(third.facts(), facts);
    true
}

/// Who speaks, and how many bytes: the high bit of a byte, and the others of it.
fn script(mut rest: &[u8]) -> Vec<Said<'_>> {
    let mut said = Vec::new();
    while let Some((head, behind)) = rest.split_first() {
        let (bytes, behind) = behind.split_at(behind.len().min(usize::from(head & 0x7f)));
        said.push(Said { by_client: head & 0x80 == 0, bytes });
        rest = behind;
    }
    said
}

fn rules(what: u8) -> Rules<'static> {
    let within = |limited: bool, filters: [&'static str; 2]| {
        if limited { Granted::within(filters) } else { Granted::All }
    };
    Rules {
        publish: within(what & 2 != 0, PUBLISH),
        subscribe: within(what & 1 != 0, SUBSCRIBE),
        suffix: (what & 4 != 0).then(|| "-k3jx".to_owned()),
        login: (what & 8 != 0).then_some(("user", "password")),
    }
}

fn granted(subscribed: &str) -> bool {
    let inner = filter::unshared(subscribed);
    // The list cuts long ones.
    subscribed.ends_with("...")
        || inner.is_some_and(|inner| SUBSCRIBE.iter().any(|granted| filter::is_subset(inner, granted)))
}

/// What passed after each word; `None` when somebody broke the rules.
fn talk(judge: &mut Judge<'_>, said: &[Said<'_>]) -> Option<Vec<Passed>> {
    let mut each = Vec::new();
    for said in said {
        // No broker speaks to a client that has not.
        if !said.bytes.is_empty() {
            let bytes = Bytes::copy_from_slice(said.bytes);
            let heard = if said.by_client { judge.from_client(bytes) } else { judge.from_broker(bytes) };
            heard.ok()?;
        }
        each.push(Passed { client: drained(judge.to_client()), broker: drained(judge.to_broker()) });
    }
    Some(each)
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

fn joined(each: &[Passed]) -> Passed {
    Passed {
        client: each.iter().flat_map(|passed| passed.client.clone()).collect(),
        broker: each.iter().flat_map(|passed| passed.broker.clone()).collect(),
    }
}
