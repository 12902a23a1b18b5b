//! What every report for people says, in words: the verdict, what a rule means, how strong the evidence is. Plain text
//! that may hold an agent's own: the formats escape it.

use std::collections::BTreeMap;

use crate::finding::{Class, CodePoint, Finding, Findings, Reach, Rule, Stale, StaleReason, Verdict};
use crate::scenario::Severity;
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

/// What was run, by what, from which seed.
pub(super) fn facts(findings: &Findings, manifest: &Manifest) -> Vec<(&'static str, String)> {
    let target = &manifest.target;
    let mut facts = vec![
        ("target", target.package.clone()),
        ("version", target.version.clone().unwrap_or_default()),
        ("executable", target.executable.clone().unwrap_or_default()),
        ("executable sha256", target.executable_sha256.clone().unwrap_or_default()),
        ("runtime", target.runtime.clone().unwrap_or_default()),
        ("engine", manifest.engine.clone()),
        ("parallax", manifest.parallax.clone()),
        ("scenario sha256", manifest.scenario_sha256.clone()),
        ("seed", manifest.seed.to_string()),
        ("began", manifest.started.clone()),
        ("cells", cells(findings)),
    ];
    facts.retain(|(_, value)| !value.is_empty());
    facts
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

/// What the design covered and could have missed, in a line each.
pub(super) fn power(findings: &Findings) -> Vec<String> {
    let power = &findings.power;
    let coins = power.coins;
    let mut lines = vec![format!(
        "{} of {} combinations of {} factor{} were run; family-wise error rate {}; rates hold with probability .95",
        power.tuples_covered,
        power.tuples_total,
        power.strength,
        plural(usize::from(power.strength)),
        power.alpha
    )];
    lines.extend(power.reach.iter().map(|reach| self::reach(reach, coins.available)));
    if power.reach.is_empty() {
        lines.push(format!(
            "what shows under the rarest of them at a rate of {:.2} or more would be seen with probability .95",
            power.smallest_rate
        ));
    }
    if coins.needed > 0 {
        lines.push(format!(
            "coins: a dependence without chance needs {} at least (E ≥ {}); {} cell{} were left for them",
            coins.needed,
            number(coins.e_needed),
            coins.available,
            plural(coins.available as usize)
        ));
    }
    lines
}

/// `2 factors: all 80 combinations were run, the rarest 2 times; seen from a rate of 0.78, …`.
fn reach(reach: &Reach, coins: u32) -> String {
    let subject = match reach.order {
        1 => String::from("1 factor"),
        order => format!("{order} factors"),
    };
    let met = if reach.covered < reach.total {
        format!(
            "{} of {} combinations of levels were run ({} %), and what needs one of the others was not seen",
            reach.covered,
            reach.total,
            reach.covered.saturating_mul(100) / reach.total.max(1)
        )
    } else {
        let each = if reach.order == 1 { "levels" } else { "combinations of levels" };
        let seen = reach.seen_rate.map_or(String::new(), |rate| format!(" (seen if it shows at a rate of {rate:.2})"));
        format!(
            "all {} {each} were run, the rarest {} time{}{seen}",
            reach.total,
            reach.runs,
            plural(reach.runs as usize)
        )
    };
    let confirmed = match reach.confirmed_rate {
        None => format!("{coins} coins could not have confirmed it"),
        Some(rate) if rate >= 1.0 => String::from("coins could have confirmed it without chance only"),
        Some(rate) => format!("once suspected, confirmed from a rate of {rate:.2}"),
    };
    format!("{subject}: {met}; {confirmed}")
}

/// `0.72 bits: timezone alone 0.20, base_url alone 0.05, 0.47 only together; interaction information 0.47 bits; 2 groups of
/// environments can be told apart; Cramér's V 1.00`.
pub(super) fn effect(finding: &Finding) -> String {
    let effect = &finding.effect;
    let mut text = format!("{:.2} bits", effect.bits);
    if finding.order > 1 && !effect.shares.is_empty() {
        let share = |name: &String| effect.shares.get(name).map(|share| format!("{name} alone {share:.2}"));
        let mut parts: Vec<String> = finding.factors.iter().filter_map(share).collect();
        let together = effect.bits - effect.shares.values().sum::<f64>();
        if together >= LEAST_SHOWN {
            parts.push(format!("{together:.2} only together"));
        } else if together <= -LEAST_SHOWN {
            // Constraints can tie factors to each other.
            parts.push(format!("{:.2} of it by either", -together));
        }
        text = format!("{text}: {}", parts.join(", "));
    }
    // Of two factors it is what only both together tell, by the name under which the literature has it.
    if let Some(bits) = effect.interaction_bits {
        // No sign before what is 0.00.
        let bits = if bits.abs() < LEAST_SHOWN { 0.0 } else { bits };
        text = format!("{text}; interaction information {bits:.2} bits");
    }
    if effect.distinguishable > 0 {
        text = format!("{text}; {} groups of environments can be told apart", effect.distinguishable);
    }
    format!("{text}; Cramér's V {:.2}", effect.cramers_v)
}

/// Less than this is 0.00 in two digits.
const LEAST_SHOWN: f64 = 0.005;

/// `E = 1.3e4 (p 7.9e-5, q 2.4e-4) · 198 of 201 cells agree · 24 coins · screened at a permutation p of 2.5e-4`.
pub(super) fn evidence(finding: &Finding) -> String {
    let support = finding.support;
    let screened = finding.screen_p.map(|p| format!(" · screened at a permutation p of {}", number(p)));
    format!(
        "E = {} (p {}, q {}) · {} of {} cells agree · {} coin{}{}",
        number(if finding.p_value > 0.0 { 1.0 / finding.p_value } else { f64::INFINITY }),
        number(finding.p_value),
        number(finding.q_value),
        support.agree,
        u64::from(support.agree) + u64::from(support.disagree),
        support.coins,
        plural(support.coins as usize),
        screened.unwrap_or_default()
    )
}

/// `1.94, 3.76, …, 492 after each of 9 runs with coins`: how E grew.
pub(super) fn course(finding: &Finding) -> Option<String> {
    let curve = &finding.evidence_curve;
    let shown: Vec<String> = match &curve[..] {
        [] => return None,
        short if short.len() <= SHOWN => short.iter().map(|e| number(*e)).collect(),
        long => {
            let first = long[..SHOWN - 2].iter().map(|e| number(*e));
            first.chain([String::from("…")]).chain(long.last().map(|e| number(*e))).collect()
        }
    };
    Some(format!("E {} after each of {} run{} with coins", shown.join(", "), curve.len(), plural(curve.len())))
}

/// Values of a curve that are told in words.
const SHOWN: usize = 12;

/// Commands to see a finding by hand, each as the lines that it has, with what it is for. `None` where there are none, or
/// more than anyone would read.
pub(super) fn by_hand(finding: &Finding) -> Option<Vec<(&'static str, Vec<&str>)>> {
    let shown = finding.reproduce.by_hand.as_ref()?;
    let prepare = shown.prepare.iter().map(|command| ("once, before", command));
    let commands = prepare.chain([
        ("at the baseline", &shown.baseline),
        ("at the variant", &shown.variant),
        ("and then", &shown.compare),
    ]);
    let commands: Vec<_> = commands.map(|(what, command)| (what, command.split('\n').collect::<Vec<_>>())).collect();
    let length: usize = commands.iter().flat_map(|(_, lines)| lines).map(|line| line.len()).sum();
    (length <= LONGEST_COMMANDS).then_some(commands)
}

const LONGEST_COMMANDS: usize = 24_000;

/// `high`.
pub(super) fn severity(finding: &Finding) -> &'static str {
    match finding.severity {
        Severity::None => "none",
        Severity::Low => "low",
        Severity::Medium => "medium",
        Severity::High => "high",
    }
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

/// `header order`.
pub(super) fn channel(finding: &Finding) -> String {
    let name = serde_json::to_value(finding.channel).unwrap_or_default();
    name.as_str().unwrap_or("").replace('_', " ")
}

/// `open`, `explained` or `disclosed`.
pub(super) fn status(finding: &Finding) -> &'static str {
    match (&finding.explained_by, &finding.disclosed) {
        (Some(_), _) => "explained",
        (None, Some(_)) => "disclosed",
        (None, None) => "open",
    }
}

