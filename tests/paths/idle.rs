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
    let ends = [&camera, &viewer].map(|app| app.host());
    let before = ends.map(|host| host.tried());
    for host in ends {
        host.wire().forget_sent();
    }
    std::thread::sleep(COUNTED);
    for ((app, host), before) in [&camera, &viewer].into_iter().zip(ends).zip(before) {
        let sent = host.wire().sent();
        println!("{} in {COUNTED:?}: {}\n    {sent:?}", app.name, packets(&sent));
        let tried = packets(&host.tried()) - packets(&before);
        assert!(tried <= PACKETS_MAX, "{} tried to send {tried} packets: {sent:?}", app.name);
        assert!(packets(&sent) <= PACKETS_MAX, "{} sent {} packets: {sent:?}", app.name, packets(&sent));
    }
    // Quiet, not dead.
    assert_eq!(way(&viewer), "direct");
    assert_alive(&viewer, address);
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
