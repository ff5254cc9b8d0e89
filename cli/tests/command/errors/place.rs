//! Which daemon is meant, and whether it is there.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::unistd::geteuid;

use super::page::Page;

/// Another user than nobody, who owns nothing either.
const SOMEBODY: u32 = 65_533;

#[test]
fn a_daemon_that_cannot_be_talked_to_is_said_to_be_away_or_somebody_elses() {
    let mut page = Page::new("place");
    let path = |name: &str| page.stage.join(name);
    drop(UnixListener::bind(path("left.sock")).unwrap());
    let closed = UnixListener::bind(path("closed.sock")).unwrap();
    fs::set_permissions(path("closed.sock"), Permissions::from_mode(0o000)).unwrap();
    page.file("file", "x");

    page.shows(
        "no daemon",
        &[
            "cococtl",
            "cococtl --app camera status",
            "COCO_APP=player cococtl status",
            "COCO_SOCKET=none.sock cococtl status",
            "cococtl --socket none.sock status",
            "cococtl --socket \"it's not there\" status",
            "cococtl wait --online --timeout 1s",
        ],
    );
    page.shows("a daemon has gone without its socket", &["cococtl --socket left.sock status"]);
    page.shows(
        "what is named is no socket",
        &[
            "cococtl --socket file status",
            "cococtl --socket . status",
            "cococtl --socket file/control.sock status",
            "cococtl --socket $(printf %0200d 0) status",
        ],
    );
    page.shows("no app is called that", &["COCO_APP='My App' cococtl status"]);
    page.shows_nobody("neither HOME nor XDG_RUNTIME_DIR", "env -u HOME -u XDG_RUNTIME_DIR cococtl status");
    page.shows_nobody("the socket is closed to this user", "cococtl --socket closed.sock status");
    drop(closed);
    somebody_elses(&mut page);
    page.compare();
}

/// Only root can have somebody else listen.
fn somebody_elses(page: &mut Page) {
    let how = "somebody else listens where this user's daemon should";
    if !geteuid().is_root() {
        return page.keeps(how);
    }
    fs::create_dir(page.stage.join("theirs")).unwrap();
    fs::set_permissions(page.stage.join("theirs"), Permissions::from_mode(0o777)).unwrap();
    let place = page.stage.join("theirs/control.sock");
    // Who listens is whoever did so first: the descriptor may be another's by now.
    let script = "import os, socket, sys\n\
                  s = socket.socket(socket.AF_UNIX)\n\
                  s.bind(sys.argv[1])\n\
                  os.chmod(sys.argv[1], 0o666)\n\
                  s.listen()\n\
                  print('there', flush=True)\n\
                  sys.stdin.read()\n";
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", script]).arg(&place).uid(SOMEBODY).gid(SOMEBODY);
    let mut theirs = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut there = [0; 5];
    std::io::Read::read_exact(theirs.stdout.as_mut().unwrap(), &mut there).unwrap();
    page.shows_nobody(how, "cococtl --socket theirs/control.sock status");
    drop(theirs.stdin.take());
    theirs.wait().unwrap();
}
