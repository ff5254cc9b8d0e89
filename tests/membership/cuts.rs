//! A right that ends takes what is running with it.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::support::net::{App, HOME, Net};
use crate::support::process::{Process, run_well};
use crate::support::programs::{command, theirs};
use crate::support::targets::{Nginx, camera_at, serve, size};
use crate::support::wait::{PATIENCE, is, until};

/// Streams are cut so long after the entry that ends the right.
const REVOKED_WITHIN: Duration = Duration::from_secs(5);

/// Streams are cut so long after the clock has ended the right.
const CLOCK_WITHIN: Duration = Duration::from_secs(1);

/// The rate of the camera's stream, in bits per second, at least.
const RATE: u64 = 4_000_000;

/// A device `camera`, its owner `owner`, and the guest `gina`.
fn home(net: &Net) -> (App, App, App) {
    let (owner, camera, gina) = (net.app("owner"), net.app("camera"), net.app("gina"));
    owner.create(HOME, &net.address);
    camera.join(&owner.invite(HOME, &["--device"]));
    gina.join(&owner.invite(HOME, &["--user", "gina", "--role", "guest"]));
    (owner, camera, gina)
}

/// A download through `url` that does not end by itself, once it has begun.
fn download(net: &Net, url: &str) -> Process {
    let file = net.lab.path("large");
    let mut curl = command(theirs("curl"));
    curl.args(["--silent", "--limit-rate", "5M", &format!("{url}large"), "--output"]).arg(&file);
    let download = net.lab.start("curl", &curl);
    until("the download has begun", PATIENCE, || is(size(&file) > 1 << 20, "not a megabyte yet"));
    download
}

/// Something that records the camera at `url`, once it has a second's worth.
fn recording(net: &Net, url: &str) -> Process {
    let file = net.lab.path("recording.ts");
    let mut ffmpeg: Command = command(theirs("ffmpeg"));
    ffmpeg
        .args(["-v", "error", "-rtsp_transport", "tcp", "-i", url, "-c", "copy", "-f", "mpegts"])
        .arg(&file);
    let recording = net.lab.start("ffmpeg", &ffmpeg);
    until("the recording runs", PATIENCE, || is(size(&file) > RATE / 8, "not a second of it yet"));
    recording
}

#[test]
fn a_revoked_grant_cuts_a_film_and_a_download_and_opens_no_more() {
    let net = Net::new();
    let (owner, camera, gina) = home(&net);
    let nginx = Nginx::start(&net.lab);
    nginx.zeros("large", 8 << 30);
    let (_camera, film) = camera_at(&net.lab, RATE);
    camera.expose(&nginx.url(), "web");
    camera.expose(&film, "front-door");
    owner.ok(&["network", "grant", HOME, "gina", "web", "--can", "read"]);
    owner.ok(&["network", "grant", HOME, "gina", "front-door", "--can", "play"]);
    let (web, door) = (gina.open("web"), gina.open("front-door"));
    let (mut download, mut recording) = (download(&net, &web), recording(&net, &door));

    let revoked = Instant::now();
    owner.ok(&["network", "revoke", HOME, "gina", "web"]);
    owner.ok(&["network", "revoke", HOME, "gina", "front-door"]);

    let left = || REVOKED_WITHIN.saturating_sub(revoked.elapsed());
    assert!(!download.ended(left()).success(), "half a file passed for a whole one");
    recording.ended(left());
    gina.ok(&["tunnel", "close", "web"]);
    let told = gina.refused(&[4], &["tunnel", "open", "web"]);
    assert!(told.contains("web: not permitted"), "{told}");
}

/// A source that never ends and is never far ahead of whoever reads it.
fn drip(mut stream: TcpStream) {
    while stream.write_all(&[7; 1000]).is_ok() {
        sleep(Duration::from_millis(5));
    }
}

/// Read `address` until it is cut; returns when that was.
fn cut_at(address: SocketAddr) -> Duration {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    let mut buffer = [0; 65536];
    let error = loop {
        match stream.read(&mut buffer) {
            Ok(0) => panic!("a cut passed for an end"),
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    unix_now()
}

fn unix_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

#[track_caller]
fn assert_cut_at_its_end(cut: Duration, ends: Duration) {
    assert!(cut >= ends, "cut {:?} too early", ends.saturating_sub(cut));
    assert!(cut <= ends + CLOCK_WITHIN, "cut {:?} too late", cut.saturating_sub(ends));
}

#[test]
fn the_end_of_a_grant_cuts_within_a_second() {
    let net = Net::new();
    let (owner, camera, gina) = home(&net);
    camera.expose(&format!("tcp://{}", serve(drip)), "drip");
    let ends = unix_now().as_secs() + 10;
    let (who, until) = (["network", "grant", HOME, "gina", "drip"], rfc3339(ends));
    owner.ok(&[&who[..], &["--can", "connect", "--until", &until]].concat());

    let cut = cut_at(gina.open_address("drip"));

    assert_cut_at_its_end(cut, Duration::from_secs(ends));
    gina.ok(&["tunnel", "close", "drip"]);
    gina.refused(&[4], &["tunnel", "open", "drip"]);
}

#[test]
fn the_end_of_the_hours_cuts_within_a_second() {
    let net = Net::new();
    let (owner, camera, gina) = home(&net);
    camera.expose(&format!("tcp://{}", serve(drip)), "drip");
    // Hours end at full minutes: the next one that leaves time to begin.
    let ends = (unix_now().as_secs() + 20).div_ceil(60) * 60;
    let clock = |seconds: u64| format!("{:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60);
    let hours = format!("daily {}-{} UTC", clock(ends - 7200), clock(ends));
    owner.ok(&["network", "grant", HOME, "gina", "drip", "--can", "connect", "--when", &hours]);

    let cut = cut_at(gina.open_address("drip"));

    assert_cut_at_its_end(cut, Duration::from_secs(ends));
    gina.ok(&["tunnel", "close", "drip"]);
    // Out of its hours, a resource looks as one that is not there.
    let (closed, absent) = (["tunnel", "open", "drip"], ["tunnel", "open", "drop"]);
    let told = gina.refused(&[4], &closed);
    assert_eq!(told.replace("drip", "X"), gina.refused(&[4], &absent).replace("drop", "X"));
}

/// A second as `date` prints it.
fn rfc3339(seconds: u64) -> String {
    let mut date = command(theirs("date"));
    date.args(["--utc", &format!("--date=@{seconds}"), "+%Y-%m-%dT%H:%M:%SZ"]);
    run_well(&mut date).trim().to_owned()
}
