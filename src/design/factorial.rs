//! **Factorial** designs: every combination of levels, and one factor at a time.

use super::Space;
use crate::cell::Assignment;

/// Every cell that the constraints allow, in lexicographic order, but no more than `most` of them.
#[must_use]
pub fn full(space: &Space, most: usize) -> Vec<Assignment> {
    let mut rows = Vec::new();
    let mut partial = vec![None; space.factors()];
    grow(space, most, 0, &mut partial, &mut rows);
    rows
}

/// Only what can be completed is grown further, so the work is bounded by the rows.
fn grow(space: &Space, most: usize, factor: usize, partial: &mut Vec<Option<u16>>, rows: &mut Vec<Assignment>) {
    if factor == space.factors() {
        rows.push(Assignment(partial.iter().map(|level| level.unwrap_or(0)).collect()));
        return;
    }
    for level in 0..space.levels[factor] {
        if rows.len() == most {
            break;
        }
        partial[factor] = Some(level);
        if space.constraints.feasible(partial) {
            grow(space, most, factor + 1, partial, rows);
        }
    }
    partial[factor] = None;
}

/// The baseline, then every other level of every factor alone, where the constraints allow it alone.
#[must_use]
pub fn one_factor(space: &Space) -> Vec<Assignment> {
    let baseline = space.baseline();
    let alone = (0..space.factors())
        .flat_map(|factor| (1..space.levels[factor]).map(move |level| (factor, level)))
        .map(|(factor, level)| baseline.with(factor, level));
    std::iter::once(baseline.clone()).chain(alone).filter(|row| space.allows(row)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::design::feasible::Constraints;
    use crate::scenario::Forbidden;

    fn space() -> Space {
        let levels = vec![3, 2, 2];
        let forbidden = vec![Forbidden { when: vec![(0, vec![2]), (1, vec![0])] }];
        Space { constraints: Constraints::new(levels.clone(), forbidden), levels }
    }

    #[test]
    fn a_full_factorial_has_every_allowed_cell_once() {
        let rows = full(&space(), 100);
        assert_eq!(rows.len(), 3 * 2 * 2 - 2);
        assert!(rows.is_sorted_by(|a, b| a < b) && rows.iter().all(|row| space().allows(row)));
        assert_eq!(full(&space(), 4), rows[..4]);
        let large = Space { levels: vec![9; 60], constraints: Constraints::default() };
        assert_eq!(full(&large, 7).len(), 7);
    }

    #[test]
    fn one_factor_at_a_time_leaves_out_what_is_not_allowed_alone() {
        let rows: Vec<Vec<u16>> = one_factor(&space()).into_iter().map(|row| row.0).collect();
        assert_eq!(rows, [vec![0, 0, 0], vec![1, 0, 0], vec![0, 1, 0], vec![0, 0, 1]]);
    }
}
