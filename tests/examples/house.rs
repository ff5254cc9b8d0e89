//! A machine of a page's own: namespaces for network, mounts and processes, with the addresses, names and files that the
//! examples speak of. Whatever runs in it ends with it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

use crate::support::net::Lab;
use crate::support::process::{Process, Ran, run};
use crate::support::programs::{command, ours, python, source, theirs};
use crate::support::wait::{PATIENCE, is, until};
use crate::table::{ENDLESS, SUBSTITUTES};

/// Longest that one example may take.
const EXAMPLE_MAX: Duration = Duration::from_secs(90);

/// How long one that would go on for ever is watched, in seconds.
const WATCHED: &str = "2";

/// The manager's port, as `/proc/net/udp` shows it.
const MANAGER: &str = ":1151 ";

/// How the machine is made. Its directories are its own; `$1` is where the test keeps its files.
const MAKE: &str = r#"
set -e
mount -t tmpfs none /run
mkdir /run/upper /run/work
mount -t overlay -o lowerdir=/etc,upperdir=/run/upper,workdir=/run/work overlay /etc
mount -t tmpfs none /var/lib
mkdir -p /etc/coco
echo '[lan]' > /etc/coco/camera.toml
printf '127.0.0.1 localhost\n203.0.113.1 manager.example.org\n' > /etc/hosts
ip link set lo up
ip link add lan type veth peer name wall
ip link set lan up
ip link set wall up
for host in 192.168.1.2 192.168.1.5 192.168.1.20 192.168.1.30 203.0.113.1; do ip address add $host/24 dev lan; done
cd "$1"
for file in camera cam bus; do printf 'viewer:sesame\n' > $file.login; done
chmod 600 *.login
printf 'listener 1883 192.168.1.5\nallow_anonymous true\n' > broker.conf
cat > home.toml <<END
network = "home"
[users]
alice = "owner"
bob = "guest"
[[grants]]
user = "bob"
resource = "front-door"
can = ["play"]
END
echo made
exec sleep infinity
"#;

/// A machine for examples.
pub(crate) struct House {
    /// Whoever the examples start and stays. Everything in the machine ends with its keeper.
    running: Vec<Process>,
    keeper: Process,
    lab: Rc<Lab>,
    /// The manager's address, and the last URL that was printed.
    manager: String,
    url: String,
}

impl House {
    pub(crate) fn new() -> Self {
        let lab = Lab::apart();
        fs::create_dir(lab.path("files")).unwrap();
        let mut make = command(theirs("unshare"));
        make.args([
            "--mount",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "sh",
            "-c",
            MAKE,
            "sh",
        ]);
        let mut keeper = lab.start("house", make.arg(lab.path("files")));
        keeper.says("made");
        let mut house = Self { running: Vec::new(), keeper, lab, manager: String::new(), url: String::new() };
        let mut lan = house.inside(python("gi", "python3-gi").to_str().unwrap());
        let mut lan = house.lab.start("lan", lan.arg(source("tests/examples/lan.py")));
        lan.says("ready");
        house.running.push(lan);
        let mut broker = house.inside(theirs("mosquitto").to_str().unwrap());
        let broker = house.lab.start("broker", broker.args(["-c", "broker.conf"]));
        house.running.push(broker);
        house
    }

    /// Runs one example.
    pub(crate) fn run(&mut self, example: &str) -> Ran {
        let line =
            SUBSTITUTES.iter().fold(example.to_owned(), |line, (shown, meant)| line.replace(shown, meant));
        let port = self.url.rsplit(':').next().and_then(|rest| rest.split('/').next()).unwrap_or_default();
        let line =
            line.replace("{manager}", &self.manager).replace("{url}", &self.url).replace("{port}", port);
        if let Some(daemon) = stays(&line) {
            return self.start(daemon);
        }
        let endless = ENDLESS.iter().any(|word| line.contains(word));
        // A terminal, on which nobody types anything, nor ends his input.
        let terminal = |line: String| format!("tail -f /dev/null | script -qec {line:?} /dev/null");
        let line = if line.contains("dashboard") { terminal(line) } else { line };
        let mut shell = self.inside(if endless { "timeout" } else { "sh" });
        if endless {
            shell.args(["--signal", "INT", WATCHED, "sh"]);
        }
        let ran = run(shell.args(["-c", &line]), b"", EXAMPLE_MAX);
        let said = ran.stdout.trim();
        if said.starts_with("coco1") && ran.code == 0 {
            fs::write(self.lab.path("files/invite.txt"), said).unwrap();
        }
        if said.starts_with("mgr1") {
            said.lines().next().unwrap_or_default().clone_into(&mut self.manager);
        }
        if said.contains("://127.0.0.1:") && !said.contains('\n') {
            said.clone_into(&mut self.url);
        }
        ran
    }

    /// Starts what stays, and waits until it serves.
    fn start(&mut self, line: &str) -> Ran {
        let mut shell = self.inside("sh");
        let name = format!("daemon-{}", self.running.len());
        let mut process = self.lab.start(&name, shell.args(["-c", &format!("exec {line}")]));
        until(&format!("{line} serves"), PATIENCE, || {
            process.assert_runs();
            let serves = match line.split_once("--app ") {
                Some((_, rest)) => {
                    let app = rest.split(' ').next().unwrap_or_default();
                    format!("cococtl --app {app} status")
                }
                None => format!("grep -q {MANAGER:?} /proc/net/udp"),
            };
            let ran = run(self.inside("sh").args(["-c", &serves]), b"", EXAMPLE_MAX);
            is(ran.code == 0, ran.stderr)
        });
        self.running.push(process);
        Ran { code: 0, stdout: String::new(), stderr: String::new() }
    }

    /// A program in the machine.
    fn inside(&self, program: &str) -> Command {
        let shell = self.keeper.pid();
        let children = fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).unwrap();
        let mut enter = command(theirs("nsenter"));
        enter.args(["--mount", "--net", "--pid", "--target", children.trim()]);
        enter.arg(format!("--wd={}", self.files().display())).arg(program);
        let ours = ours("cococtl").parent().unwrap().to_owned();
        enter.env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", ours.display()));
        enter.env("HOME", self.files()).env_remove("XDG_RUNTIME_DIR").env_remove("XDG_STATE_HOME");
        enter
    }

    fn files(&self) -> PathBuf {
        self.lab.path("files")
    }
}

/// The daemon that a line starts, if it does.
fn stays(line: &str) -> Option<&str> {
    let daemon = line.starts_with("cocod ") && !line.contains("check");
    let manager = line.starts_with("coco-manager run ");
    (daemon || manager).then(|| line.trim_end_matches('&').trim_end())
}
