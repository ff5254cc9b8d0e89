//! Where a manager is and how to be sure it is that one: `mgr1<keys>@HOST:PORT`, or with `+TLSPORT` at
//! the end where its TLS port is not [`TLS_PORT`].
//!
//! `<keys>` is base32 of the stamp key, the session key and a 4-byte checksum, so that a mistyped
//! address is refused before anything is sent. Who holds the text can reach the manager; who does not
//! gets no answer from it at all.

use core::fmt;
use core::num::NonZeroU16;
use core::str::FromStr;

use minicbor::{Decode, Encode};

use crate::id::{Hash, StampKey, StaticKey, base32, decode_base32};

/// Longest host name, in bytes (RFC 1035).
pub const HOST_MAX: usize = 253;

/// The TCP port for TLS of a manager whose address names none.
pub const TLS_PORT: u16 = 443;

const PREFIX: &str = "mgr1";
const CHECKSUM_LEN: usize = 4;

/// A manager's keys and address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(map)]
pub struct ManagerAddr {
    /// What it stamps entries with.
    #[n(0)]
    pub stamp: StampKey,
    /// What its sessions are authenticated by.
    #[n(1)]
    pub talk: StaticKey,
    /// Host name or address, without brackets.
    #[n(2)]
    pub host: Host,
    /// UDP port; never zero.
    #[cbor(n(3), decode_with = "decode_port")]
    pub port: u16,
    /// TCP port for TLS, where UDP does not get through; [`TLS_PORT`] when absent.
    #[n(4)]
    pub tls: Option<NonZeroU16>,
}

/// A host name or IP address of plausible characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode)]
#[cbor(transparent)]
pub struct Host(#[n(0)] String);

/// Why a text is not a manager address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ManagerAddrError {
    /// No `mgr1...@`.
    #[error("a manager address looks like mgr1...@HOST:PORT")]
    Shape,
    /// The keys part is damaged.
    #[error("the key part of the manager address is damaged: copy it again")]
    Keys,
    /// The host or the port is not one.
    #[error("the manager address needs HOST:PORT or HOST:PORT+TLSPORT after the @")]
    Host,
}

impl Host {
    /// The text, without brackets.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Host {
    type Err = ManagerAddrError;

    fn from_str(text: &str) -> Result<Self, ManagerAddrError> {
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let address = text.parse::<core::net::IpAddr>().is_ok();
        let name =
            !text.is_empty() && text.len() <= HOST_MAX && text.chars().all(word) && !text.starts_with('-');
        if address || name { Ok(Self(text.to_owned())) } else { Err(ManagerAddrError::Host) }
    }
}

impl<'b, C> Decode<'b, C> for Host {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        d.str()?.parse().map_err(|_| minicbor::decode::Error::message("not a host"))
    }
}

fn decode_port<C>(d: &mut minicbor::Decoder<'_>, _: &mut C) -> Result<u16, minicbor::decode::Error> {
    match d.u16()? {
        0 => Err(minicbor::decode::Error::message("port 0 is none")),
        port => Ok(port),
    }
}

impl fmt::Display for ManagerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [self.stamp.0, self.talk.0].concat();
        bytes.extend_from_slice(&checksum(&bytes));
        write!(f, "{PREFIX}{}@{}", base32(&bytes), self.location())?;
        self.tls.map_or(Ok(()), |port| write!(f, "+{port}"))
    }
}

impl ManagerAddr {
    /// `HOST:PORT`, with brackets around an IPv6 address.
    pub fn location(&self) -> String {
        let host = self.host.as_str();
        if host.contains(':') { format!("[{host}]:{}", self.port) } else { format!("{host}:{}", self.port) }
    }

    /// The TCP port for TLS.
    pub fn tls_port(&self) -> u16 {
        self.tls.map_or(TLS_PORT, NonZeroU16::get)
    }
}

