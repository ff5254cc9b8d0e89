//! Each kind of NAT is what it is called, measured from outside in the words of RFC 4787.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![expect(clippy::print_stdout, reason = "each test says what it found")]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::sleep;
use std::time::Duration;

use coco_lab::probe::{Found, Prober, arrives, punch, socket};
use coco_lab::{Behaviour, Lab, Site};

use Behaviour::{AddressAndPortDependent, AddressDependent, EndpointIndependent};

fn prober(lab: &Lab) -> Prober {
    Prober::new(&lab.public_host("one"), &lab.public_host("two"))
}

fn measured(name: &str, site: Site) -> Found {
    let lab = Lab::new();
    let prober = prober(&lab);
    let site = lab.site(site);
    let host = site.host("host");
    let found = prober.measure(&host).unwrap();
    println!("{name}: {} mapping, {} filtering", found.mapping, found.filtering);
    if site.site().is_translated() {
        assert_eq!(found.external.ip(), site.v4());
    } else {
        assert_eq!(found.external.ip(), host.v4());
    }
    found
}

#[test]
fn an_open_site_maps_nothing_and_filters_nothing() {
    let found = measured("open", Site::open());
    assert_eq!((found.mapping, found.filtering), (EndpointIndependent, EndpointIndependent));
}

#[test]
fn a_full_cone_nat_maps_and_filters_endpoint_independently() {
    let found = measured("full cone", Site::full_cone());
    assert_eq!((found.mapping, found.filtering), (EndpointIndependent, EndpointIndependent));
}

#[test]
fn an_address_restricted_nat_filters_by_address() {
    let found = measured("address-restricted", Site::address_restricted());
    assert_eq!((found.mapping, found.filtering), (EndpointIndependent, AddressDependent));
}

#[test]
fn a_port_restricted_nat_filters_by_address_and_port() {
    let found = measured("port-restricted", Site::port_restricted());
    assert_eq!((found.mapping, found.filtering), (EndpointIndependent, AddressAndPortDependent));
}

#[test]
fn a_symmetric_nat_maps_and_filters_by_address_and_port() {
    let found = measured("symmetric", Site::symmetric());
    assert_eq!((found.mapping, found.filtering), (AddressAndPortDependent, AddressAndPortDependent));
}

#[test]
fn two_nats_in_a_row_are_as_strict_as_the_stricter() {
    let found = measured("cgnat", Site::cgnat());
    assert_eq!((found.mapping, found.filtering), (EndpointIndependent, AddressAndPortDependent));
}

#[test]
fn the_external_port_is_another_than_the_internal_and_hosts_with_the_same_port_do_not_collide() {
    let lab = Lab::new();
    let prober = prober(&lab);
    for site in [Site::full_cone(), Site::port_restricted(), Site::symmetric()] {
        let site = lab.site(site);
        let hosts = [site.host("a"), site.host("b")];
        let sockets = hosts.each_ref().map(|host| host.udp((host.v4(), 7000)));
        let external = sockets.each_ref().map(|socket| prober.external(socket).unwrap());
        println!("7000 and 7000 appear as {external:?}");
        assert!(external[0].port() != external[1].port() && external.iter().all(|e| e.port() != 7000));
        assert!(external.iter().all(|e| e.port() >= 1024));
        for (socket, external) in sockets.iter().zip(external) {
            socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
            assert!(prober.reaches(0, external, socket), "each gets its own answers");
        }
    }
}

#[test]
fn without_hairpinning_two_hosts_behind_one_nat_do_not_reach_each_other_by_their_external_endpoints() {
    let lab = Lab::new();
    let prober = prober(&lab);
    for site in [Site::full_cone(), Site::address_restricted(), Site::port_restricted(), Site::symmetric()] {
        let site = lab.site(site);
        assert_eq!(prober.hairpin(&site.host("a"), &site.host("b")), None);
    }
}

#[test]
fn with_hairpinning_they_do_and_see_each_others_external_endpoints() {
    let lab = Lab::new();
    let prober = prober(&lab);
    for site in [Site::full_cone(), Site::address_restricted(), Site::port_restricted(), Site::cgnat()] {
        let site = lab.site(site.hairpin());
        let (a, b) = (site.host("a"), site.host("b"));
        let seen = prober.hairpin(&a, &b).unwrap();
        println!("{:?}: seen as {seen:?}", site.site());
        assert!(seen.iter().all(|seen| seen.ip() == site.v4()), "external source address: RFC 4787, REQ-9a");
    }
}

#[test]
fn hairpinning_passes_the_filter() {
    let lab = Lab::new();
    let prober = prober(&lab);
    for (site, open) in [(Site::full_cone(), true), (Site::address_restricted(), false)] {
        let site = lab.site(site.hairpin());
        let [a, b] = [socket(&site.host("a")), socket(&site.host("b"))];
        let external = prober.external(&b).unwrap();
        assert_eq!(arrives(&a, external, &b), open, "{:?}", site.site());
    }
}

