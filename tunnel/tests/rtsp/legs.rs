//! UDP and interleaved frames, on each side for itself.

use coco_tunnel::forward::rtsp::message::Message;
use coco_tunnel::forward::rtsp::transport::Lower::{self, Tcp, Udp};
use tokio::net::UdpSocket;

use crate::camera::{Camera, Oddities, packet, report};
use crate::player::{Player, Track};
use crate::soon;
use crate::tunnel::{Asked, Tunnel};

/// Plays two tracks, and sees that every packet comes, in order, both ways, and that the camera is told when
/// the player has gone.
async fn plays(viewer: Lower, oddities: Oddities) -> Camera {
    let packets = oddities.packets;
    let camera = Camera::start(oddities).await;
    let tunnel = Tunnel::open(camera.address, Asked::default()).await;
    let mut player = Player::connect(tunnel.listen, "/live").await;
    assert_eq!(player.get("OPTIONS").await.code(), Some(200));
    let described = player.get("DESCRIBE").await;
    let listen = tunnel.listen;
    assert_eq!(described.header("Content-Base").unwrap(), format!("rtsp://{listen}/live/"));
    let body = String::from_utf8(described.body().to_vec()).unwrap();
    assert!(body.contains(&format!("a=control:rtsp://{listen}/live/track0")), "{body}");
    assert!(body.contains("c=IN IP4 0.0.0.0") && !body.contains(&camera.address.to_string()), "{body}");
    let tracks = [player.setup("track0", viewer, (4, 5)).await, player.setup("track1", viewer, (0, 1)).await];
    let played = player.get("PLAY").await;
    assert_eq!(
        played.header("RTP-Info").unwrap(),
        format!("url=rtsp://{listen}/live/track0;seq=0;rtptime=0")
    );
    for (number, track) in (0..).zip(&tracks) {
        assert_eq!(player.packet(track, true).await, report(number));
        for sequence in 0..packets {
            assert_eq!(player.packet(track, false).await, packet(number, sequence), "track {number}");
        }
        let receiver_report = [0x81, 201, 0, 1, 0, 0, 0, number];
        player.give(track, true, &receiver_report).await;
        assert_eq!(camera.gets().await, (true, receiver_report.to_vec().into()));
        // What opens NATs is no RTP and passes.
        player.give(track, false, b"\xce\xfa\xed\xfe").await;
        assert_eq!(camera.gets().await, (false, b"\xce\xfa\xed\xfe".to_vec().into()));
    }
    drop(player);
    let torn_down = camera.hears("TEARDOWN").await;
    assert_eq!(torn_down.header("Session").unwrap(), "12345678");
    camera.hears("CLOSED").await;
    camera
}

fn takes(lower: &[Lower]) -> Oddities {
    Oddities { takes: lower.to_vec(), ..Oddities::default() }
}

#[tokio::test]
async fn a_player_with_frames_plays_a_camera_with_frames() {
    plays(Tcp, takes(&[Tcp])).await;
}

#[tokio::test]
async fn a_player_with_ports_plays_a_camera_with_ports() {
    plays(Udp, takes(&[Udp])).await;
}

#[tokio::test]
async fn a_player_with_ports_plays_a_camera_with_frames() {
    plays(Udp, takes(&[Tcp])).await;
}

#[tokio::test]
async fn a_player_with_frames_plays_a_camera_with_ports() {
    plays(Tcp, takes(&[Udp])).await;
}

#[tokio::test]
async fn a_camera_that_takes_both_is_asked_for_what_the_player_likes() {
    for lower in [Tcp, Udp] {
        let camera = plays(lower, takes(&[Tcp, Udp])).await;
        let setups: Vec<_> =
            camera.asked().into_iter().filter(|request| request.method() == Some("SETUP")).collect();
        assert_eq!(setups.len(), 2, "one for each track");
        assert!(
            setups.iter().all(|setup| setup.header("Transport").unwrap().contains("TCP") == (lower == Tcp))
        );
    }
}

#[tokio::test]
async fn what_worked_for_one_track_is_tried_first_for_the_next() {
    let camera = plays(Udp, takes(&[Tcp])).await;
    assert_eq!(camera.methods().iter().filter(|method| *method == "SETUP").count(), 3);
}

#[tokio::test]
async fn a_camera_may_say_less_and_do_otherwise() {
    for oddities in [
        Oddities { no_server_port: true, ..takes(&[Udp]) },
        Oddities { other_ports: true, ..takes(&[Udp]) },
        Oddities { no_number: true, ..takes(&[Tcp]) },
    ] {
        plays(Udp, oddities).await;
    }
}

