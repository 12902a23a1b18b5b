//! One **finding in full** for a terminal: every place, every code point, and what was seen at each combination of levels
//! that was run.

use std::collections::BTreeMap;

use super::escape::terminal as safe;
use super::observed::{Observed, Seen, matching};
use super::summary;
use super::text::{Ink, Page, Text, cut};
use crate::finding::Finding;
use crate::scenario::Scenario;

/// Rows of a truth table; a table that is longer is not read.
const ROWS: usize = 200;

impl Text {
    /// Renders one finding, the `index`th of those that were observed.
    #[must_use]
    pub fn detail(&self, finding: &Finding, index: usize, scenario: &Scenario, observed: &Observed) -> Vec<u8> {
        let mut page = Page::new(*self);
        page.title(&format!(
            "{} {} depends on {}",
            summary::class(finding.class),
            summary::channel(finding),
            safe(&summary::factors(finding))
        ));
        page.labelled("finding", &format!("{}, {}", safe(&finding.id), summary::status(finding)));
        page.labelled("", &cut(&safe(&summary::sentence(finding))));
        page.labelled("severity", summary::severity(finding));
        for (label, why) in [("explained", &finding.explained_by), ("disclosed", &finding.disclosed)] {
            if let Some(why) = why {
                page.labelled(label, &cut(&safe(why)));
            }
        }
        for place in &finding.places {
            page.labelled("where", &cut(&safe(place)));
        }
        for (condition, value) in summary::rule_lines(finding) {
            page.labelled("rule", &format!("{} → {}", cut(&safe(&condition)), cut(&safe(&value))));
        }
        page.labelled("", "otherwise → as at the baseline");
        let excerpt = &finding.excerpt;
        page.labelled_in("baseline", &cut(&safe(summary::value(excerpt.baseline.as_deref()))), Some(Ink::Green));
        page.labelled_in("variant", &cut(&safe(summary::value(excerpt.variant.as_deref()))), Some(Ink::Red));
        for point in &excerpt.codepoints {
            page.labelled(
                "differs",
                &format!("{} has {} {}", safe(&point.side), safe(&point.codepoint), safe(&point.name)),
            );
        }
        page.labelled("effect", &super::escape::terminal(&summary::effect(finding)));
        page.labelled("evidence", &summary::evidence(finding));
        if let Some(course) = summary::course(finding) {
            page.labelled("", &course);
        }
        if let Some(suggested) = summary::suggested(finding) {
            page.labelled("", &cut(&safe(&suggested)));
        }
        let reproduce = &finding.reproduce;
        let (baseline, variant) = (safe(&reproduce.baseline_cell), safe(&reproduce.variant_cell));
        page.labelled("again", &format!("cells {baseline} and {variant}: {}", cut(&safe(&reproduce.command))));
        truth(&mut page, finding, index, scenario, observed);
        by_hand(&mut page, finding);
        page.out.into_bytes()
    }
}

/// The commands, each line as it is to be pasted.
fn by_hand(page: &mut Page, finding: &Finding) {
    let Some(commands) = summary::by_hand(finding) else { return };
    page.heading("See it by hand, without this program (bash; what was sent is then in baseline.txt and variant.txt)");
    for (what, lines) in commands {
        page.out.extend(["\n# ", what, ":\n"]);
        for line in lines {
            page.out.push_str(&safe(line));
            page.out.push('\n');
        }
    }
    for left in finding.reproduce.by_hand.iter().flat_map(|shown| &shown.leaves_out) {
        page.out.extend(["# not as in the run: ", &cut(&safe(left)), "\n"]);
    }
}

/// What was seen at the finding's first place, by the levels of its factors.
fn truth(page: &mut Page, finding: &Finding, index: usize, scenario: &Scenario, observed: &Observed) {
    let known = |name: &String| scenario.factors.iter().position(|factor| factor.name == *name);
    let factors: Vec<usize> = finding.factors.iter().filter_map(known).collect();
    let Some(column) = observed.column(index, 0).filter(|_| factors.len() == finding.factors.len()) else {
        page.heading("What each cell showed cannot be read again from this run's records");
        return;
    };
    let mut rows: BTreeMap<Vec<u16>, (BTreeMap<Seen, usize>, bool)> = BTreeMap::new();
    for (run, seen) in observed.runs.iter().zip(&column.seen).filter(|(run, _)| run.failure.is_none()) {
        let levels = factors.iter().map(|factor| run.cell.levels.0.get(*factor).copied().unwrap_or_default());
        let row = rows.entry(levels.collect()).or_default();
        *row.0.entry(*seen).or_default() += 1;
        row.1 = matching(finding, &run.cell, scenario).is_some();
    }
    page.heading("What was seen at the first place, by the levels that were run");
    let names = finding.factors.iter().map(|name| safe(name));
    let mut table: Vec<Vec<String>> = vec![names.chain(["rule", "seen", "cells"].map(String::from)).collect()];
    for (levels, (seen, matched)) in rows.iter().take(ROWS) {
        let labels = factors.iter().zip(levels).map(|(factor, level)| {
            let level = scenario.factors.get(*factor).and_then(|factor| factor.levels.get(usize::from(*level)));
            safe(level.map_or("", crate::scenario::Level::label))
        });
        let value = |seen: &Seen| cut(&safe(summary::value(column.text(*seen))));
        let values: Vec<String> = if seen.len() == 1 {
            seen.keys().map(value).collect()
        } else {
            seen.iter().map(|(seen, count)| format!("{} ×{count}", value(seen))).collect()
        };
        let rule = if *matched { "matches" } else { "otherwise" };
        let cells: usize = seen.values().sum();
        table.push(labels.chain([rule.to_owned(), values.join(", "), cells.to_string()]).collect());
    }
    page.rows(table);
    if rows.len() > ROWS {
        page.labelled("", &format!("and {} more combinations; all are in report --format csv", rows.len() - ROWS));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing;

    fn shown(finding: &Finding) -> String {
        let scenario = testing::manifest().scenario;
        let observed = Observed::of(&testing::records(), &scenario, &testing::found());
        String::from_utf8(Text::default().detail(finding, 0, &scenario, &observed)).unwrap()
    }

    #[test]
    fn everything_about_a_finding_is_told() {
        let text = shown(&testing::found().findings[0]);
        for part in [
            "covert body depends on zone",
            "f0123456789, open",
            "zone = Asia/Tokyo → variant",
            "variant has U+2019 RIGHT SINGLE QUOTATION MARK",
            "│ UTC        │ otherwise │ baseline │ 6     │",
            "│ Asia/Tokyo │ matches   │ variant  │ 5     │",
        ] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
    }

    #[test]
    fn what_an_agent_wrote_is_escaped() {
        for finding in &testing::hostile().findings {
            let text = shown(finding);
            assert!(text.chars().all(|c| c == '\n' || !crate::report::escape::is_hidden(c)));
            assert!(text.len() < 40_000, "{} bytes", text.len());
        }
    }
}
