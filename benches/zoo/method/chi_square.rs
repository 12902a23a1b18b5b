//! A design fixed beforehand (a pairwise array, repeated in other labellings, or random cells), then a chi-square test of
//! every feature against every factor and every pair of factors, and Benjamini–Hochberg over all of them.

use std::collections::{BTreeMap, HashMap};

use parallax::attribution::evidence::Value;
use parallax::attribution::rule::{Literal, Rule};
use parallax::cell::Assignment;
use parallax::design::feasible::Constraints;
use parallax::design::{self, Space, randomise};
use parallax::scenario::{DesignOptions, Matrix};
use statrs::distribution::{ChiSquared, ContinuousCDF as _};

use super::{Table, execute};
use crate::agent::Agent;
use crate::score::{Claim, Outcome};

/// Rows of the pairwise design beside its baselines.
const ROWS: u32 = 120;
const BASELINES: u32 = 8;
/// Random cells.
const CELLS: usize = 200;
/// False discovery rate asked for.
const RATE: f64 = 0.05;
/// Factors of one claim: more make a table that no design fills.
const MOST_FACTORS: usize = 4;

pub(crate) fn pairwise(agent: &mut Agent, levels: &[u16], seed: u64) -> Outcome {
    let space = Space { levels: levels.to_vec(), constraints: Constraints::default() };
    let options =
        DesignOptions { strength: 2, budget: u32::MAX, replicates: BASELINES, minimum_rows: ROWS, alpha: RATE };
    analyse(&execute(agent, design::cover(&space, options, &Matrix::default(), seed).cells), levels)
}

pub(crate) fn random(agent: &mut Agent, levels: &[u16], seed: u64) -> Outcome {
    let mut draw = randomise::generator(seed, "random cells");
    let level = |count: &u16, draw: &mut _| u16::try_from(randomise::below(usize::from(*count), draw)).unwrap_or(0);
    let cells = (0..CELLS).map(|_| Assignment(levels.iter().map(|count| level(count, &mut draw)).collect())).collect();
    analyse(&execute(agent, cells), levels)
}

fn analyse(table: &Table, levels: &[u16]) -> Outcome {
    let features = table.first().map_or(0, |(_, row)| row.len());
    let mut sets: Vec<Vec<usize>> = (0..levels.len()).map(|factor| vec![factor]).collect();
    sets.extend(design::coverage::subsets(levels.len(), 2));
    let mut tests: Vec<(f64, usize, &Vec<usize>)> = Vec::new();
    for feature in 0..features {
        for set in &sets {
            if let Some(p) = p_value(table, feature, set) {
                tests.push((p, feature, set));
            }
        }
    }
    // Benjamini and Hochberg 1995: the largest i with p_(i) ≤ i/m · q, and all before it.
    tests.sort_by(|a, b| a.0.total_cmp(&b.0));
    #[allow(clippy::cast_precision_loss, reason = "small counts")]
    let passing = (0..tests.len())
        .rev()
        .find(|i| tests[*i].0 <= RATE * (i + 1) as f64 / tests.len() as f64)
        .map_or(0, |last| last + 1);
    let mut by_feature: BTreeMap<usize, Vec<&Vec<usize>>> = BTreeMap::new();
    for (_, feature, set) in &tests[..passing] {
        by_feature.entry(*feature).or_default().push(set);
    }
    let claims = by_feature
        .into_iter()
        .filter_map(|(feature, sets)| {
            // Factors that show alone; a pair only where neither of its factors does (most pairs with a factor that
            // shows alone show too, whatever the other is).
            let mut factors: Vec<usize> = sets.iter().filter(|set| set.len() == 1).map(|set| set[0]).collect();
            if factors.is_empty() {
                factors.clone_from(sets[0]);
            }
            factors.truncate(MOST_FACTORS);
            factors.sort_unstable();
            claim(table, feature, &factors)
        })
        .collect();
    Outcome { claims, runs: table.len() }
}

/// The chi-square test of independence. `None` where either side has one value only.
fn p_value(table: &Table, feature: usize, set: &[usize]) -> Option<f64> {
    let mut rows: HashMap<Vec<u16>, f64> = HashMap::new();
    let mut columns: HashMap<Value, f64> = HashMap::new();
    let mut cells: BTreeMap<(Vec<u16>, Value), f64> = BTreeMap::new();
    for (cell, row) in table {
        let key: Vec<u16> = set.iter().map(|factor| cell.level(*factor)).collect();
        *rows.entry(key.clone()).or_default() += 1.0;
        *columns.entry(row[feature]).or_default() += 1.0;
        *cells.entry((key, row[feature])).or_default() += 1.0;
    }
    if rows.len() < 2 || columns.len() < 2 {
        return None;
    }
    #[allow(clippy::cast_precision_loss, reason = "small counts")]
    let (total, freedom) = (table.len() as f64, ((rows.len() - 1) * (columns.len() - 1)) as f64);
    let sum: f64 = cells.iter().map(|((key, value), count)| count * count / (rows[key] * columns[value])).sum();
    Some(ChiSquared::new(freedom).ok()?.sf(total * (sum - 1.0).max(0.0)))
}

/// The commonest value for each combination of the factors' levels.
fn claim(table: &Table, feature: usize, factors: &[usize]) -> Option<Claim> {
    let mut seen: BTreeMap<Vec<u16>, Vec<Value>> = BTreeMap::new();
    for (cell, row) in table {
        seen.entry(factors.iter().map(|factor| cell.level(*factor)).collect()).or_default().push(row[feature]);
    }
    let mut rules = super::no_rules(super::commonest(seen.get(&vec![0; factors.len()])?.iter().copied()));
    for (key, values) in seen {
        let value = super::commonest(values.into_iter());
        let when = factors.iter().zip(key).map(|(factor, level)| Literal { factor: *factor, levels: [level].into() });
        rules.rules.push(Rule { when: when.collect(), value });
    }
    Some(Claim { feature, rules })
}
