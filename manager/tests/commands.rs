//! The command line: what is printed where, what is refused, and with which exit code.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod house;
#[path = "house/program.rs"]
mod program;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Output};

use coconet::manager_addr::ManagerAddr;
use program::{PROGRAM, Running, Scratch, init, run};

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// It failed with `code`, said `error` and gave a hint with `hint` in it, and printed nothing.
fn assert_fails(output: &Output, code: i32, error: &str, hint: &str) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(text.starts_with("error: ") && text.contains(error), "{text}");
    assert!(text.lines().any(|line| line.starts_with("hint: ") && line.contains(hint)), "{text}");
    assert!(output.stdout.is_empty());
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn init_makes_a_closed_directory_and_prints_the_address_alone() {
    let scratch = Scratch::new();
    let state = scratch.path("a/b/state");
    let printed = init(&state);
    assert_eq!(printed.lines().count(), 1);
    let address: ManagerAddr = printed.trim().parse().unwrap();
    assert_eq!(address.location(), "127.0.0.1:4433");
    assert_eq!(mode(&state), 0o700);
    for file in ["manager.toml", "manager.key", "manager.db"] {
        assert_eq!(mode(&state.join(file)), 0o600, "{file}");
    }
    let again = run(&["address"], &state);
    assert_eq!(
        (String::from_utf8_lossy(&again.stdout), stderr(&again)),
        (printed.clone().into(), String::new())
    );
    let checked = run(&["check"], &state);
    assert_eq!(String::from_utf8_lossy(&checked.stdout), format!("{printed}ok\n"));
}

#[test]
fn init_never_touches_what_is_there() {
    let scratch = Scratch::new();
    let state = scratch.path("state");
    init(&state);
    let key = fs::read(state.join("manager.key")).unwrap();
    let arguments = ["init", "--listen", "127.0.0.1:0", "--public", "h:1"];
    assert_fails(&run(&arguments, &state), 1, "already", "coco-manager address --state");
    assert_eq!(fs::read(state.join("manager.key")).unwrap(), key);
    fs::create_dir(scratch.path("other")).unwrap();
    fs::write(scratch.path("other/file"), "").unwrap();
    assert_fails(&run(&arguments, &scratch.path("other")), 1, "already", "another directory");
    assert_eq!(fs::read_dir(scratch.path("other")).unwrap().count(), 1);
}

#[test]
fn wrong_arguments_are_usage_errors() {
    let scratch = Scratch::new();
    let state = scratch.path("state");
    for arguments in [
        &["init", "--listen", "127.0.0.1", "--public", "h:1"][..],
        &["init", "--listen", "127.0.0.1:1", "--public", "h"],
        &["init", "--listen", "127.0.0.1:1", "--public", "::1:4433"],
        &["init", "--listen", "127.0.0.1:1"],
        &["init", "--listen", "127.0.0.1:1", "--listen", "127.0.0.2:1", "--public", "h:1"],
        &["serve"],
    ] {
        let output = run(arguments, &state);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).starts_with("error: "));
    }
    assert!(!state.exists());
}

