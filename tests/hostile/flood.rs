//! Garbage by the hundred thousand, at a node and at the manager, while a tunnel works.
//!
//! The flood and the tunnel share a machine of few cores, so both are paced: the flood sends [`PACE`] packets a
//! second, the tunnel carries [`RATE`]. What is measured is whether the tunnel keeps what it had, not what is
//! left of a core when the generator has had its share.

use std::net::{SocketAddr, UdpSocket};
use std::thread::sleep;
use std::time::{Duration, Instant};

use coco_lab::{Host, Site};
use coco_tunnel::noise::QUIC_VERSION;

use crate::operator::{figure, manager_address, serve_figures};
use crate::random::Random;
use crate::support::net::{App, HOME};
use crate::transfer::{Offer, Transfer};
use crate::world::{World, way};

/// Bytes a second of the tunnel.
const RATE: u64 = 12_500_000;

/// Packets in all.
const PACKETS: usize = 100_000;

/// Packets a second.
const PACE: usize = 12_500;

/// Packets sent before the sender looks at the clock.
const BURST: usize = 50;

/// Longest packet.
const LONGEST: usize = 1400;

/// The share of its rate that a tunnel keeps.
const KEPT: f64 = 0.9;

/// How much more memory a process may have after the flood. What it allocates while it works otherwise, too.
const GROWTH_MAX: u64 = 32 << 20;

/// How long the rate is measured before.
const BEFORE: Duration = Duration::from_secs(3);

/// What a packet looks like.
#[derive(Clone, Copy)]
enum Look {
    Random,
    /// The first packet of a handshake, by its header.
    Long,
    /// A packet of a connection, by its header.
    Short,
    /// A frame of the relay, with data.
    Data,
    /// Frames of the relay of other kinds.
    Frame,
}

const LOOKS: [Look; 5] = [Look::Random, Look::Long, Look::Short, Look::Data, Look::Frame];

#[test]
fn a_tunnel_keeps_its_rate_while_its_exporter_is_flooded() {
    let world = World::new();
    let (camera, viewer) = open_pair(&world);
    let target = node_address(&camera);
    measure(&world, &camera, &viewer, "direct", target, || camera.daemon().memory());
}

#[test]
fn a_relayed_tunnel_keeps_its_rate_while_the_manager_is_flooded_which_counts_it() {
    let mut world = World::new();
    serve_figures(&mut world);
    let [camera, viewer] = ["camera", "viewer"].map(|name| world.internet.site(Site::symmetric()).host(name));
    let (camera, viewer) = world.pair(camera, viewer);
    let target = manager_address(&world);
    let names = ["foreign_packets_total", "refused_handshakes_total"];
    let relay =
        ["unknown-channel", "junk"].map(|kind| format!("relay_dropped_packets_total{{reason=\"{kind}\"}}"));
    let figures =
        || names.iter().copied().chain(relay.iter().map(String::as_str)).map(|name| figure(&world, name));
    let before: Vec<u64> = figures().collect();
    measure(&world, &camera, &viewer, "relay", target, || world.manager().memory());
    let counted: Vec<u64> = figures().zip(before).map(|(after, before)| after - before).collect();
    println!("foreign, refused, unknown channel, junk: {counted:?} of {PACKETS}");
    let of_a_kind = (PACKETS / LOOKS.len()) as u64;
    let [foreign, refused, unknown, junk] = counted[..] else { unreachable!() };
    // Some get lost where the receiver's buffer is full. Of what looks like the beginning of a handshake QUIC itself
    // drops three quarters, which do not even have a header that could be one.
    assert!(refused >= of_a_kind / 8, "long headers of our version that do not decrypt: {refused}");
    assert!(unknown >= of_a_kind / 2, "frames for channels that nobody has: {unknown}");
    assert!(junk >= of_a_kind / 2, "frames of no kind: {junk}");
    assert!(foreign >= of_a_kind / 8, "neither a frame nor QUIC of ours: {foreign}");
}

