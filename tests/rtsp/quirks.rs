//! One oddity each: a camera that has it is played as if it had none.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::cameras::Takes;
use crate::players::Transport;
use crate::scripted::{PATH, Script, numbered, path_of};
use crate::stage::{SILENCE, Stage};
use crate::support::wait::{PATIENCE, is, until};
use crate::viewer::{LATCH, Viewer};

#[test]
fn a_good_camera_is_played_over_both_transports() {
    let stage = Stage::new(Script::default());
    stage.plays_both();
    let log = stage.camera.log();
    assert_eq!((log.sessions, log.open, log.refused), (2, 0, 0));
}

#[test]
fn a_camera_that_says_461_to_tcp_is_played_over_udp() {
    Stage::new(Script { takes: Takes::Udp, ..Script::default() }).plays_both();
}

#[test]
fn a_camera_that_says_406_to_tcp_is_played_over_udp() {
    Stage::new(Script { takes: Takes::Udp, refusal: "406 Not Acceptable", ..Script::default() }).plays_both();
}

#[test]
fn a_camera_that_says_461_to_udp_is_played_over_tcp() {
    Stage::new(Script { takes: Takes::Tcp, ..Script::default() }).plays_both();
}

#[test]
fn a_camera_that_says_406_to_udp_is_played_over_tcp() {
    Stage::new(Script { takes: Takes::Tcp, refusal: "406 Not Acceptable", ..Script::default() }).plays_both();
}

#[test]
fn what_a_camera_says_that_takes_neither_transport_is_passed_on() {
    // No track has that path.
    let stage = Stage::new(Script { track: "/elsewhere", ..Script::default() });
    let mut viewer = stage.open(Transport::Udp);
    let track = viewer.tracks().remove(0);
    assert_eq!(viewer.setup(&track).unwrap().first, "RTSP/1.0 404 Not Found");
    let busy = Stage::new(Script { sessions_max: 0, ..Script::default() });
    let mut viewer = busy.open(Transport::Tcp);
    let answer = viewer.setup(&track_of(&viewer)).unwrap();
    assert_eq!(
        (answer.first.as_str(), answer.get("X-Why")),
        ("RTSP/1.0 453 Not Enough Bandwidth", Some("one viewer"))
    );
}

fn track_of(viewer: &Viewer) -> String {
    viewer.tracks().remove(0)
}

#[test]
fn a_camera_that_sends_from_other_ports_than_it_said_is_played() {
    Stage::new(Script { keeps_ports: false, takes: Takes::Udp, ..Script::default() }).plays_both();
}

#[test]
fn a_camera_that_does_not_say_its_ports_is_played() {
    Stage::new(Script { announces: false, takes: Takes::Udp, ..Script::default() }).plays_both();
}

#[test]
fn frames_before_the_answer_to_play_come_through() {
    Stage::new(Script { eager: 20, ..Script::default() }).plays_both();
}

#[test]
fn frames_and_answers_in_pieces_of_a_byte_come_through() {
    let script = Script { chunk: Some(1), packets: 10, size: 100, takes: Takes::Tcp, ..Script::default() };
    Stage::new(script).plays_both();
}

#[test]
fn frames_and_answers_all_in_one_come_through() {
    Stage::new(Script { coalesces: true, eager: 3, takes: Takes::Tcp, ..Script::default() }).plays_both();
}

#[test]
fn packets_larger_than_a_datagram_come_through() {
    let script = Script { size: 1460, takes: Takes::Udp, ..Script::default() };
    Stage::new(script).plays_both();
    // About size, not about haste: a fast burst of these may be dropped as late on a busy machine.
    let interval = Duration::from_millis(50);
    let script = Script { size: 60_000, packets: 20, takes: Takes::Tcp, interval, ..Script::default() };
    Stage::new(script).plays_both();
}

#[test]
fn lines_that_end_in_lf_are_read() {
    Stage::new(Script { line_end: "\n", ..Script::default() }).plays_both();
}

#[test]
fn folded_headers_are_read() {
    Stage::new(Script { folds: true, ..Script::default() }).plays_both();
}

#[test]
fn answers_without_a_number_find_their_question() {
    Stage::new(Script { number: None, ..Script::default() }).plays_both();
}

#[test]
fn cseq_in_any_case_is_read() {
    Stage::new(Script { number: Some("Cseq"), ..Script::default() }).plays_both();
}

