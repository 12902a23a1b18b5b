//! **Canonical classes** of opaque values: what a random identifier *is* (uuid, hex, base64-like, number) and the
//! *shape* that it has. Whether a value is random is decided elsewhere, by looking at many captures (`column.rs`).

use std::ops::Range;

use super::hash::HashSet;

/// What stands for a text that is random and has no class.
pub(super) const RANDOM: &str = "${random}";
/// What stands for a number that is measured.
pub(super) const MEASUREMENT: &str = "${measurement}";
/// What stands for a count of time that the clock accounts for.
pub(super) const ELAPSED: &str = "${elapsed}";

/// A class of opaque values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Opaque {
    /// 8-4-4-4-12 hex digits.
    Uuid,
    /// At least 16 hex digits.
    Hex,
    /// At least 20 characters of a base64 alphabet, mixed.
    Base64,
    /// At least 6 digits.
    Number,
}

impl Opaque {
    /// What stands for it in a text.
    pub(super) fn token(self) -> &'static str {
        match self {
            Self::Uuid => "${uuid}",
            Self::Hex => "${hex}",
            Self::Base64 => "${base64}",
            Self::Number => "${number}",
        }
    }
}

/// Finds opaque values in a line, left to right, not overlapping.
pub(super) fn spans(line: &str) -> Vec<(Range<usize>, Opaque)> {
    let bytes = line.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if !is_run(bytes[at]) && bytes[at] != b'/' {
            at += 1;
            continue;
        }
        // Only where such a run begins: each byte is looked at once.
        let inside = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || matches!(bytes[at - 1], b'+' | b'/'));
        if let Some(length) = (!inside).then(|| slashed(bytes, at)).flatten() {
            found.push((at..at + length, Opaque::Base64));
            at += length;
            continue;
        }
        if bytes[at] == b'/' {
            at += 1;
            continue;
        }
        let start = at;
        while at < bytes.len() && is_run(bytes[at]) {
            at += 1;
        }
        if at - start >= 6 {
            run(bytes, start..at, &mut found);
        }
    }
    found
}

fn is_run(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'+')
}

fn run(bytes: &[u8], whole: Range<usize>, found: &mut Vec<(Range<usize>, Opaque)>) {
    let mut at = whole.start;
    let mut word = at;
    let before = found.len();
    while at <= whole.end {
        if at + 36 <= whole.end
            && (at == whole.start || !bytes[at - 1].is_ascii_alphanumeric())
            && is_uuid(&bytes[at..at + 36])
        {
            found.push((at..at + 36, Opaque::Uuid));
            at += 36;
            word = at;
            continue;
        }
        if at == whole.end || !bytes[at].is_ascii_alphanumeric() {
            if let Some(class) = class(&bytes[word..at]) {
                found.push((word..at, class));
            }
            word = at + 1;
        }
        at += 1;
    }
    // Url-safe base64 has hyphens and underscores inside; a prefix in small letters is a name.
    if found[before..].iter().all(|(_, class)| matches!(class, Opaque::Number | Opaque::Base64)) {
        let start = whole.start + prefix(&bytes[whole.clone()]);
        let text = &bytes[start..whole.end];
        if text.len() >= 24 && scrambled(text) && !text.split(|b| matches!(b, b'-' | b'_')).any(is_name) {
            found.truncate(before);
            found.push((start..whole.end, Opaque::Base64));
        }
    }
}

/// The length of what stands before an identifier and says its sort: `msg_`, `sk-ant-`.
fn prefix(run: &[u8]) -> usize {
    let mut length = 0;
    for word in run.split_inclusive(|b| matches!(b, b'-' | b'_')) {
        let letters = &word[..word.len() - 1];
        if letters.len() < 2 || letters.len() > 12 || !letters.iter().all(u8::is_ascii_lowercase) {
            break;
        }
        length += word.len();
    }
    length
}

