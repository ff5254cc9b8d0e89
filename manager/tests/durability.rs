//! What was acknowledged is there again: after a kill, on a full disk, after a clean restart.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod house;
#[path = "house/program.rs"]
mod program;

use std::fs::{self, File};
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use coco_manager::state_dir::StateDir;
use coco_manager::storage::memory::Memory;
use coco_manager::storage::sqlite::Sqlite;
use coconet::id::StaticKey;
use coconet::key::NodeKeys;
use coconet::ledger::{Entry, Ledger};
use coconet::manager_addr::ManagerAddr;
use coconet::wire::manager::{Request, Response};
use house::{BLIND, House, Node, keys, manager_addr, publish};
use program::{PROGRAM, Running, Scratch, init};
use tokio::task::JoinSet;

/// How often the manager is killed.
const KILLS: u32 = 50;

/// The longest it lives after its clients are connected.
const LIFE_MAX_US: u64 = 40_000;

/// Clients that append at the same time, each to a network of its own: their writes share transactions.
const WRITERS: u8 = 3;

/// Set it to see one run again.
const SEED: &str = "COCO_TEST_SEED";

/// What one writer knows to be stamped.
type Acknowledged = Arc<Mutex<Known>>;

#[derive(Default)]
struct Known {
    entries: Vec<Vec<u8>>,
    ledger: Option<Ledger>,
}

impl Known {
    fn take(&mut self, entry: &Entry) {
        match &mut self.ledger {
            Some(ledger) => ledger.append(entry).unwrap(),
            None => self.ledger = Some(Ledger::begin(entry).unwrap()),
        }
        self.entries.push(entry.to_bytes());
    }
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "the seed is what makes a failure repeatable")]
async fn killed_fifty_times_while_entries_are_appended_it_keeps_every_acknowledged_one() {
    let mut random = std::env::var(SEED).map_or_else(|_| seed(), |text| text.parse().unwrap());
    eprintln!("{SEED}={random}");
    let scratch = Scratch::new();
    let state = scratch.path("state");
    let manager: ManagerAddr = init(&state).trim().parse().unwrap();
    let kept: Vec<Acknowledged> = (0..WRITERS).map(|_| Acknowledged::default()).collect();

    let mut total = 0;
    for _ in 0..KILLS {
        let mut running = Running::serve(&state);
        let address = running.address();
        let mut writers = JoinSet::new();
        for (seed, kept) in (1..).zip(&kept) {
            let node = connect(seed, address, manager.talk).await;
            found_or_verify(&node, &manager, kept).await;
            writers.spawn(append_for_ever(node, Arc::clone(kept)));
        }
        tokio::time::sleep(Duration::from_micros(next(&mut random) % LIFE_MAX_US)).await;
        running.kill();
        writers.shutdown().await;
        total = kept.iter().map(|kept| kept.lock().unwrap().entries.len()).sum();
    }
    // A last look, without a kill: nothing acknowledged just before the last one is missing.
    let mut running = Running::serve(&state);
    let address = running.address();
    for (seed, kept) in (1..).zip(&kept) {
        let node = connect(seed, address, manager.talk).await;
        found_or_verify(&node, &manager, kept).await;
    }
    assert!(running.stop("TERM").success());
    assert!(total > KILLS as usize, "only {total} entries: the kills came too early to mean anything");
}

/// All that was acknowledged is there, byte for byte, and at most one more, which was being stored when
/// the manager was killed.
async fn found_or_verify(node: &Node, manager: &ManagerAddr, kept: &Acknowledged) {
    let founded = kept.lock().unwrap().ledger.as_ref().map(|ledger| ledger.state().network());
    let Some(network) = founded else {
        // The same genesis each time: it may have been stored and its answer lost.
        let genesis = Request::Append(node.genesis("home", vec![manager.clone()]));
        let Response::Stamped(entry) = node.asks(&genesis).await else { panic!("not founded") };
        return kept.lock().unwrap().take(&entry);
    };
    let mut answers = node.asks_all(&Request::Fetch { network, from: 0 }).await.into_iter();
    let mut kept = kept.lock().unwrap();
    for (seq, bytes) in kept.entries.iter().enumerate() {
        let there = answers.next().unwrap();
        assert!(there == Response::Entry(bytes.clone()), "acknowledged entry {seq} is gone or another one");
    }
    let mut next = answers.next().unwrap();
    if let Response::Entry(bytes) = &next {
        kept.take(&Entry::from_bytes(bytes).unwrap());
        next = answers.next().unwrap();
    }
    let ledger = kept.ledger.as_ref().unwrap();
    let Response::Head { seq, head, .. } = next else { panic!("no head at the end: {next:?}") };
    assert_eq!((seq, head), (ledger.seq(), ledger.head()));
}

