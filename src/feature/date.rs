//! **Dates and times** in text: recognised in many notations, read, and described by their *format*. Knows nothing of
//! which of them matter; [`super::moment`] compares them with the clock of a capture.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::{Range, RangeInclusive};

use chrono::{Datelike as _, NaiveDate, NaiveDateTime, NaiveTime};

use super::date_names::{month, weekday};
use super::date_words::{day_of_month, year};
use super::date_zone::{name_zone, zone};
use super::lexeme::{Kind, Lexemes};
use super::padding::{EITHER, padded};

/// A date or time found in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Bytes of the line.
    pub(super) span: Range<usize>,
    /// What it may mean (`1/2/2026` has two readings), with the format of each, which [`told`] completes.
    pub(super) readings: Vec<(Stamp, String)>,
    /// Where a zone stands behind a time by a name, or by what stands for one: `UTC`, `JST`, `+06`.
    pub(super) zone: Option<Range<usize>>,
}

/// A reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stamp {
    /// A day.
    Date(NaiveDate),
    /// A day and a time, with the offset from UTC in seconds where it is written.
    DateTime(NaiveDateTime, Option<i32>),
    /// A time of day.
    Time(NaiveTime),
    /// Milliseconds since the Unix epoch.
    Epoch(i64),
    /// A day of the week, Monday 0.
    Weekday(u32),
}

/// The days that are worth recognising: those near the run, by any clock that its cells have. Version dates and knowledge
/// cut-offs stay text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Window {
    spans: Vec<RangeInclusive<NaiveDate>>,
    zones: BTreeSet<String>,
}

impl Window {
    /// The days of these spans.
    pub(super) fn new(spans: impl IntoIterator<Item = RangeInclusive<NaiveDate>>) -> Self {
        Self { spans: spans.into_iter().collect(), zones: BTreeSet::new() }
    }

    /// The same, where these are abbreviations of zones: what stands behind a time is one of them or anything else.
    pub(super) fn with_zones(self, zones: impl IntoIterator<Item = String>) -> Self {
        Self { zones: zones.into_iter().collect(), ..self }
    }

    /// Whether a word is the abbreviation of one of them.
    pub(super) fn names_zone(&self, word: &str) -> bool {
        self.zones.contains(word)
    }

    fn has(&self, day: NaiveDate) -> bool {
        self.spans.iter().any(|span| span.contains(&day))
    }
}

/// Finds dates and times in a line, left to right, not overlapping. Days outside the window are not found.
pub(super) fn find(line: &str, window: &Window) -> Vec<Found> {
    if !line.chars().any(char::is_numeric) && !has_name(line) {
        return Vec::new();
    }
    let lexemes = Lexemes::of(line);
    let mut found = Vec::new();
    let mut at = 0;
    while at < lexemes.len() {
        if let Some((next, hit)) = moment(&lexemes, at, window) {
            found.push(hit);
            at = next;
        } else {
            at += 1;
        }
    }
    found
}

/// Whether a line without any number has the name of a weekday or, for a date in words, of a month.
fn has_name(line: &str) -> bool {
    let named = |word: &str| {
        let word = word.to_lowercase();
        weekday(&word).or_else(|| month(&word)).is_some_and(|name| name.long)
    };
    // Some names have such a sign inside; beside others it stands.
    let signs = ['-', '\u{2019}'];
    line.split(|c: char| !c.is_alphabetic() && !signs.contains(&c))
        .any(|word| named(word) || word.contains(signs) && word.split(signs).any(named))
}

/// A parser's answer: the lexeme after it, the byte after it, and what was read.
struct Parsed<T> {
    next: usize,
    end: usize,
    value: T,
    format: String,
}

