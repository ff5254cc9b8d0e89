//! Tunnels are made and unmade.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use coconet::control::{Tunnel, TunnelState, Tunnels};

use crate::support::bytes::Noise;
use crate::support::net::{App, HOME, Net};
use crate::support::process::run;
use crate::support::targets::{assert_cut, echo, serve};
use crate::support::wait::{PATIENCE, is, until};

/// Kills of a daemon that is opening and closing tunnels.
const KILLS: usize = 10;

#[test]
fn a_closed_tunnel_is_gone_and_stays_gone() {
    let net = Net::new();
    let (camera, mut viewer) = net.pair();
    camera.expose(&format!("tcp://{}", serve(echo)), "service");
    let address = viewer.open_address("service");
    let mut connection = connected(address);

    viewer.ok(&["tunnel", "close", "service"]);

    assert_cut(&mut connection);
    assert!(TcpStream::connect(address).is_err(), "it still listens");
    assert_eq!(tunnels(&viewer), []);
    viewer.refused(&[5], &["tunnel", "close", "service"]);
    viewer.kill();
    viewer.start();
    assert_eq!(tunnels(&viewer), []);
    connected(viewer.open_address("service"));
}

#[test]
fn a_withdrawn_resource_cuts_its_tunnels_and_an_exposed_one_brings_them_back() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let target = format!("tcp://{}", serve(echo));
    camera.expose(&target, "service");
    let address = viewer.open_address("service");
    let mut connection = connected(address);

    camera.ok(&["tunnel", "close", "service"]);

    assert_cut(&mut connection);
    until_state(&viewer, TunnelState::Failed);
    assert!(viewer.tunnel("service").reason.is_some_and(|reason| reason.contains("no resource service")));
    assert_eq!(viewer.network(HOME).resources, []);

    camera.expose(&target, "service");

    until_state(&viewer, TunnelState::Reopened);
    connected(address);
}

#[test]
fn what_is_closed_without_the_manager_is_served_no_longer_and_taken_off_the_list_later() {
    let mut net = Net::new();
    let (mut camera, viewer) = net.pair();
    camera.expose(&format!("tcp://{}", serve(echo)), "service");
    let mut connection = connected(viewer.open_address("service"));
    net.kill_manager();

    assert!(camera.refused(&[6], &["tunnel", "close", "service"]).contains("served no longer"));

    assert_cut(&mut connection);
    camera.kill();
    camera.start();
    assert_eq!(tunnels(&camera), [], "nor after a restart");
    net.start_manager();
    camera.wait_online();
    assert_eq!(camera.network(HOME).resources.len(), 1);
    camera.ok(&["tunnel", "close", "service"]);
    assert_eq!(camera.network(HOME).resources, []);
    camera.refused(&[5], &["tunnel", "close", "service"]);
}

#[test]
fn a_resource_that_is_exposed_anew_leads_to_its_new_target() {
    let net = Net::new();
    let (mut camera, viewer) = net.pair();
    let says = |word: &'static str| serve(move |mut stream| drop(stream.write_all(word.as_bytes())));
    camera.expose(&format!("tcp://{}", says("old")), "service");
    let address = viewer.open_address("service");
    assert_eq!(all_of(address), "old");

    camera.expose(&format!("tcp://{}", says("new")), "service");

    assert_eq!(all_of(address), "new");
    assert_eq!(tunnels(&camera).len(), 1);
    camera.kill();
    camera.start();
    until_state(&viewer, TunnelState::Reopened);
    assert_eq!(all_of(address), "new");
}

#[test]
fn of_many_that_open_one_resource_at_once_one_gets_it() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    camera.expose(&format!("tcp://{}", serve(echo)), "service");

    let opening: Vec<_> = (0..8)
        .map(|_| {
            let mut command = viewer.ctl_command(&["tunnel", "open", "service"]);
            thread::spawn(move || run(&mut command, b"", PATIENCE))
        })
        .collect();
    let ran: Vec<_> = opening.into_iter().map(|thread| thread.join().unwrap()).collect();

    let (got, refused): (Vec<_>, Vec<_>) = ran.into_iter().partition(|ran| ran.code == 0);
    assert_eq!(got.len(), 1, "{got:?}");
    assert!(refused.iter().all(|ran| ran.stderr.contains("already open")), "{refused:?}");
    let tunnel = viewer.tunnel("service");
    assert_eq!(got[0].stdout.trim(), tunnel.url.unwrap());
}

#[test]
fn a_daemon_killed_at_any_instant_has_every_tunnel_it_said_was_open() {
    let net = Net::new();
    let (camera, mut viewer) = net.pair();
    let target = format!("tcp://{}", serve(echo));
    (0..KILLS).for_each(|number| camera.expose(&target, &format!("service-{number}")));
    let (mut noise, mut instant) = (Noise::new(6), [0]);
    let mut open: Vec<(String, String)> = Vec::new();

    for number in 0..KILLS {
        let name = format!("service-{number}");
        let mut opening = viewer.ctl_command(&["tunnel", "open", &name]);
        let opening = thread::spawn(move || run(&mut opening, b"", PATIENCE));
        noise.fill(&mut instant);
        // Not a wait for anything: any instant is as good.
        thread::sleep(Duration::from_millis(u64::from(instant[0]) / 4));
        viewer.kill();
        let ran = opening.join().unwrap();
        if ran.code == 0 {
            open.push((name, ran.stdout.trim().to_owned()));
        }
        viewer.start();
        let known = tunnels(&viewer);
        for (name, url) in &open {
            let tunnel = known.iter().find(|tunnel| tunnel.resource.as_str() == name);
            assert_eq!(
                tunnel.and_then(|tunnel| tunnel.url.as_ref()),
                Some(url),
                "{name} after {number} kills"
            );
        }
    }
    for tunnel in tunnels(&viewer) {
        connected(tunnel.listen.unwrap().parse().unwrap());
    }
}

#[test]
fn a_network_that_was_left_takes_its_tunnels_along() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    camera.expose(&format!("tcp://{}", serve(echo)), "service");
    let address = viewer.open_address("service");
    let mut connection = connected(address);

    viewer.ok(&["network", "leave", HOME]);

    assert_cut(&mut connection);
    assert!(TcpStream::connect(address).is_err(), "it still listens");
    assert_eq!(tunnels(&viewer), []);
    viewer.refused(&[5], &["network", "show", HOME]);
    until("the others know", PATIENCE, || {
        let nodes = camera.network(HOME).nodes;
        is(nodes == 1, nodes)
    });
}

fn tunnels(app: &App) -> Vec<Tunnel> {
    let Tunnels { tunnels, .. } = app.json(&["tunnel", "list"]);
    tunnels
}

fn until_state(app: &App, state: TunnelState) {
    until(&format!("service is {}", state.as_str()), PATIENCE, || {
        let tunnel = app.tunnel("service");
        is(tunnel.state == state, format!("{tunnel:?}"))
    });
}

/// A connection to an echo that works.
fn connected(address: SocketAddr) -> TcpStream {
    let mut connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    connection.write_all(b"hello").unwrap();
    connection.read_exact(&mut [0; 5]).unwrap();
    connection
}

fn all_of(address: SocketAddr) -> String {
    let mut answer = String::new();
    TcpStream::connect(address).unwrap().read_to_string(&mut answer).unwrap();
    answer
}
