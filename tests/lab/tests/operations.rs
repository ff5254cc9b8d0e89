//! What can be done to a lab while programs run in it.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![expect(clippy::print_stdout, reason = "each test says what it found")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use coco_lab::probe::{Prober, arrives, punch, seen, socket};
use coco_lab::{Host, Lab, Sent, Site};
use nix::sys::socket::{setsockopt, sockopt};

/// A socket on port 7000 of `host`, and its address.
fn server(host: &Host) -> (UdpSocket, SocketAddr) {
    let address = SocketAddr::from((host.v4(), 7000));
    let server = host.udp(address);
    server.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    (server, address)
}

#[test]
fn two_sites_and_a_manager_are_up_in_a_second() {
    let start = Instant::now();
    let lab = Lab::new();
    let _manager = lab.public_host("manager");
    let sites = [lab.site(Site::port_restricted()), lab.site(Site::symmetric())];
    let _hosts = sites.each_ref().map(|site| site.host("host"));
    let took = start.elapsed();
    println!("up after {took:?}");
    // Three times what is promised: others may be using the machine.
    assert!(took.as_secs() < 3, "{took:?}");
}

#[test]
fn a_host_that_moves_is_found_at_its_new_address_only() {
    let lab = Lab::new();
    let one = lab.public_host("one");
    let (at_one, address) = server(&one);
    let site = lab.site(Site::open());
    for mover in [lab.public_host("mover"), site.host("mover")] {
        let before = mover.addresses();
        let client = socket(&mover);
        assert_eq!(seen(&client, &at_one).unwrap().ip(), before[0]);
        let after = mover.renumber();
        println!("{before:?}, then {after:?}");
        assert!(before.iter().all(|address| !after.contains(address)));
        assert_eq!(seen(&client, &at_one).unwrap().ip(), after[0]);
        let port = client.local_addr().unwrap().port();
        assert!(!arrives(&at_one, (before[0], port).into(), &client));
        assert!(arrives(&at_one, (after[0], port).into(), &client));
    }
    assert_eq!(at_one.local_addr().unwrap(), address);
}

#[test]
fn a_site_that_moves_keeps_its_hosts_and_loses_its_mappings() {
    let lab = Lab::new();
    let (one, two) = (lab.public_host("one"), lab.public_host("two"));
    let prober = Prober::new(&one, &two);
    for site in [Site::full_cone(), Site::port_restricted(), Site::symmetric(), Site::cgnat()] {
        let site = lab.site(site.ipv6());
        let host = site.host("host");
        let inside = host.addresses();
        let client = socket(&host);
        let before = prober.external(&client).unwrap();
        let moved_to = site.renumber();
        let after = prober.external(&client).unwrap();
        println!("{before}, then {after}");
        assert_eq!((host.addresses(), after.ip()), (inside, moved_to[0]));
        assert_ne!(before.ip(), after.ip());
        assert!(!prober.reaches(0, before, &client));
        assert!(prober.reaches(0, after, &client));
        // The way back by IPv6 has moved with it.
        let [at_one, at_host] = [&one, &host].map(|host| host.udp((host.v6(), 7000)));
        for end in [&at_one, &at_host] {
            end.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        }
        let six = seen(&at_host, &at_one).unwrap();
        assert_eq!(six, at_host.local_addr().unwrap());
        assert!(arrives(&at_one, six, &at_host));
    }
}

#[test]
fn a_hole_swallows_large_packets_both_ways_and_heals() {
    let lab = Lab::new();
    let (one, two) = (lab.public_host("one"), lab.public_host("two"));
    let ((at_one, one_address), (at_two, two_address)) = (server(&one), server(&two));
    let passes = |size: usize| {
        [(&at_one, two_address, &at_two), (&at_two, one_address, &at_one)].map(|(from, address, to)| {
            from.send_to(&vec![0; size - 28], address).unwrap();
            to.recv(&mut [0; 2000]).is_ok()
        })
    };
    assert_eq!(passes(1500), [true; 2]);
    one.wire().blackhole(two.v4().into(), 600);
    assert_eq!((passes(600), passes(601)), ([true; 2], [false; 2]));
    one.wire().blackhole(two.v4().into(), 0);
    assert_eq!(passes(100), [false; 2]);
    one.wire().heal();
    assert_eq!(passes(1500), [true; 2]);
}

