//! **Covering arrays**: rows in which every combination of `t` levels of different factors stands at least once.
//!
//! Greedy, after AETG (Cohen, Dalal, Fredman, Patton 1997): each new row is the best of [`CANDIDATES`], each grown factor
//! by factor from a combination that is not covered yet, taking the level that covers most. Constraints are kept by an
//! exact feasibility check; combinations that no allowed cell has are not asked for.

use super::Space;
use super::randomise::{self, Generator};
use crate::cell::Assignment;

/// Candidate rows for each row.
const CANDIDATES: usize = 30;

/// A covering array, verified.
#[derive(Clone, Debug)]
pub struct CoveringArray {
    /// Its rows.
    pub rows: Vec<Assignment>,
    /// Combinations of `t` levels that the rows have.
    pub tuples_covered: u64,
    /// Combinations of `t` levels that the constraints allow.
    pub tuples_total: u64,
}

/// Builds a covering array of strength `strength` (at least 1, at most the number of factors).
#[must_use]
pub fn array(space: &Space, strength: usize, generator: &mut Generator) -> CoveringArray {
    let mut tuples = Tuples::new(space, strength);
    let total = tuples.left;
    let mut rows = Vec::new();
    while tuples.left > 0 {
        let mut best: Option<(usize, Vec<u16>)> = None;
        for _ in 0..CANDIDATES {
            let Some(row) = tuples.candidate(space, generator) else { continue };
            let gain = tuples.gain(&row);
            if best.as_ref().is_none_or(|(most, _)| gain > *most) {
                best = Some((gain, row));
            }
        }
        // A candidate grows from an uncovered combination, so a row always gains; were it not so, stopping short is
        // honest (the counts say so) and looping for ever is not.
        let Some((gain, row)) = best else { break };
        if gain == 0 {
            break;
        }
        tuples.cover(&row);
        rows.push(Assignment(row));
    }
    CoveringArray { rows, tuples_covered: (total - tuples.left) as u64, tuples_total: total as u64 }
}

/// Which combinations are still to be covered.
struct Tuples {
    levels: Vec<u16>,
    /// The factor sets, each sorted.
    sets: Vec<Vec<usize>>,
    /// Where a set's combinations begin in `open`.
    offsets: Vec<usize>,
    /// For each factor, the sets that it is in.
    member: Vec<Vec<usize>>,
    open: Vec<bool>,
    open_in_set: Vec<usize>,
    left: usize,
}

impl Tuples {
    fn new(space: &Space, strength: usize) -> Self {
        let factors = space.factors();
        let sets = subsets(factors, strength);
        let mut member = vec![Vec::new(); factors];
        let mut offsets = Vec::with_capacity(sets.len());
        let mut size = 0;
        for (index, set) in sets.iter().enumerate() {
            offsets.push(size);
            size += set.iter().map(|factor| usize::from(space.levels[*factor])).product::<usize>();
            for factor in set {
                member[*factor].push(index);
            }
        }
        let mut tuples = Self {
            levels: space.levels.clone(),
            open: vec![true; size],
            open_in_set: vec![0; sets.len()],
            sets,
            offsets,
            member,
            left: 0,
        };
        for index in 0..tuples.sets.len() {
            let set = tuples.sets[index].clone();
            let count = set.iter().map(|factor| usize::from(tuples.levels[*factor])).product::<usize>();
            for code in 0..count {
                if !space.constraints.is_empty() && !space.constraints.feasible(&tuples.partial(&set, code)) {
                    tuples.open[tuples.offsets[index] + code] = false;
                } else {
                    tuples.open_in_set[index] += 1;
                    tuples.left += 1;
                }
            }
        }
        tuples
    }

    fn partial(&self, set: &[usize], mut code: usize) -> Vec<Option<u16>> {
        let mut partial = vec![None; self.levels.len()];
        for factor in set.iter().rev() {
            let radix = usize::from(self.levels[*factor]);
            partial[*factor] = u16::try_from(code % radix).ok();
            code /= radix;
        }
        partial
    }

    fn slot(&self, index: usize, level_of: impl Fn(usize) -> u16) -> usize {
        let mut code = 0;
        for factor in &self.sets[index] {
            code = code * usize::from(self.levels[*factor]) + usize::from(level_of(*factor));
        }
        self.offsets[index] + code
    }

