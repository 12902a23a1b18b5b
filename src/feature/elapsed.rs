//! **Elapsed time** in whole units: an integer that counts the seconds, minutes, hours or days since (or until) some fixed
//! instant steps by one during a run, and says nothing but when the capture was made. It is held against the clock,
//! as dates are: a value that the clock does not account for stays as it is.

use super::moment::Clock;

/// Milliseconds of the units that programs count in.
const UNITS: [i64; 4] = [1000, 60_000, 3_600_000, 86_400_000];
/// Fewer captures prove nothing.
const CAPTURES: usize = 8;

/// A count of time that steps with the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Elapsed {
    unit: i64,
    /// 1 where it grows, -1 where it counts down.
    sign: i64,
    /// Whether it counts by the cell's own clock where that is set, not by the machine's.
    own: bool,
    /// What the value less the clock may be, in milliseconds.
    least: i64,
    most: i64,
}

impl Elapsed {
    /// Finds the unit in which all values agree with the clock. `None` where there is none, or where so few captures
    /// have another value than the rest that their order could be chance. `replicates_differ`: captures of one and the
    /// same environment have different values, which no dependence on the environment explains.
    pub(super) fn learn(samples: &[(&str, Clock)], replicates_differ: bool) -> Option<Self> {
        let values: Option<Vec<(i64, Clock)>> =
            samples.iter().map(|(text, clock)| Some((whole(text)?, *clock))).collect();
        let values = values?;
        let usual = values.iter().map(|(value, _)| values.iter().filter(|(other, _)| other == value).count()).max()?;
        let others = values.len() - usual;
        if values.len() < CAPTURES || others < if replicates_differ { 2 } else { 4 } {
            return None;
        }
        let slack = values.iter().map(|(_, clock)| clock.wall_ms()).max()?;
        let set = values.iter().any(|(_, clock)| clock.is_set());
        let ways = UNITS.iter().flat_map(|unit| [(*unit, 1), (*unit, -1)]);
        let mut ways =
            ways.flat_map(|(unit, sign)| [(unit, sign, true), (unit, sign, false)]).filter(|way| set || way.2);
        ways.find_map(|(unit, sign, own)| {
            let left: Vec<i64> =
                values.iter().map(|(value, clock)| left(*value, clock.started_ms(own), unit, sign)).collect();
            let (low, high) = (*left.iter().min()?, *left.iter().max()?);
            let bound = unit.saturating_add(slack);
            let fits = high.saturating_sub(low) <= bound;
            fits.then(|| Self { unit, sign, own, least: high.saturating_sub(bound), most: low.saturating_add(bound) })
        })
    }

    /// Whether the clock accounts for a value.
    pub(super) fn accounts_for(&self, text: &str, clock: &Clock) -> bool {
        let started = clock.started_ms(self.own);
        whole(text).is_some_and(|value| (self.least..=self.most).contains(&left(value, started, self.unit, self.sign)))
    }
}

/// A whole number as programs write it; another form of it is another thing.
fn whole(text: &str) -> Option<i64> {
    text.parse::<i64>().ok().filter(|value| value.to_string() == text)
}

fn left(value: i64, started_ms: i64, unit: i64, sign: i64) -> i64 {
    value.saturating_mul(unit).saturating_mul(sign).saturating_sub(started_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use chrono_tz::Tz;

    fn clock(seconds: i64) -> Clock {
        let reference = DateTime::from_timestamp_millis(1_795_291_200_000).unwrap();
        Clock::new(1_795_291_200_000 + seconds * 1000, 2000, Tz::UTC, reference)
    }

    fn learn(values: &[(&str, i64)], replicates: bool) -> Option<Elapsed> {
        let samples: Vec<(&str, Clock)> = values.iter().map(|(text, at)| (*text, clock(*at))).collect();
        Elapsed::learn(&samples, replicates)
    }

    #[test]
    fn minutes_that_step_during_a_run() {
        let mut values: Vec<(&str, i64)> = (0..10).map(|i| ("334908", i * 5)).collect();
        values.extend((10..14).map(|i| ("334909", i * 5)));
        let elapsed = learn(&values, true).unwrap();
        assert!(elapsed.accounts_for("334910", &clock(120)));
        assert!(!elapsed.accounts_for("334990", &clock(120)));
        assert!(!elapsed.accounts_for("0334910", &clock(120)), "another form");
        let down: Vec<(&str, i64)> = values.iter().map(|(v, at)| (*v, 70 - at)).collect();
        assert!(learn(&down, true).is_some(), "a count down");
    }

    #[test]
    fn a_choice_of_two_numbers_is_no_clock() {
        let values: Vec<(&str, i64)> = (0..40).map(|i| (if i % 3 == 0 { "7" } else { "8" }, i * 5)).collect();
        assert_eq!(learn(&values, true), None);
        let mut rare: Vec<(&str, i64)> = (0..40).map(|i| ("7", i * 5)).collect();
        rare[39].0 = "8";
        assert_eq!(learn(&rare, true), None, "one capture proves nothing");
        assert_eq!(learn(&[("7", 0), ("8", 5)], true), None);
    }
}
