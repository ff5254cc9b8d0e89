//! A manager, daemons, and the networks they make.

use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use coco_lab::Host;
use coconet::control::{Direction, Network, Status, Tunnel, Tunnels};
use nix::sys::signal::Signal;
use serde::de::DeserializeOwned;

use super::process::{Process, Ran, run, run_well};
use super::programs::{clean, command, ours, theirs};
use super::wait::{PATIENCE, is, until};

/// The network that [`Net::pair`] makes.
pub(crate) const HOME: &str = "home";

/// Lines of each log that a failed test prints.
const LOG_LINES: usize = 60;

/// Longest that one `cococtl` may take: it has deadlines of its own below that.
const CTL_MAX: Duration = Duration::from_secs(90);

/// A test that wants the machine for itself takes it for writing.
static MACHINE: RwLock<()> = RwLock::new(());

/// A temporary directory, removed with the last process in it.
pub(crate) struct Lab {
    dir: PathBuf,
    _machine: Machine,
}

#[expect(dead_code, reason = "held, not read")]
enum Machine {
    Shared(RwLockReadGuard<'static, ()>),
    Alone(RwLockWriteGuard<'static, ()>),
}

impl Lab {
    /// For tests that bring their own network.
    pub(crate) fn apart() -> Rc<Self> {
        Self::new(Machine::Shared(MACHINE.read().unwrap_or_else(PoisonError::into_inner)))
    }

    fn new(machine: Machine) -> Rc<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("coco-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(name);
        fs::create_dir(&dir).unwrap();
        Rc::new(Self { dir, _machine: machine })
    }

    /// A path in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Start a process whose output is kept in here.
    pub(crate) fn start(&self, name: &str, command: &Command) -> Process {
        Process::start(&self.dir, name, command)
    }

    /// The log of a process.
    pub(crate) fn log(&self, name: &str) -> String {
        fs::read_to_string(self.path(&format!("{name}.log"))).unwrap_or_default()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            print_logs(&self.dir);
        }
        // What cannot be removed is in a temporary directory anyway.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

#[expect(clippy::print_stderr, reason = "what a failed test has to say")]
fn print_logs(dir: &Path) {
    let mut logs: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    logs.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    logs.sort();
    for log in logs {
        let text = fs::read(&log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let tail = &lines[lines.len().saturating_sub(LOG_LINES)..];
        eprintln!("--- the end of {}:\n{}", log.file_name().unwrap().display(), tail.join("\n"));
    }
}

/// A directory and a running manager. One for each test: a second one may wait for the first to go.
pub(crate) struct Net {
    pub(crate) lab: Rc<Lab>,
    /// The manager's address, as people get it.
    pub(crate) address: String,
    port: u16,
    manager: Option<Process>,
}

impl Net {
    /// A manager and nothing else.
    pub(crate) fn new() -> Self {
        Self::on(Machine::Shared(MACHINE.read().unwrap_or_else(PoisonError::into_inner)))
    }

    /// As [`Net::new`], while no other test runs.
    pub(crate) fn alone() -> Self {
        Self::on(Machine::Alone(MACHINE.write().unwrap_or_else(PoisonError::into_inner)))
    }

    fn on(machine: Machine) -> Self {
        let lab = Lab::new(machine);
        let port = free_port();
        let listen = format!("127.0.0.1:{port}");
        let mut init = command(ours("coco-manager"));
        init.arg("init").arg("--state").arg(lab.path("manager")).args(["--listen", &listen]);
        let address = run_well(init.args(["--public", &listen])).trim().to_owned();
        let mut net = Self { lab, address, port, manager: None };
        net.start_manager();
        net
    }

    /// Start the manager, and wait until it listens.
    pub(crate) fn start_manager(&mut self) {
        let mut command = command(ours("coco-manager"));
        command.arg("run").arg("--state").arg(self.lab.path("manager")).env("COCO_LOG", "debug");
        let mut manager = self.lab.start("manager", &command);
        until("the manager listens", PATIENCE, || {
            manager.assert_runs();
            is(udp_is_taken(self.port), "its port is free")
        });
        self.manager = Some(manager);
    }

    /// The manager's process.
    pub(crate) fn manager(&self) -> &Process {
        self.manager.as_ref().unwrap()
    }

    /// End the manager, without warning.
    pub(crate) fn kill_manager(&mut self) {
        self.manager = None;
    }

    /// Start the daemon of an app.
    pub(crate) fn app(&self, name: &str) -> App {
        let mut app = App {
            name: name.to_owned(),
            lab: Rc::clone(&self.lab),
            host: None,
            environment: Vec::new(),
            config: None,
            descriptors: None,
            daemon: None,
        };
        app.start();
        app
    }

    /// The apps `camera`, which founds the network [`HOME`], and `viewer`, which has joined it.
    pub(crate) fn pair(&self) -> (App, App) {
        let (camera, viewer) = (self.app("camera"), self.app("viewer"));
        camera.create(HOME, &self.address);
        viewer.join(&camera.invite(HOME, &["--self"]));
        (camera, viewer)
    }
}

/// A daemon, and how to talk to it.
pub(crate) struct App {
    pub(crate) name: String,
    lab: Rc<Lab>,
    host: Option<Arc<Host>>,
    environment: Vec<(String, String)>,
    config: Option<String>,
    descriptors: Option<u64>,
    daemon: Option<Process>,
}

impl App {
    /// The daemon of an app on a host of a network lab.
    pub(crate) fn on(lab: &Rc<Lab>, name: &str, host: &Arc<Host>) -> Self {
        Self::on_with(lab, name, host, Vec::new())
    }

    /// The same, with that in its environment.
    pub(crate) fn on_with(
        lab: &Rc<Lab>,
        name: &str,
        host: &Arc<Host>,
        environment: Vec<(String, String)>,
    ) -> Self {
        let (lab, host) = (Rc::clone(lab), Some(Arc::clone(host)));
        let mut app = Self {
            name: name.to_owned(),
            lab,
            host,
            environment,
            config: None,
            descriptors: None,
            daemon: None,
        };
        app.start();
        app
    }

    /// The daemon of an app on a host of a network lab, with that configuration.
    pub(crate) fn configured(lab: &Rc<Lab>, name: &str, host: &Arc<Host>, config: &str) -> Self {
        let (lab, host, config) = (Rc::clone(lab), Some(Arc::clone(host)), Some(config.to_owned()));
        let mut app = Self {
            name: name.to_owned(),
            lab,
            host,
            environment: Vec::new(),
            config,
            descriptors: None,
            daemon: None,
        };
        app.start();
        app
    }

    /// Let the daemon have so many file descriptors from its next start on.
    pub(crate) fn limit_descriptors(&mut self, descriptors: u64) {
        self.descriptors = Some(descriptors);
    }

    /// The host it runs on, in a network lab.
    pub(crate) fn host(&self) -> &Arc<Host> {
        self.host.as_ref().unwrap()
    }

    /// Start the daemon, and wait until it answers. Returns when it was started.
    pub(crate) fn start(&mut self) -> Instant {
        let mut command = match &self.host {
            Some(host) => clean(host.command(ours("cocod").to_str().unwrap())),
            None => match self.descriptors {
                Some(descriptors) => {
                    let mut limited = command(theirs("prlimit"));
                    limited.arg(format!("--nofile={descriptors}")).arg(ours("cocod"));
                    limited
                }
                None => command(ours("cocod")),
            },
        };
        if self.host.is_none() {
            // On the machine's own network a test has nothing to say.
            let config = self.lab.path(&format!("{}.toml", self.name));
            fs::write(&config, self.config.as_deref().unwrap_or("[lan]\ndiscovery = false\n")).unwrap();
            command.arg("--config").arg(config);
        }
        if let (Some(text), Some(_)) = (&self.config, &self.host) {
            let config = self.lab.path(&format!("{}.toml", self.name));
            fs::write(&config, text).unwrap();
            command.arg("--config").arg(config);
        }
        command.args(["--app", &self.name]).arg("--state").arg(self.lab.path(&self.name));
        command.arg("--socket").arg(self.socket()).env("COCO_LOG", "info,cocod=debug,coco_tunnel=debug");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let started = Instant::now();
        let mut daemon = self.lab.start(&self.name, &command);
        until(&format!("{} answers", self.name), PATIENCE, || {
            daemon.assert_runs();
            let ran = self.ctl(&["status"]);
            is(ran.code == 0, ran.stderr)
        });
        self.daemon = Some(daemon);
        started
    }

    /// Start it with that configuration from now on.
    pub(crate) fn configure(&mut self, config: &str) {
        self.config = Some(config.to_owned());
    }

    /// End the daemon, without warning.
    pub(crate) fn kill(&mut self) {
        self.daemon = None;
    }

    /// Ask the daemon to end, by a signal; returns its exit code and how long it took.
    pub(crate) fn stop(&mut self, signal: Signal) -> (Option<i32>, Duration) {
        let mut daemon = self.daemon.take().unwrap();
        let asked = Instant::now();
        daemon.signal(signal);
        let status = daemon.ended(PATIENCE);
        (status.code(), asked.elapsed())
    }

    /// The daemon's process.
    pub(crate) fn daemon(&self) -> &Process {
        self.daemon.as_ref().unwrap()
    }

    /// The control socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.lab.path(&format!("{}.sock", self.name))
    }

    /// Run `cococtl`, whatever comes of it.
    pub(crate) fn ctl(&self, words: &[&str]) -> Ran {
        self.ctl_reading("", words)
    }

    fn ctl_reading(&self, input: &str, words: &[&str]) -> Ran {
        run(&mut self.ctl_command(words), input.as_bytes(), CTL_MAX)
    }

    /// A `cococtl` to be run.
    pub(crate) fn ctl_command(&self, words: &[&str]) -> Command {
        let mut command = command(ours("cococtl"));
        command.arg("--socket").arg(self.socket()).args(words);
        command
    }

    /// Run `cococtl`, which has to work; returns its stdout without the last line end.
    pub(crate) fn ok(&self, words: &[&str]) -> String {
        let ran = self.ctl(words);
        assert_eq!(ran.code, 0, "{}: cococtl {}:\n{}", self.name, words.join(" "), ran.stderr);
        ran.stdout.trim_end_matches('\n').to_owned()
    }

    /// Run `cococtl --json`, which has to work.
    pub(crate) fn json<T: DeserializeOwned>(&self, words: &[&str]) -> T {
        let text = self.ok(&[&["--json"], words].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
    }

    /// Run `cococtl`, which has to fail with one of `codes` and say why; returns what it said.
    pub(crate) fn refused(&self, codes: &[i32], words: &[&str]) -> String {
        let ran = self.ctl(words);
        let told = format!("{}: cococtl {}: {}\n{}", self.name, words.join(" "), ran.code, ran.stderr);
        assert!(codes.contains(&ran.code) && ran.stderr.starts_with("error: "), "{told}");
        assert_eq!(ran.stdout, "", "{told}");
        ran.stderr
    }

    /// Found a network.
    pub(crate) fn create(&self, network: &str, manager: &str) {
        self.ok(&["network", "create", network, "--manager", manager, "--node-name", &self.name]);
        self.wait_online();
    }

    /// An invite to a network.
    pub(crate) fn invite(&self, network: &str, purpose: &[&str]) -> String {
        self.ok(&[&["network", "invite", network], purpose].concat())
    }

    /// Join by an invite.
    pub(crate) fn join(&self, invite: &str) {
        let words = ["network", "join", "-", "--node-name", &self.name];
        let ran = self.ctl_reading(invite, &words);
        assert_eq!(ran.code, 0, "{} does not join:\n{}", self.name, ran.stderr);
        self.wait_online();
    }

    /// Wait until all networks are in touch with their managers.
    pub(crate) fn wait_online(&self) {
        self.ok(&["wait", "--online", "--timeout", "30s"]);
    }

    /// Offer a target.
    pub(crate) fn expose(&self, url: &str, name: &str) {
        self.ok(&["tunnel", "expose", url, "--name", name]);
    }

    /// Open a resource; returns its local URL.
    pub(crate) fn open(&self, resource: &str) -> String {
        self.ok(&["tunnel", "open", resource])
    }

    /// Open a resource; returns the address it listens on.
    pub(crate) fn open_address(&self, resource: &str) -> SocketAddr {
        let tunnel: Tunnel = self.json(&["tunnel", "open", resource]);
        tunnel.listen.unwrap().parse().unwrap()
    }

    /// What the list says of the one tunnel of `resource`.
    pub(crate) fn tunnel(&self, resource: &str) -> Tunnel {
        let Tunnels { tunnels, .. } = self.json(&["tunnel", "list"]);
        let mut found = tunnels.into_iter().filter(|tunnel| tunnel.resource.as_str() == resource);
        let tunnel = found.next().unwrap_or_else(|| panic!("{} has no tunnel {resource}", self.name));
        assert!(found.next().is_none(), "{} has two tunnels {resource}", self.name);
        assert_eq!(tunnel.listen.is_some(), tunnel.direction == Direction::Open);
        tunnel
    }

    /// What the status says of a network.
    pub(crate) fn network(&self, name: &str) -> Network {
        let status: Status = self.json(&["status"]);
        status.networks.into_iter().find(|network| network.name.as_str() == name).unwrap()
    }
}

/// A port that is free for TCP and UDP. It is below those that the system hands out by itself, so that
/// no program can be given it between this look and its use.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let base = 20_000 + u16::try_from(std::process::id() % 100).unwrap() * 100;
    loop {
        let port = base + NEXT.fetch_add(1, Ordering::Relaxed) % 100;
        let (any, local) = (("0.0.0.0", port), ("127.0.0.1", port));
        let tcp = TcpListener::bind(any).is_ok() && TcpListener::bind(local).is_ok();
        if tcp && UdpSocket::bind(any).is_ok() && UdpSocket::bind(local).is_ok() {
            return port;
        }
    }
}

fn udp_is_taken(port: u16) -> bool {
    let taken = fs::read_to_string("/proc/net/udp").unwrap();
    taken.contains(&format!(" 0100007F:{port:04X} "))
}
