//! Heads: where one ends, what its lines are, and what must not be in it.
//!
//! [`Scanner`] reads along as bytes arrive and finds the end. It stops at the first byte that two readers
//! could take for two different things: a line that ends without CR, a CR that ends no line, a NUL. What
//! it has found whole, [`Head`] cuts into its first line and its fields, without changing a byte.
//! [`Request`] and [`Response`] then hold what must be true of every message, whoever sends it: one
//! length or none, one host, no fold, no space before a colon. They say how the body ends ([`Framing`]);
//! who may do what is judged elsewhere, by the same bytes.

use core::ops::Range;

use bytes::Bytes;

use super::framing::Framing;
use super::refusal::Refusal;

/// Longest head, in bytes. Browsers send a few hundred, single sign-on some thousands.
pub const HEAD_MAX: usize = 64 * 1024;

/// Most fields of a head.
pub const FIELDS_MAX: usize = 128;

/// Digits of the longest length: what fits into 64 bits whatever they are.
const LENGTH_DIGITS: usize = 19;

/// Finds the end of a head in the bytes that come.
#[derive(Debug, Default)]
pub struct Scanner {
    seen: usize,
    line: usize,
    after_cr: bool,
}

/// A head, cut into its lines.
#[derive(Debug, Clone)]
pub struct Head {
    bytes: Bytes,
    first: Range<usize>,
    fields: Vec<Cut>,
}

#[derive(Debug, Clone)]
struct Cut {
    line: Range<usize>,
    name: Range<usize>,
    value: Range<usize>,
}

/// One field.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    /// All of it, with its CR LF.
    pub line: &'a [u8],
    /// The name, as it was written.
    pub name: &'a [u8],
    /// The value, without the spaces around it.
    pub value: &'a [u8],
}

/// A request's head that may be forwarded as far as HTTP goes.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its lines.
    pub head: Head,
    /// How its body ends.
    pub framing: Framing,
    /// Whether it asks for another protocol.
    pub upgrade: bool,
    method: Range<usize>,
    target: Range<usize>,
    host: Option<Bytes>,
}

/// A response's head that may be forwarded.
#[derive(Debug, Clone)]
pub struct Response {
    /// Its lines.
    pub head: Head,
    /// How its body ends.
    pub framing: Framing,
    /// Its status.
    pub status: u16,
}

/// What must be known of a request to read its responses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// The method was HEAD.
    pub is_head: bool,
    /// It asks for another protocol.
    pub upgrade: bool,
    /// The host it named.
    pub host: Option<Bytes>,
}

impl Scanner {
    /// Read on. `Some`: the head ends after that many bytes of `bytes`.
    pub fn scan(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        for (at, &byte) in bytes.iter().enumerate() {
            self.seen += 1;
            if self.seen == 1 && !is_token(byte) {
                return Err(Refusal::RequestLine);
            }
            if self.seen > HEAD_MAX {
                return Err(Refusal::HeadTooLong);
            }
            match byte {
                b'\n' if !self.after_cr => return Err(Refusal::BareLf),
                b'\n' if self.line == 0 => return Ok(Some(at + 1)),
                b'\n' => (self.line, self.after_cr) = (0, false),
                _ if self.after_cr => return Err(Refusal::BareCr),
                b'\r' => self.after_cr = true,
                0 => return Err(Refusal::Nul),
                _ => self.line += 1,
            }
        }
        Ok(None)
    }
}

impl Head {
    /// Cut a head that a [`Scanner`] has found.
    fn cut(bytes: Bytes) -> Result<Self, Refusal> {
        let mut lines = Lines { bytes: &bytes, at: 0 };
        let first = lines.next().ok_or(Refusal::RequestLine)?;
        let first = first.start..first.end - 2;
        let mut fields = Vec::with_capacity(16);
        for line in lines {
            if line.len() == 2 {
                break;
            }
            if fields.len() == FIELDS_MAX {
                return Err(Refusal::TooManyFields);
            }
            fields.push(cut_field(&bytes, line)?);
        }
        Ok(Self { first, fields, bytes })
    }

    /// All of it.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The first line, without CR LF.
    pub fn first_line(&self) -> &[u8] {
        &self.bytes[self.first.clone()]
    }

    /// The fields in their order.
    pub fn fields(&self) -> impl Iterator<Item = Field<'_>> {
        self.fields.iter().map(|cut| Field {
            line: &self.bytes[cut.line.clone()],
            name: &self.bytes[cut.name.clone()],
            value: &self.bytes[cut.value.clone()],
        })
    }

    /// The values of all fields of that name.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.fields().filter(move |field| field.is(name)).map(|field| field.value)
    }

    /// The elements of all lists of that name.
    fn elements<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.values(name).flat_map(elements)
    }
}

