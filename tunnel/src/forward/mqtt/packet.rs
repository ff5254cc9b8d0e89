//! What every MQTT packet is made of: the fixed header, and the few shapes of field behind it.
//!
//! The crates of the field decode whole packets into values and encode values into packets. Here most
//! packets are forwarded as they came, a large payload is never held, and level 3 is spoken too, so this
//! reads in place and copies nothing. Decoders take the bytes of one packet, all of them, and nothing
//! behind them.

use std::str;

/// Longest packet there can be behind its fixed header: what four bytes of length can say. Only the
/// payload of a PUBLISH comes near it, and that is streamed.
pub const REMAINING_MAX: usize = 268_435_455;

/// The protocol levels that are judged. A CONNECT with another one is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// Level 3, `MQIsdp`.
    V31,
    /// Level 4, MQTT 3.1.1.
    V311,
    /// Level 5.
    V5,
}

/// The packet types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are the specification's names")]
pub enum Kind {
    Connect,
    Connack,
    Publish,
    Puback,
    Pubrec,
    Pubrel,
    Pubcomp,
    Subscribe,
    Suback,
    Unsubscribe,
    Unsuback,
    Pingreq,
    Pingresp,
    Disconnect,
    Auth,
}

/// A fixed header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What kind of packet it is.
    pub kind: Kind,
    /// The low four bits of its first byte.
    pub flags: u8,
    /// Bytes of the fixed header itself.
    pub len: usize,
    /// Bytes of the packet behind it.
    pub remaining: usize,
}

/// Why bytes are no packet, or one that does not belong where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A field goes beyond the end of its packet.
    #[error("a packet is shorter than what it holds")]
    Short,
    /// Bytes behind the last field.
    #[error("a packet is longer than what it holds")]
    Long,
    /// A length of more than four bytes.
    #[error("a length takes more than four bytes")]
    Length,
    /// Longer than [`super::JUDGED_MAX`] or [`super::HEAD_MAX`].
    #[error("a packet is larger than is judged")]
    TooLarge,
    /// No such packet type, or one that this side does not send.
    #[error("a packet of this type does not belong here")]
    Kind,
    /// Flags that its type does not have.
    #[error("a packet has flags that its type does not have")]
    Flags,
    /// Not UTF-8, or with a NUL.
    #[error("a text is not UTF-8, or holds a NUL")]
    Text,
    /// A property that is not known, or is there twice.
    #[error("a property is unknown or there twice")]
    Property,
    /// A topic with a wildcard, or none.
    #[error("a topic is empty or has wildcards")]
    Topic,
    /// A topic alias that is 0, above the broker's maximum, or was never given a topic.
    #[error("a topic alias is out of bounds or has no topic")]
    Alias,
    /// A packet id of 0.
    #[error("a packet id is 0")]
    Id,
    /// A protocol name or level other than those of [`Version`].
    #[error("the protocol is none of MQTT 3.1, 3.1.1 and 5")]
    Protocol,
    /// A quality of service above 2, or reserved bits of options.
    #[error("options have reserved bits set")]
    Options,
    /// Something else than a CONNECT came first, or a second one later.
    #[error("the first packet, and only the first, is a CONNECT")]
    Order,
    /// An answer that does not fit what was asked.
    #[error("an answer does not fit its question")]
    Answer,
    /// More exchanges are unanswered than are remembered.
    #[error("too many exchanges are unanswered")]
    Unanswered,
}

impl Kind {
    const ALL: [Self; 15] = [
        Self::Connect,
        Self::Connack,
        Self::Publish,
        Self::Puback,
        Self::Pubrec,
        Self::Pubrel,
        Self::Pubcomp,
        Self::Subscribe,
        Self::Suback,
        Self::Unsubscribe,
        Self::Unsuback,
        Self::Pingreq,
        Self::Pingresp,
        Self::Disconnect,
        Self::Auth,
    ];

    /// The first byte of a packet of this kind with these flags.
    pub fn first_byte(self, flags: u8) -> u8 {
        (self as u8 + 1) << 4 | flags
    }

    /// Whether a packet of this kind may have `flags`. DUP and QoS 1 of level 3, which calls them ignored
    /// or expected, are taken at every level: they are forwarded, and change nothing here.
    fn takes(self, flags: u8) -> bool {
        match self {
            Self::Publish => flags & 0b0110 != 0b0110,
            Self::Pubrel | Self::Subscribe | Self::Unsubscribe => flags & 0b0111 == 0b0010,
            Self::Connect
            | Self::Connack
            | Self::Puback
            | Self::Pubrec
            | Self::Pubcomp
            | Self::Suback
            | Self::Unsuback
            | Self::Pingreq
            | Self::Pingresp
            | Self::Disconnect
            | Self::Auth => flags == 0,
        }
    }
}

impl Header {
    /// Read a fixed header from the beginning of `bytes`; `None` while it is not all there.
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, Malformed> {
        let Some((first, rest)) = bytes.split_first() else { return Ok(None) };
        let number = usize::from(first >> 4);
        let kind = number.checked_sub(1).and_then(|index| Kind::ALL.get(index)).ok_or(Malformed::Kind)?;
        let flags = first & 0x0f;
        if !kind.takes(flags) {
            return Err(Malformed::Flags);
        }
        let length = varint(rest)?;
        Ok(length.map(|(remaining, len)| Self { kind: *kind, flags, len: 1 + len, remaining }))
    }

