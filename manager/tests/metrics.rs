//! Figures and health by HTTP on loopback.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod house;
#[path = "house/http.rs"]
mod http;
#[path = "house/program.rs"]
mod program;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::atomic::Ordering;

use coco_manager::config::{Config, Here};
use coco_manager::metrics::CONNECTIONS_MAX;
use coco_manager::storage::memory::Memory;
use coconet::ledger::Op;
use coconet::wire::manager::Response;
use house::{House, publish, soon};
use http::get;
use program::{Running, Scratch, init, run};
use tokio::net::TcpStream;

fn watched(config: &mut Config) {
    config.metrics.listen = Some(Here(house::loopback()));
}

/// Every sample by its name and labels. Each line must be a comment or a sample, and each sample have a type.
fn samples(page: &str) -> BTreeMap<String, f64> {
    let (mut samples, mut types) = (BTreeMap::new(), BTreeMap::new());
    for line in page.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let words: Vec<&str> = comment.splitn(3, ' ').collect();
            match words[..] {
                ["TYPE", name, kind] => assert_eq!(types.insert(name, kind), None, "{name} comes twice"),
                ["HELP", name, help] => assert!(help.ends_with('.') && !types.contains_key(name), "{line}"),
                _ => panic!("{line}"),
            }
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').unwrap();
        let name = sample.split('{').next().unwrap();
        let kind = types[name];
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
        assert_eq!(samples.insert(sample.to_owned(), value.parse().unwrap()), None, "{sample} comes twice");
    }
    samples
}

#[tokio::test]
async fn the_page_says_who_is_here_what_was_refused_and_what_was_relayed() {
    let house = House::with(Memory::default(), watched);
    let (mut laptop, mut cam) = (house.node(1).await, house.node(2).await);
    let address = house.metrics.unwrap();
    laptop.founds("home").await;
    let invite = laptop.invites(9, 1).await;
    cam.joins(&invite, "cam").await;
    laptop.fetches(invite.network).await;
    let (_stream, _) = cam.registers(&[]).await;
    let channel = laptop.dials(cam.id()).await.unwrap();
    laptop.relays(house.address, channel, 1000, 3);
    let stranger = house.node(3).await;
    stranger.is_refused(&coconet::wire::manager::Request::Presence { network: invite.network }).await;

    let (status, page) = soon(get(address, "/metrics")).await;
    assert_eq!(status, 200);
    let samples = samples(&page);
    let network = format!("coco_manager_network_relayed_bytes{{network=\"{}\"}}", invite.network.full());
    for (sample, value) in [
        ("coco_manager_sessions", 3.0),
        ("coco_manager_registered_nodes", 1.0),
        ("coco_manager_networks", 1.0),
        ("coco_manager_relay_channels", 1.0),
        ("coco_manager_relay_bytes_total", 3000.0),
        ("coco_manager_relay_packets_total", 3.0),
        ("coco_manager_dials_total{channel=\"given\"}", 1.0),
        ("coco_manager_refused_total{kind=\"not-a-member\"}", 1.0),
        ("coco_manager_refused_total{kind=\"quota\"}", 0.0),
        ("coco_manager_relay_dropped_packets_total{reason=\"quota\"}", 0.0),
        ("coco_manager_storage_failing", 0.0),
        (&network, 3000.0),
    ] {
        assert_eq!(samples.get(sample), Some(&value), "{sample}\n{page}");
    }
    let ids = [laptop.id().full(), cam.id().full()];
    assert!(ids.iter().all(|id| !page.contains(id)), "a node is named");
    assert_eq!(soon(get(address, "/")).await.0, 404);
    house.close().await;
}

/// The rows of the table of `docs/operating.md` whose first heading is `first`, cell by cell.
fn told(first: &str) -> Vec<Vec<String>> {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operating.md")).unwrap();
    let rows = page.lines().skip_while(|line| !line.starts_with(&format!("| {first} |"))).skip(2);
    let cells = |line: &str| line.split('|').skip(1).map(|cell| cell.trim().replace('`', "")).collect();
    rows.take_while(|line| line.starts_with('|')).map(cells).collect()
}

/// The labels of a sample, by name.
fn labels(sample: &str) -> Vec<(String, String)> {
    let labels = sample.split_once('{').map_or("", |(_, labels)| labels.trim_end_matches('}'));
    let labels = labels.split(',').filter_map(|label| label.split_once('='));
    labels.map(|(name, value)| (name.to_owned(), value.replace('"', ""))).collect()
}

