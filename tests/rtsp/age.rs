//! How old pictures are when they come over a bad line: as datagrams, and as a stream.
//!
//! The line takes 50 ms each way and loses one packet in a hundred. What is lost as a datagram is gone; in a stream
//! everything behind it waits until it has come again. A camera of 600 kbit/s fits into what congestion control makes
//! of such a line, and its pictures stay young. One of 2 Mbit/s does not: its stream is late by seconds, for as long as
//! one looks, and datagrams lose the excess to stay below one.

use std::time::{Duration, Instant};

use coco_lab::{Conditions, Site};

use crate::cameras::Takes;
use crate::players::Transport;
use crate::scripted::{Camera, PATH, Script, now, numbered};
use crate::support::wait::{PATIENCE, is, until};
use crate::viewer::Viewer;
use crate::world::{World, way};

/// One way.
const DELAY: Duration = Duration::from_millis(50);

const LOSS: f64 = 0.01;

/// Ninety-nine of a hundred pictures of a camera that fits have to be younger.
const AGE_MAX: Duration = Duration::from_millis(250);

/// The same of one that does not; a stream is older.
const STALL: Duration = Duration::from_secs(1);

/// Of the datagrams, how many may be gone at most: the line's loss, and some for its chance.
const GONE_MAX: f64 = 0.04;

/// How long is looked.
const LOOK: Duration = Duration::from_secs(15);

/// So many bits a second, in packets as cameras send them.
fn script(rate: u64) -> Script {
    let size = 1400;
    let interval = Duration::from_micros(size as u64 * 8 * 1_000_000 / rate);
    Script { takes: Takes::Both, packets: 100_000, size, interval, ..Script::default() }
}

/// What a viewer saw.
#[derive(Debug)]
struct Seen {
    came: u32,
    /// Of those up to the last that came, how many did not.
    gone: f64,
    half: Duration,
    p99: Duration,
    oldest: Duration,
}

fn see(url: &str, transport: Transport) -> Seen {
    let mut viewer = Viewer::open(url, transport).unwrap();
    viewer.start().unwrap();
    let (mut ages, mut last) = (Vec::new(), 0);
    viewer
        .receive(Instant::now() + LOOK, |packet| {
            let (number, sent) = numbered(packet).unwrap();
            ages.push(Duration::from_nanos(now().saturating_sub(sent)));
            last = last.max(number);
        })
        .unwrap();
    let _ = viewer.teardown();
    ages.sort();
    let came = u32::try_from(ages.len()).unwrap();
    assert!(came > 100, "{transport:?}: {came} packets came");
    Seen {
        came,
        gone: 1.0 - f64::from(came) / f64::from(last + 1),
        half: ages[ages.len() / 2],
        p99: ages[ages.len() * 99 / 100],
        oldest: ages[ages.len() - 1],
    }
}

#[test]
fn pictures_stay_young_over_a_bad_line_where_a_stream_stalls() {
    let world = World::new();
    let bad = Conditions { delay: DELAY, loss: LOSS, ..Conditions::default() };
    let cameras = world.internet.site(Site::port_restricted().conditions(bad));
    let viewers = world.internet.site(Site::port_restricted());
    let (exporter, viewer) = world.pair(cameras.host("camera"), viewers.host("viewer"));
    let [slow, fast] = [600_000, 2_000_000].map(|rate| exporter.host().enter(|| Camera::start(script(rate))));
    exporter.expose(&slow.url(), "slow");
    exporter.expose(&fast.url(), "fast");
    exporter.expose(&format!("tcp://{}", fast.address), "stream");
    let urls = ["slow", "fast", "stream"].map(|name| viewer.open(name).replace("tcp://", "rtsp://"));
    until("the way is direct", PATIENCE, || is(way(&viewer) == "direct", way(&viewer)));

    // One after the other: they would take turns in one congestion window.
    let look = |url: &str, transport| viewer.host().enter(|| see(url, transport));
    let slow = look(&urls[0], Transport::Udp);
    let fast = look(&urls[1], Transport::Udp);
    let stream = look(&format!("{}{PATH}", urls[2]), Transport::Tcp);
    println!("{DELAY:?} each way, {} % loss, age of packets when they come:", LOSS * 100.0);
    for (name, seen) in [
        ("600 kbit/s by rtsp://, UDP at the viewer", &slow),
        ("2 Mbit/s by rtsp://, UDP at the viewer", &fast),
        ("2 Mbit/s by tcp://, interleaved", &stream),
    ] {
        let Seen { came, gone, half, p99, oldest } = seen;
        println!(
            "| {name} | {came} came | {:.1} % gone | half are {half:.0?} | p99 {p99:.0?} | oldest {oldest:.0?} |",
            gone * 100.0
        );
    }
    assert!(slow.p99 < AGE_MAX && slow.gone < GONE_MAX, "{slow:?}");
    assert!(fast.p99 < STALL, "{fast:?}");
    assert!(stream.p99 > STALL && stream.p99 > fast.p99 * 3, "nothing stalls here: {stream:?} {fast:?}");
}