/// Host and port of `HOST:PORT` or `[V6]:PORT`.
pub fn split_location(text: &str) -> Result<(Host, u16), ManagerAddrError> {
    let (host, port) = text.rsplit_once(':').ok_or(ManagerAddrError::Host)?;
    let bare = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(v6) if v6.contains(':') => v6,
        Some(_) => return Err(ManagerAddrError::Host),
        None if host.contains(':') => return Err(ManagerAddrError::Host),
        None => host,
    };
    Ok((bare.parse()?, port_number(port).ok_or(ManagerAddrError::Host)?))
}

/// A port in digits alone: `parse` would take `+80` as well. Zero is none.
pub(crate) fn port_number(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0)
}

impl FromStr for ManagerAddr {
    type Err = ManagerAddrError;

    fn from_str(text: &str) -> Result<Self, ManagerAddrError> {
        let body = text.trim().strip_prefix(PREFIX).ok_or(ManagerAddrError::Shape)?;
        let (keys, location) = body.split_once('@').ok_or(ManagerAddrError::Shape)?;
        let bytes = decode_base32(keys).ok_or(ManagerAddrError::Keys)?;
        let (keys, sum) = bytes.split_at_checked(64).ok_or(ManagerAddrError::Keys)?;
        if sum != checksum(keys) {
            return Err(ManagerAddrError::Keys);
        }
        let half = |at: usize| <[u8; 32]>::try_from(&keys[at..at + 32]).map_err(|_| ManagerAddrError::Keys);
        let (location, tls) = match location.split_once('+') {
            Some((location, tls)) => (location, Some(tls_port(tls).ok_or(ManagerAddrError::Host)?)),
            None => (location, None),
        };
        let (host, port) = split_location(location)?;
        Ok(Self { stamp: StampKey(half(0)?), talk: StaticKey(half(32)?), host, port, tls })
    }
}

fn tls_port(text: &str) -> Option<NonZeroU16> {
    port_number(text).and_then(NonZeroU16::new)
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_LEN] {
    let digest = Hash::of("coco/manager-address", &[bytes]).0;
    [digest[0], digest[1], digest[2], digest[3]]
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn addr(host: &str) -> ManagerAddr {
        ManagerAddr {
            stamp: StampKey([1; 32]),
            talk: StaticKey([2; 32]),
            host: host.parse().unwrap(),
            port: 4433,
            tls: None,
        }
    }

    #[test]
    fn the_port_for_tls_is_told_where_it_is_another_than_443() {
        let elsewhere = ManagerAddr { tls: NonZeroU16::new(8443), ..addr("::1") };
        let text = elsewhere.to_string();
        assert!(text.ends_with("@[::1]:4433+8443"));
        assert_eq!(text.parse(), Ok(elsewhere.clone()));
        assert_eq!((elsewhere.tls_port(), addr("::1").tls_port()), (8443, 443));
        assert_eq!(elsewhere.location(), "[::1]:4433");
    }

    #[test]
    fn an_address_parses_back_for_names_and_both_families() {
        for host in ["example.org", "192.0.2.1", "2001:db8::1"] {
            let addr = addr(host);
            assert_eq!(addr.to_string().parse(), Ok(addr));
        }
        assert!(addr("::1").to_string().ends_with("@[::1]:4433"));
    }

    #[test]
    fn a_damaged_address_is_refused_with_its_reason() {
        let good = addr("h").to_string();
        let typo = good.replacen("mgr1a", "mgr1b", 1);
        assert_eq!(typo.parse::<ManagerAddr>(), Err(ManagerAddrError::Keys));
        assert_eq!("http://x".parse::<ManagerAddr>(), Err(ManagerAddrError::Shape));
        for tail in [
            "h", "h:0", "h:99999", "h:+80", "::1:4433", "-h:1", "a/b:1", "[h]:1", "h:1+", "h:1+0", "h:1+1+1",
            "h+1",
        ] {
            let text = format!("{}@{tail}", good.split('@').next().unwrap());
            assert_eq!(text.parse::<ManagerAddr>(), Err(ManagerAddrError::Host), "{tail}");
        }
    }
}
