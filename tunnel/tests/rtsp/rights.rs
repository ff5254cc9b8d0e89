//! What a viewer may not, and what it never learns.

use coco_tunnel::forward::rtsp::judge::BACKCHANNEL;
use coco_tunnel::forward::rtsp::message::Item;
use coco_tunnel::forward::rtsp::transport::Lower::{Tcp, Udp};
use coconet::service::ServiceOptions;
use coconet::wire::code::Reset;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::camera::{Camera, Oddities};
use crate::player::Player;
use crate::soon;
use crate::tunnel::{Asked, Tunnel};

async fn tunnel(oddities: Oddities, asked: Asked) -> (Camera, Tunnel, Player) {
    let camera = Camera::start(oddities).await;
    let tunnel = Tunnel::open(camera.address, asked).await;
    let player = Player::connect(tunnel.listen, "/live").await;
    (camera, tunnel, player)
}

#[tokio::test]
async fn who_may_play_neither_records_nor_talks() {
    let asked = Asked { rights: vec!["play"], ..Asked::default() };
    let (camera, _tunnel, mut player) = tunnel(Oddities { packets: 1, ..Oddities::default() }, asked).await;
    assert_eq!(player.get("DESCRIBE").await.code(), Some(200));
    for method in ["ANNOUNCE", "RECORD", "REDIRECT", "X-REBOOT"] {
        assert_eq!(player.get(method).await.code(), Some(403), "{method}");
    }
    let url = player.url.clone();
    let talk = player.request("DESCRIBE", &url).with("Require", BACKCHANNEL);
    assert_eq!(player.ask(talk).await.code(), Some(403));
    for (track, transport) in [
        ("track0", "RTP/AVP/TCP;interleaved=0-1;mode=record"),
        // The description says that this one is a loudspeaker.
        ("track2", "RTP/AVP/TCP;interleaved=0-1"),
    ] {
        let setup = player.request("SETUP", &format!("{url}/{track}")).with("Transport", transport);
        assert_eq!(player.ask(setup).await.code(), Some(403), "{track}");
    }
    assert_eq!(camera.methods(), ["DESCRIBE"]);
    // Nor does it by sending media where it may look.
    for lower in [Tcp, Udp] {
        let track = player.setup("track1", lower, (0, 1)).await;
        player.give(&track, false, &[0x80; 172]).await;
        // What is no RTCP, and what says that it is longer than it is.
        player.give(&track, true, &[0x80; 172]).await;
        player.give(&track, true, b"\x81\xc9\0\x02\0\0\0\x01").await;
        let report = b"\x81\xc9\0\x01\0\0\0\x01";
        player.give(&track, true, report).await;
        assert_eq!(camera.gets().await, (true, report.to_vec().into()), "only RTCP comes");
    }
}

#[tokio::test]
async fn who_may_talk_is_heard() {
    let asked = Asked { rights: vec!["play", "talk"], ..Asked::default() };
    let (camera, _tunnel, mut player) = tunnel(Oddities { packets: 1, ..Oddities::default() }, asked).await;
    let url = player.url.clone();
    let talk = player.request("DESCRIBE", &url).with("Require", BACKCHANNEL);
    assert_eq!(player.ask(talk).await.code(), Some(200));
    for lower in [Tcp, Udp] {
        let track = player.setup("track2", lower, (0, 1)).await;
        player.give(&track, false, &[0x80; 172]).await;
        assert_eq!(camera.gets().await, (false, vec![0x80; 172].into()));
    }
}

#[tokio::test]
async fn an_exposed_stream_is_not_its_neighbour() {
    let (camera, _tunnel, mut player) =
        tunnel(Oddities::default(), Asked { path: "/live", ..Asked::default() }).await;
    assert_eq!(player.get("DESCRIBE").await.code(), Some(200));
    player.url = player.url.replace("/live", "/garden");
    assert_eq!(player.get("DESCRIBE").await.code(), Some(404));
    assert_eq!(camera.methods(), ["DESCRIBE"]);
}

#[tokio::test]
async fn a_login_that_is_kept_here_is_used_here_and_the_viewer_learns_nothing() {
    for (wanted, offered) in [
        ("Digest username=\"admin\"", "Digest realm=\"camera\", nonce=\"abc\", algorithm=MD5, qop=\"auth\""),
        (
            "algorithm=SHA-256",
            "Digest realm=\"camera\", nonce=\"abc\", algorithm=SHA-256, Basic realm=\"camera\"",
        ),
        // admin:secret
        ("Basic YWRtaW46c2VjcmV0", "Basic realm=\"camera\""),
    ] {
        let oddities = Oddities { login: Some((wanted, offered)), ..Oddities::default() };
        let asked = Asked { login: Some("admin:secret"), ..Asked::default() };
        let (camera, _tunnel, mut player) = tunnel(oddities, asked).await;
        let url = player.url.clone();
        let described = player.request("DESCRIBE", &url).with("Authorization", "Basic dmlld2VyOnZpZXdlcg==");
        let answer = player.ask(described).await;
        assert_eq!(answer.code(), Some(200));
        let asked = camera.asked();
        assert_eq!(asked.len(), 2, "{wanted}: asked without, then with");
        assert!(asked[0].header("Authorization").is_none(), "the viewer's own is not passed on");
        // What is signed is what is asked for, under the camera's own name.
        assert_eq!(asked[1].uri(), Some(format!("rtsp://{}/live", camera.address).as_str()));
        player.setup("track0", Tcp, (0, 1)).await;
        assert_eq!(camera.asked().len(), 3, "{wanted}: the nonce is used again");
        drop(player);
        assert!(camera.hears("TEARDOWN").await.header("Authorization").is_some());
    }
}

