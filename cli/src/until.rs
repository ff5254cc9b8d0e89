//! The end of a grant as people type it: `2027-01-01`, or `2026-12-31T18:00:00+01:00`.
//!
//! A date is its first moment in UTC, wherever it is typed: `--until 2027-01-01` is what is left of
//! 2026 there, and the same command means the same on every machine. Who means another place gives a
//! time with its offset (RFC 3339).

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// Characters of `2027-01-01`.
const DATE_LEN: usize = 10;

const SHAPE: &str = "an end is a date such as 2027-01-01, which is its first moment in UTC, \
                     or a time with its offset such as 2026-12-31T18:00:00+01:00";

/// The end that `text` says, in milliseconds of Unix time.
pub(crate) fn parse(text: &str) -> Result<u64, &'static str> {
    let instant = if text.len() == DATE_LEN {
        let date: Date = text.parse().map_err(|_| SHAPE)?;
        date.to_zoned(TimeZone::UTC).map_err(|_| SHAPE)?.timestamp()
    } else {
        text.parse::<Timestamp>().map_err(|_| SHAPE)?
    };
    u64::try_from(instant.as_millisecond()).map_err(|_| SHAPE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units;

    #[test]
    fn a_date_ends_where_it_begins_in_utc() {
        assert_eq!(parse("2027-01-01").map(units::date), Ok("2027-01-01 00:00 UTC".to_owned()));
        assert_eq!(parse("2028-02-29").map(units::date), Ok("2028-02-29 00:00 UTC".to_owned()));
    }

    #[test]
    fn a_time_has_its_offset() {
        for text in ["2026-12-31T18:00:00+01:00", "2026-12-31T17:00:00Z", "2026-12-31 17:00:00Z"] {
            assert_eq!(parse(text).map(units::date), Ok("2026-12-31 17:00 UTC".to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_no_end_is_refused() {
        for text in [
            "",
            "tomorrow",
            "2027",
            "2027-13-01",
            "2027-02-30",
            "20270101",
            "2026-12-31T18:00:00",
            "1969-12-31",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
