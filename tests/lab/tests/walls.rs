//! Networks without UDP, without IPv4, with a small MTU.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![expect(clippy::print_stdout, reason = "each test says what it found")]

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use coco_lab::probe::{Prober, arrives, socket};
use coco_lab::{Host, Lab, Site};
use nix::sys::socket::{getsockopt, sockopt};

const PATIENCE: Duration = Duration::from_millis(500);

/// Answers every TCP connection to `port` of `host`: an echo of the first line.
fn echo(host: &Host, port: u16, address: impl Into<IpAddr>) -> SocketAddr {
    let address = SocketAddr::new(address.into(), port);
    host.enter(|| {
        let listener = TcpListener::bind(address).unwrap();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut line = [0; 6];
                let _ = stream.read_exact(&mut line).and_then(|()| stream.write_all(&line));
            }
        });
    });
    address
}

fn answers(stream: &mut TcpStream) -> bool {
    let mut line = [0; 6];
    stream.set_read_timeout(Some(PATIENCE * 4)).unwrap();
    stream.write_all(b"hello\n").is_ok() && stream.read_exact(&mut line).is_ok() && line == *b"hello\n"
}

fn connects(from: &Host, to: SocketAddr) -> bool {
    from.enter(|| TcpStream::connect_timeout(&to, PATIENCE).is_ok_and(|mut stream| answers(&mut stream)))
}

/// What the proxy says to `request`, and the connection.
fn ask(host: &Host, proxy: SocketAddr, request: &str) -> (String, TcpStream) {
    let mut stream = host.enter(|| TcpStream::connect_timeout(&proxy, PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut said = Vec::new();
    let mut byte = [0];
    while !said.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
        said.push(byte[0]);
    }
    (String::from_utf8(said).unwrap(), stream)
}

#[test]
fn where_udp_is_blocked_tcp_443_and_nothing_else_gets_out() {
    let lab = Lab::new();
    let (one, two) = (lab.public_host("one"), lab.public_host("two"));
    let prober = Prober::new(&one, &two);
    let site = lab.site(Site::udp_blocked().ipv6());
    let host = site.host("host");
    assert_eq!(prober.measure(&host), None);
    assert!(connects(&host, echo(&one, 443, one.v4())));
    assert!(connects(&host, echo(&one, 443, one.v6())));
    assert!(!connects(&host, echo(&one, 80, one.v4())));
    assert!(!connects(&host, echo(&one, 80, one.v6())));
    println!("no UDP, TCP to 443, no TCP to 80");
}

#[test]
fn behind_a_proxy_nothing_gets_out_but_connect_to_443() {
    let lab = Lab::new();
    let (one, two) = (lab.public_host("one"), lab.public_host("two"));
    let prober = Prober::new(&one, &two);
    let site = lab.site(Site::proxy_only());
    let host = site.host("host");
    let [open, shut] = [443, 80].map(|port| echo(&one, port, one.v4()));
    assert_eq!(prober.measure(&host), None);
    assert!(!connects(&host, open));

    let proxy = site.proxy().unwrap();
    let (said, mut stream) = ask(&host, proxy, &format!("CONNECT {open} HTTP/1.1\r\nHost: {open}\r\n\r\n"));
    assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
    assert!(answers(&mut stream));
    lab.name("one.example", &one);
    let (said, mut stream) = ask(&host, proxy, "CONNECT one.example:443 HTTP/1.1\r\n\r\n");
    assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
    assert!(answers(&mut stream));
    let refused = |request: &str| ask(&host, proxy, request).0;
    assert!(refused("CONNECT two.example:443 HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 502 "));
    assert!(refused(&format!("CONNECT {shut} HTTP/1.1\r\n\r\n")).starts_with("HTTP/1.1 403 "));
    assert!(refused("CONNECT nowhere HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 400 "));
    assert!(refused("GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
    println!("only CONNECT {open} by {proxy}");
}

#[test]
fn an_ipv6_only_site_has_no_ipv4_and_is_reachable() {
    let lab = Lab::new();
    let one = lab.public_host("one");
    let site = lab.site(Site::ipv6_only());
    let host = site.host("host");
    println!("{:?}", host.addresses());
    assert!(host.addresses().iter().all(IpAddr::is_ipv6));
    let server = one.udp((one.v6(), 7000));
    let client = host.udp((host.v6(), 7000));
    for end in [&server, &client] {
        end.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    assert!(arrives(&client, (one.v6(), 7000).into(), &server));
    assert!(arrives(&server, (host.v6(), 7000).into(), &client));
    assert!(socket(&host).send_to(b"lost", (one.v4(), 7000)).is_err(), "there is no way to an IPv4 address");
}

#[test]
fn ipv6_behind_a_nat_lets_answers_in_only() {
    let lab = Lab::new();
    let (one, two) = (lab.public_host("one"), lab.public_host("two"));
    let [server, stranger] = [&one, &two].map(|host| host.udp((host.v6(), 7000)));
    // Through both gateways of a carrier-grade NAT, too.
    for site in [Site::port_restricted(), Site::cgnat()] {
        let site = lab.site(site.ipv6());
        let host = site.host("host");
        let client = host.udp((host.v6(), 7000));
        for end in [&server, &stranger, &client] {
            end.set_read_timeout(Some(PATIENCE)).unwrap();
        }
        let address = (host.v6(), 7000).into();
        assert!(!arrives(&server, address, &client));
        assert!(arrives(&client, server.local_addr().unwrap(), &server));
        assert!(arrives(&server, address, &client));
        assert!(!arrives(&stranger, address, &client));
    }
}

#[test]
fn a_small_mtu_refuses_larger_packets_and_says_so() {
    let lab = Lab::new();
    let one = lab.public_host("one");
    let site = lab.site(Site::port_restricted().mtu(1280));
    let host = site.host("host");
    let server = one.udp((one.v4(), 7000));
    let client = socket(&host);
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    client.connect(server.local_addr().unwrap()).unwrap();

    let arrives = |ip_size: usize| {
        let payload = vec![0; ip_size - 28];
        client.send(&payload).is_ok() && server.recv(&mut [0; 2000]).is_ok_and(|len| len == payload.len())
    };
    let path_mtu = || getsockopt(&client, sockopt::IpMtu).unwrap();
    assert!(arrives(1280));
    assert_eq!(path_mtu(), 1500);
    // The host's own device takes it, the gateway does not, and its ICMP tells the host.
    assert!(!arrives(1281));
    assert_eq!(client.take_error().unwrap().unwrap().raw_os_error(), Some(nix::libc::EMSGSIZE));
    println!("1280 bytes pass, 1281 do not; path MTU {}", path_mtu());
    assert_eq!(path_mtu(), 1280);
    assert!(arrives(1281), "in fragments, as this socket allows");
}
