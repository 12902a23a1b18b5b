//! **Tokens** of a line: words, runs of white space and single signs; and, as one token each, what belongs together: a
//! level's own form, a date, an opaque identifier. The same line has the same tokens in every capture.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::Range;

use regex::{Regex, RegexBuilder};

use super::date::{self, Stamp, Window};
use super::echo::stands_alone;
use super::lexeme::ideograph;
use super::mask::{self, Opaque};

/// Memory for the search for levels' forms: every zone of the world in all its spellings fits.
const MOST_MEMORY: usize = 256 << 20;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// Letters and digits.
    Word,
    /// White space.
    Space,
    /// One sign.
    Mark,
    /// A form of some level.
    Level,
    /// A date or instant near the run: it will change with time, whether it did so far or not.
    Moment,
    /// An opaque identifier.
    Opaque(Opaque),
}

/// A piece of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    /// Its text.
    pub(super) text: &'a str,
    /// What it is.
    pub(super) sort: Sort,
}

/// Cuts lines into tokens. Knows the scenario's levels (all of them, not those of one cell) and when the run is.
#[derive(Clone, Debug)]
pub(super) struct Tokeniser {
    levels: Option<Regex>,
    window: Window,
}

impl Tokeniser {
    /// `forms` are texts of more than one word that are to stay whole.
    pub(super) fn new(mut forms: Vec<String>, window: Window) -> Self {
        forms.retain(|form| form.chars().count() >= 4 && form.chars().any(|c| !c.is_alphanumeric()));
        forms.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        forms.dedup();
        let pattern = forms.iter().map(|form| regex::escape(form)).collect::<Vec<_>>().join("|");
        let levels =
            if forms.is_empty() { None } else { RegexBuilder::new(&pattern).size_limit(MOST_MEMORY).build().ok() };
        Self { levels, window }
    }

    /// The days near the run.
    pub(super) fn window(&self) -> &Window {
        &self.window
    }