fn moment(lexemes: &Lexemes<'_>, at: usize, window: &Window) -> Option<(usize, Found)> {
    let start = lexemes.start(at)?;
    let done = |next, end, mut readings: Vec<(Stamp, String)>| {
        for (_, format) in &mut readings {
            *format = padded(format);
        }
        Some((next, Found { span: start..end, readings, zone: None }))
    };
    if let Some((millis, next, end, format)) = epoch(lexemes, at, window) {
        return done(next, end, vec![(Stamp::Epoch(millis), format.to_owned())]);
    }
    if let Some((time, format)) = packed(lexemes, at).filter(|(time, _)| window.has(time.date())) {
        return done(at + 1, lexemes.end(at)?, vec![(Stamp::DateTime(time, None), format.to_owned())]);
    }
    let (first, prefix) = leading_weekday(lexemes, at).unwrap_or((at, String::new()));
    let mut dates = dates(lexemes, first, window);
    dates.retain(|date| window.has(date.value));
    if let Some(date) = dates.first() {
        let (next, end) = (date.next, date.end);
        if let Some((joint, time, in_name)) = join(lexemes, next).and_then(|(i, joint)| {
            let time = time(lexemes, i).map(|time| (time, false));
            time.or_else(|| Some((name_time(lexemes, i)?, true))).map(|(time, in_name)| (joint, time, in_name))
        }) {
            // In a file's name a single number behind the time is no offset.
            let zone = zone(lexemes, time.next, window).filter(|zone| !in_name || zone.format == "Z");
            let zone = zone.or_else(|| name_zone(lexemes, time.next).filter(|_| in_name));
            let (zone_next, zone_end) = zone.as_ref().map_or((time.next, time.end), |zone| (zone.next, zone.end));
            let told = zone.as_ref().map_or("", |zone| &zone.format);
            let offset = zone.as_ref().and_then(|zone| zone.offset);
            let readings = dates
                .iter()
                .map(|d| {
                    let format = format!("{prefix}{}{joint}{}{told}", d.format, time.format);
                    (Stamp::DateTime(d.value.and_time(time.value), offset), format)
                })
                .collect();
            let (next, found) = done(zone_next, zone_end, readings)?;
            return Some((next, Found { zone: zone.and_then(|zone| zone.name), ..found }));
        }
        let (next, end, suffix) = trailing_weekday(lexemes, next).unwrap_or((next, end, String::new()));
        let readings = dates.iter().map(|d| (Stamp::Date(d.value), format!("{prefix}{}{suffix}", d.format))).collect();
        return done(next, end, readings);
    }
    if let Some(time) = time(lexemes, at) {
        return done(time.next, time.end, vec![(Stamp::Time(time.value), time.format)]);
    }
    let name = weekday(&lexemes.word(at)?.to_lowercase()).filter(|n| n.long)?;
    done(at + 1, lexemes.end(at)?, vec![(Stamp::Weekday(name.index), format!("%A{}", tongue(name.language)))])
}

/// Ten digits of seconds, with or without a fraction, or thirteen of milliseconds.
fn epoch(lexemes: &Lexemes<'_>, at: usize, window: &Window) -> Option<(i64, usize, usize, &'static str)> {
    let (value, digits) = lexemes.number(at)?;
    let value = i64::try_from(value).ok()?;
    let near =
        |millis: i64| chrono::DateTime::from_timestamp_millis(millis).is_some_and(|t| window.has(t.date_naive()));
    match digits {
        13 if near(value) => Some((value, at + 1, lexemes.end(at)?, "epoch milliseconds")),
        16 if near(value / 1000) => Some((value / 1000, at + 1, lexemes.end(at)?, "epoch microseconds")),
        10 if near(value * 1000) => {
            if lexemes.gap(at + 1) == Some(".") && lexemes.number(at + 2).is_some() {
                Some((value * 1000, at + 3, lexemes.end(at + 2)?, "epoch seconds with a fraction"))
            } else {
                Some((value * 1000, at + 1, lexemes.end(at)?, "epoch seconds"))
            }
        }
        _ => None,
    }
}

/// A day and a time in one number: `20261121114647`, with or without milliseconds.
fn packed(lexemes: &Lexemes<'_>, at: usize) -> Option<(NaiveDateTime, &'static str)> {
    let (value, digits) = lexemes.number(at)?;
    let (value, millis, format) = match digits {
        14 => (value, 0, "%Y%m%d%H%M%S"),
        17 => (value / 1000, value % 1000, "%Y%m%d%H%M%S%3f"),
        _ => return None,
    };
    let part = |divisor: u64| u32::try_from(value / divisor % 100).ok();
    let time = NaiveTime::from_hms_milli_opt(part(10_000)?, part(100)?, part(1)?, u32::try_from(millis).ok()?)?;
    Some((day(value / 10_000_000_000, value / 100_000_000 % 100, value / 1_000_000 % 100)?.and_time(time), format))
}

