//! A control socket to play the daemon on: what is answered is a function of what is asked. One thread per
//! connection, which carries one request.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

/// What a client asked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    /// Method and path.
    pub(crate) line: String,
    /// The body; null without one.
    pub(crate) body: Value,
}

/// What was asked on a socket so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<Vec<Asked>>>);

impl Heard {
    /// All of it.
    pub(crate) fn all(&self) -> Vec<Asked> {
        self.0.lock().unwrap().clone()
    }
}

/// Listens on `socket`, and does with each connection what `talk` does, until the program ends.
pub(crate) fn play(socket: &Path, talk: impl Fn(&Asked, &mut UnixStream) + Send + Sync + 'static) -> Heard {
    let listener = UnixListener::bind(socket).unwrap();
    let heard = Heard::default();
    let (log, talk) = (heard.clone(), Arc::new(talk));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (log, talk) = (log.clone(), Arc::clone(&talk));
            thread::spawn(move || serve(stream.unwrap(), &log, &*talk));
        }
    });
    heard
}

fn serve(mut stream: UnixStream, heard: &Heard, talk: &(dyn Fn(&Asked, &mut UnixStream) + Send + Sync)) {
    let Some(asked) = request(&stream) else { return };
    heard.0.lock().unwrap().push(asked.clone());
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
