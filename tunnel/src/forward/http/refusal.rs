//! Why a message is not forwarded: one word for counters and scripts, one status and sentence for the
//! client.

use core::fmt;

use bytes::Bytes;

macro_rules! refusals {
    ($($(#[$doc:meta])* $variant:ident = $status:literal, $word:literal, $says:literal;)+) => {
        /// Why a message is not forwarded.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Refusal { $($(#[$doc])* $variant,)+ }

        impl Refusal {
            /// All of them, in the order of their numbers.
            pub const ALL: [Self; [$(Self::$variant),+].len()] = [$(Self::$variant),+];

            /// The status it is answered with.
            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)+ }
            }

            /// The word it is counted under.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// What the client is told.
            pub fn says(self) -> &'static str {
                match self { $(Self::$variant => $says,)+ }
            }
        }
    };
}

refusals! {
    /// Not `METHOD TARGET HTTP/1.x` with single spaces.
    RequestLine = 400, "request-line", "the request line is malformed";
    /// HTTP/2's preface, or a version 2 or later.
    Http2 = 505, "http2", "HTTP/2 is not forwarded: expose the service as tcp";
    /// Another version than 1.0 and 1.1.
    Version = 505, "version", "the HTTP version is not known";
    /// `http://host/path` where a path belongs.
    AbsoluteForm = 400, "absolute-form", "this is no proxy: the request target must begin with a slash";
    /// A request target that is neither a path nor, for OPTIONS, `*`.
    TargetForm = 400, "target-form", "the request target is malformed";
    /// CONNECT.
    Connect = 405, "connect", "this is no proxy: CONNECT is not forwarded";
    /// TRACE.
    Trace = 405, "trace", "TRACE is not forwarded";
    /// An upgrade to HTTP/2.
    H2c = 400, "h2c", "an upgrade to HTTP/2 is not forwarded";
    /// CR without LF.
    BareCr = 400, "bare-cr", "a carriage return stands alone";
    /// LF without CR.
    BareLf = 400, "bare-lf", "a line ends without a carriage return";
    /// NUL in a head.
    Nul = 400, "nul", "the head holds a NUL";
    /// A field continued on the next line.
    ObsFold = 400, "obs-fold", "a field is folded over several lines";
    /// Space between a field's name and the colon.
    SpaceBeforeColon = 400, "space-before-colon", "a space stands before a colon";
    /// A line that is no field.
    Field = 400, "field", "a field is malformed";
    /// More than [`HEAD_MAX`](super::head::HEAD_MAX) bytes.
    HeadTooLong = 431, "head-too-long", "the head is longer than 64 KiB";
    /// More than [`FIELDS_MAX`](super::head::FIELDS_MAX) fields.
    TooManyFields = 431, "too-many-fields", "the head has more than 128 fields";
    /// A length that is no number.
    ContentLength = 400, "content-length", "the content length is malformed";
    /// Several lengths.
    ContentLengthTwice = 400, "content-length-twice", "the content length is given more than once";
    /// A length and a transfer coding.
    BothLengths = 400, "both-lengths", "content length and transfer coding exclude each other";
    /// Another transfer coding than chunked, or one in HTTP/1.0.
    TransferEncoding = 501, "transfer-encoding", "only the transfer coding chunked is forwarded";
    /// A chunk that is none.
    Chunk = 400, "chunk", "a chunk is malformed";
    /// Trailers that are too long, malformed, or name what belongs into a head.
    Trailer = 400, "trailer", "the trailers are malformed, too long, or name what belongs into the head";
    /// `Connection` names a field that is not this connection's business.
    Connection = 400, "connection", "the connection field names a field that must stay";
    /// HTTP/1.1 without `Host`.
    HostMissing = 400, "host-missing", "the request names no host";
    /// Several hosts.
    HostTwice = 400, "host-twice", "the request names several hosts";
    /// A host that is none.
    HostMalformed = 400, "host-malformed", "the host is malformed";
    /// A host that is none of the listener's names.
    NotHere = 421, "not-here", "this listener does not answer for that host: use the URL that `cococtl tunnel list` shows";
    /// A web page of another site asks for more than to be left by a link.
    ForeignPage = 403, "foreign-page", "a web page of another site asks this";
    /// The head took longer than [`HEAD_TIMEOUT`](super::HEAD_TIMEOUT).
    SlowHead = 408, "slow-head", "the head took too long";
    /// The method needs a capability that was not granted.
    Method = 403, "method", "the grant does not cover this method";
    /// The path is outside of what was granted.
    Path = 403, "path", "the grant does not cover this path";
    /// The path can be read in more than one way, and the grant is for some paths only.
    AmbiguousPath = 403, "ambiguous-path", "the path is ambiguous, and the grant covers some paths only";
    /// A field asks the target to act on another method or path than the request line says.
    Override = 403, "override", "a field overrides the method or path, and the grant is limited";
    /// An upgrade, without the capability `write`.
    Upgrade = 403, "upgrade", "an upgraded connection can write, and the grant does not cover that";
    /// The target's answer is malformed.
    BadAnswer = 502, "bad-answer", "the target's answer is malformed";
    /// The exporter does not reach the target.
    Unreachable = 502, "unreachable", "the target does not answer";
    /// The exporter does not open the resource.
    NotPermitted = 403, "not-permitted", "the resource is not granted";
    /// The exporter takes no more clients.
    MaxClients = 503, "max-clients", "the resource takes no more clients";
}

impl Refusal {
    /// The number of its counter.
    pub(super) fn number(self) -> usize {
        self as usize
    }

    /// The whole answer; without a body where the request was a HEAD. The connection ends after it.
    pub fn answer(self, to_head: bool) -> Bytes {
        let (status, phrase, says) = (self.status(), phrase(self.status()), self.says());
        let body = format!("coco: {says} ({self})\n");
        let mut answer = format!(
            "HTTP/1.1 {status} {phrase}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
             Cache-Control: no-store\r\nConnection: close\r\n\r\n",
            body.len()
        );
        if !to_head {
            answer.push_str(&body);
        }
        Bytes::from(answer)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::error::Error for Refusal {}

fn phrase(status: u16) -> &'static str {
    match status {
        403 => "Forbidden",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        421 => "Misdirected Request",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Bad Request",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_a_word_of_its_own_and_a_status_with_a_phrase() {
        for (number, refusal) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(refusal.number(), number);
            assert_eq!(Refusal::ALL.iter().filter(|other| other.as_str() == refusal.as_str()).count(), 1);
            assert!(refusal.status() == 400 || phrase(refusal.status()) != "Bad Request", "{refusal}");
        }
    }

    #[test]
    fn an_answer_says_how_long_it_is_and_that_it_is_the_last() {
        let answer = String::from_utf8_lossy(&Refusal::Trace.answer(false)).into_owned();
        assert_eq!(
            answer,
            "HTTP/1.1 405 Method Not Allowed\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Length: 37\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n\
             coco: TRACE is not forwarded (trace)\n"
        );
        assert!(Refusal::Method.answer(true).ends_with(b"\r\n\r\n"));
    }
}
