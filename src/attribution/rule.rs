//! **Rules**: an ordered list of conjunctions of level sets, each with a value; the last that matches wins, and where
//! none matches the value is the base value. Learned in some order, shown in a canonical form that depends only on the
//! function that they compute.

use std::collections::{BTreeMap, BTreeSet};

use super::evidence::Value;
use super::level_class::LevelClasses;
use crate::cell::Assignment;
use crate::design::Space;

/// A factor and the levels of it that match.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Literal {
    /// Factor index.
    pub factor: usize,
    /// Level indices.
    pub levels: BTreeSet<u16>,
}

/// A conjunction and the value where it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// All must match; at least one.
    pub when: Vec<Literal>,
    /// The value then.
    pub value: Value,
}

impl Rule {
    /// Whether every literal contains the cell's level.
    #[must_use]
    pub fn matches(&self, cell: &Assignment) -> bool {
        self.when.iter().all(|literal| literal.levels.contains(&cell.level(literal.factor)))
    }
}

/// An ordered rule list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleList {
    /// The value where no rule matches.
    pub base: Value,
    /// Later rules override earlier ones.
    pub rules: Vec<Rule>,
}

/// Most rows that a truth table may have; above, the learned rules are shown as they are.
const TABLE_LIMIT: usize = 50_000;

impl RuleList {
    /// Predicts the value in a cell.
    #[must_use]
    pub fn predict(&self, cell: &Assignment) -> Value {
        self.rules.iter().rev().find(|rule| rule.matches(cell)).map_or(self.base, |rule| rule.value)
    }

    /// The factors that any rule names, sorted.
    #[must_use]
    pub fn factors(&self) -> Vec<usize> {
        let set: BTreeSet<usize> = self.rules.iter().flat_map(|rule| rule.when.iter().map(|l| l.factor)).collect();
        set.into_iter().collect()
    }

    /// The rules as they are where nothing is said of `factor`; what said nothing else is gone.
    #[must_use]
    pub fn without(mut self, factor: usize) -> Self {
        for rule in &mut self.rules {
            rule.when.retain(|literal| literal.factor != factor);
        }
        self.rules.retain(|rule| !rule.when.is_empty());
        self
    }

    /// The function as a table over the given factors, others at their baseline. `None` if it would be too large.
    #[must_use]
    pub fn table(&self, space: &Space, factors: &[usize]) -> Option<BTreeMap<Vec<u16>, Value>> {
        let size = factors.iter().try_fold(1_usize, |n, factor| n.checked_mul(usize::from(space.levels[*factor])))?;
        if size > TABLE_LIMIT {
            return None;
        }
        let mut table = BTreeMap::new();
        let mut key = vec![0_u16; factors.len()];
        let mut cell = space.baseline();
        for _ in 0..size {
            for (factor, level) in factors.iter().zip(&key) {
                cell.0[*factor] = *level;
            }
            table.insert(key.clone(), self.predict(&cell));
            for at in (0..key.len()).rev() {
                key[at] += 1;
                if key[at] < space.levels[factors[at]] {
                    break;
                }
                key[at] = 0;
            }
        }
        Some(table)
    }

