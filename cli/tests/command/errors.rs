//! Each way to fail: its text, its hint and its exit code.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::Path;

use nix::unistd::geteuid;
use serde_json::json;

use crate::daemon::{Daemon, Directory, Ended, at, cococtl, failure, http, status, tunnel};

/// A user that owns nothing: by custom `nobody`.
const NOBODY: u32 = 65_534;

#[test]
fn what_makes_no_sense_is_refused_without_asking_the_daemon() {
    let daemon = Daemon::saying(500, &json!({}));
    for (words, said) in [
        (&["network"][..], "requires a subcommand"),
        (&["network", "shout", "home"], "unrecognized subcommand"),
        (&["network", "show", "Home"], "a name is 1 to 63 characters"),
        (&["network", "show", "../home"], "a name is 1 to 63 characters"),
        (&["network", "create", "home"], "--manager <MGRADDR>"),
        (&["network", "create", "home", "--manager", "manager.example:4433"], "looks like mgr1...@HOST:PORT"),
        (
            &["network", "create", "home", "--manager", "mgr1abc@h:1"],
            "key part of the manager address is damaged",
        ),
        (&["network", "invite", "home"], "--device|--self|--user"),
        (&["network", "invite", "home", "--device", "--self"], "cannot be used with"),
        (&["network", "invite", "home", "--self", "--no-publish"], "cannot be used with"),
        (&["network", "invite", "home", "--no-publish"], "--device"),
        (&["network", "invite", "home", "--user", "bob"], "--role <ROLE>"),
        (&["network", "invite", "home", "--self", "--role", "guest"], "cannot be used with"),
        (&["network", "invite", "home", "--role", "guest"], "--user"),
        (&["network", "invite", "home", "--user", "bob", "--role", "owner"], "makes nobody an owner"),
        (&["network", "invite", "home", "--user", "bob", "--role", "king"], "for an admin or a guest"),
        (&["network", "invite", "home", "--self", "--uses", "0"], "0 is not in 1.."),
        (&["network", "invite", "home", "--self", "--expires", "7"], "a duration needs a unit"),
        (&["network", "join"], "--file"),
        (&["network", "join", "hello"], "an invite begins with coco1"),
        (&["network", "join", "coco2abc"], "of another version"),
        (&["network", "join", "coco1abc"], "damaged or cut off"),
        (&["network", "join", "-"], "an invite begins with coco1"),
        (&["network", "join", "-", "--file", "f"], "cannot be used with"),
        (&["node", "remove", "home", "n:abc"], "by its whole id"),
        (&["tunnel", "expose", "cam", "--name", "x"], "a target looks like tcp://HOST:PORT"),
        (&["tunnel", "expose", "https://cam/", "--name", "x"], "expose it as tcp://HOST:PORT"),
        (&["tunnel", "expose", "tcp://cam", "--name", "x"], "needs a port"),
        (&["tunnel", "expose", "tcp://cam:1", "--name", "-x"], "--name"),
        (&["tunnel", "open", "x", "--listen", "5554"], "looks like 127.0.0.1:5554"),
        (&["tunnel", "open", "x", "--timeout", "0s"], "at least 1s"),
        (&["tunnel", "close", "a/b"], "a name is 1 to 63 characters"),
        (&["wait"], "--online"),
        (&["ping", "camera", "-c", "0"], "0 is not in 1.."),
        (&["completions", "tcsh"], "[possible values: bash, zsh, fish]"),
        (&["status", "--app", "x"], "two ways to name one daemon"),
    ] {
        let Ended { code, out, err } = daemon.run(words);
        assert_eq!((code, out.as_str()), (2, ""), "{words:?}: {err}");
        assert!(err.starts_with("error: ") && err.contains(said), "{words:?}: {err}");
        assert!(err.lines().any(|line| line.starts_with("hint: ")), "{words:?}: {err}");
    }
    assert_eq!(daemon.asked(), []);
}

#[test]
fn a_noun_alone_shows_its_verbs() {
    let Ended { code, out, err } = Ended::of(&mut cococtl(&["tunnel"]));
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.starts_with("error: a command is missing\n") && err.contains("\n  expose "), "{err}");
    assert!(err.ends_with("\nhint: cococtl tunnel --help\n"), "{err}");
}

#[test]
fn a_reported_failure_keeps_its_text_and_its_kind_is_the_exit_code() {
    for (kind, status, expected) in [
        ("failed", 422, 1),
        ("usage", 400, 2),
        ("unreachable", 503, 3),
        ("not-permitted", 403, 4),
        ("not-found", 404, 5),
        ("timed-out", 504, 6),
        ("quota", 429, 7),
        ("not-a-member", 410, 8),
    ] {
        let daemon = Daemon::saying(status, &failure(kind, Some("do this")));
        let Ended { code, out, err } = daemon.run(&["tunnel", "open", "front-door"]);
        assert_eq!((code, out.as_str()), (expected, ""), "{kind}");
        assert_eq!(err, "error: it is so\n  caused by: outer\n  caused by: inner\nhint: do this\n");
    }
}

#[test]
fn a_hint_that_is_a_command_goes_to_the_same_daemon() {
    let daemon = Daemon::saying(404, &failure("not-found", Some("cococtl network list")));
    let expected = format!("hint: cococtl --socket {} network list", daemon.socket.display());
    let err = daemon.run(&["network", "show", "home"]).err;
    assert!(err.contains(&expected), "{err}");
}

