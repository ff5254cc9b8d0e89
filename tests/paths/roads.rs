//! The network changes in the middle of a transfer: nothing is lost, nothing comes twice, and the way is direct again
//! soon after that is possible.
//!
//! Every case runs [`RATE`] through a tunnel from a home to a viewer at another home, lets something happen, and
//! waits until data comes by the way it should. One of them carries a gigabyte, the others [`LEAST`], as a debug
//! build has to encrypt it all on what the machine has to spare.

use std::time::{Duration, Instant};

use coco_lab::{Site, SiteHandle};

use crate::support::net::App;
use crate::support::wait::{is, until_since};
use crate::transfer::{Offer, Transfer};
use crate::world::{World, peer, way};

/// Bytes a second: 160 Mbit/s.
const RATE: u64 = 20_000_000;

/// What a transfer carries at least.
const LEAST: u64 = 256 << 20;

/// What the longest one does.
const GIGABYTE: u64 = 1 << 30;

/// What has come before anything happens.
const BEGUN: u64 = RATE;

/// How soon the way has to be direct again, once that is possible.
const DIRECT_AGAIN: Duration = Duration::from_secs(5);

/// How soon data has to flow steadily by the direct way. The aim is [`DIRECT_AGAIN`], and what it took is printed; but
/// what was under way on a path that was given up may be found lost only later on a busy machine.
const DATA_AGAIN: Duration = Duration::from_secs(15);

/// How soon data flows when the only relay is back: both nodes have to notice, and to come back to it.
const RELAY_AGAIN: Duration = Duration::from_secs(10);

/// How soon data flows inside TLS when UDP no longer does: the manager is missed first, then looked for. That takes two
/// seconds; three times the round trip come on top where acknowledgements that were under way are said again, and
/// QUIC takes the silence for the round trip of the way that it then closes.
const INSIDE_TLS: Duration = Duration::from_secs(15);

/// How soon UDP is used when that is possible again.
const BACK_ON_UDP: Duration = Duration::from_secs(30);

/// How long a transfer may pause while the way changes.
const PAUSE_MAX: Duration = DATA_AGAIN;

/// Two homes on the internet, and a transfer between them.
struct Road {
    transfer: Transfer,
    viewer: App,
    camera: App,
    viewers: SiteHandle,
    cameras: SiteHandle,
    world: World,
}

impl Road {
    /// Between two homes like `site`, by a way that is `wanted`.
    fn between(site: &Site, wanted: &str) -> Self {
        let world = World::new();
        let (cameras, viewers) = (world.internet.site(site.clone()), world.internet.site(site.clone()));
        let (camera, viewer) = world.pair(cameras.host("camera"), viewers.host("viewer"));
        let offer = Offer::new(&camera, "film");
        let transfer = Transfer::start(&offer, &viewer, Some(RATE));
        transfer.until_by(wanted, &viewer, Instant::now(), DIRECT_AGAIN * 2);
        transfer.await_bytes(BEGUN);
        Self { transfer, viewer, camera, viewers, cameras, world }
    }

    /// Between usual homes, directly.
    fn direct() -> Self {
        Self::between(&Site::port_restricted(), "direct")
    }

    /// Between homes that need a relay.
    fn relayed() -> Self {
        Self::between(&Site::symmetric(), "relay")
    }

    /// Let something happen, after which a direct way is possible at once: it is found, and the transfer pauses only
    /// shortly.
    fn survives(&self, what: &str, happens: impl FnOnce()) {
        let began = Instant::now();
        happens();
        let possible = Instant::now();
        until_since(possible, "the way is direct", DIRECT_AGAIN, || {
            let way = way(&self.viewer);
            is(way == "direct", way)
        });
        let direct = self.transfer.until_by("direct", &self.viewer, possible, DATA_AGAIN);
        let pause = self.transfer.longest_pause(began);
        println!("{what}: direct after {direct:?}, longest pause {pause:?}: {}", self.told());
        assert!(pause <= PAUSE_MAX, "{what}: {pause:?} without data");
    }

    fn told(&self) -> String {
        let peer = peer(&self.viewer);
        format!("{}, {}", peer.path.unwrap_or_default(), peer.why.unwrap_or_default())
    }
}

#[test]
fn a_gigabyte_arrives_though_the_viewer_moves_and_nats_forget() {
    let road = Road::direct();
    let elsewhere = road.world.internet.site(Site::port_restricted());
    road.survives("the viewer gets another address", || drop(road.viewer.host().renumber()));
    road.survives("the viewer's NAT forgets", || road.viewers.flush_mappings());
    road.survives("the camera's NAT forgets", || road.cameras.flush_mappings());
    road.survives("the viewer moves", || drop(road.viewer.host().move_to(&elsewhere)));
    road.transfer.finish(GIGABYTE);
}

