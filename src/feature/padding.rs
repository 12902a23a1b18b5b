//! **Padding** of the numbers of a date's format: `09`, ` 9` or `9`. A number of two digits looks the same in all of them, and
//! is told as the others of its place are.

/// Stands in a format where a number of two digits would be the same with and without padding.
pub(super) const EITHER: char = '\u{fdd0}';

/// Stands on both sides of a zone's name in a format: which one it is is no news where it is the cell's own.
pub(super) const ZONE: char = '\u{fdd1}';

/// How a place writes numbers below ten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Padding {
    /// `09`, as far as is known: also where no number below ten was seen.
    #[default]
    Zero,
    /// A blank and `9`, as in `Nov  9`.
    Blank,
    /// `9`.
    None,
}

/// How a place writes those of its dates and those of its times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Paddings {
    pub(super) date: Padding,
    pub(super) time: Padding,
}

/// The codes of hours; all others that can be padded are a date's.
const HOURS: [char; 2] = ['H', 'I'];

impl Paddings {
    /// Takes what a format says. No padding says more than a blank, and a blank more than zero.
    pub(super) fn learn(&mut self, format: &str) {
        let codes = format.chars().zip(format.chars().skip(1)).zip(format.chars().skip(2));
        for ((percent, flag), code) in codes {
            let padding = match (percent, flag) {
                ('%', '-') => Padding::None,
                ('%', '_') => Padding::Blank,
                _ => continue,
            };
            let known = if HOURS.contains(&code) { &mut self.time } else { &mut self.date };
            if *known != Padding::None {
                *known = padding;
            }
        }
    }
}

/// A format as it is told: numbers that are the same with and without padding are as the others of their place are, and
/// the zone's name is `%Z` where it is the cell's own.
pub(super) fn told(format: &str, paddings: Paddings, own_zone: bool) -> String {
    let mut out = String::new();
    let mut rest = format.chars().peekable();
    while let Some(c) = rest.next() {
        if c == ZONE {
            if own_zone && rest.by_ref().any(|c| c == ZONE) {
                out.push_str("%Z");
            }
            continue;
        }
        if c != EITHER {
            out.push(c);
            continue;
        }
        let is_hour = rest.peek().is_some_and(|code| HOURS.contains(code));
        match if is_hour { paddings.time } else { paddings.date } {
            Padding::Zero => {}
            Padding::Blank => out.push('_'),
            Padding::None => out.push('-'),
        }
    }
    out
}

/// Two blanks before a number without padding: the second is its padding, as in `Nov  9` beside `Nov 10`.
pub(super) fn padded(format: &str) -> String {
    format.replace("  %-", " %_")
}
