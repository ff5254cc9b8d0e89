//! One network namespace and what is run inside it.
//!
//! A namespace here has no name under `/run/netns`: a descriptor holds it, so the kernel takes it down, with
//! its devices, NAT state and firewall, when the lab is dropped or its process dies, however it dies. What can
//! outlive a killed process are programs started by [`Namespace::command`]; they carry [`OWNER`] in their
//! environment, and [`sweep`] ends those of dead owners.
//!
//! The kernel keeps the namespace per thread, so [`Namespace::enter`] runs a closure on a thread of its own:
//! sockets made in there belong to the namespace for ever, whoever uses them. `ip` and `nft` are children of
//! such threads and get all their commands at once.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{panic, thread};

use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// In the environment of each program of a lab: process id and start time of the lab's own process.
const OWNER: &str = "COCO_LAB";

/// What every namespace is told before it has a device: addresses are usable at once (no duplicate address
/// detection), nobody asks for or believes router advertisements, packets are forwarded and not judged by the
/// interface they came in on, and bridged packets are none of the IP firewall's business.
const SYSCTLS: &[(&str, &str)] = &[
    ("ipv6/conf/all/accept_dad", "0"),
    ("ipv6/conf/default/accept_dad", "0"),
    ("ipv6/conf/default/dad_transmits", "0"),
    ("ipv6/conf/default/accept_ra", "0"),
    ("ipv6/conf/default/router_solicitations", "0"),
    ("ipv4/conf/all/rp_filter", "0"),
    ("ipv4/conf/default/rp_filter", "0"),
];

const ROUTER_SYSCTLS: &[(&str, &str)] = &[
    ("ipv4/ip_forward", "1"),
    ("ipv6/conf/all/forwarding", "1"),
    ("ipv4/conf/all/send_redirects", "0"),
    ("ipv4/conf/default/send_redirects", "0"),
];

/// Absent where the kernel has no bridge firewall, and then not needed.
const BRIDGE_SYSCTLS: &[&str] =
    &["bridge/bridge-nf-call-iptables", "bridge/bridge-nf-call-ip6tables", "bridge/bridge-nf-call-arptables"];

const CARRIER_TIMEOUT: Duration = Duration::from_secs(10);
const CARRIER_POLL: Duration = Duration::from_millis(5);

/// In the environment of each program of a lab: the lab's own `/etc/hosts`.
const HOSTS: &str = "COCO_LAB_HOSTS";

/// `/sys/class/net` is that of the namespace it was mounted in. `/mnt` is borrowed for a file that no other
/// program sees.
const OWN_FILES: &str = r#"mount -t sysfs sysfs /sys && mount -t tmpfs tmpfs /mnt &&
printf "%s" "$COCO_LAB_HOSTS" >/mnt/hosts && mount --bind /mnt/hosts /etc/hosts && umount -l /mnt &&
exec "$0" "$@""#;

/// A network namespace, held by a descriptor.
pub(crate) struct Namespace {
    descriptor: File,
    devices: AtomicU32,
}

impl Namespace {
    /// For a host: loopback is up, nothing else is there.
    pub(crate) fn host() -> Self {
        let descriptor = thread::scope(|scope| {
            joined(scope.spawn(|| {
                unshare(CloneFlags::CLONE_NEWNET).expect("making a network namespace");
                File::open("/proc/thread-self/ns/net").expect("opening the new namespace")
            }))
        });
        let new = Self { descriptor, devices: AtomicU32::new(0) };
        new.sysctl(SYSCTLS);
        new.ip("link set lo up\n");
        new
    }

    /// For a router: forwards, too.
    pub(crate) fn router() -> Self {
        let new = Self::host();
        new.sysctl(ROUTER_SYSCTLS);
        new.enter(|| {
            for key in BRIDGE_SYSCTLS {
                let _ = fs::write(format!("/proc/sys/net/{key}"), "0");
            }
        });
        new
    }

