//! What is not granted does not arrive.

use std::io::{Read, Write};
use std::net::{Ipv6Addr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use coco_lab::Site;

use crate::house::{BOAT_IP, House, address, facts, on, pinged, reaches};
use crate::support::net::HOME;
use crate::support::wait::{PATIENCE, is, until};

/// A guest's app.
const GUEST: &[&str] = &["--user", "gina", "--role", "guest"];

/// The promise of revocations.
const CUT_WITHIN: Duration = Duration::from_secs(5);

fn guests() -> House {
    House::with(GUEST, Site::open())
}

#[test]
fn what_is_not_granted_does_not_arrive_and_its_sender_is_told() {
    let house = guests();
    let boat = address(&house.boat);
    let (received, told) = pinged(&house.desk, boat, "56", "3");
    assert!(received == 0 && told.contains("prohibited"), "{told}");
    // An address that is nobody's gives the same answer.
    let mut nobody = boat.octets();
    nobody[15] ^= 1;
    let (received, told) = pinged(&house.desk, nobody.into(), "56", "1");
    assert!(received == 0 && told.contains("prohibited"), "{told}");
    assert_eq!(facts(&house.boat).packets_in, 0);
    assert!(facts(&house.desk).dropped["not-permitted"] >= 4, "{:?}", facts(&house.desk));
    // The grant is what was missing.
    house.boat.ok(&["network", "grant", HOME, "gina", BOAT_IP]);
    reaches(&house.desk, boat);
}

#[test]
fn a_revoked_grant_cuts_what_is_open() {
    let house = guests();
    let boat = address(&house.boat);
    house.boat.ok(&["network", "grant", HOME, "gina", BOAT_IP]);
    reaches(&house.desk, boat);
    let listener = house.boat.host().enter(|| TcpListener::bind((boat, 7000)).unwrap());
    let stream = house.desk.host().enter(|| TcpStream::connect((boat, 7000)).unwrap());
    let (accepted, _) = listener.accept().unwrap();
    house.boat.ok(&["network", "revoke", HOME, "gina", BOAT_IP]);
    let revoked = Instant::now();
    until("the exchange ends", PATIENCE, || is(facts(&house.boat).nodes.is_empty(), "it stands"));
    assert!(revoked.elapsed() < CUT_WITHIN, "{:?}", revoked.elapsed());
    let (received, told) = pinged(&house.desk, boat, "56", "3");
    assert_eq!(received, 0, "{told}");
    drop((stream, accepted));
}

#[test]
fn a_node_that_opened_an_exchange_hears_answers_and_nothing_else() {
    let house = House::new();
    let (boat, desk) = (address(&house.boat), address(&house.desk));
    let socket = house.desk.host().enter(|| UdpSocket::bind((desk, 7001)).unwrap());
    let there = house.boat.host().enter(|| UdpSocket::bind((boat, 7000)).unwrap());
    for socket in [&socket, &there] {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    until("a question arrives", PATIENCE, || {
        socket.send_to(b"question", (boat, 7000)).unwrap();
        there.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let (length, from) = there.recv_from(&mut [0; 64]).map_err(|error| error.to_string())?;
        is((length, from) == (8, (desk, 7001).into()), format!("{length} of {from}"))
    });
    // Another port of the same node was not asked, and nobody there was.
    let (received, told) = pinged(&house.boat, desk, "56", "2");
    assert_eq!(received, 0, "{told}");
    let stranger = house.boat.host().enter(|| UdpSocket::bind((boat, 7002)).unwrap());
    stranger.send_to(b"unasked", (desk, 7001)).unwrap();
    there.send_to(b"answer", (desk, 7001)).unwrap();
    let mut buffer = [0; 64];
    let (length, from) = socket.recv_from(&mut buffer).unwrap();
    assert_eq!((&buffer[..length], from), (&b"answer"[..], (boat, 7000).into()));
    assert!(facts(&house.desk).dropped["unasked"] >= 3, "{:?}", facts(&house.desk));
    // Once the desk offers its address as well, it is reached.
    house.desk.expose("ip:", "desk-ip");
    reaches(&house.boat, desk);
}

#[test]
fn a_sender_that_is_not_the_node_stays_at_home() {
    let house = House::new();
    let (boat, desk) = (address(&house.boat), address(&house.desk));
    reaches(&house.desk, boat);
    let before = facts(&house.boat).packets_in;
    let mut another = desk.octets();
    another[15] ^= 1;
    let another = Ipv6Addr::from(another).to_string();
    let added = on(house.desk.host(), "ip", &["-6", "address", "add", &another, "dev", "coco-desk", "nodad"]);
    assert_eq!(added.code, 0, "{}", added.stderr);
    let to = boat.to_string();
    on(house.desk.host(), "ping", &["-6", "-n", "-c", "2", "-i", "0.2", "-W", "1", "-I", &another, &to]);
    assert!(facts(&house.desk).dropped["spoofed"] >= 2, "{:?}", facts(&house.desk));
    assert_eq!(facts(&house.boat).packets_in, before);
}

#[test]
fn a_withdrawn_address_falls_silent_although_both_have_spoken() {
    let house = House::new();
    house.desk.expose("ip:", "desk-ip");
    let (boat, desk) = (address(&house.boat), address(&house.desk));
    // The desk has an exchange of its own, by which its answers to the boat go.
    reaches(&house.desk, boat);
    reaches(&house.boat, desk);
    let listener = house.desk.host().enter(|| TcpListener::bind((desk, 7000)).unwrap());
    let mut asking = house.boat.host().enter(|| TcpStream::connect((desk, 7000)).unwrap());
    let (mut answering, _) = listener.accept().unwrap();
    for stream in [&asking, &answering] {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    let mut buffer = [0; 4];
    asking.write_all(b"ping").unwrap();
    answering.read_exact(&mut buffer).unwrap();
    answering.write_all(b"pong").unwrap();
    asking.read_exact(&mut buffer).unwrap();
    house.desk.ok(&["tunnel", "close", "desk-ip"]);
    asking.set_read_timeout(Some(CUT_WITHIN)).unwrap();
    answering.set_read_timeout(Some(CUT_WITHIN)).unwrap();
    let before = facts(&house.desk).dropped.get("unasked").copied().unwrap_or_default();
    asking.write_all(b"late").unwrap();
    answering.write_all(b"late").unwrap();
    assert!(answering.read(&mut buffer).is_err(), "what came after the right had ended");
    assert!(asking.read(&mut buffer).is_err(), "what was answered after the right had ended");
    let dropped = facts(&house.desk).dropped;
    assert!(dropped.get("unasked").copied().unwrap_or_default() > before, "{dropped:?}");
    assert!(dropped["not-permitted"] > 0, "{dropped:?}");
    // What the desk begins itself is none of that.
    reaches(&house.desk, boat);
}
