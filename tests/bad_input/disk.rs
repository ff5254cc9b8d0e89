//! A disk that is full: whoever writes hears of it, nothing that was acknowledged is lost, and when there
//! is room again everything goes on without a restart.
//!
//! The disk is a small file system in memory that only a mount namespace of our own can see, which takes
//! root.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use coconet::control::TunnelState;

use crate::refusal::{cocod, networks, refuses, root};
use crate::support::net::{HOME, Lab, Net};
use crate::support::process::{Process, Ran, run};
use crate::support::programs::{command, ours, theirs};
use crate::support::targets::{echo, serve};
use crate::support::wait::{PATIENCE, is, until};

/// Room enough to work for a while.
const SIZE: &str = "1m";

/// A small disk.
struct Disk {
    holder: Process,
    /// Where it is, for those inside.
    mount: PathBuf,
}

impl Disk {
    /// An empty one.
    fn mount(lab: &Lab, name: &str) -> Self {
        let mount = lab.path(name);
        fs::create_dir(&mount).unwrap();
        let mut holder = command(theirs("unshare"));
        holder.arg("--mount").args(["/bin/sh", "-c"]);
        holder.arg("mount -t tmpfs -o size=$2,mode=0700 small \"$1\" && echo mounted && exec sleep infinity");
        let mut holder = lab.start(&format!("{name}-disk"), holder.arg("sh").arg(&mount).arg(SIZE));
        holder.says("mounted");
        Self { holder, mount }
    }

    /// The path of a file on it, from outside.
    fn outside(&self, name: &str) -> PathBuf {
        let root = format!("/proc/{}/root", self.holder.pid());
        Path::new(&root).join(self.mount.strip_prefix("/").unwrap()).join(name)
    }

    /// `program`, run where the disk can be seen.
    fn inside(&self, program: &std::process::Command) -> std::process::Command {
        let mut inside = command(theirs("nsenter"));
        inside.arg(format!("--mount=/proc/{}/ns/mnt", self.holder.pid()));
        inside.arg(program.get_program()).args(program.get_args());
        inside
    }

    /// Leave not a byte.
    fn fill(&self) {
        let mut filler = fs::File::create(self.outside("filler")).unwrap();
        let block = vec![0; 4096];
        while filler.write(&block).is_ok_and(|written| written > 0) {}
    }

    fn make_room(&self) {
        fs::remove_file(self.outside("filler")).unwrap();
    }
}

#[test]
fn a_manager_with_a_full_disk_says_so_and_loses_nothing() {
    if !root() {
        return;
    }
    let mut net = Net::new();
    net.kill_manager();
    let disk = Disk::mount(&net.lab, "small");
    for file in fs::read_dir(net.lab.path("manager")).unwrap().map(|file| file.unwrap().path()) {
        // The lock and the database's helpers are made again.
        fs::copy(&file, disk.outside(file.file_name().unwrap().to_str().unwrap())).unwrap();
    }
    let start = || {
        let mut manager = command(ours("coco-manager"));
        net.lab.start("manager", &disk.inside(manager.arg("run").arg("--state").arg(&disk.mount)))
    };
    let manager = start();
    let camera = net.app("camera");
    camera.create(HOME, &net.address);
    let invite = camera.invite(HOME, &["--self"]);
    disk.fill();

    // What the database has set aside may last a little longer.
    let (mut acknowledged, mut refusals) = (1, 0);
    let mut told = String::new();
    while refusals < 3 && acknowledged < 500 {
        let ran = camera.ctl(&["network", "invite", HOME, "--self"]);
        if ran.code == 0 {
            acknowledged += 1;
        } else {
            told = told_well(&ran);
            refusals += 1;
        }
    }
    assert!(told.contains("disk is full") && told.contains("nothing was changed"), "{told}");
    assert_eq!(camera.network(HOME).ledger.seq, acknowledged);
    let tablet = net.app("tablet");
    refuses(&tablet, 1, &["network", "join", &invite]);
    assert_eq!(networks(&tablet), 0);

    // Without a restart.
    disk.make_room();
    let last = camera.invite(HOME, &["--self"]);
    tablet.join(&invite);
    // And after one, by force, with a full disk again.
    disk.fill();
    drop(manager);
    disk.make_room();
    let _manager = start();
    let phone = net.app("phone");
    phone.join(&last);
    until("everybody is there", PATIENCE, || {
        // A question finds out at once that the manager has restarted; waiting does in half a minute.
        camera.ok(&["network", "members", HOME]);
        let (network, other) = (camera.network(HOME), phone.network(HOME));
        assert_eq!((network.ledger.alarm, other.ledger.alarm), (None, None));
        is(network.nodes == 3 && other.nodes == 3, network.nodes)
    });
    assert_eq!(camera.network(HOME).ledger.seq, acknowledged + 1 + 2, "an entry was lost or written twice");
}

