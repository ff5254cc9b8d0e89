//! CONNECT: who the client says it is, what is to be published when it is gone, and what the exporter puts
//! in its place: a client id of its own for each caller, and the broker's login.

use super::filter;
use super::packet::{Fields, Header, Kind, Malformed, Version, packet, put_binary};
use super::properties::Properties;

const USER: u8 = 0x80;
const PASSWORD: u8 = 0x40;
const WILL: u8 = 0x04;
/// The flags that say something of the will.
const OF_WILL: u8 = 0x38;
const RESERVED: u8 = 0x01;

/// A CONNECT, read in place.
#[derive(Debug)]
pub(super) struct Connect<'a> {
    pub(super) version: Version,
    flags: u8,
    /// Protocol name and level.
    protocol: &'a [u8],
    /// Keep alive and properties.
    between: &'a [u8],
    pub(super) client_id: &'a str,
    /// The will's properties, topic and payload.
    will: &'a [u8],
    pub(super) will_topic: Option<&'a str>,
    /// User name and password as they came.
    login: &'a [u8],
    /// It begins an exchange of AUTH packets.
    pub(super) authentication: bool,
    /// The largest topic alias that the client takes.
    pub(super) topic_alias_maximum: u16,
}

impl<'a> Connect<'a> {
    /// Read a whole packet.
    pub(super) fn read(bytes: &'a [u8], header: &Header) -> Result<Self, Malformed> {
        let whole = bytes.get(header.len..).unwrap_or_default();
        let mut fields = Fields(whole);
        let version = match (fields.binary()?, fields.byte()?) {
            (b"MQIsdp", 3) => Version::V31,
            (b"MQTT", 4) => Version::V311,
            (b"MQTT", 5) => Version::V5,
            _ => return Err(Malformed::Protocol),
        };
        let protocol = passed(whole, &fields);
        let flags = flags_of(fields.byte()?, version)?;
        let rest = fields;
        fields.two()?;
        let properties = read_properties(&mut fields, version)?;
        let between = passed(rest.0, &fields);
        let client_id = fields.text()?;
        let rest = fields;
        let mut will_topic = None;
        if flags & WILL != 0 {
            read_properties(&mut fields, version)?;
            will_topic =
                Some(fields.text().ok().filter(|topic| filter::is_topic(topic)).ok_or(Malformed::Topic)?);
            fields.binary()?;
        }
        let will = passed(rest.0, &fields);
        let login = fields.0;
        if flags & USER != 0 {
            fields.text()?;
        }
        if flags & PASSWORD != 0 {
            fields.binary()?;
        }
        fields.end()?;
        Ok(Self {
            version,
            flags,
            protocol,
            between,
            client_id,
            will,
            will_topic,
            login,
            authentication: properties.authentication,
            topic_alias_maximum: properties.topic_alias_maximum.unwrap_or(0),
        })
    }

    /// The packet with another client id and, where there is one, with another login. `None` when that does
    /// not fit into its fields.
    pub(super) fn rewritten(&self, client_id: &str, login: Option<(&str, &str)>) -> Option<Vec<u8>> {
        let flags = if login.is_some() { self.flags | USER | PASSWORD } else { self.flags };
        let mut body = [self.protocol, &[flags], self.between].concat();
        let mut fits = put_binary(client_id.as_bytes(), &mut body);
        body.extend_from_slice(self.will);
        match login {
            Some((user, password)) => {
                fits &= put_binary(user.as_bytes(), &mut body);
                fits &= put_binary(password.as_bytes(), &mut body);
            }
            None => body.extend_from_slice(self.login),
        }
        fits.then(|| packet(Kind::Connect, 0, &body))
    }
}

/// What of `whole` comes before the `left` fields.
fn passed<'a>(whole: &'a [u8], left: &Fields<'_>) -> &'a [u8] {
    &whole[..whole.len() - left.0.len()]
}

fn flags_of(flags: u8, version: Version) -> Result<u8, Malformed> {
    let will = flags & WILL != 0;
    if flags & RESERVED != 0 || flags & 0x18 == 0x18 || !will && flags & OF_WILL != 0 {
        return Err(Malformed::Flags);
    }
    // A password alone came with version 5.
    if version < Version::V5 && flags & PASSWORD != 0 && flags & USER == 0 {
        return Err(Malformed::Flags);
    }
    Ok(flags)
}

