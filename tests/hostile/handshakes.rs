//! A flood of handshakes that are begun and never finished, by somebody who knows the manager's key.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use coco_lab::Host;
use coco_tunnel::endpoint::{Endpoint, EndpointOptions, HALF_OPEN_RETRY, KEEP_ALIVE};
use coco_tunnel::noise::QUIC_VERSION;
use coconet::id::StaticKey;
use tokio::task::JoinSet;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::operator::{manager, manager_address};
use crate::random::Random;
use crate::support::net::HOME;
use crate::support::wait::{PATIENCE, is, until};
use crate::world::{World, peer};

/// Handshakes begun. More than are let in without a token, fewer than at which first packets are dropped.
const HANDSHAKES: usize = 400;

/// Pause between two of their packets.
const PACE: Duration = Duration::from_millis(1);

/// When nothing has come for so long, all has been recorded.
const QUIET: Duration = Duration::from_millis(500);

/// How soon a member is connected all the same.
const MEMBER: Duration = Duration::from_secs(10);

/// How much more memory the manager may have after the flood.
const GROWTH_MAX: u64 = 64 << 20;

#[test]
fn a_member_still_connects_while_handshakes_are_begun_and_not_finished() {
    let world = World::new();
    let [camera, viewer] = ["camera", "viewer"].map(|name| world.internet.public_host(name));
    let (camera, mut viewer) = world.pair(camera, viewer);
    let mallory = world.internet.public_host("mallory");
    let address = manager_address(&world);
    let flights = first_flights(&mallory, manager(&world).talk);
    println!("{} first packets recorded", flights.len());
    let (stop, retries) = (AtomicBool::new(false), AtomicU64::new(0));
    let socket = mallory.udp(([0, 0, 0, 0], 0));
    let memory = world.manager().memory();
    thread::scope(|scope| {
        let flooding = scope.spawn(|| flood(&socket, address, &flights, &stop));
        let counting = scope.spawn(|| count_retries(&socket, &stop, &retries));
        let _stopped = Stop(&stop);
        until("the manager asks for tokens", PATIENCE, || {
            is(retries.load(Ordering::Relaxed) >= HALF_OPEN_RETRY as u64, retries.load(Ordering::Relaxed))
        });
        let began = Instant::now();
        viewer.kill();
        viewer.start();
        viewer.wait_online();
        let online = began.elapsed();
        viewer.ok(&["ping", "camera", "--count", "1"]);
        println!("a member is online after {online:?}, and reaches another after {:?}", began.elapsed());
        assert!(online <= MEMBER, "{online:?}");
        assert!(peer(&viewer).path.is_some());
        stop.store(true, Ordering::Relaxed);
        let sent = flooding.join().unwrap();
        counting.join().unwrap();
        println!(
            "{sent} packets sent, {} of them told to come again with a token",
            retries.load(Ordering::Relaxed)
        );
    });
    let after = world.manager().memory();
    assert!(after <= memory + GROWTH_MAX, "{memory} bytes, then {after}");
    assert!(camera.network(HOME).node.member);
}

/// Sets it however the scope is left.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The first packets of many handshakes with the manager, recorded where nobody answers.
fn first_flights(mallory: &Host, manager: StaticKey) -> Vec<Vec<u8>> {
    let sink = mallory.udp((mallory.v4(), 0));
    sink.set_nonblocking(true).unwrap();
    let address = sink.local_addr().unwrap();
    let mut random = Random::from_environment();
    let [secret, reset] = [(); 2].map(|()| {
        let mut secret = Zeroizing::new([0; 32]);
        random.fill(secret.as_mut());
        secret
    });
    let listen = vec![SocketAddr::from((mallory.v4(), 0))];
    let options = EndpointOptions { secret, reset, listen, any_port: false };
    mallory.enter(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let flights = runtime.block_on(async {
            let sink = tokio::net::UdpSocket::from_std(sink).unwrap();
            let endpoint = Endpoint::bind(&options).unwrap();
            let mut dials = JoinSet::new();
            for _ in 0..HANDSHAKES {
                let endpoint = endpoint.clone();
                dials.spawn(async move { endpoint.dial(manager, &[address], KEEP_ALIVE).await.is_ok() });
            }
            let (mut flights, mut buffer) = (Vec::new(), [0; 1 << 11]);
            // The first flight is two packets.
            while flights.len() < HANDSHAKES * 2
                && let Ok(Ok(len)) = timeout(QUIET, sink.recv(&mut buffer)).await
            {
                flights.push(buffer[..len].to_vec());
            }
            flights
        });
        assert!(flights.len() >= HANDSHAKES, "{}", flights.len());
        flights
    })
}

/// Send them again and again; returns how many that were.
fn flood(socket: &UdpSocket, manager: SocketAddr, flights: &[Vec<u8>], stop: &AtomicBool) -> u64 {
    let mut sent = 0;
    for flight in flights.iter().cycle() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        // Refused by ICMP now and then: go on.
        let _ = socket.send_to(flight, manager);
        sent += 1;
        thread::sleep(PACE);
    }
    sent
}

fn count_retries(socket: &UdpSocket, stop: &AtomicBool, retries: &AtomicU64) {
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut buffer = [0; 1 << 11];
    while !stop.load(Ordering::Relaxed) {
        let Ok(len) = socket.recv(&mut buffer) else { continue };
        let packet = &buffer[..len];
        let retry = len > 5 && packet[0] & 0xf0 == 0xf0 && packet[1..5] == QUIC_VERSION.to_be_bytes();
        retries.fetch_add(u64::from(retry), Ordering::Relaxed);
    }
}
