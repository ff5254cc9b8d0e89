//! What the exporter changes in a head. Everything else goes through byte for byte, in its order and in
//! its spelling.
//!
//! Towards the target: `Host` becomes the target's, `Origin` and `Referer` too where they name the
//! listener; fields that say who somebody is are taken out, because only we know, and ours are
//! put in; fields that `Connection` names are taken out, because this connection ends here. Towards the
//! client: URLs that name the target name the listener again, under the name that the client used, and
//! cookies lose their domain, so that they stay with the host they came from.

use bytes::{BufMut as _, Bytes, BytesMut};
use coconet::target::Place;
use data_encoding::BASE64;
use zeroize::Zeroizing;

use super::super::Service;
use super::head::{Field, Request, Response, elements};
use super::names::split_host;
use super::refusal::Refusal;

/// Fields that tell an application who its client is. Nobody but us may say so.
const IDENTITY: [&str; 8] = [
    "forwarded",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "x-remote-user",
    "remote-user",
];

/// What `Connection` may say of the connection itself.
const OPTIONS: [&[u8]; 3] = [b"close", b"keep-alive", b"upgrade"];

/// What `Connection` may not take out: it is judged, or relied on.
const STAYS: [&str; 9] = [
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "origin",
    "transfer-encoding",
    "expect",
];

/// What the exporter knows of a target and of a peer.
pub struct Rewriter {
    host: String,
    names: Vec<(Vec<u8>, u16)>,
    authorization: Option<Zeroizing<String>>,
    peer: String,
}

impl Rewriter {
    /// For a target and the peer of that pseudonym. Where the target's login is kept here, whoever asks is
    /// logged in, and the client's own login is taken out.
    pub fn new(service: &Service, peer: &str) -> Self {
        let real = authority(&service.target.place);
        let host = service.options.host_header.clone().unwrap_or_else(|| real.clone());
        let names = [&real, &host].into_iter().filter_map(|name| named(name.as_bytes())).collect();
        let authorization = service.login.as_ref().map(|login| {
            let encoded = Zeroizing::new(BASE64.encode(login.to_text().as_bytes()));
            Zeroizing::new(format!("Basic {}", *encoded))
        });
        Self { host, names, authorization, peer: peer.to_owned() }
    }

    /// The head for the target.
    pub fn request(&self, request: &Request) -> Result<Bytes, Refusal> {
        let dropped = nominated(request)?;
        let listener = request.host();
        let mut out = BytesMut::with_capacity(request.head.bytes().len() + 256);
        line(&mut out, &[request.head.first_line()]);
        if listener.is_none() {
            line(&mut out, &[b"Host: ", self.host.as_bytes()]);
        }
        for field in request.head.fields() {
            let goes = is_ours(&field)
                || dropped.iter().any(|name| field.name.eq_ignore_ascii_case(name))
                || field.is("proxy-authorization")
                || field.is("proxy-connection")
                || (field.is("upgrade") && !request.upgrade)
                || (field.passes_for("authorization") && self.authorization.is_some());
            if goes {
                continue;
            }
            if field.is("host") {
                changed(&mut out, &field, self.host.as_bytes());
            } else if field.is("connection") && !dropped.is_empty() {
                let kept: Vec<&[u8]> = elements(field.value).filter(|element| is_option(element)).collect();
                if !kept.is_empty() {
                    changed(&mut out, &field, &kept.join(&b", "[..]));
                }
            } else if field.is("origin") || field.is("referer") {
                let to_target =
                    |url| retarget(url, &self.host, |name| listener.is_some_and(|own| same_host(name, own)));
                forwarded(&mut out, &field, to_target(field.value));
            } else {
                out.put_slice(field.line);
            }
        }
        line(&mut out, &[b"Coco-Peer: ", self.peer.as_bytes()]);
        line(&mut out, &[b"X-Forwarded-Proto: http"]);
        if let Some(listener) = listener {
            line(&mut out, &[b"X-Forwarded-Host: ", listener]);
        }
        if let Some(authorization) = &self.authorization {
            line(&mut out, &[b"Authorization: ", authorization.as_bytes()]);
        }
        line(&mut out, &[]);
        Ok(out.freeze())
    }

