//! **Permutation scan**: the noisy track. Where the same cell gives different values, ask which factor, split into two
//! sets of levels, tells most about one value; the chance of so much by accident is counted by permuting the runs
//! (Phipson and Smyth 2010: `(1 + #) / (B + 1)`, never 0).

use std::collections::BTreeSet;

use super::evidence::{Evidence, Value};
use super::rule::Literal;
use super::screen::Signal;
use crate::design::Space;
use crate::design::randomise::{self, Generator};

/// Permutations: enough to tell p-values below [`CLEAR`] where its bar is lowered for many signals.
const PERMUTATIONS: u32 = 3999;
/// The p-value where none of them was as good.
const SMALLEST: f64 = 1.0 / (PERMUTATIONS as f64 + 1.0);
/// As good permutations after which the p-value is known well enough: it is above [`IN_DOUBT_STEADY`] by then.
const ENOUGH: u32 = 120;
/// Values that a noisy signal may have: more are not told apart by so few runs.
const MOST_VALUES: usize = 6;
/// Clear enough to go on with at once.
pub(super) const CLEAR: f64 = 0.0025;
/// Enough to ask for more runs, which all signals in doubt share …
pub(super) const IN_DOUBT: f64 = 0.015;
/// … or this where the baseline itself is steady: a value that never shows there may be a rare one of a trigger.
pub(super) const IN_DOUBT_STEADY: f64 = 0.06;
/// Enough to go on with after more runs. Liberal: confirmation protects; but each hypothesis costs some forty runs.
pub(super) const GO_ON: f64 = 0.01;
/// The same for a further factor inside a trigger.
pub(super) const GO_DEEPER: f64 = 0.01;
/// Signals of one run that these bars are made for. Among more of them chance makes more hypotheses, each of which costs
/// runs, so that the bars are lowered in proportion (as Bonferroni would).
const FAMILY: f64 = 25.0;
/// What a level costs in log-likelihood: splits into many levels fit chance better.
const PER_LEVEL: f64 = 0.35;

/// What each bar is multiplied with where `signals` are looked at in one run.
#[must_use]
pub(super) fn strictness(signals: usize) -> f64 {
    (FAMILY / f64::from(u32::try_from(signals.max(1)).unwrap_or(u32::MAX))).min(1.0)
}

/// What the scan of a signal came to.
#[derive(Clone, Debug)]
pub struct First {
    /// The smallest p-value over values, times the values tried: it may be above 1.
    pub p: f64,
    /// No permutation was as good.
    pub best: bool,
    /// The value.
    pub value: Value,
    /// The factor, and its levels in which the value is commoner.
    pub literal: Literal,
}

impl First {
    /// Whether p is at most `bar`, or as small as so many permutations can show: many values or many signals may ask for
    /// less than that, and further runs could not show it either.
    #[must_use]
    pub fn reaches(&self, bar: f64) -> bool {
        self.best || self.p <= bar
    }
}

/// Looks for the value of a noisy signal, other than its base value, that one factor tells most about among `runs`, and
/// for that factor's levels in which it is commoner.
#[must_use]
pub fn first(
    evidence: &Evidence,
    space: &Space,
    signal: &Signal,
    runs: &[usize],
    generator: &mut Generator,
) -> Option<First> {
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
    best.map(|(p, _, value, literal)| First { p: p * tried, best: p <= SMALLEST, value, literal })
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
) -> Option<(f64, Literal)> {
    let free: Vec<usize> =
        (0..space.factors()).filter(|factor| when.iter().all(|literal| literal.factor != *factor)).collect();
    let (p, split) = test(evidence, space, feature, value, runs, &free, generator)?;
    Some((p, Literal { factor: split.factor, levels: split.levels }))
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
    let columns: Vec<Column> = free.iter().map(|factor| Column::new(evidence, space, runs, *factor)).collect();
    let hits: Vec<usize> = (0..runs.len()).filter(|at| evidence.value(runs[*at], feature) == value).collect();
    let split = best_split(&columns, &hits)?;
    Some((p_value(&columns, runs.len(), hits.len(), split.score, generator), split))
}

/// One factor's levels over the runs, and how many runs have each. Only the runs that have the value are counted anew for
/// every permutation; those totals stay.
struct Column {
    factor: usize,
    levels: Vec<u16>,
    totals: Vec<f64>,
}

impl Column {
    fn new(evidence: &Evidence, space: &Space, runs: &[usize], factor: usize) -> Self {
        let levels: Vec<u16> = runs.iter().map(|run| evidence.runs()[*run].cell.levels.level(factor)).collect();
        let mut totals = vec![0.0; usize::from(space.levels[factor])];
        for level in &levels {
            totals[usize::from(*level)] += 1.0;
        }
        Self { factor, levels, totals }
    }
}

struct Split {
    factor: usize,
    /// The levels in which the value is commoner.
    levels: BTreeSet<u16>,
    score: f64,
}

/// The best split of any factor's levels, sorted by rate, by binomial log-likelihood ratio less a price per level.
fn best_split(columns: &[Column], hits: &[usize]) -> Option<Split> {
    let mut best: Option<Split> = None;
    for column in columns {
        let mut tally: Vec<(f64, f64)> = column.totals.iter().map(|total| (0.0, *total)).collect();
        for at in hits {
            tally[usize::from(column.levels[*at])].0 += 1.0;
        }
        let mut order: Vec<u16> =
            (0_u16..).zip(&tally).filter(|(_, (_, total))| *total > 0.0).map(|(level, _)| level).collect();
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
                best = Some(Split { factor: column.factor, levels: order[..cut].iter().copied().collect(), score });
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

/// The share of permutations with as good a split. A value that is far from rare is told early: at [`ENOUGH`] such
/// permutations the share so far is the p-value (sequential Monte Carlo: Besag and Clifford 1991).
fn p_value(columns: &[Column], runs: usize, hits: usize, score: f64, generator: &mut Generator) -> f64 {
    let mut places: Vec<usize> = (0..runs).collect();
    let mut as_good = 0_u32;
    for done in 1..=PERMUTATIONS {
        let dealt = randomise::choose(&mut places, hits, generator);
        if best_split(columns, dealt).is_some_and(|split| split.score >= score - 1e-9) {
            as_good += 1;
        }
        if as_good >= ENOUGH {
            return f64::from(as_good) / f64::from(done);
        }
    }
    f64::from(1 + as_good) / f64::from(PERMUTATIONS + 1)
}
