//! **Reading off**: what runs tell by themselves. Where each level of one factor always came with the same value, the rules
//! stand there to be read, and no cell is run to learn them: the coins of the confirmation say whether they hold.

use std::collections::{BTreeMap, BTreeSet};

use super::evidence::{Evidence, Value};
use super::rule::{Literal, Rule, RuleList};
use super::screen::Signal;
use crate::design::Space;

/// Runs that each level must have.
const LEAST: u32 = 3;
/// Values beside the base value.
const MOST_RULES: usize = 14;

/// The rules of a signal that is, so far, a function of exactly one factor.
#[must_use]
pub(super) fn function_of_one(evidence: &Evidence, space: &Space, signal: &Signal) -> Option<RuleList> {
    let mut found = None;
    for factor in 0..space.factors() {
        let Some(rules) = function_of(evidence, space, signal, factor) else { continue };
        if found.replace(rules).is_some() {
            return None;
        }
    }
    found
}

fn function_of(evidence: &Evidence, space: &Space, signal: &Signal, factor: usize) -> Option<RuleList> {
    let mut levels: Vec<Option<(Value, u32)>> = vec![None; usize::from(space.levels[factor])];
    for (index, run) in evidence.runs().iter().enumerate() {
        let value = evidence.value(index, signal.lead());
        let level = levels.get_mut(usize::from(run.cell.levels.level(factor)))?;
        let (always, runs) = level.get_or_insert((value, 0));
        if *always != value {
            return None;
        }
        *runs += 1;
    }
    let mut by_value: BTreeMap<Value, BTreeSet<u16>> = BTreeMap::new();
    for (level, seen) in (0_u16..).zip(&levels) {
        let (value, _) = (*seen).filter(|(_, runs)| *runs >= LEAST)?;
        if value != signal.base {
            by_value.entry(value).or_default().insert(level);
        }
    }
    let rule = |(value, levels)| Rule { when: vec![Literal { factor, levels }], value };
    (1..=MOST_RULES)
        .contains(&by_value.len())
        .then(|| RuleList { base: signal.base, rules: by_value.into_iter().map(rule).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::evidence::Run;
    use crate::cell::{Assignment, Cell, CellId, Phase};
    use crate::design::feasible::Constraints;
    use crate::feature::ValueId;

    /// What is read of an agent after each of `cells` was run once, by two factors of three levels and one of two.
    fn read(cells: impl Iterator<Item = [u16; 3]>, agent: impl Fn(usize, [u16; 3]) -> u32) -> Option<RuleList> {
        let space = Space { levels: vec![3, 3, 2], constraints: Constraints::default() };
        let mut evidence = Evidence::default();
        for (n, levels) in cells.enumerate() {
            let row = vec![Some(ValueId(agent(n, levels)))];
            let levels = Assignment(levels.to_vec());
            let cell = Cell { id: CellId::nth(n), round: 0, phase: Phase::Cover, levels, replicate: 0 };
            evidence.push(Run { cell, row });
        }
        let signal = Signal { features: vec![0], base: Some(ValueId(0)), deterministic: true, values: 2 };
        function_of_one(&evidence, &space, &signal)
    }

    fn all() -> impl Iterator<Item = [u16; 3]> {
        (0..18).map(|n| [n % 3, n / 3 % 3, n / 9])
    }

    #[test]
    fn what_follows_one_factor_is_read() {
        let four = read(all(), |_, [a, ..]| u32::from(a) * 5).unwrap();
        let rule = |level, value| Rule {
            when: vec![Literal { factor: 0, levels: BTreeSet::from([level]) }],
            value: Some(ValueId(value)),
        };
        assert_eq!((four.base, four.rules), (Some(ValueId(0)), vec![rule(1, 5), rule(2, 10)]));
        let set = read(all(), |_, [_, b, _]| u32::from(b != 0)).unwrap();
        assert_eq!(set.rules[0].when, [Literal { factor: 1, levels: BTreeSet::from([1, 2]) }]);
    }

    #[test]
    fn one_run_that_differs_a_level_that_was_run_too_seldom_and_two_factors_are_not() {
        assert_eq!(read(all(), |n, [a, ..]| u32::from(a == 1) ^ u32::from(n == 7)), None);
        assert_eq!(read(all(), |_, [a, b, _]| u32::from(a == 1 && b == 2)), None);
        let seldom = || all().filter(|[a, b, _]| *a != 1 || *b == 0);
        assert_eq!(seldom().filter(|[a, ..]| *a == 1).count(), 2);
        assert_eq!(read(seldom(), |_, [a, ..]| u32::from(a == 1)), None);
        assert_eq!(read(all(), |_, _| 0), None, "nothing depends on anything");
    }
}
