//! What a method claimed of an agent, against the truth, and sums over many agents.

use std::collections::BTreeSet;

use parallax::attribution::rule::RuleList;
use parallax::cell::Assignment;
use serde_json::{Value as Json, json};

use super::agent::{Agent, Marker};

/// What a method says of one feature.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) feature: usize,
    pub(crate) rules: RuleList,
}

/// All that a method says of an agent, and what it cost.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) claims: Vec<Claim>,
    pub(crate) runs: usize,
}

/// The score of one agent, or the sum over some.
#[derive(Clone, Debug, Default)]
pub(crate) struct Score {
    pub(crate) markers: usize,
    /// Markers claimed, with no factor that is not theirs.
    pub(crate) found: usize,
    /// Markers found whose claim has their full trigger table.
    pub(crate) exact: usize,
    pub(crate) claims: usize,
    /// Claims on a feature that is no marker, or with a factor that is not the marker's.
    pub(crate) wrong: usize,
    pub(crate) runs: usize,
}

impl Score {
    /// Judges what was claimed of an agent.
    pub(crate) fn of(outcome: &Outcome, agent: &Agent, levels: &[u16]) -> Self {
        let mut score = Self { markers: agent.markers.len(), runs: outcome.runs, ..Self::default() };
        let mut seen: BTreeSet<usize> = BTreeSet::new();
        for claim in &outcome.claims {
            score.claims += 1;
            let factors = claim.rules.factors();
            let right = agent
                .markers
                .get(claim.feature)
                .filter(|marker| !factors.is_empty() && factors.iter().all(|factor| marker.factors.contains(factor)));
            let Some(marker) = right else {
                score.wrong += 1;
                continue;
            };
            if seen.insert(claim.feature) {
                score.found += 1;
                score.exact += usize::from(same_table(levels, marker, &claim.rules));
            }
        }
        score
    }
}

fn same_table(levels: &[u16], marker: &Marker, rules: &RuleList) -> bool {
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

/// Sums over agents, as shares.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    pub(crate) agents: usize,
    pub(crate) recall: f64,
    pub(crate) exact: f64,
    /// Share of claims that are false.
    pub(crate) false_discoveries: f64,
    /// Share of agents with any false claim.
    pub(crate) any_false: f64,
    pub(crate) mean_runs: f64,
    /// 95th percentile.
    pub(crate) p95_runs: usize,
    pub(crate) most_runs: usize,
}

impl Summary {
    pub(crate) fn of<'a>(scores: impl Iterator<Item = &'a Score>) -> Self {
        let scores: Vec<&Score> = scores.collect();
        let sum = |of: fn(&Score) -> usize| scores.iter().map(|score| of(score)).sum::<usize>();
        #[allow(clippy::cast_precision_loss, reason = "small counts")]
        let share = |part: usize, whole: usize| if whole == 0 { f64::NAN } else { part as f64 / whole as f64 };
        let markers = sum(|score| score.markers);
        let claims = sum(|score| score.claims);
        let mut runs: Vec<usize> = scores.iter().map(|score| score.runs).collect();
        runs.sort_unstable();
        Self {
            agents: scores.len(),
            recall: share(sum(|score| score.found), markers),
            exact: share(sum(|score| score.exact), markers),
            false_discoveries: if claims == 0 { 0.0 } else { share(sum(|score| score.wrong), claims) },
            any_false: share(scores.iter().filter(|score| score.wrong > 0).count(), scores.len()),
            mean_runs: share(sum(|score| score.runs), scores.len()),
            p95_runs: runs.get((runs.len() * 95).div_ceil(100).saturating_sub(1)).copied().unwrap_or(0),
            most_runs: runs.last().copied().unwrap_or(0),
        }
    }

    pub(crate) fn json(&self) -> Json {
        let round = |x: f64| if x.is_nan() { Json::Null } else { json!((x * 10_000.0).round() / 10_000.0) };
        json!({
            "agents": self.agents, "recall": round(self.recall), "exact": round(self.exact),
            "false_discoveries": round(self.false_discoveries), "agents_with_any_false": round(self.any_false),
            "mean_runs": round(self.mean_runs), "p95_runs": self.p95_runs, "most_runs": self.most_runs,
        })
    }
}

/// A share as it stands in a table: `.968`, `1.000`, and a dash where there is none.
pub(crate) fn share(x: f64) -> String {
    if x.is_nan() { "–".to_owned() } else { format!("{x:.3}").trim_start_matches('0').to_owned() }
}
