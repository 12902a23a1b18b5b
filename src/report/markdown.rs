//! The report as **Markdown**: `report.md`, to be kept beside the run or pasted into an issue.

use std::fmt::Write as _;

use super::escape::{markdown as code, markdown_cell as cell, terminal};
use super::{Report, summary};
use crate::finding::{Finding, Findings, Stale};
use crate::store::Manifest;

/// Places of a finding that are listed; `findings.json` has them all.
const PLACES: usize = 20;

/// Markdown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Markdown;

impl Report for Markdown {
    fn render(&self, findings: &Findings, manifest: &Manifest) -> Vec<u8> {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = write(&mut out, findings, manifest);
        out.into_bytes()
    }
}

fn write(out: &mut String, findings: &Findings, manifest: &Manifest) -> std::fmt::Result {
    writeln!(out, "# {}\n", code(&findings.scenario))?;
    writeln!(out, "**{}**\n", summary::verdict(findings))?;
    writeln!(out, "| | |\n|---|---|")?;
    for (name, value) in summary::facts(findings, manifest) {
        writeln!(out, "| {name} | {} |", cell(&value))?;
    }
    let sorted = summary::Sorted::new(findings);
    if !sorted.open.is_empty() {
        writeln!(out, "\n## Neither explained nor disclosed")?;
        for finding in &sorted.open {
            write_finding(out, finding)?;
        }
    }
    write_short(out, "Disclosed by the vendor", &sorted.disclosed, |finding| finding.disclosed.as_deref())?;
    write_short(out, "Explained", &sorted.explained, |finding| finding.explained_by.as_deref())?;
    write_stale(out, &findings.stale)?;
    writeln!(out, "\n## What this run can and cannot say\n")?;
    for line in summary::power(findings) {
        writeln!(out, "- Power: {line}")?;
    }
    let not_varied = findings.not_varied.iter().map(|name| code(name)).collect::<Vec<_>>().join(", ");
    writeln!(out, "- Not varied: {}", if not_varied.is_empty() { "nothing that is known" } else { &not_varied })?;
    for signal in &findings.power.unexplained {
        writeln!(out, "- Unexplained: {}", code(signal))?;
    }
    for note in &findings.notes {
        writeln!(out, "- Note: {}", code(note))?;
    }
    Ok(())
}

fn write_finding(out: &mut String, finding: &Finding) -> std::fmt::Result {
    writeln!(
        out,
        "\n### {} {}: depends on {}\n",
        summary::class(finding.class),
        summary::channel(finding),
        finding.factors.iter().map(|factor| code(factor)).collect::<Vec<_>>().join(" × ")
    )?;
    writeln!(
        out,
        "Finding {}; {}; severity {}.\n",
        code(&finding.id),
        summary::class_means(finding.class),
        summary::severity(finding)
    )?;
    writeln!(out, "{}\n", code(&summary::sentence(finding)))?;
    writeln!(out, "| when | then |\n|---|---|")?;
    for (condition, value) in summary::rule_lines(finding) {
        writeln!(out, "| {} | {} |", cell(&condition), cell(&value))?;
    }
    writeln!(out, "| otherwise | as at the baseline |\n")?;
    writeln!(out, "- baseline: {}", code(summary::value(finding.excerpt.baseline.as_deref())))?;
    writeln!(out, "- variant: {}", code(summary::value(finding.excerpt.variant.as_deref())))?;
    for point in summary::codepoints(finding, "baseline").chain(summary::codepoints(finding, "variant")) {
        writeln!(out, "- {} has {} {}", code(&point.side), code(&point.codepoint), code(&point.name))?;
    }
    writeln!(out, "- effect: {}", cell(&summary::effect(finding)))?;
    writeln!(out, "- evidence: {}", summary::evidence(finding))?;
    if let Some(course) = summary::course(finding) {
        writeln!(out, "- course: {course}")?;
    }
    if let Some(suggested) = summary::suggested(finding) {
        writeln!(out, "- {}", cell(&suggested))?;
    }
    let reproduce = &finding.reproduce;
    writeln!(
        out,
        "- again: cells {} and {}, {}",
        code(&reproduce.baseline_cell),
        code(&reproduce.variant_cell),
        code(&reproduce.command)
    )?;
    let (shown, more) = summary::places(finding, PLACES);
    writeln!(out, "- places:")?;
    for place in shown {
        writeln!(out, "  - {}", code(place))?;
    }
    if more > 0 {
        writeln!(out, "  - and {more} more")?;
    }
    write_by_hand(out, finding)
}

