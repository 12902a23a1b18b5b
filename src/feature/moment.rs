//! **Moments**: dates and times that say when the capture was made. Only what equals the clock (in the cell's own zone
//! or in UTC) is rewritten; the value that remains is a function of the zone alone, even if a midnight passes while the
//! run goes on.

use chrono::{DateTime, Datelike as _, Duration, NaiveDate, NaiveDateTime, Offset as _, TimeZone as _, Utc};
use chrono_tz::Tz;

use super::date::{Found, Stamp, Window, find};
use super::padding::{Paddings, told};
use crate::scenario::ClockSetting;

/// When a capture was made, and where its cell thinks that it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    machine: Seen,
    /// By the cell's own clock, where that is set otherwise.
    own: Option<Seen>,
}

/// When a capture was made by one of the clocks.
#[derive(Clone, Copy, Debug)]
struct Seen {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    zone: Tz,
    /// The run's reference time by the machine's clock, and by this one.
    reference: DateTime<Utc>,
    shown: DateTime<Utc>,
    /// How this one is set.
    setting: Option<ClockSetting>,
}

/// Which clock a column of text follows, as far as all learned captures tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Basis {
    /// UTC's, in every capture.
    Utc,
    /// The zone's own (or sometimes this, sometimes that).
    Local,
}

/// How a column's moments are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Habit {
    /// Whether they follow the cell's own clock where it is set, not the machine's.
    pub(super) own: bool,
    /// The clock that they follow.
    pub(super) basis: Basis,
    /// How their numbers below ten are padded: one of two digits then is so, too.
    pub(super) paddings: Paddings,
    /// Whether they name the zone by its abbreviation, as `date` does: what stands for one then is one, too.
    pub(super) named: bool,
}

/// A text whose moments were taken out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rewritten {
    /// The text, `${date}` in place of each.
    pub(super) text: String,
    /// Their formats.
    pub(super) formats: Vec<String>,
    /// How each differs from UTC, expected at the run's reference time.
    pub(super) shifts: Vec<String>,
}

/// How a stamp agrees with a clock.
struct Agreement {
    local: bool,
    utc: bool,
    /// Neither, but within a day.
    near: bool,
}

impl Clock {
    /// The clock of a capture that began at `started` and took `wall_ms`. `reference` is the same for the whole run.
    pub(super) fn new(started_unix_ms: i64, wall_ms: i64, zone: Tz, reference: DateTime<Utc>) -> Self {
        let at = |ms| DateTime::from_timestamp_millis(ms).unwrap_or_default();
        let bounded = wall_ms.clamp(0, 86_400_000);
        let to = at(started_unix_ms.saturating_add(bounded + 1000));
        let (from, shown) = (at(started_unix_ms), reference);
        Self { machine: Seen { from, to, zone, reference, shown, setting: None }, own: None }
    }

    /// The same, in a cell whose own clock is set like this.
    pub(super) fn set(self, setting: ClockSetting) -> Self {
        let Seen { from, to, zone, reference, .. } = self.machine;
        let at = |machine: DateTime<Utc>| {
            DateTime::from_timestamp_millis(setting.at_start(machine.timestamp_millis())).unwrap_or_default()
        };
        let own = Seen {
            from: at(from),
            to: at(from) + (to - from),
            zone,
            reference,
            shown: at(reference),
            setting: Some(setting),
        };
        Self { own: (setting != ClockSetting::NOW).then_some(own), ..self }
    }

    /// When the capture was begun, in Unix milliseconds, by the cell's own clock or by the machine's.
    pub(super) fn started_ms(&self, own: bool) -> i64 {
        self.seen(own).from.timestamp_millis()
    }

    /// How long it took at most, in milliseconds.
    pub(super) fn wall_ms(&self) -> i64 {
        (self.machine.to - self.machine.from).num_milliseconds()
    }

    /// Whether the cell's own clock is another than the machine's.
    pub(super) fn is_set(&self) -> bool {
        self.own.is_some()
    }

    fn seen(&self, own: bool) -> Seen {
        self.own.filter(|_| own).unwrap_or(self.machine)
    }
}

impl Seen {
    fn local(&self, instant: DateTime<Utc>) -> NaiveDateTime {
        instant.with_timezone(&self.zone).naive_local()
    }