fn leading_weekday(lexemes: &Lexemes<'_>, at: usize) -> Option<(usize, String)> {
    let name = weekday(&lexemes.word(at)?.to_lowercase())?;
    let gap = lexemes.gap(at + 1).filter(|gap| gap.chars().count() <= 3)?;
    let code = if name.long { "%A" } else { "%a" };
    Some((at + 2, format!("{code}{}{gap}", tongue(name.language))))
}

fn trailing_weekday(lexemes: &Lexemes<'_>, at: usize) -> Option<(usize, usize, String)> {
    let (gap, i) = match lexemes.gap(at) {
        Some(gap) if gap.chars().count() <= 2 => (gap, at + 1),
        Some(_) => return None,
        None => ("", at),
    };
    let name = weekday(&lexemes.word(i)?.to_lowercase())?;
    let bracketed = gap.ends_with(['(', '（']);
    if !name.long && !bracketed {
        return None;
    }
    let code = if name.long { "%A" } else { "%a" };
    Some((i + 1, lexemes.end(i)?, format!("{gap}{code}{}", tongue(name.language))))
}

fn tongue(language: &str) -> String {
    if language == "en" { String::new() } else { format!("[{language}]") }
}

/// Every way to read a date that begins at this lexeme. All that are given end at the same place.
fn dates(lexemes: &Lexemes<'_>, at: usize, window: &Window) -> Vec<Parsed<NaiveDate>> {
    let named = month_first(lexemes, at, window)
        .or_else(|| day_first(lexemes, at, window))
        .or_else(|| ideographic(lexemes, at, window));
    if let Some(date) = named {
        return vec![date];
    }
    numeric(lexemes, at)
}

/// The code of a number in a format.
pub(super) fn part(code: char, value: u64, digits: usize) -> String {
    match digits {
        1 if value < 10 => format!("%-{code}"),
        2 if value >= 10 => format!("%{EITHER}{code}"),
        _ => format!("%{code}"),
    }
}

fn day(year: u64, month: u64, day: u64) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, u32::try_from(month).ok()?, u32::try_from(day).ok()?)
}

/// `2026-11-21`, `21.11.2026`, `11/21/26`, `20261121`, with any one to three signs between.
fn numeric(lexemes: &Lexemes<'_>, at: usize) -> Vec<Parsed<NaiveDate>> {
    let mut out = Vec::new();
    let Some((a, a_digits)) = lexemes.number(at) else { return out };
    if a_digits == 8 {
        if let (Some(value), Some(end)) = (day(a / 10_000, a / 100 % 100, a % 100), lexemes.end(at)) {
            out.push(Parsed { next: at + 1, end, value, format: format!("%Y%m%d{}", lexemes.script(at)) });
        }
        return out;
    }
    let numbers = (|| {
        let first = lexemes.gap(at + 1).filter(|gap| separator(gap))?;
        let second = lexemes.gap(at + 3).filter(|gap| separator(gap))?;
        Some((first, lexemes.number(at + 2)?, second, lexemes.number(at + 4)?, lexemes.end(at + 4)?))
    })();
    let Some((first, (b, b_digits), second, (c, c_digits), end)) = numbers else { return out };
    let script = lexemes.script(at);
    let mut push = |value: Option<NaiveDate>, parts: [String; 3]| {
        if let Some(value) = value {
            let format = format!("{}{first}{}{second}{}{script}", parts[0], parts[1], parts[2]);
            out.push(Parsed { next: at + 5, end, value, format });
        }
    };
    if a_digits == 4 && b_digits <= 2 && c_digits <= 2 {
        push(day(a, b, c), [String::from("%Y"), part('m', b, b_digits), part('d', c, c_digits)]);
    } else if a_digits <= 2 && b_digits <= 2 && (c_digits == 4 || c_digits == 2) {
        let (year, code) = if c_digits == 4 { (c, "%Y") } else { (2000 + c, "%y") };
        push(day(year, a, b), [part('m', a, a_digits), part('d', b, b_digits), code.to_owned()]);
        if a != b {
            push(day(year, b, a), [part('d', a, a_digits), part('m', b, b_digits), code.to_owned()]);
        }
        if a_digits == 2 && c_digits == 2 {
            push(day(2000 + a, b, c), [String::from("%y"), part('m', b, b_digits), part('d', c, c_digits)]);
        }
    }
    out
}