impl Field<'_> {
    /// Whether that is its name.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// Whether some server would take it for that name: CGI and its heirs write both as one.
    pub fn passes_for(&self, name: &str) -> bool {
        same(self.name, name)
    }

    /// Whether some server would take its name to begin with `prefix`.
    pub fn passes_for_any(&self, prefix: &str) -> bool {
        self.name.get(..prefix.len()).is_some_and(|name| same(name, prefix))
    }
}

impl Request {
    /// Judge the bytes of a whole head.
    pub fn parse(bytes: Bytes) -> Result<Self, Refusal> {
        let head = Head::cut(bytes)?;
        let (method, target, old) = request_line(head.first_line())?;
        judge_target(&head.first_line()[method.clone()], &head.first_line()[target.clone()])?;
        let host = host(&head, old)?;
        let framing = framing(&head, old)?.unwrap_or(Framing::Empty);
        let connection = head.elements("connection").any(|element| element.eq_ignore_ascii_case(b"upgrade"));
        let upgrade = connection && !old && head.values("upgrade").next().is_some();
        let to_h2 = |value: &[u8]| value.len() >= 2 && value[..2].eq_ignore_ascii_case(b"h2");
        if head.elements("upgrade").any(to_h2) || head.values("http2-settings").next().is_some() {
            return Err(Refusal::H2c);
        }
        Ok(Self { head, framing, upgrade, method, target, host })
    }

    /// The method.
    pub fn method(&self) -> &[u8] {
        &self.head.first_line()[self.method.clone()]
    }

    /// Path and query, or `*`.
    pub fn target(&self) -> &[u8] {
        &self.head.first_line()[self.target.clone()]
    }

    /// The host it names, as it was written.
    pub fn host(&self) -> Option<&[u8]> {
        self.host.as_deref()
    }

    /// What its responses are read by.
    pub fn asked(&self) -> Asked {
        Asked { is_head: self.method() == b"HEAD", upgrade: self.upgrade, host: self.host.clone() }
    }
}

impl Response {
    /// Judge the bytes of a whole head that answers a request.
    pub fn parse(bytes: Bytes, asked: &Asked) -> Result<Self, Refusal> {
        let head = Head::cut(bytes).map_err(|_| Refusal::BadAnswer)?;
        let (status, old) = status_line(head.first_line()).ok_or(Refusal::BadAnswer)?;
        let framing = framing(&head, old).map_err(|_| Refusal::BadAnswer)?;
        if status == 101 && !asked.upgrade {
            return Err(Refusal::BadAnswer);
        }
        let framing = match status {
            100..=199 | 204 | 304 => Framing::Empty,
            _ if asked.is_head => Framing::Empty,
            _ => framing.unwrap_or(Framing::UntilClose),
        };
        Ok(Self { head, framing, status })
    }

    /// Whether another response to the same request follows.
    pub fn is_interim(&self) -> bool {
        (100..200).contains(&self.status) && self.status != 101
    }
}

/// The elements of a list, without the spaces around them.
pub(super) fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}

/// Whether a byte may be in a method or a field's name.
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Whether some server would take two names for one.
fn same(one: &[u8], other: &str) -> bool {
    let plain = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    one.len() == other.len() && one.iter().zip(other.bytes()).all(|(a, b)| plain(*a) == plain(b))
}

/// The lines of a scanned head, with their CR LF.
struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Iterator for Lines<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.bytes.get(self.at..)?;
        let end = self.at + rest.iter().position(|&byte| byte == b'\n')? + 1;
        let line = self.at..end;
        self.at = end;
        (line.len() >= 2).then_some(line)
    }
}

fn cut_field(bytes: &[u8], line: Range<usize>) -> Result<Cut, Refusal> {
    let text = &bytes[line.start..line.end - 2];
    if text.starts_with(b" ") || text.starts_with(b"\t") {
        return Err(Refusal::ObsFold);
    }
    let colon = text.iter().position(|&byte| byte == b':').ok_or(Refusal::Field)?;
    let (name, value) = (&text[..colon], &text[colon + 1..]);
    if name.ends_with(b" ") || name.ends_with(b"\t") {
        return Err(Refusal::SpaceBeforeColon);
    }
    if name.is_empty() || !name.iter().copied().all(is_token) {
        return Err(Refusal::Field);
    }
    if value.iter().any(|&byte| (byte < b' ' && byte != b'\t') || byte == 0x7f) {
        return Err(Refusal::Field);
    }
    let spaces = value.iter().take_while(|&&byte| byte == b' ' || byte == b'\t').count();
    let start = line.start + colon + 1 + spaces;
    let value = start..start + value[spaces..].trim_ascii_end().len();
    Ok(Cut { name: line.start..line.start + colon, value, line })
}

/// Whether a line without its CR LF is a field; its name.
pub(super) fn field_name(line: &[u8]) -> Result<&[u8], Refusal> {
    let bytes = [line, b"\r\n"].concat();
    let cut = cut_field(&bytes, 0..bytes.len())?;
    Ok(&line[cut.name])
}