/// Two nodes on the open internet, where everybody reaches them.
fn open_pair(world: &World) -> (App, App) {
    let [camera, viewer] = ["camera", "viewer"].map(|name| world.internet.site(Site::open()).host(name));
    world.pair(camera, viewer)
}

/// Where everybody reaches an app on the open internet.
fn node_address(app: &App) -> SocketAddr {
    let listen = app.network(HOME).node.listen;
    let port = listen.iter().find_map(|address| {
        let address: SocketAddr = address.parse().unwrap();
        address.is_ipv4().then_some(address.port())
    });
    (app.host().v4(), port.unwrap()).into()
}

fn measure(
    world: &World,
    camera: &App,
    viewer: &App,
    wanted: &str,
    target: SocketAddr,
    memory: impl Fn() -> u64,
) {
    let mallory = world.internet.public_host("mallory");
    let mut random = Random::from_environment();
    let offer = Offer::new(camera, "film");
    let transfer = Transfer::start(&offer, viewer, Some(RATE));
    transfer.until_by(wanted, viewer, Instant::now(), Duration::from_secs(10));
    let (before, memory_before) = (transfer.rate_over(BEFORE), memory());
    let (began, received) = (Instant::now(), transfer.received());
    flood(&mallory, target, &mut random);
    let took = began.elapsed();
    let during = (transfer.received() - received) as f64 / took.as_secs_f64();
    let pause = transfer.longest_pause(began);
    let memory_after = memory();
    println!(
        "{PACKETS} packets in {took:?} at {target}: {:.1} MB/s before, {:.1} MB/s during, longest pause {pause:?}, \
         memory {} MiB then {} MiB",
        before / 1e6,
        during / 1e6,
        memory_before >> 20,
        memory_after >> 20
    );
    let arrived = mallory.wire().sent();
    let arrived = arrived.iter().filter(|sent| sent.to == target.ip()).map(|sent| sent.packets);
    assert!(arrived.sum::<u64>() >= PACKETS as u64 * 9 / 10, "the flood did not leave");
    assert!(during >= before * KEPT, "{during} of {before}");
    assert!(memory_after <= memory_before + GROWTH_MAX, "{memory_before} bytes, then {memory_after}");
    assert_eq!(way(viewer), wanted);
    transfer.finish(0);
}

fn flood(mallory: &Host, target: SocketAddr, random: &mut Random) {
    let socket = mallory.udp(([0, 0, 0, 0], 0));
    let began = Instant::now();
    for number in 0..PACKETS {
        if number % BURST == 0 {
            let due = began + Duration::from_secs_f64(number as f64 / PACE as f64);
            sleep(due.saturating_duration_since(Instant::now()));
        }
        send(&socket, target, &garbage(LOOKS[number % LOOKS.len()], random));
    }
}

fn send(socket: &UdpSocket, target: SocketAddr, packet: &[u8]) {
    // Refused by ICMP now and then: go on.
    let _ = socket.send_to(packet, target);
}

fn garbage(look: Look, random: &mut Random) -> Vec<u8> {
    let mut packet = vec![0; 1 + random.below(LONGEST)];
    random.fill(&mut packet);
    match look {
        Look::Random => {}
        Look::Long => {
            packet.resize(packet.len().max(1200), 0);
            packet[0] = 0xc0 | packet[0] & 0x0f;
            packet[1..5].copy_from_slice(&QUIC_VERSION.to_be_bytes());
            // Two connection ids of eight bytes, no token, and a length that fits.
            (packet[5], packet[14], packet[23]) = (8, 8, 0);
            let rest = u16::try_from(packet.len() - 26).unwrap();
            packet[24..26].copy_from_slice(&(rest | 0x4000).to_be_bytes());
        }
        Look::Short => packet[0] = 0x40 | packet[0] & 0x3f,
        Look::Data => {
            packet.resize(packet.len().max(40), 0);
            packet[0] = 0x01;
        }
        Look::Frame => packet[0] &= 0x07,
    }
    packet
}
