//! A right that ends takes what is running with it.

use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::support::net::{App, HOME, Net};
use crate::support::process::Process;
use crate::support::programs::{command, theirs};
use crate::support::targets::{Nginx, camera_at, size};
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

#[test]
fn the_end_of_a_grant_cuts_within_a_second() {
    let net = Net::new();
    let (owner, camera, gina) = home(&net);
    let nginx = Nginx::start(&net.lab);
    nginx.zeros("large", 8 << 30);
    camera.expose(&nginx.url(), "web");
    let ends = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(12);
    let ends = Duration::from_secs(ends.as_secs());
    let until_text = rfc3339(ends.as_secs());
    owner.ok(&["network", "grant", HOME, "gina", "web", "--can", "read", "--until", &until_text]);
    let mut download = download(&net, &gina.open("web"));

    let left = ends.saturating_sub(SystemTime::now().duration_since(UNIX_EPOCH).unwrap());
    assert!(!left.is_zero(), "the machine is too slow for this test");
    assert!(!download.ended(left + CLOCK_WITHIN).success());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    assert!(now >= ends, "cut {:?} before the end", ends.saturating_sub(now));
    gina.ok(&["tunnel", "close", "web"]);
    gina.refused(&[4], &["tunnel", "open", "web"]);
}

#[test]
fn the_end_of_the_hours_cuts_within_a_second() {
    let net = Net::new();
    let (owner, camera, gina) = home(&net);
    let nginx = Nginx::start(&net.lab);
    nginx.zeros("large", 8 << 30);
    camera.expose(&nginx.url(), "web");
    // Hours end at full minutes: the next one that leaves time to begin.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let ends = (now + 20).div_ceil(60) * 60;
    let clock = |seconds: u64| format!("{:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60);
    let hours = format!("daily {}-{} UTC", clock(ends - 7200), clock(ends));
    owner.ok(&["network", "grant", HOME, "gina", "web", "--can", "read", "--when", &hours]);
    let mut download = download(&net, &gina.open("web"));

    let ends = Duration::from_secs(ends);
    let left = ends.saturating_sub(SystemTime::now().duration_since(UNIX_EPOCH).unwrap());
    assert!(!left.is_zero(), "the machine is too slow for this test");
    assert!(!download.ended(left + CLOCK_WITHIN).success());
    assert!(SystemTime::now().duration_since(UNIX_EPOCH).unwrap() >= ends, "cut before the end");
    gina.ok(&["tunnel", "close", "web"]);
    // Out of its hours, a resource looks as one that is not there.
    let (closed, absent) = (["tunnel", "open", "web"], ["tunnel", "open", "wob"]);
    let told = gina.refused(&[4], &closed);
    assert_eq!(told.replace("web", "X"), gina.refused(&[4], &absent).replace("wob", "X"));
}

/// A second as `date` prints it.
fn rfc3339(seconds: u64) -> String {
    let mut date = command(theirs("date"));
    date.args(["--utc", &format!("--date=@{seconds}"), "+%Y-%m-%dT%H:%M:%SZ"]);
    crate::support::process::run_well(&mut date).trim().to_owned()
}