#[test]
fn rtp_info_that_is_relative_or_has_no_scheme_is_passed_on() {
    let relative =
        Script { rtp_info: Some(|_| "url=track1;seq=0;rtptime=0".to_owned()), ..Script::default() };
    let bare = Script {
        rtp_info: Some(|track| format!("url={};seq=0;rtptime=0", track.trim_start_matches("rtsp://"))),
        ..Script::default()
    };
    for (script, expected) in
        [(relative, "url=track1;"), (bare, "/stream/track1;"), (Script::default(), "url=rtsp://127.0.0.1:")]
    {
        let stage = Stage::new(script);
        let mut viewer = stage.open(Transport::Tcp);
        viewer.setup(&track_of(&viewer)).unwrap();
        let answer = viewer.play().unwrap();
        let info = answer.get("RTP-Info").unwrap();
        assert!(info.contains(expected), "{info}");
        assert!(!info.contains(&stage.camera.address.to_string()), "{info}");
        stage.gets_all(&mut viewer);
    }
}

#[test]
fn a_base_without_the_query_that_the_track_has_leads_to_the_track() {
    let stage = Stage::new(Script {
        content_base: Some(|address| format!("rtsp://{address}{PATH}/")),
        control: |address| format!("rtsp://{address}{PATH}/trackID=1?channel=1&subtype=0"),
        track: "/stream/trackID=1?channel=1&subtype=0",
        ..Script::default()
    });
    stage.plays_both();
}

#[test]
fn a_camera_without_a_base_is_played() {
    Stage::new(Script { content_base: None, ..Script::default() }).plays_both();
}

#[test]
fn urls_name_the_tunnel_and_never_the_camera() {
    let stage = Stage::new(Script {
        control: |address| format!("rtsp://{address}{PATH}/track1"),
        ..Script::default()
    });
    let mut viewer = stage.plays(Transport::Udp);
    viewer.teardown().unwrap();
    let seen = String::from_utf8_lossy(viewer.seen());
    assert!(!seen.contains(&stage.camera.address.to_string()), "{seen}");
    let tunnel = stage.url.strip_suffix(PATH).unwrap();
    assert!(viewer.sdp.contains(&format!("a=control:{tunnel}{PATH}/track1")), "{}", viewer.sdp);
    assert!(viewer.base.starts_with(tunnel), "{}", viewer.base);
}

#[test]
fn what_a_camera_asks_its_viewer_is_answered() {
    for takes in [Takes::Udp, Takes::Tcp] {
        let stage = Stage::new(Script { asks: true, takes, ..Script::default() });
        stage.plays_both();
        until("the camera has its answers", PATIENCE, || {
            let log = stage.camera.log();
            let answers: Vec<_> =
                log.answers.iter().map(|answer| (answer.status(), answer.get("CSeq"))).collect();
            is(answers == [(Some(200), Some("77")); 2], format!("{answers:?}"))
        });
    }
}

#[test]
fn an_answer_that_says_multicast_is_an_error_for_the_viewer() {
    let stage = Stage::new(Script { multicast: true, ..Script::default() });
    for transport in Transport::ALL {
        let mut viewer = stage.open(transport);
        let answer = viewer.setup(&track_of(&viewer)).unwrap();
        assert_eq!(answer.status(), Some(461), "{answer:?}");
        assert!(!String::from_utf8_lossy(viewer.seen()).contains("239.255.77.7"));
    }
}

#[test]
fn a_viewer_that_wants_multicast_is_told_461() {
    let stage = Stage::new(Script::default());
    let mut viewer = stage.open(Transport::Tcp);
    let track = track_of(&viewer);
    let answer =
        viewer.request("SETUP", &track, &["Transport: RTP/AVP;multicast;port=47000-47001;ttl=1"]).unwrap();
    assert_eq!(answer.status(), Some(461), "{answer:?}");
    assert_eq!(stage.camera.log().sessions, 0);
    viewer.start().unwrap();
    stage.gets_all(&mut viewer);
}

/// Addresses of this machine that nobody in these tests has.
fn elsewhere() -> [UdpSocket; 2] {
    let socket = |host| {
        let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, host), 0)).unwrap();
        socket.set_read_timeout(Some(SILENCE)).unwrap();
        socket
    };
    [socket(8), socket(9)]
}

#[test]
fn no_packet_goes_where_a_camera_points() {
    // The ports are those that the viewer names; the hosts are others.
    let stage = Stage::new(Script {
        session_lines: "o=- 1 1 IN IP4 127.0.0.9\r\ns=-\r\nc=IN IP4 127.0.0.9\r\nt=0 0\r\n",
        more_lines: "c=IN IP4 127.0.0.8\r\n",
        transport_more: ";source=127.0.0.8;destination=127.0.0.9",
        ..Script::default()
    });
    for transport in Transport::ALL {
        let mut viewer = stage.plays(transport);
        assert!(!viewer.sdp.contains("127.0.0."), "{}", viewer.sdp);
        let told = viewer.setups[0].get("Transport").unwrap().to_owned();
        assert!(!told.contains("127.0.0.8") && !told.contains("127.0.0.9"), "{told}");
        viewer.teardown().unwrap();
    }
}

