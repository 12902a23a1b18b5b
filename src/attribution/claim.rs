//! A **claim**: rules of one feature, and what fair coins have earned for them. Each (claim, factor) carries an e-process: a
//! bet on which side of the coin was taken, given the value that was seen (testing by betting: Shafer 2021; e-values: Vovk
//! and Wang 2021). Valid under any noise, drift or carry-over and under any stopping rule, because the coin is ours: given
//! everything else, its two sides had the same chance.

use std::collections::{BTreeMap, BTreeSet};

use super::evidence::{Evidence, Value};
use super::rule::RuleList;
use super::{bars, description};
use crate::cell::Assignment;
use crate::design::Space;

/// What a coin of a predictive rule may be expected to earn, for planning only.
pub(super) const EXPECTED_GAIN: f64 = 1.8;
/// E of a factor whose coins speak for it, though not yet loudly enough to confirm it.
const SPEAKS_FOR: f64 = 3.0;

/// One claim: these rules hold of this feature.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The feature that stands for the signal.
    pub feature: usize,
    /// What is claimed.
    pub rules: RuleList,
    /// The factors claimed, sorted.
    pub factors: Vec<usize>,
    /// Whether chance is part of the claim (bets are hedged then).
    pub noisy: bool,
    /// Whether it is about something in a request that chance plays with a lot (see [`super::crowded`]).
    pub crowded: bool,
    /// E of the claim: from all coins of a run on its factors, taken together.
    pub e: f64,
    /// E of each factor, aligned with `factors`.
    pub e_factor: Vec<f64>,
    /// Coins flipped on each factor.
    pub coins: Vec<u32>,
    /// E after each run that had coins of its own.
    pub course: Vec<f64>,
    /// How it stands.
    pub standing: Standing,
    counts: BTreeMap<Value, BTreeMap<Value, f64>>,
}

/// How a claim stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// More coins are needed.
    Live,
    /// E reached the threshold.
    Confirmed,
    /// It will not.
    Futile,
}

/// A coin: which factor, which two levels, and which of them was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coin {
    /// Factor index.
    pub factor: usize,
    /// The level that the coin took.
    pub taken: u16,
    /// The level that it did not take.
    pub other: u16,
}

/// A planned fair-coin run.
#[derive(Clone, Debug)]
pub struct CoinRun {
    /// The cell.
    pub levels: Assignment,
    /// Its coins; their factors are distinct.
    pub coins: Vec<Coin>,
}

impl Claim {
    /// A claim, with what the runs before its confirmation say of how well its prediction holds.
    #[must_use]
    pub fn new(feature: usize, rules: RuleList, noisy: bool, evidence: &Evidence) -> Self {
        let factors = rules.factors();
        let mut claim = Self {
            feature,
            factors: factors.clone(),
            rules,
            noisy,
            crowded: false,
            e: 1.0,
            e_factor: vec![1.0; factors.len()],
            coins: vec![0; factors.len()],
            course: Vec::new(),
            standing: Standing::Live,
            counts: BTreeMap::new(),
        };
        for (index, run) in evidence.runs().iter().enumerate() {
            claim.count(claim.rules.predict(&run.cell.levels), evidence.value(index, feature));
        }
        claim
    }

    fn count(&mut self, predicted: Value, seen: Value) {
        *self.counts.entry(predicted).or_default().entry(seen).or_default() += 1.0;
    }

    /// The chance that we give to `seen` where `predicted` is predicted, from earlier runs, smoothed.
    fn weight(&self, predicted: Value, seen: Value) -> f64 {
        let values: BTreeSet<&Value> = self.counts.values().flat_map(BTreeMap::keys).collect();
        let kinds = f64::from(u32::try_from(values.len().max(2)).unwrap_or(u32::MAX));
        let row = self.counts.get(&predicted);
        let count = row.and_then(|row| row.get(&seen)).copied().unwrap_or(0.0);
        let total: f64 = row.map_or(0.0, |row| row.values().sum());
        (count + 0.25) / (total + 0.25 * kinds)
    }

    /// What one coin earns: the bet on the side taken against the fair mixture of both, all other coins as they fell.
    fn gain(&self, run: &Assignment, coin: Coin, seen: Value) -> Option<f64> {
        let (taken, other) = (self.rules.predict(run), self.rules.predict(&run.with(coin.factor, coin.other)));
        if taken == other {
            return None;
        }
        let (right, wrong) = (self.weight(taken, seen), self.weight(other, seen));
        Some(self.hedge(right / (0.5 * right + 0.5 * wrong)))
    }

