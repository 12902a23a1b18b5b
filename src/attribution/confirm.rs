//! **Confirming**: fresh runs in which fair coins are flipped on the claimed factors. Each (claim, factor) carries an
//! e-process: a bet on which side of the coin was taken, given the value that was seen (testing by betting: Shafer 2021;
//! e-values: Vovk and Wang 2021). Valid under any noise, drift or carry-over and under any stopping rule, because the coin is
//! ours: given everything else, its two sides had the same chance.
//!
//! With `K` claims, a claim is reported iff its E reaches `K/α`: family-wise error at most α (Ville's inequality and a
//! union bound).

use std::collections::{BTreeMap, BTreeSet};

use super::evidence::{Evidence, Value};
use super::rule::RuleList;
use crate::cell::Assignment;
use crate::design::Space;
use crate::design::randomise::{self, Generator};

/// What a coin of a predictive rule may be expected to earn, for planning only.
const EXPECTED_GAIN: f64 = 1.8;
/// E of a factor whose coins speak for it, though not yet loudly enough to confirm it.
const SPEAKS_FOR: f64 = 3.0;
/// Runs of one round at most: counts are taken only from earlier rounds' plan, so narrow rounds bet better, wide rounds
/// keep all slots busy.
const WIDEST_ROUND: usize = 12;

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
    /// E of the claim: from all coins of a run on its factors, taken together.
    pub e: f64,
    /// E of each factor, aligned with `factors`.
    pub e_factor: Vec<f64>,
    /// Coins flipped on each factor.
    pub coins: Vec<u32>,
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
            e: 1.0,
            e_factor: vec![1.0; factors.len()],
            coins: vec![0; factors.len()],
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
    fn absorb(&mut self, run: &CoinRun, seen: Value, threshold: f64) {
        if self.standing == Standing::Live {
            let own: Vec<Coin> = run.coins.iter().copied().filter(|coin| self.factors.contains(&coin.factor)).collect();
            for coin in &own {
                let Some(at) = self.factors.iter().position(|factor| *factor == coin.factor) else { continue };
                let Some(gain) = self.gain(&run.levels, *coin, seen) else { continue };
                self.e_factor[at] *= gain;
                self.coins[at] += 1;
            }
            self.e *= self.joint_gain(&run.levels, &own, seen);
            self.judge(threshold);
        }
        self.count(self.rules.predict(&run.levels), seen);
    }

    fn judge(&mut self, threshold: f64) {
        if self.e >= threshold && (0..self.factors.len()).all(|at| self.factor_confirmed(at, threshold)) {
            self.standing = Standing::Confirmed;
        } else if self.futile() {
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
            refuted || (coins >= 12 && self.e < 0.05) || (coins >= 30 && self.e < 1.0) || (coins >= 56 && self.e < 3.0)
        } else {
            (coins >= 6 && self.e < 0.2) || (coins >= 14 && self.e < 2.0)
        }
    }

    /// Whether the factor's own E shows that the value depends on it, given the claim: `E_i ≥ |S|/α`, with the α share
    /// that the claim's threshold implies.
    fn factor_confirmed(&self, at: usize, threshold: f64) -> bool {
        self.e_factor[at] >= factor_threshold(self.factors.len(), threshold)
    }

    /// The factors confirmed by their own coins, as flags aligned with `factors`.
    #[must_use]
    pub fn confirmed_factors(&self, threshold: f64) -> Vec<bool> {
        (0..self.factors.len()).map(|at| self.factor_confirmed(at, threshold)).collect()
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
        let mut rules = self.rules.clone();
        for rule in &mut rules.rules {
            rule.when.retain(|literal| kept(literal.factor));
        }
        rules.rules.retain(|rule| !rule.when.is_empty());
        (!rules.rules.is_empty()).then_some(rules)
    }

    /// Coins that it probably needs yet.
    fn need(&self, threshold: f64) -> usize {
        let coins = |from: f64, to: f64| {
            if from >= to { 0.0 } else { ((to / from.max(1e-9)).ln() / EXPECTED_GAIN.ln()).ceil() }
        };
        let by_factor: f64 =
            self.e_factor.iter().map(|e| coins(*e, factor_threshold(self.factors.len(), threshold))).sum();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small, never negative")]
        let need = coins(self.e, threshold).max(by_factor).clamp(1.0, 64.0) as usize;
        need
    }
}

/// Factors are told apart within a claim that passes as a whole, so α is shared by its factors only; never above the
/// claim's own threshold.
fn factor_threshold(factors: usize, threshold: f64) -> f64 {
    (f64::from(u32::try_from(factors).unwrap_or(u32::MAX)) / 0.05).min(threshold)
}

/// The confirmation of a list of claims.
#[derive(Debug)]
pub struct Confirmation {
    claims: Vec<Claim>,
    threshold: f64,
    generator: Generator,
    /// Runs that may still be asked for.
    left: usize,
    waiting: std::collections::VecDeque<CoinRun>,
}

