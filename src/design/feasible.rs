//! **Feasibility**: whether a partial assignment can be completed to a cell that no constraint forbids.

use crate::cell::Assignment;
use crate::scenario::Forbidden;

/// Forbidden combinations over factors with the given numbers of levels.
#[derive(Clone, Debug, Default)]
pub struct Constraints {
    levels: Vec<u16>,
    forbidden: Vec<Forbidden>,
    /// Factors that any constraint names: only these need a search.
    involved: Vec<usize>,
}

impl Constraints {
    /// Constraints over factors with these numbers of levels.
    #[must_use]
    pub fn new(levels: Vec<u16>, forbidden: Vec<Forbidden>) -> Self {
        let mut involved: Vec<usize> =
            forbidden.iter().flat_map(|f| f.when.iter().map(|(factor, _)| *factor)).collect();
        involved.sort_unstable();
        involved.dedup();
        Self { levels, forbidden, involved }
    }

    /// Whether nothing is forbidden.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.forbidden.is_empty()
    }

    /// What is forbidden.
    #[must_use]
    pub fn forbidden(&self) -> &[Forbidden] {
        &self.forbidden
    }

    /// Whether a complete cell is allowed.
    #[must_use]
    pub fn allows(&self, cell: &Assignment) -> bool {
        !self.forbidden.iter().any(|forbidden| forbidden.matches(cell))
    }

    /// Whether a partial cell (`None`: not decided yet) can be completed to an allowed one. Exact, by search over the
    /// factors that constraints name.
    #[must_use]
    pub fn feasible(&self, partial: &[Option<u16>]) -> bool {
        self.is_empty() || self.complete(&mut partial.to_vec(), 0)
    }

    fn violated(&self, partial: &[Option<u16>]) -> bool {
        self.forbidden.iter().any(|forbidden| {
            forbidden.when.iter().all(|(factor, set)| partial[*factor].is_some_and(|level| set.contains(&level)))
        })
    }

    fn complete(&self, partial: &mut Vec<Option<u16>>, from: usize) -> bool {
        if self.violated(partial) {
            return false;
        }
        let Some(position) = (from..self.involved.len()).find(|at| partial[self.involved[*at]].is_none()) else {
            return true;
        };
        let factor = self.involved[position];
        for level in 0..self.levels[factor] {
            partial[factor] = Some(level);
            if self.complete(partial, position + 1) {
                partial[factor] = None;
                return true;
            }
        }
        partial[factor] = None;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_cell_that_only_forbidden_cells_complete_is_infeasible() {
        let constraints = Constraints::new(
            vec![2, 2, 2],
            vec![
                Forbidden { when: vec![(0, vec![1]), (1, vec![0])] },
                Forbidden { when: vec![(1, vec![1]), (2, vec![1])] },
            ],
        );
        assert!(constraints.feasible(&[Some(1), None, None]));
        assert!(!constraints.feasible(&[Some(1), None, Some(1)]));
        assert!(constraints.feasible(&[Some(1), None, Some(0)]));
        assert!(!constraints.allows(&Assignment(vec![1, 0, 0])));
    }
}
