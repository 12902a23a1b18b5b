//! **Grouping**: confirmed claims become findings, one a cause. A cause is a set of factors and the partition of their
//! levels. What a person would not notice never shares a finding with what he would, and what is explained never shares
//! one with what is not: neither may hide the other.

use std::collections::{BTreeMap, BTreeSet};

use sha2::Digest as _;

use super::{
    Class, Effect, Excerpt, Finding, Reproduce, Rule, Support, classify, codepoint, disclose, explain, fold, severity,
};
use crate::attribution::evidence::{Evidence, Value};
use crate::attribution::level_class::LevelClasses;
use crate::attribution::procedure::Judged;
use crate::attribution::rule::RuleList;
use crate::attribution::{correction, effect};
use crate::capture::Recall;
use crate::cell::Assignment;
use crate::design::Space;
use crate::feature::{Channel, Extractor, Feature, FeatureKind, Observation};
use crate::scenario::Scenario;
use crate::wire::{self, Operation};

/// What the findings are made from.
#[derive(Clone, Copy, Debug)]
pub struct Material<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    /// The run's seed.
    pub seed: u64,
    /// The space of its factors.
    pub space: &'a Space,
    /// All runs.
    pub evidence: &'a Evidence,
    /// Where the captures of the evidence's runs are.
    pub captures: &'a dyn Recall,
    /// What made the rows.
    pub extractor: &'a Extractor,
}

/// One feature of a confirmed claim, seen at the claim's representative runs.
pub(super) struct Place<'a> {
    pub(super) feature: &'a Feature,
    pub(super) index: usize,
    pub(super) claim: &'a Judged,
    pub(super) baseline_run: usize,
    pub(super) variant_run: usize,
    /// A run for each of the claim's rules.
    pub(super) variant_runs: Vec<usize>,
    pub(super) class: Class,
    pub(super) explained: Option<String>,
    /// Whether it is told with a finding that it follows from, and so does not speak for it.
    pub(super) follows: bool,
}

/// Factors, partition, whether a person sees it, whether it is explained.
pub(super) type Cause = (Vec<usize>, Partition, bool, bool);

/// Which cells share a value, values forgotten: the cells of the factors' table in lexicographic order, numbered by the
/// first cell with the same value. Two places with the same partition change together, whichever value is their base.
pub(super) type Partition = Vec<usize>;

/// Turns confirmed claims into findings, the ones a reader must see first at the front.
#[must_use]
pub fn findings(material: Material<'_>, confirmed: &[&Judged]) -> Vec<Finding> {
    let mut causes: BTreeMap<Cause, Vec<Place<'_>>> = BTreeMap::new();
    for claim in confirmed {
        let rules = &claim.claim.rules;
        let factors = rules.factors();
        let Some((baseline_run, variant_runs)) = representatives(material, claim) else { continue };
        for index in &claim.features {
            let Some(feature) = material.extractor.features().get(*index) else { continue };
            let seen = |run: usize| text(material, material.evidence.value(run, *index));
            let at_baseline = seen(baseline_run);
            // A place is as covert as its most covert variant: one visible value must not hide an invisible one.
            let Some((class, variant_run)) = variant_runs
                .iter()
                .map(|run| (classify::classify(&feature.kind, feature.channel, at_baseline, seen(*run)), *run))
                .min_by_key(|(class, _)| *class)
            else {
                continue;
            };
            let difference = explain::Difference {
                feature,
                factors: &factors,
                baseline: at_baseline,
                variants: rules
                    .rules
                    .iter()
                    .zip(&variant_runs)
                    .map(|(rule, run)| (sole_levels(rule), seen(*run)))
                    .collect(),
            };
            let explained = explain::explain(&difference, material.scenario);
            let covert = class == Class::Covert && explained.is_none();
            let cause = (factors.clone(), partition(material.space, rules), !covert, explained.is_some());
            causes.entry(cause).or_default().push(Place {
                feature,
                index: *index,
                claim,
                baseline_run,
                variant_run,
                variant_runs: variant_runs.clone(),
                class,
                explained,
                follows: false,
            });
        }
    }
    fold::fold(material, &mut causes);
    let mut findings: Vec<Finding> = causes.into_values().map(|places| finding(material, places)).collect();
    severity::judge(&mut findings, material.scenario);
    findings.sort_by(|a, b| {
        let key =
            |f: &Finding| (f.disclosed.is_some() || f.explained_by.is_some(), f.class, f.order, f.factors.clone());
        key(a).cmp(&key(b)).then_with(|| a.id.cmp(&b.id))
    });
    findings
}

