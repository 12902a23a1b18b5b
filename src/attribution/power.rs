//! **Power**: what a design could have missed.

use std::collections::HashMap;

use super::evidence::Evidence;
use crate::design::Space;
use crate::design::coverage::subsets;

/// The smallest rate at which a marker may show under its trigger and yet be seen at least once with probability .95,
/// where the trigger is the combination of `strength` levels that was run least often: `1 − .05^(1/m)` for `m` runs.
/// Combinations that were not run at all (forbidden, or lost) are not counted here: coverage says how many they are.
#[must_use]
pub fn smallest_rate(evidence: &Evidence, space: &Space, strength: usize) -> f64 {
    let mut least = usize::MAX;
    for set in subsets(space.factors(), strength) {
        let mut counts: HashMap<Vec<u16>, usize> = HashMap::new();
        for run in evidence.runs() {
            *counts.entry(set.iter().map(|factor| run.cell.levels.level(*factor)).collect()).or_default() += 1;
        }
        least = least.min(counts.values().copied().min().unwrap_or(usize::MAX));
    }
    if least == usize::MAX {
        return 1.0;
    }
    1.0 - 0.05_f64.powf(1.0 / f64::from(u32::try_from(least).unwrap_or(u32::MAX)))
}
