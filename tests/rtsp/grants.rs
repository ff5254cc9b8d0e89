//! What a grant lets a guest do.

use std::time::{Duration, Instant};

use crate::players::Transport;
use crate::scripted::{Camera, Script};
use crate::support::net::{App, HOME, Net};
use crate::support::wait::{PATIENCE, is, until};
use crate::viewer::Viewer;

/// ONVIF's word for a camera with a loudspeaker.
const BACKCHANNEL: &str = "Require: www.onvif.org/ver20/backchannel";

const SPEAKER: &str = "m=audio 0 RTP/AVP 0\r\na=control:track2\r\na=sendonly\r\n";

struct Guests {
    camera: Camera,
    owner: App,
    net: Net,
}

impl Guests {
    fn new() -> Self {
        let camera = Camera::start(Script { more_lines: SPEAKER, packets: 40, ..Script::default() });
        let net = Net::new();
        let owner = net.app("owner");
        owner.create(HOME, &net.address);
        owner.expose(&camera.url(), "door");
        Self { camera, owner, net }
    }

    /// A guest with these capabilities, and its local URL.
    fn guest(&self, name: &str, can: &str) -> (App, String) {
        let guest = self.net.app(name);
        guest.join(&self.owner.invite(HOME, &["--user", name, "--role", "guest"]));
        let can = can.split(',').flat_map(|can| ["--can", can]);
        let words: Vec<&str> = ["network", "grant", HOME, name, "door"].into_iter().chain(can).collect();
        self.owner.ok(&words);
        until("the guest has its grant", PATIENCE, || {
            let resources = guest.network(HOME).resources;
            is(resources.iter().any(|known| known.name.as_str() == "door"), "it does not")
        });
        let url = guest.open("door");
        (guest, url)
    }

    fn methods(&self) -> Vec<String> {
        self.camera.log().requests.iter().map(|request| request.method().to_owned()).collect()
    }
}

/// Play the picture and not the loudspeaker, to the end.
fn watch(viewer: &mut Viewer) -> u32 {
    let track = viewer.tracks().remove(0);
    assert_eq!(viewer.setup(&track).unwrap().status(), Some(200));
    viewer.play().unwrap();
    let mut came = 0;
    viewer.receive(Instant::now() + PATIENCE, |_| came += 1).unwrap();
    came
}

#[test]
fn a_guest_that_may_play_can_neither_record_nor_talk() {
    let guests = Guests::new();
    let (_guest, url) = guests.guest("gina", "play");
    for transport in Transport::ALL {
        let mut viewer = Viewer::connect(&url, transport).unwrap();
        viewer.describe().unwrap();
        for (method, headers) in [
            ("ANNOUNCE", &["Content-Type: application/sdp", "Content-Length: 0"][..]),
            ("RECORD", &[]),
            ("SETUP", &["Transport: RTP/AVP/TCP;unicast;interleaved=0-1;mode=record"]),
            ("SETUP", &["Transport: RTP/AVP;unicast;client_port=40000-40001;mode=\"PLAY,RECORD\""]),
        ] {
            let answer = viewer.request(method, &viewer.tracks()[0].clone(), headers).unwrap();
            assert_eq!(answer.status(), Some(403), "{method} {headers:?}: {answer:?}");
        }
        let speaker = viewer.tracks().get(1).cloned().unwrap_or_else(|| format!("{url}/track2"));
        let answer = viewer.setup(&speaker).unwrap();
        assert_eq!(answer.status(), Some(403), "{answer:?}");
    }
    let mut viewer = Viewer::open(&url, Transport::Tcp).unwrap();
    assert_eq!(watch(&mut viewer), 40);
    // Nor by frames that no SETUP allowed.
    for channel in [2, 3, 77] {
        viewer.frame(channel, &crate::rtp::packet(1, 1, true, b"hello")).unwrap();
    }
    viewer.teardown().unwrap();
    let methods = guests.methods();
    assert!(!methods.iter().any(|method| method == "ANNOUNCE" || method == "RECORD"), "{methods:?}");
    let log = guests.camera.log();
    assert!(
        log.requests.iter().all(|request| !request.uri().ends_with("track2")),
        "the loudspeaker was set up"
    );
    assert!(!log.heard.iter().any(|packet| packet.ends_with(b"hello")), "{:x?}", log.heard);
}

