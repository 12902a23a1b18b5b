//! The **gallery**: every scenario plans, every committed summary has its scenario and stays within what may be published,
//! the tables say what the summaries say; two agents are captured for real, one of them led through a tool call, and one
//! summary is made again.
//!
//! The last three need npm and the embedded engine; where they are missing each says so and passes, unless `PARALLAX_REQUIRE` names them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod program;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use parallax::scenario::{self, Source};
use program::{available, code, json, missing, parallax, shown, text};
use serde_json::Value;

const CLASSES: [&str; 4] = ["covert", "overt", "structural", "behavioural"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    paths.sort();
    paths
}

/// The summaries with their names; `notes.json` is none.
fn summaries() -> Vec<(String, Value)> {
    let name = |path: &PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let all = files(&root().join("results/gallery"), "json");
    all.iter().map(|path| (name(path), json(path))).filter(|(name, _)| name != "notes").collect()
}

fn words(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_scenario_plans() {
    let scenarios = files(&root().join("scenarios"), "toml");
    assert!(scenarios.len() >= 12, "{scenarios:?}");
    for path in scenarios {
        let output = parallax(&["plan", &text(&path), "--seed", "1"]);
        assert_eq!(code(&output), 0, "{}: {}", path.display(), shown(&output));
    }
}

#[test]
fn at_least_ten_agents_have_a_summary_by_a_run_of_their_own_scenario() {
    let (mut packages, mut told, mut on_both) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (name, summary) in summaries() {
        let path = root().join(summary["scenario"].as_str().unwrap());
        assert_eq!(path.file_stem().unwrap().to_str().unwrap(), name);
        let scenario = scenario::load(&path, &[]).unwrap();
        let pinned = match &scenario.target.source {
            Source::Npm { version, .. } | Source::Pypi { version, .. } => Some(version.clone()),
            Source::Local { .. } => None,
            Source::Image { .. } => panic!("{name}: an image is in no registry that everybody has"),
        };
        assert_eq!(summary["version"].as_str(), pinned.as_deref(), "{name}");
        let package = summary["package"].as_str().unwrap();
        if let Some(pinned) = pinned {
            assert!(package.ends_with(&format!("@{pinned}")), "{package}");
            packages.insert(package.to_owned());
            if summary["run"]["verdict"] != "inconclusive" {
                told.insert(package.to_owned());
            }
        }
        // What was varied is what the scenario varies.
        let varied: BTreeSet<&str> = summary["factors"].as_object().unwrap().keys().map(String::as_str).collect();
        let factors: BTreeSet<&str> = scenario.factors.iter().map(|factor| factor.name.as_str()).collect();
        assert_eq!(varied, factors, "{name}");
        // Its command runs that scenario with that seed, and on that engine.
        let also = summary["also"].as_array().unwrap();
        for run in std::iter::once(&summary["run"]).chain(also) {
            let command = run["command"].as_str().unwrap();
            let begin = format!("parallax run scenarios/{name}.toml --engine {}", run["engine"].as_str().unwrap());
            assert!(command.starts_with(&begin), "{command}");
            assert!(command.contains(&format!("--seed {}", run["seed"])), "{command}");
            assert!(run["cells"].as_u64().unwrap() > 0 && run["lost"] == 0, "{name}: {run}");
        }
        if also.iter().any(|run| run["engine"] != summary["run"]["engine"]) {
            on_both.insert(package.to_owned());
        }
    }
    assert!(packages.len() >= 10 && told.len() >= 10, "{told:?} of {packages:?} ran to an end");
    assert!(on_both.len() >= 10, "{on_both:?}");
}

#[test]
fn summaries_have_findings_and_no_prompts() {
    for (name, summary) in summaries() {
        let factors: BTreeSet<&str> = summary["factors"].as_object().unwrap().keys().map(String::as_str).collect();
        for finding in summary["findings"].as_array().unwrap() {
            assert!(CLASSES.contains(&finding["class"].as_str().unwrap()), "{name}: {finding}");
            assert!(words(&finding["depends_on"]).iter().all(|factor| factors.contains(factor.as_str())), "{name}");
            assert!(finding["agree"].as_u64() > finding["disagree"].as_u64(), "{name}: {finding}");
        }
        strings(&summary["findings"], &mut |text| {
            assert!(text.chars().count() <= 80, "{name}: {text}");
        });
    }
}

/// Every string of a value, the names of members aside.
fn strings(value: &Value, seen: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => seen(text),
        Value::Array(values) => values.iter().for_each(|value| strings(value, seen)),
        Value::Object(members) => members.values().for_each(|value| strings(value, seen)),
        _ => {}
    }
}

