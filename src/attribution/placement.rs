//! **Placing coins**: the cell that a confirmation runs next, and which of its factors are left to a coin. A run costs the
//! same whatever it tells, so one cell serves as many claims as it can: a coin on a factor is a coin for every claim that
//! names it. A second factor of a claim is left to a coin as well where that serves others; the claim itself loses nothing
//! by it, since two coins that decide something half the time earn as much as one that always does.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::claim::{Claim, Standing};
use crate::cell::Assignment;
use crate::design::Space;
use crate::design::randomise::{self, Generator};

/// Placements that are looked at for one run.
const CANDIDATES: usize = 16;
/// Placements whose context is drawn; where constraints leave none of these, the baseline is one.
const DRAWN: usize = 48;
/// Factors of one claim that are left to coins by it in one run.
const COINS_A_CLAIM: usize = 2;
/// Coins of one run, all told: constraints are asked about every combination of their sides.
const MOST_COINS: usize = 12;
/// Coins of one claim that are weighed against each other when a placement is judged.
const WEIGHED: usize = 6;
/// Draws until a claim's trigger is met. It may be a needle among the combinations.
const TRIES: usize = 200;

/// A cell, and the factors in it that are still to be decided by a coin between two levels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Placement {
    /// The levels; of a factor with a coin, one of the two.
    pub(super) levels: Assignment,
    /// Factor → the two levels.
    pub(super) pairs: BTreeMap<usize, (u16, u16)>,
}

/// Coins that tell claims something which every run so far agrees with, the same of claims that chance has a part in, and
/// how few coins do it.
type Score = (f64, f64, Reverse<usize>);

/// The placement that tells most of a few that were drawn. `None` where no claim can be served.
pub(super) fn best(space: &Space, state: &[Claim], threshold: f64, generator: &mut Generator) -> Option<Placement> {
    let mut order: Vec<&Claim> = state.iter().filter(|claim| claim.standing == Standing::Live).collect();
    // Runs may end before every claim is settled, and what chance has a part in needs several times as many: claims that
    // every run so far agrees with come first, whatever the others need.
    order.sort_by_key(|claim| (claim.noisy, Reverse(claim.need(threshold)), claim.feature));
    let mut best: Option<(Score, Placement)> = None;
    let mut found = 0;
    for attempt in 0..DRAWN + CANDIDATES {
        let mut draft = Draft::new(space, attempt < DRAWN, generator);
        for claim in &order {
            draft.serve(space, claim, threshold, generator);
        }
        let placement = Placement { levels: draft.levels, pairs: draft.pairs };
        if placement.pairs.is_empty() || !placement.is_fair(space) {
            continue;
        }
        let tells = |noisy: bool| -> f64 {
            order.iter().filter(|claim| claim.noisy == noisy).map(|claim| placement.tells(claim, threshold)).sum()
        };
        let score = (tells(false), tells(true), Reverse(placement.pairs.len()));
        if best.as_ref().is_none_or(|(highest, _)| score > *highest) {
            best = Some((score, placement));
        }
        found += 1;
        if found >= CANDIDATES {
            break;
        }
    }
    best.map(|(_, placement)| placement)
}

impl Placement {
    /// A coin is fair only if both of its sides could have been run: with every combination of sides.
    fn is_fair(&self, space: &Space) -> bool {
        space.constraints.is_empty()
            || (0..1_usize << self.pairs.len()).all(|sides| {
                let mut cell = self.levels.clone();
                for (bit, (factor, pair)) in self.pairs.iter().enumerate() {
                    cell.0[*factor] = if sides >> bit & 1 == 1 { pair.1 } else { pair.0 };
                }
                space.allows(&cell)
            })
    }

