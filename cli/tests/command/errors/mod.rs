//! Every way to fail, in whole: pages of command lines with what they say and their exit codes, beside this file.
//! `REWRITE_SNAPSHOTS=1` writes them anew.
//!
//! That none is left out is held by [`complete`], which reads what the sources can say.

mod answers;
mod commands;
mod complete;
mod inside;
mod interrupted;
mod page;
mod place;
mod sources;
mod usage;

use std::io::Read;

use crate::daemon::{Daemon, Ended, cococtl, failure, status, tunnel};

/// Hears nothing more of a client until that goes.
fn until_gone(stream: &mut impl Read) {
    let _ = stream.read(&mut [0]);
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let daemon = Daemon::saying(200, &tunnel(Some("rtsp://127.0.0.1:5554/s")));
    for words in [
        &["--help"][..],
        &["completions", "bash"],
        &["tunnel", "open", "front-door"],
        &["tunnel", "open", "x", "--json"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = Ended::of(daemon.command(words).stdout(writer));
        assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{words:?}");
    }
}

#[test]
fn the_environment_names_the_daemon_and_an_option_beats_it() {
    let daemon = Daemon::saying(200, &status(&[], &[]));
    let by_variable = |words: &[&str]| {
        let mut command = cococtl(words);
        Ended::of(command.env("COCO_SOCKET", &daemon.socket).env("COCO_APP", "other")).code
    };
    assert_eq!(by_variable(&["status"]), 0);
    assert_eq!(by_variable(&["status", "--app", "mine"]), 3);
}

#[test]
fn a_hint_that_is_a_command_goes_to_the_same_daemon() {
    let daemon = Daemon::saying(404, &failure("not-found", Some("cococtl network list")));
    let expected = format!("hint: cococtl --socket {} network list\n", daemon.socket.display());
    let err = daemon.run(&["network", "show", "home"]).err;
    assert!(err.ends_with(&expected), "{err}");
}
