//! What a daemon has acknowledged is there after it was killed, whenever that was.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "../support/refusal.rs"]
#[allow(dead_code, reason = "each test program uses its part of it")]
mod refusal;
#[allow(dead_code, reason = "each test program uses its part of it")]
#[path = "../support/mod.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use coconet::control::{Direction, Networks, Tunnel, TunnelState, Tunnels};
use nix::sys::socket::sockopt::{ReuseAddr, ReusePort};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, listen, setsockopt, socket,
};
use refusal::refuses;
use support::bytes::Noise;
use support::net::{App, HOME, Net};
use support::process::{Ran, run};
use support::programs::{command, ours};
use support::targets::{echo, serve};
use support::wait::{PATIENCE, is, until};

/// How often the daemon is killed.
const ROUNDS: usize = 10;

/// It is killed so long after it has begun to work, at most: a few dozen commands.
const LIFE_MAX: u64 = 700;

/// Resources of somebody else that the daemon opens.
const OTHERS: usize = 8;

/// What was acknowledged.
#[derive(Debug, Default, Clone)]
struct Acknowledged {
    networks: BTreeSet<String>,
    /// Tunnels by network, resource and direction, with their ids and where they listen.
    tunnels: BTreeMap<(String, String, bool), (String, Option<String>)>,
    /// What the last command would have changed: it was killed in the middle, so both are right.
    in_doubt: Option<(String, String, bool)>,
}

/// Works until the daemon is gone.
struct Worker {
    socket: PathBuf,
    manager: String,
    target: String,
    noise: Noise,
    known: Acknowledged,
}

impl Worker {
    fn ctl(&self, words: &[&str]) -> Ran {
        let mut ctl = command(ours("cococtl"));
        run(ctl.arg("--socket").arg(&self.socket).arg("--json").args(words), b"", PATIENCE)
    }

    fn choose(&mut self, below: usize) -> usize {
        let mut bytes = [0; 8];
        self.noise.fill(&mut bytes);
        usize::try_from(u64::from_le_bytes(bytes) % below as u64).unwrap()
    }

    /// One command; false when the daemon did not answer any more.
    fn works(&mut self) -> bool {
        let number = self.choose(1000);
        let words: Vec<String> = match self.choose(8) {
            0 => {
                let (name, manager) = (format!("net-{number}"), self.manager.clone());
                ["network", "create", &name, "--manager", &manager].map(str::to_owned).to_vec()
            }
            1..4 => {
                let networks: Vec<&String> = self.known.networks.iter().collect();
                let network = networks[number % networks.len()].clone();
                let name = format!("own-{}", number % 20);
                ["tunnel", "expose", &self.target, "--name", &name, "--network", &network]
                    .map(str::to_owned)
                    .to_vec()
            }
            4..7 => {
                let name = format!("other-{}", number % OTHERS);
                ["tunnel", "open", &name, "--network", HOME].map(str::to_owned).to_vec()
            }
            _ => {
                let name = format!("other-{}", number % OTHERS);
                ["tunnel", "close", &name, "--network", HOME].map(str::to_owned).to_vec()
            }
        };
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let key = match words[..] {
            ["tunnel", "expose", _, _, name, _, network] => (network.to_owned(), name.to_owned(), true),
            ["tunnel", _, name, _, network] => (network.to_owned(), name.to_owned(), false),
            _ => (words[2].to_owned(), String::new(), true),
        };
        let ran = self.ctl(&words);
        match (ran.code, &words[..2]) {
            (0, ["network", "create"]) => drop(self.known.networks.insert(key.0)),
            (0, ["tunnel", "close"]) => drop(self.known.tunnels.remove(&key)),
            (0, _) => {
                let tunnel: Tunnel = serde_json::from_str(&ran.stdout).unwrap();
                self.known.tunnels.insert(key, (tunnel.id, tunnel.listen));
            }
            // There already, or not there.
            (1 | 5, _) => {}
            (3 | 6, _) => {
                self.known.in_doubt = Some(key);
                return false;
            }
            _ => panic!("{words:?}: {ran:?}"),
        }
        true
    }
}