    /// Whether a text is the zone's abbreviation while the capture is made.
    fn is_own_zone(&self, text: &str) -> bool {
        let abbreviation = |instant: DateTime<Utc>| {
            let offset = self.zone.offset_from_utc_datetime(&instant.naive_utc());
            // As `%Z` has it: a zone without an abbreviation is called by its offset.
            offset.to_string() == text
        };
        abbreviation(self.from) || abbreviation(self.to)
    }

    fn offset(&self, instant: DateTime<Utc>) -> i32 {
        self.zone.offset_from_utc_datetime(&instant.naive_utc()).fix().local_minus_utc()
    }

    /// Days from the machine's date in UTC to this clock's, in the zone or in UTC, at the run's reference time.
    fn expected_days(&self, local: bool) -> i64 {
        let shown = if local { self.local(self.shown).date() } else { self.shown.date_naive() };
        (shown - self.reference.date_naive()).num_days()
    }

    /// An offset from UTC, and how the clock is set, as far as it shows in an instant or in a time of day.
    fn hours(&self, local: bool, whole: bool) -> String {
        let hours = hours(if local { self.offset(self.shown) } else { 0 });
        match self.setting {
            Some(ClockSetting::Offset(seconds)) if !whole && seconds % 86_400 == 0 => hours,
            Some(setting) => format!("{hours}, {}", setting.told()),
            None => hours,
        }
    }

    fn agreement(&self, stamp: Stamp) -> Agreement {
        let either = |f: &dyn Fn(NaiveDateTime) -> bool, local: bool| {
            let read = |t| if local { self.local(t) } else { t.naive_utc() };
            f(read(self.from)) || f(read(self.to))
        };
        let both = |f: &dyn Fn(NaiveDateTime) -> bool| (either(f, true), either(f, false));
        let (local, utc) = match stamp {
            Stamp::Date(day) => both(&|now| now.date() == day),
            Stamp::Weekday(day) => both(&|now| now.weekday().num_days_from_monday() == day),
            Stamp::Time(time) => {
                let slack = (self.to - self.from).num_seconds() + 90;
                both(&|now| {
                    let apart = (now.time() - time).num_seconds().rem_euclid(86_400);
                    apart.min(86_400 - apart) <= slack
                })
            }
            Stamp::DateTime(written, None) => {
                let slack = self.to - self.from + Duration::minutes(6);
                both(&|now| (now - written).abs() <= slack)
            }
            Stamp::DateTime(written, Some(offset)) => {
                let slack = self.to - self.from + Duration::minutes(6);
                let now = (self.from.naive_utc() - (written - Duration::seconds(i64::from(offset)))).abs() <= slack;
                (now && offset == self.offset(self.from), now && offset == 0)
            }
            Stamp::Epoch(_) => (false, false),
        };
        Agreement { local, utc, near: !local && !utc && self.near(stamp) }
    }

    fn near(&self, stamp: Stamp) -> bool {
        let day = |d: NaiveDate| (d - self.from.date_naive()).num_days().abs() <= 1;
        match stamp {
            Stamp::Date(d) => day(d),
            Stamp::DateTime(t, _) => day(t.date()),
            Stamp::Epoch(ms) => DateTime::from_timestamp_millis(ms).is_some_and(|t| day(t.date_naive())),
            Stamp::Time(_) | Stamp::Weekday(_) => false,
        }
    }

    /// What is left of a stamp once the time of the capture is taken out; `None` for what depends on no zone and no setting.
    fn shift(&self, stamp: Stamp, basis: Basis) -> Option<String> {
        let agreement = self.agreement(stamp);
        let local = agreement.local && (basis == Basis::Local || !agreement.utc);
        match stamp {
            Stamp::Date(day) if agreement.near => {
                Some(days((day - self.from.date_naive()).num_days() + self.expected_days(false)))
            }
            Stamp::Date(_) => Some(days(self.expected_days(local))),
            Stamp::Weekday(_) => Some(days((self.expected_days(local) + 3).rem_euclid(7) - 3)),
            Stamp::Time(_) | Stamp::DateTime(..) if agreement.near => self.setting.map(ClockSetting::told),
            Stamp::Time(_) => Some(self.hours(local, false)),
            Stamp::DateTime(..) => Some(self.hours(local, true)),
            Stamp::Epoch(_) => self.setting.map(ClockSetting::told),
        }
    }
}

