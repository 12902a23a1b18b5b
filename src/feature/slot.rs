//! A **slot**'s reader: what of one line varies. The tokens that all variants of the line share are its skeleton; the
//! gaps between them are the columns.

use std::fmt::Write as _;
use std::sync::Arc;

use super::lcs::pair_trimmed;
use super::token::{Sort, Token, Tokeniser};

/// Index of a column in the extractor's list.
pub(super) type ColumnId = usize;

/// What is said of a line that departs in nothing.
const AS_USUAL: &str = "as usual";

/// How a slot's lines are read.
#[derive(Clone, Debug)]
pub(super) enum SlotReader {
    /// The whole line is one column: it was never seen to vary, or nothing in it is shared.
    Whole(ColumnId),
    /// The gaps of a skeleton are columns.
    Gaps(Skeleton),
}

/// The tokens that all variants share.
#[derive(Clone, Debug)]
pub(super) struct Skeleton {
    tokens: Vec<Arc<str>>,
    /// The column of the gap before each token and after the last; `None` where the gap never varied.
    pub(super) columns: Vec<Option<ColumnId>>,
    /// What stands in the gaps that never varied.
    usual: Vec<Arc<str>>,
    /// The column of anything else: it says how a line departs from skeleton and usual gaps.
    pub(super) rest: ColumnId,
}

/// A line cut at a skeleton.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// The text of each gap, with its first byte in the line.
    pub(super) gaps: Vec<(usize, String)>,
    /// Skeleton tokens that the line lacks.
    pub(super) missing: Vec<usize>,
}

fn weight(sort: Sort) -> u32 {
    match sort {
        Sort::Space => 1,
        Sort::Mark => 2,
        _ => 5,
    }
}

/// Finds the tokens common to all variants, in order. Moments are never common: they will change; nor, where
/// `hide_opaque` is set, are identifiers.
pub(super) fn skeleton(variants: &[Arc<str>], tokeniser: &Tokeniser, hide_opaque: bool) -> Vec<Arc<str>> {
    let lasting = |token: &Token<'_>| match token.sort {
        Sort::Moment => false,
        Sort::Opaque(_) => !hide_opaque,
        _ => true,
    };
    let mut variants = variants.iter();
    let Some(first) = variants.next() else { return Vec::new() };
    let mut common: Vec<Token<'_>> = tokeniser.tokens(first).into_iter().filter(&lasting).collect();
    for variant in variants {
        let tokens: Vec<Token<'_>> = tokeniser.tokens(variant).into_iter().filter(&lasting).collect();
        let partner = align(&common, &tokens);
        let mut kept = vec![false; common.len()];
        for i in partner.into_iter().flatten() {
            kept[i] = true;
        }
        let mut kept = kept.into_iter();
        common.retain(|_| kept.next().unwrap_or(false));
    }
    common.into_iter().map(|token| token.text.into()).collect()
}

fn align(common: &[Token<'_>], tokens: &[Token<'_>]) -> Vec<Option<usize>> {
    let same = |i: usize, j: usize| common[i].text == tokens[j].text;
    pair_trimmed(common.len(), tokens.len(), same, |i, j| if same(i, j) { weight(tokens[j].sort) } else { 0 })
}

/// Cuts a line at a skeleton.
pub(super) fn cut(line: &str, skeleton: &[Arc<str>], tokeniser: &Tokeniser) -> Cut {
    let tokens = tokeniser.tokens(line);
    let same = |i: usize, j: usize| *skeleton[i] == *tokens[j].text && tokens[j].sort != Sort::Moment;
    let partner =
        pair_trimmed(skeleton.len(), tokens.len(), same, |i, j| if same(i, j) { weight(tokens[j].sort) } else { 0 });
    let mut gaps: Vec<(usize, String)> = Vec::with_capacity(skeleton.len() + 1);
    let mut missing = Vec::new();
    let (mut at, mut from, mut text) = (0, 0, String::new());
    let mut next = 0;
    for (token, matched) in tokens.iter().zip(partner) {
        if let Some(i) = matched {
            while next < i {
                // The gap's text stands before the first token that is missing; the gaps behind it are empty.
                gaps.push((from, std::mem::take(&mut text)));
                missing.push(next);
                from = at;
                next += 1;
            }
            gaps.push((from, std::mem::take(&mut text)));
            next += 1;
            from = at + token.text.len();
        } else {
            text.push_str(token.text);
        }
        at += token.text.len();
    }
    while next < skeleton.len() {
        gaps.push((from, std::mem::take(&mut text)));
        missing.push(next);
        from = at;
        next += 1;
    }
    gaps.push((from, text));
    Cut { gaps, missing }
}