/// Method and target, and whether it is HTTP/1.0.
fn request_line(line: &[u8]) -> Result<(Range<usize>, Range<usize>, bool), Refusal> {
    let mut spaces = line.iter().enumerate().filter(|(_, byte)| **byte == b' ').map(|(at, _)| at);
    let (Some(first), Some(second), None) = (spaces.next(), spaces.next(), spaces.next()) else {
        return Err(Refusal::RequestLine);
    };
    let (method, target, version) = (0..first, first + 1..second, &line[second + 1..]);
    let token = !method.is_empty() && line[method.clone()].iter().copied().all(is_token);
    if !token || target.is_empty() {
        return Err(Refusal::RequestLine);
    }
    match version {
        b"HTTP/1.1" => Ok((method, target, false)),
        b"HTTP/1.0" => Ok((method, target, true)),
        b"HTTP/2.0" | b"HTTP/2" | b"HTTP/3" => Err(Refusal::Http2),
        other if other.starts_with(b"HTTP/") => Err(Refusal::Version),
        _ => Err(Refusal::RequestLine),
    }
}

fn judge_target(method: &[u8], target: &[u8]) -> Result<(), Refusal> {
    if method.eq_ignore_ascii_case(b"connect") {
        return Err(Refusal::Connect);
    }
    if method.eq_ignore_ascii_case(b"trace") || method.eq_ignore_ascii_case(b"track") {
        return Err(Refusal::Trace);
    }
    if target == b"*" && method == b"OPTIONS" {
        return Ok(());
    }
    if !target.starts_with(b"/") {
        let scheme = target.iter().position(|byte| !byte.is_ascii_alphanumeric() && !b"+-.".contains(byte));
        let absolute = scheme.is_some_and(|end| end > 0 && target[end] == b':');
        return Err(if absolute { Refusal::AbsoluteForm } else { Refusal::TargetForm });
    }
    // A fragment is never sent; what a server makes of one is anybody's guess.
    let strange = |byte: &u8| *byte <= b' ' || *byte == 0x7f || *byte == b'#';
    let text = core::str::from_utf8(target).is_ok();
    if !text || target.iter().any(strange) { Err(Refusal::TargetForm) } else { Ok(()) }
}

fn host(head: &Head, old: bool) -> Result<Option<Bytes>, Refusal> {
    let mut hosts = head.fields().filter(|field| field.passes_for("host"));
    let Some(host) = hosts.next() else {
        return if old { Ok(None) } else { Err(Refusal::HostMissing) };
    };
    if hosts.next().is_some() {
        return Err(Refusal::HostTwice);
    }
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~:[]".contains(byte);
    if host.value.is_empty() || !host.value.iter().all(plain) {
        return Err(Refusal::HostMalformed);
    }
    Ok(Some(head.bytes.slice_ref(host.value)))
}

/// How the body ends, where the head says so.
fn framing(head: &Head, old: bool) -> Result<Option<Framing>, Refusal> {
    let mut lengths = head.fields().filter(|field| field.passes_for("content-length"));
    let mut codings = head.fields().filter(|field| field.passes_for("transfer-encoding"));
    match (lengths.next(), codings.next()) {
        (Some(_), Some(_)) => Err(Refusal::BothLengths),
        (None, None) => Ok(None),
        (Some(length), None) => {
            if lengths.next().is_some() {
                return Err(Refusal::ContentLengthTwice);
            }
            let whole = length.is("content-length");
            length_of(length.value)
                .filter(|_| whole)
                .map(Framing::Length)
                .map(Some)
                .ok_or(Refusal::ContentLength)
        }
        (None, Some(coding)) => {
            let chunked = coding.is("transfer-encoding") && coding.value.eq_ignore_ascii_case(b"chunked");
            if chunked && !old && codings.next().is_none() {
                Ok(Some(Framing::Chunked))
            } else {
                Err(Refusal::TransferEncoding)
            }
        }
    }
}

fn length_of(value: &[u8]) -> Option<u64> {
    let digits = (1..=LENGTH_DIGITS).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    core::str::from_utf8(value).ok().filter(|_| digits)?.parse().ok()
}

/// Status, and whether it is HTTP/1.0.
fn status_line(line: &[u8]) -> Option<(u16, bool)> {
    let old = match line.get(..9)? {
        b"HTTP/1.1 " => false,
        b"HTTP/1.0 " => true,
        _ => return None,
    };
    let (status, phrase) = line[9..].split_at_checked(3)?;
    let plain = |byte: &u8| (*byte >= b' ' || *byte == b'\t') && *byte != 0x7f;
    if !(phrase.is_empty() || phrase[0] == b' ') || !phrase.iter().all(plain) {
        return None;
    }
    let digits = status.iter().all(u8::is_ascii_digit);
    let status: u16 = core::str::from_utf8(status).ok()?.parse().ok()?;
    (digits && (100..600).contains(&status)).then_some((status, old))
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