#[test]
fn no_daemon_at_all_is_status_3_with_the_command_that_starts_it() {
    let directory = Directory::new();
    let mut command = cococtl(&["--app", "camera", "status"]);
    // For root the place is fixed, and free of daemons of this name.
    command.env("XDG_RUNTIME_DIR", directory.join("run"));
    let Ended { code, out, err } = Ended::of(&mut command);
    assert_eq!((code, out.as_str()), (3, ""));
    assert!(err.starts_with("error: the daemon is not running\n  caused by: there is no socket "), "{err}");
    // Where coco is installed, more follows.
    assert!(err.contains("camera/control.sock\nhint: cocod --app camera"), "{err}");
}

#[test]
fn a_socket_that_was_left_behind_is_told_from_one_that_is_not_there() {
    let directory = Directory::new();
    let socket = directory.join("control.sock");
    drop(UnixListener::bind(&socket).unwrap());
    let Ended { code, err, .. } = Ended::of(cococtl(&["status", "--socket"]).arg(&socket));
    assert_eq!(code, 3);
    assert!(err.contains("nobody listens on") && err.contains("hint: cocod --app NAME --socket "), "{err}");
}

#[test]
fn what_is_no_socket_is_a_mistake_of_the_caller() {
    let directory = Directory::new();
    let file = directory.join("file");
    fs::write(&file, "x").unwrap();
    let Ended { code, err, .. } = Ended::of(cococtl(&["status", "--socket"]).arg(&file));
    assert_eq!(code, 2);
    assert!(err.contains("is not a socket\nhint: "), "{err}");
    let Ended { code, err, .. } = Ended::of(cococtl(&["status", "--socket"]).arg("x".repeat(200)));
    assert_eq!(code, 2);
    assert!(err.contains("the path of the socket cannot be one"), "{err}");
}

#[test]
fn somebody_elses_daemon_is_not_permitted() {
    let directory = Directory::new();
    let socket = directory.join("control.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o000)).unwrap();
    let program = directory.join("cococtl");
    let mut command = if geteuid().is_root() {
        // Root may do everything: be nobody, from a place that nobody can reach too.
        fs::copy(env!("CARGO_BIN_EXE_cococtl"), &program).unwrap();
        let mut command = at(&program, &["status", "--socket"]);
        command.uid(NOBODY).gid(NOBODY);
        command
    } else {
        cococtl(&["status", "--socket"])
    };
    let Ended { code, out, err } = Ended::of(command.arg(&socket));
    assert_eq!((code, out.as_str()), (4, ""));
    assert!(
        err.starts_with("error: this daemon is somebody else's\n  caused by: no permission for "),
        "{err}"
    );
    assert!(err.contains("\nhint: ") && err.contains("sudo -u "), "{err}");
}

#[test]
fn the_environment_names_the_daemon_and_an_option_beats_it() {
    let daemon = Daemon::saying(200, &status(&[], &[]));
    let by_variable = |words: &[&str]| {
        let mut command = cococtl(words);
        Ended::of(command.env("COCO_SOCKET", &daemon.socket).env("COCO_APP", "other"))
    };
    assert_eq!(by_variable(&["status"]).code, 0);
    let Ended { code, err, .. } = by_variable(&["status", "--app", "mine"]);
    assert_eq!(code, 3);
    assert!(err.contains("\nhint: cocod --app mine"), "{err}");
    let Ended { code, err, .. } = Ended::of(cococtl(&["status"]).env("COCO_APP", "My App"));
    assert_eq!(code, 2);
    assert!(err.contains("COCO_APP is not the name of an app") && err.contains("COCO_APP=my-app"), "{err}");
}

#[test]
fn an_answer_without_a_reason_is_still_an_error() {
    let daemon = Daemon::new(|_| http(500, b"<html>"));
    let Ended { code, err, .. } = daemon.run(&["status"]);
    assert_eq!(code, 1);
    assert!(err.contains("HTTP status 500") && err.contains("hint: "), "{err}");
}

#[test]
fn a_daemon_of_another_version_is_said_to_be_one() {
    let daemon = Daemon::saying(200, &json!({"version": 2}));
    let Ended { code, err, .. } = daemon.run(&["status"]);
    assert_eq!(code, 1);
    assert!(err.contains("version 2 of the control API, this cococtl version 1"), "{err}");
}

#[test]
fn a_daemon_that_says_nothing_is_given_up_a_little_after_its_own_deadline() {
    let daemon = Daemon::talking(|_, stream| {
        // Until the client goes.
        let _ = std::io::Read::read(stream, &mut [0]);
    });
    let Ended { code, out, err } = daemon.run(&["tunnel", "open", "front-door", "--timeout", "1s"]);
    assert_eq!((code, out.as_str()), (6, ""));
    assert!(err.starts_with("error: no answer from the daemon in 6 s\nhint: "), "{err}");
}

#[test]
fn a_full_disk_below_stdout_is_an_error_and_a_closed_pipe_is_not() {
    let url = "rtsp://127.0.0.1:5554/s";
    let daemon = Daemon::saying(200, &tunnel(Some(url)));
    let mut command = daemon.command(&["tunnel", "open", "front-door"]);
    let full = fs::OpenOptions::new().write(true).open(Path::new("/dev/full")).unwrap();
    let Ended { code, err, .. } = Ended::of(command.stdout(full));
    assert_eq!(code, 1);
    assert!(err.starts_with("error: cannot write the result\n"), "{err}");

    for words in [
        &["--help"][..],
        &["completions", "bash"],
        &["tunnel", "open", "front-door"],
        &["tunnel", "open", "x", "--json"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = daemon.command(words);
        let ended = Ended::of(command.stdout(writer));
        assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{words:?}");
    }
}
