//! Asked to stop: daemons end soon, tidy up, and come back as they were.

use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::net::{App, Net};
use crate::support::process::run_well;
use crate::support::programs::{command, theirs};
use crate::support::targets::{Nginx, assert_cut, serve};
use crate::support::wait::{PATIENCE, is, until};

/// A daemon that was asked to stop is gone after that.
const STOPS_WITHIN: Duration = Duration::from_secs(3);

#[test]
fn a_daemon_stops_when_asked_and_has_its_tunnels_again_afterwards() {
    let net = Net::new();
    let (mut camera, mut viewer) = net.pair();
    let nginx = Nginx::start(&net.lab);
    nginx.file("small", "all right");
    camera.expose(&nginx.url(), "web");
    let url = viewer.open("web");
    let (exposed, opened) = (camera.tunnel("web"), viewer.tunnel("web"));

    for [first, second] in [[Signal::SIGTERM, Signal::SIGINT], [Signal::SIGINT, Signal::SIGTERM]] {
        assert_stops(&mut viewer, first);
        viewer.start();
        assert_stops(&mut camera, second);
        camera.start();
    }

    let (exposed_again, opened_again) = (camera.tunnel("web"), viewer.tunnel("web"));
    assert_eq!((exposed_again.id, exposed_again.target), (exposed.id, exposed.target));
    assert_eq!((opened_again.id, opened_again.url), (opened.id, opened.url));
    let mut curl = command(theirs("curl"));
    curl.args(["--silent", "--show-error", "--fail", "--retry", "20", "--retry-delay", "1"]);
    curl.args(["--retry-all-errors", "--max-time", "30", &format!("{url}small")]);
    assert_eq!(run_well(&mut curl), "all right");
}

#[test]
fn a_daemon_stops_in_the_middle_of_a_transfer() {
    let net = Net::new();
    let (mut camera, mut viewer) = net.pair();
    let target = serve(|mut stream| {
        // Until the connection breaks.
        let _ = std::io::copy(&mut std::io::repeat(7), &mut stream);
    });
    camera.expose(&format!("tcp://{target}"), "flood");
    let address = viewer.open_address("flood");

    for stopping in ["viewer", "camera"] {
        let app = if stopping == "viewer" { &mut viewer } else { &mut camera };
        let flowed = |app: &App| app.tunnel("flood").bytes_in + app.tunnel("flood").bytes_out;
        let before = flowed(app);
        let mut client = TcpStream::connect(address).unwrap();
        let reading = thread::spawn(move || assert_cut(&mut client));
        until("bytes flow", PATIENCE, || is(flowed(app) > before + (1 << 20), "none yet"));

        assert_stops(app, Signal::SIGTERM);

        reading.join().unwrap();
        app.start();
        until("the tunnel is back", PATIENCE, || {
            is(viewer.network("home").peers.iter().any(|peer| peer.path.is_some()), "no peer")
        });
    }
}

fn assert_stops(app: &mut App, signal: Signal) {
    assert!(app.socket().exists());
    let (code, took) = app.stop(signal);
    assert_eq!(code, Some(0), "{signal} to {}", app.name);
    assert!(took <= STOPS_WITHIN, "{signal} to {} took {took:?}", app.name);
    assert!(!app.socket().exists(), "{} has left its socket", app.name);
}