/// The row of the tables: each class with what it depends on, each combination once, and what is explained.
fn row(agent: &str, summary: &Value) -> String {
    let findings = summary["findings"].as_array().unwrap();
    let run = &summary["run"];
    let version = summary["version"].as_str().unwrap_or("–");
    let mut row = vec![agent.to_owned(), version.to_owned(), run["date"].as_str().unwrap().to_owned()];
    row.push(run["cells"].to_string());
    if summary["run"]["verdict"] == "inconclusive" && findings.is_empty() {
        row.extend(std::iter::repeat_n(String::from("?"), CLASSES.len() + 1));
        return format!("| {} |", row.join(" | "));
    }
    let listed = |of: &dyn Fn(&Value) -> bool| {
        let mut names: Vec<String> = Vec::new();
        for finding in findings.iter().filter(|finding| of(finding)) {
            let name = words(&finding["depends_on"]).join(" × ");
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if names.is_empty() { String::from("–") } else { names.join(", ") }
    };
    for class in CLASSES {
        row.push(listed(&|finding| finding["class"] == class && finding["explained_by"].is_null()));
    }
    row.push(listed(&|finding| !finding["explained_by"].is_null()));
    format!("| {} |", row.join(" | "))
}

#[test]
fn the_tables_say_what_the_summaries_say() {
    let page = std::fs::read_to_string(root().join("docs/gallery.md")).unwrap();
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let notes = json(&root().join("results/gallery/notes.json"));
    let all = summaries();
    assert_eq!(notes.as_object().unwrap().len(), all.len());
    for (name, summary) in all {
        let agent = notes[&name]["agent"].as_str().unwrap();
        let row = row(agent, &summary);
        assert!(page.lines().any(|line| line == row), "docs/gallery.md has no row: {row}");
        assert!(readme.lines().any(|line| line == row), "README.md has no row: {row}");
        assert!(page.contains(summary["run"]["command"].as_str().unwrap()), "{name}");
    }
}

/// Whether the embedded engine and the npm registry are there; says so, or fails, where they are not.
fn npm_agents_run() -> bool {
    if !available("embedded") {
        return false;
    }
    let ping = Command::new("npm").arg("ping").output();
    let answers = ping.is_ok_and(|output| output.status.success());
    if !answers {
        missing("npm", "no npm, or no registry");
    }
    answers
}

/// A summary says what anybody finds who runs its command: the same findings, by their ids.
#[test]
fn a_summary_is_made_again_by_its_command() {
    if !npm_agents_run() {
        return;
    }
    let summary = json(&root().join("results/gallery/continue.json"));
    let command = summary["run"]["command"].as_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let out = text(&folder.path().join("run"));
    let scenario = text(&root().join(summary["scenario"].as_str().unwrap()));
    let mut arguments: Vec<&str> = command.split(' ').skip(1).collect();
    arguments[1] = &scenario;
    arguments.extend(["-q", "--out", &out]);
    let output = parallax(&arguments);
    assert!([0, 1].contains(&code(&output)), "{}", shown(&output));
    let found = json(&Path::new(&out).join("findings.json"));
    let ids = |list: &Value| -> BTreeSet<String> {
        let id = |one: &Value| one["id"].as_str().or(one.as_str()).unwrap().to_owned();
        list.as_array().unwrap().iter().map(id).collect()
    };
    assert_eq!(ids(&found["findings"]), ids(&summary["run"]["findings"]), "{command}");
}

/// Runs a scenario in a few cells, which are not enough for a finding, and gives the requests of its baseline whose
/// address ends so.
fn captured(scenario: &str, ending: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let scenario = text(&root().join("scenarios").join(scenario));
    let few = ["--quick", "--budget", "6", "--replicates", "2", "--set", "design.minimum_rows=0"];
    let mut arguments = vec!["run", &scenario, "--engine", "embedded", "--seed", "1", "-q", "--out"];
    let place = text(&out);
    arguments.push(&place);
    arguments.extend(few);
    let output = parallax(&arguments);
    // So few cells are inconclusive.
    assert_eq!(code(&output), 3, "{}", shown(&output));
    let findings = json(&out.join("findings.json"));
    assert_eq!(findings["cells"]["observed"], findings["cells"]["planned"]);
    let plan = std::fs::read_to_string(out.join("plan.jsonl")).unwrap();
    let cells = plan.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let is_baseline = |cell: &Value| cell["levels"].as_array().unwrap().iter().all(|level| level == 0);
    let baseline = cells.into_iter().find(is_baseline).unwrap();
    let output = parallax(&["export", &place, "--har", "--cell", baseline["id"].as_str().unwrap()]);
    let archive: Value = serde_json::from_slice(&output.stdout).unwrap();
    let requests = archive["log"]["entries"].as_array().unwrap().iter().map(|entry| &entry["request"]);
    let asked =
        requests.filter(|request| request["url"].as_str().unwrap().split('?').next().unwrap().ends_with(ending));
    asked.map(|request| request["postData"]["text"].as_str().unwrap_or_default().to_owned()).collect()
}

/// A published agent's prompt arrives.
#[test]
fn a_published_agent_is_captured() {
    if !npm_agents_run() {
        return;
    }
    let prompts = captured("codex.toml", "/v1/responses");
    let prompt = prompts.first().unwrap();
    assert!(prompt.contains("Reply with OK.") && prompt.len() > 4096, "{} bytes", prompt.len());
}

/// A published agent that is told no base URL is met at its vendor's own host, runs the command that the script asks for, and
/// sends what came of it.
#[test]
fn a_published_agent_is_led_through_a_tool_call_at_its_vendors_own_host() {
    if !npm_agents_run() {
        return;
    }
    let prompts = captured("claude-code-turns.toml", "api.anthropic.com/v1/messages");
    let told = |prompt: &&String| prompt.contains("ls | wc -l") && prompt.contains("tool_result");
    let prompt = prompts.iter().find(told).unwrap_or_else(|| panic!("{} prompts, none after a tool", prompts.len()));
    let prompt: Value = serde_json::from_str(prompt).unwrap();
    let last = prompt["messages"].as_array().unwrap().last().unwrap();
    let result = last["content"].as_array().unwrap().iter().find(|part| part["type"] == "tool_result").unwrap();
    // What `ls | wc -l` prints.
    let printed = result["content"].as_str().unwrap().lines().last().unwrap();
    assert!(printed.trim().parse::<u32>().is_ok(), "{result}");
}
