//! **Power**: what a design could have missed, in numbers.
//!
//! A dependence has to pass two gates. It has to be *seen*: some run of the cover phase must have had its trigger and shown
//! it ([`exposure`], [`seen_rate`]). And, once it is suspected, it has to be *confirmed* by fair coins before they run out
//! ([`coins_needed`], [`confirmed_rate`]). How likely a rare value is to be suspected between the two is not counted here.

use std::collections::BTreeSet;

use super::bars::{FIRST_SHARE, FUTILE, MOST_CONFIRM, of_a_factor};
use super::evidence::Evidence;
use super::level_class::LevelClasses;
use crate::cell::Phase;
use crate::design::Space;
use crate::design::coverage::subsets;

/// Chance that what is called detectable is detected …
const POWER: f64 = 0.95;
/// … and that it is missed.
const MISS: f64 = 0.05;
/// Sets of factors times runs that are counted: of the order of a second.
const MOST_COUNTED: usize = 60_000_000;
/// Combinations of levels for which it is asked whether constraints allow them: no longer than that.
const MOST_TIED: usize = 200_000;

/// How often the combinations of some number of factors' levels were run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exposure {
    /// Combinations that were run.
    pub covered: u64,
    /// Combinations that constraints allow.
    pub total: u64,
    /// Runs of the one that was run least; 0 where not all were run.
    pub least: u32,
}

/// Counts how often the cover phase ran each combination of `order` factors' levels. `None` where there are fewer factors,
/// or so many sets of them that counting would take long.
#[must_use]
pub fn exposure(evidence: &Evidence, space: &Space, order: usize) -> Option<Exposure> {
    let runs: Vec<&[u16]> = (evidence.runs().iter())
        .filter(|run| run.cell.phase == Phase::Cover)
        .map(|run| run.cell.levels.0.as_slice())
        .collect();
    let sets = (0..order)
        .try_fold(1_usize, |sets, at| Some(sets.checked_mul(space.factors().checked_sub(at)?)? / (at + 1)))?;
    if order == 0 || sets == 0 || sets.checked_mul(runs.len())? > MOST_COUNTED {
        return None;
    }
    let sets = subsets(space.factors(), order);
    let forbidden = space.constraints.forbidden().iter().flat_map(|forbidden| &forbidden.when);
    let tied: BTreeSet<usize> = forbidden.map(|(factor, _)| *factor).collect();
    let is_tied = |set: &[usize]| set.iter().any(|factor| tied.contains(factor));
    // Of a factor that no constraint names, all levels are of one kind.
    let kinds: Vec<usize> = (0..space.factors()).map(|at| LevelClasses::new(space, &[at], None).count(0)).collect();
    sets.iter().filter(|set| is_tied(set)).try_fold(0_usize, |asked, set| {
        let combinations = set.iter().try_fold(1_usize, |all, factor| all.checked_mul(kinds[*factor]))?;
        asked.checked_add(combinations).filter(|asked| *asked <= MOST_TIED)
    })?;
    let (mut covered, mut total, mut least) = (0_u64, 0_u64, usize::MAX);
    let mut codes: Vec<u64> = Vec::with_capacity(runs.len());
    for set in sets {
        total += if is_tied(&set) {
            LevelClasses::new(space, &set, None).allowed_combinations().map(|(_, weight)| weight).sum::<u64>()
        } else {
            set.iter().map(|factor| u64::from(space.levels[*factor])).fold(1, u64::saturating_mul)
        };
        codes.clear();
        codes.extend(runs.iter().map(|levels| {
            set.iter().fold(0_u64, |code, factor| {
                code.wrapping_mul(space.levels[*factor].into()).wrapping_add(levels[*factor].into())
            })
        }));
        codes.sort_unstable();
        for same in codes.chunk_by(|a, b| a == b) {
            covered += 1;
            least = least.min(same.len());
        }
    }
    let least = if covered < total { 0 } else { u32::try_from(least).unwrap_or(u32::MAX) };
    Some(Exposure { covered, total, least })
}

/// The smallest rate at which a value may show and yet show at least once in `runs` runs with probability .95:
/// `1 − .05^(1/n)`, Clopper and Pearson's bound (1934) for none of `n`. `None` where nothing was run.
#[must_use]
pub fn seen_rate(runs: u32) -> Option<f64> {
    (runs > 0).then(|| 1.0 - MISS.powf(1.0 / f64::from(runs)))
}

/// The E that one claim more than `claims` would have had to reach: `K/α`, with the first confirmation's share of α.
#[must_use]
pub fn e_needed(claims: usize, alpha: f64) -> f64 {
    f64::from(u32::try_from(claims.saturating_add(1)).unwrap_or(u32::MAX)) / (alpha * FIRST_SHARE)
}

/// The cells that were left for coins: `budget` less what was run for something else, and never more than all
/// confirmations together may ask for.
#[must_use]
pub fn coins_available(budget: usize, spent: usize) -> u32 {
    u32::try_from(budget.saturating_sub(spent).min(MOST_CONFIRM)).unwrap_or(u32::MAX)
}

