//! What tunnels lead to: servers of others, and small ones of our own.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;

use super::bytes::sha256;
use super::net::{Lab, free_port};
use super::process::Process;
use super::programs::{command, python, source, theirs};
use super::wait::{PATIENCE, is, until};

/// A web server.
pub(crate) struct Nginx {
    _process: Process,
    /// The files it serves.
    pub(crate) root: PathBuf,
    port: u16,
}

impl Nginx {
    /// Serve an empty directory.
    pub(crate) fn start(lab: &Lab) -> Self {
        let (dir, port) = (lab.path("nginx"), free_port());
        let root = dir.join("root");
        fs::create_dir_all(&root).unwrap();
        let dir = dir.display();
        let config = format!(
            "daemon off; master_process off; pid {dir}/pid; error_log stderr;
             events {{ worker_connections 512; }}
             http {{
                 access_log off; sendfile on; default_type application/octet-stream;
                 client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy;
                 fastcgi_temp_path {dir}/fastcgi; uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
                 server {{ listen 127.0.0.1:{port} backlog=512; root {dir}/root; }}
             }}"
        );
        let file = lab.path("nginx.conf");
        fs::write(&file, config).unwrap();
        let mut nginx = command(theirs("nginx"));
        let mut process = lab.start("nginx", nginx.args(["-e", "stderr", "-c"]).arg(file));
        until_accepts(&mut process, port);
        Self { _process: process, root, port }
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// A file of `len` zeros, which takes no room.
    pub(crate) fn zeros(&self, name: &str, len: u64) {
        fs::File::create(self.root.join(name)).unwrap().set_len(len).unwrap();
    }

    /// A file with that text.
    pub(crate) fn file(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.root.join(name), text).unwrap();
    }
}

/// An MQTT broker.
pub(crate) struct Mosquitto {
    _process: Process,
    pub(crate) port: u16,
}

impl Mosquitto {
    /// With nothing in it. Its log says who does what.
    pub(crate) fn start(lab: &Lab) -> Self {
        Self::with(lab, "allow_anonymous true\n")
    }

    /// The same, with these lines about who may come.
    pub(crate) fn with(lab: &Lab, lines: &str) -> Self {
        let port = free_port();
        let file = lab.path("mosquitto.conf");
        let config = format!("listener {port} 127.0.0.1\nlog_dest stderr\nlog_type all\n{lines}");
        fs::write(&file, config).unwrap();
        let mut process = lab.start("mosquitto", command(theirs("mosquitto")).arg("-c").arg(file));
        until_accepts(&mut process, port);
        Self { _process: process, port }
    }
}

/// The camera of the demo; returns its URL.
pub(crate) fn camera(lab: &Lab) -> (Process, String) {
    let mut camera = command(python("gi", "python3-gi"));
    let mut process = lab.start("gstreamer", camera.arg(source("demo/camera.py")));
    let url = process.says("rtsp://");
    (process, url)
}

/// The camera with pictures that fill so many bits per second; returns its URL.
pub(crate) fn camera_at(lab: &Lab, rate: u64) -> (Process, String) {
    let mut camera = command(python("gi", "python3-gi"));
    camera.arg(source("demo/camera.py")).arg("0").arg(rate.to_string());
    let mut process = lab.start("gstreamer", &camera);
    let url = process.says("rtsp://");
    (process, url)
}

/// A WebSocket server that sends back what it is sent; returns its address.
pub(crate) fn websocket_echo(lab: &Lab) -> (Process, String) {
    let mut server = command(python("websockets", "python3-websockets"));
    let mut process = lab.start("websocket", server.arg(source("tests/support/websocket.py")).arg("serve"));
    let address = process.says("127.0.0.1:");
    (process, address)
}

/// A TCP server of our own: `serve` has each connection for itself.
pub(crate) fn serve(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    serve_on("127.0.0.1:0", serve).unwrap()
}

/// As [`serve`], at a given address.
pub(crate) fn serve_on(
    address: &str,
    serve: impl Fn(TcpStream) + Send + Sync + 'static,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address)?;
    let address = listener.local_addr()?;
    let serve = std::sync::Arc::new(serve);
    // Ends with the test program.
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = std::sync::Arc::clone(&serve);
            thread::spawn(move || serve(stream));
        }
    });
    Ok(address)
}

/// Send back what comes, until it ends.
pub(crate) fn echo(mut stream: TcpStream) {
    let mut reader = stream.try_clone().unwrap();
    // Broken by a test on purpose, perhaps.
    let _ = io::copy(&mut reader, &mut stream);
}

/// Fail unless a connection breaks soon: what was under way may come first, a clean end may not.
pub(crate) fn assert_cut(connection: &mut TcpStream) {
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    let error = io::copy(connection, &mut io::sink()).expect_err("a clean end");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

/// Answer an upload with its SHA-256.
pub(crate) fn hash_upload(stream: TcpStream) {
    let mut head = BufReader::new(&stream);
    let (mut length, mut waits) = (0, false);
    loop {
        let mut line = String::new();
        head.read_line(&mut line).unwrap();
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
        waits |= line == "expect: 100-continue";
        if line.is_empty() {
            break;
        }
    }
    if waits {
        (&stream).write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
    }
    let (hash, _) = sha256(head.take(length)).unwrap();
    let answer =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{hash}", hash.len());
    (&stream).write_all(answer.as_bytes()).unwrap();
}

/// Put the scripts of the tests to work: `websocket.py talk URL`.
pub(crate) fn websocket_talk(url: &str) -> std::process::Command {
    let mut talk = command(python("websockets", "python3-websockets"));
    talk.arg(source("tests/support/websocket.py")).args(["talk", url]);
    talk
}

/// The size of a file that is being written.
pub(crate) fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

fn until_accepts(process: &mut Process, port: u16) {
    until(&format!("somebody accepts on port {port}"), PATIENCE, || {
        process.assert_runs();
        is(TcpStream::connect(("127.0.0.1", port)).is_ok(), "connection refused")
    });
}
