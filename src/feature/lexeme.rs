//! **Lexemes** of a line for the reading of dates: numbers (in any script's digits), words, single ideographs, and the
//! gaps between.

use super::date_names::weekday;

/// What a lexeme is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Decimal digits of one script; value and number of digits.
    Number(u64, usize),
    /// Letters. The names of weekdays with a sign inside, `terça-feira` and `п’ятниця`, are one word, too.
    Word,
    /// One letter of a script that is written without spaces, unless it is part of a weekday's name.
    Ideograph,
    /// Anything else.
    Gap,
}

/// A line in lexemes.
#[derive(Debug)]
pub(super) struct Lexemes<'a> {
    line: &'a str,
    list: Vec<(usize, usize, Kind)>,
}

/// First code points of the decimal digits that dates are seen to be written in.
const SCRIPTS: [(u32, &str); 8] = [
    (0x30, ""),
    (0xFF10, "[fullwidth]"),
    (0x660, "[arab]"),
    (0x6F0, "[arabext]"),
    (0x966, "[deva]"),
    (0x9E6, "[beng]"),
    (0xE50, "[thai]"),
    (0x1D7CE, "[math]"),
];

fn digit(c: char) -> Option<(u64, usize)> {
    let code = u32::from(c);
    SCRIPTS.iter().enumerate().find_map(|(i, (zero, _))| {
        let value = code.checked_sub(*zero).filter(|d| *d < 10)?;
        Some((u64::from(value), i))
    })
}

/// The ASCII digit of the same value as a decimal digit of another script.
pub(super) fn ascii_digit(c: char) -> Option<char> {
    let (value, script) = digit(c)?;
    u32::try_from(value).ok().filter(|_| script > 0).and_then(|value| char::from_digit(value, 10))
}

pub(super) fn ideograph(c: char) -> bool {
    matches!(u32::from(c), 0x3040..=0x30FF | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xAC00..=0xD7AF | 0xF900..=0xFAFF)
}

impl<'a> Lexemes<'a> {
    /// Reads a line.
    pub(super) fn of(line: &'a str) -> Self {
        let mut list: Vec<(usize, usize, Kind)> = Vec::new();
        let mut script_of_last = usize::MAX;
        for (at, c) in line.char_indices() {
            let end = at + c.len_utf8();
            let last = list.last_mut();
            if let Some((value, script)) = digit(c) {
                match last {
                    Some((_, e, Kind::Number(number, digits))) if *e == at && script == script_of_last => {
                        *number = number.saturating_mul(10).saturating_add(value);
                        *digits += 1;
                        *e = end;
                    }
                    _ => list.push((at, end, Kind::Number(value, 1))),
                }
                script_of_last = script;
            } else if ideograph(c) {
                match last {
                    // 土曜日, 星期六, 토요일: a weekday's name is one word.
                    Some((s, e, Kind::Ideograph)) if names_weekday(&line[*s..end]) => *e = end,
                    _ => list.push((at, end, Kind::Ideograph)),
                }
            } else if c.is_alphabetic() {
                match last {
                    Some((_, e, Kind::Word)) if *e == at => *e = end,
                    _ => list.push((at, end, Kind::Word)),
                }
            } else {
                match last {
                    Some((_, e, Kind::Gap)) if *e == at => *e = end,
                    _ => list.push((at, end, Kind::Gap)),
                }
            }
        }
        join_weekdays(line, &mut list);
        Self { line, list }
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// First byte.
    pub(super) fn start(&self, i: usize) -> Option<usize> {
        self.list.get(i).map(|l| l.0)
    }

    /// Byte after the last.
    pub(super) fn end(&self, i: usize) -> Option<usize> {
        self.list.get(i).map(|l| l.1)
    }

    /// What it is.
    pub(super) fn kind(&self, i: usize) -> Option<Kind> {
        self.list.get(i).map(|l| l.2)
    }

    /// Its text.
    pub(super) fn text(&self, i: usize) -> Option<&'a str> {
        self.list.get(i).map(|l| &self.line[l.0..l.1])
    }

    /// Value and number of digits, if it is a number.
    pub(super) fn number(&self, i: usize) -> Option<(u64, usize)> {
        match self.kind(i)? {
            Kind::Number(value, digits) => Some((value, digits)),
            _ => None,
        }
    }

    /// Its text, if it is a word or an ideograph.
    pub(super) fn word(&self, i: usize) -> Option<&'a str> {
        matches!(self.kind(i)?, Kind::Word | Kind::Ideograph).then(|| self.text(i)).flatten()
    }

    /// Its text, if it is a gap.
    pub(super) fn gap(&self, i: usize) -> Option<&'a str> {
        matches!(self.kind(i)?, Kind::Gap).then(|| self.text(i)).flatten()
    }

    /// Name of a number's digits where they are not ASCII.
    pub(super) fn script(&self, i: usize) -> &'static str {
        let first = self.text(i).and_then(|text| text.chars().next());
        first.and_then(digit).map_or("", |(_, script)| SCRIPTS[script].1)
    }
}

/// Makes one word of two where these are the name of a weekday with a sign between.
fn join_weekdays(line: &str, list: &mut Vec<(usize, usize, Kind)>) {
    let mut at = 0;
    while at + 2 < list.len() {
        if let [(start, _, Kind::Word), (from, to, Kind::Gap), (_, end, Kind::Word)] = list[at..at + 3]
            && matches!(&line[from..to], "-" | "\u{2019}")
            && weekday(&line[start..end].to_lowercase()).is_some()
        {
            list[at] = (start, end, Kind::Word);
            list.drain(at + 1..at + 3);
        }
        at += 1;
    }
}

/// Whether a text begins the name of a weekday in Chinese, Japanese or Korean.
fn names_weekday(text: &str) -> bool {
    let mut chars = text.chars();
    match (chars.next(), chars.next(), chars.next(), chars.next()) {
        (Some('月' | '火' | '水' | '木' | '金' | '土' | '日'), Some('曜'), third, None) => {
            third.is_none_or(|c| c == '日')
        }
        (Some('星'), Some('期'), third, None) => third.is_none_or(|c| "一二三四五六日".contains(c)),
        (Some('周'), Some(c), None, None) => "一二三四五六日".contains(c),
        (Some('월' | '화' | '수' | '목' | '금' | '토' | '일'), Some('요'), third, None) => {
            third.is_none_or(|c| c == '일')
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_numbers_words_and_ideographs() {
        let lexemes = Lexemes::of("x2026年11月 土曜日");
        let texts: Vec<&str> = (0..lexemes.len()).filter_map(|i| lexemes.text(i)).collect();
        assert_eq!(texts, ["x", "2026", "年", "11", "月", " ", "土曜日"]);
        assert_eq!(lexemes.number(1), Some((2026, 4)));
    }

    #[test]
    fn a_weekday_with_a_sign_inside_is_one_word() {
        for (text, words) in [
            ("Segunda-feira, 9", vec!["Segunda-feira", ", ", "9"]),
            ("п’ятниця", vec!["п’ятниця"]),
            ("well-known", vec!["well", "-", "known"]),
        ] {
            let lexemes = Lexemes::of(text);
            assert_eq!((0..lexemes.len()).filter_map(|i| lexemes.text(i)).collect::<Vec<_>>(), words);
        }
    }

    #[test]
    fn long_numbers_saturate() {
        assert_eq!(Lexemes::of(&"9".repeat(60)).number(0), Some((u64::MAX, 60)));
    }
}
