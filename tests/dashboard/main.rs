//! The dashboard as a person sees it: real keys in a real terminal, before real daemons. A network of hundreds
//! and one in which nothing happens are played.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[allow(dead_code, reason = "each test program uses its part of it")]
#[path = "../support/control.rs"]
mod control;
#[allow(dead_code, reason = "it is shared with the bench")]
mod crowd;
mod screen;
#[allow(dead_code, reason = "each test program uses its part of it")]
#[path = "../support/mod.rs"]
mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::control::Heard;
use crate::crowd::Crowd;
use crate::screen::Screen;
use crate::support::net::{HOME, Lab, Net};
use crate::support::targets::{echo, serve};
use crate::support::wait::{PATIENCE, is, until};

/// Resident memory that the dashboard may have, in bytes, whatever there is to show.
const MEMORY_MAX: u64 = 50_000_000;

/// Looks at the daemon in which nothing happens.
const LOOKS: usize = 3;

#[test]
fn a_network_is_watched_while_things_happen_in_it() {
    let net = Net::new();
    let (mut camera, mut viewer) = net.pair();
    camera.expose(&format!("tcp://{}", serve(echo)), "door");
    let mut screen = Screen::of(&net.lab, &viewer, 100, 30);
    screen.shows(&["1 Overview", "home as viewer", "manager online", "tunnels   0 of 0 open"]);
    screen.shows(&["nat       mapping none"]);

    // A tunnel is opened beside it, and carries traffic.
    let address = viewer.open_address("door");
    let mut stream = TcpStream::connect(address).unwrap();
    let mut back = stream.try_clone().unwrap();
    // Some MB a second, and not all that the machine can do.
    thread::spawn(move || {
        while stream.write_all(&[7; 60_000]).is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    thread::spawn(move || {
        let mut bytes = vec![0; 1 << 16];
        while back.read(&mut bytes).is_ok_and(|read| read > 0) {}
    });
    screen.keys(&["2"]);
    screen.shows(&["camera", "direct 127.0.0.1:", " MB"]);
    screen.keys(&["p"]);
    screen.shows(&["camera answered in "]);
    screen.keys(&["Enter"]);
    screen.shows(&["ledger     entry", "id         n:"]);
    // A key right after it would be one with Alt, as terminals have it.
    screen.keys(&["Escape"]);
    screen.shows_no_more("id         n:");
    screen.keys(&["3"]);
    screen.shows(&["door", "tcp://127.0.0.1:", " MB"]);

    // Rows are filtered, and a filter is dropped.
    screen.keys(&["/", "n", "o", "n", "e", "Enter"]);
    screen.shows(&["nothing has \"none\" in it"]);
    screen.keys(&["Escape"]);
    screen.shows(&["tcp://127.0.0.1:"]);

    // Who is a member is seen, and what has happened.
    screen.keys(&["4"]);
    screen.shows(&["owner", "viewer", "online"]);
    screen.keys(&["6"]);
    screen.shows(&["peer-connected", "door is open"]);

    // The other daemon goes, and comes again.
    camera.kill();
    screen.keys(&["2"]);
    screen.shows(&["camera", "silent: no answer for"]);
    camera.start();
    screen.shows(&["camera", "direct 127.0.0.1:"]);

    // Our own goes, and comes again.
    viewer.kill();
    screen.shows(&["daemon not reachable", "camera"]);
    viewer.start();
    screen.shows_no_more("daemon not reachable");
    screen.shows(&["manager online"]);

    // It is asked before a tunnel is closed.
    screen.keys(&["3", "x"]);
    screen.shows(&["close door of home"]);
    screen.keys(&["n", "x", "y"]);
    screen.shows(&["no tunnels"]);

    // The terminal may change its size, and is given back as it was.
    screen.resize(60, 12);
    screen.keys(&["3"]);
    screen.shows(&["no tunnels", "tunnel open RESOURCE", "? help"]);
    screen.keys(&["q"]);
    screen.shows(&["left with 0"]);
    screen.shows_no_more("1 Overview");
}

#[test]
fn the_quota_of_the_relay_is_seen_to_fill() {
    let mut net = Net::new();
    net.kill_manager();
    let file = net.lab.path("manager").join("manager.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("#plan = \"free\""), "{text}");
    std::fs::write(&file, text.replace("#plan = \"free\"", "plan = \"free\"")).unwrap();
    net.start_manager();
    let (camera, viewer) = net.pair();
    camera.expose(&format!("tcp://{}", serve(echo)), "door");
    let mut screen = Screen::of(&net.lab, &viewer, 100, 30);
    screen.keys(&["5"]);
    screen.shows(&[HOME, "0 B of 100 MB, 0 %", "no peer is relayed now"]);

    viewer.ok(&["tunnel", "open", "door", "--path", "relay-only"]);
    let address = viewer.tunnel("door").listen.unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let half = 22_000_000;
    let mut back = stream.try_clone().unwrap();
    let reader = thread::spawn(move || {
        let mut left = half;
        let mut bytes = vec![0; 1 << 16];
        while left > 0 {
            left -= back.read(&mut bytes).unwrap().min(left);
        }
    });
    stream.write_all(&vec![7; half]).unwrap();
    reader.join().unwrap();
    screen.shows(&[
        "###",
        "1 peer relayed now",
        "direct would save",
        "camera",
        "relay 127.0.0.1:",
        " MB of 100 MB",
    ]);
}

#[test]
fn a_signal_gives_the_terminal_back_and_colours_can_be_left_out() {
    let net = Net::new();
    let (_camera, viewer) = net.pair();
    let mut screen = Screen::with(&net.lab, &viewer, (80, 24), &[("NO_COLOR", "1")]);
    screen.shows(&["1 Overview", "manager online"]);
    let raw = screen.raw();
    let codes = raw.split("\x1b[").skip(1).filter_map(|code| code.split('m').next());
    let numbers: Vec<u16> =
        codes.flat_map(|code| code.split(';')).filter_map(|code| code.parse().ok()).collect();
    let colours = numbers.iter().filter(|code| matches!(code, 30..=38 | 40..=48 | 90..=107)).count();
    assert!(!numbers.is_empty() && colours == 0, "{raw:?}");
    screen.signal(Signal::SIGTERM);
    screen.shows(&["left with 0"]);
    screen.shows_no_more("1 Overview");
}

#[test]
fn without_a_terminal_it_says_what_else_there_is() {
    let net = Net::new();
    let app = net.app("viewer");
    let said = app.refused(&[2], &["dashboard"]);
    assert!(said.contains("needs a terminal") && said.contains("status --watch --json"), "{said}");
    let said = app.refused(&[2], &["dashboard", "--json"]);
    assert!(said.contains("for people"), "{said}");
}

#[test]
fn a_network_of_hundreds_takes_little_memory() {
    let lab = Lab::apart();
    let socket = lab.path("crowd.sock");
    let heard = Crowd::MANY.play(&socket);
    let mut screen = Screen::on(&lab, &socket, 120, 40);
    screen.shows(&["250 direct, 125 relayed, 125 offline", "180 of 200 open", "front-door-camera-999"]);
    screen.keys(&["2"]);
    screen.shows(&["front-door-camera-000", "direct 198.51.100.0:40000"]);
    screen.keys(&["s", "/", "r", "Enter", "G"]);
    screen.shows(&["PEER^", "front-door-camera-499"]);
    screen.keys(&["Enter"]);
    screen.shows(&["499 of 100000 packets"]);
    screen.keys(&["Escape"]);
    screen.shows_no_more("499 of 100000 packets");
    screen.keys(&["3", "G"]);
    screen.shows(&["front-door-199", "failed"]);
    screen.keys(&["4"]);
    screen.shows(&["person-000", "holds now", "Mon,Wed,Fri"]);
    screen.keys(&["G"]);
    screen.shows(&["person-099", "front-door-camera-499"]);
    screen.keys(&["5"]);
    screen.shows(&["465 MB of 1", "front-door-camera-000"]);
    screen.keys(&["6", "G"]);
    screen.shows(&["front-door-camera-000 direct 198.51.100.0:4433"]);
    // What is frozen is kept beside what comes.
    screen.keys(&["Space"]);
    screen.shows(&["frozen"]);
    looked(&heard, LOOKS);
    let memory = screen.peak_memory();
    assert!(memory < MEMORY_MAX, "{memory} bytes");
    screen.keys(&["q"]);
    screen.shows(&["left with 0"]);
}

#[test]
fn what_does_not_change_is_not_drawn_again() {
    let lab = Lab::apart();
    let (socket, written) = (lab.path("crowd.sock"), lab.path("written"));
    let heard = Crowd::FEW.play(&socket);
    let mut screen = Screen::on(&lab, &socket, 80, 24);
    screen.shows(&["home as viewer", "mapping endpoint-independent", "front-door-camera-009"]);
    looked(&heard, LOOKS);
    screen.record(&written);
    looked(&heard, LOOKS);
    let bytes = std::fs::read(&written).unwrap();
    assert!(bytes.is_empty(), "{:?}", String::from_utf8_lossy(&bytes));
    screen.keys(&["2"]);
    screen.shows(&["front-door-camera-004"]);
    until("what changes is", PATIENCE, || {
        is(std::fs::read(&written).is_ok_and(|bytes| !bytes.is_empty()), "nothing is written")
    });
}

/// Waits until the daemon was looked at so many times more.
fn looked(heard: &Heard, times: usize) {
    let looks = || heard.all().iter().filter(|asked| asked.line == "GET /v1/status").count();
    let before = looks();
    until("the daemon is looked at", PATIENCE, || is(looks() >= before + times, looks()));
}