#[test]
fn no_packet_goes_where_a_viewer_points() {
    let stage = Stage::new(Script { takes: Takes::Udp, ..Script::default() });
    let mut viewer = stage.open(Transport::Udp);
    let [there, _] = elsewhere();
    let port = there.local_addr().unwrap().port() & !1;
    let track = track_of(&viewer);
    let header = format!(
        "Transport: RTP/AVP;unicast;destination=127.0.0.8;source=127.0.0.9;client_port={port}-{}",
        port + 1
    );
    let answer = viewer.request("SETUP", &track, &[&header]).unwrap();
    let asked = stage.camera.log().requests.iter().rev().find(|request| request.method() == "SETUP").cloned();
    if let Some(asked) = asked {
        let transport = asked.get("Transport").unwrap();
        assert!(!transport.contains("destination") && !transport.contains("source"), "{transport}");
    }
    if answer.status() == Some(200) {
        viewer.session = answer.get("Session").map(|session| session.split(';').next().unwrap().to_owned());
        viewer.play().unwrap();
        assert!(there.recv(&mut [0; 2000]).is_err(), "a packet came");
    }
}

#[test]
fn frames_on_channels_that_nobody_set_up_are_passed_over() {
    let long = [&[b'$', 77, 0xff, 0xff][..], &[7; 65_535]].concat();
    let rubbish = [&[b'$', 0, 0, 0][..], &[b'$', 9, 0, 1, 1], &[b'$', 255, 0, 0], &long].concat();
    Stage::new(Script { rubbish, takes: Takes::Tcp, packets: 50, ..Script::default() }).plays_both();
}

#[test]
fn a_frame_that_never_ends_ends_its_own_connection_only() {
    let stage = Stage::new(Script::default());
    let mut viewer = stage.open(Transport::Tcp);
    viewer.setup(&track_of(&viewer)).unwrap();
    viewer.write(&[b'$', 0, 0xff, 0xff, 1, 2, 3]).unwrap();
    drop(viewer);
    stage.plays_both();
}

#[test]
fn what_is_no_rtsp_ends_its_own_connection_only() {
    let stage = Stage::new(Script::default());
    for rubbish in [
        "GET / HTTP/1.1\r\n\r\n".as_bytes().to_vec(),
        "DESCRIBE rtsp://x RTSP/1.0\r\nContent-Length: 99999999999999999999\r\n\r\n".as_bytes().to_vec(),
        "DESCRIBE rtsp://x RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 4000000000\r\n\r\n".as_bytes().to_vec(),
        [b"OPTIONS * RTSP/1.0\r\nX: ".to_vec(), vec![b'x'; 1 << 20]].concat(),
        vec![0; 1 << 16],
    ] {
        let mut viewer = Viewer::connect(&stage.url, Transport::Tcp).unwrap();
        // It may be gone before it has read all.
        let _ = viewer.write(&rubbish);
    }
    stage.plays_both();
}

#[test]
fn a_viewer_that_says_it_is_there_keeps_its_session() {
    for (transport, takes) in [(Transport::Udp, Takes::Tcp), (Transport::Tcp, Takes::Udp)] {
        let stage = Stage::new(Script {
            timeout: Some(Duration::from_secs(2)),
            takes,
            packets: 500,
            interval: Duration::from_millis(10),
            ..Script::default()
        });
        let mut viewer = stage.open(transport);
        viewer.start().unwrap();
        assert!(viewer.setups[0].get("Session").unwrap().contains("timeout=2"), "{:?}", viewer.setups[0]);
        stage.gets_all(&mut viewer);
        let log = stage.camera.log();
        assert_eq!(log.forgotten, 0);
        assert!(log.reports >= 3, "{} reports", log.reports);
    }
}

#[test]
fn reports_go_both_ways_and_so_does_what_opens_nats() {
    let stage = Stage::new(Script { takes: Takes::Udp, packets: 400, ..Script::default() });
    let mut viewer = stage.plays(Transport::Udp);
    assert!(!viewer.reports.is_empty(), "no BYE came");
    viewer.teardown().unwrap();
    let log = stage.camera.log();
    assert!(log.reports > 0, "no report came to the camera");
    assert!(log.heard.iter().any(|packet| packet == &LATCH), "{:x?}", log.heard);
}