#[test]
fn a_bad_configuration_is_named_with_its_line_and_exits_78() {
    let scratch = Scratch::new();
    let state = scratch.path("state");
    init(&state);
    let path = state.join("manager.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("#networks = 10000", "networks = \"many\"")).unwrap();
    for command in ["run", "check", "address"] {
        let output = run(&[command], &state);
        assert_fails(&output, 78, "manager.toml", "edit ");
        assert!(stderr(&output).contains("line 28:"), "{}", stderr(&output));
    }
}

#[test]
fn a_state_directory_that_is_none_or_that_others_can_enter_is_refused() {
    let scratch = Scratch::new();
    for command in ["run", "check", "address"] {
        assert_fails(&run(&[command], &scratch.path("state")), 1, "no state directory", "coco-manager init");
    }
    let state = scratch.path("state");
    init(&state);
    fs::set_permissions(&state, Permissions::from_mode(0o750)).unwrap();
    assert_fails(&run(&["run"], &state), 78, "closed to everybody else (it has mode 750)", "chmod go= ");
}

#[test]
fn a_key_that_others_could_read_or_that_is_none_is_refused() {
    let scratch = Scratch::new();
    let state = scratch.path("state");
    init(&state);
    let key = state.join("manager.key");
    fs::set_permissions(&key, Permissions::from_mode(0o640)).unwrap();
    assert_fails(&run(&["check"], &state), 78, "closed to everybody else", "chmod go= ");
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();

    fs::rename(&key, scratch.path("elsewhere")).unwrap();
    symlink(scratch.path("elsewhere"), &key).unwrap();
    let linked = run(&["check"], &state);
    assert_eq!(linked.status.code(), Some(1), "no link is followed");
    fs::remove_file(&key).unwrap();

    fs::write(&key, "coco-node-key-9\n").unwrap();
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    assert_fails(&run(&["check"], &state), 78, "no key file of this version", "backup");
}

#[test]
fn a_database_of_another_version_or_behind_a_link_is_refused() {
    let scratch = Scratch::new();
    let state = scratch.path("state");
    init(&state);
    let path = state.join("manager.db");
    let database = rusqlite::Connection::open(&path).unwrap();
    database.pragma_update(None, "user_version", 99).unwrap();
    drop(database);
    for command in ["run", "check"] {
        assert_fails(
            &run(&[command], &state),
            1,
            "state of another version",
            "the coco-manager that wrote it",
        );
    }
    fs::write(&path, "not a database, but long enough to look like one").unwrap();
    assert_fails(&run(&["check"], &state), 1, "manager.db", "backup");
    fs::rename(&path, scratch.path("elsewhere")).unwrap();
    symlink(scratch.path("elsewhere"), &path).unwrap();
    assert_fails(&run(&["run"], &state), 1, "manager.db", "");
}

#[test]
fn a_state_or_a_port_in_use_is_said_and_the_first_goes_on() {
    let scratch = Scratch::new();
    let (first, second) = (scratch.path("first"), scratch.path("second"));
    init(&first);
    let mut running = Running::serve(&first);
    let address = running.address().to_string();
    for file in ["manager.db", "manager.db-wal", "manager.db-shm", "manager.lock"] {
        assert_eq!(mode(&first.join(file)), 0o600, "{file}");
    }
    assert_fails(&run(&["run"], &first), 1, "another manager runs on", "stop it first");
    assert!(run(&["check"], &first).status.success(), "checking disturbs nobody");
    let made = run(&["init", "--listen", &address, "--public", "h:1"], &second);
    assert!(made.status.success());
    let output = run(&["run"], &second);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(text.contains(&format!("error: cannot listen on {address}")), "{text}");
    assert!(text.contains("hint: ") && text.contains("caused by: "), "{text}");
    assert!(running.stop("TERM").success());
}

/// A manager on `state` that says there how far it is.
fn start_notifying(state: &Path, socket: &Path) -> (Running, UnixDatagram) {
    let notified = UnixDatagram::bind(socket).unwrap();
    notified.set_read_timeout(Some(house::DEADLINE)).unwrap();
    let mut command = Command::new(PROGRAM);
    command.args(["run", "--state"]).arg(state).env("NOTIFY_SOCKET", socket).env("COCO_LOG", "trace");
    (Running::start(&mut command), notified)
}

fn heard(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 64];
    let length = socket.recv(&mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

#[test]
fn it_tells_the_service_manager_and_stops_cleanly_on_both_signals() {
    let scratch = Scratch::new();
    let state = scratch.path("state");
    init(&state);
    for signal in ["TERM", "INT"] {
        let (mut running, socket) = start_notifying(&state, &scratch.path(signal));
        assert_eq!(heard(&socket), "READY=1");
        assert!(running.stop(signal).success());
        assert_eq!(heard(&socket), "STOPPING=1");
    }
}

#[test]
fn the_log_says_no_secret_and_no_manager_address() {
    let scratch = Scratch::new();
    let state = scratch.path("state");
    let address = init(&state);
    let (mut running, socket) = start_notifying(&state, &scratch.path("socket"));
    assert_eq!(heard(&socket), "READY=1");
    assert!(running.stop("TERM").success());
    let log = running.rest_of_log();
    assert!(log.contains("serving"), "{log}");
    let keys = address.split('@').next().unwrap();
    assert!(!log.contains(keys) && !log.contains("mgr1"), "{log}");
}
