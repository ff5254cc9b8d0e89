//! RTSP messages as they stand on the wire, for the scripted camera and the scripted viewer.

use std::io::{self, Read};
use std::net::TcpStream;

/// A request or an answer.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    /// `PLAY rtsp://... RTSP/1.0` or `RTSP/1.0 200 OK`.
    pub(crate) first: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// A header's value, whatever the case of its name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn method(&self) -> &str {
        self.first.split(' ').next().unwrap_or_default()
    }

    pub(crate) fn uri(&self) -> &str {
        self.first.split(' ').nth(1).unwrap_or_default()
    }

    /// The status of an answer; `None`: it is a request.
    pub(crate) fn status(&self) -> Option<u16> {
        self.first.strip_prefix("RTSP/1.0 ")?.split(' ').next()?.parse().ok()
    }

    /// One of the fields of a Transport header.
    pub(crate) fn transport(&self, name: &str) -> Option<&str> {
        let fields = self.get("Transport")?.split(';');
        fields
            .filter_map(|field| field.trim().split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }
}

/// What comes next on a connection.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    Message(Message),
    /// An interleaved frame and its channel.
    Frame(u8, Vec<u8>),
}

/// Reads a connection.
#[derive(Debug)]
pub(crate) struct Reader {
    stream: TcpStream,
    ahead: Vec<u8>,
    /// Everything that ever came.
    pub(crate) seen: Vec<u8>,
}

impl Reader {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, ahead: Vec::new(), seen: Vec::new() }
    }

    /// `None` at the end.
    pub(crate) fn item(&mut self) -> io::Result<Option<Item>> {
        loop {
            if let Some((item, used)) = parse(&self.ahead)? {
                self.ahead.drain(..used);
                return Ok(Some(item));
            }
            let mut buffer = [0; 1 << 14];
            let count = self.stream.read(&mut buffer)?;
            if count == 0 {
                return Ok(None);
            }
            self.ahead.extend(&buffer[..count]);
            self.seen.extend(&buffer[..count]);
        }
    }
}

/// The first item and how many bytes it has. What we read was written by coco, which is to write it well: CR LF, one
/// line for each header.
fn parse(bytes: &[u8]) -> io::Result<Option<(Item, usize)>> {
    if let Some(rest) = bytes.strip_prefix(b"$") {
        let [channel, high, low, ..] = *rest else { return Ok(None) };
        let end = 3 + usize::from(u16::from_be_bytes([high, low]));
        return Ok(rest.get(3..end).map(|frame| (Item::Frame(channel, frame.to_vec()), 1 + end)));
    }
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[..end]).map_err(io::Error::other)?;
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default().to_owned();
    let mut headers = Vec::new();
    for line in lines {
        let (name, value) =
            line.split_once(':').ok_or_else(|| io::Error::other(format!("not a header: {line:?}")))?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut message = Message { first, headers, body: Vec::new() };
    if !message.first.contains("RTSP/1.0") {
        return Err(io::Error::other(format!("not RTSP: {:?}", message.first)));
    }
    let length =
        message.get("Content-Length").map_or(Ok(0), str::parse::<usize>).map_err(io::Error::other)?;
    let Some(body) = bytes.get(end + 4..end + 4 + length) else { return Ok(None) };
    message.body = body.to_vec();
    Ok(Some((Item::Message(message), end + 4 + length)))
}
