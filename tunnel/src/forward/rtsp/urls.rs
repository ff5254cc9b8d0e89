//! Whose URLs these are: on the viewer's side the listener's, on the exporter's side the camera's.
//!
//! A player knows the listener under the host and port of its own requests, and a camera knows itself under
//! the host that was exposed or the address behind it. [`Rename`] changes the one into the other in
//! everything that carries URLs, and only there where the host and port are those; a relative URL, and one
//! that leads elsewhere, stays as it is. A camera that leaves its port out is meant as well: some that
//! listen on another port than 554 do that.
//!
//! Addresses in a session description that no player needs through a tunnel become `0.0.0.0`
//! ([`harmless`]), at both ends: no description makes a player send elsewhere, and none tells the viewer
//! where the camera is.

use bytes::Bytes;

use super::message::Message;

/// The port of `rtsp://` when none is named.
const DEFAULT_PORT: u16 = 554;

/// Headers whose value is a URL.
const URL_HEADERS: [&str; 3] = ["Content-Base", "Content-Location", "Location"];

/// Changes one host and port into another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rename {
    from: Vec<(String, u16)>,
    to: String,
}

/// The host and port that stand in an absolute `rtsp://` URL, without a login.
pub fn authority(url: &str) -> Option<&str> {
    let (start, end) = authority_at(url)?;
    let authority = &url[start..end];
    Some(authority.rsplit_once('@').map_or(authority, |(_, place)| place))
}

/// Everything after the host and port, `/` when there is nothing; of a relative URL the whole.
pub fn path(url: &str) -> &str {
    match authority_at(url) {
        Some((_, end)) if end == url.len() => "/",
        Some((_, end)) => &url[end..],
        None => url,
    }
}

/// A control URL of a session description, resolved the way players do it: appended, because a base such
/// as `rtsp://h/stream?channel=1` has no directory.
pub fn resolve(base: &str, control: &str) -> String {
    if authority_at(control).is_some() {
        return control.to_owned();
    }
    if control.is_empty() || control == "*" {
        return base.to_owned();
    }
    if let (Some((_, end)), true) = (authority_at(base), control.starts_with('/')) {
        return format!("{}{control}", &base[..end]);
    }
    format!("{base}{}{control}", if base.ends_with('/') { "" } else { "/" })
}

impl Rename {
    /// From any of `from`, hosts without brackets, to `to`, as it stands in a URL.
    pub fn new(from: Vec<(String, u16)>, to: String) -> Self {
        Self { from, to }
    }

    /// The URL, when it names what is to be renamed. A login in it goes.
    pub fn url(&self, url: &str) -> Option<String> {
        let (start, end) = authority_at(url)?;
        self.names(&url[start..end]).then(|| format!("{}{}{}", &url[..start], self.to, &url[end..]))
    }

    /// All that carries URLs in an answer or a request of the camera.
    pub fn message(&self, message: &mut Message) {
        for name in URL_HEADERS {
            message.map(name, |value| self.url(value));
        }
        message.map("RTP-Info", |value| self.rtp_info(value));
        if is_description(message)
            && let Some(body) = self.description(message.body())
        {
            message.set_body(body);
        }
    }

    /// `url=rtsp://...;seq=1,url=...`: absolute, relative, or without a scheme.
    fn rtp_info(&self, value: &str) -> Option<String> {
        let mut changed = false;
        let parts: Vec<_> = value
            .split_inclusive(['=', ',', ';'])
            .map(|part| {
                let renamed = self.url(part).or_else(|| {
                    let (place, rest) = part.split_once('/')?;
                    self.names_whole(place).then(|| format!("{}/{rest}", self.to))
                });
                changed |= renamed.is_some();
                renamed.unwrap_or_else(|| part.to_owned())
            })
            .collect();
        changed.then(|| parts.concat())
    }