/// One to three signs, not the end of a sentence. Any sign will do: which one it is may be the message.
fn separator(gap: &str) -> bool {
    gap.chars().count() <= 3 && gap.chars().any(|c| c != ' ') && !gap.contains(['\n', '(', ')', '"', ':'])
}

/// A day and month without a year, where one is near the run.
fn of_window(window: &Window, month: u64, date: u64) -> Option<NaiveDate> {
    let mut years = window.spans.iter().flat_map(|span| span.start().year()..=span.end().year());
    years.find_map(|year| day(u64::try_from(year).ok()?, month, date).filter(|day| window.has(*day)))
}

/// `November 21, 2026`, `Nov 21st 2026`, `November twenty-first`.
fn month_first(lexemes: &Lexemes<'_>, at: usize, window: &Window) -> Option<Parsed<NaiveDate>> {
    let name = month(&lexemes.word(at)?.to_lowercase())?;
    let gap = lexemes.gap(at + 1).filter(|gap| gap.chars().count() <= 2)?;
    let (number, i, format) = day_of_month(lexemes, at + 2)?;
    let (month, code) = (u64::from(name.index) + 1, if name.long { "%B" } else { "%b" });
    let format = format!("{code}{}{gap}{format}", tongue(name.language));
    let with_year = lexemes.gap(i).filter(|gap| gap.chars().count() <= 3).and_then(|comma| {
        let (value, next, code) = year(lexemes, i + 1)?;
        let value = day(value, month, number)?;
        Some(Parsed { next, end: lexemes.end(next - 1)?, value, format: format!("{format}{comma}{code}") })
    });
    with_year.or_else(|| {
        Some(Parsed { next: i, end: lexemes.end(i - 1)?, value: of_window(window, month, number)?, format })
    })
}

/// `21 November 2026`, `21. November 2026`, `21 de noviembre de 2026`, `twenty-first of November`.
fn day_first(lexemes: &Lexemes<'_>, at: usize, window: &Window) -> Option<Parsed<NaiveDate>> {
    let (number, i, format) = day_of_month(lexemes, at)?;
    let (i, before) = linked(lexemes, i)?;
    let name = month(&lexemes.word(i)?.to_lowercase())?;
    let (month, code) = (u64::from(name.index) + 1, if name.long { "%B" } else { "%b" });
    let format = format!("{format}{before}{code}{}", tongue(name.language));
    let with_year = linked(lexemes, i + 1).and_then(|(i, after)| {
        let (value, next, code) = year(lexemes, i)?;
        let value = day(value, month, number)?;
        Some(Parsed { next, end: lexemes.end(next - 1)?, value, format: format!("{format}{after}{code}") })
    });
    with_year.or_else(|| {
        Some(Parsed { next: i + 1, end: lexemes.end(i)?, value: of_window(window, month, number)?, format })
    })
}

/// A short gap, or one with `de`, `of` in it.
fn linked(lexemes: &Lexemes<'_>, at: usize) -> Option<(usize, String)> {
    let gap = lexemes.gap(at).filter(|gap| gap.chars().count() <= 3)?;
    match (lexemes.word(at + 1), lexemes.gap(at + 2)) {
        (Some(word), Some(next)) if matches!(word, "de" | "of" | "del") => Some((at + 3, format!("{gap}{word}{next}"))),
        _ => Some((at + 1, gap.to_owned())),
    }
}