pub(super) fn partition(space: &Space, rules: &RuleList) -> Partition {
    let mut numbers: BTreeMap<Value, usize> = BTreeMap::new();
    let factors = rules.factors();
    let mut number = |value: Value| {
        let next = numbers.len();
        *numbers.entry(value).or_insert(next)
    };
    let allowed = LevelClasses::new(space, &factors, None);
    match rules.table(space, &factors) {
        // What constraints forbid has no value, whatever the rules would say of it.
        Some(table) => (table.iter())
            .map(|(levels, value)| if allowed.allowed(levels) { number(*value) } else { FORBIDDEN })
            .collect(),
        // A table too large to be gone through: levels that the rules do not tell apart stand together.
        None => LevelClasses::new(space, &factors, Some(rules))
            .allowed_combinations()
            .flat_map(|(levels, weight)| {
                let mut cell = space.baseline();
                for (factor, level) in factors.iter().zip(&levels) {
                    cell.0[*factor] = *level;
                }
                let place = levels.into_iter().map(usize::from).chain([usize::try_from(weight).unwrap_or(FORBIDDEN)]);
                place.chain([number(rules.predict(&cell))]).collect::<Vec<_>>()
            })
            .collect(),
    }
}

/// The number of a combination that has no value.
const FORBIDDEN: usize = usize::MAX;

/// The levels of a rule that names one factor.
pub(super) fn sole_levels(rule: &crate::attribution::rule::Rule) -> Vec<u16> {
    match &rule.when[..] {
        [literal] => literal.levels.iter().copied().collect(),
        _ => Vec::new(),
    }
}

pub(super) fn text(material: Material<'_>, value: Value) -> Option<&str> {
    value.map(|value| material.extractor.value(value))
}

/// A run with the base value, and for each rule a run with the rule's value: each as near to the baseline as was run.
fn representatives(material: Material<'_>, claim: &Judged) -> Option<(usize, Vec<usize>)> {
    let rules = &claim.claim.rules;
    let baseline = material.space.baseline();
    let as_predicted: Vec<usize> = (0..material.evidence.runs().len())
        .filter(|run| {
            let levels = &material.evidence.runs()[*run].cell.levels;
            material.evidence.value(*run, claim.claim.feature) == rules.predict(levels)
        })
        .collect();
    let levels = |run: &usize| &material.evidence.runs()[*run].cell.levels;
    let nearest = |wanted: &dyn Fn(&Assignment) -> bool, to: &Assignment| {
        as_predicted
            .iter()
            .filter(|run| wanted(levels(run)))
            .min_by_key(|run| (distance(levels(run), to), **run))
            .copied()
    };
    let base = nearest(&|cell| rules.predict(cell) == rules.base, &baseline)?;
    let from = material.evidence.runs()[base].cell.levels.clone();
    let variants: Option<Vec<usize>> =
        rules.rules.iter().map(|rule| nearest(&|cell| rule.matches(cell), &from)).collect();
    variants.filter(|variants| !variants.is_empty()).map(|variants| (base, variants))
}

fn distance(a: &Assignment, b: &Assignment) -> usize {
    a.0.iter().zip(&b.0).filter(|(x, y)| x != y).count()
}