fn told_well(ran: &Ran) -> String {
    assert!(ran.code == 1 && ran.stdout.is_empty(), "{ran:?}");
    assert!(ran.stderr.starts_with("error: ") && ran.stderr.contains("\nhint: "), "{ran:?}");
    ran.stderr.clone()
}

#[test]
fn a_daemon_with_a_full_disk_says_so_and_loses_nothing() {
    if !root() {
        return;
    }
    let net = Net::new();
    let (camera, _viewer) = net.pair();
    camera.expose(&format!("tcp://{}", serve(echo)), "theirs");
    let disk = Disk::mount(&net.lab, "small");
    let socket = net.lab.path("small.sock");
    let ctl = |words: &[&str]| -> Ran {
        let mut ctl = command(ours("cococtl"));
        run(ctl.arg("--socket").arg(&socket).args(words), b"", PATIENCE * 2)
    };
    let start = || {
        let mut cocod = cocod(&disk.mount);
        let daemon = net.lab.start("small", &disk.inside(cocod.arg("--socket").arg(&socket)));
        until("it answers", PATIENCE, || {
            let ran = ctl(&["status"]);
            is(ran.code == 0, ran.stderr)
        });
        daemon
    };
    let daemon = start();
    let ok = |words: &[&str]| {
        let ran = ctl(words);
        assert_eq!(ran.code, 0, "{words:?}: {}", ran.stderr);
        ran.stdout
    };
    ok(&["network", "join", &camera.invite(HOME, &["--self"])]);
    let target = format!("tcp://{}", serve(echo));
    ok(&["tunnel", "expose", &target, "--name", "first"]);

    disk.fill();
    let told = told_well(&ctl(&["tunnel", "expose", &target, "--name", "second"]));
    assert!(told.contains("state database") && told.contains("make room"), "{told}");
    until("the status says why nothing is taken from the manager", PATIENCE, || {
        let status = ctl(&["status", "--json"]).stdout;
        is(status.contains("disk is full"), status)
    });
    camera.create("work", &net.address);
    let invite = camera.invite("work", &["--self", "--uses", "9"]);
    told_well(&ctl(&["network", "join", &invite]));
    // Reading goes on.
    assert!(ok(&["tunnel", "list"]).contains("first"));
    assert!(!ok(&["network", "list"]).contains("work"));

    disk.make_room();
    ok(&["tunnel", "expose", &target, "--name", "second"]);
    ok(&["tunnel", "open", "theirs"]);
    ok(&["network", "join", &invite]);
    drop(daemon);
    let _daemon = start();
    let list = ok(&["tunnel", "list"]);
    assert!(["first", "second", "theirs"].iter().all(|name| list.contains(name)), "{list}");
    assert!(ok(&["network", "list"]).contains("work"));
    ok(&["wait", "--online"]);
    until("it works", PATIENCE, || {
        let state = camera.tunnel("theirs").state;
        is(state == TunnelState::Open, state.as_str())
    });
}
