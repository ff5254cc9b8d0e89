//! The names a listener answers to.
//!
//! A web page that is open in a browser can have its own host name lead to 127.0.0.1 and so reach every
//! listener there is, with the browser taking the answers for the page's own. The `Host` field still tells
//! the page's name. So a listener answers to its own names only.

use std::net::{IpAddr, SocketAddr};

use super::head::Request;
use super::refusal::Refusal;

/// The port that a URL may leave out.
const HTTP_PORT: u16 = 80;

/// A listener's names.
#[derive(Debug, Clone)]
pub struct Names {
    hosts: Vec<String>,
    port: u16,
}

impl Names {
    /// Of the listener at `listen` for `resource` of `network`: the address, the loopback addresses,
    /// `localhost`, `<resource>.localhost` and `<resource>.<network>.coco`.
    pub fn of_address(listen: SocketAddr, resource: &str, network: &str) -> Self {
        let mut names = Self::here(resource, network, listen.port());
        names.hosts.push(match listen.ip() {
            IpAddr::V4(v4) => v4.to_string(),
            IpAddr::V6(v6) => format!("[{v6}]"),
        });
        names
    }

    /// Of a unix socket for `resource` of `network`: as of a listener at 127.0.0.1:80, and `<resource>`. A
    /// program has to put some name into its request, and no web page gets to a unix socket.
    pub fn of_unix_socket(resource: &str, network: &str) -> Self {
        let mut names = Self::here(resource, network, HTTP_PORT);
        names.hosts.push(resource.to_ascii_lowercase());
        names
    }

    fn here(resource: &str, network: &str, port: u16) -> Self {
        let (resource, network) = (resource.to_ascii_lowercase(), network.to_ascii_lowercase());
        let named = [format!("{resource}.localhost"), format!("{resource}.{network}.coco")];
        let plain = ["127.0.0.1", "[::1]", "localhost"].map(str::to_owned);
        Self { hosts: plain.into_iter().chain(named).collect(), port }
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
        port.unwrap_or(HTTP_PORT) == self.port
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
        Names::of_address(listen.parse().unwrap(), "Front-door", "home")
    }

    fn judged(listen: &str, host: &str) -> Result<(), Refusal> {
        let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        front_door(listen).judge(&Request::parse(head.into())?)
    }

    #[test]
    fn a_listener_answers_to_its_own_names() {
        for host in [
            "127.0.0.1:8000",
            "[::1]:8000",
            "localhost:8000",
            "LocalHost:8000",
            "front-door.localhost:8000",
            "front-door.home.coco:8000",
        ] {
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
            "front-door:8000",
            "front-door.coco:8000",
            "front-door.work.coco:8000",
            "front-door.home.coco.evil.example:8000",
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

    #[test]
    fn a_unix_socket_answers_to_what_a_program_puts_into_a_url_for_it() {
        let names = Names::of_unix_socket("front-door", "home");
        let names_it = |host: &str| names.answer_to(host.as_bytes());
        for host in [
            "localhost",
            "localhost:80",
            "127.0.0.1",
            "[::1]",
            "front-door",
            "front-door.localhost",
            "front-door.home.coco",
        ] {
            assert!(names_it(host), "{host}");
        }
        for host in ["evil.example", "localhost:8000", "home", "front-door.evil.example", "", "unix"] {
            assert!(!names_it(host), "{host}");
        }
    }
}
