//! One session with the camera for all viewers.

use coco_tunnel::forward::rtsp::judge::BACKCHANNEL;
use coco_tunnel::forward::rtsp::transport::Lower::{self, Tcp, Udp};
use coconet::control::facts::RtspTransport;
use coconet::service::ServiceOptions;

use crate::camera::{Camera, Oddities, packet};
use crate::player::{Player, Track};
use crate::tunnel::{Asked, Tunnel};

/// More packets than any of these tests waits for.
const ENDLESS: u32 = 60_000;

async fn shared(oddities: Oddities) -> (Camera, Tunnel) {
    let camera = Camera::start(oddities).await;
    let options = ServiceOptions { share: true, ..ServiceOptions::default() };
    let tunnel = Tunnel::open(camera.address, Asked { options, ..Asked::default() }).await;
    (camera, tunnel)
}

fn endless(takes: Lower) -> Oddities {
    Oddities { takes: vec![takes], packets: ENDLESS, ..Oddities::default() }
}

async fn plays(tunnel: &Tunnel, lower: Lower) -> (Player, Track) {
    let mut player = Player::connect(tunnel.listen, "/live").await;
    assert_eq!(player.get("OPTIONS").await.code(), Some(200));
    let described = player.get("DESCRIBE").await;
    assert_eq!(described.code(), Some(200));
    assert_eq!(described.header("Content-Base").unwrap(), format!("rtsp://{}/live/", tunnel.listen));
    let track = player.setup("track0", lower, (0, 1)).await;
    let played = player.get("PLAY").await;
    assert_eq!(played.code(), Some(200));
    let info = played.header("RTP-Info").unwrap();
    assert!(info.starts_with(&format!("url=rtsp://{}/live/track0;seq=", tunnel.listen)), "{info}");
    (player, track)
}

fn number(packet: &[u8]) -> u16 {
    u16::from_be_bytes([packet[2], packet[3]])
}

fn count(camera: &Camera, method: &str) -> usize {
    camera.methods().iter().filter(|one| *one == method).count()
}

#[tokio::test]
async fn eight_viewers_have_one_session() {
    for takes in [Udp, Tcp] {
        let (camera, tunnel) = shared(endless(takes)).await;
        let mut watching = Vec::new();
        for viewer in 0..8 {
            watching.push(plays(&tunnel, if viewer % 2 == 0 { Udp } else { Tcp }).await);
        }
        for (player, track) in &mut watching {
            let first = player.packet(track, false).await;
            assert_eq!(first, packet(0, u32::from(number(&first))));
            let second = player.packet(track, false).await;
            assert_eq!(number(&second), number(&first) + 1);
        }
        // The first viewer saw the first packet, and both tracks were set up for all that come later.
        assert_eq!(
            (count(&camera, "DESCRIBE"), count(&camera, "SETUP"), count(&camera, "PLAY")),
            (1, if takes == Udp { 2 } else { 3 }, 1)
        );
        let facts = tunnel.service.rtsp.facts();
        let [session] = &facts.sessions[..] else { panic!("{facts:?}") };
        assert_eq!((session.path.as_str(), session.viewers_udp, session.viewers_tcp), ("/live", 4, 4));
        let video = &session.tracks[0];
        assert_eq!((video.media.as_str(), video.codec.as_deref()), ("video", Some("H264")));
        assert_eq!(video.size, Some((640, 480)));
        assert_eq!(video.transport, if takes == Udp { RtspTransport::Udp } else { RtspTransport::Tcp });
        assert!(video.packets > 2 && video.lost == 0, "{video:?}");
    }
}

#[tokio::test]
async fn a_later_viewer_gets_the_numbers_of_now() {
    let (_camera, tunnel) = shared(endless(Udp)).await;
    let (mut first, track) = plays(&tunnel, Udp).await;
    let mut seen = 0;
    while seen < 50 {
        seen = number(&first.packet(&track, false).await);
    }
    let mut second = Player::connect(tunnel.listen, "/live").await;
    second.get("DESCRIBE").await;
    let track = second.setup("track0", Udp, (0, 1)).await;
    let played = second.get("PLAY").await;
    let info = played.header("RTP-Info").unwrap().into_owned();
    let told: u16 = info.split(";seq=").nth(1).unwrap().split(';').next().unwrap().parse().unwrap();
    let got = number(&second.packet(&track, false).await);
    assert!(told > 50 && got >= told, "told {told}, got {got}");
    assert!(info.contains(&format!(";rtptime={}", (u32::from(told) - 1) * 3000)), "{info}");
}

