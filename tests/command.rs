//! The recipe for a **local program** (`scenarios/command.toml`), through the whole program: its agent is led through a tool
//! call, and all that its prompts depend on is disclosed or explained.
//!
//! Where namespaces or Python are missing this test says so and passes, unless `PARALLAX_REQUIRE` names them.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

mod program;

use std::path::PathBuf;
use std::process::Command;

use program::{available, code, json, missing, parallax, shown, text};

#[test]
fn the_recipe_runs_and_finds_what_its_agent_says_openly() {
    let python =
        || Command::new("python3").arg("--version").output().is_ok() || missing("python", "there is no python3");
    if !available("embedded") || !python() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let (scenario, out) =
        (PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios/command.toml"), place.path().join("run"));
    let output =
        parallax(&["run", &text(&scenario), "--engine", "embedded", "--seed", "1", "-q", "--out", &text(&out)]);
    let said = shown(&output);
    assert_eq!(code(&output), 0, "{said}");
    let findings = json(&out.join("findings.json"));
    let findings = findings["findings"].as_array().unwrap();
    let of =
        |factor: &'static str| findings.iter().filter(move |finding| finding["factors"] == serde_json::json!([factor]));
    assert!(of("style").count() > 0 && of("style").all(|finding| !finding["disclosed"].is_null()), "{said}");
    for factor in ["cwd", "timezone", "base_url", "proxy"] {
        assert!(of(factor).count() > 0 && of(factor).all(|f| !f["explained_by"].is_null()), "{factor}: {said}");
    }
    // The second request has what the command of the first answer said.
    let har = parallax(&["export", &text(&out), "--har"]);
    assert_eq!(code(&har), 0);
    let har = String::from_utf8(har.stdout).unwrap();
    assert!(har.contains("tool_call_id"), "no tool was called");
}
