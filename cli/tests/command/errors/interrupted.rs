//! Ctrl-C: what is said of how things stand.

use std::io::Write;
use std::process::Stdio;
use std::sync::{Mutex, mpsc};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::page::Page;
use super::until_gone;
use crate::applying::{FILE, answer as of_world, before};
use crate::daemon::{Asked, Daemon, http, network, tunnel};
use crate::waiting::{invite, network_id, work};

/// A daemon that does not come to an end with what begins with `POST` or `DELETE` when `slow` says so, and says of
/// the rest what `known` does.
fn busy(
    slow: impl Fn(&Asked) -> bool + Send + Sync + 'static,
    known: impl Fn(&Asked) -> Option<Value> + Send + Sync + 'static,
) -> (Daemon, mpsc::Receiver<()>) {
    let (tell, begun) = mpsc::channel();
    let tell = Mutex::new(tell);
    let daemon = Daemon::talking(move |asked, stream| {
        if slow(asked) {
            let _ = tell.lock().unwrap().send(());
            until_gone(stream);
        } else if let Some(known) = known(asked) {
            let _ = stream.write_all(&http(200, known.to_string().as_bytes()));
        }
    });
    (daemon, begun)
}

fn interrupts(page: &mut Page, how: &str, line: &str, (daemon, begun): (Daemon, mpsc::Receiver<()>)) {
    page.with(daemon);
    // The shell's place is taken, so that the signal is the command's.
    let mut command = page.shell(&format!("exec {line}"));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    begun.recv().unwrap();
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
    page.tells(how, line, &child.wait_with_output().unwrap().into());
}

fn changing(asked: &Asked) -> bool {
    !asked.line.starts_with("GET ")
}

#[test]
fn who_interrupts_hears_how_things_stand() {
    let mut page = Page::new("interrupted");
    page.file("invite.txt", invite());
    let join = "cococtl network join --file invite.txt";
    let idle = json!({"version": 1, "work": []});
    let joining = |progress: Value, networks: Value| {
        busy(changing, move |asked| match asked.line.as_str() {
            "GET /v1/progress" => Some(progress.clone()),
            _ => Some(json!({"version": 1, "networks": networks})),
        })
    };
    let mut home = network("home", "online", None);
    home["id"] = json!(network_id().full());
    interrupts(&mut page, "nothing has happened yet", join, joining(idle.clone(), json!([])));
    interrupts(&mut page, "it has happened", join, joining(idle, json!([home])));
    let writing = joining(work("writing", 0, None), json!([]));
    interrupts(&mut page, "it happens", join, writing);
    interrupts(&mut page, "the daemon has gone, too", join, busy(changing, |_| None));

    let open = "cococtl tunnel open front-door";
    let opening = |tunnels: Value| busy(changing, move |_| Some(json!({"version": 1, "tunnels": tunnels})));
    interrupts(&mut page, "a tunnel is not open yet", open, opening(json!([])));
    interrupts(&mut page, "it is", open, opening(json!([tunnel(Some("rtsp://127.0.0.1:1/s"))])));
    interrupts(&mut page, "nobody knows", open, busy(changing, |_| None));

    for line in [
        "cococtl network role home bob admin",
        "cococtl network invite home --self",
        "cococtl tunnel close t1",
    ] {
        interrupts(&mut page, "a change is with the manager", line, busy(changing, |_| None));
    }
    page.file("home.toml", FILE);
    let second =
        busy(|asked| asked.body["change"] == "remove-user", |asked| Some(of_world(&mut before(), asked)));
    interrupts(&mut page, "one of several changes is", "cococtl network apply home.toml", second);
    let status = busy(|_| true, |_| None);
    interrupts(&mut page, "nothing was to be changed", "cococtl status", status);
    page.compare();
}
