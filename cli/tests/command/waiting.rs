//! Long work: what is shown of it on a terminal, and what Ctrl-C leaves.

use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};

use coconet::id::{Hash, NetworkId};
use coconet::invite::Invitation;
use coconet::key::InviteSecret;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::daemon::{Asked, Daemon, http, network, status};
use crate::terminal::Terminal;

fn answer(body: &Value) -> Vec<u8> {
    http(200, body.to_string().as_bytes())
}

fn interrupt(child: &Child) {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
}

pub(crate) fn invite() -> String {
    let secret = InviteSecret::from_seed(&[7; 32]);
    let managers = vec![crate::results::manager()];
    Invitation { network: network_id(), managers, secret, expires: u64::MAX >> 12 }.to_text().to_string()
}

pub(crate) fn network_id() -> NetworkId {
    NetworkId(Hash([3; 32]))
}

pub(crate) fn work(step: &str, verified: u64, entries: Option<u64>) -> Value {
    let work =
        json!({"network": network_id().full(), "step": step, "verified": verified, "entries": entries});
    json!({"version": 1, "work": [work]})
}

/// A door that a daemon's answer waits behind.
#[derive(Clone, Default)]
struct Door(Arc<(Mutex<bool>, Condvar)>);

impl Door {
    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    fn wait(&self) {
        drop(self.0.1.wait_while(self.0.0.lock().unwrap(), |open| !*open).unwrap());
    }
}

/// A daemon that joins once the door is open, and says meanwhile what `progress` does.
fn joining(
    progress: impl Fn() -> Value + Send + Sync + 'static,
    networks: Value,
) -> (Daemon, Door, mpsc::Receiver<()>) {
    let door = Door::default();
    let behind = door.clone();
    let (asked, begun) = mpsc::channel();
    let asked = Mutex::new(asked);
    let daemon = Daemon::new(move |request: &Asked| match request.line.as_str() {
        "GET /v1/progress" => answer(&progress()),
        "GET /v1/networks" => answer(&json!({"version": 1, "networks": networks})),
        "POST /v1/join" => {
            let _ = asked.lock().unwrap().send(());
            behind.wait();
            answer(&network("home", "online", None))
        }
        other => panic!("{other}"),
    });
    (daemon, door, begun)
}

#[test]
fn a_join_shows_its_steps_on_one_line_that_goes_with_them() {
    let looks = AtomicU32::new(0);
    let steps = move || match looks.fetch_add(1, Ordering::SeqCst) {
        0 => work("connecting", 0, None),
        1 => work("writing", 0, None),
        _ => work("verifying", 512, Some(2048)),
    };
    let (daemon, door, _begun) = joining(steps, json!([]));
    let mut terminal = Terminal::run(daemon.command(&["network", "join", &invite()]), false);
    terminal.until("connecting to the manager");
    terminal.until("joining: the manager writes it into the ledger");
    terminal.until("verifying the ledger: 512 of 2048 entries");
    door.open();
    let (code, screen, out) = terminal.end();
    assert_eq!((code, out.as_str()), (0, "joined home as viewer, owner of alice, net:abc\n"), "{screen}");
    // Each goes to the line's begin and clears it, and nothing but that and the hint is left.
    let line = screen.split("\r\n").next().unwrap();
    assert!(line.rsplit("\r\u{1b}[K").next().unwrap().starts_with("hint: "), "{screen:?}");
    assert!(!screen.replace("\u{1b}[K", "").contains('\u{1b}'), "there are colours: {screen:?}");
}

#[test]
fn nothing_is_drawn_for_json_or_where_stderr_is_no_terminal() {
    for json in [false, true] {
        let (looked, looks) = mpsc::channel();
        let looked = Mutex::new(looked);
        let progress = move || {
            let _ = looked.lock().unwrap().send(());
            work("connecting", 0, None)
        };
        let (daemon, door, begun) = joining(progress, json!([]));
        let mut command = daemon.command(&["network", "join", &invite()]);
        if json {
            command.arg("--json");
            let terminal = Terminal::run(command, false);
            begun.recv().unwrap();
            door.open();
            let (code, screen, _) = terminal.end();
            assert_eq!((code, screen.as_str()), (0, ""));
        } else {
            let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            begun.recv().unwrap();
            door.open();
            let ended = child.wait_with_output().unwrap();
            assert!(!ended.stderr.contains(&0x1b), "{ended:?}");
        }
        assert!(looks.try_recv().is_err(), "the daemon was asked for nobody");
    }
}