#[tokio::test]
async fn when_neither_works_the_player_hears_what_the_camera_said() {
    let camera = Camera::start(takes(&[])).await;
    let tunnel = Tunnel::open(camera.address, Asked::default()).await;
    let mut player = Player::connect(tunnel.listen, "/live").await;
    let url = format!("{}/track0", player.url);
    let setup = player.request("SETUP", &url).with("Transport", "RTP/AVP;unicast;client_port=5000-5001");
    let answer = player.ask(setup).await;
    assert!(answer.encode().starts_with(b"RTSP/1.0 461 Unsupported Transport, says the camera\r\n"));
    assert_eq!(camera.methods(), ["SETUP", "SETUP"]);
}

#[tokio::test]
async fn a_group_is_refused_with_a_reason_and_in_its_turn() {
    let camera = Camera::start(Oddities::default()).await;
    let tunnel = Tunnel::open(camera.address, Asked::default()).await;
    let mut player = Player::connect(tunnel.listen, "/live").await;
    let url = player.url.clone();
    let first = player.request("OPTIONS", &url);
    let group = player.request("SETUP", &url).with("Transport", "RTP/AVP;multicast;ttl=16");
    let last = player.request("GET_PARAMETER", &url);
    player.send(&[first.encode(), group.encode(), last.encode()].concat()).await;
    let answers = [player.answer().await, player.answer().await, player.answer().await];
    let codes: Vec<_> =
        answers.iter().map(|answer| (answer.code(), answer.header("CSeq").unwrap())).collect();
    assert_eq!(codes, [(Some(200), "1".into()), (Some(461), "2".into()), (Some(200), "3".into())]);
    assert!(String::from_utf8(answers[1].encode().to_vec()).unwrap().contains("multicast"));
    assert_eq!(camera.methods(), ["OPTIONS", "GET_PARAMETER"]);
}

#[tokio::test]
async fn a_frame_may_stand_before_the_answer_to_play() {
    let camera = Camera::start(Oddities { early: true, packets: 3, ..takes(&[Tcp]) }).await;
    let tunnel = Tunnel::open(camera.address, Asked::default()).await;
    let mut player = Player::connect(tunnel.listen, "/live").await;
    let track = player.setup("track0", Tcp, (0, 1)).await;
    assert_eq!(player.get("PLAY").await.code(), Some(200));
    assert_eq!(player.packet(&track, true).await, report(0));
    assert_eq!(player.packet(&track, true).await, report(0));
}

#[tokio::test]
async fn nothing_is_injected_into_a_players_or_a_cameras_ports() {
    let camera = Camera::start(takes(&[Udp])).await;
    let tunnel = Tunnel::open(camera.address, Asked::default()).await;
    let mut player = Player::connect(tunnel.listen, "/live").await;
    let track = player.setup("track0", Udp, (0, 1)).await;
    let Track::Udp { to, .. } = &track else { panic!("it has ports") };
    // Somebody else on this machine.
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let elsewhere = UdpSocket::bind("127.0.0.2:0").await.unwrap();
    stranger.send_to(b"\0not the player", to.0).await.unwrap();
    stranger.send_to(b"\0not the player", to.1).await.unwrap();
    let exporter = camera.ports.lock().unwrap().clone();
    for port in exporter {
        elsewhere.send_to(&packet(7, 7), port).await.unwrap();
    }
    player.give(&track, true, b"\x81\xc9\0\x02the player").await;
    assert_eq!(camera.gets().await, (true, b"\x81\xc9\0\x02the player".to_vec().into()));
    assert_eq!(player.get("PLAY").await.code(), Some(200));
    assert_eq!(player.packet(&track, false).await, packet(0, 0));
    assert_eq!(player.packet(&track, true).await, report(0));
}

#[tokio::test]
async fn a_lost_tunnel_is_told_to_the_camera() {
    let camera = Camera::start(takes(&[Udp])).await;
    let tunnel = Tunnel::open(camera.address, Asked::default()).await;
    let mut player = Player::connect(tunnel.listen, "/live").await;
    player.setup("track0", Udp, (0, 1)).await;
    tunnel.lose();
    assert_eq!(camera.hears("TEARDOWN").await.header("Session").unwrap(), "12345678");
    camera.hears("CLOSED").await;
    assert!(player.item().await.is_none(), "the player notices as well");
}

#[tokio::test]
async fn a_player_that_tears_down_is_not_torn_down_again() {
    let camera = Camera::start(takes(&[Tcp])).await;
    let tunnel = Tunnel::open(camera.address, Asked::default()).await;
    let mut player = Player::connect(tunnel.listen, "/live").await;
    player.setup("track0", Tcp, (0, 1)).await;
    // It does not wait for the answer, as most do not.
    let url = player.url.clone();
    let request = player.request("TEARDOWN", &url);
    player.send(&request.encode()).await;
    drop(player);
    camera.hears("CLOSED").await;
    assert_eq!(camera.methods(), ["SETUP", "TEARDOWN", "CLOSED"]);
}

