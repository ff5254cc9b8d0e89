//! A daemon to play: a unix listener whose answers are a function of the requests.

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

pub(crate) use crate::control::{Asked, http};
use crate::control::{Heard, play};

/// A directory of the test's own, removed with it.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("cococtl-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A daemon that answers with what a function says, one thread per connection.
pub(crate) struct Daemon {
    pub(crate) socket: PathBuf,
    heard: Heard,
    _directory: Directory,
}

impl Daemon {
    /// A daemon that answers each request by `answer`, and then hangs up.
    pub(crate) fn new(answer: impl Fn(&Asked) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::talking(move |asked, stream| {
            // A client that leaves early is none of the daemon's business.
            let _ = stream.write_all(&answer(asked));
        })
    }

    /// A daemon that does with each connection what `talk` does.
    pub(crate) fn talking(talk: impl Fn(&Asked, &mut UnixStream) + Send + Sync + 'static) -> Self {
        let directory = Directory::new();
        let socket = directory.join("control.sock");
        let heard = play(&socket, talk);
        Self { socket, heard, _directory: directory }
    }

    /// A daemon that always gives this answer.
    pub(crate) fn saying(status: u16, body: &Value) -> Self {
        let answer = http(status, body.to_string().as_bytes());
        Self::new(move |_| answer.clone())
    }

    /// What was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.heard.all()
    }

    /// `cococtl` for this daemon.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = cococtl(words);
        command.arg("--socket").arg(&self.socket);
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Ended {
        Ended::of(&mut self.command(words))
    }
}

/// `cococtl` with nothing of the test's environment that it looks at.
pub(crate) fn cococtl(words: &[&str]) -> Command {
    at(Path::new(env!("CARGO_BIN_EXE_cococtl")), words)
}

/// The same from another place.
pub(crate) fn at(program: &Path, words: &[&str]) -> Command {
    // A shell that is no terminal's has it ignored in what runs in the background, as these tests may.
    let mut command = Command::new("/usr/bin/env");
    command.arg("--default-signal=INT").arg(program);
    for name in ["COCO_APP", "COCO_SOCKET", "XDG_RUNTIME_DIR", "XDG_STATE_HOME"] {
        command.env_remove(name);
    }
    command.args(words).stdin(Stdio::null());
    command
}

/// What a command left behind.
#[derive(Debug, PartialEq)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    pub(crate) fn of(command: &mut Command) -> Self {
        command.output().unwrap().into()
    }

    /// Runs it with `input` on its stdin.
    pub(crate) fn fed(command: &mut Command, input: &[u8]) -> Self {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // It may have read enough before the end.
        let _ = child.stdin.take().unwrap().write_all(input);
        child.wait_with_output().unwrap().into()
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// A network as a daemon shows it.
pub(crate) fn network(name: &str, manager: &str, reason: Option<&str>) -> Value {
    json!({
        "version": 1, "name": name, "id": "net:abc", "kind": "user",
        "node": {
            "id": "n:def", "name": "viewer", "user": "alice", "kind": "app", "role": "owner",
            "member": true, "listen": ["0.0.0.0:41414"],
        },
        "manager": {
            "address": "manager.example:4433", "state": manager, "since_ms": 0, "rtt_us": 1200, "reason": reason,
        },
        "ledger": {"seq": 4, "head": "h:ghi", "alarm": null},
        "users": 1, "nodes": 2,
        "resources": [{"name": "front-door", "kind": "rtsp", "node": "camera"}],
        "peers": [],
    })
}

/// A tunnel as a daemon shows it.
pub(crate) fn tunnel(url: Option<&str>) -> Value {
    json!({
        "version": 1, "id": "t1", "network": "home", "resource": "front-door", "kind": "rtsp",
        "direction": if url.is_some() { "open" } else { "expose" }, "state": "open", "reason": null, "url": url,
        "listen": null, "target": if url.is_some() { None } else { Some("rtsp://cam:554/s") }, "node": "camera",
        "since_ms": 0, "clients": 1, "connections": 3, "failures": 0, "bytes_in": 1_500_000, "bytes_out": 20,
    })
}

/// The status of a daemon in these networks.
pub(crate) fn status(networks: &[Value], tunnels: &[Value]) -> Value {
    json!({
        "version": 1, "app": "default", "program": "0.1.0", "pid": 7, "started_ms": 0, "state_dir": "/s",
        "networks": networks, "tunnels": tunnels, "counters": {},
    })
}

/// A failure as a daemon reports it.
pub(crate) fn failure(kind: &str, hint: Option<&str>) -> Value {
    let error = json!({"kind": kind, "message": "it is so", "causes": ["outer", "inner"], "hint": hint});
    json!({"version": 1, "error": error})
}
