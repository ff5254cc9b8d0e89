//! Messages and interleaved frames in one stream of bytes.
//!
//! [`Reader`] takes bytes as they come, split and coalesced anyhow, and gives whole [`Item`]s: requests,
//! responses, and the `$` frames that may stand between any two of them. It is lenient where cameras and
//! players are sloppy: lines that end in LF alone, folded headers, names in any case or with a space before
//! the colon, empty lines before a message, no CSeq. It refuses what two readers could read differently:
//! a CR inside a line, two lengths that differ.
//!
//! A [`Message`] keeps its start line and headers as they were written, and what is not asked to change
//! goes out with the same bytes, except that every line ends in CRLF, a folded one is whole, control
//! characters are blanks, and the length stands there once and spelled properly: what is read here as its
//! body is so for everybody who reads it next. What goes to a camera is made anew of what is known
//! ([`Message::only`]). Parsers of the field (`rtsp-types`) sort and respell headers, and stop at the
//! first sloppy line.

use std::borrow::Cow;

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Longest head of a message, in bytes.
pub const HEAD_MAX: usize = 64 * 1024;

/// Most headers of a message.
pub const HEADERS_MAX: usize = 128;

/// Longest body of a message. Session descriptions have 1 to 10 KiB; parameters less.
pub const BODY_MAX: usize = 128 * 1024;

/// Bytes before the payload of a frame: `$`, the channel, the length.
pub const FRAME_HEAD: usize = 4;

const CONTENT_LENGTH: &str = "Content-Length";

/// What stands next in the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A request or a response.
    Message(Message),
    /// An interleaved frame.
    Frame {
        /// Its channel.
        channel: u8,
        /// Up to 65535 bytes.
        payload: Bytes,
    },
}

/// Why a stream cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadMessage {
    /// Neither a request nor a response.
    #[error("not an RTSP message")]
    StartLine,
    /// A header that two readers could read differently.
    #[error("a malformed header")]
    Header,
    /// Longer than [`HEAD_MAX`], or more than [`HEADERS_MAX`] headers.
    #[error("a head that is too long")]
    Head,
    /// A Content-Length that is no number, differs from another one, or exceeds [`BODY_MAX`].
    #[error("a malformed or too large Content-Length")]
    Body,
}

/// A request or a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    start: String,
    /// Whole lines without their ends, unfolded.
    headers: Vec<Vec<u8>>,
    body: Bytes,
}

/// What a message is, by its start line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start<'a> {
    /// A request.
    Request {
        /// As spelled: methods are case-sensitive.
        method: &'a str,
        /// As spelled.
        uri: &'a str,
        /// `RTSP/1.0`, or what else stands there.
        version: &'a str,
    },
    /// A response.
    Response {
        /// 100 to 999.
        code: u16,
    },
}

impl Message {
    /// A request of our own.
    pub fn request(method: &str, uri: &str) -> Self {
        let start = format!("{method} {} RTSP/1.0", clean(uri));
        Self { start, headers: Vec::new(), body: Bytes::new() }
    }

    /// A response of our own.
    pub fn response(code: u16, reason: &str) -> Self {
        let start = format!("RTSP/1.0 {code} {}", clean(reason));
        Self { start, headers: Vec::new(), body: Bytes::new() }
    }

