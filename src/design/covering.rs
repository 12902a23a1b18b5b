//! **Covering arrays**: rows in which every combination of `t` levels of different factors stands at least once.
//!
//! Greedy, after AETG (Cohen, Dalal, Fredman, Patton 1997): each new row is the best of [`CANDIDATES`], each grown factor
//! by factor from a combination that is not covered yet, taking the level that covers most. Then [`tabu`](super::tabu)
//! search drops rows while the rest can be repaired. Constraints are kept by an exact feasibility check; combinations
//! that no allowed cell has are not asked for.

use super::coverage::{self, Coverage, Strength};
use super::randomise::{self, Generator};
use super::{Space, tabu};
use crate::cell::Assignment;

/// Candidate rows for each row, where these are not too much work.
const CANDIDATES: usize = 30;
/// Looks at a combination that choosing candidates may take, roughly: of the order of ten seconds. Counted and not timed,
/// so that the same seed gives the same array on every machine.
const LOOKS: usize = 3_000_000_000;

/// A covering array, verified.
#[derive(Clone, Debug)]
pub struct CoveringArray {
    /// Its rows.
    pub rows: Vec<Assignment>,
    /// Combinations that the rows have.
    pub tuples_covered: u64,
    /// Combinations that the constraints allow.
    pub tuples_total: u64,
    /// No array that has what was asked for has fewer rows.
    pub lower_bound: usize,
}

/// How hard to look for a smaller array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Single changes evaluated at most; a million is of the order of a second.
    pub changes: usize,
    /// Rows below which smaller is of no use to the caller.
    pub enough: usize,
    /// Rows above which more are of no use to the caller. Where no array that covers everything has so few, only the first
    /// so many rows of one are built, each of which covers as much as could be found.
    pub most: usize,
}

/// Builds a covering array that has the rows `given` (those that the constraints allow) among its own.
#[must_use]
pub fn array(
    space: &Space,
    strength: &Strength,
    given: &[Assignment],
    effort: Effort,
    generator: &mut Generator,
) -> CoveringArray {
    let mut open = Coverage::new(space, strength);
    let lower_bound = open.lower_bound();
    let given: Vec<Vec<u16>> = given.iter().filter(|row| space.allows(row)).map(|row| row.0.clone()).collect();
    for row in &given {
        open.add(row);
    }
    let mut rows: Vec<Vec<u16>> = Vec::new();
    let most = if lower_bound > effort.most { effort.most.saturating_sub(given.len()) } else { usize::MAX };
    let candidates = candidates(&open, lower_bound.min(effort.most));
    while !open.open().is_empty() && rows.len() < most {
        let mut best: Option<(usize, Vec<u16>)> = None;
        for _ in 0..candidates {
            let Some(row) = candidate(&open, space, generator) else { continue };
            let gain = open.first_here(&row);
            if best.as_ref().is_none_or(|(most, _)| gain > *most) {
                best = Some((gain, row));
            }
        }
        // A candidate grows from an uncovered combination, so a row always gains; were it not so, stopping short is
        // honest (the counts say so) and looping for ever is not.
        let Some((1.., row)) = best else { break };
        open.add(&row);
        rows.push(row);
    }
    if open.open().is_empty() {
        let floor = effort.enough.max(lower_bound).saturating_sub(given.len());
        tabu::shrink(space, &mut open, &mut rows, floor, effort.changes, generator);
    }
    let rows: Vec<Assignment> = given.into_iter().chain(rows).map(Assignment).collect();
    let (tuples_covered, tuples_total) = coverage::measure(space, strength, &rows);
    CoveringArray { rows, tuples_covered, tuples_total, lower_bound }
}

/// How many candidates there are for each row: fewer where sets of factors and rows are so many that [`LOOKS`] would not do.
fn candidates(open: &Coverage, fewest: usize) -> usize {
    let looks: usize =
        open.levels.iter().zip(&open.member).map(|(levels, sets)| usize::from(*levels) * sets.len()).sum();
    // Greedy arrays have about four times as many rows as the bound.
    let rows = fewest.saturating_mul(4);
    (LOOKS / looks.saturating_mul(rows).max(1)).clamp(1, CANDIDATES)
}

