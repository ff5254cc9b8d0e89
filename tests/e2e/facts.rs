//! What lists and the status say is what has happened.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use coconet::control::{Direction, ManagerLink, PeerLink, Pong, Status, TunnelState};

use crate::support::bytes::noise;
use crate::support::net::{HOME, Net, free_port};
use crate::support::targets::{assert_cut, echo, serve};
use crate::support::wait::{PATIENCE, is, until};

#[test]
fn a_resource_is_found_as_soon_as_it_is_exposed() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let target = serve(echo);
    for number in 0..10 {
        let name = format!("service-{number}");
        camera.expose(&format!("tcp://{target}"), &name);
        // No retry: the first answer counts.
        viewer.open(&name);
    }
}

#[test]
fn a_tunnel_counts_what_goes_through_it() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let target = serve(|mut stream| {
        let mut request = [0; 1000];
        while stream.read_exact(&mut request).is_ok() {
            stream.write_all(&noise(1, 3000)).unwrap();
        }
    });
    camera.expose(&format!("tcp://{target}"), "service");
    let address = viewer.open_address("service");

    let mut clients: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect(address).unwrap()).collect();
    for client in &mut clients {
        client.write_all(&noise(2, 1000)).unwrap();
        client.read_exact(&mut [0; 3000]).unwrap();
    }

    let (opened, exposed) = (viewer.tunnel("service"), camera.tunnel("service"));
    assert_eq!((opened.clients, opened.connections, opened.failures), (3, 3, 0), "{opened:?}");
    assert_eq!((exposed.clients, exposed.connections, exposed.failures), (3, 3, 0), "{exposed:?}");
    assert_eq!((opened.bytes_in, opened.bytes_out), (9000, 3000));
    assert_eq!((exposed.bytes_in, exposed.bytes_out), (3000, 9000));
    drop(clients);
    until("nobody is left", PATIENCE, || {
        let left = (viewer.tunnel("service").clients, camera.tunnel("service").clients);
        is(left == (0, 0), format!("{left:?}"))
    });
    assert_eq!(viewer.tunnel("service").connections, 3);
}

#[test]
fn both_ends_of_a_tunnel_are_told_apart() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let target = format!("tcp://{}", serve(echo));
    camera.expose(&target, "service");
    let url = viewer.open("service");

    let (opened, exposed) = (viewer.tunnel("service"), camera.tunnel("service"));

    assert_eq!((opened.direction, opened.state), (Direction::Open, TunnelState::Open));
    assert_eq!((exposed.direction, exposed.state), (Direction::Expose, TunnelState::Open));
    assert_eq!((opened.url.as_deref(), opened.target.as_deref()), (Some(url.as_str()), None));
    assert_eq!((exposed.url.as_deref(), exposed.target.as_deref()), (None, Some(target.as_str())));
    assert_eq!(opened.node.as_ref().map(AsRef::as_ref), Some("camera"));
}

#[test]
fn peers_are_reached_directly_and_ping_measures_it() {
    let net = Net::new();
    let (camera, viewer) = net.pair();

    let pong: Pong = viewer.json(&["ping", "camera", "--count", "1"]);

    assert_eq!(pong.node.as_str(), "camera");
    assert!(pong.path.starts_with("direct 127.0.0.1:"), "{pong:?}");
    assert!((1..1_000_000).contains(&pong.rtt_us), "{pong:?}");
    for (app, other) in [(&viewer, "camera"), (&camera, "viewer")] {
        let status: Status = app.json(&["status"]);
        assert_eq!(
            (status.version, status.app.as_str(), status.pid),
            (1, app.name.as_str(), app.daemon().pid())
        );
        let network = app.network(HOME);
        assert_eq!((network.manager.state, network.nodes, network.users), (ManagerLink::Online, 2, 1));
        let peer = &network.peers[0];
        assert_eq!((peer.name.as_str(), peer.state), (other, PeerLink::Connected));
        assert!(peer.path.as_ref().is_some_and(|path| path.starts_with("direct 127.0.0.1:")), "{peer:?}");
    }
    let told = viewer.refused(&[5], &["ping", "nobody"]);
    assert!(told.contains("nobody"), "{told}");
}

#[test]
fn a_target_that_goes_away_and_comes_back_is_told_at_both_ends() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let port = free_port();
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    camera.expose(&format!("tcp://127.0.0.1:{port}"), "service");
    let address = viewer.open_address("service");

    drop(listener);
    // Taken by the listener, which stays, and then broken: there is nothing behind it.
    assert_cut(&mut TcpStream::connect(address).unwrap());

    for app in [&viewer, &camera] {
        until(&format!("{} says it", app.name), PATIENCE, || {
            let tunnel = app.tunnel("service");
            let told = tunnel.state == TunnelState::Failed && tunnel.failures > 0;
            is(
                told && tunnel.reason.as_ref().is_some_and(|reason| reason.contains("refused")),
                format!("{tunnel:?}"),
            )
        });
    }
    let told = viewer.ctl(&["tunnel", "open", "service"]);
    assert_eq!(told.code, 1, "{}", told.stderr);

    let _listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    until("it is back", PATIENCE, || {
        let states = (viewer.tunnel("service").state, camera.tunnel("service").state);
        is(states == (TunnelState::Reopened, TunnelState::Reopened), format!("{states:?}"))
    });
}
