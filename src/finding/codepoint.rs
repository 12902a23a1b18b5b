//! **Code points** in which two excerpts differ, with their Unicode names: what the eye cannot tell apart, the name can.

use std::fmt::Write as _;

use super::CodePoint;

/// Most code points that are told.
const MOST: usize = 8;

/// The code points that stand in one excerpt's differing part and not in the other's: baseline first, each once, at most
/// eight, half of them for each side where both have many.
#[must_use]
pub fn differing(baseline: Option<&str>, variant: Option<&str>) -> Vec<CodePoint> {
    let (left, right) = (baseline.unwrap_or_default(), variant.unwrap_or_default());
    if left == right {
        return Vec::new();
    }
    let (left, right) = middles(left, right);
    let only = |own: &[char], other: &[char]| {
        let mut out: Vec<char> = Vec::new();
        for c in own {
            if !other.contains(c) && !out.contains(c) {
                out.push(*c);
            }
        }
        out
    };
    let (mut left, mut right) = (only(&left, &right), only(&right, &left));
    // Beside something that the eye cannot tell, plain letters and digits on both sides are the noise of random
    // identifiers.
    let telling = |c: &char| !c.is_ascii() || c.is_ascii_control();
    let plain = |list: &[char]| list.iter().any(char::is_ascii_alphanumeric);
    if left.iter().chain(&right).any(telling) && plain(&left) && plain(&right) {
        left.retain(|c| !c.is_ascii_alphanumeric());
        right.retain(|c| !c.is_ascii_alphanumeric());
    }
    let half = MOST / 2;
    let take_left = left.len().min(MOST - right.len().min(half));
    let take_right = right.len().min(MOST - take_left);
    let told = |side: &'static str| move |c: &char| code_point(side, *c);
    left[..take_left].iter().map(told("baseline")).chain(right[..take_right].iter().map(told("variant"))).collect()
}

/// Both texts without what they begin and end with in common.
fn middles(left: &str, right: &str) -> (Vec<char>, Vec<char>) {
    let (mut left, mut right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let head = left.iter().zip(&right).take_while(|(a, b)| a == b).count();
    left.drain(..head);
    right.drain(..head);
    let tail = left.iter().rev().zip(right.iter().rev()).take_while(|(a, b)| a == b).count();
    left.truncate(left.len() - tail);
    right.truncate(right.len() - tail);
    (left, right)
}

fn code_point(side: &str, c: char) -> CodePoint {
    CodePoint { side: side.to_owned(), codepoint: format!("U+{:04X}", u32::from(c)), name: name(c) }
}

/// The Unicode name of a character; control characters by their abbreviation, unnamed ones by their number.
#[must_use]
pub fn name(c: char) -> String {
    if let Some(name) = unicode_names2::name(c) {
        return name.to_string();
    }
    let control = match c {
        '\0' => "NULL",
        '\t' => "CHARACTER TABULATION",
        '\n' => "LINE FEED",
        '\r' => "CARRIAGE RETURN",
        '\u{1b}' => "ESCAPE",
        '\u{7f}' => "DELETE",
        '\u{85}' => "NEXT LINE",
        _ => "",
    };
    let sort = match u32::from(c) {
        _ if !control.is_empty() => return format!("<control> {control}"),
        _ if c.is_control() => "control",
        0xE000..=0xF8FF | 0xF_0000..=0x10_FFFF => "private use",
        _ => "unnamed",
    };
    let mut out = String::new();
    let _ = write!(out, "<{sort}-{:04X}>", u32::from(c));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(baseline: &str, variant: &str) -> Vec<(String, String, String)> {
        let all = differing(Some(baseline), Some(variant));
        all.into_iter().map(|c| (c.side, c.codepoint, c.name)).collect()
    }

    #[test]
    fn names_both_apostrophes() {
        let expected = [("baseline", "U+0027", "APOSTROPHE"), ("variant", "U+2019", "RIGHT SINGLE QUOTATION MARK")];
        let expected: Vec<_> = expected.iter().map(|(a, b, c)| ((*a).into(), (*b).into(), (*c).into())).collect();
        assert_eq!(told("Agent's date", "Agent\u{2019}s date"), expected);
    }

    #[test]
    fn names_the_invisible_and_the_unnamed() {
        assert_eq!(told("ab", "a\u{200B}b")[0].2, "ZERO WIDTH SPACE");
        assert_eq!(told("ab", "a\tb")[0].2, "<control> CHARACTER TABULATION");
        assert_eq!(told("ab", "a\u{E000}b")[0].2, "<private use-E000>");
        assert_eq!(told("ab", "a\u{1}b")[0].2, "<control-0001>");
    }

    #[test]
    fn names_the_invisible_beside_what_is_random() {
        let all = told("run 688a7c2c goes", "run b4495e62\u{200b} goes");
        assert_eq!(all, [("variant".into(), "U+200B".into(), "ZERO WIDTH SPACE".into())]);
    }

    #[test]
    fn tells_at_most_eight_and_both_sides() {
        let all = told("abcdefghijkl", "\u{3b1}\u{3b2}\u{3b3}\u{3b4}\u{3b5}\u{3b6}");
        assert_eq!(all.len(), 8);
        assert_eq!(all.iter().filter(|c| c.0 == "baseline").count(), 4);
        assert!(told("same", "same").is_empty());
        assert_eq!(differing(None, Some("x")).len(), 1);
    }

    proptest::proptest! {
        #[test]
        fn never_panics(a in "\\PC*", b in "\\PC*") {
            proptest::prop_assert!(differing(Some(&a), Some(&b)).len() <= MOST);
        }
    }
}
