//! How a cell's **clock** is set: how far it is from the machine's, or at which instant the cell begins.

use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, Utc};

/// The years that clocks can be set to: what certificates, file systems and 32-bit counters agree on.
const YEARS: [i32; 2] = [1980, 2100];

/// The longest offset, 50 years: less than what [`YEARS`] leave on either side of today.
const LONGEST: i64 = 50 * 365 * DAY;

const DAY: i64 = 86_400;

/// How a clock is set. It runs as fast as the machine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockSetting {
    /// So many seconds from the machine's.
    Offset(i64),
    /// The cell begins at this instant, seconds since the Unix epoch.
    Instant(i64),
}

impl ClockSetting {
    /// The machine's own clock.
    pub const NOW: Self = Self::Offset(0);

    /// Reads a level: `now`; a sign and numbers with `w`, `d`, `h`, `m` or `s`, such as `-36h` or `+1d12h`; an instant of
    /// RFC 3339; or a date, at whose midnight in UTC the cell begins.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        if text == "now" {
            return Some(Self::NOW);
        }
        if let Some(span) = text.strip_prefix(['+', '-']) {
            let seconds = span_seconds(span)?;
            return Some(Self::Offset(if text.starts_with('-') { -seconds } else { seconds }));
        }
        let instant = match text.parse::<NaiveDate>() {
            Ok(date) => date.and_time(NaiveTime::MIN).and_utc(),
            Err(_) => DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc),
        };
        let year = chrono::Datelike::year(&instant);
        (YEARS[0]..YEARS[1]).contains(&year).then(|| Self::Instant(instant.timestamp()))
    }

    /// What this clock shows, in milliseconds since the Unix epoch, at the start of a cell that begins at `started_ms`.
    #[must_use]
    pub fn at_start(self, started_ms: i64) -> i64 {
        match self {
            Self::Offset(seconds) => started_ms.saturating_add(seconds.saturating_mul(1000)),
            Self::Instant(seconds) => seconds.saturating_mul(1000),
        }
    }

    /// What stands for it in a finding: `clock +1d`, `clock at 2027-01-01T00:00:00Z`.
    #[must_use]
    pub fn told(self) -> String {
        match self {
            Self::Offset(seconds) => {
                let sign = if seconds < 0 { '-' } else { '+' };
                let (days, rest) = (seconds.abs() / DAY, seconds.abs() % DAY);
                let parts = [(days, "d"), (rest / 3600, "h"), (rest / 60 % 60, "m"), (rest % 60, "s")];
                let told: Vec<String> =
                    parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect();
                format!("clock {sign}{}", if told.is_empty() { String::from("0s") } else { told.concat() })
            }
            Self::Instant(seconds) => {
                let instant = DateTime::from_timestamp(seconds, 0).unwrap_or_default();
                format!("clock at {}", instant.to_rfc3339_opts(SecondsFormat::Secs, true))
            }
        }
    }
}

/// Seconds of `1w2d3h4m5s`, any of them.
fn span_seconds(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut total = 0_i64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest[..end].parse().ok()?;
        let unit = match rest.as_bytes()[end] {
            b'w' => 7 * DAY,
            b'd' => DAY,
            b'h' => 3600,
            b'm' => 60,
            b's' => 1,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[end + 1..];
    }
    (total <= LONGEST).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_and_instants_are_read() {
        for (text, expected) in [
            ("now", ClockSetting::NOW),
            ("+30d", ClockSetting::Offset(30 * DAY)),
            ("-36h", ClockSetting::Offset(-36 * 3600)),
            ("+1w1d12h5m7s", ClockSetting::Offset(8 * DAY + 12 * 3600 + 307)),
            ("2027-01-01", ClockSetting::Instant(1_798_761_600)),
            ("2027-01-01T09:00:00+09:00", ClockSetting::Instant(1_798_761_600)),
            ("2027-01-01T00:00:01Z", ClockSetting::Instant(1_798_761_601)),
        ] {
            assert_eq!(ClockSetting::read(text), Some(expected), "{text}");
        }
        for text in [
            "",
            "+",
            "-",
            "30d",
            "+30",
            "+30x",
            "+d",
            "+1ä",
            "tomorrow",
            "+51000d",
            "+99999999999999999999d",
            "1970-01-01",
            "2100-01-01",
            "2027-02-30",
            "2027-01-01T00:00:00",
            "Now",
        ] {
            assert_eq!(ClockSetting::read(text), None, "{text}");
        }
    }

    #[test]
    fn what_a_clock_shows_and_how_it_is_told() {
        assert_eq!(ClockSetting::Offset(-2).at_start(5000), 3000);
        assert_eq!(ClockSetting::Instant(7).at_start(5000), 7000);
        assert_eq!(ClockSetting::Offset(-36 * 3600).told(), "clock -1d12h");
        assert_eq!(ClockSetting::NOW.told(), "clock +0s");
        assert_eq!(ClockSetting::Instant(1_798_761_600).told(), "clock at 2027-01-01T00:00:00Z");
    }
}
