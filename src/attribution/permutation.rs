//! **Permutation scan**: the noisy track. Where the same cell gives different values, ask which factor, split into two
//! sets of levels, tells most about one value; the chance of so much by accident is counted by permuting the runs
//! (Phipson and Smyth 2010: `(1 + #) / (B + 1)`, never 0).

use std::collections::BTreeSet;

use super::evidence::{Evidence, Value};
use super::rule::Literal;
use super::screen::Signal;
use crate::design::Space;
use crate::design::randomise::{self, Generator};

/// Permutations.
const PERMUTATIONS: usize = 999;
/// Values that a noisy signal may have: more are not told apart by so few runs.
const MOST_VALUES: usize = 6;
/// Clear enough to go on with at once.
pub(super) const CLEAR: f64 = 0.0025;
/// Enough to ask for more runs, which all signals in doubt share …
pub(super) const IN_DOUBT: f64 = 0.025;
/// … or this where the baseline itself is steady: a value that never shows there may be a rare one of a trigger.
pub(super) const IN_DOUBT_STEADY: f64 = 0.1;
/// Enough to go on with after more runs. Liberal: confirmation protects; but each hypothesis costs some forty runs.
pub(super) const GO_ON: f64 = 0.01;
/// The same for a further factor inside a trigger.
const GO_DEEPER: f64 = 0.01;
/// What a level costs in log-likelihood: splits into many levels fit chance better.
const PER_LEVEL: f64 = 0.35;

/// Looks for the value of a noisy signal, other than its base value, that one factor tells most about among `runs`, and
/// for that factor's levels in which it is commoner. The p-value is the smallest over values, times the values tried.
#[must_use]
pub fn first(
    evidence: &Evidence,
    space: &Space,
    signal: &Signal,
    runs: &[usize],
    generator: &mut Generator,
) -> Option<(f64, Value, Literal)> {
    let values: BTreeSet<Value> = runs.iter().map(|run| evidence.value(*run, signal.lead())).collect();
    if values.len() < 2 || values.len() > MOST_VALUES {
        return None;
    }
    let others: Vec<Value> = values.into_iter().filter(|value| *value != signal.base).collect();
    let tried = f64::from(u32::try_from(others.len()).unwrap_or(u32::MAX));
    let free: Vec<usize> = (0..space.factors()).collect();
    let mut best: Option<(f64, f64, Value, Literal)> = None;
    for value in others {
        let Some((p, split)) = test(evidence, space, signal.lead(), value, runs, &free, generator) else { continue };
        if best.as_ref().is_none_or(|(least, score, ..)| (p, -split.score) < (*least, -*score)) {
            best = Some((p, split.score, value, Literal { factor: split.factor, levels: split.levels }));
        }
    }
    best.map(|(p, _, value, literal)| (p * tried, value, literal))
}

/// Looks for a further factor that tells about `value` among `runs`, all inside a trigger that names other factors.
#[must_use]
pub fn further(
    evidence: &Evidence,
    space: &Space,
    feature: usize,
    value: Value,
    runs: &[usize],
    when: &[Literal],
    generator: &mut Generator,
) -> Option<Literal> {
    let free: Vec<usize> =
        (0..space.factors()).filter(|factor| when.iter().all(|literal| literal.factor != *factor)).collect();
    let (p, split) = test(evidence, space, feature, value, runs, &free, generator)?;
    (p <= GO_DEEPER).then_some(Literal { factor: split.factor, levels: split.levels })
}

fn test(
    evidence: &Evidence,
    space: &Space,
    feature: usize,
    value: Value,
    runs: &[usize],
    free: &[usize],
    generator: &mut Generator,
) -> Option<(f64, Split)> {
    let hits: Vec<bool> = runs.iter().map(|run| evidence.value(*run, feature) == value).collect();
    let split = best_split(evidence, space, runs, &hits, free)?;
    Some((p_value(evidence, space, runs, &hits, free, split.score, generator), split))
}

struct Split {
    factor: usize,
    /// The levels in which the value is commoner.
    levels: BTreeSet<u16>,
    score: f64,
}

/// The best split of any factor's levels, sorted by rate, by binomial log-likelihood ratio less a price per level.
fn best_split(evidence: &Evidence, space: &Space, runs: &[usize], hits: &[bool], factors: &[usize]) -> Option<Split> {
    let mut best: Option<Split> = None;
    for factor in factors {
        let mut tally: Vec<(f64, f64)> = vec![(0.0, 0.0); usize::from(space.levels[*factor])];
        for (run, hit) in runs.iter().zip(hits) {
            let cell = &mut tally[usize::from(evidence.runs()[*run].cell.levels.level(*factor))];
            cell.0 += f64::from(u8::from(*hit));
            cell.1 += 1.0;
        }
        let mut order: Vec<u16> =
            (0..space.levels[*factor]).filter(|level| tally[usize::from(*level)].1 > 0.0).collect();
        let rate = |level: &u16| tally[usize::from(*level)].0 / tally[usize::from(*level)].1;
        order.sort_by(|a, b| rate(b).total_cmp(&rate(a)).then(a.cmp(b)));
        let all = order.iter().fold((0.0, 0.0), |sum, level| add(sum, tally[usize::from(*level)]));
        let price = PER_LEVEL * f64::from(u32::try_from(order.len()).unwrap_or(u32::MAX));
        let mut inside = (0.0, 0.0);
        for cut in 1..order.len() {
            inside = add(inside, tally[usize::from(order[cut - 1])]);
            let outside = (all.0 - inside.0, all.1 - inside.1);
            let score = likelihood_ratio(inside, outside) - price;
            if best.as_ref().is_none_or(|best| score > best.score) {
                best = Some(Split { factor: *factor, levels: order[..cut].iter().copied().collect(), score });
            }
        }
    }
    best
}

fn add(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    (a.0 + b.0, a.1 + b.1)
}

/// Binomial log-likelihood ratio, in nats, of two rates (hits of runs inside and outside) against one: half of the G
/// statistic.
#[must_use]
pub fn likelihood_ratio(inside: (f64, f64), outside: (f64, f64)) -> f64 {
    likelihood(inside) + likelihood(outside) - likelihood(add(inside, outside))
}

/// Binomial log-likelihood at its maximum.
fn likelihood((hits, total): (f64, f64)) -> f64 {
    let term = |part: f64| if part > 0.0 { part * (part / total).ln() } else { 0.0 };
    term(hits) + term(total - hits)
}

fn p_value(
    evidence: &Evidence,
    space: &Space,
    runs: &[usize],
    hits: &[bool],
    factors: &[usize],
    score: f64,
    generator: &mut Generator,
) -> f64 {
    let mut permuted = hits.to_vec();
    let mut as_good = 0_u32;
    for _ in 0..PERMUTATIONS {
        randomise::shuffle(&mut permuted, generator);
        if best_split(evidence, space, runs, &permuted, factors).is_some_and(|split| split.score >= score - 1e-9) {
            as_good += 1;
        }
    }
    f64::from(1 + as_good) / f64::from(u32::try_from(PERMUTATIONS + 1).unwrap_or(u32::MAX))
}
