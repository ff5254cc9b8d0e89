//! A plan's quota, from the first relayed byte to the last.

#![expect(clippy::print_stdout, reason = "what was measured")]

use std::time::{Duration, Instant};

use coco_lab::Site;
use coconet::control::Usage;

use crate::operator::reconfigure;
use crate::support::net::{App, HOME};
use crate::support::wait::{PATIENCE, is, until};
use crate::transfer::{Offer, Transfer};
use crate::world::{World, way};

/// What the relay carries in a month, by the plan.
const LIMIT: u64 = 100_000_000;

/// How exactly it ends there: a hundredth.
const TOLERANCE: u64 = LIMIT / 100;

/// Bytes a second; the quota is used up after a few seconds.
const RATE: u64 = 15_000_000;

/// IP, UDP and frame headers of a relayed packet.
const HEADERS: u64 = 20 + 8 + 9;

/// What counts may lack after a kill: what was relayed in the last second.
const LOST_MAX: u64 = RATE + RATE / 10;

/// Exit code of `cococtl` when a quota is used up.
const QUOTA: i32 = 7;

/// Two homes that need the relay, a neighbour of theirs that does not, and a manager with a plan.
struct House {
    camera: App,
    viewer: App,
    neighbour: App,
    world: World,
}

impl House {
    fn new() -> Self {
        let mut world = World::new();
        reconfigure(&mut world, "#plan = \"free\"", "plan = \"free\"");
        let [camera, viewer] = ["camera", "viewer"].map(|name| world.internet.site(Site::symmetric()).host(name));
        let neighbour = world.internet.site(Site::open()).host("neighbour");
        let (camera, viewer) = world.pair(camera, viewer);
        let neighbour = world.app(&std::sync::Arc::new(neighbour));
        neighbour.join(&camera.invite(HOME, &["--self"]));
        Self { camera, viewer, neighbour, world }
    }

    fn used(&self) -> u64 {
        let usage: Usage = self.camera.json(&["usage", HOME]);
        assert_eq!((usage.limit, usage.whole), (Some(LIMIT), true));
        usage.used
    }

    /// Bytes that the relay has sent out, without headers, as the wire saw them.
    fn carried(&self) -> u64 {
        let sent = self.world.hub.wire().sent();
        let udp = sent.iter().filter(|sent| sent.protocol == "udp");
        udp.map(|sent| sent.bytes.saturating_sub(sent.packets * HEADERS)).sum()
    }
}

#[test]
fn a_relayed_transfer_ends_at_the_quota_and_a_direct_one_goes_on() {
    let house = House::new();
    let (film, talk) = (Offer::new(&house.camera, "film"), Offer::new(&house.camera, "talk"));
    let direct = Transfer::start(&talk, &house.neighbour, Some(1_000_000));
    direct.until_by("direct", &house.neighbour, Instant::now(), Duration::from_secs(10));
    let used_before = house.used();
    house.world.hub.wire().forget_sent();
    let relayed = Transfer::start(&film, &house.viewer, Some(RATE));
    assert_eq!(way(&house.viewer), "relay");
    until("the quota is used up", PATIENCE, || is(house.used() >= LIMIT - TOLERANCE, house.used()));
    until("nothing comes any more", PATIENCE, || {
        let pause = relayed.longest_pause(Instant::now());
        is(pause >= Duration::from_secs(2), format!("{pause:?}"))
    });
    let (used, carried) = (house.used(), house.carried() + used_before);
    println!("of {LIMIT} bytes {used} were counted, {carried} on the wire, {} arrived", relayed.received());
    assert!(used.abs_diff(LIMIT) <= TOLERANCE, "{used}");
    // The wire has the manager's own messages as well.
    assert!(carried.abs_diff(LIMIT) <= TOLERANCE * 2, "{carried}");
    assert!(relayed.received() >= LIMIT * 8 / 10, "{}", relayed.received());

    let began = Instant::now();
    let told = house.viewer.refused(&[QUOTA], &["tunnel", "open", "talk"]);
    println!("refused after {:?}: {told}", began.elapsed());
    assert!(told.contains("the relay's quota of this month is used up") && told.contains("cococtl usage"), "{told}");
    assert_eq!(way(&house.neighbour), "direct");
    assert!(direct.rate_over(Duration::from_secs(1)) > 500_000.0);
    direct.finish(0);
}

#[test]
fn a_manager_that_is_killed_within_a_second_of_traffic_knows_what_it_has_relayed() {
    let mut house = House::new();
    let film = Offer::new(&house.camera, "film");
    let relayed = Transfer::start(&film, &house.viewer, Some(RATE));
    assert_eq!(way(&house.viewer), "relay");
    house.world.hub.wire().forget_sent();
    let before = house.used();
    relayed.await_bytes(RATE);
    let carried = house.carried();
    house.world.kill_manager();
    let killed = Instant::now();
    house.world.start_manager();
    house.camera.wait_online();
    let used = house.used();
    println!(
        "{} MB relayed when the manager was killed, {:.1} MB counted {:?} after that",
        (before + carried) / 1_000_000,
        used as f64 / 1e6,
        killed.elapsed()
    );
    assert!(used + LOST_MAX >= before + carried, "{used} of {before} and {carried}");
    // What was lost was relayed, but not counted; nothing is counted twice.
    assert!(used <= house.carried() + before + LIMIT / 100 + RATE, "{used}");
}