    /// The head for the client, which asked for the host `listener`.
    pub fn response(&self, response: &Response, listener: Option<&[u8]>) -> Bytes {
        let listener = listener.and_then(|listener| core::str::from_utf8(listener).ok());
        let mut out = BytesMut::with_capacity(response.head.bytes().len() + 64);
        line(&mut out, &[response.head.first_line()]);
        for field in response.head.fields() {
            let back = |url| {
                let listener = listener?;
                retarget(url, listener, |name| named(name).is_some_and(|name| self.names.contains(&name)))
            };
            let value = if ["location", "content-location", "access-control-allow-origin"]
                .iter()
                .any(|name| field.is(name))
            {
                back(field.value)
            } else if field.is("refresh") {
                refresh_url(field.value).and_then(|at| {
                    let (before, url) = field.value.split_at(at);
                    Some([before, &back(url)?].concat())
                })
            } else if field.is("set-cookie") {
                without_domain(field.value)
            } else {
                None
            };
            forwarded(&mut out, &field, value);
        }
        line(&mut out, &[]);
        out.freeze()
    }
}

/// Whether a field says who somebody is: those of ours, of proxies, and what CGI would take for one.
pub(super) fn is_ours(field: &Field<'_>) -> bool {
    field.passes_for_any("coco-")
        || field.passes_for_any("x-forwarded-")
        || IDENTITY.iter().any(|name| field.passes_for(name))
}

/// The fields that `Connection` names and that therefore end here.
fn nominated(request: &Request) -> Result<Vec<&[u8]>, Refusal> {
    let mut names = Vec::new();
    for element in request.head.values("connection").flat_map(elements) {
        if is_option(element) {
            continue;
        }
        let field = Field { line: element, name: element, value: &[] };
        if STAYS.iter().any(|name| field.passes_for(name)) {
            return Err(Refusal::Connection);
        }
        names.push(element);
    }
    Ok(names)
}

fn is_option(element: &[u8]) -> bool {
    OPTIONS.iter().any(|option| element.eq_ignore_ascii_case(option))
}

fn line(out: &mut BytesMut, parts: &[&[u8]]) {
    parts.iter().for_each(|part| out.put_slice(part));
    out.put_slice(b"\r\n");
}

/// The field with another value.
fn changed(out: &mut BytesMut, field: &Field<'_>, value: &[u8]) {
    line(out, &[field.name, b": ", value]);
}

/// The field with another value, or as it was.
fn forwarded(out: &mut BytesMut, field: &Field<'_>, value: Option<Vec<u8>>) {
    match value {
        Some(value) => changed(out, field, &value),
        None => out.put_slice(field.line),
    }
}

/// Host and port as a URL names a target; the port where it is not HTTP's own.
fn authority(place: &Place) -> String {
    match place {
        Place::Unix(_) | Place::Own => "localhost".to_owned(),
        Place::Net { host, port } => {
            let host = host.as_str();
            let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
            if *port == 80 { host } else { format!("{host}:{port}") }
        }
    }
}

/// An authority by which two of them can be compared.
fn named(authority: &[u8]) -> Option<(Vec<u8>, u16)> {
    let (host, port) = split_host(authority)?;
    Some((host.to_ascii_lowercase(), port.unwrap_or(80)))
}

fn same_host(one: &[u8], other: &[u8]) -> bool {
    named(one).is_some_and(|name| Some(name) == named(other))
}

/// `url` at `to`, when it is at an authority that `is_from`.
fn retarget(url: &[u8], to: &str, is_from: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
    let scheme = match url {
        [b'/', b'/', ..] => 2,
        _ if url.get(..7)?.eq_ignore_ascii_case(b"http://") => 7,
        _ => return None,
    };
    let (scheme, rest) = url.split_at(scheme);
    let end = rest.iter().position(|byte| b"/?#'\" ".contains(byte)).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    is_from(authority).then(|| [scheme, to.as_bytes(), rest].concat())
}

/// Where the URL begins in `5; url=http://...`.
fn refresh_url(value: &[u8]) -> Option<usize> {
    let at = value.windows(4).position(|part| part.eq_ignore_ascii_case(b"url="))? + 4;
    let quotes = value[at..].iter().take_while(|byte| b" '\"".contains(byte)).count();
    Some(at + quotes)
}

/// A cookie without its domain; `None` where it has none.
fn without_domain(cookie: &[u8]) -> Option<Vec<u8>> {
    let is_domain = |part: &[u8]| {
        let name = part.split(|&byte| byte == b'=').next().unwrap_or_default();
        name.trim_ascii().eq_ignore_ascii_case(b"domain")
    };
    // The first part is the cookie itself, whatever it is called.
    let mut parts = cookie.split(|&byte| byte == b';');
    let first = parts.next()?;
    let attributes: Vec<&[u8]> = parts.collect();
    if !attributes.iter().any(|part| is_domain(part)) {
        return None;
    }
    let kept = attributes.into_iter().filter(|part| !is_domain(part));
    Some(std::iter::once(first).chain(kept).collect::<Vec<_>>().join(&b";"[..]))
}

#[cfg(test)]
#[path = "rewrite_tests.rs"]
mod tests;
