//! A hostile relay, between two nodes that have nothing else.

use std::time::{Duration, Instant};

use coco_lab::{Host, Site};

use coconet::manager_addr::ManagerAddr;

use crate::middle::{Malice, Middle};
use crate::operator::{manager, manager_address};
use crate::random::Random;
use crate::support::net::{App, HOME};
use crate::transfer::{Offer, Transfer};
use crate::world::{World, way};

/// What a transfer carries at least under these conditions.
const LEAST: u64 = 16 << 20;

/// How soon data flows when the relay behaves again.
const WELL_AGAIN: Duration = Duration::from_secs(5);

/// Exit code of `cococtl` when a node cannot be reached.
const TIMED_OUT: i32 = 6;

/// All at once, but no more than so that something gets through.
const SPITEFUL: Malice = Malice {
    drop: 0.01,
    duplicate: 0.02,
    reorder: 0.02,
    delay: 0.01,
    alter: 0.01,
    resize: 0.01,
    replay: 0.02,
    reflect: 0.02,
};

/// A symmetric pair that knows its manager only by the one in the middle.
struct Plot {
    middle: Middle,
    camera: App,
    viewer: App,
    _world: World,
    _host: Host,
}

impl Plot {
    fn new() -> Self {
        let mut world = World::new();
        let host = world.internet.public_host("middle");
        let middle = Middle::start(&host, manager_address(&world), Random::from_environment());
        let told = ManagerAddr { host: host.v4().to_string().parse().unwrap(), ..manager(&world) };
        world.address = told.to_string();
        let [camera, viewer] =
            ["camera", "viewer"].map(|name| world.internet.site(Site::symmetric()).host(name));
        let (camera, viewer) = world.pair(camera, viewer);
        Self { middle, camera, viewer, _world: world, _host: host }
    }
}

#[test]
fn a_relay_that_does_its_worst_changes_no_byte() {
    let plot = Plot::new();
    let offer = Offer::new(&plot.camera, "film");
    let transfer = Transfer::start(&offer, &plot.viewer, None);
    assert_eq!(way(&plot.viewer), "relay");
    plot.middle.set(SPITEFUL);
    let began = Instant::now();
    transfer.finish(LEAST);
    let done = plot.middle.done();
    println!("{LEAST} bytes in {:?} in spite of {done:?}", began.elapsed());
    assert!(done.iter().all(|count| *count >= 20), "{done:?}");
    assert_eq!(way(&plot.viewer), "relay");
}

#[test]
fn a_relay_that_alters_every_packet_gets_nothing_through_and_a_transfer_waits_for_it_to_stop() {
    let plot = Plot::new();
    let offer = Offer::new(&plot.camera, "film");
    let transfer = Transfer::start(&offer, &plot.viewer, Some(5_000_000));
    transfer.await_bytes(5_000_000);
    plot.middle.set(Malice { alter: 1.0, ..Malice::default() });
    // What had passed before that is on its way for a moment.
    std::thread::sleep(Duration::from_millis(100));
    let before = transfer.received();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(transfer.received(), before);
    plot.middle.set(Malice::default());
    let after = transfer.until_by("relay", &plot.viewer, Instant::now(), WELL_AGAIN);
    println!("data {after:?} after the relay behaves");
    transfer.finish(0);
}

#[test]
fn behind_a_relay_that_lets_nothing_through_an_open_fails_with_the_reason() {
    let plot = Plot::new();
    let _offer = Offer::new(&plot.camera, "film");
    plot.middle.set(Malice { alter: 1.0, ..Malice::default() });
    let began = Instant::now();
    let told = plot.viewer.refused(&[TIMED_OUT], &["tunnel", "open", "film"]);
    println!("refused after {:?}: {told}", began.elapsed());
    assert!(told.contains("camera is offline or cannot be reached") && told.contains("hint: "), "{told}");
    // The manager itself is heard: only what it relays is bad.
    assert_eq!(plot.viewer.network(HOME).manager.state, coconet::control::ManagerLink::Online);
}
