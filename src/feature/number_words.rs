//! **Numbers in words** in German, French and Spanish, as far as dates need them: days of a month, and years of this
//! century up to 2059. English is read by [`super::date_words`], which also knows where such words may stand.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use super::lexeme::Lexemes;

/// What words say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Spelled {
    value: u64,
    ordinal: bool,
    language: &'static str,
}

/// Words of one number at most: `deux mille cinquante et un`.
const MOST_WORDS: usize = 5;
/// Bytes of one word at most: `zweitausendundsiebenundfünfzig`.
const LONGEST: usize = 32;

/// A day of the month at a lexeme: its value, the lexeme after it, whether it is an ordinal, and the language.
pub(super) fn day(lexemes: &Lexemes<'_>, at: usize) -> Option<(u64, usize, bool, &'static str)> {
    let (spelled, next) = longest(lexemes, at)?;
    (spelled.value <= 31).then_some((spelled.value, next, spelled.ordinal, spelled.language))
}

/// A year of this century at a lexeme: its value, the lexeme after it, and the language.
pub(super) fn year(lexemes: &Lexemes<'_>, at: usize) -> Option<(u64, usize, &'static str)> {
    let (spelled, next) = longest(lexemes, at)?;
    (spelled.value >= 2000).then_some((spelled.value, next, spelled.language))
}

/// The number that takes most words: `vingt et un` is not `vingt`.
fn longest(lexemes: &Lexemes<'_>, at: usize) -> Option<(Spelled, usize)> {
    let mut text = word(lexemes, at)?;
    // Most words begin no number: they are looked up once.
    if !FIRST.contains(text.as_str()) {
        return None;
    }
    let mut best = NUMBERS.get(&text).map(|spelled| (*spelled, at + 1));
    let mut last = at;
    for _ in 1..MOST_WORDS {
        // A space or a hyphen, whichever: `vingt-deux`, `vingt et un`.
        let joined = lexemes.gap(last + 1).is_some_and(|gap| gap.chars().count() == 1);
        let Some(next) = word(lexemes, last + 2).filter(|_| joined) else { break };
        last += 2;
        text = format!("{text} {next}");
        best = NUMBERS.get(&text).map(|spelled| (*spelled, last + 1)).or(best);
    }
    best
}

fn word(lexemes: &Lexemes<'_>, at: usize) -> Option<String> {
    lexemes.word(at).filter(|word| word.len() <= LONGEST).map(str::to_lowercase)
}

static FIRST: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| NUMBERS.keys().filter_map(|text| text.split(' ').next()).collect());

/// Every spelling, its words joined by one space.
static NUMBERS: LazyLock<HashMap<String, Spelled>> = LazyLock::new(|| {
    let mut all = HashMap::new();
    let mut add = |language, text: String, value: u64, ordinal| {
        all.entry(text).or_insert(Spelled { value, ordinal, language });
    };
    for value in 1..60 {
        for (text, ordinal) in german(value) {
            add("de", text, value, ordinal);
        }
        for between in ["", "und"] {
            add("de", format!("zweitausend{between}{}", german_cardinal(value, "eins")), 2000 + value, false);
        }
        add("fr", french(value), value, false);
        add("fr", format!("deux mille {}", french(value)), 2000 + value, false);
        add("es", spanish(value), value, false);
        add("es", format!("dos mil {}", spanish(value)), 2000 + value, false);
    }
    add("fr", String::from("premier"), 1, true);
    add("es", String::from("primero"), 1, true);
    for (language, text) in [("de", "zweitausend"), ("fr", "deux mille"), ("es", "dos mil")] {
        add(language, text.to_owned(), 2000, false);
    }
    all
});

#[rustfmt::skip]
const GERMAN: [&str; 19] = [
    "ein", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn", "elf", "zwölf", "dreizehn", "vierzehn",
    "fünfzehn", "sechzehn", "siebzehn", "achtzehn", "neunzehn",
];
const GERMAN_TENS: [&str; 4] = ["zwanzig", "dreißig", "vierzig", "fünfzig"];
#[rustfmt::skip]
const FRENCH: [&str; 19] = [
    "un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf", "dix", "onze", "douze", "treize", "quatorze",
    "quinze", "seize", "dix sept", "dix huit", "dix neuf",
];
const FRENCH_TENS: [&str; 4] = ["vingt", "trente", "quarante", "cinquante"];
#[rustfmt::skip]
const SPANISH: [&str; 29] = [
    "uno", "dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve", "diez", "once", "doce", "trece", "catorce",
    "quince", "dieciséis", "diecisiete", "dieciocho", "diecinueve", "veinte", "veintiuno", "veintidós", "veintitrés",
    "veinticuatro", "veinticinco", "veintiséis", "veintisiete", "veintiocho", "veintinueve",
];
const SPANISH_TENS: [&str; 3] = ["treinta", "cuarenta", "cincuenta"];

