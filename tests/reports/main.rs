//! Reports of a stored run, read by independent readers: the official SARIF schema, `JUnit` and table readers from the
//! Python Package Index, and a browser. And the commands that look closer at a run.
//!
//! A test whose reader is not there is skipped with a printed reason; it fails instead if `PARALLAX_REQUIRE` has `npm`,
//! `pypi` or `chromium` in it.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test says so by panicking, and says why it is skipped")]

mod readers;
mod stored;

use std::path::Path;
use std::process::{Command, Output};

use readers::{browser, npm, python, script};
use stored::{HOSTILE, run};

fn parallax(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parallax"));
    command.env("COLUMNS", "100").env("NO_COLOR", "1").args(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// A report of the run in `folder`, written to a file beside it.
fn report(folder: &Path, format: &str) -> String {
    let out = folder.join(format!("written.{format}"));
    let run = folder.join("run").display().to_string();
    stdout(&parallax(&["report", &run, "--format", format, "--out", &out.display().to_string()]));
    out.display().to_string()
}

/// Whether nothing in a text could act on a terminal or hide from a reader.
fn is_harmless(text: &str) -> bool {
    text.chars().all(|c| matches!(c, '\n' | '\r') || !parallax::report::escape::is_hidden(c))
}

#[test]
fn every_format_is_the_same_twice_and_harmless() {
    let place = tempfile::tempdir().unwrap();
    run(&place.path().join("run"));
    for format in ["text", "markdown", "json", "html", "sarif", "junit", "csv", "jsonl"] {
        let first = std::fs::read_to_string(report(place.path(), format)).unwrap();
        let second = std::fs::read_to_string(report(place.path(), format)).unwrap();
        assert_eq!(first, second, "{format}");
        assert!(is_harmless(&first), "{format}");
    }
}

#[test]
fn twenty_runs_are_reported_at_once_and_the_same_twice() {
    let place = tempfile::tempdir().unwrap();
    let runs: Vec<String> = (0..20)
        .map(|n| {
            // Two folders of one name: neither takes the other's place.
            let folder = place.path().join(format!("{}/run-{}", n % 2, n / 2));
            run(&folder);
            folder.display().to_string()
        })
        .collect();
    let reported = |out: &str| {
        let out = place.path().join(out);
        let formats = "text,markdown,json,sarif,junit";
        let to = out.display().to_string();
        let more = ["--format", formats, "--out-dir", &to];
        stdout(&parallax(&[&["report"][..], &runs.iter().map(String::as_str).collect::<Vec<_>>(), &more].concat()));
        let mut files: Vec<_> = std::fs::read_dir(out).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        files
            .iter()
            .map(|file| (file.file_name().unwrap().to_owned(), std::fs::read(file).unwrap()))
            .collect::<Vec<_>>()
    };
    let first = reported("first");
    assert_eq!(first.len(), 20 * 5);
    assert!(first == reported("second"), "the same bytes");
    assert!(first.iter().any(|(name, _)| name == "run-9-2.md"), "the second of one name is numbered");
    // Several runs on standard output would be no document.
    let one = &runs[0];
    assert_eq!(parallax(&["report", one, &runs[1], "--format", "json"]).status.code(), Some(2));
    assert_eq!(parallax(&["report", one, "--format", "json,html"]).status.code(), Some(2));
}

#[test]
fn the_page_stands_in_the_runs_folder() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("run");
    run(&folder);
    let said = stdout(&parallax(&["report", &folder.display().to_string(), "--format", "html"]));
    assert_eq!(said.trim(), folder.join("report.html").display().to_string());
    assert!(std::fs::read_to_string(folder.join("report.html")).unwrap().starts_with("<!doctype html>"));
    // A run that was shared without its bodies has a page all the same.
    std::fs::remove_dir_all(folder.join("raw")).unwrap();
    let output = parallax(&["report", &folder.display().to_string(), "--format", "html"]);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("raw/"), "it says what is left out");
}

#[test]
fn sarif_is_accepted_by_its_official_schema() {
    let place = tempfile::tempdir().unwrap();
    run(&place.path().join("run"));
    let Some(modules) = npm(&["@microsoft/jest-sarif@1.0.0-beta.0"]) else { return };
    let Some(python) = python() else { return };
    let schema = modules.join("node_modules/@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json");
    let said = script(
        &python,
        r#"
import json, sys, jsonschema
schema, log = (json.load(open(path, encoding="utf-8")) for path in sys.argv[1:3])
kind = jsonschema.validators.validator_for(schema)
validator = kind(schema, format_checker=kind.FORMAT_CHECKER)
errors = [f"{list(error.absolute_path)}: {error.message}" for error in validator.iter_errors(log)]
assert not errors, errors
# A control: what is wrong is refused.
log["runs"][0]["results"][0]["level"] = "dreadful"
assert list(validator.iter_errors(log))
print(len(log["runs"][0]["results"]), "results")
"#,
        &[&schema.display().to_string(), &report(place.path(), "sarif")],
    );
    assert_eq!(said.trim(), "3 results");
}