#[tokio::test]
async fn a_login_that_is_wrong_is_tried_once_and_not_asked_of_the_viewer() {
    let oddities =
        Oddities { login: Some(("never", "Digest realm=\"c\", nonce=\"n\"")), ..Oddities::default() };
    let asked = Asked { login: Some("admin:wrong"), ..Asked::default() };
    let (camera, _tunnel, mut player) = tunnel(oddities, asked).await;
    let answer = player.get("DESCRIBE").await;
    assert_eq!((answer.code(), answer.header("WWW-Authenticate")), (Some(403), None));
    assert_eq!(camera.methods(), ["DESCRIBE", "DESCRIBE"]);
}

#[tokio::test]
async fn without_a_login_the_viewer_answers_the_challenge_and_what_it_signed_arrives_as_it_was() {
    let login = Some(("response=\"viewers\"", "Digest realm=\"c\", nonce=\"n\""));
    let (camera, _tunnel, mut player) =
        tunnel(Oddities { login, ..Oddities::default() }, Asked::default()).await;
    let answer = player.get("DESCRIBE").await;
    assert_eq!(answer.code(), Some(401));
    assert_eq!(answer.header("WWW-Authenticate").unwrap(), "Digest realm=\"c\", nonce=\"n\"");
    let url = player.url.clone();
    let signed = format!("Digest uri=\"{url}\", response=\"viewers\"");
    let request = player.request("DESCRIBE", &url).with("Authorization", &signed);
    assert_eq!(player.ask(request).await.code(), Some(200));
    let asked = camera.asked();
    assert_eq!(asked[1].uri(), Some(url.as_str()));
    assert_eq!(asked[1].header("Authorization").unwrap(), signed);
}

#[tokio::test]
async fn a_refused_open_is_said_in_the_players_words() {
    for (reset, code) in [(Reset::MaxClients, 453), (Reset::NotPermitted, 403), (Reset::Unreachable, 503)] {
        let asked = Asked { refused: Some(reset), ..Asked::default() };
        let (_camera, _tunnel, mut player) = tunnel(Oddities::default(), asked).await;
        assert_eq!(player.get("OPTIONS").await.code(), Some(code));
        assert!(player.item().await.is_none(), "and the connection ends");
    }
}

#[tokio::test]
async fn rtsp_inside_http_is_opaque_and_only_for_who_may_do_everything() {
    let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let whole = Tunnel::open(target.local_addr().unwrap(), Asked::default()).await;
    let mut player = TcpStream::connect(whole.listen).await.unwrap();
    let get = b"GET /live HTTP/1.0\r\nx-sessioncookie: abc\r\n\r\n";
    player.write_all(get).await.unwrap();
    let (mut camera, _) = soon(target.accept()).await.unwrap();
    let mut heard = vec![0; get.len()];
    soon(camera.read_exact(&mut heard)).await.unwrap();
    assert_eq!(heard, get);
    camera.write_all(b"$anything").await.unwrap();
    let mut heard = [0; 9];
    soon(player.read_exact(&mut heard)).await.unwrap();
    assert_eq!(&heard, b"$anything");

    let share = ServiceOptions { share: true, ..ServiceOptions::default() };
    for asked in [
        Asked { rights: vec!["play"], ..Asked::default() },
        Asked { path: "/live", ..Asked::default() },
        Asked { options: share, ..Asked::default() },
    ] {
        let part = Tunnel::open(target.local_addr().unwrap(), asked).await;
        let mut player = TcpStream::connect(part.listen).await.unwrap();
        player.write_all(get).await.unwrap();
        let mut heard = Vec::new();
        soon(player.read_to_end(&mut heard)).await.unwrap();
        assert!(heard.starts_with(b"HTTP/1.1 403"));
    }
}

#[tokio::test]
async fn a_camera_hears_only_headers_that_are_known_each_of_them_once() {
    let (camera, _tunnel, mut player) = tunnel(Oddities::default(), Asked::default()).await;
    let sent = format!(
        "SET_PARAMETER {} RTSP/1.0\r\nCSeq : 1\r\nSession: 1\r\nsession: 2\r\nTransport: RTP/AVP;mode=record\r\n\
         Content-Length : 4\r\nX-Odd: 1\r\ncontent-length: 4\r\nTransport\r\n\r\nabcd",
        player.url
    );
    player.send(sent.as_bytes()).await;
    assert_eq!(player.answer().await.code(), Some(200));
    let heard = String::from_utf8(camera.asked()[0].encode().to_vec()).unwrap();
    let (_, headers) = heard.split_once("\r\n").unwrap();
    assert_eq!(headers, "CSeq: 1\r\nSession: 1\r\nContent-Length: 4\r\n\r\nabcd");
}

