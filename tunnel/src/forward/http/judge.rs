//! Who may ask for what: the capabilities `read` and `write`, whole or by path.
//!
//! `read` covers GET, HEAD and OPTIONS, `write` every other method. `read:/snapshot` covers that path and
//! what is below it. An upgraded connection carries whatever either end likes, so asking for one takes
//! `write` as well. Where a grant is limited, fields that make some servers act on another method or path
//! than the request line says are refused.

use coconet::rights::{Rights, Scope};

use super::head::Request;
use super::path;
use super::refusal::Refusal;

/// Most servers ignore these, some act on the method they name.
const METHOD_OVERRIDES: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];

/// Most servers ignore these, some act on the path they name.
const PATH_OVERRIDES: [&str; 4] = ["x-original-url", "x-rewrite-url", "x-original-uri", "destination"];

/// What a peer may ask for.
#[derive(Debug, Clone)]
pub struct Judge<'a> {
    read: Scope<'a>,
    write: Scope<'a>,
}

impl<'a> Judge<'a> {
    /// By what the ledger says.
    pub fn new(rights: &'a Rights) -> Self {
        Self { read: rights.scope("read"), write: rights.scope("write") }
    }

    /// May this request be forwarded?
    pub fn judge(&self, request: &Request) -> Result<(), Refusal> {
        let reads = matches!(request.method(), b"GET" | b"HEAD" | b"OPTIONS");
        let scope = if reads { &self.read } else { &self.write };
        let overridden = |names: &[&str]| {
            request.head.fields().any(|field| names.iter().any(|name| field.passes_for(name)))
        };
        covers(scope, request.target(), Refusal::Method)?;
        if request.upgrade {
            covers(&self.write, request.target(), Refusal::Upgrade)?;
        }
        if reads && self.write != Scope::Everything && overridden(&METHOD_OVERRIDES) {
            return Err(Refusal::Override);
        }
        if *scope != Scope::Everything && overridden(&PATH_OVERRIDES) {
            return Err(Refusal::Override);
        }
        Ok(())
    }
}

fn covers(scope: &Scope<'_>, target: &[u8], none: Refusal) -> Result<(), Refusal> {
    let prefixes = match scope {
        Scope::Everything => return Ok(()),
        Scope::Nothing => return Err(none),
        Scope::Only(prefixes) => prefixes,
    };
    let path = path::plain(target).ok_or(Refusal::AmbiguousPath)?;
    let below = prefixes.iter().any(|prefix| path::is_below(&path, prefix));
    if below { Ok(()) } else { Err(Refusal::Path) }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use coconet::grant::Capabilities;

    use super::*;

    fn granted(words: &[&str]) -> Rights {
        Rights::Only(Capabilities::new(words.iter().map(ToString::to_string).collect()).unwrap())
    }

    fn request(line: &str, fields: &str) -> Request {
        Request::parse(format!("{line} HTTP/1.1\r\nHost: a\r\n{fields}\r\n").into()).unwrap()
    }

    fn judged(words: &[&str], line: &str, fields: &str) -> Result<(), Refusal> {
        Judge::new(&granted(words)).judge(&request(line, fields))
    }

    #[test]
    fn read_covers_three_methods_and_write_the_others() {
        for method in ["GET", "HEAD", "OPTIONS"] {
            assert_eq!(judged(&["read"], &format!("{method} /x"), ""), Ok(()), "{method}");
            assert_eq!(judged(&["write"], &format!("{method} /x"), ""), Err(Refusal::Method), "{method}");
        }
        for method in ["POST", "PUT", "PATCH", "DELETE", "PROPFIND", "get", "ANYTHING"] {
            assert_eq!(judged(&["read"], &format!("{method} /x"), ""), Err(Refusal::Method), "{method}");
            assert_eq!(judged(&["write"], &format!("{method} /x"), ""), Ok(()), "{method}");
        }
        assert_eq!(judged(&["read"], "OPTIONS *", ""), Ok(()));
        assert_eq!(judged(&["play"], "GET /", ""), Err(Refusal::Method));
        assert_eq!(Judge::new(&Rights::All).judge(&request("DELETE //x;y/%2e", "")), Ok(()));
    }

    #[test]
    fn a_path_limits_its_own_capability_only() {
        let words = ["read:/snapshot", "write:/ptz", "write:/light"];
        for (line, verdict) in [
            ("GET /snapshot", Ok(())),
            ("GET /snapshot/1.jpg?size=5", Ok(())),
            ("GET /snapshots", Err(Refusal::Path)),
            ("GET /admin", Err(Refusal::Path)),
            ("GET /ptz", Err(Refusal::Path)),
            ("POST /ptz/left", Ok(())),
            ("PUT /light", Ok(())),
            ("POST /snapshot", Err(Refusal::Path)),
            ("GET /snapshot/%2e%2e/admin", Err(Refusal::AmbiguousPath)),
            ("OPTIONS *", Err(Refusal::AmbiguousPath)),
        ] {
            assert_eq!(judged(&words, line, ""), verdict, "{line}");
        }
        assert_eq!(judged(&["read", "read:/x"], "GET //y", ""), Ok(()), "the wider one wins");
        assert_eq!(judged(&["read:/x", "read"], "GET //y", ""), Ok(()), "in either order");
    }

    #[test]
    fn an_upgrade_takes_write() {
        let fields = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
        assert_eq!(judged(&["read"], "GET /ws", fields), Err(Refusal::Upgrade));
        assert_eq!(judged(&["write"], "GET /ws", fields), Err(Refusal::Method));
        assert_eq!(judged(&["read", "write"], "GET /ws", fields), Ok(()));
        assert_eq!(judged(&["read", "write:/ws"], "GET /ws", fields), Ok(()));
        assert_eq!(judged(&["read", "write:/other"], "GET /ws", fields), Err(Refusal::Path));
    }

    #[test]
    fn a_limited_grant_takes_no_second_method_or_path() {
        for field in ["X-HTTP-Method-Override: DELETE\r\n", "x_http_method: PUT\r\n"] {
            assert_eq!(judged(&["read"], "GET /x", field), Err(Refusal::Override), "{field}");
            assert_eq!(judged(&["read", "write"], "GET /x", field), Ok(()), "{field}");
        }
        for field in ["X-Original-URL: /admin\r\n", "X-Rewrite-Url: /admin\r\n", "Destination: /admin\r\n"] {
            assert_eq!(judged(&["read:/x", "write"], "GET /x", field), Err(Refusal::Override), "{field}");
            assert_eq!(judged(&["read", "write"], "GET /x", field), Ok(()), "{field}");
        }
    }
}
