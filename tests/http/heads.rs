//! Heads: what is refused, and what is changed on the way.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufReader, Write};

use coconet::control::Facts;
use coconet::control::facts::HttpFacts;

use crate::corpus;
use crate::origin::{Origin, ask, connect, read_head, say};
use crate::support::net::{App, Net};
use crate::support::process::run_well;
use crate::support::programs::{command, theirs};
use crate::support::targets::Nginx;

fn facts(app: &App, resource: &str) -> HttpFacts {
    match app.tunnel(resource).facts {
        Some(Facts::Http(facts)) => facts,
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_of_the_smuggling_corpus_gets_through() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let origin = Origin::start("");
    camera.expose(&origin.url(), "web");
    let listener = viewer.open_address("web");

    let mut words = BTreeMap::<String, u64>::new();
    for (name, bytes, word) in corpus::CORPUS {
        let answer = say(listener, &corpus::for_host(bytes, &listener.to_string()));
        assert!(
            answer.starts_with("HTTP/1.1 ") && answer.contains("\r\nConnection: close\r\n"),
            "{name}: {answer}"
        );
        assert!(answer.ends_with(&format!(" ({word})\n")), "{name}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{name}: {answer}");
        *words.entry((*word).to_owned()).or_default() += 1;
    }
    // Malformed only behind its head: that went through.
    for (name, body, word) in [
        ("a chunk that is longer than it says", "3\r\nabcd\r\n0\r\n\r\n", "chunk"),
        ("a chunk size in C", "0x3\r\nabc\r\n0\r\n\r\n", "chunk"),
        ("a chunk line that ends with LF", "3\nabc\r\n0\r\n\r\n", "chunk"),
        ("a host in the trailers", "0\r\nHost: admin\r\n\r\n", "trailer"),
        ("an identity in the trailers", "0\r\nCoco-Peer: owner\r\n\r\n", "trailer"),
    ] {
        let head =
            format!("POST /c HTTP/1.1\r\nHost: {listener}\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        let answer =
            say(listener, format!("{head}GET /admin HTTP/1.1\r\nHost: {listener}\r\n\r\n").as_bytes());
        assert!(!answer.contains("/admin"), "{name}: {answer}");
        *words.entry(word.to_owned()).or_default() += 1;
    }

    assert!(origin.took().iter().all(|head| head.starts_with("POST /c ")), "{:?}", origin.took());
    assert_eq!(facts(&viewer, "web").refused, words);
    assert_eq!(ask(listener, "GET /well", "").0, 200);
    let list = viewer.ok(&["tunnel", "list"]);
    assert!(
        list.contains(" requests, ") && list.contains("refused: ") && list.contains(" both-lengths"),
        "{list}"
    );
}

#[test]
fn a_listener_answers_to_its_own_names_only() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let origin = Origin::start("");
    camera.expose(&origin.url(), "front-door");
    let listener = viewer.open_address("front-door");
    let port = listener.port();
    let get = |host: &str| {
        say(listener, format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes())
    };

    for host in ["127.0.0.1", "localhost", "[::1]", "front-door.localhost", "Front-Door.LOCALHOST"] {
        assert!(get(&format!("{host}:{port}")).starts_with("HTTP/1.1 200 "), "{host}");
    }
    assert_eq!(origin.took().len(), 5);
    for host in
        ["evil.example", &format!("evil.example:{port}"), "127.0.0.1", &format!("other.localhost:{port}")]
    {
        let answer = get(host);
        assert!(answer.starts_with("HTTP/1.1 421 ") && answer.ends_with(" (not-here)\n"), "{host}: {answer}");
    }
    // Also not as the second request of a connection that began well, and behind a body.
    let mut stream = connect(listener);
    let post = format!("POST / HTTP/1.1\r\nHost: {listener}\r\nContent-Length: 3\r\n\r\nabc");
    write!(stream, "{post}GET /secret HTTP/1.1\r\nHost: evil.example\r\n\r\n").unwrap();
    let mut reader = BufReader::new(stream);
    assert!(read_head(&mut reader).unwrap().starts_with("HTTP/1.1 200 "));
    let rest = std::io::read_to_string(reader).unwrap();
    assert!(rest.ends_with(" (not-here)\n"), "{rest}");
    assert_eq!(origin.took().len(), 1);
    assert_eq!(facts(&viewer, "front-door").refused["not-here"], 5);
    assert_eq!(facts(&camera, "front-door").requests, 6);
}

#[test]
fn a_web_page_of_another_site_reaches_nothing() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let origin = Origin::start("");
    camera.expose(&origin.url(), "web");
    let listener = viewer.open_address("web");
    let evil = "Origin: http://evil.example\r\n";
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    for (method, fields) in [
        ("POST", evil.to_owned()),
        ("GET", format!("{evil}{upgrade}")),
        ("GET", "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n".to_owned()),
    ] {
        let head = format!("{method} / HTTP/1.1\r\nHost: {listener}\r\n{fields}\r\n");
        let answer = say(listener, head.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 403 ") && answer.ends_with(" (foreign-page)\n"), "{answer}");
    }
    assert_eq!(origin.took().len(), 0);
    assert_eq!(facts(&viewer, "web").refused["foreign-page"], 3);
    assert_eq!(facts(&camera, "web").requests, 0);
}

#[test]
fn names_of_the_other_side_are_rewritten_and_identities_are_ours() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let origin = Origin::start(
        "Location: http://$TARGET/next?a\r\nrefresh: 3; url=http://$TARGET/r\r\nSet-Cookie: s=1; Domain=camera.lan; Path=/\r\n",
    );
    camera.expose(&origin.url(), "web");
    camera.ok(&["tunnel", "expose", &origin.url(), "--name", "named", "--host-header", "cams.example"]);
    let (web, named) = (viewer.open_address("web"), viewer.open_address("named"));
    let fields = format!(
        "X-First: 1\r\nCoco-Peer: owner\r\nX-Forwarded-For: 10.0.0.1\r\nforwarded: for=10.0.0.1\r\nX_Real_IP: 10.0.0.1\r\n\
         Origin: http://{web}\r\nReferer: http://{web}/page\r\ncookie:  a=b\r\n"
    );

    let answer = say(
        web,
        format!("GET /%7Ex?y HTTP/1.1\r\nHost: {web}\r\n{fields}Connection: close\r\n\r\n").as_bytes(),
    );

    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("\r\nLocation: http://{web}/next?a\r\n")), "{head}");
    assert!(head.contains(&format!("\r\nrefresh: 3; url=http://{web}/r\r\n")), "{head}");
    assert!(head.ends_with("\r\nSet-Cookie: s=1; Path=/"), "{head}");
    let target = origin.address;
    let (told, ours) = body.split_once("Coco-Peer: ").unwrap();
    assert_eq!(
        told,
        format!(
            "GET /%7Ex?y HTTP/1.1\r\nHost: {target}\r\nX-First: 1\r\nOrigin: http://{target}\r\n\
             Referer: http://{target}/page\r\ncookie:  a=b\r\nConnection: close\r\n"
        )
    );
    let (peer, ours) = ours.split_once("\r\n").unwrap();
    assert_eq!(ours, format!("X-Forwarded-Proto: http\r\nX-Forwarded-Host: {web}\r\n\r\n"));
    assert!(peer.len() >= 8 && peer.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{peer}");
    assert!(!peer.contains("viewer") && !peer.contains("owner"));
    // Another connection is the same peer, and another host is what it was told to be.
    let (_, again) = ask(named, "GET /", "");
    assert!(
        again.contains("\r\nHost: cams.example\r\n") && again.contains(&format!("Coco-Peer: {peer}\r\n")),
        "{again}"
    );
}