    fn description(&self, body: &[u8]) -> Option<Bytes> {
        let mut changed = false;
        let lines: Vec<_> = body
            .split_inclusive(|byte| *byte == b'\n')
            .map(|line| {
                let renamed = std::str::from_utf8(line).ok().and_then(|text| {
                    let (name, url) = text.split_once(':')?;
                    if !name.trim().eq_ignore_ascii_case("a=control") {
                        return None;
                    }
                    Some(format!("{name}:{}", self.url(url)?).into_bytes())
                });
                changed |= renamed.is_some();
                renamed.unwrap_or_else(|| line.to_vec())
            })
            .collect();
        changed.then(|| lines.concat().into())
    }

    fn names(&self, authority: &str) -> bool {
        let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
        let (host, port) = host_and_port(place);
        self.from.iter().any(|(from, from_port)| {
            host.eq_ignore_ascii_case(from) && port.is_none_or(|port| port == *from_port)
        })
    }

    /// Without a scheme only a host with its port is one for certain, or one that is spelled like ours.
    fn names_whole(&self, place: &str) -> bool {
        !place.is_empty() && self.names(place)
    }
}

/// Take the addresses out of a session description that nobody needs through a tunnel.
pub fn harmless(message: &mut Message) {
    if !is_description(message) {
        return;
    }
    let mut changed = false;
    let mut body = Vec::with_capacity(message.body().len());
    for line in message.body().split_inclusive(|byte| *byte == b'\n') {
        match std::str::from_utf8(line).ok().and_then(harmless_line) {
            Some(other) => {
                changed |= other.as_bytes() != line;
                body.extend_from_slice(other.as_bytes());
            }
            None => body.extend_from_slice(line),
        }
    }
    if changed {
        message.set_body(body.into());
    }
}

/// The line without its address; `None` when it has none.
fn harmless_line(line: &str) -> Option<String> {
    let text = line.trim_end();
    let end = &line[text.len()..];
    let lower = text.to_ascii_lowercase();
    if lower.starts_with("a=source-filter") {
        return Some(String::new());
    }
    if !["c=", "o=", "a=rtcp:"].iter().any(|name| lower.starts_with(name)) {
        return None;
    }
    // `... IN IP4 address`: in `c=` at the beginning, otherwise after other words.
    let words: Vec<_> = text.split(' ').collect();
    let family = words.iter().position(|word| matches!(word.to_ascii_uppercase().as_str(), "IP4" | "IP6"))?;
    let nowhere = if words[family].eq_ignore_ascii_case("IP6") { "::" } else { "0.0.0.0" };
    Some(format!("{} {nowhere}{end}", words[..=family].join(" ")))
}

/// Whether the body is a session description. Some cameras forget to say so.
pub fn is_description(message: &Message) -> bool {
    match message.header("Content-Type") {
        Some(kind) => kind.to_ascii_lowercase().contains("sdp"),
        None => message.body().starts_with(b"v=0"),
    }
}

/// Where the authority begins and ends.
fn authority_at(url: &str) -> Option<(usize, usize)> {
    let scheme = url.find("://")?;
    let name = url[..scheme].trim_start();
    if !["rtsp", "rtspu", "rtspt"].iter().any(|one| name.eq_ignore_ascii_case(one)) {
        return None;
    }
    let start = scheme + 3;
    let end = url[start..]
        .find(|char: char| {
            matches!(char, '/' | '?' | '#' | ';' | ',' | '"') || char.is_whitespace() || char.is_control()
        })
        .map_or(url.len(), |at| start + at);
    Some((start, end))
}

fn host_and_port(place: &str) -> (&str, Option<u16>) {
    let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => match place.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    // A port that is none names nobody.
    (host, port.map(|port| port.parse().unwrap_or(0)))
}

/// A host and port as they stand in a URL.
pub fn spell(host: &str, port: u16) -> String {
    let bracketed = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    if port == DEFAULT_PORT { bracketed } else { format!("{bracketed}:{port}") }
}

#[cfg(test)]
#[path = "urls_tests.rs"]
mod tests;
