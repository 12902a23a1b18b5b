//! What every report for people says, in words: the verdict, what a rule means, how strong the evidence is. Plain text
//! that may hold an agent's own: the formats escape it.

use std::collections::BTreeMap;

use crate::finding::{Class, CodePoint, Finding, Findings, Rule, Stale, StaleReason, Verdict};
use crate::store::Manifest;

/// Findings by what a reader should do about them.
pub(super) struct Sorted<'a> {
    /// Neither explained nor disclosed.
    pub(super) open: Vec<&'a Finding>,
    /// The vendor says so.
    pub(super) disclosed: Vec<&'a Finding>,
    /// Expected: an echo, a local date, …
    pub(super) explained: Vec<&'a Finding>,
}

impl<'a> Sorted<'a> {
    pub(super) fn new(findings: &'a Findings) -> Self {
        let (mut open, mut disclosed, mut explained) = (Vec::new(), Vec::new(), Vec::new());
        for finding in &findings.findings {
            if finding.explained_by.is_some() {
                explained.push(finding);
            } else if finding.disclosed.is_some() {
                disclosed.push(finding);
            } else {
                open.push(finding);
            }
        }
        Self { open, disclosed, explained }
    }
}

/// `conditioned: 2 findings are neither explained nor disclosed`.
pub(super) fn verdict(findings: &Findings) -> String {
    let sorted = Sorted::new(findings);
    let open = sorted.open.len();
    let found = match open {
        0 => String::from("nothing depends on what was varied but what is explained or disclosed"),
        1 => String::from("1 dependence is neither explained nor disclosed"),
        n => format!("{n} dependences are neither explained nor disclosed"),
    };
    match findings.verdict {
        Verdict::Clean => format!("clean: {found}"),
        Verdict::Conditioned => format!("conditioned: {found}"),
        Verdict::Inconclusive if open == 0 => {
            String::from("inconclusive: nothing was found, and that says little here")
        }
        Verdict::Inconclusive => format!("inconclusive: {found}, and there may be more"),
    }
}

/// `name@version · docker 20.10.24 · seed 7`.
pub(super) fn subject(manifest: &Manifest) -> String {
    let target = &manifest.target;
    let package = if target.package.is_empty() { "(unnamed target)" } else { &target.package };
    let version = target.version.as_deref().filter(|version| !package.ends_with(&format!("@{version}")));
    format!(
        "{package}{} · {} · seed {}",
        version.map(|version| format!(" {version}")).unwrap_or_default(),
        manifest.engine,
        manifest.seed
    )
}

/// `214 planned, 213 observed, 1 failed, 9 rounds`.
pub(super) fn cells(findings: &Findings) -> String {
    let cells = findings.cells;
    format!(
        "{} planned, {} observed, {} failed by the engine, {} round{}",
        cells.planned,
        cells.observed,
        cells.failed,
        cells.rounds,
        plural(cells.rounds as usize)
    )
}

/// What the design covered and could have missed.
pub(super) fn power(findings: &Findings) -> String {
    let power = &findings.power;
    format!(
        "{} of {} combinations of {} factor{} were run; a marker that shows under the rarest of them at a rate of {:.2} \
         or more would be seen with probability .95; family-wise error rate {}",
        power.tuples_covered,
        power.tuples_total,
        power.strength,
        plural(usize::from(power.strength)),
        power.smallest_rate,
        power.alpha
    )
}

/// `E ≥ 1.3e4 (p 7.9e-5, q 2.4e-4) · 1.00 bits, V 0.98 · 198 of 201 cells agree · 24 coins`.
pub(super) fn evidence(finding: &Finding) -> String {
    let support = finding.support;
    format!(
        "E = {} (p {}, q {}) · {:.2} bits, V {:.2} · {} of {} cells agree · {} coin{}",
        number(if finding.p_value > 0.0 { 1.0 / finding.p_value } else { f64::INFINITY }),
        number(finding.p_value),
        number(finding.q_value),
        finding.effect.bits,
        finding.effect.cramers_v,
        support.agree,
        u64::from(support.agree) + u64::from(support.disagree),
        support.coins,
        plural(support.coins as usize)
    )
}

