//! **Alike**: claims by chance that say the same of one request. Where telemetry plays with chance, a hundred of its values
//! may go with a factor at some rate, each a claim of its own: each raises the bar for all others, and the weakest of them
//! takes most coins. The few that tell most stand for the rest, which is counted and not tested.

use std::collections::BTreeMap;

use super::claim::Claim;
use super::description;
use super::evidence::Evidence;
use super::rule::RuleList;
use crate::design::Space;

/// Claims by chance on the same factors that are tested of one request.
pub const MOST: usize = 8;

/// Places that were not tested, because others in the same request stand for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alike {
    /// The feature that is the request.
    pub request: usize,
    /// What they seem to depend on.
    pub factors: Vec<usize>,
    /// The features that stand for their signals.
    pub leads: Vec<usize>,
    /// Features of all of them.
    pub places: usize,
}

/// Takes those from `claims` (each with the features of its signal) for which others stand.
pub(super) fn set_aside(claims: &mut Vec<(Claim, Vec<usize>)>, evidence: &Evidence, space: &Space) -> Vec<Alike> {
    // By request and factors: how many bits each tells, and the feature that stands for its signal.
    let mut together = BTreeMap::<_, Vec<(f64, usize)>>::new();
    for (claim, _) in claims.iter().filter(|(claim, _)| claim.noisy) {
        let Some(request) = evidence.outermost(claim.feature) else { continue };
        let length = |rules: &RuleList| description::length(rules, evidence, space, claim.feature);
        let told = length(&RuleList { base: claim.rules.base, rules: Vec::new() }) - length(&claim.rules);
        together.entry((request, claim.factors.clone())).or_default().push((told, claim.feature));
    }
    let mut aside = Vec::new();
    for ((request, factors), mut of) in together {
        of.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let leads: Vec<usize> = of.into_iter().skip(MOST).map(|(_, lead)| lead).collect();
        if !leads.is_empty() {
            let others = claims.iter().filter(|(claim, _)| leads.contains(&claim.feature));
            let places = others.map(|(_, features)| features.len()).sum();
            aside.push(Alike { request, factors, leads, places });
        }
    }
    claims.retain(|(claim, _)| aside.iter().all(|alike| !alike.leads.contains(&claim.feature)));
    aside
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::attribution::evidence::Run;
    use crate::attribution::rule::{Literal, Rule};
    use crate::cell::{Assignment, Cell, CellId, Phase};
    use crate::design::feasible::Constraints;
    use crate::feature::ValueId;

    /// Features 1 to `count` stand in request 0, those after them in request `count + 1`; the greater the number of one is,
    /// the seldomer it shows where factor 0 has its other level.
    fn claims(count: usize, noisy: bool) -> (Vec<(Claim, Vec<usize>)>, Evidence, Space) {
        let space = Space { levels: vec![2, 2], constraints: Constraints::default() };
        let mut evidence = Evidence::default();
        for n in 0..80_u16 {
            let levels = Assignment(vec![n % 2, n / 2 % 2]);
            let shows = |feature: usize| u32::from(n % 2 == 1 && usize::from(n / 2) < 40 - feature);
            let row = (0..2 * count + 2).map(|feature| Some(ValueId(shows(feature)))).collect();
            let cell = Cell { id: CellId::nth(n.into()), round: 0, phase: Phase::Cover, levels, replicate: 0 };
            evidence.push(Run { cell, row });
        }
        let containers: Vec<Option<usize>> =
            (0..2 * count + 2).map(|at| (at % (count + 1) != 0).then_some(at / (count + 1) * (count + 1))).collect();
        evidence.contain(&containers);
        let when = vec![Literal { factor: 0, levels: BTreeSet::from([1]) }];
        let rules = RuleList { base: Some(ValueId(0)), rules: vec![Rule { when, value: Some(ValueId(1)) }] };
        let claims = (0..2 * count + 2)
            .map(|feature| (Claim::new(feature, rules.clone(), noisy, &evidence), vec![feature, 1000 + feature]))
            .collect();
        (claims, evidence, space)
    }

    fn leads(claims: &[(Claim, Vec<usize>)]) -> Vec<usize> {
        claims.iter().map(|(claim, _)| claim.feature).collect()
    }

    #[test]
    fn of_one_request_the_claims_that_tell_most_stand_for_the_rest() {
        let (mut all, evidence, space) = claims(MOST + 2, true);
        let aside = set_aside(&mut all, &evidence, &space);
        let other = MOST + 3;
        let of = |request| Alike {
            request,
            factors: vec![0],
            leads: vec![request + MOST + 1, request + MOST + 2],
            places: 4,
        };
        assert_eq!(aside, [of(0), of(other)], "each request has its own");
        let kept: Vec<usize> = (0..=MOST).chain(other..=other + MOST).collect();
        assert_eq!(leads(&all), kept, "and the requests themselves stay");
    }

    #[test]
    fn few_claims_and_those_without_chance_all_stay() {
        for (count, noisy) in [(MOST, true), (MOST + 9, false)] {
            let (mut all, evidence, space) = claims(count, noisy);
            assert_eq!(set_aside(&mut all, &evidence, &space), []);
            assert_eq!(all.len(), 2 * count + 2);
        }
    }
}
