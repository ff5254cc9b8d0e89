//! Which HTTP proxy the carrier goes through, and what is said to it.
//!
//! Pure: the environment is asked through a function. What is set explicitly wins; else `https_proxy`,
//! `HTTPS_PROXY`, `all_proxy`, `ALL_PROXY`, the first that is not empty, unless the host stands in `no_proxy`
//! or `NO_PROXY`. A value that cannot be used is an error where a proxy is needed, and not before: a SOCKS
//! proxy in the environment of a machine whose UDP works does no harm.

use core::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use coconet::manager_addr::{Host, split_location};
use coconet::name::shown;
use data_encoding::BASE64;
use zeroize::Zeroizing;

/// The variables that name a proxy, the first one first.
pub const VARIABLES: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];

/// The variables that name hosts to be reached without.
pub const EXCEPTIONS: [&str; 2] = ["no_proxy", "NO_PROXY"];

/// Longest URL of a proxy.
pub const URL_MAX: usize = 1024;

/// Longest list of exceptions; what is beyond is not looked at.
pub const EXCEPTIONS_MAX: usize = 16 * 1024;

/// Longest head of a proxy's answer.
pub const ANSWER_MAX: usize = 8 * 1024;

/// The port of a proxy whose URL names none.
const DEFAULT_PORT: u16 = 80;

/// An HTTP proxy that takes CONNECT.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Name or address, without brackets.
    pub host: Host,
    /// TCP port.
    pub port: u16,
    /// What `Proxy-Authorization` says after `Basic`.
    credentials: Option<Zeroizing<String>>,
}

/// What somebody wants of proxies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Setting {
    /// Do as the environment says.
    #[default]
    Environment,
    /// Use none.
    Off,
    /// Use that one for every host.
    Use(Proxy),
}

/// Which proxy there is for which host.
#[derive(Debug, Clone, Default)]
pub enum Proxies {
    /// None for any.
    #[default]
    Off,
    /// That one for all.
    Always(Proxy),
    /// What the environment says.
    Environment {
        /// The proxy, or why it cannot be used.
        proxy: Result<Proxy, ProxyError>,
        /// The hosts to be reached without.
        except: Exceptions,
    },
}

/// The hosts in a `no_proxy` list: `*`, names that stand for their subdomains too, addresses and networks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exceptions(Vec<String>);