#[test]
fn an_ipv6_hole_counts_the_header_too() {
    let lab = Lab::new();
    let (one, two) = (lab.public_host("one"), lab.public_host("two"));
    let to = two.udp((two.v6(), 7000));
    to.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let from = one.udp((one.v6(), 0));
    let passes = |size: usize| {
        from.send_to(&vec![0; size - 48], (two.v6(), 7000)).unwrap();
        to.recv(&mut [0; 2000]).is_ok()
    };
    one.wire().blackhole(two.v6().into(), 600);
    assert_eq!((passes(600), passes(601)), (true, false));
    one.wire().blackhole(two.v6().into(), 0);
    assert!(!passes(100));
}

#[test]
fn a_hole_between_two_hosts_of_one_lan_leaves_the_others_alone() {
    let lab = Lab::new();
    let site = lab.site(Site::port_restricted());
    let [a, b, c] = ["a", "b", "c"].map(|name| site.host(name));
    let ((at_b, to_b), (at_c, to_c)) = (server(&b), server(&c));
    let client = socket(&a);
    a.wire().blackhole(b.v4().into(), 0);
    assert!(!arrives(&client, to_b, &at_b));
    assert!(arrives(&client, to_c, &at_c));
    assert!(arrives(&at_c, to_b, &at_b));
}

#[test]
fn blocked_udp_and_a_cut_line_stop_what_was_running_and_let_it_go_on() {
    let lab = Lab::new();
    let (one, two) = (lab.public_host("one"), lab.public_host("two"));
    let prober = Prober::new(&one, &two);
    let site = lab.site(Site::port_restricted());
    let (host, neighbour) = (site.host("host"), site.host("neighbour"));
    let client = socket(&host);
    let external = prober.external(&client).unwrap();
    let (at_neighbour, to_neighbour) = server(&neighbour);

    site.wire().block_udp(true);
    assert!(!prober.reaches(0, external, &client));
    assert_eq!(prober.external(&client), None);
    assert!(arrives(&client, to_neighbour, &at_neighbour), "the LAN is not the line");
    site.wire().block_udp(false);
    assert!(prober.reaches(0, external, &client), "the mapping is still there");

    site.wire().cut();
    assert_eq!(prober.external(&client), None);
    site.wire().heal();
    assert_eq!(prober.external(&client), Some(external));
}

#[test]
fn blocked_udp_lets_tcp_through() {
    let lab = Lab::new();
    let (one, two) = (lab.public_host("one"), lab.public_host("two"));
    let listener = two.enter(|| TcpListener::bind((two.v4(), 443))).unwrap();
    one.wire().block_udp(true);
    let address = listener.local_addr().unwrap();
    one.enter(|| TcpStream::connect_timeout(&address, Duration::from_secs(2))).unwrap();
    one.wire().cut();
    let cut = one.enter(|| TcpStream::connect_timeout(&address, Duration::from_millis(300)).is_err());
    assert!(cut);
}

fn udp_sent(host: &Host) -> Vec<Sent> {
    let mut sent = host.wire().sent();
    sent.retain(|sent| sent.protocol == "udp");
    sent.sort_by_key(|sent| (sent.to, sent.port));
    sent
}