fn holds(app: &App, known: &Acknowledged) {
    let Networks { networks, .. } = app.json(&["network", "list"]);
    let there: BTreeSet<String> = networks.iter().map(|network| network.name.to_string()).collect();
    let lost: Vec<_> = known.networks.difference(&there).collect();
    assert!(lost.is_empty(), "networks that were acknowledged are lost: {lost:?}");
    let Tunnels { tunnels, .. } = app.json(&["tunnel", "list"]);
    let ids: BTreeSet<&String> = tunnels.iter().map(|tunnel| &tunnel.id).collect();
    assert_eq!(ids.len(), tunnels.len(), "two tunnels share an id: {tunnels:?}");
    let there: BTreeMap<_, _> = tunnels
        .iter()
        .map(|tunnel| {
            let exposed = tunnel.direction == Direction::Expose;
            let key = (tunnel.network.to_string(), tunnel.resource.to_string(), exposed);
            (key, (tunnel.id.clone(), tunnel.listen.clone()))
        })
        .collect();
    for (key, value) in &known.tunnels {
        if known.in_doubt.as_ref() != Some(key) {
            assert_eq!(there.get(key), Some(value), "{key:?}");
        }
    }
    let more = there.keys().filter(|key| !known.tunnels.contains_key(*key));
    let unasked: Vec<_> = more.filter(|key| known.in_doubt.as_ref() != Some(*key)).collect();
    assert!(unasked.is_empty(), "tunnels that were closed, or never asked for: {unasked:?}");
}

#[test]
#[expect(clippy::print_stderr, reason = "to run the same again")]
fn a_daemon_killed_at_any_instant_has_all_it_acknowledged() {
    let seed = std::env::var("COCO_TEST_SEED").map_or_else(
        |_| {
            let mut seed = [0; 8];
            getrandom::fill(&mut seed).unwrap();
            u64::from_le_bytes(seed)
        },
        |seed| seed.parse().unwrap(),
    );
    eprintln!("COCO_TEST_SEED={seed}");
    let net = Net::new();
    let (desk, mut victim) = (net.app("desk"), net.app("victim"));
    desk.create(HOME, &net.address);
    let target = format!("tcp://{}", serve(echo));
    for number in 0..OTHERS {
        desk.expose(&target, &format!("other-{number}"));
    }
    victim.join(&desk.invite(HOME, &["--self"]));
    let mut known = Acknowledged { networks: BTreeSet::from([HOME.to_owned()]), ..Acknowledged::default() };
    let mut noise = Noise::new(seed);
    for round in 0..ROUNDS {
        let mut bytes = [0; 16];
        noise.fill(&mut bytes);
        let (work, life) = bytes.split_at(8);
        let mut worker = Worker {
            socket: victim.socket(),
            manager: net.address.clone(),
            target: target.clone(),
            noise: Noise::new(u64::from_le_bytes(work.try_into().unwrap())),
            known,
        };
        let working = thread::spawn(move || {
            while worker.works() {}
            worker.known
        });
        // Not to wait for anything: this is the instant.
        let life = u64::from_le_bytes(life.try_into().unwrap()) % LIFE_MAX;
        thread::sleep(Duration::from_millis(life));
        victim.kill();
        known = working.join().unwrap();
        eprintln!("round {round}: {life} ms, {} tunnels", known.tunnels.len());

        victim.start();

        holds(&victim, &known);
        // What was in doubt is one or the other from now on.
        if let Some(key) = known.in_doubt.take() {
            let Networks { networks, .. } = victim.json(&["network", "list"]);
            if networks.iter().any(|network| network.name.as_str() == key.0) {
                known.networks.insert(key.0.clone());
            }
            known.tunnels.remove(&key);
            let Tunnels { tunnels, .. } = victim.json(&["tunnel", "list"]);
            let found = tunnels.into_iter().find(|tunnel| {
                let exposed = tunnel.direction == Direction::Expose;
                (tunnel.network.as_str(), tunnel.resource.as_str(), exposed) == (&key.0, &key.1, key.2)
            });
            known.tunnels.extend(found.map(|tunnel| (key, (tunnel.id, tunnel.listen))));
        }
    }
    // It still works, and its ledgers are whole.
    victim.wait_online();
    let Networks { networks, .. } = victim.json(&["network", "list"]);
    assert!(networks.iter().all(|network| network.ledger.alarm.is_none() && network.node.member));
    victim.ok(&["ping", "desk", "--network", HOME, "--count", "1"]);
}