fn days(shift: i64) -> String {
    match shift {
        0 => String::from("UTC date"),
        1 => String::from("UTC date + 1 day"),
        -1 => String::from("UTC date - 1 day"),
        n => format!("UTC date {n:+} days"),
    }
}

fn hours(offset: i32) -> String {
    let sign = if offset < 0 { '-' } else { '+' };
    format!("UTC{sign}{:02}:{:02}", offset.abs() / 3600, offset.abs() / 60 % 60)
}

/// Decides from all learned captures whether a column's dates and times are moments, and which clock they follow.
/// `None` where they are not: then they stay text.
pub(super) fn decide<'a>(texts: impl Iterator<Item = (&'a str, Clock)> + Clone, window: &Window) -> Option<Habit> {
    let own = follow(texts.clone(), window, true);
    if !texts.clone().any(|(_, clock)| clock.is_set()) {
        return own.and_then(Followed::habit);
    }
    // A program that the cell's own clock does not reach says what the machine's says.
    let machine = follow(texts, window, false);
    [own, machine]
        .into_iter()
        .flatten()
        .reduce(|own, machine| if machine.agreed > own.agreed { machine } else { own })?
        .habit()
}

/// How many of a column's dates and times agree with a clock.
struct Followed {
    found: usize,
    agreed: usize,
    habit: Habit,
}

impl Followed {
    fn habit(self) -> Option<Habit> {
        // A stray miss (an agent that is slow around midnight) must not turn every capture's date into text.
        (self.found > 0 && self.agreed * 20 >= self.found * 19).then_some(self.habit)
    }
}

fn follow<'a>(texts: impl Iterator<Item = (&'a str, Clock)>, window: &Window, own: bool) -> Option<Followed> {
    let (mut found, mut agreed) = (0_usize, 0_usize);
    let (mut all_utc, mut paddings, mut named) = (true, Paddings::default(), false);
    // Equal texts of several captures stand side by side: each is searched once.
    let mut last: Option<(&str, Vec<Found>)> = None;
    for (text, clock) in texts {
        if last.as_ref().is_none_or(|(searched, _)| *searched != text) {
            last = Some((text, find(text, window)));
        }
        for hit in last.iter().flat_map(|(_, hits)| hits) {
            found += 1;
            if let Some(((_, format), agreement)) = best(hit, &clock.seen(own)) {
                agreed += 1;
                paddings.learn(format);
                all_utc &= agreement.utc || agreement.near;
                let zone = hit.zone.as_ref().map(|zone| &text[zone.clone()]);
                named |=
                    zone.is_some_and(|zone| zone.contains(char::is_alphabetic) && clock.seen(own).is_own_zone(zone));
            }
        }
    }
    let basis = if all_utc { Basis::Utc } else { Basis::Local };
    (found > 0).then_some(Followed { found, agreed, habit: Habit { own, basis, paddings, named } })
}

/// The reading that agrees with the clock.
fn best<'a>(hit: &'a Found, clock: &Seen) -> Option<(&'a (Stamp, String), Agreement)> {
    let all: Vec<_> = hit.readings.iter().map(|reading| (reading, clock.agreement(reading.0))).collect();
    let exact = all.iter().position(|(_, a)| a.local || a.utc);
    let index = exact.or_else(|| all.iter().position(|(_, a)| a.near))?;
    all.into_iter().nth(index)
}

