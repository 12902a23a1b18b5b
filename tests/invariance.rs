//! The answer does not depend on luck of order: factors and levels in another order, and other seeds, give the same
//! findings on deterministic agents.

#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::sync::Arc;

use parallax::attribution::confirm::Standing;
use parallax::attribution::procedure::{Need, Procedure};
use parallax::design::Space;
use parallax::design::feasible::Constraints;
use parallax::design::randomise;
use parallax::feature::ValueId;
use parallax::scenario::DesignOptions;
use proptest::prelude::*;

/// An agent: a row of values for a cell, in the agent's own numbering of factors and levels.
type Agent = fn(&[u16]) -> Vec<u32>;

const LEVELS: [u16; 6] = [5, 4, 3, 3, 2, 2];

/// Markers of many forms; none needs a combination that a strength-2 array may lack.
const AGENTS: [(&str, Agent); 8] = [
    ("one level", |c| vec![u32::from(c[0] == 3), 7]),
    ("level set", |c| vec![7, u32::from([1, 4].contains(&c[0]))]),
    ("and", |c| vec![u32::from(c[1] == 2 && c[4] == 1)]),
    ("xor", |c| vec![u32::from((c[2] == 1) != (c[5] == 1))]),
    ("or", |c| vec![u32::from(c[1] == 3 || c[3] == 2)]),
    ("gate", |c| vec![if c[4] == 1 { 1 + u32::from(c[3] != 0) } else { 0 }]),
    ("four values", |c| vec![u32::from(c[0] % 4), u32::from(c[1] != 0 && c[3] != 0)]),
    ("three wide", |c| vec![u32::from(c[0] != 0 && c[1] != 0 && c[2] != 0)]),
];

/// Another presentation of the same factors: where each of the agent's factors stands, and which of the agent's levels each
/// level is. The baseline stays the baseline: it is chosen, not an accident of order.
struct Presentation {
    /// Position → the agent's factor.
    factors: Vec<usize>,
    /// Position → level → the agent's level.
    levels: Vec<Vec<u16>>,
}

impl Presentation {
    fn new(seed: u64) -> Self {
        let mut draw = randomise::generator(seed, "presentation");
        let mut factors: Vec<usize> = (0..LEVELS.len()).collect();
        randomise::shuffle(&mut factors, &mut draw);
        let levels = factors
            .iter()
            .map(|factor| {
                let mut others: Vec<u16> = (1..LEVELS[*factor]).collect();
                randomise::shuffle(&mut others, &mut draw);
                std::iter::once(0).chain(others).collect()
            })
            .collect();
        Self { factors, levels }
    }

    fn counts(&self) -> Vec<u16> {
        self.factors.iter().map(|factor| LEVELS[*factor]).collect()
    }

    /// The agent's own cell for a cell as presented.
    fn cell(&self, presented: &[u16]) -> Vec<u16> {
        let mut cell = vec![0; LEVELS.len()];
        for (at, level) in presented.iter().enumerate() {
            cell[self.factors[at]] = self.levels[at][usize::from(*level)];
        }
        cell
    }
}

/// What is confirmed, in the agent's own terms: features, factors and the value of every cell.
type Findings = BTreeSet<(Vec<usize>, Vec<usize>, Vec<Option<u32>>)>;

fn findings(agent: Agent, presentation: &Presentation, seed: u64) -> Findings {
    let space = Space { levels: presentation.counts(), constraints: Constraints::default() };
    let options = DesignOptions { strength: 2, budget: 600, replicates: 8, minimum_rows: 64, alpha: 0.05 };
    let mut procedure = Procedure::new(Arc::new(space), options, seed);
    while let Need::Cells(cells) = procedure.step() {
        for cell in cells {
            let row = agent(&presentation.cell(&cell.levels.0));
            procedure.absorb(Some(row.into_iter().map(|value| Some(ValueId(value))).collect()));
        }
    }
    let confirmed = procedure.judged().iter().filter(|judged| judged.claim.standing == Standing::Confirmed);
    confirmed
        .map(|judged| {
            let rules = judged.claim.rules.canonical(procedure.space());
            let mut factors: Vec<usize> = rules.factors().iter().map(|at| presentation.factors[*at]).collect();
            factors.sort_unstable();
            let cells: usize = LEVELS.iter().map(|levels| usize::from(*levels)).product();
            // Every cell as presented, its value filed under the agent's own cell.
            let mut values = vec![None; cells];
            for mut code in 0..cells {
                let mut presented = vec![0; LEVELS.len()];
                for (at, count) in presentation.counts().iter().enumerate() {
                    presented[at] = u16::try_from(code % usize::from(*count)).unwrap();
                    code /= usize::from(*count);
                }
                let own = presentation.cell(&presented);
                let index =
                    own.iter().zip(LEVELS).fold(0, |sum, (l, count)| sum * usize::from(count) + usize::from(*l));
                values[index] = rules.predict(&parallax::cell::Assignment(presented)).map(|value| value.0);
            }
            (judged.features.clone(), factors, values)
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 0, ..ProptestConfig::default() })]
    #[test]
    fn another_order_and_another_seed_give_the_same_findings(
        which in 0..AGENTS.len(), order in any::<u64>(), seed in any::<u64>(),
    ) {
        let (name, agent) = AGENTS[which];
        let first = findings(agent, &Presentation::new(1), 1);
        prop_assert!(!first.is_empty(), "{name}: nothing found");
        prop_assert_eq!(first, findings(agent, &Presentation::new(order), seed), "{}", name);
    }
}

#[test]
fn every_agent_is_found_right_under_each_of_three_presentations() {
    for (name, agent) in AGENTS {
        for seed in 1..=3 {
            for (features, _, values) in findings(agent, &Presentation::new(seed), seed) {
                for feature in features.into_iter().take(1) {
                    for (code, value) in values.iter().enumerate() {
                        let (mut cell, mut rest) = (vec![0; LEVELS.len()], code);
                        for at in (0..LEVELS.len()).rev() {
                            cell[at] = u16::try_from(rest % usize::from(LEVELS[at])).unwrap();
                            rest /= usize::from(LEVELS[at]);
                        }
                        assert_eq!(*value, Some(agent(&cell)[feature]), "{name}, seed {seed}, cell {cell:?}");
                    }
                }
            }
        }
    }
}