#[tokio::test]
async fn a_session_is_set_up_again_after_its_end() {
    let camera = Camera::start(Oddities { packets: 5, ..takes(&[Udp, Tcp]) }).await;
    let tunnel = Tunnel::open(camera.address, Asked::default()).await;
    let mut player = Player::connect(tunnel.listen, "/live").await;
    player.setup("track0", Udp, (0, 1)).await;
    assert_eq!(player.get("TEARDOWN").await.code(), Some(200));
    player.session = None;
    let track = player.setup("track0", Tcp, (0, 1)).await;
    assert_eq!(player.get("PLAY").await.code(), Some(200));
    // The camera's first leg is gone; its second one is what the player takes now.
    assert_eq!(player.packet(&track, true).await.len(), report(0).len());
}

#[tokio::test]
async fn sloppy_requests_are_answered_and_a_missing_number_stays_missing() {
    let camera = Camera::start(Oddities::default()).await;
    let tunnel = Tunnel::open(camera.address, Asked::default()).await;
    let mut player = Player::connect(tunnel.listen, "/live").await;
    let url = player.url.clone();
    player.send(format!("OPTIONS {url} RTSP/1.0\nUser-Agent: sloppy,\n folded\n\nOPTIONS {url} RTSP/1.0\r\ncseq : 7\r\n\r\n").as_bytes()).await;
    let (first, second) = (player.answer().await, player.answer().await);
    assert_eq!((first.code(), first.header("CSeq")), (Some(200), None));
    assert_eq!((second.code(), second.header("CSeq")), (Some(200), Some("7".into())));
    assert_eq!(camera.asked()[0].header("User-Agent").unwrap(), "sloppy, folded");
    let two: Message = player.request("OPTIONS", &url);
    let newer = String::from_utf8(two.encode().to_vec()).unwrap().replace("RTSP/1.0", "RTSP/2.0");
    player.send(newer.as_bytes()).await;
    assert_eq!(player.answer().await.code(), Some(505));
}

#[tokio::test]
async fn a_camera_that_is_not_there_is_said_in_an_answer() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let tunnel = Tunnel::open(nobody, Asked::default()).await;
    let mut player = Player::connect(tunnel.listen, "/live").await;
    assert_eq!(soon(player.get("OPTIONS")).await.code(), Some(503));
}

#[tokio::test]
async fn a_camera_whose_ports_bring_nothing_is_asked_for_frames() {
    let camera = Camera::start(Oddities { lost: true, packets: 5, ..takes(&[Udp, Tcp]) }).await;
    let tunnel = Tunnel::open(camera.address, Asked::default()).await;
    let mut player = Player::connect(tunnel.listen, "/live").await;
    let track = player.setup("track0", Udp, (0, 1)).await;
    assert_eq!(player.get("PLAY").await.code(), Some(200));
    assert_eq!(player.packet(&track, true).await, report(0));
    assert_eq!(player.packet(&track, false).await, packet(0, 0));
    assert_eq!(camera.methods(), ["SETUP", "PLAY", "SETUP", "TEARDOWN", "PLAY"]);
    // The player goes on under the id that it knows, and the camera hears the one that it gave.
    assert_eq!(player.get("GET_PARAMETER").await.code(), Some(200));
    let sessions: Vec<_> = camera.asked().iter().map(|one| one.header("Session").map(Into::into)).collect();
    let [first, second]: [Option<String>; 2] = [Some("12345678".to_owned()), Some("87654321".to_owned())];
    assert_eq!(sessions, [None, first.clone(), None, first, second.clone(), second]);
}

#[tokio::test]
async fn what_a_player_records_arrives_whole() {
    for takes in [Tcp, Udp] {
        let camera = Camera::start(Oddities { takes: vec![takes], ..Oddities::default() }).await;
        let tunnel = Tunnel::open(camera.address, Asked { rights: vec!["record"], ..Asked::default() }).await;
        let mut player = Player::connect(tunnel.listen, "/live").await;
        assert_eq!(player.get("ANNOUNCE").await.code(), Some(200));
        let url = format!("{}/track0", player.url);
        let offer = "RTP/AVP/TCP;unicast;interleaved=0-1;mode=record";
        let setup = player.request("SETUP", &url).with("Transport", offer);
        assert_eq!(player.ask(setup).await.code(), Some(200));
        assert_eq!(player.get("RECORD").await.code(), Some(200));
        let track = Track::Tcp { channels: (0, 1) };
        for number in 0..50 {
            player.give(&track, false, &packet(0, number)).await;
        }
        for number in 0..50 {
            assert_eq!(camera.gets().await, (false, packet(0, number)));
        }
        assert_eq!(player.get("PLAY").await.code(), Some(403), "it may not look");
    }
}
