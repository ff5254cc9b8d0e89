//! UDP through a tunnel: to whom answers go, what is too long for a packet, who may, and how many.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use coconet::control::facts::UdpFacts;
use coconet::control::{Facts, Tunnel, TunnelState};

use crate::support::bytes::noise;
use crate::support::net::{App, HOME, Net, free_port};
use crate::support::targets::{assert_cut, echo, serve};
use crate::support::wait::{PATIENCE, is, until};

/// Longest wait for a datagram on loopback before it is sent again, as every user of UDP does.
const AGAIN: Duration = Duration::from_secs(2);

/// Ports that are tried for one that is free for TCP and UDP.
const PORTS_TRIED: usize = 32;

/// The longest UDP payload over IPv4.
const LONGEST: usize = 65_507;

#[test]
fn every_client_gets_its_own_answers() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let (target, callers) = udp_echo();
    camera.expose(&format!("udp://{target}"), "game");
    let address = opened_at(&viewer, "game");

    let clients: Vec<UdpSocket> = (0..8).map(|_| client(address)).collect();
    for round in 0..20_u8 {
        for (number, client) in clients.iter().enumerate() {
            client.send(&[round, number as u8]).unwrap();
        }
        for (number, client) in clients.iter().enumerate() {
            assert_eq!(received(client), [round, number as u8]);
        }
    }
    // The target has seen as many clients.
    let seen: BTreeSet<SocketAddr> = callers.try_iter().collect();
    assert_eq!(seen.len(), clients.len());
    let facts = |app: &App| udp(&app.tunnel("game"));
    until("all is counted", PATIENCE, || {
        // Counters are added up now and then, when something comes.
        clients[0].send(&[]).unwrap();
        received(&clients[0]);
        let (near, far) = (facts(&viewer), facts(&camera));
        let counted = |facts: &UdpFacts| facts.datagrams_in >= 160 && facts.datagrams_out >= 160;
        let nothing_lost = |facts: &UdpFacts| (facts.flows, facts.dropped, facts.lost) == (8, 0, 0);
        is([&near, &far].into_iter().all(|f| counted(f) && nothing_lost(f)), format!("{near:?} {far:?}"))
    });
}

#[test]
fn a_datagram_longer_than_any_packet_comes_whole() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let (target, _callers) = udp_echo();
    camera.expose(&format!("udp://{target}"), "big");
    let client = client(opened_at(&viewer, "big"));
    for length in [0, 1, 1200, 1460, 1500, 9000, 40_000, LONGEST] {
        let datagram = noise(length as u64, length);
        client.send(&datagram).unwrap();
        assert!(received(&client) == datagram, "{length} bytes did not come back");
    }
}

#[test]
fn one_name_may_stand_for_tcp_and_udp() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    camera.expose(&format!("tcp+udp://{}", echo_of_both()), "dns");
    let tunnel = viewer.ok(&["--json", "tunnel", "open", "dns"]);
    let tunnel: Tunnel = serde_json::from_str(&tunnel).unwrap();
    let address: SocketAddr = tunnel.listen.unwrap().parse().unwrap();
    let client = client(address);
    client.send(b"who").unwrap();
    assert_eq!(received(&client), b"who");
    let mut stream = TcpStream::connect(address).unwrap();
    echoed(&mut stream, b"who is it");

    // After a restart it listens for both again, in the same place.
    let mut viewer = viewer;
    viewer.kill();
    viewer.start();
    until("datagrams come again", PATIENCE, || {
        client.send(b"again").map_err(|error| error.to_string())?;
        let mut buffer = [0; 16];
        client.recv(&mut buffer).map(|_| ()).map_err(|error| error.to_string())
    });
}

#[test]
fn a_target_that_is_not_there_yet_is_reached_when_it_is() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let port = free_port();
    camera.expose(&format!("udp://127.0.0.1:{port}"), "later");
    let client = client(opened_at(&viewer, "later"));
    client.send(b"nobody hears this").unwrap();
    let target = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    echo_on(target, mpsc::channel().0);
    until("it answers", PATIENCE, || {
        client.send(b"hello").map_err(|error| error.to_string())?;
        let mut buffer = [0; 64];
        let length = client.recv(&mut buffer).map_err(|error| error.to_string())?;
        is(&buffer[..length] == b"hello", "something else")
    });
}

