//! **Folding** of places whose difference follows from another finding: the blank lines of a text that goes as a whole,
//! and what stands in a request that is not always sent. A request that comes and goes is one finding; that its values
//! are gone with it must not make a finding of each of them.

use std::collections::BTreeMap;

use super::Class;
use super::group::{Cause, Material, Place, partition, sole_levels, text};
use super::{classify, explain};
use crate::attribution::evidence::Value;
use crate::attribution::rule::{Literal, Rule, RuleList};
use crate::design::Space;
use crate::feature::{FeatureKind, ValueId};

/// Moves places to the findings that they follow from.
pub(super) fn fold(material: Material<'_>, causes: &mut BTreeMap<Cause, Vec<Place<'_>>>) {
    fold_space(causes);
    fold_presence(material, causes);
    causes.retain(|_, places| !places.is_empty());
}

/// Where a whole text comes or goes, so do its blank lines; where its words change, so does its white space. Beside a
/// difference of the same text that anyone sees, under the same levels, they are no covert one.
fn fold_space(causes: &mut BTreeMap<Cause, Vec<Place<'_>>>) {
    let covert: Vec<Cause> = causes.keys().filter(|cause| !cause.2 && !cause.3).cloned().collect();
    for cause in covert {
        let beside = (cause.0.clone(), cause.1.clone(), true, false);
        let Some(visible) = causes.get(&beside) else { continue };
        let text_of = |line: &str| line.rsplit_once(LINE).map(|(text, _)| text.to_owned());
        let moving: std::collections::HashSet<String> = visible
            .iter()
            .filter(|place| place.class == Class::Structural)
            .filter_map(|place| text_of(&place.feature.place))
            .collect();
        let changed: std::collections::HashSet<&str> =
            visible.iter().map(|place| place.feature.place.as_str()).collect();
        let follows = |place: &Place<'_>| match place.feature.kind {
            FeatureKind::Presence => text_of(&place.feature.place).is_some_and(|text| moving.contains(&text)),
            FeatureKind::Signature => {
                place.feature.place.strip_suffix(WHITE_SPACE).is_some_and(|text| changed.contains(text))
            }
            _ => false,
        };
        let flags: Vec<bool> = causes.get(&cause).into_iter().flatten().map(follows).collect();
        let mut flags = flags.into_iter();
        let places = causes.remove(&cause).unwrap_or_default();
        let (moved, kept): (Vec<_>, Vec<_>) = places.into_iter().partition(|_| flags.next().unwrap_or(false));
        causes.insert(cause, kept);
        let moved = moved.into_iter().map(|place| {
            let class = if place.feature.kind == FeatureKind::Presence { Class::Structural } else { Class::Overt };
            Place { class, follows: true, ..place }
        });
        causes.entry(beside).or_default().extend(moved);
    }
}

/// What stands before the number of a line in a place.
const LINE: &str = " \u{b7} line ";
/// What stands behind a text's place where its white space is meant.
const WHITE_SPACE: &str = " \u{b7} white space";

/// Where a place is missing under the levels under which another finding says that whole requests or texts are, the rest
/// of its rule is what counts: it belongs to the finding of that rule, or is explained by it.
fn fold_presence(material: Material<'_>, causes: &mut BTreeMap<Cause, Vec<Place<'_>>>) {
    let several: Vec<Cause> = causes.keys().filter(|cause| cause.0.len() > 1 && !cause.3).cloned().collect();
    let explained: Vec<Cause> = causes.keys().filter(|cause| cause.0.len() > 1 && cause.3).cloned().collect();
    for cause in several.into_iter().chain(explained) {
        let places = causes.remove(&cause).unwrap_or_default();
        for place in places {
            // What was moved already has runs that speak of its new finding.
            match rest(material, causes, &cause, &place).filter(|_| !place.follows) {
                Some((target, rest)) => causes.entry(target).or_default().push(rest.of(place)),
                None => causes.entry(cause.clone()).or_default().push(place),
            }
        }
    }
}

/// What is left of a place's rule where it is present.
struct Rest {
    baseline_run: usize,
    variant_run: usize,
    class: Class,
    explained: Option<String>,
    follows: bool,
}