fn read_properties(fields: &mut Fields<'_>, version: Version) -> Result<Properties, Malformed> {
    if version == Version::V5 { Properties::read(fields) } else { Ok(Properties::default()) }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn read(bytes: &[u8]) -> Result<Connect<'_>, Malformed> {
        let header = Header::read(bytes)?.ok_or(Malformed::Short)?;
        Connect::read(bytes, &header)
    }

    /// Version 3.1.1, clean session, client id `cam`.
    const PLAIN: &[u8] = &[0x10, 15, 0, 4, b'M', b'Q', b'T', b'T', 4, 0x02, 0, 60, 0, 3, b'c', b'a', b'm'];

    /// Version 5 with everything: session expiry 10, client id `c`, a will with its delay on `w/t`, `u`, `p`.
    const FULL: &[u8] = &[
        0x10, 42, // CONNECT
        0, 4, b'M', b'Q', b'T', b'T', 5,    // protocol
        0xce, // user, password, will with QoS 1, clean start
        0, 60, // keep alive
        5, 0x11, 0, 0, 0, 10, // properties: session expiry interval
        0, 1, b'c', // client id
        5, 0x18, 0, 0, 0, 9, // will properties: will delay interval
        0, 3, b'w', b'/', b't', // will topic
        0, 4, b'g', b'o', b'n', b'e', // will payload
        0, 1, b'u', // user name
        0, 1, b'p', // password
    ];

    #[test]
    fn a_connect_of_each_version_is_read() {
        let plain = read(PLAIN).unwrap();
        assert_eq!((plain.version, plain.client_id, plain.will_topic), (Version::V311, "cam", None));
        let full = read(FULL).unwrap();
        assert_eq!((full.version, full.client_id, full.will_topic), (Version::V5, "c", Some("w/t")));
        let old = [&[0x10, 14, 0, 6][..], b"MQIsdp", &[3, 0x02, 0, 60, 0, 0]].concat();
        assert_eq!(read(&old).map(|old| old.version), Ok(Version::V31));
    }

    #[test]
    fn what_is_not_changed_is_written_as_it_was() {
        for packet in [PLAIN, FULL] {
            let connect = read(packet).unwrap();
            assert_eq!(connect.rewritten(connect.client_id, None).as_deref(), Some(packet));
        }
    }

    #[test]
    fn an_id_and_a_login_are_put_in_and_the_rest_stays() {
        let changed = read(PLAIN).unwrap().rewritten("cam-x", Some(("me", "pw"))).unwrap();
        let expected = [
            &[0x10, 25, 0, 4, b'M', b'Q', b'T', b'T', 4, 0xc2, 0, 60][..],
            &[0, 5, b'c', b'a', b'm', b'-', b'x', 0, 2, b'm', b'e', 0, 2, b'p', b'w'],
        ];
        assert_eq!(changed, expected.concat());
        let changed = read(FULL).unwrap().rewritten("c", Some(("user", "pass"))).unwrap();
        assert_eq!(changed[2..changed.len() - 12], FULL[2..FULL.len() - 6]);
        assert!(changed.ends_with(b"\0\x04user\0\x04pass"));
        assert_eq!(read(PLAIN).unwrap().rewritten(&"x".repeat(65_536), None), None);
    }

    #[test]
    fn each_mistake_has_its_own_reason() {
        let with = |at: usize, byte: u8| {
            let mut bytes = FULL.to_vec();
            bytes[at] = byte;
            bytes
        };
        for (bytes, why) in [
            (with(8, 6), Malformed::Protocol),
            (with(4, b'm'), Malformed::Protocol),
            (with(9, 0xcf), Malformed::Flags),
            (with(9, 0xde), Malformed::Flags),
            // A will that is not there has no quality.
            (with(9, 0xca), Malformed::Flags),
            (with(9, 0x8e), Malformed::Long),
            (with(30, b'#'), Malformed::Topic),
            (with(20, 0), Malformed::Text),
            (with(FULL.len() - 2, 2), Malformed::Short),
        ] {
            assert_eq!(read(&bytes).map(|_| ()), Err(why), "{bytes:?}");
        }
        // A password without a user is for version 5.
        let alone = [&PLAIN[..9], &[0x42], &PLAIN[10..], &[0, 0]].concat();
        let alone = [&[0x10, 17], &alone[2..]].concat();
        assert_eq!(read(&alone).map(|_| ()), Err(Malformed::Flags));
    }
}