#[tokio::test]
async fn neither_pausing_nor_leaving_stops_the_others_and_the_last_one_ends_it() {
    let (camera, tunnel) = shared(endless(Tcp)).await;
    let (mut stays, track) = plays(&tunnel, Tcp).await;
    let (mut pauses, paused) = plays(&tunnel, Tcp).await;
    let (leaves, _) = plays(&tunnel, Udp).await;
    let mut last = number(&pauses.packet(&paused, false).await);
    assert_eq!(pauses.get("PAUSE").await.code(), Some(200));
    drop(leaves);
    for _ in 0..100 {
        stays.packet(&track, false).await;
    }
    assert_eq!((count(&camera, "PAUSE"), count(&camera, "TEARDOWN")), (0, 0));
    assert_eq!(pauses.get("PLAY").await.code(), Some(200));
    // What was under way when it paused, and then what is now.
    loop {
        let next = number(&pauses.packet(&paused, false).await);
        if next > last + 50 {
            break;
        }
        assert_eq!(next, last + 1, "nothing came while it paused");
        last = next;
    }
    assert_eq!(stays.get("TEARDOWN").await.code(), Some(200));
    drop(stays);
    pauses.packet(&paused, false).await;
    assert_eq!(count(&camera, "TEARDOWN"), 0);
    drop(pauses);
    assert_eq!(camera.hears("TEARDOWN").await.header("Session").unwrap(), "12345678");
    camera.hears("CLOSED").await;
    assert!(tunnel.service.rtsp.facts().sessions.is_empty());
}

#[tokio::test]
async fn a_viewer_that_takes_nothing_holds_up_nobody() {
    let (_camera, tunnel) = shared(endless(Tcp)).await;
    let (stuck, _) = plays(&tunnel, Tcp).await;
    let (mut reads, track) = plays(&tunnel, Tcp).await;
    let first = number(&reads.packet(&track, false).await);
    for step in 1..3000 {
        assert_eq!(number(&reads.packet(&track, false).await), first.wrapping_add(step));
    }
    drop(stuck);
}

#[tokio::test]
async fn the_camera_hears_a_receiver() {
    let (camera, tunnel) = shared(endless(Udp)).await;
    let (_player, _track) = plays(&tunnel, Udp).await;
    let (rtcp, report) = camera.gets().await;
    assert!(rtcp && report.starts_with(&[0x80, 201]), "{report:?}");
}

#[tokio::test]
async fn who_talks_has_a_session_of_its_own() {
    let (camera, tunnel) = shared(endless(Udp)).await;
    let (_player, _track) = plays(&tunnel, Udp).await;
    let mut talks = Player::connect(tunnel.listen, "/live").await;
    let url = talks.url.clone();
    let talk = talks.request("DESCRIBE", &url).with("Require", BACKCHANNEL);
    assert_eq!(talks.ask(talk).await.code(), Some(200));
    let track = talks.setup("track2", Udp, (0, 1)).await;
    talks.give(&track, false, &[0x80; 172]).await;
    assert_eq!(camera.gets().await, (false, vec![0x80; 172].into()));
    assert_eq!(count(&camera, "DESCRIBE"), 2);
}

#[tokio::test]
async fn what_one_viewers_password_opens_is_not_shared() {
    let login = Some(("response=\"viewers\"", "Digest realm=\"c\", nonce=\"n\""));
    let (camera, tunnel) = shared(Oddities { login, ..endless(Udp) }).await;
    let mut knows = Player::connect(tunnel.listen, "/live").await;
    assert_eq!(knows.get("DESCRIBE").await.code(), Some(401));
    let url = knows.url.clone();
    let signed = "Digest response=\"viewers\"";
    let request = knows.request("DESCRIBE", &url).with("Authorization", signed);
    assert_eq!(knows.ask(request).await.code(), Some(200));
    let mut other = Player::connect(tunnel.listen, "/live").await;
    assert_eq!(other.get("DESCRIBE").await.code(), Some(401));
    assert!(
        camera.asked().iter().any(|one| one.header("Authorization").is_some_and(|value| value == signed))
    );
}

#[tokio::test]
async fn who_has_no_seat_gets_no_session_of_its_own() {
    let camera = Camera::start(endless(Udp)).await;
    let options = ServiceOptions { share: true, ..ServiceOptions::default() };
    let tunnel =
        Tunnel::open(camera.address, Asked { options, rights: vec!["play"], ..Asked::default() }).await;
    let mut player = Player::connect(tunnel.listen, "/live").await;
    for method in ["PLAY", "GET_PARAMETER", "TEARDOWN"] {
        assert_eq!(player.get(method).await.code(), Some(455), "{method}");
    }
    assert!(camera.methods().is_empty());
    assert_eq!(player.get("DESCRIBE").await.code(), Some(200));
    assert_eq!(player.get("GET_PARAMETER").await.code(), Some(200));
    // Asked for by the camera's name, not by what the viewer calls it.
    assert_eq!(camera.asked()[0].uri(), Some(format!("rtsp://{}/live", camera.address).as_str()));
}

#[tokio::test]
async fn shared_sessions_are_bounded() {
    let (_camera, tunnel) = shared(endless(Udp)).await;
    let mut players = Vec::new();
    for number in 0..9 {
        let mut player = Player::connect(tunnel.listen, &format!("/live?{number}")).await;
        let code = if number < 8 { 200 } else { 453 };
        assert_eq!(player.get("DESCRIBE").await.code(), Some(code), "{number}");
        players.push(player);
    }
}