async fn append_for_ever(node: Node, kept: Acknowledged) {
    loop {
        let draft = kept.lock().unwrap().ledger.as_ref().unwrap().draft(&node.keys, &publish("r"), BLIND);
        let Response::Stamped(entry) = node.asks(&Request::Append(draft)).await else {
            panic!("the only writer was refused")
        };
        kept.lock().unwrap().take(&entry);
    }
}

/// While it relays, at two moments of its life: what it had carried a second before the end is not lost.
#[tokio::test]
async fn killed_while_it_relays_it_has_lost_less_than_a_second_of_its_counts() {
    let scratch = Scratch::new();
    let state = scratch.path("state");
    let manager: ManagerAddr = init(&state).trim().parse().unwrap();
    let (mut ledger, mut before) = (None, 0);
    for life in [Duration::from_millis(1500), Duration::from_millis(2300)] {
        let mut running = Running::serve(&state);
        let address = running.address();
        let mut laptop = connect(1, address, manager.talk).await;
        let mut cam = connect(2, address, manager.talk).await;
        if ledger.is_none() {
            let draft = laptop.genesis("home", vec![manager.clone()]);
            let Response::Stamped(entry) = laptop.asks(&Request::Append(draft)).await else {
                panic!("not founded")
            };
            laptop.ledger = Some(Ledger::begin(&entry).unwrap());
            let invite = laptop.invites(9, 1).await;
            cam.joins(&invite, "cam").await;
            ledger = cam.ledger.clone();
        }
        (laptop.ledger, cam.ledger) = (ledger.clone(), ledger.clone());
        assert!(laptop.usage().await.used >= before, "what was there at the last start is gone");
        let (_stream, _) = cam.registers(&[]).await;
        let channel = laptop.dials(cam.id()).await.unwrap();

        let (start, mut seen) = (Instant::now(), Vec::new());
        while start.elapsed() < life {
            laptop.relays(address, channel, 1000, 20);
            seen.push((laptop.usage().await.used, Instant::now()));
        }
        let (last, end) = *seen.last().unwrap();
        running.kill();
        let old = seen.iter().rev().find(|(_, at)| end - *at >= Duration::from_secs(1)).unwrap();
        let mut running = Running::serve(&state);
        let mut laptop = connect(1, running.address(), manager.talk).await;
        laptop.ledger = ledger.clone();
        let usage = laptop.usage().await;
        assert!((old.0..=last).contains(&usage.used), "{} is not from {} to {last}", usage.used, old.0);
        assert_eq!(usage.nodes.iter().map(|node| node.sent).sum::<u64>(), usage.used);
        assert!(old.0 > before, "nothing was relayed in time");
        before = usage.used;
        assert!(running.stop("TERM").success());
    }
}

#[tokio::test]
async fn a_full_storage_refuses_changes_nothing_and_goes_on_when_there_is_room() {
    let storage = Memory::default();
    let full = storage.full();
    let house = House::open(storage);
    let mut laptop = house.node(1).await;
    laptop.founds("home").await;
    full.store(true, Ordering::Relaxed);
    assert_full(&laptop.submits(&publish("a")).await);
    assert_full(&house.node(2).await.founds_draft().await);
    laptop.fetches(laptop.network()).await;
    assert_eq!(laptop.ledger().seq(), 0);
    full.store(false, Ordering::Relaxed);
    laptop.publishes("a").await;
    house.node(2).await.founds("home").await;
    house.close().await;
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "a test that could not be made says so")]
async fn on_a_disk_that_is_really_full_the_author_is_told_and_nothing_is_half_written() {
    let scratch = Scratch::new();
    let state = scratch.path("state");
    fs::create_dir(&state).unwrap();
    let Some(running) = start_on_a_small_disk(&state) else {
        eprintln!("not run: this machine lets nobody mount a small disk");
        return;
    };
    let address = running.address();
    // Its mounts are its own; we see them through its eyes.
    let inside = Path::new("/proc").join(running.id().to_string()).join("root");
    let inside = inside.join(state.strip_prefix("/").unwrap());
    let manager = NodeKeys::from_file(&fs::read(inside.join("manager.key")).unwrap()).unwrap();

    let mut node = connect(1, address, manager.static_key()).await;
    let draft = node.genesis("home", vec![manager_addr(&manager)]);
    let Response::Stamped(entry) = node.asks(&Request::Append(draft)).await else { panic!("not founded") };
    node.ledger = Some(Ledger::begin(&entry).unwrap());

    let ballast = inside.join("ballast");
    fill(&ballast);
    let mut written = 0;
    let refusal = loop {
        match node.submits(&publish("r")).await {
            Response::Stamped(entry) => node.ledger.as_mut().unwrap().append(&entry).unwrap(),
            other => break other,
        }
        written += 1;
        assert!(written < 20, "the disk was not full");
    };
    assert_full(&refusal);
    assert_full(&node.submits(&publish("r")).await);
    let before = node.ledger().clone();
    node.fetches(node.network()).await;
    assert_eq!(*node.ledger(), before, "reading goes on, and nothing was half written");

    fs::remove_file(&ballast).unwrap();
    node.publishes("r").await;
    node.fetches(node.network()).await;
    assert_eq!(node.ledger().seq(), before.seq() + 1);
}

