//! The **long form**: one row for each cell at each place of a finding, as CSV or JSON Lines, for data frames and
//! databases. `docs/reports.md` names the columns.

use serde_json::{Map, Value, json};

use super::observed::{Observed, Seen, matching, short};
use super::{Report, escape, summary};
use crate::capture::Ran;
use crate::cell::Phase;
use crate::finding::{Finding, Findings};
use crate::store::Manifest;

/// What a table's factor columns begin with.
const FACTOR: &str = "factor:";

/// A long form.
#[derive(Clone, Debug)]
pub struct Table {
    /// What was seen, cell by cell.
    pub observed: Observed,
    /// How it is written.
    pub form: Form,
}

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// RFC 4180 with a head. What cannot be seen is written as `⟨U+200B⟩`, and no field begins a formula.
    Csv,
    /// One JSON object a line, values exact, ASCII only.
    JsonLines,
}

impl Report for Table {
    fn render(&self, findings: &Findings, manifest: &Manifest) -> Vec<u8> {
        let mut out = Vec::new();
        let columns = columns(manifest);
        if self.form == Form::Csv {
            csv_line(&mut out, columns.iter().map(|name| text(name)));
        }
        for (index, finding) in findings.findings.iter().enumerate() {
            for (at, place) in finding.places.iter().enumerate() {
                let (Some(column), place) = (self.observed.column(index, at), short(place)) else { continue };
                for (run, seen) in self.observed.runs.iter().zip(&column.seen) {
                    let cells = row(findings, manifest, finding, &place, run, *seen, column.text(*seen));
                    match self.form {
                        Form::Csv => csv_line(&mut out, cells.iter().map(field)),
                        Form::JsonLines => {
                            let object: Map<String, Value> = columns.iter().cloned().zip(cells).collect();
                            out.extend_from_slice(escape::json(&Value::Object(object)).as_bytes());
                            out.push(b'\n');
                        }
                    }
                }
            }
        }
        out
    }
}

fn columns(manifest: &Manifest) -> Vec<String> {
    let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let mut columns = own(&["run", "scenario", "target", "seed", "finding", "class", "channel", "status", "place"]);
    columns.extend(own(&["cell", "round", "phase", "replicate", "seconds", "rule_line", "seen", "value"]));
    columns.extend(manifest.scenario.factors.iter().map(|factor| format!("{FACTOR}{}", factor.name)));
    columns
}

fn row(
    findings: &Findings,
    manifest: &Manifest,
    finding: &Finding,
    place: &str,
    run: &Ran,
    seen: Seen,
    value: Option<&str>,
) -> Vec<Value> {
    let phase = match run.cell.phase {
        Phase::Cover => "cover",
        Phase::Explain => "explain",
        Phase::Confirm => "confirm",
    };
    let seen = match seen {
        Seen::Lost => "lost",
        Seen::Absent => "absent",
        Seen::Value(_) => "value",
    };
    // Lines are counted from 1; 0 is where none matches.
    let line = matching(finding, &run.cell, &manifest.scenario)
        .and_then(|rule| finding.rule.iter().rposition(|known| known == rule))
        .map_or(0, |at| at + 1);
    let mut cells = vec![
        json!(manifest.run),
        json!(findings.scenario),
        json!(manifest.target.package),
        json!(manifest.seed),
        json!(finding.id),
        json!(summary::class(finding.class)),
        json!(summary::channel(finding)),
        json!(summary::status(finding)),
        json!(place),
        json!(run.cell.id.0),
        json!(run.cell.round),
        json!(phase),
        json!(run.cell.replicate),
        if run.failure.is_some() { Value::Null } else { json!(run.wall.as_f64()) },
        json!(line),
        json!(seen),
        json!(value),
    ];
    for (factor, level) in manifest.scenario.factors.iter().zip(&run.cell.levels.0) {
        cells.push(json!(factor.levels.get(usize::from(*level)).map(crate::scenario::Level::label)));
    }
    cells
}

fn field(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text_value) => text(text_value),
        other => other.to_string(),
    }
}

/// A text that no spreadsheet takes for a formula: where one begins with a sign that could start one, or with the mark
/// itself, a mark stands before it. Taking one `'` away gives the text back.
fn text(value: &str) -> String {
    let shown = escape::terminal(value);
    let acts = |c: char| matches!(c, '=' | '+' | '-' | '@' | '\'' | '|' | '%' | '＝' | '＋' | '－' | '＠');
    if shown.trim_start().starts_with(acts) { format!("'{shown}") } else { shown }
}

