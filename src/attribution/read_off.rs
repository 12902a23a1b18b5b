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