/// Takes the moments out of a text. Gives `None` if there are none.
pub(super) fn rewrite(text: &str, window: &Window, clock: &Clock, habit: Habit) -> Option<Rewritten> {
    let mut out = Rewritten::default();
    let clock = clock.seen(habit.own);
    let mut at = 0;
    for hit in find(text, window) {
        let Some((reading, _)) = best(&hit, &clock) else { continue };
        out.text.push_str(&text[at..hit.span.start]);
        out.text.push_str(match reading.0 {
            Stamp::Date(_) => "${date}",
            Stamp::DateTime(..) => "${datetime}",
            Stamp::Time(_) => "${time}",
            Stamp::Epoch(_) => "${epoch}",
            Stamp::Weekday(_) => "${weekday}",
        });
        let is_own = |zone: &std::ops::Range<usize>| clock.is_own_zone(&text[zone.clone()]);
        let own_zone = habit.named && habit.basis == Basis::Local && hit.zone.as_ref().is_some_and(is_own);
        out.formats.push(told(&reading.1, habit.paddings, own_zone));
        out.shifts.extend(clock.shift(reading.0, habit.basis));
        at = hit.span.end;
    }
    if out.formats.is_empty() {
        return None;
    }
    out.text.push_str(&text[at..]);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    // 2026-11-21 20:00 UTC: the 22nd in Tokyo.
    const EVENING: i64 = 1_795_291_200_000;

    fn clock(hours: i64, zone: &str) -> Clock {
        let reference = DateTime::from_timestamp_millis(EVENING).unwrap();
        Clock::new(EVENING + hours * 3_600_000, 2000, zone.parse().unwrap(), reference)
    }

    fn window() -> Window {
        let day = DateTime::from_timestamp_millis(EVENING).unwrap().date_naive();
        Window::new([day - Duration::days(3)..=day + Duration::days(30)])
    }

    fn shift(text: &str, clock: Clock, basis: Basis) -> Vec<String> {
        rewrite(text, &window(), &clock, Habit { own: true, basis, paddings: Paddings::default(), named: false })
            .unwrap()
            .shifts
    }

    #[test]
    fn a_local_date_is_a_function_of_the_zone_even_past_midnight() {
        assert_eq!(shift("2026-11-22", clock(0, "Asia/Tokyo"), Basis::Local), ["UTC date + 1 day"]);
        assert_eq!(shift("2026-11-21", clock(0, "UTC"), Basis::Local), ["UTC date"]);
        // Five hours later it is the 22nd in UTC too.
        assert_eq!(shift("2026-11-22", clock(5, "Asia/Tokyo"), Basis::Local), ["UTC date + 1 day"]);
        assert_eq!(shift("2026-11-22", clock(5, "UTC"), Basis::Local), ["UTC date"]);
    }

    #[test]
    fn a_utc_date_is_constant() {
        let texts = [("2026-11-21", clock(0, "Asia/Tokyo")), ("2026-11-22", clock(5, "Asia/Tokyo"))];
        let habit = Habit { own: true, basis: Basis::Utc, paddings: Paddings::default(), named: false };
        assert_eq!(decide(texts.iter().map(|(t, c)| (*t, *c)), &window()), Some(habit));
        for (text, clock) in texts {
            assert_eq!(shift(text, clock, Basis::Utc), ["UTC date"]);
        }
    }

    #[test]
    fn the_zones_own_name_is_told_alike_in_every_zone_and_another_is_not() {
        let zones = ["UTC", "Asia/Tokyo", "Asia/Shanghai", "Asia/Urumqi"];
        let window = window().with_zones(["UTC", "JST", "CST", "+06"].map(String::from));
        let texts: Vec<(String, Clock)> = (zones.iter())
            .map(|zone| {
                let tz: Tz = zone.parse().unwrap();
                let at = DateTime::from_timestamp_millis(EVENING).unwrap().with_timezone(&tz);
                // What `date` prints.
                (at.format("%a %b %e %H:%M:%S %Z %Y").to_string(), clock(0, zone))
            })
            .collect();
        assert_eq!(texts[3].0, "Sun Nov 22 02:00:00 +06 2026");
        let habit = decide(texts.iter().map(|(text, clock)| (text.as_str(), *clock)), &window).unwrap();
        assert_eq!((habit.basis, habit.named), (Basis::Local, true));
        let told = |text: &str, clock: &Clock| {
            let Rewritten { text, formats, .. } = rewrite(text, &window, clock, habit).unwrap();
            (text, formats)
        };
        let alike = (String::from("${datetime} 2026"), vec![String::from("%a %b %d %H:%M:%S %Z")]);
        for (text, clock) in &texts {
            assert_eq!(told(text, clock), alike, "{text}");
        }
        let other = texts[0].0.replace("UTC", "GMT");
        assert_eq!(told(&other, &texts[0].1).1, ["%a %b %d %H:%M:%S GMT"]);
        // Where zones are told by numbers alone, the one that has no other name is not apart.
        let numbers = [("2026-11-22 05:00:00 +09", clock(0, "Asia/Tokyo")), ("2026-11-22 02:00:00 +06", texts[3].1)];
        let habit = decide(numbers.iter().copied(), &window).unwrap();
        let formats = numbers.map(|(text, clock)| rewrite(text, &window, &clock, habit).unwrap().formats);
        assert_eq!((formats[0][0].as_str(), formats[0] == formats[1]), ("%Y-%m-%d %H:%M:%S %#z", true));
    }

    #[test]
    fn the_ninth_and_the_tenth_are_written_alike() {
        // 2026-11-09 20:00 UTC: the 10th in Tokyo.
        let at = EVENING - 12 * 86_400_000;
        let day = DateTime::from_timestamp_millis(at).unwrap();
        let near = day.date_naive();
        let window = Window::new([near - Duration::days(3)..=near + Duration::days(3)]);
        let clock = |zone: &str| Clock::new(at, 2000, zone.parse().unwrap(), day);
        for (ninth, tenth, format) in [
            ("Mon Nov  9 20:00:01 2026", "Tue Nov 10 05:00:01 2026", "%b %_d %H:%M:%S"),
            ("Nov  9 20:00:01", "Nov 10 5:00:01", "%b %_d %-H:%M:%S"),
            ("Nov 9", "Nov 10", "%b %-d"),
            ("Nov 09", "Nov 10", "%b %d"),
        ] {
            let texts = [(tenth, clock("Asia/Tokyo")), (ninth, clock("UTC"))];
            let habit = decide(texts.into_iter(), &window).unwrap();
            for (text, clock) in texts {
                let rewritten = rewrite(text, &window, &clock, habit).unwrap();
                assert!(rewritten.formats[0].ends_with(format), "{text}: {:?}", rewritten.formats);
            }
        }
    }

    #[test]
    fn other_days_are_not_moments() {
        let texts = [("2026-11-30", clock(0, "UTC")), ("2026-11-30", clock(1, "UTC"))];
        assert_eq!(decide(texts.into_iter(), &window()), None);
        let habit = Habit { own: true, basis: Basis::Utc, paddings: Paddings::default(), named: false };
        assert_eq!(rewrite("on 2026-11-30", &window(), &clock(0, "UTC"), habit), None);
    }

    #[test]
    fn times_tell_the_offset() {
        assert_eq!(shift("at 05:00:01", clock(0, "Asia/Tokyo"), Basis::Local), ["UTC+09:00"]);
        assert_eq!(shift("2026-11-22T05:00:01+09:00", clock(0, "Asia/Tokyo"), Basis::Local), ["UTC+09:00"]);
        assert_eq!(shift("2026-11-21T20:00:01Z", clock(0, "Asia/Tokyo"), Basis::Utc), ["UTC+00:00"]);
        assert!(shift("1795291200123", clock(0, "Asia/Tokyo"), Basis::Utc).is_empty());
    }

    #[test]
    fn a_clock_that_is_set_is_told_as_what_it_is_and_one_that_does_not_reach_as_none() {
        let month = ClockSetting::Offset(30 * 86_400);
        let window = Window::new([0, 30].map(|days| {
            let day = NaiveDate::from_ymd_opt(2026, 11, 21).unwrap() + Duration::days(days);
            day - Duration::days(3)..=day + Duration::days(9)
        }));
        let machine = clock(0, "Asia/Tokyo");
        let told = |reached: bool| {
            let date = if reached { "2026-12-22" } else { "2026-11-22" };
            let texts = [("2026-11-22", machine), (date, machine.set(month))];
            let habit = decide(texts.iter().copied(), &window).unwrap();
            texts.map(|(text, clock)| rewrite(text, &window, &clock, habit).unwrap())
        };
        let [now, later] = told(true);
        assert_eq!((now.text.as_str(), later.text.as_str()), ("${date}", "${date}"));
        assert_eq!((now.shifts, later.shifts), (vec!["UTC date + 1 day".into()], vec!["UTC date +31 days".into()]));
        let [now, later] = told(false);
        assert_eq!(now.shifts, later.shifts, "the machine's date at both levels");
        let set = machine.set(month);
        let shift = |text: &str| {
            let habit = Habit { own: true, basis: Basis::Local, paddings: Paddings::default(), named: false };
            rewrite(text, &window, &set, habit).unwrap().shifts
        };
        assert_eq!(shift("at 05:00:01"), ["UTC+09:00"], "the time of day is the same");
        assert_eq!(shift("2026-12-22T05:00:01+09:00"), ["UTC+09:00, clock +30d"]);
        assert!(!machine.set(ClockSetting::NOW).is_set());
        assert_eq!(machine.set(ClockSetting::Instant(7)).started_ms(true), 7000);
        assert_eq!(machine.set(ClockSetting::Instant(7)).started_ms(false), machine.started_ms(true));
    }
}
