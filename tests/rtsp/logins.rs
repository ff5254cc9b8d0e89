//! Logging in at the camera: by the player, through the tunnel, or by the exporter, where the password stays.

use std::time::Duration;

use coco_lab::Site;
use data_encoding::BASE64;

use crate::cameras::{Gst, RATE, Takes};
use crate::login::{Login, PASSWORD, Scheme, USER};
use crate::players::{Film, Player, Transport};
use crate::scripted::{Camera, Script};
use crate::stage::{NAME, Stage, secret_file};
use crate::support::net::Net;
use crate::support::programs::{PYTHON, clean, source};
use crate::support::wait::{PATIENCE, is, until};
use crate::viewer::Viewer;
use crate::world::World;

/// Pictures of a film here.
const PICTURES: u64 = 2 * RATE;

/// What GStreamer's camera is told, and players are.
const WORD: &str = "Whale42";

/// A scripted camera whose login the exporter has.
fn kept(script: Script) -> Stage {
    let net = Net::new();
    let file = secret_file(&net, &format!("{USER}\n{PASSWORD}\n")).unwrap();
    Stage::on(net, script, &["--login-file", &file])
}

fn with(login: Login) -> Script {
    Script { login: Some(login), ..Script::default() }
}

#[test]
fn players_log_in_at_a_camera_by_themselves() {
    let net = Net::new();
    let (exporter, viewer) = net.pair();
    for kind in ["digest", "basic"] {
        let mounts: Vec<(String, u64)> =
            [Player::Ffmpeg, Player::Rtspsrc].map(|player| (format!("{player:?}"), PICTURES)).to_vec();
        let mut camera = Gst::start(&net.lab, Takes::Both, Some(&format!("{kind}:{USER}:{WORD}")), &mounts);
        for (player, transport) in [(Player::Ffmpeg, Transport::Udp), (Player::Rtspsrc, Transport::Tcp)] {
            let (mount, name) = (format!("{player:?}"), format!("{kind}-{player:?}").to_lowercase());
            exporter.expose(&camera.url(&mount), &name);
            let url = viewer.open(&name);
            player.play(&url, transport, Film::Whole(PICTURES)).expect_err("played without a login");
            let url = url.replace("rtsp://", &format!("rtsp://{USER}:{WORD}@"));
            let played = player.play(&url, transport, Film::Whole(PICTURES)).unwrap();
            assert_eq!(played.pictures, camera.sent(&mount), "{name}");
        }
    }
}

#[test]
fn players_need_no_login_where_the_exporter_has_it() {
    let net = Net::new();
    let (exporter, viewer) = net.pair();
    let file = secret_file(&net, &format!("{USER}:{WORD}\n")).unwrap();
    for kind in ["digest", "basic"] {
        let mounts: Vec<(String, u64)> =
            [Player::Ffmpeg, Player::Rtspsrc].map(|player| (format!("{player:?}"), PICTURES)).to_vec();
        let mut camera = Gst::start(&net.lab, Takes::Both, Some(&format!("{kind}:{USER}:{WORD}")), &mounts);
        for (player, transport) in [(Player::Ffmpeg, Transport::Tcp), (Player::Rtspsrc, Transport::Udp)] {
            let (mount, name) = (format!("{player:?}"), format!("{kind}-{player:?}").to_lowercase());
            exporter.ok(&["tunnel", "expose", &camera.url(&mount), "--name", &name, "--login-file", &file]);
            let played = player.play(&viewer.open(&name), transport, Film::Whole(PICTURES)).unwrap();
            assert_eq!(played.pictures, camera.sent(&mount), "{name}");
        }
    }
}

#[test]
fn the_exporter_logs_in_by_whatever_a_camera_offers() {
    for schemes in [&[Scheme::Basic][..], &[Scheme::OldMd5], &[Scheme::Md5], &[Scheme::Sha256]] {
        let stage = kept(with(Login::by(schemes)));
        stage.plays_both();
        assert_eq!(stage.camera.log().refused, 0, "{schemes:?}");
    }
}

#[test]
fn basic_and_digest_offered_together_are_answered_by_digest() {
    let all = [Scheme::Basic, Scheme::Md5, Scheme::Sha256];
    for login in [Login::by(&all), Login::by(&all).in_one_header()] {
        let stage = kept(with(login));
        stage.plays_both();
        let log = stage.camera.log();
        assert_eq!(log.refused, 0);
        let sent: Vec<&str> =
            log.requests.iter().filter_map(|request| request.get("Authorization")).collect();
        assert!(!sent.is_empty() && sent.iter().all(|sent| sent.contains("algorithm=SHA-256")), "{sent:?}");
    }
}

#[test]
fn a_stale_nonce_is_replaced_while_the_film_goes_on() {
    let script = Script { login: Some(Login::by(&[Scheme::Md5]).stale_after(2)), ..Script::default() };
    kept(script).plays_both();
}

#[test]
fn a_nonce_serves_several_requests_and_connections() {
    let stage = kept(with(Login::by(&[Scheme::Sha256])));
    for _ in 0..3 {
        stage.plays_both();
    }
    let log = stage.camera.log();
    let counts: Vec<&str> = log
        .requests
        .iter()
        .filter_map(|request| request.get("Authorization")?.split("nc=").nth(1)?.split(',').next())
        .collect();
    assert!(counts.contains(&"00000002"), "{counts:?}");
    assert_eq!(log.refused, 0);
}