    /// What it is.
    pub fn start(&self) -> Start<'_> {
        // It was parsed when the message was made.
        start_of(&self.start).unwrap_or(Start::Response { code: 500 })
    }

    /// The method, of a request.
    pub fn method(&self) -> Option<&str> {
        match self.start() {
            Start::Request { method, .. } => Some(method),
            Start::Response { .. } => None,
        }
    }

    /// The URI, of a request.
    pub fn uri(&self) -> Option<&str> {
        match self.start() {
            Start::Request { uri, .. } => Some(uri),
            Start::Response { .. } => None,
        }
    }

    /// The status, of a response.
    pub fn code(&self) -> Option<u16> {
        match self.start() {
            Start::Response { code } => Some(code),
            Start::Request { .. } => None,
        }
    }

    /// Ask for another URI.
    pub fn set_uri(&mut self, uri: &str) {
        if let Start::Request { method, version, .. } = self.start() {
            self.start = format!("{method} {} {version}", clean(uri));
        }
    }

    /// The values of a header, in their order.
    pub fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Cow<'a, str>> {
        self.headers.iter().filter(move |line| is(line, name)).map(|line| value_of(line))
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        self.headers.iter().find(|line| is(line, name)).map(|line| value_of(line))
    }

    /// Whether one of the header's values lists `token`, in any case.
    pub fn lists(&self, name: &str, token: &str) -> bool {
        self.headers(name).any(|value| value.split(',').any(|one| one.trim().eq_ignore_ascii_case(token)))
    }

    /// Give a header one value: in the place and spelling of the first that is there, or at the end.
    pub fn set(&mut self, name: &str, value: &str) {
        let value = clean(value);
        let mut lines = self.headers.iter_mut().filter(|line| is(line, name));
        match lines.next() {
            Some(line) => {
                let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
                line.truncate(colon);
                line.extend_from_slice(b": ");
                line.extend_from_slice(value.as_bytes());
                let mut seen = false;
                self.headers.retain(|line| !is(line, name) || !std::mem::replace(&mut seen, true));
            }
            None => self.headers.push(format!("{name}: {value}").into_bytes()),
        }
    }

    /// Change each value of a header; `None` leaves it as it is.
    pub fn map(&mut self, name: &str, mut change: impl FnMut(&str) -> Option<String>) {
        for line in self.headers.iter_mut().filter(|line| is(line, name)) {
            if let Some(value) = change(&value_of(line)) {
                let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
                line.truncate(colon);
                line.extend_from_slice(b": ");
                line.extend_from_slice(clean(&value).as_bytes());
            }
        }
    }

    /// The same with nothing but these headers, spelled like this, and the body. Those of `lists` may be there
    /// more than once; of the others only the first goes on.
    #[must_use]
    pub fn only(&self, names: &[&str], lists: &[&str]) -> Self {
        let start = match self.start() {
            Start::Request { method, uri, .. } => format!("{method} {uri} RTSP/1.0"),
            Start::Response { .. } => self.start.clone(),
        };
        let mut only = Self { start, headers: Vec::new(), body: Bytes::new() };
        for line in &self.headers {
            let found = names.iter().find(|name| is(line, name) && only.header(name).is_none());
            if let Some(name) = found.or_else(|| lists.iter().find(|name| is(line, name))) {
                only.headers.push(format!("{name}: {}", clean(&value_of(line))).into_bytes());
            }
        }
        if !self.body.is_empty() {
            only.set_body(self.body.clone());
        }
        only
    }

    /// Take a header off.
    pub fn remove(&mut self, name: &str) {
        self.headers.retain(|line| !is(line, name));
    }

    /// With one more header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    /// The body.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Another body, and its length.
    pub fn set_body(&mut self, body: Bytes) {
        self.set_length(body.len());
        self.body = body;
    }

    /// In one way that nobody can read otherwise, where the first stood.
    fn set_length(&mut self, length: usize) {
        let line = format!("{CONTENT_LENGTH}: {length}").into_bytes();
        let place = self.headers.iter().position(|line| is(line, CONTENT_LENGTH));
        self.remove(CONTENT_LENGTH);
        self.headers.insert(place.unwrap_or(self.headers.len()), line);
    }

    /// The bytes to send.
    pub fn encode(&self) -> Bytes {
        let head: usize = self.headers.iter().map(|line| line.len() + 2).sum();
        let mut bytes = BytesMut::with_capacity(self.start.len() + head + self.body.len() + 4);
        bytes.put_slice(self.start.as_bytes());
        bytes.put_slice(b"\r\n");
        for line in &self.headers {
            bytes.put_slice(line);
            bytes.put_slice(b"\r\n");
        }
        bytes.put_slice(b"\r\n");
        bytes.put_slice(&self.body);
        bytes.freeze()
    }
}