/// The fair coins that a dependence without chance needs: each at best doubles E (the bet is all on one side, and the
/// coin was fair), so `log2(K/α)` of them.
#[must_use]
pub fn coins_needed(e: f64) -> u32 {
    // Never more than a float has binary digits before the point.
    (0..=1024).find(|coins| f64::from(*coins) >= e.log2()).unwrap_or(1024)
}

/// The smallest rate at which a value may show where all of `order` factors have their trigger's levels, and never
/// elsewhere, and yet be confirmed with probability .95 by `coins` coins, each factor by coins of its own, once it is
/// suspected. 1 where only a dependence without chance would be; `None` where not even that.
///
/// Each factor's E has to reach `order/.05`, as in the confirmation, and the claim's own has to reach `e`. A run flips one
/// coin of a claim, for the factor whose E is lowest, so that the factors' E rise together and their product is the claim's.
/// See [`confirmation_chance`] for what else is assumed.
#[must_use]
pub fn confirmed_rate(order: u32, coins: u32, e: f64) -> Option<f64> {
    let factors = f64::from(order.max(1));
    let of_a_factor = of_a_factor(order.max(1) as usize, e);
    if coins < (order.max(1).saturating_mul(coins_needed(of_a_factor))).max(coins_needed(e)) {
        return None;
    }
    let bar = of_a_factor.powf(factors).max(e);
    let enough = |rate: f64| confirmation_chance(rate, coins, bar) >= POWER;
    if !enough(MOST_NOISY) {
        return Some(1.0);
    }
    let (mut too_low, mut high_enough) = (0.0, MOST_NOISY);
    while high_enough - too_low > 5e-4 {
        let middle = f64::midpoint(too_low, high_enough);
        if enough(middle) {
            high_enough = middle;
        } else {
            too_low = middle;
        }
    }
    Some(high_enough)
}

/// The highest rate that is taken for chance.
const MOST_NOISY: f64 = 0.999;

/// The chance that an E that is hedged for chance reaches `bar` within `coins` coins, where the value shows at `rate` on one
/// side of the coin and never on the other.
///
/// Exact but for one idealisation, that the bets know the rate (they learn it from earlier runs), by going through the
/// numbers of coins that fell on the trigger with the value, on it without, and beside it: a Markov chain that ends where
/// E reaches the bar and where the claim is given up. On average a coin earns the mutual information between its side and
/// the value, in nats, less the hedge (growth rate: Kelly 1956). `tests/statistics.rs` holds it against enumeration and
/// against the confirmation itself.
#[must_use]
pub fn confirmation_chance(rate: f64, coins: u32, bar: f64) -> f64 {
    let hedge = |gain: f64| (0.15 + 0.85 * gain).ln();
    // The bet on the side taken against the fair mixture of both: w(on) / ((w(on) + w(off)) / 2).
    let (hit, miss, off) = (hedge(2.0), hedge(2.0 * (1.0 - rate) / (2.0 - rate)), hedge(2.0 / (2.0 - rate)));
    let bar = bar.ln();
    let coins = coins as usize;
    let width = coins + 1;
    // The chance of so many hits and misses, of the coins so far, while nothing is decided.
    let mut now = vec![0.0; width * width];
    let mut next = now.clone();
    now[0] = 1.0;
    let mut confirmed = 0.0;
    for done in 1..=coins {
        next.fill(0.0);
        for hits in 0..done {
            for misses in 0..done - hits {
                let chance = now[hits * width + misses];
                // What is this unlikely changes no digit that is shown.
                if chance < 1e-12 {
                    continue;
                }
                next[(hits + 1) * width + misses] += chance * 0.5 * rate;
                next[hits * width + misses + 1] += chance * 0.5 * (1.0 - rate);
                next[hits * width + misses] += chance * 0.5;
            }
        }
        let bounds = FUTILE.iter().filter(|(least, _)| done >= *least);
        let futile = bounds.map(|(_, e)| e.ln()).fold(f64::NEG_INFINITY, f64::max);
        for hits in 0..=done {
            for misses in 0..=done - hits {
                let chance = &mut next[hits * width + misses];
                if *chance == 0.0 {
                    continue;
                }
                let [hits, misses, off_side] = [hits, misses, done - hits - misses].map(count);
                let e = hits * hit + misses * miss + off_side * off;
                if e >= bar - 1e-12 {
                    confirmed += *chance;
                    *chance = 0.0;
                } else if e < futile {
                    *chance = 0.0;
                }
            }
        }
        std::mem::swap(&mut now, &mut next);
    }
    confirmed
}

fn count(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

/// The smallest rate at which a marker may show under its trigger and yet be seen at least once with probability .95,
/// where the trigger is the combination of `strength` levels that the cover phase ran least often: `1 − .05^(1/m)` for `m`
/// runs. 1 where a combination that constraints allow was not run at all, or where there are too many to count: nothing
/// less than that is promised of them.
#[must_use]
pub fn smallest_rate(evidence: &Evidence, space: &Space, strength: usize) -> f64 {
    let exposure = exposure(evidence, space, strength.min(space.factors()));
    exposure.and_then(|exposure| seen_rate(exposure.least)).unwrap_or(1.0)
}
