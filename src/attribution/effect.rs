//! **Effect sizes**: how much of a value its factors decide.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::evidence::{Evidence, Value};
use super::level_class::LevelClasses;
use super::rule::RuleList;
use crate::cell::Assignment;
use crate::design::{Space, randomise};

/// Combinations of levels that are gone through one by one. Of more, so many are drawn.
const MOST_COMBINATIONS: usize = 1 << 16;
/// Factors up to which an interaction is named: what more of them say together has no sign that can be read.
const MOST_INTERACTING: usize = 3;

/// The joint distribution of the rules' factors and the value: every combination of the factors' levels that constraints
/// allow has the same chance, and the value is what the rules say. Where nothing is forbidden the factors are independent.
///
/// Of rules whose value shows at a rate below 1 this is what they say, not what a single run tells.
#[derive(Debug)]
pub struct Distribution {
    factors: Vec<usize>,
    /// Levels of the factors, value, weight.
    outcomes: Vec<(Vec<u16>, Value, f64)>,
}

impl Distribution {
    /// The distribution under some rules. Exact up to [`MOST_COMBINATIONS`] classes of levels, else from so many draws.
    #[must_use]
    pub fn new(rules: &RuleList, space: &Space) -> Self {
        let factors = rules.factors();
        let classes = LevelClasses::new(space, &factors, Some(rules));
        let mut cell = space.baseline();
        let mut outcome = |levels: Vec<u16>, weight: f64| {
            for (factor, level) in factors.iter().zip(&levels) {
                cell.0[*factor] = *level;
            }
            let value = rules.predict(&Assignment(cell.0.clone()));
            (levels, value, weight)
        };
        #[allow(clippy::cast_precision_loss, reason = "a weight beyond 2^53 is not missed in its last digits")]
        let outcomes = if classes.size().is_some_and(|size| size <= MOST_COMBINATIONS) {
            classes.allowed_combinations().map(|(levels, weight)| outcome(levels, weight as f64)).collect()
        } else {
            let mut generator = randomise::generator(0, "combinations of levels");
            let mut draw =
                |levels: u16| u16::try_from(randomise::below(levels.into(), &mut generator)).unwrap_or_default();
            (0..MOST_COMBINATIONS)
                .map(|_| factors.iter().map(|factor| draw(space.levels[*factor])).collect::<Vec<u16>>())
                .filter(|levels| classes.allowed(levels))
                .map(|levels| outcome(levels, 1.0))
                .collect()
        };
        Self { factors, outcomes }
    }

    /// Mutual information in bits between all factors and the value. The value is a function of them, so this is its
    /// entropy (Shannon 1948).
    #[must_use]
    pub fn bits(&self) -> f64 {
        self.information(&self.factors)
    }

    /// Mutual information in bits between some of the factors and the value.
    #[must_use]
    pub fn information(&self, factors: &[usize]) -> f64 {
        let mut joint: BTreeMap<(Vec<u16>, Value), f64> = BTreeMap::new();
        let mut marginal: BTreeMap<Vec<u16>, f64> = BTreeMap::new();
        let mut values: BTreeMap<Value, f64> = BTreeMap::new();
        for (levels, value, weight) in &self.outcomes {
            let own = self.factors.iter().zip(levels).filter(|(factor, _)| factors.contains(factor));
            let part: Vec<u16> = own.map(|(_, level)| *level).collect();
            *joint.entry((part.clone(), *value)).or_default() += weight;
            *marginal.entry(part).or_default() += weight;
            *values.entry(*value).or_default() += weight;
        }
        let total: f64 = values.values().sum();
        let information = joint
            .iter()
            .map(|((part, value), weight)| weight / total * (weight * total / (marginal[part] * values[value])).log2())
            .sum::<f64>();
        if information < ROUNDING { 0.0 } else { information }
    }

    /// What each factor tells by itself, in bits: (factor, share).
    #[must_use]
    pub fn shares(&self) -> Vec<(usize, f64)> {
        self.factors.iter().map(|factor| (*factor, self.information(&[*factor]))).collect()
    }

    /// Interaction information (`McGill` 1954) of two or three factors and the value, in bits, signed so that what needs
    /// all factors at once is positive: the sum over all sets of the factors of their mutual information with the value,
    /// minus where a factor is left out, plus where two are. `None` for another number of factors.
    ///
    /// Of two factors: what they tell together beyond what each tells alone. 1 for XOR, above 0 for a gate, 0 where they
    /// act each on its own, and, where constraints tie the factors to each other, below 0 if both tell the same. Of three: 1
    /// for an XOR of three, and below 0 where one factor chooses which other counts.
    #[must_use]
    pub fn interaction(&self) -> Option<f64> {
        if !(2..=MOST_INTERACTING).contains(&self.factors.len()) {
            return None;
        }
        let sum: f64 = (1_u32..1 << self.factors.len())
            .map(|set| {
                let chosen = self.factors.iter().enumerate().filter(|(bit, _)| set >> bit & 1 == 1);
                let chosen: Vec<usize> = chosen.map(|(_, factor)| *factor).collect();
                let sign = if (self.factors.len() - chosen.len()).is_multiple_of(2) { 1.0 } else { -1.0 };
                sign * self.information(&chosen)
            })
            .sum();
        Some(if sum.abs() < ROUNDING { 0.0 } else { sum })
    }

    /// Different values: into so many groups an endpoint that sees only the value could sort environments.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.outcomes.iter().map(|(_, value, _)| value).collect::<BTreeSet<_>>().len()
    }
}

/// Sums of logarithms below this are 0.
const ROUNDING: f64 = 1e-12;

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