/// A frame's head and payload; `None` when the payload is longer than the length can say.
pub fn frame(channel: u8, payload: &[u8]) -> Option<Bytes> {
    let length = u16::try_from(payload.len()).ok()?;
    let mut bytes = BytesMut::with_capacity(FRAME_HEAD + payload.len());
    bytes.put_u8(b'$');
    bytes.put_u8(channel);
    bytes.put_u16(length);
    bytes.put_slice(payload);
    Some(bytes.freeze())
}

/// Reads [`Item`]s out of bytes. [`Reader::push`] what came, then take with [`Reader::next`] until it has
/// no more. After an error it gives nothing but that error: where the next message begins is not known.
#[derive(Debug, Default)]
pub struct Reader {
    buffer: BytesMut,
    /// Bytes at the beginning of the buffer in which the head does not end.
    scanned: usize,
    /// A head that was read and waits for its body.
    head: Option<(Message, usize)>,
    failed: Option<BadMessage>,
}

impl Reader {
    /// Bytes that came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Room to read into.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Everything that was not read yet, for somebody who reads another protocol.
    pub fn into_rest(self) -> Bytes {
        self.buffer.freeze()
    }

    /// Whether the stream begins with a request of HTTP, which is a tunnel of RTSP inside HTTP. `None`
    /// while that cannot be told.
    pub fn begins_with_http(&self) -> Option<bool> {
        for method in [&b"GET "[..], b"POST "] {
            let seen = self.buffer.len().min(method.len());
            if self.buffer[..seen] == method[..seen] {
                return (seen == method.len()).then_some(true);
            }
        }
        Some(false)
    }

    /// The next item; `None` until more bytes come.
    #[expect(clippy::should_implement_trait, reason = "it is none: it goes on after None")]
    pub fn next(&mut self) -> Result<Option<Item>, BadMessage> {
        if let Some(bad) = self.failed {
            return Err(bad);
        }
        let next = self.read();
        if let Err(bad) = next {
            self.failed = Some(bad);
            self.buffer.clear();
        }
        next
    }

    fn read(&mut self) -> Result<Option<Item>, BadMessage> {
        if self.head.is_none() {
            let blank = self.buffer.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            // A CR may be the first half of what ends an empty line, or stand before a head: either way it
            // says nothing.
            self.buffer.advance(blank);
            if blank > 0 {
                self.scanned = 0;
            }
            match self.buffer.first() {
                None => return Ok(None),
                Some(b'$') => return Ok(self.frame()),
                Some(_) => {}
            }
            let Some(head) = self.head_end()? else { return Ok(None) };
            let head = self.buffer.split_to(head);
            self.scanned = 0;
            let mut message = parse_head(&head)?;
            let length = content_length(&message)?;
            if let Some(length) = length {
                message.set_length(length);
            }
            self.head = Some((message, length.unwrap_or(0)));
        }
        match self.head.take() {
            Some((mut message, length)) if self.buffer.len() >= length => {
                message.body = self.buffer.split_to(length).freeze();
                Ok(Some(Item::Message(message)))
            }
            waiting => {
                self.head = waiting;
                Ok(None)
            }
        }
    }

    fn frame(&mut self) -> Option<Item> {
        let head = self.buffer.get(..FRAME_HEAD)?;
        let (channel, length) = (head[1], usize::from(u16::from_be_bytes([head[2], head[3]])));
        if self.buffer.len() < FRAME_HEAD + length {
            return None;
        }
        self.buffer.advance(FRAME_HEAD);
        Some(Item::Frame { channel, payload: self.buffer.split_to(length).freeze() })
    }