    /// Bytes of the whole packet.
    pub fn total(&self) -> usize {
        self.len + self.remaining
    }

    /// The quality of service of a PUBLISH.
    pub fn qos(&self) -> u8 {
        self.flags >> 1 & 0b11
    }
}

/// A variable byte integer and how many bytes it takes; `None` while it is not all there. Padded ones are
/// taken: the encoders of some small devices always write four bytes.
fn varint(bytes: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    let mut value = 0;
    for (index, byte) in bytes.iter().enumerate().take(4) {
        value |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((value, index + 1)));
        }
    }
    if bytes.len() < 4 { Ok(None) } else { Err(Malformed::Length) }
}

/// Append a variable byte integer.
pub(super) fn put_varint(mut value: usize, to: &mut Vec<u8>) {
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            return to.push(byte);
        }
        to.push(byte | 0x80);
    }
}

/// Append a length of two bytes and so many bytes; false when they do not fit.
pub(super) fn put_binary(bytes: &[u8], to: &mut Vec<u8>) -> bool {
    let Ok(len) = u16::try_from(bytes.len()) else { return false };
    to.extend_from_slice(&len.to_be_bytes());
    to.extend_from_slice(bytes);
    true
}

/// A packet of our own.
pub(super) fn packet(kind: Kind, flags: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(5 + body.len());
    packet.push(kind.first_byte(flags));
    put_varint(body.len(), &mut packet);
    packet.extend_from_slice(body);
    packet
}

/// Reads fields from the front.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Malformed::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Malformed::Short)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Malformed> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    pub(super) fn two(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(super) fn four(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(super) fn varint(&mut self) -> Result<usize, Malformed> {
        let (value, len) = varint(self.0)?.ok_or(Malformed::Short)?;
        self.0 = &self.0[len..];
        Ok(value)
    }

    /// A packet id, which is never 0.
    pub(super) fn id(&mut self) -> Result<u16, Malformed> {
        let id = self.two()?;
        if id == 0 { Err(Malformed::Id) } else { Ok(id) }
    }

    pub(super) fn binary(&mut self) -> Result<&'a [u8], Malformed> {
        let len = self.two()?;
        self.take(len.into())
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Malformed> {
        let text = str::from_utf8(self.binary()?).map_err(|_| Malformed::Text)?;
        if text.contains('\0') { Err(Malformed::Text) } else { Ok(text) }
    }

    /// Nothing may be left.
    pub(super) fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed::Long) }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn a_fixed_header_is_a_type_flags_and_up_to_four_bytes_of_length() {
        let publish = Header { kind: Kind::Publish, flags: 0b1011, len: 2, remaining: 5 };
        assert_eq!(Header::read(&[0x3b, 5]), Ok(Some(publish)));
        assert_eq!(publish.qos(), 1);
        let longest = Header::read(&[0x30, 0xff, 0xff, 0xff, 0x7f]).unwrap().unwrap();
        assert_eq!((longest.len, longest.remaining), (5, REMAINING_MAX));
        // Padded: a length of 2 in four bytes.
        let padded = Header::read(&[0xc0, 0x82, 0x80, 0x80, 0x00]).unwrap().unwrap();
        assert_eq!((padded.kind, padded.len, padded.remaining), (Kind::Pingreq, 5, 2));
        for part in [&[][..], &[0x30], &[0x30, 0x80], &[0x30, 0x80, 0x80, 0x80]] {
            assert_eq!(Header::read(part), Ok(None));
        }
    }

    #[test]
    fn bytes_that_are_no_fixed_header_say_why() {
        for (bytes, why) in [
            (&[0x00, 0][..], Malformed::Kind),
            (&[0x30, 0x80, 0x80, 0x80, 0x80], Malformed::Length),
            // QoS 3.
            (&[0x36, 0], Malformed::Flags),
            (&[0x11, 0], Malformed::Flags),
            (&[0x80, 0], Malformed::Flags),
            (b"GET / HTTP/1.1\r\n", Malformed::Flags),
        ] {
            assert_eq!(Header::read(bytes), Err(why), "{bytes:?}");
        }
    }

    #[test]
    fn texts_are_utf_8_without_nul_and_surrogates() {
        assert_eq!(Fields(b"\0\x03a\xc3\xa4").text(), Ok("aä"));
        for bad in [&b"\0\x01\0"[..], b"\0\x01\xff", b"\0\x03\xed\xa0\x80", b"\0\x02\xc0\x80"] {
            assert_eq!(Fields(bad).text(), Err(Malformed::Text), "{bad:?}");
        }
        assert_eq!(Fields(b"\0\x02a").text(), Err(Malformed::Short));
    }

    #[test]
    fn lengths_are_written_as_they_are_read() {
        for value in [0, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, REMAINING_MAX] {
            let mut bytes = Vec::new();
            put_varint(value, &mut bytes);
            assert_eq!(varint(&bytes), Ok(Some((value, bytes.len()))));
        }
    }
}
