//! **Disclosure**: which findings the vendor speaks of openly, and which of its disclosures a run does not bear out.

use super::{Finding, Stale, StaleReason};
use crate::scenario::pattern::glob;
use crate::scenario::{Disclosed, Scenario};

/// What the vendor says, where for each place there is a disclosure that covers it and all of the finding's factors.
#[must_use]
pub fn disclosed(disclosures: &[Disclosed], factors: &[String], places: &[String]) -> Option<String> {
    let open: Vec<&Disclosed> = disclosures.iter().filter(|disclosure| names_all(disclosure, factors)).collect();
    let mut says: Vec<&str> = Vec::new();
    for place in places {
        let covering = open.iter().find(|disclosure| glob(&disclosure.place, place))?;
        if !says.contains(&covering.says.as_str()) {
            says.push(&covering.says);
        }
    }
    (!says.is_empty()).then(|| says.join("; "))
}

/// Whether a disclosure names every one of these factors.
fn names_all(disclosure: &Disclosed, factors: &[String]) -> bool {
    factors.iter().all(|factor| disclosure.factors.contains(factor))
}

/// The disclosures that a run does not bear out: those that a finding contradicts, and those of which nothing was seen.
#[must_use]
pub fn stale(scenario: &Scenario, findings: &[Finding]) -> Vec<Stale> {
    scenario.disclosed.iter().filter_map(|disclosure| one(disclosure, scenario, findings)).collect()
}

fn one(disclosure: &Disclosed, scenario: &Scenario, findings: &[Finding]) -> Option<Stale> {
    let stands_there = |finding: &&Finding| finding.places.iter().any(|place| glob(&disclosure.place, place));
    let contradicted_by: Vec<String> = findings
        .iter()
        .filter(|finding| finding.explained_by.is_none() && finding.disclosed.is_none())
        .filter(|finding| !names_all(disclosure, &finding.factors))
        .filter(stands_there)
        .map(|finding| finding.id.clone())
        .collect();
    let seen = findings.iter().filter(|finding| names_all(disclosure, &finding.factors)).any(|f| stands_there(&f));
    let varied = disclosure.factors.iter().all(|factor| scenario.factor_index(factor).is_some());
    let why = match (contradicted_by.is_empty(), seen, varied) {
        (false, _, _) => StaleReason::Contradicted,
        (true, true, _) => return None,
        (true, false, true) => StaleReason::NotSeen,
        (true, false, false) => StaleReason::NotVaried,
    };
    Some(Stale {
        factors: disclosure.factors.clone(),
        place: disclosure.place.clone(),
        says: disclosure.says.clone(),
        why,
        contradicted_by,
    })
}

/// Places of one finding that share a beginning become one pattern from this many on.
const TOGETHER: usize = 3;

/// A draft of what a vendor would have to say of these findings: one entry a pattern of places. What is explained needs
/// no disclosure; since when it is so, one run cannot say.
#[must_use]
pub fn draft(findings: &[Finding]) -> Vec<Disclosed> {
    let mut entries: Vec<Disclosed> = Vec::new();
    for finding in findings.iter().filter(|finding| finding.explained_by.is_none()) {
        let says = finding.disclosed.clone().unwrap_or_else(|| says(finding));
        for place in patterns(&finding.places) {
            let factors = finding.factors.clone();
            let entry = Disclosed { factors, place, says: says.clone(), since: None };
            if !entries.contains(&entry) {
                entries.push(entry);
            }
        }
    }
    entries
}

/// What is so; why is the vendor's to add.
fn says(finding: &Finding) -> String {
    use super::Class;
    let what = match finding.class {
        Class::Covert => "the text reads the same, and its characters or formats differ",
        Class::Overt => "the text reads differently",
        Class::Structural => "parts are there or are not",
        Class::Behavioural => "the program acts differently",
    };
    let points = |side: &str| {
        let points = finding.excerpt.codepoints.iter().filter(|point| point.side == side).take(4);
        points.map(|point| point.codepoint.as_str()).collect::<Vec<_>>().join(" ")
    };
    let (baseline, variant) = (points("baseline"), points("variant"));
    let points = if finding.class == Class::Covert && !(baseline.is_empty() && variant.is_empty()) {
        let side = |points: String| if points.is_empty() { String::from("nothing") } else { points };
        format!(" ({} for {})", side(variant), side(baseline))
    } else {
        String::new()
    };
    format!("with {}, {what}{points}", finding.factors.join(" and "))
}

/// Patterns that cover these places and as little else as can be said shortly: places of the same request and part
/// become one, others stand as they are.
fn patterns(places: &[String]) -> Vec<String> {
    use crate::scenario::pattern::is_too_wide;
    let mut groups: Vec<(String, Vec<&String>)> = Vec::new();
    for place in places {
        let group = group(place);
        match groups.iter_mut().find(|(known, _)| *known == group) {
            Some((_, members)) => members.push(place),
            None => groups.push((group, vec![place])),
        }
    }
    let together = |(_, members): (String, Vec<&String>)| {
        let pattern = format!("{}*", common(&members));
        if members.len() < TOGETHER || is_too_wide(&pattern) {
            members.into_iter().cloned().collect()
        } else {
            vec![pattern]
        }
    };
    groups.into_iter().flat_map(together).collect()
}