impl Confirmation {
    /// Starts to confirm claims at family-wise error rate `alpha`, with at most `most` runs.
    #[must_use]
    pub fn new(claims: Vec<Claim>, alpha: f64, most: usize, generator: Generator) -> Self {
        let count = f64::from(u32::try_from(claims.len()).unwrap_or(u32::MAX));
        Self { threshold: count / alpha, claims, generator, left: most, waiting: std::collections::VecDeque::new() }
    }

    /// The claims.
    #[must_use]
    pub fn claims(&self) -> &[Claim] {
        &self.claims
    }

    /// `K/α`.
    #[must_use]
    pub fn threshold(&self) -> f64 {
        self.threshold
    }

    /// Takes the value that each claim's feature had in the oldest run that was planned and not yet taken. `None` where
    /// the engine could not run it: nothing was executed, nothing is bet.
    pub fn absorb(&mut self, seen: Option<&dyn Fn(usize) -> Value>) {
        let Some(run) = self.waiting.pop_front() else { return };
        let Some(seen) = seen else { return };
        for claim in &mut self.claims {
            claim.absorb(&run, seen(claim.feature), self.threshold);
        }
    }

    /// Plans the next round; empty when every claim is settled or runs are used up.
    pub fn plan(&mut self, space: &Space) -> Vec<Assignment> {
        let mut state: Vec<Claim> = self.claims.clone();
        let widest = state
            .iter()
            .filter(|claim| claim.standing == Standing::Live)
            .map(|claim| claim.need(self.threshold))
            .max()
            .unwrap_or(0)
            .clamp(0, WIDEST_ROUND)
            .min(self.left);
        let mut round = Vec::new();
        for _ in 0..widest {
            if let Some(run) = self.coin_run(space, &mut state) {
                round.push(run);
            }
        }
        self.left -= round.len();
        let cells = round.iter().map(|run| run.levels.clone()).collect();
        self.waiting.extend(round);
        cells
    }

    /// One run: a random context, and a coin for the neediest factor of as many claims with disjoint factors as there
    /// are. `state` has the claims as they would stand if the round's earlier coins earned what is expected of them.
    fn coin_run(&mut self, space: &Space, state: &mut [Claim]) -> Option<CoinRun> {
        let mut order: Vec<usize> = (0..state.len()).filter(|at| state[*at].standing == Standing::Live).collect();
        // Runs may end before every claim is settled, and what chance has a part in needs several times as many: claims that
        // every run so far agrees with come first, whatever the others need.
        order.sort_by_key(|at| (state[*at].noisy, std::cmp::Reverse(state[*at].need(self.threshold)), *at));
        for attempt in 0..24 {
            // The first attempts draw a random context; where constraints leave none, the baseline is one.
            let mut levels = space.baseline();
            if attempt < 16 {
                for factor in 0..space.factors() {
                    if randomise::coin(&mut self.generator) {
                        levels.0[factor] =
                            u16::try_from(randomise::below(usize::from(space.levels[factor]), &mut self.generator))
                                .unwrap_or(0);
                    }
                }
            }
            let mut used: BTreeSet<usize> = BTreeSet::new();
            let mut coins: Vec<(Coin, usize, usize)> = Vec::new();
            for at in &order {
                let claim = &state[*at];
                if claim.factors.iter().any(|factor| used.contains(factor)) {
                    continue;
                }
                let Some(position) =
                    (0..claim.factors.len()).min_by(|a, b| claim.e_factor[*a].total_cmp(&claim.e_factor[*b]))
                else {
                    continue;
                };
                let Some((placed, pair)) = self.place(space, claim, position, &levels) else { continue };
                levels = placed;
                used.extend(&claim.factors);
                let heads = randomise::coin(&mut self.generator);
                let (taken, other) = if heads { pair } else { (pair.1, pair.0) };
                let factor = claim.factors[position];
                levels.0[factor] = taken;
                coins.push((Coin { factor, taken, other }, *at, position));
            }
            if coins.is_empty() {
                continue;
            }
            // A coin is fair only if both of its sides could have been run: with every combination of sides.
            let fair = space.constraints.is_empty()
                || (0..1_usize << coins.len().min(16)).all(|sides| {
                    let mut cell = levels.clone();
                    for (bit, (coin, _, _)) in coins.iter().enumerate() {
                        cell.0[coin.factor] = if sides >> bit & 1 == 1 { coin.taken } else { coin.other };
                    }
                    space.allows(&cell)
                });
            if !fair {
                continue;
            }
            for (coin, _, _) in &coins {
                for claim in state.iter_mut().filter(|claim| claim.standing == Standing::Live) {
                    let flipped = levels.with(coin.factor, coin.other);
                    let Some(position) = claim.factors.iter().position(|factor| *factor == coin.factor) else {
                        continue;
                    };
                    if claim.rules.predict(&levels) != claim.rules.predict(&flipped) {
                        claim.e *= EXPECTED_GAIN;
                        claim.e_factor[position] *= EXPECTED_GAIN;
                    }
                }
            }
            for claim in state.iter_mut().filter(|claim| claim.standing == Standing::Live) {
                claim.judge(self.threshold);
            }
            return Some(CoinRun { levels, coins: coins.into_iter().map(|(coin, _, _)| coin).collect() });
        }
        None
    }

