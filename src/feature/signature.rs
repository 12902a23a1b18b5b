//! The **signature** of a text: what of its form no reader sees (invisible characters, white space, look-alike signs and
//! letters, how a number is written). It is told where the text itself is random and so is no feature: a mark that is set
//! beside a random identifier must not drown in it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::lexeme;

/// Code points that are told one by one; more of them are counted.
const MOST: usize = 12;

/// A part of a signature. Each is a feature of its own: what is random in one must not hide another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Format characters, tags, variation selectors, controls.
    Invisible,
    /// White space other than single blanks between words.
    Space,
    /// Signs beyond ASCII: quotation marks, dashes, dots.
    Sign,
    /// Letters, digits and combining marks beyond ASCII.
    Letter,
    /// How a number is written.
    Number,
    /// The signs of base64: of its common or of its url-safe alphabet.
    Alphabet,
}

/// What the parts of a column's signature were in all learned captures.
#[derive(Clone, Debug, Default)]
pub(super) struct Signature {
    parts: Vec<(Part, Usual)>,
}

#[derive(Clone, Debug)]
enum Usual {
    /// Always this: it is no feature unless it ever changes.
    Constant(String),
    /// It differs: always told.
    Differs,
    /// It follows from chance alone: never told.
    Silent,
}

impl Part {
    const ALL: [Self; 6] = [Self::Invisible, Self::Space, Self::Sign, Self::Letter, Self::Number, Self::Alphabet];

    /// What people call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Invisible => "invisible characters",
            Self::Space => "white space",
            Self::Sign => "signs",
            Self::Letter => "letters",
            Self::Number => "form of the number",
            Self::Alphabet => "alphabet",
        }
    }

    fn of(self, text: &str) -> String {
        match self {
            Self::Invisible => told(text.chars().filter(|c| invisible(*c))),
            Self::Space => space(text),
            Self::Sign => told(text.chars().filter(|c| {
                !c.is_ascii() && !invisible(*c) && !c.is_whitespace() && !c.is_alphanumeric() && !combining(*c)
            })),
            Self::Letter => told(text.chars().filter_map(letter)),
            Self::Number => number(text),
            Self::Alphabet => alphabet(text),
        }
    }
}

impl Signature {
    /// Learns what is usual from a column's texts. Without any, nothing is ever told.
    pub(super) fn learn<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let texts: BTreeSet<&str> = texts.collect();
        let usual = |part: Part| {
            let mut values: BTreeSet<String> = texts.iter().map(|text| part.of(text)).collect();
            if part == Part::Alphabet {
                // A single text need not have a sign of its alphabet: only two alphabets say anything.
                let both = values.contains(COMMON) && values.contains(URL_SAFE);
                return if both { Usual::Differs } else { Usual::Silent };
            }
            match (values.pop_first(), values.is_empty()) {
                (Some(value), true) => Usual::Constant(value),
                (None, _) => Usual::Silent,
                _ => Usual::Differs,
            }
        };
        Self { parts: Part::ALL.into_iter().map(|part| (part, usual(part))).collect() }
    }

    /// The parts of a text that are worth telling.
    pub(super) fn read(&self, text: &str) -> Vec<(Part, String)> {
        let mut out = Vec::new();
        for (part, usual) in &self.parts {
            let value = part.of(text);
            let tell = match usual {
                Usual::Constant(usual) => *usual != value,
                Usual::Differs => *part != Part::Alphabet || value != NONE,
                Usual::Silent => false,
            };
            if tell {
                out.push((*part, value));
            }
        }
        out
    }
}

/// What a part says where there is nothing to say.
const NONE: &str = "none";
const COMMON: &str = "+/";
const URL_SAFE: &str = "-_";

/// Whether a character shows nothing: format and default-ignorable characters, variation selectors, tags, controls.
#[must_use]
pub fn invisible(c: char) -> bool {
    matches!(u32::from(c),
        0xAD | 0x34F | 0x61C | 0x115F..=0x1160 | 0x17B4..=0x17B5 | 0x180B..=0x180F | 0x200B..=0x200F | 0x202A..=0x202E
        | 0x2060..=0x206F | 0x3164 | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFFB | 0x1_BCA0..=0x1_BCA3
        | 0x1_D173..=0x1_D17A | 0xE_0000..=0xE_0FFF)
        || c.is_control() && !c.is_whitespace()
}

/// A text as its words are read: without invisible characters, digits of every script as ASCII's.
pub(super) fn bare(text: &str) -> String {
    text.chars().filter(|c| !invisible(*c)).map(|c| lexeme::ascii_digit(c).unwrap_or(c)).collect()
}

/// Each invisible character with the number of words that begin before it; empty where there is none.
pub(super) fn anchors(text: &str) -> String {
    let mut out = String::new();
    let (mut words, mut inside) = (0, false);
    for c in text.chars() {
        if invisible(c) {
            if out.len() < 400 {
                let _ = write!(out, " U+{:04X}@{words}", u32::from(c));
            }
            continue;
        }
        words += usize::from(c.is_alphanumeric() && !inside);
        inside = c.is_alphanumeric();
    }
    out
}