/// The one key file of a daemon.
fn key_files(state: &Path) -> Vec<PathBuf> {
    fs::read_dir(state.join("keys")).unwrap().map(|file| file.unwrap().path()).collect()
}

#[test]
fn a_join_that_was_killed_half_way_does_not_stand_in_the_way_of_the_next() {
    let net = Net::new();
    let (camera, mut viewer) = net.pair();
    viewer.kill();
    // The key is written before the network is: killed in between, this is what is left.
    let state = net.lab.path("viewer");
    let left_over = fs::read(&key_files(&state)[0]).unwrap();
    let database = rusqlite::Connection::open(state.join("state.db")).unwrap();
    database.execute_batch("DELETE FROM networks; DELETE FROM entries").unwrap();
    drop(database);
    // Or less of it.
    fs::OpenOptions::new().write(true).open(&key_files(&state)[0]).unwrap().set_len(7).unwrap();
    viewer.start();
    assert_eq!(refusal::networks(&viewer), 0);
    camera.ok(&["node", "remove", HOME, "viewer"]);

    viewer.join(&camera.invite(HOME, &["--self"]));

    assert!(viewer.network(HOME).node.member);
    let [key] = &key_files(&state)[..] else { panic!("not one key") };
    assert_ne!(fs::read(key).unwrap(), left_over, "keys of a node that was removed");
    viewer.kill();
    viewer.start();
    viewer.wait_online();
}

#[test]
fn two_who_join_one_network_at_once_are_one_node() {
    let net = Net::new();
    let (camera, mut viewer) = (net.app("camera"), net.app("viewer"));
    camera.create(HOME, &net.address);
    let invite = camera.invite(HOME, &["--self", "--uses", "8"]);
    let codes = at_once(&viewer, 4, &["network", "join", &invite]);
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1, "{codes:?}");
    let id = viewer.network(HOME).node.id;
    viewer.wait_online();
    viewer.kill();
    viewer.start();
    viewer.wait_online();
    assert_eq!(viewer.network(HOME).node.id, id, "another node after the restart");
}

#[test]
fn two_who_open_one_resource_at_once_get_one_tunnel() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    camera.expose(&format!("tcp://{}", serve(echo)), "service");
    let codes = at_once(&viewer, 8, &["tunnel", "open", "service"]);
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1, "{codes:?}");
    assert!(codes.iter().all(|code| matches!(code, 0 | 1)), "{codes:?}");
    let listen = viewer.tunnel("service").listen.unwrap();
    let port = listen.rsplit_once(':').unwrap().1.parse::<u16>().unwrap();
    until("the others listen no more", PATIENCE, || {
        let ports = listening(viewer.daemon().pid());
        is(ports == [port], format!("{ports:?}, not {port}"))
    });
    refuses(&viewer, 1, &["tunnel", "open", "service"]);
    viewer.ok(&["tunnel", "close", "service"]);
    until("nobody listens", PATIENCE, || {
        let ports = listening(viewer.daemon().pid());
        is(ports.is_empty(), format!("{ports:?}"))
    });
}