/// A word of one sort of letter: chance seldom makes one.
fn is_name(word: &[u8]) -> bool {
    word.len() >= 5 && (word.iter().all(u8::is_ascii_lowercase) || word.iter().all(u8::is_ascii_uppercase))
}

/// Base64 of the common alphabet that has slashes or padding, from the start of a run: its length. A path has slashes
/// too: without padding only the whole text is taken for base64.
fn slashed(bytes: &[u8], start: usize) -> Option<usize> {
    let body = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    let mut end = start + bytes[start..].iter().take_while(|b| body(b)).count();
    let bare = end;
    while end < bytes.len() && end - bare < 2 && bytes[end] == b'=' {
        end += 1;
    }
    let (padded, text) = (end > bare, &bytes[start..bare]);
    let whole = start == 0 && end == bytes.len() && bytes[0] != b'/';
    let fits = text.len() >= 20 && (end - start).is_multiple_of(4) && (padded || whole && text.contains(&b'/'));
    (fits && scrambled(text)).then_some(end - start)
}

/// The class of one alphanumeric word.
fn class(word: &[u8]) -> Option<Opaque> {
    if word.len() >= 6 && word.iter().all(u8::is_ascii_digit) {
        return Some(Opaque::Number);
    }
    if word.len() >= 16 && word.iter().all(u8::is_ascii_hexdigit) && word.iter().any(u8::is_ascii_digit) {
        return Some(Opaque::Hex);
    }
    (word.len() >= 20 && mixed(word)).then_some(Opaque::Base64)
}

fn counts(text: &[u8]) -> (usize, usize, usize) {
    let count = |test: fn(&u8) -> bool| text.iter().filter(|b| test(b)).count();
    (count(u8::is_ascii_digit), count(u8::is_ascii_uppercase), count(u8::is_ascii_lowercase))
}

fn mixed(word: &[u8]) -> bool {
    let (digits, upper, lower) = counts(word);
    digits >= 2 && ((upper >= 2 && lower >= 2) || changes(word) >= word.len() / 4) || scrambled(word)
}

/// Letters of both cases whose sort changes as often as chance would have it; in names it changes once a word.
fn scrambled(text: &[u8]) -> bool {
    let letters: Vec<u8> = text.iter().copied().filter(u8::is_ascii_alphanumeric).collect();
    let (_, upper, lower) = counts(&letters);
    upper >= 3 && lower >= 3 && changes(&letters) * 5 >= letters.len() * 2
}

/// How often the sort of character changes: names change seldom, random text often.
fn changes(text: &[u8]) -> usize {
    let sort = |b: &u8| (b.is_ascii_digit(), b.is_ascii_uppercase(), b.is_ascii_lowercase());
    text.windows(2).filter(|pair| sort(&pair[0]) != sort(&pair[1])).count()
}

fn is_uuid(text: &[u8]) -> bool {
    text.iter().enumerate().all(|(i, b)| if matches!(i, 8 | 13 | 18 | 23) { *b == b'-' } else { b.is_ascii_hexdigit() })
}

/// Replaces every opaque value by its class.
pub(super) fn masked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (span, class) in spans(text) {
        out.push_str(&text[at..span.start]);
        out.push_str(class.token());
        at = span.end;
    }
    out.push_str(&text[at..]);
    out
}

/// The form that most random texts of a place have: what is not of a class stands there as it is. A value that is one by
/// chance not recognised (base64 with hardly a digit) is known by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Form {
    pieces: Vec<Piece>,
    pub(super) masked: String,
    pub(super) shape: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Class(Opaque, usize, String),
}

impl Form {
    /// The form of a text.
    pub(super) fn of(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut at = 0;
        for (span, class) in spans(text) {
            pieces.push(Piece::Text(text[at..span.start].to_owned()));
            pieces.push(Piece::Class(class, span.len(), class_shape(&text[span.clone()], class)));
            at = span.end;
        }
        pieces.push(Piece::Text(text[at..].to_owned()));
        Self { pieces, masked: masked(text), shape: shape(text) }
    }

