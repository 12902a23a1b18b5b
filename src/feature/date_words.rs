//! **Dates in words**: the day and the year beside a month's name, in digits or written out (in English here, in three
//! more languages by [`super::number_words`]), for [`super::date`].

use super::date::part;
use super::date_names::month;
use super::lexeme::Lexemes;
use super::number_words;

#[rustfmt::skip]
const CARDINALS: [&str; 19] = [
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
];
#[rustfmt::skip]
const ORDINALS: [&str; 19] = [
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth",
    "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth",
];
const TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const ORDINAL_TENS: [&str; 2] = ["twentieth", "thirtieth"];

/// A number in words: its value, and the lexeme after it.
type Written = (u64, usize);

/// The day of the month at a lexeme, in digits or in words: its value, the lexeme after it, its format.
pub(super) fn day_of_month(lexemes: &Lexemes<'_>, at: usize) -> Option<(u64, usize, String)> {
    if let Some((number, digits)) = lexemes.number(at) {
        let (next, suffix) = ordinal(lexemes, at + 1, number);
        // Which suffix is right follows from the number, and is no news.
        let right = match number % 10 {
            1 if number != 11 => "st",
            2 if number != 12 => "nd",
            3 if number != 13 => "rd",
            _ => "th",
        };
        let suffix = if suffix == right { "[ordinal]" } else { suffix };
        return (digits <= 2).then(|| (number, next, format!("{}{suffix}", part('d', number, digits))));
    }
    let (number, next, ordinal, language) = day_in_words(lexemes, at)?;
    Some((number, next, format!("%d[{}in words{language}]", if ordinal { "ordinal " } else { "" })))
}

/// The year at a lexeme, in four digits or in words.
pub(super) fn year(lexemes: &Lexemes<'_>, at: usize) -> Option<(u64, usize, String)> {
    match lexemes.number(at) {
        Some((number, 4)) => Some((number, at + 1, String::from("%Y"))),
        Some(_) => None,
        None => {
            let english = year_in_words(lexemes, at).map(|(number, next)| (number, next, String::new()));
            let (number, next, language) = english.or_else(|| {
                number_words::year(lexemes, at).map(|(number, next, language)| (number, next, format!(", {language}")))
            })?;
            Some((number, next, format!("%Y[in words{language}]")))
        }
    }
}

/// `st`, `nd`, `rd`, `th` right behind a number. `1er` (French) and `1º` (Spanish) are how the first of a month is written,
/// and no other day: no news either.
fn ordinal<'a>(lexemes: &Lexemes<'a>, at: usize, number: u64) -> (usize, &'a str) {
    match lexemes.word(at) {
        Some("er" | "º") if number == 1 => (at + 1, ""),
        Some(word) if matches!(word, "st" | "nd" | "rd" | "th") => (at + 1, word),
        _ => (at, ""),
    }
}

/// A day of the month: `twenty-first`, `the twenty first`, `twenty-one`, `vingt et un`. Also says whether it is an ordinal,
/// and the language where it is not English: beside a name of a month that languages share, nothing else tells it.
fn day_in_words(lexemes: &Lexemes<'_>, at: usize) -> Option<(u64, usize, bool, String)> {
    let english = || below_hundred(lexemes, at).map(|(value, next, ordinal)| (value, next, ordinal, String::new()));
    let other = || {
        let (value, next, ordinal, language) = number_words::day(lexemes, at)?;
        Some((value, next, ordinal, format!(", {language}")))
    };
    // `six` is a number in two languages.
    let name = lexemes.word(at + 2).and_then(|word| month(&word.to_lowercase()));
    let read = if name.is_some_and(|name| name.language != "en") {
        other().or_else(english)
    } else {
        english().or_else(other)
    };
    read.filter(|(value, ..)| *value <= 31)
}

/// A year of this century: `two thousand twenty-six`, `two thousand and twenty-six`, `twenty twenty-six`.
fn year_in_words(lexemes: &Lexemes<'_>, at: usize) -> Option<Written> {
    let cardinal =
        |i: usize| below_hundred(lexemes, i).filter(|(.., ordinal)| !ordinal).map(|(value, next, _)| (value, next));
    let behind = |i: usize| lexemes.gap(i).filter(|gap| *gap == " ").map(|_| i + 1);
    let (thousands, next) = (word(lexemes, at)?, behind(at + 1)?);
    if thousands == "two" && word(lexemes, next)? == "thousand" {
        let Some(mut rest) = behind(next + 1) else { return Some((2000, next + 1)) };
        if word(lexemes, rest).as_deref() == Some("and") {
            rest = behind(rest + 1)?;
        }
        let (value, end) = cardinal(rest)?;
        return Some((2000 + value, end));
    }
    let (value, end) = cardinal(next)?;
    (thousands == "twenty" && value >= 10).then_some((2000 + value, end))
}

fn below_hundred(lexemes: &Lexemes<'_>, at: usize) -> Option<(u64, usize, bool)> {
    let first = word(lexemes, at)?;
    let place = |list: &[&str], word: &str| list.iter().position(|known| *known == word).map(|n| n as u64);
    if let Some(n) = place(&CARDINALS, &first) {
        return Some((n + 1, at + 1, false));
    }
    if let Some(n) = place(&ORDINALS, &first) {
        return Some((n + 1, at + 1, true));
    }
    if let Some(n) = place(&ORDINAL_TENS, &first) {
        return Some((20 + 10 * n, at + 1, true));
    }
    let tens = 20 + 10 * place(&TENS, &first)?;
    let hyphened = lexemes.gap(at + 1).is_some_and(|gap| gap.chars().count() == 1);
    let unit = word(lexemes, at + 2).filter(|_| hyphened).unwrap_or_default();
    if let Some(n) = place(&CARDINALS[..9], &unit) {
        return Some((tens + n + 1, at + 3, false));
    }
    if let Some(n) = place(&ORDINALS[..9], &unit) {
        return Some((tens + n + 1, at + 3, true));
    }
    Some((tens, at + 1, false))
}

fn word(lexemes: &Lexemes<'_>, at: usize) -> Option<String> {
    // No number in words is longer.
    lexemes.word(at).filter(|word| word.len() <= 11).map(str::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_days_and_years() {
        for (text, value) in [
            ("twenty-first", 21),
            ("Twenty first", 21),
            ("thirtieth", 30),
            ("ninth", 9),
            ("twenty-one", 21),
            ("twenty", 20),
        ] {
            assert_eq!(day_in_words(&Lexemes::of(text), 0).map(|(value, ..)| value), Some(value), "{text}");
        }
        for (text, value) in [
            ("two thousand twenty-six", 2026),
            ("two thousand and twenty-six", 2026),
            ("twenty twenty-six", 2026),
            ("two thousand", 2000),
        ] {
            let lexemes = Lexemes::of(text);
            assert_eq!(year_in_words(&lexemes, 0), Some((value, lexemes.len())), "{text}");
        }
    }

    #[test]
    fn other_words_are_no_numbers() {
        for text in ["forty-first", "fine", "thirty-second thoughts"] {
            assert_eq!(day_in_words(&Lexemes::of(text), 0), None, "{text}");
        }
        for text in ["two thousandths", "twenty first", "twenty", "two"] {
            assert_eq!(year_in_words(&Lexemes::of(text), 0), None, "{text}");
        }
    }
}
