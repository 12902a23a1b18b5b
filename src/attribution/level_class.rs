//! **Level classes**: levels of a factor that neither the rules nor the constraints tell apart. A factor may have six
//! hundred time zones and a rule two kinds of them: what is counted over all levels is counted over the kinds.

use std::collections::BTreeMap;

use super::rule::RuleList;
use crate::design::Space;

/// The classes of some factors' levels.
#[derive(Clone, Debug)]
pub struct LevelClasses<'a> {
    space: &'a Space,
    factors: Vec<usize>,
    /// Of each factor the classes, in the order of their first levels; of each class the levels.
    classes: Vec<Vec<Vec<u16>>>,
}

impl<'a> LevelClasses<'a> {
    /// The classes of the levels of `factors`: two levels are alike if every rule and every constraint names both or neither.
    #[must_use]
    pub fn new(space: &'a Space, factors: &[usize], rules: Option<&RuleList>) -> Self {
        let classes = factors
            .iter()
            .map(|factor| {
                let literals = rules.into_iter().flat_map(|rules| &rules.rules).flat_map(|rule| &rule.when);
                let named: Vec<_> = literals.filter(|literal| literal.factor == *factor).collect();
                let forbidden: Vec<_> = (space.constraints.forbidden().iter().flat_map(|forbidden| &forbidden.when))
                    .filter(|(other, _)| other == factor)
                    .collect();
                let mut classes: BTreeMap<Vec<bool>, Vec<u16>> = BTreeMap::new();
                for level in 0..space.levels[*factor] {
                    let by_rules = named.iter().map(|literal| literal.levels.contains(&level));
                    let by_constraints = forbidden.iter().map(|(_, levels)| levels.contains(&level));
                    classes.entry(by_rules.chain(by_constraints).collect()).or_default().push(level);
                }
                let mut classes: Vec<Vec<u16>> = classes.into_values().collect();
                classes.sort();
                classes
            })
            .collect();
        Self { space, factors: factors.to_vec(), classes }
    }

    /// How many combinations of classes there are; `None` beyond what can be counted.
    #[must_use]
    pub fn size(&self) -> Option<usize> {
        self.classes.iter().try_fold(1_usize, |size, classes| size.checked_mul(classes.len()))
    }

    /// How many classes the factor at a position has.
    #[must_use]
    pub fn count(&self, position: usize) -> usize {
        self.classes.get(position).map_or(0, Vec::len)
    }

    /// The levels of a class of the factor at a position.
    #[must_use]
    pub fn levels(&self, position: usize, class: usize) -> &[u16] {
        self.classes.get(position).and_then(|classes| classes.get(class)).map_or(&[], Vec::as_slice)
    }

    /// All combinations of classes, by their numbers, in lexicographic order.
    pub fn all(&self) -> impl Iterator<Item = Vec<usize>> + '_ {
        (0..self.size().unwrap_or(0)).map(|mut code| {
            let mut tuple = vec![0; self.classes.len()];
            for (at, classes) in self.classes.iter().enumerate().rev() {
                tuple[at] = code % classes.len();
                code /= classes.len();
            }
            tuple
        })
    }

    /// The first level of each class of a combination.
    #[must_use]
    pub fn first_levels(&self, tuple: &[usize]) -> Vec<u16> {
        let first = |(at, class): (usize, &usize)| self.levels(at, *class).first().copied().unwrap_or_default();
        tuple.iter().enumerate().map(first).collect()
    }

    /// The combinations of classes that constraints allow: the first level of each, and for how many combinations of
    /// levels it stands.
    pub fn allowed_combinations(&self) -> impl Iterator<Item = (Vec<u16>, u64)> + '_ {
        self.all().filter_map(|tuple| {
            let levels = self.first_levels(&tuple);
            let weight = tuple.iter().enumerate().map(|(at, class)| self.levels(at, *class).len() as u64);
            self.allowed(&levels).then(|| (levels, weight.fold(1, u64::saturating_mul)))
        })
    }

    /// Whether some cell that constraints allow has these levels of the factors.
    #[must_use]
    pub fn allowed(&self, levels: &[u16]) -> bool {
        if self.space.constraints.is_empty() {
            return true;
        }
        let mut partial = vec![None; self.space.factors()];
        for (factor, level) in self.factors.iter().zip(levels) {
            partial[*factor] = Some(*level);
        }
        self.space.constraints.feasible(&partial)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::rule::{Literal, Rule};
    use crate::design::feasible::Constraints;
    use crate::scenario::Forbidden;

    #[test]
    fn levels_are_alike_unless_a_rule_or_a_constraint_tells_them_apart() {
        let levels = vec![600, 5, 2];
        let forbidden = vec![Forbidden { when: vec![(1, vec![4]), (2, vec![1])] }];
        let space = Space { levels: levels.clone(), constraints: Constraints::new(levels, forbidden) };
        let when = vec![Literal { factor: 0, levels: (7..27).collect() }];
        let rules = RuleList { base: None, rules: vec![Rule { when, value: None }] };
        let classes = LevelClasses::new(&space, &[0, 1, 2], Some(&rules));
        assert_eq!(classes.size(), Some(2 * 2 * 2));
        let combinations: Vec<(Vec<u16>, u64)> = classes.allowed_combinations().collect();
        assert_eq!(combinations.len(), 6, "{combinations:?}");
        assert!(combinations.contains(&(vec![7, 0, 1], 20 * 4)), "{combinations:?}");
        let all: u64 = combinations.iter().map(|(_, weight)| weight).sum();
        assert_eq!(all, 600 * (5 * 2 - 1));
    }
}