    /// Sets a claim's other factors so that its factor at `position` matters, and finds two levels of it with different
    /// predictions.
    fn place(
        &mut self,
        space: &Space,
        claim: &Claim,
        position: usize,
        context: &Assignment,
    ) -> Option<(Assignment, (u16, u16))> {
        let factor = claim.factors[position];
        let draw = |generator: &mut Generator, factor: usize| {
            u16::try_from(randomise::below(usize::from(space.levels[factor]), generator)).unwrap_or(0)
        };
        for _ in 0..400 {
            let mut cell = context.clone();
            // A rule's own levels, drawn from often: the trigger may be a needle among the combinations.
            let rule = &claim.rules.rules[randomise::below(claim.rules.rules.len(), &mut self.generator)];
            for other in &claim.factors {
                let literal = rule.when.iter().find(|literal| literal.factor == *other);
                cell.0[*other] = match literal {
                    Some(literal) if randomise::below(4, &mut self.generator) > 0 => {
                        let nth = randomise::below(literal.levels.len(), &mut self.generator);
                        literal.levels.iter().nth(nth).copied().unwrap_or(0)
                    }
                    _ => draw(&mut self.generator, *other),
                };
            }
            let on = cell.level(factor);
            let off = draw(&mut self.generator, factor);
            if claim.rules.predict(&cell) != claim.rules.predict(&cell.with(factor, off)) {
                return Some((cell, (on, off)));
            }
        }
        None
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

    fn claim_on(factor: usize, evidence: &Evidence) -> Claim {
        let when = vec![Literal { factor, levels: BTreeSet::from([1]) }];
        let rules = RuleList { base: Some(ValueId(0)), rules: vec![Rule { when, value: Some(ValueId(1)) }] };
        Claim::new(0, rules, false, evidence)
    }

    fn space() -> Space {
        Space { levels: vec![3, 2, 2], constraints: Constraints::default() }
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

    fn play(mut confirmation: Confirmation, mut agent: impl FnMut(&Assignment) -> Value) -> (Confirmation, usize) {
        let space = space();
        let mut runs = 0;
        loop {
            let round = confirmation.plan(&space);
            if round.is_empty() {
                return (confirmation, runs);
            }
            for cell in round {
                let value = agent(&cell);
                confirmation.absorb(Some(&|_| value));
                runs += 1;
            }
        }
    }

    #[test]
    fn a_true_claim_is_confirmed_in_few_runs() {
        let truth = |cell: &Assignment| Some(ValueId(u32::from(cell.level(0) == 1)));
        let evidence = history(truth);
        let confirmation = Confirmation::new(vec![claim_on(0, &evidence)], 0.05, 120, randomise::generator(1, "coins"));
        let (confirmation, runs) = play(confirmation, truth);
        assert_eq!(confirmation.claims()[0].standing, Standing::Confirmed);
        assert!(runs <= 10, "{runs}");
    }

    #[test]
    fn false_claims_pass_no_oftener_than_alpha() {
        // The history fits the claim by accident; in the confirmation the value is a coin of the agent's own.
        let evidence = history(|cell| Some(ValueId(u32::from(cell.level(0) == 1))));
        let mut confirmed = 0;
        for seed in 0..400 {
            let mut chance = randomise::generator(seed, "agent");
            let confirmation =
                Confirmation::new(vec![claim_on(0, &evidence)], 0.05, 120, randomise::generator(seed, "coins"));
            let (confirmation, _) = play(confirmation, |_| Some(ValueId(u32::from(randomise::coin(&mut chance)))));
            confirmed += u32::from(confirmation.claims()[0].standing == Standing::Confirmed);
        }
        // 400 · .05 = 20; the bound is far from tight for a coin.
        assert!(confirmed <= 20, "{confirmed} of 400");
    }

    #[test]
    fn a_claim_on_the_wrong_factor_is_futile() {
        let evidence = history(|cell| Some(ValueId(u32::from(cell.level(0) == 1))));
        let confirmation = Confirmation::new(vec![claim_on(1, &evidence)], 0.05, 120, randomise::generator(5, "coins"));
        let (confirmation, runs) = play(confirmation, |cell| Some(ValueId(u32::from(cell.level(0) == 1))));
        assert_eq!(confirmation.claims()[0].standing, Standing::Futile);
        assert!(runs < 40, "{runs}");
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
        claim.close(200.0);
        assert_eq!(claim.standing, Standing::Confirmed);
        assert_eq!(claim.confirmed_factors(200.0), [true, false]);
        let mut short = Claim { e: 150.0, standing: Standing::Live, ..claim };
        short.close(200.0);
        assert_eq!(short.standing, Standing::Live, "below the threshold nothing stands");
    }
}