#[test]
fn a_guest_that_may_only_play_is_not_offered_the_loudspeaker() {
    let guests = Guests::new();
    let (_guest, url) = guests.guest("gina", "play");
    let mut viewer = Viewer::connect(&url, Transport::Tcp).unwrap();
    let answer = viewer.request("DESCRIBE", &url, &["Accept: application/sdp", BACKCHANNEL]).unwrap();
    // Either told that there is none, in the words of the RFC, or given the rest.
    assert!(matches!(answer.status(), Some(200 | 403 | 551)), "{answer:?}");
    let log = guests.camera.log();
    assert!(
        log.requests.iter().all(|request| request.get("Require").is_none()),
        "it was asked for at the camera"
    );
}

#[test]
fn a_guest_that_may_talk_is_heard() {
    let guests = Guests::new();
    let (_guest, url) = guests.guest("gina", "play,talk");
    for transport in Transport::ALL {
        let mut viewer = Viewer::connect(&url, transport).unwrap();
        viewer.extra.push(BACKCHANNEL.to_owned());
        viewer.describe().unwrap();
        viewer.start().unwrap();
        let said = format!("hello by {transport:?}");
        let packet = crate::rtp::packet(1, 1, true, said.as_bytes());
        let began = Instant::now();
        while !guests.camera.log().heard.contains(&packet) {
            assert!(began.elapsed() < PATIENCE, "{transport:?}: nothing is heard");
            match transport {
                Transport::Tcp => viewer.frame(2, &packet).unwrap(),
                Transport::Udp => {
                    let (rtp, _, port) = &viewer.ports[1];
                    rtp.send_to(&packet, ("127.0.0.1", port.unwrap())).unwrap();
                }
            }
            // Datagrams may get lost.
            viewer.receive(Instant::now() + Duration::from_millis(20), |_| ()).unwrap();
        }
        viewer.teardown().unwrap();
    }
}

#[test]
fn a_guest_that_may_only_record_cannot_play() {
    let guests = Guests::new();
    let (_guest, url) = guests.guest("gina", "record");
    let mut viewer = Viewer::connect(&url, Transport::Tcp).unwrap();
    let sdp = ["Content-Type: application/sdp", "Content-Length: 0"];
    assert_eq!(viewer.request("ANNOUNCE", &url, &sdp).unwrap().status(), Some(200));
    let track = format!("{url}/track1");
    let play = viewer.setup(&track).unwrap();
    let answer = viewer.request("PLAY", &url, &[]).unwrap();
    assert_eq!(answer.status(), Some(403), "{play:?} {answer:?}");
    assert!(!guests.methods().contains(&"PLAY".to_owned()));
}

#[test]
fn a_live_film_is_cut_when_the_grant_is_revoked() {
    let camera = Camera::start(Script { packets: 100_000, ..Script::default() });
    let net = Net::new();
    let owner = net.app("owner");
    owner.create(HOME, &net.address);
    owner.expose(&camera.url(), "door");
    let guests = Guests { camera, owner, net };
    let (_guest, url) = guests.guest("gina", "play");
    let mut viewer = Viewer::open(&url, Transport::Udp).unwrap();
    viewer.start().unwrap();
    guests.owner.ok(&["network", "revoke", HOME, "gina", "door"]);
    let revoked = Instant::now();
    let mut last = revoked;
    viewer.receive(revoked + Duration::from_secs(8), |_| last = Instant::now()).unwrap();
    assert!(last - revoked < Duration::from_secs(5), "packets come {:?} after", last - revoked);
    until("the camera is told", PATIENCE, || is(guests.camera.log().open == 0, "its session is open"));
}
