//! A camera's stream while the network changes.

use std::io::Read;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use coco_lab::Site;

use crate::support::net::App;
use crate::support::process::Process;
use crate::support::programs::{clean, python, source, theirs};
use crate::support::wait::{PATIENCE, is, until, until_since};
use crate::world::{World, way};

/// Longest time without a picture.
const GAP_MAX: Duration = Duration::from_secs(3);

/// How soon the way has to be direct again.
const DIRECT_AGAIN: Duration = Duration::from_secs(5);

/// How long pictures have to come again without one.
const CALM: Duration = Duration::from_secs(2);

/// The pause between two pictures, many times over: no gap yet.
const USUAL: Duration = Duration::from_millis(400);

/// A player without a screen, which writes the pictures out as they come.
struct Player {
    child: Child,
    arrivals: Arc<Mutex<Arrivals>>,
    reader: Option<JoinHandle<()>>,
}

struct Arrivals {
    last: Instant,
    bytes: u64,
    /// When each began, and when it ended.
    gaps: Vec<(Instant, Instant)>,
}

impl Player {
    fn start(viewer: &App, url: &str) -> Self {
        let mut ffmpeg = clean(viewer.host().command(theirs("ffmpeg").to_str().unwrap()));
        ffmpeg.args(["-v", "error", "-rtsp_transport", "tcp", "-fflags", "nobuffer", "-i", url]);
        ffmpeg.args(["-an", "-c", "copy", "-f", "h264", "-flush_packets", "1", "pipe:1"]);
        let mut child = ffmpeg.stdout(Stdio::piped()).spawn().unwrap();
        let mut out = child.stdout.take().unwrap();
        let arrivals = Arrivals { last: Instant::now(), bytes: 0, gaps: Vec::new() };
        let arrivals = Arc::new(Mutex::new(arrivals));
        let shared = Arc::clone(&arrivals);
        let reader = thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(count @ 1..) = out.read(&mut buffer) {
                let (mut arrivals, now) =
                    (shared.lock().unwrap_or_else(PoisonError::into_inner), Instant::now());
                let last = std::mem::replace(&mut arrivals.last, now);
                arrivals.bytes += count as u64;
                if arrivals.bytes > count as u64 && now - last > USUAL {
                    arrivals.gaps.push((last, now));
                }
            }
        });
        Self { child, arrivals, reader: Some(reader) }
    }

    fn look<T>(&self, at: impl FnOnce(&Arrivals) -> T) -> T {
        at(&self.arrivals.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Wait until pictures have come for [`CALM`] without a gap; the longest gap since then.
    fn gap_since(&self, since: Instant) -> Duration {
        until_since(since, "pictures come again", GAP_MAX * 2 + CALM, || {
            let now = Instant::now();
            let (last, gaps) = self.look(|arrivals| (arrivals.last, arrivals.gaps.clone()));
            is(now - last < USUAL, format!("none for {:?}", now - last))?;
            let calm = gaps.last().map_or(since, |(_, ended)| *ended).max(since);
            is(now - calm >= CALM, "only just")
        });
        let gaps = self.look(|arrivals| arrivals.gaps.clone());
        let gaps = gaps.iter().filter(|(_, ended)| *ended > since).map(|(began, ended)| *ended - *began);
        gaps.max().unwrap_or_default()
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// The camera of the demo, on the host of `app`; returns its URL there.
fn camera_of(world: &World, app: &App) -> (Process, String) {
    let mut camera = clean(app.host().command(python("gi", "python3-gi").to_str().unwrap()));
    let mut process = world.lab.start("gstreamer", camera.arg(source("demo/camera.py")));
    let url = process.says("rtsp://");
    (process, url)
}

#[test]
fn a_film_goes_on_while_the_viewer_moves_and_while_the_way_swallows_pictures() {
    let world = World::new();
    let [cameras, viewers, elsewhere] = [(); 3].map(|()| world.internet.site(Site::port_restricted()));
    let (camera, viewer) = world.pair(cameras.host("camera"), viewers.host("viewer"));
    let (_camera, target) = camera_of(&world, &camera);
    camera.expose(&target, "front-door");
    let player = Player::start(&viewer, &viewer.open("front-door"));
    until("the film runs", PATIENCE, || is(player.look(|arrivals| arrivals.bytes > 100_000), "it does not"));
    until("the way is direct", PATIENCE, || is(way(&viewer) == "direct", way(&viewer)));
    let happens = |what: &str, happens: &dyn Fn()| {
        let began = Instant::now();
        happens();
        let gap = player.gap_since(began);
        println!("{what}: {gap:?} without a picture, {}", way(&viewer));
        assert!(gap <= GAP_MAX, "{what}: {gap:?} without a picture");
        began
    };
    let direct_again = |since: Instant| {
        until_since(since, "the way is direct again", DIRECT_AGAIN, || {
            is(way(&viewer) == "direct", way(&viewer))
        });
    };
    direct_again(happens("the viewer gets another address", &|| drop(viewer.host().renumber())));
    happens("large packets are swallowed", &|| viewers.wire().blackhole(cameras.v4().into(), 600));
    direct_again(happens("nothing is swallowed any more", &|| viewers.wire().heal()));
    happens("everything is swallowed", &|| viewers.wire().blackhole(cameras.v4().into(), 0));
    direct_again(happens("nothing is swallowed any more", &|| viewers.wire().heal()));
    direct_again(happens("the viewer moves", &|| drop(viewer.host().move_to(&elsewhere))));
}
