//! Durations as people type them: `30s`, `5m`, `12h`, `7d`, `2w`.

use std::time::Duration;

/// Longest duration taken: ten years. Above it a sum of times could overflow, and nobody means it.
const LONGEST: Duration = Duration::from_secs(10 * 365 * DAY);

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const WEEK: u64 = 7 * DAY;

/// The duration that `text` says, at least a second and at most ten years.
pub(crate) fn parse(text: &str) -> Result<Duration, &'static str> {
    let unit_at =
        text.find(|c: char| !c.is_ascii_digit()).ok_or("a duration needs a unit: s, m, h, d or w")?;
    let (digits, unit) = text.split_at(unit_at);
    let unit = match unit {
        "s" => 1,
        "m" => MINUTE,
        "h" => HOUR,
        "d" => DAY,
        "w" => WEEK,
        _ => return Err("a duration is a whole number and s, m, h, d or w, like 30s, 5m, 12h, 7d, 2w"),
    };
    if digits.is_empty() {
        return Err("a duration begins with a number, like 30s");
    }
    let too_long = "a duration is at most ten years";
    let seconds = digits.parse::<u64>().ok().and_then(|count| count.checked_mul(unit)).ok_or(too_long)?;
    match Duration::from_secs(seconds) {
        Duration::ZERO => Err("a duration is at least 1s"),
        long if long > LONGEST => Err(too_long),
        fits => Ok(fits),
    }
}

/// The same form again, in the largest unit that divides it; weeks as days, as `7d` is the usual word.
pub(crate) fn text(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(DAY, 'd'), (HOUR, 'h'), (MINUTE, 'm')];
    let fitting = units.into_iter().find(|(unit, _)| seconds > 0 && seconds.is_multiple_of(*unit));
    let (unit, letter) = fitting.unwrap_or((1, 's'));
    format!("{}{letter}", seconds / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unit_is_its_number_of_seconds() {
        for (text, seconds) in
            [("30s", 30), ("5m", 300), ("12h", 43_200), ("7d", 604_800), ("2w", 1_209_600), ("007s", 7)]
        {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "30",
            "s",
            "-5s",
            "+5s",
            "1.5h",
            "5 m",
            "5M",
            "1h30m",
            "5ms",
            "0s",
            "0w",
            "٣s",
            "11y",
            "3660d",
            "18446744073709551615s",
            "18446744073709551616s",
            "18446744073709551615w",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_duration_prints_as_it_was_typed() {
        for typed in ["1s", "30s", "90s", "5m", "12h", "7m", "7d"] {
            assert_eq!(parse(typed).map(text), Ok(typed.to_owned()));
        }
        assert_eq!(text(Duration::from_secs(2 * WEEK)), "14d");
    }
}