/// `2026年11月21日`, `2026년 11월 21일`, `11月21日`.
fn ideographic(lexemes: &Lexemes<'_>, at: usize, window: &Window) -> Option<Parsed<NaiveDate>> {
    let unit = |i: usize| match lexemes.kind(i)? {
        Kind::Ideograph => lexemes.text(i).map(|text| (i + 1, text)),
        _ => None,
    };
    let skip = |i: usize| match lexemes.gap(i) {
        Some(" ") => (i + 1, " "),
        _ => (i, ""),
    };
    let of_year = lexemes.number(at).filter(|(_, digits)| *digits == 4).and_then(|(year, _)| {
        let (i, unit) = unit(at + 1).filter(|(_, u)| matches!(*u, "年" | "년"))?;
        let (i, gap) = skip(i);
        Some((Some(year), i, format!("%Y{unit}{gap}")))
    });
    let (year, i, format) = of_year.unwrap_or((None, at, String::new()));
    let (month, month_digits) = lexemes.number(i)?;
    let (i, month_unit) = unit(i + 1).filter(|(_, u)| matches!(*u, "月" | "월"))?;
    let (i, gap) = skip(i);
    let (date, date_digits) = lexemes.number(i)?;
    let (i, date_unit) = unit(i + 1).filter(|(_, u)| matches!(*u, "日" | "일" | "号"))?;
    let value = match year {
        Some(year) => day(year, month, date)?,
        None => of_window(window, month, date)?,
    };
    let (month, date) = (part('m', month, month_digits), part('d', date, date_digits));
    Some(Parsed {
        next: i,
        end: lexemes.end(i - 1)?,
        value,
        format: format!("{format}{month}{month_unit}{gap}{date}{date_unit}"),
    })
}

/// What joins a date and its time.
fn join<'a>(lexemes: &Lexemes<'a>, at: usize) -> Option<(usize, &'a str)> {
    if let Some(word) = lexemes.word(at).filter(|word| matches!(*word, "T" | "t")) {
        return Some((at + 1, word));
    }
    let gap = lexemes.gap(at).filter(|gap| gap.chars().count() <= 3)?;
    Some((at + 1, gap))
}

/// `04:09`, `4:09:11.123`, `04:09 PM`.
fn time(lexemes: &Lexemes<'_>, at: usize) -> Option<Parsed<NaiveTime>> {
    let (hour, hour_digits) = lexemes.number(at)?;
    let compact = hour_digits == 6 && at > 0 && matches!(lexemes.word(at - 1), Some("T"));
    let (mut hour, minute, mut second, mut i, mut format) = if compact {
        (hour / 10_000, hour / 100 % 100, hour % 100, at + 1, String::from("%H%M%S"))
    } else {
        if hour_digits > 2 || lexemes.gap(at + 1) != Some(":") {
            return None;
        }
        let (minute, _) = lexemes.number(at + 2).filter(|(_, digits)| *digits == 2)?;
        (hour, minute, 0, at + 3, format!("{}:%M", part('H', hour, hour_digits)))
    };
    let mut millis = 0;
    if !compact
        && lexemes.gap(i) == Some(":")
        && let Some((value, 2)) = lexemes.number(i + 1)
    {
        second = value;
        i += 2;
        format.push_str(":%S");
    }
    if let (Some("." | ","), Some((value, digits @ 3..=9))) = (lexemes.gap(i), lexemes.number(i + 1)) {
        millis = value / 10_u64.pow(u32::try_from(digits).ok()? - 3);
        i += 2;
        let _ = write!(format, ".%{digits}f");
    }
    let (word_at, gap) = match lexemes.gap(i) {
        Some(gap) if gap.chars().count() == 1 && gap.chars().all(char::is_whitespace) => (i + 1, gap),
        _ => (i, ""),
    };
    if let Some(half) = lexemes.word(word_at).filter(|w| matches!(w.to_ascii_lowercase().as_str(), "am" | "pm")) {
        if hour > 12 {
            return None;
        }
        hour = hour % 12 + if half.eq_ignore_ascii_case("pm") { 12 } else { 0 };
        format = format.replace('H', "I");
        format.push_str(gap);
        format.push_str(if half.starts_with(['a', 'p']) { "%P" } else { "%p" });
        i = word_at + 1;
    }
    let narrow = |n: u64| u32::try_from(n).ok();
    let value = NaiveTime::from_hms_milli_opt(narrow(hour)?, narrow(minute)?, narrow(second)?, narrow(millis)?)?;
    Some(Parsed { next: i, end: lexemes.end(i - 1)?, value, format })
}