impl Skeleton {
    /// A skeleton whose gaps are yet to be given columns.
    pub(super) fn new(tokens: Vec<Arc<str>>, usual: Vec<Arc<str>>, rest: ColumnId) -> Self {
        let columns = vec![None; tokens.len() + 1];
        Self { tokens, columns, usual, rest }
    }

    /// Cuts a line.
    pub(super) fn cut(&self, line: &str, tokeniser: &Tokeniser) -> Cut {
        cut(line, &self.tokens, tokeniser)
    }

    /// The columns' texts in a line.
    pub(super) fn read(&self, line: &str, tokeniser: &Tokeniser) -> Vec<(ColumnId, Arc<str>)> {
        let cut = self.cut(line, tokeniser);
        let mut out = Vec::new();
        let mut rest = String::new();
        for (k, (_, text)) in cut.gaps.iter().enumerate() {
            match self.columns[k] {
                Some(column) => out.push((column, text.as_str().into())),
                None if *self.usual[k] != **text => {
                    let before = k.checked_sub(1).map_or("", |t| &self.tokens[t]);
                    let _ = write!(rest, "[after {before:?}: {text:?}]");
                }
                None => {}
            }
        }
        for k in cut.missing {
            let _ = write!(rest, "[without {:?}]", self.tokens[k]);
        }
        // A blank line is a text too: that nothing departs has a word of its own.
        out.push((self.rest, if rest.is_empty() { AS_USUAL.into() } else { rest.into() }));
        out
    }

    /// The word before a gap, for people.
    pub(super) fn word_before(&self, gap: usize) -> Option<&str> {
        self.tokens[..gap].iter().rev().map(|t| &**t).find(|t| t.chars().any(char::is_alphanumeric))
    }
}

#[cfg(test)]
mod tests {
    use super::super::token::tests::tokeniser;
    use super::*;

    fn gaps(lines: &[&str]) -> Vec<Vec<String>> {
        let tokeniser = tokeniser(&["gateway.example.com", "api.vendor.com"]);
        let variants: Vec<Arc<str>> = lines.iter().map(|l| (*l).into()).collect();
        let skeleton = skeleton(&variants, &tokeniser, false);
        let cuts = lines.iter().map(|line| cut(line, &skeleton, &tokeniser));
        cuts.map(|cut| cut.gaps.into_iter().map(|g| g.1).collect()).collect()
    }

    #[test]
    fn two_causes_in_a_line_have_two_gaps() {
        let all = gaps(&["Agent's date is 2026-11-21.", "Agent\u{2019}s date is 2026/11/21."]);
        let filled = |cut: &Vec<String>| cut.iter().filter(|g| !g.is_empty()).cloned().collect::<Vec<_>>();
        assert_eq!(filled(&all[0]), ["'", "2026-11-21"]);
        assert_eq!(filled(&all[1]), ["\u{2019}", "2026/11/21"]);
    }

    #[test]
    fn a_level_is_one_gap() {
        let all = gaps(&["via gateway.example.com now", "via api.vendor.com now"]);
        assert!(all[0].contains(&"gateway.example.com".to_owned()), "{all:?}");
    }

    #[test]
    fn a_stranger_is_told_apart() {
        let tokeniser = tokeniser(&[]);
        let skeleton: Vec<Arc<str>> = ["a", " ", "b", " ", "c"].map(Into::into).to_vec();
        let cut = cut("a x c", &skeleton, &tokeniser);
        assert_eq!(cut.missing, [2]);
        assert_eq!(cut.gaps.iter().map(|g| g.1.as_str()).collect::<String>(), "x");
    }

    proptest::proptest! {
        #[test]
        fn gaps_and_skeleton_make_up_the_line(lines in proptest::collection::vec("[ab ,.x]{0,16}", 1..6)) {
            let tokeniser = tokeniser(&[]);
            let variants: Vec<Arc<str>> = lines.iter().map(|l| l.as_str().into()).collect();
            let skeleton = skeleton(&variants, &tokeniser, false);
            for line in &lines {
                let cut = cut(line, &skeleton, &tokeniser);
                proptest::prop_assert!(cut.missing.is_empty());
                let mut text = String::new();
                for (k, (start, gap)) in cut.gaps.iter().enumerate() {
                    proptest::prop_assert_eq!(&line[*start..start + gap.len()], gap.as_str());
                    text.push_str(gap);
                    if let Some(token) = skeleton.get(k) {
                        text.push_str(token);
                    }
                }
                proptest::prop_assert_eq!(&text, line);
            }
        }
    }
}
