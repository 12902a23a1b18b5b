//! Which agents there are: kinds × spaces × seeds, and their scores under a method.

use rayon::prelude::*;

use super::agent::Agent;
use super::kinds::Kind;
use super::method::Method;
use super::score::{Score, Summary};

/// One agent and how a method did on it.
#[derive(Clone, Debug)]
pub(crate) struct Trial {
    pub(crate) kind: Kind,
    /// Which of [`spaces`].
    pub(crate) space: usize,
    pub(crate) score: Score,
}

/// Level counts of the simulated scenarios: 4, 8, 12 and 20 factors, with the same largest pair.
pub(crate) fn spaces() -> Vec<Vec<u16>> {
    vec![
        vec![8, 5, 4, 3],
        vec![8, 5, 4, 4, 3, 3, 2, 2],
        vec![8, 5, 4, 4, 3, 3, 3, 3, 2, 2, 2, 2],
        [vec![8, 5, 4, 4], vec![3; 8], vec![2; 8]].concat(),
    ]
}

/// Runs a method on an agent of each kind, in each space, for each seed: the same agents for every method.
pub(crate) fn trials(method: Method, kinds: &[Kind], seeds: std::ops::Range<u64>) -> Vec<Trial> {
    let spaces = spaces();
    let mut jobs = Vec::new();
    for space in 0..spaces.len() {
        for kind in kinds {
            jobs.extend(seeds.clone().map(|seed| (space, *kind, seed)));
        }
    }
    jobs.into_par_iter()
        .map(|(space, kind, seed)| {
            let levels = &spaces[space];
            let mut agent = Agent::new(levels, kind, seed);
            let outcome = method.run(&mut agent, levels, seed);
            Trial { kind, space, score: Score::of(&outcome, &agent, levels) }
        })
        .collect()
}

/// Sums over the trials that a condition picks.
pub(crate) fn sum(trials: &[Trial], pick: impl Fn(&Trial) -> bool) -> Summary {
    Summary::of(trials.iter().filter(|trial| pick(trial)).map(|trial| &trial.score))
}
