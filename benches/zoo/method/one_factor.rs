//! One factor at a time: each level alone against the baseline, a few times each. Blind to whatever needs two factors.

use std::collections::BTreeMap;

use parallax::attribution::evidence::Value;
use parallax::attribution::rule::{Literal, Rule};
use parallax::cell::Assignment;
use parallax::design::randomise;

use super::{Table, execute};
use crate::agent::Agent;
use crate::score::{Claim, Outcome};

/// Runs of each level.
const REPLICATES: usize = 3;
/// Runs of the baseline.
const BASELINES: usize = 8;

/// A feature is claimed where the baseline's runs agree, and some level's runs agree on another value.
pub(crate) fn run(agent: &mut Agent, levels: &[u16], seed: u64) -> Outcome {
    let baseline = Assignment::baseline(levels.len());
    let mut cells = vec![baseline.clone(); BASELINES];
    for (factor, count) in levels.iter().enumerate() {
        for level in 1..*count {
            cells.extend(std::iter::repeat_n(baseline.with(factor, level), REPLICATES));
        }
    }
    randomise::shuffle(&mut cells, &mut randomise::generator(seed, "one factor at a time"));
    let table = execute(agent, cells);
    let features = table.first().map_or(0, |(_, row)| row.len());
    let claims = (0..features).filter_map(|feature| claim(&table, &baseline, feature)).collect();
    Outcome { claims, runs: table.len() }
}

fn claim(table: &Table, baseline: &Assignment, feature: usize) -> Option<Claim> {
    let mut seen: BTreeMap<&Assignment, Vec<Value>> = BTreeMap::new();
    for (cell, row) in table {
        seen.entry(cell).or_default().push(row[feature]);
    }
    let agreed = |values: &Vec<Value>| values.iter().all(|value| *value == values[0]).then_some(values[0]);
    let base = agreed(seen.get(baseline)?)?;
    let mut rules = super::no_rules(base);
    for (cell, values) in &seen {
        let Some(value) = agreed(values).filter(|value| *value != base) else { continue };
        let Some(factor) = (0..cell.0.len()).find(|factor| cell.level(*factor) != 0) else { continue };
        rules.rules.push(Rule { when: vec![Literal { factor, levels: [cell.level(factor)].into() }], value });
    }
    (!rules.rules.is_empty()).then_some(Claim { feature, rules })
}
