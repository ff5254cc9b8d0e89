//! The names a listener answers to.
//!
//! A web page that is open in a browser can have its own host name lead to 127.0.0.1 and so reach every
//! listener there is, with the browser taking the answers for the page's own. The `Host` field still tells
//! the page's name. So a listener answers to its own names only.

use std::net::{IpAddr, SocketAddr};

use super::head::Request;
use super::refusal::Refusal;

/// A listener's names.
#[derive(Debug, Clone)]
pub struct Names {
    hosts: Vec<String>,
    port: u16,
}

impl Names {
    /// Of the listener at `listen` for `resource`: the address, the loopback addresses, `localhost` and
    /// `<resource>.localhost`.
    pub fn new(listen: SocketAddr, resource: &str) -> Self {
        let own = match listen.ip() {
            IpAddr::V4(v4) => v4.to_string(),
            IpAddr::V6(v6) => format!("[{v6}]"),
        };
        let named = format!("{}.localhost", resource.to_ascii_lowercase());
        let hosts = vec![own, "127.0.0.1".to_owned(), "[::1]".to_owned(), "localhost".to_owned(), named];
        Self { hosts, port: listen.port() }
    }

    /// Is the request meant for this listener, and not made by some web page?
    pub fn judge(&self, request: &Request) -> Result<(), Refusal> {
        // Without a host it is HTTP/1.0, which no browser has spoken for twenty years.
        if request.host().is_some_and(|host| !self.answer_to(host)) {
            return Err(Refusal::NotHere);
        }
        self.judge_page(request)
    }

    /// Whether a host, with its port, is one of the names.
    pub(super) fn answer_to(&self, host: &[u8]) -> bool {
        let Some((name, port)) = split_host(host) else { return false };
        port.unwrap_or(80) == self.port
            && self.hosts.iter().any(|own| own.as_bytes().eq_ignore_ascii_case(name))
    }
}

/// The host and the port of `HOST`, `HOST:PORT`, `[V6]` or `[V6]:PORT`.
pub(super) fn split_host(authority: &[u8]) -> Option<(&[u8], Option<u16>)> {
    let end = match authority.strip_prefix(b"[") {
        Some(_) => authority.iter().position(|&byte| byte == b']')? + 1,
        None => authority.iter().position(|&byte| byte == b':').unwrap_or(authority.len()),
    };
    let (host, rest) = authority.split_at(end);
    if host.is_empty() {
        return None;
    }
    let Some(digits) = rest.strip_prefix(b":") else { return rest.is_empty().then_some((host, None)) };
    let plain = (1..=5).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    let port = core::str::from_utf8(digits).ok().filter(|_| plain)?.parse().ok()?;
    Some((host, Some(port)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn front_door(listen: &str) -> Names {
        Names::new(listen.parse().unwrap(), "Front-door")
    }

    fn judged(listen: &str, host: &str) -> Result<(), Refusal> {
        let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        front_door(listen).judge(&Request::parse(head.into())?)
    }

    #[test]
    fn a_listener_answers_to_its_own_names() {
        for host in
            ["127.0.0.1:8000", "[::1]:8000", "localhost:8000", "LocalHost:8000", "front-door.localhost:8000"]
        {
            assert_eq!(judged("127.0.0.1:8000", host), Ok(()), "{host}");
        }
        assert_eq!(judged("127.0.0.7:8000", "127.0.0.7:8000"), Ok(()));
        assert_eq!(judged("127.0.0.1:80", "localhost"), Ok(()));
        let old = Request::parse("GET / HTTP/1.0\r\n\r\n".into()).unwrap();
        assert_eq!(front_door("127.0.0.1:1").judge(&old), Ok(()));
    }

    #[test]
    fn it_does_not_answer_to_the_name_of_a_web_page() {
        for host in [
            "evil.example:8000",
            "evil.example",
            "127.0.0.1",
            "127.0.0.1:80",
            "127.0.0.1:8001",
            "127.0.0.2:8000",
            "localhost.evil.example:8000",
            "evil.localhost:8000",
            "127.0.0.1.nip.io:8000",
            "0.0.0.0:8000",
            "[::]:8000",
            "[::ffff:127.0.0.1]:8000",
            "localhost.:8000",
            "localhost:08000x",
            "localhost:",
            ":8000",
            "[::1:8000",
            "[::1]8000",
        ] {
            assert!(judged("127.0.0.1:8000", host).is_err(), "{host}");
        }
    }
}