#[test]
fn hosts_of_one_lan_reach_each_other_by_their_own_addresses() {
    let lab = Lab::new();
    let site = lab.site(Site::udp_blocked());
    let (a, b) = (site.host("a"), site.host("b"));
    let to = socket(&b);
    assert!(arrives(&socket(&a), SocketAddr::from((b.v4(), to.local_addr().unwrap().port())), &to));
}

#[test]
fn a_mapping_lasts_while_it_is_used_and_no_longer_than_its_timeout() {
    let timeout = Duration::from_secs(3);
    let lab = Lab::new();
    let prober = prober(&lab);
    let kinds = [Site::full_cone(), Site::address_restricted(), Site::port_restricted(), Site::symmetric()];
    let sites = kinds.map(|site| lab.site(site.mapping_timeout(timeout)));
    let clients = sites.each_ref().map(|site| socket(&site.host("host")));
    let external = clients.each_ref().map(|client| prober.external(client).unwrap());
    let check = |expected: bool| {
        for (client, external) in clients.iter().zip(external) {
            assert_eq!(prober.reaches(0, external, client), expected, "{external}");
        }
    };
    // Each packet that arrives restarts the time: together they last longer than one timeout.
    for _ in 0..3 {
        sleep(timeout / 2);
        check(true);
    }
    // The mapping has lasted, not just the flow that was used.
    assert!(prober.reaches(1, external[0], &clients[0]), "a full cone is still open to others");
    for (client, external) in clients.iter().zip(external).take(3) {
        assert_eq!(prober.seen_by(1, client), Some(external));
    }
    // The firewall forgets by the clock: there is no event to wait for.
    sleep(timeout + Duration::from_millis(1100));
    check(false);
    for (client, external) in clients.iter().zip(external) {
        let later = prober.external(client).unwrap();
        println!("{external}, later {later}");
        assert_ne!(later, external);
    }
}

#[test]
fn flushed_mappings_let_nothing_in_and_come_back_with_another_port() {
    let lab = Lab::new();
    let prober = prober(&lab);
    for site in [Site::full_cone(), Site::port_restricted(), Site::symmetric(), Site::cgnat()] {
        let site = lab.site(site);
        let client = socket(&site.host("host"));
        let before = prober.external(&client).unwrap();
        assert!(prober.reaches(0, before, &client));
        site.flush_mappings();
        assert!(!prober.reaches(0, before, &client));
        let after = prober.external(&client).unwrap();
        println!("{before}, then {after}");
        assert!(after.ip() == before.ip() && after.port() != before.port());
        assert!(prober.reaches(0, after, &client));
    }
}

#[test]
fn flushed_mappings_end_tcp_connections_without_a_word() {
    let lab = Lab::new();
    let server = lab.public_host("server");
    let site = lab.site(Site::port_restricted());
    let host = site.host("host");
    let listener = server.enter(|| TcpListener::bind((server.v4(), 443))).unwrap();
    let address = listener.local_addr().unwrap();
    let connect = || {
        let near = host.enter(|| TcpStream::connect_timeout(&address, Duration::from_secs(2))).unwrap();
        let (far, _) = listener.accept().unwrap();
        far.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        (near, far)
    };
    let (mut near, mut far) = connect();
    near.write_all(b"before").unwrap();
    far.read_exact(&mut [0; 6]).unwrap();
    site.flush_mappings();
    near.write_all(b"after").unwrap();
    assert_eq!(far.read(&mut [0; 6]).unwrap_err().kind(), ErrorKind::WouldBlock);
    let (mut near, mut far) = connect();
    near.write_all(b"again").unwrap();
    far.read_exact(&mut [0; 5]).unwrap();
}

#[test]
fn two_hosts_meet_exactly_where_their_nats_allow_it() {
    let lab = Lab::new();
    let prober = prober(&lab);
    let kinds = [
        ("open", Site::open()),
        ("full cone", Site::full_cone()),
        ("address-restricted", Site::address_restricted()),
        ("port-restricted", Site::port_restricted()),
        ("symmetric", Site::symmetric()),
        ("cgnat", Site::cgnat()),
    ];
    let [one, other] = [(); 2].map(|()| {
        kinds.each_ref().map(|(name, site)| {
            let site = lab.site(site.clone());
            let host = site.host(name);
            (*name, site, host)
        })
    });
    for (n, (a_name, _a_site, a)) in one.iter().enumerate() {
        for (b_name, _b_site, b) in &other[n..] {
            let strict = |name: &str| ["port-restricted", "symmetric", "cgnat"].contains(&name);
            let hopeless = [a_name, b_name].contains(&&"symmetric") && strict(a_name) && strict(b_name);
            let met = punch(&prober, a, b);
            println!("{a_name} and {b_name}: {}", if met { "met" } else { "did not meet" });
            assert_eq!(met, !hopeless, "{a_name} and {b_name}");
        }
    }
}
