//! Vary everything, then switch one factor off at a time: how reprotest names the variation that breaks a build. Blind to
//! OR and XOR, and with many levels one draw of them sees little.

use std::collections::{BTreeMap, BTreeSet};

use parallax::attribution::evidence::Value;
use parallax::attribution::rule::{Literal, Rule};
use parallax::cell::Assignment;
use parallax::design::randomise;

use super::execute;
use crate::agent::Agent;
use crate::score::{Claim, Outcome};

/// How often the whole is done, each time with other levels.
const REPEATS: usize = 10;

/// A feature is looked at where all runs of the baseline agree. A factor is blamed where, in at least half of the repeats in which a feature differed from the baseline, switching
/// that factor off brought the baseline's value back.
pub(crate) fn run(agent: &mut Agent, levels: &[u16], seed: u64) -> Outcome {
    let mut draw = randomise::generator(seed, "switch off");
    let baseline = Assignment::baseline(levels.len());
    // Feature → in how many repeats it differed; feature and factor → the levels and values for which it was blamed.
    let mut differed: BTreeMap<usize, usize> = BTreeMap::new();
    let mut blamed: BTreeMap<(usize, usize), Vec<(u16, Value)>> = BTreeMap::new();
    let mut bases: BTreeMap<usize, Vec<Value>> = BTreeMap::new();
    let mut runs = 0;
    for _ in 0..REPEATS {
        let mut varied = baseline.clone();
        for (factor, count) in levels.iter().enumerate() {
            let level = 1 + randomise::below(usize::from(*count) - 1, &mut draw);
            varied.0[factor] = u16::try_from(level).unwrap_or(1);
        }
        let mut cells = vec![baseline.clone(), varied.clone()];
        cells.extend((0..levels.len()).map(|factor| varied.with(factor, 0)));
        let table = execute(agent, cells);
        runs += table.len();
        for feature in 0..table[0].1.len() {
            let (base, seen) = (table[0].1[feature], table[1].1[feature]);
            bases.entry(feature).or_default().push(base);
            if base == seen {
                continue;
            }
            *differed.entry(feature).or_default() += 1;
            for factor in 0..levels.len() {
                if table[2 + factor].1[feature] == base {
                    blamed.entry((feature, factor)).or_default().push((varied.level(factor), seen));
                }
            }
        }
    }
    let claims = differed
        .into_iter()
        .filter(|(feature, _)| bases[feature].windows(2).all(|pair| pair[0] == pair[1]))
        .filter_map(|(feature, times)| {
            let votes: Vec<(usize, &Vec<(u16, Value)>)> = (0..levels.len())
                .filter_map(|factor| Some((factor, blamed.get(&(feature, factor))?)))
                .filter(|(_, votes)| 2 * votes.len() >= times)
                .collect();
            let value = super::commonest(votes.iter().flat_map(|(_, votes)| votes.iter().map(|vote| vote.1)));
            let when: Vec<Literal> = votes
                .into_iter()
                .map(|(factor, votes)| Literal {
                    factor,
                    levels: votes.iter().filter(|vote| vote.1 == value).map(|vote| vote.0).collect::<BTreeSet<_>>(),
                })
                .collect();
            let mut rules = super::no_rules(super::commonest(bases[&feature].iter().copied()));
            (!when.is_empty()).then(|| {
                rules.rules.push(Rule { when, value });
                Claim { feature, rules }
            })
        })
        .collect();
    Outcome { claims, runs }
}