#[test]
fn a_guest_exchanges_what_it_was_granted_until_it_is_revoked() {
    let net = Net::new();
    let (owner, gina) = (net.app("owner"), net.app("gina"));
    owner.create(HOME, &net.address);
    gina.join(&owner.invite(HOME, &["--user", "gina", "--role", "guest"]));
    let target = echo_of_both();
    owner.expose(&format!("udp://{target}"), "game");
    owner.expose(&format!("tcp+udp://{target}"), "both");
    // What is not said is everything.
    owner.ok(&["network", "grant", HOME, "gina", "game"]);
    owner.ok(&["network", "grant", HOME, "gina", "both", "--can", "connect"]);
    let exchanging = client(until_open(&gina, "game"));
    exchanging.send(b"mine").unwrap();
    assert_eq!(received(&exchanging), b"mine");

    // Who may connect may not exchange.
    let address = until_open(&gina, "both");
    echoed(&mut TcpStream::connect(address).unwrap(), b"by tcp");
    let denied = client(address);
    denied.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    for _ in 0..3 {
        denied.send(b"by udp").unwrap();
        let silent = denied.recv(&mut [0; 16]).unwrap_err();
        assert!(matches!(silent.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{silent}");
    }

    owner.ok(&["network", "revoke", HOME, "gina", "game"]);
    until("nothing answers any more", Duration::from_secs(5), || {
        exchanging.send(b"still?").map_err(|error| error.to_string())?;
        exchanging.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        is(exchanging.recv(&mut [0; 16]).is_err(), "an answer")
    });
}

#[test]
fn no_more_clients_are_let_in_than_may_be() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let second = net.app("second");
    second.join(&camera.invite(HOME, &["--self"]));
    let target = serve(echo);
    camera.ok(&["tunnel", "expose", &format!("tcp://{target}"), "--name", "few", "--max-clients", "2"]);
    let (address, other) = (viewer.open_address("few"), second.open_address("few"));
    let mut clients: Vec<TcpStream> = (0..2).map(|_| TcpStream::connect(address).unwrap()).collect();
    for client in &mut clients {
        echoed(client, b"in");
    }
    assert_cut(&mut TcpStream::connect(address).unwrap());
    assert_cut(&mut TcpStream::connect(other).unwrap());
    until("the other tunnel says so", PATIENCE, || {
        let state = second.tunnel("few").state;
        is(state == TunnelState::MaxClients, state.as_str())
    });
    // Whoever is in is not told that it does not work.
    assert_eq!(viewer.tunnel("few").state, TunnelState::Open);

    drop(clients);
    until("there is room again", PATIENCE, || {
        let mut client = TcpStream::connect(other).map_err(|error| error.to_string())?;
        try_echoed(&mut client, b"in").map_err(|error| error.to_string())
    });
}

#[test]
fn options_that_mean_nothing_for_a_target_are_refused() {
    let net = Net::new();
    let (camera, _viewer) = net.pair();
    for (url, option) in [
        ("tcp://127.0.0.1:9", &["--share"][..]),
        ("rtsp://127.0.0.1:9", &["--host-header", "x"]),
        ("http://127.0.0.1:9", &["--client-id-suffix"]),
        ("rtsp://127.0.0.1:9", &["--can", "read"]),
    ] {
        let words: Vec<&str> =
            ["tunnel", "expose", url, "--name", "x"].iter().chain(option).copied().collect();
        let told = camera.refused(&[2], &words);
        assert!(told.contains("error:"), "{told}");
    }
    let login = net.lab.path("login");
    fs::write(&login, "admin:secret\n").unwrap();
    let words = ["tunnel", "expose", "rtsp://127.0.0.1:9", "--name", "x", "--login-file"];
    let words: Vec<&str> = words.iter().copied().chain([login.to_str().unwrap()]).collect();
    fs::set_permissions(&login, Permissions::from_mode(0o644)).unwrap();
    assert!(camera.refused(&[1], &words).contains("chmod 600"));
    fs::set_permissions(&login, Permissions::from_mode(0o600)).unwrap();
    camera.ok(&words);
    let told = camera.ok(&["--json", "tunnel", "list"]);
    assert!(!told.contains("secret") && !told.contains("admin") && told.contains("\"login\":true"), "{told}");
}

fn echoed(stream: &mut TcpStream, what: &[u8]) {
    try_echoed(stream, what).unwrap();
}

fn try_echoed(stream: &mut TcpStream, what: &[u8]) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(what)?;
    let mut back = vec![0; what.len()];
    stream.read_exact(&mut back)?;
    assert_eq!(back, what);
    Ok(())
}

fn udp(tunnel: &Tunnel) -> UdpFacts {
    let Some(Facts::Udp(facts)) = &tunnel.facts else { panic!("{tunnel:?}") };
    facts.clone()
}

/// A target that sends back what it gets; who sent it can be received.
fn udp_echo() -> (SocketAddr, mpsc::Receiver<SocketAddr>) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = socket.local_addr().unwrap();
    let (caller, callers) = mpsc::channel();
    echo_on(socket, caller);
    (address, callers)
}

/// An echo for TCP and UDP at one port: one that is free for both has to be found.
fn echo_of_both() -> SocketAddr {
    let (address, socket) = (0..PORTS_TRIED)
        .find_map(|_| {
            let address = serve(echo);
            Some((address, UdpSocket::bind(address).ok()?))
        })
        .expect("no port is free for TCP and UDP");
    echo_on(socket, mpsc::channel().0);
    address
}

fn echo_on(socket: UdpSocket, caller: mpsc::Sender<SocketAddr>) {
    thread::spawn(move || {
        let mut buffer = vec![0; LONGEST];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            // Nobody may be counting.
            let _ = caller.send(from);
            socket.send_to(&buffer[..length], from).unwrap();
        }
    });
}

fn client(address: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.connect(address).unwrap();
    socket.set_read_timeout(Some(AGAIN)).unwrap();
    socket
}

fn received(client: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; LONGEST];
    let length = client.recv(&mut buffer).unwrap();
    buffer.truncate(length);
    buffer
}

fn opened_at(viewer: &App, resource: &str) -> SocketAddr {
    let url = viewer.open(resource);
    let tunnel = viewer.tunnel(resource);
    assert_eq!(url, format!("udp://{}", tunnel.listen.as_ref().unwrap()));
    tunnel.listen.unwrap().parse().unwrap()
}

/// Opened as soon as the grant is known there.
fn until_open(app: &App, resource: &str) -> SocketAddr {
    until(&format!("{resource} opens"), PATIENCE, || {
        let ran = app.ctl(&["tunnel", "open", resource]);
        is(ran.code == 0, ran.stderr)
    });
    app.tunnel(resource).listen.unwrap().parse().unwrap()
}
