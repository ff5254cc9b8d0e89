//! What a guest may do with a resource, and when.
//!
//! A grant names capabilities of the resource's kind ([`Capabilities`]), and may hold a weekly
//! [`Schedule`] in a named time zone and an end. The zones' rules are compiled in, so that every node
//! comes to the same hours whatever its system knows.

use core::fmt;
use core::str::FromStr;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::resource::Kind;

/// Most capabilities of one grant.
pub const CAPABILITIES_MAX: usize = 16;

/// Longest capability with its argument, in bytes.
pub const CAPABILITY_MAX: usize = 256;

/// Minutes of a day; as an end it is midnight.
const DAY: u16 = 24 * 60;

/// What a guest may do: `play`, `read`, or with an argument `read:/snapshot`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cbor(transparent)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Capabilities(#[n(0)] Vec<String>);

/// Hours of a week: on these days from then to then. An end before the beginning is on the next day.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cbor(map)]
#[serde(try_from = "String", into = "String")]
pub struct Schedule {
    /// Monday is bit 0.
    #[n(0)]
    days: u8,
    /// Minutes after midnight.
    #[n(1)]
    from: u16,
    /// Minutes after midnight, up to 24:00.
    #[n(2)]
    to: u16,
    /// IANA name.
    #[n(3)]
    zone: String,
}

/// Why a text is no capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a grant has 1 to 16 different capabilities of up to 256 printable characters")]
pub struct CapabilityError;

/// Why a text is no schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Not three words.
    #[error("a schedule looks like \"Tue,Fri 09:00-12:00 Europe/Berlin\"")]
    Shape,
    /// A day that is none.
    #[error("days are Mon Tue Wed Thu Fri Sat Sun, separated by commas, Mon-Fri, or daily")]
    Days,
    /// Hours that are none.
    #[error("hours look like 09:00-12:00, up to 24:00, and are not empty")]
    Hours,
    /// A zone that is not known.
    #[error("the time zone is not known: use a name such as Europe/Berlin or UTC")]
    Zone,
}

impl Capabilities {
    /// Checked capabilities, in a fixed order.
    pub fn new(mut words: Vec<String>) -> Result<Self, CapabilityError> {
        words.sort();
        let count = words.len();
        words.dedup();
        let printable = |word: &String| !word.is_empty() && word.len() <= CAPABILITY_MAX && plain(word);
        if count == words.len() && (1..=CAPABILITIES_MAX).contains(&count) && words.iter().all(printable) {
            Ok(Self(words))
        } else {
            Err(CapabilityError)
        }
    }

    /// The words.
    pub fn words(&self) -> &[String] {
        &self.0
    }

    /// Whether each names a capability of `kind`.
    pub fn fit(&self, kind: Kind) -> bool {
        let name = |word: &str| word.split(':').next().unwrap_or_default().to_owned();
        self.0.iter().all(|word| kind.capabilities().contains(&name(word).as_str()))
    }
}

impl Schedule {
    /// When the hours that are running at `now` end, in milliseconds of Unix time; `None` outside them.
    pub fn open_until(&self, now: u64) -> Option<u64> {
        let zone = zone(&self.zone)?;
        let instant = Timestamp::from_millisecond(i64::try_from(now).ok()?).ok()?;
        let today = instant.to_zoned(zone.clone()).date();
        // Hours over midnight began yesterday; where clocks are put forward or back, a day may begin twice.
        let days = [today.yesterday().ok(), Some(today)];
        days.into_iter().flatten().filter_map(|day| self.window(day, &zone)).find_map(|(from, to)| {
            let open = from <= instant && instant < to;
            open.then(|| u64::try_from(to.as_millisecond()).ok()).flatten()
        })
    }

    fn window(&self, day: Date, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
        let bit = u8::try_from(day.weekday().to_monday_zero_offset()).ok()?;
        if self.days & (1 << bit) == 0 {
            return None;
        }
        let next = day.checked_add(1.day()).ok()?;
        let from = at(day, self.from, zone)?;
        let to = if self.to == DAY {
            at(next, 0, zone)?
        } else if self.to <= self.from {
            at(next, self.to, zone)?
        } else {
            at(day, self.to, zone)?
        };
        Some((from, to))
    }
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [days, hours, zone_name] = words.as_slice() else { return Err(ScheduleError::Shape) };
        let (from, to) = hours.split_once('-').ok_or(ScheduleError::Hours)?;
        let schedule = Self {
            days: parse_days(days)?,
            from: parse_minutes(from)?,
            to: parse_minutes(to)?,
            zone: (*zone_name).to_owned(),
        };
        schedule.checked()
    }
}

