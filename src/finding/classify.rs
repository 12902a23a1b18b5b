//! **Classing** a difference by how visible it is to a person. Rests on general properties of Unicode and of the formats
//! only: no list of known markers.

use unicode_normalization::UnicodeNormalization as _;
use unicode_security::confusable_detection::skeleton;

use super::Class;
use crate::feature::{Channel, FeatureKind, invisible};

/// The class of a difference between two values of a feature; `None` is absent.
#[must_use]
pub fn classify(kind: &FeatureKind, channel: Channel, baseline: Option<&str>, variant: Option<&str>) -> Class {
    if matches!(channel, Channel::Process | Channel::File | Channel::Connection | Channel::Dns | Channel::Tls) {
        return Class::Behavioural;
    }
    let (Some(baseline), Some(variant)) = (baseline, variant) else {
        return match kind {
            // An escape or an invisible character is there or is not: the text reads the same.
            FeatureKind::Signature => Class::Covert,
            // So does a text with a blank line more, or a line feed at its end.
            FeatureKind::Presence if baseline.or(variant).is_some_and(|line| folded(line).is_empty()) => Class::Covert,
            _ => Class::Structural,
        };
    };
    let covert = match kind {
        FeatureKind::Presence | FeatureKind::Count | FeatureKind::Sequence => return Class::Structural,
        FeatureKind::Process | FeatureKind::Route => return Class::Behavioural,
        // Requests in another order are another behaviour; names of headers and keys carry no order.
        FeatureKind::Order if channel == Channel::RequestSequence => return Class::Structural,
        // The form of what is random, escapes and layout: nobody reads those.
        FeatureKind::Order | FeatureKind::Signature | FeatureKind::Layout | FeatureKind::Shape => true,
        FeatureKind::DateFormat => same_date(baseline, variant),
        FeatureKind::LocalDate | FeatureKind::Echo { .. } => false,
        FeatureKind::Text | FeatureKind::Json => reads_the_same(baseline, variant),
    };
    if covert { Class::Covert } else { Class::Overt }
}

/// Whether two texts read the same to a person.
fn reads_the_same(a: &str, b: &str) -> bool {
    let (a, b) = (&anonymous(a), &anonymous(b));
    folded(a) == folded(b)
        || prototype(a) == prototype(b)
        || prototype(&folded(a)) == prototype(&folded(b))
        || same_number(&folded(a), &folded(b))
}

/// A text with one word for random identifiers of every sort: nobody reads those.
fn anonymous(text: &str) -> String {
    let mut text = text.to_owned();
    for class in ["${uuid}", "${hex}", "${base64}", "${number}"] {
        if text.contains(class) {
            text = text.replace(class, "${random}");
        }
    }
    text
}

/// Whether two texts are one number in two forms: with or without thousands set apart, final zeros, an exponent.
fn same_number(a: &str, b: &str) -> bool {
    let (a, b) = (numbers(a), numbers(b));
    a.iter().any(|number| b.contains(number))
}

/// What a text may be as a number: a comma or point may set off thousands or decimals.
fn numbers(text: &str) -> Vec<f64> {
    if text.len() > 40
        || !text.contains(|c: char| c.is_ascii_digit())
        || text.contains(|c: char| matches!(c, 'a'..='d' | 'f'..='z' | 'A'..='D' | 'F'..='Z'))
    {
        return Vec::new();
    }
    let apart = [',', '.', '_', ' ', '\''];
    let mut out: Vec<f64> = text.parse().ok().into_iter().collect();
    for point in ['.', ','] {
        let (whole, rest) = text.split_once(point).map_or((text, None), |(whole, rest)| (whole, Some(rest)));
        let mut groups = whole.split(|c| c != point && apart.contains(&c));
        let first = groups.next().unwrap_or_default();
        let lengths = (1..=3).contains(&first.trim_start_matches(['-', '+']).len());
        let grouped: Vec<&str> = groups.collect();
        if grouped.iter().all(|group| group.len() == 3) && (lengths || grouped.is_empty()) {
            let digits = format!("{first}{}.{}", grouped.concat(), rest.unwrap_or("0"));
            out.extend(digits.parse::<f64>().ok().filter(|number| number.is_finite()));
        }
    }
    out
}

/// The skeleton of UTS #39: equal for what can be confused.
fn prototype(text: &str) -> String {
    skeleton(text).collect()
}

/// A text with compatible forms unified, invisible characters gone, white space and signs of one use made equal.
fn folded(text: &str) -> String {
    let mut out = String::new();
    for c in text.nfkc() {
        if invisible(c) {
            continue;
        }
        let c = sign(c);
        if c.is_whitespace() {
            if !out.ends_with(' ') {
                out.push(' ');
            }
        } else {
            out.push(c);
        }
    }
    out.trim().to_owned()
}