    /// Where the body begins: after an empty line, however lines end.
    fn head_end(&mut self) -> Result<Option<usize>, BadMessage> {
        let mut at = self.scanned;
        while let Some(found) = self.buffer[at..].iter().position(|byte| *byte == b'\n') {
            let line_end = at + found;
            let rest = &self.buffer[line_end + 1..];
            let blank = match rest {
                [b'\n', ..] => Some(1),
                [b'\r', b'\n', ..] => Some(2),
                _ => None,
            };
            if let Some(blank) = blank {
                let end = line_end + 1 + blank;
                return if end <= HEAD_MAX { Ok(Some(end)) } else { Err(BadMessage::Head) };
            }
            if rest.len() < 2 {
                // The empty line may be under way: look at this line's end again.
                at = line_end;
                break;
            }
            at = line_end + 1;
        }
        self.scanned = at;
        if self.buffer.len() > HEAD_MAX { Err(BadMessage::Head) } else { Ok(None) }
    }
}

fn parse_head(head: &[u8]) -> Result<Message, BadMessage> {
    let mut lines = head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let start = lines.next().unwrap_or_default();
    let start = std::str::from_utf8(start).map_err(|_| BadMessage::StartLine)?.trim_end().to_owned();
    if start.chars().any(char::is_control) || start_of(&start).is_none() {
        return Err(BadMessage::StartLine);
    }
    let mut headers: Vec<Vec<u8>> = Vec::new();
    for line in lines.filter(|line| !line.is_empty()) {
        // A blanked first character would make it the end of the line before.
        let blanked = line[0].is_ascii_control() && line[0] != b'\t';
        if blanked || line.iter().any(|byte| matches!(byte, b'\r' | 0)) {
            return Err(BadMessage::Header);
        }
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            let folded = headers.last_mut().ok_or(BadMessage::Header)?;
            folded.push(b' ');
            folded.extend(
                line.trim_ascii().iter().map(|byte| if byte.is_ascii_control() { b' ' } else { *byte }),
            );
            continue;
        }
        if headers.len() == HEADERS_MAX {
            return Err(BadMessage::Head);
        }
        // What no header may hold is blanked, as it would be in one that is changed.
        headers.push(line.iter().map(|byte| if byte.is_ascii_control() { b' ' } else { *byte }).collect());
    }
    Ok(Message { start, headers, body: Bytes::new() })
}

fn content_length(message: &Message) -> Result<Option<usize>, BadMessage> {
    let mut length = None;
    for value in message.headers(CONTENT_LENGTH) {
        let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let one: usize = value.parse().ok().filter(|_| digits).ok_or(BadMessage::Body)?;
        if one > BODY_MAX || length.is_some_and(|length| length != one) {
            return Err(BadMessage::Body);
        }
        length = Some(one);
    }
    Ok(length)
}

fn start_of(line: &str) -> Option<Start<'_>> {
    if is_version(line.split(' ').next().unwrap_or_default()) {
        let code = line.split(' ').filter(|word| !word.is_empty()).nth(1)?;
        let code = code.parse().ok().filter(|code| (100..1000).contains(code))?;
        return Some(Start::Response { code });
    }
    // A URI with spaces in it is a sloppy player's; the version is what stands last.
    let (method, rest) = line.split_once(' ')?;
    let (uri, version) = rest.rsplit_once(' ')?;
    let uri = uri.trim();
    let token = !method.is_empty()
        && method.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    (token && !uri.is_empty() && is_version(version)).then_some(Start::Request { method, uri, version })
}

fn is_version(word: &str) -> bool {
    word.get(..5).is_some_and(|name| name.eq_ignore_ascii_case("RTSP/")) && word.len() > 5
}

fn name_of(line: &[u8]) -> &[u8] {
    let colon = line.iter().position(|byte| *byte == b':').unwrap_or(0);
    line[..colon].trim_ascii()
}

fn is(line: &[u8], name: &str) -> bool {
    name_of(line).eq_ignore_ascii_case(name.as_bytes())
}

fn value_of(line: &[u8]) -> Cow<'_, str> {
    let colon = line.iter().position(|byte| *byte == b':').map_or(line.len(), |at| at + 1);
    String::from_utf8_lossy(line[colon..].trim_ascii())
}

/// Nothing that is put into a line ends it.
fn clean(text: &str) -> Cow<'_, str> {
    if text.contains(|char: char| char.is_ascii_control()) {
        text.replace(|char: char| char.is_ascii_control(), " ").into()
    } else {
        text.into()
    }
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
