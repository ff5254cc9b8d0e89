//! Days and months of what was relayed, in UTC: the same for every node and manager.

use core::fmt;
use core::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// A day, as the number `YYYYMMDD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(u32);

/// A month, as the number `YYYYMM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(u32);

/// Why a text or a number is no month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a month looks like 2026-07")]
pub struct MonthError;

impl Day {
    /// The day of a moment, in milliseconds of Unix time. After the year 9999, the last that the
    /// calendar has.
    pub fn at(ms: u64) -> Self {
        let ms = i64::try_from(ms).unwrap_or(i64::MAX);
        let moment = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX);
        Self::of(moment.to_zoned(TimeZone::UTC).date())
    }

    /// The day of the number `YYYYMMDD`.
    pub fn from_number(number: u32) -> Option<Self> {
        let part = |divisor, modulus| i8::try_from(number / divisor % modulus).ok();
        let year = i16::try_from(number / 10_000).ok()?;
        Date::new(year, part(100, 100)?, part(1, 100)?).ok().map(Self::of)
    }

    /// `YYYYMMDD`.
    pub fn number(self) -> u32 {
        self.0
    }

    /// The month it is in.
    pub fn month(self) -> Month {
        Month(self.0 / 100)
    }

    /// Which day of its month, from 1.
    pub fn of_month(self) -> u8 {
        u8::try_from(self.0 % 100).unwrap_or_default()
    }

    fn of(date: Date) -> Self {
        let (month, day) = (date.month().unsigned_abs(), date.day().unsigned_abs());
        Self(u32::from(date.year().unsigned_abs()) * 10_000 + u32::from(month) * 100 + u32::from(day))
    }
}

impl Month {
    /// The month of a moment, in milliseconds of Unix time.
    pub fn at(ms: u64) -> Self {
        Day::at(ms).month()
    }

    /// The month of the number `YYYYMM`.
    pub fn from_number(number: u32) -> Option<Self> {
        Day::from_number(number.checked_mul(100)?.checked_add(1)?).map(Day::month)
    }

    /// `YYYYMM`.
    pub fn number(self) -> u32 {
        self.0
    }

    /// Its first day.
    pub fn first(self) -> Day {
        Day(self.0 * 100 + 1)
    }

    /// A day that is not before its last, and before the next month's first.
    pub fn end(self) -> Day {
        Day(self.0 * 100 + 31)
    }

    /// So many months earlier; not before the year 1.
    #[must_use]
    pub fn back(self, months: u32) -> Self {
        let count = (self.0 / 100 * 12 + self.0 % 100 - 1).saturating_sub(months).max(12);
        Self(count / 12 * 100 + count % 12 + 1)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0 / 100, self.0 % 100)
    }
}

impl FromStr for Month {
    type Err = MonthError;

    fn from_str(text: &str) -> Result<Self, MonthError> {
        let (year, month) = text.split_once('-').ok_or(MonthError)?;
        let digits = |text: &str, length| text.len() == length && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(year, 4) || !digits(month, 2) {
            return Err(MonthError);
        }
        let number = format!("{year}{month}").parse().map_err(|_| MonthError)?;
        Self::from_number(number).ok_or(MonthError)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    const DAY: u64 = 24 * 3_600_000;

    #[test]
    fn a_month_begins_and_ends_at_midnight_of_utc() {
        // 2026-08-01 00:00:00 UTC.
        let august = 1_785_542_400_000;
        assert_eq!(Day::at(august - 1).number(), 20_260_731);
        assert_eq!((Day::at(august).number(), Day::at(august).of_month()), (20_260_801, 1));
        assert_eq!(
            (Month::at(august - 1).to_string(), Month::at(august).number()),
            ("2026-07".into(), 202_608)
        );
        assert_eq!(Day::at(august + 30 * DAY).month(), Month::at(august));
        assert_eq!(Month::at(august + 31 * DAY).number(), 202_609);
    }

    #[test]
    fn every_moment_has_a_day() {
        assert_eq!(Day::at(0).number(), 19_700_101);
        assert_eq!(Day::at(951_782_400_000).number(), 20_000_229);
        assert_eq!(Day::at(u64::MAX).number(), 99_991_230);
    }

    #[test]
    fn months_count_back_over_new_year() {
        let back = |months| Month::from_number(202_602).unwrap().back(months).number();
        assert_eq!(
            (back(0), back(1), back(2), back(13), back(u32::MAX)),
            (202_602, 202_601, 202_512, 202_501, 101)
        );
    }

    #[test]
    fn numbers_and_texts_that_are_no_day_or_month_are_none() {
        let july = Month::from_number(202_607).unwrap();
        assert_eq!("2026-07".parse(), Ok(july));
        assert!(july.first() <= Day::from_number(20_260_731).unwrap() && july.end().month() == july);
        for number in [0, 202_600, 202_613, 1_000_001, u32::MAX] {
            assert_eq!(Month::from_number(number), None, "{number}");
        }
        for number in [20_260_700, 20_260_732, 20_250_229, 26_07, u32::MAX] {
            assert_eq!(Day::from_number(number), None, "{number}");
        }
        for text in ["", "2026", "2026-7", "26-07", "2026-13", "+026-07", "2026-07-01", "2026-00"] {
            assert_eq!(text.parse::<Month>(), Err(MonthError), "{text}");
        }
    }
}