#[test]
fn a_login_stays_at_the_exporter() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let origin = Origin::start("");
    let login = net.lab.path("login");
    fs::write(&login, "viewer\ns3cret\n").unwrap();
    fs::set_permissions(&login, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let login = login.display().to_string();
    camera.ok(&["tunnel", "expose", &origin.url(), "--name", "cam", "--login-file", &login]);
    let listener = viewer.open_address("cam");

    let (status, _) = ask(listener, "GET /", "Authorization: Basic bXk6b3du\r\n");

    let took = origin.took().concat();
    assert_eq!(status, 200);
    assert!(
        took.contains("\r\nAuthorization: Basic dmlld2VyOnMzY3JldA==\r\n") && !took.contains("bXk6b3du"),
        "{took}"
    );
    for app in [&camera, &viewer] {
        assert!(!app.ok(&["--json", "tunnel", "list"]).contains("s3cret"));
    }
}

#[test]
fn curl_follows_nginx_through_the_tunnel() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let nginx = Nginx::start(&net.lab);
    fs::create_dir(nginx.root.join("dir")).unwrap();
    nginx.file("dir/index.html", "arrived");
    camera.expose(&nginx.url(), "web");
    let url = viewer.open("web");
    let curl = || {
        let mut curl = command(theirs("curl"));
        curl.args(["--silent", "--show-error", "--fail", "--location"]);
        curl
    };

    // nginx sends the slash that is missing as an absolute redirect.
    assert_eq!(run_well(curl().arg(format!("{url}dir"))), "arrived");
    let range = run_well(curl().args(["--range", "2-4"]).arg(format!("{url}dir/")));
    assert_eq!(range, "riv");
    let head = run_well(curl().arg("--head").arg(format!("{url}dir/")));
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("\r\nContent-Length: 7\r\n"), "{head}");
    // Twice over one connection.
    let both = run_well(curl().arg(format!("{url}dir/")).arg(format!("{url}dir/")));
    assert_eq!(both, "arrivedarrived");
}
