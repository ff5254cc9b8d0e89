//! `run`: what can be in the way of a program that is to live in a namespace.

use std::io::Write;

use serde_json::json;

use super::page::Page;
use super::until_gone;
use crate::daemon::{Daemon, failure};

const UPGRADED: &str = "HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: coco-sockets\r\n\r\n";

/// A daemon that asks these of a run, and then waits for its end.
fn asking(lines: &[serde_json::Value]) -> Daemon {
    let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
    Daemon::talking(move |_, stream| {
        let _ = stream.write_all(format!("{UPGRADED}{lines}").as_bytes());
        until_gone(stream);
    })
}

#[test]
fn what_keeps_a_program_from_running_inside_is_said() {
    let mut page = Page::new("run");
    let line = "cococtl run home -- true";
    page.without().shows("no daemon", &[line]);
    let refusing = Daemon::saying(404, &failure("not-found", Some("cococtl network list")));
    page.with(refusing).shows("the daemon refuses", &[line]);
    page.with(Daemon::new(|_| Vec::new())).shows("the daemon goes away", &[line]);

    page.file("script", "#!/nonexistent\n");
    page.file("text", "x");
    page.with(asking(&[json!({"ask": "ready"})]));
    page.shows(
        "the program cannot be started",
        &[
            "cococtl run home -- nowhere",
            "cococtl run home -- ./text",
            "cococtl run home -- /",
            "chmod +x script; cococtl run home -- ./script",
            "SHELL=/nowhere cococtl run home --shell",
        ],
    );
    page.shows("it ends by itself", &["cococtl run home -- sh -c 'exit 7'"]);
    page.shows(
        "it is started where nothing is left inside",
        &["mkdir -p runtime/below; cd runtime/below; cococtl run home -- true"],
    );
    let unmade = "unshare --user --map-root-user --mount sh -c";
    page.shows(
        "this machine makes no more namespaces",
        &[&format!("{unmade} 'echo 0 > /proc/sys/user/max_user_namespaces; cococtl run home -- true'")],
    );
    page.shows(
        "there is no hosts file",
        &[&format!("{unmade} 'mount -t tmpfs none /etc; cococtl run home -- true'")],
    );
    let pieces = "mount -t tmpfs none /proc; cococtl run home -- true";
    let full = "echo 0 > /proc/sys/user/max_mnt_namespaces; cococtl run home -- true";
    page.shows("there are too many trees of mounts", &[&format!("{unmade} '{full}'")]);
    let strange = "mount -t tmpfs none /etc; mkdir /etc/nsswitch.conf; cococtl run home -- true";
    page.shows("what says how names are looked up cannot be read", &[&format!("{unmade} '{strange}'")]);
    let hidden = "mount -t tmpfs none /proc/sys; cococtl run home -- true";
    page.shows("parts of /proc are hidden, as in a container", &[&format!("{unmade} '{hidden}'")]);
    page.shows("nobody is known here", &["unshare --user cococtl run home -- true"]);
    page.shows("there is no /proc", &[&format!("{unmade} '{pieces}'")]);
    page.shows("a part of it is run by itself", &["cococtl run-inside true"]);

    let interface = json!({"ask": "make", "id": 1, "keep": null,
        "wanted": [{"interface": {"address": "fd00::1", "mtu": 1280}}]});
    let covered = "mount -t tmpfs none /dev; cococtl run home --ip -- true";
    let no_device = format!("{unmade} '{covered}'");
    page.with(asking(&[interface])).shows("there is no device for interfaces", &[&no_device]);
    page.compare();
}
