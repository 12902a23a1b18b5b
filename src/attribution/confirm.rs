//! **Confirming**: fresh runs in which fair coins are flipped on the factors of claims, as many claims at once as one cell
//! can serve.
//!
//! With `K` claims, a claim is reported iff its E reaches `K/α`: family-wise error at most α (Ville's inequality and a
//! union bound).

use super::claim::EXPECTED_GAIN;
pub use super::claim::{Claim, Coin, CoinRun, Standing};
use super::evidence::Value;
use super::placement::{self, Placement};
use crate::cell::Assignment;
use crate::design::Space;
use crate::design::randomise::{self, Generator};

/// Runs of one round at most: counts are taken only from earlier rounds' plan, so narrow rounds bet better, wide rounds
/// keep all slots busy.
const WIDEST_ROUND: usize = 12;

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

    /// One run: of a few placements the one that tells most, and then its coins. `state` has the claims as they would stand
    /// if the round's earlier coins earned what is expected of them.
    fn coin_run(&mut self, space: &Space, state: &mut [Claim]) -> Option<CoinRun> {
        let Placement { mut levels, pairs } = placement::best(space, state, self.threshold, &mut self.generator)?;
        // Every coin falls after the last choice: nothing that was chosen depends on how any of them fell.
        let mut coins = Vec::with_capacity(pairs.len());
        for (factor, pair) in pairs {
            let heads = randomise::coin(&mut self.generator);
            let (taken, other) = if heads { pair } else { (pair.1, pair.0) };
            levels.0[factor] = taken;
            coins.push(Coin { factor, taken, other });
        }
        for claim in state.iter_mut().filter(|claim| claim.standing == Standing::Live) {
            for coin in &coins {
                let Some(position) = claim.factors.iter().position(|factor| *factor == coin.factor) else { continue };
                let flipped = levels.with(coin.factor, coin.other);
                if claim.rules.predict(&levels) != claim.rules.predict(&flipped) {
                    claim.e *= EXPECTED_GAIN;
                    claim.e_factor[position] *= EXPECTED_GAIN;
                }
            }
            claim.judge(self.threshold);
        }
        Some(CoinRun { levels, coins })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::attribution::bars;
    use crate::attribution::evidence::{Evidence, Run};
    use crate::attribution::rule::{Literal, Rule, RuleList};
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

    fn history(mut value: impl FnMut(&Assignment) -> Value) -> Evidence {
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
    fn in_a_crowded_request_only_what_gets_on_is_given_coins() {
        let of_ten = |n: usize, chance: &mut Generator| Some(ValueId(u32::from(randomise::below(10, chance) < n)));
        let (mut longest, mut confirmed) = ([0, 0], [0, 0]);
        for seed in 0..30 {
            for crowded in [false, true] {
                // One that goes with the factor a little, and one that does so clearly.
                for (rates, clear) in [([4, 6], false), ([1, 9], true)] {
                    let mut chance = randomise::generator(seed, "agent");
                    let mut agent = |cell: &Assignment| of_ten(rates[usize::from(cell.level(0) == 1)], &mut chance);
                    let evidence = history(&mut agent);
                    let mut claim = claim_on(0, &evidence);
                    (claim.noisy, claim.crowded) = (true, crowded);
                    let coins = randomise::generator(seed, "coins");
                    let (confirmation, runs) = play(Confirmation::new(vec![claim], 0.04, 120, coins), agent);
                    if clear {
                        confirmed[usize::from(crowded)] +=
                            u32::from(confirmation.claims()[0].standing == Standing::Confirmed);
                    } else {
                        longest[usize::from(crowded)] = runs.max(longest[usize::from(crowded)]);
                    }
                }
            }
        }
        // A round that is under way is run to its end.
        assert!(longest[1] <= 2 * bars::TIRING as usize + WIDEST_ROUND, "{longest:?}");
        assert!(longest[0] > longest[1] + 20, "{longest:?}");
        assert!(confirmed[0] >= 28 && confirmed[1] + 1 >= confirmed[0], "{confirmed:?}");
    }
}