    /// The same function in canonical form: factors on which it does not depend are gone, and each value other than the
    /// base value has disjoint maximal boxes in lexicographic order. Combinations that constraints forbid have no value:
    /// they fit every box and speak for no factor.
    #[must_use]
    pub fn canonical(&self, space: &Space) -> Self {
        let mut factors = self.factors();
        // Levels that no rule and no constraint tell apart stay together in every box.
        let classes = LevelClasses::new(space, &factors, Some(self));
        if classes.size().is_none_or(|size| size > TABLE_LIMIT) {
            return self.clone();
        }
        let mut cell = space.baseline();
        let mut table: BTreeMap<Vec<usize>, Option<Value>> = BTreeMap::new();
        for tuple in classes.all() {
            let levels = classes.first_levels(&tuple);
            for (factor, level) in factors.iter().zip(&levels) {
                cell.0[*factor] = *level;
            }
            table.insert(tuple, classes.allowed(&levels).then(|| self.predict(&cell)));
        }
        // Where each factor that is left stands in the classes.
        let mut positions: Vec<usize> = (0..factors.len()).collect();
        let mut at = 0;
        while at < factors.len() {
            if let Some(without) = without(&table, at) {
                factors.remove(at);
                positions.remove(at);
                table = without;
            } else {
                at += 1;
            }
        }
        let mut open: BTreeMap<Vec<usize>, Value> = (table.iter())
            .filter_map(|(key, value)| Some((key.clone(), (*value)?)))
            .filter(|(_, value)| *value != self.base)
            .collect();
        let mut rules = Vec::new();
        while let Some((corner, value)) = open.first_key_value().map(|(key, value)| (key.clone(), *value)) {
            let mut sides: Vec<BTreeSet<usize>> = corner.iter().map(|class| BTreeSet::from([*class])).collect();
            for at in 0..factors.len() {
                for class in 0..classes.count(positions[at]) {
                    let mut wider = sides.clone();
                    wider[at] = BTreeSet::from([class]);
                    if product(&wider).all(|key| table.get(&key) == Some(&None) || open.get(&key) == Some(&value)) {
                        sides[at].insert(class);
                    }
                }
            }
            for key in product(&sides).collect::<Vec<_>>() {
                open.remove(&key);
            }
            let when = sides
                .into_iter()
                .enumerate()
                .map(|(at, side)| Literal {
                    factor: factors[at],
                    levels: side.iter().flat_map(|class| classes.levels(positions[at], *class)).copied().collect(),
                })
                .filter(|literal| literal.levels.len() < usize::from(space.levels[literal.factor]))
                .collect();
            rules.push(Rule { when, value });
        }
        Self { base: self.base, rules }
    }
}

/// A function's table (`None`: no value) without the factor at `at`, if it does not depend on it.
fn without(table: &BTreeMap<Vec<usize>, Option<Value>>, at: usize) -> Option<BTreeMap<Vec<usize>, Option<Value>>> {
    let mut rest: BTreeMap<Vec<usize>, Option<Value>> = BTreeMap::new();
    for (key, value) in table {
        let mut key = key.clone();
        key.remove(at);
        let known = rest.entry(key).or_insert(*value);
        match (*known, value) {
            (Some(one), Some(other)) if one != *other => return None,
            (None, _) => *known = *value,
            _ => {}
        }
    }
    Some(rest)
}