/// Whether a place is in a call of a model's API: what the model is told comes before what anyone else is.
fn in_prompt(place: &Place<'_>) -> bool {
    let mut words = place.feature.place.split(' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return false };
    // Whoever asks for a model's description tells nobody anything.
    wire::recognise(method, target, false).is_some_and(|(_, operation)| operation != Operation::ShowModel)
}

/// How well a place shows what a finding is about: what speaks for itself beats what
/// follows, prompts beat other requests, text beats form, form beats presence.
fn telling(place: &Place<'_>) -> (bool, bool, u8, Channel) {
    let rank = match place.feature.kind {
        FeatureKind::Text => 0,
        FeatureKind::DateFormat | FeatureKind::LocalDate => 1,
        FeatureKind::Echo { .. } => 2,
        FeatureKind::Process => 3,
        FeatureKind::Json => 4,
        FeatureKind::Presence => 5,
        FeatureKind::Count => 6,
        FeatureKind::Shape | FeatureKind::Order | FeatureKind::Sequence => 7,
        FeatureKind::Signature | FeatureKind::Layout | FeatureKind::Route => 8,
    };
    (place.follows, !in_prompt(place), rank, place.feature.channel)
}

fn finding(material: Material<'_>, mut places: Vec<Place<'_>>) -> Finding {
    // Features are numbered as they were met, which depends on the run order: sort by what does not.
    places.sort_by_cached_key(|place| (telling(place), place.feature.id.clone()));
    let class = group_class(&places);
    let best = &places[0];
    let rules = &best.claim.claim.rules;
    let factor_name = |factor: usize| material.scenario.factors[factor].name.clone();
    let factors: Vec<String> = rules.factors().into_iter().map(factor_name).collect();
    let rule = shown_rules(material, best, rules);
    let names: Vec<String> = places.iter().map(|place| place.feature.place.clone()).collect();
    let explained_by = best.explained.clone();
    let channel = best.feature.channel;
    let weakest = places
        .iter()
        .map(|place| place.claim)
        .min_by(|a, b| (a.claim.e / a.threshold).total_cmp(&(b.claim.e / b.threshold)))
        .unwrap_or(best.claim);
    let unconfirmed = weakest.claim.factors.iter().zip(weakest.claim.confirmed_factors(weakest.threshold));
    let suggested = unconfirmed.filter(|(_, confirmed)| !confirmed).map(|(factor, _)| factor_name(*factor)).collect();
    let p_value = correction::anytime_p(weakest.claim.e);
    let excerpt = |run: usize| {
        let cell = &material.evidence.runs()[run].cell;
        let capture = material.captures.recall(&cell.id)?;
        material.extractor.excerpt(best.index, Observation { levels: &cell.levels, capture: &capture })
    };
    let baseline = excerpt(best.baseline_run);
    // What no reader sees must be shown alone, if a run has it alone: other findings may change the same line.
    let shown = if class == Class::Covert { like(material, best, CANDIDATES) } else { vec![best.variant_run] };
    let (variant_run, variant) = shown
        .into_iter()
        .map(|run| (run, excerpt(run)))
        .min_by_key(|(_, variant)| changed(baseline.as_deref(), variant.as_deref()))
        .unwrap_or((best.variant_run, None));
    let codepoints = match (&baseline, &variant) {
        (Some(baseline), Some(variant)) => codepoint::differing(Some(baseline), Some(variant)),
        _ => Vec::new(),
    };
    let cell = |run: usize| material.evidence.runs()[run].cell.id.to_string();
    let (agree, disagree) = support(material.evidence, best.claim);
    let channels: BTreeSet<Channel> = places.iter().map(|place| place.feature.channel).collect();
    let disclosed = disclose::disclosed(&material.scenario.disclosed, &factors, &names);
    Finding {
        id: identity(material, rules, class, explained_by.is_some()),
        channel,
        places: once(names),
        channels: channels.into_iter().collect(),
        order: u32::try_from(factors.len()).unwrap_or(u32::MAX),
        suggested,
        factors,
        rule,
        class,
        severity: crate::scenario::Severity::default(),
        explained_by,
        excerpt: Excerpt { baseline, variant, codepoints },
        effect: strength(material, rules, best.claim.claim.feature),
        p_value,
        q_value: correction::bonferroni(p_value, weakest.claims),
        screen_p: weakest.screen_p,
        evidence_curve: weakest.claim.course.clone(),
        support: Support { agree, disagree, coins: weakest.claim.coins.iter().sum() },
        disclosed,
        reproduce: Reproduce {
            baseline_cell: cell(best.baseline_run),
            variant_cell: cell(variant_run),
            command: format!("parallax run scenarios/{}.toml --seed {}", material.scenario.name, material.seed),
            by_hand: None,
        },
    }
}

/// Each name where it stands first: several features can stand at one place (a text, the format of a date in it).
fn once(names: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    names.into_iter().filter(|name| seen.insert(name.clone())).collect()
}

/// Runs among which the clearest excerpt is looked for.
const CANDIDATES: usize = 8;

/// The runs that are as the claim says and in which its feature has the same value as in the place's variant run: those
/// nearest to the baseline run.
fn like(material: Material<'_>, place: &Place<'_>, most: usize) -> Vec<usize> {
    let (rules, feature) = (&place.claim.claim.rules, place.claim.claim.feature);
    let runs = material.evidence.runs();
    let value = |run: usize| material.evidence.value(run, feature);
    let levels = |run: usize| &runs[run].cell.levels;
    let mut like: Vec<usize> = (0..runs.len())
        .filter(|run| value(*run) == value(place.variant_run) && rules.predict(levels(*run)) == value(*run))
        .collect();
    like.sort_by_key(|run| (distance(levels(*run), levels(place.baseline_run)), *run));
    // One run for each cell: its replicates say the same.
    let mut seen = BTreeSet::new();
    like.retain(|run| seen.insert(levels(*run).clone()));
    like.truncate(most);
    like
}

/// How much of a line is changed, in characters.
fn changed(baseline: Option<&str>, variant: Option<&str>) -> usize {
    let (Some(baseline), Some(variant)) = (baseline, variant) else { return usize::MAX };
    let difference = similar::TextDiff::from_chars(baseline, variant);
    difference.iter_all_changes().filter(|change| change.tag() != similar::ChangeTag::Equal).count()
}

fn strength(material: Material<'_>, rules: &RuleList, feature: usize) -> Effect {
    let distribution = effect::Distribution::new(rules, material.space);
    let name = |factor: usize| material.scenario.factors[factor].name.clone();
    Effect {
        bits: distribution.bits(),
        shares: distribution.shares().into_iter().map(|(factor, share)| (name(factor), share)).collect(),
        interaction_bits: distribution.interaction(),
        distinguishable: u32::try_from(distribution.groups()).unwrap_or(u32::MAX),
        cramers_v: effect::cramers_v(material.evidence, &rules.factors(), feature),
    }
}

/// The class of a group: covert stands alone; otherwise what changes the most is what the group is called.
fn group_class(places: &[Place<'_>]) -> Class {
    // What is explained is open to anyone who reads it, wherever it stands.
    if places.iter().all(|place| place.explained.is_some()) {
        return Class::Overt;
    }
    let has = |class| places.iter().any(|place| place.class == class);
    [Class::Covert, Class::Structural, Class::Behavioural].into_iter().find(|class| has(*class)).unwrap_or(Class::Overt)
}

fn shown_rules(material: Material<'_>, place: &Place<'_>, rules: &RuleList) -> Vec<Rule> {
    rules
        .rules
        .iter()
        .map(|rule| {
            let when = rule
                .when
                .iter()
                .map(|literal| {
                    let factor = &material.scenario.factors[literal.factor];
                    let levels =
                        literal.levels.iter().map(|level| factor.levels[usize::from(*level)].label().to_owned());
                    (factor.name.clone(), levels.collect())
                })
                .collect();
            // The place's own value where the rule holds: a group's places share the partition, not the values.
            let run = (0..material.evidence.runs().len()).find(|run| {
                let levels = &material.evidence.runs()[*run].cell.levels;
                rule.matches(levels) && material.evidence.value(*run, place.claim.claim.feature) == rule.value
            });
            let value = run.and_then(|run| text(material, material.evidence.value(run, place.index)));
            Rule { when, value: value.map(short) }
        })
        .collect()
}

/// Values are shown short: captured text is its vendor's.
fn short(value: &str) -> String {
    const MOST: usize = 120;
    if value.chars().count() <= MOST {
        return value.to_owned();
    }
    let mut cut: String = value.chars().take(MOST - 1).collect();
    cut.push('…');
    cut
}

/// Runs that are as the rule says, and the others.
pub(super) fn support(evidence: &Evidence, judged: &Judged) -> (u32, u32) {
    let agree = (0..evidence.runs().len())
        .filter(|run| {
            evidence.value(*run, judged.claim.feature) == judged.claim.rules.predict(&evidence.runs()[*run].cell.levels)
        })
        .count();
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    (count(agree), count(evidence.runs().len() - agree))
}

/// An id that is the same in every run of the scenario that finds the same cause: no value, feature number or cell is in
/// it.
fn identity(material: Material<'_>, rules: &RuleList, class: Class, explained: bool) -> String {
    let factors: Vec<serde_json::Value> = rules
        .factors()
        .into_iter()
        .map(|factor| {
            let known = &material.scenario.factors[factor];
            let levels: Vec<&str> = known.levels.iter().map(crate::scenario::Level::label).collect();
            serde_json::json!([known.name, levels])
        })
        .collect();
    let partition = partition(material.space, rules);
    let text = serde_json::json!([material.scenario.name, factors, partition, class, explained]).to_string();
    format!("f{}", &hex::encode(sha2::Sha256::digest(text))[..10])
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use super::*;
    use crate::attribution::claim::Claim;
    use crate::attribution::evidence::Run;
    use crate::attribution::rule::{self, Literal};
    use crate::capture::{Body, Capture};
    use crate::cell::{Cell, CellId, Phase};
    use crate::scenario::{Factor, FactorKind, Level};

    #[derive(Debug)]
    struct Kept(HashMap<CellId, Arc<Capture>>);

    impl Recall for Kept {
        fn recall(&self, cell: &CellId) -> Option<Arc<Capture>> {
            self.0.get(cell).cloned()
        }
    }

    fn scenario() -> Scenario {
        let factor = |name: &str, levels: [&str; 2]| Factor {
            name: name.into(),
            kind: FactorKind::Env { variable: name.to_uppercase() },
            levels: levels.map(Level::set).to_vec(),
        };
        let factors = ["one", "two", "three"].map(|name| factor(name, ["usual", "unusual"])).to_vec();
        Scenario { factors, ..crate::run::testing::scenario() }
    }

    /// The finding of runs in which the first factor decides one quotation mark of a line, and the second a word of it.
    fn finding_of(cells: &[[u16; 3]]) -> Finding {
        let scenario = scenario();
        let capture = |levels: &[u16; 3]| {
            let mark = if levels[0] == 1 { '\u{2019}' } else { '\'' };
            let word = if levels[1] == 1 { "another" } else { "one" };
            let line = format!("Here{mark}s the text and this is {word} word of it");
            let body = serde_json::json!({ "messages": [{ "role": "user", "content": line }] }).to_string();
            let mut capture = crate::run::testing::capture();
            capture.exchanges[0].body = Body::new(body.into_bytes());
            Arc::new(capture)
        };
        let runs: Vec<(Cell, Arc<Capture>)> = (cells.iter().enumerate())
            .map(|(n, levels)| {
                let assignment = Assignment(levels.to_vec());
                let cell = Cell { id: CellId::nth(n), round: 0, phase: Phase::Cover, levels: assignment, replicate: 0 };
                (cell, capture(levels))
            })
            .collect();
        let mut extractor = Extractor::new(Arc::new(scenario.clone()));
        for (cell, capture) in &runs {
            extractor.learn(Observation { levels: &cell.levels, capture });
        }
        extractor.freeze();
        let mut evidence = Evidence::default();
        for (cell, capture) in &runs {
            let row = extractor.extract(Observation { levels: &cell.levels, capture });
            evidence.push(Run { cell: cell.clone(), row });
        }
        let at = |level: u16| cells.iter().position(|levels| levels[0] == level).unwrap();
        let (base, variant) = (at(0), at(1));
        let follows = |feature: &usize| {
            let value = |run: usize| evidence.value(run, *feature);
            let expected = |levels: &[u16; 3]| if levels[0] == 1 { value(variant) } else { value(base) };
            value(base) != value(variant) && cells.iter().enumerate().all(|(run, one)| value(run) == expected(one))
        };
        let features: Vec<usize> = (0..extractor.features().len()).filter(follows).collect();
        let lead = features[0];
        let rules = RuleList {
            base: evidence.value(base, lead),
            rules: vec![rule::Rule {
                when: vec![Literal { factor: 0, levels: [1].into() }],
                value: evidence.value(variant, lead),
            }],
        };
        let mut claim = Claim::new(lead, rules, false, &evidence);
        claim.e = 1e3;
        let judged = Judged { features, claim, threshold: 20.0, claims: 1, screen_p: None };
        let captures = Kept(runs.iter().map(|(cell, capture)| (cell.id.clone(), Arc::clone(capture))).collect());
        let space = Space::of(&scenario);
        let material = Material {
            scenario: &scenario,
            seed: 1,
            space: &space,
            evidence: &evidence,
            captures: &captures,
            extractor: &extractor,
        };
        findings(material, &[&judged]).remove(0)
    }

    #[test]
    fn what_no_reader_sees_is_shown_in_the_run_that_shows_it_alone() {
        // Of two variant cells equally far from the baseline, the first has another word in the same line.
        let finding = finding_of(&[[0, 0, 0], [1, 1, 0], [1, 0, 1], [0, 1, 1]]);
        assert_eq!(finding.class, Class::Covert);
        assert_eq!(finding.reproduce.variant_cell, "c0002");
        let (baseline, variant) = (finding.excerpt.baseline.unwrap(), finding.excerpt.variant.unwrap());
        assert_eq!(baseline.replace('\'', "\u{2019}"), variant);
        // Where no run shows it alone, the nearest has to do.
        let finding = finding_of(&[[0, 0, 0], [1, 1, 0], [0, 1, 1]]);
        assert_eq!(finding.reproduce.variant_cell, "c0001");
        assert!(finding.excerpt.variant.unwrap().contains("another"));
    }

    #[test]
    fn a_place_is_named_once() {
        let names = ["b", "a", "b", "c", "a"].map(String::from).to_vec();
        assert_eq!(once(names), ["b", "a", "c"]);
    }
}