#[test]
fn a_transfer_survives_that_both_ends_change_their_addresses_at_once() {
    let road = Road::direct();
    road.survives("both homes get another address", || {
        road.viewers.renumber();
        road.cameras.renumber();
    });
    road.survives("both hosts get another address", || {
        road.viewer.host().renumber();
        road.camera.host().renumber();
    });
    road.transfer.finish(LEAST);
}

#[test]
fn data_leaves_a_way_that_swallows_it_though_small_packets_pass() {
    let road = Road::direct();
    swallow(&road, 600);
    road.transfer.finish(LEAST);
}

#[test]
fn data_leaves_a_way_that_swallows_everything() {
    let road = Road::direct();
    swallow(&road, 0);
    road.transfer.finish(LEAST);
}

/// Have the direct way swallow what is larger than `above`, and give it back.
fn swallow(road: &Road, above: u16) {
    let began = Instant::now();
    road.viewers.wire().blackhole(road.cameras.v4().into(), above);
    let relayed = road.transfer.until_by("relay", &road.viewer, began, PAUSE_MAX);
    let pause = road.transfer.longest_pause(began);
    println!(
        "more than {above} is swallowed: relayed after {relayed:?}, longest pause {pause:?}: {}",
        road.told()
    );
    assert!(pause <= PAUSE_MAX, "{pause:?} without data");
    road.survives("nothing is swallowed any more", || road.viewers.wire().heal());
}

#[test]
fn a_relayed_transfer_goes_on_when_the_relay_comes_back() {
    let mut road = Road::relayed();
    let killed = Instant::now();
    road.world.kill_manager();
    // Dead for long enough to be noticed by everybody.
    std::thread::sleep(Duration::from_secs(2));
    road.world.start_manager();
    let back = Instant::now();
    let relayed = road.transfer.until_by("relay", &road.viewer, back, RELAY_AGAIN);
    let pause = road.transfer.longest_pause(killed);
    println!(
        "the relay was away for {:?}: data {relayed:?} after it was back, pause {pause:?}",
        back - killed
    );
    road.transfer.finish(LEAST);
}

#[test]
fn a_direct_transfer_does_not_notice_that_the_manager_is_gone() {
    let mut road = Road::direct();
    let killed = Instant::now();
    road.world.kill_manager();
    until_since(killed, "the viewer misses the manager", Duration::from_secs(30), || {
        let state = road.viewer.network(crate::support::net::HOME).manager.state;
        is(
            state != coconet::control::ManagerLink::Online || killed.elapsed() > Duration::from_secs(5),
            "online",
        )
    });
    let pause = road.transfer.longest_pause(killed);
    println!("without the manager: longest pause {pause:?}: {}", road.told());
    assert_eq!(way(&road.viewer), "direct");
    assert!(pause <= Duration::from_secs(1), "{pause:?} without data");
    road.transfer.finish(LEAST);
}

#[test]
fn a_transfer_survives_a_blackout_of_half_a_minute() {
    let road = Road::direct();
    let began = Instant::now();
    road.viewers.wire().cut();
    std::thread::sleep(Duration::from_secs(30));
    road.viewers.wire().heal();
    let healed = Instant::now();
    let direct = road.transfer.until_by("direct", &road.viewer, healed, DATA_AGAIN);
    let pause = road.transfer.longest_pause(began);
    println!("a blackout of 30 s: direct {direct:?} after it, pause {pause:?}: {}", road.told());
    road.transfer.finish(LEAST);
}

#[test]
fn a_transfer_goes_on_inside_tls_while_udp_is_blocked_and_leaves_it_again() {
    let road = Road::direct();
    let blocked = Instant::now();
    road.viewers.wire().block_udp(true);
    let relayed = road.transfer.until_by("relay", &road.viewer, blocked, INSIDE_TLS);
    let pause = road.transfer.longest_pause(blocked);
    let rate = road.transfer.rate_over(Duration::from_secs(2)) / 1e6;
    println!("UDP is blocked: {rate:.1} MB/s inside TLS after {relayed:?}, pause {pause:?}: {}", road.told());
    road.viewers.wire().heal();
    let healed = Instant::now();
    let direct = road.transfer.until_by("direct", &road.viewer, healed, BACK_ON_UDP);
    let pause = road.transfer.longest_pause(healed);
    println!("UDP is not: direct after {direct:?}, pause {pause:?}: {}", road.told());
    assert!(pause <= PAUSE_MAX, "{pause:?} without data");
    road.transfer.finish(LEAST);
}
