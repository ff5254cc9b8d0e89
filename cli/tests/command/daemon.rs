//! A daemon to play: a unix listener whose answers are a function of the requests.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

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

/// What a client asked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    /// Method and path.
    pub(crate) line: String,
    /// The body; null without one.
    pub(crate) body: Value,
}

/// A daemon that answers with what a function says, one thread per connection.
pub(crate) struct Daemon {
    pub(crate) socket: PathBuf,
    asked: Arc<Mutex<Vec<Asked>>>,
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
        let listener = UnixListener::bind(&socket).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, talk) = (Arc::clone(&asked), Arc::new(talk));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (log, talk) = (Arc::clone(&log), Arc::clone(&talk));
                thread::spawn(move || serve(stream.unwrap(), &log, &*talk));
            }
        });
        Self { socket, asked, _directory: directory }
    }

    /// A daemon that always gives this answer.
    pub(crate) fn saying(status: u16, body: &Value) -> Self {
        let answer = http(status, body.to_string().as_bytes());
        Self::new(move |_| answer.clone())
    }

    /// What was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
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

fn serve(
    mut stream: UnixStream,
    log: &Mutex<Vec<Asked>>,
    talk: &(dyn Fn(&Asked, &mut UnixStream) + Send + Sync),
) {
    let Some(asked) = request(&stream) else { return };
    log.lock().unwrap().push(asked.clone());
    talk(&asked, &mut stream);
}

fn request(stream: &UnixStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (None, 0);
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header).ok()? == 0 {
            return None;
        }
        let header = header.trim_end();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        line.get_or_insert_with(|| header.trim_end_matches(" HTTP/1.1").to_owned());
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
    Some(Asked { line: line?, body })
}

/// An HTTP answer, whole.
pub(crate) fn http(status: u16, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
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