    /// The tokens of a line; together they are the line.
    pub(super) fn tokens<'a>(&self, line: &'a str) -> Vec<Token<'a>> {
        let mut out = Vec::new();
        let mut at = 0;
        for (span, sort) in self.composites(line) {
            plain(&line[at..span.start], &mut out);
            out.push(Token { text: &line[span.clone()], sort });
            at = span.end;
        }
        plain(&line[at..], &mut out);
        out
    }

    /// What belongs together, left to right, not overlapping; dates before levels (a zone's offset stands in both)
    /// before identifiers.
    fn composites(&self, line: &str) -> Vec<(Range<usize>, Sort)> {
        let lasting = |stamp: &Stamp| matches!(stamp, Stamp::Time(_) | Stamp::Weekday(_));
        let mut all: Vec<(Range<usize>, Sort)> = Vec::new();
        for found in date::find(line, &self.window) {
            let sort = if found.readings.iter().all(|(stamp, _)| lasting(stamp)) { Sort::Word } else { Sort::Moment };
            all.push((found.span, sort));
        }
        let free = |span: &Range<usize>, taken: &[(Range<usize>, Sort)]| {
            taken.iter().all(|(other, _)| span.end <= other.start || other.end <= span.start)
        };
        let mut from = 0;
        while let Some(found) = self.levels.as_ref().and_then(|levels| levels.find_at(line, from)) {
            if stands_alone(line, found.start(), found.end()) && free(&found.range(), &all) {
                all.push((found.range(), Sort::Level));
                from = found.end();
            } else {
                from = found.start() + line[found.start()..].chars().next().map_or(1, char::len_utf8);
            }
        }
        for span in numbers(line) {
            if free(&span, &all) {
                all.push((span, Sort::Word));
            }
        }
        for (span, class) in mask::spans(line) {
            if free(&span, &all) {
                all.push((span, Sort::Opaque(class)));
            }
        }
        all.sort_by_key(|(span, _)| span.start);
        all
    }

    /// A digest of the line in which levels, dates and identifiers count as what they are, not for their value.
    pub(super) fn key(tokens: &[Token<'_>]) -> u64 {
        let mut hasher = DefaultHasher::new();
        for token in tokens {
            class_hash(token, &mut hasher);
        }
        hasher.finish()
    }

    /// The sorted bag of a line's words and signs, for likeness.
    pub(super) fn bag(tokens: &[Token<'_>]) -> Vec<u64> {
        let mut bag: Vec<u64> = tokens
            .iter()
            .filter(|token| token.sort != Sort::Space)
            .map(|token| {
                let mut hasher = DefaultHasher::new();
                class_hash(token, &mut hasher);
                hasher.finish()
            })
            .collect();
        bag.sort_unstable();
        bag
    }
}

fn class_hash(token: &Token<'_>, hasher: &mut DefaultHasher) {
    match token.sort {
        Sort::Level => hasher.write_u8(1),
        Sort::Moment => hasher.write_u8(2),
        Sort::Opaque(class) => class.hash(hasher),
        Sort::Word | Sort::Space | Sort::Mark => token.text.hash(hasher),
    }
}

/// Letters that look and are used like signs, such as the modifier apostrophe.
fn modifier(c: char) -> bool {
    matches!(u32::from(c), 0x2B0..=0x2FF | 0xA717..=0xA721 | 0xA788..=0xA78C)
}

/// Numbers with decimals or with thousands set apart: `2.5`, `1,000`. Versions, addresses and lists have more parts.
fn numbers(line: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = line[at..].find(|c: char| c.is_ascii_digit()).map(|start| at + start) {
        let inside = |c: char| c.is_ascii_digit() || matches!(c, '.' | ',' | '\u{202f}' | '\u{a0}' | '\u{2009}');
        let end = line[start..].find(|c| !inside(c)).map_or(line.len(), |end| start + end);
        let span = start..start + line[start..end].trim_end_matches(|c: char| !c.is_ascii_digit()).len();
        let parts: Vec<&str> = line[span.clone()].split(|c: char| !c.is_ascii_digit()).collect();
        let thousands = parts[1..].iter().all(|part| part.len() == 3) && parts[0].len() <= 3;
        let decimals = parts.len() == 2 && !line[span.clone()].contains(char::is_whitespace);
        let apart = |c: Option<char>| !c.is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'));
        let alone = apart(line[..start].chars().next_back())
            && !line[span.end..].chars().next().is_some_and(|c| c.is_alphanumeric() || matches!(c, '-' | '_'));
        if parts.len() > 1 && (thousands || decimals) && alone {
            found.push(span);
        }
        at = end;
    }
    found
}

/// Words, white space and signs. Scripts without spaces are cut into characters.
fn plain<'a>(text: &'a str, out: &mut Vec<Token<'a>>) {
    let sort_of = |c: char| {
        if c.is_whitespace() {
            Sort::Space
        } else if (c.is_alphanumeric() || c == '_') && !ideograph(c) && !modifier(c) {
            Sort::Word
        } else {
            Sort::Mark
        }
    };
    let mut chars = text.char_indices().peekable();
    while let Some((start, first)) = chars.next() {
        let sort = sort_of(first);
        let mut end = start + first.len_utf8();
        while let Some((at, c)) = chars.next_if(|(_, c)| sort != Sort::Mark && sort_of(*c) == sort) {
            end = at + c.len_utf8();
        }
        out.push(Token { text: &text[start..end], sort });
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use chrono::NaiveDate;

    pub(in crate::feature) fn tokeniser(forms: &[&str]) -> Tokeniser {
        let day = |m, d| NaiveDate::from_ymd_opt(2026, m, d).unwrap();
        let window = Window::new([day(11, 18)..=day(12, 21)]);
        Tokeniser::new(forms.iter().map(|f| (*f).to_owned()).collect(), window)
    }

    #[test]
    fn keeps_together_what_belongs_together() {
        let tokeniser = tokeniser(&["http://gateway.example.com", "gateway.example.com", "Asia/Tokyo", "dev"]);
        let texts = |line: &'static str| tokeniser.tokens(line).iter().map(|t| t.text).collect::<Vec<_>>();
        assert_eq!(texts("url http://gateway.example.com/v1"), ["url", " ", "http://gateway.example.com", "/", "v1"]);
        assert_eq!(texts("Agent\u{2019}s 2026-11-21."), ["Agent", "\u{2019}", "s", " ", "2026-11-21", "."]);
        assert_eq!(texts("xAsia/Tokyo"), ["xAsia", "/", "Tokyo"]);
        assert_eq!(texts("今日は  x"), ["今", "日", "は", "  ", "x"]);
    }

    #[test]
    fn a_number_is_one_token() {
        let texts = |line: &'static str| tokeniser(&[]).tokens(line).iter().map(|t| t.text).collect::<Vec<_>>();
        assert_eq!(texts("of 1,000 at 2.5."), ["of", " ", "1,000", " ", "at", " ", "2.5", "."]);
        assert_eq!(texts("v 2.1.91"), ["v", " ", "2", ".", "1", ".", "91"]);
        assert_eq!(texts("agent-1.2"), ["agent", "-", "1", ".", "2"]);
    }

    #[test]
    fn all_zones_of_the_world_fit() {
        let at = chrono::DateTime::from_timestamp(1_795_291_200, 0).unwrap();
        let zones = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
        let kind = crate::scenario::FactorKind::Timezone;
        let forms = zones.flat_map(|zone| super::super::echo::forms(&kind, zone, at)).map(|form| form.text).collect();
        let tokeniser = Tokeniser::new(forms, tokeniser(&[]).window.clone());
        assert!(tokeniser.levels.is_some());
        assert!(tokeniser.tokens("in America/Argentina/Buenos_Aires now").iter().any(|t| t.sort == Sort::Level));
    }

    #[test]
    fn keys_see_classes_not_values() {
        let tokeniser = tokeniser(&[]);
        let key = |line| Tokeniser::key(&tokeniser.tokens(line));
        assert_eq!(key("on 2026-11-21"), key("on 2026/11/22"));
        assert_eq!(key("id 688a7c2c-f649-4fe2-b683-dbfbd306fcf2"), key("id b4495e62-9b92-4fdc-9bbe-a9c21045c283"));
        assert_ne!(key("Agent's"), key("Agent\u{2019}s"));
    }

    proptest::proptest! {
        #[test]
        fn tokens_are_the_line(line in "[\\PCa-z0-9 /:.-]*") {
            let text: String = tokeniser(&["a/b", "/home/dev"]).tokens(&line).iter().map(|t| t.text).collect();
            proptest::prop_assert_eq!(text, line);
        }
    }
}