/// Three significant figures, with an exponent where the number is far from 1.
pub(super) fn number(value: f64) -> String {
    if !value.is_finite() {
        String::from("∞")
    } else if value == 0.0 || (0.001..1000.0).contains(&value) {
        let digits = if value >= 100.0 {
            0
        } else if value >= 10.0 {
            1
        } else {
            3
        };
        format!("{value:.digits$}")
    } else {
        format!("{value:.1e}")
    }
}

/// `timezone × base_url`.
pub(super) fn factors(finding: &Finding) -> String {
    finding.factors.join(" × ")
}

/// `covert`.
pub(super) fn class(class: Class) -> &'static str {
    match class {
        Class::Covert => "covert",
        Class::Overt => "overt",
        Class::Structural => "structural",
        Class::Behavioural => "behavioural",
    }
}

/// What the classes mean, for a reader who sees the word for the first time.
pub(super) fn class_means(class: Class) -> &'static str {
    match class {
        Class::Covert => "the text reads the same",
        Class::Overt => "the text reads differently",
        Class::Structural => "something is there or is not",
        Class::Behavioural => "the program acts differently",
    }
}

/// `timezone = Asia/Tokyo or Asia/Seoul, and base_url = http://gateway.example.com`.
pub(super) fn condition(when: &BTreeMap<String, Vec<String>>, order: &[String]) -> String {
    let mut names: Vec<&String> = when.keys().collect();
    names.sort_by_key(|name| order.iter().position(|factor| factor == *name));
    let literals = names.into_iter().map(|name| format!("{name} = {}", when[name].join(" or ")));
    literals.collect::<Vec<_>>().join(", and ")
}

/// A value in words.
pub(super) fn value(value: Option<&str>) -> &str {
    match value {
        None => "(absent)",
        Some("") => "(empty)",
        Some(text) => text,
    }
}

/// The rule's lines with the first that matches on top, which is how people read: later lines of a stored rule win. Where
/// no two can match the same cell, they stay in the order of the levels.
pub(super) fn rule_lines(finding: &Finding) -> Vec<(String, String)> {
    let rules = &finding.rule;
    let apart = rules.iter().enumerate().all(|(at, one)| rules[at + 1..].iter().all(|other| disjoint(one, other)));
    let lines: Vec<&Rule> = if apart { rules.iter().collect() } else { rules.iter().rev().collect() };
    lines
        .into_iter()
        .map(|Rule { when, value: then }| (condition(when, &finding.factors), value(then.as_deref()).to_owned()))
        .collect()
}

/// Whether no cell can match both: some factor has no level in common.
fn disjoint(one: &Rule, other: &Rule) -> bool {
    one.when.iter().any(|(factor, levels)| {
        other.when.get(factor).is_some_and(|others| levels.iter().all(|level| !others.contains(level)))
    })
}

/// What is still owed where a dependence is sure and a factor of it is not.
pub(super) fn suggested(finding: &Finding) -> Option<String> {
    let names = finding.suggested.join(" and ");
    (!names.is_empty()).then(|| {
        format!("the dependence is confirmed; that it needs {names} is suggested, not confirmed by coins of its own")
    })
}

/// Why a run does not bear a disclosure out.
pub(super) fn stale(stale: &Stale) -> String {
    match stale.why {
        StaleReason::Contradicted => {
            format!("contradicted: these places depend on something else too: {}", stale.contradicted_by.join(", "))
        }
        StaleReason::NotSeen => String::from("not seen: nothing there was found to depend on that"),
        StaleReason::NotVaried => String::from("not tested: not all of that was varied"),
    }
}

/// The code points that tell the two sides apart where reading does not: all of them where the text reads the same, else
/// those beyond ASCII.
pub(super) fn codepoints<'a>(finding: &'a Finding, side: &'a str) -> impl Iterator<Item = &'a CodePoint> {
    let telling = |point: &&CodePoint| {
        finding.class == Class::Covert
            || u32::from_str_radix(point.codepoint.trim_start_matches("U+"), 16).is_ok_and(|code| code > 0x7e)
    };
    finding.excerpt.codepoints.iter().filter(move |point| point.side == side).filter(telling)
}

/// The first places and how many more there are.
pub(super) fn places(finding: &Finding, shown: usize) -> (Vec<&str>, usize) {
    let shown = finding.places.iter().take(shown).map(String::as_str).collect::<Vec<_>>();
    let more = finding.places.len() - shown.len();
    (shown, more)
}

/// `s` where there is not one.
pub(super) fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