/// Why a proxy is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// Not an URL of a proxy.
    #[error("a proxy looks like http://HOST:PORT or http://USER:PASSWORD@HOST:PORT ({0})")]
    Url(&'static str),
    /// Another kind of proxy.
    #[error("a proxy is reached by http://, not by {0}://")]
    Scheme(String),
    /// From the environment.
    #[error("the proxy in the environment variable {0} cannot be used: {1}")]
    Variable(&'static str, #[source] Box<Self>),
    /// It asks who is there.
    #[error("it asks for a user name and a password")]
    Unauthorized,
    /// It does not know who that is.
    #[error("it does not take the user name and the password")]
    WrongCredentials,
    /// It does not let through.
    #[error("it refuses to connect: status {0}")]
    Refused(u16),
    /// It does not speak HTTP, or too much.
    #[error("its answer is not one of an HTTP proxy")]
    Protocol,
}

impl Proxies {
    /// What `setting` and the variables that `environment` knows make of it.
    pub fn new(setting: Setting, environment: impl Fn(&str) -> Option<String>) -> Self {
        match setting {
            Setting::Off => Self::Off,
            Setting::Use(proxy) => Self::Always(proxy),
            Setting::Environment => {
                let first = |names: &[&'static str]| {
                    let set = |name: &'static str| Some((name, environment(name)?));
                    names.iter().filter_map(|name| set(name)).find(|(_, value)| !value.trim().is_empty())
                };
                let Some((name, value)) = first(&VARIABLES) else { return Self::Off };
                let proxy = value.parse().map_err(|error| ProxyError::Variable(name, Box::new(error)));
                let except = first(&EXCEPTIONS).map(|(_, list)| Exceptions::of(&list)).unwrap_or_default();
                Self::Environment { proxy, except }
            }
        }
    }

    /// The proxy through which `host` is reached; none when it is reached directly. The environment's is not
    /// used for this machine.
    pub fn towards(&self, host: &Host) -> Result<Option<&Proxy>, ProxyError> {
        match self {
            Self::Off => Ok(None),
            Self::Always(proxy) => Ok(Some(proxy)),
            Self::Environment { except, .. } if is_this_machine(host) || except.contain(host) => Ok(None),
            Self::Environment { proxy, .. } => proxy.as_ref().map(Some).map_err(Clone::clone),
        }
    }
}

impl FromStr for Setting {
    type Err = ProxyError;

    /// Nothing for the environment, `off`, or the URL of a proxy.
    fn from_str(text: &str) -> Result<Self, ProxyError> {
        match text {
            "" => Ok(Self::Environment),
            "off" => Ok(Self::Off),
            url => url.parse().map(Self::Use),
        }
    }
}

impl FromStr for Proxy {
    type Err = ProxyError;

    /// As others do, take `HOST:PORT` without a scheme too.
    fn from_str(text: &str) -> Result<Self, ProxyError> {
        let text = text.trim();
        if text.len() > URL_MAX {
            return Err(ProxyError::Url("too long"));
        }
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        if !scheme.eq_ignore_ascii_case("http") {
            return Err(ProxyError::Scheme(shown(scheme)));
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (user, location) = match rest.rsplit_once('@') {
            Some((user, location)) => (Some(user), location),
            None => (None, rest),
        };
        if location.contains(['/', '?', '#']) {
            return Err(ProxyError::Url("nothing comes after the port"));
        }
        let bare = location.ends_with(']') || !location.contains(':');
        let located = if bare { &format!("{location}:{DEFAULT_PORT}") } else { location };
        let (host, port) = split_location(located).map_err(|_| ProxyError::Url("the host or the port"))?;
        Ok(Self { host, port, credentials: user.map(credentials).transpose()? })
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proxy(")?;
        fmt::Display::fmt(self, f)?;
        f.write_str(if self.credentials.is_some() { ", secret)" } else { ")" })
    }
}

/// Host and port, and no password.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&location(&self.host, self.port))
    }
}

impl Proxy {
    /// What asks it to connect to a port of `host`.
    pub fn request(&self, host: &Host, port: u16) -> Zeroizing<String> {
        let location = location(host, port);
        let mut request = format!("CONNECT {location} HTTP/1.1\r\nHost: {location}\r\n");
        if let Some(credentials) = &self.credentials {
            request.push_str("Proxy-Authorization: Basic ");
            request.push_str(credentials);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        Zeroizing::new(request)
    }

    /// What it says, from the bytes it has sent so far: true when the connection is there, false when the
    /// answer is not whole yet.
    pub fn answered(&self, bytes: &[u8]) -> Result<bool, ProxyError> {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            // So that somebody who is no proxy is found out without waiting for a line that never ends.
            let plausible = b"HTTP/1.".iter().zip(bytes).all(|(one, other)| one == other);
            return if plausible && bytes.len() < ANSWER_MAX { Ok(false) } else { Err(ProxyError::Protocol) };
        };
        match status(bytes).ok_or(ProxyError::Protocol)? {
            // Who is behind it does not speak first.
            200..=299 if bytes.len() == end + 4 => Ok(true),
            200..=299 => Err(ProxyError::Protocol),
            407 if self.credentials.is_some() => Err(ProxyError::WrongCredentials),
            407 => Err(ProxyError::Unauthorized),
            status => Err(ProxyError::Refused(status)),
        }
    }
}

/// The number in `HTTP/1.x NNN`, from 200 on.
fn status(answer: &[u8]) -> Option<u16> {
    let (version, rest) = answer.split_at_checked(9)?;
    let (digits, rest) = rest.split_first_chunk::<3>()?;
    let plain = matches!(version, b"HTTP/1.0 " | b"HTTP/1.1 ") && digits.iter().all(u8::is_ascii_digit);
    let ended = matches!(rest.first(), Some(b' ' | b'\r'));
    let status = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (plain && ended && (200..600).contains(&status)).then_some(status)
}

/// User and password of an URL, as `Basic` (RFC 7617) wants them.
fn credentials(text: &str) -> Result<Zeroizing<String>, ProxyError> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let wrong = ProxyError::Url("the user name or the password");
    let user = Zeroizing::new(decode_percent(user).ok_or(wrong.clone())?);
    let password = Zeroizing::new(decode_percent(password).ok_or(wrong.clone())?);
    if user.is_empty() || user.contains(&b':') || [&user, &password].iter().any(|part| has_control(part)) {
        return Err(wrong);
    }
    let both = Zeroizing::new([&user[..], b":", &password[..]].concat());
    Ok(Zeroizing::new(BASE64.encode(&both)))
}

