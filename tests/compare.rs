//! **Compare**, through the compiled program: stored runs against each other, and what it says by its exit code.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod program;

use std::path::{Path, PathBuf};
use std::process::Command;

use program::{code, json, parallax, shown, text, toy_run};
use serde_json::{Value, json};

fn compare(old: &Path, new: &Path, more: &[&str]) -> (i32, String) {
    let output = parallax(&[&["compare", &text(old), &text(new)][..], more].concat());
    (code(&output), shown(&output))
}

/// How many findings of each sort.
fn counts(old: &Path, new: &Path) -> (i32, Vec<(String, usize)>) {
    let (code, said) = compare(old, new, &["--format", "json"]);
    let document: Value = serde_json::from_str(&said).unwrap();
    let mut counts = std::collections::BTreeMap::new();
    for finding in document["findings"].as_array().unwrap() {
        *counts.entry(finding["change"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    (code, counts.into_iter().collect())
}

/// A copy of a run with other findings.
fn changed(run: &Path, name: &str, change: impl FnOnce(&mut Vec<Value>)) -> PathBuf {
    let copy = run.with_file_name(name);
    assert!(Command::new("cp").arg("-r").arg(run).arg(&copy).status().unwrap().success());
    let path = copy.join("findings.json");
    let mut document = json(&path);
    change(document["findings"].as_array_mut().unwrap());
    std::fs::write(&path, document.to_string()).unwrap();
    copy
}

#[test]
fn two_seeds_of_one_version_differ_in_nothing_and_a_change_is_seen() {
    let place = tempfile::tempdir().unwrap();
    let Some(first) = toy_run("quickstart", 1, place.path()) else { return };
    let second = toy_run("quickstart", 2, place.path()).unwrap();
    let all = json(&first.join("findings.json"))["findings"].as_array().unwrap().len();
    assert_eq!(counts(&first, &second), (0, vec![(String::from("unchanged"), all)]));

    // The new version shows less, or more.
    let fewer = changed(&first, "fewer", |findings| findings.retain(|finding| finding["class"] != "covert"));
    assert_eq!(counts(&first, &fewer), (0, vec![(String::from("gone"), 2), (String::from("unchanged"), all - 2)]));
    assert_eq!(counts(&fewer, &first), (1, vec![(String::from("new"), 2), (String::from("unchanged"), all - 2)]));
    let (code, said) = compare(&fewer, &first, &["--format", "markdown"]);
    assert_eq!(code, 1);
    assert!(said.contains("2 new (2 neither explained nor disclosed)") && said.contains("| **new** | `f"), "{said}");
    assert!(!said.contains("**unchanged**"), "{said}");

    // New, but the vendor says so.
    let disclosed = changed(&first, "disclosed", |findings| {
        for finding in findings.iter_mut() {
            finding["disclosed"] = json!("so");
        }
    });
    assert_eq!(counts(&fewer, &disclosed).0, 0);

    // The same cause with another value.
    let other = changed(&first, "other", |findings| findings[0]["rule"][0]["value"] = json!("another"));
    assert_eq!(counts(&first, &other), (0, vec![(String::from("changed"), 1), (String::from("unchanged"), all - 1)]));
}

#[test]
fn what_an_agent_wrote_is_escaped_and_another_scenario_is_named() {
    let place = tempfile::tempdir().unwrap();
    let Some(run) = toy_run("quickstart", 1, place.path()) else { return };
    let hostile = changed(&run, "hostile", |findings| {
        findings[0]["id"] = json!("f\u{1b}[2J");
        findings[0]["places"] = json!(["\u{202e}|<img src=x>\u{1b}]0;x\u{7}"]);
    });
    for format in ["text", "markdown"] {
        let (_, said) = compare(&run, &hostile, &["--format", format]);
        assert!(!said.contains('\u{1b}') && !said.contains('\u{202e}') && !said.contains('\u{7}'), "{said:?}");
    }
    let (_, said) = compare(&run, &hostile, &["--format", "markdown"]);
    assert!(said.contains("⟨U+202E⟩\\|<img src=x>"), "{said}");
    let twin = toy_run("innocent", 1, place.path()).unwrap();
    let (code, said) = compare(&run, &twin, &[]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("the scenarios are quickstart and innocent"), "{said}");
}

#[test]
fn a_folder_without_a_run_is_2_and_an_unfinished_run_3() {
    let place = tempfile::tempdir().unwrap();
    let (code, said) = compare(place.path(), place.path(), &[]);
    assert!(code == 2 && said.contains("holds no run"), "{said}");
    let Some(run) = toy_run("quickstart", 1, place.path()) else { return };
    std::fs::remove_file(run.join("findings.json")).unwrap();
    let (code, said) = compare(&run, &run, &[]);
    assert!(code == 3 && said.contains("not finished"), "{said}");
}