    /// How many coins that a claim needs will decide something for it, on average over how the others fall.
    fn tells(&self, claim: &Claim, threshold: f64) -> f64 {
        let own: Vec<(usize, (u16, u16))> = (self.pairs.iter())
            .filter(|(factor, _)| claim.factors.contains(factor))
            .map(|(factor, pair)| (*factor, *pair))
            .take(WEIGHED)
            .collect();
        let needs = claim.needy(threshold);
        let sides = 1_u32 << own.len();
        let told: u32 = (0..sides)
            .map(|side| {
                let mut cell = self.levels.clone();
                for (bit, (factor, pair)) in own.iter().enumerate() {
                    cell.0[*factor] = if side >> bit & 1 == 1 { pair.1 } else { pair.0 };
                }
                let predicted = claim.rules.predict(&cell);
                let decides = |(bit, (factor, pair)): (usize, &(usize, (u16, u16)))| {
                    let other = if side >> bit & 1 == 1 { pair.0 } else { pair.1 };
                    needs.contains(factor) && claim.rules.predict(&cell.with(*factor, other)) != predicted
                };
                u32::try_from(own.iter().enumerate().filter(|at| decides(*at)).count()).unwrap_or(0)
            })
            .sum();
        f64::from(told) / f64::from(sides)
    }
}

/// A placement in the making.
struct Draft {
    levels: Assignment,
    pairs: BTreeMap<usize, (u16, u16)>,
    /// Factors without a coin that a claim relies on.
    pinned: BTreeSet<usize>,
}

impl Draft {
    /// A context: each factor at any level or at its baseline, with the same chance.
    fn new(space: &Space, drawn: bool, generator: &mut Generator) -> Self {
        let mut levels = space.baseline();
        if drawn {
            for factor in 0..space.factors() {
                if randomise::coin(generator) {
                    levels.0[factor] = any(space, factor, generator);
                }
            }
        }
        Self { levels, pairs: BTreeMap::new(), pinned: BTreeSet::new() }
    }

    fn is_open(&self, factor: usize) -> bool {
        !self.pairs.contains_key(&factor) && !self.pinned.contains(&factor)
    }

    /// Leaves a factor that this claim needs to a coin, or two, and sets the claim's others so that they matter: as far as
    /// what is there for other claims allows.
    fn serve(&mut self, space: &Space, claim: &Claim, threshold: f64, generator: &mut Generator) {
        let open: Vec<usize> = claim.factors.iter().copied().filter(|factor| self.is_open(*factor)).collect();
        if open.is_empty() || self.pairs.len() >= MOST_COINS {
            return;
        }
        let needy = claim.needy(threshold);
        let several = randomise::coin(generator);
        for _ in 0..TRIES {
            let cell = self.draw(space, claim, generator);
            let predicted = claim.rules.predict(&cell);
            let decides = |factor: usize, level: u16| claim.rules.predict(&cell.with(factor, level)) != predicted;
            let mut coins: Vec<(usize, (u16, u16))> = Vec::new();
            for factor in needy.iter().copied().filter(|factor| open.contains(factor)) {
                if coins.len() >= if several { COINS_A_CLAIM } else { 1 } {
                    break;
                }
                let other = any(space, factor, generator);
                if decides(factor, other) {
                    coins.push((factor, (cell.level(factor), other)));
                }
            }
            let given = |(factor, pair): (&usize, &(u16, u16))| {
                let other = if cell.level(*factor) == pair.0 { pair.1 } else { pair.0 };
                needy.contains(factor) && decides(*factor, other)
            };
            if coins.is_empty() && !self.pairs.iter().any(given) {
                continue;
            }
            for factor in &open {
                self.levels.0[*factor] = cell.level(*factor);
            }
            self.pinned.extend(open.iter().filter(|factor| coins.iter().all(|(coined, _)| coined != *factor)));
            self.pairs.extend(coins);
            return;
        }
    }