#[test]
fn each_packet_that_leaves_is_counted_by_destination_even_to_nowhere() {
    let lab = Lab::new();
    let one = lab.public_host("one");
    let site = lab.site(Site::port_restricted().ipv6());
    let host = site.host("host");
    let forbidden = Ipv4Addr::new(10, 1, 2, 3);
    assert!(udp_sent(&host).is_empty());
    let client = socket(&host);
    for _ in 0..3 {
        client.send_to(&[0; 100], (one.v4(), 7000)).unwrap();
    }
    client.send_to(&[0; 50], (forbidden, 9)).unwrap();
    let six = host.udp((host.v6(), 0));
    six.send_to(&[0; 10], (one.v6(), 7001)).unwrap();
    let to = |to: IpAddr, port, packets, bytes| Sent {
        to,
        protocol: "udp".into(),
        port: Some(port),
        packets,
        bytes,
    };
    let mut expected = vec![
        to(one.v4().into(), 7000, 3, 3 * 128),
        to(forbidden.into(), 9, 1, 78),
        to(one.v6().into(), 7001, 1, 58),
    ];
    expected.sort_by_key(|sent| (sent.to, sent.port));
    let found = host.wire().sent();
    println!("{found:#?}");
    assert_eq!(udp_sent(&host), expected);
    host.wire().forget_sent();
    assert!(udp_sent(&host).is_empty());
    host.wire().blackhole(one.v4().into(), 0);
    client.send_to(&[0; 100], (one.v4(), 7000)).unwrap();
    assert_eq!(udp_sent(&host), [to(one.v4().into(), 7000, 1, 128)], "what is dropped has left the host");
    // The line of the site counts what got as far.
    let out = site.wire().sent();
    assert!(out.iter().any(|sent| sent.to == IpAddr::from(one.v4()) && sent.packets == 3));
}

#[test]
fn what_never_leaves_is_seen_as_tried() {
    let lab = Lab::new();
    let host = lab.site(Site::port_restricted()).host("host");
    let client = socket(&host);
    let [itself, nobody] = [Ipv4Addr::LOCALHOST, Ipv4Addr::new(192, 168, 1, 250)];
    for to in [itself, nobody] {
        client.send_to(b"hello", (to, 9)).unwrap();
    }
    assert!(udp_sent(&host).is_empty());
    let mut tried: Vec<IpAddr> =
        host.tried().iter().filter(|sent| sent.port == Some(9)).map(|sent| sent.to).collect();
    tried.sort();
    assert_eq!(tried, [itself, nobody]);
}

#[test]
fn a_host_moves_from_site_to_site_with_its_programs() {
    let lab = Lab::new();
    let prober = Prober::new(&lab.public_host("one"), &lab.public_host("two"));
    let sites = [Site::port_restricted(), Site::cgnat(), Site::open()].map(|site| lab.site(site));
    let host = sites[0].host("host");
    let client = socket(&host);
    let mut seen = vec![prober.external(&client).unwrap()];
    for site in &sites[1..] {
        let addresses = host.move_to(site);
        seen.push(prober.external(&client).unwrap());
        assert_eq!(addresses, host.addresses());
    }
    println!("{seen:?}");
    assert_eq!(seen[0].ip(), sites[0].v4());
    assert_eq!(seen[1].ip(), sites[1].v4());
    assert_eq!(seen[2].ip(), host.v4());
    host.move_to(&sites[0]);
    assert_eq!(prober.external(&client).unwrap().ip(), sites[0].v4());
    assert!(udp_sent(&host).iter().all(|sent| sent.packets == 1), "a new wire counts from zero");
}

#[test]
fn segments_sent_at_once_are_packets_on_the_wire() {
    let lab = Lab::new();
    let (one, two) = (lab.public_host("one"), lab.public_host("two"));
    let (at_two, address) = server(&two);
    let client = socket(&one);
    setsockopt(&client, sockopt::UdpGsoSegment, &1200).unwrap();
    one.wire().blackhole(two.v4().into(), 1228);
    client.send_to(&[0; 12_000], address).unwrap();
    let received = (0..10).filter(|_| at_two.recv(&mut [0; 16_000]).is_ok_and(|len| len == 1200)).count();
    let sent = udp_sent(&one);
    println!("{sent:?}");
    assert_eq!((received, sent.len(), sent[0].packets), (10, 1, 10));
}

