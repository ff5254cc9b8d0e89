//! Addresses that a member names only so that others send there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use coco_lab::{Host, Lab, Sent};
use coco_tunnel::endpoint::{Accepting, Endpoint, EndpointOptions};
use coco_tunnel::paths::{Drive, Towards};
use coco_tunnel::relay::{End, switch};
use coco_tunnel::session::Session;
use coco_tunnel::socket::Place;
use coconet::id::StaticKey;
use coconet::key::{NodeKeys, SEED_LEN};
use coconet::path_mode::PathMode;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, oneshot, watch};
use zeroize::Zeroizing;

use crate::support::wait::{PATIENCE, is, until};

/// The machine itself, its link, what a cloud tells its machines, everybody, nobody; in all spellings.
const POISON: [&str; 12] = [
    "127.0.0.1:22",
    "127.1.2.3:53",
    "0.0.0.0:9",
    "169.254.169.254:80",
    "169.254.7.7:9",
    "224.0.0.251:5353",
    "255.255.255.255:9",
    "[::1]:22",
    "[::ffff:127.0.0.1]:22",
    "[::ffff:169.254.169.254]:80",
    "[fe80::1]:9",
    "[ff02::1]:9",
];

/// Where everybody listens.
const PORT: u16 = 4433;

/// Until the second round of probes, and some more.
const ROUNDS: Duration = Duration::from_secs(5);

/// What runs on a thread of its own, until the second value is dropped.
fn background() -> (Handle, oneshot::Sender<()>) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let (handle, (running, ended)) = (runtime.handle().clone(), oneshot::channel());
    std::thread::spawn(move || runtime.block_on(ended));
    (handle, running)
}

fn options(seed: u8) -> EndpointOptions {
    EndpointOptions {
        secret: NodeKeys::from_seed(&[seed; SEED_LEN]).static_secret(),
        reset: Zeroizing::new([seed; 32]),
        listen: vec![(Ipv4Addr::UNSPECIFIED, PORT).into(), (Ipv6Addr::UNSPECIFIED, PORT).into()],
        any_port: false,
    }
}

/// A node on `host`, and its key.
fn node(runtime: &Handle, host: &Host, seed: u8) -> (Endpoint, StaticKey) {
    let endpoint = host.enter(|| {
        let _runtime = runtime.enter();
        Endpoint::bind(&options(seed)).unwrap()
    });
    (endpoint, NodeKeys::from_seed(&[seed; SEED_LEN]).record().talk)
}

/// Drive a session by a node that says it is at `own`.
fn drive(runtime: &Handle, session: Session, own: Vec<SocketAddr>) {
    runtime.spawn(async move {
        let (notices, _told) = mpsc::channel(16);
        let (own, relay) = (watch::Sender::new(own), watch::Sender::new(None));
        let (towards, mode) = (Towards::Node, PathMode::DirectFirst);
        let drive = Drive { towards, mode, own: own.subscribe(), relay: relay.subscribe(), notices };
        session.drive(drive).await;
    });
}

fn lies(bait: &Host) -> Vec<SocketAddr> {
    let lies = POISON.iter().map(|text| text.parse().unwrap());
    // One that may be probed, so that silence means something.
    lies.chain([SocketAddr::from((bait.v4(), 9))]).collect()
}

/// Two nodes on public hosts and a relay between them; the first one's session, then the second one's.
fn relayed(runtime: &Handle, lab: &Lab, nodes: [(&Endpoint, &Host); 2], key: StaticKey) -> [Session; 2] {
    let hub = lab.public_host("hub");
    let (relay, control, _strangers) = switch(Instant::now());
    let place = Place::Direct((hub.v4(), PORT).into());
    let hub = hub.enter(|| {
        let _runtime = runtime.enter();
        Endpoint::bind_relaying(&options(3), relay).unwrap()
    });
    let [a, b] = nodes.map(|(endpoint, host)| {
        endpoint.set_relay(1, place);
        End { address: (host.v4(), PORT).into(), meter: Arc::default() }
    });
    let (channel, _) = control.open(&a, &b, &Arc::default()).unwrap();
    let [(dialling, _), (dialled, _)] = nodes;
    runtime.block_on(async {
        let (tell, found) = mpsc::channel(1);
        tell.send(Place::Relay { slot: 1, channel }).await.unwrap();
        let mut accepting = Accepting::default();
        let dial = dialling.dial_as_found(key, found, None);
        let (near, far) = tokio::join!(dial, dialled.accept(&mut accepting));
        // It relays for as long as the sessions are of use.
        tokio::spawn(async move { hub.accept(&mut Accepting::default()).await });
        [near.unwrap(), far.unwrap()]
    })
}

#[test]
fn no_packet_leaves_for_an_address_that_nobody_may_send_to_whoever_names_it() {
    for victim_dials in [true, false] {
        let (runtime, _running) = background();
        let lab = Lab::new();
        let [victim, liar, bait] = ["victim", "liar", "bait"].map(|name| lab.public_host(name));
        let (ours, our_key) = node(&runtime, &victim, 1);
        let (theirs, their_key) = node(&runtime, &liar, 2);
        let (honest, lying) = if victim_dials {
            relayed(&runtime, &lab, [(&ours, &victim), (&theirs, &liar)], their_key).into()
        } else {
            let [near, far] = relayed(&runtime, &lab, [(&theirs, &liar), (&ours, &victim)], our_key);
            (far, near)
        };
        drive(&runtime, honest, vec![(victim.v4(), PORT).into()]);
        drive(&runtime, lying, lies(&bait));
        until("the address that may be probed is", PATIENCE, || {
            let tried = victim.tried();
            is(tried.iter().any(|sent| sent.to == IpAddr::from(bait.v4())), format!("{tried:?}"))
        });
        std::thread::sleep(ROUNDS);
        let (tried, withheld) = (victim.tried(), ours.counters().withheld_packets);
        println!("victim dials: {victim_dials}; {withheld} packets withheld; sent {tried:?}");
        let poison = POISON.map(|text| text.parse::<SocketAddr>().unwrap().ip().to_canonical());
        let fell: Vec<&Sent> =
            tried.iter().filter(|sent| sent.protocol == "udp" && poison.contains(&sent.to)).collect();
        assert!(fell.is_empty(), "{fell:?}");
        assert!(withheld > 0, "it was never tempted");
    }
}
