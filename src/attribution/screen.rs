//! **Screening**: from columns of values to signals. A constant column is dropped; columns with the very same pattern
//! over all runs are one signal; a signal is deterministic while the baseline's replicates agree.

use std::collections::{BTreeMap, HashSet};

use rayon::prelude::*;

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
    // Columns are read in parallel and grouped in their order: the answer is the same on any number of cores.
    let features: Vec<usize> = features.filter(|feature| evidence.varies(*feature)).collect();
    let patterns: Vec<Vec<u32>> = features.par_iter().map(|feature| evidence.pattern(*feature)).collect();
    let mut groups: BTreeMap<Vec<u32>, Vec<usize>> = BTreeMap::new();
    for (feature, pattern) in features.into_iter().zip(patterns) {
        if pattern.iter().any(|number| *number != 0) {
            groups.entry(pattern).or_default().push(feature);
        }
    }
    let columns = columns(evidence, space);
    let mut signals: Vec<(u64, Signal)> = groups
        .into_par_iter()
        .filter_map(|(pattern, features)| {
            let lead = features[0];
            let seen: Vec<Value> = baseline.iter().map(|run| evidence.value(*run, lead)).collect();
            let distinct: HashSet<Value> = seen.iter().copied().collect();
            let values = pattern.iter().max().map_or(0, |last| *last as usize + 1);
            if distinct.len() > 2 && 2 * distinct.len() > seen.len() || 3 * values > 2 * pattern.len() {
                return None;
            }
            let base = commonest(seen.iter().copied())?;
            let signal = Signal { base, deterministic: distinct.len() == 1, values, features };
            Some((best_of(&pattern, values, &columns).map_or(u64::MAX, |(_, left)| left), signal))
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

/// The factor whose levels alone tell most of a feature, and the runs that it leaves unexplained: those outside the
/// commonest value of their level.
#[must_use]
pub fn best_factor(evidence: &Evidence, space: &Space, feature: usize) -> Option<(usize, u64)> {
    let pattern = evidence.pattern(feature);
    let values = pattern.iter().max().map_or(0, |last| *last as usize + 1);
    best_of(&pattern, values, &columns(evidence, space))
}

/// Each factor's level in every run, and how many levels it has.
fn columns(evidence: &Evidence, space: &Space) -> Vec<(Vec<u16>, usize)> {
    (0..space.factors())
        .map(|factor| {
            let levels = evidence.runs().iter().map(|run| run.cell.levels.level(factor)).collect();
            (levels, usize::from(space.levels[factor]))
        })
        .collect()
}

fn best_of(pattern: &[u32], values: usize, columns: &[(Vec<u16>, usize)]) -> Option<(usize, u64)> {
    columns
        .iter()
        .enumerate()
        .map(|(factor, (levels, count))| {
            let mut table = vec![0_u32; count * values];
            for (number, level) in pattern.iter().zip(levels) {
                table[usize::from(*level) * values + *number as usize] += 1;
            }
            let commonest: u64 =
                table.chunks(values.max(1)).map(|level| u64::from(level.iter().copied().max().unwrap_or(0))).sum();
            (factor, pattern.len() as u64 - commonest)
        })
        .min_by_key(|(factor, left)| (*left, *factor))
}
