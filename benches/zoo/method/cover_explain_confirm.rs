//! Parallax itself.

use std::sync::Arc;

use parallax::attribution::confirm::Standing;
use parallax::attribution::procedure::{Need, Procedure};
use parallax::design::Space;
use parallax::design::feasible::Constraints;
use parallax::scenario::DesignOptions;

use crate::agent::Agent;
use crate::score::{Claim, Outcome};

/// Runs the whole procedure, as a campaign does, and gives what it confirmed.
pub(crate) fn run(agent: &mut Agent, levels: &[u16], strength: u8, seed: u64) -> Outcome {
    let procedure = procedure(agent, levels, strength, seed);
    let claims = procedure
        .judged()
        .iter()
        .filter(|judged| judged.claim.standing == Standing::Confirmed)
        .flat_map(|judged| {
            judged.features.iter().map(|feature| {
                // Features of one signal have one pattern, each with values of its own: those that the runs show.
                let lead = &judged.claim.rules;
                let rules = procedure.board().with(|evidence| {
                    let mut rules = lead.clone();
                    let of = |value| {
                        (0..evidence.runs().len())
                            .find(|run| evidence.value(*run, judged.claim.feature) == value)
                            .and_then(|run| evidence.value(run, *feature))
                    };
                    if *feature != judged.claim.feature {
                        rules.base = of(lead.base);
                        for rule in &mut rules.rules {
                            rule.value = of(rule.value);
                        }
                    }
                    rules
                });
                Claim { feature: *feature, rules }
            })
        })
        .collect();
    Outcome { claims, runs: procedure.counts().1 }
}

/// Drives the procedure to its end.
pub(crate) fn procedure(agent: &mut Agent, levels: &[u16], strength: u8, seed: u64) -> Procedure {
    let space = Arc::new(Space { levels: levels.to_vec(), constraints: Constraints::default() });
    let options = DesignOptions { strength, budget: 2000, replicates: 8, minimum_rows: 64, alpha: 0.05 };
    let mut procedure = Procedure::new(space, options, seed);
    while let Need::Cells(cells) = procedure.step() {
        for cell in cells {
            let row = agent.row(&cell.levels.0);
            procedure.absorb(Some(row));
        }
    }
    procedure
}
