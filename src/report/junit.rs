//! The findings as **`JUnit` XML**, for build servers: one test case a hypothesis. A projection, not the evidence: what was
//! not tested, or not settled, is skipped and never passed.

use std::fmt::Write as _;

use super::{Report, escape, summary};
use crate::finding::{Finding, Findings, Verdict};
use crate::store::Manifest;

/// Characters of a text.
const LONGEST: usize = 2_000;
/// Signals without a rule that are told.
const SIGNALS: usize = 200;

/// `JUnit`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Junit;

/// What became of a hypothesis.
enum Outcome {
    Passed(String),
    Failed { message: String, lines: Vec<String> },
    Skipped(String),
}

struct Case {
    name: String,
    outcome: Outcome,
}

impl Report for Junit {
    fn render(&self, findings: &Findings, manifest: &Manifest) -> Vec<u8> {
        let cases = cases(findings, manifest);
        let count = |wanted: fn(&Outcome) -> bool| cases.iter().filter(|case| wanted(&case.outcome)).count();
        let failed = count(|outcome| matches!(outcome, Outcome::Failed { .. }));
        let skipped = count(|outcome| matches!(outcome, Outcome::Skipped(_)));
        let seconds = manifest.usage.map_or(0.0, |usage| usage.wall);
        let suite = xml(&findings.scenario);
        let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let counts = format!(
            "tests=\"{}\" failures=\"{failed}\" errors=\"0\" skipped=\"{skipped}\" time=\"{seconds:.3}\"",
            cases.len()
        );
        let bare = format!("tests=\"{}\" failures=\"{failed}\" errors=\"0\" time=\"{seconds:.3}\"", cases.len());
        // Writing to a string cannot fail.
        let _ = writeln!(out, "<testsuites name=\"parallax\" {bare}>");
        let started = manifest.started.trim_end_matches('Z');
        let _ = writeln!(out, "<testsuite name=\"{suite}\" {counts} timestamp=\"{}\" hostname=\"pod\">", xml(started));
        let _ = writeln!(out, "<properties>");
        let verdict = ("verdict", summary::verdict(findings));
        for (name, value) in summary::facts(findings, manifest)
            .into_iter()
            .chain([verdict, ("power", summary::power(findings).join("; "))])
        {
            let _ = writeln!(out, "<property name=\"{}\" value=\"{}\"/>", xml(name), xml(&value));
        }
        let _ = writeln!(out, "</properties>");
        for case in &cases {
            let _ = writeln!(out, "<testcase classname=\"parallax.{suite}\" name=\"{}\" time=\"0\">", xml(&case.name));
            let _ = match &case.outcome {
                Outcome::Passed(text) => writeln!(out, "<system-out>{}</system-out>", xml(text)),
                Outcome::Failed { message, lines } => {
                    // A line end of an agent's is drawn; only ours end lines.
                    let text = lines.iter().map(|line| xml(line)).collect::<Vec<_>>().join("\n");
                    writeln!(out, "<failure message=\"{}\" type=\"dependence\">{text}</failure>", xml(message))
                }
                Outcome::Skipped(why) => writeln!(out, "<skipped message=\"{}\"/>", xml(why)),
            };
            out.push_str("</testcase>\n");
        }
        out.push_str("</testsuite>\n</testsuites>\n");
        out.into_bytes()
    }
}

