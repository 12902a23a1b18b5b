//! **Level classes**: levels of a factor that neither the rules nor the constraints tell apart. A factor may have six
//! hundred time zones and a rule two kinds of them: what is counted over all levels is counted over the kinds.

use std::collections::BTreeMap;

use super::rule::RuleList;
use crate::design::Space;

/// Levels that are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Class {
    /// The first of them stands for all.
    level: u16,
    /// How many they are.
    size: u32,
}

/// The classes of some factors' levels.
#[derive(Clone, Debug)]
pub struct LevelClasses<'a> {
    space: &'a Space,
    factors: Vec<usize>,
    classes: Vec<Vec<Class>>,
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
                let mut classes: BTreeMap<Vec<bool>, Class> = BTreeMap::new();
                for level in 0..space.levels[*factor] {
                    let by_rules = named.iter().map(|literal| literal.levels.contains(&level));
                    let by_constraints = forbidden.iter().map(|(_, levels)| levels.contains(&level));
                    let signature = by_rules.chain(by_constraints).collect();
                    classes.entry(signature).or_insert(Class { level, size: 0 }).size += 1;
                }
                let mut classes: Vec<Class> = classes.into_values().collect();
                classes.sort_by_key(|class| class.level);
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

    /// The combinations of classes that constraints allow: the first level of each, and for how many combinations of
    /// levels it stands.
    pub fn combinations(&self) -> impl Iterator<Item = (Vec<u16>, u64)> + '_ {
        (0..self.size().unwrap_or(0)).filter_map(|mut code| {
            let mut levels = vec![0; self.classes.len()];
            let mut weight = 1_u64;
            for (at, classes) in self.classes.iter().enumerate().rev() {
                let class = classes.get(code % classes.len())?;
                code /= classes.len();
                levels[at] = class.level;
                weight = weight.saturating_mul(class.size.into());
            }
            self.allowed(&levels).then_some((levels, weight))
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
        let combinations: Vec<(Vec<u16>, u64)> = classes.combinations().collect();
        assert_eq!(combinations.len(), 6, "{combinations:?}");
        assert!(combinations.contains(&(vec![7, 0, 1], 20 * 4)), "{combinations:?}");
        let all: u64 = combinations.iter().map(|(_, weight)| weight).sum();
        assert_eq!(all, 600 * (5 * 2 - 1));
    }
}
