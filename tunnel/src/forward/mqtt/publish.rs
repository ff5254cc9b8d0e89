//! PUBLISH: judged by its head, its payload streamed.

use super::packet::{Fields, Header, Malformed, Version};
use super::properties::Properties;
use super::{HEAD_MAX, filter};

/// What stands before the payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head<'a> {
    /// Empty when an alias stands for it.
    pub(super) topic: &'a str,
    pub(super) alias: Option<u16>,
    pub(super) qos: u8,
    /// Of QoS 1 and 2.
    pub(super) id: Option<u16>,
}

/// How many bytes of a PUBLISH, from its first one, are its head; an estimate that is larger than what is
/// there while that is not known. Each estimate names the end of a field, so a head that comes byte by
/// byte is looked at a handful of times.
pub(super) fn head_len(bytes: &[u8], header: &Header, version: Version) -> Result<usize, Malformed> {
    let after_topic = match bytes.get(header.len..header.len + 2) {
        Some(len) => header.len + 2 + usize::from(u16::from_be_bytes([len[0], len[1]])),
        None => return within(header.len + 2, header),
    };
    let after_id = after_topic + if header.qos() > 0 { 2 } else { 0 };
    if version < Version::V5 {
        return within(after_id, header);
    }
    // A varint at a time: its first byte is always there.
    for len in 1..=4 {
        let at = after_id + len - 1;
        let Some(byte) = bytes.get(at) else { return within(at + 1, header) };
        if byte & 0x80 == 0 {
            let length = Fields(&bytes[after_id..=at]).varint()?;
            return within(at + 1 + length, header);
        }
    }
    Err(Malformed::Length)
}

fn within(len: usize, header: &Header) -> Result<usize, Malformed> {
    if len > header.total() {
        Err(Malformed::Short)
    } else if len > HEAD_MAX {
        Err(Malformed::TooLarge)
    } else {
        Ok(len)
    }
}

impl<'a> Head<'a> {
    /// Read a whole head, and nothing behind it.
    pub(super) fn read(bytes: &'a [u8], header: &Header, version: Version) -> Result<Self, Malformed> {
        let mut fields = Fields(bytes.get(header.len..).unwrap_or_default());
        let topic = fields.text()?;
        let id = if header.qos() > 0 { Some(fields.id()?) } else { None };
        let alias = if version == Version::V5 { Properties::read(&mut fields)?.topic_alias } else { None };
        fields.end()?;
        if alias == Some(0) {
            return Err(Malformed::Alias);
        }
        let named = filter::is_topic(topic) || topic.is_empty() && alias.is_some();
        if !named {
            return Err(Malformed::Topic);
        }
        Ok(Self { topic, alias, qos: header.qos(), id })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    /// QoS 1, topic `a/b`, id 7, topic alias 3, payload `hi`.
    const ALIASED: &[u8] = &[
        0x32, 13, // PUBLISH, QoS 1
        0, 3, b'a', b'/', b'b', // topic
        0, 7, // packet id
        3, 0x23, 0, 3, // properties: topic alias
        b'h', b'i',
    ];

    fn read(bytes: &[u8], version: Version) -> Result<Head<'_>, Malformed> {
        let header = Header::read(bytes)?.unwrap();
        let mut len = 0;
        while len < bytes.len() {
            let more = head_len(&bytes[..len], &header, version)?;
            if more <= len {
                break;
            }
            len = more;
        }
        Head::read(&bytes[..len], &header, version)
    }

    #[test]
    fn a_head_is_a_topic_an_id_and_properties() {
        let expected = Head { topic: "a/b", alias: Some(3), qos: 1, id: Some(7) };
        assert_eq!(read(ALIASED, Version::V5), Ok(expected));
        // The same bytes in 3.1.1 have properties for payload.
        let expected = Head { topic: "a/b", alias: None, qos: 1, id: Some(7) };
        assert_eq!(read(ALIASED, Version::V311), Ok(expected));
        let empty = Head { topic: "", alias: Some(3), qos: 0, id: None };
        assert_eq!(read(&[0x30, 6, 0, 0, 3, 0x23, 0, 3], Version::V5), Ok(empty));
    }

    #[test]
    fn a_head_is_found_whatever_part_of_it_is_there() {
        let header = Header::read(ALIASED).unwrap().unwrap();
        let mut looks = 0;
        let (mut len, end) = (2, 13);
        while len < end {
            let more = head_len(&ALIASED[..len], &header, Version::V5).unwrap();
            assert!(more > len && more <= end, "{more} at {len}");
            len = more;
            looks += 1;
        }
        assert_eq!(head_len(ALIASED, &header, Version::V5), Ok(end));
        assert!(looks <= 4, "{looks} looks");
    }

    #[test]
    fn each_mistake_has_its_own_reason() {
        for (bytes, why) in [
            (&[0x30, 4, 0, 2, b'a', b'+'][..], Malformed::Topic),
            (&[0x30, 2, 0, 0], Malformed::Topic),
            (&[0x30, 3, 0, 1, 0], Malformed::Text),
            (&[0x30, 3, 0, 5, b'a'], Malformed::Short),
            (&[0x32, 5, 0, 1, b'a', 0, 0], Malformed::Id),
            (&[0x32, 4, 0, 1, b'a', 0], Malformed::Short),
        ] {
            assert_eq!(read(bytes, Version::V311), Err(why), "{bytes:?}");
        }
        for (bytes, why) in [
            (&[0x30, 7, 0, 1, b'a', 3, 0x23, 0, 0][..], Malformed::Alias),
            (&[0x30, 3, 0, 0, 0], Malformed::Topic),
            (&[0x30, 7, 0, 1, b'a', 0x80, 0x80, 0x80, 0x80], Malformed::Length),
            // Properties that are longer than the packet, and than what is judged.
            (&[0x30, 4, 0, 1, b'a', 1], Malformed::Short),
            (&[0x30, 0xff, 0xff, 0xff, 0x7f, 0, 1, b'a', 0xff, 0xff, 0x7f, 0], Malformed::TooLarge),
        ] {
            assert_eq!(read(bytes, Version::V5), Err(why), "{bytes:?}");
        }
    }
}
