//! What whoever started it sees: exit codes, signals, streams, and the shell.

use std::os::unix::process::ExitStatusExt;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::house::House;
use crate::support::net::HOME;
use crate::support::process::run;
use crate::support::wait::{PATIENCE, is, until};

#[test]
fn the_exit_code_is_the_commands() {
    let house = House::new();
    for (words, code) in [
        (&["true"][..], 0),
        (&["sh", "-c", "exit 7"], 7),
        (&["sh", "-c", "kill -TERM $$"], 143),
        (&["sh", "-c", "kill -KILL $$"], 137),
        (&["/no/such/program"], 127),
        (&["/etc/passwd"], 126),
    ] {
        let ran = house.try_inside(words);
        assert_eq!((ran.code, ran.stdout.as_str()), (code, ""), "{words:?}: {}", ran.stderr);
        assert_eq!(
            ran.stderr.starts_with("error: cannot run "),
            code == 126 || code == 127,
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn the_command_has_our_streams_our_user_and_our_directory() {
    let house = House::new();
    let mut cat = house.inside(&["sh", "-c", "cat; pwd; id -u; id -g; echo $COCO_RUN; echo said >&2"]);
    let ran = run(cat.current_dir("/usr"), b"typed\n", PATIENCE);
    let (uid, gid) = match crate::house::is_root() {
        true => (61_234, 61_234),
        false => (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw()),
    };
    assert_eq!(ran.stdout, format!("typed\n/usr\n{uid}\n{gid}\n{HOME}\n"));
    assert_eq!(ran.stderr, "said\n");
}

#[test]
fn signals_reach_the_command_and_nothing_is_left_behind() {
    let house = House::new();
    let script = "trap 'echo usr1' USR1; trap 'echo term; exit 3' TERM; sleep 300 & echo ready; while :; do wait; done";
    let mut inside = house.begin_inside("signals", &["sh", "-c", script]);
    inside.says("ready");
    inside.signal(Signal::SIGUSR1);
    inside.says("usr1");
    inside.signal(Signal::SIGTERM);
    let status = inside.ended(PATIENCE);
    assert_eq!(status.code(), Some(3));
    assert_eq!(inside.output(), b"ready\nusr1\nterm\n");

    // What ignores everything else goes with the process that was started.
    let mut inside =
        house.begin_inside("killed", &["sh", "-c", "trap '' TERM INT HUP; echo ready; exec sleep 301"]);
    inside.says("ready");
    inside.signal(Signal::SIGKILL);
    assert_eq!(inside.ended(PATIENCE).signal(), Some(9));
    until("nothing is left", PATIENCE, || {
        let left = processes("sleep\x00301\x00");
        is(left.is_empty(), format!("{left:?}"))
    });
}

#[test]
fn a_stop_of_the_command_is_seen_from_outside() {
    let house = House::new();
    let mut inside =
        house.begin_inside("stopped", &["sh", "-c", "echo ready; kill -STOP $$; echo on; exit 4"]);
    inside.says("ready");
    let pid = inside.pid();
    until("it stops", PATIENCE, || {
        let state = state_of(pid);
        is(state.starts_with('T'), state)
    });
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGCONT).unwrap();
    inside.says("on");
    assert_eq!(inside.ended(PATIENCE).code(), Some(4));
}

#[test]
fn a_shell_is_started_where_none_is_named() {
    let house = House::new();
    let mut shell = house.ctl(&["run", HOME, "--shell"]);
    let ran = run(shell.env_remove("SHELL"), b"echo $0; exit 5\n", PATIENCE);
    assert_eq!((ran.code, ran.stdout.as_str()), (5, "/bin/sh\n"), "{}", ran.stderr);
    let ran = run(house.ctl(&["run", HOME, "--shell"]).env("SHELL", "/bin/true"), b"", PATIENCE);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let ran = run(&mut house.ctl(&["run", HOME]), b"", PATIENCE);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
}

/// Processes with that command line.
fn processes(line: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.map(|entry| entry.file_name().into_string().unwrap());
    pids.filter(|pid| std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|own| own == line.as_bytes()))
        .collect()
}

fn state_of(pid: u32) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let state = status.lines().find_map(|line| line.strip_prefix("State:")).unwrap();
    state.trim().to_owned()
}
