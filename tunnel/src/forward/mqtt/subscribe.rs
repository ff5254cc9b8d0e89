//! SUBSCRIBE, UNSUBSCRIBE, and the answer to a SUBSCRIBE of which the broker saw a part.

use super::filter;
use super::packet::{Fields, Header, Kind, Malformed, Version, packet};
use super::properties::Properties;

/// A SUBSCRIBE or UNSUBSCRIBE, read in place.
#[derive(Debug)]
pub(super) struct Subscribe<'a> {
    pub(super) id: u16,
    /// Packet id and properties.
    front: &'a [u8],
    pub(super) filters: Vec<Wanted<'a>>,
}

/// One filter of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted<'a> {
    /// As the client wrote it.
    pub(super) filter: &'a str,
    /// Filter and options as they came.
    raw: &'a [u8],
}

impl<'a> Subscribe<'a> {
    /// Read a whole packet of either kind.
    pub(super) fn read(bytes: &'a [u8], header: &Header, version: Version) -> Result<Self, Malformed> {
        let whole = bytes.get(header.len..).unwrap_or_default();
        let mut fields = Fields(whole);
        let id = fields.id()?;
        if version == Version::V5 {
            Properties::read(&mut fields)?;
        }
        let front = &whole[..whole.len() - fields.0.len()];
        let mut filters = Vec::new();
        while !fields.0.is_empty() {
            let rest = fields.0;
            let filter = fields.text()?;
            if header.kind == Kind::Subscribe {
                check_options(fields.byte()?, version)?;
            }
            filters.push(Wanted { filter, raw: &rest[..rest.len() - fields.0.len()] });
        }
        if filters.is_empty() { Err(Malformed::Short) } else { Ok(Self { id, front, filters }) }
    }

    /// The packet with only those of its filters that have no code in `codes`.
    pub(super) fn only_asked(&self, codes: &Codes) -> Vec<u8> {
        let mut body = self.front.to_vec();
        for (wanted, code) in self.filters.iter().zip(&codes.0) {
            if code.is_none() {
                body.extend_from_slice(wanted.raw);
            }
        }
        packet(Kind::Subscribe, 0b0010, &body)
    }
}

impl<'a> Wanted<'a> {
    /// The filter that it is judged by; `None` when it is not well formed.
    pub(super) fn judged(&self) -> Option<&'a str> {
        filter::unshared(self.filter)
    }
}

fn check_options(options: u8, version: Version) -> Result<(), Malformed> {
    let reserved = if version == Version::V5 { 0xc0 } else { 0xfc };
    // Retain handling 3 is none either.
    if options & reserved != 0 || options & 0x03 == 0x03 || options & 0x30 == 0x30 {
        return Err(Malformed::Options);
    }
    Ok(())
}

/// What became of each filter of a SUBSCRIBE, in its order: a code that was decided here, or the question
/// to the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Codes(pub(super) Vec<Option<u8>>);

impl Codes {
    /// The whole answer, when the broker is not asked.
    pub(super) fn answer(&self, id: u16, version: Version) -> Vec<u8> {
        let mut body = id.to_be_bytes().to_vec();
        if version == Version::V5 {
            // No properties.
            body.push(0);
        }
        body.extend(self.0.iter().flatten());
        packet(Kind::Suback, 0, &body)
    }

    /// The broker's answer with the codes that were decided here in their places, and whether each filter is
    /// subscribed now.
    pub(super) fn merged(
        &self,
        answer: &[u8],
        header: &Header,
        version: Version,
    ) -> Result<(Vec<u8>, Vec<bool>), Malformed> {
        let whole = answer.get(header.len..).unwrap_or_default();
        let mut fields = Fields(whole);
        fields.id()?;
        if version == Version::V5 {
            Properties::read(&mut fields)?;
        }
        let mut body = whole[..whole.len() - fields.0.len()].to_vec();
        let mut theirs = fields.0.iter();
        let mut subscribed = Vec::with_capacity(self.0.len());
        for code in &self.0 {
            let code = code.or_else(|| theirs.next().copied()).ok_or(Malformed::Answer)?;
            subscribed.push(code < 0x80);
            body.push(code);
        }
        if theirs.next().is_some() {
            return Err(Malformed::Answer);
        }
        Ok((packet(Kind::Suback, 0, &body), subscribed))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn read(bytes: &[u8], version: Version) -> Result<Subscribe<'_>, Malformed> {
        let header = Header::read(bytes)?.ok_or(Malformed::Short)?;
        Subscribe::read(bytes, &header, version)
    }

