//! The **trail** of findings through versions, for a terminal and for a pull request: where each comes and goes.

use std::fmt::Write as _;

use super::{escape, summary, wrap};
use crate::series::sighting::Sighting;
use crate::series::trace::{EdgeTold, Trace, Traced};

/// Renders a trace.
#[derive(Clone, Copy, Debug)]
pub struct Trail<'a>(pub &'a Trace);

impl Trail<'_> {
    /// In so many columns.
    #[must_use]
    pub fn text(&self, width: usize) -> String {
        let mut out = String::new();
        let mut put = |name: &str, text: &str| {
            for (n, line) in wrap(&escape::terminal(text), width.saturating_sub(15).max(20)).iter().enumerate() {
                // Writing to a string cannot fail.
                let _ = writeln!(out, "   {:<11} {line}", if n == 0 { name } else { "" });
            }
        };
        put("series", &self.head());
        for note in self.remarks() {
            put("note", &note);
        }
        for traced in &self.0.findings {
            put("", "");
            put("finding", &format!("{} · {}", traced.finding.id, summary::sentence(&traced.finding)));
            put("found in", &traced.version);
            put("where", traced.finding.places.first().map_or("", String::as_str));
            for edge in &traced.edges {
                put(if edge.appears { "appeared" } else { "gone" }, &edge_line(edge));
                for (version, sighting) in sides(edge) {
                    put("", &format!("{version}: {}", evidence(sighting)));
                }
            }
            put("newest", newest(traced));
            put("looked at", &self.looked(traced));
        }
        out
    }

    /// For a pull request or a job's page.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut out = format!("### Findings through versions\n\n{}\n", escape::markdown(&self.head()));
        for note in self.remarks() {
            let _ = writeln!(out, "\n- note: {}", escape::markdown(&note));
        }
        if !self.0.findings.is_empty() {
            out.push_str("\n| finding | class | depends on | appeared in | gone in | newest | where |\n|---|---|---|---|---|---|---|\n");
        }
        for traced in &self.0.findings {
            let edges = |appears: bool| {
                let told = traced.edges.iter().filter(|edge| edge.appears == appears);
                let told: Vec<String> = told.map(edge_line).collect();
                if told.is_empty() { String::from("–") } else { escape::markdown_cell(&told.join("; ")) }
            };
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} | {} | {} | {} |",
                escape::markdown_cell(&traced.finding.id),
                summary::class(traced.finding.class),
                escape::markdown_cell(&summary::factors(&traced.finding)),
                edges(true),
                edges(false),
                newest(traced),
                escape::markdown_cell(traced.finding.places.first().map_or("", String::as_str)),
            );
        }
        for traced in &self.0.findings {
            let _ = writeln!(out, "\n{}\n", escape::markdown(&format!("Evidence for {}", traced.finding.id)));
            for edge in &traced.edges {
                for (version, sighting) in sides(edge) {
                    let _ = writeln!(out, "- {}", escape::markdown(&format!("{version}: {}", evidence(sighting))));
                }
            }
            let _ = writeln!(out, "- {}", escape::markdown(&format!("looked at: {}", self.looked(traced))));
        }
        out
    }

    fn head(self) -> String {
        let trace = self.0;
        let ends = match (trace.versions.first(), trace.versions.last()) {
            (Some(first), Some(last)) => format!("{first} to {last}"),
            _ => String::from("no version"),
        };
        let cells: usize = trace.ran.iter().map(|ran| ran.cells).sum();
        format!(
            "{} · {} {ends} · {} versions, {} run, {} installed · {cells} cells · {:.0} s · seed {}",
            trace.scenario,
            trace.package,
            trace.versions.len(),
            trace.ran.len(),
            trace.installed,
            trace.seconds,
            trace.seed
        )
    }

    fn remarks(self) -> Vec<String> {
        let lost = self.0.lost.iter().map(|(version, why)| {
            let why: Vec<&str> = why.split_whitespace().collect();
            format!("{version} could not be judged: {}", why.join(" ").chars().take(300).collect::<String>())
        });
        self.0.notes.iter().cloned().chain(lost).collect()
    }

    /// `2.1.80 no · 2.1.91 yes`, the oldest first.
    fn looked(self, traced: &Traced) -> String {
        let seen = self.0.versions.iter().filter_map(|version| {
            let sighting = traced.sightings.get(version)?;
            let word = sighting.verdict().map_or("unclear", |seen| if seen { "yes" } else { "no" });
            Some(format!("{version} {word}"))
        });
        seen.collect::<Vec<_>>().join(" · ")
    }
}

