//! **Escapes** of raw JSON: which characters the writer of a JSON text escapes is its *style*, one property of the whole
//! text; where a single string departs from that style is a mark. A text in which a character does not occur says nothing
//! of it: then the style is the one that was seen before.

use std::collections::BTreeMap;

use super::json::{Json, Node, Quoted};

/// What stands for all characters beyond ASCII.
const BEYOND: &str = "beyond ASCII";
/// What stands for hexadecimal digits in capitals.
const CAPITALS: &str = "in capital digits";

/// Which characters are escaped. What is not in it was never met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Style(BTreeMap<String, bool>);

/// The sort of character that an escape stands for.
fn sort(escape: &str) -> String {
    let code = escape.strip_prefix("\\u").and_then(|digits| u32::from_str_radix(digits.get(..4)?, 16).ok());
    match code.and_then(char::from_u32) {
        Some(c) if c.is_ascii() => c.to_string(),
        None if !escape.starts_with("\\u") => escape.chars().skip(1).collect(),
        _ => BEYOND.to_owned(),
    }
}

/// How often characters of a sort stand in a text.
fn occurrences(text: &str, sort: &str) -> usize {
    if sort == BEYOND { text.chars().filter(|c| !c.is_ascii()).count() } else { text.matches(sort).count() }
}

/// Whether an escape has digits in capitals; `None` if it has no letter among them.
fn capitals(escape: &str) -> Option<bool> {
    let digits = escape.strip_prefix("\\u")?;
    digits.contains(|c: char| c.is_ascii_hexdigit() && c.is_alphabetic()).then(|| digits.contains(char::is_uppercase))
}

impl Style {
    /// The style of a JSON text: what is escaped more often than not.
    pub(super) fn of(json: &Json) -> Self {
        let mut escaped: BTreeMap<String, usize> = BTreeMap::new();
        let mut large = (0, 0);
        let mut add = |escapes: &BTreeMap<String, usize>| {
            for (escape, n) in escapes {
                *escaped.entry(sort(escape)).or_default() += n;
                match capitals(escape) {
                    Some(true) => large.0 += n,
                    Some(false) => large.1 += n,
                    None => {}
                }
            }
        };
        add(&json.key_escapes);
        each(&json.root, &mut |quoted| add(&quoted.escapes));
        let mut total: BTreeMap<&str, usize> = escaped.keys().map(|sort| (sort.as_str(), 0)).collect();
        total.entry(BEYOND).or_default();
        each(&json.root, &mut |quoted| {
            for (sort, n) in &mut total {
                if *sort != BEYOND || !quoted.text.is_ascii() {
                    *n += occurrences(&quoted.text, sort);
                }
            }
        });
        let keys: usize = json.key_escapes.values().sum();
        let mut style: BTreeMap<String, bool> = total
            .into_iter()
            .filter(|(_, n)| *n > 0)
            .map(|(sort, n)| (sort.to_owned(), escaped.get(sort).is_some_and(|e| e.saturating_sub(keys) * 2 > n)))
            .collect();
        if large != (0, 0) {
            style.insert(CAPITALS.to_owned(), large.0 > large.1);
        }
        Self(style)
    }

    /// Adds what another text of the same place has shown.
    pub(super) fn or(&mut self, known: &Self) {
        for (sort, escaped) in &known.0 {
            self.0.entry(sort.clone()).or_insert(*escaped);
        }
    }

    /// The style in words; `None` where nothing was ever escaped.
    pub(super) fn told(&self) -> Option<String> {
        if !self.0.iter().any(|(sort, escaped)| *escaped && sort != CAPITALS) {
            return None;
        }
        let escaped = self.0.iter().filter(|(_, escaped)| **escaped).map(|(sort, _)| sort.as_str());
        Some(escaped.collect::<Vec<_>>().join(" "))
    }

    fn escapes(&self, sort: &str) -> bool {
        self.0.get(sort).copied().unwrap_or(false)
    }

    /// Escapes that depart from the style.
    pub(super) fn odd<'a>(&self, escapes: &'a BTreeMap<String, usize>) -> impl Iterator<Item = &'a String> {
        escapes.keys().filter(move |escape| {
            !self.escapes(&sort(escape)) || capitals(escape).is_some_and(|large| large != self.escapes(CAPITALS))
        })
    }

    /// Sorts of characters that a string does not escape though the style does.
    pub(super) fn bare(&self, quoted: &Quoted) -> Vec<String> {
        let escaped = |wanted: &str| -> usize {
            quoted.escapes.iter().filter(|(escape, _)| sort(escape) == wanted).map(|(_, n)| n).sum()
        };
        self.0
            .iter()
            .filter(|(sort, on)| **on && *sort != CAPITALS && occurrences(&quoted.text, sort) > escaped(sort))
            .map(|(sort, _)| sort.clone())
            .collect()
    }
}

/// Calls `f` with every string of a value.
fn each(node: &Node, f: &mut impl FnMut(&Quoted)) {
    match node {
        Node::Object(members) => members.iter().for_each(|(_, value)| each(value, f)),
        Node::Array(elements) => elements.iter().for_each(|element| each(element, f)),
        Node::String(quoted) => f(quoted),
        Node::Scalar(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::json::parse;
    use super::*;

    #[test]
    fn the_style_is_what_is_escaped_more_often_than_not() {
        let told = |text: &str| Style::of(&parse(text).unwrap()).told();
        assert_eq!(told(r#"["plain / text"]"#), None);
        assert_eq!(told(r#"["\u2019", "\u00e9", "/"]"#).unwrap(), "beyond ASCII");
        assert_eq!(told(r#"["\/ \u003c"]"#).unwrap(), "/ <");
        assert_eq!(told(r#"["\u00AD"]"#).unwrap(), "beyond ASCII in capital digits");
        assert_eq!(told("[\"\u{e9}\u{e9}\u{e9} \\u2019\"]"), None);
    }

    #[test]
    fn a_departure_is_told_and_silence_is_none() {
        let json = parse("[\"\u{e9}\u{e9} \\u2019 /\"]").unwrap();
        let style = Style::of(&json);
        let Node::Array(elements) = &json.root else { panic!("an array") };
        let Node::String(quoted) = &elements[0] else { panic!("a string") };
        assert_eq!(style.odd(&quoted.escapes).collect::<Vec<_>>(), ["\\u2019"]);
        let mut silent = Style::default();
        silent.or(&Style::of(&parse(r#"["\u2019\u2019"]"#).unwrap()));
        assert_eq!(silent.odd(&quoted.escapes).count(), 0);
        assert_eq!(silent.bare(quoted), [BEYOND]);
    }
}