/// One plain sentence: what depends on what, and whether it reads the same.
pub(super) fn sentence(finding: &Finding) -> String {
    let first: String = finding.places.first().map_or("", String::as_str).chars().take(300).collect();
    let more = match finding.places.len() {
        0 | 1 => String::new(),
        2 => String::from(" and at one other place"),
        n => format!(" and at {} other places", n - 1),
    };
    let subject = match finding.class {
        Class::Covert | Class::Overt => "What is sent",
        Class::Structural => "Whether, how often or in which order something is sent",
        Class::Behavioural => "What the program does",
    };
    let factors = finding.factors.join(" and ");
    let together = if finding.factors.len() > 1 { " together" } else { "" };
    let seen = match (&finding.explained_by, &finding.disclosed, finding.class) {
        (Some(_), _, _) => ", as would be expected",
        (None, Some(_), _) => ", as its vendor says",
        (None, None, Class::Covert) => ", and reads the same",
        (None, None, Class::Overt) => ", and reads differently",
        (None, None, Class::Structural | Class::Behavioural) => "",
    };
    format!("{subject} at {first}{more} depends on {factors}{together}{seen}.")
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
    let lines: Vec<&Rule> = if apart(finding) { rules.iter().collect() } else { rules.iter().rev().collect() };
    lines
        .into_iter()
        .map(|Rule { when, value: then }| (condition(when, &finding.factors), value(then.as_deref()).to_owned()))
        .collect()
}