fn csv_line(out: &mut Vec<u8>, fields: impl Iterator<Item = String>) {
    for (n, field) in fields.enumerate() {
        if n > 0 {
            out.push(b',');
        }
        // Always between quotes where anything but letters and digits stands: other separators are in use, too.
        if field.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':')) {
            out.extend_from_slice(field.as_bytes());
        } else {
            out.push(b'"');
            out.extend_from_slice(field.replace('"', "\"\"").as_bytes());
            out.push(b'"');
        }
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing;

    fn rendered(form: Form) -> String {
        let (findings, manifest) = (testing::found(), testing::manifest());
        let observed = Observed::of(&testing::records(), &manifest.scenario, &findings);
        String::from_utf8(Table { observed, form }.render(&findings, &manifest)).unwrap()
    }

    #[test]
    fn a_row_a_cell() {
        let csv = rendered(Form::Csv);
        let lines: Vec<&str> = csv.split_terminator("\r\n").collect();
        assert_eq!(lines.len(), 13);
        assert!(lines[0].ends_with("rule_line,seen,value,factor:zone"), "{}", lines[0]);
        assert!(lines[1].contains(",c0000,0,cover,0,0.001,0,value,baseline,UTC"), "{}", lines[1]);
        assert!(lines[2].contains(",c0001,0,cover,0,0.001,1,value,variant,\"Asia/Tokyo\""), "{}", lines[2]);
        assert!(lines[6].contains(",c0005,0,cover,0,,0,lost,,UTC"), "{}", lines[6]);
        let json = rendered(Form::JsonLines);
        let row: Value = serde_json::from_str(json.lines().nth(1).unwrap()).unwrap();
        assert_eq!(
            (&row["cell"], &row["value"], &row["factor:zone"]),
            (&json!("c0001"), &json!("variant"), &json!("Asia/Tokyo"))
        );
        let lost: Value = serde_json::from_str(json.lines().nth(5).unwrap()).unwrap();
        assert_eq!((&lost["seen"], &lost["value"], &lost["seconds"]), (&json!("lost"), &Value::Null, &Value::Null));
    }

    #[test]
    fn nothing_begins_a_formula() {
        for formula in ["=1+1", "+1", "-1", "@x", "'=1", "|x", "%0", " =1", "＝1"] {
            assert_eq!(text(formula), format!("'{formula}"), "{formula:?}");
        }
        // A tab and a line end are drawn, and then what follows them begins nothing.
        assert_eq!(text("\t=1"), "⟨U+0009⟩=1");
        assert_eq!(text("a=1"), "a=1");
    }

    #[test]
    fn a_hostile_agent_changes_nothing_of_the_structure() {
        let (mut findings, manifest) = (testing::hostile(), testing::manifest());
        findings.findings.truncate(9);
        let mut observed = Observed::of(&testing::records(), &manifest.scenario, &testing::found());
        let mut column = observed.column(0, 0).unwrap().clone();
        column.values = vec![testing::HOSTILE.into(), "=1+1".into()];
        observed.findings = findings.findings.iter().map(|one| vec![Some(column.clone()); one.places.len()]).collect();
        let rows: usize = findings.findings.iter().map(|one| one.places.len() * 12).sum();
        for form in [Form::Csv, Form::JsonLines] {
            let table = Table { observed: observed.clone(), form }.render(&findings, &manifest);
            let table = String::from_utf8(table).unwrap();
            assert!(table.chars().all(|c| matches!(c, '\r' | '\n') || !escape::is_hidden(c)));
            let lines: Vec<&str> = table.lines().collect();
            if form == Form::JsonLines {
                assert_eq!(lines.len(), rows);
                let row: Value = serde_json::from_str(lines[0]).unwrap();
                assert_eq!(row["value"], testing::HOSTILE, "the exact text");
                assert!(table.is_ascii());
            } else {
                assert_eq!(lines.len(), rows + 1);
                let parsed: Vec<usize> = lines.iter().map(|line| csv_fields(line).len()).collect();
                assert!(parsed.iter().all(|fields| *fields == parsed[0]), "{parsed:?}");
                for field in lines[1..].iter().flat_map(|line| csv_fields(line)) {
                    assert!(!field.trim_start().starts_with(['=', '+', '-', '@', '\t', '\r']), "{field:?}");
                }
            }
        }
    }

    /// The fields of one line, by a reader of our own: an independent one reads the table in `tests/reports.rs`.
    fn csv_fields(line: &str) -> Vec<String> {
        let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
        let mut rest = line.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '"' if quoted && rest.peek() == Some(&'"') => {
                    rest.next();
                    field.push('"');
                }
                '"' => quoted = !quoted,
                ',' if !quoted => fields.push(std::mem::take(&mut field)),
                c => field.push(c),
            }
        }
        fields.push(field);
        fields
    }
}
