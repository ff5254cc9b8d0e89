//! How long a long ledger takes to load, and how much memory it keeps: `cargo bench -p coconet`.
//!
//! Builds a ledger of [`ENTRIES`] entries, writes it to a file and lets another process, which has nothing
//! else in its memory, read and verify it as a daemon does after it was started.

#![expect(clippy::print_stdout, reason = "the figures are the result")]
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed run")]

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use coconet::grant::Capabilities;
use coconet::id::{Hash, NetworkId};
use coconet::invite::Invitation;
use coconet::key::{InviteSecret, NodeKeys, SEED_LEN};
use coconet::ledger::{
    BLIND_LEN, Blind, Checkpoint, Draft, Entry, Genesis, Grant, Invite, Ledger, NetworkKind, Op, Publish,
    Purpose, RevokeGrant, archive, stamp, view,
};
use coconet::manager_addr::ManagerAddr;
use coconet::name::Name;
use coconet::resource::{Attributes, Kind, PATH};
use coconet::role::Role;

/// Entries of the ledger.
const ENTRIES: usize = 5000;

/// Devices, each of which offers six resources.
const DEVICES: usize = 100;

/// Guests, who are granted the rest.
const GUESTS: usize = 80;

/// Admins; with alice's laptop it is two hundred nodes.
const ADMINS: usize = 19;

/// Times the file is read.
const RUNS: usize = 5;

const BLIND: Blind = Blind([0xb1; BLIND_LEN]);

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let [_, word, file] = args.as_slice() {
        match word.as_str() {
            "load" => return load(Path::new(file)),
            "load-vouched" => return load_vouched(Path::new(file)),
            _ => {}
        }
    }
    let (entries, ledger) = built();
    let file = std::env::temp_dir().join(format!("coco-bench-{}.ledger", std::process::id()));
    let bytes: Vec<Vec<u8>> = entries.iter().map(Entry::to_bytes).collect();
    let archive = archive::write(bytes.iter().map(Vec::as_slice));
    std::fs::write(&file, &archive).unwrap();
    let nodes = ledger.state().nodes().len();
    println!("ledger: {} entries, {nodes} nodes, {} bytes", entries.len(), archive.len());

    let guest = name("guest-7");
    let start = Instant::now();
    let seen = view::views(&entries, &guest).into_iter().filter(|seen| *seen).count();
    println!("a guest's view of it: {} ms, {seen} entries seen", start.elapsed().as_millis());
    let start = Instant::now();
    let digest = ledger.state().digest();
    println!("its state's digest: {} us, {digest}", start.elapsed().as_micros());
    drop((entries, ledger, bytes, archive));

    for word in [["load"; RUNS], ["load-vouched"; RUNS]].as_flattened() {
        let exe = std::env::current_exe().unwrap();
        assert!(Command::new(exe).arg(word).arg(&file).status().unwrap().success());
    }
    std::fs::remove_file(&file).unwrap();
}

/// In a process of its own: read, verify, say what it took.
fn load(file: &Path) {
    let before = memory("VmRSS");
    let start = Instant::now();
    let entries = archive::read(&std::fs::read(file).unwrap()).unwrap();
    let read = start.elapsed();
    let ledger = archive::verify(&entries, |_, _| {}).unwrap();
    let (all, cpu) = (start.elapsed(), cpu());
    let count = entries.len();
    drop(entries);
    let (peak, kept) = (memory("VmHWM") - before, memory("VmRSS") - before);
    assert_eq!(ledger.seq() + 1, count as u64);
    let (all, read) = (all.as_millis(), read.as_millis());
    println!(
        "load: {all} ms ({cpu} ms of processor time, reading {read} ms); \
         memory: {peak} KiB more at most, {kept} KiB kept"
    );
}

/// Like [`load`], on the word of a checkpoint.
fn load_vouched(file: &Path) {
    let start = Instant::now();
    let entries = archive::read(&std::fs::read(file).unwrap()).unwrap();
    let ledger = coconet::ledger::load(&entries).unwrap();
    assert_eq!(ledger.seq() + 1, entries.len() as u64);
    println!("load on the word of a checkpoint: {} ms", start.elapsed().as_millis());
}

/// Of this process until now, in milliseconds; the kernel counts in hundredths of a second.
fn cpu() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // After the name in parentheses; user and system time are the 14th and 15th of the line.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap() * 10).sum()
}

/// Of this process, in KiB.
fn memory(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|known| known.strip_prefix(line)?.strip_prefix(':')).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn keys(number: usize) -> NodeKeys {
    let mut seed = [7; SEED_LEN];
    seed[..8].copy_from_slice(&(number as u64).to_be_bytes());
    seed[32..40].copy_from_slice(&(number as u64).to_be_bytes());
    NodeKeys::from_seed(&seed)
}