fn has_control(bytes: &[u8]) -> bool {
    bytes.iter().any(u8::is_ascii_control)
}

fn decode_percent(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            let value = digit()? * 16 + digit()?;
            decoded.push(u8::try_from(value).ok()?);
        } else {
            decoded.push(byte);
        }
    }
    Some(decoded)
}

fn location(host: &Host, port: u16) -> String {
    let host = host.as_str();
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn is_this_machine(host: &Host) -> bool {
    let name = host.as_str().trim_end_matches('.');
    let address = host.as_str().parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|ip| ip.to_canonical().is_loopback())
}

impl Exceptions {
    /// The exceptions in a list with commas, of which what makes no sense is left out.
    pub fn of(list: &str) -> Self {
        let mut cut = list.len().min(EXCEPTIONS_MAX);
        while !list.is_char_boundary(cut) {
            cut -= 1;
        }
        let words = list[..cut].split([',', ' ', '\t', '\n']).filter(|word| !word.is_empty());
        Self(words.map(str::to_ascii_lowercase).collect())
    }

    fn contain(&self, host: &Host) -> bool {
        let name = host.as_str().trim_end_matches('.').to_ascii_lowercase();
        match host.as_str().parse::<IpAddr>() {
            Ok(address) => self.0.iter().any(|word| word == "*" || covers(word, address.to_canonical())),
            Err(_) => self.0.iter().any(|word| word == "*" || names(word, &name)),
        }
    }
}

/// Whether `word` is `name` or a domain above it: `example.org`, `.example.org` and `*.example.org` are one.
fn names(word: &str, name: &str) -> bool {
    let domain = word.trim_start_matches('*').trim_matches('.');
    let above = name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    !domain.is_empty() && above
}

/// Whether `word` is that address, or a network around it.
fn covers(word: &str, address: IpAddr) -> bool {
    let (network, bits) = match word.split_once('/') {
        Some((network, bits)) => (network, Some(bits)),
        None => (word, None),
    };
    let network = network.trim_start_matches('[').trim_end_matches(']');
    let Ok(network) = network.parse::<IpAddr>().map(|ip| ip.to_canonical()) else { return false };
    let (one, other, width) = match (network, address) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (u128::from(one.to_bits()), u128::from(other.to_bits()), 32),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits(), other.to_bits(), 128),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
    };
    match bits.map_or(Ok(width), str::parse) {
        Ok(bits) if bits <= width => {
            // All of the bits differ where none is compared.
            (one ^ other).checked_shr(width - bits).unwrap_or_default() == 0
        }
        Ok(_) | Err(_) => false,
    }
}

#[cfg(test)]
#[path = "proxy_tests.rs"]
mod tests;
