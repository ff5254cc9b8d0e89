//! A plan's quota, from the first relayed byte to the last.

use std::thread::sleep;
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

/// What two nodes that have nothing to say send through the relay in the meantime, at most.
const CARE: u64 = 100_000;

/// After that long all has been counted.
const SETTLED: Duration = Duration::from_secs(1);

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
        let [camera, viewer] =
            ["camera", "viewer"].map(|name| world.internet.site(Site::symmetric()).host(name));
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

    /// The same of a manager that has just been started.
    fn used_once_online(&self) -> u64 {
        until("the manager is heard again", PATIENCE, || {
            let ran = self.camera.ctl(&["usage", HOME]);
            is(ran.code == 0, ran.stderr)
        });
        self.used()
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
    let direct = Transfer::start(&talk, &house.neighbour, Some(4_000_000));
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
    assert!(told.contains("the relay's quota of this month is used up"), "{told}");
    assert!(
        told.lines().any(|line| line.starts_with("hint: cococtl") && line.ends_with("usage home")),
        "{told}"
    );
    assert_eq!(way(&house.neighbour), "direct");
    assert!(direct.rate_over(Duration::from_secs(1)) > 500_000.0);
    direct.finish(0);
}

#[test]
fn a_manager_that_is_killed_knows_what_it_has_relayed_but_for_the_last_second() {
    let mut house = House::new();
    let film = Offer::new(&house.camera, "film");
    let relayed = Transfer::start(&film, &house.viewer, Some(RATE));
    assert_eq!(way(&house.viewer), "relay");
    relayed.await_bytes(RATE);
    house.world.kill_manager();
    let carried = house.carried();
    house.world.start_manager();
    let used = house.used_once_online();
    println!("killed while it relayed: {carried} bytes were, {used} were counted");
    assert!(used + LOST_MAX >= carried, "{used} of {carried}");

    relayed.until_by("relay", &house.viewer, Instant::now(), PATIENCE);
    relayed.finish(0);
    sleep(SETTLED);
    let (before, carried) = (house.used(), house.carried());
    house.world.kill_manager();
    house.world.start_manager();
    let used = house.used_once_online();
    println!("killed a second after that: {carried} bytes were, {used} were counted");
    // Nothing more is lost. Ways are looked after meanwhile, which is little.
    assert!(used.abs_diff(before) <= CARE, "{before}, then {used}");
    assert!(used <= carried + CARE && used + LOST_MAX >= carried, "{used} of {carried}");
}