/// One sign for all signs of the same use: apostrophes and single quotes, double quotes, dashes, dots, slashes.
fn sign(c: char) -> char {
    match u32::from(c) {
        0x60
        | 0xB4
        | 0x2018..=0x201B
        | 0x2032
        | 0x2035
        | 0x2B9
        | 0x2BB..=0x2BF
        | 0x2C8
        | 0x2CA..=0x2CB
        | 0x55A
        | 0x5F3
        | 0x7F4..=0x7F5
        | 0xA78B..=0xA78C
        | 0xFF07 => '\'',
        0xAB
        | 0xBB
        | 0x2BA
        | 0x201C..=0x201F
        | 0x2033
        | 0x2036
        | 0x2DD
        | 0x2EE
        | 0x5F4
        | 0x300C..=0x300F
        | 0x301D..=0x301F
        | 0xFF02 => '"',
        0x2010..=0x2015 | 0x2043 | 0x2212 | 0x2E3A..=0x2E3B | 0x58A | 0x1806 | 0xFE58 | 0xFE63 | 0xFF0D => '-',
        0x2024 | 0x3002 | 0xFF0E | 0xFF61 | 0xFE52 => '.',
        0x3001 | 0xFF0C | 0xFF64 | 0x60C => ',',
        0x2236 | 0x2982 | 0xA789 | 0xFF1A => ':',
        0x37E | 0xFF1B => ';',
        0x2044 | 0x2215 | 0x2571 | 0xFF0F => '/',
        0x2022 | 0x2219 | 0x22C5 | 0x30FB | 0xB7 | 0x387 | 0x25CF => '\u{b7}',
        _ => c,
    }
}

/// Whether two formats write the same numeric date: the same parts, whatever stands between, in whatever order and
/// however padded. A name of a month, or another language or script, is seen.
fn same_date(a: &str, b: &str) -> bool {
    let parts = |format: &str| {
        let mut codes: Vec<char> = Vec::new();
        let mut rest = String::new();
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            if c == '%' {
                let mut code = chars.next();
                while matches!(code, Some('-' | '#' | ':' | '0'..='9')) {
                    code = chars.next();
                }
                codes.extend(code.map(|c| if c == 'y' { 'Y' } else { c }));
            } else if c.is_alphanumeric() {
                rest.push(c);
            }
        }
        codes.sort_unstable();
        (codes, rest)
    };
    let epoch = |format: &str| format.starts_with("epoch ");
    parts(a) == parts(b) || epoch(a) && epoch(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(a: &str, b: &str) -> Class {
        classify(&FeatureKind::Text, Channel::Body, Some(a), Some(b))
    }

    #[test]
    fn what_reads_the_same_is_covert() {
        for (a, b) in [
            ("'", "\u{2019}"),
            ("'", "\u{2bc}"),
            ("'", "\u{2b9}"),
            ("-", "\u{2010}"),
            ("/", "\u{2215}"),
            (" ", "\u{a0}"),
            (" ", "  "),
            ("", "\u{200b}"),
            ("done", "done\u{e0041}"),
            ("paypal", "p\u{430}ypal"),
            ("\u{e9}", "e\u{301}"),
            ("...", "\u{2026}"),
            ("a", "\u{ff41}"),
            ("1,000", "1000"),
            ("1.000,5", "1000.50"),
            ("1e3", "1000"),
            ("key ${uuid}", "key ${hex}"),
        ] {
            assert_eq!(text(a, b), Class::Covert, "{a:?} {b:?}");
        }
    }

    #[test]
    fn what_reads_differently_is_overt() {
        for (a, b) in
            [("yes", "no"), ("", "!"), ("Asia", "Europe"), ("a, b", "a b"), ("1", "2"), ("10", "1.0"), ("1,00", "100")]
        {
            assert_eq!(text(a, b), Class::Overt, "{a:?} {b:?}");
        }
    }

    #[test]
    fn dates_are_covert_unless_words_change() {
        let date = |a, b| classify(&FeatureKind::DateFormat, Channel::Body, Some(a), Some(b));
        assert_eq!(date("%Y-%m-%d", "%Y/%m/%d"), Class::Covert);
        assert_eq!(date("%Y-%m-%d", "%-d.%-m.%Y"), Class::Covert);
        assert_eq!(date("%Y-%m-%d", "%B %d, %Y"), Class::Overt);
        assert_eq!(date("%B %d, %Y", "%d. %B[de] %Y"), Class::Overt);
        assert_eq!(date("%Y-%m-%d", "%Y-%m-%d[arab]"), Class::Overt);
    }

    #[test]
    fn kinds_and_channels_decide_the_rest() {
        let some = Some("x");
        assert_eq!(classify(&FeatureKind::Presence, Channel::Body, None, some), Class::Structural);
        assert_eq!(classify(&FeatureKind::Presence, Channel::Body, None, Some("")), Class::Covert);
        assert_eq!(classify(&FeatureKind::Text, Channel::Header, some, None), Class::Structural);
        assert_eq!(classify(&FeatureKind::Order, Channel::HeaderOrder, some, Some("y")), Class::Covert);
        assert_eq!(classify(&FeatureKind::Signature, Channel::Body, None, Some("\\u2019")), Class::Covert);
        assert_eq!(classify(&FeatureKind::Process, Channel::Process, some, Some("y")), Class::Behavioural);
        assert_eq!(classify(&FeatureKind::Text, Channel::Connection, some, Some("y")), Class::Behavioural);
    }
}
