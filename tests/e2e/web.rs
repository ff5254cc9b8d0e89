//! The web: a large file, many small ones, an upload, WebSocket.

use std::fs;
use std::process::Stdio;

use crate::support::bytes::{noise, noise_file, sha256, sha256_of};
use crate::support::net::Net;
use crate::support::process::run_well;
use crate::support::programs::{command, theirs};
use crate::support::targets::{Nginx, hash_upload, serve, websocket_echo, websocket_talk};

const GIB: u64 = 1 << 30;
const MIB: usize = 1 << 20;

#[test]
fn curl_fetches_a_gibibyte_from_nginx() {
    // Alone: it takes all the processor there is.
    let net = Net::alone();
    let (camera, viewer) = net.pair();
    let nginx = Nginx::start(&net.lab);
    let expected = noise_file(&nginx.root.join("large"), 1, GIB);
    camera.expose(&nginx.url(), "web");
    let url = viewer.open("web");

    let mut curl = command(theirs("curl"));
    curl.args(["--silent", "--show-error", "--fail", &format!("{url}large")]);
    let mut curl = curl.stdout(Stdio::piped()).spawn().unwrap();
    let fetched = sha256(curl.stdout.take().unwrap()).unwrap();

    assert!(curl.wait().unwrap().success());
    assert_eq!(fetched, (expected, GIB));
    assert!(viewer.tunnel("web").bytes_in > GIB);
}

#[test]
fn fifty_requests_at_once_are_all_answered_right() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let nginx = Nginx::start(&net.lab);
    let file = |number: usize| noise(number as u64, 1000 * number);
    (1..=50).for_each(|number| nginx.file(&format!("small-{number}"), file(number)));
    camera.expose(&nginx.url(), "web");
    let url = viewer.open("web");

    let mut curl = command(theirs("curl"));
    curl.args(["--silent", "--show-error", "--fail", "--parallel", "--parallel-immediate"]);
    curl.args(["--parallel-max", "50", &format!("{url}small-[1-50]"), "--output"]);
    run_well(curl.arg(net.lab.path("got-#1")));

    for number in 1..=50 {
        let got = fs::read(net.lab.path(&format!("got-{number}"))).unwrap();
        assert!(got == file(number), "small-{number} came back as {} other bytes", got.len());
    }
    let tunnel = viewer.tunnel("web");
    assert_eq!((tunnel.connections, tunnel.failures), (50, 0), "{tunnel:?}");
}

#[test]
fn an_upload_arrives_whole() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let target = serve(hash_upload);
    camera.expose(&format!("http://{target}/"), "drop");
    let url = viewer.open("drop");
    let upload = noise(2, 64 * MIB);
    let file = net.lab.path("upload");
    fs::write(&file, &upload).unwrap();

    for method in ["PUT", "POST"] {
        let mut curl = command(theirs("curl"));
        curl.args(["--silent", "--show-error", "--fail", "--request", method, "--upload-file"]);
        assert_eq!(run_well(curl.arg(&file).arg(&url)), sha256_of(&upload), "{method}");
    }
}

#[test]
fn a_websocket_echoes_text_and_bytes_and_pings() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let (_server, target) = websocket_echo(&net.lab);
    camera.expose(&format!("http://{target}/"), "chat");
    let url = viewer.open("chat").replacen("http:", "ws:", 1);

    assert_eq!(run_well(&mut websocket_talk(&url)), "all right\n");
}