    /// What the coins of one run on this claim's factors earn together: the sides taken against the fair mixture of all
    /// their sides. Not the product of each coin's own gain, nor the first gain that is not void: whether a coin decides
    /// anything depends on how the others fell, so picking one afterwards would not be a fair bet.
    fn joint_gain(&self, run: &Assignment, coins: &[Coin], seen: Value) -> f64 {
        let right = self.weight(self.rules.predict(run), seen);
        let sides = 1_u32 << coins.len().min(16);
        let mixture: f64 = (0..sides)
            .map(|sides| {
                let mut cell = run.clone();
                for (bit, coin) in coins.iter().enumerate() {
                    cell.0[coin.factor] = if sides >> bit & 1 == 0 { coin.taken } else { coin.other };
                }
                self.weight(self.rules.predict(&cell), seen)
            })
            .sum();
        self.hedge(right * f64::from(sides) / mixture)
    }

    fn hedge(&self, gain: f64) -> f64 {
        if self.noisy { 0.15 + 0.85 * gain } else { gain }
    }

    /// Takes a run of the plan. Every executed run counts.
    pub(super) fn absorb(&mut self, run: &CoinRun, seen: Value, threshold: f64) {
        if self.standing == Standing::Live {
            let own: Vec<Coin> = run.coins.iter().copied().filter(|coin| self.factors.contains(&coin.factor)).collect();
            for coin in &own {
                let Some(at) = self.factors.iter().position(|factor| *factor == coin.factor) else { continue };
                let Some(gain) = self.gain(&run.levels, *coin, seen) else { continue };
                self.e_factor[at] *= gain;
                self.coins[at] += 1;
            }
            self.e *= self.joint_gain(&run.levels, &own, seen);
            if !own.is_empty() {
                self.course.push(self.e);
            }
            self.judge(threshold);
        }
        self.count(self.rules.predict(&run.levels), seen);
    }

    pub(super) fn judge(&mut self, threshold: f64) {
        let settled = |at| self.factor_confirmed(at, threshold) || self.weak(at, threshold);
        if self.e >= threshold && (0..self.factors.len()).all(settled) {
            self.standing = Standing::Confirmed;
        } else if self.futile() || self.tiring(threshold) {
            self.standing = if self.e >= threshold { Standing::Confirmed } else { Standing::Futile };
        }
    }

    /// No more runs: a claim that reached the threshold stands, though not each of its factors has been confirmed by its
    /// own coins (see [`Claim::confirmed_factors`]).
    pub fn close(&mut self, threshold: f64) {
        if self.standing == Standing::Live && self.e >= threshold {
            self.standing = Standing::Confirmed;
        }
    }

    fn futile(&self) -> bool {
        let coins: u32 = self.coins.iter().sum();
        if self.noisy {
            // A value that shows in three of ten runs earns a tenth of a nat a coin: 33 coins on average, with a wide
            // spread. Claims of chance stay below 1.
            let refuted = self.factors.len() > 1
                && self.coins.iter().zip(&self.e_factor).any(|(coins, e)| *coins >= 12 && *e < 0.1);
            refuted || bars::FUTILE.iter().any(|(least, e)| coins as usize >= *least && self.e < *e)
        } else {
            (coins >= 6 && self.e < 0.2) || (coins >= 14 && self.e < 2.0)
        }
    }

    /// The same of the whole claim: where chance plays with hundreds of values, some go with a factor a little, and one of
    /// them could take all coins that there are.
    fn tiring(&self, threshold: f64) -> bool {
        let runs = u32::try_from(self.course.len()).unwrap_or(u32::MAX);
        self.noisy && self.crowded && self.e < threshold && bars::tires(runs, self.e, threshold)
    }

    /// Whether the factor's own E shows that the value depends on it, given the claim: `E_i ≥ |S|/α`, with the α share
    /// that the claim's threshold implies.
    fn factor_confirmed(&self, at: usize, threshold: f64) -> bool {
        self.e_factor[at] >= bars::of_a_factor(self.factors.len(), threshold)
    }

    /// Whether, in a crowded request, a factor's coins have not brought it far: how often a value shows depends on it a
    /// little at most, and what is left would cost more than all others together. It stays suggested, if anything.
    fn weak(&self, at: usize, threshold: f64) -> bool {
        let bar = bars::of_a_factor(self.factors.len(), threshold);
        self.noisy && self.crowded && bars::tires(self.coins[at], self.e_factor[at], bar)
    }

    /// The factors confirmed by their own coins, as flags aligned with `factors`.
    #[must_use]
    pub fn confirmed_factors(&self, threshold: f64) -> Vec<bool> {
        (0..self.factors.len()).map(|at| self.factor_confirmed(at, threshold)).collect()
    }

