//! **Screening**: from columns of values to signals. A constant column is dropped; columns with the very same pattern
//! over all runs are one signal; a signal is deterministic while the baseline's replicates agree.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::evidence::{Evidence, Value};
use crate::design::Space;

/// Features that change together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    /// Feature indices, sorted; the first stands for all.
    pub features: Vec<usize>,
    /// The commonest value of the first feature in the baseline's runs.
    pub base: Value,
    /// Whether the baseline's replicates agree.
    pub deterministic: bool,
    /// Different values of the first feature.
    pub values: usize,
}

impl Signal {
    /// The feature that stands for all.
    #[must_use]
    pub fn lead(&self) -> usize {
        self.features[0]
    }
}

/// Finds the signals among `features` columns, most explainable first: by the impurity that the best single factor
/// leaves, then by feature index. Opaque columns (most values of the baseline differ) are left out: identifiers, whose
/// form is a feature of its own.
#[must_use]
pub fn signals(evidence: &Evidence, space: &Space, features: impl Iterator<Item = usize>) -> Vec<Signal> {
    let baseline = evidence.of(&space.baseline());
    let mut groups: BTreeMap<Vec<u32>, Vec<usize>> = BTreeMap::new();
    for feature in features {
        let pattern = evidence.pattern(feature);
        if pattern.iter().all(|number| *number == 0) {
            continue;
        }
        groups.entry(pattern).or_default().push(feature);
    }
    let mut signals: Vec<(u64, Signal)> = groups
        .into_iter()
        .filter_map(|(pattern, features)| {
            let lead = features[0];
            let seen: Vec<Value> = baseline.iter().map(|run| evidence.value(*run, lead)).collect();
            let distinct: HashSet<Value> = seen.iter().copied().collect();
            let values = pattern.iter().collect::<HashSet<_>>().len();
            if distinct.len() > 2 && 2 * distinct.len() > seen.len() || 3 * values > 2 * pattern.len() {
                return None;
            }
            let base = commonest(seen.iter().copied())?;
            let signal = Signal { base, deterministic: distinct.len() == 1, values, features };
            Some((impurity(evidence, space, lead), signal))
        })
        .collect();
    signals.sort_by_key(|(impurity, signal)| (!signal.deterministic, *impurity, signal.lead()));
    signals.into_iter().map(|(_, signal)| signal).collect()
}

/// The commonest value, the smallest among equals. `None` if there is none at all.
pub fn commonest(values: impl Iterator<Item = Value>) -> Option<Value> {
    let mut counts: BTreeMap<Value, usize> = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    let most = counts.values().copied().max()?;
    counts.into_iter().find(|(_, count)| *count == most).map(|(value, _)| value)
}

/// Runs that stay outside the commonest value of their level, for the factor that leaves fewest.
fn impurity(evidence: &Evidence, space: &Space, feature: usize) -> u64 {
    best_factor(evidence, space, feature).map_or(u64::MAX, |(_, left)| left)
}

/// The factor whose levels alone tell most of a feature, and the runs that it leaves unexplained.
#[must_use]
pub fn best_factor(evidence: &Evidence, space: &Space, feature: usize) -> Option<(usize, u64)> {
    (0..space.factors())
        .map(|factor| {
            let mut table: HashMap<u16, HashMap<Value, u64>> = HashMap::new();
            for (index, run) in evidence.runs().iter().enumerate() {
                *table
                    .entry(run.cell.levels.level(factor))
                    .or_default()
                    .entry(evidence.value(index, feature))
                    .or_default() += 1;
            }
            let left: u64 =
                table.values().map(|c| c.values().sum::<u64>() - c.values().copied().max().unwrap_or(0)).sum();
            (factor, left)
        })
        .min_by_key(|(factor, left)| (*left, *factor))
}