#[tokio::test]
async fn a_restarted_manager_goes_on_where_it_was() {
    let scratch = Scratch::new();
    let dir = StateDir::create(&scratch.path("state"), &keys(house::MANAGER), "").unwrap();
    let house = House::open(dir.storage().unwrap());
    let (mut laptop, mut cam) = (house.node(1).await, house.node(2).await);
    laptop.founds("home").await;
    let invite = laptop.invites(9, 1).await;
    cam.joins(&invite, "cam").await;
    let (_stream, _) = cam.registers(&[]).await;
    let there = cam.endpoint.addresses();
    let entries = laptop.fetches(invite.network).await;
    house.close().await;

    let house = House::open(dir.storage().unwrap());
    let mut laptop = house.node(1).await;
    assert_eq!(laptop.fetches(invite.network).await, entries);
    let (online, candidates, last_seen) = laptop.locates(cam.id()).await;
    assert_eq!((online, candidates), (false, there));
    assert!(last_seen > 0);
    laptop.publishes("a").await;
    house.close().await;
}

#[tokio::test]
async fn a_damaged_ledger_is_not_served() {
    let scratch = Scratch::new();
    let dir = StateDir::create(&scratch.path("state"), &keys(house::MANAGER), "").unwrap();
    let house = House::open(dir.storage().unwrap());
    let mut laptop = house.node(1).await;
    laptop.founds("home").await;
    laptop.publishes("a").await;
    house.close().await;

    let database = rusqlite::Connection::open(scratch.path("state/manager.db")).unwrap();
    let sql = "UPDATE entries SET bytes = (SELECT bytes FROM entries WHERE seq = 0) WHERE seq = 1";
    database.execute_batch(sql).unwrap();
    drop(database);
    let config = coco_manager::config::parse("listen = [\"127.0.0.1:0\"]\npublic = \"h:1\"").unwrap();
    let storage: Sqlite = dir.storage().unwrap();
    let refused = coco_manager::server::Server::bind(&config, keys(house::MANAGER), storage).unwrap_err();
    let cause = std::error::Error::source(&refused).unwrap().to_string();
    assert!(cause.contains("entry 1 of net:"), "{cause}");
}

impl Node {
    async fn founds_draft(&self) -> Response {
        let managers = vec![manager_addr(&keys(house::MANAGER))];
        self.asks(&Request::Append(self.genesis("home", managers))).await
    }
}

fn assert_full(answer: &Response) {
    let Response::Failed { code, message } = answer else { panic!("not refused: {answer:?}") };
    assert_eq!((code.as_str(), message.contains("disk is full")), ("storage", true), "{message}");
}

async fn connect(seed: u8, address: SocketAddr, key: StaticKey) -> Node {
    Node::connect(keys(seed), address, key).await.unwrap()
}

/// A manager whose state is on a disk of its own of one megabyte; `None` where that cannot be had.
fn start_on_a_small_disk(state: &Path) -> Option<Running> {
    let script = "mount -t tmpfs -o size=1m,mode=0700 tmpfs \"$1\" && \
                  \"$0\" init --state \"$1\" --listen 127.0.0.1:0 --public 127.0.0.1:4433 && \
                  exec \"$0\" run --state \"$1\"";
    let root = nix::unistd::geteuid().is_root();
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(if root { &["--mount"][..] } else { &["--user", "--map-root-user", "--mount"] });
        command.args(["sh", "-c", script, PROGRAM]).arg(state).stdout(Stdio::null());
        command
    };
    let possible = unshare("mount -t tmpfs tmpfs \"$1\"").stderr(Stdio::null()).status();
    possible.is_ok_and(|status| status.success()).then(|| Running::start(&mut unshare(script)))
}

/// Write until there is no room for another byte.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    for size in [4096, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}

fn seed() -> u64 {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).unwrap();
    // Zero is the one seed that the generator cannot leave.
    u64::from_be_bytes(bytes) | 1
}

/// Marsaglia's xorshift64.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}