    /// The factors that coins should be flipped on, the neediest first: those that are not confirmed yet, or all where it is
    /// the claim itself that lacks something.
    pub(super) fn needy(&self, threshold: f64) -> Vec<usize> {
        let mut at: Vec<usize> = (0..self.factors.len()).filter(|at| !self.factor_confirmed(*at, threshold)).collect();
        if at.is_empty() {
            at = (0..self.factors.len()).collect();
        }
        at.sort_by(|a, b| self.e_factor[*a].total_cmp(&self.e_factor[*b]));
        at.into_iter().map(|at| self.factors[at]).collect()
    }

    /// The claim without the factors that its own coins speak against, where they speak for another: a further factor
    /// that was found by accident must not cost the one that is right. `None` where nothing is gained by it.
    #[must_use]
    pub fn without_refuted(&self) -> Option<RuleList> {
        let kept = |factor: usize| self.factors.iter().zip(&self.e_factor).any(|(own, e)| *own == factor && *e >= 1.0);
        let spoken_for = self.e_factor.iter().any(|e| *e >= SPEAKS_FOR);
        if !spoken_for || self.factors.iter().all(|factor| kept(*factor)) {
            return None;
        }
        let refuted = self.factors.iter().copied().filter(|factor| !kept(*factor));
        let rules = refuted.fold(self.rules.clone(), RuleList::without);
        (!rules.rules.is_empty()).then_some(rules)
    }

    /// The claim without the factors that its coins have not confirmed, where the runs are told as shortly without them: a
    /// further factor that was found by accident must not stand beside one that is confirmed. What the claim has earned
    /// stays: each factor's E is its own, and E says that the value depends on some of them. `None` where nothing goes.
    #[must_use]
    pub fn without_idle(&self, threshold: f64, evidence: &Evidence, space: &Space) -> Option<Self> {
        let confirmed = self.confirmed_factors(threshold);
        if !self.noisy || self.standing != Standing::Confirmed {
            return None;
        }
        let mut idle: Vec<usize> = (0..self.factors.len()).filter(|at| !confirmed[*at]).collect();
        idle.sort_by(|a, b| self.e_factor[*a].total_cmp(&self.e_factor[*b]));
        let length = |rules: &RuleList| description::length(rules, evidence, space, self.feature);
        let mut rules = self.rules.clone();
        for at in idle {
            let without = rules.clone().without(self.factors[at]).canonical(space);
            if !without.rules.is_empty() && length(&without) <= length(&rules) {
                rules = without;
            }
        }
        let factors = rules.factors();
        let at: Vec<usize> = (0..self.factors.len()).filter(|at| factors.contains(&self.factors[*at])).collect();
        // What stays must be confirmed as one factor of the claim that was made: a shorter one has lower bars.
        if at.len() == self.factors.len() || !at.iter().all(|at| confirmed[*at]) {
            return None;
        }
        Some(Self {
            rules,
            e_factor: at.iter().map(|at| self.e_factor[*at]).collect(),
            coins: at.iter().map(|at| self.coins[*at]).collect(),
            factors,
            ..self.clone()
        })
    }

