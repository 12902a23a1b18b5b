//! **Folding** of places whose difference follows from another finding: the blank lines of a text that goes as a whole,
//! the order that chance gives a list whose members differ, and what stands in a request that is not always sent. A request that comes and goes is one finding; that its values
//! are gone with it must not make a finding of each of them.

use std::collections::BTreeMap;

use super::Class;
use super::group::{Cause, Material, Place, partition, sole_levels, support, text};
use super::{classify, explain};
use crate::attribution::evidence::{Evidence, Value};
use crate::attribution::rule::{Literal, Rule, RuleList};
use crate::design::Space;
use crate::feature::{FeatureKind, ValueId};

/// Moves places to the findings that they follow from.
pub(super) fn fold(material: Material<'_>, causes: &mut BTreeMap<Cause, Vec<Place<'_>>>) {
    fold_space(causes);
    fold_order(material.evidence, causes);
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

/// Where members of a list differ, chance puts them in another order, too: each is there when it is ready. Under the
/// factors that decide about members such an order is told with them. One that the rule accounts for in every run is not
/// chance's, and stays what it is.
fn fold_order(evidence: &Evidence, causes: &mut BTreeMap<Cause, Vec<Place<'_>>>) {
    let all: Vec<Cause> = causes.keys().filter(|cause| cause.2 && !cause.3).cloned().collect();
    for cause in &all {
        let target = |place: &Place<'_>| {
            let by_chance = place.feature.kind == FeatureKind::Sequence && support(evidence, place.claim).1 > 0;
            let list = list_of(&place.feature.place).filter(|_| by_chance && !place.follows)?;
            members(list, causes, cause)
        };
        let targets: Vec<Option<Cause>> = causes.get(cause).into_iter().flatten().map(target).collect();
        for (place, target) in causes.remove(cause).unwrap_or_default().into_iter().zip(targets) {
            let follows = place.follows || target.is_some();
            causes.entry(target.unwrap_or_else(|| cause.clone())).or_default().push(Place { follows, ..place });
        }
    }
}

/// The list whose order, or one member's place in it, this is.
fn list_of(place: &str) -> Option<&str> {
    let (list, rest) = place.rsplit_once(" \u{b7} order")?;
    (rest.is_empty() || rest.starts_with(" \u{b7} ")).then_some(list)
}

/// The finding that has most of a list's members, if all such findings together depend on all factors of `own`.
fn members(list: &str, causes: &BTreeMap<Cause, Vec<Place<'_>>>, own: &Cause) -> Option<Cause> {
    let factors = &own.0;
    let member = format!("{list}[");
    let counts = causes.iter().filter(|(cause, _)| *cause != own && cause.2 && !cause.3).map(|(cause, places)| {
        let moves = |place: &&Place<'_>| !place.follows && place.feature.place.starts_with(&member);
        (cause, places.iter().filter(moves).count())
    });
    let moving: Vec<(&Cause, usize)> =
        counts.filter(|(cause, count)| *count > 0 && cause.0.iter().all(|factor| factors.contains(factor))).collect();
    let decides = |factor: &usize| moving.iter().any(|(cause, _)| cause.0.contains(factor));
    let most = moving.iter().rev().max_by_key(|(_, count)| *count)?;
    factors.iter().all(decides).then(|| most.0.clone())
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
    use crate::attribution::claim::Claim;
    use crate::attribution::evidence::Run;
    use crate::attribution::procedure::Judged;
    use crate::cell::{Assignment, Cell, CellId, Phase};
    use crate::design::feasible::Constraints;
    use crate::feature::{Channel, Feature};

    fn when(literals: &[(usize, &[u16])]) -> Vec<Literal> {
        literals
            .iter()
            .map(|(factor, levels)| Literal { factor: *factor, levels: levels.iter().copied().collect() })
            .collect()
    }

    fn space() -> Space {
        Space { levels: vec![3, 2, 2], constraints: Constraints::default() }
    }

    /// Under which factors the order of a list is told, whose members depend on one factor each: of these, or of none.
    fn order_told(members: &[usize], by_chance: bool) -> Vec<Vec<usize>> {
        let mut evidence = Evidence::default();
        for (n, levels) in [[0, 0], [1, 0], [0, 1], [1, 1], [1, 1]].into_iter().enumerate() {
            let value = |there: bool| Some(ValueId(u32::from(there)));
            let both = levels == [1, 1] && (n == 3 || !by_chance);
            let row = vec![value(levels[0] == 1), value(levels[1] == 1), value(both)];
            let (levels, phase) = (Assignment(levels.to_vec()), Phase::Cover);
            let cell = Cell { id: CellId::nth(n), round: 0, phase, levels, replicate: 0 };
            evidence.push(Run { cell, row });
        }
        let judged = |feature: usize, factors: &[usize]| {
            let literals: Vec<(usize, &[u16])> = factors.iter().map(|factor| (*factor, &[1][..])).collect();
            let rules = RuleList {
                base: Some(ValueId(0)),
                rules: vec![Rule { when: when(&literals), value: Some(ValueId(1)) }],
            };
            let claim = Claim::new(feature, rules, false, &evidence);
            Judged { features: vec![feature], claim, threshold: 20.0, claims: 1, screen_p: None }
        };
        let feature =
            |place: &str, kind| Feature { id: place.into(), channel: Channel::Body, place: place.into(), kind };
        let list = [
            (feature("list[a] \u{b7} name", FeatureKind::Presence), judged(0, &[0]), vec![0]),
            (feature("list[b] \u{b7} name", FeatureKind::Presence), judged(1, &[1]), vec![1]),
            (feature("list \u{b7} order", FeatureKind::Sequence), judged(2, &[0, 1]), vec![0, 1]),
        ];
        let mut causes: BTreeMap<Cause, Vec<Place<'_>>> = BTreeMap::new();
        for (index, (feature, claim, factors)) in list.iter().enumerate() {
            if index == 2 || members.contains(&index) {
                let place = Place {
                    feature,
                    index,
                    claim,
                    baseline_run: 0,
                    variant_run: 3,
                    variant_runs: vec![3],
                    class: Class::Structural,
                    explained: None,
                    follows: false,
                };
                causes.entry((factors.clone(), Vec::new(), true, false)).or_default().push(place);
            }
        }
        fold_order(&evidence, &mut causes);
        let told = |places: &[Place<'_>]| places.iter().any(|place| place.feature.kind == FeatureKind::Sequence);
        causes.into_iter().filter(|(_, places)| told(places)).map(|(cause, _)| cause.0).collect()
    }

    #[test]
    fn chance_in_the_order_of_a_list_is_told_with_its_members() {
        assert_eq!(order_told(&[0, 1], true), [vec![0]], "its members depend on both factors");
        assert_eq!(order_told(&[0, 1], false), [vec![0, 1]], "no chance: the order may be the message");
        assert_eq!(order_told(&[0], true), [vec![0, 1]], "no member depends on the second factor");
        assert_eq!(order_told(&[], true), [vec![0, 1]]);
    }

    #[test]
    fn an_order_is_of_its_list() {
        assert_eq!(list_of("POST /x \u{b7} events \u{b7} order"), Some("POST /x \u{b7} events"));
        assert_eq!(list_of("POST /x \u{b7} events \u{b7} order \u{b7} started 2"), Some("POST /x \u{b7} events"));
        assert_eq!(list_of("POST /x \u{b7} ordered"), None);
        assert_eq!(list_of("order of requests"), None);
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
