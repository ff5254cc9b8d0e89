//! Chunked bodies, read along byte by byte so that their end is found, and nowhere else than where every
//! other reader finds it: lines end with CR LF, sizes are hexadecimal digits and nothing more, extensions
//! hold no control characters, trailers are fields. A trailer may not name what is judged in the head:
//! there are servers that put the two together.

use super::head::{self, Field};
use super::refusal::Refusal;
use super::rewrite::is_ours;

/// Longest extension of one chunk, in bytes. Hardly anybody uses one.
pub const EXTENSION_MAX: usize = 256;

/// All trailers together, in bytes.
pub const TRAILERS_MAX: usize = 8 * 1024;

/// Digits of the largest chunk: what fits into 64 bits.
const SIZE_DIGITS: u8 = 16;

/// What a trailer may not be: it is acted on, or relied on, in the head.
const NOT_IN_TRAILERS: [&str; 14] = [
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "proxy-authorization",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A chunked body that is on its way.
#[derive(Debug)]
pub struct Chunked {
    state: State,
    size: u64,
    digits: u8,
    extension: usize,
    trailers: usize,
    line: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    Trailer,
    TrailerLf,
    Done,
}

impl Default for Chunked {
    fn default() -> Self {
        Self { state: State::Size, size: 0, digits: 0, extension: 0, trailers: 0, line: Vec::new() }
    }
}

impl Chunked {
    /// How many of `bytes`, from their beginning, belong to the body.
    pub fn take(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        let mut at = 0;
        while at < bytes.len() && self.state != State::Done {
            if self.state == State::Data {
                let room = usize::try_from(self.size).unwrap_or(usize::MAX).min(bytes.len() - at);
                self.size -= room as u64;
                at += room;
                if self.size == 0 {
                    self.state = State::DataCr;
                }
            } else {
                self.state = self.step(bytes[at])?;
                at += 1;
            }
        }
        Ok(at)
    }

    /// Whether the last chunk and its trailers have come.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    fn step(&mut self, byte: u8) -> Result<State, Refusal> {
        match (self.state, byte) {
            (State::Size, _) if byte.is_ascii_hexdigit() && self.digits < SIZE_DIGITS => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                self.size = self.size << 4 | u64::from(digit);
                self.digits += 1;
                Ok(State::Size)
            }
            (State::Size, b';') if self.digits > 0 => Ok(State::Extension),
            (State::Size | State::Extension, b'\r') if self.digits > 0 => Ok(State::SizeLf),
            (State::Extension, _) if (byte >= b' ' || byte == b'\t') && byte != 0x7f => {
                self.extension += 1;
                if self.extension > EXTENSION_MAX { Err(Refusal::Chunk) } else { Ok(State::Extension) }
            }
            (State::SizeLf, b'\n') => {
                (self.digits, self.extension) = (0, 0);
                Ok(if self.size == 0 { State::Trailer } else { State::Data })
            }
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::Size),
            (State::Trailer, b'\r') => Ok(State::TrailerLf),
            (State::Trailer, _) => {
                self.trailers += 1;
                self.line.push(byte);
                if self.trailers > TRAILERS_MAX || byte == b'\n' {
                    Err(Refusal::Trailer)
                } else {
                    Ok(State::Trailer)
                }
            }
            (State::TrailerLf, b'\n') if self.line.is_empty() => Ok(State::Done),
            (State::TrailerLf, b'\n') => {
                judge_trailer(&self.line)?;
                self.line.clear();
                Ok(State::Trailer)
            }
            (State::TrailerLf, _) => Err(Refusal::Trailer),
            (State::Size | State::Extension | State::SizeLf | State::DataCr | State::DataLf, _)
            | (State::Data | State::Done, _) => Err(Refusal::Chunk),
        }
    }
}

