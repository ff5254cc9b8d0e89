//! The daemon's figures by HTTP.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use cocod::config::{Config, parse};
use cocod::daemon::Daemon;
use cocod::metrics::{self, CONNECTIONS_MAX};
use cocod::state_dir::StateDir;
use cocod::store::Store;
use cocod::tunnel::SocketDirs;

/// What a daemon without networks answers to requests that `ask` makes, on a thread of its own.
fn answered<T: Send + 'static>(ask: impl FnOnce(SocketAddr) -> T + Send + 'static) -> T {
    let name = format!("coco-metrics-{}-{:?}", std::process::id(), std::thread::current().id());
    let dir = std::env::temp_dir().join(name);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answer = runtime.block_on(async {
        let config = Config { lan: parse("[lan]\ndiscovery = false").unwrap().lan, ..Config::default() };
        let state = StateDir::open(&dir).unwrap();
        let store = Store::open(&state.database()).unwrap();
        let daemon = Daemon::start(
            "test".parse().unwrap(),
            config,
            state,
            store,
            SocketDirs::default(),
            coco_sandbox::Report::default(),
            None,
        )
        .await
        .unwrap();
        let listener = metrics::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(metrics::serve(listener, Arc::downgrade(&daemon)));
        tokio::task::spawn_blocking(move || ask(address)).await.unwrap()
    });
    std::fs::remove_dir_all(&dir).unwrap();
    answer
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

/// The status line and the body of one request.
fn get(address: SocketAddr, line: &str, host: &str) -> (String, String) {
    let mut stream = connect(address);
    stream.write_all(format!("{line} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

#[test]
fn the_page_is_there_for_this_machine_and_nothing_else_is() {
    answered(|address| {
        let here = address.to_string();
        let (status, page) = get(address, "GET /metrics", &here);
        assert_eq!(status, "HTTP/1.1 200 OK");
        assert!(
            page.contains("\ncoco_networks 0\n") && page.contains("\ncoco_withheld_packets_total 0\n"),
            "{page}"
        );
        for (line, host, status) in [
            ("GET /", here.as_str(), "404"),
            ("POST /metrics", &here, "404"),
            ("GET /v1/status", &here, "404"),
            ("GET /metrics", "evil.example:80", "403"),
        ] {
            let (found, body) = get(address, line, host);
            assert!(found.contains(status), "{line} {host}: {found}");
            assert!(!body.contains("coco_"), "{body}");
        }
    });
}

#[test]
fn the_page_for_operators_names_every_figure_and_no_other() {
    let manual = include_str!("../../docs/operating.md");
    let rows = manual.lines().skip_while(|line| !line.starts_with("| figure |")).skip(2);
    let told: BTreeSet<String> = rows
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<String> = line.split('|').map(|cell| cell.trim().replace('`', "")).collect();
            format!("{} {}", cells[1], cells[2])
        })
        .collect();
    let served = answered(|address| get(address, "GET /metrics", &address.to_string()).1);
    let served: BTreeSet<String> =
        served.lines().filter_map(|line| line.strip_prefix("# TYPE ")).map(str::to_owned).collect();
    assert_eq!(told, served);
}

#[test]
fn who_connects_and_says_nothing_keeps_nobody_out_for_long() {
    answered(|address| {
        let silent: Vec<TcpStream> = (0..CONNECTIONS_MAX).map(|_| connect(address)).collect();
        let (status, _) = get(address, "GET /metrics", "localhost");
        assert_eq!(status, "HTTP/1.1 200 OK");
        drop(silent);
    });
}
