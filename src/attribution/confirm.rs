//! **Confirming**: fresh runs in which fair coins are flipped on the factors of claims, several claims at once where their
//! factors are disjoint.
//!
//! With `K` claims, a claim is reported iff its E reaches `K/α`: family-wise error at most α (Ville's inequality and a
//! union bound).

use std::collections::BTreeSet;

use super::claim::EXPECTED_GAIN;
pub use super::claim::{Claim, Coin, CoinRun, Standing};
use super::evidence::Value;
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
}
