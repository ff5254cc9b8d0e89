//! The properties of MQTT 5: all are walked, so that what is judged is what the broker will read, and the
//! few that matter here are kept.

use super::packet::{Fields, Malformed};

/// The properties that matter here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Properties {
    pub(super) topic_alias: Option<u16>,
    pub(super) topic_alias_maximum: Option<u16>,
    /// There is an authentication method: the exchange of AUTH packets belongs to it.
    pub(super) authentication: bool,
}

const TOPIC_ALIAS_MAXIMUM: usize = 0x22;
const TOPIC_ALIAS: usize = 0x23;
const AUTHENTICATION_METHOD: usize = 0x15;
const SUBSCRIPTION_IDENTIFIER: usize = 0x0b;
const USER_PROPERTY: usize = 0x26;

impl Properties {
    /// Read the properties at the front of `fields`, their length included. A property that is there twice
    /// is refused: which of the two counts would be the reader's choice.
    pub(super) fn read(fields: &mut Fields<'_>) -> Result<Self, Malformed> {
        let length = fields.varint()?;
        let mut rest = Fields(fields.take(length)?);
        let (mut found, mut seen) = (Self::default(), 0u64);
        while !rest.0.is_empty() {
            let number = rest.varint()?;
            // The largest number there is, 0x2a, is a bit of `seen`.
            let bit = 1u64.checked_shl(number.try_into().unwrap_or(u32::MAX)).ok_or(Malformed::Property)?;
            if seen & bit != 0 && !matches!(number, SUBSCRIPTION_IDENTIFIER | USER_PROPERTY) {
                return Err(Malformed::Property);
            }
            seen |= bit;
            match number {
                TOPIC_ALIAS => found.topic_alias = Some(rest.two()?),
                TOPIC_ALIAS_MAXIMUM => found.topic_alias_maximum = Some(rest.two()?),
                AUTHENTICATION_METHOD => {
                    rest.text()?;
                    found.authentication = true;
                }
                other => skip(other, &mut rest)?,
            }
        }
        Ok(found)
    }
}

/// Walk over one of the others (MQTT 5, 2.2.2.2).
fn skip(number: usize, rest: &mut Fields<'_>) -> Result<(), Malformed> {
    match number {
        0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28..=0x2a => rest.byte().map(drop),
        0x13 | 0x21 => rest.two().map(drop),
        0x02 | 0x11 | 0x18 | 0x27 => rest.four().map(drop),
        SUBSCRIPTION_IDENTIFIER => rest.varint().map(drop),
        0x03 | 0x08 | 0x12 | 0x1a | 0x1c | 0x1f => rest.text().map(drop),
        0x09 | 0x16 => rest.binary().map(drop),
        USER_PROPERTY => rest.text().and_then(|_| rest.text()).map(drop),
        _ => Err(Malformed::Property),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Properties, Malformed> {
        let mut fields = Fields(bytes);
        let found = Properties::read(&mut fields)?;
        fields.end()?;
        Ok(found)
    }

    #[test]
    fn the_properties_that_matter_are_found_among_the_others() {
        let bytes = [
            &[27][..],
            // Payload format indicator; message expiry.
            &[0x01, 1, 0x02, 0, 0, 0, 60],
            // Two user properties, as many as one likes.
            &[0x26, 0, 1, b'a', 0, 1, b'b', 0x26, 0, 0, 0, 0],
            // Correlation data; topic alias 7.
            &[0x09, 0, 2, 0, 0xff, 0x23, 0, 7],
        ]
        .concat();
        assert_eq!(read(&bytes), Ok(Properties { topic_alias: Some(7), ..Properties::default() }));
        let connack = [3, 0x22, 0, 10];
        assert_eq!(read(&connack), Ok(Properties { topic_alias_maximum: Some(10), ..Properties::default() }));
        assert_eq!(read(&[4, 0x15, 0, 1, b'x']).map(|found| found.authentication), Ok(true));
        assert_eq!(read(&[0]), Ok(Properties::default()));
    }

    #[test]
    fn properties_that_could_be_read_in_two_ways_are_refused() {
        for (bytes, why) in [
            // Two topic aliases.
            (&[6, 0x23, 0, 1, 0x23, 0, 2][..], Malformed::Property),
            (&[1, 0x7f], Malformed::Property),
            (&[2, 0xff, 0x7f], Malformed::Property),
            (&[2, 0x23, 0], Malformed::Short),
            (&[5, 0x23, 0, 1], Malformed::Short),
            (&[4, 0x03, 0, 1, 0], Malformed::Text),
        ] {
            assert_eq!(read(bytes), Err(why), "{bytes:?}");
        }
    }
}
