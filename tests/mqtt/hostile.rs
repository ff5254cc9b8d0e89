//! Packets that are none: the connection ends, it is counted, and the broker hears nothing of it.

use std::io::Read;
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::house::{BUS, facts};
use crate::support::net::{App, Net};
use crate::support::targets::serve;
use crate::support::wait::PATIENCE;
use crate::wire::{Raw, connect, connect_5, packet};

/// Longest wait for a CONNECT.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A network with a broker that says nothing and tells what it heard; and the local port.
fn silent_broker(net: &Net) -> (App, App, u16, Receiver<Vec<u8>>) {
    let (camera, viewer) = net.pair();
    let (heard, hears) = channel();
    let address = serve(move |mut stream: TcpStream| {
        let mut bytes = Vec::new();
        // Ended by a reset, perhaps.
        let _ = stream.read_to_end(&mut bytes);
        let _ = heard.send(bytes);
    });
    camera.expose(&format!("mqtt://{address}"), BUS);
    let port = viewer.open_address(BUS).port();
    // Exposing and opening it, the daemons looked whether it answers.
    for _ in 0..2 {
        assert_eq!(hears.recv_timeout(PATIENCE).unwrap(), b"");
    }
    (camera, viewer, port, hears)
}

/// What the broker heard next; a daemon that looks whether it answers says nothing.
fn heard(hears: &Receiver<Vec<u8>>) -> Vec<u8> {
    loop {
        let bytes = hears.recv_timeout(PATIENCE).unwrap();
        if !bytes.is_empty() {
            return bytes;
        }
    }
}

#[test]
fn a_first_packet_that_is_no_connect_reaches_no_broker() {
    let net = Net::new();
    let (camera, _viewer, port, hears) = silent_broker(&net);
    let wrong_level = [&connect("c")[..8], &[6], &connect("c")[9..]].concat();
    let cases: [(&str, Vec<u8>, bool); 9] = [
        ("PUBLISH", packet(0x30, b"\0\x01ax"), false),
        ("PINGREQ", vec![0xc0, 0], false),
        ("HTTP", b"GET / HTTP/1.1\r\nHost: bus\r\n\r\n".to_vec(), false),
        ("TLS", vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc], false),
        ("a length of five bytes", vec![0x10, 0xff, 0xff, 0xff, 0xff, 0x7f], false),
        ("a CONNECT of 256 MiB", vec![0x10, 0xff, 0xff, 0xff, 0x7f], false),
        ("a client id that is no UTF-8", packet(0x10, b"\0\x04MQTT\x04\x02\0\x3c\0\x01\xff"), false),
        ("a client id with NUL", packet(0x10, b"\0\x04MQTT\x04\x02\0\x3c\0\x01\0"), false),
        ("level 6", wrong_level, true),
    ];
    let count = cases.len() as u64;
    for (what, bytes, answered) in cases {
        let mut raw = Raw::to(port);
        raw.says(&bytes);
        if answered {
            assert_eq!(raw.hears(), [0x20, 2, 0, 1], "{what}");
        }
        assert_eq!(raw.ends(), answered, "{what}");
        assert_eq!(hears.recv_timeout(PATIENCE).unwrap(), b"", "{what}");
    }
    assert_eq!(facts(&camera).malformed, count);
}

#[test]
fn a_connect_that_does_not_come_is_not_waited_for() {
    let net = Net::new();
    let (camera, _viewer, port, hears) = silent_broker(&net);
    let began = Instant::now();
    let mut raw = Raw::to(port);
    raw.says(&connect("slow")[..10]);
    assert!(!raw.ends());
    let took = began.elapsed();
    assert!(took >= CONNECT_TIMEOUT && took < CONNECT_TIMEOUT + Duration::from_secs(5), "{took:?}");
    assert_eq!(hears.recv_timeout(PATIENCE).unwrap(), b"");
    assert_eq!(facts(&camera).malformed, 1);
}

#[test]
fn what_comes_after_a_good_packet_does_not_take_it_along() {
    let net = Net::new();
    let (camera, _viewer, port, hears) = silent_broker(&net);
    for bad in [
        connect("again"),
        packet(0x30, b"\0\x01\xffx"),
        packet(0x30, b"\0\x02a#x"),
        packet(0x20, &[0, 0]),
        vec![0x30, 0xff, 0xff, 0xff, 0xff, 0x01],
        packet(0x82, b"\0\0\0\x01a\0"),
        vec![0xf0, 0],
    ] {
        let good = [connect("gina"), packet(0x30, b"\0\x01ax")].concat();
        let mut raw = Raw::to(port);
        raw.says(&[good.clone(), bad].concat());
        assert!(!raw.ends());
        assert_eq!(heard(&hears), good);
    }
    // Version 5 is told, here before a CONNACK.
    let mut raw = Raw::to(port);
    raw.says(&[connect_5("gina"), vec![0xc0, 1, 0]].concat());
    assert_eq!(raw.hears(), [0x20, 3, 0, 0x81, 0]);
    assert!(raw.ends());
    assert_eq!(heard(&hears), connect_5("gina"));
    assert_eq!(facts(&camera).malformed, 8);
}