struct Built {
    manager: NodeKeys,
    entries: Vec<Entry>,
    ledger: Ledger,
}

impl Built {
    fn founded() -> Self {
        let (owner, manager) = (keys(0), keys(1_000_000));
        let address = ManagerAddr {
            stamp: manager.stamp_key(),
            talk: manager.static_key(),
            host: "192.0.2.1".parse().unwrap(),
            port: 4433,
            tls: None,
        };
        let genesis = Genesis {
            name: name("home"),
            kind: NetworkKind::User,
            owner: owner.record(),
            user: name("alice"),
            node_name: name("laptop"),
            managers: vec![address],
            salt: [7; 16],
        };
        let draft = Draft::new(&owner, NetworkId(Hash::ZERO), Hash::ZERO, &Op::Genesis(genesis), BLIND);
        let entry = stamp(&manager, draft, 0, 0);
        let ledger = Ledger::begin(&entry).unwrap();
        Self { manager, entries: vec![entry], ledger }
    }

    fn says(&mut self, author: usize, op: &Op) {
        self.appends(self.ledger.draft(&keys(author), op, BLIND));
    }

    fn appends(&mut self, draft: Draft) {
        let seq = self.ledger.seq() + 1;
        let entry = stamp(&self.manager, draft, seq, seq * 1000);
        self.ledger.append(&entry).unwrap();
        self.entries.push(entry);
    }

    fn joins(&mut self, number: usize, purpose: Purpose) {
        let seed: [u8; 32] = core::array::from_fn(|at| if at < 8 { (number >> (8 * at)) as u8 } else { 3 });
        let (secret, expires) = (InviteSecret::from_seed(&seed), u64::MAX);
        let invite = Invite { key: secret.key(), purpose, uses: 1, expires, node_name: None, only: None };
        self.says(0, &Op::Invite(invite));
        let network = self.ledger.state().network();
        let invitation = Invitation { network, managers: Vec::new(), secret, expires };
        self.appends(invitation.join(
            &keys(number),
            self.ledger.head(),
            &name(&format!("node-{number}")),
            BLIND,
        ));
    }

    fn grants(&mut self, guest: usize, resource: usize) {
        let grant = Grant {
            user: name(&format!("guest-{guest}")),
            resource: name(&format!("camera-{resource}")),
            can: Capabilities::new(vec!["play".to_owned(), "talk".to_owned()]).unwrap(),
            when: "Mon-Fri 08:00-18:00 Europe/Berlin".parse().ok().filter(|_| guest.is_multiple_of(2)),
            until: Some(u64::MAX).filter(|_| guest.is_multiple_of(3)),
        };
        self.says(0, &Op::Grant(grant));
    }
}

/// Everybody comes, devices offer, guests are granted, of every ten grants one is revoked, and in the end
/// the owner vouches for it all.
fn built() -> (Vec<Entry>, Ledger) {
    let mut built = Built::founded();
    let mut next = 0;
    let mut number = || {
        next += 1;
        next
    };
    for _ in 0..DEVICES {
        built.joins(number(), Purpose::Device { publish: true });
    }
    for (count, role, word) in [(ADMINS, Role::Admin, "admin"), (GUESTS, Role::Guest, "guest")] {
        for which in 0..count {
            let user = name(&format!("{word}-{which}"));
            built.joins(number(), Purpose::User { name: user, role });
        }
    }
    let resources = DEVICES * 6;
    for resource in 0..resources {
        let attributes = [(name(PATH), format!("/live/{resource}")), (name("codec"), "h264".to_owned())];
        let attributes = Attributes::new(attributes.into()).unwrap();
        let publish = Publish { name: name(&format!("camera-{resource}")), kind: Kind::Rtsp, attributes };
        built.says(1 + resource % DEVICES, &Op::Publish(publish));
    }
    for round in 0.. {
        if built.entries.len() == ENTRIES - 1 {
            let state = built.ledger.state().digest();
            built.says(0, &Op::Checkpoint(Checkpoint { state }));
            break;
        }
        let (guest, resource) = (round % GUESTS, round / GUESTS * 7 % resources);
        built.grants(guest, resource);
        if round % 10 == 9 && built.entries.len() < ENTRIES - 1 {
            let (user, resource) = (name(&format!("guest-{guest}")), name(&format!("camera-{resource}")));
            built.says(0, &Op::RevokeGrant(RevokeGrant { user, resource }));
        }
    }
    (built.entries, built.ledger)
}
