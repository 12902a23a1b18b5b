//! **Comparing** two texts by their characters: what stays, what only the baseline has, what only the variant has.

use similar::{Algorithm, DiffOp, capture_diff_slices};

/// Beyond so many characters that differ, the middles are shown whole: nobody reads a longer interleaving, and the search
/// for it takes quadratic time.
const LONGEST: usize = 4_000;

/// Where a piece of text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// In both.
    Both,
    /// In the first alone.
    Baseline,
    /// In the second alone.
    Variant,
}

/// A piece of text and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where.
    pub side: Side,
    /// What.
    pub text: String,
}

/// Compares by characters. The pieces of each side together are that side's text.
#[must_use]
pub fn characters(baseline: &str, variant: &str) -> Vec<Piece> {
    let (old, new): (Vec<char>, Vec<char>) = (baseline.chars().collect(), variant.chars().collect());
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let tail = old[head..].iter().rev().zip(new[head..].iter().rev()).take_while(|(a, b)| a == b).count();
    let (left, right) = (&old[head..old.len() - tail], &new[head..new.len() - tail]);
    let mut pieces = Vec::new();
    push(&mut pieces, Side::Both, &old[..head]);
    if left.len().max(right.len()) > LONGEST {
        push(&mut pieces, Side::Baseline, left);
        push(&mut pieces, Side::Variant, right);
    } else {
        for operation in capture_diff_slices(Algorithm::Myers, left, right) {
            match operation {
                DiffOp::Equal { old_index, len, .. } => {
                    push(&mut pieces, Side::Both, &left[old_index..old_index + len]);
                }
                DiffOp::Delete { old_index, old_len, .. } => {
                    push(&mut pieces, Side::Baseline, &left[old_index..old_index + old_len]);
                }
                DiffOp::Insert { new_index, new_len, .. } => {
                    push(&mut pieces, Side::Variant, &right[new_index..new_index + new_len]);
                }
                DiffOp::Replace { old_index, old_len, new_index, new_len } => {
                    push(&mut pieces, Side::Baseline, &left[old_index..old_index + old_len]);
                    push(&mut pieces, Side::Variant, &right[new_index..new_index + new_len]);
                }
            }
        }
    }
    push(&mut pieces, Side::Both, &old[old.len() - tail..]);
    pieces
}

fn push(pieces: &mut Vec<Piece>, side: Side, text: &[char]) {
    if text.is_empty() {
        return;
    }
    match pieces.last_mut() {
        Some(last) if last.side == side => last.text.extend(text),
        _ => pieces.push(Piece { side, text: text.iter().collect() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(baseline: &str, variant: &str) -> Vec<(Side, String)> {
        characters(baseline, variant).into_iter().map(|piece| (piece.side, piece.text)).collect()
    }

    #[test]
    fn one_character_is_told_from_its_neighbours() {
        let pieces = told("It's here", "It\u{2bc}s here");
        let expected = [
            (Side::Both, "It".to_owned()),
            (Side::Baseline, "'".into()),
            (Side::Variant, "\u{2bc}".into()),
            (Side::Both, "s here".into()),
        ];
        assert_eq!(pieces, expected);
        assert_eq!(told("ab", "a\u{200b}b")[1], (Side::Variant, "\u{200b}".into()));
        assert!(told("", "").is_empty());
    }

    #[test]
    fn what_is_long_and_has_nothing_in_common_ends_soon() {
        let pieces = told(&"a".repeat(1 << 20), &"b".repeat(1 << 20));
        assert_eq!(pieces.len(), 2);
    }

    proptest! {
        #[test]
        fn the_pieces_are_the_texts(baseline in ".{0,40}", variant in ".{0,40}") {
            let pieces = characters(&baseline, &variant);
            let side = |out: Side| {
                let kept = pieces.iter().filter(|piece| piece.side != out);
                kept.map(|piece| piece.text.as_str()).collect::<String>()
            };
            prop_assert_eq!(side(Side::Variant), baseline);
            prop_assert_eq!(side(Side::Baseline), variant);
        }
    }
}