fn combining(c: char) -> bool {
    matches!(u32::from(c), 0x300..=0x36F | 0x483..=0x489 | 0x1AB0..=0x1AFF | 0x1DC0..=0x1DFF | 0x20D0..=0x20FF
        | 0xFE20..=0xFE2F)
}

/// A letter or digit beyond ASCII; for a digit its script's zero, for which digit it is may be random.
fn letter(c: char) -> Option<char> {
    if c.is_ascii() || invisible(c) || !(c.is_alphanumeric() || combining(c)) {
        return None;
    }
    let digit = lexeme::ascii_digit(c).and_then(|ascii| ascii.to_digit(10));
    Some(digit.and_then(|digit| char::from_u32(u32::from(c) - digit)).unwrap_or(c))
}

/// A set of characters by their code points.
fn told(chars: impl Iterator<Item = char>) -> String {
    let set: BTreeSet<char> = chars.collect();
    let mut list: Vec<String> = set.iter().take(MOST).map(|c| format!("U+{:04X}", u32::from(*c))).collect();
    if set.len() > MOST {
        list.push(format!("and {} more", set.len() - MOST));
    }
    if list.is_empty() { NONE.to_owned() } else { list.join(" ") }
}

fn space(text: &str) -> String {
    let mut list = Vec::new();
    let odd = |c: &char| c.is_whitespace() && *c != ' ';
    if text.chars().any(|c| odd(&c)) {
        list.push(told(text.chars().filter(odd)));
    }
    if text.contains("  ") {
        list.push(String::from("more than one blank"));
    }
    if text.starts_with(' ') && text.trim() != "" {
        list.push(String::from("leading"));
    }
    if text.ends_with(' ') && text.trim() != "" {
        list.push(String::from("trailing"));
    }
    if list.is_empty() { NONE.to_owned() } else { list.join(", ") }
}

/// How a number is written, where it is not as most printers do. Whether it has decimals, and how many, is left to
/// chance.
fn number(text: &str) -> String {
    let text = bare(text);
    let Some(first) = text.chars().next().filter(|_| text.parse::<f64>().is_ok()) else { return NONE.to_owned() };
    let mut list = Vec::new();
    let digits = text.trim_start_matches(['+', '-']);
    if first == '+' {
        list.push("plus sign");
    }
    if digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit() {
        list.push("leading zero");
    }
    if digits.starts_with('.') || digits.ends_with('.') {
        list.push("bare point");
    }
    if digits.contains('E') {
        list.push("upper-case exponent");
    }
    if list.is_empty() { NONE.to_owned() } else { list.join(", ") }
}

/// Which alphabet's signs stand inside what looks like base64.
fn alphabet(text: &str) -> String {
    use super::mask::{Opaque, spans};
    let (mut common, mut safe) = (false, false);
    for (span, class) in spans(text) {
        if class == Opaque::Base64 {
            common |= text[span.clone()].contains(['+', '/']);
            safe |= text[span].contains(['-', '_']);
        }
    }
    String::from(match (common, safe) {
        (true, false) => COMMON,
        (false, true) => URL_SAFE,
        _ => NONE,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_tells_its_own() {
        assert_eq!(Part::Invisible.of("a\u{200b}b\u{e0041}\u{fe0f}"), "U+200B U+FE0F U+E0041");
        assert_eq!(Part::Space.of("a\u{a0}b  c "), "U+00A0, more than one blank, trailing");
        assert_eq!(Part::Sign.of("it\u{2019}s \u{2014} caf\u{e9}"), "U+2014 U+2019");
        assert_eq!(Part::Letter.of("p\u{430}y e\u{301} \u{ff13}\u{ff17}"), "U+0301 U+0430 U+FF10");
        assert_eq!(Part::Number.of("+07"), "plus sign, leading zero");
        for part in Part::ALL {
            assert_eq!(part.of("plain text - 12.5"), NONE, "{part:?}");
        }
    }

    #[test]
    fn only_what_differs_is_told() {
        let signature = Signature::learn(["amber \u{2014} x", "birch\u{200b} \u{2014} y"].into_iter());
        assert_eq!(signature.read("cedar \u{2014} z"), [(Part::Invisible, NONE.to_owned())]);
        assert_eq!(
            signature.read("cedar \u{2013} z"),
            [(Part::Invisible, NONE.to_owned()), (Part::Sign, String::from("U+2013"))]
        );
        assert_eq!(Signature::default().read("\u{200b}"), []);
    }

    #[test]
    fn anchors_go_by_words() {
        assert_eq!(anchors("amber-\u{200b}birch"), anchors("oak-\u{200b}elm"));
        assert_ne!(anchors("amber-\u{200b}birch"), anchors("amber-birch\u{200b}"));
        assert_eq!(anchors("amber"), "");
        assert_eq!(bare("1\u{200b}\u{ff12}"), "12");
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "\\PC*") {
            let _ = (Signature::learn([text.as_str()].into_iter()).read(&text), anchors(&text), bare(&text));
        }
    }
}