#[test]
fn a_wrong_login_is_tried_once_and_told() {
    let net = Net::new();
    let file = secret_file(&net, &format!("{USER}\nwrong\n")).unwrap();
    let stage = Stage::on(net, with(Login::by(&[Scheme::Md5, Scheme::Basic])), &["--login-file", &file]);
    let error = Viewer::open(&stage.url, Transport::Tcp).err().unwrap().to_string();
    assert!(error.starts_with("DESCRIBE: RTSP/1.0 "), "{error}");
    let refused = stage.camera.log().refused;
    assert!((1..=2).contains(&refused), "{refused} wrong logins in one request lock a camera");
}

#[test]
fn a_login_of_the_viewer_that_signs_the_base_reaches_the_camera_as_it_is() {
    let stage = Stage::new(with(Login::by(&[Scheme::Md5])));
    let mut viewer = Viewer::connect(&stage.url, Transport::Tcp).unwrap();
    viewer.logs_in(USER, PASSWORD);
    viewer.describe().unwrap();
    viewer.start().unwrap();
    stage.gets_all(&mut viewer);
    let log = stage.camera.log();
    // live555 signs the base, whatever it asks for.
    let setup = log.requests.iter().rev().find(|request| request.method() == "SETUP").unwrap();
    let signed = setup.get("Authorization").unwrap().split("uri=\"").nth(1).unwrap();
    assert!(!signed.contains("track1"), "{signed}");
    assert_eq!(log.refused, 0);
}

#[test]
fn the_viewers_side_never_sees_the_password() {
    let world = World::new();
    let [cameras, viewers] = [(); 2].map(|()| world.internet.site(Site::port_restricted()));
    let (exporter, viewer) = world.pair(cameras.host("camera"), viewers.host("viewer"));
    let file = world.lab.path("login");
    std::fs::write(&file, format!("{USER}\n{PASSWORD}\n")).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();

    let mut captures = Vec::new();
    for (host, interface) in [(viewer.host(), "lo"), (viewer.host(), "eth0"), (exporter.host(), "lo")] {
        let mut capture = clean(host.command(PYTHON));
        let name = format!("capture-{}-{interface}", host.name());
        let mut process = world.lab.start(&name, capture.arg(source("tests/rtsp/capture.py")).arg(interface));
        until("it listens", PATIENCE, || {
            process.assert_runs();
            is(process.output().starts_with(b"listening"), "it does not")
        });
        captures.push((process, name));
    }
    for (scheme, name) in [(Scheme::Basic, "basic"), (Scheme::Md5, "md5"), (Scheme::Sha256, "sha256")] {
        let script = Script { login: Some(Login::by(&[scheme])), packets: 50, ..Script::default() };
        let camera = exporter.host().enter(|| Camera::start(script));
        exporter.ok(&[
            "tunnel",
            "expose",
            &camera.url(),
            "--name",
            name,
            "--login-file",
            file.to_str().unwrap(),
        ]);
        let url = viewer.open(name);
        let (seen, came) = viewer.host().enter(|| {
            let mut player = Viewer::open(&url, Transport::Udp).unwrap();
            player.start().unwrap();
            let mut came = 0;
            player.receive(std::time::Instant::now() + PATIENCE, |_| came += 1).unwrap();
            player.teardown().unwrap();
            (player.seen().to_vec(), came)
        });
        assert_eq!(came, 50, "{name}");
        assert!(secrets(&seen).is_empty(), "{name}: the player was sent {:?}", secrets(&seen));
    }
    // The last packets of the players are on their way into the files.
    let read = |at: usize| captures[at].0.output();
    until("the captures have it all", PATIENCE, || {
        let told = [0, 2].map(|at| count(&read(at), b"TEARDOWN "));
        is(told[0] >= 3 && told[1] >= 3, format!("{told:?} ends of sessions"))
    });
    std::thread::sleep(Duration::from_millis(100));
    for at in [0, 1] {
        let found = secrets(&read(at));
        assert!(found.is_empty(), "{} has {found:?}", captures[at].1);
    }
    // The capture sees what there is: at the camera itself the login is in the air.
    assert!(!secrets(&read(2)).is_empty(), "nothing of a login at the camera");
}

/// Traces of the login in what was sent.
fn secrets(bytes: &[u8]) -> Vec<String> {
    let traces = [
        PASSWORD.to_owned(),
        BASE64.encode(format!("{USER}:{PASSWORD}").as_bytes()),
        format!("username=\"{USER}\""),
        "Authorization:".to_owned(),
        "WWW-Authenticate:".to_owned(),
    ];
    traces.into_iter().filter(|trace| count(bytes, trace.as_bytes()) > 0).collect()
}

fn count(bytes: &[u8], what: &[u8]) -> usize {
    bytes.windows(what.len()).filter(|window| *window == what).count()
}

#[test]
fn a_login_is_named_nowhere() {
    let stage = kept(with(Login::by(&[Scheme::Md5])));
    stage.plays_both();
    for app in [&stage.exporter, &stage.viewer] {
        for told in [
            app.ok(&["--json", "tunnel", "list"]),
            app.ok(&["--json", "status"]),
            stage.net.lab.log(&app.name),
        ] {
            assert!(secrets(told.as_bytes()).is_empty(), "{told}");
        }
    }
    assert_eq!(stage.exporter.tunnel(NAME).resource.as_str(), NAME);
}
