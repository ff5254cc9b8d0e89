//! A web server that tells what it was sent, and a client that says what it is told to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use crate::support::targets::serve;
use crate::support::wait::PATIENCE;

/// A server that answers each request with the head it got, and remembers all of them.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Origin {
    /// With `fields` in each response.
    pub(crate) fn start(fields: &'static str) -> Self {
        let heads = Arc::new(Mutex::new(Vec::new()));
        let remembered = Arc::clone(&heads);
        let address = serve(move |stream| {
            let mut reader = BufReader::new(&stream);
            while let Some(head) = read_head(&mut reader) {
                remembered.lock().unwrap().push(head.clone());
                let length = length_of(&head);
                std::io::copy(&mut (&mut reader).take(length), &mut std::io::sink()).unwrap();
                let fields = fields.replace("$TARGET", &stream.local_addr().unwrap().to_string());
                let answer =
                    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{fields}\r\n{head}", head.len());
                let last = head.contains("Connection: close\r\n");
                if (&stream).write_all(answer.as_bytes()).is_err() || last {
                    return;
                }
            }
        });
        Self { address, heads }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// The heads that came since the last look.
    pub(crate) fn took(&self) -> Vec<String> {
        std::mem::take(&mut self.heads.lock().unwrap())
    }
}

/// The next head, with its empty line; `None` at the end.
pub(crate) fn read_head(reader: &mut impl BufRead) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return None;
        }
    }
    Some(head)
}

/// What `Content-Length` says in a head.
pub(crate) fn length_of(head: &str) -> u64 {
    let line = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    line.map_or(0, |length| length.parse().unwrap())
}

/// A connection to a listener.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Say `bytes`, and hear all that is answered until the other end hangs up.
pub(crate) fn say(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = connect(address);
    stream.write_all(bytes).unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).unwrap();
    String::from_utf8_lossy(&heard).into_owned()
}

/// One request with its own connection: the status and the body.
pub(crate) fn ask(address: SocketAddr, line: &str, fields: &str) -> (u16, String) {
    let head = format!("{line} HTTP/1.1\r\nHost: {address}\r\n{fields}Connection: close\r\n\r\n");
    let mut stream = connect(address);
    stream.write_all(head.as_bytes()).unwrap();
    let mut reader = BufReader::new(stream);
    let head = read_head(&mut reader).unwrap();
    let mut body = String::new();
    reader.take(length_of(&head)).read_to_string(&mut body).unwrap();
    (head[9..12].parse().unwrap(), body)
}