#[tokio::test]
async fn a_body_where_none_belongs_is_refused() {
    let (camera, _tunnel, mut player) = tunnel(Oddities::default(), Asked::default()).await;
    let url = player.url.clone();
    for method in ["OPTIONS", "DESCRIBE", "PLAY", "TEARDOWN"] {
        let mut request = player.request(method, &url);
        request.set_body("SETUP".into());
        assert_eq!(player.ask(request).await.code(), Some(400), "{method}");
    }
    assert!(camera.methods().is_empty());
}

#[tokio::test]
async fn an_answer_that_nobody_waits_for_is_dropped() {
    let (camera, _tunnel, mut player) = tunnel(Oddities::default(), Asked::default()).await;
    assert_eq!(player.get("OPTIONS").await.code(), Some(200));
    player.send(b"RTSP/1.0 200 OK\r\nCSeq: 5\r\nContent-Length: 3\r\n\r\nabc").await;
    assert_eq!(player.get("OPTIONS").await.code(), Some(200));
    let asked = camera.asked();
    assert_eq!(asked.iter().map(|one| one.code()).collect::<Vec<_>>(), [None, None]);
}

#[tokio::test]
async fn who_may_record_sets_up_what_it_announced_and_nothing_else() {
    let asked = Asked { rights: vec!["record"], ..Asked::default() };
    let (camera, _tunnel, mut player) = tunnel(Oddities::default(), asked).await;
    let url = format!("{}/track0", player.url);
    for (announced, code) in [(false, 403), (true, 200)] {
        if announced {
            assert_eq!(player.get("ANNOUNCE").await.code(), Some(200));
        }
        let offer = "RTP/AVP/TCP;unicast;interleaved=0-1;mode=record";
        let setup = player.request("SETUP", &url).with("Transport", offer);
        assert_eq!(player.ask(setup).await.code(), Some(code), "{:?}", camera.methods());
    }
}

#[tokio::test]
async fn who_may_only_talk_hears_nothing() {
    let asked = Asked { rights: vec!["talk"], ..Asked::default() };
    let (_camera, _tunnel, mut player) = tunnel(Oddities { packets: 3, ..Oddities::default() }, asked).await;
    let url = player.url.clone();
    let talk = player.request("DESCRIBE", &url).with("Require", BACKCHANNEL);
    assert_eq!(player.ask(talk).await.code(), Some(200));
    let track = player.setup("track2", Tcp, (0, 1)).await;
    let play = player.request("PLAY", &url);
    player.send(&play.encode()).await;
    let (mut reports, mut media) = (0, 0);
    while reports == 0 {
        match player.item().await {
            Some(Item::Frame { channel: 1, .. }) => reports += 1,
            Some(Item::Frame { .. }) => media += 1,
            Some(Item::Message(_)) => {}
            None => panic!("it ended"),
        }
    }
    assert_eq!(media, 0);
    drop(track);
}

#[tokio::test]
async fn answers_are_told_by_their_number_and_the_cameras_own_questions_get_plain_ones() {
    let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tunnel = Tunnel::open(target.local_addr().unwrap(), Asked::default()).await;
    let mut player = Player::connect(tunnel.listen, "/live").await;
    let request = player.request("OPTIONS", "*");
    player.send(&request.encode()).await;
    let (mut camera, _) = soon(target.accept()).await.unwrap();
    let expected = b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n";
    let mut heard = vec![0; expected.len()];
    soon(camera.read_exact(&mut heard)).await.unwrap();
    assert_eq!(heard, expected);
    let said = b"RTSP/1.0 403 Late\r\nCSeq: 999\r\n\r\nRTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n";
    camera.write_all(said).await.unwrap();
    assert_eq!(player.answer().await.code(), Some(200));
    camera.write_all(b"GET_PARAMETER * RTSP/1.0\r\nCSeq: 9\r\n\r\n").await.unwrap();
    assert_eq!(player.answer().await.method(), Some("GET_PARAMETER"));
    let answer = b"RTSP/1.0 200 So\r\nCSeq: 9\r\nX-Odd: 1\r\nContent-Length: 3\r\n\r\nabc";
    // Once.
    let next = player.request("OPTIONS", "*").encode();
    player.send(&[&answer[..], answer, &next[..]].concat()).await;
    let expected = b"RTSP/1.0 200 OK\r\nCSeq: 9\r\n\r\nOPTIONS * RTSP/1.0\r\nCSeq: 2\r\n\r\n";
    let mut heard = vec![0; expected.len()];
    soon(camera.read_exact(&mut heard)).await.unwrap();
    assert_eq!(heard, expected);
}