    /// Whether a text has it.
    pub(super) fn fits(&self, text: &str) -> bool {
        let mut rest = text;
        for piece in &self.pieces {
            let after = match piece {
                Piece::Text(text) => rest.strip_prefix(text.as_str()),
                // Only base64 is recognised by chance: of the other classes the form is exact.
                Piece::Class(class, length, shape) => rest
                    .split_at_checked(*length)
                    .filter(|(value, _)| {
                        class.allows(value.as_bytes())
                            && (*class == Opaque::Base64 || class_shape(value, *class) == *shape)
                    })
                    .map(|(_, after)| after),
            };
            let Some(after) = after else { return false };
            rest = after;
        }
        rest.is_empty()
    }
}

impl Opaque {
    /// Whether a value may be of this class, though it need not look so.
    fn allows(self, value: &[u8]) -> bool {
        match self {
            Self::Uuid => is_uuid(value),
            Self::Hex => value.iter().all(u8::is_ascii_hexdigit),
            Self::Number => value.iter().all(u8::is_ascii_digit),
            Self::Base64 => {
                let (_, upper, lower) = counts(value);
                let kinds: HashSet<u8> = value.iter().copied().collect();
                let allowed = |b: &u8| is_run(*b) || matches!(b, b'/' | b'=');
                value.iter().all(allowed) && kinds.len() >= 8 && (upper > 0 && lower > 0 || mixed(value))
            }
        }
    }
}

/// The shape of a text whose value is random: classes with version, length, case and alphabet; elsewhere the
/// signs between the words (the length of a random word is random itself, and so is whether it has a digit).
pub(super) fn shape(text: &str) -> String {
    let mut out = String::new();
    let mut at = 0;
    for (span, class) in spans(text) {
        sorts(&text[at..span.start], &mut out);
        out.push_str(&class_shape(&text[span.clone()], class));
        at = span.end;
    }
    sorts(&text[at..], &mut out);
    out
}

fn class_shape(value: &str, class: Opaque) -> String {
    let case = match (value.bytes().any(|b| b.is_ascii_uppercase()), value.bytes().any(|b| b.is_ascii_lowercase())) {
        (true, false) => " upper case",
        (true, true) if class != Opaque::Base64 => " mixed case",
        _ => "",
    };
    match class {
        Opaque::Uuid => {
            let variant = match value.as_bytes()[19].to_ascii_lowercase() {
                b'8' | b'9' | b'a' | b'b' => "",
                _ => " odd variant",
            };
            format!("<uuid v{}{variant}{case}>", value[14..15].to_ascii_lowercase())
        }
        Opaque::Hex => format!("<{} hex digits{case}>", value.len()),
        Opaque::Base64 => {
            let padding = if value.ends_with('=') { " with padding" } else { "" };
            format!("<{} characters{padding}>", value.len())
        }
        Opaque::Number => String::from("<number>"),
    }
}

/// Every run of letters and digits as one `w`, everything else as it is.
fn sorts(text: &str, out: &mut String) {
    for c in text.chars() {
        if !c.is_alphanumeric() {
            out.push(c);
        } else if !out.ends_with('w') {
            out.push('w');
        }
    }
}

/// Replaces every word that is not in `known`; where `joined` is set, several with one sign between as one.
pub(super) fn only_known(text: &str, known: &HashSet<String>, joined: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for word in words(text) {
        if !word.starts_with(char::is_alphanumeric) || known.contains(word) {
            out.push_str(word);
            continue;
        }
        let before = out.strip_suffix([' ', '-', '_']).filter(|before| joined && before.ends_with(RANDOM));
        if let Some(length) = before.map(str::len) {
            out.truncate(length);
        } else {
            out.push_str(RANDOM);
        }
    }
    out
}

