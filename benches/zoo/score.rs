//! What a run through the procedure came to, against the truth.

use std::collections::BTreeSet;
use std::sync::Arc;

use parallax::attribution::confirm::Standing;
use parallax::attribution::procedure::{Need, Procedure};
use parallax::cell::Assignment;
use parallax::design::Space;
use parallax::design::feasible::Constraints;
use parallax::scenario::DesignOptions;

use super::agent::Agent;

/// The score of one agent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Score {
    pub(crate) markers: usize,
    pub(crate) found: usize,
    pub(crate) exact: usize,
    pub(crate) false_discoveries: usize,
    pub(crate) runs: usize,
}

/// Runs an agent through the procedure and scores what is confirmed.
pub(crate) fn run(mut agent: Agent, levels: &[u16], strength: u8, seed: u64) -> Score {
    let space = Arc::new(Space { levels: levels.to_vec(), constraints: Constraints::default() });
    let options = DesignOptions { strength, budget: 2000, replicates: 8, minimum_rows: 64, alpha: 0.05 };
    let mut procedure = Procedure::new(Arc::clone(&space), options, seed);
    while let Need::Cells(cells) = procedure.step() {
        for cell in cells {
            let row = agent.row(&cell.levels.0);
            procedure.absorb(Some(row));
        }
    }
    let mut score = Score { markers: agent.markers.len(), runs: procedure.counts().1, ..Score::default() };
    let mut found: BTreeSet<usize> = BTreeSet::new();
    for judged in procedure.judged().iter().filter(|judged| judged.claim.standing == Standing::Confirmed) {
        let rules = &judged.claim.rules;
        for feature in &judged.features {
            let Some(marker) = agent.markers.get(*feature) else {
                score.false_discoveries += 1;
                continue;
            };
            if rules.factors().iter().any(|factor| !marker.factors.contains(factor)) {
                score.false_discoveries += 1;
                continue;
            }
            if !found.insert(*feature) {
                continue;
            }
            score.found += 1;
            score.exact += usize::from(same_table(levels, marker, rules));
        }
    }
    score
}

fn same_table(levels: &[u16], marker: &super::agent::Marker, rules: &parallax::attribution::rule::RuleList) -> bool {
    let mut key = vec![0_u16; marker.factors.len()];
    loop {
        let mut cell = Assignment::baseline(levels.len());
        for (factor, level) in marker.factors.iter().zip(&key) {
            cell.0[*factor] = *level;
        }
        if rules.predict(&cell) != (marker.truth)(&cell.0) {
            return false;
        }
        let Some(at) = (0..key.len()).rev().find(|at| key[*at] + 1 < levels[marker.factors[*at]]) else { return true };
        key[at] += 1;
        key[at + 1..].fill(0);
    }
}

/// One line of the table.
pub(crate) fn summary(scores: &[&Score]) -> String {
    let sum = |of: fn(&Score) -> usize| scores.iter().map(|score| of(score)).sum::<usize>();
    #[allow(clippy::cast_precision_loss, reason = "small counts")]
    let share = |part: usize, whole: usize| if whole == 0 { f64::NAN } else { part as f64 / whole as f64 };
    let markers = sum(|score| score.markers);
    let with_false = scores.iter().filter(|score| score.false_discoveries > 0).count();
    format!(
        "{:>6} {:>6.3} {:>6.3} {:>6.3} {:>8.1} {:>8}",
        scores.len(),
        share(sum(|score| score.found), markers),
        share(sum(|score| score.exact), markers),
        share(with_false, scores.len()),
        share(sum(|score| score.runs), scores.len()),
        scores.iter().map(|score| score.runs).max().unwrap_or(0),
    )
}
