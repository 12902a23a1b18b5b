//! **Description length**: which of two rule lists tells more of what was seen for what it costs to say. Where chance
//! plays a part, a list learned by counterexamples may have followed single runs; one found by weighing all runs at once
//! is shorter. (Minimum description length: Rissanen 1978.)

use std::collections::BTreeMap;

use super::evidence::{Evidence, Value};
use super::rule::RuleList;
use crate::design::Space;

/// The length, in nats, of the rules and of a feature's values given what the rules predict: for each literal which
/// factor and which of its levels, for each run the value at the rate that it has where that is predicted.
#[must_use]
pub fn length(rules: &RuleList, evidence: &Evidence, space: &Space, feature: usize) -> f64 {
    let mut counts: BTreeMap<Value, BTreeMap<Value, f64>> = BTreeMap::new();
    for (index, run) in evidence.runs().iter().enumerate() {
        *counts
            .entry(rules.predict(&run.cell.levels))
            .or_default()
            .entry(evidence.value(index, feature))
            .or_default() += 1.0;
    }
    let mut data = 0.0;
    for seen in counts.values() {
        let total: f64 = seen.values().sum();
        data -= seen.values().map(|count| count * (count / total).ln()).sum::<f64>();
    }
    let factors = f64::from(u32::try_from(space.factors().max(1)).unwrap_or(u32::MAX)).ln();
    let said: f64 = rules
        .rules
        .iter()
        .flat_map(|rule| &rule.when)
        .map(|literal| factors + f64::from(space.levels[literal.factor]) * std::f64::consts::LN_2)
        .sum();
    data + said
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::attribution::evidence::Run;
    use crate::attribution::rule::{Literal, Rule};
    use crate::cell::{Assignment, Cell, CellId, Phase};
    use crate::design::feasible::Constraints;
    use crate::feature::ValueId;

    #[test]
    fn a_true_rule_is_worth_saying_and_one_that_follows_a_single_run_is_not() {
        let space = Space { levels: vec![2, 3], constraints: Constraints::default() };
        let mut evidence = Evidence::default();
        for n in 0..40_u16 {
            let levels = Assignment(vec![n % 2, n / 2 % 3]);
            // One run of the forty is perturbed.
            let value = u32::from(n % 2 == 1) ^ u32::from(n == 7);
            let cell = Cell { id: CellId::nth(n.into()), round: 0, phase: Phase::Cover, levels, replicate: 0 };
            evidence.push(Run { cell, row: vec![Some(ValueId(value))] });
        }
        let rule = |when: &[(usize, u16)], value| Rule {
            when: when.iter().map(|(f, l)| Literal { factor: *f, levels: BTreeSet::from([*l]) }).collect(),
            value: Some(ValueId(value)),
        };
        let list = |rules| RuleList { base: Some(ValueId(0)), rules };
        let none = length(&list(vec![]), &evidence, &space, 0);
        let right = length(&list(vec![rule(&[(0, 1)], 1)]), &evidence, &space, 0);
        let fussy = length(&list(vec![rule(&[(0, 1)], 1), rule(&[(0, 1), (1, 0)], 0)]), &evidence, &space, 0);
        assert!(right < none && right < fussy, "{right} {none} {fussy}");
        // 40 fair values: 40 ln 2 nats.
        assert!((none - 40.0 * std::f64::consts::LN_2).abs() < 0.06, "{none}");
    }
}