/// `POST /v1/messages · tools` of `POST /v1/messages · tools[Bash].description · line 4`.
fn group(place: &str) -> String {
    let mut parts = place.split(" · ");
    let request = parts.next().unwrap_or_default();
    let part = parts.next().unwrap_or_default();
    let end = part.find(['[', '.', ' ']).unwrap_or(part.len());
    format!("{request} · {}", &part[..end])
}

/// The longest beginning that all of them have.
fn common(places: &[&String]) -> String {
    let Some((first, rest)) = places.split_first() else { return String::new() };
    let shared = |other: &&&String| first.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
    let length = rest.iter().map(|other| shared(&other)).min().unwrap_or(first.chars().count());
    first.chars().take(length).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn own(items: &[&str]) -> Vec<String> {
        items.iter().map(ToString::to_string).collect()
    }

    pub(in crate::finding) fn finding(id: &str, factors: &[&str], place: &str, explained: bool) -> Finding {
        serde_json::from_value(serde_json::json!({
            "id": id, "channel": "body", "places": [place], "factors": factors, "order": factors.len(), "rule": [],
            "class": "overt", "explained_by": explained.then_some("an echo"), "excerpt": {
                "baseline": null, "variant": null, "codepoints": []
            },
            "effect": {"bits": 1.0, "cramers_v": 1.0}, "p_value": 0.001, "q_value": 0.01,
            "support": {"agree": 9, "disagree": 0, "coins": 9}, "disclosed": null,
            "reproduce": {"baseline_cell": "c0", "variant_cell": "c1", "command": ""}
        }))
        .unwrap()
    }

    #[test]
    fn a_disclosure_that_a_run_does_not_bear_out_is_stale() {
        // The scenario varies one factor, `zone`.
        let mut scenario = crate::run::testing::scenario();
        let mut why = |entry: Disclosed, findings: &[Finding]| {
            scenario.disclosed = vec![entry];
            stale(&scenario, findings).first().map(|stale| (stale.why, stale.contradicted_by.clone()))
        };
        let date = || says(&["zone"], "*date*", "so");
        assert_eq!(why(date(), &[finding("f1", &["zone"], "the date", false)]), None, "it is borne out");
        assert_eq!(why(date(), &[finding("f1", &["zone"], "the date", true)]), None, "what is explained is seen too");
        assert_eq!(why(date(), &[]), Some((StaleReason::NotSeen, vec![])));
        assert_eq!(why(date(), &[finding("f1", &["zone"], "a header", false)]), Some((StaleReason::NotSeen, vec![])));
        let more = finding("f2", &["zone", "proxy"], "the date", false);
        assert_eq!(why(date(), &[more]), Some((StaleReason::Contradicted, vec!["f2".into()])));
        let echo = finding("f3", &["proxy"], "the date", true);
        assert_eq!(why(date(), &[echo]), Some((StaleReason::NotSeen, vec![])), "an echo contradicts nothing");
        assert_eq!(why(says(&["zone", "user"], "*date*", "so"), &[]), Some((StaleReason::NotVaried, vec![])));
    }

    #[test]
    fn a_draft_discloses_what_it_was_made_from_and_nothing_explained() {
        let found = [finding("f1", &["zone"], "the date", false), finding("f2", &["user"], "the home", true)];
        let draft = draft(&found);
        assert_eq!(draft.len(), 1);
        assert!(disclosed(&draft, &found[0].factors, &found[0].places).is_some());
    }

    fn says(factors: &[&str], place: &str, says: &str) -> Disclosed {
        Disclosed { factors: own(factors), place: place.into(), says: says.into(), since: None }
    }

    #[test]
    fn a_disclosure_must_cover_every_factor_and_place() {
        let so = [says(&["timezone"], "*date*", "so")];
        assert_eq!(disclosed(&so, &own(&["timezone"]), &own(&["the date line"])), Some("so".into()));
        assert_eq!(disclosed(&so, &own(&["timezone", "proxy"]), &own(&["the date line"])), None);
        assert_eq!(disclosed(&so, &own(&["timezone"]), &own(&["the date line", "a header"])), None);
        assert_eq!(disclosed(&so, &own(&["timezone"]), &[]), None, "a finding without places is not disclosed");
    }

    #[test]
    fn several_disclosures_cover_a_finding_together() {
        let both = [says(&["timezone"], "*date*", "so"), says(&["timezone", "proxy"], "*header*", "thus")];
        let places = own(&["the date line", "a header"]);
        assert_eq!(disclosed(&both, &own(&["timezone"]), &places), Some("so; thus".into()));
        // Each place needs an entry that names all of the factors.
        assert_eq!(disclosed(&both, &own(&["timezone", "proxy"]), &places), None);
    }

    #[test]
    fn places_of_one_part_become_one_pattern_that_covers_them() {
        let places = own(&[
            "POST /v1/messages · tools[Read].description · line 1",
            "POST /v1/messages · tools[Read].description · line 2",
            "POST /v1/messages · tools[Write].description · line 1",
            "POST /v1/messages · header x-app",
            "DNS question for api.example",
        ]);
        let patterns = patterns(&places);
        assert_eq!(
            patterns,
            ["POST /v1/messages · tools[*", "POST /v1/messages · header x-app", "DNS question for api.example"]
        );
        assert!(places.iter().all(|place| patterns.iter().any(|pattern| glob(pattern, place))));
        // What would cover everything is listed place by place.
        let headers = own(&["GET / · header a", "GET / · header b", "GET / · header c"]);
        assert_eq!(super::patterns(&headers), headers);
    }
}
