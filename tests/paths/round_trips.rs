//! How many round trips the first byte takes, on lines so long that nothing else counts.

use std::time::{Duration, Instant};

use coco_lab::{Conditions, Site};

use crate::matrix::DIRECT_MAX;
use crate::support::net::{App, HOME};
use crate::support::wait::{PATIENCE, is, until, until_since};
use crate::world::{World, connect, offer_echo, round_trip, way_to};

/// From each site to the internet; the manager is at no distance.
const DELAY: Duration = Duration::from_millis(100);

/// There and back between a node and the manager.
const MANAGER_ROUND_TRIP: Duration = Duration::from_millis(200);

/// There and back between two nodes, by whichever way.
const ROUND_TRIP: Duration = Duration::from_millis(400);

/// To start a program and to be scheduled, on a machine with other things to do. Less than a round trip.
const MARGIN: Duration = Duration::from_millis(300);

/// A machine with too much to do loses a packet now and then, which is sent again after a second.
const LATE_MAX: usize = 1;

/// Round trips from the end of the dial, which is an introduction and a handshake, until the exporter's first
/// byte is here: the greeting, and the request. It is the answer that `tunnel open` waits for; what an
/// application sends after that takes one more, as it would without a tunnel.
const ROUND_TRIPS: u32 = 2;

#[test]
fn the_first_byte_takes_two_round_trips_after_the_dial_by_whichever_way() {
    let world = World::new();
    let far = |site: Site| site.conditions(Conditions { delay: DELAY, ..Conditions::default() });
    let mut invite = None;
    let mut app = |name: &str, site: Site| -> App {
        let site = world.internet.site(far(site));
        let app = world.app_at(&site, site.host(name));
        // It stands until the lab ends.
        std::mem::forget(site);
        match &invite {
            None => {
                app.create(HOME, &world.address);
                invite = Some(app.invite(HOME, &["--self", "--uses", "10"]));
            }
            Some(invite) => app.join(invite),
        }
        app
    };
    let cameras = [app("camera-port", Site::port_restricted()), app("camera-symmetric", Site::symmetric())];
    let viewers = [
        (app("viewer-port", Site::port_restricted()), [true, false]),
        (app("viewer-symmetric", Site::symmetric()), [false, false]),
        (app("viewer-blocked", Site::udp_blocked()), [false, false]),
    ];
    for camera in &cameras {
        offer_echo(camera, &camera.name);
    }
    let mut late = Vec::new();
    for (viewer, direct) in &viewers {
        for (camera, direct) in cameras.iter().zip(direct) {
            until("the viewer knows the resource", PATIENCE, || {
                let resources = viewer.network(HOME).resources;
                is(resources.iter().any(|known| known.name == camera.name.parse().unwrap()), "it does not")
            });
            let began = Instant::now();
            let address = viewer.open_address(&camera.name);
            let opened = began.elapsed();
            let mut stream = connect(viewer, address);
            round_trip(&mut stream);
            let first_byte = began.elapsed();
            let limit = MANAGER_ROUND_TRIP + ROUND_TRIP + ROUND_TRIP * ROUND_TRIPS + MARGIN;
            let names = format!("{} to {}", viewer.name, camera.name);
            println!("{names}: answer after {opened:?} of {limit:?}, echo after {first_byte:?}");
            if opened > limit || first_byte - opened > ROUND_TRIP + MARGIN {
                late.push(names);
            }
            if *direct {
                until_since(began, "packets go directly", DIRECT_MAX, || {
                    let way = way_to(viewer, &camera.name);
                    is(way == "direct", way)
                });
                println!(
                    "    direct {:?}, then {:?} there and back",
                    began.elapsed(),
                    round_trip(&mut stream)
                );
            } else {
                assert_eq!(way_to(viewer, &camera.name), "relay");
            }
        }
    }
    assert!(late.len() <= LATE_MAX, "{late:?}");
}
