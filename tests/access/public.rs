//! Tunnels that other machines may use. All addresses of 127.0.0.0/8 are this machine's: one stands for the
//! address by which another machine reaches it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use coconet::control::Tunnel;
use nix::sys::signal::Signal;

use crate::NOBODY;
use crate::support::net::{Net, free_port};
use crate::support::process::run_well;
use crate::support::programs::{PYTHON, command, theirs};
use crate::support::targets::{Nginx, echo, serve};
use crate::support::wait::{PATIENCE, is, until};

#[test]
fn other_addresses_than_loopback_need_to_be_called_public() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    camera.expose(&format!("tcp://{}", serve(echo)), "door");
    let all = format!("0.0.0.0:{}", free_port());
    let open = ["tunnel", "open", "door"];

    let told = viewer.refused(&[4], &[&open[..], &["--listen", &all]].concat());
    assert!(told.contains("not a loopback address") && told.contains("--public"), "{told}");
    let told = viewer.refused(&[4], &[&open[..], &["--listen", "192.0.2.7:8554"]].concat());
    assert!(told.contains("--public"), "{told}");
    for (words, says) in [
        (&["--public"][..], "--listen"),
        (&["--public", "--listen", "127.0.0.1:0"], "this machine alone"),
        (&["--public", "--listen", "unix:/run/x.sock"], "this machine alone"),
        (&["--public", "--listen", all.as_str(), "--allow", "uid:self"], "--allow"),
    ] {
        let told = viewer.refused(&[2], &[&open[..], words].concat());
        assert!(told.contains(says), "{words:?}: {told}");
    }
    camera.expose("udp://127.0.0.1:9", "game");
    let told = viewer.refused(&[2], &["tunnel", "open", "game", "--listen", &all, "--public"]);
    assert!(told.contains("has to be one"), "{told}");
}

#[test]
fn whoever_reaches_a_public_tunnel_can_use_it_also_after_a_restart() {
    let net = Net::new();
    let (camera, mut viewer) = net.pair();
    camera.expose(&format!("tcp://{}", serve(echo)), "door");
    let port = free_port();
    let place = format!("0.0.0.0:{port}");

    let ran = viewer.ctl(&["tunnel", "open", "door", "--listen", &place, "--public"]);
    assert_eq!(ran.stdout.trim(), format!("tcp://127.0.0.1:{port}"));
    assert!(ran.stderr.contains("warning: whoever reaches this machine"), "{}", ran.stderr);
    for round in ["opened", "restarted"] {
        let tunnel: Tunnel = viewer.tunnel("door");
        assert!(tunnel.public && tunnel.allow.is_empty(), "{round}");
        assert_eq!(tunnel.listen.as_deref(), Some(place.as_str()));
        assert!(viewer.ok(&["tunnel", "list"]).contains("is public"));
        for address in [[127, 0, 0, 1], [127, 0, 0, 5]] {
            until("it answers", PATIENCE, || {
                let said = talk((address, port).into());
                is(said.as_deref().is_ok_and(|said| said == "hello"), format!("{said:?}"))
            });
        }
        assert_eq!(talk_as_nobody(port), "hello");
        assert_eq!(viewer.tunnel("door").refused, 0);
        if round == "opened" {
            viewer.stop(Signal::SIGTERM);
            viewer.start();
        }
    }
}

#[test]
fn a_public_web_page_answers_to_the_address_that_was_taken_and_to_no_foreign_name() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let nginx = Nginx::start(&net.lab);
    nginx.file("page", "hello from behind");
    camera.expose(&nginx.url(), "web");
    let port = free_port();
    viewer.ok(&["tunnel", "open", "web", "--listen", &format!("0.0.0.0:{port}"), "--public"]);
    let status = |words: &[&str]| {
        let mut curl = command(theirs("curl"));
        curl.args(["--silent", "--max-time", "30", "--output", "/dev/null", "--write-out", "%{http_code}"]);
        run_well(curl.args(words).arg(format!("http://127.0.0.5:{port}/page")))
    };

    assert_eq!(status(&[]), "200");
    assert_eq!(status(&["--header", &format!("Host: web.home.coco:{port}")]), "200");
    // An address of this machine, but not the one that was taken.
    assert_eq!(status(&["--header", &format!("Host: 127.0.0.6:{port}")]), "421");
    assert_eq!(status(&["--header", &format!("Host: evil.example:{port}")]), "421");
    assert_eq!(status(&["--header", "Origin: http://evil.example", "--data", "x"]), "403");
}

fn talk(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"hello")?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// As a user to whom no tunnel that is not public answers.
fn talk_as_nobody(port: u16) -> String {
    let program = "import socket, sys\n\
        s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n\
        s.sendall(b'hello')\n\
        print(s.recv(5).decode())";
    let mut setpriv = command(theirs("setpriv"));
    setpriv.args([&format!("--reuid={NOBODY}"), &format!("--regid={NOBODY}"), "--clear-groups", PYTHON]);
    run_well(setpriv.args(["-c", program, &port.to_string()])).trim().to_owned()
}