    /// Coins that it probably needs yet.
    pub(super) fn need(&self, threshold: f64) -> usize {
        let coins = |from: f64, to: f64| {
            if from >= to { 0.0 } else { ((to / from.max(1e-9)).ln() / EXPECTED_GAIN.ln()).ceil() }
        };
        let by_factor: f64 =
            self.e_factor.iter().map(|e| coins(*e, bars::of_a_factor(self.factors.len(), threshold))).sum();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small, never negative")]
        let need = coins(self.e, threshold).max(by_factor).clamp(1.0, 64.0) as usize;
        need
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::evidence::Run;
    use crate::attribution::rule::{Literal, Rule};
    use crate::cell::{Cell, CellId, Phase};
    use crate::design::feasible::Constraints;
    use crate::feature::ValueId;

    fn history(value: impl Fn(&Assignment) -> Value) -> Evidence {
        let mut evidence = Evidence::default();
        for n in 0..24_u16 {
            let levels = Assignment(vec![n % 3, n / 3 % 2, n / 6 % 2]);
            let row = vec![value(&levels)];
            let cell = Cell { id: CellId::nth(n.into()), round: 0, phase: Phase::Cover, levels, replicate: 0 };
            evidence.push(Run { cell, row });
        }
        evidence
    }

    #[test]
    fn a_bet_earns_nothing_on_average_whatever_is_seen_and_however_many_coins_a_run_has() {
        // Over the fair sides of the coins, the mean of what is earned is exactly 1 for every value that may be seen: with
        // that, no stopping rule makes the claim's E large by chance oftener than Ville's inequality allows.
        let when = [0, 1, 2].map(|factor| Literal { factor, levels: BTreeSet::from([1]) }).to_vec();
        let rules = RuleList { base: Some(ValueId(0)), rules: vec![Rule { when, value: Some(ValueId(1)) }] };
        let evidence = history(|cell| Some(ValueId(u32::from(cell.0 == [1, 1, 1] || cell.level(0) == 2))));
        for noisy in [false, true] {
            let claim = Claim::new(0, rules.clone(), noisy, &evidence);
            for seen in [Some(ValueId(0)), Some(ValueId(1)), Some(ValueId(9)), None] {
                for count in 1..=3_u32 {
                    let mut mean = 0.0;
                    for sides in 0..1_u32 << count {
                        let mut cell = Assignment(vec![1, 1, 1]);
                        let mut coins = Vec::new();
                        for factor in 0..count as usize {
                            let taken = u16::try_from(sides >> factor & 1).unwrap();
                            cell.0[factor] = taken;
                            coins.push(Coin { factor, taken, other: 1 - taken });
                        }
                        mean += claim.joint_gain(&cell, &coins, seen) / f64::from(1_u32 << count);
                    }
                    assert!((mean - 1.0).abs() < 1e-12, "{mean} for {seen:?}, {count} coins");
                }
            }
        }
    }

    #[test]
    fn a_factor_that_coins_do_not_confirm_goes_where_the_runs_are_told_as_well_without_it() {
        let space = Space { levels: vec![3, 2, 2], constraints: Constraints::default() };
        let literal = |factor| Literal { factor, levels: BTreeSet::from([1]) };
        let rules = RuleList {
            base: Some(ValueId(0)),
            rules: vec![Rule { when: vec![literal(1), literal(2)], value: Some(ValueId(1)) }],
        };
        let claim = |evidence: &Evidence, noisy, e_factor: [f64; 2]| Claim {
            e: 300.0,
            e_factor: e_factor.to_vec(),
            coins: vec![9, 9],
            standing: Standing::Confirmed,
            ..Claim::new(0, rules.clone(), noisy, evidence)
        };
        let alone = history(|cell| Some(ValueId(u32::from(cell.level(1) == 1))));
        let both = history(|cell| Some(ValueId(u32::from(cell.level(1) == 1 && cell.level(2) == 1))));
        let idle = claim(&alone, true, [60.0, 5.0]).without_idle(200.0, &alone, &space).unwrap();
        assert_eq!(
            (idle.factors.as_slice(), idle.e_factor.as_slice(), idle.coins.as_slice()),
            (&[1][..], &[60.0][..], &[9][..])
        );
        assert_eq!((idle.rules.factors(), idle.e), (vec![1], 300.0));
        assert_eq!(idle.confirmed_factors(200.0), [true]);
        // It is needed; it is confirmed; nothing else is; chance has no part.
        assert!(claim(&both, true, [60.0, 5.0]).without_idle(200.0, &both, &space).is_none());
        assert!(claim(&alone, true, [60.0, 60.0]).without_idle(200.0, &alone, &space).is_none());
        assert!(claim(&alone, true, [5.0, 5.0]).without_idle(200.0, &alone, &space).is_none());
        assert!(claim(&alone, false, [60.0, 5.0]).without_idle(200.0, &alone, &space).is_none());
    }

    #[test]
    fn when_runs_end_a_claim_stands_by_its_own_e_and_each_factor_by_its_coins() {
        let evidence = history(|cell| Some(ValueId(u32::from(cell.level(0) == 1))));
        let when = vec![
            Literal { factor: 0, levels: BTreeSet::from([1]) },
            Literal { factor: 1, levels: BTreeSet::from([1]) },
        ];
        let rules = RuleList { base: Some(ValueId(0)), rules: vec![Rule { when, value: Some(ValueId(1)) }] };
        let mut claim = Claim::new(0, rules, false, &evidence);
        (claim.e, claim.e_factor) = (300.0, vec![60.0, 5.0]);
        claim.judge(200.0);
        assert_eq!(claim.standing, Standing::Live, "its second factor needs more coins");
        for (noisy, crowded, coins, e, standing) in [
            (true, true, 24, 5.0, Standing::Confirmed),
            (true, true, 23, 5.0, Standing::Live),
            (true, true, 24, 7.0, Standing::Live),
            (true, false, 24, 5.0, Standing::Live),
            (false, true, 24, 5.0, Standing::Live),
        ] {
            let mut tired = Claim { noisy, crowded, coins: vec![9, coins], e_factor: vec![60.0, e], ..claim.clone() };
            tired.judge(200.0);
            assert_eq!(tired.standing, standing, "{coins} coins that make {e}");
            assert_eq!(tired.confirmed_factors(200.0), [true, false], "suggested at most");
        }
        claim.close(200.0);
        assert_eq!(claim.standing, Standing::Confirmed);
        assert_eq!(claim.confirmed_factors(200.0), [true, false]);
        let mut short = Claim { e: 150.0, standing: Standing::Live, ..claim };
        short.close(200.0);
        assert_eq!(short.standing, Standing::Live, "below the threshold nothing stands");
    }
}
