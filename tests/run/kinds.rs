//! Programs as people use them, each at the port its protocol has.

use std::net::UdpSocket;

use serde_json::Value;

use crate::house::House;
use crate::support::net::HOME;
use crate::support::process::Process;
use crate::support::programs::theirs;
use crate::support::targets::{Mosquitto, Nginx, camera, echo, serve};
use crate::support::wait::{PATIENCE, is, until};

/// Pictures in two seconds of the camera's film, at least.
const PICTURES_MIN: u64 = 25;

#[test]
fn a_web_page_and_a_broker_are_where_programs_look_for_them() {
    let house = House::new();
    let nginx = Nginx::start(&house.net.lab);
    nginx.file("page", "a page\n");
    let broker = Mosquitto::start(&house.net.lab);
    house.expose(&nginx.url(), "web");
    house.expose(&format!("mqtt://127.0.0.1:{}", broker.port), "broker");
    assert_eq!(house.ok_inside(&["curl", "-sS", "http://web.home.coco/page"]), "a page\n");
    // Another name would be a web page that wants to be taken for this one.
    let other = [
        "curl",
        "-sS",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        "-H",
        "Host: x.example",
        "http://web.home.coco/",
    ];
    assert_eq!(house.ok_inside(&other), "421");

    let hears = ["mosquitto_sub", "-h", "broker.home.coco", "-t", "hall/#", "-C", "1", "-W", "50"];
    let mut subscriber: Process = house.begin_inside("sub", &hears);
    until("the message arrives", PATIENCE, || {
        let said = ["mosquitto_pub", "-h", "broker.home.coco", "-t", "hall/light", "-m", "on"];
        house.ok_inside(&said);
        is(subscriber.output() == b"on\n", house.net.lab.log("sub"))
    });
    assert!(subscriber.ended(PATIENCE).success());
}

#[test]
fn a_film_is_seen_over_tcp_and_over_udp() {
    // Looked for here, so that a machine without it says what to install.
    theirs("ffprobe");
    let house = House::new();
    let (_camera, url) = camera(&house.net.lab);
    house.expose(&url, "front-door");
    let path = url.splitn(4, '/').nth(3).unwrap();
    let url = format!("rtsp://front-door.{HOME}.coco/{path}");
    for transport in ["tcp", "udp"] {
        let look =
            ["ffprobe", "-v", "error", "-rtsp_transport", transport, "-select_streams", "v", "-of", "json"];
        let count =
            ["-read_intervals", "%+2", "-count_frames", "-show_entries", "stream=codec_name,nb_read_frames"];
        let told: Value =
            serde_json::from_str(&house.ok_inside(&[&look[..], &count, &[&url]].concat())).unwrap();
        let video = &told["streams"][0];
        assert_eq!(video["codec_name"], "h264", "{transport}: {told}");
        let pictures: u64 = video["nb_read_frames"].as_str().unwrap().parse().unwrap();
        assert!(pictures >= PICTURES_MIN, "{transport}: {told}");
    }
}

#[test]
fn other_services_have_the_port_of_their_target() {
    let house = House::new();
    let tcp = serve(echo);
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    house.expose(&format!("tcp://{tcp}"), "shell");
    house.expose(&format!("udp://{}", udp.local_addr().unwrap()), "game");
    let answers = std::thread::spawn(move || {
        let mut datagram = [0; 64];
        let (length, from) = udp.recv_from(&mut datagram).unwrap();
        udp.send_to(&datagram[..length], from).unwrap();
        udp
    });
    let port = tcp.port().to_string();
    assert_eq!(house.ok_inside(&["/usr/bin/python3", "-c", TALK, "shell.home.coco", &port]), "hello\n");
    let told = house.ok_inside(&["cat", "/etc/hosts"]);
    let line = told.lines().find(|line| line.contains("game.home.coco")).unwrap();
    let port = line.rsplit(' ').next().unwrap();
    assert_eq!(house.ok_inside(&["/usr/bin/python3", "-c", EXCHANGE, "game.home.coco", port]), "hello\n");
    answers.join().unwrap();
}

#[test]
fn who_is_outside_reaches_nothing_of_it() {
    let house = House::new();
    house.expose(&format!("tcp://{}", serve(echo)), "shell");
    let mut inside = house.begin_inside("inside", &["sh", "-c", "cat /etc/hosts; exec sleep 60"]);
    let line = inside.says("shell.home.coco");
    let (address, port) = (line.split(' ').next().unwrap(), line.rsplit(' ').next().unwrap());
    let outside = std::net::TcpStream::connect(format!("{address}:{port}"));
    assert_eq!(outside.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    let tunnels = house.tunnels();
    let [tunnel] = tunnels.as_slice() else { panic!("{tunnels:?}") };
    assert_eq!(tunnel.run, Some(inside.pid()));
    assert_eq!(tunnel.listen.as_deref(), Some(format!("{address}:{port}").as_str()));
    let list = house.ok(&["tunnel", "list"]);
    assert!(list.contains(&format!("run {}", inside.pid())), "{list}");
    drop(inside);
    until("it is forgotten", PATIENCE, || {
        let left = house.tunnels();
        is(left.is_empty(), format!("{left:?}"))
    });
}

/// Says hello over TCP and prints what comes back.
const TALK: &str = "\
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 20)
s.sendall(b'hello')
print(s.recv(5).decode())
";

/// The same with datagrams.
const EXCHANGE: &str = "\
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(20)
s.sendto(b'hello', (sys.argv[1], int(sys.argv[2])))
print(s.recv(5).decode())
";
