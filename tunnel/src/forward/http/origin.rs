//! Which web page asks.
//!
//! Any page that is open in a browser can send requests to 127.0.0.1. It does not get to read the answers,
//! but a camera that is turned by a POST has been turned by then, and a WebSocket is outside of the
//! browser's rule altogether. The browser says whose page it is, in `Origin` and `Sec-Fetch-Site`, and no
//! page can change that. So what changes something is taken from the listener's own pages only, and from
//! other pages nothing but that a user follows a link. Programs that are no browsers say nothing and are
//! not concerned.

use super::head::Request;
use super::names::Names;
use super::refusal::Refusal;

impl Names {
    /// May the page ask this, if it was one?
    pub(super) fn judge_page(&self, request: &Request) -> Result<(), Refusal> {
        let reads = matches!(request.method(), b"GET" | b"HEAD" | b"OPTIONS") && !request.upgrade;
        let own = request.head.values("origin").all(|origin| self.own_page(origin));
        let here = says(request, "sec-fetch-site", &[b"same-origin", b"none"]);
        if (reads || own) && (here || follows_a_link(request)) { Ok(()) } else { Err(Refusal::ForeignPage) }
    }

    fn own_page(&self, origin: &[u8]) -> bool {
        let scheme = b"http://";
        let plain = origin.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme));
        plain && self.answer_to(&origin[scheme.len()..])
    }
}

/// A user goes there, in a window of its own.
fn follows_a_link(request: &Request) -> bool {
    request.method() == b"GET"
        && !request.upgrade
        && request.head.values("sec-fetch-mode").eq([b"navigate"])
        && request.head.values("sec-fetch-dest").eq([b"document"])
}

/// Whether nothing else is said in the fields of that name.
fn says(request: &Request, name: &str, values: &[&[u8]]) -> bool {
    request.head.values(name).all(|value| values.iter().any(|known| known.eq_ignore_ascii_case(value)))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    const UPGRADE: &str = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n";
    const LINK: &str = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n";

    fn judged(method: &str, fields: &str) -> Result<(), Refusal> {
        let names = Names::of_address(SocketAddr::from(([127, 0, 0, 1], 8000)), "front-door", "home");
        let head = format!("{method} / HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n{fields}\r\n");
        names.judge(&Request::parse(head.into())?)
    }

    #[test]
    fn programs_and_the_listeners_own_pages_ask_what_they_like() {
        for origin in [
            "",
            "Origin: http://127.0.0.1:8000\r\n",
            "Origin: http://LocalHost:8000\r\n",
            "Origin: http://[::1]:8000\r\n",
            "origin: http://front-door.localhost:8000\r\n",
        ] {
            for site in ["", "Sec-Fetch-Site: same-origin\r\n", "Sec-Fetch-Site: none\r\n"] {
                for method in ["GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH", "BREW"] {
                    assert_eq!(judged(method, &format!("{origin}{site}")), Ok(()), "{method} {origin}{site}");
                }
                assert_eq!(judged("GET", &format!("{UPGRADE}{origin}{site}")), Ok(()), "{origin}{site}");
            }
        }
    }

    #[test]
    fn a_page_of_another_site_changes_nothing_and_gets_no_websocket() {
        for origin in [
            "http://evil.example",
            "http://evil.example:8000",
            "http://127.0.0.1",
            "http://127.0.0.1:8001",
            "http://127.0.0.1:8000.evil.example",
            "http://127.0.0.1:8000@evil.example",
            "http://evil.localhost:8000",
            "https://127.0.0.1:8000",
            "127.0.0.1:8000",
            "http://",
            "null",
            "",
            "http://127.0.0.1:8000 http://evil.example",
            "http://127.0.0.1:8000\r\nOrigin: http://evil.example",
        ] {
            let origin = format!("Origin: {origin}\r\n");
            for method in ["POST", "PUT", "DELETE", "PATCH", "BREW", "get"] {
                assert_eq!(judged(method, &origin), Err(Refusal::ForeignPage), "{method} {origin}");
            }
            let upgrade = judged("GET", &format!("{UPGRADE}{origin}"));
            assert_eq!(upgrade, Err(Refusal::ForeignPage), "{origin}");
            // What it cannot read the answer of.
            assert_eq!(judged("GET", &origin), Ok(()), "{origin}");
        }
    }

    #[test]
    fn a_page_of_another_site_can_be_left_by_a_link_and_embeds_nothing() {
        for site in ["cross-site", "same-site", "Cross-Site", "none\r\nSec-Fetch-Site: cross-site"] {
            let site = format!("Sec-Fetch-Site: {site}\r\n");
            assert_eq!(judged("GET", &format!("{site}{LINK}")), Ok(()), "{site}");
            for (method, fields) in [
                ("GET", ""),
                ("GET", "Sec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n"),
                ("GET", "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\n"),
                ("GET", "Sec-Fetch-Mode: cors\r\nSec-Fetch-Dest: document\r\n"),
                ("OPTIONS", "Sec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n"),
                ("HEAD", LINK),
                ("POST", LINK),
                ("GET", &format!("{UPGRADE}{LINK}")),
            ] {
                let refused = judged(method, &format!("{site}{fields}"));
                assert_eq!(refused, Err(Refusal::ForeignPage), "{method} {site}{fields}");
            }
        }
    }
}