/// Whether no two lines of the rule can match the same cell.
pub(super) fn apart(finding: &Finding) -> bool {
    let rules = &finding.rule;
    rules.iter().enumerate().all(|(at, one)| rules[at + 1..].iter().all(|other| disjoint(one, other)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Effect;
    use crate::report::testing::{self, finding};

    fn rule(levels: &[&str], value: &str) -> Rule {
        let levels = levels.iter().map(|level| (*level).to_owned()).collect();
        Rule { when: BTreeMap::from([(String::from("timezone"), levels)]), value: Some(value.to_owned()) }
    }

    #[test]
    fn rules_stay_in_the_order_of_levels_unless_a_later_one_overrides() {
        let shown = |rules: Vec<Rule>| {
            let finding = Finding { rule: rules, ..finding() };
            rule_lines(&finding).into_iter().map(|(_, value)| value).collect::<Vec<_>>()
        };
        assert_eq!(shown(vec![rule(&["a"], "1"), rule(&["b"], "2"), rule(&["c"], "3")]), ["1", "2", "3"]);
        assert_eq!(shown(vec![rule(&["a", "b"], "1"), rule(&["b"], "2")]), ["2", "1"], "the exception first");
    }

    #[test]
    fn a_factor_that_is_only_suggested_is_said_to_be() {
        assert_eq!(suggested(&finding()), None);
        let finding = Finding { suggested: vec!["timezone".into()], ..finding() };
        assert!(suggested(&finding).is_some_and(|text| text.contains("needs timezone is suggested")));
    }

    #[test]
    fn a_sentence_says_what_depends_on_what_and_how_it_reads() {
        let one = |class, explained: Option<&str>, disclosed: Option<&str>| {
            let (explained_by, disclosed) = (explained.map(Into::into), disclosed.map(Into::into));
            sentence(&Finding { class, explained_by, disclosed, ..finding() })
        };
        assert_eq!(
            one(Class::Covert, None, None),
            "What is sent at POST /v1/messages · messages[0] and at 4 other places depends on timezone and base_url \
             together, and reads the same."
        );
        assert!(one(Class::Overt, None, None).ends_with("together, and reads differently."));
        assert!(one(Class::Overt, Some("echo of user"), None).ends_with("together, as would be expected."));
        assert!(one(Class::Structural, None, Some("x")).ends_with("together, as its vendor says."));
        assert!(one(Class::Behavioural, None, None).starts_with("What the program does at POST"));
    }

    #[test]
    fn an_effect_says_what_each_factor_tells_and_what_only_all_of_them_do() {
        let mut finding = testing::finding();
        let told = |finding: &Finding| effect(finding).split(';').next().unwrap_or("").to_owned();
        assert_eq!(told(&finding), "0.81 bits: timezone alone 0.20, base_url alone 0.05, 0.56 only together");
        // Each on its own: nothing is left to say.
        finding.effect.bits = 0.25;
        assert_eq!(told(&finding), "0.25 bits: timezone alone 0.20, base_url alone 0.05");
        finding.effect.bits = 0.2;
        assert_eq!(told(&finding), "0.20 bits: timezone alone 0.20, base_url alone 0.05, 0.05 of it by either");
        finding.order = 1;
        assert_eq!(told(&finding), "0.20 bits");
        // The name that it has elsewhere stands there for two factors, too, and where it is nothing; one factor has none.
        let named = |bits| {
            let effect = Effect { interaction_bits: bits, ..testing::finding().effect };
            super::effect(&Finding { effect, ..testing::finding() })
        };
        assert!(named(Some(0.56)).contains("0.56 only together; interaction information 0.56 bits; 2 groups"));
        assert!(named(Some(-0.001)).contains("; interaction information 0.00 bits; "));
        assert!(!named(None).contains("interaction"));
    }

    #[test]
    fn what_chance_has_a_part_in_says_how_it_was_screened() {
        assert!(evidence(&finding()).ends_with("· 14 coins"));
        let finding = Finding { screen_p: Some(0.00025), ..finding() };
        assert!(
            evidence(&finding).ends_with("· 14 coins · screened at a permutation p of 2.5e-4"),
            "{}",
            evidence(&finding)
        );
    }

    #[test]
    fn findings_of_before_effects_had_shares_and_power_had_orders_are_still_read() {
        let mut json = serde_json::to_value(testing::findings()).unwrap();
        for name in ["reach", "coins"] {
            json["power"].as_object_mut().unwrap().remove(name).unwrap();
        }
        for name in ["shares", "interaction_bits", "distinguishable"] {
            json["findings"][0]["effect"].as_object_mut().unwrap().remove(name).unwrap();
        }
        let old: Findings = serde_json::from_value(json).unwrap();
        assert_eq!(effect(&old.findings[0]), "0.81 bits; Cramér's V 1.00");
        assert_eq!(power(&old).len(), 2);
        assert!(power(&old)[1].contains("at a rate of 0.21 or more"), "{:?}", power(&old));
    }

    #[test]
    fn power_says_what_could_not_have_been_confirmed() {
        let findings = testing::findings();
        let lines = power(&findings);
        assert!(
            lines[2].ends_with("(seen if it shows at a rate of 0.78); once suspected, confirmed from a rate of 0.25")
        );
        assert!(
            lines[3].ends_with(
                "(50 %), and what needs one of the others was not seen; 96 coins could not have confirmed it"
            ),
            "{}",
            lines[3]
        );
        let mut sure = findings.clone();
        sure.power.reach[0].confirmed_rate = Some(1.0);
        assert!(power(&sure)[1].ends_with("coins could have confirmed it without chance only"));
    }
}