#[test]
fn a_tunnel_whose_port_was_taken_meanwhile_waits_for_it() {
    let net = Net::new();
    let (camera, mut viewer) = net.pair();
    camera.expose(&format!("tcp://{}", serve(echo)), "service");
    let address = viewer.open_address("service");
    let before = viewer.tunnel("service");
    viewer.kill();
    let squatter = TcpListener::bind(address).unwrap();
    viewer.start();

    until("it says so", PATIENCE, || {
        let tunnel = viewer.tunnel("service");
        let reason = tunnel.reason.clone().unwrap_or_default();
        is(tunnel.state == TunnelState::Failed && reason.contains("in use"), format!("{tunnel:?}"))
    });
    refuses(&viewer, 1, &["tunnel", "open", "service"]);
    drop(squatter);
    until("it is back", PATIENCE, || {
        let tunnel = viewer.tunnel("service");
        is(tunnel.state == TunnelState::Reopened, format!("{tunnel:?}"))
    });
    let after = viewer.tunnel("service");
    assert_eq!((&after.id, &after.listen), (&before.id, &before.listen));
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"hello").unwrap();
    stream.read_exact(&mut [0; 5]).unwrap();
    drop(stream);
    // One that waits can be closed.
    viewer.kill();
    let _squatter = TcpListener::bind(address).unwrap();
    viewer.start();
    viewer.ok(&["tunnel", "close", "service"]);
    assert_eq!(refusal::tunnels(&viewer), 0);
}

#[test]
fn a_daemon_that_has_opened_nothing_listens_on_no_port_of_tcp() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    camera.expose(&format!("tcp://{}", serve(echo)), "service");
    for daemon in [camera.daemon(), viewer.daemon()] {
        assert_eq!(listening(daemon.pid()), [0_u16; 0], "web pages can reach what listens there");
    }
}

#[test]
fn nobody_shares_the_port_of_a_tunnel() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let target = serve(echo);
    camera.expose(&format!("tcp+udp://{target}"), "service");
    let address = viewer.open_address("service");
    for kind in [SockType::Stream, SockType::Datagram] {
        for at in [address, SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()))] {
            let socket = socket(AddressFamily::Inet, kind, SockFlag::empty(), None).unwrap();
            setsockopt(&socket, ReuseAddr, &true).unwrap();
            setsockopt(&socket, ReusePort, &true).unwrap();
            let SocketAddr::V4(v4) = at else { panic!("{at}") };
            let bound = bind(socket.as_raw_fd(), &SockaddrIn::from(v4));
            let listening = bound.and_then(|()| match kind {
                SockType::Stream => listen(&socket, Backlog::new(1).unwrap()),
                _ => Ok(()),
            });
            assert_eq!(listening, Err(nix::Error::EADDRINUSE), "{kind:?} at {at}");
        }
    }
}

/// Run `cococtl` so many times at the same time; the exit codes.
fn at_once(app: &App, times: usize, words: &[&str]) -> Vec<i32> {
    let socket = app.socket();
    thread::scope(|scope| {
        let one = || {
            let mut ctl = command(ours("cococtl"));
            run(ctl.arg("--socket").arg(&socket).args(words), b"", PATIENCE * 2).code
        };
        let running: Vec<_> = (0..times).map(|_| scope.spawn(one)).collect();
        running.into_iter().map(|running| running.join().unwrap()).collect()
    })
}

/// The TCP ports that a process listens on.
fn listening(pid: u32) -> Vec<u16> {
    let sockets: BTreeSet<String> = fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .filter_map(|fd| fs::read_link(fd.ok()?.path()).ok()?.to_str().map(str::to_owned))
        .filter_map(|link| Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut ports: Vec<u16> = rows
        .filter(|row| row[3] == "0A" && sockets.contains(row[9]))
        .map(|row| u16::from_str_radix(row[1].rsplit_once(':').unwrap().1, 16).unwrap())
        .collect();
    ports.sort_unstable();
    ports
}
