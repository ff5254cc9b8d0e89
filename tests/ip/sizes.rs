//! Packets of every length over paths that take less.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use coco_lab::{DEVICE, Site};

use crate::house::{House, address, on, pinged, reaches};
use crate::support::bytes::noise;
use crate::support::wait::PATIENCE;

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