    /// Run `what` inside, on a thread of its own. A panic goes on in the caller.
    pub(crate) fn enter<T: Send>(&self, what: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            joined(scope.spawn(|| {
                setns(&self.descriptor, CloneFlags::CLONE_NEWNET).expect("entering a network namespace");
                what()
            }))
        })
    }

    /// A command that runs inside, whichever thread spawns it; its process is the program's own. `hosts` is
    /// what it finds in `/etc/hosts`.
    pub(crate) fn command(&self, program: &str, hosts: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path()));
        command.args(["--", "unshare", "--mount", "--", "sh", "-c", OWN_FILES, program]);
        command.env(OWNER, owner()).env(HOSTS, hosts);
        command
    }

    /// Where other programs find this namespace, as long as this process lives.
    pub(crate) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.descriptor.as_raw_fd())
    }

    /// A device name not used here before.
    pub(crate) fn next_device(&self) -> String {
        format!("w{}", self.devices.fetch_add(1, Ordering::Relaxed))
    }

    /// Run lines of `ip` inside; their output.
    pub(crate) fn ip(&self, lines: &str) -> String {
        self.feed(Command::new("ip").args(["-batch", "-"]), "iproute2", lines)
    }

    /// Return when `device` carries packets. A device that is up drops them until the kernel has noticed, in its
    /// own time, that there is another end; recent kernels do so when they are asked.
    pub(crate) fn await_carrier(&self, device: &str) {
        let deadline = Instant::now() + CARRIER_TIMEOUT;
        loop {
            let shown = self.ip(&format!("link show dev {device}\n"));
            // TUN devices have no state.
            if shown.contains(" state UP ") || shown.contains(" state UNKNOWN ") {
                return;
            }
            assert!(Instant::now() < deadline, "no carrier: {shown}");
            thread::sleep(CARRIER_POLL);
        }
    }

    /// Run an `nft` script inside; all of it takes effect at once or nothing.
    pub(crate) fn nft(&self, script: &str) {
        self.feed(Command::new("nft").args(["-f", "-"]), "nftables", script);
    }

    /// Run a command inside, to its end; its output.
    pub(crate) fn feed(&self, command: &mut Command, package: &str, input: &str) -> String {
        let name = command.get_program().to_string_lossy().into_owned();
        let output = self.enter(|| {
            let mut child = command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap_or_else(|e| panic!("cannot run {name} (Debian package {package}): {e}"));
            let mut stdin = child.stdin.take().expect("stdin is piped");
            // A program that has left already says why on stderr.
            let _ = stdin.write_all(input.as_bytes());
            drop(stdin);
            child.wait_with_output().expect("waiting for a child")
        });
        assert!(
            output.status.success(),
            "{name}: {}\n{}",
            String::from_utf8_lossy(&output.stderr),
            input.lines().enumerate().fold(String::new(), |mut all, (n, line)| {
                let _ = writeln!(all, "{:3} {line}", n + 1);
                all
            })
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Write kernel settings below `net/`.
    pub(crate) fn sysctl(&self, settings: &[(&str, &str)]) {
        self.enter(|| {
            for (key, value) in settings {
                fs::write(format!("/proc/sys/net/{key}"), value)
                    .unwrap_or_else(|e| panic!("setting net/{key} to {value}: {e}"));
            }
        });
    }

    fn inode(&self) -> u64 {
        self.descriptor.metadata().expect("asking for a namespace's inode").ino()
    }
}

fn joined<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panicked| panic::resume_unwind(panicked))
}

/// End every process that lives in one of `namespaces`.
pub(crate) fn end_processes<'a>(namespaces: impl Iterator<Item = &'a Namespace>) {
    let inodes: Vec<u64> = namespaces.map(Namespace::inode).collect();
    for pid in processes() {
        let lives_in = fs::metadata(format!("/proc/{pid}/ns/net")).map(|ns| ns.ino());
        if lives_in.is_ok_and(|inode| inodes.contains(&inode)) {
            let _ = kill(pid, Signal::SIGKILL);
        }
    }
}

/// End what dead labs have left running.
pub(crate) fn sweep() {
    let mark = format!("{OWNER}=");
    for pid in processes() {
        let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { continue };
        let owner = environment
            .split(|&byte| byte == 0)
            .filter_map(|variable| std::str::from_utf8(variable).ok())
            .find_map(|variable| variable.strip_prefix(&mark));
        let Some((owner_pid, start)) = owner.and_then(|owner| owner.split_once(':')) else { continue };
        if start_time(owner_pid).as_deref() != Some(start) {
            let _ = kill(pid, Signal::SIGKILL);
        }
    }
}

fn processes() -> impl Iterator<Item = Pid> {
    let own = Pid::this();
    fs::read_dir("/proc")
        .expect("reading /proc")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok().map(Pid::from_raw))
        .filter(move |&pid| pid != own)
}

fn owner() -> String {
    let pid = std::process::id().to_string();
    let start = start_time(&pid).expect("reading the own start time");
    format!("{pid}:{start}")
}

/// When process `pid` was started, in ticks since boot; `None`: there is none.
fn start_time(pid: &str) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may hold anything; the time is field 22, the state after the name is 3.
    stat.rsplit_once(") ")?.1.split(' ').nth(19).map(str::to_owned)
}