impl Schedule {
    fn checked(self) -> Result<Self, ScheduleError> {
        if self.days == 0 || self.days > 0x7f {
            return Err(ScheduleError::Days);
        }
        if self.from >= DAY || self.to > DAY || self.from == self.to {
            return Err(ScheduleError::Hours);
        }
        if zone(&self.zone).is_none() { Err(ScheduleError::Zone) } else { Ok(self) }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days: Vec<&str> = (0..7).filter(|day| self.days & (1 << day) != 0).map(|day| DAYS[day]).collect();
        let days = if days.len() == 7 { "daily".to_owned() } else { days.join(",") };
        let clock = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        write!(f, "{days} {}-{} {}", clock(self.from), clock(self.to), self.zone)
    }
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

impl TryFrom<String> for Schedule {
    type Error = ScheduleError;

    fn try_from(text: String) -> Result<Self, ScheduleError> {
        text.parse()
    }
}

impl From<Schedule> for String {
    fn from(schedule: Schedule) -> Self {
        schedule.to_string()
    }
}

impl TryFrom<Vec<String>> for Capabilities {
    type Error = CapabilityError;

    fn try_from(words: Vec<String>) -> Result<Self, CapabilityError> {
        Self::new(words)
    }
}

impl From<Capabilities> for Vec<String> {
    fn from(can: Capabilities) -> Self {
        can.0
    }
}

impl<'b, C> Decode<'b, C> for Capabilities {
    fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        let words = Vec::<String>::decode(d, ctx)?;
        let sorted = words.is_sorted();
        let checked = Self::new(words).ok().filter(|_| sorted);
        checked.ok_or_else(|| minicbor::decode::Error::message("not capabilities"))
    }
}

impl<'b, C> Decode<'b, C> for Schedule {
    fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        #[derive(Decode)]
        #[cbor(map)]
        struct Raw {
            #[n(0)]
            days: u8,
            #[n(1)]
            from: u16,
            #[n(2)]
            to: u16,
            #[n(3)]
            zone: String,
        }
        let Raw { days, from, to, zone } = Raw::decode(d, ctx)?;
        let schedule = Self { days, from, to, zone };
        schedule.checked().map_err(|_| minicbor::decode::Error::message("not a schedule"))
    }
}

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

fn zone(name: &str) -> Option<TimeZone> {
    TimeZoneDatabase::bundled().get(name).ok()
}

fn at(day: Date, minutes: u16, zone: &TimeZone) -> Option<Timestamp> {
    let (hour, minute) = (i8::try_from(minutes / 60).ok()?, i8::try_from(minutes % 60).ok()?);
    let time = Time::new(hour, minute, 0, 0).ok()?;
    Some(day.to_datetime(time).to_zoned(zone.clone()).ok()?.timestamp())
}

fn parse_days(text: &str) -> Result<u8, ScheduleError> {
    if text.eq_ignore_ascii_case("daily") {
        return Ok(0x7f);
    }
    text.split(',').try_fold(0, |days, part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        let span = if last >= first { last - first } else { last + 7 - first };
        Ok((0..=span).fold(days, |days, step| days | 1 << ((first + step) % 7)))
    })
}

fn day(text: &str) -> Result<u8, ScheduleError> {
    let found = DAYS.iter().position(|day| day.eq_ignore_ascii_case(text));
    found.and_then(|at| u8::try_from(at).ok()).ok_or(ScheduleError::Days)
}

fn parse_minutes(text: &str) -> Result<u16, ScheduleError> {
    let two = |part: &str| {
        let digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse::<u16>().ok().filter(|_| digits).ok_or(ScheduleError::Hours)
    };
    let (hour, minute) = text.split_once(':').ok_or(ScheduleError::Hours)?;
    let (hour, minute) = (two(hour)?, two(minute)?);
    if minute < 60 && hour * 60 + minute <= DAY { Ok(hour * 60 + minute) } else { Err(ScheduleError::Hours) }
}

