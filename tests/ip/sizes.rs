//! Packets of every length over paths that take less.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use coco_lab::{DEVICE, Site};

use crate::house::{House, address, facts, on, pinged, reaches};
use crate::support::bytes::noise;
use crate::support::wait::{PATIENCE, is, until};

#[test]
fn every_length_arrives_on_paths_of_every_mtu() {
    for mtu in ["1500", "1400", "1280"] {
        let house = House::with(&["--self"], Site::open());
        for app in [&house.boat, &house.desk] {
            let set = on(app.host(), "ip", &["link", "set", DEVICE, "mtu", mtu]);
            assert_eq!(set.code, 0, "{}", set.stderr);
        }
        let boat = address(&house.boat);
        reaches(&house.desk, boat);
        for size in ["0", "1300", "1332", "1400", "8000", "60000"] {
            let (received, told) = pinged(&house.desk, boat, size, "3");
            assert_eq!(received, 3, "{size} bytes with an MTU of {mtu}: {told}");
        }
        let sent = noise(7, 8_000_000);
        let listener = house.boat.host().enter(|| TcpListener::bind((boat, 7000)).unwrap());
        let taking = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut taken = Vec::new();
            stream.read_to_end(&mut taken).unwrap();
            stream.write_all(&taken).unwrap();
            taken
        });
        let mut stream = house.desk.host().enter(|| TcpStream::connect((boat, 7000)).unwrap());
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&sent).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut back = Vec::new();
        stream.read_to_end(&mut back).unwrap();
        assert!(taking.join().unwrap() == sent && back == sent, "MTU {mtu}");
    }
}

#[test]
fn who_sends_more_than_the_path_takes_is_told_how_much_that_is() {
    let house = House::with(&["--self"], Site::open());
    for app in [&house.boat, &house.desk] {
        let set = on(app.host(), "ip", &["link", "set", DEVICE, "mtu", "1380"]);
        assert_eq!(set.code, 0, "{}", set.stderr);
    }
    let boat = address(&house.boat);
    reaches(&house.desk, boat);
    // Not at once: the path is being measured.
    let told = until("the sender is told", PATIENCE, || {
        let words = ["-6", "-n", "-M", "do", "-s", "1332", "-c", "1", "-W", "1", &boat.to_string()];
        let ran = on(house.desk.host(), "ping", &words);
        let told = format!("{}{}", ran.stdout, ran.stderr);
        is(told.contains("too big") || told.contains("too long"), &told).map(|()| told)
    });
    let mtu =
        told.split_once("mtu").and_then(|(_, rest)| rest[1..].split(|c: char| !c.is_ascii_digit()).next());
    let mtu: u16 = mtu.unwrap().parse().unwrap();
    assert!((1280..1340).contains(&mtu), "{told}");
    assert!(facts(&house.desk).dropped["too-big"] >= 1);
    // The other end's answers are as long, and it has to be told as well.
    until("every answer comes", PATIENCE, || {
        let (received, told) = pinged(&house.desk, boat, "1332", "3");
        is(received == 3, told)
    });
}