/// The `n`th of a list that begins with 1.
fn of(list: &[&'static str], n: u64) -> &'static str {
    usize::try_from(n).ok().and_then(|n| list.get(n.checked_sub(1)?)).copied().unwrap_or_default()
}

/// `one` is what 1 is called at the end of a number.
fn german_cardinal(value: u64, one: &str) -> String {
    match (value / 10, value % 10) {
        (0, 1) => one.to_owned(),
        (0 | 1, _) => of(&GERMAN, value).to_owned(),
        (tens, 0) => of(&GERMAN_TENS, tens - 1).to_owned(),
        (tens, unit) => format!("{}und{}", of(&GERMAN, unit), of(&GERMAN_TENS, tens - 1)),
    }
}

/// The cardinal, and the ordinal in its cases: `der einundzwanzigste`, `am einundzwanzigsten`, `einundzwanzigster`.
fn german(value: u64) -> Vec<(String, bool)> {
    let stem = match value {
        1 => String::from("erst"),
        3 => String::from("dritt"),
        7 => String::from("siebt"),
        8 => String::from("acht"),
        2..20 => format!("{}t", of(&GERMAN, value)),
        _ => format!("{}st", german_cardinal(value, "ein")),
    };
    let cases = ["e", "er", "en", "em", "es"].map(|ending| (format!("{stem}{ending}"), true));
    std::iter::once((german_cardinal(value, "eins"), false)).chain(cases).collect()
}

fn french(value: u64) -> String {
    match (value / 10, value % 10) {
        (0 | 1, _) => of(&FRENCH, value).to_owned(),
        (tens, 0) => of(&FRENCH_TENS, tens - 1).to_owned(),
        (tens, 1) => format!("{} et un", of(&FRENCH_TENS, tens - 1)),
        (tens, unit) => format!("{} {}", of(&FRENCH_TENS, tens - 1), of(&FRENCH, unit)),
    }
}

fn spanish(value: u64) -> String {
    match (value / 10, value % 10) {
        (0..=2, _) => of(&SPANISH, value).to_owned(),
        (tens, 0) => of(&SPANISH_TENS, tens - 2).to_owned(),
        (tens, unit) => format!("{} y {}", of(&SPANISH_TENS, tens - 2), of(&SPANISH, unit)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_days_and_years() {
        for (text, value, ordinal) in [
            ("einundzwanzigster", 21, true),
            ("Einundzwanzigsten", 21, true),
            ("dritte", 3, true),
            ("achter", 8, true),
            ("siebzehnte", 17, true),
            ("einunddreißig", 31, false),
            ("vingt et un", 21, false),
            ("vingt-deux", 22, false),
            ("dix-sept", 17, false),
            ("premier", 1, true),
            ("trente-et-un", 31, false),
            ("veintiuno", 21, false),
            ("treinta y uno", 31, false),
            ("primero", 1, true),
        ] {
            let lexemes = Lexemes::of(text);
            let (read, next, kind, _) = day(&lexemes, 0).unwrap();
            assert_eq!((read, next, kind), (value, lexemes.len(), ordinal), "{text}");
        }
        for (text, value) in [
            ("zweitausendsechsundzwanzig", 2026),
            ("zweitausendundsechsundzwanzig", 2026),
            ("deux mille vingt-six", 2026),
            ("deux mille trente et un", 2031),
            ("dos mil veintiséis", 2026),
            ("dos mil treinta y uno", 2031),
            ("deux mille", 2000),
        ] {
            let lexemes = Lexemes::of(text);
            let (read, next, _) = year(&lexemes, 0).unwrap();
            assert_eq!((read, next), (value, lexemes.len()), "{text}");
        }
    }

    #[test]
    fn other_words_are_no_numbers() {
        for text in ["vingtaine", "zweifel", "ordinateur", "mil", "mille"] {
            assert_eq!(day(&Lexemes::of(text), 0), None, "{text}");
        }
        assert_eq!(day(&Lexemes::of("un peu"), 0), Some((1, 1, false, "fr")));
        // No month has so many days, and no year is one of these.
        assert_eq!(day(&Lexemes::of("zweiunddreißigster"), 0), None);
        assert_eq!(year(&Lexemes::of("vingt-six"), 0), None);
    }
}