fn edge_line(edge: &EdgeTold) -> String {
    let (before, after) = (&edge.before, &edge.after);
    let what =
        if edge.appears { format!("in {after}, not in {before}") } else { format!("in {after}, still in {before}") };
    let sure = match (edge.confirmed, edge.between.is_empty()) {
        (true, true) => "",
        (true, false) => " (not exact)",
        (false, _) => " (not confirmed)",
    };
    let between = match edge.between.len() {
        0 => String::new(),
        n => format!("; {n} published version{} between them not judged", summary::plural(n)),
    };
    format!("{what}{between}{sure}")
}

fn sides(edge: &EdgeTold) -> impl Iterator<Item = (&str, &Sighting)> {
    let before = edge.evidence_before.as_ref().map(|sighting| (edge.before.as_str(), sighting));
    let after = edge.evidence_after.as_ref().map(|sighting| (edge.after.as_str(), sighting));
    before.into_iter().chain(after)
}

fn newest(traced: &Traced) -> &'static str {
    match traced.in_newest {
        Some(true) => "seen",
        Some(false) => "not seen",
        None => "could not be judged",
    }
}

/// `12 of 12 cells differ where the rule applies, 6 of 6 agree elsewhere (p 0.001): “a” → “b”`.
fn evidence(sighting: &Sighting) -> String {
    let mut text = format!(
        "{} of {} cells differ where the rule applies, {} of {} agree elsewhere (p {})",
        sighting.differ,
        sighting.variant_cells,
        sighting.agree,
        sighting.baseline_cells,
        summary::number(sighting.p_value)
    );
    if let (Some(true), Some(baseline), Some(variant)) = (sighting.verdict(), &sighting.baseline, &sighting.variant) {
        let _ = write!(text, ": {baseline} → {variant}");
    }
    if let Some(why) = &sighting.why {
        let _ = write!(text, "; {why}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing;
    use crate::series::sighting::Standing;
    use crate::series::trace::{Ran, SCHEMA_VERSION};

    fn trace(place: &str) -> Trace {
        let sighting = |standing, differ| Sighting {
            standing,
            baseline_cells: 6,
            agree: 6,
            variant_cells: 6,
            differ,
            p_value: 0.001,
            place: None,
            baseline: Some(place.to_owned()),
            variant: Some("b".into()),
            why: None,
        };
        let mut finding = testing::findings().findings[0].clone();
        finding.places = vec![place.to_owned()];
        let (no, yes) = (sighting(Standing::NotSeen, 0), sighting(Standing::Seen, 6));
        let edge = EdgeTold {
            appears: true,
            before: "1.0.0".into(),
            after: "1.2.0".into(),
            between: vec!["1.1.0".into()],
            evidence_before: Some(no.clone()),
            evidence_after: Some(yes.clone()),
            confirmed: true,
        };
        let sightings = [("1.0.0".to_owned(), no), ("1.2.0".to_owned(), yes)].into();
        let version = "1.2.0".to_owned();
        Trace {
            schema_version: SCHEMA_VERSION,
            scenario: "x".into(),
            package: "@s/x".into(),
            seed: 1,
            versions: ["1.0.0", "1.1.0", "1.2.0"].map(str::to_owned).to_vec(),
            ran: vec![Ran { version: version.clone(), cells: 12, whole: false }],
            installed: 2,
            lost: [("1.1.0".to_owned(), "npm said\n  no".to_owned())].into(),
            findings: vec![Traced { finding, version, sightings, edges: vec![edge], in_newest: Some(true) }],
            notes: Vec::new(),
            seconds: 12.0,
        }
    }

    #[test]
    fn an_edge_is_told_with_its_evidence() {
        let trace = trace("a");
        assert!(trace.is_alarm() && trace.is_inconclusive());
        let text = Trail(&trace).text(200);
        for told in [
            "appeared    in 1.2.0, not in 1.0.0; 1 published version between them not judged (not exact)",
            "1.2.0: 6 of 6 cells differ where the rule applies, 6 of 6 agree elsewhere (p 0.001): a → b",
            "newest      seen",
            "looked at   1.0.0 no · 1.2.0 yes",
            "1.1.0 could not be judged: npm said no",
        ] {
            assert!(text.contains(told), "{told}\n{text}");
        }
    }

    #[test]
    fn what_an_agent_wrote_stays_text() {
        let trace = trace("\u{1b}[2J|<img src=x>\u{202e}\n# head");
        for text in [Trail(&trace).text(100), Trail(&trace).markdown()] {
            assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}') && !text.contains("\n# head"), "{text}");
        }
        assert!(Trail(&trace).markdown().contains("\\|<img src=x>"));
    }
}
