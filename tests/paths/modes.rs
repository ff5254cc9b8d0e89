//! What a tunnel was told about its ways, and what commands say of the way it takes.

use std::io::{Read, Write};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use coco_lab::Site;
use coconet::control::{PeerLink, Tunnel, Usage};

use crate::support::net::{App, HOME};
use crate::support::wait::{PATIENCE, is, until};
use crate::world::{World, connect, offer_echo, peer, round_trip, way};

/// The exit code of a command whose peer was not reached.
const OFFLINE: i32 = 6;

/// Longer than the manager waits before it writes down what it has relayed.
const FLUSH: Duration = Duration::from_millis(1500);

/// Longer than the first rounds of probes take, of which relay-only makes none.
const ROUNDS: Duration = Duration::from_secs(5);

/// The manager's count of what it has relayed, once it has written it down.
fn relayed(app: &App) -> u64 {
    std::thread::sleep(FLUSH);
    app.json::<Usage>(&["usage", HOME]).used
}

#[test]
fn direct_only_fails_where_nothing_direct_works_and_sends_nothing_by_relay() {
    let world = World::new();
    let [home, other] = [(); 2].map(|()| world.internet.site(Site::symmetric()));
    let (camera, viewer) = world.pair(home.host("camera"), other.host("viewer"));
    offer_echo(&camera, "echo");
    let began = Instant::now();
    let told = viewer.refused(&[OFFLINE], &["tunnel", "open", "echo", "--path", "direct-only"]);
    println!("after {:?}: {told}", began.elapsed());
    assert!(told.contains("no direct way to camera works") && told.contains("\nhint: "), "{told}");
    assert_eq!(relayed(&viewer), 0);
    // The same without the restriction, so that a zero means something.
    let address = viewer.open_address("echo");
    round_trip(&mut connect(&viewer, address));
    let relayed = relayed(&viewer);
    assert!(relayed > 0, "{relayed}");
}

#[test]
fn relay_only_stays_relayed_in_one_lan_and_sends_the_other_node_nothing_directly() {
    let world = World::new();
    let home = world.internet.site(Site::port_restricted());
    let (camera, viewer) = world.pair(home.host("camera"), home.host("viewer"));
    offer_echo(&camera, "echo");
    let tunnel: Tunnel = viewer.json(&["tunnel", "open", "echo", "--path", "relay-only"]);
    let mut stream = connect(&viewer, tunnel.listen.unwrap().parse().unwrap());
    let began = Instant::now();
    while began.elapsed() < ROUNDS {
        round_trip(&mut stream);
        assert_eq!(way(&viewer), "relay");
        std::thread::sleep(Duration::from_millis(50));
    }
    let beside = IpAddr::from(camera.host().v4());
    let tried = viewer.host().tried();
    assert!(tried.iter().all(|sent| sent.to != beside), "{tried:?}");
    assert!(relayed(&viewer) > 0);
}

#[test]
fn ping_shows_the_way_of_each_answer_and_stops_at_direct() {
    let world = World::new();
    let [home, other] = [(); 2].map(|()| world.internet.site(Site::port_restricted()));
    let (_camera, viewer) = world.pair(home.host("camera"), other.host("viewer"));
    let said = viewer.ok(&["ping", "camera"]);
    println!("{said}");
    let (last, before) =
        said.lines().collect::<Vec<_>>().split_last().map(|(l, b)| (*l, b.to_vec())).unwrap();
    assert!(last.starts_with("pong from camera by direct 11."), "{said}");
    assert!(before.iter().all(|line| line.starts_with("pong from camera by relay manager.example:4433 in ")));
}

#[test]
fn ping_goes_on_where_nothing_direct_works_and_points_to_the_doctor() {
    let world = World::new();
    let [home, other] = [(); 2].map(|()| world.internet.site(Site::symmetric()));
    let (_camera, viewer) = world.pair(home.host("camera"), other.host("viewer"));
    let ran = viewer.ctl(&["ping", "camera"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.lines().count() > 1 && !ran.stdout.contains("direct"), "{}", ran.stdout);
    assert!(ran.stderr.contains("no direct path to camera yet") && ran.stderr.contains(" doctor"));
}

#[test]
fn the_status_of_a_peer_shows_its_path_and_why_round_trip_loss_and_rates() {
    let world = World::new();
    let [home, other] = [(); 2].map(|()| world.internet.site(Site::port_restricted()));
    let (camera, viewer) = world.pair(home.host("camera"), other.host("viewer"));
    offer_echo(&camera, "echo");
    let address = viewer.open_address("echo");
    let mut stream = connect(&viewer, address);
    let mut buffer = vec![0; 4096];
    let shown = until("rates are shown and the way is direct", PATIENCE, || {
        stream.write_all(&buffer).unwrap();
        stream.read_exact(&mut buffer).unwrap();
        let shown = peer(&viewer);
        let rates = shown.rate_in > 0 && shown.rate_out > 0;
        if rates && way(&viewer) == "direct" { Ok(shown) } else { Err(format!("{shown:?}")) }
    });
    assert_eq!(shown.state, PeerLink::Connected);
    let seen = format!("direct {}:", home.v4());
    assert!(shown.path.unwrap().starts_with(&seen), "{seen}");
    assert!(["a direct way was found", "it answered first"].contains(&shown.why.unwrap().as_str()));
    assert!(shown.rtt_us.unwrap() > 0 && shown.packets_sent > 0 && shown.mtu.unwrap() >= 1200);
    let text = viewer.ok(&["status"]);
    println!("{text}");
    let heads = text.lines().find(|line| line.starts_with("PEER ")).unwrap();
    for head in ["PATH", "RTT", "LOSS", "IN", "OUT", "WHY"] {
        assert!(heads.split_whitespace().any(|word| word == head), "{head} is missing: {heads}");
    }
    is(text.contains(&seen), text).unwrap();
}