#[tokio::test]
async fn the_page_for_operators_names_every_series_and_no_other() {
    let house = House::with(Memory::default(), watched);
    let (mut laptop, mut cam) = (house.node(1).await, house.node(2).await);
    laptop.founds("home").await;
    let invite = laptop.invites(9, 1).await;
    cam.joins(&invite, "cam").await;
    laptop.fetches(invite.network).await;
    let (_stream, _) = cam.registers(&[]).await;
    let channel = laptop.dials(cam.id()).await.unwrap();
    // Of a network that had nothing relayed there is no sample.
    laptop.relays(house.address, channel, 1000, 1);
    let (_, page) = soon(get(house.metrics.unwrap(), "/metrics")).await;
    house.close().await;

    let samples = samples(&page);
    let served: BTreeMap<String, (String, BTreeSet<String>)> = page
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .map(|(series, kind)| {
            let of = samples.keys().filter(|sample| sample.split('{').next() == Some(series));
            let labels = of.flat_map(|sample| labels(sample)).map(|(name, _)| name).collect();
            (series.to_owned(), (kind.to_owned(), labels))
        })
        .collect();
    let listed = told("series").into_iter().map(|row| {
        let labels = row[2].split(", ").filter(|label| !label.is_empty()).map(str::to_owned).collect();
        (row[0].clone(), (row[1].clone(), labels))
    });
    assert_eq!(listed.collect::<BTreeMap<_, _>>(), served);

    for (table, series) in [("refused", "refused_total"), ("dropped", "relay_dropped_packets_total")] {
        let of = samples.keys().filter(|sample| sample.starts_with(&format!("coco_manager_{series}{{")));
        let served: BTreeSet<String> = of.flat_map(|sample| labels(sample)).map(|(_, value)| value).collect();
        let listed =
            told(table).into_iter().flat_map(|row| row[0].split(", ").map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(listed.collect::<BTreeSet<_>>(), served, "{series}");
    }
}

#[tokio::test]
async fn a_manager_that_cannot_write_is_not_healthy_until_it_can() {
    let storage = Memory::default();
    let full = storage.full();
    let house = House::with(storage, watched);
    let address = house.metrics.unwrap();
    let mut laptop = house.node(1).await;
    laptop.founds("home").await;
    assert_eq!(soon(get(address, "/healthz")).await, (200, "ok\n".into()));
    full.store(true, Ordering::Relaxed);
    let op: Op = publish("a");
    assert!(matches!(laptop.submits(&op).await, Response::Failed { .. }));
    assert_eq!(soon(get(address, "/healthz")).await, (503, "the storage cannot be written\n".into()));
    full.store(false, Ordering::Relaxed);
    laptop.publishes("a").await;
    assert_eq!(soon(get(address, "/healthz")).await, (200, "ok\n".into()));
    house.close().await;
}

#[tokio::test]
async fn more_connections_than_seats_wait_for_one() {
    let house = House::with(Memory::default(), watched);
    let address = house.metrics.unwrap();
    let mut held = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        held.push(soon(TcpStream::connect(address)).await.unwrap());
    }
    let mut waiting = std::pin::pin!(get(address, "/healthz"));
    // The manager goes on, for longer than the answer would take.
    let mut laptop = house.node(1).await;
    laptop.founds("home").await;
    let at_once = tokio::time::timeout(std::time::Duration::ZERO, &mut waiting).await;
    assert!(at_once.is_err(), "more were served than there are seats");
    drop(held);
    assert_eq!(soon(waiting).await.0, 200);
    house.close().await;
}

#[test]
fn metrics_are_off_unless_asked_for_and_never_leave_the_machine() {
    let scratch = Scratch::new();
    let state = scratch.path("state");
    init(&state);
    let path = state.join("manager.toml");
    let sample = fs::read_to_string(&path).unwrap();
    let mut running = Running::serve(&state);
    assert!(running.says("serving").contains("metrics=None"));
    assert!(running.stop("TERM").success());

    for outside in ["0.0.0.0:9469", "[::]:9469", "192.0.2.1:9469", "localhost:9469"] {
        fs::write(&path, sample.replace("#listen = \"127.0.0.1:9469\"", &format!("listen = \"{outside}\"")))
            .unwrap();
        let output = run(&["check"], &state);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{said}");
        assert!(said.contains("served on this machine only"), "{said}");
    }
    fs::write(&path, sample.replace("#listen = \"127.0.0.1:9469\"", "listen = \"127.0.0.1:0\"")).unwrap();
    let mut running = Running::serve(&state);
    assert!(running.says("serving").contains("metrics=Some(127.0.0.1:"));
    // A second manager on a port that is taken says which.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    assert!(running.stop("TERM").success());
    let there = taken.local_addr().unwrap().to_string();
    fs::write(&path, sample.replace("#listen = \"127.0.0.1:9469\"", &format!("listen = \"{there}\"")))
        .unwrap();
    let output = run(&["run"], &state);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains(&format!("cannot serve metrics on {there}")) && said.contains("hint: see"),
        "{said}"
    );
}