/// The time in a file's name, right behind its date: `11_46_47_123`, `11-46-47`, `114647`, `114647123`.
fn name_time(lexemes: &Lexemes<'_>, at: usize) -> Option<Parsed<NaiveTime>> {
    let narrow = |n: u64| u32::try_from(n).ok();
    let (first, digits) = lexemes.number(at)?;
    let between = |i: usize| lexemes.gap(i).filter(|gap| matches!(*gap, "_" | "-" | "."));
    let two = |i: usize| lexemes.number(i).filter(|(_, digits)| *digits == 2).map(|(value, _)| value);
    let (hour, minute, second, mut i, mut format) = match digits {
        2 => {
            let sign = between(at + 1).filter(|sign| between(at + 3) == Some(sign))?;
            (first, two(at + 2)?, two(at + 4)?, at + 5, format!("%H{sign}%M{sign}%S"))
        }
        6 => (first / 10_000, first / 100 % 100, first % 100, at + 1, String::from("%H%M%S")),
        9 => (first / 10_000_000, first / 100_000 % 100, first / 1000 % 100, at + 1, String::from("%H%M%S%3f")),
        _ => return None,
    };
    let mut millis = if digits == 9 { first % 1000 } else { 0 };
    if digits != 9
        && let (Some(sign), Some((value, digits @ (3 | 6)))) = (between(i), lexemes.number(i + 1))
    {
        millis = value / if digits == 6 { 1000 } else { 1 };
        let _ = write!(format, "{sign}%{digits}f");
        i += 2;
    }
    let value = NaiveTime::from_hms_milli_opt(narrow(hour)?, narrow(minute)?, narrow(second)?, narrow(millis)?)?;
    Some(Parsed { next: i, end: lexemes.end(i - 1)?, value, format })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feature::padding::{Padding, Paddings, told};

    fn window() -> Window {
        let day = |d| NaiveDate::from_ymd_opt(2026, 11, d).unwrap();
        Window::new([day(18)..=day(28)])
    }

    fn formats(line: &str) -> Vec<(String, String)> {
        let told = |f: Found| (line[f.span].to_owned(), told(&f.readings[0].1, Paddings::default(), false));
        find(line, &window()).into_iter().map(told).collect()
    }

    #[test]
    fn reads_many_notations_of_one_day() {
        for (text, format) in [
            ("2026-11-21", "%Y-%m-%d"),
            ("2026/11/21", "%Y/%m/%d"),
            ("2026\u{2010}11\u{2010}21", "%Y\u{2010}%m\u{2010}%d"),
            ("2026. 11. 21", "%Y. %m. %d"),
            ("21.11.2026", "%d.%m.%Y"),
            ("11/21/26", "%m/%d/%y"),
            ("20261121", "%Y%m%d"),
            ("November 21, 2026", "%B %d, %Y"),
            ("Sat, 21 Nov 2026", "%a, %d %b %Y"),
            ("21 de noviembre de 2026", "%d de %B[es] de %Y"),
            ("21. listopadu 2026", "%d. %B[cs] %Y"),
            ("2026年11月21日", "%Y年%m月%d日"),
            ("2026년 11월 21일", "%Y년 %m월 %d일"),
            ("２０２６/１１/２１", "%Y/%m/%d[fullwidth]"),
            ("2026-11-21T04:09:11.123Z", "%Y-%m-%dT%H:%M:%S.%3fZ"),
            ("2026-11-21 13:09:11+09:00", "%Y-%m-%d %H:%M:%S%:z"),
            ("2026-11-21T11_46_47_123Z", "%Y-%m-%dT%H_%M_%S_%3fZ"),
            ("2026-11-21T11-46-47.123Z", "%Y-%m-%dT%H-%M-%S.%3fZ"),
            ("2026-11-21T20-46-47-123+09-00", "%Y-%m-%dT%H-%M-%S-%3f%z[-]"),
            ("2026-11-21T06-46-47-123-05-00", "%Y-%m-%dT%H-%M-%S-%3f%z[-]"),
            ("2026-11-21T06-46-47-123", "%Y-%m-%dT%H-%M-%S-%3f"),
            ("2026-11-21_11-46-47", "%Y-%m-%d_%H-%M-%S"),
            ("2026-11-21-11-46-47", "%Y-%m-%d-%H-%M-%S"),
            ("2026_11_21_11_46_47", "%Y_%m_%d_%H_%M_%S"),
            ("20261121_114647", "%Y%m%d_%H%M%S"),
            ("20261121T114647123Z", "%Y%m%dT%H%M%S%3fZ"),
            ("20261121114647", "%Y%m%d%H%M%S"),
            ("20261121-114647.123456", "%Y%m%d-%H%M%S.%6f"),
            ("Sat Nov 21 2026 13:09:11 GMT+0900", "%a %b %d %Y %H:%M:%S GMT%z"),
            ("4:09 PM", "%-I:%M %p"),
            ("Saturday, November 21", "%A, %B %d"),
            ("Nov 21st", "%b %d[ordinal]"),
            ("21st of November", "%d[ordinal] of %B"),
            ("21 de noviembre", "%d de %B[es]"),
            ("11月21日", "%m月%d日"),
            ("Nov 21 13:09:11", "%b %d %H:%M:%S"),
            ("twenty-first of November", "%d[ordinal in words] of %B"),
            ("November twenty-first, two thousand and twenty-six", "%B %d[ordinal in words], %Y[in words]"),
            ("einundzwanzigster November zweitausendsechsundzwanzig", "%d[ordinal in words, de] %B %Y[in words, de]"),
            ("vingt et un novembre deux mille vingt-six", "%d[in words, fr] %B[fr] %Y[in words, fr]"),
            ("veintiuno de noviembre de dos mil veintiséis", "%d[in words, es] de %B[es] de %Y[in words, es]"),
            ("sábado, 21 de novembro de 2026", "%A[es], %d de %B[pt] de %Y"),
            ("1795234151123", "epoch milliseconds"),
        ] {
            assert_eq!(formats(&format!("It is {text}, so")), [(text.to_owned(), format.to_owned())]);
        }
    }

    #[test]
    fn a_number_of_two_digits_is_as_padded_as_the_others_of_its_place() {
        let first = NaiveDate::from_ymd_opt(2026, 1, 1).unwrap();
        let all = Window::new([first..=NaiveDate::from_ymd_opt(2026, 11, 28).unwrap()]);
        for (text, padded, unpadded, blank) in [
            ("2026-3-21", "%Y-%-m-%d", "%Y-%-m-%-d", "%Y-%-m-%_d"),
            ("2026-03-21", "%Y-%m-%d", "%Y-%m-%-d", "%Y-%m-%_d"),
            ("11:09 PM", "%I:%M %p", "%-I:%M %p", "%_I:%M %p"),
            ("9:09 PM", "%-I:%M %p", "%-I:%M %p", "%-I:%M %p"),
            ("09:09 PM", "%I:%M %p", "%I:%M %p", "%I:%M %p"),
            ("Nov 21 2026", "%b %d %Y", "%b %-d %Y", "%b %_d %Y"),
            ("Nov  9 2026", "%b %_d %Y", "%b %_d %Y", "%b %_d %Y"),
            ("Nov 9 2026", "%b %-d %Y", "%b %-d %Y", "%b %-d %Y"),
        ] {
            let found = find(text, &all);
            let format = &found[0].readings[0].1;
            let all = [Padding::Zero, Padding::None, Padding::Blank];
            let told = all.map(|padding| told(format, Paddings { date: padding, time: padding }, false));
            assert_eq!(told, [padded, unpadded, blank], "{text}");
        }
    }

    #[test]
    fn other_days_and_versions_stay_text() {
        for line in [
            "cutoff 2025-05-14",
            "agent 2.1.91.9f2",
            "opus-4-20250219",
            "May 2026 is far",
            "a 10:99 b",
            "ratio 1/2/3",
            "May 21 is far",
            "the first of May",
            "21 novel ideas",
        ] {
            assert_eq!(formats(line), [], "{line}");
        }
    }

    #[test]
    fn an_ambiguous_date_has_both_readings() {
        let day = |m, d| NaiveDate::from_ymd_opt(2026, m, d).unwrap();
        let all = Window::new([day(1, 1)..=day(12, 31)]);
        let found = find("03/04/2026", &all);
        let stamps: Vec<Stamp> = found[0].readings.iter().map(|r| r.0).collect();
        assert_eq!(stamps, [Stamp::Date(day(3, 4)), Stamp::Date(day(4, 3))]);
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "[\\PC0-9:/. +年月日TZ-]*") {
            for found in find(&text, &window()) {
                let _ = &text[found.span];
            }
        }
    }
}