fn plain(word: &str) -> bool {
    !word.chars().any(|c| c.is_control() || c == ' ')
}

// The offsets above are jiff's Monday-first ones.
const _: () = assert!(Weekday::Monday as u8 == 1);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn at(text: &str) -> u64 {
        u64::try_from(text.parse::<Timestamp>().unwrap().as_millisecond()).unwrap()
    }

    fn schedule(text: &str) -> Schedule {
        text.parse().unwrap()
    }

    #[test]
    fn the_neighbour_gets_the_door_on_tuesdays_from_nine_to_twelve() {
        let hours = schedule("Tue 09:00-12:00 Europe/Berlin");
        // 2026-11-24 is a Tuesday; Berlin is an hour ahead of UTC in winter.
        assert_eq!(hours.open_until(at("2026-11-24T08:00:00Z")), Some(at("2026-11-24T11:00:00Z")));
        assert_eq!(hours.open_until(at("2026-11-24T07:59:59.999Z")), None);
        assert_eq!(hours.open_until(at("2026-11-24T11:00:00Z")), None);
        assert_eq!(hours.open_until(at("2026-11-25T09:00:00Z")), None);
        // In July it is two hours.
        assert_eq!(hours.open_until(at("2026-07-07T07:30:00Z")), Some(at("2026-07-07T10:00:00Z")));
    }

    #[test]
    fn hours_over_midnight_belong_to_the_day_they_begin() {
        let hours = schedule("Fri 22:00-02:00 UTC");
        assert_eq!(hours.open_until(at("2026-11-28T01:00:00Z")), Some(at("2026-11-28T02:00:00Z")));
        assert_eq!(hours.open_until(at("2026-11-27T01:00:00Z")), None);
        let day = schedule("daily 00:00-24:00 UTC");
        assert_eq!(day.open_until(at("2026-11-28T13:00:00Z")), Some(at("2026-11-29T00:00:00Z")));
    }

    #[test]
    fn a_night_that_loses_an_hour_is_an_hour_shorter() {
        // Berlin puts its clocks forward on 2026-03-29 at 02:00.
        let hours = schedule("Sun 01:00-04:00 Europe/Berlin");
        let (from, to) = (at("2026-03-29T00:00:00Z"), at("2026-03-29T02:00:00Z"));
        assert_eq!(hours.open_until(from), Some(to));
    }

    #[test]
    fn schedules_print_as_they_parse() {
        for text in ["Tue,Fri 09:00-12:00 Europe/Berlin", "daily 00:00-24:00 UTC", "Mon,Sun 22:00-02:00 UTC"]
        {
            assert_eq!(schedule(text).to_string(), text);
        }
        assert_eq!(
            schedule("mon-fri 8:00-9:00 UTC".replace("8:", "08:").replace("9:", "09:").as_str()).days,
            0x1f
        );
        assert_eq!(schedule("Sat-Mon 08:00-09:00 UTC").days, 0b110_0001);
    }

    #[test]
    fn each_mistake_has_its_own_reason() {
        for (text, reason) in [
            ("Tue 09:00-12:00", ScheduleError::Shape),
            ("Tus 09:00-12:00 UTC", ScheduleError::Days),
            ("Tue 9-12 UTC", ScheduleError::Hours),
            ("Tue 09:00-09:00 UTC", ScheduleError::Hours),
            ("Tue 09:00-24:01 UTC", ScheduleError::Hours),
            ("Tue 24:00-01:00 UTC", ScheduleError::Hours),
            ("Tue 09:61-12:00 UTC", ScheduleError::Hours),
            ("Tue 09:00-12:00 Europe/Berlln", ScheduleError::Zone),
        ] {
            assert_eq!(text.parse::<Schedule>(), Err(reason), "{text}");
        }
    }

    #[test]
    fn capabilities_are_of_the_kind() {
        let can = Capabilities::new(vec!["read:/snapshot".to_owned()]).unwrap();
        assert!(can.fit(Kind::Http) && !can.fit(Kind::Rtsp));
        assert!(Capabilities::new(vec![]).is_err());
        assert!(Capabilities::new(vec!["play".to_owned(), "play".to_owned()]).is_err());
        assert!(Capabilities::new(vec!["a b".to_owned()]).is_err());
    }
}