#[test]
fn a_session_is_given_back_when_its_viewer_is_gone() {
    let stage = Stage::new(Script { sessions_max: 1, packets: 10_000, ..Script::default() });
    for transport in Transport::ALL {
        let mut viewer = stage.open(transport);
        viewer.start().unwrap();
        let mut came = 0;
        viewer
            .receive_tracks(Instant::now() + PATIENCE, |_, _| {
                came += 1;
                came < 10
            })
            .unwrap();
        let mut second = stage.open(transport);
        let answer = second.setup(&track_of(&second)).unwrap();
        assert_eq!(answer.status(), Some(453), "{answer:?}");
        let before = stage.camera.log().teardowns;
        drop(viewer);
        until("the camera is told", PATIENCE, || {
            let log = stage.camera.log();
            is(log.teardowns == before + 1 && log.open == 0, format!("{} sessions are open", log.open))
        });
    }
}

#[test]
fn a_session_is_given_back_when_the_viewers_daemon_ends() {
    let mut stage = Stage::new(Script { sessions_max: 1, packets: 10_000, ..Script::default() });
    let mut viewer = stage.open(Transport::Udp);
    viewer.start().unwrap();
    stage.viewer.stop(Signal::SIGTERM);
    until("the camera is told", PATIENCE, || {
        let log = stage.camera.log();
        is(log.teardowns == 1 && log.open == 0, format!("{} sessions are open", log.open))
    });
}

#[test]
fn packets_from_another_host_do_not_reach_the_viewer() {
    let stage = Stage::new(Script { takes: Takes::Udp, packets: 300, ..Script::default() });
    let mut viewer = stage.open(Transport::Udp);
    viewer.start().unwrap();
    let exporter = stage.camera.log().client.unwrap();
    let foreign = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 8), 0)).unwrap();
    for _ in 0..50 {
        foreign.send_to(&crate::rtp::packet(1, 1, true, b"injected"), exporter).unwrap();
    }
    // It would panic at one of them.
    stage.gets_all(&mut viewer);
}

#[test]
fn packets_from_another_port_or_host_do_not_reach_the_camera() {
    let stage = Stage::new(Script { takes: Takes::Udp, packets: 300, ..Script::default() });
    let mut viewer = stage.open(Transport::Udp);
    viewer.start().unwrap();
    let near = SocketAddr::from((Ipv4Addr::LOCALHOST, viewer.ports[0].2.unwrap()));
    for host in [1, 8] {
        let foreign = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, host), 0)).unwrap();
        for _ in 0..50 {
            foreign.send_to(b"injected", near).unwrap();
        }
    }
    viewer.ports[0].0.send_to(b"viewer's own", near).unwrap();
    stage.gets_all(&mut viewer);
    let log = stage.camera.log();
    assert!(log.heard.iter().any(|packet| packet == b"viewer's own"), "{:x?}", log.heard);
    assert!(log.heard.iter().all(|packet| packet != b"injected"));
}

#[test]
fn requests_that_come_all_at_once_are_answered_in_their_order() {
    let stage = Stage::new(Script::default());
    let mut viewer = Viewer::connect(&stage.url, Transport::Tcp).unwrap();
    let url = stage.url.clone();
    for _ in 0..10 {
        viewer.send("OPTIONS", &url, &[]).unwrap();
    }
    // The answer to the eleventh comes after those to the ten.
    let began = Instant::now();
    viewer.send("DESCRIBE", &url, &[]).unwrap();
    while !String::from_utf8_lossy(viewer.seen()).contains("CSeq: 12") {
        assert!(began.elapsed() < PATIENCE, "{}", String::from_utf8_lossy(viewer.seen()));
        let _ = viewer.wait();
    }
    let seen = String::from_utf8_lossy(viewer.seen()).into_owned();
    let numbers: Vec<u32> = seen
        .split("CSeq: ")
        .skip(1)
        .map(|rest| rest.split("\r\n").next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(numbers, (2..=12).collect::<Vec<_>>());
}

#[test]
fn requests_reach_the_camera_with_the_uris_that_it_knows() {
    let stage = Stage::new(Script::default());
    stage.plays_both();
    let log = stage.camera.log();
    for request in &log.requests {
        assert!(path_of(request.uri()).starts_with(PATH), "{}", request.first);
    }
}

#[test]
fn packets_come_with_their_own_numbers() {
    let stage = Stage::new(Script::default());
    let mut viewer = stage.open(Transport::Udp);
    viewer.start().unwrap();
    let mut last = None;
    viewer
        .receive(Instant::now() + PATIENCE, |packet| {
            let (number, _) = numbered(packet).unwrap();
            assert_eq!(u32::from(u16::from_be_bytes([packet[2], packet[3]])), number);
            last = Some(number);
        })
        .unwrap();
    assert_eq!(last, Some(stage.packets - 1));
}
