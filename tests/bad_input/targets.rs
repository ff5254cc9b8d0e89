//! Targets that are not there, or go away.

use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};

use coconet::control::TunnelState;

use crate::refusal::{refuses, tunnels};
use crate::support::net::Net;
use crate::support::targets::{serve, serve_on};
use crate::support::wait::{PATIENCE, is, until};

/// An address where nobody listens.
fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn read(address: SocketAddr) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut got = Vec::new();
    stream.read_to_end(&mut got).map(|_| got)
}

#[test]
fn a_target_that_is_not_there_is_said_when_it_is_opened() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let target = nobody();
    camera.expose(&format!("tcp://{target}"), "tcp");
    camera.expose("unix:///nowhere/at/all.sock", "unix");
    camera.expose("http://name.invalid/", "name");
    for (resource, why) in [("tcp", "refused"), ("unix", "not found"), ("name", "")] {
        let told = refuses(&viewer, 1, &["tunnel", "open", resource, "--timeout", "5s"]);
        assert!(told.contains("does not answer") && told.contains(why), "{told}");
        // Where the target is stays at the exporter.
        assert!(
            !told.contains(&target.to_string()) && !told.contains("nowhere") && !told.contains("invalid")
        );
        let exposed = camera.tunnel(resource);
        assert_eq!(exposed.state, TunnelState::Failed, "{exposed:?}");
        assert!(exposed.reason.is_some());
    }
    assert_eq!(tunnels(&viewer), 0, "what never worked was kept");
}

#[test]
fn a_target_that_goes_away_resets_its_clients_and_is_said_at_both_ends() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = target.local_addr().unwrap();
    camera.expose(&format!("tcp://{place}"), "service");
    let address = viewer.open_address("service");
    drop(target);

    let reset = read(address).map_err(|error| error.kind());
    assert_eq!(reset, Err(ErrorKind::ConnectionReset));
    for app in [&camera, &viewer] {
        until("it is said", PATIENCE, || {
            let tunnel = app.tunnel("service");
            let reason = tunnel.reason.clone().unwrap_or_default();
            is(tunnel.state == TunnelState::Failed && reason.contains("refused"), format!("{tunnel:?}"))
        });
    }

    serve_on(&place.to_string(), |mut stream| drop(std::io::Write::write_all(&mut stream, b"back"))).unwrap();
    until("it is back", PATIENCE, || {
        let tunnel = viewer.tunnel("service");
        is(tunnel.state == TunnelState::Reopened, format!("{tunnel:?}"))
    });
    assert_eq!(read(address).unwrap(), b"back");
    assert_eq!(camera.tunnel("service").reason, None);
}

#[test]
fn a_target_that_closes_at_once_is_a_clean_end_for_its_clients() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    camera.expose(&format!("tcp://{}", serve(drop)), "service");
    let address = viewer.open_address("service");
    for _ in 0..20 {
        assert_eq!(read(address).unwrap(), b"");
    }
    for app in [&camera, &viewer] {
        let tunnel = app.tunnel("service");
        assert!(matches!(tunnel.state, TunnelState::Open | TunnelState::Reopened), "{tunnel:?}");
        assert_eq!((tunnel.reason, tunnel.connections), (None, 20));
    }
}
