//! What nodes send that nobody uses.

use std::time::Duration;

use coco_lab::{Sent, Site};

use crate::support::net::App;
use crate::support::wait::{PATIENCE, is, until};
use crate::world::{World, connect, offer_echo, round_trip, way};

/// Packets that an idle node with one manager and one idle peer may send in a minute.
const PACKETS_MAX: u64 = 10;

/// Until a session counts as idle, and what was put off has been done.
const CALM: Duration = Duration::from_secs(20);

/// How long is counted.
const COUNTED: Duration = Duration::from_secs(60);

/// How often is counted at most. QUIC asks again, two packets each time, when a ping is not acknowledged a few
/// milliseconds after its round trip: a machine that stood still for a tenth of a second spoils one minute,
/// something that nodes do by themselves spoils all.
const MINUTES: usize = 5;

#[test]
fn an_idle_node_with_one_manager_and_one_idle_peer_sends_ten_packets_a_minute_at_most() {
    let world = World::new();
    let [home, other] = [(); 2].map(|()| world.internet.site(Site::port_restricted()));
    let (camera, viewer) = world.pair(home.host("camera"), other.host("viewer"));
    offer_echo(&camera, "echo");
    let address = viewer.open_address("echo");
    round_trip(&mut connect(&viewer, address));
    until("the way is direct", PATIENCE, || is(way(&viewer) == "direct", way(&viewer)));
    std::thread::sleep(CALM);
    let calm = (1..=MINUTES).any(|minute| {
        let counts = minute_of([&camera, &viewer]);
        println!("minute {minute}: {counts:?} packets");
        counts.iter().all(|count| *count <= PACKETS_MAX)
    });
    assert!(calm, "in no minute did both send {PACKETS_MAX} packets at most");
    // Quiet, not dead.
    assert_eq!(way(&viewer), "direct");
    assert_alive(&viewer, address);
}

/// How many packets each sends in the next minute, or tries to.
fn minute_of(apps: [&App; 2]) -> [u64; 2] {
    let before = apps.map(|app| packets(&app.host().tried()));
    for app in apps {
        app.host().wire().forget_sent();
    }
    std::thread::sleep(COUNTED);
    std::array::from_fn(|at| {
        let (app, host) = (apps[at], apps[at].host());
        let sent = host.wire().sent();
        let tried = packets(&host.tried()) - before[at];
        println!("{} in {COUNTED:?}: {} of {tried} tried\n    {sent:?}", app.name, packets(&sent));
        packets(&sent).max(tried)
    })
}

fn assert_alive(viewer: &App, address: std::net::SocketAddr) {
    let took = round_trip(&mut connect(viewer, address));
    println!("round trip after that: {took:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
}

fn packets(sent: &[Sent]) -> u64 {
    // A program that talks to itself on its machine disturbs nobody.
    sent.iter().filter(|sent| !sent.to.is_loopback()).map(|sent| sent.packets).sum()
}
