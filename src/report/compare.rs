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
    straighten(pieces)
}

/// Puts what replaces something beside what it replaces: `-21` and `/22` differ in their first and last sign, which the
/// shortest script may also write as `/2` for `-` and nothing for `1`.
fn straighten(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut out: Vec<Piece> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        // Beside what stays there are one piece or two: what is gone, and what came instead.
        let moved = [2_usize, 3].into_iter().find_map(|back| {
            let at = out.len().checked_sub(back)?;
            let (both, before) = out.split_last_mut()?;
            if before.get(at + 1).is_some_and(|other| other.side != piece.side) {
                return None;
            }
            moved(before.get_mut(at)?, both, &piece)
        });
        match moved {
            Some(moved) if moved.side == Side::Baseline => out.extend([moved, piece]),
            Some(moved) => out.extend([piece, moved]),
            None => out.push(piece),
        }
    }
    out
}

/// The end of `one` that is the same as `both`, to stand behind that: taken away from `one`, if `piece` is of the other
/// side and something is left.
fn moved(one: &mut Piece, both: &Piece, piece: &Piece) -> Option<Piece> {
    let sides = [Side::Baseline, Side::Variant];
    let fits =
        both.side == Side::Both && one.side != piece.side && sides.contains(&one.side) && sides.contains(&piece.side);
    if !fits || one.text.len() <= both.text.len() || !one.text.ends_with(&both.text) {
        return None;
    }
    one.text.truncate(one.text.len() - both.text.len());
    Some(Piece { side: one.side, text: both.text.clone() })
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

    #[test]
    fn what_replaces_something_stands_beside_it() {
        use Side::{Baseline, Both, Variant};
        let own =
            |pieces: &[(Side, &str)]| pieces.iter().map(|(side, text)| (*side, (*text).to_owned())).collect::<Vec<_>>();
        let (old, new) =
            ([(Both, "6"), (Baseline, "-"), (Variant, "/"), (Both, "2"), (Baseline, "1"), (Variant, "2")], "6/22");
        assert_eq!(told("6-21", new), own(&old));
        let turned: Vec<(Side, &str)> =
            vec![(Both, "6"), (Baseline, "/"), (Variant, "-"), (Both, "2"), (Baseline, "2"), (Variant, "1")];
        assert_eq!(told(new, "6-21"), own(&turned));
    }

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