#[test]
fn ctrl_c_says_that_an_interrupted_join_has_not_happened() {
    let heard = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&heard);
    let progress = move || {
        // As a daemon that hears of it a moment later.
        if told.swap(true, Ordering::SeqCst) {
            json!({"version": 1, "work": []})
        } else {
            work("connecting", 0, None)
        }
    };
    let (daemon, _door, begun) = joining(progress, json!([]));
    let mut command = daemon.command(&["network", "join", &invite()]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    begun.recv().unwrap();
    interrupt(&child);
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(130));
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "interrupted: not joined\n");
    assert!(heard.load(Ordering::SeqCst));
}

#[test]
fn ctrl_c_says_when_the_daemon_goes_on_or_was_faster() {
    let mut known = network("home", "online", None);
    known["id"] = json!(network_id().full());
    for (progress, networks, said) in [
        (work("writing", 0, None), json!([]), "the daemon goes on to be joined"),
        (work("verifying", 1, Some(2)), json!([]), "the daemon goes on to be joined"),
        (json!({"version": 1, "work": []}), json!([known]), "interrupted: home is joined all the same"),
    ] {
        let (daemon, _door, begun) = joining(move || progress.clone(), networks);
        let mut command = daemon.command(&["network", "join", &invite()]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        begun.recv().unwrap();
        interrupt(&child);
        let ended = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(130), "{stderr}");
        assert!(stderr.contains(said) && stderr.contains("\nhint: cococtl --socket "), "{stderr}");
    }
}

#[test]
fn an_apply_counts_its_changes_and_says_how_many_were_made() {
    let door = Door::default();
    let behind = door.clone();
    let changes = AtomicU32::new(0);
    let daemon = Daemon::new(move |asked| match asked.line.as_str() {
        "GET /v1/networks/home" => answer(&network("home", "online", None)),
        "GET /v1/networks/home/members" => {
            let users = json!([
                {"name": "alice", "role": "owner", "nodes": []},
                {"name": "bob", "role": "guest", "nodes": []},
                {"name": "carol", "role": "guest", "nodes": []},
            ]);
            answer(&json!({"version": 1, "network": "home", "users": users}))
        }
        "GET /v1/networks/home/grants" => answer(&json!({"version": 1, "grants": []})),
        "GET /v1/tunnels" => answer(&json!({"version": 1, "tunnels": []})),
        _ => {
            if changes.fetch_add(1, Ordering::SeqCst) == 1 {
                behind.wait();
            }
            answer(&json!({"version": 1, "message": "done"}))
        }
    });
    let directory = crate::daemon::Directory::new();
    let file = directory.join("home.toml");
    let text = "network = \"home\"\n[users]\nalice = \"owner\"\nbob = \"admin\"\ncarol = \"admin\"\n";
    std::fs::write(&file, text).unwrap();
    let mut command = daemon.command(&["network", "apply"]);
    command.arg(&file);
    let mut terminal = Terminal::run(command, false);
    terminal.until("2 of 2: ");
    terminal.interrupts();
    let (code, screen, out) = terminal.end();
    assert_eq!((code, out.lines().count()), (130, 1), "{screen}");
    assert!(
        screen.contains("interrupted: 1 of 2 changes made, and the daemon ends the one it has begun"),
        "{screen}"
    );
    assert!(screen.ends_with("hint: apply the file again for the rest\r\n"), "{screen}");
}

#[test]
fn ctrl_c_while_a_secret_is_asked_for_shows_what_is_typed_again() {
    let daemon = Daemon::saying(200, &json!({}));
    let mut terminal = Terminal::run(daemon.command(&["network", "recover", "-"]), false);
    terminal.until("paste the recovery key, then press Enter:");
    assert!(!terminal.echoes());
    terminal.interrupts();
    assert!(terminal.ended() == 130 && terminal.echoes());
    assert_eq!(daemon.asked(), []);
}

#[test]
fn ctrl_c_ends_what_only_watches_without_a_word() {
    let (looked, looks) = mpsc::channel();
    let looked = Mutex::new(looked);
    let daemon = Daemon::new(move |_| {
        let _ = looked.lock().unwrap().send(());
        answer(&status(&[], &[]))
    });
    let mut command = daemon.command(&["status", "--watch"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    looks.recv().unwrap();
    interrupt(&child);
    let ended = child.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), ended.stderr.as_slice()), (Some(130), b"".as_slice()));
}

#[test]
fn who_has_ctrl_c_ignored_is_not_interrupted() {
    let (daemon, door, begun) = joining(|| work("connecting", 0, None), json!([]));
    let ours = daemon.command(&["network", "join", &invite()]);
    // As a shell that is no terminal's has it for what runs in the background. Our own begins by undoing that.
    let mut command = std::process::Command::new("/bin/sh");
    command.args(["-c", "trap '' INT; exec \"$@\"", "sh"]).args(ours.get_args().skip(1));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    begun.recv().unwrap();
    interrupt(&child);
    door.open();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