/// Grows a row from a random uncovered combination of one of the sets that have most of them.
fn candidate(open: &Coverage, space: &Space, generator: &mut Generator) -> Option<Vec<u16>> {
    let most = open.open_in_set.iter().copied().max().filter(|most| *most > 0)?;
    // Any set that is near the fullest will do: variety among candidates is what makes the best of them good.
    let full: Vec<usize> = (0..open.sets.len()).filter(|set| 2 * open.open_in_set[*set] >= most).collect();
    let set = full[randomise::below(full.len(), generator)];
    let nth = randomise::below(open.open_in_set[set], generator);
    let slot = (open.offsets[set]..open.offsets[set + 1]).filter(|slot| open.count[*slot] == 0).nth(nth)?;
    let mut row = open.partial(slot);
    let mut rest: Vec<usize> = (0..open.levels.len()).filter(|factor| row[*factor].is_none()).collect();
    randomise::shuffle(&mut rest, generator);
    for factor in rest {
        let mut best: Option<(usize, u16)> = None;
        let ready: Vec<usize> = open.member[factor]
            .iter()
            .copied()
            .filter(|set| open.sets[*set].iter().all(|other| *other == factor || row[*other].is_some()))
            .collect();
        let first = randomise::below(usize::from(open.levels[factor]), generator);
        for step in 0..open.levels[factor] {
            let level = u16::try_from((first + usize::from(step)) % usize::from(open.levels[factor])).unwrap_or(0);
            row[factor] = Some(level);
            if !space.constraints.feasible(&row) {
                continue;
            }
            let gain =
                ready.iter().filter(|set| open.count[open.slot(**set, |other| row[other].unwrap_or(0))] == 0).count();
            if best.is_none_or(|(most, _)| gain > most) {
                best = Some((gain, level));
            }
        }
        row[factor] = Some(best?.1);
    }
    row.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::design::coverage::subsets;
    use crate::design::feasible::Constraints;
    use crate::scenario::Forbidden;

    /// An independent count of the combinations that rows have: by set membership, not by the array's own bookkeeping.
    fn combinations(rows: &[Assignment], set: &[usize]) -> HashSet<Vec<u16>> {
        rows.iter().map(|row| set.iter().map(|factor| row.level(*factor)).collect()).collect()
    }

    fn space(levels: Vec<u16>, forbidden: Vec<Forbidden>) -> Space {
        Space { constraints: Constraints::new(levels.clone(), forbidden), levels }
    }

    fn build(space: &Space, strength: usize, seed: u64) -> CoveringArray {
        let effort = Effort { changes: 20_000, enough: 1, most: usize::MAX };
        array(space, &Strength::uniform(strength), &[], effort, &mut randomise::generator(seed, "test"))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn every_combination_stands_in_some_row(
            levels in prop::collection::vec(2_u16..6, 2..7), strength in 1_usize..4, seed in any::<u64>(),
        ) {
            let space = space(levels.clone(), vec![]);
            let strength = strength.min(levels.len());
            let array = build(&space, strength, seed);
            prop_assert_eq!(array.tuples_covered, array.tuples_total);
            for set in subsets(levels.len(), strength) {
                let all: usize = set.iter().map(|factor| usize::from(levels[*factor])).product();
                prop_assert_eq!(combinations(&array.rows, &set).len(), all);
            }
        }

        #[test]
        fn with_constraints_every_allowed_combination_stands_and_no_forbidden_cell(
            seed in any::<u64>(), a in 0_u16..3, b in 0_u16..3, c in 0_u16..3,
        ) {
            let levels = vec![3, 3, 3, 2];
            let forbidden = vec![
                Forbidden { when: vec![(0, vec![a]), (1, vec![b])] },
                Forbidden { when: vec![(1, vec![c]), (2, vec![a, b])] },
            ];
            let space = space(levels.clone(), forbidden);
            let array = build(&space, 2, seed);
            prop_assert!(array.rows.iter().all(|row| space.allows(row)));
            let mut every = Vec::new();
            for cell in 0..54_u16 {
                let row = Assignment(vec![cell / 18, cell / 6 % 3, cell / 2 % 3, cell % 2]);
                if space.allows(&row) { every.push(row); }
            }
            for set in subsets(4, 2) {
                prop_assert_eq!(combinations(&array.rows, &set), combinations(&every, &set));
            }
        }
    }

    #[test]
    fn sizes_are_near_the_best_known() {
        let rows = |levels: Vec<u16>, strength| {
            (0..4)
                .map(|seed| build(&space(levels.clone(), vec![]), strength, seed).rows.len())
                .min()
                .unwrap_or(usize::MAX)
        };
        assert!(rows(vec![3; 13], 2) <= 18, "PICT needs 19, the best known is 15");
        assert!(rows(vec![8, 5, 4, 3, 3, 2], 2) <= 40, "40 is the floor");
    }

    #[test]
    fn mixed_strength_and_given_rows_are_kept() {
        let space = space(vec![3, 3, 3, 2, 2], vec![]);
        let strength = Strength { base: 2, extra: vec![(vec![0, 1, 2], 3)] };
        let given = [Assignment(vec![2, 2, 2, 1, 1])];
        let effort = Effort { changes: 20_000, enough: 1, most: usize::MAX };
        let array = array(&space, &strength, &given, effort, &mut randomise::generator(1, "test"));
        assert_eq!(array.rows[0], given[0]);
        assert_eq!(combinations(&array.rows, &[0, 1, 2]).len(), 27);
        for set in subsets(5, 2) {
            let all: usize = set.iter().map(|factor| usize::from(space.levels[*factor])).product();
            assert_eq!(combinations(&array.rows, &set).len(), all);
        }
        assert!(array.rows.len() <= 28, "27 is the floor, and one row was given: {}", array.rows.len());
    }
}
