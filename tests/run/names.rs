//! The names of resources, and that there are no others.

use std::net::UdpSocket;

use crate::house::House;
use crate::support::net::HOME;
use crate::support::process::run;
use crate::support::programs::{command, theirs};
use crate::support::targets::{echo, serve};
use crate::support::wait::PATIENCE;

#[test]
fn each_resource_has_an_address_of_its_own_and_a_name() {
    let house = House::new();
    house.expose("http://127.0.0.1:9/", "web");
    house.expose("rtsp://127.0.0.1:9/stream", "door");
    house.expose(&format!("tcp://{}", serve(echo)), "ssh");
    let told = house.ok_inside(&["cat", "/etc/hosts"]);
    for line in
        ["127.64.0.1 door.home.coco # rtsp, port 554", "web.home.coco # http, port 80", "ssh.home.coco # tcp"]
    {
        assert!(told.contains(line), "{told}");
    }
    // The C library's way, which asks the hosts file only.
    let mut addresses: Vec<String> = ["door", "ssh", "web"]
        .iter()
        .map(|name| {
            let line = house.ok_inside(&["getent", "hosts", &format!("{name}.{HOME}.coco")]);
            line.split_whitespace().next().unwrap().to_owned()
        })
        .collect();
    addresses.dedup();
    assert_eq!(addresses.len(), 3);
    assert_eq!(house.try_inside(&["getent", "hosts", "debian.org"]).code, 2);
    let resolver = house.ok_inside(&["cat", "/etc/resolv.conf"]);
    assert_eq!(resolver, "");
}

#[test]
fn a_program_that_is_linked_statically_finds_them_too() {
    let house = House::new();
    house.expose(&format!("tcp://{}", serve(echo)), "door");
    let source = house.net.lab.path("lookup.c");
    std::fs::write(&source, LOOKUP).unwrap();
    let program = house.net.lab.path("lookup");
    let mut build = command(theirs("musl-gcc"));
    build.args(["-static", "-o"]).arg(&program).arg(&source);
    let ran = run(&mut build, b"", PATIENCE);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let program = program.to_str().unwrap();
    assert_eq!(house.ok_inside(&[program, "door.home.coco"]), "127.64.0.1\n");
    assert_eq!(house.try_inside(&[program, "debian.org"]).code, 1);
}

#[test]
fn there_is_nothing_but_the_resources() {
    let house = House::new();
    let target = serve(echo);
    house.expose(&format!("tcp://{target}"), "door");
    // Somebody who listens on every address of this machine, outside.
    let outside = UdpSocket::bind("127.0.0.1:0").unwrap();
    outside.set_nonblocking(true).unwrap();
    let port = outside.local_addr().unwrap().port().to_string();
    let tried = house.ok_inside(&["/usr/bin/python3", "-c", CONNECT_ALL, &target.to_string(), &port]);
    assert_eq!(tried, "nothing\n");
    assert!(outside.recv(&mut [0]).is_err());
    let links = house.ok_inside(&["cat", "/proc/net/dev"]);
    assert_eq!(links.lines().count(), 3, "{links}");
    let ran = house.try_inside(&["curl", "-sS", "-m", "5", "http://192.0.2.1/"]);
    assert_eq!(ran.code, 7, "{}", ran.stderr);
    let ran = house.try_inside(&["curl", "-sS", "-m", "5", "http://debian.org/"]);
    assert_eq!(ran.code, 6, "{}", ran.stderr);
}

#[test]
fn only_what_is_named_is_there() {
    let house = House::new();
    for name in ["door", "web", "ssh"] {
        house.expose(&format!("tcp://{}", serve(echo)), name);
    }
    let mut hosts = house.ctl(&["run", HOME, "--resource", "door", "web", "--", "cat", "/etc/hosts"]);
    let told = run(&mut hosts, b"", PATIENCE).stdout;
    assert!(told.contains(" door.home.coco ") && told.contains(" web.home.coco "), "{told}");
    assert!(!told.contains("ssh"), "{told}");
    let ran = run(&mut house.ctl(&["run", HOME, "--resource", "nas", "--", "true"]), b"", PATIENCE);
    assert_eq!((ran.code, ran.stdout.as_str()), (5, ""), "{}", ran.stderr);
    assert!(ran.stderr.contains("no resource nas in home"), "{}", ran.stderr);
    let ran = run(&mut house.ctl(&["run", "work", "--", "true"]), b"", PATIENCE);
    assert_eq!(ran.code, 5, "{}", ran.stderr);
}

/// Prints the IPv4 address of a name.
const LOOKUP: &str = r#"
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
int main(int count, char **words) {
    struct addrinfo *found, wanted = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    if (count != 2 || getaddrinfo(words[1], "80", &wanted, &found)) return 1;
    puts(inet_ntoa(((struct sockaddr_in *)found->ai_addr)->sin_addr));
}
"#;

/// Tries to reach what is outside, in every way there is.
const CONNECT_ALL: &str = "\
import socket, sys
host, port = sys.argv[1].split(':')
places = [(host, int(port)), ('192.0.2.1', 80), ('1.1.1.1', 53), ('10.0.0.1', 80)]
for place in places:
    s = socket.socket()
    s.settimeout(10)
    try:
        s.connect(place)
        print('connected to', place)
    except OSError as error:
        assert error.errno in (101, 111), error
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for place in [('127.0.0.1', int(sys.argv[2])), ('192.0.2.1', 9)]:
    try:
        u.sendto(b'hello', place)
    except OSError as error:
        assert error.errno in (101, 111), error
print('nothing')
";