    /// Grows a row from a random uncovered combination of the set that has most of them.
    fn candidate(&self, space: &Space, generator: &mut Generator) -> Option<Vec<u16>> {
        let most = self.open_in_set.iter().copied().max().filter(|most| *most > 0)?;
        // Any set that is near the fullest will do: variety among candidates is what makes the best of them good.
        let full: Vec<usize> = (0..self.sets.len()).filter(|index| 2 * self.open_in_set[*index] >= most).collect();
        let index = full[randomise::below(full.len(), generator)];
        let nth = randomise::below(self.open_in_set[index], generator);
        let end = self.offsets.get(index + 1).copied().unwrap_or(self.open.len());
        let slot = (self.offsets[index]..end).filter(|slot| self.open[*slot]).nth(nth)?;
        let mut row = self.partial(&self.sets[index], slot - self.offsets[index]);

        let mut rest: Vec<usize> = (0..self.levels.len()).filter(|factor| row[*factor].is_none()).collect();
        randomise::shuffle(&mut rest, generator);
        for factor in rest {
            let mut best: Option<(usize, u16)> = None;
            let first = randomise::below(usize::from(self.levels[factor]), generator);
            for step in 0..self.levels[factor] {
                let level = u16::try_from((first + usize::from(step)) % usize::from(self.levels[factor])).unwrap_or(0);
                row[factor] = Some(level);
                if !space.constraints.feasible(&row) {
                    continue;
                }
                let gain = self.member[factor]
                    .iter()
                    .filter(|index| {
                        self.sets[**index].iter().all(|factor| row[*factor].is_some())
                            && self.open[self.slot(**index, |factor| row[factor].unwrap_or(0))]
                    })
                    .count();
                if best.is_none_or(|(most, _)| gain > most) {
                    best = Some((gain, level));
                }
            }
            row[factor] = Some(best?.1);
        }
        row.into_iter().collect()
    }

    fn gain(&self, row: &[u16]) -> usize {
        (0..self.sets.len()).filter(|index| self.open[self.slot(*index, |factor| row[factor])]).count()
    }

    fn cover(&mut self, row: &[u16]) {
        for index in 0..self.sets.len() {
            let slot = self.slot(index, |factor| row[factor]);
            if std::mem::take(&mut self.open[slot]) {
                self.open_in_set[index] -= 1;
                self.left -= 1;
            }
        }
    }
}

/// All subsets of `0..n` with `size` members, each sorted, in lexicographic order.
#[must_use]
pub fn subsets(n: usize, size: usize) -> Vec<Vec<usize>> {
    let mut all = Vec::new();
    let mut current: Vec<usize> = (0..size).collect();
    if size == 0 || size > n {
        return all;
    }
    loop {
        all.push(current.clone());
        let Some(at) = (0..size).rev().find(|at| current[*at] < n - size + at) else { return all };
        current[at] += 1;
        for next in at + 1..size {
            current[next] = current[next - 1] + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::design::feasible::Constraints;
    use crate::scenario::Forbidden;

    /// An independent count of the combinations that rows have: by set membership, not by the array's own bookkeeping.
    fn combinations(rows: &[Assignment], set: &[usize]) -> HashSet<Vec<u16>> {
        rows.iter().map(|row| set.iter().map(|factor| row.level(*factor)).collect()).collect()
    }

    fn space(levels: Vec<u16>, forbidden: Vec<Forbidden>) -> Space {
        Space { constraints: Constraints::new(levels.clone(), forbidden), levels }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn every_combination_stands_in_some_row(
            levels in prop::collection::vec(2_u16..6, 2..7), strength in 1_usize..4, seed in any::<u64>(),
        ) {
            let space = space(levels.clone(), vec![]);
            let strength = strength.min(levels.len());
            let array = array(&space, strength, &mut randomise::generator(seed, "test"));
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
            let array = array(&space, 2, &mut randomise::generator(seed, "test"));
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
                .map(|seed| {
                    array(&space(levels.clone(), vec![]), strength, &mut randomise::generator(seed, "")).rows.len()
                })
                .min()
                .unwrap_or(usize::MAX)
        };
        assert!(rows(vec![3; 13], 2) <= 20, "PICT needs 19");
        assert!(rows(vec![8, 5, 4, 3, 3, 2], 2) <= 42, "the floor is 40");
    }
}
