//! How old pictures are when they come over a bad line: as datagrams, and as a stream.
//!
//! The same camera is exposed twice, as `rtsp://` and as `tcp://`, and looked at over a line that takes 50 ms each way and
//! loses one packet in a hundred. What is lost as a datagram is gone; in a stream
//! everything behind it waits until it has come again.

use std::time::{Duration, Instant};

use coco_lab::{Conditions, Site};

use crate::cameras::Takes;
use crate::players::Transport;
use crate::scripted::{Camera, Script, now, numbered};
use crate::support::wait::{PATIENCE, is, until};
use crate::viewer::Viewer;
use crate::world::{World, way};

/// One way.
const DELAY: Duration = Duration::from_millis(50);

const LOSS: f64 = 0.01;

/// Ninety-nine of a hundred pictures have to be younger.
const AGE_MAX: Duration = Duration::from_millis(250);

/// Of the datagrams, how many may be gone at most: the line's loss, and some for its chance.
const GONE_MAX: f64 = 0.04;

/// How long is looked.
const LOOK: Duration = Duration::from_secs(20);

/// 800 kbit/s in packets as cameras send them.
fn script() -> Script {
    Script {
        takes: Takes::Both,
        packets: 2000,
        size: 1400,
        interval: Duration::from_millis(14),
        ..Script::default()
    }
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
    let camera = exporter.host().enter(|| Camera::start(script()));
    exporter.expose(&camera.url(), "datagrams");
    exporter.expose(&format!("tcp://{}", camera.address), "stream");
    let datagrams = viewer.open("datagrams");
    let stream = viewer.open("stream").replace("tcp://", "rtsp://") + crate::scripted::PATH;
    until("the way is direct", PATIENCE, || is(way(&viewer) == "direct", way(&viewer)));

    // One after the other: they would take turns in one congestion window.
    let [datagrams, stream] = [(datagrams, Transport::Udp), (stream, Transport::Tcp)]
        .map(|(url, transport)| viewer.host().enter(|| see(&url, transport)));
    println!("{DELAY:?} each way, {} % loss, 800 kbit/s, age of packets when they come:", LOSS * 100.0);
    for (name, seen) in [("rtsp://, UDP at the viewer", &datagrams), ("tcp://, interleaved", &stream)] {
        let Seen { came, gone, half, p99, oldest } = seen;
        println!(
            "| {name} | {came} came | {:.1} % gone | half are {half:.0?} | p99 {p99:.0?} | oldest {oldest:.0?} |",
            gone * 100.0
        );
    }
    assert!(datagrams.p99 < AGE_MAX, "{datagrams:?}");
    assert!(datagrams.gone < GONE_MAX, "{datagrams:?}");
    assert!(stream.p99 > datagrams.p99 * 2, "nothing stalls here: {stream:?} {datagrams:?}");
}
