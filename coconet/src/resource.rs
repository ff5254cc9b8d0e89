//! What a device offers: a kind, and attributes that help whoever opens it.

use core::fmt;
use core::str::FromStr;
use std::collections::BTreeMap;

use minicbor::encode::{self, Write};
use minicbor::{Decode, Encode, Encoder};
use serde::{Deserialize, Serialize};

use crate::grant::Capabilities;
use crate::manager_addr::port_number;
use crate::name::Name;

/// Most attributes of one resource.
pub const ATTRIBUTES_MAX: usize = 16;

/// Longest attribute value, in bytes.
pub const ATTRIBUTE_MAX: usize = 1024;

/// The attribute that holds the path and query of an `http` or `rtsp` resource.
pub const PATH: &str = "path";

/// The attribute of a `tcp` resource that takes UDP on the same port, with the value `yes`.
pub const UDP: &str = "udp";

/// The attribute that holds the port of a `tcp` or `udp` resource: the one it has inside `cococtl run`.
pub const PORT: &str = "port";

/// The attribute that holds what a grant gives that names nothing: capabilities, with spaces between.
pub const CAN: &str = "can";

/// The protocol a resource speaks.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cbor(index_only)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An opaque byte stream, over TCP or a unix socket at the exporter.
    #[n(0)]
    Tcp,
    /// Datagrams.
    #[n(1)]
    Udp,
    /// HTTP/1.1.
    #[n(2)]
    Http,
    /// RTSP with its media.
    #[n(3)]
    Rtsp,
    /// MQTT 3.1.1 or 5.
    #[n(4)]
    Mqtt,
    /// IP packets to the exporter's own [address](crate::address).
    #[n(5)]
    Ip,
}

/// Attributes by name, checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Attributes(BTreeMap<Name, String>);

/// Why attributes were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AttributeError {
    /// More than [`ATTRIBUTES_MAX`].
    #[error("more than 16 attributes")]
    TooMany,
    /// A value longer than [`ATTRIBUTE_MAX`], or with a control character.
    #[error("an attribute is longer than 1024 bytes or holds control characters")]
    Value,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Tcp, Self::Udp, Self::Http, Self::Rtsp, Self::Mqtt, Self::Ip];

    /// The word, which is also the URL scheme.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Http => "http",
            Self::Rtsp => "rtsp",
            Self::Mqtt => "mqtt",
            Self::Ip => "ip",
        }
    }

    /// The port its URLs may leave out, where the protocol has one.
    pub fn default_port(self) -> Option<u16> {
        match self {
            Self::Http => Some(80),
            Self::Rtsp => Some(554),
            Self::Mqtt => Some(1883),
            Self::Tcp | Self::Udp | Self::Ip => None,
        }
    }

    /// What can be done with a resource of this kind; a grant names some of these.
    pub fn capabilities(self) -> &'static [&'static str] {
        match self {
            // Exchanging is for one that takes UDP on the same port.
            Self::Tcp => &["connect", "exchange"],
            Self::Udp => &["exchange"],
            Self::Http => &["read", "write"],
            Self::Rtsp => &["play", "record", "talk"],
            Self::Mqtt => &["publish", "subscribe"],
            Self::Ip => &["connect"],
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = KindError;

    fn from_str(text: &str) -> Result<Self, KindError> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(KindError)
    }
}

/// A word that is no kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a resource is tcp, udp, http, rtsp, mqtt or ip")]
pub struct KindError;

impl Attributes {
    /// Checked attributes.
    pub fn new(map: BTreeMap<Name, String>) -> Result<Self, AttributeError> {
        if map.len() > ATTRIBUTES_MAX {
            return Err(AttributeError::TooMany);
        }
        let fits = |value: &String| value.len() <= ATTRIBUTE_MAX && !value.chars().any(char::is_control);
        if map.values().all(fits) { Ok(Self(map)) } else { Err(AttributeError::Value) }
    }

    /// The value of one.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key.as_str() == name).map(|(_, value)| value.as_str())
    }

    /// Whether a resource of `kind` with these takes datagrams.
    pub fn takes_udp(&self, kind: Kind) -> bool {
        kind == Kind::Udp || (kind == Kind::Tcp && self.get(UDP).is_some())
    }

    /// The port that the exporter has published.
    pub fn port(&self) -> Option<u16> {
        self.get(PORT).and_then(port_number)
    }

    /// What a grant gives that names nothing: the exporter's choice, or all that can be done with `kind`.
    pub fn usual(&self, kind: Kind) -> Option<Capabilities> {
        let words = |text: &str| Capabilities::new(text.split(' ').map(str::to_owned).collect()).ok();
        let chosen = self.get(CAN).and_then(words);
        let all = || Capabilities::new(kind.capabilities().iter().map(ToString::to_string).collect()).ok();
        chosen.filter(|chosen| chosen.fit(kind)).or_else(all)
    }

    /// All of them, by name.
    pub fn map(&self) -> &BTreeMap<Name, String> {
        &self.0
    }
}

/// Keys in the order of their encoded bytes, shorter before longer (RFC 8949, 4.2.1).
impl<C> Encode<C> for Attributes {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        let mut sorted: Vec<_> = self.0.iter().map(|(name, value)| (name.as_str(), value)).collect();
        sorted.sort_by_key(|(name, _)| (name.len(), *name));
        e.map(sorted.len() as u64)?;
        for (name, value) in sorted {
            e.str(name)?.str(value)?;
        }
        Ok(())
    }
}

impl<'b, C> Decode<'b, C> for Attributes {
    fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        let map = BTreeMap::<Name, String>::decode(d, ctx)?;
        Self::new(map).map_err(|_| minicbor::decode::Error::message("attributes out of bounds"))
    }
}