#[test]
fn junit_is_read_by_a_reader_of_others() {
    let place = tempfile::tempdir().unwrap();
    run(&place.path().join("run"));
    let Some(python) = python() else { return };
    let said = script(
        &python,
        r#"
import sys
from junitparser import JUnitXml, Failure, Skipped
suites = JUnitXml.fromfile(sys.argv[1])
(suite,) = list(suites)
cases = list(suite)
kind = lambda case: type(case.result[0]).__name__ if case.result else "passed"
assert suite.tests == len(cases) and suite.failures == sum(kind(case) == "Failure" for case in cases)
assert suite.skipped == sum(kind(case) == "Skipped" for case in cases)
print(suite.failures, suite.skipped > 3, any(sys.argv[2] in (case.name or "") for case in cases))
"#,
        &[&report(place.path(), "junit"), "<script>"],
    );
    assert_eq!(said.trim(), "2 True True", "two dependences are open; hostile text is text");
}

#[test]
fn tables_are_read_by_pandas_and_duckdb_as_documented() {
    let place = tempfile::tempdir().unwrap();
    run(&place.path().join("run"));
    let Some(python) = python() else { return };
    std::fs::rename(report(place.path(), "csv"), place.path().join("cells.csv")).unwrap();
    std::fs::rename(report(place.path(), "jsonl"), place.path().join("cells.jsonl")).unwrap();
    let said = script(
        &python,
        r#"
import csv, json, sys, os
os.chdir(sys.argv[1])
import pandas, duckdb
table = pandas.read_csv("cells.csv", keep_default_na=False)
lines = pandas.read_json("cells.jsonl", lines=True)
stored = duckdb.sql("SELECT * FROM 'cells.csv'").df()
assert list(table.columns) == list(lines.columns) == list(stored.columns), (table.columns, stored.columns)
assert len(table) == len(lines) == len(stored) == 4 * 12, len(table)
# JSON Lines have the exact text, CSV has it drawn and marked.
exact = [json.loads(line)["value"] for line in open("cells.jsonl", encoding="utf-8")]
assert any("\u200b" in (value or "") for value in exact)
assert "plan⟨U+200B⟩in" in set(table["value"]) and not any("\u200b" in value for value in table["value"])
for row in csv.reader(open("cells.csv", encoding="utf-8", newline="")):
    assert len(row) == len(table.columns)
    assert not any(field.lstrip()[:1] in "=+-@\t\r" and field.lstrip() for field in row), row
assert any(value.startswith("'=") for value in table["value"]), "a formula is marked"
print("good")
"#,
        &[&place.path().display().to_string()],
    );
    assert_eq!(said.trim(), "good");
    // The examples of the documentation, as they stand there.
    let docs = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reports.md")).unwrap();
    let examples: Vec<&str> = docs.split("```python\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(examples.len(), 2, "one for pandas, one for DuckDB");
    for example in examples {
        let program = format!("import os, sys\nos.chdir(sys.argv[1])\n{example}");
        let said = script(&python, &program, &[&place.path().display().to_string()]);
        assert!(said.contains("Asia/Tokyo") && said.contains("f000000001"), "{said}");
    }
}

#[test]
fn a_browser_uses_the_page_and_asks_for_nothing() {
    let place = tempfile::tempdir().unwrap();
    run(&place.path().join("run"));
    let Some(chromium) = browser() else { return };
    let Some(modules) = npm(&["playwright-core@1"]) else { return };
    let output = Command::new("node")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reports/page.mjs"))
        .arg(modules)
        .arg(chromium)
        .arg(format!("file://{}", report(place.path(), "html")))
        .arg("<img src=x onerror=window.hacked=1>")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("good:"), "{said}");
}

#[test]
fn one_finding_in_full() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("run");
    run(&folder);
    let folder = folder.display().to_string();
    let by_id = stdout(&parallax(&["show", &folder, "f000000001"]));
    assert!(is_harmless(&by_id) && by_id.contains("plan⟨U+200B⟩in") && by_id.contains("ZERO WIDTH SPACE"), "{by_id}");
    assert!(by_id.contains("│ Asia/Tokyo │ matches"), "{by_id}");
    assert_eq!(stdout(&parallax(&["show", &folder, "1"])), by_id, "by its number in the report");
    let unknown = parallax(&["show", &folder, "f"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("f000000002"), "it says which there are");
}

#[test]
fn two_cells_compared() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("run");
    run(&folder);
    let folder = folder.display().to_string();
    for more in [&[][..], &["--side-by-side"]] {
        let text = stdout(&parallax(&[&["diff", &folder, "c0000", "c0001"][..], more].concat()));
        assert!(is_harmless(&text), "{text}");
        for part in ["POST /v1/messages", "plan⟨U+200B⟩in", "+ U+200B ZERO WIDTH SPACE", "zone = Asia/Tokyo"] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
    }
    let unknown = parallax(&["diff", &folder, "c0000", "c9999"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("c0000 to c0011"));
}

#[test]
fn captures_as_an_http_archive() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("run");
    run(&folder);
    let folder = folder.display().to_string();
    let text = stdout(&parallax(&["export", &folder, "--har", "--cell", "c0001"]));
    let log: serde_json::Value = serde_json::from_str(&text).unwrap();
    let entries = log["log"]["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 1);
    let body = entries[0]["request"]["postData"]["text"].as_str().unwrap();
    assert!(body.contains("plan\u{200b}in") && text.is_ascii(), "{body}");
    assert_eq!(parallax(&["export", &folder]).status.code(), Some(2), "it must be said as what");
    assert!(body.contains(&serde_json::to_string(HOSTILE).unwrap()[1..40]), "{body}");
}
