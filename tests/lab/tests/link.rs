//! A bad line is as bad as it was ordered, and no worse.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![expect(clippy::print_stdout, reason = "each test says what it found")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use coco_lab::{Conditions, Host, Lab, Site};
use nix::sys::socket::{setsockopt, sockopt};

/// A lab of two hosts; `far` is at the end of a bad line.
fn pair(conditions: Conditions) -> (Lab, Host, Host) {
    let lab = Lab::new();
    let (near, far) = (lab.public_host("near"), lab.public_host_with("far", conditions));
    (lab, near, far)
}

fn sockets(near: &Host, far: &Host) -> [UdpSocket; 2] {
    let ends = [near, far].map(|host| host.udp((host.v4(), 7000)));
    ends[0].connect((far.v4(), 7000)).unwrap();
    ends[1].connect((near.v4(), 7000)).unwrap();
    for end in &ends {
        end.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        // Beyond the system's limit, which a reader that has to wait for a processor exceeds.
        setsockopt(end, sockopt::RcvBufForce, &(8 << 20)).unwrap();
    }
    ends
}

/// The numbers of the packets that arrive at `to` of `count` sent by `from`, a few at a time, in the order of
/// arrival.
fn numbers(from: &UdpSocket, to: &UdpSocket, count: u32) -> Vec<u32> {
    let mut numbers = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..count {
                from.send(&n.to_be_bytes()).unwrap();
                if n % 20 == 0 {
                    thread::sleep(Duration::from_millis(1));
                }
            }
        });
        let mut buffer = [0; 4];
        while to.recv(&mut buffer).is_ok() {
            numbers.push(u32::from_be_bytes(buffer));
        }
    });
    numbers
}

#[test]
fn the_delay_is_kept_both_ways_and_can_be_changed() {
    let delay = Duration::from_millis(20);
    let (_lab, near, far) = pair(Conditions { delay, ..Conditions::default() });
    let [near, far_end] = sockets(&near, &far);
    let median = || {
        let mut trips: Vec<Duration> = (0..21)
            .map(|_| {
                let start = Instant::now();
                near.send(b"ping").unwrap();
                far_end.recv(&mut [0; 4]).unwrap();
                far_end.send(b"pong").unwrap();
                near.recv(&mut [0; 4]).unwrap();
                start.elapsed()
            })
            .collect();
        trips.sort();
        (trips[0], trips[10])
    };
    let (best, usual) = median();
    println!("20 ms each way: at best {best:?}, usually {usual:?}");
    assert!(best >= 2 * delay);
    assert!(usual < 2 * delay + Duration::from_millis(10));
    far.wire().set_conditions(Conditions::default());
    let (_, usual) = median();
    println!("none: usually {usual:?}");
    assert!(usual < Duration::from_millis(10));
}

#[test]
fn a_line_without_faults_loses_nothing_and_keeps_the_order() {
    let (_lab, near, far) = pair(Conditions { delay: Duration::from_millis(5), ..Conditions::default() });
    let [near, far] = sockets(&near, &far);
    assert_eq!(numbers(&near, &far, 5000), (0..5000).collect::<Vec<_>>());
    assert_eq!(numbers(&far, &near, 5000), (0..5000).collect::<Vec<_>>());
}

#[test]
fn loss_duplication_and_reordering_are_as_ordered() {
    let conditions = Conditions {
        delay: Duration::from_millis(2),
        loss: 0.1,
        duplicate: 0.05,
        reorder: 0.1,
        detour: Duration::from_millis(20),
        ..Conditions::default()
    };
    let (_lab, near, far) = pair(conditions);
    let [near, far] = sockets(&near, &far);
    let arrived = numbers(&near, &far, 5000);
    let mut once = arrived.clone();
    once.sort_unstable();
    once.dedup();
    let lost = 1.0 - once.len() as f64 / 5000.0;
    let twice = (arrived.len() - once.len()) as f64 / once.len() as f64;
    let mut newest = 0;
    let overtaken = arrived.iter().filter(|&&n| {
        newest = newest.max(n);
        n < newest
    });
    let overtaken = overtaken.count() as f64 / arrived.len() as f64;
    println!("lost {lost:.3}, twice {twice:.3}, overtaken {overtaken:.3}");
    assert!((0.085..0.115).contains(&lost), "lost {lost}");
    assert!((0.035..0.065).contains(&twice), "twice {twice}");
    assert!((0.07..0.13).contains(&overtaken), "overtaken {overtaken}");
}

/// Bits per second that TCP gets from `from` to `to` in a second or so, by the receiver's clock.
fn tcp_rate(from: &Host, to: &Host) -> f64 {
    let address = SocketAddr::from((to.v4(), 5001));
    let listener = to.enter(|| TcpListener::bind(address)).unwrap();
    let stop = Instant::now() + Duration::from_secs(1);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut stream = from.enter(|| TcpStream::connect(address)).unwrap();
            while Instant::now() < stop {
                stream.write_all(&[0; 65_536]).unwrap();
            }
        });
        let (mut stream, _) = listener.accept().unwrap();
        let start = Instant::now();
        let mut buffer = vec![0; 65_536];
        let mut total = 0;
        while let Ok(len @ 1..) = stream.read(&mut buffer) {
            total += len;
        }
        total as f64 * 8.0 / start.elapsed().as_secs_f64()
    })
}

#[test]
fn the_rate_is_not_exceeded_and_nearly_reached() {
    let (_lab, near, far) = pair(Conditions { rate: Some(20_000_000), ..Conditions::default() });
    for (from, to) in [(&near, &far), (&far, &near)] {
        let rate = tcp_rate(from, to) / 1e6;
        println!("{} to {}: {rate:.1} of 20 Mbit/s", from.name(), to.name());
        assert!((16.0..20.0).contains(&rate), "headers take 3 to 4 %");
    }
}

#[test]
fn a_good_line_carries_some_100_mbit() {
    let (_lab, near, far) = pair(Conditions { delay: Duration::from_millis(1), ..Conditions::default() });
    let rate = tcp_rate(&near, &far) / 1e6;
    println!("{rate:.0} Mbit/s");
    assert!(rate > 100.0);
}

#[test]
fn a_sites_line_can_be_bad_cut_and_counted() {
    let lab = Lab::new();
    let delay = Duration::from_millis(10);
    let site =
        lab.site(Site::port_restricted().ipv6().conditions(Conditions { delay, ..Conditions::default() }));
    let (manager, host) = (lab.public_host("manager"), site.host("host"));
    let client = host.udp((host.v4(), 7000));
    let server = manager.udp((manager.v4(), 7000));
    server.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let arrives = || {
        let start = Instant::now();
        client.send_to(b"hello", (manager.v4(), 7000)).unwrap();
        server.recv(&mut [0; 8]).is_ok().then(|| start.elapsed())
    };
    assert!(arrives().unwrap() >= delay);
    site.wire().cut();
    assert_eq!(arrives(), None);
    site.wire().heal();
    assert!(arrives().unwrap() >= delay);
    assert!(site.wire().sent().iter().any(|sent| sent.to == manager.v4() && sent.packets == 3));
}