/// A program on `host` that says when it runs, then waits for ever.
fn sleeper(host: &Host) -> Child {
    let mut command = host.command("sh");
    let mut child = command.args(["-c", "echo up; exec sleep 1000"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "up\n");
    child
}

#[test]
fn a_program_runs_on_its_host() {
    let lab = Lab::new();
    let (one, two) = (lab.public_host("one"), lab.public_host("two"));
    for host in [&one, &two] {
        let output = host.command("ip").args(["-j", "address"]).output().unwrap();
        let output = String::from_utf8(output.stdout).unwrap();
        assert!(
            host.addresses().iter().all(|address| output.contains(&format!("\"{address}\""))),
            "{output}"
        );
        assert!(!output.contains("tentative"), "{output}");
        let devices = host.command("ls").arg("/sys/class/net").output().unwrap();
        assert_eq!(devices.stdout, b"eth0\nlo\n");
    }
}

#[test]
fn programs_end_with_the_lab_also_when_the_test_panics() {
    let mut child = None;
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let lab = Lab::new();
        child = Some(sleeper(&lab.public_host("one")));
        panic!("as tests do");
    }));
    assert!(panicked.is_err());
    let status = child.unwrap().wait().unwrap();
    assert!(!status.success(), "{status}");
}

#[test]
fn the_next_lab_ends_what_a_killed_one_has_left() {
    // As if of a process that is no more: no process was started before the machine.
    let mut orphan = Command::new("sleep").arg("1000").env("COCO_LAB", "1:0").spawn().unwrap();
    let lab = Lab::new();
    let mut own = sleeper(&lab.public_host("one"));
    let other = Lab::new();
    assert!(!orphan.wait().unwrap().success());
    assert_eq!(own.try_wait().unwrap(), None, "labs side by side leave each other alone");
    drop(other);
    assert_eq!(own.try_wait().unwrap(), None);
    drop(lab);
    own.wait().unwrap();
}

#[test]
fn nothing_is_left_when_the_lab_is_gone() {
    let lab = Lab::new();
    let host = lab.site(Site::cgnat()).host("host");
    let namespace = || fs::read_link("/proc/thread-self/ns/net").unwrap();
    let inside = host.enter(namespace);
    assert_ne!(inside, namespace());
    drop((host, lab));
    let held = fs::read_dir("/proc/self/fd").unwrap().flatten();
    assert!(held.filter_map(|fd| fs::read_link(fd.path()).ok()).all(|target| target != inside));
}

#[test]
fn a_hole_in_the_direct_path_leaves_the_way_by_a_third() {
    let lab = Lab::new();
    let (one, two) = (lab.public_host("one"), lab.public_host("two"));
    let prober = Prober::new(&one, &two);
    let sites = [(); 2].map(|()| lab.site(Site::port_restricted()));
    let [a, b] = sites.each_ref().map(|site| site.host("host"));
    assert!(punch(&prober, &a, &b));
    sites[0].wire().blackhole(sites[1].v4().into(), 0);
    assert!(!punch(&prober, &a, &b));
    assert!(prober.external(&socket(&a)).is_some());
    sites[0].wire().heal();
    assert!(punch(&prober, &a, &b));
}

#[test]
fn programs_know_hosts_by_the_names_they_were_given_and_the_machine_does_not() {
    let lab = Lab::new();
    let (one, two) = (lab.public_host("one"), lab.public_host("two"));
    lab.name("one.example", &one);
    let found = two.command("getent").args(["ahosts", "one.example"]).output().unwrap();
    let found = String::from_utf8(found.stdout).unwrap();
    println!("{found}");
    assert!(found.contains(&one.v4().to_string()) && found.contains(&one.v6().to_string()));
    assert!(!std::fs::read_to_string("/etc/hosts").unwrap().contains("one.example"));
}
