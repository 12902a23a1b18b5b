//! The **matrix** of a sweep: findings by targets, in one table.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{escape, summary};
use crate::finding::{Finding, Verdict};

/// What several targets show under one scenario.
#[derive(Clone, Debug)]
pub struct Matrix {
    /// The scenario's name.
    pub scenario: String,
    /// The seed of every run.
    pub seed: u64,
    /// The targets, in the order in which they were asked for.
    pub columns: Vec<Column>,
}

/// One target.
#[derive(Clone, Debug)]
pub struct Column {
    /// What it is called: a version, or the name of its file.
    pub label: String,
    /// Its package URL; empty where it could not be run.
    pub package: String,
    /// The run in one word; `None` where it could not be run.
    pub verdict: Option<Verdict>,
    /// What was found.
    pub findings: Vec<Finding>,
    /// Why it could not be run.
    pub failure: Option<String>,
    /// Whether it was run now, and not before.
    pub again: bool,
}

impl Matrix {
    /// Every finding once, as the first target that has it shows it; what nobody speaks of first.
    fn findings(&self) -> Vec<&Finding> {
        let mut known: BTreeMap<&str, &Finding> = BTreeMap::new();
        for finding in self.columns.iter().flat_map(|column| &column.findings) {
            known.entry(&finding.id).or_insert(finding);
        }
        let mut findings: Vec<&Finding> = known.into_values().collect();
        findings.sort_by_key(|one| (one.explained_by.is_some() || one.disclosed.is_some(), one.class, one.id.clone()));
        findings
    }

    /// How a finding stands in a target.
    fn cell(column: &Column, id: &str) -> &'static str {
        match (column.verdict, column.findings.iter().find(|finding| finding.id == id)) {
            (None, _) => "not run",
            (Some(_), Some(finding)) => summary::status(finding),
            (Some(Verdict::Inconclusive), None) => "?",
            (Some(_), None) => "–",
        }
    }

    /// The table, its head first: finding, class, factors, place, then a column a target.
    #[must_use]
    pub fn rows(&self) -> Vec<Vec<String>> {
        let head = ["finding", "class", "depends on", "where"].map(str::to_owned);
        let mut rows: Vec<Vec<String>> =
            vec![head.into_iter().chain(self.columns.iter().map(|column| column.label.clone())).collect()];
        for finding in self.findings() {
            let place = finding.places.first().cloned().unwrap_or_default();
            let first =
                [finding.id.clone(), summary::class(finding.class).to_owned(), summary::factors(finding), place];
            let cells = self.columns.iter().map(|column| Self::cell(column, &finding.id).to_owned());
            rows.push(first.into_iter().chain(cells).collect());
        }
        let verdict = |column: &Column| match column.verdict {
            Some(Verdict::Clean) => "clean",
            Some(Verdict::Conditioned) => "conditioned",
            Some(Verdict::Inconclusive) => "inconclusive",
            None => "not run",
        };
        let last = ["verdict", "", "", ""].map(str::to_owned);
        rows.push(last.into_iter().chain(self.columns.iter().map(|column| verdict(column).to_owned())).collect());
        rows
    }

    /// One line.
    #[must_use]
    pub fn head(&self) -> String {
        let run = self.columns.iter().filter(|column| column.again && column.verdict.is_some()).count();
        let lost = self.columns.iter().filter(|column| column.verdict.is_none()).count();
        let all = self.columns.len();
        format!(
            "{} · {all} targets, {run} run now, {} before, {lost} could not be run · {} findings · seed {}",
            self.scenario,
            all - run - lost,
            self.findings().len(),
            self.seed
        )
    }

    /// For a pull request.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut out = format!("### Findings by target\n\n{}\n", escape::markdown(&self.head()));
        for column in &self.columns {
            if let Some(failure) = &column.failure {
                let line = failure.split_whitespace().collect::<Vec<_>>().join(" ");
                // Writing to a string cannot fail.
                let _ = writeln!(out, "\n- not run: {}", escape::markdown(&format!("{}: {line}", column.label)));
            }
        }
        for (n, row) in self.rows().into_iter().enumerate() {
            let cells: Vec<String> = row
                .iter()
                .map(|cell| if cell.is_empty() { String::new() } else { escape::markdown_cell(cell) })
                .collect();
            let _ = writeln!(out, "{}| {} |", if n == 0 { "\n" } else { "" }, cells.join(" | "));
            if n == 0 {
                let _ = writeln!(out, "|{}", "---|".repeat(row.len()));
            }
        }
        out
    }

    /// For machines.
    #[must_use]
    pub fn json(&self) -> Value {
        let targets: Vec<Value> = self
            .columns
            .iter()
            .map(|column| {
                json!({ "label": column.label, "package": column.package, "verdict": column.verdict,
                        "failure": column.failure, "run_now": column.again })
            })
            .collect();
        let findings: Vec<Value> = self
            .findings()
            .into_iter()
            .map(|finding| {
                let cells: BTreeMap<&str, &str> = self
                    .columns
                    .iter()
                    .map(|column| (column.label.as_str(), Self::cell(column, &finding.id)))
                    .collect();
                json!({ "id": finding.id, "class": finding.class, "factors": finding.factors, "rule": finding.rule,
                        "place": finding.places.first(), "targets": cells })
            })
            .collect();
        json!({ "schema_version": 1, "scenario": self.scenario, "seed": self.seed, "targets": targets,
                "findings": findings })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing;

    fn column(label: &str, verdict: Option<Verdict>, findings: Vec<Finding>) -> Column {
        let failure = verdict.is_none().then(|| String::from("no\nsuch | version"));
        Column { label: label.into(), package: String::new(), verdict, findings, failure, again: true }
    }

    fn matrix() -> Matrix {
        let findings = testing::findings().findings;
        let columns = vec![
            column("1.0", Some(Verdict::Conditioned), findings.clone()),
            column("1.1", Some(Verdict::Clean), findings[1..].to_vec()),
            column("1.2", Some(Verdict::Inconclusive), Vec::new()),
            column("1.3", None, Vec::new()),
        ];
        Matrix { scenario: "x".into(), seed: 1, columns }
    }

    #[test]
    fn a_row_a_finding_and_a_column_a_target() {
        let rows = matrix().rows();
        assert_eq!(rows.len(), 4);
        assert_eq!(rows[1][4..], ["open", "–", "?", "not run"]);
        assert_eq!(rows[2][4..], ["explained", "explained", "?", "not run"]);
        assert_eq!(rows[3][4..], ["conditioned", "clean", "inconclusive", "not run"]);
        assert_eq!(matrix().json()["findings"][0]["targets"]["1.1"], "–");
    }

    #[test]
    fn nothing_breaks_the_table() {
        let mut hostile = matrix();
        hostile.columns[0].findings = testing::hostile().findings;
        let text = hostile.markdown();
        let width = hostile.rows()[0].len();
        let table: Vec<&str> = text.lines().filter(|line| line.starts_with("| ")).collect();
        assert_eq!(table.len(), hostile.rows().len());
        for line in table {
            assert_eq!(line.replace("\\|", "").matches('|').count(), width + 1, "{line}");
        }
        assert!(!text.contains('\u{1b}') && text.contains("no such"));
    }
}