fn cases(findings: &Findings, manifest: &Manifest) -> Vec<Case> {
    let mut cases: Vec<Case> = findings
        .findings
        .iter()
        .map(|one| Case {
            name: format!(
                "{}/{} {} {}",
                summary::channel(one),
                one.factors.join("*"),
                summary::class(one.class),
                one.id
            ),
            outcome: match one.explained_by.as_ref().or(one.disclosed.as_ref()) {
                Some(why) => Outcome::Passed(format!(
                    "{}: {why}. {} {}.",
                    summary::status(one),
                    summary::sentence(one),
                    summary::effect(one)
                )),
                None => Outcome::Failed { message: summary::sentence(one), lines: told(one) },
            },
        })
        .collect();
    for factor in &manifest.scenario.factors {
        if findings.findings.iter().any(|one| one.factors.contains(&factor.name)) {
            continue;
        }
        let outcome = if findings.verdict == Verdict::Inconclusive {
            Outcome::Skipped(String::from("nothing was found, and the run is inconclusive"))
        } else {
            Outcome::Passed(format!("nothing was found. Power: {}.", summary::power(findings).join("; ")))
        };
        cases.push(Case { name: format!("nothing depends on {}", factor.name), outcome });
    }
    for signal in findings.power.unexplained.iter().take(SIGNALS) {
        let why = String::from("seen, and neither explained by a rule nor confirmed");
        cases.push(Case { name: format!("seen: {signal}"), outcome: Outcome::Skipped(why) });
    }
    for name in &findings.not_varied {
        cases.push(Case {
            name: format!("nothing depends on {name}"),
            outcome: Outcome::Skipped(String::from("not varied")),
        });
    }
    cases
}

fn told(finding: &Finding) -> Vec<String> {
    let means = summary::class_means(finding.class);
    let mut lines = vec![format!("finding {} ({means}), severity {}", finding.id, summary::severity(finding))];
    lines.extend(summary::rule_lines(finding).iter().map(|(when, then)| format!("{} -> {}", cut(when), cut(then))));
    lines.push(String::from("otherwise -> as at the baseline"));
    for (side, text) in [("baseline", &finding.excerpt.baseline), ("variant", &finding.excerpt.variant)] {
        lines.push(format!("{side}: {}", cut(summary::value(text.as_deref()))));
    }
    for point in summary::codepoints(finding, "baseline").chain(summary::codepoints(finding, "variant")) {
        lines.push(format!("{} has {} {}", point.side, point.codepoint, point.name));
    }
    lines.push(summary::effect(finding));
    lines.push(summary::evidence(finding));
    let reproduce = &finding.reproduce;
    lines.push(format!("cells {} and {}: {}", reproduce.baseline_cell, reproduce.variant_cell, reproduce.command));
    lines
}

/// Text for an attribute or an element. What XML 1.0 forbids is drawn by its code point.
fn xml(text: &str) -> String {
    escape::html(&cut(text))
}

fn cut(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing;

    fn text(findings: &Findings) -> String {
        String::from_utf8(Junit.render(findings, &testing::manifest())).unwrap()
    }

    #[test]
    fn a_test_case_a_hypothesis() {
        let text = text(&testing::findings());
        // Two findings, one factor of which nothing depends, one signal, two things that were not varied.
        assert!(text.contains("tests=\"6\" failures=\"1\" errors=\"0\" skipped=\"3\""), "{text}");
        assert!(text.contains("name=\"body/timezone*base_url covert f0123456789\""), "{text}");
        assert!(text.contains("variant has U+2019 RIGHT SINGLE QUOTATION MARK"), "{text}");
        assert!(
            text.contains("name=\"nothing depends on zone\" time=\"0\">\n<system-out>nothing was found. Power"),
            "{text}"
        );
        assert!(
            text.contains("name=\"nothing depends on clock\" time=\"0\">\n<skipped message=\"not varied\"/>"),
            "{text}"
        );
    }

    #[test]
    fn nothing_passes_in_a_run_that_says_nothing() {
        let mut findings = testing::findings();
        findings.verdict = Verdict::Inconclusive;
        findings.findings.clear();
        assert!(!text(&findings).contains("<system-out>"));
    }

    #[test]
    fn a_hostile_agent_changes_nothing_of_the_structure() {
        let hostile = testing::hostile();
        let text = text(&hostile);
        let open = hostile.findings.iter().filter(|one| one.explained_by.is_none() && one.disclosed.is_none()).count();
        assert_eq!(text.matches("<testcase ").count(), hostile.findings.len() + 1 + 2 + 3);
        assert_eq!(text.matches("<failure ").count(), open);
        assert!(!text.contains("<script") && !text.contains("]]>") && !text.contains("<!--"));
        assert!(text.chars().all(|c| c == '\n' || !escape::is_hidden(c)), "nothing that XML forbids");
        assert!(text.len() < 200_000, "{} bytes", text.len());
    }
}
