//! A camera that offers, and an ordinary user whose daemon and `cococtl` the tests are about.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use coconet::control::{Tunnel, Tunnels};

use crate::support::net::{App, HOME, Net};
use crate::support::process::{Process, Ran, run};
use crate::support::programs::{command, ours, theirs};
use crate::support::wait::{PATIENCE, is, until};

/// The user, where the tests run as root; nobody has it otherwise. Not `nobody`: so look all whom a user
/// namespace does not know.
const USER: u32 = 61_234;

/// A network of two: an exporter, and an ordinary user.
pub(crate) struct House {
    pub(crate) camera: App,
    daemon: Option<Process>,
    pub(crate) net: Net,
}

impl House {
    /// With nothing exposed yet.
    pub(crate) fn new() -> Self {
        let net = Net::new();
        let camera = net.app("camera");
        camera.create(HOME, &net.address);
        fs::set_permissions(net.lab.path(""), fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["cocod", "cococtl"] {
            fs::copy(ours(name), net.lab.path(name)).unwrap();
        }
        let home = net.lab.path("user");
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
        if is_root() {
            chown(&home, Some(USER), Some(USER)).unwrap();
        }
        let mut house = Self { camera, daemon: None, net };
        house.start_daemon();
        let invite = house.camera.invite(HOME, &["--self"]);
        let mut join = house.ctl(&["network", "join", "-", "--node-name", "user"]);
        let ran = run(&mut join, invite.as_bytes(), PATIENCE);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        house.ok(&["wait", "--online", "--timeout", "30s"]);
        house
    }

    /// Start the user's daemon, and wait until it answers.
    pub(crate) fn start_daemon(&mut self) {
        let config = self.net.lab.path("user.toml");
        fs::write(&config, "[lan]\ndiscovery = false\n").unwrap();
        let mut cocod = self.as_user(&self.net.lab.path("cocod"));
        cocod.arg("--config").arg(config).arg("--state").arg(self.home().join("state"));
        cocod.arg("--socket").arg(self.socket()).env("COCO_LOG", "info,cocod=debug");
        let mut daemon = self.net.lab.start("user", &cocod);
        until("the user's daemon answers", PATIENCE, || {
            daemon.assert_runs();
            let ran = run(&mut self.ctl(&["status"]), b"", PATIENCE);
            is(ran.code == 0, ran.stderr)
        });
        self.daemon = Some(daemon);
    }

    /// End the user's daemon, without warning.
    pub(crate) fn kill_daemon(&mut self) {
        self.daemon = None;
    }

    /// The process of the user's daemon.
    pub(crate) fn daemon(&self) -> u32 {
        self.daemon.as_ref().unwrap().pid()
    }

    /// A directory that is the user's.
    pub(crate) fn home(&self) -> PathBuf {
        self.net.lab.path("user")
    }

    /// The control socket of the user's daemon.
    pub(crate) fn socket(&self) -> PathBuf {
        self.home().join("control.sock")
    }

    /// A program, as the user and in a directory of the user.
    pub(crate) fn as_user(&self, program: &Path) -> Command {
        let home = self.home();
        let mut wrapped = if is_root() {
            let mut setpriv = command(theirs("setpriv"));
            setpriv.args([&format!("--reuid={USER}"), &format!("--regid={USER}"), "--clear-groups"]);
            setpriv.args(["--pdeathsig", "KILL"]).arg(program);
            setpriv
        } else {
            command(program)
        };
        wrapped
            .env("HOME", &home)
            .env("XDG_RUNTIME_DIR", &home)
            .env_remove("XDG_STATE_HOME")
            .current_dir("/");
        wrapped
    }

    /// The user's `cococtl`.
    pub(crate) fn ctl(&self, words: &[&str]) -> Command {
        let mut ctl = self.as_user(&self.net.lab.path("cococtl"));
        ctl.arg("--socket").arg(self.socket()).args(words);
        ctl
    }

    /// The same, which has to work; returns its stdout.
    pub(crate) fn ok(&self, words: &[&str]) -> String {
        let ran = run(&mut self.ctl(words), b"", PATIENCE * 2);
        assert_eq!(ran.code, 0, "cococtl {}:\n{}{}", words.join(" "), ran.stdout, ran.stderr);
        ran.stdout.trim_end_matches('\n').to_owned()
    }

    /// `cococtl run`, with that command inside.
    pub(crate) fn inside(&self, words: &[&str]) -> Command {
        self.ctl(&[&["run", HOME, "--"], words].concat())
    }

    /// Run a command inside, whatever comes of it.
    pub(crate) fn try_inside(&self, words: &[&str]) -> Ran {
        run(&mut self.inside(words), b"", PATIENCE * 2)
    }

    /// Run a command inside, which has to work; returns its stdout.
    pub(crate) fn ok_inside(&self, words: &[&str]) -> String {
        let ran = self.try_inside(words);
        assert_eq!(ran.code, 0, "{words:?}:\n{}{}", ran.stdout, ran.stderr);
        ran.stdout
    }

    /// Begin to run a command inside: what it says goes to `NAME.out`.
    pub(crate) fn begin_inside(&self, name: &str, words: &[&str]) -> Process {
        self.net.lab.start(name, &self.inside(words))
    }

    /// The tunnels of the user's daemon.
    pub(crate) fn tunnels(&self) -> Vec<Tunnel> {
        let tunnels: Tunnels = serde_json::from_str(&self.ok(&["--json", "tunnel", "list"])).unwrap();
        tunnels.tunnels
    }

    /// Offer a target, and wait until the user's daemon knows.
    pub(crate) fn expose(&self, url: &str, name: &str) {
        self.camera.expose(url, name);
        until(&format!("{name} is known"), PATIENCE, || {
            let told = self.ok(&["network", "show", HOME]);
            is(told.split_whitespace().any(|word| word == name), told)
        });
    }
}

/// Whether the tests have to become somebody else to be ordinary.
pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}