fn judge_trailer(line: &[u8]) -> Result<(), Refusal> {
    let name = head::field_name(line).map_err(|_| Refusal::Trailer)?;
    let field = Field { line, name, value: &[] };
    let taken = NOT_IN_TRAILERS.iter().any(|name| field.passes_for(name)) || is_ours(&field);
    if taken { Err(Refusal::Trailer) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In one piece, and byte by byte: both readings agree.
    fn read(bytes: &[u8]) -> Result<(usize, bool), Refusal> {
        let mut whole = Chunked::default();
        let at_once = whole.take(bytes).map(|taken| (taken, whole.is_done()));
        let mut pieces = Chunked::default();
        let mut taken = 0;
        let one_by_one = bytes
            .iter()
            .try_for_each(|byte| pieces.take(&[*byte]).map(|count| taken += count))
            .map(|()| (taken, pieces.is_done()));
        assert_eq!(at_once, one_by_one);
        at_once
    }

    #[test]
    fn the_end_is_found_and_the_next_request_is_not_taken() {
        assert_eq!(read(b"5\r\nhello\r\n0\r\n\r\nGET /"), Ok((15, true)));
        assert_eq!(read(b"0\r\n\r\n"), Ok((5, true)));
        assert_eq!(read(b"A;name=\"a value\"\r\n0123456789\r\n000\r\nDigest: x\r\n\r\nmore"), Ok((48, true)));
        assert_eq!(read(b"ffffffffffffffff\r\nendless"), Ok((25, false)));
    }

    #[test]
    fn whatever_two_readers_could_read_differently_is_refused() {
        for (name, bytes) in [
            ("no digits", &b"\r\n\r\n"[..]),
            ("an extension and no size", b";a\r\n\r\n"),
            ("a sign", b"+5\r\nhello\r\n"),
            ("a prefix", b"0x5\r\nhello\r\n"),
            ("a space after the size", b"5 \r\nhello\r\n"),
            ("a space before the size", b" 5\r\nhello\r\n"),
            ("a size that overflows", b"10000000000000005\r\nhello\r\n"),
            ("a size that ends with LF", b"5\nhello\r\n"),
            ("a size that ends with CR", b"5\rhello\r\n"),
            ("an extension that ends with LF", b"5;a\nhello\r\n"),
            ("a NUL in an extension", b"5;\0\r\nhello\r\n"),
            ("data longer than its size", b"4\r\nhello\r\n"),
            ("data that ends with LF", b"5\r\nhello\n0\r\n\r\n"),
            ("data that ends with CR", b"5\r\nhello\r0\r\n\r\n"),
        ] {
            assert_eq!(read(bytes), Err(Refusal::Chunk), "{name}");
        }
        let long = [&b"5;"[..], &[b'a'; EXTENSION_MAX + 1]].concat();
        assert_eq!(read(&long), Err(Refusal::Chunk));
    }

    #[test]
    fn trailers_are_fields_and_name_nothing_that_is_judged_in_the_head() {
        for (name, trailers) in [
            ("LF alone", &b"a: b\n\r\n"[..]),
            ("CR alone", b"a: b\rc: d\r\n\r\n"),
            ("a fold", b"a: b\r\n c\r\n\r\n"),
            ("a space before the colon", b"a : b\r\n\r\n"),
            ("no colon", b"GET / HTTP/1.1\r\n\r\n"),
            ("a NUL", b"a: \0\r\n\r\n"),
            ("a length", b"Content-Length: 5\r\n\r\n"),
            ("a coding", b"transfer_encoding: chunked\r\n\r\n"),
            ("a host", b"Host: admin\r\n\r\n"),
            ("a login", b"Authorization: Basic Og==\r\n\r\n"),
            ("an identity", b"Coco-Peer: somebody\r\n\r\n"),
            ("an address", b"X-Forwarded-For: 127.0.0.1\r\n\r\n"),
        ] {
            assert_eq!(read(&[b"0\r\n", trailers].concat()), Err(Refusal::Trailer), "{name}");
        }
        let long = [&b"0\r\na: "[..], &[b'a'; TRAILERS_MAX]].concat();
        assert_eq!(read(&long), Err(Refusal::Trailer));
    }
}