impl Rest {
    fn of(self, place: Place<'_>) -> Place<'_> {
        let Self { baseline_run, variant_run, class, explained, follows } = self;
        Place { baseline_run, variant_run, class, explained, follows, ..place }
    }
}

fn rest(
    material: Material<'_>,
    causes: &BTreeMap<Cause, Vec<Place<'_>>>,
    cause: &Cause,
    place: &Place<'_>,
) -> Option<(Cause, Rest)> {
    let rules = &place.claim.claim.rules;
    let runs: BTreeMap<Value, usize> =
        (rules.rules.iter().map(|rule| rule.value).zip(place.variant_runs.iter().copied()))
            .chain([(rules.base, place.baseline_run)])
            .collect();
    let seen = |value: Value| text(material, material.evidence.value(*runs.get(&value)?, place.index));
    let (presence, given) = split(material.space, rules, |value| seen(value).is_some())?;
    let missing = (presence.factors(), partition(material.space, &presence), true, false);
    if !causes.get(&missing)?.iter().any(|other| other.class == Class::Structural && !other.follows) {
        return None;
    }
    let factors = given.factors();
    let baseline = seen(given.base);
    let difference = explain::Difference {
        feature: place.feature,
        factors: &factors,
        baseline,
        variants: given.rules.iter().map(|rule| (sole_levels(rule), seen(rule.value))).collect(),
    };
    let explained = explain::explain(&difference, material.scenario);
    let (class, variant_run) = given
        .rules
        .iter()
        .filter_map(|rule| {
            let class = classify::classify(&place.feature.kind, place.feature.channel, baseline, seen(rule.value));
            Some((class, *runs.get(&rule.value)?))
        })
        .min_by_key(|(class, _)| *class)?;
    let covert = class == Class::Covert && explained.is_none();
    let target = (factors, partition(material.space, &given), !covert, explained.is_some());
    let baseline_run = *runs.get(&given.base)?;
    let known = causes.get(&target).is_some_and(|others| others.iter().any(|other| !other.follows));
    if known {
        return Some((target, Rest { baseline_run, variant_run, class, explained, follows: true }));
    }
    // What is explained where it is present is explained.
    let here = (cause.0.clone(), cause.1.clone(), true, true);
    (explained.is_some() && !cause.3)
        .then_some((here, Rest { baseline_run, variant_run, class, explained, follows: false }))
}

/// A rule in two parts of different factors: where there is anything at all, and what it is where there is. `None` if it
/// cannot be parted so.
fn split(space: &Space, rules: &RuleList, present: impl Fn(Value) -> bool) -> Option<(RuleList, RuleList)> {
    if !space.constraints.is_empty() {
        return None;
    }
    let there = |value: Value| present(value).then_some(ValueId(0));
    let presence = RuleList {
        base: there(rules.base),
        rules: rules.rules.iter().map(|rule| Rule { when: rule.when.clone(), value: there(rule.value) }).collect(),
    };
    let presence = presence.canonical(space);
    let (all, first) = (rules.factors(), presence.factors());
    let others: Vec<usize> = all.iter().copied().filter(|factor| !first.contains(factor)).collect();
    if first.is_empty() || others.is_empty() {
        return None;
    }
    let mut given: BTreeMap<Vec<u16>, Value> = BTreeMap::new();
    for (levels, value) in rules.table(space, &all)?.into_iter().filter(|(_, value)| present(*value)) {
        let level = |factor: &usize| all.iter().position(|known| known == factor).map(|at| levels[at]);
        let key: Vec<u16> = others.iter().filter_map(level).collect();
        if *given.entry(key).or_insert(value) != value {
            return None;
        }
    }
    let base = *given.get(&vec![0; others.len()])?;
    let one = |(levels, value): (&Vec<u16>, &Value)| Rule {
        when: (others.iter().zip(levels))
            .map(|(factor, level)| Literal { factor: *factor, levels: [*level].into() })
            .collect(),
        value: *value,
    };
    let rules = given.iter().filter(|(_, value)| **value != base).map(one).collect();
    Some((presence, RuleList { base, rules }.canonical(space)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::design::feasible::Constraints;

    fn when(literals: &[(usize, &[u16])]) -> Vec<Literal> {
        literals
            .iter()
            .map(|(factor, levels)| Literal { factor: *factor, levels: levels.iter().copied().collect() })
            .collect()
    }

    fn space() -> Space {
        Space { levels: vec![3, 2, 2], constraints: Constraints::default() }
    }

    #[test]
    fn a_rule_is_parted_into_where_and_what() {
        let rules = RuleList {
            base: Some(ValueId(0)),
            rules: vec![
                Rule { when: when(&[(0, &[0]), (1, &[1])]), value: Some(ValueId(1)) },
                Rule { when: when(&[(0, &[1, 2])]), value: None },
            ],
        };
        let (presence, given) = split(&space(), &rules, |value| value.is_some()).unwrap();
        assert_eq!(presence.factors(), [0]);
        assert_eq!(presence.predict(&crate::cell::Assignment(vec![2, 1, 0])), None);
        assert_eq!(given.factors(), [1]);
        assert_eq!(given.rules, [Rule { when: when(&[(1, &[1])]), value: Some(ValueId(1)) }]);
    }

    #[test]
    fn what_depends_on_both_where_it_is_present_is_not_parted() {
        // Present at two levels of factor 0, and only at one of them does factor 1 count.
        let rules = RuleList {
            base: Some(ValueId(0)),
            rules: vec![
                Rule { when: when(&[(0, &[1]), (1, &[1])]), value: Some(ValueId(1)) },
                Rule { when: when(&[(0, &[2])]), value: None },
            ],
        };
        assert_eq!(split(&space(), &rules, |value| value.is_some()), None);
        // Nothing is ever absent.
        assert_eq!(split(&space(), &rules, |_| true), None);
    }
}
