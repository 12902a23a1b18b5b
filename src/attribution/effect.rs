//! **Effect sizes**: how much of a value its factors decide.

use std::collections::{BTreeMap, HashMap};

use super::evidence::{Evidence, Value};
use super::rule::RuleList;
use crate::design::Space;

/// Mutual information in bits between the factors and the value, on the learned rules with uniform levels. The rules
/// are a function, so this is the entropy of the value (Shannon 1948).
#[must_use]
pub fn bits(rules: &RuleList, space: &Space) -> f64 {
    let Some(table) = rules.table(space, &rules.factors()) else { return f64::NAN };
    let mut counts: BTreeMap<Value, u32> = BTreeMap::new();
    for value in table.values() {
        *counts.entry(*value).or_default() += 1;
    }
    let total = f64::from(counts.values().sum::<u32>());
    counts.values().map(|count| f64::from(*count) / total).map(|share| -share * share.log2()).sum::<f64>().max(0.0)
}

/// Mutual information in bits between some of the rules' factors and the value, on the learned rules with uniform levels:
/// a factor's own share is that of the factor alone.
#[must_use]
pub fn information(rules: &RuleList, space: &Space, factors: &[usize]) -> f64 {
    let all = rules.factors();
    let Some(table) = rules.table(space, &all) else { return f64::NAN };
    let mut joint: BTreeMap<(Vec<u16>, Value), f64> = BTreeMap::new();
    let mut marginal: BTreeMap<Vec<u16>, f64> = BTreeMap::new();
    let mut values: BTreeMap<Value, f64> = BTreeMap::new();
    for (key, value) in &table {
        let part: Vec<u16> =
            all.iter().zip(key).filter(|(factor, _)| factors.contains(factor)).map(|(_, level)| *level).collect();
        *joint.entry((part.clone(), *value)).or_default() += 1.0;
        *marginal.entry(part).or_default() += 1.0;
        *values.entry(*value).or_default() += 1.0;
    }
    let total: f64 = values.values().sum();
    joint
        .iter()
        .map(|((part, value), count)| count / total * (count * total / (marginal[part] * values[value])).log2())
        .sum::<f64>()
        .max(0.0)
}

/// What the factors tell together beyond the sum of what each tells alone, in bits; for two factors the interaction
/// information (`McGill` 1954). Above 0 for a gate or XOR, 0 where a single factor decides.
#[must_use]
pub fn interaction(rules: &RuleList, space: &Space) -> f64 {
    let own: f64 = rules.factors().iter().map(|factor| information(rules, space, &[*factor])).sum();
    bits(rules, space) - own
}

/// Cramér's V between the joint levels of `factors` and the value, over all runs: `sqrt(chi² / (n · min(r−1, c−1)))`
/// (Cramér 1946, §21.9). 0 where either has fewer than two values.
#[must_use]
pub fn cramers_v(evidence: &Evidence, factors: &[usize], feature: usize) -> f64 {
    let mut rows: HashMap<Vec<u16>, f64> = HashMap::new();
    let mut columns: HashMap<Value, f64> = HashMap::new();
    let mut cells: HashMap<(Vec<u16>, Value), f64> = HashMap::new();
    for (index, run) in evidence.runs().iter().enumerate() {
        let row: Vec<u16> = factors.iter().map(|factor| run.cell.levels.level(*factor)).collect();
        let column = evidence.value(index, feature);
        *rows.entry(row.clone()).or_default() += 1.0;
        *columns.entry(column).or_default() += 1.0;
        *cells.entry((row, column)).or_default() += 1.0;
    }
    let smaller = rows.len().min(columns.len());
    if smaller < 2 {
        return 0.0;
    }
    // chi² = n (Σ n_ij² / (n_i n_j) − 1); absent cells add nothing. Summed in a fixed order: floats do not commute.
    let mut terms: Vec<f64> =
        cells.iter().map(|((row, column), count)| count * count / (rows[row] * columns[column])).collect();
    terms.sort_by(f64::total_cmp);
    let chi_squared_by_n = (terms.iter().sum::<f64>() - 1.0).max(0.0);
    (chi_squared_by_n / f64::from(u32::try_from(smaller - 1).unwrap_or(u32::MAX))).sqrt().min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::evidence::Run;
    use crate::cell::{Assignment, Cell, CellId, Phase};
    use crate::feature::ValueId;

    #[test]
    fn cramers_v_is_scipys() {
        // scipy.stats.contingency.association([[10, 2], [3, 9]], method="cramer", correction=False) = 0.585369…
        let mut evidence = Evidence::default();
        for (level, value, times) in [(0, 0, 10), (0, 1, 2), (1, 0, 3), (1, 1, 9)] {
            for _ in 0..times {
                let cell = Cell {
                    id: CellId::nth(0),
                    round: 0,
                    phase: Phase::Cover,
                    levels: Assignment(vec![level]),
                    replicate: 0,
                };
                evidence.push(Run { cell, row: vec![Some(ValueId(value))] });
            }
        }
        assert!((cramers_v(&evidence, &[0], 0) - 0.585_369_4).abs() < 1e-6, "{}", cramers_v(&evidence, &[0], 0));
    }
}