    /// Packet id 10: `a/b` with QoS 1, `#` with QoS 0, `c` with QoS 2.
    const THREE: &[u8] = &[
        0x82, 16, 0, 10, // SUBSCRIBE
        0, 3, b'a', b'/', b'b', 1, // first filter
        0, 1, b'#', 0, // second
        0, 1, b'c', 2, // third
    ];

    #[test]
    fn the_filters_that_are_left_are_asked_for_as_they_came() {
        let three = read(THREE, Version::V311).unwrap();
        assert_eq!(three.id, 10);
        let filters: Vec<&str> = three.filters.iter().map(|wanted| wanted.filter).collect();
        assert_eq!(filters, ["a/b", "#", "c"]);
        let asked = three.only_asked(&Codes(vec![None, Some(0x80), None]));
        let expected = [0x82, 12, 0, 10, 0, 3, b'a', b'/', b'b', 1, 0, 1, b'c', 2];
        assert_eq!(asked, expected);
        assert_eq!(three.only_asked(&Codes(vec![None; 3])), THREE);
    }

    #[test]
    fn properties_stay_with_what_is_left() {
        // Subscription identifier 5.
        let bytes = [0x82, 13, 0, 1, 2, 0x0b, 5, 0, 1, b'a', 0x2c, 0, 1, b'b', 0];
        let asked = read(&bytes, Version::V5).unwrap().only_asked(&Codes(vec![None, Some(0x87)]));
        assert_eq!(asked, [0x82, 9, 0, 1, 2, 0x0b, 5, 0, 1, b'a', 0x2c]);
    }

    #[test]
    fn the_answers_of_both_are_one_answer_in_order() {
        let header = |bytes: &[u8]| Header::read(bytes).unwrap().unwrap();
        let codes = Codes(vec![Some(0x80), None, Some(0x80), None]);
        let broker = [0x90, 4, 0, 10, 1, 0x80];
        let (merged, subscribed) = codes.merged(&broker, &header(&broker), Version::V311).unwrap();
        assert_eq!(merged, [0x90, 6, 0, 10, 0x80, 1, 0x80, 0x80]);
        assert_eq!(subscribed, [false, true, false, false]);
        // Version 5, with a reason string from the broker.
        let broker = [0x90, 9, 0, 10, 4, 0x1f, 0, 1, b'x', 0, 2];
        let (merged, _) = codes.merged(&broker, &header(&broker), Version::V5).unwrap();
        assert_eq!(merged, [0x90, 11, 0, 10, 4, 0x1f, 0, 1, b'x', 0x80, 0, 0x80, 2]);
        assert_eq!(Codes(vec![Some(0x87); 2]).answer(9, Version::V5), [0x90, 5, 0, 9, 0, 0x87, 0x87]);
        assert_eq!(Codes(vec![Some(0x80)]).answer(9, Version::V31), [0x90, 3, 0, 9, 0x80]);
    }

    #[test]
    fn an_answer_with_another_number_of_codes_is_none() {
        let codes = Codes(vec![None, Some(0x80)]);
        for broker in [&[0x90, 2, 0, 10][..], &[0x90, 4, 0, 10, 0, 0]] {
            let header = Header::read(broker).unwrap().unwrap();
            assert_eq!(codes.merged(broker, &header, Version::V311), Err(Malformed::Answer));
        }
    }

    #[test]
    fn each_mistake_has_its_own_reason() {
        for (bytes, why) in [
            (&[0x82, 2, 0, 1][..], Malformed::Short),
            (&[0x82, 6, 0, 0, 0, 1, b'a', 0], Malformed::Id),
            (&[0x82, 6, 0, 1, 0, 1, b'a', 3], Malformed::Options),
            (&[0x82, 6, 0, 1, 0, 1, b'a', 4], Malformed::Options),
            (&[0x82, 5, 0, 1, 0, 1, b'a'], Malformed::Short),
            (&[0x82, 6, 0, 1, 0, 1, 0xff, 0], Malformed::Text),
        ] {
            assert_eq!(read(bytes, Version::V311).map(|_| ()), Err(why), "{bytes:?}");
        }
        let unsubscribe = [0xa2, 5, 0, 1, 0, 1, b'a'];
        assert_eq!(read(&unsubscribe, Version::V311).unwrap().filters.len(), 1);
    }
}