/// The commands in fenced blocks, to be copied from there.
fn write_by_hand(out: &mut String, finding: &Finding) -> std::fmt::Result {
    let Some(commands) = summary::by_hand(finding) else { return Ok(()) };
    writeln!(out, "\n<details><summary>See it by hand, without this program (bash)</summary>")?;
    for (what, lines) in commands {
        let lines: Vec<String> = lines.into_iter().map(terminal).collect();
        let longest = lines.iter().flat_map(|line| line.split(|c| c != '`')).map(str::len).max().unwrap_or(0);
        let fence = "`".repeat(longest.max(2) + 1);
        writeln!(out, "\n{what}:\n\n{fence}sh\n{}\n{fence}", lines.join("\n"))?;
    }
    writeln!(out)?;
    for left in finding.reproduce.by_hand.iter().flat_map(|shown| &shown.leaves_out) {
        writeln!(out, "- not as in the run: {}", code(left))?;
    }
    writeln!(out, "\n</details>")
}

fn write_stale(out: &mut String, stale: &[Stale]) -> std::fmt::Result {
    if stale.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n## Disclosed, and not borne out\n\n| factors | where | says | but |\n|---|---|---|---|")?;
    for entry in stale {
        let factors = cell(&entry.factors.join(" × "));
        let (place, says, why) = (cell(&entry.place), cell(&entry.says), cell(&summary::stale(entry)));
        writeln!(out, "| {factors} | {place} | {says} | {why} |")?;
    }
    Ok(())
}

fn write_short<'a>(
    out: &mut String,
    title: &str,
    findings: &[&'a Finding],
    why: impl Fn(&'a Finding) -> Option<&'a str>,
) -> std::fmt::Result {
    if findings.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n## {title}\n\n| class | depends on | where | why |\n|---|---|---|---|")?;
    for finding in findings {
        let (shown, more) = summary::places(finding, 1);
        let place = shown.first().map_or(String::new(), |place| cell(place));
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        writeln!(
            out,
            "| {} | {} | {place}{more} | {} |",
            summary::class(finding.class),
            cell(&summary::factors(finding)),
            cell(why(finding).unwrap_or(""))
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing;

    fn text() -> String {
        String::from_utf8(Markdown.render(&testing::findings(), &testing::manifest())).unwrap()
    }

    #[test]
    fn a_finding_says_everything_that_a_reader_needs() {
        let text = text();
        for part in [
            "**conditioned: 1 dependence is neither explained nor disclosed**",
            "### covert body: depends on `timezone` × `base_url`",
            "| `timezone = Asia/Tokyo or Asia/Seoul, and base_url = http://gateway.example` | `’` |",
            "| otherwise | as at the baseline |",
            "`U+2019` `RIGHT SINGLE QUOTATION MARK`",
            "echo of a level of hostname",
            "- effect: `0.81 bits: timezone alone 0.20, base_url alone 0.05, 0.56 only together; interaction information",
            "severity high",
            "- course: E 2.000, 4.000, 8.000,",
            "at the variant:\n\n```sh\ndocker run --env TZ=Asia/Tokyo \\\n  agent > variant.txt\n```",
            "- Power: 2 factors: all 80 combinations of levels were run, the rarest 2 times",
            "Not varied: `clock`, `cpus`",
            "| seed | `7` |",
            "- Note: `the second note`",
        ] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
    }

    #[test]
    fn what_an_agent_wrote_is_escaped() {
        let text = text();
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'));
        // The bar of a place would end its cell; the link of a note would be one.
        assert!(text.contains("a\\|b"), "{text}");
        assert!(text.contains("`[click](http://evil.example) ⟨U+202E⟩`"), "{text}");
    }

    #[test]
    fn a_hostile_agent_changes_nothing_of_the_structure() {
        let hostile = testing::hostile();
        let text = String::from_utf8(Markdown.render(&hostile, &testing::manifest())).unwrap();
        assert!(text.chars().all(|c| c == '\n' || !crate::report::escape::is_hidden(c)));
        let open = hostile.findings.iter().filter(|one| one.explained_by.is_none() && one.disclosed.is_none()).count();
        // The title, five parts and a heading a finding; and a table has as many columns in each line.
        assert_eq!(text.lines().filter(|line| line.starts_with('#')).count(), 1 + 5 + open);
        for line in text.lines().filter(|line| line.starts_with('|')) {
            let bars = line.replace("\\|", "").matches('|').count();
            assert!(bars == 3 || bars == 5, "{bars}: {}", line.chars().take(200).collect::<String>());
        }
    }
}
