//! **Zones** behind a time: by a letter, by a name, as an offset from UTC.

use std::ops::Range;

use super::date::Window;
use super::lexeme::Lexemes;
use super::padding::ZONE;

/// A zone that was read.
pub(super) struct Zone {
    /// Seconds east of UTC, where it says so.
    pub(super) offset: Option<i32>,
    /// The lexeme behind it.
    pub(super) next: usize,
    /// The byte behind it.
    pub(super) end: usize,
    /// How it is written.
    pub(super) format: String,
    /// Where it is a name, or stands for one.
    pub(super) name: Option<Range<usize>>,
}

/// `Z`, ` UTC`, ` JST`, `+09:00`, ` GMT+0900`.
pub(super) fn zone(lexemes: &Lexemes<'_>, at: usize, window: &Window) -> Option<Zone> {
    let (i, space) = match lexemes.gap(at) {
        Some(" ") => (at + 1, " "),
        _ => (at, ""),
    };
    let (i, name) = match lexemes.word(i) {
        Some(word) if matches!(word, "Z" | "z" | "UTC" | "GMT") => (i + 1, word),
        Some(word) if !space.is_empty() && window.names_zone(word) => (i + 1, word),
        _ => (if space.is_empty() { i } else { at }, ""),
    };
    let sign = lexemes.gap(i).map(|gap| gap.trim_start_matches(' ')).and_then(|gap| match gap {
        "+" => Some(1),
        "-" | "\u{2212}" => Some(-1),
        _ => None,
    });
    if let (Some(sign), Some((value, digits @ (1 | 2 | 4)))) = (sign, lexemes.number(i + 1)) {
        let value = i32::try_from(value).ok()?;
        let (minutes, next, code) = match (digits, lexemes.gap(i + 2), lexemes.number(i + 3)) {
            (4, ..) => (value / 100 * 60 + value % 100, i + 2, "%z"),
            (_, Some(":"), Some((rest, 2))) => (value * 60 + i32::try_from(rest).ok()?, i + 4, "%:z"),
            _ => (value * 60, i + 2, "%#z"),
        };
        if minutes <= 15 * 60 {
            let gap = lexemes.gap(i)?;
            let lead = if gap.starts_with(' ') { " " } else { "" };
            let end = lexemes.end(next - 1)?;
            let offset = Some(sign * minutes * 60);
            // `+06` is what zones without an abbreviation have for one.
            let is_name = name.is_empty() && !lead.is_empty();
            let start = lexemes.start(i)? + gap.len() - gap.trim_start_matches(' ').len();
            return Some(if is_name {
                Zone { offset, next, end, format: format!("{lead}{ZONE}{code}{ZONE}"), name: Some(start..end) }
            } else {
                let space = if name.is_empty() { "" } else { space };
                Zone { offset, next, end, format: format!("{space}{name}{lead}{code}"), name: None }
            });
        }
    }
    if name.is_empty() {
        return None;
    }
    let offset = matches!(name, "Z" | "z" | "UTC" | "GMT").then_some(0);
    let (next, start, end) = (i, lexemes.start(i - 1)?, lexemes.end(i - 1)?);
    Some(if space.is_empty() {
        Zone { offset, next, end, format: name.to_owned(), name: None }
    } else {
        Zone { offset, next, end, format: format!("{space}{ZONE}{name}{ZONE}"), name: Some(start..end) }
    })
}

/// `+09-00`, as an offset stands in a file's name.
pub(super) fn name_zone(lexemes: &Lexemes<'_>, at: usize) -> Option<Zone> {
    let sign = match lexemes.gap(at)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let between = lexemes.gap(at + 2).filter(|gap| matches!(*gap, "_" | "-" | "."))?;
    let (Some((hours @ 0..=14, 2)), Some((minutes @ (0 | 30 | 45), 2))) =
        (lexemes.number(at + 1), lexemes.number(at + 3))
    else {
        return None;
    };
    let seconds = i32::try_from(hours * 3600 + minutes * 60).ok()?;
    let (offset, format) = (Some(sign * seconds), format!("%z[{between}]"));
    Some(Zone { offset, next: at + 4, end: lexemes.end(at + 3)?, format, name: None })
}