fn product(sides: &[BTreeSet<usize>]) -> impl Iterator<Item = Vec<usize>> + '_ {
    let total: usize = sides.iter().map(BTreeSet::len).product();
    (0..total).map(move |mut code| {
        let mut key = vec![0; sides.len()];
        for (at, side) in sides.iter().enumerate().rev() {
            key[at] = side.iter().nth(code % side.len()).copied().unwrap_or(0);
            code /= side.len();
        }
        key
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::design::feasible::Constraints;
    use crate::feature::ValueId;
    use crate::scenario::Forbidden;

    fn literal(factor: usize, levels: &[u16]) -> Literal {
        Literal { factor, levels: levels.iter().copied().collect() }
    }

    fn space(levels: &[u16]) -> Space {
        Space { levels: levels.to_vec(), constraints: Constraints::default() }
    }

    #[test]
    fn the_last_matching_rule_wins() {
        let list = RuleList {
            base: Some(ValueId(0)),
            rules: vec![
                Rule { when: vec![literal(0, &[1, 2])], value: Some(ValueId(1)) },
                Rule { when: vec![literal(0, &[2]), literal(1, &[1])], value: None },
            ],
        };
        assert_eq!(list.predict(&Assignment(vec![0, 1])), Some(ValueId(0)));
        assert_eq!(list.predict(&Assignment(vec![2, 0])), Some(ValueId(1)));
        assert_eq!(list.predict(&Assignment(vec![2, 1])), None);
    }

    #[test]
    fn the_canonical_form_forgets_the_order_of_learning_and_inert_factors() {
        let space = space(&[3, 3, 2]);
        let one = RuleList {
            base: None,
            rules: vec![
                Rule { when: vec![literal(0, &[1]), literal(1, &[2])], value: Some(ValueId(1)) },
                Rule { when: vec![literal(0, &[2]), literal(1, &[2])], value: Some(ValueId(1)) },
            ],
        };
        let other = RuleList {
            base: None,
            rules: vec![
                Rule { when: vec![literal(0, &[1, 2]), literal(1, &[0, 1, 2])], value: Some(ValueId(1)) },
                Rule { when: vec![literal(1, &[0, 1]), literal(2, &[0, 1])], value: None },
            ],
        };
        assert_eq!(one.canonical(&space), other.canonical(&space));
        assert_eq!(
            one.canonical(&space).rules,
            [Rule { when: vec![literal(0, &[1, 2]), literal(1, &[2])], value: Some(ValueId(1)) }]
        );
    }

    #[test]
    fn a_trigger_that_holds_the_baseline_is_kept_right() {
        let space = space(&[3, 3]);
        // Everything but (0, 0) differs from the base value: no single box, so two disjoint ones.
        let list = RuleList {
            base: Some(ValueId(0)),
            rules: vec![
                Rule { when: vec![literal(0, &[1, 2])], value: None },
                Rule { when: vec![literal(1, &[1, 2])], value: None },
            ],
        };
        let canonical = list.canonical(&space);
        for a in 0..3 {
            for b in 0..3 {
                let cell = Assignment(vec![a, b]);
                assert_eq!(canonical.predict(&cell), list.predict(&cell));
            }
        }
    }

    #[test]
    fn forbidden_combinations_neither_split_a_box_nor_hold_a_factor() {
        let levels = vec![3, 3, 2];
        // Level 2 of factor 0 goes with nothing but level 0 of factor 1.
        let forbidden = vec![Forbidden { when: vec![(0, vec![2]), (1, vec![1, 2])] }];
        let tied = Space { levels: levels.clone(), constraints: Constraints::new(levels, forbidden) };
        let one = |when| Rule { when, value: None };
        // Learned from either end: the forbidden (2, 1) is inside one and outside the other.
        let wide =
            RuleList { base: Some(ValueId(0)), rules: vec![one(vec![literal(0, &[1, 2]), literal(1, &[0, 1])])] };
        let narrow = RuleList {
            base: Some(ValueId(0)),
            rules: vec![one(vec![literal(0, &[2])]), one(vec![literal(0, &[1]), literal(1, &[0, 1])])],
        };
        assert_eq!(wide.canonical(&tied), narrow.canonical(&tied));
        assert_eq!(wide.canonical(&tied), wide);
        assert_ne!(wide.canonical(&space(&[3, 3, 2])), narrow.canonical(&space(&[3, 3, 2])));
        // A factor that only forbidden cells speak for is none.
        let empty = RuleList { base: None, rules: vec![one(vec![literal(0, &[2]), literal(1, &[1])])] };
        let spoken = RuleList { base: Some(ValueId(0)), rules: empty.rules };
        assert!(spoken.canonical(&tied).factors().is_empty());
    }

    #[test]
    fn levels_by_the_hundred_have_a_canonical_form_too() {
        let space = space(&[600, 150]);
        let (zones, hosts): (Vec<u16>, Vec<u16>) = ((7..27).collect(), (1..150).collect());
        let rule = |zones: &[u16]| Rule { when: vec![literal(0, zones), literal(1, &hosts)], value: None };
        let one = RuleList { base: Some(ValueId(0)), rules: vec![rule(&zones)] };
        let two = RuleList { base: Some(ValueId(0)), rules: vec![rule(&zones[9..]), rule(&zones[..9])] };
        assert_eq!(one, two.canonical(&space));
    }
}