/// A text cut where letters and digits begin and end.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?.is_alphanumeric();
        let end = rest.find(|c: char| c.is_alphanumeric() != first).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(end);
        rest = tail;
        Some(word)
    })
}

/// Whether a text is a number, in any form that is read as one.
pub(super) fn is_number(text: &str) -> bool {
    text.starts_with(|c: char| matches!(c, '-' | '+' | '.') || c.is_ascii_digit())
        && text.parse::<f64>().is_ok_and(f64::is_finite)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(text: &str) -> Vec<(&str, Opaque)> {
        spans(text).into_iter().map(|(span, class)| (&text[span], class)).collect()
    }

    #[test]
    fn finds_identifiers_inside_names() {
        let uuid = "688a7c2c-f649-4fe2-b683-dbfbd306fcf2";
        assert_eq!(classes(&format!("user_{uuid}-x")), [(uuid, Opaque::Uuid)]);
        assert_eq!(
            classes("id=7a418e7ef72cd177913c1fc8631aca7a,"),
            [("7a418e7ef72cd177913c1fc8631aca7a", Opaque::Hex)]
        );
        assert_eq!(classes("msg_01Xy7ZkQpL2mN8vB3cD4eF"), [("01Xy7ZkQpL2mN8vB3cD4eF", Opaque::Base64)]);
        assert_eq!(classes("port 123456 of 99"), [("123456", Opaque::Number)]);
        let padded = "q83/7wEjRWeJq83vASNF+4mrze8BI0VniavN7wEjRWc=";
        assert_eq!(classes(&format!("key {padded}, so")), [(padded, Opaque::Base64)]);
        assert_eq!(classes("sk_CrtePv9-yIL_aQ2xZ7bN4mK8wR1tY5"), [("CrtePv9-yIL_aQ2xZ7bN4mK8wR1tY5", Opaque::Base64)]);
    }

    #[test]
    fn what_is_recognised_by_chance_has_the_form_of_the_rest() {
        let form = Form::of("id msg_01Xy7ZkQpL2mN8vB3cD4eF now");
        assert_eq!(form.masked, "id msg_${base64} now");
        assert!(form.fits("id msg_abXyeZkQpLcmNsvBtcDceF now"));
        assert!(!form.fits("id msg_01Xy7ZkQpL2mN8vB3cD4eFG now"), "longer");
        assert!(!form.fits("id msg_aaaaaaaaaaaaaaaaaaaaaa now"), "not random");
        assert!(!form.fits("id msg_01Xy7ZkQpL2mN8vB3cD4eF  now"), "another text around it");
    }

    #[test]
    fn leaves_names_alone() {
        for name in [
            "dangerouslyDisableSandbox",
            "X-Stainless-Package-Version",
            "advanced-tool-use-x",
            "internationalization",
            "/usr/lib/node_modules/someThing/dist",
            "CLAUDE_CODE_DISABLE_TRAFFIC",
            "getHTTPResponseCodeForURL",
        ] {
            assert_eq!(classes(name), [], "{name}");
        }
    }

    #[test]
    fn the_shape_keeps_the_form_only() {
        let one = shape("a 688a7c2c-f649-4fe2-b683-dbfbd306fcf2 happy-fox-37");
        let two = shape("b b4495e62-9b92-4fdc-9bbe-a9c21045c283 sad-wolf-4");
        assert_eq!(one, two);
        assert_ne!(shape("688a7c2c-f649-4fe2-b683-dbfbd306fcf2"), shape("688a7c2c-f649-7fe2-b683-dbfbd306fcf2"));
        assert_ne!(shape("688a7c2c-f649-4fe2-b683-dbfbd306fcf2"), shape("688A7C2C-F649-4FE2-B683-DBFBD306FCF2"));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "\\PC*") {
            let _ = (masked(&text), shape(&text));
        }
    }
}
