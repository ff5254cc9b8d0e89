//! Every kind of home against every other: the expected way, and how soon it is found.

use std::time::{Duration, Instant};

use coco_lab::Site;

use crate::support::wait::{is, until_since};
use crate::world::{World, connect, offer_echo, round_trip, way};

#[test]
fn two_homes_behind_port_restricted_nats_meet() {
    let world = World::new();
    let (camera, viewer) =
        (world.internet.site(Site::port_restricted()), world.internet.site(Site::port_restricted()));
    let (camera, viewer) = world.pair(camera.host("camera"), viewer.host("viewer"));
    offer_echo(&camera, "echo");
    let dialled = Instant::now();
    let address = viewer.open_address("echo");
    println!("open {:?} {}", dialled.elapsed(), way(&viewer));
    let mut stream = connect(&viewer, address);
    println!("round trip {:?}", round_trip(&mut stream));
    until_since(dialled, "the way is direct", Duration::from_secs(10), || {
        is(way(&viewer) == "direct", way(&viewer))
    });
    println!("direct after {:?}: {}", dialled.elapsed(), viewer.ok(&["status"]));
    println!("round trip {:?}", round_trip(&mut stream));
}