    /// A cell in which one of the claim's rules probably holds: what is decided stays, a coin that is there may fall either
    /// way, and the rest is drawn, from the rule's own levels often.
    fn draw(&self, space: &Space, claim: &Claim, generator: &mut Generator) -> Assignment {
        let mut cell = self.levels.clone();
        let rule = &claim.rules.rules[randomise::below(claim.rules.rules.len(), generator)];
        for factor in &claim.factors {
            if let Some(pair) = self.pairs.get(factor) {
                cell.0[*factor] = if randomise::coin(generator) { pair.0 } else { pair.1 };
            } else if self.is_open(*factor) {
                let literal = rule.when.iter().find(|literal| literal.factor == *factor);
                cell.0[*factor] = match literal {
                    Some(literal) if randomise::below(4, generator) > 0 => {
                        let nth = randomise::below(literal.levels.len(), generator);
                        literal.levels.iter().nth(nth).copied().unwrap_or(0)
                    }
                    _ => any(space, *factor, generator),
                };
            }
        }
        cell
    }
}

fn any(space: &Space, factor: usize, generator: &mut Generator) -> u16 {
    u16::try_from(randomise::below(usize::from(space.levels[factor]), generator)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::evidence::Evidence;
    use crate::attribution::rule::{Literal, Rule, RuleList};
    use crate::design::feasible::Constraints;
    use crate::feature::ValueId;
    use crate::scenario::Forbidden;

    fn space() -> Space {
        Space { levels: vec![3, 4, 2], constraints: Constraints::default() }
    }

    /// A claim that a value depends on these levels of these factors together.
    fn claim(feature: usize, when: &[(usize, &[u16])]) -> Claim {
        let literal =
            |(factor, levels): &(usize, &[u16])| Literal { factor: *factor, levels: levels.iter().copied().collect() };
        let when = when.iter().map(literal).collect();
        let rules = RuleList { base: Some(ValueId(0)), rules: vec![Rule { when, value: Some(ValueId(1)) }] };
        Claim::new(feature, rules, false, &Evidence::default())
    }

    #[test]
    fn one_run_serves_claims_that_share_a_factor() {
        let claims = [claim(0, &[(0, &[1]), (1, &[1, 2])]), claim(1, &[(1, &[1, 2, 3])]), claim(2, &[(2, &[1])])];
        let mut generator = randomise::generator(1, "coins");
        let mut told = [0.0; 3];
        for _ in 0..20 {
            let placement = best(&space(), &claims, 60.0, &mut generator).unwrap();
            for (sum, claim) in told.iter_mut().zip(&claims) {
                *sum += placement.tells(claim, 60.0);
            }
        }
        // Turn by turn, the first two would have ten each.
        assert!(told.iter().all(|told| *told >= 17.0), "{told:?}");
    }

    #[test]
    fn a_claim_alone_has_one_coin_that_always_decides() {
        let alone = [claim(0, &[(0, &[1]), (1, &[1, 2])])];
        let mut generator = randomise::generator(2, "coins");
        for _ in 0..20 {
            let placement = best(&space(), &alone, 60.0, &mut generator).unwrap();
            assert_eq!((placement.pairs.len(), placement.tells(&alone[0], 60.0)), (1, 1.0), "{placement:?}");
        }
    }

    #[test]
    fn the_factor_that_lacks_most_has_the_coin() {
        let mut claims = [claim(0, &[(0, &[1]), (1, &[1, 2])])];
        claims[0].e_factor = vec![100.0, 2.0];
        let mut generator = randomise::generator(3, "coins");
        let placement = best(&space(), &claims, 60.0, &mut generator).unwrap();
        assert!(placement.pairs.contains_key(&1) && placement.levels.level(0) == 1, "{placement:?}");
    }

    #[test]
    fn both_sides_of_every_coin_are_allowed() {
        let forbidden = Forbidden { when: vec![(0, vec![1]), (1, vec![0])] };
        let space = Space { constraints: Constraints::new(vec![3, 4, 2], vec![forbidden]), ..space() };
        let claims = [claim(0, &[(0, &[1])]), claim(1, &[(1, &[2])])];
        let mut generator = randomise::generator(4, "coins");
        for _ in 0..20 {
            let placement = best(&space, &claims, 60.0, &mut generator).unwrap();
            assert!(placement.is_fair(&space));
            let (zero, one) = (placement.pairs.get(&0), placement.pairs.get(&1));
            assert!(zero.is_none() || one.is_none_or(|pair| pair.0 != 0 && pair.1 != 0), "{placement:?}");
        }
    }
}
