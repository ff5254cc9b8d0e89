//! One session at the camera for several viewers.

use std::thread;
use std::time::{Duration, Instant};

use crate::cameras::{Gst, RATE, Takes};
use crate::players::{Film, Player, Transport};
use crate::rtp::Counter;
use crate::scripted::{Script, numbered};
use crate::stage::Stage;
use crate::support::net::Net;
use crate::support::wait::{PATIENCE, is, until};
use crate::viewer::Viewer;

/// Viewers that look together.
const VIEWERS: usize = 8;

/// How long the exporter's CPU time is measured.
const MEASURED: Duration = Duration::from_secs(5);

/// A stream of 4 Mbit/s that does not end while it is looked at.
fn stream() -> Script {
    Script { packets: 100_000, size: 1200, interval: Duration::from_micros(2400), ..Script::default() }
}

/// Look for a while, from now; the packets that came and those that are missing in between.
fn look(viewer: &mut Viewer, long: Duration) -> (u64, u64) {
    let (mut counter, mut came) = (Counter::default(), 0);
    viewer
        .receive(Instant::now() + long, |packet| {
            assert!(numbered(packet).is_some());
            came += 1;
            counter.take(packet);
        })
        .unwrap();
    (came, counter.played(15).lost)
}

#[test]
fn eight_viewers_share_one_session_and_cost_the_exporter_less_than_two() {
    let stage = Stage::on(Net::alone(), stream(), &["--share"]);
    let mut first = stage.open(Transport::Udp);
    first.start().unwrap();
    look(&mut first, Duration::from_secs(1));
    let spent = || cpu(stage.exporter.daemon().pid());
    let before = spent();
    let (came, lost) = look(&mut first, MEASURED);
    let alone = spent() - before;
    println!("one viewer: {came} packets, {lost} lost, the exporter takes {alone:?} in {MEASURED:?}");
    assert!(came > 1000 && lost == 0, "{came} packets, {lost} lost");

    let url = &stage.url;
    let (together, seen) = thread::scope(|scope| {
        let others: Vec<_> = (1..VIEWERS)
            .map(|at| {
                let transport = Transport::ALL[at % 2];
                scope.spawn(move || {
                    let mut viewer = Viewer::open(url, transport).unwrap();
                    viewer.start().unwrap();
                    look(&mut viewer, Duration::from_secs(2) + MEASURED + Duration::from_secs(1))
                })
            })
            .collect();
        look(&mut first, Duration::from_secs(2));
        let before = spent();
        let own = look(&mut first, MEASURED);
        let together = spent() - before;
        let mut seen = vec![own];
        seen.extend(others.into_iter().map(|other| other.join().unwrap()));
        (together, seen)
    });
    let ratio = together.as_secs_f64() / alone.as_secs_f64();
    println!("{VIEWERS} viewers: {seen:?}, the exporter takes {together:?}: {ratio:.2} times as much");
    assert!(seen.iter().all(|(came, lost)| *came > 1000 && *lost == 0), "{seen:?}");
    let log = stage.camera.log();
    assert_eq!((log.sessions, log.most_open), (1, 1));
    drop(log);
    assert!(ratio < 2.0, "{ratio:.2}");
}

#[test]
fn the_shared_session_is_given_back_with_the_last_viewer() {
    let stage = Stage::with(stream(), &["--share"]);
    let mut viewers: Vec<Viewer> = Transport::ALL
        .into_iter()
        .map(|transport| {
            let mut viewer = stage.open(transport);
            viewer.start().unwrap();
            viewer
        })
        .collect();
    let half = Duration::from_millis(500);
    for viewer in &mut viewers {
        assert!(look(viewer, half).0 > 0);
    }
    let mut stays = viewers.remove(0);
    drop(viewers);
    assert!(look(&mut stays, half * 3).0 > 0, "it ended with another viewer");
    let counts = {
        let log = stage.camera.log();
        (log.open, log.teardowns)
    };
    assert_eq!(counts, (1, 0));
    stays.teardown().unwrap();
    drop(stays);
    until("the camera is told", PATIENCE, || is(stage.camera.log().open == 0, "its session is open"));
    assert_eq!(stage.camera.log().teardowns, 1);
}

#[test]
fn a_shared_session_is_kept_alive_by_the_exporter() {
    // Nobody here sends a word after PLAY.
    let stage = Stage::with(
        Script { timeout: Some(Duration::from_secs(2)), packets: 2000, takes: Takes::Tcp, ..stream() },
        &["--share"],
    );
    let mut viewer = stage.open(Transport::Udp);
    viewer.silent = true;
    viewer.start().unwrap();
    let (came, lost) = look(&mut viewer, Duration::from_secs(7));
    assert!(came > 1500 && lost == 0, "{came} packets, {lost} lost");
    assert_eq!(stage.camera.log().forgotten, 0);
}

#[test]
fn real_players_share_a_real_camera() {
    let net = Net::new();
    let (exporter, viewer) = net.pair();
    let mut camera = Gst::start(&net.lab, Takes::Both, None, &[("live".to_owned(), 0)]);
    exporter.ok(&["tunnel", "expose", &camera.url("live"), "--name", "live", "--share"]);
    let url = viewer.open("live");
    let played: Vec<_> = thread::scope(|scope| {
        let players: Vec<_> = [Player::Ffmpeg, Player::Rtspsrc, Player::Scripted]
            .into_iter()
            .flat_map(|player| Transport::ALL.map(|transport| (player, transport)))
            .map(|(player, transport)| {
                let url = &url;
                let play = move || player.play(url, transport, Film::Part(4 * RATE));
                (player, transport, scope.spawn(play))
            })
            .collect();
        players
            .into_iter()
            .map(|(player, transport, play)| (player, transport, play.join().unwrap()))
            .collect()
    });
    for (player, transport, played) in played {
        let played = played.unwrap_or_else(|error| panic!("{player:?} {transport:?}: {error}"));
        assert!(played.lost == 0 && played.pictures >= 2 * RATE, "{player:?} {transport:?}: {played:?}");
    }
    camera.left("live");
    assert_eq!(camera.sessions(), 1);
}

/// CPU time that a process has taken, its own and the kernel's for it.
fn cpu(pid: u32) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // Behind the name, which may hold anything.
    let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}
