//! Amounts and times as people read them. The clock is an argument.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds of Unix time, now.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// `999 B`, `1.5 kB`, `12 MB`: powers of 1000, as network tools count.
pub(crate) fn bytes(count: u64) -> String {
    let mut unit = 1_u64;
    for name in ["B", "kB", "MB", "GB", "TB"] {
        if count < unit.saturating_mul(1000) || name == "TB" {
            return match count / unit {
                whole if name == "B" || whole >= 10 => format!("{whole} {name}"),
                whole => format!("{whole}.{} {name}", count % unit * 10 / unit),
            };
        }
        unit *= 1000;
    }
    unreachable!("the last unit takes everything")
}

/// `1 user`, `3 entries`.
pub(crate) fn count(count: u64, noun: &str) -> String {
    match (count, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) => format!("{count} {stem}ies"),
        (_, None) => format!("{count} {noun}s"),
    }
}

/// A round trip: `850 us`, `12.3 ms`, `2.0 s`.
pub(crate) fn round_trip(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} us"),
        1_000..1_000_000 => format!("{}.{} ms", micros / 1_000, micros / 100 % 10),
        1_000_000.. => format!("{}.{} s", micros / 1_000_000, micros / 100_000 % 10),
    }
}

/// How long: `12 s`, `5 min`, `3 h`, `4 d`.
pub(crate) fn span(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3_600 => format!("{} min", seconds / 60),
        seconds @ 3_600..172_800 => format!("{} h", seconds / 3_600),
        seconds @ 172_800.. => format!("{} d", seconds / 86_400),
    }
}

/// From then until now, or nothing where the clocks disagree.
pub(crate) fn since(then_ms: u64, now_ms: u64) -> Duration {
    Duration::from_millis(now_ms.saturating_sub(then_ms))
}

/// `3 h ago`.
pub(crate) fn ago(then_ms: u64, now_ms: u64) -> String {
    format!("{} ago", span(since(then_ms, now_ms)))
}

/// `12:34:56`, of UTC.
pub(crate) fn clock(ms: u64) -> String {
    let seconds = ms / 1000;
    format!("{:02}:{:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60)
}

/// `2026-08-01 12:34 UTC`.
pub(crate) fn date(ms: u64) -> String {
    let minutes = ms / 60_000;
    let (hour, minute) = (minutes / 60 % 24, minutes % 60);
    let (year, month, day) = civil(minutes / 60 / 24);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

/// `2026-08-01 12:34:56 UTC`.
pub(crate) fn date_and_time(ms: u64) -> String {
    let date = date(ms);
    let day = date.split(' ').next().unwrap_or_default();
    format!("{day} {} UTC", clock(ms))
}

/// Year, month and day of a number of days since 1970-01-01, with years that begin in March so that
/// the leap day comes last.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march + 2) / 5 + 1;
    let month = if march < 10 { march + 3 } else { march - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_keep_two_figures() {
        for (count, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (9_999, "9.9 kB"),
            (10_000, "10 kB"),
            (1_500_000, "1.5 MB"),
            (2_000_000_000, "2.0 GB"),
            (u64::MAX, "18446744 TB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn more_than_one_is_a_plural() {
        assert_eq!(
            [count(1, "entry"), count(0, "entry"), count(2, "node")],
            ["1 entry", "0 entries", "2 nodes"]
        );
    }

    #[test]
    fn round_trips_choose_their_unit() {
        let texts = [0, 999, 1_000, 12_345, 2_000_000].map(round_trip);
        assert_eq!(texts, ["0 us", "999 us", "1.0 ms", "12.3 ms", "2.0 s"]);
    }

    #[test]
    fn the_past_is_told_in_its_largest_unit_and_the_future_is_now() {
        let hour = 3_600_000;
        assert_eq!(ago(0, 59_000), "59 s ago");
        assert_eq!(ago(0, 3 * hour), "3 h ago");
        assert_eq!(ago(0, 47 * hour), "47 h ago");
        assert_eq!(ago(0, 49 * hour), "2 d ago");
        assert_eq!(ago(hour, 0), "0 s ago");
    }

    #[test]
    fn dates_are_right_around_leap_days() {
        assert_eq!(date(0), "1970-01-01 00:00 UTC");
        assert_eq!(date(951_782_400_000), "2000-02-29 00:00 UTC");
        assert_eq!(date(951_868_800_000), "2000-03-01 00:00 UTC");
        assert_eq!(date(1_785_587_640_000), "2026-08-01 12:34 UTC");
        assert_eq!(date(4_107_542_340_000), "2100-02-28 23:59 UTC");
    }
}
